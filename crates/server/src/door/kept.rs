//! What a house keeps of each crowd beside its space, once a second, so that the next house keeps its promises. Written aside and renamed, and not synced: it is for a house that dies, and a
//! machine that does had listeners of no house.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::PathBuf;

use hiwar_admission::door::standing::Standing;
use hiwar_segment_log::LogId;

/// The file, in the folder of a space.
const FILE: &str = "crowd";
/// No crowd is larger: see [`Standing`].
const BYTES_MAX: u64 = 4 << 20;

/// Every crowd's file.
pub(super) struct Kept {
    spaces: PathBuf,
    /// Those that are there.
    written: HashSet<LogId>,
    has_failed: bool,
}

impl Kept {
    pub(super) fn new(spaces: PathBuf) -> Self {
        Self { spaces, written: HashSet::new(), has_failed: false }
    }

    /// What an earlier house kept. What nobody can read is as good as nothing.
    pub(super) fn read(&mut self, log: LogId) -> Option<Standing> {
        let path = self.path(log);
        let bytes =
            fs::metadata(&path).ok().filter(|file| file.len() <= BYTES_MAX).and_then(|_| fs::read(&path).ok())?;
        self.written.insert(log);
        let standing = Standing::decode(&bytes);
        if standing.is_none() {
            tracing::warn!(%log, "what an earlier house kept of a crowd cannot be read: its promises are not known");
        }
        standing
    }

    /// Keeps it in place of what was kept; `None`: there is no crowd.
    pub(super) fn keep(&mut self, log: LogId, standing: Option<Standing>) {
        let done = match standing {
            Some(standing) => {
                self.written.insert(log);
                self.write(log, &standing)
            }
            None if self.written.remove(&log) => fs::remove_file(self.path(log)),
            None => return,
        };
        match done {
            Ok(()) => self.has_failed = false,
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            // Once, for it is tried each second.
            Err(why) if !self.has_failed => {
                self.has_failed = true;
                tracing::warn!(%log, "a crowd is not kept, and another house would not know of its promises: {why}");
            }
            Err(_) => {}
        }
    }

    fn write(&self, log: LogId, standing: &Standing) -> io::Result<()> {
        let path = self.path(log);
        let aside = path.with_extension("new");
        fs::write(&aside, standing.encode())?;
        fs::rename(&aside, path)
    }

    fn path(&self, log: LogId) -> PathBuf {
        self.spaces.join(log.as_str()).join(FILE)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use hiwar_admission::door::standing::{Crowd, Past};

    use super::*;

    #[test]
    fn the_next_house_finds_what_was_kept_until_the_crowd_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogId::parse("talk").unwrap();
        fs::create_dir(folder.path().join("talk")).unwrap();
        let kept = || Kept::new(folder.path().to_owned());
        let standing = |opening| Standing {
            opening,
            crowd: Crowd::Gathering(UNIX_EPOCH),
            cohorts: vec![1],
            cohort_began: UNIX_EPOCH,
            workers: Vec::new(),
            past: Past::default(),
        };
        let mut first = kept();
        assert_eq!(first.read(log), None);
        for opening in [1, 2] {
            first.keep(log, Some(standing(opening)));
        }
        let mut second = kept();
        assert_eq!(second.read(log), Some(standing(2)));
        second.keep(log, None);
        assert_eq!((kept().read(log), fs::read_dir(folder.path().join("talk")).unwrap().count()), (None, 0));
        fs::write(folder.path().join("talk").join(FILE), "nonsense").unwrap();
        assert_eq!(kept().read(log), None);
    }
}
