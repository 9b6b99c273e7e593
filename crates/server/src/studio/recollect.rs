//! What a dead house took with it: chunks that were heard and are not in the log. The workers have them, and give them back to the next house.
//!
//! Asked once for each log, as the house begins, and waited for only as long as workers need to find the new house: one that is stuck delays
//! the conversation by no more than that.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hiwar_engine::live_bus::{Down, Publisher, WorkerId};
use hiwar_media::Time;
use hiwar_segment_log::{LogId, Position, Record};
use tokio::sync::oneshot;

use super::control::Origin;

/// How long after its beginning a house waits for answers. Workers look for it every 50 ms.
const ANSWERS_WAIT: Duration = Duration::from_millis(600);

/// The questions of one house.
#[derive(Debug)]
pub(super) struct Recollection {
    /// How many workers there are.
    workers: usize,
    until: Instant,
    asked: Mutex<HashMap<LogId, Asked>>,
}

#[derive(Debug)]
struct Asked {
    answered: HashSet<WorkerId>,
    /// By position. Whatever the workers disagree on, a chunk has one content: all were sent the same bytes.
    records: BTreeMap<u64, Record>,
    /// Fires when every worker has answered.
    done: Option<oneshot::Sender<()>>,
}

impl Recollection {
    /// For a house that begins now and has so many workers.
    pub(super) fn new(workers: usize) -> Self {
        Self { workers, until: Instant::now() + ANSWERS_WAIT, asked: Mutex::default() }
    }

    /// Asks all workers for what follows the end of a log. To be called before the log is opened.
    pub(super) async fn ask(&self, publisher: &Publisher, log: LogId, end: End) -> Vec<Record> {
        let (done, answered) = oneshot::channel();
        self.lock().insert(log, Asked { answered: HashSet::new(), records: BTreeMap::new(), done: Some(done) });
        publisher.publish(Down::Ask { log, from: end.next });
        let _ = tokio::time::timeout_at(self.until.into(), answered).await;
        let records = self.lock().remove(&log).map(|asked| asked.records).unwrap_or_default();
        following(end, records.into_values())
    }

    /// A worker has answered.
    pub(super) fn answered(&self, worker: WorkerId, log: &LogId, records: Vec<Record>) {
        let mut asked = self.lock();
        let Some(asked) = asked.get_mut(log) else { return };
        asked.answered.insert(worker);
        for record in records {
            asked.records.entry(record.position.0).or_insert(record);
        }
        if asked.answered.len() >= self.workers
            && let Some(done) = asked.done.take()
        {
            let _ = done.send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LogId, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Those records, in order of position, that go on from the end of the log without a hole.
fn following(end: End, records: impl Iterator<Item = Record>) -> Vec<Record> {
    let End { mut next, mut time } = end;
    let follows = |record: &Record| {
        let first = time.is_none() && record.position >= next;
        if !first && (record.position != next || Some(record.time) != time) {
            return false;
        }
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
    use hiwar_segment_log::{Epoch, Kind};

    fn record(position: u64, time: u64) -> Record {
        let (epoch, kind) = (Epoch(1), Kind::Chunk);
        Record { position: Position(position), epoch, kind, time, duration: 9_600, wall_us: 1, body: Default::default() }
    }

    #[test]
    fn only_what_goes_on_from_the_log_is_taken() {
        let check = |end: (u64, Option<u64>), records: &[(u64, u64)], taken: &[u64]| {
            let records = records.iter().map(|(position, chunk)| record(*position, chunk * 9_600));
            let end = End { next: Position(end.0), time: end.1.map(|chunk| chunk * 9_600) };
            let found: Vec<u64> = following(end, records).iter().map(|record| record.position.0).collect();
            assert_eq!(found, taken, "{end:?}");
        };
        check((7, Some(9)), &[(7, 9), (8, 10), (9, 11)], &[7, 8, 9]);
        check((7, Some(9)), &[(8, 10), (9, 11)], &[]);
        check((7, Some(9)), &[(7, 9), (9, 11)], &[7]);
        check((7, Some(9)), &[(7, 10)], &[]);
        check((0, None), &[(40, 41), (41, 42), (43, 44)], &[40, 41]);
        check((7, Some(9)), &[], &[]);
    }

    #[tokio::test]
    #[allow(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
    async fn it_waits_for_all_workers_and_not_for_ever() {
        let recollection = Recollection::new(2);
        let (done, answered) = oneshot::channel();
        let log = LogId::parse("demo").unwrap();
        recollection.lock().insert(log, Asked { answered: HashSet::new(), records: BTreeMap::new(), done: Some(done) });
        recollection.answered(WorkerId(1), &log, vec![record(3, 0)]);
        recollection.answered(WorkerId(1), &log, vec![]);
        assert!(recollection.lock()[&log].done.is_some(), "one worker of two, twice");
        recollection.answered(WorkerId(2), &log, vec![record(3, 0), record(4, 9_600)]);
        answered.await.unwrap();
        assert_eq!(recollection.lock()[&log].records.len(), 2);
        recollection.answered(WorkerId(3), &LogId::parse("other").unwrap(), vec![record(1, 0)]);
    }
}
