//! One question to one host, from waiting for a free place to the last retry. Which hosts are asked is decided in `mirrors`.
//!
//! 1. for each candidate credential, and at last without any: wait for a place among the requests to this host, inside the deadline
//!    (`Overloaded`), send, and answer a 401 once;
//! 2. read the status: only 404 means absent, and only if somebody was told so who could have seen it;
//! 3. retry what may be transient, inside the deadline.
//!
//! Registries answer 404 to an account that may not see a repository. So a 404 is not the end while another credential is at hand,
//! unless the one that was told so has read something in this repository before. Without credentials it counts where none was refused:
//! what an expired credential would have shown is not known.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use moka::future::Cache;
use tokio::time::{Instant, sleep};

use super::address::Scope;
use super::answer::{Answer, Until, refused};
use super::authorize::{Authorizer, Candidate, Known, Proof, Purpose};
use super::challenge::Challenge;
use super::fence::Fence;
use super::host::Host;
use super::hosts::RegistryHosts;
use super::insecure::PlainHttp;
use super::observe::RequestClass;
use super::retry::{Retries, retry_after};
use super::transport::{Request, Transport, proxy_hosts};
use super::{OciSettings, OciSettingsError};
use crate::gather::registry::{Access, FetchError};
use crate::image::Repository;
use crate::limits::RegistryLimits;

/// Registry hosts whose state is kept.
const HOSTS: u64 = 4_096;
/// How long the state of a host is kept when nobody asks it.
const HOST_IDLE: Duration = Duration::from_hours(1);

/// Everything that questions share.
pub(super) struct Asking {
    transport: Transport,
    authorizer: Authorizer,
    fence: Arc<Fence>,
    /// What is known of hosts while they are asked, by their name as written.
    hosts: Cache<String, Arc<Host>>,
    settings: RegistryHosts,
    pub(super) limits: RegistryLimits,
}

/// A question: a path below a repository, and how much of an answer is read.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    pub(super) repository: &'a Repository,
    pub(super) access: &'a Access,
    pub(super) class: RequestClass,
    /// The path behind the repository, e.g. `manifests/1.4`.
    pub(super) path: String,
    /// Whether the answer is the same wherever it is found, because it is asked for by its digest.
    pub(super) by_digest: bool,
    /// Where the list began of which this is a later page.
    pub(super) begun_at: Option<&'a Repository>,
    pub(super) accept: Option<&'static str>,
    /// The largest body that is read, in bytes.
    pub(super) limit: usize,
    /// What is asked for, for messages.
    pub(super) what: String,
}

/// A 2xx answer.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) headers: HeaderMap,
    pub(super) bytes: Bytes,
}

/// What came of a candidate's turn.
enum Outcome {
    /// This, for somebody who showed who he is or for anybody.
    Found { fetched: Fetched, known: bool },
    /// There is none, says the registry, to the one or to the other.
    Absent { known: bool },
    /// The registry, or its token service, wants somebody else.
    Denied(String),
}

/// What a candidate achieved.
enum Tried {
    /// The registry answered the question, well or badly, to somebody who showed who he is or to nobody in particular.
    Answered { answer: Box<Answer>, known: bool },
    /// The registry, or its token service, wants somebody else.
    Denied(String),
}

// === impl Asking ===

impl Asking {
    pub(super) fn new(
        settings: &OciSettings,
        hosts: RegistryHosts,
    ) -> Result<Self, OciSettingsError> {
        let plain = PlainHttp::new(settings.insecure.clone(), hosts.clone());
        let proxies = proxy_hosts().into_iter().chain(hosts.proxies());
        let fence = Fence::new(plain, settings.token_realms.clone()).beside_proxies(proxies);
        let fence = Arc::new(fence);
        Ok(Self {
            transport: Transport::new(settings, &hosts, Arc::clone(&fence))?,
            authorizer: Authorizer::new(Arc::clone(&fence), settings.limits.token_bytes),
            fence,
            hosts: Cache::builder()
                .max_capacity(HOSTS)
                .time_to_idle(HOST_IDLE)
                .build(),
            settings: hosts,
            limits: settings.limits.clone(),
        })
    }

