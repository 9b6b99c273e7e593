//! Tracks: what was heard of one speaker, kept so that it can be mixed again without another.
//!
//! Not what came from the network, but what was made of it: for each beat the Opus packets that the decoder was given, as they were received, and what else was
//! done (made up, left out, played faster). [`Remix`] does the same again, so a mix of everyone is the programme to the bit. What was
//! received and never heard (late, muted) is in no track. Bytes: docs/formats/track.md.
//!
//! `Pen` writes on the beat: no allocation after `new`, no lock, no log. Reading never panics, whatever the bytes.

mod remix;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::jitter::Pull;
use crate::packet::Opus;
pub use remix::{OWNER_BYTES_MAX, Remix, Voice};

/// Longest piece, in bytes: two of the longest packets and what belongs to them. 20 ms are one packet at most, and a copy of the one before.
pub const PIECE_BYTES_MAX: usize = 2_700;

/// What a track may take on average, per beat: 360 kbit/s and what belongs to it, ten times what browsers send. In an hour 162 MB, whatever somebody sends;
/// what is more is not kept.
pub const BEAT_BYTES_MAX: usize = 900;

/// How much of that may be saved up for a burst: half a second's.
const SAVED_BYTES_MAX: usize = 25 * BEAT_BYTES_MAX;

/// They leave the stage before this beat; nothing of them follows.
pub const LEFT: [u8; 1] = [IS_LAST];

/// Something is played.
const PLAYS: u8 = 1;
/// They were muted: this fades out if it sounds.
const FADES: u8 = 2;
/// What is not played afterwards is thrown away.
const ENDS: u8 = 4;
/// Of [`LEFT`].
const IS_LAST: u8 = 8;

/// Kinds of steps.
const FRAME: u8 = 0;
const FEC: u8 = 1;
const CONCEAL: u8 = 2;
const SILENCE: u8 = 3;
const SPLICE: u8 = 4;

/// One thing that was done.
#[derive(Debug)]
pub enum Step<'a> {
    /// More sound, out of the jitter buffer.
    Pull(Pull<'a>),
    /// A piece of background was left out, or, if negative, doubled.
    Splice {
        /// How many samples, −960 to 1,200.
        excess: i64,
    },
}

/// 20 ms of one speaker, read.
#[derive(Clone, Copy)]
pub struct Piece<'a> {
    flags: u8,
    correction_ppm: f32,
    steps: &'a [u8],
}

impl<'a> Piece<'a> {
    /// Reads one. `None` if it does not even say what is in it; steps are looked at when they are taken.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&flags, rest) = bytes.split_first()?;
        if flags & PLAYS == 0 {
            return Some(Self { flags, correction_ppm: 0.0, steps: &[] });
        }
        let (correction, steps) = rest.split_first_chunk()?;
        Some(Self { flags, correction_ppm: f32::from_le_bytes(*correction), steps })
    }

    /// If something was played: how much faster than it was said, in parts per million. Out of a damaged track any number, or none.
    pub fn plays(&self) -> Option<f32> {
        (self.flags & PLAYS != 0).then_some(self.correction_ppm)
    }

    /// Whether they were muted with this beat.
    pub fn fades(&self) -> bool {
        self.flags & FADES != 0
    }

    /// Whether what is left was thrown away.
    pub fn is_end(&self) -> bool {
        self.flags & (ENDS | FADES) != 0
    }

    /// Whether they have left.
    pub fn is_last(&self) -> bool {
        self.flags & IS_LAST != 0
    }

    /// What was done, in order. Ends where bytes make no sense.
    pub fn steps(&self) -> impl Iterator<Item = Step<'a>> + use<'a> {
        let mut rest = Bytes(self.steps);
        std::iter::from_fn(move || rest.step())
    }
}

impl fmt::Debug for Piece<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piece").field("flags", &self.flags).field("bytes", &self.steps.len()).finish_non_exhaustive()
    }
}

/// A piece was longer than there was room for, and is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped;

/// Writes the pieces of one speaker, one after the other.
pub(crate) struct Pen {
    bytes: [u8; PIECE_BYTES_MAX],
    len: usize,
    /// What may still be written.
    saved: usize,
    dropped: bool,
    /// Something was played since all was thrown away last.
    open: bool,
}

