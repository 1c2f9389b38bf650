//! Tokens of Elastic Container Registry: `GetAuthorizationToken`, signed. One is good for every registry of its region that our
//! identity may read, for twelve hours.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use reqwest::Url;
use serde::Deserialize;

use super::identities::Identities;
use crate::adapters::identity::aws::suffix;
use crate::adapters::identity::exchange::{self, endpoint};
use crate::adapters::identity::{LIVES, ServiceError, TimeLimited, sigv4};
use crate::adapters::outbound::Outbound;
use crate::gather::Credential;

const SERVICE: &str = "ecr";
const PUBLIC: &str = "ecr public";
/// Where the public registry gives tokens, for all regions.
const PUBLIC_REGION: &str = "us-east-1";
/// How long a token is taken to live that does not say so.
const UNSAID: Duration = Duration::from_hours(1);

/// One kind of token.
struct Kind<'a> {
    service: &'static str,
    /// The name under which requests are signed.
    signed_as: &'static str,
    target: &'static str,
    region: &'a str,
    url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    authorization_data: OneOrMany,
}

/// The public registry gives one, the others a list of one.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(Token),
    Many(Vec<Token>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    authorization_token: String,
    /// Seconds since 1970, with a fraction.
    expires_at: Option<f64>,
}

/// A token for the registries of a region.
pub(super) async fn token(
    outbound: &Outbound,
    identities: &Identities,
    region: &str,
    is_fips: bool,
    stand_in: Option<&Url>,
) -> Result<TimeLimited<Credential>, ServiceError> {
    let host = if is_fips { "ecr-fips" } else { "api.ecr" };
    let kind = Kind {
        service: SERVICE,
        signed_as: "ecr",
        target: "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
        region,
        url: format!("https://{host}.{region}.{}/", suffix(region)),
    };
    kind.token(outbound, identities, stand_in).await
}

/// A token for the public registry, which allows more pulls with one.
pub(super) async fn public_token(
    outbound: &Outbound,
    identities: &Identities,
    stand_in: Option<&Url>,
) -> Result<TimeLimited<Credential>, ServiceError> {
    let kind = Kind {
        service: PUBLIC,
        signed_as: "ecr-public",
        target: "SpencerFrontendService.GetAuthorizationToken",
        region: PUBLIC_REGION,
        url: format!("https://api.ecr-public.{PUBLIC_REGION}.amazonaws.com/"),
    };
    kind.token(outbound, identities, stand_in).await
}

impl Kind<'_> {
    async fn token(
        &self,
        outbound: &Outbound,
        identities: &Identities,
        stand_in: Option<&Url>,
    ) -> Result<TimeLimited<Credential>, ServiceError> {
        let url = match stand_in {
            Some(stand_in) => stand_in.clone(),
            None => endpoint("the region of the registry", &self.url)?,
        };
        let keys = identities.aws_keys(self.region).await?;
        let body = Bytes::from_static(b"{}");
        let json = HeaderValue::from_static("application/x-amz-json-1.1");
        let target = HeaderName::from_static("x-amz-target");
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, json),
            (target, HeaderValue::from_static(self.target)),
        ]);
        let scope = sigv4::Scope {
            region: self.region,
            service: self.signed_as,
            now: Timestamp::now(),
        };
        sigv4::sign(&Method::POST, &url, &mut headers, &body, &keys, &scope)?;
        let answer = exchange::post(outbound, url, headers, body).await?;
        let tokens: Tokens = exchange::json(self.service, &answer)?;
        let token = match tokens.authorization_data {
            OneOrMany::One(token) => Some(token),
            OneOrMany::Many(tokens) => tokens.into_iter().next(),
        };
        let read = token.and_then(|token| token.read(Timestamp::now()));
        read.ok_or_else(|| ServiceError::answer(self.service, "there is no token in it"))
    }
}

impl Token {
    fn read(&self, now: Timestamp) -> Option<TimeLimited<Credential>> {
        let decoded = STANDARD.decode(&self.authorization_token).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (username, password) = text.split_once(':')?;
        let (shortest, longest) = LIVES;
        let life = match self.expires_at {
            None => UNSAID,
            Some(seconds) => {
                let at = Duration::try_from_secs_f64(seconds).unwrap_or_default();
                let now = Duration::try_from(now.duration_since(Timestamp::UNIX_EPOCH));
                at.saturating_sub(now.unwrap_or_default())
            }
        };
        Some(TimeLimited {
            value: Credential::Basic {
                username: username.to_owned(),
                password: password.to_owned(),
            },
            life: life.clamp(shortest, longest),
        })
    }
}
