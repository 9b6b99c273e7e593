//! The live playlist of Low-Latency HLS (RFC 8216bis, draft-pantos-hls-rfc8216bis), rendered once for everyone from a worker's own window.
//!
//! Segments of 4 s and parts of 1 s, named by their place in the log, so any worker gives the same answer.

use std::fmt::Write as _;

use bytes::Bytes;
use hiwar_segment_log::Header;

use crate::coding::{Coding, Text};
use crate::head::Civil;
use crate::tail::Joint;
use crate::window::{PART_CHUNKS, Part, SEGMENT_CHUNKS, SEGMENT_PARTS, Window};

/// How much of the playlist a client asks for (RFC 8216bis §6.2.5.1).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// What it has already is skipped, if it is old enough.
    Delta,
}

/// Both extents as they were last rendered.
#[derive(Debug, Default)]
pub struct Rendered {
    /// Up to which part, whether more was to come, and from which segment on.
    of: Option<(Option<u64>, bool, u64)>,
    whole: Text,
    delta: Text,
}

impl Rendered {
    /// Whether one was ever given.
    pub fn was_given(&self) -> bool {
        self.of.is_some()
    }

    /// The playlist of what the window lists now, and how it is written; `None` until a segment is whole. Each is rendered once, and
    /// compressed at most once, when somebody who takes it asks.
    pub fn get(&mut self, window: &Window, header: &Header, extent: Extent, coding: Coding) -> Option<(Bytes, Coding)> {
        let first = window.listed().next()?.number;
        let of = Some((window.parts_end(), window.ended(), first));
        if self.of != of {
            let render = |extent| Text::new(live(window, header, first, extent));
            *self = Self { of, whole: render(Extent::Whole), delta: render(Extent::Delta) };
        }
        let text = match extent {
            Extent::Whole => &mut self.whole,
            Extent::Delta => &mut self.delta,
        };
        Some(text.get(coding))
    }
}

fn live(window: &Window, header: &Header, first: u64, extent: Extent) -> String {
    let timescale = f64::from(header.timescale.max(1));
    let target = target_s(header);
    let part_target = (PART_CHUNKS * u64::from(header.chunk_duration)) as f64 / timescale;
    let listed = window.listed().len();
    let next = first + listed as u64;
    let filling = window.filling();
    let mut text = String::with_capacity(4_096);
    // Version 9 is the first that knows EXT-X-SKIP (RFC 8216bis §8); older players ignore what they do not know.
    let _ = write!(
        text,
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{target}\n\
         #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={}.0,PART-HOLD-BACK={:.3}\n\
         #EXT-X-PART-INF:PART-TARGET={part_target:.3}\n#EXT-X-MEDIA-SEQUENCE:{first}\n\
         #EXT-X-DISCONTINUITY-SEQUENCE:{}\n#EXT-X-INDEPENDENT-SEGMENTS\n",
        target * SKIP_TARGETS,
        part_target * HOLD_BACK_PARTS,
        window.breaks_before()
    );
    let skipped = match extent {
        Extent::Whole => 0,
        Extent::Delta => skipped(window, header, target * SKIP_TARGETS),
    };
    if skipped > 0 {
        let _ = writeln!(text, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}");
    }
    // Also after a skip: it is for what follows.
    text.push_str("#EXT-X-MAP:URI=\"init.mp4\"\n");
    for (number, segment) in (first..).zip(window.listed()).skip(skipped) {
        begin(&mut text, segment.joint, segment.wall_us);
        let duration: u64 = segment.parts.iter().map(|part| part.duration).sum();
        // Parts are of use near the live edge only (RFC 8216bis §4.4.4.9).
        if number + PARTS_SEGMENTS >= next {
            parts(&mut text, number, &segment.parts, timescale, part_target);
        }
        // A segment lost in a hole keeps its number, so that numbers stay those of the log (RFC 8216bis §4.4.4.7).
        if duration == 0 {
            let _ = write!(text, "#EXT-X-GAP\n#EXTINF:{target},\n{number}.m4a\n");
        } else {
            let _ = write!(text, "#EXTINF:{:.5},\n{number}.m4a\n", duration as f64 / timescale);
        }
    }
    if window.ended() {
        text.push_str("#EXT-X-ENDLIST\n");
        return text;
    }
    let whole_parts = filling.map_or(0, |filling| filling.parts.len());
    if let Some(filling) = filling {
        begin(&mut text, filling.joint, filling.wall_us);
        parts(&mut text, next, &filling.parts, timescale, part_target);
    }
    let _ = writeln!(text, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{next}.{whole_parts}.m4a\"");
    text
}

