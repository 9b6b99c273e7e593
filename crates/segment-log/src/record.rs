//! One record and its bytes: a fixed head with a sync magic and its own checksum, then a body with another.
//!
//! Two checksums, so that a damaged body still has a trusted length: the reader knows whose body it was and where the next record
//! begins. Layout in `docs/formats/record.md`; integers are little-endian.

use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;

use crate::position::{Epoch, Position};

/// One record of a log. Cheap to clone: the body is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Of a chunk: its number. Of a Header, Gap or Seal: the number of the chunk that would come next.
    pub position: Position,
    /// Under which claim it was written.
    pub epoch: Epoch,
    /// What the body is.
    pub kind: Kind,
    /// Media time at which the record begins, in the header's timescale, on the space's own clock.
    pub time: u64,
    /// How long it lasts, in the header's timescale.
    pub duration: u32,
    /// When it was made: microseconds since the Unix epoch.
    pub wall_us: u64,
    /// Chunk: [`Parts`]. Header: [`crate::Header`]. Gap: where the log resumes, see [`Record::gap`]. Seal: empty.
    pub body: Bytes,
}

impl Record {
    /// A Gap record: chunks from `first` up to (not including) `resumes` were made but not kept.
    #[must_use]
    pub fn gap(first: Position, resumes: Position, epoch: Epoch, time: u64, wall_us: u64) -> Self {
        let body = Bytes::copy_from_slice(&resumes.0.to_le_bytes());
        Self { position: first, epoch, kind: Kind::Gap, time, duration: 0, wall_us, body }
    }

    /// Of a Gap record: the position at which the log resumes. `None` for other kinds, or if the body makes no sense.
    #[must_use]
    pub fn resumes(&self) -> Option<Position> {
        let body: [u8; 8] = self.body.as_ref().try_into().ok()?;
        let resumes = Position(u64::from_le_bytes(body));
        (self.kind == Kind::Gap && resumes > self.position).then_some(resumes)
    }

    /// Appends the record's bytes to `out`.
    ///
    /// # Panics
    /// If the body is longer than [`BODY_BYTES_MAX`], which the writer refuses before.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        assert!(self.body.len() <= BODY_BYTES_MAX, "the writer refuses bodies over {BODY_BYTES_MAX} bytes");
        out.put_slice(&MAGIC);
        out.put_u8(VERSION);
        out.put_u8(self.kind as u8);
        out.put_u16_le(0);
        out.put_u32_le(self.epoch.0);
        out.put_u32_le(self.duration);
        out.put_u64_le(self.position.0);
        out.put_u64_le(self.time);
        out.put_u64_le(self.wall_us);
        out.put_u32_le(self.body.len() as u32);
        out.put_u32_le(self.body_checksum());
        let checksum = crc32c::crc32c(&out[begin..]);
        out.put_u32_le(checksum);
        out.put_slice(&self.body);
    }

    /// CRC-32C of the body, as the record's head has it on the disk.
    #[must_use]
    pub fn body_checksum(&self) -> u32 {
        crc32c::crc32c(&self.body)
    }

    /// How many bytes [`Record::encode`] appends.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        HEAD_BYTES + self.body.len()
    }

    /// Reads one record at the start of `bytes`; returns it and how many bytes it took. The body is a slice of `bytes`, not a copy.
    ///
    /// # Errors
    /// [`Damage`]: what is wrong with the first record. [`Damage::Short`] only if everything before the end is sound.
    pub fn decode(bytes: Bytes) -> Result<(Self, usize), Damage> {
        let head = Head::decode(&bytes)?;
        let end = head.encoded_len();
        if bytes.len() < end {
            return Err(Damage::Short);
        }
        let body = bytes.slice(HEAD_BYTES..end);
        if crc32c::crc32c(&body) != head.body_checksum {
            return Err(Damage::BodyChecksum);
        }
        let Head { position, epoch, kind, time, duration, wall_us, .. } = head;
        Ok((Self { position, epoch, kind, time, duration, wall_us, body }, end))
    }

    /// The part with this id, if the record is a chunk and has it. No copy is made.
    #[must_use]
    pub fn part(&self, id: u8) -> Option<Bytes> {
        self.parts().find_map(|(found, bytes)| (found == id).then_some(bytes))
    }

    /// Every part of a chunk in order. Ends at the first part that does not fit: the body's checksum makes that a bug of the writer.
    pub fn parts(&self) -> impl Iterator<Item = (u8, Bytes)> {
        let mut rest = if self.kind == Kind::Chunk { self.body.clone() } else { Bytes::new() };
        std::iter::from_fn(move || {
            let (&id, len) = (rest.first()?, rest.get(1..PART_HEAD_BYTES)?);
            let len = u32::from_le_bytes(len.try_into().ok()?) as usize;
            let end = PART_HEAD_BYTES.checked_add(len)?;
            if rest.len() < end {
                return None;
            }
            let part = rest.split_to(end).slice(PART_HEAD_BYTES..);
            Some((id, part))
        })
    }
}

/// What a record is.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// What the chunks that follow are made of: a [`crate::Header`]. First in every log segment, and again at every claim.
    Header = 1,
    /// Parts of one chunk.
    Chunk = 2,
    /// Chunks that were made but could not be kept.
    Gap = 3,
    /// The log is complete; nothing follows.
    Seal = 4,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Header,
            2 => Self::Chunk,
            3 => Self::Gap,
            4 => Self::Seal,
            _ => return None,
        })
    }
}

