//! Who is due, and what is done about those who fall behind.
//!
//! A listener is a [`Cursor`]: the position it hears next and, after a short write, the rest of what was begun. Chunks themselves are
//! shared; nothing here grows with how slowly someone reads. A [`Group`] is everyone on one rendition, visited in [sweeps](Group):
//! bounded turns, so that joins are answered between them, each listener getting everything it lacks in one write. When a worker
//! is at its wall, sweeps get longer than a chunk and writes carry two chunks: the cadence stretches, nobody is dropped.
//!
//! Law of the fan-out path: no allocation, no lock, no log.

use std::time::Duration;

use bytes::Bytes;

use crate::answer::ICY;
use crate::tail::{Chunk, Ended, Tail};

/// Where one listener is in a log. 48 bytes.
#[derive(Debug)]
pub struct Cursor {
    /// The rest of what was begun: always finished before anything else, so that nobody ever hears half a chunk.
    rest: Bytes,
    /// The position heard after that.
    next: u64,
    mercy: Mercy,
}

/// Whether a listener was already forgiven once.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Mercy {
    Unused,
    Used,
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
        Self { rest: prelude, next, mercy: Mercy::Unused }
    }

    /// What to write now, in order: at most [`GATHER_MAX`] slices. Returns how many of `out` were filled.
    pub fn gather<'a>(&'a self, tail: &'a Tail, rendition: usize, out: &mut [&'a [u8]; GATHER_MAX]) -> usize {
        let rest = Some(self.rest.as_ref()).filter(|rest| !rest.is_empty());
        let chunks = self.due(tail).map(|chunk| chunk.form(rendition).as_ref());
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
        let mut next = self.next;
        for chunk in tail.from(self.next) {
            let form = chunk.form(rendition);
            if written < form.len() {
                if written > 0 {
                    self.rest = form.slice(written..);
                    next = chunk.position + 1;
                }
                break;
            }
            written -= form.len();
            next = chunk.position + 1;
        }
        self.next = next;
    }

    /// Something between two chunks, for a listener who has everything: who is behind has enough to hear.
    pub fn tell(&mut self, tail: &Tail, notice: &Bytes) {
        if self.owed(tail) == Owed::Nothing {
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

    /// Whether a chunk that it is to hear next is no longer kept.
    pub fn has_missed(&self, tail: &Tail) -> bool {
        tail.oldest().is_some_and(|oldest| self.next < oldest.position)
    }

    /// Decides about a listener who could not take everything. Called once per new chunk, not per attempt to write.
    pub fn judge(&mut self, tail: &Tail) -> Judgement {
        let newest = tail.live().saturating_sub(1);
        if tail.count_from(self.next) < LAG_CHUNKS_MAX {
            return Judgement::Keep;
        }
        if self.mercy == Mercy::Used {
            return Judgement::Cut;
        }
        self.mercy = Mercy::Used;
        self.next = newest;
        Judgement::Skipped
    }

    fn due<'a>(&self, tail: &'a Tail) -> impl Iterator<Item = &'a Chunk> {
        tail.from(self.next)
    }
}

/// Everyone on one rendition of one log, and how far the current sweep is.
///
/// A sweep goes from the last member to the first, because a member who leaves is replaced by the last one: going down, whoever is
/// moved has been visited already, and nobody is forgotten.
#[derive(Debug, Default)]
pub struct Group {
    members: Vec<u32>,
    /// Members below this index are still to be visited.
    unvisited: usize,
    again: Again,
}

/// Whether a chunk came while a sweep was on.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
enum Again {
    #[default]
    No,
    Yes,
}

impl Group {
    /// Adds a connection and returns its seat, which must be kept with the connection and corrected by what [`leave`](Self::leave)
    /// says.
    pub fn join(&mut self, connection: u32) -> u32 {
        self.members.push(connection);
        (self.members.len() - 1) as u32
    }

    /// Removes whoever sits at `seat`. Returns the connection that sits there now, if another was moved.
    pub fn leave(&mut self, seat: u32) -> Option<u32> {
        let seat = seat as usize;
        if seat >= self.members.len() {
            return None;
        }
        self.members.swap_remove(seat);
        self.unvisited = self.unvisited.min(self.members.len());
        self.members.get(seat).copied()
    }

    /// A chunk came: everyone is due. Returns whether the group was idle, that is, must be queued for sweeping.
    pub fn due(&mut self) -> bool {
        if self.unvisited > 0 {
            self.again = Again::Yes;
            return false;
        }
        self.unvisited = self.members.len();
        self.unvisited > 0
    }

