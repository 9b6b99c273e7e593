//! TCP connections of clients whose network lets no UDP through (RFC 6544, passive side), one frame per datagram (RFC 4571).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::epoll;

use crate::session::DATAGRAM_BYTES_MAX;

/// Most connections in all: every session on TCP, and as many again.
pub(super) const CONNECTIONS_MAX: usize = 2 * super::SESSIONS_MAX;
/// Most connections that have not yet shown a check for one of our sessions; they cost a file descriptor each. One more pushes the oldest
/// out, so that strangers who say nothing never keep a client out: it sends its check at once, long before 128 others have come.
pub(super) const STRANGERS_MAX: usize = 128;
/// How long a connection may stay a stranger. A client sends its first check at once.
pub(super) const STRANGER_WAIT: Duration = Duration::from_secs(5);
/// Bytes that may wait for a client to read them: two seconds of the return feed. Then frames are lost, as they would be on UDP.
const UNSENT_BYTES_MAX: usize = 16 * 1024;
/// Bytes read at a time.
const READ_BYTES: usize = 8 * 1024;

/// Names a connection to epoll.
pub(super) type Token = u64;

pub(super) struct Connection {
    stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) since: Instant,
    /// Whether a session has answered a check that came by it. Changed by [`Connections::welcome`] only.
    known: bool,
    /// An unfinished frame, and never more than one.
    unread: Vec<u8>,
    unsent: VecDeque<u8>,
}

/// What became of a frame to send.
pub(super) enum Sent {
    /// Gone, or waiting its turn.
    Yes,
    /// No room; the client reads too slowly.
    Full,
    /// The connection is dead.
    Dead,
}

#[derive(Default)]
pub(super) struct Connections {
    pub(super) by_token: HashMap<Token, Connection>,
    pub(super) by_peer: HashMap<SocketAddr, Token>,
    /// Those that are not known yet; tokens rise, so the first is the oldest.
    strangers: BTreeSet<Token>,
}

impl Connections {
    pub(super) fn insert(&mut self, token: Token, connection: Connection) {
        self.by_peer.insert(connection.peer, token);
        if !connection.known {
            self.strangers.insert(token);
        }
        self.by_token.insert(token, connection);
    }

    /// Closes a connection by forgetting it.
    pub(super) fn remove(&mut self, token: Token) -> Option<SocketAddr> {
        let connection = self.by_token.remove(&token)?;
        self.strangers.remove(&token);
        if self.by_peer.get(&connection.peer) == Some(&token) {
            self.by_peer.remove(&connection.peer);
        }
        Some(connection.peer)
    }

    /// A session has answered a check that came from this peer.
    pub(super) fn welcome(&mut self, peer: SocketAddr) {
        if let Some(token) = self.by_peer.get(&peer)
            && let Some(connection) = self.by_token.get_mut(token)
        {
            connection.known = true;
            self.strangers.remove(token);
        }
    }

    /// The stranger that must leave before another may come; `None` if there is room.
    pub(super) fn to_push_out(&self) -> Option<Token> {
        let full = self.by_token.len() >= CONNECTIONS_MAX || self.strangers.len() >= STRANGERS_MAX;
        self.strangers.first().copied().filter(|_| full)
    }

    /// The oldest stranger, and since when it is here.
    pub(super) fn oldest_stranger(&self) -> Option<(Token, Instant)> {
        let token = self.strangers.first()?;
        self.by_token.get(token).map(|connection| (*token, connection.since))
    }

    pub(super) fn send(&mut self, epoll: &impl AsFd, peer: SocketAddr, bytes: &[u8]) -> Sent {
        let Some(token) = self.by_peer.get(&peer) else { return Sent::Dead };
        match self.by_token.get_mut(token) {
            Some(connection) => connection.send(epoll, *token, bytes),
            None => Sent::Dead,
        }
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, local: SocketAddr, now: Instant) -> Self {
        Self { stream, peer, local, since: now, known: false, unread: Vec::new(), unsent: VecDeque::new() }
    }

    pub(super) fn register(&self, epoll: &impl AsFd, token: Token) -> io::Result<()> {
        Ok(epoll::add(epoll, &self.stream, epoll::EventData::new_u64(token), epoll::EventFlags::IN)?)
    }

    /// Reads what is there, once, and returns it behind what was left over.
    ///
    /// # Errors
    /// When the connection is at its end.
    pub(super) fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.unread);
        let mut chunk = [0; READ_BYTES];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                bytes.extend_from_slice(chunk.get(..n).unwrap_or_default());
                Ok(bytes)
            }
            Err(error) if is_later(&error) => Ok(bytes),
            Err(error) => Err(error),
        }
    }

    /// Keeps an unfinished frame for the next read.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        self.unread = rest.to_vec();
    }

    fn send(&mut self, epoll: &impl AsFd, token: Token, bytes: &[u8]) -> Sent {
        let Ok(length) = u16::try_from(bytes.len()) else { return Sent::Full };
        // A frame is sent whole or not at all: half a frame would garble all that follow.
        if self.unsent.len() + 2 + bytes.len() > UNSENT_BYTES_MAX {
            return Sent::Full;
        }
        let waiting = !self.unsent.is_empty();
        self.unsent.extend(length.to_be_bytes());
        self.unsent.extend(bytes);
        if waiting {
            return Sent::Yes;
        }
        match self.flush() {
            Ok(()) if self.unsent.is_empty() => Sent::Yes,
            Ok(()) => self.watch(epoll, token, epoll::EventFlags::IN | epoll::EventFlags::OUT),
            Err(_) => Sent::Dead,
        }
    }

    /// The socket has room again.
    pub(super) fn writable(&mut self, epoll: &impl AsFd, token: Token) -> io::Result<()> {
        self.flush()?;
        if self.unsent.is_empty() {
            self.watch(epoll, token, epoll::EventFlags::IN);
        }
        Ok(())
    }

    fn watch(&self, epoll: &impl AsFd, token: Token, flags: epoll::EventFlags) -> Sent {
        match epoll::modify(epoll, &self.stream, epoll::EventData::new_u64(token), flags) {
            Ok(()) => Sent::Yes,
            Err(_) => Sent::Dead,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(self.unsent.as_slices().0) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => drop(self.unsent.drain(..n)),
                Err(error) if is_later(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// A frame, and what follows it.
type FrameAndRest<'a> = (&'a [u8], &'a [u8]);

/// The next whole frame at the front of `bytes`, and the rest.
///
/// # Errors
/// `TooLong` if a frame is longer than anything a session takes: whoever sends that does not speak RFC 4571.
pub(super) fn next_frame(bytes: &[u8]) -> Result<Option<FrameAndRest<'_>>, TooLong> {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*length));
    if length > DATAGRAM_BYTES_MAX {
        return Err(TooLong);
    }
    Ok(rest.split_at_checked(length))
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_whole_or_not_at_all() {
        assert_eq!(next_frame(b""), Ok(None));
        assert_eq!(next_frame(b"\0"), Ok(None));
        assert_eq!(next_frame(b"\0\x02a"), Ok(None));
        assert_eq!(next_frame(b"\0\x02abc"), Ok(Some((&b"ab"[..], &b"c"[..]))));
        assert_eq!(next_frame(b"\0\0\0"), Ok(Some((&b""[..], &b"\0"[..]))));
        assert_eq!(next_frame(b"GET / HTTP/1.1"), Err(TooLong));
    }
}
