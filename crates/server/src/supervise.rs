//! The supervisor: opens every listening socket, starts the children, restarts one that dies, and does nothing else.
//!
//! It serves nobody, so that nothing a stranger sends can reach it. One thread: spawning toggles close-on-exec flags.

use std::fs::File;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use crate::cli;
use crate::config::Config;
use crate::inherit::{AsFdRef, Inheritance, Role, while_inheritable};

/// A child that lived shorter than this died of something that a restart will not cure at once.
const SHORT_LIFE: Duration = Duration::from_secs(10);
/// First pause before a restart after a short life; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause between restarts: an operator who repairs something should not wait longer.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long children may take to end by themselves before they are killed.
const GRACE: Duration = Duration::from_secs(4);
/// Where the addresses are told, below the data directory.
const ADDRESSES: &str = "run/addresses.json";
/// Connections that the kernel holds while every worker is busy; capped by net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// Everything that is bound before the first child starts and outlives them all.
struct Sockets {
    public: TcpListener,
    stage: TcpListener,
    shards: Vec<(UdpSocket, TcpListener)>,
    api: UnixListener,
    bus: UnixListener,
}

/// Runs `hiwar serve` until it is told to stop.
pub fn run(args: &cli::Serve) -> ExitCode {
    crate::telemetry::start();
    let config = match Config::resolve(args) {
        Ok(config) => config,
        Err(why) => {
            error!("{why}");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => {
            error!("cannot start: {why}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(supervise(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            error!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn supervise(mut config: Config) -> Result<(), String> {
    let fresh = !config.data.join("keys").exists();
    let _lock = lock_data(&config.data)?;
    raise_file_limit();
    let sockets = bind(&mut config)?;
    write_addresses(&config)?;

    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| e.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    let mut watches: Vec<Watch> = Vec::with_capacity(config.workers + 2);
    watches.push(Watch::new(Part::House { fresh }));
    watches.push(Watch::new(Part::Reserved));
    watches.extend((0..config.workers).map(|index| Watch::new(Part::Crowd(index))));

    loop {
        let now = Instant::now();
        for watch in &mut watches {
            watch.start_if_due(now, &config, &sockets);
        }
        let due = watches.iter().filter_map(|w| w.due).min();
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = any_exit(&mut watches) => {}
            () = sleep_until(due) => {}
        }
    }
    info!("stopping");
    stop(watches).await;
    Ok(())
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
            Ok(file)
        }
        Err(rustix::io::Errno::WOULDBLOCK) => Err(say(&"another hiwar is running on it")),
        Err(why) => Err(say(&why)),
    }
}

/// Opens every listening socket and writes the addresses that were really bound back into `config`.
fn bind(config: &mut Config) -> Result<Sockets, String> {
    let public = listen(config.public, "the public port")?;
    let stage = listen(config.stage, "the stage port")?;
    config.public = public.local_addr().map_err(|e| e.to_string())?;
    config.stage = stage.local_addr().map_err(|e| e.to_string())?;
    let shard = media_sockets(SocketAddr::new(config.media_bind, config.media_port))?;
    config.media_port = shard.0.local_addr().map_err(|e| e.to_string())?.port();
    let run = config.data.join("run");
    Ok(Sockets { public, stage, shards: vec![shard], api: unix(&run, "api.sock")?, bus: unix(&run, "bus.sock")? })
}

fn listen(at: SocketAddr, what: &str) -> Result<TcpListener, String> {
    let say = |why: &dyn std::fmt::Display| format!("cannot open {what} {at}: {why}");
    // std sets SO_REUSEADDR, so that a restart need not wait for old connections.
    let listener = TcpListener::bind(at).map_err(|e| say(&e))?;
    rustix::net::listen(&listener, BACKLOG).map_err(|e| say(&e))?;
    listener.set_nonblocking(true).map_err(|e| say(&e))?;
    Ok(listener)
}

/// UDP and TCP on one port. With port 0 the kernel picks a UDP port whose TCP twin may be taken: try again then.
fn media_sockets(at: SocketAddr) -> Result<(UdpSocket, TcpListener), String> {
    let mut last = None;
    for _ in 0..16 {
        let udp = UdpSocket::bind(at).map_err(|e| format!("cannot open the WebRTC port {at}/udp: {e}"))?;
        let chosen = udp.local_addr().map_err(|e| e.to_string())?;
        match TcpListener::bind(chosen) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(why) => last = Some(format!("cannot open the WebRTC port {chosen}/tcp: {why}")),
        }
        if at.port() != 0 {
            break;
        }
    }
    Err(last.unwrap_or_default())
}

