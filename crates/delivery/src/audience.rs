//! Who hears a log at this worker, in numbers that can be trusted.
//!
//! One thread counts (the fan-out), another tells the house what changed ([`Count`], [`News`]): everything here is atomic, and nothing waits. Nobody's address
//! is kept; a person is a number that was hashed with a key (`hiwar_admission::PeopleKey`). Who is rehearsed is in none of the audience's figures.
//!
//! A listener with a connection is counted exactly. Who hears HLS has none: each of their requests [marks](Counters::fetch) them, and whoever adds up the marks of
//! the last seconds knows how many there are, about.

pub mod sketch;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hiwar_admission::reaction::Reaction;
use hiwar_segment_log::LogId;

use sketch::Growing;
pub use sketch::{REGISTERS, Register, Sketch, VALUE_MAX};

/// Which of two crowds somebody belongs to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Crowd {
    /// Those who want to hear.
    Audience,
    /// Those whom a load generator plays.
    Rehearsal,
}

/// Somebody who asks for sound.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// As whom they are counted.
    pub person: u64,
    /// Among whom.
    pub crowd: Crowd,
}

/// Listeners of one log at one worker.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// Which log.
    pub log: LogId,
    /// The audience.
    pub audience: Figures,
    /// Who is rehearsed.
    pub rehearsal: Figures,
    /// Whether it was asked for piece by piece (HLS) within [`FETCHED_FOR`], by whomever: that keeps it awake.
    pub fetched: bool,
    /// Whether those who hear it here as `mp4` or `ogg` are to hear its lean form, so that somebody must make one.
    pub lean: bool,
}

/// What is counted of a crowd. What ends in `total` only ever grows, from when the worker began.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Connections that hear it now; not those whose reader has stopped.
    pub listening: u32,
    /// Connections that ever did.
    pub joined_total: u64,
    /// Of these, those who left before a whole chunk was in the kernel's hands for them.
    pub silent_total: u64,
    /// Requests for sound that were refused because there was no room.
    pub turned_away_total: u64,
    /// Bytes handed to the kernel for them; of HLS, those of answers.
    pub bytes_total: u64,
}

/// How often those who hear a log at one worker reacted to it, in the order of [`Reaction::ALL`]. Those who are rehearsed are in it nowhere.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Reactions {
    /// Which log.
    pub log: LogId,
    /// How often before whoever is told now was told anything.
    pub before: [u64; KINDS],
    /// How often since the worker began.
    pub totals: [u64; KINDS],
}

/// What a sketch of a log tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Which log.
    pub log: LogId,
    /// Which sketch.
    pub heard: Heard,
    /// What has grown in it.
    pub registers: Vec<Register>,
}

/// The two sketches of a log. Those who are rehearsed are in neither.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Everyone who ever heard it here, in whatever form.
    Ever,
    /// Who asked for a piece of it (HLS) within the last [`SLOT`] or two.
    ByPieces,
}

/// How long after a request of HLS somebody is taken to be there: a player asks again once in a target duration, and may be held for three.
pub const FETCHED_FOR: Duration = Duration::from_secs(15);

/// For how long who was marked once need not be told of again. A player of HLS asks at least as often as that, whatever its kind: a segment lasts 4 s.
pub const SLOT: Duration = Duration::from_secs(5);

const KINDS: usize = Reaction::ALL.len();

/// What is counted of one log. One thread counts.
#[derive(Debug, Default)]
pub struct Counters {
    audience: Tallies,
    rehearsal: Tallies,
    /// Made for the first who hears it.
    ever: OnceLock<Growing>,
    by_pieces: OnceLock<Slots>,
    reactions: Reacted,
    /// When it was last asked for piece by piece, in milliseconds of the worker's age, and one; 0: never.
    fetched: AtomicU64,
    lean: AtomicBool,
}

#[derive(Debug, Default)]
struct Tallies {
    listening: AtomicU32,
    joined: AtomicU64,
    silent: AtomicU64,
    turned_away: AtomicU64,
    bytes: AtomicU64,
}

/// Reactions of each kind.
#[derive(Debug, Default)]
struct Reacted {
    totals: [AtomicU64; KINDS],
    /// What they were when whoever is told now came.
    before: [AtomicU64; KINDS],
    /// What they were in all when they were last told.
    told: AtomicU64,
}

/// Those of this [`SLOT`] and of the one before, which whoever tells may not have told yet.
#[derive(Debug, Default)]
struct Slots {
    /// Its number; those of even ones are in the first sketch.
    now: AtomicU64,
    marks: [Growing; 2],
}

impl Counters {
    /// Somebody has a connection and hears it from now on. Whether nobody did.
    pub fn join(&self, who: Who) -> bool {
        let is_first = self.hears(who.crowd);
        self.of(who.crowd).joined.fetch_add(1, Relaxed);
        if who.crowd == Crowd::Audience {
            self.ever.get_or_init(Growing::default).add(who.person);
        }
        is_first
    }

