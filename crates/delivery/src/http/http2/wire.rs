//! A connection as tokio reads and writes it: our own TLS, and what was read before it came here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use rustix::io::ioctl_fionread;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::socket::Moved;
use super::super::stream::Stream;

/// A connection that belongs to this thread.
pub(super) struct Wire {
    socket: AsyncFd<Stream>,
    /// Read already, and not yet taken.
    read: Vec<u8>,
    patience: Patience,
}

/// How much a client may still send before its next request: what is no request is a word between the two sides, and needs little. A body
/// has no window.
#[derive(Clone, Debug)]
pub(super) struct Patience(Arc<AtomicUsize>);

impl Patience {
    /// All of it.
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(WORDS_BYTES_MAX)))
    }

    /// A request came.
    pub(super) fn restore(&self) {
        self.0.store(WORDS_BYTES_MAX, Relaxed);
    }

    /// Whether too much came.
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    fn spend(&self, bytes: usize) {
        // One thread looks at it.
        self.0.store(self.0.load(Relaxed).saturating_sub(bytes), Relaxed);
    }
}

impl Wire {
    /// Takes a connection over. Only on the thread of a runtime.
    #[expect(
        deprecated,
        reason = "its successor is unsafe, for types whose descriptor may change or close; a stream owns one for as long as it lives"
    )]
    pub(super) fn new(stream: Stream, read: Vec<u8>, patience: Patience) -> io::Result<Self> {
        Ok(Self { socket: AsyncFd::new(stream)?, read, patience })
    }

    /// Writes with `step` until it does something else than wait.
    fn write(&mut self, cx: &mut Context<'_>, mut step: impl FnMut(&mut Stream) -> Moved) -> Poll<io::Result<usize>> {
        loop {
            match step(self.socket.get_mut()) {
                Moved::Bytes(bytes) => return Poll::Ready(Ok(bytes)),
                Moved::Later => match self.socket.poll_write_ready_mut(cx) {
                    // The socket said so itself: it is full.
                    Poll::Ready(Ok(mut ready)) => ready.clear_ready(),
                    Poll::Ready(Err(why)) => return Poll::Ready(Err(why)),
                    Poll::Pending => return Poll::Pending,
                },
                Moved::End | Moved::Plain | Moved::Broken => return Poll::Ready(Err(broken())),
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.read.is_empty() {
            let bytes = this.read.len().min(buffer.remaining());
            buffer.put_slice(this.read.get(..bytes).unwrap_or_default());
            this.read.drain(..bytes);
            return Poll::Ready(Ok(()));
        }
        loop {
            if this.patience.is_over() {
                return Poll::Ready(Err(broken()));
            }
            if this.socket.get_ref().is_stuck() {
                // Nobody may make us hold more by sending what asks for an answer, and not reading it.
                ready!(this.write(cx, Stream::flush))?;
            }
            let has_more = this.socket.get_ref().has_more();
            let ready = if has_more { None } else { Some(ready!(this.socket.poll_read_ready_mut(cx))?) };
            let moved = match ready {
                None => this.socket.get_mut().read(buffer.initialize_unfilled()),
                Some(mut ready) => {
                    let moved = ready.get_inner_mut().read(buffer.initialize_unfilled());
                    // It may have had records without a byte for us, and more may be there: then it is not empty, and the runtime must not
                    // wait to hear of it.
                    let is_empty =
                        moved == Moved::Later && ioctl_fionread(ready.get_inner()).is_ok_and(|bytes| bytes == 0);
                    if is_empty {
                        ready.clear_ready();
                    }
                    moved
                }
            };
            match moved {
                Moved::Bytes(bytes) => {
                    buffer.advance(bytes);
                    this.patience.spend(bytes);
                    return Poll::Ready(Ok(()));
                }
                Moved::Later => {}
                Moved::End => return Poll::Ready(Ok(())),
                Moved::Plain | Moved::Broken => return Poll::Ready(Err(broken())),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, |stream| stream.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream| stream.write_all_of(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, Stream::flush).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.socket.get_mut().finish();
        Poll::Ready(Ok(()))
    }
}

fn broken() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// Frames without a request between them: a player says how much it has taken, and that it is there, in a hundred bytes or so for each request. As much
/// as four heads.
const WORDS_BYTES_MAX: usize = 32 * 1024;
