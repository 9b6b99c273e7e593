//! A body on its way in, collected until it is whole: the house hears of a request only then.
//!
//! Pure: bytes in, a verdict out. Small enough to wait here, because the house takes no larger body anyway; the few that carry a file are counted apart.

use crate::request::{BODY_BYTES_MAX, Body, Refusal};

/// What has come of a body.
#[derive(Debug)]
pub(super) struct Upload {
    bytes: Vec<u8>,
    framing: Framing,
}

#[derive(Debug)]
enum Framing {
    Length(usize),
    /// How far the chunks were followed (RFC 9112 §7.1), and the content in them so far.
    Chunked {
        at: usize,
        content: u64,
        part: Part,
    },
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Part {
    Chunks,
    Trailers,
    Over,
}

/// Whether a body is there.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// It is.
    Yes,
    /// More is to come.
    NotYet,
}

impl Upload {
    /// A body whose first bytes came with the head.
    pub(super) fn new(body: Body, mut bytes: Vec<u8>) -> Self {
        let framing = match body {
            Body::None => Framing::Length(0),
            Body::Length(length) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                // Memory that nothing is written into costs nothing; a vector that grows would be copied, and be twice as large.
                bytes.reserve_exact(length.saturating_sub(bytes.len()));
                Framing::Length(length)
            }
            Body::Chunked => Framing::Chunked { at: 0, content: 0, part: Part::Chunks },
        };
        Self { bytes, framing }
    }

    /// Takes more bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether it is whole. Goes on where it stopped, so that a body that comes byte by byte is read once. What comes after its end is
    /// cut off: the connection takes no other request.
    ///
    /// # Errors
    /// If it is larger than the house takes, or no chunked body.
    pub(super) fn look(&mut self) -> Result<Whole, Refusal> {
        match &mut self.framing {
            Framing::Length(length) if self.bytes.len() >= *length => {
                self.bytes.truncate(*length);
                Ok(Whole::Yes)
            }
            Framing::Length(_) => Ok(Whole::NotYet),
            Framing::Chunked { at, content, part } => {
                let whole = follow(&self.bytes, at, content, part)?;
                if whole == Whole::Yes {
                    self.bytes.truncate(*at);
                } else if self.bytes.len() as u64 > BODY_BYTES_MAX + FRAMING_BYTES_MAX {
                    return Err(Refusal::BodyTooLarge);
                }
                Ok(whole)
            }
        }
    }

    /// As it came, framing included.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

fn follow(bytes: &[u8], at: &mut usize, content: &mut u64, part: &mut Part) -> Result<Whole, Refusal> {
    while *part == Part::Chunks {
        let rest = bytes.get(*at..).unwrap_or_default();
        // To the library a line without a digit says 0 (RFC 9112 §7.1: there is at least one), and so does one that begins with a space.
        if rest.first().is_some_and(|first| !first.is_ascii_hexdigit()) {
            return Err(Refusal::Malformed);
        }
        let (line, length) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete((line, _))) if !is_one_line(rest, line - 2) => {
                return Err(Refusal::Malformed);
            }
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) if rest.len() > LINE_BYTES_MAX => return Err(Refusal::Malformed),
            Ok(httparse::Status::Partial) => return Ok(Whole::NotYet),
            Err(_) => return Err(Refusal::Malformed),
        };
        if length == 0 {
            *at += line;
            *part = Part::Trailers;
            break;
        }
        if length > BODY_BYTES_MAX || *content + length > BODY_BYTES_MAX {
            return Err(Refusal::BodyTooLarge);
        }
        // Fits: it was just compared with a small number.
        let end = line + length as usize;
        match rest.get(end..end + 2) {
            Some(b"\r\n") => {}
            Some(_) => return Err(Refusal::Malformed),
            None => return Ok(Whole::NotYet),
        }
        *at += end + 2;
        *content += length;
    }
    while *part == Part::Trailers {
        let rest = bytes.get(*at..).unwrap_or_default();
        let Some(line) = rest.windows(2).position(|pair| pair == b"\r\n") else {
            return if rest.len() > LINE_BYTES_MAX { Err(Refusal::Malformed) } else { Ok(Whole::NotYet) };
        };
        if !is_one_line(rest, line) {
            return Err(Refusal::Malformed);
        }
        *at += line + 2;
        if line == 0 {
            *part = Part::Over;
            return Ok(Whole::Yes);
        }
    }
    Ok(Whole::Yes)
}

