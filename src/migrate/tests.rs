//! Each finding, on the smallest object that has it.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn target() -> Target {
    Target {
        namespace: "cosign-system".to_owned(),
        release: "vouchsafe".to_owned(),
    }
}

/// Severity and code of each finding.
fn codes(objects: &[Value]) -> Vec<(Severity, &'static str)> {
    let (findings, _) = check(objects, &target());
    findings
        .iter()
        .map(|finding| (finding.severity, finding.code))
        .collect()
}

fn policy(spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "ClusterImagePolicy",
        "metadata": {"name": "p", "uid": "1", "managedFields": []}, "status": {"conditions": []},
    });
    object["spec"] = spec;
    object
}

/// A policy for images whose globs matched all along, with this authority.
fn with(authority: Value) -> Value {
    let mut spec = json!({"images": [{"glob": "ghcr.io/shop/**"}]});
    spec["authorities"] = Value::Array(vec![authority]);
    policy(spec)
}

/// One with a program over the whole of it.
fn with_program(program: Value) -> Value {
    let mut policy = with(json!({"static": {"action": "pass"}}));
    policy["spec"]["policy"] = program;
    policy
}

fn with_glob(glob: &str) -> Value {
    policy(json!({"images": [{"glob": glob}], "authorities": [{"static": {"action": "fail"}}]}))
}

fn identity() -> Value {
    json!([{"issuer": "https://issuer.example", "subject": "ci@example.com"}])
}

const BLOCKS: Severity = Severity::Blocks;
const CHANGES: Severity = Severity::Changes;
const NOTE: Severity = Severity::Note;

#[test]
fn a_policy_that_means_the_same_is_not_spoken_of() {
    let url = json!({"url": "https://fulcio.sigstore.dev", "identities": identity()});
    assert_eq!(codes(&[with(json!({"keyless": url}))]), []);
    assert_eq!(codes(&[with(json!({"static": {"action": "pass"}}))]), []);
}

#[rstest]
#[case::tag("ghcr.io/shop/cart:v1", &[(CHANGES, "glob")])]
#[case::any_tag("ghcr.io/shop/cart:*", &[(CHANGES, "glob")])]
#[case::bare("ghcr.io/shop/cart", &[(CHANGES, "glob")])]
#[case::short("nginx*", &[(CHANGES, "glob")])]
#[case::digest("ghcr.io/shop/cart@*", &[])]
#[case::localhost("localhost/cart*", &[(CHANGES, "localhost")])]
#[case::private("10.1.2.3:5000/shop/**", &[(CHANGES, "plain-http")])]
#[case::private_end("172.31.0.1/shop/**", &[(CHANGES, "plain-http")])]
#[case::public("172.32.0.1/shop/**", &[])]
#[case::local("registry.local:5000/shop/**", &[(CHANGES, "plain-http")])]
#[case::local_tag("registry.local/shop:v1", &[(CHANGES, "glob"), (CHANGES, "plain-http")])]
#[case::everything("**", &[])]
fn globs_that_select_otherwise_are_found(
    #[case] glob: &str,
    #[case] expected: &[(Severity, &'static str)],
) {
    assert_eq!(codes(&[with_glob(glob)]), expected);
}

