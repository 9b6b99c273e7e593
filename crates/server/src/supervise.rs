//! The supervisor: opens every listening socket, starts the children, restarts one that dies, and does nothing else.
//!
//! It serves nobody, so that nothing a stranger sends can reach it. One thread: spawning toggles close-on-exec flags.
//!
//! TERM or INT: everything ends, the house first, so that what it said is heard. HUP: restart in place. The program at this one's path, which may be a newer
//! one, is executed in this process ([`succession`]): sockets stay open. It ends the old house and starts another and new workers; when these have been told
//! everything they accept, and the old workers go on only for those who listen to them already.

mod notify;
mod process;
mod sockets;
mod succession;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{EventfdFlags, eventfd};
use rustix::process::{Resource, Signal, getrlimit, setrlimit};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tracing::{error, info, warn};

use crate::cli;
use crate::config::{self, Config};
use crate::inherit::{AsFdRef, Inheritance, Post, Role, readable, while_inheritable, without_hangups};
use crate::role::keys;
use process::Process;
use sockets::Sockets;
use succession::{Socket, Succession};

/// A child that lived shorter than this died of something that a restart will not cure at once.
const SHORT_LIFE: Duration = Duration::from_secs(10);
/// First pause before a restart after a short life; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause between restarts: an operator who repairs something should not wait longer.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long the house may take to end by itself before it is killed: longer than it waits for answers and the disk.
const HOUSE_GRACE: Duration = Duration::from_millis(3_500);
/// How long workers may: longer than they take when they are told to finish.
const WORKER_GRACE: Duration = Duration::from_secs(2);
/// How long older workers go on accepting if the new ones are not told everything: as long as these wait.
const READY_WAIT: Duration = Duration::from_secs(10);
/// How long a worker is kept for those who listened to it before a restart. A conversation is over by then; whoever listens to one that is not (the demo's)
/// connects again once.
const RETIRED_MAX: Duration = Duration::from_secs(4 * 3_600);
/// How long the next program may take to say that it would start; it may have to look a name up.
const CHECK_WAIT: Duration = Duration::from_secs(10);
/// After how long a child that was killed, and is still there, is killed again.
const KILL_AGAIN: Duration = Duration::from_secs(1);
/// Where the addresses are told, below the data directory.
const ADDRESSES: &str = "run/addresses.json";
/// Runs `hiwar serve` until it is told to stop.
pub fn run(args: &cli::Serve) -> ExitCode {
    crate::telemetry::start();
    let resolved = Succession::take().and_then(|left| resolve(args, left.as_ref()).map(|config| (left, config)));
    let (left, config) = match resolved {
        Ok(resolved) => resolved,
        Err(why) => {
            error!("{why}");
            return ExitCode::from(2);
        }
    };
    if args.check {
        // What would let nobody in is found before anything is given up for it.
        let given = config.hls.as_ref().and_then(|hls| hls.here.as_ref()).filter(|here| !here.obtained);
        let mut files = config.tls.iter().chain(given.map(|here| &here.tls));
        let shown = files.try_for_each(|files| crate::role::certificate::load(files).map(drop));
        return match shown.and_then(|()| crate::certificates::check(&config)) {
            Err(why) => {
                error!("{why}");
                ExitCode::from(2)
            }
            Ok(()) => ExitCode::SUCCESS,
        };
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => {
            error!("cannot start: {why}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async { Supervisor::begin(config, left)?.supervise().await });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            error!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// What is configured. A name that DNS knew when a restart was checked, and does not know now, ends nothing that is on the air: what speakers were told
/// before they are told on.
fn resolve(args: &cli::Serve, left: Option<&Succession>) -> Result<Config, String> {
    let why = match Config::resolve(args) {
        Ok(config) => return Ok(config),
        Err(why) => why,
    };
    let known = left.filter(|_| !args.check).and_then(|left| left.media_bind.zip(left.media_address));
    let Some((bind, address)) = known.filter(|_| matches!(why, config::Error::Unresolved(..))) else {
        return Err(why.to_string());
    };
    error!("{why}. Until the next restart speakers are told {address}, as before");
    let mut config = Config::resolve_beside(args).map_err(|why| why.to_string())?;
    (config.media_bind, config.media_address) = (bind, address);
    Ok(config)
}

struct Supervisor {
    config: Config,
    lock: File,
    sockets: Sockets,
    /// The program, by its path at the start: another may be put there.
    program: PathBuf,
    /// Workers count here those of them that were told everything.
    ready: AsyncFd<OwnedFd>,
    watches: Vec<Watch>,
    /// Workers of an earlier program.
    elders: Vec<Elder>,
    change: Option<Change>,
    /// A restart was asked for during one.
    again: bool,
}

/// A start, or a restart in place, that is not over.
struct Change {
    /// The house that was told to end, and when it is killed.
    house: Option<(Process, Instant)>,
    /// Workers that were told everything.
    ready: u64,
    /// When older workers are retired anyway.
    until: Option<Instant>,
}

/// A worker of an earlier program.
struct Elder {
    process: Process,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// Serves everyone until the new workers do.
    Serving,
    /// Serves those who listen, until then.
    Retired { until: Instant },
    /// Was told to end, and is killed then.
    Finishing { until: Instant },
}

/// Whether the supervisor goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    On,
    Stop,
}

/// Which child has ended.
enum Ended {
    Watch(usize),
    Elder(usize),
    OldHouse,
}

impl Supervisor {
    fn begin(mut config: Config, left: Option<Succession>) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|why| format!("cannot find this program: {why}"))?;
        let succeeds = left.is_some();
        let fresh = !succeeds && !config.data.join("keys").exists();
        let mut left = left.unwrap_or_default();
        let lock = if succeeds {
            if left.data != config.data {
                error!(
                    "the data directory is {} until everything is stopped and started; {} was asked for",
                    left.data.display(),
                    config.data.display()
                );
                config.data.clone_from(&left.data);
            }
            crate::inherit::adopt(left.lock).map_err(|why| format!("the data directory: {why}"))?
        } else {
            lock_data(&config.data)?
        };
        raise_file_limit();
        // Before anybody reads them, and not in place: older workers, which serve for a while, know no newer ones. What cannot be, a full disk say, can be at the next start.
        let rotated = if succeeds { Ok(false) } else { keys::rotate(&config.data, SystemTime::now()) };
        match rotated {
            Ok(false) => {}
            Ok(true) => {
                info!("the crowd's keys are rotated: what was signed until now is good until they are rotated again")
            }
            Err(why) => error!("the crowd's keys stay as they are: {why}"),
        }
        // Whatever fails from here on ends nothing that is on the air.
        let unless_on_air = |done: Result<(), String>| match done {
            Err(why) if succeeds => {
                error!("{why}");
                Ok(())
            }
            done => done,
        };
        // Without a placeholder nobody new is let in until there is a certificate.
        unless_on_air(crate::certificates::prepare(&config))?;
        let sockets = Sockets::open(&mut config, &mut left, succeeds)?;
        left.close_rest();
        // What was written before is still right, unless an address changed.
        unless_on_air(write_addresses(&config))?;
        let ready = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|e| e.to_string())?;
        let ready = readable(ready).map_err(|e| e.to_string())?;

        let now = Instant::now();
        let house = left.house.and_then(|pid| Process::adopt(pid).ok()).map(|house| (house, now + HOUSE_GRACE));
        if let Some((house, _)) = &house {
            house.tell(Signal::TERM);
        }
        let elder = |pid: i32, stage| Process::adopt(pid).ok().map(|process| Elder { process, stage });
        let mut elders: Vec<Elder> = left.workers.iter().filter_map(|pid| elder(*pid, Stage::Serving)).collect();
        elders.extend(left.retired.iter().filter_map(|(pid, seconds)| {
            elder(*pid, Stage::Retired { until: now + Duration::from_secs(*seconds).min(RETIRED_MAX) })
        }));
        let mut watches: Vec<Watch> = Vec::with_capacity(config.workers + 3);
        watches.push(Watch::new(Part::House { fresh, greet: !succeeds }));
        watches.push(Watch::new(Part::Reserved));
        watches.extend(sockets.redirect.as_ref().map(|_| Watch::new(Part::Redirect)));
        watches.extend((0..config.workers).map(|index| Watch::new(Part::Crowd(index))));
        let change = Some(Change { house, ready: 0, until: succeeds.then(|| now + HOUSE_GRACE + READY_WAIT) });
        Ok(Self { config, lock, sockets, program, ready, watches, elders, change, again: false })
    }

    async fn supervise(mut self) -> Result<(), String> {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| e.to_string())?;
        let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
        let mut hangup = signal(SignalKind::hangup()).map_err(|e| e.to_string())?;
        let in_terminal = io::stdin().is_terminal();
        loop {
            let now = Instant::now();
            self.attend(now);
            if std::mem::take(&mut self.again) && self.restart(&mut interrupt, &mut terminate).await == Run::Stop {
                break;
            }
            let due = self.due();
            tokio::select! {
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                // Whose terminal was closed ends, as any program would.
                _ = hangup.recv() => if in_terminal && !io::stdin().is_terminal() { break } else { self.again = true },
                (ended, status) = self.any_end() => self.ended(ended, status),
                count = told(&self.ready) => self.told(count, now),
                () = sleep_until(due) => {}
            }
        }
        info!("stopping");
        notify::stopping();
        self.stop().await;
        Ok(())
    }

    /// What is to be done by now.
    fn attend(&mut self, now: Instant) {
        if let Some(Change { house: Some((house, kill_at)), .. }) = &mut self.change {
            if now >= *kill_at {
                house.tell(Signal::KILL);
                // A disk may hold it for a while yet.
                *kill_at = now + KILL_AGAIN;
            }
            // The next house, and workers that know of one, come after it.
            return;
        }
        let elders: Vec<i32> = self.elders.iter().map(|elder| elder.process.pid()).collect();
        let workers = elders.len() + self.watches.len() - 1;
        for watch in &mut self.watches {
            let surroundings = Surroundings {
                config: &self.config,
                sockets: &self.sockets,
                ready: self.ready.get_ref(),
                workers,
                elders: &elders,
            };
            watch.start_if_due(now, &surroundings);
        }
        let over = |change: &Change| {
            change.ready >= self.watches.len() as u64 - 1 || change.until.is_some_and(|until| now >= until)
        };
        if let Some(change) = self.change.take_if(|change| over(change)) {
            if change.ready == 0 && self.serving_elders() > 0 {
                error!(
                    "after a restart in place no new worker was told what is on the air: the older ones go on serving everyone"
                );
            } else {
                self.retire_elders(now);
            }
            notify::ready();
        }
        for elder in &mut self.elders {
            match elder.stage {
                Stage::Retired { until } if now >= until => elder.finish(now),
                Stage::Finishing { until } if now >= until => {
                    elder.process.tell(Signal::KILL);
                    elder.stage = Stage::Finishing { until: now + KILL_AGAIN };
                }
                _ => {}
            }
        }
    }

    /// So many more workers were told everything.
    fn told(&mut self, count: u64, now: Instant) {
        if let Some(change) = &mut self.change {
            change.ready += count;
        } else if self.serving_elders() > 0 {
            // They come late, after a restart that was given up waiting for.
            self.retire_elders(now);
        }
    }

    /// Workers of an earlier program that accept.
    fn serving_elders(&self) -> usize {
        self.elders.iter().filter(|elder| matches!(elder.stage, Stage::Serving)).count()
    }

    /// New workers serve. Of older ones, one generation is kept.
    fn retire_elders(&mut self, now: Instant) {
        let mut kept = 0;
        for elder in &mut self.elders {
            match elder.stage {
                Stage::Serving => {
                    elder.process.tell(Signal::USR1);
                    elder.stage = Stage::Retired { until: now + RETIRED_MAX };
                    kept += 1;
                }
                Stage::Retired { .. } => elder.finish(now),
                Stage::Finishing { .. } => {}
            }
        }
        if kept > 0 {
            info!("restarted in place; {kept} older workers stay for those who listen to them");
        }
    }

    /// When there is something to do next.
    fn due(&self) -> Option<Instant> {
        if let Some(Change { house: Some((_, kill_at)), .. }) = &self.change {
            return Some(*kill_at);
        }
        let watches = self.watches.iter().filter_map(|watch| watch.due);
        let elders = self.elders.iter().filter_map(|elder| match elder.stage {
            Stage::Serving => None,
            Stage::Retired { until } | Stage::Finishing { until } => Some(until),
        });
        watches.chain(elders).chain(self.change.as_ref().and_then(|change| change.until)).min()
    }

    /// Waits until any child ends.
    async fn any_end(&self) -> (Ended, io::Result<ExitStatus>) {
        std::future::poll_fn(|context: &mut Context<'_>| {
            let old = self.change.as_ref().and_then(|change| change.house.as_ref()).map(|(house, _)| house);
            let old = old.map(|house| (Ended::OldHouse, house));
            let watched = self.watches.iter().enumerate();
            let watched = watched.filter_map(|(at, watch)| Some((Ended::Watch(at), watch.child.as_ref()?)));
            let elders = self.elders.iter().enumerate().map(|(at, elder)| (Ended::Elder(at), &elder.process));
            for (which, process) in old.into_iter().chain(watched).chain(elders) {
                if let Poll::Ready(status) = process.poll_end(context) {
                    return Poll::Ready((which, status));
                }
            }
            Poll::Pending
        })
        .await
    }

    fn ended(&mut self, which: Ended, status: io::Result<ExitStatus>) {
        match which {
            Ended::Watch(at) => self.watches[at].ended(status),
            Ended::Elder(at) => {
                let elder = self.elders.swap_remove(at);
                match status {
                    Ok(status) if status.success() => info!("an older worker is done"),
                    status => warn!(stage = ?elder.stage, ?status, "an older worker ended"),
                }
            }
            Ended::OldHouse => {
                if let Some(change) = &mut self.change {
                    change.house = None;
                    change.until = Some(Instant::now() + READY_WAIT);
                }
                if !status.as_ref().is_ok_and(ExitStatus::success) {
                    warn!(?status, "the old house did not end well");
                }
            }
        }
    }

    /// Executes the program at this one's path in this process; returns if that cannot be, or if everything is to end instead.
    async fn restart(&mut self, interrupt: &mut Signals, terminate: &mut Signals) -> Run {
        if self.change.is_some() {
            // One after the other.
            self.again = true;
            return Run::On;
        }
        notify::reloading();
        let left = self.leave();
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        // A signal that came before the next program listens would be lost.
        let checked = tokio::select! {
            biased;
            _ = interrupt.recv() => return Run::Stop,
            _ = terminate.recv() => return Run::Stop,
            checked = check(&self.program, &arguments, &left) => checked,
        };
        if let Err(why) = checked {
            error!("not restarted: {why}");
            notify::ready();
            return Run::On;
        }
        info!("restarting in place");
        let named = self.sockets.named();
        let mut fds: Vec<&dyn AsFdRef> = named.iter().map(|(.., fd)| *fd).collect();
        fds.push(&self.lock);
        let mut command = Command::new(&self.program);
        command.args(&arguments).env(succession::VARIABLE, left.text());
        // Only returns if it fails.
        let failed = without_hangups(|| while_inheritable(&fds, || Err::<(), _>(command.exec())));
        error!("not restarted: {failed:?}");
        notify::ready();
        Run::On
    }

    fn leave(&self) -> Succession {
        let now = Instant::now();
        let pid = |watch: &Watch| watch.child.as_ref().map(Process::pid);
        let sockets = self.sockets.named();
        let sockets =
            sockets.into_iter().map(|(name, asked, fd)| Socket { name, asked: asked.into(), fd: fd.number() });
        let serving = self.elders.iter().filter(|elder| matches!(elder.stage, Stage::Serving));
        let serving = serving.map(|elder| elder.process.pid());
        let retired = self.elders.iter().filter_map(|elder| match elder.stage {
            Stage::Serving => None,
            Stage::Retired { until } => Some((elder.process.pid(), until.saturating_duration_since(now).as_secs())),
            Stage::Finishing { .. } => Some((elder.process.pid(), 0)),
        });
        Succession {
            data: self.config.data.clone(),
            lock: self.lock.number(),
            sockets: sockets.collect(),
            media_bind: Some(self.config.media_bind),
            media_address: Some(self.config.media_address),
            house: self.watches.first().and_then(pid),
            workers: self.watches.iter().skip(1).filter_map(pid).chain(serving).collect(),
            retired: retired.collect(),
        }
    }

    /// Ends every child: the house, then, when what it said last is with the workers, the workers.
    async fn stop(mut self) {
        let mut workers: Vec<Process> = self.elders.into_iter().map(|elder| elder.process).collect();
        let mut houses = Vec::new();
        houses.extend(self.change.take().and_then(|change| change.house).map(|(house, _)| house));
        for watch in self.watches {
            let Some(child) = watch.child else { continue };
            if matches!(watch.part, Part::House { .. }) { houses.push(child) } else { workers.push(child) }
        }
        end(houses, HOUSE_GRACE).await;
        end(workers, WORKER_GRACE).await;
    }
}