/// Whether so many bytes are one line to whoever reads them: to some a bare LF or CR, in an extension or a trailer, ends it.
fn is_one_line(bytes: &[u8], length: usize) -> bool {
    bytes.iter().take(length).all(|&byte| byte == b'\t' || !byte.is_ascii_control())
}

/// A line that has not ended is read again when more of it comes, so that one without an end that comes byte by byte would cost the square of its length.
const LINE_BYTES_MAX: usize = 1_024;
/// What framing may add to [`BODY_BYTES_MAX`]: chunk sizes, extensions and trailers. As much again allows chunks of six bytes.
const FRAMING_BYTES_MAX: u64 = BODY_BYTES_MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(body: Body, sent: &str, expected: Result<(Whole, &str), Refusal>) {
        let mut at_once = Upload::new(body, sent.into());
        let looked = at_once.look().map(|whole| (whole, String::from_utf8(at_once.bytes.clone()).unwrap()));
        assert_eq!(looked.clone(), expected.map(|(whole, kept)| (whole, kept.to_owned())), "{sent:?}");
        assert_eq!(at_once.look(), looked.map(|(whole, _)| whole), "asked again: {sent:?}");
        let mut slowly = Upload::new(body, Vec::new());
        let mut last = slowly.look();
        for byte in sent.bytes() {
            if last != Ok(Whole::NotYet) {
                break;
            }
            slowly.push(&[byte]);
            last = slowly.look();
        }
        assert_eq!(last, expected.map(|(whole, _)| whole), "byte by byte: {sent:?}");
    }

    #[test]
    fn a_body_is_whole_at_its_end_and_not_before() {
        check(Body::None, "", Ok((Whole::Yes, "")));
        check(Body::Length(3), "ab", Ok((Whole::NotYet, "ab")));
        check(Body::Length(3), "abcd", Ok((Whole::Yes, "abc")));
        check(Body::Chunked, "3\r\nabc\r\n0\r\n\r\nGET", Ok((Whole::Yes, "3\r\nabc\r\n0\r\n\r\n")));
        check(Body::Chunked, "3\r\nabc\r\n0\r\nA: b\r\n\r\n", Ok((Whole::Yes, "3\r\nabc\r\n0\r\nA: b\r\n\r\n")));
        check(Body::Chunked, "3\r\nabc\r\n0\r\nA: b\r\n", Ok((Whole::NotYet, "3\r\nabc\r\n0\r\nA: b\r\n")));
        check(Body::Chunked, "3\r\nab", Ok((Whole::NotYet, "3\r\nab")));
    }

    #[test]
    fn what_is_too_large_or_no_chunk_is_refused() {
        check(Body::Chunked, "3\r\nabcd\r\n", Err(Refusal::Malformed));
        check(Body::Chunked, "x\r\n", Err(Refusal::Malformed));
        check(Body::Chunked, "\r\n\r\n", Err(Refusal::Malformed));
        check(Body::Chunked, " 3\r\nabc\r\n", Err(Refusal::Malformed));
        check(Body::Chunked, ";x\r\n\r\n", Err(Refusal::Malformed));
        check(Body::Chunked, "3;\nabc\r\nabc\r\n", Err(Refusal::Malformed));
        check(Body::Chunked, "0\r\nA: b\nC: d\r\n\r\n", Err(Refusal::Malformed));
        check(Body::Chunked, &format!("3;{}", "x".repeat(2_000)), Err(Refusal::Malformed));
        check(Body::Chunked, &format!("0\r\nA: {}", "x".repeat(2_000)), Err(Refusal::Malformed));
        check(Body::Chunked, "10001\r\n", Err(Refusal::BodyTooLarge));
        check(Body::Chunked, "ffffffffffffffff\r\n", Err(Refusal::BodyTooLarge));
        check(Body::Chunked, &"1\r\nx\r\n".repeat(30_000), Err(Refusal::BodyTooLarge));
        check(Body::Chunked, &format!("0\r\n{}", "A: b\r\n".repeat(30_000)), Err(Refusal::BodyTooLarge));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Upload::new(Body::Chunked, bytes).look();
        }
    }
}
