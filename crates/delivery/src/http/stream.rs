//! A connection: a socket, or a socket with TLS over it. The code above does not ask which.
//!
//! It owns everything that belongs to it, so it moves between threads as it is. Ciphertext that the kernel did not take is kept here
//! and goes first: to whoever writes, bytes that TLS took are written, and [`Stream::is_stuck`] says that the socket must be waited for.

use std::io::IoSlice;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::socket::{self, Moved};
use super::tls::Session;
use crate::proxy;

/// One connection.
#[derive(Debug)]
pub(super) struct Stream {
    socket: OwnedFd,
    /// Boxed, so that a listener without it stays small.
    tls: Option<Box<Session>>,
}

impl Stream {
    /// Bytes as they are.
    pub(super) fn plain(socket: OwnedFd) -> Self {
        Self { socket, tls: None }
    }

    /// Bytes under TLS, whose handshake is still to come.
    pub(super) fn secure(socket: OwnedFd, session: Session) -> Self {
        Self { socket, tls: Some(Box::new(session)) }
    }

    /// Takes what a proxy says before anything else: whose connection it is, if it says that; `None` while nothing has come.
    ///
    /// # Errors
    /// Something else came, or only a part of it, or the end.
    pub(super) fn announced(&self, scratch: &mut [u8]) -> Result<Option<Option<IpAddr>>, ()> {
        let known = match socket::peek(&self.socket, scratch) {
            Moved::Bytes(known) => known,
            Moved::Later => return Ok(None),
            _ => return Err(()),
        };
        let said = proxy::announced(scratch.get(..known).unwrap_or_default()).ok_or(())?;
        // It is there: this reads all of it, and nothing after it.
        match socket::read(&self.socket, scratch.get_mut(..said.bytes).unwrap_or_default()) {
            Moved::Bytes(bytes) if bytes == said.bytes => Ok(Some(said.client)),
            _ => Err(()),
        }
    }

    /// Reads into `buffer`. A handshake is carried on here, and is `Later` until it is done.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Moved {
        match &mut self.tls {
            None => socket::read(&self.socket, buffer),
            Some(session) => session.read(&self.socket, buffer),
        }
    }

    /// Whether there is more to read that the socket does not know of.
    pub(super) fn has_more(&self) -> bool {
        self.tls.as_ref().is_some_and(|session| session.has_plain())
    }

    /// Reads what comes and throws it away, without looking into it.
    pub(super) fn discard(&mut self, scratch: &mut [u8]) -> Moved {
        socket::read(&self.socket, scratch)
    }

    /// Writes what the connection takes of `bytes`.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Moved {
        match &mut self.tls {
            None => socket::write(&self.socket, bytes),
            Some(session) => session.write(&self.socket, &[IoSlice::new(bytes)]),
        }
    }

    /// Writes what the connection takes of several slices, as one.
    pub(super) fn write_all_of(&mut self, slices: &[IoSlice<'_>]) -> Moved {
        match &mut self.tls {
            None => socket::write_all_of(&self.socket, slices),
            Some(session) => session.write(&self.socket, slices),
        }
    }

    /// Hands the kernel what TLS still holds: `Later` if some of it is left.
    pub(super) fn flush(&mut self) -> Moved {
        self.tls.as_mut().map_or(Moved::Bytes(0), |session| session.flush(&self.socket))
    }

    /// Whether TLS holds bytes that the kernel did not take: the socket must become writable before anything else happens.
    pub(super) fn is_stuck(&self) -> bool {
        self.tls.as_ref().is_some_and(|session| session.is_stuck())
    }

    /// Says that nothing more will be written; the peer may still send.
    pub(super) fn finish(&mut self) {
        self.say_goodbye();
        socket::finish(&self.socket);
    }

    /// Tells a peer under TLS that this is the end, and not a cut (RFC 8446 §6.1). Whoever does not hear it will see the socket close.
    pub(super) fn say_goodbye(&mut self) {
        if let Some(session) = &mut self.tls {
            session.close(&self.socket);
        }
    }

    /// From now on it is only written to, as a listener's is: how much is held for it, here and in the kernel.
    pub(super) fn settle(&mut self, send_buffer_bytes: usize) {
        socket::bound_listener(&self.socket, send_buffer_bytes);
        if let Some(session) = &mut self.tls {
            session.settle();
        }
    }

    /// The peer spoke HTTP where TLS was due: it is answered in what it understands.
    pub(super) fn give_up_tls(&mut self) {
        self.tls = None;
    }

    /// Whether bytes are encrypted on their way.
    pub(super) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether the first message of a handshake has not been answered yet: the part that costs.
    pub(super) fn is_fresh(&self) -> bool {
        self.tls.as_ref().is_some_and(|session| session.is_fresh())
    }

    /// Whether a handshake is under way.
    pub(super) fn is_shaking_hands(&self) -> bool {
        self.tls.as_ref().is_some_and(|session| session.is_shaking_hands())
    }

    /// Whether the peer came to the name of HLS.
    pub(super) fn is_for_hls(&self) -> bool {
        self.tls.as_ref().is_some_and(|session| session.is_for_other_name())
    }

    /// Whether HTTP/2 was agreed on.
    pub(super) fn speaks_http2(&self) -> bool {
        self.tls.as_ref().is_some_and(|session| session.speaks_http2())
    }

    /// The socket itself, for its options and for files that the kernel sends.
    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
