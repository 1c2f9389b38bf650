//! Requests of the API server: an object of each kind, and what is done to it.

use serde_json::{Value, json};

/// What is done to an object.
pub(crate) struct Edit {
    /// In words.
    pub(crate) name: &'static str,
    /// The kinds that it can be done to; all, where there is none.
    kinds: &'static [&'static str],
    apply: fn(&mut Object),
}

/// An object that is edited.
pub(crate) struct Object {
    /// As it will be.
    pub(crate) new: Value,
    /// The way to what holds its Pod spec: the template, or the Pod itself.
    template: &'static str,
}

/// Group, kind, and the way to the template.
pub(crate) const KINDS: [(&str, &str, &str); 11] = [
    ("", "Pod", ""),
    ("", "PodTemplate", "/template"),
    ("", "ReplicationController", "/spec/template"),
    ("apps", "DaemonSet", "/spec/template"),
    ("apps", "Deployment", "/spec/template"),
    ("apps", "ReplicaSet", "/spec/template"),
    ("apps", "StatefulSet", "/spec/template"),
    ("batch", "Job", "/spec/template"),
    ("batch", "CronJob", "/spec/jobTemplate/spec/template"),
    // Of `kinds` in ci/everything-values.yaml.
    ("argoproj.io", "Rollout", "/spec/template"),
    ("kubevirt.io", "VirtualMachine", "/spec/template"),
];

const SCALED: &[&str] = &[
    "ReplicationController",
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "Rollout",
];

/// Every edit.
pub(crate) const EDITS: [Edit; 32] = [
    Edit::new("nothing", |_| {}),
    Edit::new("a label", |it| {
        it.new["metadata"]["labels"]["a"] = json!("b");
    }),
    Edit::new("an annotation", |it| {
        it.new["metadata"]["annotations"] = json!({"a": "b"});
    }),
    Edit::new("a finalizer less", |it| {
        it.new["metadata"]["finalizers"] = json!([]);
    }),
    Edit::new("an owner", |it| {
        it.new["metadata"]["ownerReferences"] = json!([{"kind": "Node", "name": "a"}]);
    }),
    Edit::new("deletionTimestamp", |it| {
        it.new["metadata"]["deletionTimestamp"] = json!("2026-08-03T11:04:00Z");
    }),
    Edit::new("managedFields and resourceVersion", |it| {
        it.new["metadata"]["managedFields"] = json!([{"manager": "kubectl"}]);
        it.new["metadata"]["resourceVersion"] = json!("2");
    }),
    Edit::new("status", |it| {
        it.new["status"] = json!({"phase": "Running", "replicas": 9});
    }),
    Edit::new("an image", |it| {
        it.spec()["containers"][0]["image"] = json!("b");
    }),
    Edit::new("an image of an init container", |it| {
        it.spec()["initContainers"][0]["image"] = json!("b");
    }),
    Edit::new("an image volume", |it| {
        it.spec()["volumes"][0]["image"]["reference"] = json!("b");
    }),
    Edit::new("a container more", |it| {
        let more = json!({"name": "more", "image": "a"});
        it.spec()["containers"].as_array_mut().unwrap().push(more);
    }),
    Edit::new("a container less", |it| {
        it.spec()["containers"].as_array_mut().unwrap().pop();
    }),
    Edit::new("two containers in another order", |it| {
        it.spec()["containers"].as_array_mut().unwrap().reverse();
    }),
    Edit::new("no containers", |it| it.spec()["containers"] = Value::Null),
    Edit::new("an ephemeral container", |it| {
        it.spec()["ephemeralContainers"] = json!([{"name": "debug", "image": "b"}]);
    }),
    Edit::new("an image in a field that nobody knows yet", |it| {
        it.spec()["sidecars"] = json!([{"name": "new", "image": "b"}]);
    }),
    Edit::new("an environment variable", |it| {
        it.spec()["containers"][0]["env"] = json!([{"name": "A", "value": "b"}]);
    }),
    Edit::new("a toleration", |it| {
        it.spec()["tolerations"] = json!([{"operator": "Exists"}]);
    }),
    Edit::new("a scheduling gate less", |it| {
        it.spec().as_object_mut().unwrap().remove("schedulingGates");
    }),
    Edit::new("activeDeadlineSeconds", |it| {
        it.spec()["activeDeadlineSeconds"] = json!(7);
    }),
    Edit::new("a node selector", |it| {
        it.spec()["nodeSelector"] = json!({"image": "b"});
    }),
    Edit::new("a label of the template", |it| {
        it.template()["metadata"]["labels"] = json!({"a": "b"});
    }),
    Edit::new("no Pod spec", |it| {
        it.template().as_object_mut().unwrap().remove("spec");
    }),
    Edit::of("more replicas", SCALED, |it| {
        it.new["spec"]["replicas"] = json!(5);
    }),
    Edit::of("fewer replicas", SCALED, |it| {
        it.new["spec"]["replicas"] = json!(1);
    }),
    Edit::of("no replicas", SCALED, |it| {
        it.new["spec"]["replicas"] = json!(0);
    }),
    Edit::of("replicas left out", SCALED, |it| {
        it.new["spec"].as_object_mut().unwrap().remove("replicas");
    }),
    Edit::of("a disk that is an image", &["VirtualMachine"], |it| {
        it.spec()["volumes"][0]["containerDisk"]["image"] = json!("b");
    }),
    Edit::of("paused", &["Deployment"], |it| {
        it.new["spec"]["paused"] = json!(true);
    }),
    Edit::of("suspended", &["Job", "CronJob"], |it| {
        it.new["spec"]["suspend"] = json!(true);
    }),
    Edit::of("a schedule", &["CronJob"], |it| {
        it.new["spec"]["schedule"] = json!("@daily");
    }),
];

