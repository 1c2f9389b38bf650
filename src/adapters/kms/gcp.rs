//! `gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K[/cryptoKeyVersions/V]`: Google Cloud KMS.
//!
//! Without a version, the newest that is enabled. Credentials: the service account in `GOOGLE_APPLICATION_CREDENTIALS`, by a token that
//! we sign ourselves, or the federation file there; else what the metadata service gives to the machine or, with workload identity, to
//! the Pod.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use reqwest::Url;
use serde::Deserialize;

use super::{KmsError, below};
use crate::adapters::identity::exchange::{credential, endpoint, get, json};
use crate::adapters::identity::google::GoogleIdentity;
use crate::adapters::outbound::{Outbound, Reach};

const SERVICE: &str = "google cloud kms";
const ENDPOINT: &str = "https://cloudkms.googleapis.com/";
/// The service that a token is for. It is that of the service also where requests go to another endpoint.
const AUDIENCE: &str = "https://cloudkms.googleapis.com/";
/// What the environment says about Google Cloud.
#[derive(Clone, Debug, Default)]
pub struct GcpSettings {
    /// Who we are.
    pub identity: GoogleIdentity,
    /// `CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS`.
    pub endpoint: Option<String>,
}

#[derive(Deserialize)]
struct PublicKey {
    pem: String,
    algorithm: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    #[serde(default)]
    crypto_key_versions: Vec<Version>,
    #[serde(default)]
    next_page_token: String,
}

#[derive(Deserialize)]
struct Version {
    name: String,
}

impl GcpSettings {
    pub(super) fn from_environment(given: impl Fn(&str) -> Option<String>) -> Self {
        let endpoint = given("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS");
        Self {
            identity: GoogleIdentity::from_environment(given),
            endpoint,
        }
    }
}

pub(super) async fn public_key(
    outbound: &Outbound,
    settings: &GcpSettings,
    reference: &str,
) -> Result<String, KmsError> {
    let (key, version) = parse(reference)?;
    let base = settings.endpoint.as_deref().unwrap_or(ENDPOINT);
    let base = endpoint("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", base)?;
    let token = settings.identity.token_for(outbound, AUDIENCE).await?;
    let mut headers = HeaderMap::new();
    let bearer = format!("Bearer {}", token.expose());
    credential(&mut headers, AUTHORIZATION, &bearer)?;
    let version = match version {
        Some(version) => version.to_owned(),
        None => newest(outbound, &base, &key, &headers).await?,
    };
    let mut segments = vec!["v1"];
    segments.extend(&key);
    segments.extend(["cryptoKeyVersions", &version, "publicKey"]);
    let url = below(&base, &segments)?;
    let answer = get(outbound, url, headers, Reach::Private).await?;
    let found: PublicKey = json(SERVICE, &answer)?;
    let signs = ["EC_SIGN_", "RSA_SIGN_"];
    if !signs
        .iter()
        .any(|prefix| found.algorithm.starts_with(prefix))
    {
        return Err(KmsError::answer(SERVICE, "it is no signing key"));
    }
    Ok(found.pem)
}

/// The segments of a key's name, and its version.
fn parse(reference: &str) -> Result<(Vec<&str>, Option<&str>), KmsError> {
    let is_part = |part: &&str| {
        let is_known = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        !part.is_empty() && part.len() <= 128 && part.chars().all(is_known)
    };
    let parts: Vec<&str> = reference.split('/').collect();
    let malformed = || {
        KmsError::reference(
            "it must be gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K, and may end in /cryptoKeyVersions/V",
        )
    };
    if !parts.iter().all(is_part) {
        return Err(malformed());
    }
    let (key, version) = parts.split_at_checked(8).ok_or_else(malformed)?;
    let [
        "projects",
        _,
        "locations",
        _,
        "keyRings",
        _,
        "cryptoKeys",
        _,
    ] = key
    else {
        return Err(malformed());
    };
    match version {
        [] => Ok((key.to_vec(), None)),
        ["cryptoKeyVersions" | "versions", version] => Ok((key.to_vec(), Some(*version))),
        _ => Err(malformed()),
    }
}

/// The newest version that is enabled: versions are numbered.
async fn newest(
    outbound: &Outbound,
    base: &Url,
    key: &[&str],
    headers: &HeaderMap,
) -> Result<String, KmsError> {
    let mut segments = vec!["v1"];
    segments.extend(key);
    segments.push("cryptoKeyVersions");
    let mut url = below(base, &segments)?;
    url.set_query(Some("filter=state%3DENABLED&pageSize=200"));
    let answer = get(outbound, url, headers.clone(), Reach::Private).await?;
    let versions: Versions = json(SERVICE, &answer)?;
    if !versions.next_page_token.is_empty() {
        return Err(KmsError::answer(
            SERVICE,
            "the key has more than 200 versions: name one in the reference",
        ));
    }
    let numbers = versions
        .crypto_key_versions
        .iter()
        .filter_map(|version| version.name.rsplit('/').next()?.parse::<u64>().ok());
    numbers
        .max()
        .map(|number| number.to_string())
        .ok_or_else(|| KmsError::answer(SERVICE, "the key has no version that is enabled"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_name_one_key_and_lead_nowhere_else() {
        let key = "projects/p/locations/global/keyRings/r/cryptoKeys/k";
        assert_eq!(parse(key).unwrap().1, None);
        for version in ["cryptoKeyVersions", "versions"] {
            assert_eq!(parse(&format!("{key}/{version}/3")).unwrap().1, Some("3"));
        }
        for bad in [
            "",
            "projects/p",
            "projects//locations/l/keyRings/r/cryptoKeys/k",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/else/3",
            "projects/p?x/locations/l/keyRings/r/cryptoKeys/k",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/3/x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
