//! The unit of everything after the mixer: ten Opus frames, packaged once, with what was measured about them.
//!
//! Buffers here are allocated when they are made and refilled for ever after. Runs on the beat: no allocation, lock or log.

use std::fmt;

use crate::{CHUNK_FRAMES, FRAME_SAMPLES, Time, package};

/// Bytes of the longest Opus frame (RFC 6716 §3.2.1).
pub const FRAME_BYTES_MAX: usize = 1275;

/// Room for events in a chunk's MP4 part, in bytes: a stage of twenty with long names takes three thousand. A chunk with
/// more than that still works, but its buffer grows once, on the beat.
pub const EVENT_ROOM_BYTES: usize = 8 * 1024;

/// The Opus frames of one chunk, at most [`CHUNK_FRAMES`], each 20 ms, in one buffer that is never reallocated.
pub struct Frames {
    bytes: Box<[u8]>,
    used: usize,
    lengths: [u16; CHUNK_FRAMES],
    count: usize,
}

/// Why a frame was not taken into [`Frames`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// There are [`CHUNK_FRAMES`] frames already.
    Full,
    /// The frame has no bytes: not even a table-of-contents byte (RFC 6716 §3.1).
    Empty,
    /// The frame has more than [`FRAME_BYTES_MAX`] bytes.
    Long,
}

impl Frames {
    /// No frames yet, with room for a whole chunk.
    pub fn new() -> Self {
        Self {
            bytes: vec![0; CHUNK_FRAMES * FRAME_BYTES_MAX].into_boxed_slice(),
            used: 0,
            lengths: [0; CHUNK_FRAMES],
            count: 0,
        }
    }

    /// Adds one Opus frame of 20 ms.
    ///
    /// # Errors
    /// One [`Unfit`] per rule; the frames are then as they were.
    pub fn push(&mut self, frame: &[u8]) -> Result<(), Unfit> {
        if frame.is_empty() {
            return Err(Unfit::Empty);
        }
        if frame.len() > FRAME_BYTES_MAX {
            return Err(Unfit::Long);
        }
        let Some(length) = self.lengths.get_mut(self.count) else {
            return Err(Unfit::Full);
        };
        *length = frame.len() as u16;
        self.bytes[self.used..self.used + frame.len()].copy_from_slice(frame);
        self.used += frame.len();
        self.count += 1;
        Ok(())
    }

    /// Forgets every frame and keeps the buffer.
    pub fn clear(&mut self) {
        self.used = 0;
        self.count = 0;
    }

    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether a chunk's worth of frames is here.
    pub fn is_full(&self) -> bool {
        self.count == CHUNK_FRAMES
    }

    /// Bytes of all frames together.
    pub fn byte_len(&self) -> usize {
        self.used
    }

    /// Length in samples at 48 kHz.
    pub fn duration(&self) -> u32 {
        (self.count * FRAME_SAMPLES) as u32
    }

    /// The frames, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let mut rest = &self.bytes[..self.used];
        self.lengths[..self.count].iter().map(move |&length| {
            let (frame, after) = rest.split_at(usize::from(length));
            rest = after;
            frame
        })
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(<[u8]>::len)).finish()
    }
}

/// What was measured about a chunk's sound before it was encoded; kept beside it in the log and never served.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Facts {
    /// K-weighted mean square of each 100 ms, summed over channels (ITU-R BS.1770-4 §2: loudness = −0.691 + 10 log10).
    pub energy: [f32; 2],
    /// Largest absolute sample after four-fold oversampling, linear: 1.0 is 0 dBTP (BS.1770-4 annex 2).
    pub true_peak: f32,
}

impl Facts {
    /// Bytes of the stored form: three little-endian f32, energies first.
    pub const BYTES: usize = 12;

