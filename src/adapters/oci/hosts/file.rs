//! `registries.yaml` read into [`RegistryHosts`], with everything that it refers to.
//!
//! Strict: a field that is not known, a host that stands twice, a file that cannot be read or used is an error with its line and
//! column. All or nothing, so that the caller keeps the last good settings and never works with a part of them. A file that is named
//! without a leading `/` is beside `registries.yaml`. No message repeats what stands in a file of secrets.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::Url;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use serde_saphyr::{Spanned, budget, options};
use sha2::{Digest as _, Sha256};

use super::key::Named;
use super::{ClientCertificate, HostSettings, Mirror, ProxyChoice, RegistryHosts};
use crate::api::PEM_BEGIN;
use crate::gather::keychain::{Credential, KeychainEntry, docker};
use crate::image::Repository;

/// The largest file, in bytes: `registries.yaml` and each that it names.
const FILE_BYTES: u64 = 1 << 20;
/// The most entries: each may bring connections of its own.
const HOSTS: usize = 128;
/// The most mirrors of one host: each may cost time before the registry itself is asked.
const MIRRORS: usize = 8;
/// Levels of nesting.
const NESTING: usize = 16;
/// Nodes in the file.
const NODES: usize = 20_000;

/// Tells states of the file, and of those that it names, apart.
pub type Fingerprint = [u8; 32];

/// What the file says.
#[derive(Clone, Debug)]
pub struct LoadedRegistries {
    /// The settings.
    pub hosts: RegistryHosts,
    /// Of which bytes they were read, for [`watch_registries`](super::watch_registries).
    pub fingerprint: Fingerprint,
}

/// A `registries.yaml` that cannot be used, for all of these reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistriesError {
    /// One line each: `FILE:LINE:COLUMN: why`; never empty.
    pub problems: Vec<String>,
}

impl std::error::Error for RegistriesError {}

impl fmt::Display for RegistriesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireFile {
    registries: Vec<WireHost>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WireHost {
    host: Spanned<String>,
    ca: Option<Spanned<String>>,
    client_cert: Option<WireClientCert>,
    insecure: Option<bool>,
    #[serde(default)]
    mirrors: Vec<WireMirror>,
    proxy: Option<Spanned<String>>,
    credentials: Option<Spanned<WireCredentials>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireClientCert {
    cert: Spanned<PathBuf>,
    key: Spanned<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WireMirror {
    host: Spanned<String>,
    #[serde(default)]
    authoritative: bool,
    #[serde(default)]
    digest_only: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WireCredentials {
    username: Option<String>,
    username_file: Option<PathBuf>,
    password_file: Option<PathBuf>,
    docker_config: Option<PathBuf>,
}

/// Reads the settings, with everything that they refer to.
pub fn load_registries(path: &Path) -> Result<LoadedRegistries, RegistriesError> {
    read(path).1
}

/// The settings, and a fingerprint of what they were read from, good or not.
pub(super) fn read(path: &Path) -> (Fingerprint, Result<LoadedRegistries, RegistriesError>) {
    let mut reading = Reading {
        path,
        hash: Sha256::new(),
        problems: Vec::new(),
    };
    let hosts = reading.hosts();
    let fingerprint: Fingerprint = reading.hash.finalize().into();
    let problems = reading.problems;
    let loaded = if problems.is_empty() {
        Ok(LoadedRegistries { hosts, fingerprint })
    } else {
        Err(RegistriesError { problems })
    };
    (fingerprint, loaded)
}

/// The file while it is read.
struct Reading<'a> {
    path: &'a Path,
    /// Over the names and bytes of all files, and over what the system says about those that cannot be read.
    hash: Sha256,
    problems: Vec<String>,
}

// === impl Reading ===

impl Reading<'_> {
    fn hosts(&mut self) -> RegistryHosts {
        let mut hosts = RegistryHosts::default();
        let path = self.path.to_owned();
        let Ok(bytes) = self
            .bytes(&path)
            .map_err(|why| self.problems.push(format!("{}: {why}", path.display())))
        else {
            return hosts;
        };
        let Some(file) = self.parse(&bytes) else {
            return hosts;
        };
        if file.registries.len() > HOSTS {
            let why = format!("more than {HOSTS} registries");
            self.problems.push(format!("{}: {why}", path.display()));
            return hosts;
        }
        for (number, written) in file.registries.into_iter().enumerate() {
            let at = written.host.referenced;
            let Some(named) = Named::parse(&written.host.value) else {
                let why = format!(
                    "host {:?} is none of host, host:port and *.suffix",
                    shown(&written.host.value)
                );
                self.problem(at, &why);
                continue;
            };
            let settings = Arc::new(self.settings(number, &named, written));
            let is_new = match named {
                Named::One(key) => hosts.exact.insert(key, settings).is_none(),
                Named::Below(pattern) => {
                    let is_new = hosts.below.iter().all(|(known, _)| *known != pattern);
                    hosts.below.push((pattern, settings));
                    is_new
                }
            };
            if !is_new {
                self.problem(
                    at,
                    "this host stands twice; put its settings into one entry",
                );
            }
        }
        hosts
            .below
            .sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.len()));
        hosts
    }

