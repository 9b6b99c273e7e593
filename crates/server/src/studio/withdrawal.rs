//! Withdrawal: a recording without somebody who was in it. The sound is mixed again from the others' tracks, and takes the place of what there was.
//!
//! Everything is made beside the recording (`withdrawn.new`), synced, and renamed to `withdrawn`: from then on the new one is the recording, and what is left to do
//! (moving it into place, deleting what was) is done again by the next house if this one dies. Before, nothing has changed. Blocks; never on a thread that others
//! wait for.
//!
//! Sound without a track could hold the voice that was withdrawn: it becomes silence.

mod scrub;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hiwar_media::chunk::{Chunk, Facts};
use hiwar_media::package::fmp4;
use hiwar_media::replay::Stretch;
use hiwar_media::track::{Remix, Voice};
use hiwar_media::{SAMPLE_RATE, Time};
use hiwar_segment_log::disk::{self, AppendError, Options, Reader, Writer};
use hiwar_segment_log::{Epoch, Kind, LogId, Parts, Position, Record};

use super::tracks::{PART_VOICE, TRACKS};
use super::{airing, control, recording, seal};

/// What a withdrawal makes beside the recording, and what is then moved to its place.
pub(super) const FOLDERS: [&str; 2] = [DONE, BEGUN];
const BEGUN: &str = "withdrawn.new";
const DONE: &str = "withdrawn";
/// Files of a replay, in the order in which they take their places: the list last, as it names the others.
const REPLAY: [&str; 5] = ["replay.mp4", "replay.ogg", "chapters.json", "clips", "index.m3u8"];
/// Withdrawals that wait for their turn, and that is more people than change their mind in a minute.
const WAITING_MAX: usize = 8;
/// Results that can still be asked for; the oldest is forgotten.
const RESULTS_MAX: usize = 64;
/// A chunk that was louder than this and has no track counts as silenced: −80 LUFS.
const SOUND: f32 = 1e-8;
/// What mixing a byte of a log takes, against reading it.
const MIXING: u64 = 30;
/// Passes over the new log: one to measure and one for each file.
const SEALING: u64 = 3;
/// Less important than anything that is live.
const NICE: i32 = 15;
/// One at a time, so that mixing takes no more than one core's rest. Not the lock of [`seal`]: whoever ends a conversation does not wait for this.
static WITHDRAWING: Mutex<()> = Mutex::new(());
/// Whoever makes the next one finishes the last, and of two who move the same files one would delete what the other moved.
static FINISHING: Mutex<()> = Mutex::new(());

/// Who is to be taken out, of what.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Of this space.
    pub space: LogId,
    /// Its title, for the files.
    pub title: String,
    /// What of the recording is in its replay, if not all.
    pub stretch: Option<Stretch>,
    /// Ids of people on its stage, or the names that they had there.
    pub who: Vec<String>,
    /// What the sound says when somebody is heard.
    pub speaking: fn(&str) -> Vec<u8>,
}

/// What was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// Of the new replay.
    pub duration: Duration,
    /// Of the new replay.
    pub loudness_lufs: f32,
    /// Sound that had no track, and is silence now.
    pub silenced: Duration,
    /// Who is in it no more.
    pub gone: BTreeSet<String>,
}

/// Why nobody was taken out. The recording is as it was.
#[derive(Debug)]
pub enum Failure {
    /// No tracks were kept: it can only be deleted as a whole.
    NoTracks,
    /// One of them was not there. Who was: ids, and the names that each had.
    Nobody { there: BTreeMap<String, BTreeSet<String>> },
    /// Several people had a name: these.
    Several { ids: Vec<String> },
    /// The recording, or its tracks, cannot be read.
    Log(disk::Error),
    /// It cannot be written: what was being done, and why.
    Write(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoTracks => f.write_str("no tracks were kept"),
            Self::Nobody { .. } => f.write_str("nobody of that id or name was on stage"),
            Self::Several { ids, .. } => write!(f, "{} people had that name", ids.len()),
            Self::Log(why) => write!(f, "the log: {why}"),
            Self::Write(why) => f.write_str(why),
        }
    }
}

impl From<disk::Error> for Failure {
    fn from(why: disk::Error) -> Self {
        Self::Log(why)
    }
}

impl From<io::Error> for Failure {
    fn from(why: io::Error) -> Self {
        Self::Write(why.to_string())
    }
}

impl From<AppendError> for Failure {
    fn from(why: AppendError) -> Self {
        Self::Write(format!("the new log: {why}"))
    }
}