    /// Asks one host until there is an answer, or no more reason to ask. `None` is its 404.
    pub(super) async fn ask_host(
        &self,
        ask: &Ask<'_>,
        host: &Host,
        attempts: usize,
    ) -> Result<Option<Fetched>, FetchError> {
        let mut retries = Retries::new(attempts, Instant::now(), ask.access.deadline);
        loop {
            let error = match self.attempt(ask, host).await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let pause = match &error {
                FetchError::Unreachable { .. } => retries.after_failure(Instant::now()),
                FetchError::Throttled { retry_after, .. } => {
                    retries.after_throttling(Instant::now(), *retry_after)
                }
                _ => None,
            };
            let Some(pause) = pause else {
                return Err(error);
            };
            sleep(pause).await;
        }
    }

    /// What is known of a host by this name.
    pub(super) async fn host(&self, registry: &str) -> Result<Arc<Host>, FetchError> {
        let base = self
            .fence
            .base(registry)
            .map_err(|refusal| refused(registry, refusal))?;
        let host = async {
            let settings = self.settings.of(&base).cloned().unwrap_or_default();
            Arc::new(Host::new(
                base,
                settings.credentials.clone(),
                settings.mirrors.clone(),
                self.limits.concurrent_requests,
            ))
        };
        Ok(self.hosts.get_with(registry.to_owned(), host).await)
    }

    async fn attempt(&self, ask: &Ask<'_>, host: &Host) -> Result<Option<Fetched>, FetchError> {
        let (keychain, repository) = (&ask.access.keychain, ask.repository);
        let candidates = self
            .authorizer
            .candidates(keychain, &host.credentials, repository);
        let mut denials = Vec::new();
        // Whether somebody with a name was told that there is nothing.
        let mut absent = false;
        for candidate in candidates.await {
            let is_anonymous = candidate.id().is_none();
            if is_anonymous && absent {
                break;
            }
            let tried = self.attempt_as(ask, host, candidate).await;
            if let Err(FetchError::Throttled { retry_after, .. }) = &tried {
                host.hold(candidate.id(), *retry_after);
            }
            match tried? {
                Outcome::Found { fetched, known } => {
                    if known {
                        self.authorizer.was_good(candidate, repository).await;
                    }
                    return Ok(Some(fetched));
                }
                Outcome::Absent { .. } if candidate.is_good() => return Ok(None),
                Outcome::Absent { known: true } => absent = true,
                Outcome::Absent { known: false } if !is_anonymous => {}
                Outcome::Absent { known: false } if denials.is_empty() => {
                    return unseen(ask).map_or(Ok(None), Err);
                }
                Outcome::Absent { known: false } => {
                    denials.push(format!("{}: status 404", candidate.source()));
                }
                Outcome::Denied(detail) => {
                    denials.push(format!("{}: {detail}", candidate.source()));
                }
            }
        }
        if absent {
            return unseen(ask).map_or(Ok(None), Err);
        }
        self.authorizer.unlearn(repository).await;
        Err(unseen(ask).unwrap_or_else(|| auth(ask, denials.join("; "))))
    }

    /// One candidate's turn, in a place of its own.
    async fn attempt_as(
        &self,
        ask: &Ask<'_>,
        host: &Host,
        candidate: Candidate<'_>,
    ) -> Result<Outcome, FetchError> {
        let (registry, deadline) = (ask.repository.registry(), ask.access.deadline);
        let _place = host.place(registry, candidate.id(), deadline).await?;
        let until = Until::new(self.limits.request, deadline);
        match self.try_as(ask, host, candidate, until).await? {
            Tried::Denied(detail) => Ok(Outcome::Denied(detail)),
            Tried::Answered { answer, known } => {
                let found = self.conclude(ask, *answer, until).await?;
                Ok(match found {
                    Some(fetched) => Outcome::Found { fetched, known },
                    None => Outcome::Absent { known },
                })
            }
        }
    }

