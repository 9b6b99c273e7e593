//! The ladder: what is done, step by step, when there are too many.
//!
//! Up at once, down after a calm minute. Joins are paced first; then the time between two writes to a listener grows, which is what a listener costs a
//! processor (`docs/measured/fanout.md`); then the bitrate falls, which is what a listener costs a line, and is therefore the next thing where the line is what is
//! short; then whoever comes anew is sent to the delayed stream, which costs this server nothing where others carry it, and is therefore the next thing where files or memory
//! are what is short. Nobody who listens is ever dropped. A worker feels its own [`Pressure`] once a second, and does as the [`Stance`] says.
//!
//! The last rung is the door's ([`door_level`]): that somebody has no time at which they can come in. What an operator wants is an [`Order`], and comes before what is felt.
//!
//! It does not know what a cadence means to a player, nor who has been told of it, nor whether there is lean sound: that is the fan-out's.

use std::time::{Duration, Instant};

mod order;
mod reason;
mod slow;

pub use order::Order;
pub use reason::{Reason, Reasons};
pub use slow::Slow;

/// The time between two writes to a listener, in whole chunks of 200 ms.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cadence {
    /// 200 ms: every chunk when it is there.
    #[default]
    Ms200,
    /// 400 ms.
    Ms400,
    /// One second.
    S1,
    /// Two seconds.
    S2,
    /// Four seconds.
    S4,
}

impl Cadence {
    /// All of them, the shortest first.
    pub const ALL: [Self; 5] = [Self::Ms200, Self::Ms400, Self::S1, Self::S2, Self::S4];

    /// In chunks.
    pub const fn chunks(self) -> usize {
        match self {
            Self::Ms200 => 1,
            Self::Ms400 => 2,
            Self::S1 => 5,
            Self::S2 => 10,
            Self::S4 => 20,
        }
    }

    /// In milliseconds.
    pub const fn ms(self) -> u32 {
        200 * self.chunks() as u32
    }

    /// Of so many chunks, if there is one.
    pub fn of_chunks(chunks: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|cadence| cadence.chunks() == chunks)
    }

    /// Of so many milliseconds, if there is one.
    pub fn of_ms(ms: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|cadence| cadence.ms() == ms)
    }

    /// What pressure makes of it: 400 ms would save too little to be a step of its own on the way up.
    fn longer(self) -> Option<Self> {
        match self {
            Self::Ms200 | Self::Ms400 => Some(Self::S1),
            Self::S1 => Some(Self::S2),
            Self::S2 => Some(Self::S4),
            Self::S4 => None,
        }
    }

    fn shorter(self) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|cadence| *cadence < self)
    }
}

/// How much of the line a listener's sound takes. Whoever hears it notices no seam: any chunk may be of either.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bitrate {
    /// 32 kbit/s.
    #[default]
    Standard,
    /// 16 kbit/s.
    Lean,
}

impl Bitrate {
    /// In kbit/s, of sound alone.
    pub const fn kbps(self) -> u32 {
        match self {
            Self::Standard => 32,
            Self::Lean => 16,
        }
    }

    /// Of so many kbit/s, if there is one.
    pub fn of_kbps(kbps: u32) -> Option<Self> {
        [Self::Standard, Self::Lean].into_iter().find(|bitrate| bitrate.kbps() == kbps)
    }
}

/// How far up a worker is, or a conversation. The numbers are those that the audience is told (`docs/operate/crowded.md`).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// 0: whoever comes is let in at once.
    #[default]
    Open = 0,
    /// 1: so many in a second; the others a little later.
    Paced = 1,
    /// 2: sound comes in longer pieces.
    Longer = 2,
    /// 3: sound comes at the [lean](Bitrate::Lean) bitrate, and nobody's [reaction](crate::reaction) is taken.
    Lean = 3,
    /// 4: whoever comes anew hears the delayed stream, or sound in the longest pieces.
    Delayed = 4,
    /// 5: whoever comes anew may find no place, and is told so.
    Capped = 5,
}

impl Level {
    /// All of them, the lowest first.
    pub const ALL: [Self; 6] = [Self::Open, Self::Paced, Self::Longer, Self::Lean, Self::Delayed, Self::Capped];

    /// Of that number, if there is one.
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|level| *level as u8 == number)
    }
}

