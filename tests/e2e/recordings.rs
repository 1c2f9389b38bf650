//! What real cosign wrote, recorded by `vouchsafe verify --record` and judged again by `vouchsafe test` when the registry is gone.

use std::path::Path;

use libtest_mimic::Trial;

use crate::process::finish;
use crate::registries::Kind;
use crate::stage::{Cosign, Key, Stage, TEKTON_CHAINS};
use crate::tools::trial;

/// The trials.
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for kind in [
        Kind::Olareg,
        Kind::Distribution,
        Kind::DistributionWithPassword,
    ] {
        for cosign in [Cosign::Three, Cosign::Two] {
            let name = format!(
                "{}, {}: what was recorded is judged the same offline",
                kind.name(),
                cosign.name()
            );
            trials.push(trial(name, &Stage::needs(kind, cosign), move || {
                replayed(kind, cosign);
            }));
        }
    }
    trials
}

fn replayed(kind: Kind, cosign: Cosign) {
    let mut stage = Stage::new(kind, cosign);
    let [signed, bundled, strange, unsigned] =
        ["signed", "bundled", "strange", "unsigned"].map(|name| stage.image(name));
    stage.sign(&signed, Key::Release);
    stage.attest(&signed, Key::Release, TEKTON_CHAINS);
    stage.sign(&strange, Key::Stranger);
    if cosign == Cosign::Three {
        stage.sign_as_bundle(&bundled, Key::Release);
    }
    let folders: Vec<_> = [stage.signed(), stage.built()]
        .iter()
        .map(|policy| {
            let folder = policy.with_extension("recorded");
            let mut command = stage.vouchsafe();
            command
                .args(["verify", "--policies"])
                .arg(policy)
                .arg("--record")
                .arg(&folder);
            for image in [&signed, &bundled, &strange, &unsigned] {
                command.args([&image.by_tag, &image.by_digest]);
            }
            let done = finish(&mut command);
            assert_eq!(
                done.status.code(),
                Some(1),
                "{}{}",
                done.stdout,
                done.stderr
            );
            assert!(done.stderr.contains("recorded: "), "{}", done.stderr);
            folder
        })
        .collect();
    stage.stop_registry();
    stage.log_out();
    for folder in &folders {
        let done = finish(stage.vouchsafe().arg("test").arg(folder));
        assert_eq!(done.status.code(), Some(0), "{}", done.stdout);
        assert!(done.stdout.contains("8 cases: 8 passed"), "{}", done.stdout);
    }
    let admitted = |folder: &Path| {
        let text = std::fs::read_to_string(folder.join("vouchsafe-test.yaml")).unwrap();
        text.matches("verdict: admit").count()
    };
    let bundles = if cosign == Cosign::Three { 2 } else { 0 };
    assert_eq!(admitted(&folders[0]), 2 + bundles);
    assert_eq!(admitted(&folders[1]), 2);
}
