//! Evidence that real cosign and real Tekton Chains wrote, served by a registry and judged by the command.
//!
//! Every case of `tests/data/recorded` has one row for each kind of policy; a case without a row fails.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use serde_json::{Value, json};
use support::command::verify;
use support::policy_text::{built_by_chains, recorded, recorded_key, signed_by};
use support::registry::RecordedImage;
use vouchsafe::demo::registry::{Registry, RunningRegistry, Store};

/// Verdict and reason.
type Expected = (&'static str, &'static str);

const ADMITTED: Expected = ("admit", "satisfied");
const UNSIGNED: Expected = ("deny", "unsigned");
const NO_ATTESTATION: Expected = ("deny", "no-attestation");
const ANOTHER_SIGNER: Expected = ("deny", "untrusted-signer");
const ANOTHER_BUILDER: Expected = ("deny", "policy-denied");

/// Case, what a policy about the signature answers, what a policy about the provenance answers; both with the release key.
const BY_RELEASE: &[(&str, Expected, Expected)] = &[
    ("annotated", ADMITTED, ADMITTED),
    ("att-only", UNSIGNED, ADMITTED),
    ("sig-only", ADMITTED, NO_ATTESTATION),
    ("signed", ADMITTED, ADMITTED),
    ("stranger", ANOTHER_SIGNER, ANOTHER_SIGNER),
    // Any attestation of the type that satisfies the policy is enough, as in policy-controller.
    ("two-attestations", ADMITTED, ADMITTED),
    ("unsigned", UNSIGNED, NO_ATTESTATION),
    ("wrong-builder", ADMITTED, ANOTHER_BUILDER),
];

/// The same with the stranger's key: nothing that the release key signed counts any more.
const BY_STRANGER: &[(&str, Expected, Expected)] = &[
    ("annotated", ANOTHER_SIGNER, ANOTHER_SIGNER),
    ("att-only", UNSIGNED, ANOTHER_SIGNER),
    ("sig-only", ANOTHER_SIGNER, NO_ATTESTATION),
    ("signed", ANOTHER_SIGNER, ANOTHER_SIGNER),
    ("stranger", ADMITTED, ADMITTED),
    ("two-attestations", ANOTHER_SIGNER, ANOTHER_SIGNER),
    ("unsigned", UNSIGNED, NO_ATTESTATION),
    ("wrong-builder", ANOTHER_SIGNER, ANOTHER_SIGNER),
];

/// Tekton Chains with its transparency log on.
const CHAINS_LOGGED: &str = "tekton-chains-0.22-logged";
const LOG_BUNDLE: &str = "dev.sigstore.cosign/bundle";
const NOT_LOGGED: Expected = ("deny", "not-logged");

/// All cases of a tool behind one registry.
struct Tool {
    store: Store,
    registry: RunningRegistry,
    cases: BTreeMap<String, RecordedImage>,
}

impl Tool {
    async fn serve(tool: &str) -> Self {
        let store = Store::new();
        let folders = std::fs::read_dir(recorded().join(tool)).unwrap();
        let folders = folders.map(|entry| entry.unwrap().path());
        let cases = folders
            .filter(|folder| folder.join("registry.json").is_file())
            .map(|folder| {
                let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
                (name, RecordedImage::load_into(&store, &folder))
            })
            .collect();
        let registry = Registry::bind(store.clone(), "127.0.0.1:0").await.unwrap();
        Self {
            store,
            registry,
            cases,
        }
    }

    /// A case by its tag and by its digest.
    fn references(&self, case: &str) -> [String; 2] {
        let (host, image) = (self.registry.host(), &self.cases[case]);
        let repository = &image.repository;
        [
            format!("{host}/{repository}:v1"),
            format!("{host}/{repository}@{}", image.digest),
        ]
    }

