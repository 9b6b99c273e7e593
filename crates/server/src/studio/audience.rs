//! Who hears each space, added up over all workers and all forms: what may be believed of it, and no more.
//!
//! Connections are counted exactly. People are estimated from sketches, which the workers tell register by register: everyone who ever heard the space, and those
//! who hear it by pieces (HLS) now. Totals are kept by *run*, one life of one worker, for a worker whose connection broke says them again, and one that died does not.
//! All of it is in memory: a house that begins anew is told what its workers have, and what only dead ones had is gone.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use hiwar_delivery::audience::{Register, SLOT, Sketch};
use hiwar_engine::live_bus::{self, Count, Run, WorkerFigures, WorkerId};
use hiwar_segment_log::LogId;

/// At most so often the numbers of a space are told.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Slots of [`SLOT`] that a mark counts for, the one under way among them: a player with segments of 4 s is told of once in a slot, up to 9 s apart, and
/// a report may be a second late. So who left is counted for 15 to 20 s more.
const SLOTS: usize = 4;
/// Of a space that is not on the air, numbers are kept for so long: a worker tells of those that the house has not opened yet, and for a minute (`Limits::farewell`) of those
/// that are over, whose totals would be counted a second time if it were forgotten what they were.
const KEPT: Duration = Duration::from_secs(90);
/// Lives of workers that are kept apart for one space. Beyond, those of dead ones are added up for good.
const RUNS_MAX: usize = 256;

/// Who hears a space.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Connections that hear it now.
    pub streams: u32,
    /// People who hear it by pieces now, about.
    pub by_pieces: u64,
    /// Different people who ever heard it, about.
    pub unique: u64,
    /// The audience since the space is on the air.
    pub totals: Totals,
    /// Connections of a rehearsal now. In no other number.
    pub rehearsed: u32,
    /// As `totals`.
    pub rehearsal_totals: Totals,
}

impl Numbers {
    /// Everyone of the audience who hears it now.
    pub fn listeners(&self) -> u32 {
        self.streams.saturating_add(u32::try_from(self.by_pieces).unwrap_or(u32::MAX))
    }

    /// The same when nobody hears it any more.
    pub fn over(self) -> Self {
        Self { streams: 0, by_pieces: 0, rehearsed: 0, ..self }
    }
}

/// What only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections that ever began.
    pub joined: u64,
    /// Of these, those who left and had heard nothing.
    pub silent: u64,
    /// Requests for sound for which there was no room.
    pub turned_away: u64,
    /// Bytes sent.
    pub bytes: u64,
}

impl Totals {
    fn of(figures: &live_bus::Figures) -> Self {
        let live_bus::Figures { joined_total, silent_total, turned_away_total, bytes_total, .. } = *figures;
        Self { joined: joined_total, silent: silent_total, turned_away: turned_away_total, bytes: bytes_total }
    }

    fn add(&mut self, more: Self) {
        for (mine, more) in [
            (&mut self.joined, more.joined),
            (&mut self.silent, more.silent),
            (&mut self.turned_away, more.turned_away),
            (&mut self.bytes, more.bytes),
        ] {
            *mine = mine.saturating_add(more);
        }
    }

    fn take(&mut self, less: Self) {
        self.joined -= less.joined;
        self.silent -= less.silent;
        self.turned_away -= less.turned_away;
        self.bytes -= less.bytes;
    }

    /// Whether somebody who only ever counts up cannot have come here from there.
    fn is_behind(self, before: Self) -> bool {
        self.joined < before.joined
            || self.silent < before.silent
            || self.turned_away < before.turned_away
            || self.bytes < before.bytes
    }
}

/// Who hears at one worker, whatever they hear. Rehearsals and people who hear by pieces are not in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AtWorker {
    /// Connections that hear now.
    pub streams: u32,
    /// The audience since the worker began.
    pub totals: Totals,
}

/// Every space's audience.
#[derive(Default)]
pub(super) struct Audiences {
    spaces: HashMap<LogId, Audience>,
    /// Of all spaces, also those that are over: audience and rehearsal.
    all: [Totals; 2],
    workers: Workers,
}

