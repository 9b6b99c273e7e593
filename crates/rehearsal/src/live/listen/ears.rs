//! The ears of one thread: an epoll that is asked every two milliseconds, and a listener in every seat.
//!
//! It is not woken by what comes: a generator that wakes for every chunk takes from the server, on the same machine, the time that is to be measured.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::Target;
use super::wire::{Moved, SCRATCH_BYTES, Secure, Wire};
use crate::crowd::Crowd;
use crate::live::wait_until;
use crate::playing::{Notices, Pieces, Playing};
use crate::report::{GRACE, Second};
use crate::schedule::Schedule;
use crate::stream::{Came, Fault, Format, Programme, Stream};

/// Between two looks at the sockets.
const TICK: Duration = Duration::from_millis(2);
/// For as long people come and leave before those who are there are heard.
const COMING: Duration = Duration::from_millis(10);
/// Reads of one socket in a turn: four megabytes, so that a server that sends without end is not listened to without end.
const READS: usize = 16;
/// Sockets looked at before the clock is: a turn takes about a millisecond.
const EVENTS: usize = 512;
/// Read at once: half a minute of sound.
const READ_BYTES: usize = 256 * 1024;
/// Whoever has no sound after so long was not let in. Longer than a lost SYN and its two repetitions take (RFC 6298: 1 and 2 s).
const PATIENCE: Duration = Duration::from_secs(10);
/// So long before the end nobody follows any more: they would be gone before they have heard, and the server would have counted them, and the crowd not.
const LAST: Duration = Duration::from_secs(1);
/// What is made at once, and at a longer cadence waits for others that go with it.
const CHUNK: Duration = Duration::from_millis(200);
/// Nobody tries again sooner, as the page's player does not.
const AGAIN: Duration = Duration::from_secs(1);

/// What all threads are told.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) target: Target,
    pub(super) secure: Option<Secure>,
    pub(super) crowd: Crowd,
    /// So often sound comes, if the server says nothing else.
    pub(super) cadence: Duration,
    pub(super) notices: Notices,
    /// Moment 0 of every time here.
    pub(super) began: Instant,
    pub(super) ends: Duration,
    /// When the conversation is to begin that they wait for.
    pub(super) starts: Option<Duration>,
    /// Which of so many threads has which listeners: number `n` belongs to thread `n % threads`.
    pub(super) threads: u64,
    /// Addresses to connect from, in turn; none: the system's choice.
    pub(super) from: Vec<IpAddr>,
}

/// What a thread tells of one second.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) second: Second,
    pub(super) faults: BTreeMap<String, u64>,
}

/// One thread's listeners.
pub(super) struct Ears {
    task: Arc<Task>,
    thread: u64,
    epoll: OwnedFd,
    seats: Vec<Seat>,
    /// Who comes or leaves when: time, seat and turn. What is of an earlier turn no longer counts.
    due: BinaryHeap<Reverse<(Duration, u32, u32)>>,
    programme: Programme,
    schedule: Schedule,
    request: Vec<u8>,
    told: Told,
    listening: u64,
    buffer: Box<[u8]>,
    scratch: Box<[u8]>,
}

/// One listener after another.
#[derive(Debug, Default)]
struct Seat {
    turn: u32,
    listener: Option<Listener>,
}

#[derive(Debug)]
struct Listener {
    wire: Wire,
    /// When it began to connect.
    began: Duration,
    watched: EventFlags,
    state: State,
    /// Has heard more than silence, if that was to be told.
    has_word: bool,
    pieces: Pieces,
    stream: Stream,
}

/// How far a listener is.
#[derive(Clone, Copy, Debug)]
enum State {
    Connecting,
    /// Has asked.
    Waiting,
    Hearing(Playing),
}

