//! The fan-out thread: one epoll, every connection of this worker, and no waiting for anything else.
//!
//! Order of a turn: sockets that are ready, updates, deadlines, then at most [`SWEEP_TURN`] listeners of the sweep that is on. Disks
//! and the house are other threads' business.

mod accepting;
mod behind;
mod bitrate;
mod cadence;
mod door;
mod going;
mod listening;
mod newcomers;
mod silence;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use hiwar_admission::reaction::Budgets;
use hiwar_segment_log::{Epoch, Header, LogId, Record};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::exchange::{Exchange, Phase, Step};
use super::held::{Held, WAKE_TURN};
use super::mailbox::{Inbox, Mail, Outbox, mailbox};
use super::recall::Recall;
use super::replay::{self, Wish};
use super::room::Room;
use super::slab::{Slab, Token};
use super::socket;
use super::stream::Stream;
use super::{Certificate, Config, Handle, Security, Serves, Shared, UPDATES_MAX, Update, forward, http2};
use crate::answer::{self, Answer, Site, Told};
use crate::audience::{Counters, Crowd};
use crate::door::Offers;
use crate::fanout::{Group, Piece, Row};
use crate::problem::{Keep, Problem};
use crate::request::{self, HEAD_BYTES_MAX, Parsed, Request};
use crate::shed::{Gate, Limits, Wheel};
use crate::tail::{Access, Ended, Notices, Pushed, Tail};
use behind::Behind;
use cadence::Rhythm;
use door::{Admission, Doors};
use going::Going;
use listening::Listening;
use newcomers::Newcomer;
use silence::Silences;

/// One worker: give it a listening socket, run it on a thread of its own.
pub struct Worker {
    /// `None` once nobody is accepted any more.
    listener: Option<TcpListener>,
    epoll: OwnedFd,
    limits: Limits,
    room: Room,
    site: Site,
    slab: Slab<Client>,
    channels: Channels,
    held: Held,
    wheel: Wheel<Token>,
    /// Logs that ended, oldest first, and when the last of their sound is forgotten.
    fading: VecDeque<(Instant, LogId)>,
    silences: Silences,
    gate: Gate,
    /// Files ran out at `accept`: not before the next tick.
    exhausted: bool,
    /// When that was last said.
    exhausted_said: Option<Instant>,
    /// Nobody is accepted before everything was told, or then.
    untold_until: Option<Instant>,
    rhythm: Rhythm,
    /// The origin at which others carry HLS.
    elsewhere: Option<String>,
    origin: String,
    /// Of reactions.
    budgets: Budgets,
    doors: Doors,
    behind: Behind,
    going: Going,
    empty_since: Option<Instant>,
    shared: Arc<Shared>,
    updates: Inbox<Update>,
    updates_in: Outbox<Update>,
    returns: Inbox<Returned>,
    returns_in: Outbox<Returned>,
    replay: replay::Pool,
    recall: Recall,
    forward: forward::Desk,
    http2: http2::Desk,
    scratch: Box<[u8; HEAD_BYTES_MAX]>,
    security: Security,
    certificate: Option<Certificate>,
    /// Who began a handshake, oldest first; some of them are done with it.
    greeted: VecDeque<Token>,
    /// First messages of handshakes that may still be answered in this turn.
    greetings: usize,
}

/// A connection comes back from a helper thread.
pub(super) struct Returned {
    pub(super) socket: Stream,
    pub(super) peer: std::net::SocketAddr,
    /// What was read beyond the last request.
    pub(super) read: Vec<u8>,
    /// Whether another request may follow.
    pub(super) keep: Keep,
    /// What is still to be said.
    pub(super) answer: Option<(Vec<u8>, Bytes)>,
}

/// Someone connected.
#[derive(Debug)]
enum Client {
    Exchange(Box<Exchange>),
    Listening(Listening),
}

/// One rendition of one log, and who hears it.
#[derive(Debug)]
struct Channel {
    log: LogId,
    rendition: usize,
    group: Group,
    /// What those lack whose turn it is, made for the row and the position that are named with it.
    piece: Option<(Row, u64, Piece)>,
    /// What everyone is told who has not been told yet.
    notice: Bytes,
    /// The newest chunk, if it is held back until its lean form is there, and since when it is.
    awaited: Option<(u64, Instant)>,
    /// Since when a chunk has been on its way to those who are due.
    due_since: Option<Instant>,
    /// Bytes that are not counted yet.
    sent: u64,
    sent_to_rehearsed: u64,
    counters: Arc<Counters>,
    /// Places of those who are gone, until somebody takes note.
    left: Vec<(u64, Token)>,
}

