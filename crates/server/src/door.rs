//! The house's side of the doors: hears what workers tell of each space's, and says who gets places and what is done now. What that is,
//! [`hiwar_admission::door`] knows; here is who is there, and when it is time.
//!
//! A house that begins gives nothing before it has heard from every worker what it holds ([`Doors::is_whole`]). After that a worker's places are its own until its
//! process is gone: a connection that breaks means nothing, for the same life of the worker comes back by another.
//!
//! What is public of its draws: [`draws`]; what is written down of it: [`diary`].

pub mod diary;
pub mod draws;
mod kept;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hiwar_admission::door::allocator::Allocator;
use hiwar_admission::door::places::{GRANT, Grant};
use hiwar_admission::door::seal::SealKey;
use hiwar_admission::door::ticket::Class;
use hiwar_admission::door::timetable::Stays;
use hiwar_admission::door::wire::{self, Heard, SAID_BYTES_MAX, Said, Spoken, TOLD_BYTES_MAX};
use hiwar_admission::ladder::{Level, Reasons};
use hiwar_engine::live_bus::frame::DOOR_BYTES_MAX;
use hiwar_engine::live_bus::{Down, Publisher, Report, Run, Up, WorkerId};
use hiwar_segment_log::LogId;

use crate::config;
use crate::studio::Studio;
use diary::{Diary, House, Known, Machine};
use draws::Draws;

/// What workers share of a door, in the folder of its space.
pub const FILE: &str = "door";
/// By which clock doors go, beside the folders of spaces.
const CLOCK: &str = "door-clock";
/// Names this start of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// How often places are given.
const EVERY: Duration = Duration::from_millis(250);
/// Every how many of those each door's word is said.
const WORD_EVERY: u32 = 4;
/// For so long the places of a worker whose connection is over are its own: it looks for the house every 50 ms, if it lives.
const COMES_BACK: Duration = Duration::from_secs(10);
/// For so long a house that begins waits for workers that do not speak: the supervisor starts those anew that died, and ends those that never speak.
const WAITS: Duration = Duration::from_secs(30);
/// A worker is given no more before it has shown what it was given last, or for so long: twice as long as that takes under load, and short enough that what it has is still good then.
const UNDER_WAY: Duration = Duration::from_secs(2);
/// Doors at the most: eight shards mix fifty conversations each. Whoever comes to one beyond is told to come back soon.
const DOORS_MAX: usize = 512;
/// Lives of workers that are told apart: as many as one message can name.
const LIVES_MAX: usize = 1_024;
/// What waits to be heard: ten workers tell of a hundred doors. Beyond, whoever reads the bus waits for the doors.
const REPORTS_MAX: usize = 4_096;

const _: () = assert!(SAID_BYTES_MAX <= DOOR_BYTES_MAX && TOLD_BYTES_MAX <= DOOR_BYTES_MAX);

/// How all doors are, for `/metrics`.
#[derive(Debug, Default)]
pub struct Figures {
    /// People who have a place, and places kept for those who had one a moment ago.
    pub inside: AtomicU64,
    /// Conversations at whose door there is no room.
    pub crowds: AtomicU64,
    /// What happened at all of them, those that are closed among them.
    pub passed: Mutex<Passed>,
    /// And at each worker that is there, since it began.
    pub by_worker: Mutex<BTreeMap<Run, Passed>>,
    /// Each of them.
    pub each: Mutex<BTreeMap<LogId, AtDoor>>,
    /// How crowded it is at each conversation, as it is told, for the doors' diaries.
    pub crowded: Mutex<BTreeMap<LogId, (Level, Reasons)>>,
    /// How the operator wants them, for the doors to read.
    pub wanted: Mutex<Wanted>,
}

impl Figures {
    /// All doors, as if they were one: what happened at those that are closed is in it.
    pub fn together(&self) -> AtDoor {
        let passed = *self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting_by_class = [0; _];
        let none = AtDoor { places: 0, inside: 0, waiting: 0, waiting_by_class, without_time: 0, is: Is::Open, passed };
        let each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        each.values().fold(none, |sum, door| AtDoor {
            places: sum.places.saturating_add(door.places),
            inside: sum.inside.saturating_add(door.inside),
            waiting: sum.waiting.saturating_add(door.waiting),
            waiting_by_class: together(sum.waiting_by_class, door.waiting_by_class),
            without_time: sum.without_time.saturating_add(door.without_time),
            is: if sum.is == Is::Open { door.is } else { sum.is },
            passed,
        })
    }
}

