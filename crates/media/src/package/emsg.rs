//! Events inside the sound: `emsg` boxes (ISO/IEC 23009-1 §5.10.3.3) that carry ID3v2.4, as "Carriage of ID3 Timed Metadata in
//! CMAF" (AOM) says. What an event means is in `docs/formats/event.md`; here it is opaque bytes.
//!
//! Writing runs on the beat: no allocation while `out` has room, no lock, no log.

use super::boxes::{Cursor, full, u32, u64};
use crate::{SAMPLE_RATE, Time};

/// The scheme of every event we write.
pub const SCHEME: &str = "https://aomedia.org/emsg/ID3";
/// Owner of our ID3 private frames (ID3v2.4.0 frames §4.27).
pub const OWNER: &str = "hiwar";
/// Longest event in bytes: a stage of twenty with long names takes three thousand. Longer ones are not written, because
/// every listener pays for them every two seconds.
pub const EVENT_BYTES_MAX: usize = 6 * 1024;
/// Bytes that `write` adds around an event.
pub const EVENT_OVERHEAD_BYTES: usize = 8 + 4 + 4 + 8 + 4 + 4 + SCHEME.len() + 1 + 1 + 10 + 10 + OWNER.len() + 1;

/// The event is longer than [`EVENT_BYTES_MAX`], and nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Long;

/// Appends one event that is due at `time`. `id` should differ between different events of a space: a player may ignore an
/// id that it has seen.
///
/// # Errors
/// [`Long`] beyond [`EVENT_BYTES_MAX`].
pub fn write(out: &mut Vec<u8>, time: Time, id: u32, event: &[u8]) -> Result<(), Long> {
    if event.len() > EVENT_BYTES_MAX {
        return Err(Long);
    }
    full(out, b"emsg", 1, 0, |out| {
        u32(out, SAMPLE_RATE);
        u64(out, time.0);
        u32(out, 0xffff_ffff); // event_duration: unknown, it holds until another says otherwise
        u32(out, id);
        out.extend_from_slice(SCHEME.as_bytes());
        out.extend_from_slice(&[0, 0]); // end of the scheme, and an empty value
        let frame = OWNER.len() + 1 + event.len();
        out.extend_from_slice(b"ID3\x04\x00\x00");
        syncsafe(out, frame + 10);
        out.extend_from_slice(b"PRIV");
        syncsafe(out, frame);
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(OWNER.as_bytes());
        out.push(0);
        out.extend_from_slice(event);
    });
    Ok(())
}

/// One event as read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// When it is due.
    pub time: Time,
    /// As given to [`write()`].
    pub id: u32,
    /// As given to [`write()`].
    pub payload: &'a [u8],
}

/// Reads the body of an `emsg` box that [`write`] made; `None` for any other.
pub(crate) fn read(body: &[u8]) -> Option<Event<'_>> {
    let mut body = Cursor(body);
    if body.u32()? != 1 << 24 || body.u32()? != SAMPLE_RATE {
        return None;
    }
    let time = Time(body.u64()?);
    body.u32()?;
    let id = body.u32()?;
    if body.text()? != SCHEME.as_bytes() || !body.text()?.is_empty() || body.take(6)? != b"ID3\x04\x00\x00" {
        return None;
    }
    let tag = read_syncsafe(&mut body)?;
    if tag != body.0.len() || body.take(4)? != b"PRIV" {
        return None;
    }
    let frame = read_syncsafe(&mut body)?;
    if body.u16()? != 0 || frame != body.0.len() || body.text()? != OWNER.as_bytes() || body.0.len() > EVENT_BYTES_MAX {
        return None;
    }
    Some(Event { time, id, payload: body.0 })
}

/// A size in four bytes of seven bits (ID3v2.4.0 structure §6.2).
fn syncsafe(out: &mut Vec<u8>, size: usize) {
    out.extend([21, 14, 7, 0].map(|shift| (size >> shift) as u8 & 0x7f));
}

fn read_syncsafe(from: &mut Cursor<'_>) -> Option<usize> {
    from.take(4)?.iter().try_fold(0, |size, &byte| (byte < 0x80).then(|| size << 7 | usize::from(byte)))
}
