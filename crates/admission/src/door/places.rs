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
    /// How many of those it is to have at hand: what it has beyond, and nobody came back for, is anybody's.
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
}

impl Places {
    /// So many places, given out by a house that begins now and finds these workers alive. It gives none before it has heard of each, or that it is gone: whoever is silent may hold
    /// as many as there are.
    pub fn new(now: SystemTime, cap: u32, awaited: impl IntoIterator<Item = WorkerId>) -> Self {
        let awaited = awaited.into_iter().collect();
        Self { cap, opens: now + GRANT, awaited, workers: BTreeMap::new(), orphaned: Vec::new(), is_anew: false }
    }

    /// There are so many from now on. Who is inside stays there.
    pub fn set_cap(&mut self, cap: u32) {
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
        self.orphaned.retain(|(until, _)| now < *until);
        self.awaited.remove(&worker);
        if !self.workers.contains_key(&worker) && self.workers.len() >= WORKERS_MAX {
            return None;
        }
        let lease = self.workers.entry(worker).or_default();
        if report.seen >= lease.number {
            let Report { seen, inside, kept, room, back, retires, .. } = report;
            *lease = Lease { inside, room: room.saturating_add(back), given: 0, back, kept, number: seen, retires };
        } else {
            // It has used some of what it had, or somebody left: which, one cannot tell while a grant is on its way.
            lease.inside = lease.inside.max(report.inside);
        }
        if !self.gives(now) {
            return None;
        }
        if report.wanted == 0 {
            // It has not heard the word, or takes nobody any more.
            return None;
        }
        let workers = self.workers.values().filter(|lease| !lease.retires).count();
        let workers = u32::try_from(workers.max(1)).unwrap_or(u32::MAX);
        let short = report.wanted.saturating_sub(report.room);
        let free = self.free();
        // An equal part for each, so that one that asks for all does not leave the others none.
        let part = free.div_ceil(u64::from(workers)).min(u64::from(short));
        let more = u32::try_from(part).unwrap_or(u32::MAX);
        // Who was at a worker that is gone comes back within seconds, to any, and perhaps to one that is only about to begin: some of its places are there already, and more wherever those are used.
        let orphans = u32::try_from(self.orphans()).unwrap_or(u32::MAX);
        let part = if self.is_anew { ANEW_PART } else { ORPHANS_PART };
        let orphaned = orphans.div_ceil(workers.saturating_mul(part));
        let keep = (reserve(self.cap) / workers).min(AT_HAND);
        let returns = self.bound() > u64::from(self.cap);
        // Who found none comes again, to any; and no worker has more than its part of what there is for them.
        let missed = report.missed.div_ceil(workers).min((reserve(self.cap).saturating_add(orphans)) / workers);
        let come_back = keep.saturating_add(orphaned).saturating_add(missed);
        let back = self.give_back(come_back.saturating_sub(report.back), more);
        let lease = self.workers.get_mut(&worker)?;
        lease.given = lease.given.saturating_add(more).saturating_add(back);
        lease.back = lease.back.saturating_add(back);
        lease.number = lease.number.saturating_add(1);
        Some(Grant { number: lease.number, more, back, returns, keep })
    }

    /// How many places are neither given nor [for those who come back](reserve).
    pub fn free(&self) -> u64 {
        // What is at hand for those who come back, and what is kept for those who went a moment ago, is a part of what is theirs.
        let theirs = self.workers.values().map(|lease| u64::from(lease.back) + u64::from(lease.kept)).sum::<u64>();
        let others = self.bound().saturating_sub(theirs);
        u64::from(self.cap).saturating_sub(theirs.max(reserve(self.cap).into()) + others)
    }

