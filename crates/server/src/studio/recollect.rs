//! What a dead house took with it: chunks that were heard and are not in the log. The workers have them, and give them back to the next house.
//!
//! Asked once for each log, as the house begins, and waited for only as long as workers need to find the new house and to answer: one that is stuck
//! delays all conversations together by no more than that.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hiwar_engine::live_bus::{Down, Publisher, WorkerId};
use hiwar_media::Time;
use hiwar_segment_log::{Epoch, LogId, Position, Record};
use tokio::sync::oneshot;

use super::control::Origin;

/// How long after its beginning a house expects workers to find it. They look for it every 50 ms.
const WORKERS_WAIT: Duration = Duration::from_millis(600);
/// How long a worker that has found it may take to answer. Reading the log may have taken longer than they needed.
const ANSWER_WAIT: Duration = Duration::from_millis(250);

/// The questions of one house.
#[derive(Debug)]
pub(super) struct Recollection {
    found_by: Instant,
    desk: Mutex<Desk>,
}

#[derive(Debug)]
struct Desk {
    awaited: Awaited,
    asked: HashMap<LogId, Asked>,
}

/// Whose answers are waited for.
#[derive(Debug)]
enum Awaited {
    /// So many workers, whoever they are.
    Count(usize),
    /// These: one that did not answer once is not waited for again.
    Those(HashSet<WorkerId>),
}

#[derive(Debug)]
struct Asked {
    answered: HashSet<WorkerId>,
    /// By position. Of two writers' chunks the newer writer's: the older had been replaced.
    records: BTreeMap<u64, Record>,
    /// Fires when every worker has answered.
    done: Option<oneshot::Sender<()>>,
}

impl Recollection {
    /// For a house that begins now and has so many workers.
    pub(super) fn new(workers: usize) -> Self {
        let desk = Desk { awaited: Awaited::Count(workers), asked: HashMap::new() };
        Self { found_by: Instant::now() + WORKERS_WAIT, desk: desk.into() }
    }

    /// Asks all workers for what follows the end of a log. To be called before the log is opened.
    pub(super) async fn ask(&self, publisher: &Publisher, log: LogId, end: End) -> Vec<Record> {
        let (done, answered) = oneshot::channel();
        self.lock().expect(log, done);
        publisher.publish(Down::Ask { log, from: end.next });
        let until = self.found_by.max(Instant::now() + ANSWER_WAIT);
        let late = tokio::time::timeout_at(until.into(), answered).await.is_err();
        let mut desk = self.lock();
        let Some(asked) = desk.asked.remove(&log) else { return Vec::new() };
        if late {
            tracing::warn!(space = %log, answered = asked.answered.len(), "a worker did not say what it has");
            desk.awaited = Awaited::Those(asked.answered);
        }
        drop(desk);
        following(end, asked.records.into_values())
    }

    /// A worker has answered.
    pub(super) fn answered(&self, worker: WorkerId, log: &LogId, records: Vec<Record>) {
        let mut desk = self.lock();
        let Some(asked) = desk.asked.get_mut(log) else { return };
        asked.answered.insert(worker);
        for record in records {
            let newer = asked.records.get(&record.position.0).is_none_or(|known| known.epoch < record.epoch);
            if newer {
                asked.records.insert(record.position.0, record);
            }
        }
        desk.look(log);
    }

