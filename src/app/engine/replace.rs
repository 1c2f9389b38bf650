//! How policies are put in force: compiled against what there is to refer to, and as one snapshot.

use std::fmt;
use std::sync::{Arc, MutexGuard, PoisonError};

use anyhow::Context as _;
use k8s_openapi::api::core::v1::ConfigMap;

use super::Engine;
use crate::adapters::enforced::Objects;
use crate::api::CONTROLS_CONFIG_MAP;
use crate::app::compiler::Compiler;
use crate::app::controls::ControlSource;
use crate::app::in_force::InForce;
use crate::app::referents::{is_in, referents};
use crate::policy::{CompiledPolicy, Referents};

/// What is known from the last compilation.
pub(super) struct Compiling {
    compiler: Compiler,
    controls: ControlSource,
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

// === impl Compiling ===

impl Compiling {
    /// Nothing has been compiled yet.
    pub(super) fn new(controls: ControlSource) -> Self {
        Self {
            compiler: Compiler::default(),
            controls,
        }
    }
}

// === impl Engine ===

impl Engine {
    /// Compiles what was read and puts it in force, broken policies included: they deny what they match.
    ///
    /// # Errors
    /// The policies together are too large for one automaton; what was in force stays.
    pub fn replace(&self, objects: Objects) -> anyhow::Result<Vec<Broken>> {
        let mut compiling = self.lock();
        let broken = self.compile(&mut compiling, Arc::new(objects));
        // Of what is in force then, which may be what was before.
        self.sources.want(&[&self.in_force().objects]);
        self.wanted.notify_one();
        broken
    }

    /// Fetches what is due of what policies refer to, and compiles them again where that changed something; `None` where it did not.
    ///
    /// # Errors
    /// As [`Engine::replace`].
    pub async fn refresh(&self) -> anyhow::Result<Option<Vec<Broken>>> {
        self.fetch().await;
        self.compile_again()
    }

    /// Compiles what is in force again, where what it refers to has changed; `None` where it has not. May take long: not for a thread
    /// that others wait for.
    ///
    /// # Errors
    /// As [`Engine::replace`].
    pub fn compile_again(&self) -> anyhow::Result<Option<Vec<Broken>>> {
        let mut compiling = self.lock();
        let in_force = self.in_force();
        // Before anything is in force there is nothing to compile, and nothing that it would be right to put in force.
        if in_force.policies.is_none() || self.known(&in_force.objects) == *in_force.referents {
            return Ok(None);
        }
        let objects = Arc::clone(&in_force.objects);
        self.compile(&mut compiling, objects).map(Some)
    }

    fn compile(
        &self,
        compiling: &mut Compiling,
        objects: Arc<Objects>,
    ) -> anyhow::Result<Vec<Broken>> {
        let referents = self.known(&objects);
        let set = compiling.compiler.compile(&objects, &referents);
        let set = set.context("too many globs in all policies together")?;
        let broken = set.policies().iter().filter_map(|policy| broken(policy));
        let broken = broken.collect();
        let control = |map: &&Arc<ConfigMap>| {
            map.metadata.name.as_deref() == Some(CONTROLS_CONFIG_MAP)
                && is_in(&map.metadata, &self.settings.namespace)
        };
        let map = objects.config_maps.iter().find(control);
        let controls = compiling.controls.take(map.map(|map| &**map));
        // Credentials are not part of what is judged with: a request that is under way may see the new ones.
        self.pull_secrets.replace(&objects.secrets);
        let trust = referents.default_trust.clone();
        let snapshot = self.settings.snapshot(Arc::clone(&set), trust, controls);
        self.snapshot.store(Arc::new(snapshot));
        self.in_force.send_replace(Arc::new(InForce {
            objects,
            referents: Arc::new(referents),
            policies: Some(set),
            controls,
            controls_state: compiling.controls.state(),
        }));
        Ok(broken)
    }

    /// What there is to refer to, now.
    fn known(&self, objects: &Objects) -> Referents {
        Referents {
            remote_policies: self
                .network
                .as_ref()
                .map(|network| network.remote.known())
                .unwrap_or_default(),
            kms_keys: self.sources.keys(objects),
            trust_roots: self.sources.trust_roots(objects),
            default_trust: self.sources.default_trust(),
            pull_secrets: self.pull_secrets.of_sources(),
            ..referents(objects, &self.settings.namespace)
        }
    }

    fn lock(&self) -> MutexGuard<'_, Compiling> {
        self.compiling
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn broken(policy: &CompiledPolicy) -> Option<Broken> {
    let problems = policy.body.as_ref().err()?;
    Some(Broken {
        name: policy.name.to_string(),
        problems: problems.iter().map(ToString::to_string).collect(),
    })
}
