//! The live HLS playlist (RFC 8216), rendered from a worker's own tail.
//!
//! Plain HLS: segments of 4 s. Segment n is positions 20n to 20n+19 of the log, so any worker gives the same answer.

use std::fmt::Write as _;

use crate::head::Civil;
use crate::tail::{SEGMENT_CHUNKS, Tail};

/// The media playlist of the newest segments; `None` until one is whole. `pass` is repeated in every URI, because players do not.
pub fn live(tail: &Tail, pass: Option<&str>) -> Option<String> {
    let numbers = tail.segment_numbers();
    if numbers.is_empty() {
        return None;
    }
    let timescale = u64::from(tail.header().timescale.max(1));
    let target = (SEGMENT_CHUNKS * u64::from(tail.header().chunk_duration)).div_ceil(timescale).max(1);
    let query = pass.map(|pass| format!("?pass={pass}")).unwrap_or_default();
    let (breaks, breaks_before) = tail.breaks(numbers.start);
    let breaks: Vec<u64> = breaks.collect();
    let mut text = String::with_capacity(1_024);
    let _ = write!(
        text,
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:{}\n\
         #EXT-X-DISCONTINUITY-SEQUENCE:{breaks_before}\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"init.mp4{query}\"\n",
        numbers.start
    );
    for number in numbers {
        // Where media time jumps, or a player that counts durations would look for sound in the wrong place (RFC 8216 §4.3.2.3).
        if breaks.contains(&number) {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        let mut chunks = tail.segment_chunks(number).peekable();
        let wall_us = chunks.peek().map(|chunk| chunk.wall_us);
        let duration: u64 = chunks.map(|chunk| u64::from(chunk.duration)).sum();
        // A segment lost in a hole keeps its number, so that numbers stay those of the log (RFC 8216bis §4.4.4.7).
        let Some(wall_us) = wall_us.filter(|_| duration > 0) else {
            let _ = write!(text, "#EXT-X-GAP\n#EXTINF:{target},\n{number}.m4s{query}\n");
            continue;
        };
        let seconds = duration as f64 / timescale as f64;
        let _ = write!(text, "#EXT-X-PROGRAM-DATE-TIME:{}\n#EXTINF:{seconds:.5},\n{number}.m4s{query}\n", Iso(wall_us));
    }
    Some(text)
}

/// Adds a pass to every URI of a stored playlist: the lines that are not tags, and `URI="…"` in tags.
pub fn with_pass(playlist: &str, pass: &str) -> String {
    let mut text = String::with_capacity(playlist.len() * 2);
    for line in playlist.lines() {
        if line.is_empty() {
        } else if !line.starts_with('#') {
            let _ = write!(text, "{line}?pass={pass}");
        } else if let Some((before, after)) = line.split_once("URI=\"")
            && let Some((uri, rest)) = after.split_once('"')
        {
            let _ = write!(text, "{before}URI=\"{uri}?pass={pass}\"{rest}");
        } else {
            text.push_str(line);
        }
        text.push('\n');
    }
    text
}

/// A moment as ISO 8601 with milliseconds.
struct Iso(u64);

impl std::fmt::Display for Iso {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let c = Civil::from_unix(self.0 / 1_000_000);
        let milliseconds = self.0 / 1_000 % 1_000;
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{milliseconds:03}Z",
            c.year, c.month, c.day, c.hour, c.minute, c.second
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tail::tests::{chunk, tail};

    #[test]
    fn nothing_is_listed_before_a_segment_is_whole() {
        assert_eq!(live(&tail(0..19), None), None);
        assert!(live(&tail(0..20), None).is_some());
        assert_eq!(live(&tail(1..39), None), None);
    }

    #[test]
    fn the_playlist_is_the_newest_six_segments() {
        let text = live(&tail(0..205), None).unwrap();
        assert!(
            text.starts_with("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:4\n"),
            "{text}"
        );
        assert_eq!(text.matches("#EXTINF:4.00000,\n").count(), 6);
        assert!(text.ends_with("\n9.m4s\n"), "{text}");
        assert!(text.contains("#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:36.000Z\n#EXTINF:4.00000,\n4.m4s"), "{text}");
    }

    #[test]
    fn a_pass_goes_with_every_address() {
        let text = live(&tail(0..40), Some("p")).unwrap();
        assert_eq!(text.matches("?pass=p").count(), 3);
        let stored = "#EXTM3U\n#EXT-X-MAP:URI=\"../a.mp4\",BYTERANGE=\"5@0\"\n#EXTINF:4,\n../a.mp4\n";
        let expected = "#EXTM3U\n#EXT-X-MAP:URI=\"../a.mp4?pass=p\",BYTERANGE=\"5@0\"\n#EXTINF:4,\n../a.mp4?pass=p\n";
        assert_eq!(with_pass(stored, "p"), expected);
    }

    #[test]
    fn a_hole_keeps_the_numbers() {
        let mut tail = tail(0..40);
        for position in 65..100 {
            tail.push(&chunk(position, 1));
        }
        let text = live(&tail, None).unwrap();
        assert!(text.contains("#EXT-X-GAP\n#EXTINF:4,\n2.m4s\n"), "{text}");
        assert!(text.contains("#EXTINF:3.00000,\n3.m4s\n"), "{text}");
        assert!(text.contains("2.m4s\n#EXT-X-DISCONTINUITY\n"), "{text}");
        assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    }

    #[test]
    fn a_house_that_went_back_is_a_break_and_never_an_earlier_number() {
        let mut tail = tail(0..45);
        for position in 0..60 {
            tail.push(&chunk(position, 2));
        }
        let text = live(&tail, None).unwrap();
        assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n"), "{text}");
        assert!(text.contains("2.m4s\n#EXT-X-DISCONTINUITY\n"), "{text}");
        for position in 60..200 {
            tail.push(&chunk(position, 2));
        }
        let text = live(&tail, None).unwrap();
        assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n"), "{text}");
        assert!(!text.contains("#EXT-X-DISCONTINUITY\n"), "{text}");
    }
}
