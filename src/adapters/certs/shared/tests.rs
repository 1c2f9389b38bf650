//! The steps one by one, at both ends of each window; what a Secret may hold; and whole histories ([`simulation`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use rstest::rstest;
use tokio::time::Instant;

use super::*;
use crate::adapters::certs::authority::{Authority, Window};
use crate::adapters::certs::{Anchor, Life, Lifetimes};

mod simulation;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

/// Lives that are easy to count with.
const LIVES: Lifetimes = Lifetimes {
    certificate: Life {
        valid: Duration::from_hours(90),
        renew_after: Duration::from_hours(60),
    },
    authority: Life {
        valid: Duration::from_hours(900),
        renew_after: Duration::from_hours(600),
    },
    grace: Duration::from_secs(30),
    overlap: Duration::from_hours(24),
};

/// One replica, one Secret, one configuration with one webhook.
struct World {
    secret: Option<Contents>,
    bundle: Option<BTreeSet<Anchor>>,
    version: u32,
    remembered: Option<Contents>,
    shown: Option<Shown>,
    sightings: Sightings,
    names: Vec<String>,
    lives: Lifetimes,
    now: Timestamp,
    clock: Instant,
}

impl World {
    /// Nothing but a configuration that trusts nobody.
    fn new() -> Self {
        Self {
            secret: None,
            bundle: Some(BTreeSet::new()),
            version: 1,
            remembered: None,
            shown: None,
            sightings: Sightings::default(),
            names: vec!["vouchsafe.svc".to_owned()],
            lives: LIVES,
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            clock: Instant::now() + Duration::from_hours(100_000),
        }
    }

    /// After the first looks: one authority, published and shown.
    fn settled() -> Self {
        let mut world = Self::new();
        assert_eq!(world.looks(), ["made"]);
        world
    }

    fn view(&self) -> View<'_> {
        View {
            held: self.secret.as_ref(),
            remembered: self.remembered.as_ref(),
            shown: self.shown.as_ref(),
            sightings: &self.sightings,
            names: &self.names,
            lifetimes: &self.lives,
            now: self.now,
            clock: self.clock,
        }
    }

    fn see(&mut self) {
        let sight = match &self.bundle {
            None => Sight::Missing,
            Some(bundle) => Sight::Found {
                version: self.version.to_string(),
                bundles: vec![bundle.clone()],
            },
        };
        self.sightings.record(&[sight], self.clock);
    }

    /// Looks until nothing is left to do; the words of the steps.
    fn looks(&mut self) -> Vec<&'static str> {
        let mut steps = Vec::new();
        loop {
            self.see();
            let step = self.view().step();
            if let Some(step) = &step {
                steps.push(step.as_str());
                self.secret = Some(self.view().after(step).unwrap());
            }
            self.remembered.clone_from(&self.secret);
            self.publish();
            self.see();
            self.show();
            if step.is_none() {
                return steps;
            }
            assert!(steps.len() < 10, "{steps:?}");
        }
    }

    fn publish(&mut self) {
        let wanted = self.secret.as_ref().map(Contents::trusted);
        if self.bundle.is_some() && self.bundle != wanted {
            self.bundle = wanted;
            self.version += 1;
        }
    }

    fn show(&mut self) {
        if !self.view().may_show() {
            return;
        }
        let held = self.secret.as_ref().unwrap();
        let same = self.shown.as_ref().filter(|s| s.anchor == *held.anchor());
        self.shown = Some(Shown {
            anchor: held.anchor().clone(),
            not_after: held.not_after,
            since: same.map_or(self.clock, |shown| shown.since),
        });
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.clock += time;
    }

    /// Passes the time and looks.
    fn after(&mut self, time: Duration) -> Vec<&'static str> {
        self.pass(time);
        self.looks()
    }

    fn held(&self) -> &Contents {
        self.secret.as_ref().unwrap()
    }

    fn shown(&self) -> &Anchor {
        &self.shown.as_ref().unwrap().anchor
    }
}

// === the steps ===

#[test]
fn the_first_one_makes_publishes_and_is_ready_at_once() {
    let world = World::settled();
    assert_eq!(world.bundle, Some(world.held().trusted()));
    assert_eq!(world.shown(), world.held().anchor());
    assert!(world.view().is_published());
    assert!(
        world
            .view()
            .pair_names_are(&["127.0.0.1", "::1", "localhost", "vouchsafe.svc"])
    );
}