impl Elder {
    fn finish(&mut self, now: Instant) {
        self.process.tell(Signal::TERM);
        self.stage = Stage::Finishing { until: now + WORKER_GRACE };
    }
}

/// Has processes end, and kills those that have not in time.
async fn end(processes: Vec<Process>, grace: Duration) {
    processes.iter().for_each(|process| process.tell(Signal::TERM));
    let mut left = processes;
    let all = std::future::poll_fn(|context: &mut Context<'_>| {
        left.retain(|process| process.poll_end(context).is_pending());
        if left.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    });
    if tokio::time::timeout(grace, all).await.is_err() {
        warn!("{} children did not end in time and are killed", left.len());
        left.iter().for_each(|process| process.tell(Signal::KILL));
    }
}

/// Whether the next program would start with these arguments, and understand what is left to it.
async fn check(program: &Path, arguments: &[OsString], left: &Succession) -> Result<(), String> {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).arg("--check").env(succession::VARIABLE, left.text()).env_remove(notify::VARIABLE);
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(CHECK_WAIT, command.output()).await;
    let output = output.map_err(|_| format!("{} does not answer", program.display()))?;
    let output = output.map_err(|why| format!("cannot run {}: {why}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{}: {}", output.status, said.trim())) }
}

/// How many more workers say that they were told everything.
async fn told(ready: &AsyncFd<OwnedFd>) -> u64 {
    loop {
        let Ok(mut guard) = ready.readable().await else { return std::future::pending().await };
        let mut count = [0; 8];
        match rustix::io::read(guard.get_inner(), &mut count) {
            Ok(_) => return u64::from_ne_bytes(count),
            Err(_) => guard.clear_ready(),
        }
    }
}