impl Default for Pen {
    fn default() -> Self {
        Self { bytes: [0; PIECE_BYTES_MAX], len: 0, saved: SAVED_BYTES_MAX, dropped: false, open: false }
    }
}

impl Pen {
    pub(crate) fn begin_beat(&mut self) {
        let used = if self.dropped { 0 } else { self.len };
        self.saved = (self.saved - used + BEAT_BYTES_MAX).min(SAVED_BYTES_MAX);
        (self.len, self.dropped) = (0, false);
    }

    /// Something is played in this beat.
    pub(crate) fn plays(&mut self, correction_ppm: f32) {
        self.open = true;
        self.put(&[PLAYS]);
        self.put(&correction_ppm.to_le_bytes());
    }

    /// The next thing that is done.
    pub(crate) fn step(&mut self, step: &Step<'_>) {
        let short = |samples: usize| u16::try_from(samples).unwrap_or(u16::MAX).to_le_bytes();
        match *step {
            Step::Pull(Pull::Frame(opus)) => {
                self.put(&[FRAME]);
                self.packet(opus);
            }
            Step::Pull(Pull::Fec { next, samples }) => {
                self.put(&[FEC]);
                self.put(&short(samples));
                self.packet(next);
            }
            Step::Pull(Pull::Conceal { samples, before }) => {
                self.put(&[CONCEAL]);
                self.put(&short(samples));
                self.put(&short(before as usize));
            }
            Step::Pull(Pull::Silence { samples }) => {
                self.put(&[SILENCE]);
                self.put(&short(samples));
            }
            Step::Splice { excess } => {
                self.put(&[SPLICE]);
                self.put(&i16::try_from(excess).unwrap_or_default().to_le_bytes());
            }
        }
    }

    /// All that is not played is thrown away.
    pub(crate) fn ends(&mut self) {
        if std::mem::take(&mut self.open) {
            self.flag(ENDS);
        }
    }

    /// They are muted with this beat; to be said before [`Self::ends`].
    pub(crate) fn fades(&mut self) {
        if self.open {
            self.flag(FADES);
        }
    }

    /// What was written in this beat; empty if there was nothing to.
    ///
    /// # Errors
    /// [`Dropped`].
    pub(crate) fn piece(&self) -> Result<&[u8], Dropped> {
        if self.dropped { Err(Dropped) } else { Ok(&self.bytes[..self.len]) }
    }

    fn flag(&mut self, flag: u8) {
        if self.len == 0 {
            self.put(&[0]);
        }
        self.bytes[0] |= flag;
    }

    fn packet(&mut self, opus: Opus<'_>) {
        let bytes = opus.as_slice();
        self.put(&(bytes.len() as u16).to_le_bytes());
        self.put(bytes);
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        match self.bytes.get_mut(self.len..end).filter(|_| !self.dropped && end <= self.saved) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len = end;
            }
            None => self.dropped = true,
        }
    }
}

impl fmt::Debug for Pen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pen").field("len", &self.len).field("saved", &self.saved).finish_non_exhaustive()
    }
}

/// Takes fields off the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn step(&mut self) -> Option<Step<'a>> {
        let [kind] = self.take()?;
        let mut short = || self.take().map(u16::from_le_bytes);
        Some(match kind {
            FRAME => Step::Pull(Pull::Frame(self.packet()?)),
            FEC => {
                let samples = usize::from(short()?);
                Step::Pull(Pull::Fec { next: self.packet()?, samples })
            }
            CONCEAL => {
                let samples = usize::from(short()?);
                Step::Pull(Pull::Conceal { samples, before: u32::from(short()?) })
            }
            SILENCE => Step::Pull(Pull::Silence { samples: usize::from(short()?) }),
            SPLICE => Step::Splice { excess: i64::from(self.take().map(i16::from_le_bytes)?) },
            _ => return None,
        })
    }

    fn packet(&mut self) -> Option<Opus<'a>> {
        let len = self.take().map(u16::from_le_bytes)?;
        self.slice(usize::from(len)).and_then(Opus::new)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (slice, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(slice)
    }
}