#[rstest]
#[case::log_off(json!({"keyless": {"url": "https://fulcio.example", "identities": identity()}, "ctlog": {}}), &[(CHANGES, "transparency")])]
#[case::root(json!({"keyless": {"url": "https://fulcio.example", "identities": identity(), "trustRootRef": "r"}}), &[(CHANGES, "transparency")])]
#[case::root_and_log(json!({"keyless": {"url": "https://fulcio.example", "identities": identity(), "trustRootRef": "r"}, "ctlog": {"trustRootRef": "r"}}), &[])]
#[case::stamped(json!({"keyless": {"url": "https://fulcio.example", "identities": identity(), "trustRootRef": "r"}, "rfc3161timestamp": {"trustRootRef": "r"}}), &[])]
#[case::log(json!({"keyless": {"url": "https://fulcio.example", "identities": identity()}, "ctlog": {"url": "https://rekor.example"}}), &[(NOTE, "no-online-search")])]
#[case::key_with_empty_log(json!({"key": {"kms": "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k"}, "ctlog": {}}), &[(NOTE, "kms")])]
#[case::secret(json!({"key": {"secretRef": {"name": "key"}}}), &[(NOTE, "secret")])]
#[case::pattern(json!({"keyless": {"url": "https://fulcio.example", "identities": [{"issuer": "i", "subjectRegExp": "ci@"}]}}), &[(NOTE, "unanchored")])]
#[case::pull_secrets(json!({"static": {"action": "pass"}, "source": []}), &[])]
fn authorities_that_ask_otherwise_are_found(
    #[case] authority: Value,
    #[case] expected: &[(Severity, &'static str)],
) {
    assert_eq!(codes(&[with(authority)]), expected);
}

#[test]
fn keys_in_secrets_and_plain_registries_are_found_in_sources() {
    let key = json!({"secretRef": {"name": "key"}});
    let source = json!([{"oci": "registry.local/sigs", "signaturePullSecrets": [{"name": "s"}]}]);
    assert_eq!(
        codes(&[with(json!({"key": key, "source": source}))]),
        [(CHANGES, "plain-http"), (NOTE, "secret")]
    );
}

#[rstest]
#[case::cue(json!({"type": "cue", "data": "a: 1"}), &[(BLOCKS, "cue")])]
#[case::rego(json!({"type": "rego", "data": "package sigstore\nisCompliant { true }"}), &[])]
#[case::broken(json!({"type": "rego", "data": "package sigstore\nisCompliant {"}), &[(BLOCKS, "refused")])]
#[case::remote(json!({"type": "rego", "remote": {"url": "https://p.example/r", "sha256sum": "00"}}), &[(NOTE, "remote")])]
#[case::map(json!({"type": "rego", "configMapRef": {"name": "m", "key": "k"}}), &[(NOTE, "config-map")])]
#[case::input(json!({"type": "rego", "data": "package sigstore\nisCompliant { true }", "includeSpec": true}), &[(NOTE, "input")])]
fn programs_that_cannot_be_judged_are_found(
    #[case] program: Value,
    #[case] expected: &[(Severity, &'static str)],
) {
    assert_eq!(codes(&[with_program(program)]), expected);
}

#[test]
fn a_policy_that_only_warns_blocks_nothing() {
    let mut warns = with_program(json!({"type": "cue", "data": "a: 1"}));
    warns["spec"]["mode"] = json!("warn");
    assert_eq!(codes(&[warns]), [(CHANGES, "cue"), (NOTE, "warn")]);
}

#[test]
fn an_authority_of_certificates_vouches_wherever_they_are_kept() {
    let keyless = |ca: Value| with(json!({"keyless": {"identities": identity(), "ca-cert": ca}}));
    let elsewhere = codes(&[keyless(json!({"secretRef": {"name": "ca"}}))]);
    assert_eq!(elsewhere, [(CHANGES, "ca-cert")]);
}

#[test]
fn a_program_in_a_config_map_that_is_there_is_read() {
    let program = json!({"type": "rego", "configMapRef": {"name": "m", "key": "k"}});
    let written = with_program(program);
    let map = |text: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "m", "namespace": "cosign-system"}, "data": {"k": text},
        })
    };
    let good = map("package sigstore\nisCompliant { true }");
    assert_eq!(codes(&[written.clone(), good]), []);
    let bad = map("package sigstore\nisCompliant {");
    assert_eq!(
        codes(&[written, bad])
            .first()
            .map(|(severity, _)| *severity),
        Some(BLOCKS)
    );
}

#[test]
fn an_empty_list_of_authorities_means_what_the_settings_say() {
    let empty = policy(json!({"images": [{"glob": "ghcr.io/shop/**"}], "authorities": []}));
    let settings = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config-policy-controller"},
        "data": {"fail-on-empty-authorities": "false"},
    });
    assert!(codes(std::slice::from_ref(&empty)).contains(&(NOTE, "empty-authorities")));
    assert!(codes(&[empty, settings]).contains(&(BLOCKS, "empty-authorities")));
}