/// How one door is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtDoor {
    /// People who may be inside.
    pub places: u32,
    /// People who are.
    pub inside: u32,
    /// People who wait, as far as they are counted.
    pub waiting: u64,
    /// The same by class. Whoever returns does not wait.
    pub waiting_by_class: [u64; Class::ALL.len()],
    /// Of these, those who cannot be told a time.
    pub without_time: u64,
    /// What whoever comes finds.
    pub is: Is,
    /// What happened there.
    pub passed: Passed,
}

/// What happened at a door since this house opened it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Requests to listen or to wait.
    pub asked: u64,
    /// Of these, with a ticket of ours: whoever shows one was here before.
    pub returns: u64,
    /// People let in, by class.
    pub entered: [u64; Class::ALL.len()],
    /// Of these, at the time that they had been told or soon after it: promises that were kept.
    pub kept: [u64; Class::ALL.len()],
    /// And of those who had been told one, later than that: they came late, or found no place.
    pub late: [u64; Class::ALL.len()],
    /// Requests that were told to come again, and promised nothing.
    pub away: u64,
}

impl Passed {
    /// Those who came, and had not been here: who waits asks again and again, and comes once.
    pub fn arrived(&self) -> u64 {
        self.asked.saturating_sub(self.returns)
    }

    /// Both together.
    fn with(self, other: Self) -> Self {
        Self {
            asked: self.asked.saturating_add(other.asked),
            returns: self.returns.saturating_add(other.returns),
            entered: together(self.entered, other.entered),
            kept: together(self.kept, other.kept),
            late: together(self.late, other.late),
            away: self.away.saturating_add(other.away),
        }
    }
}

/// Two counts by class as one.
fn together(these: [u64; Class::ALL.len()], those: [u64; Class::ALL.len()]) -> [u64; Class::ALL.len()] {
    std::array::from_fn(|at| these[at].saturating_add(those[at]))
}

/// What a class is called, in numbers for programs.
pub fn class_name(class: Class) -> &'static str {
    match class {
        Class::Returning => "returning",
        Class::Follower => "follower",
        Class::Earlier => "earlier",
        Class::Anybody => "anybody",
    }
}

/// What whoever comes to a door finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    /// A place.
    Open,
    /// A draw.
    Gathering,
    /// A queue.
    Queue,
}

/// How an operator wants the doors while the server runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Nobody more is let in than are inside now.
    pub is_shut: bool,
    /// How many may be inside, where that is not what is configured.
    pub places: BTreeMap<LogId, u32>,
}

/// Starts the doors' thread; what the live bus reports is to be given to it. It ends with the sender.
///
/// # Errors
/// No thread.
pub fn start(
    config: config::Door,
    awaited: Awaited,
    spaces: PathBuf,
    studio: Studio,
    publisher: Publisher,
    key: SealKey,
) -> io::Result<(SyncSender<Report>, Arc<Figures>)> {
    let (reports, heard) = sync_channel(REPORTS_MAX);
    let clock = Clock::start(&spaces.with_file_name(CLOCK));
    let doors = Doors::new(config, clock.now(), awaited, Draws::start(spaces.clone(), key)?, spaces);
    let figures = doors.figures.clone();
    let work = move || keep(doors, &clock, &heard, &studio, &publisher);
    std::thread::Builder::new().name("door".into()).spawn(work)?;
    Ok((reports, figures))
}

/// Whether the doors need to hear that.
#[must_use]
pub fn concerns(report: &Report) -> bool {
    matches!(
        report,
        Report::Joined(..) | Report::Left(..) | Report::Up(_, Up::Worker { .. } | Up::Door { .. } | Up::Counts { .. })
    )
}

