//! Sockets, files, epoll and threads.
//!
//! * `worker` the fan-out thread: accepts, reads heads, answers, and owns every listener
//! * `exchange` one connection that is not a listener · `slab` where connections live · `held` whose request waits for a log
//! * `replay` helper threads for recordings · `door_map` what workers share of a door · `drawn` whom a door draws, on its way to the disk · `clips` what they have cut out of them · `rewind` what they read of logs · `recall` what was said before · `forward` one thread between clients and the house
//! * `upload` bodies on their way in · `neighbours` what one address may hold of the way to the house
//! * `http2` the name of HLS: HTTP/2 there, on a thread of its own
//! * `room` how files are shared by all of them
//! * `stream` a connection, with TLS or without · `tls` what rustls does for it
//! * `mailbox` bounded queues with a bell that epoll hears · `socket` what is set on a socket, and why

mod clips;
mod door_map;
mod drawn;
mod exchange;
mod forward;
mod held;
mod http2;
mod mailbox;
mod neighbours;
mod recall;
mod replay;
mod rewind;
mod room;
mod slab;
mod socket;
mod stream;
mod tls;
mod upload;
mod worker;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use hiwar_admission::CrowdKeys;
use hiwar_admission::door::wire::Said;
use hiwar_admission::ladder::{Bitrate, Cadence, Order, Stance};
use hiwar_segment_log::{LogId, Record};

pub use crate::answer::{Document, Serves, Shut};
pub use crate::audience::{Count, FETCHED_FOR, Figures, Heard, News, Reactions, Register};
use crate::audience::{Counters, Crowd};
pub use crate::proxy::Proxies;
pub use crate::shed::Limits;
pub use crate::tail::{Access, CadenceNotice, Notices};
pub use clips::{Cut, Uncut};
pub use door_map::DoorMap;
pub use tls::{Certificate, CertificateError};
pub use worker::Worker;

/// What a worker must know before it begins.
pub struct Config {
    /// Checks listening passes and badges of rehearsals, and makes people into numbers.
    pub keys: CrowdKeys,
    /// The folder with one folder per log, each with its `log/` and `replay/`.
    pub replay_root: PathBuf,
    /// Makes clips of recordings.
    pub cut: Cut,
    /// The house's Unix socket. A path of any length; it need not exist yet.
    pub house: PathBuf,
    /// For whom it is there.
    pub serves: Serves,
    /// What connections speak.
    pub security: Security,
    /// Under TLS, a name at which only HLS is served, with a certificate of its own ([`Update::HlsCertificate`]) and HTTP/2.
    pub hls_name: Option<String>,
    /// The origin at which others carry HLS, if they do: where whoever comes anew is sent when too many are here.
    pub elsewhere: Option<String>,
    /// Where people find this server (`https://talk.example`), without a slash at its end.
    pub origin: String,
    /// Proxies that are believed when they say for whom they ask.
    pub proxies: Proxies,
    /// Names this life of the worker to the house.
    pub run: u64,
    /// `None`: derived from how many files the process may open.
    pub limits: Option<Limits>,
}

/// What the connections of a worker speak.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// HTTP.
    Plain,
    /// HTTP over TLS. Nobody is accepted before the first [`Update::Certificate`]; who comes waits in the kernel's queue.
    Tls,
}

/// Who listens to a log.
#[derive(Clone, Debug)]
pub enum Way {
    /// Whoever comes.
    Open,
    /// Whoever has a place: behind a door, of which workers share this.
    Door(Arc<DoorMap>),
    /// Nobody: there is to be a door, and there can be none.
    Shut,
}

