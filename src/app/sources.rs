//! What policies refer to outside of themselves: keys in key management services, trust roots, and where each is now.
//!
//! `TrustRoot`s come with the policies, and are read when they are seen first and every few minutes, not for each look. What is behind a
//! network is fetched off the path of requests ([`Sources::fetch`]): at the start and for new policies before they are in force, later in
//! the background. A fetch that fails keeps the last good value; what has none is told to the policies that refer to it, and to nobody
//! else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use futures::StreamExt as _;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use sigstore_trust_root::SigstoreInstance;
use tokio::time::{Instant, timeout};

use crate::adapters::enforced::Objects;
use crate::adapters::kms::{KeyServices, KmsSettings};
use crate::adapters::outbound::Outbound;
use crate::adapters::refresh::{Count, Held, Rhythm};
use crate::adapters::trust::{Mirror, TrustedRootFile};
use crate::api;
use crate::apply;
use crate::config::TrustArgs;
use crate::policy::Fetched;
use crate::trust::tuf::{MAX_STALE, TufRoot};
use crate::trust::{TrustMaterial, archive, sigstore_keys};

/// Time for one request.
const REQUEST: Duration = Duration::from_secs(10);
/// Time for one refresh of a mirror, which is several requests.
const REFRESH: Duration = Duration::from_mins(1);
/// Fetches at one time.
const CONCURRENT: usize = 8;
/// The most references of one kind.
const REFERENCES: usize = 256;

/// From one good fetch of a key to the next.
const KEYS_EVERY: Duration = Duration::from_hours(1);
/// How long a key is used after it was fetched, unless told otherwise.
const MAX_STALE_KEYS: Duration = Duration::from_hours(24);
/// From one good refresh of a trust root to the next.
const ROOTS_EVERY: Duration = Duration::from_hours(6);
/// How long what a `TrustRoot` holds itself stays as it was read. Unpacking and verifying it is work; that its metadata expires is counted
/// in days.
const READ_AGAIN: Duration = Duration::from_mins(10);
/// From a failed fetch to the next, at first.
const RETRY: Duration = Duration::from_secs(15);

/// Where what policies refer to comes from.
pub(super) struct Sources {
    services: KeyServices,
    outbound: Outbound,
    keys: Held<Arc<str>>,
    roots: Held<Root>,
    /// The mirrors behind the names in `roots`.
    mirrors: Mutex<BTreeMap<String, Arc<Mirror>>>,
    /// What `TrustRoot`s hold themselves, by the digest of their specs.
    read: Mutex<BTreeMap<[u8; 32], Read>>,
    default: DefaultTrust,
    state_dir: Option<PathBuf>,
    /// Whoever fetches, so that nothing is fetched twice at one time.
    fetching: tokio::sync::Mutex<()>,
}

/// What a `TrustRoot` holds, as it was read.
struct Read {
    root: Result<Root, String>,
    at: Instant,
}

/// A trust root.
#[derive(Clone, Debug, PartialEq)]
struct Root {
    trust: Arc<TrustMaterial>,
    /// When the metadata that vouches for it expires; `None` for one that no such metadata vouches for.
    expires: Option<Timestamp>,
}

/// What is trusted where a policy names no TrustRoot.
enum DefaultTrust {
    /// The same from the start to the end, or what the file has: `--trusted-root`.
    Given(ArcSwap<TrustMaterial>),
    /// What the mirror has: `--tuf-mirror`.
    Mirrored {
        name: String,
        remote: api::RemoteRoot,
        /// Whether the mirror's root is that of the public Sigstore, so that the trusted root in this program is an older state of it.
        is_public: bool,
    },
}

/// How things stand with what is fetched, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct References {
    /// Keys of key management services.
    pub keys: Count,
    /// Trust roots from mirrors.
    pub roots: Count,
    /// When the first of the trust roots from mirrors and archives expires.
    pub expires: Option<Timestamp>,
}

// === impl Sources ===

