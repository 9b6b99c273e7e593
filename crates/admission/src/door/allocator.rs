//! The house's half of the door: it deals out places, opens the window, puts the draw together and keeps the timetable.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use super::desk::{Phase, SPREAD, TALLY, Told, WINDOW, Word, Yours, comes_after_silence};
use super::draw::Tally;
use super::places::{GRANT, Grant, Places, WorkerId, reserve};
use super::standing::{Crowd, Past, Standing};
use super::ticket::Class;
use super::timetable::{Outlook, Promises, STEP, Stays, Timetable};

/// Cohorts of those inside that are told apart, a [`STEP`] each; an hour. Older ones leave hardly faster or slower with another minute.
const COHORTS_MAX: usize = 720;
/// Workers that are gone and are told apart, for they may not be: more than a node has.
const GONE_MAX: usize = 64;
/// Seconds after which whoever has not come is not counted on any more. Whoever is later has the next place that falls free.
const PUNCTUAL: usize = 30;
/// Of those seconds, these are over: who came in the others may have come at their own time, and not late.
const LATE_AT_MOST: usize = 10;
const _: () = assert!(LATE_AT_MOST < PUNCTUAL);

/// A worker that says nothing for so long is stuck: what it has is nobody's place.
const SLOW: Duration = Duration::from_secs(3 * GRANT.as_secs());

/// Whoever was drawn comes so much later than they were told to, for a network is slow or a page was asleep: a crowd of few is not over before.
const SLACK: Duration = Duration::from_secs(10);

/// Which of [`Past::counts`] that is.
const LATE_TICKETS: usize = 0;
const ENTERED: usize = 1;
const CAME: usize = 2;

fn counts(told: &Told) -> [u64; 3] {
    // Whoever came back has been there for as long as they have.
    [told.late, told.entered.saturating_sub(told.report.came_back), told.came]
}

/// Whether a window that was opened then is open still.
fn is_now(now: SystemTime, since: SystemTime) -> bool {
    now.duration_since(since).is_ok_and(|ago| ago < WINDOW)
}

/// A draw that was made.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Of which crowd.
    pub opening: u16,
    /// How many each worker had drawn: the first so many of its list.
    pub workers: Vec<(WorkerId, u64)>,
    /// All of them.
    pub tally: Tally,
    /// Ranks and times.
    pub table: Timetable,
}

/// One space's.
#[derive(Debug)]
pub struct Allocator {
    cap: u32,
    pace: u32,
    stays: Stays,
    places: Places,
    workers: BTreeMap<WorkerId, Told>,
    /// When each was last heard.
    heard: BTreeMap<WorkerId, SystemTime>,
    /// What those that are gone had told: what was given and promised by them stays so.
    gone: BTreeMap<WorkerId, Past>,
    /// And those that were before them, all together.
    past: Past,
    tallies: BTreeMap<WorkerId, Tally>,
    promises: BTreeMap<WorkerId, Promises>,
    state: State,
    /// Which crowd this is.
    opening: u16,
    /// How many were let in in each step, the newest first, and when that one began.
    cohorts: VecDeque<u64>,
    cohort_began: SystemTime,
    entered: u64,
    /// Late tickets, as of each of the last sixty seconds.
    lates: VecDeque<u64>,
    /// Whose turn it had been by each of the last [`PUNCTUAL`] seconds, and how many had come.
    turns: VecDeque<(u64, u64)>,
    /// How many had come when the draw was made.
    came_before: u64,
    /// Late tickets of earlier crowds.
    late_before: u64,
    /// Of those whose turn it was, so many have not come in time.
    absent: u64,
    /// When there were last places to give.
    gave: SystemTime,
    excused: Excused,
    /// Lower ranks are expected to be let in within the [`HORIZON`](super::timetable::HORIZON).
    reach: u64,
}

/// Whose turn it was while nobody was given a place: they are on their way back, and not absent.
#[derive(Debug)]
struct Excused {
    /// How many had not come when places were given again.
    count: u64,
    since: SystemTime,
    /// By then they are back: over the last three quarters, as [`comes_after_silence`] says.
    until: SystemTime,
}

impl Excused {
    fn begins(&mut self, now: SystemTime, silent: Duration, count: u64) {
        (self.count, self.since) = (count, now);
        self.until = self.until.max(now + comes_after_silence(silent));
    }

    /// So many of them are not back, if all come, of as many as were due.
    fn left(&self, now: SystemTime, due: u64) -> u64 {
        let all = self.until.duration_since(self.since).unwrap_or_default().as_secs_f64();
        let left = self.until.duration_since(now).unwrap_or_default().as_secs_f64();
        if left <= 0.0 { 0 } else { (self.count.min(due) as f64 * (left / (0.75 * all)).min(1.0)) as u64 }
    }
}

