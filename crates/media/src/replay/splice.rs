//! Which parts follow each other, and what is missing between them. Both passes ask it, so both see the same sound.

use std::fmt;

use super::{FRAMES_MAX, HOLE_CUT_TO, HOLE_FILLED_MAX, Part};
use crate::FRAME_SAMPLES;
use crate::package::fmp4::{self, Fragment};

const FILLED_FRAMES_MAX: u64 = (HOLE_FILLED_MAX.as_millis() / 20) as u64;
const CUT_TO_FRAMES: u64 = (HOLE_CUT_TO.as_millis() / 20) as u64;

/// Why a stored part is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Its MP4 part is not what we write: the log is damaged here.
    Malformed,
    /// Its index is not above the last one's.
    OutOfOrder,
    /// The replay is as long as it can be ([`FRAMES_MAX`]); the rest stays in the log.
    TooLong,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the chunk's MP4 part is damaged",
            Self::OutOfOrder => "the chunk is older than the one before it",
            Self::TooLong => "the replay has reached 72 hours",
        })
    }
}

impl std::error::Error for Unusable {}

/// Where the sound stands.
#[derive(Debug, Default, Clone)]
pub(super) struct Splice {
    /// Index of the last part, and the live time at which it ended.
    last: Option<(u64, u64)>,
    /// Frames so far, silence included.
    frames: u64,
}

/// What one part adds: first the hole before it, then its own events and frames.
pub(super) struct Step<'a> {
    pub(super) hole: Option<Hole>,
    pub(super) fragment: Fragment<'a>,
}

/// Sound that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) missing_frames: u64,
    pub(super) filled_frames: u64,
}

impl Splice {
    /// Frames so far, silence in holes included.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    /// Places one part. After an error nothing has changed.
    ///
    /// The clock decides what is missing, not the index: they agree while a programme runs, and after a restart the clock is
    /// the one that knows.
    pub(super) fn step<'a>(&mut self, part: &Part<'a>) -> Result<Step<'a>, Unusable> {
        let fragment = fmp4::frames(part.mp4).map_err(|fmp4::Malformed| Unusable::Malformed)?;
        let time = fragment.time.0;
        let hole = match self.last {
            None => None,
            Some((index, _)) if part.index <= index => return Err(Unusable::OutOfOrder),
            Some((_, end)) => Hole::of(time.saturating_sub(end) / FRAME_SAMPLES as u64),
        };
        let frames = self.frames + hole.map_or(0, |hole| hole.filled_frames) + fragment.len() as u64;
        if frames > FRAMES_MAX {
            return Err(Unusable::TooLong);
        }
        self.frames = frames;
        // A clock that stepped back must not let time be counted twice.
        let end = time.saturating_add(u64::from(fragment.duration()));
        self.last = Some((part.index, end.max(self.last.map_or(0, |(_, end)| end))));
        Ok(Step { hole, fragment })
    }
}

impl Hole {
    fn of(missing_frames: u64) -> Option<Self> {
        let filled_frames = if missing_frames > FILLED_FRAMES_MAX { CUT_TO_FRAMES } else { missing_frames };
        (missing_frames > 0).then_some(Self { missing_frames, filled_frames })
    }

    /// The event that tells of it (`docs/formats/event.md`).
    pub(super) fn event(&self) -> String {
        let (missing_ms, silence_ms) = (self.missing_frames.saturating_mul(20), self.filled_frames * 20);
        format!("{{\"t\":\"gap\",\"missing_ms\":{missing_ms},\"silence_ms\":{silence_ms}}}")
    }
}
