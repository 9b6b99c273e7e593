//! A recording: the sound of one log as one file, MP4 or Ogg. The replay of an ended space and `hiwar log export` are made here, and nowhere else.
//!
//! The log is read once to measure and once for each file, rather than kept in memory; nothing is decoded or encoded. A log may grow meanwhile: every file
//! ends where the measuring ended. What could not be read is left out of all of them alike, becomes a hole, and is in [`Recording::into_left_out`].

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hiwar_media::chunk::Facts;
use hiwar_media::package::Track;
use hiwar_media::replay::{Labels, Part, Place, Replay, Sealer, Stretch, Trim, Unusable};
use hiwar_segment_log::disk::{self, Reader, Records};
use hiwar_segment_log::reader::Damaged;
use hiwar_segment_log::{Kind, LogId, Position, Record};

use super::airing::{PART_FACTS, PART_MP4, serial};
use super::chapters::{Chapters, Turns};

/// Bytes gathered before they are written.
const FLUSH_AT: usize = 256 * 1024;
/// Reasons kept in [`LeftOut::unreadable`]; each is a log segment that the disk does not give.
const REASONS_MAX: usize = 16;

/// A log that was measured, and can be written as often as wished.
pub struct Recording {
    log: PathBuf,
    replay: Replay,
    chapters: Chapters,
    serial: u32,
    taken: Taken,
    left_out: LeftOut,
}

/// Which chunks the measuring saw: a later reading that sees others would make a file that contradicts its own head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Taken {
    first: Position,
    last: Position,
    chunks: u64,
}

/// What of a log is not in its recording.
#[derive(Debug, Default)]
pub struct LeftOut {
    /// Damaged ranges, the first thousand of them.
    pub damage: Vec<Damaged>,
    /// How many there are.
    pub damage_total: u64,
    /// Why log segments could not be read, the first few.
    pub unreadable: Vec<String>,
    /// Whole chunks that hold no sound that we know, or come after 72 hours.
    pub unusable: u64,
    /// Gap records: chunks that were made but never kept. Not damage.
    pub gaps: u64,
}

impl LeftOut {
    /// Something that was once kept is not there.
    #[must_use]
    pub fn anything(&self) -> bool {
        self.damage_total > 0 || !self.unreadable.is_empty() || self.unusable > 0
    }
}

/// Why there is no recording.
#[derive(Debug)]
pub enum Failure {
    /// The log cannot be read at all.
    Log(disk::Error),
    /// It holds no sound.
    Empty(LeftOut),
    /// What was measured is not there any more: retention, or a deletion, was faster.
    Changed,
    /// The file cannot be written.
    Write(io::Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log(why) => why.fmt(f),
            Self::Empty(_) => f.write_str("nothing was recorded"),
            Self::Changed => f.write_str("the log changed while it was read"),
            Self::Write(why) => why.fmt(f),
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
        Self::Write(why)
    }
}

impl Recording {
    /// Reads the log in the folder `log` to its end as it is now. With a `stretch` the recording is that part of it, and nothing else. `read` is told of every record's
    /// bytes, also by the writing later.
    ///
    /// # Errors
    /// [`Failure::Log`] and [`Failure::Empty`].
    pub fn measure(
        log: &Path,
        space: &LogId,
        title: &str,
        stretch: Option<Stretch>,
        read: &mut dyn FnMut(u64),
    ) -> Result<Self, Failure> {
        let mut trim = stretch.map(Trim::new);
        let (mut sealer, mut turns) = (Sealer::new(), Turns::default());
        let (mut taken, mut begun_wall_us) = (None::<Taken>, 0);
        let (mut left_out, mut unplaced) = (LeftOut::default(), 0);
        let mut records = Reader::open(log)?.records(Position(0))?;
        for record in records.by_ref() {
            let record = match record {
                Ok(record) => record,
                Err(why) => {
                    if left_out.unreadable.len() < REASONS_MAX {
                        left_out.unreadable.push(why.to_string());
                    }
                    continue;
                }
            };
            read(record.encoded_len() as u64);
            left_out.gaps += u64::from(record.kind == Kind::Gap);
            if record.kind != Kind::Chunk {
                continue;
            }
            let place = match &mut trim {
                Some(trim) => with_part(&record, |part| placed(trim, part, &mut turns)).unwrap_or(None),
                None => Some(Place::Within),
            };
            match place {
                Some(Place::Within) => {}
                Some(Place::After) => break,
                Some(Place::Before) => continue,
                // It cannot be used: it is a hole if it is between two that can, and else not in the stretch.
                None => {
                    unplaced += u64::from(taken.is_some());
                    continue;
                }
            }
            let taken = taken.get_or_insert_with(|| {
                begun_wall_us = record.wall_us;
                Taken { first: record.position, last: record.position, chunks: 0 }
            });
            (taken.last, taken.chunks) = (record.position, taken.chunks + unplaced + 1);
            left_out.unusable += std::mem::take(&mut unplaced);
            // What cannot be used is skipped by every pass alike, and becomes a hole.
            let used = with_part(&record, |part| sealer.measure(part).map(|measured| turns.hear(&measured)).is_ok());
            left_out.unusable += u64::from(used != Some(true));
        }
        left_out.damage_total = records.damage_total();
        left_out.damage = records.damage().to_vec();
        let date = taken.map(|_| date(begun_wall_us));
        let chapters = turns.finish(sealer.samples());
        let listed = chapters.labels();
        let labels = Labels { title, date: date.as_deref(), track: Track::mono(), chapters: &listed };
        match (taken, sealer.finish(&labels)) {
            (Some(taken), Ok(replay)) => {
                Ok(Self { log: log.to_owned(), replay, chapters, serial: serial(space), taken, left_out })
            }
            _ => Err(Failure::Empty(left_out)),
        }
    }

