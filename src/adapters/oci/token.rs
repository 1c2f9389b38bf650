//! Bearer tokens: exchanging a credential for one, and keeping it while it is good.
//!
//! The exchange is that of the distribution project: `GET` with user and password or nothing, `POST` (RFC 6749) for an identity
//! token. A token is kept under everything that made it visible: registry, repository and the credential, by its content. The action
//! is always `pull`. So one tenant's token is never sent for another who does not have the same credential.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use http::{HeaderValue, Method};
use moka::Expiry;
use moka::future::Cache;
use reqwest::Url;
use serde::Deserialize;
use url::form_urlencoded;

use super::answer::{Answer, Until};
use super::fence::{Realm, host_of};
use super::observe::RequestClass;
use super::transport::{Request, Transport};
use crate::gather::keychain::{Credential, CredentialId};
use crate::gather::registry::FetchError;

/// Tokens kept at one time, in bytes: a hostile service can make each as large as its answer may be.
const TOKENS_BYTES: u64 = 16 << 20;
/// How long a token is good if its service does not say (the distribution specification's default).
const DEFAULT_LIFE: Duration = Duration::from_mins(1);
/// The longest time that a token is kept.
const LONGEST_LIFE: Duration = Duration::from_hours(1);

/// Under what a token is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TokenKey {
    /// Host and port of the registry.
    pub(super) registry: String,
    /// The repository's path.
    pub(super) repository: String,
    /// With which credential; `None` is the anonymous token, which is the same for everybody.
    pub(super) credential: Option<CredentialId>,
}

/// What a token is asked for with.
#[derive(Clone, Debug)]
pub(super) struct TokenRequest<'a> {
    pub(super) registry: &'a str,
    pub(super) base: &'a Url,
    pub(super) repository: &'a str,
    pub(super) realm: Realm,
    pub(super) service: Option<&'a str>,
    pub(super) credential: Option<&'a Credential>,
}

/// Why there is no token.
#[derive(Clone, Debug)]
pub(super) enum TokenFailure {
    /// The service does not accept the credential.
    Denied(String),
    /// The service could not be asked.
    Fetch(FetchError),
}

/// The tokens that are good now.
#[derive(Clone)]
pub(super) struct Tokens {
    cache: Cache<TokenKey, Token>,
    token_bytes: usize,
}

/// A token as the header that carries it.
#[derive(Clone)]
struct Token {
    header: HeaderValue,
    life: Duration,
}

/// The answer of a token service.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<serde_json::Value>,
}

struct LifeOfToken;

impl Expiry<TokenKey, Token> for LifeOfToken {
    fn expire_after_create(
        &self,
        _key: &TokenKey,
        token: &Token,
        _now: Instant,
    ) -> Option<Duration> {
        Some(token.life)
    }
}

// === impl Tokens ===

impl Tokens {
    pub(super) fn new(token_bytes: usize) -> Self {
        Self {
            cache: Cache::builder()
                .max_capacity(TOKENS_BYTES)
                .weigher(weight)
                .expire_after(LifeOfToken)
                .build(),
            token_bytes,
        }
    }

