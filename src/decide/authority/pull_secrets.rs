//! The credentials of a policy's own source, where it names some.

use std::sync::Arc;

use crate::gather::keychain::docker;
use crate::gather::{Access, Keychain};
use crate::policy::{Place, PullSecret, PullSecretForm};

/// Access with the pull secrets of this place and no others: what a workload brings along is for its image, and what a policy names is for
/// its source. `None` where the policy names none. The error says which of them cannot be read, and nothing of what is in it.
pub(super) fn access(place: &Place, workload: &Access) -> Result<Option<Access>, String> {
    if place.pull_secrets.is_empty() {
        return Ok(None);
    }
    let mut entries = Vec::new();
    for PullSecret { name, form, json } in &place.pull_secrets {
        let source = format!("Secret {name} of the policy");
        let read = match form {
            PullSecretForm::DockerConfigJson => {
                docker::entries_from_dockerconfigjson(json, &source)
            }
            PullSecretForm::DockerCfg => docker::entries_from_dockercfg(json, &source),
        };
        entries.extend(read.map_err(|error| error.to_string())?);
    }
    Ok(Some(Access {
        keychain: Arc::new(Keychain::new(entries)),
        deadline: workload.deadline,
        dry_run: workload.dry_run,
    }))
}