    /// Puts the log's entry of this kind beside the evidence under this tag of a case, as cosign keeps it.
    fn keep_entry(&self, tool: &str, case: &str, ending: &str, kind: &str) {
        let image = &self.cases[case];
        let tag = format!("sha256-{}.{ending}", image.digest.hex());
        let stored = self.store.manifest(&image.repository, &tag).unwrap();
        let mut manifest: Value = serde_json::from_slice(&stored.bytes).unwrap();
        let entry = log_entries(tool).remove(kind).unwrap();
        let kept = json!({
            "SignedEntryTimestamp": entry["verification"]["signedEntryTimestamp"],
            "Payload": {
                "body": entry["body"],
                "integratedTime": entry["integratedTime"],
                "logIndex": entry["logIndex"],
                "logID": entry["logID"],
            },
        });
        let layers = manifest["layers"].as_array_mut().unwrap();
        assert_eq!(layers.len(), 1, "one layer was recorded under {tag}");
        layers[0]["annotations"][LOG_BUNDLE] = kept.to_string().into();
        let bytes = manifest.to_string().into_bytes();
        self.store
            .push_manifest(&image.repository, Some(&tag), &stored.media_type, bytes);
    }
}

/// What the log has, by the kinds of its entries.
fn log_entries(tool: &str) -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(recorded().join(tool).join("log")).unwrap();
    let entries = files.map(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let entry: Value = serde_json::from_slice(&bytes).unwrap();
        let body = STANDARD.decode(entry["body"].as_str().unwrap()).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        (body["kind"].as_str().unwrap().to_owned(), entry)
    });
    entries.collect()
}

/// The policy, wanting an entry in the log with this key, which a TrustRoot beside it has.
fn logged(policy: &str, key: &str) -> String {
    // A TrustRoot has certificates, too. Nobody is asked for any here.
    let authority = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&authority).unwrap();
    let root = json!({
        "apiVersion": "policy.sigstore.dev/v1alpha1",
        "kind": "TrustRoot",
        "metadata": {"name": "logs"},
        "spec": {"sigstoreKeys": {
            "certificateAuthorities": [{
                "subject": {"organization": "nobody", "commonName": "nobody"},
                "uri": "https://nobody.example",
                "certChain": STANDARD.encode(certificate.pem()),
            }],
            "tLogs": [{
                "baseURL": "http://127.0.0.1:3000",
                "hashAlgorithm": "sha-256",
                "publicKey": STANDARD.encode(key),
            }],
        }},
    });
    format!("{policy}      ctlog: {{trustRootRef: logs}}\n---\n{root}\n")
}

/// The JSON of one run over these images, in their order.
fn judged(policy: &str, images: &[String]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, policy).unwrap();
    let output = ["-o".to_owned(), "json".to_owned()];
    let ended = verify(&file, output.iter().chain(images)).end();
    assert_eq!(ended.stderr, "");
    let report = ended.json();
    let denied = report["verdict"] == "deny";
    assert_eq!(ended.code, i32::from(denied), "{report}");
    report["images"].as_array().unwrap().clone()
}

fn verdict(image: &Value) -> (&str, &str) {
    let text = |key: &str| image[key].as_str().unwrap();
    (text("verdict"), text("reason"))
}

