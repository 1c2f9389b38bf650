//! One program of a Pod: started, probed, started again when it ends, stopped when the Pod is deleted.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::probes::Probe;
use super::sandbox::{Process, Sandbox};
use super::{now, text};

/// How long a program that ended waits until it is started again.
const BACK_OFF: Duration = Duration::from_secs(1);

/// What is known of the programs of a Pod, in the order of its containers.
pub(super) struct Board {
    seen: Mutex<Vec<Seen>>,
    /// Told after each change.
    pub(super) changed: Notify,
}

#[derive(Clone, Debug)]
struct Seen {
    name: String,
    image: String,
    ready: bool,
    started: bool,
    restarts: u32,
    state: Value,
    last: Value,
}

/// One program, and what it needs.
pub(super) struct Container<'a> {
    pub(super) index: usize,
    pub(super) board: &'a Board,
    pub(super) sandbox: Sandbox,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) line: Vec<String>,
    pub(super) specification: &'a Value,
    pub(super) address: Ipv4Addr,
    /// How much grace there is, once the Pod is deleted.
    pub(super) stop: watch::Receiver<Option<Duration>>,
}

/// How a program ended for good.
pub(super) struct End {
    /// `None` when a signal ended it.
    pub(super) code: Option<i32>,
    /// From the signal to stop, where it was told to.
    pub(super) after_signal: Option<Duration>,
}

enum Why {
    Ended(std::io::Result<ExitStatus>),
    Unhealthy,
    Stopped,
}

// === impl Board ===

impl Board {
    /// None of these containers has started yet.
    pub(super) fn of(containers: &[Value]) -> Self {
        let seen = |container: &Value| Seen {
            name: text(&container["name"]).to_owned(),
            image: text(&container["image"]).to_owned(),
            ready: false,
            started: false,
            restarts: 0,
            state: json!({"waiting": {"reason": "ContainerCreating"}}),
            last: json!({}),
        };
        Self {
            seen: Mutex::new(containers.iter().map(seen).collect()),
            changed: Notify::new(),
        }
    }

    /// Whether all are ready.
    pub(super) fn all_ready(&self) -> bool {
        self.seen.lock().unwrap().iter().all(|seen| seen.ready)
    }

    /// As a Pod's `containerStatuses`.
    pub(super) fn statuses(&self) -> Value {
        let statuses = |seen: &Seen| {
            json!({
                "name": seen.name,
                "image": seen.image,
                "imageID": seen.image,
                "containerID": format!("stand-in://{}", seen.name),
                "ready": seen.ready,
                "started": seen.started,
                "restartCount": seen.restarts,
                "state": seen.state,
                "lastState": seen.last,
            })
        };
        self.seen.lock().unwrap().iter().map(statuses).collect()
    }

    fn change(&self, index: usize, change: impl FnOnce(&mut Seen)) {
        let mut seen = self.seen.lock().unwrap();
        let before = format!("{:?}", seen[index]);
        change(&mut seen[index]);
        if before != format!("{:?}", seen[index]) {
            self.changed.notify_one();
        }
    }
}

// === impl Container ===