    /// The stored form.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (slot, value) in bytes.chunks_exact_mut(4).zip([self.energy[0], self.energy[1], self.true_peak]) {
            slot.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    /// Reads the stored form. `None` if it has another length or holds a number that no measurement gives (negative,
    /// infinite, not a number), which would poison the loudness of the whole recording.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let mut values = [0.0; 3];
        for (value, slot) in values.iter_mut().zip(bytes.chunks_exact(4)) {
            *value = f32::from_le_bytes(slot.try_into().ok()?);
            if !value.is_finite() || *value < 0.0 {
                return None;
            }
        }
        Some(Self { energy: [values[0], values[1]], true_peak: values[2] })
    }
}

/// 200 ms of the programme, final: what the log stores and every listener gets.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// 0, 1, 2, .. since the programme began; its position in the log.
    pub index: u64,
    /// When its first sample is heard.
    pub time: Time,
    /// Length in samples at 48 kHz.
    pub duration: u32,
    /// Events and one fragment (`package::fmp4`).
    pub mp4: Vec<u8>,
    /// One page (`package::ogg`).
    pub ogg: Vec<u8>,
    /// What was measured.
    pub facts: Facts,
    /// Whether the sound before it is missing (the programme was resumed, or chunks were dropped).
    pub discontinuous: bool,
}

impl Chunk {
    /// An empty chunk whose buffers hold the largest fragment and page, and [`EVENT_ROOM_BYTES`] of events.
    pub fn new() -> Self {
        Self {
            index: 0,
            time: Time(0),
            duration: 0,
            mp4: Vec::with_capacity(package::fmp4::FRAGMENT_BYTES_MAX + EVENT_ROOM_BYTES),
            ogg: Vec::with_capacity(package::ogg::CHUNK_PAGE_BYTES_MAX),
            facts: Facts::default(),
            discontinuous: false,
        }
    }

    /// Empties it for another 200 ms and keeps the buffers.
    pub fn clear(&mut self) {
        self.index = 0;
        self.time = Time(0);
        self.duration = 0;
        self.mp4.clear();
        self.ogg.clear();
        self.facts = Facts::default();
        self.discontinuous = false;
    }
}

impl Default for Chunk {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in() {
        let mut frames = Frames::new();
        for round in 1..=3_usize {
            frames.clear();
            for n in 0..CHUNK_FRAMES {
                frames.push(&vec![n as u8; (n + 1) * 100 * round % 1275 + 1]).unwrap();
            }
            assert!(frames.is_full());
            assert_eq!(frames.duration(), 9600);
            let lengths: Vec<usize> = frames.iter().map(<[u8]>::len).collect();
            assert_eq!(lengths, (0..10).map(|n| (n + 1) * 100 * round % 1275 + 1).collect::<Vec<_>>());
            assert!(frames.iter().enumerate().all(|(n, frame)| frame.iter().all(|&byte| byte == n as u8)));
        }
    }

    #[test]
    fn a_frame_that_does_not_fit_is_refused_and_changes_nothing() {
        let mut frames = Frames::new();
        assert_eq!(frames.push(&[]), Err(Unfit::Empty));
        assert_eq!(frames.push(&[0; FRAME_BYTES_MAX + 1]), Err(Unfit::Long));
        assert!(frames.is_empty());
        for _ in 0..CHUNK_FRAMES {
            frames.push(&[7; FRAME_BYTES_MAX]).unwrap();
        }
        assert_eq!(frames.push(&[1]), Err(Unfit::Full));
        assert_eq!((frames.len(), frames.byte_len()), (10, 12_750));
    }

    #[test]
    fn facts_survive_the_log_and_nonsense_is_not_a_fact() {
        let facts = Facts { energy: [0.25, 1e-9], true_peak: 0.89 };
        assert_eq!(Facts::from_bytes(&facts.to_bytes()), Some(facts));
        assert_eq!(Facts::from_bytes(&[0; 11]), None);
        for nonsense in [f32::NAN, f32::INFINITY, -1.0] {
            assert_eq!(Facts::from_bytes(&Facts { true_peak: nonsense, ..facts }.to_bytes()), None);
        }
    }
}
