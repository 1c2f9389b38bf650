//! When: each window includes both of its ends and nothing beyond them, for certificates, authorities, logs and stamps.

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::json;
use vouchsafe::verdict::{Judgement, Reason};

use crate::sigstore::{
    Act, Algorithm, Form, Key, Kind, Logged, NOON, Setup, Trusted, Version, Window, time,
};
use crate::stage::{OURS, Stage, and, keyless, release, wanting};

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const FORMS: [Form; 4] = [
    Form::Signature,
    Form::Attestation,
    Form::Message(Version::V03),
    Form::Statement(Version::V03),
];

/// Where the time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    Log,
    Stamp,
}

// === impl Clock ===

impl Clock {
    /// Signed at this time, by a certificate from [`NOON`] on.
    fn act(self, at: Timestamp) -> Act {
        match self {
            Self::Log => release().at(at),
            Self::Stamp => release().logged(Logged::Nowhere).stamped_at(at),
        }
    }

    fn authority(self, form: Form) -> serde_json::Value {
        let authority = wanting(form, &keyless());
        match self {
            Self::Log => authority,
            Self::Stamp => and(
                &authority,
                &json!({"rfc3161timestamp": {"trustRootRef": OURS}}),
            ),
        }
    }
}

/// Minutes and seconds after [`NOON`].
fn after(minutes: i64, seconds: i64) -> Timestamp {
    time(NOON) + SignedDuration::from_mins(minutes) + SignedDuration::from_secs(seconds)
}

/// A certificate is good for ten minutes.
#[rstest]
#[case(after(0, -1), false)]
#[case(after(0, 0), true)]
#[case(after(10, 0), true)]
#[case(after(10, 1), false)]
#[tokio::test]
async fn a_certificate_is_good_from_its_first_second_to_its_last(
    #[case] at: Timestamp,
    #[case] is_good: bool,
    #[values(Clock::Log, Clock::Stamp)] clock: Clock,
) {
    let stage = Stage::new().await;
    for form in FORMS {
        let image = stage.signed(form, &clock.act(at));
        let authority = clock.authority(form);
        if is_good {
            stage.admits(&image, &authority, &stage.root()).await;
        } else {
            stage
                .refuses(
                    &image,
                    &authority,
                    &stage.root(),
                    Reason::CertificateInvalid,
                )
                .await;
        }
    }
}

/// T-31, T-35: whoever vouches must have been trusted when they did: from the first second of their window to its last.
#[rstest]
#[case(Trusted::CertificateAuthorities, Clock::Log)]
#[case(Trusted::CertificateAuthorities, Clock::Stamp)]
#[case(Trusted::Logs, Clock::Log)]
#[case(Trusted::TimestampAuthorities, Clock::Stamp)]
#[tokio::test]
async fn t35_trust_begins_and_ends(#[case] trusted: Trusted, #[case] clock: Clock) {
    let stage = Stage::new().await;
    let at = after(1, 0);
    let day = SignedDuration::from_hours(24);
    for (from, until, is_good) in windows_around(at, day) {
        let root = stage.root().within(trusted, Window { from, until });
        for form in FORMS {
            let image = stage.signed(form, &clock.act(at));
            let verdict = stage.judged(&image, &clock.authority(form), &root).await;
            let admitted = verdict.judgement == Judgement::Admit;
            assert_eq!(admitted, is_good, "{form:?} {from}..{until} {verdict:#?}");
        }
    }
}

/// T-35: a log that says no time itself must have been trusted when the stamp beside its entry says; Rekor v2 is one, and so is Rekor v1
/// where only the proof is kept.
#[rstest]
#[case(Logged::V2, None)]
#[case(Logged::V2, Some(Kind::Dsse002))]
#[case(Logged::Proven, None)]
#[tokio::test]
async fn t35_a_log_that_tells_no_time_is_trusted_at_that_of_the_stamp(
    #[case] logged: Logged,
    #[case] kind: Option<Kind>,
) {
    let stage = Stage::new().await;
    let (at, day) = (after(1, 0), SignedDuration::from_hours(24));
    let form = Form::Statement(Version::V03);
    let mut act = release().logged(logged).stamped_at(at);
    act.kind = kind;
    let image = stage.signed(form, &act);
    for (from, until, is_good) in windows_around(at, day) {
        let root = stage.root().within(Trusted::Logs, Window { from, until });
        let verdict = stage.judged(&image, &keyless(), &root).await;
        let admitted = verdict.judgement == Judgement::Admit;
        assert_eq!(admitted, is_good, "{from}..{until} {verdict:#?}");
    }
}

/// T-35: a log that was retired vouches for no entry of which nobody says when it was written, also beside a key.
#[rstest]
#[case(Logged::V2)]
#[case(Logged::Proven)]
#[tokio::test]
async fn t35_a_retired_log_vouches_for_no_entry_without_a_time(#[case] logged: Logged) {
    let stage = Stage::new().await;
    let key = Key::generate(Algorithm::P256);
    let authority =
        json!({"name": "k", "key": {"data": key.pem()}, "ctlog": {"trustRootRef": OURS}});
    let (at, day) = (after(1, 0), SignedDuration::from_hours(24));
    let (retired, open) = (
        Window {
            from: at - day,
            until: at + day,
        },
        Window {
            from: at - day,
            until: time("2044-01-01T00:00:00Z"),
        },
    );
    for form in [Form::Message(Version::V03), Form::Statement(Version::V03)] {
        let timeless = Act::with_key(&key).logged(logged);
        let image = stage.signed(form, &timeless);
        let root = |window| stage.root().within(Trusted::Logs, window);
        stage.admits(&image, &authority, &root(open)).await;
        stage
            .refuses(&image, &authority, &root(retired), Reason::NotLogged)
            .await;
        // With a stamp it is known that the log was trusted then; one by nobody who is trusted says nothing.
        let stamped = stage.signed(form, &timeless.stamped_at(at));
        stage.admits(&stamped, &authority, &root(retired)).await;
        let nobody = root(retired).without(Trusted::TimestampAuthorities);
        stage
            .refuses(&stamped, &authority, &nobody, Reason::NotLogged)
            .await;
    }
}

