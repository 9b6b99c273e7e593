//! Ogg Opus (RFC 3533, RFC 7845): the two header pages, one page per chunk, and reading a file's packets back.
//!
//! One logical stream, never chained: players stop at a chain's joint. [`page`] runs on the beat: no allocation while `out` has
//! room, no lock, no log.

use super::{Channels, PRE_SKIP, Track};
use crate::chunk::{FRAME_BYTES_MAX, Frames};
use crate::{CHUNK_FRAMES, SAMPLE_RATE};

/// MIME type (RFC 7845 §9).
pub const MIME: &str = "audio/ogg";
/// Pages of [`head`]; a chunk's page number is its index + this.
pub const HEAD_PAGES: u32 = 2;
/// Bytes of the largest chunk's page.
pub const CHUNK_PAGE_BYTES_MAX: usize = HEADER_BYTES + CHUNK_FRAMES * (segments(FRAME_BYTES_MAX) + FRAME_BYTES_MAX);

pub(crate) const HEADER_BYTES: usize = 27;
/// A page's segment table has one byte for its own length (RFC 3533 §6).
pub(crate) const PAGE_SEGMENTS_MAX: usize = 255;
// A chunk always fits on one page.
const _: () = assert!(CHUNK_FRAMES * segments(FRAME_BYTES_MAX) <= PAGE_SEGMENTS_MAX);

/// Where a page is in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Others follow.
    Middle,
    /// The stream ends here.
    Last,
}

/// Lacing values of a packet: a multiple of 255 needs a closing zero (RFC 3533 §6).
pub(crate) const fn segments(packet_bytes: usize) -> usize {
    packet_bytes / 255 + 1
}

/// Appends one chunk as one page. `sequence` is the chunk's index + [`HEAD_PAGES`]. `granule` is where the sound stands after the
/// page's last sample, [`PRE_SKIP`] included (RFC 7845 §4.1): for a live chunk time + duration + `PRE_SKIP`.
pub fn page(out: &mut Vec<u8>, serial: u32, sequence: u32, granule: u64, frames: &Frames, place: Place) {
    let flags = if place == Place::Last { 4 } else { 0 };
    write_page(out, flags, serial, sequence, granule, frames.iter());
}

/// Appends a page of whole packets. The caller sees to it that they have no more than [`PAGE_SEGMENTS_MAX`] segments.
/// Flags: 2 the first page of the stream, 4 the last.
pub(crate) fn write_page<'a>(
    out: &mut Vec<u8>,
    flags: u8,
    serial: u32,
    sequence: u32,
    granule: u64,
    packets: impl Iterator<Item = &'a [u8]> + Clone,
) {
    let start = out.len();
    out.extend_from_slice(b"OggS\0");
    out.push(flags);
    out.extend_from_slice(&granule.to_le_bytes());
    out.extend_from_slice(&serial.to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&[0; 5]); // checksum and segment count, both filled in below
    for packet in packets.clone() {
        out.extend(std::iter::repeat_n(255, packet.len() / 255));
        out.push((packet.len() % 255) as u8);
    }
    let count = out.len() - start - HEADER_BYTES;
    debug_assert!(count <= PAGE_SEGMENTS_MAX, "a page has at most 255 segments, not {count}");
    out[start + 26] = count as u8;
    packets.for_each(|packet| out.extend_from_slice(packet));
    let checksum = crc(&out[start..]);
    out[start + 22..start + 26].copy_from_slice(&checksum.to_le_bytes());
}

/// The two header pages (RFC 7845 §5): `OpusHead` and `OpusTags` with `tags` as (NAME, value). Tags that do not fit on the
/// second page (65,025 bytes) are left out, because chunk pages are numbered from [`HEAD_PAGES`].
pub fn head(serial: u32, track: &Track, tags: &[(&str, &str)]) -> Vec<u8> {
    head_skipping(PRE_SKIP, serial, track, tags)
}

/// The same of a stream whose first `pre_skip` samples are there for the decoder alone (RFC 7845 §4.2).
pub(crate) fn head_skipping(pre_skip: u16, serial: u32, track: &Track, tags: &[(&str, &str)]) -> Vec<u8> {
    let mut id = Vec::with_capacity(19);
    id.extend_from_slice(b"OpusHead\x01");
    id.push(track.channels as u8);
    id.extend_from_slice(&pre_skip.to_le_bytes());
    id.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
    id.extend_from_slice(&[0; 3]); // output gain 0, mapping family 0

    const BYTES_MAX: usize = PAGE_SEGMENTS_MAX * 255 - 1;
    let mut comments = Vec::new();
    let vendor = b"hiwar";
    comments.extend_from_slice(b"OpusTags");
    comments.extend_from_slice(&(vendor.len() as u32).to_le_bytes());
    comments.extend_from_slice(vendor);
    let count_at = comments.len();
    let mut count = 0_u32;
    comments.extend_from_slice(&[0; 4]);
    for (name, value) in tags {
        let length = name.len() + 1 + value.len();
        if comments.len() + 4 + length <= BYTES_MAX {
            comments.extend_from_slice(&(length as u32).to_le_bytes());
            comments.extend_from_slice(name.as_bytes());
            comments.push(b'=');
            comments.extend_from_slice(value.as_bytes());
            count += 1;
        }
    }
    comments[count_at..count_at + 4].copy_from_slice(&count.to_le_bytes());

    let mut out = Vec::with_capacity(2 * HEADER_BYTES + 300 + id.len() + comments.len());
    write_page(&mut out, 2, serial, 0, 0, std::iter::once(&id[..]));
    write_page(&mut out, 0, serial, 1, 0, std::iter::once(&comments[..]));
    out
}

