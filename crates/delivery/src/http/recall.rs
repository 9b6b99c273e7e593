//! What was said before this worker began, read from the disk by a thread of its own, so that HLS lists the same whichever worker is
//! asked. Where there is no log on this machine, or it cannot be read, the list grows as sound comes.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};

use hiwar_segment_log::disk::{Error, Reader};
use hiwar_segment_log::{Kind, LogId, Position, Record};

use super::Update;
use super::mailbox::Outbox;

/// The thread; it ends when this is dropped.
pub(super) struct Recall {
    wishes: SyncSender<(LogId, Range<u64>)>,
}

impl Recall {
    /// Starts it over the folder of all logs. What it finds comes as [`Update::Past`].
    pub(super) fn start(root: PathBuf, updates: Outbox<Update>) -> io::Result<Self> {
        let (wishes, wished) = sync_channel::<(LogId, Range<u64>)>(WISHES_MAX);
        std::thread::Builder::new().name("recall".into()).spawn(move || {
            for (log, positions) in wished {
                match read(&root.join(log.as_str()).join("log"), &positions) {
                    // The log is written a moment after the sound is sent: what is still missing is asked for again.
                    Ok(chunks) if chunks.last().is_some_and(|last| last.position.0 + 1 == positions.end) => {
                        updates.send(Update::Past { log, chunks });
                    }
                    Ok(_) => {}
                    Err(why) => tracing::debug!(%log, "its past is not here: {why}"),
                }
            }
        })?;
        Ok(Self { wishes })
    }

    /// Asks for the chunks at these positions. Never waits: with more logs than it can hold at once, some lists begin short.
    pub(super) fn ask(&self, log: LogId, positions: Range<u64>) {
        let _ = self.wishes.try_send((log, positions));
    }
}

fn read(folder: &Path, positions: &Range<u64>) -> Result<Vec<Record>, Error> {
    let mut chunks = Vec::new();
    for record in Reader::open(folder)?.records(Position(positions.start))? {
        let record = record?;
        if record.position.0 >= positions.end {
            break;
        }
        if record.kind == Kind::Chunk && record.position.0 >= positions.start {
            chunks.push(record);
        }
    }
    Ok(chunks)
}

/// Logs that may wait to be read.
const WISHES_MAX: usize = 1_024;
