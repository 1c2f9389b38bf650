//! Authorization as registries ask for it: Basic, or tokens of a service that the challenge names (distribution's token
//! specification; `OAuth2` for refresh tokens).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Query;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::log::Class;
use super::response;

/// How the token service behaves. `Default` gives tokens to nobody; see the methods.
#[derive(Clone, Debug, Default)]
pub struct TokenAuth {
    /// Allows tokens without a user.
    pub anonymous: bool,
    /// The realm in the challenge; the registry's own `/token` where absent.
    pub realm: Option<String>,
    /// The service in the challenge; `fixture` where absent. A token request must repeat it.
    pub service: Option<String>,
    /// The scope in the challenge; `repository:<name>:pull` where absent.
    pub scope: Option<String>,
    /// The whole `WWW-Authenticate` header, word for word.
    pub challenge: Option<String>,
    /// Seconds that a token lives; said and kept. Where absent nothing is said, and tokens live on.
    pub expires_in: Option<u64>,
    /// The token in the answer, word for word (a line break in it, say). Such a token gives access to nothing.
    pub token_text: Option<String>,
    /// Answers with `access_token` instead of `token`.
    pub as_access_token: bool,
    /// Who gets tokens.
    pub users: Vec<User>,
    /// Refresh tokens that are exchanged for tokens.
    pub refresh_tokens: Vec<String>,
}

/// A user of the token service.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
    /// The repositories that tokens may be for; empty: every repository.
    pub repositories: Vec<String>,
}

/// Which authorization is asked for.
#[derive(Debug, Default)]
pub(super) enum Auth {
    #[default]
    None,
    Basic {
        user: String,
        password: String,
    },
    Bearer(TokenAuth),
}

/// The state of authorization: the mode, and the tokens that were issued.
#[derive(Debug, Default)]
pub(super) struct TokenService {
    pub(super) mode: Auth,
    pub(super) host: String,
    issued: usize,
    valid: HashMap<String, Grant>,
}

/// What a token gives access to.
#[derive(Debug)]
struct Grant {
    scope: String,
    until: Option<Instant>,
}

// === impl TokenAuth ===

impl TokenAuth {
    /// Gives tokens to everybody.
    pub fn anonymous() -> Self {
        Self {
            anonymous: true,
            ..Self::default()
        }
    }

    /// Gives tokens to this user (Basic authentication at the token service).
    #[must_use]
    pub fn user(self, name: &str, password: &str) -> Self {
        self.user_of(name, password, &[])
    }

    /// Gives tokens to this user, for these repositories only.
    #[must_use]
    pub fn user_of(mut self, name: &str, password: &str, repositories: &[&str]) -> Self {
        self.users.push(User {
            name: name.to_owned(),
            password: password.to_owned(),
            repositories: repositories.iter().map(ToString::to_string).collect(),
        });
        self
    }

    /// Gives tokens for this refresh token (`POST`, `OAuth2`).
    #[must_use]
    pub fn refresh_token(mut self, token: &str) -> Self {
        self.refresh_tokens.push(token.to_owned());
        self
    }

    fn service(&self) -> &str {
        self.service.as_deref().unwrap_or("fixture")
    }

    fn scope_for(&self, path: &str) -> String {
        self.scope
            .clone()
            .unwrap_or_else(|| format!("repository:{}:pull", repository_in(path)))
    }

    fn challenge_for(&self, path: &str, host: &str) -> String {
        self.challenge.clone().unwrap_or_else(|| {
            let realm = match &self.realm {
                Some(realm) => realm.clone(),
                None => format!("http://{host}/token"),
            };
            let (service, scope) = (self.service(), self.scope_for(path));
            format!(r#"Bearer realm="{realm}",service="{service}",scope="{scope}""#)
        })
    }

    /// Whether these credentials may have a token for `scope`.
    fn grants(&self, scope: &str, basic: Option<(String, String)>, refresh: Option<&str>) -> bool {
        if let Some(token) = refresh {
            return self.refresh_tokens.iter().any(|known| known == token);
        }
        let Some((name, password)) = basic else {
            return self.anonymous;
        };
        let repository = scope.split(':').nth(1).unwrap_or_default();
        self.users.iter().any(|user| {
            let may = user.repositories.is_empty()
                || user.repositories.iter().any(|own| own == repository);
            user.name == name && user.password == password && may
        })
    }
}

// === impl TokenService ===

impl TokenService {
    pub(super) fn revoke(&mut self) {
        self.valid.clear();
    }

