//! A working folder with a registry: keys, images, signatures and attestations by real tools, policies, and verdicts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{finish, succeed};
use crate::registries::{Kind, Registry, USER};
use crate::tools;

/// The builder that [`Stage::built`] asks for.
pub(crate) const TEKTON_CHAINS: &str = "https://tekton.dev/chains/v2";
/// Another one.
pub(crate) const ELSEWHERE: &str = "https://builder.example/elsewhere";

/// Which cosign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cosign {
    /// The current one, which writes bundles unless it is told otherwise.
    Three,
    /// The previous one, which writes tags unless it is told otherwise.
    Two,
}

/// In which form evidence is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Under the tags `.sig` and `.att`.
    Tags,
    /// As Sigstore bundles that refer to the image.
    Bundles,
}

/// A key: one that the policies name, and one that they do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Release,
    Stranger,
}

/// An image in the registry.
pub(crate) struct Image {
    /// `HOST/REPOSITORY:v1`.
    pub(crate) by_tag: String,
    /// `HOST/REPOSITORY@sha256:…`.
    pub(crate) by_digest: String,
}

/// What `vouchsafe verify` answered.
pub(crate) struct Judged {
    exit: Option<i32>,
    said: String,
}

/// The program that is tested, see [`take_program`].
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// A working folder with a registry.
pub(crate) struct Stage {
    cosign: Cosign,
    form: Form,
    folder: TempDir,
    host: String,
    registry: Option<Registry>,
}

/// A signing config of cosign that names no service.
const NO_SERVICES: &str = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}"#;

/// Copies the program as it is now built into `folder`; every stage runs that copy.
pub(crate) fn take_program(folder: &Path) {
    let copy = folder.join("vouchsafe");
    std::fs::copy(env!("CARGO_BIN_EXE_vouchsafe"), &copy).unwrap();
    PROGRAM.get_or_init(|| copy);
}

// === impl Cosign ===

impl Cosign {
    /// As trials are named.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Three => "cosign 3",
            Self::Two => "cosign 2",
        }
    }

    /// As `tests/tools/install` names it.
    pub(crate) fn tool(self) -> &'static str {
        match self {
            Self::Three => "cosign",
            Self::Two => "cosign2",
        }
    }

    /// This form, and no transparency log, which is not on this machine.
    fn offline(self, form: Form) -> &'static [&'static str] {
        match (self, form) {
            (Self::Three | Self::Two, Form::Bundles) => &[
                "--new-bundle-format=true",
                "--signing-config=signing-config.json",
                "-y",
            ],
            (Self::Three, Form::Tags) => &[
                "--use-signing-config=false",
                "--new-bundle-format=false",
                "--tlog-upload=false",
                "-y",
            ],
            (Self::Two, Form::Tags) => &["--tlog-upload=false", "-y"],
        }
    }
}

// === impl Form ===

impl Form {
    /// As trials are named.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Bundles => "bundles",
        }
    }
}

// === impl Key ===

impl Key {
    fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Stranger => "stranger",
        }
    }
}

// === impl Judged ===

impl Judged {
    /// It must be admitted.
    pub(crate) fn admitted(&self) {
        assert_eq!(self.exit, Some(0), "{}", self.said);
    }

    /// It must be denied, in these words.
    pub(crate) fn denied(&self, phrase: &str) {
        assert_eq!(self.exit, Some(1), "{}", self.said);
        assert!(
            self.said.contains(phrase),
            "{phrase:?} not in {}",
            self.said
        );
    }

    /// It must be answered that this could not be judged, for this reason, and not that anything is unsigned.
    pub(crate) fn unjudged(&self, reason: &str) {
        assert_eq!(self.exit, Some(3), "{}", self.said);
        assert!(
            self.said.contains(reason),
            "{reason:?} not in {}",
            self.said
        );
        assert!(!self.said.contains("no signatures found"), "{}", self.said);
    }
}

// === impl Stage ===

