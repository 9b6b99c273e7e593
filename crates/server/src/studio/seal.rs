//! Sealing: makes `replay.mp4`, `replay.ogg` and `index.m3u8` from the log of a space that has ended.
//!
//! Reads the log three times (measure, mp4, ogg) rather than keeping an evening in memory; nothing is decoded or
//! encoded. One replay is made at a time, on a thread of its own, so that a station that ends ten spaces at once does
//! not take the disk away from the live ones.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hiwar_media::chunk::Facts;
use hiwar_media::package::Track;
use hiwar_media::replay::{Labels, Part, Replay, Sealer};
use hiwar_segment_log::disk::Reader;
use hiwar_segment_log::{Kind, LogId, Position, Record};
use tokio::sync::mpsc;

use super::StudioEvent;
use super::airing::{PART_FACTS, PART_MP4, serial};

/// One at a time.
static SEALING: Mutex<()> = Mutex::new(());
/// Bytes gathered before they are written.
const FLUSH_AT: usize = 256 * 1024;

/// Pause before another try when the disk did not take the replay.
const RETRY_EVERY: Duration = Duration::from_secs(30);
/// Tries: half a day, in which an operator makes room. The next start of the house begins anew.
const TRIES_MAX: usize = 1440;

/// Makes the replay in the background and tells how it went.
pub(super) fn start(spaces: PathBuf, space: LogId, title: String, events: mpsc::Sender<StudioEvent>) {
    let failed = events.clone();
    let work = move || {
        let event = match persist(&spaces.join(space.as_str()), &space, &title) {
            Ok(made) => {
                let loudness_lufs = made.loudness_lufs;
                StudioEvent::ReplayReady { space, duration: made.duration, loudness_lufs }
            }
            Err(why) => {
                tracing::error!(%space, "no replay: {why}");
                StudioEvent::ReplayFailed { space, why: why.to_string() }
            }
        };
        let _ = events.blocking_send(event);
    };
    if let Err(why) = std::thread::Builder::new().name("seal".into()).spawn(work) {
        let _ = failed.try_send(StudioEvent::ReplayFailed { space, why: why.to_string() });
    }
}

/// Tries until the replay is there: the log is safe meanwhile, and a full disk is made room on.
#[expect(clippy::disallowed_methods, reason = "pacing: nothing tells when a disk has room again")]
fn persist(home: &Path, space: &LogId, title: &str) -> io::Result<Made> {
    let mut tries = 0;
    loop {
        let begun = Instant::now();
        let made = {
            let _one = SEALING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            seal(home, space, title)
        };
        let why = match made {
            Ok(made) => {
                tracing::info!(%space, took = ?begun.elapsed(), duration = ?made.duration, "the replay is ready");
                return Ok(made);
            }
            Err(why) => why,
        };
        // Half-made files would keep the disk full.
        for name in ["replay.mp4", "replay.ogg", "index.m3u8"] {
            let _ = std::fs::remove_file(home.join("replay").join(format!("{name}.new")));
        }
        tries += 1;
        let final_word = matches!(why.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound);
        if final_word || tries == TRIES_MAX || !home.exists() {
            return Err(why);
        }
        if tries == 1 {
            tracing::error!(%space, "the replay cannot be made now: {why}; trying again every {RETRY_EVERY:?}");
        }
        std::thread::sleep(RETRY_EVERY);
    }
}

/// A replay that was made.
struct Made {
    duration: Duration,
    /// −70 (the gate of BS.1770) when nothing was louder.
    loudness_lufs: f32,
}

fn seal(home: &Path, space: &LogId, title: &str) -> io::Result<Made> {
    let log = home.join("log");
    let out = home.join("replay");
    std::fs::create_dir_all(&out)?;

    let mut sealer = Sealer::new();
    let mut begun_wall_us = None;
    for record in chunks(&log)? {
        begun_wall_us.get_or_insert(record.wall_us);
        with_part(&record, |part| {
            // What cannot be used is skipped by both passes alike, and becomes a hole.
            let _ = sealer.measure(part);
        });
    }
    let date = begun_wall_us.map(date);
    let labels = Labels { title, date: date.as_deref(), track: Track::mono() };
    let replay =
        sealer.finish(&labels).map_err(|_| io::Error::new(io::ErrorKind::UnexpectedEof, "nothing was recorded"))?;

    write_mp4(&replay, &log, &out)?;
    write_ogg(&replay, &log, &out, serial(space))?;
    // The playlist last: who finds it finds the file that it names.
    store(&out, "index.m3u8", |file| file.write_all(replay.playlist(&format!("../{space}.mp4")).as_bytes()))?;
    File::open(&out)?.sync_all()?;
    Ok(Made { duration: replay.duration(), loudness_lufs: replay.loudness.integrated_lufs.unwrap_or(-70.0) })
}

fn write_mp4(replay: &Replay, log: &Path, out: &Path) -> io::Result<()> {
    store(out, "replay.mp4", |file| {
        let mut bytes = Vec::with_capacity(FLUSH_AT * 2);
        let mut writer = replay.mp4(&mut bytes);
        for record in chunks(log)? {
            with_part(&record, |part| {
                let _ = writer.write(part, &mut bytes);
            });
            flush(file, &mut bytes)?;
        }
        writer.finish(&mut bytes).map_err(|_| io::Error::other("the log changed while it was read"))?;
        file.write_all(&bytes)
    })
}

fn write_ogg(replay: &Replay, log: &Path, out: &Path, serial: u32) -> io::Result<()> {
    store(out, "replay.ogg", |file| {
        let mut bytes = Vec::with_capacity(FLUSH_AT * 2);
        let mut writer = replay.ogg(serial, &mut bytes);
        for record in chunks(log)? {
            with_part(&record, |part| {
                let _ = writer.write(part, &mut bytes);
            });
            flush(file, &mut bytes)?;
        }
        writer.finish(&mut bytes);
        file.write_all(&bytes)
    })
}

/// Writes a file aside and renames it: a listener never sees half a replay.
fn store(dir: &Path, name: &str, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let aside = dir.join(format!("{name}.new"));
    let mut file = BufWriter::new(File::create(&aside)?);
    write(&mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    std::fs::rename(aside, dir.join(name))
}

fn flush(file: &mut BufWriter<File>, bytes: &mut Vec<u8>) -> io::Result<()> {
    if bytes.len() >= FLUSH_AT {
        file.write_all(bytes)?;
        bytes.clear();
    }
    Ok(())
}

/// The chunk records of a log, in order; damaged ones are passed over (`hiwar log verify` names them).
fn chunks(log: &Path) -> io::Result<impl Iterator<Item = Record>> {
    let reader = Reader::open(log).map_err(|why| io::Error::other(why.to_string()))?;
    let records = reader.records(Position(0)).map_err(|why| io::Error::other(why.to_string()))?;
    Ok(records.filter_map(Result::ok).filter(|record| record.kind == Kind::Chunk))
}

fn with_part(record: &Record, use_it: impl FnOnce(&Part<'_>)) {
    let (Some(mp4), facts) = (record.part(PART_MP4), record.part(PART_FACTS)) else { return };
    let facts = facts.and_then(|bytes| Facts::from_bytes(&bytes)).unwrap_or_default();
    use_it(&Part { index: record.position.0, mp4: &mp4, facts });
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
    use super::date;

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
