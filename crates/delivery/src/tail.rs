//! The newest chunks of one log, as every listener on this worker shares them.
//!
//! It is the only memory sound takes here: a listener holds a position and, after a short write, a slice of a chunk. It does not know
//! who listens.
//!
//! Law: positions here rise for as long as the worker lives, whatever a restarted house says of its own. A newer writer that has lost a
//! part of the past, or whose clock went back, is moved to the next free segment: listeners go on with its next chunk, and no player of
//! HLS sees a media sequence go back.

mod lean;

use bytes::Bytes;
use hiwar_admission::ladder::Cadence;
use hiwar_segment_log::{Epoch, Header, Kind, Record, Rendition};
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use crate::coding::Coding;
use crate::fanout::Player;
use crate::playlist::{Extent, Rendered};
use crate::window::{KEPT_SEGMENTS, SEGMENT_CHUNKS, Window};
pub use lean::Form;

/// Who may hear a log.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Open,
    /// Whoever shows a pass for this log.
    Pass,
    /// Whoever shows a pass to [review](REVIEW) it.
    Review,
}

/// The log beside another (see [`hiwar_segment_log::LogId::beside`]) for which a pass is that lets somebody hear a recording which is not posted yet.
pub const REVIEW: &str = "review";

/// The newest [`TAIL_CHUNKS`] chunks of a log, and what a player must be told about them.
#[derive(Debug)]
pub struct Tail {
    access: Access,
    ended: Ended,
    shelved: Option<Access>,
    header: Header,
    epoch: Epoch,
    /// What is added to the log's positions: a multiple of [`SEGMENT_CHUNKS`], 0 unless a writer went back.
    shift: u64,
    /// The newest position of this epoch, as the log has it.
    told: Option<u64>,
    chunks: VecDeque<Chunk>,
    /// The same for players of HLS, who hear a minute: one rendition, joined.
    window: Window,
    playlists: Rendered,
    /// What listeners of each rendition can be told.
    notices: Vec<Notices>,
    coming: Coming,
    /// Fields in the heads of answers, by rendition.
    fields: Vec<(u8, String, String)>,
}

/// What listeners of one rendition can be told between two chunks. Nothing, where their players hear sound alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// Nothing comes for now, and will again. Empty: they cannot be told.
    pub away: Bytes,
    /// That another cadence comes.
    pub cadences: Vec<CadenceNotice>,
}

/// How listeners are told of a cadence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CadenceNotice {
    /// Which.
    pub cadence: Cadence,
    /// How long before it comes they are to be told: what their players need to make room for it.
    pub lead: Duration,
    /// That it comes after so long.
    pub soon: Bytes,
    /// That it is so from here on.
    pub now: Bytes,
}