/// What stands before a segment or its first part.
fn begin(text: &mut String, joint: Joint, wall_us: Option<u64>) {
    // Where media time jumps, or a player that counts durations would look for sound in the wrong place (RFC 8216 §4.3.2.3).
    if joint == Joint::Break {
        text.push_str("#EXT-X-DISCONTINUITY\n");
    }
    if let Some(wall_us) = wall_us {
        let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}", Iso(wall_us));
    }
}

fn parts(text: &mut String, number: u64, parts: &[Part], timescale: f64, part_target: f64) {
    for (index, part) in parts.iter().enumerate() {
        let (seconds, what) = match part.duration {
            0 => (part_target, "GAP=YES"),
            // Every frame of Opus stands alone.
            duration => (duration as f64 / timescale, "INDEPENDENT=YES"),
        };
        let _ = writeln!(text, "#EXT-X-PART:DURATION={seconds:.5},URI=\"{number}.{index}.m4a\",{what}");
    }
}

/// How many of the listed segments a delta leaves out: those that end more than `until_s` before the end (RFC 8216bis §4.4.5.2).
fn skipped(window: &Window, header: &Header, until_s: u64) -> usize {
    let filling: u64 = window.filling().map_or(0, |filling| filling.parts.iter().map(|part| part.duration).sum());
    let until = until_s * u64::from(header.timescale.max(1));
    let lost = SEGMENT_CHUNKS * u64::from(header.chunk_duration);
    let mut after = filling;
    let mut kept = 0;
    for segment in window.listed().rev() {
        if after > until {
            break;
        }
        let duration: u64 = segment.parts.iter().map(|part| part.duration).sum();
        after += if duration == 0 { lost } else { duration };
        kept += 1;
    }
    window.listed().len() - kept
}

/// The target duration in whole seconds.
pub fn target_s(header: &Header) -> u64 {
    (SEGMENT_CHUNKS * u64::from(header.chunk_duration)).div_ceil(u64::from(header.timescale.max(1))).max(1)
}

