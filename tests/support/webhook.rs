//! The real webhook as the API server meets it: an AdmissionReview over HTTPS, and what comes back.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use vouchsafe::app::webhook::{self, Certificate, Running, WebhookSettings};
use vouchsafe::config::{JudgeArgs, NoMatch, Tags, TrustArgs};
use vouchsafe::explain::Enforcement;
use vouchsafe::limits::Limits;
use vouchsafe::server::TlsVersion;

/// The webhook in this process, on a loopback port, with a certificate of its own. Stops when it is dropped.
pub struct Webhook {
    caller: Caller,
    running: Running,
    folder: TempDir,
}

/// A client of one webhook, which trusts its certificate authority and nobody else.
pub struct Caller {
    client: reqwest::Client,
    url: String,
}

/// An AdmissionReview. As made by [`Review::of`] it is the creation of a Pod.
#[derive(Clone, Debug)]
pub struct Review {
    uid: String,
    timeout: u64,
    group: String,
    version: String,
    kind: String,
    operation: String,
    subresource: Option<String>,
    namespace: String,
    dry_run: bool,
    object: Value,
    old_object: Value,
}

/// What `/mutate` answered.
#[derive(Clone, Debug)]
pub struct Mutated {
    /// The patch; empty where there is none.
    pub patch: json_patch::Patch,
    /// The object with the patch applied.
    pub object: Value,
    /// `warnings`.
    pub warnings: Vec<String>,
    /// How long the call took.
    pub took: Duration,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Whether the Pod is created.
    pub allowed: bool,
    /// `auditAnnotations`.
    pub annotations: Value,
    /// `status.message`, empty when allowed.
    pub message: String,
    /// `status.details.causes`.
    pub causes: Vec<Value>,
    /// `warnings`.
    pub warnings: Vec<String>,
    /// How long the call took.
    pub took: Duration,
}

/// Reasons that say *could not judge*. Whoever reads one must not be told that something is missing.
const COULD_NOT_JUDGE: [&str; 12] = [
    "policy-invalid",
    "policy-budget",
    "trust-root-unavailable",
    "registry-unreachable",
    "registry-auth",
    "registry-throttled",
    "registry-malformed",
    "digest-mismatch",
    "limit-exceeded",
    "deadline",
    "overloaded",
    "internal",
];

/// Words that say that something is missing.
const ABSENCE: [&str; 3] = [
    "no signatures found",
    "no attestations found",
    "no matching",
];

// === impl Webhook ===

impl Webhook {
    /// Starts one with these policies (YAML); an image that no policy matches is denied.
    pub async fn start(policies: &str) -> Self {
        Self::start_with(policies, |_| {}).await
    }

    /// Starts one with other settings than the default ones.
    pub async fn start_with(policies: &str, change: impl FnOnce(&mut WebhookSettings)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (file, authority) = (
            folder.path().join("policies.yaml"),
            folder.path().join("ca.pem"),
        );
        std::fs::write(&file, policies).expect("the folder can be written");
        let mut settings = settings(&file, &authority);
        change(&mut settings);
        let running = webhook::start(settings).await.expect("the webhook starts");
        let caller = Caller::new(&format!("https://{}", running.address), &authority);
        Self {
            caller,
            running,
            folder,
        }
    }

    /// Asks it.
    pub async fn review(&self, review: &Review) -> Answered {
        self.caller.review(review).await
    }

    /// Posts a document to a path, and gives the JSON that comes back.
    pub async fn post(&self, path: &str, document: &Value) -> Value {
        self.caller.post(path, document).await
    }

    /// The status with which a body is answered.
    pub async fn status(&self, path: &str, body: &'static str) -> u16 {
        self.caller.status(path, body).await
    }

