//! `awskms://[ENDPOINT]/ARN`: AWS KMS, in the region that the ARN names.
//!
//! Credentials: the keys in the environment, else those of the Pod's role (IRSA, EKS Pod Identity). The metadata service of the machine
//! is not asked: Pods should not have what their node may do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;

use super::{KmsError, spki_pem};
use crate::adapters::identity::aws::{AwsIdentity, is_region};
use crate::adapters::identity::exchange::{self, endpoint};
use crate::adapters::identity::sigv4;
use crate::adapters::outbound::{Outbound, printable};

const SERVICE: &str = "aws kms";

/// What the environment says about AWS.
#[derive(Clone, Debug, Default)]
pub struct AwsSettings {
    /// Who we are.
    pub identity: AwsIdentity,
    /// `AWS_ENDPOINT_URL_KMS` or `AWS_ENDPOINT_URL`.
    pub kms_endpoint: Option<String>,
}

/// A key by its ARN.
struct Arn<'a> {
    text: &'a str,
    region: &'a str,
    /// What hosts of its partition end in.
    suffix: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    public_key: String,
    key_usage: Option<String>,
}

impl AwsSettings {
    pub(super) fn from_environment(given: impl Fn(&str) -> Option<String>) -> Self {
        let kms_endpoint = given("AWS_ENDPOINT_URL_KMS").or_else(|| given("AWS_ENDPOINT_URL"));
        Self {
            identity: AwsIdentity::from_environment(given),
            kms_endpoint,
        }
    }

    /// Where to ask for a key: where the environment says; else at the endpoint in the reference, if that is KMS; else at the region's.
    fn kms(&self, written: &str, arn: &Arn<'_>) -> Result<Url, KmsError> {
        if let Some(given) = &self.kms_endpoint {
            return Ok(endpoint("AWS_ENDPOINT_URL_KMS", given)?);
        }
        if written.is_empty() {
            let url = format!("https://kms.{}.{}/", arn.region, arn.suffix);
            return Ok(endpoint("the region of the key", &url)?);
        }
        // Of the address that is asked, not of the text: `kms.REGION.amazonaws.com:x@elsewhere.example` is another host.
        let url = Url::parse(&format!("https://{written}/")).ok();
        let host = url.as_ref().and_then(Url::host_str);
        let is_plain = url
            .as_ref()
            .is_some_and(|url| url.username().is_empty() && url.password().is_none());
        if !is_plain || !host.is_some_and(|host| arn.is_host_of_kms(host)) {
            return Err(KmsError::ForeignHost {
                host: printable(written),
                rule: "it is no endpoint of KMS in the key's region; if it is meant, set AWS_ENDPOINT_URL_KMS to it",
            });
        }
        let url = format!("https://{written}/");
        Ok(endpoint("the endpoint in the reference", &url)?)
    }
}

pub(super) async fn public_key(
    outbound: &Outbound,
    settings: &AwsSettings,
    reference: &str,
) -> Result<String, KmsError> {
    let malformed = || {
        KmsError::reference(
            "it must be awskms://[ENDPOINT]/ARN, with the ARN of a key or of an alias",
        )
    };
    let (written, key) = reference.split_once('/').ok_or_else(malformed)?;
    let arn = Arn::parse(key).ok_or_else(malformed)?;
    let url = settings.kms(written, &arn)?;
    let keys = settings.identity.keys(outbound, arn.region).await?;
    let body = json!({"KeyId": arn.text}).to_string();
    let mut headers = HeaderMap::from_iter([
        (
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-amz-json-1.1"),
        ),
        (
            HeaderName::from_static("x-amz-target"),
            HeaderValue::from_static("TrentService.GetPublicKey"),
        ),
    ]);
    let scope = sigv4::Scope {
        region: arn.region,
        service: "kms",
        now: Timestamp::now(),
    };
    sigv4::sign(
        &Method::POST,
        &url,
        &mut headers,
        body.as_bytes(),
        &keys,
        &scope,
    )?;
    let answer = exchange::post(outbound, url, headers, Bytes::from(body)).await?;
    let found: Found = exchange::json(SERVICE, &answer)?;
    if found.key_usage.is_some_and(|usage| usage != "SIGN_VERIFY") {
        return Err(KmsError::answer(SERVICE, "it is no signing key"));
    }
    let key = STANDARD
        .decode(&found.public_key)
        .map_err(|_| spki_pem::NO_KEY)
        .and_then(|der| spki_pem::from_der(&der));
    key.map_err(|detail| KmsError::answer(SERVICE, detail))
}

