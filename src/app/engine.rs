//! The engine: a judge with registries and credentials behind it, and the policies in force.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::sources::{References, Sources};
use crate::adapters::credentials::FileCredentials;
use crate::adapters::files::{Documents, Origin};
use crate::adapters::oci::{DockerConfig, OciRegistry, OciSettings, RequestObserver, WebClient};
use crate::adapters::remote_policies::{RemoteCounts, RemotePolicies};
use crate::adapters::trust::{FileError, TrustedRootFile};
use crate::config::JudgeArgs;
use crate::decide::{Judge, Snapshot};
use crate::gather::{Credentials, Gatherer};
use crate::limits::Limits;
use crate::policy::{CompiledPolicy, PolicySet, Referents, RemotePolicy, compile, remote_policies};
use crate::trust::TrustMaterial;
use crate::verdict::NoMatchPolicy;

/// Judges by the policies that are in force.
pub struct Engine {
    judge: Judge,
    credentials: Arc<FileCredentials>,
    snapshot: ArcSwap<Snapshot>,
    no_match: NoMatchPolicy,
    namespace: String,
    remote: RemotePolicies,
    sources: Sources,
    /// The file of the default trust, until it is watched.
    trusted_root: Mutex<Option<TrustedRootFile>>,
    /// What is in force, as it was read; held while it is compiled, so that two changes do not overtake each other.
    in_force: Mutex<InForce>,
    /// Told when there may be something to fetch.
    wanted: Notify,
}

/// What was compiled, and what it was compiled against.
#[derive(Default)]
struct InForce {
    documents: Arc<Documents>,
    referents: Arc<Referents>,
}

/// A policy that does not compile, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its name.
    pub name: String,
    /// What is wrong with it, one line or more each.
    pub problems: Vec<String>,
}

impl Engine {
    /// An engine without policies: everything is denied, or answered as `--no-match-policy` says.
    pub fn new(
        args: &JudgeArgs,
        limits: &Limits,
        observer: Arc<dyn RequestObserver>,
    ) -> anyhow::Result<Self> {
        let extra_ca = args.registry_ca.as_ref().map(|file| {
            std::fs::read(file).with_context(|| {
                format!(
                    "cannot read the certificates of --registry-ca {}",
                    file.display()
                )
            })
        });
        let settings = OciSettings {
            limits: limits.registry.clone(),
            insecure: args.insecure_hosts().context("--insecure-registry")?,
            extra_ca: extra_ca.transpose()?,
            observer,
            ..OciSettings::default()
        };
        let web =
            WebClient::new(&settings).context("cannot set up the client for remote policies")?;
        let registry = OciRegistry::new(&settings).context("cannot set up the registry client")?;
        let docker = DockerConfig::load(None).context("cannot read registry credentials")?;
        let credentials = Arc::new(FileCredentials::new(docker, args.namespace.clone()));
        let shared: Arc<dyn Credentials> = Arc::<FileCredentials>::clone(&credentials);
        let judge = Judge::new(Gatherer::new(Arc::new(registry), limits), shared, limits);
        let no_match = args.no_match_policy.into();
        let (sources, trusted_root) = Sources::new(&args.trust, settings.extra_ca.as_deref())?;
        let nothing =
            PolicySet::new(Vec::new()).context("cannot build an empty set of policies")?;
        Ok(Self {
            judge,
            credentials,
            snapshot: ArcSwap::from_pointee(snapshot(nothing, no_match)),
            no_match,
            namespace: args.namespace.clone(),
            remote: RemotePolicies::new(web),
            sources,
            trusted_root: Mutex::new(trusted_root),
            in_force: Mutex::default(),
            wanted: Notify::new(),
        })
    }

    /// The same, which uses what it fetched for a policy this long after the last time that it could be fetched.
    #[must_use]
    pub fn keeping(mut self, max_stale: Duration) -> Self {
        self.remote.keep_for(max_stale);
        self.sources.keep_for(max_stale);
        self
    }

    /// The judge.
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// What is in force now. Taken once per request.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// What the policies in force were compiled against.
    pub fn referents(&self) -> Arc<Referents> {
        Arc::clone(&self.lock().referents)
    }

    /// The namespace whose ConfigMaps and Secrets policies refer to.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// How many texts behind URLs are in which state.
    pub fn remote_counts(&self) -> RemoteCounts {
        self.remote.counts()
    }

    /// How things stand with keys and trust roots that are fetched.
    pub fn references(&self) -> References {
        let documents = Arc::clone(&self.lock().documents);
        self.sources.references(&documents)
    }

    /// Fetches what these documents refer to and what is not there yet, so that they can be put in force whole. Ends in time, whether or
    /// not everything could be fetched; what is in force is not touched.
    pub async fn prepare(&self, documents: &Documents) {
        let in_force = Arc::clone(&self.lock().documents);
        let both = [&*in_force, documents];
        self.sources.want(&both);
        let texts = remote_texts(&both);
        tokio::join!(self.sources.prepare(), self.remote.refresh(&texts));
    }

    /// Compiles what was read and puts it in force, broken policies included: they deny what they match.
    ///
    /// # Errors
    /// The policies together are too large for one automaton; what was in force stays.
    pub fn replace(&self, documents: Documents) -> anyhow::Result<Vec<Broken>> {
        let mut in_force = self.lock();
        let broken = self.compile(&mut in_force, Arc::new(documents));
        // Of what is in force then, which may be what was before.
        self.sources.want(&[&in_force.documents]);
        self.wanted.notify_one();
        broken
    }

