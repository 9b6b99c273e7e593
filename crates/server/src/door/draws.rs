//! What doors say in public: what is committed to before an opening, who was drawn after it, and the [diary](super::diary). A thread of its own, for the doors wait for no disk.
//!
//! In the folder of a space lie, beside the [door](super::FILE): the lists of its workers (`drawn-…`), until their record is made of them, and the folder [`FOLDER`] with what everybody may have. All
//! of that is made of what lies there, so that a house which begins anew goes on where the last one was.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use hiwar_admission::Scope;
use hiwar_admission::door::allocator::Drawn;
use hiwar_admission::door::diary::Minute;
use hiwar_admission::door::record::{
    AHEAD, DrawRecord, GLANCE_BYTES, Glance, LIST_PREFIX, LISTED_MAX, List, RECORD_BYTES_MAX,
};
use hiwar_admission::door::seal::SealKey;
use hiwar_admission::door::standing::Standing;
use hiwar_delivery::http::DoorMap;
use hiwar_segment_log::LogId;

use super::diary::Book;
use super::kept;

/// In a space's folder: what is public of its draws.
pub const FOLDER: &str = "draws";
/// In it: the commitments of the openings that come next, a line each.
const NEXT: &str = "next";
/// Records kept of one space, the newest: a third of a gigabyte, if each of them is as large as it can be.
const KEPT: usize = 16;
/// A worker says within a second that there will be no more on its list. One that does not by then is gone, or its disk is full.
const LISTS_WAIT: Duration = Duration::from_secs(30);
/// How often is looked whether lists are whole.
const LOOK: Duration = Duration::from_secs(1);
/// Draws that a full disk did not take, of all doors, until it does.
const UNDRAWN_MAX: usize = 64;
/// What waits to be done, of all doors; beyond, whoever speaks for the doors goes on, and says it again.
const NEWS_MAX: usize = 1_024;
/// A list is as long as what is listed, and a mark for each batch; in bytes.
const LIST_BYTES_MAX: u64 = 16 * LISTED_MAX as u64;

/// What doors have to say.
enum News {
    /// This is, or will be, their crowd.
    Opening(LogId, u16),
    /// It was drawn.
    Drawn(LogId, Box<Drawn>),
    /// A minute at them is over.
    Minute(LogId, Box<Minute>),
    /// Their space is over.
    Over(LogId),
    Crowd(LogId, Option<Box<Standing>>),
}

/// How the doors tell.
#[derive(Clone)]
pub struct Draws(SyncSender<News>);

impl Draws {
    /// Starts the thread; it ends with the last of these.
    ///
    /// # Errors
    /// No thread.
    pub fn start(spaces: PathBuf, key: SealKey) -> io::Result<Self> {
        let (tell, news) = sync_channel(NEWS_MAX);
        let shelf = Shelf::new(spaces, key);
        std::thread::Builder::new().name("draws".into()).spawn(move || shelf.keep(&news))?;
        Ok(Self(tell))
    }

    /// One whose news nobody takes.
    #[cfg(test)]
    pub fn deaf() -> Self {
        Self(sync_channel(1).0)
    }

    /// That door has that crowd now, or will have it next. False: there was no room to say it.
    pub fn opening(&self, log: LogId, opening: u16) -> bool {
        self.0.try_send(News::Opening(log, opening)).is_ok()
    }

    /// A draw was made. False: as above.
    pub fn drawn(&self, log: LogId, drawn: Drawn) -> bool {
        self.0.try_send(News::Drawn(log, Box::new(drawn))).is_ok()
    }

    /// A minute is over, for the diary. False: as above.
    pub fn minute(&self, log: LogId, minute: Minute) -> bool {
        self.0.try_send(News::Minute(log, Box::new(minute))).is_ok()
    }

