//! One leader by a Lease, through everything that can happen to it.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use vouchsafe::adapters::cluster::leader::{Candidate, Leadership};

use super::support::api_server::{ApiServer, Fault};
use super::{NAMESPACE, cluster, until};

/// How long the Lease is good in these tests.
const LEASE: Duration = Duration::from_secs(3);
/// More than enough for whatever has no time of its own.
const SOON: Duration = Duration::from_secs(10);
const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/cosign-system/leases/vouchsafe";

struct Replica {
    leadership: Leadership,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Replica {
    async fn start(server: &ApiServer, name: &str) -> Self {
        let (candidate, leadership) =
            Candidate::new(&cluster(server).await, "vouchsafe", name, LEASE);
        let stop = CancellationToken::new();
        let task = tokio::spawn(candidate.run(stop.clone()));
        Self {
            leadership,
            stop,
            task,
        }
    }

    fn leads(&self) -> bool {
        self.leadership.is_leader()
    }

    /// As by SIGTERM.
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
        assert!(!self.leadership.is_leader());
    }
}

fn holder(server: &ApiServer) -> Option<String> {
    Some(
        server.get(PATH)?["spec"]["holderIdentity"]
            .as_str()?
            .to_owned(),
    )
}

#[tokio::test]
async fn a_leader_that_stops_leaves_the_lease_to_the_next() {
    let server = ApiServer::start().await;
    let first = Replica::start(&server, "first").await;
    until("the first leads", SOON, || first.leads()).await;
    assert_eq!(holder(&server).as_deref(), Some("first"));
    let second = Replica::start(&server, "second").await;
    sleep(LEASE * 2).await;
    assert!(
        first.leads() && !second.leads(),
        "who leads goes on leading"
    );
    first.stop().await;
    assert_eq!(holder(&server), None);
    until("the second leads", LEASE + SOON / 5, || second.leads()).await;
    assert_eq!(holder(&server).as_deref(), Some("second"));
}

#[tokio::test]
async fn a_leader_that_dies_is_replaced_within_the_time_of_the_lease() {
    let server = ApiServer::start().await;
    let first = Replica::start(&server, "first").await;
    until("the first leads", SOON, || first.leads()).await;
    let second = Replica::start(&server, "second").await;
    sleep(LEASE / 2).await;
    first.task.abort();
    let died = Instant::now();
    until("the second leads", SOON, || second.leads()).await;
    // It looks when the Lease ends, and waits up to a second so that not all look at once.
    assert!(
        died.elapsed() < LEASE + Duration::from_millis(1_700),
        "{:?}",
        died.elapsed()
    );
    assert!(!first.leads(), "who is dead does not lead");
}

#[tokio::test]
async fn a_leader_that_cannot_reach_the_api_server_stops_before_its_lease_ends() {
    let server = ApiServer::start().await;
    let replica = Replica::start(&server, "first").await;
    until("it leads", SOON, || replica.leads()).await;
    for fault in [Fault::Hang, Fault::Status(503), Fault::Drop] {
        server.on(move |asked| asked.path.contains("/leases").then_some(fault));
        let cut = Instant::now();
        until("it does not lead any more", SOON, || !replica.leads()).await;
        assert!(
            cut.elapsed() <= LEASE + Duration::from_millis(200),
            "{fault:?}: {:?}",
            cut.elapsed()
        );
        server.clear_faults();
        until("it leads again", SOON, || replica.leads()).await;
    }
}

#[tokio::test]
async fn a_lease_that_somebody_else_takes_or_deletes_is_lost_soon() {
    let server = ApiServer::start().await;
    let replica = Replica::start(&server, "first").await;
    until("it leads", SOON, || replica.leads()).await;
    let mut lease = server.get(PATH).unwrap();
    lease["spec"]["holderIdentity"] = "somebody".into();
    server.put(lease);
    until("it sees that it is another's", LEASE / 2, || {
        !replica.leads()
    })
    .await;
    until("it leads when that one is gone", SOON, || replica.leads()).await;
    server.delete(PATH);
    until("it sees that it is gone", LEASE / 2, || !replica.leads()).await;
    until("it makes it again", SOON, || replica.leads()).await;
    assert_eq!(holder(&server).as_deref(), Some("first"));
}

#[tokio::test]
async fn there_are_never_two_leaders_while_replicas_come_and_go() {
    let server = ApiServer::start().await;
    let mut replicas = Vec::new();
    for name in ["a", "b", "c"] {
        replicas.push(Replica::start(&server, name).await);
    }
    for round in 0..3 {
        let end = Instant::now() + LEASE;
        let mut led = false;
        while Instant::now() < end {
            let leaders = replicas.iter().filter(|replica| replica.leads()).count();
            assert!(leaders <= 1, "{leaders} leaders in round {round}");
            led |= leaders == 1;
            sleep(Duration::from_millis(2)).await;
        }
        assert!(led, "nobody led in round {round}");
        let leader = replicas.iter().position(Replica::leads).unwrap_or(0);
        replicas.remove(leader).stop().await;
        replicas.push(Replica::start(&server, &format!("later-{round}")).await);
    }
    let leases = server.all("leases");
    assert_eq!(leases.len(), 1);
    assert_eq!(leases[0]["metadata"]["namespace"], NAMESPACE);
}

#[tokio::test]
async fn a_replica_that_starts_before_the_api_server_leads_when_that_is_there() {
    let mut server = ApiServer::closed().await;
    let replica = Replica::start(&server, "first").await;
    sleep(LEASE / 3).await;
    assert!(!replica.leads());
    server.open().await;
    until("it leads", SOON, || replica.leads()).await;
    replica.stop().await;
}
