//! A crowd at somebody else's HLS, as players are: on a connection that stays, each asks for the playlist once in a segment's length, at a moment of its own, and fetches what is new.
//!
//! For `./x bench fanout`, beside the crowd that is sent its sound. Playlists end with `NUMBER.m4s`; every segment must be the same for everyone, and none may be left out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::ears::Told;
use super::wire::Wire;
use super::{Error, Options, THREAD_LISTENERS_MAX, gather, keep, loopback, room_for, start};
use crate::crowd::{Arrival, Crowd};
use crate::live::{wait_until, whip};
use crate::report::{GRACE, Plan, Report};
use crate::schedule::Schedule;

/// Between two looks at the sockets, as ears have it.
const TICK: Duration = Duration::from_millis(2);
const EVENTS: usize = 512;
const READ_BYTES: usize = 128 * 1024;
/// Of an answer, head and all: 2 s of sound have 12 kB.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Segments kept to compare with: more than are listed.
const SEGMENTS_KEPT: usize = 32;
/// Whoever waits for so long for an answer gives up, and comes again when the next poll is due.
const PATIENCE: Duration = Duration::from_secs(10);

struct Task {
    address: SocketAddr,
    host: String,
    /// Of the playlist; segments are beside it.
    path: String,
    crowd: Crowd,
    cadence: Duration,
    began: Instant,
    ends: Duration,
    threads: u64,
    from: Vec<IpAddr>,
}

/// Has the crowd come and poll the playlist at `url`, an address of loopback, whose segments are as long as the cadence; nobody leaves.
///
/// # Errors
/// It is no such address, or this machine has no room for so many. What goes wrong with listeners is in the report.
pub fn run(url: &str, options: &Options) -> Result<Report, Error> {
    let place = whip::Url::parse(url).ok_or(Error::Asked("a playlist is http://127.0.0.1:PORT/PATH"))?;
    let address: SocketAddr = place.host.parse().map_err(|_| Error::Asked("a playlist is at an address and a port"))?;
    if !address.ip().is_loopback() {
        return Err(Error::Asked("only loopback"));
    }
    let threads = options.listeners.div_ceil(THREAD_LISTENERS_MAX);
    room_for(options.listeners.div_ceil(threads))?;
    if let Some(folder) = &options.report {
        std::fs::create_dir_all(folder).map_err(|why| Error::World("making the folder of the report", why))?;
    }
    let within = Duration::from_secs(options.within);
    let crowd = Crowd { listeners: options.listeners, arrival: Arrival::Steady, within, stay: None, seed: 1 };
    let (cadence, ends) = (Duration::from_millis(options.cadence_ms), within + Duration::from_secs(options.seconds));
    let (path, host, from) = (place.path, place.host, loopback(threads));
    let task = Arc::new(Task { address, host, path, crowd, cadence, began: Instant::now(), ends, threads, from });
    let (tell, told) = mpsc::channel();
    for thread in 0..threads {
        let task = task.clone();
        start("polls", thread, threads, tell.clone(), move |tell| Pollers::new(task, thread)?.run(tell))?;
    }
    drop(tell);
    let plan = Plan {
        target: url.to_owned(),
        format: "hls".into(),
        listeners: options.listeners,
        arrival: format!("steady: all within {} s", options.within),
        cadence_ms: options.cadence_ms,
        version: env!("CARGO_PKG_VERSION").into(),
        ..Plan::default()
    };
    let mut report = Report { plan, ..Report::default() };
    gather(&told, ends, None, &mut report).map_err(|why| Error::World("listening", why))?;
    if let Some(folder) = &options.report {
        keep(folder, &report).map_err(|why| Error::World("keeping the report", why))?;
    }
    Ok(report)
}

/// What somebody has asked for and not got.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    Nothing,
    Connection,
    Playlist,
    Segment(u64),
}

struct Poller {
    /// A connection without TLS is nothing but its socket.
    socket: TcpStream,
    asked: Asked,
    at: Duration,
    began: Duration,
    since: Option<Duration>,
    /// The last segment that is here, and the newest that is known.
    last: Option<u64>,
    newest: u64,
    answer: Vec<u8>,
}

