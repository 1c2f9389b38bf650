//! Which credential goes with a request, driven by the registry's 401.
//!
//! The registry is never pinged. What it asked for once is remembered, per repository and per host, so that a warm request
//! carries its proof at once. The credentials that apply to the repository are tried in the keychain's order, those that were good for
//! it before coming first, and then nothing.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use moka::future::Cache;
use reqwest::Url;

use super::address::Class;
use super::answer::{Until, refused};
use super::challenge::Challenge;
use super::fence::{Fence, host_of};
use super::token::{TokenFailure, TokenKey, TokenRequest, Tokens, basic, bearer};
use super::transport::Transport;
use crate::gather::keychain::{Credential, CredentialId, Keychain, KeychainEntry, for_path};
use crate::gather::registry::FetchError;
use crate::image::Repository;

/// Credentials of one keychain that are tried for one repository. More than that, and the rest is not tried.
const CREDENTIALS: usize = 8;
/// Challenges that are remembered, in bytes.
const CHALLENGES_BYTES: u64 = 8 << 20;
/// How long a challenge is remembered when it is not used.
const CHALLENGE_IDLE: Duration = Duration::from_hours(1);
/// For how many repositories it is remembered which credentials were good.
const GOOD: u64 = 20_000;
/// How long it is remembered.
const GOOD_TIME: Duration = Duration::from_mins(10);

/// Proofs for requests.
pub(super) struct Authorizer {
    fence: Arc<Fence>,
    tokens: Tokens,
    /// By registry and repository path; the empty path is what the registry last asked for at all.
    challenges: Cache<(String, String), Known>,
    /// Credentials with which something was read in a repository.
    good: Cache<(Repository, CredentialId), ()>,
}

/// What a registry asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) challenge: Challenge,
    /// The kind of address it spoke from. It decides how far its realm may lead.
    pub(super) origin: Class,
}

/// One way to ask: with an entry of the keychain, or without any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    entry: Option<(CredentialId, &'a KeychainEntry)>,
    /// Whether something was read with it in this repository before.
    is_good: bool,
}

/// What a request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// This header.
    Header(HeaderValue),
    /// Nothing.
    Nothing,
    /// This candidate cannot answer the challenge, and why.
    Unusable(String),
}

/// For which request a proof is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purpose<'a> {
    pub(super) repository: &'a Repository,
    pub(super) base: &'a Url,
    pub(super) until: Until,
}

// === impl Candidate ===

impl<'a> Candidate<'a> {
    /// Asking without any.
    pub(super) const ANONYMOUS: Self = Self {
        entry: None,
        is_good: false,
    };

    /// Which credential this is; `None` without any.
    pub(super) fn id(&self) -> Option<CredentialId> {
        self.entry.map(|(id, _)| id)
    }

    /// Whether something was read with it in this repository before: what it does not see there is not there.
    pub(super) fn is_good(&self) -> bool {
        self.is_good
    }

    /// Where it comes from, for messages.
    pub(super) fn source(&self) -> &'a str {
        self.entry
            .map_or("no credentials", |(_, entry)| entry.source.as_str())
    }

    /// The header of user and password, if that is what this is.
    pub(super) fn basic(&self) -> Option<HeaderValue> {
        match self.credential()? {
            Credential::Basic { username, password } => basic(username, password),
            Credential::IdentityToken(_) | Credential::RegistryToken(_) => None,
        }
    }

    fn credential(&self) -> Option<&'a Credential> {
        self.entry.map(|(_, entry)| &entry.credential)
    }

    fn token_key(&self, repository: &Repository) -> TokenKey {
        TokenKey {
            registry: repository.registry().to_owned(),
            repository: repository.path().to_owned(),
            credential: self.id(),
        }
    }
}

// === impl Authorizer ===

impl Authorizer {
    pub(super) fn new(fence: Arc<Fence>, token_bytes: usize) -> Self {
        let challenges = Cache::builder()
            .max_capacity(CHALLENGES_BYTES)
            .weigher(|(registry, path): &(String, String), known: &Known| {
                let bytes = registry.len().saturating_add(path.len());
                let bytes = bytes.saturating_add(known.challenge.len());
                u32::try_from(bytes.saturating_add(256)).unwrap_or(u32::MAX)
            })
            .time_to_idle(CHALLENGE_IDLE)
            .build();
        Self {
            fence,
            tokens: Tokens::new(token_bytes),
            challenges,
            good: Cache::builder()
                .max_capacity(GOOD)
                .time_to_live(GOOD_TIME)
                .build(),
        }
    }

