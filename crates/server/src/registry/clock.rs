//! How far the machine's clock is believed when recordings are removed for their age.
//!
//! A machine without a battery for its clock starts in the past and leaps when the network tells the time; one with a wrong battery starts in the future and
//! is set back. Either would make what is fresh look old, and what is removed does not come back. So age waits: after the start, after a leap, and
//! for what this house itself saw ending.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hiwar_space::Now;

/// After the start nothing is removed by age: so long the network may take to set the clock.
const FIRST_WAIT: Duration = Duration::from_secs(600);
/// A clock that goes on by so much more than time did was set: no quartz drifts an hour in a minute. Ages are days.
const LEAP: Duration = Duration::from_secs(3_600);
/// After a leap nothing is removed by age: a day, so that somebody reads the warning, and the clock is set right if it was set wrong.
const LEAP_WAIT: Duration = Duration::from_secs(86_400);
/// The first of January 2026, in seconds since 1970. No conversation of ours ended earlier: what says so was told by a clock that was not set.
const OURS_SINCE: u64 = 1_767_225_600;

/// Reads both clocks. The steady one stands still while the machine sleeps, so a sleep looks like a leap of the other.
#[must_use]
pub fn now() -> Now {
    Now { wall: SystemTime::now(), steady: Instant::now() }
}

/// Since when something is over, for its age: what was seen ending at `seen` is not older than the time that passed since.
#[must_use]
pub fn over_since(ended: SystemTime, seen: Option<Instant>, now: Now) -> SystemTime {
    let passed = seen.map(|seen| now.steady.saturating_duration_since(seen));
    passed.and_then(|passed| now.wall.checked_sub(passed)).map_or(ended, |since| since.max(ended))
}

/// Whether a clock that said that something ended then had been set.
#[must_use]
pub fn was_set(ended: SystemTime) -> bool {
    ended >= UNIX_EPOCH + Duration::from_secs(OURS_SINCE)
}

/// Whether the wall clock is believed.
#[derive(Debug)]
pub struct Trust {
    last: Now,
    not_before: Instant,
}

impl Trust {
    /// From the start on. What is kept for less than [`FIRST_WAIT`] waits only so long: its operator wants it gone soon.
    #[must_use]
    pub fn new(start: Now, age: Option<Duration>) -> Self {
        Self { last: start, not_before: start.steady + FIRST_WAIT.min(age.unwrap_or_default()) }
    }

    /// How long nothing may be removed by age from now on; zero if it may be.
    pub fn doubt(&mut self, now: Now) -> Duration {
        let last = std::mem::replace(&mut self.last, now);
        let passed = now.steady.saturating_duration_since(last.steady);
        // A clock that was set back makes nothing old.
        let leapt = now.wall.duration_since(last.wall).unwrap_or_default().saturating_sub(passed);
        if leapt > LEAP {
            tracing::warn!(
                "the clock was set forward by {} s: no recording is removed by age for a day",
                leapt.as_secs()
            );
            self.not_before = self.not_before.max(now.steady + LEAP_WAIT);
        }
        self.not_before.saturating_duration_since(now.steady)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const DAY: Duration = Duration::from_secs(86_400);

    fn after(start: Now, steady: Duration, wall: Duration) -> Now {
        Now { wall: start.wall + wall, steady: start.steady + steady }
    }

    #[test]
    fn age_waits_after_the_start_and_after_a_leap() {
        let start = now();
        let mut trust = Trust::new(start, Some(DAY * 90));
        assert_eq!(trust.doubt(start), FIRST_WAIT);
        assert_eq!(trust.doubt(after(start, FIRST_WAIT, FIRST_WAIT)), Duration::ZERO);
        // An hour more than time passed is still a clock that is set a little; so is one that was set back, however far.
        assert_eq!(trust.doubt(after(start, HOUR, HOUR * 2)), Duration::ZERO);
        assert_eq!(trust.doubt(after(start, HOUR, Duration::ZERO)), Duration::ZERO);
        // Back to where it should be is a leap, too: which of the two was right nobody knows.
        assert_eq!(trust.doubt(after(start, HOUR, DAY * 900)), LEAP_WAIT);
        assert_eq!(trust.doubt(after(start, HOUR * 2, DAY * 900 + HOUR)), LEAP_WAIT - HOUR);
        assert_eq!(trust.doubt(after(start, HOUR + DAY, DAY * 901)), Duration::ZERO);

        assert_eq!(Trust::new(start, Some(Duration::from_secs(10))).doubt(start), Duration::from_secs(10));
        assert_eq!(Trust::new(start, None).doubt(start), Duration::ZERO);
    }

    #[test]
    fn what_was_seen_ending_is_not_older_than_what_passed_since() {
        let ended = now();
        let since = |seen, now| over_since(ended.wall, seen, now);
        let seen = Some(ended.steady);
        let leapt = after(ended, HOUR, DAY * 9_000);
        assert_eq!(since(seen, leapt), leapt.wall - HOUR);
        assert_eq!(since(None, leapt), ended.wall);
        assert_eq!(since(seen, after(ended, HOUR, HOUR)), ended.wall);
        let back = Now { wall: UNIX_EPOCH, steady: ended.steady + HOUR };
        assert_eq!(since(seen, back), ended.wall);
        assert!(was_set(ended.wall) && !was_set(UNIX_EPOCH + DAY * 365));
    }
}
