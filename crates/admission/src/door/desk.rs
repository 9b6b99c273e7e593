//! A worker's desk: it lets in who may come in, and gives the others a place in time. It asks nobody.
//!
//! What it does follows from the [`Word`] that the house sends once a second, and from what it was [given](super::places). Without a word it goes on by the last one: those inside stay, tickets are
//! given, and nobody is let in when what it was given is used up.

use std::time::{Duration, SystemTime};

use super::counts::Counts;
use super::draw::{DrawSecret, ROUNDS, Tally};
use super::network::{Networks, Turn};
use super::places::{Grant, Report, Share};
use super::redemption::{Redemption, Unredeemable};
use super::ticket::{Class, Ticket, Worth};
use super::timetable::{Promises, Timetable};
use super::wire::Heard;

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
/// How long until somebody to whom nothing is promised looks again, at the least, and at the most.
pub const LOOK: Duration = Duration::from_secs(5 * 60);
/// See [`LOOK`].
pub const LOOK_MAX: Duration = Duration::from_secs(60 * 60);
/// The first time they look when it is known who of those who were drawn has not come, or later, up to when they look again: places that are left over soon after a draw find somebody.
const FIRST_LOOK: Duration = Duration::from_secs(40);
/// For so long somebody may come back without waiting, from when they were last let in: the longest conversations.
pub const RETURNS: Duration = Duration::from_secs(12 * 3_600);
/// A place that is not there although it was promised: how soon it is asked for again.
const SOON: Duration = Duration::from_secs(3);

/// What the house says to its workers.
#[derive(Clone, Debug, Default, PartialEq)]
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Word {
    /// Which crowd this is: counted up whenever nobody waits any more.
    pub opening: u16,
    /// What is done now.
    pub phase: Phase,
    /// How many this worker lets in each second while it is open.
    pub pace: u32,
    /// What is this worker's alone.
    pub yours: Yours,
}

/// The part of a word that differs from worker to worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Yours {
    /// How many places it should ask for.
    pub wanted: u32,
    /// Of its tickets to those who came after the draw, so many are in the word.
    pub late: u64,
    /// Which of how many workers it is, from 0: ranks that are given at the same time are dealt out in turn.
    pub index: u32,
    /// How many workers there are.
    pub workers: u32,
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
    /// The crowd that it knows of.
    pub opening: u16,
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

/// When somebody who may come in does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// At once.
    Now,
    /// By another request, for which they get a ticket that is due.
    Later,
}

/// What all workers share of one space: see [`Counts`] and [`Redemption`].
#[derive(Clone, Copy, Debug)]
pub struct Memory<'m> {
    /// Tickets by network.
    pub counts: Counts<'m>,
    /// Tickets that were used.
    pub redemption: Redemption<'m>,
}

/// Whoever is given something.
#[derive(Clone, Copy, Debug)]
struct Visitor {
    network: u64,
    class: Class,
    chance: u32,
    entry: Entry,
    /// Nothing was promised to them, and they come to look.
    has_looked: bool,
}

/// One space's, at one worker.
pub struct Desk {
    /// Of which each opening's secret is made.
    root: [u8; 32],
    secret: DrawSecret,
    share: Share,
    /// The next serial, and where its block ends.
    serials: std::ops::Range<u64>,
    /// `None`: the house has not spoken yet.
    word: Option<Word>,
    tally: Tally,
    promises: Promises,
    pressed: Option<SystemTime>,
    late: u64,
    entered: u64,
    came: u64,
    /// How many of this second's may still be let in, and when it ends.
    gate: (u32, Option<SystemTime>),
    /// Of what was spare when the house spoke.
    spare: u32,
}

impl Desk {
    /// A desk with no places and no serials yet. `root`: random, the same at every worker, of this space alone.
    pub fn new(root: [u8; 32]) -> Self {
        Self {
            root,
            secret: DrawSecret::of(&root, 0),
            share: Share::default(),
            serials: 0..0,
            word: None,
            tally: Tally::default(),
            promises: Promises::default(),
            pressed: None,
            late: 0,
            entered: 0,
            came: 0,
            gate: (0, None),
            spare: 0,
        }
    }

    /// Takes the house's word.
    pub fn hear(&mut self, word: Word) {
        if let Phase::Queue { spare, .. } = word.phase {
            self.spare = spare;
        }
        if self.opening() != word.opening {
            // Another crowd, which is drawn anew.
            (self.pressed, self.tally) = (None, Tally::default());
            self.secret = DrawSecret::of(&self.root, word.opening);
        }
        self.word = Some(word);
    }

