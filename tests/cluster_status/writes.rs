//! Statuses, finalizers and Events of policies and trust roots: written by the leader alone, on change, once, and gently.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use vouchsafe::adapters::cluster::leader::Leadership;
use vouchsafe::adapters::cluster::status::{Kind, Target};
use vouchsafe::adapters::metrics::Metrics;
use vouchsafe::api::{self, Condition, Status};
use vouchsafe::app::status::{Pauses, Report, StatusKeeper};
use vouchsafe::apply::conditions::{of_policy, of_trust_root};
use vouchsafe::policy::{Referents, compile};

use super::support::api_server::{ApiServer, Fault};
use super::{cluster, until, writes};

const SOON: Duration = Duration::from_secs(10);
/// Long enough for whatever must not happen to happen.
const A_WHILE: Duration = Duration::from_millis(400);
const RECONCILER: &str = "policy-controller.github.com.sigstore.policy-controller.pkg.reconciler.clusterimagepolicy.reconciler.00-of-01";

const QUICK: Pauses = Pauses {
    between: Duration::ZERO,
    again: Duration::from_millis(20),
    longest: Duration::from_millis(200),
    retry: Duration::from_millis(50),
};

/// A keeper of statuses over an API server, which is told what to say and whether it leads.
struct Keeper {
    server: ApiServer,
    metrics: Arc<Metrics>,
    reports: watch::Sender<Arc<Vec<Report>>>,
    leads: watch::Sender<bool>,
    stop: CancellationToken,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Keeper {
    async fn start(leads: bool, pauses: Pauses) -> Self {
        let server = ApiServer::start().await;
        let (leads, leadership) = watch::channel(leads);
        let (reports, told) = watch::channel(Arc::default());
        let (metrics, stop) = (Arc::new(Metrics::new()), CancellationToken::new());
        let leadership = Leadership::from(leadership);
        let keeper = StatusKeeper::new(
            &cluster(&server).await,
            "replica-1",
            leadership,
            Arc::clone(&metrics),
            pauses,
        );
        tokio::spawn(keeper.run(told, stop.clone()));
        Self {
            server,
            metrics,
            reports,
            leads,
            stop,
        }
    }

    /// A policy is stored, with this finalizer if there is one.
    fn policy(&self, name: &str, spec: &Value, finalizer: Option<&str>) {
        let finalizers: Vec<&str> = finalizer.into_iter().collect();
        self.server.put(json!({
            "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "ClusterImagePolicy",
            "metadata": {"name": name, "finalizers": finalizers}, "spec": spec,
        }));
    }

    /// Reads every policy and trust root as it is stored now, and reports it.
    fn report(&self) {
        let policies = self.server.all("clusterimagepolicies").into_iter();
        let policies = policies.map(|object| {
            let policy = api::decode_cluster_image_policy(object.clone()).unwrap();
            let found = of_policy(&compile(&policy, &Referents::default()).body, &[]);
            report(Kind::ClusterImagePolicy, &object, found)
        });
        let roots = self.server.all("trustroots").into_iter();
        let roots =
            roots.map(|object| report(Kind::TrustRoot, &object, of_trust_root(Ok(()), &[])));
        self.reports
            .send_replace(Arc::new(policies.chain(roots).collect()));
    }

    fn condition(&self, name: &str, type_: &str) -> Value {
        let object = self.server.get(&path(name)).unwrap();
        let conditions = object["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let found = conditions
            .into_iter()
            .find(|condition| condition["type"] == type_);
        found.unwrap_or_default()
    }

    fn ready(&self, name: &str) -> String {
        let condition = self.condition(name, "Ready");
        format!(
            "{} {}",
            condition["status"].as_str().unwrap_or_default(),
            condition["reason"].as_str().unwrap_or_default()
        )
    }

    fn events(&self) -> Vec<String> {
        let events = self.server.all("events").into_iter();
        let line = |event: Value| {
            let text = |pointer: &str| {
                event
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            format!(
                "{} {} {} {}: {}",
                text("/type"),
                text("/reason"),
                text("/regarding/kind"),
                text("/regarding/name"),
                text("/note")
            )
        };
        events.map(line).collect()
    }
}

fn report(kind: Kind, object: &Value, conditions: Vec<Condition>) -> Report {
    let metadata = &object["metadata"];
    let text = |name: &str| metadata[name].as_str().unwrap_or_default().to_owned();
    Report {
        target: Target {
            kind,
            name: text("name"),
            uid: text("uid"),
        },
        generation: metadata["generation"].as_i64(),
        version: text("resourceVersion"),
        finalizers: serde_json::from_value(metadata["finalizers"].clone()).unwrap_or_default(),
        is_deleted: metadata["deletionTimestamp"].is_string(),
        present: serde_json::from_value::<Option<Status>>(object["status"].clone())
            .unwrap()
            .unwrap_or_default(),
        conditions,
    }
}

fn path(name: &str) -> String {
    format!("/apis/policy.sigstore.dev/v1alpha1/clusterimagepolicies/{name}")
}

fn good() -> Value {
    json!({"images": [{"glob": "**"}], "authorities": [{"static": {"action": "fail"}}]})
}

fn bad() -> Value {
    json!({"images": [{"glob": "**"}], "authorities": [{"key": {"secretRef": {"name": "gone"}}}]})
}

fn lease(name: &str, age: Duration) -> Value {
    let renewed = jiff::Timestamp::now() - jiff::SignedDuration::try_from(age).unwrap();
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name, "namespace": "cosign-system"},
        "spec": {"holderIdentity": "pod_1", "leaseDurationSeconds": 15, "renewTime": format!("{renewed:.6}")},
    })
}

