//! Requests to services that give credentials or take them: bounded, and no answer is repeated.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::Url;
use serde::de::DeserializeOwned;

use super::error::{ServiceError, code};
use super::secret_text::SecretText;
use crate::adapters::outbound::{Answer, Ask, Outbound, Reach};

/// The longest answer of a service, in bytes. A public key takes less than 4 KiB, a token some thousand bytes.
pub(in crate::adapters) const ANSWER: usize = 64 << 10;
/// The longest credential that is read from a file, in bytes.
const CREDENTIAL: u64 = 64 << 10;

/// A `GET` with credentials.
pub(in crate::adapters) async fn get(
    outbound: &Outbound,
    url: Url,
    headers: HeaderMap,
    reach: Reach,
) -> Result<Answer, ServiceError> {
    let ask = Ask {
        method: Method::GET,
        url,
        headers,
        body: Bytes::new(),
        reach,
        limit: ANSWER,
    };
    Ok(outbound.send(ask).await?)
}

/// A `POST` with these headers.
pub(in crate::adapters) async fn post(
    outbound: &Outbound,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Answer, ServiceError> {
    let ask = Ask {
        method: Method::POST,
        url,
        headers,
        body,
        reach: Reach::Private,
        limit: ANSWER,
    };
    Ok(outbound.send(ask).await?)
}

/// A `POST` of a form, as token services take it.
pub(in crate::adapters) async fn post_form(
    outbound: &Outbound,
    url: Url,
    fields: &[(&str, &str)],
) -> Result<Answer, ServiceError> {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, form)]);
    post(outbound, url, headers, body.into()).await
}

/// The JSON of an answer that went well. Neither its text nor that of an error is repeated: a service can echo what it was sent.
pub(in crate::adapters) fn json<T: DeserializeOwned>(
    service: &'static str,
    answer: &Answer,
) -> Result<T, ServiceError> {
    succeeded(service, answer)?;
    serde_json::from_slice(&answer.body).map_err(|error| ServiceError::Answer {
        service,
        detail: format!(
            "not the JSON that was to be expected (line {}, column {})",
            error.line(),
            error.column()
        ),
    })
}

/// An error unless the answer went well.
pub(in crate::adapters) fn succeeded(
    service: &'static str,
    answer: &Answer,
) -> Result<(), ServiceError> {
    if answer.status.is_success() {
        return Ok(());
    }
    Err(ServiceError::Status {
        service,
        status: answer.status,
        code: code(&answer.body),
    })
}

/// A header whose value is a credential.
pub(in crate::adapters) fn credential(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: &str,
) -> Result<(), ServiceError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        ServiceError::credentials("a credential has characters that no header can carry")
    })?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// A file with a credential, which somebody else renews. `variable` named it.
pub(in crate::adapters) async fn read_credential(
    variable: &str,
    path: &str,
) -> Result<SecretText, ServiceError> {
    use tokio::io::AsyncReadExt as _;
    let unreadable = |error: std::io::Error| {
        ServiceError::credentials(format!("{variable} names {path}: {error}"))
    };
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let mut text = String::new();
    let mut bounded = file.take(CREDENTIAL.saturating_add(1));
    let length = bounded
        .read_to_string(&mut text)
        .await
        .map_err(unreadable)?;
    // Half of a credential is none: better no answer than one about something that nobody wrote.
    if u64::try_from(length).is_ok_and(|length| length > CREDENTIAL) {
        return Err(ServiceError::credentials(format!(
            "{variable} names {path}, which is longer than {CREDENTIAL} bytes"
        )));
    }
    Ok(SecretText::new(text.trim()))
}

/// A URL below its base, whose path has these segments; `None` if one of them is empty or could lead elsewhere.
pub(in crate::adapters) fn below(base: &Url, segments: &[&str]) -> Option<Url> {
    let mut url = base.clone();
    let is_plain = |segment: &&str| !matches!(*segment, "" | "." | "..");
    if !segments.iter().all(is_plain) {
        return None;
    }
    url.path_segments_mut()
        .ok()?
        .pop_if_empty()
        .extend(segments);
    Some(url)
}

/// An address that the environment names, by `variable`.
pub(in crate::adapters) fn endpoint(variable: &str, text: &str) -> Result<Url, ServiceError> {
    Url::parse(text)
        .ok()
        .filter(Url::has_host)
        .ok_or_else(|| ServiceError::credentials(format!("{variable} is no address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refuses_a_credential_that_is_too_long_rather_than_use_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let path = file.to_str().unwrap();
        let longest = usize::try_from(CREDENTIAL).unwrap();
        std::fs::write(&file, "a".repeat(longest)).unwrap();
        assert!(read_credential("TOKEN_FILE", path).await.is_ok());
        std::fs::write(&file, "a".repeat(longest + 1)).unwrap();
        let refused = read_credential("TOKEN_FILE", path).await;
        let told = refused.err().map(|error| error.to_string());
        assert!(told.is_some_and(|told| told.contains("longer than 65536 bytes")));
    }
}
