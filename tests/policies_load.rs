//! Policies that other people wrote: those that policy-controller accepts must load, and what it
//! recorded about them must be readable.

mod support;

use std::fs;

use serde_json::Value;
use vouchsafe::adapters::files::load;

#[test]
fn every_policy_that_policy_controller_accepts_loads() {
    let Some(vectors) = support::vectors::vectors() else {
        return;
    };
    let index = fs::read(vectors.join("INDEX.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let cases = index["cases"].as_array().unwrap().iter();
    let accepted: Vec<_> = cases
        .filter(|case| case["kind"] == "cip" && case["expected"] == "pass")
        .map(|case| vectors.join(case["files"]["manifest"].as_str().unwrap()))
        .collect();
    assert!(accepted.len() >= 14, "only {} manifests", accepted.len());
    for manifest in accepted {
        let documents = load(&[manifest]).unwrap_or_else(|error| panic!("{error}"));
        assert!(!documents.policies.is_empty());
    }
}

#[test]
fn every_recorded_policy_and_trust_root_loads() {
    let Some(vectors) = support::vectors::vectors() else {
        return;
    };
    let peer = vectors.join("peer");
    let mut count = 0;
    for entry in fs::read_dir(peer.join("policies")).unwrap() {
        let documents = load(&[entry.unwrap().path()]).unwrap_or_else(|error| panic!("{error}"));
        assert!(!documents.policies.is_empty());
        count += 1;
    }
    assert!(count > 0);
    let documents = load(&[peer.join("trustroot.json")]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(documents.trust_roots.len(), 1);
}
