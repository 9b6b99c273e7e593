//! The newest chunks of one log, as every listener on this worker shares them.
//!
//! It is the only memory sound takes here: a listener holds a position and, after a short write, a slice of a chunk. It does not know
//! who listens.
//!
//! Law: positions here rise for as long as the worker lives, whatever a restarted house says of its own. A newer writer that has lost a
//! part of the past, or whose clock went back, is moved to the next free segment: listeners go on with its next chunk, and no player of
//! HLS sees a media sequence go back.

use bytes::{Bytes, BytesMut};
use hiwar_segment_log::{Epoch, Header, Kind, Record, Rendition};
use std::collections::{BTreeMap, VecDeque};

/// Who may hear a log.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Open,
    /// Whoever shows a pass for this log.
    Pass,
}

/// The newest [`TAIL_CHUNKS`] chunks of a log, and what a player must be told about them.
#[derive(Debug)]
pub struct Tail {
    access: Access,
    ended: Ended,
    header: Header,
    epoch: Epoch,
    /// What is added to the log's positions: a multiple of [`SEGMENT_CHUNKS`], 0 unless a writer went back.
    shift: u64,
    /// The newest position of this epoch, as the log has it.
    told: Option<u64>,
    chunks: VecDeque<Chunk>,
    /// Segments before which players are told of a break, oldest first; no more than there are chunks.
    breaks: VecDeque<u64>,
    /// Breaks before segments that are gone.
    breaks_gone: u64,
    /// What listeners of each rendition are told if nothing comes any more, and whether that is so.
    away: Vec<Bytes>,
    is_away: bool,
    /// Whole segments already joined for someone, per rendition and number. Never more than the window holds.
    segments: BTreeMap<(usize, u64), Bytes>,
}

/// Whether more chunks are to come.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The log goes on.
    No,
    /// Nothing follows what is here.
    Yes,
}

/// One chunk in every rendition.
#[derive(Debug)]
pub struct Chunk {
    /// Its number in the log, moved up if the log went back.
    pub position: u64,
    /// Its time on the space's clock, in the header's timescale.
    pub time: u64,
    /// Whether its time is where the chunk before ended.
    pub joint: Joint,
    /// How long it lasts, in the header's timescale.
    pub duration: u32,
    /// When it was made, microseconds since the Unix epoch.
    pub wall_us: u64,
    /// In the order of the header's renditions; empty where the record lacks a part.
    forms: Box<[Bytes]>,
}

impl Chunk {
    /// The bytes of one rendition.
    pub fn form(&self, rendition: usize) -> &Bytes {
        static NONE: Bytes = Bytes::new();
        self.forms.get(rendition).unwrap_or(&NONE)
    }
}

/// How a chunk follows the one before.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Joint {
    /// Without a gap.
    Smooth,
    /// Time jumped: sound was lost, or a newer writer's clock is another.
    Break,
}

/// What a new chunk did to the tail.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is the newest now.
    Newest,
    /// Known already, from an older writer, or no chunk.
    Ignored,
}

impl Tail {
    /// A log that has begun; no chunk yet.
    pub fn new(access: Access, header: Header, epoch: Epoch) -> Self {
        Self {
            access,
            ended: Ended::No,
            header,
            epoch,
            shift: 0,
            told: None,
            chunks: VecDeque::new(),
            breaks: VecDeque::new(),
            breaks_gone: 0,
            away: Vec::new(),
            is_away: false,
            segments: BTreeMap::new(),
        }
    }

    /// The writer began again (or told us again): chunks and listeners stay.
    pub fn reopen(&mut self, access: Access, header: Header, epoch: Epoch) {
        if epoch < self.epoch {
            return;
        }
        if self.header != header {
            self.segments.clear();
        }
        (self.access, self.ended, self.header) = (access, Ended::No, header);
        self.begin(epoch);
    }

    /// The writer is there, and this is what listeners are told when it is not.
    pub fn attend(&mut self, away: Vec<Bytes>) {
        (self.away, self.is_away) = (away, false);
    }

    /// Nothing comes for now. False if that was known, or nothing is to come anyway.
    pub fn lose(&mut self) -> bool {
        self.ended == Ended::No && !std::mem::replace(&mut self.is_away, true)
    }

    /// What listeners of a rendition are to be told now, in place of sound.
    pub fn notice(&self, rendition: usize) -> Option<&Bytes> {
        self.away.get(rendition).filter(|notice| self.is_away && !notice.is_empty())
    }

