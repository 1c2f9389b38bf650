use serde_json::{Value, json};

use super::*;

fn policy(spec: &Value) -> Value {
    json!({
        "apiVersion": "policy.sigstore.dev/v1alpha1",
        "kind": "ClusterImagePolicy",
        "metadata": {"name": "p", "someday": {"a": "new field"}},
        "spec": spec,
    })
}

fn every_field() -> Value {
    let predicate = json!({
        "type": "rego", "data": "package sigstore",
        "remote": {"url": "https://a", "sha256sum": "ab"},
        "configMapRef": {"name": "n", "namespace": "ns", "key": "k"},
        "fetchConfigFile": true, "includeSpec": false, "includeObjectMeta": true, "includeTypeMeta": false,
    });
    let key = json!({
        "secretRef": {"name": "s", "namespace": "cosign-system"}, "data": "pem",
        "kms": "awskms://", "hashAlgorithm": "sha512",
    });
    json!({
        "images": [{"glob": "**"}],
        "mode": "warn",
        "match": [{"group": "apps", "version": "v1", "resource": "deployments", "selector": {
            "matchLabels": {"a": "b"},
            "matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}],
        }}],
        "authorities": [{
            "name": "a",
            "key": key,
            "keyless": {
                "url": "https://fulcio", "trustRootRef": "t", "insecureIgnoreSCT": true, "ca-cert": key,
                "identities": [{"issuer": "i", "issuerRegExp": "ir", "subject": "s", "subjectRegExp": "sr"}],
            },
            "static": {"action": "fail", "message": "m"},
            "source": [{"oci": "r/s", "tagPrefix": "", "signaturePullSecrets": [{"name": "p"}]}],
            "ctlog": {"url": "https://rekor", "trustRootRef": "t"},
            "attestations": [{"name": "n", "predicateType": "t", "policy": predicate}],
            "rfc3161timestamp": {"trustRootRef": "t"},
            "signatureFormat": "bundle",
        }],
        "policy": predicate,
    })
}

fn sigstore_keys() -> Value {
    let authority = json!({
        "subject": {"organization": "o", "commonName": "c"}, "uri": "u", "certChain": "YWJj",
    });
    let log = json!({"baseURL": "u", "hashAlgorithm": "sha-256", "publicKey": "YWJj"});
    json!({
        "certificateAuthorities": [authority], "timestampAuthorities": [authority],
        "tLogs": [log], "ctLogs": [log],
    })
}

fn trust_root(spec: &Value) -> Value {
    json!({
        "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot",
        "metadata": {"name": "t"}, "spec": spec,
    })
}

/// The value with one field set to `null`, for every field; the entries of a map are no fields.
fn set_to_null_each(value: &Value) -> Vec<Value> {
    let mut variants = Vec::new();
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let mut with = |new: Value| {
                    let mut copy = fields.clone();
                    copy.insert(name.clone(), new);
                    variants.push(Value::Object(copy));
                };
                with(Value::Null);
                if name != "matchLabels" {
                    set_to_null_each(field).into_iter().for_each(with);
                }
            }
        }
        Value::Array(elements) => {
            for element in elements {
                variants.extend(
                    set_to_null_each(element)
                        .into_iter()
                        .map(|new| json!([new])),
                );
            }
        }
        _ => {}
    }
    variants
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, field)| !field.is_null())
            .map(|(name, field)| (name, without_nulls(field)))
            .collect(),
        Value::Array(elements) => elements.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

#[test]
fn every_field_of_a_policy_survives_the_round_trip() {
    let decoded = decode_cluster_image_policy(policy(&every_field())).unwrap();
    assert_eq!(serde_json::to_value(&decoded.spec).unwrap(), every_field());
}

#[test]
fn every_field_of_a_trust_root_survives_the_round_trip() {
    let repository = json!({
        "root": "YWJj", "mirrorFS": "YWJj", "targets": "t", "trustedRootTarget": "x.json",
    });
    let remote = json!({
        "root": "YWJj", "mirror": "https://m", "targets": "t", "trustedRootTarget": "x.json",
    });
    let spec = json!({"remote": remote, "repository": repository, "sigstoreKeys": sigstore_keys()});
    let decoded = decode_trust_root(trust_root(&spec)).unwrap();
    assert_eq!(serde_json::to_value(&decoded.spec).unwrap(), spec);
}

#[test]
fn null_reads_as_absent_in_every_field() {
    for spec in set_to_null_each(&every_field()) {
        let with = decode_cluster_image_policy(policy(&spec)).unwrap();
        let without = decode_cluster_image_policy(policy(&without_nulls(spec))).unwrap();
        assert_eq!(with, without);
    }
    for keys in set_to_null_each(&sigstore_keys()) {
        let with = decode_trust_root(trust_root(&json!({"sigstoreKeys": keys}))).unwrap();
        let keys = without_nulls(keys);
        let without = decode_trust_root(trust_root(&json!({"sigstoreKeys": keys}))).unwrap();
        assert_eq!(with, without);
    }
}

#[test]
fn both_versions_read_the_same() {
    let mut beta = policy(&every_field());
    beta["apiVersion"] = json!("policy.sigstore.dev/v1beta1");
    assert_eq!(
        decode_cluster_image_policy(beta).unwrap(),
        decode_cluster_image_policy(policy(&every_field())).unwrap()
    );
}