/// How far up a conversation's door is. Whoever has to wait for it, or for a draw, is paced; where some have no time within half an hour, and cannot expect one, the audience is capped.
pub const fn door_level(is_crowded: bool, without_time: u64) -> Level {
    match (is_crowded, without_time) {
        (true, 1..) => Level::Capped,
        (true, 0) => Level::Paced,
        (false, _) => Level::Open,
    }
}

/// What a worker felt in the last second.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Pressure {
    /// The part of the second in which its thread ran: 0 to 1. Less than all of a core is all there is where others run on it, too.
    pub busy: f32,
    /// The longest that a chunk waited for the last of those whom it was due to.
    pub behind: Duration,
    /// How many came.
    pub joins: u32,
    /// Those who listen are still to follow to the last step up: what it saves is not felt yet.
    pub is_moving: bool,
    /// The part of what the operator says this worker may send that it sent: 0 if nothing was said, above 1 if it was more.
    pub egress: f32,
    /// The part of the handshakes that may be under way which is.
    pub handshakes: f32,
    /// The part of the memory of this machine, or of what this service may have of it, that is taken.
    pub memory: f32,
    /// The part of the connections that there is room for which is taken.
    pub files: f32,
}

impl Pressure {
    /// A busy thread alone is no trouble: whoever listens has half of it. That a chunk is late is.
    fn is_late(&self) -> bool {
        self.behind >= BEHIND_HIGH
    }

    /// The worst of both.
    fn or_worse(self, other: Self) -> Self {
        let Self { busy, behind, egress, handshakes, memory, files, .. } = other;
        Self {
            busy: self.busy.max(busy),
            behind: self.behind.max(behind),
            egress: self.egress.max(egress),
            handshakes: self.handshakes.max(handshakes),
            memory: self.memory.max(memory),
            files: self.files.max(files),
            ..self
        }
    }

    /// As figures, in this order: thousandths of the second, milliseconds behind, and thousandths of line, handshakes, memory and files.
    pub fn figures(&self) -> [u32; 6] {
        let thousandths = |part: f32| (part.max(0.0) * 1_000.0) as u32;
        let behind = u32::try_from(self.behind.as_millis()).unwrap_or(u32::MAX);
        let [line, handshakes, memory, files] =
            [self.egress, self.handshakes, self.memory, self.files].map(thousandths);
        [thousandths(self.busy), behind, line, handshakes, memory, files]
    }

    /// What is the matter.
    pub fn reasons(&self) -> Reasons {
        let felt = [
            (Reason::Late, self.is_late()),
            (Reason::Line, self.is_full()),
            (Reason::Handshakes, self.handshakes >= STORE_HIGH),
            (Reason::Memory, self.memory >= STORE_HIGH),
            (Reason::Files, self.files >= STORE_HIGH),
        ];
        felt.into_iter().filter(|(_, is_so)| *is_so).map(|(reason, _)| reason).collect()
    }

    /// Each who comes takes of what is nearly gone, and whoever is there gives nothing of it back by hearing it otherwise.
    fn is_scarce(&self) -> bool {
        self.memory >= STORE_HIGH || self.files >= STORE_HIGH
    }

    /// The line is nearly full.
    fn is_full(&self) -> bool {
        self.egress >= EGRESS_HIGH
    }

    /// Whether it would be no trouble if writes were so many times as frequent.
    fn is_calm(&self, times: f32) -> bool {
        self.busy * times < BUSY_CALM && self.behind.mul_f32(times) < BEHIND_CALM
    }
}

/// What a worker does.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Stance {
    /// How far up it is.
    pub level: Level,
    /// For whoever joins now; those who listen follow when they have been told.
    pub cadence: Cadence,
    /// For everyone, from the next chunk on.
    pub bitrate: Bitrate,
    /// How many are let in each second; `None`: all.
    pub joins_per_s: Option<u32>,
    /// Whoever comes anew is sent to the delayed stream, or hears sound in the longest pieces. Nothing changes for whoever listens.
    pub delays: bool,
    /// Whoever comes anew is told that there is no place. Nothing changes for whoever listens.
    pub is_shut: bool,
    /// Nobody's [reaction](crate::reaction) is taken. What is left of a thread or a line belongs to the sound.
    pub is_quiet: bool,
    /// Why it is not [open](Level::Open).
    pub reasons: Reasons,
}

