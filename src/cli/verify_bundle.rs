//! `vouchsafe verify-bundle`: judge one sigstore bundle over a file or digest, in the words of the sigstore-conformance client protocol.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::Timestamp;

use super::{Exit, note, print};
use crate::app::roots;
use crate::evidence::{Candidate, bundle};
use crate::explain;
use crate::image::Digest;
use crate::limits::Limits;
use crate::trust::TrustMaterial;
use crate::verify::{
    self, Expected, Identities, Identity, KeyRequirement, KeyWitness, KeylessRequirement,
    KeylessWitness, Message, Pattern, PublicKey, Requirement, Sct,
};

/// The largest bundle that is read, in bytes.
const BUNDLE_BYTES: u64 = 32 << 20;
/// The largest file that is verified by its bytes; of a larger one give the digest.
const ARTIFACT_BYTES: u64 = 1 << 30;
/// The largest key that is read, in bytes.
const KEY_BYTES: u64 = 64 << 10;

/// Arguments of `verify-bundle`.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes:
  0  verified
  1  rejected: the bundle does not prove what was asked
  2  the command line or a file cannot be used
  3  not judged: the trusted root or the key cannot be used

Examples:
  vouchsafe verify-bundle --bundle app.sigstore.json --certificate-identity dev@example.com \\
    --certificate-oidc-issuer https://accounts.google.com app.tar.gz
  vouchsafe verify-bundle --bundle app.sigstore.json --key release.pub sha256:4afdc0eb…

Nothing is asked over the network: the bundle carries its proof.")]
pub(super) struct VerifyBundleArgs {
    /// The bundle, of version 0.1 to 0.3
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,

    /// The identity that must have signed: an e-mail address, a URI or a user name
    #[arg(long, value_name = "IDENTITY", required_unless_present_any = ["key", "certificate_identity_regexp"])]
    certificate_identity: Option<String>,

    /// A regular expression for the identity, in Go's dialect; anchor it with ^ and $
    #[arg(long, value_name = "REGEXP", conflicts_with = "certificate_identity")]
    certificate_identity_regexp: Option<String>,

    /// Who must vouch for the identity
    #[arg(long, value_name = "URL", required_unless_present_any = ["key", "certificate_oidc_issuer_regexp"])]
    certificate_oidc_issuer: Option<String>,

    /// A regular expression for the issuer, in Go's dialect; anchor it with ^ and $
    #[arg(
        long,
        value_name = "REGEXP",
        conflicts_with = "certificate_oidc_issuer"
    )]
    certificate_oidc_issuer_regexp: Option<String>,

    /// The public key that must have signed, in PEM, instead of an identity
    #[arg(long, value_name = "FILE", conflicts_with_all = ["certificate_identity", "certificate_identity_regexp", "certificate_oidc_issuer", "certificate_oidc_issuer_regexp"])]
    key: Option<PathBuf>,

    /// A trusted_root.json; default: the public Sigstore
    #[arg(long, value_name = "FILE", env = "VOUCHSAFE_TRUSTED_ROOT")]
    trusted_root: Option<PathBuf>,

    /// Trust the staging instance of the public Sigstore, instead of its production
    #[arg(long, conflicts_with = "trusted_root")]
    staging: bool,

    /// Ask for no entry in a transparency log
    #[arg(long)]
    insecure_ignore_tlog: bool,

    /// Accept a certificate without a proof that it was logged
    #[arg(long)]
    insecure_ignore_sct: bool,

    /// Ask for a signed timestamp (RFC 3161)
    #[arg(long)]
    use_signed_timestamps: bool,

    /// The file that was signed, or its digest: sha256:HEX
    #[arg(value_name = "FILE_OR_DIGEST")]
    artifact: String,
}

/// What is judged.
enum Artifact {
    Digest(Digest),
    Bytes(Vec<u8>),
}

