//! Requests to services that are no registries: mirrors of trust, key management, the token services before it.
//!
//! *In*: one request to one address that an operator or a policy wrote. *Out*: status and body, within bounds of time and size; or an
//! error that says what failed, without addresses' queries, headers or bodies. Redirects are not followed, so no header ever goes to
//! another host than it was made for. Link-local and metadata addresses are never talked to, by whatever name ([`Reach`] says the one
//! exception); plain HTTP is spoken with loopback, and elsewhere only where what is fetched proves itself.

mod resolve;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use reqwest::{Client, Url};
use tokio::time::timeout;

use super::oci::fence::names_metadata;
use super::oci::tls;
use resolve::{FencedResolver, RefusedAddress, is_forbidden, is_loopback};

/// Time to connect.
const CONNECT: Duration = Duration::from_secs(3);
/// The longest text of an error.
const DETAIL: usize = 200;

/// A client for such requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbound {
    proxied: Client,
    direct: Client,
    metadata: Client,
    time: Duration,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Ask {
    /// `GET` or `POST`.
    pub method: Method,
    /// Where to. Its query may hold a secret, so it is not repeated in errors.
    pub url: Url,
    /// Headers, credentials among them.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// How far it may go.
    pub reach: Reach,
    /// The most bytes of the answer.
    pub limit: usize,
}

/// How far a request may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It carries credentials, or its answer is believed: HTTPS, or loopback.
    Private,
    /// Its answer is signed, and it carries nothing: plain HTTP too.
    Signed,
    /// The metadata service of a cloud, which is link-local and speaks plain HTTP: for the one host that is known to be it.
    Metadata,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// An address that is not asked.
    #[error("{host} is not asked: {rule}")]
    Refused {
        /// The host.
        host: String,
        /// The rule.
        rule: &'static str,
    },
    /// No connection, or a broken one.
    #[error("{host} cannot be reached: {detail}")]
    Unreachable {
        /// The host.
        host: String,
        /// What happened.
        detail: String,
    },
    /// No complete answer in time.
    #[error("{host} gave no complete answer within {seconds} s")]
    Slow {
        /// The host.
        host: String,
        /// The bound.
        seconds: u64,
    },
    /// More than was to be expected.
    #[error("{host} answered with more than {limit} bytes")]
    TooLarge {
        /// The host.
        host: String,
        /// The bound.
        limit: usize,
    },
}

/// No client can be made.
#[derive(Debug, thiserror::Error)]
#[error("no client for outbound requests: {detail}")]
pub struct NoClient {
    detail: String,
}

// === impl Outbound ===

impl Outbound {
    /// A client that trusts the system's certificate authorities and those in `extra_ca` (PEM). A request has `time`, body included.
    pub fn new(extra_ca: Option<&[u8]>, time: Duration) -> Result<Self, NoClient> {
        let no_client = |detail: String| NoClient { detail };
        let tls = tls::anonymous_config(extra_ca).map_err(|error| no_client(error.to_string()))?;
        let builder = |admits_metadata| {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(Arc::new(FencedResolver { admits_metadata }))
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .user_agent(concat!("vouchsafe/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT)
                .pool_max_idle_per_host(2)
        };
        let built = |builder: reqwest::ClientBuilder| {
            builder
                .build()
                .map_err(|error| no_client(error.to_string()))
        };
        Ok(Self {
            proxied: built(builder(false))?,
            direct: built(builder(false).no_proxy())?,
            metadata: built(builder(true).no_proxy())?,
            time,
        })
    }

    /// Sends a request and reads its answer.
    pub async fn send(&self, ask: Ask) -> Result<Answer, OutboundError> {
        let host = ask.url.host_str().unwrap_or_default().to_owned();
        let client = self.client(&ask).map_err(|rule| OutboundError::Refused {
            host: host.clone(),
            rule,
        })?;
        let seconds = self.time.as_secs();
        match timeout(self.time, exchange(client, ask, &host)).await {
            Ok(answer) => answer,
            Err(_) => Err(OutboundError::Slow { host, seconds }),
        }
    }

    /// The client for a request, or the rule that forbids it.
    fn client(&self, ask: &Ask) -> Result<&Client, &'static str> {
        let is_loopback = is_loopback(&ask.url);
        let is_plain = match ask.url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err("its address is neither https nor http"),
        };
        if !ask.url.username().is_empty() || ask.url.password().is_some() {
            return Err("its address carries a user");
        }
        match ask.reach {
            Reach::Metadata => return Ok(&self.metadata),
            Reach::Private if is_plain && !is_loopback => {
                return Err("only https will do, since its answer is believed");
            }
            Reach::Private | Reach::Signed => {}
        }
        if is_forbidden(&ask.url) || names_metadata(&ask.url) {
            return Err("link-local, metadata and reserved addresses are never contacted");
        }
        Ok(if is_loopback {
            &self.direct
        } else {
            &self.proxied
        })
    }
}

async fn exchange(client: &Client, ask: Ask, host: &str) -> Result<Answer, OutboundError> {
    let mut request = client.request(ask.method, ask.url).headers(ask.headers);
    if !ask.body.is_empty() {
        request = request.body(ask.body);
    }
    let mut response = request.send().await.map_err(|error| failure(host, error))?;
    let mut body = BytesMut::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| failure(host, error))?
    {
        if chunk.len() > ask.limit.saturating_sub(body.len()) {
            return Err(OutboundError::TooLarge {
                host: host.to_owned(),
                limit: ask.limit,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body: body.freeze(),
    })
}

/// What the transport says, without the URL, whose query may hold a secret.
fn failure(host: &str, error: reqwest::Error) -> OutboundError {
    let error = error.without_url();
    let mut detail = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        if let Some(refused) = cause.downcast_ref::<RefusedAddress>() {
            return OutboundError::Refused {
                host: host.to_owned(),
                rule: refused.rule,
            };
        }
        detail = cause.to_string();
        source = cause.source();
    }
    OutboundError::Unreachable {
        host: host.to_owned(),
        detail: printable(&detail),
    }
}

/// Text from outside, made fit for a message.
pub fn printable(text: &str) -> String {
    let visible = |c: char| {
        if c.is_ascii_graphic() || c == ' ' {
            c
        } else {
            '?'
        }
    };
    text.chars().take(DETAIL).map(visible).collect()
}

#[cfg(test)]
mod tests;