/// A Unix listener in `run`, also where the whole path is longer than a socket address can hold (108 bytes).
fn unix(run: &Path, name: &str) -> Result<UnixListener, String> {
    let say = |why: &dyn std::fmt::Display| format!("cannot open {}: {why}", run.join(name).display());
    let _ = std::fs::remove_file(run.join(name));
    let dir = File::open(run).map_err(|e| say(&e))?;
    UnixListener::bind(format!("/proc/self/fd/{}/{name}", dir.number())).map_err(|e| say(&e))
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
        "public": format!("http://{}", config.public),
        "stage": format!("http://{}", config.stage),
        "media": format!("{}:{}", config.media_address, config.media_port),
    });
    let path = config.data.join(ADDRESSES);
    let temporary = path.with_extension("json.new");
    std::fs::write(&temporary, text.to_string())
        .and_then(|()| std::fs::rename(&temporary, &path))
        .map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// The part that one child plays.
#[derive(Debug, Clone, Copy)]
enum Part {
    House { fresh: bool },
    Reserved,
    Crowd(usize),
}

/// One child: running, or due to be started.
struct Watch {
    part: Part,
    child: Option<Child>,
    started: Option<Instant>,
    pause: Duration,
    due: Option<Instant>,
}

impl Watch {
    fn new(part: Part) -> Self {
        Self { part, child: None, started: None, pause: PAUSE_MIN, due: Some(Instant::now()) }
    }

    fn start_if_due(&mut self, now: Instant, config: &Config, sockets: &Sockets) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        let first = self.started.is_none();
        match spawn(self.part, first, config, sockets) {
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

    fn ended(&mut self, status: io::Result<std::process::ExitStatus>) {
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

fn spawn(part: Part, first: bool, config: &Config, sockets: &Sockets) -> io::Result<Child> {
    let (role, fds): (Role, Vec<&dyn AsFdRef>) = match part {
        Part::House { fresh } => {
            let mut fds: Vec<&dyn AsFdRef> = vec![&sockets.api, &sockets.bus];
            let mut shards = Vec::new();
            for (udp, tcp) in &sockets.shards {
                fds.push(udp);
                fds.push(tcp);
                shards.push((udp.number(), tcp.number()));
            }
            let (api, bus) = (sockets.api.number(), sockets.bus.number());
            (Role::House { api, bus, shards, greet: first, fresh: fresh && first }, fds)
        }
        Part::Reserved => (Role::Worker { listener: sockets.stage.number(), index: None }, vec![&sockets.stage]),
        Part::Crowd(index) => {
            (Role::Worker { listener: sockets.public.number(), index: Some(index) }, vec![&sockets.public])
        }
    };
    let (name, value) = Inheritance { role, config: config.clone() }.variable();
    // The file that this process runs, also after another was put in its place: parts of two versions do not mix.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("hiwar").arg("child").env(name, value).kill_on_drop(true);
    while_inheritable(&fds, || command.spawn())
}

/// Waits until any child ends and notes it.
async fn any_exit(watches: &mut [Watch]) {
    let (index, status) = std::future::poll_fn(|cx| {
        for (index, watch) in watches.iter_mut().enumerate() {
            if let Some(child) = &mut watch.child {
                let wait = std::pin::pin!(child.wait());
                if let std::task::Poll::Ready(status) = wait.poll(cx) {
                    return std::task::Poll::Ready((index, status));
                }
            }
        }
        std::task::Poll::Pending
    })
    .await;
    watches[index].ended(status);
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Asks every child to end, and kills those that have not after [`GRACE`].
async fn stop(watches: Vec<Watch>) {
    let mut children: Vec<Child> = watches.into_iter().filter_map(|w| w.child).collect();
    for child in &children {
        if let Some(pid) = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
    let all = async {
        for child in &mut children {
            let _ = child.wait().await;
        }
    };
    if tokio::time::timeout(GRACE, all).await.is_err() {
        warn!("some children did not end in time and are killed");
    }
}
