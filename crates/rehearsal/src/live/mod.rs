//! The cast against a real server: sockets, clocks and threads are here and nowhere else in this crate.

#[cfg(feature = "voices")]
pub mod call;
#[cfg(feature = "voices")]
mod client;
pub mod door;
#[cfg(feature = "voices")]
pub mod ear;
#[cfg(feature = "voices")]
mod heard;
pub mod listen;
#[cfg(feature = "voices")]
pub mod relay;
#[cfg(feature = "voices")]
pub mod speak;
#[cfg(feature = "voices")]
mod whip;

use std::fmt;
use std::io;
#[cfg(feature = "voices")]
use std::path::PathBuf;
use std::time::Instant;

#[cfg(feature = "voices")]
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

#[cfg(feature = "voices")]
use crate::voice::{self, Voice};

/// Above every ordinary thread, below the server's beat (10).
#[cfg(feature = "voices")]
const PRIORITY: u8 = 5;

/// Why a rehearsal broke off.
#[derive(Debug)]
pub enum Error {
    /// A socket or a file said no, while doing this.
    World(&'static str, io::Error),
    /// The server answered a request with something else than was asked for.
    Refused(String),
    /// A sound file cannot be used.
    #[cfg(feature = "voices")]
    Voice(PathBuf, voice::Error),
    /// Other people's code could not do this.
    Client(&'static str, String),
    /// So many did not connect in time.
    NotConnected(usize),
    /// A word of the command line has no meaning.
    Asked(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::World(doing, why) => write!(f, "{doing}: {why}"),
            Self::Refused(answer) => write!(f, "the server says: {answer}"),
            #[cfg(feature = "voices")]
            Self::Voice(file, why) => write!(f, "{}: {why}", file.display()),
            Self::Client(doing, why) => write!(f, "{doing}: {why}"),
            Self::NotConnected(some) => write!(f, "{some} did not connect"),
            Self::Asked(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}

/// Puts this thread before all ordinary ones: in life each of the cast has a machine of their own. Whether the system lets us; else the machine's own
/// lateness comes on top of what is measured.
#[cfg(feature = "voices")]
fn hurry() -> bool {
    let fifo = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let priority = ThreadPriority::Crossplatform(PRIORITY.try_into().unwrap_or_default());
    set_thread_priority_and_policy(thread_native_id(), priority, fifo).is_ok()
}

/// Keeps a schedule.
#[allow(clippy::disallowed_methods, reason = "the deadline is on an absolute schedule; there is no event to wait for")]
fn wait_until(due: Instant) {
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}

/// `count` talking voices from the given files, no two of them in chorus.
#[cfg(feature = "voices")]
fn talkers(files: &[PathBuf], count: usize) -> Result<Vec<Voice>, Error> {
    let mut read = Vec::with_capacity(files.len());
    for file in files {
        let bytes = std::fs::read(file).map_err(|why| Error::World("reading a voice", why))?;
        read.push(Voice::talking(&bytes).map_err(|why| Error::Voice(file.clone(), why))?);
    }
    if read.is_empty() && count > 0 {
        return Err(Error::Asked("talkers need a --voice FILE"));
    }
    Ok((0..count).map(|n| read[n % read.len()].clone().begun_at(n as u64 * 197)).collect())
}