/// One space's.
struct Audience {
    streams: u32,
    rehearsed: u32,
    ledger: Ledger,
    /// Made for the first who is told of.
    ever: Option<Sketch>,
    by_pieces: Option<Box<Window>>,
    /// Estimated from that; `None`: it has grown since.
    unique: Option<u64>,
    /// What was told last, and when.
    told: Option<(Instant, Numbers)>,
    begun: Instant,
}

/// Totals of the audience and of the rehearsal, by run and form.
#[derive(Default)]
struct Ledger {
    /// The one that was told of longest ago first.
    lines: Vec<(Run, LogId, [Totals; 2])>,
    finished: [Totals; 2],
}

/// Who was marked in the last seconds.
struct Window {
    slots: [Sketch; SLOTS],
    /// The slot under way, counted from `begun`.
    now: u64,
    begun: Instant,
}

/// What workers count of themselves.
#[derive(Default)]
struct Workers {
    here: HashMap<WorkerId, Run>,
    /// Also of those whose connection broke: it may be the same worker that comes back.
    runs: Vec<(Run, WorkerFigures)>,
    finished: WorkerFigures,
    /// Who hears there, of the same.
    heard: BTreeMap<Run, AtWorker>,
}

impl Audiences {
    /// Takes in what a worker counted, and how many hear each space that changed: connections, and those of a rehearsal. Returns what there is to tell.
    pub(super) fn counted(
        &mut self,
        worker: WorkerId,
        run: Run,
        counts: &[Count],
        changed: &[(LogId, u32, u32)],
        now: Instant,
    ) -> Vec<(LogId, Numbers)> {
        self.workers.here.insert(worker, run);
        let mut at = self.workers.heard.get(&run).copied().unwrap_or_default();
        at.streams = counts.iter().fold(0, |sum, count| count.audience.listening.saturating_add(sum));
        for count in counts {
            let totals = [Totals::of(&count.audience), Totals::of(&count.rehearsal)];
            let here = &self.workers.here;
            let is_here = |run: &Run| here.values().any(|here| here == run);
            let more = entry(&mut self.spaces, count.log.stem(), now).ledger.put(run, count.log, totals, is_here);
            self.all.iter_mut().zip(more).for_each(|(sum, more)| sum.add(more));
            let [audience, _] = more;
            at.totals.add(audience);
        }
        self.workers.hear(run, at);
        self.hear(changed, now);
        let mut spaces: Vec<LogId> = counts.iter().map(|count| count.log.stem()).collect();
        spaces.extend(changed.iter().map(|(space, ..)| *space));
        spaces.sort();
        spaces.dedup();
        spaces.into_iter().filter_map(|space| Some((space, self.spaces.get_mut(&space)?.tell(now)?))).collect()
    }

    /// How many hear the spaces that changed.
    fn hear(&mut self, changed: &[(LogId, u32, u32)], now: Instant) {
        for &(space, streams, rehearsed) in changed {
            let audience = entry(&mut self.spaces, space, now);
            (audience.streams, audience.rehearsed) = (streams, rehearsed);
        }
    }

    /// Takes in registers of a log's sketch.
    pub(super) fn people(
        &mut self,
        log: &LogId,
        heard: live_bus::Heard,
        registers: &[live_bus::Register],
        now: Instant,
    ) {
        let audience = entry(&mut self.spaces, log.stem(), now);
        let registers = registers.iter().map(|&live_bus::Register { index, value }| Register { index, value });
        match heard {
            live_bus::Heard::Ever => {
                let ever = audience.ever.get_or_insert_default();
                if ever.take_all(registers) {
                    audience.unique = None;
                }
            }
            live_bus::Heard::ByPieces => {
                let window = audience.by_pieces.get_or_insert_with(|| Box::new(Window::new(now)));
                window.slot(now).take_all(registers);
            }
        }
    }

    /// A worker tells of itself.
    pub(super) fn worker(&mut self, worker: WorkerId, run: Run, figures: WorkerFigures) {
        self.workers.here.insert(worker, run);
        self.workers.put(run, figures);
    }

    /// A worker's connection is over; its listeners were taken off before.
    pub(super) fn left(&mut self, worker: WorkerId, changed: &[(LogId, u32, u32)], now: Instant) {
        self.workers.here.remove(&worker);
        self.hear(changed, now);
    }

