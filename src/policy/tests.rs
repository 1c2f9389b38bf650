//! What compiles, what does not, and that what does not is kept.

use serde_json::{Value, json};

use super::*;
use crate::api;
use crate::image::ImageReference;
use crate::verdict::Mode;

/// A P-256 key that signs nothing.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n";

fn compiled(name: &str, spec: &Value) -> CompiledPolicy {
    let document = json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": name}, "spec": spec,
    });
    compile(
        &api::decode_cluster_image_policy(document).expect("a well-formed policy"),
        &Referents::default(),
    )
}

fn problems(spec: &Value) -> Vec<String> {
    let problems = compiled("p", spec).body.err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

fn by_key(authority: Value) -> Value {
    let mut authority = authority;
    authority["key"] = json!({"data": KEY});
    json!({"images": [{"glob": "**"}], "authorities": [authority]})
}

#[test]
fn a_policy_by_key_compiles_and_names_its_authorities() {
    let policy = compiled("p", &by_key(json!({})));
    let body = policy.body.expect("it compiles");
    assert_eq!(
        body.authorities
            .iter()
            .map(|a| a.name.to_string())
            .collect::<Vec<_>>(),
        ["authority-0"]
    );
    assert_eq!(policy.mode, Mode::Enforce);
}

#[test]
fn an_authority_is_of_exactly_one_kind() {
    let all = "spec.authorities[0].key, spec.authorities[0].keyless, spec.authorities[0].static";
    let none = json!({"images": [{"glob": "**"}], "authorities": [{"name": "a"}]});
    assert_eq!(
        problems(&none),
        [format!("expected exactly one, got neither: {all}")]
    );
    assert_eq!(
        problems(&by_key(json!({"static": {"action": "pass"}}))),
        [format!("expected exactly one, got both: {all}")]
    );
}

/// Nobody knows whom to trust then, and nobody is trusted. The other authorities of the policy are asked all the same.
#[test]
fn an_authority_whose_root_is_not_there_says_which_one() {
    let identities = json!([{"issuer": "i", "subject": "s"}]);
    let keyless = |root: &str| {
        json!({"images": [{"glob": "**"}], "authorities": [
            {"keyless": {"identities": identities, "trustRootRef": root}},
        ]})
    };
    for (spec, missing) in [
        (
            by_key(json!({"ctlog": {"url": "https://rekor.sigstore.dev"}})),
            "there is no default trusted root",
        ),
        (
            by_key(json!({"ctlog": {"trustRootRef": "x"}})),
            "trustRootRef x not found",
        ),
        (
            by_key(json!({"rfc3161timestamp": {"trustRootRef": "x"}})),
            "trustRootRef x not found",
        ),
        (keyless("x"), "trustRootRef x not found"),
        (keyless(""), "there is no default trusted root"),
    ] {
        let body = compiled("p", &spec).body.expect("a policy");
        assert!(
            matches!(&body.authorities[0].kind, AuthorityKind::Rootless { detail, .. } if detail == missing),
            "{:?}",
            body.authorities
        );
    }
}

#[test]
fn an_empty_identity_list_never_means_anybody() {
    let spec = json!({"images": [{"glob": "**"}], "authorities": [{"keyless": {"url": "https://fulcio.sigstore.dev", "identities": []}}]});
    assert!(compiled("p", &spec).body.is_err());
}

#[test]
fn a_program_that_does_not_compile_breaks_its_policy() {
    let broken = json!({"type": "rego", "data": "package sigstore\nisCompliant {"});
    let attestation = json!({"name": "a", "predicateType": "custom", "policy": broken});
    assert!(!problems(&by_key(json!({"attestations": [attestation]}))).is_empty());
}

#[test]
fn a_bad_glob_makes_its_policy_match_everything_and_deny_it() {
    let set = PolicySet::new(vec![compiled(
        "p",
        &json!({"images": [{"glob": "["}], "authorities": [{"static": {"action": "pass"}}]}),
    )])
    .expect("a small set");
    let image: ImageReference = "ghcr.io/a/b:c".parse().expect("a reference");
    let matches = set.matching(&image, None);
    assert_eq!(matches.len(), 1);
    assert!(matches[0].policy.body.is_err());
}

#[test]
fn a_policy_that_selects_objects_needs_one() {
    let spec = json!({
        "images": [{"glob": "**"}], "authorities": [{"static": {"action": "fail"}}],
        "match": [{"resource": "pods", "version": "v1", "selector": {"matchLabels": {"app": "x"}}}],
    });
    let set = PolicySet::new(vec![compiled("p", &spec)]).expect("a small set");
    let image: ImageReference = "ghcr.io/a/b:c".parse().expect("a reference");
    let pod = |label: &str| ObjectFacts {
        version: "v1".to_owned(),
        resource: "pods".to_owned(),
        labels: [("app".to_owned(), label.to_owned())].into(),
        ..ObjectFacts::default()
    };
    assert!(set.matching(&image, None).is_empty());
    assert!(set.matching(&image, Some(&pod("y"))).is_empty());
    assert_eq!(set.matching(&image, Some(&pod("x"))).len(), 1);
}

#[test]
fn a_tag_match_that_could_admit_must_be_confirmed_and_one_that_demands_proof_need_not() {
    let pinned = format!("ghcr.io/a/b:v1@sha256:{}", "0".repeat(64));
    let image: ImageReference = pinned.parse().expect("a reference");
    let confirmation = |authority: Value, mode: &str| {
        let spec = json!({"images": [{"glob": "ghcr.io/a/b:v1"}], "mode": mode, "authorities": [authority]});
        let set = PolicySet::new(vec![compiled("p", &spec)]).expect("a small set");
        set.matching(&image, None)
            .iter()
            .map(|found| found.needs_tag_confirmed)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        confirmation(json!({"static": {"action": "pass"}}), "enforce"),
        [true]
    );
    assert_eq!(confirmation(json!({"key": {"data": KEY}}), "warn"), [true]);
    assert_eq!(
        confirmation(json!({"key": {"data": KEY}}), "enforce"),
        [false]
    );
}

/// A policy whose source names this Secret, against these Secrets of our namespace.
fn with_pull_secret(secrets: &[(&str, &str)]) -> Result<Policy, Vec<Problem>> {
    let held = secrets
        .iter()
        .map(|(key, json)| ((*key).to_owned(), json.as_bytes().to_vec()));
    let referents = Referents {
        secrets: [("regcred".to_owned(), held.collect())].into(),
        ..Referents::default()
    };
    let spec = by_key(
        json!({"source": [{"oci": "ghcr.io/a/b", "signaturePullSecrets": [{"name": "regcred"}]}]}),
    );
    let document = json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"}, "spec": spec,
    });
    let policy = api::decode_cluster_image_policy(document).expect("a well-formed policy");
    assert!(
        compile(&policy, &Referents::default()).body.is_err(),
        "a Secret that is not there is a problem"
    );
    compile(&policy, &referents).body
}

