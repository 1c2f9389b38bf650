//! Keys of AWS: the ones in the environment, else those of a role.
//!
//! A role is got by a web identity (IRSA: a token of the service account, which the security token service turns into keys), from the
//! agent of EKS Pod Identity, or, where the caller admits it, from the metadata service of the machine.

mod region;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;
use reqwest::Url;
use serde::Deserialize;
use url::Host;

pub(in crate::adapters) use region::{home, is_region, suffix};

use super::error::ServiceError;
use super::exchange::{
    ANSWER, below, credential, endpoint, get, json, post_form, read_credential, succeeded,
};
use super::secret_text::SecretText;
use super::sigv4::Keys;
use super::{LIVES, TimeLimited};
use crate::adapters::outbound::{Ask, Outbound, Reach};

const TOKENS: &str = "aws' security token service";
const AGENT: &str = "the agent of aws' pod identity";
const MACHINE: &str = "the metadata service of ec2";
/// The metadata service of EC2.
const MACHINE_ADDRESS: &str = "http://169.254.169.254/";
/// Where keys are given to a container: the agent of EKS Pod Identity (both families of addresses), and ECS.
const AGENT_ADDRESSES: [&str; 3] = ["169.254.170.23", "fd00:ec2::23", "169.254.170.2"];
/// For how long a session with the metadata service is asked, in seconds.
const SESSION: &str = "60";
/// How long keys are taken to live that do not say so: the shortest session of a role.
const UNSAID: Duration = Duration::from_mins(15);

/// What the environment says about AWS.
#[derive(Clone, Debug, Default)]
pub struct AwsIdentity {
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key: Option<String>,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_key: Option<SecretText>,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: Option<SecretText>,
    /// `AWS_WEB_IDENTITY_TOKEN_FILE`, read each time.
    pub web_identity_file: Option<String>,
    /// `AWS_ROLE_ARN`.
    pub role: Option<String>,
    /// `AWS_REGION` or `AWS_DEFAULT_REGION`: that of the security token service. What is asked for names its own.
    pub region: Option<String>,
    /// `AWS_ENDPOINT_URL_STS` or `AWS_ENDPOINT_URL`.
    pub sts_endpoint: Option<String>,
    /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`: the agent of EKS Pod Identity.
    pub agent: Option<String>,
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`: what is shown to it, read each time.
    pub agent_token_file: Option<String>,
    /// Whether the metadata service of the machine may be asked. No variable sets it.
    pub asks_machine: bool,
    /// A stand-in for the agent and the metadata service: requests go there instead. No variable sets it.
    pub stand_in: Option<Url>,
}

/// Keys as the agent and the metadata service give them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GivenKeys {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: Option<String>,
}