#[tokio::test]
async fn what_became_of_a_policy_is_told_and_so_is_every_change() {
    let keeper = Keeper::start(true, QUICK).await;
    keeper.policy("release", &bad(), None);
    keeper.report();
    until("its status is written", SOON, || {
        keeper.ready("release") == "False InliningKeysFailed"
    })
    .await;
    let first = keeper.condition("release", "ConfigMapUpdated");
    assert_eq!(first["reason"], "NotUsed");
    until("an Event is made", SOON, || keeper.events().len() == 1).await;
    let mut mended = keeper.server.get(&path("release")).unwrap();
    mended["spec"] = good();
    keeper.server.put(mended);
    keeper.report();
    until("its status is written again", SOON, || {
        keeper.ready("release") == "True "
    })
    .await;
    until("another Event is made", SOON, || keeper.events().len() == 2).await;
    let stored = keeper.server.get(&path("release")).unwrap();
    assert_eq!(
        stored["status"]["observedGeneration"],
        stored["metadata"]["generation"]
    );
    assert_eq!(
        keeper.condition("release", "ConfigMapUpdated"),
        first,
        "what did not change keeps its time"
    );
    let mut events = keeper.events();
    events.sort();
    assert_eq!(
        events,
        [
            "Normal Ready ClusterImagePolicy release: in force",
            "Warning PolicyInvalid ClusterImagePolicy release: images that it matches are denied: cannot be resolved: \
             spec.authorities[0].key.secretref: secret \"gone\" is not in the namespace \"\"",
        ]
    );
    let written = writes(&keeper.server);
    for asked in &written {
        assert_eq!(
            (asked.method.as_str(), asked.content_type.as_str()),
            ("PATCH", "application/apply-patch+yaml")
        );
        assert!(asked.path.ends_with("/release/status"), "{}", asked.path);
        assert_eq!(
            (asked.parameter("fieldManager"), asked.parameter("force")),
            ("vouchsafe", "true")
        );
    }
    assert_eq!(written.len(), 2);
}

#[tokio::test]
async fn nothing_is_asked_where_nothing_is_new() {
    let keeper = Keeper::start(true, QUICK).await;
    keeper.policy("release", &good(), None);
    keeper.report();
    until("its status is written", SOON, || {
        keeper.ready("release") == "True "
    })
    .await;
    sleep(A_WHILE).await;
    keeper.server.forget_asked();
    // As it was read before the write, and as it was read after it.
    keeper.reports.send_modify(|_| {});
    sleep(A_WHILE).await;
    keeper.report();
    sleep(A_WHILE).await;
    assert!(
        keeper.server.asked().is_empty(),
        "{:?}",
        keeper.server.asked()
    );
}