    /// What it tells Prometheus.
    pub async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.running.admin_address);
        let answer = self.caller.client.get(url).send().await;
        answer.expect("it answers").text().await.expect("text")
    }

    /// Where its health and metrics are told (`http://127.0.0.1:PORT`).
    pub fn admin(&self) -> String {
        format!("http://{}", self.running.admin_address)
    }

    /// From now on its policies are these, as soon as it looks again.
    pub fn rewrite(&self, policies: &str) {
        let file = self.folder.path().join("policies.yaml");
        let next = self.folder.path().join("next");
        std::fs::write(&next, policies).expect("the folder can be written");
        std::fs::rename(&next, &file).expect("the folder can be written");
    }

    /// Asks what it would change.
    pub async fn mutate(&self, review: &Review) -> Mutated {
        self.caller.mutate(review).await
    }

    /// What the API server does: the object is changed, and what came of it is judged.
    pub async fn admit(&self, review: &Review) -> (Mutated, Answered) {
        let mutated = self.mutate(review).await;
        let judged = self
            .review(&review.clone().with(mutated.object.clone()))
            .await;
        (mutated, judged)
    }

    /// Asks it about one image with the time that the API server gives by default.
    pub async fn judge(&self, image: &str) -> Answered {
        self.review(&Review::of(&[image])).await
    }
}

fn settings(policies: &Path, authority: &Path) -> WebhookSettings {
    let loopback = "127.0.0.1:0".parse().expect("an address");
    WebhookSettings {
        judge: JudgeArgs {
            policies: vec![policies.to_owned()],
            namespace: "cosign-system".to_owned(),
            no_match_policy: NoMatch::Deny,
            insecure_registry: Vec::new(),
            registry_ca: None,
            tags: Tags::default(),
            kinds: None,
            registries: None,
            cloud_credentials: Vec::new(),
            cloud_registry: Vec::new(),
            trust: TrustArgs::default(),
        },
        cluster: None,
        listen: loopback,
        admin_listen: loopback,
        certificate: Certificate::Generated {
            names: Vec::new(),
            authority_out: Some(authority.to_owned()),
        },
        oldest_tls: TlsVersion::Tls13,
        client_ca: None,
        client_names: Vec::new(),
        reload_interval: Duration::from_hours(1),
        max_stale: Duration::from_hours(24),
        stop_delay: Duration::ZERO,
        footer: None,
        enforcement: Enforcement::Enforce,
        limits: Limits::default(),
    }
}

// === impl Caller ===

impl Caller {
    /// A client of the webhook at `url`, whose authority's certificate is in a file.
    pub fn new(url: &str, authority: &Path) -> Self {
        // Another test of this binary may have installed it already.
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let pem = std::fs::read(authority).expect("the authority was written");
        let authority = reqwest::Certificate::from_pem(&pem).expect("a certificate");
        let client = reqwest::Client::builder()
            .tls_certs_only([authority])
            .no_proxy()
            .timeout(Duration::from_secs(40))
            .build()
            .expect("a client");
        Self {
            client,
            url: url.to_owned(),
        }
    }

    /// Posts a document, and gives the JSON that comes back.
    pub async fn post(&self, path: &str, document: &Value) -> Value {
        let call = self.client.post(format!("{}{path}", self.url));
        let response = call.json(document).send().await.expect("it answers");
        assert_eq!(response.status(), 200);
        response.json().await.expect("JSON")
    }

    /// The status with which a body is answered.
    pub async fn status(&self, path: &str, body: &'static str) -> u16 {
        let call = self.client.post(format!("{}{path}", self.url));
        let call = call.header("content-type", "application/json").body(body);
        call.send().await.expect("it answers").status().as_u16()
    }

    /// Sends a review. Whatever is asked, the answer is an AdmissionReview with the uid of the question.
    pub async fn review(&self, review: &Review) -> Answered {
        let (response, took) = self.call("validate", review).await;
        Answered::new(&response, took)
    }

    /// Sends a review to `/mutate`, which allows whatever it is asked.
    pub async fn mutate(&self, review: &Review) -> Mutated {
        let (response, took) = self.call("mutate", review).await;
        Mutated::new(&response, review, took)
    }

