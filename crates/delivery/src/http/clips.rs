//! The clips that one helper thread has made: each is made once for all who ask for it at about the same time, and what is held is bounded.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hiwar_segment_log::LogId;

use crate::clip::{Clip, Unclippable};
use crate::problem::Problem;
use crate::range::Meta;

/// Makes a clip: of this log, whose recording is in this folder. Called where waiting for a disk is allowed. Given by whoever knows what is in a recording.
pub type Cut = Arc<dyn Fn(LogId, &Path, Clip) -> Result<Vec<u8>, Uncut> + Send + Sync>;

/// Why a clip was not made.
#[derive(Debug)]
pub enum Uncut {
    /// There cannot be such a clip.
    Refused(Unclippable),
    /// The recording cannot be read. `NotFound`: there is none.
    Failed(io::Error),
}

impl From<io::Error> for Uncut {
    fn from(why: io::Error) -> Self {
        Self::Failed(why)
    }
}

/// The clips that were made, the oldest first.
pub(super) struct Clips {
    cut: Cut,
    made: VecDeque<(Of, Bytes)>,
}

/// What a clip is of. A recording that was made anew has another tag.
type Of = (LogId, Clip, String);

impl Clips {
    pub(super) fn new(cut: Cut) -> Self {
        Self { cut, made: VecDeque::new() }
    }

    /// The clip, and what it is as a file.
    pub(super) fn get(&mut self, log: LogId, folder: &Path, clip: Clip) -> Result<(Bytes, Meta), Uncut> {
        let recording = std::fs::metadata(folder.join(RECORDING))?;
        let recording = Meta { bytes: recording.len(), modified: recording.modified()? };
        // Looked at each time: whoever takes it away is obeyed at once.
        if !folder.join(ALLOWED).try_exists()? {
            return Err(Uncut::Refused(Unclippable::Forbidden));
        }
        let of = (log, clip, recording.etag());
        let known = self.made.iter().find(|(known, _)| *known == of).map(|(_, bytes)| bytes.clone());
        let bytes = match known {
            Some(bytes) => bytes,
            None => {
                self.make_room()?;
                let bytes = Bytes::from((self.cut)(log, folder, clip)?);
                self.made.push_back((of, bytes.clone()));
                bytes
            }
        };
        let meta = Meta { bytes: bytes.len() as u64, ..recording };
        Ok((bytes, meta))
    }

    /// Lets go of clips that nobody is sent, until there is room for another.
    fn make_room(&mut self) -> Result<(), Uncut> {
        let held = |made: &VecDeque<(Of, Bytes)>| made.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        while self.made.len() >= CLIPS_MAX || held(&self.made) >= CLIPS_BYTES_MAX {
            let idle = self.made.iter().position(|(_, bytes)| bytes.is_unique());
            // Everything is on its way to somebody.
            let idle = idle.ok_or_else(|| Uncut::Failed(io::ErrorKind::ResourceBusy.into()))?;
            self.made.remove(idle);
        }
        Ok(())
    }
}

impl Uncut {
    /// What to say of it.
    pub(super) fn problem(&self, log: LogId) -> Problem {
        match self {
            Self::Refused(why) => Problem::Clip(*why),
            Self::Failed(why) => super::replay::problem(log, why),
        }
    }
}

/// What the span is of. Its tag changes when the recording does.
const RECORDING: &str = "replay.mp4";
/// Clips are made where this file is, whatever is in it.
const ALLOWED: &str = "clips";
/// Bytes held: 90 clips of the longest kind. With one more, 40 MB at most.
const CLIPS_BYTES_MAX: usize = 32 << 20;
/// Clips held: as many as are worth looking through.
const CLIPS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::ClipForm;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[test]
    fn a_clip_is_made_once_and_what_is_on_its_way_is_never_let_go() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(RECORDING), "sound").unwrap();
        let cuts = Arc::new(AtomicUsize::new(0));
        let counted = cuts.clone();
        let mut clips = Clips::new(Arc::new(move |_, _, _| {
            counted.fetch_add(1, Relaxed);
            Ok(vec![7; CLIPS_BYTES_MAX / 4])
        }));
        let log = LogId::parse("demo").unwrap();
        let mut get = |from_ms| {
            let clip = Clip { form: ClipForm::Ogg, from_ms, to_ms: from_ms + 1 };
            clips.get(log, folder.path(), clip)
        };
        assert!(matches!(get(0), Err(Uncut::Refused(Unclippable::Forbidden))), "nobody allowed it");
        std::fs::write(folder.path().join(ALLOWED), "").unwrap();
        let first = get(0).unwrap();
        assert_eq!((first.1.bytes, get(0).unwrap().0), (first.0.len() as u64, first.0.clone()));
        assert_eq!(cuts.load(Relaxed), 1);
        let others: Vec<_> = (1..4).map(|from| get(from).unwrap()).collect();
        assert!(matches!(get(4), Err(Uncut::Failed(why)) if why.kind() == io::ErrorKind::ResourceBusy));
        drop(others);
        get(4).unwrap();
        get(0).unwrap();
        assert_eq!(cuts.load(Relaxed), 5, "the first was sent all the while");
        // Another recording is another clip; and the host's word counts for what is held, too.
        std::fs::write(folder.path().join(RECORDING), "other sound").unwrap();
        get(0).unwrap();
        assert_eq!(cuts.load(Relaxed), 6);
        std::fs::remove_file(folder.path().join(ALLOWED)).unwrap();
        assert!(matches!(get(0), Err(Uncut::Refused(Unclippable::Forbidden))));
        std::fs::remove_file(folder.path().join(RECORDING)).unwrap();
        assert!(matches!(get(0), Err(Uncut::Failed(why)) if why.kind() == io::ErrorKind::NotFound));
    }
}
