//! Tokens of Microsoft Entra ID: by a client secret, by a federated token (workload identity), or, where the caller admits it, by the
//! metadata service of the machine (managed identity).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use super::TimeLimited;
use super::error::ServiceError;
use super::exchange::{below, endpoint, get, json, post_form, read_credential};
use super::secret_text::SecretText;
use crate::adapters::outbound::{Outbound, Reach};

const TOKENS: &str = "azure's token service";
const MACHINE: &str = "azure's metadata service";
const MACHINE_ADDRESS: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
/// The authority of the public cloud.
pub(in crate::adapters) const AUTHORITY: &str = "https://login.microsoftonline.com/";
/// The shortest and longest life of a token that are believed. A managed identity's is good for a day.
const TOKEN_LIVES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(24));

/// What the environment says about Azure.
#[derive(Clone, Debug, Default)]
pub struct AzureIdentity {
    /// `AZURE_TENANT_ID`.
    pub tenant: Option<String>,
    /// `AZURE_CLIENT_ID`.
    pub client: Option<String>,
    /// `AZURE_CLIENT_SECRET`.
    pub secret: Option<SecretText>,
    /// `AZURE_FEDERATED_TOKEN_FILE`: the token of workload identity, read each time.
    pub federated_token_file: Option<String>,
    /// `AZURE_AUTHORITY_HOST`.
    pub authority: Option<String>,
    /// Whether the metadata service of the machine may be asked. No variable sets it.
    pub asks_machine: bool,
    /// A stand-in for authority and metadata service: requests go there instead. No variable sets it.
    pub stand_in: Option<Url>,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    /// A number, or, from the metadata service, its digits.
    expires_in: Option<Value>,
}

impl AzureIdentity {
    pub(in crate::adapters) fn from_environment(given: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            tenant: given("AZURE_TENANT_ID"),
            client: given("AZURE_CLIENT_ID"),
            secret: given("AZURE_CLIENT_SECRET").map(SecretText::new),
            federated_token_file: given("AZURE_FEDERATED_TOKEN_FILE"),
            authority: given("AZURE_AUTHORITY_HOST"),
            asks_machine: false,
            stand_in: None,
        }
    }

    /// Whether the environment names an identity.
    pub(in crate::adapters) fn is_named(&self) -> bool {
        self.tenant.is_some()
            && self.client.is_some()
            && (self.secret.is_some() || self.federated_token_file.is_some())
    }

    /// Whether we are somebody at this authority: that of the environment, else that of the public cloud.
    pub(in crate::adapters) fn is_of(&self, authority: &str) -> bool {
        let own = self.authority.as_deref().unwrap_or(AUTHORITY);
        own.trim_end_matches('/') == authority.trim_end_matches('/')
    }

    /// A token for what is at `resource` (`https://vault.azure.net`), from this authority unless the environment names another one.
    pub(in crate::adapters) async fn token(
        &self,
        outbound: &Outbound,
        authority: &str,
        resource: &str,
    ) -> Result<TimeLimited<SecretText>, ServiceError> {
        let proves_itself = self.secret.is_some() || self.federated_token_file.is_some();
        if self.asks_machine && !proves_itself {
            return self.token_of_machine(outbound, resource).await;
        }
        let missing = |name: &str| ServiceError::credentials(format!("{name} is not set"));
        let tenant = self
            .tenant
            .as_deref()
            .ok_or_else(|| missing("AZURE_TENANT_ID"))?;
        let client = self
            .client
            .as_deref()
            .ok_or_else(|| missing("AZURE_CLIENT_ID"))?;
        let url = self.authority(authority, tenant)?;
        let scope = format!("{resource}/.default");
        let mut fields = vec![
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("scope", &scope),
        ];
        let assertion;
        match (&self.secret, &self.federated_token_file) {
            (Some(secret), _) => fields.push(("client_secret", secret.expose())),
            (None, Some(file)) => {
                assertion = read_credential("AZURE_FEDERATED_TOKEN_FILE", file).await?;
                fields.push((
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                ));
                fields.push(("client_assertion", assertion.expose()));
            }
            (None, None) => {
                return Err(ServiceError::credentials(
                    "neither AZURE_CLIENT_SECRET nor AZURE_FEDERATED_TOKEN_FILE is set",
                ));
            }
        }
        let answer = post_form(outbound, url, &fields).await?;
        json::<Token>(TOKENS, &answer).map(TimeLimited::from)
    }

    fn authority(&self, usual: &str, tenant: &str) -> Result<Url, ServiceError> {
        let base = match (&self.stand_in, &self.authority) {
            (Some(stand_in), _) => stand_in.clone(),
            (None, Some(given)) => endpoint("AZURE_AUTHORITY_HOST", given)?,
            (None, None) => endpoint("AZURE_AUTHORITY_HOST", usual)?,
        };
        below(&base, &[tenant, "oauth2", "v2.0", "token"])
            .ok_or_else(|| ServiceError::credentials("AZURE_TENANT_ID is no tenant"))
    }

    /// What the machine is. `AZURE_CLIENT_ID` says which identity is meant where it has several.
    async fn token_of_machine(
        &self,
        outbound: &Outbound,
        resource: &str,
    ) -> Result<TimeLimited<SecretText>, ServiceError> {
        let mut url = endpoint(MACHINE, MACHINE_ADDRESS)?;
        if let Some(stand_in) = &self.stand_in {
            let path = url.path().to_owned();
            url = stand_in.clone();
            url.set_path(&path);
        }
        url.query_pairs_mut()
            .append_pair("api-version", "2018-02-01")
            .append_pair("resource", resource);
        if let Some(client) = &self.client {
            url.query_pairs_mut().append_pair("client_id", client);
        }
        let metadata = HeaderName::from_static("metadata");
        let headers = HeaderMap::from_iter([(metadata, HeaderValue::from_static("true"))]);
        let answer = get(outbound, url, headers, Reach::Metadata).await?;
        json::<Token>(MACHINE, &answer).map(TimeLimited::from)
    }
}

impl From<Token> for TimeLimited<SecretText> {
    fn from(token: Token) -> Self {
        let (shortest, longest) = TOKEN_LIVES;
        let seconds = token.expires_in.as_ref().and_then(|written| {
            let digits = || written.as_str().and_then(|digits| digits.parse().ok());
            written.as_u64().or_else(digits)
        });
        let life = seconds.map_or(shortest, Duration::from_secs);
        Self {
            value: SecretText::new(token.access_token),
            life: life.clamp(shortest, longest),
        }
    }
}
