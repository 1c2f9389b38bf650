//! Docker configs as Kubernetes Secrets and `config.json` hold them, read into [`KeychainEntry`]s.
//!
//! In comes JSON, out come entries; which of them applies to which repository is decided by the keychain. Nothing is run and nothing
//! is fetched. No error quotes the document: it is full of secrets.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::{Credential, KeychainEntry};

/// The largest document that is read, in bytes; a Kubernetes Secret ends there too.
pub const MAX_BYTES: usize = 1 << 20;
/// The number of entries that are read.
const ENTRIES: usize = 1_024;
/// Base64 with or without padding: both are found.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// The user name that stands for "the password is an identity token".
const IDENTITY_TOKEN_USER: &str = "<token>";

/// A docker config, with the names of its credential helpers.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The credentials in it.
    pub entries: Vec<KeychainEntry>,
    /// Registry → credential helper (`credHelpers`).
    pub helpers: BTreeMap<String, String>,
    /// The helper for all others (`credsStore`).
    pub store: Option<String>,
}

/// Credentials that cannot be read. Nothing of their content is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// More than the bound.
    #[error("{origin}: larger than {limit} {unit}")]
    TooLarge {
        /// Whose credentials.
        origin: String,
        /// The bound.
        limit: usize,
        /// What is counted.
        unit: &'static str,
    },
    /// Not the JSON of a docker config.
    #[error("{origin}: not the JSON of a docker config (line {line}, column {column})")]
    Json {
        /// Whose credentials.
        origin: String,
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
    /// An entry whose `auth` is not `base64(user:password)`.
    #[error("{origin}: auth of {registry} is not base64 of user:password")]
    Auth {
        /// Whose credentials.
        origin: String,
        /// The key of the entry.
        registry: String,
    },
}

#[derive(Deserialize, Default)]
struct WireConfig {
    #[serde(default)]
    auths: BTreeMap<String, WireEntry>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Deserialize)]
struct WireEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// The entries of a Secret of type `kubernetes.io/dockerconfigjson`. `source` names it in messages (`secret shop/regcred`).
pub fn entries_from_dockerconfigjson(
    bytes: &[u8],
    source: &str,
) -> Result<Vec<KeychainEntry>, InvalidConfig> {
    let config: WireConfig = parse(bytes, source)?;
    entries(config.auths, source)
}

/// The entries of a Secret of the old type `kubernetes.io/dockercfg`: the same without the outer `auths`.
pub fn entries_from_dockercfg(
    bytes: &[u8],
    source: &str,
) -> Result<Vec<KeychainEntry>, InvalidConfig> {
    entries(parse(bytes, source)?, source)
}

// === impl Config ===

impl Config {
    /// Reads a whole `config.json`.
    pub fn parse(bytes: &[u8], source: &str) -> Result<Self, InvalidConfig> {
        let config: WireConfig = parse(bytes, source)?;
        Ok(Self {
            entries: entries(config.auths, source)?,
            helpers: config.helpers,
            store: config.store,
        })
    }
}

fn parse<T: for<'de> Deserialize<'de>>(bytes: &[u8], origin: &str) -> Result<T, InvalidConfig> {
    if bytes.len() <= MAX_BYTES {
        // The parser's own words may quote the document.
        let place = |error: serde_json::Error| InvalidConfig::Json {
            origin: origin.to_owned(),
            line: error.line(),
            column: error.column(),
        };
        return serde_json::from_slice(bytes).map_err(place);
    }
    Err(InvalidConfig::TooLarge {
        origin: origin.to_owned(),
        limit: MAX_BYTES,
        unit: "bytes",
    })
}

fn entries(
    auths: BTreeMap<String, WireEntry>,
    source: &str,
) -> Result<Vec<KeychainEntry>, InvalidConfig> {
    if auths.len() > ENTRIES {
        return Err(InvalidConfig::TooLarge {
            origin: source.to_owned(),
            limit: ENTRIES,
            unit: "entries",
        });
    }
    let mut found = Vec::new();
    for (pattern, entry) in auths {
        let broken = || InvalidConfig::Auth {
            origin: source.to_owned(),
            registry: visible(&pattern),
        };
        // Docker leaves an empty entry behind when a helper keeps the secret.
        if let Some(credential) = entry.credential().map_err(|()| broken())? {
            found.push(KeychainEntry {
                pattern,
                credential,
                source: source.to_owned(),
            });
        }
    }
    Ok(found)
}

