//! One connection that is not a listener: reading a head, writing an answer, or being let go.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hiwar_segment_log::LogId;
use rustix::event::epoll::EventFlags;

use super::socket::Moved;
use super::stream::Stream;
use crate::problem::Keep;
use crate::request::HEAD_BYTES_MAX;

/// A connection between requests, or within one.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) socket: Stream,
    /// Whose it is, as far as is known before a request is read.
    pub(super) peer: SocketAddr,
    /// A proxy says first whose it is.
    pub(super) is_unannounced: bool,
    /// What was read and not yet understood: at most [`HEAD_BYTES_MAX`], and over TLS what a batch of records holds beyond it.
    pub(super) read: Vec<u8>,
    pub(super) phase: Phase,
    /// When the phase is over, one way or the other.
    pub(super) deadline: Instant,
    /// When the wheel speaks of it; `None` while it does not know of it.
    pub(super) comes_up: Option<Instant>,
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
    /// It speaks HTTP where TLS was due: tell it so.
    Redirect,
    /// Close it.
    Close,
}

impl Exchange {
    pub(super) fn new(socket: Stream, peer: SocketAddr, deadline: Instant) -> Self {
        let phase = Phase::Reading { served: false };
        Self { socket, peer, is_unannounced: false, read: Vec::new(), phase, deadline, comes_up: None }
    }

    /// The same; if `is_announced`, a proxy says first whose it is.
    pub(super) fn announced_first(socket: Stream, peer: SocketAddr, deadline: Instant, is_announced: bool) -> Self {
        Self { is_unannounced: is_announced, ..Self::new(socket, peer, deadline) }
    }

    /// The socket is readable.
    pub(super) fn on_readable(&mut self, scratch: &mut [u8; HEAD_BYTES_MAX]) -> Step {
        if self.is_unannounced {
            match self.socket.announced(scratch) {
                Ok(None) => return Step::Wait,
                Err(()) => return Step::Close,
                Ok(Some(client)) => {
                    self.is_unannounced = false;
                    self.peer.set_ip(client.unwrap_or(self.peer.ip()));
                }
            }
        }
        match &mut self.phase {
            Phase::Reading { .. } => {
                let known = self.read.len();
                let room = HEAD_BYTES_MAX.saturating_sub(known).max(1);
                let step = match self.socket.read(scratch.get_mut(..room).unwrap_or_default()) {
                    Moved::Bytes(bytes) => {
                        self.read.extend_from_slice(scratch.get(..bytes).unwrap_or_default());
                        Step::Look
                    }
                    Moved::Later => Step::Wait,
                    Moved::Plain => Step::Redirect,
                    Moved::End | Moved::Broken => Step::Close,
                };
                // Epoll speaks of the socket, and knows nothing of what has been decrypted already.
                while self.socket.has_more() {
                    let Moved::Bytes(bytes) = self.socket.read(scratch) else { break };
                    self.read.extend_from_slice(scratch.get(..bytes).unwrap_or_default());
                }
                // A head that comes byte by byte is read from its beginning where a line ends, and not for each byte.
                let is_new = known == 0 || self.read.len() >= HEAD_BYTES_MAX;
                let ends_line = self.read.get(known..).unwrap_or_default().contains(&b'\n');
                if step == Step::Look && !is_new && !ends_line { Step::Wait } else { step }
            }
            Phase::Draining { bytes_left } => match self.socket.discard(scratch) {
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
        match self.socket.flush() {
            Moved::Bytes(_) => {}
            Moved::Later => return Step::Wait,
            _ => return Step::Close,
        }
        let Phase::Writing { head, body, keep } = &mut self.phase else { return Step::Wait };
        while !head.is_empty() || !body.is_empty() {
            let slices = [std::io::IoSlice::new(head), std::io::IoSlice::new(body)];
            match self.socket.write_all_of(&slices) {
                Moved::Bytes(bytes) => {
                    let of_head = bytes.min(head.len());
                    *head = head.slice(of_head..);
                    *body = body.slice((bytes - of_head).min(body.len())..);
                }
                Moved::Later => return Step::Wait,
                _ => return Step::Close,
            }
        }
        if self.socket.is_stuck() {
            return Step::Wait;
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

    /// Others come first: the next request, read already, is looked at when epoll says that the socket takes an answer, as it does at once.
    pub(super) fn have_turn(&mut self) -> Step {
        if !self.read.is_empty() {
            self.phase = Phase::Writing { head: Bytes::new(), body: Bytes::new(), keep: Keep::Alive };
        }
        Step::Wait
    }

    /// Nothing more will be said.
    pub(super) fn drain(&mut self, now: Instant) {
        self.socket.finish();
        self.read = Vec::new();
        self.phase = Phase::Draining { bytes_left: DRAIN_BYTES_MAX };
        self.deadline = now + DRAIN;
    }

    /// What epoll is to watch for. Nothing while a request is held: half-closing is a client's right (RFC 9112 §9.6), and what it sends
    /// next can wait.
    pub(super) fn interest(&self) -> EventFlags {
        match self.phase {
            _ if self.socket.is_stuck() => EventFlags::OUT,
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_head_is_looked_at_where_it_begins_where_a_line_ends_and_when_it_is_too_long() {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut exchange = Exchange::new(Stream::plain(ours.into()), peer, Instant::now());
        let mut scratch = [0; HEAD_BYTES_MAX];
        let mut check = |sent: &str, expected| {
            theirs.write_all(sent.as_bytes()).unwrap();
            assert_eq!(exchange.on_readable(&mut scratch), expected, "{sent:?}");
        };
        check("G", Step::Look);
        check("ET / HTTP/1.1", Step::Wait);
        check("\r", Step::Wait);
        check("\n", Step::Look);
        check("X: ", Step::Wait);
        check("a\r\nY", Step::Look);
        check(&"a".repeat(7_000), Step::Wait);
        check(&"a".repeat(HEAD_BYTES_MAX - 7_022), Step::Look);
    }
}
