//! Sealing: makes `replay.mp4`, `replay.ogg`, `chapters.json` and `index.m3u8` from the log of a space that has ended.
//!
//! What is in them is [`super::recording`]'s; here is when, and where to. One replay is made at a time, on a thread of its own, so that a station that
//! ends ten spaces at once does not take the disk away from the live ones.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hiwar_media::replay::Stretch;
use hiwar_segment_log::LogId;
use tokio::sync::mpsc;

use super::recording::{Failure, Recording};
use super::{Clips, StudioEvent, withdrawal};

/// One at a time.
static SEALING: Mutex<()> = Mutex::new(());
/// Pause before another try when the disk did not take the replay.
const RETRY_EVERY: Duration = Duration::from_secs(30);
/// Tries: half a day, in which an operator makes room. The next start of the house begins anew.
const TRIES_MAX: usize = 1440;

/// Where this file is, workers make clips of the replay (`docs/formats/chapters.md`).
const CLIPS: &str = "clips";

/// Makes the replay in the background and tells how it went.
pub(super) fn start(spaces: PathBuf, space: LogId, wanted: Wanted, events: mpsc::Sender<StudioEvent>) {
    let failed = events.clone();
    let work = move || {
        let event = match persist(&spaces.join(space.as_str()), &space, &wanted) {
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
fn persist(home: &Path, space: &LogId, wanted: &Wanted) -> io::Result<Made> {
    let mut tries = 0;
    loop {
        let begun = Instant::now();
        let made = {
            let _one = SEALING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            seal(home, space, wanted)
        };
        let why = match made {
            Ok(made) => {
                tracing::info!(%space, took = ?begun.elapsed(), duration = ?made.duration, "the replay is ready");
                return Ok(made);
            }
            Err(why) => why,
        };
        // Half-made files would keep the disk full.
        for name in ["replay.mp4", "replay.ogg", CLIPS, "chapters.json", "index.m3u8"] {
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

/// What a replay is to be.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The title in its files.
    pub title: String,
    /// Whether clips are made of it.
    pub clips: Clips,
    /// What of the recording is in it, if not all.
    pub stretch: Option<Stretch>,
}

/// A replay that was made.
pub(super) struct Made {
    pub(super) duration: Duration,
    /// −70 (the gate of BS.1770) when nothing was louder.
    pub(super) loudness_lufs: f32,
}

pub(super) fn seal(home: &Path, space: &LogId, wanted: &Wanted) -> io::Result<Made> {
    // A withdrawal that was decided, and that the disk did not let finish: done later, it would put the whole over this part.
    withdrawal::finish(home)?;
    make(&home.join("log"), &home.join("replay"), space, wanted, &mut |_| {}).map_err(refused)
}

/// Makes a replay of a log in the folder `out`. `read` is told of every record's bytes, as often as it is read.
pub(super) fn make(
    log: &Path,
    out: &Path,
    space: &LogId,
    Wanted { title, clips, stretch }: &Wanted,
    read: &mut dyn FnMut(u64),
) -> Result<Made, Failure> {
    std::fs::create_dir_all(out)?;
    let recording = Recording::measure(log, space, title, *stretch, read)?;
    store(out, "replay.mp4", |file| recording.write_mp4(file, read))?;
    store(out, "replay.ogg", |file| recording.write_ogg(file, read))?;
    let replay = recording.replay();
    allow(out, *clips)?;
    let chapters = recording.chapters().json(title);
    store(out, "chapters.json", |file| Ok(file.write_all(&chapters)?))?;
    // The playlist last: who finds it finds the file that it names.
    let playlist = replay.playlist(&format!("../{space}.mp4"));
    store(out, "index.m3u8", |file| Ok(file.write_all(playlist.as_bytes())?))?;
    File::open(out)?.sync_all()?;
    Ok(Made { duration: replay.duration(), loudness_lufs: replay.loudness.integrated_lufs.unwrap_or(-70.0) })
}

/// Says whether clips are made of the replay in this folder; from now on, on every worker.
fn allow(replay: &Path, clips: Clips) -> Result<(), Failure> {
    match clips {
        Clips::Allowed => store(replay, CLIPS, |_| Ok(())),
        Clips::Refused => match std::fs::remove_file(replay.join(CLIPS)) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why.into()),
            _ => Ok(()),
        },
    }
}

/// Whether clips are made of the replay in this folder.
pub(super) fn clips_of(replay: &Path) -> Clips {
    if replay.join(CLIPS).exists() { Clips::Allowed } else { Clips::Refused }
}

fn refused(why: Failure) -> io::Error {
    match why {
        // Trying again helps neither.
        Failure::Empty(_) => io::Error::new(io::ErrorKind::UnexpectedEof, why.to_string()),
        Failure::Write(why) => why,
        Failure::Log(_) | Failure::Changed => io::Error::other(why.to_string()),
    }
}

/// Writes a file aside and renames it: a listener never sees half a replay.
fn store(
    dir: &Path,
    name: &str,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let aside = dir.join(format!("{name}.new"));
    let mut file = BufWriter::new(File::create(&aside)?);
    write(&mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(std::fs::rename(aside, dir.join(name))?)
}

/// Removes a replay. Its folder is renamed first, so that nobody finds half of it, also after a crash; what is left then is cleared by the next removal.
pub(super) fn remove(replay: &Path) -> io::Result<()> {
    let aside = replay.with_extension("deleted");
    let gone = |outcome: io::Result<()>| match outcome {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    };
    gone(std::fs::remove_dir_all(&aside))?;
    gone(std::fs::rename(replay, &aside))?;
    gone(std::fs::remove_dir_all(&aside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_are_allowed_and_refused_by_a_file() {
        let dir = tempfile::tempdir().unwrap();
        for (clips, there) in [
            (Clips::Refused, false),
            (Clips::Allowed, true),
            (Clips::Allowed, true),
            (Clips::Refused, false),
            (Clips::Refused, false),
        ] {
            allow(dir.path(), clips).unwrap();
            assert_eq!(dir.path().join(CLIPS).exists(), there, "{clips:?}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_replay_is_removed_whole_also_after_a_crash_in_the_middle() {
        let dir = tempfile::tempdir().unwrap();
        let replay = dir.path().join("replay");
        let make = |folder: &Path| {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("replay.mp4"), "sound").unwrap();
        };
        make(&replay);
        // What the crash left of an earlier one.
        make(&dir.path().join("replay.deleted"));
        remove(&replay).unwrap();
        remove(&replay).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
