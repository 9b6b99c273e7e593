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

    /// Reads into `buffer`.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Moved {
        let Some(tls) = &mut self.tls else { return moved((&self.socket).read(buffer)) };
        loop {
            match tls.reader().read(buffer) {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                read => return moved(read),
            }
            match tls.read_tls(&mut &self.socket) {
                Ok(0) => return Moved::End,
                Ok(_) => {}
                Err(why) => return moved(Err(why)),
            }
            if let Err(why) = tls.process_new_packets() {
                return Moved::Broken(io::Error::other(why));
            }
            if tls.wants_write() {
                // Of a handshake; what does not fit now is written when the socket has room.
                while tls.wants_write() && tls.write_tls(&mut &self.socket).is_ok_and(|bytes| bytes > 0) {}
            }
        }
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

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
