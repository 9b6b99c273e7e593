//! The worker's end of the live bus. Reconnecting is the caller's loop: it alone knows how long to wait.

use bytes::{Buf, Bytes, BytesMut};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::socket;
use crate::live_bus::frame::{self, FRAME_BYTES_MAX, LENGTH_BYTES, Malformed, PREFACE};
use crate::live_bus::{Down, Up};

/// A connection to the house. The first messages are what stands: documents, open logs, their last chunks; [`Down::Whole`] says that
/// this was all.
#[derive(Debug)]
pub struct Subscription {
    stream: UnixStream,
    received: BytesMut,
    /// Whether the house has said who it is.
    introduced: bool,
}

impl Subscription {
    /// Connects to the house's bus at `path`, which may be longer than a socket's address.
    ///
    /// # Errors
    /// Those of connecting: `NotFound` or `ConnectionRefused` while the house is down.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let mut stream = socket::connect(path)?;
        stream.set_write_timeout(Some(UP_WAIT_MAX))?;
        stream.write_all(&PREFACE)?;
        Ok(Self { stream, received: BytesMut::with_capacity(READ_BYTES), introduced: false })
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// [`Broken`]; connect again.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator that waits for ever surprises; it also has no last error"
    )]
    pub fn next(&mut self) -> Result<Down, Broken> {
        loop {
            if !self.introduced
                && let Some(ours) = frame::is_ours(&self.received)
            {
                if !ours {
                    return Err(Broken::Version);
                }
                self.received.advance(PREFACE.len());
                self.introduced = true;
            }
            if self.introduced
                && let Some(len) = frame::frame_len(&self.received, FRAME_BYTES_MAX)?
                && let Some(frame) = self.received.get(LENGTH_BYTES..len)
            {
                // Copied, so that a chunk kept for a while does not keep the whole receive buffer.
                let down = frame::decode_down(Bytes::copy_from_slice(frame));
                self.received.advance(len);
                return Ok(down?);
            }
            let filled = self.received.len();
            self.received.resize(filled + READ_BYTES, 0);
            let read = self.stream.read(&mut self.received[filled..]);
            self.received.truncate(filled + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Err(Broken::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The house ended and had not read all that we said.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(Broken::Closed),
                Err(error) => return Err(Broken::Io(error)),
            }
        }
    }

    /// Tells the house something.
    ///
    /// # Errors
    /// [`Broken`], also if the house does not take it within a second; connect again.
    pub fn up(&mut self, up: &Up) -> Result<(), Broken> {
        send(&mut self.stream, up)
    }

    /// A second handle on the connection for the thread that counts, while another waits in [`Subscription::next`].
    ///
    /// # Errors
    /// Those of duplicating a file descriptor.
    pub fn uplink(&self) -> io::Result<Uplink> {
        Ok(Uplink { stream: self.stream.try_clone()? })
    }
}

/// Tells the house things from another thread. Use one sender at a time per connection: messages are not interleaved safely.
#[derive(Debug)]
pub struct Uplink {
    stream: UnixStream,
}

impl Uplink {
    /// As [`Subscription::up`].
    ///
    /// # Errors
    /// As [`Subscription::up`].
    pub fn up(&mut self, up: &Up) -> Result<(), Broken> {
        send(&mut self.stream, up)
    }

    /// Ends the connection; who waits in [`Subscription::next`] gets [`Broken::Closed`].
    pub fn close(&self) {
        // Already closed is closed.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn send(stream: &mut UnixStream, up: &Up) -> Result<(), Broken> {
    let frame = frame::encode_up(up).map_err(|too_long| Broken::Io(io::Error::other(too_long)))?;
    stream.write_all(&frame).map_err(|error| {
        // Half a frame may be out: nothing after it would be understood.
        let _ = stream.shutdown(Shutdown::Both);
        Broken::Io(error)
    })
}

/// Why a connection to the house is over.
#[derive(Debug)]
pub enum Broken {
    /// The house closed it: it stopped, or this worker was too slow.
    Closed,
    /// The house sent what this program does not understand.
    Malformed,
    /// The house is of another version: it will be at the next try, too.
    Version,
    /// Anything else the operating system says.
    Io(io::Error),
}

impl From<Malformed> for Broken {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the house closed the live bus"),
            Self::Malformed => Malformed.fmt(f),
            Self::Version => f.write_str("the house speaks another version of the live bus"),
            Self::Io(error) => write!(f, "the live bus: {error}"),
        }
    }
}

impl std::error::Error for Broken {}

/// What one read may bring: some thirty chunks.
const READ_BYTES: usize = 64 << 10;

/// The house reads counts at once or is not itself; then a fresh connection is as good.
const UP_WAIT_MAX: Duration = Duration::from_secs(1);