impl Sources {
    /// Sources with the default trust that the arguments ask for, and the file that it comes from, if it is to be watched.
    pub(super) fn new(
        args: &TrustArgs,
        extra_ca: Option<&[u8]>,
    ) -> anyhow::Result<(Self, Option<TrustedRootFile>)> {
        let outbound = Outbound::new(extra_ca, REQUEST)?;
        let environment = KmsSettings::from_environment(|name| std::env::var(name).ok());
        let (default, file) = default_trust(args)?;
        let roots = Held::new(Rhythm {
            every: ROOTS_EVERY,
            retry: RETRY,
            max_stale: MAX_STALE.unsigned_abs(),
        });
        let keys = Held::new(Rhythm {
            every: KEYS_EVERY,
            retry: RETRY,
            max_stale: MAX_STALE_KEYS,
        });
        let sources = Self {
            services: KeyServices::new(outbound.clone(), environment),
            outbound,
            keys,
            roots,
            mirrors: Mutex::default(),
            read: Mutex::default(),
            default,
            state_dir: args.state_dir.clone(),
            fetching: tokio::sync::Mutex::default(),
        };
        Ok((sources, file))
    }

    /// From now on a key is used this long after it was fetched.
    pub(super) fn keep_for(&mut self, max_stale: Duration) {
        self.keys = Held::new(Rhythm {
            every: KEYS_EVERY.min(max_stale / 4),
            retry: RETRY,
            max_stale,
        });
    }

