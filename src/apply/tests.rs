//! What is refused and with which words, what is only warned about, and that neither hides the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;

/// A P-256 key that signs nothing.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n";

fn check(spec: &Value) -> Vec<Finding> {
    let document = json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"}, "spec": spec,
    });
    let policy = api::decode_cluster_image_policy(document).expect("a well-formed policy");
    check_policy(
        &policy,
        DEFAULT_NAMESPACE,
        Surroundings::Partly(&Referents::default()),
    )
}

fn with(authority: &Value) -> Value {
    json!({"images": [{"glob": "ghcr.io/**"}], "authorities": [authority]})
}

/// The answer to a policy with this authority, with `A` for the authority's path.
fn refused(authority: &Value) -> String {
    let text = refusal(&check(&with(authority))).unwrap_or_default();
    text.strip_prefix("validation failed: ")
        .unwrap_or_default()
        .replace("spec.authorities[0]", "A")
}

fn warnings(spec: &Value) -> Vec<String> {
    let found = check(spec);
    assert_eq!(refusal(&found), None, "{spec}");
    found.iter().map(|f| f.problem.to_string()).collect()
}

fn warns(spec: &Value, message: &str, field: &str) -> bool {
    warnings(spec)
        .iter()
        .any(|w| w.starts_with(message) && w.contains(field))
}

#[test]
fn keys_are_refused_in_the_words_of_policy_controller() {
    let places = "A.key.data, A.key.kms, A.key.secretref";
    for (key, text) in [
        (
            json!({}),
            format!("expected exactly one, got neither: {places}"),
        ),
        (
            json!({"kms": "hashivault://a", "secretRef": {"name": "s"}}),
            format!("expected exactly one, got both: {places}"),
        ),
        (
            json!({"data": KEY, "hashAlgorithm": "md5"}),
            "invalid value: md5: A.key.hashAlgorithm".to_owned(),
        ),
        (
            json!({"kms": "vault://a"}),
            "invalid value: vault://a: A.key.kms\nmalformed KMS format, should be prefixed by any of the supported providers: [awskms:// azurekms:// hashivault:// gcpkms://]".to_owned(),
        ),
        (
            json!({"secretRef": {"name": "s", "namespace": "default"}}),
            "invalid value: default: A.key.secretref.namespace\nthe Secret must be in the controller's namespace, cosign-system".to_owned(),
        ),
    ] {
        assert_eq!(refused(&json!({"key": key})), text);
    }
}

#[test]
fn a_key_that_is_none_is_refused_and_what_could_be_a_secret_is_not_repeated() {
    let broken = KEY.replace("MFkw", "MFkx");
    let private = KEY.replace("PUBLIC", "PRIVATE");
    for data in [broken.as_str(), &private, "x"] {
        let text = refused(&json!({"key": {"data": data}}));
        assert!(text.starts_with("invalid value: "), "{text}");
        assert!(
            text.contains("A.key.data\n") && !text.contains("MFk"),
            "{text}"
        );
    }
}

#[test]
fn keys_of_aws_are_named_by_their_arn() {
    const FORMAT: &str =
        "kms key should be in the format awskms://[ENDPOINT]/[ID/ALIAS/ARN] (endpoint optional)";
    let arn = "arn:aws:kms:us-east-2:111122223333";
    let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
    for good in [
        format!("awskms:///{arn}:key/{id}"),
        format!("awskms://localhost:4566/{arn}:key/{id}"),
        format!("awskms://[::1]:4566/{arn}:alias/a/b"),
    ] {
        assert_eq!(refused(&json!({"key": {"kms": good}})), "", "{good}");
    }
    for (kms, details) in [
        (
            format!("awskms://{id}"),
            "malformed AWS KMS format 'awskms://$ENDPOINT/$KEYID', should be conformant with KMS standard documented here: https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id",
        ),
        (format!("awskms://{arn}:key/{id}"), FORMAT),
        ("awskms://localhost:4566/arn:sonotvalid".to_owned(), FORMAT),
        (
            format!("awskms:///{id}"),
            "failed to parse either key or alias arn: arn: invalid prefix",
        ),
        (
            "awskms://localhost:4566/alias/a".to_owned(),
            "failed to parse either key or alias arn: arn: invalid prefix",
        ),
        (
            "awskms://localhost:::4566/alias/a".to_owned(),
            "malformed endpoint: address localhost:::4566: too many colons in address",
        ),
        (
            format!("awskms://localhost/{arn}:key/{id}"),
            "malformed endpoint: address localhost: missing port in address",
        ),
    ] {
        let text = format!("invalid value: {kms}: A.key.kms\n{details}");
        assert_eq!(refused(&json!({"key": {"kms": kms}})), text);
        let identities = json!([{"issuer": "i", "subject": "s"}]);
        let ca = refused(&json!({"keyless": {"identities": identities, "ca-cert": {"kms": kms}}}));
        assert_eq!(ca, text.replace("A.key.kms", "A.keyless.ca-cert.kms"));
    }
}