    fn parse(&mut self, bytes: &[u8]) -> Option<WireFile> {
        let options = options! {
            budget: budget! {
                max_nodes: NODES,
                max_events: 4 * NODES,
                max_total_scalar_bytes: 4 << 20,
                max_depth: NESTING,
                flow_nesting_limit: NESTING,
                max_documents: 1,
                max_aliases: 64,
                max_anchors: 64,
            },
            reject_unsupported_tags: true,
            with_snippet: false,
        };
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.problems
                .push(format!("{}: is not UTF-8 text", self.path.display()));
            return None;
        };
        match serde_saphyr::from_str_with_options(text, options) {
            Ok(file) => Some(file),
            Err(error) => {
                let why = error.to_string().replace(['\n', '\r'], " ");
                let Some(at) = error.location() else {
                    self.problems
                        .push(format!("{}: {why}", self.path.display()));
                    return None;
                };
                let place = format!(" at line {}, column {}", at.line(), at.column());
                let why = why.strip_suffix(&place).unwrap_or(&why);
                // Advice for whoever programs the parser.
                let why = why.replace(", set DuplicateKeyPolicy in Options if acceptable", "");
                self.problem(at, &why);
                None
            }
        }
    }

    fn settings(&mut self, number: usize, named: &Named, written: WireHost) -> HostSettings {
        let host = &written.host;
        if matches!(named, Named::Below(_)) {
            // Two hosts below one suffix would share the path of a mirror, and everybody who gets such a name would get the password.
            if let Some(credentials) = &written.credentials {
                let why = "credentials are for one host; name it instead of a suffix";
                self.problem(credentials.referenced, why);
            }
            if let Some(mirror) = written.mirrors.first() {
                let why = "mirrors are for one host; name it instead of a suffix";
                self.problem(mirror.host.referenced, why);
            }
        }
        if written.mirrors.len() > MIRRORS {
            self.problem(host.referenced, &format!("more than {MIRRORS} mirrors"));
        }
        HostSettings {
            number,
            authorities: written.ca.map_or_else(Vec::new, |ca| self.authorities(&ca)),
            client_certificate: written
                .client_cert
                .and_then(|files| self.client_certificate(&files)),
            plain_http: written.insecure,
            mirrors: written
                .mirrors
                .iter()
                .filter_map(|mirror| self.mirror(named, mirror))
                .collect(),
            proxy: written.proxy.map_or_else(ProxyChoice::default, |proxy| {
                self.proxy(&proxy).unwrap_or_default()
            }),
            credentials: written.credentials.map_or_else(Vec::new, |credentials| {
                self.credentials(&host.value, credentials)
            }),
        }
    }

    fn authorities(&mut self, ca: &Spanned<String>) -> Vec<CertificateDer<'static>> {
        let is_pem = ca.value.contains(PEM_BEGIN);
        let (what, bytes) = if is_pem {
            ("ca".to_owned(), Some(ca.value.clone().into_bytes()))
        } else {
            let path = PathBuf::from(&ca.value);
            let what = format!("ca {}", path.display());
            (what, self.named("ca", ca.referenced, &path))
        };
        let Some(bytes) = bytes else {
            return Vec::new();
        };
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        match found {
            Ok(found) if !found.is_empty() => found,
            Ok(_) => {
                let why = format!("{what}: there is no certificate in the PEM");
                self.problem(ca.referenced, &why);
                Vec::new()
            }
            Err(_) => {
                self.problem(ca.referenced, &format!("{what}: cannot be read as PEM"));
                Vec::new()
            }
        }
    }

    fn client_certificate(&mut self, files: &WireClientCert) -> Option<Arc<ClientCertificate>> {
        let cert = self.named("clientCert.cert", files.cert.referenced, &files.cert.value);
        let key = self.named("clientCert.key", files.key.referenced, &files.key.value);
        let (cert, key) = (cert?, key?);
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&cert).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        if chain.is_none() {
            let why = format!(
                "clientCert.cert {}: there is no certificate in PEM",
                files.cert.value.display()
            );
            self.problem(files.cert.referenced, &why);
        }
        let key = PrivateKeyDer::from_pem_slice(&key).ok();
        if key.is_none() {
            let why = format!(
                "clientCert.key {}: there is no private key in PEM",
                files.key.value.display()
            );
            self.problem(files.key.referenced, &why);
        }
        let certificate = ClientCertificate {
            chain: chain?,
            key: key?,
        };
        if certificate.is_usable() {
            return Some(Arc::new(certificate));
        }
        let why = format!(
            "clientCert.key {} is not the key of clientCert.cert {}",
            files.key.value.display(),
            files.cert.value.display()
        );
        self.problem(files.key.referenced, &why);
        None
    }

    fn mirror(&mut self, named: &Named, written: &WireMirror) -> Option<Mirror> {
        let at = written.host.referenced;
        let text = written.host.value.trim_end_matches('/');
        let (host, prefix) = text.split_once('/').unwrap_or((text, ""));
        let mirror = Mirror {
            host: host.to_owned(),
            prefix: prefix.to_owned(),
            authoritative: written.authoritative,
            digest_only: written.digest_only,
        };
        // What references cannot name cannot be asked.
        let sample = format!("{text}/sample");
        let is_reference = Repository::parse(&sample).is_ok_and(|found| found.registry() == host);
        let is_itself = match Named::parse(host) {
            Some(Named::One(key)) => *named == Named::One(key) && prefix.is_empty(),
            _ => false,
        };
        let why = if !is_reference || !matches!(Named::parse(host), Some(Named::One(_))) {
            format!(
                "mirror {:?} is none of host, host:port, host/path and host:port/path, as image references have them",
                shown(text)
            )
        } else if is_itself {
            "a registry is no mirror of itself".to_owned()
        } else if mirror.authoritative && mirror.digest_only {
            "a mirror that is asked only by digest has no word about what there is: set one of authoritative and digestOnly".to_owned()
        } else {
            return Some(mirror);
        };
        self.problem(at, &why);
        None
    }

    fn proxy(&mut self, written: &Spanned<String>) -> Option<ProxyChoice> {
        if written.value == "none" {
            return Some(ProxyChoice::Direct);
        }
        let url = Url::parse(&written.value).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if url.is_none() {
            // Not repeated: it may carry a password.
            let why = "proxy is neither `none` nor an http:// or https:// address";
            self.problem(written.referenced, why);
        }
        url.map(ProxyChoice::Through)
    }

    /// `host` is also the pattern of the entries: one host, and no other.
    fn credentials(&mut self, host: &str, written: Spanned<WireCredentials>) -> Vec<KeychainEntry> {
        let at = written.referenced;
        match written.value {
            WireCredentials {
                username: None,
                username_file: None,
                password_file: None,
                docker_config: Some(file),
            } => self.docker_config(host, at, &file),
            WireCredentials {
                username,
                username_file,
                password_file: Some(password),
                docker_config: None,
            } if username.is_some() != username_file.is_some() => {
                let username = match username_file {
                    Some(file) => self.line("credentials.usernameFile", at, &file),
                    None => username,
                };
                let password = self.line("credentials.passwordFile", at, &password);
                let entry = |(username, password)| KeychainEntry {
                    pattern: host.to_owned(),
                    credential: Credential::of_user(username, password),
                    source: format!("registries.yaml: {host}"),
                };
                username.zip(password).map(entry).into_iter().collect()
            }
            _ => {
                let why = "credentials are either dockerConfig, or passwordFile with one of username and usernameFile";
                self.problem(at, why);
                Vec::new()
            }
        }
    }

    /// The entries of a docker config that are for this host. Helpers that it names are not run.
    fn docker_config(
        &mut self,
        host: &str,
        at: serde_saphyr::Location,
        file: &Path,
    ) -> Vec<KeychainEntry> {
        let Some(bytes) = self.named("credentials.dockerConfig", at, file) else {
            return Vec::new();
        };
        let origin = format!("credentials.dockerConfig {}", file.display());
        let entries = match docker::Config::parse(&bytes, &origin) {
            Ok(config) => config.entries,
            Err(error) => {
                self.problem(at, &error.to_string());
                return Vec::new();
            }
        };
        let Some(Named::One(wanted)) = Named::parse(host) else {
            return Vec::new();
        };
        let is_for_host = |entry: &KeychainEntry| {
            let pattern = entry.pattern.as_str();
            let pattern = pattern.strip_prefix("https://").unwrap_or(pattern);
            let written = pattern.split('/').next().unwrap_or_default();
            Named::parse(written) == Some(Named::One(wanted.clone()))
        };
        let entries: Vec<KeychainEntry> = entries.into_iter().filter(is_for_host).collect();
        if entries.is_empty() {
            self.problem(at, &format!("{origin}: has no credentials for {host}"));
        }
        entries
    }

    /// A file that holds one line, such as a password; the line break at its end is not part of it.
    fn line(&mut self, field: &str, at: serde_saphyr::Location, file: &Path) -> Option<String> {
        let bytes = self.named(field, at, file)?;
        let text = String::from_utf8(bytes).ok();
        let text = text.map(|text| text.trim_end_matches(['\n', '\r']).to_owned());
        let text = text.filter(|text| !text.is_empty() && !text.contains(char::is_control));
        if text.is_none() {
            let why = format!("{field} {}: is not one line of text", file.display());
            self.problem(at, &why);
        }
        text
    }

    /// The bytes of a file that a field names; a problem of that field when there are none.
    fn named(&mut self, field: &str, at: serde_saphyr::Location, file: &Path) -> Option<Vec<u8>> {
        let beside = self.path.parent().unwrap_or(Path::new(""));
        // An absolute path stays what it is.
        match self.bytes(&beside.join(file)) {
            Ok(bytes) => Some(bytes),
            Err(why) => {
                self.problem(at, &format!("{field} {}: {why}", file.display()));
                None
            }
        }
    }

    fn bytes(&mut self, file: &Path) -> Result<Vec<u8>, String> {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            // Opening anything but a file, such as a pipe, could wait for ever.
            if !std::fs::metadata(file)?.is_file() {
                return Err(std::io::Error::other("is not a regular file"));
            }
            File::open(file)?
                .take(FILE_BYTES.saturating_add(1))
                .read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let read = read().map_err(|error| format!("cannot be read: {error}"));
        let read = read.and_then(|bytes| match u64::try_from(bytes.len()) {
            Ok(length) if length <= FILE_BYTES => Ok(bytes),
            _ => Err(format!("is larger than {FILE_BYTES} bytes")),
        });
        let said = read.as_deref().unwrap_or_else(|why| why.as_bytes());
        for part in [file.as_os_str().as_encoded_bytes(), said] {
            self.hash
                .update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            self.hash.update(part);
        }
        read
    }

    fn problem(&mut self, at: serde_saphyr::Location, why: &str) {
        let file = self.path.display();
        let (line, column) = (at.line(), at.column());
        self.problems.push(format!("{file}:{line}:{column}: {why}"));
    }
}

// === impl ClientCertificate ===

impl ClientCertificate {
    /// Whether key and certificate belong together.
    fn is_usable(&self) -> bool {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = provider.key_provider.load_private_key(self.key.clone_key());
        key.is_ok_and(|key| {
            rustls::sign::CertifiedKey::new(self.chain.clone(), key)
                .keys_match()
                .is_ok()
        })
    }
}

/// A name from the file, cut to what a message needs.
fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests;
