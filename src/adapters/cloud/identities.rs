//! What our identities give, remembered: each is asked once in its time, however many registries it is for.
//!
//! Whoever may create Pods chooses the registries that are asked for, and can invent them. Without this, each one would be a request to
//! Entra ID or to AWS' security token service.

use std::time::Duration;

use futures::future::BoxFuture;

use super::{CloudSettings, times};
use crate::adapters::ahead::{Ahead, Fetched, Source};
use crate::adapters::identity::azure::AzureIdentity;
use crate::adapters::identity::sigv4::Keys;
use crate::adapters::identity::{SecretText, ServiceError, TimeLimited, aws};
use crate::adapters::outbound::Outbound;

/// How long an identity is left alone that gave nothing.
pub(super) const PAUSE: Duration = Duration::from_secs(30);
/// How long what nobody asks for is remembered.
const IDLE: Duration = Duration::from_hours(24);
/// What a token of Entra ID is for: registries, and nothing else of Azure. The same in every cloud.
const AZURE_REGISTRIES: &str = "https://containerregistry.azure.net";

/// What our identities give.
#[derive(Debug)]
pub(super) struct Identities(Ahead<Given>);

/// One identity, as far as it is asked at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Identity {
    /// AWS, whose keys are good for all regions of a partition.
    Aws { home: &'static str },
    /// Azure, by who speaks for the users of one of its clouds.
    Azure { authority: &'static str },
}

/// What it gives.
#[derive(Clone, Debug)]
enum Proof {
    Keys(Keys),
    Token(SecretText),
}

/// Who gives it.
struct Given {
    outbound: Outbound,
    settings: CloudSettings,
}

// === impl Identities ===

impl Identities {
    /// Of these settings, over this client.
    pub(super) fn new(settings: CloudSettings, outbound: Outbound) -> Self {
        let given = Given { outbound, settings };
        Self(Ahead::new(given, IDLE))
    }

    /// Keys of AWS with which a request to this region is signed.
    pub(super) async fn aws_keys(&self, region: &str) -> Result<Keys, ServiceError> {
        let home = aws::home(region);
        match self.get(Identity::Aws { home }).await? {
            Proof::Keys(keys) => Ok(keys),
            Proof::Token(_) => Err(nobody()),
        }
    }

    /// The token of Entra ID that a registry of Azure takes for its own.
    pub(super) async fn azure_token(
        &self,
        authority: &'static str,
    ) -> Result<SecretText, ServiceError> {
        match self.get(Identity::Azure { authority }).await? {
            Proof::Token(token) => Ok(token),
            Proof::Keys(_) => Err(nobody()),
        }
    }

    async fn get(&self, identity: Identity) -> Result<Proof, ServiceError> {
        let got = self.0.get(&identity).await;
        got.map_err(ServiceError::credentials)
    }
}

/// That there is nobody to ask as.
pub(super) fn nobody() -> ServiceError {
    ServiceError::credentials("there is no identity for this cloud")
}

// === impl Given ===

impl Given {
    async fn ask(&self, identity: Identity) -> Result<TimeLimited<Proof>, ServiceError> {
        let Self { outbound, settings } = self;
        match identity {
            Identity::Aws { home } => {
                let ours = settings.aws.as_ref().ok_or_else(nobody)?;
                let TimeLimited { value, life } = ours.issued_keys(outbound, home).await?;
                let value = Proof::Keys(value);
                Ok(TimeLimited { value, life })
            }
            Identity::Azure { authority } => {
                let ours: &AzureIdentity = settings.azure.as_ref().ok_or_else(nobody)?;
                let given = ours.token(outbound, authority, AZURE_REGISTRIES).await?;
                let value = Proof::Token(given.value);
                let life = given.life;
                Ok(TimeLimited { value, life })
            }
        }
    }
}

impl Source for Given {
    type Key = Identity;
    type Value = Proof;

    fn fetch<'a>(
        &'a self,
        identity: &'a Identity,
    ) -> BoxFuture<'a, Result<Fetched<Proof>, String>> {
        Box::pin(async move {
            let given = self.ask(*identity).await;
            let TimeLimited { value, life } = given.map_err(|error| error.to_string())?;
            Ok(Fetched {
                value,
                times: times(life),
            })
        })
    }

    fn pause(&self, _: &Identity) -> Duration {
        PAUSE
    }
}
