//! A crowd worker, the reserved worker on the stage port, or the one that sends plain HTTP on to HTTPS: `delivery` fed from the live bus.
//!
//! When the house dies the worker keeps every listener's connection, serves what it has, and looks for the house again. One that has
//! just started says of nothing that it does not exist until the house has told it everything.
//!
//! Signals: TERM, the worker gives its listeners the rest and ends; USR1, another worker has taken over, and it ends with its last listener.

use std::net::TcpListener;
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use hiwar_admission::CrowdKeys;
use hiwar_admission::door::wire::decode_said;
use hiwar_admission::ladder::{Bitrate, Cadence, Order};
use hiwar_delivery::http::{self, Certificate, DoorMap, Handle, Proxies, Serves, Update, Way, Worker};
use hiwar_engine::live_bus::frame::COUNTS_MAX;
use hiwar_engine::live_bus::{
    self, Access, Broken, CadenceNotice, Document, Down, Held, Notices, Run, Subscription, Up, Uplink,
};
use hiwar_segment_log::{LogId, Position};
use tokio::signal::unix::{SignalKind, signal};

use super::certificate::Speaks;
use super::keys;
use crate::config::{Config, Tls};
use crate::door;
use crate::inherit::{Post, adopt};
use crate::memory;

/// How often the house hears how many listen.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Between two reports at least: whatever comes and goes, the house hears of it no more than ten times a second.
const REPORT_PAUSE: Duration = Duration::from_millis(100);
/// How often the house hears of doors.
const DOOR_EVERY: Duration = Duration::from_millis(250);
/// Registers of sketches told with one report: 200 kB. A second of 60,000 people who come tells fewer; four sketches, when everything is told anew.
const NEWS_MAX: usize = 65_536;
/// Pause before looking for the house again; a Unix socket that nobody accepts on costs nothing to try.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A worker accepts after this long also without a house; until then whoever comes is served by others, or waits in the kernel's queue, where after a start of everything they are answered sooner
/// than if they were told to come again. The supervisor does not leave older workers longer either.
const UNTOLD_MAX: Duration = Duration::from_secs(10);

/// Marks that were reached, and of which the house was not told yet. It gives the next when somebody asks, so they are few.
const REACHED_MAX: usize = 64;

/// Below it lie the pages of the spaces. It ends in a slash: its document is what workers say of all below it that they do not know.
const PAGES: &str = "/s/";

/// What the supervisor handed over.
pub struct Inherited {
    pub listener: RawFd,
    pub post: Post,
    /// An eventfd, for when the house has told everything.
    pub ready: RawFd,
}