/// Parts that a player stays behind the newest one (RFC 8216bis §4.4.3.8: at least two, better three; Apple's profile: three).
const HOLD_BACK_PARTS: f64 = 3.0;
/// Target durations for which nothing is skipped (RFC 8216bis §4.4.3.8: at least six).
const SKIP_TARGETS: u64 = 6;
/// Whole segments whose parts are listed: at least the last three target durations (RFC 8216bis §4.4.4.9).
const PARTS_SEGMENTS: u64 = 3;
const _: () = assert!(SEGMENT_PARTS == 4);

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
pub(crate) struct Iso(pub(crate) u64);

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
    use crate::tail::tests::{chunk, header, tail};

    fn text(tail: &crate::tail::Tail, extent: Extent) -> Option<String> {
        let (bytes, _) = Rendered::default().get(tail.window(), tail.header(), extent, Coding::Plain)?;
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn whole(tail: &crate::tail::Tail) -> String {
        text(tail, Extent::Whole).unwrap()
    }

    #[test]
    fn nothing_is_listed_before_a_segment_is_whole() {
        assert_eq!(text(&tail(0..19), Extent::Whole), None);
        assert!(text(&tail(0..20), Extent::Whole).is_some());
        assert_eq!(text(&tail(1..39), Extent::Whole), None);
    }

    #[test]
    fn the_playlist_is_a_minute_and_the_parts_near_its_end() {
        let text = whole(&tail(0..411));
        let head = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n\
            #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24.0,PART-HOLD-BACK=3.000\n\
            #EXT-X-PART-INF:PART-TARGET=1.000\n#EXT-X-MEDIA-SEQUENCE:5\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n\
            #EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"init.mp4\"\n\
            #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:40.000Z\n#EXTINF:4.00000,\n5.m4a\n";
        assert!(text.starts_with(head), "{text}");
        assert_eq!(text.matches("#EXTINF:4.00000,\n").count(), 15);
        assert_eq!(text.matches("#EXT-X-PART:DURATION=1.00000,").count(), 3 * 4 + 2);
        let end = "#EXTINF:4.00000,\n19.m4a\n#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:14:40.000Z\n\
            #EXT-X-PART:DURATION=1.00000,URI=\"20.0.m4a\",INDEPENDENT=YES\n\
            #EXT-X-PART:DURATION=1.00000,URI=\"20.1.m4a\",INDEPENDENT=YES\n\
            #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"20.2.m4a\"\n";
        assert!(text.ends_with(end), "{text}");
        assert!(whole(&tail(0..404)).ends_with("19.m4a\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"20.0.m4a\"\n"));
    }

    #[test]
    fn a_full_playlist_is_a_fraction_of_itself_compressed() {
        let tail = tail(0..411);
        for (extent, plain_max, gzip_max) in [(Extent::Whole, 2_600, 500), (Extent::Delta, 1_800, 400)] {
            let bytes = |coding| Rendered::default().get(tail.window(), tail.header(), extent, coding).unwrap().0.len();
            let (plain, gzip) = (bytes(Coding::Plain), bytes(Coding::Gzip));
            println!("{extent:?}: {plain} bytes, {gzip} with gzip");
            assert!(plain < plain_max && gzip < gzip_max, "{extent:?}: {plain} {gzip}");
        }
    }

    #[test]
    fn a_delta_leaves_out_what_ends_before_the_boundary() {
        let tail = tail(0..411);
        let delta = text(&tail, Extent::Delta).unwrap();
        // 2 s of parts and five segments end within the last 24 s; the one before them ends 22 s ago and is kept, too.
        assert!(delta.contains("#EXT-X-MEDIA-SEQUENCE:5\n"), "{delta}");
        assert!(delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=9\n#EXT-X-MAP:URI=\"init.mp4\"\n"), "{delta}");
        assert!(!delta.contains("\n13.m4a") && delta.contains("\n14.m4a"), "{delta}");
        let (of_whole, of_delta) = (whole(&tail), delta);
        let last = |text: &str| text.split_once("14.m4a").unwrap().1.to_owned();
        assert_eq!(last(&of_whole), last(&of_delta));
        let short = crate::tail::tests::tail(0..120);
        assert_eq!(text(&short, Extent::Delta), text(&short, Extent::Whole), "nothing is old enough");
    }

    #[test]
    fn what_was_rendered_is_given_until_something_changes() {
        let mut tail = tail(0..25);
        let mut rendered = Rendered::default();
        let mut given =
            |tail: &crate::tail::Tail, coding| rendered.get(tail.window(), &header(), Extent::Whole, coding).unwrap();
        let (first, compressed) = (given(&tail, Coding::Plain).0, given(&tail, Coding::Gzip));
        assert!(compressed.1 == Coding::Gzip && compressed.0.len() < first.len());
        tail.push(&chunk(25, 1));
        assert_eq!(given(&tail, Coding::Plain).0.as_ptr(), first.as_ptr());
        assert_eq!(given(&tail, Coding::Gzip).0.as_ptr(), compressed.0.as_ptr());
        let mut get = |tail: &crate::tail::Tail| given(tail, Coding::Plain).0;
        for position in 26..30 {
            tail.push(&chunk(position, 1));
        }
        let second = get(&tail);
        assert_ne!(second, first);
        tail.end();
        assert!(get(&tail).ends_with(b"#EXT-X-ENDLIST\n"));
    }

    #[test]
    fn the_end_is_told_with_what_had_begun() {
        let mut tail = tail(0..48);
        tail.end();
        let text = whole(&tail);
        assert!(text.ends_with("#EXTINF:1.60000,\n2.m4a\n#EXT-X-ENDLIST\n"), "{text}");
        assert!(text.contains("#EXT-X-PART:DURATION=0.60000,URI=\"2.1.m4a\",INDEPENDENT=YES\n"), "{text}");
        assert!(!text.contains("PRELOAD-HINT"), "{text}");
    }

    #[test]
    fn a_pass_goes_with_every_address() {
        let text = with_pass(&whole(&tail(0..45)), "p");
        // Two segments with four parts each, one part, the hint and the map.
        assert_eq!(text.matches("?pass=p").count(), 2 + 8 + 1 + 1 + 1, "{text}");
        assert!(text.contains("#EXT-X-PART:DURATION=1.00000,URI=\"2.0.m4a?pass=p\",INDEPENDENT=YES\n"), "{text}");
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
        let text = whole(&tail);
        assert!(text.contains("URI=\"2.3.m4a\",GAP=YES\n#EXT-X-GAP\n#EXTINF:4,\n2.m4a\n"), "{text}");
        assert!(text.contains("URI=\"3.0.m4a\",GAP=YES\n"), "{text}");
        assert!(text.contains("#EXTINF:3.00000,\n3.m4a\n"), "{text}");
        assert!(text.contains("2.m4a\n#EXT-X-DISCONTINUITY\n"), "{text}");
        assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    }

    #[test]
    fn a_house_that_went_back_is_a_break_and_never_an_earlier_number() {
        let mut tail = tail(0..45);
        for position in 0..60 {
            tail.push(&chunk(position, 2));
        }
        let text = whole(&tail);
        assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n"), "{text}");
        assert!(text.contains("2.m4a\n#EXT-X-DISCONTINUITY\n"), "{text}");
        for position in 60..380 {
            tail.push(&chunk(position, 2));
        }
        let text = whole(&tail);
        assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n"), "{text}");
        assert!(!text.contains("#EXT-X-DISCONTINUITY\n"), "{text}");
    }
}
