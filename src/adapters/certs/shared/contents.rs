//! What the Secret holds, and how it is written there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::super::{Anchor, Authority, CertificateError, Issued, Pair};
use super::ANCHORS;

/// Everything that is trusted, in PEM. The first one issues certificates now.
const TRUSTED: &str = "ca.crt";
/// The key of the first one.
const AUTHORITY_KEY: &str = "ca.key";
/// The authority that takes over next; it is also in [`TRUSTED`].
const NEXT: &str = "next-ca.crt";
const NEXT_KEY: &str = "next-ca.key";
/// The serving certificate.
const CERTIFICATE: &str = "tls.crt";
const CERTIFICATE_KEY: &str = "tls.key";
/// When the first of [`TRUSTED`] took over from those that are neither it nor the next one.
const SUCCEEDED: &str = "succeeded-at";

/// Every key of the Secret that is ours.
const OURS: [&str; 7] = [
    TRUSTED,
    AUTHORITY_KEY,
    NEXT,
    NEXT_KEY,
    CERTIFICATE,
    CERTIFICATE_KEY,
    SUCCEEDED,
];

/// The most that one value may have, in bytes.
const VALUE_BYTES: usize = 64 << 10;

/// What replicas share. Cheap to clone.
#[derive(Clone)]
pub struct Contents {
    /// Issues certificates.
    pub(super) authority: Arc<Authority>,
    /// The serving certificate.
    pub(super) certificate: Arc<Issued>,
    /// Its names.
    pub(super) names: BTreeSet<String>,
    /// When it expires.
    pub(super) not_after: Timestamp,
    /// Issues certificates next; trusted already.
    pub(super) next: Option<Arc<Authority>>,
    /// Issued certificates before, the oldest first; trusted still.
    pub(super) previous: Vec<Anchor>,
    /// When the last of them was succeeded.
    pub(super) succeeded: Option<Timestamp>,
}

