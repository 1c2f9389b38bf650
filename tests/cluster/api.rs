//! The API server over HTTP: paths and JSON, for what is done too often for kubectl.

use std::path::Path;

use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::Value;

/// A client of the API server.
#[derive(Clone)]
pub(crate) struct Api(Client);

// === impl Api ===

impl Api {
    /// As that kubeconfig says.
    pub(crate) async fn connect(kubeconfig: &Path) -> Self {
        // Another part of this process may have installed it already.
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let read = Kubeconfig::read_from(kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
        Self(Client::try_from(config.unwrap()).unwrap())
    }

    /// The client itself, for watches.
    pub(crate) fn client(&self) -> Client {
        self.0.clone()
    }

    pub(crate) async fn get(&self, path: &str) -> kube::Result<Value> {
        self.ask("GET", path, None, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> kube::Result<Value> {
        self.ask("POST", path, Some(body), "application/json").await
    }

    /// A merge patch.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> kube::Result<Value> {
        let merge = "application/merge-patch+json";
        self.ask("PATCH", path, Some(body), merge).await
    }

    pub(crate) async fn delete(&self, path: &str, options: &Value) -> kube::Result<Value> {
        let json = "application/json";
        self.ask("DELETE", path, Some(options), json).await
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        kind: &str,
    ) -> kube::Result<Value> {
        let mut request = http::Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header("content-type", kind);
        }
        let body = body.map(|body| body.to_string().into_bytes());
        let request = request.body(body.unwrap_or_default()).unwrap();
        self.0.request::<Value>(request).await
    }
}

/// Whether the object was not there.
pub(crate) fn is_absent(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
