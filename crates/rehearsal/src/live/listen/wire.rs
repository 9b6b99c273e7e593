//! One listener's connection: a non-blocking socket, with TLS or without.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

/// How to speak TLS, if it is spoken.
#[derive(Clone, Debug)]
pub(super) struct Secure {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Wire {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

/// What reading came to.
#[derive(Debug)]
pub(super) enum Moved {
    Bytes(usize),
    Later,
    End,
    Broken(io::Error),
}

impl Wire {
    /// Begins to connect; the socket is writable when it is.
    pub(super) fn connect(to: SocketAddr, from: Option<IpAddr>, secure: Option<&Secure>) -> io::Result<Self> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        if let Some(from) = from {
            rustix::net::bind(&socket, &SocketAddr::new(from, 0))?;
        }
        match rustix::net::connect(&socket, &to) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(why) => return Err(why.into()),
        }
        let tls = secure.map(|secure| ClientConnection::new(secure.config.clone(), secure.name.clone()));
        let tls = tls.transpose().map_err(io::Error::other)?.map(Box::new);
        Ok(Self { socket: TcpStream::from(socket), tls })
    }

    /// The socket alone, of one that speaks no TLS.
    #[cfg(feature = "voices")]
    pub(super) fn into_socket(self) -> TcpStream {
        self.socket
    }

    /// Once it is writable: whether it is connected. Then asks.
    pub(super) fn ask(&mut self, request: &[u8]) -> io::Result<()> {
        sockopt::socket_error(&self.socket)??;
        match &mut self.tls {
            // A request is far smaller than an empty socket's buffer.
            None => (&self.socket).write_all(request),
            Some(tls) => {
                tls.writer().write_all(request)?;
                self.flush()
            }
        }
    }

    /// Writes what TLS has to say, as far as the socket takes it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while tls.wants_write() {
            match tls.write_tls(&mut &self.socket) {
                Ok(_) => {}
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => break,
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }

    /// Whether there is something left to write.
    pub(super) fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Reads into `buffer` (64 kB at the least, for all of TLS) what has come, or as much of it as it takes; under TLS as much as `scratch` takes.
    pub(super) fn read(&mut self, buffer: &mut [u8], scratch: &mut [u8]) -> Moved {
        let Some(tls) = &mut self.tls else { return moved((&self.socket).read(buffer)) };
        loop {
            // In one call, where `read_tls` would ask for 4 kB at a time.
            let mut came = match (&self.socket).read(scratch) {
                Ok(0) => return Moved::End,
                Ok(bytes) => scratch.get(..bytes).unwrap_or_default(),
                Err(why) => return moved(Err(why)),
            };
            let mut filled = 0;
            while !came.is_empty() {
                // It takes from memory, and what it holds is fetched at once: it is never full.
                if let Err(why) = tls.read_tls(&mut came) {
                    return Moved::Broken(why);
                }
                if let Err(why) = tls.process_new_packets() {
                    return Moved::Broken(io::Error::other(why));
                }
                match fetch(tls, buffer.get_mut(filled..).unwrap_or_default()) {
                    Ok(bytes) => filled += bytes,
                    Err(why) if filled == 0 => return moved(Err(why)),
                    // The goodbye: the next read of the socket finds its end, too.
                    Err(_) => return Moved::Bytes(filled),
                }
            }
            // Of a handshake; what does not fit now is written when the socket has room.
            while tls.wants_write() && tls.write_tls(&mut &self.socket).is_ok_and(|bytes| bytes > 0) {}
            if filled > 0 {
                return Moved::Bytes(filled);
            }
        }
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Everything that TLS has deciphered. An end that was said is an error, as one that was not.
fn fetch(tls: &mut ClientConnection, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    loop {
        match tls.reader().read(buffer.get_mut(filled..).unwrap_or_default()) {
            Ok(0) if filled == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) => return Ok(filled),
            Ok(bytes) => filled += bytes,
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Ok(filled),
            Err(why) => return Err(why),
        }
    }
}

/// Of a thread's scratch for what comes enciphered. A record of which a part had come before is at most as long again (RFC 8446 §5.1).
pub(super) const SCRATCH_BYTES: usize = 32 * 1024;

fn moved(read: io::Result<usize>) -> Moved {
    match read {
        Ok(0) => Moved::End,
        Ok(bytes) => Moved::Bytes(bytes),
        Err(why) if matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Moved::Later,
        // TLS that ends without saying so.
        Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => Moved::End,
        Err(why) => Moved::Broken(why),
    }
}