#[test]
fn a_source_carries_the_pull_secrets_that_it_names_in_either_form() {
    for (key, form) in [
        (".dockerconfigjson", PullSecretForm::DockerConfigJson),
        (".dockercfg", PullSecretForm::DockerCfg),
    ] {
        let policy = with_pull_secret(&[(key, "{}")]).expect("it compiles");
        let AuthorityKind::Signed(signed) = &policy.authorities[0].kind else {
            panic!("a key authority")
        };
        let [PullSecret::Held { form: found, .. }] = &signed.place.pull_secrets[..] else {
            panic!("one Secret of ours")
        };
        assert_eq!(*found, form);
    }
}

#[test]
fn in_a_cluster_a_source_names_pull_secrets_of_the_workload_which_nobody_knows_before() {
    let spec = by_key(
        json!({"source": [{"oci": "ghcr.io/a/b", "signaturePullSecrets": [{"name": "regcred"}]}]}),
    );
    let document = json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"}, "spec": spec,
    });
    let policy = api::decode_cluster_image_policy(document).expect("a well-formed policy");
    let referents = Referents {
        pull_secrets: PullSecretsIn::WorkloadNamespace,
        ..Referents::default()
    };
    let policy = compile(&policy, &referents).body.expect("it compiles");
    let AuthorityKind::Signed(signed) = &policy.authorities[0].kind else {
        panic!("a key authority")
    };
    let name = "regcred".to_owned();
    assert_eq!(signed.place.pull_secrets, [PullSecret::OfWorkload { name }]);
}

