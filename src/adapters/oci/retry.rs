//! When a request is tried again: how long a registry asks us to wait, and whether there is time for it.
//!
//! Only idempotent requests come here. A retry is worth its load only while more than half of the time is left: later, the denial
//! that says why is the better answer.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use tokio::time::Instant;

/// The longest wait that a registry can impose on later requests to it.
const LONGEST_HOLD: Duration = Duration::from_mins(1);
/// The longest `Retry-After` that is read, in bytes.
const VALUE_BYTES: usize = 64;

/// The retries that one request has left.
#[derive(Debug)]
pub(super) struct Retries {
    pauses: ExponentialBackoff,
    /// After this, the time left is better spent on answering.
    last_start: Instant,
    deadline: Instant,
}

impl Retries {
    /// Retries for a request that starts `now`: `attempts` in all, the first included.
    pub(super) fn new(attempts: usize, now: Instant, deadline: Instant) -> Self {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(Duration::from_millis(125))
            .with_jitter() // adds up to the pause itself: 50 to 250 ms
            .with_max_times(attempts.saturating_sub(1))
            .build();
        let half = deadline.saturating_duration_since(now).div_f32(2.0);
        Self {
            pauses,
            last_start: now.checked_add(half).unwrap_or(deadline),
            deadline,
        }
    }

    /// The pause before the next attempt after a failure, or `None` when there is to be none.
    pub(super) fn after_failure(&mut self, now: Instant) -> Option<Duration> {
        let pause = self.pauses.next()?;
        (now.checked_add(pause)? < self.last_start).then_some(pause)
    }

    /// The pause before the next attempt after a 429: what the registry asks for, if that fits into the deadline.
    pub(super) fn after_throttling(
        &mut self,
        now: Instant,
        asked: Option<Duration>,
    ) -> Option<Duration> {
        let pause = self.pauses.next()?;
        let Some(asked) = asked else {
            return (now.checked_add(pause)? < self.last_start).then_some(pause);
        };
        (now.checked_add(asked)? < self.deadline).then_some(asked)
    }
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or an HTTP date relative to `now`; `None` for anything else.
pub(super) fn retry_after(value: &[u8], now: Timestamp) -> Option<Duration> {
    let text = std::str::from_utf8(value)
        .ok()
        .filter(|text| text.len() <= VALUE_BYTES)?
        .trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(
            text.parse().unwrap_or(u64::from(u32::MAX)),
        ));
    }
    let at = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// How long other requests to a host are held back after a 429 that asked for this.
pub(super) fn hold(asked: Duration) -> Duration {
    asked.min(LONGEST_HOLD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_dates_and_nothing_else() {
        let now: Timestamp = "1994-11-06T08:49:30Z".parse().unwrap();
        assert_eq!(retry_after(b"7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(b" 86400 ", now), Some(Duration::from_hours(24)));
        assert_eq!(
            retry_after(b"99999999999999999999999", now),
            Some(Duration::from_secs(u64::from(u32::MAX)))
        );
        assert_eq!(
            retry_after(b"Sun, 06 Nov 1994 08:49:37 GMT", now),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            retry_after(b"Sun, 06 Nov 1994 08:00:00 GMT", now),
            Some(Duration::ZERO)
        );
        for garbage in [&b""[..], b"-1", b"soon", b"1.5", b"\xff", &[b'1'; 100]] {
            assert_eq!(retry_after(garbage, now), None, "{garbage:?}");
        }
    }

    #[test]
    fn retries_end_with_the_attempts_and_with_half_of_the_time() {
        let now = Instant::now();
        let mut retries = Retries::new(3, now, now + Duration::from_secs(10));
        let first = retries.after_failure(now).unwrap();
        assert!((50..=250).contains(&first.as_millis()), "{first:?}");
        assert!(retries.after_failure(now).is_some());
        assert!(retries.after_failure(now).is_none());

        let mut late = Retries::new(3, now, now + Duration::from_secs(10));
        assert!(late.after_failure(now + Duration::from_secs(5)).is_none());
    }

    #[test]
    fn a_wait_that_does_not_fit_is_not_waited() {
        let now = Instant::now();
        let mut retries = Retries::new(3, now, now + Duration::from_secs(10));
        assert_eq!(
            retries.after_throttling(now, Some(Duration::from_secs(6))),
            Some(Duration::from_secs(6))
        );
        assert_eq!(
            retries.after_throttling(now, Some(Duration::from_secs(10))),
            None
        );
    }
}