/// The key of an entry, fit for a message: visible ASCII, at most 200 characters.
fn visible(text: &str) -> String {
    let or_mark = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    text.chars().take(200).map(or_mark).collect()
}

// === impl WireEntry ===

impl WireEntry {
    fn credential(self) -> Result<Option<Credential>, ()> {
        let set = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(token) = set(self.registrytoken) {
            return Ok(Some(Credential::RegistryToken(token)));
        }
        if let Some(token) = set(self.identitytoken) {
            return Ok(Some(Credential::IdentityToken(token)));
        }
        let (username, password) = match (set(self.auth), set(self.username), self.password) {
            (Some(auth), _, _) => user_and_password(&auth).ok_or(())?,
            (None, Some(username), Some(password)) => (username, password),
            (None, _, _) => return Ok(None),
        };
        Ok(Some(Credential::of_user(username, password)))
    }
}

// === impl Credential ===

impl Credential {
    /// What a user name and a secret are together: `<token>` says that the secret is an identity token.
    pub fn of_user(username: String, secret: String) -> Self {
        if username == IDENTITY_TOKEN_USER {
            Self::IdentityToken(secret)
        } else {
            Self::Basic {
                username,
                password: secret,
            }
        }
    }
}

fn user_and_password(auth: &str) -> Option<(String, String)> {
    let text = String::from_utf8(BASE64.decode(auth.trim()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    // Old docker clients padded with NUL.
    Some((
        username.to_owned(),
        password.trim_end_matches('\0').to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(username: &str, password: &str) -> Credential {
        Credential::Basic {
            username: username.to_owned(),
            password: password.to_owned(),
        }
    }

    #[test]
    fn reads_every_form_of_an_entry() {
        let json = br#"{"auths":{
            "a.example.com":{"auth":"dXNlcjpwYTpzcw=="},
            "b.example.com":{"auth":"dXNlcjpwYTpzcw"},
            "c.example.com":{"username":"user","password":"pass","email":"x@example.com"},
            "d.example.com":{"auth":"dXNlcjo=","identitytoken":"refresh"},
            "e.example.com":{"registrytoken":"bearer"},
            "f.example.com":{},
            "g.example.com":{"username":"<token>","password":"refresh"}}}"#;
        let found: Vec<_> = entries_from_dockerconfigjson(json, "secret shop/regcred")
            .unwrap()
            .into_iter()
            .map(|e| (e.pattern, e.credential))
            .collect();
        assert_eq!(
            found,
            [
                ("a.example.com".to_owned(), basic("user", "pa:ss")),
                ("b.example.com".to_owned(), basic("user", "pa:ss")),
                ("c.example.com".to_owned(), basic("user", "pass")),
                (
                    "d.example.com".to_owned(),
                    Credential::IdentityToken("refresh".to_owned())
                ),
                (
                    "e.example.com".to_owned(),
                    Credential::RegistryToken("bearer".to_owned())
                ),
                (
                    "g.example.com".to_owned(),
                    Credential::IdentityToken("refresh".to_owned())
                ),
            ]
        );
    }

    #[test]
    fn the_old_form_of_a_secret_has_no_outer_object() {
        let found = entries_from_dockercfg(
            br#"{"https://index.docker.io/v1/":{"auth":"dTpw"}}"#,
            "secret a/b",
        )
        .unwrap();
        assert_eq!(found[0].credential, basic("u", "p"));
        assert_eq!(found[0].source, "secret a/b");
    }

    #[test]
    fn errors_say_where_and_never_what() {
        let error =
            entries_from_dockerconfigjson(br#"{"auths":{"a":{"auth":"c2VjcmV0"}}}"#, "secret a/b")
                .unwrap_err();
        assert_eq!(
            error.to_string(),
            "secret a/b: auth of a is not base64 of user:password"
        );
        let error =
            entries_from_dockerconfigjson(br#"{"auths":{"a":{"auth":hunter2}}}"#, "secret a/b")
                .unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let error = entries_from_dockerconfigjson(&vec![b' '; 2 << 20], "secret a/b").unwrap_err();
        assert!(matches!(error, InvalidConfig::TooLarge { .. }));
    }
}
