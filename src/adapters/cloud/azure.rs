//! Tokens of Azure Container Registry: what Entra ID says of us, exchanged at the registry for a refresh token of its own, which its
//! token service takes like the identity token of a docker config.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use reqwest::Url;
use serde::Deserialize;

use crate::adapters::identity::exchange::{below, endpoint, json, post_form};
use crate::adapters::identity::{LIVES, SecretText, ServiceError, TimeLimited};
use crate::adapters::outbound::Outbound;
use crate::gather::Credential;

const SERVICE: &str = "azure container registry";
/// How long a refresh token is taken to live that does not say so.
const UNSAID: Duration = Duration::from_hours(1);

#[derive(Deserialize)]
struct Exchanged {
    refresh_token: String,
}

#[derive(Deserialize)]
struct Claims {
    exp: i64,
}

/// A refresh token of one registry, for what Entra ID says of us in this tenant.
pub(super) async fn token(
    outbound: &Outbound,
    ours: &SecretText,
    tenant: Option<&str>,
    host: &str,
    stand_in: Option<&Url>,
) -> Result<TimeLimited<Credential>, ServiceError> {
    let base = match stand_in {
        Some(stand_in) => stand_in.clone(),
        None => endpoint("the host of the registry", &format!("https://{host}/"))?,
    };
    let url = below(&base, &["oauth2", "exchange"])
        .ok_or_else(|| ServiceError::answer(SERVICE, "its host has no path"))?;
    let mut fields = vec![
        ("grant_type", "access_token"),
        ("service", host),
        ("access_token", ours.expose()),
    ];
    if let Some(tenant) = tenant {
        fields.push(("tenant", tenant));
    }
    let answer = post_form(outbound, url, &fields).await?;
    let Exchanged { refresh_token } = json(SERVICE, &answer)?;
    let (shortest, longest) = LIVES;
    let life = life(&refresh_token, Timestamp::now()).unwrap_or(UNSAID);
    Ok(TimeLimited {
        value: Credential::IdentityToken(refresh_token),
        life: life.clamp(shortest, longest),
    })
}

/// How long a token says that it lives: only when to ask for the next one depends on it.
fn life(token: &str, now: Timestamp) -> Option<Duration> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let Claims { exp } = serde_json::from_slice(&claims).ok()?;
    let left = exp.saturating_sub(now.as_second());
    Some(Duration::from_secs(u64::try_from(left).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_as_long_as_it_says() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let exp = now.as_second() + 10_800;
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{exp}}}"#));
        let token = format!("e30.{claims}.c2ln");
        assert_eq!(life(&token, now), Some(Duration::from_hours(3)));
        for other in ["", "opaque", "a.b.c", "e30.e30.e30"] {
            assert_eq!(life(other, now), None, "{other}");
        }
    }
}
