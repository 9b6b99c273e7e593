//! A player, as far as a listener notices: it begins with a store of sound, goes slower or faster when pieces are to be longer or are shorter again, jumps when it is
//! far behind, and stands still when it has nothing left. Its numbers and what it does with them are those of the page's player (`web/src/player/catch_up.ts`). It has
//! 0.3 s left when the next piece comes, and [`GRACE`] is for the verdict alone: sound may be on time and a player stand still.
//!
//! It differs in two things. It begins when its store is whole, where a browser takes about as long to begin. And who is moved unprepared stands still, where the page
//! says some words twice (`player.ts`): that is no less of a break. Pure.

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

/// Pieces are so long if nothing is said, and all numbers below are for these. By how much they are longer is their *swing*, which comes on top.
const USUAL: Duration = Duration::from_millis(200);
/// Wanted in hand when a piece has come (`TARGET_S`).
const TARGET: Duration = Duration::from_millis(500);
/// With more than that in hand it hurries (`HURRY_S`), and it does so with less than [`HURRY_ABOVE`] more than it wants.
const HURRY: Duration = Duration::from_millis(900);
const HURRY_ABOVE: Duration = Duration::from_millis(400);
/// It has hurried enough when it has no more than this above what it wants of usual pieces, before the next one comes.
const NEAR: Duration = Duration::from_millis(50);
/// With more than that in hand it jumps (`JUMP_S`), or with so much more than it wants.
const JUMP: Duration = Duration::from_secs(4);
const JUMP_ABOVE: Duration = Duration::from_secs(2);
/// Whenever it stood still it wants so much more (`WIDEN_S`), up to this (`TARGET_MAX_S`).
const WIDEN: Duration = Duration::from_millis(250);
const TARGET_MAX: Duration = Duration::from_secs(2);

/// How fast it plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// At 0.9 times the pace: more is wanted in hand than there is.
    Slow,
    Even,
    /// At 1.05 times the pace: it is behind.
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
    /// What it wants in hand of usual pieces.
    wide: Duration,
    swing: Duration,
    /// The longest swing since it last had little in hand: whoever is told of a shorter one is not behind for that.
    swing_max: Duration,
    pace: Pace,
    /// A piece has come since it plays. It jumps more readily then, once: nobody misses what a slow beginning left behind.
    has_begun: bool,
    /// For so long it stood still, in all, until `at`.
    stood: Duration,
}

impl Playing {
    /// Has the first piece, and begins so that it has as much in hand as pieces of that length need, were it whole.
    pub(crate) fn new(now: Duration, heard: Heard, length: Duration) -> Self {
        let swing = length.saturating_sub(USUAL);
        let mut playing = Self {
            since: now,
            // Not yet.
            at: Duration::MAX,
            position: heard.begins,
            ends: heard.begins,
            wide: TARGET,
            swing,
            swing_max: swing,
            pace: Pace::Even,
            has_begun: false,
            stood: Duration::ZERO,
        };
        playing.heard(now, heard);
        playing
    }

    /// Another piece came.
    pub(crate) fn heard(&mut self, now: Duration, heard: Heard) {
        let begins = now > self.at && !self.has_begun;
        self.has_begun |= begins;
        self.play(now);
        self.ends = self.ends.max(heard.ends);
        if now < self.at {
            // It waits for its store to be whole; whatever else comes meanwhile is as much later.
            self.at = now + self.wanted().saturating_sub(self.in_hand());
            return;
        }
        let hurry = self.swing + HURRY.max(self.wide + HURRY_ABOVE);
        let jump = if begins { hurry } else { self.swing_max + JUMP.max(self.wide + JUMP_ABOVE) };
        if self.in_hand() > jump {
            self.position = self.ends.saturating_sub(self.wanted());
        } else if self.in_hand() > hurry {
            self.pace = Pace::Fast;
        } else if self.pace == Pace::Slow && self.in_hand() >= self.wanted() {
            self.pace = Pace::Even;
        }
    }