fn keep(mut doors: Doors, clock: &Clock, heard: &Receiver<Report>, studio: &Studio, publisher: &Publisher) {
    let mut due = Instant::now();
    loop {
        // What was missed is not made up for.
        let now = Instant::now();
        due = (due + EVERY).clamp(now, now + EVERY);
        if !collect(heard, due, |report| doors.hear(clock.now(), report)) {
            return;
        }
        doors.bury(clock.now(), is_over);
        let on_air = studio.on_air();
        doors.close(clock.now(), &on_air);
        for (log, said) in doors.tick(clock.now(), &on_air) {
            publisher.publish(Down::Door { log, body: Bytes::from(wire::encode_said(&said)) });
        }
    }
}

/// Hears what comes until then, and all that has come by then: after a stall a worker would else count as silent whose report is there. `false`: nobody tells anything any more.
fn collect(heard: &Receiver<Report>, due: Instant, mut hear: impl FnMut(Report)) -> bool {
    for _ in 0..REPORTS_MAX {
        match heard.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(report) => hear(report),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    true
}

/// The wall's time when the first house since the machine's start began, and steady from then on: a house that comes after it goes on by the same, whatever the wall's clock says meanwhile.
struct Clock {
    /// The door's time when the machine's steady clock was at nought.
    nought: SystemTime,
}

impl Clock {
    /// As the file says; or by the wall, and the file says so from then on.
    fn start(file: &Path) -> Self {
        let boot = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
        let boot = boot.trim();
        let found = std::fs::read_to_string(file).ok().and_then(|text| Self::parse(&text, boot));
        let nought = found.unwrap_or_else(|| {
            let nought = SystemTime::now().checked_sub(steady()).unwrap_or(UNIX_EPOCH);
            let micros = nought.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
            // Without the file the next house goes by the wall, as this one does.
            if let Err(why) = std::fs::write(file, format!("{boot} {micros}\n")) {
                tracing::warn!("the clock of the doors is not kept: {why}");
            }
            nought
        });
        Self { nought }
    }

    /// Of the same start of the machine alone: after another its steady clock began anew.
    fn parse(text: &str, boot: &str) -> Option<SystemTime> {
        let (of, micros) = text.trim().split_once(' ')?;
        let nought = UNIX_EPOCH.checked_add(Duration::from_micros(micros.parse().ok()?))?;
        (of == boot && !boot.is_empty()).then_some(nought)
    }

    fn now(&self) -> SystemTime {
        self.nought + steady()
    }
}

/// Whether that process is over, and nobody has taken note of it or its parent has.
fn is_over(process: i32) -> bool {
    match std::fs::read_to_string(format!("/proc/{process}/stat")) {
        // After its name, in which there may be anything (proc(5)).
        Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X'])),
        // What cannot be read for another reason may live.
        Err(why) if why.raw_os_error() == Some(NO_SUCH_PROCESS) => true,
        Err(why) => why.kind() == io::ErrorKind::NotFound && Path::new("/proc/self/stat").exists(),
    }
}

/// `ESRCH`: it ended while it was read.
const NO_SUCH_PROCESS: i32 = 3;

/// Since the machine's start.
fn steady() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}

/// Every space's door.
struct Doors {
    config: config::Door,
    /// The number of this house: nanoseconds since the machine's start, so that a later one's is greater, whatever the wall's clock says.
    house: u64,
    began: SystemTime,
    /// `None` when all were heard.
    awaited: Option<Awaited>,
    lives: BTreeMap<Run, Life>,
    doors: BTreeMap<LogId, Door>,
    /// Doors that are no more, and until when what they gave is good.
    closed: BTreeMap<LogId, SystemTime>,
    /// What happened at them.
    past: Passed,
    /// And at each worker.
    past_by_worker: BTreeMap<Run, Passed>,
    figures: Arc<Figures>,
    draws: Draws,
    spaces: PathBuf,
    /// Processes at the other end of connections.
    peers: BTreeMap<WorkerId, i32>,
    machine: Machine,
    /// When the diaries' minute began.
    minute: SystemTime,
}

