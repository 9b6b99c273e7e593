//! A worker's desk: it lets in who may come in, and gives the others a place in time. It asks nobody.
//!
//! What it does follows from the [`Word`] that the house sends once a second, and from what it was [given](super::places). Without a word it goes on by the last one: those inside stay, tickets are
//! given, and nobody is let in when what it was given is used up.

use std::time::{Duration, SystemTime};

use super::counts::Counts;
use super::draw::{DrawSecret, Tally};
use super::network::Networks;
use super::places::{Grant, Report, Share};
use super::redemption::{Redemption, Unredeemable};
use super::ticket::{Class, Ticket, Worth};
use super::timetable::{Promises, Timetable};

/// For so long everybody who comes is drawn, from when the first could not be let in at once.
pub const WINDOW: Duration = Duration::from_secs(60);
/// After it the workers' tallies are put together.
pub const TALLY: Duration = Duration::from_secs(3);
/// Over so long those who are drawn come to ask for their places.
pub const SPREAD: Duration = Duration::from_secs(15);
/// How long a place waits for whoever is late.
pub const LATE: Duration = Duration::from_secs(10 * 60);
/// Whoever comes back so much too soon has come in time: clocks and networks are no better.
const EARLY: Duration = Duration::from_secs(2);
/// How long until somebody to whom nothing is promised looks again, at the least; at the most twice as long.
pub const LOOK: Duration = Duration::from_secs(5 * 60);
/// A place that was left over goes to whoever looks, if their rank is among the next so many: one in eight of all, and a thousand. Else whoever holds many tickets would look often.
const NEXT: u64 = 8;
const NEXT_MIN: u64 = 1_000;
/// A place that is not there although it was promised: how soon it is asked for again.
const SOON: Duration = Duration::from_secs(3);

/// What the house says to its workers.
#[derive(Clone, Debug, Default)]
pub enum Phase {
    /// Whoever comes is let in, so many in a second.
    #[default]
    Open,
    /// Whoever comes is drawn, then.
    Gathering {
        /// When the window ends.
        until: SystemTime,
    },
    /// Everybody has a rank, and ranks have times.
    Queue {
        /// Who was drawn.
        drawn: Tally,
        /// Ranks and times.
        table: Timetable,
        /// How many have come since.
        late: u64,
        /// How many come in a minute now: so far back is placed who has had their network's share.
        per_minute: u64,
        /// How many may be let in, by this worker, to whom nothing was promised.
        spare: u32,
    },
}

/// The house's word, once a second.
#[derive(Clone, Debug, Default)]
pub struct Word {
    /// What is done now.
    pub phase: Phase,
    /// How many this worker lets in each second while it is open.
    pub pace: u32,
}

/// What somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Come in.
    Enter,
    /// Come back when this is due.
    Wait(Ticket),
    /// The ticket is not good any more: somebody used it.
    Used,
}

/// What a worker tells the house, beside its [`Report`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Places.
    pub report: Report,
    /// When the first could not be let in at once.
    pub pressed: Option<SystemTime>,
    /// Tickets given to those who came after the draw.
    pub late: u64,
    /// Ever let in.
    pub entered: u64,
    /// Of those, for whom there was a time.
    pub came: u64,
}

/// One space's, at one worker.
#[derive(Debug)]
pub struct Desk<'m> {
    secret: DrawSecret,
    counts: Counts<'m>,
    redemption: Redemption<'m>,
    share: Share,
    /// The next serial, and where its block ends.
    serials: std::ops::Range<u64>,
    word: Word,
    tally: Tally,
    promises: Promises,
    pressed: Option<SystemTime>,
    late: u64,
    /// Of `late`, how many the house knew of when it spoke.
    late_known: u64,
    entered: u64,
    came: u64,
    /// How many of this second's may still be let in, and when it ends.
    gate: (u32, Option<SystemTime>),
    /// Of what was spare when the house spoke.
    spare: u32,
    /// How many come within the next seconds to whom a place was promised.
    wanted: u32,
}

impl<'m> Desk<'m> {
    /// A desk with no places and no serials yet.
    pub fn new(secret: DrawSecret, counts: Counts<'m>, redemption: Redemption<'m>) -> Self {
        Self {
            secret,
            counts,
            redemption,
            share: Share::default(),
            serials: 0..0,
            word: Word::default(),
            tally: Tally::default(),
            promises: Promises::default(),
            pressed: None,
            late: 0,
            late_known: 0,
            entered: 0,
            came: 0,
            gate: (0, None),
            spare: 0,
            wanted: 0,
        }
    }

    /// Takes the house's word. `wanted`: how many places it asks for.
    pub fn hear(&mut self, word: Word, wanted: u32) {
        if let Phase::Queue { spare, .. } = word.phase {
            (self.spare, self.late_known) = (spare, self.late);
        }
        if matches!(word.phase, Phase::Open) && !matches!(self.word.phase, Phase::Open) {
            // The next crowd is drawn anew.
            (self.pressed, self.tally) = (None, Tally::default());
        }
        (self.word, self.wanted) = (word, wanted);
    }

    /// Takes places.
    pub fn take(&mut self, now: SystemTime, grant: Grant) {
        self.share.take(now, grant);
    }

    /// Takes serials that are nobody else's.
    pub fn take_serials(&mut self, serials: std::ops::Range<u64>) {
        self.serials = serials;
    }

    /// How many serials are left.
    pub fn serials_left(&self) -> u64 {
        self.serials.end - self.serials.start
    }

    /// What to tell the house.
    pub fn told(&self) -> Told {
        let Self { pressed, late, entered, came, .. } = *self;
        Told { report: self.share.report(self.wanted), pressed, late, entered, came }
    }