#[test]
fn renews_the_certificate_after_two_thirds_of_its_life_and_not_before() {
    let mut world = World::settled();
    let (authority, first) = (world.held().anchor().clone(), world.held().not_after);
    assert_eq!(world.after(before(60 * HOUR, SECOND)), [""; 0]);
    assert_eq!(world.after(SECOND), ["renewed"]);
    assert_eq!(world.held().anchor(), &authority);
    assert_eq!(world.held().not_after, first + 60 * HOUR);
    assert_eq!(world.shown.as_ref().unwrap().not_after, first + 60 * HOUR);
    assert_eq!(world.after(before(60 * HOUR, SECOND)), [""; 0]);
    assert_eq!(world.after(SECOND), ["renewed"]);
}

#[test]
fn changes_the_authority_step_by_step_at_both_ends_of_each_window() {
    let mut world = World::settled();
    let old = world.held().anchor().clone();
    world.after(590 * HOUR);
    assert_eq!(world.after(before(10 * HOUR, SECOND)), [""; 0]);
    assert_eq!(world.after(SECOND), ["announced"]);
    let new = world.held().next.as_ref().unwrap().anchor().clone();
    let both: BTreeSet<Anchor> = [old.clone(), new.clone()].into();
    assert_eq!((world.bundle.as_ref(), world.shown()), (Some(&both), &old));
    assert_eq!(
        world.after(before(30 * SECOND, Duration::from_millis(1))),
        [""; 0]
    );
    assert_eq!(world.shown(), &old);
    assert_eq!(world.after(Duration::from_millis(1)), ["switched"]);
    assert_eq!((world.bundle.as_ref(), world.shown()), (Some(&both), &new));
    assert_eq!(world.after(before(24 * HOUR, SECOND)), [""; 0]);
    assert_eq!(world.after(SECOND), ["retired"]);
    assert_eq!(world.bundle, Some([new.clone()].into()));
    assert_eq!(world.shown(), &new);
    assert!(world.view().is_published());
    assert_eq!(world.after(SECOND), [""; 0]);
}

#[test]
fn is_told_when_to_look_again_for_each_step() {
    let mut world = World::settled();
    let most = 10_000 * HOUR;
    assert_eq!(world.view().look_again(most), 30 * SECOND);
    world.after(30 * SECOND);
    assert_eq!(
        world.view().look_again(most),
        before(60 * HOUR, 30 * SECOND)
    );
    assert_eq!(world.view().look_again(SECOND), SECOND);
    world.after(600 * HOUR);
    assert_eq!(world.view().look_again(most), 30 * SECOND);
    world.after(30 * SECOND);
    assert_eq!(
        world.view().look_again(most),
        30 * SECOND,
        "until the old one may go"
    );
    world.after(30 * SECOND);
    assert_eq!(
        world.view().look_again(most),
        before(24 * HOUR, 30 * SECOND)
    );
}

#[test]
fn a_certificate_that_would_not_live_longer_is_not_renewed() {
    let mut world = World::settled();
    world.lives.authority = world.lives.certificate;
    world.secret = None;
    world.remembered = None;
    world.shown = None;
    world.bundle = Some(BTreeSet::new());
    assert_eq!(world.looks(), ["made"]);
    assert_eq!(world.held().not_after, world.held().anchor().not_after());
    assert_eq!(world.after(60 * HOUR), ["announced"]);
    assert_eq!(world.after(30 * SECOND), ["switched"]);
}

#[test]
fn an_authority_that_ended_while_nobody_ran_is_succeeded() {
    let mut world = World::settled();
    (world.shown, world.sightings) = (None, Sightings::default());
    assert_eq!(world.after(1_000 * HOUR), ["announced"]);
    assert!(world.shown.is_none(), "what has expired is not shown");
    assert_eq!(world.after(30 * SECOND), ["switched"]);
    assert_eq!(world.shown(), world.held().anchor());
}

// === what is seen in the configurations ===

