//! The engine: a judge with registries and credentials behind it, and the policies in force.

use std::fmt;
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use k8s_openapi::api::core::v1::Secret;

use crate::adapters::credentials::FileCredentials;
use crate::adapters::files::{Documents, Origin};
use crate::adapters::oci::{DockerConfig, OciRegistry, OciSettings, RequestObserver};
use crate::adapters::recording::{Recorder, Replay};
use crate::config::JudgeArgs;
use crate::decide::{Judge, Snapshot};
use crate::gather::{Credentials, Gatherer, Registry};
use crate::limits::Limits;
use crate::policy::{CompiledPolicy, PolicySet, Referents, compile};
use crate::trust::TrustMaterial;
use crate::verdict::NoMatchPolicy;

/// Judges by the policies that are in force.
pub struct Engine {
    judge: Judge,
    credentials: Arc<FileCredentials>,
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

/// The name, and below it each problem.
impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy {} cannot be used:", self.name)?;
        for problem in &self.problems {
            write!(f, "\n  {}", problem.replace('\n', "\n    "))?;
        }
        Ok(())
    }
}

impl Engine {
    /// An engine without policies: everything is denied, or answered as `--no-match-policy` says.
    pub fn new(
        args: &JudgeArgs,
        limits: &Limits,
        observer: Arc<dyn RequestObserver>,
    ) -> anyhow::Result<Self> {
        let registry = registries(args, limits, observer)?;
        let gatherer = Gatherer::new(Arc::new(registry), limits);
        Self::over(
            gatherer,
            credentials(args)?,
            args.no_match_policy.into(),
            limits,
        )
    }

    /// The same, and what keeps every answer of a registry. Where it looks first depends on nothing that came before.
    pub fn recording(args: &JudgeArgs, limits: &Limits) -> anyhow::Result<(Self, Arc<Recorder>)> {
        let registry = registries(args, limits, Arc::new(()))?;
        let recorder = Arc::new(Recorder::new(Arc::new(registry)));
        let asked: Arc<dyn Registry> = Arc::<Recorder>::clone(&recorder);
        let gatherer = Gatherer::new(asked, limits).in_fixed_order();
        let no_match = args.no_match_policy.into();
        let engine = Self::over(gatherer, credentials(args)?, no_match, limits)?;
        Ok((engine, recorder))
    }

    /// An engine without policies that asks nobody: what was recorded is all there is.
    pub fn replaying(
        replay: Arc<Replay>,
        no_match: NoMatchPolicy,
        limits: &Limits,
    ) -> anyhow::Result<Self> {
        let gatherer = Gatherer::new(replay, limits).in_fixed_order();
        let nobody = FileCredentials::new(DockerConfig::default(), String::new());
        Self::over(gatherer, nobody, no_match, limits)
    }

    fn over(
        gatherer: Gatherer,
        credentials: FileCredentials,
        no_match: NoMatchPolicy,
        limits: &Limits,
    ) -> anyhow::Result<Self> {
        let credentials = Arc::new(credentials);
        let shared: Arc<dyn Credentials> = Arc::<FileCredentials>::clone(&credentials);
        let judge = Judge::new(gatherer, shared, limits);
        let nothing =
            PolicySet::new(Vec::new()).context("cannot build an empty set of policies")?;
        Ok(Self {
            judge,
            credentials,
            snapshot: ArcSwap::from_pointee(snapshot(nothing, no_match)),
            no_match,
        })
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
        let compiled: Vec<CompiledPolicy> = documents
            .policies
            .iter()
            .map(|policy| compile(&policy.value, &Referents::default()))
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

/// The client of registries, over the network.
fn registries(
    args: &JudgeArgs,
    limits: &Limits,
    observer: Arc<dyn RequestObserver>,
) -> anyhow::Result<OciRegistry> {
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
    OciRegistry::new(&settings).context("cannot set up the registry client")
}

/// The credentials of whoever runs us.
fn credentials(args: &JudgeArgs) -> anyhow::Result<FileCredentials> {
    let docker = DockerConfig::load(None).context("cannot read registry credentials")?;
    Ok(FileCredentials::new(docker, args.namespace.clone()))
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
