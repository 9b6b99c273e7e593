//! `hiwar log export DIR`: the recording in a log as a file, or its records as lines of JSON.
//!
//! The file has no name until it is whole, so that no half export bears it, and nothing is left of one that is interrupted.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hiwar_media::replay::Stretch;
use hiwar_segment_log::disk::Reader;
use hiwar_segment_log::reader::Damaged;
use hiwar_segment_log::{Kind, LogId, Position, Record};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, renameat_with};
use serde_json::json;

use super::{DAMAGED, FAILED, TRIES, damage_lines, find, too_fast, unreadable};
use crate::cli::{Export, Format};
use crate::registry;
use crate::role::progress::Line;
use crate::studio::recording::{Failure, LeftOut, Recording};

/// Makes a file of a log.
pub fn export(args: &Export) -> ExitCode {
    match made(args) {
        Ok(left_out) if left_out.anything() => ExitCode::from(DAMAGED),
        Ok(_) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(FAILED)
        }
    }
}

fn made(args: &Export) -> Result<LeftOut, String> {
    let log = find(&args.dir)?;
    let format = args.format.or_else(|| args.output.as_deref().and_then(named_by)).unwrap_or(Format::Mp4);
    if args.payload && format != Format::Jsonl {
        return Err("--payload is for --format jsonl: the other formats are the sound itself".into());
    }
    let (id, title, stretch) = whose(&log);
    let title = args.title.clone().unwrap_or(title);
    let place = Place::of(args, &id, format)?;
    let mut tries = 1..=TRIES;
    loop {
        let mut progress = Progress::of(&log, format)?;
        let outcome = place.write(|file| match format {
            Format::Mp4 | Format::Ogg => sound(&log, &id, (&title, stretch), format, file, &mut progress),
            Format::Jsonl => lines(&log, (&id, stretch), args.payload, file, &mut progress),
        });
        progress.clear();
        let (made, left_out) = match outcome {
            Ok(done) => done,
            Err(Failure::Changed) if place.is_repeatable() && tries.next().is_some() => continue,
            Err(Failure::Empty(left_out)) => {
                tell(&left_out);
                return Err(format!("nothing was recorded in {}", log.display()));
            }
            Err(Failure::Log(why)) => return Err(unreadable(&log, &why)),
            Err(Failure::Changed) => return Err(too_fast(&log)),
            Err(Failure::Write(why)) => return Err(format!("cannot write {place}: {why}")),
        };
        tell(&left_out);
        eprintln!("{place}: {made}");
        return Ok(left_out);
    }
}

/// The space that a log belongs to, by its folder; what it is called, and what of its recording was posted if not all.
fn whose(log: &Path) -> (LogId, String, Option<Stretch>) {
    let log = log.canonicalize().unwrap_or_else(|_| log.to_owned());
    let home = log.parent();
    let name = home.and_then(|home| home.file_name()).and_then(|name| name.to_str());
    let id = name.and_then(|name| LogId::parse(name).ok());
    let known = home.and_then(registry::known);
    let stretch = known.as_ref().and_then(|known| known.trim).map(registry::stretch);
    let title = known.map(|known| known.title.as_str().to_owned());
    let id = id.unwrap_or_else(|| LogId::parse("recording").expect("a name for what has none"));
    (id, title.unwrap_or_else(|| id.as_str().to_owned()), stretch)
}

/// The format that a file's name ends with.
fn named_by(output: &Path) -> Option<Format> {
    match output.extension()?.to_str()? {
        "mp4" | "m4a" => Some(Format::Mp4),
        "ogg" | "opus" => Some(Format::Ogg),
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        _ => None,
    }
}

fn sound(
    log: &Path,
    id: &LogId,
    (title, stretch): (&str, Option<Stretch>),
    format: Format,
    file: &mut dyn Write,
    progress: &mut Progress,
) -> Result<(String, LeftOut), Failure> {
    let recording = Recording::measure(log, id, title, stretch, &mut |bytes| progress.add(bytes))?;
    match format {
        Format::Mp4 => recording.write_mp4(file, &mut |bytes| progress.add(bytes))?,
        _ => recording.write_ogg(file, &mut |bytes| progress.add(bytes))?,
    }
    let (replay, (first, last)) = (recording.replay(), recording.positions());
    let mut made = format!("{:.2} s of sound, positions {first} to {last}", replay.duration().as_secs_f64());
    if replay.holes > 0 {
        let (missing, cut) = (replay.missing.as_secs_f64(), replay.cut.as_secs_f64());
        made += &format!("; holes: {} ({missing:.2} s missing, {cut:.2} s of them cut out)", replay.holes);
    }
    if Reader::open(log)?.has_writer()? {
        made += "; a writer is at work, and what came later is not in it";
    }
    Ok((made, recording.into_left_out()))
}

