//! Who is due, and what is done about those who fall behind.
//!
//! A listener is a [`Cursor`]: the position it hears next and, after a short write, the rest of what was begun. Chunks themselves are
//! shared; nothing here grows with how slowly someone reads. A [`Group`] is everyone on one rendition, by the cadence at which they are written to and by
//! phase within it, so that a longer cadence spreads its listeners over its chunks. Those who are due are visited in [sweeps](Group):
//! bounded turns, so that joins are answered between them, each listener getting everything it lacks in one write; nearly everyone lacks
//! the same [`Piece`]. When a worker is at its wall, sweeps get longer than a chunk and writes carry two chunks: the cadence stretches, nobody is dropped.
//!
//! Law of the fan-out path: no allocation for a listener, no lock, no log.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hiwar_admission::ladder::Cadence;

use crate::answer::ICY;
use crate::tail::{Ended, Tail};

/// Where one listener is in a log. 48 bytes.
#[derive(Debug)]
pub struct Cursor {
    /// The rest of what was begun: always finished before anything else, so that nobody ever hears half a chunk.
    rest: Bytes,
    /// The position heard after that.
    next: u64,
    mercy: Mercy,
    heard: Heard,
}

/// Whether a listener was already forgiven once.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Mercy {
    Unused,
    Used,
}

/// Whether a listener ever heard anything.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Heard {
    Nothing,
    /// A part of the first chunk is with the kernel.
    Begun,
    /// All of it is.
    Given,
    Something,
}

/// What is done with a listener who is behind.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing: the network has such moments.
    Keep,
    /// What it missed is left out, and it continues with the newest chunk.
    Skipped,
    /// It was skipped before and is behind again: its network cannot carry this, or its reader has stopped.
    Cut,
}

/// What is left for a listener to do after a write.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Owed {
    /// It has everything there is.
    Nothing,
    /// It has everything there will ever be: close.
    Goodbye,
    /// The socket took less than was offered: wait until it is writable.
    Something,
}

impl Cursor {
    /// A listener who joins: first the prelude (response head and init bytes), then chunks from `next` on.
    pub fn new(prelude: Bytes, next: u64) -> Self {
        Self { rest: prelude, next, mercy: Mercy::Unused, heard: Heard::Nothing }
    }

    /// What to write now, in order, of chunks before `until`: at most [`GATHER_MAX`] slices. Returns how many of `out` were filled.
    pub fn gather<'a>(
        &'a self,
        tail: &'a Tail,
        rendition: usize,
        until: u64,
        out: &mut [&'a [u8]; GATHER_MAX],
    ) -> usize {
        let rest = Some(self.rest.as_ref()).filter(|rest| !rest.is_empty());
        let due = tail.from(self.next).take_while(|chunk| chunk.position < until);
        let chunks = due.map(|chunk| chunk.form(rendition).as_ref());
        let mut filled = 0;
        for (slot, bytes) in out.iter_mut().zip(rest.into_iter().chain(chunks)) {
            *slot = bytes;
            filled += 1;
        }
        filled
    }

    /// Takes note that the first `written` bytes of what [`gather`](Self::gather) gave are with the kernel. The tail must be the same.
    pub fn advance(&mut self, tail: &Tail, rendition: usize, mut written: usize) {
        let finished = written.min(self.rest.len());
        // Slicing an empty rest costs nothing, and the common case has one.
        if finished > 0 {
            self.rest = self.rest.slice(finished..);
            written -= finished;
        }
        if !self.rest.is_empty() {
            return;
        }
        if self.heard == Heard::Begun {
            self.heard = Heard::Given;
        }
        let mut next = self.next;
        for chunk in tail.from(self.next) {
            let form = chunk.form(rendition);
            if written < form.len() {
                if written > 0 {
                    self.rest = form.slice(written..);
                    self.gives(Heard::Begun);
                    next = chunk.position + 1;
                }
                break;
            }
            if !form.is_empty() {
                self.gives(Heard::Given);
            }
            written -= form.len();
            next = chunk.position + 1;
        }
        self.next = next;
    }

