//! How many may be inside, dealt out in advance.
//!
//! The house has so many places. It lets each worker admit so many more without asking; a worker that has used them up admits nobody until it is given more, so an arrival waits for nobody. What was
//! given is counted as used until the worker has said otherwise or is gone: places are never given twice, whatever is lost, late or dies on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

/// Names a worker's life.
pub type WorkerId = u64;

/// How long what a worker was given is good. One whose house is silent admits nobody after that.
pub const GRANT: Duration = Duration::from_secs(3);
/// How long a place is kept for whoever was in it.
pub const KEPT: Duration = Duration::from_secs(30);
/// One in so many places is kept for those who come back.
const RETURNERS: u32 = 50;
/// So many of those a worker has at hand, so that who comes back waits for nobody.
const AT_HAND: u32 = 16;
/// Of its part of the places of workers that are gone, a worker has one in so many at hand. All of it would lie idle where few come back, for as long as they are kept.
const ORPHANS_PART: u32 = 8;
/// The same where all workers began anew together, and are asked about as often as each other. With an eighth, of 19,000 who came back at once some were told to come again so often that their places were
/// not kept any more.
const ANEW_PART: u32 = 2;
/// Of so many places, how many are kept for those who come back, and are neither given nor promised to others.
pub const fn reserve(cap: u32) -> u32 {
    cap / RETURNERS
}

/// People who came back to no place and are told apart between two grants: a thousand in a second. Beyond, each is another.
const MISSED_MAX: usize = 256;

/// Workers that are known at a time: more than a machine has cores.
const WORKERS_MAX: usize = 1_024;

/// What a worker says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The last grant that it has had, by its number; 0: none.
    pub seen: u64,
    /// Who is inside, and places that are kept for those whose connection has just ended.
    pub inside: u32,
    /// Of those, how many are kept.
    pub kept: u32,
    /// Of what it was given, what it may still use for whoever comes.
    pub room: u32,
    /// And what only for those who come back.
    pub back: u32,
    /// How many it would let in if it could.
    pub wanted: u32,
    /// How many came in by those since it began.
    pub came_back: u64,
    /// How many came back and found no place since it was last given some.
    pub missed: u32,
    /// It lets in nobody any more, and has given back what it had for that.
    pub retires: bool,
}

/// What a worker is given on top of what it has. It makes all of it good for [`GRANT`] from when it comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Numbers count up for each worker.
    pub number: u64,
    /// So many more for whoever comes.
    pub more: u32,
    /// And so many for those who come back.
    pub back: u32,
    /// There are fewer places than were given: what it had for whoever comes goes back.
    pub returns: bool,
    /// How many of those it is to have at hand: what it has beyond, and nobody came back for, goes back.
    pub keep: u32,
}

/// What a worker may have.
#[derive(Clone, Copy, Debug, Default)]
struct Lease {
    /// As it told.
    inside: u32,
    /// For whoever comes or comes back.
    room: u32,
    /// Given since, and in no report of its yet.
    given: u32,
    /// Of `room` and `given`, what is for those who come back.
    back: u32,
    /// Of `inside`, what is kept for those who were there a moment ago.
    kept: u32,
    came_back: u64,
    /// How many came back and found none.
    missed: u32,
    number: u64,
    retires: bool,
}

impl Lease {
    fn bound(&self) -> u64 {
        u64::from(self.inside) + u64::from(self.room) + u64::from(self.given)
    }
}

/// All places of one space. The house's.
#[derive(Clone, Debug)]
pub struct Places {
    cap: u32,
    /// Nothing is given before: what an earlier house gave is void by then.
    opens: SystemTime,
    /// Nor before these have said how many they hold.
    awaited: BTreeSet<WorkerId>,
    workers: BTreeMap<WorkerId, Lease>,
    /// Places of workers that are gone, and until when they are kept for those who were there.
    orphaned: Vec<(SystemTime, u32)>,
    /// All of those were there before any worker that is there now.
    is_anew: bool,
    /// Of the places that are free, whose they are.
    free: Free,
}

