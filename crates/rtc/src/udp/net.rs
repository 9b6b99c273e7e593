//! The loop of the net thread.
//!
//! Law: nothing waits here but for epoll. Every input of a session is guarded, so that a bug met in one costs that one.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use hiwar_media::Time;
use hiwar_media::packet::{Packet, Payload};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::process::setpriority_process;
use rustix::thread::gettid;

use super::datagrams::{Datagrams, Haste, Leaving, Taking};
use super::tcp::{self, Connection, Connections, Sent, Token};
use super::{Command, Counters, Event, SessionId, stun};
use crate::candidate;
use crate::returns::Return;
use crate::ring::{Reader, Writer};
use crate::session::{Datagram, Input, Output, Proto, Reason, Session};

/// Datagrams read in one go, so that commands and deadlines get their turn under a flood.
const DATAGRAMS_PER_TURN: usize = 256;
/// TCP connections accepted in one go.
const ACCEPTS_PER_TURN: usize = 32;
/// Epoll events taken in one go.
const EVENTS_PER_TURN: usize = 64;
/// Client addresses remembered per session: a phone that changes networks has two or three, each browser interface may check from one more.
const SOURCES_PER_SESSION_MAX: usize = 8;
/// Returns taken from one ring in one go: 200 ms of them. More are stale; the rest waits for the next turn.
const RETURNS_PER_TURN: usize = 10;
/// How often returns are fetched while nobody wakes us for them.
const RETURNS_WAIT: Duration = Duration::from_millis(5);
/// How long after a wake that brought returns we trust that the next will come too.
const BEAT_TRUST: Duration = Duration::from_millis(200);
/// Least time until a session's next deadline: a library that asks to be called at once, for ever, must not take the thread.
const DEADLINE_GRAIN: Duration = Duration::from_millis(1);
/// How long accepting pauses when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Niceness of the thread. Not real time, as a flood of datagrams must not take a whole core from all others.
const NICE: i32 = -10;

const WAKE: Token = 0;
const UDP: Token = 1;
const LISTENER: Token = 2;
const FIRST_CONNECTION: Token = 3;

struct Slot {
    session: Session,
    packets: Writer<Packet<()>>,
    /// `None` if the client did not ask for the return feed.
    returns: Option<Reader<Time>>,
    connected: bool,
    /// Addresses that lead here, oldest first.
    sources: Vec<(Proto, SocketAddr)>,
    ufrag: Box<[u8]>,
    /// The earliest entry of this session in the heap of deadlines; `None` if there is none that counts.
    scheduled: Option<Instant>,
}

/// Everything by which bytes leave.
struct Wire {
    epoll: OwnedFd,
    udp: UdpSocket,
    udp_local: SocketAddr,
    connections: Connections,
    leaving: Leaving,
    counters: Arc<Counters>,
}

pub(super) struct Net {
    wire: Wire,
    listener: Option<TcpListener>,
    accept_again: Option<Instant>,
    /// When to look for connections that have stayed strangers too long.
    strangers_at: Option<Instant>,
    next_token: Token,
    wake: Arc<OwnedFd>,
    taking: Arc<Taking>,
    datagrams: Option<Datagrams>,
    haste: Haste,
    commands: Receiver<Command>,
    events: Sender<Event>,
    sessions: HashMap<SessionId, Slot>,
    /// Sessions that are not connected yet.
    connecting: usize,
    by_ufrag: HashMap<Box<[u8]>, SessionId>,
    by_source: HashMap<(Proto, SocketAddr), SessionId>,
    deadlines: BinaryHeap<Reverse<(Instant, SessionId)>>,
    /// Connected sessions that want returns.
    hearing: Vec<SessionId>,
    /// Whether returns were written in this turn.
    written: bool,
    /// For what comes out of a ring.
    room: Payload,
    returns_at: Instant,
    beat_trusted_until: Instant,
    stopped: bool,
}