#[derive(Debug)]
enum State {
    Open,
    Gathering {
        until: SystemTime,
    },
    Queue {
        drawn: Tally,
        table: Timetable,
        /// Before that not everybody who was drawn has asked for their place.
        asked: SystemTime,
    },
}

impl Allocator {
    /// For so many places, into which so many can be let in each second, by a house that begins now and finds these workers.
    pub fn new(
        now: SystemTime,
        cap: u32,
        pace: u32,
        stays: Stays,
        workers: impl IntoIterator<Item = WorkerId>,
    ) -> Self {
        Self {
            cap,
            pace,
            stays,
            places: Places::new(now, cap, workers),
            workers: BTreeMap::new(),
            heard: BTreeMap::new(),
            gone: BTreeMap::new(),
            past: Past::default(),
            tallies: BTreeMap::new(),
            promises: BTreeMap::new(),
            state: State::Open,
            opening: 0,
            cohorts: VecDeque::from([0]),
            cohort_began: now,
            entered: 0,
            lates: VecDeque::new(),
            turns: VecDeque::new(),
            came_before: 0,
            late_before: 0,
            absent: 0,
            gave: now,
            excused: Excused { count: 0, since: now, until: now },
            reach: 0,
        }
    }

    /// Hears a worker; what it gets.
    pub fn hear(&mut self, now: SystemTime, worker: WorkerId, told: Told) -> Option<Grant> {
        if let State::Open = self.state {
            // An earlier house had come so far.
            self.opening = self.opening.max(told.opening);
            if told.pressed.is_some_and(|since| !is_now(now, since)) {
                // Its window is over, and no house drew it: whoever comes is of another crowd, or their tickets would be due before they are given.
                self.opening = self.opening.max(told.opening.wrapping_add(1));
            }
        }
        // One that was only silent tells of all that it told before.
        self.gone.remove(&worker);
        if !matches!(self.state, State::Open) && told.opening.wrapping_sub(self.opening) as i16 > 0 {
            // What an earlier house kept was of a crowd before this one.
            (self.state, self.opening) = (State::Open, told.opening);
        }
        self.workers.insert(worker, told);
        self.heard.insert(worker, now);
        self.places.report(now, worker, told.report)
    }

    /// Whether the workers' tallies are wanted: the window has ended, and nobody has been drawn.
    pub fn wants_tallies(&self, now: SystemTime) -> bool {
        matches!(self.state, State::Gathering { until } if now >= until)
    }

    /// Hears whom a worker has to draw, of that crowd.
    pub fn hear_tally(&mut self, worker: WorkerId, opening: u16, tally: Tally) {
        if opening == self.opening {
            self.tallies.insert(worker, tally);
        }
    }

    /// Hears what a worker has promised.
    pub fn hear_promises(&mut self, worker: WorkerId, promises: Promises) {
        self.promises.insert(worker, promises);
    }

    /// A worker is gone, and everybody who was there is to come back.
    pub fn gone(&mut self, now: SystemTime, worker: WorkerId) {
        self.heard.remove(&worker);
        let promises = self.promises.remove(&worker).unwrap_or_default();
        let past = |told: Told| Past { counts: counts(&told), promises, inside: 0 };
        self.gone.extend(self.workers.remove(&worker).map(|told| (worker, past(told))));
        if self.gone.len() > GONE_MAX
            && let Some((_, gone)) = self.gone.pop_first()
        {
            self.past.counts.iter_mut().zip(gone.counts).for_each(|(sum, count)| *sum += count);
            self.past.promises.merge(now, &gone.promises);
        }
        self.places.gone(now, worker);
    }

