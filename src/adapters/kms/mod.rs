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
mod spki_pem;
mod vault;

use std::sync::Arc;

use reqwest::Url;

pub use aws::AwsSettings;
pub use azure::AzureSettings;
pub use error::KmsError;
pub use gcp::GcpSettings;
pub use vault::VaultSettings;

use super::identity::{SecretText, exchange};
use super::outbound::Outbound;

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

/// A URL of a service below its base, whose path has these segments. None of them can lead elsewhere.
fn below(base: &Url, segments: &[&str]) -> Result<Url, KmsError> {
    exchange::below(base, segments)
        .ok_or_else(|| KmsError::reference("a part of it is empty or leads elsewhere"))
}
