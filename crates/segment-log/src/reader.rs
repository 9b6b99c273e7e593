//! Finds every whole record in the bytes of a log segment, and names what is damaged between them.
//!
//! A sound head is trusted for its length, so a damaged body costs one record. Where the head is damaged too, the scan looks for the
//! next sound head byte by byte; where records are simply not there, the positions say so. Nothing here reads files: `disk::Reader`
//! and `disk::Follower` bring the bytes.

use bytes::Bytes;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::position::{Epoch, Position};
use crate::record::{Damage, HEAD_BYTES, Head, Kind, MAGIC, Record};

/// Scans one log segment (or the rest of one). Call [`Scan::next`] until `None`, then carry [`Scan::place`] into the next segment.
#[derive(Debug)]
pub struct Scan {
    file: Arc<str>,
    bytes: Bytes,
    /// Where `bytes` begins in the file.
    base: u64,
    at: usize,
    end: End,
    place: Place,
    /// Found together with a `Missing` that had to be told first.
    held: Option<Found>,
    /// Found by [`Scan::has_next`].
    peeked: Option<Found>,
}

impl Scan {
    /// A scan of `bytes`, which begin at byte `base` of `file`, knowing what came before and what comes after.
    #[must_use]
    pub fn new(file: Arc<str>, base: u64, bytes: Bytes, place: Place, end: End) -> Self {
        Self { file, bytes, base, at: 0, end, place, held: None, peeked: None }
    }

    /// The next whole record or damaged range. `None`: nothing more, or with [`End::Growing`] nothing more *yet*: the bytes from
    /// [`Scan::offset`] on may be the first half of a record.
    #[expect(clippy::should_implement_trait, reason = "`None` may be followed by more once the file has grown")]
    pub fn next(&mut self) -> Option<Found> {
        if let Some(found) = self.peeked.take().or_else(|| self.held.take()) {
            return Some(found);
        }
        let rest = self.bytes.slice(self.at..);
        if rest.is_empty() {
            return self.missing_at_the_end();
        }
        match Record::decode(rest.clone()) {
            Ok((record, len)) => Some(self.whole(record, len)),
            Err(what) => self.damaged(&rest, what),
        }
    }

    /// Whether [`Scan::next`] will find something.
    pub fn has_next(&mut self) -> bool {
        if self.peeked.is_none() {
            self.peeked = self.next();
        }
        self.peeked.is_some()
    }

    /// Where in the file the scan stands: after everything that was found.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// What the scan knows by now about the order of records.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    fn whole(&mut self, record: Record, len: usize) -> Found {
        let offset = self.offset();
        self.at += len;
        let next = self.place.next;
        if record.epoch < self.place.epoch || next.is_some_and(|next| record.position < next) {
            let positions = record.position..=record.position;
            return Found::Damaged(self.range(offset, len, positions, 0, Damage::OutOfOrder));
        }
        self.place.pass(&record);
        let position = record.position;
        let whole = Found::Record { record, offset, bytes: len };
        let Some(next) = next.filter(|next| *next < position) else { return whole };
        self.held = Some(whole);
        Found::Damaged(self.missing(offset, next, position))
    }

    fn damaged(&mut self, rest: &Bytes, what: Damage) -> Option<Found> {
        let head = Head::decode(rest).ok();
        let len = match head {
            // A sound head tells where its record ends; believe it only if another record begins right there.
            Some(head) if ends_well(rest, head.encoded_len()) => head.encoded_len(),
            Some(_) => resync(rest, HEAD_BYTES),
            None => resync(rest, 1),
        };
        if len == rest.len() && self.end == End::Growing {
            return None;
        }
        let after = match Head::decode(rest.get(len..).unwrap_or_default()) {
            Ok(after) => Some(after.position),
            Err(_) => self.end.next(),
        };
        let named = head.map(|head| if head.kind == Kind::Chunk { head.position.next() } else { head.position });
        let first = self.place.next.or(head.map(|head| head.position)).or(after).unwrap_or_default();
        // Of a tail that nothing follows, all that is known is what its own head says.
        let resumes = after.or(named).unwrap_or(first).max(first);
        let offset = self.offset();
        self.at += len;
        self.place.next = Some(resumes);
        let positions = first..=Position(resumes.0.saturating_sub(1)).max(first);
        Some(Found::Damaged(self.range(offset, len, positions, resumes.0 - first.0, what)))
    }

    /// A segment cut exactly between two records has no damaged byte; the next segment's name tells that something is gone.
    fn missing_at_the_end(&mut self) -> Option<Found> {
        let (next, after) = (self.place.next?, self.end.next()?);
        if after <= next {
            return None;
        }
        self.place.next = Some(after);
        Some(Found::Damaged(self.missing(self.offset(), next, after)))
    }

    fn missing(&self, offset: u64, from: Position, until: Position) -> Damaged {
        let last = Position(until.0.saturating_sub(1));
        self.range(offset, 0, from..=last, until.0.saturating_sub(from.0), Damage::Missing)
    }

    fn range(
        &self,
        offset: u64,
        len: usize,
        positions: RangeInclusive<Position>,
        chunks_lost: u64,
        what: Damage,
    ) -> Damaged {
        Damaged { file: self.file.clone(), offset, bytes: len as u64, positions, chunks_lost, what }
    }
}

