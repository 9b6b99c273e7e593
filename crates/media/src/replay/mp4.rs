//! Second pass, `replay.mp4`: head, one `sidx`, fragments of 4 s with their events.

use super::splice::Splice;
use super::{FRAGMENT_FRAMES, Part, Replay, SILENCE, Step, Unusable, due, frame_time};
use crate::package::boxes::{full, u16, u32, u64};
use crate::package::emsg;
use crate::package::fmp4::{self, Shape};
use crate::{SAMPLE_RATE, Time};

/// Bytes of a `sidx` with so many references.
pub(super) fn sidx_bytes(references: usize) -> usize {
    40 + 12 * references
}

/// The second pass was not given what the first was: the file is unusable, seal again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed;

/// Writes `replay.mp4`.
#[derive(Debug)]
pub struct Mp4<'a> {
    replay: &'a Replay,
    splice: Splice,
    frames: u64,
    fragments: u32,
    /// The open fragment: frames end to end, their lengths, and its events.
    bytes: Vec<u8>,
    lengths: Vec<u16>,
    events: Vec<u8>,
    changed: bool,
}

impl<'a> Mp4<'a> {
    pub(super) fn begin(replay: &'a Replay, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(&replay.mp4_head);
        full(out, b"sidx", 1, 0, |out| {
            u32(out, 1); // reference_ID: the track
            u32(out, SAMPLE_RATE);
            u64(out, 0); // earliest presentation time
            u64(out, 0); // the first fragment follows at once
            u16(out, 0);
            u16(out, replay.fragments.len() as u16);
            for (bytes, samples) in replay.subsegments() {
                u32(out, bytes); // of media
                u32(out, samples);
                u32(out, 0x9000_0000); // begins with a stream access point of type 1
            }
        });
        Self {
            replay,
            splice: Splice::default(),
            frames: 0,
            fragments: 0,
            bytes: Vec::new(),
            lengths: Vec::with_capacity(FRAGMENT_FRAMES + 1),
            events: Vec::new(),
            changed: false,
        }
    }

    /// Appends to `out` what this part completes.
    ///
    /// # Errors
    /// The same [`Unusable`] that the first pass gave for this part; go on with the next.
    pub fn write(&mut self, part: &Part<'_>, out: &mut Vec<u8>) -> Result<(), Unusable> {
        let Step { hole, fragment } = self.splice.step(part)?;
        if let Some(hole) = hole {
            // Ids of live events are the programme's own; this one is told apart by its high bit.
            self.event(frame_time(self.frames), 0x8000_0000 | self.frames as u32, hole.event().as_bytes());
            for _ in 0..hole.filled_frames {
                self.frame(&SILENCE, out);
            }
        }
        // The edit list takes away the encoder's delay, so what was said at n × 960 is heard at n × 960.
        let begin = frame_time(self.frames);
        for event in fragment.events() {
            self.event(due(begin, &fragment, &event), event.id, event.payload);
        }
        for frame in fragment.iter() {
            self.frame(frame, out);
        }
        Ok(())
    }

    /// Appends the last fragment.
    ///
    /// # Errors
    /// [`Changed`] if this pass was given other parts than the first: offsets at the front of the file are then wrong.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Changed> {
        self.changed |= self.frames != self.replay.frames;
        self.hold(&SILENCE);
        self.flush(Shape::ReplayEnd, out);
        if self.changed || self.fragments as usize != self.replay.fragments.len() { Err(Changed) } else { Ok(()) }
    }

    fn event(&mut self, time: Time, id: u32, payload: &[u8]) {
        // It was read from a box of ours, so it is not too long to be written to one.
        let _ = emsg::write(&mut self.events, time, id, payload);
    }

    fn frame(&mut self, frame: &[u8], out: &mut Vec<u8>) {
        self.hold(frame);
        self.frames += 1;
        // The very last fragment waits for the closing frame of silence, and may have one frame more.
        if self.lengths.len() >= FRAGMENT_FRAMES && self.frames < self.replay.frames {
            self.flush(Shape::Replay, out);
        }
    }

    fn hold(&mut self, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
        self.lengths.push(frame.len() as u16);
    }

    fn flush(&mut self, shape: Shape, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.events);
        let time = frame_time(u64::from(self.fragments) * FRAGMENT_FRAMES as u64);
        let mut rest = &self.bytes[..];
        let frames = self.lengths.iter().map(move |&length| {
            let (frame, after) = rest.split_at(usize::from(length));
            rest = after;
            frame
        });
        fmp4::write_fragment(out, shape, self.fragments + 1, time, frames);
        let planned = self.replay.fragments.get(self.fragments as usize).map(|&bytes| bytes as usize);
        self.changed |= planned != Some(out.len() - start);
        self.fragments += 1;
        self.bytes.clear();
        self.lengths.clear();
        self.events.clear();
    }
}
