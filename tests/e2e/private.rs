//! A whole Sigstore of one's own, of real parts: what cosign writes with its certificates is admitted under a policy that trusts it, and
//! nothing else is.
//!
//! | file | what |
//! |---|---|
//! | `issuer` | says who people are (OpenID Connect) |
//! | `services` | Fulcio, the timestamp authority, the logs |
//! | `signing` | how cosign signs by them, and how a cluster is told to trust them |

mod issuer;
mod services;
mod signing;

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::process::succeed;
use crate::registries::Kind;
use crate::sigstore::{Sigstore, certificate};
use crate::stage::{Cosign, Image, Judged, Key, Stage};
use crate::tools::trial;
use services::{Log, Services};
use signing::{Shape, Trusted};

const WHO: &str = "release@shop.example";
const STRANGER: &str = "stranger@shop.example";
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// The timestamp authority has a port that cannot be chosen.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// How Vouchsafe is told whom to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// By a `TrustRoot` that the policy names.
    Resource,
    /// By `--trusted-root`, a file as cosign writes it.
    File,
}

pub(crate) fn trials() -> Vec<Trial> {
    let cases = [
        (Log::Nowhere, Shape::Bundle, Told::Resource),
        (Log::Nowhere, Shape::Tags, Told::Resource),
        (Log::V2, Shape::Bundle, Told::Resource),
        (Log::V2, Shape::Bundle, Told::File),
        (Log::V1, Shape::Bundle, Told::Resource),
        (Log::V1, Shape::Tags, Told::Resource),
        (Log::V1, Shape::Bundle, Told::File),
        (Log::V1, Shape::Tags, Told::File),
    ];
    let case = |(log, shape, told): (Log, Shape, Told)| {
        let kept = shape.name();
        let root = match told {
            Told::Resource => "TrustRoot",
            Told::File => "trusted-root.json",
        };
        let name = format!("a private sigstore: {kept}, {}, {root}", log.name());
        trial(name, &log.needs(), move || play(log, shape, told))
    };
    cases.into_iter().map(case).collect()
}

fn play(log: Log, shape: Shape, told: Told) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let stage = Stage::new(Kind::Olareg, Cosign::Three);
    let folder = stage.path("sigstore");
    std::fs::create_dir(&folder).unwrap();
    let services = Services::start(log, &folder);
    let play = Play {
        stage,
        services,
        shape,
        told,
    };

    let signed = play.stage.image("signed");
    play.sign(&signed, WHO);
    play.attest(&signed, WHO);
    let strangers = play.stage.image("strangers");
    play.sign(&strangers, STRANGER);
    play.attest(&strangers, STRANGER);
    let unsigned = play.stage.image("unsigned");

    for wanted in [json!({}), provenance()] {
        let judged = |image: &Image, root: &str| play.judged(image, &wanted, root);
        judged(&signed, "ours").admitted();
        judged(&strangers, "ours").denied(STRANGER);
        judged(&unsigned, "ours").denied("no ");
        judged(&signed, "elsewhere").denied("no matching");
        if log != Log::Nowhere {
            judged(&signed, "unlogged").denied("no matching");
        }
        if log == Log::V1 {
            judged(&signed, "uncertified").denied("no matching");
        }
    }
    if log == Log::V1 && told == Told::Resource {
        by_key(&play);
    }
}

/// A key needs no log; where a policy asks for one, its entry must be there.
fn by_key(play: &Play) {
    let stage = &play.stage;
    let (logged, alone) = (stage.image("logged"), stage.image("alone"));
    play.sign_by_key(&logged);
    stage.sign(&alone, Key::Release);
    let wanting = |ctlog: Value| {
        let authority =
            json!({"name": "release", "key": {"data": stage.release_key()}, "ctlog": ctlog});
        move |image: &Image, root: &str| {
            let policy = play.written(&authority, root);
            stage.verify(&policy, &image.by_digest)
        }
    };
    let asks_nobody = wanting(json!({}));
    asks_nobody(&logged, "ours").admitted();
    asks_nobody(&alone, "ours").admitted();
    for root in ["ours", "elsewhere", "unlogged"] {
        let asks = wanting(json!({"url": play.services.rekor(), "trustRootRef": root}));
        let judged = asks(&logged, root);
        if root == "ours" {
            judged.admitted();
        } else {
            judged.denied("no matching");
        }
        asks(&alone, root).denied("no matching");
    }
}

/// What is on the stage.
struct Play {
    stage: Stage,
    services: Services,
    shape: Shape,
    told: Told,
}

fn provenance() -> Value {
    json!({"attestations": [{"name": "provenance", "predicateType": PROVENANCE}]})
}

// === impl Play ===

impl Play {
    fn sign(&self, image: &Image, who: &str) {
        let mut command = self.cosign("sign", who);
        succeed(command.arg(&image.by_digest));
    }

