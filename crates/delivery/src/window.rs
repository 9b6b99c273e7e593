//! What HLS lists of a log: whole parts of 1 s in whole segments of 4 s, each joined once for everyone who asks.
//!
//! Numbers are the log's: segment n is positions 20n to 20n+19, and its part p begins at 20n+5p, so that every worker lists the same under
//! the same name. Only how many breaks are gone is each worker's own count, from when it began. It knows nothing of tags (`playlist`) or requests (`hls`).

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

use crate::tail::Joint;

/// The newest whole segments, and the one that is being filled.
#[derive(Debug, Default)]
pub struct Window {
    /// The first position that came. A segment that began before it is not here.
    first: Option<u64>,
    last: Option<u64>,
    /// Whole segments, oldest first, numbers without a gap: what is listed, and what was just now.
    segments: VecDeque<Segment>,
    filling: Option<Filling>,
    /// Time jumped inside the segment that is being filled: said before the next one.
    broken: bool,
    /// Breaks before segments that are gone (RFC 8216 §6.2.2).
    breaks_gone: u64,
    ended: bool,
}

/// A segment to which nothing is added any more.
#[derive(Debug)]
pub struct Segment {
    /// Its number.
    pub number: u64,
    /// Whether a break is told before it.
    pub joint: Joint,
    /// When its first chunk was made, microseconds since the Unix epoch; `None` if all of it is lost.
    pub wall_us: Option<u64>,
    /// Its parts: [`SEGMENT_PARTS`], fewer only in the last one of a log that ended.
    pub parts: Vec<Part>,
    /// All of them.
    pub bytes: Bytes,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// How long it lasts, in the header's timescale; 0 if all of it is lost.
    pub duration: u64,
    /// Its chunks, joined; empty if all of it is lost.
    pub bytes: Bytes,
}

/// A segment that is being filled.
#[derive(Debug)]
pub struct Filling {
    /// Its number.
    pub number: u64,
    /// Whether a break is told before it.
    pub joint: Joint,
    /// When its first chunk was made; `None` if none came yet.
    pub wall_us: Option<u64>,
    /// The whole ones.
    pub parts: Vec<Part>,
    /// The one that is being filled.
    duration: u64,
    chunks: Vec<Bytes>,
}

/// What there is of something that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This.
    Here(Bytes),
    /// Nothing yet, but soon: when the log has come to this position.
    Soon(u64),
    /// Nothing: gone, lost, or too far ahead.
    Nothing,
}

impl Window {
    /// Takes the next chunk: positions rise. Returns whether there is more to list.
    pub fn push(&mut self, position: u64, wall_us: u64, duration: u32, joint: Joint, form: Bytes) -> bool {
        let first = *self.first.get_or_insert(position);
        self.last = Some(position);
        let number = position / SEGMENT_CHUNKS;
        if number.saturating_mul(SEGMENT_CHUNKS) < first || self.next().is_some_and(|next| number < next) {
            self.broken |= joint == Joint::Break;
            return false;
        }
        let before = self.parts_end();
        if self.next().is_some_and(|next| number - next > KEPT_SEGMENTS as u64) {
            // Nothing of what was here could still be listed.
            self.breaks_gone += self.segments.drain(..).filter(|segment| segment.joint == Joint::Break).count() as u64;
            self.breaks_gone += self.filling.take().map_or(0, |filling| u64::from(filling.joint == Joint::Break));
        }
        if self.filling.is_none()
            && let Some(next) = self.next()
        {
            self.filling = Some(Filling::new(next, std::mem::take(&mut self.broken)));
        }
        while self.filling.as_ref().is_some_and(|filling| filling.number < number) {
            self.finish(SEGMENT_PARTS);
        }
        let broken = &mut self.broken;
        let filling = self.filling.get_or_insert_with(|| Filling::new(number, std::mem::take(broken)));
        let index = (position % SEGMENT_CHUNKS / PART_CHUNKS) as usize;
        while filling.parts.len() < index {
            filling.finish_part();
        }
        if joint == Joint::Break {
            // Inside a segment nothing can be said; before the next one it still puts a player's time right.
            match filling.wall_us {
                None => filling.joint = Joint::Break,
                Some(_) => *broken = true,
            }
        }
        filling.wall_us.get_or_insert(wall_us);
        filling.duration += u64::from(duration);
        filling.chunks.push(form);
        if position % PART_CHUNKS == PART_CHUNKS - 1 {
            filling.finish_part();
        }
        if position % SEGMENT_CHUNKS == SEGMENT_CHUNKS - 1 {
            self.finish(SEGMENT_PARTS);
        }
        self.parts_end() != before
    }

