//! Policies as they are compiled, kept for as long as compiling them again would give the same.
//!
//! A cluster may hold thousands, and one edit shall not cost the compilation of all. A policy is compiled against what it names and
//! nothing else ([`Referents::named_by`]); so it is compiled again when it or something that it names has changed, and only then.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::adapters::enforced::Objects;
use crate::api::{ClusterImagePolicy, DecodeError, Path, UnreadablePolicy};
use crate::image::GlobSetTooLarge;
use crate::policy::{CompiledPolicy, PolicySet, Referents, compile, unreadable};

/// What was compiled last.
#[derive(Default)]
pub(super) struct Compiler {
    kept: BTreeMap<String, Kept>,
    set: Option<Arc<PolicySet>>,
}

struct Kept {
    written: Written,
    compiled: Arc<CompiledPolicy>,
}

enum Written {
    Policy(Arc<ClusterImagePolicy>, Referents),
    Unreadable(Arc<UnreadablePolicy>),
}

// === impl Compiler ===

impl Compiler {
    /// The policies of these objects, compiled.
    pub(super) fn compile(
        &mut self,
        objects: &Objects,
        referents: &Referents,
    ) -> Result<Arc<PolicySet>, GlobSetTooLarge> {
        let mut before = std::mem::take(&mut self.kept);
        let policies = objects.policies.iter().map(|policy| {
            let name = policy.metadata.name.clone().unwrap_or_default();
            let known = before.remove(&name);
            (name, compiled(policy, referents, known))
        });
        let mut kept: BTreeMap<String, Kept> = policies.collect();
        kept.extend(objects.unreadable_policies.iter().map(|policy| {
            let name = policy.metadata.name.clone().unwrap_or_default();
            let known = before.remove(&name);
            (name, compiled_unreadable(policy, known))
        }));
        self.kept = kept;
        let all: Vec<Arc<CompiledPolicy>> = self
            .kept
            .values()
            .map(|kept| Arc::clone(&kept.compiled))
            .collect();
        if let Some(set) = &self.set
            && is_of(set, &all)
        {
            return Ok(Arc::clone(set));
        }
        let set = Arc::new(PolicySet::after(self.set.as_deref(), all)?);
        self.set = Some(Arc::clone(&set));
        Ok(set)
    }
}

/// Whether the set is of exactly these, which are in the order of their names.
fn is_of(set: &PolicySet, all: &[Arc<CompiledPolicy>]) -> bool {
    let known = set.policies();
    known.len() == all.len()
        && known
            .iter()
            .zip(all)
            .all(|(one, other)| Arc::ptr_eq(one, other))
}

fn compiled(policy: &Arc<ClusterImagePolicy>, referents: &Referents, known: Option<Kept>) -> Kept {
    let named = referents.named_by(policy);
    if let Some(Kept {
        written: Written::Policy(before, against),
        compiled,
    }) = known
        && before.spec == policy.spec
        && against == named
    {
        return Kept {
            written: Written::Policy(Arc::clone(policy), against),
            compiled,
        };
    }
    let compiled = Arc::new(guarded(policy, || compile(policy, &named)));
    Kept {
        written: Written::Policy(Arc::clone(policy), named),
        compiled,
    }
}

/// A policy that cannot be compiled without a panic is a broken one: it shall not keep all others from being put in force.
fn guarded(
    policy: &ClusterImagePolicy,
    compile: impl FnOnce() -> CompiledPolicy,
) -> CompiledPolicy {
    catch_unwind(AssertUnwindSafe(compile)).unwrap_or_else(|_| {
        unreadable(&UnreadablePolicy {
            metadata: policy.metadata.clone(),
            status: None,
            images: policy.spec.images.clone(),
            mode: policy.spec.mode.clone(),
            error: DecodeError::WrongValue {
                at: Path::default(),
                found: "compiling it ended in an internal error; please report it".to_owned(),
            },
        })
    })
}

fn compiled_unreadable(policy: &Arc<UnreadablePolicy>, known: Option<Kept>) -> Kept {
    let is_same = |before: &UnreadablePolicy| {
        (&before.images, &before.mode, &before.error)
            == (&policy.images, &policy.mode, &policy.error)
    };
    let compiled = match known {
        Some(Kept {
            written: Written::Unreadable(before),
            compiled,
        }) if is_same(&before) => compiled,
        _ => Arc::new(unreadable(policy)),
    };
    Kept {
        written: Written::Unreadable(Arc::clone(policy)),
        compiled,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api;

    fn policy(name: &str, map: &str) -> Arc<ClusterImagePolicy> {
        let document = json!({
            "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "ClusterImagePolicy", "metadata": {"name": name},
            "spec": {
                "images": [{"glob": "**"}], "authorities": [{"static": {"action": "pass"}}],
                "policy": {"type": "rego", "configMapRef": {"name": map, "key": "rego"}},
            },
        });
        Arc::new(api::decode_cluster_image_policy(document).unwrap())
    }

    fn referents(maps: &[(&str, &str)]) -> Referents {
        let maps = maps.iter().map(|(name, answer)| {
            let rego = format!("package sigstore\nisCompliant {{ {answer} }}");
            let map = BTreeMap::from([("rego".to_owned(), rego)]);
            ((*name).to_owned(), map)
        });
        Referents {
            config_maps: maps.collect(),
            ..Referents::default()
        }
    }

    fn objects(policies: &[Arc<ClusterImagePolicy>]) -> Objects {
        Objects {
            policies: policies.to_vec(),
            ..Objects::default()
        }
    }

    #[test]
    fn compiles_again_what_changed_and_nothing_else() {
        let mut compiler = Compiler::default();
        let all = objects(&[policy("a", "one"), policy("b", "two")]);
        let first = compiler
            .compile(&all, &referents(&[("one", "true"), ("two", "true")]))
            .unwrap();
        let [a, b] = first.policies() else {
            panic!("two policies")
        };
        assert!(a.body.is_ok() && b.body.is_ok());
        // Something of another policy.
        let next = compiler
            .compile(&all, &referents(&[("one", "true"), ("two", "1 == 1")]))
            .unwrap();
        let [same, other] = next.policies() else {
            panic!("two policies")
        };
        assert!(Arc::ptr_eq(a, same) && !Arc::ptr_eq(b, other));
        // What it names is gone.
        let broken = compiler
            .compile(&all, &referents(&[("two", "1 == 1")]))
            .unwrap();
        let [gone, same] = broken.policies() else {
            panic!("two policies")
        };
        assert!(gone.body.is_err() && Arc::ptr_eq(other, same));
    }

    #[test]
    fn a_policy_that_makes_us_panic_is_broken_and_about_its_images() {
        let compiled = guarded(&policy("a", "one"), || {
            std::panic::resume_unwind(Box::new(()))
        });
        assert!(compiled.body.is_err());
        assert_eq!(compiled.name.as_ref(), "a");
        assert_eq!(compiled.globs.len(), 1);
    }

    #[test]
    fn a_set_stays_the_same_one_while_nothing_changes() {
        let mut compiler = Compiler::default();
        let there = referents(&[("one", "true")]);
        let before = compiler
            .compile(&objects(&[policy("a", "one")]), &there)
            .unwrap();
        let after = compiler
            .compile(&objects(&[policy("a", "one")]), &there)
            .unwrap();
        assert!(Arc::ptr_eq(&before, &after));
        let fewer = compiler.compile(&objects(&[]), &there).unwrap();
        assert!(fewer.policies().is_empty());
    }
}