/// Whether chunks come, as they should while a log is open.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Coming {
    Yes,
    /// They do not, and nobody has said why.
    Silent,
    /// Whoever made them is gone, and will be back.
    Lost,
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
    /// The same at the lean bitrate; none before they have come.
    lean: Box<[Bytes]>,
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
            shelved: None,
            header,
            epoch,
            shift: 0,
            told: None,
            chunks: VecDeque::new(),
            window: Window::default(),
            playlists: Rendered::default(),
            notices: Vec::new(),
            coming: Coming::Yes,
            fields: Vec::new(),
        }
    }

    /// A log that is over, of which only the recording is given.
    pub fn of_recording(access: Access) -> Self {
        let nothing = Header { timescale: 0, chunk_duration: 0, begun_wall_us: 0, renditions: Vec::new() };
        let mut tail = Self::new(access, nothing, Epoch(0));
        tail.end();
        tail.shelve(access);
        tail
    }

    /// The writer began again (or told us again): chunks and listeners stay.
    pub fn reopen(&mut self, access: Access, header: Header, epoch: Epoch) {
        if epoch < self.epoch {
            return;
        }
        let init = |header: &Header| hls_rendition(header).map(|(_, rendition)| rendition.init.clone());
        if init(&self.header) != init(&header) {
            // What is here cannot be decoded with what players will be told.
            self.window = self.window.emptied();
        }
        let names = |header: &Header| header.renditions.iter().map(|r| r.name.clone()).collect::<Vec<_>>();
        if names(&self.header) != names(&header) {
            // Their forms are in another order. Positions stay: they never go back.
            self.chunks.iter_mut().for_each(|chunk| (chunk.forms, chunk.lean) = Default::default());
        }
        self.window.reopen();
        (self.access, self.ended, self.shelved, self.header) = (access, Ended::No, None, header);
        self.begin(epoch);
    }

    /// The writer is there; this is what listeners of each rendition can be told, and what answers that begin a rendition say of it.
    pub fn attend(&mut self, notices: Vec<Notices>, fields: Vec<(u8, String, String)>) {
        (self.notices, self.coming, self.fields) = (notices, Coming::Yes, fields);
    }

    /// The writer is gone for now. False if listeners know that nothing comes, or nothing is to come anyway.
    pub fn lose(&mut self) -> bool {
        self.ended == Ended::No && std::mem::replace(&mut self.coming, Coming::Lost) == Coming::Yes
    }

    /// Nothing comes, though it should: as if the writer were gone, until the next chunk. False as above.
    pub fn quieten(&mut self) -> bool {
        let is_news = self.ended == Ended::No && self.coming == Coming::Yes;
        if is_news {
            self.coming = Coming::Silent;
        }
        is_news
    }

    /// Whether it is known that nothing comes.
    pub fn is_missed(&self) -> bool {
        self.coming != Coming::Yes
    }

    /// Whether nothing comes is to be seen anew: nobody listens, so that nothing has to come.
    pub fn forgive(&mut self) {
        if self.coming == Coming::Silent {
            self.coming = Coming::Yes;
        }
    }

    /// What listeners of a rendition are to be told now, in place of sound.
    pub fn notice(&self, rendition: usize) -> Option<&Bytes> {
        let away = self.notices.get(rendition).map(|notices| &notices.away);
        away.filter(|notice| self.coming != Coming::Yes && !notice.is_empty())
    }

    /// How listeners of a rendition are told of a cadence; `None` if they cannot be.
    pub fn cadence_notice(&self, rendition: usize, cadence: Cadence) -> Option<&CadenceNotice> {
        self.notices.get(rendition)?.cadences.iter().find(|notice| notice.cadence == cadence)
    }

    /// Whether the players of a rendition can be told of what comes.
    pub fn player(&self, rendition: usize) -> Player {
        let told = self.notices.get(rendition).is_some_and(|notices| !notices.cadences.is_empty());
        if told { Player::Told } else { Player::Blind }
    }

    /// What answers that begin a rendition say of it: names and values.
    pub fn fields(&self, rendition: usize) -> impl Iterator<Item = (&str, &str)> {
        let of = move |(index, ..): &&(u8, String, String)| usize::from(*index) == rendition;
        self.fields.iter().filter(of).map(|(_, name, value)| (name.as_str(), value.as_str()))
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
        self.coming = Coming::Yes;
        let forms: Box<[Bytes]> =
            self.header.renditions.iter().map(|r| record.part(r.part).unwrap_or_default()).collect();
        let (time, duration, wall_us) = (record.time, record.duration, record.wall_us);
        if let Some((rendition, _)) = hls_rendition(&self.header) {
            let form = forms.get(rendition).cloned().unwrap_or_default();
            self.window.push(position, wall_us, duration, joint, form);
        }
        self.chunks.push_back(Chunk { position, time, joint, duration, wall_us, forms, lean: Box::default() });
        while self.chunks.len() > TAIL_CHUNKS {
            self.chunks.pop_front();
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

    /// How many chunks there are from a position on.
    pub fn count_from(&self, position: u64) -> usize {
        self.chunks.len() - self.chunks.partition_point(|chunk| chunk.position < position)
    }

    /// Nothing more will come.
    pub fn end(&mut self) {
        self.ended = Ended::Yes;
        self.window.end();
    }

    /// It has ended, and from now on nothing is given of its past but its recording, to whom this says. Whoever listens hears the rest.
    pub fn shelve(&mut self, access: Access) {
        self.shelved = Some(access);
        if self.header.renditions.is_empty() {
            // It may be that nothing else is known of it here.
            self.access = access;
        }
    }

    /// Whether nothing is given of its past but its recording.
    pub fn is_shelved(&self) -> bool {
        self.shelved.is_some()
    }

    /// Who may hear its recording.
    pub fn recording_access(&self) -> Access {
        self.shelved.unwrap_or(self.access)
    }

    /// Keeps nothing but who may hear it: for a log that has ended and whose last chunks were heard.
    pub fn fade(&mut self) {
        (self.chunks, self.window, self.playlists) = Default::default();
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

    /// The oldest chunk that is kept.
    pub fn oldest(&self) -> Option<&Chunk> {
        self.chunks.front()
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
    /// only, none that was made before `since_us` (microseconds since the Unix epoch), and none from before a break: a player that begins in two
    /// times at once stalls.
    pub fn burst_from(&self, chunks: usize, since_us: u64) -> u64 {
        let mut first = self.live();
        for chunk in self.chunks.iter().rev().take(chunks).take_while(|chunk| chunk.wall_us >= since_us) {
            first = chunk.position;
            if chunk.joint == Joint::Break {
                break;
            }
        }
        first
    }

    /// The positions that HLS would list if they were here: asked for when the first chunk came, and, if they are still missing, twice more.
    pub fn before(&self) -> Option<Range<u64>> {
        let is_time = [1, 10, 40].contains(&self.chunks.len()) && self.shift == 0;
        let first =
            self.chunks.front().filter(|first| is_time && self.window.first() == Some(first.position))?.position;
        let from = (first / SEGMENT_CHUNKS).saturating_sub(KEPT_SEGMENTS as u64) * SEGMENT_CHUNKS;
        (from < first).then_some(from..first)
    }

    /// Takes chunks from before the first one, for HLS. False if they came too late to be of use, or are none of this writer's past: once a
    /// list was given, no later one may begin before it (RFC 8216 §6.2.2).
    pub fn recall(&mut self, chunks: &[Record]) -> bool {
        if self.playlists.was_given() {
            return false;
        }
        let Some(first) = self.chunks.front().filter(|first| self.window.first() == Some(first.position)) else {
            return false;
        };
        let Some((rendition, told)) = hls_rendition(&self.header) else { return false };
        let before = chunks.iter().filter(|record| record.position.0 < first.position && record.time < first.time);
        let part = told.part;
        let mut window = Window::default();
        let mut end = None;
        let mut push = |position, time, wall_us, duration, form| {
            let joint = if end.is_none_or(|end| end == time) { Joint::Smooth } else { Joint::Break };
            end = Some(time + u64::from(duration));
            window.push(position, wall_us, duration, joint, form);
        };
        for record in before {
            push(
                record.position.0,
                record.time,
                record.wall_us,
                record.duration,
                record.part(part).unwrap_or_default(),
            );
        }
        for chunk in &self.chunks {
            push(
                chunk.position,
                chunk.time,
                chunk.wall_us,
                chunk.duration,
                chunk.form(Form::standard(rendition)).clone(),
            );
        }
        if self.ended == Ended::Yes {
            window.end();
        }
        (self.window, self.playlists) = (window, Rendered::default());
        true
    }

    /// How HLS says it, and how that is written; `None` until a segment is whole.
    pub fn playlist(&mut self, extent: Extent, coding: Coding) -> Option<(Bytes, Coding)> {
        self.playlists.get(&self.window, &self.header, extent, coding)
    }

    /// What is added here to the numbers of the log's own segments: 0, unless a writer went back while this worker lived.
    pub fn shift_segments(&self) -> u64 {
        self.shift / SEGMENT_CHUNKS
    }

    /// The first segment that is not whole yet.
    pub fn segments_end(&self) -> u64 {
        self.live() / SEGMENT_CHUNKS
    }

    /// What HLS lists of it.
    pub fn window(&self) -> &Window {
        &self.window
    }
}

/// The rendition that HLS carries, fragmented MP4 (RFC 8216bis §3.3), and its index.
pub fn hls_rendition(header: &Header) -> Option<(usize, &Rendition)> {
    header.renditions.iter().enumerate().find(|(_, rendition)| rendition.name == "mp4")
}

/// Chunks kept one by one: 12 s, more than twice what a listener may be behind, and more than what one may be who hears four seconds at a time. HLS has its own, joined.
pub const TAIL_CHUNKS: usize = 60;

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
        record(position, epoch, ["m", "o"])
    }

    /// The lean form of that.
    pub(crate) fn lean(position: u64, epoch: u32) -> Record {
        record(position, epoch, ["M", "O"])
    }

    fn record(position: u64, epoch: u32, names: [&str; 2]) -> Record {
        let parts = (0..).zip(names);
        let parts =
            parts.fold(Parts::new(), |parts, (part, name)| parts.push(part, format!("{name}{position};").as_bytes()));
        let body = parts.finish();
        Record {
            position: Position(position),
            epoch: Epoch(epoch),
            kind: Kind::Chunk,
            time: position.saturating_mul(9_600),
            duration: 9_600,
            wall_us: 1_700_000_000_000_000_u64.saturating_add(position.saturating_mul(200_000)),
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
        assert_eq!(tail(0..0).burst_from(3, 0), 0);
        assert_eq!(tail(0..2).burst_from(3, 0), 0);
        assert_eq!(tail(0..50).burst_from(3, 0), 47);
    }

    #[test]
    fn a_burst_is_not_of_sound_that_is_long_past() {
        let tail = tail(0..50);
        let made = |position: u64| chunk(position, 1).wall_us;
        assert_eq!(tail.burst_from(3, made(48)), 48);
        assert_eq!(tail.burst_from(3, made(49) + 1), 50, "nothing but what comes");
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
        assert_eq!(tail.burst_from(10, 0), 1_028, "no burst across the break");
        for at in 1_029..1_060 {
            tail.push(&chunk(at - 1_020, 2));
        }
        assert_eq!(breaks(&tail), [51]);
    }

    #[test]
    fn a_newer_writer_that_bridges_a_hole_keeps_the_numbers_of_the_log() {
        let mut tail = tail(0..10);
        assert_eq!(tail.push(&chunk(15, 2)), Pushed::Newest);
        assert_eq!(tail.live(), 16);
        for at in 16..45 {
            tail.push(&chunk(at, 2));
        }
        assert_eq!(breaks(&tail), [1]);
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
                let next = tail.window().next();
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
                proptest::prop_assert!(tail.window().next() >= next);
            }
        }
    }

    #[test]
    fn a_silence_is_told_once_and_ends_with_a_chunk_or_the_last_listener() {
        let mut tail = tail(0..1);
        tail.attend(vec![Notices { away: Bytes::from_static(b"away"), cadences: Vec::new() }], Vec::new());
        let told = |tail: &Tail| tail.notice(0).is_some();
        assert!(tail.quieten() && told(&tail));
        assert!(!tail.quieten() && !tail.lose(), "known");
        tail.forgive();
        assert!(told(&tail), "that its writer is gone does not depend on who listens");
        assert_eq!(tail.push(&chunk(1, 1)), Pushed::Newest);
        assert!(!told(&tail));
        assert!(tail.quieten());
        tail.forgive();
        assert!(!told(&tail) && tail.lose());
        tail.end();
        assert!(!tail.quieten());
    }

    #[test]
    fn a_hole_is_stepped_over() {
        let mut tail = tail(0..5);
        tail.push(&chunk(9, 1));
        assert_eq!(tail.from(5).map(|c| c.position).collect::<Vec<_>>(), [9]);
    }

    /// The segments before which a break is told.
    fn breaks(tail: &Tail) -> Vec<u64> {
        tail.window().listed().filter(|s| s.joint == Joint::Break).map(|s| s.number).collect()
    }
}