    /// The bytes of a piece, if that is just what the listener lacks.
    pub fn lacks<'a>(&self, piece: &'a Piece) -> Option<&'a Bytes> {
        (self.rest.is_empty() && self.next == piece.from).then_some(&piece.bytes)
    }

    /// Takes note that the first `written` bytes of a piece that it [lacks](Self::lacks) are with the kernel.
    pub fn took(&mut self, piece: &Piece, written: usize) {
        if written > 0 {
            self.next = piece.until;
            if written < piece.bytes.len() {
                self.rest = piece.bytes.slice(written..);
                self.gives(Heard::Begun);
            } else {
                self.gives(Heard::Given);
            }
        }
    }

    /// Whether a whole chunk of sound is with the kernel for this listener.
    pub fn was_given(&self) -> bool {
        matches!(self.heard, Heard::Given | Heard::Something)
    }

    /// The listener is there, and was [given](Self::was_given) sound: it has heard something. To a peer that is gone the kernel takes one chunk all the same, and
    /// says so only when the next is written.
    pub fn confirm(&mut self) {
        if self.was_given() {
            self.heard = Heard::Something;
        }
    }

    /// Who leaves before has heard nothing.
    pub fn has_heard(&self) -> bool {
        self.heard == Heard::Something
    }

    fn gives(&mut self, heard: Heard) {
        if !self.was_given() {
            self.heard = heard;
        }
    }

    /// Something between two chunks, for a listener who has heard out what was begun: who is in the middle of something is behind, and has enough to hear.
    pub fn tell(&mut self, notice: &Bytes) {
        if self.rest.is_empty() {
            self.rest = notice.clone();
        }
    }

    /// Whether anything is to be written.
    pub fn owed(&self, tail: &Tail) -> Owed {
        if !self.rest.is_empty() || self.next < tail.live() {
            Owed::Something
        } else if tail.ended() == Ended::Yes {
            Owed::Goodbye
        } else {
            Owed::Nothing
        }
    }

    /// Whether it has everything before `until`, and more is to come after that.
    pub fn has_all(&self, tail: &Tail, until: u64) -> bool {
        self.rest.is_empty() && self.next >= tail.live().min(until) && tail.ended() == Ended::No
    }

    /// Whether a chunk that it is to hear next is no longer kept.
    pub fn has_missed(&self, tail: &Tail) -> bool {
        tail.oldest().is_some_and(|oldest| self.next < oldest.position)
    }

    /// Decides about a listener of that cadence who could not take everything. Called whenever it is due, not per attempt to write.
    pub fn judge(&mut self, tail: &Tail, cadence: Cadence) -> Judgement {
        let newest = tail.live().saturating_sub(1);
        // At the usual cadence one chunk of those is what has just come; at a longer one as many more are.
        if tail.count_from(self.next) < LAG_CHUNKS_MAX + cadence.chunks() - 1 {
            return Judgement::Keep;
        }
        if self.mercy == Mercy::Used {
            return Judgement::Cut;
        }
        self.mercy = Mercy::Used;
        self.next = newest;
        Judgement::Skipped
    }
}

/// Whether a listener reads, told from how often its turn came while its socket took nothing. One byte, and no timer.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading(u8);

impl Reading {
    const STOPPED: u8 = u8::MAX;

    /// The listener of that cadence has its turn, and its socket is full. True if it has just been so for [`STOPPED_CHUNKS`]: whoever counts takes it out.
    pub fn missed(&mut self, cadence: Cadence) -> bool {
        if self.0 == Self::STOPPED {
            return false;
        }
        self.0 += 1;
        // The first turn that is missed says nothing: something may have been taken just before it.
        let has_stopped = usize::from(self.0) > STOPPED_CHUNKS.div_ceil(cadence.chunks());
        if has_stopped {
            self.0 = Self::STOPPED;
        }
        has_stopped
    }

    /// Its socket took something. True if it had stopped: it counts again.
    pub fn took(&mut self) -> bool {
        std::mem::take(&mut self.0) == Self::STOPPED
    }

    /// Whether it has not stopped.
    pub fn goes_on(self) -> bool {
        self.0 != Self::STOPPED
    }
}

/// What nearly everyone who is due lacks: chunks that follow one another, as one.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The position of the first.
    from: u64,
    /// The position after the last.
    until: u64,
    bytes: Bytes,
}

