//! What is done for one listener, and where listeners are found.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use hiwar_segment_log::LogId;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::super::slab::{Slab, Token};
use super::super::socket::Moved;
use super::super::{Counters, Shared};
use super::{Blocked, Channel, Channels, Client, Listening};
use crate::fanout::{GATHER_MAX, Group, Judgement, Owed};
use crate::tail::Tail;

impl Listening {
    /// Returns the bytes that went out, and whether the listener goes on.
    pub(super) fn write(
        &mut self,
        epoll: &OwnedFd,
        token: Token,
        tail: &Tail,
        rendition: usize,
        shared: &Shared,
    ) -> (u64, bool) {
        // So much came at once that what it lacks is gone, and nobody looked at it in between.
        if self.cursor.has_missed(tail) && !self.is_kept(tail, shared) {
            return (0, false);
        }
        let mut sent = 0;
        loop {
            let mut slices = [&[][..]; GATHER_MAX];
            let filled = self.cursor.gather(tail, rendition, &mut slices);
            let slices = slices.get(..filled).unwrap_or_default();
            let offered: usize = slices.iter().map(|slice| slice.len()).sum();
            if offered == 0 {
                break;
            }
            let moved = match slices {
                [one] => self.socket.write(one),
                many => {
                    let mut vectors = [io::IoSlice::new(&[]); GATHER_MAX];
                    vectors.iter_mut().zip(many).for_each(|(vector, slice)| *vector = io::IoSlice::new(slice));
                    self.socket.write_all_of(vectors.get(..filled).unwrap_or_default())
                }
            };
            let bytes = match moved {
                Moved::Bytes(bytes) => bytes,
                Moved::Later => 0,
                _ => return (sent, false),
            };
            sent += bytes as u64;
            self.cursor.advance(tail, rendition, bytes);
            if bytes < offered {
                self.watch(epoll, token, Blocked::Yes);
                return (sent, true);
            }
        }
        // Also steps over chunks that lack this rendition.
        self.cursor.advance(tail, rendition, 0);
        match self.socket.flush() {
            Moved::Bytes(_) => self.watch(epoll, token, Blocked::No),
            Moved::Later => {
                self.watch(epoll, token, Blocked::Yes);
                return (sent, true);
            }
            _ => return (sent, false),
        }
        let goes_on = self.cursor.owed(tail) != Owed::Goodbye;
        if !goes_on {
            self.socket.say_goodbye();
        }
        (sent, goes_on)
    }

    /// Decides about a listener who is behind, and counts it.
    pub(super) fn is_kept(&mut self, tail: &Tail, shared: &Shared) -> bool {
        match self.cursor.judge(tail) {
            Judgement::Keep => true,
            Judgement::Skipped => {
                shared.skipped.fetch_add(1, Relaxed);
                true
            }
            Judgement::Cut => {
                shared.cut.fetch_add(1, Relaxed);
                false
            }
        }
    }

    fn watch(&mut self, epoll: &OwnedFd, token: Token, blocked: Blocked) {
        if self.blocked != blocked {
            self.blocked = blocked;
            let flags = if blocked == Blocked::Yes { EventFlags::OUT } else { EventFlags::empty() };
            let _ = epoll::modify(epoll, &self.socket, EventData::new_u64(token.0), flags);
        }
    }
}

impl Channel {
    /// Closes a listener's connection, and whoever is moved to its seat learns of it.
    pub(super) fn lose(&mut self, member: u32, slab: &mut Slab<Client>) {
        let Some(Client::Listening(listening)) = slab.remove(member) else { return };
        self.counters.listening.fetch_sub(1, Relaxed);
        if let Some(moved) = self.group.leave(listening.seat)
            && let Some(Client::Listening(other)) = slab.at(moved)
        {
            other.seat = listening.seat;
        }
    }
}

impl Channels {
    pub(super) fn open(&mut self, log: LogId, renditions: usize, counters: &Arc<Counters>) {
        let channel = |rendition| Channel { log, rendition, group: Group::default(), counters: counters.clone() };
        let indexes = (0..renditions).map(|rendition| self.all.insert(channel(rendition)).index()).collect();
        self.by_log.insert(log, indexes);
    }

    /// A log is asked for piece by piece. Whoever asks while it sleeps is an ear as good as any.
    pub(super) fn fetched(&mut self, log: LogId, shared: &Shared) {
        let channel = self.by_log.get(&log).and_then(|indexes| self.all.at(*indexes.first()?));
        if channel.is_some_and(|channel| channel.counters.fetch(shared.age())) {
            shared.ears();
        }
    }

    pub(super) fn find(&self, log: LogId, rendition: usize) -> Option<u32> {
        self.by_log.get(&log)?.get(rendition).copied()
    }
}
