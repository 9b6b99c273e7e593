//! At which bitrate this worker sends, and how the lean form of a chunk comes to those who are to hear it.

use hiwar_segment_log::{LogId, Record};

use super::Worker;

impl Worker {
    /// The lean form of a chunk is there.
    pub(super) fn lean(&mut self, _log: LogId, _record: &Record) {}
}
