//! What one listener of a crowd hears, checked byte by byte: the head of the answer, then the sound in its container. Pure.
//!
//! Nobody knows beforehand what the right bytes are, but everyone must hear the same: whoever hears a piece first has it read and kept by the
//! [`Programme`], and everyone after is compared with that. A piece is a fragment of MP4 or a page of Ogg: each stands alone, says when it is, and must follow
//! the one before without a hole. Events are no pieces, and are not compared: what a worker itself says inside the sound stands at another place for each listener.
//! Of these only the cadence is read. A piece may have two forms, as sound may be sent at a lean bitrate: then everyone must hear one of those two.

mod lean;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

/// Samples in a second, of Opus always (RFC 7845 §5.1, and the `mdhd` of our MP4).
const SAMPLE_RATE: u64 = 48_000;
/// Samples of 20 ms: the length of every frame here.
const FRAME_SAMPLES: u64 = 960;
/// Head of an answer, at most.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// A piece of 200 ms has a kilobyte, an init segment less; with pictures in its events a piece stays far below this.
const PIECE_BYTES_MAX: usize = 1 << 20;
/// Pieces kept to compare with: two minutes. Whoever is further behind is not compared, and is late.
const PIECES_KEPT: usize = 600;
/// Ids of events that a worker puts into the sound itself (`docs/formats/event.md`).
const WORKER_IDS: RangeInclusive<u32> = 0x4000_0000..=0x4000_00ff;
/// One chunk; nothing comes more often.
const CADENCE_MIN: Duration = Duration::from_millis(200);
/// A frame of silence has 3 to 10 bytes, a voice's several times as many: one of them among ten tells a piece from silence.
const SILENT_FRAME_BYTES_MAX: usize = 10;
/// What is longer makes no sense for sound that is live.
const CADENCE_MAX: Duration = Duration::from_secs(60);

/// What carries the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Fragmented MP4 (ISO/IEC 14496-12).
    Mp4,
    /// Ogg (RFC 3533) with Opus (RFC 7845).
    Ogg,
}

impl Format {
    /// By the end of an address's path.
    pub fn of(path: &str) -> Option<Self> {
        match path.split('?').next()?.rsplit_once('.')?.1 {
            "mp4" => Some(Self::Mp4),
            "ogg" => Some(Self::Ogg),
            _ => None,
        }
    }

    /// Its name, as in an address.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Ogg => "ogg",
        }
    }
}

/// Why a listener hears no more, or hears wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Answered, with another status than 200.
    Status(u16),
    /// No answer of HTTP, or no sound in it.
    Malformed,
    /// A piece that others heard with other bytes, which are no other form of it.
    WrongBytes,
    /// A piece does not follow the one before: sound was left out, or came twice.
    Gap,
}

/// A piece that somebody has heard.
#[derive(Debug)]
struct Piece {
    begins: u64,
    ends: u64,
    bytes: Box<[u8]>,
    /// How many heard it so.
    heard: u64,
    other: Option<Box<[u8]>>,
}

/// What everyone must hear: the pieces of the last two minutes, in the order of their times.
#[derive(Debug)]
pub struct Programme {
    format: Format,
    pieces: VecDeque<Piece>,
    lean: u64,
}

/// A piece came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Where its sound begins, in the time of the programme.
    pub begins: Duration,
    /// Where its sound ends.
    pub ends: Duration,
    /// It is more than silence: somebody is heard, if only at its end.
    pub sounds: bool,
}

/// Something of a stream that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Sound.
    Sound(Heard),
    /// The server says how it sends.
    Cadence(Cadence),
}

/// How much sound comes at once, as a worker says inside the sound (`docs/formats/event.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// Time from one writing to the next, and of the sound in it: 200 ms at least, a minute at most.
    pub length: Duration,
    /// So it will be after this time; `None`: so it is from here on.
    pub notice: Option<Duration>,
}

impl Programme {
    /// Nothing has been heard yet.
    pub fn new(format: Format) -> Self {
        Self { format, pieces: VecDeque::new(), lean: 0 }
    }