    /// Nothing more will come: what has begun is whole.
    pub fn end(&mut self) {
        if let Some(filling) = &mut self.filling {
            if !filling.chunks.is_empty() {
                filling.finish_part();
            }
            let parts = filling.parts.len();
            match parts {
                0 => self.filling = None,
                _ => self.finish(parts),
            }
        }
        self.ended = true;
    }

    /// More will come after all.
    pub fn reopen(&mut self) {
        self.ended = false;
        // What the last one lacks is not made up for.
        self.broken |= self.segments.back().is_some_and(|last| last.parts.len() < SEGMENT_PARTS);
    }

    /// An empty one that goes on counting the breaks of this.
    pub fn emptied(&self) -> Self {
        let told = self.segments.iter().filter(|segment| segment.joint == Joint::Break).count() as u64;
        Self { breaks_gone: self.breaks_gone + told, ..Self::default() }
    }

    /// Whether nothing more will come.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The whole segments to list, oldest first.
    pub fn listed(&self) -> impl DoubleEndedIterator<Item = &Segment> + ExactSizeIterator {
        self.segments.range(self.unlisted()..)
    }

    /// The first position that came.
    pub fn first(&self) -> Option<u64> {
        self.first
    }

    /// Breaks before the first segment that is listed (RFC 8216 §4.3.3.3).
    pub fn breaks_before(&self) -> u64 {
        let unlisted = self.segments.range(..self.unlisted());
        self.breaks_gone + unlisted.filter(|segment| segment.joint == Joint::Break).count() as u64
    }

    /// What is being filled, if anything of it can be listed: its whole parts.
    pub fn filling(&self) -> Option<&Filling> {
        self.filling.as_ref().filter(|filling| !filling.parts.is_empty())
    }

    /// The number of the next segment to be whole; `None` before the first chunk of one that begins here.
    pub fn next(&self) -> Option<u64> {
        let after = self.segments.back().map(|segment| segment.number + 1);
        self.filling.as_ref().map(|filling| filling.number).or(after)
    }

    /// The part after the newest whole one, counted from the beginning of the log: [`SEGMENT_PARTS`] to a segment.
    pub fn parts_end(&self) -> Option<u64> {
        let parts = self.filling.as_ref().map_or(0, |filling| filling.parts.len() as u64);
        Some(self.next()? * SEGMENT_PARTS as u64 + parts)
    }

    /// A whole segment. A listed one stays for two more than are listed (RFC 8216 §6.2.2).
    pub fn segment(&self, number: u64) -> Found {
        match self.whole(number) {
            Some(segment) if segment.bytes.is_empty() => Found::Nothing,
            Some(segment) => Found::Here(segment.bytes.clone()),
            None => self.soon(number.checked_add(1).and_then(|after| after.checked_mul(SEGMENT_PARTS as u64))),
        }
    }

    /// A whole part.
    pub fn part(&self, number: u64, part: usize) -> Found {
        if part >= SEGMENT_PARTS {
            return Found::Nothing;
        }
        let filling = self.filling.as_ref().filter(|filling| filling.number == number);
        let parts = self.whole(number).map(|segment| &segment.parts).or(filling.map(|filling| &filling.parts));
        match parts.and_then(|parts| parts.get(part)) {
            Some(part) if part.bytes.is_empty() => Found::Nothing,
            Some(part) => Found::Here(part.bytes.clone()),
            None => {
                let parts = number.checked_mul(SEGMENT_PARTS as u64);
                self.soon(parts.and_then(|parts| parts.checked_add(part as u64 + 1)))
            }
        }
    }

    /// The position at which everything before this part is whole, if somebody who asks for it now is to wait: another worker may be
    /// ahead of this one by no more than [`AHEAD_PARTS`].
    fn soon(&self, end: Option<u64>) -> Found {
        match (end, self.reckoned_end()) {
            (Some(end), Some(now)) if !self.ended && end > now && end <= now + AHEAD_PARTS => {
                Found::Soon(end * PART_CHUNKS)
            }
            _ => Found::Nothing,
        }
    }

    /// The same as [`parts_end`](Self::parts_end), and before anything can be listed what it would be: a worker that has just begun is
    /// asked for what another one promised.
    pub fn reckoned_end(&self) -> Option<u64> {
        self.parts_end().or(self.last.map(|last| (last + 1) / PART_CHUNKS))
    }