#[test]
fn what_conversion_lost_is_found_where_it_is_written() {
    let mut written = with(json!({
        "keyless": {"url": "https://fulcio.example", "identities": identity(), "trustRootRef": "r"},
        "ctlog": {"trustRootRef": "r"},
    }));
    assert_eq!(codes(std::slice::from_ref(&written)), []);
    written["apiVersion"] = json!("policy.sigstore.dev/v1beta1");
    assert_eq!(codes(&[written]), [(CHANGES, "lost-in-conversion")]);
}

#[test]
fn a_policy_with_an_unknown_field_blocks() {
    let odd = policy(json!({"imagez": []}));
    assert_eq!(codes(&[odd]), [(BLOCKS, "unreadable")]);
}

#[test]
fn finalizers_and_deletion_are_found() {
    let mut held = with(json!({"static": {"action": "pass"}}));
    held["metadata"]["finalizers"] = json!(["clusterimagepolicies.policy.sigstore.dev"]);
    assert_eq!(codes(std::slice::from_ref(&held)), [(NOTE, "finalizer")]);
    held["metadata"]["deletionTimestamp"] = json!("2026-08-01T00:00:00Z");
    assert_eq!(
        codes(&[held]),
        [(CHANGES, "being-deleted"), (NOTE, "finalizer")]
    );
}

fn definition(annotations: Value) -> Value {
    let mut object = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "clusterimagepolicies.policy.sigstore.dev"},
        "spec": {"conversion": {"strategy": "None"}},
    });
    object["metadata"]["annotations"] = annotations;
    object
}

#[test]
fn a_definition_that_an_uninstall_would_delete_blocks_until_the_release_lets_go_of_it() {
    let owned = json!({
        "meta.helm.sh/release-name": "policy-controller", "meta.helm.sh/release-namespace": "cosign-system",
    });
    let (findings, _) = check(&[definition(owned.clone())], &target());
    let [finding] = findings.try_into().unwrap();
    assert_eq!(
        (finding.severity, finding.code),
        (BLOCKS, "definition-owner")
    );
    assert_eq!(
        finding.action,
        [
            "kubectl annotate crd clusterimagepolicies.policy.sigstore.dev helm.sh/resource-policy=keep --overwrite",
            "helm upgrade policy-controller sigstore/policy-controller --version VERSION --namespace cosign-system --reuse-values --set installCRDs=false",
            "kubectl annotate crd clusterimagepolicies.policy.sigstore.dev meta.helm.sh/release-name=vouchsafe meta.helm.sh/release-namespace=cosign-system --overwrite && kubectl label crd clusterimagepolicies.policy.sigstore.dev app.kubernetes.io/managed-by=Helm --overwrite",
        ]
    );
    let mut kept = owned;
    kept["helm.sh/resource-policy"] = json!("keep");
    assert_eq!(
        codes(&[definition(kept.clone())]),
        [(CHANGES, "definition-owner")]
    );
    kept["meta.helm.sh/release-name"] = json!("vouchsafe");
    assert_eq!(codes(&[definition(kept)]), []);
    assert_eq!(
        codes(&[definition(json!({}))]),
        [(CHANGES, "definition-owner")]
    );
}

#[test]
fn conversion_by_a_service_that_goes_is_found() {
    let mut converted = definition(json!({"meta.helm.sh/release-name": "vouchsafe"}));
    converted["spec"]["conversion"]["strategy"] = json!("Webhook");
    assert_eq!(codes(&[converted]), [(CHANGES, "conversion")]);
}

fn configuration(kind: &str, name: &str, release: &str, webhook: Value) -> Value {
    let mut object = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
        "metadata": {"name": name, "annotations": {"meta.helm.sh/release-name": release}},
    });
    object["webhooks"] = Value::Array(vec![webhook]);
    object
}

