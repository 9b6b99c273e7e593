//! From RTP to packets of sound: one Opus packet each, numbered without wrap-around.
//!
//! RED (RFC 2198) is split here, so that what follows sees only Opus: a redundant block becomes a [`Packet`] of its own, marked as such.
//! Nothing here decodes or waits; order, loss and duplicates are the jitter buffer's business.

use std::fmt;
use std::time::Instant;

use crate::level::Level;

/// The longest Opus packet taken, in bytes: one frame at its largest (RFC 6716 §3.2.1). Speech at 60 ms is far below.
pub const PAYLOAD_BYTES_MAX: usize = 1275;

/// Most blocks in one RED packet that are looked at; browsers send one or two redundant blocks, and a header is 4 bytes of attacker's choice.
const RED_BLOCKS_MAX: usize = 8;

/// Packets in a row from the previous SSRC before we believe that the sender went back to it; fewer are stragglers of the change.
const RETURN_TO_OLD_SSRC: u8 = 10;

/// Where extended counters begin: one full turn of the 32-bit counter, so that what is older than the first packet has a number too.
const EXTENDED_ORIGIN: u64 = 1 << 32;

/// One Opus packet, lent: never empty, never longer than [`PAYLOAD_BYTES_MAX`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Opus<'a>(&'a [u8]);

impl<'a> Opus<'a> {
    /// Takes bytes for an Opus packet; `None` if there are none, or more than [`PAYLOAD_BYTES_MAX`].
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (1..=PAYLOAD_BYTES_MAX).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The packet's bytes.
    pub fn as_slice(self) -> &'a [u8] {
        self.0
    }

    /// How long the packet sounds, in samples at 48 kHz, from its first bytes (RFC 6716 §3.1, §3.2); `None` if it is no Opus packet
    /// (no frames, or more than 120 ms of them).
    pub fn duration(self) -> Option<u32> {
        let toc = *self.0.first()?;
        let frame = match toc >> 3 {
            config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
            config @ 12..=15 => [480, 960][usize::from(config & 1)],
            config => [120, 240, 480, 960][usize::from(config & 3)],
        };
        let frames = match toc & 3 {
            0 => 1,
            1 | 2 => 2,
            _ => u32::from(*self.0.get(1)? & 0x3f),
        };
        let duration = frame * frames;
        (1..=5760).contains(&duration).then_some(duration)
    }

    /// Whether the packet carries a second copy of the sound before it (in-band FEC: the LBRR flags of RFC 6716 §4.2.4).
    pub fn has_fec(self) -> bool {
        let Some(toc) = self.0.first() else { return false };
        let config = toc >> 3;
        // CELT has no such thing; SILK frames are 20 ms at most, each with a flag of its own.
        let silk_frames = match config {
            16.. => return false,
            12..=15 => 1,
            _ => [1, 1, 2, 3][usize::from(config & 3)],
        };
        let first = match (toc & 3, self.0) {
            (0 | 1, [_, first, ..]) | (2, [_, 0..=251, first, ..]) | (2, [_, 252..=255, _, first, ..]) => *first,
            // Frames in code 3 packets are harder to find, and nobody sends FEC in them.
            _ => return false,
        };
        let stereo = toc & 4 != 0;
        first >> (7 - silk_frames) & 1 == 1 || stereo && silk_frames < 3 && first >> (6 - 2 * silk_frames) & 1 == 1
    }

    /// Whether the packet only says "nothing to hear" (discontinuous transmission: a TOC and at most one byte, RFC 6716 §2.1.9).
    pub fn is_silence(self) -> bool {
        self.0.len() <= 2
    }
}

impl fmt::Debug for Opus<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opus({} bytes)", self.0.len())
    }
}

/// One Opus packet by value, in room for the longest, so that it can be kept without allocation. Nearly all are a tenth of that: whatever copies or
/// compares one touches only what is there, and so it is not `Copy`.
pub struct Payload {
    len: u16,
    bytes: [u8; PAYLOAD_BYTES_MAX],
}

impl Payload {
    /// Copies one Opus packet; `None` if it is empty or longer than [`PAYLOAD_BYTES_MAX`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        Opus::new(bytes).map(Self::from)
    }

    /// The Opus packet.
    pub fn opus(&self) -> Opus<'_> {
        Opus(self.as_slice())
    }

    /// Its bytes; never empty.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Becomes another packet.
    pub fn assign(&mut self, opus: Opus<'_>) {
        self.len = opus.0.len() as u16;
        self.bytes[..opus.0.len()].copy_from_slice(opus.0);
    }

    /// Becomes a packet of so many bytes, to be written by the caller; `None`, and nothing changes, if no packet is so long.
    pub fn resize(&mut self, len: usize) -> Option<&mut [u8]> {
        if !(1..=PAYLOAD_BYTES_MAX).contains(&len) {
            return None;
        }
        self.len = len as u16;
        Some(&mut self.bytes[..len])
    }
}

