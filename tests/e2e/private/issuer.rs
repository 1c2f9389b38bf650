//! An issuer of identities, as `OpenID` Connect has it: it says who its keys are, and signs tokens for whom it is told to.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The application that tokens are for.
pub(super) const AUDIENCE: &str = "sigstore";

/// An issuer that answers on a loopback port until the process ends.
pub(super) struct Issuer {
    key: EcdsaKeyPair,
    url: String,
}

// === impl Issuer ===

impl Issuer {
    pub(super) fn start() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (discovery, keys) = (discovery(&url), keys(&key));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that goes away is nobody's fault.
                let _gone = answer(client, &discovery, &keys);
            }
        });
        Self { key, url }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// A token that says that its bearer has this address.
    pub(super) fn token(&self, email: &str) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let claims = json!({
            "iss": self.url, "aud": AUDIENCE, "sub": email,
            "email": email, "email_verified": true,
            "iat": now, "exp": now + 600,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = json!({"alg": "ES256", "kid": "1", "typ": "JWT"});
        let signed = format!("{}.{}", part(&head), part(&claims));
        let signature = self
            .key
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn discovery(url: &str) -> Value {
    json!({
        "issuer": url,
        "jwks_uri": format!("{url}/keys"),
        "authorization_endpoint": format!("{url}/auth"),
        "token_endpoint": format!("{url}/token"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}

fn keys(key: &EcdsaKeyPair) -> Value {
    // An uncompressed point: one byte, then both coordinates.
    let point = key.public_key().as_ref();
    let (x, y) = (
        URL_SAFE_NO_PAD.encode(&point[1..33]),
        URL_SAFE_NO_PAD.encode(&point[33..]),
    );
    json!({"keys": [
        {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "1", "x": x, "y": y},
    ]})
}

fn answer(mut client: TcpStream, discovery: &Value, keys: &Value) -> std::io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    let asked = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    while lines
        .next()
        .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
    {}
    let body = if asked.contains("/keys") {
        keys
    } else {
        discovery
    }
    .to_string();
    let size = body.len();
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n{body}"
    )
}
