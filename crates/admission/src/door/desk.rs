//! A worker's desk: it lets in who may come in, and gives the others a place in time. It asks nobody.
//!
//! What it does follows from the [`Word`] that the house sends once a second, and from what it was [given](super::places). Without a word it goes on by the last one: those inside stay, tickets are
//! given, and nobody is let in when what it was given is used up.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use super::counts::Counts;
use super::diary::{Field, Traffic};
use super::draw::{DrawSecret, ROUNDS, Tally, VOUCHED};
use super::gate::Gate;
use super::leftovers::Leftovers;
use super::look::{self, LOOK, LOOK_MAX, share_of};
use super::network::{LEVELS, Networks, Turn};
use super::places::{Grant, Report, Share};
use super::redemption::Redemption;
use super::ticket::{Class, Known, Ticket, Worth};
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
/// Serials of one space, for all its crowds. Whoever asks without end is given thousands of them and no more, and nobody but the first of each network any of the last eighth.
pub const SERIALS: u64 = 1 << 24;
/// Rounds in which tickets are given after the draw: each stands in the order before whoever comes later, so a network is to fill it no further.
const LATE_ROUNDS: u16 = 8;
/// The serial of tickets by which nothing is promised.
const NOBODY: u64 = 0;
/// What such a ticket says if it is a moment; else there is [no turn](Worth::NO_TURN).
const MOMENT: Worth = Worth::Place { promised: Duration::ZERO };
/// Whoever finds no room may come again at once, over another connection, and meet the same worker: so many in a second, at all workers, are no crowd, though fewer places are free.
const SAME: u32 = 64;
/// And at each worker: one player comes so often.
const SAME_MIN: u32 = 9;
/// Whoever comes back so much too soon has come in time: clocks and networks are no better.
const EARLY: Duration = Duration::from_secs(2);
/// For so long somebody may come back without waiting, from when they were last let in: the longest conversations.
pub const RETURNS: Duration = Duration::from_secs(12 * 3_600);
/// A place that is not there although it was promised: how soon it is asked for again.
const SOON: Duration = Duration::from_secs(3);
/// While the house is silent, those whose time has come wait for it, up to this, and for up to [`OVER`] times as long again.
const SILENT_MAX: Duration = Duration::from_secs(120);
/// So many times as late as it has been silent they come again: with less of it those whose time comes meanwhile ask more often in that minute than everybody did before.
const LATER: u32 = 4;
/// Over so many times as long as they wait at the least they come. Where nearly all who ask do so because it is their time, an outage of a minute over which nobody came in adds a sixth to what is asked for six
/// minutes after it; over once as long they would be a third for three.
const OVER: u32 = 3;
/// Nobody is told to wait longer for a house that is silent.
pub const AFTER_SILENCE_MAX: Duration = Duration::from_secs(SILENT_MAX.as_secs() * (1 + OVER) as u64);
/// And whoever comes for the first time, who is told that it is a moment: up to twice this.
const MOMENT_MAX: Duration = Duration::from_secs(15);
/// Whoever comes back to no place asks twice as late each time, up to this.
const SOON_MAX: Duration = Duration::from_secs(60);
/// Or this, or [so large a part](FEW_PART) of what they are late, if they are few: at a small door a place would lie idle for as long.
const FEW_SOON: Duration = Duration::from_secs(12);
/// See [`FEW_SOON`]. Who waits for minutes is to look not much more seldom than whoever has just come, for a place is whose who looks.
const FEW_PART: u32 = 8;
/// So many in a second are few, at each worker.
const FEW: u32 = 4;

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
        /// How many may be let in, by all workers, to whom nothing was promised.
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
    /// How many this worker lets in each second while it is open; and, at the most, of those to whom nothing was promised.
    pub pace: u32,
    /// How many places all workers have for whoever comes, or may get.
    pub free: u32,
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
    /// It is due, but there is no place yet: come back with it then.
    Again(Ticket, SystemTime),
}

/// What a worker tells the house, beside its [`Report`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Which house it has heard last: another that hears this does not know yet what is on its way from that one.
    pub house: u64,
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
    /// Of those, for whom there was a time, told or not: by how many the table has gone on.
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

