//! One listener's connection: a non-blocking socket, with TLS or without.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};

/// How to speak TLS, if it is spoken.
#[derive(Clone, Debug)]
pub(in crate::live) struct Secure {
    pub(in crate::live) config: Arc<ClientConfig>,
    pub(in crate::live) name: ServerName<'static>,
}

/// A connection.
#[derive(Debug)]
pub(in crate::live) struct Wire {
    socket: TcpStream,
    tls: Option<Box<Tls>>,
}

/// TLS that keeps hardly anything: what comes is deciphered where it was read to, as a hundred thousand of these share a core.
struct Tls {
    connection: UnbufferedClientConnection,
    /// The beginning of a record that has not come whole.
    incoming: Vec<u8>,
    /// What the socket did not take.
    outgoing: Vec<u8>,
    /// What is asked when the handshake is done.
    request: Vec<u8>,
}

/// What reading came to.
#[derive(Debug)]
pub(in crate::live) enum Moved {
    Bytes(usize),
    Later,
    End,
    Broken(io::Error),
}

impl Wire {
    /// Begins to connect; the socket is writable when it is.
    pub(in crate::live) fn connect(to: SocketAddr, from: Option<IpAddr>, secure: Option<&Secure>) -> io::Result<Self> {
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
        let tls = secure.map(|secure| Tls::new(secure).map(Box::new)).transpose()?;
        Ok(Self { socket: TcpStream::from(socket), tls })
    }

    /// The socket alone, of one that speaks no TLS.
    #[cfg(feature = "voices")]
    pub(in crate::live) fn into_socket(self) -> TcpStream {
        self.socket
    }

    /// Once it is writable: whether it is connected. Then asks.
    pub(in crate::live) fn ask(&mut self, request: &[u8]) -> io::Result<()> {
        sockopt::socket_error(&self.socket)??;
        match &mut self.tls {
            // A request is far smaller than an empty socket's buffer.
            None => (&self.socket).write_all(request),
            Some(tls) => {
                tls.request = request.to_vec();
                tls.process(&mut [], &mut [])?;
                tls.flush(&self.socket)
            }
        }
    }

    /// Writes what TLS has to say, as far as the socket takes it.
    pub(in crate::live) fn flush(&mut self) -> io::Result<()> {
        self.tls.as_mut().map_or(Ok(()), |tls| tls.flush(&self.socket))
    }

    /// Whether there is something left to write.
    pub(in crate::live) fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| !tls.outgoing.is_empty())
    }

    /// Reads into `buffer` what has come, or as much of it as it takes; under TLS as much as `scratch` takes, which is to be shorter than `buffer`, and longer than two
    /// records.
    pub(in crate::live) fn read(&mut self, buffer: &mut [u8], scratch: &mut [u8]) -> Moved {
        let Some(tls) = &mut self.tls else { return moved((&self.socket).read(buffer)) };
        loop {
            let kept = tls.incoming.len();
            let room = scratch.get_mut(kept..).unwrap_or_default();
            let came = match (&self.socket).read(room) {
                Ok(0) => return Moved::End,
                Ok(bytes) => kept + bytes,
                Err(why) => return moved(Err(why)),
            };
            if let Some(front) = scratch.get_mut(..kept) {
                front.copy_from_slice(&tls.incoming);
            }
            let filled = match tls.process(scratch.get_mut(..came).unwrap_or_default(), buffer) {
                Ok(filled) => filled,
                Err(why) => return moved(Err(why)),
            };
            // Of a handshake; what does not fit now is written when the socket has room.
            if let Err(why) = tls.flush(&self.socket) {
                return Moved::Broken(why);
            }
            if filled > 0 {
                return Moved::Bytes(filled);
            }
        }
    }
}

impl Tls {
    fn new(secure: &Secure) -> io::Result<Self> {
        let connection = UnbufferedClientConnection::new(secure.config.clone(), secure.name.clone());
        let connection = connection.map_err(io::Error::other)?;
        Ok(Self { connection, incoming: Vec::new(), outgoing: Vec::new(), request: Vec::new() })
    }

    /// Takes what has come, with the rest of before in front of it; what is deciphered of it is put into `buffer`. Returns how many bytes that are; what is not whole is kept.
    /// An end that was said is an error, if nothing came before it.
    fn process(&mut self, came: &mut [u8], buffer: &mut [u8]) -> io::Result<usize> {
        let (mut at, mut filled) = (0, 0);
        loop {
            let rest = came.get_mut(at..).unwrap_or_default();
            let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(rest);
            let mut goes_on = true;
            match state.map_err(io::Error::other)? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(io::Error::other)?;
                        discard += record.discard;
                        let room = buffer.get_mut(filled..filled + record.payload.len());
                        room.ok_or_else(|| io::Error::other("no room for a record"))?.copy_from_slice(record.payload);
                        filled += record.payload.len();
                    }
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    let mut record = [0; HANDSHAKE_BYTES_MAX];
                    let bytes = data.encode(&mut record).map_err(io::Error::other)?;
                    self.outgoing.extend_from_slice(record.get(..bytes).unwrap_or_default());
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::WriteTraffic(mut traffic) if !self.request.is_empty() => {
                    let mut record = vec![0; self.request.len() + RECORD_OVERHEAD_MAX];
                    let bytes = traffic.encrypt(&self.request, &mut record).map_err(io::Error::other)?;
                    self.outgoing.extend_from_slice(record.get(..bytes).unwrap_or_default());
                    self.request = Vec::new();
                }
                ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake => goes_on = false,
                _ if filled > 0 => goes_on = false,
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
            at += discard;
            if !goes_on {
                break;
            }
        }
        let rest = came.get(at..).unwrap_or_default();
        if !(rest.is_empty() && self.incoming.is_empty()) {
            self.incoming = rest.to_vec();
        }
        Ok(filled)
    }

    fn flush(&mut self, mut socket: &TcpStream) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            match socket.write(&self.outgoing) {
                Ok(bytes) => drop(self.outgoing.drain(..bytes)),
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(why) => return Err(why),
            }
        }
        self.outgoing = Vec::new();
        Ok(())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Of a thread's scratch for what comes enciphered: what is left of a record, 16 kB at the most (RFC 8446 §5.1), and as much again.
pub(in crate::live) const SCRATCH_BYTES: usize = 40 * 1024;
/// A message of the handshake that we send: a hello with the keys of two groups has less than 2 kB.
const HANDSHAKE_BYTES_MAX: usize = 8 * 1024;
/// What a record has besides what is in it: header, type and tag (RFC 8446 §5.2).
const RECORD_OVERHEAD_MAX: usize = 64;

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
