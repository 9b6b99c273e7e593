//! The diaries of doors: what workers tell and the house knows is put together by the minute, and written down, each line sealed and chained to the one before.
//! What a diary is, and how it is read, [`hiwar_admission::door::diary`] knows.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hiwar_admission::Scope;
use hiwar_admission::door::allocator::Allocator;
use hiwar_admission::door::diary::{At, Field, LINE_BYTES_MAX, Minute, Traffic};
use hiwar_admission::door::seal::SealKey;
use hiwar_admission::ladder::{Level, Reasons};
use hiwar_engine::live_bus::{Count, Run, WorkerFigures};
use hiwar_segment_log::LogId;

use super::Passed;
use crate::ladder::highest;

/// In a space's folder: the diary's newest lines.
pub const FILE: &str = "diary";
/// And those before.
pub const OLD: &str = "diary.old";
/// A file that is longer than this is put aside, and the one that was aside is gone: with both, ten days at the least.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// In the last so many bytes a line is looked for that is whole: a minute is one, and a crash spoils no more than was written in it.
const TAIL_BYTES: u64 = 8 * LINE_BYTES_MAX as u64;
/// What a line is of.
pub const MINUTE: Duration = Duration::from_secs(60);

/// What is known of one door in this minute.
pub struct Diary {
    minute: Minute,
    /// The same, of all minutes since this house opened the door.
    ever: Minute,
    /// What each worker had told when it last told something.
    traffic: BTreeMap<Run, Traffic>,
    /// How crowded it is there, and the highest that it was in this minute.
    crowded: [(Level, Reasons); 2],
    /// Of each, and each form of the log: who listens, bytes that were sent, who was turned away.
    counts: BTreeMap<(Run, LogId), [u64; 3]>,
}

impl Diary {
    /// Of a door that opens now, and of which these workers told before this house: what they had counted is not of this minute.
    pub fn new(now: SystemTime, house: House) -> Self {
        let mut minute = Minute::new(seconds(now), 0);
        minute.set(Field::House, u64::from(house == House::Began));
        let ever = Minute::new(seconds(now), 0);
        Self { minute, ever, traffic: BTreeMap::new(), crowded: Default::default(), counts: BTreeMap::new() }
    }

    /// A worker tells what happened. `known`: it told before this door was here, so that nobody knows how much of it is new.
    pub fn hear(&mut self, run: Run, traffic: Traffic, known: Known) {
        let new = Traffic::default();
        let before = match (self.traffic.get(&run), known) {
            (Some(before), _) => Some(before),
            (None, Known::No) => Some(&new),
            (None, Known::Before) => None,
        };
        if let Some(before) = before {
            traffic.add_to(&mut self.minute, before);
            traffic.add_to(&mut self.ever, before);
        }
        self.traffic.insert(run, traffic);
    }

    /// What happened since this house opened the door.
    pub fn ever(&self) -> Passed {
        passed(|field| self.ever.of(field))
    }

