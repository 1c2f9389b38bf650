//! Tokens of Google: of the account in `GOOGLE_APPLICATION_CREDENTIALS`, else of the metadata service.
//!
//! The file is the key of a service account, or says how a token of somebody else becomes one of Google's (workload identity
//! federation: `federation`). The metadata service speaks for the machine or, with workload identity of GKE, for the Pod. What a
//! file says about addresses is not believed: tokens are asked for at Google's own.

mod federation;

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use reqwest::Url;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ServiceError;
use super::exchange::{below, endpoint, get, json as json_of, post_form, read_credential};
use super::secret_text::SecretText;
use super::{LIVES, TimeLimited};
use crate::adapters::outbound::{Outbound, Reach};

const TOKENS: &str = "google's token service";
const METADATA: &str = "google's metadata service";
const METADATA_HOST: &str = "metadata.google.internal";
const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");
/// Where the key of a service account becomes a token.
const TOKEN_ENDPOINT: &str = "https://oauth2.googleapis.com/token";
/// What a token is for, where the service that takes it decides by its own permissions.
pub(in crate::adapters) const EVERYTHING: &str = "https://www.googleapis.com/auth/cloud-platform";
/// What a token is for that pulls images: the scope that Google asks of machines which do ("Deploying to Compute Engine").
pub(in crate::adapters) const PULLS: &str = "https://www.googleapis.com/auth/devstorage.read_only";
/// For how long a token that we sign is good, in seconds.
const LIFETIME: i64 = 300;
const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// What the environment says about Google Cloud.
#[derive(Clone, Debug, Default)]
pub struct GoogleIdentity {
    /// `GOOGLE_APPLICATION_CREDENTIALS`: the key file of a service account or a federation file, read each time.
    pub credentials_file: Option<String>,
    /// `GCE_METADATA_HOST`.
    pub metadata_host: Option<String>,
    /// Whether the metadata service may be asked.
    pub asks_metadata: bool,
    /// A stand-in for the services that give tokens: requests go there instead. No variable sets it.
    pub stand_in: Option<Url>,
}

/// The key file of a service account.
struct ServiceAccount {
    email: String,
    key: RsaKeyPair,
    key_id: Option<String>,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: Option<u64>,
}

impl GoogleIdentity {
    pub(in crate::adapters) fn from_environment(given: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            credentials_file: given(VARIABLE),
            metadata_host: given("GCE_METADATA_HOST"),
            asks_metadata: true,
            stand_in: None,
        }
    }

    /// Whether the environment names an identity.
    pub(in crate::adapters) fn is_named(&self) -> bool {
        self.credentials_file.is_some()
    }

    /// What one service takes as our token: where there is the key of a service account, one that we sign ourselves (RFC 7519) and
    /// that is good for this audience alone, so that no token service is asked.
    pub(in crate::adapters) async fn token_for(
        &self,
        outbound: &Outbound,
        audience: &str,
    ) -> Result<SecretText, ServiceError> {
        if let Some((file, credentials)) = self.credentials().await?
            && let Some(account) =
                service_account(&credentials).map_err(|why| unusable(file, why))?
        {
            let now = Timestamp::now();
            let signed = account.signed(audience, None, now);
            return signed.map_err(|why| unusable(file, why));
        }
        Ok(self.access_token(outbound, EVERYTHING).await?.value)
    }

    /// A token that Google issued, for no more than this scope where a service account is spoken for. The metadata service says itself
    /// what its tokens are for.
    pub(in crate::adapters) async fn access_token(
        &self,
        outbound: &Outbound,
        scope: &str,
    ) -> Result<TimeLimited<SecretText>, ServiceError> {
        let Some((file, credentials)) = self.credentials().await? else {
            return self.metadata_token(outbound).await;
        };
        let Some(account) = service_account(&credentials).map_err(|why| unusable(file, why))?
        else {
            return federation::token(outbound, &credentials, scope, self.stand_in.as_ref())
                .await?
                .map_err(|why| unusable(file, why));
        };
        let signed = account.signed(TOKEN_ENDPOINT, Some(scope), Timestamp::now());
        let assertion = signed.map_err(|why| unusable(file, why))?;
        let url = place(TOKEN_ENDPOINT, self.stand_in.as_ref())?;
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion.expose()),
        ];
        let answer = post_form(outbound, url, &fields).await?;
        json_of::<Token>(TOKENS, &answer).map(TimeLimited::from)
    }

    /// The file with credentials and what is in it.
    async fn credentials(&self) -> Result<Option<(&str, Value)>, ServiceError> {
        let Some(file) = self.credentials_file.as_deref() else {
            return Ok(None);
        };
        let text = read_credential(VARIABLE, file).await?;
        let read = serde_json::from_str(text.expose());
        let json = read.map_err(|_| unusable(file, "it is no JSON of credentials"))?;
        Ok(Some((file, json)))
    }

    async fn metadata_token(
        &self,
        outbound: &Outbound,
    ) -> Result<TimeLimited<SecretText>, ServiceError> {
        if !self.asks_metadata {
            return Err(ServiceError::credentials(format!("{VARIABLE} is not set")));
        }
        let host = self.metadata_host.as_deref().unwrap_or(METADATA_HOST);
        let base = match &self.stand_in {
            Some(stand_in) => stand_in.clone(),
            None => endpoint("GCE_METADATA_HOST", &format!("http://{host}/"))?,
        };
        let path = "computeMetadata/v1/instance/service-accounts/default/token";
        let url = below(&base, &path.split('/').collect::<Vec<_>>())
            .ok_or_else(|| ServiceError::credentials("GCE_METADATA_HOST is no host"))?;
        let google = HeaderValue::from_static("Google");
        let headers = HeaderMap::from_iter([(FLAVOR, google.clone())]);
        let answer = get(outbound, url, headers, Reach::Metadata)
            .await
            .map_err(|error| {
                ServiceError::credentials(format!(
                    "without {VARIABLE} the metadata service is asked, and {error}"
                ))
            })?;
        // Whoever else answers there is not the metadata service.
        if answer.headers.get(FLAVOR) != Some(&google) {
            return Err(ServiceError::credentials(format!(
                "{host} is no metadata service of Google"
            )));
        }
        json_of::<Token>(METADATA, &answer).map(TimeLimited::from)
    }
}