/// Why what a Secret holds cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A value is missing.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// A value is larger than any of ours.
    #[error("its {key} is larger than {limit} bytes")]
    TooLarge {
        /// The key of the value.
        key: &'static str,
        /// The bound, in bytes.
        limit: usize,
    },
    /// A value is not what it should be.
    #[error("its {key} is no {wanted}")]
    Malformed {
        /// The key of the value.
        key: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// A certificate or a key cannot be used, or belongs to another one.
    #[error("its {key} cannot be used")]
    Certificate {
        /// The key of the value.
        key: &'static str,
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
    /// More authorities are trusted than ever at once.
    #[error("its ca.crt has more than {limit} certificates")]
    TooMany {
        /// The bound.
        limit: usize,
    },
    /// The next authority is not a trusted one.
    #[error("its next-ca.crt is not in its ca.crt")]
    NotAnnounced,
}

// === impl Contents ===

impl Contents {
    /// A certificate of `authority`, and no other authority.
    pub(super) fn new(
        authority: Arc<Authority>,
        certificate: Issued,
    ) -> Result<Self, CertificateError> {
        let leaf = Anchor::new(certificate.certificate().clone())?;
        issued_by(&leaf, authority.anchor())?;
        let names = names(certificate.certificate())?;
        Ok(Self {
            authority,
            certificate: Arc::new(certificate),
            names,
            not_after: leaf.not_after(),
            next: None,
            previous: Vec::new(),
            succeeded: None,
        })
    }

    /// Reads the values of a Secret. That something has expired is no reason to refuse it.
    ///
    /// # Errors
    /// Something is missing, half-written, or belongs to something else.
    pub fn read(values: &BTreeMap<String, Vec<u8>>) -> Result<Self, Unusable> {
        let mut trusted = anchors(values, TRUSTED)?.into_iter();
        let first = trusted.next().ok_or(Unusable::Missing(TRUSTED))?;
        let authority = restore(values, first, AUTHORITY_KEY)?;
        let next = match anchors(values, NEXT) {
            Err(Unusable::Missing(_)) => None,
            Err(other) => return Err(other),
            Ok(found) => {
                let next = found.into_iter().next().ok_or(Unusable::Missing(NEXT))?;
                Some(restore(values, next, NEXT_KEY)?)
            }
        };
        let is_next = |anchor: &Anchor| next.as_ref().is_some_and(|next| next.anchor() == anchor);
        let trusted: Vec<Anchor> = trusted.collect();
        if next.is_some() && !trusted.iter().any(is_next) {
            return Err(Unusable::NotAnnounced);
        }
        let previous: Vec<Anchor> = trusted.into_iter().filter(|one| !is_next(one)).collect();
        let succeeded = if previous.is_empty() {
            None
        } else {
            Some(time(values, SUCCEEDED)?)
        };
        Ok(Self {
            next,
            previous,
            succeeded,
            ..Self::new(authority, certificate(values)?).map_err(unusable(CERTIFICATE))?
        })
    }

    /// The values of the Secret that holds this; every other one of ours is to be removed ([`Contents::is_ours`]).
    pub fn write(&self) -> Result<BTreeMap<String, Vec<u8>>, CertificateError> {
        let mut values = vec![
            (TRUSTED, self.bundle()),
            (AUTHORITY_KEY, self.authority.key_pem()),
            (CERTIFICATE, self.certificate.certificate_pem()?),
            (CERTIFICATE_KEY, self.certificate.key_pem()),
        ];
        if let Some(next) = &self.next {
            values.push((NEXT, next.anchor().pem().to_owned()));
            values.push((NEXT_KEY, next.key_pem()));
        }
        if let Some(succeeded) = self.succeeded {
            values.push((SUCCEEDED, succeeded.to_string()));
        }
        let values = values.into_iter();
        Ok(values
            .map(|(key, value)| (key.to_owned(), value.into_bytes()))
            .collect())
    }

    /// Whether a value of this key is one of ours.
    pub fn is_ours(key: &str) -> bool {
        OURS.contains(&key)
    }

    /// What clients are to trust, in PEM: the authority that issues, the next one, those before.
    pub fn bundle(&self) -> String {
        self.anchors().map(Anchor::pem).collect()
    }

    /// What clients are to trust.
    pub fn trusted(&self) -> BTreeSet<Anchor> {
        self.anchors().cloned().collect()
    }

    fn anchors(&self) -> impl Iterator<Item = &Anchor> {
        let next = self.next.as_ref().map(|next| next.anchor());
        let first = std::iter::once(self.authority.anchor());
        first.chain(next).chain(&self.previous)
    }

    /// The authority that issues.
    pub fn anchor(&self) -> &Anchor {
        self.authority.anchor()
    }

    /// The serving certificate, in DER.
    pub fn certificate(&self) -> &[u8] {
        self.certificate.certificate()
    }

    /// The certificate as it is shown in handshakes.
    ///
    /// # Errors
    /// It has expired at `now`.
    pub fn pair(&self, now: Timestamp) -> Result<Pair, CertificateError> {
        self.certificate.pair(now)
    }
}

/// What it holds, without its keys.
impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents")
            .field("authority", self.authority.anchor())
            .field("not_after", &self.not_after)
            .field("names", &self.names)
            .field("next", &self.next.as_ref().map(|next| next.anchor()))
            .field("previous", &self.previous)
            .field("succeeded", &self.succeeded)
            .finish_non_exhaustive()
    }
}

fn unusable(key: &'static str) -> impl FnOnce(CertificateError) -> Unusable {
    move |source| Unusable::Certificate { key, source }
}

fn text<'a>(
    values: &'a BTreeMap<String, Vec<u8>>,
    key: &'static str,
    wanted: &'static str,
) -> Result<&'a str, Unusable> {
    let value = values.get(key).ok_or(Unusable::Missing(key))?;
    if value.len() > VALUE_BYTES {
        let limit = VALUE_BYTES;
        return Err(Unusable::TooLarge { key, limit });
    }
    std::str::from_utf8(value).map_err(|_| Unusable::Malformed { key, wanted })
}

