//! The one thread between clients and the house: everything a worker cannot answer goes through here.
//!
//! A request waits here until its body is whole; only then does it take one of the few places at the house, on a connection of its own
//! to the Unix socket. The answer is copied back through a buffer, and when the house has said all, the client is no longer its business.
//! So nobody holds a place by being slow, and every wait has an end that no trickle of bytes puts off.
//!
//! Bodies under way (those that carry a file, and those of ordinary size), ordinary requests and event streams are bounded apart, and each again for one address: people who watch a stage, or
//! mean harm, never keep others from the API. The head is written anew: hop-by-hop fields go, `X-Forwarded-For` is ours, one request
//! per connection.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::time::Timespec;

use super::Place;
use super::mailbox::{Inbox, Mail, Outbox, mailbox};
use super::neighbours::{Neighbours, Share};
use super::room::{Help, Room};
use super::slab::{Slab, Token};
use super::socket::Moved;
use super::stream::Stream;
use super::upload::{Upload, Whole};
use super::worker::Returned;
use crate::problem::{Keep, Language, Problem};
use crate::request::{BODY_BYTES_MAX, Body, Method, Refusal, Request, Version};
use crate::shed::Limits;

/// Where the fan-out thread hands connections over.
pub(super) struct Desk {
    jobs: Outbox<Handed>,
    asking: Pool,
    uploads: Pool,
    large: Pool,
    /// Who has a large body under way, by address.
    large_neighbours: Neighbours,
    streams: Pool,
}

/// The place of a large body, of its kind and of its address's share.
type Large = (Place, Share);

/// A request on its way to the house.
pub(super) struct Job {
    head: Vec<u8>,
    body: Upload,
    expects: Expects,
    /// Whose it is.
    peer: SocketAddr,
    method: Method,
    language: Language,
    /// Among those who ask if the body is whole, otherwise among the uploads.
    place: Place,
    /// Of those whose body is large, until they are answered.
    large: Option<Large>,
}

/// Whether the client sends its body only when told to (RFC 9110 §10.1.1).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Expects {
    Nothing,
    Continue,
}

struct Handed {
    job: Job,
    socket: Stream,
}

/// A bounded number of places, shared between threads.
#[derive(Clone)]
struct Pool {
    taken: Arc<AtomicUsize>,
    limit: usize,
    /// Whose files its places take; `None`: they have files of their own.
    room: Option<(Room, Help)>,
}

impl Pool {
    fn new(limit: usize) -> Self {
        Self { taken: Arc::default(), limit, room: None }
    }

    fn of(room: &Room, help: Help, limit: usize) -> Self {
        Self { taken: room.counter(help).clone(), limit, room: Some((room.clone(), help)) }
    }

    fn take(&self) -> Option<Place> {
        match &self.room {
            None => Place::take(&self.taken, self.limit),
            Some((room, help)) => room.take(*help, self.limit),
        }
    }

    fn is_idle(&self) -> bool {
        self.taken.load(Relaxed) == 0
    }
}

