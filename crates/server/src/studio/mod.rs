//! The studio: where speakers are mixed. Spaces go on the air here, speakers are seated, logs are written and sealed.
//!
//! Threads: for each shard *beat* (real time, [`beat`]), *net* (WebRTC, in `rtc::udp`) and *airing* (chunks to the live bus and the log,
//! [`airing`]); then *log* ([`log`]), *radio* (MP3 while somebody listens, [`radio`]), *lean* (lean forms while somebody is to hear them, [`lean`]), and one thread per replay
//! being made ([`seal`]). This file is the only one that the API sees; its lock is never taken by the beat.
//!
//! A space on the air costs nothing while nobody is on its stage and nobody listens: its programme is built when
//! somebody comes and dropped when the last has gone, and its media time stands still meanwhile.

mod airing;
mod audience;
pub mod beat;
mod beside;
mod bridge;
mod chapters;
mod control;
mod lean;
mod log;
pub mod perform;
pub(crate) mod press;
mod radio;
mod reactions;
mod realtime;
mod recollect;
pub mod recording;
mod seal;
mod seats;
mod shards;
mod tracks;
pub mod withdrawal;

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hiwar_engine::SpaceLog;
use hiwar_engine::live_bus::{Access, Document, Down, Publisher, Report, Run, Up, WorkerFigures};
use hiwar_media::hold::{HoldMusic, Unfit};
pub use hiwar_media::programme::{Audience, Voicing};
use hiwar_rtc::offer::Certificate;
use hiwar_rtc::udp as net;
use hiwar_segment_log::disk::{self, Options, Recovered};
use hiwar_segment_log::retention::Retention;
use hiwar_segment_log::{LogId, Record};
use tokio::sync::{mpsc, oneshot};

pub use audience::{AtWorker, Numbers, Totals};
pub use beat::SHARDS_MAX;
use control::{Control, Origin};
pub use radio::Caption;
pub use reactions::Rates;
pub use seal::Wanted;
pub use seats::{PublishRefusal, Published, Speaking};
use shards::Shards;

/// Speakers' packets waiting for the next beat: 1.2 s of 20 ms frames; past it the oldest sound is stale anyway.
const PACKETS_WAITING: usize = 64;
/// Frames waiting to be sent to a speaker.
const RETURNS_WAITING: usize = 16;
/// Events that the registry has not read yet; it reads at once.
const EVENTS_WAITING: usize = 8192;
/// Places kept for events that must arrive; who listens and who speaks is told again soon.
const EVENTS_KEPT: usize = 4096;
/// Notices between beat and airing: two seconds of a full shard.
const NOTICES_WAITING: usize = 8192;
/// How long an answer waits until every worker knows of what it says; it takes milliseconds.
const TOLD_WAIT: Duration = Duration::from_secs(1);
/// Log kept when a recording is off: what a late joiner or a rewinding listener may ask for.
const LIVE_WINDOW: Duration = Duration::from_secs(10 * 60);

/// WebRTC sockets of one shard.
pub struct Ports {
    /// For all its speakers.
    pub udp: UdpSocket,
    /// The TCP twin of `udp`.
    pub tcp: TcpListener,
    /// What candidates name.
    pub candidate: SocketAddr,
}

/// What the studio needs from the house.
pub struct Setup {
    /// One for each shard; at least one.
    pub shards: Vec<Ports>,
    /// `DATA/spaces`.
    pub spaces: PathBuf,
    /// To the crowd workers.
    pub publisher: Publisher,
    /// How many of them there are, the reserved one included.
    pub workers: usize,
}

/// How long the log of a space is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// From the start to the end, then a replay is made.
    All,
    /// The same, and beside it what was heard of each speaker, so that one of them can withdraw.
    AllAndTracks,
    /// A moving window; no replay.
    Window(Duration),
}

impl Keep {
    /// Recording is off: the live window only.
    pub const LIVE: Self = Self::Window(LIVE_WINDOW);

    /// Whether it is kept from the start to the end.
    #[must_use]
    pub fn is_all(self) -> bool {
        matches!(self, Self::All | Self::AllAndTracks)
    }
}

/// Whether clips of a recording may be made by whoever may hear it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clips {
    /// They may.
    Allowed,
    /// The host does not want it.
    Refused,
}

/// Folders of a space that hold its recording, or what is left of one.
pub const FOLDERS: [&str; 6] = ["log", "log.deleted", "tracks", "tracks.deleted", "replay", "replay.deleted"];