impl Stage {
    /// A registry and both keys; evidence is kept under tags.
    pub(crate) fn new(kind: Kind, cosign: Cosign) -> Self {
        Self::with_form(kind, cosign, Form::Tags)
    }

    /// A registry and both keys.
    pub(crate) fn with_form(kind: Kind, cosign: Cosign, form: Form) -> Self {
        let folder = TempDir::new().unwrap();
        let registry = Registry::start(kind, folder.path());
        let stage = Self::around(folder, registry, cosign, form);
        if kind == Kind::DistributionWithPassword {
            stage.log_in(USER.1);
        }
        stage
    }

    /// Both keys, and a registry that runs already and has its settings in `folder`.
    pub(crate) fn around(folder: TempDir, registry: Registry, cosign: Cosign, form: Form) -> Self {
        let stage = Self {
            cosign,
            form,
            folder,
            host: registry.host(),
            registry: Some(registry),
        };
        std::fs::create_dir(stage.docker_config()).unwrap();
        std::fs::write(stage.path("signing-config.json"), NO_SERVICES).unwrap();
        for key in [Key::Release, Key::Stranger] {
            let arguments = ["generate-key-pair", "--output-key-prefix", key.name()];
            succeed(stage.tool(cosign.tool()).args(arguments));
        }
        stage
    }

    /// The tools that a stage needs.
    pub(crate) fn needs(kind: Kind, cosign: Cosign) -> [&'static str; 3] {
        ["crane", kind.tool(), cosign.tool()]
    }

    /// From now on nothing listens where the registry was.
    pub(crate) fn stop_registry(&mut self) {
        self.registry = None;
    }

    /// From now on [`USER`] comes with this password.
    pub(crate) fn log_in(&self, password: &str) {
        let auth = STANDARD.encode(format!("{}:{password}", USER.0));
        self.write(
            "docker/config.json",
            &json!({"auths": {self.host.as_str(): {"auth": auth}}}),
        );
    }

    /// From now on nobody is logged in.
    pub(crate) fn log_out(&self) {
        self.write("docker/config.json", &json!({}));
    }

    /// Pushes an image of its own to `t/NAME:v1`.
    pub(crate) fn image(&self, name: &str) -> Image {
        self.image_at(&format!("t/{name}"))
    }

    /// Pushes an image of its own to `REPOSITORY:v1`.
    pub(crate) fn image_at(&self, repository: &str) -> Image {
        std::fs::write(self.path("app.txt"), repository).unwrap();
        succeed(
            self.command(Path::new("tar"))
                .args(["-cf", "layer.tar", "app.txt"]),
        );
        let by_tag = format!("{}/{repository}:v1", self.host());
        let push = [
            "append",
            "--oci-empty-base",
            "-f",
            "layer.tar",
            "-t",
            &by_tag,
        ];
        let by_digest = succeed(self.tool("crane").args(push)).trim().to_owned();
        assert!(by_digest.contains("@sha256:"), "crane said {by_digest}");
        Image { by_tag, by_digest }
    }

    /// `cosign sign`.
    pub(crate) fn sign(&self, image: &Image, key: Key) {
        let mut command = self.signing("sign", key);
        succeed(command.arg(&image.by_digest));
    }

    /// `cosign attest` of SLSA provenance v0.2 by this builder.
    pub(crate) fn attest(&self, image: &Image, key: Key, builder: &str) {
        let predicate = json!({
            "builder": {"id": builder},
            "buildType": "tekton.dev/v1beta1/TaskRun",
            "invocation": {},
            "materials": [],
        });
        let file = self.write("predicate.json", &predicate);
        let mut command = self.signing("attest", key);
        command
            .args(["--type", "slsaprovenance", "--predicate"])
            .arg(file);
        succeed(command.arg(&image.by_digest));
    }

    /// `cosign sign` as cosign 3 does by itself: a bundle that refers to the image.
    pub(crate) fn sign_as_bundle(&self, image: &Image, key: Key) {
        let mut command = self.tool(Cosign::Three.tool());
        command
            .args(["sign", "--key", &format!("{}.key", key.name())])
            .args(["--use-signing-config=false", "--tlog-upload=false", "-y"])
            .arg(&image.by_digest);
        succeed(&mut command);
    }

