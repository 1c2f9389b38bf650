//! Keys from elsewhere: what counts, and what is said where nothing does.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::api;
use crate::policy::{Referents, compile};

/// A P-256 key that signs nothing.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n";
const PRIVATE: &str = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nc2VjcmV0\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
const AT: &str = "cannot be resolved: spec.authorities[0].key";
const UNUSABLE: &str = "what it refers to cannot be used: spec.authorities[0].key";

fn problems(key: &Value, referents: &Referents) -> Vec<String> {
    let document = json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"},
        "spec": {"images": [{"glob": "**"}], "authorities": [{"key": key}]},
    });
    let policy = api::decode_cluster_image_policy(document).expect("a well-formed policy");
    let problems = compile(&policy, referents).body.err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

fn with_secret(entries: &[(&str, &str)]) -> Referents {
    let data: BTreeMap<String, Vec<u8>> = entries
        .iter()
        .map(|(key, text)| ((*key).to_owned(), text.as_bytes().to_vec()))
        .collect();
    Referents {
        namespace: "cosign-system".to_owned(),
        secrets: [("s".to_owned(), data)].into(),
        ..Referents::default()
    }
}

fn in_secret(entries: &[(&str, &str)]) -> Vec<String> {
    problems(&json!({"secretRef": {"name": "s"}}), &with_secret(entries))
}

#[test]
fn a_secret_with_one_entry_is_a_key_whatever_it_is_called() {
    assert_eq!(in_secret(&[("any", KEY)]), [""; 0]);
}

/// What `cosign generate-key-pair k8s://` writes.
#[test]
fn of_the_three_entries_that_cosign_writes_the_public_key_counts() {
    let three = [
        ("cosign.key", PRIVATE),
        ("cosign.password", "x"),
        ("cosign.pub", KEY),
    ];
    assert_eq!(in_secret(&three), [""; 0]);
}

#[test]
fn a_secret_that_holds_no_usable_key_is_told_in_words_and_never_repeated() {
    for (entries, why) in [
        (vec![], "secret \"s\" contains no data".to_owned()),
        (
            vec![("a", KEY), ("b", KEY)],
            "secret \"s\" contains multiple data entries, and none of them is cosign.pub: only one is supported".to_owned(),
        ),
        (
            vec![("a", PRIVATE)],
            "secret \"s\" contains an invalid public key: a PEM block \"ENCRYPTED SIGSTORE PRIVATE KEY\" is a private key: give its public key, and consider the private one to be known to others".to_owned(),
        ),
    ] {
        let found = in_secret(&entries);
        assert_eq!(found, [format!("{UNUSABLE}.secretref\n{why}")]);
        assert!(!found[0].contains("c2VjcmV0"));
    }
}

#[test]
fn a_secret_is_looked_for_by_name_in_the_own_namespace_only() {
    let referents = with_secret(&[("a", KEY)]);
    let named = |secret: Value| problems(&json!({"secretRef": secret}), &referents);
    assert_eq!(
        named(json!({"name": "s", "namespace": "cosign-system"})),
        [""; 0]
    );
    assert_eq!(
        named(json!({"name": "t"})),
        [format!(
            "{AT}.secretref\nsecret \"t\" is not in the namespace \"cosign-system\""
        )]
    );
    assert_eq!(
        named(json!({"name": "s", "namespace": "tenant"})),
        [format!(
            "{AT}.secretref.namespace\nSecrets of keys are read in the namespace \"cosign-system\" only"
        )]
    );
}

#[test]
fn the_key_of_a_key_management_service_is_what_was_fetched_for_exactly_that_reference() {
    let uri = "hashivault://release";
    let answered = |answer: Result<Arc<str>, String>| {
        let kms_keys = [(uri.to_owned(), answer)].into();
        let referents = Referents {
            kms_keys,
            ..Referents::default()
        };
        problems(&json!({"kms": uri}), &referents)
    };
    assert_eq!(answered(Ok(Arc::from(KEY))), [""; 0]);
    assert_eq!(
        answered(Err("it is sealed".to_owned())),
        [format!("{UNUSABLE}.kms\nit is sealed")]
    );
    assert_eq!(
        problems(&json!({"kms": uri}), &Referents::default()),
        [format!(
            "{AT}.kms\n{uri:?} was not asked for its public key yet"
        )]
    );
    let unusable = answered(Ok(Arc::from("no key")));
    assert!(
        unusable[0].contains("contains an invalid public key"),
        "{unusable:?}"
    );
}

#[test]
fn the_hash_that_a_policy_names_holds_for_keys_from_elsewhere_too() {
    let key = json!({"secretRef": {"name": "s"}, "hashAlgorithm": "sha512"});
    assert_eq!(problems(&key, &with_secret(&[("a", KEY)])), [""; 0]);
    let wrong = json!({"secretRef": {"name": "s"}, "hashAlgorithm": "md5"});
    assert!(!problems(&wrong, &with_secret(&[("a", KEY)])).is_empty());
}
