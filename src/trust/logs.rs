//! The transparency logs of a root: a key by its log's name or by a checkpoint's hint, and only within its window.

use jiff::Timestamp;
use sigstore_crypto::{Keyring, VerificationKey};
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{KeyHint, Sha256Hash};

use super::InvalidTrustRoot;

/// The logs that may have recorded a signature.
pub struct Logs {
    keys: Keyring,
    names: Vec<Sha256Hash>,
}

impl Logs {
    pub(super) fn of(root: &TrustedRoot) -> Result<Self, InvalidTrustRoot> {
        let keys = root
            .rekor_keys()
            .map_err(|e| InvalidTrustRoot::unusable(&e))?;
        let names = root.tlogs.iter();
        let names = names.map(|log| Sha256Hash::try_from(log.log_id.key_id.as_bytes()));
        let names: Result<_, _> = names.collect();
        Ok(Self {
            keys,
            names: names.map_err(|e| InvalidTrustRoot::unusable(&e))?,
        })
    }

    /// The key of the log with this name, if it counted at this time.
    pub fn key(&self, name: &Sha256Hash, time: Timestamp) -> Option<&VerificationKey> {
        self.keys.key_at(name, time)
    }

    /// The keys that the hint of a signature fits, as far as they counted at this time: hints of four bytes may collide.
    pub fn hinted(
        &self,
        hint: &KeyHint,
        time: Timestamp,
    ) -> impl Iterator<Item = &VerificationKey> {
        let names = self.names.iter();
        let fitting = names.filter(move |name| name.as_bytes().starts_with(hint.as_bytes()));
        fitting.filter_map(move |name| self.keys.key_at(name, time))
    }
}
