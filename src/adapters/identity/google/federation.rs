//! Workload identity federation: a token of somebody whom Google was told to trust becomes one of Google's (RFC 8693).
//!
//! Of the kinds of federation files only the one whose token is in a file is read, which is what a cluster elsewhere writes. The
//! addresses must be Google's own; a file that names others is refused, since the token would go there.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{EVERYTHING, TOKENS, Token, place};
use crate::adapters::identity::error::ServiceError;
use crate::adapters::identity::exchange::{
    credential, json as json_of, post, post_form, read_credential,
};
use crate::adapters::identity::secret_text::SecretText;
use crate::adapters::identity::{LIVES, TimeLimited};
use crate::adapters::outbound::Outbound;

/// Where tokens of others are exchanged.
const STS: &str = "https://sts.googleapis.com/v1/token";
/// Where a service account is spoken for.
const ACCOUNTS: &str = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/";
const SPEAK: &str = ":generateAccessToken";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spoken {
    access_token: String,
    expire_time: Timestamp,
}

/// The token that a federation file leads to, or what is wrong with the file. Of a service account it is for this scope; one that speaks for
/// nobody is for what its own permissions are.
pub(super) async fn token(
    outbound: &Outbound,
    file: &Value,
    scope: &str,
    stand_in: Option<&Url>,
) -> Result<Result<TimeLimited<SecretText>, &'static str>, ServiceError> {
    let federation = match Federation::read(file) {
        Ok(federation) => federation,
        Err(why) => return Ok(Err(why)),
    };
    let held = read_credential("the federation file", federation.token_file).await?;
    let subject = match federation.subject(&held) {
        Ok(subject) => subject,
        Err(why) => return Ok(Err(why)),
    };
    let fields = [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("audience", federation.audience),
        ("scope", EVERYTHING),
        (
            "requested_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        ("subject_token_type", federation.token_type),
        ("subject_token", subject.expose()),
    ];
    let answer = post_form(outbound, place(STS, stand_in)?, &fields).await?;
    let exchanged = TimeLimited::from(json_of::<Token>(TOKENS, &answer)?);
    match federation.account {
        None => Ok(Ok(exchanged)),
        Some(account) => speak_for(outbound, account, &exchanged.value, scope, stand_in)
            .await
            .map(Ok),
    }
}

/// The token of the service account that the exchanged one may speak for.
async fn speak_for(
    outbound: &Outbound,
    account: &str,
    exchanged: &SecretText,
    scope: &str,
    stand_in: Option<&Url>,
) -> Result<TimeLimited<SecretText>, ServiceError> {
    let url = place(&format!("{ACCOUNTS}{account}{SPEAK}"), stand_in)?;
    let json_type = HeaderValue::from_static("application/json");
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, json_type)]);
    let bearer = format!("Bearer {}", exchanged.expose());
    credential(&mut headers, AUTHORIZATION, &bearer)?;
    let body = json!({"scope": [scope]}).to_string();
    let answer = post(outbound, url, headers, body.into()).await?;
    let spoken: Spoken = json_of(TOKENS, &answer)?;
    let (shortest, longest) = LIVES;
    let left = spoken.expire_time.duration_since(Timestamp::now());
    let life = Duration::try_from(left).unwrap_or(shortest);
    Ok(TimeLimited {
        value: SecretText::new(spoken.access_token),
        life: life.clamp(shortest, longest),
    })
}

/// What a federation file says.
struct Federation<'a> {
    audience: &'a str,
    token_type: &'a str,
    token_file: &'a str,
    /// The member of the JSON in that file which is the token; `None` where the whole file is.
    member: Option<&'a str>,
    /// The service account to speak for, if any.
    account: Option<&'a str>,
}

impl<'a> Federation<'a> {
    fn read(file: &'a Value) -> Result<Self, &'static str> {
        let text = |pointer| file.pointer(pointer).and_then(Value::as_str);
        let required = |pointer| {
            text(pointer).ok_or("it has no audience, subject_token_type or credential_source.file")
        };
        if text("/token_url") != Some(STS) {
            return Err("its token_url is not https://sts.googleapis.com/v1/token");
        }
        let account = match text("/service_account_impersonation_url") {
            None => None,
            Some(url) => {
                let named = url
                    .strip_prefix(ACCOUNTS)
                    .and_then(|rest| rest.strip_suffix(SPEAK));
                let is_account = |name: &&str| {
                    let known = |c: char| c.is_ascii_alphanumeric() || "-_.@:".contains(c);
                    !name.is_empty() && name.chars().all(known)
                };
                let named = named.filter(is_account);
                Some(named.ok_or(
                    "its service_account_impersonation_url is not that of an account at https://iamcredentials.googleapis.com",
                )?)
            }
        };
        let member = match text("/credential_source/format/type") {
            None | Some("text") => None,
            Some("json") => Some(
                text("/credential_source/format/subject_token_field_name")
                    .ok_or("its credential_source.format has no subject_token_field_name")?,
            ),
            Some(_) => return Err("its credential_source.format.type is neither text nor json"),
        };
        Ok(Self {
            audience: required("/audience")?,
            token_type: required("/subject_token_type")?,
            token_file: required("/credential_source/file")?,
            member,
            account,
        })
    }

    fn subject(&self, held: &SecretText) -> Result<SecretText, &'static str> {
        let Some(member) = self.member else {
            return Ok(held.clone());
        };
        let json: Option<Value> = serde_json::from_str(held.expose()).ok();
        let token = json.as_ref().and_then(|json| json.get(member)?.as_str());
        token
            .map(SecretText::new)
            .ok_or("the file in its credential_source holds no such token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(token_url: &str, account: Option<&str>) -> Value {
        json!({
            "type": "external_account", "audience": "//iam.googleapis.com/a",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": token_url, "service_account_impersonation_url": account,
            "credential_source": {"file": "/var/run/token"},
        })
    }

    #[test]
    fn t16_a_federation_file_leads_to_google_and_nowhere_else() {
        let account = format!("{ACCOUNTS}v@p.iam.gserviceaccount.com{SPEAK}");
        let good = file(STS, Some(&account));
        let read = Federation::read(&good).unwrap();
        assert_eq!(read.account, Some("v@p.iam.gserviceaccount.com"));
        for (sts, account) in [
            ("https://sts.googleapis.com.evil.example/v1/token", None),
            ("https://evil.example/v1/token", None),
            (STS, Some("https://evil.example/x:generateAccessToken")),
            (
                STS,
                Some(
                    "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/../x:generateAccessToken",
                ),
            ),
        ] {
            assert!(Federation::read(&file(sts, account)).is_err(), "{sts}");
        }
    }

    #[test]
    fn a_token_may_stand_in_a_member_of_a_json_file() {
        let mut written = file(STS, None);
        written["credential_source"]["format"] =
            json!({"type": "json", "subject_token_field_name": "token"});
        let read = Federation::read(&written).unwrap();
        let held = SecretText::new(r#"{"token": "jwt"}"#);
        assert_eq!(read.subject(&held), Ok(SecretText::new("jwt")));
        assert!(read.subject(&SecretText::new("jwt")).is_err());
    }
}