    /// Takes a record. Only chunks matter here.
    pub fn push(&mut self, record: &Record) -> Pushed {
        if record.kind != Kind::Chunk || record.epoch < self.epoch {
            return Pushed::Ignored;
        }
        self.begin(record.epoch);
        if self.told.is_some_and(|told| told >= record.position.0) {
            return Pushed::Ignored;
        }
        let Some((position, joint)) = self.place(record) else { return Pushed::Ignored };
        self.told = Some(record.position.0);
        let forms = self.header.renditions.iter().map(|r| record.part(r.part).unwrap_or_default()).collect();
        if joint == Joint::Break {
            let segment = position / SEGMENT_CHUNKS;
            let opens = self.newest().is_none_or(|newest| newest.position / SEGMENT_CHUNKS < segment);
            // Inside a segment nothing can be said; before the next one it still puts a player's time right.
            let told_before = if opens { segment } else { segment + 1 };
            if self.breaks.back() != Some(&told_before) {
                self.breaks.push_back(told_before);
            }
        }
        let (time, duration, wall_us) = (record.time, record.duration, record.wall_us);
        self.chunks.push_back(Chunk { position, time, joint, duration, wall_us, forms });
        while self.chunks.len() > TAIL_CHUNKS {
            self.chunks.pop_front();
        }
        let oldest = self.first_position() / SEGMENT_CHUNKS;
        self.segments.retain(|&(_, number), _| number >= oldest);
        while self.breaks.front().is_some_and(|&number| number < oldest) {
            self.breaks.pop_front();
            self.breaks_gone += 1;
        }
        Pushed::Newest
    }

    /// Where a chunk goes and how it follows. Moves everything from here on into the next segments if position or time went back.
    fn place(&mut self, record: &Record) -> Option<(u64, Joint)> {
        let position = record.position.0.checked_add(self.shift)?;
        let Some(newest) = self.newest() else { return Some((position, Joint::Smooth)) };
        let end = newest.time.saturating_add(u64::from(newest.duration));
        let joint = if record.time == end { Joint::Smooth } else { Joint::Break };
        if position > newest.position && record.time >= end {
            return Some((position, joint));
        }
        let free = newest.position / SEGMENT_CHUNKS + 1;
        let lift = free.saturating_sub(position / SEGMENT_CHUNKS).checked_mul(SEGMENT_CHUNKS)?;
        let lifted = position.checked_add(lift)?;
        self.shift = self.shift.checked_add(lift)?;
        Some((lifted, Joint::Break))
    }

    /// A newer writer's first chunk is taken wherever it is.
    fn begin(&mut self, epoch: Epoch) {
        if epoch > self.epoch {
            (self.epoch, self.told) = (epoch, None);
        }
    }

    /// Breaks before the segments from this one on, and how many there were earlier (RFC 8216 §6.2.2).
    pub fn breaks(&self, from: u64) -> (impl Iterator<Item = u64>, u64) {
        let earlier = self.breaks.iter().filter(|&&number| number < from).count() as u64;
        (self.breaks.iter().copied().filter(move |&number| number >= from), self.breaks_gone + earlier)
    }

    /// How many chunks there are from a position on.
    pub fn count_from(&self, position: u64) -> usize {
        self.chunks.len() - self.chunks.partition_point(|chunk| chunk.position < position)
    }

    /// Nothing more will come.
    pub fn end(&mut self) {
        self.ended = Ended::Yes;
    }

    /// Keeps nothing but who may hear it: for a log that has ended and whose last chunks were heard.
    pub fn fade(&mut self) {
        (self.chunks, self.breaks, self.segments) = Default::default();
        self.header.renditions = Vec::new();
    }

    /// Who may hear it.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether more is to come.
    pub fn ended(&self) -> Ended {
        self.ended
    }

    /// What a player must be told.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The rendition with this extension, and its index.
    pub fn rendition(&self, name: &str) -> Option<(usize, &Rendition)> {
        self.header.renditions.iter().enumerate().find(|(_, rendition)| rendition.name == name)
    }

    /// The newest chunk.
    pub fn newest(&self) -> Option<&Chunk> {
        self.chunks.back()
    }

    /// The position after the newest chunk: where someone who has heard everything waits. 0 before the first chunk.
    pub fn live(&self) -> u64 {
        self.newest().map_or(0, |chunk| chunk.position + 1)
    }