    fn whole(&self, number: u64) -> Option<&Segment> {
        let first = self.segments.front()?.number;
        self.segments.get(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    /// How many whole segments are kept though they are not listed any more.
    fn unlisted(&self) -> usize {
        self.segments.len().saturating_sub(WINDOW_SEGMENTS)
    }

    /// The segment that is being filled is whole; the next one begins.
    fn finish(&mut self, parts: usize) {
        let Some(mut filling) = self.filling.take() else { return };
        while filling.parts.len() < parts {
            filling.finish_part();
        }
        let joined = join(filling.parts.iter().map(|part| &part.bytes));
        let mut begin = 0;
        // Parts become slices of the whole, so that a segment is here once.
        for part in &mut filling.parts {
            let end = begin + part.bytes.len();
            part.bytes = joined.slice(begin..end);
            begin = end;
        }
        let Filling { number, joint, wall_us, parts, .. } = filling;
        self.segments.push_back(Segment { number, joint, wall_us, parts, bytes: joined });
        while self.segments.len() > KEPT_SEGMENTS {
            let gone = self.segments.pop_front();
            self.breaks_gone += gone.map_or(0, |segment| u64::from(segment.joint == Joint::Break));
        }
        self.filling = Some(Filling::new(number + 1, std::mem::take(&mut self.broken)));
    }
}

impl Filling {
    fn new(number: u64, broken: bool) -> Self {
        let joint = if broken { Joint::Break } else { Joint::Smooth };
        Self { number, joint, wall_us: None, parts: Vec::with_capacity(SEGMENT_PARTS), duration: 0, chunks: Vec::new() }
    }

    fn finish_part(&mut self) {
        let bytes = join(self.chunks.iter());
        self.chunks.clear();
        self.parts.push(Part { duration: std::mem::take(&mut self.duration), bytes });
    }
}

fn join<'b>(pieces: impl Iterator<Item = &'b Bytes> + Clone) -> Bytes {
    let mut joined = BytesMut::with_capacity(pieces.clone().map(Bytes::len).sum());
    pieces.for_each(|piece| joined.extend_from_slice(piece));
    joined.freeze()
}

/// Chunks in an HLS segment: 4 s of 200 ms.
pub const SEGMENT_CHUNKS: u64 = 20;
/// Chunks in a part: 1 s, which is what Apple's authoring specification recommends (§14).
pub const PART_CHUNKS: u64 = 5;
/// Parts in a segment.
pub const SEGMENT_PARTS: usize = (SEGMENT_CHUNKS / PART_CHUNKS) as usize;
/// Segments listed: a minute. RFC 8216 §6.2.2 asks for three; more lets a player on a bad network fall behind and recover.
pub const WINDOW_SEGMENTS: usize = 15;
/// The advance part limit for parts of 1 s or more (RFC 8216bis §6.2.5.2).
pub const AHEAD_PARTS: u64 = 3;
/// Segments kept: a listed one stays for two more (RFC 8216 §6.2.2).
pub const KEPT_SEGMENTS: usize = WINDOW_SEGMENTS + 2;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A window that has been told these positions, each chunk saying its own.
    pub(crate) fn window(positions: impl IntoIterator<Item = u64>) -> Window {
        let mut window = Window::default();
        for position in positions {
            push(&mut window, position);
        }
        window
    }

    pub(crate) fn push(window: &mut Window, position: u64) -> bool {
        let joint = Joint::Smooth;
        window.push(position, 1_700_000_000_000_000 + position * 200_000, 9_600, joint, format!("m{position};").into())
    }

    fn numbers(window: &Window) -> Vec<u64> {
        window.listed().map(|segment| segment.number).collect()
    }

