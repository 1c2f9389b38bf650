//! The table of kinds: where each keeps its Pod spec, and where a Pod spec keeps images.

/// A kind that runs containers, and the way to its Pod spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// API group, empty for core.
    pub group: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Plural, as in `match[].resource`.
    pub resource: &'static str,
    /// The keys from the object to its Pod spec.
    pub pod_spec: &'static [&'static str],
    /// Whether `spec.replicas` says how many Pods it makes.
    pub has_replicas: bool,
}

/// Every kind that we read. Kinds outside this table are `not-covered`: their Pods are judged when they are made.
pub const KINDS: &[Kind] = &[
    Kind {
        group: "",
        kind: "Pod",
        resource: "pods",
        pod_spec: &["spec"],
        has_replicas: false,
    },
    Kind {
        group: "",
        kind: "PodTemplate",
        resource: "podtemplates",
        pod_spec: &["template", "spec"],
        has_replicas: false,
    },
    Kind {
        group: "",
        kind: "ReplicationController",
        resource: "replicationcontrollers",
        pod_spec: TEMPLATE,
        has_replicas: true,
    },
    Kind {
        group: "apps",
        kind: "DaemonSet",
        resource: "daemonsets",
        pod_spec: TEMPLATE,
        has_replicas: false,
    },
    Kind {
        group: "apps",
        kind: "Deployment",
        resource: "deployments",
        pod_spec: TEMPLATE,
        has_replicas: true,
    },
    Kind {
        group: "apps",
        kind: "ReplicaSet",
        resource: "replicasets",
        pod_spec: TEMPLATE,
        has_replicas: true,
    },
    Kind {
        group: "apps",
        kind: "StatefulSet",
        resource: "statefulsets",
        pod_spec: TEMPLATE,
        has_replicas: true,
    },
    Kind {
        group: "batch",
        kind: "Job",
        resource: "jobs",
        pod_spec: TEMPLATE,
        has_replicas: false,
    },
    Kind {
        group: "batch",
        kind: "CronJob",
        resource: "cronjobs",
        pod_spec: &["spec", "jobTemplate", "spec", "template", "spec"],
        has_replicas: false,
    },
];

const TEMPLATE: &[&str] = &["spec", "template", "spec"];

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

impl Kind {
    /// The row of this group and kind.
    pub fn find(group: &str, kind: &str) -> Option<&'static Self> {
        KINDS
            .iter()
            .find(|row| row.group == group && row.kind == kind)
    }
}