/// What changes a worker's world. Documents and logs that it was told of stay until it is told otherwise, whatever happens to the
/// house.
#[derive(Debug)]
pub enum Update {
    /// A path has this answer from now on. A path that ends in `/` (but `/`): the 404 page for what lies directly below.
    Document {
        /// Begins with `/`.
        path: String,
        /// The answer.
        document: Document,
    },
    /// A path is the house's again.
    Forget {
        /// As above.
        path: String,
    },
    /// A log begins, or goes on after the house restarted: listeners stay.
    Open {
        /// Which.
        log: LogId,
        /// Who may hear it, and its recording.
        access: Access,
        /// Its header record.
        header: Record,
        /// What the listeners of each rendition can be told, in the order of the header's.
        notices: Vec<Notices>,
        /// Fields in the head of every answer that begins a rendition: which, as an index into the header's, name and value.
        fields: Vec<(u8, String, String)>,
        /// Who listens.
        door: Way,
    },
    /// What the house says of a log's door.
    Door {
        /// Which.
        log: LogId,
        /// What.
        said: Said,
    },
    /// The next record of a log that is open.
    Chunk {
        /// Which.
        log: LogId,
        /// The record.
        record: Record,
    },
    /// The lean form of a chunk that was told: a record of the same position, epoch, time and duration, with the same renditions, or those of
    /// them that have one. It may come late, or never.
    Lean {
        /// Which.
        log: LogId,
        /// Whether a decoder can begin with it that heard the standard form until then. The next two are to be such when a worker [asks](Count::lean) that did not.
        entry: bool,
        /// The record.
        record: Record,
    },
    /// Chunks from before the first one that came, oldest first, read from the disk.
    Past {
        /// Which.
        log: LogId,
        /// Their records.
        chunks: Vec<Record>,
    },
    /// No more chunks: listeners get the rest, and goodbye. Who may hear the recording stays known.
    Ended {
        /// Which.
        log: LogId,
    },
    /// There is no sound of a log, and whoever asks is told why, until it is open or closed.
    Shut {
        /// Which.
        log: LogId,
        /// Who may know, and when there will be.
        shut: Shut,
    },
    /// The log is over, and nothing is given of it but its recording; whoever listens gets the rest, and goodbye. A worker serves no recording of a log that it was never
    /// told of, by this or by [`Update::Open`].
    Shelved {
        /// Which.
        log: LogId,
        /// Who may hear the recording.
        access: Access,
    },
    /// The log, and its recording, are gone.
    Closed {
        /// Which.
        log: LogId,
    },
    /// Everything that stands has been told: from now on what is unknown does not exist. Until then it is answered with 503.
    Whole,
    /// Whoever says all this is gone, and will come back. Listeners stay, and are told so; those who join meanwhile, too.
    Away,
    /// The operator wants this time between two writes to a listener; `None`: as pressure makes it. Who listens is told before it gets longer.
    Cadence(Option<Cadence>),
    /// The operator wants this bitrate for whoever listens, HLS aside; `None`: as pressure makes it. Lean forms are asked for by [`Count::lean`].
    Bitrate(Option<Bitrate>),
    /// The operator orders levels, in place of what was ordered before.
    Ladder(Order),
    /// How much this worker may send, in bytes a second; `None`: whatever it can. Above nine tenths of it joins are paced, and bitrate is the next to go.
    Egress(Option<u64>),
    /// Another worker has taken over: nobody is accepted any more, whoever listens is served on, and the worker ends when the last has left.
    Retire,
    /// The worker ends soon: listeners are given what they lack and then let go, answers under way go out, and nothing new is begun. After
    /// [`FINISH_WITHIN`] it ends whatever is left.
    Finish,
    /// Says so when the worker answers with whatever it was told before. Nobody is waited for: where there is no room, nothing is said.
    Mark {
        /// Which.
        mark: u64,
        /// To whom.
        reached: SyncSender<u64>,
    },
    /// Shown to everyone who connects from now on.
    Certificate(Certificate),
    /// Shown to everyone who connects to [`Config::hls_name`] from now on; before the first one, the other is.
    HlsCertificate(Certificate),
    /// The worker ends, and every connection with it.
    Stop,
}

/// Speaks to a worker from other threads. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    updates: mailbox::Outbox<Update>,
    shared: Arc<Shared>,
}

impl Handle {
    /// Tells the worker. Waits if [`UPDATES_MAX`] are waiting, so that a worker that is behind slows its bus, not its memory. Does
    /// nothing after the worker has ended.
    pub fn push(&self, update: Update) {
        self.updates.send(update);
    }

