//! The one thread between clients and the house: everything a worker cannot answer goes through here.
//!
//! One epoll copies both ways between a client and a connection of its own to the house's Unix socket, a buffer each way and no more.
//! Ordinary requests and event streams are bounded apart, so that people who watch a stage never keep others from the API. The head is
//! written anew: hop-by-hop fields go, `X-Forwarded-For` is ours, one request per connection.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant, SystemTime};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::time::Timespec;

use super::Place;
use super::mailbox::{Inbox, Mail, Outbox, mailbox};
use super::slab::{Slab, Token};
use super::socket::{self, Moved};
use super::worker::Returned;
use crate::problem::{Keep, Language, Problem};
use crate::request::{BODY_BYTES_MAX, Body, Method, Request, Version};
use crate::shed::Limits;

/// Where the fan-out thread hands connections over.
pub(super) struct Desk {
    jobs: Outbox<Handed>,
    taken: Arc<AtomicUsize>,
    limit: usize,
}

/// A request on its way to the house.
pub(super) struct Job {
    head: Vec<u8>,
    body: Body,
    method: Method,
    language: Language,
    place: Place,
}

struct Handed {
    job: Job,
    socket: OwnedFd,
    peer: SocketAddr,
    read: Vec<u8>,
}

impl Desk {
    /// Starts the thread. It ends when the desk is dropped.
    pub(super) fn start(house: PathBuf, limits: &Limits, returns: Outbox<Returned>) -> io::Result<Self> {
        let (jobs, inbox) = mailbox(limits.forwards + limits.streams + 1)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, inbox.bell(), EventData::new_u64(BELL.0), EventFlags::IN)?;
        let streams = Streams { taken: Arc::default(), limit: limits.streams };
        let patience = limits.house;
        let clerk =
            Clerk { house, epoll, inbox, returns, streams, patience, pairs: Slab::default(), looked: Instant::now() };
        std::thread::Builder::new().name("forward".into()).spawn(move || clerk.run())?;
        Ok(Self { jobs, taken: Arc::default(), limit: limits.forwards })
    }

    /// Prepares a request for the house, if it may be asked now.
    pub(super) fn job(&self, request: &Request<'_>, peer: SocketAddr) -> Result<Job, Problem> {
        let place = Place::take(&self.taken, self.limit).ok_or(Problem::Busy)?;
        let language = Language::preferred(request.field("accept-language"));
        Ok(Job { head: head(request, peer), body: request.body, method: request.method, language, place })
    }

    /// Hands a connection over, with what was read of the body. Never waits.
    pub(super) fn send(&self, job: Job, socket: OwnedFd, peer: SocketAddr, read: Vec<u8>) {
        let _ = self.jobs.try_send(Handed { job, socket, peer, read });
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

const NOT_FORWARDED: [&str; 10] = [
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
    streams: Streams,
    patience: Duration,
    pairs: Slab<Pair>,
    looked: Instant,
}

struct Streams {
    taken: Arc<AtomicUsize>,
    limit: usize,
}

/// A client and its connection to the house.
struct Pair {
    client: Side,
    house: Side,
    peer: SocketAddr,
    method: Method,
    language: Language,
    /// What may still come from the client.
    upload: Upload,
    /// On its way to the house, from `up_sent`.
    up: Vec<u8>,
    up_sent: usize,
    /// On its way to the client, from `down_sent`.
    down: Vec<u8>,
    down_sent: usize,
    /// How much of `down` may go: all of it once the final head is known, interim responses before.
    down_cleared: usize,
    answer: Answered,
    house_over: bool,
    /// The house hung up: what it said is in the socket, and epoll has nothing more to tell.
    house_hung: bool,
    /// When anything last moved.
    moved: Instant,
    _place: Place,
}

struct Side {
    socket: OwnedFd,
    watched: EventFlags,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Upload {
    /// So many bytes to come; `bounded` says whether their end is known.
    Length(u64),
    /// Chunked: at most so many bytes, framing included.
    Chunked(u64),
    /// Nothing more is read from the client.
    Over,
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
        let wait = Timespec { tv_sec: 1, tv_nsec: 0 };
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
                            Mail::Item(handed) => self.begin(handed),
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

    fn begin(&mut self, handed: Handed) {
        let Handed { job: Job { head, body, method, language, place }, socket, peer, mut read } = handed;
        let house = match connect(&self.house) {
            Ok(house) => house,
            Err(why) => {
                tracing::debug!("the house does not answer: {why}");
                let problem = if why == rustix::io::Errno::AGAIN { Problem::Busy } else { Problem::HouseAway };
                drop(place);
                return refuse(&self.returns, problem, language, method, socket, peer);
            }
        };
        let mut up = head;
        let upload = match body {
            Body::None => Upload::Over,
            Body::Length(bytes) => {
                let here = read.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
                up.extend(read.drain(..here));
                Upload::Length(bytes - here as u64)
            }
            Body::Chunked => {
                up.append(&mut read);
                Upload::Chunked(BODY_BYTES_MAX + CHUNKED_FRAMING_BYTES)
            }
        };
        let side = |socket| Side { socket, watched: EventFlags::empty() };
        let pair = Pair {
            client: side(socket),
            house: side(house),
            peer,
            method,
            language,
            upload: if upload == Upload::Length(0) { Upload::Over } else { upload },
            up,
            up_sent: 0,
            down: Vec::new(),
            down_sent: 0,
            down_cleared: 0,
            answer: Answered::No,
            house_over: false,
            house_hung: false,
            moved: Instant::now(),
            _place: place,
        };
        let token = self.pairs.insert(pair);
        let Some(pair) = self.pairs.get(token) else { return };
        let nothing = EventFlags::empty();
        let client = epoll::add(&self.epoll, &pair.client.socket, EventData::new_u64(token.0), nothing);
        let house = epoll::add(&self.epoll, &pair.house.socket, EventData::new_u64(token.0 | HOUSE_BIT), nothing);
        if client.is_err() || house.is_err() {
            self.pairs.remove(token.index());
            return;
        }
        self.pump(token);
    }

    fn on_ready(&mut self, token: Token, from_client: bool, flags: EventFlags) {
        let Some(pair) = self.pairs.get(token) else { return };
        // Nobody is left to answer. A house that hung up may have left its answer in the socket.
        let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        // An event stream's client has nothing to send: its end means that it left.
        let left = pair.answer == Answered::Stream && flags.contains(EventFlags::RDHUP);
        if from_client && (broken || left) {
            self.pairs.remove(token.index());
            return;
        }
        if broken && !pair.house_hung {
            // Epoll reports a hang-up for as long as the socket is registered, and would spin while the client is slow.
            pair.house_hung = true;
            let _ = epoll::delete(&self.epoll, &pair.house.socket);
        }
        self.pump(token);
    }

    fn pump(&mut self, token: Token) {
        let Some(pair) = self.pairs.get(token) else { return };
        match pair.pump(&self.streams) {
            Fate::GoesOn => pair.watch(&self.epoll, token),
            fate => self.end(token, fate),
        }
    }

    fn end(&mut self, token: Token, fate: Fate) {
        let Some(pair) = self.pairs.remove(token.index()) else { return };
        let Pair { client, house, peer, method, language, _place, .. } = pair;
        let _ = epoll::delete(&self.epoll, &client.socket);
        // The place is free before the client hears the end, so that its next request finds it.
        drop((house, _place));
        match fate {
            Fate::Refuse(problem) => refuse(&self.returns, problem, language, method, client.socket, peer),
            Fate::Done => {
                let returned =
                    Returned { socket: client.socket, peer, read: Vec::new(), keep: Keep::Close, answer: None };
                self.returns.send(returned);
            }
            Fate::GoesOn | Fate::Gone => {}
        }
    }

    /// Once a second: ends what has been silent for too long.
    fn look_at_the_clock(&mut self, now: Instant) {
        if now.duration_since(self.looked) < Duration::from_secs(1) {
            return;
        }
        self.looked = now;
        let tokens: Vec<Token> = self.pairs.tokens().collect();
        for token in tokens {
            let Some(pair) = self.pairs.get(token) else { continue };
            if pair.answer == Answered::Stream || now.duration_since(pair.moved) < self.patience {
                continue;
            }
            let fate = if pair.answer == Answered::No { Fate::Refuse(Problem::HouseSlow) } else { Fate::Gone };
            self.end(token, fate);
        }
    }
}

impl Pair {
    /// Moves what can be moved, in bounded turns; epoll is level-triggered and brings us back for the rest.
    fn pump(&mut self, streams: &Streams) -> Fate {
        let mut turns = 0;
        // What a house that hung up left behind is at most a socket's buffer, and nothing but this loop will fetch it.
        while turns < PUMP_TURNS || self.house_hung {
            turns += 1;
            let mut progress = self.send_up();
            progress |= match self.read_client() {
                Ok(progress) => progress,
                Err(fate) => return fate,
            };
            progress |= self.read_house();
            if let Err(fate) = self.clear(streams) {
                return fate;
            }
            progress |= match self.send_down() {
                Ok(progress) => progress,
                Err(fate) => return fate,
            };
            if self.house_over && self.down_sent == self.down.len() {
                return if self.answer == Answered::No { Fate::Refuse(Problem::HouseAway) } else { Fate::Done };
            }
            if !progress {
                break;
            }
            self.moved = Instant::now();
        }
        Fate::GoesOn
    }

    fn send_up(&mut self) -> bool {
        let rest = self.up.get(self.up_sent..).unwrap_or_default();
        if rest.is_empty() {
            return false;
        }
        match socket::write(&self.house.socket, rest) {
            Moved::Bytes(bytes) => {
                self.up_sent += bytes;
                if self.up_sent == self.up.len() {
                    (self.up, self.up_sent) = (Vec::new(), 0);
                }
                true
            }
            Moved::Later => false,
            // The house stopped reading: it may have answered already, a refusal of the body for instance.
            Moved::End | Moved::Broken => {
                (self.up, self.up_sent) = (Vec::new(), 0);
                self.upload = Upload::Over;
                true
            }
        }
    }

    fn read_client(&mut self) -> Result<bool, Fate> {
        let left = match self.upload {
            Upload::Over => return Ok(false),
            Upload::Length(left) | Upload::Chunked(left) => left,
        };
        if !self.up.is_empty() {
            return Ok(false);
        }
        if left == 0 {
            // Only chunked bodies get here. What the house would make of a cut body is not our business.
            return Err(if self.answer == Answered::No {
                Fate::Refuse(Problem::Request(crate::request::Refusal::BodyTooLarge))
            } else {
                Fate::Gone
            });
        }
        let room = usize::try_from(left).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
        let mut buffer = vec![0; room];
        match socket::read(&self.client.socket, &mut buffer) {
            Moved::Bytes(bytes) => {
                buffer.truncate(bytes);
                self.up = buffer;
                let left = left - bytes as u64;
                self.upload = match self.upload {
                    Upload::Length(_) if left == 0 => Upload::Over,
                    Upload::Length(_) => Upload::Length(left),
                    Upload::Chunked(_) => Upload::Chunked(left),
                    Upload::Over => Upload::Over,
                };
                Ok(true)
            }
            Moved::Later => Ok(false),
            Moved::End => {
                // The client has closed its side: so is ours, and the house sees whether the body was whole.
                self.upload = Upload::Over;
                socket::finish(&self.house.socket);
                Ok(true)
            }
            Moved::Broken => Err(Fate::Gone),
        }
    }

    fn read_house(&mut self) -> bool {
        if self.house_over || self.down.len() - self.down_sent >= BUFFER_BYTES {
            return false;
        }
        let begin = self.down.len();
        self.down.resize(begin + BUFFER_BYTES, 0);
        let moved = socket::read(&self.house.socket, self.down.get_mut(begin..).unwrap_or_default());
        let bytes = if let Moved::Bytes(bytes) = moved { bytes } else { 0 };
        self.down.truncate(begin + bytes);
        self.house_over = matches!(moved, Moved::End | Moved::Broken);
        bytes > 0 || self.house_over
    }

    /// Looks at the house's head: interim responses may go, the final one tells an event stream from an ordinary answer.
    fn clear(&mut self, streams: &Streams) -> Result<(), Fate> {
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
                }
                Ok(httparse::Status::Partial) if unread.len() < BUFFER_BYTES => return Ok(()),
                _ => return Err(Fate::Refuse(Problem::HouseAway)),
            }
        }
        self.down_cleared = self.down.len();
        if self.answer == Answered::Stream && !Arc::ptr_eq(&self._place.0, &streams.taken) {
            // It leaves its place among the ordinary ones, for one among the streams. Nothing of the answer is out yet.
            self._place = Place::take(&streams.taken, streams.limit).ok_or(Fate::Refuse(Problem::Busy))?;
        }
        Ok(())
    }

    fn send_down(&mut self) -> Result<bool, Fate> {
        let rest = self.down.get(self.down_sent..self.down_cleared).unwrap_or_default();
        if rest.is_empty() {
            return Ok(false);
        }
        match socket::write(&self.client.socket, rest) {
            Moved::Bytes(bytes) => {
                self.down_sent += bytes;
                if self.down_sent == self.down.len() {
                    (self.down, self.down_sent, self.down_cleared) = (Vec::new(), 0, 0);
                }
                Ok(true)
            }
            Moved::Later => Ok(false),
            Moved::End | Moved::Broken => Err(Fate::Gone),
        }
    }

    /// Watches for exactly what could be moved next.
    fn watch(&mut self, epoll: &OwnedFd, token: Token) {
        let when = |condition, flag| if condition { flag } else { EventFlags::empty() };
        let client = when(self.upload != Upload::Over && self.up.is_empty(), EventFlags::IN)
            | when(self.down_sent < self.down_cleared, EventFlags::OUT)
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
    socket: OwnedFd,
    peer: SocketAddr,
) {
    let answer = problem.answer(language, Some(method), Keep::Close, SystemTime::now());
    returns.send(Returned { socket, peer, read: Vec::new(), keep: Keep::Close, answer: Some(answer) });
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
/// What the framing of a chunked body may add to [`BODY_BYTES_MAX`].
const CHUNKED_FRAMING_BYTES: u64 = 256 * 1024;

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
}