    /// The chunk at a position, or the first after it if there is a hole.
    pub fn from(&self, position: u64) -> impl Iterator<Item = &Chunk> {
        // Nearly everyone asks for the newest chunk or the one before: look from the back.
        let after = self.chunks.iter().rev().take_while(|chunk| chunk.position >= position).count();
        self.chunks.range(self.chunks.len() - after..)
    }

    /// Where a listener begins who is to get this much of the past at once: at most `chunks` chunks back, whole ones
    /// only, and none from before a break: a player that begins in two times at once stalls.
    pub fn burst_from(&self, chunks: usize) -> u64 {
        let mut first = self.live();
        for chunk in self.chunks.iter().rev().take(chunks) {
            first = chunk.position;
            if chunk.joint == Joint::Break {
                break;
            }
        }
        first
    }

    /// Numbers of the segments that are whole and in the window, oldest first. Segment n is positions 20n to 20n+19, whichever worker
    /// is asked.
    pub fn segment_numbers(&self) -> std::ops::Range<u64> {
        let end = self.live() / SEGMENT_CHUNKS;
        let first = if self.chunks.is_empty() { end } else { self.first_position().div_ceil(SEGMENT_CHUNKS) };
        first.max(end.saturating_sub(WINDOW_SEGMENTS)).min(end)..end
    }

    /// The chunks of one segment; fewer than 20 if the log has a hole.
    pub fn segment_chunks(&self, number: u64) -> impl Iterator<Item = &Chunk> {
        let first = number.saturating_mul(SEGMENT_CHUNKS);
        self.from(first).take_while(move |chunk| chunk.position - first < SEGMENT_CHUNKS)
    }

    /// A whole segment's bytes, joined once for everyone who asks. `None` if it is not wholly here. A listed one stays available for
    /// two more than the window (RFC 8216 §6.2.2).
    pub fn segment(&mut self, rendition: usize, number: u64) -> Option<Bytes> {
        let numbers = self.segment_numbers();
        let whole = number < numbers.end && number.saturating_mul(SEGMENT_CHUNKS) >= self.first_position();
        if !whole || self.chunks.is_empty() {
            return None;
        }
        if let Some(known) = self.segments.get(&(rendition, number)) {
            return Some(known.clone());
        }
        let mut joined = BytesMut::new();
        self.segment_chunks(number).for_each(|chunk| joined.extend_from_slice(chunk.form(rendition)));
        if joined.is_empty() {
            return None;
        }
        let joined = joined.freeze();
        self.segments.insert((rendition, number), joined.clone());
        Some(joined)
    }

    fn first_position(&self) -> u64 {
        self.chunks.front().map_or(0, |chunk| chunk.position)
    }
}