    /// Writes it as fragmented MP4.
    ///
    /// # Errors
    /// [`Failure::Write`], [`Failure::Changed`] and [`Failure::Log`].
    pub fn write_mp4(&self, file: &mut dyn Write, read: &mut dyn FnMut(u64)) -> Result<(), Failure> {
        let mut bytes = Vec::with_capacity(FLUSH_AT * 2);
        let mut writer = self.replay.mp4(&mut bytes);
        self.each(read, |part| {
            let _ = writer.write(part, &mut bytes);
            flush(file, &mut bytes)
        })?;
        writer.finish(&mut bytes).map_err(|_| Failure::Changed)?;
        Ok(file.write_all(&bytes)?)
    }

    /// Writes it as Ogg.
    ///
    /// # Errors
    /// [`Failure::Write`], [`Failure::Changed`] and [`Failure::Log`].
    pub fn write_ogg(&self, file: &mut dyn Write, read: &mut dyn FnMut(u64)) -> Result<(), Failure> {
        let mut bytes = Vec::with_capacity(FLUSH_AT * 2);
        let mut writer = self.replay.ogg(self.serial, &mut bytes);
        self.each(read, |part| {
            let _ = writer.write(part, &mut bytes);
            flush(file, &mut bytes)
        })?;
        writer.finish(&mut bytes);
        Ok(file.write_all(&bytes)?)
    }

    /// What was measured.
    #[must_use]
    pub fn replay(&self) -> &Replay {
        &self.replay
    }

    /// Who has the word in it, and when.
    #[must_use]
    pub fn chapters(&self) -> &Chapters {
        &self.chapters
    }

    /// What of the log is not in it.
    #[must_use]
    pub fn into_left_out(self) -> LeftOut {
        self.left_out
    }

    /// The first and the last chunk in it.
    #[must_use]
    pub fn positions(&self) -> (Position, Position) {
        (self.taken.first, self.taken.last)
    }

