//! Time: whatever a registry does with it, the answer is a denial and comes before the API server stops waiting.

use std::time::Duration;

use futures::future::join_all;
use http::Method;
use rstest::rstest;
use tokio::net::TcpListener;

use crate::stage::Stage;
use crate::support::registry::{Fault, Match, TokenAuth};
use crate::support::webhook::Review;

/// T-17: the registry accepts and never answers, with the time that a short webhook has.
#[rstest]
#[case::when_asked_for_the_tag(Match::manifest().method(Method::HEAD))]
#[case::when_asked_for_the_listing(Match::manifest().method(Method::GET))]
#[case::when_asked_for_the_blob(Match::blob())]
#[tokio::test]
async fn a_registry_that_hangs_is_answered_for_in_time(#[case] when: Match) {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    stage.registry.on(when, Fault::Hang);
    let webhook = stage.wants_signature().await;
    let tagged = image.tagged();
    let answered = webhook.review(&Review::of(&[&tagged]).timeout(3)).await;
    answered.denied("deadline");
    assert!(
        answered.took < Duration::from_millis(2600),
        "{:?}",
        answered.took
    );
    // What hung is forgotten: the same question is answered as soon as the registry is well.
    stage.registry.clear_faults();
    let healed = webhook.judge(&tagged).await;
    healed.admitted("satisfied");
    assert!(healed.took < Duration::from_secs(1), "{:?}", healed.took);
}

/// T-17: nobody takes the connection out of the queue.
#[tokio::test]
async fn a_registry_that_never_accepts_is_answered_for_in_time() {
    let stage = Stage::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = silent.local_addr().unwrap();
    let webhook = stage.wants_signature().await;
    let digest = stage.image("t/app").digest;
    for reference in [format!("{host}/t/app:v1"), format!("{host}/t/app@{digest}")] {
        let answered = webhook.review(&Review::of(&[&reference]).timeout(1)).await;
        answered.denied("deadline");
        assert!(
            answered.took < Duration::from_secs(1),
            "{:?}",
            answered.took
        );
    }
}

/// T-06, T-17: every byte comes, and the whole never does.
#[rstest]
#[case::the_listing(Match::manifest().method(Method::GET))]
#[case::the_blob(Match::blob())]
#[tokio::test]
async fn a_registry_that_drips_is_answered_for_in_time(#[case] what: Match) {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    stage.registry.on(what, Fault::Drip { bytes_per_sec: 10 });
    let webhook = stage.wants_signature().await;
    let answered = webhook
        .review(&Review::of(&[&image.pinned()]).timeout(2))
        .await;
    answered.denied("deadline");
    assert!(
        answered.took < Duration::from_secs(2),
        "{:?}",
        answered.took
    );
    assert!(stage.registry.bytes_streamed() < 100);
}

/// T-17: at each step of the way, and for delays on both sides of the time there is, a late answer never admits and never is late.
#[tokio::test]
async fn whatever_is_late_denies_in_time() {
    const TIMEOUT: Duration = Duration::from_secs(2);
    /// The time until the deadline: the timeout without the margin for the way back.
    const BUDGET: Duration = Duration::from_millis(1500);
    let stage = Stage::new().await;
    let webhook = stage.wants_signature().await;
    let delays = [0, 300, 1000, 1400, 1600, 2000, 2600, 4000].map(Duration::from_millis);
    let steps = [
        ("tag", Match::manifest().method(Method::HEAD)),
        ("listing", Match::manifest().method(Method::GET)),
        ("blob", Match::blob()),
        ("all", Match::any()),
    ];
    let mut cases = Vec::new();
    for (step, matching) in steps {
        for delay in delays {
            let image = stage.signed(&format!("t/{step}-{}-end", delay.as_millis()));
            let matching = matching.clone().path(&image.name);
            stage.registry.on(matching, Fault::Delay(delay));
            let lasts = if step == "all" { delay * 3 } else { delay };
            cases.push((image.tagged(), lasts));
        }
    }
    let asked = cases.iter().map(|(reference, lasts)| {
        let webhook = &webhook;
        async move {
            let review = Review::of(&[reference]).timeout(2);
            (reference, *lasts, webhook.review(&review).await)
        }
    });
    for (reference, lasts, answered) in join_all(asked).await {
        assert!(answered.took < TIMEOUT, "{reference}: {:?}", answered.took);
        if lasts > BUDGET {
            answered.denied("deadline");
        } else if lasts < BUDGET / 2 {
            answered.admitted("satisfied");
        } else if !answered.allowed {
            answered.denied("deadline");
        }
    }
}