/// One line for each record and for each damaged range, in the order of the log.
fn lines(
    log: &Path,
    (id, stretch): (&LogId, Option<Stretch>),
    payload: bool,
    file: &mut dyn Write,
    progress: &mut Progress,
) -> Result<(String, LeftOut), Failure> {
    let mut left_out = LeftOut::default();
    // What was cut off is in no export.
    let kept = match stretch {
        Some(_) => Some(Recording::measure(log, id, "", stretch, &mut |_| {})?.positions()),
        None => None,
    };
    let is_cut = |record: &Record| {
        let is_sound = matches!(record.kind, Kind::Chunk | Kind::Gap);
        is_sound && kept.is_some_and(|(first, last)| !(first..=last).contains(&record.position))
    };
    let mut records = Reader::open(log)?.records(Position(0))?;
    let (mut told, mut count) = (0, 0_u64);
    loop {
        let next = records.next();
        for damaged in &records.damage()[told..] {
            writeln!(file, "{}", damaged_line(damaged))?;
        }
        told = records.damage().len();
        match next {
            Some(Ok(record)) if is_cut(&record) => progress.add(record.encoded_len() as u64),
            Some(Ok(record)) => {
                writeln!(file, "{}", record_line(&record, payload))?;
                progress.add(record.encoded_len() as u64);
                left_out.gaps += u64::from(record.kind == Kind::Gap);
                count += 1;
            }
            Some(Err(why)) => {
                writeln!(file, "{}", json!({ "kind": "unreadable", "what": why.to_string() }))?;
                left_out.unreadable.push(why.to_string());
            }
            None => break,
        }
    }
    if records.vanished() > 0 {
        return Err(Failure::Changed);
    }
    left_out.damage_total = records.damage_total();
    left_out.damage = records.damage().to_vec();
    Ok((format!("{count} records"), left_out))
}

fn record_line(record: &Record, payload: bool) -> serde_json::Value {
    let mut line = json!({
        "kind": match record.kind {
            Kind::Header => "header",
            Kind::Chunk => "chunk",
            Kind::Gap => "gap",
            Kind::Seal => "seal",
        },
        "position": record.position.0,
        "epoch": record.epoch.0,
        "time": record.time,
        "duration": record.duration,
        "wall_us": record.wall_us,
        "bytes": record.body.len(),
        "crc32c": format!("{:08x}", record.body_checksum()),
    });
    if let Some(resumes) = record.resumes() {
        line["resumes"] = resumes.0.into();
    }
    if payload {
        line["payload"] = STANDARD.encode(&record.body).into();
    }
    line
}

fn damaged_line(damaged: &Damaged) -> serde_json::Value {
    json!({
        "kind": "damaged",
        "what": damaged.what.to_string(),
        "position": damaged.positions.start().0,
        "last_position": damaged.positions.end().0,
        "chunks_lost": damaged.chunks_lost,
        "file": &*damaged.file,
        "offset": damaged.offset,
        "bytes": damaged.bytes,
    })
}

/// Says what was left out, as `verify` does.
fn tell(left_out: &LeftOut) {
    for line in damage_lines(&left_out.damage, left_out.damage_total) {
        eprintln!("{line}");
    }
    for why in &left_out.unreadable {
        eprintln!("UNREADABLE {why}");
    }
    if left_out.unusable > 0 {
        eprintln!(
            "left out: {} whole chunks without sound that this version knows, or after 72 hours",
            left_out.unusable
        );
    }
    if left_out.gaps > 0 {
        eprintln!("gaps (made but never kept): {}", left_out.gaps);
    }
}

/// Where an export goes.
enum Place {
    StandardOutput,
    /// A device or a pipe: it is written into, and stays what it is.
    Stream(PathBuf),
    File {
        path: PathBuf,
        beside: PathBuf,
        force: bool,
    },
}