    /// The header for `key`: kept, or fetched once for all who wait for it.
    pub(super) async fn get(
        &self,
        key: TokenKey,
        request: TokenRequest<'_>,
        transport: &Transport,
        until: Until,
    ) -> Result<HeaderValue, TokenFailure> {
        let fetch = self.fetch(request.clone(), transport, until).boxed();
        // Somebody else's request may be the one that is waited for, and its end is not ours.
        let shared = async { Ok(self.cache.try_get_with(key.clone(), fetch).await) };
        let fetched = until.within(request.registry, shared).await;
        let fetched = fetched.map_err(TokenFailure::Fetch)?;
        match fetched.map_err(Arc::unwrap_or_clone) {
            Ok(token) => Ok(token.header),
            // The one who fetched had less time than we have: their deadline says nothing about ours.
            Err(TokenFailure::Fetch(FetchError::Deadline { .. })) => {
                let token = self.fetch(request, transport, until).boxed().await?;
                self.cache.insert(key, token.clone()).await;
                Ok(token.header)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Drops a token that the registry no longer takes.
    pub(super) async fn forget(&self, key: &TokenKey) {
        self.cache.invalidate(key).await;
    }

    async fn fetch(
        &self,
        request: TokenRequest<'_>,
        transport: &Transport,
        until: Until,
    ) -> Result<Token, TokenFailure> {
        let service = host_of(&request.realm.url);
        let answer = transport
            .send(http_request(&request), until)
            .await
            .map_err(TokenFailure::Fetch)?;
        let status = answer.status.as_u16();
        match status {
            200 => self
                .read(answer, request.registry, until)
                .await
                .map_err(TokenFailure::Fetch),
            429 => Err(TokenFailure::Fetch(super::ask::throttled(
                request.registry,
                &answer.headers,
            ))),
            400..=499 => Err(TokenFailure::Denied(format!(
                "token service {service} answered {status}"
            ))),
            500..=599 => Err(TokenFailure::Fetch(FetchError::Unreachable {
                registry: request.registry.to_owned(),
                detail: format!("token service {service} answered {status}"),
            })),
            _ => Err(TokenFailure::Fetch(malformed(
                request.registry,
                format!("token service {service} answered {status}"),
            ))),
        }
    }

    async fn read(
        &self,
        answer: Answer,
        registry: &str,
        until: Until,
    ) -> Result<Token, FetchError> {
        let body = answer
            .body(registry, "token", self.token_bytes, until)
            .await?;
        Token::read(&body).map_err(|detail| malformed(registry, detail))
    }
}

// === impl Token ===

impl Token {
    /// Reads the answer of a token service.
    fn read(body: &[u8]) -> Result<Self, &'static str> {
        // The error of the parser could quote the token.
        let answer: TokenAnswer =
            serde_json::from_slice(body).map_err(|_| "not the JSON of a token")?;
        let life = life(answer.expires_in.as_ref());
        let text = answer
            .token
            .or(answer.access_token)
            .filter(|text| !text.is_empty())
            .ok_or("no token in it")?;
        let header = bearer(&text).ok_or("it has characters that no header can carry")?;
        Ok(Self { header, life })
    }
}

/// What a fuzzer sees of an answer: the header, and how long it is kept.
#[cfg(fuzzing)]
pub(super) fn read(body: &[u8]) -> Option<(HeaderValue, Duration)> {
    Token::read(body)
        .ok()
        .map(|token| (token.header, token.life))
}

fn malformed(registry: &str, detail: impl Into<String>) -> FetchError {
    FetchError::Malformed {
        registry: registry.to_owned(),
        what: "token".to_owned(),
        detail: detail.into(),
    }
}

/// What a kept token takes, in bytes.
fn weight(key: &TokenKey, token: &Token) -> u32 {
    let names = key.registry.len().saturating_add(key.repository.len());
    let bytes = token.header.len().saturating_add(names);
    u32::try_from(bytes.saturating_add(256)).unwrap_or(u32::MAX)
}

/// The header of a bearer token, if the token is nothing but visible ASCII.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    let is_safe = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    is_safe
        .then(|| HeaderValue::from_str(&format!("Bearer {token}")).ok())
        .flatten()
        .map(sensitive)
}

/// The header of a user and a password.
pub(super) fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!(
        "Basic {}",
        STANDARD.encode(format!("{username}:{password}"))
    ))
    .ok()
    .map(sensitive)
}

fn sensitive(mut header: HeaderValue) -> HeaderValue {
    header.set_sensitive(true);
    header
}

/// Four fifths of what the service says, so that a token is not used in its last moments.
fn life(expires_in: Option<&serde_json::Value>) -> Duration {
    let claimed = expires_in
        .and_then(serde_json::Value::as_u64)
        .map_or(DEFAULT_LIFE, Duration::from_secs);
    claimed.min(LONGEST_LIFE).saturating_mul(4) / 5
}

fn http_request<'a>(request: &TokenRequest<'a>) -> Request<'a> {
    let scope = format!("repository:{}:pull", request.repository);
    let mut url = request.realm.url.clone();
    let mut made = Request {
        registry: request.registry,
        base: request.base,
        class: RequestClass::Token,
        method: Method::GET,
        url: url.clone(),
        scope: request.realm.scope,
        accept: None,
        authorization: None,
        form: None,
        follows: false,
    };
    let pairs = request
        .service
        .map(|service| ("service", service))
        .into_iter()
        .chain([("scope", scope.as_str())]);
    if let Some(Credential::IdentityToken(token)) = request.credential {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(pairs).extend_pairs([
            ("grant_type", "refresh_token"),
            ("client_id", "vouchsafe"),
            ("refresh_token", token),
        ]);
        return Request {
            method: Method::POST,
            form: Some(form.finish()),
            ..made
        };
    }
    if let Some(Credential::Basic { username, password }) = request.credential {
        made.authorization = basic(username, password);
    }
    url.query_pairs_mut().extend_pairs(pairs);
    Request { url, ..made }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_lives_four_fifths_of_its_time_and_an_hour_at_most() {
        assert_eq!(life(None), Duration::from_secs(48));
        assert_eq!(life(Some(&json!(300))), Duration::from_mins(4));
        assert_eq!(life(Some(&json!(u64::MAX))), Duration::from_mins(48));
        assert_eq!(life(Some(&json!(0))), Duration::ZERO);
        assert_eq!(life(Some(&json!("soon"))), Duration::from_secs(48));
        assert_eq!(life(Some(&json!(-1))), Duration::from_secs(48));
    }

    #[test]
    fn a_token_that_could_break_out_of_its_header_is_none() {
        for token in ["", "a\nb", "a\r\nX-Evil: 1", "a b", "ä", "a\0"] {
            assert!(bearer(token).is_none(), "{token:?}");
        }
        let header = bearer("abc.def-_=").unwrap();
        assert_eq!(header, "Bearer abc.def-_=");
        assert!(header.is_sensitive());
    }
}
