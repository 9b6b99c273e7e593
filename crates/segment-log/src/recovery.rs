//! Decides what a new writer does with the last log segment of the one before it.
//!
//! Only bytes after the last whole record are torn: they are what was being written when the house died. Damage with whole records
//! behind it happened to bytes that were once sound, and stays where it is for `hiwar log verify` to name.

use crate::position::{Epoch, Position};
use crate::reader::{Found, Scan};
use crate::record::{Damage, Kind, Record};

/// What is in the last segment, and what is to be done with its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// How many bytes of the file stay.
    pub keep: u64,
    /// How many bytes after those are torn, and must be moved aside.
    pub torn: u64,
    /// The highest epoch found.
    pub epoch: Epoch,
    /// The position that a writer goes on with, if the segment tells.
    pub next: Option<Position>,
    /// Facts of the last whole record, if there is one.
    pub last: Option<Last>,
    /// The last whole header record.
    pub header: Option<Record>,
    /// How many ranges before the end are damaged.
    pub damaged: usize,
    /// The tail holds a sound head of a later version of this program: do not touch it.
    pub later_version: bool,
}

/// Of the last whole record in a segment.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Last {
    /// Media time at which it ends.
    pub end_time: u64,
    /// When it was made, microseconds since the Unix epoch.
    pub wall_us: u64,
    /// It is a Seal.
    pub sealed: bool,
}

/// Reads a segment to its end. `scan` must begin at byte 0 with [`crate::reader::End::Last`].
#[must_use]
pub fn recover(mut scan: Scan) -> Recovery {
    let mut found = Recovery {
        keep: 0,
        torn: 0,
        epoch: scan.place().epoch,
        next: scan.place().next,
        last: None,
        header: None,
        damaged: 0,
        later_version: false,
    };
    let mut damaged_since = 0;
    while let Some(next) = scan.next() {
        match next {
            Found::Record { record, .. } => {
                found.keep = scan.offset();
                found.next = scan.place().next;
                found.epoch = record.epoch;
                found.damaged += std::mem::take(&mut damaged_since);
                found.later_version = false;
                let end_time = record.time.saturating_add(record.duration.into());
                let sealed = record.kind == Kind::Seal;
                found.last = Some(Last { end_time, wall_us: record.wall_us, sealed });
                if record.kind == Kind::Header {
                    found.header = Some(record);
                }
            }
            // Whole, though in the wrong place: not torn.
            Found::Damaged(damaged) if damaged.what == Damage::OutOfOrder => {
                found.keep = scan.offset();
                found.damaged += 1 + std::mem::take(&mut damaged_since);
            }
            Found::Damaged(damaged) => {
                damaged_since += 1;
                found.later_version |= damaged.what == Damage::Unknown;
            }
        }
    }
    found.torn = scan.offset() - found.keep;
    found
}
