//! Second pass, `replay.ogg`: one stream of pages of at most one second.

use super::splice::Splice;
use super::{Part, Replay, SILENCE, Step, Unusable, frame_time};
use crate::package::PRE_SKIP;
use crate::package::ogg::{HEAD_PAGES, PAGE_SEGMENTS_MAX, head, segments, write_page};

/// At most one second on a page, so that a player finds any second quickly (RFC 7845 §6).
const PAGE_FRAMES: usize = 50;

/// Writes `replay.ogg`.
#[derive(Debug)]
pub struct Ogg {
    splice: Splice,
    pages: Pages,
}

impl Ogg {
    pub(super) fn begin(replay: &Replay, serial: u32, out: &mut Vec<u8>) -> Self {
        let tags: Vec<_> = replay.ogg_tags.iter().map(|(name, value)| (&**name, value.as_str())).collect();
        out.extend_from_slice(&head(serial, &replay.track, &tags));
        Self { splice: Splice::default(), pages: Pages::new(serial) }
    }

    /// Appends to `out` the pages that this part completes.
    ///
    /// # Errors
    /// The same [`Unusable`] that the first pass gave for this part; go on with the next.
    pub fn write(&mut self, part: &Part<'_>, out: &mut Vec<u8>) -> Result<(), Unusable> {
        let Step { hole, fragment } = self.splice.step(part)?;
        for _ in 0..hole.map_or(0, |hole| hole.filled_frames) {
            self.pages.frame(&SILENCE, out);
        }
        for frame in fragment.iter() {
            self.pages.frame(frame, out);
        }
        Ok(())
    }

    /// Appends the last page: its granule position cuts the closing frame of silence to what is due (RFC 7845 §4.4).
    pub fn finish(mut self, out: &mut Vec<u8>) {
        let end = frame_time(self.pages.frames).0 + u64::from(PRE_SKIP);
        self.pages.frame(&SILENCE, out);
        self.pages.finish(end, out);
    }
}

/// Frames on pages, behind the two of the head.
#[derive(Debug)]
pub(super) struct Pages {
    serial: u32,
    frames: u64,
    page: u32,
    /// The open page: frames end to end, their lengths, and the segments they take.
    bytes: Vec<u8>,
    lengths: Vec<u16>,
    segments: usize,
}

impl Pages {
    pub(super) fn new(serial: u32) -> Self {
        let lengths = Vec::with_capacity(PAGE_FRAMES);
        Self { serial, frames: 0, page: HEAD_PAGES, bytes: Vec::new(), lengths, segments: 0 }
    }

    /// Appends the last page, which ends at the granule position `end`.
    pub(super) fn finish(&mut self, end: u64, out: &mut Vec<u8>) {
        self.flush(4, end, out);
    }

    pub(super) fn frame(&mut self, frame: &[u8], out: &mut Vec<u8>) {
        let more = segments(frame.len());
        if self.lengths.len() == PAGE_FRAMES || self.segments + more > PAGE_SEGMENTS_MAX {
            self.flush(0, frame_time(self.frames).0, out);
        }
        self.bytes.extend_from_slice(frame);
        self.lengths.push(frame.len() as u16);
        self.segments += more;
        self.frames += 1;
    }

    fn flush(&mut self, flags: u8, granule: u64, out: &mut Vec<u8>) {
        let mut rest = &self.bytes[..];
        let packets = self.lengths.iter().map(move |&length| {
            let (packet, after) = rest.split_at(usize::from(length));
            rest = after;
            packet
        });
        write_page(out, flags, self.serial, self.page, granule, packets);
        self.page += 1;
        self.bytes.clear();
        self.lengths.clear();
        self.segments = 0;
    }
}