    /// Compares a piece with what others heard, or keeps it. [`Fault::WrongBytes`] if it is not the same.
    fn check(&mut self, begins: u64, ends: u64, bytes: &[u8]) -> Result<(), Fault> {
        let at = self.pieces.partition_point(|piece| piece.begins < begins);
        match self.pieces.get_mut(at) {
            Some(piece) if piece.begins == begins => {
                self.lean += piece.hear(self.format, ends, bytes)?;
                return Ok(());
            }
            // Two pieces that overlap cannot both be right.
            Some(piece) if piece.begins < ends => return Err(Fault::WrongBytes),
            _ => {}
        }
        if at.checked_sub(1).and_then(|before| self.pieces.get(before)).is_some_and(|piece| piece.ends > begins) {
            return Err(Fault::WrongBytes);
        }
        let piece = || Piece { begins, ends, bytes: bytes.into(), heard: 1, other: None };
        if self.pieces.len() >= PIECES_KEPT {
            if at == 0 {
                return Ok(());
            }
            self.pieces.pop_front();
            self.pieces.insert(at - 1, piece());
        } else {
            self.pieces.insert(at, piece());
        }
        Ok(())
    }

    /// How many times the smaller of a piece's two forms was heard, since this was last asked. Of a piece that everyone heard in one form nobody knows which it is.
    pub fn lean(&mut self) -> u64 {
        std::mem::take(&mut self.lean)
    }
}

impl Piece {
    /// It is heard again. How many lean ones are known of now that were not before.
    fn hear(&mut self, format: Format, ends: u64, bytes: &[u8]) -> Result<u64, Fault> {
        let is_first = *self.bytes == *bytes;
        if is_first {
            self.heard += 1;
        }
        match &self.other {
            None if is_first => Ok(0),
            None if self.ends == ends && lean::is_form_of(format, &self.bytes, bytes) => {
                let is_lean = bytes.len() < self.bytes.len();
                self.other = Some(bytes.into());
                Ok(if is_lean { 1 } else { self.heard })
            }
            Some(other) if is_first => Ok(u64::from(bytes.len() < other.len())),
            Some(other) if **other == *bytes => Ok(u64::from(bytes.len() < self.bytes.len())),
            _ => Err(Fault::WrongBytes),
        }
    }
}

/// One listener's stream. Small, because there are many: what was read and is not yet whole is kept, usually nothing.
#[derive(Debug, Default)]
pub struct Stream {
    began: bool,
    /// Where the next piece must begin.
    next: Option<u64>,
    rest: Vec<u8>,
}

impl Stream {
    /// Takes what was read, and tells `came` of every piece, and every cadence, that is now whole. A [`Fault::Gap`] is told and gone on from; after every other one nothing more can be taken.
    ///
    /// # Errors
    /// As [`Fault`] says.
    pub fn take(
        &mut self,
        mut read: &[u8],
        programme: &mut Programme,
        mut came: impl FnMut(Result<Came, Fault>),
    ) -> Result<(), Fault> {
        if self.rest.is_empty() {
            // What usually comes is whole: nothing is copied.
            let used = self.pieces(read, programme, &mut came)?;
            read = &read[used..];
            self.rest.extend_from_slice(read);
        } else {
            self.rest.extend_from_slice(read);
            let rest = std::mem::take(&mut self.rest);
            let used = self.pieces(&rest, programme, &mut came)?;
            // A new one, so that no listener keeps the room of its largest piece.
            self.rest = rest[used..].to_vec();
        }
        if self.rest.len() > PIECE_BYTES_MAX { Err(Fault::Malformed) } else { Ok(()) }
    }

    /// Whether sound has come.
    pub fn has_begun(&self) -> bool {
        self.next.is_some()
    }