/// An Ogg Opus file's packets, read by [`frames`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// As its `OpusHead` says.
    pub channels: Channels,
    /// Samples at 48 kHz to drop at the beginning.
    pub pre_skip: u16,
    /// The Opus packets after the headers, oldest first.
    pub packets: Vec<Vec<u8>>,
}

/// Why a file is not one Ogg Opus stream that we play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// A page does not begin with `OggS`, or the bytes end inside it.
    Page,
    /// A page's checksum is wrong.
    Checksum,
    /// A page is missing, or of another stream (chained or multiplexed).
    Sequence,
    /// `OpusHead` or `OpusTags` is missing, or is of a kind that we do not play (more than two channels).
    Head,
    /// A packet has more than [`FRAME_BYTES_MAX`] bytes per frame that it could hold.
    Packet,
}

/// Reads a whole Ogg Opus file from outside: demo speech, hold music. Copies each packet once.
///
/// # Errors
/// One [`Malformed`] per rule; it never panics.
pub fn frames(mut bytes: &[u8]) -> Result<Stream, Malformed> {
    /// RFC 6716 §3.2.5: at most 48 frames in a packet, and comments may be long.
    const PACKET_BYTES_MAX: usize = 48 * FRAME_BYTES_MAX + 64;
    let mut serial = None;
    let mut packets: Vec<Vec<u8>> = Vec::new();
    let mut partial: Vec<u8> = Vec::new();
    let mut sequence = 0_u32;
    while !bytes.is_empty() {
        let header = bytes.get(..HEADER_BYTES).ok_or(Malformed::Page)?;
        let word = |at: usize| header.get(at..at + 4).and_then(|w| w.try_into().ok()).map(u32::from_le_bytes);
        if !header.starts_with(b"OggS\0") {
            return Err(Malformed::Page);
        }
        let count = usize::from(*header.get(26).ok_or(Malformed::Page)?);
        let table = bytes.get(HEADER_BYTES..HEADER_BYTES + count).ok_or(Malformed::Page)?;
        let body_len: usize = table.iter().map(|&segment| usize::from(segment)).sum();
        let whole = HEADER_BYTES + count + body_len;
        let page = bytes.get(..whole).ok_or(Malformed::Page)?;
        if crc_without_its_own_field(page) != word(22) {
            return Err(Malformed::Checksum);
        }
        if *serial.get_or_insert(word(14)) != word(14) || word(18) != Some(sequence) {
            return Err(Malformed::Sequence);
        }
        sequence = sequence.wrapping_add(1);
        let mut body = page.get(HEADER_BYTES + count..).ok_or(Malformed::Page)?;
        for &segment in table {
            let (piece, rest) = body.split_at_checked(usize::from(segment)).ok_or(Malformed::Page)?;
            body = rest;
            partial.extend_from_slice(piece);
            if partial.len() > PACKET_BYTES_MAX {
                return Err(Malformed::Packet);
            }
            if segment < 255 {
                packets.push(std::mem::take(&mut partial));
            }
        }
        bytes = bytes.get(whole..).ok_or(Malformed::Page)?;
    }
    let [id, tags, ..] = &packets[..] else { return Err(Malformed::Head) };
    let (channels, pre_skip) = match id[..] {
        // Major version 0 (the high bits), whatever the minor one; mapping family 0 at the end (RFC 7845 §5.1).
        [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', 0..=15, channels, low, high, _, _, _, _, _, _, 0] => {
            let channels = match channels {
                1 => Channels::Mono,
                2 => Channels::Stereo,
                _ => return Err(Malformed::Head),
            };
            (channels, u16::from_le_bytes([low, high]))
        }
        _ => return Err(Malformed::Head),
    };
    if !tags.starts_with(b"OpusTags") {
        return Err(Malformed::Head);
    }
    packets.drain(..2);
    Ok(Stream { channels, pre_skip, packets })
}

/// CRC-32 of Ogg: polynomial 0x04c11db7, most significant bit first, nothing inverted (RFC 3533 §6).
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            value = value << 1 ^ if value & 0x8000_0000 != 0 { 0x04c1_1db7 } else { 0 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

pub(crate) fn crc(bytes: &[u8]) -> u32 {
    crc_from(0, bytes)
}

fn crc_from(before: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(before, |crc, &byte| crc << 8 ^ TABLE[((crc >> 24) as u8 ^ byte) as usize])
}

/// The checksum is taken with its own field as zeros.
fn crc_without_its_own_field(page: &[u8]) -> Option<u32> {
    Some(crc_from(crc_from(crc(page.get(..22)?), &[0; 4]), page.get(26..)?))
}