    /// `oras attach` of an SBOM: another thing that refers to the image, and that nobody signed.
    pub(crate) fn attach_sbom(&self, image: &Image) {
        std::fs::write(self.path("sbom.json"), r#"{"spdxVersion":"SPDX-2.3"}"#).unwrap();
        let mut command = self.tool("oras");
        command.args(["attach", "--plain-http", "--artifact-type"]);
        command.args(["application/spdx+json", &image.by_digest]);
        succeed(command.arg("sbom.json:application/spdx+json"));
    }

    fn signing(&self, verb: &str, key: Key) -> Command {
        let mut command = self.tool(self.cosign.tool());
        command
            .args([verb, "--key", &format!("{}.key", key.name())])
            .args(self.cosign.offline(self.form));
        command
    }

    /// A policy that asks for a signature by the release key.
    pub(crate) fn signed(&self) -> PathBuf {
        self.policy(
            "signed",
            &json!({"name": "release", "key": {"data": self.release_key()}}),
        )
    }

    /// A policy that asks for provenance by the release key and by [`TEKTON_CHAINS`].
    pub(crate) fn built(&self) -> PathBuf {
        let rego = format!(
            r#"package sigstore

builder := "{TEKTON_CHAINS}"

isCompliant[answer] {{
  input.predicate.builder.id == builder
  answer := {{"result": true}}
}}

isCompliant[answer] {{
  input.predicate.builder.id != builder
  answer := {{"result": false, "error": sprintf("built by %v, not by %v", [input.predicate.builder.id, builder])}}
}}
"#
        );
        let authority = json!({
            "name": "tekton-chains",
            "key": {"data": self.release_key()},
            "attestations": [{
                "name": "provenance",
                "predicateType": "https://slsa.dev/provenance/v0.2",
                "policy": {"type": "rego", "data": rego},
            }],
        });
        self.policy("built", &authority)
    }

    /// `vouchsafe verify`.
    pub(crate) fn verify(&self, policy: &Path, reference: &str) -> Judged {
        self.verify_with(policy, reference, &[])
    }

    /// `vouchsafe verify` with these arguments beside.
    pub(crate) fn verify_with(&self, policy: &Path, reference: &str, rest: &[&str]) -> Judged {
        let mut command = self.vouchsafe();
        command
            .arg("verify")
            .args(rest)
            .arg("--policies")
            .arg(policy)
            .arg(reference);
        let done = finish(&mut command);
        Judged {
            exit: done.status.code(),
            said: format!("{command:?}\n{}{}", done.stdout, done.stderr),
        }
    }

    /// The program as it is built, in this folder and with nothing of the user's own settings.
    pub(crate) fn vouchsafe(&self) -> Command {
        self.command(PROGRAM.get().unwrap())
    }

    /// Where the registry is, or was.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// A file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The public key that the policies name, in PEM.
    pub(crate) fn release_key(&self) -> String {
        std::fs::read_to_string(self.path("release.pub")).unwrap()
    }

    fn policy(&self, name: &str, authority: &Value) -> PathBuf {
        let policy = json!({
            "apiVersion": "policy.sigstore.dev/v1beta1",
            "kind": "ClusterImagePolicy",
            "metadata": {"name": name},
            "spec": {"images": [{"glob": "**"}], "authorities": [authority]},
        });
        self.write(&format!("{name}.json"), &policy)
    }

    fn write(&self, name: &str, value: &Value) -> PathBuf {
        let file = self.path(name);
        std::fs::write(&file, value.to_string()).unwrap();
        file
    }

    fn docker_config(&self) -> PathBuf {
        self.path("docker")
    }

    /// A real tool, in this folder and with nothing of the user's own settings.
    pub(crate) fn tool(&self, name: &str) -> Command {
        self.command(&tools::path(name))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("DOCKER_CONFIG", self.docker_config())
            .env("COSIGN_PASSWORD", "");
        command
    }
}