/// What a scan comes upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A whole record in its place.
    Record {
        /// The record.
        record: Record,
        /// Where it begins in its file.
        offset: u64,
        /// How many bytes it takes there.
        bytes: usize,
    },
    /// A range that holds no whole record.
    Damaged(Damaged),
}

/// A range of a log that cannot be read, by position and by place in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// Name of the log segment's file in the log's folder.
    pub file: Arc<str>,
    /// First damaged byte.
    pub offset: u64,
    /// How many bytes; 0 where records are missing without a trace.
    pub bytes: u64,
    /// The chunks concerned. If only a Header, Gap or Seal record was hit: where it stood.
    pub positions: RangeInclusive<Position>,
    /// How many chunks are surely lost. 0 if only another kind of record was hit, or at a tail that says nothing about itself.
    pub chunks_lost: u64,
    /// What is wrong.
    pub what: Damage,
}

/// What the records so far say about those to come.
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct Place {
    /// The position that comes next, if known.
    pub next: Option<Position>,
    /// The highest epoch seen.
    pub epoch: Epoch,
}

impl Place {
    /// Notes a record that stands in its place.
    pub fn pass(&mut self, record: &Record) {
        self.epoch = record.epoch;
        self.next = Some(match record.kind {
            Kind::Chunk => record.position.next(),
            Kind::Gap => record.resumes().unwrap_or(record.position),
            Kind::Header | Kind::Seal => record.position,
        });
    }
}

/// What is behind the last byte of the bytes scanned.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum End {
    /// The writer may be in the middle of its next record.
    Growing,
    /// Nothing: the last log segment, seen by someone who will not wait.
    Last,
    /// Another log segment, which begins at this position.
    Sealed(Position),
}

impl End {
    fn next(self) -> Option<Position> {
        match self {
            Self::Growing | Self::Last => None,
            Self::Sealed(next) => Some(next),
        }
    }
}

fn ends_well(rest: &[u8], end: usize) -> bool {
    match rest.get(end..) {
        Some([]) => true,
        Some(after) => Head::decode(after).is_ok(),
        None => false,
    }
}

/// The first offset from `from` on at which a sound head begins, or the end.
fn resync(bytes: &[u8], from: usize) -> usize {
    let mut at = from.min(bytes.len());
    while let Some(rest) = bytes.get(at..) {
        let Some(ahead) = rest.iter().position(|byte| *byte == MAGIC[0]) else { break };
        at += ahead;
        if Head::decode(&bytes[at..]).is_ok() {
            return at;
        }
        at += 1;
    }
    bytes.len()
}
