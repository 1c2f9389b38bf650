//! Calls by the thousand, while something happens: Pods are created without being kept, half of them of an image that is to be admitted,
//! half of one that is to be denied. Anything else than those two answers is a call that failed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::api::Api;
use crate::cluster::Cluster;

/// So many at a time.
const CALLERS: usize = 8;
/// How long a load goes on at most, after what was to happen has happened.
const PATIENCE: Duration = Duration::from_mins(3);
/// So many failures are told in full.
const TOLD: usize = 5;

/// A load that is on.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    tally: Arc<Tally>,
    callers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Tally {
    calls: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

// === impl Load ===

impl Load {
    /// Begins to call, in that covered namespace.
    pub(crate) fn begin(cluster: &Cluster, namespace: &str) -> Self {
        let (stop, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
        let images = cluster.images();
        let pods = [&images.signed, &images.unsigned].map(|image| pod(&image.by_digest));
        let callers = (0..CALLERS).map(|_| {
            let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
            cluster.runtime().spawn(call(
                cluster.api().clone(),
                path,
                pods.clone(),
                Arc::clone(&stop),
                Arc::clone(&tally),
            ))
        });
        Self {
            callers: callers.collect(),
            stop,
            tally,
        }
    }

    /// How many calls were answered so far.
    pub(crate) fn calls(&self) -> usize {
        self.tally.calls.load(Ordering::Relaxed)
    }

    /// Goes on until there were so many calls, ends, and says how many there were while that happened. None may have failed.
    pub(crate) fn end(self, cluster: &Cluster, at_least: usize, what: &str) {
        let until = Instant::now() + PATIENCE;
        while self.calls() < at_least && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.stop.store(true, Ordering::Relaxed);
        cluster.runtime().block_on(async {
            for caller in self.callers {
                caller.await.unwrap();
            }
        });
        let calls = self.tally.calls.load(Ordering::Relaxed);
        let failures = self.tally.failures.lock().unwrap();
        assert!(
            failures.is_empty(),
            "{} of {calls} calls failed:\n{}\n{}",
            failures.len(),
            failures[..failures.len().min(TOLD)].join("\n"),
            cluster.state()
        );
        assert!(calls >= at_least, "only {calls} calls in {PATIENCE:?}");
        // In the line of the trial, before its "ok".
        print!("{what}, {calls} calls, 0 failed: ");
    }
}

async fn call(
    api: Api,
    path: String,
    [good, bad]: [Value; 2],
    stop: Arc<AtomicBool>,
    tally: Arc<Tally>,
) {
    while !stop.load(Ordering::Relaxed) {
        for (pod, denied) in [(&good, false), (&bad, true)] {
            let answer = api.post(&path, pod).await;
            tally.calls.fetch_add(1, Ordering::Relaxed);
            let as_expected = match &answer {
                Ok(_) => !denied,
                Err(kube::Error::Api(status)) => {
                    denied && status.code == 403 && status.message.contains("no signatures found")
                }
                Err(_) => false,
            };
            if !as_expected {
                let at = jiff::Timestamp::now();
                let failure = match answer {
                    Ok(_) => format!("{at} admitted what nobody signed"),
                    Err(error) => format!("{at} {error}"),
                };
                tally.failures.lock().unwrap().push(failure);
            }
        }
    }
}

fn pod(image: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "load-"},
        "spec": {"containers": [{"name": "app", "image": image}]},
    })
}