    /// From now on exactly what these objects refer to is wanted.
    pub(super) fn want(&self, objects: &[&Objects]) {
        let now = Instant::now();
        let each = || objects.iter().copied();
        let keys = each().flat_map(kms_references).take(REFERENCES);
        let keys: BTreeSet<String> = keys.collect();
        self.keys.want(&keys, now);
        let mut mirrors = BTreeMap::new();
        let wanted = each().flat_map(remotes);
        for remote in self
            .default
            .remote()
            .into_iter()
            .chain(wanted)
            .take(REFERENCES)
        {
            mirrors.insert(name_of(remote), remote);
        }
        let names: BTreeSet<String> = mirrors.keys().cloned().collect();
        self.roots.want(&names, now);
        {
            let mut known = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|name, _| names.contains(name));
            for (name, remote) in mirrors {
                if known.contains_key(&name) {
                    continue;
                }
                match Mirror::new(remote, self.outbound.clone(), self.state_dir.as_deref()) {
                    Ok(mirror) => {
                        known.insert(name, Arc::new(mirror));
                    }
                    Err(error) => {
                        self.roots.record(&name, Err(error.to_string()), now);
                    }
                }
            }
        }
    }

    /// Fetches what is due.
    pub(super) async fn fetch(&self) {
        let _alone = self.fetching.lock().await;
        let now = Instant::now();
        let keys = futures::stream::iter(self.keys.due(now)).map(|name| async move {
            let fetched = self.services.public_key(&name).await;
            let fetched = fetched.map_err(|error| error.to_string());
            told("key", &name, &fetched);
            self.keys.record(&name, fetched, Instant::now());
        });
        let roots = futures::stream::iter(self.roots.due(now)).map(|name| async move {
            let fetched = self.root(&name).await;
            told("trust root", &name, &fetched);
            self.roots.record(&name, fetched, Instant::now());
        });
        let done = |(), ()| async {};
        tokio::join!(
            keys.buffer_unordered(CONCURRENT).fold((), done),
            roots.buffer_unordered(CONCURRENT).fold((), done),
        );
    }

    /// The keys of key management services that these objects name, or why one is not there.
    pub(super) fn keys(&self, objects: &Objects) -> BTreeMap<String, Fetched> {
        let now = Instant::now();
        let keys = kms_references(objects).map(|reference| {
            let key = self.keys.get(&reference, now);
            (reference, key)
        });
        keys.collect()
    }

    /// The trust roots of these objects by name, or why one cannot be used.
    pub(super) fn trust_roots(
        &self,
        objects: &Objects,
    ) -> BTreeMap<String, Result<Arc<TrustMaterial>, String>> {
        let now = Instant::now();
        let roots = objects.trust_roots.iter().filter_map(|root| {
            let name = root.metadata.name.clone()?;
            let trust = self.trust_root(root, now).map(|root| root.trust);
            Some((name, trust))
        });
        let unreadable = objects.unreadable_trust_roots.iter().filter_map(|root| {
            let name = root.metadata.name.clone()?;
            Some((name, Err(format!("it cannot be read: {}", root.error))))
        });
        roots.chain(unreadable).collect()
    }

    /// What is trusted by default, as a `trusted_root.json`; `None` where it is what this program has itself.
    pub(super) fn other_root(&self) -> Option<String> {
        let trust = self.default_trust()?;
        let own = public_good().is_ok_and(|own| own == *trust);
        trust.trusted_root_json().filter(|_| !own)
    }

    /// The keys that this policy names and that could not be fetched again, each with why, in words. They are used all the same.
    pub(super) fn stale_keys(&self, policy: &api::ClusterImagePolicy) -> Vec<String> {
        let now = Instant::now();
        let stale = kms_names(policy).filter_map(|key| {
            let why = self.keys.stale(key, now)?;
            Some(format!("key {key} could not be fetched again: {why}"))
        });
        stale.collect()
    }

    /// Why the mirror of a trust root could not be asked again, in words; what it gave before is used all the same.
    pub(super) fn stale_root(&self, root: &api::TrustRoot) -> Option<String> {
        let remote = root.spec.remote.as_ref()?;
        let why = self.roots.stale(&name_of(remote), Instant::now())?;
        Some(format!("the mirror could not be asked again: {why}"))
    }

    /// What is trusted where a policy names no TrustRoot.
    pub(super) fn default_trust(&self) -> Option<Arc<TrustMaterial>> {
        match &self.default {
            DefaultTrust::Given(trust) => Some(trust.load_full()),
            DefaultTrust::Mirrored { name, .. } => {
                Some(self.roots.get(name, Instant::now()).ok()?.trust)
            }
        }
    }

    /// How things stand.
    pub(super) fn references(&self, objects: &Objects) -> References {
        let now = Instant::now();
        let roots = objects.trust_roots.iter();
        let given = roots.filter_map(|root| self.trust_root(root, now).ok()?.expires);
        let default = match &self.default {
            DefaultTrust::Given(_) => None,
            DefaultTrust::Mirrored { name, .. } => self.roots.get(name, now).ok(),
        };
        References {
            keys: self.keys.count(now),
            roots: self.roots.count(now),
            expires: given.chain(default.and_then(|root| root.expires)).min(),
        }
    }

    /// Trusts this from now on where a policy names no TrustRoot, if that is what is given.
    pub(super) fn replace_default(&self, trust: Arc<TrustMaterial>) {
        if let DefaultTrust::Given(given) = &self.default {
            given.store(trust);
        }
    }

    /// What a resource gives now: what its mirror gave last, or what it holds itself.
    fn trust_root(&self, root: &api::TrustRoot, now: Instant) -> Result<Root, String> {
        let spec = &root.spec;
        if let (None, None, Some(remote)) = (&spec.sigstore_keys, &spec.repository, &spec.remote) {
            return match apply::refusal(&apply::check_trust_root(root)) {
                Some(refusal) => Err(refusal),
                None => self.roots.get(&name_of(remote), now),
            };
        }
        let written = serde_json::to_vec(spec).map_err(|error| error.to_string())?;
        let digest: [u8; 32] = Sha256::digest(&written).into();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.retain(|_, read| now.saturating_duration_since(read.at) < READ_AGAIN);
        if let Some(known) = read.get(&digest) {
            return known.root.clone();
        }
        let found = held(root);
        if read.len() < REFERENCES {
            let root = found.clone();
            read.insert(digest, Read { root, at: now });
        }
        found
    }

    /// Refreshes the trust root of a mirror; at the first time, after what was kept of it from before.
    async fn root(&self, name: &str) -> Result<Root, String> {
        let mirror = {
            let mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
            mirrors.get(name).cloned()
        };
        let mirror = mirror.ok_or_else(|| "its address cannot be used".to_owned())?;
        let now = Timestamp::now();
        if !mirror.is_restored() {
            self.restore(name, &mirror, now).await;
        }
        let refreshed = timeout(REFRESH, mirror.refresh(now)).await;
        let found = refreshed
            .map_err(|_| format!("the mirror took more than {} s", REFRESH.as_secs()))?
            .map_err(|error| error.to_string())?;
        material(&found.json, Some(found.expires))
    }

    /// What is good from before: what an earlier run kept; where there was none, the trusted root in this program, if it is an older
    /// state of the same. Never that one instead of something kept that cannot be used: it may be older.
    async fn restore(&self, name: &str, mirror: &Mirror, now: Timestamp) {
        let restored = match mirror.restore(now).await {
            Ok(Some((found, refreshed))) => {
                let age = now.duration_since(refreshed).unsigned_abs();
                material(&found.json, Some(found.expires)).map(|root| Some((root, age)))
            }
            Ok(None) if self.default.is_public(name) => {
                let embedded = public_good().map_err(|error| error.to_string());
                embedded.map(|trust| {
                    let trust = Arc::new(trust);
                    Some((
                        Root {
                            trust,
                            expires: None,
                        },
                        Duration::ZERO,
                    ))
                })
            }
            Ok(None) => Ok(None),
            Err(error) => Err(error.to_string()),
        };
        match restored {
            Ok(Some((root, age))) => self.roots.restore(name, root, age, Instant::now()),
            Ok(None) => {}
            Err(error) => tracing::warn!(name, error, "a trust root that was kept cannot be used"),
        }
    }
}