impl Piece {
    /// The chunks of one cadence up to a position. One chunk is shared as it is; several are joined, once for everyone whose turn it is.
    pub fn of(tail: &Tail, rendition: usize, cadence: Cadence, until: u64) -> Self {
        let from = until.saturating_sub(cadence.chunks() as u64);
        let chunks = || tail.from(from).take_while(|chunk| chunk.position < until);
        let from = chunks().next().map_or(until, |first| first.position);
        let bytes = if cadence.chunks() == 1 {
            chunks().next().map(|chunk| chunk.form(rendition).clone()).unwrap_or_default()
        } else {
            let mut joined = BytesMut::with_capacity(chunks().map(|chunk| chunk.form(rendition).len()).sum());
            chunks().for_each(|chunk| joined.extend_from_slice(chunk.form(rendition)));
            joined.freeze()
        };
        Self { from, until, bytes }
    }
}

/// Where a member of a group sits. It must be kept with the connection, and corrected by what [`Group::leave`] says.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Seat {
    row: Row,
    index: u32,
}

impl Seat {
    /// How often whoever sits there is written to.
    pub fn cadence(self) -> Cadence {
        self.row.cadence()
    }
}

/// One phase of one cadence: rows of the shortest first.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Row(u8);

impl Row {
    /// Rows of all cadences: a bit each fits into 64.
    const ALL: u8 = 38;

    /// The first of a cadence.
    fn first(cadence: Cadence) -> u8 {
        let before = Cadence::ALL.into_iter().take_while(|other| *other < cadence);
        before.map(|other| other.chunks() as u8).sum()
    }

    fn of(cadence: Cadence) -> impl Iterator<Item = Self> {
        let first = Self::first(cadence);
        (first..first + cadence.chunks() as u8).map(Self)
    }

    /// The row of a cadence that is written to with the chunk at a position.
    fn due(cadence: Cadence, position: u64) -> Self {
        Self(Self::first(cadence) + (position % cadence.chunks() as u64) as u8)
    }

    fn cadence(self) -> Cadence {
        let is_from = |cadence: &Cadence| Self::first(*cadence) <= self.0;
        Cadence::ALL.into_iter().rev().find(is_from).unwrap_or_default()
    }

    fn bit(self) -> u64 {
        1 << self.0
    }
}

/// Everyone on one rendition of one log, and how far the current sweep is.
///
/// A sweep of a row goes from the last member to the first, because a member who leaves is replaced by the last one: going down, whoever is
/// moved has been visited already, and nobody is forgotten.
#[derive(Debug)]
pub struct Group {
    rows: Box<[Members]>,
    len: usize,
    /// Rows with members to be visited, and those of them that became due again meanwhile, a bit each.
    sweeping: u64,
    again: u64,
    /// The row whose turn it is: each is swept once before one that has become due again is.
    turn: u8,
    /// The cadence at which everyone is to be, as far as their players reach; who sits elsewhere is moved after a visit. `None`: wherever they are.
    settled: Option<(Cadence, Player)>,
}

#[derive(Debug, Default)]
struct Members {
    connections: Vec<u32>,
    /// Those below this index are still to be visited.
    unvisited: usize,
    /// Those below this one are to be told something when they are visited.
    untold: usize,
    /// The position after the chunk that is due.
    until: u64,
}

/// Whose turn it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Who.
    pub connection: u32,
    /// At which row, and up to which position that is written to.
    pub row: Row,
    /// As [`Piece::of`] wants it.
    pub until: u64,
    /// Whether whoever has everything is to be told what everyone is told.
    pub told: Told,
}

/// Whether a member is to be told something when it is visited.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing.
    Nothing,
    /// What all are told now.
    Notice,
}

impl Visit {
    /// How often whoever is visited is written to.
    pub fn cadence(&self) -> Cadence {
        self.row.cadence()
    }
}

impl Default for Group {
    fn default() -> Self {
        let rows = (0..Row::ALL).map(|_| Members::default()).collect();
        Self { rows, len: 0, sweeping: 0, again: 0, turn: 0, settled: None }
    }
}

impl Group {
    /// Adds a connection, in the phase of the cadence that has fewest, and returns its seat.
    pub fn join(&mut self, connection: u32, cadence: Cadence) -> Seat {
        let fewest = Row::of(cadence).min_by_key(|row| self.row(*row).map_or(0, |members| members.connections.len()));
        let row = fewest.unwrap_or_default();
        let Some(members) = self.rows.get_mut(usize::from(row.0)) else { return Seat::default() };
        members.connections.push(connection);
        self.len += 1;
        Seat { row, index: (members.connections.len() - 1) as u32 }
    }

