//! Bytes of a pass: a strict base64url (RFC 4648 §5, no padding) and a cursor that cannot overrun.
//!
//! Strict means that one sequence of bytes has exactly one text: bits left over in the last character must be zero, so
//! that no character of a token can be changed without changing what is signed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{PassId, Refusal, TOKEN_BYTES_MAX};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The text of some bytes.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = vec![0; chars(bytes.len())];
    encode_into(bytes, &mut text);
    text.into_iter().map(char::from).collect()
}

/// How many characters the text of so many bytes has.
pub(crate) const fn chars(bytes: usize) -> usize {
    (8 * bytes).div_ceil(6)
}

/// The same into somebody's memory, as long as [`chars`] says.
pub(crate) fn encode_into(bytes: &[u8], text: &mut [u8]) {
    let character = |bits: u32, place: usize| ALPHABET[(bits >> (18 - 6 * place) & 0x3f) as usize];
    // Whole groups by themselves: of those the lengths are known beforehand.
    let (groups, rest) = bytes.as_chunks::<3>();
    let (outs, rest_out) = text.as_chunks_mut::<4>();
    for (&[a, b, c], out) in groups.iter().zip(outs) {
        let bits = u32::from_be_bytes([0, a, b, c]);
        *out = std::array::from_fn(|place| character(bits, place));
    }
    let mut bits = [0u8; 4];
    bits[1..=rest.len()].copy_from_slice(rest);
    for (place, out) in rest_out.iter_mut().enumerate() {
        *out = character(u32::from_be_bytes(bits), place);
    }
}

/// The bytes of a token: the only text that [`encode`] makes for them.
pub(super) fn decode(token: &str) -> Result<Vec<u8>, Refusal> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    let mut bytes = vec![0; token.len() * 6 / 8];
    if decode_into(token.as_bytes(), &mut bytes) { Ok(bytes) } else { Err(Refusal::Malformed) }
}

/// The same into somebody's memory, as long as the text's whole bytes. False: it is no text that [`encode`] makes.
pub(crate) fn decode_into(text: &[u8], bytes: &mut [u8]) -> bool {
    // One lone character carries no byte.
    if text.len() % 4 == 1 || bytes.len() != text.len() * 6 / 8 {
        return false;
    }
    for (group, out) in text.chunks(4).zip(bytes.chunks_mut(3)) {
        let mut bits = 0u32;
        for &character in group {
            let six = VALUES[usize::from(character)];
            if six == NONE {
                return false;
            }
            bits = bits << 6 | u32::from(six);
        }
        let left_over = 6 * group.len() - 8 * out.len();
        if bits & ((1 << left_over) - 1) != 0 {
            return false;
        }
        out.copy_from_slice(&(bits >> left_over).to_be_bytes()[4 - out.len()..]);
    }
    true
}

/// Stands for a character that is not in the alphabet.
const NONE: u8 = 0xff;

/// What each character means.
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < 64 {
        values[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// The version and kind that every pass begins with, and that may be told before the signature is checked.
pub(super) fn head(bytes: &[u8]) -> Result<(u8, u8), Refusal> {
    bytes.first_chunk::<2>().map(|&[version, kind]| (version, kind)).ok_or(Refusal::Malformed)
}

/// Seconds since 1970, rounded down; times before that are 1970.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Reads fields after the head; every read may fail, none may panic.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The fields of some signed bytes that have a head.
    pub(super) fn after_head(signed: &'a [u8]) -> Result<Self, Refusal> {
        signed.get(2..).map(Self).ok_or(Refusal::Malformed)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Refusal> {
        let (&first, rest) = self.0.split_first().ok_or(Refusal::Malformed)?;
        self.0 = rest;
        Ok(first)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(Refusal::Malformed)?;
        self.0 = rest;
        Ok(*array)
    }

    pub(super) fn id(&mut self) -> Result<PassId, Refusal> {
        self.array().map(PassId)
    }

    /// A moment that this system can name.
    pub(super) fn time(&mut self) -> Result<SystemTime, Refusal> {
        let seconds = u64::from_le_bytes(self.array()?);
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).ok_or(Refusal::Malformed)
    }

    pub(super) fn number(&mut self) -> Result<u32, Refusal> {
        self.array().map(u32::from_le_bytes)
    }

    /// A length byte and that many bytes of UTF-8.
    pub(super) fn text(&mut self) -> Result<&'a str, Refusal> {
        let length = usize::from(self.byte()?);
        let (text, rest) = self.0.split_at_checked(length).ok_or(Refusal::Malformed)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Refusal::Malformed)
    }

    /// Nothing may follow the last field.
    pub(super) fn end(self) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal::Malformed) }
    }
}

/// Appends a length byte and the text. The caller's type keeps `text` under 256 bytes.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).expect("texts in a pass are limited by their types");
    out.push(length);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc_4648_vectors_hold_without_padding() {
        for (bytes, text) in
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE")]
        {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Ok(bytes.as_bytes()));
        }
    }

    #[test]
    fn left_over_bits_padding_and_lone_characters_are_malformed() {
        for text in ["Zh", "Zm9", "Zg==", "Z", "Zm9vY", "Zm9v!", "Zm 9v", "Zm+/"] {
            assert_eq!(decode(text), Err(Refusal::Malformed), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_bytes_are_one_to_one(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(&encode(&bytes)), Ok(bytes));
        }

        #[test]
        fn whatever_decodes_encodes_to_itself(text in "[A-Za-z0-9_-]{0,80}") {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