impl Stance {
    /// How often whoever comes anew is written to.
    pub fn for_joiners(&self) -> Cadence {
        if self.delays { Cadence::S4.max(self.cadence) } else { self.cadence }
    }
}

/// One worker's.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// What pressure and the operator's choices make of it.
    stance: Stance,
    /// What the operator has ordered.
    order: Order,
    /// There is a delayed stream that others carry.
    has_elsewhere: bool,
    /// What the operator wants in place of what pressure makes of it. Joins are paced all the same.
    fixed: Option<Cadence>,
    fixed_bitrate: Option<Bitrate>,
    /// When the cadence or the bitrate was last changed.
    stepped: Instant,
    /// Since when chunks have been late.
    late_since: Option<Instant>,
    /// Since when the line has been full.
    full_since: Option<Instant>,
    /// Since when files or memory have been nearly gone.
    scarce_since: Option<Instant>,
    /// Since when nothing has been the matter, or the last minute of that was judged; and the worst that was felt since.
    calm: Option<(Instant, Pressure)>,
}

impl Ladder {
    /// At its foot.
    pub fn new(now: Instant) -> Self {
        Self {
            stance: Stance::default(),
            order: Order::default(),
            has_elsewhere: false,
            fixed: None,
            fixed_bitrate: None,
            stepped: now,
            late_since: None,
            full_since: None,
            scarce_since: None,
            calm: None,
        }
    }

    /// The same, where a delayed stream is carried by others: it is a way out of what a longer cadence or a lower bitrate would not help.
    pub fn with_elsewhere(self, has_elsewhere: bool) -> Self {
        Self { has_elsewhere, ..self }
    }

    /// What to do.
    pub fn stance(&self) -> Stance {
        self.order.over(self.stance, self.fixed, self.fixed_bitrate)
    }

    /// The operator orders this from now on, in place of what was ordered before. What is lifted is gone at once; what pressure makes of it then is found out from where it is.
    pub fn order(&mut self, now: Instant, order: Order) {
        self.order = order;
        let most = order.most();
        if most < Level::Delayed {
            self.stance.delays = false;
        }
        if most < Level::Lean && self.fixed_bitrate.is_none() {
            self.thin_to(now, Bitrate::Standard);
        }
        if most < Level::Longer && self.fixed.is_none() {
            self.turn_to(now, Cadence::default());
        }
        if most < Level::Paced {
            self.stance.joins_per_s = None;
        }
        self.name();
    }

    /// The operator fixes the cadence, or leaves it to the pressure again (`None`), which goes on from where it is.
    pub fn fix(&mut self, now: Instant, cadence: Option<Cadence>) {
        self.fixed = cadence;
        if let Some(cadence) = cadence {
            self.turn_to(now, cadence);
        }
        self.name();
    }

    /// The same for the bitrate.
    pub fn fix_bitrate(&mut self, now: Instant, bitrate: Option<Bitrate>) {
        self.fixed_bitrate = bitrate;
        if let Some(bitrate) = bitrate {
            self.thin_to(now, bitrate);
        }
        self.name();
    }

    /// Takes the pressure of the last second, and answers what to do now.
    pub fn handle(&mut self, now: Instant, pressure: Pressure) -> Stance {
        // What those feel who have not followed to the last step yet says nothing of it.
        let is_late = pressure.is_late() && !pressure.is_moving;
        self.late_since = is_late.then(|| self.late_since.unwrap_or(now));
        self.full_since = pressure.is_full().then(|| self.full_since.unwrap_or(now));
        self.scarce_since = pressure.is_scarce().then(|| self.scarce_since.unwrap_or(now));
        let felt = pressure.reasons();
        if !felt.is_empty() {
            self.calm = None;
            self.stance.reasons = self.stance.reasons.with(felt);
            self.climb(now, pressure);
        } else {
            let (since, worst) = self.calm.unwrap_or((now, Pressure::default()));
            let worst = worst.or_worse(pressure);
            self.calm = Some((since, worst));
            self.stance.joins_per_s = self.stance.joins_per_s.map(relaxed);
            if now.saturating_duration_since(since) >= CALM {
                self.descend(now, worst);
                // One rung a minute, and each minute is judged as a whole: a second of silence is no calm.
                self.calm = Some((now, Pressure::default()));
            }
        }
        self.name();
        self.stance()
    }

