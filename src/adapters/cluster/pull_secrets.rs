//! The pull secrets of a workload in a cluster: those that the Pod names and those of its service account, each read by `get`.
//!
//! Nothing is listed and nothing is watched: the right to read a Secret by its name is all that is needed, and Secrets that no Pod
//! names are never seen. What was read is kept for a minute and read again in the background; a Secret that is not there is passed
//! over, as the kubelet does, and looked for again soon. An API server that does not answer is not "no secret": what was good last is
//! used for ten minutes, then the keychain says what is missing from it. What opens without that is judged; that a registry refuses or has
//! nothing is not believed (`registry-auth`). An image is never taken for unsigned because its registry was asked with less than it
//! should have been.
//!
//! A name is a workload's own word, and it becomes a part of a path. One that Kubernetes does not allow as a name is that of nothing
//! (T-12).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::{Api, Client};
use tokio::time::timeout;

use crate::adapters::ahead::{Ahead, Fetched, Source, Times};
use crate::adapters::credentials::OwnCredentials;
use crate::adapters::credentials::secret::{entries, source};
use crate::gather::{Credentials, FetchError, Keychain, KeychainEntry};
use crate::limits::Limits;
use crate::workload::PullScope;

/// Time for one `get`.
const REQUEST: Duration = Duration::from_secs(2);
/// How long something is kept that nobody asks for.
const IDLE: Duration = Duration::from_mins(15);
/// The types of Secrets that hold credentials of registries.
const TYPES: [&str; 2] = ["kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"];
/// The longest name of an object.
const NAME: usize = 253;

/// What was found is used without a look for a minute, and where the API server does not answer for ten.
const FOUND: Times = Times {
    fresh: Duration::from_secs(45),
    good: Duration::from_mins(1),
    last: Duration::from_mins(10),
};
/// What was not there may come at any moment, often together with the Pod that names it.
const ABSENT: Times = Times {
    fresh: Duration::from_secs(2),
    good: Duration::from_secs(2),
    last: Duration::from_mins(1),
};

/// Credentials in a cluster: pull secrets from the API server, then our own.
pub struct ClusterCredentials {
    own: Arc<OwnCredentials>,
    objects: Ahead<Objects>,
    limit: usize,
    reads: bool,
}

/// Where service accounts and Secrets come from.
struct Objects {
    client: Client,
}

/// One object that is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Named {
    kind: Kind,
    namespace: String,
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    ServiceAccount,
    Secret,
}

/// What an object says.
#[derive(Clone, Debug)]
enum Said {
    /// The pull secrets of a service account, by name.
    Names(Arc<[String]>),
    /// The credentials in a Secret.
    Entries(Arc<[KeychainEntry]>),
    /// Nothing: it is not there, or it is no pull secret.
    Nothing,
}

/// What several objects say together.
#[derive(Default)]
struct Read {
    entries: Vec<KeychainEntry>,
    /// The first that could not be read, and why.
    unread: Option<String>,
    /// The first Secret that is not there, or holds no credentials.
    absent: Option<String>,
}

// === impl ClusterCredentials ===

impl ClusterCredentials {
    /// The pull secrets that this client may read, and these credentials of our own.
    pub fn new(client: Client, own: Arc<OwnCredentials>, limits: &Limits) -> Self {
        Self {
            own,
            objects: Ahead::new(Objects { client }, IDLE),
            limit: limits.review.pull_secrets,
            reads: true,
        }
    }

    /// Whether the API server is asked for pull secrets at all. Where it is not, those of workloads are as if nobody had named them, and
    /// one that a policy names counts as not read.
    #[must_use]
    pub fn reading_pull_secrets(self, reads: bool) -> Self {
        Self { reads, ..self }
    }

    /// The pull secrets of a workload: those it names itself, then those of its service account.
    async fn pull_secrets(&self, scope: &PullScope) -> Result<Read, FetchError> {
        if !self.reads {
            return Ok(Read::default());
        }
        let account = Named {
            kind: Kind::ServiceAccount,
            namespace: scope.namespace.clone(),
            name: scope.service_account.clone(),
        };
        let (own, of_account) = tokio::join!(
            self.secrets_of(&scope.namespace, &scope.pull_secrets),
            self.read(&account),
        );
        let mut all = own?;
        match of_account {
            Ok(Said::Names(names)) => {
                let others = names.iter();
                let others = others.filter(|name| !scope.pull_secrets.contains(name));
                let others: Vec<String> = others.cloned().collect();
                all.extend(self.secrets_of(&scope.namespace, &others).await?);
            }
            Ok(Said::Entries(_) | Said::Nothing) => {}
            Err(failure) => all.unread = all.unread.or(Some(failure)),
        }
        Ok(all)
    }

