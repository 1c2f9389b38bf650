//! When a review must be answered: the API server's `?timeout=`, minus what the way back takes.

use std::time::Duration;

/// The timeout of a call that names none: the default of `timeoutSeconds`.
const ABSENT: Duration = Duration::from_secs(10);
/// `timeoutSeconds` goes from 1 to 30.
const LEAST: Duration = Duration::from_secs(1);
/// The upper end.
const MOST: Duration = Duration::from_secs(30);
/// The least that is kept for the way back.
const MARGIN: Duration = Duration::from_millis(500);

/// A `timeout` that does not say how long. Guessing could be too long, and an answer that comes late is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the query's timeout is {found:?}: one duration such as `10s` is understood")]
pub(super) struct TimeoutError {
    found: String,
}

/// How long a review may take from the arrival of its head, from the query of its URL.
pub(super) fn budget(query: Option<&str>) -> Result<Duration, TimeoutError> {
    let query = query.unwrap_or_default();
    let mut values = query.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == "timeout").then_some(value)
    });
    let timeout = match (values.next(), values.next()) {
        (None, _) => ABSENT,
        (Some(value), None) => {
            duration(value).ok_or_else(|| TimeoutError { found: clip(value) })?
        }
        (Some(_), Some(_)) => return Err(TimeoutError { found: clip(query) }),
    };
    let timeout = timeout.clamp(LEAST, MOST);
    Ok(timeout.saturating_sub(MARGIN.max(timeout / 10)))
}

/// A duration as Go prints whole ones: `10s`, `1m0s`, `500ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        let part = number.parse::<u64>().ok()?.checked_mul(milliseconds)?;
        total = total.checked_add(Duration::from_millis(part))?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

/// Enough of it to recognise.
fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::absent(None, 9_000)]
    #[case::absent_among_others(Some("a=1&b"), 9_000)]
    #[case::as_the_api_server_writes_it(Some("timeout=10s"), 9_000)]
    #[case::a_short_one_keeps_half_a_second(Some("timeout=3s"), 2_500)]
    #[case::the_shortest(Some("timeout=1s"), 500)]
    #[case::the_longest(Some("timeout=30s"), 27_000)]
    #[case::zero_is_raised(Some("timeout=0s"), 500)]
    #[case::too_long_is_lowered(Some("timeout=1m"), 27_000)]
    #[case::go_writes_minutes_so(Some("x=y&timeout=1m0s"), 27_000)]
    #[case::milliseconds(Some("timeout=2000ms"), 1_500)]
    #[case::hours(Some("timeout=99999999h"), 27_000)]
    fn keeps_a_margin_of_the_timeout(#[case] query: Option<&str>, #[case] milliseconds: u64) {
        assert_eq!(budget(query), Ok(Duration::from_millis(milliseconds)));
    }

    #[rstest]
    #[case::empty("timeout=")]
    #[case::no_value("timeout")]
    #[case::no_unit("timeout=10")]
    #[case::no_number("timeout=s")]
    #[case::negative("timeout=-5s")]
    #[case::a_fraction("timeout=1.5s")]
    #[case::words("timeout=soon")]
    #[case::not_ascii("timeout=1\u{ff53}")]
    #[case::beyond_numbers("timeout=99999999999999999999s")]
    #[case::beyond_numbers_by_unit("timeout=9999999999999999h")]
    #[case::twice("timeout=1s&timeout=30s")]
    fn refuses_to_guess(#[case] query: &str) {
        assert!(budget(Some(query)).is_err());
    }
}
