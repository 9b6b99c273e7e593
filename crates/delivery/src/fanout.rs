//! Who is due, and what is done about those who fall behind.
//!
//! A listener is a [`Cursor`]: the position it hears next and, after a short write, the rest of what was begun. Chunks themselves are
//! shared; nothing here grows with how slowly someone reads. A [`Group`] is everyone on one rendition, by the cadence at which they are written to and by
//! phase within it, so that a longer cadence spreads its listeners over its chunks. Those who are due are visited in [sweeps](Group):
//! bounded turns, so that joins are answered between them, each listener getting everything it lacks in one write; nearly everyone lacks
//! the same [`Piece`]. When a worker is at its wall, sweeps get longer than a chunk and writes carry two chunks: the cadence stretches, nobody is dropped.
//!
//! Law of the fan-out path: no allocation for a listener, no lock, no log.

mod group;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hiwar_admission::ladder::{Bitrate, Cadence};

use crate::answer::ICY;
use crate::tail::{Ended, Form, Tail};
pub use group::{Group, Row, Seat, Settled, Telling, Visit};

/// Where one listener is in a log. 48 bytes.
#[derive(Debug)]
pub struct Cursor {
    /// The rest of what was begun: always finished before anything else, so that nobody ever hears half a chunk.
    rest: Bytes,
    /// The position heard after that.
    next: u64,
    mercy: Mercy,
    heard: Heard,
    reader: Reader,
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
    pub fn new(prelude: Bytes, next: u64, reader: Reader) -> Self {
        Self { rest: prelude, next, mercy: Mercy::Unused, heard: Heard::Nothing, reader }
    }

    /// What to write now, in order, of chunks before `until`: at most [`GATHER_MAX`] slices. Returns how many of `out` were filled.
    pub fn gather<'a>(&'a self, tail: &'a Tail, form: Form, until: u64, out: &mut [&'a [u8]; GATHER_MAX]) -> usize {
        let form = self.reader.hears(form);
        let rest = Some(self.rest.as_ref()).filter(|rest| !rest.is_empty());
        let due = tail.from(self.next).take_while(|chunk| chunk.position < until);
        let chunks = due.map(|chunk| chunk.form(form).as_ref());
        let mut filled = 0;
        for (slot, bytes) in out.iter_mut().zip(rest.into_iter().chain(chunks)) {
            *slot = bytes;
            filled += 1;
        }
        filled
    }

    /// Takes note that the first `written` bytes of what [`gather`](Self::gather) gave are with the kernel. Tail and form must be the same.
    /// What is kept of a chunk is the rest of the very form that was begun, whatever comes later.
    pub fn advance(&mut self, tail: &Tail, form: Form, mut written: usize) {
        let form = self.reader.hears(form);
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
            let bytes = chunk.form(form);
            if written < bytes.len() {
                if written > 0 {
                    self.rest = bytes.slice(written..);
                    self.gives(Heard::Begun);
                    next = chunk.position + 1;
                }
                break;
            }
            if !bytes.is_empty() {
                self.gives(Heard::Given);
            }
            written -= bytes.len();
            next = chunk.position + 1;
        }
        self.next = next;
    }

    /// The bytes of a piece, if that is just what the listener lacks.
    pub fn lacks<'a>(&self, piece: &'a Piece) -> Option<&'a Bytes> {
        let is_theirs = piece.bitrate == Bitrate::Standard || self.reader == Reader::Streaming;
        (is_theirs && self.rest.is_empty() && self.next == piece.from).then_some(&piece.bytes)
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
    /// As it was wanted.
    bitrate: Bitrate,
    bytes: Bytes,
}

impl Piece {
    /// The chunks of one cadence up to a position. One chunk is shared as it is; several are joined, once for everyone whose turn it is.
    pub fn of(tail: &Tail, form: Form, cadence: Cadence, until: u64) -> Self {
        let from = until.saturating_sub(cadence.chunks() as u64);
        let chunks = || tail.from(from).take_while(|chunk| chunk.position < until);
        let from = chunks().next().map_or(until, |first| first.position);
        let bytes = if cadence.chunks() == 1 {
            chunks().next().map(|chunk| chunk.form(form).clone()).unwrap_or_default()
        } else {
            let mut joined = BytesMut::with_capacity(chunks().map(|chunk| chunk.form(form).len()).sum());
            chunks().for_each(|chunk| joined.extend_from_slice(chunk.form(form)));
            joined.freeze()
        };
        Self { from, until, bitrate: form.bitrate, bytes }
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

impl Reader {
    /// What it hears of what others do: a block of lean sound takes 16 s, and whoever reads by blocks has ten in store.
    fn hears(self, form: Form) -> Form {
        match self {
            Self::Streaming => form,
            Self::ByBlocks => Form::standard(form.rendition),
        }
    }
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
mod tests;