    /// Who was drawn here.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// To whom a place was promised here.
    pub fn promises(&self) -> &Promises {
        &self.promises
    }

    /// A place is free.
    pub fn leave(&mut self) {
        self.share.leave();
    }

    /// Somebody who has no ticket. `chance`: 32 bits as good as random. `None`: there are no serials left, which is an outage of the house that has lasted for minutes.
    pub fn arrive(&mut self, now: SystemTime, networks: &Networks, class: Class, chance: u32) -> Option<Answer> {
        match &self.word.phase {
            Phase::Open => {
                if self.may_pass(now) && self.share.admit(now) {
                    self.entered += 1;
                    return Some(Answer::Enter);
                }
                let since = *self.pressed.get_or_insert(now);
                self.gather(since + WINDOW, networks, class, chance)
            }
            Phase::Gathering { until } => {
                let until = *until;
                self.gather(until, networks, class, chance)
            }
            Phase::Queue { drawn, table, late, per_minute, .. } => {
                let turn = networks.turn(self.counts.count(networks));
                let before = late + (self.late - self.late_known);
                let rank = drawn.total() + before + u64::from(turn.round) * per_minute;
                let time = table.time(rank);
                self.late += 1;
                self.place(now, rank, time, networks.narrowest(), class, chance)
            }
        }
    }

    /// Somebody who has a ticket of this space's, checked by its key.
    pub fn present(&mut self, now: SystemTime, ticket: Ticket, chance: u32) -> Option<Answer> {
        if now + EARLY < ticket.due {
            return Some(Answer::Wait(ticket));
        }
        match ticket.worth {
            Worth::Draw(turn) => {
                let Phase::Queue { drawn, table, .. } = &self.word.phase else {
                    // The house has not drawn yet.
                    return Some(Answer::Wait(Ticket { due: now + SOON + share_of(SOON, chance), ..ticket }));
                };
                let rank = drawn.rank(self.secret.lot(ticket.network, turn));
                let time = table.time(rank);
                if let Err(answer) = self.redeem(&ticket) {
                    return Some(answer);
                }
                self.place(now, rank, time, ticket.network, ticket.class, chance)
            }
            Worth::Place { .. } if self.share.report(0).room == 0 => {
                Some(Answer::Wait(Ticket { due: now + SOON + share_of(SOON, chance), ..ticket }))
            }
            Worth::Place { .. } => {
                if let Err(answer) = self.redeem(&ticket) {
                    return Some(answer);
                }
                self.enter_or_wait(now, ticket)
            }
            Worth::Rank(rank) => {
                let (time, is_next) = match &self.word.phase {
                    // Nobody waits any more.
                    Phase::Open => (Some(now), false),
                    Phase::Gathering { .. } => (None, false),
                    Phase::Queue { drawn, table, late, .. } => {
                        let reach = (drawn.total() + late) / NEXT + NEXT_MIN;
                        (table.time(rank), rank < table.ranks() + reach)
                    }
                };
                if let Err(answer) = self.redeem(&ticket) {
                    return Some(answer);
                }
                if is_next && self.spare > 0 && self.share.admit(now) {
                    self.spare -= 1;
                    self.entered += 1;
                    return Some(Answer::Enter);
                }
                self.place(now, rank, time, ticket.network, ticket.class, chance)
            }
        }
    }

    fn redeem(&self, ticket: &Ticket) -> Result<(), Answer> {
        self.redemption.redeem(ticket.serial).map_err(|why| match why {
            Unredeemable::Used | Unredeemable::NoSuchSerial => Answer::Used,
        })
    }

    fn enter_or_wait(&mut self, now: SystemTime, ticket: Ticket) -> Option<Answer> {
        if self.share.admit(now) {
            self.entered += 1;
            self.came += 1;
            return Some(Answer::Enter);
        }
        let serial = self.serials.next()?;
        Some(Answer::Wait(Ticket { serial, due: now + SOON, ..ticket }))
    }

    fn gather(&mut self, until: SystemTime, networks: &Networks, class: Class, chance: u32) -> Option<Answer> {
        let serial = self.serials.next()?;
        let turn = networks.turn(self.counts.count(networks));
        let network = networks.narrowest();
        self.tally.add(self.secret.lot(network, turn));
        let due = until + TALLY + share_of(SPREAD, chance);
        Some(Answer::Wait(Ticket { serial, class, network, due, worth: Worth::Draw(turn) }))
    }

    /// A place at that time; or, if nobody knows when, the rank.
    fn place(
        &mut self,
        now: SystemTime,
        rank: u64,
        time: Option<SystemTime>,
        network: u64,
        class: Class,
        chance: u32,
    ) -> Option<Answer> {
        let (due, worth) = match time {
            Some(due) if due <= now + EARLY && self.share.admit(now) => {
                self.entered += 1;
                self.came += 1;
                return Some(Answer::Enter);
            }
            Some(due) => {
                let due = due.max(now + EARLY);
                self.promises.add(due);
                (due, Worth::Place { promised: due.duration_since(now).unwrap_or_default() })
            }
            None => (now + LOOK + share_of(LOOK, chance), Worth::Rank(rank)),
        };
        let serial = self.serials.next()?;
        Some(Answer::Wait(Ticket { serial, class, network, due, worth }))
    }

    fn may_pass(&mut self, now: SystemTime) -> bool {
        let (left, until) = &mut self.gate;
        if until.is_none_or(|until| now >= until) {
            (*left, *until) = (self.word.pace, Some(now + Duration::from_secs(1)));
        }
        let may = *left > 0;
        *left = left.saturating_sub(1);
        may
    }
}

/// So much of a time as `chance` is of 2³².
fn share_of(time: Duration, chance: u32) -> Duration {
    time.mul_f64(f64::from(chance) / 2f64.powi(32))
}
