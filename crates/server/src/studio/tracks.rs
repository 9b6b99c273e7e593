//! Tracks on their way from the beat to the log beside the log: of spaces that keep one for each speaker.
//!
//! The beat writes what was heard of whom into a ring for each speaker ([`Tap`]: allocates, locks and logs nothing). Airing gathers what belongs to a chunk when
//! it has that chunk, and the log thread appends it. What is in it: docs/formats/track.md.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hiwar_media::chunk::Chunk;
use hiwar_media::programme::Seat;
use hiwar_media::track::{LEFT, Voice};
use hiwar_media::{CHUNK_FRAMES, FRAME_SAMPLES, SAMPLE_RATE, Time};
use hiwar_segment_log::{Epoch, Header, Kind, LogId, Parts, Position, Record};
use rtrb::{Consumer, Producer, RingBuffer};

/// What the log of a space's tracks is called beside the space's own, and its folder.
pub(super) const TRACKS: &str = "tracks";
/// The part of a chunk record that is one speaker's; there may be several.
pub(super) const PART_VOICE: u8 = 16;
/// Bytes between the beat and airing for each speaker: as much as a track may have in 1.4 s, and what people say in twelve.
const RING_BYTES: usize = 64 * 1024;
/// Before each piece: its time, seat and length.
const HEAD_BYTES: usize = 8 + 1 + 2;

/// The log of a space's tracks. `None`: its name leaves no room for one.
pub(super) fn log(space: &LogId) -> Option<LogId> {
    space.beside(TRACKS)
}

/// The beat's end of one speaker's ring.
pub struct Tap {
    pieces: Producer<u8>,
    /// Whether anything was heard of them.
    begun: bool,
}

impl Tap {
    /// Puts one piece in. False: nobody takes them out, and this one is lost.
    pub fn write(&mut self, time: Time, seat: Seat, piece: &[u8]) -> bool {
        self.begun = true;
        let Ok(len) = u16::try_from(piece.len()) else { return false };
        if self.pieces.slots() < HEAD_BYTES + piece.len() {
            return false;
        }
        let mut head = [0; HEAD_BYTES];
        head[..8].copy_from_slice(&time.0.to_le_bytes());
        head[8] = seat.0;
        head[9..].copy_from_slice(&len.to_le_bytes());
        self.pieces.push_entire_slice(&head).is_ok() && self.pieces.push_entire_slice(piece).is_ok()
    }

    /// They leave before this beat. Whoever was never heard leaves no trace: they may not have agreed to any. False as of [`Self::write`].
    pub fn end(&mut self, time: Time, seat: Seat) -> bool {
        !self.begun || self.write(time, seat, &LEFT)
    }
}

/// Whose tracks are kept now.
#[derive(Default)]
pub(super) struct Desk(Mutex<HashMap<LogId, Kept>>);

#[derive(Default)]
struct Kept {
    /// Of the tracks' log, once it is claimed.
    epoch: Option<Epoch>,
    lines: Vec<Line>,
}

/// The other end of a speaker's ring.
struct Line {
    id: u64,
    owner: String,
    pieces: Consumer<u8>,
}

impl Desk {
    /// Tracks of this space are kept from now on, of whoever sits down.
    pub(super) fn keep(&self, space: &LogId) {
        self.lock().entry(*space).or_default();
    }

    /// Their log has a writer of this epoch.
    pub(super) fn claimed(&self, space: &LogId, epoch: Epoch) {
        let mut spaces = self.lock();
        let kept = spaces.entry(*space).or_default();
        kept.epoch = kept.epoch.max(Some(epoch));
    }

    /// The space is over.
    pub(super) fn forget(&self, space: &LogId) {
        self.lock().remove(space);
    }

    /// Somebody is about to sit down. `None`: no track is kept.
    pub(super) fn begin(&self, space: &LogId, owner: &str) -> Option<Tap> {
        let mut spaces = self.lock();
        let kept = spaces.get_mut(space)?;
        // Where no programme runs nobody gathers; and whoever is refused a seat leaves a ring behind.
        kept.lines.retain(Line::is_of_use);
        let mut id = [0; 8];
        getrandom::fill(&mut id).expect("the kernel has random numbers");
        let (tap, pieces) = RingBuffer::new(RING_BYTES);
        kept.lines.push(Line { id: u64::from_le_bytes(id), owner: owner.to_owned(), pieces });
        Some(Tap { pieces: tap, begun: false })
    }

