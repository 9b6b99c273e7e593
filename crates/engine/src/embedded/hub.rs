//! The house's end of the live bus: one thread that accepts workers and writes to all of them.
//!
//! Law: a publisher never waits for a worker. It encodes once, leaves the frame in a queue under a lock that is held for microseconds,
//! and wakes the thread; frames are shared, not copied, between workers. A worker that falls behind is cut, and so is every worker if
//! this thread itself cannot keep up: on connecting again they are told what stands.

use bytes::{Buf, Bytes, BytesMut};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::live_bus::frame::{self, LENGTH_BYTES, PREFACE, UP_FRAME_BYTES_MAX};
use crate::live_bus::{Board, Down, Up};

/// The bus's thread. Dropping it hands out what was published, as far as workers take it at once, closes every connection and ends the thread.
#[derive(Debug)]
pub struct Hub {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Hub {
    /// Serves workers that connect to `listener`. What they say, and that they came and went, arrives at the receiver, whose queue
    /// holds a thousand reports: those beyond are dropped and counted.
    ///
    /// # Errors
    /// Those of making an event descriptor and a thread.
    pub fn spawn(listener: UnixListener) -> io::Result<(Self, Receiver<Report>)> {
        listener.set_nonblocking(true)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let shared = Arc::new(Shared { desk: Mutex::default(), wake, counters: Counters::default() });
        let (reports, receiver) = sync_channel(REPORTS_MAX);
        let floor = Floor {
            shared: shared.clone(),
            listener,
            workers: Vec::new(),
            next_id: 0,
            marks: VecDeque::new(),
            next_mark: 0,
            reports,
        };
        let thread = std::thread::Builder::new().name("live-bus".into()).spawn(move || floor.run())?;
        Ok((Self { shared, thread: Some(thread) }, receiver))
    }

    /// A handle to publish with; as many as there are threads that do.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        Publisher(self.shared.clone())
    }

    /// Counters since the hub began.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.counters.read()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shared.desk().stop = true;
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            // A panic in it was reported by the panic hook; there is nothing left to do here.
            let _ = thread.join();
        }
    }
}

/// Publishes to every worker. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher(Arc<Shared>);

impl Publisher {
    /// Tells every worker, now and those to come. Never waits, never fails the caller: a message that does not fit a frame is logged
    /// and counted.
    pub fn publish(&self, down: Down) {
        let Ok(frame) = frame::encode_down(&down) else {
            self.0.counters.too_long.fetch_add(1, Ordering::Relaxed);
            tracing::error!("a message for the live bus is too long and was left out");
            return;
        };
        let mut desk = self.0.desk();
        desk.board.note(down, &frame);
        desk.queued_bytes += frame.len();
        desk.queue.push_back(frame);
        if desk.queued_bytes > QUEUE_BYTES_MAX {
            desk.queue.clear();
            desk.queued_bytes = 0;
            desk.overflowed = true;
        }
        drop(desk);
        self.0.wake();
    }

    /// Calls `then` once when every worker that is connected answers with what was published before, or is gone. On the bus's own thread, so it must be
    /// short; at once if 1,024 wait already. A worker that owes an answer for a second is waited for no longer until it gives one.
    pub fn when_told(&self, then: impl FnOnce() + Send + 'static) {
        let mut desk = self.0.desk();
        if desk.asking.len() + desk.waiting >= WAITING_MAX {
            drop(desk);
            return then();
        }
        desk.asking.push(Then(Box::new(then)));
        drop(desk);
        self.0.wake();
    }
}

/// What somebody does when workers have been told.
struct Then(Box<dyn FnOnce() + Send>);

impl fmt::Debug for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Then")
    }
}

/// Some wait until workers have been told.
struct Mark {
    mark: u64,
    given: Instant,
    waits_for: Vec<WorkerId>,
    then: Vec<Then>,
}

/// What the hub tells the house.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A worker connected, by this process, as far as that is known.
    Joined(WorkerId, Option<i32>),
    /// A worker said something.
    Up(WorkerId, Up),
    /// A worker's connection is over; what it counted counts no more.
    Left(WorkerId, Left),
}

/// One connection of a worker; never given twice by one hub.
#[derive(Debug, Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u64);

/// Why a connection is over.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Left {
    /// The worker closed it or died.
    Closed,
    /// It fell more than 4 MiB behind and was cut.
    Slow,
    /// It sent what no worker of ours sends and was cut.
    Malformed,
    /// It speaks another version of the bus.
    Version,
}

