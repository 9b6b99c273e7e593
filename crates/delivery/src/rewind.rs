//! The rewind playlist (RFC 8216): whole segments of a log, up to four hours back, as they are on the disk.
//!
//! Pure: records come in, as `http` reads them from the log; the list comes out. Segment n is positions 20n to 20n+19 here as in the live
//! window, with the same address and the same bytes, so that whoever keeps copies in front keeps one.

use std::collections::VecDeque;
use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use hiwar_segment_log::{Header, Kind, LogId, Record};

use crate::coding::Coding;
use crate::playlist::{Extent, Iso};
use crate::problem::{Keep, Language};
use crate::request::Method;
use crate::tail::{Access, Ended, Tail, hls_rendition};
use crate::window::SEGMENT_CHUNKS;

/// A wish for the past of a log, from a thread that may wait for a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewind {
    /// Which log.
    pub log: LogId,
    /// What of it.
    pub part: Part,
    /// What this worker adds to the numbers of the log's segments, see [`Tail::shift_segments`].
    pub shift: u64,
    /// The first segment that is not whole yet, by the log's own numbers, as far as this worker has heard. `None`: it has heard nothing.
    pub live: Option<u64>,
    /// Whether more is to come.
    pub ended: Ended,
    /// GET or HEAD.
    pub method: Method,
    /// Whether the connection goes on.
    pub keep: Keep,
    /// How the playlist is welcome.
    pub coding: Coding,
    /// To repeat in the playlist's addresses.
    pub pass: Option<String>,
    /// Who may hear it decides whether shared caches may keep it.
    pub access: Access,
    /// For saying that there is none.
    pub language: Language,
}

/// What of the past.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// `rewind.m3u8`
    Playlist(Extent),
    /// `N.m4a`, by the log's own numbers.
    Segment(u64),
}

/// The wish for the rewind playlist; `None` if the log ended a while ago: then there is its replay.
pub fn playlist(tail: &Tail, extent: Extent) -> Option<Part> {
    let faded = tail.ended() == Ended::Yes && tail.header().renditions.is_empty();
    (!faded).then_some(Part::Playlist(extent))
}

/// The wish for a segment that is not in the tail; `None` if it cannot be on the disk either.
pub fn segment(tail: &Tail, number: u64) -> Option<Part> {
    let last_may_be_short = u64::from(tail.ended() == Ended::Yes);
    let known = tail.newest().is_some();
    let in_log = number.checked_sub(tail.shift_segments())?;
    (!known || number < tail.segments_end().saturating_add(last_may_be_short)).then_some(Part::Segment(in_log))
}

/// What is known of the segments of one log: the newest [`REWIND_SEGMENTS`], in order and without a missing number.
#[derive(Debug, Default)]
pub struct Index {
    facts: Option<Facts>,
    /// The number of the first of `segments`.
    first: u64,
    segments: VecDeque<Segment>,
    /// Not whole yet.
    open: Option<(u64, Segment)>,
    /// The position after the newest chunk.
    next: u64,
    /// Breaks before segments that are no longer here.
    breaks_gone: u64,
    sealed: bool,
}

/// What of a header decides how segments are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    timescale: u32,
    chunk_duration: u32,
    init: Bytes,
}

#[derive(Copy, Clone, Debug, Default)]
struct Segment {
    wall_us: u64,
    /// In the header's timescale; 0 for one that was lost.
    duration: u64,
    /// When its last chunk ends, in media time.
    end: u64,
    /// Whether players are told of a break before it.
    told: bool,
    /// Whether time jumps inside it: players are told before the next.
    broken: bool,
}

impl Index {
    /// Takes the next record of the log.
    pub fn push(&mut self, record: &Record) {
        match record.kind {
            Kind::Header => self.head(record),
            Kind::Chunk => self.chunk(record),
            Kind::Gap => {}
            Kind::Seal => {
                self.close();
                self.sealed = true;
            }
        }
    }

    fn head(&mut self, record: &Record) {
        let Ok(header) = Header::from_body(&record.body) else { return };
        let init = hls_rendition(&header).map(|(_, r)| r.init.clone());
        let facts =
            init.map(|init| Facts { timescale: header.timescale.max(1), chunk_duration: header.chunk_duration, init });
        // One list has one init: what came before another can no longer be played with it.
        if self.facts.is_some() && self.facts != facts {
            self.forget();
        }
        self.facts = facts;
    }

