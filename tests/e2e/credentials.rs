//! A registry that asks who we are: the docker config answers, and without it nothing can be judged.

use libtest_mimic::Trial;

use crate::registries::Kind;
use crate::stage::{Cosign, Key, Stage};
use crate::tools::trial;

const KIND: Kind = Kind::DistributionWithPassword;
const COSIGN: Cosign = Cosign::Three;

/// The trials.
pub(crate) fn trials() -> Vec<Trial> {
    let name = "a registry with a password: judges with the docker config, and only with it";
    vec![trial(name, &Stage::needs(KIND, COSIGN), with_and_without)]
}

fn with_and_without() {
    let stage = Stage::new(KIND, COSIGN);
    let (signed, unsigned) = (stage.image("signed"), stage.image("unsigned"));
    stage.sign(&signed, Key::Release);
    let policy = stage.signed();

    for reference in [&signed.by_tag, &signed.by_digest] {
        stage.verify(&policy, reference).admitted();
    }
    let unsigned = stage.verify(&policy, &unsigned.by_digest);
    unsigned.denied("no signatures found");

    stage.log_out();
    for reference in [&signed.by_tag, &signed.by_digest] {
        stage.verify(&policy, reference).unjudged("registry-auth");
    }
    stage.log_in("wrong-horse");
    let refused = stage.verify(&policy, &signed.by_digest);
    refused.unjudged("registry-auth");
}
