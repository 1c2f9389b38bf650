//! Credentials for the registries of clouds, from who we are there: ECR, Artifact Registry and GCR, ACR.
//!
//! *In*: which clouds we have an identity of, and the registries of a review. *Out*: entries for those of them that are registries of
//! such a cloud by their whole names, and for nothing else (T-16). Each token is fetched when its registry is first asked for, kept, and
//! fetched again at half of its life in the background; the last good one is used until it ends. A token that cannot be had is no
//! credential: the registry then says what it refuses, and nothing is taken for unsigned.
//!
//! | file | what |
//! |---|---|
//! | `hosts` | which registries are those of a cloud |
//! | `identities` | what our identities give, asked for once for all registries (T-94) |
//! | `strangers` | how many registries are asked that never gave a token (T-94) |
//! | `ecr` | `GetAuthorizationToken` of AWS, for a region or the public registry |
//! | `azure` | the exchange of a token of Entra ID at a registry |
//!
//! Google's registries take its access tokens as they are. Where tokens come from is [`super::identity`]. Here, no variable changes where
//! something is sent; metadata services are asked by that module alone, and never because of anything in evidence.

mod azure;
mod ecr;
pub(in crate::adapters) mod hosts;
mod identities;
mod strangers;

use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use reqwest::Url;
use tokio::time::{Instant, timeout};

use super::ahead::{Ahead, Fetched, Source, Times};
use super::identity::aws::{AwsIdentity, home};
use super::identity::azure::AzureIdentity;
use super::identity::google::{GoogleIdentity, PULLS};
use super::identity::{ServiceError, TimeLimited};
use super::outbound::{Outbound, printable};
use super::refresh::Count;
use crate::gather::{Credential, KeychainEntry};
pub use hosts::{HostPattern, HostPatternError};

use hosts::CloudRegistry;
use identities::Identities;
use strangers::Strangers;

/// How long a review waits for tokens that are not there yet. They are fetched to the end all the same.
const WAIT: Duration = Duration::from_secs(3);
/// How long a token is kept fresh that nobody asks for.
const IDLE: Duration = Duration::from_hours(24);
/// How long before its end a token is not used any more: a request takes its time.
const MARGIN: Duration = Duration::from_secs(30);
/// How long a registry is left alone that gave no token.
const PAUSE: Duration = Duration::from_secs(5);
/// Why a registry is not asked.
const TOO_MANY: &str = "too many registries that never gave a token were asked for one lately";
/// The user under which Google's registries take an access token.
const GOOGLE_USER: &str = "oauth2accesstoken";

/// A cloud whose registries are read with the identity of whoever runs us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cloud {
    /// AWS: ECR.
    Aws,
    /// Google Cloud: Artifact Registry and Container Registry.
    Gcp,
    /// Azure: ACR.
    Azure,
}

/// Who we are in which cloud. `Default` is nobody.
#[derive(Clone, Debug, Default)]
pub struct CloudSettings {
    /// For ECR.
    pub aws: Option<AwsIdentity>,
    /// For Artifact Registry and GCR.
    pub google: Option<GoogleIdentity>,
    /// For ACR.
    pub azure: Option<AzureIdentity>,
    /// The registries that tokens are asked for; empty is every registry of these clouds.
    pub only: Vec<HostPattern>,
    /// A stand-in for the services of registries that give tokens: requests go there instead. No variable sets it.
    pub stand_in: Option<Url>,
}

/// The tokens that are good now.
#[derive(Debug)]
pub struct CloudCredentials {
    settings: CloudSettings,
    tokens: Ahead<Tokens>,
}

/// Where tokens come from.
struct Tokens {
    outbound: Outbound,
    settings: CloudSettings,
    identities: Identities,
    strangers: Strangers,
}

// === impl CloudSettings ===

impl CloudSettings {
    /// Who we are in these clouds, metadata services included; `finds_named` adds each cloud of which the environment names an identity,
    /// without asking any metadata service. An empty variable counts as absent.
    pub fn from_environment(
        clouds: &[Cloud],
        finds_named: bool,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let is_asked = |cloud| clouds.contains(&cloud);
        let aws = AwsIdentity {
            sts_endpoint: None,
            asks_machine: is_asked(Cloud::Aws),
            ..AwsIdentity::from_environment(given)
        };
        let google = GoogleIdentity {
            metadata_host: None,
            asks_metadata: is_asked(Cloud::Gcp),
            ..GoogleIdentity::from_environment(given)
        };
        let azure = AzureIdentity {
            authority: None,
            asks_machine: is_asked(Cloud::Azure),
            ..AzureIdentity::from_environment(given)
        };
        let is_meant = |cloud, is_named| is_asked(cloud) || (finds_named && is_named);
        Self {
            aws: is_meant(Cloud::Aws, aws.is_named()).then_some(aws),
            google: is_meant(Cloud::Gcp, google.is_named()).then_some(google),
            azure: is_meant(Cloud::Azure, azure.is_named()).then_some(azure),
            only: Vec::new(),
            stand_in: None,
        }
    }

