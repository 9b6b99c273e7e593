//! A player, as far as a listener notices: it begins with a store of sound, and stands still when that runs out. Pure.

use std::time::Duration;

use crate::stream::Heard;

/// One player. Times are of the caller's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Playing {
    /// When the first piece came.
    since: Duration,
    /// When the first sound was played, moved on by every standstill; `None` before.
    began: Option<Duration>,
    /// Where in the programme that sound is.
    first: Duration,
    /// Where the sound ends that has come.
    ends: Duration,
}

impl Playing {
    /// Has the first piece; plays as soon as it has `store` of sound.
    pub(crate) fn new(now: Duration, heard: Heard, store: Duration) -> Self {
        let mut playing = Self { since: now, began: None, first: heard.begins, ends: heard.begins };
        playing.heard(now, heard, store);
        playing
    }

    /// Another piece came; returns how long the player stood still before it.
    pub(crate) fn heard(&mut self, now: Duration, heard: Heard, store: Duration) -> Duration {
        let stood = match (self.began, self.runs_out()) {
            (Some(began), Some(ran_out)) if now > ran_out => {
                self.began = Some(began + (now - ran_out));
                now - ran_out
            }
            _ => Duration::ZERO,
        };
        self.ends = self.ends.max(heard.ends);
        if self.began.is_none() && self.ends.saturating_sub(self.first) >= store {
            self.began = Some(now);
        }
        stood
    }

    /// When its first piece came.
    pub(crate) fn since(&self) -> Duration {
        self.since
    }

    /// Whether it stands still now.
    pub(crate) fn stands(&self, now: Duration) -> bool {
        self.runs_out().is_some_and(|at| now > at)
    }

    fn runs_out(&self) -> Option<Duration> {
        Some(self.began? + self.ends.saturating_sub(self.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: Duration = Duration::from_millis(1_200);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn piece(n: u64) -> Heard {
        Heard { begins: ms(n * 200), ends: ms((n + 1) * 200) }
    }

    #[test]
    fn sound_on_time_never_stands_still() {
        let mut playing = Playing::new(ms(5_000), piece(40), STORE);
        for n in 1..50 {
            assert_eq!(playing.heard(ms(5_000 + n * 200), piece(40 + n), STORE), Duration::ZERO);
            assert!(!playing.stands(ms(5_000 + n * 200 + 199)), "{n}");
        }
    }

    #[test]
    fn sound_that_stays_away_for_longer_than_the_store_stands_still_for_the_rest() {
        let mut playing = Playing::new(ms(0), piece(0), STORE);
        for n in 1..10 {
            playing.heard(ms(n * 200), piece(n), STORE);
        }
        // It began at 1,000 ms with 1,200 of sound, and has 2,000 now.
        assert!(!playing.stands(ms(3_000)));
        assert!(playing.stands(ms(3_001)));
        assert_eq!(playing.heard(ms(3_500), piece(10), STORE), ms(500));
        assert!(!playing.stands(ms(3_700)));
        assert!(playing.stands(ms(3_701)));
    }

    #[test]
    fn a_burst_plays_at_once() {
        let mut playing = Playing::new(ms(0), piece(0), STORE);
        for n in 1..6 {
            playing.heard(ms(0), piece(n), STORE);
        }
        assert!(playing.stands(ms(1_201)));
        assert!(!playing.stands(ms(1_200)));
    }

    #[test]
    fn who_has_too_little_to_begin_with_does_not_stand_still() {
        let playing = Playing::new(ms(0), piece(0), STORE);
        assert!(!playing.stands(ms(60_000)));
    }
}
