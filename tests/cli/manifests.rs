//! `verify -f`: the manifests that people have, from files and from pipes.

use rstest::rstest;
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::support::command::{Ended, verify};

/// `-f -` with this on standard input, as JSON.
fn piped(desk: &Desk, manifest: &str) -> Ended {
    verify(desk.signed_by_release(), ["-o", "json", "-f", "-"])
        .input(manifest)
        .end()
}

/// Each field with its verdict, in the order of the report.
fn fields(ended: &Ended) -> Vec<(String, String)> {
    let text = |image: &Value, key: &str| image[key].as_str().unwrap_or_default().to_owned();
    let report = ended.json();
    let images = report["images"].as_array().unwrap();
    images
        .iter()
        .map(|image| (text(image, "field"), text(image, "verdict")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_document_of_a_pipe_is_judged_in_its_order() {
    let desk = Desk::new().await;
    let (signed, unsigned) = (desk.image("signed"), desk.image("unsigned"));
    let manifest = format!(
        r#"---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {{name: settings}}
  - apiVersion: apps/v1
    kind: Deployment
    metadata: {{name: shop}}
    spec:
      template:
        spec:
          initContainers: [{{name: i, image: "{signed}"}}]
          containers: [{{name: a, image: "{unsigned}"}}]
---
# nothing
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: nightly}}
spec:
  jobTemplate: {{spec: {{template: {{spec: {{containers: [{{name: a, image: "{signed}"}}]}}}}}}}}
---
apiVersion: example.com/v1
kind: Rollout
metadata: {{name: other}}
spec: {{template: {{spec: {{containers: [{{name: a, image: "{unsigned}"}}]}}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{generateName: pod-}}
spec:
  containers: [{{name: a, image: "{signed}"}}]
  volumes:
    - {{name: none, emptyDir: {{}}}}
    - {{name: data, image: {{reference: "{unsigned}"}}}}
"#
    );
    let ended = piped(&desk, &manifest);
    assert_eq!(ended.code, 1);
    let expected = [
        (
            "Deployment/shop spec.template.spec.initContainers[0].image",
            "admit",
        ),
        (
            "Deployment/shop spec.template.spec.containers[0].image",
            "deny",
        ),
        (
            "CronJob/nightly spec.jobTemplate.spec.template.spec.containers[0].image",
            "admit",
        ),
        ("Pod/pod- spec.containers[0].image", "admit"),
        ("Pod/pod- spec.volumes[1].image", "deny"),
    ];
    assert_eq!(
        fields(&ended),
        expected.map(|(field, verdict)| (field.to_owned(), verdict.to_owned()))
    );
    assert_eq!(
        ended.stderr,
        "not judged, since their kinds are not covered: ConfigMap/settings, Rollout/other\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_field_of_a_single_object_stands_alone() {
    let desk = Desk::new().await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "a", "image": desk.image("signed")}]}});
    // JSON is YAML.
    let ended = piped(&desk, &pod.to_string());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(
        fields(&ended),
        [("spec.containers[0].image".to_owned(), "admit".to_owned())]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_images_may_be_given_together() {
    let desk = Desk::new().await;
    let pod = |name: &str, case: &str| {
        let image = desk.image(case);
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: a, image: \"{image}\"}}]}}\n"
        );
        desk.file(&format!("{name}.pod"), text)
            .display()
            .to_string()
    };
    let (one, two, image) = (
        pod("one", "signed"),
        pod("two", "unsigned"),
        desk.image("annotated"),
    );
    let ended = verify(
        desk.signed_by_release(),
        ["-o", "json", "-f", &one, "-f", &two, &image],
    )
    .end();
    let expected = [
        ("", "admit"),
        ("Pod/one spec.containers[0].image", "admit"),
        ("Pod/two spec.containers[0].image", "deny"),
    ];
    assert_eq!(
        fields(&ended),
        expected.map(|(field, verdict)| (field.to_owned(), verdict.to_owned()))
    );
    assert_eq!(ended.code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_runs_no_image_is_said_to_be_passed_over() {
    let desk = Desk::new().await;
    let ended = piped(
        &desk,
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n",
    );
    assert_eq!(ended.code, 0);
    assert_eq!(
        ended.stderr,
        "not judged, since their kinds are not covered: Service/s\n"
    );
}

#[rstest]
#[case::nothing("", "holds no object")]
#[case::empty_documents("---\n# nothing\n---\n", "holds no object")]
#[case::no_yaml("a: [\n", "is not YAML")]
#[case::no_object("- a\n", "no apiVersion or no kind")]
#[case::no_kind("apiVersion: v1\n", "no apiVersion or no kind")]
#[case::a_second_document_without_kind(
    "apiVersion: v1\nkind: Service\n---\napiVersion: v1\n",
    "document 2 of -"
)]
#[case::a_key_twice("apiVersion: v1\nkind: Pod\nkind: Service\n", "duplicate")]
#[case::a_list_of_nothing_readable(
    "apiVersion: v1\nkind: List\nitems: {a: b}\n",
    "its items are not a list"
)]
#[case::an_item_without_kind(
    "apiVersion: v1\nkind: List\nitems: [{}]\n",
    "no apiVersion or no kind"
)]
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_cannot_be_read_is_never_passed_over(
    #[case] manifest: &str,
    #[case] phrase: &str,
) {
    let desk = Desk::new().await;
    let ended = piped(&desk, manifest);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(
        ended.stderr.contains(phrase),
        "{phrase:?} is not in {}",
        ended.stderr
    );
}

#[rstest]
#[case::no_spec("{}")]
#[case::containers_are_no_list("{containers: {a: b}}")]
#[case::a_container_without_an_image("{containers: [{name: a}]}")]
#[case::an_image_that_is_no_text("{containers: [{name: a, image: 7}]}")]
#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_images_cannot_be_read_is_denied(#[case] spec: &str) {
    let desk = Desk::new().await;
    let ended = piped(
        &desk,
        &format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {spec}\n"),
    );
    let found = (ended.code, ended.json()["images"].as_array().unwrap().len());
    // A Pod without containers runs nothing; the API server refuses it by itself.
    let expected = if spec == "{}" { (0, 0) } else { (1, 1) };
    assert_eq!(found, expected, "{ended:?}");
}