#[test]
fn a_secret_that_is_no_pull_secret_is_a_problem_and_its_content_is_not_shown() {
    for held in [("password", "hunter2"), (".dockerconfigjson", "hunter2")] {
        let problems = with_pull_secret(&[held]).expect_err("a problem");
        let text = problems[0].to_string();
        assert!(
            text.contains("spec.authorities[0].source[0].signaturePullSecrets[0].name"),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_policy_that_is_too_large_is_kept_and_nothing_of_it_is_compiled() {
    let nested = format!("package sigstore\nx = {}{}", "[".repeat(60), "]".repeat(60));
    let attestation = json!({
        "name": "a", "predicateType": "https://example.com/p", "policy": {"type": "rego", "data": nested},
    });
    let authority = json!({"key": {"data": KEY}, "attestations": vec![attestation; 65]});
    let spec = json!({"images": [{"glob": "**"}], "authorities": [authority]});
    let started = std::time::Instant::now();
    assert_eq!(
        problems(&spec),
        [
            "too large: spec.authorities[*].attestations\n65 of them; a policy may have 64: split it into several"
        ]
    );
    assert!(started.elapsed() < std::time::Duration::from_secs(1));
    assert_eq!(compiled("p", &spec).globs.len(), 1);
}

#[test]
fn a_policy_compiles_against_what_it_names_as_against_everything() {
    let text = |text: &str| Ok(std::sync::Arc::from(text));
    let entry = |key: &str, value: &str| {
        let entry = (key.to_owned(), value.to_owned());
        std::collections::BTreeMap::from([entry])
    };
    let rego = "package sigstore\nisCompliant { true }";
    let bytes = |value: &str| {
        let entry = ("key".to_owned(), value.as_bytes().to_vec());
        std::collections::BTreeMap::from([entry])
    };
    let trust = Ok(std::sync::Arc::new(crate::trust::TrustMaterial::keys_only()));
    let remote = RemotePolicy {
        url: "https://policies.example/p.rego".to_owned(),
        sha256: "0".repeat(64),
    };
    let all = Referents {
        namespace: "cosign-system".to_owned(),
        config_maps: [("rules", rego), ("unnamed", "x")]
            .map(|(name, text)| (name.to_owned(), entry("p", text)))
            .into(),
        secrets: [("key", KEY), ("pull", "{}"), ("ca", "x"), ("unnamed", "x")]
            .map(|(name, value)| (name.to_owned(), bytes(value)))
            .into(),
        pull_secrets: PullSecretsIn::OwnNamespace,
        remote_policies: [(remote, text(rego))].into(),
        kms_keys: [("awskms:///k", KEY), ("gcpkms://unnamed", KEY)]
            .map(|(name, pem)| (name.to_owned(), text(pem)))
            .into(),
        trust_roots: ["root", "log", "stamps", "unnamed"]
            .map(|name| (name.to_owned(), trust.clone()))
            .into(),
        default_trust: None,
    };
    let identities = json!([{"issuer": "i", "subject": "s"}]);
    let spec = json!({
        "images": [{"glob": "**"}],
        "authorities": [
            {"key": {"secretRef": {"name": "key"}}, "source": [{"oci": "r.example/x", "signaturePullSecrets": [{"name": "pull"}]}]},
            {"key": {"kms": "awskms:///k"}, "ctlog": {"trustRootRef": "log"},
             "attestations": [{"name": "a", "predicateType": "custom", "policy": {"type": "rego", "configMapRef": {"name": "rules", "key": "p"}}}]},
            {"keyless": {"identities": identities, "trustRootRef": "root", "ca-cert": {"secretRef": {"name": "ca"}}}, "rfc3161timestamp": {"trustRootRef": "stamps"}},
        ],
        "policy": {"type": "rego", "remote": {"url": "https://policies.example/p.rego", "sha256sum": "0".repeat(64)}},
    });
    let document = json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"}, "spec": spec,
    });
    let policy = api::decode_cluster_image_policy(document).expect("a well-formed policy");
    let named = all.named_by(&policy);
    let told = |referents: &Referents| format!("{:?}", compile(&policy, referents));
    assert_eq!(told(&named), told(&all));
    // And nothing that it does not name.
    for (found, everything) in [
        (named.config_maps.len(), all.config_maps.len()),
        (named.secrets.len(), all.secrets.len()),
        (named.kms_keys.len(), all.kms_keys.len()),
        (named.trust_roots.len(), all.trust_roots.len()),
    ] {
        assert_eq!(found, everything - 1);
    }
    assert_eq!(named.remote_policies, all.remote_policies);
}

#[test]
fn a_policy_that_cannot_be_read_is_about_the_images_that_it_names_or_about_all() {
    let read = |spec: Value| {
        let object = json!({
            "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"}, "spec": spec,
        });
        let error =
            api::decode_cluster_image_policy(object.clone()).expect_err("it cannot be read");
        let metadata = serde_json::from_value(object["metadata"].clone()).expect("metadata");
        unreadable(&api::UnreadablePolicy::new(
            metadata,
            None,
            &object["spec"],
            error,
        ))
    };
    let globs = |policy: &CompiledPolicy| -> Vec<String> {
        policy.globs.iter().map(ToString::to_string).collect()
    };
    let named = read(json!({"images": [{"glob": "shop/**"}], "mode": "warn", "novel": {"x": 1}}));
    assert_eq!(globs(&named), ["shop/**"]);
    assert_eq!(named.mode, Mode::Warn);
    let problems = named.body.expect_err("it is broken");
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["cannot be read: spec.novel\njson: unknown field \"novel\" at spec.novel"]
    );
    let partly = read(json!({"images": [{"glob": "shop/**"}, {"pattern": "tools"}]}));
    assert_eq!(globs(&partly), ["shop/**", "**"]);
    let wholly = read(json!({"images": "shop/**", "mode": ["warn"]}));
    assert_eq!(globs(&wholly), ["**"]);
    assert_eq!(wholly.mode, Mode::Enforce);
}
