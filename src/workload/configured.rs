//! Kinds that an operator adds to the table: custom resources from which Pods are made.
//!
//! ```yaml
//! kinds:
//!   - group: argoproj.io
//!     kind: Rollout
//!     resource: rollouts
//!     podSpecs: [/spec/template/spec]
//!     replicas: /spec/replicas
//!   - group: kubevirt.io
//!     kind: VirtualMachine
//!     resource: virtualmachines
//!     images: [/spec/template/spec/volumes/*/containerDisk/image]
//! ```
//!
//! In: the document, of the type that it is written in. Out: [`Kinds`], or everything that is wrong with it.

use serde::Deserialize;

use super::kinds::{Kind, Kinds};
use super::pattern::{InvalidPattern, Pattern};

/// The most kinds that can be added.
const KINDS: usize = 64;
/// The most pointers of one sort in one kind.
const POINTERS: usize = 32;

/// The document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfiguredKinds {
    /// The kinds to add.
    pub kinds: Vec<ConfiguredKind>,
}

/// A kind as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfiguredKind {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Plural.
    pub resource: String,
    /// Where Pod specs are: everything that a Pod names an image in is read there.
    #[serde(default)]
    pub pod_specs: Vec<String>,
    /// Where images are named outside of Pod specs.
    #[serde(default)]
    pub images: Vec<String>,
    /// Where lists of pull secrets are, outside of Pod specs.
    #[serde(default)]
    pub pull_secrets: Vec<String>,
    /// Where the service account is named, outside of Pod specs.
    #[serde(default)]
    pub service_account: Option<String>,
    /// What says how many Pods it makes.
    #[serde(default)]
    pub replicas: Option<String>,
}

/// What is wrong with a kind that is to be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidKind {
    /// Where, such as `kinds[1].images[0]`.
    pub field: String,
    /// What.
    pub problem: String,
}

/// The problems of one document.
#[derive(Default)]
struct Problems(Vec<InvalidKind>);

// === impl Kinds ===

impl Kinds {
    /// The kinds of Kubernetes and these.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the document. A kind that cannot be read as it is meant is no kind: nothing is
    /// guessed.
    pub fn with(configured: &ConfiguredKinds) -> Result<Self, Vec<InvalidKind>> {
        let (mut kinds, mut problems) = (Self::built_in(), Problems::default());
        if configured.kinds.len() > KINDS {
            let found = configured.kinds.len();
            problems.add("kinds", format!("{found} kinds, at most {KINDS} are read"));
        }
        for (index, written) in configured.kinds.iter().take(KINDS).enumerate() {
            let path = format!("kinds[{index}]");
            if let Some(known) = kinds.find(&written.group, &written.kind) {
                let known = if known.built_in {
                    "is built in"
                } else {
                    "stands there twice"
                };
                let name = (&written.kind, &written.group);
                problems.add(&path, format!("{} of group {:?} {known}", name.0, name.1));
                continue;
            }
            kinds.0.push(problems.kind(&path, written));
        }
        if problems.0.is_empty() {
            Ok(kinds)
        } else {
            Err(problems.0)
        }
    }
}

// === impl Problems ===

impl Problems {
    fn add(&mut self, field: &str, problem: impl Into<String>) {
        self.0.push(InvalidKind {
            field: field.to_owned(),
            problem: problem.into(),
        });
    }

    fn kind(&mut self, path: &str, written: &ConfiguredKind) -> Kind {
        if !written.group.contains('.') || !is_dns_name(&written.group) {
            self.add(
                &format!("{path}.group"),
                format!(
                    "{:?} is no API group of a custom resource, such as argoproj.io",
                    written.group
                ),
            );
        }
        let is_kind = written
            .kind
            .starts_with(|first: char| first.is_ascii_uppercase())
            && written.kind.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_kind {
            self.add(
                &format!("{path}.kind"),
                format!("{:?} is no kind, such as Rollout", written.kind),
            );
        }
        if written.resource.contains('.') || !is_dns_name(&written.resource) {
            self.add(
                &format!("{path}.resource"),
                format!(
                    "{:?} is no plural in lower case, such as rollouts",
                    written.resource
                ),
            );
        }
        if written.pod_specs.is_empty() && written.images.is_empty() {
            self.add(
                path,
                "it needs podSpecs or images: without them nothing of it would be judged",
            );
        }
        Kind {
            group: written.group.clone(),
            kind: written.kind.clone(),
            resource: written.resource.clone(),
            built_in: false,
            pod_specs: self.patterns(&format!("{path}.podSpecs"), &written.pod_specs),
            images: self.patterns(&format!("{path}.images"), &written.images),
            pull_secrets: self.patterns(&format!("{path}.pullSecrets"), &written.pull_secrets),
            service_account: self.optional(
                &format!("{path}.serviceAccount"),
                written.service_account.as_deref(),
            ),
            replicas: self.optional(&format!("{path}.replicas"), written.replicas.as_deref()),
        }
    }