    /// Places for those who come back: of those that are kept for them, and of those that they had at a worker that is gone.
    fn give_back(&mut self, wanted: u32, given: u32) -> u32 {
        let free = u64::from(self.cap).saturating_sub(self.bound() + u64::from(given));
        let free = u32::try_from(free).unwrap_or(u32::MAX).min(wanted);
        let mut more = wanted - free;
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
        let Self { seen, inside, kept, room, back, is_retired: retires, .. } = *self;
        let missed = self.missed.count;
        let wanted = if retires { 0 } else { wanted };
        Report { seen, inside, kept, room, back, wanted, missed, retires }
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    /// What may happen to three workers, their house and what is on its way between them.
    #[derive(Clone, Copy, Debug)]
    enum Happens {
        Arrive(usize),
        Return(usize),
        Depart(usize),
        Leave(usize),
        Retire(usize),
        Report(usize),
        Deliver(usize),
        Die(usize),
        Reconnect(usize),
        HouseDies,
        Wait(u64),
    }

    fn happens() -> impl Strategy<Value = Happens> {
        let worker = 0usize..3;
        prop_oneof![
            10 => worker.clone().prop_map(Happens::Arrive),
            3 => worker.clone().prop_map(Happens::Return),
            3 => worker.clone().prop_map(Happens::Depart),
            3 => worker.clone().prop_map(Happens::Leave),
            1 => worker.clone().prop_map(Happens::Retire),
            6 => worker.clone().prop_map(Happens::Report),
            6 => worker.clone().prop_map(Happens::Deliver),
            1 => worker.clone().prop_map(Happens::Die),
            1 => worker.prop_map(Happens::Reconnect),
            1 => Just(Happens::HouseDies),
            4 => (1u64..4_000).prop_map(Happens::Wait),
        ]
    }

    struct World {
        now: SystemTime,
        places: Places,
        names: [WorkerId; 3],
        shares: [Share; 3],
        /// Reports and grants under way, in order.
        reports: [Vec<Report>; 3],
        grants: [Vec<Grant>; 3],
        /// Of a worker that died, until when its people are waited for.
        kept: Vec<(SystemTime, u32)>,
    }

    impl World {
        fn step(&mut self, what: Happens) {
            match what {
                Happens::Arrive(at) => {
                    self.shares[at].admit(self.now);
                }
                Happens::Return(at) => {
                    if self.shares[at].admit_back(self.now, Some(7), false)
                        && let Some((_, kept)) = self.kept.iter_mut().find(|(_, kept)| *kept > 0)
                    {
                        // It was theirs.
                        *kept -= 1;
                    }
                }
                Happens::Depart(at) => self.shares[at].depart(),
                Happens::Leave(at) => {
                    self.shares[at].depart();
                    self.shares[at].leave();
                }
                Happens::Retire(at) => self.shares[at].retire(),
                Happens::Report(at) => self.reports[at].push(self.shares[at].report(5)),
                Happens::Deliver(at) => {
                    if !self.reports[at].is_empty() {
                        let report = self.reports[at].remove(0);
                        self.grants[at].extend(self.places.report(self.now, self.names[at], report));
                    }
                    if self.grants[at].len() > 1 {
                        let grant = self.grants[at].remove(0);
                        self.shares[at].take(self.now, grant);
                    }
                }
                Happens::Die(at) => {
                    self.places.gone(self.now, self.names[at]);
                    self.kept.push((self.now + KEPT, self.shares[at].inside()));
                    self.names[at] += 10;
                    self.shares[at] = Share::default();
                    self.lose(at);
                }
                Happens::Reconnect(at) => {
                    self.lose(at);
                    self.places.connected(self.names[at], self.shares[at].seen);
                    let report = self.shares[at].report(5);
                    self.grants[at].extend(self.places.report(self.now, self.names[at], report));
                }
                Happens::HouseDies => {
                    let cap = self.places.cap;
                    self.places = Places::new(self.now, cap, self.names);
                    // Each connects when it does.
                    (0..3).for_each(|at| self.lose(at));
                    // Who was at a worker that had died before may come back to a place that this house does not know of.
                    self.kept.clear();
                }
                Happens::Wait(ms) => self.now += Duration::from_millis(ms),
            }
            self.kept.retain(|(until, _)| self.now < *until);
        }

        fn lose(&mut self, at: usize) {
            self.reports[at].clear();
            self.grants[at].clear();
        }

        fn inside(&self) -> u32 {
            self.shares.iter().map(Share::inside).sum()
        }
    }

    fn world(cap: u32) -> World {
        let now = start();
        World {
            now,
            places: Places::new(now, cap, [1, 2, 3]),
            names: [1, 2, 3],
            shares: Default::default(),
            reports: Default::default(),
            grants: Default::default(),
            kept: Vec::new(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Whatever is lost, late or dies: no more are inside, with places that are kept, than there are places.
        #[test]
        fn the_cap_is_never_exceeded_by_one(cap in 1u32..120, life in prop::collection::vec(happens(), 1..300)) {
            let mut world = world(cap);
            for what in life {
                world.step(what);
                let kept: u32 = world.kept.iter().map(|(_, count)| count).sum();
                prop_assert!(world.inside() + kept <= cap, "{} inside and {kept} kept of {cap} after {what:?}", world.inside());
            }
        }

        /// Nothing is lost for ever: when all is quiet, all but the returners' part is used.
        #[test]
        fn all_places_are_used_in_the_end(cap in 1u32..120, life in prop::collection::vec(happens(), 1..100)) {
            let mut world = world(cap);
            for what in life {
                world.step(what);
            }
            // Whoever stays away has no place any more; and in the place of a worker that takes nobody there is another.
            for at in 0..3 {
                while world.shares[at].report(0).kept > 0 {
                    world.shares[at].leave();
                }
                if world.shares[at].report(0).retires {
                    world.step(Happens::Die(at));
                }
            }
            world.step(Happens::Wait(40_000));
            for round in 0..40 {
                if round == 20 {
                    // What was kept for those who came back is anybody's by then.
                    world.step(Happens::Wait(40_000));
                }
                for at in 0..3 {
                    // A connection that lost something is made anew.
                    world.step(Happens::Reconnect(at));
                    let grants = std::mem::take(&mut world.grants[at]);
                    for grant in grants {
                        world.shares[at].take(world.now, grant);
                    }
                    while world.shares[at].admit(world.now) {}
                }
            }
            prop_assert!(world.inside() >= cap - reserve(cap), "{} of {cap}", world.inside());
        }
    }

    #[test]
    fn of_those_whom_another_house_knew_as_many_are_kept_as_there_are_places() {
        let mut places = Places::new(start(), 50, []);
        places.keep_what_fits(start(), 30);
        places.keep_what_fits(start(), 30);
        assert_eq!((places.bound(), places.orphans()), (50, 50));
        places.keep_what_fits(start(), 1);
        assert_eq!(places.bound(), 50, "whoever was cut off is not inside");
    }

    #[test]
    fn whoever_has_a_place_at_hand_is_known_to_come_back() {
        let mut places = Places::new(start(), 40, []);
        places.keep(start(), 40);
        let later = start() + GRANT;
        let grant = places.report(later, 1, Report { wanted: 1, ..Report::default() }).expect("some of those places");
        assert!(grant.back > 0 && places.would_come_back(1) == grant.back, "{grant:?}");
        assert_eq!(u64::from(places.would_come_back(1)) + places.orphans(), 40, "nobody is lost");
        assert_eq!(places.would_come_back(2), 0);
    }

    #[test]
    fn a_worker_that_retires_gives_back_all_but_who_is_inside() {
        let now = start();
        let mut places = Places::new(now, 100, [1, 2]);
        let mut shares = [Share::default(); 2];
        let open = now + GRANT;
        for at in [0, 1].repeat(2) {
            if let Some(grant) = places.report(open, at as u64 + 1, shares[at].report(98)) {
                shares[at].take(open, grant);
            }
        }
        let [old, new] = &mut shares;
        assert!(old.admit(open) && old.admit(open));
        old.retire();
        assert!(!old.admit(open) && !old.admit_back(open, Some(7), true));
        assert_eq!(places.report(open, 1, old.report(98)), None);
        for _ in 0..2 {
            let grant = places.report(open, 2, new.report(98)).expect("all that is free");
            new.take(open, grant);
        }
        let inside = (0..200).filter(|_| new.admit(open)).count();
        assert_eq!(inside, 96, "all but those who stay, and the reserve");
    }

    #[test]
    fn where_there_are_fewer_places_what_was_given_goes_back_and_comes_again() {
        let now = start();
        let mut places = Places::new(now, 100, [1]);
        let mut share = Share::default();
        let open = now + GRANT;
        let talk = |places: &mut Places, share: &mut Share| {
            for _ in 0..2 {
                if let Some(grant) = places.report(open, 1, share.report(98)) {
                    share.take(open, grant);
                }
            }
        };
        talk(&mut places, &mut share);
        assert!((0..10).all(|_| share.admit(open)));
        places.set_cap(10);
        talk(&mut places, &mut share);
        assert!(!share.admit(open) && share.inside() == 10);
        places.set_cap(100);
        talk(&mut places, &mut share);
        assert_eq!((0..200).filter(|_| share.admit(open)).count(), 88);
    }

    #[test]
    fn a_place_that_is_kept_counts_among_those_for_who_comes_back() {
        let now = start();
        let mut places = Places::new(now, 10_000, [1]);
        let mut share = Share::default();
        let open = now + GRANT;
        let mut fill = |share: &mut Share| {
            for _ in 0..2 {
                if let Some(grant) = places.report(open, 1, share.report(20_000)) {
                    share.take(open, grant);
                }
                while share.admit(open) {}
            }
            share.inside()
        };
        assert_eq!(fill(&mut share), 9_800);
        (0..100).for_each(|_| share.depart());
        assert_eq!(fill(&mut share), 9_900, "a hundred of two hundred are theirs");
        (0..100).for_each(|_| share.depart());
        assert_eq!(fill(&mut share), 10_000 - AT_HAND - 16 + 16, "all but what is at hand");
        (0..300).for_each(|_| share.depart());
        assert_eq!(fill(&mut share), 10_000 - AT_HAND, "nobody else comes in by what is kept for them");
    }

    #[test]
    fn a_worker_whose_house_is_silent_stops_admitting() {
        let now = start();
        let mut places = Places::new(now, 100, [1]);
        let mut share = Share::default();
        let later = now + GRANT;
        share.take(later, places.report(later, 1, share.report(10)).expect("the house is open"));
        assert!(share.admit(later));
        assert!(!share.admit(later + GRANT));
    }

    #[test]
    fn a_house_that_has_just_begun_gives_nothing_until_it_has_heard_who_is_inside() {
        let now = start();
        let mut places = Places::new(now, 10, [1, 2]);
        assert_eq!(places.report(now, 1, Report { seen: 7, inside: 9, room: 1, wanted: 5, ..Report::default() }), None);
        let open = now + GRANT;
        assert_eq!(
            places.report(open, 2, Report { wanted: 5, ..Report::default() }),
            Some(Grant { number: 1, ..Grant::default() })
        );
    }

    #[test]
    fn whoever_was_at_a_worker_that_died_comes_back_to_another() {
        let now = start();
        let mut places = Places::new(now, 100, [1, 2]);
        let mut shares = [Share::default(); 2];
        let open = now + GRANT;
        let talk = |places: &mut Places, shares: &mut [Share; 2], worker: u64, wanted| {
            let share = &mut shares[worker as usize - 1];
            if let Some(grant) = places.report(open, worker, share.report(wanted)) {
                share.take(open, grant);
            }
        };
        for worker in [1, 2].repeat(8) {
            talk(&mut places, &mut shares, worker, 49);
            while shares[worker as usize - 1].admit(open) {}
        }
        let [there, here] = [shares[0].inside(), shares[1].inside()];
        assert_eq!(there + here, 98);
        places.gone(open, 1);
        shares[1].admit_back(open, Some(0), false).then_some(()).expect("one is at hand");
        for who in 1..=there.into() {
            shares[1].admit_back(open, Some(who), false);
        }
        talk(&mut places, &mut shares, 2, 49);
        assert!(!shares[1].admit(open), "nobody else comes in by what is kept for them");
        let back = (0..100).filter(|who| shares[1].admit_back(open, Some(*who), false)).count() as u32;
        assert_eq!((shares[1].inside(), back), (100, there + 1), "all of them, and the reserve");
    }

    /// The one in its place begins when the other has been given something already, and is asked twice as often.
    #[test]
    fn whoever_was_at_a_worker_that_died_comes_back_to_the_one_that_follows_it() {
        let now = start();
        let mut places = Places::new(now, 10_000, [1, 2]);
        let mut shares = [Share::default(); 3];
        let open = now + GRANT;
        let talk = |places: &mut Places, shares: &mut [Share; 3], worker: u64| {
            let share = &mut shares[worker as usize - 1];
            if let Some(grant) = places.report(open, worker, share.report(4_900)) {
                share.take(open, grant);
            }
        };
        for worker in [1, 2].repeat(20) {
            talk(&mut places, &mut shares, worker);
            while shares[worker as usize - 1].admit(open) {}
        }
        let there = u64::from(shares[0].inside());
        assert!(there > 2_000 && there + u64::from(shares[1].inside()) == 9_800);
        places.gone(open, 1);
        talk(&mut places, &mut shares, 2);
        let mut away = [there / 3, there - there / 3];
        for _quarter in 0..40 {
            for (at, away) in away.iter_mut().enumerate() {
                let comes = (*away).min(1_000);
                let back = (0..comes).filter(|who| shares[1 + at].admit_back(open, Some(*who), false)).count();
                *away -= back as u64;
                talk(&mut places, &mut shares, 2 + at as u64);
            }
        }
        // What one has at hand and is not asked for is less than what is kept for whoever comes back later.
        assert!(away[0] + away[1] <= reserve(10_000).into(), "{away:?} are away after ten seconds");
    }

    #[test]
    fn one_who_asks_again_and_again_draws_no_more_of_the_reserve_to_a_worker_than_a_place() {
        let now = start();
        let mut places = Places::new(now, 10_000, [1, 2]);
        let mut shares = [Share::default(); 2];
        let open = now + GRANT;
        let talk = |now, places: &mut Places, shares: &mut [Share; 2]| {
            for (share, worker) in shares.iter_mut().zip([1, 2]) {
                if let Some(grant) = places.report(now, worker, share.report(20_000)) {
                    share.take(now, grant);
                }
                while share.admit(now) {}
            }
        };
        (0..20).for_each(|_| talk(open, &mut places, &mut shares));
        let inside = |shares: &[Share; 2]| shares[0].inside() + shares[1].inside();
        assert_eq!(inside(&shares), 9_800);
        // All that is at hand is used, and one comes a thousand times between two grants.
        while shares[0].admit_back(open, None, false) {}
        (0..1_000).for_each(|_| assert!(!shares[0].admit_back(open, Some(7), false)));
        talk(open, &mut places, &mut shares);
        assert_eq!(shares[0].report(0).back, AT_HAND + 1);
        assert_eq!(inside(&shares), 9_800 + AT_HAND);
        // What nobody came for is nobody's but who comes back, as before.
        (0..20).for_each(|second| talk(open + KEPT + Duration::from_secs(second), &mut places, &mut shares));
        assert_eq!((inside(&shares), shares[0].report(0).back), (9_800 + AT_HAND, AT_HAND));
    }
}
