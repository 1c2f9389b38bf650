//! Trust material: what verification trusts besides a policy's own keys, and the epoch that names its state.
//!
//! Certificate authorities, transparency logs, CT logs and timestamp authorities come here, each with its validity window. Today a
//! policy's own keys are all that is trusted, so the material is empty; its [`Epoch`] already keys everything that is remembered
//! about evidence, so that a change of trust makes older memories unreachable rather than stale.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// What is trusted, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustMaterial {
    epoch: Epoch,
}

/// The identity of a state of trust: equal material, equal epoch.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch([u8; 32]);

impl TrustMaterial {
    /// No authorities and no logs: only keys that policies name themselves.
    pub fn keys_only() -> Self {
        Self {
            epoch: Epoch(Sha256::digest(b"vouchsafe trust material: keys only").into()),
        }
    }

    /// The identity of this state.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
}

impl Epoch {
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