    /// What happened at each worker since it began, as it told last.
    pub fn by_worker(&self) -> impl Iterator<Item = (Run, Passed)> + '_ {
        self.traffic.iter().map(|(run, traffic)| (*run, passed(|field| traffic.of(field))))
    }

    /// How crowded it is at the space, as whoever listens or asks is told.
    pub fn crowded(&mut self, is: (Level, Reasons)) {
        let [_, most] = self.crowded;
        self.crowded = [is, highest([most, is].into_iter())];
    }

    /// A worker counts listeners.
    pub fn count(&mut self, run: Run, count: &Count) {
        let figures = [count.audience, count.rehearsal];
        let sum = |of: fn(&hiwar_engine::live_bus::Figures) -> u64| figures.iter().map(of).sum::<u64>();
        let now = [sum(|f| f.listening.into()), sum(|f| f.bytes_total), sum(|f| f.turned_away_total)];
        if let Some([_, sent, turned_away]) = self.counts.insert((run, count.log), now) {
            self.add(Field::Sent, now[1].saturating_sub(sent));
            self.add(Field::TurnedAway, now[2].saturating_sub(turned_away));
        }
    }

    /// A worker is gone.
    pub fn gone(&mut self, run: Run) {
        self.traffic.remove(&run);
        self.counts.retain(|(of, _), _| *of != run);
    }

    /// The minute as it is now.
    pub fn minute(&mut self, now: SystemTime, allocator: &Allocator, machine: &Machine) -> Minute {
        let mut minute = self.minute.clone();
        minute.seconds = seconds(now).saturating_sub(minute.from);
        minute.set(Field::Opening, allocator.opening().unwrap_or(0).into());
        let waiting = allocator.waiting(now);
        minute.set(Field::Phase, if allocator.is_gathering() { 1 } else { 2 * u64::from(waiting.is_some()) });
        minute.set(Field::Inside, allocator.inside().into());
        minute.set(Field::Waiting, waiting.unwrap_or(0));
        minute.set(Field::Listening, self.counts.values().map(|[listening, ..]| listening).sum());
        let [_, (level, reasons)] = self.crowded;
        minute.set(Field::Level, (level as u8).into());
        minute.reasons = reasons;
        machine.tell(&mut minute);
        minute
    }

    /// It was written down: another begins.
    pub fn turn(&mut self, now: SystemTime) {
        self.minute = Minute::new(seconds(now), 0);
        let [is, _] = self.crowded;
        self.crowded = [is; 2];
    }

    fn add(&mut self, field: Field, more: u64) {
        let number = &mut self.minute.of_mut(field)[0];
        *number = number.saturating_add(more);
    }
}

fn passed<'n>(of: impl Fn(Field) -> &'n [u64]) -> Passed {
    let [entered, kept, late] = [Field::Entered, Field::Kept, Field::Late].map(|field| {
        let mut by_class = [0; _];
        by_class.copy_from_slice(of(field));
        by_class
    });
    let [asked, returns, away] = [Field::Asked, Field::Returns, Field::Away].map(|field| of(field).iter().sum());
    Passed { asked, returns, entered, kept, late, away }
}

/// Whether the house has just begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum House {
    /// It has, and the door may be older than it.
    Began,
    /// It was there before.
    Stood,
}

/// Whether a worker, or what it tells, is older than what hears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It is.
    Before,
    /// It is not: all that it tells is new.
    No,
}

/// What is of all doors alike: the workers, and this machine.
#[derive(Default)]
pub struct Machine {
    figures: BTreeMap<Run, WorkerFigures>,
    troubles: [u64; 7],
    highest: [u64; 2],
    began: u64,
    ended: u64,
    /// Ticks of the processors, busy and all, when the minute began; and what came of them.
    ticks: Option<(u64, u64)>,
    cpu_permille: u64,
}

impl Machine {
    /// A worker tells how it is. `known`: it was there before this house.
    pub fn hear(&mut self, run: Run, figures: WorkerFigures, known: Known) {
        if let Some(before) = self.figures.insert(run, figures) {
            for (sum, (now, before)) in
                self.troubles.iter_mut().zip(troubles(&figures).into_iter().zip(troubles(&before)))
            {
                *sum = sum.saturating_add(now.saturating_sub(before));
            }
        } else if known == Known::No {
            self.began += 1;
        }
        self.highest = longest(self.highest, &figures);
    }

    /// A worker is gone.
    pub fn gone(&mut self, run: Run) {
        self.ended += u64::from(self.figures.remove(&run).is_some());
    }

    /// A minute ends: what is to be told of it. `ticks`: as [`ticks`] says.
    pub fn end(&mut self, ticks: Option<(u64, u64)>) {
        if let (Some((busy, all)), Some((busy_before, all_before))) = (ticks, self.ticks) {
            let all = all.saturating_sub(all_before).max(1);
            self.cpu_permille = (1_000 * busy.saturating_sub(busy_before) / all).min(1_000);
        }
        self.ticks = ticks.or(self.ticks);
    }

