//! A crowd of listeners against a real server: they come, hear, are cut off and come again, and every byte of what they hear is checked.
//!
//! One thread for each 19,000 of them, with a table of open files of its own if there are several (unshare(2), `CLONE_FILES`): systems cap the files of a table, not
//! of a machine. Each thread compares what its own listeners hear. Whether the target has allowed it is for whoever makes a [`Target`] to know.

mod ears;
#[cfg(feature = "voices")]
pub mod poll;
mod trust;
mod watch;
pub(super) mod wire;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use self::ears::{Ears, Task, Told};
use self::trust::trusting;
use self::watch::Watch;
use super::Error;
use crate::crowd::{Arrival, Crowd};
pub use crate::playing::Notices;
use crate::report::{Plan, Report, Second};
use crate::schedule::Schedule;
use crate::stream::Format;

/// Listeners of one thread: open files are capped at 20,000 on some systems, and a thread has a few of other kinds.
const THREAD_LISTENERS_MAX: u64 = 19_000;
/// Files that are no listener's: standard input and output, epoll, names, certificates.
const SPARE_FILES: u64 = 64;
/// For so long one listener is alone at the beginning, at least, to hear when sound is due.
const ALONE: Duration = Duration::from_secs(3);
/// Loopback has addresses enough: each has 28,000 ports to connect from, and those of whoever left are not free for a minute.
const LOOPBACK_ADDRESSES: u32 = 64;

/// What a crowd is to do.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How many listeners
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub listeners: u64,
    /// How they come
    #[arg(long, value_enum, value_name = "HOW", default_value_t = How::Steady)]
    pub arrive: How,
    /// Seconds within which they come
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub within: u64,
    /// Seconds to listen after the last one came
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Seconds that one stays in the mean, such as 0.5 or 90, and is followed by another within a second [default: until the end]
    #[arg(long, value_name = "S", value_parser = stay)]
    pub stay: Option<Duration>,
    /// How often sound comes at this server, in milliseconds, unless it says so itself: later than that and a second is late
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub cadence_ms: u64,
    /// Threads to listen with, at least: more than these if one may not open enough files
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub threads: u64,
    /// Addresses of this machine to connect from, in turn [default: at a server on this machine many of 127.0.0.0/8, else as the system chooses]
    #[arg(long, value_name = "ADDR", num_args = 1..)]
    pub from: Vec<IpAddr>,
    /// Certificates (PEM) to trust instead of the system's
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
    /// When the conversation begins that they wait for, in seconds since 1970 (`date +%s`), such as 1764277200.5: tells how long after that each had the first word
    #[arg(long, value_name = "UNIX_S", value_parser = moment)]
    pub starts_at: Option<SystemTime>,
    /// Process whose CPU time and memory are the server's, with its children's [default: none; with --data the server's]
    #[arg(long, value_name = "PID")]
    pub watch: Option<u32>,
    /// Directory for report.html and report.json
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// The same number is the same crowd
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// What they do when they are told how sound will come. No option: whoever asks whether a server holds means players that follow.
    #[arg(skip)]
    pub notices: Notices,
}

impl Options {
    /// How long it all takes, from the first connection to the last.
    pub fn lasts(&self) -> Duration {
        self.alone() + self.listens()
    }

    /// For so long one listener is alone: at a long cadence, until sound has come twice.
    fn alone(&self) -> Duration {
        ALONE.max(2 * self.cadence())
    }

    fn listens(&self) -> Duration {
        Duration::from_secs(self.within + self.seconds)
    }

    fn cadence(&self) -> Duration {
        Duration::from_millis(self.cadence_ms)
    }
}

/// [`Arrival`], as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum How {
    /// As many in every second
    Steady,
    /// More in every second than in the one before
    Ramp,
    /// Nearly all at once, then ever fewer
    Flash,
}

impl From<How> for Arrival {
    fn from(how: How) -> Self {
        match how {
            How::Steady => Self::Steady,
            How::Ramp => Self::Ramp,
            How::Flash => Self::Flash,
        }
    }
}

