//! A player, as far as a listener notices: it begins with a store of sound, goes slower or faster when pieces are to be longer or are shorter again, and stands still
//! when it has nothing left. As the page's player does it (`web/src/player/catch_up.ts`), but with [`GRACE`] for the network, so that it never stands still over sound
//! that counts as on time. Pure.

use std::time::Duration;

use crate::report::GRACE;
use crate::stream::{Cadence, Heard};

/// What a player does when it is told how sound will come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notices {
    /// It prepares for that.
    #[default]
    Follow,
    /// It plays on, as players do that know nothing of it.
    Ignore,
}

/// How often sound comes to one listener, as far as they have been told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pieces {
    length: Duration,
    /// What was so before.
    before: Duration,
    /// Since when it is so.
    since: Duration,
}

impl Pieces {
    /// Nothing has been told.
    pub(crate) fn new(length: Duration) -> Self {
        Self { length, before: length, since: Duration::ZERO }
    }

    /// From now on it is so.
    pub(crate) fn become_so(&mut self, now: Duration, length: Duration) {
        *self = Self { length, before: self.length, since: now };
    }

    pub(crate) fn length(&self) -> Duration {
        self.length
    }

    /// How late a chunk may be that was due at `due`. What was due before a change may have been held back for as long as it was allowed then.
    pub(crate) fn lateness_max(&self, due: Duration) -> Duration {
        let length = if due < self.since { self.length.max(self.before) } else { self.length };
        length + GRACE
    }
}

/// How fast it plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// At 0.9 times the pace: more is wanted in hand than there is.
    Slow,
    Even,
    /// At 1.05 times the pace: pieces are shorter than they were.
    Fast,
}

impl Pace {
    /// How much sound it plays in a time.
    fn plays(self, time: Duration) -> Duration {
        match self {
            Self::Slow => time * 9 / 10,
            Self::Even => time,
            Self::Fast => time * 21 / 20,
        }
    }

    /// How long it has something to play.
    fn lasts(self, sound: Duration) -> Duration {
        match self {
            Self::Slow => sound * 10 / 9,
            Self::Even => sound,
            Self::Fast => sound * 20 / 21,
        }
    }
}

/// With so much more than [`GRACE`] in hand when a piece comes it no longer hurries.
const SPARE: Duration = Duration::from_millis(250);

/// One player. Times are of the caller's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Playing {
    /// When the first piece came.
    since: Duration,
    /// When it plays, or played, what is at `position`: to come, until it begins.
    at: Duration,
    /// A moment of the programme.
    position: Duration,
    /// Where the sound ends that has come.
    ends: Duration,
    /// What is to be in hand when a piece has come.
    wanted: Duration,
    pace: Pace,
    /// For so long it stood still, in all, until `at`.
    stood: Duration,
}

impl Playing {
    /// Has the first piece, and begins so that it has as much in hand as pieces of that length need, were it whole.
    pub(crate) fn new(now: Duration, heard: Heard, length: Duration) -> Self {
        let mut playing = Self {
            since: now,
            // Not yet.
            at: Duration::MAX,
            position: heard.begins,
            ends: heard.begins,
            wanted: length + GRACE,
            pace: Pace::Even,
            stood: Duration::ZERO,
        };
        playing.heard(now, heard);
        playing
    }

    /// Another piece came.
    pub(crate) fn heard(&mut self, now: Duration, heard: Heard) {
        self.play(now);
        if self.pace == Pace::Fast && self.in_hand() <= GRACE + SPARE {
            self.pace = Pace::Even;
        }
        self.ends = self.ends.max(heard.ends);
        if self.pace == Pace::Slow && self.in_hand() >= self.wanted {
            self.pace = Pace::Even;
        }
        if now < self.at {
            // It waits for its store to be whole; whatever else comes meanwhile is as much later.
            self.at = now + self.wanted.saturating_sub(self.in_hand());
        }
    }

