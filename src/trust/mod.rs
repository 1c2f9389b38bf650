//! Trust material: what verification trusts besides a policy's own keys, and the epoch that names its state.
//!
//! *In*: a `trusted_root.json` ([`TrustMaterial::from_trusted_root_json`]), wherever it came from, or the certificates of a certificate
//! authority of one's own, or its public key. *Out*: certificate authorities, certificate transparency logs, transparency logs and
//! timestamp authorities, each with its validity window, made ready once; or the reason why they cannot be used ([`InvalidTrustRoot`]).
//! What is trusted for what can come from several roots ([`TrustMaterial::combined`]).
//!
//! Windows include both ends. One that is malformed, a log that is named twice, a key that cannot be verified with: the whole root is
//! refused, since what is left of it may be less than its author thinks (T-35).
//!
//! Its [`Epoch`] keys everything that is remembered about evidence, so that a change of trust makes older memories unreachable rather
//! than stale.

mod authority_key;
mod error;
mod logs;
mod root;

pub mod archive;
pub mod sigstore_keys;
pub mod tuf;

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use sigstore_crypto::{Keyring, SigningScheme};
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{DerCertificate, TimeRange, TsaAuthority};
use sigstore_verify::Verifier;

use authority_key::AuthorityKey;

pub use error::InvalidTrustRoot;
pub use logs::Logs;

/// What is trusted, at one moment. Cheap to clone: everything behind it is shared.
#[derive(Clone)]
pub struct TrustMaterial {
    epoch: Epoch,
    /// `None`: nobody but the keys that policies name.
    prepared: Option<Arc<Prepared>>,
}

/// A trusted root and what was made of it.
struct Prepared {
    root: TrustedRoot,
    verifier: Verifier,
    logs: Logs,
    /// An authority that is known by its key alone.
    authority_key: Option<AuthorityKey>,
}

/// The identity of a state of trust: equal material, equal epoch.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch([u8; 32]);

/// Which root is trusted for what.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Whose certificate authorities issue signing certificates.
    pub authorities: &'a TrustMaterial,
    /// Whose certificate transparency logs record them.
    pub certificate_logs: &'a TrustMaterial,
    /// Whose transparency logs record signatures.
    pub logs: &'a TrustMaterial,
    /// Whose timestamp authorities count.
    pub timestamp_authorities: &'a TrustMaterial,
}

// === impl TrustMaterial ===

impl TrustMaterial {
    /// No authorities and no logs: only keys that policies name themselves.
    pub fn keys_only() -> Self {
        Self {
            epoch: Epoch::of("keys only", &[]),
            prepared: None,
        }
    }

    /// Reads a `trusted_root.json`.
    ///
    /// # Errors
    /// See [`InvalidTrustRoot`].
    pub fn from_trusted_root_json(json: &[u8]) -> Result<Self, InvalidTrustRoot> {
        let root = root::parse(json)?;
        Self::prepare(root, Epoch::of("trusted root", &[json]), None)
    }

    /// The certificates of one certificate authority in PEM, or its public key, and nothing else. There is no window but their own.
    ///
    /// # Errors
    /// See [`InvalidTrustRoot`].
    pub fn from_certificate_authority_pem(pem: &str) -> Result<Self, InvalidTrustRoot> {
        let epoch = Epoch::of("certificate authority", &[pem.as_bytes()]);
        if pem.trim_start().starts_with("-----BEGIN PUBLIC KEY-----") {
            let key = AuthorityKey::from_pem(pem)?;
            return Self::prepare(root::empty()?, epoch, Some(key));
        }
        Self::prepare(root::of_certificates(pem)?, epoch, None)
    }

    /// The same for what comes with these certificates, where an authority is known by its key alone; `None` where none is.
    ///
    /// # Errors
    /// [`InvalidTrustRoot::Unusable`]: the certificates name issuers that cannot be written as certificates.
    pub fn issuing(
        &self,
        certificates: &[DerCertificate],
    ) -> Result<Option<Self>, InvalidTrustRoot> {
        let Some((prepared, key)) = self
            .prepared
            .as_ref()
            .and_then(|prepared| Some((prepared, prepared.authority_key.as_ref()?)))
        else {
            return Ok(None);
        };
        let mut root = prepared.root.clone();
        let issuers = root::of_authorities(&key.issuing(certificates)?)?;
        root.certificate_authorities
            .extend(issuers.certificate_authorities);
        Self::prepare(root, self.epoch, None).map(Some)
    }

