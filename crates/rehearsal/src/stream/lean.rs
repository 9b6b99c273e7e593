//! The two forms that one piece may have: as it was recorded, and lean, at half the bitrate. Which of them a listener hears may change from piece to piece.
//!
//! A second form of a piece must be one: of the same place in the stream and the same sound, whole, and otherwise encoded. A byte that was changed on the way makes none.

use super::{Format, box_head, child};

/// Whether the second is another form of the first, which was taken for sound.
pub(super) fn is_form_of(format: Format, first: &[u8], second: &[u8]) -> bool {
    match format {
        Format::Mp4 => is_fragment_of(first, second).unwrap_or(false),
        Format::Ogg => is_page_of(first, second).unwrap_or(false),
    }
}

/// The same `moof` but for the sizes of frames, which end it, are not the same and have as many bytes in all as there are.
fn is_fragment_of(first: &[u8], second: &[u8]) -> Option<bool> {
    let (_, moof_bytes) = box_head(first).ok()??;
    let (one, other) = (first.get(..moof_bytes)?, second.get(..moof_bytes)?);
    let trun = child(child(one.get(8..)?, *b"traf")?, *b"trun")?;
    let count = u32::from_be_bytes(*trun.get(4..)?.first_chunk()?) as usize;
    let sizes_at = moof_bytes.checked_sub(count.checked_mul(4)?)?;
    let sizes = other.get(sizes_at..)?;
    let frames: u64 =
        sizes.chunks_exact(4).filter_map(<[u8]>::first_chunk).map(|size| u64::from(u32::from_be_bytes(*size))).sum();
    let (kind, mdat_bytes) = box_head(second.get(moof_bytes..)?).ok()??;
    let is_whole = kind == *b"mdat" && frames + 8 == mdat_bytes as u64 && moof_bytes + mdat_bytes == second.len();
    Some(is_whole && one.get(..sizes_at) == other.get(..sizes_at) && one.get(sizes_at..)? != sizes)
}

/// The same head but for the checksum, which is right, and the lacing, which has as many packets (RFC 3533 §6).
fn is_page_of(first: &[u8], second: &[u8]) -> Option<bool> {
    let packets = |page: &[u8]| {
        let lacing = page.get(27..27 + usize::from(*page.get(26)?))?;
        Some(lacing.iter().filter(|value| **value < 255).count())
    };
    let mut blank = second.to_vec();
    blank.get_mut(22..26)?.fill(0);
    let is_whole = u32::from_le_bytes(*second.get(22..)?.first_chunk()?) == crc(&blank);
    Some(is_whole && first.get(..22)? == second.get(..22)? && packets(first)? == packets(second)?)
}

/// Polynomial 0x04c11db7, most significant bit first, nothing inverted. Bit by bit: it is asked for once for each piece.
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte) << 24, |crc, _| crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 })
    })
}
