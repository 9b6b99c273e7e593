//! The one writer of a log: claims it, recovers it, appends, syncs, seals, and deletes what is too old.
//!
//! `append` is one `write(2)` and never waits for the disk; `sync` does, when the caller says so, for everything appended since the
//! last time. Nothing here grows with the log except 32 bytes per log segment kept.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::claim::{Recovered, Tail};
use super::{AppendError, Error, dir};
use crate::format::Header;
use crate::position::{Epoch, Position};
use crate::record::{Kind, Record};
use crate::retention::{Retention, Segment, expired};
use crate::writer::{Open, Order, Rollover};

/// How a log is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How much is kept, see [`Writer::retain`].
    pub retention: Retention,
    /// A log segment is closed after this many bytes; at most 16 MiB.
    pub segment_bytes: u64,
    /// Or after this much wall time.
    pub segment_span: Duration,
    /// The whole log's limit in bytes: an append beyond it is [`AppendError::Full`]. `None`: the disk's.
    pub max_bytes: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention: Retention::EVERYTHING,
            // About half an hour of speech: a reader takes one segment into memory at a time.
            segment_bytes: 4 << 20,
            // What retention can delete, and what one unreadable file could cost.
            segment_span: Duration::from_secs(60),
            max_bytes: None,
        }
    }
}

/// The one writer of a log. Dropping it gives the log up, without a sync.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    /// The opened folder: bears the lock, and is synced after a log segment was added.
    folder: File,
    rollover: Rollover,
    retention: Retention,
    max_bytes: Option<u64>,
    order: Order,
    header: Option<Record>,
    current: Option<Current>,
    sealed: VecDeque<Segment>,
    sealed_bytes: u64,
    /// Encoded records on their way to the file; kept, so that appending allocates nothing.
    scratch: Vec<u8>,
    unsynced: Unsynced,
    acked: Position,
}

/// The log segment being written.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) file: File,
    pub(super) open: Open,
}

/// What [`Writer::sync`] has to do.
#[derive(Debug, Default)]
struct Unsynced {
    current: bool,
    /// A log segment that was closed since.
    closed: Option<File>,
    folder: bool,
    /// A sync failed: the system may have dropped the pages, so that a later sync could acknowledge what is not there.
    failed: bool,
}

