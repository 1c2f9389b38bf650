//! `hashivault://KEY`: the transit engine of `HashiCorp` Vault and `OpenBao`, at the address that the environment names.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::{KmsError, SecretText, below, spki_pem};
use crate::adapters::identity::ServiceError;
use crate::adapters::identity::exchange::{credential, endpoint, get, json, read_credential};
use crate::adapters::outbound::{Outbound, Reach};
use crate::api::PEM_BEGIN;

const SERVICE: &str = "vault";
/// Where the engine is mounted, unless `TRANSIT_SECRET_ENGINE_PATH` says otherwise.
const TRANSIT: &str = "transit";

/// What the environment says about Vault.
#[derive(Clone, Debug, Default)]
pub struct VaultSettings {
    /// `VAULT_ADDR`. The token goes there, and nowhere else.
    pub address: Option<String>,
    /// `VAULT_TOKEN`.
    pub token: Option<SecretText>,
    /// The file that `vault login` and Vault's agent write, read each time.
    pub token_file: Option<String>,
    /// `VAULT_NAMESPACE`.
    pub namespace: Option<String>,
    /// `TRANSIT_SECRET_ENGINE_PATH`.
    pub transit: Option<String>,
}

#[derive(Deserialize)]
struct Read {
    data: Key,
}

#[derive(Deserialize)]
struct Key {
    latest_version: u64,
    keys: BTreeMap<String, Version>,
}

#[derive(Deserialize)]
struct Version {
    public_key: Option<String>,
}

impl VaultSettings {
    pub(super) fn from_environment(given: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            address: given("VAULT_ADDR"),
            token: given("VAULT_TOKEN").map(SecretText::new),
            token_file: given("HOME").map(|home| format!("{home}/.vault-token")),
            namespace: given("VAULT_NAMESPACE"),
            transit: given("TRANSIT_SECRET_ENGINE_PATH"),
        }
    }

    async fn token(&self) -> Result<SecretText, ServiceError> {
        match (&self.token, &self.token_file) {
            (Some(token), _) => Ok(token.clone()),
            (None, Some(file)) => read_credential("without VAULT_TOKEN, HOME", file).await,
            (None, None) => Err(ServiceError::credentials("VAULT_TOKEN is not set")),
        }
    }
}

pub(super) async fn public_key(
    outbound: &Outbound,
    settings: &VaultSettings,
    key: &str,
) -> Result<String, KmsError> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if key.is_empty() || !key.chars().all(is_name) {
        return Err(KmsError::reference("it must be hashivault://KEY"));
    }
    let address = settings
        .address
        .as_deref()
        .ok_or_else(|| KmsError::credentials("VAULT_ADDR is not set"))?;
    let address = endpoint("VAULT_ADDR", address)?;
    let transit = settings.transit.as_deref().unwrap_or(TRANSIT);
    let mut segments = vec!["v1"];
    segments.extend(transit.trim_matches('/').split('/'));
    segments.extend(["keys", key]);
    let url = below(&address, &segments)?;
    let mut headers = HeaderMap::new();
    headers.insert(
        HeaderName::from_static("x-vault-request"),
        HeaderValue::from_static("true"),
    );
    let token = settings.token().await?;
    credential(
        &mut headers,
        HeaderName::from_static("x-vault-token"),
        token.expose(),
    )?;
    if let Some(namespace) = &settings.namespace {
        let name = HeaderName::from_static("x-vault-namespace");
        credential(&mut headers, name, namespace)?;
    }
    let answer = get(outbound, url, headers, Reach::Private).await?;
    let read: Read = json(SERVICE, &answer)?;
    let latest = read.data.keys.get(&read.data.latest_version.to_string());
    let public_key = latest.and_then(|version| version.public_key.as_deref());
    let Some(public_key) = public_key.filter(|key| !key.is_empty()) else {
        return Err(KmsError::answer(
            SERVICE,
            "the key has no public part: it is no signing key",
        ));
    };
    if public_key.starts_with(PEM_BEGIN) {
        return Ok(public_key.to_owned());
    }
    // Ed25519 keys come as their bytes.
    let key = STANDARD
        .decode(public_key)
        .map_err(|_| spki_pem::NO_KEY)
        .and_then(|key| spki_pem::from_ed25519(&key));
    key.map_err(|detail| KmsError::answer(SERVICE, detail))
}