    /// It was told: another begins.
    pub fn turn(&mut self) {
        (self.troubles, self.highest, self.began, self.ended) = ([0; 7], [0; 2], 0, 0);
        for figures in self.figures.values() {
            self.highest = longest(self.highest, figures);
        }
    }

    fn tell(&self, minute: &mut Minute) {
        minute.of_mut(Field::Troubles).copy_from_slice(&self.troubles);
        let [cadence, lean] = self.highest;
        let numbers = [
            (Field::Cadence, cadence),
            (Field::Lean, lean),
            (Field::Workers, self.figures.len() as u64),
            (Field::Began, self.began),
            (Field::Ended, self.ended),
            (Field::Cpu, self.cpu_permille),
        ];
        numbers.into_iter().for_each(|(field, number)| minute.set(field, number));
    }
}

fn longest(before: [u64; 2], figures: &WorkerFigures) -> [u64; 2] {
    let [cadence, lean] = before;
    [cadence.max(figures.cadence_ms.into()), lean.max(figures.lean.into())]
}

/// As [`Field::Troubles`] lists them.
fn troubles(figures: &WorkerFigures) -> [u64; 7] {
    let WorkerFigures { refused_total, timed_out_total, skipped_total, cut_total, .. } = *figures;
    let WorkerFigures { full_total, exhausted_total, unshaken_total, .. } = *figures;
    [refused_total, timed_out_total, skipped_total, cut_total, full_total, exhausted_total, unshaken_total]
}

/// Ticks of this machine's processors since its start: busy, and all. `None`: this system does not say.
pub fn ticks() -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let of_all = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = of_all.split_whitespace().take(8).filter_map(|ticks| ticks.parse().ok()).collect();
    // The fourth and the fifth are idle, and waiting for a disk.
    let idle = ticks.get(3)?.saturating_add(*ticks.get(4)?);
    let all = ticks.iter().sum::<u64>();
    Some((all.saturating_sub(idle), all))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A diary on the disk, to be gone on with.
pub struct Book {
    folder: PathBuf,
    space: Scope,
    at: At,
    bytes: u64,
    /// Cut off, and to be told.
    mended: u64,
}

impl Book {
    /// Opens the diary of a space, or begins it. What an earlier house did not finish is cut off.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(folder: &Path, space: Scope) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(folder.join(FILE))?;
        let length = file.metadata()?.len();
        let (mut end, mut at) = behind_last(&mut file, length)?;
        if at.is_none() && length > TAIL_BYTES {
            // Nothing of ours is cut off that is longer than what a crash leaves.
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a diary"));
        }
        if at.is_none()
            && let Ok(mut old) = File::open(folder.join(OLD))
        {
            // It was put aside, and the new one has not begun.
            let length = old.metadata()?.len();
            (_, at) = behind_last(&mut old, length)?;
            end = 0;
        }
        if end < length {
            file.set_len(end)?;
        }
        Ok(Self { folder: folder.to_owned(), space, at: at.unwrap_or_default(), bytes: end, mended: length - end })
    }

    /// Writes a minute down.
    ///
    /// # Errors
    /// Those of the file system; then nothing was written.
    pub fn write(&mut self, key: &SealKey, mut minute: Minute) -> io::Result<()> {
        let path = self.folder.join(FILE);
        if self.bytes > FILE_BYTES_MAX {
            std::fs::rename(&path, self.folder.join(OLD))?;
            self.bytes = 0;
        }
        minute.set(Field::Mended, self.mended);
        let mut at = self.at;
        // Behind what an older program wrote, minutes have more fields from another head on.
        let head = if self.bytes == 0 || at.is_old() { at.head(key, &self.space) + "\n" } else { String::new() };
        let lines = head + &at.minute(key, &minute) + "\n";
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        let written = file.write_all(lines.as_bytes()).and_then(|()| file.sync_data());
        if let Err(why) = written {
            file.set_len(self.bytes)?;
            return Err(why);
        }
        (self.at, self.mended) = (at, 0);
        self.bytes += lines.len() as u64;
        Ok(())
    }
}