    /// Once a second: what to tell each worker.
    pub fn tick(&mut self, now: SystemTime) -> Vec<(WorkerId, Word)> {
        let entered = self.sum(ENTERED);
        while self.cohort_began + STEP <= now {
            self.cohort_began += STEP;
            self.cohorts.push_front(0);
            if self.cohorts.len() > COHORTS_MAX {
                // The oldest are as old as those before them.
                let oldest = self.cohorts.pop_back().unwrap_or_default();
                *self.cohorts.back_mut().expect("there are more") += oldest;
            }
        }
        self.cohorts[0] += entered.saturating_sub(self.entered);
        self.entered = entered;
        self.step(now);
        let workers = self.workers.values().filter(|told| !told.report.retires).count();
        let workers = u32::try_from(workers.max(1)).unwrap_or(u32::MAX);
        let pace = self.pace.div_ceil(workers);
        let late = self.late();
        let phase = match &self.state {
            State::Open => Phase::Open,
            State::Gathering { until } => Phase::Gathering { until: *until },
            State::Queue { drawn, table, .. } => {
                let mut promises = self.past.promises.clone();
                self.gone
                    .values()
                    .map(|gone| &gone.promises)
                    .chain(self.promises.values())
                    .for_each(|theirs| promises.merge(now, theirs));
                let spare = self.table(now, table.rank(now)).spare(&promises);
                let spare = u32::try_from(spare).unwrap_or(u32::MAX);
                let per_minute = late.saturating_sub(self.lates.front().copied().unwrap_or(late));
                Phase::Queue { drawn: drawn.clone(), table: table.clone(), late, per_minute, spare }
            }
        };
        // Two seconds of joins: what is asked for is there when it is needed, and little of it lies idle at a worker to whom nobody comes.
        let wanted = pace.saturating_mul(2);
        // One that is not heard of lets nobody in; for a while it is only slow, and who comes to others is told that it is a moment, and not drawn.
        let is_heard = |worker: &WorkerId| self.heard.get(worker).is_some_and(|heard| now < *heard + SLOW);
        let rooms = self.workers.keys().filter(|worker| is_heard(worker)).map(|worker| self.places.room(*worker));
        let free = rooms.fold(u32::try_from(self.places.free()).unwrap_or(u32::MAX), u32::saturating_add);
        // Those that take nobody any more are the last.
        let mut all: Vec<_> = self.workers.iter().collect();
        all.sort_by_key(|(_, told)| told.report.retires);
        let word = |(index, (worker, told)): (usize, (&WorkerId, &Told))| {
            let yours = Yours { wanted, late: told.late, index: u32::try_from(index).unwrap_or(0), workers };
            (*worker, Word { opening: self.opening, phase: phase.clone(), pace, free, yours })
        };
        all.into_iter().enumerate().map(word).collect()
    }

    /// Of all workers that are there or were.
    fn sum(&self, which: usize) -> u64 {
        let gone = self.gone.values().map(|gone| gone.counts[which]).sum::<u64>();
        self.past.counts[which] + gone + self.workers.values().map(|told| counts(told)[which]).sum::<u64>()
    }

    /// Whether some worker has not said yet how many are inside there.
    pub fn awaits(&self) -> bool {
        self.places.awaits()
    }

    /// What the next house has to know, if this one is not there any more. `None`: there was no crowd, and nobody is inside.
    pub fn standing(&self) -> Option<Standing> {
        let crowd = match &self.state {
            State::Open if self.opening == 0 && self.inside() == 0 && self.places.orphans() == 0 => return None,
            State::Open => Crowd::Open,
            State::Gathering { until } => Crowd::Gathering(*until),
            State::Queue { drawn, table, asked } => Crowd::Queue {
                drawn: drawn.clone(),
                table: table.clone(),
                asked: *asked,
                before: [self.came_before, self.late_before],
                absent: self.absent,
            },
        };
        let mut workers: Vec<_> = self.gone.iter().map(|(worker, past)| (*worker, past.clone())).collect();
        workers.extend(self.workers.iter().map(|(worker, told)| {
            let promises = self.promises.get(worker).cloned().unwrap_or_default();
            (*worker, Past { counts: counts(told), promises, inside: self.places.would_come_back(*worker) })
        }));
        let kept = u32::try_from(self.places.orphans()).unwrap_or(u32::MAX);
        let past = Past { inside: kept, ..self.past.clone() };
        let (cohorts, cohort_began) = (self.cohorts.iter().copied().collect(), self.cohort_began);
        Some(Standing { opening: self.opening, crowd, cohorts, cohort_began, workers, past })
    }