    fn chunk(&mut self, record: &Record) {
        let position = record.position.0;
        if position < self.next || self.facts.is_none() {
            return;
        }
        let number = position / SEGMENT_CHUNKS;
        if self.open.is_some_and(|(open, _)| open < number) {
            self.close();
        }
        // The first of all begins where the log does, or where retention has left it: listed only if that is its beginning.
        if self.is_empty() && self.open.is_none() {
            if !position.is_multiple_of(SEGMENT_CHUNKS) {
                return;
            }
            self.first = number;
        }
        let before = self.open.map(|(_, open)| open).or(self.segments.back().copied());
        let jumps = before.is_some_and(|before| before.end != record.time);
        if self.open.is_none() {
            self.fill(number);
            let told = jumps || self.segments.back().is_some_and(|before| before.broken);
            self.open = Some((number, Segment { wall_us: record.wall_us, told, ..Segment::default() }));
        } else if let Some((_, open)) = &mut self.open {
            open.broken |= jumps;
        }
        if let Some((_, open)) = &mut self.open {
            open.duration += u64::from(record.duration);
            open.end = record.time.saturating_add(u64::from(record.duration));
        }
        self.next = position.saturating_add(1);
        if position % SEGMENT_CHUNKS == SEGMENT_CHUNKS - 1 {
            self.close();
        }
    }

    /// Lists the numbers up to `number` as lost.
    fn fill(&mut self, number: u64) {
        if number.saturating_sub(self.end()) > REWIND_SEGMENTS as u64 {
            self.forget();
            self.first = number;
        }
        while self.end() < number {
            let before = self.segments.back().copied().unwrap_or_default();
            self.add(Segment { end: before.end, told: before.broken, ..Segment::default() });
        }
    }

    fn close(&mut self) {
        if let Some((_, segment)) = self.open.take() {
            self.add(segment);
        }
    }

    fn add(&mut self, segment: Segment) {
        self.segments.push_back(segment);
        if self.segments.len() > REWIND_SEGMENTS {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(gone) = self.segments.pop_front() {
            self.first += 1;
            self.breaks_gone += u64::from(gone.told);
        }
    }

    fn forget(&mut self) {
        while !self.segments.is_empty() {
            self.pop();
        }
        self.open = None;
    }

    /// Forgets the segments that begin before this position: retention has removed it.
    pub fn begin_at(&mut self, position: u64) {
        while !self.segments.is_empty() && self.first.saturating_mul(SEGMENT_CHUNKS) < position {
            self.pop();
        }
    }

    /// Forgets the newest `segments`, and says from which position on the log is to be read again: a disk that failed may have taken back
    /// the newest records, and what is there instead has the same positions.
    pub fn step_back(&mut self, segments: usize) -> u64 {
        self.segments.truncate(self.segments.len().saturating_sub(segments));
        (self.open, self.sealed) = (None, false);
        self.next = self.end().saturating_mul(SEGMENT_CHUNKS);
        self.next
    }

    /// The number after the last whole segment.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.segments.len() as u64)
    }

    /// Whether there is no whole segment.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether the log is complete.
    pub fn sealed(&self) -> bool {
        self.sealed
    }

    /// The list; `None` before a segment is whole. `shift` is added to every number.
    pub fn playlist(&self, extent: Extent, shift: u64) -> Option<String> {
        let facts = self.facts.as_ref().filter(|_| !self.is_empty())?;
        let timescale = u64::from(facts.timescale);
        let target = (SEGMENT_CHUNKS * u64::from(facts.chunk_duration)).div_ceil(timescale).max(1);
        let skip_until = 6 * target;
        let skipped = match extent {
            // A list that is complete is asked for once.
            Extent::Delta if !self.sealed => self.older_than(skip_until * timescale, target * timescale),
            _ => 0,
        };
        let mut text = String::with_capacity(512 + 32 * (self.segments.len() - skipped));
        let _ = write!(
            text,
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:{}\n\
             #EXT-X-DISCONTINUITY-SEQUENCE:{}\n#EXT-X-INDEPENDENT-SEGMENTS\n",
            self.first.saturating_add(shift),
            self.breaks_gone
        );
        if !self.sealed {
            let _ = writeln!(text, "#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL={skip_until}");
        }
        if skipped > 0 {
            let _ = writeln!(text, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}");
        }
        text.push_str("#EXT-X-MAP:URI=\"init.mp4\"\n");
        let mut dated = false;
        for (number, segment) in (self.first..).zip(&self.segments).skip(skipped) {
            let address = number.saturating_add(shift);
            if segment.told {
                text.push_str("#EXT-X-DISCONTINUITY\n");
            }
            // A segment lost in a hole keeps its number (RFC 8216bis §4.4.4.7).
            if segment.duration == 0 {
                let _ = write!(text, "#EXT-X-GAP\n#EXTINF:{target},\n{address}.m4a\n");
                dated = false;
                continue;
            }
            // Wall time follows from the last one told; told again every minute, the two clocks cannot drift apart.
            if !dated || segment.told || number.is_multiple_of(DATED_EVERY) {
                let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}", Iso(segment.wall_us));
                dated = true;
            }
            let seconds = segment.duration as f64 / timescale as f64;
            let _ = write!(text, "#EXTINF:{seconds},\n{address}.m4a\n");
        }
        if self.sealed {
            text.push_str("#EXT-X-ENDLIST\n");
        }
        Some(text)
    }

    /// How many segments, from the first, end further than `distance` before the end of the list.
    fn older_than(&self, distance: u64, lost: u64) -> usize {
        let mut after = 0;
        let newer = self.segments.iter().rev().take_while(|segment| {
            let near = after < distance;
            after += if segment.duration == 0 { lost } else { segment.duration };
            near
        });
        self.segments.len() - newer.count()
    }
}