    /// The clouds that we are somebody in.
    pub fn clouds(&self) -> Vec<Cloud> {
        let known = [
            (Cloud::Aws, self.aws.is_some()),
            (Cloud::Gcp, self.google.is_some()),
            (Cloud::Azure, self.azure.is_some()),
        ];
        let known = known.into_iter().filter(|(_, is_known)| *is_known);
        known.map(|(cloud, _)| cloud).collect()
    }

    /// Whether a token may be asked for with this host in mind.
    fn names(&self, host: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|pattern| pattern.matches(host))
    }

    /// Whether we are somebody for this registry.
    fn serves(&self, registry: &CloudRegistry) -> bool {
        match registry {
            // An image's name must not choose which nation's cloud is shown what we are.
            CloudRegistry::Ecr { region, .. } => self.aws.as_ref().is_some_and(|ours| {
                let own = ours.region.as_deref();
                own.is_none_or(|own| home(own) == home(region))
            }),
            CloudRegistry::EcrPublic => self.aws.is_some(),
            CloudRegistry::Google => self.google.is_some(),
            CloudRegistry::Azure { authority, .. } => {
                let ours = self.azure.as_ref();
                ours.is_some_and(|ours| ours.is_of(authority))
            }
        }
    }
}

// === impl CloudCredentials ===

impl CloudCredentials {
    /// Tokens by these identities, over this client, whose bound in time is that of one request.
    pub fn new(settings: CloudSettings, outbound: Outbound) -> Self {
        let tokens = Tokens {
            identities: Identities::new(settings.clone(), outbound.clone()),
            strangers: Strangers::new(),
            outbound,
            settings: settings.clone(),
        };
        Self {
            settings,
            tokens: Ahead::new(tokens, IDLE),
        }
    }