    /// Takes all that is whole; returns how many bytes that was.
    fn pieces(
        &mut self,
        read: &[u8],
        programme: &mut Programme,
        came: &mut impl FnMut(Result<Came, Fault>),
    ) -> Result<usize, Fault> {
        let mut used = 0;
        if !self.began {
            match head(read)? {
                Some(bytes) => used = bytes,
                None => return Ok(0),
            }
            self.began = true;
        }
        while let Some(part) = part(programme.format, &read[used..])? {
            match part.content {
                Content::Sound { begins, ends, sounds } => {
                    programme.check(begins, ends, &read[used..used + part.bytes])?;
                    if self.next.replace(ends).is_some_and(|next| next != begins) {
                        came(Err(Fault::Gap));
                    }
                    came(Ok(Came::Sound(Heard { begins: duration(begins), ends: duration(ends), sounds })));
                }
                Content::Cadence(cadence) => came(Ok(Came::Cadence(cadence))),
                Content::Other => {}
            }
            used += part.bytes;
        }
        Ok(used)
    }
}

fn duration(samples: u64) -> Duration {
    Duration::from_secs(samples / SAMPLE_RATE)
        + Duration::from_nanos(samples % SAMPLE_RATE * 1_000_000_000 / SAMPLE_RATE)
}

/// Reads the head of an answer; its length, if it is whole and says 200.
fn head(read: &[u8]) -> Result<Option<usize>, Fault> {
    let within = &read[..read.len().min(HEAD_BYTES_MAX)];
    let Some(end) = within.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if read.len() >= HEAD_BYTES_MAX { Err(Fault::Malformed) } else { Ok(None) };
    };
    let line = within.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let status = match line {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', b' ', digits @ ..] => digits.get(..3),
        _ => None,
    };
    let status = status.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u16>().ok());
    match status.ok_or(Fault::Malformed)? {
        200 => Ok(Some(end + 4)),
        other => Err(Fault::Status(other)),
    }
}

/// A part of a container: so many bytes.
struct Part {
    bytes: usize,
    content: Content,
}

/// What is in it.
enum Content {
    /// Sound, from one time of the programme to another, in samples.
    Sound {
        begins: u64,
        ends: u64,
        sounds: bool,
    },
    Cadence(Cadence),
    /// Nothing that is looked into.
    Other,
}

/// Whether so many bytes of frames are more than silence, from one time to another.
fn is_heard(bytes: usize, begins: u64, ends: u64) -> bool {
    bytes as u64 > (ends - begins) / FRAME_SAMPLES * SILENT_FRAME_BYTES_MAX as u64
}

fn part(format: Format, read: &[u8]) -> Result<Option<Part>, Fault> {
    match format {
        Format::Mp4 => fragment_or_box(read),
        Format::Ogg => page(read),
    }
}

/// A `moof` with its `mdat` is a piece; every other box (`ftyp`, `moov`, an event) is passed over, but for a worker's word of its cadence.
fn fragment_or_box(read: &[u8]) -> Result<Option<Part>, Fault> {
    let Some((kind, bytes)) = box_head(read)? else { return Ok(None) };
    if kind != *b"moof" {
        let Some(whole) = read.get(..bytes) else { return Ok(None) };
        let cadence = if kind == *b"emsg" { cadence(whole) } else { None };
        return Ok(Some(Part { bytes, content: cadence.map_or(Content::Other, Content::Cadence) }));
    }
    let Some((kind, mdat_bytes)) = read.get(bytes..).map(box_head).transpose()?.flatten() else { return Ok(None) };
    if kind != *b"mdat" {
        return Err(Fault::Malformed);
    }
    let (begins, ends) = moof_times(&read[8..bytes]).ok_or(Fault::Malformed)?;
    let sounds = is_heard(mdat_bytes - 8, begins, ends);
    let bytes = bytes + mdat_bytes;
    Ok((read.len() >= bytes).then_some(Part { bytes, content: Content::Sound { begins, ends, sounds } }))
}

