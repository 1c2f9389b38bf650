//! Every kind of key with every hash, against signatures by OpenSSL and Go (`tests/data/keys`).

use std::collections::BTreeMap;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA512, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use spki::der::pem::{LineEnding, encode_string};

use super::*;

mod reading;

/// `tests/data/keys/keys.json`.
#[derive(Deserialize)]
struct Recorded {
    message: String,
    keys: BTreeMap<String, String>,
    signatures: Vec<Made>,
}

#[derive(Deserialize)]
struct Made {
    /// The name of its key.
    key: String,
    how: String,
    /// Base64.
    signature: String,
}

impl Recorded {
    fn load() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/keys/keys.json");
        let text = std::fs::read(path).expect("the recorded keys");
        serde_json::from_slice(&text).expect("the recorded keys")
    }

    fn signature(&self, key: &str, how: &str) -> Vec<u8> {
        let made = self.signatures.iter();
        let mut made = made.filter(|made| made.key == key && made.how == how);
        made.next().expect("a recorded signature").bytes()
    }
}

impl Made {
    fn bytes(&self) -> Vec<u8> {
        STANDARD.decode(&self.signature).expect("base64")
    }
}

fn armoured(label: &str, der: &[u8]) -> String {
    encode_string(label, LineEnding::LF, der).expect("PEM")
}

fn read(pem: &str, hash: &str) -> Result<PublicKey, InvalidKey> {
    match hash {
        "" => PublicKey::from_pem(pem),
        hash => PublicKey::from_pem_with_hash(pem, hash.parse().expect("a hash")),
    }
}

const RSA_SHA256: &[&str] = &["sha256", "pss-digest-sha256", "pss-max-sha256"];
const RSA_SHA384: &[&str] = &["sha384", "pss-digest-sha384", "pss-max-sha384"];
const RSA_SHA512: &[&str] = &["sha512", "pss-digest-sha512", "pss-max-sha512"];

/// Key, `hashAlgorithm`, and which signatures by this key count. Nothing else does.
const COUNTS: &[(&str, &str, &[&str])] = &[
    ("p256", "", &["sha256"]),
    ("p256", "sha224", &["sha224"]),
    ("p256", "sha256", &["sha256"]),
    ("p256", "sha384", &["sha384"]),
    ("p256", "sha512", &["sha512"]),
    ("p384", "", &["sha256", "sha384"]),
    ("p384", "sha224", &["sha224"]),
    ("p384", "sha256", &["sha256"]),
    ("p384", "sha384", &["sha384"]),
    ("p384", "sha512", &["sha512"]),
    ("p521", "", &["sha256", "sha512"]),
    ("p521", "sha224", &["sha224"]),
    ("p521", "sha256", &["sha256"]),
    ("p521", "sha384", &["sha384"]),
    ("p521", "sha512", &["sha512"]),
    ("rsa2048", "", RSA_SHA256),
    ("rsa2048", "sha256", RSA_SHA256),
    ("rsa2048", "sha384", RSA_SHA384),
    ("rsa2048", "sha512", RSA_SHA512),
    ("rsa2048-pkcs1", "", RSA_SHA256),
    ("rsa4096", "", RSA_SHA256),
    ("rsa4096", "sha256", RSA_SHA256),
    ("rsa4096", "sha384", RSA_SHA384),
    ("rsa4096", "sha512", RSA_SHA512),
    ("rsa4096-pkcs1", "", RSA_SHA256),
    ("ed25519", "", &["pure", "ph"]),
    ("ed25519", "sha512", &["pure", "ph"]),
];

#[test]
fn a_signature_counts_when_key_and_hash_are_the_policys_and_never_otherwise() {
    let recorded = Recorded::load();
    for (name, hash, counting) in COUNTS {
        let key = read(&recorded.keys[*name], hash).expect(name);
        let signer = name.trim_end_matches("-pkcs1");
        let mut counted = 0;
        for made in &recorded.signatures {
            let expected = made.key == signer && counting.contains(&made.how.as_str());
            counted += usize::from(expected);
            assert_eq!(
                key.verifies(recorded.message.as_bytes(), &made.bytes()),
                expected,
                "{name} with {hash:?}: {} {}",
                made.key,
                made.how
            );
        }
        assert_eq!(counted, counting.len(), "{name} with {hash:?}");
    }
}

#[test]
fn hashes_that_a_kind_of_key_is_not_used_with_are_refused() {
    let recorded = Recorded::load();
    for (name, hash) in [
        ("rsa2048", "sha224"),
        ("rsa4096-pkcs1", "sha224"),
        ("ed25519", "sha224"),
        ("ed25519", "sha256"),
        ("ed25519", "sha384"),
    ] {
        let refused = read(&recorded.keys[name], hash);
        assert!(
            matches!(&refused, Err(InvalidKey::Hash { hash: found, .. }) if found.as_str() == hash),
            "{name} with {hash}: {refused:?}"
        );
    }
}

#[test]
fn every_single_byte_of_message_and_signature_matters_for_every_kind_of_key() {
    let recorded = Recorded::load();
    let message = recorded.message.as_bytes();
    for (name, hash, counting) in COUNTS.iter().filter(|(name, ..)| !name.contains('-')) {
        let key = read(&recorded.keys[*name], hash).expect(name);
        for how in *counting {
            let good = recorded.signature(name, how);
            for at in 0..good.len() {
                let mut signature = good.clone();
                signature[at] ^= 1;
                assert!(!key.verifies(message, &signature), "{name} {how} {at}");
            }
            for at in 0..message.len() {
                let mut message = message.to_vec();
                message[at] ^= 1;
                assert!(!key.verifies(&message, &good), "{name} {how} {at}");
            }
        }
    }
}

