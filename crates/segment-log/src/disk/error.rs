//! What can go wrong with a log's files: one enum for the log as a whole, one for an append.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::position::{Epoch, Position};
use crate::writer::Refusal;

/// The world broke while a log was opened, read or deleted.
#[derive(Debug)]
pub enum Error {
    /// Another writer, in this process or another, has this log.
    Locked {
        /// The log's folder.
        dir: PathBuf,
    },
    /// No room on the disk, or a quota or file-size limit. Later may be better.
    Full {
        /// What was being done.
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
    },
    /// The log ends with records of a later version of this program, which would be taken for a torn tail.
    LaterVersion {
        /// The log segment.
        path: PathBuf,
    },
    /// A file that no writer of ours can have written: far over the size at which log segments are closed.
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// Anything else the operating system says.
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// The reason it gave.
        source: io::Error,
    },
}

impl Error {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match is_full(&source) {
            true => Self::Full { doing, path: path.to_owned() },
            false => Self::Io { doing, path: path.to_owned(), source },
        }
    }
}

/// ENOSPC, EDQUOT, and EFBIG of a file-size limit: all three end when someone makes room.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { dir } => write!(f, "{} has another writer", dir.display()),
            Self::Full { doing, path } => write!(f, "no room while {doing} {}", path.display()),
            Self::LaterVersion { path } => {
                write!(f, "{} ends with records of a later version; use that version", path.display())
            }
            Self::TooLarge { path, bytes } => write!(f, "{} has {bytes} bytes: not a log segment", path.display()),
            Self::Io { doing, path, source } => write!(f, "{doing} {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Why a record was not appended, or not made durable.
#[derive(Debug)]
pub enum AppendError {
    /// The log belongs to another claim: stop at once, never retry.
    Fenced {
        /// The epoch that this writer claimed.
        current: Epoch,
    },
    /// The position was passed already.
    Conflict {
        /// The position that comes next.
        next: Position,
    },
    /// The log is complete.
    Sealed,
    /// The body is longer than [`crate::record::BODY_BYTES_MAX`].
    TooLong,
    /// No room. The writer goes on: a later append notes the gap first.
    Full,
    /// Anything else the operating system says.
    Io(io::Error),
}

impl From<Refusal> for AppendError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Fenced { current } => Self::Fenced { current },
            Refusal::Conflict { next } => Self::Conflict { next },
            Refusal::Sealed => Self::Sealed,
            Refusal::TooLong => Self::TooLong,
        }
    }
}

impl From<io::Error> for AppendError {
    fn from(error: io::Error) -> Self {
        if is_full(&error) { Self::Full } else { Self::Io(error) }
    }
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fenced { current } => Refusal::Fenced { current: *current }.fmt(f),
            Self::Conflict { next } => Refusal::Conflict { next: *next }.fmt(f),
            Self::Sealed => Refusal::Sealed.fmt(f),
            Self::TooLong => Refusal::TooLong.fmt(f),
            Self::Full => f.write_str("no room for the log"),
            Self::Io(error) => write!(f, "writing the log: {error}"),
        }
    }
}

impl std::error::Error for AppendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}