    /// It is told how sound comes, or will.
    pub(crate) fn told(&mut self, now: Duration, cadence: Cadence) {
        self.play(now);
        let wanted = cadence.length + GRACE;
        if wanted > self.wanted {
            self.pace = Pace::Slow;
        } else if cadence.notice.is_some() || wanted == self.wanted {
            // Shorter pieces need no preparation, and what is prepared for need not be said again.
            return;
        } else {
            self.pace = Pace::Fast;
        }
        self.wanted = wanted;
    }

    /// When its first piece came.
    pub(crate) fn since(&self) -> Duration {
        self.since
    }

    /// Whether it stands still now.
    pub(crate) fn stands(&self, now: Duration) -> bool {
        now > self.runs_out()
    }

    /// How long it has stood still until now, in all.
    pub(crate) fn stood(&self, now: Duration) -> Duration {
        self.stood + now.saturating_sub(self.runs_out())
    }

    fn in_hand(&self) -> Duration {
        self.ends.saturating_sub(self.position)
    }

    fn runs_out(&self) -> Duration {
        self.at.saturating_add(self.pace.lasts(self.in_hand()))
    }

    /// Plays until now.
    fn play(&mut self, now: Duration) {
        if now <= self.at {
            return;
        }
        self.stood = self.stood(now);
        self.position = (self.position + self.pace.plays(now - self.at)).min(self.ends);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK_MS: u64 = 200;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn piece(n: u64) -> Heard {
        Heard { begins: ms(n * CHUNK_MS), ends: ms((n + 1) * CHUNK_MS) }
    }

    fn now_so(length_ms: u64) -> Cadence {
        Cadence { length: ms(length_ms), notice: None }
    }

    #[test]
    fn sound_on_time_never_stands_still() {
        let mut playing = Playing::new(ms(5_000), piece(40), ms(200));
        for n in 1..50 {
            playing.heard(ms(5_000 + n * 200), piece(40 + n));
            assert!(!playing.stands(ms(5_000 + n * 200 + 199)), "{n}");
        }
        assert_eq!(playing.stood(ms(15_000)), Duration::ZERO);
    }

    #[test]
    fn sound_that_stays_away_for_longer_than_the_store_stands_still_for_the_rest() {
        let mut playing = Playing::new(ms(0), piece(0), ms(200));
        for n in 1..10 {
            playing.heard(ms(n * 200), piece(n));
        }
        // It began at 1,000 ms with 1,200 of sound, and has 2,000 now.
        assert!(!playing.stands(ms(3_000)));
        assert!(playing.stands(ms(3_001)));
        assert_eq!(playing.stood(ms(3_200)), ms(200));
        playing.heard(ms(3_500), piece(10));
        assert!(!playing.stands(ms(3_700)));
        assert!(playing.stands(ms(3_701)));
        assert_eq!(playing.stood(ms(3_800)), ms(600));
    }

    #[test]
    fn a_burst_plays_at_once() {
        let mut playing = Playing::new(ms(0), piece(0), ms(200));
        for n in 1..6 {
            playing.heard(ms(0), piece(n));
        }
        assert!(playing.stands(ms(1_201)));
        assert!(!playing.stands(ms(1_200)));
    }

    #[test]
    fn a_burst_that_is_short_of_the_store_waits_for_the_rest_of_the_time_and_not_for_the_next_piece() {
        // Pieces of 2 s, and 2.6 s to begin with: it plays from 400 ms on, until 3 s.
        let mut playing = Playing::new(ms(0), piece(0), ms(2_000));
        for n in 1..13 {
            playing.heard(ms(0), piece(n));
        }
        assert!(!playing.stands(ms(3_000)));
        assert!(playing.stands(ms(3_001)));
    }

    /// A server that sends whole chunks in pieces, at their time; changes are at a moment of the programme.
    struct Listener {
        playing: Playing,
        notices: Notices,
        /// Chunks heard, and so long is a piece.
        heard: u64,
        length: u64,
    }

    impl Listener {
        fn new(notices: Notices) -> Self {
            let mut playing = Playing::new(ms(0), piece(0), ms(200));
            (1..4).for_each(|n| playing.heard(ms(0), piece(n)));
            Self { playing, notices, heard: 4, length: 200 }
        }

        fn tell(&mut self, now: u64, length: u64, notice: Option<u64>) {
            if self.notices == Notices::Follow {
                self.playing.told(ms(now), Cadence { length: ms(length), notice: notice.map(ms) });
            }
            if notice.is_none() {
                self.length = length;
            }
        }

        /// From one moment to another. Chunk 3 was whole at 0; each piece comes up to 200 ms late.
        fn listen(&mut self, from: u64, until: u64) {
            for now in (from..until).step_by(200) {
                let whole = now / 200 + 4;
                if (whole - self.heard) * 200 < self.length {
                    continue;
                }
                let late = now * 7_919 % 200;
                while self.heard < whole {
                    self.playing.heard(ms(now + late), piece(self.heard));
                    self.heard += 1;
                }
            }
        }
    }

    /// From 200 ms to so many and back, twice: how long one stood still, how late it was while they were long, and at the end.
    fn change(length: u64, notices: Notices) -> (Duration, [Duration; 2], Duration) {
        let mut listener = Listener::new(notices);
        let notice = 20_000.max(10 * length);
        let late = |listener: &Listener, now| ms(now) + ms(800) - listener.playing.position;
        let mut while_long = [Duration::ZERO; 2];
        let mut now = 0;
        let mut listen = |listener: &mut Listener, time: u64| {
            listener.listen(now, now + time);
            now += time;
            now
        };
        for late_then in &mut while_long {
            let at = listen(&mut listener, 20_000);
            listener.tell(at, length, Some(notice));
            let at = listen(&mut listener, notice);
            listener.tell(at, length, None);
            let at = listen(&mut listener, 60_000);
            *late_then = late(&listener, at);
            listener.tell(at, 200, None);
            listen(&mut listener, 100_000);
        }
        let at = listen(&mut listener, 0);
        (listener.playing.stood(ms(at)), while_long, late(&listener, at))
    }

    #[test]
    fn a_change_with_notice_is_not_heard_by_who_follows_it_and_is_by_who_does_not() {
        for length in [400, 1_000, 2_000, 4_000] {
            let (stood, while_long, at_last) = change(length, Notices::Follow);
            assert_eq!(stood, Duration::ZERO, "{length}");
            // Behind by a piece and the grace while they are long, and by less again after.
            assert!(while_long.iter().all(|late| *late >= ms(length + 1_000)), "{length}: {while_long:?}");
            assert!(at_last < ms(2_000), "{length}: {at_last:?}");
        }
        for length in [2_000, 4_000] {
            let (stood, ..) = change(length, Notices::Ignore);
            assert!(stood > ms(length - 1_500), "{length}: {stood:?}");
        }
    }

    #[test]
    fn who_is_moved_without_notice_stands_still() {
        let mut listener = Listener::new(Notices::Follow);
        listener.listen(0, 20_000);
        listener.tell(20_000, 4_000, None);
        listener.listen(20_000, 60_000);
        assert!(listener.playing.stood(ms(60_000)) > ms(1_500));
    }

    #[test]
    fn what_was_due_before_a_change_may_be_as_late_as_it_might_then() {
        let mut pieces = Pieces::new(ms(4_000));
        pieces.become_so(ms(10_000), now_so(200).length);
        assert_eq!(pieces.lateness_max(ms(9_999)), ms(5_000));
        assert_eq!(pieces.lateness_max(ms(10_000)), ms(1_200));
        pieces.become_so(ms(20_000), ms(2_000));
        assert_eq!(pieces.lateness_max(ms(19_000)), ms(3_000));
        assert_eq!(pieces.length(), ms(2_000));
    }
}