#[test]
fn waits_for_every_webhook_of_every_configuration() {
    let (one, other) = (anchor(), anchor());
    let both: BTreeSet<Anchor> = [one.clone(), other.clone()].into();
    let found = |version: &str, bundles: &[&BTreeSet<Anchor>]| Sight::Found {
        version: version.to_owned(),
        bundles: bundles.iter().map(|bundle| (*bundle).clone()).collect(),
    };
    let only: BTreeSet<Anchor> = [one.clone()].into();
    let (start, mut seen) = (Instant::now(), Sightings::default());
    let mut record = |sights: &[Sight], second: u32| {
        seen.record(sights, start + second * SECOND);
        let for_seconds = |anchor| {
            seen.trusted_for(anchor, start + second * SECOND)
                .map(|time| time.as_secs())
        };
        (for_seconds(&one), for_seconds(&other))
    };
    let always = Some(u64::MAX);
    assert_eq!(
        record(&[Sight::Missing, Sight::Missing], 0),
        (always, always)
    );
    let first = [found("1", &[&both, &only]), found("1", &[&both])];
    assert_eq!(record(&first, 1), (Some(0), None));
    assert_eq!(record(&first, 5), (Some(4), None));
    assert_eq!(record(&[Sight::Unknown, first[1].clone()], 6), (None, None));
    assert_eq!(record(&first, 7), (Some(6), None), "unchanged meanwhile");
    let second = [found("2", &[&both, &both]), found("1", &[&both])];
    assert_eq!(
        record(&second, 8),
        (Some(0), Some(0)),
        "a change begins anew"
    );
    assert_eq!(record(&second, 9), (Some(1), Some(1)));
    let reset = [found("2", &[&both, &both]), found("3", &[&only])];
    assert_eq!(record(&reset, 10), (Some(0), None));
    assert_eq!(
        record(&[Sight::Missing, Sight::Missing], 11),
        (always, always)
    );
}

#[test]
fn a_bundle_that_is_reset_during_the_grace_begins_the_grace_anew() {
    let mut world = World::settled();
    world.after(600 * HOUR);
    world.pass(29 * SECOND);
    // Somebody puts back what was there before, and it is repaired before anybody looks.
    world.version += 2;
    assert_eq!(world.looks(), [""; 0]);
    assert_eq!(world.after(29 * SECOND), [""; 0]);
    assert_eq!(world.after(SECOND), ["switched"]);
}

#[test]
fn no_authority_takes_over_while_a_configuration_cannot_be_seen() {
    let mut world = World::settled();
    world.after(600 * HOUR);
    world.pass(31 * SECOND);
    world.sightings.record(&[Sight::Unknown], world.clock);
    assert_eq!(world.view().step(), None);
    assert!(!world.view().is_published());
    world.see();
    assert_eq!(world.view().step(), Some(Step::Switch));
}

#[test]
fn a_configuration_that_does_not_exist_holds_nothing_up() {
    let mut world = World::new();
    world.bundle = None;
    assert_eq!(world.looks(), ["made"]);
    assert!(world.view().is_published());
    assert_eq!(
        world.after(600 * HOUR),
        ["renewed", "announced", "switched"]
    );
    world.bundle = Some(BTreeSet::new());
    world.version += 1;
    world.looks();
    assert_eq!(world.bundle, Some(world.held().trusted()));
}

// === several replicas ===

#[test]
fn a_replica_goes_over_when_it_has_itself_seen_the_new_authority_for_the_grace() {
    let mut world = World::settled();
    let old = world.shown().clone();
    world.after(600 * HOUR);
    // Another replica began to see it earlier, and switches now.
    world.pass(20 * SECOND);
    world.secret = Some(world.view().after(&Step::Switch).unwrap());
    assert_eq!(world.looks(), [""; 0]);
    assert_eq!(world.shown(), &old);
    assert_eq!(world.after(9 * SECOND), [""; 0]);
    assert_eq!(world.shown(), &old);
    assert_eq!(world.after(SECOND), [""; 0]);
    assert_eq!(world.shown(), world.held().anchor());
}

#[test]
fn a_replica_that_starts_during_an_overlap_is_ready_after_the_grace() {
    let mut world = World::settled();
    world.after(600 * HOUR);
    assert_eq!(world.after(30 * SECOND), ["switched"]);
    (world.shown, world.sightings) = (None, Sightings::default());
    world.looks();
    assert_eq!(world.shown(), world.held().anchor());
    assert!(!world.view().is_published());
    world.after(30 * SECOND);
    assert!(world.view().is_published());
}