/// An object of this kind as it was.
pub(crate) fn object(group: &str, kind: &str, template: &'static str) -> Object {
    let pod_spec = json!({
        "initContainers": [{"name": "init", "image": "a"}],
        "containers": [{"name": "one", "image": "a"}, {"name": "two", "image": "a2"}],
        "volumes": [{"name": "data", "image": {"reference": "a"}, "containerDisk": {"image": "a"}}],
        "schedulingGates": [{"name": "wait"}],
        "restartPolicy": "Always",
    });
    let version = if group.is_empty() {
        "v1".to_owned()
    } else {
        format!("{group}/v1")
    };
    let mut new = json!({
        "apiVersion": version, "kind": kind,
        "metadata": {"name": "cart", "labels": {}, "finalizers": ["example.com/wait"]},
    });
    if SCALED.contains(&kind) {
        new["spec"]["replicas"] = json!(3);
    }
    let mut object = Object { new, template };
    object.template()["spec"] = pod_spec;
    object
}

// === impl Edit ===

impl Edit {
    const fn new(name: &'static str, apply: fn(&mut Object)) -> Self {
        Self::of(name, &[], apply)
    }

    const fn of(
        name: &'static str,
        kinds: &'static [&'static str],
        apply: fn(&mut Object),
    ) -> Self {
        Self { name, kinds, apply }
    }

    /// Whether it can be done to this kind.
    pub(crate) fn is_for(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// Does it, where an edit before it has left what it needs.
    pub(crate) fn apply(&self, object: &mut Object) {
        (self.apply)(object);
    }
}

// === impl Object ===

impl Object {
    /// What holds the Pod spec.
    fn template(&mut self) -> &mut Value {
        let keys = self.template.split('/').skip(1);
        keys.fold(&mut self.new, |value, key| &mut value[key])
    }

    /// The Pod spec.
    fn spec(&mut self) -> &mut Value {
        &mut self.template()["spec"]
    }
}