impl Poller {
    fn ask(&mut self, task: &Task, asked: Asked, now: Duration) -> Result<(), String> {
        let folder = task.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = match asked {
            Asked::Segment(number) => format!("{folder}/{number}.m4s"),
            _ => task.path.clone(),
        };
        (self.asked, self.at) = (asked, now);
        self.answer.clear();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", task.host);
        // A request is far smaller than an empty socket's buffer.
        self.socket.write_all(request.as_bytes()).map_err(|why| format!("broken: {}", why.kind()))
    }

    /// The body, once the answer is whole (RFC 9112 §6.3: with Content-Length).
    fn body(&self) -> Result<Option<&[u8]>, String> {
        let Some(end) = self.answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let head = String::from_utf8_lossy(self.answer.get(..end).unwrap_or_default()).to_ascii_lowercase();
        if !head.starts_with("http/1.1 200 ") {
            return Err(format!("answered {}", head.get(9..12).unwrap_or("nonsense")));
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let length = length.filter(|length| *length <= ANSWER_BYTES_MAX).ok_or("an answer without a length")?;
        Ok(self.answer.get(end + 4..end + 4 + length))
    }
}

/// One thread's listeners.
struct Pollers {
    task: Arc<Task>,
    thread: u64,
    epoll: std::os::fd::OwnedFd,
    seats: Vec<Option<Poller>>,
    due: BinaryHeap<Reverse<(Duration, u32)>>,
    segments: BTreeMap<u64, Box<[u8]>>,
    schedule: Schedule,
    told: Told,
    listening: u64,
    buffer: Box<[u8]>,
}

impl Pollers {
    fn new(task: Arc<Task>, thread: u64) -> io::Result<Self> {
        let mine = (task.crowd.listeners + task.threads - 1 - thread) / task.threads;
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            seats: (0..mine).map(|_| None).collect(),
            due: (0..mine).map(|n| Reverse((task.crowd.comes_at(n * task.threads + thread), n as u32))).collect(),
            segments: BTreeMap::new(),
            schedule: Schedule::default(),
            told: Told::default(),
            listening: 0,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            thread,
            task,
        })
    }

    fn run(mut self, tell: &Sender<io::Result<Told>>) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        let (mut second, mut busy, mut tick) = (0_u64, Duration::ZERO, self.now());
        loop {
            while self.now() >= Duration::from_secs(second + 1) {
                self.look_round();
                let mut told = std::mem::take(&mut self.told);
                (told.second.at_s, told.second.listening) = (second as u32, self.listening);
                told.second.busy_share = busy.as_secs_f64().min(1.0);
                (second, busy) = (second + 1, Duration::ZERO);
                if tell.send(Ok(told)).is_err() || Duration::from_secs(second) >= self.task.ends {
                    return Ok(());
                }
            }
            let now = self.now();
            while let Some(&Reverse((at, seat))) = self.due.peek()
                && at <= now
            {
                self.due.pop();
                self.turn(seat, at);
            }
            loop {
                events.clear();
                match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&rustix::time::Timespec::default())) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(why) => return Err(why.into()),
                }
                for event in &events {
                    let seat = event.data.u64() as u32;
                    if let Err(fault) = self.on_ready(seat) {
                        self.fail(seat, fault);
                    }
                }
                if events.len() < EVENTS || self.now() > now + 25 * TICK {
                    break;
                }
            }
            busy += self.now().saturating_sub(tick);
            tick = (tick + TICK).max(self.now());
            wait_until(self.task.began + tick);
        }
    }

    fn now(&self) -> Duration {
        self.task.began.elapsed()
    }

    /// Somebody comes, or their next poll is due; the one after that is a segment's length later.
    fn turn(&mut self, seat: u32, at: Duration) {
        self.due.push(Reverse((at + self.task.cadence, seat)));
        let (now, task) = (self.now(), self.task.clone());
        let outcome = match self.seats.get_mut(seat as usize) {
            Some(Some(poller)) if poller.asked == Asked::Nothing => poller.ask(&task, Asked::Playlist, now),
            // Who still waits asks no second time.
            Some(Some(_)) | None => Ok(()),
            Some(none) => {
                let from = (u64::from(seat) * task.threads + self.thread) % task.from.len().max(1) as u64;
                let wire = Wire::connect(task.address, task.from.get(from as usize).copied(), None);
                let wire = wire.and_then(|wire| {
                    epoll::add(&self.epoll, &wire, EventData::new_u64(u64::from(seat)), EventFlags::OUT)?;
                    Ok(wire)
                });
                wire.map_err(|why| format!("connecting: {}", why.kind())).map(|wire| {
                    let (asked, answer) = (Asked::Connection, Vec::new());
                    let socket = wire.into_socket();
                    *none =
                        Some(Poller { socket, asked, at: now, began: now, since: None, last: None, newest: 0, answer });
                })
            }
        };
        if let Err(fault) = outcome {
            self.fail(seat, fault);
        }
    }

    fn on_ready(&mut self, seat: u32) -> Result<(), String> {
        let (now, task) = (self.now(), self.task.clone());
        let Some(Some(poller)) = self.seats.get_mut(seat as usize) else { return Ok(()) };
        if poller.asked == Asked::Connection {
            let failed = poller.socket.take_error();
            failed.and_then(|why| why.map_or(Ok(()), Err)).map_err(|why| format!("connecting: {}", why.kind()))?;
            let _ = epoll::modify(&self.epoll, &poller.socket, EventData::new_u64(u64::from(seat)), EventFlags::IN);
            return poller.ask(&task, Asked::Playlist, now);
        }
        match poller.socket.read(&mut self.buffer) {
            Ok(0) => return Err("the server closed the connection".into()),
            Ok(bytes) => {
                self.told.second.bytes += bytes as u64;
                poller.answer.extend_from_slice(self.buffer.get(..bytes).unwrap_or_default());
            }
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(why) => return Err(format!("broken: {}", why.kind())),
        }
        let Some(body) = poller.body()? else { return Ok(()) };
        let next = match poller.asked {
            Asked::Playlist => {
                let (first, newest) = listed(body).ok_or("no playlist")?;
                poller.newest = newest;
                let next = poller.last.map_or(newest, |last| last + 1);
                if next < first {
                    return Err("a segment was gone before it was fetched".into());
                }
                next
            }
            Asked::Segment(number) => {
                if **self.segments.entry(number).or_insert_with(|| body.into()) != *body {
                    return Err("other bytes than others heard".into());
                }
                if self.segments.len() > SEGMENTS_KEPT {
                    self.segments.pop_first();
                }
                poller.last = Some(number);
                let ends = task.cadence * (number + 1) as u32;
                let since = *poller.since.get_or_insert_with(|| {
                    self.told.second.joined += 1;
                    self.told.second.join.add(now.saturating_sub(poller.began));
                    self.listening += 1;
                    now
                });
                if let Some(lateness) = self.schedule.lateness(now, ends, since) {
                    self.told.second.chunks += 1;
                    self.told.second.chunks_late += u64::from(lateness > task.cadence + GRACE);
                    // A segment may wait for the listener's next poll.
                    self.told.second.lateness.add(lateness.saturating_sub(task.cadence));
                }
                number + 1
            }
            Asked::Nothing | Asked::Connection => return Err("an answer that nobody asked for".into()),
        };
        if next > poller.newest {
            poller.asked = Asked::Nothing;
            return Ok(());
        }
        poller.ask(&task, Asked::Segment(next), now)
    }

    fn fail(&mut self, seat: u32, fault: String) {
        *self.told.faults.entry(fault).or_default() += 1;
        let was = self.seats.get_mut(seat as usize).and_then(Option::take);
        let heard = was.is_some_and(|poller| poller.since.is_some());
        self.listening -= u64::from(heard);
        self.told.second.left += u64::from(heard);
        self.told.second.failed += u64::from(!heard);
    }

    /// Once a second: who has waited for too long.
    fn look_round(&mut self) {
        let now = self.now();
        let waits = |poller: &Poller| poller.asked != Asked::Nothing && now.saturating_sub(poller.at) > PATIENCE;
        let impatient: Vec<_> =
            (0..).zip(&self.seats).filter(|(_, who)| who.as_ref().is_some_and(waits)).map(|(n, _)| n).collect();
        for seat in impatient {
            self.fail(seat, format!("no answer within {} s", PATIENCE.as_secs()));
        }
    }
}

/// The first and the last segment of a playlist (RFC 8216 §4.3.3.2: EXT-X-MEDIA-SEQUENCE), whose names end with their numbers.
fn listed(body: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(body).ok()?;
    let first = text.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"))?.parse().ok()?;
    let last = text.lines().rev().find(|line| !line.starts_with('#'))?;
    Some((first, last.strip_suffix(".m4s")?.parse().ok()?))
}
