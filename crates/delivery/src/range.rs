//! A part of a file, and whether the client has it already (RFC 9110 §13, §14).
//!
//! The file is known only by what `stat` says; opening and sending it is `http::replay`'s.

use std::ops::Range;
use std::time::SystemTime;

use crate::head::{Date, Head};
use crate::problem::Keep;

/// What a client said about a file, taken from its request so that it can cross to another thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// `Range`.
    pub range: Option<String>,
    /// `If-Range`.
    pub if_range: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `If-Modified-Since`, which counts only without the former.
    pub if_modified_since: Option<String>,
}

/// What a file is.
#[derive(Copy, Clone, Debug)]
pub struct Meta {
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was last changed.
    pub modified: SystemTime,
}

/// A head to send, and then this part of the file.
#[derive(Debug)]
pub struct Part {
    /// The response's head.
    pub head: Vec<u8>,
    /// Which bytes of the file follow, if the method wants them.
    pub bytes: Range<u64>,
}

impl Meta {
    /// A strong validator: recordings are written once, by rename.
    pub fn etag(&self) -> String {
        let since = self.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        format!("\"{:x}-{:x}\"", self.bytes, since.as_nanos())
    }
}

/// Decides what part of a file answers a wish. Several ranges at once are answered with the whole, as RFC 9110 §14.2 allows: players
/// do not ask for them, attackers do.
pub fn answer(wish: &Wish, meta: Meta, mime: &str, cache: &str, keep: Keep, now: SystemTime) -> Part {
    let etag = meta.etag();
    let modified = Date(meta.modified).to_string();
    let head = |status| {
        Head::new(status, now)
            .field("Content-Type", mime)
            .field("ETag", &etag)
            .field("Last-Modified", &modified)
            .field("Cache-Control", cache)
            .field("Accept-Ranges", "bytes")
            .field("Access-Control-Allow-Origin", "*")
            .field("Access-Control-Expose-Headers", "Content-Range, Content-Length, Accept-Ranges")
            .maybe("Connection", (keep == Keep::Close).then_some("close"))
    };
    let unchanged = match (&wish.if_none_match, &wish.if_modified_since) {
        (Some(tags), _) => matches_any(tags, &[&etag]),
        (None, Some(date)) => *date == modified,
        (None, None) => false,
    };
    if unchanged {
        return Part { head: head(304).end(), bytes: 0..0 };
    }
    let current = wish.if_range.as_ref().is_none_or(|tag| *tag == etag || *tag == modified);
    match wish.range.as_deref().filter(|_| current).map_or(Asked::Whole, |range| parse(range, meta.bytes)) {
        Asked::Whole => Part { head: head(200).field("Content-Length", meta.bytes).end(), bytes: 0..meta.bytes },
        Asked::Part(bytes) => {
            let (first, last, length) = (bytes.start, bytes.end - 1, bytes.end - bytes.start);
            let content_range = format!("bytes {first}-{last}/{}", meta.bytes);
            Part { head: head(206).field("Content-Range", content_range).field("Content-Length", length).end(), bytes }
        }
        Asked::Nothing => {
            let content_range = format!("bytes */{}", meta.bytes);
            Part { head: head(416).field("Content-Range", content_range).field("Content-Length", 0).end(), bytes: 0..0 }
        }
    }
}

/// Whether a list of entity tags names one of ours, compared weakly (RFC 9110 §8.8.3.2).
pub(crate) fn matches_any(list: &str, ours: &[&str]) -> bool {
    list.split(',').map(str::trim).any(|tag| tag == "*" || ours.contains(&tag.strip_prefix("W/").unwrap_or(tag)))
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    /// Never empty.
    Part(Range<u64>),
    /// A range beyond the end.
    Nothing,
}

fn parse(range: &str, length: u64) -> Asked {
    // Anything that is not one well-formed byte range is ignored, as the standard asks.
    let Some((unit, set)) = range.split_once('=') else { return Asked::Whole };
    let Some((first, last)) = set.trim().split_once('-') else { return Asked::Whole };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') || !digits(first) || !digits(last) {
        return Asked::Whole;
    }
    // Digits that do not fit in 64 bits are beyond any file.
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    match (first, last) {
        ("", "") => Asked::Whole,
        ("", suffix) => match number(suffix).min(length) {
            0 => Asked::Nothing,
            suffix => Asked::Part(length - suffix..length),
        },
        (first, last) => {
            let first = number(first);
            let end = if last.is_empty() { length } else { number(last).saturating_add(1).min(length) };
            if !last.is_empty() && number(last) < first {
                Asked::Whole
            } else if first >= length {
                Asked::Nothing
            } else {
                Asked::Part(first..end)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_range_is_honoured_and_everything_else_is_the_whole() {
        let check = |range, asked| assert_eq!(parse(range, 100), asked, "{range}");
        check("bytes=0-", Asked::Part(0..100));
        check("bytes=0-0", Asked::Part(0..1));
        check("bytes=10-19", Asked::Part(10..20));
        check("bytes=90-1000", Asked::Part(90..100));
        check("bytes=-10", Asked::Part(90..100));
        check("bytes=-1000", Asked::Part(0..100));
        check("bytes=99999999999999999999999-", Asked::Nothing);
        check("bytes=100-", Asked::Nothing);
        check("bytes=-0", Asked::Nothing);
        check("bytes=5-4", Asked::Whole);
        check("bytes=0-1,3-4", Asked::Whole);
        check("bytes=-", Asked::Whole);
        check("bytes=+1-2", Asked::Whole);
        check("lines=0-1", Asked::Whole);
        check("", Asked::Whole);
        assert_eq!(parse("bytes=0-", 0), Asked::Nothing);
    }

    #[test]
    fn a_changed_file_is_sent_whole() {
        let meta = Meta { bytes: 100, modified: SystemTime::UNIX_EPOCH + Duration::from_secs(1) };
        let status = |wish: Wish| {
            let part = answer(&wish, meta, "audio/ogg", "no-cache", Keep::Alive, SystemTime::UNIX_EPOCH);
            (String::from_utf8(part.head).unwrap()[9..12].to_owned(), part.bytes)
        };
        let range = Some("bytes=0-9".to_owned());
        assert_eq!(
            status(Wish { range: range.clone(), if_range: Some(meta.etag()), ..Wish::default() }),
            ("206".into(), 0..10)
        );
        assert_eq!(
            status(Wish { range: range.clone(), if_range: Some("\"x\"".into()), ..Wish::default() }),
            ("200".into(), 0..100)
        );
        assert_eq!(status(Wish { if_none_match: Some(meta.etag()), ..Wish::default() }), ("304".into(), 0..0));
        assert_eq!(status(Wish { range: Some("bytes=200-".into()), ..Wish::default() }), ("416".into(), 0..0));
    }
}