    /// Goes on where another house stopped. Its workers are gone until they tell, and whoever was inside at one of which nothing is known has a place [kept](Places::keep), as after any worker's end;
    /// and whoever was drawn meanwhile, or is about to ask, has the time for it that they would have had.
    ///
    /// A crowd of another time is left: of before an outage of half an hour, or of a clock that went ahead of this one. Whoever comes is of the next one, for that one may have been drawn in public.
    pub fn resume(&mut self, now: SystemTime, standing: Standing) {
        if !standing.is_of(now) {
            self.opening = self.opening.max(standing.opening.wrapping_add(1));
            return;
        }
        let Standing { opening, crowd, cohorts, cohort_began, mut workers, mut past } = standing;
        let is_anew = !workers.iter().any(|(worker, _)| self.places.knows(*worker));
        if is_anew {
            self.places.begin_anew();
        }
        self.places.keep_what_fits(now, std::mem::take(&mut past.inside));
        for (worker, past) in &mut workers {
            let inside = std::mem::take(&mut past.inside);
            if !self.places.knows(*worker) {
                self.places.keep_what_fits(now, inside);
            }
        }
        // In that step the house before this one was there last.
        self.gave = cohort_began.min(now);
        (self.opening, self.cohort_began, self.past) = (opening, cohort_began, past);
        self.gone = workers.into_iter().collect();
        self.cohorts = if cohorts.is_empty() { VecDeque::from([0]) } else { cohorts.into() };
        self.entered = self.sum(ENTERED);
        self.state = match crowd {
            // Whom they had drawn, or begun to in the last second, only its workers knew: whoever comes with such a ticket is drawn anew.
            Crowd::Open | Crowd::Gathering(_) if is_anew => {
                self.opening = opening.wrapping_add(1);
                State::Open
            }
            Crowd::Open => State::Open,
            Crowd::Gathering(until) => State::Gathering { until: until.max(now) },
            Crowd::Queue { drawn, table, asked, before, absent } => {
                ([self.came_before, self.late_before], self.absent) = (before, absent);
                State::Queue { drawn, table, asked: asked.max(now + SPREAD + SLACK) }
            }
        };
    }

    /// That crowd was the last that was drawn in public: its secret is known, and the next to begin is a later one. If it stands, or a later one does, that goes on.
    pub fn comes_after(&mut self, drawn: u16) {
        let is_later = if let State::Open = self.state { self.opening > drawn } else { self.opening >= drawn };
        if !is_later {
            (self.state, self.opening) = (State::Open, drawn.wrapping_add(1));
        }
    }

    /// Which crowd this is, or the next one will be; `None`: no worker has said yet how far an earlier house had come.
    pub fn opening(&self) -> Option<u16> {
        (!self.workers.is_empty()).then_some(self.opening)
    }

    /// The draw of this crowd, once it was made.
    pub fn drawn(&self) -> Option<Drawn> {
        let State::Queue { drawn, table, .. } = &self.state else { return None };
        let workers = self.tallies.iter().map(|(worker, tally)| (*worker, tally.total())).collect();
        Some(Drawn { opening: self.opening, workers, tally: drawn.clone(), table: table.clone() })
    }

    /// There are so many places from now on. Who is inside stays there, and what was promised is kept as places fall free.
    pub fn set_cap(&mut self, cap: u32) {
        self.cap = cap;
        self.places.set_cap(cap);
    }

    /// So many places there are.
    pub fn cap(&self) -> u32 {
        self.cap
    }

    /// Of those who wait, so many have no time within half an hour, and cannot expect one. While they gather nobody has one yet.
    pub fn without_time(&self) -> u64 {
        match &self.state {
            State::Open | State::Gathering { .. } => 0,
            State::Queue { drawn, table, .. } => {
                (drawn.total() + self.late()).saturating_sub(self.reach.max(table.ranks()))
            }
        }
    }

    /// Whether whoever comes is drawn, and not served in turn: the window is open.
    pub fn is_gathering(&self) -> bool {
        matches!(self.state, State::Gathering { .. })
    }

    /// So many are inside, as they told.
    pub fn inside(&self) -> u32 {
        self.workers.values().map(|told| told.report.inside).sum()
    }

    /// So many wait; `None`: nobody has to. While they gather nobody has counted them yet.
    pub fn waiting(&self, now: SystemTime) -> Option<u64> {
        match &self.state {
            State::Open => None,
            State::Gathering { .. } => Some(0),
            State::Queue { drawn, table, .. } => Some((drawn.total() + self.late()).saturating_sub(table.rank(now))),
        }
    }

    /// The same by class, of those who have been counted. Whoever was not vouched for when they were drawn is anybody.
    pub fn waiting_by_class(&self, now: SystemTime) -> [u64; Class::ALL.len()] {
        let mut by_class = [0; Class::ALL.len()];
        if let State::Queue { drawn, table, .. } = &self.state {
            let next = table.rank(now);
            for class in [Class::Follower, Class::Earlier] {
                by_class[class as usize] = drawn.behind(class, next);
            }
            let vouched = by_class.iter().sum();
            by_class[Class::Anybody as usize] = self.waiting(now).unwrap_or(0).saturating_sub(vouched);
        }
        by_class
    }

    /// As [`Places::bound`].
    pub fn bound(&self) -> u64 {
        self.places.bound()
    }

