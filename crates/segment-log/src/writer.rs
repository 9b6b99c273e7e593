//! Decides whether a record may be appended, what must stand before it, and when a new log segment begins.
//!
//! Pure: `disk::Writer` asks, writes, and tells it what was written.

use std::fmt;
use std::time::Duration;

use crate::position::{Epoch, Position};
use crate::reader::Place;
use crate::record::{BODY_BYTES_MAX, Kind, Record};

/// What one claim of a log may write next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The claim's epoch.
    pub epoch: Epoch,
    /// The position that comes next.
    pub next: Position,
    /// Media time at which the last record ended.
    pub next_time: u64,
    /// The log is complete.
    pub sealed: bool,
    /// Nothing is in the log yet: it may begin anywhere (a space was heard before it was recorded).
    pub fresh: bool,
}

impl Order {
    /// What must be written before `record`: a Gap record if it does not follow, nothing if it does.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn admit(&self, record: &Record) -> Result<Option<Record>, Refusal> {
        if record.epoch != self.epoch {
            return Err(Refusal::Fenced { current: self.epoch });
        }
        if self.sealed {
            return Err(Refusal::Sealed);
        }
        if record.body.len() > BODY_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        if record.position < self.next || (record.kind == Kind::Gap && record.resumes().is_none()) {
            return Err(Refusal::Conflict { next: self.next });
        }
        if record.position == self.next || self.fresh {
            return Ok(None);
        }
        let mut gap = Record::gap(self.next, record.position, self.epoch, self.next_time, record.wall_us);
        gap.duration = u32::try_from(record.time.saturating_sub(self.next_time)).unwrap_or(u32::MAX);
        Ok(Some(gap))
    }

    /// A log in which nothing is yet begins with `record`, wherever that stands.
    pub fn begin_at(&mut self, record: &Record) {
        if self.fresh {
            (self.next, self.next_time) = (record.position, record.time);
        }
    }

    /// Notes that `record` was written.
    pub fn advance(&mut self, record: &Record) {
        let mut place = Place { next: Some(self.next), epoch: self.epoch };
        place.pass(record);
        self.next = place.next.unwrap_or(self.next);
        self.next_time = self.next_time.max(record.time.saturating_add(record.duration.into()));
        self.sealed = record.kind == Kind::Seal;
        self.fresh = false;
    }
}

/// Why a record is not for this log now.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It carries another epoch than the claim's.
    Fenced {
        /// The claim's.
        current: Epoch,
    },
    /// Its position was passed already, or it is a gap that ends before it begins.
    Conflict {
        /// The position that comes next.
        next: Position,
    },
    /// The log is complete.
    Sealed,
    /// Its body is longer than [`BODY_BYTES_MAX`].
    TooLong,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fenced { current } => write!(f, "the log belongs to epoch {current}"),
            Self::Conflict { next } => write!(f, "position {next} comes next"),
            Self::Sealed => f.write_str("the log is sealed"),
            Self::TooLong => write!(f, "a body of over {BODY_BYTES_MAX} bytes"),
        }
    }
}

/// When a log segment is complete.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Rollover {
    /// After this many bytes.
    pub bytes: u64,
    /// Or when it covers this much wall time.
    pub span: Duration,
}

/// The log segment being written.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Open {
    /// The position that its file is named by.
    pub first: Position,
    /// Its size.
    pub bytes: u64,
    /// When its first record was made.
    pub begun_wall_us: u64,
}

impl Rollover {
    /// Whether a record made at `wall_us` goes into a new segment, which would be named by `next`.
    #[must_use]
    pub fn is_due(&self, open: &Open, next: Position, wall_us: u64) -> bool {
        let span_us = u64::try_from(self.span.as_micros()).unwrap_or(u64::MAX);
        let complete = open.bytes >= self.bytes || wall_us.saturating_sub(open.begun_wall_us) >= span_us;
        // Without a chunk in it the new file would get the old one's name.
        complete && next > open.first
    }
}
