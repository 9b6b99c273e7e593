//! How crowded it is, of the whole server and of each conversation: added up from what workers feel and doors count, told to whoever listens or asks, and kept for a day.
//! And what an operator orders of it by hand.
//!
//! A thread looks once a second, and at once when something was ordered. What it publishes for `/status` the workers serve, so it is there without the house; they say how old it is.

mod history;
mod orders;
mod status;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hiwar_admission::ladder::{Level, Reason, Reasons, Slow, door_level};
use hiwar_delivery::answer::{AGE, AGE_IS};
use hiwar_engine::live_bus::{Document, Down, Publisher, Run, WorkerFigures};
use hiwar_segment_log::LogId;

use crate::api::Language;
use crate::disk;
use crate::door::{self, AtDoor, Is};
use crate::registry::Registry;
use crate::studio::Studio;

pub use history::{Line, What};
pub use orders::{Given, Orders, Which, moment, ms};
pub use status::{PAGE, StatusView, TABLE};

/// How often it is looked at how crowded it is.
const EVERY: Duration = Duration::from_secs(1);
/// How often `/status` is said anew though nothing has changed: three times before workers call it old.
const SAY_EVERY: Duration = Duration::from_secs(3);

/// How crowded it is somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// How far up it is.
    pub level: Level,
    /// Why.
    pub reasons: Reasons,
    /// Since when it is so far up, as far as this house knows.
    pub since: SystemTime,
}

impl Rung {
    /// What it means for whoever comes now, and why it is so.
    pub fn words(&self, language: Language) -> String {
        let mut words = language.say(&format!("ladder-level-{}", self.level as u8), &[]);
        if !self.reasons.is_empty() {
            let why: Vec<_> = self
                .reasons
                .iter()
                .map(|reason| language.say(&format!("ladder-reason-{}", reason.name()), &[]))
                .collect();
            words += " ";
            words +=
                &language.say("ladder-why", &[("reasons", crate::api::Word::Text(&why.join(language.semicolon())))]);
        }
        words
    }
}

/// What the house knows of levels, and what was ordered. Cheap to clone.
#[derive(Clone)]
pub struct Ladders(Arc<Inner>);

struct Inner {
    data: PathBuf,
    publisher: Publisher,
    doors: Option<Arc<door::Figures>>,
    orders: Mutex<Orders>,
    known: Mutex<Known>,
    /// Rings when something was ordered.
    bell: SyncSender<()>,
}

struct Known {
    history: history::History,
    /// `None` until a worker has told how it is.
    server: Option<Rung>,
    spaces: BTreeMap<LogId, Rung>,
    /// Of each door, what is said of its level.
    doors: BTreeMap<LogId, Slow>,
}

/// Where the thread looks.
pub struct Around {
    /// The workers' figures.
    pub studio: Studio,
    /// The conversations.
    pub registry: Registry,
    /// Whether there is room.
    pub disk: disk::Watch,
}

/// Hears when something was ordered.
pub struct Bell(Receiver<()>);

impl Ladders {
    /// What stands, told to workers and doors: what was ordered before this house began, and is not over.
    pub fn start(data: &std::path::Path, publisher: Publisher, doors: Option<Arc<door::Figures>>) -> (Self, Bell) {
        let (bell, heard) = sync_channel(1);
        let now = SystemTime::now();
        let mut orders = Orders::load(data);
        orders.expire(now);
        let known = Known {
            history: history::History::load(data, now),
            server: None,
            spaces: BTreeMap::new(),
            doors: BTreeMap::new(),
        };
        let inner = Inner {
            data: data.to_owned(),
            publisher,
            doors,
            orders: Mutex::new(orders),
            known: Mutex::new(known),
            bell,
        };
        let ladders = Self(Arc::new(inner));
        ladders.tell(&ladders.orders());
        (ladders, Bell(heard))
    }