/// All channels; a closed one's place is used again.
#[derive(Debug, Default)]
struct Channels {
    all: Slab<Channel>,
    by_log: HashMap<LogId, Vec<u32>>,
    /// Channels whose sweep is on, in turn.
    sweeping: VecDeque<u32>,
    /// Bytes of sound for whomever, since the worker began.
    sent: u64,
}

impl Worker {
    /// Takes a listening socket, and starts the helper threads. Nothing is accepted before [`run`](Self::run).
    ///
    /// # Errors
    /// If the system refuses an epoll, an eventfd or a thread, or `listener` is no TCP listener.
    pub fn new(listener: TcpListener, config: Config) -> io::Result<Self> {
        socket::prepare(&listener)?;
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let files = files.map_or(1 << 20, |files| files.min(1 << 20) as usize);
        let limits = config.limits.unwrap_or_else(|| Limits::for_files(files));
        // A crowd has nothing to give that is large.
        let large_uploads = if config.serves == Serves::Stage { limits.large_uploads } else { 0 };
        let limits = Limits { large_uploads, ..limits };
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let (updates_in, updates) = mailbox(UPDATES_MAX)?;
        let helpers = limits.replays + limits.forwards + limits.uploads + limits.large_uploads + limits.streams;
        let (returns_in, returns) = mailbox(helpers + limits.http2_requests + 16)?;
        let shared: Arc<Shared> = Arc::default();
        let room = Room::new(shared.clone(), returns.waiting(), &limits);
        watch(&epoll, updates.bell(), UPDATES, EventFlags::IN)?;
        watch(&epoll, returns.bell(), RETURNS, EventFlags::IN)?;
        watch(&epoll, &listener, LISTENER, EventFlags::IN | EventFlags::EXCLUSIVE)?;
        Ok(Self {
            recall: Recall::start(config.replay_root.clone(), updates_in.clone())?,
            replay: replay::Pool::start(config.replay_root, &config.cut, &limits, returns_in.clone(), room.clone())?,
            forward: forward::Desk::start(config.house, &limits, returns_in.clone(), &room)?,
            http2: http2::Desk::start(
                config.hls_name,
                &limits,
                returns_in.clone(),
                shared.clone(),
                (&room, &config.proxies),
            )?,
            room,
            returns_in,
            listener: Some(listener),
            epoll,
            limits,
            site: Site {
                documents: HashMap::new(),
                logs: HashMap::new(),
                shut: HashMap::new(),
                told: Told::Partly,
                noted: None,
                keys: config.keys,
                serves: config.serves,
            },
            slab: Slab::default(),
            channels: Channels::default(),
            held: Held::default(),
            wheel: Wheel::new(Instant::now()),
            fading: VecDeque::new(),
            silences: Silences::default(),
            gate: Gate::Open,
            exhausted: false,
            exhausted_said: None,
            untold_until: None,
            rhythm: Rhythm::new(Instant::now(), config.elsewhere.is_some()),
            elsewhere: config.elsewhere,
            origin: config.origin,
            budgets: Budgets::new(),
            doors: Doors::new(config.run)?,
            behind: Behind::new(config.proxies),
            going: Going::Stays,
            empty_since: None,
            shared,
            updates,
            updates_in,
            returns,
            scratch: Box::new([0; HEAD_BYTES_MAX]),
            security: config.security,
            certificate: None,
            greeted: VecDeque::new(),
            greetings: 0,
        })
    }

    /// How other threads speak to this worker.
    pub fn handle(&self) -> Handle {
        Handle { updates: self.updates_in.clone(), shared: self.shared.clone() }
    }

