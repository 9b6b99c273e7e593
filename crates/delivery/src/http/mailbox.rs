//! A bounded queue into a thread that sleeps in epoll: items in a channel, and an eventfd as its bell.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};

use rustix::event::{EventfdFlags, eventfd};

/// A queue of at most `capacity` items.
///
/// # Errors
/// If no eventfd can be had.
pub(super) fn mailbox<T>(capacity: usize) -> io::Result<(Outbox<T>, Inbox<T>)> {
    let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (sender, receiver) = sync_channel(capacity);
    let waiting = Arc::default();
    let outbox = Outbox { sender: Some(sender), bell: bell.clone(), waiting: Arc::clone(&waiting) };
    Ok((outbox, Inbox { receiver, bell, waiting }))
}

/// The side that puts things in.
pub(super) struct Outbox<T> {
    /// `None` only while dropping, so that the bell rings after the sender is gone.
    sender: Option<SyncSender<T>>,
    bell: Arc<OwnedFd>,
    waiting: Arc<AtomicUsize>,
}

impl<T> Outbox<T> {
    /// Puts an item in, waiting for room; gone if the other side is.
    pub(super) fn send(&self, item: T) {
        // Counted before it is there: it is never taken before it was counted.
        self.waiting.fetch_add(1, Relaxed);
        let sent = self.sender.as_ref().is_some_and(|sender| sender.send(item).is_ok());
        if sent {
            self.ring();
        } else {
            self.waiting.fetch_sub(1, Relaxed);
        }
    }

    /// Puts an item in, or gives it back if there is no room or nobody.
    pub(super) fn try_send(&self, item: T) -> Result<(), T> {
        let Some(sender) = &self.sender else { return Err(item) };
        self.waiting.fetch_add(1, Relaxed);
        match sender.try_send(item) {
            Ok(()) => {
                self.ring();
                Ok(())
            }
            Err(TrySendError::Full(item) | TrySendError::Disconnected(item)) => {
                self.waiting.fetch_sub(1, Relaxed);
                Err(item)
            }
        }
    }

    pub(super) fn ring(&self) {
        // Fails only when the counter is full, and then the bell is ringing.
        let _ = rustix::io::write(&*self.bell, &1u64.to_ne_bytes());
    }
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), bell: self.bell.clone(), waiting: self.waiting.clone() }
    }
}

impl<T> Drop for Outbox<T> {
    fn drop(&mut self) {
        self.sender = None;
        self.ring();
    }
}

/// The side that takes things out.
pub(super) struct Inbox<T> {
    receiver: Receiver<T>,
    bell: Arc<OwnedFd>,
    waiting: Arc<AtomicUsize>,
}

/// What is in an inbox.
pub(super) enum Mail<T> {
    Item(T),
    /// Nothing now.
    Empty,
    /// Nothing ever again.
    Over,
}

impl<T> Inbox<T> {
    /// Readable when there may be something.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// How many items are in it, for whoever must count what they hold.
    pub(super) fn waiting(&self) -> Arc<AtomicUsize> {
        self.waiting.clone()
    }

    /// Stops the bell. Call before taking, so that whatever comes later rings again.
    pub(super) fn hush(&self) {
        let _ = rustix::io::read(&*self.bell, &mut [0; 8][..]);
    }

    /// Takes one item.
    pub(super) fn take(&self) -> Mail<T> {
        match self.receiver.try_recv() {
            Ok(item) => {
                self.waiting.fetch_sub(1, Relaxed);
                Mail::Item(item)
            }
            Err(TryRecvError::Empty) => Mail::Empty,
            Err(TryRecvError::Disconnected) => Mail::Over,
        }
    }
}