    /// Looks at how it is from now on, on a thread of its own.
    ///
    /// # Errors
    /// No thread.
    pub fn watch(&self, Bell(heard): Bell, around: Around) -> io::Result<()> {
        let (ladders, runtime) = (self.clone(), tokio::runtime::Handle::current());
        let work = move || {
            // What the registry does about a change may be done a little later, by a task.
            let _runtime = runtime.enter();
            let mut said = None;
            loop {
                let has_changed = ladders.look(&around);
                let now = Instant::now();
                if has_changed || said.is_none_or(|said| now.duration_since(said) >= SAY_EVERY) {
                    said = Some(now);
                    ladders.say(&around);
                }
                match heard.recv_timeout(EVERY) {
                    Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        std::thread::Builder::new().name("ladder".into()).spawn(work).map(drop)
    }

    /// What is ordered now.
    pub fn orders(&self) -> Orders {
        self.lock_orders().clone()
    }

    /// Whether conversations have doors.
    pub fn has_doors(&self) -> bool {
        self.0.doors.is_some()
    }

    /// From now on that, or no longer; it stands at once. `false`: there is no room for one more.
    ///
    /// # Errors
    /// It stands, and a house that follows this one will not know of it.
    pub fn order(&self, which: &Which, given: Option<Given<u32>>, by: &str, why: &str) -> io::Result<bool> {
        let kept = {
            let mut orders = self.lock_orders();
            if !orders.give(which, given.clone()) {
                return Ok(false);
            }
            self.tell(&orders);
            orders.save(&self.0.data)
        };
        let (order, space) = (which.name(), which.space().map(LogId::as_str));
        let (value, until_ms) = given.map_or((None, None), |given| (Some(given.what), given.until_ms));
        tracing::warn!(order, space, value, until_ms, by, why, "the operator orders");
        self.note_order(which, value, until_ms, by, why);
        let _ = self.0.bell.try_send(());
        kept.map(|()| true)
    }

    fn note_order(&self, which: &Which, value: Option<u32>, until_ms: Option<u64>, by: &str, why: &str) {
        let now = SystemTime::now();
        let order = which.name().to_owned();
        let what = What::Order { order, value, until_ms, by: by.to_owned(), why: why.to_owned() };
        let space = which.space().map(|space| space.as_str().to_owned());
        self.lock_known().note(now, Line { at_ms: orders::ms(now), space, what });
    }

    /// How crowded the server is; `None`: nobody knows yet.
    pub fn server(&self) -> Option<Rung> {
        self.lock_known().server
    }

    /// What happened in the last day, the newest first.
    pub fn history(&self, most: usize, is_shown: impl Fn(&Line) -> bool) -> Vec<Line> {
        self.lock_known().history.newest().filter(|line| is_shown(line)).take(most).cloned().collect()
    }

    fn tell(&self, orders: &Orders) {
        self.0.publisher.publish(Down::Ladder { levels: orders.order().numbers() });
        if let Some(doors) = &self.0.doors {
            *doors.wanted.lock().unwrap_or_else(PoisonError::into_inner) = orders.wanted();
        }
    }

    /// Whether anything has changed.
    fn look(&self, around: &Around) -> bool {
        let (steady, now) = (Instant::now(), SystemTime::now());
        let orders = {
            let mut orders = self.lock_orders();
            let over = orders.expire(now);
            if !over.is_empty() {
                self.tell(&orders);
                if let Err(why) = orders.save(&self.0.data) {
                    tracing::warn!("an order is over, and a house that follows this one will find that again: {why}");
                }
            }
            let orders = orders.clone();
            for which in over {
                tracing::warn!(order = which.name(), space = which.space().map(LogId::as_str), "an order is over");
                self.note_order(&which, None, None, "hiwar", "its time is over");
            }
            orders
        };
        let workers = around.studio.each_worker();
        if workers.is_empty() {
            return false;
        }
        let doors =
            self.0.doors.as_ref().map(|doors| doors.each.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let doors = doors.unwrap_or_default();
        let changed = self.lock_known().look((steady, now), &workers, &doors, &orders, &around.studio.on_air());
        if let Some(at_doors) = &self.0.doors {
            let known = self.lock_known();
            let mut crowded = at_doors.crowded.lock().unwrap_or_else(PoisonError::into_inner);
            // Until a door is closed its diary is written, a moment after its conversation.
            crowded.retain(|space, _| doors.contains_key(space));
            crowded.extend(known.spaces.iter().map(|(space, rung)| (*space, (rung.level, rung.reasons))));
        }
        for (space, standing) in &changed.spaces {
            around.registry.crowded(space, *standing);
        }
        for (space, door) in doors {
            around.registry.at_door(&space, door);
        }
        changed.server || !changed.spaces.is_empty()
    }

    /// What workers serve at `/status`, as a page and for programs.
    fn say(&self, around: &Around) {
        let now = SystemTime::now();
        for (path, document) in status::documents(self, around, now) {
            self.0.publisher.publish(Down::Document { path: path.into(), document });
        }
    }

    /// What stands at that path now, as whoever asks the house itself is told.
    pub fn status(&self, around: &Around, path: &str) -> Option<Document> {
        let documents = status::documents(self, around, SystemTime::now());
        let (_, document) = documents.into_iter().find(|(other, _)| *other == path)?;
        let text = String::from_utf8_lossy(&document.body).replace(AGE_IS, "fresh").replace(AGE, "0");
        Some(Document { body: text.into(), ..document })
    }

    fn lock_orders(&self) -> MutexGuard<'_, Orders> {
        self.0.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of what a level has changed.
struct Changed {
    server: bool,
    spaces: Vec<(LogId, Rung)>,
}

impl Known {
    fn look(
        &mut self,
        (steady, now): (Instant, SystemTime),
        workers: &[(Run, WorkerFigures)],
        doors: &BTreeMap<LogId, AtDoor>,
        orders: &Orders,
        on_air: &HashSet<LogId>,
    ) -> Changed {
        let felt =
            highest(workers.iter().map(|(_, figures)| {
                (Level::of(figures.level).unwrap_or_default(), Reasons::from_bits(figures.reasons))
            }));
        self.doors.retain(|log, _| doors.contains_key(log));
        self.spaces.retain(|log, _| on_air.contains(log));
        let mut server = felt;
        let mut spaces = Vec::new();
        for log in on_air {
            let at_door = doors.get(log).map(|door| {
                let level = door_level(door.is != Is::Open, door.without_time);
                let level = self.doors.entry(*log).or_default().handle(steady, level);
                let by_hand = orders.places.contains_key(log.as_str()).then_some(Reason::Operator);
                let reasons = [Reason::Crowd].into_iter().chain(by_hand).filter(|_| level > Level::Open);
                (level, reasons.collect::<Reasons>())
            });
            let here = highest([felt].into_iter().chain(at_door));
            server = highest([server, here].into_iter());
            let before = self.spaces.get(log).copied();
            if let Some(standing) = self.settle(now, Some(log), before, here) {
                self.spaces.insert(*log, standing);
                spaces.push((*log, standing));
            }
        }
        let settled = self.settle(now, None, self.server, server);
        self.server = settled.or(self.server);
        Changed { server: settled.is_some(), spaces }
    }

    /// How it stands, if that is something else than before. A level that is another one is noted.
    fn settle(
        &mut self,
        now: SystemTime,
        space: Option<&LogId>,
        before: Option<Rung>,
        (level, reasons): (Level, Reasons),
    ) -> Option<Rung> {
        if before.is_some_and(|before| (before.level, before.reasons) == (level, reasons)) {
            return None;
        }
        let known = before.map_or_else(|| self.last(space), |before| before.level);
        if known != level {
            let names: Vec<_> = reasons.iter().map(Reason::name).collect();
            tracing::info!(
                space = space.map(LogId::as_str),
                level = level as u8,
                before = known as u8,
                ?names,
                "the ladder"
            );
            let reasons = names.into_iter().map(str::to_owned).collect();
            let what = What::Level { level: level as u8, before: known as u8, reasons };
            let space = space.map(|space| space.as_str().to_owned());
            self.note(now, Line { at_ms: orders::ms(now), space, what });
        }
        let since = before.filter(|before| before.level == level).map_or(now, |before| before.since);
        Some(Rung { level, reasons, since })
    }

    /// Which level was noted last.
    fn last(&self, space: Option<&LogId>) -> Level {
        let space = space.map(LogId::as_str);
        let level = self.history.newest().find_map(|line| match line.what {
            What::Level { level, .. } if line.space.as_deref() == space => Level::of(level),
            _ => None,
        });
        level.unwrap_or_default()
    }

    fn note(&mut self, now: SystemTime, line: Line) {
        if let Err(why) = self.history.add(now, line) {
            tracing::warn!("what became of a level is known, and not to a house that follows this one: {why}");
        }
    }
}

/// The highest level of all, and why it is: for the reasons of those that are at it.
pub(crate) fn highest(all: impl Iterator<Item = (Level, Reasons)>) -> (Level, Reasons) {
    all.fold((Level::Open, Reasons::default()), |(level, reasons), (other, others)| match other.cmp(&level) {
        std::cmp::Ordering::Greater => (other, others),
        std::cmp::Ordering::Equal => (level, reasons.with(others)),
        std::cmp::Ordering::Less => (level, reasons),
    })
}

/// Whether a level can be ordered so: the panic switch is for whoever comes anew, and below 4 nothing is.
pub fn can_be(which: &Which, level: u32) -> bool {
    let level = u8::try_from(level).ok().and_then(Level::of);
    level.is_some_and(|level| *which != Which::Panic || level >= Level::Delayed)
}

#[cfg(test)]
mod tests;