impl From<Opus<'_>> for Payload {
    fn from(opus: Opus<'_>) -> Self {
        let mut payload = Self::default();
        payload.assign(opus);
        payload
    }
}

/// The shortest packet that says nothing.
impl Default for Payload {
    fn default() -> Self {
        let mut bytes = [0; PAYLOAD_BYTES_MAX];
        // 20 ms of CELT, one frame, in which nothing is.
        bytes[0] = 0xf8;
        Self { len: 1, bytes }
    }
}

impl Clone for Payload {
    fn clone(&self) -> Self {
        self.opus().into()
    }

    fn clone_from(&mut self, other: &Self) {
        self.assign(other.opus());
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.len)
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Payload {}

/// One Opus packet of one speaker, with numbers that never wrap. `P` is its sound, or where that lies.
#[derive(Debug, Clone, Copy)]
pub struct Packet<P> {
    /// Counts the streams of this speaker: one more at every SSRC change. Numbers of different sources are not comparable.
    pub source: u32,
    /// RTP sequence number, extended (RFC 3550 appendix A.1); of a redundant block, that of the packet it repeats as far as can be told.
    pub sequence: u64,
    /// RTP timestamp, extended: samples at 48 kHz (RFC 7587 §4.1).
    pub timestamp: u64,
    /// When the RTP packet came in.
    pub arrival: Instant,
    /// Came as a redundant block of RED (RFC 2198): a copy of something sent earlier.
    pub redundant: bool,
    /// The client's own idea of its level (RFC 6464): for meters only.
    pub level: Option<Level>,
    /// The sound.
    pub payload: P,
}

impl<P> Packet<P> {
    /// The same packet, its sound in another form.
    pub fn with<Q>(&self, payload: Q) -> Packet<Q> {
        let Self { source, sequence, timestamp, arrival, redundant, level, payload: _ } = *self;
        Packet { source, sequence, timestamp, arrival, redundant, level, payload }
    }
}

/// How an RTP payload is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// One Opus packet (RFC 7587).
    Opus,
    /// RED blocks that hold Opus packets (RFC 2198).
    Red,
}

/// One RTP packet, taken apart by whoever received it.
#[derive(Debug, Clone, Copy)]
pub struct Rtp<'a> {
    /// How `payload` is laid out, told by the payload type.
    pub coding: Coding,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Sequence number, as on the wire.
    pub sequence: u16,
    /// Timestamp, as on the wire.
    pub timestamp: u32,
    /// Header extension of RFC 6464, if there was one.
    pub level: Option<Level>,
    /// Payload without RTP padding.
    pub payload: &'a [u8],
}

/// An RTP payload that is not what its payload type says. The packet is lost; the stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// A RED header ends early, or there are more blocks than anyone sends.
    RedHeader,
    /// RED blocks are longer than the packet.
    RedLength,
    /// An Opus packet longer than [`PAYLOAD_BYTES_MAX`].
    TooLong,
    /// Not an Opus packet: no frames, or more than 120 ms of them (RFC 6716 §3.2).
    NotOpus,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::RedHeader => "RED header cut short or with too many blocks",
            Malformed::RedLength => "RED blocks longer than the packet",
            Malformed::TooLong => "Opus packet too long",
            Malformed::NotOpus => "not an Opus packet",
        })
    }
}

impl std::error::Error for Malformed {}

/// RTP of one speaker in, packets out. Owns the extension of sequence numbers and timestamps, changes of SSRC, and RED.
#[derive(Debug, Default)]
pub struct Depacketizer {
    source: u32,
    stream: Option<Stream>,
    /// The SSRC before the last change, and how many packets in a row still carry it.
    old: Option<(u32, u8)>,
}

/// Counters of one SSRC: the highest seen.
#[derive(Debug, Clone, Copy)]
struct Stream {
    ssrc: u32,
    sequence: u64,
    timestamp: u64,
}