    fn climb(&mut self, now: Instant, pressure: Pressure) {
        let most = self.order.most();
        if most < Level::Paced {
            return;
        }
        // Joins first: each costs as much as some hundred chunks, and is sent two seconds at once.
        let pace = self.stance.joins_per_s.unwrap_or(u32::MAX).min(pressure.joins);
        self.stance.joins_per_s = Some((pace - pace / 4).max(JOINS_MIN));
        let has_waited = |since: Instant| now.saturating_duration_since(since) >= PATIENCE;
        let is_full = self.full_since.is_some_and(has_waited);
        let may_delay = most >= Level::Delayed && !self.stance.delays && has_waited(self.stepped);
        // A longer cadence would save a line nothing.
        if is_full && self.may_thin() {
            self.thin_to(now, Bitrate::Lean);
        } else if self.late_since.is_some_and(has_waited) && has_waited(self.stepped) {
            match self.stance.cadence.longer().filter(|_| self.fixed.is_none() && most >= Level::Longer) {
                Some(longer) => self.turn_to(now, longer),
                None if self.may_thin() => self.thin_to(now, Bitrate::Lean),
                None if may_delay => self.delay(now, true),
                None => {}
            }
        } else if (is_full || self.scarce_since.is_some_and(has_waited)) && self.has_elsewhere && may_delay {
            self.delay(now, true);
        }
    }

    fn may_thin(&self) -> bool {
        self.fixed_bitrate.is_none() && self.stance.bitrate == Bitrate::Standard && self.order.most() >= Level::Lean
    }

    fn delay(&mut self, now: Instant, delays: bool) {
        (self.stance.delays, self.stepped) = (delays, now);
    }

    fn descend(&mut self, now: Instant, pressure: Pressure) {
        self.stance.joins_per_s = None;
        if self.stance.delays {
            let has_store = pressure.memory < STORE_CALM && pressure.files < STORE_CALM;
            // Whoever would come then is to find room.
            if has_store && pressure.egress < EGRESS_CALM && pressure.is_calm(1.0) {
                self.delay(now, false);
            }
            return;
        }
        let would_fit = pressure.egress * LEAN_SAVES < EGRESS_CALM && pressure.is_calm(1.0);
        if self.fixed_bitrate.is_none() && self.stance.bitrate == Bitrate::Lean && would_fit {
            self.thin_to(now, Bitrate::Standard);
            return;
        }
        // A line that must have it lean does not keep a processor that is at ease from shorter pieces.
        let Some(shorter) = self.stance.cadence.shorter().filter(|_| self.fixed.is_none()) else { return };
        let times = self.stance.cadence.chunks() as f32 / shorter.chunks() as f32;
        if pressure.is_calm(times) {
            self.turn_to(now, shorter);
        }
    }

    fn turn_to(&mut self, now: Instant, cadence: Cadence) {
        if self.stance.cadence != cadence {
            (self.stance.cadence, self.stepped) = (cadence, now);
        }
    }

    fn thin_to(&mut self, now: Instant, bitrate: Bitrate) {
        if self.stance.bitrate != bitrate {
            (self.stance.bitrate, self.stepped) = (bitrate, now);
        }
    }

    /// A cadence or a bitrate that the operator chose is no rung: it is how this server is.
    fn name(&mut self) {
        let is_lean = self.stance.bitrate > self.fixed_bitrate.unwrap_or_default();
        self.stance.is_quiet = is_lean;
        self.stance.level = match (self.stance.cadence, self.stance.joins_per_s) {
            _ if self.stance.delays => Level::Delayed,
            _ if is_lean => Level::Lean,
            (cadence, _) if cadence > self.fixed.unwrap_or_default() => Level::Longer,
            (_, Some(_)) => Level::Paced,
            _ => Level::Open,
        };
        if self.stance.level == Level::Open {
            self.stance.reasons = Reasons::default();
        }
    }
}

/// A quarter more each second without pressure.
fn relaxed(pace: u32) -> u32 {
    pace.saturating_add(pace / 4)
}