    /// Serves until [`Update::Stop`], or until it has [retired](Update::Retire) or [finished](Update::Finish).
    ///
    /// # Errors
    /// Only if epoll itself fails; what goes wrong with one connection ends that connection.
    pub fn run(mut self) -> io::Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        loop {
            let busy = !self.channels.sweeping.is_empty() || self.held.is_due();
            let wait = if busy { Duration::ZERO } else { self.wheel.until_tick(Instant::now()) };
            events.clear();
            // Cannot fail: the wheel's tick is a quarter of a second.
            let wait = rustix::time::Timespec::try_from(wait).unwrap_or_default();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(why) => return Err(why.into()),
            }
            let woken = Instant::now();
            self.greetings = GREETINGS_TURN;
            for event in &events {
                match Token(event.data.u64()) {
                    LISTENER => self.accept(),
                    UPDATES => {
                        if self.take_updates() == Run::Stop {
                            return Ok(());
                        }
                    }
                    RETURNS => self.take_returns(),
                    token => self.on_ready(token, event.flags),
                }
            }
            let now = Instant::now();
            self.on_tick(now);
            self.feel(now);
            self.sweep(woken);
            self.wake();
            self.mind_the_gate();
            if self.is_gone(Instant::now()) {
                return Ok(());
            }
        }
    }

    fn on_ready(&mut self, token: Token, flags: EventFlags) {
        let now = Instant::now();
        match self.slab.get(token) {
            None => {}
            Some(Client::Listening(_)) if flags.intersects(EventFlags::ERR | EventFlags::HUP) => self.leave(token),
            Some(Client::Listening(_)) => self.serve_listener(token),
            Some(Client::Exchange(exchange)) => {
                if exchange.socket.is_fresh() {
                    // Keys cost a hundred times what a chunk does: those who listen have their turn between. Epoll will ask again.
                    match self.greetings.checked_sub(1) {
                        Some(left) => self.greetings = left,
                        None => return,
                    }
                }
                let interest = exchange.interest();
                let step = match exchange.phase {
                    _ if interest == EventFlags::OUT => match exchange.on_writable(now, self.limits.idle) {
                        // What was decrypted while the socket was full: epoll would not say so.
                        Step::Wait if exchange.socket.has_more() => exchange.on_readable(&mut self.scratch),
                        step => step,
                    },
                    // Nothing is watched but the end.
                    Phase::Held { .. } => Step::Close,
                    _ => exchange.on_readable(&mut self.scratch),
                };
                self.after(token, step, interest);
            }
        }
    }

    /// Carries out what a step of an exchange asked for.
    fn after(&mut self, token: Token, step: Step, interest: EventFlags) {
        let step = if step == Step::Look { self.look(token) } else { step };
        if step == Step::Close {
            self.close(token);
            return;
        }
        let Some(Client::Exchange(exchange)) = self.slab.get(token) else { return };
        if step == Step::Redirect {
            let language = crate::problem::Language::English;
            let (head, body) = Problem::PlainHttp.answer(language, None, Keep::Close, SystemTime::now());
            self.shared.refused.fetch_add(1, Relaxed);
            exchange.socket.give_up_tls();
            exchange.phase = Phase::Writing { head: Bytes::from(head), body, keep: Keep::Close };
        }
        if exchange.comes_up.is_none_or(|at| exchange.deadline < at) {
            exchange.comes_up = Some(self.wheel.enter(exchange.deadline, token));
        }
        if exchange.interest() != interest {
            let flags = exchange.interest();
            let _ = epoll::modify(&self.epoll, &exchange.socket, EventData::new_u64(token.0), flags);
        }
    }

    /// An exchange is over.
    fn close(&mut self, token: Token) {
        if let Some(Client::Exchange(exchange)) = self.slab.remove(token.index())
            && let Phase::Held { log, position } = exchange.phase
        {
            self.held.release(log, position, token);
        }
    }

    /// Answers those whose log has come to what they wait for, a turn of them.
    fn wake(&mut self) {
        for _ in 0..WAKE_TURN {
            let Some(token) = self.held.next_due() else { return };
            let Some(Client::Exchange(exchange)) = self.slab.get(token) else { continue };
            let interest = exchange.interest();
            if let Phase::Held { .. } = exchange.phase {
                exchange.phase = Phase::Reading { served: false };
                self.after(token, Step::Look, interest);
            }
        }
    }

    /// Answers what has been read: every whole request, until one has to wait for its socket or leaves this thread.
    fn look(&mut self, token: Token) -> Step {
        let (now, wall) = (Instant::now(), SystemTime::now());
        for answered in 1.. {
            if matches!(self.going, Going::Finishes(_)) {
                return Step::Close;
            }
            let Some(Client::Exchange(exchange)) = self.slab.get(token) else { return Step::Wait };
            if exchange.socket.speaks_http2() {
                let _: Option<()> = self.take_out(token).map(|exchange| self.http2.take(exchange));
                return Step::Wait;
            }
            let is_for_hls = exchange.socket.is_for_hls();
            let mut place: Option<Admission> = None;
            let (answer, head_bytes, handed, reader, who) = match request::parse(&exchange.read) {
                Parsed::Incomplete => {
                    if let Phase::Reading { served: served @ true } = &mut exchange.phase
                        && !exchange.read.is_empty()
                    {
                        // A next request has begun: from here on it is on the clock of heads.
                        *served = false;
                        exchange.deadline = now + self.limits.head;
                    }
                    return Step::Wait;
                }
                Parsed::Refused(refusal) => {
                    self.shared.refused.fetch_add(1, Relaxed);
                    let refusal = answer::refuse(Problem::Request(refusal), None, Keep::Close, wall);
                    (refusal, exchange.read.len(), None, None, None)
                }
                Parsed::Complete { request, .. } if is_for_hls && !request.path.starts_with("/hls/") => {
                    self.shared.refused.fetch_add(1, Relaxed);
                    let refusal = answer::refuse(Problem::OtherName, Some(&request), Keep::Close, wall);
                    (refusal, exchange.read.len(), None, None, None)
                }
                Parsed::Complete { request, head_bytes } => {
                    let answer = answer::answer(&mut self.site, &request, wall);
                    let client = self.behind.client(exchange.peer, &request, now, &self.shared);
                    let address = client.ip();
                    let who = match &answer {
                        Answer::Listen { log, crowd, .. } | Answer::React { log, crowd, .. } => {
                            Some(self.site.who(&request, address, *log, *crowd, wall))
                        }
                        _ => None,
                    };
                    let answer = match (answer, who) {
                        (Answer::React { log, reaction, .. }, Some(who)) => {
                            let takes = self.rhythm.takes_reactions().then_some(&mut self.budgets);
                            match self.channels.react(log, reaction, who, takes, &self.shared) {
                                Ok(()) => answer::reacted(&request, wall),
                                Err(problem) => busy(problem, &request, wall),
                            }
                        }
                        (answer @ (Answer::Listen { .. } | Answer::Wait { .. }), _) => {
                            let asks = (&answer, &request);
                            let offers = Offers { elsewhere: self.elsewhere.as_deref(), origin: &self.origin };
                            let newcomer = Newcomer::of(&self.doors, &self.rhythm, offers, asks);
                            if let Some(other) = newcomer.turn_away(&answer, &request, wall) {
                                other
                            } else {
                                let (answer, came) = self.doors.answer(answer, &request, address, offers, wall);
                                place = came;
                                answer
                            }
                        }
                        (answer, _) => answer,
                    };
                    if let Some(noted) = self.site.noted.take() {
                        let who = |log, crowd| self.site.who(&request, address, log, crowd, wall);
                        self.channels.note(noted, who, &answer, &self.shared);
                    }
                    let handed = matches!(answer, Answer::Forward).then(|| {
                        let read = exchange.read.get(head_bytes..).unwrap_or_default();
                        self.forward.job(&request, client, read)
                    });
                    let reader =
                        matches!(answer, Answer::Replay(_) | Answer::Rewind(_)).then(|| self.replay.reader(client));
                    let answer = match (&handed, &reader) {
                        (Some(Err(problem)), _) => busy(*problem, &request, wall),
                        (_, Some(None)) => {
                            if let Answer::Rewind(rewind) = &answer {
                                let crowd = self.site.crowd(&request, wall).unwrap_or(Crowd::Audience);
                                self.channels.turn_away(rewind.log, crowd);
                            }
                            busy(Problem::Busy, &request, wall)
                        }
                        _ => answer,
                    };
                    (answer, head_bytes, handed.and_then(Result::ok), reader.flatten(), who)
                }
            };
            // What was read for a request that is held stays, and is looked at again.
            let done = if matches!(answer, Answer::Hold { .. }) { 0 } else { head_bytes };
            exchange.read.drain(..done.min(exchange.read.len()));
            if exchange.read.is_empty() {
                // Thousands of idle connections keep no buffer.
                exchange.read = Vec::new();
            }
            match answer {
                Answer::Ready { head, body, keep } => {
                    let keep = if self.going == Going::Stays { keep } else { Keep::Close };
                    exchange.phase = Phase::Writing { head: Bytes::from(head), body, keep };
                    exchange.deadline = now + self.limits.answer;
                }
                Answer::Listen { log, rendition, reader: by, head, .. } => {
                    let Some(who) = who else { return Step::Close };
                    return self.join(token, (log, rendition), by, who, (&head, place));
                }
                Answer::Replay(replay) => return self.read(token, Wish::Replay(replay), reader),
                Answer::Rewind(rewind) => return self.read(token, Wish::Rewind(rewind), reader),
                Answer::Hold { log, position } => {
                    exchange.phase = Phase::Held { log, position };
                    let is_known = self.site.logs.contains_key(&log);
                    exchange.deadline = now + if is_known { self.limits.hold } else { self.limits.news };
                    self.held.hold(log, position, token);
                    return Step::Wait;
                }
                // Answered above, for it needs to be known who asks.
                Answer::React { .. } | Answer::Wait { .. } => return Step::Close,
                Answer::Forward => {
                    if let (Some(exchange), Some(job)) = (self.take_out(token), handed) {
                        self.forward.send(job, exchange.socket);
                    }
                    return Step::Wait;
                }
            }
            let Some(Client::Exchange(exchange)) = self.slab.get(token) else { return Step::Wait };
            match exchange.on_writable(now, self.limits.idle) {
                Step::Look if answered < PIPELINE_TURN => {}
                Step::Look => return exchange.have_turn(),
                other => return other,
            }
        }
        Step::Wait
    }

    /// A helper reads what the connection asked for.
    fn read(&mut self, token: Token, wish: Wish, place: Option<replay::Reader>) -> Step {
        if let (Some(exchange), Some(place)) = (self.take_out(token), place) {
            self.replay.send(wish, exchange.socket, exchange.peer, exchange.read, place);
        }
        Step::Wait
    }

    /// A connection leaves this thread.
    fn take_out(&mut self, token: Token) -> Option<Exchange> {
        match self.slab.remove(token.index()) {
            Some(Client::Exchange(exchange)) => {
                let _ = epoll::delete(&self.epoll, &exchange.socket);
                Some(*exchange)
            }
            _ => None,
        }
    }

    fn on_tick(&mut self, now: Instant) {
        self.fade(now);
        if self.wheel.until_tick(now).is_zero() {
            self.mind_the_awaited(now);
            self.mind_the_silent();
            self.mind_the_doors();
        }
        while let Some(due) = self.wheel.turn(now) {
            self.exhausted = false;
            for token in due {
                let Some(Client::Exchange(exchange)) = self.slab.get(token) else { continue };
                // An entry for a deadline that became sooner, and had its entry then.
                if exchange.comes_up.is_some_and(|at| at > now) {
                    continue;
                }
                exchange.comes_up = None;
                if exchange.deadline > now {
                    exchange.comes_up = Some(self.wheel.enter(exchange.deadline, token));
                    continue;
                }
                self.shared.timed_out.fetch_add(1, Relaxed);
                let interest = exchange.interest();
                let problem = match exchange.phase {
                    Phase::Held { log, position } => {
                        self.held.release(log, position, token);
                        if self.site.logs.contains_key(&log) { Problem::NotYet } else { Problem::NotFound }
                    }
                    Phase::Reading { served: false } if !exchange.read.is_empty() => Problem::Slow,
                    _ => {
                        self.slab.remove(token.index());
                        continue;
                    }
                };
                let request = match request::parse(&exchange.read) {
                    Parsed::Complete { request, .. } => Some(request),
                    _ => None,
                };
                let Answer::Ready { head, body, keep } =
                    answer::refuse(problem, request.as_ref(), Keep::Close, SystemTime::now())
                else {
                    continue;
                };
                exchange.phase = Phase::Writing { head: Bytes::from(head), body, keep };
                let step = exchange.on_writable(now, self.limits.idle);
                exchange.deadline = now + super::exchange::DRAIN;
                self.after(token, step, interest);
            }
        }
    }

    fn take_returns(&mut self) {
        self.returns.hush();
        for _ in 0..RETURNS_TURN {
            let Mail::Item(Returned { socket, peer, read, keep, answer }) = self.returns.take() else { return };
            let now = Instant::now();
            let mut exchange = Exchange::new(socket, peer, now + self.limits.idle);
            exchange.read = read;
            exchange.phase = Phase::Reading { served: true };
            match (answer, keep) {
                (None, keep) if exchange.socket.is_stuck() => {
                    exchange.phase = Phase::Writing { head: Bytes::new(), body: Bytes::new(), keep };
                    exchange.deadline = now + self.limits.answer;
                }
                (Some((head, body)), keep) => {
                    exchange.phase = Phase::Writing { head: Bytes::from(head), body, keep };
                    exchange.deadline = now + self.limits.answer;
                }
                (None, Keep::Close) => exchange.drain(now),
                (None, Keep::Alive) => {}
            }
            if let Some(token) = self.enter(exchange) {
                let reading =
                    |client: &mut Client| matches!(client, Client::Exchange(e) if e.interest() == EventFlags::IN);
                if self.slab.get(token).is_some_and(reading) && keep == Keep::Alive {
                    // The next request may have been read already, and epoll would not say so.
                    self.after(token, Step::Look, EventFlags::IN);
                }
            }
        }
        // There may be more: after those who listen have had their turn.
        self.returns_in.ring();
    }

    fn take_updates(&mut self) -> Run {
        self.updates.hush();
        for _ in 0..UPDATES_TURN {
            let Mail::Item(update) = self.updates.take() else { return Run::On };
            match update {
                Update::Document { path, document } => drop(self.site.documents.insert(path, document)),
                Update::Forget { path } => drop(self.site.documents.remove(&path)),
                Update::Open { log, access, header, notices, fields, door } => {
                    self.doors.open(log, door, &self.site.keys);
                    self.open(log, access, &header, notices, fields);
                }
                Update::Door { log, said } => self.doors.hear(log, said),
                Update::Chunk { log, record } => self.chunk(log, &record),
                Update::Lean { log, entry, record } => self.lean(log, &record, entry),
                Update::Past { log, chunks } => {
                    if self.site.logs.get_mut(&log).is_some_and(|tail| tail.recall(&chunks)) {
                        // Whoever waits may have been waiting for this.
                        self.held.dismiss(log);
                    }
                }
                Update::Ended { log } => self.ended(log),
                Update::Shut { log, shut } => drop(self.site.shut.insert(log, shut)),
                Update::Shelved { log, access } => self.shelved(log, access),
                Update::Closed { log } => self.closed(log),
                Update::Whole => self.site.told = Told::Wholly,
                Update::Away => self.away(),
                Update::Cadence(wish) => self.fix(|ladder, now| ladder.fix(now, wish)),
                Update::Bitrate(wish) => self.fix(|ladder, now| ladder.fix_bitrate(now, wish)),
                Update::Ladder(order) => self.fix(|ladder, now| ladder.order(now, order)),
                Update::Egress(limit) => self.rhythm.limit_egress(limit),
                Update::Retire => self.retire(),
                Update::Finish => self.finish(),
                Update::Mark { mark, reached } => drop(reached.try_send(mark)),
                Update::Certificate(certificate) => self.certificate = Some(certificate),
                Update::HlsCertificate(certificate) => self.http2.show(certificate),
                Update::Stop => return Run::Stop,
            }
        }
        // There may be more: after those who listen have had their turn.
        self.updates_in.ring();
        Run::On
    }

    fn open(
        &mut self,
        log: LogId,
        access: Access,
        record: &Record,
        notices: Vec<Notices>,
        fields: Vec<(u8, String, String)>,
    ) {
        let Ok(header) = Header::from_body(&record.body) else {
            tracing::error!(%log, "a header record that cannot be read: the log stays shut");
            return;
        };
        let epoch: Epoch = record.epoch;
        self.site.shut.remove(&log);
        match self.site.logs.get_mut(&log) {
            Some(tail) => {
                let names = |header: &Header| header.renditions.iter().map(|r| r.name.clone()).collect::<Vec<_>>();
                let same = names(tail.header()) == names(&header);
                tail.reopen(access, header, epoch);
                tail.attend(notices, fields);
                if same {
                    return;
                }
                self.dismiss(log);
            }
            None => {
                self.site.logs.entry(log).or_insert(Tail::new(access, header, epoch)).attend(notices, fields);
                self.held.dismiss(log);
            }
        }
        let renditions = self.site.logs.get(&log).map_or(0, |tail| tail.header().renditions.len());
        let counters = self.shared.logs.lock().unwrap_or_else(PoisonError::into_inner).entry(log).or_default().clone();
        self.channels.open(log, renditions, &counters);
    }

    fn chunk(&mut self, log: LogId, record: &Record) {
        let Some(tail) = self.site.logs.get_mut(&log) else { return };
        if tail.ended() == Ended::Yes {
            return;
        }
        if tail.push(record) == Pushed::Ignored {
            return;
        }
        let live = tail.live();
        self.held.reached(log, live);
        if let Some(positions) = tail.before() {
            self.recall.ask(log, positions);
        }
        let (tail, bitrate) = (&*tail, self.rhythm.bitrate);
        self.channels.each(log, |channel| channel.comes(tail, bitrate));
    }

    fn ended(&mut self, log: LogId) {
        let Some(tail) = self.site.logs.get_mut(&log) else { return };
        if tail.ended() == Ended::No {
            self.fading.retain(|(_, other)| *other != log);
            self.fading.push_back((Instant::now() + self.limits.farewell, log));
        }
        tail.end();
        self.doors.close(log);
        let live = tail.live();
        self.held.dismiss(log);
        self.channels.each(log, |channel| {
            channel.counters.end();
            channel.awaited = None;
            channel.group.all_due(live)
        });
    }

    fn shelved(&mut self, log: LogId, access: Access) {
        match self.site.logs.get_mut(&log) {
            Some(tail) if tail.is_shelved() => {
                // Whoever decided about the recording decided about its last minute, too.
                tail.shelve(access);
                tail.fade();
                self.dismiss(log);
            }
            Some(tail) => {
                tail.shelve(access);
                self.ended(log);
            }
            None => drop(self.site.logs.insert(log, Tail::of_recording(access))),
        }
    }

    fn closed(&mut self, log: LogId) {
        self.dismiss(log);
        self.site.logs.remove(&log);
        self.site.shut.remove(&log);
        self.doors.close(log);
        self.shared.logs.lock().unwrap_or_else(PoisonError::into_inner).remove(&log);
    }

    /// Ends every listener of a log, and its channels.
    fn dismiss(&mut self, log: LogId) {
        self.held.dismiss(log);
        for index in self.channels.by_log.remove(&log).unwrap_or_default() {
            self.channels.sweeping.retain(|&sweeping| sweeping != index);
            let Some(mut channel) = self.channels.all.remove(index) else { continue };
            // Of whom no door has heard yet that they are gone.
            for (id, token) in std::mem::take(&mut channel.left) {
                self.doors.left(log, id, token);
            }
            for member in channel.group.members() {
                let token = self.slab.token(member);
                if let Some(Client::Listening(listening)) = self.slab.remove(member) {
                    self.doors.left(log, listening.place, token);
                    channel.count_out(&listening);
                }
            }
        }
    }
}

