//! Who is let in: the gate before `accept`, and handshakes, bounded.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventFlags};

use super::super::exchange::Exchange;
use super::super::slab::{Slab, Token};
use super::super::socket;
use super::super::stream::Stream;
use super::super::{Place, Security};
use super::{ACCEPT_TURN, Client, LISTENER, Worker, watch};
use crate::answer::Told;
use crate::shed::Gate;

impl Worker {
    pub(super) fn accept(&mut self) {
        if self.has_nothing_to_show() {
            return;
        }
        if self.accept_some() > 0 {
            self.queue_last();
        }
    }

    /// Returns how many came.
    fn accept_some(&mut self) -> usize {
        for came in 0..ACCEPT_TURN {
            let Some(listener) = &self.listener else { return came };
            if self.slab.len() >= self.room.connections() || self.is_paced() {
                return came;
            }
            match socket::accept(listener) {
                Ok(Some((socket, peer))) => {
                    let deadline = Instant::now() + self.limits.head;
                    self.shared.accepted.fetch_add(1, Relaxed);
                    if self.doors.is_empty() {
                        self.rhythm.joined();
                    }
                    let is_announced = self.behind.is_announced(peer);
                    if let Some(stream) = self.greet(socket)
                        && let Some(token) = self.enter(Exchange::announced_first(stream, peer, deadline, is_announced))
                    {
                        self.mind_the_greeted(token);
                    }
                }
                Ok(None) => return came,
                Err(why) => {
                    // Files or memory ran out: without a pause, level-triggered epoll would spin here.
                    self.exhausted = true;
                    let times = 1 + self.shared.exhausted.fetch_add(1, Relaxed);
                    let now = Instant::now();
                    if self.exhausted_said.is_none_or(|said| now - said >= SAY_EVERY) {
                        self.exhausted_said = Some(now);
                        tracing::warn!(times, "cannot accept, who comes waits: {why}");
                    }
                    return came;
                }
            }
        }
        ACCEPT_TURN
    }

    /// Whether who comes waits in the kernel's queue for their turn. Not before a door: there most come to be told when, which costs little, and in that queue they would wait until they give up,
    /// and whoever came after them with them. How many are let in is the door's.
    fn is_paced(&self) -> bool {
        self.doors.is_empty() && !self.rhythm.lets_in()
    }

    /// The kernel wakes the first idle worker of those who wait at a socket, in the order in which they began to: each goes to the end when it has
    /// taken some, so that a crowd is spread over all of them also while they have little to do.
    fn queue_last(&self) {
        if let Some(listener) = &self.listener {
            let _ = epoll::delete(&self.epoll, listener);
            let _ = watch(&self.epoll, listener, LISTENER, EventFlags::IN | EventFlags::EXCLUSIVE);
        }
    }

    /// A new connection, with TLS if that is what is spoken here.
    fn greet(&self, socket: OwnedFd) -> Option<Stream> {
        match (self.security, &self.certificate) {
            (Security::Plain, _) => Some(Stream::plain(socket)),
            (Security::Tls, Some(certificate)) => {
                let place = Place::take(&self.shared.handshakes, usize::MAX)?;
                let session = certificate.session(place, self.http2.named())?;
                Some(Stream::secure(socket, session))
            }
            // The gate is shut until there is one.
            (Security::Tls, None) => None,
        }
    }

    /// TLS without a certificate: nobody is accepted.
    pub(super) fn has_nothing_to_show(&self) -> bool {
        self.security == Security::Tls && self.certificate.is_none()
    }

    /// Lets whoever began its handshake first go when too many are at it: those who mean to finish take less time than it takes
    /// strangers to fill the rest.
    fn mind_the_greeted(&mut self, token: Token) {
        if self.security == Security::Plain {
            return;
        }
        self.greeted.push_back(token);
        let shaking = |slab: &mut Slab<Client>, token: Token| matches!(slab.get(token), Some(Client::Exchange(e)) if e.socket.is_shaking_hands());
        while let Some(&oldest) = self.greeted.front() {
            if shaking(&mut self.slab, oldest) {
                if self.shared.handshakes.load(Relaxed) <= self.limits.handshakes {
                    break;
                }
                self.shared.unshaken.fetch_add(1, Relaxed);
                self.slab.remove(oldest.index());
            }
            self.greeted.pop_front();
        }
        if self.greeted.len() > 4 * self.limits.handshakes {
            let slab = &mut self.slab;
            self.greeted.retain(|&token| shaking(slab, token));
        }
    }

    /// Takes a connection into the slab, the wheel and epoll; returns its token if that worked.
    pub(super) fn enter(&mut self, exchange: Exchange) -> Option<Token> {
        let flags = exchange.interest();
        let token = self.slab.insert(Client::Exchange(Box::new(exchange)));
        let Some(Client::Exchange(exchange)) = self.slab.get(token) else { return None };
        if watch(&self.epoll, &exchange.socket, token, flags).is_err() {
            self.slab.remove(token.index());
            return None;
        }
        exchange.comes_up = Some(self.wheel.enter(exchange.deadline, token));
        Some(token)
    }

    /// Accepts or not, by how many there are.
    pub(super) fn mind_the_gate(&mut self) {
        let connections = self.slab.len();
        self.shared.connections.store(connections, Relaxed);
        let told = self.site.told == Told::Wholly;
        self.untold_until = self.untold_until.filter(|until| !told && Instant::now() < *until);
        let Some(listener) = &self.listener else { return };
        let limit = self.room.connections();
        let waits = self.untold_until.is_some() || self.has_nothing_to_show() || self.is_paced();
        let next = match self.gate.next(connections, limit) {
            Gate::Open | Gate::Shut if self.exhausted || waits => Gate::Shut,
            next => next,
        };
        if next == self.gate {
            return;
        }
        if next == Gate::Full {
            self.shared.full.fetch_add(1, Relaxed);
        }
        if next == Gate::Open {
            let _ = watch(&self.epoll, listener, LISTENER, EventFlags::IN | EventFlags::EXCLUSIVE);
        } else if self.gate == Gate::Open {
            let _ = epoll::delete(&self.epoll, listener);
        }
        self.gate = next;
    }
}

/// How often it is said in the log that files have run out; it is found out four times a second, and counted.
const SAY_EVERY: Duration = Duration::from_secs(60);