#[test]
fn a_signature_of_another_length_never_counts() {
    let recorded = Recorded::load();
    let message = recorded.message.as_bytes();
    for (name, hash, counting) in COUNTS.iter().filter(|(name, ..)| !name.contains('-')) {
        let key = read(&recorded.keys[*name], hash).expect(name);
        assert!(!key.verifies(message, &[]), "{name}");
        for how in *counting {
            let good = recorded.signature(name, how);
            for other in [
                good[1..].to_vec(),
                good[..good.len() - 1].to_vec(),
                [&[0], good.as_slice()].concat(),
                [good.as_slice(), &[0]].concat(),
                good.repeat(2),
            ] {
                assert!(!key.verifies(message, &other), "{name} {how}");
            }
        }
    }
}

/// The two numbers of a DER signature whose length is below 128.
fn numbers(der: &[u8]) -> (&[u8], &[u8]) {
    let r = usize::from(der[3]);
    (&der[4..4 + r], &der[4 + r + 2..])
}

fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).expect("short");
    let body = [&[2, length(r)], r, &[2, length(s)], s].concat();
    [&[0x30, length(&body)], body.as_slice()].concat()
}

#[test]
fn an_ecdsa_signature_in_any_other_encoding_than_der_is_rejected() {
    let recorded = Recorded::load();
    for (name, how, width) in [("p256", "sha256", 32), ("p384", "sha384", 48)] {
        let key = PublicKey::from_pem(&recorded.keys[name]).expect(name);
        let good = recorded.signature(name, how);
        let (r, s) = numbers(&good);
        let verifies = |signature: &[u8]| key.verifies(recorded.message.as_bytes(), signature);
        assert!(verifies(&der(r, s)), "{name}");
        let fixed = |number: &[u8]| {
            let number = number.strip_prefix(&[0]).unwrap_or(number);
            [vec![0; width - number.len()], number.to_vec()].concat()
        };
        let padded = |number: &[u8]| [&[0], number].concat();
        let long_form = [&[0x30, 0x81], &good[1..]].concat();
        let indefinite = [&[0x30, 0x80], &good[2..], &[0, 0]].concat();
        for other in [
            [fixed(r), fixed(s)].concat(),
            der(&padded(r), s),
            der(r, &padded(s)),
            der(s, r),
            der(r, &[0]),
            der(&[0], s),
            der(&[0], &[0]),
            der(&[], &[]),
            long_form,
            indefinite,
        ] {
            assert!(!verifies(&other), "{name}: {other:02x?}");
        }
    }
}

#[test]
fn an_ed25519_signature_with_a_number_beyond_the_order_is_rejected() {
    // The order of the group, RFC 8032 §5.1, little-endian.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let recorded = Recorded::load();
    let key = PublicKey::from_pem(&recorded.keys["ed25519"]).expect("a key");
    for how in ["pure", "ph"] {
        let mut signature = recorded.signature("ed25519", how);
        assert!(key.verifies(recorded.message.as_bytes(), &signature));
        let mut carry = 0;
        for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
            let [low, high] = (u16::from(*byte) + u16::from(order) + carry).to_le_bytes();
            (*byte, carry) = (low, u16::from(high));
        }
        assert!(
            !key.verifies(recorded.message.as_bytes(), &signature),
            "{how}"
        );
    }
}

#[test]
fn keys_that_were_made_just_now_verify_their_own_signatures_and_no_others() {
    let random = SystemRandom::new();
    let message = b"made just now";
    let mut made = Vec::new();
    for algorithm in [
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        &ECDSA_P384_SHA384_ASN1_SIGNING,
        &ECDSA_P521_SHA512_ASN1_SIGNING,
    ] {
        let pair = EcdsaKeyPair::generate(algorithm).expect("entropy");
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("a public key");
        let signature = pair.sign(&random, message).expect("a signature");
        made.push((
            armoured("PUBLIC KEY", der.as_ref()),
            signature.as_ref().to_vec(),
        ));
    }
    let pair = Ed25519KeyPair::generate().expect("entropy");
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("a public key");
    made.push((
        armoured("PUBLIC KEY", der.as_ref()),
        pair.sign(message).as_ref().to_vec(),
    ));
    let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).expect("entropy");
    let mut signature = vec![0; pair.public_modulus_len()];
    let signed = pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
    assert!(signed.is_ok());
    made.push((
        armoured("RSA PUBLIC KEY", pair.public_key().as_ref()),
        signature.clone(),
    ));
    for (holder, (pem, _)) in made.iter().enumerate() {
        let key = PublicKey::from_pem(pem).expect("a key");
        for (signer, (_, signature)) in made.iter().enumerate() {
            assert_eq!(key.verifies(message, signature), holder == signer);
            assert!(!key.verifies(b"another message", signature));
        }
    }
    let signed = pair.sign(&RSA_PSS_SHA512, &random, message, &mut signature);
    assert!(signed.is_ok());
    let pem = armoured("RSA PUBLIC KEY", pair.public_key().as_ref());
    let pss = |hash| {
        read(&pem, hash)
            .expect("a key")
            .verifies(message, &signature)
    };
    assert_eq!(
        [pss("sha512"), pss("sha384"), pss("")],
        [true, false, false]
    );
}
