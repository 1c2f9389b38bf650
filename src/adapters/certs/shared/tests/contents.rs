//! What a Secret may hold.

use std::collections::BTreeMap;

use rstest::rstest;

use super::super::*;
use super::world::World;
use super::{HOUR, SECOND};

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

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let texts = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
    texts.collect::<Vec<_>>().join(": ")
}