/// Why the studio could not do as asked.
#[derive(Debug)]
pub enum Failure {
    /// No such space on the air.
    NotOnAir,
    /// The log could not be claimed or deleted.
    Log(disk::Error),
    /// A file said no.
    File(io::Error),
    /// The studio is stopping, or its queue is full.
    Unavailable,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotOnAir => f.write_str("the space is not on the air"),
            Self::Log(why) => write!(f, "the log: {why}"),
            Self::File(why) => write!(f, "a file: {why}"),
            Self::Unavailable => f.write_str("the studio is busy or stopping"),
        }
    }
}

/// What happens in the studio, for the registry.
#[derive(Debug, Clone)]
pub enum StudioEvent {
    /// A speaker's media flows.
    Connected { space: LogId, session: String },
    /// A speaker's session is over, and no other has taken its place.
    Left { space: LogId, participant: String },
    /// Somebody else, or nobody, is heard now.
    Speaking { space: LogId, participant: Option<String> },
    /// The disk is full; live goes on.
    RecordingPaused { space: LogId },
    /// Recording again.
    RecordingResumed { space: LogId },
    /// The log was let go of after the disk failed; [`Studio::record`] claims it anew.
    RecordingLost { space: LogId },
    /// The replay can be heard.
    ReplayReady { space: LogId, duration: Duration, loudness_lufs: f32 },
    /// No replay could be made.
    ReplayFailed { space: LogId, why: String },
    /// Who listens, from all workers; at most once a second.
    Counts { space: LogId, numbers: Numbers },
    /// How listeners reacted in the last second, once a second while they do, and once that they do no more.
    Reactions { space: LogId, rates: Rates },
}

/// A cheap handle on the studio.
#[derive(Clone)]
pub struct Studio {
    inner: Arc<Inner>,
}

struct Inner {
    control: Mutex<Control>,
    /// Never locked with `control`.
    audiences: Mutex<audience::Audiences>,
    /// As `audiences`.
    applause: Mutex<reactions::Applause>,
    certificate: Certificate,
    shards: Vec<Shard>,
    publisher: Publisher,
    press: press::Press,
    log: log::Handle,
    radio: beside::Handle,
    lean: beside::Handle,
    recollection: recollect::Recollection,
    tracks: Arc<tracks::Desk>,
    withdrawals: withdrawal::Desk,
    spaces: PathBuf,
    events: mpsc::Sender<StudioEvent>,
    /// The house ends, and nothing is aired any more.
    silenced: Mutex<bool>,
    /// Nor told: the registry ends with the house.
    leaving: AtomicBool,
}

/// What the API reaches of a shard.
struct Shard {
    candidate: SocketAddr,
    net: net::Handle,
    figures: Arc<beat::Figures>,
}

/// Microseconds since 1970.
fn wall_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}

