//! How long certificates live, when they are renewed, and how long one authority overlaps the next.

use std::time::Duration;

use jiff::Timestamp;

const DAY: Duration = Duration::from_hours(24);

/// How long something is valid, and after what part of that it is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// How long it is valid.
    pub valid: Duration,
    /// When it is renewed, counted from when it was made.
    pub renew_after: Duration,
}

/// The lifetimes of a certificate that replicas share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of the serving certificate.
    pub certificate: Life,
    /// Of the authority.
    pub authority: Life,
    /// How long a new authority stands in every `caBundle` before a certificate of it is shown. API servers keep a copy of the
    /// configurations, which is behind by less than this.
    pub grace: Duration,
    /// How long an authority is trusted after another one has taken over.
    pub overlap: Duration,
}

/// Why lifetimes do not go together.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LifetimesError {
    /// An authority ends before the change to the next one does.
    #[error(
        "an authority that lives for {} s leaves {} s for the change to the next one: too short for a grace of {} s and an overlap of {} s",
        .authority.as_secs(), .left.as_secs(), .grace.as_secs(), .overlap.as_secs()
    )]
    Authority {
        /// How long the authority lives.
        authority: Duration,
        /// What is left of that when its successor is made.
        left: Duration,
        /// The grace.
        grace: Duration,
        /// The overlap.
        overlap: Duration,
    },
}

// === impl Life ===

impl Life {
    /// Renewed after two thirds, so that failures for the last third are survived.
    pub fn new(valid: Duration) -> Self {
        Self {
            valid,
            renew_after: valid / 3 * 2,
        }
    }

    /// When what expires then is to be renewed.
    pub fn renew_at(&self, not_after: Timestamp) -> Timestamp {
        let rest = self.valid.saturating_sub(self.renew_after);
        not_after.checked_sub(rest).unwrap_or(Timestamp::MIN)
    }
}

// === impl Lifetimes ===

impl Lifetimes {
    /// A certificate for 90 days, an authority for ten years, half a minute of grace, a day of overlap.
    pub const DEFAULT: Self = Self {
        certificate: Life {
            valid: DAY.saturating_mul(90),
            renew_after: DAY.saturating_mul(60),
        },
        authority: Life {
            valid: DAY.saturating_mul(3_650),
            renew_after: DAY.saturating_mul(2_433),
        },
        grace: Duration::from_secs(30),
        overlap: DAY,
    };

    /// Holds that an authority is succeeded, and its predecessor forgotten, before it ends.
    pub fn checked(self) -> Result<Self, LifetimesError> {
        let left = self
            .authority
            .valid
            .saturating_sub(self.authority.renew_after);
        if self.grace.saturating_mul(2) > left || self.overlap > self.authority.renew_after {
            return Err(LifetimesError::Authority {
                authority: self.authority.valid,
                left,
                grace: self.grace,
                overlap: self.overlap,
            });
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renews_when_a_third_of_the_life_is_left() {
        let life = Life::new(Duration::from_secs(90));
        let end = Timestamp::from_second(1_000).unwrap();
        assert_eq!(life.renew_at(end), Timestamp::from_second(970).unwrap());
    }

    #[test]
    fn the_default_lifetimes_go_together() {
        assert_eq!(Lifetimes::DEFAULT.checked(), Ok(Lifetimes::DEFAULT));
    }

    #[test]
    fn refuses_an_authority_that_ends_before_its_successor_is_known() {
        let short = Lifetimes {
            authority: Life::new(Duration::from_mins(1)),
            overlap: Duration::from_secs(5),
            ..Lifetimes::DEFAULT
        };
        assert_eq!(
            short.checked().unwrap_err().to_string(),
            "an authority that lives for 60 s leaves 20 s for the change to the next one: too short for a grace of 30 s and an overlap of 5 s"
        );
        let grace = Duration::from_secs(10);
        assert!(Lifetimes { grace, ..short }.checked().is_ok());
    }
}
