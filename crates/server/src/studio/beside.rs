//! What is made beside a space's chunks while somebody wants it, by threads that may be late: MP3 ([`super::radio`]) and lean forms ([`super::lean`]).
//!
//! Each has a queue that nobody waits for. What it makes, and who wants it, it knows itself.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use hiwar_engine::live_bus::WorkerId;
use hiwar_segment_log::{LogId, Record};

/// It goes on so long after nobody wants it any more: a listener that changes networks, or a page that is reloaded, is back by then.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// Jobs that may wait: ten seconds of 200 spaces.
const WAITING_MAX: usize = 10_000;
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the thread is asked.
enum Job {
    Chunk { space: LogId, record: Record },
    Wanted { worker: WorkerId, spaces: Vec<LogId> },
    End { space: LogId },
}

/// One thing that is made.
pub(super) trait Make: Send + 'static {
    /// What its thread is called.
    const THREAD: &'static str;
    /// Its priority.
    const NICE: i32;
    /// The next chunk of a space, as the live bus has it.
    fn chunk(&mut self, space: LogId, record: Record);
    /// A worker wants what is made of these, and of no other. Workers say so every second.
    fn wanted(&mut self, worker: WorkerId, spaces: Vec<LogId>);
    /// A space is over; its last chunk was sent before.
    fn end(&mut self, space: LogId);
    /// About once a second.
    fn look(&mut self, now: Instant);
}

/// The sending end.
#[derive(Clone)]
pub(super) struct Handle(SyncSender<Job>);

impl Handle {
    /// As [`Make::chunk`]. Never blocks; a thread that is too far behind misses it.
    pub(super) fn chunk(&self, space: LogId, record: Record) {
        self.send(Job::Chunk { space, record });
    }

    /// As [`Make::wanted`]. What is missed is told again in a second.
    pub(super) fn wanted(&self, worker: WorkerId, spaces: Vec<LogId>) {
        self.send(Job::Wanted { worker, spaces });
    }

    /// As [`Make::end`]. False: the thread is too far behind, and does not hear of it.
    pub(super) fn end(&self, space: LogId) -> bool {
        self.send(Job::End { space })
    }

    fn send(&self, job: Job) -> bool {
        self.0.try_send(job).is_ok()
    }
}

/// The other end.
pub(super) struct Jobs(Receiver<Job>);

/// The queue to the thread, which can begin when there is a studio.
pub(super) fn queue() -> (Handle, Jobs) {
    let (sender, jobs) = sync_channel(WAITING_MAX);
    (Handle(sender), Jobs(jobs))
}

/// Starts the thread.
pub(super) fn start<M: Make>(make: M, jobs: Jobs) -> io::Result<()> {
    let run = move || {
        // The house runs before the workers; these need not run before anybody. Lowering is always allowed.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), M::NICE);
        run(make, &jobs.0);
    };
    std::thread::Builder::new().name(M::THREAD.into()).spawn(run).map(drop)
}

fn run(mut make: impl Make, jobs: &Receiver<Job>) {
    let mut look_due = Instant::now() + LOOK_EVERY;
    loop {
        match jobs.recv_timeout(look_due.saturating_duration_since(Instant::now())) {
            Ok(Job::Chunk { space, record }) => make.chunk(space, record),
            Ok(Job::Wanted { worker, spaces }) => make.wanted(worker, spaces),
            Ok(Job::End { space }) => make.end(space),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        if now >= look_due {
            make.look(now);
            look_due = now + LOOK_EVERY;
        }
    }
}
