//! `gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K[/cryptoKeyVersions/V]`: Google Cloud KMS.
//!
//! Without a version, the newest that is enabled. Credentials: the service account in `GOOGLE_APPLICATION_CREDENTIALS`, by a token that
//! we sign ourselves (RFC 7519), so that no token service is asked; else what the metadata service gives to the machine or, with
//! workload identity, to the Pod.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use reqwest::Url;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;

use super::{KmsError, Secret, below, credential, endpoint, get, read_credential};
use crate::adapters::outbound::{Outbound, Reach};

const SERVICE: &str = "google cloud kms";
const ENDPOINT: &str = "https://cloudkms.googleapis.com/";
/// The service that a token is for. It is that of the service also where requests go to another endpoint.
const AUDIENCE: &str = "https://cloudkms.googleapis.com/";
const METADATA_HOST: &str = "metadata.google.internal";
const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");
/// For how long a token that we sign is good, in seconds.
const LIFETIME: i64 = 300;

/// What the environment says about Google Cloud.
#[derive(Clone, Debug, Default)]
pub struct GcpSettings {
    /// `GOOGLE_APPLICATION_CREDENTIALS`: the key file of a service account, read each time.
    pub credentials_file: Option<String>,
    /// `GCE_METADATA_HOST`.
    pub metadata_host: Option<String>,
    /// `CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS`.
    pub endpoint: Option<String>,
}

#[derive(Deserialize)]
struct ServiceAccount {
    #[serde(rename = "type")]
    kind: String,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
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
        Self {
            credentials_file: given("GOOGLE_APPLICATION_CREDENTIALS"),
            metadata_host: given("GCE_METADATA_HOST"),
            endpoint: given("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"),
        }
    }

    async fn token(&self, outbound: &Outbound) -> Result<Secret, KmsError> {
        match &self.credentials_file {
            Some(file) => {
                let text = read_credential("GOOGLE_APPLICATION_CREDENTIALS", file).await?;
                signed_token(&text, Timestamp::now()).map_err(|why| {
                    KmsError::credentials(format!(
                        "GOOGLE_APPLICATION_CREDENTIALS names {file}: {why}"
                    ))
                })
            }
            None => self.metadata_token(outbound).await,
        }
    }

    async fn metadata_token(&self, outbound: &Outbound) -> Result<Secret, KmsError> {
        let host = self.metadata_host.as_deref().unwrap_or(METADATA_HOST);
        let base = endpoint("GCE_METADATA_HOST", &format!("http://{host}/"))?;
        let path = "computeMetadata/v1/instance/service-accounts/default/token";
        let url = below(&base, &path.split('/').collect::<Vec<_>>())?;
        let google = HeaderValue::from_static("Google");
        let headers = HeaderMap::from_iter([(FLAVOR, google.clone())]);
        let answer = get(outbound, url, headers, Reach::Metadata).await.map_err(|error| {
            KmsError::credentials(format!(
                "without GOOGLE_APPLICATION_CREDENTIALS the metadata service is asked, and {error}"
            ))
        })?;
        // Whoever else answers there is not the metadata service.
        if answer.headers.get(FLAVOR) != Some(&google) {
            return Err(KmsError::credentials(format!(
                "{host} is no metadata service of Google"
            )));
        }
        let token: Token = super::json("google's metadata service", &answer)?;
        Ok(Secret::new(token.access_token))
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
    let token = settings.token(outbound).await?;
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
    let found: PublicKey = super::json(SERVICE, &answer)?;
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
    let versions: Versions = super::json(SERVICE, &answer)?;
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

/// A token by which a service account says who it is: signed with its own key, good for one service and a few minutes.
fn signed_token(file: &Secret, now: Timestamp) -> Result<Secret, &'static str> {
    let account: ServiceAccount =
        serde_json::from_str(file.expose()).map_err(|_| "it is no JSON of credentials")?;
    if account.kind != "service_account" {
        return Err(
            "only the key of a service account can be used; leave the variable unset for workload identity",
        );
    }
    let (Some(email), Some(key)) = (account.client_email, account.private_key) else {
        return Err("the service account has no client_email or no private_key");
    };
    let unusable = "its private_key cannot be used";
    let der = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).map_err(|_| unusable)?;
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| unusable)?;
    let issued = now.as_second();
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": account.private_key_id});
    let claims = json!({
        "iss": email, "sub": email, "aud": AUDIENCE, "iat": issued, "exp": issued.saturating_add(LIFETIME),
    });
    let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", encode(&header), encode(&claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .map_err(|_| unusable)?;
    Ok(Secret::new(format!(
        "{message}.{}",
        URL_SAFE_NO_PAD.encode(signature)
    )))
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