    /// Waits until somebody listens to a log that nobody heard before, or so long. For one thread of a worker: the first that asks, which
    /// the first time does not wait, but looks for whoever came before it did.
    pub fn wait_for_ears(&self, most: Duration) {
        let mut is_new = false;
        let first = self.shared.reporter.get_or_init(|| {
            is_new = true;
            std::thread::current()
        });
        // Woken early by something else, it is merely early.
        if !is_new && first.id() == std::thread::current().id() {
            std::thread::park_timeout(most);
        }
    }

    /// Who listens to each log, now and in all: of the logs that someone hears, and then of those whose figures are other than when this was last asked, up to
    /// so many in all. Thousands that are over need not be told of each second. For one thread of a worker, as all that tells.
    pub fn counts(&self, most: usize) -> Vec<Count> {
        let now = self.shared.age();
        let logs = self.shared.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = self.shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|log, _| logs.contains_key(log));
        let is_heard = |count: &Count| count.fetched || count.audience.listening + count.rehearsal.listening > 0;
        let mut counts: Vec<Count> = logs
            .iter()
            .map(|(&log, counters)| counters.count(log, now))
            // That the last one left is told, too.
            .filter(|count| is_heard(count) || told.get(&count.log) != Some(count))
            .collect();
        counts.sort_by_key(|count| (!is_heard(count), count.log));
        counts.truncate(most);
        told.extend(counts.iter().map(|count| (count.log, *count)));
        counts
    }

    /// What was not told yet of the people who heard each log: at most so many registers in all, so that a report stays small; the rest is told next time.
    pub fn news(&self, most: usize) -> Vec<News> {
        let logs = self.shared.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut news, mut left) = (Vec::new(), most);
        for (&log, counters) in logs.iter() {
            left -= counters.tell(log, left, &mut news);
            if left == 0 {
                break;
            }
        }
        news
    }

    /// The reactions to each log that were not told yet, of at most so many logs; the others next time.
    pub fn reactions(&self, most: usize) -> Vec<Reactions> {
        let logs = self.shared.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.iter().filter_map(|(&log, counters)| counters.reactions(log)).take(most).collect()
    }

    /// Whoever asks from now on was told nothing yet.
    pub fn retell(&self) {
        self.shared.told.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.shared.logs.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(|counters| counters.retell());
    }

    /// What to tell the house of each log that has a door, as [`wire::encode_heard`](hiwar_admission::door::wire::encode_heard) makes it: to be asked every quarter of a second.
    pub fn doors(&self) -> Vec<(LogId, Vec<u8>)> {
        let doors = self.shared.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.iter().map(|(&log, heard)| (log, heard.clone())).collect()
    }

    /// How much of the memory is taken that there is, in thousandths: the worker takes it into account with whatever else it feels.
    pub fn feel_memory(&self, thousandths: u32) {
        self.shared.memory.store(thousandths, Relaxed);
    }

    /// What the worker as a whole has done.
    pub fn stats(&self) -> Stats {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        Stats {
            connections: self.shared.connections.load(Relaxed),
            accepted_total: of(&self.shared.accepted),
            refused_total: of(&self.shared.refused),
            timed_out_total: of(&self.shared.timed_out),
            skipped_total: of(&self.shared.skipped),
            cut_total: of(&self.shared.cut),
            full_total: of(&self.shared.full),
            exhausted_total: of(&self.shared.exhausted),
            handshakes: self.shared.handshakes.load(Relaxed),
            unshaken_total: of(&self.shared.unshaken),
            undeclared_total: of(&self.shared.undeclared),
            http2_connections: self.shared.http2_connections.load(Relaxed),
            http2_requests: self.shared.http2_requests.load(Relaxed),
            http2_calmed_total: of(&self.shared.http2_calmed),
            stance: *self.shared.stance.lock().unwrap_or_else(PoisonError::into_inner),
            felt: *self.shared.felt.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// Counters of one worker since it began.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections now, listeners and others, without those at the house or reading a recording.
    pub connections: usize,
    /// Connections taken.
    pub accepted_total: u64,
    /// Heads that were refused.
    pub refused_total: u64,
    /// Connections closed because they took too long.
    pub timed_out_total: u64,
    /// Listeners skipped to live.
    pub skipped_total: u64,
    /// Listeners cut because they fell behind a second time.
    pub cut_total: u64,
    /// Times the worker was full and stopped accepting.
    pub full_total: u64,
    /// Times that nobody could be accepted because files or memory had run out, before [`Limits`] were reached. Looked at four times a second while it is so;
    /// who comes waits in the kernel's queue, or goes to another worker.
    pub exhausted_total: u64,
    /// TLS handshakes under way.
    pub handshakes: usize,
    /// Connections let go in their handshake because too many newer ones had begun theirs.
    pub unshaken_total: u64,
    /// Requests that say for whom a proxy asks, and come from none of ours.
    pub undeclared_total: u64,
    /// Connections of HTTP/2 now.
    pub http2_connections: usize,
    /// Their requests under way, each of which is one of `connections`, too.
    pub http2_requests: usize,
    /// Connections of HTTP/2 ended because they took back more than they asked for, or that found no place.
    pub http2_calmed_total: u64,
    /// What it does against pressure.
    pub stance: Stance,
    /// What it felt in the last second, as [`Pressure::figures`](hiwar_admission::ladder::Pressure::figures) puts it.
    pub felt: [u32; 6],
}

/// How long a worker that was told to [finish](Update::Finish) goes on: what listeners lack is in their kernel's hands within milliseconds, and a
/// service manager waits for the whole house.
pub const FINISH_WITHIN: Duration = Duration::from_millis(1_500);

/// Updates that may wait: five a second for each of 200 spaces, for a second.
pub const UPDATES_MAX: usize = 1_024;

#[derive(Debug, Default)]
struct Shared {
    logs: Mutex<HashMap<LogId, Arc<Counters>>>,
    /// As it was last told, of logs of which anything was. Locked after `logs`.
    told: Mutex<HashMap<LogId, Count>>,
    /// What the house is to hear of each door: written four times a second.
    doors: Mutex<HashMap<LogId, Vec<u8>>>,
    connections: AtomicUsize,
    accepted: AtomicU64,
    refused: AtomicU64,
    timed_out: AtomicU64,
    skipped: AtomicU64,
    cut: AtomicU64,
    full: AtomicU64,
    exhausted: AtomicU64,
    /// Shared with the places of those whose handshake is under way.
    handshakes: Arc<AtomicUsize>,
    unshaken: AtomicU64,
    undeclared: AtomicU64,
    /// As `handshakes`.
    http2_connections: Arc<AtomicUsize>,
    http2_requests: Arc<AtomicUsize>,
    replays: Arc<AtomicUsize>,
    streams: Arc<AtomicUsize>,
    uploads: Arc<AtomicUsize>,
    http2_calmed: AtomicU64,
    /// Written once a second.
    stance: Mutex<Stance>,
    /// The same.
    felt: Mutex<[u32; 6]>,
    /// What is taken of the memory, in thousandths, as somebody who may read files said.
    memory: AtomicU32,
    /// Who is waiting for the first listeners.
    reporter: OnceLock<Thread>,
    began: OnceLock<Instant>,
}

impl Shared {
    /// How long it has been there.
    fn age(&self) -> Duration {
        self.began.get_or_init(Instant::now).elapsed()
    }

    /// There was no room for somebody who asked for sound at that path, if it is that of a log.
    fn turn_away(&self, path: &str, crowd: Crowd) {
        let log = path.strip_prefix("/hls/").and_then(|rest| LogId::parse(rest.split_once('/')?.0).ok());
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = log.and_then(|log| logs.get(&log)) {
            counters.turn_away(crowd);
        }
    }

    /// Somebody listens to a log that nobody heard. No lock, and nothing to wait for.
    fn ears(&self) {
        if let Some(reporter) = self.reporter.get() {
            reporter.unpark();
        }
    }
}

/// One of a bounded number of places; freed when dropped.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(taken: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let below = |now: usize| (now < limit).then_some(now + 1);
        taken.fetch_update(Relaxed, Relaxed, below).ok().map(|_| Self(taken.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