// === impl DefaultTrust ===

impl DefaultTrust {
    fn remote(&self) -> Option<&api::RemoteRoot> {
        match self {
            Self::Given(_) => None,
            Self::Mirrored { remote, .. } => Some(remote),
        }
    }

    fn is_public(&self, root: &str) -> bool {
        matches!(self, Self::Mirrored { name, is_public: true, .. } if name == root)
    }
}

/// The default trust that the arguments ask for.
fn default_trust(args: &TrustArgs) -> anyhow::Result<(DefaultTrust, Option<TrustedRootFile>)> {
    if let Some(path) = &args.trusted_root {
        let (file, trust) = TrustedRootFile::open(path.clone()).context("--trusted-root")?;
        return Ok((DefaultTrust::Given(ArcSwap::new(trust)), Some(file)));
    }
    let Some(mirror) = &args.tuf_mirror else {
        let trust = public_good().context("the trusted root in the program cannot be read")?;
        return Ok((DefaultTrust::Given(ArcSwap::from_pointee(trust)), None));
    };
    let root = match &args.tuf_root {
        None => SigstoreInstance::PublicGood.tuf_root().to_vec(),
        Some(path) => std::fs::read(path)
            .with_context(|| format!("--tuf-root {} cannot be read", path.display()))?,
    };
    let remote = api::RemoteRoot {
        root: api::Base64Bytes(root),
        mirror: mirror.clone(),
        ..api::RemoteRoot::default()
    };
    let name = name_of(&remote);
    let is_public = args.tuf_root.is_none();
    Ok((
        DefaultTrust::Mirrored {
            name,
            remote,
            is_public,
        },
        None,
    ))
}

/// The trusted root of the public Sigstore, as it was when this program was built.
fn public_good() -> Result<TrustMaterial, crate::trust::InvalidTrustRoot> {
    let json = SigstoreInstance::PublicGood.embedded_trusted_root_json();
    TrustMaterial::from_trusted_root_json(json.as_bytes())
}

fn material(json: &[u8], expires: Option<Timestamp>) -> Result<Root, String> {
    let trust = TrustMaterial::from_trusted_root_json(json).map_err(|error| error.to_string())?;
    Ok(Root {
        trust: Arc::new(trust),
        expires,
    })
}

