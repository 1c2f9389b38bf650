//! X.509 certificates, written field by field (RFC 5280), so that a test can have any of them.

use std::str::FromStr as _;

use jiff::Timestamp;
use x509_cert::der::asn1::{BitString, GeneralizedTime, ObjectIdentifier, OctetString, UtcTime};
use x509_cert::der::pem::{self, LineEnding};
use x509_cert::der::{Decode as _, Encode};
use x509_cert::ext::Extension;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::{Time, Validity};
use x509_cert::{Certificate, TbsCertificate, Version};

use super::key::Key;

/// What a certificate says, all but its signature.
#[derive(Clone)]
pub(crate) struct Draft(TbsCertificate);

/// The first and the last second at which something is good.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

/// An extension with this content.
pub(crate) fn extension(oid: &str, critical: bool, content: &impl Encode) -> Extension {
    raw_extension(oid, critical, content.to_der().unwrap())
}

/// An extension with these bytes.
pub(crate) fn raw_extension(oid: &str, critical: bool, content: Vec<u8>) -> Extension {
    Extension {
        extn_id: ObjectIdentifier::new_unwrap(oid),
        critical,
        extn_value: OctetString::new(content).unwrap(),
    }
}

/// A certificate in PEM.
pub(crate) fn pem(der: &[u8]) -> String {
    pem::encode_string("CERTIFICATE", LineEnding::LF, der).unwrap()
}

// === impl Draft ===

impl Draft {
    /// A certificate for `key`, of `subject` (`CN=x,O=y`, or nothing).
    pub(crate) fn new(subject: &str, key: &Key, window: Window) -> Self {
        // Serial numbers differ by what they are drawn from: the key and the first second.
        let serial = [&[1], &key.id()[..8], &window.from.as_second().to_be_bytes()].concat();
        Self(TbsCertificate {
            version: Version::V3,
            serial_number: SerialNumber::new(&serial).unwrap(),
            signature: key.certificate_algorithm(),
            issuer: Name::default(),
            validity: Validity {
                not_before: time(window.from),
                not_after: time(window.until),
            },
            subject: name(subject),
            subject_public_key_info: SubjectPublicKeyInfoOwned::from_der(key.spki()).unwrap(),
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: Some(Vec::new()),
        })
    }

    pub(crate) fn with(mut self, extension: Extension) -> Self {
        self.0.extensions.as_mut().unwrap().push(extension);
        self
    }

    /// Names the issuer and the algorithm that it signs with.
    pub(crate) fn issued_by(mut self, issuer: &str, key: &Key) -> Self {
        self.0.issuer = name(issuer);
        self.0.signature = key.certificate_algorithm();
        self
    }

    /// The part that is signed.
    pub(crate) fn to_be_signed(&self) -> Vec<u8> {
        self.0.to_der().unwrap()
    }

    /// The certificate in DER, signed with `key`.
    pub(crate) fn signed(self, key: &Key) -> Vec<u8> {
        let signature = key.sign(&self.to_be_signed());
        Certificate {
            signature_algorithm: key.certificate_algorithm(),
            signature: BitString::from_bytes(&signature).unwrap(),
            tbs_certificate: self.0,
        }
        .to_der()
        .unwrap()
    }
}

/// The parser refuses a name that says nothing, which signers have.
fn name(text: &str) -> Name {
    if text.is_empty() {
        return Name::default();
    }
    Name::from_str(text).unwrap()
}

/// Until 2049 certificates have the short form of time (RFC 5280, 4.1.2.5).
fn time(at: Timestamp) -> Time {
    let since = std::time::Duration::from_secs(u64::try_from(at.as_second()).unwrap());
    UtcTime::from_unix_duration(since).map_or_else(
        |_| GeneralizedTime::from_unix_duration(since).unwrap().into(),
        Time::from,
    )
}
