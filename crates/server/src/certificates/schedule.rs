//! When a certificate is asked for: pure, so that months and failures are tried in an instant.

use std::time::{Duration, SystemTime};

/// From when to when a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: SystemTime,
    pub(super) until: SystemTime,
}

/// What is known of earlier tries for one name. On disk, so that a house that dies again and again does not ask again and again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tries {
    /// The last one.
    pub(super) at: Option<SystemTime>,
    /// Failures since the last success, of which the authority knows.
    pub(super) failed: u32,
    /// How often it could not be reached since then or since the last of those.
    pub(super) away: u32,
}

/// How the house came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The operator started the server, or restarted it in place: something may have been repaired.
    ByHand,
    /// The house died.
    Again,
}

/// The pause after a first failure; doubled for each more. The strictest limit of Let's Encrypt is five failures of one name in an hour: these make four.
const PAUSE_MIN: Duration = Duration::from_secs(5 * 60);
/// The pause after the authority was first not reached; doubled too. It costs nobody anything, and at the start of a machine its network may be late.
const PAUSE_AWAY: Duration = Duration::from_secs(15);
/// The longest: whoever repaired something in the evening has a certificate in the morning.
const PAUSE_MAX: Duration = Duration::from_secs(6 * 3_600);
/// The pause between two starts by hand: a service manager may start what fails for another reason every few seconds.
const PAUSE_BY_HAND: Duration = Duration::from_secs(60);

impl Validity {
    fn lifetime(&self) -> Duration {
        self.until.duration_since(self.from).unwrap_or_default()
    }

    /// When to renew: with a third of the lifetime left, up to a thirtieth earlier by `jitter` (0 to 1), so that not everyone comes in the same hour.
    pub(super) fn renew_at(&self, jitter: f64) -> SystemTime {
        self.until - self.lifetime().mul_f64(1.0 / 3.0 + jitter.clamp(0.0, 1.0) / 30.0)
    }
}

/// How long to wait after so many failures, `first` after the first; a tenth more or less by `jitter` (0 to 1).
fn pause(first: Duration, failed: u32, jitter: f64) -> Duration {
    let doubled = first * 2_u32.saturating_pow(failed.saturating_sub(1)).min(1 << 10);
    doubled.min(PAUSE_MAX).mul_f64(0.9 + jitter.clamp(0.0, 1.0) / 5.0)
}

/// When to ask next. `held` is what is held from the authority that would be asked.
pub(super) fn due(held: Option<Validity>, tries: Tries, start: Start, jitter: f64) -> SystemTime {
    let wished = held.map_or(SystemTime::UNIX_EPOCH, |held| held.renew_at(jitter));
    let Some(last) = tries.at else { return wished };
    let pause = match (tries.failed, held) {
        _ if tries.away > 0 => pause(PAUSE_AWAY, tries.away, jitter),
        // A new certificate that is to be renewed at once means a clock that is wrong: a sixth of its life is waited.
        (0, Some(held)) => held.lifetime() / 6,
        (0, None) => PAUSE_MIN,
        (failed, _) => pause(PAUSE_MIN, failed, jitter),
    };
    let has_failed = tries.failed > 0 || tries.away > 0;
    let pause = if start == Start::ByHand && has_failed { pause.min(PAUSE_BY_HAND) } else { pause };
    wished.max(last + pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn day(number: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * number
    }

    fn ninety_days() -> Validity {
        Validity { from: day(100), until: day(190) }
    }

    #[test]
    fn a_certificate_is_renewed_with_a_third_of_its_life_left() {
        let asked = due(Some(ninety_days()), Tries { at: Some(day(100)), failed: 0, away: 0 }, Start::Again, 0.0);
        assert!(asked <= day(160) && asked > day(160) - Duration::from_secs(1), "{asked:?}");
        let early = due(Some(ninety_days()), Tries::default(), Start::ByHand, 1.0);
        assert!(early < day(158) && early > day(156));
    }

    #[test]
    fn the_first_is_asked_for_at_once() {
        assert_eq!(due(None, Tries::default(), Start::Again, 0.5), SystemTime::UNIX_EPOCH);
    }

    #[test]
    fn failures_are_answered_with_patience_and_never_without_end() {
        let mut last = Duration::ZERO;
        for failed in 1..40 {
            let at = due(None, Tries { at: Some(day(1)), failed, away: 0 }, Start::Again, 0.5);
            let waited = at.duration_since(day(1)).unwrap();
            assert!(
                waited >= last && waited >= Duration::from_secs(270) && waited <= PAUSE_MAX,
                "{failed}: {waited:?}"
            );
            last = waited;
        }
        assert_eq!(last, PAUSE_MAX);
    }

    #[test]
    fn an_hour_holds_no_more_failures_than_the_strictest_authority_forgives() {
        let (mut now, mut tries, mut count) = (day(1), Tries::default(), 0);
        while now < day(1) + Duration::from_secs(3_600) {
            count += 1;
            tries = Tries { at: Some(now), failed: tries.failed + 1, away: 0 };
            now = due(None, tries, Start::Again, 0.0);
        }
        assert!(count < 5, "{count}");
    }

    #[test]
    fn an_authority_that_is_away_is_looked_for_soon_and_then_less_and_less() {
        let after = |failed, away| {
            let at = due(None, Tries { at: Some(day(1)), failed, away }, Start::Again, 0.5);
            at.duration_since(day(1)).unwrap()
        };
        assert_eq!(after(0, 1), PAUSE_AWAY);
        assert_eq!(after(7, 1), PAUSE_AWAY, "whatever was before, nothing was asked now");
        assert_eq!(after(0, 4), PAUSE_AWAY * 8);
        assert!(after(0, 40) > Duration::from_secs(3_600) && after(0, 40) <= PAUSE_MAX);
    }

    #[test]
    fn a_start_by_hand_tries_again_soon_but_not_each_time() {
        let tries = Tries { at: Some(day(1)), failed: 9, away: 0 };
        assert_eq!(due(None, tries, Start::ByHand, 0.5), day(1) + PAUSE_BY_HAND);
    }

    #[test]
    fn a_start_by_hand_tries_again_soon_where_the_authority_was_away() {
        let tries = Tries { at: Some(day(1)), failed: 0, away: 9 };
        assert!(due(None, tries, Start::Again, 0.5) > day(1) + PAUSE_BY_HAND);
        assert_eq!(due(None, tries, Start::ByHand, 0.5), day(1) + PAUSE_BY_HAND);
    }

    #[test]
    fn a_wrong_clock_does_not_ask_without_end() {
        // The clock is years ahead: what was just obtained has expired already.
        let tries = Tries { at: Some(day(1_000)), failed: 0, away: 0 };
        assert_eq!(due(Some(ninety_days()), tries, Start::ByHand, 0.5), day(1_015));
    }

    #[test]
    fn a_renewal_that_fails_is_tried_again_while_the_old_one_holds() {
        let tries = Tries { at: Some(day(160)), failed: 20, away: 0 };
        let at = due(Some(ninety_days()), tries, Start::Again, 1.0);
        assert!(at > day(160) && at < day(161));
    }
}
