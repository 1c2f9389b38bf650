//! Public keys of key management services, by the one request that each of them has for it.
//!
//! *In*: a reference as policies write it (`awskms://`, `gcpkms://`, `azurekms://`, `hashivault://`), and what the environment says
//! about credentials, under the names that the services' own tools use. *Out*: the public key in PEM, or in words why there is none.
//! Only public keys are read, so the credentials need no more than that, and nothing is ever signed there.
//!
//! A reference is written in a policy, and credentials are the operator's: they go to the hosts of the service that they are for,
//! compared label by label, or to the endpoint that the environment names, and nowhere else (T-16). Redirects are not followed.
//!
//! | file | service |
//! |---|---|
//! | `aws` | AWS KMS `GetPublicKey`, signed with Signature Version 4 |
//! | `gcp` | Google Cloud KMS `getPublicKey` |
//! | `azure` | Azure Key Vault and Managed HSM `Get Key` |
//! | `vault` | Transit of `HashiCorp` Vault and `OpenBao` |

mod aws;
mod azure;
mod error;
mod gcp;
mod secret;
mod spki_pem;
mod vault;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::Url;
use serde::de::DeserializeOwned;

pub use aws::AwsSettings;
pub use azure::AzureSettings;
pub use error::KmsError;
pub use gcp::GcpSettings;
pub use secret::Secret;
pub use vault::VaultSettings;

use super::outbound::{Answer, Ask, Outbound, Reach};

/// The longest answer of a service, in bytes. A public key takes less than 4 KiB.
const ANSWER: usize = 64 << 10;
/// The longest credential that is read from a file, in bytes.
const CREDENTIAL: u64 = 64 << 10;

/// What the environment says about all services.
#[derive(Clone, Debug, Default)]
pub struct KmsSettings {
    /// For `awskms://`.
    pub aws: AwsSettings,
    /// For `azurekms://`.
    pub azure: AzureSettings,
    /// For `gcpkms://`.
    pub gcp: GcpSettings,
    /// For `hashivault://`.
    pub vault: VaultSettings,
}

/// The services, as they can be asked from here.
#[derive(Clone, Debug)]
pub struct KeyServices {
    outbound: Outbound,
    settings: KmsSettings,
}

// === impl KmsSettings ===

impl KmsSettings {
    /// Reads the variables; files that they name are read when they are needed, since others renew them. An empty one counts as absent.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        Self {
            aws: AwsSettings::from_environment(given),
            azure: AzureSettings::from_environment(given),
            gcp: GcpSettings::from_environment(given),
            vault: VaultSettings::from_environment(given),
        }
    }
}

// === impl KeyServices ===

impl KeyServices {
    /// The services behind this client.
    pub fn new(outbound: Outbound, settings: KmsSettings) -> Self {
        Self { outbound, settings }
    }

    /// The public key that a reference names, in PEM.
    pub async fn public_key(&self, reference: &str) -> Result<Arc<str>, KmsError> {
        let (scheme, rest) = reference
            .split_once("://")
            .ok_or_else(|| KmsError::reference("it has no scheme"))?;
        let pem = match scheme {
            "awskms" => aws::public_key(&self.outbound, &self.settings.aws, rest).await,
            "azurekms" => azure::public_key(&self.outbound, &self.settings.azure, rest).await,
            "gcpkms" => gcp::public_key(&self.outbound, &self.settings.gcp, rest).await,
            "hashivault" => vault::public_key(&self.outbound, &self.settings.vault, rest).await,
            _ => Err(KmsError::reference(
                "its scheme is none of the supported ones",
            )),
        }?;
        Ok(Arc::from(pem))
    }
}

/// A `GET` with credentials.
async fn get(
    outbound: &Outbound,
    url: Url,
    headers: HeaderMap,
    reach: Reach,
) -> Result<Answer, KmsError> {
    let ask = Ask {
        method: Method::GET,
        url,
        headers,
        body: bytes::Bytes::new(),
        reach,
        limit: ANSWER,
    };
    Ok(outbound.send(ask).await?)
}

/// A `POST` of a form, as token services take it.
async fn post_form(
    outbound: &Outbound,
    url: Url,
    fields: &[(&str, &str)],
) -> Result<Answer, KmsError> {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    let ask = Ask {
        method: Method::POST,
        url,
        headers: HeaderMap::from_iter([(http::header::CONTENT_TYPE, form)]),
        body: body.into(),
        reach: Reach::Private,
        limit: ANSWER,
    };
    Ok(outbound.send(ask).await?)
}

/// The JSON of an answer that went well. Neither its text nor that of an error is repeated: a service can echo what it was sent.
fn json<T: DeserializeOwned>(service: &'static str, answer: &Answer) -> Result<T, KmsError> {
    if !answer.status.is_success() {
        return Err(KmsError::Status {
            service,
            status: answer.status,
            code: error::code(&answer.body),
        });
    }
    serde_json::from_slice(&answer.body).map_err(|error| KmsError::Answer {
        service,
        detail: format!(
            "not the JSON that was to be expected (line {}, column {})",
            error.line(),
            error.column()
        ),
    })
}

/// A header whose value is a credential.
fn credential(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), KmsError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        KmsError::credentials("a credential has characters that no header can carry")
    })?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// A file with a credential, which somebody else renews.
async fn read_credential(variable: &str, path: &str) -> Result<Secret, KmsError> {
    use tokio::io::AsyncReadExt as _;
    let unreadable =
        |error: std::io::Error| KmsError::credentials(format!("{variable} names {path}: {error}"));
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let mut text = String::new();
    let mut bounded = file.take(CREDENTIAL);
    bounded
        .read_to_string(&mut text)
        .await
        .map_err(unreadable)?;
    Ok(Secret::new(text.trim()))
}

/// A URL of a service below its base, whose path has these segments. None of them can lead elsewhere.
fn below(base: &Url, segments: &[&str]) -> Result<Url, KmsError> {
    let mut url = base.clone();
    let is_plain = |segment: &&str| !matches!(*segment, "" | "." | "..");
    if !segments.iter().all(is_plain) {
        return Err(KmsError::reference(
            "a part of it is empty or leads elsewhere",
        ));
    }
    url.path_segments_mut()
        .map_err(|()| KmsError::reference("the endpoint has no path"))?
        .pop_if_empty()
        .extend(segments);
    Ok(url)
}

/// An address that the environment names.
fn endpoint(variable: &str, text: &str) -> Result<Url, KmsError> {
    Url::parse(text)
        .ok()
        .filter(Url::has_host)
        .ok_or_else(|| KmsError::credentials(format!("{variable} is no address")))
}