/// A stream to be listened to, at one address: redirects are not followed, and its name is not looked up again.
#[derive(Clone, Debug)]
pub struct Target {
    /// As it was given.
    pub url: String,
    /// Where everyone connects.
    pub address: SocketAddr,
    /// Host and port, as in the address.
    pub authority: String,
    /// Path and query.
    pub path: String,
    format: Format,
    /// The host of `https`.
    secure: Option<String>,
    /// What every listener shows, so that it is not counted as one of the audience.
    badge: Option<String>,
}

impl Target {
    /// Takes an address apart, and looks its name up: the only time.
    ///
    /// # Errors
    /// It is no address of a stream, or has no name that is known.
    pub fn parse(url: &str) -> Result<Self, Error> {
        const FORM: &str = "a stream is http://HOST[:PORT]/listen/SPACE.mp4 or .ogg, or the same with https";
        let (scheme, rest) = url.split_once("://").ok_or(Error::Asked(FORM))?;
        let (authority, path) = rest.split_once('/').ok_or(Error::Asked(FORM))?;
        let path = format!("/{path}");
        let format = Format::of(&path).ok_or(Error::Asked(FORM))?;
        let is_plain_text = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if authority.is_empty() || authority.contains('@') || !is_plain_text(authority) || !is_plain_text(&path) {
            return Err(Error::Asked(FORM));
        }
        let (is_secure, port) = match scheme {
            "http" => (false, 80),
            "https" => (true, 443),
            _ => return Err(Error::Asked(FORM)),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, digits)) if !digits.contains(']') => (host, digits.parse().map_err(|_| Error::Asked(FORM))?),
            _ => (authority, port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut found = (host, port).to_socket_addrs().map_err(|why| Error::World("looking up the host", why))?;
        let address = found.next().ok_or(Error::Asked("the host has no address"))?;
        let secure = is_secure.then(|| host.to_owned());
        Ok(Self { url: url.to_owned(), address, authority: authority.to_owned(), path, format, secure, badge: None })
    }

    /// The same stream at another address of the server.
    pub fn at(self, address: SocketAddr) -> Self {
        Self { address, ..self }
    }

    /// The same, heard by listeners who say that they are rehearsed (`Hiwar-Rehearsal`, docs/formats/pass.md).
    pub fn wearing(self, badge: String) -> Self {
        Self { badge: Some(badge), ..self }
    }

    /// Scheme, host and port: what a grant is for.
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.secure.is_some() { "https" } else { "http" }, self.authority)
    }
}