/// The cadence that an `emsg` box tells of; `None` for all other events. Whether it is one is asked of its id first, because events of the programme, which are
/// long and many, come to every listener.
fn cadence(emsg: &[u8]) -> Option<Cadence> {
    // Head (8), version and flags (4), timescale (4), time (8), duration (4), id (4): ISO/IEC 23009-1 §5.10.3.3.
    let id = u32::from_be_bytes(*emsg.get(28..)?.first_chunk()?);
    let scheme = emsg.get(32..)?.starts_with(b"https://aomedia.org/emsg/ID3\0\0ID3");
    let is_ours = scheme && emsg.get(82..)?.starts_with(b"hiwar\0");
    if !WORKER_IDS.contains(&id) || !is_ours {
        return None;
    }
    let said: Said = serde_json::from_slice(emsg.get(88..)?).ok()?;
    let length = Duration::from_millis(said.ms);
    let is_one = said.t == "cadence" && (CADENCE_MIN..=CADENCE_MAX).contains(&length);
    is_one.then_some(Cadence { length, notice: said.in_ms.map(Duration::from_millis) })
}

/// The words of an event, as far as they matter here.
#[derive(Deserialize)]
struct Said<'a> {
    t: &'a str,
    ms: u64,
    in_ms: Option<u64>,
}

/// What a box is, in four letters.
type Kind = [u8; 4];

/// Kind and length of the box that begins here (ISO/IEC 14496-12 §4.2), if its head is there. Boxes of 64 bits, or without an end, have no place in a live stream.
fn box_head(read: &[u8]) -> Result<Option<(Kind, usize)>, Fault> {
    let (Some(length), Some(kind)) = (read.first_chunk::<4>(), read.get(4..).and_then(<[u8]>::first_chunk::<4>)) else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if (8..=PIECE_BYTES_MAX).contains(&length) { Ok(Some((*kind, length))) } else { Err(Fault::Malformed) }
}

/// Where a fragment begins (`tfdt`, §8.8.12) and ends (by the count of `trun`, §8.8.8).
fn moof_times(moof: &[u8]) -> Option<(u64, u64)> {
    let traf = child(moof, *b"traf")?;
    let tfdt = child(traf, *b"tfdt")?;
    let begins = match tfdt.first()? {
        1 => u64::from_be_bytes(*tfdt.get(4..)?.first_chunk()?),
        _ => u64::from(u32::from_be_bytes(*tfdt.get(4..)?.first_chunk()?)),
    };
    let count = u32::from_be_bytes(*child(traf, *b"trun")?.get(4..)?.first_chunk()?);
    Some((begins, begins.checked_add(u64::from(count) * FRAME_SAMPLES)?))
}

/// What is in the first box of that kind.
fn child(mut within: &[u8], wanted: Kind) -> Option<&[u8]> {
    loop {
        let (kind, bytes) = box_head(within).ok()??;
        let inside = within.get(8..bytes)?;
        if kind == wanted {
            return Some(inside);
        }
        within = within.get(bytes..)?;
    }
}

/// A page of Ogg (RFC 3533 §6). Its granule position says where it ends, its packets how long it is; pages without packets that end, and the two heads (granule
/// position 0), are no sound.
fn page(read: &[u8]) -> Result<Option<Part>, Fault> {
    let Some(head) = read.first_chunk::<27>() else { return Ok(None) };
    if head[..5] != *b"OggS\0" {
        return Err(Fault::Malformed);
    }
    let Some(lacing) = read.get(27..27 + usize::from(head[26])) else { return Ok(None) };
    let sound_bytes = lacing.iter().map(|value| usize::from(*value)).sum::<usize>();
    let bytes = 27 + lacing.len() + sound_bytes;
    if read.len() < bytes {
        return Ok(None);
    }
    let granule = u64::from_le_bytes([head[6], head[7], head[8], head[9], head[10], head[11], head[12], head[13]]);
    let packets = lacing.iter().filter(|value| **value < 255).count() as u64;
    if granule == 0 || packets == 0 {
        return Ok(Some(Part { bytes, content: Content::Other }));
    }
    let begins = granule.checked_sub(packets * FRAME_SAMPLES).ok_or(Fault::Malformed)?;
    let sounds = is_heard(sound_bytes, begins, granule);
    Ok(Some(Part { bytes, content: Content::Sound { begins, ends: granule, sounds } }))
}

#[cfg(test)]
mod tests;
