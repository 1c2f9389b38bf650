//! One HTTP request, bounded in every direction: time, size, redirects, addresses.
//!
//! There is one HTTP client per [`Scope`], because what a connection may lead to depends on who named the host; and such a set of
//! clients for each host that has certificates or a proxy of its own, so that these are never used for another. Redirects are followed
//! here and not by the client: each hop is checked, goes out as its own host's settings say, and `Authorization` never leaves scheme,
//! host and port it was made for.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method};
use reqwest::{Client, Proxy, Response, Url};
use tokio::time::Instant;

use super::address::{Class, Scope};
use super::answer::{Answer, Until, failure, refused};
use super::fence::{Fence, Refusal, class_as_written, host_of, is_same_origin};
use super::hosts::{ClientCertificate, ProxyChoice, RegistryHosts};
use super::lookup::{FencedLookup, Seen};
use super::observe::{RequestClass, RequestObserver, RequestOutcome};
use super::{OciSettings, OciSettingsError, tls};
use crate::gather::registry::FetchError;
use crate::limits::RegistryLimits;

/// Bounded requests to registries, token services and storage.
pub(super) struct Transport {
    usual: Clients,
    /// For hosts with connections of their own, by the number of their entry.
    special: BTreeMap<usize, Special>,
    hosts: RegistryHosts,
    seen: Arc<Seen>,
    fence: Arc<Fence>,
    limits: RegistryLimits,
    observer: Arc<dyn RequestObserver>,
}

/// One HTTP client for each way in which a host may have been named.
struct Clients {
    /// Loopback as written. It is never reached through a proxy of the environment.
    loopback: Client,
    as_written: Client,
    from_private: Client,
    from_public: Client,
}

/// The clients of a host with connections of its own.
struct Special {
    /// Where it is the registry that is asked.
    own: Clients,
    /// Where another host led to it: we do not say who we are. `None` where we never do.
    led_to: Option<Clients>,
}

/// A request to be sent.
#[derive(Clone, Debug)]
pub(super) struct Request<'a> {
    /// Host and port of the registry as written, for messages.
    pub(super) registry: &'a str,
    /// The address of the registry's API.
    pub(super) base: &'a Url,
    pub(super) class: RequestClass,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) scope: Scope,
    pub(super) accept: Option<&'static str>,
    pub(super) authorization: Option<HeaderValue>,
    /// A body of `application/x-www-form-urlencoded`.
    pub(super) form: Option<String>,
    /// Whether redirects are followed.
    pub(super) follows: bool,
}

// === impl Transport ===

impl Transport {
    pub(super) fn new(
        settings: &OciSettings,
        hosts: &RegistryHosts,
        fence: Arc<Fence>,
    ) -> Result<Self, OciSettingsError> {
        let extra = settings.extra_ca.as_deref().map(tls::certificates);
        let extra = extra.transpose()?.unwrap_or_default();
        let seen = Arc::new(Seen::default());
        let proxies: Arc<[String]> = proxy_hosts().into_iter().chain(hosts.proxies()).collect();
        let usual_tls = tls::client_config(extra.clone(), None)?;
        let clients = |tls: &rustls::ClientConfig, proxy: &ProxyChoice| {
            Clients::new(settings, tls, proxy, &seen, &proxies)
        };
        let mut special = BTreeMap::new();
        for host in hosts.all().filter(|host| host.has_own_connections()) {
            let authorities = [extra.as_slice(), host.authorities.as_slice()].concat();
            let made = |who: Option<&ClientCertificate>| {
                let tls = if who.is_none() && host.authorities.is_empty() {
                    usual_tls.clone()
                } else {
                    tls::client_config(authorities.clone(), who)?
                };
                clients(&tls, &host.proxy)
            };
            let who = host.client_certificate.as_deref();
            let led_to = who.map(|_| made(None)).transpose()?;
            let own = made(who)?;
            special.insert(host.number, Special { own, led_to });
        }
        Ok(Self {
            usual: clients(&usual_tls, &ProxyChoice::Environment)?,
            special,
            hosts: hosts.clone(),
            seen,
            fence,
            limits: settings.limits.clone(),
            observer: Arc::clone(&settings.observer),
        })
    }