/// The certificates of a value, at least one.
fn anchors(values: &BTreeMap<String, Vec<u8>>, key: &'static str) -> Result<Vec<Anchor>, Unusable> {
    let wanted = "certificate in PEM";
    let pem = text(values, key, wanted)?;
    let malformed = || Unusable::Malformed { key, wanted };
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| malformed())?;
    match found.len() {
        0 => Err(malformed()),
        1..=ANCHORS => found
            .into_iter()
            .map(|one| Anchor::new(one).map_err(unusable(key)))
            .collect(),
        _ => Err(Unusable::TooMany { limit: ANCHORS }),
    }
}

fn restore(
    values: &BTreeMap<String, Vec<u8>>,
    anchor: Anchor,
    key: &'static str,
) -> Result<Arc<Authority>, Unusable> {
    let pem = text(values, key, "private key in PEM")?;
    let authority = Authority::restore(anchor, pem).map_err(unusable(key))?;
    Ok(Arc::new(authority))
}

fn certificate(values: &BTreeMap<String, Vec<u8>>) -> Result<Issued, Unusable> {
    let leaf = anchors(values, CERTIFICATE)?.into_iter().next();
    let leaf = leaf.ok_or(Unusable::Missing(CERTIFICATE))?;
    let key = text(values, CERTIFICATE_KEY, "private key in PEM")?;
    let issued = Issued::restore(leaf.certificate().clone(), key);
    let issued = issued.map_err(unusable(CERTIFICATE_KEY))?;
    // Looked at when it ends, so that one that has ended passes: what is asked is whether the two belong together.
    issued
        .pair(leaf.not_after())
        .map_err(unusable(CERTIFICATE_KEY))?;
    Ok(issued)
}

fn time(values: &BTreeMap<String, Vec<u8>>, key: &'static str) -> Result<Timestamp, Unusable> {
    let wanted = "time of RFC 3339";
    let read = text(values, key, wanted)?.trim().parse();
    read.map_err(|_| Unusable::Malformed { key, wanted })
}

/// Holds that the certificate is one of the authority, at the moment when it ends.
fn issued_by(leaf: &Anchor, authority: &Anchor) -> Result<(), CertificateError> {
    let chain = |source| CertificateError::Chain { source };
    let trusted = [anchor_from_trusted_cert(authority.certificate()).map_err(chain)?];
    let certificate = EndEntityCert::try_from(leaf.certificate()).map_err(chain)?;
    let end = u64::try_from(leaf.not_after().as_second()).unwrap_or_default();
    let end = UnixTime::since_unix_epoch(std::time::Duration::from_secs(end));
    let algorithms = default_provider().signature_verification_algorithms.all;
    let usage = KeyUsage::server_auth();
    certificate
        .verify_for_usage(algorithms, &trusted, &[], end, usage, None, None)
        .map_err(chain)?;
    Ok(())
}

/// The alternative names of a certificate that are DNS names or addresses.
fn names(certificate: &CertificateDer<'_>) -> Result<BTreeSet<String>, CertificateError> {
    let unreadable = |_| CertificateError::Names;
    let parsed = Certificate::from_der(certificate).map_err(unreadable)?;
    let found = parsed.tbs_certificate.get::<SubjectAltName>();
    let Some((_, SubjectAltName(found))) = found.map_err(unreadable)? else {
        return Ok(BTreeSet::new());
    };
    let name = |name: GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(octets) => {
            let octets = octets.as_bytes();
            let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
            let sixteen = || <[u8; 16]>::try_from(octets).map(IpAddr::from);
            let address = four.or_else(|_| sixteen()).ok()?;
            Some(address.to_string())
        }
        _ => None,
    };
    Ok(found.into_iter().filter_map(name).collect())
}