#[test]
fn the_scope_of_the_webhook_is_compared_with_the_charts() {
    let usual = json!({
        "name": "policy.sigstore.dev", "failurePolicy": "Fail", "objectSelector": {},
        "namespaceSelector": {"matchExpressions": [
            {"key": "webhooks.knative.dev/exclude", "operator": "DoesNotExist"},
            {"key": "policy.sigstore.dev/include", "operator": "In", "values": ["true"]},
        ]},
    });
    let validating = |webhook: &Value| {
        let kind = "ValidatingWebhookConfiguration";
        codes(&[configuration(
            kind,
            "policy.sigstore.dev",
            "pc",
            webhook.clone(),
        )])
    };
    assert_eq!(validating(&usual), []);
    let mut other = usual.clone();
    other["namespaceSelector"]["matchExpressions"][1]["operator"] = json!("NotIn");
    assert_eq!(validating(&other), [(CHANGES, "selector")]);
    let mut lenient = usual.clone();
    lenient["failurePolicy"] = json!("Ignore");
    assert_eq!(validating(&lenient), [(CHANGES, "failure-policy")]);
    let mut some = usual;
    some["objectSelector"] = json!({"matchLabels": {"a": "b"}});
    assert_eq!(validating(&some), [(CHANGES, "selector")]);
}

#[test]
fn a_name_that_is_taken_blocks() {
    let kind = "MutatingWebhookConfiguration";
    for name in ["vouchsafe", "vouchsafe-policies"] {
        let taken = configuration(kind, name, "somebody", json!({}));
        assert_eq!(codes(&[taken]), [(BLOCKS, "name-taken")]);
        assert_eq!(
            codes(&[configuration(kind, name, "vouchsafe", json!({}))]),
            []
        );
    }
    assert_eq!(codes(&[configuration(kind, "other", "", json!({}))]), []);
}

#[test]
fn settings_that_mean_something_else_are_found() {
    let settings = |release: &str, data: Value| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": data,
            "metadata": {"name": "config-policy-controller", "annotations": {"meta.helm.sh/release-name": release}},
        })
    };
    assert_eq!(
        codes(&[settings("", json!({"no-match-policy": "warn"}))]),
        []
    );
    assert_eq!(
        codes(&[settings("", json!({"no-match-policy": "sometimes"}))]),
        [(CHANGES, "setting")]
    );
    assert_eq!(
        codes(&[settings("pc", json!({"enable-oci11": "true"}))]),
        [(CHANGES, "referrers"), (CHANGES, "settings-owner")]
    );
}

#[test]
fn namespaces_and_leases_are_noted_once() {
    let namespace = |name: &str, value: &str| {
        json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"policy.sigstore.dev/include": value}},
        })
    };
    let lease = |name: &str| json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}});
    let (findings, counts) = check(
        &[
            namespace("shop", "true"),
            namespace("bank", "true"),
            namespace("lab", "false"),
            lease("policy-controller.a.00-of-01"),
            lease("policy-controller.b.00-of-01"),
            lease("vouchsafe"),
        ],
        &target(),
    );
    let told: Vec<(&str, &str)> = findings
        .iter()
        .map(|finding| (finding.code, finding.name.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("leases", "policy-controller.a.00-of-01"),
            ("namespaces", "shop, bank")
        ]
    );
    assert_eq!(counts["Namespace"], 3);
}

#[test]
fn a_root_that_is_missing_or_refused_is_found() {
    let root = |name: &str, spec: Value| {
        json!({
            "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot",
            "metadata": {"name": name}, "spec": spec,
        })
    };
    let refused = root("other", json!({}));
    let wants = with(json!({
        "keyless": {"url": "https://f.example", "identities": identity(), "trustRootRef": "mine"},
        "ctlog": {"trustRootRef": "mine"},
    }));
    let found = codes(&[refused, wants.clone()]);
    assert_eq!(
        found,
        [
            (BLOCKS, "refused"),
            (NOTE, "no-trust-root"),
            (NOTE, "no-trust-root")
        ]
    );
    // Where no TrustRoot was given nothing is known about any.
    assert_eq!(codes(&[wants]), []);
}
