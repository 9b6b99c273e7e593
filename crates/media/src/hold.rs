//! Hold music: what an audience hears while it waits, encoded once when it is given and played in a loop.
//!
//! [`HoldMusic`] is immutable and shared: the beat takes one frame after the other and neither encodes nor copies more than that. How a recording becomes one is in
//! `prepare`. Bytes on disk: docs/formats/hold.md. Reading never panics, whatever the bytes.

mod prepare;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use crate::opus::FRAME_BYTES_MAX;
use crate::package::ogg;
use crate::packet::Opus;
use crate::{FRAME_SAMPLES, SAMPLE_RATE};
pub use prepare::{LENGTH_MAX, LENGTH_MIN, Unfit, WAV_BYTES_MAX};

/// Frames of the longest: [`LENGTH_MAX`], and one for what the encoder looks ahead.
const FRAMES_MAX: usize = LENGTH_MAX.as_secs() as usize * SAMPLE_RATE as usize / FRAME_SAMPLES + 1;

/// Bytes of the largest file: what is longer need not be read.
pub const FILE_BYTES_MAX: usize = HEAD_BYTES + FRAMES_MAX * (2 + FRAME_BYTES_MAX);

const MAGIC: [u8; 7] = *b"HIWARHM";
const VERSION: u8 = 1;
/// Magic, version, checksum, number of frames.
const HEAD_BYTES: usize = 16;
/// Where what the checksum is of begins.
const CHECKED_FROM: usize = 12;

/// Frames of 20 ms, as the programme's own encoder makes them. The first needs nothing before it, and the last dies away.
#[derive(Clone, PartialEq, Eq)]
pub struct HoldMusic {
    bytes: Box<[u8]>,
    /// Where each frame ends in `bytes`; never empty.
    ends: Box<[u32]>,
}

/// Bytes that are no hold music, or not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no hold music, or damaged")
    }
}

impl std::error::Error for Malformed {}

impl HoldMusic {
    /// Takes encoded frames. `None` if there are none or too many, or one of them is not 20 ms of what [`Encoder`](crate::opus::Encoder) makes.
    fn from_frames<'a>(frames: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for frame in frames {
            let fits = frame.len() <= FRAME_BYTES_MAX && ends.len() < FRAMES_MAX;
            let opus = Opus::new(frame).filter(|_| fits)?;
            (opus.duration() == Some(FRAME_SAMPLES as u32)).then_some(())?;
            bytes.extend_from_slice(frame);
            // At most 2.3 MB.
            ends.push(bytes.len() as u32);
        }
        (!ends.is_empty()).then(|| Self { bytes: bytes.into(), ends: ends.into() })
    }

    /// The frame of so many beats after the beginning; after the last comes the first again.
    pub fn frame(&self, beat: u64) -> Option<Opus<'_>> {
        // Never empty.
        let at = (beat % self.ends.len() as u64) as usize;
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.bytes.get(begin as usize..self.ends[at] as usize).and_then(Opus::new)
    }

    /// How long it is until it begins anew.
    pub fn duration(&self) -> Duration {
        Duration::from_millis(20) * self.ends.len() as u32
    }

    /// As it is kept in a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES + 2 * self.ends.len() + self.bytes.len());
        out.extend_from_slice(&MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(self.ends.len() as u32).to_le_bytes());
        for frame in (0..self.ends.len() as u64).filter_map(|at| self.frame(at)) {
            out.extend_from_slice(&(frame.as_slice().len() as u16).to_le_bytes());
            out.extend_from_slice(frame.as_slice());
        }
        let checksum = ogg::crc(&out[CHECKED_FROM..]);
        out[CHECKED_FROM - 4..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Reads what [`HoldMusic::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Malformed`]: it is something else, of another version, damaged, or more than fits.
    pub fn parse(file: &[u8]) -> Result<Self, Malformed> {
        Self::read(file).ok_or(Malformed)
    }

    fn read(file: &[u8]) -> Option<Self> {
        let (head, mut rest) = file.split_first_chunk::<HEAD_BYTES>()?;
        let known = head[..7] == MAGIC && head[7] == VERSION && file.len() <= FILE_BYTES_MAX;
        let checksum = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        let count = u32::from_le_bytes([head[12], head[13], head[14], head[15]]);
        (known && ogg::crc(file.get(CHECKED_FROM..)?) == checksum).then_some(())?;
        let mut frames = Vec::new();
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk()?;
            let (frame, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            frames.push(frame);
            rest = after;
        }
        Self::from_frames(frames).filter(|music| music.ends.len() == count as usize)
    }
}

impl fmt::Debug for HoldMusic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HoldMusic({:?})", self.duration())
    }
}