impl Studio {
    /// Starts the studio's threads. The receiver gets everything that happens.
    ///
    /// # Errors
    /// No thread, no certificate, or no directory of logs.
    pub fn start(setup: Setup) -> io::Result<(Self, mpsc::Receiver<StudioEvent>)> {
        let (events, happened) = mpsc::channel(EVENTS_WAITING);
        // Before anybody is served: what was withdrawn is not heard any more.
        withdrawal::finish_all(&setup.spaces);
        let logs = SpaceLog::new(setup.spaces.clone());
        let changes = events.clone();
        let log = log::start(logs, move |log, change| {
            let space = log.stem();
            // Of tracks only what is to be done: that the disk is full, the log itself says.
            if log != space && !matches!(change, log::Change::Lost) {
                return;
            }
            let log = space;
            let _ = changes.try_send(match change {
                log::Change::Paused => StudioEvent::RecordingPaused { space: log },
                log::Change::Resumed => StudioEvent::RecordingResumed { space: log },
                log::Change::Lost => StudioEvent::RecordingLost { space: log },
            });
        })?;
        let (mut shards, mut beats, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for Ports { udp, tcp, candidate } in setup.shards {
            let (net, net_events, _) = net::Shard::spawn(net::Sockets { udp, tcp: Some(tcp) })?;
            let (commands, commands_in) = rtrb::RingBuffer::new(1024);
            shards.push(Shard { candidate, net, figures: Arc::default() });
            beats.push(commands);
            rest.push((commands_in, net_events));
        }
        let ((radio, radio_jobs), (lean, lean_jobs)) = (beside::queue(), beside::queue());
        let tracks = Arc::<tracks::Desk>::default();
        let inner = Arc::new(Inner {
            control: Mutex::new(Control::new(beats, tracks.clone())),
            audiences: Mutex::default(),
            applause: Mutex::default(),
            certificate: Certificate::generate().ok_or_else(|| io::Error::other("no certificate for WebRTC"))?,
            shards,
            press: press::Press::start(setup.publisher.clone())?,
            publisher: setup.publisher,
            log,
            radio,
            lean,
            recollection: recollect::Recollection::new(setup.workers),
            tracks,
            withdrawals: withdrawal::Desk::default(),
            spaces: setup.spaces,
            events,
            silenced: Mutex::new(false),
            leaving: AtomicBool::new(false),
        });
        beside::start(radio::Radio::new(inner.clone()), radio_jobs)?;
        beside::start(lean::Lean::new(inner.clone()), lean_jobs)?;
        beat::note_panics();
        let (studio, count) = (Self { inner }, rest.len());
        for (number, (commands, net_events)) in rest.into_iter().enumerate() {
            let Shard { net, figures, .. } = &studio.inner.shards[number];
            let (notices, notices_in) = rtrb::RingBuffer::new(NOTICES_WAITING);
            let (recycle, recycle_in) = rtrb::RingBuffer::new(NOTICES_WAITING);
            let airing = airing::start(studio.inner.clone(), notices_in, recycle)?;
            let beat = beat::Beat::new(commands, notices, recycle_in, figures.clone(), airing, net.clone());
            std::thread::Builder::new().name("beat".into()).spawn(move || {
                realtime::enter("the beat", number, count);
                // What no space is to blame for ends them all: the supervisor starts another house.
                if catch_unwind(AssertUnwindSafe(|| beat.run())).is_err() {
                    std::process::abort();
                }
            })?;
            let watching = studio.clone();
            std::thread::Builder::new().name("net-events".into()).spawn(move || watching.watch_net(&net_events))?;
        }
        Ok((studio, happened))
    }

    /// Puts a space on the air: workers learn of it, and it wakes when somebody comes. Its `audience` hears the stage, or waits until [`Studio::begin`]. `since` is when its clock began;
    /// what was aired before a restart and never logged lies before now on it.
    pub fn open(&self, space: &LogId, access: Access, since: SystemTime, audience: Audience) {
        self.open_at(space, access, Origin::since(since), audience);
    }

    fn open_at(&self, space: &LogId, access: Access, origin: Origin, audience: Audience) {
        let mut control = self.inner.lock();
        if let Some(header) = control.open(*space, access, origin, audience) {
            self.inner.publisher.publish(airing::opened(space, access, header));
            self.open_radio(space, &control);
        }
    }

    fn open_radio(&self, space: &LogId, control: &Control) {
        let opened = control.access(space).and_then(|(access, epoch)| {
            // Under the lock of the studio, so that two of them cannot overtake each other.
            radio::opened(space, access, epoch, &control.caption(space))
        });
        if let Some(opened) = opened {
            self.inner.publisher.publish(opened);
        }
    }

    /// Has a track kept of whoever sits down in this space from now on. To be said before anybody can: also of a space that is yet to start.
    pub fn keep_tracks(&self, space: &LogId) {
        self.inner.tracks.keep(space);
    }

    /// Puts a space back on the air that was live when the house died: its log is claimed first, so that the first chunk
    /// already follows the last one. Sound goes on where the clock on the wall is; listeners who stayed get silence for the
    /// hole, and their media time neither jumps nor steps back. What was heard and is not in the log, the workers give back.
    ///
    /// # Errors
    /// The log cannot be claimed; the space is on the air nevertheless, unrecorded.
    pub async fn resume(&self, space: &LogId, access: Access, since: SystemTime, keep: Keep) -> Result<(), Failure> {
        let recovered = match self.claim(space, keep).await {
            Ok(recovered) => recovered,
            Err(why) => {
                self.open(space, access, since, Audience::Hears);
                return Err(why);
            }
        };
        let time = (recovered.last_wall_us > 0).then_some(recovered.next_time);
        let end = recollect::End { next: recovered.next, time };
        let given_back = self.inner.recollection.ask(&self.inner.publisher, *space, end).await;
        if !given_back.is_empty() {
            tracing::info!(%space, chunks = given_back.len(), "the workers gave back what the log had lost");
        }
        let origin = bridge::cross(&self.inner, space, access, &recovered, given_back, since);
        self.open_at(space, access, origin, Audience::Hears);
        if self.inner.lock().begin_log(space, &recovered) { Ok(()) } else { Err(Failure::NotOnAir) }
    }

    /// Tells the workers of a space that is over, so that they serve its recording to whom `access` says, and nothing else of it.
    pub fn shelve(&self, space: &LogId, access: Access) {
        self.inner.publisher.publish(Down::Shelved { log: *space, access });
        // Whoever listened by radio when the house died, and it did not come back in time.
        radio::closed(space).into_iter().for_each(|closed| self.inner.publisher.publish(closed));
    }

    /// Tells the workers of a space that is not on the air why it is not: it opens at that time, or never.
    pub fn shut(&self, space: &LogId, access: Access, opens: Option<SystemTime>) {
        let ms = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let opens_ms = opens.map(|opens| u64::try_from(ms(opens)).unwrap_or(u64::MAX));
        self.inner.publisher.publish(Down::Shut { log: *space, access, opens_ms });
    }

    /// The audience hears the stage from the next beat on, and what it hears is recorded if the log was claimed.
    ///
    /// # Errors
    /// The space is not on the air.
    pub fn begin(&self, space: &LogId) -> Result<(), Failure> {
        if self.inner.lock().begin(space) { Ok(()) } else { Err(Failure::NotOnAir) }
    }

    /// Whether [`Studio::begin`] was said of a space.
    #[must_use]
    pub fn is_heard(&self, space: &LogId) -> bool {
        self.inner.lock().is_heard(space)
    }

    /// What the audience of a space on the air hears while it waits, from the next beat on; without, silence. Nothing comes of it after [`Studio::begin`].
    pub fn hold(&self, space: &LogId, music: Option<Arc<HoldMusic>>) {
        self.inner.lock().hold(space, music);
    }

    /// Makes hold music of a WAV file, as a programme would have encoded it. Blocks: a second, for three minutes.
    ///
    /// # Errors
    /// One [`Unfit`] per rule.
    pub fn hold_music(wav: &[u8]) -> Result<HoldMusic, Unfit> {
        HoldMusic::from_wav(wav, control::PROGRAMME_BITRATE_BPS)
    }

    /// Whether there is sound of a space.
    #[must_use]
    pub fn is_on_air(&self, space: &LogId) -> bool {
        self.inner.lock().knows(space)
    }

    /// Every space of which there is sound.
    #[must_use]
    pub fn on_air(&self) -> std::collections::HashSet<LogId> {
        self.inner.lock().known()
    }

    /// Whether the log of a space was claimed by [`Studio::record`].
    #[must_use]
    pub fn has_log(&self, space: &LogId) -> bool {
        self.inner.lock().has_log(space)
    }

    /// Claims the log of a space, or goes on with one that failed: chunks go into it once the audience hears the stage.
    ///
    /// # Errors
    /// The space is not on the air, or its log cannot be claimed.
    pub async fn record(&self, space: &LogId, keep: Keep) -> Result<(), Failure> {
        if !self.inner.lock().knows(space) {
            return Err(Failure::NotOnAir);
        }
        let recovered = self.claim(space, keep).await?;
        if self.inner.lock().begin_log(space, &recovered) { Ok(()) } else { Err(Failure::NotOnAir) }
    }

    async fn claim(&self, space: &LogId, keep: Keep) -> Result<Recovered, Failure> {
        let retention = match keep {
            Keep::All | Keep::AllAndTracks => Retention::EVERYTHING,
            Keep::Window(window) => Retention::window(window),
        };
        if keep == Keep::AllAndTracks {
            // First, and not without: nothing is recorded that could not be withdrawn from, as was promised.
            self.keep_tracks(space);
            let log = tracks::log(space).ok_or(Failure::Unavailable)?;
            let claimed = self.claim_log(log, retention).await?;
            self.inner.tracks.claimed(space, claimed.epoch);
        }
        self.claim_log(*space, retention).await
    }

    async fn claim_log(&self, log: LogId, retention: Retention) -> Result<Recovered, Failure> {
        let (reply, claimed) = oneshot::channel();
        self.ask(log::Job::Claim { log, options: Options { retention, ..Options::default() }, reply })?;
        claimed.await.map_err(|_| Failure::Unavailable)?.map_err(Failure::Log)
    }

    /// Takes a space off the air, closes its log and, if asked, makes the replay in the background.
    ///
    /// # Errors
    /// The space is not on the air, or its log could not be closed.
    pub async fn end(&self, space: &LogId, replay: Replay) -> Result<(), Failure> {
        let sessions = self.inner.lock().sessions(space).ok_or(Failure::NotOnAir)?;
        for session in sessions {
            self.close(session);
        }
        let stopped = self.inner.lock().stop(space);
        if let Some(stopped) = stopped {
            // The last chunk is on its way through airing to the log before the programme comes back.
            let _ = tokio::time::timeout(Duration::from_secs(1), stopped).await;
        }
        self.inner.lock().forget(space);
        self.inner.tracks.forget(space);
        self.inner.audiences().forget(space, Instant::now());
        self.inner.publisher.publish(Down::Ended { log: *space });
        if let Replay::Review(_) = replay {
            // Before there is a file that somebody could hear.
            self.inner.publisher.publish(Down::Shelved { log: *space, access: Access::Review });
        }
        self.inner.lean.end(*space);
        if !self.inner.radio.end(*space) {
            radio::closed(space).into_iter().for_each(|closed| self.inner.publisher.publish(closed));
        }
        // What was recorded is there, whether or not its end could be noted (a full disk).
        for log in [Some(*space), tracks::log(space)].into_iter().flatten() {
            let (reply, sealed) = oneshot::channel();
            self.ask(log::Job::Seal { log, reply })?;
            if let Err(why) = sealed.await.map_err(|_| Failure::Unavailable)? {
                tracing::warn!(%log, "the log was not sealed: {why}");
            }
        }
        match replay {
            Replay::Make(wanted) | Replay::Review(wanted) => self.make_replay(space, wanted),
            // The live window of a conversation that was not to be recorded ends with it.
            Replay::None => self.delete_log(space).await?,
        }
        Ok(())
    }

    /// Makes the replay of a space whose log is complete, in the background. Ends in `ReplayReady` or `ReplayFailed`.
    pub fn make_replay(&self, space: &LogId, wanted: Wanted) {
        seal::start(self.inner.spaces.clone(), *space, wanted, self.inner.events.clone());
    }

    /// Whether anything is left of the log, the tracks or the replay of a space, half deleted or whole. Some looks at the disk.
    #[must_use]
    pub fn has_recording(&self, space: &LogId) -> bool {
        let home = self.inner.spaces.join(space.as_str());
        FOLDERS.iter().chain(&withdrawal::FOLDERS).any(|name| home.join(name).exists())
    }

    /// Tells the workers that there is nothing to hear of a space any more.
    pub fn close_for_all(&self, space: &LogId) {
        self.inner.publisher.publish(Down::Closed { log: *space });
    }

    /// Removes the log, the tracks and the replay of a space that is over: each, whether or not the others can be.
    ///
    /// # Errors
    /// Files that cannot be removed; of several folders', the replay's.
    pub async fn delete_recording(&self, space: &LogId) -> Result<(), Failure> {
        self.close_for_all(space);
        let home = self.inner.spaces.join(space.as_str());
        let remove = move || withdrawal::clear(&home).and(seal::remove(&home.join("replay")));
        let removed = tokio::task::spawn_blocking(remove).await;
        let replay = removed.map_err(|_| Failure::Unavailable).and_then(|removed| removed.map_err(Failure::File));
        let log = self.delete_log(space).await;
        replay.and(log)
    }

    async fn delete_log(&self, space: &LogId) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for log in [Some(*space), tracks::log(space)].into_iter().flatten() {
            let (reply, closed) = oneshot::channel();
            self.ask(log::Job::Close { log, reply })?;
            closed.await.map_err(|_| Failure::Unavailable)?;
            let logs = SpaceLog::new(self.inner.spaces.clone());
            let deleted = tokio::task::spawn_blocking(move || logs.delete(log)).await;
            outcome = outcome.and(deleted.map_err(|_| Failure::Unavailable)?.map_err(Failure::Log));
        }
        outcome
    }