    /// Removes whoever sits at `seat`. Returns the connection that sits there now, if another was moved.
    pub fn leave(&mut self, seat: Seat) -> Option<u32> {
        let members = self.rows.get_mut(usize::from(seat.row.0))?;
        let index = seat.index as usize;
        if index >= members.connections.len() {
            return None;
        }
        members.connections.swap_remove(index);
        members.unvisited = members.unvisited.min(members.connections.len());
        members.untold = members.untold.min(members.connections.len());
        self.len -= 1;
        members.connections.get(index).copied()
    }

    /// A chunk came: one phase of every cadence is due. Returns whether the group was idle, that is, must be queued for sweeping.
    pub fn due(&mut self, position: u64) -> bool {
        let rows =
            Cadence::ALL.into_iter().map(|cadence| Row::due(cadence, position).bit()).fold(0, |all, bit| all | bit);
        self.begin(rows, position + 1)
    }

    /// Everyone is due, whatever their phase. As [`due`](Self::due).
    pub fn all_due(&mut self, live: u64) -> bool {
        self.begin(u64::MAX, live)
    }

    /// Everyone is to be told what stands, once, when they have heard all there is. As [`due`](Self::due).
    pub fn tell(&mut self, live: u64) -> bool {
        for members in &mut self.rows {
            members.untold = members.connections.len();
        }
        self.all_due(live)
    }

    /// Everyone is to be at this cadence from now on, as far as their players [reach](within_reach), and is moved when they are visited.
    pub fn settle(&mut self, cadence: Cadence, player: Player) {
        self.settled = Some((cadence, player));
    }

    /// Everyone stays where they are, and where they join.
    pub fn unsettle(&mut self) {
        self.settled = None;
    }

    /// Where whoever sits there is to be instead.
    pub fn moves(&self, seat: Seat) -> Option<Cadence> {
        let (settled, player) = self.settled?;
        let to = within_reach(seat.cadence(), settled, player);
        (to != seat.cadence()).then_some(to)
    }

    fn begin(&mut self, rows: u64, until: u64) -> bool {
        let was_idle = self.sweeping == 0;
        for (index, members) in self.rows.iter_mut().enumerate() {
            let bit = 1 << index;
            if rows & bit == 0 || members.connections.is_empty() {
                continue;
            }
            members.until = until;
            if self.sweeping & bit == 0 {
                members.unvisited = members.connections.len();
                self.sweeping |= bit;
            } else {
                self.again |= bit;
            }
        }
        was_idle && self.sweeping != 0
    }

    /// The next connection to visit; `None` when the sweep is over.
    pub fn visit(&mut self) -> Option<Visit> {
        loop {
            // From this turn on, or else from the first.
            let next = self.sweeping & (u64::MAX << self.turn);
            let rows = if next == 0 { self.sweeping } else { next };
            let row = Row(u8::try_from(rows.trailing_zeros()).ok().filter(|row| *row < Row::ALL)?);
            let members = self.rows.get_mut(usize::from(row.0))?;
            if let Some(index) = members.unvisited.checked_sub(1)
                && let Some(&connection) = members.connections.get(index)
            {
                members.unvisited = index;
                // Sweeps may begin again before they are over; each goes on telling where the one before stopped.
                let told = if index < members.untold { Told::Notice } else { Told::Nothing };
                members.untold = members.untold.min(index);
                return Some(Visit { connection, row, until: members.until, told });
            }
            self.turn = row.0 + 1;
            if self.again & row.bit() == 0 {
                self.sweeping &= !row.bit();
            }
            self.again &= !row.bit();
            members.unvisited = members.connections.len();
        }
    }

    /// How many listen.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody listens.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many are written to at a cadence.
    pub fn at(&self, cadence: Cadence) -> usize {
        Row::of(cadence).filter_map(|row| self.row(row)).map(|members| members.connections.len()).sum()
    }

    /// Everyone, in no order.
    pub fn members(&self) -> impl Iterator<Item = u32> {
        self.rows.iter().flat_map(|members| members.connections.iter().copied())
    }

    fn row(&self, row: Row) -> Option<&Members> {
        self.rows.get(usize::from(row.0))
    }
}

