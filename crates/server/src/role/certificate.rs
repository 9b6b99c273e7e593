//! The certificate that a worker shows: read from files, and again when they change.
//!
//! One that cannot be used is refused with a line in the log, and the one before it is served on: a mistake at night must not end what is on
//! the air. Until the first can be used nobody is accepted, and who comes waits.

use std::path::Path;
use std::time::{Duration, SystemTime};

use hiwar_delivery::http::{Certificate, Handle, Update};

use crate::config::Tls;

/// How often the files are looked at: two `stat`s.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// More than any chain with its key.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What tells one state of a file from the next; `None` if it cannot be looked at.
type Stamp = Option<(SystemTime, u64, u64)>;

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
    let mut seen: Option<(Stamp, Stamp)> = None;
    loop {
        let now = (stamp(&tls.certificate), stamp(&tls.key));
        if seen != Some(now) {
            // Looked at before they are read: what changes in between is read again.
            seen = Some(now);
            match load(tls) {
                Ok(certificate) => {
                    tracing::debug!(file = %tls.certificate.display(), "a certificate is shown from now on");
                    handle.push(told(certificate));
                }
                Err(why) if speaks == Speaks::Yes => {
                    tracing::error!("{why}; the certificate before it, if there was one, is served on");
                }
                Err(why) => tracing::debug!("{why}"),
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
    Some((meta.modified().ok()?, meta.len(), meta.ino()))
}
