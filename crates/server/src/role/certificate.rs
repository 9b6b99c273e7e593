//! The certificate that a worker shows: read from files, and again when they change.
//!
//! One that cannot be used is refused with a line in the log, and the one before it is served on: a mistake at night must not end what is on
//! the air. Until the first can be used nobody is accepted, and who comes waits.

use std::path::Path;
use std::time::{Duration, Instant};

use hiwar_delivery::http::{Certificate, Handle, Update};

use crate::config::Tls;

/// How often the files are looked at: two `stat`s.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often files that could not be used are read again: what was in the way may be none of theirs, a folder above them for one.
const READ_AGAIN: Duration = Duration::from_secs(5);
/// More than any chain with its key.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What tells one state of a file from the next; `None` if it cannot be looked at.
/// Times by seconds and nanoseconds.
type Stamp = Option<Marks>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Marks {
    /// Of what is in it.
    modified: (i64, i64),
    /// Of who may read it, too.
    changed: (i64, i64),
    length: u64,
    inode: u64,
}

/// What was seen of the files so far.
#[derive(Debug, Default)]
struct Watch {
    seen: Option<(Stamp, Stamp)>,
    /// When they could not be used, and why.
    failed: Option<(Instant, String)>,
}

impl Watch {
    /// Whether they are to be read now.
    fn is_due(&mut self, stamps: (Stamp, Stamp), now: Instant) -> bool {
        let is_new = self.seen != Some(stamps);
        self.seen = Some(stamps);
        is_new || self.failed.as_ref().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= READ_AGAIN)
    }

    /// They could not be used. Whether that is to be said: the same words are not said twice.
    fn failed(&mut self, why: &str, now: Instant) -> bool {
        let is_new = self.failed.as_ref().is_none_or(|(_, before)| before != why);
        self.failed = Some((now, why.to_owned()));
        is_new
    }
}

/// Who says in the log that a certificate cannot be used: one of all the workers, or none would be heard for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    Yes,
    No,
}

/// Tells the worker of every usable certificate, for ever.
#[expect(
    clippy::disallowed_methods,
    reason = "pacing: files are replaced in many ways, and a look at them costs nothing"
)]
pub(super) fn watch(tls: &Tls, handle: &Handle, told: fn(Certificate) -> Update, speaks: Speaks) {
    let mut watch = Watch::default();
    loop {
        // Looked at before they are read: what changes in between is read again.
        if watch.is_due((stamp(&tls.certificate), stamp(&tls.key)), Instant::now()) {
            match load(tls) {
                Ok(certificate) => {
                    watch.failed = None;
                    tracing::debug!(file = %tls.certificate.display(), "a certificate is shown from now on");
                    handle.push(told(certificate));
                }
                Err(why) => {
                    if watch.failed(&why, Instant::now()) && speaks == Speaks::Yes {
                        tracing::error!("{why}; the certificate before it, if there was one, is served on");
                    }
                }
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The certificate as it is in the files now.
///
/// # Errors
/// Which file cannot be read or used, and why.
pub(crate) fn load(tls: &Tls) -> Result<Certificate, String> {
    let read = |path: &Path| {
        let say = |why: &dyn std::fmt::Display| format!("cannot read {}: {why}", path.display());
        let length = std::fs::metadata(path).map_err(|why| say(&why))?.len();
        if length > FILE_BYTES_MAX {
            return Err(say(&"it is too large for a certificate or a key"));
        }
        std::fs::read(path).map_err(|why| say(&why))
    };
    let (chain, key) = (read(&tls.certificate)?, read(&tls.key)?);
    Certificate::from_pem(&chain, &key).map_err(|why| format!("{}: {why}", tls.certificate.display()))
}

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    Some(Marks {
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
        length: meta.len(),
        inode: meta.ino(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_read_a_file_is_a_part_of_its_state() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        assert_eq!(stamp(&path), None);
        std::fs::write(&path, "a key").unwrap();
        let before = stamp(&path).unwrap();
        let begun = Instant::now();
        // The file system's clock may tick but a hundred times a second.
        let after = loop {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            let after = stamp(&path).unwrap();
            if after != before || begun.elapsed() > Duration::from_secs(5) {
                break after;
            }
        };
        assert_ne!(after.changed, before.changed);
        assert_eq!(Marks { changed: before.changed, ..after }, before, "nothing else shows it");
    }

    #[test]
    fn files_that_cannot_be_used_are_read_again_and_complained_of_once() {
        let (mut watch, begun) = (Watch::default(), Instant::now());
        let marks = |inode| Some(Marks { modified: (1, 0), changed: (1, 0), length: 1, inode });
        let stamps = (marks(1), marks(2));
        assert!(watch.is_due(stamps, begun));
        assert!(watch.failed("cannot read key.pem: Permission denied", begun));
        assert!(!watch.is_due(stamps, begun + LOOK_EVERY));
        let later = begun + READ_AGAIN;
        assert!(watch.is_due(stamps, later));
        assert!(!watch.failed("cannot read key.pem: Permission denied", later), "said before");
        assert!(!watch.is_due(stamps, later + LOOK_EVERY));
        assert!(watch.is_due((marks(1), marks(3)), later + LOOK_EVERY), "another file is read at once");
        assert!(watch.failed("key.pem is damaged", later + LOOK_EVERY), "other words are said");
        watch.failed = None;
        assert!(!watch.is_due((marks(1), marks(3)), later + READ_AGAIN * 2), "what is used is not read again");
    }
}
