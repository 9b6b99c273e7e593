//! What all passes share: ids, scopes, the limit of a token's length, and the reasons to refuse one.

pub(crate) mod listen;
pub(crate) mod origin;
pub(crate) mod rehearsal;
pub(crate) mod stage;
pub(crate) mod voucher;
pub(crate) mod wire;

use std::fmt;

/// Longest token accepted, in characters. The largest pass that can be signed (a host with 40-byte space, 16-byte
/// participant and 64-byte name) takes 274; anything longer is refused before it is decoded.
pub const TOKEN_BYTES_MAX: usize = 300;

/// Identity of one pass: random, chosen by whoever signs it (this crate has no randomness of its own).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PassId(pub [u8; 8]);

/// What a pass is good for: the id of one space, which is also the id of its log. 1 to 40 bytes of `[a-z0-9-]`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Scope(String);

impl Scope {
    /// Longest scope, in bytes: as long as the longest log id.
    pub const BYTES_MAX: usize = 40;

    /// Takes a space's id, or `None` if no space could have it.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=Self::BYTES_MAX).contains(&text.len());
        (fits && text.bytes().all(is_id_byte)).then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

/// Why a pass was not accepted. For the log and for choosing an answer; a stranger is told less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Longer than [`TOKEN_BYTES_MAX`].
    TooLong,
    /// Not the base64url of a pass: a stray character, bits left over, or fields that do not add up.
    Malformed,
    /// A pass of another version or kind than the one asked for (a listening pass where a stage pass is due).
    WrongKind,
    /// The signature or MAC does not fit: forged, changed on the way, or signed by another house.
    WrongSignature,
    /// Its time is over.
    Expired,
    /// Good, but for another space.
    WrongSpace,
    /// Good, but it does not grant this.
    WrongRole,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the pass is too long",
            Self::Malformed => "not a pass",
            Self::WrongKind => "a pass of another kind",
            Self::WrongSignature => "the pass is not signed by this house",
            Self::Expired => "the pass has expired",
            Self::WrongSpace => "the pass is for another space",
            Self::WrongRole => "the pass does not allow this",
        })
    }
}

impl std::error::Error for Refusal {}