impl Net {
    pub(super) fn new(
        sockets: super::Sockets,
        wake: Arc<OwnedFd>,
        taking: Arc<Taking>,
        commands: Receiver<Command>,
        events: Sender<Event>,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let super::Sockets { udp, tcp: listener } = sockets;
        udp.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &*wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        epoll::add(&epoll, &udp, epoll::EventData::new_u64(UDP), epoll::EventFlags::IN)?;
        if let Some(listener) = &listener {
            listener.set_nonblocking(true)?;
            epoll::add(&epoll, listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
        }
        let udp_local = udp.local_addr()?;
        let now = Instant::now();
        let datagrams = Some(Datagrams::new(&udp));
        Ok(Self {
            wire: Wire {
                epoll,
                udp,
                udp_local,
                connections: Connections::default(),
                leaving: Leaving::default(),
                counters,
            },
            listener,
            accept_again: None,
            strangers_at: None,
            next_token: FIRST_CONNECTION,
            wake,
            taking,
            datagrams,
            haste: Haste::Each,
            commands,
            events,
            sessions: HashMap::new(),
            connecting: 0,
            by_ufrag: HashMap::new(),
            by_source: HashMap::new(),
            deadlines: BinaryHeap::new(),
            hearing: Vec::new(),
            written: false,
            room: Payload::default(),
            returns_at: now,
            beat_trusted_until: now,
            stopped: false,
        })
    }

    pub(super) fn run(mut self) {
        // Before those who serve the crowd, where the system lets us: a beat waits for nobody.
        let _ = setpriority_process(Some(gettid()), NICE);
        let mut events = Vec::with_capacity(EVENTS_PER_TURN);
        while !self.stopped {
            self.gather();
            let timeout = self.timeout(Instant::now());
            match epoll::wait(&self.wire.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    tracing::error!(%error, "net thread cannot wait for its sockets");
                    break;
                }
            }
            self.wire.counters.wakes.fetch_add(1, Relaxed);
            // Commands first, as what came in may be for a session that is among them; then returns, which leave with what came in.
            let woken = events.iter().any(|event| event.data.u64() == WAKE);
            if woken {
                let _ = rustix::io::read(&*self.wake, &mut [0_u8; 8]);
                self.take_commands();
            }
            let now = Instant::now();
            if woken || now >= self.returns_at {
                self.take_returns(now, woken);
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    WAKE => {}
                    UDP => self.read_udp(),
                    LISTENER => self.accept(),
                    token => self.read_tcp(token, event.flags),
                }
            }
            self.send_returns();
            self.take_deadlines(Instant::now());
            self.wire.flush();
        }
        self.say_goodbye();
        self.wire.flush();
    }

    /// How long epoll may wait; `None` for ever, which is what an empty shard does.
    fn timeout(&self, now: Instant) -> Option<Timespec> {
        let returns = (!self.hearing.is_empty()).then_some(self.returns_at);
        let session = self.deadlines.peek().map(|Reverse((at, _))| *at);
        let earliest = [returns, self.strangers_at, session, self.accept_again].into_iter().flatten().min()?;
        let wait = earliest.saturating_duration_since(now);
        Some(Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) })
    }

    /// Sleeps until it is worth reading again, or until somebody wakes us.
    fn gather(&mut self) {
        self.haste = self.haste.next(self.sessions.len() - self.connecting);
        self.taking.await_it(self.haste == Haste::AfterBeat);
        let hurry = self.connecting > 0 || !self.wire.connections.by_token.is_empty();
        let next = self.datagrams.as_ref().and_then(|datagrams| datagrams.read_next(self.haste, hurry));
        let Some(next) = next else { return };
        let wait = next.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
            // Whatever ends this, the loop looks for itself.
            let _ = poll(&mut [PollFd::new(&*self.wake, PollFlags::IN)], Some(&wait));
        }
    }

    fn take_commands(&mut self) {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Add { id, session, packets, returns }) => self.add(id, *session, packets, returns),
                Ok(Command::Remove(id)) => self.feed(Instant::now(), id, Input::Close, None),
                Ok(Command::Patch { id, sdpfrag, reply }) => {
                    let result = self.patch(Instant::now(), id, &sdpfrag);
                    // The reply is the owner's code on our thread.
                    if catch_unwind(AssertUnwindSafe(|| reply(result))).is_err() {
                        tracing::error!("reply to a patch panicked");
                    }
                }
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return self.stopped = true,
                Err(TryRecvError::Empty) => return,
            }
        }
    }

    fn add(&mut self, id: SessionId, session: Session, packets: Writer<Packet<()>>, returns: Reader<Time>) {
        if self.sessions.contains_key(&id) {
            // Ids are the owner's; two alike are a bug there. The first keeps the id, the second never ran.
            tracing::error!(id = id.0, "session id in use");
            self.wire.counters.sessions.fetch_sub(1, Relaxed);
            return;
        }
        let ufrag: Box<[u8]> = session.ufrag().as_bytes().into();
        let returns = session.wants_returns().then_some(returns);
        self.by_ufrag.insert(ufrag.clone(), id);
        let slot = Slot { session, packets, returns, connected: false, sources: Vec::new(), ufrag, scheduled: None };
        self.sessions.insert(id, slot);
        self.connecting += 1;
        self.feed(Instant::now(), id, Input::Timeout, None);
    }

    fn patch(
        &mut self,
        now: Instant,
        id: SessionId,
        sdpfrag: &str,
    ) -> Result<crate::session::Patched, candidate::Refusal> {
        let slot = self.sessions.get_mut(&id).ok_or(candidate::Refusal::Closed)?;
        let result = catch_unwind(AssertUnwindSafe(|| slot.session.patch(now, sdpfrag)));
        if slot.session.ufrag().as_bytes() != &*slot.ufrag {
            self.by_ufrag.remove(&slot.ufrag);
            slot.ufrag = slot.session.ufrag().as_bytes().into();
            self.by_ufrag.insert(slot.ufrag.clone(), id);
        }
        match result {
            Ok(result) => {
                self.feed(now, id, Input::Timeout, None);
                result
            }
            Err(_) => {
                self.give_up(id);
                Err(candidate::Refusal::Closed)
            }
        }
    }

    /// Gives one input to a session and does what it asks for. `from` is where the input came from, if it was a check: once answered, that
    /// address leads to this session.
    fn feed(&mut self, now: Instant, id: SessionId, input: Input<'_>, from: Option<(Proto, SocketAddr)>) {
        let Some(slot) = self.sessions.get_mut(&id) else { return };
        if catch_unwind(AssertUnwindSafe(|| slot.session.handle(now, input))).is_err() {
            return self.give_up(id);
        }
        let mut answered = false;
        while let Some(output) = slot.session.poll() {
            match output {
                Output::Transmit { proto, destination, bytes, .. } => {
                    // Returns may wait to go there, too, and say nothing about who is there.
                    answered |= from == Some((proto, destination)) && stun::is_stun(&bytes);
                    self.wire.send(proto, destination, bytes);
                }
                Output::Packet(packet) => {
                    if slot.packets.write(packet.with(()), packet.payload).is_err() {
                        self.wire.counters.packets_dropped.fetch_add(1, Relaxed);
                    }
                }
                Output::Connected => {
                    self.connecting -= 1;
                    slot.connected = true;
                    if let Some(returns) = &mut slot.returns {
                        // What was put into the ring before the client could hear is stale by now.
                        while returns.read(&mut self.room).is_some() {}
                        self.hearing.push(id);
                    }
                    let _ = self.events.send(Event::Connected(id));
                }
                Output::Closed(reason) => return self.forget(id, reason),
            }
        }
        slot.schedule(now, id, &mut self.deadlines);
        if answered && let Some(from) = from {
            self.bind(from, id);
        }
    }

    fn give_up(&mut self, id: SessionId) {
        tracing::error!(id = id.0, "session panicked and was given up");
        self.wire.counters.panics.fetch_add(1, Relaxed);
        self.forget(id, Reason::Bug);
    }

    fn forget(&mut self, id: SessionId, reason: Reason) {
        let Some(mut slot) = self.sessions.remove(&id) else { return };
        self.connecting -= usize::from(!slot.connected);
        self.by_ufrag.remove(&slot.ufrag);
        for source in std::mem::take(&mut slot.sources) {
            self.by_source.remove(&source);
            self.hang_up(source);
        }
        self.hearing.retain(|other| *other != id);
        self.wire.counters.sessions.fetch_sub(1, Relaxed);
        // Whoever hears of the end may look at the rings: their ends here must be gone by then.
        drop(slot);
        let _ = self.events.send(Event::Closed(id, reason));
    }

    /// Makes an address lead to a session that has just answered a check from there.
    fn bind(&mut self, source: (Proto, SocketAddr), id: SessionId) {
        match self.by_source.insert(source, id) {
            Some(old) if old == id => return,
            Some(old) => {
                if let Some(slot) = self.sessions.get_mut(&old) {
                    slot.sources.retain(|other| *other != source);
                }
            }
            None => {}
        }
        if source.0 == Proto::Tcp {
            self.wire.connections.welcome(source.1);
        }
        let Some(slot) = self.sessions.get_mut(&id) else { return };
        slot.sources.push(source);
        if slot.sources.len() > SOURCES_PER_SESSION_MAX {
            let oldest = slot.sources.remove(0);
            self.by_source.remove(&oldest);
            self.hang_up(oldest);
        }
    }

    fn hang_up(&mut self, (proto, address): (Proto, SocketAddr)) {
        if proto == Proto::Tcp
            && let Some(token) = self.wire.connections.by_peer.get(&address).copied()
        {
            self.wire.connections.remove(token);
        }
    }

    /// Finds the session that something is for, and gives it to it.
    fn deliver(&mut self, datagram: Datagram<'_>) {
        let Datagram { proto, source, bytes, .. } = datagram;
        self.wire.counters.received.fetch_add(1, Relaxed);
        let (id, from) = if stun::is_stun(bytes) {
            let Some(id) = stun::addressee(bytes).and_then(|ufrag| self.session_of(ufrag)) else {
                self.wire.counters.unknown_ufrag.fetch_add(1, Relaxed);
                return;
            };
            (id, Some((proto, source)))
        } else {
            let Some(id) = self.by_source.get(&(proto, source)) else {
                self.wire.counters.unknown_source.fetch_add(1, Relaxed);
                return;
            };
            (*id, None)
        };
        self.feed(Instant::now(), id, Input::Datagram(datagram), from);
    }

    /// Whom a user fragment belongs to. A client may be faster than we look at our commands, but it knows its fragment only after the session was
    /// put among them: then it is there. It must not be told to try again, as some clients check once (FFmpeg).
    fn session_of(&mut self, ufrag: &[u8]) -> Option<SessionId> {
        if !self.by_ufrag.contains_key(ufrag) {
            self.take_commands();
        }
        self.by_ufrag.get(ufrag).copied()
    }

    fn read_udp(&mut self) {
        let Some(mut datagrams) = self.datagrams.take() else { return };
        datagrams.begin(&self.taking, self.haste);
        let local = self.wire.udp_local;
        for _ in 0..DATAGRAMS_PER_TURN {
            let Some(datagram) = datagrams.read(&self.wire.udp, local) else { break };
            self.deliver(datagram);
        }
        self.datagrams = Some(datagrams);
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        for _ in 0..ACCEPTS_PER_TURN {
            let (stream, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {
                    continue;
                }
                Err(error) => {
                    // Out of file descriptors, most likely: the backlog would wake us for ever.
                    tracing::warn!(%error, "accepting TCP paused");
                    let _ = epoll::delete(&self.wire.epoll, listener);
                    self.accept_again = Some(Instant::now() + ACCEPT_PAUSE);
                    return;
                }
            };
            if let Some(oldest) = self.wire.connections.to_push_out() {
                self.wire.counters.tcp_cut.fetch_add(1, Relaxed);
                self.wire.connections.remove(oldest);
            }
            let connections = &mut self.wire.connections;
            // Full of clients that are known: no one can be pushed out.
            let room = connections.by_token.len() < tcp::CONNECTIONS_MAX;
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            let ready =
                stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).and_then(|()| stream.local_addr());
            let (true, Ok(local)) = (room, ready) else {
                self.wire.counters.tcp_cut.fetch_add(1, Relaxed);
                continue;
            };
            let local = SocketAddr::new(local.ip().to_canonical(), local.port());
            let now = Instant::now();
            let connection = Connection::new(stream, peer, local, now);
            let token = self.next_token;
            self.next_token += 1;
            if connection.register(&self.wire.epoll, token).is_ok() {
                connections.insert(token, connection);
                self.strangers_at.get_or_insert(now + tcp::STRANGER_WAIT);
            }
        }
    }

    fn read_tcp(&mut self, token: Token, flags: epoll::EventFlags) {
        let Some(connection) = self.wire.connections.by_token.get_mut(&token) else { return };
        if flags.contains(epoll::EventFlags::OUT) && connection.writable(&self.wire.epoll, token).is_err() {
            return self.cut(token);
        }
        if !flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
            return;
        }
        let (peer, local) = (connection.peer, connection.local);
        let Ok(bytes) = connection.read() else { return self.cut(token) };
        let mut rest = &bytes[..];
        loop {
            match tcp::next_frame(rest) {
                Ok(Some((frame, more))) => {
                    let arrival = Instant::now();
                    let (source, destination) = (peer, local);
                    self.deliver(Datagram { arrival, proto: Proto::Tcp, source, destination, bytes: frame });
                    rest = more;
                }
                Ok(None) => break,
                Err(tcp::TooLong) => {
                    self.wire.counters.tcp_cut.fetch_add(1, Relaxed);
                    return self.cut(token);
                }
            }
        }
        if let Some(connection) = self.wire.connections.by_token.get_mut(&token) {
            connection.keep(rest);
        }
    }

    /// Closes a connection. Its session lives on; the client may come back by another way.
    fn cut(&mut self, token: Token) {
        let Some(peer) = self.wire.connections.remove(token) else { return };
        let source = (Proto::Tcp, peer);
        if let Some(id) = self.by_source.remove(&source)
            && let Some(slot) = self.sessions.get_mut(&id)
        {
            slot.sources.retain(|other| *other != source);
        }
    }

    fn cut_strangers(&mut self, now: Instant) {
        self.strangers_at = None;
        while let Some((token, since)) = self.wire.connections.oldest_stranger() {
            let at = since + tcp::STRANGER_WAIT;
            if now < at {
                self.strangers_at = Some(at);
                return;
            }
            self.wire.counters.tcp_cut.fetch_add(1, Relaxed);
            self.cut(token);
        }
    }

    fn take_returns(&mut self, now: Instant, woken: bool) {
        let mut came = false;
        let mut index = 0;
        while let Some(id) = self.hearing.get(index).copied() {
            came |= self.hear(now, id);
            // A session that ended meanwhile has left the list, and the next one stands in its place.
            if self.hearing.get(index) == Some(&id) {
                index += 1;
            }
        }
        if woken && came {
            self.beat_trusted_until = now + BEAT_TRUST;
        }
        self.returns_at = if now < self.beat_trusted_until { self.beat_trusted_until } else { now + RETURNS_WAIT };
    }

    /// Sends returns to whom nothing came from meanwhile.
    fn send_returns(&mut self) {
        if !std::mem::take(&mut self.written) {
            return;
        }
        let now = Instant::now();
        let mut index = 0;
        while let Some(id) = self.hearing.get(index).copied() {
            if self.sessions.get(&id).is_some_and(|slot| slot.session.has_unsent()) {
                self.feed(now, id, Input::Timeout, None);
            }
            // A session that ended meanwhile has left the list, and the next one stands in its place.
            if self.hearing.get(index) == Some(&id) {
                index += 1;
            }
        }
    }

    /// Gives a session what it is to hear; whether there was anything.
    fn hear(&mut self, now: Instant, id: SessionId) -> bool {
        let Some(Slot { session, returns: Some(returns), .. }) = self.sessions.get_mut(&id) else { return false };
        let mut heard = false;
        for _ in 0..RETURNS_PER_TURN {
            let Some((time, payload)) = returns.read(&mut self.room) else { break };
            heard = true;
            let give = || session.handle(now, Input::Return(Return { payload, time }));
            if catch_unwind(AssertUnwindSafe(give)).is_err() {
                self.give_up(id);
                return true;
            }
        }
        self.written |= heard;
        heard
    }

    fn take_deadlines(&mut self, now: Instant) {
        while let Some(Reverse((at, id))) = self.deadlines.peek().copied()
            && at <= now
        {
            self.deadlines.pop();
            let Some(slot) = self.sessions.get_mut(&id) else { continue };
            // An entry that was overtaken by an earlier one says nothing.
            if slot.scheduled != Some(at) {
                continue;
            }
            slot.scheduled = None;
            if slot.session.deadline().is_some_and(|deadline| deadline <= now) {
                self.feed(now, id, Input::Timeout, None);
            } else {
                slot.schedule(now, id, &mut self.deadlines);
            }
        }
        if self.strangers_at.is_some_and(|at| now >= at) {
            self.cut_strangers(now);
        }
        if self.accept_again.is_some_and(|at| now >= at)
            && let Some(listener) = &self.listener
        {
            self.accept_again = None;
            let _ = epoll::add(&self.wire.epoll, listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN);
        }
    }

    fn say_goodbye(&mut self) {
        let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in ids {
            self.feed(Instant::now(), id, Input::Close, None);
        }
    }
}

