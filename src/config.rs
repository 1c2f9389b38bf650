//! Command line and environment: what a user types ([`clap`] types, flat) and what the program needs (typed, validated).
//!
//! Every setting has an environment variable `VOUCHSAFE_<FLAG>`; what is asked of one run alone (`-f`, `--output`) has none.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::adapters::cloud::{Cloud, CloudSettings, HostPattern};
use crate::adapters::oci::{InsecureHosts, InvalidInsecureHost};
use crate::decide::TagMode;
use crate::verdict::NoMatchPolicy;

/// What `serve` and `verify` share: the policies, and how images are judged.
#[derive(Args, Clone, Debug)]
pub struct JudgeArgs {
    /// A file or folder with policies, trust roots, and the Secrets and ConfigMaps they refer to (YAML or JSON). May be given again
    #[arg(
        long,
        value_name = "PATH",
        env = "VOUCHSAFE_POLICIES",
        value_delimiter = ','
    )]
    pub policies: Vec<PathBuf>,

    /// The namespace of Secrets and ConfigMaps that name none; policies refer to those of no other
    #[arg(
        long,
        value_name = "NAME",
        default_value = "cosign-system",
        env = "VOUCHSAFE_NAMESPACE"
    )]
    pub namespace: String,

    /// What an image is answered that no policy matches
    #[arg(long, value_enum, default_value_t, env = "VOUCHSAFE_NO_MATCH_POLICY")]
    pub no_match_policy: NoMatch,

    /// A registry that speaks plain HTTP: host, host:port, *.suffix or CIDR. Loopback does by default. May be given again
    #[arg(
        long,
        value_name = "HOST",
        env = "VOUCHSAFE_INSECURE_REGISTRY",
        value_delimiter = ','
    )]
    pub insecure_registry: Vec<String>,

    /// PEM file with certificate authorities of registries, remote policies, key management services and trust mirrors, trusted beside those of the system
    #[arg(long, value_name = "FILE", env = "VOUCHSAFE_REGISTRY_CA")]
    pub registry_ca: Option<PathBuf>,

    /// What is done about tags, which name other bytes tomorrow
    ///
    /// `verify` judges manifests (-f) as they are behind /mutate; a tag on its command line is judged at the digest that it has now.
    #[arg(long, value_enum, default_value_t, env = "VOUCHSAFE_TAGS")]
    pub tags: Tags,

    /// A file with custom resources that run images, and where they name them (docs/kinds.md); read at start
    #[arg(long, value_name = "FILE", env = "VOUCHSAFE_KINDS")]
    pub kinds: Option<PathBuf>,

    /// What is different about single registries: certificates, mirrors, proxy, credentials (docs/registries.md)
    #[arg(long, value_name = "FILE", env = "VOUCHSAFE_REGISTRIES")]
    pub registries: Option<PathBuf>,

    /// A cloud whose registries are read with the identity of this process: ECR, Artifact Registry and GCR, ACR. May be given again.
    /// Without it none is (docs/registries.md)
    #[arg(
        long,
        value_enum,
        value_name = "CLOUD",
        env = "VOUCHSAFE_CLOUD_CREDENTIALS",
        value_delimiter = ','
    )]
    pub cloud_credentials: Vec<CloudIdentity>,

    /// Use the identity for these registries of clouds alone: a host, or `*.` and the end of hosts. By default for all of them. May be given again
    #[arg(
        long,
        value_name = "HOST",
        env = "VOUCHSAFE_CLOUD_REGISTRY",
        value_delimiter = ','
    )]
    pub cloud_registry: Vec<HostPattern>,

    /// What is trusted where policies name no TrustRoot.
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// `--cloud-credentials`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudIdentity {
    /// Every cloud of which the environment names an identity: IRSA, EKS Pod Identity, workload identity of Azure, a file of Google, or keys; no metadata service is asked
    Auto,
    /// AWS: the same, else the role of the machine by its metadata service
    Aws,
    /// Google Cloud: the same, else the metadata service (workload identity of GKE, or the machine)
    Gcp,
    /// Azure: the same, else the managed identity of the machine by its metadata service
    Azure,
}