    fn opening(&self) -> u16 {
        self.word.as_ref().map_or(0, |word| word.opening)
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
        let wanted = self.word.as_ref().map_or(0, |word| word.yours.wanted);
        Told { opening: self.opening(), report: self.share.report(wanted), pressed, late, entered, came }
    }

    /// All that the house is to hear; of the draw only when its window is about to end.
    pub fn heard(&self, now: SystemTime) -> Heard {
        let is_wanted = match self.word.as_ref().map(|word| &word.phase) {
            Some(Phase::Gathering { until }) => now + TALLY >= *until,
            _ => false,
        };
        Heard { told: self.told(), tally: is_wanted.then(|| self.tally.clone()), promises: self.promises.clone() }
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

    /// Somebody who has no ticket. `chance`: 32 bits as good as random. `None`: there are no serials left, or their network has had thousands of tickets.
    pub fn arrive(
        &mut self,
        now: SystemTime,
        memory: Memory<'_>,
        networks: &Networks,
        class: Class,
        chance: u32,
        entry: Entry,
    ) -> Option<Answer> {
        let visitor = Visitor { network: networks.narrowest(), class, chance, entry, has_looked: false };
        self.join(now, visitor, || networks.turn(memory.counts.count(networks)))
    }

    /// What somebody who was let in shows if they come back: a ticket that is due and good as often as it is shown, of the serial of the ticket by which they came. `None`: as [`arrive`](Self::arrive).
    pub fn place_of(&mut self, now: SystemTime, network: u64, came_by: Option<u64>) -> Option<Ticket> {
        let serial = came_by.or_else(|| self.serials.next())?;
        let worth = Worth::Place { promised: Duration::ZERO };
        Some(Ticket { serial, opening: self.opening(), class: Class::Returning, network, due: now, worth })
    }

    fn back(&mut self, now: SystemTime, ticket: Ticket, chance: u32, entry: Entry) -> Option<Answer> {
        match entry {
            Entry::Later => Some(Answer::Wait(ticket)),
            Entry::Now if self.share.admit_back(now) => Some(Answer::Enter),
            Entry::Now => Some(Answer::Wait(Ticket { due: now + SOON + share_of(SOON, chance), ..ticket })),
        }
    }

    /// Somebody who has a ticket of this space's, checked by its key. `None`: as above; the ticket is as good as before.
    pub fn present(
        &mut self,
        now: SystemTime,
        memory: Memory<'_>,
        ticket: Ticket,
        chance: u32,
        entry: Entry,
    ) -> Option<Answer> {
        if ticket.due.duration_since(now).is_ok_and(|wait| wait > EARLY) {
            return Some(Answer::Wait(ticket));
        }
        if ticket.class == Class::Returning && now.duration_since(ticket.due).is_ok_and(|ago| ago < RETURNS) {
            return self.back(now, ticket, chance, entry);
        }
        // Whatever comes of it may need one, and a ticket that is used up for nothing would be lost.
        if self.serials.is_empty() {
            return None;
        }
        let class = if ticket.class == Class::Returning { Class::Anybody } else { ticket.class };
        let has_looked = matches!(ticket.worth, Worth::Rank(_));
        let visitor = Visitor { network: ticket.network, class, chance, entry, has_looked };
        let soon = || Answer::Wait(Ticket { due: now + SOON + share_of(SOON, chance), ..ticket });
        let is_late = now.duration_since(ticket.due).is_ok_and(|late| late > LATE);
        let is_of_this = ticket.opening == self.opening();
        let (rank, time, is_next) = match (ticket.worth, self.word.as_ref().map(|word| &word.phase)) {
            (_, None) => return Some(soon()),
            // The house has not drawn yet.
            (Worth::Draw(_), Some(Phase::Gathering { .. })) if is_of_this => return Some(soon()),
            (Worth::Draw(turn), Some(Phase::Queue { drawn, table, .. })) if is_of_this => {
                let rank = drawn.rank(self.secret.lot(ticket.network, turn));
                (rank, table.time(rank), false)
            }
            (Worth::Place { promised }, _) if !is_late && !self.comes_as_others_do(now, promised) => {
                if !self.share.has_room(now) {
                    return Some(soon());
                }
                if entry == Entry::Later {
                    return Some(Answer::Wait(ticket));
                }
                let redeemed = redeem(memory, &ticket);
                return Some(redeemed.map_or_else(|used| used, |()| self.enter(now).unwrap_or_else(soon)));
            }
            (Worth::Rank(rank), Some(Phase::Queue { drawn, table, .. })) if is_of_this => {
                // A place that was left over is anybody's who looks, but not for what somebody has beyond their network's share.
                let is_first = rank < drawn.first_round() || rank >= drawn.total();
                (rank, table.time(rank), is_first)
            }
            // Of a crowd that is over, or for a place that was kept for long enough: they come as others do.
            _ => {
                return match redeem(memory, &ticket) {
                    Ok(()) => self.join(now, visitor, || Turn::FIRST),
                    Err(used) => Some(used),
                };
            }
        };
        if let Err(used) = redeem(memory, &ticket) {
            return Some(used);
        }
        if is_next && self.spare > 0 && self.share.has_room(now) {
            self.spare -= 1;
            if entry == Entry::Later {
                return self.ticket(visitor, now, Worth::Place { promised: Duration::ZERO });
            }
            self.share.admit(now);
            self.entered += 1;
            return Some(Answer::Enter);
        }
        self.place(now, visitor, rank, time)
    }

    /// Lets in somebody for whom there was a time.
    fn enter(&mut self, now: SystemTime) -> Option<Answer> {
        self.share.admit(now).then(|| {
            self.entered += 1;
            self.came += 1;
            Answer::Enter
        })
    }

    /// Somebody who comes now. `turn`: when they are drawn, if they are.
    fn join(&mut self, now: SystemTime, visitor: Visitor, turn: impl FnOnce() -> Turn) -> Option<Answer> {
        if self.serials.is_empty() {
            return None;
        }
        match self.word.as_ref().map(|word| &word.phase) {
            None => self.ask_again(now, visitor),
            // What it had is void, and nobody knows how many there may be: that is no crowd.
            Some(Phase::Open) if !self.share.is_good(now) => self.ask_again(now, visitor),
            Some(Phase::Open) => {
                if self.share.has_room(now) && self.may_pass(now) {
                    if visitor.entry == Entry::Later {
                        return self.ticket(visitor, now, Worth::Place { promised: Duration::ZERO });
                    }
                    self.share.admit(now);
                    self.entered += 1;
                    return Some(Answer::Enter);
                }
                let since = *self.pressed.get_or_insert(now);
                self.gather(since + WINDOW, visitor, turn())
            }
            Some(Phase::Gathering { until }) => {
                let until = *until;
                self.gather(until, visitor, turn())
            }
            Some(Phase::Queue { drawn, table, late, per_minute, .. }) => {
                let yours = self.word.as_ref().map(|word| word.yours).unwrap_or_default();
                let since = self.late.saturating_sub(yours.late);
                let before = late + since * u64::from(yours.workers.max(1)) + u64::from(yours.index);
                let turn = turn();
                if is_beyond(turn) {
                    return None;
                }
                let behind = u64::from(turn.round).saturating_mul(*per_minute);
                let rank = drawn.total().saturating_add(before).saturating_add(behind);
                let time = table.time(rank);
                self.late += 1;
                self.place(now, visitor, rank, time)
            }
        }
    }

    /// Their ticket, with a serial of its own.
    fn ticket(&mut self, visitor: Visitor, due: SystemTime, worth: Worth) -> Option<Answer> {
        let Visitor { network, class, .. } = visitor;
        let serial = self.serials.next()?;
        Some(Answer::Wait(Ticket { serial, opening: self.opening(), class, network, due, worth }))
    }

    /// In a moment: nothing is promised, to them or to others for it, and no window opens.
    fn ask_again(&mut self, now: SystemTime, visitor: Visitor) -> Option<Answer> {
        let due = now + SOON + share_of(SOON, visitor.chance);
        self.ticket(visitor, due, Worth::Place { promised: Duration::ZERO })
    }

    /// Whether a ticket by which nothing was promised finds that there is no room: its holder would ask for ever.
    fn comes_as_others_do(&self, now: SystemTime, promised: Duration) -> bool {
        promised.is_zero() && self.share.is_good(now) && !self.share.has_room(now)
    }

    fn gather(&mut self, until: SystemTime, visitor: Visitor, turn: Turn) -> Option<Answer> {
        if is_beyond(turn) {
            return None;
        }
        self.tally.add(self.secret.lot(visitor.network, turn));
        self.ticket(visitor, until + TALLY + share_of(SPREAD, visitor.network as u32), Worth::Draw(turn))
    }

    /// A place at that time; or, if nobody knows when, the rank.
    fn place(&mut self, now: SystemTime, visitor: Visitor, rank: u64, time: Option<SystemTime>) -> Option<Answer> {
        let Some(due) = time else {
            // All tickets of one network look at the same time: whoever has thirty would else look thirty times as often for what is left over.
            let share = |time| share_of(time, visitor.network as u32);
            let wait = match self.word.as_ref().map(|word| &word.phase) {
                // Not before something can be promised to them, as it seems now: of half a million nearly all would look for nothing.
                Some(Phase::Queue { table, .. }) if visitor.has_looked => {
                    let until = table.reaches(rank).min(LOOK_MAX).max(LOOK);
                    until + share(until)
                }
                _ => FIRST_LOOK + share(2 * LOOK - FIRST_LOOK),
            };
            return self.ticket(visitor, now + wait.min(LOOK_MAX), Worth::Rank(rank));
        };
        if due <= now + EARLY
            && visitor.entry == Entry::Now
            && let Some(enters) = self.enter(now)
        {
            return Some(enters);
        }
        let due = due.max(now + EARLY);
        let promised = due.duration_since(now).unwrap_or_default();
        self.promises.add(now, due);
        self.ticket(visitor, due, Worth::Place { promised })
    }

    fn may_pass(&mut self, now: SystemTime) -> bool {
        let (left, until) = &mut self.gate;
        if until.is_none_or(|until| now >= until) {
            (*left, *until) = (self.word.as_ref().map_or(0, |word| word.pace), Some(now + Duration::from_secs(1)));
        }
        let may = *left > 0;
        *left = left.saturating_sub(1);
        may
    }
}

fn redeem(memory: Memory<'_>, ticket: &Ticket) -> Result<(), Answer> {
    memory.redemption.redeem(ticket.serial).map_err(|why| match why {
        Unredeemable::Used | Unredeemable::NoSuchSerial => Answer::Used,
    })
}

/// Whoever has had so many tickets is told to ask later, and given none: serials are for everybody.
fn is_beyond(turn: Turn) -> bool {
    usize::from(turn.round) >= ROUNDS
}

/// So much of a time as `chance` is of 2³².
fn share_of(time: Duration, chance: u32) -> Duration {
    time.mul_f64(f64::from(chance) / 2f64.powi(32))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU16, AtomicU64};