impl AwsIdentity {
    pub(in crate::adapters) fn from_environment(given: impl Fn(&str) -> Option<String>) -> Self {
        let either = |first: &str, second: &str| given(first).or_else(|| given(second));
        Self {
            access_key: given("AWS_ACCESS_KEY_ID"),
            secret_key: given("AWS_SECRET_ACCESS_KEY").map(SecretText::new),
            session_token: given("AWS_SESSION_TOKEN").map(SecretText::new),
            web_identity_file: given("AWS_WEB_IDENTITY_TOKEN_FILE"),
            role: given("AWS_ROLE_ARN"),
            region: either("AWS_REGION", "AWS_DEFAULT_REGION"),
            sts_endpoint: either("AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"),
            agent: given("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
            agent_token_file: given("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
            asks_machine: false,
            stand_in: None,
        }
    }

    /// Whether the environment names an identity.
    pub(in crate::adapters) fn is_named(&self) -> bool {
        self.access_key.is_some()
            || (self.web_identity_file.is_some() && self.role.is_some())
            || self.agent.is_some()
    }

    /// Keys that are good now. `region` is that of what is asked for.
    pub(in crate::adapters) async fn keys(
        &self,
        outbound: &Outbound,
        region: &str,
    ) -> Result<Keys, ServiceError> {
        Ok(self.issued_keys(outbound, region).await?.value)
    }

    /// The same, with how long they are good. Keys of the environment are taken to be good for as long as any.
    pub(in crate::adapters) async fn issued_keys(
        &self,
        outbound: &Outbound,
        region: &str,
    ) -> Result<TimeLimited<Keys>, ServiceError> {
        match (&self.access_key, &self.secret_key) {
            (Some(id), Some(secret)) => Ok(TimeLimited {
                value: Keys {
                    id: id.clone(),
                    secret: secret.clone(),
                    token: self.session_token.clone(),
                },
                life: LIVES.1,
            }),
            (Some(_), None) | (None, Some(_)) => Err(ServiceError::credentials(
                "one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is not set",
            )),
            (None, None) => self.keys_of_role(outbound, region).await,
        }
    }

    async fn keys_of_role(
        &self,
        outbound: &Outbound,
        region: &str,
    ) -> Result<TimeLimited<Keys>, ServiceError> {
        if let (Some(file), Some(role)) = (&self.web_identity_file, &self.role) {
            let url = self.sts(region)?;
            return keys_by_web_identity(outbound, url, file, role).await;
        }
        if let Some(agent) = &self.agent {
            return self.keys_of_agent(outbound, agent).await;
        }
        if self.asks_machine {
            return self.keys_of_machine(outbound).await;
        }
        Err(ServiceError::credentials(
            "none of AWS_ACCESS_KEY_ID, AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, and AWS_CONTAINER_CREDENTIALS_FULL_URI is set",
        ))
    }

    fn sts(&self, region: &str) -> Result<Url, ServiceError> {
        if let Some(given) = &self.sts_endpoint {
            return endpoint("AWS_ENDPOINT_URL_STS", given);
        }
        let region = self.region.as_deref().unwrap_or(region);
        if !is_region(region) {
            return Err(ServiceError::credentials("AWS_REGION is no region"));
        }
        let suffix = suffix(region);
        endpoint("AWS_REGION", &format!("https://sts.{region}.{suffix}/"))
    }

    async fn keys_of_agent(
        &self,
        outbound: &Outbound,
        agent: &str,
    ) -> Result<TimeLimited<Keys>, ServiceError> {
        let url = agent_address(agent)?;
        let url = self.stand_in.as_ref().map_or(url.clone(), |stand_in| {
            let mut replaced = stand_in.clone();
            replaced.set_path(url.path());
            replaced
        });
        let mut headers = HeaderMap::new();
        if let Some(file) = &self.agent_token_file {
            let token = read_credential("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file).await?;
            credential(&mut headers, header::AUTHORIZATION, token.expose())?;
        }
        let answer = get(outbound, url, headers, Reach::Metadata).await?;
        json::<GivenKeys>(AGENT, &answer).map(TimeLimited::from)
    }

    /// The keys of the machine's role, in a session of version 2 of the service: a proxy that was tricked does not make one.
    async fn keys_of_machine(
        &self,
        outbound: &Outbound,
    ) -> Result<TimeLimited<Keys>, ServiceError> {
        let base = match &self.stand_in {
            Some(stand_in) => stand_in.clone(),
            None => endpoint(MACHINE, MACHINE_ADDRESS)?,
        };
        let to = |segments: &[&str]| {
            below(&base, segments)
                .ok_or_else(|| ServiceError::answer(MACHINE, "the name of its role is none"))
        };
        let lifetime = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
        let ask = Ask {
            method: Method::PUT,
            url: to(&["latest", "api", "token"])?,
            headers: HeaderMap::from_iter([(lifetime, HeaderValue::from_static(SESSION))]),
            body: bytes::Bytes::new(),
            reach: Reach::Metadata,
            limit: ANSWER,
        };
        let answer = outbound.send(ask).await?;
        let session = text(&answer)?;
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static("x-aws-ec2-metadata-token");
        credential(&mut headers, name, &session)?;
        let roles = ["latest", "meta-data", "iam", "security-credentials"];
        let mut list = to(&roles)?;
        list.set_path(&format!("{}/", list.path()));
        let answer = get(outbound, list, headers.clone(), Reach::Metadata).await?;
        let role = text(&answer)?;
        let url = to(&[&roles[..], &[role.as_str()]].concat())?;
        let answer = get(outbound, url, headers, Reach::Metadata).await?;
        json::<GivenKeys>(MACHINE, &answer).map(TimeLimited::from)
    }
}

impl From<GivenKeys> for TimeLimited<Keys> {
    fn from(given: GivenKeys) -> Self {
        Self {
            value: Keys {
                id: given.access_key_id,
                secret: SecretText::new(given.secret_access_key),
                token: Some(SecretText::new(given.token)),
            },
            life: life(given.expiration.as_deref(), Timestamp::now()),
        }
    }
}

/// How long keys are good that end at this time: only when to ask for the next ones depends on it.
fn life(expiration: Option<&str>, now: Timestamp) -> Duration {
    let ends = expiration.and_then(|written| written.parse::<Timestamp>().ok());
    let (shortest, longest) = LIVES;
    ends.map_or(UNSAID, |ends| {
        Duration::try_from(ends.duration_since(now)).unwrap_or_default()
    })
    .clamp(shortest, longest)
}

/// The first line of an answer of the metadata service.
fn text(answer: &crate::adapters::outbound::Answer) -> Result<String, ServiceError> {
    succeeded(MACHINE, answer)?;
    std::str::from_utf8(&answer.body)
        .ok()
        .and_then(|text| text.lines().next())
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .ok_or_else(|| ServiceError::answer(MACHINE, "there is nothing in it"))
}

/// Where keys are given to a container, if the variable names such a place and no other.
fn agent_address(written: &str) -> Result<Url, ServiceError> {
    let variable = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    let url = endpoint(variable, written)?;
    let host = match url.host() {
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(Host::Domain(_)) | None => String::new(),
    };
    let is_agent = url.scheme() == "http"
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && AGENT_ADDRESSES.contains(&host.as_str());
    if is_agent {
        return Ok(url);
    }
    Err(ServiceError::credentials(format!(
        "{variable} is not the address of an agent of AWS (http:// and one of {})",
        AGENT_ADDRESSES.join(", ")
    )))
}

/// `AssumeRoleWithWebIdentity`: unsigned, since the token in it is the proof.
async fn keys_by_web_identity(
    outbound: &Outbound,
    url: Url,
    file: &str,
    role: &str,
) -> Result<TimeLimited<Keys>, ServiceError> {
    let token = read_credential("AWS_WEB_IDENTITY_TOKEN_FILE", file).await?;
    let fields = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", role),
        ("RoleSessionName", "vouchsafe"),
        ("WebIdentityToken", token.expose()),
    ];
    let answer = post_form(outbound, url, &fields).await?;
    succeeded(TOKENS, &answer)?;
    let text = String::from_utf8_lossy(&answer.body);
    let element = |name: &str| {
        let inside = text.split_once(&format!("<{name}>"))?.1;
        Some(
            inside
                .split_once(&format!("</{name}>"))?
                .0
                .trim()
                .to_owned(),
        )
    };
    let found = (
        element("AccessKeyId"),
        element("SecretAccessKey"),
        element("SessionToken"),
    );
    let (Some(id), Some(secret), Some(token)) = found else {
        return Err(ServiceError::answer(TOKENS, "there are no keys in it"));
    };
    Ok(TimeLimited {
        value: Keys {
            id,
            secret: SecretText::new(secret),
            token: Some(SecretText::new(token)),
        },
        life: life(element("Expiration").as_deref(), Timestamp::now()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_addresses_are_agents() {
        for agent in [
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
            "http://169.254.170.2/v2/credentials/1",
        ] {
            assert!(agent_address(agent).is_ok(), "{agent}");
        }
        for other in [
            "http://169.254.169.254/latest/meta-data",
            "http://169.254.170.23:8080/v1/credentials",
            "http://169.254.170.23@evil.example/v1/credentials",
            "http://169.254.170.23.evil.example/v1/credentials",
            "http://evil.example/v1/credentials",
            "https://169.254.170.23/v1/credentials",
            "http://127.0.0.1/v1/credentials",
            "http://10.0.0.1/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(agent_address(other).is_err(), "{other}");
        }
    }

    #[test]
    fn keys_live_until_they_say_that_they_end() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let hours = Duration::from_hours;
        assert_eq!(life(Some("2026-01-01T01:00:00Z"), now), hours(1));
        assert_eq!(life(Some("2036-01-01T00:00:00Z"), now), hours(12));
        assert_eq!(life(Some("2020-01-01T00:00:00Z"), now), LIVES.0);
        for unsaid in [None, Some("soon")] {
            assert_eq!(life(unsaid, now), UNSAID);
        }
    }

    #[test]
    fn the_region_of_the_environment_leads_nowhere_else() {
        let sts = |region: &str| {
            let identity = AwsIdentity {
                region: Some(region.to_owned()),
                ..AwsIdentity::default()
            };
            identity.sts("eu-west-1").map(|url| url.to_string())
        };
        assert_eq!(
            sts("cn-north-1").as_deref(),
            Ok("https://sts.cn-north-1.amazonaws.com.cn/")
        );
        assert!(sts("evil.example/").is_err());
    }
}