    /// What the next house has to know of that door, or that there is nothing. False: as above.
    pub fn crowd(&self, log: LogId, standing: Option<Standing>) -> bool {
        self.0.try_send(News::Crowd(log, standing.map(Box::new))).is_ok()
    }

    /// The space is over: what its door knew is destroyed.
    pub fn over(&self, log: LogId) {
        // What could not be told is destroyed by whoever opens the spaces' folder next.
        let _ = self.0.try_send(News::Over(log));
    }
}

struct Shelf {
    spaces: PathBuf,
    key: SealKey,
    /// Records whose lists are not all there, and until when they are waited for.
    pending: BTreeMap<(LogId, u16), Instant>,
    /// Draws of which there is no record yet, for it could not be written.
    undrawn: BTreeMap<(LogId, u16), Drawn>,
    /// Crowds of which it could not be said that they come next.
    unsaid: BTreeMap<LogId, u16>,
    /// What is committed to now.
    committed: BTreeMap<LogId, [u8; 32]>,
    books: BTreeMap<LogId, Book>,
    /// Minutes that could not be written: a part of those that come next.
    unwritten: BTreeMap<LogId, Minute>,
    is_not_kept: bool,
    is_stuck: bool,
}

impl Shelf {
    fn new(spaces: PathBuf, key: SealKey) -> Self {
        Self {
            spaces,
            key,
            pending: BTreeMap::new(),
            undrawn: BTreeMap::new(),
            unsaid: BTreeMap::new(),
            committed: BTreeMap::new(),
            books: BTreeMap::new(),
            unwritten: BTreeMap::new(),
            is_not_kept: false,
            is_stuck: false,
        }
    }

