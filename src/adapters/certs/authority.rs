//! A certificate authority of our own, and the certificates that it issues: ECDSA P-256, one step from authority to certificate.

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData as _, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use spki::der::pem::{LineEnding, encode_string};
use webpki::EndEntityCert;

use super::{CertificateError, Pair, validity};

/// The name of every authority. They are told apart by their keys.
const AUTHORITY: &str = "vouchsafe webhook authority";
/// The name of every certificate. What counts are the alternative names.
const SUBJECT: &str = "vouchsafe webhook";

/// From when until when something is valid, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first moment.
    pub from: Timestamp,
    /// The last one, to the second.
    pub until: Timestamp,
}

/// The certificate of an authority: what clients are told to trust. Equal bytes, equal anchor.
#[derive(Clone)]
pub struct Anchor {
    certificate: CertificateDer<'static>,
    pem: String,
    not_after: Timestamp,
}

/// Issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    anchor: Anchor,
}

/// A certificate that was issued, with its key.
pub struct Issued {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

/// `localhost`, the loopback addresses and `names`, without empty ones. Addresses are spelled in one way.
pub fn with_loopback(names: &[String]) -> Vec<String> {
    let mut all = vec![
        "localhost".to_owned(),
        Ipv4Addr::LOCALHOST.to_string(),
        Ipv6Addr::LOCALHOST.to_string(),
    ];
    for name in names.iter().filter(|name| !name.is_empty()) {
        let address = name.parse().map(|address: IpAddr| address.to_string());
        let name = address.unwrap_or_else(|_| name.clone());
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

/// Holds that a certificate can be made for these names.
pub fn check_names(names: &[String]) -> Result<(), CertificateError> {
    CertificateParams::new(names)
        .map(drop)
        .map_err(|source| CertificateError::Issue {
            names: names.to_vec(),
            source,
        })
}

// === impl Window ===

impl Window {
    /// From `before` ahead of `now` until `life` after it; at the end of time, the end of time.
    pub fn around(now: Timestamp, before: Duration, life: Duration) -> Self {
        Self {
            from: now.checked_sub(before).unwrap_or(Timestamp::UNIX_EPOCH),
            until: now.checked_add(life).unwrap_or(Timestamp::MAX),
        }
    }

    /// The parameters of a certificate that is valid then, with this name.
    fn params(self, mut params: CertificateParams, name: &str) -> CertificateParams {
        let since_epoch = |time: Timestamp| {
            Duration::from_secs(u64::try_from(time.as_second()).unwrap_or_default())
        };
        let epoch = date_time_ymd(1970, 1, 1);
        params.not_before = epoch + since_epoch(self.from);
        params.not_after = epoch + since_epoch(self.until);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }
}

// === impl Anchor ===

impl Anchor {
    /// From the DER of a certificate.
    pub fn new(certificate: CertificateDer<'static>) -> Result<Self, CertificateError> {
        let not_after = validity::not_after(&certificate)
            .map_err(|source| CertificateError::Unreadable { source })?;
        let pem = encode_string("CERTIFICATE", LineEnding::LF, &certificate)
            .map_err(|source| CertificateError::Encoding { source })?;
        Ok(Self {
            certificate,
            pem,
            not_after,
        })
    }

    /// The certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The certificate in DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// When it expires.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

impl PartialEq for Anchor {
    fn eq(&self, other: &Self) -> bool {
        self.certificate == other.certificate
    }
}

impl Eq for Anchor {}

impl PartialOrd for Anchor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Anchor {
    fn cmp(&self, other: &Self) -> Ordering {
        self.certificate.as_ref().cmp(other.certificate.as_ref())
    }
}

impl std::fmt::Debug for Anchor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Anchor(until {})", self.not_after)
    }
}

// === impl Authority ===

impl Authority {
    /// A new authority, with a new key.
    pub fn new(window: Window) -> Result<Self, CertificateError> {
        let made = || {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            let params = authority_params(window);
            let certificate = params.self_signed(&key)?.der().clone();
            Ok((Issuer::new(params, key), certificate))
        };
        let (issuer, certificate) =
            made().map_err(|source| CertificateError::Authority { source })?;
        Ok(Self {
            issuer,
            anchor: Anchor::new(certificate)?,
        })
    }

    /// The authority with this certificate and this private key in PEM (PKCS #8). The key must belong to the certificate.
    pub fn restore(anchor: Anchor, key: &str) -> Result<Self, CertificateError> {
        let key =
            KeyPair::from_pem(key).map_err(|source| CertificateError::Authority { source })?;
        let certificate = EndEntityCert::try_from(&anchor.certificate)
            .map_err(|source| CertificateError::Chain { source })?;
        if certificate.subject_public_key_info().as_ref() != key.subject_public_key_info() {
            return Err(CertificateError::AuthorityKey);
        }
        // Of the parameters an issuer keeps the name and the uses of its key, which all of ours share.
        let window = Window {
            from: Timestamp::UNIX_EPOCH,
            until: anchor.not_after,
        };
        Ok(Self {
            issuer: Issuer::new(authority_params(window), key),
            anchor,
        })
    }

    /// Its certificate.
    pub fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// Its private key, in PEM. A secret.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A certificate for these names, with a new key. It does not outlive the authority.
    pub fn issue(&self, names: &[String], window: Window) -> Result<Issued, CertificateError> {
        let until = window.until.min(self.anchor.not_after);
        let from = window.from.min(until);
        let window = Window { from, until };
        let issued = || {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            let mut params = window.params(CertificateParams::new(names)?, SUBJECT);
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.use_authority_key_identifier_extension = true;
            Ok((params.signed_by(&key, &self.issuer)?, key))
        };
        let (certificate, key) = issued().map_err(|source| CertificateError::Issue {
            names: names.to_vec(),
            source,
        })?;
        Ok(Issued {
            certificate: certificate.der().clone(),
            key,
        })
    }
}

fn authority_params(window: Window) -> CertificateParams {
    let mut params = window.params(CertificateParams::default(), AUTHORITY);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

// === impl Issued ===

impl Issued {
    /// The certificate with the key that this PEM holds. Whether they belong together is seen by [`Issued::pair`].
    pub fn restore(
        certificate: CertificateDer<'static>,
        key: &str,
    ) -> Result<Self, CertificateError> {
        let key =
            KeyPair::from_pem(key).map_err(|source| CertificateError::Authority { source })?;
        Ok(Self { certificate, key })
    }

    /// The certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> Result<String, CertificateError> {
        encode_string("CERTIFICATE", LineEnding::LF, &self.certificate)
            .map_err(|source| CertificateError::Encoding { source })
    }

    /// Its private key, in PEM. A secret.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// What is shown in handshakes.
    pub fn pair(&self, now: Timestamp) -> Result<Pair, CertificateError> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        Pair::new(vec![self.certificate.clone()], key, now)
    }
}