    /// How many may be inside, or kept for those who were a moment ago.
    fn promisable(&self) -> u32 {
        let kept = self.workers.values().map(|told| told.report.kept).sum::<u32>();
        self.cap - reserve(self.cap) + kept.min(reserve(self.cap))
    }

    /// Of those whose turn it has been, when it is that of rank `next`, so many are still on their way.
    fn coming(&self, next: u64) -> u64 {
        next.saturating_sub(self.came() + self.absent)
    }

    /// How many of those for whom there was a time have come since the draw.
    fn came(&self) -> u64 {
        self.came_ever().saturating_sub(self.came_before)
    }

    /// Ever let in at the time that they were told, or after it.
    fn came_ever(&self) -> u64 {
        self.sum(CAME)
    }

    /// How many have come after the draw.
    fn late(&self) -> u64 {
        self.late_ever().saturating_sub(self.late_before)
    }

    fn late_ever(&self) -> u64 {
        self.sum(LATE_TICKETS)
    }

    fn step(&mut self, now: SystemTime) {
        let (late, came) = (self.late(), self.came());
        let silent = now.duration_since(self.gave).unwrap_or_default();
        let is_silent = silent > GRANT;
        if is_silent && !matches!(self.state, State::Queue { .. }) {
            self.excused.begins(now, silent, 0);
        }
        if self.places.gives(now) {
            self.gave = now;
        }
        self.lates.push_back(late);
        if self.lates.len() > 60 {
            self.lates.pop_front();
        }
        match &mut self.state {
            State::Open => {
                // What was told of an earlier crowd, or of no time at which this can be, opens nothing.
                let opening = self.opening;
                let pressed =
                    self.workers.values().filter(|told| told.opening == opening).filter_map(|told| told.pressed);
                if let Some(since) = pressed.filter(|since| is_now(now, *since)).min() {
                    self.state = State::Gathering { until: since + WINDOW };
                    // Whoever was silent was so to an earlier crowd.
                    self.excused.until = now;
                    self.tallies.clear();
                }
            }
            State::Gathering { until } if now >= *until + TALLY => {
                let mut drawn = Tally::default();
                self.tallies.values().for_each(|tally| drawn.merge(tally));
                (self.came_before, self.late_before) = (self.came_ever(), self.late_ever());
                self.lates.clear();
                self.absent = 0;
                self.turns.clear();
                // Who asks where nobody is given a place asks later, also for a rank.
                self.excused.count = drawn.total();
                let table = self.table(now, 0);
                self.reach = table.ranks();
                self.state = State::Queue { drawn, table, asked: now + SPREAD + SLACK };
            }
            State::Gathering { .. } => {}
            State::Queue { drawn, table, asked } => {
                let is_over = now >= *asked;
                let waiting = drawn.total() + late;
                let next = table.rank(now).min(waiting);
                if is_silent {
                    self.turns.clear();
                    self.excused.begins(now, silent, next.saturating_sub(came + self.absent));
                }
                self.turns.push_back((next, came));
                if self.turns.len() > PUNCTUAL {
                    let (were_due, _) = self.turns.pop_front().unwrap_or_default();
                    let (_, have_come) = self.turns[LATE_AT_MOST];
                    let excused = self.excused.left(now, were_due);
                    self.absent = self.absent.max(were_due.saturating_sub(have_come + excused));
                }
                if next >= waiting && is_over {
                    self.state = State::Open;
                    self.opening = self.opening.wrapping_add(1);
                } else {
                    let outlook = self.table(now, next);
                    self.reach = outlook.ranks();
                    if let State::Queue { table, .. } = &mut self.state {
                        table.extend(&outlook);
                    }
                }
            }
        }
    }

    fn table(&self, now: SystemTime, first: u64) -> Timetable {
        // Who of each cohort is still there nobody has counted: as many as their age says, together as many as there are.
        let stayed = |(age, count): (usize, &u64)| *count as f64 * (1.0 - self.stays.freed_after(STEP * age as u32));
        let mut inside: Vec<f64> = self.cohorts.iter().enumerate().map(stayed).collect();
        let sum: f64 = inside.iter().sum();
        // Whoever was at a worker that is gone comes back.
        let together = u64::from(self.inside()) + self.places.orphans();
        let scale = if sum > 0.0 { together as f64 / sum } else { 0.0 };
        inside.iter_mut().for_each(|count| *count *= scale);
        // Whoever is on their way is as good as inside.
        inside[0] += self.coming(first) as f64;
        Timetable::of(&Outlook {
            now,
            first,
            places: self.promisable(),
            inside: &inside,
            pace: self.pace,
            stays: self.stays,
        })
    }
}

#[cfg(test)]
mod tests;