    /// Once a second: what there is to tell, and what is not on the air any more is forgotten.
    pub(super) fn tick(&mut self, now: Instant, is_on_air: impl Fn(&LogId) -> bool) -> Vec<(LogId, Numbers)> {
        self.spaces.retain(|space, audience| now.duration_since(audience.begun) < KEPT || is_on_air(space));
        self.spaces.iter_mut().filter_map(|(space, audience)| Some((*space, audience.tell(now)?))).collect()
    }

    /// The audience's totals of all spaces, also those that are over, and those of rehearsals.
    pub(super) fn totals(&self) -> [Totals; 2] {
        self.all
    }

    /// What all workers counted of themselves: now, of those who are here, and in all. Of what they do against too many: the most that any of them does.
    pub(super) fn worker_figures(&self) -> WorkerFigures {
        self.workers.sum()
    }

    /// What each worker that is here counted of itself.
    pub(super) fn each_worker(&self) -> Vec<(Run, WorkerFigures)> {
        self.workers.each()
    }

    /// Who hears at each worker that is here.
    pub(super) fn heard_by_worker(&self) -> Vec<(Run, AtWorker)> {
        let workers = &self.workers;
        workers.heard.iter().filter(|(run, _)| workers.is_here(run)).map(|(run, at)| (*run, *at)).collect()
    }

    /// The space is off the air: of what was counted only the totals are kept, until no worker tells of it any more.
    pub(super) fn forget(&mut self, space: &LogId, now: Instant) {
        if let Some(over) = self.spaces.remove(space) {
            entry(&mut self.spaces, *space, now).ledger = over.ledger;
        }
    }
}

fn entry(spaces: &mut HashMap<LogId, Audience>, space: LogId, now: Instant) -> &mut Audience {
    spaces.entry(space).or_insert_with(|| Audience {
        streams: 0,
        rehearsed: 0,
        ledger: Ledger::default(),
        ever: None,
        by_pieces: None,
        unique: Some(0),
        told: None,
        begun: now,
    })
}

impl Audience {
    /// Its numbers, if they are news and were not told just now.
    fn tell(&mut self, now: Instant) -> Option<Numbers> {
        let (at, before) = self.told.unwrap_or_else(|| (now, Numbers::default()));
        if self.told.is_some() && now.saturating_duration_since(at) < TELL_EVERY {
            return None;
        }
        let numbers = self.numbers(now);
        if numbers == before {
            return None;
        }
        self.told = Some((now, numbers));
        Some(numbers)
    }

    fn numbers(&mut self, now: Instant) -> Numbers {
        let ever = self.ever.as_ref();
        // A walk over 16 KiB.
        let unique = *self.unique.get_or_insert_with(|| ever.map_or(0, Sketch::estimate));
        let by_pieces = self.by_pieces.as_mut().map_or(0, |window| window.estimate(now));
        if by_pieces == 0 {
            self.by_pieces = None;
        }
        let [totals, rehearsal_totals] = self.ledger.sum();
        let (streams, rehearsed) = (self.streams, self.rehearsed);
        Numbers { streams, by_pieces, unique, totals, rehearsed, rehearsal_totals }
    }
}

impl Ledger {
    /// What a worker has counted by now of one form. How much more that is than it was.
    fn put(&mut self, run: Run, log: LogId, totals: [Totals; 2], is_here: impl Fn(&Run) -> bool) -> [Totals; 2] {
        let mut more = totals;
        if let Some(at) = self.lines.iter().position(|(known, form, _)| (*known, *form) == (run, log)) {
            let (_, _, before) = self.lines.remove(at);
            if totals.iter().zip(before).any(|(now, before)| now.is_behind(before)) {
                // The log was shut there and opened again.
                self.finish(before);
            } else {
                more.iter_mut().zip(before).for_each(|(more, before)| more.take(before));
            }
        }
        self.lines.push((run, log, totals));
        if self.lines.len() > RUNS_MAX
            && let Some(dead) = self.lines.iter().position(|(run, ..)| !is_here(run))
        {
            let (_, _, last) = self.lines.remove(dead);
            self.finish(last);
        }
        more
    }

    fn finish(&mut self, last: [Totals; 2]) {
        self.finished.iter_mut().zip(last).for_each(|(sum, last)| sum.add(last));
    }

    fn sum(&self) -> [Totals; 2] {
        let mut sum = self.finished;
        for (_, _, line) in &self.lines {
            sum.iter_mut().zip(line).for_each(|(sum, line)| sum.add(*line));
        }
        sum
    }
}