/// Counters since the hub began, but for `workers`.
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Workers connected now.
    pub workers: u64,
    /// Workers cut because they fell behind.
    pub cut_slow: u64,
    /// Workers cut because of what they sent.
    pub cut_malformed: u64,
    /// Times that the hub's own queue overflowed and everyone was cut.
    pub overflows: u64,
    /// Messages left out because they were too long.
    pub too_long: u64,
    /// Reports left out because nobody received them.
    pub reports_dropped: u64,
}

#[derive(Debug, Default)]
struct Counters {
    workers: AtomicU64,
    cut_slow: AtomicU64,
    cut_malformed: AtomicU64,
    overflows: AtomicU64,
    too_long: AtomicU64,
    reports_dropped: AtomicU64,
}

impl Counters {
    fn read(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            workers: read(&self.workers),
            cut_slow: read(&self.cut_slow),
            cut_malformed: read(&self.cut_malformed),
            overflows: read(&self.overflows),
            too_long: read(&self.too_long),
            reports_dropped: read(&self.reports_dropped),
        }
    }
}

#[derive(Debug)]
struct Shared {
    desk: Mutex<Desk>,
    wake: OwnedFd,
    counters: Counters,
}

/// Where publishers leave frames and the thread takes them.
#[derive(Debug, Default)]
struct Desk {
    board: Board,
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    /// Who wants to know when all that was published is told.
    asking: Vec<Then>,
    /// How many wait for a mark that was handed out.
    waiting: usize,
    overflowed: bool,
    stop: bool,
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Nothing panics while it holds the desk; if something did, its frames are still frames.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // Full means that it is awake already.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }
}

/// The thread and its workers.
struct Floor {
    shared: Arc<Shared>,
    listener: UnixListener,
    workers: Vec<Worker>,
    next_id: u64,
    /// Handed out, and not reached by everyone; oldest first.
    marks: VecDeque<Mark>,
    next_mark: u64,
    reports: SyncSender<Report>,
}

impl Floor {
    fn run(mut self) {
        loop {
            let accept = match self.wait() {
                Ok(accept) => accept,
                Err(error) => {
                    tracing::error!(%error, "the live bus cannot wait for its workers; it stops");
                    return;
                }
            };
            let newcomers = if accept { self.accept() } else { Vec::new() };
            let goes_on = self.hand_out(newcomers);
            self.exchange();
            if !goes_on {
                return;
            }
        }
    }

    /// Waits until there is something to do. True if a worker may be waiting to be accepted.
    fn wait(&mut self) -> io::Result<bool> {
        let mut fds = Vec::with_capacity(self.workers.len() + 2);
        fds.push(PollFd::new(&self.shared.wake, PollFlags::IN));
        fds.push(PollFd::new(&self.listener, PollFlags::IN));
        for worker in &self.workers {
            let out = if worker.queue.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            fds.push(PollFd::new(&worker.stream, PollFlags::IN | out));
        }
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        for (worker, ready) in self.workers.iter_mut().zip(ready.iter().skip(2)) {
            worker.ready = *ready;
        }
        if ready.first() == Some(&true) {
            let mut count = [0; 8];
            let _ = rustix::io::read(&self.shared.wake, &mut count);
        }
        Ok(ready.get(1) == Some(&true))
    }