#[test]
fn identities_name_exactly_one_issuer_and_one_subject() {
    let refused = |identity: &Value| refused(&json!({"keyless": {"identities": [identity]}}));
    let at = "A.keyless.identities[0]";
    assert_eq!(
        refused(&json!({})),
        format!(
            "missing field(s): {at}.issuer, {at}.issuerRegExp, {at}.subject, {at}.subjectRegExp"
        )
    );
    assert_eq!(
        refused(&json!({"issuer": "i", "issuerRegExp": "i", "subject": "s"})),
        format!("expected exactly one, got both: {at}.issuer, {at}.issuerRegExp")
    );
    assert_eq!(
        refused(&json!({"issuer": "i", "subjectRegExp": "a**"})),
        format!(
            "invalid value: a**: {at}.subjectRegExp\nregex is invalid: error parsing regexp: invalid nested repetition operator: `**`"
        )
    );
}

#[test]
fn sources_are_registries_or_repositories() {
    let refused = |source: &Value| refused(&json!({"key": {"data": KEY}, "source": source}));
    for good in [
        "registry.example.com",
        "registry.example.com:5000/a/b",
        "gcr.io/google.com/project/hello-world",
    ] {
        assert_eq!(refused(&json!([{"oci": good}])), "", "{good}");
    }
    for (oci, details) in [
        (
            "registry.example.com/repo/*",
            "repository can only contain the characters `abcdefghijklmnopqrstuvwxyz0123456789_-./`: repo/*",
        ),
        (
            "re@gistry/reponame",
            "registries must be valid RFC 3986 URI authorities: re@gistry/reponame",
        ),
        (
            "docker-user/repo",
            "registries must be valid RFC 3986 URI authorities: docker-user/repo",
        ),
    ] {
        assert_eq!(
            refused(&json!([{"oci": oci}])),
            format!("invalid value: {oci}: A.source[0].oci\n{details}")
        );
    }
    assert_eq!(
        refused(&json!([{"oci": "a.b"}, {"oci": "%"}])),
        "invalid value: source: A.source\nonly single source is supported"
    );
    assert_eq!(
        refused(&json!([{"signaturePullSecrets": [{"name": "a"}, {}]}])),
        "missing field(s): A.source[0].signaturePullSecrets[1].name"
    );
}

#[test]
fn a_static_answer_stands_alone() {
    assert_eq!(
        refused(&json!({"static": {"action": "perhaps"}, "ctlog": {}, "source": [{"oci": "a.b"}]})),
        "expected exactly one, got both: A.ctlog, A.source, A.static\ninvalid value: perhaps: A.static.action\nunsupported action"
    );
    assert_eq!(
        refused(&json!({"static": {}})),
        "missing field(s): A.static.action"
    );
}

#[test]
fn policies_over_attestations_are_checked_at_a_path_without_index() {
    let refused = |policy: &Value| {
        refused(&json!({"key": {"data": KEY}, "attestations": [
            {"name": "a", "predicateType": "https://example.com/a"},
            {"name": "b", "predicateType": "https://example.com/b", "policy": policy},
        ]}))
        .replace("A.attestations.policy", "P")
    };
    for (policy, text) in [
        (
            json!({"type": "lua", "data": "x"}),
            "invalid value: lua: P.type\nonly [cue,rego] are supported at the moment",
        ),
        (
            json!({"type": "cue"}),
            "missing field(s): P.configMapRef, P.data, P.remote",
        ),
        (
            json!({"type": "cue", "data": "x", "configMapRef": {"name": "n", "key": "k"}}),
            "expected exactly one, got both: P.configMapRef, P.data, P.remote",
        ),
        (
            json!({"type": "cue", "configMapRef": {}}),
            "missing field(s): P.configMapRef.key, P.configMapRef.name",
        ),
        (
            json!({"type": "cue", "remote": {"url": "http://a/b", "sha256sum": "00"}}),
            "invalid value: http://a/b: P.remote.url\nurl valid is invalid. host and https scheme are expected",
        ),
        (
            json!({"type": "cue", "remote": {"url": "https://a/b"}}),
            "missing field(s): P.remote.sha256sum",
        ),
        (
            json!({"type": "cue", "data": "x", "includeSpec": false}),
            "must not set the field(s): P.includeSpec",
        ),
    ] {
        assert_eq!(refused(&policy), text);
    }
}