#[test]
fn what_another_one_made_is_shown_after_the_grace_and_what_is_shown_stays_trusted() {
    let mut world = World::settled();
    let mine = world.shown().clone();
    let mut other = World::new();
    assert_eq!(other.looks(), ["made"]);
    world.secret = other.secret;
    assert_eq!(world.looks(), ["kept"]);
    assert!(world.bundle.as_ref().unwrap().contains(&mine));
    assert_eq!(world.shown(), &mine);
    world.after(30 * SECOND);
    assert_eq!(world.shown(), world.held().anchor());
    assert_ne!(world.shown(), &mine);
    assert_eq!(world.after(24 * HOUR), ["retired"]);
    assert!(!world.bundle.as_ref().unwrap().contains(&mine));
}

#[test]
fn what_is_shown_and_trusted_by_nobody_gives_way_at_once() {
    let mut world = World::settled();
    let mut other = World::new();
    other.looks();
    world.shown = other.shown;
    world.see();
    assert!(world.view().may_show());
}

#[test]
fn replicas_with_other_names_agree_on_all_of_them() {
    let mut world = World::settled();
    world.names = vec!["renamed.svc".to_owned(), "0:0:0:0:0:0:0:2".to_owned()];
    assert_eq!(world.looks(), ["renewed"]);
    assert!(world.view().pair_names_are(&[
        "127.0.0.1",
        "::1",
        "::2",
        "localhost",
        "renamed.svc",
        "vouchsafe.svc"
    ]));
    world.names = vec!["vouchsafe.svc".to_owned()];
    assert_eq!(world.looks(), [""; 0]);
    world.after(600 * HOUR);
    assert_eq!(world.after(30 * SECOND), ["switched"]);
    world.names = vec!["renamed.svc".to_owned()];
    assert_eq!(world.looks(), [""; 0]);
}

// === the Secret is lost ===

#[test]
fn a_secret_that_is_lost_is_restored_with_a_successor() {
    let mut world = World::settled();
    let old = world.shown().clone();
    world.secret = None;
    assert_eq!(world.looks(), ["restored"]);
    assert_eq!((world.held().anchor(), world.shown()), (&old, &old));
    assert_eq!(world.bundle.as_ref().unwrap().len(), 2);
    assert_eq!(world.after(30 * SECOND), ["switched"]);
    assert_ne!(world.shown(), &old);
    assert_eq!(world.after(24 * HOUR), ["retired"]);
    assert!(!world.bundle.as_ref().unwrap().contains(&old));
}

#[test]
fn a_secret_that_is_lost_while_the_authority_changes_keeps_the_one_that_was_announced() {
    let mut world = World::settled();
    world.after(600 * HOUR);
    let trusted = world.held().trusted();
    world.secret = None;
    assert_eq!(world.looks(), ["restored"]);
    assert_eq!(world.held().trusted(), trusted);
    assert_eq!(world.after(30 * SECOND), ["switched"]);
    world.secret = None;
    assert_eq!(world.looks(), ["restored"]);
    assert_eq!(world.held().trusted().len(), 3);
    assert!(trusted.is_subset(&world.held().trusted()));
}

#[test]
fn who_remembers_nothing_keeps_trusted_what_the_configurations_trust() {
    let mut world = World::settled();
    let old = world.shown().clone();
    let (secret, shown) = (world.remembered.take(), world.shown.take());
    world.secret = None;
    assert_eq!(world.looks(), ["made"]);
    assert!(world.bundle.as_ref().unwrap().contains(&old));
    assert!(
        !world.view().is_published(),
        "others show what API servers know"
    );
    // The replica that shows the old one.
    let new = std::mem::replace(&mut world.shown, shown);
    world.remembered = secret;
    assert_eq!(world.looks(), [""; 0]);
    assert_eq!(world.shown(), &old);
    world.after(30 * SECOND);
    assert_eq!(world.shown(), &new.unwrap().anchor);
}

#[test]
fn no_more_authorities_are_trusted_than_the_bound_however_often_the_secret_is_lost() {
    let mut world = World::settled();
    for _ in 0..12 {
        (world.secret, world.remembered, world.shown) = (None, None, None);
        world.looks();
        world.after(30 * SECOND);
    }
    assert_eq!(world.held().trusted().len(), ANCHORS - 1);
    Contents::read(&world.held().write().unwrap()).unwrap();
}

// === clocks ===