    fn patterns(&mut self, path: &str, written: &[String]) -> Vec<Pattern> {
        if written.len() > POINTERS {
            let found = written.len();
            self.add(
                path,
                format!("{found} pointers, at most {POINTERS} are read"),
            );
        }
        let mut patterns: Vec<Pattern> = Vec::new();
        for (index, text) in written.iter().take(POINTERS).enumerate() {
            let path = format!("{path}[{index}]");
            let Some(pattern) = self.pattern(&path, text) else {
                continue;
            };
            if patterns.contains(&pattern) {
                self.add(&path, format!("{text} stands there twice"));
            }
            patterns.push(pattern);
        }
        patterns
    }

    fn optional(&mut self, path: &str, written: Option<&str>) -> Option<Pattern> {
        written.and_then(|text| self.pattern(path, text))
    }

    fn pattern(&mut self, path: &str, text: &str) -> Option<Pattern> {
        let parsed: Result<Pattern, InvalidPattern> = text.parse();
        match parsed {
            Ok(pattern) if pattern.first_key() == Some("status") => {
                self.add(
                    path,
                    "status is written by controllers, and what runs does not follow it: point into spec",
                );
                None
            }
            Ok(pattern) => Some(pattern),
            Err(error) => {
                self.add(path, format!("{text:?} is no pointer: {error}"));
                None
            }
        }
    }
}

