//! What each cosign writes into each registry in each form, and what is answered to it: by tag and by digest, under both policies.
//! The verdicts are the same everywhere.

use libtest_mimic::Trial;

use crate::registries::Kind;
use crate::stage::{Cosign, ELSEWHERE, Form, Image, Judged, Key, Stage, TEKTON_CHAINS};
use crate::tools::trial;

/// What is done to an image.
#[derive(Clone, Copy)]
enum Step {
    Sign(Key),
    Attest(Key, &'static str),
}

/// What a policy is to answer.
#[derive(Clone, Copy)]
enum Answer {
    Admitted,
    Denied(&'static str),
}

/// One image: what is done to it, and what the policies *signed* and *built* are to answer.
struct Case {
    name: &'static str,
    steps: &'static [Step],
    signed: Answer,
    built: Answer,
}

const UNSIGNED: Answer = Answer::Denied("no signatures found");
const NO_PROVENANCE: Answer = Answer::Denied("no matching attestations with type");

const CASES: &[Case] = &[
    Case {
        name: "admits what the release key signed and tekton chains built",
        steps: &[
            Step::Sign(Key::Release),
            Step::Attest(Key::Release, TEKTON_CHAINS),
        ],
        signed: Answer::Admitted,
        built: Answer::Admitted,
    },
    Case {
        name: "denies what nobody signed",
        steps: &[],
        signed: UNSIGNED,
        built: NO_PROVENANCE,
    },
    Case {
        name: "denies what a stranger signed and attested",
        steps: &[
            Step::Sign(Key::Stranger),
            Step::Attest(Key::Stranger, TEKTON_CHAINS),
        ],
        signed: Answer::Denied("no matching signatures"),
        built: NO_PROVENANCE,
    },
    Case {
        name: "denies what was built elsewhere with the message of the policy",
        steps: &[
            Step::Sign(Key::Release),
            Step::Attest(Key::Release, ELSEWHERE),
        ],
        signed: Answer::Admitted,
        built: Answer::Denied(
            "built by https://builder.example/elsewhere, not by https://tekton.dev/chains/v2",
        ),
    },
    Case {
        name: "an attestation is no signature",
        steps: &[Step::Attest(Key::Release, TEKTON_CHAINS)],
        signed: UNSIGNED,
        built: Answer::Admitted,
    },
    Case {
        name: "a signature is no attestation",
        steps: &[Step::Sign(Key::Release)],
        signed: Answer::Admitted,
        built: NO_PROVENANCE,
    },
    Case {
        name: "one good attestation among others is enough",
        steps: &[
            Step::Attest(Key::Release, ELSEWHERE),
            Step::Attest(Key::Stranger, TEKTON_CHAINS),
            Step::Attest(Key::Release, TEKTON_CHAINS),
        ],
        signed: UNSIGNED,
        built: Answer::Admitted,
    },
    Case {
        name: "one good signature among others is enough and two bad halves are not",
        steps: &[
            Step::Sign(Key::Stranger),
            Step::Sign(Key::Release),
            Step::Attest(Key::Stranger, TEKTON_CHAINS),
            Step::Attest(Key::Release, ELSEWHERE),
        ],
        signed: Answer::Admitted,
        built: Answer::Denied("built by https://builder.example/elsewhere"),
    },
];

/// Every registry that keeps evidence in another way: with the referrers API, without it, and without OCI 1.1.
const KINDS: [Kind; 3] = [Kind::Olareg, Kind::Distribution, Kind::Distribution2];

/// Every case, for every registry, cosign and form; and what stands beside evidence.
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for kind in KINDS {
        for (cosign, form) in [
            (Cosign::Three, Form::Tags),
            (Cosign::Three, Form::Bundles),
            (Cosign::Two, Form::Tags),
            (Cosign::Two, Form::Bundles),
        ] {
            let place = format!("{}, {}, {}", kind.name(), cosign.name(), form.name());
            let needs = Stage::needs(kind, cosign);
            trials.extend(CASES.iter().map(|case| {
                trial(format!("{place}: {}", case.name), &needs, move || {
                    play(case, kind, cosign, form);
                })
            }));
            if cosign == Cosign::Three {
                let needs = [&needs[..], &["oras"]].concat();
                let name = format!("{place}: an SBOM beside the evidence changes nothing");
                trials.push(trial(name, &needs, move || {
                    beside_an_sbom(kind, cosign, form)
                }));
            }
        }
    }
    trials
}

/// An SBOM that somebody attached, before or after the evidence, is neither evidence nor in its way.
fn beside_an_sbom(kind: Kind, cosign: Cosign, form: Form) {
    let stage = Stage::with_form(kind, cosign, form);
    let (signed, unsigned) = (stage.image("signed"), stage.image("unsigned"));
    stage.attach_sbom(&signed);
    stage.sign(&signed, Key::Release);
    stage.attest(&signed, Key::Release, TEKTON_CHAINS);
    for image in [&signed, &unsigned] {
        stage.attach_sbom(image);
    }
    for (policy, denial) in [(stage.signed(), UNSIGNED), (stage.built(), NO_PROVENANCE)] {
        stage.verify(&policy, &signed.by_digest).admitted();
        denial.check(&stage.verify(&policy, &unsigned.by_digest));
    }
}

fn play(case: &Case, kind: Kind, cosign: Cosign, form: Form) {
    let stage = Stage::with_form(kind, cosign, form);
    let image = stage.image("app");
    for step in case.steps {
        step.take(&stage, &image);
    }
    for (policy, answer) in [(stage.signed(), case.signed), (stage.built(), case.built)] {
        for reference in [&image.by_tag, &image.by_digest] {
            answer.check(&stage.verify(&policy, reference));
        }
    }
}

// === impl Step ===

impl Step {
    fn take(self, stage: &Stage, image: &Image) {
        match self {
            Self::Sign(key) => stage.sign(image, key),
            Self::Attest(key, builder) => stage.attest(image, key, builder),
        }
    }
}

// === impl Answer ===

impl Answer {
    fn check(self, judged: &Judged) {
        match self {
            Self::Admitted => judged.admitted(),
            Self::Denied(phrase) => judged.denied(phrase),
        }
    }
}
