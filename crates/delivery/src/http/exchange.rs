//! One connection that is not a listener: reading a head, writing an answer, or being let go.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hiwar_segment_log::LogId;
use rustix::event::epoll::EventFlags;

use super::socket::{self, Moved};
use crate::problem::Keep;
use crate::request::HEAD_BYTES_MAX;

/// A connection between requests, or within one.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) socket: OwnedFd,
    pub(super) peer: SocketAddr,
    /// What was read and not yet understood: at most [`HEAD_BYTES_MAX`].
    pub(super) read: Vec<u8>,
    pub(super) phase: Phase,
    /// When the phase is over, one way or the other.
    pub(super) deadline: Instant,
    /// The deadline became sooner than the wheel knows.
    pub(super) hurried: bool,
}

/// What the connection is doing.
#[derive(Debug)]
pub(super) enum Phase {
    /// Waiting for a head; `served`: at least one request was answered, so silence is idleness.
    Reading { served: bool },
    /// A whole request has been read, and is still in `read`: it is answered when the log has come so far.
    Held { log: LogId, position: u64 },
    /// An answer is on its way out.
    Writing { head: Bytes, body: Bytes, keep: Keep },
    /// Everything is said; what the peer still sends is thrown away, for closing over unread bytes would reset the connection and take
    /// our last words with it (RFC 9112 §9.6).
    Draining { bytes_left: usize },
}

/// What a step came to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Look at what was read.
    Look,
    /// Wait for the socket.
    Wait,
    /// Close it.
    Close,
}

impl Exchange {
    pub(super) fn new(socket: OwnedFd, peer: SocketAddr, deadline: Instant) -> Self {
        Self { socket, peer, read: Vec::new(), phase: Phase::Reading { served: false }, deadline, hurried: false }
    }

    /// The socket is readable.
    pub(super) fn on_readable(&mut self, scratch: &mut [u8; HEAD_BYTES_MAX]) -> Step {
        match &mut self.phase {
            Phase::Reading { .. } => {
                let room = HEAD_BYTES_MAX.saturating_sub(self.read.len()).max(1);
                match socket::read(&self.socket, scratch.get_mut(..room).unwrap_or_default()) {
                    Moved::Bytes(bytes) => {
                        self.read.extend_from_slice(scratch.get(..bytes).unwrap_or_default());
                        Step::Look
                    }
                    Moved::Later => Step::Wait,
                    Moved::End | Moved::Broken => Step::Close,
                }
            }
            Phase::Draining { bytes_left } => match socket::read(&self.socket, scratch) {
                Moved::Bytes(bytes) if *bytes_left > bytes => {
                    *bytes_left -= bytes;
                    Step::Wait
                }
                Moved::Later => Step::Wait,
                _ => Step::Close,
            },
            Phase::Held { .. } | Phase::Writing { .. } => Step::Wait,
        }
    }

    /// Writes what the socket takes. `Look` when the answer is out and the next request may be there already.
    pub(super) fn on_writable(&mut self, now: Instant, idle: Duration) -> Step {
        let Phase::Writing { head, body, keep } = &mut self.phase else { return Step::Wait };
        while !head.is_empty() || !body.is_empty() {
            let slices = [std::io::IoSlice::new(head), std::io::IoSlice::new(body)];
            match socket::write_all_of(&self.socket, &slices) {
                Moved::Bytes(bytes) => {
                    let of_head = bytes.min(head.len());
                    *head = head.slice(of_head..);
                    *body = body.slice((bytes - of_head).min(body.len())..);
                }
                Moved::Later => return Step::Wait,
                Moved::End | Moved::Broken => return Step::Close,
            }
        }
        match keep {
            Keep::Alive => {
                self.phase = Phase::Reading { served: true };
                self.deadline = now + idle;
                Step::Look
            }
            Keep::Close => {
                self.drain(now);
                Step::Wait
            }
        }
    }

    /// Nothing more will be said.
    pub(super) fn drain(&mut self, now: Instant) {
        socket::finish(&self.socket);
        self.read = Vec::new();
        self.phase = Phase::Draining { bytes_left: DRAIN_BYTES_MAX };
        self.deadline = now + DRAIN;
        self.hurried = true;
    }

    /// What epoll is to watch for. Nothing while a request is held: half-closing is a client's right (RFC 9112 §9.6), and what it sends
    /// next can wait.
    pub(super) fn interest(&self) -> EventFlags {
        match self.phase {
            Phase::Reading { .. } | Phase::Draining { .. } => EventFlags::IN,
            Phase::Held { .. } => EventFlags::empty(),
            Phase::Writing { .. } => EventFlags::OUT,
        }
    }
}

/// How long a peer may take to notice that we are done.
pub(super) const DRAIN: Duration = Duration::from_secs(2);
/// What it may still send meanwhile. A refused upload has at most this much on its way.
const DRAIN_BYTES_MAX: usize = 1 << 20;