/// Whom somebody vouches for: in the draw they are among their like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// What they are.
    pub known: Known,
    /// The hash of who they are: see [`NetworkKey::holder`](super::network::NetworkKey::holder).
    pub holder: u64,
}

/// Whoever is given something.
#[derive(Clone, Copy, Debug)]
struct Visitor {
    network: u64,
    class: Class,
    vouched: Option<Vouched>,
    chance: u32,
    entry: Entry,
}

/// Who was let in of those who had been told a time, by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Promised {
    kept: [u64; Class::ALL.len()],
    late: [u64; Class::ALL.len()],
}

/// Within so long of its time a promise is kept.
pub const KEPT_WITHIN: Duration = Duration::from_secs(15);
/// Or within this part of what was promised: whoever waits for half an hour asks for no more.
pub const KEPT_PART: u32 = 10;

/// Whether whoever is let in now, for whom it was to be `due` after so long a wait, found that to be true.
pub fn is_kept(now: SystemTime, due: SystemTime, promised: Duration) -> bool {
    now.duration_since(due).unwrap_or_default() <= KEPT_WITHIN.max(promised / KEPT_PART)
}

/// One space's, at one worker.
pub struct Desk {
    /// Of which each opening's secret is made.
    root: [u8; 32],
    house: u64,
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
    promised: Promised,
    /// Who is let in, while the door is open.
    gate: Gate,
    /// Who comes back sooner than they otherwise would.
    few: Gate,
    leftovers: Leftovers,
    /// How many have found no room here since the house spoke, although there was some elsewhere.
    found_none: u32,
    /// What the last ticket was counted as, until somebody takes note.
    nth: Option<[u32; LEVELS]>,
}

impl Desk {
    /// A desk with no places and no serials yet. `root`: random, the same at every worker, of this space alone.
    pub fn new(root: [u8; 32]) -> Self {
        Self {
            root,
            house: 0,
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
            promised: Promised::default(),
            gate: Gate::default(),
            few: Gate::default(),
            leftovers: Leftovers::of(&root, 0),
            found_none: 0,
            nth: None,
        }
    }

    /// Hears a house, by its number.
    pub fn meet(&mut self, house: u64) {
        self.house = house;
    }