impl Place {
    fn of(args: &Export, id: &LogId, format: Format) -> Result<Self, String> {
        let extension = match format {
            Format::Mp4 => "mp4",
            Format::Ogg => "ogg",
            Format::Jsonl => "jsonl",
        };
        let path = args.output.clone().unwrap_or_else(|| format!("{id}.{extension}").into());
        if path.as_os_str() == "-" {
            return Ok(Self::StandardOutput);
        }
        // Through links: /dev/stdout is one.
        if let Ok(target) = path.metadata().map(|about| about.file_type()) {
            if target.is_dir() {
                return Err(format!("{} is a directory: name a file in it", path.display()));
            }
            if target.is_char_device() || target.is_fifo() {
                return Ok(Self::Stream(path));
            }
        }
        match path.symlink_metadata() {
            Ok(about) if !about.is_file() => {
                let what = if about.is_symlink() { "a link: name what it leads to" } else { "no file" };
                return Err(format!("{} is {what}", path.display()));
            }
            Ok(_) if !args.force => return Err(format!("{} is there already: --force replaces it", path.display())),
            _ => {}
        }
        let name = path.file_name().ok_or_else(|| format!("{} is no name of a file", path.display()))?;
        // By chance: two exports of one name do not meet.
        let chance = getrandom::u64().map_err(|why| format!("no random number: {why}"))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{chance:016x}.new"));
        let beside = path.with_file_name(hidden);
        Ok(Self::File { path, beside, force: args.force })
    }

    /// What has gone to the standard output, or into a device or a pipe, cannot be taken back.
    fn is_repeatable(&self) -> bool {
        matches!(self, Self::File { .. })
    }

    fn write<T>(&self, write: impl FnOnce(&mut dyn Write) -> Result<T, Failure>) -> Result<T, Failure> {
        match self {
            Self::StandardOutput => buffered(io::stdout().lock(), write),
            Self::Stream(path) => buffered(File::options().write(true).open(path)?, write),
            Self::File { path, beside, force } => {
                let (file, is_named) = new_file(beside)?;
                let outcome = buffered(&file, write).and_then(|done| {
                    file.sync_all()?;
                    match (is_named, force) {
                        (true, _) => rename(beside, path, *force)?,
                        (false, false) => link(&file, path)?,
                        (false, true) => {
                            link(&file, beside)?;
                            rename(beside, path, true)?;
                        }
                    }
                    Ok(done)
                });
                if outcome.is_err() {
                    let _ = std::fs::remove_file(beside);
                }
                outcome
            }
        }
    }
}

fn buffered<T>(output: impl Write, write: impl FnOnce(&mut dyn Write) -> Result<T, Failure>) -> Result<T, Failure> {
    let mut output = BufWriter::new(output);
    let done = write(&mut output)?;
    output.flush()?;
    Ok(done)
}

/// A new file in the folder of `beside`, and whether it has that name. It has none where the file system can do that: then nothing is left of
/// an export that is interrupted, however that happens.
fn new_file(beside: &Path) -> io::Result<(File, bool)> {
    let folder = beside.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    if let Ok(file) = rustix::fs::open(folder, flags, Mode::from_raw_mode(0o666)) {
        // Without /proc it could not be given a name later.
        if Path::new(&by_number(&file)).symlink_metadata().is_ok() {
            return Ok((file.into(), false));
        }
    }
    Ok((File::create_new(beside)?, true))
}