    fn attest(&self, image: &Image, who: &str) {
        let predicate = self.stage.path("predicate.json");
        std::fs::write(&predicate, json!({"builder": {"id": "e2e"}}).to_string()).unwrap();
        let mut command = self.cosign("attest", who);
        command
            .args(["--type", PROVENANCE, "--predicate"])
            .arg(predicate);
        succeed(command.arg(&image.by_digest));
    }

    /// Signs with the key of the release, and logs that.
    fn sign_by_key(&self, image: &Image) {
        let mut command = self.stage.tool("cosign");
        command.args(["sign", "-y", "--key", "release.key"]);
        command
            .arg("--trusted-root")
            .arg(self.services.file("trusted-root.json"));
        match self.shape {
            Shape::Bundle => {
                command
                    .arg("--signing-config")
                    .arg(self.services.file("signing-config.json"));
            }
            Shape::Tags => {
                command
                    .args(["--use-signing-config=false", "--new-bundle-format=false"])
                    .args(["--rekor-url", &self.services.rekor()]);
            }
        }
        succeed(command.arg(&image.by_digest));
    }

    fn cosign(&self, verb: &str, who: &str) -> Command {
        signing::cosign(&self.stage, &self.services, self.shape, verb, who)
    }

    /// What `vouchsafe verify` says under a policy that trusts [`WHO`] under this root: `ours`, that of somebody `elsewhere`, or one that
    /// does not know the log (`unlogged`), or not the log of certificates (`uncertified`).
    fn judged(&self, image: &Image, wanted: &Value, root: &str) -> Judged {
        let policy = self.policy(wanted, root);
        match self.told {
            Told::Resource => self.stage.verify(&policy, &image.by_digest),
            Told::File => {
                let file = self.trusted_root(root);
                let rest = ["--trusted-root", file.to_str().unwrap()];
                self.stage.verify_with(&policy, &image.by_digest, &rest)
            }
        }
    }

    /// A file with the policy, and with the `TrustRoot` that it names.
    fn policy(&self, wanted: &Value, root: &str) -> PathBuf {
        let mut authority = json!({"name": "release", "keyless": {
            "url": self.services.fulcio(),
            "insecureIgnoreSCT": self.services.log != Log::V1,
            "identities": [{"issuer": self.services.issuer.url(), "subject": WHO}],
        }});
        if self.told == Told::Resource {
            authority["keyless"]["trustRootRef"] = json!(root);
        }
        if self.services.log == Log::Nowhere {
            authority["rfc3161timestamp"] = json!({"trustRootRef": root});
        }
        let wanted = wanted.as_object().unwrap().clone();
        if self.services.log == Log::V1 && self.told == Told::Resource && !wanted.is_empty() {
            authority["ctlog"] = json!({"url": self.services.rekor(), "trustRootRef": root});
        }
        authority.as_object_mut().unwrap().extend(wanted);
        self.written(&authority, root)
    }

    /// A file with a policy of this authority.
    fn written(&self, authority: &Value, root: &str) -> PathBuf {
        let policy = json!({
            "apiVersion": "policy.sigstore.dev/v1beta1",
            "kind": "ClusterImagePolicy",
            "metadata": {"name": "release"},
            "spec": {"images": [{"glob": "**"}], "authorities": [authority]},
        });
        let mut documents = vec![policy.to_string()];
        if self.told == Told::Resource {
            documents.push(self.trust_root(root).to_string());
        }
        let file = self.stage.path(&format!("{root}.yaml"));
        std::fs::write(&file, documents.join("\n---\n")).unwrap();
        file
    }

    /// The root as a file.
    fn trusted_root(&self, name: &str) -> PathBuf {
        let ours = self.services.file("trusted-root.json");
        let stranger = || Sigstore::new().trusted_root().json();
        let content = match name {
            "ours" => return ours,
            "elsewhere" => stranger(),
            _ => {
                let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
                let mut root = read(&std::fs::read_to_string(ours).unwrap());
                let lost = if name == "unlogged" {
                    "tlogs"
                } else {
                    "ctlogs"
                };
                root[lost] = read(&stranger())[lost].clone();
                root.to_string()
            }
        };
        let file = self.stage.path(&format!("{name}.json"));
        std::fs::write(&file, content).unwrap();
        file
    }

    /// A `TrustRoot` of this name, with the services that run, or those of a stranger in their place.
    fn trust_root(&self, name: &str) -> Value {
        let stranger = Sigstore::new();
        let pem = |chain: Vec<Vec<u8>>| chain.iter().map(|der| certificate::pem(der)).collect();
        let mut trusted = Trusted::of(&self.services);
        if name == "elsewhere" {
            trusted.authorities = pem(stranger.ca.chain());
            trusted.stamps = pem(stranger.tsa.chain());
        }
        if matches!(name, "unlogged" | "elsewhere") {
            let another = |_| stranger.rekor_v2.key.pem();
            trusted.log = trusted.log.map(another);
        }
        if matches!(name, "uncertified" | "elsewhere") {
            let another = |_| stranger.ct.key.pem();
            trusted.certificates = trusted.certificates.map(another);
        }
        trusted.trust_root(name, &self.services)
    }
}