    /// What `candidate` carries to answer `known`. A challenge that leads nowhere is not remembered.
    async fn proof(
        &self,
        known: &Known,
        candidate: Candidate<'_>,
        purpose: Purpose<'_>,
    ) -> Result<Proof, FetchError> {
        let proof = self
            .authorizer
            .proof(known, candidate, purpose, &self.transport);
        let proof = proof.await;
        if proof.is_err() {
            self.authorizer.unlearn(purpose.repository).await;
        }
        proof
    }

    /// Sends as one candidate. A first 401 is answered with what it asks for; a second one is a refusal.
    async fn try_as(
        &self,
        ask: &Ask<'_>,
        host: &Host,
        candidate: Candidate<'_>,
        until: Until,
    ) -> Result<Tried, FetchError> {
        let purpose = Purpose {
            repository: ask.repository,
            base: &host.base,
            until,
        };
        let mut known = self.authorizer.recall(ask.repository).await;
        let mut proof = match &known {
            Some(known) => self.proof(known, candidate, purpose).await?,
            None => Proof::Nothing,
        };
        let mut may_answer = true;
        loop {
            let header = match &proof {
                Proof::Header(header) => Some(header.clone()),
                Proof::Nothing => None,
                Proof::Unusable(detail) => return Ok(Tried::Denied(detail.clone())),
            };
            let answer = self
                .transport
                .send(request(ask, host, header)?, until)
                .await?;
            if let Some(elsewhere) = answer
                .redirected_to
                .clone()
                .filter(|_| matches!(answer.status.as_u16(), 401 | 403))
            {
                return Err(auth(
                    ask,
                    format!(
                        "redirected to {elsewhere}, which answered {}",
                        answer.status.as_u16()
                    ),
                ));
            }
            let offer = candidate.basic().filter(|_| known.is_none());
            match (answer.status, offer) {
                (StatusCode::UNAUTHORIZED, _) => {
                    let asked = challenge(&answer);
                    let detail = self.denial(answer, ask, until).await;
                    let Some(asked) = asked.filter(|_| may_answer) else {
                        return Ok(Tried::Denied(detail));
                    };
                    may_answer = false;
                    self.authorizer.learn(ask.repository, &asked).await;
                    self.authorizer.forget(candidate, ask.repository).await;
                    let next = self.proof(&asked, candidate, purpose).await?;
                    if next == proof {
                        return Ok(Tried::Denied(detail));
                    }
                    (known, proof) = (Some(asked), next);
                }
                // A registry that serves some things to everybody may hide the others without asking who we are.
                (StatusCode::NOT_FOUND | StatusCode::FORBIDDEN, Some(offer)) => {
                    let asked = Known {
                        challenge: Challenge::Basic,
                        origin: answer.peer,
                    };
                    self.authorizer.learn(ask.repository, &asked).await;
                    (known, proof) = (Some(asked), Proof::Header(offer));
                }
                (StatusCode::FORBIDDEN, None) => {
                    return Ok(Tried::Denied(self.denial(answer, ask, until).await));
                }
                _ => {
                    return Ok(Tried::Answered {
                        answer: Box::new(answer),
                        known: candidate.id().is_some() && proof != Proof::Nothing,
                    });
                }
            }
        }
    }

