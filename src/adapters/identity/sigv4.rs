//! AWS Signature Version 4, as far as one request to the root of a service needs it: the path is taken as it stands, there is no query.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, Method};
use jiff::Timestamp;
use reqwest::Url;
use sha2::{Digest as _, Sha256};

use super::error::ServiceError;
use super::exchange::credential;
use super::secret_text::SecretText;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What is signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::adapters) struct Keys {
    /// The access key, by which AWS knows whose they are.
    pub(in crate::adapters) id: String,
    /// The key that signs.
    pub(in crate::adapters) secret: SecretText,
    /// Of keys that are good for some time only.
    pub(in crate::adapters) token: Option<SecretText>,
}

/// What a signature is good for.
pub(in crate::adapters) struct Scope<'a> {
    pub(in crate::adapters) region: &'a str,
    pub(in crate::adapters) service: &'a str,
    pub(in crate::adapters) now: Timestamp,
}

/// Adds `Authorization`, and the headers that it needs, to those of a request. Every header is signed.
pub(in crate::adapters) fn sign(
    method: &Method,
    url: &Url,
    headers: &mut HeaderMap,
    body: &[u8],
    keys: &Keys,
    scope: &Scope<'_>,
) -> Result<(), ServiceError> {
    let time = scope.now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = scope.now.strftime("%Y%m%d").to_string();
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => return Err(ServiceError::credentials("the endpoint has no host")),
    };
    credential(headers, HOST, &host)?;
    credential(headers, HeaderName::from_static("x-amz-date"), &time)?;
    if let Some(token) = &keys.token {
        let name = HeaderName::from_static("x-amz-security-token");
        credential(headers, name, token.expose())?;
    }
    let mut lines: Vec<(&str, &str)> = Vec::new();
    for (name, value) in headers.iter() {
        let value = value
            .to_str()
            .map_err(|_| ServiceError::credentials("a header that is to be signed is not text"))?;
        lines.push((name.as_str(), value.trim()));
    }
    lines.sort_unstable();
    let names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut request = format!("{method}\n{}\n\n", url.path());
    for (name, value) in &lines {
        // Writing to a string does not fail.
        let _ = writeln!(request, "{name}:{value}");
    }
    let _ = write!(request, "\n{names}\n{}", hex::encode(Sha256::digest(body)));
    let within = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let message = format!(
        "{ALGORITHM}\n{time}\n{within}\n{}",
        hex::encode(Sha256::digest(request))
    );
    let mut key = format!("AWS4{}", keys.secret.expose()).into_bytes();
    for part in [date.as_str(), scope.region, scope.service, "aws4_request"] {
        key = mac(&key, part);
    }
    let signature = hex::encode(mac(&key, &message));
    let value = format!(
        "{ALGORITHM} Credential={}/{within}, SignedHeaders={names}, Signature={signature}",
        keys.id
    );
    credential(headers, AUTHORIZATION, &value)
}

fn mac(key: &[u8], message: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    use super::*;

    /// The cases of AWS' published test suite for Signature Version 4, with its credentials.
    fn signature(method: &Method, form: Option<&str>) -> String {
        let keys = Keys {
            id: "AKIDEXAMPLE".to_owned(),
            secret: SecretText::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            token: None,
        };
        let scope = Scope {
            region: "us-east-1",
            service: "service",
            now: "2015-08-30T12:36:00Z".parse().unwrap(),
        };
        let mut headers = HeaderMap::new();
        if form.is_some() {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(CONTENT_TYPE, form);
        }
        let url = Url::parse("https://example.amazonaws.com/").unwrap();
        let body = form.unwrap_or_default().as_bytes();
        sign(method, &url, &mut headers, body, &keys, &scope).unwrap();
        let value = headers[AUTHORIZATION].to_str().unwrap();
        value.rsplit('=').next().unwrap().to_owned()
    }

    #[test]
    fn signs_as_the_published_cases_say() {
        assert_eq!(
            signature(&Method::GET, None),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        assert_eq!(
            signature(&Method::POST, None),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
        assert_eq!(
            signature(&Method::POST, Some("Param1=value1")),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
        );
    }
}
