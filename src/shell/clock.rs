//! The one clock. Time is read here, once for each turn and request, and is an argument everywhere else.

use jiff::{Timestamp, Unit};

/// The wall clock, truncated to the second: Kubernetes stores times so, and what is compared must be what is stored.
#[derive(Clone, Debug, Default)]
pub struct Clock;

impl Clock {
    /// The second that it is.
    pub fn now(&self) -> Timestamp {
        let exact = self.exact();
        // Truncation of a time of this century cannot fail.
        exact.round(jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor)).unwrap_or(exact)
    }

    /// The moment that it is, for timers.
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    pub fn exact(&self) -> Timestamp {
        Timestamp::now()
    }
}
