//! Events on their way into the sound: bytes that mean nothing here, each put into a chunk as an `emsg` box.
//!
//! Boxes of bytes come in and go out again to be dropped elsewhere: nothing is freed on the beat.

use crate::chunk::{Chunk, EVENT_ROOM_BYTES};
use crate::package::emsg;
use crate::{CHUNK_FRAMES, Time};

/// One-off events that wait at most: a burst of joins and mutes. Beyond, the teller is told to keep them.
pub const TOLD_MAX: usize = 8;

/// Chunks between two repetitions of the standing event and of who has the floor: 2 s, what a late joiner waits to learn who is on stage and
/// which of them speaks.
const STANDING_CHUNKS: u64 = 10;

/// Events in one chunk at most; their ids must not run into the next chunk's.
const IDS_PER_CHUNK: u32 = 32;

/// What waits to be put into the sound.
#[derive(Debug)]
pub(super) struct Events {
    standing: Option<Box<[u8]>>,
    standing_due: bool,
    nobody: Box<[u8]>,
    speaking_due: bool,
    told: [Option<Box<[u8]>>; TOLD_MAX],
    spent: [Option<Box<[u8]>>; TOLD_MAX],
    written: u32,
}

impl Events {
    pub(super) fn new(nobody: Box<[u8]>) -> Self {
        Self {
            standing: None,
            standing_due: false,
            nobody,
            speaking_due: false,
            told: Default::default(),
            spent: Default::default(),
            written: 0,
        }
    }

    /// Replaces the standing event; gives the old one back. The new one itself comes back if it is too long.
    pub(super) fn stand(&mut self, event: Box<[u8]>) -> Result<Option<Box<[u8]>>, Box<[u8]>> {
        if event.len() > emsg::EVENT_BYTES_MAX {
            return Err(event);
        }
        self.standing_due = true;
        Ok(self.standing.replace(event))
    }

    /// Queues a one-off event; it comes back if it is too long or there are too many.
    pub(super) fn tell(&mut self, event: Box<[u8]>) -> Result<(), Box<[u8]>> {
        if event.len() > emsg::EVENT_BYTES_MAX {
            return Err(event);
        }
        match self.told.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => {
                *slot = Some(event);
                Ok(())
            }
            None => Err(event),
        }
    }

    /// An event that is in the sound, to be dropped.
    pub(super) fn spent(&mut self) -> Option<Box<[u8]>> {
        self.spent.iter_mut().find_map(Option::take)
    }

    /// The active speaker is another.
    pub(super) fn floor_changed(&mut self) {
        self.speaking_due = true;
    }

    /// A chunk begins.
    pub(super) fn begin_chunk(&mut self, index: u64) {
        self.written = 0;
        let again = index.is_multiple_of(STANDING_CHUNKS);
        self.standing_due |= again;
        self.speaking_due |= again;
    }

    /// Puts what is due into a chunk; what does not fit waits for the next. `speaking` is the event of who has the floor.
    pub(super) fn write(&mut self, chunk: &mut Chunk, time: Time, speaking: Option<&[u8]>) {
        if self.standing_due {
            let put = self.standing.as_deref().is_none_or(|event| put(&mut self.written, chunk, time, event));
            self.standing_due = !put;
        }
        if self.speaking_due {
            self.speaking_due = !put(&mut self.written, chunk, time, speaking.unwrap_or(&self.nobody));
        }
        for slot in &mut self.told {
            let Some(event) = slot.as_deref() else { break };
            let Some(spent) = self.spent.iter_mut().find(|spent| spent.is_none()) else { break };
            if !put(&mut self.written, chunk, time, event) {
                break;
            }
            *spent = slot.take();
        }
        // Those still waiting move up, so that the oldest stays first.
        let told = self.told.iter().take_while(|slot| slot.is_none()).count();
        if told < TOLD_MAX {
            self.told.rotate_left(told);
        }
    }
}

/// Writes one event if there is room. An empty event is none.
fn put(written: &mut u32, chunk: &mut Chunk, time: Time, event: &[u8]) -> bool {
    if event.is_empty() {
        return true;
    }
    let room = EVENT_ROOM_BYTES.saturating_sub(chunk.mp4.len());
    if *written >= IDS_PER_CHUNK || emsg::EVENT_OVERHEAD_BYTES + event.len() > room {
        return false;
    }
    let id = (chunk.index as u32).wrapping_mul(IDS_PER_CHUNK).wrapping_add(*written);
    *written += 1;
    // Too long can no longer be: all events were measured as they came, but those of the floor, which are then simply left out.
    let _ = emsg::write(&mut chunk.mp4, time, id, event);
    true
}

const _: () = assert!(CHUNK_FRAMES == 10, "the standing event's interval is told in chunks of 200 ms");
