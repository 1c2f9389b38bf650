//! The steps one by one, at both ends of each window, in a small [`world`]; what a Secret may hold ([`contents`]); and whole histories
//! ([`simulation`]).

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use rstest::rstest;
use tokio::time::Instant;

use super::*;
use crate::adapters::certs::Anchor;
use crate::adapters::certs::authority::{Authority, Window};

mod contents;
mod simulation;
mod world;

use world::World;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

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

// === helpers ===

/// So much before a time is over.
fn before(time: Duration, by: Duration) -> Duration {
    time.checked_sub(by).unwrap()
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