/// Takes the data directory for this process alone.
fn lock_data(data: &Path) -> Result<File, String> {
    let say = |why: &dyn std::fmt::Display| format!("cannot use the data directory {}: {why}", data.display());
    std::fs::create_dir_all(data.join("run")).map_err(|e| say(&e))?;
    let file = File::create(data.join("hiwar.lock")).map_err(|e| say(&e))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            // Whoever waits for the addresses must not find those of the last time.
            let _ = std::fs::remove_file(data.join(ADDRESSES));
            crate::listening::forget(data);
            Ok(file)
        }
        Err(rustix::io::Errno::WOULDBLOCK) => Err(say(&"another hiwar is running on it")),
        Err(why) => Err(say(&why)),
    }
}

/// Lets this process and its children open as many files as the system allows at all: a listener is one. The soft limit
/// is low by habit only (programs that use `select`).
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(why) = setrlimit(Resource::Nofile, limit) {
        warn!("cannot raise the number of open files: {why}");
    }
}

/// Tells other programs (and tests) where this server is: `DATA/run/addresses.json`.
fn write_addresses(config: &Config) -> Result<(), String> {
    let text = serde_json::json!({
        "public": config.at(config.public),
        "stage": config.at(config.stage),
        "redirect": config.redirect.map(|at| format!("http://{at}")),
        "media": format!("{}:{}", config.media_address, config.media_port),
        "origin": config.public_origin(),
        "pid": std::process::id(),
    });
    let path = config.data.join(ADDRESSES);
    let temporary = path.with_extension("json.new");
    std::fs::write(&temporary, text.to_string())
        .and_then(|()| std::fs::rename(&temporary, &path))
        .map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// The public side's origin as browsers see it, of the server that runs on this data directory, or ran there last.
pub fn origin_of(data: &Path) -> Option<String> {
    Some(addresses_of(data)?.get("origin")?.as_str()?.to_owned())
}

/// The first process of the server that runs on this data directory, or ran there last.
pub fn process_of(data: &Path) -> Option<u32> {
    addresses_of(data)?.get("pid")?.as_u64()?.try_into().ok()
}

fn addresses_of(data: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&std::fs::read(data.join(ADDRESSES)).ok()?).ok()
}