/// How far one is, to be read while it goes on.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    outcome: Mutex<Option<Result<Made, Failure>>>,
    /// For the oldest to be forgotten.
    begun: Mutex<Option<Instant>>,
}

impl Progress {
    /// 0 to 99.
    #[must_use]
    pub fn percent(&self) -> u64 {
        (self.done.load(Relaxed) * 100 / self.total.load(Relaxed).max(1)).min(99)
    }

    /// Looks at how it ended, if it has.
    pub fn outcome<T>(&self, look: impl FnOnce(Option<&Result<Made, Failure>>) -> T) -> T {
        look(self.outcome.lock().unwrap_or_else(PoisonError::into_inner).as_ref())
    }

    /// It is over.
    pub fn end(&self, outcome: Result<Made, Failure>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    fn is_over(&self) -> bool {
        self.outcome(|outcome| outcome.is_some())
    }

    fn add(&self, amount: u64) {
        self.done.fetch_add(amount, Relaxed);
    }
}

/// Withdrawals under way, and how the last of each space ended.
#[derive(Debug, Default)]
pub(super) struct Desk {
    spaces: Mutex<HashMap<LogId, Arc<Progress>>>,
}

impl Desk {
    /// Begins one. `None`: one is under way there, or too many are elsewhere.
    pub(super) fn begin(&self, space: LogId) -> Option<Arc<Progress>> {
        let mut spaces = self.lock();
        let busy = spaces.get(&space).is_some_and(|progress| !progress.is_over());
        if busy || spaces.values().filter(|progress| !progress.is_over()).count() >= WAITING_MAX {
            return None;
        }
        while spaces.len() >= RESULTS_MAX {
            let age = |progress: &Progress| *progress.begun.lock().unwrap_or_else(PoisonError::into_inner);
            let over = spaces.iter().filter(|(_, progress)| progress.is_over());
            let oldest = over.min_by_key(|(_, progress)| age(progress)).map(|(space, _)| *space)?;
            spaces.remove(&oldest);
        }
        let progress = Arc::new(Progress { begun: Mutex::new(Some(Instant::now())), ..Progress::default() });
        spaces.insert(space, progress.clone());
        Some(progress)
    }