    /// What an answer means that is not about who we are.
    async fn conclude(
        &self,
        ask: &Ask<'_>,
        answer: Answer,
        until: Until,
    ) -> Result<Option<Fetched>, FetchError> {
        let registry = ask.repository.registry();
        let status = answer.status.as_u16();
        match status {
            200 => {
                let headers = answer.headers.clone();
                let bytes = answer.body(registry, &ask.what, ask.limit, until).await?;
                Ok(Some(Fetched { headers, bytes }))
            }
            // What a registry sends us to must be there: that it is not is no word of the registry that there is none.
            404 if answer.redirected_to.is_some() => Err(malformed(
                ask,
                "redirected to where nothing is (404)".to_owned(),
            )),
            404 => {
                // Read, so that the connection can be used again.
                answer
                    .error_code(registry, self.limits.error_bytes, until)
                    .await;
                Ok(None)
            }
            // A registry without HEAD has not said anything: the caller fetches.
            405 | 501 if ask.class == RequestClass::ManifestHead => Ok(Some(Fetched {
                headers: HeaderMap::new(),
                bytes: Bytes::new(),
            })),
            429 => Err(throttled(registry, &answer.headers)),
            500..=599 => Err(FetchError::Unreachable {
                registry: registry.to_owned(),
                detail: format!("status {status} for {}", ask.what),
            }),
            _ => {
                let code = answer
                    .error_code(registry, self.limits.error_bytes, until)
                    .await;
                Err(malformed(ask, with_code(status, code)))
            }
        }
    }

    async fn denial(&self, answer: Answer, ask: &Ask<'_>, until: Until) -> String {
        let status = answer.status;
        let code = answer
            .error_code(ask.repository.registry(), self.limits.error_bytes, until)
            .await;
        with_code(status.as_u16(), code)
    }
}

/// The request of a question.
#[expect(
    clippy::result_large_err,
    reason = "the error of the trait names both digests of a mismatch"
)]
fn request<'a>(
    ask: &'a Ask<'_>,
    host: &'a Host,
    authorization: Option<HeaderValue>,
) -> Result<Request<'a>, FetchError> {
    let registry = ask.repository.registry();
    let url = host
        .base
        .join(&format!("{}/{}", ask.repository.path(), ask.path))
        .map_err(|_| malformed(ask, "its address cannot be formed"))?;
    let method = if ask.class == RequestClass::ManifestHead {
        Method::HEAD
    } else {
        Method::GET
    };
    Ok(Request {
        registry,
        base: &host.base,
        class: ask.class,
        method,
        url,
        scope: Scope::AsWritten,
        accept: ask.accept,
        authorization,
        form: None,
        follows: true,
    })
}

/// A 429 as an error.
pub(super) fn throttled(registry: &str, headers: &HeaderMap) -> FetchError {
    let retry_after = headers
        .get(RETRY_AFTER)
        .and_then(|value| retry_after(value.as_bytes(), Timestamp::now()));
    FetchError::Throttled {
        registry: registry.to_owned(),
        retry_after,
    }
}

fn challenge(answer: &Answer) -> Option<Known> {
    let values = answer
        .headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .map(HeaderValue::as_bytes);
    Challenge::choose(values).map(|challenge| Known {
        challenge,
        origin: answer.peer,
    })
}

fn with_code(status: u16, code: Option<&'static str>) -> String {
    code.map_or_else(
        || format!("status {status}"),
        |code| format!("status {status} {code}"),
    )
}

/// Why an absence is not believed: credentials are missing with which there could be something.
fn unseen(ask: &Ask<'_>) -> Option<FetchError> {
    let unread = ask.access.keychain.unread()?;
    Some(FetchError::Credentials {
        registry: ask.repository.registry().to_owned(),
        detail: unread.to_owned(),
    })
}

fn auth(ask: &Ask<'_>, detail: String) -> FetchError {
    FetchError::Auth {
        registry: ask.repository.registry().to_owned(),
        repository: ask.repository.path().to_owned(),
        detail,
    }
}

pub(super) fn malformed(ask: &Ask<'_>, detail: impl Into<String>) -> FetchError {
    FetchError::Malformed {
        registry: ask.repository.registry().to_owned(),
        what: ask.what.clone(),
        detail: detail.into(),
    }
}