    /// An entry for each of these registries (as references have them) that we have a token for.
    pub async fn entries(&self, registries: &[&str]) -> Vec<KeychainEntry> {
        let known = registries.iter().filter_map(|registry| {
            let cloud = CloudRegistry::of(registry)?;
            let is_served = self.settings.names(registry) && self.settings.serves(&cloud);
            is_served.then_some((registry, cloud))
        });
        let asked = known.map(|(registry, cloud)| async move {
            let got = timeout(WAIT, self.tokens.get(&cloud)).await.ok()?;
            Some(KeychainEntry {
                pattern: (*registry).to_owned(),
                credential: got.ok()?,
                source: format!("cloud credentials ({})", name(&cloud)),
            })
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Fetches tokens again before they end, for ever.
    pub async fn keep_fresh(&self) {
        self.tokens.keep_fresh().await;
    }

    /// How many tokens there are.
    pub fn count(&self) -> Count {
        self.tokens.count()
    }
}

// === impl Tokens ===

impl Tokens {
    async fn token(
        &self,
        registry: &CloudRegistry,
    ) -> Result<TimeLimited<Credential>, ServiceError> {
        let Self {
            outbound,
            settings,
            identities,
            ..
        } = self;
        let stand_in = settings.stand_in.as_ref();
        match registry {
            CloudRegistry::Ecr { region, is_fips } => {
                ecr::token(outbound, identities, region, *is_fips, stand_in).await
            }
            CloudRegistry::EcrPublic => ecr::public_token(outbound, identities, stand_in).await,
            CloudRegistry::Google => {
                let identity = settings.google.as_ref().ok_or_else(identities::nobody)?;
                let TimeLimited { value, life } = identity.access_token(outbound, PULLS).await?;
                let value = Credential::Basic {
                    username: GOOGLE_USER.to_owned(),
                    password: value.expose().to_owned(),
                };
                Ok(TimeLimited { value, life })
            }
            CloudRegistry::Azure { host, authority } => {
                let ours = identities.azure_token(authority).await?;
                let tenant = settings.azure.as_ref();
                let tenant = tenant.and_then(|identity| identity.tenant.as_deref());
                azure::token(outbound, &ours, tenant, host, stand_in).await
            }
        }
    }
}

impl Source for Tokens {
    type Key = CloudRegistry;
    type Value = Credential;

    fn fetch<'a>(
        &'a self,
        registry: &'a CloudRegistry,
    ) -> BoxFuture<'a, Result<Fetched<Credential>, String>> {
        Box::pin(async move {
            if !self.strangers.may_ask(registry, Instant::now()) {
                tracing::debug!(?registry, "not asked for a token: too many others were");
                return Err(TOO_MANY.to_owned());
            }
            match self.token(registry).await {
                Ok(TimeLimited { value, life }) => {
                    self.strangers.learn(registry);
                    Ok(Fetched {
                        value,
                        times: times(life),
                    })
                }
                Err(error) => {
                    let (cloud, error) = (name(registry), printable(&error.to_string()));
                    tracing::warn!(
                        cloud,
                        ?registry,
                        error,
                        "no token for a registry of a cloud; without one it is asked with other credentials, or none"
                    );
                    Err(error)
                }
            }
        })
    }

    /// Google's tokens are those of the identity itself, and the same for all of its registries.
    fn pause(&self, registry: &CloudRegistry) -> Duration {
        match registry {
            CloudRegistry::Google => identities::PAUSE,
            _ => PAUSE,
        }
    }
}

/// Half of its life it is fresh; it is used until shortly before its end.
fn times(life: Duration) -> Times {
    let end = life.saturating_sub(MARGIN.min(life / 10));
    Times {
        fresh: life / 2,
        good: end,
        last: end,
    }
}

/// The word for a cloud, as `--cloud-credentials` takes it.
fn name(registry: &CloudRegistry) -> &'static str {
    match registry {
        CloudRegistry::Ecr { .. } | CloudRegistry::EcrPublic => "aws",
        CloudRegistry::Google => "gcp",
        CloudRegistry::Azure { .. } => "azure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(
        clouds: &[Cloud],
        finds_named: bool,
        environment: &[(&str, &str)],
    ) -> CloudSettings {
        CloudSettings::from_environment(clouds, finds_named, |name| {
            let found = environment.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_cloud_is_found_where_the_environment_names_an_identity_and_no_machine_is_asked() {
        let irsa = [("AWS_WEB_IDENTITY_TOKEN_FILE", "t"), ("AWS_ROLE_ARN", "r")];
        let found = settings(&[], true, &irsa);
        assert_eq!(found.clouds(), [Cloud::Aws]);
        assert!(!found.aws.unwrap().asks_machine);
        let workload = [
            ("AZURE_TENANT_ID", "t"),
            ("AZURE_CLIENT_ID", "c"),
            ("AZURE_FEDERATED_TOKEN_FILE", "f"),
            ("GOOGLE_APPLICATION_CREDENTIALS", "g"),
        ];
        let found = settings(&[], true, &workload);
        assert_eq!(found.clouds(), [Cloud::Gcp, Cloud::Azure]);
        assert!(!found.google.unwrap().asks_metadata);
        assert_eq!(settings(&[], false, &irsa).clouds(), []);
        assert_eq!(settings(&[], true, &[("AWS_ROLE_ARN", "")]).clouds(), []);
    }

    #[test]
    fn a_cloud_that_is_named_may_ask_its_metadata_service() {
        let found = settings(&[Cloud::Gcp], false, &[]);
        assert_eq!(found.clouds(), [Cloud::Gcp]);
        assert!(found.google.unwrap().asks_metadata);
    }

    #[test]
    fn t16_no_variable_changes_where_credentials_go() {
        let elsewhere = "http://evil.example";
        let found = settings(
            &[Cloud::Aws, Cloud::Gcp, Cloud::Azure],
            true,
            &[
                ("AWS_ENDPOINT_URL", elsewhere),
                ("AWS_ENDPOINT_URL_STS", elsewhere),
                ("GCE_METADATA_HOST", "evil.example"),
                ("AZURE_AUTHORITY_HOST", elsewhere),
            ],
        );
        assert!(!format!("{found:?}").contains("evil.example"), "{found:?}");
    }

    #[test]
    fn a_token_is_fetched_again_at_half_of_its_life_and_not_used_in_its_last_moments() {
        let ecr = times(Duration::from_hours(12));
        assert_eq!(ecr.fresh, Duration::from_hours(6));
        assert_eq!(
            ecr.last,
            Duration::from_hours(12).checked_sub(MARGIN).unwrap()
        );
        let short = times(Duration::from_secs(10));
        assert_eq!(short.last, Duration::from_secs(9));
    }
}