#[rstest]
#[case::a_year_ahead(Duration::from_hours(24 * 365), true)]
#[case::a_year_behind(Duration::from_hours(24 * 365), false)]
fn a_clock_that_jumps_changes_the_authority_in_order(#[case] by: Duration, #[case] ahead: bool) {
    let mut world = World::settled();
    let old = world.shown().clone();
    world.now = if ahead {
        world.now + by
    } else {
        world.now - by
    };
    let steps = world.looks();
    assert!(!steps.contains(&"switched"), "{steps:?}");
    assert!(world.bundle.as_ref().unwrap().contains(&old));
    world.after(29 * SECOND);
    assert!(world.bundle.as_ref().unwrap().contains(world.shown()));
    world.after(SECOND);
    assert!(world.bundle.as_ref().unwrap().contains(world.shown()));
}

#[test]
fn what_a_clock_that_is_ahead_made_is_valid_for_everybody_now() {
    let mut world = World::new();
    let now = world.now;
    world.now += Duration::from_hours(800);
    world.looks();
    for leaf in [
        world.held().certificate(),
        world.held().anchor().certificate(),
    ] {
        let not_before = not_before(leaf);
        assert!(not_before <= now, "{not_before}");
    }
}

#[test]
fn a_time_of_succession_that_is_to_come_holds_nothing_up() {
    let mut world = World::settled();
    world.after(600 * HOUR);
    world.after(30 * SECOND);
    world.now -= 2 * HOUR;
    assert_eq!(world.after(29 * SECOND), [""; 0]);
    assert_eq!(world.after(SECOND), ["retired"]);
}

// === what a Secret may hold ===

/// A Secret in the middle of everything: an authority, the next one, a previous one.
fn full() -> World {
    let mut world = World::settled();
    world.after(600 * HOUR);
    world.after(30 * SECOND);
    world.secret = None;
    world.looks();
    world
}

#[test]
fn reads_what_it_writes_and_finds_no_more_to_do_with_it() {
    let mut world = full();
    let values = world.held().write().unwrap();
    let keys: Vec<&str> = values.keys().map(String::as_str).collect();
    insta::assert_snapshot!(keys.join(" "), @"ca.crt ca.key next-ca.crt next-ca.key succeeded-at tls.crt tls.key");
    assert!(keys.iter().all(|key| Contents::is_ours(key)));
    let read = Contents::read(&values).unwrap();
    assert_eq!(format!("{read:?}"), format!("{:?}", world.held()));
    assert_eq!(read.write().unwrap(), values);
    world.secret = Some(read);
    assert_eq!(world.looks(), [""; 0]);
    assert_eq!(world.after(30 * SECOND), ["switched"]);
}

#[test]
fn shows_no_key_to_whoever_debugs() {
    let text = format!("{:?}", full().held());
    assert!(
        !text.contains("PRIVATE KEY") && text.contains("localhost"),
        "{text}"
    );
}

#[test]
fn reads_what_has_expired() {
    let mut world = World::settled();
    let values = world.held().write().unwrap();
    world.pass(1_000 * HOUR);
    let read = Contents::read(&values).unwrap();
    assert!(read.pair(world.now).is_err());
}

/// What was changed, how, and what is said of it.
#[rstest]
#[case("ca.crt", Change::Gone, "it has no ca.crt")]
#[case("ca.crt", Change::Empty, "its ca.crt is no certificate in PEM")]
#[case("ca.crt", Change::Half, "its ca.crt is no certificate in PEM")]
#[case("ca.crt", Change::Many, "its ca.crt has more than 8 certificates")]
#[case("ca.crt", Change::Huge, "its ca.crt is larger than 65536 bytes")]
#[case(
    "ca.crt",
    Change::Other,
    "its ca.key cannot be used: the key does not belong to the certificate of the authority"
)]
#[case("ca.key", Change::Gone, "it has no ca.key")]
#[case(
    "ca.key",
    Change::Other,
    "its ca.key cannot be used: the key does not belong to the certificate of the authority"
)]
#[case("ca.key", Change::Binary, "its ca.key is no private key in PEM")]
#[case("next-ca.key", Change::Gone, "it has no next-ca.key")]
#[case(
    "next-ca.key",
    Change::Other,
    "its next-ca.key cannot be used: the key does not belong to the certificate of the authority"
)]
#[case(
    "next-ca.crt",
    Change::Other,
    "its next-ca.key cannot be used: the key does not belong to the certificate of the authority"
)]
#[case("succeeded-at", Change::Gone, "it has no succeeded-at")]
#[case(
    "succeeded-at",
    Change::Half,
    "its succeeded-at is no time of RFC 3339"
)]
#[case("tls.crt", Change::Gone, "it has no tls.crt")]
#[case("tls.crt", Change::Half, "its tls.crt is no certificate in PEM")]
#[case("tls.key", Change::Gone, "it has no tls.key")]
fn refuses_what_is_half_written_or_belongs_to_something_else(
    #[case] key: &str,
    #[case] change: Change,
    #[case] said: &str,
) {
    let (world, other) = (full(), full());
    let mut values = world.held().write().unwrap();
    let value = values.remove(key).unwrap();
    let half = value.get(..value.len() / 2).unwrap().to_vec();
    let changed = match change {
        Change::Gone => None,
        Change::Empty => Some(Vec::new()),
        Change::Half => Some(half),
        Change::Many => Some(value.repeat(4)),
        Change::Huge => Some(value.repeat(100)),
        Change::Binary => Some(vec![0xff, 0xfe]),
        Change::Other => Some(other.held().write().unwrap().remove(key).unwrap()),
    };
    values.extend(changed.map(|changed| (key.to_owned(), changed)));
    let error = Contents::read(&values).unwrap_err();
    assert_eq!(chain(&error), said);
}

