//! What is read as a key, and what is refused.

use super::*;
use crate::verify::Requirement;

fn refused(recorded: &Recorded, key: &str) -> InvalidKey {
    PublicKey::from_pem(&recorded.keys[key]).expect_err(key)
}

#[test]
fn weak_and_unknown_keys_are_refused_by_name() {
    let recorded = Recorded::load();
    for (name, bits) in [
        ("rsa1024", 1024),
        ("rsa1024-pkcs1", 1024),
        ("rsa2040", 2040),
        ("rsa4104", 4104),
    ] {
        let refused = refused(&recorded, name);
        assert!(
            matches!(refused, InvalidKey::RsaSize { found, least: 2048, most: 4096 } if found == bits),
            "{name}: {refused:?}"
        );
    }
    for (name, curve) in [
        ("secp224r1", "P-224"),
        ("secp256k1", "secp256k1"),
        ("brainpoolP256r1", "brainpoolP256r1"),
    ] {
        let found = curve.to_owned();
        assert_eq!(refused(&recorded, name), InvalidKey::Curve { found });
    }
    for (name, algorithm) in [
        ("rsa-pss", "RSASSA-PSS"),
        ("ed448", "Ed448"),
        ("x25519", "X25519"),
    ] {
        let found = algorithm.to_owned();
        assert_eq!(refused(&recorded, name), InvalidKey::Algorithm { found });
    }
    for name in ["p256-explicit", "p256-compressed"] {
        let refused = refused(&recorded, name);
        assert!(
            matches!(refused, InvalidKey::Encoding { .. }),
            "{name}: {refused:?}"
        );
    }
    let found = "CERTIFICATE".to_owned();
    assert_eq!(
        refused(&recorded, "certificate"),
        InvalidKey::Certificate { found }
    );
}

#[test]
fn a_private_key_is_refused_and_not_repeated() {
    for label in [
        "PRIVATE KEY",
        "EC PRIVATE KEY",
        "RSA PRIVATE KEY",
        "ENCRYPTED SIGSTORE PRIVATE KEY",
    ] {
        let pem = armoured(label, b"a very secret number");
        let refused = PublicKey::from_pem(&pem).expect_err("no public key");
        let found = label.to_owned();
        assert_eq!(refused, InvalidKey::PrivateKey { found });
        let body = pem.lines().nth(1).expect("a body");
        assert!(!refused.to_string().contains(body), "{refused}");
    }
}

/// `SubjectPublicKeyInfo` of an Ed25519 key, RFC 8410.
fn ed25519_spki(point: &[u8; 32]) -> Vec<u8> {
    [
        &[
            0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
        ],
        point.as_slice(),
    ]
    .concat()
}

#[test]
fn an_ed25519_key_that_anybody_can_sign_for_is_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut of_order_two = [0xff; 32];
    (of_order_two[0], of_order_two[31]) = (0xec, 0x7f);
    for point in [identity, of_order_two, [0; 32]] {
        let pem = armoured("PUBLIC KEY", &ed25519_spki(&point));
        assert_eq!(PublicKey::from_pem(&pem), Err(InvalidKey::SmallOrder));
    }
}

#[test]
fn an_rsa_key_with_an_exponent_that_proves_nothing_is_refused() {
    let recorded = Recorded::load();
    let (_, der) = spki::Document::from_pem(&recorded.keys["rsa2048-pkcs1"]).expect("PEM");
    // SEQUENCE with a length of two bytes, the modulus, the exponent 65537 as five bytes.
    let modulus = &der.as_bytes()[4..der.as_bytes().len() - 5];
    let with_exponent = |exponent: &[u8]| {
        let body = [
            modulus,
            &[2, u8::try_from(exponent.len()).expect("short")],
            exponent,
        ]
        .concat();
        let length = u16::try_from(body.len()).expect("short").to_be_bytes();
        let der = [&[0x30, 0x82], length.as_slice(), body.as_slice()].concat();
        PublicKey::from_pem(&armoured("RSA PUBLIC KEY", &der))
    };
    assert!(with_exponent(&[1, 0, 1]).is_ok());
    for exponent in [[0].as_slice(), &[1], &[2], &[0xff], &[1, 0, 0], &[0x7f; 8]] {
        assert!(with_exponent(exponent).is_err(), "{exponent:02x?}");
    }
}