    fn each(
        &self,
        read: &mut dyn FnMut(u64),
        mut use_it: impl FnMut(&Part<'_>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut seen = None::<Taken>;
        for record in chunks(Reader::open(&self.log)?.records(Position(0))?, read) {
            if record.position > self.taken.last {
                break;
            }
            if record.position < self.taken.first {
                continue;
            }
            let seen = seen.get_or_insert(Taken { first: record.position, last: record.position, chunks: 0 });
            (seen.last, seen.chunks) = (record.position, seen.chunks + 1);
            with_part(&record, &mut use_it).transpose()?;
        }
        if seen == Some(self.taken) { Ok(()) } else { Err(Failure::Changed) }
    }
}

/// Where a part is; what is said in those before is overheard. `None`: it cannot be used.
fn placed(trim: &mut Trim, part: &Part<'_>, turns: &mut Turns) -> Option<Place> {
    match trim.place(part) {
        Ok((place, measured)) => {
            if place == Place::Before {
                turns.overhear(&measured);
            }
            Some(place)
        }
        Err(Unusable::TooLong) => Some(Place::After),
        Err(Unusable::Malformed | Unusable::OutOfOrder) => None,
    }
}

/// The chunks among the records, in order; damaged ones are passed over.
fn chunks(records: Records, read: &mut dyn FnMut(u64)) -> impl Iterator<Item = Record> {
    let whole = records.filter_map(Result::ok).inspect(move |record| read(record.encoded_len() as u64));
    whole.filter(|record| record.kind == Kind::Chunk)
}

/// `None`: the chunk has no part that we know.
fn with_part<T>(record: &Record, use_it: impl FnOnce(&Part<'_>) -> T) -> Option<T> {
    let (mp4, facts) = (record.part(PART_MP4)?, record.part(PART_FACTS));
    let facts = facts.and_then(|bytes| Facts::from_bytes(&bytes)).unwrap_or_default();
    Some(use_it(&Part { index: record.position.0, mp4: &mp4, facts }))
}

fn flush(file: &mut dyn Write, bytes: &mut Vec<u8>) -> io::Result<()> {
    if bytes.len() >= FLUSH_AT {
        file.write_all(bytes)?;
        bytes.clear();
    }
    Ok(())
}

/// The day of a moment, `YYYY-MM-DD` in UTC (days to civil date after Howard Hinnant, "chrono-compatible low-level date
/// algorithms").
fn date(wall_us: u64) -> String {
    let days = i64::try_from(wall_us / 86_400_000_000).unwrap_or(0) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use hiwar_media::Time;
    use hiwar_media::chunk::{Chunk, Frames};
    use hiwar_media::package::{emsg, fmp4};
    use hiwar_segment_log::disk::{Options, Writer};

    use super::super::airing;
    use super::*;

    /// Writes a log of so many chunks: in the first somebody is named and begins to speak, and of some the sound is damaged.
    fn write_log(folder: &Path, space: &LogId, chunks: u64, damaged: &[u64]) {
        let (mut log, claimed) = Writer::open(folder, Options::default()).expect("a disk");
        log.append(&airing::header(space, Position(0), claimed.epoch, Time(0), 1)).expect("a disk");
        let mut frames = Frames::new();
        (0..10).for_each(|_| frames.push(&[0xf8; 40]).expect("room"));
        for n in 0..chunks {
            let mut chunk = Chunk::new();
            (chunk.index, chunk.time, chunk.duration) = (n, Time(n * 9_600), frames.duration());
            if n == 0 {
                for (id, event) in [
                    &br#"{"t":"stage","speakers":[{"id":"a","name":"Amal"},{"id":"b","name":"Badr"}]}"#[..],
                    br#"{"t":"speaking","id":"b"}"#,
                    br#"{"t":"speaking","id":"a"}"#,
                ]
                .into_iter()
                .enumerate()
                {
                    emsg::write(&mut chunk.mp4, chunk.time, id as u32, event).expect("short");
                }
            }
            fmp4::fragment(&mut chunk.mp4, n as u32 + 1, chunk.time, &frames);
            if damaged.contains(&n) {
                chunk.mp4.truncate(30);
            }
            log.append(&airing::record(&chunk, claimed.epoch)).expect("a disk");
        }
        log.seal(2).expect("a disk");
    }

    #[test]
    fn a_stretch_is_made_by_every_pass_alike_whatever_is_damaged() {
        let (folder, space) = (tempfile::tempdir().expect("a directory"), LogId::parse("talk").expect("a name"));
        write_log(folder.path(), &space, 50, &[3, 19, 24, 29, 30, 45]);
        let check = |from_s: u64, to_s: u64, first: u64, last: u64, chunks: u64, unusable: u64| {
            let stretch = Stretch { from: Time(from_s * 48_000), to: Time(to_s * 48_000) };
            let made = Recording::measure(folder.path(), &space, "t", Some(stretch), &mut |_| {}).expect("sound");
            assert_eq!(made.positions(), (Position(first), Position(last)), "{from_s} to {to_s}");
            assert_eq!(made.replay().samples(), chunks * 9_600, "{from_s} to {to_s}");
            for write in [Recording::write_mp4, Recording::write_ogg] {
                write(&made, &mut io::sink(), &mut |_| {}).expect("each pass sees the same");
            }
            // Whoever began to speak before speaks on, and whoever is only named before is not named.
            let json = String::from_utf8(made.chapters().json("t")).expect("text");
            assert!(json.contains("Amal") && !json.contains("Badr"), "{json}");
            assert_eq!(made.into_left_out().unusable, unusable);
        };
        // What is damaged inside is a hole; at an end it is nothing.
        check(4, 6, 20, 28, 9, 1);
        check(4, 5, 20, 23, 4, 0);
        check(5, 7, 25, 34, 10, 2);
        check(0, 10, 0, 49, 50, 6);
        let nothing = Stretch { from: Time(29 * 9_600), to: Time(31 * 9_600) };
        let made = Recording::measure(folder.path(), &space, "t", Some(nothing), &mut |_| {});
        assert!(matches!(made, Err(Failure::Empty(_))));
    }

    #[test]
    fn a_moment_has_the_day_of_the_calendar() {
        let check = |seconds: u64, day: &str| assert_eq!(date(seconds * 1_000_000), day);
        check(0, "1970-01-01");
        check(951_782_399, "2000-02-28");
        check(951_782_400, "2000-02-29");
        check(1_709_251_199, "2024-02-29");
        check(4_107_542_400, "2100-03-01");
    }
}
