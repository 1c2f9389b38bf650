//! Keys as policies name them: what policy-controller's users wrote, what it recorded about them, and what is refused.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a fixture that breaks fails the test by panicking"
)]

mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use vouchsafe::adapters::files::load;
use vouchsafe::api;
use vouchsafe::evidence::{Format, manifest, simple_signing};
use vouchsafe::image::Digest;
use vouchsafe::limits::Limits;
use vouchsafe::policy::{AuthorityKind, Referents, compile};
use vouchsafe::verify::{self, Requirement};

/// Where the recorded policy and ours differ: cosign signs with a hash that it does not try.
const ADMITTED_BY_US: [(&str, &str); 2] = [("key-ed", "sig-ed"), ("key-p384", "sig-p384")];

#[test]
fn keys_admit_what_policy_controller_admits_and_what_cosign_signs() {
    let Some(vectors) = support::vectors::vectors() else {
        return;
    };
    let peer = vectors.join("peer");
    let oracle = json_file(&peer.join("oracle.json"));
    for name in [
        "key-a",
        "key-a-sha384",
        "key-ed",
        "key-p384",
        "key-two-in-one-pem",
    ] {
        let requirement = requirement(&peer.join(format!("policies/{name}.json")));
        let cases = oracle["cases"].as_array().unwrap();
        let case = cases.iter().find(|case| case["case"] == name).unwrap();
        for (image, recorded) in case["verdicts"].as_object().unwrap() {
            let reference = oracle["images"][image].as_str().unwrap();
            let expected = recorded["allowed"] == true || ADMITTED_BY_US.contains(&(name, image));
            let found = is_signed(&peer.join("store"), reference, &requirement);
            assert_eq!(found, expected, "{image} under {name}");
        }
    }
}

/// Whether any layer under the image's `.sig` tag is a signature that meets the requirement.
fn is_signed(store: &Path, reference: &str, requirement: &Requirement) -> bool {
    let (repository, digest) = reference.split_once('@').unwrap();
    let (_, repository) = repository.split_once('/').unwrap();
    let digest: Digest = digest.parse().unwrap();
    let layout = store.join(repository);
    let blob =
        |digest: &str| fs::read(layout.join("blobs").join(digest.replace(':', "/"))).unwrap();
    let index = json_file(&layout.join("index.json"));
    let tag = format!("sha256-{}.sig", digest.hex());
    let tagged = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .find(|found| found["annotations"]["org.opencontainers.image.ref.name"] == *tag);
    let Some(tagged) = tagged else { return false };
    let signatures = blob(tagged["digest"].as_str().unwrap());
    let layers = manifest::tagged(Format::SignatureTag, &signatures).unwrap();
    layers.iter().any(|layer| {
        let payload = blob(&layer.digest.to_string());
        let candidate = simple_signing::decode(layer, payload.into());
        let limits = Limits::default().evidence;
        let now = jiff::Timestamp::now();
        verify::signature(&candidate, &digest, requirement, &limits, now).is_ok()
    })
}

fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What the only authority of the only policy in a file asks for.
fn requirement(file: &Path) -> Requirement {
    let documents = load(&[file.to_owned()]).unwrap_or_else(|error| panic!("{error}"));
    let [policy] = documents.policies.as_slice() else {
        panic!("one policy in {}", file.display());
    };
    let body = compile(&policy.value, &Referents::default()).body.unwrap();
    let AuthorityKind::Signed(signed) = &body.authorities[0].kind else {
        panic!("a key in {}", file.display());
    };
    signed.requirement.clone()
}

#[test]
fn the_published_policy_with_another_hash_compiles() {
    let Some(vectors) = support::vectors::vectors() else {
        return;
    };
    let file = "policy-controller/cip/valid/valid-policy-hash-algo-sha512.yaml";
    let requirement = requirement(&vectors.join(file));
    assert!(matches!(
        requirement,
        Requirement::Key(asked) if asked.key.hash_algorithm() == Some(verify::HashAlgorithm::Sha512)
    ));
}

/// The recorded keys, by name.
fn keys() -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keys");
    json_file(&folder.join("keys.json"))["keys"].take()
}

fn problems(key: &Value) -> Vec<String> {
    let document = json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"},
        "spec": {"images": [{"glob": "**"}], "authorities": [{"key": key}]},
    });
    let policy = api::decode_cluster_image_policy(document).unwrap();
    let problems = compile(&policy, &Referents::default())
        .body
        .err()
        .unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_supported_key_compiles_with_every_hash_it_is_used_with() {
    let keys = keys();
    for (names, hashes) in [
        (
            ["p256", "p384", "p521"],
            ["", "sha224", "SHA256", " sha384 ", "sha512"].as_slice(),
        ),
        (
            ["rsa2048", "rsa4096", "rsa2048-pkcs1"],
            &["", "sha256", "sha384", "Sha512"],
        ),
        (["ed25519"; 3], &["", "sha512"]),
    ] {
        for (name, hash) in names
            .iter()
            .flat_map(|name| hashes.iter().map(move |hash| (name, hash)))
        {
            let found = problems(&json!({"data": keys[name], "hashAlgorithm": hash}));
            assert!(found.is_empty(), "{name} with {hash}: {found:?}");
        }
    }
}

#[test]
fn a_hash_that_does_not_fit_is_a_problem_of_its_field() {
    let keys = keys();
    for (name, hash, start) in [
        ("p256", "shaINVALID", "invalid value: shaINVALID: "),
        ("p256", "sha1", "invalid value: sha1: "),
        ("p256", " ", "not supported yet by this version: "),
        ("rsa2048", "sha224", "not supported yet by this version: "),
        ("ed25519", "sha256", "not supported yet by this version: "),
    ] {
        let found = problems(&json!({"data": keys[name], "hashAlgorithm": hash}));
        let expected = format!("{start}spec.authorities[0].key.hashAlgorithm");
        assert!(
            matches!(found.as_slice(), [only] if only.starts_with(&expected)),
            "{name} with {hash:?}: {found:?}"
        );
    }
}

#[test]
fn an_unusable_key_is_a_problem_of_its_field_and_is_not_repeated() {
    let mut keys = keys();
    keys["none"] = json!("---somedata---");
    keys["private"] = json!(
        "-----BEGIN EC PRIVATE KEY-----\nbm90IGEga2V5LCBhbmQgaXQgbXVzdCBub3QgYmUgc2hvd24=\n-----END EC PRIVATE KEY-----\n"
    );
    for (name, words) in [
        ("none", "invalid value: ---somedata---: "),
        ("private", "is a private key"),
        ("certificate", "give the public key in it"),
        (
            "rsa1024",
            "RSA keys of 1024 bits are not supported: 2048 to 4096 bits are",
        ),
        (
            "rsa4104",
            "RSA keys of 4104 bits are not supported: 2048 to 4096 bits are",
        ),
        ("secp256k1", "on the curve secp256k1 are not supported"),
        ("ed448", "keys of the algorithm Ed448 are not supported"),
        (
            "rsa-pss",
            "keys of the algorithm RSASSA-PSS are not supported",
        ),
        ("p256-compressed", "not in uncompressed form"),
        ("p256-explicit", "its curve is not given by name"),
    ] {
        let found = problems(&json!({"data": keys[name]}));
        let [only] = found.as_slice() else {
            panic!("{name}: {found:?}");
        };
        assert!(only.contains("spec.authorities[0].key.data\n"), "{only}");
        assert!(only.contains(words), "{only}");
        let body = keys[name].as_str().unwrap().lines().nth(1);
        assert!(body.is_none_or(|body| !only.contains(body)), "{only}");
    }
}
