//! `azurekms://VAULT/KEY[/VERSION]`: Azure Key Vault and Managed HSM, by their host names.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use reqwest::Url;
use serde::Deserialize;

use super::{KmsError, below, spki_pem};
use crate::adapters::identity::azure::{AUTHORITY, AzureIdentity};
use crate::adapters::identity::exchange::{credential, endpoint, get, json};
use crate::adapters::outbound::{Outbound, Reach};

const SERVICE: &str = "azure key vault";
const API_VERSION: &str = "7.4";

/// The domains of vaults, each one label above the name of a vault, in every cloud. A token for one of them goes nowhere else (T-16).
const DOMAINS: [&str; 8] = [
    "vault.azure.net",
    "vault.azure.cn",
    "vault.usgovcloudapi.net",
    "vault.microsoftazure.de",
    "managedhsm.azure.net",
    "managedhsm.azure.cn",
    "managedhsm.usgovcloudapi.net",
    "managedhsm.microsoftazure.de",
];

/// What the environment says about Azure.
#[derive(Clone, Debug, Default)]
pub struct AzureSettings {
    /// Who we are.
    pub identity: AzureIdentity,
    /// A stand-in for every vault: requests go there instead. No variable sets it.
    pub stand_in: Option<Url>,
}

#[derive(Deserialize)]
struct Found {
    key: JsonWebKey,
}

/// RFC 7517, of the kinds that sign.
#[derive(Deserialize)]
struct JsonWebKey {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl AzureSettings {
    pub(super) fn from_environment(given: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            identity: AzureIdentity::from_environment(given),
            stand_in: None,
        }
    }
}

pub(super) async fn public_key(
    outbound: &Outbound,
    settings: &AzureSettings,
    reference: &str,
) -> Result<String, KmsError> {
    let mut parts = reference.trim_end_matches('/').split('/');
    let (Some(host), Some(key), version, None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(KmsError::reference(
            "it must be azurekms://VAULT/KEY or azurekms://VAULT/KEY/VERSION",
        ));
    };
    let domain = domain(host)?;
    let base = match &settings.stand_in {
        Some(stand_in) => stand_in.clone(),
        None => endpoint("azurekms://", &format!("https://{host}/"))?,
    };
    let segments: Vec<&str> = ["keys", key].into_iter().chain(version).collect();
    let mut url = below(&base, &segments)?;
    url.set_query(Some(&format!("api-version={API_VERSION}")));
    let resource = format!("https://{domain}");
    let identity = &settings.identity;
    let token = identity.token(outbound, AUTHORITY, &resource).await?.value;
    let mut headers = HeaderMap::new();
    let bearer = format!("Bearer {}", token.expose());
    credential(&mut headers, AUTHORIZATION, &bearer)?;
    let answer = get(outbound, url, headers, Reach::Private).await?;
    let found: Found = json(SERVICE, &answer)?;
    found
        .key
        .to_pem()
        .map_err(|detail| KmsError::answer(SERVICE, detail))
}

/// The domain of the vault with this host name.
fn domain(host: &str) -> Result<&'static str, KmsError> {
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let lower = host.to_ascii_lowercase();
    let is_below = |domain: &&str| {
        let vault = lower
            .strip_suffix(*domain)
            .and_then(|rest| rest.strip_suffix('.'));
        vault.is_some_and(is_label)
    };
    DOMAINS
        .into_iter()
        .find(is_below)
        .ok_or_else(|| KmsError::ForeignHost {
            host: crate::adapters::outbound::printable(host),
            rule: "it is no host of a vault, such as NAME.vault.azure.net",
        })
}

impl JsonWebKey {
    fn to_pem(&self) -> Result<String, &'static str> {
        let bytes = |field: &Option<String>| {
            let text = field.as_deref().ok_or(spki_pem::NO_KEY)?;
            URL_SAFE_NO_PAD.decode(text).map_err(|_| spki_pem::NO_KEY)
        };
        match self.kty.as_str() {
            "EC" | "EC-HSM" => {
                let curve = self.crv.as_deref().unwrap_or_default();
                spki_pem::from_point(curve, &bytes(&self.x)?, &bytes(&self.y)?)
            }
            "RSA" | "RSA-HSM" => spki_pem::from_modulus(&bytes(&self.n)?, &bytes(&self.e)?),
            _ => Err("it is no signing key"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t16_only_hosts_of_vaults_get_a_token() {
        for host in [
            "shop.vault.azure.net",
            "SHOP-1.vault.azure.cn",
            "h.managedhsm.azure.net",
        ] {
            assert!(domain(host).is_ok(), "{host}");
        }
        for host in [
            "shop.vault.azure.net.evil.example",
            "vault.azure.net",
            "a.b.vault.azure.net",
            "evilvault.azure.net",
            "shop.vault.azure.net:8443",
            "user@shop.vault.azure.net",
            "shop.vault.azure.net@evil.example",
            "evil.example#.vault.azure.net",
            "evil.example?.vault.azure.net",
            "",
        ] {
            assert!(domain(host).is_err(), "{host}");
        }
    }
}