/// Places that nobody has: who gets them.
///
/// Whoever was inside comes in before those who wait, by the [`reserve`]. Once that is used, of what falls free each [`EACH`]th place goes there until it is whole again, and the others to those who wait:
/// passes to come back with are had for the asking while a door is open, and with enough of them one would keep out for ever those who were promised a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Free {
    /// Those who come back.
    returners: u64,
    /// Whoever comes.
    anybody: u64,
    /// So many have fallen free since the last that went to the reserve.
    since: u64,
}

/// So that those who come back without end make what was promised to others no later than it may be, by a tenth: what they have falls free no more, which makes it later still.
const EACH: u64 = 24;

impl Free {
    /// So many are free now, of which those who come back are to have up to `wanted`.
    fn settled(self, free: u64, wanted: u64) -> Self {
        let Self { returners, anybody, since } = self;
        // Somebody has them who was not known of.
        let gone = (returners + anybody).saturating_sub(free);
        let anybody = anybody.saturating_sub(gone);
        let returners = returners.min(free - anybody);
        // What those have elsewhere who come back, they need not have here.
        let over = returners.saturating_sub(wanted);
        let (returners, anybody) = (returners - over, anybody + over);
        let (fresh, short) = (free - returners - anybody, wanted - returners);
        let more = ((since + fresh) / EACH).min(short);
        // Whoever misses one now and then is due the next, too.
        let since = (since + fresh - more * EACH).min(EACH - 1);
        Self { returners: returners + more, anybody: anybody + (fresh - more), since }
    }
}

impl Places {
    /// So many places, given out by a house that begins now and finds these workers alive. It gives none before it has heard of each, or that it is gone: whoever is silent may hold
    /// as many as there are.
    pub fn new(now: SystemTime, cap: u32, awaited: impl IntoIterator<Item = WorkerId>) -> Self {
        let awaited = awaited.into_iter().collect();
        let free = Free { returners: reserve(cap).into(), ..Free::default() };
        Self { cap, opens: now + GRANT, awaited, workers: BTreeMap::new(), orphaned: Vec::new(), is_anew: false, free }
    }

    /// There are so many from now on. Who is inside stays there.
    pub fn set_cap(&mut self, cap: u32) {
        // Of those that there are more they have what they are short of who come back: it was theirs before there were fewer.
        self.free.returners += u64::from(cap.saturating_sub(self.cap));
        self.cap = cap;
    }

    /// So many could be inside by what was given out, places among them that are kept for those who were inside. Never more than the cap, unless that was lowered below it.
    pub fn bound(&self) -> u64 {
        self.workers.values().map(Lease::bound).sum::<u64>() + self.orphans()
    }

    /// Whether places are given, to whoever asks for some.
    pub fn gives(&self, now: SystemTime) -> bool {
        now >= self.opens && self.awaited.is_empty()
    }

