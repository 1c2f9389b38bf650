//! Credentials as they are stored: `config.json` of docker and podman, and the two kinds of Kubernetes pull secrets.
//!
//! In comes JSON, out come [`KeychainEntry`]s; which of them applies to which repository is decided by the keychain. Credential
//! helpers run only for the operator's own file, never for a Secret, and only for the registries that are asked for.
//! No error quotes the document: it is full of secrets.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use docker_credential::DockerCredential;
use serde::Deserialize;
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::fence::printable;
use crate::gather::keychain::{Credential, Keychain, KeychainEntry};

/// The largest document that is read, in bytes; a Kubernetes Secret ends there too.
const CONFIG_BYTES: u64 = 1 << 20;
/// The number of entries that are read.
const ENTRIES: usize = 1_024;
/// Time for one credential helper.
const HELPER_TIME: Duration = Duration::from_secs(5);
/// Base64 with or without padding: both are found.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// The user name that stands for "the password is an identity token".
const IDENTITY_TOKEN_USER: &str = "<token>";

/// The credentials of the person or process that runs us.
#[derive(Clone, Debug, Default)]
pub struct DockerConfig {
    entries: Vec<KeychainEntry>,
    /// Registry to credential helper.
    helpers: BTreeMap<String, String>,
    /// The helper for all others.
    store: Option<String>,
}

