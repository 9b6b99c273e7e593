//! The net thread of a shard: one UDP socket and one TCP listener for all its sessions.
//!
//! The thread owns the sessions; everybody else holds a [`Handle`]. Commands come in through a bounded queue, sound goes out and returns
//! come in through one ring per session and direction, none of which can make the thread wait. Without sessions the thread sleeps.
//!
//! Datagrams find their session by the client's address, once a check from there has been answered; checks find it by the user fragment in
//! them. What finds none is dropped before it costs more than a look into a table.

mod datagrams;
mod net;
mod stun;
mod tcp;

use std::fmt;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use hiwar_media::Time;
use hiwar_media::packet::Packet;
use rustix::event::{EventfdFlags, eventfd};

use crate::candidate;
use crate::ring::{Reader, Writer};
use crate::session::{Patched, Reason, Session};
use datagrams::Taking;

/// Most sessions on one shard. Twenty speakers a space makes fifty full spaces, which is more than a studio thread mixes in 20 ms.
pub const SESSIONS_MAX: usize = 1_000;
/// Commands that may wait for the net thread; it takes them all each time it wakes.
const COMMANDS_MAX: usize = 1_024;

/// Names a session to its shard. Chosen by the owner, unique while the session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// The sockets of a shard, bound by whoever starts the house. They are made non-blocking.
#[derive(Debug)]
pub struct Sockets {
    /// For all sessions' UDP.
    pub udp: UdpSocket,
    /// For all sessions' TCP, listening.
    pub tcp: Option<TcpListener>,
}

/// What a shard tells its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The session is up: sound may come.
    Connected(SessionId),
    /// The session is over, and forgotten.
    Closed(SessionId, Reason),
}

/// Why a command was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Busy {
    /// [`SESSIONS_MAX`] sessions are there.
    Full,
    /// The net thread is behind, or gone.
    Behind,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Busy::Full => "the shard has all the sessions it takes",
            Busy::Behind => "the shard's net thread does not keep up",
        })
    }
}

impl std::error::Error for Busy {}

/// What happened on a shard since it began. Read at leisure; nothing is synchronised.
#[derive(Debug, Default)]
pub struct Counters {
    /// Sessions now.
    pub sessions: AtomicUsize,
    /// Datagrams and TCP frames that came in.
    pub received: AtomicU64,
    /// Datagrams and TCP frames that went out.
    pub sent: AtomicU64,
    /// Checks for a user fragment that is not ours, or STUN that is no check.
    pub unknown_ufrag: AtomicU64,
    /// Anything else from an address that belongs to no session.
    pub unknown_source: AtomicU64,
    /// Packets of sound that found their ring full.
    pub packets_dropped: AtomicU64,
    /// Datagrams or frames that the system had no room to send.
    pub send_dropped: AtomicU64,
    /// TCP connections refused or cut: too many, too late, or not speaking RFC 4571.
    pub tcp_cut: AtomicU64,
    /// Sessions given up because something panicked.
    pub panics: AtomicU64,
    /// Times the net thread woke up.
    pub wakes: AtomicU64,
}

enum Command {
    Add { id: SessionId, session: Box<Session>, packets: Writer<Packet<()>>, returns: Reader<Time> },
    Remove(SessionId),
    Patch { id: SessionId, sdpfrag: String, reply: Reply },
    Stop,
}

type Reply = Box<dyn FnOnce(Result<Patched, candidate::Refusal>) + Send>;

/// Starts net threads.
#[derive(Debug)]
pub struct Shard;

impl Shard {
    /// Starts a net thread on the given sockets. It runs until [`Handle::stop`], or until the last handle is gone. Each session added brings
    /// at most two events, so the queue of events is bounded by what its reader adds.
    ///
    /// # Errors
    /// If the system gives no epoll, eventfd or thread.
    pub fn spawn(sockets: Sockets) -> io::Result<(Handle, Receiver<Event>, JoinHandle<()>)> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (commands, taken) = mpsc::sync_channel(COMMANDS_MAX);
        let (events, told) = mpsc::channel();
        let counters = Arc::new(Counters::default());
        let taking = Arc::new(Taking::new());
        let net = net::Net::new(sockets, wake.clone(), taking.clone(), taken, events, counters.clone())?;
        let thread = thread::Builder::new().name("hiwar-net".to_owned()).spawn(move || net.run())?;
        let line = Line { commands: Some(commands), wake };
        Ok((Handle { line: Arc::new(line), taking, counters }, told, thread))
    }
}

