//! The table of witnesses, row by row.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::{Value, json};
use sigstore_trust_root::{SIGSTORE_GITHUB_TRUSTED_ROOT, SIGSTORE_PRODUCTION_TRUSTED_ROOT};

use super::*;
use crate::policy::{AuthorityKind, compile};

const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEyQVtbQn8wh7CWyHsc1JpIr1W0qMr\n8TB+dNrD4qhC9KWq1ZO73OPaBWG0xgJJ+5Tzk4c/rYQt8O8BiDL7NJ/WgQ==\n-----END PUBLIC KEY-----\n";

fn root(json: &str, change: impl FnOnce(&mut Value)) -> Arc<TrustMaterial> {
    let mut root: Value = serde_json::from_str(json).unwrap();
    change(&mut root);
    Arc::new(TrustMaterial::from_trusted_root_json(root.to_string().as_bytes()).unwrap())
}

/// `whole` has everything, `stamps` no log, `bare` neither log nor timestamp authority, `broken` cannot be used.
fn referents() -> Referents {
    let public = SIGSTORE_PRODUCTION_TRUSTED_ROOT;
    let whole = root(SIGSTORE_GITHUB_TRUSTED_ROOT, |github| {
        let public: Value = serde_json::from_str(public).unwrap();
        github["tlogs"] = public["tlogs"].clone();
    });
    let bare = root(public, |root| {
        root["tlogs"] = json!([]);
        root["timestampAuthorities"] = json!([]);
    });
    Referents {
        trust_roots: BTreeMap::from([
            ("whole".to_owned(), Ok(whole)),
            (
                "stamps".to_owned(),
                Ok(root(SIGSTORE_GITHUB_TRUSTED_ROOT, |_| {})),
            ),
            ("bare".to_owned(), Ok(bare)),
            ("broken".to_owned(), Err("no certificate in PEM".to_owned())),
        ]),
        default_trust: Some(root(public, |_| {})),
        ..Referents::default()
    }
}

/// What an authority asks, or which root is missing.
fn asked(authority: &Value) -> Result<Requirement, String> {
    let policy = crate::api::decode_cluster_image_policy(json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"},
        "spec": {"images": [{"glob": "**"}], "authorities": [authority]},
    }));
    let compiled = compile(&policy.unwrap(), &referents());
    match compiled.body.unwrap().authorities.remove(0).kind {
        AuthorityKind::Signed(signed) => Ok(signed.requirement),
        AuthorityKind::Rootless { detail, .. } => Err(detail),
        AuthorityKind::Static(_) => panic!("it signs"),
    }
}

fn keyless(root: &str, beside: &Value) -> Result<KeylessRequirement, String> {
    let mut authority = json!({"keyless": {
        "identities": [{"issuer": "i", "subject": "s"}], "trustRootRef": root,
    }});
    for (field, value) in beside.as_object().unwrap() {
        authority[field] = value.clone();
    }
    match asked(&authority)? {
        Requirement::Keyless(keyless) => Ok(keyless),
        Requirement::Key(_) => panic!("it names identities"),
    }
}

#[rstest]
#[case::nothing_said("", json!({}), KeylessWitness::Log)]
#[case::empty("", json!({"ctlog": {}}), KeylessWitness::Log)]
#[case::url("", json!({"ctlog": {"url": "https://rekor.example.com"}}), KeylessWitness::Log)]
#[case::url_beside_a_root_without_logs("bare", json!({"ctlog": {"url": "https://rekor.example.com"}}), KeylessWitness::Log)]
#[case::another_root("bare", json!({"ctlog": {"trustRootRef": "whole"}}), KeylessWitness::Log)]
#[case::root_with_logs("whole", json!({}), KeylessWitness::Log)]
#[case::root_with_logs_and_empty("whole", json!({"ctlog": {}}), KeylessWitness::Log)]
#[case::root_with_timestamps_alone("stamps", json!({}), KeylessWitness::Timestamps)]
#[case::root_with_neither("bare", json!({}), KeylessWitness::WaivedByPolicy)]
#[case::timestamps_asked("whole", json!({"rfc3161timestamp": {"trustRootRef": "stamps"}}), KeylessWitness::Timestamps)]
#[case::timestamps_switch_the_log_off("whole", json!({"rfc3161timestamp": {"trustRootRef": "stamps"}, "ctlog": {"url": "https://r"}}), KeylessWitness::Timestamps)]
#[case::timestamps_of_the_default_root("", json!({"rfc3161timestamp": {}}), KeylessWitness::Timestamps)]
fn who_vouches_for_the_time_of_an_identity(
    #[case] root: &str,
    #[case] beside: Value,
    #[case] expected: KeylessWitness,
) {
    assert_eq!(keyless(root, &beside).unwrap().witness, expected);
}