/// Windows around a moment, and whether it is in them.
fn windows_around(at: Timestamp, day: SignedDuration) -> [(Timestamp, Timestamp, bool); 5] {
    [
        (at, at + day, true),
        (at - day, at, true),
        (at, at, true),
        (at + SECOND, at + day, false),
        (at - day, at - SECOND, false),
    ]
}

/// The same for the log of certificates, whose promise has the time of the certificate.
#[tokio::test]
async fn t35_trust_in_the_log_of_certificates_begins_and_ends() {
    let stage = Stage::new().await;
    let at = time(NOON);
    for (from, until, is_good) in [
        (at, at, true),
        (at + SECOND, at + SECOND, false),
        (at - SECOND, at - SECOND, false),
    ] {
        let root = stage.root().within(Trusted::CtLogs, Window { from, until });
        for form in FORMS {
            let image = stage.signed(form, &release());
            let authority = wanting(form, &keyless());
            if is_good {
                stage.admits(&image, &authority, &root).await;
            } else {
                stage
                    .refuses(&image, &authority, &root, Reason::CertificateInvalid)
                    .await;
            }
        }
    }
}

/// T-31: an authority between root and signer whose certificate was not good at the time vouches for nobody.
#[rstest]
#[case(Clock::Log)]
#[case(Clock::Stamp)]
#[tokio::test]
async fn t31_an_intermediate_that_had_expired_vouches_for_nobody(#[case] clock: Clock) {
    let at = after(1, 0);
    let day = SignedDuration::from_hours(24);
    for (from, until, is_good) in [
        (at - day, at, true),
        (at, at + day, true),
        (at - day, at - SECOND, false),
        (at + SECOND, at + day, false),
    ] {
        let intermediate = Some(Window { from, until });
        let stage = Stage::with(Setup {
            intermediate,
            ..Setup::default()
        })
        .await;
        for form in FORMS {
            let image = stage.signed(form, &clock.act(at));
            let verdict = stage
                .judged(&image, &clock.authority(form), &stage.root())
                .await;
            let admitted = verdict.judgement == Judgement::Admit;
            assert_eq!(admitted, is_good, "{form:?} {from}..{until} {verdict:#?}");
        }
    }
}

/// T-31 for stamps: the certificate that stamps must have been good at the time.
#[tokio::test]
async fn t31_a_stamping_certificate_that_had_expired_stamps_nothing() {
    let at = after(1, 0);
    let day = SignedDuration::from_hours(24);
    for (from, until, is_good) in [
        (at - day, at, true),
        (at, at + day, true),
        (at - day, at - SECOND, false),
        (at + SECOND, at + day, false),
    ] {
        let stamping = Window { from, until };
        let stage = Stage::with(Setup {
            stamping,
            ..Setup::default()
        })
        .await;
        for form in FORMS {
            let image = stage.signed(form, &Clock::Stamp.act(at));
            let authority = Clock::Stamp.authority(form);
            let verdict = stage.judged(&image, &authority, &stage.root()).await;
            let admitted = verdict.judgement == Judgement::Admit;
            assert_eq!(admitted, is_good, "{form:?} {from}..{until} {verdict:#?}");
        }
    }
}

/// Every proven time counts, not the most convenient one.
#[tokio::test]
async fn a_certificate_must_be_good_at_every_proven_time() {
    let stage = Stage::new().await;
    for form in [Form::Message(Version::V03), Form::Statement(Version::V03)] {
        let good = release().stamped_at(after(2, 0)).stamped_at(after(3, 0));
        let image = stage.signed(form, &good);
        stage.admits(&image, &keyless(), &stage.root()).await;
        for bad in [
            release().stamped_at(after(2, 0)).stamped_at(after(11, 0)),
            release().at(after(11, 0)).stamped_at(after(2, 0)),
            release().stamped_at(after(-1, 0)),
        ] {
            let image = stage.signed(form, &bad);
            stage
                .refuses(
                    &image,
                    &keyless(),
                    &stage.root(),
                    Reason::CertificateInvalid,
                )
                .await;
        }
    }
}

/// T-37: a time that has not come proves nothing, though everybody agrees on it.
#[rstest]
#[case(Clock::Log)]
#[case(Clock::Stamp)]
#[tokio::test]
async fn t37_a_time_that_has_not_come_proves_nothing(#[case] clock: Clock) {
    let stage = Stage::new().await;
    let then = time("2044-01-01T00:00:00Z");
    for form in FORMS {
        let act = clock.act(then + SignedDuration::from_mins(1)).issued(then);
        let image = stage.signed(form, &act);
        let verdict = stage
            .judged(&image, &clock.authority(form), &stage.root())
            .await;
        assert_ne!(verdict.judgement, Judgement::Admit, "{form:?} {verdict:#?}");
    }
}