    /// What was heard of each speaker in a chunk, and the epoch in which that is to be logged, if it is. To be called for every chunk in turn.
    pub(super) fn gather(&self, space: &LogId, chunk: &Chunk) -> Option<(Epoch, Bytes)> {
        let mut spaces = self.lock();
        let kept = spaces.get_mut(space)?;
        let mut parts = Parts::new();
        for line in &mut kept.lines {
            if let Some(voice) = line.gather(chunk) {
                parts = parts.push(PART_VOICE, &voice);
            }
        }
        kept.lines.retain(Line::is_of_use);
        Some((kept.epoch?, parts.finish()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LogId, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Whether anything may still come out.
    fn is_of_use(&self) -> bool {
        !self.pieces.is_abandoned() || self.pieces.slots() > 0
    }

    /// Takes the pieces of a chunk out, and those before it, whose chunk nobody heard.
    fn gather(&mut self, chunk: &Chunk) -> Option<Vec<u8>> {
        let end = chunk.time.0 + u64::from(chunk.duration);
        let mut voice = None;
        while let Some((time, seat, len)) = self.head() {
            if time.0 >= end {
                break;
            }
            let Ok(taken) = self.pieces.read_chunk(HEAD_BYTES + len) else { break };
            if time >= chunk.time {
                let (first, second) = taken.as_slices();
                let piece: Vec<u8> = first.iter().chain(second).skip(HEAD_BYTES).copied().collect();
                let beat = (time.0 - chunk.time.0) / FRAME_SAMPLES as u64;
                let voice = voice.get_or_insert_with(|| Voice::begin(self.id, seat, self.owner.as_bytes()));
                Voice::push(voice, u8::try_from(beat).unwrap_or(u8::MAX), &piece);
            }
            taken.commit_all();
        }
        voice
    }

    /// Of the next piece. `None`: it is not wholly there.
    fn head(&mut self) -> Option<(Time, Seat, usize)> {
        let there = self.pieces.slots();
        let peeked = self.pieces.read_chunk(HEAD_BYTES).ok()?;
        let (first, second) = peeked.as_slices();
        let mut head = [0; HEAD_BYTES];
        head.iter_mut().zip(first.iter().chain(second)).for_each(|(to, from)| *to = *from);
        let [t0, t1, t2, t3, t4, t5, t6, t7, seat, l0, l1] = head;
        let len = usize::from(u16::from_le_bytes([l0, l1]));
        let time = Time(u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]));
        (there >= HEAD_BYTES + len).then_some((time, Seat(seat), len))
    }
}

/// The header record of a log of tracks: nothing of it is ever served.
pub(super) fn header(position: Position, epoch: Epoch, time: Time, wall_us: u64) -> Record {
    let header = Header {
        timescale: SAMPLE_RATE,
        chunk_duration: u32::try_from(CHUNK_FRAMES * FRAME_SAMPLES).expect("200 ms fit"),
        begun_wall_us: wall_us,
        renditions: Vec::new(),
    };
    Record { position, epoch, kind: Kind::Header, time: time.0, duration: 0, wall_us, body: header.to_body() }
}

/// The tracks of the chunk that `record` holds.
pub(super) fn record(record: &Record, epoch: Epoch, body: Bytes) -> Record {
    Record { epoch, body, ..record.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(index: u64) -> Chunk {
        Chunk { index, time: Time(index * 9_600), duration: 9_600, ..Chunk::new() }
    }

    /// Beats in which something was heard, and whether it was the last.
    type Pieces = Vec<(u8, bool)>;

    /// Of each voice in a body: whose, and its pieces.
    fn read(body: &Bytes) -> Vec<(String, Pieces)> {
        let record = Record {
            position: Position(0),
            epoch: Epoch(1),
            kind: Kind::Chunk,
            time: 0,
            duration: 0,
            wall_us: 0,
            body: body.clone(),
        };
        let voice = |(part, bytes): (u8, Bytes)| {
            assert_eq!(part, PART_VOICE);
            let voice = Voice::parse(&bytes).unwrap();
            let pieces = voice.pieces().map(|(beat, piece)| (beat, piece.is_last())).collect();
            (String::from_utf8(voice.owner.to_vec()).unwrap(), pieces)
        };
        record.parts().map(voice).collect()
    }

    #[test]
    fn pieces_come_with_the_chunk_that_they_were_heard_in() {
        let (desk, space) = (Desk::default(), LogId::parse("demo").unwrap());
        assert!(desk.begin(&space, "p1").is_none(), "nothing is kept unless it is asked for");
        desk.keep(&space);
        for _ in 0..9 {
            drop(desk.begin(&space, "p0"));
        }
        assert_eq!(desk.lock()[&space].lines.len(), 1, "whoever found no seat is forgotten");
        let (mut first, mut second) = (desk.begin(&space, "p1").unwrap(), desk.begin(&space, "p2").unwrap());
        for beat in 0..25 {
            assert!(first.write(Time(beat * 960), Seat(0), &[0]));
        }
        assert!(second.write(Time(12 * 960), Seat(1), &[0]));
        assert!(second.end(Time(13 * 960), Seat(1)));
        assert_eq!(desk.gather(&space, &chunk(0)), None, "no log yet");
        desk.claimed(&space, Epoch(4));
        drop(second);
        let (epoch, body) = desk.gather(&space, &chunk(1)).unwrap();
        assert_eq!(epoch, Epoch(4));
        let ten = (0..10).map(|beat| (beat, false)).collect::<Vec<_>>();
        assert_eq!(read(&body), [("p1".to_owned(), ten), ("p2".to_owned(), vec![(2, false), (3, true)])]);
        let (_, body) = desk.gather(&space, &chunk(2)).unwrap();
        assert_eq!(read(&body), [("p1".to_owned(), (0..5).map(|beat| (beat, false)).collect())]);
        assert_eq!(desk.lock()[&space].lines.len(), 1, "whoever left is forgotten");
        let (_, body) = desk.gather(&space, &chunk(3)).unwrap();
        assert!(body.is_empty());
    }

    #[test]
    fn a_ring_that_nobody_reads_takes_no_more_than_it_holds() {
        let (desk, space) = (Desk::default(), LogId::parse("demo").unwrap());
        desk.keep(&space);
        let mut tap = desk.begin(&space, "p1").unwrap();
        let taken = (0..200).filter(|beat| tap.write(Time(beat * 960), Seat(0), &[0; 2_000])).count();
        assert_eq!(taken, RING_BYTES / (2_000 + HEAD_BYTES));
        desk.claimed(&space, Epoch(1));
        desk.gather(&space, &chunk(0));
        assert!(tap.write(Time(10 * 960), Seat(0), &[0; 2_000]));
    }
}