    /// The last one of a space.
    pub(super) fn of(&self, space: &LogId) -> Option<Arc<Progress>> {
        self.lock().get(space).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LogId, Arc<Progress>>> {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether tracks were kept of a space, whose folder this is.
pub fn has_tracks(home: &Path) -> bool {
    // In its place, or on its way there.
    [home.join(TRACKS), home.join(DONE).join(TRACKS)].iter().any(|tracks| disk::is_log(tracks).unwrap_or(false))
}

/// Makes the recording anew beside the old one, which stays as it is until [`commit`].
///
/// # Errors
/// [`Failure`]; nothing is left then.
pub fn prepare(home: &Path, wanted: &Wanted, progress: &Progress) -> Result<Made, Failure> {
    // Lowering is always allowed.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
    let _one = WITHDRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    let made = make(home, wanted, progress);
    if made.is_err() {
        // Half of one would keep the disk full.
        let _ = remove(&home.join(BEGUN));
    }
    made
}

/// Makes what was [prepared](prepare) the recording, and deletes what there was.
///
/// # Errors
/// Of the disk. If `withdrawn` is there the new one is the recording all the same, and [`finish`] does the rest.
pub fn commit(home: &Path) -> io::Result<()> {
    fs::rename(home.join(BEGUN), home.join(DONE))?;
    File::open(home)?.sync_all()?;
    finish(home)
}

/// Gives up what was [prepared](prepare).
pub fn forget(home: &Path) {
    // What the disk keeps of it, the next house removes.
    let _ = remove(&home.join(BEGUN));
}

/// Moves what was decided into its place; where nothing was it does nothing. Can be done again after a crash anywhere in it.
///
/// # Errors
/// Of the disk; to be done again.
pub fn finish(home: &Path) -> io::Result<()> {
    let _one = FINISHING.lock().unwrap_or_else(PoisonError::into_inner);
    let done = home.join(DONE);
    if !done.is_dir() {
        return Ok(());
    }
    let (from, to) = (done.join("replay"), home.join("replay"));
    if from.is_dir() {
        fs::create_dir_all(&to)?;
        for name in REPLAY {
            match fs::rename(from.join(name), to.join(name)) {
                // Moved before the crash.
                Err(why) if why.kind() == io::ErrorKind::NotFound => {}
                moved => moved?,
            }
        }
        // Whatever else was made of the old sound.
        for file in fs::read_dir(&to)? {
            let file = file?;
            if !REPLAY.iter().any(|name| file.file_name() == *name) {
                remove(&file.path())?;
            }
        }
        File::open(&to)?.sync_all()?;
    }
    for name in ["log", TRACKS] {
        let (new, old, aside) = (done.join(name), home.join(name), home.join(format!("{name}.deleted")));
        if new.is_dir() {
            remove(&aside)?;
            if old.is_dir() {
                fs::rename(&old, &aside)?;
            }
            fs::rename(&new, &old)?;
            File::open(home)?.sync_all()?;
        }
        remove(&aside)?;
    }
    remove(&done)?;
    File::open(home)?.sync_all()
}

/// Removes whatever withdrawals left.
///
/// # Errors
/// Of the disk.
pub(super) fn clear(home: &Path) -> io::Result<()> {
    FOLDERS.iter().try_for_each(|name| remove(&home.join(name)))
}

/// Finishes what a house that died had decided, and forgets what it had not. Blocks for as long as the disk needs to delete.
pub(super) fn finish_all(spaces: &Path) {
    let Ok(entries) = fs::read_dir(spaces) else { return };
    for home in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let outcome = finish(&home).and_then(|()| if home.join(BEGUN).exists() { clear(&home) } else { Ok(()) });
        if let Err(why) = outcome {
            tracing::error!(space = %home.display(), "a withdrawal is not finished: {why}");
        }
    }
}

fn make(home: &Path, wanted: &Wanted, progress: &Progress) -> Result<Made, Failure> {
    // An earlier one that was decided, and that the disk did not let finish.
    finish(home)?;
    if !has_tracks(home) {
        return Err(Failure::NoTracks);
    }
    let (log, tracks) = (Reader::open(&home.join("log"))?, Reader::open(&home.join(TRACKS))?);
    let bytes = log.bytes()?;
    progress.total.store(bytes * (1 + MIXING + SEALING), Relaxed);
    let there = scrub::stage(&log, |bytes| progress.add(bytes))?;
    let gone = resolve(&wanted.who, &there)?;

    let beside = home.join(BEGUN);
    remove(&beside)?;
    let silenced = mix(&log, &tracks, &beside, wanted, &gone, progress)?;
    let replay = beside.join("replay");
    let read = &mut |bytes| progress.add(bytes);
    let replay_wanted = seal::Wanted {
        title: wanted.title.clone(),
        clips: seal::clips_of(&home.join("replay")),
        stretch: wanted.stretch,
    };
    let sealed = seal::make(&beside.join("log"), &replay, &wanted.space, &replay_wanted, read)?;
    File::open(&beside)?.sync_all()?;
    Ok(Made { duration: sealed.duration, loudness_lufs: sealed.loudness_lufs, silenced, gone: gone.ids })
}

/// Whose voice and name go: each a person's id, or a name that one person had.
fn resolve(who: &[String], there: &BTreeMap<String, BTreeSet<String>>) -> Result<scrub::Gone, Failure> {
    let mut gone = scrub::Gone::default();
    for who in who {
        let id = if there.contains_key(who) {
            who.clone()
        } else {
            let of_name = |(id, names): (&String, &BTreeSet<String>)| names.contains(who).then(|| id.clone());
            let mut ids: Vec<String> = there.iter().filter_map(of_name).collect();
            match (ids.pop(), ids.is_empty()) {
                (Some(id), true) => id,
                (None, _) => return Err(Failure::Nobody { there: there.clone() }),
                (Some(last), false) => {
                    ids.push(last);
                    return Err(Failure::Several { ids });
                }
            }
        };
        gone.names.extend(there.get(&id).into_iter().flatten().cloned());
        gone.ids.insert(id);
    }
    Ok(gone)
}

/// Writes the new log, and the tracks of those who stay. How much sound had no track.
fn mix(
    log: &Reader,
    tracks: &Reader,
    beside: &Path,
    wanted: &Wanted,
    gone: &scrub::Gone,
    progress: &Progress,
) -> Result<Duration, Failure> {
    let (mut new, mut kept) = (Copy::new(&beside.join("log"))?, Copy::new(&beside.join(TRACKS))?);
    let codec = |why| Failure::Write(format!("mixing: {why}"));
    let serial = airing::serial(&wanted.space);
    let mut remix =
        Remix::new(Instant::now(), control::PROGRAMME_BITRATE_BPS, serial, control::NOBODY).map_err(codec)?;
    let speaking = |owner: &[u8]| (wanted.speaking)(&String::from_utf8_lossy(owner));
    // What is damaged is passed over: sound without a track is silent, and tracks without sound are of no use.
    let mut track = tracks.records(Position(0))?.filter_map(Result::ok).peekable();
    let mut silenced = 0;
    for record in log.records(Position(0))?.filter_map(Result::ok) {
        let worth = record.encoded_len() as u64 * MIXING;
        if record.kind != Kind::Chunk {
            new.append(record)?;
            progress.add(worth);
            continue;
        }
        let mut voices = None;
        while let Some(of) = track.next_if(|of| of.position <= record.position) {
            let body = if of.kind == Kind::Chunk { stays(&of, gone) } else { of.body.clone() };
            let of = Record { body, ..of };
            if of.kind == Kind::Chunk && of.position == record.position {
                voices = Some(of.body.clone());
            }
            kept.append(of)?;
        }
        let facts = record.part(airing::PART_FACTS).and_then(|bytes| Facts::from_bytes(&bytes)).unwrap_or_default();
        if voices.is_none() && facts.energy.iter().any(|energy| *energy > SOUND) {
            silenced += u64::from(record.duration);
        }
        let chunk = again(&mut remix, &record, voices, speaking).map_err(codec)?;
        new.append(rewritten(&record, chunk, gone))?;
        progress.add(worth);
    }
    for of in track {
        let body = if of.kind == Kind::Chunk { stays(&of, gone) } else { of.body.clone() };
        kept.append(Record { body, ..of })?;
    }
    new.end()?;
    kept.end()?;
    Ok(Duration::from_secs_f64(silenced as f64 / f64::from(SAMPLE_RATE)))
}

/// The body of a record of tracks without those who go. What does not say whose it is goes, too.
fn stays(record: &Record, gone: &scrub::Gone) -> Bytes {
    let stays = |bytes: &Bytes| {
        Voice::parse(bytes).is_some_and(|voice| !gone.ids.iter().any(|id| id.as_bytes() == voice.owner))
    };
    let parts = record.parts().filter(|(part, bytes)| *part == PART_VOICE && stays(bytes));
    parts.fold(Parts::new(), |parts, (part, bytes)| parts.push(part, &bytes)).finish()
}

/// One chunk again, of these voices.
fn again(
    remix: &mut Remix,
    old: &Record,
    voices: Option<Bytes>,
    speaking: impl Fn(&[u8]) -> Vec<u8>,
) -> Result<Chunk, hiwar_media::opus::CodecError> {
    let of = Record { body: voices.unwrap_or_default(), ..old.clone() };
    let parts: Vec<Bytes> = of.parts().map(|(_, bytes)| bytes).collect();
    let voices: Vec<Voice<'_>> = parts.iter().filter_map(|bytes| Voice::parse(bytes)).collect();
    remix.chunk(old.position.0, Time(old.time), &voices, speaking)
}

/// The record of a chunk with its new sound, and those of its events in which nobody is who goes.
fn rewritten(old: &Record, mut chunk: Chunk, gone: &scrub::Gone) -> Record {
    let part = old.part(airing::PART_MP4).unwrap_or_default();
    if let Ok(fragment) = fmp4::frames(&part) {
        chunk.mp4 = scrub::events(&chunk, &fragment, gone);
    }
    let made = airing::record(&chunk, Epoch(0));
    Record { body: made.body, ..old.clone() }
}

/// A log that is written anew, record by record.
struct Copy {
    writer: Writer,
    epoch: Epoch,
}

impl Copy {
    fn new(folder: &Path) -> Result<Self, Failure> {
        let (writer, recovered) = Writer::open(folder, Options::default())?;
        Ok(Self { writer, epoch: recovered.epoch })
    }

    fn append(&mut self, record: Record) -> Result<(), Failure> {
        match self.writer.append(&Record { epoch: self.epoch, ..record }) {
            // What was out of order in the old log, a reader left out of it as well.
            Ok(()) | Err(AppendError::Conflict { .. } | AppendError::Sealed) => Ok(()),
            Err(why) => Err(why.into()),
        }
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.writer.sync()?;
        Ok(())
    }
}

/// Removes a file or a folder; what is not there is removed already.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(why) => Err(why),
    };
    match removed {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

impl From<recording::Failure> for Failure {
    fn from(why: recording::Failure) -> Self {
        match why {
            recording::Failure::Log(why) => Self::Log(why),
            why => Self::Write(format!("the replay: {why}")),
        }
    }
}

#[cfg(test)]
mod tests;