    /// A connection of a worker is over; it will be another when it comes back.
    pub(super) fn left(&self, worker: WorkerId) {
        let mut desk = self.lock();
        if let Awaited::Those(those) = &mut desk.awaited {
            those.remove(&worker);
        }
        for asked in desk.asked.values_mut() {
            asked.answered.remove(&worker);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    fn expect(&mut self, log: LogId, done: oneshot::Sender<()>) {
        self.asked.insert(log, Asked { answered: HashSet::new(), records: BTreeMap::new(), done: Some(done) });
        // Nobody may be there to answer.
        self.look(&log);
    }

    /// Whether everyone has answered.
    fn look(&mut self, log: &LogId) {
        let Some(asked) = self.asked.get_mut(log) else { return };
        let all = match &self.awaited {
            Awaited::Count(workers) => asked.answered.len() >= *workers,
            Awaited::Those(those) => those.is_subset(&asked.answered),
        };
        if let Some(done) = asked.done.take_if(|_| all) {
            let _ = done.send(());
        }
    }
}

/// Where a log ends, as far as the disk knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// The next chunk's position.
    pub(super) next: Position,
    /// The next chunk's time; `None` in a log that holds nothing, which may begin anywhere.
    pub(super) time: Option<u64>,
}

/// Those records, in order of position, that go on from the end of the log without a hole. What was aired under no epoch was not to be recorded.
fn following(end: End, records: impl Iterator<Item = Record>) -> Vec<Record> {
    let End { mut next, mut time } = end;
    let mut epoch = Epoch(1);
    let follows = |record: &Record| {
        let first = time.is_none() && record.position >= next;
        if record.epoch < epoch || !first && (record.position != next || Some(record.time) != time) {
            return false;
        }
        epoch = record.epoch;
        next = Position(record.position.0 + 1);
        time = Some(record.time + u64::from(record.duration));
        true
    };
    records.take_while(follows).collect()
}

/// Where the chunk after a record begins.
pub(super) fn after(record: &Record) -> Origin {
    Origin { index: record.position.0 + 1, time: Time(record.time + u64::from(record.duration)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hiwar_segment_log::Kind;

    fn record(position: u64, chunk: u64, epoch: u32) -> Record {
        let (position, epoch, kind, body) = (Position(position), Epoch(epoch), Kind::Chunk, Default::default());
        Record { position, epoch, kind, time: chunk * 9_600, duration: 9_600, wall_us: 1, body }
    }

    #[test]
    fn only_what_goes_on_from_the_log_is_taken() {
        let check = |end: (u64, Option<u64>), records: &[(u64, u64, u32)], taken: &[u64]| {
            let records = records.iter().map(|(position, chunk, epoch)| record(*position, *chunk, *epoch));
            let end = End { next: Position(end.0), time: end.1.map(|chunk| chunk * 9_600) };
            let found: Vec<u64> = following(end, records).iter().map(|record| record.position.0).collect();
            assert_eq!(found, taken, "{end:?}");
        };
        check((7, Some(9)), &[(7, 9, 1), (8, 10, 1), (9, 11, 2)], &[7, 8, 9]);
        check((7, Some(9)), &[(8, 10, 1), (9, 11, 1)], &[]);
        check((7, Some(9)), &[(7, 9, 1), (9, 11, 1)], &[7]);
        check((7, Some(9)), &[(7, 10, 1)], &[]);
        check((7, Some(9)), &[(7, 9, 2), (8, 10, 1)], &[7]);
        check((0, None), &[(40, 41, 1), (41, 42, 1), (43, 44, 1)], &[40, 41]);
        check((0, None), &[(40, 41, 0), (41, 42, 0)], &[]);
        check((7, Some(9)), &[], &[]);
    }

    fn log(name: &str) -> LogId {
        LogId::parse(name).unwrap()
    }

    /// Asks, and says whether that is over at once.
    fn ask(recollection: &Recollection, name: &str) -> oneshot::Receiver<()> {
        let (done, answered) = oneshot::channel();
        recollection.lock().expect(log(name), done);
        answered
    }

    #[test]
    fn it_waits_for_each_worker_once_and_takes_the_newer_writers_chunk() {
        let recollection = Recollection::new(2);
        let mut answered = ask(&recollection, "demo");
        recollection.answered(WorkerId(1), &log("demo"), vec![record(3, 0, 1), record(4, 1, 1)]);
        recollection.answered(WorkerId(1), &log("demo"), vec![]);
        recollection.answered(WorkerId(3), &log("other"), vec![record(1, 0, 1)]);
        assert!(answered.try_recv().is_err(), "one worker of two, twice");
        recollection.answered(WorkerId(2), &log("demo"), vec![record(4, 1, 2), record(3, 0, 1)]);
        assert!(answered.try_recv().is_ok());
        let desk = recollection.lock();
        let found: Vec<(u64, u32)> =
            desk.asked[&log("demo")].records.values().map(|record| (record.position.0, record.epoch.0)).collect();
        assert_eq!(found, [(3, 1), (4, 2)]);
    }

    #[test]
    fn nobody_is_waited_for_who_is_not_there() {
        assert!(ask(&Recollection::new(0), "demo").try_recv().is_ok());
        let recollection = Recollection::new(2);
        recollection.lock().awaited = Awaited::Those(HashSet::from([WorkerId(1), WorkerId(2)]));
        let mut answered = ask(&recollection, "demo");
        recollection.left(WorkerId(2));
        assert!(answered.try_recv().is_err());
        recollection.answered(WorkerId(1), &log("demo"), vec![]);
        assert!(answered.try_recv().is_ok());
    }

    #[tokio::test]
    async fn a_worker_that_never_answers_delays_the_first_log_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let listener = std::os::unix::net::UnixListener::bind(dir.path().join("bus.sock")).unwrap();
        let (hub, _reports) = hiwar_engine::live_bus::Hub::spawn(listener).unwrap();
        let recollection = Recollection { found_by: Instant::now(), ..Recollection::new(1) };
        let end = End { next: Position(0), time: None };
        assert!(recollection.ask(&hub.publisher(), log("first"), end).await.is_empty());
        assert!(ask(&recollection, "second").try_recv().is_ok());
    }
}