    /// Takes the house's word.
    pub fn hear(&mut self, word: Word) {
        self.found_none = 0;
        if self.opening() != word.opening {
            // Another crowd, which is drawn anew.
            (self.pressed, self.tally) = (None, Tally::default());
            let (root, opening) = (&self.root, word.opening);
            (self.secret, self.leftovers) = (DrawSecret::of(root, opening), Leftovers::of(root, opening));
        }
        if let Phase::Queue { spare, .. } = word.phase {
            self.leftovers.hear(spare, word.yours, word.pace);
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
        let Self { house, pressed, late, entered, came, .. } = *self;
        let wanted = self.word.as_ref().map_or(0, |word| word.yours.wanted);
        Told { house, opening: self.opening(), report: self.share.report(wanted), pressed, late, entered, came }
    }

    /// All that the house is to hear, with what happened here; of the draw only when its window is about to end.
    pub fn heard(&self, now: SystemTime, traffic: &Traffic) -> Heard {
        let is_wanted = match self.word.as_ref().map(|word| &word.phase) {
            Some(Phase::Gathering { until }) => now + TALLY >= *until,
            _ => false,
        };
        let (tally, promises) = (is_wanted.then(|| self.tally.clone()), self.promises.clone());
        let mut traffic = traffic.clone();
        traffic.set(Field::Kept, &self.promised.kept);
        traffic.set(Field::Late, &self.promised.late);
        Heard { told: self.told(), tally, promises, traffic }
    }

    /// Who was drawn here.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// To whom a place was promised here.
    pub fn promises(&self) -> &Promises {
        &self.promises
    }

    /// As [`Share::depart`].
    pub fn depart(&mut self) {
        self.share.depart();
    }

    /// As [`Share::come_back`].
    pub fn come_back(&mut self) {
        self.share.come_back();
    }

    /// As [`Share::leave`].
    pub fn leave(&mut self) {
        self.share.leave();
    }

    /// As [`Share::retire`].
    pub fn retire(&mut self) {
        self.share.retire();
    }

    /// The house's clock is another, behind what this was told: what is to end by it ends now.
    pub fn forget_times(&mut self) {
        (self.gate, self.few) = (Gate::default(), Gate::default());
        self.share.expire();
    }

    /// Somebody who has no ticket. `vouched`: they showed who they are, which counts if they are drawn, and only then. `chance`: 32 bits as good as random. If no serials are left, or their network has
    /// had thousands of tickets, they are told to come much later.
    pub fn arrive(
        &mut self,
        now: SystemTime,
        memory: Memory<'_>,
        networks: &Networks,
        vouched: Option<Vouched>,
        chance: u32,
        entry: Entry,
    ) -> Answer {
        let (class, network) = (Class::Anybody, networks.narrowest());
        let visitor = Visitor { network, class, vouched, chance, entry };
        let nth = Cell::new(None);
        let answer = self.join(now, memory, visitor, || {
            let counted = memory.counts.count(networks);
            nth.set(Some(counted));
            networks.turn(counted)
        });
        self.nth = nth.get();
        answer
    }

    /// Which of each of its networks the last who [arrived](Self::arrive) was, if they were counted.
    pub fn take_nth(&mut self) -> Option<[u32; LEVELS]> {
        self.nth.take()
    }

    /// What somebody who was let in shows if they come back: a ticket that is due and good as often as it is shown. `place`: the serial of the ticket by which they came, or, if they came by none,
    /// a number as good as random, of [`Desk::PLACE_MIN`] or more.
    pub fn place_of(&self, now: SystemTime, network: u64, place: u64) -> Ticket {
        let worth = Worth::Place { promised: Duration::ZERO };
        Ticket { serial: place, opening: self.opening(), class: Class::Returning, network, due: now, worth }
    }

    /// Below are the serials of those who waited.
    pub const PLACE_MIN: u64 = 1 << 62;

    /// About how long until whoever has that ticket is let in, if no place can be promised to them yet; not sooner than they look. `None`: not within half an hour, or nobody knows, as when the house is silent for long.
    pub fn expects(&self, now: SystemTime, ticket: &Ticket) -> Option<Duration> {
        match (ticket.worth, self.word.as_ref().map(|word| &word.phase)) {
            (Worth::Rank(rank), Some(Phase::Queue { table, .. }))
                if ticket.opening == self.opening() && self.share.silent_for(now) <= SILENT_MAX =>
            {
                let wait = ticket.due.duration_since(now).unwrap_or_default();
                table.expects(now, rank).map(|expected| expected.max(wait))
            }
            _ => None,
        }
    }

    /// Whether nobody waits, as far as is known.
    fn is_open(&self) -> bool {
        matches!(self.word.as_ref().map(|word| &word.phase), Some(Phase::Open))
    }

    /// Whether another worker may have a place for whoever finds none here. One that has only begun does not know.
    pub fn is_free_elsewhere(&self, now: SystemTime) -> bool {
        self.word.as_ref().is_none_or(|word| self.share.is_good(now) && word.free > 0)
    }

    /// One more has found no room here: whether all who have since the house spoke may find some elsewhere. Where more people come than there are places some are free at any moment, and nobody would ever wait: all would ask
    /// again and again.
    fn is_few(&mut self) -> bool {
        self.found_none = self.found_none.saturating_add(1);
        self.word.as_ref().is_none_or(|word| {
            let workers = word.yours.workers.max(1);
            self.found_none <= word.free.div_ceil(workers).saturating_add((SAME / workers).max(SAME_MIN))
        })
    }

    /// Somebody who was inside. What is promised to others is not theirs, for nobody counts how many such tickets a network has. For whoever was told to wait their ticket says how long.
    fn back(&mut self, now: SystemTime, ticket: Ticket, chance: u32, entry: Entry) -> Answer {
        let waited = match ticket.worth {
            Worth::Place { promised } => promised,
            Worth::Draw(_) | Worth::Rank(_) => Duration::ZERO,
        };
        match entry {
            Entry::Later => Answer::Wait(ticket),
            Entry::Now if self.share.admit_back(now, waited.is_zero().then_some(ticket.serial), self.is_open()) => {
                Answer::Enter
            }
            Entry::Now => {
                // Half as late again each time: some four times while their place is kept, and once a minute in the end.
                let promised = (3 * waited / 2).clamp(SOON, SOON_MAX);
                let due = now + promised + share_of(promised, chance);
                Answer::Wait(Ticket { due, worth: Worth::Place { promised }, ..ticket })
            }
        }
    }

    /// Somebody who has a ticket of this space's, checked by its key. `None`: nothing is promised by it, or not any more; they [come](Self::arrive) as others do.
    pub fn present(
        &mut self,
        now: SystemTime,
        memory: Memory<'_>,
        ticket: Ticket,
        chance: u32,
        entry: Entry,
    ) -> Option<Answer> {
        let wait = ticket.due.duration_since(now).unwrap_or_default();
        let is_of_nobody = ticket.serial == NOBODY;
        // Nobody is told to wait for so long: it was told by another clock. By a worker that had not heard the house's, which gave its own time; or before the house's was set right.
        let most = match (ticket.class, ticket.worth) {
            (Class::Returning, _) => 2 * SOON_MAX,
            (_, MOMENT) if is_of_nobody => 2 * MOMENT_MAX,
            _ => 2 * LOOK_MAX,
        };
        let is_of_this_clock = wait <= most + EARLY;
        if wait > EARLY && is_of_this_clock {
            return Some(Answer::Wait(ticket));
        }
        if ticket.class == Class::Returning {
            let is_back = !is_of_this_clock || now.duration_since(ticket.due).unwrap_or_default() < RETURNS;
            return is_back.then(|| self.back(now, ticket, chance, entry));
        }
        if is_of_nobody || !is_of_this_clock {
            return None;
        }
        let overdue = now.duration_since(ticket.due).unwrap_or_default();
        let comes = self.share.is_good(now).then(|| {
            // Twice as late each time: what falls free is theirs, but they may be many.
            let pause = overdue.clamp(SOON, SOON_MAX);
            now + pause + share_of(pause / 4, chance)
        });
        let comes = comes.unwrap_or_else(|| {
            // The longer it has been silent, the later, and spread, so that those whose time comes meanwhile do not all come when it is back.
            let pause = pause_after(self.share.silent_for(now), SILENT_MAX);
            now + pause + share_of(OVER * pause, chance)
        });
        // Whose time came while the house was silent has not come late.
        let silent =
            if self.share.is_good(now) { Duration::ZERO } else { self.share.silent_for(now) + AFTER_SILENCE_MAX };
        let is_late = overdue > LATE + silent;
        let is_of_this = ticket.opening == self.opening();
        match (ticket.worth, self.word.as_ref().map(|word| &word.phase)) {
            // Neither made good nor lost: by whose clock it is late only the house knows.
            (_, None) if is_late => Some(Answer::Again(ticket, comes)),
            (_, None) => Some(self.again(now, ticket, comes)),
            // Their line broke, or the answer was lost: they were inside.
            _ if memory.redemption.is_used(ticket.serial) => {
                let worth = Worth::Place { promised: Duration::ZERO };
                Some(self.back(now, Ticket { class: Class::Returning, worth, ..ticket }, chance, entry))
            }
            // The house has not drawn yet.
            (Worth::Draw(_), Some(Phase::Gathering { .. })) if is_of_this => Some(Answer::Again(ticket, comes)),
            (Worth::Draw(turn), Some(Phase::Queue { drawn, table, .. })) if is_of_this => {
                let rank = drawn.rank(ticket.class, self.secret.lot(ticket.network, turn));
                let (time, again) = (table.time(rank), look::again(look::reaches(now, drawn, table, rank)));
                self.exchange(now, memory, ticket, (rank, time, again), entry)
            }
            (Worth::Place { .. }, _) if !is_late => self.claim(now, memory, ticket, (comes, chance), entry),
            (Worth::Rank(rank), Some(Phase::Queue { drawn, table, late, .. })) if is_of_this => {
                // A place that was left over is for anybody who looks; not for what somebody has beyond their network's share, before the turn of everybody who has not had theirs.
                let first_round = drawn.first_round();
                let is_first =
                    rank < first_round || (drawn.total()..drawn.total().saturating_add(*late)).contains(&rank);
                // Those who had not had theirs have known for minutes when they will.
                let (time, is_next) = (table.time(rank), is_first || table.rank(now + LOOK) >= first_round);
                if time.is_none() && memory.redemption.is_promised(ticket.serial) {
                    // It was left over for them, and they did not get the answer.
                    return self.claim(now, memory, left_over(now, ticket), (comes, chance), entry);
                }
                let period = look::period(now + EARLY, ticket.network);
                let again = look::again(look::reaches(now, drawn, table, rank));
                let is_theirs = look::is_theirs(period, again, look::period(ticket.due + EARLY, ticket.network));
                // Whoever comes late, and does not look now, is told when they do.
                let may = memory.redemption.look(ticket.serial, period, again).ok()?;
                let (looks, has_room) = (may && is_theirs && is_next, self.share.has_room(now));
                if looks && self.leftovers.takes(now, ticket.network, period, has_room) {
                    return self.leave_over(now, memory, ticket, entry);
                }
                self.exchange(now, memory, ticket, (rank, time, again), entry)
            }
            // Of a crowd that is over, or for a place that was kept for long enough.
            _ => None,
        }
    }

    /// There is no place for them yet. Whoever was promised one and asks for it in vain is not late, however long that goes on: their ticket is given anew, without the promise that was not kept.
    fn again(&mut self, now: SystemTime, ticket: Ticket, comes: SystemTime) -> Answer {
        let overdue = now.duration_since(ticket.due).unwrap_or_default();
        match ticket.worth {
            // Nor who would be by the time that they come again.
            Worth::Place { promised } if overdue > LATE / 2 || comes + SOON_MAX > ticket.due + LATE => {
                self.promised.late[ticket.class as usize] += u64::from(!promised.is_zero());
                // As late as for the longest pause.
                let (due, worth) = (now - SOON_MAX, Worth::Place { promised: Duration::ZERO });
                Answer::Again(Ticket { due, worth, ..ticket }, comes)
            }
            _ => Answer::Again(ticket, comes),
        }
    }

    /// When one of few comes again who was told a time and found no place.
    fn few_come(&mut self, now: SystemTime, ticket: &Ticket, chance: u32) -> Option<SystemTime> {
        let overdue = now.duration_since(ticket.due).unwrap_or_default();
        let was_told = matches!(ticket.worth, Worth::Place { promised } if !promised.is_zero());
        let is_few = was_told && overdue > FEW_SOON && self.share.is_good(now) && self.few.lets(now, FEW);
        let pause = FEW_SOON.max(overdue / FEW_PART);
        is_few.then(|| now + pause + share_of(pause / 4, chance))
    }

    /// What rank and time are worth to whoever has a ticket for them, or looks again in so many periods: by the same serial, and as often as they ask, so whoever did not get the answer loses nothing, and has nothing twice.
    fn exchange(
        &mut self,
        now: SystemTime,
        memory: Memory<'_>,
        ticket: Ticket,
        (rank, time, again): (u64, Option<SystemTime>, u64),
        entry: Entry,
    ) -> Option<Answer> {
        let period = look::period(now + EARLY, ticket.network);
        let may = |period| memory.redemption.looks_in(ticket.serial, period).is_none();
        let from = if may(period) { look::first(now, ticket.network) } else { period + 1 };
        let looks = look::next(from, again, ticket.network, may);
        let (due, worth) = worth(now, (rank, time), looks);
        if matches!(worth, Worth::Place { .. }) {
            if entry == Entry::Now && due <= now + EARLY && self.share.has_room(now) {
                return self.redeem_and_enter(now, memory, &ticket);
            }
            if memory.redemption.promise(ticket.serial).ok()? {
                self.promises.add(now, due);
            }
        }
        Some(Answer::Wait(Ticket { due, worth, ..ticket }))
    }

    /// A place that is theirs and due.
    fn claim(
        &mut self,
        now: SystemTime,
        memory: Memory<'_>,
        ticket: Ticket,
        (comes, chance): (SystemTime, u32),
        entry: Entry,
    ) -> Option<Answer> {
        if !self.share.has_room(now) {
            let comes = self.few_come(now, &ticket, chance).filter(|few| *few < comes).unwrap_or(comes);
            return Some(self.again(now, ticket, comes));
        }
        if entry == Entry::Later {
            return Some(Answer::Wait(ticket));
        }
        self.redeem_and_enter(now, memory, &ticket)
    }

    /// A place that was left over is theirs.
    fn leave_over(&mut self, now: SystemTime, memory: Memory<'_>, ticket: Ticket, entry: Entry) -> Option<Answer> {
        if entry == Entry::Later {
            // From now on.
            if memory.redemption.promise(ticket.serial).ok()? {
                self.promises.add(now, now);
            }
            return Some(Answer::Wait(left_over(now, ticket)));
        }
        memory.redemption.redeem(ticket.serial).ok()?;
        self.share.admit(now);
        self.entered += 1;
        Some(Answer::Enter)
    }

    /// If there is room.
    fn redeem_and_enter(&mut self, now: SystemTime, memory: Memory<'_>, ticket: &Ticket) -> Option<Answer> {
        memory.redemption.redeem(ticket.serial).ok()?;
        let enters = self.enter(now)?;
        // Whoever is drawn in directly was told none.
        if let Worth::Place { promised } = ticket.worth
            && !promised.is_zero()
        {
            let Promised { kept, late } = &mut self.promised;
            let counts = if is_kept(now, ticket.due, promised) { kept } else { late };
            counts[ticket.class as usize] += 1;
        }
        Some(enters)
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
    fn join(&mut self, now: SystemTime, memory: Memory<'_>, visitor: Visitor, turn: impl FnOnce() -> Turn) -> Answer {
        match self.word.as_ref().map(|word| &word.phase) {
            None => self.ask_again(now, visitor),
            // What it had is void, and nobody knows how many there may be: that is no crowd.
            Some(Phase::Open) if !self.share.is_good(now) => self.ask_again(now, visitor),
            Some(Phase::Open) => {
                // Until the house says so to all others, too: who comes after the first who is drawn is drawn.
                let has_room = self.pressed.is_none() && self.share.has_room(now);
                if has_room && visitor.entry == Entry::Later {
                    return self.nothing(now, visitor, MOMENT);
                }
                if has_room && self.may_pass(now) {
                    self.share.admit(now);
                    self.entered += 1;
                    return Answer::Enter;
                }
                // Of a few places this worker has none, and another has: that is no crowd either.
                if !has_room && self.pressed.is_none() && self.is_free_elsewhere(now) && self.is_few() {
                    return self.ask_again(now, visitor);
                }
                let since = *self.pressed.get_or_insert(now);
                self.gather(now, since + WINDOW, memory, visitor, turn)
            }
            Some(Phase::Gathering { until }) => {
                let until = *until;
                self.gather(now, until, memory, visitor, turn)
            }
            Some(Phase::Queue { drawn, table, late, per_minute, .. }) => {
                let yours = self.word.as_ref().map(|word| word.yours).unwrap_or_default();
                let since = self.late.saturating_sub(yours.late);
                let before = late + since * u64::from(yours.workers.max(1)) + u64::from(yours.index);
                let turn = turn();
                if self.is_beyond(turn, LATE_ROUNDS) {
                    return self.much_later(now, visitor);
                }
                let behind = u64::from(turn.round).saturating_mul(*per_minute);
                let rank = drawn.total().saturating_add(before).saturating_add(behind);
                let (time, again) = (table.time(rank), look::again(look::reaches(now, drawn, table, rank)));
                self.late += 1;
                self.place(now, visitor, (rank, time, again))
            }
        }
    }

    /// Their ticket, with a serial of its own.
    fn ticket(&mut self, visitor: Visitor, due: SystemTime, worth: Worth) -> Answer {
        let Visitor { network, class, .. } = visitor;
        match self.serials.next() {
            Some(serial) => Answer::Wait(Ticket { serial, opening: self.opening(), class, network, due, worth }),
            None => self.nothing(due, visitor, Worth::NO_TURN),
        }
    }

    /// In a moment: nothing is promised, to them or to others for it, and no window opens.
    fn ask_again(&self, now: SystemTime, visitor: Visitor) -> Answer {
        let pause = pause_after(self.share.silent_for(now), MOMENT_MAX);
        self.nothing(now + pause + share_of(pause, visitor.chance), visitor, MOMENT)
    }

    /// Nobody knows when: all tickets are given out, or their network has had [thousands](ROUNDS) of them.
    fn much_later(&self, now: SystemTime, visitor: Visitor) -> Answer {
        self.nothing(now + LOOK + share_of(LOOK, visitor.chance), visitor, Worth::NO_TURN)
    }

    /// A ticket by which they come then as others do: nobody needs a serial for that, however often they ask.
    fn nothing(&self, due: SystemTime, Visitor { network, class, .. }: Visitor, worth: Worth) -> Answer {
        Answer::Wait(Ticket { serial: NOBODY, opening: self.opening(), class, network, due, worth })
    }

    fn gather(
        &mut self,
        now: SystemTime,
        until: SystemTime,
        memory: Memory<'_>,
        visitor: Visitor,
        turn: impl FnOnce() -> Turn,
    ) -> Answer {
        let (visitor, turn) = match visitor.vouched {
            None => (visitor, turn()),
            Some(Vouched { known, holder }) => match memory.counts.count_holder(holder) - 1 {
                // Whoever shows it to a thousand others has given it away.
                VOUCHED.. => (visitor, turn()),
                nth => {
                    (Visitor { class: known.into(), network: holder, ..visitor }, Turn { round: 0, within: nth as u16 })
                }
            },
        };
        if self.is_beyond(turn, ROUNDS as u16) {
            return self.much_later(now.max(until), visitor);
        }
        self.tally.add(visitor.class, self.secret.lot(visitor.network, turn));
        // If it is over, and the house has not drawn, it will when it is there again.
        let due = (until + TALLY).max(now + SOON) + share_of(SPREAD, visitor.network as u32);
        self.ticket(visitor, due, Worth::Draw(turn))
    }

    /// A place at that time; or, if nobody knows when, the rank, by which they look each so many periods.
    fn place(
        &mut self,
        now: SystemTime,
        visitor: Visitor,
        (rank, time, again): (u64, Option<SystemTime>, u64),
    ) -> Answer {
        let looks = look::next(look::first(now, visitor.network), again, visitor.network, |_| true);
        let (due, worth) = worth(now, (rank, time), looks);
        if matches!(worth, Worth::Place { .. }) {
            if due <= now + EARLY
                && visitor.entry == Entry::Now
                && let Some(enters) = self.enter(now)
            {
                return enters;
            }
            self.promises.add(now, due);
        }
        self.ticket(visitor, due, worth)
    }

    /// Whether a ticket of that turn is not given: serials are for everybody, and the fewer are left the more are kept for those whose network has had few.
    fn is_beyond(&self, turn: Turn, rounds: u16) -> bool {
        let rounds_left = match SERIALS / SERIALS.saturating_sub(self.serials.start).max(1) {
            0..2 => rounds,
            2..4 => 8,
            4..8 => 2,
            _ => 1,
        };
        self.serials.is_empty() || turn.round >= rounds.min(rounds_left)
    }

    fn may_pass(&mut self, now: SystemTime) -> bool {
        self.gate.lets(now, self.word.as_ref().map_or(0, |word| word.pace))
    }
}

/// Whoever asks a house that has been silent for so long comes back so much later at the most.
pub(super) fn comes_after_silence(silent: Duration) -> Duration {
    (1 + OVER) * pause_after(silent, SILENT_MAX)
}

/// What that rank is worth, and when they come next: `looks`, if there is no time for it.
fn worth(now: SystemTime, (rank, time): (u64, Option<SystemTime>), looks: SystemTime) -> (SystemTime, Worth) {
    let Some(due) = time.map(|due| due.max(now + EARLY)) else { return (looks, Worth::Rank(rank)) };
    (due, Worth::Place { promised: due.duration_since(now).unwrap_or_default() })
}

/// A place that nobody came for, for whoever looked for one: due now. They were told no time, so that none can be kept.
fn left_over(now: SystemTime, ticket: Ticket) -> Ticket {
    Ticket { due: now, worth: Worth::Place { promised: Duration::ZERO }, ..ticket }
}

/// The longer it has been silent, the later.
fn pause_after(silent: Duration, most: Duration) -> Duration {
    (LATER * silent).clamp(SOON, most)
}

#[cfg(test)]
mod tests;