#[tokio::test]
async fn only_the_leader_writes_and_it_stops_when_it_does_not_lead_any_more() {
    let slowly = Pauses {
        between: Duration::from_millis(20),
        ..QUICK
    };
    let keeper = Keeper::start(false, slowly).await;
    for index in 0..100 {
        keeper.policy(&format!("p{index}"), &good(), None);
    }
    keeper.report();
    sleep(A_WHILE).await;
    assert!(keeper.server.asked().is_empty(), "a follower asks nothing");
    keeper.leads.send_replace(true);
    until("it writes", SOON, || writes(&keeper.server).len() > 3).await;
    keeper.leads.send_replace(false);
    sleep(Duration::from_millis(50)).await;
    let written = writes(&keeper.server).len();
    sleep(A_WHILE).await;
    assert_eq!(writes(&keeper.server).len(), written);
    assert!(written < 100, "{written}");
    keeper.leads.send_replace(true);
    until("it goes on", SOON, || {
        (0..100).all(|index| keeper.ready(&format!("p{index}")) == "True ")
    })
    .await;
    assert!(keeper.metrics.encode().contains("vouchsafe_leader 1"));
}

#[tokio::test]
async fn nothing_is_written_while_policy_controller_is_alive() {
    let keeper = Keeper::start(true, QUICK).await;
    keeper.server.put(lease(RECONCILER, Duration::ZERO));
    keeper.policy(
        "release",
        &good(),
        Some(Kind::ClusterImagePolicy.finalizer()),
    );
    keeper.report();
    sleep(A_WHILE).await;
    assert!(writes(&keeper.server).is_empty());
    assert!(keeper.events().is_empty());
    // It died, and left its Lease behind.
    keeper
        .server
        .put(lease(RECONCILER, Duration::from_secs(16)));
    until("its status is written", SOON, || {
        keeper.ready("release") == "True "
    })
    .await;
}

#[tokio::test]
async fn the_finalizer_of_policy_controller_is_taken_off_and_the_deletion_goes_through() {
    let keeper = Keeper::start(true, QUICK).await;
    let root = |name: &str| format!("/apis/policy.sigstore.dev/v1alpha1/trustroots/{name}");
    keeper.server.put(json!({
        "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot",
        "metadata": {"name": "mine", "finalizers": ["example.com/theirs", Kind::TrustRoot.finalizer()]}, "spec": {},
    }));
    keeper.policy("kept", &good(), Some(Kind::ClusterImagePolicy.finalizer()));
    keeper.policy("going", &good(), Some(Kind::ClusterImagePolicy.finalizer()));
    let mut going = keeper.server.get(&path("going")).unwrap();
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:01Z");
    // Deleted before we were there: it waits for somebody who is gone.
    keeper.server.put(going);
    keeper.report();
    until("it is gone", SOON, || {
        keeper.server.get(&path("going")).is_none()
    })
    .await;
    let finalizers =
        |path: &str| keeper.server.get(path).unwrap()["metadata"]["finalizers"].clone();
    until("those of others stay", SOON, || {
        finalizers(&root("mine")) == json!(["example.com/theirs"])
    })
    .await;
    until("the other one is free too", SOON, || {
        finalizers(&path("kept")) == json!([])
    })
    .await;
    let status = writes(&keeper.server)
        .into_iter()
        .filter(|asked| asked.path.ends_with("going/status"));
    assert_eq!(status.count(), 0, "what goes needs no status");
}