    /// It is told how sound comes, or will.
    pub(crate) fn told(&mut self, now: Duration, cadence: Cadence) {
        let swing = cadence.length.saturating_sub(USUAL);
        // Shorter pieces need no preparation.
        if cadence.notice.is_some() && swing < self.swing {
            return;
        }
        self.play(now);
        let saves = swing > self.swing || (swing > Duration::ZERO && self.pace == Pace::Slow);
        self.pace = if saves { Pace::Slow } else { Pace::Even };
        self.swing = swing;
        self.swing_max = self.swing_max.max(swing);
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

    /// To be in hand when a piece has come.
    fn wanted(&self) -> Duration {
        self.wide + self.swing
    }

    fn in_hand(&self) -> Duration {
        self.ends.saturating_sub(self.position)
    }

    /// What it has in hand above what ends a hurry.
    fn spare(&self) -> Duration {
        self.in_hand().saturating_sub(self.wide + NEAR)
    }

    fn runs_out(&self) -> Duration {
        let hurried = if self.pace == Pace::Fast { self.spare() } else { Duration::ZERO };
        let pace = if self.pace == Pace::Slow { Pace::Slow } else { Pace::Even };
        self.at.saturating_add(Pace::Fast.lasts(hurried) + pace.lasts(self.in_hand() - hurried))
    }

    /// Plays until now.
    fn play(&mut self, now: Duration) {
        if now <= self.at {
            return;
        }
        if self.pace == Pace::Fast {
            let slows = self.at + self.pace.lasts(self.spare());
            if now >= slows {
                self.position += self.spare();
                self.at = slows;
                self.pace = Pace::Even;
            }
        }
        let stood = now.saturating_sub(self.runs_out());
        self.position = (self.position + self.pace.plays(now - self.at)).min(self.ends);
        self.at = now;
        if self.spare().is_zero() {
            self.swing_max = self.swing;
        }
        if !stood.is_zero() {
            self.stood += stood;
            self.wide = (self.wide + WIDEN).min(TARGET_MAX);
            // Of usual pieces standing still itself brings enough.
            self.pace = if self.swing.is_zero() { Pace::Even } else { Pace::Slow };
        }
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
        Heard { begins: ms(n * CHUNK_MS), ends: ms((n + 1) * CHUNK_MS), sounds: true }
    }

    fn now_so(length_ms: u64) -> Cadence {
        Cadence { length: ms(length_ms), notice: None }
    }

    #[test]
    fn sound_that_is_less_than_300_ms_late_never_stands_still() {
        let mut playing = Playing::new(ms(5_000), piece(40), ms(200));
        for n in 1..50 {
            let late = n * 97 % 300;
            playing.heard(ms(5_000 + n * 200 + late), piece(40 + n));
        }
        assert_eq!(playing.stood(ms(15_000)), Duration::ZERO);
    }

    #[test]
    fn sound_that_stays_away_for_longer_than_the_store_stands_still_for_the_rest() {
        let mut playing = Playing::new(ms(0), piece(0), ms(200));
        for n in 1..10 {
            playing.heard(ms(n * 200), piece(n));
        }
        // It began at 300 ms with 400 of sound, and has 2,000 now.
        assert!(!playing.stands(ms(2_300)));
        assert!(playing.stands(ms(2_301)));
        assert_eq!(playing.stood(ms(2_500)), ms(200));
        playing.heard(ms(2_800), piece(10));
        assert!(!playing.stands(ms(3_000)));
        assert!(playing.stands(ms(3_001)));
        assert_eq!(playing.stood(ms(3_100)), ms(600));
    }

    #[test]
    fn late_sound_may_be_on_time_and_yet_be_missed() {
        let mut playing = Playing::new(ms(0), piece(0), ms(200));
        (1..3).for_each(|n| playing.heard(ms(0), piece(n)));
        // Due at 200, and late only from 1,400 on.
        playing.heard(ms(1_000), piece(3));
        assert_eq!(playing.stood(ms(1_000)), ms(400));
    }

    #[test]
    fn a_burst_plays_at_once() {
        let mut playing = Playing::new(ms(0), piece(0), ms(200));
        for n in 1..4 {
            playing.heard(ms(0), piece(n));
        }
        assert!(playing.stands(ms(801)));
        assert!(!playing.stands(ms(800)));
    }

    #[test]
    fn a_burst_that_is_short_of_the_store_waits_for_the_rest_of_the_time_and_not_for_the_next_piece() {
        // Pieces of 2 s, and 2 s to begin with, where 2.3 are wanted: it plays from 300 ms on, until 2.3 s.
        let mut playing = Playing::new(ms(0), piece(0), ms(2_000));
        for n in 1..10 {
            playing.heard(ms(0), piece(n));
        }
        assert!(!playing.stands(ms(2_300)));
        assert!(playing.stands(ms(2_301)));
    }

    /// Has so much more than a piece in hand, comes to another in a second, and says how much it has then.
    fn goes_on_with(chunks: u64) -> (Playing, Duration) {
        let mut playing = Playing::new(ms(0), piece(0), ms(200));
        (1..3).for_each(|n| playing.heard(ms(0), piece(n)));
        playing.heard(ms(200), piece(3));
        playing.heard(ms(400), piece(4));
        (5..5 + chunks).for_each(|n| playing.heard(ms(400), piece(n)));
        let had = playing.in_hand();
        (0..5).for_each(|n| playing.heard(ms(600 + 200 * n), piece(5 + chunks + n)));
        (playing, had)
    }

    #[test]
    fn who_is_behind_hurries_and_who_is_far_behind_jumps() {
        let (even, had) = goes_on_with(1);
        assert_eq!((had, even.in_hand(), even.pace), (ms(800), ms(800), Pace::Even));
        let (fast, had) = goes_on_with(2);
        assert_eq!((had, fast.in_hand(), fast.pace), (ms(1_000), ms(950), Pace::Fast));
        let (_, had) = goes_on_with(17);
        assert_eq!(had, ms(4_000));
        let (_, had) = goes_on_with(18);
        assert_eq!(had, TARGET);
    }

    #[test]
    fn a_hurry_ends_when_little_is_in_hand_before_the_next_piece() {
        let (mut playing, _) = goes_on_with(2);
        for n in 0..100 {
            playing.heard(ms(1_600 + 200 * n), piece(12 + n));
        }
        assert_eq!((playing.pace, playing.in_hand()), (Pace::Even, TARGET + NEAR + USUAL));
        assert_eq!(playing.stood(ms(1_600 + 200 * 99)), Duration::ZERO);
    }

    #[test]
    fn who_began_late_jumps_once_instead() {
        let mut playing = Playing::new(ms(0), piece(0), ms(200));
        (1..12).for_each(|n| playing.heard(ms(0), piece(n)));
        playing.heard(ms(200), piece(12));
        assert_eq!(playing.in_hand(), TARGET);
    }

    #[test]
    fn standing_still_makes_it_want_more_in_hand_up_to_two_seconds() {
        let mut playing = Playing::new(ms(0), piece(0), ms(2_000));
        let mut wide = Vec::new();
        for n in 0..8 {
            playing.heard(ms(10_000 * (n + 1)), piece(n + 1));
            wide.push(playing.wide.as_millis());
            assert_eq!(playing.pace, Pace::Slow);
        }
        assert_eq!(wide, [750, 1_000, 1_250, 1_500, 1_750, 2_000, 2_000, 2_000]);
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
                let late = now / 200 * 7_919 % 200;
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
        // As the house gives it.
        let notice = 20_000.max(13 * length);
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
            // Behind by a piece and what is left when it comes while they are long, and by less again after.
            assert!(while_long.iter().all(|late| *late >= ms(length + 200)), "{length}: {while_long:?}");
            assert!(at_last <= HURRY + ms(200), "{length}: {at_last:?}");
        }
        for length in [2_000, 4_000] {
            let (stood, ..) = change(length, Notices::Ignore);
            assert!(stood > ms(length - 1_000), "{length}: {stood:?}");
        }
    }

    #[test]
    fn the_notice_is_longer_than_what_it_takes_to_prepare_by_a_quarter_and_more() {
        for length in [400, 1_000, 2_000, 4_000] {
            let mut listener = Listener::new(Notices::Follow);
            listener.listen(0, 20_000);
            listener.tell(20_000, length, Some(20_000.max(13 * length)));
            let mut now = 20_000;
            while listener.playing.pace == Pace::Slow {
                listener.listen(now, now + 200);
                now += 200;
            }
            let (took, notice) = (now - 20_000, 20_000.max(13 * length));
            assert!(took <= 10 * length && 5 * took < 4 * notice, "{length}: {took} of {notice}");
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