impl Ears {
    pub(super) fn new(task: Arc<Task>, thread: u64, format: Format, schedule: Schedule) -> io::Result<Self> {
        let mine = (task.crowd.listeners + task.threads - 1 - thread) / task.threads;
        let due = (0..mine).map(|seat| Reverse((task.crowd.comes_at(seat * task.threads + thread), seat as u32, 0)));
        let badge = task.target.badge.as_ref().map(|badge| format!("Hiwar-Rehearsal: {badge}\r\n")).unwrap_or_default();
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: hiwar-rehearsal/{}\r\n{badge}\r\n",
            task.target.path,
            task.target.authority,
            env!("CARGO_PKG_VERSION")
        );
        Ok(Self {
            thread,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            seats: (0..mine).map(|_| Seat::default()).collect(),
            due: due.collect(),
            programme: Programme::new(format),
            schedule,
            request: request.into_bytes(),
            told: Told::default(),
            listening: 0,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            task,
        })
    }

    /// Listens until the end, and tells of every second. Returns the schedule as it was heard.
    ///
    /// # Errors
    /// If epoll fails.
    pub(super) fn run(mut self, tell: &Sender<io::Result<Told>>) -> io::Result<Schedule> {
        let mut events = Vec::with_capacity(EVENTS);
        let (mut second, mut busy) = (0, Duration::ZERO);
        let mut tick = self.now();
        loop {
            let began = self.now();
            while began >= Duration::from_secs(second + 1) {
                self.look_round(began);
                if Duration::from_secs(second + 1) >= self.task.ends {
                    self.account(began);
                }
                let mut told = std::mem::take(&mut self.told);
                told.second.at_s = second as u32;
                told.second.listening = self.listening;
                told.second.chunks_lean = self.programme.lean();
                told.second.busy_share = busy.as_secs_f64().min(1.0);
                (second, busy) = (second + 1, Duration::ZERO);
                if tell.send(Ok(told)).is_err() || Duration::from_secs(second) >= self.task.ends {
                    return Ok(self.schedule);
                }
            }
            self.come_and_leave(began);
            self.hear(&mut events)?;
            let now = self.now();
            // Since this turn was to begin: a thread that is ready and has no processor hears late, too.
            busy += now.saturating_sub(tick);
            // Without catching up: what was missed while the machine was busy is gone.
            tick = (tick + TICK).max(now);
            wait_until(self.task.began + tick);
        }
    }

    fn now(&self) -> Duration {
        self.task.began.elapsed()
    }

    /// Everything that has come, each listener once in a turn.
    fn hear(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        let until = self.now() + Duration::from_millis(100);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(events), Some(&rustix::time::Timespec::default())) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(why) => return Err(why.into()),
            }
            for event in &*events {
                self.on_ready(event.data.u64() as usize, event.flags);
            }
            // With fewer, everyone was there; and who comes must not wait for ever.
            if events.len() < EVENTS || self.now() > until {
                return Ok(());
            }
        }
    }

    fn come_and_leave(&mut self, now: Duration) {
        while let Some(&Reverse((at, seat, turn))) = self.due.peek()
            && at <= now
        {
            // Those who are there are heard between.
            if self.now() > now + COMING {
                return;
            }
            self.due.pop();
            let Some(sitting) = self.seats.get_mut(seat as usize) else { continue };
            if sitting.turn != turn {
                continue;
            }
            if sitting.listener.is_none() {
                self.come(seat);
            } else {
                self.told.second.left += 1;
                self.follow(seat, now, Duration::ZERO);
            }
        }
    }

    /// Empties a seat; somebody takes it later.
    fn follow(&mut self, seat: u32, now: Duration, pause: Duration) {
        let number = self.number(seat);
        let Some(sitting) = self.seats.get_mut(seat as usize) else { return };
        if let Some(Listener { state: State::Hearing(playing), .. }) = sitting.listener.take() {
            self.listening -= 1;
            self.told.second.stall.add(playing.stood(now));
        }
        sitting.turn += 1;
        let at = now + pause + self.task.crowd.followed_after(number, u64::from(sitting.turn));
        if at + LAST < self.task.ends {
            self.due.push(Reverse((at, seat, sitting.turn)));
        }
    }

    /// Somebody was not let in, or hears no more.
    fn fail(&mut self, seat: u32, now: Duration, fault: String) {
        let state = self.seats.get(seat as usize).and_then(|sitting| Some(sitting.listener.as_ref()?.state));
        match state {
            Some(State::Hearing(_)) => self.told.second.left += 1,
            _ => self.told.second.failed += 1,
        }
        self.note(fault);
        self.follow(seat, now, AGAIN);
    }

    fn note(&mut self, fault: String) {
        *self.told.faults.entry(fault).or_default() += 1;
    }

    fn number(&self, seat: u32) -> u64 {
        u64::from(seat) * self.task.threads + self.thread
    }

    /// Somebody has heard the first sound, and stays for as long as they do.
    fn stay(&mut self, seat: u32, now: Duration) {
        let turn = self.seats.get(seat as usize).map_or(0, |sitting| sitting.turn);
        if let Some(stay) = self.task.crowd.stays(self.number(seat), u64::from(turn)) {
            self.due.push(Reverse((now + stay, seat, turn)));
        }
    }

    fn come(&mut self, seat: u32) {
        let now = self.now();
        let from = match self.task.from.len() as u64 {
            0 => None,
            addresses => self.task.from.get((self.number(seat) % addresses) as usize).copied(),
        };
        let watched = EventFlags::OUT;
        let wire = Wire::connect(self.task.target.address, from, self.task.secure.as_ref());
        let wire = wire.and_then(|wire| {
            epoll::add(&self.epoll, &wire, EventData::new_u64(u64::from(seat)), watched)?;
            Ok(wire)
        });
        match wire {
            Ok(wire) => {
                let listener = Listener {
                    wire,
                    began: now,
                    watched,
                    state: State::Connecting,
                    has_word: false,
                    pieces: Pieces::new(self.task.cadence),
                    stream: Stream::default(),
                };
                if let Some(sitting) = self.seats.get_mut(seat as usize) {
                    sitting.listener = Some(listener);
                }
            }
            Err(why) => self.fail(seat, now, format!("connecting: {}", what(&why))),
        }
    }

    fn on_ready(&mut self, seat: usize, flags: EventFlags) {
        let now = self.now();
        let Some(listener) = self.seats.get_mut(seat).and_then(|sitting| sitting.listener.as_mut()) else { return };
        let outcome = match listener.state {
            State::Connecting => match listener.wire.ask(&self.request) {
                Ok(()) => {
                    listener.state = State::Waiting;
                    Ok(())
                }
                Err(why) => Err(format!("connecting: {}", what(&why))),
            },
            _ => match if flags.contains(EventFlags::OUT) { listener.wire.flush() } else { Ok(()) } {
                Ok(()) => self.read(seat, now),
                Err(why) => Err(format!("broken: {}", what(&why))),
            },
        };
        if let Err(fault) = outcome {
            self.fail(seat as u32, now, fault);
            return;
        }
        let Some(listener) = self.seats.get_mut(seat).and_then(|sitting| sitting.listener.as_mut()) else { return };
        let watched = if listener.wire.wants_write() { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        if listener.watched != watched {
            listener.watched = watched;
            let _ = epoll::modify(&self.epoll, &listener.wire, EventData::new_u64(seat as u64), watched);
        }
    }

    fn read(&mut self, seat: usize, now: Duration) -> Result<(), String> {
        let mut is_oldest = true;
        // What is left after them, epoll tells again: neither the socket nor TLS keeps anything that a read of this size did not fetch.
        for _ in 0..READS {
            let Some(Seat { listener: Some(listener), .. }) = self.seats.get_mut(seat) else { return Ok(()) };
            let bytes = match listener.wire.read(&mut self.buffer, &mut self.scratch) {
                Moved::Bytes(bytes) => bytes,
                Moved::Later => return Ok(()),
                Moved::End => return Err("the server closed the connection".into()),
                Moved::Broken(why) => return Err(format!("broken: {}", what(&why))),
            };
            self.told.second.bytes += bytes as u64;
            let read = self.buffer.get(..bytes).unwrap_or_default();
            let Listener { state, has_word, pieces, began, .. } = listener;
            let was_hearing = matches!(state, State::Hearing(_));
            let (told, schedule, listening) = (&mut self.told, &mut self.schedule, &mut self.listening);
            let (task, mut gaps) = (&*self.task, 0);
            let taken = listener.stream.take(read, &mut self.programme, |came| match came {
                Ok(Came::Sound(heard)) => {
                    if let Some(starts) = task.starts.filter(|_| heard.sounds && !std::mem::replace(has_word, true)) {
                        match now.checked_sub(starts) {
                            Some(later) => told.second.first_word.add(later),
                            None => told.second.words_early += 1,
                        }
                    }
                    let since = match state {
                        State::Hearing(playing) => {
                            playing.heard(now, heard);
                            playing.since()
                        }
                        State::Connecting | State::Waiting => {
                            told.second.joined += 1;
                            told.second.join.add(now.saturating_sub(*began));
                            *listening += 1;
                            let length = match task.notices {
                                Notices::Follow => pieces.length(),
                                Notices::Ignore => task.cadence,
                            };
                            *state = State::Hearing(Playing::new(now, heard, length));
                            now
                        }
                    };
                    // What was due before their first sound is the burst for who joins late, and was never due to them.
                    if let Some(lateness) = schedule.lateness(now, heard.ends, since) {
                        told.second.chunks += 1;
                        let lateness_max = pieces.lateness_max(now.saturating_sub(lateness));
                        let is_late = lateness > lateness_max;
                        // The oldest of what is written at once has waited for as long as a cadence less itself, as it is meant to: what is more is late.
                        if std::mem::take(&mut is_oldest) {
                            told.second.lateness.add((lateness + GRACE + CHUNK).saturating_sub(lateness_max));
                        }
                        told.second.chunks_late += u64::from(is_late);
                    }
                }
                Ok(Came::Cadence(cadence)) => {
                    if cadence.notice.is_none() {
                        pieces.become_so(now, cadence.length);
                    }
                    if let (State::Hearing(playing), Notices::Follow) = (&mut *state, task.notices) {
                        playing.told(now, cadence);
                    }
                }
                Err(_) => gaps += 1,
            });
            let has_joined = !was_hearing && matches!(state, State::Hearing(_));
            for _ in 0..gaps {
                self.note(name(Fault::Gap));
            }
            if has_joined {
                self.stay(seat as u32, now);
            }
            taken.map_err(name)?;
            // Less than was asked for: that was all. (Of TLS, less than half: the rest may be a record that is not whole yet.)
            let asked = if self.task.secure.is_some() { self.scratch.len() / 2 } else { self.buffer.len() };
            if bytes < asked {
                return Ok(());
            }
        }
        Ok(())
    }

    /// At the end: how long each of those who are still there has stood still.
    fn account(&mut self, now: Duration) {
        for sitting in &self.seats {
            if let Some(Listener { state: State::Hearing(playing), .. }) = &sitting.listener {
                self.told.second.stall.add(playing.stood(now));
            }
        }
    }

    /// Once a second: who stands still, and who has waited for too long.
    fn look_round(&mut self, now: Duration) {
        let mut impatient = Vec::new();
        for (seat, sitting) in self.seats.iter().enumerate() {
            let Some(listener) = &sitting.listener else { continue };
            match listener.state {
                State::Hearing(playing) => {
                    let second = &mut self.told.second;
                    second.stalled += u64::from(playing.stands(now));
                    let cadence_ms = listener.pieces.length().as_millis() as u64;
                    second.cadence_ms = second.cadence_ms.max(cadence_ms);
                }
                State::Connecting | State::Waiting if now.saturating_sub(listener.began) > PATIENCE => {
                    impatient.push(seat as u32);
                }
                State::Connecting | State::Waiting => {}
            }
        }
        for seat in impatient {
            self.fail(seat, now, format!("no sound within {} s", PATIENCE.as_secs()));
        }
    }
}

/// In few words, without a listener's address: many of a kind are counted together.
fn what(why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::ConnectionRefused => "refused".into(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "reset".into(),
        io::ErrorKind::TimedOut => "timed out".into(),
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable => "no address or port left here".into(),
        _ if why.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => "too many open files here".into(),
        _ => why.to_string(),
    }
}

fn name(fault: Fault) -> String {
    match fault {
        Fault::Status(status) => format!("answered {status}"),
        Fault::Malformed => "no stream of sound".into(),
        Fault::WrongBytes => "other bytes than others heard".into(),
        Fault::Gap => "sound was left out or repeated".into(),
    }
}