    /// Notes that somebody is being taken out of a recording. `None`: that is being done there already, or in too many others.
    pub fn begin_withdrawal(&self, space: LogId) -> Option<Arc<withdrawal::Progress>> {
        self.inner.withdrawals.begin(space)
    }

    /// How far the last withdrawal from a space is.
    pub fn withdrawal(&self, space: &LogId) -> Option<Arc<withdrawal::Progress>> {
        self.inner.withdrawals.of(space)
    }

    /// Sets the event that the sound repeats every two seconds, for those who join late.
    pub fn stand(&self, space: &LogId, event: Vec<u8>) {
        self.inner.lock().stand(space, event);
    }

    /// What radios show of a space.
    pub fn caption(&self, space: &LogId, caption: Caption) {
        let mut control = self.inner.lock();
        let renamed = control.caption(space).title != caption.title;
        if control.set_caption(space, caption) && renamed {
            self.open_radio(space, &control);
        }
    }

    /// Puts one event into the sound.
    pub fn tell(&self, space: &LogId, event: Vec<u8>) {
        self.inner.lock().tell(space, event);
    }

    /// Gives the workers a page to serve, or takes it back.
    pub fn document(&self, path: String, document: Option<Document>) {
        self.inner.press.put(path, document);
    }

    /// Waits until every worker answers with what it was told before, so that whoever is told of a page finds it. At most [`TOLD_WAIT`]: a worker that hangs
    /// must not hold the answer.
    pub async fn told(&self) {
        let (tell, told) = tokio::sync::oneshot::channel();
        self.inner.publisher.when_told(move || {
            // Who waited may have given up.
            let _ = tell.send(());
        });
        let _ = tokio::time::timeout(TOLD_WAIT, told).await;
    }