/// Workers that a house which begins has to hear from, for it has to know who is inside.
#[derive(Clone)]
pub struct Awaited {
    /// So many that serve whoever comes.
    serving: usize,
    /// Processes of older ones, which serve those who listen there and end with the last of them, maybe without a word.
    elders: BTreeSet<i32>,
}

impl Awaited {
    /// Of so many workers, those among them that are older.
    pub fn new(workers: usize, elders: &[i32]) -> Self {
        Self { serving: workers.saturating_sub(elders.len()), elders: elders.iter().copied().collect() }
    }
}

/// A worker's process.
#[derive(Default)]
struct Life {
    /// By which it speaks now.
    connection: Option<WorkerId>,
    /// It has said on this connection of which doors it holds something.
    has_told: bool,
    /// It is one of the older ones that were awaited.
    is_elder: bool,
    /// Without a connection: when it is taken for gone.
    gone: Option<SystemTime>,
    /// And its process, as far as that is known.
    process: Option<i32>,
    /// Of which doors it tells.
    tells: BTreeSet<LogId>,
    /// And of which it has since it last said that these were all.
    telling: BTreeSet<LogId>,
}

struct Door {
    allocator: Allocator,
    /// To be said.
    grants: BTreeMap<Run, Grant>,
    /// The last number that each worker was given, and when.
    given: BTreeMap<Run, (u64, SystemTime)>,
    /// Turns since its word was said.
    silent: u32,
    /// The crowd whose draw is committed to, and the one whose draw is recorded.
    committed: Option<u16>,
    recorded: Option<u16>,
    /// How many were inside when it was shut, if it is.
    shut_at: Option<u32>,
    diary: Diary,
    /// Workers that told of it before it was here.
    known: BTreeSet<Run>,
    /// There may be something that is kept for the next house.
    is_kept: bool,
}

impl Doors {
    /// Of a house that begins now, and of which these workers know.
    fn new(config: config::Door, now: SystemTime, awaited: Awaited, draws: Draws, spaces: PathBuf) -> Self {
        Self {
            config,
            house: u64::try_from(steady().as_nanos()).unwrap_or(u64::MAX),
            began: now,
            awaited: Some(awaited),
            lives: BTreeMap::new(),
            doors: BTreeMap::new(),
            closed: BTreeMap::new(),
            past: Passed::default(),
            past_by_worker: BTreeMap::new(),
            figures: Arc::default(),
            draws,
            spaces,
            peers: BTreeMap::new(),
            machine: Machine::default(),
            minute: now,
        }
    }

    fn hear(&mut self, now: SystemTime, report: Report) {
        match report {
            Report::Up(worker, Up::Door { run, log, body }) => {
                let Some(life) = self.speaks(run, worker) else { return };
                if life.telling.len() < DOORS_MAX {
                    life.telling.insert(log);
                }
                let Some(heard) = wire::decode_heard(&body) else {
                    tracing::warn!(%log, "a worker tells of a door what nobody understands");
                    return;
                };
                if let Some(door) = self.doors.get_mut(&log) {
                    door.hear(now, run, heard, self.house);
                }
            }
            Report::Up(worker, Up::Worker { run, figures }) => {
                // Before this it told of all its doors.
                let process = self.peers.get(&worker).copied();
                let is_elder = process
                    .zip(self.awaited.as_mut())
                    .is_some_and(|(process, awaited)| awaited.elders.remove(&process));
                let Some(life) = self.speaks(run, worker) else { return };
                life.tells = std::mem::take(&mut life.telling);
                (life.has_told, life.is_elder) = (true, life.is_elder || is_elder);
                // While a house waits for its workers, it is for those that were there.
                let known = if self.awaited.is_some() { Known::Before } else { Known::No };
                self.machine.hear(run, figures, known);
            }
            Report::Up(worker, Up::Counts { run, counts }) => {
                if self.speaks(run, worker).is_none() {
                    return;
                }
                for count in counts {
                    if let Some(door) = self.doors.get_mut(&count.log.stem()) {
                        door.diary.count(run, &count);
                    }
                }
            }
            Report::Joined(worker, Some(process)) => {
                if self.peers.len() < LIVES_MAX {
                    self.peers.insert(worker, process);
                }
            }
            Report::Left(worker, _) => {
                let process = self.peers.remove(&worker);
                for life in self.lives.values_mut().filter(|life| life.connection == Some(worker)) {
                    (life.connection, life.has_told, life.gone) = (None, false, Some(now + COMES_BACK));
                    life.process = process;
                }
            }
            Report::Joined(_, None) | Report::Up(..) => {}
        }
    }