/// Chunks kept: the HLS window, two segments that were just in it, and one that is being filled. 36 s, about 80 kB a log.
pub const TAIL_CHUNKS: usize = ((WINDOW_SEGMENTS + 3) * SEGMENT_CHUNKS) as usize;
/// Chunks in an HLS segment: 4 s of 200 ms.
pub const SEGMENT_CHUNKS: u64 = 20;
/// Segments in the live playlist: RFC 8216 §6.2.2 asks for three; six let a player on a bad network fall 20 s behind.
pub const WINDOW_SEGMENTS: u64 = 6;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use hiwar_segment_log::{Parts, Position};

    pub(crate) fn header() -> Header {
        let rendition = |part, name: &str, mime: &str| Rendition {
            part,
            name: name.into(),
            mime: mime.into(),
            codecs: "opus".into(),
            init: Bytes::from(format!("init-{name};")),
        };
        Header {
            timescale: 48_000,
            chunk_duration: 9_600,
            renditions: vec![rendition(0, "mp4", "audio/mp4; codecs=\"opus\""), rendition(1, "ogg", "audio/ogg")],
            begun_wall_us: 0,
        }
    }

    pub(crate) fn chunk(position: u64, epoch: u32) -> Record {
        let body = Parts::new()
            .push(0, format!("m{position};").as_bytes())
            .push(1, format!("o{position};").as_bytes())
            .finish();
        Record {
            position: Position(position),
            epoch: Epoch(epoch),
            kind: Kind::Chunk,
            time: position * 9_600,
            duration: 9_600,
            wall_us: 1_700_000_000_000_000 + position * 200_000,
            body,
        }
    }

    pub(crate) fn tail(positions: std::ops::Range<u64>) -> Tail {
        let mut tail = Tail::new(Access::Open, header(), Epoch(1));
        positions.for_each(|position| assert_eq!(tail.push(&chunk(position, 1)), Pushed::Newest));
        tail
    }

    #[test]
    fn the_tail_is_bounded() {
        let tail = tail(0..1_000);
        assert_eq!(tail.from(0).count(), TAIL_CHUNKS);
        assert_eq!(tail.live(), 1_000);
    }

    #[test]
    fn a_burst_is_whole_chunks_up_to_now() {
        assert_eq!(tail(0..0).burst_from(3), 0);
        assert_eq!(tail(0..2).burst_from(3), 0);
        assert_eq!(tail(0..50).burst_from(3), 47);
    }

    #[test]
    fn a_snapshot_told_twice_changes_nothing() {
        let mut tail = tail(5..15);
        assert_eq!(tail.push(&chunk(14, 1)), Pushed::Ignored);
        assert_eq!(tail.push(&chunk(7, 1)), Pushed::Ignored);
        assert_eq!(tail.live(), 15);
    }

    #[test]
    fn a_newer_writer_that_lost_the_past_goes_on_in_the_next_segment() {
        let mut tail = tail(1_000..1_010);
        assert_eq!(tail.push(&chunk(8, 1)), Pushed::Ignored);
        assert_eq!(tail.push(&chunk(8, 2)), Pushed::Newest);
        assert_eq!(tail.live(), 1_029);
        assert_eq!(tail.push(&chunk(1_010, 1)), Pushed::Ignored);
        assert_eq!(tail.push(&chunk(8, 2)), Pushed::Ignored);
        assert_eq!(tail.push(&chunk(9, 2)), Pushed::Newest);
        assert_eq!(tail.burst_from(10), 1_028, "no burst across the break");
        assert_eq!(tail.breaks(0).0.collect::<Vec<_>>(), [51]);
    }

    #[test]
    fn a_newer_writer_that_bridges_a_hole_keeps_the_numbers_of_the_log() {
        let mut tail = tail(0..10);
        assert_eq!(tail.push(&chunk(15, 2)), Pushed::Newest);
        assert_eq!(tail.live(), 16);
        assert_eq!(tail.breaks(0).0.collect::<Vec<_>>(), [1]);
    }

    proptest::proptest! {
        /// Wherever a restarted house begins, its next chunk is heard by who has heard everything, and numbers never go back.
        #[test]
        fn after_any_reopening_the_next_chunk_is_delivered(
            restarts in proptest::collection::vec((0u64..3_000, 0u64..3_000, 1u64..50), 1..8),
        ) {
            let mut tail = tail(1_000..1_030);
            for (n, (position, time, count)) in restarts.into_iter().enumerate() {
                let epoch = n as u32 + 2;
                let live = tail.live();
                let segments = tail.segment_numbers();
                tail.reopen(Access::Open, header(), Epoch(epoch));
                for more in 0..count {
                    let before = tail.live();
                    let mut record = chunk(position + more, epoch);
                    record.time = (time + more) * 9_600;
                    proptest::prop_assert_eq!(tail.push(&record), Pushed::Newest);
                    proptest::prop_assert_eq!(tail.from(before).count(), 1);
                    proptest::prop_assert_eq!(tail.push(&record), Pushed::Ignored);
                }
                proptest::prop_assert!(tail.live() > live);
                proptest::prop_assert!(tail.segment_numbers().start >= segments.start);
                proptest::prop_assert!(tail.segment_numbers().end >= segments.end);
            }
        }
    }

    #[test]
    fn a_hole_is_stepped_over() {
        let mut tail = tail(0..5);
        tail.push(&chunk(9, 1));
        assert_eq!(tail.from(5).map(|c| c.position).collect::<Vec<_>>(), [9]);
    }

    #[test]
    fn segments_do_not_depend_on_when_the_worker_began() {
        let (mut long, mut short) = (tail(0..205), tail(95..205));
        assert_eq!(short.segment_numbers(), 5..10);
        assert_eq!(long.segment_numbers(), 4..10);
        assert_eq!(long.segment(0, 7), short.segment(0, 7));
        assert!(long.segment(0, 7).unwrap().starts_with(b"m140;"));
        assert_eq!(short.segment(0, 4), None);
        assert_eq!(long.segment(0, 10), None);
        assert_eq!(long.segment(0, u64::MAX), None);
    }
}
