//! A registry that is gone: nothing is admitted, and nothing is called unsigned.

use libtest_mimic::Trial;

use crate::registries::Kind;
use crate::stage::{Cosign, Key, Stage};
use crate::tools::trial;

/// The trials.
pub(crate) fn trials() -> Vec<Trial> {
    let needs = Stage::needs(Kind::Olareg, Cosign::Three);
    let name = "a registry that is stopped: what it held can no longer be judged";
    vec![trial(name, &needs, stopped)]
}

fn stopped() {
    let mut stage = Stage::new(Kind::Olareg, Cosign::Three);
    let (image, policy) = (stage.image("app"), stage.signed());
    stage.sign(&image, Key::Release);
    stage.verify(&policy, &image.by_digest).admitted();

    stage.stop_registry();
    for reference in [&image.by_tag, &image.by_digest] {
        let judged = stage.verify(&policy, reference);
        judged.unjudged("registry-unreachable");
    }
}
