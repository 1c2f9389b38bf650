//! What certificates say, as Fulcio writes them.

use rcgen::{
    CertificateParams, CustomExtension, DnType, KeyPair, OtherNameValue, SanType, string::Ia5String,
};

use super::*;

const FULCIO: [u64; 8] = [1, 3, 6, 1, 4, 1, 57264, 1];

fn extension(number: u64, value: &[u8]) -> CustomExtension {
    let oid: Vec<u64> = FULCIO.iter().copied().chain([number]).collect();
    CustomExtension::from_oid_content(&oid, value.to_vec())
}

/// DER of an `UTF8String`.
fn utf8(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    [&[0x0c, length], text.as_bytes()].concat()
}

fn certificate(names: Vec<SanType>, extensions: Vec<CustomExtension>) -> DerCertificate {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "nobody");
    params.subject_alt_names = names;
    params.custom_extensions = extensions;
    let certificate = params.self_signed(&key).unwrap();
    DerCertificate::new(certificate.der().to_vec())
}

fn ia5(text: &str) -> Ia5String {
    text.try_into().unwrap()
}

#[test]
fn subjects_are_told_by_type_and_in_the_order_of_policy_controller() {
    let user_name: Vec<u64> = FULCIO.iter().copied().chain([7]).collect();
    let names = vec![
        SanType::OtherName((user_name, OtherNameValue::Utf8String("dev!x".to_owned()))),
        SanType::OtherName((
            vec![1, 2, 3, 4],
            OtherNameValue::Utf8String("no".to_owned()),
        )),
        SanType::URI(ia5("https://example.com/ci")),
        SanType::IpAddress([127, 0, 0, 1].into()),
        SanType::Rfc822Name(ia5("dev@example.com")),
        SanType::DnsName(ia5("example.com")),
    ];
    let holder = Holder::of(&certificate(names, Vec::new())).unwrap();
    assert_eq!(
        holder.subjects,
        [
            Subject::Dns("example.com".to_owned()),
            Subject::Email("dev@example.com".to_owned()),
            Subject::Uri("https://example.com/ci".to_owned()),
            Subject::UserName("dev!x".to_owned()),
        ]
    );
    assert_eq!((holder.subject(), holder.issuer()), ("example.com", ""));
}

/// The common name is what anybody may ask for.
#[test]
fn a_certificate_without_names_has_no_subject() {
    let holder = Holder::of(&certificate(Vec::new(), Vec::new())).unwrap();
    assert_eq!((holder.subjects.len(), holder.issuer), (0, None));
}

#[test]
fn the_issuer_is_the_current_extension_and_the_old_one_only_where_that_is_absent() {
    let old = || extension(1, b"https://old.example.com");
    let issuer = |extensions| {
        Holder::of(&certificate(Vec::new(), extensions))
            .unwrap()
            .issuer
    };
    assert_eq!(
        issuer(vec![old()]).as_deref(),
        Some("https://old.example.com")
    );
    let both = vec![old(), extension(8, &utf8("https://new.example.com"))];
    assert_eq!(issuer(both).as_deref(), Some("https://new.example.com"));
    let malformed = vec![old(), extension(8, b"https://new.example.com")];
    assert!(Holder::of(&certificate(Vec::new(), malformed)).is_err());
}

#[test]
fn the_workflow_is_told_as_far_as_the_certificate_does() {
    let extensions = vec![
        extension(2, b"push"),
        extension(3, b"abcd"),
        extension(4, b"Release"),
        extension(5, b"o/r"),
        extension(6, b"refs/heads/main"),
    ];
    let holder = Holder::of(&certificate(Vec::new(), extensions)).unwrap();
    let said = |text: &str| Some(text.to_owned());
    assert_eq!(
        holder.github,
        GithubWorkflow {
            trigger: said("push"),
            sha: said("abcd"),
            name: said("Release"),
            repository: said("o/r"),
            reference: said("refs/heads/main"),
        }
    );
}

#[test]
fn what_is_no_certificate_says_nothing() {
    assert!(Holder::of(&DerCertificate::new(b"no certificate".to_vec())).is_err());
}