    /// A worker speaks by this connection.
    fn speaks(&mut self, run: Run, worker: WorkerId) -> Option<&mut Life> {
        if !self.lives.contains_key(&run) && self.lives.len() >= LIVES_MAX {
            return None;
        }
        let life = self.lives.entry(run).or_default();
        if life.connection != Some(worker) {
            (life.connection, life.has_told, life.gone) = (Some(worker), false, None);
            // What was on its way by the last one may be lost. It counts until a later number is seen.
            for door in self.doors.values_mut() {
                door.given.remove(&run);
            }
        }
        Some(life)
    }

    /// Takes workers for gone whose processes are over: who was there comes back to others, and is not to wait until they might have come back themselves.
    fn bury(&mut self, now: SystemTime, is_over: impl Fn(i32) -> bool) {
        let silent = self.lives.values_mut().filter(|life| life.gone.is_some());
        for life in silent.filter(|life| life.process.is_some_and(&is_over)) {
            (life.gone, life.process) = (Some(now), None);
        }
        if let Some(awaited) = &mut self.awaited {
            awaited.elders.retain(|process| !is_over(*process));
        }
    }

    /// Closes the doors of spaces that are not on the air any more.
    fn close(&mut self, now: SystemTime, on_air: &HashSet<LogId>) {
        self.closed.retain(|_, until| now < *until);
        let over: Vec<LogId> = self.doors.keys().filter(|log| !on_air.contains(log)).copied().collect();
        for log in over {
            if let Some(mut door) = self.doors.remove(&log) {
                self.past = self.past.with(door.passed());
                add(&mut self.past_by_worker, &door);
                door.crowded(log, &self.figures);
                let _ = self.draws.minute(log, door.diary.minute(now, &door.allocator, &self.machine));
            }
            self.closed.insert(log, now + GRANT);
            let _ = self.draws.crowd(log, None);
            self.draws.over(log);
        }
    }

    /// What there is to say, of the spaces that are on the air.
    fn tick(&mut self, now: SystemTime, on_air: &HashSet<LogId>) -> Vec<(LogId, Said)> {
        let (doors, machine, past) = (&mut self.doors, &mut self.machine, &mut self.past_by_worker);
        self.lives.retain(|run, life| {
            // One whose process lives has its listeners, however long it is silent.
            let is_gone = life.process.is_none() && life.gone.is_some_and(|gone| gone <= now);
            if is_gone {
                machine.gone(*run);
                past.remove(run);
                doors.values_mut().for_each(|door| door.gone(now, *run));
            }
            !is_gone
        });
        if !self.is_whole(now) {
            return Vec::new();
        }
        for log in on_air {
            self.open(now, *log);
        }
        let wanted = self.figures.wanted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (log, door) in &mut self.doors {
            let places = wanted.places.get(log).copied().unwrap_or(self.config.places);
            door.resize(places, wanted.is_shut);
            door.crowded(*log, &self.figures);
        }
        let house = self.house;
        let said = self.doors.iter_mut().filter_map(|(log, door)| Some((*log, door.say(now, house)?))).collect();
        self.doors.iter_mut().for_each(|(log, door)| door.record(*log, &self.draws));
        for (log, door) in self.doors.iter_mut().filter(|(_, door)| door.silent == 0) {
            let standing = door.allocator.standing();
            let is_crowd = standing.is_some();
            // If there was no room to say it, another is said in a second.
            if (is_crowd || door.is_kept) && self.draws.crowd(*log, standing) {
                door.is_kept = is_crowd;
            }
        }
        self.count(now);
        if now >= self.minute + diary::MINUTE {
            self.write(now);
        }
        said
    }