/// The part that one child plays.
#[derive(Debug, Clone, Copy)]
enum Part {
    House { fresh: bool, greet: bool },
    Reserved,
    Redirect,
    Crowd(usize),
}

/// One child: running, or due to be started.
struct Watch {
    part: Part,
    child: Option<Process>,
    started: Option<Instant>,
    pause: Duration,
    due: Option<Instant>,
}

impl Watch {
    fn new(part: Part) -> Self {
        Self { part, child: None, started: None, pause: PAUSE_MIN, due: Some(Instant::now()) }
    }

    fn start_if_due(&mut self, now: Instant, surroundings: &Surroundings<'_>) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        let first = self.started.is_none();
        match spawn(self.part, first, surroundings) {
            Ok(child) => {
                self.child = Some(child);
                self.started = Some(now);
            }
            Err(why) => {
                error!(part = ?self.part, "cannot start a child: {why}");
                self.due = Some(now + PAUSE_MAX);
            }
        }
    }

    fn ended(&mut self, status: io::Result<ExitStatus>) {
        self.child = None;
        let now = Instant::now();
        let lived = self.started.map_or(Duration::ZERO, |at| now - at);
        self.pause = if lived < SHORT_LIFE { (self.pause * 2).min(PAUSE_MAX) } else { PAUSE_MIN };
        // The first death of a long-lived child is answered at once: listeners are waiting.
        let pause = if lived < SHORT_LIFE { self.pause } else { Duration::ZERO };
        self.due = Some(now + pause);
        match status {
            Ok(status) => warn!(part = ?self.part, %status, ?pause, "a child ended; it is restarted"),
            Err(why) => warn!(part = ?self.part, "lost a child: {why}"),
        }
    }
}

