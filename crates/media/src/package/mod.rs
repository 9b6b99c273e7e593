//! Containers: the same frames as CMAF/fMP4 fragments and as Ogg pages.
//!
//! Bytes only: nothing here encodes, decodes or knows what an event says. Writers append to a `Vec` that the caller owns and
//! clears; a chunk's writers run on the beat (no allocation while the `Vec` has room, no lock, no log).

pub(crate) mod boxes;
pub mod emsg;
pub mod fmp4;
pub mod ogg;
#[cfg(test)]
mod tests;

use crate::Time;
use crate::chunk::Frames;

/// Samples an encoder of libopus adds before the sound at 48 kHz (`OPUS_GET_LOOKAHEAD` for AUDIO), and a player drops at the
/// very beginning (RFC 7845 §4.2).
pub const PRE_SKIP: u16 = 312;

/// What the containers say about a programme before its first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Mono or stereo.
    pub channels: Channels,
    /// ISO 639-2/T code in small letters, such as `*b"ara"`; anything else is written as `und`.
    pub language: [u8; 3],
}

/// How many channels the frames decode to (Opus mapping family 0, RFC 7845 §5.1.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// One.
    Mono = 1,
    /// Two: left, right.
    Stereo = 2,
}

/// Appends one live chunk in both containers. `sequence` is its index + 1; events are the caller's, and go before it.
pub(crate) fn chunk(mp4: &mut Vec<u8>, ogg: &mut Vec<u8>, serial: u32, sequence: u32, time: Time, frames: &Frames) {
    let granule = time.0 + u64::from(frames.duration()) + u64::from(PRE_SKIP);
    fmp4::fragment(mp4, sequence, time, frames);
    // Pages are numbered from the index on.
    ogg::page(ogg, serial, sequence.wrapping_sub(1).wrapping_add(ogg::HEAD_PAGES), granule, frames, ogg::Place::Middle);
}

impl Track {
    /// One channel, language not said.
    pub fn mono() -> Self {
        Self { channels: Channels::Mono, language: *b"und" }
    }
}