/// Has the crowd come and listen; tells on standard error how it goes.
///
/// # Errors
/// The one who listens alone at the beginning hears nothing, or this machine has no room for so many. What goes wrong with others is in the report.
pub fn run(target: &Target, options: &Options) -> Result<Report, Error> {
    let secure = target.secure.as_deref().map(|host| trusting(host, options)).transpose()?;
    let threads = options.listeners.div_ceil(THREAD_LISTENERS_MAX).max(options.threads);
    let from = match (&*options.from, target.address.ip()) {
        ([], IpAddr::V4(ip)) if ip.is_loopback() => loopback(threads),
        (given, _) => given.to_vec(),
    };
    let crowd = Crowd {
        listeners: options.listeners,
        arrival: options.arrive.into(),
        within: Duration::from_secs(options.within),
        stay: options.stay,
        seed: options.seed,
    };
    let (cadence, notices) = (options.cadence(), options.notices);
    let task = |crowd: Crowd, threads, ends, starts| {
        let (target, secure, from) = (target.clone(), secure.clone(), from.clone());
        Arc::new(Task { target, secure, crowd, cadence, notices, began: Instant::now(), ends, starts, threads, from })
    };
    // What is looked at is what they hear around it.
    let waits = options.starts_at.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
    if waits.is_some_and(|waits| !(options.alone()..options.lasts()).contains(&waits)) {
        return Err(Error::Asked("--starts-at is not while they listen"));
    }

    room_for(options.listeners.div_ceil(threads))?;
    if let Some(folder) = &options.report {
        // Before the crowd: nobody wants to learn after an hour that it cannot be kept.
        std::fs::create_dir_all(folder).map_err(|why| Error::World("making the folder of the report", why))?;
    }
    eprintln!("  one listener alone, to hear when sound is due");
    let alone = task(Crowd { listeners: 1, within: Duration::ZERO, stay: None, ..crowd }, 1, options.alone(), None);
    let (tell, told) = mpsc::channel();
    let schedule = Ears::new(alone.clone(), 0, target.format, Schedule::default()).and_then(|ears| ears.run(&tell));
    let schedule = schedule.map_err(|why| Error::World("listening", why))?;
    drop(tell);
    heard_something(&told, options.alone())?;

    let ends = options.listens();
    let starts = options.starts_at.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
    let task = task(crowd, threads, ends, starts);
    let schedule = schedule.seen_after(task.began - alone.began);
    let (tell, told) = mpsc::channel();
    for thread in 0..threads {
        let (task, format) = (task.clone(), target.format);
        start("ears", thread, threads, tell.clone(), move |tell| {
            Ears::new(task, thread, format, schedule)?.run(tell).map(drop)
        })?;
    }
    drop(tell);
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let plan = Plan {
        target: target.url.clone(),
        format: target.format.name().into(),
        listeners: options.listeners,
        arrival: in_words(options),
        cadence_ms: options.cadence_ms,
        started_unix_s: started.as_secs(),
        starts_unix_ms: options.starts_at.and_then(|at| {
            let since = at.duration_since(UNIX_EPOCH).ok()?;
            u64::try_from(since.as_millis()).ok()
        }),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let mut report = Report { plan, ..Report::default() };
    let heard = gather(&told, ends, options.watch.map(Watch::new), &mut report);
    heard.map_err(|why| Error::World("listening", why))?;
    if let Some(folder) = &options.report
        && let Err(why) = keep(folder, &report)
    {
        // What was heard is told all the same.
        eprintln!("  the report cannot be kept: {why}");
    }
    Ok(report)
}

/// Starts one of the crowd's threads, with a table of files of its own; what ends `work` early is told as well.
fn start(
    name: &str,
    thread: u64,
    threads: u64,
    tell: Sender<io::Result<Told>>,
    work: impl FnOnce(&Sender<io::Result<Told>>) -> io::Result<()> + Send + 'static,
) -> Result<(), Error> {
    let work = move || {
        // One needs no table of its own, which some containers do not allow.
        let files = if threads > 1 { own_files() } else { Ok(()) };
        if let Err(why) = files.and_then(|()| work(&tell)) {
            // Nobody is told only if nobody asks any more.
            let _ = tell.send(Err(why));
        }
    };
    let named = std::thread::Builder::new().name(format!("{name}-{thread}"));
    named.spawn(work).map_err(|why| Error::World("starting a thread", why))?;
    Ok(())
}

/// Collects what the threads tell, second by second, until they have ended.
fn gather(
    told: &Receiver<io::Result<Told>>,
    ends: Duration,
    mut watch: Option<Watch>,
    report: &mut Report,
) -> io::Result<()> {
    if let Some(watch) = &mut watch {
        // From here on it counts.
        watch.look();
    }
    let mut seconds: BTreeMap<u32, Second> = BTreeMap::new();
    let mut progress = Progress::new(ends);
    loop {
        match told.recv_timeout(THREADS_WAIT) {
            Ok(told) => {
                let told = told?;
                let at = told.second.at_s;
                let is_new = !seconds.contains_key(&at);
                seconds.entry(at).or_insert_with(|| Second { at_s: at, ..Second::default() }).merge(&told.second);
                for (fault, times) in told.faults {
                    *report.faults.entry(fault).or_default() += times;
                }
                if is_new {
                    // The first thread's word of a second is the moment to look at the server; the others follow within milliseconds.
                    let server = watch.as_mut().and_then(Watch::look);
                    if let (Some(server), Some(second)) = (server, seconds.get_mut(&at)) {
                        second.server = Some(server);
                    }
                    // Of the second before everyone has told by now.
                    if let Some(before) = at.checked_sub(1).and_then(|before| seconds.get(&before)) {
                        progress.show(before);
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => eprintln!("  no word of the listeners for {} s", THREADS_WAIT.as_secs()),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    progress.end();
    report.seconds = seconds.into_values().collect();
    Ok(())
}

fn keep(folder: &Path, report: &Report) -> io::Result<()> {
    let text = serde_json::to_string(report).map_err(io::Error::other)?;
    std::fs::write(folder.join("report.json"), text)?;
    std::fs::write(folder.join("report.html"), report.page())
}

/// Whether the one who was alone heard sound; else why not.
fn heard_something(told: &Receiver<io::Result<Told>>, alone: Duration) -> Result<(), Error> {
    let (mut joined, mut why) = (0, None);
    for told in told.try_iter().flatten() {
        joined += told.second.joined;
        why = told.faults.into_keys().next().or(why);
    }
    match (joined, why) {
        (1.., _) => Ok(()),
        (0, Some(why)) => Err(Error::Refused(why)),
        (0, None) => Err(Error::Refused(format!("nothing, for {} s", alone.as_secs()))),
    }
}

/// Sees to it that one thread can have so many connections: as many files as the system allows, where the default is 1,024.
pub(super) fn room_for(listeners: u64) -> Result<(), Error> {
    let limits = getrlimit(Resource::Nofile);
    if limits.maximum.is_some_and(|most| most < listeners + SPARE_FILES) {
        return Err(Error::Asked("this system does not allow so many open files: raise its hard limit (`ulimit -Hn`)"));
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, maximum: limits.maximum });
    raised.map_err(|why| Error::World("raising the limit of open files", why.into()))
}

/// From here on this thread has a table of open files of its own.
pub(super) fn own_files() -> io::Result<()> {
    Ok(nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES)?)
}

/// Addresses to connect from at a server on this machine.
fn loopback(threads: u64) -> Vec<IpAddr> {
    // 127.0.0.1 is left to everyone else.
    let count = LOOPBACK_ADDRESSES.max(u32::try_from(threads).unwrap_or(LOOPBACK_ADDRESSES)).min(60_000);
    (0..count).map(|n| IpAddr::V4(Ipv4Addr::from(0x7f01_0001 + n))).collect()
}

/// A moment, on the clock of the wall.
fn moment(text: &str) -> Result<SystemTime, String> {
    let since = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    since.and_then(|since| UNIX_EPOCH.checked_add(since)).ok_or_else(|| "seconds since 1970".to_owned())
}

/// A time to stay.
fn stay(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.01..=86_400.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "seconds, from 0.01 to 86400".to_owned())
}

fn in_words(options: &Options) -> String {
    let how = match options.arrive {
        How::Steady => "steady",
        How::Ramp => "ramp",
        How::Flash => "flash",
    };
    let stay = options.stay.map(|stay| format!(", each stays {} s in the mean", stay.as_secs_f64()));
    let stay = stay.unwrap_or_default();
    format!("{how}: all within {} s{stay}", options.within)
}

/// How far it is, on standard error: one line that is written over on a terminal, else a line every ten seconds.
struct Progress {
    ends_s: u64,
    terminal: bool,
}

impl Progress {
    fn new(ends: Duration) -> Self {
        Self { ends_s: ends.as_secs().max(1), terminal: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, second: &Second) {
        let at = u64::from(second.at_s) + 1;
        if !self.terminal && !at.is_multiple_of(10) {
            return;
        }
        let done = (at * BAR_WIDTH / self.ends_s).min(BAR_WIDTH) as usize;
        let bar = format!("{}{}", "█".repeat(done), "·".repeat(BAR_WIDTH as usize - done));
        let late = second.lateness.quantile(0.99).map_or("–".into(), |late| format!("{} ms", late.as_millis()));
        let line = format!(
            "  {bar} {at} of {} s: {} listening, {} came, {} failed, {} stand still, lateness p99 {late}",
            self.ends_s, second.listening, second.joined, second.failed, second.stalled
        );
        let (before, after) = if self.terminal { ("\r\x1b[2K", "") } else { ("", "\n") };
        let mut out = std::io::stderr();
        // A closed standard error is nobody who looks.
        let _ = write!(out, "{before}{line}{after}").and_then(|()| out.flush());
    }

    fn end(&self) {
        if self.terminal {
            eprintln!();
        }
    }
}

const BAR_WIDTH: u64 = 24;
/// A thread tells every second; one that is starved of its processor, some later.
const THREADS_WAIT: Duration = Duration::from_secs(10);
