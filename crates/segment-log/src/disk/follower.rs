//! Follows the end of a log while its writer appends, from this process or another.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Error, dir};
use crate::position::Position;
use crate::reader::{Damaged, End, Found, Place, Scan};
use crate::record::{Kind, Record};
use crate::tail;

/// Reads records as they are appended. They are what the writer wrote, synced or not: who must not show what a power cut could take
/// back waits for the writer's acknowledgement.
#[derive(Debug)]
pub struct Follower {
    dir: PathBuf,
    from: Position,
    segment: Option<Segment>,
    place: Place,
    damage_total: u64,
    last_damage: Option<Damaged>,
}

#[derive(Debug)]
struct Segment {
    first: Position,
    file: File,
    path: PathBuf,
    name: Arc<str>,
    scan: Scan,
}

impl Follower {
    /// Follows the log in `dir` from `from` on, or from the oldest record kept.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no such folder.
    pub fn open(dir: &Path, from: Position) -> Result<Self, Error> {
        dir::list(dir)?;
        let (place, segment) = (Place::default(), None);
        Ok(Self { dir: dir.to_owned(), from, segment, place, damage_total: 0, last_damage: None })
    }

    /// The next record, if it is there yet. Headers are returned wherever they stand; other records from `from` on.
    ///
    /// # Errors
    /// [`Error::Io`], also when the log was deleted.
    pub fn poll(&mut self) -> Result<Option<Record>, Error> {
        loop {
            if let Some(record) = self.drain() {
                return Ok(Some(record));
            }
            if !self.read_on()? {
                return Ok(None);
            }
        }
    }

    /// How many damaged ranges were skipped.
    #[must_use]
    pub fn damage_total(&self) -> u64 {
        self.damage_total
    }

    /// The last damaged range that was skipped.
    #[must_use]
    pub fn last_damage(&self) -> Option<&Damaged> {
        self.last_damage.as_ref()
    }

    fn drain(&mut self) -> Option<Record> {
        let scan = &mut self.segment.as_mut()?.scan;
        loop {
            match scan.next()? {
                Found::Record { record, .. } if record.kind == Kind::Header || record.position >= self.from => {
                    // Where to begin again, should retention overtake us.
                    self.from =
                        self.from.max(if record.kind == Kind::Chunk { record.position.next() } else { self.from });
                    return Some(record);
                }
                Found::Record { .. } => {}
                Found::Damaged(damaged) => {
                    self.damage_total += 1;
                    self.last_damage = Some(damaged);
                }
            }
        }
    }

    /// Brings in what was written since, or the next log segment. False: nothing new.
    fn read_on(&mut self) -> Result<bool, Error> {
        let Some(segment) = &mut self.segment else {
            let firsts = dir::list(&self.dir)?.firsts;
            return match tail::begin(&firsts, self.from) {
                Some(first) => self.enter(first),
                None => Ok(false),
            };
        };
        let (place, offset) = (segment.scan.place(), segment.scan.offset());
        let mut read = |end| -> Result<bool, Error> {
            let bytes = dir::read_from(&segment.file, &segment.path, offset)?;
            segment.scan = Scan::new(segment.name.clone(), offset, bytes, place, end);
            Ok(segment.scan.has_next())
        };
        if read(End::Growing)? {
            return Ok(true);
        }
        let end = tail::end(&dir::list(&self.dir)?.firsts, segment.first);
        let End::Sealed(next) = end else { return Ok(false) };
        // The writer may have gone on here between our read and its first record there: read again, now that this one is closed.
        if read(end)? {
            return Ok(true);
        }
        self.place = segment.scan.place();
        self.enter(next)
    }

    fn enter(&mut self, first: Position) -> Result<bool, Error> {
        let Some((file, path)) = dir::open_segment(&self.dir, first)? else {
            // Retention was faster: begin again with what is kept.
            self.segment = None;
            self.place.next = None;
            return Ok(true);
        };
        self.place.next = self.place.next.or(Some(first));
        let name: Arc<str> = dir::segment_name(first).into();
        let bytes = dir::read_from(&file, &path, 0)?;
        let scan = Scan::new(name.clone(), 0, bytes, self.place, End::Growing);
        self.segment = Some(Segment { first, file, path, name, scan });
        Ok(true)
    }
}