impl Window {
    fn new(now: Instant) -> Self {
        Self { slots: Default::default(), now: 0, begun: now }
    }

    /// The slot under way; those that are over are forgotten.
    fn slot(&mut self, now: Instant) -> &mut Sketch {
        let number = now.saturating_duration_since(self.begun).as_secs() / SLOT.as_secs();
        let place = |number: u64| (number % SLOTS as u64) as usize;
        for new in (self.now + 1..=number).take(SLOTS) {
            self.slots[place(new)].clear();
        }
        if number >= self.now + SLOTS as u64 {
            self.slots.iter_mut().for_each(Sketch::clear);
        }
        self.now = self.now.max(number);
        &mut self.slots[place(self.now)]
    }

    fn estimate(&mut self, now: Instant) -> u64 {
        self.slot(now);
        let mut union = Sketch::default();
        self.slots.iter().filter(|slot| !slot.is_empty()).for_each(|slot| union.merge(slot));
        union.estimate()
    }
}

impl Workers {
    fn put(&mut self, run: Run, figures: WorkerFigures) {
        self.runs.retain(|(known, _)| *known != run);
        self.runs.push((run, figures));
        if self.runs.len() > RUNS_MAX
            && let Some(dead) = self.runs.iter().position(|(run, _)| !self.is_here(run))
        {
            let (_, last) = self.runs.remove(dead);
            add(&mut self.finished, &gone(&last));
        }
    }

    fn hear(&mut self, run: Run, at: AtWorker) {
        self.heard.insert(run, at);
        if self.heard.len() > RUNS_MAX
            && let Some(dead) = self.heard.keys().find(|run| !self.is_here(run)).copied()
        {
            self.heard.remove(&dead);
        }
    }

    fn is_here(&self, run: &Run) -> bool {
        self.here.values().any(|here| here == run)
    }

    /// Those that are here, in the order of their names.
    fn each(&self) -> Vec<(Run, WorkerFigures)> {
        let mut each: Vec<_> = self.runs.iter().filter(|(run, _)| self.is_here(run)).copied().collect();
        each.sort_by_key(|(run, _)| *run);
        each
    }

    fn sum(&self) -> WorkerFigures {
        let mut sum = self.finished;
        for (run, figures) in &self.runs {
            add(&mut sum, &if self.is_here(run) { *figures } else { gone(figures) });
        }
        sum
    }
}

/// What is left of a worker that is gone: the totals.
fn gone(figures: &WorkerFigures) -> WorkerFigures {
    WorkerFigures {
        connections: 0,
        handshakes: 0,
        http2_connections: 0,
        http2_requests: 0,
        level: 0,
        cadence_ms: 0,
        lean: false,
        reasons: 0,
        felt: Default::default(),
        ..*figures
    }
}

fn add(sum: &mut WorkerFigures, more: &WorkerFigures) {
    let WorkerFigures {
        connections,
        handshakes,
        http2_connections,
        http2_requests,
        accepted_total,
        refused_total,
        timed_out_total,
        skipped_total,
        cut_total,
        full_total,
        exhausted_total,
        unshaken_total,
        undeclared_total,
        http2_calmed_total,
        level,
        cadence_ms,
        lean,
        reasons,
        felt,
    } = sum;
    for (mine, more) in [
        (connections, more.connections),
        (handshakes, more.handshakes),
        (http2_connections, more.http2_connections),
        (http2_requests, more.http2_requests),
        (accepted_total, more.accepted_total),
        (refused_total, more.refused_total),
        (timed_out_total, more.timed_out_total),
        (skipped_total, more.skipped_total),
        (cut_total, more.cut_total),
        (full_total, more.full_total),
        (exhausted_total, more.exhausted_total),
        (unshaken_total, more.unshaken_total),
        (undeclared_total, more.undeclared_total),
        (http2_calmed_total, more.http2_calmed_total),
    ] {
        *mine = mine.saturating_add(more);
    }
    // What any of them does is what some listeners have.
    *level = (*level).max(more.level);
    *cadence_ms = (*cadence_ms).max(more.cadence_ms);
    *lean |= more.lean;
    *reasons |= more.reasons;
    felt.iter_mut().zip(more.felt).for_each(|(mine, more)| *mine = (*mine).max(more));
}

#[cfg(test)]
mod tests;