impl Desk {
    /// Starts the thread. It ends when the desk is dropped.
    pub(super) fn start(house: PathBuf, limits: &Limits, returns: Outbox<Returned>, room: &Room) -> io::Result<Self> {
        let (jobs, inbox) = mailbox(limits.forwards + limits.uploads + limits.large_uploads + 1)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, inbox.bell(), EventData::new_u64(BELL.0), EventFlags::IN)?;
        let asking = Pool::new(limits.forwards);
        let uploads = Pool::of(room, Help::Upload, limits.uploads);
        let large = Pool::new(limits.large_uploads);
        let streams = Pool::of(room, Help::Stream, limits.streams);
        let clerk = Clerk {
            house,
            epoll,
            inbox,
            returns,
            asking: asking.clone(),
            neighbours: Neighbours::new(limits.forwards_each),
            streams: Streams { pool: streams.clone(), neighbours: Neighbours::new(limits.streams_each) },
            waits: Waits {
                upload: limits.upload,
                large: limits.large_upload,
                house: limits.house,
                answer: limits.answer,
            },
            crossings: Slab::default(),
            looked: Instant::now(),
        };
        std::thread::Builder::new().name("forward".into()).spawn(move || clerk.run())?;
        let large_neighbours = Neighbours::new(limits.large_uploads_each);
        Ok(Self { jobs, asking, uploads, large, large_neighbours, streams })
    }

    /// Whether nobody is on the way to the house or back.
    pub(super) fn is_idle(&self) -> bool {
        [&self.asking, &self.uploads, &self.large, &self.streams].into_iter().all(Pool::is_idle)
    }

    /// Prepares a request for the house, if it may be asked now. `read` is what came behind the head.
    pub(super) fn job(&mut self, request: &Request<'_>, peer: SocketAddr, read: &[u8]) -> Result<Job, Problem> {
        let is_large = matches!(request.body, Body::Length(bytes) if bytes > BODY_BYTES_MAX);
        if is_large && self.large.limit == 0 {
            return Err(Problem::Request(Refusal::BodyTooLarge));
        }
        let large = if is_large { Some(self.large(peer).ok_or(Problem::Busy)?) } else { None };
        let mut body = Upload::new(request.body, read.to_vec());
        let pool = match body.look().map_err(Problem::Request)? {
            Whole::Yes => &self.asking,
            Whole::NotYet => &self.uploads,
        };
        let place = pool.take().ok_or(Problem::Busy)?;
        let language = Language::preferred(request.field("accept-language"));
        let expects = if request.version == Version::Http11 && request.field("expect").is_some() {
            Expects::Continue
        } else {
            Expects::Nothing
        };
        Ok(Job { head: head(request, peer), body, expects, peer, method: request.method, language, place, large })
    }

    fn large(&mut self, peer: SocketAddr) -> Option<Large> {
        let share = self.large_neighbours.take(peer)?;
        Some((self.large.take()?, share))
    }

    /// Hands a connection over. Never waits.
    pub(super) fn send(&self, job: Job, socket: Stream) {
        let _ = self.jobs.try_send(Handed { job, socket });
    }
}