impl Writer {
    /// Claims the log in `dir` (made if missing): locks it, moves a torn tail aside, and raises the epoch durably.
    ///
    /// # Errors
    /// [`Error::Locked`] if it has a writer, [`Error::Full`] if there is no room to recover it or to note the claim,
    /// [`Error::LaterVersion`] if a later program wrote its end, [`Error::Io`].
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Recovered), Error> {
        let folder = dir::create(dir)?;
        dir::lock(&folder, dir)?;
        let listing = dir::list(dir)?;
        let tail = Tail::read(dir, &listing.firsts)?;
        let epoch = Epoch(tail.epoch.max(dir::read_epoch(dir)?.unwrap_or_default()).0.saturating_add(1));
        let current = tail.truncate(dir, epoch)?;
        dir::write_epoch(dir, epoch)?;

        let mut writer = Self {
            dir: dir.to_owned(),
            folder,
            rollover: Rollover { bytes: options.segment_bytes.min(ROLLOVER_BYTES_MAX), span: options.segment_span },
            retention: options.retention,
            max_bytes: options.max_bytes,
            order: Order {
                epoch,
                next: tail.next,
                next_time: tail.last.end_time,
                sealed: tail.last.sealed,
                fresh: listing.firsts.is_empty(),
            },
            header: tail.header,
            current,
            sealed: VecDeque::new(),
            sealed_bytes: 0,
            scratch: Vec::with_capacity(8 << 10),
            unsynced: Unsynced::default(),
            acked: tail.next,
        };
        for first in listing.firsts.iter().rev().skip(1).rev() {
            let Some((file, path)) = dir::open_segment(dir, *first)? else { continue };
            let bytes = file.metadata().map_err(Error::io("reading", &path))?.len();
            writer.close(Segment { first: *first, bytes, begun_wall_us: dir::begun_wall_us(&file) });
        }
        let recovered = Recovered {
            epoch,
            next: tail.next,
            next_time: tail.last.end_time,
            last_wall_us: tail.last.wall_us,
            header: writer.header.as_ref().and_then(|record| Header::from_body(&record.body).ok()),
            truncated_bytes: tail.torn.len() as u64,
            sealed: tail.last.sealed,
            damaged: tail.damaged,
        };
        Ok((writer, recovered))
    }

    /// Appends one record with one `write(2)`; it is durable after the next [`Writer::sync`].
    ///
    /// A record that is ahead of its turn (after [`AppendError::Full`], for instance) is preceded by a Gap record that names what was
    /// left out. After any error the log is as it was before, and the writer goes on.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn append(&mut self, record: &Record) -> Result<(), AppendError> {
        let gap = self.order.admit(record)?;
        self.order.begin_at(record);
        if self.unsynced.failed {
            return Err(AppendError::Io(failed_before()));
        }
        let due = |current: &Current| self.rollover.is_due(&current.open, self.order.next, record.wall_us);
        let roll = self.current.as_ref().is_none_or(due);
        let begins = roll || self.current.as_ref().is_some_and(|current| current.open.bytes == 0);

        self.scratch.clear();
        if begins && (record.kind != Kind::Header || gap.is_some()) {
            self.encode_header_copy(record.wall_us);
        }
        if let Some(gap) = &gap {
            gap.encode(&mut self.scratch);
        }
        record.encode(&mut self.scratch);
        if self.max_bytes.is_some_and(|max| self.bytes() + self.scratch.len() as u64 > max) {
            return Err(AppendError::Full);
        }
        match roll {
            true => self.write_new_segment(record.wall_us)?,
            false => self.write()?,
        }
        if let Some(gap) = &gap {
            self.order.advance(gap);
        }
        self.order.advance(record);
        if record.kind == Kind::Header {
            self.header = Some(record.clone());
        }
        Ok(())
    }

    /// Waits until everything appended is on the disk. Returns the position before which everything is: the next chunk's. Costs
    /// nothing if nothing was appended.
    ///
    /// # Errors
    /// [`AppendError::Full`] or [`AppendError::Io`]; what was not acknowledged may be lost, and the claim is over: drop the writer and
    /// open another, which recovers what is there.
    pub fn sync(&mut self) -> Result<Position, AppendError> {
        if self.unsynced.failed {
            return Err(AppendError::Io(failed_before()));
        }
        if let Err(error) = self.sync_files() {
            self.unsynced.failed = true;
            return Err(AppendError::from(error));
        }
        self.acked = self.order.next;
        Ok(self.acked)
    }

    /// Ends the log with a Seal record and syncs it. Sealing twice is sealing once.
    ///
    /// If the last chunks could not be kept, append a Seal record at the position after them instead, so that the gap is noted.
    ///
    /// # Errors
    /// As [`Writer::append`] and [`Writer::sync`].
    pub fn seal(&mut self, now_wall_us: u64) -> Result<(), AppendError> {
        if !self.order.sealed {
            self.append(&Record {
                position: self.order.next,
                epoch: self.order.epoch,
                kind: Kind::Seal,
                time: self.order.next_time,
                duration: 0,
                wall_us: now_wall_us,
                body: bytes::Bytes::new(),
            })?;
        }
        self.sync().map(|_| ())
    }

    /// Deletes the log segments that retention no longer keeps at `now_wall_us`, with what was torn from them.
    ///
    /// # Errors
    /// [`Error::Io`]; segments deleted so far stay deleted, always the oldest first.
    pub fn retain(&mut self, now_wall_us: u64) -> Result<Retained, Error> {
        let mut retained = Retained::default();
        let open = self.current.as_ref().map(|current| Segment {
            first: current.open.first,
            bytes: current.open.bytes,
            begun_wall_us: Some(current.open.begun_wall_us),
        });
        self.sealed.extend(open);
        let count = expired(self.sealed.make_contiguous(), self.retention, now_wall_us);
        if open.is_some() {
            self.sealed.pop_back();
        }
        if count == 0 {
            return Ok(retained);
        }
        let torn = dir::list(&self.dir)?.torn;
        for _ in 0..count.min(self.sealed.len()) {
            let Some(segment) = self.sealed.front().copied() else { break };
            let of_segment = torn.iter().filter(|(first, _)| *first == segment.first).map(|(_, name)| name.clone());
            for name in of_segment.chain([dir::segment_name(segment.first)]) {
                let path = self.dir.join(name);
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(Error::io("deleting", &path)(error));
                    }
                    _ => {}
                }
            }
            self.sealed.pop_front();
            self.sealed_bytes -= segment.bytes;
            retained.segments_deleted += 1;
            retained.bytes_deleted += segment.bytes;
        }
        Ok(retained)
    }

    /// Changes how much is kept from the next [`Writer::retain`] on: recording was switched on or off.
    pub fn set_retention(&mut self, retention: Retention) {
        self.retention = retention;
    }

    /// The position of the next chunk.
    #[must_use]
    pub fn next(&self) -> Position {
        self.order.next
    }

    /// This claim's epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.order.epoch
    }

    /// What the last [`Writer::sync`] returned: everything before it is on the disk.
    #[must_use]
    pub fn acked(&self) -> Position {
        self.acked
    }

    /// Bytes in the log's segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sealed_bytes + self.current.as_ref().map_or(0, |current| current.open.bytes)
    }

    /// Every segment begins with the header in force, so that retention never deletes the only one, and a reader may begin anywhere.
    fn encode_header_copy(&mut self, wall_us: u64) {
        let Some(header) = self.header.as_mut() else { return };
        header.position = self.order.next;
        header.epoch = self.order.epoch;
        header.time = self.order.next_time;
        header.wall_us = wall_us;
        header.encode(&mut self.scratch);
    }

    fn write(&mut self) -> Result<(), AppendError> {
        let Some(current) = self.current.as_mut() else { return Ok(()) };
        if let Err(error) = current.file.write_all_at(&self.scratch, current.open.bytes) {
            // Half a record must not stay: the next one would be written over it, but a reader may look before.
            let _ = current.file.set_len(current.open.bytes);
            return Err(AppendError::from(error));
        }
        current.open.bytes += self.scratch.len() as u64;
        self.unsynced.current = true;
        Ok(())
    }

    fn write_new_segment(&mut self, wall_us: u64) -> Result<(), AppendError> {
        // A belt beside the lock: whoever deleted and made this folder again under us has another epoch in it.
        if dir::read_epoch(&self.dir).ok().flatten() != Some(self.order.epoch) {
            return Err(AppendError::Fenced { current: self.order.epoch });
        }
        // At most one closed segment waits for a sync, whatever the caller does.
        if let Some(closed) = &self.unsynced.closed {
            closed.sync_data()?;
            self.unsynced.closed = None;
        }
        // Under another name first: a log segment is seen by readers only with a whole record in it.
        let (path, fresh) = (self.dir.join(dir::segment_name(self.order.next)), self.dir.join("segment.new"));
        if path.exists() {
            return Err(AppendError::Io(io::ErrorKind::AlreadyExists.into()));
        }
        let file = File::create(&fresh)?;
        let written = file.write_all_at(&self.scratch, 0).and_then(|()| std::fs::rename(&fresh, &path));
        if let Err(error) = written {
            let _ = std::fs::remove_file(&fresh);
            return Err(AppendError::from(error));
        }
        let open = Open { first: self.order.next, bytes: self.scratch.len() as u64, begun_wall_us: wall_us };
        if let Some(Current { file, open, .. }) = self.current.replace(Current { file, open }) {
            self.close(Segment { first: open.first, bytes: open.bytes, begun_wall_us: Some(open.begun_wall_us) });
            self.unsynced.closed = self.unsynced.current.then_some(file);
        }
        self.unsynced.current = true;
        self.unsynced.folder = true;
        Ok(())
    }

    fn sync_files(&mut self) -> io::Result<()> {
        if let Some(closed) = self.unsynced.closed.take() {
            closed.sync_data()?;
        }
        if let Some(current) = self.current.as_ref().filter(|_| self.unsynced.current) {
            current.file.sync_data()?;
            self.unsynced.current = false;
        }
        if self.unsynced.folder {
            self.folder.sync_all()?;
            self.unsynced.folder = false;
        }
        Ok(())
    }

    fn close(&mut self, segment: Segment) {
        self.sealed_bytes += segment.bytes;
        self.sealed.push_back(segment);
    }
}

/// What [`Writer::retain`] did.
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct Retained {
    /// Log segments deleted.
    pub segments_deleted: usize,
    /// Bytes in them.
    pub bytes_deleted: u64,
}

fn failed_before() -> io::Error {
    io::Error::other("a sync failed before; open the log again")
}

/// Readers take a log segment into memory whole.
const ROLLOVER_BYTES_MAX: u64 = 16 << 20;