    use super::*;
    use crate::door::counts::CELLS;
    use crate::door::network::NetworkKey;
    use crate::door::timetable::{Outlook, Stays};

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    struct Shared {
        cells: Vec<AtomicU16>,
        bits: Vec<AtomicU64>,
    }

    impl Shared {
        fn new() -> Self {
            let cells = std::iter::repeat_with(AtomicU16::default).take(CELLS).collect();
            Self { cells, bits: std::iter::repeat_with(AtomicU64::default).take(4).collect() }
        }

        fn memory(&self) -> Memory<'_> {
            let counts = Counts::new(&self.cells).expect("as many as are needed");
            Memory { counts, redemption: Redemption::new(&self.bits) }
        }

        /// A desk with serials, and places that are good.
        fn desk(room: u32) -> Desk {
            let mut desk = Desk::new([4; 32]);
            desk.take(NOW, Grant { number: 1, more: room, ..Grant::default() });
            desk.take_serials(0..200);
            desk
        }
    }

    fn networks() -> Networks {
        NetworkKey::from_bytes([3; 32]).networks("192.0.2.7".parse().expect("an address"))
    }

    fn ticket(worth: Worth) -> Ticket {
        Ticket { serial: 250, opening: 3, class: Class::Anybody, network: 9, due: NOW, worth }
    }

    fn word(opening: u16, phase: Phase) -> Word {
        Word { opening, phase, pace: 10, yours: Yours { workers: 1, ..Yours::default() } }
    }

    /// A queue in which a thousand were drawn, all of them behind whoever has not been.
    fn queue() -> Phase {
        let mut drawn = Tally::default();
        let secret = DrawSecret::of(&[4; 32], 3);
        (0..1_000).for_each(|network| drawn.add(secret.lot(network, Turn { round: 1, within: 0 })));
        let outlook = Outlook { now: NOW, first: 0, places: 500, inside: &[], pace: 10, stays: Stays::default() };
        Phase::Queue { drawn, table: Timetable::of(&outlook), late: 0, per_minute: 0, spare: 0 }
    }

    fn waits(answer: Option<Answer>) -> Ticket {
        match answer {
            Some(Answer::Wait(ticket)) => ticket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_house_that_has_not_spoken_yet_is_no_crowd() {
        let shared = Shared::new();
        let memory = shared.memory();
        let mut desk = Shared::desk(5);
        let ticket = waits(desk.arrive(NOW, memory, &networks(), Class::Anybody, 0, Entry::Now));
        assert!(matches!(ticket.worth, Worth::Place { .. }) && ticket.due <= NOW + 2 * SOON);
        assert_eq!(desk.told().pressed, None);
        desk.hear(word(0, Phase::Open));
        assert_eq!(
            desk.present(ticket.due, memory, ticket, 0, Entry::Now),
            Some(Answer::Wait(Ticket { due: ticket.due + SOON, ..ticket }))
        );
        // What it was given is void by then; given anew, they enter.
        desk.take(ticket.due, Grant { number: 2, more: 0, ..Grant::default() });
        assert_eq!(desk.present(ticket.due, memory, ticket, 0, Entry::Now), Some(Answer::Enter));
        assert_eq!(desk.told().pressed, None);
    }

    #[test]
    fn the_first_who_cannot_come_in_at_once_opens_the_window() {
        let shared = Shared::new();
        let memory = shared.memory();
        let mut desk = Shared::desk(1);
        desk.hear(word(0, Phase::Open));
        assert_eq!(desk.arrive(NOW, memory, &networks(), Class::Anybody, 0, Entry::Now), Some(Answer::Enter));
        let ticket = waits(desk.arrive(NOW, memory, &networks(), Class::Anybody, 0, Entry::Now));
        assert!(matches!(ticket.worth, Worth::Draw(_)) && ticket.due >= NOW + WINDOW);
        assert_eq!((desk.told().pressed, desk.tally().total()), (Some(NOW), 1));
    }

    #[test]
    fn whoever_was_drawn_in_a_crowd_that_is_over_comes_as_others_do() {
        let shared = Shared::new();
        let memory = shared.memory();
        let mut desk = Shared::desk(5);
        for (opening, phase) in [(3, Phase::Open), (4, Phase::Open)] {
            desk.hear(word(opening, phase));
            let serial = u64::from(opening);
            for worth in [Worth::Draw(Turn::FIRST), Worth::Rank(80_000)] {
                let ticket = Ticket { serial: serial + 10 * u64::from(worth == Worth::Rank(80_000)), ..ticket(worth) };
                assert_eq!(
                    desk.present(NOW, memory, ticket, 0, Entry::Now),
                    Some(Answer::Enter),
                    "{opening} {worth:?}"
                );
                assert_eq!(desk.present(NOW, memory, ticket, 0, Entry::Now), Some(Answer::Used));
            }
        }
        // Among those who are drawn now, and behind those who were.
        desk.hear(word(5, Phase::Gathering { until: NOW + WINDOW }));
        assert!(matches!(
            waits(desk.present(NOW, memory, ticket(Worth::Rank(0)), 0, Entry::Now)).worth,
            Worth::Draw(_)
        ));
        desk.hear(word(6, queue()));
        let last = Ticket { serial: 251, ..ticket(Worth::Rank(0)) };
        assert_eq!(waits(desk.present(NOW, memory, last, 0, Entry::Now)).worth, Worth::Rank(1_000));
    }

    #[test]
    fn without_serials_no_ticket_is_used_up() {
        let shared = Shared::new();
        let memory = shared.memory();
        let mut desk = Shared::desk(0);
        desk.hear(word(3, queue()));
        desk.take_serials(0..0);
        for worth in [Worth::Draw(Turn::FIRST), Worth::Rank(7), Worth::Place { promised: SOON }] {
            assert_eq!(desk.present(NOW, memory, ticket(worth), 0, Entry::Now), None);
        }
        assert_eq!(desk.arrive(NOW, memory, &networks(), Class::Anybody, 0, Entry::Now), None);
        assert_eq!(desk.told().late, 0);
        desk.take_serials(0..1);
        assert!(matches!(
            waits(desk.present(NOW, memory, ticket(Worth::Draw(Turn::FIRST)), 0, Entry::Now)).worth,
            Worth::Place { .. }
        ));
    }

    #[test]
    fn a_place_is_kept_for_whoever_is_late_and_not_for_ever() {
        let shared = Shared::new();
        let memory = shared.memory();
        let mut desk = Shared::desk(0);
        desk.hear(word(3, queue()));
        let place = ticket(Worth::Place { promised: SOON });
        let late = NOW + LATE;
        desk.take(late, Grant { number: 2, more: 5, ..Grant::default() });
        assert_eq!(desk.present(late, memory, place, 0, Entry::Now), Some(Answer::Enter));
        let too_late = Ticket { serial: 251, ..place };
        let ticket = waits(desk.present(late + Duration::from_secs(1), memory, too_late, 0, Entry::Now));
        assert_eq!(ticket.worth, Worth::Rank(1_000), "behind all others");
    }

    #[test]
    fn ranks_that_two_workers_give_at_the_same_time_are_different() {
        let shared = Shared::new();
        let memory = shared.memory();
        let ranks = [0, 1].map(|index| {
            let mut desk = Shared::desk(0);
            let yours = Yours { index, workers: 2, ..Yours::default() };
            desk.hear(Word { yours, ..word(3, queue()) });
            [0; 3].map(|_| waits(desk.arrive(NOW, memory, &networks(), Class::Anybody, 0, Entry::Now)).worth)
        });
        let rank = |n: u64| Worth::Rank(1_000 + n);
        assert_eq!(ranks, [[rank(0), rank(2), rank(4)], [rank(1), rank(3), rank(5)]]);
    }

    #[test]
    fn whoever_was_inside_comes_back_without_waiting_as_often_as_they_lose_their_connection() {
        let shared = Shared::new();
        let memory = shared.memory();
        let mut desk = Shared::desk(0);
        desk.hear(word(3, queue()));
        let place = desk.place_of(NOW, 9, Some(120)).expect("a serial");
        let back = waits(desk.present(NOW, memory, place, 0, Entry::Now));
        assert_eq!((back.serial, back.class, back.due), (120, Class::Returning, NOW + SOON), "there is no place yet");
        desk.take(NOW, Grant { number: 2, back: 2, keep: 2, ..Grant::default() });
        for _ in 0..2 {
            assert_eq!(desk.present(NOW, memory, place, 0, Entry::Now), Some(Answer::Enter));
        }
        // The morning after they come as others do.
        let ticket = waits(desk.present(NOW + RETURNS, memory, place, 0, Entry::Now));
        assert_eq!((ticket.class, ticket.worth), (Class::Anybody, Worth::Rank(1_000)));
    }

    #[test]
    fn who_comes_in_by_another_request_is_given_a_ticket_that_is_due_and_uses_nothing_up() {
        let shared = Shared::new();
        let memory = shared.memory();
        let mut desk = Shared::desk(1);
        desk.hear(word(0, Phase::Open));
        let ticket = waits(desk.arrive(NOW, memory, &networks(), Class::Anybody, 0, Entry::Later));
        assert!(ticket.due <= NOW && matches!(ticket.worth, Worth::Place { .. }));
        assert_eq!(desk.present(NOW, memory, ticket, 0, Entry::Later), Some(Answer::Wait(ticket)));
        assert_eq!(desk.present(NOW, memory, ticket, 0, Entry::Now), Some(Answer::Enter));
    }

    #[test]
    fn whoever_came_before_the_house_spoke_is_drawn_with_the_others_if_there_is_no_room() {
        let shared = Shared::new();
        let memory = shared.memory();
        let mut desk = Shared::desk(0);
        let ticket = waits(desk.arrive(NOW, memory, &networks(), Class::Anybody, 0, Entry::Now));
        desk.hear(word(0, Phase::Open));
        // What it was given is void: it knows of nobody, and that is no crowd.
        let later = NOW + 2 * SOON;
        let again = waits(desk.present(later, memory, ticket, 0, Entry::Now));
        assert_eq!((again.serial, again.worth), (ticket.serial, ticket.worth));
        desk.take(later, Grant { number: 2, ..Grant::default() });
        let drawn = waits(desk.present(later, memory, ticket, 0, Entry::Now));
        assert!(matches!(drawn.worth, Worth::Draw(_)) && desk.told().pressed == Some(later), "{drawn:?}");
    }
}
