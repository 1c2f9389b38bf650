//! The status of our resources in the API server, and the finalizers that policy-controller left on them.
//!
//! *In*: whose status it is and what it shall say. *Out*: the one request that says it, by server-side apply in the name of a field
//! manager of our own ([`FIELD_MANAGER`]). What to write, and when, is not decided here.

use std::time::Duration;

use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, Client, Resource};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Cluster, FIELD_MANAGER};
use crate::api;

/// For one request.
const REQUEST: Duration = Duration::from_secs(10);

/// A kind of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `ClusterImagePolicy`
    ClusterImagePolicy,
    /// `TrustRoot`
    TrustRoot,
}

/// One resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Its kind.
    pub kind: Kind,
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`: one that was made again under the same name is another one.
    pub uid: String,
}

/// Writes to resources of ours.
#[derive(Clone)]
pub struct StatusWriter {
    client: Client,
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is written.
    Done,
    /// The resource is not there any more, or is another one.
    Gone,
    /// Somebody else changed it meanwhile. What is to be written has to be seen anew.
    Conflict,
}

/// Why nothing could be written, whatever the resource.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// No answer in time.
    #[error("the API server did not answer within {} s", REQUEST.as_secs())]
    Late,
    /// The API server refuses, or cannot be reached.
    #[error("the API server refuses, or cannot be reached")]
    Refused(#[from] kube::Error),
}

// === impl Kind ===

impl Kind {
    /// The finalizer that policy-controller adds to resources of this kind.
    pub fn finalizer(self) -> &'static str {
        match self {
            Self::ClusterImagePolicy => "clusterimagepolicies.policy.sigstore.dev",
            Self::TrustRoot => "trustroots.policy.sigstore.dev",
        }
    }

    /// As it is written in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterImagePolicy => "ClusterImagePolicy",
            Self::TrustRoot => "TrustRoot",
        }
    }

    /// Group and version in which it is written to.
    pub fn api_version(self) -> String {
        self.resource().api_version
    }

    fn resource(self) -> ApiResource {
        match self {
            Self::ClusterImagePolicy => resource::<api::ClusterImagePolicy>(),
            Self::TrustRoot => resource::<api::TrustRoot>(),
        }
    }
}

fn resource<K: Resource<DynamicType = ()>>() -> ApiResource {
    ApiResource::erase::<K>(&())
}

// === impl StatusWriter ===

impl StatusWriter {
    /// Writes over this connection.
    pub fn new(cluster: &Cluster) -> Self {
        Self {
            client: cluster.client(),
        }
    }

    /// Says this of the resource.
    pub async fn say(&self, target: &Target, status: &api::Status) -> Result<Written, WriteError> {
        let said = json!({
            "apiVersion": target.kind.api_version(),
            "kind": target.kind.as_str(),
            "metadata": {"name": target.name, "uid": target.uid},
            "status": status,
        });
        // Another controller may have written the same fields before us; while it is alive we do not write.
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let api = self.api(target.kind);
        let patch = Patch::Apply(&said);
        let writing = api.patch_status(&target.name, &params, &patch);
        written(timeout(REQUEST, writing).await)
    }

    /// Takes policy-controller's finalizer off the resource, which had these when it was read.
    pub async fn strip(
        &self,
        target: &Target,
        finalizers: &[String],
    ) -> Result<Written, WriteError> {
        let Some(patch) = without(finalizers, target) else {
            return Ok(Written::Done);
        };
        let patch: json_patch::Patch = match serde_json::from_value(patch) {
            Ok(patch) => patch,
            Err(error) => return Err(WriteError::Refused(kube::Error::SerdeError(error))),
        };
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let api = self.api(target.kind);
        let patch = Patch::Json::<()>(patch);
        let writing = api.patch(&target.name, &params, &patch);
        written(timeout(REQUEST, writing).await)
    }

    /// Untyped: what is stored under a kind of ours need not be readable as it.
    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &kind.resource())
    }
}

/// The patch that takes policy-controller's finalizer away, if it is there, and only if everything is as it was read.
fn without(finalizers: &[String], target: &Target) -> Option<Value> {
    let ours = target.kind.finalizer();
    let index = finalizers.iter().position(|finalizer| finalizer == ours)?;
    let path = format!("/metadata/finalizers/{index}");
    Some(json!([
        {"op": "test", "path": "/metadata/uid", "value": target.uid},
        {"op": "test", "path": path, "value": ours},
        {"op": "remove", "path": path},
    ]))
}

type Answer = Result<Result<DynamicObject, kube::Error>, tokio::time::error::Elapsed>;

/// 404: it was deleted. 409: somebody was faster, or it was made again. 422: a test of the patch failed, for the same reasons.
fn written(answer: Answer) -> Result<Written, WriteError> {
    match answer.map_err(|_| WriteError::Late)? {
        Ok(_) => Ok(Written::Done),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Written::Gone),
        Err(kube::Error::Api(status)) if [409, 422].contains(&status.code) => Ok(Written::Conflict),
        Err(error) => Err(WriteError::Refused(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(kind: Kind) -> Target {
        Target {
            kind,
            name: "a".to_owned(),
            uid: "u".to_owned(),
        }
    }

    #[test]
    fn only_the_finalizer_of_policy_controller_is_taken_away_where_it_was_seen() {
        let finalizers = ["other/one", "trustroots.policy.sigstore.dev"].map(str::to_owned);
        let patch = without(&finalizers, &target(Kind::TrustRoot));
        assert_eq!(
            patch,
            Some(json!([
                {"op": "test", "path": "/metadata/uid", "value": "u"},
                {"op": "test", "path": "/metadata/finalizers/1", "value": "trustroots.policy.sigstore.dev"},
                {"op": "remove", "path": "/metadata/finalizers/1"},
            ]))
        );
        assert_eq!(
            without(&finalizers, &target(Kind::ClusterImagePolicy)),
            None
        );
        assert_eq!(without(&[], &target(Kind::TrustRoot)), None);
    }

    #[test]
    fn finalizers_are_named_after_the_resource() {
        for kind in [Kind::ClusterImagePolicy, Kind::TrustRoot] {
            let ApiResource { plural, group, .. } = kind.resource();
            assert_eq!(kind.finalizer(), format!("{plural}.{group}"));
            assert_eq!(kind.as_str(), kind.resource().kind);
        }
    }
}