impl From<Token> for TimeLimited<SecretText> {
    fn from(token: Token) -> Self {
        let (shortest, longest) = LIVES;
        let life = token.expires_in.map_or(shortest, Duration::from_secs);
        Self {
            value: SecretText::new(token.access_token),
            life: life.clamp(shortest, longest),
        }
    }
}

/// An address of Google, or the stand-in for it.
fn place(address: &str, stand_in: Option<&Url>) -> Result<Url, ServiceError> {
    let mut url = endpoint(TOKENS, address)?;
    if let Some(stand_in) = stand_in {
        let path = url.path().to_owned();
        url = stand_in.clone();
        url.set_path(&path);
    }
    Ok(url)
}

fn unusable(file: &str, why: &str) -> ServiceError {
    ServiceError::credentials(format!("{VARIABLE} names {file}: {why}"))
}

/// The key of a service account, if that is what the file holds; `None` for a federation file.
fn service_account(credentials: &Value) -> Result<Option<ServiceAccount>, &'static str> {
    let field = |name| credentials.get(name).and_then(Value::as_str);
    match field("type") {
        Some("service_account") => {}
        Some("external_account") => return Ok(None),
        _ => {
            return Err(
                "only the key of a service account and a federation file (external_account) can be used; leave the variable unset for workload identity",
            );
        }
    }
    let (Some(email), Some(key)) = (field("client_email"), field("private_key")) else {
        return Err("the service account has no client_email or no private_key");
    };
    let unusable = "its private_key cannot be used";
    let der = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).map_err(|_| unusable)?;
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| unusable)?;
    Ok(Some(ServiceAccount {
        email: email.to_owned(),
        key,
        key_id: field("private_key_id").map(str::to_owned),
    }))
}

impl ServiceAccount {
    /// A token by which a service account says who it is: signed with its own key, good for one service and a few minutes.
    fn signed(
        &self,
        audience: &str,
        scope: Option<&str>,
        now: Timestamp,
    ) -> Result<SecretText, &'static str> {
        let issued = now.as_second();
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let mut claims = json!({
            "iss": self.email, "sub": self.email, "aud": audience, "iat": issued, "exp": issued.saturating_add(LIFETIME),
        });
        if let (Some(scope), Some(claims)) = (scope, claims.as_object_mut()) {
            claims.insert("scope".to_owned(), Value::from(scope));
        }
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message.as_bytes(),
                &mut signature,
            )
            .map_err(|_| "its private_key cannot be used")?;
        Ok(SecretText::new(format!(
            "{message}.{}",
            URL_SAFE_NO_PAD.encode(signature)
        )))
    }
}