/// Letters, digits, `-` and `.`, in lower case, as Kubernetes names groups and resources.
fn is_dns_name(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    text.len() <= 253
        && text
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(known))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::{Change, PullScope, images, what_changed};
    use super::*;

    fn read(document: Value) -> Result<Kinds, Vec<String>> {
        let document: ConfiguredKinds =
            serde_json::from_value(document).map_err(|error| vec![error.to_string()])?;
        let said = |problems: Vec<InvalidKind>| problems.iter().map(ToString::to_string).collect();
        Kinds::with(&document).map_err(said)
    }

    fn task() -> Kinds {
        read(json!({"kinds": [{
            "group": "tekton.dev", "kind": "Task", "resource": "tasks",
            "images": ["/spec/steps/*/image"], "podSpecs": ["/spec/podTemplate"],
            "pullSecrets": ["/spec/secrets"], "serviceAccount": "/spec/account", "replicas": "/spec/parallel",
        }]}))
        .unwrap()
    }

    #[test]
    fn images_and_pod_specs_of_a_custom_resource_are_read_with_its_credentials() {
        let kinds = task();
        let kind = kinds.find("tekton.dev", "Task").unwrap();
        let object = json!({"spec": {
            "steps": [{"name": "a", "image": "x"}, {"name": "b"}, {"name": "c", "image": ""}],
            "podTemplate": {"containers": [{"image": "y"}, {"name": "filled-in-later"}], "imagePullSecrets": [{"name": "one"}]},
            "secrets": [{"name": "two"}], "account": "builder",
        }});
        let found: Vec<(String, String)> = images(kind, &object)
            .unwrap()
            .into_iter()
            .map(|found| (found.field.to_string(), found.image))
            .collect();
        let expected = [
            ("spec.podTemplate.containers[0].image", "y"),
            ("spec.steps[0].image", "x"),
        ];
        assert_eq!(
            found,
            expected.map(|(field, image)| (field.to_owned(), image.to_owned()))
        );
        let scope = PullScope::of(kind, &object, "shop");
        assert_eq!(scope.service_account, "builder");
        assert_eq!(scope.pull_secrets, ["one", "two"]);
    }

    #[test]
    fn an_image_of_another_type_is_an_error_and_a_missing_one_is_not_there() {
        let kinds = task();
        let kind = kinds.find("tekton.dev", "Task").unwrap();
        assert_eq!(images(kind, &json!({"spec": {}})), Ok(Vec::new()));
        for wrong in [
            json!({"spec": {"steps": [{"image": 7}]}}),
            json!({"spec": {"steps": "a"}}),
            json!({"spec": {"podTemplate": {"containers": [{"image": 7}]}}}),
            json!({"spec": {"podTemplate": "a"}}),
        ] {
            assert!(images(kind, &wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_update_is_judged_as_one_of_a_built_in_kind_is() {
        let kinds = task();
        let kind = kinds.find("tekton.dev", "Task").unwrap();
        let object = |image: &str, parallel: i64, other: &str| json!({"spec": {"steps": [{"image": image}], "parallel": parallel, "other": other}});
        let change = |new: &Value| what_changed(kind, "", new, &object("a", 2, "x")).unwrap();
        assert_eq!(change(&object("a", 1, "y")), Change::Unchanged);
        assert!(matches!(change(&object("a", 3, "x")), Change::Judge(_)));
        assert!(matches!(change(&object("b", 2, "x")), Change::Judge(_)));
    }

    #[test]
    fn the_rows_that_the_documentation_offers_can_be_used() {
        let documents: Value =
            serde_saphyr::from_str(include_str!("../../docs/kinds.yaml")).unwrap();
        let kinds = read(documents).unwrap();
        let job = kinds.find("kubeflow.org", "PyTorchJob").unwrap();
        let object = json!({"spec": {"pytorchReplicaSpecs": {"Worker": {"template": {"spec": {"containers": [{"image": "a"}]}}}}}});
        let found = images(job, &object).unwrap();
        let field = "spec.pytorchReplicaSpecs.Worker.template.spec.containers[0].image";
        assert_eq!(found.first().unwrap().field.as_str(), field);
        let cluster = kinds.find("ray.io", "RayCluster").unwrap();
        let of = |replicas: [u64; 2]| json!({"spec": {"workerGroupSpecs": replicas.map(|n| json!({"replicas": n}))}});
        let change = |new, old| what_changed(cluster, "", &of(new), &of(old)).unwrap();
        assert_eq!(change([1, 2], [1, 3]), Change::Unchanged);
        assert!(matches!(change([2, 1], [1, 3]), Change::Judge(_)));
    }

    #[rstest]
    #[case::an_unknown_field(json!({"kinds": [{"group": "a.io", "kind": "A", "resource": "as", "image": ["/spec/image"]}]}), "unknown field `image`")]
    #[case::a_missing_field(json!({"kinds": [{"group": "a.io", "kind": "A", "images": ["/spec/image"]}]}), "missing field `resource`")]
    #[case::nothing_to_read(json!({"kinds": [{"group": "a.io", "kind": "A", "resource": "as"}]}), "kinds[0]: it needs podSpecs or images")]
    #[case::the_core_group(json!({"kinds": [{"group": "", "kind": "A", "resource": "as", "images": ["/spec/image"]}]}), "kinds[0].group: \"\" is no API group")]
    #[case::a_version_in_the_group(json!({"kinds": [{"group": "a.io/v1", "kind": "A", "resource": "as", "images": ["/spec/image"]}]}), "kinds[0].group")]
    #[case::a_kind_in_lower_case(json!({"kinds": [{"group": "a.io", "kind": "a", "resource": "as", "images": ["/spec/image"]}]}), "kinds[0].kind")]
    #[case::a_resource_with_its_group(json!({"kinds": [{"group": "a.io", "kind": "A", "resource": "as.a.io", "images": ["/spec/image"]}]}), "kinds[0].resource")]
    #[case::a_built_in_kind(json!({"kinds": [{"group": "apps", "kind": "Deployment", "resource": "deployments", "images": ["/spec/image"]}]}), "Deployment of group \"apps\" is built in")]
    #[case::no_pointer(json!({"kinds": [{"group": "a.io", "kind": "A", "resource": "as", "images": ["spec.image"]}]}), "kinds[0].images[0]: \"spec.image\" is no pointer: it must begin with \"/\"")]
    #[case::the_status(json!({"kinds": [{"group": "a.io", "kind": "A", "resource": "as", "images": ["/status/image"]}]}), "kinds[0].images[0]: status")]
    #[case::a_pointer_twice(json!({"kinds": [{"group": "a.io", "kind": "A", "resource": "as", "images": ["/spec/a", "/spec/a"]}]}), "kinds[0].images[1]: /spec/a stands there twice")]
    fn what_cannot_be_meant_is_refused_with_its_place(
        #[case] document: Value,
        #[case] problem: &str,
    ) {
        let problems = read(document).unwrap_err();
        assert!(
            problems.iter().any(|found| found.contains(problem)),
            "{problems:?}"
        );
    }

    #[test]
    fn a_kind_that_stands_there_twice_is_refused() {
        let row = json!({"group": "a.io", "kind": "A", "resource": "as", "images": ["/spec/a"]});
        let problems = read(json!({"kinds": [row, row]})).unwrap_err();
        assert_eq!(
            problems,
            ["kinds[1]: A of group \"a.io\" stands there twice"]
        );
    }
}
