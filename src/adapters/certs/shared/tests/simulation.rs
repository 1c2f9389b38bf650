//! Whole histories: three replicas whose reads and writes are interleaved at random, two API servers whose copies of the configuration
//! are behind, and everything that may happen to a Secret, a replica and a clock.
//!
//! What must hold at every second: whatever a replica that is ready shows, every API server trusts.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use tokio::time::Instant;

use super::super::*;
use super::SECOND;
use crate::adapters::certs::{Anchor, Life, Lifetimes};

/// How long the API servers' copies are behind, in seconds.
const BEHIND: [usize; 2] = [0, 8];
/// How long a replica may be cut off, or a clock be wrong, in seconds.
const TROUBLE: u64 = 60;

const LIVES: Lifetimes = Lifetimes {
    certificate: Life {
        valid: Duration::from_mins(15),
        renew_after: Duration::from_secs(100),
    },
    authority: Life {
        valid: Duration::from_secs(2_000),
        renew_after: Duration::from_mins(10),
    },
    grace: Duration::from_secs(30),
    // More than two clocks that are wrong and a replica that is cut off take away.
    overlap: Duration::from_secs(500),
};

/// Numbers that look like chance, the same for the same seed (xorshift64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }
}

/// What stands in the API.
struct Api {
    secret: Option<Contents>,
    secret_version: u64,
    bundle: BTreeSet<Anchor>,
    version: u64,
    /// What the bundle was at each second.
    history: Vec<BTreeSet<Anchor>>,
    steps: BTreeSet<&'static str>,
    /// What happened, for whoever reads a failure.
    story: Vec<String>,
}

/// How far a look has come.
enum Phase {
    Idle,
    Seen {
        version: u64,
    },
    Read {
        version: u64,
        secret_version: u64,
        held: Option<Contents>,
    },
    Written {
        version: u64,
        held: Contents,
    },
}

struct Replica {
    phase: Phase,
    remembered: Option<Contents>,
    shown: Option<Shown>,
    sightings: Sightings,
    ready: bool,
    cut_off: u64,
    clock_off: i64,
}

impl Api {
    fn tell(&mut self, what: &str, anchors: &BTreeSet<Anchor>) {
        let second = self.history.len();
        let name = |anchor: &Anchor| hex::encode(&anchor.certificate()[15..19]);
        let names: Vec<String> = anchors.iter().map(name).collect();
        self.story
            .push(format!("{second}: {what} {}", names.join(" ")));
    }

    fn end_of_story(&self) -> String {
        let start = self.story.len().saturating_sub(30);
        self.story[start..].join("\n")
    }
}

impl Replica {
    fn new() -> Self {
        Self {
            phase: Phase::Idle,
            remembered: None,
            shown: None,
            sightings: Sightings::default(),
            ready: false,
            cut_off: 0,
            clock_off: 0,
        }
    }

    fn view<'a>(&'a self, held: Option<&'a Contents>, now: Timestamp, clock: Instant) -> View<'a> {
        View {
            held,
            remembered: self.remembered.as_ref(),
            shown: self.shown.as_ref(),
            sightings: &self.sightings,
            names: &[],
            lifetimes: &LIVES,
            now: now + jiff::SignedDuration::from_secs(self.clock_off),
            clock,
        }
    }

    fn see(&mut self, api: &Api, clock: Instant) {
        let sight = Sight::Found {
            version: api.version.to_string(),
            bundles: vec![api.bundle.clone()],
        };
        self.sightings.record(&[sight], clock);
    }

