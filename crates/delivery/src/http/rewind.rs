//! The past of the logs of one worker, read from the disk by the helper threads.
//!
//! What is known of a log's segments is kept and shared by the helpers, and grows with the log. A long log is read in bounded turns, so
//! that the first listener who rewinds delays no recording that is being sent.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use hiwar_segment_log::disk::{Error, Reader, Records};
use hiwar_segment_log::{LogId, Position};

use crate::coding::{Coding, Text};
use crate::head::Head;
use crate::playlist::{self, Extent};
use crate::problem::{Keep, Problem};
use crate::request::Method;
use crate::rewind::{Index, Joined, Joining, Part, Rewind};
use crate::tail::{Access, Ended};
use crate::window::SEGMENT_CHUNKS;

/// The logs that someone rewinds.
pub(super) struct Shelf {
    /// One folder for each log, with the log in `log`.
    root: PathBuf,
    books: Mutex<HashMap<LogId, Arc<Mutex<Book>>>>,
    segments: Mutex<Recent>,
}

/// A body, and how it is written.
type Written = (Bytes, Coding);

/// What is known of one log.
struct Book {
    index: Index,
    /// A reading that is not at the end yet.
    reading: Option<Records>,
    /// When a reading last came to the end.
    read: Option<Instant>,
    /// When somebody last asked.
    asked: Instant,
    /// The lists as they are now, each made when it is first asked for, and the shift they were made with.
    lists: [Option<Text>; 2],
    shift: u64,
}

impl Shelf {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, books: Mutex::default(), segments: Mutex::default() }
    }

    /// One turn for a wish. `None`: there is more to read, ask again.
    pub(super) fn answer(&self, wish: &Rewind) -> Option<Vec<u8>> {
        let found = match wish.part {
            Part::Playlist(extent) => self.playlist(wish, extent).transpose()?,
            Part::Segment(number) => self.segment(wish, number).map(|found| found.map(|body| (body, Coding::Plain))),
        };
        let now = SystemTime::now();
        let (body, coding) = match found {
            Ok(Some(found)) => found,
            Ok(None) => return Some(refuse(nothing(wish), wish, now)),
            Err(why) => {
                if is_missing(&why) {
                    return Some(refuse(nothing(wish), wish, now));
                }
                tracing::warn!(log = %wish.log, "cannot read the past: {why}");
                return Some(refuse(Problem::NotYet, wish, now));
            }
        };
        let (mime, cache) = match wish.part {
            // Half the target duration: caches in front may share it, nobody is held back by it.
            Part::Playlist(_) => ("application/vnd.apple.mpegurl", "max-age=2"),
            // As in the live window: it is the same object.
            Part::Segment(_) => ("audio/mp4", "max-age=24"),
        };
        let scope = if wish.access == Access::Pass { "private" } else { "public" };
        let mut answer = Head::new(200, now)
            .field("Content-Type", mime)
            .field("Content-Length", body.len())
            .field("Cache-Control", format_args!("{scope}, {cache}"))
            .field("Access-Control-Allow-Origin", "*")
            .maybe("Vary", matches!(wish.part, Part::Playlist(_)).then_some("Accept-Encoding"))
            .maybe("Content-Encoding", (coding == Coding::Gzip).then_some("gzip"))
            .maybe("Connection", (wish.keep == Keep::Close).then_some("close"))
            .end();
        if wish.method != Method::Head {
            answer.extend_from_slice(&body);
        }
        Some(answer)
    }

    /// `Ok(None)`: there is more to read. An empty list: nothing is whole yet.
    fn playlist(&self, wish: &Rewind, extent: Extent) -> Result<Option<Option<Written>>, Error> {
        let book = self.book(wish.log);
        let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
        let turned = book.turn(&self.folder(wish.log), wish);
        if turned.is_err() {
            // Whatever was known of a log that cannot be read is not told.
            *book = Book::new();
        }
        if !turned? {
            return Ok(None);
        }
        let list = book.list(extent, wish.shift).map(|list| list.get(wish.coding));
        let with_pass = |list: &[u8], pass| playlist::with_pass(&String::from_utf8_lossy(list), pass).into();
        Ok(Some(match &wish.pass {
            Some(pass) => list.map(|(list, coding)| (with_pass(&list, pass), coding)),
            None => list,
        }))
    }

    fn book(&self, log: LogId) -> Arc<Mutex<Book>> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        if !books.contains_key(&log) && books.len() >= BOOKS_MAX {
            // One that is being read just now counts as the youngest.
            let asked = |book: &Arc<Mutex<Book>>| book.try_lock().map_or_else(|_| Instant::now(), |book| book.asked);
            if let Some(oldest) = books.iter().min_by_key(|(_, book)| asked(book)).map(|(&log, _)| log) {
                books.remove(&oldest);
            }
        }
        books.entry(log).or_insert_with(|| Arc::new(Mutex::new(Book::new()))).clone()
    }

    fn segment(&self, wish: &Rewind, number: u64) -> Result<Option<Bytes>, Error> {
        let reader = Reader::open(&self.folder(wish.log))?;
        let first = number.saturating_mul(SEGMENT_CHUNKS);
        // Of a segment that retention has cut into, nothing is served.
        if reader.begin()?.is_none_or(|begin| begin.0 > first) {
            return Ok(None);
        }
        let recent = || self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = recent().get(wish.log, number) {
            return Ok(Some(known));
        }
        let mut joining = Joining::new(number);
        let mut whole = false;
        for record in reader.records(Position(first))? {
            if joining.push(&record?) == Joined::Whole {
                whole = true;
                break;
            }
        }
        // Where the log ends, more of it may come, unless it is complete.
        let joined = joining.finish().filter(|_| whole);
        if let Some(joined) = &joined {
            recent().put(wish.log, number, joined.clone());
        }
        Ok(joined)
    }

    fn folder(&self, log: LogId) -> PathBuf {
        self.root.join(log.as_str()).join("log")
    }
}