/// Serves until the process is told to end.
pub fn run(config: &Config, inherited: &Inherited) -> Result<(), String> {
    let Inherited { listener, post, ready } = *inherited;
    let listener: TcpListener = adopt(listener).map_err(|why| format!("no listening socket: {why}"))?;
    let ready: OwnedFd = adopt(ready).map_err(|why| format!("no way to say that it is ready: {why}"))?;
    let listen = keys::load_or_make_pair(&config.data).map_err(|why| format!("no listening key: {why}"))?;
    let people = keys::load_or_make(&config.data, keys::PEOPLE).map_err(|why| format!("no key of people: {why}"))?;
    let run = config.data.join("run");
    let certificate = config.certificate().filter(|_| post != Post::Redirect);
    let is_crowd = matches!(post, Post::Crowd { .. });
    // Of its name the stage knows nothing.
    let here = config.hls.as_ref().and_then(|hls| hls.here.as_ref()).filter(|_| is_crowd);
    let mut life = [0; 8];
    getrandom::fill(&mut life).map_err(|why| format!("no random numbers: {why}"))?;
    let life = Run(u64::from_le_bytes(life));
    let settings = http::Config {
        keys: CrowdKeys::new(&listen, people),
        replay_root: config.data.join("spaces"),
        cut: super::clip::cutter(config.public_origin()),
        house: run.join("api.sock"),
        serves: match post {
            Post::Crowd { .. } => Serves::Crowd,
            Post::Stage => Serves::Stage,
            Post::Redirect => Serves::Redirect { origin: config.public_origin() },
        },
        hls_name: here.map(|here| here.name.clone()),
        security: if certificate.is_some() { http::Security::Tls } else { http::Security::Plain },
        elsewhere: config.hls.as_ref().filter(|hls| is_crowd && hls.here.is_none()).map(|hls| hls.base.clone()),
        origin: config.public_origin(),
        proxies: Proxies::new(config.proxies.networks.clone(), config.proxies.protocol),
        run: life.0,
        limits: None,
    };
    let worker = Worker::new(listener, settings).map_err(|why| format!("cannot serve: {why}"))?;
    let worker = worker.accept_once_told(UNTOLD_MAX);
    let handle = worker.handle();
    // The page of what does not exist is here before the first request: without it, what is unknown would be the house's to answer.
    let nowhere = (String::from(PAGES), crate::registry::nowhere());
    let hls_base = config.hls.as_ref().map(|hls| hls.base.as_str());
    for (path, document) in crate::assets::documents(hls_base).chain([nowhere]) {
        handle.push(Update::Document { path, document: served(document) });
    }
    if is_crowd {
        handle.push(Update::Egress(config.egress_share()));
    }
    let speaks = if post == (Post::Crowd { index: 0 }) { Speaks::Yes } else { Speaks::No };
    let hls_files = here.map(|here| here.tls.clone());
    let watch = |name: &str, files: Tls, told: fn(Certificate) -> Update| {
        let handle = handle.clone();
        start(name, move || super::certificate::watch(&files, &handle, told, speaks))
    };
    if let Some(files) = certificate {
        watch("certificate", files, Update::Certificate)?;
    }
    if let Some(files) = hls_files {
        watch("hls-certificate", files, Update::HlsCertificate)?;
    }
    let reporter: Arc<Mutex<Option<Uplink>>> = Arc::default();
    let (reached, marks) = sync_channel(REACHED_MAX);
    // Whoever is on a stage has no place of the audience's.
    let doors = config.door.filter(|_| is_crowd).map(|_| Doors { spaces: config.data.join("spaces") });
    if doors.is_some() {
        let (handle, reporter) = (handle.clone(), reporter.clone());
        start("door", move || tell_of_doors(&handle, life, &reporter))?;
    }
    start("bus", {
        let (handle, reporter) = (handle.clone(), reporter.clone());
        move || follow(&run.join("bus.sock"), &handle, &reporter, &reached, ready, doors.as_ref())
    })?;
    start("marks", {
        let reporter = reporter.clone();
        move || marks.iter().for_each(|mark| tell(&reporter, &Up::Reached { mark }))
    })?;
    start("signals", {
        let handle = handle.clone();
        move || {
            if let Err(why) = heed_signals(&handle) {
                tracing::error!("cannot hear the supervisor: {why}");
            }
        }
    })?;
    start("report", move || report(&handle, life, &reporter))?;
    tracing::debug!(?post, "serving");
    worker.run().map_err(|why| format!("cannot go on serving: {why}"))
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(work);
    thread.map(drop).map_err(|why| format!("cannot start a thread: {why}"))
}

/// What the supervisor says, and what a terminal says to everyone and only the supervisor answers.
fn heed_signals(handle: &Handle) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut retire = signal(SignalKind::user_defined1())?;
        let (mut interrupt, mut hangup) = (signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
        loop {
            tokio::select! {
                _ = terminate.recv() => handle.push(Update::Finish),
                _ = retire.recv() => handle.push(Update::Retire),
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            }
        }
    })
}

