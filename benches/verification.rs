//! What verifying one piece of evidence costs, beside the bare signatures in it: those have to be checked whoever does it.
//!
//! In memory, from the bytes as a registry gives them to the proof. The evidence is made by the tests' own Sigstore. `cargo bench --bench
//! verification` measures, `cargo test --bench verification` only looks whether each piece is good. Nothing is held to a bar: times say
//! more about the machine than about the program. What the rows are made of: `docs/benchmarks.md`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench prints, and fails by panicking"
)]

#[path = "../tests/support/mutation.rs"]
mod mutation;
#[path = "../tests/support/sigstore/mod.rs"]
mod sigstore;
#[path = "../tests/mutations/specimen.rs"]
mod specimen;

use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm,
    EcdsaVerificationAlgorithm, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey,
    VerificationAlgorithm,
};

use sigstore::{Act, Algorithm, Form, Identity, Key, Logged, Sigstore, Version};
use specimen::{Asked, Specimen};

/// How often each is measured.
const MEASURED: usize = 300;
/// What is signed, where only the signature is looked at: as long as an attestation.
const MESSAGE: [u8; 1024] = [7; 1024];

/// One row: a piece of evidence, and the signatures that have to be checked for it.
struct Row {
    what: &'static str,
    specimen: Specimen,
    p256: u32,
    p384: u32,
    ed25519: u32,
}

/// What one bare signature costs.
struct Bare {
    p256: Duration,
    p384: Duration,
    ed25519: Duration,
}

fn main() {
    // `cargo bench` says so; `cargo test` does not.
    let is_measuring = std::env::args().any(|argument| argument == "--bench");
    let rows = rows();
    for row in &rows {
        assert!(row.specimen.is_good(), "{}", row.what);
    }
    if !is_measuring {
        println!("{} pieces of evidence, each of them good", rows.len());
        return;
    }
    let bare = Bare::measured();
    println!(
        "one signature: P-256 {:.1?}, P-384 {:.1?}, Ed25519 {:.1?}\n",
        bare.p256, bare.p384, bare.ed25519
    );
    println!(
        "  {:<44} {:>10}  {:>10}  ratio",
        "evidence", "verified", "signatures"
    );
    for row in &rows {
        let took = median(|| assert!(row.specimen.is_good()));
        let least = row.p256 * bare.p256 + row.p384 * bare.p384 + row.ed25519 * bare.ed25519;
        let ratio = took.as_secs_f64() / least.as_secs_f64();
        println!(
            "  {:<44} {took:>10.1?}  {least:>10.1?}  {ratio:>5.2}",
            row.what
        );
    }
}

fn rows() -> Vec<Row> {
    let sigstore = Sigstore::new();
    let by_key = |algorithm, form| {
        let act = Act::with_key(&Key::generate(algorithm)).logged(Logged::Nowhere);
        Specimen::of(&sigstore, form, &act, Asked::Nobody)
    };
    let keyless = |logged, form| {
        let who = Identity::workflow("shop/cart", "release.yml", "refs/tags/v1.4.0");
        let act = Act::by(who).logged(logged);
        let (act, asked) = match logged {
            Logged::V2 => (act.stamped(), Asked::Log),
            Logged::Nowhere => (act.stamped(), Asked::Stamps),
            _ => (act, Asked::Log),
        };
        Specimen::of(&sigstore, form, &act, asked)
    };
    let row = |what, specimen, [p256, p384, ed25519]: [u32; 3]| Row {
        what,
        specimen,
        p256,
        p384,
        ed25519,
    };
    let bundle = Form::Statement(Version::V03);
    vec![
        row(
            "key P-256, .sig",
            by_key(Algorithm::P256, Form::Signature),
            [1, 0, 0],
        ),
        row(
            "key P-256, bundle",
            by_key(Algorithm::P256, bundle),
            [1, 0, 0],
        ),
        row(
            "key P-384, .sig",
            by_key(Algorithm::P384, Form::Signature),
            [0, 1, 0],
        ),
        row(
            "key P-384, bundle",
            by_key(Algorithm::P384, bundle),
            [0, 1, 0],
        ),
        // The signer's, the certificate's own timestamp, the log's promise; the certificate.
        row(
            "identity, Rekor v1, .sig",
            keyless(Logged::Promised, Form::Signature),
            [3, 1, 0],
        ),
        // And the checkpoint.
        row(
            "identity, Rekor v1, bundle",
            keyless(Logged::Both, bundle),
            [4, 1, 0],
        ),
        // The signer's, the certificate's own timestamp, the stamp; the certificate, that of the stamp; the checkpoint.
        row(
            "identity, Rekor v2 and a stamp, bundle",
            keyless(Logged::V2, bundle),
            [3, 2, 1],
        ),
        row(
            "identity, a stamp and no log, bundle",
            keyless(Logged::Nowhere, bundle),
            [3, 2, 0],
        ),
    ]
}

/// The time that something takes, the half of the times being longer.
fn median(mut what: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..MEASURED)
        .map(|_| {
            let started = Instant::now();
            what();
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times.get(MEASURED / 2).copied().unwrap_or_default()
}

// === impl Bare ===

impl Bare {
    fn measured() -> Self {
        let ed25519 = Ed25519KeyPair::generate().unwrap();
        let signature = ed25519.sign(&MESSAGE);
        Self {
            p256: ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P256_SHA256_ASN1),
            p384: ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1),
            ed25519: verifying(&ED25519, ed25519.public_key().as_ref(), signature.as_ref()),
        }
    }
}

fn ecdsa(
    signing: &'static EcdsaSigningAlgorithm,
    algorithm: &'static EcdsaVerificationAlgorithm,
) -> Duration {
    let key = EcdsaKeyPair::generate(signing).unwrap();
    let signature = key.sign(&SystemRandom::new(), &MESSAGE).unwrap();
    verifying(algorithm, key.public_key().as_ref(), signature.as_ref())
}

/// From the bytes of the key to the answer, as everybody has to who gets the key as bytes.
fn verifying(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    signature: &[u8],
) -> Duration {
    median(|| {
        let key = UnparsedPublicKey::new(algorithm, key);
        key.verify(&MESSAGE, signature).unwrap();
    })
}