/// Credentials that cannot be read. Nothing of their content is repeated.
#[derive(Debug, thiserror::Error)]
pub enum DockerConfigError {
    /// The file cannot be opened or read.
    #[error("docker config {} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// More than the bound.
    #[error("{origin}: larger than {limit} {unit}")]
    TooLarge {
        /// Whose credentials.
        origin: String,
        /// The bound.
        limit: u64,
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
) -> Result<Vec<KeychainEntry>, DockerConfigError> {
    let config: WireConfig = parse(bytes, source)?;
    entries(config.auths, source)
}

/// The entries of a Secret of the old type `kubernetes.io/dockercfg`: the same without the outer `auths`.
pub fn entries_from_dockercfg(
    bytes: &[u8],
    source: &str,
) -> Result<Vec<KeychainEntry>, DockerConfigError> {
    entries(parse(bytes, source)?, source)
}

// === impl DockerConfig ===

impl DockerConfig {
    /// Reads `path`, or else the first of the usual places that exists: `$DOCKER_CONFIG/config.json`, `~/.docker/config.json`,
    /// `$REGISTRY_AUTH_FILE`, `$XDG_RUNTIME_DIR/containers/auth.json`. None of them existing is an empty config.
    pub fn load(path: Option<&Path>) -> Result<Self, DockerConfigError> {
        let Some(path) = path.map(Path::to_owned).or_else(usual_place) else {
            return Ok(Self::default());
        };
        let file = |source| DockerConfigError::File {
            path: path.clone(),
            source,
        };
        let mut bytes = Vec::new();
        std::fs::File::open(&path)
            .map_err(file)?
            .take(CONFIG_BYTES.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(file)?;
        Self::parse(&bytes, "docker config")
    }

    fn parse(bytes: &[u8], source: &str) -> Result<Self, DockerConfigError> {
        let config: WireConfig = parse(bytes, source)?;
        let is_name = |name: &String| {
            name.bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
                && !name.is_empty()
        };
        Ok(Self {
            entries: entries(config.auths, source)?,
            helpers: config
                .helpers
                .into_iter()
                .filter(|(_, helper)| is_name(helper))
                .collect(),
            store: config.store.filter(is_name),
        })
    }

    /// The keychain for these registries (as they stand in references: `docker.io`, `registry.example.com:5000`). What the
    /// credential helpers answer comes before what the file holds; a helper that fails has no credentials.
    pub async fn keychain(&self, registries: &[&str]) -> Keychain {
        let mut all = Vec::new();
        for registry in registries {
            all.extend(self.helper_entry(registry).await);
        }
        all.extend(self.entries.iter().cloned());
        Keychain::new(all)
    }

    /// What the helper of a registry knows. The key of Docker Hub is a URL of its own.
    async fn helper_entry(&self, registry: &str) -> Option<KeychainEntry> {
        let key = if registry == "docker.io" {
            "https://index.docker.io/v1/"
        } else {
            registry
        };
        let by_name = || self.helpers.get(key).or_else(|| self.helpers.get(registry));
        let helper = by_name().or(self.store.as_ref())?.clone();
        let key = key.to_owned();
        let question = json!({ "credsStore": helper }).to_string();
        let asked = key.clone();
        let answer = spawn_blocking(move || {
            docker_credential::get_credential_from_reader(question.as_bytes(), &asked)
        });
        let credential = match timeout(HELPER_TIME, answer).await {
            Ok(Ok(Ok(DockerCredential::IdentityToken(token)))) => Credential::IdentityToken(token),
            Ok(Ok(Ok(DockerCredential::UsernamePassword(username, password)))) => {
                Credential::Basic { username, password }
            }
            Ok(Ok(Err(_)) | Err(_)) | Err(_) => {
                tracing::debug!(helper, registry, "the credential helper has no credentials");
                return None;
            }
        };
        Some(KeychainEntry {
            pattern: key,
            credential,
            source: format!("credential helper {helper}"),
        })
    }
}

fn usual_place() -> Option<PathBuf> {
    let place = |variable: &str, rest: &str| {
        std::env::var_os(variable).map(|base| PathBuf::from(base).join(rest))
    };
    [
        place("DOCKER_CONFIG", "config.json").or_else(|| place("HOME", ".docker/config.json")),
        std::env::var_os("REGISTRY_AUTH_FILE").map(PathBuf::from),
        place("XDG_RUNTIME_DIR", "containers/auth.json"),
    ]
    .into_iter()
    .flatten()
    .find(|path| path.exists())
}

fn parse<T: for<'de> Deserialize<'de>>(bytes: &[u8], origin: &str) -> Result<T, DockerConfigError> {
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= CONFIG_BYTES) {
        // The parser's own words may quote the document.
        let place = |error: serde_json::Error| DockerConfigError::Json {
            origin: origin.to_owned(),
            line: error.line(),
            column: error.column(),
        };
        return serde_json::from_slice(bytes).map_err(place);
    }
    Err(DockerConfigError::TooLarge {
        origin: origin.to_owned(),
        limit: CONFIG_BYTES,
        unit: "bytes",
    })
}

fn entries(
    auths: BTreeMap<String, WireEntry>,
    source: &str,
) -> Result<Vec<KeychainEntry>, DockerConfigError> {
    if auths.len() > ENTRIES {
        let limit = u64::try_from(ENTRIES).unwrap_or(u64::MAX);
        return Err(DockerConfigError::TooLarge {
            origin: source.to_owned(),
            limit,
            unit: "entries",
        });
    }
    let mut found = Vec::new();
    for (pattern, entry) in auths {
        let broken = || DockerConfigError::Auth {
            origin: source.to_owned(),
            registry: printable(&pattern),
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
        Ok(Some(if username == IDENTITY_TOKEN_USER {
            Credential::IdentityToken(password)
        } else {
            Credential::Basic { username, password }
        }))
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
        assert!(matches!(error, DockerConfigError::TooLarge { .. }));
    }

    #[tokio::test]
    async fn a_helper_that_is_not_there_leaves_the_file_entries() {
        let json = br#"{"auths":{"a.example.com":{"auth":"dTpw"}},"credsStore":"does-not-exist-here","credHelpers":{"b.example.com":"../../bin/sh"}}"#;
        let config = DockerConfig::parse(json, "docker config").unwrap();
        assert!(config.helpers.is_empty(), "a helper is a name, not a path");
        let keychain = config.keychain(&["a.example.com", "docker.io"]).await;
        assert_eq!(keychain.entries().len(), 1);
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let error = DockerConfig::load(Some(Path::new("/nonexistent/config.json"))).unwrap_err();
        assert!(matches!(error, DockerConfigError::File { .. }));
    }
}