    /// How many spaces have a programme running; beats, missed beats, busy microseconds and the rest of all shards since the start.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let sum =
            |of: fn(&beat::Figures) -> &AtomicU64| self.inner.shards.iter().map(|s| of(&s.figures).load(Relaxed)).sum();
        Figures {
            on_air: self.inner.lock().on_air(),
            beats: sum(|figures| &figures.beats),
            missed: sum(|figures| &figures.missed),
            busy_us: sum(|figures| &figures.busy_us),
            encodes: sum(|figures| &figures.encodes),
            decodes: sum(|figures| &figures.decodes),
            panics: sum(|figures| &figures.panics),
            overrun: sum(|figures| &figures.overrun),
            untracked: sum(|figures| &figures.untracked),
        }
    }

    /// Takes in what the live bus reported of a worker.
    pub fn reported(&self, report: Report) {
        if let Report::Up(worker, Up::Held { log, records }) = report {
            return self.inner.recollection.answered(worker, &log, records);
        }
        let now = Instant::now();
        let told = match report {
            // What a hub keeps to itself, what is said to the doors, and what was taken in above.
            Report::Joined(..) | Report::Up(_, Up::Held { .. } | Up::Door { .. } | Up::Reached { .. }) => return,
            Report::Up(worker, Up::Counts { run, counts }) => {
                self.inner.radio.wanted(worker, radio::heard(&counts));
                self.inner.lean.wanted(worker, lean::asked(&counts));
                let changed = self.inner.lock().counted(worker, &counts, now);
                self.inner.audiences().counted(worker, run, &counts, &changed, now)
            }
            // Told when a second has passed.
            Report::Up(_, Up::Reactions { run, reactions }) => {
                let on_air: Vec<_> = {
                    let control = self.inner.lock();
                    reactions.into_iter().filter(|told| control.knows(&told.log)).collect()
                };
                return self.inner.applause().counted(run, on_air);
            }
            // Told with the next counts, or when a second has passed.
            Report::Up(_, Up::People { log, heard, registers }) => {
                return self.inner.audiences().people(&log, heard, &registers, now);
            }
            Report::Up(worker, Up::Worker { run, figures }) => {
                return self.inner.audiences().worker(worker, run, figures);
            }
            Report::Left(worker, _) => {
                self.inner.recollection.left(worker);
                self.inner.lean.wanted(worker, Vec::new());
                let changed = self.inner.lock().counted(worker, &[], now);
                return self.inner.audiences().left(worker, &changed, now);
            }
        };
        self.inner.tell_numbers(told);
    }

    /// Programmes that nobody needs any more stop, and what is told once a second is told. Called about so often.
    pub fn tidy(&self) {
        let now = Instant::now();
        let on_air = {
            let mut control = self.inner.lock();
            control.tidy(now);
            control.known()
        };
        let told = self.inner.audiences().tick(now, |space| on_air.contains(space));
        self.inner.tell_numbers(told);
        let applause = self.inner.applause().tick(|space| on_air.contains(space));
        for (space, rates) in applause {
            self.inner.happened(StudioEvent::Reactions { space, rates });
        }
    }

    /// What was counted in all spaces since the house began, also those that are over: the audience, and rehearsals.
    #[must_use]
    pub fn crowd_totals(&self) -> [Totals; 2] {
        self.inner.audiences().totals()
    }

    /// What all workers counted of themselves.
    #[must_use]
    pub fn worker_figures(&self) -> WorkerFigures {
        self.inner.audiences().worker_figures()
    }

    /// The same of each worker that is here.
    #[must_use]
    pub fn each_worker(&self) -> Vec<(Run, WorkerFigures)> {
        self.inner.audiences().each_worker()
    }

    /// Who hears at each of them.
    #[must_use]
    pub fn heard_by_worker(&self) -> Vec<(Run, AtWorker)> {
        self.inner.audiences().heard_by_worker()
    }

    /// Stops for the end of the house: speakers are told, so that their clients come back to the next one, nothing is aired any more, and all that was is on the
    /// disk. Spaces stay as they are: live ones go on in the next house.
    pub async fn leave(&self) {
        let sessions = self.inner.lock().all_sessions();
        for session in sessions {
            self.close(session);
        }
        self.inner.leaving.store(true, Relaxed);
        *self.inner.silenced.lock().unwrap_or_else(PoisonError::into_inner) = true;
        let (reply, done) = oneshot::channel();
        if self.ask(log::Job::LetGo { reply }).is_ok() {
            let _ = done.await;
        }
    }

    fn ask(&self, job: log::Job) -> Result<(), Failure> {
        if self.inner.log.send(job) { Ok(()) } else { Err(Failure::Unavailable) }
    }
}

