//! The engine: a judge with registries and credentials behind it, and the policies in force.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::Notify;

use super::roots;
use crate::adapters::credentials::FileCredentials;
use crate::adapters::files::{Documents, Origin};
use crate::adapters::oci::{DockerConfig, OciRegistry, OciSettings, RequestObserver, WebClient};
use crate::adapters::remote_policies::{RemoteCounts, RemotePolicies};
use crate::config::JudgeArgs;
use crate::decide::{Judge, Snapshot};
use crate::gather::{Credentials, Gatherer};
use crate::limits::Limits;
use crate::policy::{CompiledPolicy, PolicySet, Referents, compile, remote_policies};
use crate::trust::TrustMaterial;
use crate::verdict::NoMatchPolicy;

/// Judges by the policies that are in force.
pub struct Engine {
    judge: Judge,
    credentials: Arc<FileCredentials>,
    snapshot: ArcSwap<Snapshot>,
    no_match: NoMatchPolicy,
    trust: Arc<TrustMaterial>,
    namespace: String,
    remote: RemotePolicies,
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
        let trust = roots::trusted(args.trusted_root.as_deref(), false)?
            .map(Arc::new)
            .context("--trusted-root")?;
        let nothing =
            PolicySet::new(Vec::new()).context("cannot build an empty set of policies")?;
        Ok(Self {
            judge,
            credentials,
            snapshot: ArcSwap::from_pointee(snapshot(nothing, no_match, &trust)),
            no_match,
            namespace: args.namespace.clone(),
            remote: RemotePolicies::new(web),
            in_force: Mutex::default(),
            wanted: Notify::new(),
            trust,
        })
    }

    /// The same, which uses what it fetched for a policy this long after the last time that it could be fetched.
    #[must_use]
    pub fn keeping(mut self, max_stale: Duration) -> Self {
        self.remote.keep_for(max_stale);
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

    /// Compiles what was read and puts it in force, broken policies included: they deny what they match.
    ///
    /// # Errors
    /// The policies together are too large for one automaton; what was in force stays.
    pub fn replace(&self, documents: Documents) -> anyhow::Result<Vec<Broken>> {
        let broken = self.compile(&mut self.lock(), Arc::new(documents));
        self.wanted.notify_one();
        broken
    }

    /// Fetches what is due of what policies refer to, and compiles them again where that changed something; `None` where it did not.
    ///
    /// # Errors
    /// As [`Engine::replace`].
    pub async fn refresh(&self) -> anyhow::Result<Option<Vec<Broken>>> {
        let documents = Arc::clone(&self.lock().documents);
        let policies = documents.policies.iter();
        let wanted = policies.flat_map(|policy| remote_policies(&policy.value));
        self.remote.refresh(&wanted.collect()).await;
        let mut in_force = self.lock();
        if self.remote.known() == in_force.referents.remote_policies {
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
        let referents = Referents {
            remote_policies: self.remote.known(),
            default_trust: Some(Arc::clone(&self.trust)),
            ..referents(&documents, &self.namespace)
        };
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
        self.snapshot
            .store(Arc::new(snapshot(set, self.no_match, &self.trust)));
        *in_force = InForce {
            documents,
            referents: Arc::new(referents),
        };
        Ok(broken)
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
    Referents {
        config_maps: config_maps.collect(),
        ..Referents::default()
    }
}

/// Whether something is in this namespace, which is that of whatever names none.
fn is_in(metadata: &ObjectMeta, namespace: &str) -> bool {
    let own = metadata.namespace.as_deref().unwrap_or_default();
    own.is_empty() || own == namespace
}

fn snapshot(policies: PolicySet, no_match: NoMatchPolicy, trust: &Arc<TrustMaterial>) -> Snapshot {
    Snapshot {
        policies: Arc::new(policies),
        trust: Arc::clone(trust),
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
    let roots = documents
        .trust_roots
        .iter()
        .map(|d| line("TrustRoot", d.value.metadata.name.as_ref(), &d.origin));
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
    roots.chain(maps).chain(namespaces).collect()
}