    pub(super) fn issued(&self) -> usize {
        self.issued
    }

    /// 401 with a challenge, unless the request may pass.
    pub(super) fn refusal(
        &self,
        class: Class,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<Response<Body>> {
        let challenge = match &self.mode {
            _ if class == Class::Token => return None,
            Auth::None => return None,
            Auth::Basic { user, password } => {
                let wanted = (user.clone(), password.clone());
                if basic(headers) == Some(wanted) {
                    return None;
                }
                r#"Basic realm="fixture""#.to_owned()
            }
            Auth::Bearer(auth) => {
                if self.has_access(&auth.scope_for(path), headers) {
                    return None;
                }
                auth.challenge_for(path, &self.host)
            }
        };
        let value = HeaderValue::from_str(&challenge).expect("a valid challenge");
        let headers = HeaderMap::from_iter([(header::WWW_AUTHENTICATE, value)]);
        let body =
            json!({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]});
        Some(response(
            StatusCode::UNAUTHORIZED,
            headers,
            body.to_string(),
        ))
    }

    fn has_access(&self, scope: &str, headers: &HeaderMap) -> bool {
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        token
            .and_then(|token| self.valid.get(token))
            .is_some_and(|grant| {
                grant.scope == scope && grant.until.is_none_or(|until| Instant::now() < until)
            })
    }

    /// The answer of the token service to `GET ?service=…&scope=…` or to a `POST` of a form.
    pub(super) fn token(&mut self, request: &Parts, form: &str) -> Response<Body> {
        let Auth::Bearer(auth) = &self.mode else {
            return response(StatusCode::NOT_FOUND, HeaderMap::new(), "no token service");
        };
        let query = match request.uri.query() {
            Some(query) if form.is_empty() => query,
            _ => form,
        };
        let asked = parameters(query);
        let text = |name: &str| asked.get(name).map(String::as_str);
        let scope = text("scope").unwrap_or_default().to_owned();
        let granted = text("service") == Some(auth.service())
            && auth.grants(&scope, basic(&request.headers), text("refresh_token"));
        if !granted {
            let body = json!({"errors": [{"code": "DENIED", "message": "no token for you"}]});
            return response(StatusCode::UNAUTHORIZED, HeaderMap::new(), body.to_string());
        }
        let auth = auth.clone();
        self.issue(&auth, scope)
    }

    /// A new token that gives access to `scope`.
    fn remember(&mut self, expires_in: Option<u64>, scope: String) -> String {
        let token = format!("token-{}", self.issued);
        let until = expires_in.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        self.valid.insert(token.clone(), Grant { scope, until });
        token
    }

    fn issue(&mut self, auth: &TokenAuth, scope: String) -> Response<Body> {
        self.issued += 1;
        let token = auth
            .token_text
            .clone()
            .unwrap_or_else(|| self.remember(auth.expires_in, scope));
        let field = if auth.as_access_token {
            "access_token"
        } else {
            "token"
        };
        let mut body = json!({field: token});
        if let Some(seconds) = auth.expires_in {
            body["expires_in"] = json!(seconds);
        }
        let headers = HeaderMap::from_iter([(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )]);
        response(StatusCode::OK, headers, body.to_string())
    }
}

/// The repository in `/v2/<name>/manifests/<reference>`; empty for `/v2/`.
fn repository_in(path: &str) -> &str {
    path.strip_prefix("/v2/")
        .and_then(|rest| rest.rsplitn(3, '/').nth(2))
        .unwrap_or_default()
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// The parameters of a query or a form.
fn parameters(text: &str) -> HashMap<String, String> {
    let parsed = format!("/?{text}")
        .parse()
        .ok()
        .and_then(|uri| Query::try_from_uri(&uri).ok());
    parsed.map(|Query(map)| map).unwrap_or_default()
}