    /// Writes the minute down that is over. Of a door of which that finds no room, it goes on.
    fn write(&mut self, now: SystemTime) {
        self.machine.end(diary::ticks());
        for (log, door) in &mut self.doors {
            if self.draws.minute(*log, door.diary.minute(now, &door.allocator, &self.machine)) {
                door.diary.turn(now);
            }
        }
        self.machine.turn();
        self.minute = now;
    }

    fn count(&self, now: SystemTime) {
        let allocators = || self.doors.values().map(|door| &door.allocator);
        let crowds = allocators().filter(|allocator| allocator.waiting(now).is_some()).count();
        self.figures.inside.store(allocators().map(|allocator| u64::from(allocator.inside())).sum(), Relaxed);
        self.figures.crowds.store(crowds as u64, Relaxed);
        let passed = self.doors.values().map(Door::passed).fold(self.past, Passed::with);
        *self.figures.passed.lock().unwrap_or_else(PoisonError::into_inner) = passed;
        let mut by_worker = self.past_by_worker.clone();
        self.doors.values().for_each(|door| add(&mut by_worker, door));
        *self.figures.by_worker.lock().unwrap_or_else(PoisonError::into_inner) = by_worker;
        let each = self.doors.iter().map(|(log, door)| (*log, door.look(now))).collect();
        *self.figures.each.lock().unwrap_or_else(PoisonError::into_inner) = each;
    }

    /// Whether it is known who is inside: every worker has told, or was waited for.
    fn is_whole(&mut self, now: SystemTime) -> bool {
        let Some(Awaited { serving, elders }) = &self.awaited else { return true };
        let have_told = self.lives.values().filter(|life| life.has_told && !life.is_elder).count();
        let silent = serving.saturating_sub(have_told) + elders.len();
        if silent > 0 && now < self.began + WAITS {
            return false;
        }
        if silent > 0 {
            tracing::warn!(silent, "the doors open although not every worker has said who is inside");
        }
        self.awaited = None;
        true
    }

    fn open(&mut self, now: SystemTime, log: LogId) {
        if self.doors.contains_key(&log) {
            return;
        }
        if self.doors.len() >= DOORS_MAX {
            tracing::error!(%log, "more doors than a house has: nobody is let in there");
            return;
        }
        let holds = |life: &Life| life.tells.contains(&log) || life.telling.contains(&log);
        let holders = self.lives.iter().filter(|(_, life)| holds(life)).map(|(run, _)| run.0);
        // What an earlier house gave is void soon after this one began, and what this one gave, soon after it closed the door.
        let begins = if self.closed.contains_key(&log) { now } else { self.began.max(now - GRANT) };
        let config::Door { places, pace, stay } = self.config;
        let stays = Stays { median: stay, ..Stays::default() };
        let mut allocator = Allocator::new(begins, places, pace, stays, holders);
        if let Some(standing) = kept::read(&self.spaces, log) {
            allocator.resume(now, standing);
        }
        match draws::last(&self.spaces.join(log.as_str())) {
            // Whatever was kept, or lost: no secret that is known is drawn by.
            Ok(drawn) => drawn.into_iter().for_each(|drawn| allocator.comes_after(drawn)),
            Err(why) => tracing::warn!(%log, "which crowds were drawn is not known, and one may be drawn again: {why}"),
        }
        let (grants, given) = (BTreeMap::new(), BTreeMap::new());
        let known = self.lives.iter().filter(|(_, life)| holds(life)).map(|(run, _)| *run).collect();
        // Within its first minute, it may have come upon a door that another had.
        let house = if now < self.began + diary::MINUTE { House::Began } else { House::Stood };
        let diary = Diary::new(now, house);
        let (committed, recorded) = (None, None);
        let door = Door {
            allocator,
            grants,
            given,
            silent: WORD_EVERY,
            committed,
            recorded,
            shut_at: None,
            diary,
            known,
            is_kept: true,
        };
        self.doors.insert(log, door);
    }
}

/// Adds what happened at that door, by worker.
fn add(by_worker: &mut BTreeMap<Run, Passed>, door: &Door) {
    for (run, passed) in door.diary.by_worker() {
        let sum = by_worker.entry(run).or_default();
        *sum = sum.with(passed);
    }
}

