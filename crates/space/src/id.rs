//! Ids: of a space (also its log's and its link's) and of a participant.

use std::fmt;

/// Crockford's base32, lower case: no `i`, `l`, `o`, `u`, so that an id survives being read aloud.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A space's id: 1 to 40 bytes of `[a-z0-9-]`. Made from 80 random bits it has 16 characters and cannot be guessed.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(String);

impl Id {
    /// Longest id, in bytes.
    pub const BYTES_MAX: usize = 40;

    /// From ten random bytes: 16 characters.
    pub fn from_random(bytes: [u8; 10]) -> Self {
        Self(crockford(&bytes))
    }

    /// Reads an id, or `None` if no space could have it.
    pub fn parse(text: &str) -> Option<Self> {
        is_id(text, Self::BYTES_MAX).then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names one person in one space: 1 to 16 bytes of `[a-z0-9-]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParticipantId(String);

impl ParticipantId {
    /// Longest id, in bytes.
    pub const BYTES_MAX: usize = 16;

    /// From five random bytes: 8 characters. Unique within one space, where at most a few hundred meet.
    pub fn from_random(bytes: [u8; 5]) -> Self {
        Self(crockford(&bytes))
    }

    /// Reads an id, or `None` if nobody could have it.
    pub fn parse(text: &str) -> Option<Self> {
        is_id(text, Self::BYTES_MAX).then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_id(text: &str, bytes_max: usize) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(known)
}

/// Five bits a character. `bytes` are a multiple of five, so none are left over.
fn crockford(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() / 5 * 8);
    for group in bytes.chunks_exact(5) {
        let bits = group.iter().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
        for place in (0..8).rev() {
            text.push(char::from(ALPHABET[(bits >> (5 * place) & 0x1f) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_bytes_make_sixteen_characters() {
        assert_eq!(Id::from_random([0; 10]).as_str(), "0000000000000000");
        assert_eq!(Id::from_random([0xff; 10]).as_str(), "zzzzzzzzzzzzzzzz");
        assert_eq!(Id::from_random([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).as_str(), "000g40r40m30e209");
    }

    #[test]
    fn ids_are_safe_in_paths_and_links() {
        let long = "a".repeat(41);
        for bad in ["", "Demo", "a/b", "..", "a b", "ا", "a\0", &long] {
            assert_eq!(Id::parse(bad), None, "{bad:?}");
        }
        for good in ["demo", "0", "a-b", &long[1..]] {
            assert!(Id::parse(good).is_some(), "{good:?}");
        }
        assert!(ParticipantId::parse(&"p".repeat(17)).is_none());
    }
}