impl Slot {
    /// Puts the session's deadline into the heap, unless an earlier entry will lead back here anyway.
    fn schedule(&mut self, now: Instant, id: SessionId, deadlines: &mut BinaryHeap<Reverse<(Instant, SessionId)>>) {
        let Some(deadline) = self.session.deadline() else { return };
        let deadline = deadline.max(now + DEADLINE_GRAIN);
        if self.scheduled.is_none_or(|at| deadline < at) {
            self.scheduled = Some(deadline);
            deadlines.push(Reverse((deadline, id)));
        }
    }
}

impl Wire {
    /// Sends by TCP at once, by UDP with the next [`Self::flush`].
    fn send(&mut self, proto: Proto, destination: SocketAddr, bytes: Vec<u8>) {
        match proto {
            Proto::Udp => {
                self.leaving.push(self.reachable(destination), bytes);
                if self.leaving.is_full() {
                    self.flush();
                }
            }
            Proto::Tcp => {
                let counter = match self.connections.send(&self.epoll, destination, &bytes) {
                    Sent::Yes => &self.counters.sent,
                    Sent::Full | Sent::Dead => &self.counters.send_dropped,
                };
                counter.fetch_add(1, Relaxed);
            }
        }
    }

    /// Sends what waits. To be called before the thread waits for anything.
    fn flush(&mut self) {
        let (sent, dropped) = self.leaving.flush(&self.udp);
        self.counters.sent.fetch_add(sent, Relaxed);
        self.counters.send_dropped.fetch_add(dropped, Relaxed);
    }

    /// The same address in the family of our socket: an IPv6 socket reaches IPv4 by mapped addresses (RFC 4291 §2.5.5.2).
    fn reachable(&self, address: SocketAddr) -> SocketAddr {
        match address.ip() {
            IpAddr::V4(ip) if self.udp_local.is_ipv6() => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
            _ => address,
        }
    }
}