impl Door {
    fn hear(&mut self, now: SystemTime, run: Run, heard: Heard, house: u64) {
        let Heard { told, tally, promises, traffic } = heard;
        self.diary.hear(run, traffic, if self.known.contains(&run) { Known::Before } else { Known::No });
        if told.house != house {
            // What an earlier one gave may be on its way to it.
            return;
        }
        if let Some(tally) = tally {
            self.allocator.hear_tally(run.0, told.opening, tally);
        }
        self.allocator.hear_promises(run.0, promises);
        // While something is on its way to it, it cannot be told what of it was used: places that people left would be counted as taken.
        let is_under_way = |(number, given): &(u64, SystemTime)| told.report.seen < *number && now < *given + UNDER_WAY;
        if self.given.get(&run).is_some_and(is_under_way) {
            return;
        }
        if let Some(grant) = self.allocator.hear(now, run.0, told) {
            self.given.insert(run, (grant.number, now));
            // What was not said yet is lost as if it had been: the next number tells.
            self.grants.insert(run, grant);
        }
    }

    /// There are so many places, or no more than people if it is shut.
    fn resize(&mut self, places: u32, is_shut: bool) {
        // Who is inside is not known before all have said so; until then nobody is given a place anyway.
        let is_known = self.shut_at.is_some() || !self.allocator.awaits();
        self.shut_at = (is_shut && is_known).then(|| self.shut_at.unwrap_or_else(|| self.allocator.inside()));
        self.allocator.set_cap(self.shut_at.map_or(places, |inside| inside.min(places)));
    }

    fn passed(&self) -> Passed {
        self.diary.ever()
    }

    /// As it is told now. Nothing, if nobody has looked yet.
    fn crowded(&mut self, log: LogId, figures: &Figures) {
        let crowded = figures.crowded.lock().unwrap_or_else(PoisonError::into_inner).get(&log).copied();
        crowded.into_iter().for_each(|is| self.diary.crowded(is));
    }

    fn look(&self, now: SystemTime) -> AtDoor {
        let allocator = &self.allocator;
        let waiting = allocator.waiting(now);
        AtDoor {
            places: allocator.cap(),
            inside: allocator.inside(),
            waiting: waiting.unwrap_or_default(),
            waiting_by_class: allocator.waiting_by_class(now),
            without_time: allocator.without_time(),
            is: match waiting {
                None => Is::Open,
                Some(_) if allocator.is_gathering() => Is::Gathering,
                Some(_) => Is::Queue,
            },
            passed: self.passed(),
        }
    }

    fn gone(&mut self, now: SystemTime, run: Run) {
        self.allocator.gone(now, run.0);
        self.diary.gone(run);
        // If it was only silent, it will tell again of all that it has told.
        if self.known.len() < LIVES_MAX {
            self.known.insert(run);
        }
        self.grants.remove(&run);
        self.given.remove(&run);
    }

    /// Has said in public what is drawn next, and what was drawn. What finds no room is said at the next turn.
    fn record(&mut self, log: LogId, draws: &Draws) {
        let Some(opening) = self.allocator.opening() else { return };
        if self.committed != Some(opening) && draws.opening(log, opening) {
            self.committed = Some(opening);
        }
        if self.recorded != Some(opening)
            && let Some(drawn) = self.allocator.drawn()
            && draws.drawn(log, drawn)
        {
            self.recorded = Some(opening);
        }
    }

    /// `None`: nothing. Before any worker has spoken to this house they have to hear which it is.
    fn say(&mut self, now: SystemTime, house: u64) -> Option<Said> {
        self.silent += 1;
        let is_time = self.silent >= WORD_EVERY;
        let word = if is_time { Spoken::of(self.allocator.tick(now)) } else { None };
        if word.is_some() {
            self.silent = 0;
        }
        let grants: Vec<_> = std::mem::take(&mut self.grants).into_iter().map(|(run, grant)| (run.0, grant)).collect();
        (is_time || !grants.is_empty()).then_some(Said { house, now, word, grants })
    }
}

#[cfg(test)]
mod tests;
