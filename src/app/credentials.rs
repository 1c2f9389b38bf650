//! The credentials that registries are read with: our own, and where those of workloads come from.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Secret;

use super::engine::extra_ca;
use crate::adapters::cloud::CloudCredentials;
use crate::adapters::credentials::{FileCredentials, OwnCredentials};
use crate::adapters::oci::DockerConfig;
use crate::adapters::outbound::Outbound;
use crate::config::JudgeArgs;
use crate::policy::PullSecretsIn;

/// Time for one request to a service that gives tokens for registries.
const TOKEN_REQUEST: Duration = Duration::from_secs(5);

/// Where the pull secrets of workloads come from.
pub(super) enum PullSecrets {
    /// From the files of the policies.
    OfFiles(Arc<FileCredentials>),
    /// From the API server, for each workload.
    OfCluster,
}

impl PullSecrets {
    /// Takes these from files from now on, if that is where they come from.
    pub(super) fn replace(&self, secrets: &[Arc<Secret>]) {
        if let Self::OfFiles(files) = self {
            files.replace(secrets.to_vec());
        }
    }

    /// In which namespace those are that a policy names for its source.
    pub(super) fn of_sources(&self) -> PullSecretsIn {
        match self {
            Self::OfFiles(_) => PullSecretsIn::OwnNamespace,
            Self::OfCluster => PullSecretsIn::WorkloadNamespace,
        }
    }
}

/// The credentials of whoever runs us: the docker config, and the clouds that `--cloud-credentials` names.
pub(super) fn own(args: &JudgeArgs) -> anyhow::Result<Arc<OwnCredentials>> {
    let docker = DockerConfig::load(None).context("cannot read registry credentials")?;
    let Some(settings) = args.cloud_settings() else {
        return Ok(Arc::new(OwnCredentials::new(docker, None)));
    };
    tracing::info!(clouds = ?settings.clouds(), "registries of these clouds are read with our own identity");
    let outbound = Outbound::new(extra_ca(args)?.as_deref(), TOKEN_REQUEST)?;
    let cloud = CloudCredentials::new(settings, outbound);
    Ok(Arc::new(OwnCredentials::new(docker, Some(cloud))))
}