/// Kinds of damage.
#[derive(Clone, Copy, Debug)]
enum Change {
    Gone,
    Empty,
    Half,
    Many,
    Huge,
    Binary,
    Other,
}

#[rstest]
#[case("ca.key", "its ca.key cannot be used")]
#[case("tls.key", "its tls.key cannot be used")]
fn refuses_half_a_key(#[case] key: &str, #[case] said: &str) {
    let mut values = full().held().write().unwrap();
    let value = values.get_mut(key).unwrap();
    value.truncate(value.len() / 2);
    let error = Contents::read(&values).unwrap_err();
    assert_eq!(error.to_string(), said);
}

#[test]
fn refuses_a_pair_of_another_authority_or_of_another_key() {
    let (world, other) = (full(), full());
    let (values, others) = (world.held().write().unwrap(), other.held().write().unwrap());
    let with = |keys: &[&str]| {
        let mut values = values.clone();
        for key in keys {
            values.insert((*key).to_owned(), others.get(*key).unwrap().clone());
        }
        chain(&Contents::read(&values).unwrap_err())
    };
    let foreign = with(&["tls.crt", "tls.key"]);
    assert!(
        foreign.starts_with(
            "its tls.crt cannot be used: the certificate is not one that its authority issued"
        ),
        "{foreign}"
    );
    let mixed = with(&["tls.key"]);
    assert!(mixed.starts_with("its tls.key cannot be used: the key does not belong to the certificate, or cannot be used"), "{mixed}");
}

#[test]
fn refuses_a_next_authority_that_nobody_was_told_to_trust() {
    let (world, other) = (full(), full());
    let mut values = world.held().write().unwrap();
    for key in ["next-ca.crt", "next-ca.key"] {
        let others = other.held().write().unwrap();
        values.insert(key.to_owned(), others.get(key).unwrap().clone());
    }
    let error = Contents::read(&values).unwrap_err();
    assert_eq!(error.to_string(), "its next-ca.crt is not in its ca.crt");
}

#[test]
fn an_empty_secret_says_what_is_missing() {
    let error = Contents::read(&BTreeMap::new()).unwrap_err();
    assert_eq!(error.to_string(), "it has no ca.crt");
}

// === helpers ===

/// So much before a time is over.
fn before(time: Duration, by: Duration) -> Duration {
    time.checked_sub(by).unwrap()
}

impl View<'_> {
    fn pair_names_are(&self, names: &[&str]) -> bool {
        self.held
            .is_some_and(|held| held.names.iter().eq(names.iter()))
    }
}

fn anchor() -> Anchor {
    let window = Window::around(Timestamp::now(), HOUR, HOUR);
    Authority::new(window).unwrap().anchor().clone()
}

fn not_before(certificate: &[u8]) -> Timestamp {
    use x509_cert::der::Decode as _;
    let parsed = x509_cert::Certificate::from_der(certificate).unwrap();
    let since = parsed
        .tbs_certificate
        .validity
        .not_before
        .to_unix_duration();
    Timestamp::from_second(since.as_secs().try_into().unwrap()).unwrap()
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let texts = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
    texts.collect::<Vec<_>>().join(": ")
}