    /// The next request of a look.
    fn advance(&mut self, api: &mut Api, now: Timestamp, clock: Instant) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Idle => {
                self.see(api, clock);
                Phase::Seen {
                    version: api.version,
                }
            }
            Phase::Seen { version } => Phase::Read {
                version,
                secret_version: api.secret_version,
                held: api.secret.clone(),
            },
            Phase::Read {
                version,
                secret_version,
                held,
            } => {
                let view = self.view(held.as_ref(), now, clock);
                match (view.step(), held.clone()) {
                    (None, Some(held)) => Phase::Written { version, held },
                    (None, None) => Phase::Idle,
                    (Some(_), _) if secret_version != api.secret_version => Phase::Idle,
                    (Some(step), _) => {
                        let after = view.after(&step).unwrap();
                        api.steps.insert(step.as_str());
                        api.tell(step.as_str(), &after.trusted());
                        api.secret = Some(after.clone());
                        api.secret_version += 1;
                        Phase::Written {
                            version,
                            held: after,
                        }
                    }
                }
            }
            Phase::Written { version, held } => {
                self.finish(api, version, &held, now, clock);
                Phase::Idle
            }
        };
    }

    fn finish(
        &mut self,
        api: &mut Api,
        version: u64,
        held: &Contents,
        now: Timestamp,
        clock: Instant,
    ) {
        self.remembered = Some(held.clone());
        if version == api.version {
            if api.bundle != held.trusted() {
                api.bundle = held.trusted();
                api.version += 1;
                api.tell("published", &held.trusted());
            }
            self.see(api, clock);
        } else {
            self.sightings.record(&[Sight::Unknown], clock);
        }
        if self.view(Some(held), now, clock).may_show() {
            let same = self.shown.as_ref().filter(|s| s.anchor == *held.anchor());
            if same.is_none() {
                api.tell("shown", &[held.anchor().clone()].into());
            }
            self.shown = Some(Shown {
                anchor: held.anchor().clone(),
                not_after: held.not_after,
                since: same.map_or(clock, |shown| shown.since),
            });
        }
        self.ready |= self.view(Some(held), now, clock).is_published();
    }
}

/// What happens to the world beside looks.
fn trouble(chance: &mut Chance, api: &mut Api, replicas: &mut [Replica]) {
    if chance.one_in(400) {
        // Deleted, or made unreadable: for replicas that is the same.
        api.secret = None;
        api.secret_version += 1;
        api.tell("deleted", &BTreeSet::new());
    }
    for replica in replicas.iter_mut() {
        replica.cut_off = replica.cut_off.saturating_sub(1);
        if chance.one_in(700) {
            *replica = Replica::new();
            api.tell("restarted", &BTreeSet::new());
        }
        if chance.one_in(300) {
            replica.cut_off = chance.below(TROUBLE);
            api.tell("cut off", &BTreeSet::new());
        }
        if chance.one_in(500) {
            let range = i64::try_from(2 * TROUBLE).unwrap();
            let off = i64::try_from(chance.below(4 * TROUBLE)).unwrap();
            replica.clock_off = if chance.one_in(2) { 0 } else { off - range };
            api.tell(&format!("clock {}", replica.clock_off), &BTreeSet::new());
        }
    }
}

fn run(seed: u64, seconds: usize) -> BTreeSet<&'static str> {
    let mut chance = Chance(seed | 1);
    let (mut now, mut clock) = (
        Timestamp::from_second(1_800_000_000).unwrap(),
        Instant::now(),
    );
    let mut api = Api {
        secret: None,
        secret_version: 0,
        bundle: BTreeSet::new(),
        version: 0,
        history: Vec::new(),
        steps: BTreeSet::new(),
        story: Vec::new(),
    };
    let mut replicas = [Replica::new(), Replica::new(), Replica::new()];
    // The installation: before it, nobody trusts anybody.
    while !replicas[0].ready {
        replicas[0].advance(&mut api, now, clock);
    }
    let installed = api.bundle.clone();
    for second in 0..seconds {
        // Each second some requests, in whatever order.
        for _ in 0..chance.below(12) {
            let index = usize::try_from(chance.below(3)).unwrap();
            let replica = &mut replicas[index];
            if replica.cut_off == 0 {
                replica.advance(&mut api, now, clock);
            }
        }
        api.history.push(api.bundle.clone());
        for (index, replica) in replicas.iter().enumerate().filter(|(_, one)| one.ready) {
            let shown = replica.shown.as_ref().unwrap();
            for behind in BEHIND {
                let copy = second.checked_sub(behind).map(|then| &api.history[then]);
                let copy = copy.unwrap_or(&installed);
                assert!(
                    copy.contains(&shown.anchor),
                    "seed {seed}, second {second}: replica {index} shows what an API server {behind} s behind does not trust\n{}",
                    api.end_of_story()
                );
            }
            assert!(
                shown.not_after >= now,
                "seed {seed}, second {second}: replica {index} shows what has expired"
            );
        }
        trouble(&mut chance, &mut api, &mut replicas);
        now += SECOND;
        clock += SECOND;
    }
    api.steps
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_happens_every_api_server_trusts_what_every_ready_replica_shows(seed in any::<u64>()) {
        run(seed, 3_000);
    }
}

#[test]
fn the_histories_take_every_step() {
    let steps: BTreeSet<&str> = (1..4).flat_map(|seed| run(seed, 3_000)).collect();
    let all = [
        "announced",
        "made",
        "renewed",
        "restored",
        "retired",
        "switched",
    ];
    assert!(all.iter().all(|step| steps.contains(step)), "{steps:?}");
}