impl Container<'_> {
    /// Runs it until the Pod is deleted, starting it again whenever it ends.
    pub(super) async fn run(&self) -> End {
        loop {
            let end = self.run_once().await;
            if end.after_signal.is_some() {
                return end;
            }
            let mut stop = self.stop.clone();
            let stopped = stop.wait_for(Option::is_some);
            if timeout(BACK_OFF, stopped).await.is_ok() {
                return end;
            }
            self.board.change(self.index, |seen| seen.restarts += 1);
        }
    }

    /// Runs it until it ends, or the Pod is deleted.
    pub(super) async fn run_once(&self) -> End {
        let began = now();
        let mut child = match self.sandbox.start(&self.environment, &self.line) {
            Ok(child) => child,
            Err(error) => panic!("{:?} cannot be started: {error}", self.line),
        };
        let running = json!({"running": {"startedAt": began}});
        self.board.change(self.index, |seen| seen.state = running);
        let mut stop = self.stop.clone();
        let why = tokio::select! {
            status = child.wait() => Why::Ended(status),
            () = self.watch_health() => Why::Unhealthy,
            _ = stop.wait_for(Option::is_some) => Why::Stopped,
        };
        let (status, after_signal) = match why {
            Why::Ended(status) => (status, None),
            Why::Unhealthy => {
                let grace = self.specification["terminationGracePeriodSeconds"].as_u64();
                let grace = Duration::from_secs(grace.unwrap_or(30));
                (self.stop(&mut child, grace).await, None)
            }
            Why::Stopped => {
                let grace = self.stop.borrow().unwrap_or_default();
                let since = Instant::now();
                (self.stop(&mut child, grace).await, Some(since.elapsed()))
            }
        };
        let status = status.unwrap();
        let code = status.code();
        let ended = json!({"terminated": {
            "exitCode": code.unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
            "reason": if status.success() { "Completed" } else { "Error" },
            "startedAt": began,
            "finishedAt": now(),
        }});
        self.board.change(self.index, |seen| {
            seen.ready = false;
            seen.started = false;
            seen.last.clone_from(&ended);
            seen.state = ended;
        });
        End { code, after_signal }
    }

    /// `preStop`, the signal, the grace, and the end of it.
    async fn stop(&self, child: &mut Process, grace: Duration) -> std::io::Result<ExitStatus> {
        let ending = async {
            let pre_stop = &self.specification["lifecycle"]["preStop"]["sleep"]["seconds"];
            sleep(Duration::from_secs(pre_stop.as_u64().unwrap_or(0))).await;
            child.terminate();
            child.wait().await
        };
        let ended = tokio::select! {
            ended = timeout(grace, ending) => ended,
            // Asked as before while it ends; health is not.
            () = self.watch_readiness() => unreachable!("never ends"),
        };
        if let Ok(ended) = ended {
            return ended;
        }
        child.kill();
        child.wait().await
    }

    /// Ends when the program is not healthy any more; tells meanwhile whether it is ready.
    async fn watch_health(&self) {
        if let Some(probe) = self.probe("startupProbe")
            && !settles(&probe).await
        {
            return;
        }
        self.board.change(self.index, |seen| seen.started = true);
        let Some(probe) = self.probe("livenessProbe") else {
            return self.watch_readiness().await;
        };
        tokio::select! {
            () = fails(&probe) => {}
            () = self.watch_readiness() => {}
        }
    }

    /// Tells whether the program is ready, for ever.
    async fn watch_readiness(&self) {
        let tell = |ready: bool| self.board.change(self.index, |seen| seen.ready = ready);
        let Some(probe) = self.probe("readinessProbe") else {
            tell(true);
            return std::future::pending().await;
        };
        sleep(probe.initial_delay).await;
        let (mut good, mut bad) = (0, 0);
        loop {
            if probe.succeeds().await {
                (good, bad) = (good + 1, 0);
            } else {
                (good, bad) = (0, bad + 1);
            }
            if good >= probe.successes {
                tell(true);
            } else if bad >= probe.failures {
                tell(false);
            }
            sleep(probe.period).await;
        }
    }

    fn probe(&self, field: &str) -> Option<Probe> {
        Probe::of(self.specification, field, self.address)
    }
}

/// Waits for the first success; `false` when it does not come in time.
async fn settles(probe: &Probe) -> bool {
    sleep(probe.initial_delay).await;
    for _ in 0..probe.failures {
        if probe.succeeds().await {
            return true;
        }
        sleep(probe.period).await;
    }
    false
}

/// Waits until it has failed often enough in a row.
async fn fails(probe: &Probe) {
    sleep(probe.initial_delay).await;
    let mut bad = 0;
    while bad < probe.failures {
        sleep(probe.period).await;
        bad = if probe.succeeds().await { 0 } else { bad + 1 };
    }
}