    /// What these Secrets of a namespace hold, in this order.
    async fn secrets_of(&self, namespace: &str, names: &[String]) -> Result<Read, FetchError> {
        if names.len() > self.limit {
            return Err(FetchError::TooMany {
                what: "pull secrets of one workload".to_owned(),
                found: names.len(),
                limit: self.limit,
            });
        }
        let named: Vec<Named> = names
            .iter()
            .map(|name| Named {
                kind: Kind::Secret,
                namespace: namespace.to_owned(),
                name: name.clone(),
            })
            .collect();
        let mut all = Read::default();
        let said = join_all(named.iter().map(|named| self.read(named))).await;
        for (named, said) in named.iter().zip(said) {
            match said {
                Ok(Said::Entries(entries)) => all.entries.extend(entries.iter().cloned()),
                Ok(Said::Names(_) | Said::Nothing) => {
                    let absent = || format!("{named} is not there, or is no pull secret");
                    all.absent.get_or_insert_with(absent);
                }
                Err(failure) => all.unread = all.unread.or(Some(failure)),
            }
        }
        Ok(all)
    }

    async fn read(&self, named: &Named) -> Result<Said, String> {
        if !named.is_possible() {
            return Ok(Said::Nothing);
        }
        if !self.reads {
            return Err(format!("{named} is not read (--pull-secrets ignore)"));
        }
        let said = self.objects.get(named).await;
        said.map_err(|failure| format!("{named} could not be read: {failure}"))
    }
}

// === impl Read ===

impl Read {
    fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.unread = self.unread.take().or(other.unread);
    }

    fn keychain(self) -> Arc<Keychain> {
        let keychain = Keychain::new(self.entries);
        Arc::new(match self.unread {
            None => keychain,
            Some(unread) => keychain.without(&unread),
        })
    }
}

impl Credentials for ClusterCredentials {
    fn keychain<'a>(
        &'a self,
        scope: &'a PullScope,
        registries: &'a BTreeSet<String>,
    ) -> BoxFuture<'a, Result<Arc<Keychain>, FetchError>> {
        Box::pin(async move {
            let registries: Vec<&str> = registries.iter().map(String::as_str).collect();
            let (secrets, own) =
                tokio::join!(self.pull_secrets(scope), self.own.entries(&registries));
            let mut all = secrets?;
            all.entries.extend(own);
            Ok(all.keychain())
        })
    }

    fn secrets<'a>(
        &'a self,
        namespace: &'a str,
        names: &'a [String],
    ) -> BoxFuture<'a, Result<Arc<Keychain>, FetchError>> {
        Box::pin(async move {
            let mut all = self.secrets_of(namespace, names).await?;
            // A policy that names a Secret counts on it: whoever may remove it shall not thereby say that nothing was attested.
            all.unread = all.unread.or(all.absent.take());
            Ok(all.keychain())
        })
    }
}

// === impl Objects ===

impl Source for Objects {
    type Key = Named;
    type Value = Said;

    fn fetch<'a>(&'a self, named: &'a Named) -> BoxFuture<'a, Result<Fetched<Said>, String>> {
        Box::pin(async move {
            let answer = match timeout(REQUEST, self.get(named)).await {
                Ok(Ok(said)) => return Ok(said.keep()),
                Ok(Err(error)) => {
                    tracing::warn!(%named, %error, "credentials of a workload could not be read");
                    in_short(&error)
                }
                Err(_) => {
                    let seconds = REQUEST.as_secs();
                    tracing::warn!(%named, seconds, "credentials of a workload were not read in time");
                    format!("the API server gave no answer within {seconds} s")
                }
            };
            Err(answer)
        })
    }
}

impl Objects {
    async fn get(&self, named: &Named) -> Result<Said, kube::Error> {
        let Named {
            kind,
            namespace,
            name,
        } = named;
        match kind {
            Kind::ServiceAccount => {
                let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
                let account = accounts.get_opt(name).await?;
                let named = account.map(|account| {
                    let secrets = account.image_pull_secrets.into_iter().flatten();
                    secrets.map(|secret| secret.name).collect()
                });
                Ok(named.map_or(Said::Nothing, Said::Names))
            }
            Kind::Secret => {
                let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
                let secret = secrets.get_opt(name).await?;
                let is_pull_secret = |secret: &Secret| {
                    let kind = secret.type_.as_deref().unwrap_or_default();
                    TYPES.contains(&kind)
                };
                let secret = secret.filter(is_pull_secret);
                Ok(secret.map_or(Said::Nothing, |secret| {
                    Said::Entries(entries(&source(namespace, name), &secret).into())
                }))
            }
        }
    }
}

impl Said {
    fn keep(self) -> Fetched<Self> {
        let times = match self {
            Self::Names(_) | Self::Entries(_) => FOUND,
            Self::Nothing => ABSENT,
        };
        Fetched { value: self, times }
    }
}

/// What is told to whoever made the workload: what the API server said in full is for the log.
fn in_short(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => {
            "the API server does not let us".to_owned()
        }
        kube::Error::Api(status) => format!("the API server answered {}", status.code),
        _ => "the API server cannot be reached".to_owned(),
    }
}

// === impl Named ===

impl Named {
    /// Whether there can be such an object: names are lower-case labels (RFC 1123) with dots between them.
    fn is_possible(&self) -> bool {
        let is_label = |label: &str| {
            let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            let is_framed = !label.starts_with('-') && !label.ends_with('-');
            !label.is_empty() && is_framed && label.bytes().all(known)
        };
        let is_name = |name: &str| name.len() <= NAME && name.split('.').all(is_label);
        is_label(&self.namespace) && is_name(&self.name)
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::ServiceAccount => "service account",
            Kind::Secret => "secret",
        };
        write!(f, "{kind} {}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests;
