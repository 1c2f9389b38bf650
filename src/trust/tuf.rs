//! A trusted root out of a TUF repository: what is asked of every repository, wherever its files come from.
//!
//! *In*: an updater of [`sigstore_tuf`] over some files, and the time. *Out*: the bytes of `trusted_root.json`, and when the metadata
//! that vouches for it expires; or why there are none. Signatures, thresholds, versions, hashes and expiry are the TUF client's
//! (T-39); a name of a target never becomes a path of ours (T-38).

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sigstore_tuf::{Updater, UpdaterConfig};

use super::sigstore_keys;
use crate::api;

/// How long something that was good is used after it could last be known to be: trust roots of TUF repositories.
pub const MAX_STALE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The name of the target, where none is given.
pub const DEFAULT_TARGET: &str = "trusted_root.json";

/// The largest trusted root, in bytes. The public one has 7 KiB.
const TARGET_BYTES: u64 = 1 << 20;
/// The most targets with keys that are read of a repository without a `trusted_root.json`.
const LEGACY_TARGETS: usize = 64;
/// The longest text of an error, which may repeat what a mirror sent, in characters.
const DETAIL: usize = 300;

/// A trusted root, and what vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TufRoot {
    /// The bytes of a `trusted_root.json`.
    pub json: Vec<u8>,
    /// When the first of root, timestamp, snapshot and targets expires.
    pub expires: Timestamp,
}

/// Why a TUF repository gives no trusted root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TufError {
    /// Metadata that is too old to be believed: the mirror is stale, or held back.
    #[error("the {role} metadata of the TUF repository expired at {expires}")]
    Expired {
        /// Which role.
        role: String,
        /// When.
        expires: Timestamp,
    },
    /// The metadata cannot be had or is not what it must be.
    #[error("the TUF repository cannot be used: {detail}")]
    Unusable {
        /// What is wrong, made harmless.
        detail: String,
    },
}

/// The bounds of one refresh.
pub fn bounds() -> UpdaterConfig {
    let mut config = UpdaterConfig::default();
    config.target_max_length = TARGET_BYTES;
    config
}

/// Refreshes and gives the trusted root.
///
/// `target` is its name; empty means [`DEFAULT_TARGET`]. A repository without that one may list keys as targets with a `usage` instead,
/// as Sigstore's did before 2023.
pub async fn trusted_root(
    updater: &mut Updater,
    target: &str,
    now: Timestamp,
) -> Result<TufRoot, TufError> {
    updater.refresh(now).await.map_err(TufError::from)?;
    let name = if target.is_empty() {
        DEFAULT_TARGET
    } else {
        target
    };
    let json = match updater.get_target(name, now).await {
        Ok(json) => json,
        Err(sigstore_tuf::Error::TargetNotFound(_)) if target.is_empty() => {
            legacy(updater, now).await?
        }
        Err(error) => return Err(error.into()),
    };
    let expires = expires(updater).ok_or_else(|| unusable("its metadata is incomplete"))?;
    Ok(TufRoot { json, expires })
}

/// When the first of the four roles expires.
fn expires(updater: &Updater) -> Option<Timestamp> {
    let trusted = updater.trusted();
    let lower = [
        trusted.timestamp()?.expires,
        trusted.snapshot()?.expires,
        trusted.targets_role("targets")?.expires,
    ];
    lower.into_iter().chain([trusted.root().expires]).min()
}

/// Keys that stand as targets of their own, each with `{"sigstore": {"usage": …, "uri": …}}`.
async fn legacy(updater: &mut Updater, now: Timestamp) -> Result<Vec<u8>, TufError> {
    let listed = updater.trusted().targets_role("targets");
    let usages: Vec<(String, String, String)> = listed
        .into_iter()
        .flat_map(|role| &role.targets)
        .filter_map(|(name, target)| {
            let sigstore = target.custom.as_ref()?.get("sigstore")?;
            let text = |key| {
                sigstore
                    .get(key)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            Some((
                name.clone(),
                text("usage").to_owned(),
                text("uri").to_owned(),
            ))
        })
        .collect();
    if usages.len() > LEGACY_TARGETS {
        return Err(unusable(&format!(
            "more than {LEGACY_TARGETS} targets with keys"
        )));
    }
    let mut keys = api::SigstoreKeys::default();
    for (name, usage, uri) in usages {
        let list = match usage.as_str() {
            "Fulcio" => None,
            "Rekor" => Some(&mut keys.t_logs),
            "CTFE" => Some(&mut keys.ct_logs),
            _ => continue,
        };
        let pem = api::Base64Bytes(updater.get_target(&name, now).await?);
        match list {
            None => keys
                .certificate_authorities
                .push(api::CertificateAuthority {
                    uri,
                    cert_chain: pem,
                    ..api::CertificateAuthority::default()
                }),
            Some(logs) => logs.push(api::TransparencyLog {
                base_url: uri,
                hash_algorithm: "sha-256".to_owned(),
                public_key: pem,
            }),
        }
    }
    if keys.certificate_authorities.is_empty() {
        return Err(unusable(&format!(
            "it has neither the target {DEFAULT_TARGET} nor certificate authorities as targets"
        )));
    }
    sigstore_keys::trusted_root(&keys).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        unusable(&problems.join("; "))
    })
}

fn unusable(detail: &str) -> TufError {
    let printable = |c: char| if c.is_control() { '?' } else { c };
    TufError::Unusable {
        detail: detail.chars().take(DETAIL).map(printable).collect(),
    }
}

// === impl TufError ===

impl From<sigstore_tuf::Error> for TufError {
    fn from(error: sigstore_tuf::Error) -> Self {
        if let sigstore_tuf::Error::Expired { role, expires } = error {
            return Self::Expired { role, expires };
        }
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        unusable(&text)
    }
}
