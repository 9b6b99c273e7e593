//! What the supervisor hands to its children: open sockets and the resolved configuration.
//!
//! Sockets are inherited as file descriptors and described in one environment variable. This is the only file of the
//! crate with `unsafe`: taking ownership of an inherited descriptor cannot be expressed otherwise.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::FdFlags;
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::config::Config;

/// The environment variable that carries an [`Inheritance`] as JSON.
const VARIABLE: &str = "HIWAR_CHILD";

/// What one child is, and what it may use.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Inheritance {
    /// The child's part.
    pub role: Role,
    /// The configuration, with the addresses that were really bound.
    pub config: Config,
}

/// The parts that children play. Descriptor numbers are valid in the child only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Role {
    /// API, registry and studio.
    House {
        /// Unix listener for forwarded HTTP.
        api: RawFd,
        /// Unix listener for the live bus.
        bus: RawFd,
        /// WebRTC sockets of each shard: UDP, TCP.
        shards: Vec<(RawFd, RawFd)>,
        /// The first start since the supervisor began: greet the operator.
        greet: bool,
        /// Somebody asked for this start, or restart in place; else the house before it died.
        by_hand: bool,
        /// The data directory was made just now.
        fresh: bool,
        /// Workers that are there or being started, older ones included.
        workers: usize,
        /// Processes of those older ones: they end with their last listener.
        elders: Vec<i32>,
    },
    /// A worker of `delivery` on one of the HTTP ports.
    Worker {
        /// TCP listener.
        listener: RawFd,
        /// Which port that is.
        post: Post,
        /// An eventfd: 1 is added when the house has told the worker everything.
        ready: RawFd,
    },
}

/// Where a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Post {
    /// The public port, which it shares with the other crowd workers.
    Crowd {
        /// Its number among them.
        index: usize,
    },
    /// The stage port: the reserved worker.
    Stage,
    /// The port of plain HTTP, from which everyone is sent on.
    Redirect,
}

impl Inheritance {
    /// The variable's name and value for the child's environment.
    #[must_use]
    pub fn variable(&self) -> (&'static str, String) {
        (VARIABLE, serde_json::to_string(self).expect("plain data is always JSON"))
    }

    /// Reads what the supervisor left for this process.
    ///
    /// # Errors
    /// `None` when this process was not started by a supervisor.
    #[must_use]
    pub fn take() -> Option<Self> {
        serde_json::from_str(&std::env::var(VARIABLE).ok()?).ok()
    }
}

/// Takes ownership of an inherited descriptor as `T` (a socket type) and marks it close-on-exec again.
///
/// # Errors
/// The descriptor is not open: the supervisor and this process disagree.
pub fn adopt<T: From<OwnedFd>>(number: RawFd) -> io::Result<T> {
    // SAFETY: the number comes from our supervisor, which opened it for this child and told no one else in this
    // process; each number is adopted once, at start. The fcntl below fails if it is not open.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    Ok(T::from(fd))
}

/// A descriptor whose readability can be awaited.
///
/// # Errors
/// The system cannot watch it.
pub fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` stays open, and keeps its number, for as long as it is there; the `AsyncFd` owns it.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(io::Error::from)
}

/// Ignores hang-ups while `execute` runs, and so does a program that it puts in this one's place, until that listens to them: a second one must not end it in
/// the moment before.
pub fn without_hangups<T>(execute: impl FnOnce() -> T) -> T {
    // SAFETY: all-zero is a valid `sigaction`; both pointers are to one that lives on this stack. `SIG_IGN` may be set for SIGHUP at any time, and what is set
    // afterwards is what was there before.
    let replace = |action: &libc::sigaction| unsafe {
        let mut before: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGHUP, action, &raw mut before);
        before
    };
    // SAFETY: as above.
    let mut ignore: libc::sigaction = unsafe { std::mem::zeroed() };
    ignore.sa_sigaction = libc::SIG_IGN;
    let before = replace(&ignore);
    let executed = execute();
    replace(&before);
    executed
}

/// Runs `spawn` while `fds` are inheritable. The supervisor is single-threaded, so that nothing else can fork meanwhile.
///
/// # Errors
/// Those of `spawn` and of `fcntl`.
pub fn while_inheritable<T>(fds: &[&dyn AsFdRef], spawn: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    for fd in fds {
        rustix::io::fcntl_setfd(fd.fd(), FdFlags::empty())?;
    }
    let spawned = spawn();
    for fd in fds {
        rustix::io::fcntl_setfd(fd.fd(), FdFlags::CLOEXEC)?;
    }
    spawned
}

/// Anything with a descriptor, as a trait object: the sockets of a child are of several types.
pub trait AsFdRef {
    /// The descriptor.
    fn fd(&self) -> std::os::fd::BorrowedFd<'_>;
    /// Its number.
    fn number(&self) -> RawFd {
        self.fd().as_raw_fd()
    }
}

impl<T: AsFd> AsFdRef for T {
    fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.as_fd()
    }
}