/// The head as the house sees it.
fn head(request: &Request<'_>, peer: SocketAddr) -> Vec<u8> {
    let version = if request.version == Version::Http11 { "1.1" } else { "1.0" };
    let mut out =
        format!("{} {} HTTP/{version}\r\nHost: {}\r\n", request.method.as_str(), request.target, request.host);
    out.push_str(&format!("X-Forwarded-For: {}\r\nConnection: close\r\n", peer.ip()));
    let mut out = out.into_bytes();
    // What `Connection` names is for this hop only (RFC 9110 §7.6.1).
    let named: Vec<&[u8]> = request
        .fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("connection"))
        .flat_map(|field| field.value.split(|&b| b == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    for field in &request.fields {
        let name = field.name.to_ascii_lowercase();
        let ours = NOT_FORWARDED.contains(&name.as_str()) || name.starts_with("x-forwarded-");
        // Framing fields may not be named away, or the body would become a second request.
        let framing = matches!(name.as_str(), "content-length" | "transfer-encoding");
        if ours || (!framing && named.iter().any(|option| option.eq_ignore_ascii_case(name.as_bytes()))) {
            continue;
        }
        out.extend_from_slice(field.name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

const NOT_FORWARDED: [&str; 11] = [
    // Answered here.
    "expect",
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "forwarded",
    "x-real-ip",
];

/// The thread's state.
struct Clerk {
    house: PathBuf,
    epoll: OwnedFd,
    inbox: Inbox<Handed>,
    returns: Outbox<Returned>,
    asking: Pool,
    /// Who sends a body or asks, by address.
    neighbours: Neighbours,
    streams: Streams,
    waits: Waits,
    crossings: Slab<Crossing>,
    looked: Instant,
}

struct Streams {
    pool: Pool,
    neighbours: Neighbours,
}

/// How long each part of a crossing may take.
struct Waits {
    upload: Duration,
    large: Duration,
    house: Duration,
    answer: Duration,
}

/// A client between its head and the end of its answer.
enum Crossing {
    Uploading(Box<Uploading>),
    Asking(Box<Pair>),
}

/// A client whose body is not whole yet. The house does not know of it.
struct Uploading {
    handed: Handed,
    deadline: Instant,
    share: Share,
}

/// A client and its connection to the house.
struct Pair {
    client: Side,
    house: Side,
    peer: SocketAddr,
    method: Method,
    language: Language,
    /// On its way to the house, from `up_sent`.
    up: Vec<u8>,
    up_sent: usize,
    /// The request once more, if asking twice changes nothing: a house that ends may close a connection that it had only just taken (RFC 9110 §9.2.2).
    again: Vec<u8>,
    /// On its way to the client, from `down_sent`.
    down: Vec<u8>,
    down_sent: usize,
    /// How much of `down` may go: all of it once the final head is known, interim responses before.
    down_cleared: usize,
    answer: Answered,
    house_over: bool,
    /// The house hung up: what it said is in the socket, and epoll has nothing more to tell.
    house_hung: bool,
    /// When it is over, whatever moves. `None` for an event stream whose client has read everything.
    deadline: Option<Instant>,
    place: Place,
    /// Until the end, though the body may be with the house by then: it is in memory there.
    large: Option<Large>,
    share: Share,
}

struct Side {
    socket: Stream,
    watched: EventFlags,
}

/// How far the house's answer is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Answered {
    /// No final head yet.
    No,
    /// An ordinary answer is on its way.
    Ordinary,
    /// An event stream: it may be silent for as long as it likes.
    Stream,
}

/// What became of a pair.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Fate {
    GoesOn,
    /// All is said.
    Done,
    /// Say this instead; nothing was said yet.
    Refuse(Problem),
    /// Close without a word.
    Gone,
}

impl Clerk {
    fn run(mut self) {
        let mut events: Vec<Event> = Vec::with_capacity(256);
        let wait = Timespec { tv_sec: CLOCK.as_secs() as i64, tv_nsec: 0 };
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(why) => {
                    tracing::error!("forwarding ends: {why}");
                    return;
                }
            }
            for event in &events {
                let token = Token(event.data.u64());
                if token == BELL {
                    self.inbox.hush();
                    loop {
                        match self.inbox.take() {
                            Mail::Item(handed) => self.begin(handed, Instant::now()),
                            Mail::Empty => break,
                            Mail::Over => return,
                        }
                    }
                } else {
                    let (pair, from_client) = (Token(token.0 & !HOUSE_BIT), token.0 & HOUSE_BIT == 0);
                    self.on_ready(pair, from_client, event.flags);
                }
            }
            self.look_at_the_clock(Instant::now());
        }
    }

    fn begin(&mut self, handed: Handed, now: Instant) {
        let Some(share) = self.neighbours.take(handed.job.peer) else { return self.refuse(handed, Problem::Busy) };
        let wait = if handed.job.large.is_some() { self.waits.large } else { self.waits.upload };
        self.look(Uploading { handed, deadline: now + wait, share }, now);
    }

    /// Asks the house if the body is whole, or waits for the rest.
    fn look(&mut self, mut uploading: Uploading, now: Instant) {
        match uploading.handed.job.body.look() {
            Ok(Whole::Yes) => self.ask(uploading, now),
            Ok(Whole::NotYet) => {
                if std::mem::replace(&mut uploading.handed.job.expects, Expects::Nothing) == Expects::Continue {
                    // A socket that has been written nothing, or answers that were read, takes 25 bytes. If not: clients do not wait
                    // for this for ever (RFC 9110 §10.1.1).
                    let _ = uploading.handed.socket.write(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                let token = self.crossings.insert(Crossing::Uploading(Box::new(uploading)));
                let Some(Crossing::Uploading(uploading)) = self.crossings.get(token) else { return };
                let data = EventData::new_u64(token.0);
                if epoll::add(&self.epoll, &uploading.handed.socket, data, EventFlags::IN).is_err() {
                    self.crossings.remove(token.index());
                }
            }
            Err(refusal) => self.refuse(uploading.handed, Problem::Request(refusal)),
        }
    }

    /// More of a body.
    fn read_body(&mut self, token: Token) {
        let Some(Crossing::Uploading(uploading)) = self.crossings.get(token) else { return };
        let mut buffer = [0; BUFFER_BYTES];
        let Handed { job: Job { body, .. }, socket, .. } = &mut uploading.handed;
        let looked = match socket.read(&mut buffer) {
            Moved::Bytes(bytes) => {
                body.push(buffer.get(..bytes).unwrap_or_default());
                // What TLS has decrypted, epoll does not speak of.
                while socket.has_more()
                    && let Moved::Bytes(bytes) = socket.read(&mut buffer)
                {
                    body.push(buffer.get(..bytes).unwrap_or_default());
                }
                body.look()
            }
            Moved::Later => return,
            // Who leaves before the end of a request has asked nothing.
            _ => {
                self.crossings.remove(token.index());
                return;
            }
        };
        if looked != Ok(Whole::NotYet)
            && let Some(uploading) = self.take_upload(token)
        {
            self.look(uploading, Instant::now());
        }
    }

    fn take_upload(&mut self, token: Token) -> Option<Uploading> {
        match self.crossings.remove(token.index())? {
            Crossing::Uploading(uploading) => {
                let _ = epoll::delete(&self.epoll, &uploading.handed.socket);
                Some(*uploading)
            }
            Crossing::Asking(_) => None,
        }
    }

    /// Puts a whole request to the house.
    fn ask(&mut self, uploading: Uploading, now: Instant) {
        let Uploading { mut handed, share, .. } = uploading;
        if !Arc::ptr_eq(&handed.job.place.0, &self.asking.taken) {
            match self.asking.take() {
                Some(place) => handed.job.place = place,
                None => return self.refuse(handed, Problem::Busy),
            }
        }
        let house = match connect(&self.house) {
            Ok(house) => house,
            Err(why) => {
                tracing::debug!("the house does not answer: {why}");
                let problem = if why == rustix::io::Errno::AGAIN { Problem::Busy } else { Problem::HouseAway };
                return self.refuse(handed, problem);
            }
        };
        let Handed { job: Job { head: mut up, body, peer, method, language, place, large, .. }, socket } = handed;
        up.append(&mut body.into_bytes());
        let side = |socket| Side { socket, watched: EventFlags::empty() };
        let pair = Pair {
            client: side(socket),
            house: side(Stream::plain(house)),
            peer,
            method,
            language,
            again: if method.is_safe() { up.clone() } else { Vec::new() },
            up,
            up_sent: 0,
            down: Vec::new(),
            down_sent: 0,
            down_cleared: 0,
            answer: Answered::No,
            house_over: false,
            house_hung: false,
            deadline: Some(now + self.waits.house),
            place,
            large,
            share,
        };
        let token = self.crossings.insert(Crossing::Asking(Box::new(pair)));
        let Some(Crossing::Asking(pair)) = self.crossings.get(token) else { return };
        let nothing = EventFlags::empty();
        let client = epoll::add(&self.epoll, &pair.client.socket, EventData::new_u64(token.0), nothing);
        let house = epoll::add(&self.epoll, &pair.house.socket, EventData::new_u64(token.0 | HOUSE_BIT), nothing);
        if client.is_err() || house.is_err() {
            self.crossings.remove(token.index());
            return;
        }
        self.pump(token);
    }

    fn on_ready(&mut self, token: Token, from_client: bool, flags: EventFlags) {
        let pair = match self.crossings.get(token) {
            None => return,
            Some(Crossing::Uploading(_)) => return self.read_body(token),
            Some(Crossing::Asking(pair)) => pair,
        };
        // Nobody is left to answer. A house that hung up may have left its answer in the socket.
        let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        // An event stream's client has nothing to send: its end means that it left.
        let left = pair.answer == Answered::Stream && flags.contains(EventFlags::RDHUP);
        if from_client && (broken || left) {
            self.crossings.remove(token.index());
            return;
        }
        // What is told in this round may be told of the house that was asked before.
        if broken && !pair.house_hung && has_hung_up(&pair.house.socket) {
            // Epoll reports a hang-up for as long as the socket is registered, and would spin while the client is slow.
            pair.house_hung = true;
            let _ = epoll::delete(&self.epoll, &pair.house.socket);
        }
        self.pump(token);
    }

    fn pump(&mut self, token: Token) {
        let Some(Crossing::Asking(pair)) = self.crossings.get(token) else { return };
        match pair.pump(&mut self.streams, &self.waits) {
            Fate::GoesOn => pair.watch(&self.epoll, token),
            Fate::Refuse(Problem::HouseAway) if self.ask_again(token) => self.pump(token),
            fate => self.end(token, fate),
        }
    }

    /// Asks the next house, once, if the one that is away has said nothing. Its connection waits at the socket that both have.
    fn ask_again(&mut self, token: Token) -> bool {
        let Some(Crossing::Asking(pair)) = self.crossings.get(token) else { return false };
        if pair.again.is_empty() || !pair.down.is_empty() || pair.down_sent > 0 {
            return false;
        }
        let Ok(house) = connect(&self.house) else { return false };
        let data = EventData::new_u64(token.0 | HOUSE_BIT);
        if epoll::add(&self.epoll, &house, data, EventFlags::empty()).is_err() {
            return false;
        }
        if !pair.house_hung {
            let _ = epoll::delete(&self.epoll, &pair.house.socket);
        }
        pair.house = Side { socket: Stream::plain(house), watched: EventFlags::empty() };
        (pair.house_over, pair.house_hung) = (false, false);
        (pair.up, pair.up_sent) = (std::mem::take(&mut pair.again), 0);
        true
    }

    fn end(&mut self, token: Token, fate: Fate) {
        let Some(Crossing::Asking(pair)) = self.crossings.remove(token.index()) else { return };
        let Pair { client, house, peer, method, language, mut down, down_sent, place, large, share, .. } = *pair;
        let _ = epoll::delete(&self.epoll, &client.socket);
        // The place is free before the client or the house hears the end, so that the next request finds it.
        drop((place, large, share, house));
        match fate {
            Fate::Refuse(problem) => refuse(&self.returns, problem, language, method, client.socket, peer),
            Fate::Done => {
                // What the client has not read yet it reads from the fan-out thread, which has a deadline for that.
                let rest = down.split_off(down_sent.min(down.len()));
                let answer = (!rest.is_empty()).then(|| (rest, bytes::Bytes::new()));
                let returned = Returned { socket: client.socket, peer, read: Vec::new(), keep: Keep::Close, answer };
                self.returns.send(returned);
            }
            Fate::GoesOn | Fate::Gone => {}
        }
    }

    fn refuse(&self, handed: Handed, problem: Problem) {
        let Handed { job: Job { peer, language, method, place, large, .. }, socket } = handed;
        drop((place, large));
        refuse(&self.returns, problem, language, method, socket, peer);
    }

    /// Once a second: ends what has taken too long.
    fn look_at_the_clock(&mut self, now: Instant) {
        if now.duration_since(self.looked) < CLOCK {
            return;
        }
        self.looked = now;
        self.neighbours.tidy();
        self.streams.neighbours.tidy();
        let tokens: Vec<Token> = self.crossings.tokens().collect();
        for token in tokens {
            match self.crossings.get(token) {
                Some(Crossing::Uploading(uploading)) if now >= uploading.deadline => {
                    if let Some(uploading) = self.take_upload(token) {
                        self.refuse(uploading.handed, Problem::Slow);
                    }
                }
                Some(Crossing::Asking(pair)) if pair.deadline.is_some_and(|deadline| now >= deadline) => {
                    let untold = pair.answer == Answered::No;
                    self.end(token, if untold { Fate::Refuse(Problem::HouseSlow) } else { Fate::Gone });
                }
                _ => {}
            }
        }
    }
}

impl Pair {
    /// Moves what can be moved, in bounded turns; epoll is level-triggered and brings us back for the rest.
    fn pump(&mut self, streams: &mut Streams, waits: &Waits) -> Fate {
        let mut turns = 0;
        // What a house that hung up left behind is at most a socket's buffer, and nothing but this loop will fetch it.
        while turns < PUMP_TURNS || self.house_hung {
            turns += 1;
            let mut progress = self.send_up();
            progress |= self.read_house();
            if let Err(fate) = self.clear(streams, waits) {
                return fate;
            }
            progress |= match self.send_down() {
                Ok(progress) => progress,
                Err(fate) => return fate,
            };
            if self.house_over {
                return if self.answer == Answered::No { Fate::Refuse(Problem::HouseAway) } else { Fate::Done };
            }
            if !progress {
                break;
            }
        }
        if self.answer == Answered::Stream {
            // It may be silent for as long as it likes, but what was said must be read.
            let unread = self.down_sent < self.down.len();
            self.deadline = if unread { self.deadline.or_else(|| Some(Instant::now() + waits.answer)) } else { None };
        }
        Fate::GoesOn
    }

    fn send_up(&mut self) -> bool {
        let rest = self.up.get(self.up_sent..).unwrap_or_default();
        if rest.is_empty() {
            return false;
        }
        match self.house.socket.write(rest) {
            Moved::Bytes(bytes) => {
                self.up_sent += bytes;
                if self.up_sent == self.up.len() {
                    (self.up, self.up_sent) = (Vec::new(), 0);
                }
                true
            }
            Moved::Later => false,
            // The house stopped reading: it may have answered already, a refusal of the body for instance.
            _ => {
                (self.up, self.up_sent) = (Vec::new(), 0);
                true
            }
        }
    }

    fn read_house(&mut self) -> bool {
        if self.house_over || self.down.len() - self.down_sent >= BUFFER_BYTES {
            return false;
        }
        let begin = self.down.len();
        self.down.resize(begin + BUFFER_BYTES, 0);
        let moved = self.house.socket.read(self.down.get_mut(begin..).unwrap_or_default());
        let bytes = if let Moved::Bytes(bytes) = moved { bytes } else { 0 };
        self.down.truncate(begin + bytes);
        self.house_over = matches!(moved, Moved::End | Moved::Broken);
        bytes > 0 || self.house_over
    }

    /// Looks at the house's head: interim responses may go, the final one tells an event stream from an ordinary answer.
    fn clear(&mut self, streams: &mut Streams, waits: &Waits) -> Result<(), Fate> {
        while self.answer == Answered::No {
            let mut fields = [httparse::EMPTY_HEADER; 96];
            let mut head = httparse::Response::new(&mut fields);
            let unread = self.down.get(self.down_cleared..).unwrap_or_default();
            match head.parse(unread) {
                Ok(httparse::Status::Complete(length)) if head.code.is_some_and(|code| (100..200).contains(&code)) => {
                    self.down_cleared += length;
                }
                Ok(httparse::Status::Complete(_)) => {
                    let is_stream = head.headers.iter().any(|field| {
                        field.name.eq_ignore_ascii_case("content-type") && field.value.starts_with(b"text/event-stream")
                    });
                    self.answer = if is_stream { Answered::Stream } else { Answered::Ordinary };
                    // A stream may go on for hours.
                    self.again = Vec::new();
                    self.deadline = (!is_stream).then(|| Instant::now() + waits.answer);
                }
                Ok(httparse::Status::Partial) if unread.len() < BUFFER_BYTES => return Ok(()),
                _ => return Err(Fate::Refuse(Problem::HouseAway)),
            }
        }
        self.down_cleared = self.down.len();
        if self.answer == Answered::Stream && !Arc::ptr_eq(&self.place.0, &streams.pool.taken) {
            // It leaves its place among the ordinary ones, for one among the streams. Nothing of the answer is out yet.
            self.place = streams.pool.take().ok_or(Fate::Refuse(Problem::Busy))?;
            self.share = streams.neighbours.take(self.peer).ok_or(Fate::Refuse(Problem::Busy))?;
        }
        Ok(())
    }

    fn send_down(&mut self) -> Result<bool, Fate> {
        let rest = self.down.get(self.down_sent..self.down_cleared).unwrap_or_default();
        if rest.is_empty() {
            return Ok(false);
        }
        match self.client.socket.write(rest) {
            Moved::Bytes(bytes) => {
                self.down_sent += bytes;
                if self.down_sent == self.down.len() {
                    (self.down, self.down_sent, self.down_cleared) = (Vec::new(), 0, 0);
                }
                Ok(true)
            }
            Moved::Later => Ok(false),
            _ => Err(Fate::Gone),
        }
    }

    /// Watches for exactly what could be moved next.
    fn watch(&mut self, epoll: &OwnedFd, token: Token) {
        let when = |condition, flag| if condition { flag } else { EventFlags::empty() };
        let client = when(self.down_sent < self.down_cleared || self.client.socket.is_stuck(), EventFlags::OUT)
            | when(self.answer == Answered::Stream, EventFlags::RDHUP);
        let house = when(!self.up.is_empty(), EventFlags::OUT)
            | when(!self.house_over && self.down.len() - self.down_sent < BUFFER_BYTES, EventFlags::IN);
        self.client.watch(epoll, token.0, client);
        if !self.house_hung {
            self.house.watch(epoll, token.0 | HOUSE_BIT, house);
        }
    }
}

impl Side {
    fn watch(&mut self, epoll: &OwnedFd, data: u64, flags: EventFlags) {
        if flags != self.watched {
            self.watched = flags;
            let _ = epoll::modify(epoll, self.socket.as_fd(), EventData::new_u64(data), flags);
        }
    }
}

fn refuse(
    returns: &Outbox<Returned>,
    problem: Problem,
    language: Language,
    method: Method,
    socket: Stream,
    peer: SocketAddr,
) {
    let answer = problem.answer(language, Some(method), Keep::Close, SystemTime::now());
    returns.send(Returned { socket, peer, read: Vec::new(), keep: Keep::Close, answer: Some(answer) });
}

/// Whether there is nobody at the other end, now.
fn has_hung_up(socket: &impl AsFd) -> bool {
    // Told without being asked for.
    let mut asked = [PollFd::new(socket, PollFlags::empty())];
    poll(&mut asked, Some(&Timespec::default())).is_ok_and(|count| count > 0)
}

/// Connects without waiting: `AGAIN` when the house's queue is full. Reaches paths longer than the 108 bytes of a socket address
/// through their folder.
fn connect(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match SocketAddrUnix::new(path) {
        Ok(address) => rustix::net::connect(&socket, &address)?,
        Err(rustix::io::Errno::NAMETOOLONG) => {
            use rustix::fs::{Mode, OFlags};
            use std::os::fd::AsRawFd;
            let folder = path.parent().ok_or(rustix::io::Errno::INVAL)?;
            let name = path.file_name().ok_or(rustix::io::Errno::INVAL)?;
            let folder = rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
            rustix::net::connect(&socket, &SocketAddrUnix::new(short)?)?;
        }
        Err(why) => return Err(why),
    }
    Ok(socket)
}

/// Marks the house's side in a token; generations stay below it.
const HOUSE_BIT: u64 = 1 << 63;
const BELL: Token = Token(u64::MAX);
/// Copied at once, each way: a page of an API's answer.
const BUFFER_BYTES: usize = 16 * 1024;
/// Steps for one pair before the next has a turn.
const PUMP_TURNS: usize = 8;
/// How exact the ends of waits are: they are many seconds long.
const CLOCK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Parsed, parse};

    #[test]
    fn what_was_for_this_hop_only_is_not_passed_on() {
        let sent = "POST /a?b HTTP/1.1\r\nHost: h\r\nConnection: x-secret, content-length, close\r\nX-Secret: 1\r\nTE: trailers\r\n\
                    X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\nContent-Length: 2\r\nA: b\r\n\r\n";
        let Parsed::Complete { request, .. } = parse(sent.as_bytes()) else { panic!() };
        let head = String::from_utf8(head(&request, SocketAddr::from(([10, 0, 0, 1], 99)))).unwrap();
        let expected = "POST /a?b HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 10.0.0.1\r\nConnection: close\r\nContent-Length: 2\r\nA: b\r\n\r\n";
        assert_eq!(head, expected);
    }

    #[test]
    fn one_address_has_one_large_body_under_way() {
        let limits = Limits::for_files(20_000);
        let (returns, returned) = mailbox(1).unwrap();
        let room = Room::new(Arc::default(), returned.waiting(), &limits);
        let mut desk = Desk::start("/nowhere".into(), &limits, returns, &room).unwrap();
        let sent = "PUT /api/spaces/v1/spaces/x/hold-music HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\nContent-Length: 70000\r\n\r\n";
        let Parsed::Complete { request, .. } = parse(sent.as_bytes()) else { panic!() };
        let mut job = |ip: &str| desk.job(&request, SocketAddr::new(ip.parse().unwrap(), 1), b"");
        let held = job("2001:db8::1").ok().unwrap();
        assert_eq!(job("2001:db8::2").err(), Some(Problem::Busy), "one customer has a /64");
        let others: Vec<_> = (1..4).map(|n| job(&format!("192.0.2.{n}")).ok().unwrap()).collect();
        assert_eq!(job("192.0.2.9").err(), Some(Problem::Busy), "so many at once");
        drop((held, others));
        assert!(job("2001:db8::2").is_ok());
    }
}