    /// Sends a request and follows its redirects.
    pub(super) async fn send(
        &self,
        mut request: Request<'_>,
        until: Until,
    ) -> Result<Answer, FetchError> {
        let started_at = request.url.clone();
        let hops = if request.follows {
            self.limits.redirects
        } else {
            0
        };
        let mut reach = request.scope;
        for _ in 0..=hops {
            let answer = self.exchange(&request, until).await?;
            let is_redirect = matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308);
            if !is_redirect {
                let redirected_to =
                    (!is_same_origin(&started_at, &request.url)).then(|| host_of(&request.url));
                return Ok(Answer {
                    redirected_to,
                    ..answer
                });
            }
            if !request.follows {
                return Err(refused(
                    request.registry,
                    Refusal {
                        target: host_of(&request.url),
                        rule: "a token service may not redirect",
                    },
                ));
            }
            reach = reach.max(Scope::of_hop_from(answer.peer));
            self.step(&mut request, &answer, reach)?;
        }
        Err(FetchError::Malformed {
            registry: request.registry.to_owned(),
            what: "redirect".to_owned(),
            detail: format!("more than {hops} redirects"),
        })
    }

    /// Turns a request into the one that a redirect asks for.
    #[expect(
        clippy::result_large_err,
        reason = "the error of the trait names both digests of a mismatch"
    )]
    fn step(
        &self,
        request: &mut Request<'_>,
        answer: &Answer,
        reach: Scope,
    ) -> Result<(), FetchError> {
        let malformed = |detail: &str| FetchError::Malformed {
            registry: request.registry.to_owned(),
            what: "redirect".to_owned(),
            detail: detail.to_owned(),
        };
        let location = answer
            .headers
            .get(LOCATION)
            .ok_or_else(|| malformed("no Location"))?;
        let location = location
            .to_str()
            .map_err(|_| malformed("Location is not text"))?;
        let (to, scope) = self
            .fence
            .redirect(request.base, &request.url, reach, location)
            .map_err(|refusal| refused(request.registry, refusal))?;
        if !is_same_origin(&request.url, &to) {
            request.authorization = None;
        }
        request.url = to;
        request.scope = scope;
        Ok(())
    }

    /// One request and the head of its answer.
    async fn exchange(&self, request: &Request<'_>, until: Until) -> Result<Answer, FetchError> {
        let started = Instant::now();
        let result = until.within(request.registry, self.transmit(request)).await;
        let outcome = result
            .as_ref()
            .map_or(RequestOutcome::Failed, |response| response.status().into());
        self.observer
            .exchanged(request.class, outcome, started.elapsed());
        let mut response = result?;
        let peer = self.peer(&request.url, &response);
        let headers = std::mem::take(response.headers_mut());
        Ok(Answer {
            status: response.status(),
            headers,
            peer,
            redirected_to: None,
            response,
        })
    }

    async fn transmit(&self, request: &Request<'_>) -> Result<Response, FetchError> {
        let written = class_as_written(&request.url);
        if let Some(class) = written {
            let refusal = |rule| {
                refused(
                    request.registry,
                    Refusal {
                        target: host_of(&request.url),
                        rule,
                    },
                )
            };
            request.scope.admits(class).map_err(refusal)?;
        }
        let clients = self.clients(request);
        let client = match (written, request.scope) {
            (Some(Class::Loopback), _) => &clients.loopback,
            (_, Scope::AsWritten) => &clients.as_written,
            (_, Scope::FromPrivate) => &clients.from_private,
            (_, Scope::FromPublic) => &clients.from_public,
        };
        let mut builder = client.request(request.method.clone(), request.url.clone());
        if let Some(accept) = request.accept {
            builder = builder.header(ACCEPT, accept);
        }
        if let Some(authorization) = &request.authorization {
            builder = builder.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(form) = &request.form {
            builder = builder
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.clone());
        }
        builder
            .send()
            .await
            .map_err(|error| failure(request.registry, error))
    }

    /// How the host of a request is connected to.
    fn clients(&self, request: &Request<'_>) -> &Clients {
        let settings = self.hosts.of(&request.url);
        let special = settings.and_then(|settings| self.special.get(&settings.number));
        match special {
            Some(Special {
                led_to: Some(led_to),
                ..
            }) if !is_same_origin(request.base, &request.url) => led_to,
            Some(Special { own, .. }) => own,
            None => &self.usual,
        }
    }

    /// The class of the address that answered: the most public of what was written, resolved and connected to.
    fn peer(&self, url: &Url, response: &Response) -> Class {
        if let Some(class) = class_as_written(url) {
            return class;
        }
        let resolved = url
            .host_str()
            .and_then(|host| self.seen.class(host))
            .unwrap_or(Class::Public);
        let connected = response
            .remote_addr()
            .map_or(Class::Public, |address| Class::of(address.ip()));
        resolved.max(connected)
    }
}

// === impl Clients ===

impl Clients {
    fn new(
        settings: &OciSettings,
        tls: &rustls::ClientConfig,
        proxy: &ProxyChoice,
        seen: &Arc<Seen>,
        proxies: &Arc<[String]>,
    ) -> Result<Self, OciSettingsError> {
        let client = |source| OciSettingsError::Client { source };
        let through = match proxy {
            ProxyChoice::Through(url) => Some(Proxy::all(url.clone()).map_err(client)?),
            ProxyChoice::Environment | ProxyChoice::Direct => None,
        };
        let made = |scope, is_loopback: bool| {
            let resolver = FencedLookup {
                lookup: Arc::clone(&settings.lookup),
                scope,
                seen: Arc::clone(seen),
                proxies: Arc::clone(proxies),
            };
            let builder = Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(Arc::new(resolver))
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .user_agent(&settings.user_agent)
                .connect_timeout(settings.limits.connect)
                .pool_max_idle_per_host(settings.limits.concurrent_requests);
            let builder = match (&through, proxy) {
                (Some(through), _) => builder.proxy(through.clone()),
                (None, ProxyChoice::Environment) if !is_loopback => builder,
                (None, _) => builder.no_proxy(),
            };
            builder.build().map_err(client)
        };
        Ok(Self {
            loopback: made(Scope::AsWritten, true)?,
            as_written: made(Scope::AsWritten, false)?,
            from_private: made(Scope::FromPrivate, false)?,
            from_public: made(Scope::FromPublic, false)?,
        })
    }
}

/// The host names of the HTTP proxies that the environment names, as the HTTP client reads it.
pub(super) fn proxy_hosts() -> Vec<String> {
    [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ]
    .into_iter()
    .filter_map(|name| std::env::var(name).ok())
    .filter_map(|value| {
        Url::parse(&value)
            .or_else(|_| Url::parse(&format!("http://{value}")))
            .ok()
    })
    .filter_map(|url| url.host_str().map(str::to_ascii_lowercase))
    .collect()
}
