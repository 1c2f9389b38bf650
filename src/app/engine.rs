//! The engine: a judge with registries and credentials behind it, and the policies in force.

use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use k8s_openapi::api::core::v1::Secret;

use crate::adapters::credentials::FileCredentials;
use crate::adapters::files::{Documents, Origin};
use crate::adapters::oci::{
    DockerConfig, Fingerprint, LoadedRegistries, OciRegistry, OciSettings, RegistryHosts,
    RequestObserver, load_registries,
};
use crate::config::JudgeArgs;
use crate::decide::{Judge, Snapshot};
use crate::gather::{Credentials, Gatherer};
use crate::limits::Limits;
use crate::policy::{CompiledPolicy, PolicySet, Referents, compile};
use crate::trust::TrustMaterial;
use crate::verdict::NoMatchPolicy;

/// Judges by the policies that are in force.
pub struct Engine {
    judge: Judge,
    registry: OciRegistry,
    /// Of what the settings of registries were read first.
    registries: Option<Fingerprint>,
    credentials: Arc<FileCredentials>,
    /// The namespace of Secrets that policies refer to.
    namespace: String,
    snapshot: ArcSwap<Snapshot>,
    no_match: NoMatchPolicy,
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
        let loaded = args
            .registries
            .as_deref()
            .map(load_registries)
            .transpose()?;
        let (hosts, registries) = match loaded {
            Some(LoadedRegistries { hosts, fingerprint }) => (hosts, Some(fingerprint)),
            None => (RegistryHosts::default(), None),
        };
        let settings = OciSettings {
            hosts,
            limits: limits.registry.clone(),
            insecure: args.insecure_hosts().context("--insecure-registry")?,
            extra_ca: extra_ca.transpose()?,
            observer,
            ..OciSettings::default()
        };
        let registry = OciRegistry::new(&settings).context("cannot set up the registry client")?;
        let docker = DockerConfig::load(None).context("cannot read registry credentials")?;
        let credentials = Arc::new(FileCredentials::new(docker, args.namespace.clone()));
        let shared: Arc<dyn Credentials> = Arc::<FileCredentials>::clone(&credentials);
        let judge = Judge::new(
            Gatherer::new(Arc::new(registry.clone()), limits),
            shared,
            limits,
        );
        let no_match = args.no_match_policy.into();
        let nothing =
            PolicySet::new(Vec::new()).context("cannot build an empty set of policies")?;
        Ok(Self {
            judge,
            registry,
            registries,
            credentials,
            namespace: args.namespace.clone(),
            snapshot: ArcSwap::from_pointee(snapshot(nothing, no_match)),
            no_match,
        })
    }

    /// Of what the settings of registries were read when the engine was made; `None` where there are none.
    pub fn registries(&self) -> Option<Fingerprint> {
        self.registries
    }

    /// Asks registries as these settings say from now on.
    ///
    /// # Errors
    /// No client can be made of them; what was in force stays.
    pub fn replace_registries(&self, hosts: RegistryHosts) -> anyhow::Result<()> {
        self.registry
            .replace_hosts(hosts)
            .context("cannot set up the registry client")
    }

    /// The judge.
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// What is in force now. Taken once per request.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Compiles what was read and puts it in force, broken policies included: they deny what they match.
    ///
    /// # Errors
    /// The policies together are too large for one automaton; what was in force stays.
    pub fn replace(&self, documents: &Documents) -> anyhow::Result<Vec<Broken>> {
        let referents = referents(documents, &self.namespace);
        let compiled: Vec<CompiledPolicy> = documents
            .policies
            .iter()
            .map(|policy| compile(&policy.value, &referents))
            .collect();
        let broken = compiled.iter().filter_map(broken).collect();
        let set = PolicySet::new(compiled).context("too many globs in all policies together")?;
        let secrets: Vec<Secret> = documents
            .secrets
            .iter()
            .map(|secret| secret.value.clone())
            .collect();
        // Credentials are not part of what is judged with: a request that is under way may see the new ones.
        self.credentials.replace(secrets);
        self.snapshot.store(Arc::new(snapshot(set, self.no_match)));
        Ok(broken)
    }
}

/// What policies may refer to: the Secrets of our own namespace, which is also that of Secrets which name none.
fn referents(documents: &Documents, namespace: &str) -> Referents {
    let is_ours = |secret: &&Secret| {
        let named = secret.metadata.namespace.as_deref();
        named.unwrap_or(namespace) == namespace
    };
    let secrets = documents.secrets.iter().map(|secret| &secret.value);
    let secrets = secrets.filter(is_ours).filter_map(|secret| {
        let data = secret.data.iter().flatten();
        let data = data.map(|(key, bytes)| (key.clone(), bytes.0.clone()));
        Some((secret.metadata.name.clone()?, data.collect()))
    });
    Referents {
        secrets: secrets.collect(),
        ..Referents::default()
    }
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
pub fn unused(documents: &Documents) -> Vec<String> {
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
    let maps = documents
        .config_maps
        .iter()
        .map(|d| line("ConfigMap", d.value.metadata.name.as_ref(), &d.origin));
    let namespaces = documents
        .namespaces
        .iter()
        .map(|d| line("Namespace", d.value.metadata.name.as_ref(), &d.origin));
    roots.chain(maps).chain(namespaces).collect()
}