#[test]
fn a_policy_of_the_whole_resource_is_checked_at_spec() {
    let mut spec = with(&json!({"static": {"action": "fail"}}));
    spec["policy"] = json!({"type": "x"});
    assert_eq!(
        refusal(&check(&spec)).as_deref(),
        Some(
            "validation failed: invalid value: x: spec.type\nonly [cue,rego] are supported at the moment\nmissing field(s): spec.configMapRef, spec.data, spec.remote"
        )
    );
}

#[test]
fn rego_that_does_not_compile_is_refused() {
    let mut spec = with(&json!({"static": {"action": "fail"}}));
    spec["policy"] = json!({"type": "rego", "data": "package sigstore\nisCompliant {"});
    let text = refusal(&check(&spec)).expect("a refusal");
    assert!(text.contains("spec.policy.data"), "{text}");
}

#[test]
fn what_this_version_cannot_verify_is_accepted_with_a_warning() {
    let cue = json!({"type": "cue", "data": "a: 1"});
    let attested = json!({"key": {"data": KEY}, "attestations": [
        {"name": "a", "predicateType": "https://example.com/p", "policy": cue},
    ]});
    let mut whole = with(&json!({"key": {"data": KEY}}));
    whole["policy"] = cue;
    for (spec, field) in [
        (with(&attested), ".attestations[0].policy.type"),
        (whole, "spec.policy.type"),
    ] {
        assert!(
            warns(&spec, "not supported yet by this version", field),
            "{field}"
        );
    }
}

/// What is referred to may be applied later, and is not looked for here.
#[test]
fn keys_that_stand_elsewhere_are_accepted_without_a_word() {
    for key in [
        json!({"kms": "hashivault://release"}),
        json!({"secretRef": {"name": "s", "namespace": DEFAULT_NAMESPACE}}),
    ] {
        let findings = check(&with(&json!({"key": key})));
        assert!(findings.is_empty(), "{findings:?}");
    }
}

#[test]
fn regular_expressions_that_match_within_a_longer_text_are_warned_about() {
    let field = "identities[0].subjectRegExp";
    let spec = |pattern: &str| {
        with(
            &json!({"keyless": {"identities": [{"issuer": "i", "subjectRegExp": pattern}], "url": "https://f"}}),
        )
    };
    for open in [
        "https://github.com/a/.*",
        "^a",
        "a$",
        r"^a\$",
        "^a|b$",
        "(?m)^a$",
        ".*",
    ] {
        assert!(
            warns(&spec(open), "regular expression is not anchored", field),
            "{open}"
        );
    }
    for anchored in ["^a$", r"\Aa\z", "^(a|b)$", "(?i)^a$", r"^a\\$"] {
        assert!(
            !warns(&spec(anchored), "regular expression", field),
            "{anchored}"
        );
    }
}

#[test]
fn globs_that_match_less_than_they_seem_to_are_warned_about() {
    let spec =
        |glob: &str| json!({"images": [{"glob": glob}], "authorities": [{"key": {"data": KEY}}]});
    for (narrow, message) in [
        ("https://ghcr.io/**", "glob can never match"),
        (
            "docker.io/library/*",
            "glob matches only references that are written like this",
        ),
        (
            "nginx*",
            "glob matches only references that are written without a registry",
        ),
        (
            "ghcr.io/org/app",
            "glob matches only references without tag and digest",
        ),
        (
            "ghcr.io/org/app:v1",
            "glob matches only references that are written with a tag",
        ),
        (
            "localhost:5000/app:*",
            "glob matches only references that are written with a tag",
        ),
    ] {
        assert!(
            warns(&spec(narrow), message, "spec.images[0].glob"),
            "{narrow}"
        );
    }
    for good in [
        "*",
        "*/*",
        "**",
        "ghcr.io/org/app@*",
        "localhost:5000/a*",
        "**demo**",
    ] {
        assert_eq!(warnings(&spec(good)), [""; 0], "{good}");
    }
}

