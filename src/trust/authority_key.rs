//! A certificate authority of which only the key is known: that is what a key management service tells of it.
//!
//! Whatever this key has signed was issued by the authority, whatever the authority calls itself. So the certificates that come with a
//! signature may name any issuer: for each name there is an authority with this key, and the path must end in its signature.

use std::time::Duration;

use serde_json::{Value, json};
use sigstore_types::DerCertificate;
use x509_cert::der::asn1::{BitString, GeneralizedTime};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::AsExtension as _;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};
use x509_cert::{Certificate, TbsCertificate, Version};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::InvalidTrustRoot;
use crate::limits::pem;

/// `ecdsa-with-SHA256`. What is trusted is not verified, so nobody looks at it.
const UNREAD: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// 9999-12-31T23:59:59Z, which means "no end" (RFC 5280 §4.1.2.5). In seconds.
const NEVER: Duration = Duration::from_secs(253_402_300_799);
/// The most names that are tried: signatures have no more certificates.
const NAMES: usize = 16;

/// The public key of a certificate authority.
#[derive(Clone, Debug)]
pub(super) struct AuthorityKey(SubjectPublicKeyInfoOwned);

impl AuthorityKey {
    pub(super) fn from_pem(text: &str) -> Result<Self, InvalidTrustRoot> {
        let der = pem::public_key(text.as_bytes()).map_err(|e| InvalidTrustRoot::unusable(&e))?;
        SubjectPublicKeyInfoOwned::from_der(&der)
            .map(Self)
            .map_err(|e| InvalidTrustRoot::unusable(&format_args!("not a public key: {e}")))
    }

    /// The authority under each of the names that these certificates have for their issuer, as a `trusted_root.json` has it.
    pub(super) fn issuing(
        &self,
        certificates: &[DerCertificate],
    ) -> Result<Vec<Value>, InvalidTrustRoot> {
        let mut names: Vec<Name> = Vec::new();
        for certificate in certificates.iter().take(NAMES) {
            // One that cannot be read is refused where it is verified.
            if let Ok(read) = Certificate::from_der(certificate.as_bytes())
                && !names.contains(&read.tbs_certificate.issuer)
            {
                names.push(read.tbs_certificate.issuer);
            }
        }
        let authorities = names.into_iter().map(|name| {
            let certificate = self.called(name)?;
            let der = certificate.to_der()?;
            Ok(json!({
                "uri": "",
                "certChain": {"certificates": [{"rawBytes": STANDARD.encode(der)}]},
            }))
        });
        let authorities: Result<_, x509_cert::der::Error> = authorities.collect();
        authorities.map_err(|e| InvalidTrustRoot::unusable(&e))
    }

    /// A certificate of this name and key, which carries both and is signed by nobody.
    fn called(&self, name: Name) -> Result<Certificate, x509_cert::der::Error> {
        let algorithm = AlgorithmIdentifierOwned {
            oid: UNREAD,
            parameters: None,
        };
        let time = |after| GeneralizedTime::from_unix_duration(after).map(Time::GeneralTime);
        let is_authority = BasicConstraints {
            ca: true,
            path_len_constraint: None,
        };
        let extension = is_authority.to_extension(&name, &[])?;
        Ok(Certificate {
            tbs_certificate: TbsCertificate {
                version: Version::V3,
                serial_number: SerialNumber::new(&[1])?,
                signature: algorithm.clone(),
                issuer: name.clone(),
                validity: Validity {
                    not_before: time(Duration::ZERO)?,
                    not_after: time(NEVER)?,
                },
                subject: name,
                subject_public_key_info: self.0.clone(),
                issuer_unique_id: None,
                subject_unique_id: None,
                extensions: Some(vec![extension]),
            },
            signature_algorithm: algorithm,
            signature: BitString::from_bytes(&[0])?,
        })
    }
}