    /// Somebody of that crowd hears it again, who had stopped reading. Whether nobody did.
    pub fn hears(&self, crowd: Crowd) -> bool {
        self.of(crowd).listening.fetch_add(1, Relaxed) == 0
    }

    /// Somebody of that crowd hears it no longer.
    pub fn lose(&self, crowd: Crowd) {
        self.of(crowd).listening.fetch_sub(1, Relaxed);
    }

    /// Somebody of that crowd left, and had heard nothing.
    pub fn was_silent(&self, crowd: Crowd) {
        self.of(crowd).silent.fetch_add(1, Relaxed);
    }

    /// There was no room for somebody.
    pub fn turn_away(&self, crowd: Crowd) {
        self.of(crowd).turned_away.fetch_add(1, Relaxed);
    }

    /// Bytes for that crowd are in the kernel's hands.
    pub fn sent(&self, crowd: Crowd, bytes: u64) {
        self.of(crowd).bytes.fetch_add(bytes, Relaxed);
    }

    /// Somebody asks for a piece, `now` being the worker's age. Whether nobody had for a while.
    pub fn fetch(&self, now: Duration) -> bool {
        let is_new = !self.is_fetched(now);
        self.fetched.store(1 + u64::try_from(now.as_millis()).unwrap_or(u64::MAX - 1), Relaxed);
        is_new
    }

    /// Somebody's request for a piece is answered, or will be when there is more to hear.
    pub fn mark(&self, who: Who, now: Duration) {
        if who.crowd == Crowd::Rehearsal {
            return;
        }
        self.ever.get_or_init(Growing::default).add(who.person);
        let slots = self.by_pieces.get_or_init(Slots::default);
        let number = now.as_secs() / SLOT.as_secs();
        let [even, odd] = &slots.marks;
        let marks = if number.is_multiple_of(2) { even } else { odd };
        if slots.now.swap(number, Relaxed) != number {
            marks.clear();
        }
        marks.add(who.person);
    }

    /// Somebody of the audience reacts.
    pub fn react(&self, reaction: Reaction) {
        if let Some(total) = self.reactions.totals.get(reaction.place()) {
            total.fetch_add(1, Relaxed);
        }
    }

    /// The reactions, if there are some that were not told yet.
    pub fn reactions(&self, log: LogId) -> Option<Reactions> {
        let read = |of: &[AtomicU64; KINDS]| of.each_ref().map(|many| many.load(Relaxed));
        let Reacted { totals, before, told } = &self.reactions;
        let (before, totals) = (read(before), read(totals));
        let sum = totals.iter().sum();
        (told.swap(sum, Relaxed) != sum).then_some(Reactions { log, before, totals })
    }

    /// Those who hear it are to hear its lean form, or not. Whether they were not.
    pub fn want_lean(&self, lean: bool) -> bool {
        !self.lean.swap(lean, Relaxed) && lean
    }

    /// Nobody asks for pieces any more, nor for lean forms: there will be none.
    pub fn end(&self) {
        self.fetched.store(0, Relaxed);
        self.lean.store(false, Relaxed);
    }

    /// All figures.
    pub fn count(&self, log: LogId, now: Duration) -> Count {
        let (audience, rehearsal) = (self.audience.figures(), self.rehearsal.figures());
        Count { log, audience, rehearsal, fetched: self.is_fetched(now), lean: self.lean.load(Relaxed) }
    }

    /// Appends what was not told of its people yet: at most `most` registers in all. How many.
    pub fn tell(&self, log: LogId, most: usize, news: &mut Vec<News>) -> usize {
        let mut told = 0;
        let slots = self.by_pieces.get().map_or(&[][..], |slots| &slots.marks);
        let sketches = self.ever.get().map(|ever| (Heard::Ever, ever)).into_iter();
        for (heard, sketch) in sketches.chain(slots.iter().map(|marks| (Heard::ByPieces, marks))) {
            let mut registers = Vec::new();
            sketch.tell(most - told, &mut registers);
            told += registers.len();
            if !registers.is_empty() {
                news.push(News { log, heard, registers });
            }
        }
        told
    }

    /// Who is told from now on was told nothing yet. Marks are not repeated: players make new ones.
    pub fn retell(&self) {
        if let Some(ever) = self.ever.get() {
            ever.retell();
        }
        let Reacted { totals, before, told } = &self.reactions;
        before.iter().zip(totals).for_each(|(before, total)| before.store(total.load(Relaxed), Relaxed));
        told.store(0, Relaxed);
    }

    fn is_fetched(&self, now: Duration) -> bool {
        let at = self.fetched.load(Relaxed);
        at > 0 && now.saturating_sub(Duration::from_millis(at - 1)) < FETCHED_FOR
    }

    fn of(&self, crowd: Crowd) -> &Tallies {
        match crowd {
            Crowd::Audience => &self.audience,
            Crowd::Rehearsal => &self.rehearsal,
        }
    }
}