/// What a child is given.
struct Surroundings<'a> {
    config: &'a Config,
    sockets: &'a Sockets,
    ready: &'a OwnedFd,
    /// All that there are, older ones included.
    workers: usize,
    /// Processes of the older ones.
    elders: &'a [i32],
}

fn spawn(part: Part, first: bool, surroundings: &Surroundings<'_>) -> io::Result<Process> {
    let Surroundings { config, sockets, ready, workers, elders } = *surroundings;
    let worker =
        |listener: &'_ TcpListener, post| Role::Worker { listener: listener.number(), post, ready: ready.number() };
    let (role, fds): (Role, Vec<&dyn AsFdRef>) = match part {
        Part::House { fresh, greet } => {
            let mut fds: Vec<&dyn AsFdRef> = vec![&sockets.api, &sockets.bus];
            let mut shards = Vec::new();
            for (udp, tcp) in &sockets.shards {
                fds.push(udp);
                fds.push(tcp);
                shards.push((udp.number(), tcp.number()));
            }
            let (api, bus) = (sockets.api.number(), sockets.bus.number());
            let (greet, fresh, elders) = (greet && first, fresh && first, elders.to_vec());
            (Role::House { api, bus, shards, greet, by_hand: first, fresh, workers, elders }, fds)
        }
        Part::Reserved => (worker(&sockets.stage, Post::Stage), vec![&sockets.stage, ready]),
        Part::Redirect => {
            let listener = sockets.redirect.as_ref().ok_or(io::ErrorKind::NotFound)?;
            (worker(listener, Post::Redirect), vec![listener, ready])
        }
        Part::Crowd(index) => (worker(&sockets.public, Post::Crowd { index }), vec![&sockets.public, ready]),
    };
    let (name, value) = Inheritance { role, config: config.clone() }.variable();
    // The file that this process runs, also after another was put in its place: parts of two versions do not mix.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("hiwar").arg("child").env(name, value);
    command.env_remove(succession::VARIABLE).env_remove(notify::VARIABLE);
    while_inheritable(&fds, || Process::spawn(&mut command))
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use clap::Parser;

    use super::*;

    #[test]
    fn a_name_that_dns_forgets_during_a_restart_ends_nothing() {
        let resolved = |more: &[&str], left: Option<&Succession>| {
            let given = ["hiwar", "serve", "--host", "nowhere.invalid", "--data", "/nowhere"];
            let parsed = cli::Cli::try_parse_from(given.iter().chain(more)).unwrap();
            let cli::Command::Serve(args) = parsed.command else { panic!() };
            resolve(&args, left)
        };
        let bind: IpAddr = Ipv4Addr::UNSPECIFIED.into();
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let left = Succession { media_bind: Some(bind), media_address: Some(address), ..Succession::default() };
        let config = resolved(&[], Some(&left)).unwrap();
        assert_eq!((config.media_bind, config.media_address), (bind, address));
        assert!(resolved(&["--check"], Some(&left)).is_err(), "before anything is given up it is said");
        assert!(resolved(&[], None).is_err());
        assert!(resolved(&["--workers", "0"], Some(&left)).is_err());
        let older = serde_json::from_str::<Succession>(
            r#"{"data":"/d","lock":3,"sockets":[],"house":null,"workers":[],"retired":[]}"#,
        );
        assert!(resolved(&[], Some(&older.unwrap())).is_err(), "an older version did not say");
    }
}