    /// Each kind of trust from a root of its own.
    ///
    /// # Errors
    /// [`InvalidTrustRoot::Unusable`], which does not happen with parts that could be used apart.
    pub fn combined(parts: Parts<'_>) -> Result<Self, InvalidTrustRoot> {
        let sources = [
            parts.authorities,
            parts.certificate_logs,
            parts.logs,
            parts.timestamp_authorities,
        ];
        if sources
            .iter()
            .all(|source| source.epoch == parts.authorities.epoch)
        {
            return Ok(parts.authorities.clone());
        }
        let mut root = root::empty()?;
        if let Some(from) = &parts.authorities.prepared {
            root.certificate_authorities
                .clone_from(&from.root.certificate_authorities);
        }
        if let Some(from) = &parts.certificate_logs.prepared {
            root.ctlogs.clone_from(&from.root.ctlogs);
        }
        if let Some(from) = &parts.logs.prepared {
            root.tlogs.clone_from(&from.root.tlogs);
        }
        if let Some(from) = &parts.timestamp_authorities.prepared {
            root.timestamp_authorities
                .clone_from(&from.root.timestamp_authorities);
        }
        let epochs = sources.map(|source| source.epoch.0);
        let epochs: Vec<&[u8]> = epochs.iter().map(<[u8; 32]>::as_slice).collect();
        let authority_key = parts.authorities.prepared.as_ref();
        let authority_key = authority_key.and_then(|prepared| prepared.authority_key.clone());
        Self::prepare(root, Epoch::of("combined", &epochs), authority_key)
    }

    fn prepare(
        root: TrustedRoot,
        epoch: Epoch,
        authority_key: Option<AuthorityKey>,
    ) -> Result<Self, InvalidTrustRoot> {
        let verifier = Verifier::new(&root).map_err(|e| InvalidTrustRoot::unusable(&e))?;
        let logs = Logs::of(&root)?;
        let prepared = Prepared {
            root,
            verifier,
            logs,
            authority_key,
        };
        Ok(Self {
            epoch,
            prepared: Some(Arc::new(prepared)),
        })
    }

    /// The identity of this state.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The same as a `trusted_root.json`; `None` where only keys of policies are trusted, or where it cannot be written so.
    pub fn trusted_root_json(&self) -> Option<String> {
        let prepared = self.prepared.as_ref()?;
        serde_json::to_string_pretty(&prepared.root).ok()
    }

    /// Whether there is a certificate authority in it.
    pub fn has_certificate_authorities(&self) -> bool {
        self.prepared.as_ref().is_some_and(|p| {
            !p.root.certificate_authorities.is_empty() || p.authority_key.is_some()
        })
    }

    /// Whether there is a transparency log in it.
    pub fn has_logs(&self) -> bool {
        self.prepared
            .as_ref()
            .is_some_and(|p| !p.root.tlogs.is_empty())
    }

    /// Whether there is a timestamp authority in it.
    pub fn has_timestamp_authorities(&self) -> bool {
        self.prepared
            .as_ref()
            .is_some_and(|p| !p.root.timestamp_authorities.is_empty())
    }

    /// What verifies signatures by certificate; `None` where only keys are trusted.
    pub fn verifier(&self) -> Option<&Verifier> {
        self.prepared.as_ref().map(|prepared| &prepared.verifier)
    }

    /// Its transparency logs; `None` where only keys of policies are trusted.
    pub fn logs(&self) -> Option<&Logs> {
        self.prepared.as_ref().map(|prepared| &prepared.logs)
    }

    /// The keys of its certificate transparency logs that sign so; `None` where there is none.
    pub fn certificate_logs(&self, scheme: SigningScheme) -> Option<Keyring> {
        let prepared = self.prepared.as_ref()?;
        let keys = prepared.root.ctfe_keys(scheme).ok()?;
        (!keys.is_empty()).then_some(keys)
    }

    /// Its timestamp authorities, each with its own chain and window.
    pub fn timestamp_authorities(&self) -> Vec<TsaAuthority> {
        self.prepared
            .as_ref()
            .map(|prepared| prepared.root.tsa_authorities())
            .unwrap_or_default()
    }

    /// The certificates of its certificate authorities, each with the window in which it is trusted.
    pub fn certificate_authorities(
        &self,
    ) -> impl Iterator<Item = (&DerCertificate, Option<TimeRange>)> {
        let authorities = self
            .prepared
            .iter()
            .flat_map(|prepared| &prepared.root.certificate_authorities);
        authorities.flat_map(|authority| {
            let certificates = authority.cert_chain.certificates.iter();
            certificates.map(|certificate| (&certificate.raw_bytes, authority.valid_for))
        })
    }
}

impl PartialEq for TrustMaterial {
    fn eq(&self, other: &Self) -> bool {
        self.epoch == other.epoch
    }
}

impl Eq for TrustMaterial {}

impl fmt::Debug for TrustMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustMaterial({})", self.epoch)
    }
}

// === impl Epoch ===

impl Epoch {
    /// The epoch of material of some kind, made of these bytes.
    fn of(kind: &str, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"vouchsafe trust material: ");
        for part in [&[kind.as_bytes()], parts].concat() {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// The bytes that key what is remembered.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hex::encode(self.0).get(..8).unwrap_or_default())
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({self})")
    }
}

#[cfg(test)]
mod tests;
