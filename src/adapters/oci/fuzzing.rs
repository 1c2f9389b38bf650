//! What `tests/fuzz` reaches that nobody else does: decoders of what registries write. Only built for it.

use std::time::Duration;

use http::header::LINK;
use http::{HeaderMap, HeaderValue};

use super::address::Class;
use super::challenge::Challenge;
use super::fence::Fence;
use super::insecure::InsecureHosts;
use super::{manifest, referrers, token};
use crate::gather::registry::ReferrersPage;
use crate::image::{Digest, Repository};

/// The realm and the service of the challenge that is answered; empty for Basic.
pub fn challenge(values: &[&[u8]]) -> Option<(String, String)> {
    Challenge::choose(values.iter().copied()).map(|chosen| match chosen {
        Challenge::Basic => (String::new(), String::new()),
        Challenge::Bearer { realm, service } => (realm, service.unwrap_or_default()),
    })
}

/// The URL of a realm that a public registry may name, and whether it may see credentials.
pub fn realm(registry: &str, realm: &str) -> Option<(String, bool)> {
    let fence = Fence::new(InsecureHosts::default(), Vec::new());
    let base = fence.base(registry).ok()?;
    let realm = fence.realm(&base, Class::Public, realm).ok()?;
    Some((realm.url.to_string(), realm.is_trusted))
}

/// The path of the next page that a `Link` names.
pub fn next_page(link: &[u8], repository: &Repository, subject: &Digest) -> Option<String> {
    let mut page = ReferrersPage {
        subject: subject.clone(),
        artifact_type: None,
        from: None,
    };
    let mut headers = HeaderMap::new();
    headers.insert(LINK, HeaderValue::from_bytes(link).ok()?);
    page.from = referrers::next(&headers, repository, &page).ok()?;
    page.from.as_ref()?;
    Some(referrers::path(&page))
}

/// The header that carries the token of an answer, and how long it is kept.
pub fn token(body: &[u8]) -> Option<(HeaderValue, Duration)> {
    token::read(body)
}

/// What kind of document a registry sent.
pub fn media_type(content_type: Option<&[u8]>, body: &[u8]) -> Option<String> {
    let content_type = content_type.map(HeaderValue::from_bytes).transpose().ok()?;
    manifest::media_type(content_type.as_ref(), body).ok()
}