#[tokio::test]
async fn a_thousand_policies_are_told_with_one_write_each_and_then_none() {
    let keeper = Keeper::start(
        true,
        Pauses {
            again: Duration::from_millis(1),
            ..QUICK
        },
    )
    .await;
    for index in 0..1_000 {
        keeper.policy(&format!("p{index:04}"), &good(), None);
    }
    keeper.report();
    until("all are told", Duration::from_mins(1), || {
        writes(&keeper.server).len() >= 1_000
    })
    .await;
    keeper.report();
    sleep(A_WHILE).await;
    assert_eq!(writes(&keeper.server).len(), 1_000);
    let looks = keeper
        .server
        .asked()
        .into_iter()
        .filter(|asked| asked.lists("leases"));
    assert!(
        looks.count() <= 30,
        "one look for policy-controller for many writes"
    );
}

#[tokio::test]
async fn a_thousand_policies_take_their_time() {
    let keeper = Keeper::start(
        true,
        Pauses {
            between: Duration::from_millis(10),
            ..QUICK
        },
    )
    .await;
    for index in 0..1_000 {
        keeper.policy(&format!("p{index:04}"), &good(), None);
    }
    let began = Instant::now();
    keeper.report();
    sleep(Duration::from_secs(1)).await;
    let written = u128::try_from(writes(&keeper.server).len()).unwrap();
    let most = began.elapsed().as_millis() / 10 + 1;
    assert!(written <= most, "{written} writes, at most {most}");
}

#[tokio::test]
async fn a_conflict_is_tried_again_and_what_is_gone_is_passed_over() {
    let keeper = Keeper::start(true, QUICK).await;
    for name in ["a", "b", "c"] {
        keeper.policy(name, &good(), None);
    }
    let mut conflicts = 2;
    keeper.server.on(move |asked| {
        let meets = asked.path.ends_with("/a/status") && conflicts > 0;
        conflicts -= i32::from(meets);
        meets.then_some(Fault::Status(409))
    });
    let told: Vec<Report> = {
        keeper.server.put(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "x"}}));
        let objects = keeper.server.all("clusterimagepolicies").into_iter();
        objects
            .map(|object| {
                report(
                    Kind::ClusterImagePolicy,
                    &object,
                    of_trust_root(Ok(()), &[]),
                )
            })
            .collect()
    };
    keeper.server.delete(&path("b"));
    keeper.reports.send_replace(Arc::new(told));
    until("the others are told", SOON, || keeper.ready("c") == "True ").await;
    until("the conflict is over", SOON, || {
        keeper.ready("a") == "True "
    })
    .await;
    assert!(keeper.server.get(&path("b")).is_none());
    let metrics = keeper.metrics.encode();
    for line in [
        "vouchsafe_status_writes_total{outcome=\"conflict\"} 2",
        "vouchsafe_status_writes_total{outcome=\"gone\"}",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
}

#[tokio::test]
async fn an_api_server_that_refuses_is_asked_ever_more_rarely_and_told_in_the_end() {
    let keeper = Keeper::start(false, QUICK).await;
    keeper.policy("release", &good(), None);
    keeper.server.on(|asked| {
        asked
            .path
            .ends_with("/status")
            .then_some(Fault::Status(503))
    });
    keeper.report();
    keeper.leads.send_replace(true);
    sleep(Duration::from_secs(1)).await;
    let tried = writes(&keeper.server).len();
    assert!((2..=9).contains(&tried), "{tried} tries");
    let asked = keeper.server.asked().len();
    assert!(asked <= 2 * tried, "{asked} requests");
    keeper.server.clear_faults();
    until("its status is written", SOON, || {
        keeper.ready("release") == "True "
    })
    .await;
    until("one Event is made, after the status", SOON, || {
        keeper.events().len() == 1
    })
    .await;
}

#[tokio::test]
async fn somebody_who_writes_the_same_status_is_met_ever_more_rarely() {
    let keeper = Keeper::start(true, QUICK).await;
    keeper.policy("release", &good(), None);
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {
        let mut object = keeper.server.get(&path("release")).unwrap();
        object["status"] = json!({"conditions": [{"type": "Ready", "status": "Unknown"}]});
        keeper.server.put(object);
        keeper.report();
        sleep(Duration::from_millis(2)).await;
    }
    let written = writes(&keeper.server).len();
    assert!(written <= 10, "{written} writes in a second");
}