/// Gives a file without a name this one, unless something has it.
fn link(file: &File, path: &Path) -> io::Result<()> {
    Ok(linkat(CWD, by_number(file), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

fn by_number(file: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Gives a file its name; one that somebody else made meanwhile stays unless `force`.
fn rename(beside: &Path, path: &Path, force: bool) -> io::Result<()> {
    use rustix::io::Errno;
    if force {
        return std::fs::rename(beside, path);
    }
    match renameat_with(CWD, beside, CWD, path, RenameFlags::NOREPLACE) {
        // Not every file system can.
        Err(Errno::INVAL | Errno::NOSYS) if path.symlink_metadata().is_err() => std::fs::rename(beside, path),
        outcome => Ok(outcome?),
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::StandardOutput => f.write_str("standard output"),
            Self::Stream(path) | Self::File { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

/// How far the reading is: one line on a terminal, nothing elsewhere.
struct Progress {
    total: u64,
    done: u64,
    line: Line,
}

impl Progress {
    fn of(log: &Path, format: Format) -> Result<Self, String> {
        let bytes = Reader::open(log).and_then(|reader| reader.bytes()).map_err(|why| unreadable(log, &why))?;
        let passes = if format == Format::Jsonl { 1 } else { 2 };
        Ok(Self { total: bytes * passes, done: 0, line: Line::new("reading the log") })
    }

    fn add(&mut self, bytes: u64) {
        self.done += bytes;
        // Rounded down, and never past the end: a log that is being written grows meanwhile.
        self.line.show(self.done * 100 / self.total.max(1));
    }

    fn clear(&self) {
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use hiwar_segment_log::disk::{Options, Writer, delete};
    use hiwar_segment_log::{Header, Parts};

    use super::*;

    /// A log of two log segments.
    fn write_log(dir: &Path) {
        let options = Options { segment_span: Duration::from_millis(200), ..Options::default() };
        let (mut writer, recovered) = Writer::open(dir, options).unwrap();
        let header = Header { timescale: 48_000, chunk_duration: 9_600, renditions: vec![], begun_wall_us: 0 };
        let mut record = Record {
            position: Position(0),
            epoch: recovered.epoch,
            kind: Kind::Header,
            time: 0,
            duration: 0,
            wall_us: 0,
            body: header.to_body(),
        };
        writer.append(&record).unwrap();
        (record.kind, record.duration, record.body) = (Kind::Chunk, 9_600, Parts::new().push(0, b"sound").finish());
        for position in 0..2 {
            (record.position, record.time, record.wall_us) = (Position(position), position * 9_600, position * 200_000);
            writer.append(&record).unwrap();
        }
        writer.sync().unwrap();
    }

    /// Deletes the log as soon as something of it was written.
    struct Deleting<'l>(&'l Path);

    impl Write for Deleting<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            delete(self.0).map(|()| bytes.len()).map_err(io::Error::other)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_is_deleted_while_it_is_read_is_not_called_whole() {
        let id = LogId::parse("demo").unwrap();
        let above = tempfile::tempdir().unwrap();
        let log = above.path().join("log");
        write_log(&log);
        let mut progress = Progress::of(&log, Format::Jsonl).unwrap();
        let (made, left_out) = lines(&log, (&id, None), false, &mut io::sink(), &mut progress).unwrap();
        assert!(made == "4 records" && !left_out.anything(), "{made}");
        let outcome = lines(&log, (&id, None), false, &mut Deleting(&log), &mut progress);
        assert!(matches!(outcome, Err(Failure::Changed)), "{outcome:?}");
    }

    fn args(output: &Path, force: bool) -> Export {
        Export {
            dir: PathBuf::new(),
            output: Some(output.to_owned()),
            format: None,
            payload: false,
            title: None,
            force,
        }
    }

    fn place(output: &Path, force: bool) -> Result<Place, String> {
        Place::of(&args(output, force), &LogId::parse("talk").unwrap(), Format::Jsonl)
    }

    fn put(place: &Place, text: &[u8]) -> Result<(), Failure> {
        place.write(|file| Ok(file.write_all(text)?))
    }

    #[test]
    fn only_a_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let into = place(Path::new("/dev/null"), true).unwrap();
        assert!(!into.is_repeatable());
        put(&into, b"nothing").unwrap();
        assert!(Path::new("/dev/null").metadata().unwrap().file_type().is_char_device());

        let _socket = UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        for (name, why) in [("socket", "is no file"), ("link", "is a link"), ("", "is a directory")] {
            let refused = place(&at(name), true).err().expect("a refusal");
            assert!(refused.contains(why), "{refused}");
        }

        put(&place(&at("file"), false).unwrap(), b"one").unwrap();
        assert!(place(&at("file"), false).err().expect("a refusal").contains("--force"));
        put(&place(&at("file"), true).unwrap(), b"two").unwrap();
        assert_eq!(std::fs::read(at("file")).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "something else was left");
    }

    #[test]
    fn a_name_that_somebody_takes_meanwhile_stays_theirs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let outcome = place(&path, false).unwrap().write(|file| {
            std::fs::write(&path, "theirs")?;
            Ok(file.write_all(b"ours")?)
        });
        assert!(outcome.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "something else was left");
    }

    #[test]
    fn nothing_is_seen_of_an_export_until_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let names = || std::fs::read_dir(dir.path()).unwrap().count();
        let (file, is_named) = new_file(&dir.path().join(".file.new")).unwrap();
        // A file system that cannot do without names is served, too.
        assert_eq!(names(), usize::from(is_named));
        drop(file);
        if !is_named {
            assert_eq!(names(), 0);
        }
    }
}