    fn keep(mut self, news: &Receiver<News>) {
        loop {
            let told = match news.recv_timeout(LOOK) {
                Ok(News::Opening(log, opening)) => self.opening(log, opening),
                Ok(News::Drawn(log, drawn)) => self.drawn(log, *drawn),
                Ok(News::Minute(log, minute)) => self.minute(log, *minute),
                Ok(News::Over(log)) => self.over(log),
                Ok(News::Crowd(log, standing)) => {
                    self.crowd(log, standing.as_deref());
                    Ok(())
                }
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let done = told.and(self.look(Instant::now()));
            // Said once, for it is tried again and again.
            if let Err(why) = &done
                && !self.is_stuck
            {
                tracing::warn!("what is public of a door is not written, and is tried again: {why}");
            }
            self.is_stuck = done.is_err();
        }
    }

    fn crowd(&mut self, log: LogId, standing: Option<&Standing>) {
        let done = kept::keep(&self.spaces, log, standing);
        // Said once, for it is tried each second.
        if let Err(why) = &done
            && !self.is_not_kept
        {
            tracing::warn!(%log, "how a door stands is not kept, and another house would not know of its promises: {why}");
        }
        self.is_not_kept = done.is_err();
    }

    fn folder(&self, log: LogId) -> PathBuf {
        self.spaces.join(log.as_str())
    }

    /// Commits to what is drawn next, before anybody comes.
    fn opening(&mut self, log: LogId, opening: u16) -> io::Result<()> {
        self.unsaid.insert(log, opening);
        self.say(log, opening)?;
        self.unsaid.remove(&log);
        Ok(())
    }

    fn say(&mut self, log: LogId, opening: u16) -> io::Result<()> {
        let folder = self.folder(log);
        let map = DoorMap::open_or_make(&folder.join(super::FILE))?;
        let openings = (0..AHEAD).map(|ahead| opening.wrapping_add(ahead));
        self.committed.insert(log, map.secret(opening).commitment());
        let line = |opening| format!("{opening} {}\n", hex(&map.secret(opening).commitment()));
        std::fs::create_dir_all(folder.join(FOLDER))?;
        replace(&folder.join(FOLDER).join(NEXT), openings.map(line).collect::<String>().as_bytes())?;
        for (of, path) in lists(&folder)?.into_iter().filter(|(of, _)| *of != opening) {
            // An earlier house may have left a record without its lists, and lists of which nobody made one.
            if folder.join(FOLDER).join(of.to_string()).exists() {
                self.pending.entry((log, of)).or_insert_with(Instant::now);
            } else if of < opening && !self.undrawn.contains_key(&(log, of)) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Says what was drawn, and under which secret; by whom it is filled in as their lists come.
    fn drawn(&mut self, log: LogId, drawn: Drawn) -> io::Result<()> {
        let opening = drawn.opening;
        if self.undrawn.len() >= UNDRAWN_MAX && self.undrawn.pop_first().is_some() {
            tracing::error!("more draws than are kept wait for a disk: of one there will be no record");
        }
        self.undrawn.insert((log, opening), drawn);
        let recorded = self.record(log, opening);
        recorded.and(self.opening(log, opening.wrapping_add(1)))
    }

    /// The record of a draw that was made. While it cannot be written, the draw waits.
    fn record(&mut self, log: LogId, opening: u16) -> io::Result<()> {
        let (Some(drawn), Some(space)) = (self.undrawn.get(&(log, opening)), Scope::parse(log.as_str())) else {
            return Ok(());
        };
        let Drawn { workers, tally, table, .. } = drawn.clone();
        let folder = self.folder(log);
        let secret = DoorMap::open_or_make(&folder.join(super::FILE))?.secret(opening);
        let (commitment, secret) = (secret.commitment(), secret.reveal());
        let made = read_record(&folder, opening)?;
        // A house that goes on with a crowd finds the record of the one that drew it, and knows less: who is listed stays so.
        let is_there = made.as_ref().is_some_and(|made| made.commitment == commitment && made.tally == tally);
        // What whoever was drawn may have checked is not taken back.
        let is_finished =
            made.as_ref().is_some_and(|made| made.is_whole() || !made.counted.is_empty() || !made.uncounted.is_empty());
        if is_finished && !is_there {
            tracing::error!(%log, opening, "the record of a draw stays, although a house drew that crowd once more");
        }
        if !is_finished && !is_there {
            let (counted, uncounted) = (Vec::new(), Vec::new());
            let record = DrawRecord { space, opening, commitment, secret, workers, tally, table, counted, uncounted };
            self.put(log, &record)?;
        }
        self.undrawn.remove(&(log, opening));
        self.pending.insert((log, opening), Instant::now() + LISTS_WAIT);
        Ok(())
    }

    /// What could not be done before.
    fn catch_up(&mut self) -> io::Result<()> {
        let undrawn: Vec<_> = self.undrawn.keys().copied().collect();
        let unsaid: Vec<_> = self.unsaid.iter().map(|(log, opening)| (*log, *opening)).collect();
        let mut done = Ok(());
        for (log, opening) in undrawn {
            done = done.and(self.record(log, opening));
        }
        for (log, opening) in unsaid {
            done = done.and(self.opening(log, opening));
        }
        done
    }

    fn minute(&mut self, log: LogId, mut minute: Minute) -> io::Result<()> {
        let Some(space) = Scope::parse(log.as_str()) else { return Ok(()) };
        minute.commitment = self.committed.get(&log).copied().unwrap_or_default();
        let minute = match self.unwritten.remove(&log) {
            Some(mut before) => {
                before.go_on(&minute);
                before
            }
            None => minute,
        };
        let written = self.write(log, space, minute.clone());
        if written.is_err() {
            self.unwritten.insert(log, minute);
        }
        written
    }

    fn write(&mut self, log: LogId, space: Scope, minute: Minute) -> io::Result<()> {
        let book = match self.books.entry(log) {
            Entry::Occupied(book) => book.into_mut(),
            Entry::Vacant(none) => none.insert(Book::open(&self.spaces.join(log.as_str()), space)?),
        };
        book.write(&self.key, minute)
    }

    fn put(&self, log: LogId, record: &DrawRecord) -> io::Result<()> {
        let folder = self.folder(log).join(FOLDER);
        std::fs::create_dir_all(&folder)?;
        replace(&folder.join(record.opening.to_string()), &record.encode(&self.key))?;
        let mut made = made(&folder)?;
        made.sort_unstable_by_key(|opening| record.opening.wrapping_sub(*opening));
        for old in made.into_iter().skip(KEPT) {
            std::fs::remove_file(folder.join(old.to_string()))?;
        }
        Ok(())
    }

    /// Does what could not be done, and completes the records whose lists are whole, or were waited for.
    fn look(&mut self, now: Instant) -> io::Result<()> {
        let mut done = self.catch_up();
        let pending: Vec<_> = self.pending.iter().map(|(which, until)| (*which, *until)).collect();
        for ((log, opening), until) in pending {
            let is_last = now >= until;
            match self.complete(log, opening, is_last) {
                Ok(false) if !is_last => {}
                // The disk may take it later; what is no record never will.
                Err(why) if why.kind() != io::ErrorKind::InvalidData => {
                    self.pending.insert((log, opening), until.max(now + LOOK));
                    done = Err(why);
                }
                completed => {
                    self.pending.remove(&(log, opening));
                    done = completed.map(drop).and(done);
                }
            }
        }
        done
    }

    /// Whether it is complete. `is_last`: with what there is.
    fn complete(&self, log: LogId, opening: u16, is_last: bool) -> io::Result<bool> {
        let folder = self.folder(log);
        let Some(mut record) = read_record(&folder, opening)? else { return Ok(true) };
        let files: Vec<_> = lists(&folder)?.into_iter().filter(|(other, _)| *other == opening).collect();
        let read = |(_, path): &(u16, PathBuf)| {
            let worker = path.file_name()?.to_str()?.rsplit_once('-')?.1;
            let worker = u64::from_str_radix(worker, 16).ok()?;
            let mut bytes = Vec::new();
            std::fs::File::open(path).ok()?.take(LIST_BYTES_MAX).read_to_end(&mut bytes).ok()?;
            Some((worker, List::read(&bytes)))
        };
        let found: Vec<_> = files.iter().filter_map(read).collect();
        let is_whole = |(worker, count): &(u64, u64)| {
            *count == 0 || found.iter().any(|(other, list)| other == worker && list.is_ended())
        };
        if !is_last && !record.workers.iter().all(is_whole) {
            return Ok(false);
        }
        // What is listed once stays: a list that comes later is of somebody who was too late for it.
        if record.counted.is_empty() && record.uncounted.is_empty() && !found.is_empty() {
            record.list(found.iter().map(|(worker, list)| (*worker, list)));
            self.put(log, &record)?;
        }
        if !record.is_whole() {
            let (listed, drawn) = (record.counted.len(), record.tally.total());
            tracing::warn!(%log, opening, listed, drawn, "not everybody who was drawn is listed");
        }
        for (_, path) in files {
            std::fs::remove_file(path)?;
        }
        Ok(true)
    }

    fn over(&mut self, log: LogId) -> io::Result<()> {
        for until in self.pending.iter_mut().filter(|((of, _), _)| *of == log).map(|(_, until)| until) {
            *until = Instant::now();
        }
        if let (Some(minute), Some(space)) = (self.unwritten.remove(&log), Scope::parse(log.as_str())) {
            let _ = self.write(log, space, minute);
        }
        let completed = self.look(Instant::now());
        // Whatever the disk has not taken by now is lost with the door's secrets.
        self.pending.retain(|(of, _), _| *of != log);
        self.undrawn.retain(|(of, _), _| *of != log);
        self.unsaid.remove(&log);
        self.committed.remove(&log);
        self.books.remove(&log);
        let folder = self.folder(log);
        // Nobody comes by a ticket to what is over. Workers have it until they hear that it is.
        let destroyed = DoorMap::destroy(&folder.join(super::FILE));
        let _ = std::fs::remove_file(folder.join(FOLDER).join(NEXT));
        for (_, path) in lists(&folder)? {
            std::fs::remove_file(path)?;
        }
        completed.and(destroyed)
    }
}

/// What is public of a space's draws.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Public {
    /// Openings that may come next, and what is committed to.
    pub next: Vec<(u16, [u8; 32])>,
    /// Draws that were made, the oldest first.
    pub made: Vec<Glance>,
}

impl Public {
    /// Of the space in that folder; nothing, if there was no door.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let folder = folder.join(FOLDER);
        let next = match std::fs::read_to_string(folder.join(NEXT)) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => String::new(),
            next => next?,
        };
        let line = |line: &str| {
            let (opening, commitment) = line.split_once(' ')?;
            Some((opening.parse().ok()?, unhex(commitment)?))
        };
        let mut public = Self { next: next.lines().filter_map(line).collect(), made: Vec::new() };
        for opening in made(&folder)? {
            let mut head = [0; GLANCE_BYTES];
            std::fs::File::open(folder.join(opening.to_string()))?.read_exact(&mut head)?;
            public.made.extend(Glance::read(&head));
        }
        public.made.sort_unstable_by_key(|made| made.opening);
        Ok(public)
    }
}