impl Tallies {
    fn figures(&self) -> Figures {
        Figures {
            listening: self.listening.load(Relaxed),
            joined_total: self.joined.load(Relaxed),
            silent_total: self.silent.load(Relaxed),
            turned_away_total: self.turned_away.load(Relaxed),
            bytes_total: self.bytes.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> LogId {
        LogId::parse("demo").unwrap()
    }

    fn who(person: u64) -> Who {
        Who { person: person.wrapping_mul(0x9e37_79b9_7f4a_7c15), crowd: Crowd::Audience }
    }

    fn rehearsed(person: u64) -> Who {
        Who { crowd: Crowd::Rehearsal, ..who(person) }
    }

    /// What the sketches tell, as who adds it up has it.
    fn told(counters: &Counters, sum: &mut [Sketch; 2]) {
        let mut news = Vec::new();
        counters.tell(log(), usize::MAX, &mut news);
        for News { heard, registers, .. } in news {
            let sketch = &mut sum[usize::from(heard == Heard::ByPieces)];
            sketch.take_all(registers);
        }
    }

    #[test]
    fn one_person_in_two_forms_is_one_person_on_two_connections() {
        let counters = Counters::default();
        let mut sum = Default::default();
        counters.join(who(1));
        counters.join(who(1));
        counters.mark(who(1), Duration::ZERO);
        counters.join(who(2));
        told(&counters, &mut sum);
        assert_eq!((sum[0].estimate(), sum[1].estimate()), (2, 1));
        let figures = counters.count(log(), Duration::ZERO).audience;
        assert_eq!((figures.listening, figures.joined_total), (3, 3));
    }

    #[test]
    fn who_is_rehearsed_is_in_no_figure_of_the_audience() {
        let counters = Counters::default();
        let mut sum = Default::default();
        assert!(counters.join(rehearsed(1)), "they keep a programme awake as well as anyone");
        counters.mark(rehearsed(2), Duration::ZERO);
        counters.sent(Crowd::Rehearsal, 9);
        counters.was_silent(Crowd::Rehearsal);
        counters.turn_away(Crowd::Rehearsal);
        told(&counters, &mut sum);
        assert!(sum.iter().all(Sketch::is_empty));
        let count = counters.count(log(), Duration::ZERO);
        assert_eq!(count.audience, Figures::default());
        let all = Figures { listening: 1, joined_total: 1, silent_total: 1, turned_away_total: 1, bytes_total: 9 };
        assert_eq!(count.rehearsal, all);
    }

    #[test]
    fn who_goes_on_asking_is_told_of_again_in_every_slot_and_no_more_often() {
        let counters = Counters::default();
        let mut times = 0;
        for second in 0..30 {
            counters.mark(who(1), Duration::from_secs(second));
            let mut sum: [Sketch; 2] = Default::default();
            told(&counters, &mut sum);
            times += sum[1].estimate();
        }
        assert_eq!(times, 6);
    }

    #[test]
    fn who_asked_at_the_end_of_a_slot_is_told_of_in_the_next() {
        let counters = Counters::default();
        counters.mark(who(1), Duration::from_millis(4_999));
        counters.mark(who(2), Duration::from_millis(5_000));
        let mut sum: [Sketch; 2] = Default::default();
        told(&counters, &mut sum);
        assert_eq!(sum[1].estimate(), 2);
    }

    #[test]
    fn a_new_house_is_told_of_everyone() {
        let counters = Counters::default();
        for person in 0..100 {
            counters.join(who(person));
        }
        told(&counters, &mut Default::default());
        let mut sum = Default::default();
        told(&counters, &mut sum);
        assert_eq!(sum[0].estimate(), 0, "no news");
        counters.retell();
        told(&counters, &mut sum);
        assert!((98..=102).contains(&sum[0].estimate()), "{}", sum[0].estimate());
    }

    #[test]
    fn reactions_are_told_once_and_in_whole_to_whoever_comes_anew() {
        let counters = Counters::default();
        assert_eq!(counters.reactions(log()), None);
        counters.react(Reaction::Laugh);
        counters.react(Reaction::Laugh);
        let (before, totals) = ([0; 5], [0, 0, 2, 0, 0]);
        assert_eq!(counters.reactions(log()), Some(Reactions { log: log(), before, totals }));
        assert_eq!(counters.reactions(log()), None, "nothing new");
        counters.react(Reaction::Heart);
        counters.retell();
        let (before, totals) = ([1, 0, 2, 0, 0], [1, 0, 2, 0, 0]);
        assert_eq!(counters.reactions(log()), Some(Reactions { log: log(), before, totals }));
        counters.react(Reaction::Agree);
        let totals = [1, 0, 2, 0, 1];
        assert_eq!(counters.reactions(log()), Some(Reactions { log: log(), before, totals }));
    }

    #[test]
    fn a_report_of_people_is_bounded() {
        let counters = Counters::default();
        (0..100).for_each(|person| counters.mark(who(person), Duration::ZERO));
        let mut news = Vec::new();
        assert_eq!(counters.tell(log(), 120, &mut news), 120);
        assert_eq!(news.iter().map(|news| news.registers.len()).sum::<usize>(), 120);
    }
}
