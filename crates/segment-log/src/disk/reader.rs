//! Reads a log's records from a position on, past whatever is damaged.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Error, dir};
use crate::position::Position;
use crate::reader::{Damaged, End, Found, Place, Scan};
use crate::record::{Kind, Record};
use crate::tail;

/// A log opened for reading; its writer may be at work, in this process or another.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
}

impl Reader {
    /// Opens the log in `dir`.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no such folder.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        dir::list(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// The first position that is kept, by the name of the first log segment. `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn begin(&self) -> Result<Option<Position>, Error> {
        Ok(dir::list(&self.dir)?.firsts.first().copied())
    }

    /// How many bytes its log segments have.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn bytes(&self) -> Result<u64, Error> {
        let mut bytes = 0;
        for first in dir::list(&self.dir)?.firsts {
            // One that retention deleted meanwhile has none.
            if let Some((file, path)) = dir::open_segment(&self.dir, first)? {
                bytes += file.metadata().map_err(Error::io("looking at", &path))?.len();
            }
        }
        Ok(bytes)
    }

    /// Whether a writer is at work now.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn has_writer(&self) -> Result<bool, Error> {
        dir::has_writer(&self.dir)
    }

    /// The records from `from` on, up to the end of the log as it is now: first the header in force there, then every whole record at
    /// or after `from`. One log segment is in memory at a time; bodies are slices of it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn records(&self, from: Position) -> Result<Records, Error> {
        Records::new(&self.dir, from)
    }
}

/// Iterator over the whole records of a log. Damage is skipped, and kept in [`Records::damage`].
#[derive(Debug)]
pub struct Records {
    dir: PathBuf,
    from: Position,
    firsts: std::vec::IntoIter<Position>,
    scan: Option<Scan>,
    place: Place,
    /// The last header before `from`, until it is returned.
    header: Option<Record>,
    /// A record that waits for the header to be returned first.
    held: Option<Record>,
    damage: Vec<Damaged>,
    damage_total: u64,
    vanished: u64,
    /// How the last log segment ends: a writer at work may be in the middle of a record, which is no damage.
    last: End,
}

impl Records {
    pub(super) fn new(dir: &Path, from: Position) -> Result<Self, Error> {
        let last = if dir::has_writer(dir)? { End::Growing } else { End::Last };
        let mut firsts = dir::list(dir)?.firsts;
        if let Some(begin) = tail::begin(&firsts, from) {
            firsts.retain(|first| *first >= begin);
        }
        Ok(Self {
            dir: dir.to_owned(),
            from,
            firsts: firsts.into_iter(),
            scan: None,
            place: Place::default(),
            header: None,
            held: None,
            damage: Vec::new(),
            damage_total: 0,
            vanished: 0,
            last,
        })
    }

    /// What was damaged in the log segments read so far, the first thousand ranges of it.
    #[must_use]
    pub fn damage(&self) -> &[Damaged] {
        &self.damage
    }

    /// How many damaged ranges there were so far.
    #[must_use]
    pub fn damage_total(&self) -> u64 {
        self.damage_total
    }

    /// How many log segments were there when the reading began, and were deleted before it came to them: by retention, which takes
    /// the oldest, or with the whole log.
    #[must_use]
    pub fn vanished(&self) -> u64 {
        self.vanished
    }

    fn find(&mut self) -> Result<Option<Record>, Error> {
        loop {
            let Some(scan) = &mut self.scan else {
                if !self.open_next()? {
                    return Ok(None);
                }
                continue;
            };
            match scan.next() {
                Some(Found::Record { record, .. }) if record.position >= self.from => return Ok(Some(record)),
                Some(Found::Record { record, .. }) if record.kind == Kind::Header => self.header = Some(record),
                Some(Found::Record { .. }) => {}
                Some(Found::Damaged(damaged)) => {
                    self.damage_total += 1;
                    if self.damage.len() < DAMAGE_KEPT_MAX {
                        self.damage.push(damaged);
                    }
                }
                None => {
                    self.place = scan.place();
                    self.scan = None;
                }
            }
        }
    }

    fn open_next(&mut self) -> Result<bool, Error> {
        while let Some(first) = self.firsts.next() {
            // Deleted since the folder was listed: go on with what is kept. The caller is told, since nothing may be left.
            let Some((file, path)) = dir::open_segment(&self.dir, first)? else {
                self.vanished += 1;
                self.place.next = None;
                continue;
            };
            let end = self.firsts.as_slice().first().map_or(self.last, |next| End::Sealed(*next));
            self.place.next = self.place.next.or(Some(first));
            self.scan = Some(scan_file(&file, &path, first, self.place, end)?);
            return Ok(true);
        }
        Ok(false)
    }
}

impl Iterator for Records {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(record) = self.held.take() {
            return Some(Ok(record));
        }
        let record = match self.find() {
            Ok(found) => found?,
            Err(error) => {
                // Once is enough: the same file would fail again.
                self.scan = None;
                return Some(Err(error));
            }
        };
        let header = self.header.take().filter(|_| record.kind != Kind::Header);
        Some(Ok(match header {
            Some(header) => {
                self.held = Some(record);
                header
            }
            None => record,
        }))
    }
}

fn scan_file(file: &File, path: &Path, first: Position, place: Place, end: End) -> Result<Scan, Error> {
    let name: Arc<str> = dir::segment_name(first).into();
    Ok(Scan::new(name, 0, dir::read_from(file, path, 0)?, place, end))
}

/// A log with more damage than this is beyond what a person reads line by line; the total is counted on.
const DAMAGE_KEPT_MAX: usize = 1_000;
