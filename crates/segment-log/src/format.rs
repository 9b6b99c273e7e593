//! The body of a header record: what a player must be told about the chunks that follow.
//!
//! Names, MIME types and codec strings go into URLs and HTTP headers as they are, so they are checked here, once, where they are read:
//! visible ASCII, bounded lengths.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::fmt;

/// What the chunks of a log are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Units per second of every `time` and `duration` in the log.
    pub timescale: u32,
    /// The usual duration of one chunk, in timescale units.
    pub chunk_duration: u32,
    /// In which forms each chunk is kept. Unique parts and names, at most [`RENDITIONS_MAX`].
    pub renditions: Vec<Rendition>,
    /// When the programme began (media time 0 of the log): microseconds since the Unix epoch.
    pub begun_wall_us: u64,
}

/// One form of the same sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendition {
    /// Which part of a chunk holds it.
    pub part: u8,
    /// The extension in URLs, 1 to 8 of `a-z0-9`: `mp4`, `ogg`.
    pub name: String,
    /// The `Content-Type` to answer with; visible ASCII and spaces, at most 128 bytes.
    pub mime: String,
    /// The codec string of RFC 6381, as a playlist's `CODECS` wants it; visible ASCII, at most 128 bytes.
    pub codecs: String,
    /// What a player must get before the first chunk.
    pub init: Bytes,
}

impl Header {
    /// The body of a header record.
    ///
    /// # Panics
    /// If a field breaks its bound: the caller made the header from constants.
    #[must_use]
    pub fn to_body(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(256);
        out.put_u8(VERSION);
        out.put_u32_le(self.timescale);
        out.put_u32_le(self.chunk_duration);
        out.put_u64_le(self.begun_wall_us);
        out.put_u8(u8::try_from(self.renditions.len()).expect("at most RENDITIONS_MAX renditions"));
        for rendition in &self.renditions {
            out.put_u8(rendition.part);
            for text in [&rendition.name, &rendition.mime, &rendition.codecs] {
                out.put_u8(u8::try_from(text.len()).expect("names and types are at most 128 bytes"));
                out.put_slice(text.as_bytes());
            }
            out.put_u32_le(u32::try_from(rendition.init.len()).expect("init bytes are at most INIT_BYTES_MAX"));
            out.put_slice(&rendition.init);
        }
        let body = out.freeze();
        debug_assert!(Self::from_body(&body).as_ref() == Ok(self), "a header that cannot be read back: {self:?}");
        body
    }

    /// Reads the body of a header record. Init bytes are slices of `body`.
    ///
    /// # Errors
    /// [`Malformed`] if it is no header, or a field breaks its bound, or bytes are left over.
    pub fn from_body(body: &Bytes) -> Result<Self, Malformed> {
        let mut rest = body.clone();
        if rest.try_get_u8()? != VERSION {
            return Err(Malformed);
        }
        let timescale = rest.try_get_u32_le()?;
        let chunk_duration = rest.try_get_u32_le()?;
        let begun_wall_us = rest.try_get_u64_le()?;
        let count = usize::from(rest.try_get_u8()?);
        if timescale == 0 || chunk_duration == 0 || count > RENDITIONS_MAX {
            return Err(Malformed);
        }
        let mut renditions: Vec<Rendition> = Vec::with_capacity(count);
        for _ in 0..count {
            let rendition = take_rendition(&mut rest)?;
            if renditions.iter().any(|other| other.part == rendition.part || other.name == rendition.name) {
                return Err(Malformed);
            }
            renditions.push(rendition);
        }
        if rest.has_remaining() {
            return Err(Malformed);
        }
        Ok(Self { timescale, chunk_duration, renditions, begun_wall_us })
    }

    /// The rendition that URLs name so.
    #[must_use]
    pub fn rendition(&self, name: &str) -> Option<&Rendition> {
        self.renditions.iter().find(|rendition| rendition.name == name)
    }
}

