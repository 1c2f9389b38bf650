//! Policies that are given away, over images that a GitHub workflow attested on the record of the default root.

use std::path::Path;

use serde_json::Value;
use vouchsafe::verdict::{Judgement, Reason};

use crate::sigstore::{Act, Form, Identity, Subject};
use crate::stage::{PROVENANCE, Stage};

/// The one authority of a policy, as it ships.
pub(crate) fn authority(policy: &str) -> Value {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let text = std::fs::read_to_string(policies.join(policy).join("policy.yaml")).unwrap();
    let policy: Value = serde_saphyr::from_str(&text).unwrap();
    policy["spec"]["authorities"][0].clone()
}

/// What becomes of an image with this provenance, attested in this form by this workflow: its repository, its file and the ref it stood at.
pub(crate) async fn attested(
    authority: &Value,
    form: Form,
    workflow: [&str; 3],
    provenance: Value,
) -> (Judgement, Reason) {
    let stage = Stage::new().await;
    let [repository, file, reference] = workflow;
    let act = Act::by(Identity::workflow(repository, file, reference));
    let image = stage.image();
    let subject = Subject::of(&image.bytes).predicate(PROVENANCE, provenance);
    let signed = stage.sigstore.sign(form, &subject, &act);
    stage.keep(&image, &signed);
    let root = stage.root();
    let verdict = stage
        .judged_under(&image, authority, None, Some(&root))
        .await;
    (verdict.judgement, verdict.reason)
}
