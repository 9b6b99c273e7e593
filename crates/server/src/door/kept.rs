//! What a house keeps of each door beside its space, once a second, so that the next house keeps its promises and begins no crowd twice. Written aside and renamed, and not synced: it is for a house
//! that dies. Of a machine that does nobody is inside any more, and which crowds were drawn their records say. Read when a door is opened, and written where nobody waits for the disk ([`Draws`](super::draws::Draws)).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hiwar_admission::door::standing::Standing;
use hiwar_segment_log::LogId;

/// The file, in the folder of a space.
const FILE: &str = "crowd";
/// No crowd is larger: see [`Standing`].
const BYTES_MAX: u64 = 4 << 20;

fn path(spaces: &Path, log: LogId) -> PathBuf {
    spaces.join(log.as_str()).join(FILE)
}

/// What an earlier house kept. What nobody can read is as good as nothing.
pub(super) fn read(spaces: &Path, log: LogId) -> Option<Standing> {
    let path = path(spaces, log);
    let bytes = fs::metadata(&path).ok().filter(|file| file.len() <= BYTES_MAX).and_then(|_| fs::read(&path).ok())?;
    let standing = Standing::decode(&bytes);
    if standing.is_none() {
        tracing::warn!(%log, "what an earlier house kept of a door cannot be read: its promises are not known");
    }
    standing
}

/// Keeps it in place of what was kept; `None`: there is nothing to keep.
///
/// # Errors
/// Those of the file system.
pub(super) fn keep(spaces: &Path, log: LogId, standing: Option<&Standing>) -> io::Result<()> {
    let path = path(spaces, log);
    let done = match standing {
        Some(standing) => {
            let aside = path.with_extension("new");
            fs::write(&aside, standing.encode()).and_then(|()| fs::rename(&aside, path))
        }
        None => fs::remove_file(path),
    };
    // There was none; or its space is gone, and its folder with it.
    done.or_else(|why| if why.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(why) })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use hiwar_admission::door::standing::{Crowd, Past};

    use super::*;

    #[test]
    fn the_next_house_finds_what_was_kept_until_there_is_nothing_to_keep() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogId::parse("talk").unwrap();
        fs::create_dir(folder.path().join("talk")).unwrap();
        let spaces = folder.path();
        let standing = |opening| Standing {
            opening,
            crowd: Crowd::Gathering(UNIX_EPOCH),
            cohorts: vec![1],
            cohort_began: UNIX_EPOCH,
            workers: Vec::new(),
            past: Past::default(),
        };
        assert_eq!(read(spaces, log), None);
        for opening in [1, 2] {
            keep(spaces, log, Some(&standing(opening))).unwrap();
            assert_eq!(read(spaces, log), Some(standing(opening)));
        }
        for _ in 0..2 {
            keep(spaces, log, None).unwrap();
            assert_eq!((read(spaces, log), fs::read_dir(spaces.join("talk")).unwrap().count()), (None, 0));
        }
        fs::write(path(spaces, log), "nonsense").unwrap();
        assert_eq!(read(spaces, log), None);
        let elsewhere = LogId::parse("elsewhere").unwrap();
        keep(spaces, elsewhere, Some(&standing(1))).unwrap();
        assert_eq!(read(spaces, elsewhere), None, "its space is gone");
    }
}