    /// The ways to ask for `repository`, in the order in which they are tried: what the keychain has for it, then our `own` credentials
    /// for its registry, then none. Those that were good before come before the others.
    pub(super) async fn candidates<'a>(
        &self,
        keychain: &'a Keychain,
        own: &'a [KeychainEntry],
        repository: &Repository,
    ) -> Vec<Candidate<'a>> {
        let mut candidates: Vec<Candidate<'a>> = Vec::new();
        let entries = keychain.for_repository(repository).into_iter();
        for entry in entries.chain(for_path(own, repository)) {
            let id = entry.id();
            if candidates.len() >= CREDENTIALS || candidates.iter().any(|c| c.id() == Some(id)) {
                continue;
            }
            candidates.push(Candidate {
                entry: Some((id, entry)),
                is_good: self.good.get(&(repository.clone(), id)).await.is_some(),
            });
        }
        candidates.sort_by_key(|candidate| !candidate.is_good);
        candidates.push(Candidate::ANONYMOUS);
        candidates
    }

    /// Remembers that something was read with this credential.
    pub(super) async fn was_good(&self, candidate: Candidate<'_>, repository: &Repository) {
        if let Some(id) = candidate.id().filter(|_| !candidate.is_good) {
            self.good.insert((repository.clone(), id), ()).await;
        }
    }

    /// What the registry asked for, for this repository or else for any.
    pub(super) async fn recall(&self, repository: &Repository) -> Option<Known> {
        let registry = repository.registry().to_owned();
        match self
            .challenges
            .get(&(registry.clone(), repository.path().to_owned()))
            .await
        {
            Some(known) => Some(known),
            None => self.challenges.get(&(registry, String::new())).await,
        }
    }

    /// Remembers what the registry asks for.
    pub(super) async fn learn(&self, repository: &Repository, known: &Known) {
        for path in [repository.path(), ""] {
            self.challenges
                .insert(
                    (repository.registry().to_owned(), path.to_owned()),
                    known.clone(),
                )
                .await;
        }
    }

    /// Forgets what the registry asked for, after nobody could answer it: asked anew, it may say something else. Otherwise one bad
    /// answer would keep us away from a registry for as long as anybody wants something of it.
    pub(super) async fn unlearn(&self, repository: &Repository) {
        for path in [repository.path(), ""] {
            self.challenges
                .invalidate(&(repository.registry().to_owned(), path.to_owned()))
                .await;
        }
    }

    /// Drops the token of this candidate, after the registry refused it.
    pub(super) async fn forget(&self, candidate: Candidate<'_>, repository: &Repository) {
        self.tokens.forget(&candidate.token_key(repository)).await;
    }

    /// What `candidate` carries to answer `known`.
    pub(super) async fn proof(
        &self,
        known: &Known,
        candidate: Candidate<'_>,
        purpose: Purpose<'_>,
        transport: &Transport,
    ) -> Result<Proof, FetchError> {
        match (&known.challenge, candidate.credential()) {
            (Challenge::Basic, None) => Ok(Proof::Nothing),
            (Challenge::Basic, Some(_)) => Ok(candidate.basic().map_or_else(
                || Proof::Unusable("a token does not answer a Basic challenge".to_owned()),
                Proof::Header,
            )),
            (Challenge::Bearer { .. }, Some(Credential::RegistryToken(token))) => {
                let unusable = || {
                    Proof::Unusable("the token has characters that no header can carry".to_owned())
                };
                Ok(bearer(token).map_or_else(unusable, Proof::Header))
            }
            (Challenge::Bearer { realm, service }, credential) => {
                let registry = purpose.repository.registry();
                let realm = self
                    .fence
                    .realm(purpose.base, known.origin, realm)
                    .map_err(|refusal| refused(registry, refusal))?;
                if credential.is_some() && !realm.is_trusted {
                    return Ok(Proof::Unusable(format!(
                        "not sent to the foreign token service {}",
                        host_of(&realm.url)
                    )));
                }
                let service = service.as_deref();
                let request = TokenRequest {
                    registry,
                    base: purpose.base,
                    repository: purpose.repository.path(),
                    realm,
                    service,
                    credential,
                };
                match self
                    .tokens
                    .get(
                        candidate.token_key(purpose.repository),
                        request,
                        transport,
                        purpose.until,
                    )
                    .await
                {
                    Ok(header) => Ok(Proof::Header(header)),
                    Err(TokenFailure::Denied(detail)) => Ok(Proof::Unusable(detail)),
                    Err(TokenFailure::Fetch(error)) => Err(error),
                }
            }
        }
    }
}