/// The fixed part before the body. Separate, because a record whose body is damaged is still known by it.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Head {
    /// As in [`Record`].
    pub position: Position,
    /// As in [`Record`].
    pub epoch: Epoch,
    /// As in [`Record`].
    pub kind: Kind,
    /// As in [`Record`].
    pub time: u64,
    /// As in [`Record`].
    pub duration: u32,
    /// As in [`Record`].
    pub wall_us: u64,
    body_len: u32,
    body_checksum: u32,
}

impl Head {
    /// Reads the head at the start of `bytes`.
    ///
    /// # Errors
    /// [`Damage`] other than `BodyChecksum`. The checksum is looked at before any field: a wrong field in a sound head is `Unknown`,
    /// a record of a later version.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        if !bytes.starts_with(&MAGIC) {
            let torn = bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes);
            return Err(if torn { Damage::Short } else { Damage::Magic });
        }
        let mut fields = Fields(bytes.get(..HEAD_BYTES).ok_or(Damage::Short)?);
        let checked = fields.0.get(..HEAD_BYTES - 4).ok_or(Damage::Short)?;
        let checksum = crc32c::crc32c(checked);
        let _magic: [u8; 4] = fields.take()?;
        let [version, kind, reserved_0, reserved_1] = fields.take()?;
        let head = Self {
            epoch: Epoch(u32::from_le_bytes(fields.take()?)),
            duration: u32::from_le_bytes(fields.take()?),
            position: Position(u64::from_le_bytes(fields.take()?)),
            time: u64::from_le_bytes(fields.take()?),
            wall_us: u64::from_le_bytes(fields.take()?),
            body_len: u32::from_le_bytes(fields.take()?),
            body_checksum: u32::from_le_bytes(fields.take()?),
            kind: Kind::from_byte(kind).unwrap_or(Kind::Gap),
        };
        if u32::from_le_bytes(fields.take()?) != checksum {
            return Err(Damage::HeadChecksum);
        }
        let known = version == VERSION && Kind::from_byte(kind).is_some() && [reserved_0, reserved_1] == [0, 0];
        if !known || head.body_len as usize > BODY_BYTES_MAX {
            return Err(Damage::Unknown);
        }
        Ok(head)
    }

    /// How many bytes the whole record takes, head and body.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        HEAD_BYTES + self.body_len as usize
    }
}

/// Takes fixed-size fields off the front of a slice.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Damage::Short)?;
        self.0 = rest;
        Ok(*field)
    }
}

/// Why bytes are not a whole record.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash)]
pub enum Damage {
    /// The bytes end before the record does; what is there is sound so far.
    Short,
    /// No record begins here.
    Magic,
    /// The head's checksum does not match: nothing in it can be trusted.
    HeadChecksum,
    /// The head is sound, the body is not.
    BodyChecksum,
    /// A sound head of a version, kind or size that this program does not know.
    Unknown,
    /// Nothing is wrong with the bytes that are there, but records are missing before them.
    Missing,
    /// A sound record that stands where it cannot: an older epoch after a newer, or a position that was already passed.
    OutOfOrder,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "cut short",
            Self::Magic => "no record begins here",
            Self::HeadChecksum => "wrong checksum of the head",
            Self::BodyChecksum => "wrong checksum of the body",
            Self::Unknown => "unknown version, kind or size",
            Self::Missing => "records are missing",
            Self::OutOfOrder => "out of order",
        })
    }
}

impl std::error::Error for Damage {}

/// Builds the body of a chunk: parts one after the other, each with an id and a length.
#[derive(Debug, Default)]
pub struct Parts(BytesMut);

impl Parts {
    /// No parts yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for `bytes` of content in up to 8 parts, so that building allocates once.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(BytesMut::with_capacity(bytes + 8 * PART_HEAD_BYTES))
    }

    /// Adds one part.
    ///
    /// # Panics
    /// If the body grows beyond [`BODY_BYTES_MAX`]: a chunk is a few kilobytes, so that is a bug of the caller.
    #[must_use]
    pub fn push(mut self, id: u8, bytes: &[u8]) -> Self {
        let room = BODY_BYTES_MAX.saturating_sub(self.0.len() + PART_HEAD_BYTES);
        assert!(bytes.len() <= room, "a chunk of over {BODY_BYTES_MAX} bytes");
        self.0.put_u8(id);
        self.0.put_u32_le(bytes.len() as u32);
        self.0.put_slice(bytes);
        self
    }

    /// The body.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.0.freeze()
    }
}

/// Begins every record. Not valid UTF-8 (0xFF), so that no text that people wrote into an event can look like the start of a record to
/// a reader that lost its place; not a box or a page header either.
pub const MAGIC: [u8; 4] = [0xFF, b'h', b'R', 0x01];

/// Size of the head: magic 4, version 1, kind 1, reserved 2, epoch 4, duration 4, position 8, time 8, wall 8, body length 4, body
/// checksum 4, head checksum 4.
pub const HEAD_BYTES: usize = 52;

/// The longest body. A chunk has about 2 kB and a header about 1 kB; the bound keeps a reader of damaged or foreign bytes from waiting
/// for gigabytes that a length field promises. It fits the live bus's 8 MiB frame.
pub const BODY_BYTES_MAX: usize = 4 << 20;

const VERSION: u8 = 1;
const PART_HEAD_BYTES: usize = 5;
