//! Which parts are in a stretch of a recording: those that are in it whole. Nothing of what is cut stays, so a stretch is shorter than was asked for by up to a part at each end.

use super::splice::{Splice, Unusable};
use super::{Measured, Part, frame_time};
use crate::Time;

/// A part of a recording, in the time of the whole as it is heard: what is missing counts as long as it is in the replay of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Where it begins.
    pub from: Time,
    /// Where it ends.
    pub to: Time,
}

/// Where a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It begins before the stretch does.
    Before,
    /// It is in the stretch, whole.
    Within,
    /// It ends after the stretch does.
    After,
}

/// Says of each part where it is. Hand it every part of the whole, in order.
#[derive(Debug, Clone)]
pub struct Trim {
    stretch: Stretch,
    splice: Splice,
}

impl Trim {
    /// To this stretch.
    pub fn new(stretch: Stretch) -> Self {
        Self { stretch, splice: Splice::default() }
    }

    /// Where the next part is, and when it is heard in the whole.
    ///
    /// # Errors
    /// As [`super::Sealer::measure`] says.
    pub fn place<'a>(&mut self, part: &Part<'a>) -> Result<(Place, Measured<'a>), Unusable> {
        let fragment = self.splice.step(part)?.fragment;
        let end = frame_time(self.splice.frames());
        let begin = Time(end.0 - u64::from(fragment.duration()));
        let place = match self.stretch {
            Stretch { from, .. } if begin < from => Place::Before,
            Stretch { to, .. } if end > to => Place::After,
            _ => Place::Within,
        };
        Ok((place, Measured { begin, fragment }))
    }
}