impl Book {
    fn new() -> Self {
        Self {
            index: Index::default(),
            reading: None,
            read: None,
            asked: Instant::now(),
            lists: [None, None],
            shift: 0,
        }
    }

    /// Reads on, if there may be something new. False: there is more.
    fn turn(&mut self, folder: &Path, wish: &Rewind) -> Result<bool, Error> {
        let now = Instant::now();
        self.asked = now;
        if self.reading.is_none() {
            let age = self.read.map(|read| now.saturating_duration_since(read));
            let behind = match wish.ended {
                Ended::No => wish.live.is_none_or(|live| live > self.index.end()),
                Ended::Yes => !self.index.sealed(),
            };
            if age.is_some_and(|age| age < if behind { AGE_BEHIND } else { AGE_MAX }) {
                return Ok(true);
            }
            let reader = Reader::open(folder)?;
            self.index.begin_at(reader.begin()?.unwrap_or_default().0);
            let from = self.index.step_back(STEP_BACK_SEGMENTS);
            self.reading = Some(reader.records(Position(from))?);
        }
        let Some(reading) = &mut self.reading else { return Ok(true) };
        for _ in 0..TURN_RECORDS {
            let Some(record) = reading.next() else {
                (self.reading, self.read, self.lists) = (None, Some(now), [None, None]);
                return Ok(true);
            };
            self.index.push(&record?);
        }
        Ok(false)
    }

    fn list(&mut self, extent: Extent, shift: u64) -> Option<&mut Text> {
        if self.shift != shift {
            (self.shift, self.lists) = (shift, [None, None]);
        }
        let known = match extent {
            Extent::Whole => &mut self.lists[0],
            Extent::Delta => &mut self.lists[1],
        };
        if known.is_none() {
            *known = self.index.playlist(extent, shift).map(Text::new);
        }
        known.as_mut()
    }
}

/// Segments that were asked for a moment ago: a crowd that goes back goes back to the same sentence.
#[derive(Default)]
struct Recent(std::collections::VecDeque<(LogId, u64, Bytes)>);

impl Recent {
    fn get(&mut self, log: LogId, number: u64) -> Option<Bytes> {
        let at = self.0.iter().position(|&(of, n, _)| of == log && n == number)?;
        let found = self.0.remove(at)?;
        let bytes = found.2.clone();
        self.0.push_back(found);
        Some(bytes)
    }

    fn put(&mut self, log: LogId, number: u64, bytes: Bytes) {
        self.0.push_back((log, number, bytes));
        if self.0.len() > RECENT_MAX {
            self.0.pop_front();
        }
    }
}

/// Why there is nothing.
fn nothing(wish: &Rewind) -> Problem {
    match (wish.part, wish.ended) {
        // This worker has heard of it, and the log is written a moment later.
        (Part::Segment(number), Ended::No) if wish.live.is_some_and(|live| number < live && live - number <= 2) => {
            Problem::NotYet
        }
        (Part::Segment(_), _) => Problem::NotFound,
        (Part::Playlist(_), Ended::Yes) => Problem::Ended,
        (Part::Playlist(_), Ended::No) => Problem::NotYet,
    }
}

fn refuse(problem: Problem, wish: &Rewind, now: SystemTime) -> Vec<u8> {
    let (mut head, body) = problem.answer(wish.language, Some(wish.method), wish.keep, now);
    head.extend_from_slice(&body);
    head
}

fn is_missing(why: &Error) -> bool {
    matches!(why, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

/// Logs whose segments are known at once; each takes about 150 kB and its lists as much again.
const BOOKS_MAX: usize = 64;
/// Segments kept of those that were read: about 4 MB.
const RECENT_MAX: usize = 128;
/// Records in one turn: about 1 MB of sound, a minute and a half.
const TURN_RECORDS: usize = 450;
/// What is known may be this old, even if nothing new is to be expected: retention or a deletion may have removed something.
const AGE_MAX: Duration = Duration::from_secs(4);
/// And this old if the worker has heard of more: a chunk is heard a moment before it is on the disk.
const AGE_BEHIND: Duration = Duration::from_millis(500);
/// The newest minute is read again each time: its records may not have been safe, and be others after a disk has failed.
const STEP_BACK_SEGMENTS: usize = 15;
