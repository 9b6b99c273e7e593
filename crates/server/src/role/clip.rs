//! Clips for the workers: reads of a recording what a clip needs, and leaves the rest to `media`. Runs where waiting for a disk is allowed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use hiwar_delivery::clip::{Clip, ClipForm, Unclippable};
use hiwar_delivery::http::{Cut, Uncut};
use hiwar_media::replay::clip::{self, Label, Recorded};
use hiwar_media::{SAMPLE_RATE, Time};
use hiwar_segment_log::LogId;

/// Makes clips that say that the whole is at this origin.
pub(super) fn cutter(public_origin: String) -> Cut {
    Arc::new(move |space, folder, clip| cut(&public_origin, space, folder, clip))
}

fn cut(public_origin: &str, space: LogId, folder: &Path, clip: Clip) -> Result<Vec<u8>, Uncut> {
    let file = File::open(folder.join("replay.mp4"))?;
    let recorded = front(&file)?;
    let time = |ms: u64| Time(ms * u64::from(SAMPLE_RATE) / 1_000);
    let part = recorded.clip(time(clip.from_ms), time(clip.to_ms)).map_err(|why| match why {
        clip::NoClip::Outside => Uncut::Refused(Unclippable::Outside),
        clip::NoClip::TooLarge => damaged().into(),
    })?;
    let bytes = part.bytes();
    let mut sound = vec![0; usize::try_from(bytes.end - bytes.start).map_err(|_| damaged())?];
    file.read_exact_at(&mut sound, bytes.start)?;
    let link = format!("{public_origin}/s/{space}#t={}", clip.from_ms as f64 / 1_000.0);
    let label = Label { link: &link, serial: serial(clip) };
    let made = match clip.form {
        ClipForm::Mp4 => part.mp4(&sound, &label),
        ClipForm::Ogg => part.ogg(&sound, &label),
    };
    made.map_err(|clip::Malformed| damaged().into())
}

fn front(file: &File) -> io::Result<Recorded> {
    let bytes = file.metadata()?.len();
    let read = |length: u64| {
        let mut front = vec![0; usize::try_from(length.min(bytes)).map_err(|_| damaged())?];
        file.read_exact_at(&mut front, 0)?;
        Ok::<_, io::Error>(front)
    };
    let start = read(clip::FRONT_BYTES as u64)?;
    let length = clip::front_bytes(&start).map_err(|clip::Malformed| damaged())?;
    let front = match start.get(..length) {
        Some(front) => front,
        None => &read(length as u64)?,
    };
    Recorded::read(front).map_err(|clip::Malformed| damaged())
}

/// Names the stream of a clip: two clips in one player are two streams (RFC 3533 §4).
fn serial(clip: Clip) -> u32 {
    (clip.from_ms.rotate_left(16) ^ clip.to_ms) as u32
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "replay.mp4 is not as it was written")
}
