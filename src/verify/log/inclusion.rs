//! Whether a log vouches for an entry: by a promise (its signature over entry and time), or by a proof that leads to a root hash which it
//! has signed (RFC 9162 §2.1.3, and the [checkpoint format](https://c2sp.org/tlog-checkpoint)).
//!
//! The key must have counted then: at the log's own time, else at the time of a timestamp beside the entry, and where nobody says when,
//! now. A log that was retired vouches for nothing whose time is not known (T-35).
//!
//! Of what is there everything must be good. The first version of bundles, and cosign's annotation, must have the promise; later
//! versions the proof. Signatures of witnesses on a checkpoint are passed over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sigstore_crypto::Checkpoint;
use sigstore_types::bundle::{InclusionPromise, InclusionProof};
use sigstore_types::{KindVersion, MediaType, Sha256Hash, SignatureBytes, TransparencyLogEntry};

use super::Moment;
use crate::trust::Logs;

/// When a log took the entry up, as far as it says so with its signature.
pub(super) fn vouched(
    entry: &TransparencyLogEntry,
    version: MediaType,
    logs: &Logs,
    moment: Moment,
) -> Result<Option<Timestamp>, String> {
    let time = match &entry.inclusion_promise {
        Some(promise) => promised(entry, promise, logs, moment)?,
        None if version == MediaType::Bundle0_1 => return Err("no promise of the log".to_owned()),
        None => None,
    };
    match &entry.inclusion_proof {
        Some(proof) => proven(entry, proof, logs, time.unwrap_or(moment.vouched()))?,
        None if version != MediaType::Bundle0_1 => return Err("no inclusion proof".to_owned()),
        None => {}
    }
    Ok(time)
}

/// The promise is signed over body, time, index and log, as RFC 8785 writes them: four members in this order, and nothing in them that
/// would have to be escaped.
fn promised(
    entry: &TransparencyLogEntry,
    promise: &InclusionPromise,
    logs: &Logs,
    moment: Moment,
) -> Result<Option<Timestamp>, String> {
    let id = Sha256Hash::try_from(entry.log_id.key_id.as_bytes())
        .map_err(|_| "the name of the log is no SHA-256".to_owned())?;
    let time = entry.integrated_time;
    if let Some(time) = time.filter(|time| *time > moment.now) {
        return Err(format!("the log took it up in the future, at {time}"));
    }
    let key = logs.key(&id, time.unwrap_or(moment.vouched()));
    let key = key.ok_or_else(|| {
        format!(
            "no trusted log {} with a key for that time",
            entry.log_id.key_id
        )
    })?;
    let message = format!(
        r#"{{"body":"{}","integratedTime":{},"logID":"{}","logIndex":{}}}"#,
        STANDARD.encode(entry.canonicalized_body.as_bytes()),
        time.map_or(0, Timestamp::as_second),
        hex::encode(entry.log_id.key_id.as_bytes()),
        entry.log_index.get(),
    );
    let signature = SignatureBytes::from_bytes(promise.signed_entry_timestamp.as_bytes());
    key.verify(message, &signature)
        .map_err(|_| "the promise is not signed by the log".to_owned())?;
    // The second version of Rekor promises nothing about time.
    let says_when = entry.kind_version != KindVersion::HashedRekordV002;
    Ok(time.filter(|_| says_when))
}

fn proven(
    entry: &TransparencyLogEntry,
    proof: &InclusionProof,
    logs: &Logs,
    time: Timestamp,
) -> Result<(), String> {
    let checkpoint = proof
        .checkpoint
        .checkpoint()
        .ok_or_else(|| "the inclusion proof has no checkpoint".to_owned())?;
    // The second version of Rekor authenticates index, size and root by the entry and the checkpoint alone; the first repeats them.
    let (index, size) = if entry.kind_version == KindVersion::HashedRekordV002 {
        (entry.log_index.get(), checkpoint.tree_size())
    } else {
        if *checkpoint.root_hash() != proof.root_hash {
            return Err("the inclusion proof ends in another root than the checkpoint".to_owned());
        }
        (proof.log_index.get(), proof.tree_size)
    };
    let leaf = sigstore_merkle::hash_leaf(entry.canonicalized_body.as_bytes());
    sigstore_merkle::verify_inclusion_proof(
        &leaf,
        index,
        size,
        &proof.hashes,
        checkpoint.root_hash(),
    )
    .map_err(|error| format!("the inclusion proof is wrong: {error}"))?;
    signed(checkpoint, logs, time)
}

/// By any key that counted then.
fn signed(checkpoint: &Checkpoint, logs: &Logs, time: Timestamp) -> Result<(), String> {
    let message = checkpoint.signed_data();
    let by_log = checkpoint.signatures().iter().any(|signature| {
        logs.hinted(&signature.key_id, time)
            .any(|key| key.verify(message, &signature.signature).is_ok())
    });
    by_log
        .then_some(())
        .ok_or_else(|| format!("the checkpoint is not signed by a log that was trusted at {time}"))
}
