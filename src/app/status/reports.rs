//! What there is to say of each policy and trust root: from what is in force, and how it came to be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Report;
use crate::adapters::cluster::status::{Kind, Target};
use crate::api::{Condition, Status};
use crate::app::engine::Engine;
use crate::app::in_force::InForce;
use crate::apply::conditions::{of_policy, of_trust_root};
use crate::policy::CompiledPolicy;

/// How often it is looked whether something is stale, or is not any more, while nothing else changes.
const LOOK: Duration = Duration::from_secs(30);

/// Tells `told` whenever there is something else to say. Has no end.
pub(in crate::app) async fn follow(engine: Arc<Engine>, told: watch::Sender<Arc<Vec<Report>>>) {
    let mut in_force = engine.follow_in_force();
    loop {
        let now = Arc::clone(&in_force.borrow_and_update());
        let reports = reports(&now, &engine);
        told.send_if_modified(|before| {
            let is_new = **before != reports;
            if is_new {
                *before = Arc::new(reports);
            }
            is_new
        });
        let _ = timeout(LOOK, in_force.changed()).await;
    }
}

/// Of every policy and trust root, broken and unreadable ones included. Nothing before the first policies are in force.
fn reports(in_force: &InForce, engine: &Engine) -> Vec<Report> {
    let Some(policies) = &in_force.policies else {
        return Vec::new();
    };
    let compiled: BTreeMap<&str, &CompiledPolicy> = policies
        .policies()
        .iter()
        .map(|policy| (&*policy.name, &**policy))
        .collect();
    let of_policy = |metadata: &ObjectMeta, status: Option<&Status>, stale: &[String]| {
        let compiled = compiled.get(metadata.name.as_deref()?)?;
        let conditions = of_policy(&compiled.body, stale);
        report(Kind::ClusterImagePolicy, metadata, status, conditions)
    };
    let of_root = |metadata: &ObjectMeta, status: Option<&Status>, stale: &[String]| {
        let read = in_force
            .referents
            .trust_roots
            .get(metadata.name.as_deref()?)?;
        let read = read.as_ref().map(drop).map_err(String::as_str);
        let conditions = of_trust_root(read, stale);
        report(Kind::TrustRoot, metadata, status, conditions)
    };
    let objects = &in_force.objects;
    let policies = objects.policies.iter().map(|policy| {
        let stale = engine.stale_for_policy(policy);
        of_policy(&policy.metadata, policy.status.as_ref(), &stale)
    });
    let unreadable = objects.unreadable_policies.iter();
    let unreadable =
        unreadable.map(|policy| of_policy(&policy.metadata, policy.status.as_ref(), &[]));
    let roots = objects.trust_roots.iter().map(|root| {
        let stale = engine.stale_for_root(root);
        of_root(&root.metadata, root.status.as_ref(), &stale)
    });
    let unreadable_roots = objects.unreadable_trust_roots.iter();
    let unreadable_roots =
        unreadable_roots.map(|root| of_root(&root.metadata, root.status.as_ref(), &[]));
    let all = policies
        .chain(unreadable)
        .chain(roots)
        .chain(unreadable_roots);
    all.flatten().collect()
}

/// `None` for one that was not read from an API server.
fn report(
    kind: Kind,
    metadata: &ObjectMeta,
    status: Option<&Status>,
    conditions: Vec<Condition>,
) -> Option<Report> {
    Some(Report {
        target: Target {
            kind,
            name: metadata.name.clone()?,
            uid: metadata.uid.clone()?,
        },
        generation: metadata.generation,
        version: metadata.resource_version.clone().unwrap_or_default(),
        finalizers: metadata.finalizers.clone().unwrap_or_default(),
        is_deleted: metadata.deletion_timestamp.is_some(),
        present: status.cloned().unwrap_or_default(),
        conditions,
    })
}