/// Reads the live bus for ever, connecting again whenever it breaks.
#[expect(clippy::disallowed_methods, reason = "pacing: nothing tells a client that a Unix socket listens again")]
fn follow(
    path: &Path,
    handle: &Handle,
    reporter: &Mutex<Option<Uplink>>,
    reached: &SyncSender<u64>,
    ready: OwnedFd,
    doors: Option<&Doors>,
) {
    let (mut told, mut held, mut ready) = (false, Held::new(), Some(ready));
    loop {
        match Subscription::connect(path) {
            Ok(mut subscription) => {
                {
                    // Nothing is told between the two, so that what is told to this house was told to no other.
                    let mut reporter = reporter.lock().unwrap_or_else(PoisonError::into_inner);
                    handle.retell();
                    *reporter = subscription.uplink().ok();
                }
                told = false;
                let mut leaving = false;
                let broken = loop {
                    let down = match subscription.next() {
                        Ok(down) => down,
                        Err(broken) => break broken,
                    };
                    held.note(&down);
                    let whole = down == Down::Whole;
                    match update(down, doors) {
                        Told::Listeners(update) => handle.push(update),
                        Told::Us(Word::Held { log, from }) => {
                            tell(reporter, &Up::Held { log, records: held.since(&log, from) });
                        }
                        Told::Us(Word::Mark(mark)) => {
                            handle.push(Update::Mark { mark, reached: reached.clone() });
                        }
                        Told::Us(Word::Leaving) => leaving = true,
                        Told::Nobody => {}
                    }
                    if let Some(ready) = ready.take_if(|_| whole) {
                        let _ = rustix::io::write(&ready, &1_u64.to_ne_bytes());
                    }
                };
                *reporter.lock().unwrap_or_else(PoisonError::into_inner) = None;
                if matches!(broken, Broken::Version) {
                    // It will not be understood at the next try either. Listeners find the workers that do.
                    tracing::info!("the house is of another version; listeners are sent to its own workers");
                    handle.push(Update::Finish);
                    return;
                }
                handle.push(Update::Away);
                held.lost();
                if leaving {
                    tracing::debug!("the house ended; listeners stay connected");
                } else {
                    tracing::warn!("lost the house; listeners stay connected");
                }
            }
            Err(why) if !told => {
                told = true;
                tracing::debug!("the house is not there yet: {why}");
            }
            Err(_) => {}
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Tells the house something, if it is there.
fn tell(reporter: &Mutex<Option<Uplink>>, up: &Up) {
    if let Some(reporter) = &mut *reporter.lock().unwrap_or_else(PoisonError::into_inner) {
        // A broken connection is noticed by the reading side.
        let _ = reporter.up(up);
    }
}

#[expect(clippy::disallowed_methods, reason = "pacing: reports are no more frequent, whatever happens")]
fn report(handle: &Handle, run: Run, reporter: &Mutex<Option<Uplink>>) {
    loop {
        std::thread::sleep(REPORT_PAUSE);
        // Whoever comes where nobody was is told of at once: the house may have to begin something for them.
        handle.wait_for_ears(REPORT_EVERY - REPORT_PAUSE);
        // People first: their numbers are told on with the next counts.
        for news in handle.news(NEWS_MAX) {
            tell(reporter, &people(news));
        }
        handle.feel_memory(memory::taken());
        let figures = figures(&handle.stats());
        if let Some(reporter) = &mut *reporter.lock().unwrap_or_else(PoisonError::into_inner) {
            // A house that has heard how this worker is has heard of every place that it holds.
            tell_doors(handle, run, reporter);
            let _ = reporter.up(&Up::Worker { run, figures });
        }
        let counts = handle.counts(COUNTS_MAX).into_iter().map(|count| live_bus::Count {
            log: count.log,
            audience: of_crowd(count.audience),
            rehearsal: of_crowd(count.rehearsal),
            fetched: count.fetched,
            lean: count.lean,
        });
        tell(reporter, &Up::Counts { run, counts: counts.collect() });
        tell_reactions(handle, run, reporter);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "pacing: what a worker was given is good for seconds, and the house is told several times in them"
)]
fn tell_of_doors(handle: &Handle, run: Run, reporter: &Mutex<Option<Uplink>>) {
    loop {
        std::thread::sleep(DOOR_EVERY);
        if let Some(reporter) = &mut *reporter.lock().unwrap_or_else(PoisonError::into_inner) {
            tell_doors(handle, run, reporter);
        }
    }
}

fn tell_doors(handle: &Handle, run: Run, reporter: &mut Uplink) {
    for (log, body) in handle.doors() {
        let _ = reporter.up(&Up::Door { run, log, body: body.into() });
    }
}

/// What is taken to be told is told: these are counted to the last one, and while no house is there they wait.
fn tell_reactions(handle: &Handle, run: Run, reporter: &Mutex<Option<Uplink>>) {
    if let Some(reporter) = &mut *reporter.lock().unwrap_or_else(PoisonError::into_inner) {
        let reactions: Vec<_> = handle.reactions(COUNTS_MAX).into_iter().map(reacted).collect();
        if !reactions.is_empty() {
            let _ = reporter.up(&Up::Reactions { run, reactions });
        }
    }
}

// What delivery counts and what the engine carries are the same numbers; neither crate knows the other.

fn of_crowd(figures: http::Figures) -> live_bus::Figures {
    let http::Figures { listening, joined_total, silent_total, turned_away_total, bytes_total } = figures;
    live_bus::Figures { listening, joined_total, silent_total, turned_away_total, bytes_total }
}

fn reacted(http::Reactions { log, before, totals }: http::Reactions) -> live_bus::Reactions {
    live_bus::Reactions { log, before, totals }
}

fn people(news: http::News) -> Up {
    let heard = match news.heard {
        http::Heard::Ever => live_bus::Heard::Ever,
        http::Heard::ByPieces => live_bus::Heard::ByPieces,
    };
    let registers = news.registers.into_iter();
    let registers = registers.map(|http::Register { index, value }| live_bus::Register { index, value }).collect();
    Up::People { log: news.log, heard, registers }
}

fn figures(stats: &http::Stats) -> live_bus::WorkerFigures {
    live_bus::WorkerFigures {
        connections: stats.connections as u64,
        handshakes: stats.handshakes as u64,
        http2_connections: stats.http2_connections as u64,
        http2_requests: stats.http2_requests as u64,
        accepted_total: stats.accepted_total,
        refused_total: stats.refused_total,
        timed_out_total: stats.timed_out_total,
        skipped_total: stats.skipped_total,
        cut_total: stats.cut_total,
        full_total: stats.full_total,
        exhausted_total: stats.exhausted_total,
        unshaken_total: stats.unshaken_total,
        undeclared_total: stats.undeclared_total,
        http2_calmed_total: stats.http2_calmed_total,
        level: stats.stance.level as u8,
        cadence_ms: stats.stance.cadence.ms(),
        lean: stats.stance.bitrate == Bitrate::Lean,
        reasons: stats.stance.reasons.bits(),
        felt: stats.felt,
    }
}

/// What workers share of doors, by space.
struct Doors {
    spaces: PathBuf,
}

impl Doors {
    /// A form of a space's sound has none of its own. Where the file cannot be it is this worker's alone: no more are let in for that. And where there is not even memory nobody is.
    fn of(&self, log: LogId) -> Way {
        if log.stem() != log {
            return Way::Open;
        }
        let map = DoorMap::open_or_make(&self.spaces.join(log.as_str()).join(door::FILE));
        let map = map.or_else(|why| {
            tracing::error!(%log, "a door that no other worker shares: {why}");
            DoorMap::alone()
        });
        match map {
            Ok(map) => Way::Door(Arc::new(map)),
            Err(why) => {
                tracing::error!(%log, "nobody listens here, for there is no memory for its door: {why}");
                Way::Shut
            }
        }
    }
}

/// Whom a message of the house is for.
enum Told {
    /// For those who listen.
    Listeners(Update),
    /// For this worker.
    Us(Word),
    /// Nothing that could be done.
    Nobody,
}

/// What concerns nobody but the worker.
enum Word {
    /// What has it of a log?
    Held { log: LogId, from: Position },
    /// Says when it answers with all that it was told before.
    Mark(u64),
    /// The house ends because it was told to.
    Leaving,
}

fn update(down: Down, doors: Option<&Doors>) -> Told {
    Told::Listeners(match down {
        Down::Ask { log, from } => return Told::Us(Word::Held { log, from }),
        Down::Mark { mark } => return Told::Us(Word::Mark(mark)),
        Down::Leaving => return Told::Us(Word::Leaving),
        Down::Document { path, document } => Update::Document { path, document: served(document) },
        Down::Forget { path } => Update::Forget { path },
        Down::Door { log, body } => match decode_said(&body) {
            Some(said) => Update::Door { log, said },
            None => {
                tracing::warn!(%log, "the house says of a door what nobody understands");
                return Told::Nobody;
            }
        },
        Down::Cadence { chunks } => Update::Cadence(Cadence::of_chunks(chunks.into())),
        Down::Ladder { levels } => match Order::from_numbers(levels) {
            Some(order) => Update::Ladder(order),
            None => {
                tracing::warn!("the house orders levels that there are not");
                return Told::Nobody;
            }
        },
        Down::Bitrate { wish } => Update::Bitrate(wish.map(|wish| match wish {
            live_bus::Bitrate::Standard => Bitrate::Standard,
            live_bus::Bitrate::Lean => Bitrate::Lean,
        })),
        Down::Open { log, access, header, notices, fields } => {
            let fields = fields.into_iter().map(|field| (field.rendition, field.name, field.value)).collect();
            let notices = notices.into_iter().map(said).collect();
            Update::Open {
                log,
                access: allowed(access),
                header,
                notices,
                fields,
                door: doors.map_or(Way::Open, |doors| doors.of(log)),
            }
        }
        Down::Chunk { log, record } => Update::Chunk { log, record },
        Down::Lean { log, entry, record } => Update::Lean { log, entry, record },
        Down::Ended { log } => Update::Ended { log },
        Down::Shut { log, access, opens_ms } => {
            // A time that no clock can show is as good as far away.
            let opens = opens_ms.map(|ms| UNIX_EPOCH + Duration::from_millis(ms.min(u64::from(u32::MAX) * 1_000)));
            Update::Shut { log, shut: http::Shut { access: allowed(access), opens } }
        }
        Down::Shelved { log, access } => Update::Shelved { log, access: allowed(access) },
        Down::Closed { log } => Update::Closed { log },
        Down::Whole => Update::Whole,
    })
}

fn allowed(access: Access) -> http::Access {
    match access {
        Access::Open => http::Access::Open,
        Access::Pass => http::Access::Pass,
        Access::Review => http::Access::Review,
    }
}

/// What listeners can be told. A cadence that this worker does not know is left out.
fn said(notices: Notices) -> http::Notices {
    let cadence = |notice: CadenceNotice| {
        Some(http::CadenceNotice {
            cadence: Cadence::of_chunks(notice.chunks.into())?,
            lead: Duration::from_millis(notice.lead_ms.into()),
            soon: notice.soon,
            now: notice.now,
        })
    };
    http::Notices { away: notices.away, cadences: notices.cadences.into_iter().filter_map(cadence).collect() }
}

/// The engine's document and delivery's are the same bytes; neither crate knows the other.
fn served(document: Document) -> http::Document {
    let Document { mime, etag, cache, policy, body, brotli, as_of_ms } = document;
    // A moment that no clock can show is as good as far away.
    let as_of = as_of_ms.map(|ms| UNIX_EPOCH + Duration::from_millis(ms.min(u64::from(u32::MAX) * 1_000)));
    http::Document { mime, etag, cache, policy, body, brotli, as_of }
}