/// Whether a replay is wanted at the end.
#[derive(Debug, Clone)]
pub enum Replay {
    /// Yes, and everybody hears it who heard the space.
    Make(Wanted),
    /// Yes, and nobody hears anything of the space any more but who [reviews](Access::Review) it.
    Review(Wanted),
    /// The recording was off.
    None,
}

/// What [`Studio::figures`] tells.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Programmes running.
    pub on_air: usize,
    /// Beats since the start.
    pub beats: u64,
    /// Beats missed.
    pub missed: u64,
    /// Microseconds of work in all beats.
    pub busy_us: u64,
    /// Calls of the Opus encoder, for programmes and returns.
    pub encodes: u64,
    /// Calls of the Opus decoder.
    pub decodes: u64,
    /// Programmes that panicked, and whose spaces went on with new ones.
    pub panics: u64,
    /// Notices lost to a full ring.
    pub overrun: u64,
    /// 20 ms pieces of tracks that were not kept: a full ring, or more than a track may have.
    pub untracked: u64,
}

impl Inner {
    /// Tells of the next chunk of a space whoever makes something else of it.
    fn made(&self, space: LogId, record: &Record) {
        self.radio.chunk(space, record.clone());
        self.lean.chunk(space, record.clone());
    }

    /// The net thread that looks after the session of this token.
    fn net(&self, token: u64) -> &net::Handle {
        &self.shards[Shards(self.shards.len()).of(token)].net
    }