#[rstest]
#[case::cosign_2_6_by_release("cosign-2.6", "release", BY_RELEASE)]
#[case::cosign_2_6_by_stranger("cosign-2.6", "stranger", BY_STRANGER)]
#[case::cosign_3_1_by_release("cosign-3.1", "release", BY_RELEASE)]
#[case::cosign_3_1_by_stranger("cosign-3.1", "stranger", BY_STRANGER)]
#[case::tekton_chains_by_release("tekton-chains-0.22", "release", BY_RELEASE)]
#[case::tekton_chains_by_stranger("tekton-chains-0.22", "stranger", BY_STRANGER)]
#[case::tekton_chains_logged_by_release(CHAINS_LOGGED, "release", BY_RELEASE)]
#[case::tekton_chains_logged_by_stranger(CHAINS_LOGGED, "stranger", BY_STRANGER)]
#[tokio::test(flavor = "multi_thread")]
async fn judges_what_real_tools_wrote_by_tag_and_by_digest(
    #[case] tool: &str,
    #[case] signer: &str,
    #[case] table: &[(&str, Expected, Expected)],
) {
    let served = Tool::serve(tool).await;
    assert!(!served.cases.is_empty());
    let rows: Vec<_> = served
        .cases
        .keys()
        .map(|case| {
            let row = table.iter().find(|(name, ..)| name == case);
            *row.unwrap_or_else(|| panic!("{tool}/{case} has no row in the table"))
        })
        .collect();
    let images: Vec<String> = rows
        .iter()
        .flat_map(|(case, ..)| served.references(case))
        .collect();
    let key = recorded_key(tool, signer);
    let by_signature = judged(&signed_by("signature", &key), &images);
    let by_provenance = judged(&built_by_chains("provenance", &key), &images);
    assert_eq!(by_signature.len(), images.len());
    assert_eq!(by_provenance.len(), images.len());
    for (index, reference) in images.iter().enumerate() {
        let (case, signature, provenance) = rows[index / 2];
        for (found, expected) in [
            (&by_signature[index], signature),
            (&by_provenance[index], provenance),
        ] {
            assert_eq!(found["image"], reference.as_str());
            assert_eq!(
                found["digest"],
                served.cases[case].digest.to_string(),
                "{found}"
            );
            assert_eq!(
                verdict(found),
                expected,
                "{tool}/{case} as {reference}: {found}"
            );
        }
    }
}

#[rstest]
#[case::cosign_2_6("cosign-2.6", 8)]
#[case::cosign_3_1("cosign-3.1", 8)]
#[case::tekton_chains("tekton-chains-0.22", 1)]
#[case::tekton_chains_logged(CHAINS_LOGGED, 1)]
#[tokio::test]
async fn no_recorded_case_is_lost(#[case] tool: &str, #[case] cases: usize) {
    assert_eq!(Tool::serve(tool).await.cases.len(), cases);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_the_key_that_vouched_and_the_evidence() {
    let served = Tool::serve("tekton-chains-0.22").await;
    let key = recorded_key("tekton-chains-0.22", "release");
    let images = served.references("signed");
    for (policy, format, predicate_type) in [
        (signed_by("p", &key), ".sig", Value::Null),
        (
            built_by_chains("p", &key),
            ".att",
            "https://slsa.dev/provenance/v0.2".into(),
        ),
    ] {
        let authority = &judged(&policy, &images[..1])[0]["policies"][0]["authorities"][0];
        assert_eq!(authority["signers"].as_array().unwrap().len(), 1);
        assert_eq!(
            authority["signers"][0]["keySha256"].as_str().unwrap().len(),
            64
        );
        let evidence = &authority["evidence"][0];
        assert_eq!(evidence["format"], format);
        assert_eq!(evidence["predicateType"], predicate_type);
    }
}

/// Chains stores the signature first and logs it then: the entry is in the log, and not beside the signature.
#[tokio::test(flavor = "multi_thread")]
async fn what_tekton_chains_logged_counts_as_logged_when_somebody_keeps_the_entry_beside_it() {
    let served = Tool::serve(CHAINS_LOGGED).await;
    let image = &served.references("signed")[..1];
    let key = |name| recorded_key(CHAINS_LOGGED, name);
    let (release, rekor, stranger) = (key("release"), key("rekor"), key("stranger"));
    for (policy, ending, kind, other) in [
        (signed_by("p", &release), "sig", "hashedrekord", "intoto"),
        (
            built_by_chains("p", &release),
            "att",
            "intoto",
            "hashedrekord",
        ),
    ] {
        let expect = |expected: Expected, log: &str| {
            let found = judged(&logged(&policy, log), image);
            assert_eq!(verdict(&found[0]), expected, "{ending}: {found:#?}");
            found[0].to_string()
        };
        let said = expect(NOT_LOGGED, &rekor);
        assert!(said.contains("there is no log entry with it"), "{said}");
        served.keep_entry(CHAINS_LOGGED, "signed", ending, other);
        expect(NOT_LOGGED, &rekor);
        served.keep_entry(CHAINS_LOGGED, "signed", ending, kind);
        expect(ADMITTED, &rekor);
        // Another log than the one that has it.
        expect(NOT_LOGGED, &stranger);
    }
}