    /// The next connection to visit; `None` when the sweep is over.
    pub fn visit(&mut self) -> Option<u32> {
        if self.unvisited == 0 && self.again == Again::Yes {
            self.again = Again::No;
            self.unvisited = self.members.len();
        }
        self.unvisited = self.unvisited.checked_sub(1)?;
        self.members.get(self.unvisited).copied()
    }

    /// How many listen.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody listens.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Everyone, in no order.
    pub fn members(&self) -> &[u32] {
        &self.members
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
    /// What the kernel is to take at once. It doubles this and counts its own overhead; what is left is about 4 s of 32 kbit/s, or the burst. The tail holds the
    /// rest, once for all, so a larger buffer would only make whoever is slow hear the past.
    pub send_buffer_bytes: usize,
}

/// Our own player (MSE, `mp4`) starts at 0.3 to 0.4 s of buffer and steers it, so it gets 0.6 s; other players buffer blindly, and start only after about 2 s of
/// sound. Who reads by blocks waits for the whole of one, 8 s of speech in Ogg and 4 s of MP3, and falls silent when the next takes longer: it gets more than one takes.
pub fn burst(rendition_name: &str, reader: Reader) -> Burst {
    let usual = |chunks| Burst { chunks, fresh: Duration::from_secs(5), send_buffer_bytes: 16 * 1024 };
    match (rendition_name, reader) {
        ("mp4", _) => usual(3),
        // Its pieces come with every third chunk: four of them, 2.4 s.
        (ICY, _) => usual(12),
        ("ogg", Reader::ByBlocks) => Burst { chunks: 50, fresh: Duration::from_secs(13), send_buffer_bytes: 48 * 1024 },
        ("mp3", Reader::ByBlocks) => Burst { chunks: 25, fresh: Duration::from_secs(8), send_buffer_bytes: 48 * 1024 },
        _ => usual(10),
    }
}

/// Slices in one write: enough for a prelude and an Ogg burst, and for a sweep at the wall to catch up 3 s.
pub const GATHER_MAX: usize = 16;

/// A listener this many chunks behind (5 s), beyond what the kernel holds for it, is skipped to live or cut. Longer than a mobile
/// network's handover (1 to 3 s); shorter than what a person waits before reloading. Far less than the tail keeps, so that `next` is
/// always still there.
pub const LAG_CHUNKS_MAX: usize = 25;

/// Listeners visited before the worker looks at its sockets again: about 5 ms of writes at the wall, so a join waits no longer.
pub const SWEEP_TURN: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tail::Access;
    use crate::tail::tests::{chunk, header, tail};
    use hiwar_segment_log::Epoch;
    use proptest::prelude::*;

    /// Writes up to `room` bytes into `heard`.
    fn write(cursor: &mut Cursor, tail: &Tail, room: usize, heard: &mut Vec<u8>) {
        let mut slices = [&[][..]; GATHER_MAX];
        let filled = cursor.gather(tail, 0, &mut slices);
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
        tail.attend(vec![notice.clone(), Bytes::new()], Vec::new());
        assert_eq!(tail.notice(0), None, "it is here");
        assert!(tail.lose() && !tail.lose());
        assert_eq!((tail.notice(0), tail.notice(1), tail.notice(2)), (Some(&notice), None, None));
        let (mut done, mut behind) = (Cursor::new(Bytes::new(), 2), Cursor::new(Bytes::new(), 0));
        let (mut by_done, mut by_behind) = (Vec::new(), Vec::new());
        write(&mut behind, &tail, 2, &mut by_behind);
        for cursor in [&mut done, &mut behind] {
            cursor.tell(&tail, &notice);
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
            match cursor.judge(&tail) {
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

    #[test]
    fn a_sweep_visits_everyone_though_members_leave_on_the_way() {
        let mut group = Group::default();
        (0..10).for_each(|n| assert_eq!(group.join(n), n));
        assert!(group.due());
        let mut visited = vec![group.visit().unwrap(), group.visit().unwrap()];
        assert_eq!(group.leave(3), Some(9));
        assert_eq!(group.leave(8), None);
        visited.extend(std::iter::from_fn(|| group.visit()));
        visited.sort_unstable();
        visited.dedup();
        assert_eq!(visited, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn a_chunk_during_a_sweep_begins_another() {
        let mut group = Group::default();
        (0..3).for_each(|n| assert_eq!(group.join(n), n));
        assert!(group.due());
        group.visit();
        assert!(!group.due(), "already queued");
        assert_eq!(std::iter::from_fn(|| group.visit()).count(), 5);
        assert!(group.due());
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