/// How a listener's player reads.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// What has come.
    Streaming,
    /// In blocks of 32 KiB: Firefox (ADR 16).
    ByBlocks,
}

/// What of the past a new listener gets at once.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Chunks, at most.
    pub chunks: usize,
    /// How old they may be: as long as the burst is, and a house that was away for a moment. A programme that nobody heard may have stood still for hours,
    /// and its last words are not what a newcomer came for.
    pub fresh: Duration,
    /// What the kernel is to take at once: [`send_buffer_bytes`], or the burst. The tail holds the rest, once for all, so a larger buffer would only make whoever
    /// is slow hear the past.
    pub send_buffer_bytes: usize,
}

/// What of the past there must be for a player that starts at a cadence.
///
/// Our own player (MSE, `mp4`) starts at 0.3 to 0.4 s of buffer and steers it, so it gets 0.6 s; other players buffer blindly, and start only after about 2 s of
/// sound. Who reads by blocks waits for the whole of one, 8 s of speech in Ogg and 4 s of MP3, and falls silent when the next takes longer: it gets more than one takes.
/// At a longer cadence everyone gets as much more as they may have to wait for what comes next.
pub fn burst(rendition_name: &str, reader: Reader, cadence: Cadence) -> Burst {
    let longer = cadence.chunks() - 1;
    let send_buffer_bytes = send_buffer_bytes(cadence);
    let usual = |chunks: usize| {
        let fresh = Duration::from_secs(5) + Duration::from_millis(200) * longer as u32;
        Burst { chunks: chunks + longer, fresh, send_buffer_bytes }
    };
    let large = |chunks: usize, seconds| {
        let usual = usual(10);
        let fresh = Duration::from_secs(seconds).max(usual.fresh);
        Burst { chunks: chunks.max(usual.chunks), fresh, send_buffer_bytes: send_buffer_bytes.max(48 * 1024) }
    };
    match (rendition_name, reader) {
        ("mp4", _) => usual(3),
        // Its pieces come with every third chunk: four of them, 2.4 s.
        (ICY, _) => usual(12),
        ("ogg", Reader::ByBlocks) => large(50, 13),
        ("mp3", Reader::ByBlocks) => large(25, 8),
        _ => usual(10),
    }
}

/// What the kernel is to hold for a listener, in bytes; it doubles this, and its own overhead counts as well. About 4 s of 32 kbit/s, which is twice what is written
/// at once at 2 s. A write of 4 s has half as much room again, so that it is taken whole.
pub const fn send_buffer_bytes(cadence: Cadence) -> usize {
    match cadence {
        Cadence::S4 => 24 * 1024,
        _ => 16 * 1024,
    }
}

/// The cadence to which a listener may be moved from where it is, when that many chunks are wanted between two writes.
///
/// Who can be told makes room for any. A player that cannot has about the 2 s with which it began and no way to get more: one second is safe for it, two would
/// run dry. Shorter is always possible.
pub fn within_reach(from: Cadence, to: Cadence, player: Player) -> Cadence {
    match player {
        Player::Told => to,
        Player::Blind => to.min(from.max(Cadence::S1)),
    }
}

/// Whether a player can be told what comes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Player {
    /// By events inside the sound.
    Told,
    /// It hears sound and nothing else.
    Blind,
}

/// Slices in one write: enough for a prelude and an Ogg burst, and for a sweep at the wall to catch up 3 s. Longer bursts take more than one.
pub const GATHER_MAX: usize = 16;

/// A listener this many chunks behind (5 s), beyond what the kernel holds for it, is skipped to live or cut. Longer than a mobile
/// network's handover (1 to 3 s); shorter than what a person waits before reloading. Far less than the tail keeps, so that `next` is
/// always still there.
pub const LAG_CHUNKS_MAX: usize = 25;

/// A listener whose socket took nothing for so many chunks (2 s) has stopped reading, and is not counted until it reads again. What its player has may last longer;
/// a pause of the network does not, mostly.
pub const STOPPED_CHUNKS: usize = 10;