#[test]
fn a_url_names_the_logs_of_the_default_root_and_an_own_reference_its_own() {
    let by_url = keyless("stamps", &json!({"ctlog": {"url": "https://r"}})).unwrap();
    assert!(by_url.trust.has_logs());
    let own = keyless(
        "stamps",
        &json!({"ctlog": {"url": "https://r", "trustRootRef": "whole"}}),
    );
    assert!(own.unwrap().trust.has_logs());
}

#[rstest]
#[case::not_there("missing", json!({}), "trustRootRef missing not found")]
#[case::broken("broken", json!({}), "trustRootRef broken cannot be used: no certificate in PEM")]
#[case::log_not_there("", json!({"ctlog": {"trustRootRef": "missing"}}), "trustRootRef missing not found")]
#[case::no_log_in_it("", json!({"ctlog": {"trustRootRef": "bare"}}), "trustRootRef bare has no transparency log")]
#[case::no_timestamps_in_it("", json!({"rfc3161timestamp": {"trustRootRef": "bare"}}), "trustRootRef bare has no timestamp authority")]
fn a_root_that_cannot_answer_is_named(
    #[case] root: &str,
    #[case] beside: Value,
    #[case] expected: &str,
) {
    assert_eq!(keyless(root, &beside).unwrap_err(), expected);
}

#[test]
fn a_key_is_asked_for_a_witness_only_where_the_policy_names_one() {
    let default = referents().default_trust.unwrap();
    let named = |name: &str| referents().trust_roots[name].clone().unwrap();
    for (beside, expected) in [
        (json!({}), KeyWitness::WaivedByPolicy),
        (json!({"ctlog": {}}), KeyWitness::WaivedByPolicy),
        (
            json!({"ctlog": {"url": "https://r"}}),
            KeyWitness::Log(default),
        ),
        (
            json!({"ctlog": {"trustRootRef": "whole"}}),
            KeyWitness::Log(named("whole")),
        ),
        (
            json!({"rfc3161timestamp": {"trustRootRef": "stamps"}, "ctlog": {"url": "https://r"}}),
            KeyWitness::TimestampsIfPresent(named("stamps")),
        ),
    ] {
        let mut authority = json!({"key": {"data": KEY}});
        for (field, value) in beside.as_object().unwrap() {
            authority[field] = value.clone();
        }
        match asked(&authority).unwrap() {
            Requirement::Key(key) => assert_eq!(key.witness, expected, "{beside}"),
            Requirement::Keyless(_) => panic!("it names a key"),
        }
    }
}

#[test]
fn a_certificate_must_be_logged_unless_the_policy_says_in_so_many_words_that_it_need_not() {
    for (written, expected) in [
        (json!(null), Sct::Required),
        (json!(false), Sct::Required),
        (json!(true), Sct::WaivedByPolicy),
    ] {
        let identities = json!([{"issuer": "i", "subject": "s"}]);
        let authority =
            json!({"keyless": {"identities": identities, "insecureIgnoreSCT": written}});
        match asked(&authority).unwrap() {
            Requirement::Keyless(keyless) => assert_eq!(keyless.sct, expected, "{written}"),
            Requirement::Key(_) => panic!("it names identities"),
        }
    }
}