    fn here(found: Found) -> String {
        match found {
            Found::Here(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn segments_do_not_depend_on_when_the_worker_began() {
        let (long, short) = (window(0..405), window(95..405));
        assert_eq!(numbers(&short), (5..20).collect::<Vec<_>>());
        assert_eq!(numbers(&long), numbers(&short));
        assert_eq!(long.segment(7), short.segment(7));
        assert!(here(long.segment(7)).starts_with("m140;") && here(long.segment(7)).ends_with("m159;"));
        assert_eq!(here(long.part(7, 1)), "m145;m146;m147;m148;m149;");
        assert_eq!(here(long.part(20, 0)), "m400;m401;m402;m403;m404;");
        assert_eq!((short.segment(4), long.segment(u64::MAX)), (Found::Nothing, Found::Nothing));
    }

    #[test]
    fn a_segment_whose_beginning_is_elsewhere_is_not_listed() {
        assert_eq!(window(1..20).parts_end(), None);
        assert_eq!(window(1..21).parts_end(), Some(4));
        assert_eq!(numbers(&window(1..39)), [0; 0]);
    }

    #[test]
    fn a_listed_segment_stays_for_two_more_and_the_window_is_bounded() {
        let window = window(0..2_000);
        assert_eq!(numbers(&window), (85..100).collect::<Vec<_>>());
        assert_eq!(window.segments.len(), KEPT_SEGMENTS);
        assert!(matches!(window.segment(83), Found::Here(_)) && window.segment(82) == Found::Nothing);
    }

    #[test]
    fn what_comes_within_three_parts_is_waited_for() {
        let window = window(0..27);
        assert_eq!(window.parts_end(), Some(5));
        assert_eq!(window.part(1, 1), Found::Soon(30));
        assert_eq!(window.part(1, 3), Found::Soon(40));
        assert_eq!(window.part(2, 0), Found::Nothing, "four ahead");
        assert_eq!(window.part(1, 4), Found::Nothing, "no such part");
        assert_eq!(window.segment(1), Found::Soon(40));
        assert_eq!(window.segment(2), Found::Nothing);
    }

    #[test]
    fn a_hole_keeps_the_numbers_and_is_told() {
        let window = window((0..22).chain(31..40).chain(65..105));
        assert_eq!(numbers(&window), [0, 1, 2, 3, 4]);
        let durations: Vec<Vec<u64>> =
            window.listed().map(|segment| segment.parts.iter().map(|part| part.duration / 9_600).collect()).collect();
        assert_eq!(durations, [vec![5; 4], vec![2, 0, 4, 5], vec![0; 4], vec![0, 5, 5, 5], vec![5; 4]]);
        assert_eq!((window.part(1, 1), window.segment(2)), (Found::Nothing, Found::Nothing));
        assert_eq!(here(window.part(1, 0)), "m20;m21;");
    }

    #[test]
    fn a_far_jump_forgets_what_could_not_be_listed() {
        let window = window((0..30).chain(1 << 40..(1 << 40) + 25));
        assert!(window.segments.iter().all(|segment| segment.number >= (1 << 40) / 20), "{:?}", window.segments);
        assert!(matches!(window.segment((1 << 40) / 20 + 1), Found::Soon(_) | Found::Here(_)));
    }

    #[test]
    fn the_end_makes_whole_what_has_begun() {
        let mut window = window(0..28);
        window.end();
        let last = window.listed().next_back().unwrap();
        assert_eq!((last.number, last.parts.len()), (1, 2));
        assert_eq!(here(window.part(1, 1)), "m25;m26;m27;");
        assert_eq!(window.part(1, 2), Found::Nothing, "nobody waits for what never comes");
        let mut exact = window_of_40();
        exact.end();
        assert_eq!(numbers(&exact), [0, 1]);
    }

    fn window_of_40() -> Window {
        window(0..40)
    }

    #[test]
    fn a_part_is_listed_when_its_last_chunk_came() {
        let mut window = window(0..23);
        assert!(!push(&mut window, 23));
        assert!(push(&mut window, 24));
        assert!(!push(&mut window, 25));
    }

    proptest::proptest! {
        /// Whatever is lost, what is listed is in order, without a missing number, and each byte is there once.
        #[test]
        fn whatever_is_lost_the_rest_is_there_once(lost in proptest::collection::vec(proptest::bool::weighted(0.2), 300)) {
            let positions: Vec<u64> = (0..300).filter(|&position| !lost[position as usize]).collect();
            let window = window(positions.iter().copied());
            let listed = numbers(&window);
            proptest::prop_assert!(listed.windows(2).all(|pair| pair[0] + 1 == pair[1]));
            for segment in window.listed() {
                let parts: Vec<u8> = segment.parts.iter().flat_map(|part| part.bytes.to_vec()).collect();
                proptest::prop_assert_eq!(&parts[..], &segment.bytes[..]);
                let expected: String =
                    positions.iter().filter(|&&p| p / 20 == segment.number).map(|p| format!("m{p};")).collect();
                proptest::prop_assert_eq!(&segment.bytes[..], expected.as_bytes());
            }
        }
    }
}