#[test]
fn a_bare_glob_is_fine_beside_one_that_has_its_tags_or_digests() {
    let spec = |others: &[&str]| {
        let globs = others.iter().chain(&["ghcr.io/org/app"]);
        let images: Vec<Value> = globs.map(|glob| json!({"glob": glob})).collect();
        json!({"images": images, "authorities": [{"key": {"data": KEY}}]})
    };
    for beside in [
        &["ghcr.io/org/app:*", "ghcr.io/org/app@*"][..],
        &["ghcr.io/org/app@*"],
        &["ghcr.io/org/app**"],
    ] {
        assert_eq!(warnings(&spec(beside)), [""; 0], "{beside:?}");
    }
    for elsewhere in ["ghcr.io/org/apple@*", "ghcr.io/org/app/web:*", "quay.io/**"] {
        assert!(
            warns(
                &spec(&[elsewhere]),
                "glob matches only references without tag and digest",
                "spec.images[1].glob"
            ),
            "{elsewhere}"
        );
    }
}

/// The same image is named by its digest alone as well, which a glob for tags does not match.
#[test]
fn a_glob_for_tags_is_fine_beside_one_that_has_the_digests() {
    let spec = |beside: &str| {
        let images = [
            json!({"glob": "ghcr.io/org/app:1.*"}),
            json!({"glob": beside}),
        ];
        json!({"images": images, "authorities": [{"key": {"data": KEY}}]})
    };
    for beside in [
        "ghcr.io/org/app@*",
        "ghcr.io/org/app**",
        "ghcr.io/org/**",
        "**",
    ] {
        assert_eq!(warnings(&spec(beside)), [""; 0], "{beside}");
    }
    let message = "glob matches only references that are written with a tag";
    for elsewhere in ["ghcr.io/org/apple@*", "quay.io/**"] {
        let is_warned = warns(&spec(elsewhere), message, "spec.images[0].glob");
        assert!(is_warned, "{elsewhere}");
    }
}

#[test]
fn other_weak_spots_are_warned_about() {
    let everything =
        json!({"images": [{"glob": "**"}], "authorities": [{"static": {"action": "pass"}}]});
    assert!(warns(
        &everything,
        "every image is admitted without proof",
        "static.action"
    ));
    let rooted = json!({"identities": [{"issuer": "i", "subject": "s"}], "trustRootRef": "mine"});
    for (log, expected) in [(json!({}), true), (json!({"trustRootRef": "mine"}), false)] {
        let spec = with(&json!({"keyless": rooted, "ctlog": log}));
        assert_eq!(
            warns(&spec, "no transparency log is named", ".ctlog"),
            expected
        );
    }
    let two = with(&json!({"key": {"data": format!("{KEY}{KEY}")}}));
    assert!(warns(&two, "there are several PEM blocks", "key.data"));
    let mut nobody = with(&json!({"static": {"action": "fail"}}));
    nobody["match"] = json!([{"group": "apps", "version": "v1"}]);
    assert!(warns(
        &nobody,
        "match never selects an object",
        "match[0].resource"
    ));
}

#[test]
fn what_policy_controller_would_not_read_or_look_at_is_warned_about() {
    let whole = |policy: Value| json!({"images": [{"glob": "ghcr.io/**"}], "authorities": [{"static": {"action": "fail"}}], "policy": policy});
    let rego = |text: &str| json!({"type": "rego", "data": format!("package sigstore\n{text}")});
    let message = "the policy is Rego v1 without saying so";
    let v1 = rego("isCompliant if { true }");
    assert!(warns(&whole(v1.clone()), message, "spec.policy"));
    let attestation =
        json!({"name": "a", "predicateType": "https://slsa.dev/provenance/v1", "policy": v1});
    let authority = with(&json!({"key": {"data": KEY}, "attestations": [attestation]}));
    let field = "spec.authorities[0].attestations.policy";
    assert!(warns(&authority, message, field));
    for both in [
        "import rego.v1\nisCompliant if { true }",
        "isCompliant { true }",
    ] {
        assert_eq!(warnings(&whole(rego(both))), [""; 0], "{both}");
    }
    let elsewhere =
        json!({"type": "rego", "configMapRef": {"name": "m", "key": "k", "namespace": "shop"}});
    let field = "spec.configMapRef.namespace";
    assert!(warns(
        &whole(elsewhere),
        "the namespace of a ConfigMap is not looked at",
        field
    ));
}

