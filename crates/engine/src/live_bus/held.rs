//! What a worker keeps for the house: the last chunks of every log, in case that a house dies before they were safe in the log.

use hiwar_segment_log::{Kind, LogId, Position, Record};
use std::collections::{HashMap, VecDeque};

use super::Down;
use super::frame::UP_FRAME_BYTES_MAX;

/// Chunks kept of each log: 10 s of 200 ms, many times what a log syncs at once. Their bytes are those that listeners are sent.
pub const HELD_MAX: usize = 50;

/// Of a frame to the house, what is for chunks.
const ROOM_BYTES: usize = UP_FRAME_BYTES_MAX - (1 << 10);

/// The last chunks of the logs that are open.
#[derive(Debug, Default)]
pub struct Held {
    logs: HashMap<LogId, Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    records: VecDeque<Record>,
    /// The house that wrote it is lost, and the next one has not opened it.
    stale: bool,
}

impl Held {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that the house is lost.
    pub fn lost(&mut self) {
        self.logs.values_mut().for_each(|kept| kept.stale = true);
    }

    /// Notes what the house said.
    pub fn note(&mut self, down: &Down) {
        match down {
            Down::Open { log, .. } => self.logs.entry(*log).or_default().stale = false,
            Down::Chunk { log, record } => {
                // As on the board: a chunk of a log that is not open means nothing.
                if let Some(kept) = self.logs.get_mut(log) {
                    kept.push(record);
                }
            }
            Down::Ended { log } | Down::Shelved { log, .. } | Down::Closed { log } => {
                self.logs.remove(log);
            }
            // What the next house does not know is over.
            Down::Whole => self.logs.retain(|_, kept| !kept.stale),
            Down::Document { .. }
            | Down::Forget { .. }
            | Down::Ask { .. }
            | Down::Shut { .. }
            // Nothing of it is in the log.
            | Down::Lean { .. }
            | Down::Door { .. }
            | Down::Mark { .. }
            | Down::Cadence { .. }
            | Down::Bitrate { .. }
            | Down::Ladder { .. }
            | Down::Leaving => {}
        }
    }

    /// The chunks of a log from a position on: as many as one frame to the house holds, which is all of them unless somebody makes chunks of 20 kB.
    #[must_use]
    pub fn since(&self, log: &LogId, position: Position) -> Vec<Record> {
        let held = self.logs.get(log).into_iter().flat_map(|kept| &kept.records);
        let mut room = ROOM_BYTES;
        held.filter(|record| record.position >= position)
            .take_while(|record| {
                let rest = room.checked_sub(record.encoded_len());
                room = rest.unwrap_or(0);
                rest.is_some()
            })
            .cloned()
            .collect()
    }
}

impl Kept {
    fn push(&mut self, record: &Record) {
        if let Some((epoch, position)) = self.records.back().map(|newest| (newest.epoch, newest.position)) {
            // Of a writer that was replaced; or what stands, told again after a reconnection.
            if record.epoch < epoch || record.epoch == epoch && record.position <= position {
                return;
            }
            if record.epoch > epoch {
                // What the old writer said from there on is no part of the log, and where we missed something we do not know.
                self.records.retain(|held| held.position < record.position);
                if self.records.back().is_some_and(|held| held.position.0 + 1 != record.position.0) {
                    self.records.clear();
                }
            }
        }
        if record.kind == Kind::Chunk {
            self.records.push_back(record.clone());
            self.records.drain(..self.records.len().saturating_sub(HELD_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live_bus::Access;
    use bytes::Bytes;
    use hiwar_segment_log::Epoch;

    fn log() -> LogId {
        LogId::parse("demo").unwrap()
    }

    fn record(kind: Kind, position: u64, epoch: u32) -> Record {
        let (time, duration) = (position * 9_600, 9_600);
        let body = Bytes::from(vec![epoch as u8, position as u8]);
        Record { position: Position(position), epoch: Epoch(epoch), kind, time, duration, wall_us: 1, body }
    }

    fn open(held: &mut Held) {
        held.note(&Down::Open {
            log: log(),
            access: Access::Open,
            header: record(Kind::Header, 0, 1),
            notices: vec![],
            fields: vec![],
        });
    }

    fn hear(held: &mut Held, positions: std::ops::Range<u64>, epoch: u32) {
        positions.for_each(|n| held.note(&Down::Chunk { log: log(), record: record(Kind::Chunk, n, epoch) }));
    }

    fn held(held: &Held, from: u64) -> Vec<(u64, u32)> {
        held.since(&log(), Position(from)).iter().map(|record| (record.position.0, record.epoch.0)).collect()
    }

    #[test]
    fn it_has_the_last_chunks_of_what_is_open() {
        let mut kept = Held::new();
        hear(&mut kept, 0..3, 1);
        assert_eq!(held(&kept, 0), [], "not open");
        open(&mut kept);
        hear(&mut kept, 0..200, 1);
        assert_eq!(held(&kept, 0).len(), HELD_MAX);
        assert_eq!(held(&kept, 198), [(198, 1), (199, 1)]);
        assert_eq!(held(&kept, 200), []);
        kept.note(&Down::Ended { log: log() });
        assert_eq!(held(&kept, 0), []);
    }

    #[test]
    fn what_is_told_twice_is_there_once_and_a_newer_writer_is_right() {
        let mut kept = Held::new();
        open(&mut kept);
        hear(&mut kept, 0..5, 1);
        open(&mut kept);
        hear(&mut kept, 2..5, 1);
        assert_eq!(held(&kept, 2), [(2, 1), (3, 1), (4, 1)]);
        hear(&mut kept, 3..4, 2);
        assert_eq!(held(&kept, 2), [(2, 1), (3, 2)]);
        hear(&mut kept, 4..5, 1);
        assert_eq!(held(&kept, 2), [(2, 1), (3, 2)], "an old writer says nothing any more");
        hear(&mut kept, 7..8, 3);
        assert_eq!(held(&kept, 0), [(7, 3)], "what a newer writer said before that was missed");
    }

    #[test]
    fn what_the_next_house_does_not_open_is_forgotten() {
        let mut kept = Held::new();
        open(&mut kept);
        hear(&mut kept, 0..2, 1);
        kept.note(&Down::Whole);
        kept.lost();
        assert_eq!(held(&kept, 0).len(), 2, "it may be asked for");
        kept.note(&Down::Whole);
        assert_eq!(held(&kept, 0), []);
    }
}