fn take_rendition(rest: &mut Bytes) -> Result<Rendition, Malformed> {
    let part = rest.try_get_u8()?;
    let name = take_text(rest)?;
    let mime = take_text(rest)?;
    let codecs = take_text(rest)?;
    let name_fits = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !name_fits || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(Malformed);
    }
    let len = rest.try_get_u32_le()? as usize;
    if len > INIT_BYTES_MAX || len > rest.len() {
        return Err(Malformed);
    }
    let init = rest.split_to(len);
    Ok(Rendition { part, name, mime, codecs, init })
}

/// A short text of visible ASCII and spaces, safe in an HTTP header.
fn take_text(rest: &mut Bytes) -> Result<String, Malformed> {
    let len = usize::from(rest.try_get_u8()?);
    if len > TEXT_BYTES_MAX || len > rest.len() {
        return Err(Malformed);
    }
    let text = rest.split_to(len);
    if !text.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(Malformed);
    }
    String::from_utf8(text.to_vec()).map_err(|_| Malformed)
}

/// Bytes that are no header.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body of a header record makes no sense")
    }
}

impl std::error::Error for Malformed {}

impl From<bytes::TryGetError> for Malformed {
    fn from(_: bytes::TryGetError) -> Self {
        Self
    }
}

/// More forms of one sound than anyone has asked for: two today, a lower bitrate and MP3 planned.
pub const RENDITIONS_MAX: usize = 16;

/// The longest init: an Ogg head with tags has about 200 bytes, an fMP4 one about 1 kB.
pub const INIT_BYTES_MAX: usize = 64 << 10;

const NAME_BYTES_MAX: usize = 8;
const TEXT_BYTES_MAX: usize = 128;
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let rendition = |part, name: &str, mime: &str, init: &'static [u8]| Rendition {
            part,
            name: name.into(),
            mime: mime.into(),
            codecs: "opus".into(),
            init: Bytes::from_static(init),
        };
        Header {
            timescale: 48_000,
            chunk_duration: 9_600,
            renditions: vec![
                rendition(0, "mp4", "audio/mp4; codecs=\"opus\"", b"ftypmoov"),
                rendition(1, "ogg", "audio/ogg", b"OggS"),
            ],
            begun_wall_us: 1_790_000_000_000_000,
        }
    }

    #[test]
    fn a_header_is_read_back_as_it_was_written() {
        assert_eq!(Header::from_body(&header().to_body()), Ok(header()));
        let bare = Header { renditions: vec![], ..header() };
        assert_eq!(Header::from_body(&bare.to_body()), Ok(bare));
    }

    #[test]
    fn a_header_cut_anywhere_or_with_bytes_left_over_is_malformed() {
        let body = header().to_body();
        for end in 0..body.len() {
            assert_eq!(Header::from_body(&body.slice(..end)), Err(Malformed), "cut at {end}");
        }
        let mut longer = body.to_vec();
        longer.push(0);
        assert_eq!(Header::from_body(&Bytes::from(longer)), Err(Malformed));
    }

    #[test]
    fn a_header_that_could_break_an_http_answer_is_malformed() {
        let body = header().to_body().to_vec();
        let at = body.windows(9).position(|window| window == b"audio/ogg").unwrap();
        for byte in [b'\r', b'\n', 0, 0x7F, 0x80] {
            let mut spoiled = body.clone();
            spoiled[at] = byte;
            assert_eq!(Header::from_body(&Bytes::from(spoiled)), Err(Malformed), "{byte:#x}");
        }
    }

    #[test]
    fn no_byte_of_a_header_makes_the_reader_panic() {
        let body = header().to_body().to_vec();
        for at in 0..body.len() {
            for bit in 0..8 {
                let mut flipped = body.clone();
                flipped[at] ^= 1 << bit;
                let _ = Header::from_body(&Bytes::from(flipped));
            }
        }
    }
}
