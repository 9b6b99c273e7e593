//! Content codings: which of them a client takes (RFC 9110 §12.5.3), and gzip for text that is made here.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, GzBuilder};

use crate::problem::milli;

/// How a body is written.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Plain,
    /// `gzip` (RFC 1952), which every player and every cache can read.
    Gzip,
}

impl Coding {
    /// What is used for text that is made while it is asked for: gzip for who takes it, for it costs a tenth of what brotli does.
    pub fn preferred(accept: Option<&str>) -> Self {
        if accepts(accept, "gzip") { Self::Gzip } else { Self::Plain }
    }
}

/// A text, and the same compressed once somebody has asked for that. Cheap to clone; what was compressed after that is not in the clone.
#[derive(Clone, Debug, Default)]
pub struct Text {
    plain: Bytes,
    /// Empty where it would not be smaller.
    gzip: Option<Bytes>,
}

impl Text {
    /// What it says.
    pub fn new(plain: impl Into<Bytes>) -> Self {
        Self { plain: plain.into(), gzip: None }
    }

    /// Its bytes in a coding, or plain where that would not be smaller, and which it is. Compressed at most once.
    pub fn get(&mut self, coding: Coding) -> (Bytes, Coding) {
        if coding == Coding::Gzip && self.plain.len() >= GZIP_BYTES_MIN {
            let gzip = self.gzip.get_or_insert_with(|| gzip(&self.plain));
            if !gzip.is_empty() && gzip.len() < self.plain.len() {
                return (gzip.clone(), Coding::Gzip);
            }
        }
        (self.plain.clone(), Coding::Plain)
    }
}

/// Whether an `Accept-Encoding` names a coding with a weight above 0. `*` is not taken for it: who means a coding names it.
pub(crate) fn accepts(accept: Option<&str>, name: &str) -> bool {
    accept.unwrap_or_default().split(',').take(16).any(|coding| {
        let (coding, quality) = coding.split_once(';').unwrap_or((coding, "q=1"));
        coding.trim().eq_ignore_ascii_case(name) && milli(quality) > 0
    })
}

/// The same from every worker: without a time or a system in it. Empty if it cannot be done.
fn gzip(plain: &[u8]) -> Bytes {
    let mut writer = GzBuilder::new().operating_system(UNKNOWN_SYSTEM).write(Vec::new(), Compression::new(LEVEL));
    let written = writer.write_all(plain).and_then(|()| writer.finish());
    written.unwrap_or_default().into()
}

/// Below it the head of an answer is longer than what could be saved.
const GZIP_BYTES_MIN: usize = 200;
/// Playlists are the same line again and again: more effort finds nothing more.
const LEVEL: u32 = 6;
/// RFC 1952 §2.3.1.
const UNKNOWN_SYSTEM: u8 = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_coding_is_taken_if_it_is_named_and_not_refused() {
        let check = |accept: Option<&str>, expected| {
            assert_eq!(Coding::preferred(accept) == Coding::Gzip, expected, "{accept:?}");
        };
        check(None, false);
        check(Some(""), false);
        check(Some("gzip"), true);
        check(Some("br, GZIP ;q=0.5"), true);
        check(Some("gzip;q=0"), false);
        check(Some("gzip; q=0.000"), false);
        check(Some("identity, *"), false);
        check(Some("gzipped;q=1, xgzip"), false);
        check(Some("gzip;q=x"), false);
        check(Some(&format!("{}gzip", "a,".repeat(16))), false);
    }

    #[test]
    fn it_is_compressed_once_and_only_where_that_is_smaller() {
        let plain = "#EXTINF:4.00000,\n".repeat(100);
        let mut text = Text::new(plain.clone());
        assert_eq!(text.get(Coding::Plain), (Bytes::from(plain.clone()), Coding::Plain));
        let (first, coding) = text.get(Coding::Gzip);
        assert_eq!(coding, Coding::Gzip);
        assert_eq!(text.get(Coding::Gzip).0.as_ptr(), first.as_ptr());
        let mut read = String::new();
        flate2::read::GzDecoder::new(&first[..]).read_to_string(&mut read).unwrap();
        assert_eq!(read, plain);
        assert_eq!(first[4..10], [0, 0, 0, 0, 0, 255], "no time, no system: the same wherever it is made");
        assert_eq!(Text::new("#EXTM3U").get(Coding::Gzip).1, Coding::Plain, "too short");
        let mut seed = 1u32;
        let noise: Vec<u8> = (0..400)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect();
        assert_eq!(Text::new(noise).get(Coding::Gzip).1, Coding::Plain, "it would be larger");
    }
}