    /// Says goodbye to a session. A net thread that is behind will find it silent later.
    fn close(&self, session: net::SessionId) {
        if let Err(why) = self.net(session.0).remove(session) {
            tracing::warn!(session = session.0, "cannot close a session now: {why}");
        }
    }

    /// Tells the registry. What will be told again anyway leaves room for the rest.
    fn happened(&self, event: StudioEvent) {
        if self.leaving.load(Relaxed) {
            return;
        }
        let again =
            matches!(event, StudioEvent::Counts { .. } | StudioEvent::Reactions { .. } | StudioEvent::Speaking { .. });
        if again && self.events.capacity() < EVENTS_KEPT {
            return;
        }
        if let Err(why) = self.events.try_send(event) {
            tracing::error!("the registry does not keep up: {why}");
        }
    }

    fn tell_numbers(&self, told: Vec<(LogId, Numbers)>) {
        told.into_iter().for_each(|(space, numbers)| self.happened(StudioEvent::Counts { space, numbers }));
    }

    fn audiences(&self) -> MutexGuard<'_, audience::Audiences> {
        self.audiences.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn applause(&self) -> MutexGuard<'_, reactions::Applause> {
        self.applause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The studio's state. A panic elsewhere while it was held is no reason to fall silent.
    fn lock(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
