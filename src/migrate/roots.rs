//! One TrustRoot.

use super::{Finding, Severity, Subject};
use crate::api;
use crate::apply::{self, Severity as Applied};

/// What is found in one.
pub(super) fn check(subject: &Subject, root: &api::TrustRoot) -> Vec<Finding> {
    let refused = apply::check_trust_root(root);
    let refused = refused
        .iter()
        .filter(|finding| finding.severity == Applied::Refused);
    let mut found: Vec<Finding> = refused
        .map(|finding| {
            subject.finding(
                Severity::Blocks,
                "refused",
                finding.problem.fields().join(", "),
                format!(
                    "it is refused when it is applied ({}), and policies that name it deny",
                    finding.problem.message()
                ),
                ["correct it; vouchsafe lint says what is wrong"],
            )
        })
        .collect();
    if root.spec.remote.is_some() {
        found.push(subject.finding(
            Severity::Note,
            "mirror",
            "spec.remote.mirror",
            "Vouchsafe asks the mirror itself".to_owned(),
            ["let its Pods reach the mirror, and give --state-dir a volume that lasts"],
        ));
    }
    let keys = root.spec.sigstore_keys.as_ref();
    let authorities = keys.map_or(0, |keys| keys.timestamp_authorities.len());
    if authorities > 1 {
        found.push(subject.finding(
            Severity::Changes,
            "timestamp-authorities",
            format!("{}.timestampAuthorities", api::SigstoreKeys::PATH),
            format!(
                "all {authorities} timestamp authorities count; policy-controller uses the last one"
            ),
            ["take away those that are not to be trusted"],
        ));
    }
    found
}