pub(super) fn run(args: &VerifyBundleArgs) -> anyhow::Result<Exit> {
    let bytes = read(&args.bundle, BUNDLE_BYTES)?;
    let candidate = bundle::read(&bytes, Digest::sha256_of(&bytes));
    let artifact = artifact(&args.artifact)?;
    let message = match &artifact {
        Artifact::Digest(digest) => Message::Digest(digest),
        Artifact::Bytes(bytes) => Message::Bytes(bytes),
    };
    let trust = match roots::trusted(args.trusted_root.as_deref(), args.staging)? {
        Ok(trust) => Arc::new(trust),
        Err(error) => return unjudged(&error),
    };
    let requirement = match &args.key {
        None => Requirement::Keyless(keyless(args, &candidate, trust)?),
        Some(file) => {
            let pem = String::from_utf8_lossy(&read(file, KEY_BYTES)?).into_owned();
            match PublicKey::from_pem(&pem) {
                Ok(key) => Requirement::Key(by_key(args, key, trust)),
                Err(error) => return unjudged(&format_args!("key {}: {error}", file.display())),
            }
        }
    };
    let limits = Limits::default().evidence;
    let verified = verify::artifact(&candidate, message, &requirement, &limits, Timestamp::now());
    match verified {
        Ok(verified) => {
            let said = explain::signed(verified.signer(), verified.time());
            print(&format!("verified: {said}\n"))?;
            Ok(Exit::Success)
        }
        Err(rejection) => {
            print(&format!("rejected: {}\n", explain::rejection(&rejection)))?;
            Ok(Exit::Deny)
        }
    }
}

fn unjudged(why: &impl std::fmt::Display) -> anyhow::Result<Exit> {
    note(&format!("not judged: {why}"));
    Ok(Exit::Unknown)
}

fn by_key(args: &VerifyBundleArgs, key: PublicKey, trust: Arc<TrustMaterial>) -> KeyRequirement {
    let witness = match (args.insecure_ignore_tlog, args.use_signed_timestamps) {
        (false, _) => KeyWitness::Log(trust),
        (true, true) => KeyWitness::TimestampsIfPresent(trust),
        (true, false) => KeyWitness::WaivedByPolicy,
    };
    KeyRequirement { key, witness }
}

fn keyless(
    args: &VerifyBundleArgs,
    candidate: &Candidate,
    trust: Arc<TrustMaterial>,
) -> anyhow::Result<KeylessRequirement> {
    let stamped = candidate
        .material
        .as_ref()
        .is_ok_and(|material| !material.timestamps.is_empty());
    let witness = match (args.insecure_ignore_tlog, args.use_signed_timestamps) {
        (false, true) => KeylessWitness::LogAndTimestamps,
        (false, false) => KeylessWitness::Log,
        (true, true) => KeylessWitness::Timestamps,
        // Without a log a timestamp is what can tell when; without either, the certificate must be valid now.
        (true, false) if stamped => KeylessWitness::Timestamps,
        (true, false) => KeylessWitness::WaivedByPolicy,
    };
    let identity = Identity {
        issuer: expected(
            args.certificate_oidc_issuer.as_deref(),
            args.certificate_oidc_issuer_regexp.as_deref(),
        )
        .context("--certificate-oidc-issuer")?,
        subject: expected(
            args.certificate_identity.as_deref(),
            args.certificate_identity_regexp.as_deref(),
        )
        .context("--certificate-identity")?,
    };
    let sct = if args.insecure_ignore_sct {
        Sct::WaivedByPolicy
    } else {
        Sct::Required
    };
    Ok(KeylessRequirement {
        identities: Identities::new(vec![identity]).context("an identity is needed")?,
        trust,
        sct,
        witness,
    })
}

fn expected(exact: Option<&str>, pattern: Option<&str>) -> anyhow::Result<Expected> {
    match (exact, pattern) {
        (Some(exact), _) if !exact.is_empty() => Ok(Expected::Exact(exact.to_owned())),
        (None, Some(pattern)) => Ok(Expected::Pattern(Pattern::new(pattern)?)),
        _ => bail!("an identity and its issuer are needed, and may not be empty"),
    }
}

/// A digest, unless there is a file of that name.
fn artifact(written: &str) -> anyhow::Result<Artifact> {
    let path = Path::new(written);
    match written.parse() {
        Ok(digest) if !path.exists() => Ok(Artifact::Digest(digest)),
        _ => read(path, ARTIFACT_BYTES).map(Artifact::Bytes),
    }
}

fn read(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    if u64::try_from(bytes.len())? > limit {
        bail!(
            "{} is larger than the {limit} bytes that are read",
            path.display()
        );
    }
    Ok(bytes)
}
