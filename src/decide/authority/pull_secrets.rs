//! The credentials of a policy's own source, where it names some.

use std::sync::Arc;

use tokio::time::timeout_at;

use crate::decide::{Judge, Scope, unavailable};
use crate::gather::keychain::docker;
use crate::gather::{Access, Keychain, KeychainEntry};
use crate::policy::{Place, PullSecret, PullSecretForm};
use crate::verdict::{Cause, Reason};

/// Access with the pull secrets of this place and no others: what a workload brings along is for its image, and what a policy names is for
/// its source. `None` where the policy names none. The error says which of them cannot be read, and nothing of what is in it.
pub(super) async fn access(
    judge: &Judge,
    place: &Place,
    scope: &Scope<'_>,
) -> Result<Option<Access>, (Reason, Cause)> {
    if place.pull_secrets.is_empty() {
        return Ok(None);
    }
    let mut entries = Vec::new();
    let mut of_workload = Vec::new();
    for secret in &place.pull_secrets {
        match secret {
            PullSecret::Held { name, form, json } => entries.extend(held(name, *form, json)?),
            PullSecret::OfWorkload { name } => of_workload.push(name.clone()),
        }
    }
    let of_workload = named(judge, &of_workload, scope).await?;
    entries.extend(of_workload.entries().iter().cloned());
    let keychain = Keychain::new(entries);
    Ok(Some(Access {
        // A source that refuses, or shows nothing, to whoever comes without them has not said that nothing is there.
        keychain: Arc::new(match of_workload.unread() {
            None => keychain,
            Some(unread) => keychain.without(unread),
        }),
        deadline: scope.access.deadline,
        dry_run: scope.access.dry_run,
    }))
}

/// What a Secret of our own namespace holds.
fn held(
    name: &str,
    form: PullSecretForm,
    json: &[u8],
) -> Result<Vec<KeychainEntry>, (Reason, Cause)> {
    let source = format!("Secret {name} of the policy");
    let read = match form {
        PullSecretForm::DockerConfigJson => docker::entries_from_dockerconfigjson(json, &source),
        PullSecretForm::DockerCfg => docker::entries_from_dockercfg(json, &source),
    };
    read.map_err(|error| {
        let problems = vec![error.to_string()];
        (Reason::PolicyInvalid, Cause::PolicyInvalid { problems })
    })
}

/// What these Secrets of the workload's namespace hold. An image that nobody runs has none.
async fn named(
    judge: &Judge,
    names: &[String],
    scope: &Scope<'_>,
) -> Result<Arc<Keychain>, (Reason, Cause)> {
    let (Some(request), false) = (scope.request, names.is_empty()) else {
        return Ok(Arc::default());
    };
    let asked = judge.credentials.secrets(&request.namespace, names);
    match timeout_at(scope.access.deadline, asked).await {
        Ok(Ok(keychain)) => Ok(keychain),
        Ok(Err(error)) => Err((unavailable::reason(&error), unavailable::cause(&error))),
        Err(_) => {
            let detail = unavailable::NO_TIME.to_owned();
            Err((Reason::Deadline, Cause::Unavailable { detail }))
        }
    }
}