/// Where the record of a draw is, of the space in that folder.
pub fn record_path(folder: &Path, opening: u16) -> PathBuf {
    folder.join(FOLDER).join(opening.to_string())
}

fn read_record(folder: &Path, opening: u16) -> io::Result<Option<DrawRecord>> {
    match std::fs::File::open(record_path(folder, opening)) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        file => {
            let mut bytes = Vec::new();
            file?.take(RECORD_BYTES_MAX as u64).read_to_end(&mut bytes)?;
            let record = DrawRecord::decode(&bytes).map(|(record, _)| record);
            record.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not the record of a draw"))
        }
    }
}

/// The last crowd of which there is a record, of the space in that folder.
///
/// # Errors
/// Those of the file system.
pub(super) fn last(folder: &Path) -> io::Result<Option<u16>> {
    Ok(made(&folder.join(FOLDER))?.into_iter().max())
}

/// Of which openings there are records.
fn made(folder: &Path) -> io::Result<Vec<u16>> {
    let names = names(folder)?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// The lists in a space's folder, and of which opening each is.
fn lists(folder: &Path) -> io::Result<Vec<(u16, PathBuf)>> {
    let opening = |name: &String| name.strip_prefix(LIST_PREFIX)?.split_once('-')?.0.parse().ok();
    Ok(names(folder)?.iter().filter_map(|name| Some((opening(name)?, folder.join(name)))).collect())
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    match std::fs::read_dir(folder) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
    }
}

