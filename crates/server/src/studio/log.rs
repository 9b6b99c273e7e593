//! The log thread: everything that touches a log's files, away from the beat and from the live bus.
//!
//! A slow or full disk delays this thread and nothing else: live goes on, the recording says that it is paused.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use hiwar_engine::{Claim, SpaceLog};
use hiwar_segment_log::disk::{self, AppendError, Options, Recovered, Writer};
use hiwar_segment_log::{LogId, Record};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

/// Jobs that may wait: 10 s of 200 spaces. Past it the disk is not keeping up and recordings pause.
const WAITING_MAX: usize = 10_000;
/// Group fsync: what a power cut can take from a recording, and how often a disk is asked.
const SYNC_EVERY: Duration = Duration::from_millis(200);
/// Retention is by log segments of a minute; looking more often finds nothing.
const RETAIN_EVERY: Duration = Duration::from_secs(30);
/// A paused recording tries the disk again this often.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// What the log thread is asked.
pub enum Job {
    /// Become the one writer of a log.
    Claim { log: LogId, options: Options, reply: oneshot::Sender<Result<Recovered, disk::Error>> },
    /// One more record; where it stands is already decided.
    Append { log: LogId, record: Record },
    /// The log is complete: close it for good.
    Seal { log: LogId, reply: oneshot::Sender<Result<(), AppendError>> },
    /// Let go of a log, which is to be deleted. Deleting may take seconds, and is not done on this thread.
    Close { log: LogId, reply: oneshot::Sender<()> },
    /// The house ends: everything that was appended is to be on the disk, and all logs are let go of, as they are.
    LetGo { reply: oneshot::Sender<()> },
}

/// What the log thread tells.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// The disk is full or broken; nothing is recorded until it is not.
    Paused,
    /// Recording again; the gap is marked in the log.
    Resumed,
    /// The disk may have lost what it had taken. The log is let go of and can be claimed anew.
    Lost,
}

/// The sending end.
#[derive(Clone)]
pub struct Handle(SyncSender<Job>);

impl Handle {
    /// Never blocks. False: the queue is full and the job is dropped (a record's absence becomes a gap in the log).
    pub fn send(&self, job: Job) -> bool {
        match self.0.try_send(job) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

/// Starts the thread. `changed` is called on it.
pub fn start(logs: SpaceLog, changed: impl Fn(LogId, Change) + Send + 'static) -> std::io::Result<Handle> {
    let (sender, jobs) = sync_channel(WAITING_MAX);
    std::thread::Builder::new()
        .name("log".into())
        .spawn(move || Log { logs, open: HashMap::new(), changed: Box::new(changed) }.run(&jobs))?;
    Ok(Handle(sender))
}

struct Open {
    writer: Writer,
    dirty: bool,
    paused: Option<Instant>,
}

struct Log {
    logs: SpaceLog,
    open: HashMap<LogId, Open>,
    changed: Box<dyn Fn(LogId, Change) + Send>,
}

impl Log {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut sync_due = Instant::now() + SYNC_EVERY;
        let mut retain_due = Instant::now() + RETAIN_EVERY;
        loop {
            match jobs.recv_timeout(sync_due.saturating_duration_since(Instant::now())) {
                Ok(job) => {
                    self.work(job);
                    // Whatever came during the last sync is kept by the next: a disk that is slow gets larger bites, and the queue does not grow.
                    for job in jobs.try_iter().take(WAITING_MAX) {
                        self.work(job);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = Instant::now();
            if now >= sync_due {
                self.sync();
                sync_due = now + SYNC_EVERY;
            }
            if now >= retain_due {
                self.retain();
                retain_due = now + RETAIN_EVERY;
            }
        }
        self.sync();
    }

    fn work(&mut self, job: Job) {
        match job {
            Job::Claim { log, options, reply } => {
                let _ = reply.send(self.claim(log, options));
            }
            Job::Append { log, record } => self.append(log, &record),
            Job::Seal { log, reply } => {
                let sealed = match self.open.remove(&log) {
                    Some(mut open) => open.writer.seal(super::wall_us()),
                    None => Ok(()),
                };
                let _ = reply.send(sealed);
            }
            Job::Close { log, reply } => {
                self.open.remove(&log);
                let _ = reply.send(());
            }
            Job::LetGo { reply } => {
                self.sync();
                self.open.clear();
                let _ = reply.send(());
            }
        }
    }

    fn claim(&mut self, log: LogId, options: Options) -> Result<Recovered, disk::Error> {
        // One that is claimed anew while it is open is let go of first, or it would be locked.
        self.open.remove(&log);
        let Claim { writer, recovered } = self.logs.claim(log, options)?;
        if recovered.truncated_bytes > 0 {
            info!(%log, bytes = recovered.truncated_bytes, "moved a torn tail aside");
        }
        self.open.insert(log, Open { writer, dirty: false, paused: None });
        Ok(recovered)
    }

    fn append(&mut self, log: LogId, record: &Record) {
        let Some(open) = self.open.get_mut(&log) else { return };
        if open.paused.is_some_and(|since| since.elapsed() < RETRY_EVERY) {
            return;
        }
        match open.writer.append(record) {
            Ok(()) => {
                open.dirty = true;
                if open.paused.take().is_some() {
                    warn!(%log, "recording again; the gap is marked");
                    (self.changed)(log, Change::Resumed);
                }
            }
            // Made before the log was claimed anew: late, and no reason to stop.
            Err(AppendError::Fenced { current }) if record.epoch < current => {}
            Err(why @ (AppendError::Fenced { .. } | AppendError::Sealed)) => {
                error!(%log, "recording stops here: {why}");
                self.open.remove(&log);
                (self.changed)(log, Change::Paused);
            }
            Err(why @ (AppendError::Conflict { .. } | AppendError::TooLong)) => {
                warn!(%log, position = record.position.0, "a record is left out: {why}");
            }
            Err(why @ (AppendError::Full | AppendError::Io(_))) => pause(&self.changed, log, open, &why),
        }
    }

    fn sync(&mut self) {
        let changed = &self.changed;
        self.open.retain(|log, open| {
            if !std::mem::take(&mut open.dirty) {
                return true;
            }
            let Err(why) = open.writer.sync() else { return true };
            error!(%log, "the disk did not keep the recording: {why}");
            changed(*log, Change::Lost);
            // This claim is over (`Writer::sync`): the next one reads what is really there.
            false
        });
    }

    fn retain(&mut self) {
        let now = super::wall_us();
        for (log, open) in &mut self.open {
            if let Err(why) = open.writer.retain(now) {
                warn!(%log, "cannot remove old log segments: {why}");
            }
        }
    }
}

fn pause(changed: &(dyn Fn(LogId, Change) + Send), log: LogId, open: &mut Open, why: &dyn std::fmt::Display) {
    if open.paused.replace(Instant::now()).is_none() {
        error!(%log, "recording is paused: {why}");
        changed(log, Change::Paused);
    }
}
