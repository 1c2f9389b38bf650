use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::timeout;

use super::*;

const MIB: usize = 1 << 20;

fn peer(number: u8) -> Peer {
    Peer::new(IpAddr::from([10, 0, 0, number]))
}

/// A deadline that a test can wait for.
fn soon() -> Instant {
    Instant::now() + Duration::from_millis(200)
}

/// A body of this address that is here as far as this.
async fn body(room: &Room, number: u8, bytes: usize) -> Held {
    let mut held = room.for_body_of(peer(number));
    assert!(held.grow(bytes, soon()).await);
    held
}

/// Everything that is held, and who waits.
fn is_empty(room: &Room) -> bool {
    let state = room.lock();
    let all_is_back = state.shares.is_empty();
    all_is_back && state.waiting.is_empty()
}

#[tokio::test]
async fn an_address_that_takes_all_it_can_leaves_room_for_another() {
    let room = Room::new(64 * MIB);
    let mut greedy = Vec::new();
    for _ in 0..3 {
        greedy.push(body(&room, 1, 7 * MIB).await);
    }
    let mut more = room.for_body_of(peer(1));
    assert!(!more.grow(7 * MIB, soon()).await);
    let _another = body(&room, 2, 7 * MIB).await;
    drop(greedy);
    assert!(more.grow(7 * MIB, soon()).await);
}

#[tokio::test]
async fn a_small_body_that_has_begun_is_let_finish_where_no_other_begins() {
    let room = Room::new(3 * MIB);
    let mut small = body(&room, 1, 1_000).await;
    let _large = body(&room, 1, MIB - 1_000).await;
    assert!(!room.for_body_of(peer(1)).grow(1_000, soon()).await);
    assert!(small.grow(250_000, Instant::now()).await);
    assert!(!small.grow(20_000, soon()).await, "it is small no more");
}

#[tokio::test]
async fn of_bodies_that_are_half_read_one_waits_and_gets_what_the_other_held() {
    let room = Room::new(24 * MIB);
    let (mut first, mut second) = (body(&room, 1, 4 * MIB).await, body(&room, 1, 4 * MIB).await);
    let started = Instant::now();
    let waits = async { first.grow(3 * MIB, soon()).await };
    let is_refused = async {
        tokio::task::yield_now().await;
        let refused = !second.grow(3 * MIB, soon()).await;
        drop(second);
        refused
    };
    assert_eq!(tokio::join!(waits, is_refused), (true, true));
    assert!(started.elapsed() < Duration::from_millis(150));
}

#[tokio::test]
async fn bodies_that_hold_nothing_wait_beside_each_other_until_there_is_room() {
    let room = Room::new(3 * MIB);
    let full = body(&room, 1, MIB).await;
    let waiting = (0..20).map(|_| {
        let mut held = room.for_body_of(peer(1));
        async move { held.grow(40_000, soon()).await }
    });
    let later = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(full);
    };
    let (answers, ()) = tokio::join!(futures::future::join_all(waiting), later);
    assert!(answers.into_iter().all(|fits| fits));
    assert!(is_empty(&room));
}

#[tokio::test]
async fn a_body_alone_may_take_everything_and_nothing_beyond() {
    let room = Room::new(1_000);
    let mut alone = body(&room, 1, 600).await;
    assert!(alone.grow(400, Instant::now()).await);
    assert!(!alone.grow(1, Instant::now()).await);
}

#[tokio::test]
async fn who_stops_waiting_leaves_its_turn_to_the_next() {
    let room = Room::new(24 * MIB);
    let (mut first, mut second) = (body(&room, 1, 4 * MIB).await, body(&room, 1, 4 * MIB).await);
    let gone = timeout(Duration::from_millis(20), first.grow(3 * MIB, soon())).await;
    assert!(gone.is_err());
    drop(first);
    assert!(second.grow(3 * MIB, soon()).await);
}

/// A body: whose it is, the pieces in which it comes, the time between them, and when its client goes away, in milliseconds.
type Call = (u8, Vec<usize>, u64, u64);

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = (
        0_u8..3,
        prop::collection::vec(1_usize..3 * MIB, 1..6),
        0_u64..4,
        1_u64..30,
    );
    prop::collection::vec(call, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whoever comes, waits, is refused or goes away, and when: there is never more held than there is, and in the end the room is
    /// whole.
    #[test]
    fn t92_all_room_comes_back(calls in calls()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let room = Room::new(16 * MIB);
            let bodies = calls.into_iter().map(|(number, pieces, pause, gone)| {
                let room = room.clone();
                async move {
                    let mut held = room.for_body_of(peer(number));
                    let reading = async {
                        let deadline = Instant::now() + Duration::from_millis(20);
                        for piece in pieces {
                            if !held.grow(piece, deadline).await {
                                break;
                            }
                            assert!(room.lock().shares.used() <= 16 * MIB);
                            tokio::time::sleep(Duration::from_millis(pause)).await;
                        }
                    };
                    let _ = timeout(Duration::from_millis(gone), reading).await;
                }
            });
            futures::future::join_all(bodies).await;
            assert!(is_empty(&room));
        });
    }
}