    async fn call(&self, path: &str, review: &Review) -> (Value, Duration) {
        let started = Instant::now();
        let response = self
            .client
            .post(format!("{}/{path}?timeout={}s", self.url, review.timeout))
            .json(&review.document())
            .send()
            .await
            .expect("the webhook answers");
        assert_eq!(response.status(), 200);
        let answer: Value = response.json().await.expect("an AdmissionReview");
        assert_eq!(answer["response"]["uid"], json!(review.uid), "{answer}");
        (answer["response"].clone(), started.elapsed())
    }
}

// === impl Review ===

impl Review {
    /// A Pod with one container for each image, and `?timeout=10s`.
    pub fn of(images: &[&str]) -> Self {
        let containers = images
            .iter()
            .enumerate()
            .map(|(index, image)| json!({"name": format!("c{index}"), "image": image}));
        Self::create(
            "",
            "v1",
            "Pod",
            json!({"containers": containers.collect::<Vec<_>>()}),
        )
    }

    /// The creation of an object of this kind with this `spec`.
    pub fn create(group: &str, version: &str, kind: &str, spec: Value) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let api_version = match group {
            "" => version.to_owned(),
            group => format!("{group}/{version}"),
        };
        let metadata = json!({"name": "app", "namespace": "shop"});
        let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
        object["spec"] = spec;
        Self {
            uid: format!("review-{number}"),
            timeout: 10,
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            operation: "CREATE".to_owned(),
            subresource: None,
            namespace: "shop".to_owned(),
            dry_run: false,
            object,
            old_object: Value::Null,
        }
    }

    /// The update of this object from what it was in another review.
    #[must_use]
    pub fn over(self, old: &Self) -> Self {
        let old = old.object.clone();
        self.over_object(old)
    }

    /// The update of this object from what it was.
    #[must_use]
    pub fn over_object(self, old: Value) -> Self {
        Self {
            old_object: old,
            ..self.operation("UPDATE")
        }
    }

    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT`.
    #[must_use]
    pub fn operation(self, operation: &str) -> Self {
        let operation = operation.to_owned();
        Self { operation, ..self }
    }

    /// `status`, `scale`, `ephemeralcontainers`.
    #[must_use]
    pub fn subresource(mut self, name: &str) -> Self {
        self.subresource = Some(name.to_owned());
        self
    }

    /// `kubectl --dry-run=server`
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// In this namespace.
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        let namespace = namespace.to_owned();
        Self { namespace, ..self }
    }

    /// About this object.
    #[must_use]
    pub fn with(mut self, object: Value) -> Self {
        self.object = object;
        self
    }

    /// With another value at a JSON pointer, where there is one already, or in an object.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let parent = self
            .object
            .pointer_mut(parent)
            .expect("its parent is there");
        match parent {
            Value::Array(items) => items[key.parse::<usize>().expect("a number")] = value,
            parent => parent[key] = value,
        }
        self
    }

    /// The object.
    pub fn object(&self) -> &Value {
        &self.object
    }

    /// The API server waits this many seconds.
    #[must_use]
    pub fn timeout(mut self, seconds: u64) -> Self {
        self.timeout = seconds;
        self
    }

    /// One more annotation of the Pod.
    #[must_use]
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        self.object["metadata"]["annotations"][name] = json!(value);
        self
    }

    /// The Pod's only pull secret.
    #[must_use]
    pub fn pull_secret(mut self, name: &str) -> Self {
        self.object["spec"]["imagePullSecrets"] = json!([{ "name": name }]);
        self
    }

    fn document(&self) -> Value {
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": self.uid,
            "kind": {"group": self.group, "version": self.version, "kind": self.kind},
            "resource": {"group": self.group, "version": self.version, "resource": format!("{}s", self.kind.to_lowercase())},
            "subResource": self.subresource,
            "name": "app", "namespace": self.namespace, "operation": self.operation,
            "object": self.object, "oldObject": self.old_object, "dryRun": self.dry_run,
        }})
    }
}

// === impl Mutated ===

impl Mutated {
    /// Every patch is applied, and everything that is replaced was tested first.
    fn new(response: &Value, review: &Review, took: Duration) -> Self {
        assert_eq!(response["allowed"], true, "{response}");
        let patch: json_patch::Patch = match response["patch"].as_str() {
            None => json_patch::Patch::default(),
            Some(encoded) => {
                assert_eq!(response["patchType"], "JSONPatch", "{response}");
                let json = BASE64_STANDARD.decode(encoded).expect("base64");
                serde_json::from_slice(&json).expect("a JSON Patch")
            }
        };
        for (index, operation) in patch.iter().enumerate() {
            let expected = if index % 2 == 0 { "test" } else { "replace" };
            let operation = serde_json::to_value(operation).expect("JSON");
            assert_eq!(operation["op"], expected, "{patch}");
        }
        let mut object = review.object.clone();
        json_patch::patch(&mut object, &patch).expect("the patch can be applied");
        let warnings = response["warnings"].as_array().into_iter().flatten();
        Self {
            patch,
            object,
            warnings: warnings
                .map(|warning| warning.as_str().expect("a text").to_owned())
                .collect(),
            took,
        }
    }

    /// What stands at this JSON pointer now.
    pub fn at(&self, pointer: &str) -> &str {
        let found = self.object.pointer(pointer).and_then(Value::as_str);
        found.expect("a text")
    }
}

// === impl Answered ===

impl Answered {
    fn new(response: &Value, took: Duration) -> Self {
        let texts = |value: &Value| {
            let items = value.as_array().into_iter().flatten();
            items
                .map(|item| item.as_str().expect("a text").to_owned())
                .collect()
        };
        let status = &response["status"];
        let answered = Self {
            allowed: response["allowed"].as_bool().expect("a yes or a no"),
            annotations: response["auditAnnotations"].clone(),
            message: status["message"].as_str().unwrap_or_default().to_owned(),
            causes: status["details"]["causes"]
                .as_array()
                .cloned()
                .unwrap_or_default(),
            warnings: texts(&response["warnings"]),
            took,
        };
        let code = if answered.allowed {
            json!(null)
        } else {
            json!(403)
        };
        assert_eq!(status["code"], code, "{response}");
        answered
    }

    /// `auditAnnotations.reason`.
    pub fn reason(&self) -> &str {
        self.annotations["reason"].as_str().unwrap_or_default()
    }

    /// `auditAnnotations.digests`.
    pub fn digests(&self) -> &str {
        self.annotations["digests"].as_str().unwrap_or_default()
    }

    /// It is allowed, for this reason.
    #[track_caller]
    pub fn admitted(&self, reason: &str) -> &Self {
        assert!(self.allowed, "denied: {}\n{}", self.reason(), self.message);
        assert_eq!(self.reason(), reason);
        self
    }

    /// It is denied, for this reason, in words that fit.
    #[track_caller]
    pub fn denied(&self, reason: &str) -> &Self {
        assert!(!self.allowed, "admitted: {}", self.annotations);
        assert_eq!(self.reason(), reason, "{}", self.message);
        let unjudged = COULD_NOT_JUDGE.contains(&reason);
        let verdict = if unjudged { "unknown" } else { "deny" };
        assert_eq!(self.annotations["verdict"], verdict, "{}", self.message);
        for words in ABSENCE.iter().filter(|_| unjudged) {
            assert!(!self.message.contains(words), "{}", self.message);
        }
        assert!(
            self.causes.is_empty() || self.causes.iter().any(|cause| cause["reason"] == reason),
            "{:?}",
            self.causes
        );
        self
    }

    /// It was denied because something could not be found out, whatever that was.
    #[track_caller]
    pub fn unjudged(&self) -> &Self {
        assert!(
            COULD_NOT_JUDGE.contains(&self.reason()),
            "{}: {}",
            self.reason(),
            self.message
        );
        self.denied(self.reason())
    }
}