/// Where the last line ends that is one, and what goes on from it. Lines behind it were not finished, or are no lines: a machine that lost its power leaves such.
fn behind_last(file: &mut File, length: u64) -> io::Result<(u64, Option<At>)> {
    let from = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let mut end = tail.len();
    while let Some(newline) = tail[..end].iter().rposition(|byte| *byte == b'\n') {
        let begin = tail[..newline].iter().rposition(|byte| *byte == b'\n').map_or(0, |before| before + 1);
        if let Some(at) = At::behind(&tail[begin..newline]) {
            return Ok((from + newline as u64 + 1, Some(at)));
        }
        end = newline;
    }
    Ok((0, None))
}

/// All lines of the diary of the space in that folder, as they are; nothing, if there is none.
///
/// # Errors
/// Those of the file system.
pub fn read(folder: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for name in [OLD, FILE] {
        match std::fs::read(folder.join(name)) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            more => bytes.extend(more?),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use hiwar_admission::door::diary::{Line, Reader};
    use hiwar_admission::door::timetable::Stays;
    use hiwar_admission::ladder::Reason;
    use hiwar_engine::live_bus::Figures;

    use super::*;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000 + second)
    }

    fn key() -> SealKey {
        SealKey::from_bytes(&[3; 32])
    }

    fn book(folder: &Path) -> Book {
        Book::open(folder, Scope::parse("talk").expect("a scope")).expect("a disk")
    }

    fn minutes(folder: &Path) -> Vec<Minute> {
        let mut reader = Reader::default();
        let bytes = read(folder).expect("a disk");
        let line = |line| {
            let (line, faults) = reader.line(line);
            assert_eq!(faults, []);
            match line.expect("a line") {
                Line::Minute(_, minute) => Some(minute),
                Line::Head { .. } => None,
            }
        };
        bytes.strip_suffix(b"\n").expect("whole lines").split(|byte| *byte == b'\n').filter_map(line).collect()
    }

    #[test]
    fn a_minute_has_what_happened_in_it_and_no_more() {
        let allocator = Allocator::new(at(0), 100, 10, Stays::default(), []);
        let (mut diary, mut machine) = (Diary::new(at(0), House::Began), Machine::default());
        let traffic = |asked: u64| {
            let mut traffic = Traffic::default();
            (0..asked).for_each(|n| traffic.asked(n));
            // Of ten that ask, seven show a ticket, and one is sent away without one.
            (0..asked / 10 * 7).for_each(|_| traffic.add(Field::Returns, 0));
            (0..asked / 10).for_each(|_| traffic.add(Field::Away, 0));
            traffic
        };
        let count = |bytes_total| Count {
            log: LogId::parse("talk").expect("an id"),
            audience: Figures { listening: 4, bytes_total, ..Figures::default() },
            rehearsal: Figures::default(),
            fetched: false,
            lean: false,
        };
        let figures = |cadence_ms, cut_total| WorkerFigures { cadence_ms, cut_total, ..WorkerFigures::default() };
        // One was there before the house, the other was not.
        diary.hear(Run(1), traffic(500), Known::Before);
        diary.hear(Run(1), traffic(507), Known::Before);
        diary.hear(Run(2), traffic(40), Known::No);
        let ever = diary.ever();
        assert_eq!(ever, Passed { asked: 47, returns: 28, away: 4, ..Passed::default() });
        assert_eq!(ever.arrived(), 19, "who shows a ticket was here before");
        [900, 1_000].into_iter().for_each(|bytes| diary.count(Run(1), &count(bytes)));
        [(800, 7), (2_000, 9), (1_000, 9)]
            .into_iter()
            .for_each(|(cadence, cut)| machine.hear(Run(1), figures(cadence, cut), Known::No));
        let (crowd, operator) = (Reasons::from(Reason::Crowd), Reasons::from(Reason::Operator));
        [(Level::Paced, crowd), (Level::Paced, operator), (Level::Open, operator)]
            .into_iter()
            .for_each(|is| diary.crowded(is));
        machine.end(Some((10, 100)));
        machine.end(Some((35, 200)));
        let minute = diary.minute(at(60), &allocator, &machine);
        let is = |minute: &Minute, fields: &[(Field, u64)]| {
            fields.iter().for_each(|(field, number)| assert_eq!(minute.sum(*field), *number, "{field:?}"));
        };
        let all = [
            (Field::Asked, 47),
            (Field::Sent, 100),
            (Field::Listening, 4),
            (Field::Cadence, 2_000),
            (Field::Troubles, 2),
        ];
        is(&minute, &all);
        is(&minute, &[(Field::Cpu, 250), (Field::House, 1), (Field::Workers, 1), (Field::Began, 1)]);
        assert_eq!((minute.seconds, minute.sum(Field::Level), minute.reasons), (60, 1, crowd.with(operator)));
        diary.turn(at(60));
        machine.turn();
        diary.hear(Run(2), traffic(41), Known::No);
        machine.gone(Run(1));
        let minute = diary.minute(at(120), &allocator, &machine);
        assert_eq!((minute.sum(Field::Level), minute.reasons), (0, operator), "as it was at its beginning");
        is(
            &minute,
            &[(Field::Asked, 1), (Field::Cadence, 1_000), (Field::House, 0), (Field::Ended, 1), (Field::Workers, 0)],
        );
    }

    #[test]
    fn a_diary_goes_on_where_the_last_house_left_it_and_what_it_left_half_is_mended() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut first, minute) = (book(folder.path()), |n: u64| Minute::new(60 * n, 60));
        (0..3).for_each(|n| first.write(&key(), minute(n)).expect("a disk"));
        drop(first);
        for torn in [&b"{\"prev\":\"12"[..], b"\0\0\0\0", b"what is no line\n\0\0"] {
            let mut file = OpenOptions::new().append(true).open(folder.path().join(FILE)).expect("the file");
            file.write_all(torn).expect("a disk");
            let mut next = book(folder.path());
            let before = minutes_and_rest(folder.path());
            next.write(&key(), minute(before)).expect("a disk");
            let all = minutes(folder.path());
            assert_eq!(all.last().expect("minutes").sum(Field::Mended), torn.len() as u64);
            assert_eq!(all.len() as u64, before + 1);
        }
    }

    fn minutes_and_rest(folder: &Path) -> u64 {
        minutes(folder).len() as u64
    }

    #[test]
    fn a_diary_of_an_older_program_is_gone_on_with_behind_another_head() {
        let (folder, of_before) =
            (tempfile::tempdir().expect("a folder"), include_str!("../../../admission/src/door/diary/before.jsonl"));
        let key = SealKey::from_bytes(&[5; 32]);
        std::fs::write(folder.path().join(FILE), of_before).expect("a disk");
        let mut next = book(folder.path());
        (2..4).for_each(|n| next.write(&key, Minute::new(60 * n, 60)).expect("a disk"));
        assert_eq!(minutes(folder.path()).len(), 4);
        let text = std::fs::read_to_string(folder.path().join(FILE)).expect("the file");
        assert!(text.starts_with(of_before));
        let heads: Vec<_> = text.lines().map(|line| line.contains("\"diary\":2,")).collect();
        assert_eq!(heads, [false, false, false, true, false, false]);
    }

    #[test]
    fn a_long_diary_is_bounded_and_its_chain_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut long = book(folder.path());
        for n in 0..3 {
            (0..2).for_each(|m| long.write(&key(), Minute::new(60 * (2 * n + m), 60)).expect("a disk"));
            long.bytes = FILE_BYTES_MAX + 1;
        }
        long.write(&key(), Minute::new(60 * 6, 60)).expect("a disk");
        let first = minutes(folder.path())[0].from;
        assert_eq!((minutes(folder.path()).len(), first), (3, 60 * 4), "the oldest are gone");
        // Put aside, and then the house died.
        std::fs::rename(folder.path().join(FILE), folder.path().join(OLD)).expect("a disk");
        book(folder.path()).write(&key(), Minute::new(60 * 7, 60)).expect("a disk");
        assert_eq!(minutes(folder.path()).len(), 2);
    }
}