/// The way to a shard's net thread. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    line: Arc<Line>,
    taking: Arc<Taking>,
    counters: Arc<Counters>,
}

struct Line {
    commands: Option<SyncSender<Command>>,
    wake: Arc<OwnedFd>,
}

impl Drop for Line {
    fn drop(&mut self) {
        // First hang up, then wake: the thread must find the line dead.
        self.commands = None;
        ring(&self.wake);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

impl Handle {
    /// Gives the shard a session to look after. Its sound goes into `packets` (a full ring loses the packet, counted); what it is to hear
    /// is taken from `returns`.
    ///
    /// # Errors
    /// [`Busy`]; the session is dropped.
    pub fn add(
        &self,
        id: SessionId,
        session: Session,
        packets: Writer<Packet<()>>,
        returns: Reader<Time>,
    ) -> Result<(), Busy> {
        let sessions = &self.counters.sessions;
        let counted =
            sessions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < SESSIONS_MAX).then_some(n + 1));
        if counted.is_err() {
            return Err(Busy::Full);
        }
        self.command(Command::Add { id, session: Box::new(session), packets, returns }).inspect_err(|_| {
            sessions.fetch_sub(1, Ordering::Relaxed);
        })
    }

    /// Ends a session: it says goodbye to the client, and [`Event::Closed`] follows. An id that is not there is ignored.
    ///
    /// # Errors
    /// [`Busy::Behind`]; try again.
    pub fn remove(&self, id: SessionId) -> Result<(), Busy> {
        self.command(Command::Remove(id))
    }

    /// Passes the body of a `PATCH` to a session. `reply` is called on the net thread, once, and must not wait.
    ///
    /// # Errors
    /// [`Busy::Behind`]; `reply` is dropped uncalled.
    pub fn patch(
        &self,
        id: SessionId,
        sdpfrag: String,
        reply: impl FnOnce(Result<Patched, candidate::Refusal>) + Send + 'static,
    ) -> Result<(), Busy> {
        self.command(Command::Patch { id, sdpfrag, reply: Box::new(reply) })
    }

    /// Says that returns are in the rings. One system call, no lock, no allocation. Whoever forgets it has his returns fetched every 5 ms, and every 25
    /// with four sessions and more.
    pub fn wake(&self) {
        ring(&self.line.wake);
    }

    /// Says that sound was taken out of the rings, when that will be done next, and whether returns were put into theirs. With four sessions and more that
    /// is what the net thread waits for: then it reads what came in and sends what is to leave. At most one system call, no lock, no allocation: for the
    /// beat. Whoever does not say it has four sessions read every 25 ms, and does not hear when a packet came too late for its beat.
    pub fn taken(&self, next: Instant, returned: bool) {
        self.taking.set(next);
        if returned || self.taking.is_awaited() {
            self.wake();
        }
    }

    /// What happened since the shard began.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Closes all sessions and ends the thread.
    pub fn stop(&self) {
        // If the queue is full the thread is alive and hears the line die instead.
        let _ = self.command(Command::Stop);
    }

    fn command(&self, command: Command) -> Result<(), Busy> {
        let sender = self.line.commands.as_ref().ok_or(Busy::Behind)?;
        sender.try_send(command).map_err(|_| Busy::Behind)?;
        ring(&self.line.wake);
        Ok(())
    }
}

fn ring(wake: &OwnedFd) {
    // Fails only if the counter is at its maximum, and then the thread has been woken already.
    let _ = rustix::io::write(wake, &1_u64.to_ne_bytes());
}