    /// Fetches what is due of what policies refer to, and compiles them again where that changed something; `None` where it did not.
    ///
    /// # Errors
    /// As [`Engine::replace`].
    pub async fn refresh(&self) -> anyhow::Result<Option<Vec<Broken>>> {
        let documents = Arc::clone(&self.lock().documents);
        let texts = remote_texts(&[&documents]);
        tokio::join!(self.sources.fetch(), self.remote.refresh(&texts));
        let mut in_force = self.lock();
        if self.known(&in_force.documents) == *in_force.referents {
            return Ok(None);
        }
        let documents = Arc::clone(&in_force.documents);
        self.compile(&mut in_force, documents).map(Some)
    }

    /// Until there may be something to fetch that was not asked for before.
    pub async fn wants_something(&self) {
        self.wanted.notified().await;
    }

    fn compile(
        &self,
        in_force: &mut InForce,
        documents: Arc<Documents>,
    ) -> anyhow::Result<Vec<Broken>> {
        let referents = self.known(&documents);
        let policies = documents.policies.iter();
        let compiled: Vec<CompiledPolicy> = policies
            .map(|policy| compile(&policy.value, &referents))
            .collect();
        let broken = compiled.iter().filter_map(broken).collect();
        let set = PolicySet::new(compiled).context("too many globs in all policies together")?;
        let secrets = documents.secrets.iter();
        // Credentials are not part of what is judged with: a request that is under way may see the new ones.
        self.credentials
            .replace(secrets.map(|secret| secret.value.clone()).collect());
        self.snapshot.store(Arc::new(snapshot(set, self.no_match)));
        *in_force = InForce {
            documents,
            referents: Arc::new(referents),
        };
        Ok(broken)
    }

    /// What there is to refer to, now.
    fn known(&self, documents: &Documents) -> Referents {
        Referents {
            remote_policies: self.remote.known(),
            kms_keys: self.sources.keys(documents),
            trust_roots: self.sources.trust_roots(documents),
            default_trust: self.sources.default_trust(),
            ..referents(documents, &self.namespace)
        }
    }

    /// Keeps the default trust as its file has it, if it comes from one, until `stop`.
    pub async fn watch_trusted_root(&self, interval: Duration, stop: CancellationToken) {
        let file = {
            let mut file = self.trusted_root.lock();
            file.as_mut()
                .unwrap_or_else(|poisoned| poisoned.get_mut())
                .take()
        };
        let Some(file) = file else {
            return stop.cancelled().await;
        };
        let on_change = |trust: Result<_, FileError>| match trust {
            Ok(trust) => {
                tracing::info!("the trusted root was read again");
                self.sources.replace_default(trust);
                self.wanted.notify_one();
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the last good trusted root stays in force");
            }
        };
        file.watch(interval, stop, on_change).await;
    }

    fn lock(&self) -> MutexGuard<'_, InForce> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What documents hold for policies to refer to: nothing that would have to be fetched.
pub fn referents(documents: &Documents, namespace: &str) -> Referents {
    let maps = documents.config_maps.iter().map(|map| &map.value);
    let ours = maps.filter(|map| is_in(&map.metadata, namespace));
    let config_maps = ours.map(|map| {
        let name = map.metadata.name.clone().unwrap_or_default();
        (name, map.data.clone().unwrap_or_default())
    });
    let secrets = documents.secrets.iter().map(|secret| &secret.value);
    let ours = secrets.filter(|secret| is_in(&secret.metadata, namespace));
    let secrets = ours.map(|secret| {
        let name = secret.metadata.name.clone().unwrap_or_default();
        let data = secret.data.clone().unwrap_or_default().into_iter();
        (name, data.map(|(key, bytes)| (key, bytes.0)).collect())
    });
    Referents {
        namespace: namespace.to_owned(),
        config_maps: config_maps.collect(),
        secrets: secrets.collect(),
        ..Referents::default()
    }
}

/// The texts behind URLs that these documents refer to.
fn remote_texts(documents: &[&Documents]) -> BTreeSet<RemotePolicy> {
    let policies = documents.iter().flat_map(|documents| &documents.policies);
    policies
        .flat_map(|policy| remote_policies(&policy.value))
        .collect()
}

/// Whether something is in this namespace, which is that of whatever names none.
fn is_in(metadata: &ObjectMeta, namespace: &str) -> bool {
    let own = metadata.namespace.as_deref().unwrap_or_default();
    own.is_empty() || own == namespace
}

fn snapshot(policies: PolicySet, no_match: NoMatchPolicy) -> Snapshot {
    Snapshot {
        policies: Arc::new(policies),
        trust: Arc::new(TrustMaterial::keys_only()),
        no_match,
    }
}

fn broken(policy: &CompiledPolicy) -> Option<Broken> {
    let problems = policy.body.as_ref().err()?;
    Some(Broken {
        name: policy.name.to_string(),
        problems: problems.iter().map(ToString::to_string).collect(),
    })
}

/// Documents that were read and mean nothing to this version, each in words: nobody shall believe that they are in force.
pub fn unused(documents: &Documents, namespace: &str) -> Vec<String> {
    let line = |kind: &str, name: Option<&String>, origin: &Origin| {
        let name = name.map_or("", String::as_str);
        format!(
            "{}: {kind} {name} is not used by this version",
            origin.file.display()
        )
    };
    let foreign = documents
        .config_maps
        .iter()
        .filter(|d| !is_in(&d.value.metadata, namespace));
    let maps = foreign.map(|d| {
        let name = d.value.metadata.name.as_deref().unwrap_or_default();
        format!(
            "{}: ConfigMap {name} is not used: policies refer to those of namespace {namespace}",
            d.origin.file.display()
        )
    });
    let namespaces = documents
        .namespaces
        .iter()
        .map(|d| line("Namespace", d.value.metadata.name.as_ref(), &d.origin));
    maps.chain(namespaces).collect()
}