    /// Whether somebody has not said yet how many they hold.
    pub fn awaits(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// Places that are kept for those who were at workers that are gone.
    pub fn orphans(&self) -> u64 {
        self.orphaned.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// Takes what a worker says, and answers what it gets. `None`: nothing, and nobody must be told.
    ///
    /// Reports of one connection come in order. With a new connection nothing is on its way any more: say so by [`Places::connected`] first.
    pub fn report(&mut self, now: SystemTime, worker: WorkerId, report: Report) -> Option<Grant> {
        let orphans = self.orphans();
        self.orphaned.retain(|(until, _)| now < *until);
        // They were theirs who come back, and are as far as those are short of some.
        self.free.returners += orphans - self.orphans();
        self.awaited.remove(&worker);
        if !self.workers.contains_key(&worker) && self.workers.len() >= WORKERS_MAX {
            return None;
        }
        let lease = self.workers.entry(worker).or_default();
        // One that retires takes nothing any more, so it has said everything; a grant that was lost to it is not waited for.
        if report.seen >= lease.number || report.retires {
            let Report { seen, inside, kept, room, back, came_back, missed, retires, .. } = report;
            // What nobody came back for is theirs as before.
            let used = came_back.saturating_sub(lease.came_back);
            self.free.returners += u64::from(lease.back).saturating_sub(used.saturating_add(back.into()));
            let (room, number) = (room.saturating_add(back), seen.max(lease.number));
            let missed = if retires { 0 } else { missed };
            *lease = Lease { inside, room, given: 0, back, kept, came_back, missed, number, retires };
        } else {
            // While a grant is on its way one cannot tell how many left. Who came in did by what it had been given, so all of it together is no more than it was.
            let more = report.inside.saturating_sub(lease.inside);
            lease.inside += more;
            let of_room = more.min(lease.room);
            lease.room -= of_room;
            lease.given = lease.given.saturating_sub(more - of_room);
            lease.missed = report.missed;
        }
        if !self.gives(now) {
            return None;
        }
        if report.wanted == 0 {
            // It has not heard the word, or takes nobody any more.
            return None;
        }
        let workers = self.takers();
        let short = report.wanted.saturating_sub(report.room);
        self.free = self.settled();
        // An equal part for each, so that one that asks for all does not leave the others none.
        let part = self.free.anybody.div_ceil(u64::from(workers));
        let more = u32::try_from(part.min(u64::from(short))).unwrap_or(u32::MAX);
        self.free.anybody -= u64::from(more);
        // What is asked for by nobody who waits.
        let idle = if short == 0 { part } else { 0 };
        // Who was at a worker that is gone comes back within seconds, to any, and perhaps to one that is only about to begin: some of its places are there already, and more wherever those are used.
        let orphans = u32::try_from(self.orphans()).unwrap_or(u32::MAX);
        let part = if self.is_anew { ANEW_PART } else { ORPHANS_PART };
        let orphaned = orphans.div_ceil(workers.saturating_mul(part));
        let keep = self.at_hand();
        let returns = self.bound() > u64::from(self.cap);
        // Who found none comes again, to any; and no worker has more than its part of what there is for them.
        let missed = report.missed.min(reserve(self.cap).saturating_add(orphans)).div_ceil(workers);
        let come_back = keep.saturating_add(orphaned).saturating_add(missed);
        let back = self.give_back(come_back.saturating_sub(report.back), idle);
        let lease = self.workers.get_mut(&worker)?;
        lease.given = lease.given.saturating_add(more).saturating_add(back);
        lease.back = lease.back.saturating_add(back);
        lease.number = lease.number.saturating_add(1);
        Some(Grant { number: lease.number, more, back, returns, keep })
    }

    /// How many places are neither given nor [for those who come back](reserve).
    pub fn free(&self) -> u64 {
        self.settled().anybody
    }

    /// How many a worker has for whoever comes, or is being given.
    pub fn room(&self, worker: WorkerId) -> u32 {
        self.workers.get(&worker).map_or(0, |lease| lease.room.saturating_add(lease.given).saturating_sub(lease.back))
    }

    fn settled(&self) -> Free {
        let (reserve, at_hand) = (u64::from(reserve(self.cap)), self.at_hand());
        // What is at hand for those who come back, and what is kept for those who went a moment ago, is a part of what is theirs.
        let theirs = |lease: &Lease| u64::from(lease.back.min(at_hand)) + u64::from(lease.kept);
        let theirs = self.workers.values().map(theirs).sum::<u64>();
        // What is kept at one worker is of no use to those who come to another: a few are at hand everywhere, and those who found none are to find some.
        let missed = self.workers.values().map(|lease| u64::from(lease.missed)).sum::<u64>();
        let takers = self.workers.values().filter(|lease| !lease.retires);
        let lacking = takers.map(|lease| u64::from(at_hand.saturating_sub(lease.back))).sum::<u64>();
        let wanted = reserve.saturating_sub(theirs).max(missed).max(lacking);
        let free = u64::from(self.cap).saturating_sub(self.bound());
        self.free.settled(free, wanted.min(reserve))
    }

    /// Workers that take whoever comes.
    fn takers(&self) -> u32 {
        let takers = self.workers.values().filter(|lease| !lease.retires).count();
        u32::try_from(takers.max(1)).unwrap_or(u32::MAX)
    }

    /// How many places for those who come back each of them has at hand.
    fn at_hand(&self) -> u32 {
        (reserve(self.cap) / self.takers()).min(AT_HAND)
    }

    /// Places for those who come back: of the reserve, of what is `idle`, and of those that they had at a worker that is gone.
    fn give_back(&mut self, wanted: u32, idle: u64) -> u32 {
        let reserved = self.free.returners.min(wanted.into());
        self.free.returners -= reserved;
        let idle = idle.min(u64::from(wanted) - reserved);
        self.free.anybody -= idle;
        let mut more = wanted - u32::try_from(reserved + idle).unwrap_or(wanted);
        // What expires first is used first.
        for (_, count) in &mut self.orphaned {
            let taken = more.min(*count);
            *count -= taken;
            more -= taken;
        }
        wanted - more
    }

    /// A worker has connected again, and has had no grant after the one with that number.
    pub fn connected(&mut self, worker: WorkerId, seen: u64) {
        if let Some(lease) = self.workers.get_mut(&worker) {
            lease.number = seen;
        }
    }

    /// A worker's process is gone, and the connections of everybody who was there with it: their places are kept for them for [`KEPT`]. Not to be said because nothing is heard of
    /// it: it may be there, and so may they.
    pub fn gone(&mut self, now: SystemTime, worker: WorkerId) {
        self.is_anew = false;
        if self.awaited.remove(&worker) {
            // Nobody knows how many places are to be kept.
            self.opens = self.opens.max(now + KEPT);
        }
        if let Some(lease) = self.workers.remove(&worker) {
            // It may have used all that it had.
            self.keep(now, u32::try_from(lease.bound()).unwrap_or(u32::MAX));
        }
    }

    /// So many were inside at a worker that is gone: their places are kept for them for [`KEPT`].
    pub fn keep(&mut self, now: SystemTime, were: u32) {
        if were > 0 {
            self.orphaned.push((now + KEPT, were));
        }
    }

    /// The same, of what another house kept: there may be fewer places by now, and nobody stays who was cut off.
    pub fn keep_what_fits(&mut self, now: SystemTime, were: u32) {
        let free = u64::from(self.cap).saturating_sub(self.bound());
        self.keep(now, were.min(u32::try_from(free).unwrap_or(u32::MAX)));
    }

    /// How many would come back if that worker ended now: whoever is inside, and those for whom there are places at hand.
    pub fn would_come_back(&self, worker: WorkerId) -> u32 {
        self.workers.get(&worker).map_or(0, |lease| lease.inside + lease.back)
    }

    /// Everybody who was inside was at workers that are gone, and those that are there begin together.
    pub fn begin_anew(&mut self) {
        self.is_anew = true;
    }

    /// Whether that worker has said how many are inside there, or is waited for.
    pub fn knows(&self, worker: WorkerId) -> bool {
        self.awaited.contains(&worker) || self.workers.contains_key(&worker)
    }
}

/// A worker's part of the places.
#[derive(Clone, Copy, Debug, Default)]
pub struct Share {
    inside: u32,
    room: u32,
    back: u32,
    /// Of `inside`: places of those who went a moment ago.
    kept: u32,
    came_back: u64,
    is_retired: bool,
    /// Until then what is there for those who come back is theirs alone.
    back_until: Option<SystemTime>,
    missed: Missed,
    seen: u64,
    good_until: Option<SystemTime>,
}

/// Who came back and found no place: one who asks a hundred times is one.
#[derive(Clone, Copy, Debug)]
struct Missed {
    who: [u64; MISSED_MAX],
    count: u32,
}

impl Default for Missed {
    fn default() -> Self {
        Self { who: [0; MISSED_MAX], count: 0 }
    }
}

impl Missed {
    fn note(&mut self, who: u64) {
        let known = &self.who[..MISSED_MAX.min(self.count as usize)];
        if known.contains(&who) {
            return;
        }
        if let Some(next) = self.who.get_mut(self.count as usize) {
            *next = who;
        }
        self.count = self.count.saturating_add(1);
    }
}

impl Share {
    /// What to tell the house.
    pub fn report(&self, wanted: u32) -> Report {
        let Self { seen, inside, kept, room, back, came_back, is_retired: retires, .. } = *self;
        let missed = self.missed.count;
        let wanted = if retires { 0 } else { wanted };
        Report { seen, inside, kept, room, back, came_back, wanted, missed, retires }
    }

    /// What it was given is not good any more.
    pub fn expire(&mut self) {
        (self.good_until, self.back_until) = (None, None);
    }

    /// Lets in nobody any more, and gives back what it had for that. Who is inside stays.
    pub fn retire(&mut self) {
        (self.room, self.back, self.is_retired) = (0, 0, true);
    }

    /// Takes a grant.
    pub fn take(&mut self, now: SystemTime, grant: Grant) {
        if grant.number > self.seen {
            self.seen = grant.number;
            if self.is_retired {
                return;
            }
            self.room = if grant.returns { 0 } else { self.room }.saturating_add(grant.more);
            self.back = self.back.saturating_add(grant.back);
            let over = self.back.saturating_sub(grant.keep);
            if over > 0 && grant.back > 0 {
                // They were told to come again in a moment; and whoever had one at a worker that is gone has it for so long.
                self.back_until = Some(now + KEPT);
            }
            if self.back_until.is_none_or(|until| now >= until) {
                // The house has them again, and whoever is to have them next.
                self.back -= over;
            }
            self.missed.count = 0;
            self.good_until = Some(now + GRANT);
        }
    }

    /// Whether what it was given is still good.
    pub fn is_good(&self, now: SystemTime) -> bool {
        self.good_until.is_some_and(|until| now < until)
    }

    /// For so long the house has been silent beyond what that is good for.
    pub fn silent_for(&self, now: SystemTime) -> Duration {
        self.good_until.and_then(|until| now.duration_since(until).ok()).unwrap_or_default()
    }

    /// Whether there is a place.
    pub fn has_room(&self, now: SystemTime) -> bool {
        self.room > 0 && self.is_good(now)
    }

    /// Lets somebody in, if there is a place.
    pub fn admit(&mut self, now: SystemTime) -> bool {
        let may = self.has_room(now);
        if may {
            self.room -= 1;
            self.inside += 1;
        }
        may
    }

    /// Lets in somebody who was inside before, if there is a place: of those for them, and, while nobody waits, of the others. If there is none, the house hears of `who` asks for the first time.
    pub fn admit_back(&mut self, now: SystemTime, who: Option<u64>, is_open: bool) -> bool {
        if self.back > 0 && self.is_good(now) {
            self.back -= 1;
            self.inside += 1;
            self.came_back += 1;
            return true;
        }
        let may = is_open && self.admit(now);
        if !may && let Some(who) = who {
            self.missed.note(who);
        }
        may
    }

    /// Somebody is gone; their place is kept for them.
    pub fn depart(&mut self) {
        self.kept = self.kept.saturating_add(1).min(self.inside);
    }

    /// Whoever was gone is back.
    pub fn come_back(&mut self) {
        self.kept = self.kept.saturating_sub(1);
    }

    /// The place of whoever was [gone](Self::depart) is free.
    pub fn leave(&mut self) {
        self.inside = self.inside.saturating_sub(1);
        self.kept = self.kept.saturating_sub(1);
    }

    /// Who is inside.
    pub fn inside(&self) -> u32 {
        self.inside
    }
}

#[cfg(test)]
mod tests;
