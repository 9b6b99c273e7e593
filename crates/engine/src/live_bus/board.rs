//! What stands: the frames that a worker which connects now must be told before it hears what comes.

use bytes::Bytes;
use hiwar_segment_log::LogId;
use std::collections::{BTreeMap, VecDeque};

use super::Down;

/// Documents, open logs and their last chunks, as frames ready to send. Grows with the number of spaces, never with their length or
/// their audience.
#[derive(Debug, Default)]
pub(crate) struct Board {
    documents: BTreeMap<String, Bytes>,
    logs: BTreeMap<LogId, Standing>,
    /// Logs of which there is no sound.
    shut: BTreeMap<LogId, Bytes>,
    /// What the house wants back, of logs that are not open yet.
    asked: BTreeMap<LogId, Bytes>,
    /// Until the house has said so, what stands here may be a part of what it knows.
    whole: Option<Bytes>,
    /// How often listeners are to be written to, if the house has said so.
    cadence: Option<Bytes>,
    /// The same of the bitrate.
    bitrate: Option<Bytes>,
    /// And what is ordered of levels.
    ladder: Option<Bytes>,
}

#[derive(Debug)]
struct Standing {
    open: Bytes,
    chunks: VecDeque<Bytes>,
    ended: Option<Bytes>,
}

impl Board {
    /// Notes a message and its frame.
    pub(crate) fn note(&mut self, down: Down, frame: &Bytes) {
        match down {
            Down::Document { path, .. } => {
                self.documents.insert(path, frame.clone());
            }
            Down::Forget { path } => {
                self.documents.remove(&path);
            }
            Down::Ask { log, .. } => {
                self.asked.insert(log, frame.clone());
            }
            Down::Open { log, .. } => {
                self.asked.remove(&log);
                self.shut.remove(&log);
                // Chunks stay: a header may be told again in the middle of a log.
                let chunks = self.logs.remove(&log).map(|standing| standing.chunks);
                let chunks = chunks.unwrap_or_else(|| VecDeque::with_capacity(CHUNKS_KEPT));
                self.logs.insert(log, Standing { open: frame.clone(), chunks, ended: None });
            }
            Down::Chunk { log, .. } => {
                // A chunk of a log that is not open means nothing to a newcomer.
                let Some(standing) = self.logs.get_mut(&log) else { return };
                if standing.chunks.len() == CHUNKS_KEPT {
                    standing.chunks.pop_front();
                }
                standing.chunks.push_back(frame.clone());
            }
            Down::Ended { log } => {
                if let Some(standing) = self.logs.get_mut(&log) {
                    standing.ended = Some(frame.clone());
                }
            }
            Down::Shut { log, .. } => {
                self.shut.insert(log, frame.clone());
            }
            Down::Shelved { log, .. } => {
                self.asked.remove(&log);
                // Of what was heard of it nothing stands any more.
                self.logs.insert(log, Standing { open: frame.clone(), chunks: VecDeque::new(), ended: None });
            }
            Down::Closed { log } => {
                self.asked.remove(&log);
                self.shut.remove(&log);
                self.logs.remove(&log);
            }
            Down::Whole => self.whole = Some(frame.clone()),
            Down::Cadence { .. } => self.cadence = Some(frame.clone()),
            Down::Bitrate { .. } => self.bitrate = Some(frame.clone()),
            Down::Ladder { .. } => self.ladder = Some(frame.clone()),
            // Who connects gets the next lean form; until then chunks do. And the next word of a door.
            Down::Lean { .. } | Down::Door { .. } | Down::Mark { .. } | Down::Leaving => {}
        }
    }

    /// Everything that stands, in an order in which it makes sense, and last, if that is so, that it was all.
    pub(crate) fn snapshot(&self) -> impl Iterator<Item = Bytes> {
        let logs = self
            .logs
            .values()
            .flat_map(|standing| std::iter::once(&standing.open).chain(&standing.chunks).chain(&standing.ended));
        // The questions first: the house waits for the answers.
        let wishes = self.cadence.iter().chain(&self.bitrate).chain(&self.ladder);
        let pages = self.documents.values();
        self.asked.values().chain(wishes).chain(pages).chain(logs).chain(self.shut.values()).chain(&self.whole).cloned()
    }
}

/// Two seconds of sound: what an Ogg listener's burst needs.
const CHUNKS_KEPT: usize = 10;