/// Listeners visited before the worker looks at its sockets again: about 5 ms of writes at the wall, so a join waits no longer.
pub const SWEEP_TURN: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tail::tests::{chunk, header, tail};
    use crate::tail::{Access, Notices};
    use hiwar_segment_log::Epoch;
    use proptest::prelude::*;

    /// Writes up to `room` bytes into `heard`.
    fn write(cursor: &mut Cursor, tail: &Tail, room: usize, heard: &mut Vec<u8>) {
        let mut slices = [&[][..]; GATHER_MAX];
        let filled = cursor.gather(tail, 0, u64::MAX, &mut slices);
        let offered = slices[..filled].concat();
        let written = room.min(offered.len());
        heard.extend_from_slice(&offered[..written]);
        cursor.advance(tail, 0, written);
    }

    #[test]
    fn whoever_joins_before_the_first_chunk_waits_for_it() {
        let mut tail = tail(0..0);
        let mut cursor = Cursor::new(Bytes::from_static(b"head;"), tail.burst_from(3, 0));
        let mut heard = Vec::new();
        write(&mut cursor, &tail, 100, &mut heard);
        assert_eq!(cursor.owed(&tail), Owed::Nothing);
        tail.push(&chunk(0, 1));
        assert_eq!(cursor.owed(&tail), Owed::Something);
        write(&mut cursor, &tail, 100, &mut heard);
        assert_eq!(heard, b"head;m0;");
    }

    #[test]
    fn a_log_that_began_elsewhere_is_joined_at_its_first_chunk_here() {
        let mut tail = Tail::new(Access::Open, header(), Epoch(1));
        let mut cursor = Cursor::new(Bytes::new(), tail.burst_from(3, 0));
        tail.push(&chunk(7_000, 1));
        let mut heard = Vec::new();
        write(&mut cursor, &tail, 100, &mut heard);
        assert_eq!(heard, b"m7000;");
    }

    #[test]
    fn the_end_is_heard_before_goodbye() {
        let mut tail = tail(0..3);
        let mut cursor = Cursor::new(Bytes::new(), 1);
        tail.end();
        assert_eq!(cursor.owed(&tail), Owed::Something);
        write(&mut cursor, &tail, 100, &mut Vec::new());
        assert_eq!(cursor.owed(&tail), Owed::Goodbye);
    }

    #[test]
    fn a_notice_stands_between_whole_chunks_and_only_for_who_has_them_all() {
        let mut tail = tail(0..2);
        let notice = Bytes::from_static(b"away;");
        assert_eq!(tail.notice(0), None);
        let notices = Notices { away: notice.clone(), cadences: Vec::new() };
        tail.attend(vec![notices, Notices::default()], Vec::new());
        assert_eq!(tail.notice(0), None, "it is here");
        assert!(tail.lose() && !tail.lose());
        assert_eq!((tail.notice(0), tail.notice(1), tail.notice(2)), (Some(&notice), None, None));
        let (mut done, mut behind) = (Cursor::new(Bytes::new(), 2), Cursor::new(Bytes::new(), 0));
        let (mut by_done, mut by_behind) = (Vec::new(), Vec::new());
        write(&mut behind, &tail, 2, &mut by_behind);
        for cursor in [&mut done, &mut behind] {
            cursor.tell(&notice);
        }
        write(&mut done, &tail, 3, &mut by_done);
        tail.attend(Vec::new(), Vec::new());
        tail.push(&chunk(2, 2));
        for (cursor, heard) in [(&mut done, &mut by_done), (&mut behind, &mut by_behind)] {
            write(cursor, &tail, 100, heard);
        }
        assert_eq!((&*by_done, &*by_behind), (&b"away;m2;"[..], &b"m0;m1;m2;"[..]));
        tail.end();
        assert!(!tail.lose(), "nothing was to come");
    }

    #[test]
    fn who_stops_reading_is_skipped_once_at_a_chunk_boundary_and_then_cut() {
        let mut tail = tail(0..1);
        let mut cursor = Cursor::new(Bytes::new(), 0);
        let mut heard = Vec::new();
        write(&mut cursor, &tail, 1, &mut heard);
        let mut judgements = Vec::new();
        for position in 1..60 {
            tail.push(&chunk(position, 1));
            match cursor.judge(&tail, Cadence::Ms200) {
                Judgement::Keep => {}
                other => judgements.push((position, other)),
            }
            if judgements.len() == 1 && position == 27 {
                write(&mut cursor, &tail, 4, &mut heard);
            }
            if judgements.len() == 2 {
                break;
            }
        }
        assert_eq!(judgements, [(25, Judgement::Skipped), (50, Judgement::Cut)]);
        assert_eq!(
            heard, b"m0;m2",
            "the chunk that was begun is finished; the next one heard is the newest at the skip"
        );
    }

    /// Whoever is visited until the sweep is over.
    fn visits(group: &mut Group) -> Vec<u32> {
        std::iter::from_fn(|| group.visit()).map(|visit| visit.connection).collect()
    }

    #[test]
    fn a_listener_has_heard_something_when_a_whole_chunk_is_with_the_kernel_and_it_is_still_there() {
        let tail = tail(0..2);
        let check = |rooms: &[usize], has_heard| {
            let mut cursor = Cursor::new(Bytes::from_static(b"head;"), 0);
            rooms.iter().for_each(|room| write(&mut cursor, &tail, *room, &mut Vec::new()));
            assert!(!cursor.has_heard());
            cursor.confirm();
            assert_eq!(cursor.has_heard(), has_heard, "{rooms:?}");
        };
        check(&[], false);
        check(&[5], false);
        check(&[7], false);
        check(&[8], true);
        check(&[3, 3, 1], false);
        check(&[3, 3, 1, 1], true);
        check(&[3, 3, 100], true);
    }

    #[test]
    fn a_notice_is_no_sound() {
        let tail = tail(0..0);
        let mut cursor = Cursor::new(Bytes::from_static(b"head;"), 0);
        write(&mut cursor, &tail, 5, &mut Vec::new());
        cursor.tell(&Bytes::from_static(b"away;"));
        write(&mut cursor, &tail, 5, &mut Vec::new());
        assert!(!cursor.was_given());
        let whole = Piece { from: 0, until: 1, bytes: Bytes::from_static(b"m0;") };
        cursor.took(&whole, 2);
        assert!(!cursor.was_given());
        write(&mut cursor, &tail, 1, &mut Vec::new());
        assert!(cursor.was_given());
    }

    #[test]
    fn who_takes_nothing_for_two_seconds_has_stopped_until_it_takes_something() {
        for cadence in Cadence::ALL {
            let mut reading = Reading::default();
            let missed = (1..100).find(|_| reading.missed(cadence)).expect("an end");
            let chunks = (missed - 1) * cadence.chunks();
            assert!((STOPPED_CHUNKS..STOPPED_CHUNKS + cadence.chunks()).contains(&chunks), "{cadence:?}: {chunks}");
            assert!(!reading.goes_on() && !reading.missed(cadence), "it is taken out once");
            assert!(reading.took() && reading.goes_on() && !reading.took());
            assert!(!reading.missed(cadence), "and from the beginning");
        }
    }

    #[test]
    fn a_sweep_visits_everyone_though_members_leave_on_the_way() {
        let mut group = Group::default();
        let seats: Vec<Seat> = (0..10).map(|n| group.join(n, Cadence::Ms200)).collect();
        assert!(group.due(0));
        let mut visited = vec![group.visit().unwrap().connection, group.visit().unwrap().connection];
        assert_eq!(group.leave(seats[3]), Some(9));
        assert_eq!(group.leave(seats[8]), None);
        visited.extend(visits(&mut group));
        visited.sort_unstable();
        visited.dedup();
        assert_eq!(visited, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn a_chunk_during_a_sweep_begins_another() {
        let mut group = Group::default();
        (0..3).for_each(|n| {
            let _: Seat = group.join(n, Cadence::Ms200);
        });
        assert!(group.due(0));
        group.visit();
        assert!(!group.due(1), "already queued");
        assert_eq!(visits(&mut group).len(), 5);
        assert!(group.due(2));
    }

    #[test]
    fn at_a_longer_cadence_everyone_has_a_turn_once_in_it_and_turns_are_spread() {
        for cadence in Cadence::ALL {
            let mut group = Group::default();
            (0..60).for_each(|n| {
                let _: Seat = group.join(n, cadence);
            });
            let chunks = cadence.chunks();
            for position in 0..3 * chunks as u64 {
                group.due(position);
                let visited = visits(&mut group);
                assert_eq!(visited.len(), 60 / chunks, "{cadence:?}");
            }
            assert_eq!(group.at(cadence), 60);
        }
    }

    #[test]
    fn everyone_is_told_once_though_chunks_come_all_the_time() {
        let mut group = Group::default();
        (0..50).for_each(|n| {
            let _: Seat = group.join(n, if n % 2 == 0 { Cadence::Ms200 } else { Cadence::S1 });
        });
        let mut told = Vec::new();
        assert!(group.tell(7));
        for position in 7..40 {
            for _ in 0..9 {
                let Some(visit) = group.visit() else { break };
                told.extend((visit.told == Told::Notice).then_some(visit.connection));
            }
            group.due(position);
        }
        told.sort_unstable();
        assert_eq!(told, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn who_is_moved_is_spread_over_the_phases_and_visited_at_the_new_cadence() {
        let mut group = Group::default();
        let mut seats: Vec<Seat> = (0..100).map(|n| group.join(n, Cadence::Ms200)).collect();
        group.settle(Cadence::S2, Player::Told);
        group.due(3);
        while let Some(visit) = group.visit() {
            let seat = seats[visit.connection as usize];
            let to = group.moves(seat).expect("all are to move");
            if let Some(moved) = group.leave(seat) {
                seats[moved as usize] = seat;
            }
            seats[visit.connection as usize] = group.join(visit.connection, to);
        }
        assert_eq!((group.at(Cadence::Ms200), group.at(Cadence::S2), group.len()), (0, 100, 100));
        for position in 4..14 {
            group.due(position);
            assert_eq!(visits(&mut group).len(), 10);
        }
        assert!(seats.iter().all(|seat| group.moves(*seat).is_none()));
    }

    #[test]
    fn a_piece_is_what_one_cadence_lacks() {
        let tail = tail(0..30);
        let mut cursor = Cursor::new(Bytes::new(), 10);
        let piece = Piece::of(&tail, 0, Cadence::S1, 15);
        assert_eq!(cursor.lacks(&piece).unwrap(), "m10;m11;m12;m13;m14;");
        cursor.took(&piece, 6);
        assert_eq!(cursor.lacks(&piece), None);
        let mut heard = Vec::new();
        write(&mut cursor, &tail, 18, &mut heard);
        assert_eq!(heard, b"1;m12;m13;m14;m15;");
        assert_eq!(Piece::of(&tail, 0, Cadence::Ms200, 30).bytes, "m29;");
        assert!(Piece::of(&tail, 0, Cadence::S1, 0).bytes.is_empty());
    }

    #[test]
    fn who_cannot_be_told_is_moved_no_further_than_its_store_lasts() {
        use Cadence::*;
        assert_eq!(within_reach(Ms200, S4, Player::Told), S4);
        assert_eq!(within_reach(Ms200, S4, Player::Blind), S1);
        assert_eq!(within_reach(S2, S4, Player::Blind), S2);
        assert_eq!(within_reach(S2, Ms400, Player::Blind), Ms400);
    }

    #[test]
    fn a_longer_cadence_begins_with_as_much_more() {
        for (name, reader) in [("mp4", Reader::Streaming), ("ogg", Reader::Streaming), (ICY, Reader::Streaming)] {
            let usual = burst(name, reader, Cadence::Ms200);
            let long = burst(name, reader, Cadence::S2);
            assert_eq!(long.chunks, usual.chunks + 9);
            assert_eq!(long.fresh, usual.fresh + Duration::from_millis(1_800));
        }
        assert_eq!(burst("ogg", Reader::ByBlocks, Cadence::S4).chunks, 50);
    }

    proptest! {
        /// However the socket takes the bytes, what is heard is the prelude and whole chunks in order.
        #[test]
        fn every_listener_hears_the_same_bytes(rooms in prop::collection::vec(0usize..9, 1..80)) {
            let mut tail = tail(0..2);
            let mut cursor = Cursor::new(Bytes::from_static(b"head;"), 0);
            let (mut heard, mut all) = (Vec::new(), b"head;m0;m1;".to_vec());
            for (n, room) in rooms.into_iter().enumerate() {
                if n % 4 == 3 {
                    let position = tail.live();
                    tail.push(&chunk(position, 1));
                    all.extend_from_slice(format!("m{position};").as_bytes());
                }
                write(&mut cursor, &tail, room, &mut heard);
            }
            while cursor.owed(&tail) == Owed::Something {
                write(&mut cursor, &tail, 5, &mut heard);
            }
            prop_assert_eq!(heard, all);
        }
    }
}