/// A chunk and a quarter: the next one came before the last had reached everyone.
const BEHIND_HIGH: Duration = Duration::from_millis(250);
/// Below these, at the writes of the shorter cadence, a step down will not be a step up again at once.
const BUSY_CALM: f32 = 0.7;
const BEHIND_CALM: Duration = Duration::from_millis(200);
/// A tenth is what packets need around the bytes that are counted.
const EGRESS_HIGH: f32 = 0.9;
/// Below it, at the standard bitrate, a step down will not be a step up again at once.
const EGRESS_CALM: f32 = 0.7;
/// Of handshakes, memory and files: a tenth is filled in a second where everybody comes at once.
const STORE_HIGH: f32 = 0.9;
/// Below it a step down will not be a step up again at once.
const STORE_CALM: f32 = 0.8;
/// So many times as much is sent at the standard bitrate, at most.
const LEAN_SAVES: f32 = 2.0;
/// From one step to the next: what a longer cadence does for those who join shows in a second. And a line that is full for a second is full of what those are sent
/// who came in it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it must be calm for each step down.
const CALM: Duration = Duration::from_secs(60);
/// Fewer than this in a second would keep out a crowd for hours, and cost a few percent of a core.
const JOINS_MIN: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) const CALM_HERE: Pressure = Pressure {
        busy: 0.05,
        behind: Duration::from_millis(5),
        joins: 10,
        is_moving: false,
        egress: 0.0,
        handshakes: 0.0,
        memory: 0.0,
        files: 0.0,
    };
    pub(super) const HIGH: Pressure =
        Pressure { busy: 0.97, behind: Duration::from_millis(400), joins: 4_000, ..CALM_HERE };

    #[expect(clippy::disallowed_methods, reason = "a moment to begin at, whichever it is")]
    pub(super) fn start() -> Instant {
        Instant::now()
    }

    pub(super) const FULL: Pressure = Pressure { egress: 0.95, ..CALM_HERE };
    const LEAN: (Level, Bitrate) = (Level::Lean, Bitrate::Lean);

    /// What each second's pressure led to.
    pub(super) fn run(ladder: &mut Ladder, from: Instant, seconds: u64, pressure: Pressure) -> (Instant, Vec<Stance>) {
        let at = |second| from + Duration::from_secs(second);
        let stances = (1..=seconds).map(|second| ladder.handle(at(second), pressure)).collect();
        (at(seconds), stances)
    }

    #[test]
    fn joins_are_paced_before_pieces_get_longer() {
        let start = start();
        let mut ladder = Ladder::new(start);
        // It has run for a while, and a moment of being late is no crowd.
        let (long_after, _) = run(&mut ladder, start, 100, CALM_HERE);
        let (long_after, stances) = run(&mut ladder, long_after, 2, HIGH);
        assert!(stances.iter().all(|stance| (stance.level, stance.cadence) == (Level::Paced, Cadence::Ms200)));
        let (long_after, _) = run(&mut ladder, long_after, 100, CALM_HERE);
        assert_eq!(ladder.stance(), Stance::default());
        let (_, stances) = run(&mut ladder, long_after, 8, HIGH);
        let rungs: Vec<_> = stances.iter().map(|stance| (stance.level, stance.cadence)).collect();
        assert_eq!(rungs[0], (Level::Paced, Cadence::Ms200));
        assert_eq!((rungs[1].0, rungs[2]), (Level::Paced, (Level::Longer, Cadence::S1)));
        assert_eq!((rungs[4].1, rungs[6].1, rungs[7].1), (Cadence::S2, Cadence::S4, Cadence::S4));
        assert!(stances.iter().all(|stance| stance.bitrate == Bitrate::Standard));
        assert_eq!(stances[0].joins_per_s, Some(3_000));
        assert!(stances.windows(2).all(|pair| pair[1].joins_per_s <= pair[0].joins_per_s));
    }

    #[test]
    fn reactions_go_when_sound_gets_lean_and_not_before() {
        let start = start();
        let mut ladder = Ladder::new(start);
        let (_, stances) = run(&mut ladder, start, 10, HIGH);
        assert!(stances.iter().all(|stance| stance.is_quiet == (stance.bitrate == Bitrate::Lean)));
        assert!(!stances[7].is_quiet && stances[9].is_quiet);
        // A bitrate that the operator chose is no rung.
        ladder = Ladder::new(start);
        ladder.fix_bitrate(start, Some(Bitrate::Lean));
        assert!(!ladder.stance().is_quiet);
    }

    #[test]
    fn the_last_rung_is_that_whoever_comes_anew_is_sent_elsewhere() {
        let start = start();
        let mut ladder = Ladder::new(start);
        let (top, stances) = run(&mut ladder, start, 20, HIGH);
        assert_eq!((stances[9].level, stances[10].level), (Level::Lean, Level::Delayed));
        assert_eq!((stances[19].for_joiners(), stances[19].is_shut), (Cadence::S4, false));
        let (_, stances) = run(&mut ladder, top, 61, CALM_HERE);
        assert_eq!((stances[59].level, stances[60].level), (Level::Delayed, Level::Lean));
    }

    #[test]
    fn what_is_nearly_gone_sends_whoever_comes_anew_elsewhere_if_there_is_such_a_place() {
        let start = start();
        for (scarce, reason) in [
            (Pressure { files: 0.95, ..CALM_HERE }, Reason::Files),
            (Pressure { memory: 0.95, ..CALM_HERE }, Reason::Memory),
        ] {
            let mut ladder = Ladder::new(start).with_elsewhere(true);
            let (end, stances) = run(&mut ladder, start, 4, scarce);
            let levels: Vec<_> = stances.iter().map(|stance| stance.level).collect();
            assert_eq!(levels, [Level::Paced, Level::Paced, Level::Delayed, Level::Delayed]);
            assert_eq!(stances[3].reasons, reason.into());
            assert_eq!((stances[3].cadence, stances[3].bitrate), (Cadence::Ms200, Bitrate::Standard));
            // As long as it is not calmer than that, it would be so again at once.
            let half = Pressure { files: 0.85, ..CALM_HERE };
            let (_, stances) = run(&mut ladder, end, 300, half);
            assert!(stances.iter().all(|stance| stance.level == Level::Delayed));
            let mut ladder = Ladder::new(start);
            let (_, stances) = run(&mut ladder, start, 100, scarce);
            assert!(stances.iter().all(|stance| stance.level == Level::Paced));
        }
    }

    #[test]
    fn handshakes_pace_joins_and_no_more() {
        let start = start();
        let mut ladder = Ladder::new(start).with_elsewhere(true);
        let (_, stances) = run(&mut ladder, start, 100, Pressure { handshakes: 1.0, ..CALM_HERE });
        let is_paced = |stance: &Stance| (stance.level, stance.reasons) == (Level::Paced, Reason::Handshakes.into());
        assert!(stances.iter().all(is_paced));
    }

    #[test]
    fn a_conversation_is_capped_when_somebody_is_without_a_time() {
        assert_eq!(door_level(false, 0), Level::Open);
        assert_eq!(door_level(true, 0), Level::Paced);
        assert_eq!(door_level(true, 1), Level::Capped);
    }

    #[test]
    fn when_pieces_cannot_get_longer_they_get_leaner_and_that_is_taken_back_first() {
        let start = start();
        let mut ladder = Ladder::new(start);
        let (top, stances) = run(&mut ladder, start, 10, HIGH);
        let rung = |stance: &Stance| (stance.level, stance.bitrate);
        assert_eq!((rung(&stances[7]), rung(&stances[8])), ((Level::Longer, Bitrate::Standard), LEAN));
        let (_, stances) = run(&mut ladder, top, 130, CALM_HERE);
        assert!(stances[..60].iter().all(|stance| (rung(stance), stance.cadence) == (LEAN, Cadence::S4)));
        assert!(
            stances[61..120].iter().all(|s| (rung(s), s.cadence) == ((Level::Longer, Bitrate::Standard), Cadence::S4))
        );
        assert_eq!(stances[125].cadence, Cadence::S2);
    }

    #[test]
    fn where_the_operator_chose_the_cadence_only_the_bitrate_is_left() {
        let start = start();
        let mut ladder = Ladder::new(start);
        ladder.fix(start, Some(Cadence::Ms200));
        let (_, stances) = run(&mut ladder, start, 4, HIGH);
        let rungs: Vec<_> = stances.iter().map(|stance| (stance.level, stance.bitrate)).collect();
        assert_eq!(rungs, [(Level::Paced, Bitrate::Standard), (Level::Paced, Bitrate::Standard), LEAN, LEAN]);
        assert!(stances.iter().all(|stance| stance.cadence == Cadence::Ms200));
    }

    #[test]
    fn a_full_line_makes_sound_lean_and_pieces_no_longer() {
        let start = start();
        let mut ladder = Ladder::new(start);
        let (later, _) = run(&mut ladder, start, 60, CALM_HERE);
        let (later, stances) = run(&mut ladder, later, 20, FULL);
        let rungs: Vec<_> = stances.iter().map(|stance| (stance.level, stance.bitrate)).collect();
        assert_eq!(rungs[..3], [(Level::Paced, Bitrate::Standard), (Level::Paced, Bitrate::Standard), LEAN]);
        assert!(stances.iter().all(|stance| stance.cadence == Cadence::Ms200 && stance.joins_per_s.is_some()));
        // Twice as much would be too much again.
        let (later, stances) = run(&mut ladder, later, 600, Pressure { egress: 0.4, ..CALM_HERE });
        assert!(stances.iter().all(|stance| (stance.level, stance.bitrate) == LEAN));
        assert_eq!(stances[599].joins_per_s, None);
        // Nor is a second of silence a calm minute.
        let (later, stances) = run(&mut ladder, later, 1, Pressure { egress: 0.0, ..CALM_HERE });
        assert_eq!((stances[0].level, stances[0].bitrate), LEAN);
        let (_, stances) = run(&mut ladder, later, 121, Pressure { egress: 0.3, ..CALM_HERE });
        assert_eq!(stances[120], Stance::default());
    }

    #[test]
    fn a_second_in_which_many_come_fills_no_line() {
        let start = start();
        let mut ladder = Ladder::new(start);
        let mut now = start;
        for _ in 0..50 {
            for pressure in [FULL, CALM_HERE, FULL, FULL, CALM_HERE] {
                now += Duration::from_secs(1);
                assert_eq!(ladder.handle(now, pressure).bitrate, Bitrate::Standard);
            }
        }
    }

    #[test]
    fn a_bitrate_that_the_operator_chose_stays_and_is_no_rung() {
        let start = start();
        let mut ladder = Ladder::new(start);
        ladder.fix_bitrate(start, Some(Bitrate::Lean));
        assert_eq!(ladder.stance(), Stance { bitrate: Bitrate::Lean, ..Stance::default() });
        let (end, stances) = run(&mut ladder, start, 200, CALM_HERE);
        assert!(stances.iter().all(|stance| *stance == ladder.stance()));
        ladder.fix_bitrate(end, Some(Bitrate::Standard));
        let (end, stances) = run(&mut ladder, end, 20, Pressure { egress: 2.0, ..HIGH });
        assert!(stances.iter().all(|stance| stance.bitrate == Bitrate::Standard && stance.level != Level::Lean));
        assert_eq!(stances[19].cadence, Cadence::S4, "late all the same");
        ladder.fix_bitrate(end, None);
        let (end, stances) = run(&mut ladder, end, 1, HIGH);
        assert_eq!((stances[0].level, stances[0].bitrate), (Level::Delayed, Bitrate::Lean));
        let (_, stances) = run(&mut ladder, end, 600, CALM_HERE);
        assert_eq!(stances.last(), Some(&Stance::default()));
    }

    #[test]
    fn no_longer_step_is_taken_before_the_last_is_felt() {
        let start = start();
        let mut ladder = Ladder::new(start);
        let (end, _) = run(&mut ladder, start, 3, HIGH);
        let (end, stances) = run(&mut ladder, end, 60, Pressure { is_moving: true, ..HIGH });
        assert!(stances.iter().all(|stance| stance.cadence == Cadence::S1));
        // What was still on its way when all had followed is not held against it.
        let (end, _) = run(&mut ladder, end, 2, HIGH);
        assert_eq!(ladder.stance().cadence, Cadence::S1);
        let (end, _) = run(&mut ladder, end, 3, HIGH);
        assert_eq!(ladder.stance().cadence, Cadence::S4);
        // Nor does sound get lean before they have all of that.
        let (_, stances) = run(&mut ladder, end, 60, Pressure { is_moving: true, ..HIGH });
        assert!(stances.iter().all(|stance| stance.bitrate == Bitrate::Standard));
    }

    #[test]
    fn a_crowd_that_harms_nobody_is_let_in() {
        let start = start();
        let mut ladder = Ladder::new(start);
        let busy = Pressure { busy: 1.0, behind: Duration::from_millis(150), joins: 12_000, ..CALM_HERE };
        let (_, stances) = run(&mut ladder, start, 60, busy);
        assert!(stances.iter().all(|stance| *stance == Stance::default()));
    }

    #[test]
    fn it_goes_down_one_rung_a_calm_minute_and_lets_joins_in_sooner() {
        let start = start();
        let mut ladder = Ladder::new(start);
        let (top, _) = run(&mut ladder, start, 8, HIGH);
        let (_, stances) = run(&mut ladder, top, 320, CALM_HERE);
        assert!(stances[..60].iter().all(|stance| stance.cadence == Cadence::S4));
        let paces: Vec<_> = stances[..60].iter().filter_map(|stance| stance.joins_per_s).collect();
        assert!(paces.windows(2).all(|pair| pair[0] < pair[1]) && paces[59] > 100_000);
        let down: Vec<_> = stances.iter().skip(60).step_by(60).map(|stance| (stance.level, stance.cadence)).collect();
        let longer = |cadence| (Level::Longer, cadence);
        assert_eq!(
            down,
            [
                longer(Cadence::S2),
                longer(Cadence::S1),
                longer(Cadence::Ms400),
                (Level::Open, Cadence::Ms200),
                (Level::Open, Cadence::Ms200)
            ]
        );
    }

    #[test]
    fn it_stays_where_the_shorter_cadence_would_be_too_much() {
        let start = start();
        let mut ladder = Ladder::new(start);
        let (top, _) = run(&mut ladder, start, 5, HIGH);
        let fair = Pressure { busy: 0.5, ..CALM_HERE };
        let (_, stances) = run(&mut ladder, top, 600, fair);
        assert!(stances.iter().all(|stance| stance.cadence == Cadence::S2));
    }

    #[test]
    fn what_the_operator_fixed_stays_and_is_no_rung() {
        let start = start();
        let mut ladder = Ladder::new(start);
        ladder.fix(start, Some(Cadence::S2));
        ladder.fix_bitrate(start, Some(Bitrate::Standard));
        assert_eq!(ladder.stance(), Stance { cadence: Cadence::S2, ..Stance::default() });
        let (end, stances) = run(&mut ladder, start, 100, HIGH);
        assert!(stances.iter().all(|stance| stance.cadence == Cadence::S2 && stance.bitrate == Bitrate::Standard));
        assert!(stances.iter().all(|stance| [Level::Paced, Level::Delayed].contains(&stance.level)));
        let (end, stances) = run(&mut ladder, end, 100, CALM_HERE);
        assert_eq!(stances.last(), Some(&Stance { cadence: Cadence::S2, ..Stance::default() }));
        ladder.fix(end, None);
        assert_eq!(ladder.stance().level, Level::Longer);
        let (_, stances) = run(&mut ladder, end, 600, CALM_HERE);
        assert_eq!(stances.last(), Some(&Stance::default()));
    }

    proptest! {
        /// Whatever it feels: there is always a pace that lets somebody in, and without pressure for long enough everything is as in the beginning.
        #[test]
        fn it_always_comes_down(
            seconds in proptest::collection::vec((0.0f32..2.0, 0u64..2_000, 0u32..50_000, 0.0f32..1.5, proptest::bool::ANY), 0..200),
        ) {
            let start = start();
            let mut ladder = Ladder::new(start);
            let mut now = start;
            for (busy, behind_ms, joins, egress, is_moving) in seconds {
                now += Duration::from_secs(1);
                let behind = Duration::from_millis(behind_ms);
                let before = ladder.stance();
                let stance = ladder.handle(now, Pressure { busy, behind, joins, is_moving, egress, ..CALM_HERE });
                // One step at a time, whichever.
                prop_assert!(before.cadence == stance.cadence || before.bitrate == stance.bitrate);
                prop_assert_eq!(stance.is_quiet, stance.bitrate == Bitrate::Lean);
                prop_assert!(stance.level >= Level::Lean || stance.bitrate == Bitrate::Standard);
                prop_assert!(stance.joins_per_s.is_none_or(|pace| pace >= JOINS_MIN));
                prop_assert!(stance.level >= Level::Paced || (stance.cadence, stance.joins_per_s) == (Cadence::Ms200, None));
            }
            let (_, stances) = run(&mut ladder, now, 500, CALM_HERE);
            prop_assert_eq!(stances.last(), Some(&Stance::default()));
        }
    }
}