impl Depacketizer {
    /// A speaker of whom nothing has come yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Splits one RTP packet into Opus packets, oldest first. An empty payload (a browser's bandwidth probe) only moves the counters.
    ///
    /// # Errors
    /// [`Malformed`] if the payload is not what its coding says; then nothing was given to `out`.
    pub fn depacketize(
        &mut self,
        arrival: Instant,
        rtp: Rtp<'_>,
        mut out: impl FnMut(Packet<Opus<'_>>),
    ) -> Result<(), Malformed> {
        // A payload that is not sound must not move counters either: look at all of it before believing any of it.
        let blocks = Blocks::parse(rtp.coding, rtp.payload)?;
        let Some((sequence, timestamp)) = self.extend(&rtp) else { return Ok(()) };
        for (index, block) in blocks.iter().enumerate() {
            let distance = (blocks.len() - 1 - index) as u64;
            let Some(payload) = Opus::new(block.bytes) else { continue };
            out(Packet {
                source: self.source,
                sequence: sequence.saturating_sub(distance),
                timestamp: timestamp.saturating_sub(u64::from(block.timestamp_offset)),
                arrival,
                redundant: distance > 0,
                level: rtp.level,
                payload,
            });
        }
        Ok(())
    }

    /// Extends the counters of one packet; `None` for a straggler of the previous SSRC.
    fn extend(&mut self, rtp: &Rtp<'_>) -> Option<(u64, u64)> {
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.ssrc == rtp.ssrc) else {
            if let Some((old, count)) = self.old.as_mut().filter(|(old, _)| *old == rtp.ssrc) {
                *count += 1;
                if *count < RETURN_TO_OLD_SSRC {
                    return None;
                }
                debug_assert_eq!(*old, rtp.ssrc);
            }
            if let Some(stream) = self.stream {
                self.source = self.source.wrapping_add(1);
                self.old = Some((stream.ssrc, 0));
            }
            let sequence = EXTENDED_ORIGIN + u64::from(rtp.sequence);
            let timestamp = EXTENDED_ORIGIN + u64::from(rtp.timestamp);
            self.stream = Some(Stream { ssrc: rtp.ssrc, sequence, timestamp });
            return Some((sequence, timestamp));
        };
        if let Some((_, count)) = self.old.as_mut() {
            *count = 0;
        }
        let sequence_step = i64::from(rtp.sequence.wrapping_sub(stream.sequence as u16) as i16);
        let timestamp_step = i64::from(rtp.timestamp.wrapping_sub(stream.timestamp as u32) as i32);
        let sequence = stream.sequence.saturating_add_signed(sequence_step);
        let timestamp = stream.timestamp.saturating_add_signed(timestamp_step);
        // Both follow the sequence number: a late packet must not hold the timestamp back, nor push it ahead.
        if sequence_step > 0 {
            stream.sequence = sequence;
            stream.timestamp = timestamp;
        }
        Some((sequence, timestamp))
    }
}

/// One block of a payload.
#[derive(Debug, Clone, Copy, Default)]
struct Block<'a> {
    timestamp_offset: u16,
    bytes: &'a [u8],
}

/// The blocks of a payload, oldest first; without RED there is just one.
struct Blocks<'a> {
    len: usize,
    blocks: [Block<'a>; RED_BLOCKS_MAX],
}

impl<'a> Blocks<'a> {
    fn parse(coding: Coding, payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut blocks = Self { len: 0, blocks: [Block::default(); RED_BLOCKS_MAX] };
        match coding {
            _ if payload.is_empty() => {}
            Coding::Opus => blocks.push(Block { timestamp_offset: 0, bytes: payload })?,
            Coding::Red => blocks.split(payload)?,
        }
        for block in blocks.iter() {
            check_opus(block.bytes)?;
        }
        Ok(blocks)
    }

    /// RFC 2198 §3: four-byte headers (F, payload type, timestamp offset 14 bits, length 10 bits), one one-byte header, then the data.
    fn split(&mut self, payload: &'a [u8]) -> Result<(), Malformed> {
        let mut lengths = [0_usize; RED_BLOCKS_MAX];
        let mut rest = payload;
        loop {
            match *rest {
                [head, ref data @ ..] if head & 0x80 == 0 => {
                    rest = data;
                    break;
                }
                [_, a, b, c, ref more @ ..] => {
                    let offset = u16::from(a) << 6 | u16::from(b) >> 2;
                    *lengths.get_mut(self.len).ok_or(Malformed::RedHeader)? = usize::from(b & 3) << 8 | usize::from(c);
                    self.push(Block { timestamp_offset: offset, bytes: &[] })?;
                    rest = more;
                }
                _ => return Err(Malformed::RedHeader),
            }
        }
        for (block, length) in self.blocks.iter_mut().zip(lengths).take(self.len) {
            (block.bytes, rest) = rest.split_at_checked(length).ok_or(Malformed::RedLength)?;
        }
        self.push(Block { timestamp_offset: 0, bytes: rest })
    }

    fn push(&mut self, block: Block<'a>) -> Result<(), Malformed> {
        *self.blocks.get_mut(self.len).ok_or(Malformed::RedHeader)? = block;
        self.len += 1;
        Ok(())
    }

    fn len(&self) -> usize {
        self.len
    }

    fn iter(&self) -> impl Iterator<Item = &Block<'a>> {
        self.blocks.iter().take(self.len)
    }
}

/// Whether bytes can be an Opus packet by their first two bytes. Empty is fine: such a block is skipped.
fn check_opus(bytes: &[u8]) -> Result<(), Malformed> {
    if bytes.is_empty() {
        return Ok(());
    }
    let opus = Opus::new(bytes).ok_or(Malformed::TooLong)?;
    opus.duration().map(|_| ()).ok_or(Malformed::NotOpus)
}

#[cfg(test)]
mod tests;
