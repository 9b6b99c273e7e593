//! What a claim does with the log that it finds: reads its end, and moves torn bytes aside.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use super::writer::Current;
use super::{Error, dir};
use crate::format::Header;
use crate::position::{Epoch, Position};
use crate::reader::{End, Place, Scan};
use crate::record::Record;
use crate::recovery::{Last, Recovery, recover};
use crate::writer::Open;

/// What a claim found in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The epoch of this claim: every record appended must carry it.
    pub epoch: Epoch,
    /// The position of the next chunk.
    pub next: Position,
    /// Media time at which the last record ended, in the header's timescale.
    pub next_time: u64,
    /// When the last record was made, microseconds since the Unix epoch; 0 in a new log.
    pub last_wall_us: u64,
    /// The header in force.
    pub header: Option<Header>,
    /// Size of the torn tail that was moved into a `torn-…` file.
    pub truncated_bytes: u64,
    /// The log was sealed: nothing can be appended.
    pub sealed: bool,
    /// Damaged ranges in the last log segment, which were left as they are; [`super::verify()`] names them.
    pub damaged: usize,
}

/// What a claim learns from the end of the log.
#[derive(Debug)]
pub(super) struct Tail {
    segment: Option<(Position, File, PathBuf)>,
    pub(super) keep: u64,
    pub(super) torn: bytes::Bytes,
    pub(super) epoch: Epoch,
    pub(super) next: Position,
    pub(super) last: Last,
    pub(super) header: Option<Record>,
    pub(super) damaged: usize,
}

impl Tail {
    /// Reads the last log segment, and as many before it as it takes to find a record and a header: one, unless bytes were damaged.
    pub(super) fn read(dir: &Path, firsts: &[Position]) -> Result<Self, Error> {
        let nothing = Last { end_time: 0, wall_us: 0, sealed: false };
        let mut tail = Self {
            segment: None,
            keep: 0,
            torn: bytes::Bytes::new(),
            epoch: Epoch::default(),
            next: firsts.last().copied().unwrap_or_default(),
            last: nothing,
            header: None,
            damaged: 0,
        };
        let mut last = None;
        for first in firsts.iter().rev() {
            let Some((file, path)) = dir::open_segment(dir, *first)? else { continue };
            let bytes = dir::read_from(&file, &path, 0)?;
            let place = Place { next: Some(*first), epoch: Epoch::default() };
            let found: Recovery = recover(Scan::new(path.to_string_lossy().into(), 0, bytes.clone(), place, End::Last));
            tail.epoch = tail.epoch.max(found.epoch);
            tail.next = tail.next.max(found.next.unwrap_or_default());
            last = last.or(found.last);
            tail.header = tail.header.or(found.header);
            if tail.segment.is_none() {
                if found.later_version {
                    return Err(Error::LaterVersion { path });
                }
                tail.keep = found.keep;
                tail.torn = bytes.slice(usize::try_from(found.keep).unwrap_or(bytes.len())..);
                tail.damaged = found.damaged;
                tail.segment = Some((*first, file, path));
            }
            if last.is_some() && tail.header.is_some() {
                break;
            }
        }
        tail.last = last.unwrap_or(nothing);
        Ok(tail)
    }

    /// Moves the torn bytes aside and opens the segment for appending. In this order: a crash in between finds both, never neither.
    pub(super) fn truncate(&self, dir: &Path, epoch: Epoch) -> Result<Option<Current>, Error> {
        let Some((first, reading, path)) = &self.segment else { return Ok(None) };
        let file = OpenOptions::new().write(true).open(path).map_err(Error::io("opening", path))?;
        if !self.torn.is_empty() {
            dir::keep_torn(dir, &dir::torn_name(*first, self.keep, epoch), &self.torn)?;
            file.set_len(self.keep).map_err(Error::io("truncating", path))?;
        }
        // What the last house wrote but did not sync becomes part of what this one promises.
        file.sync_all().map_err(Error::io("syncing", path))?;
        let begun_wall_us = dir::begun_wall_us(reading).unwrap_or(0);
        let open = Open { first: *first, bytes: self.keep, begun_wall_us };
        Ok(Some(Current { file, open }))
    }
}