/// Joins the chunks of one segment from the records that follow its first position; `None` unless it is whole in them.
#[derive(Debug)]
pub struct Joining {
    number: u64,
    part: Option<u8>,
    joined: BytesMut,
}

/// What a record did for a segment.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// Go on.
    More,
    /// That was the last one needed.
    Whole,
}

impl Joining {
    /// The segment with this number.
    pub fn new(number: u64) -> Self {
        Self { number, part: None, joined: BytesMut::new() }
    }

    /// Takes the next record at or after the segment's first position, or the header in force there.
    pub fn push(&mut self, record: &Record) -> Joined {
        match record.kind {
            Kind::Header => {
                if let Ok(header) = Header::from_body(&record.body) {
                    self.part = hls_rendition(&header).map(|(_, r)| r.part);
                }
                Joined::More
            }
            Kind::Gap => Joined::More,
            Kind::Seal => Joined::Whole,
            Kind::Chunk => {
                let number = record.position.0 / SEGMENT_CHUNKS;
                if number == self.number
                    && let Some(bytes) = self.part.and_then(|part| record.part(part))
                {
                    self.joined.extend_from_slice(&bytes);
                }
                let last = number > self.number || record.position.0 % SEGMENT_CHUNKS == SEGMENT_CHUNKS - 1;
                if last { Joined::Whole } else { Joined::More }
            }
        }
    }

    /// What was joined; `None` if all of it was lost.
    pub fn finish(self) -> Option<Bytes> {
        (!self.joined.is_empty()).then(|| self.joined.freeze())
    }
}

