//! HTTPS to an address that an operator wrote in a policy, behind the same fence as registries.
//!
//! *In*: a URL. *Out*: the bytes of a 2xx answer, bounded in size and time, or in words why there are none. Plain HTTP, link-local and
//! metadata addresses are refused; a redirect may lead to another path of the same host and nowhere else; no credentials are sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::LOCATION;
use reqwest::{Client, Response, Url};
use tokio::time::timeout;

use super::address::Scope;
use super::fence::{class_as_written, host_of, is_same_origin, names_metadata, printable};
use super::lookup::{FencedLookup, Seen};
use super::transport::proxy_hosts;
use super::{OciSettings, OciSettingsError, tls};

/// Redirects that are followed.
const REDIRECTS: usize = 3;

/// Fetches documents over HTTPS.
#[derive(Clone, Debug)]
pub struct WebClient {
    client: Client,
}

// === impl WebClient ===

impl WebClient {
    /// A client with the certificate authorities and the resolver of these settings.
    pub fn new(settings: &OciSettings) -> Result<Self, OciSettingsError> {
        let resolver = FencedLookup {
            lookup: Arc::clone(&settings.lookup),
            scope: Scope::AsWritten,
            seen: Arc::new(Seen::default()),
            proxies: proxy_hosts().into(),
        };
        let extra = settings.extra_ca.as_deref().map(tls::certificates);
        let tls = tls::client_config(extra.transpose()?.unwrap_or_default(), None)?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(resolver))
            .redirect(reqwest::redirect::Policy::none())
            .https_only(true)
            .referer(false)
            .user_agent(&settings.user_agent)
            .connect_timeout(settings.limits.connect)
            .build()
            .map_err(|source| OciSettingsError::Client { source })?;
        Ok(Self { client })
    }

    /// What is at `url`, of at most `limit` bytes, within `time`.
    ///
    /// # Errors
    /// In words, without what may be secret in the URL: its query.
    pub async fn get(&self, url: &str, limit: usize, time: Duration) -> Result<Bytes, String> {
        match timeout(time, self.follow(url, limit)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {time:?}")),
        }
    }

    async fn follow(&self, url: &str, limit: usize) -> Result<Bytes, String> {
        let mut url = Url::parse(url).map_err(|error| format!("not an address: {error}"))?;
        if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
            return Err("host and https scheme are expected, without a user".to_owned());
        }
        if names_metadata(&url) {
            return Err("cloud metadata services are never contacted".to_owned());
        }
        if let Some(class) = class_as_written(&url) {
            Scope::AsWritten.admits(class).map_err(str::to_owned)?;
        }
        for _ in 0..=REDIRECTS {
            let request = self.client.get(url.clone()).send().await;
            let response = request.map_err(|error| failure(&error))?;
            if !response.status().is_redirection() {
                return body(response, limit).await;
            }
            let to = response.headers().get(LOCATION);
            let to = to.and_then(|to| to.to_str().ok());
            let to = to.and_then(|to| url.join(to).ok());
            let to = to.ok_or("a redirect without a readable address")?;
            if !is_same_origin(&url, &to) {
                return Err(format!("it redirects to another host, {}", host_of(&to)));
            }
            url = to;
        }
        Err(format!("more than {REDIRECTS} redirects"))
    }
}

async fn body(mut response: Response, limit: usize) -> Result<Bytes, String> {
    let status = response.status();
    if !status.is_success() {
        return Err(format!("it answers {status}"));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        if bytes.len().saturating_add(chunk.len()) > limit {
            return Err(format!("larger than {limit} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

/// The innermost cause, which says what happened; the outer ones repeat the URL.
fn failure(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    printable(&cause.to_string())
}