    fn accept(&mut self) -> Vec<UnixStream> {
        let mut newcomers = Vec::new();
        while newcomers.len() < ACCEPTS_MAX {
            match self.listener.accept() {
                Ok((stream, _)) if self.workers.len() + newcomers.len() < WORKERS_MAX => {
                    if stream.set_nonblocking(true).is_ok() {
                        newcomers.push(stream);
                    }
                }
                // Closed at once: it will try again.
                Ok(_) => {}
                Err(error) => {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        tracing::error!(%error, "the live bus cannot accept a worker");
                        // Out of descriptors, most likely: give the rest of the house a turn before the next try.
                        std::thread::park_timeout(std::time::Duration::from_millis(50));
                    }
                    break;
                }
            }
        }
        newcomers
    }

    /// Takes what was published and queues it: the new frames to who was here, what stands to who just came. False: stop.
    fn hand_out(&mut self, newcomers: Vec<UnixStream>) -> bool {
        let mut desk = self.shared.desk();
        let stop = desk.stop;
        let published = std::mem::take(&mut desk.queue);
        desk.queued_bytes = 0;
        let overflowed = std::mem::take(&mut desk.overflowed);
        let asking = std::mem::take(&mut desk.asking);
        desk.waiting = asking.len() + self.marks.iter().map(|mark| mark.then.len()).sum::<usize>();
        let standing: Vec<Bytes> = if newcomers.is_empty() { Vec::new() } else { desk.board.snapshot().collect() };
        drop(desk);

        if overflowed {
            self.shared.counters.overflows.fetch_add(1, Ordering::Relaxed);
            tracing::warn!("the live bus fell behind its publishers; every worker is cut and told anew");
        }
        for worker in &mut self.workers {
            if overflowed {
                worker.left = worker.left.or(Some(Left::Slow));
            }
            for frame in &published {
                worker.push(frame.clone());
            }
        }
        if !asking.is_empty() {
            // Who is late is not waited for again.
            self.answer_who_waits();
            self.hand_out_mark(asking);
        }
        for stream in newcomers {
            let id = WorkerId(self.next_id);
            self.next_id += 1;
            // By the kernel's word: whatever a worker said of itself would be no better.
            let process =
                rustix::net::sockopt::socket_peercred(&stream).ok().map(|peer| peer.pid.as_raw_nonzero().get());
            self.workers.push(Worker::new(id, stream, &standing));
            self.report(Report::Joined(id, process));
        }
        !stop
    }

    fn exchange(&mut self) {
        let mut at = 0;
        while let Some(worker) = self.workers.get_mut(at) {
            let mut said = Vec::new();
            if worker.ready && worker.left.is_none() {
                worker.ready = false;
                worker.left = worker.receive(&mut said).err();
            }
            if worker.left.is_none() {
                worker.left = worker.send().err();
            }
            let (id, left) = (worker.id, worker.left);
            for up in said {
                match up {
                    Up::Reached { mark } => self.reached(id, Some(mark)),
                    up => self.report(Report::Up(id, up)),
                }
            }
            match left {
                Some(left) => self.part(at, left),
                None => at += 1,
            }
        }
        self.shared.counters.workers.store(self.workers.len() as u64, Ordering::Relaxed);
        self.answer_who_waits();
    }

    /// One mark for all who ask at the same time.
    fn hand_out_mark(&mut self, then: Vec<Then>) {
        let mark = self.next_mark;
        self.next_mark += 1;
        // Always fits: it is a number.
        let Ok(frame) = frame::encode_down(&Down::Mark { mark }) else { return };
        for worker in &mut self.workers {
            worker.push(frame.clone());
        }
        let waits_for = self.workers.iter().filter(|worker| !worker.is_late).map(|worker| worker.id).collect();
        self.marks.push_back(Mark { mark, given: Instant::now(), waits_for, then });
    }

    /// Calls back for every mark that was reached, or waited for long enough.
    fn answer_who_waits(&mut self) {
        let mut left = VecDeque::new();
        for mark in self.marks.drain(..) {
            if mark.waits_for.is_empty() {
                mark.then.into_iter().for_each(|then| (then.0)());
            } else if mark.given.elapsed() > LATE {
                for worker in self.workers.iter_mut().filter(|worker| mark.waits_for.contains(&worker.id)) {
                    worker.is_late = true;
                }
                mark.then.into_iter().for_each(|then| (then.0)());
            } else {
                left.push_back(mark);
            }
        }
        self.marks = left;
    }

    /// A worker answers with all that it was told before a mark; without one, it is gone.
    fn reached(&mut self, worker: WorkerId, mark: Option<u64>) {
        for waiting in self.marks.iter_mut().filter(|waiting| mark.is_none_or(|mark| waiting.mark == mark)) {
            waiting.waits_for.retain(|id| *id != worker);
        }
        if let Some(worker) = self.workers.iter_mut().find(|known| known.id == worker && mark.is_some()) {
            worker.is_late = false;
        }
    }

    fn part(&mut self, at: usize, left: Left) {
        let worker = self.workers.swap_remove(at);
        self.reached(worker.id, None);
        let counters = &self.shared.counters;
        match left {
            Left::Closed => tracing::debug!(worker = worker.id.0, "a worker left the live bus"),
            Left::Slow => {
                counters.cut_slow.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    worker = worker.id.0,
                    behind = worker.behind(),
                    "a slow worker was cut from the live bus"
                );
            }
            Left::Version => {
                tracing::info!(worker = worker.id.0, "a worker of another version left the live bus");
            }
            Left::Malformed => {
                counters.cut_malformed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(worker = worker.id.0, "a worker sent a malformed frame and was cut from the live bus");
            }
        }
        self.report(Report::Left(worker.id, left));
    }

    fn report(&self, report: Report) {
        if self.reports.try_send(report).is_err() {
            self.shared.counters.reports_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One worker's connection.
struct Worker {
    id: WorkerId,
    stream: UnixStream,
    /// Frames to send; the first may be sent in part and then begins in the middle.
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    /// Of those, bytes of what stood when it connected: it is not behind for not having read them yet.
    standing_bytes: usize,
    received: BytesMut,
    /// Whether it has said who it is.
    introduced: bool,
    ready: bool,
    /// It did not answer a mark in time, and has answered none since.
    is_late: bool,
    left: Option<Left>,
}

impl Worker {
    fn new(id: WorkerId, stream: UnixStream, standing: &[Bytes]) -> Self {
        let queue: VecDeque<Bytes> =
            std::iter::once(Bytes::from_static(&PREFACE)).chain(standing.iter().cloned()).collect();
        let bytes = queue.iter().map(Bytes::len).sum();
        let received = BytesMut::new();
        Self {
            id,
            stream,
            queue,
            queued_bytes: bytes,
            standing_bytes: bytes,
            received,
            introduced: false,
            ready: false,
            is_late: false,
            left: None,
        }
    }

    fn push(&mut self, frame: Bytes) {
        self.queued_bytes += frame.len();
        self.queue.push_back(frame);
        if self.behind() > BEHIND_BYTES_MAX {
            self.left = self.left.or(Some(Left::Slow));
        }
    }

    fn behind(&self) -> usize {
        self.queued_bytes - self.standing_bytes
    }

    fn send(&mut self) -> Result<(), Left> {
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = self.queue.len().min(SLICES_MAX);
            for (slice, frame) in slices.iter_mut().zip(&self.queue) {
                *slice = IoSlice::new(frame);
            }
            match self.stream.write_vectored(&slices[..count]) {
                Ok(0) => return Err(Left::Closed),
                Ok(sent) => self.sent(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Left::Closed),
            }
        }
        Ok(())
    }

    fn sent(&mut self, mut bytes: usize) {
        self.queued_bytes -= bytes;
        self.standing_bytes = self.standing_bytes.saturating_sub(bytes);
        while let Some(first) = self.queue.front_mut() {
            if first.len() > bytes {
                first.advance(bytes);
                return;
            }
            bytes -= first.len();
            self.queue.pop_front();
        }
    }

    fn receive(&mut self, said: &mut Vec<Up>) -> Result<(), Left> {
        let mut buffer = [0; 16 << 10];
        // A worker that never stops talking gets its next turn with the others.
        for _ in 0..READS_MAX {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(Left::Closed),
                Ok(read) => self.received.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(Left::Closed),
            }
            if !self.introduced {
                match frame::is_ours(&self.received) {
                    None => continue,
                    Some(false) => return Err(Left::Version),
                    Some(true) => self.received.advance(PREFACE.len()),
                }
                self.introduced = true;
            }
            while let Some(len) = frame::frame_len(&self.received, UP_FRAME_BYTES_MAX).map_err(|_| Left::Malformed)? {
                if self.received.len() < len {
                    break;
                }
                let frame = self.received.split_to(len).freeze().slice(LENGTH_BYTES..);
                said.push(frame::decode_up(frame).map_err(|_| Left::Malformed)?);
            }
        }
        Ok(())
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Slow => "too slow",
            Self::Malformed => "malformed frame",
            Self::Version => "another version",
        })
    }
}

/// How far a worker may fall behind: some ten seconds of two hundred spaces. After that, telling it anew is faster than catching up.
const BEHIND_BYTES_MAX: usize = 4 << 20;

/// What may wait for the hub's thread: documents of a whole house at once. Beyond, the thread is not getting its turns.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// A worker per core, and room for edges to come; the list is walked at every publication.
const WORKERS_MAX: usize = 1_024;
const ACCEPTS_MAX: usize = 64;
const REPORTS_MAX: usize = 1_024;
/// More than answers under way in a house.
const WAITING_MAX: usize = 1_024;
/// Longer than any worker that runs takes to answer a mark; nobody waits longer.
const LATE: Duration = Duration::from_secs(1);
const SLICES_MAX: usize = 64;
const READS_MAX: usize = 16;