#[test]
fn unknown_fields_are_refused_in_the_words_of_go_with_their_place() {
    let cases = [
        (json!({"imagez": []}), "spec.imagez"),
        (
            json!({"images": [{"glob": "a", "regex": "b"}]}),
            "spec.images[0].regex",
        ),
        (
            json!({"match": [{"selector": {"matchLabel": {}}}]}),
            "spec.match[0].selector.matchLabel",
        ),
        (
            json!({"authorities": [{}, {"key": {"secretref": {"name": "a"}}}]}),
            "spec.authorities[1].key.secretref",
        ),
        (
            json!({"authorities": [{"keyless": {"identities": [{"issuerRegexp": "a"}]}}]}),
            "spec.authorities[0].keyless.identities[0].issuerRegexp",
        ),
        (
            json!({"policy": {"a`, expected b": 1}}),
            "spec.policy.\"a`, expected b\"",
        ),
    ];
    for (spec, place) in cases {
        let error = decode_cluster_image_policy(policy(&spec)).unwrap_err();
        let DecodeError::UnknownField { at, field } = &error else {
            panic!("{error}");
        };
        assert_eq!(at.to_string(), place);
        assert!(
            error
                .to_string()
                .contains(&format!("json: unknown field {field:?}"))
        );
    }
}

#[test]
fn a_field_of_the_spec_that_slipped_to_the_top_is_refused() {
    let mut value = policy(&json!({}));
    value["mode"] = json!("warn");
    let error = decode_cluster_image_policy(value).unwrap_err();
    assert_eq!(error.to_string(), "json: unknown field \"mode\" at mode");
}

#[test]
fn a_wrong_type_is_refused_with_its_place() {
    let spec = json!({"authorities": [{"name": 3}]});
    let error = decode_cluster_image_policy(policy(&spec)).unwrap_err();
    assert_eq!(error.at().to_string(), "spec.authorities[0].name");
    let spec = json!({"sigstoreKeys": {"tLogs": [{"publicKey": "%"}]}});
    let error = decode_trust_root(trust_root(&spec)).unwrap_err();
    assert_eq!(
        error.at().to_string(),
        "spec.sigstoreKeys.tLogs[0].publicKey"
    );
}

#[test]
fn versions_and_kinds_that_are_not_served_are_refused() {
    for (api_version, kind) in [
        ("policy.sigstore.dev/v1", "ClusterImagePolicy"),
        ("policy.sigstore.dev/v1beta1", "TrustRoot"),
        ("policy.sigstore.dev/v1alpha1", "ClusterImagePolicy"),
    ] {
        let value = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}});
        let error = decode_trust_root(value).unwrap_err();
        assert!(matches!(error, DecodeError::WrongKind { .. }), "{error}");
    }
}

#[test]
fn an_absent_spec_reads_as_an_empty_one() {
    let mut value = policy(&Value::Null);
    assert_eq!(
        decode_cluster_image_policy(value.clone()).unwrap().spec,
        ClusterImagePolicySpec::default()
    );
    value.as_object_mut().unwrap().remove("spec");
    decode_cluster_image_policy(value).unwrap();
}

#[test]
fn a_status_of_another_controller_does_not_stand_in_the_way() {
    let mut value = policy(&json!({}));
    value["status"] = json!({"conditions": [{"type": "Ready", "status": "True", "x": 1}], "y": 2});
    let status = decode_cluster_image_policy(value).unwrap().status.unwrap();
    assert_eq!(status.conditions[0].type_, "Ready");
}

#[test]
fn base64_may_be_broken_into_lines() {
    let spec = json!({"remote": {"root": "YW\nJj\r\n"}});
    let decoded = decode_trust_root(trust_root(&spec)).unwrap();
    assert_eq!(decoded.spec.remote.unwrap().root.0, b"abc");
}

#[test]
fn definitions_serve_both_versions_with_one_schema() {
    let crds = crds();
    let names: Vec<_> = crds
        .iter()
        .map(|crd| crd.metadata.name.clone().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "clusterimagepolicies.policy.sigstore.dev",
            "trustroots.policy.sigstore.dev"
        ]
    );
    let versions = &crds[0].spec.versions;
    let served: Vec<_> = versions
        .iter()
        .map(|v| (v.name.as_str(), v.served, v.storage))
        .collect();
    assert_eq!(served, [("v1alpha1", true, true), ("v1beta1", true, false)]);
    assert_eq!(versions[0].schema, versions[1].schema);
    assert_eq!(
        crds[0].spec.names.short_names.as_deref(),
        Some(&["cip".to_owned()][..])
    );
    assert_eq!(crds[0].spec.scope, "Cluster");
    let columns = |index: usize| -> Vec<Vec<&str>> {
        let versions = crds[index].spec.versions.iter();
        let columns = versions.map(|version| {
            version
                .additional_printer_columns
                .as_deref()
                .unwrap_or_default()
        });
        columns
            .map(|all| all.iter().map(|column| column.name.as_str()).collect())
            .collect()
    };
    assert_eq!(columns(0), [["Mode", "Ready", "Reason", "Age"]; 2]);
    assert_eq!(columns(1), [["Ready", "Reason", "Age"]]);
    let text = serde_json::to_string(&crds).unwrap();
    // A default is written into stored objects, and policy-controller writes this one too.
    let defaults: Vec<&str> = text.matches(r#""default":"#).collect();
    let modes: Vec<&str> = text.matches(r#""default":"enforce""#).collect();
    assert_eq!((defaults.len(), modes.len()), (2, 2));
    assert!(
        !text.contains("nullable"),
        "a stored null would be refused by other controllers"
    );
}
