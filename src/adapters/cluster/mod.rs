//! The API server: where policies are read from and where their state is told, with the rights of our own service account.
//!
//! [`Cluster`] is a connection and the namespace we live in; each file beside this one is one thing that is done with it.

pub mod events;
mod installation;
pub mod leader;
mod object_watch;
pub mod predecessor;
mod pull_secrets;
pub mod serving;
pub mod status;
mod store;
mod watch;

use std::path::Path;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

pub use installation::{Installation, Unread};
pub use object_watch::{ObjectWatch, watch_objects};
pub use pull_secrets::ClusterCredentials;
pub use watch::{Pace, WatchObserver, Watched};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long may pass without a byte from the API server. Longer than a watch is held open there without an event (bookmarks come
/// every minute or two).
const SILENCE: Duration = Duration::from_mins(5);

/// Who writes, as fields of objects and labels tell it.
pub const FIELD_MANAGER: &str = "vouchsafe";

/// A connection to the API server.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespace: String,
}

/// Why there is no connection to the API server.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A kubeconfig was named and cannot be used.
    #[error("kubeconfig {path} cannot be used")]
    Kubeconfig {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: kube::config::KubeconfigError,
    },
    /// There is none, and we do not run in a Pod.
    #[error(
        "not in a cluster: there is no service account of a Pod here. Run it in a cluster (docs/install.md), name a --kubeconfig, or name files to do without a cluster"
    )]
    NotInCluster(#[source] kube::config::InClusterError),
    /// No client can be made of what is there.
    #[error("cannot set up the client for the API server")]
    Client(#[source] kube::Error),
}

// === impl Cluster ===

impl Cluster {
    /// A connection as `kubeconfig` says, else as the service account of the Pod that we run in. Nothing is asked yet.
    ///
    /// `namespace` is ours: where Secrets, ConfigMaps, Lease and certificate are.
    pub async fn connect(kubeconfig: Option<&Path>, namespace: &str) -> Result<Self, ClusterError> {
        let mut config = match kubeconfig {
            None => Config::incluster().map_err(ClusterError::NotInCluster)?,
            Some(path) => {
                let unusable = |source| ClusterError::Kubeconfig {
                    path: path.display().to_string(),
                    source,
                };
                let read = Kubeconfig::read_from(path).map_err(unusable)?;
                Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
                    .await
                    .map_err(unusable)?
            }
        };
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(SILENCE);
        Ok(Self {
            client: Client::try_from(config).map_err(ClusterError::Client)?,
            namespace: namespace.to_owned(),
        })
    }

    /// The client, for one more use of the same connections.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Our namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}
