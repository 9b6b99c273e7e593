//! What is set on a socket, and why; and the few calls that read and write one.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, sockopt};

/// Prepares the listening socket. Linux gives what is set here to every accepted socket, so a join pays no system call for it.
pub(super) fn prepare(listener: &TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    // Whoever opened it may have left the usual 128, which a crowd fills between two turns of ours; the kernel then drops their SYN,
    // and they wait a second for nothing. Listening again only changes the length.
    rustix::net::listen(listener, BACKLOG)?;
    // Pacing (bbr's, the default on some systems) costs a timer per socket and write, for bursts of 1 kB that need none. Not fatal:
    // a container may not have it.
    if let Err(why) = sockopt::set_tcp_congestion(listener, "cubic") {
        tracing::debug!("congestion control stays the system's: {why}");
    }
    // A chunk is one write and must leave at once: Nagle would hold it for the acknowledgement of the one before.
    sockopt::set_tcp_nodelay(listener, true)?;
    // Finds peers that vanished or stopped reading, in the kernel, without a timer of ours per listener.
    sockopt::set_tcp_user_timeout(listener, USER_TIMEOUT_MS)?;
    // And those who vanish while nothing is sent to them: before the first chunk, and while the house is away.
    sockopt::set_socket_keepalive(listener, true)?;
    sockopt::set_tcp_keepidle(listener, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(listener, PROBE_EVERY)?;
    Ok(())
}

/// Prepares a socket that will be listening: how much the kernel holds for it, and of what its peer sends, which nobody will read.
pub(super) fn bound_listener(socket: &OwnedFd, send_buffer_bytes: usize) {
    // Cannot fail for a socket; if it did, the buffer would merely be larger.
    let _ = sockopt::set_socket_send_buffer_size(socket, send_buffer_bytes);
    let _ = sockopt::set_socket_recv_buffer_size(socket, UNREAD_BYTES);
}

/// Players pause a download by not reading it, for minutes: a recording's socket is given more time than a live one.
pub(super) fn be_patient(socket: &OwnedFd) {
    let _ = sockopt::set_tcp_user_timeout(socket, REPLAY_USER_TIMEOUT_MS);
}

/// Back to the usual after [`be_patient`].
pub(super) fn be_impatient(socket: &OwnedFd) {
    let _ = sockopt::set_tcp_user_timeout(socket, USER_TIMEOUT_MS);
}

/// One accepted connection; `None` if none is waiting.
pub(super) fn accept(listener: &TcpListener) -> io::Result<Option<(OwnedFd, SocketAddr)>> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    match rustix::net::acceptfrom_with(listener, flags) {
        Ok((socket, peer)) => {
            let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
            let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok()).unwrap_or(unknown);
            Ok(Some((socket, SocketAddr::new(peer.ip().to_canonical(), peer.port()))))
        }
        Err(Errno::AGAIN) => Ok(None),
        // The peer gave up while it was in the queue: ask for the next one.
        Err(Errno::INTR | Errno::CONNABORTED | Errno::PROTO) => Ok(None),
        Err(why) => Err(why.into()),
    }
}

/// What a non-blocking call came to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// So many bytes.
    Bytes(usize),
    /// Not now.
    Later,
    /// The peer will send no more.
    End,
    /// The peer speaks HTTP where TLS was due.
    Plain,
    /// The connection is broken.
    Broken,
}

/// Reads into `buffer`.
pub(super) fn read(socket: impl AsFd, buffer: &mut [u8]) -> Moved {
    receive(socket, buffer, RecvFlags::DONTWAIT)
}

/// The same, and leaves it where it is.
pub(super) fn peek(socket: impl AsFd, buffer: &mut [u8]) -> Moved {
    receive(socket, buffer, RecvFlags::DONTWAIT | RecvFlags::PEEK)
}

fn receive(socket: impl AsFd, buffer: &mut [u8], flags: RecvFlags) -> Moved {
    loop {
        return match rustix::net::recv(socket.as_fd(), &mut *buffer, flags) {
            Ok((0, _)) => Moved::End,
            Ok((bytes, _)) => Moved::Bytes(bytes),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Moved::Later,
            Err(_) => Moved::Broken,
        };
    }
}

/// Writes what the kernel takes of `bytes`. Never raises SIGPIPE.
pub(super) fn write(socket: impl AsFd, bytes: &[u8]) -> Moved {
    loop {
        return moved(match rustix::net::send(socket.as_fd(), bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => continue,
            result => result,
        });
    }
}

/// Writes what the kernel takes of several slices, as one.
pub(super) fn write_all_of(socket: impl AsFd, slices: &[io::IoSlice<'_>]) -> Moved {
    loop {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let mut control = rustix::net::SendAncillaryBuffer::default();
        return moved(match rustix::net::sendmsg(socket.as_fd(), slices, &mut control, flags) {
            Err(Errno::INTR) => continue,
            result => result,
        });
    }
}

fn moved(result: rustix::io::Result<usize>) -> Moved {
    match result {
        Ok(bytes) => Moved::Bytes(bytes),
        Err(Errno::AGAIN | Errno::NOBUFS) => Moved::Later,
        Err(_) => Moved::Broken,
    }
}

/// Says that nothing more will be written; the peer may still send.
pub(super) fn finish(socket: &OwnedFd) {
    // It fails only if the peer is gone, which the next call finds out.
    let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Write);
}

/// Connections that may wait to be accepted: a quarter of a second of joins at 16,000 a second. The system's `somaxconn` caps it.
const BACKLOG: i32 = 4_096;
/// Of what a listener sends: the kernel takes this for its least, about 2 kB. Its usual 128 kB and more for each of many would be a stranger's to fill.
const UNREAD_BYTES: usize = 1;
/// Longer than [`crate::fanout::LAG_CHUNKS_MAX`] twice over, so that whoever merely reads slowly is judged by us, and only a peer whose
/// kernel is silent or whose window stays shut is ended by ours.
const USER_TIMEOUT_MS: u32 = 20_000;
const REPLAY_USER_TIMEOUT_MS: u32 = 180_000;
/// A peer from whom nothing has come for so long is asked whether they are there, and then so often until they answer. Linux ends the
/// connection at the first of these moments that is [`USER_TIMEOUT_MS`] after they were last heard, whatever the count of probes says
/// (`tcp_keepalive_timer`): of [`PROBES`] one has to be answered. Were the first one sent after 30 s, it would be that one.
const PROBE_AFTER: Duration = Duration::from_secs(10);
const PROBE_EVERY: Duration = Duration::from_secs(2);
const PROBES: u64 = 5;
const _: () = assert!(PROBE_AFTER.as_secs() + PROBES * PROBE_EVERY.as_secs() == USER_TIMEOUT_MS as u64 / 1_000);