/// Equal requirements share what is remembered, others do not: T-72.
#[test]
fn requirements_that_differ_anywhere_are_told_apart() {
    let ids = [
        json!({"keyless": {"identities": [{"issuer": "i", "subject": "s"}]}}),
        json!({"keyless": {"identities": [{"issuer": "i", "subject": "t"}]}}),
        json!({"keyless": {"identities": [{"issuer": "i", "subjectRegExp": "s"}]}}),
        json!({"keyless": {"identities": [{"issuer": "i", "subject": "s"}], "insecureIgnoreSCT": true}}),
        json!({"keyless": {"identities": [{"issuer": "i", "subject": "s"}], "trustRootRef": "whole"}}),
        json!({"keyless": {"identities": [{"issuer": "i", "subject": "s"}]}, "rfc3161timestamp": {}}),
        json!({"key": {"data": KEY}}),
        json!({"key": {"data": KEY}, "ctlog": {"url": "https://r"}}),
        json!({"key": {"data": KEY}, "ctlog": {"trustRootRef": "whole"}}),
        json!({"key": {"data": KEY}, "rfc3161timestamp": {"trustRootRef": "whole"}}),
    ]
    .map(|authority| *asked(&authority).unwrap().id().as_bytes());
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
}

#[test]
fn the_certificates_of_an_own_authority_take_the_place_of_the_roots() {
    let public: Value = serde_json::from_str(SIGSTORE_PRODUCTION_TRUSTED_ROOT).unwrap();
    let der = public["certificateAuthorities"][0]["certChain"]["certificates"][0]["rawBytes"]
        .as_str()
        .unwrap();
    let lines: Vec<&str> = der
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    );
    let authority = json!({"keyless": {
        "identities": [{"issuer": "i", "subject": "s"}], "ca-cert": {"data": pem},
    }});
    let Requirement::Keyless(keyless) = asked(&authority).unwrap() else {
        panic!("it names identities");
    };
    assert_eq!(keyless.trust.certificate_authorities().count(), 1);
    assert!(keyless.trust.has_logs());
}

/// What becomes of a policy with this `ca-cert`: how many authorities are trusted, or what is wrong.
fn own_authority(ca: &Value, referents: &Referents) -> Result<bool, Vec<String>> {
    let policy = crate::api::decode_cluster_image_policy(json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"},
        "spec": {"images": [{"glob": "**"}], "authorities": [{"keyless": {
            "identities": [{"issuer": "i", "subject": "s"}], "ca-cert": ca,
        }}]},
    }));
    let body = compile(&policy.unwrap(), referents).body;
    let body =
        body.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    match &body.authorities[0].kind {
        AuthorityKind::Signed(signed) => match &signed.requirement {
            Requirement::Keyless(keyless) => Ok(keyless.trust.has_certificate_authorities()),
            Requirement::Key(_) => panic!("it names identities"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_own_authority_may_be_kept_in_a_secret_or_a_key_management_service() {
    const AT: &str = "spec.authorities[0].keyless.ca-cert";
    let with = |entries: &[(&str, &str)]| {
        let entries = entries.iter();
        let data = entries.map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
        Referents {
            namespace: "cosign-system".to_owned(),
            secrets: [("s".to_owned(), data.collect())].into(),
            kms_keys: [("hashivault://ca".to_owned(), Ok(Arc::from(KEY)))].into(),
            ..referents()
        }
    };
    let in_secret = json!({"secretRef": {"name": "s"}});
    for entries in [
        vec![("any", KEY)],
        vec![("tls.crt", "x"), ("tls.key", "x"), ("ca.crt", KEY)],
    ] {
        assert_eq!(own_authority(&in_secret, &with(&entries)), Ok(true));
    }
    assert_eq!(
        own_authority(&json!({"kms": "hashivault://ca"}), &with(&[])),
        Ok(true)
    );
    for (ca, entries, told) in [
        (
            &in_secret,
            vec![("any", "no certificate")],
            "contains an invalid certificate authority",
        ),
        (
            &in_secret,
            vec![("tls.crt", KEY), ("tls.key", "x")],
            "none of them is ca.crt",
        ),
        (
            &json!({"secretRef": {"name": "t"}}),
            vec![],
            "secret \"t\" is not in the namespace",
        ),
        (
            &json!({"kms": "hashivault://other"}),
            vec![],
            "was not asked for its public key yet",
        ),
    ] {
        let problems = own_authority(ca, &with(&entries)).unwrap_err();
        assert!(
            problems[0].contains(AT) && problems[0].contains(told),
            "{problems:?}"
        );
    }
}