#[test]
fn short_names_of_predicate_types_are_deprecated_in_the_words_of_policy_controller() {
    let text = |written: &str| {
        let attestation = json!({"name": "a", "predicateType": written});
        warnings(&with(
            &json!({"key": {"data": KEY}, "attestations": [attestation]}),
        ))
    };
    for written in [
        "custom",
        "vuln",
        "slsaprovenance1",
        "cosign.sigstore.dev/attestation/vuln/v1",
    ] {
        assert_eq!(
            text(written),
            [format!(
                "invalid value: {written}: spec.authorities[0].attestations.predicateType\ndeprecated value, please use RFC 3986 conformant values"
            )]
        );
    }
    for uri in ["https://slsa.dev/provenance/v1", "urn:a:b"] {
        assert_eq!(text(uri), [""; 0]);
    }
}

fn trust_root(spec: &Value) -> Option<String> {
    let document = json!({
        "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": "r"}, "spec": spec,
    });
    let root = api::decode_trust_root(document).expect("a well-formed TrustRoot");
    let text = refusal(&check_trust_root(&root))?;
    Some(text.replace("validation failed: ", ""))
}

fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

#[test]
fn a_trust_root_comes_in_exactly_one_shape() {
    let shapes = "spec.remote, spec.repository, spec.sigstoreKeys";
    assert_eq!(
        trust_root(&json!({})),
        Some(format!("expected exactly one, got neither: {shapes}"))
    );
    assert_eq!(
        trust_root(&json!({"remote": {}, "repository": {}})),
        Some(format!("expected exactly one, got both: {shapes}"))
    );
}

#[test]
fn the_root_of_a_tuf_repository_is_json_with_signatures() {
    let remote = |root: &str| {
        trust_root(&json!({"remote": {"mirror": "https://m", "root": base64(root)}}))
            .unwrap_or_default()
    };
    assert_eq!(remote(r#"{"signatures": []}"#), "");
    assert_eq!(
        remote("{}"),
        "invalid value: missing signatures in root.json: spec.remote.root\nno signatures"
    );
    assert!(remote("no").starts_with("invalid value: failed to unmarshal: spec.remote.root\n"));
    assert_eq!(
        trust_root(&json!({"repository": {}})).unwrap_or_default(),
        "missing field(s): spec.repository.mirrorFS, spec.repository.root"
    );
}

#[test]
fn every_element_of_every_list_is_checked_and_not_only_the_last() {
    let good = json!({"subject": {"organization": "o", "commonName": "c"}, "uri": "https://u", "certChain": base64("x")});
    let log = json!({"baseURL": "https://l", "hashAlgorithm": "sha-256", "publicKey": base64("x")});
    let spec = json!({"sigstoreKeys": {
        "certificateAuthorities": [{"uri": "https://u", "certChain": base64("x")}, good],
        "tLogs": [{"baseURL": "https://l"}, log], "ctLogs": [log],
    }});
    let at = "spec.sigstoreKeys";
    assert_eq!(
        trust_root(&spec),
        Some(format!(
            "missing field(s): {at}.certificateAuthority[0].subject.commonName, {at}.certificateAuthority[0].subject.organization, {at}.tLogs[0].hashAlgorithm, {at}.tLogs[0].publicKey"
        ))
    );
    assert_eq!(
        trust_root(&json!({"sigstoreKeys": {}})),
        Some(format!(
            "expected exactly one, got neither: {at}.certificateAuthority, {at}.timestampAuthorities"
        ))
    );
}

#[test]
fn a_timestamp_chain_has_at_most_one_leaf() {
    let certificate = |name: &str, is_ca: rcgen::IsCa| {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new([name.to_owned()]).expect("a name");
        params.is_ca = is_ca;
        params.self_signed(&key).expect("a certificate").pem()
    };
    let ca = certificate(
        "ca",
        rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained),
    );
    let leaf = certificate("a", rcgen::IsCa::ExplicitNoCa);
    let other = certificate("b", rcgen::IsCa::NoCa);
    let chain = |pem: String| {
        trust_root(&json!({"sigstoreKeys": {"timestampAuthorities": [{
            "subject": {"organization": "o", "commonName": "c"}, "uri": "https://u", "certChain": base64(&pem),
        }]}}))
    };
    let field = "spec.sigstoreKeys.timestampAuthorities[0].certChain";
    assert_eq!(chain(format!("{leaf}{ca}{ca}")), None);
    assert_eq!(
        chain(format!("{leaf}{other}{ca}")),
        Some(format!(
            "invalid value: certificate chain must contain at most one TSA certificate: {field}"
        ))
    );
    assert_eq!(
        chain("x".to_owned()),
        Some(format!(
            "invalid value: error splitting the certificates: {field}\nerror during PEM decoding"
        ))
    );
}