fn busy(problem: Problem, request: &Request<'_>, now: SystemTime) -> Answer {
    answer::refuse(problem, Some(request), answer::keep(request), now)
}

fn watch(epoll: &OwnedFd, source: impl AsFd, token: Token, flags: EventFlags) -> io::Result<()> {
    Ok(epoll::add(epoll, source, EventData::new_u64(token.0), flags)?)
}

/// Whether the worker goes on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Run {
    On,
    Stop,
}

// Above any token of the slab, whose generations stay below 2³¹.
const LISTENER: Token = Token(u64::MAX);
const UPDATES: Token = Token(u64::MAX - 1);
const RETURNS: Token = Token(u64::MAX - 2);

/// Events taken at once: as many as a turn of the sweep, so that neither starves the other.
const EVENTS: usize = 512;
/// First messages of TLS handshakes answered in one turn: 32 of them take about 3 ms, so a chunk waits no longer.
const GREETINGS_TURN: usize = 32;
/// Updates taken at once. Few enough that a listener is looked at several times before it is too far behind, however fast they come.
const UPDATES_TURN: usize = 16;
/// Connections taken back from helpers at once. Each request of HTTP/2 is one, and is parsed and answered in about 10 µs.
const RETURNS_TURN: usize = 128;
/// Requests of one connection answered in a row. Then everyone else has a turn: 8 KiB hold two hundred.
const PIPELINE_TURN: usize = 8;
/// Connections accepted in a row. Then everyone else has a turn, here and in the other workers who share the socket.
const ACCEPT_TURN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_takes_less_than_100_bytes() {
        assert!(size_of::<Option<Client>>() + size_of::<u32>() < 100, "{}", size_of::<Option<Client>>());
    }
}