/// Where trust comes from that no policy holds itself.
#[derive(Args, Clone, Debug, Default)]
pub struct TrustArgs {
    /// Trust this `trusted_root.json` where a policy names no TrustRoot, instead of the public Sigstore; read again when it changes
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "tuf_mirror",
        env = "VOUCHSAFE_TRUSTED_ROOT"
    )]
    pub trusted_root: Option<PathBuf>,

    /// Refresh that trust from this TUF mirror (the public one is <https://tuf-repo-cdn.sigstore.dev>). Without it nothing is
    /// asked: the trusted root that came with this program is used
    #[arg(long, value_name = "URL", env = "VOUCHSAFE_TUF_MIRROR")]
    pub tuf_mirror: Option<String>,

    /// The `root.json` with which trust in the mirror begins; without it, that of the public Sigstore
    #[arg(
        long,
        value_name = "FILE",
        requires = "tuf_mirror",
        env = "VOUCHSAFE_TUF_ROOT"
    )]
    pub tuf_root: Option<PathBuf>,

    /// A folder in which trust that was refreshed is kept over restarts
    #[arg(long, value_name = "FOLDER", env = "VOUCHSAFE_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `--tags`.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tags {
    /// Pods are pinned to the digest by /mutate, and denied without one; templates are judged at the digest that tags have now
    Pin,
    /// The same for templates: what makes Pods is rewritten too
    PinAll,
    /// Nothing is rewritten: judged is the digest that a tag has now, with a warning that it may move
    #[default]
    Resolve,
    /// Nothing is rewritten, and an image without a digest is denied
    Require,
}

impl Tags {
    /// The same where nothing is rewritten: what would be pinned is judged at the digest that its tag has now.
    #[must_use]
    pub fn unpinned(self) -> Self {
        match self {
            Self::Pin | Self::PinAll | Self::Resolve => Self::Resolve,
            Self::Require => Self::Require,
        }
    }
}

impl From<Tags> for TagMode {
    fn from(written: Tags) -> Self {
        match written {
            Tags::Pin => Self::Pin,
            Tags::PinAll => Self::PinAll,
            Tags::Resolve => Self::Resolve,
            Tags::Require => Self::Require,
        }
    }
}

/// `--no-match-policy`.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoMatch {
    /// Deny it
    #[default]
    Deny,
    /// Admit it
    Allow,
    /// Admit it with a warning
    Warn,
}

impl From<NoMatch> for NoMatchPolicy {
    fn from(written: NoMatch) -> Self {
        match written {
            NoMatch::Deny => Self::Deny,
            NoMatch::Allow => Self::Allow,
            NoMatch::Warn => Self::Warn,
        }
    }
}

impl JudgeArgs {
    /// The registries that may be spoken to over plain HTTP.
    pub fn insecure_hosts(&self) -> Result<InsecureHosts, InvalidInsecureHost> {
        InsecureHosts::parse(&self.insecure_registry)
    }

    /// The clouds whose registries are read with our own identity, by what the environment says; `None` where none was asked for.
    pub fn cloud_settings(&self) -> Option<CloudSettings> {
        let is_auto = self.cloud_credentials.contains(&CloudIdentity::Auto);
        let named = self.cloud_credentials.iter();
        let named: Vec<Cloud> = named.filter_map(|written| written.cloud()).collect();
        let variable = |name: &str| std::env::var(name).ok();
        let settings = CloudSettings {
            only: self.cloud_registry.clone(),
            ..CloudSettings::from_environment(&named, is_auto, variable)
        };
        (!settings.clouds().is_empty()).then_some(settings)
    }
}

impl CloudIdentity {
    /// The one cloud that is meant, if it is one.
    fn cloud(self) -> Option<Cloud> {
        match self {
            Self::Auto => None,
            Self::Aws => Some(Cloud::Aws),
            Self::Gcp => Some(Cloud::Gcp),
            Self::Azure => Some(Cloud::Azure),
        }
    }
}
