//! Where a record is: in which log, at which position, written under which epoch.

use std::fmt;

/// Where a chunk is in its log: 0, 1, 2, … since the space's programme began.
///
/// A position numbers a *chunk*. Header, Gap and Seal records stand between chunks and carry the position of the chunk that would come
/// next, so that a restarted house can write its header without moving the chunks that workers already hold.
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// The position after this one. Saturates: at one chunk in 200 ms the last position is 100 billion years away.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Fencing token of a log's one writer: rises by at least one at every claim, durably, before the claim returns.
///
/// Whoever holds records of two epochs keeps the higher and drops the lower.
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The longest log name. A space's id has 16 characters; forty leave room for named spaces and still fit a path and a URL.
pub const LOG_ID_BYTES_MAX: usize = 40;

/// Between a log's name and the form of the one beside it. No space's id has two hyphens in a row: ids are made of letters and digits.
const BESIDE: &str = "--";

/// The name of one log: 1 to 40 of `a-z`, `0-9`, `-`. Safe as a folder's name and in a URL, because nothing else can be made.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    // Unused bytes are zero, so the derived comparisons are those of the text.
    bytes: [u8; LOG_ID_BYTES_MAX],
    len: u8,
}

impl LogId {
    /// Parses a name.
    ///
    /// # Errors
    /// [`InvalidLogId`] if it is empty, longer than 40 bytes, or has a byte outside `a-z0-9-`.
    pub fn parse(text: &str) -> Result<Self, InvalidLogId> {
        Self::parse_bytes(text.as_bytes())
    }

    /// The same from bytes of unknown origin.
    ///
    /// # Errors
    /// As [`LogId::parse`].
    pub fn parse_bytes(text: &[u8]) -> Result<Self, InvalidLogId> {
        let mut bytes = [0; LOG_ID_BYTES_MAX];
        let allowed = text.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if text.is_empty() || !allowed {
            return Err(InvalidLogId);
        }
        bytes.get_mut(..text.len()).ok_or(InvalidLogId)?.copy_from_slice(text);
        let len = u8::try_from(text.len()).map_err(|_| InvalidLogId)?;
        Ok(Self { bytes, len })
    }

    /// The name of a log that stands beside this one: the same sound in another form. `None` if that would be
    /// too long, or this stands beside another itself.
    #[must_use]
    pub fn beside(&self, form: &str) -> Option<Self> {
        if self.stem() != *self { None } else { Self::parse(&format!("{self}{BESIDE}{form}")).ok() }
    }

    /// The log beside which this one stands; itself if beside none.
    #[must_use]
    pub fn stem(&self) -> Self {
        let stem = self.as_str().split_once(BESIDE).and_then(|(stem, _)| Self::parse(stem).ok());
        stem.unwrap_or(*self)
    }

    /// In which form this one stands beside another; `None` if it stands beside none.
    #[must_use]
    pub fn form(&self) -> Option<&str> {
        if self.stem() == *self { None } else { self.as_str().split_once(BESIDE).map(|(_, form)| form) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = &self.bytes[..usize::from(self.len)];
        std::str::from_utf8(text).expect("parse lets only ASCII in")
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogId({})", self.as_str())
    }
}

impl std::str::FromStr for LogId {
    type Err = InvalidLogId;

    fn from_str(text: &str) -> Result<Self, InvalidLogId> {
        Self::parse(text)
    }
}

/// A text that is no [`LogId`].
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct InvalidLogId;

impl fmt::Display for InvalidLogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a log's name is 1 to {LOG_ID_BYTES_MAX} of a-z, 0-9 and -")
    }
}

impl std::error::Error for InvalidLogId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_id_is_short_lower_case_and_path_safe() {
        let check = |text: &str, valid: bool| assert_eq!(LogId::parse(text).is_ok(), valid, "{text:?}");
        check("demo", true);
        check("0123456789abcdef", true);
        check("-", true);
        check(&"a".repeat(40), true);
        check(&"a".repeat(41), false);
        check("", false);
        check("Demo", false);
        check("../etc", false);
        check("a/b", false);
        check("a.b", false);
        check("a\0", false);
        check("حوار", false);
    }

    #[test]
    fn a_log_beside_another_is_known_as_such() {
        let id = |text: &str| LogId::parse(text).unwrap();
        let beside = id("demo").beside("mp3").unwrap();
        assert_eq!((beside.as_str(), beside.stem()), ("demo--mp3", id("demo")));
        assert_eq!((beside.form(), id("demo").form(), id("--").form()), (Some("mp3"), None, None));
        assert_eq!(id("a-b").stem(), id("a-b"));
        assert_eq!(id("--").stem(), id("--"));
        assert_eq!((beside.beside("mp3"), id(&"a".repeat(36)).beside("mp3")), (None, None));
    }

    #[test]
    fn log_ids_sort_as_their_text() {
        let sorted = ["-", "0", "a", "a-", "aa", "b"];
        let mut ids: Vec<LogId> = sorted.iter().rev().map(|text| LogId::parse(text).unwrap()).collect();
        ids.sort();
        assert_eq!(ids.iter().map(LogId::as_str).collect::<Vec<_>>(), sorted);
    }
}
