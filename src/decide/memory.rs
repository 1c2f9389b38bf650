//! What was proven is remembered: the only store of [`Verified`] values.
//!
//! A memory is of *evidence*, never of a verdict: policies run every time. Its key names everything that the proof depends on, each part
//! with its length before it: the image's digest, the evidence (its bytes, its signature **and** what came with it, since two signers of
//! one payload share its digest), the verifier with the epoch of what it trusts. No policy, no credential and no tag is part of it. A hit
//! hands on the same type as a miss. A proof rests on times in the past and on windows that are part of the epoch, so a hit needs no
//! clock; one that rests on the present is not remembered.

use std::sync::Arc;

use moka::sync::Cache;
use sha2::{Digest as _, Sha256};

use crate::evidence::{Candidate, Evidence};
use crate::image::Digest;
use crate::verify::{Attestation, Requirement, SignedImage, Verified};

/// How many bytes all memories may take.
const BYTES: u64 = 64 << 20;

/// Proofs, by everything they depend on.
pub(super) struct Memory {
    signatures: Cache<[u8; 32], Arc<Verified<SignedImage>>>,
    attestations: Cache<[u8; 32], Arc<Verified<Attestation>>>,
}

impl Memory {
    pub(super) fn new() -> Self {
        let weigh_statement = |_: &[u8; 32], attestation: &Arc<Verified<Attestation>>| {
            u32::try_from(
                attestation
                    .value()
                    .statement
                    .json()
                    .len()
                    .saturating_add(1024),
            )
            .unwrap_or(u32::MAX)
        };
        Self {
            signatures: Cache::builder()
                .max_capacity(BYTES / 4)
                .weigher(|_, _| 1024)
                .build(),
            attestations: Cache::builder()
                .max_capacity(BYTES / 4 * 3)
                .weigher(weigh_statement)
                .build(),
        }
    }

    /// Whether a proof that this candidate is a signature is remembered.
    pub(super) fn has_signature(&self, key: &[u8; 32]) -> bool {
        self.signatures.contains_key(key)
    }

    /// Whether a proof that this candidate is an attestation is remembered.
    pub(super) fn has_attestation(&self, key: &[u8; 32]) -> bool {
        self.attestations.contains_key(key)
    }

    /// The proof that this candidate is a signature, remembered or made by `verify` now. A rejection is not remembered.
    pub(super) fn signature<E>(
        &self,
        key: [u8; 32],
        verify: impl FnOnce() -> Result<Verified<SignedImage>, E>,
    ) -> Result<Arc<Verified<SignedImage>>, E> {
        recall(&self.signatures, key, verify)
    }

    /// The proof that this candidate is an attestation, remembered or made by `verify` now. A rejection is not remembered.
    pub(super) fn attestation<E>(
        &self,
        key: [u8; 32],
        verify: impl FnOnce() -> Result<Verified<Attestation>, E>,
    ) -> Result<Arc<Verified<Attestation>>, E> {
        recall(&self.attestations, key, verify)
    }
}

fn recall<T: Send + Sync + 'static, E>(
    cache: &Cache<[u8; 32], Arc<Verified<T>>>,
    key: [u8; 32],
    verify: impl FnOnce() -> Result<Verified<T>, E>,
) -> Result<Arc<Verified<T>>, E> {
    if let Some(proof) = cache.get(&key) {
        return Ok(proof);
    }
    let proof = Arc::new(verify()?);
    if proof.lasts() {
        cache.insert(key, Arc::clone(&proof));
    }
    Ok(proof)
}

/// Everything that a proof depends on, as one key.
pub(super) fn key(image: &Digest, candidate: &Candidate, requirement: &Requirement) -> [u8; 32] {
    let signature: &[u8] = match &candidate.decoded {
        Ok(Evidence::Signature(signing)) => &signing.signature,
        Ok(Evidence::Attestation(envelope)) => &envelope.signature,
        Ok(Evidence::Bundle(bundle)) => bundle.signature(),
        Err(_) => &[],
    };
    let mut hash = Sha256::new();
    for part in [
        image.to_string().as_bytes(),
        candidate.format.as_str().as_bytes(),
        candidate.digest.to_string().as_bytes(),
        signature,
        candidate
            .material
            .as_ref()
            .map_or(&[], |material| &material.digest),
        requirement.id().as_bytes(),
    ] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