/// Aside, and then renamed: nobody reads a half of it.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&aside)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    std::fs::rename(aside, path)
}

/// Bytes as people compare them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads them; `None`: they are not so many, or not written so.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N || !text.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
    Some(std::array::from_fn(|at| digit(text[2 * at]) << 4 | digit(text[2 * at + 1])))
}

#[cfg(test)]
mod tests {
    use hiwar_admission::door::diary::{Field, Line, Reader};
    use hiwar_admission::door::draw::Tally;
    use hiwar_admission::door::network::Turn;
    use hiwar_admission::door::record::{Entry, Item, list_name};
    use hiwar_admission::door::ticket::Class;
    use hiwar_admission::door::timetable::{Outlook, Stays};

    use super::super::diary;
    use super::*;

    struct World {
        folder: tempfile::TempDir,
        shelf: Shelf,
        log: LogId,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let log = LogId::parse("talk").expect("an id");
            std::fs::create_dir(folder.path().join("talk")).expect("a folder");
            let shelf = Self::begin(folder.path());
            Self { folder, shelf, log }
        }

        /// A house that begins.
        fn begin(spaces: &Path) -> Shelf {
            Shelf::new(spaces.to_owned(), SealKey::from_bytes(&[1; 32]))
        }

        fn space(&self) -> PathBuf {
            self.folder.path().join("talk")
        }