#[test]
fn a_key_that_is_not_exactly_its_encoding_is_refused() {
    let recorded = Recorded::load();
    for name in ["p256", "p384", "p521", "rsa2048", "ed25519"] {
        let pem = &recorded.keys[name];
        let (_, der) = spki::Document::from_pem(pem).expect("PEM");
        let der = der.as_bytes();
        assert!(PublicKey::from_pem(&armoured("PUBLIC KEY", der)).is_ok());
        // A bit of the point, a byte too many, a byte too few, another label.
        let mut bent = der.to_vec();
        if let Some(last) = bent.last_mut() {
            *last ^= 1;
        }
        let longer = [der, &[0]].concat();
        let shorter = &der[..der.len() - 1];
        assert!(PublicKey::from_pem(&armoured("PUBLIC KEY", &longer)).is_err());
        assert!(PublicKey::from_pem(&armoured("PUBLIC KEY", shorter)).is_err());
        assert!(PublicKey::from_pem(&armoured("RSA PUBLIC KEY", der)).is_err());
        if name.starts_with('p') {
            assert!(
                PublicKey::from_pem(&armoured("PUBLIC KEY", &bent)).is_err(),
                "{name}: not a point on the curve"
            );
        }
    }
}

#[test]
fn of_several_blocks_the_first_counts_even_when_it_is_broken() {
    let recorded = Recorded::load();
    let (first, second) = (&recorded.keys["p384"], &recorded.keys["p256"]);
    let wanted = PublicKey::from_pem(first).expect("a key");
    for text in [
        format!("{first}{second}"),
        format!("a remark\n{first}\n{second}"),
        format!("a remark about -----BEGIN PUBLIC KEY-----\n{first}{second}"),
        format!("{first}not a block"),
        first.replace('\n', "\r\n"),
        first.trim_end().to_owned(),
    ] {
        assert_eq!(PublicKey::from_pem(&text).as_ref(), Ok(&wanted), "{text:?}");
    }
    let broken = first.replacen("\nM", "\n!", 1);
    for text in [
        format!("{broken}{second}"),
        format!("-----BEGIN PUBLIC KEY-----\n{second}"),
        format!("{}{second}", armoured("SOMETHING ELSE", b"x")),
        format!("{}{second}", armoured("PUBLIC KEY", b"")),
    ] {
        assert!(PublicKey::from_pem(&text).is_err(), "{text:?}");
    }
}

#[test]
fn a_key_on_one_line_is_read() {
    let recorded = Recorded::load();
    let pem = &recorded.keys["rsa2048"];
    let body: String = pem.lines().filter(|line| !line.contains("--")).collect();
    let one_line = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
    assert_eq!(PublicKey::from_pem(&one_line), PublicKey::from_pem(pem));
}

#[test]
fn a_text_that_is_no_key_is_refused() {
    for text in ["", "---somedata---", "BEGIN", " -----BEGIN PUBLIC KEY-----"] {
        assert_eq!(PublicKey::from_pem(text), Err(InvalidKey::NoPem), "{text}");
    }
    for text in [
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN ",
        "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\n\n-----END ",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\nÄÖÜ\n-----END PUBLIC KEY-----",
    ] {
        let refused = PublicKey::from_pem(text);
        assert!(
            matches!(refused, Err(InvalidKey::Encoding { .. })),
            "{text}: {refused:?}"
        );
    }
    assert!(matches!(
        PublicKey::from_pem(&"x".repeat(1 << 20)),
        Err(InvalidKey::TooLong { .. })
    ));
}

#[test]
fn one_key_has_one_fingerprint_and_each_hash_makes_another_requirement() {
    let recorded = Recorded::load();
    let spki = PublicKey::from_pem(&recorded.keys["rsa2048"]).expect("a key");
    let pkcs1 = PublicKey::from_pem(&recorded.keys["rsa2048-pkcs1"]).expect("a key");
    assert_eq!(spki.fingerprint(), pkcs1.fingerprint());
    assert_eq!(spki, pkcs1);
    let mut ids = Vec::new();
    for key in ["p256", "p384"] {
        for hash in ["", "sha224", "sha256", "sha384", "sha512"] {
            let key = read(&recorded.keys[key], hash).expect("a key");
            ids.push(Requirement::key(key).id());
        }
    }
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[..at].contains(id), "{at}");
    }
    assert_eq!(Requirement::key(spki).id(), Requirement::key(pkcs1).id());
}

#[test]
fn a_hash_is_named_in_any_case_with_space_around_it() {
    for (name, hash) in [
        ("sha224", HashAlgorithm::Sha224),
        ("SHA256", HashAlgorithm::Sha256),
        (" Sha384\n", HashAlgorithm::Sha384),
        ("\tsha512", HashAlgorithm::Sha512),
    ] {
        assert_eq!(name.parse(), Ok(hash));
    }
    for name in ["", " ", "sha1", "sha-256", "shaINVALID", "sha 256", "md5"] {
        assert_eq!(name.parse::<HashAlgorithm>(), Err(UnknownHash), "{name}");
    }
}
