//! `source[].signaturePullSecrets`: the Secrets that a policy reads its evidence with.
//!
//! Where policies come from files, they are Secrets of our own namespace: whoever writes a policy names them, not whoever runs a workload.
//! One that is not there, or is no pull secret, is a problem of the policy, which denies what it matches until it is mended: to look for
//! evidence without the credentials that were meant would answer "refused by the registry" at best.
//!
//! In a cluster they are Secrets of the workload's namespace, as policies that are there already mean them. Which there are is known when
//! an image is judged. Whoever runs a workload decides then with whose account the source is read; that can hide evidence, which denies,
//! and cannot make any.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::authority::{PullSecret, PullSecretForm};
use super::problem::Problem;
use super::referents::{PullSecretsIn, Referents};
use crate::api;

/// The pull secrets of a source which stands at `path`, as far as they are there.
pub(super) fn of_source(
    source: &api::Source,
    path: &str,
    referents: &Referents,
    problems: &mut Vec<Problem>,
) -> Vec<PullSecret> {
    let mut found = Vec::new();
    for (index, reference) in source.signature_pull_secrets.iter().enumerate() {
        let name = &reference.name;
        if referents.pull_secrets == PullSecretsIn::WorkloadNamespace {
            found.push(PullSecret::OfWorkload { name: name.clone() });
            continue;
        }
        let Some(secret) = referents.secrets.get(name) else {
            let field = format!("{path}.signaturePullSecrets[{index}].name");
            problems.push(Problem::unresolved(
                field,
                format!("Secret {name} is not in the controller's namespace"),
            ));
            continue;
        };
        match pull_secret(name, secret) {
            Ok(secret) => found.push(secret),
            Err(details) => {
                let field = format!("{path}.signaturePullSecrets[{index}].name");
                problems.push(Problem::invalid(name, field, details));
            }
        }
    }
    found
}

fn pull_secret(name: &str, secret: &BTreeMap<String, Vec<u8>>) -> Result<PullSecret, &'static str> {
    let forms = [
        (".dockerconfigjson", PullSecretForm::DockerConfigJson),
        (".dockercfg", PullSecretForm::DockerCfg),
    ];
    let held = forms
        .into_iter()
        .find_map(|(key, form)| secret.get(key).map(|json| (form, json)));
    let (form, json) = held
        .ok_or("the Secret is no pull secret: it has neither .dockerconfigjson nor .dockercfg")?;
    if serde_json::from_slice::<Map<String, Value>>(json).is_err() {
        return Err("what the Secret holds is not the JSON of a docker config");
    }
    Ok(PullSecret::Held {
        name: name.to_owned(),
        form,
        json: Arc::from(json.as_slice()),
    })
}