        /// What a worker writes that draws so many, and whether it has said that this was all.
        fn write(&self, opening: u16, worker: u64, count: u64, ends: bool) {
            let entry = |network| Item::Entry(Entry { class: Class::Anybody, network, turn: Turn::FIRST });
            let items = [Item::At(0)].into_iter().chain((0..count).map(|n| entry(n << 8 | worker)));
            let items = items.chain(ends.then_some(Item::End(count)));
            let bytes: Vec<u8> = items.flat_map(Item::to_bytes).collect();
            std::fs::write(self.space().join(list_name(opening, worker)), bytes).expect("a disk");
        }

        /// What the house draws, of two workers that have told of so many.
        fn drawn(&self, opening: u16, counts: [u64; 2]) -> Drawn {
            let secret = DoorMap::open_or_make(&self.space().join(super::super::FILE)).expect("a door").secret(opening);
            let mut tally = Tally::default();
            for (worker, count) in (1..).zip(counts) {
                (0..count).for_each(|n| tally.add(Class::Anybody, secret.lot(n << 8 | worker, Turn::FIRST)));
            }
            let now = std::time::SystemTime::UNIX_EPOCH;
            let outlook = Outlook { now, first: 0, places: 9, inside: &[7.0], pace: 90, stays: Stays::default() };
            let table = hiwar_admission::door::timetable::Timetable::of(&outlook);
            Drawn { opening, workers: (1..).zip(counts).collect(), tally, table }
        }

        fn record(&self, opening: u16) -> DrawRecord {
            read_record(&self.space(), opening).expect("a disk").expect("a record")
        }

