//! The table of kinds: where each keeps its Pod specs, and where a Pod spec keeps images.
//!
//! The rows that are built in are those of Kubernetes. An operator adds rows for custom resources (`configured`); they are read by
//! the same code.

use super::pattern::Pattern;

/// A kind that runs containers, and where it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// API group, empty for core.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Plural, as in `match[].resource`.
    pub resource: String,
    /// Whether the row is one of Kubernetes, where each Pod spec must be there and each container must name its image.
    pub(super) built_in: bool,
    /// Where it keeps Pod specs.
    pub(super) pod_specs: Vec<Pattern>,
    /// Where it names images outside of Pod specs.
    pub(super) images: Vec<Pattern>,
    /// Where it names pull secrets outside of Pod specs: lists of objects with a `name`.
    pub(super) pull_secrets: Vec<Pattern>,
    /// Where it names a service account outside of Pod specs.
    pub(super) service_account: Option<Pattern>,
    /// What says how many Pods it makes.
    pub(super) replicas: Option<Pattern>,
}

/// Every kind that is read. Kinds outside of it are `not-covered`: their Pods are judged when they are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kinds(pub(super) Vec<Kind>);

/// The rows of Kubernetes: group, kind, plural, the way to the Pod spec, and whether `spec.replicas` says how many Pods it makes.
const BUILT_IN: [(&str, &str, &str, &str, bool); 9] = [
    ("", "Pod", "pods", "/spec", false),
    ("", "PodTemplate", "podtemplates", "/template/spec", false),
    (
        "",
        "ReplicationController",
        "replicationcontrollers",
        TEMPLATE,
        true,
    ),
    ("apps", "DaemonSet", "daemonsets", TEMPLATE, false),
    ("apps", "Deployment", "deployments", TEMPLATE, true),
    ("apps", "ReplicaSet", "replicasets", TEMPLATE, true),
    ("apps", "StatefulSet", "statefulsets", TEMPLATE, true),
    ("batch", "Job", "jobs", TEMPLATE, false),
    (
        "batch",
        "CronJob",
        "cronjobs",
        "/spec/jobTemplate/spec/template/spec",
        false,
    ),
];

const TEMPLATE: &str = "/spec/template/spec";

/// A list in a Pod spec whose items name an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ImageList {
    /// The list's key.
    pub(super) list: &'static str,
    /// The keys from an item to the image reference.
    pub(super) pointer: &'static [&'static str],
    /// Whether an item may lack it (a volume of another type, an image volume that a template leaves open).
    pub(super) optional: bool,
}

/// Every list of a Pod spec whose items name an image, in the order in which they are reported.
pub(super) const IMAGE_LISTS: &[ImageList] = &[
    ImageList {
        list: "initContainers",
        pointer: &["image"],
        optional: false,
    },
    ImageList {
        list: "containers",
        pointer: &["image"],
        optional: false,
    },
    ImageList {
        list: "ephemeralContainers",
        pointer: &["image"],
        optional: false,
    },
    ImageList {
        list: "volumes",
        pointer: &["image", "reference"],
        optional: true,
    },
];

// === impl Kinds ===

impl Kinds {
    /// The kinds of Kubernetes.
    pub fn built_in() -> Self {
        let row = |&(group, kind, resource, pod_spec, replicas): &(_, _, _, &str, _)| Kind {
            group: String::from(group),
            kind: String::from(kind),
            resource: String::from(resource),
            built_in: true,
            pod_specs: pod_spec.parse().into_iter().collect(),
            images: Vec::new(),
            pull_secrets: Vec::new(),
            service_account: None,
            replicas: "/spec/replicas".parse().ok().filter(|_| replicas),
        };
        Self(BUILT_IN.iter().map(row).collect())
    }

    /// The row of this group and kind, whatever the version.
    pub fn find(&self, group: &str, kind: &str) -> Option<&Kind> {
        self.0
            .iter()
            .find(|row| row.group == group && row.kind == kind)
    }

    /// Every row.
    pub fn iter(&self) -> impl Iterator<Item = &Kind> {
        self.0.iter()
    }
}

impl Default for Kinds {
    fn default() -> Self {
        Self::built_in()
    }
}

// === impl Kind ===

impl Kind {
    /// What an object of this kind has beside its metadata, with this Pod spec; `None` where it has none.
    pub fn around(&self, pod_spec: serde_json::Value) -> Option<serde_json::Value> {
        let pattern = self.pod_specs.first()?;
        Some(pattern.holding(pod_spec))
    }

    /// Whether it is what a node runs, and not a template from which that is made.
    pub fn is_pod(&self) -> bool {
        self.group.is_empty() && self.kind == "Pod"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_kubernetes_has_its_pod_spec() {
        for kind in Kinds::built_in().iter() {
            assert_eq!(kind.pod_specs.len(), 1, "{}", kind.kind);
        }
        let kinds = Kinds::built_in();
        assert!(kinds.find("", "Pod").unwrap().is_pod());
        assert!(!kinds.find("apps", "Deployment").unwrap().is_pod());
        assert_eq!(kinds.find("apps", "Pod"), None);
    }
}
