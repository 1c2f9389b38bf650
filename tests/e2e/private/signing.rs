//! How cosign signs by a Sigstore of one's own, and how a cluster is told to trust it.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::stage::Stage;

use super::services::{Log, Services};

/// How cosign keeps what it signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Bundles that refer to the image.
    Bundle,
    /// `.sig` and `.att`.
    Tags,
}

/// Whom a `TrustRoot` trusts. PEM.
pub(super) struct Trusted {
    pub(super) authorities: String,
    pub(super) stamps: String,
    /// Rekor's key, where there is one.
    pub(super) log: Option<String>,
    /// The key of the log of certificates, where there is one.
    pub(super) certificates: Option<String>,
}

// === impl Shape ===

impl Shape {
    /// As trials are named.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bundle => "bundles",
            Self::Tags => ".sig and .att",
        }
    }
}

// === impl Trusted ===

impl Trusted {
    /// The services that run.
    pub(super) fn of(services: &Services) -> Self {
        let read = |file: &str| std::fs::read_to_string(services.file(file)).unwrap();
        Self {
            authorities: read("fulcio.pem"),
            stamps: read("tsa.pem"),
            log: (services.log != Log::Nowhere).then(|| read("rekor.pub")),
            certificates: (services.log == Log::V1).then(|| read("ct.pub")),
        }
    }

    /// A `TrustRoot` of this name.
    pub(super) fn trust_root(&self, name: &str, services: &Services) -> Value {
        let authority = |url: String, chain: &str| {
            json!([{
                "subject": {"organization": "e2e", "commonName": "e2e"},
                "uri": url,
                "certChain": STANDARD.encode(chain),
            }])
        };
        let listed = |url: &str, key: &str| {
            json!([{
                "baseURL": url,
                "hashAlgorithm": "sha-256",
                "publicKey": STANDARD.encode(key),
            }])
        };
        let mut keys = json!({
            "certificateAuthorities": authority(services.fulcio(), &self.authorities),
            "timestampAuthorities": authority(services.stamps(), &self.stamps),
        });
        if let Some(key) = &self.log {
            keys["tLogs"] = listed("http://localhost", key);
        }
        if let Some(key) = &self.certificates {
            keys["ctLogs"] = listed("http://localhost/e2e", key);
        }
        json!({
            "apiVersion": "policy.sigstore.dev/v1alpha1",
            "kind": "TrustRoot",
            "metadata": {"name": name},
            "spec": {"sigstoreKeys": keys},
        })
    }
}

/// cosign, which does that for somebody who has shown who he is.
pub(super) fn cosign(
    stage: &Stage,
    services: &Services,
    shape: Shape,
    verb: &str,
    who: &str,
) -> Command {
    let mut command = stage.tool("cosign");
    command
        .args([verb, "-y", "--identity-token"])
        .arg(services.token(who));
    command
        .arg("--trusted-root")
        .arg(services.file("trusted-root.json"));
    match shape {
        Shape::Bundle => {
            command
                .arg("--signing-config")
                .arg(services.file("signing-config.json"));
        }
        Shape::Tags => {
            command
                .args(["--use-signing-config=false", "--new-bundle-format=false"])
                .args(["--fulcio-url", &services.fulcio()]);
            match services.log {
                Log::Nowhere => {
                    command
                        .arg("--tlog-upload=false")
                        .args(["--timestamp-server-url", &services.stamps()]);
                }
                Log::V1 | Log::V2 => {
                    command.args(["--rekor-url", &services.rekor()]);
                }
            }
        }
    }
    command
}