        fn public(&self) -> Public {
            Public::read(&self.space()).expect("a disk")
        }
    }

    #[test]
    fn a_house_that_goes_on_with_a_crowd_leaves_the_record_of_its_draw_as_it_is() {
        let mut world = World::new();
        let log = world.log;
        world.shelf.opening(log, 0).expect("a disk");
        world.write(0, 1, 30, true);
        world.write(0, 2, 10, true);
        world.shelf.drawn(log, world.drawn(0, [30, 10])).expect("a disk");
        world.shelf.look(Instant::now()).expect("a disk");
        let whole = world.record(0);
        assert!(whole.is_whole() && whole.counted.len() == 40);
        // It knows how many were drawn, and no longer by which workers; and their lists are gone.
        let drawn = |world: &World| Drawn { workers: Vec::new(), ..world.drawn(0, [30, 10]) };
        for _ in 0..2 {
            world.shelf = World::begin(world.folder.path());
            world.shelf.opening(log, 0).expect("a disk");
            world.shelf.drawn(log, drawn(&world)).expect("a disk");
            world.shelf.look(Instant::now() + LISTS_WAIT).expect("a disk");
            assert_eq!(world.record(0), whole);
        }
        // Another draw of the same crowd is not what was drawn under that commitment.
        world.write(0, 1, 31, true);
        world.shelf.drawn(log, world.drawn(0, [31, 10])).expect("a disk");
        world.shelf.look(Instant::now()).expect("a disk");
        assert_eq!(world.record(0), whole);
        // Nor is one by a door that was made anew.
        std::fs::remove_file(world.space().join(super::super::FILE)).expect("a door");
        world.shelf.drawn(log, world.drawn(0, [30, 10])).expect("a disk");
        assert_eq!(world.record(0), whole);
    }

    #[test]
    fn another_draw_of_a_crowd_of_which_nobody_is_listed_is_what_counts() {
        let mut world = World::new();
        let log = world.log;
        world.shelf.drawn(log, world.drawn(0, [30, 10])).expect("a disk");
        world.shelf = World::begin(world.folder.path());
        world.shelf.drawn(log, world.drawn(0, [31, 10])).expect("a disk");
        assert_eq!(world.record(0).tally.total(), 41);
    }

    #[test]
    fn what_was_committed_to_is_what_was_drawn_and_everybody_who_was_is_listed() {
        let mut world = World::new();
        let log = world.log;
        assert_eq!(world.public(), Public::default());
        world.shelf.opening(log, 0).expect("a disk");
        let before = world.public();
        assert_eq!(before.next.iter().map(|(opening, _)| *opening).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(before.made.is_empty());
        world.write(0, 1, 300, true);
        world.write(0, 2, 102, false);
        world.shelf.drawn(log, world.drawn(0, [300, 100])).expect("a disk");
        let after = world.public();
        assert_eq!((after.made[0].commitment, after.next[0]), (before.next[0].1, before.next[1]));
        // The other worker has not said yet that this was all.
        world.shelf.look(Instant::now()).expect("a disk");
        assert_eq!(world.record(0).counted.len(), 0);
        world.write(0, 2, 102, true);
        world.shelf.look(Instant::now()).expect("a disk");
        let check = world.record(0).check();
        assert!(check.faults.is_empty() && (check.listed, check.uncounted) == (400, 2), "{check:?}");
        assert!(lists(&world.space()).expect("a disk").is_empty());
        // What somebody writes who has not heard of it changes nothing.
        world.write(0, 2, 9, true);
        world.shelf.opening(log, 1).expect("a disk");
        world.shelf.look(Instant::now()).expect("a disk");
        assert_eq!(world.record(0).counted.len(), 400);
        assert!(lists(&world.space()).expect("a disk").is_empty());
    }

    #[test]
    fn a_draw_that_the_disk_does_not_take_is_public_when_it_does() {
        let mut world = World::new();
        let log = world.log;
        world.shelf.opening(log, 0).expect("a disk");
        world.write(0, 1, 30, true);
        world.write(0, 2, 10, true);
        let (draws, aside) = (world.space().join(FOLDER), world.space().join("aside"));
        std::fs::rename(&draws, &aside).expect("a disk");
        std::fs::write(&draws, "no folder").expect("a disk");
        world.shelf.drawn(log, world.drawn(0, [30, 10])).expect_err("no folder");
        // The lists are not lost meanwhile, whatever comes next.
        world.shelf.opening(log, 1).expect_err("no folder");
        world.shelf.look(Instant::now() + LISTS_WAIT).expect_err("no folder");
        assert_eq!(lists(&world.space()).expect("a disk").len(), 2);
        std::fs::remove_file(&draws).expect("a disk");
        std::fs::rename(&aside, &draws).expect("a disk");
        world.shelf.look(Instant::now()).expect("a disk");
        world.shelf.look(Instant::now()).expect("a disk");
        assert!(world.record(0).is_whole() && world.record(0).counted.len() == 40);
        assert_eq!(world.public().next[0].0, 1, "and what comes next");
        assert!(lists(&world.space()).expect("a disk").is_empty() && world.shelf.undrawn.is_empty());
    }

    #[test]
    fn a_record_that_the_disk_does_not_take_is_completed_when_it_does() {
        let mut world = World::new();
        let log = world.log;
        world.shelf.drawn(log, world.drawn(0, [30, 10])).expect("a disk");
        world.write(0, 1, 30, true);
        world.write(0, 2, 10, true);
        let aside = world.space().join(FOLDER).join("0.new");
        std::fs::create_dir(&aside).expect("a disk");
        (0..2).for_each(|_| drop(world.shelf.look(Instant::now() + LISTS_WAIT).expect_err("in the way")));
        std::fs::remove_dir(&aside).expect("a disk");
        world.shelf.look(Instant::now() + 2 * LISTS_WAIT).expect("a disk");
        assert!(world.record(0).is_whole() && world.record(0).counted.len() == 40);
    }

    #[test]
    fn a_minute_that_the_disk_does_not_take_is_a_part_of_the_next() {
        let mut world = World::new();
        let log = world.log;
        let minute = |n: u64| {
            let mut minute = Minute::new(60 * n, 60);
            minute.set(Field::Asked, 1 + n);
            minute
        };
        world.shelf.minute(log, minute(0)).expect("a disk");
        let (file, aside) = (world.space().join(diary::FILE), world.space().join("aside"));
        std::fs::rename(&file, &aside).expect("a disk");
        std::fs::create_dir(&file).expect("a disk");
        (1..3).for_each(|n| drop(world.shelf.minute(log, minute(n)).expect_err("a folder")));
        std::fs::remove_dir(&file).expect("a disk");
        std::fs::rename(&aside, &file).expect("a disk");
        world.shelf.minute(log, minute(3)).expect("a disk");
        let (mut reader, mut told) = (Reader::default(), Vec::new());
        for line in diary::read(&world.space()).expect("a disk").split(|byte| *byte == b'\n') {
            match reader.line(line) {
                (Some(Line::Minute(_, minute)), faults) => {
                    assert_eq!(faults, []);
                    told.push((minute.from, minute.seconds, minute.sum(Field::Asked)));
                }
                (Some(Line::Head { .. }), faults) => assert_eq!(faults, []),
                (None, _) => assert!(line.is_empty()),
            }
        }
        assert_eq!((told, reader.untold()), (vec![(0, 60, 1), (60, 180, 2 + 3 + 4)], 0));
        assert!(world.shelf.unwritten.is_empty());
    }

    #[test]
    fn the_next_house_completes_a_record_and_one_that_cannot_be_says_what_is_missing() {
        let mut world = World::new();
        let log = world.log;
        world.shelf.opening(log, 0).expect("a disk");
        world.write(0, 1, 300, true);
        world.shelf.drawn(log, world.drawn(0, [300, 100])).expect("a disk");
        world.shelf = World::begin(world.folder.path());
        // Of a crowd that nobody drew.
        world.write(1, 1, 5, true);
        world.shelf.opening(log, 2).expect("a disk");
        world.shelf.look(Instant::now()).expect("a disk");
        let check = world.record(0).check();
        assert_eq!(check.listed, 300);
        assert_eq!(check.faults, [hiwar_admission::door::record::Fault::Unlisted { tickets: 100 }]);
        assert_eq!((lists(&world.space()).expect("a disk"), world.public().made.len()), (vec![], 1));
    }

    #[test]
    fn when_it_is_over_the_records_stay_and_what_addresses_were_hashed_by_does_not() {
        let mut world = World::new();
        let log = world.log;
        for opening in 0..20 {
            world.shelf.opening(log, opening).expect("a disk");
            world.write(opening, 1, 3, true);
            world.shelf.drawn(log, world.drawn(opening, [3, 0])).expect("a disk");
        }
        world.write(20, 1, 3, false);
        world.shelf.over(log).expect("a disk");
        let public = world.public();
        let made: Vec<_> = public.made.iter().map(|made| made.opening).collect();
        assert_eq!((public.next, made), (vec![], (4..20).collect()));
        assert!((4..20).all(|opening| world.record(opening).is_whole()));
        let left: Vec<_> = names(&world.space()).expect("a disk");
        assert_eq!(left, [FOLDER]);
        world.shelf.over(log).expect("nothing to do");
    }

    #[test]
    fn hexadecimal_is_read_as_it_is_written() {
        assert_eq!(unhex(&hex(&[0, 0x7f, 0xff])), Some([0, 0x7f, 0xff]));
        assert_eq!((unhex::<2>("0g00"), unhex::<2>("000"), unhex::<1>("é")), (None, None, None));
    }
}
