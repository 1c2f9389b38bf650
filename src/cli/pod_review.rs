//! What an API server sends when somebody makes a Pod of one container: for commands that ask a webhook in its place.

use serde_json::{Value, json};

/// A Pod that somebody would make.
pub(super) struct PodReview<'a> {
    /// The review's own name, which its answer repeats.
    pub(super) uid: &'a str,
    /// The Pod's namespace.
    pub(super) namespace: &'a str,
    /// The Pod's name, and that of its container.
    pub(super) name: &'a str,
    /// Who makes it.
    pub(super) user: &'a str,
    /// What it runs.
    pub(super) image: &'a str,
    /// Whether it is a rehearsal.
    pub(super) dry_run: bool,
}

impl PodReview<'_> {
    /// The `AdmissionReview`.
    pub(super) fn to_json(&self) -> Value {
        let Self {
            uid,
            namespace,
            name,
            user,
            image,
            dry_run,
        } = self;
        json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": uid,
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "namespace": namespace,
                "name": name,
                "operation": "CREATE",
                "userInfo": {"username": user},
                "object": {
                    "apiVersion": "v1", "kind": "Pod",
                    "metadata": {"name": name, "namespace": namespace},
                    "spec": {"containers": [{"name": name, "image": image}]},
                },
                "oldObject": null,
                "dryRun": dry_run,
            },
        })
    }
}