// === impl Arn ===

impl<'a> Arn<'a> {
    /// `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`, or `…:alias/NAME`.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let (Some("arn"), Some(partition), Some("kms"), Some(region), Some(_account), Some(key)) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return None;
        };
        let suffix = match partition {
            "aws" | "aws-us-gov" => "amazonaws.com",
            "aws-cn" => "amazonaws.com.cn",
            _ => return None,
        };
        let is_key = key.starts_with("key/") || key.starts_with("alias/");
        (is_region(region) && is_key).then_some(Self {
            text,
            region,
            suffix,
        })
    }

    /// Whether a host is KMS in the region of this key: much else below the domain of AWS is run by AWS' customers (T-16).
    fn is_host_of_kms(&self, host: &str) -> bool {
        let Self { region, suffix, .. } = self;
        let private = format!(".kms.{region}.vpce.{suffix}");
        let is_label = |label: &str| {
            label.starts_with("vpce-")
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        host == format!("kms.{region}.{suffix}")
            || host == format!("kms-fips.{region}.{suffix}")
            || host.strip_suffix(&private).is_some_and(is_label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn t16_only_kms_in_the_region_of_the_key_is_sent_what_is_signed() {
        let arn = Arn::parse(KEY).unwrap();
        for host in [
            "kms.eu-west-1.amazonaws.com",
            "kms-fips.eu-west-1.amazonaws.com",
            "vpce-0a1-b2.kms.eu-west-1.vpce.amazonaws.com",
        ] {
            assert!(arn.is_host_of_kms(host), "{host}");
        }
        for host in [
            "kms.eu-west-1.amazonaws.com.evil.example",
            "evil-kms.eu-west-1.amazonaws.com",
            "kms.us-east-1.amazonaws.com",
            "evil.execute-api.eu-west-1.amazonaws.com",
            "a.b.kms.eu-west-1.vpce.amazonaws.com",
            "kms.eu-west-1.vpce.amazonaws.com",
            "localhost",
        ] {
            assert!(!arn.is_host_of_kms(host), "{host}");
        }
    }

    #[test]
    fn an_endpoint_in_the_reference_is_used_only_where_it_is_kms() {
        let arn = Arn::parse(KEY).unwrap();
        let settings = AwsSettings::default();
        let kms = |written: &str| settings.kms(written, &arn).map(|url| url.to_string());
        assert_eq!(
            kms("").as_deref(),
            Ok("https://kms.eu-west-1.amazonaws.com/")
        );
        assert_eq!(
            kms("kms-fips.eu-west-1.amazonaws.com:443").as_deref(),
            Ok("https://kms-fips.eu-west-1.amazonaws.com/")
        );
        for foreign in [
            "localhost:4566",
            "evil.example:443",
            "kms.eu-west-1.amazonaws.com@evil.example:443",
        ] {
            assert!(
                matches!(kms(foreign), Err(KmsError::ForeignHost { .. })),
                "{foreign}"
            );
        }
        let named = AwsSettings {
            kms_endpoint: Some("http://localhost:4566".to_owned()),
            ..AwsSettings::default()
        };
        assert_eq!(
            named.kms("localhost:4566", &arn).unwrap().as_str(),
            "http://localhost:4566/"
        );
    }

    #[test]
    fn other_references_name_no_key() {
        for bad in [
            "alias/a",
            "arn:aws:s3:eu-west-1:1:key/a",
            "arn:aws:kms::1:key/a",
            "arn:aws:kms:eu/x:1:key/a",
        ] {
            assert!(Arn::parse(bad).is_none(), "{bad}");
        }
        assert!(Arn::parse("arn:aws-cn:kms:cn-north-1:1:alias/a/b").is_some());
    }
}
