//! Certificates in annotations, which anybody may write.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use rstest::rstest;

use super::*;
use crate::evidence::Format;

fn certificate() -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap();
    certificate.der().to_vec()
}

fn block(content: &[u8]) -> String {
    let text = STANDARD.encode(content);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

fn read(annotations: &[(&str, String)]) -> Result<Material, DecodeError> {
    let annotations: HashMap<String, String> = annotations
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.clone()))
        .collect();
    Material::of_layer(&EvidenceLayer {
        format: Format::SignatureTag,
        digest: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
        size: 0,
        annotations,
    })
}

#[test]
fn certificates_are_kept_as_they_came_the_signers_first() {
    let (leaf, above) = (certificate(), certificate());
    let chain = format!("{}{}", block(&above), block(&above));
    let material = read(&[(CERTIFICATE, block(&leaf)), (CHAIN, chain)]).unwrap();
    let bytes: Vec<&[u8]> = material
        .certificates
        .iter()
        .map(DerCertificate::as_bytes)
        .collect();
    assert_eq!(bytes, [&leaf[..], &above, &above]);
}

/// T-58.
#[rstest]
#[case(CERTIFICATE)]
#[case(CHAIN)]
fn refuses_a_certificate_that_ends_too_soon(#[case] annotation: &str) {
    let whole = certificate();
    for length in 0..whole.len() {
        let mut annotations = vec![(CERTIFICATE, block(&whole))];
        annotations.retain(|(name, _)| *name != annotation);
        annotations.push((annotation, block(&whole[..length])));
        let refused = read(&annotations);
        assert!(
            matches!(&refused, Err(DecodeError::Annotation { annotation: named, .. }) if named == annotation),
            "{length}: {refused:?}"
        );
    }
}

#[test]
fn refuses_more_certificates_than_the_bound() {
    let many = block(&certificate()).repeat(CERTIFICATES);
    let leaf = block(&certificate());
    assert!(read(&[(CERTIFICATE, leaf.clone()), (CHAIN, many.clone())]).is_err());
    assert!(
        read(&[
            (CERTIFICATE, leaf.clone()),
            (CHAIN, format!("{many}{leaf}"))
        ])
        .is_err()
    );
}