/// T-17: the same for the token service.
#[tokio::test]
async fn a_late_token_denies_in_time() {
    let asked = [0, 600, 1200, 3000].map(|delay| async move {
        let stage = Stage::new().await;
        let image = stage.signed("t/app");
        stage.registry.require_token(TokenAuth::anonymous());
        let delay = Duration::from_millis(delay);
        stage.registry.on(Match::token(), Fault::Delay(delay));
        let webhook = stage.wants_signature().await;
        let review = Review::of(&[&image.pinned()]).timeout(1);
        (delay, webhook.review(&review).await)
    });
    for (delay, answered) in join_all(asked).await {
        assert!(
            answered.took < Duration::from_secs(1),
            "{:?}",
            answered.took
        );
        if delay.is_zero() {
            answered.admitted("satisfied");
        } else {
            answered.denied("deadline");
        }
    }
}

/// T-17: many images that hang take no longer than one, and a good one among them excuses nothing.
#[tokio::test]
async fn many_images_that_hang_take_no_longer_than_one() {
    let stage = Stage::new().await;
    let good = stage.signed("t/good");
    let hanging: Vec<String> = (0..40)
        .map(|number| stage.signed(&format!("t/hang{number}")).tagged())
        .collect();
    stage.registry.on(Match::any().path("t/hang"), Fault::Hang);
    let webhook = stage.wants_signature().await;
    let good = good.tagged();
    let images: Vec<&str> = std::iter::once(good.as_str())
        .chain(hanging.iter().map(String::as_str))
        .collect();
    let answered = webhook.review(&Review::of(&images).timeout(2)).await;
    answered.unjudged();
    assert!(
        ["deadline", "overloaded"].contains(&answered.reason()),
        "{}",
        answered.message
    );
    assert!(
        answered.took < Duration::from_secs(2),
        "{:?}",
        answered.took
    );
}

/// T-17: a review with little time does not spend that of one with more, although both wait for the same answer.
#[tokio::test]
async fn a_short_review_does_not_end_a_long_one() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let delay = Fault::Delay(Duration::from_millis(1200));
    stage
        .registry
        .on(Match::manifest().method(Method::GET), delay);
    let webhook = stage.wants_signature().await;
    let pinned = image.pinned();
    let (short, long) = (
        Review::of(&[&pinned]).timeout(1),
        Review::of(&[&pinned]).timeout(10),
    );
    let later = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        webhook.review(&long).await
    };
    let (short, long) = tokio::join!(webhook.review(&short), later);
    short.denied("deadline");
    long.admitted("satisfied");
}

/// T-17: a registry that hangs says nothing about another one.
#[tokio::test]
async fn a_registry_that_hangs_does_not_hold_up_another_one() {
    let (stuck, well) = (Stage::new().await, Stage::new().await);
    stuck.registry.on(Match::any(), Fault::Hang);
    let (hanging, image) = (stuck.signed("t/app"), well.signed("t/app"));
    let webhook = well.wants_signature().await;
    let reviews: Vec<Review> = (0..100)
        .map(|_| Review::of(&[&hanging.tagged()]).timeout(2))
        .collect();
    let stalled = join_all(reviews.iter().map(|review| webhook.review(review)));
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        webhook.judge(&image.tagged()).await
    };
    let (stalled, meanwhile) = tokio::join!(stalled, meanwhile);
    meanwhile.admitted("satisfied");
    assert!(
        meanwhile.took < Duration::from_secs(1),
        "{:?}",
        meanwhile.took
    );
    for answered in stalled {
        answered.unjudged();
        assert!(
            answered.took < Duration::from_secs(2),
            "{:?}",
            answered.took
        );
    }
}

/// T-18: what we tell people to register denies while nobody answers, and leaves the time that a review may take.
#[test]
fn t18_the_manifest_that_is_shown_fails_closed() {
    let shown = include_str!("../../docs/webhook.md");
    // The one that judges images fails closed. The others may be passed over: what they would have done is judged again by the first, or
    // where policies are compiled.
    let webhooks = shown.split("\n        failurePolicy: ").skip(1);
    let policies: Vec<(&str, &str)> = webhooks
        .filter_map(|webhook| {
            let path = webhook.split("path: /").nth(1)?.split([',', '}']).next()?;
            Some((path, webhook.split_whitespace().next()?))
        })
        .collect();
    let expected = [
        ("validate", "Fail"),
        ("mutate", "Ignore"),
        ("validate-policy", "Ignore"),
    ];
    assert_eq!(policies, expected);
    let seconds = shown.split("timeoutSeconds: ").nth(1).unwrap();
    let seconds: u64 = seconds.split_whitespace().next().unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds), "{seconds}");
}