/// Segments listed: 4 h of 4 s.
pub const REWIND_SEGMENTS: usize = 3_600;
/// Wall time is told again with every segment whose number is a multiple of this: once a minute.
const DATED_EVERY: u64 = 15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tail::tests::{chunk, header};
    use hiwar_segment_log::{Epoch, Position};

    fn header_at(position: u64, header: &Header) -> Record {
        let (kind, body) = (Kind::Header, header.to_body());
        Record { position: Position(position), epoch: Epoch(1), kind, time: 0, duration: 0, wall_us: 0, body }
    }

    fn index(positions: impl IntoIterator<Item = u64>) -> Index {
        let mut index = Index::default();
        index.push(&header_at(0, &header()));
        positions.into_iter().for_each(|position| index.push(&chunk(position, 1)));
        index
    }

    fn full(index: &Index) -> String {
        index.playlist(Extent::Whole, 0).unwrap()
    }

    #[test]
    fn four_hours_are_listed_and_no_more() {
        let index = index(0..(REWIND_SEGMENTS as u64 + 10) * 20 + 3);
        let text = full(&index);
        assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:10\n"), "{}", &text[..200]);
        assert_eq!(text.matches(".m4a\n").count(), REWIND_SEGMENTS);
        assert!(text.ends_with("\n3609.m4a\n"));
        assert!(text.len() < 100_000, "{}", text.len());
        let delta = index.playlist(Extent::Delta, 0).unwrap();
        assert!(delta.len() < 600 && delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=3594\n"), "{delta}");
    }

    #[test]
    fn the_list_says_what_the_live_window_says_of_breaks_and_holes() {
        for positions in [
            (0..40).chain(65..200).collect::<Vec<u64>>(),
            (0..45).chain(47..200).collect(),
            (0..60).chain(80..200).collect(),
            (0..100).chain(160..260).collect(),
        ] {
            let index = index(positions.iter().copied());
            let mut tail = Tail::new(Access::Open, header(), Epoch(1));
            positions.iter().for_each(|&position| {
                tail.push(&chunk(position, 1));
            });
            let (live, _) = tail.playlist(crate::playlist::Extent::Whole, Coding::Plain).unwrap();
            let live = String::from_utf8(live.to_vec()).unwrap();
            // Each segment with what stands before it, without the dates, which the live list repeats for each, and without its parts.
            let told = |text: &str| -> Vec<String> {
                let only_live = ["#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-PART:", "#EXT-X-PRELOAD-HINT:"];
                let plain: Vec<&str> =
                    text.lines().filter(|line| !only_live.iter().any(|tag| line.starts_with(tag))).collect();
                let begin = plain.iter().position(|line| line.starts_with("#EXT-X-MAP")).unwrap() + 1;
                plain[begin..].iter().map(|line| line.replace(".00000", "").replace("00000,", ",")).collect()
            };
            let (live, rewind) = (told(&live), told(&full(&index)));
            let normal = |lines: &[String]| {
                let extinf = |line: &String| match line.strip_prefix("#EXTINF:") {
                    Some(seconds) => format!("{:?}", seconds.trim_end_matches(',').parse::<f64>().unwrap()),
                    None => line.clone(),
                };
                lines.iter().map(extinf).collect::<Vec<_>>()
            };
            assert!(normal(&rewind).ends_with(&normal(&live)), "{live:?} in {rewind:?}");
        }
    }

    #[test]
    fn a_break_that_is_gone_is_counted_however_often_the_newest_are_read_again() {
        let positions: Vec<u64> = (0..60).chain(80..(REWIND_SEGMENTS as u64 + 20) * 20).collect();
        let mut index = index(positions.iter().copied());
        for _ in 0..3 {
            let from = index.step_back(15);
            assert_eq!(from, (REWIND_SEGMENTS as u64 + 5) * 20);
            positions.iter().filter(|&&p| p >= from).for_each(|&position| index.push(&chunk(position, 1)));
            assert!(full(&index).contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n"));
            assert!(full(&index).ends_with("\n3619.m4a\n"));
        }
    }

    #[test]
    fn what_a_failed_disk_took_back_is_replaced_by_what_is_there() {
        let mut index = index(0..400);
        let from = index.step_back(15);
        (from..300).for_each(|position| index.push(&chunk(position, 1)));
        let later = Record { time: 400 * 9_600, ..chunk(300, 2) };
        index.push(&later);
        (301..400).for_each(|p| index.push(&Record { time: (p + 100) * 9_600, ..chunk(p, 2) }));
        let text = full(&index);
        assert!(text.contains("\n14.m4a\n#EXT-X-DISCONTINUITY\n") && text.ends_with("\n19.m4a\n"), "{text}");
    }

    #[test]
    fn a_list_begins_with_a_whole_segment_and_after_another_header() {
        assert!(full(&index(7..100)).contains("#EXT-X-MEDIA-SEQUENCE:1\n"));
        let mut index = index(0..100);
        let mut other = header();
        other.renditions[0].init = Bytes::from_static(b"another");
        index.push(&header_at(100, &other));
        (100..140).for_each(|position| index.push(&chunk(position, 1)));
        assert!(full(&index).contains("#EXT-X-MEDIA-SEQUENCE:5\n"), "{}", full(&index));
    }

    #[test]
    fn wall_time_is_told_once_a_minute_and_where_it_jumps() {
        let text = full(&index((0..300).chain(325..640)));
        let dated: Vec<&str> = text
            .split("#EXT-X-PROGRAM-DATE-TIME:")
            .skip(1)
            .filter_map(|rest| rest.lines().find(|line| line.ends_with(".m4a")))
            .collect();
        assert_eq!(dated, ["0.m4a", "16.m4a", "30.m4a"]);
    }

    proptest::proptest! {
        /// Whatever a damaged log holds: a bounded list, numbers in order, and no panic.
        #[test]
        fn any_records_make_a_bounded_list(
            records in proptest::collection::vec((proptest::prelude::any::<u64>(), 0u64..3, proptest::prelude::any::<u64>()), 0..200),
            shift: u64,
        ) {
            let mut index = index(0..30);
            let mut position = 30u64;
            for (jump, small, time) in records {
                position = position.saturating_add(if small == 0 { jump } else { jump % 64 });
                let duration = jump as u32;
                index.push(&Record { position: Position(position), time, duration, ..chunk(0, 1) });
                index.begin_at(time % 50);
                if small == 1 && jump % 7 == 0 {
                    index.step_back(3);
                }
            }
            index.close();
            proptest::prop_assert!(index.segments.len() <= REWIND_SEGMENTS);
            for extent in [Extent::Whole, Extent::Delta] {
                let _ = index.playlist(extent, shift);
            }
        }
    }
}