/// What a resource holds itself.
fn held(root: &api::TrustRoot) -> Result<Root, String> {
    if let Some(refusal) = apply::refusal(&apply::check_trust_root(root)) {
        return Err(refusal);
    }
    match (&root.spec.sigstore_keys, &root.spec.repository) {
        (Some(keys), _) => {
            let json = sigstore_keys::trusted_root(keys).map_err(|problems| {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                lines.join("\n")
            })?;
            material(&json, None)
        }
        (None, Some(repository)) => {
            let found = archive::from_archive(repository, Timestamp::now());
            let TufRoot { json, expires } = found.map_err(|error| error.to_string())?;
            material(&json, Some(expires))
        }
        (None, None) => Err("it holds no trust".to_owned()),
    }
}

/// The name of what a mirror gives: whatever changes in the resource makes it another one.
fn name_of(remote: &api::RemoteRoot) -> String {
    let mut hash = Sha256::new();
    for part in [
        remote.mirror.as_bytes(),
        remote.targets.as_bytes(),
        remote.trusted_root_target.as_bytes(),
        &remote.root.0,
    ] {
        hash.update(part.len().to_string());
        hash.update(b":");
        hash.update(part);
    }
    // The whole digest: who may write one TrustRoot shall not find another that goes by its name.
    let digest = hex::encode(hash.finalize());
    let mirror: String = remote.mirror.chars().take(200).collect();
    format!("the trust root of {mirror} ({digest})")
}

/// Every key of a key management service that a policy names.
fn kms_references(objects: &Objects) -> impl Iterator<Item = String> {
    let policies = objects.policies.iter();
    policies
        .flat_map(|policy| kms_names(policy))
        .map(str::to_owned)
}

fn kms_names(policy: &api::ClusterImagePolicy) -> impl Iterator<Item = &str> {
    let authorities = policy.spec.authorities.iter();
    let keys = authorities.flat_map(|authority| {
        let keyless = authority.keyless.as_ref();
        let own_authority = keyless.and_then(|keyless| keyless.ca_cert.as_ref());
        authority.key.iter().chain(own_authority)
    });
    keys.map(|key| key.kms.as_str())
        .filter(|kms| !kms.is_empty())
}

fn remotes(objects: &Objects) -> impl Iterator<Item = &api::RemoteRoot> {
    let roots = objects.trust_roots.iter();
    roots.filter_map(|root| root.spec.remote.as_ref())
}

fn told<V>(what: &str, name: &str, fetched: &Result<V, String>) {
    match fetched {
        Ok(_) => tracing::debug!(what, name, "fetched"),
        Err(error) => tracing::warn!(
            what,
            name,
            error,
            "could not be fetched; what was good last is used until it is too old"
        ),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde_json::json;

    use super::*;

    fn objects(organization: &str) -> Objects {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let chain = params.self_signed(&key).unwrap().pem();
        let root = api::decode_trust_root(json!({
            "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": "ours"},
            "spec": {"sigstoreKeys": {"certificateAuthorities": [{
                "subject": {"organization": organization, "commonName": "ca"},
                "uri": "https://fulcio.example.com",
                "certChain": BASE64_STANDARD.encode(chain),
            }]}},
        }));
        Objects {
            trust_roots: vec![Arc::new(root.unwrap())],
            ..Objects::default()
        }
    }

    #[tokio::test]
    async fn what_a_resource_holds_is_read_once_until_it_changes() {
        let (sources, _) = Sources::new(&TrustArgs::default(), None).unwrap();
        let ours = |objects: &Objects| {
            let mut roots = sources.trust_roots(objects);
            roots.remove("ours").unwrap().unwrap()
        };
        let (before, after) = (objects("before"), objects("after"));
        let first = ours(&before);
        assert!(Arc::ptr_eq(&first, &ours(&before)));
        let changed = ours(&after);
        assert!(!Arc::ptr_eq(&first, &changed));
        assert_ne!(first.epoch(), changed.epoch());
    }
}
