//! MP3 for what knows nothing newer: hardware radios, cars, old phones. LAME, at a constant bit rate.
//!
//! It takes the programme's own Opus frames, decodes them once and encodes them again: milliseconds of work for a chunk, so it is for a thread
//! that may be late, never for the beat.
//!
//! Every frame has the same length and needs nothing from the one before (no bit reservoir, no tag in front): a listener may begin at any.
#![allow(unsafe_code, reason = "one call of LAME that its wrapper does not offer")]

use mp3lame_encoder::{Bitrate, Builder, Mode, MonoPcm, Quality, VbrMode, ffi};

use crate::opus::{CodecError, Decoder, PACKET_SAMPLES_MAX};
use crate::packet::Opus;
use crate::{FRAME_SAMPLES, SAMPLE_RATE};

/// MIME type (RFC 3003).
pub const MIME: &str = "audio/mpeg";
/// Codec string (RFC 6381, object type 6B: MPEG-1 audio layers 1 to 3).
pub const CODECS: &str = "mp4a.6B";
/// One channel at 64 kbit/s: what LAME needs for speech in full band, and for every receiver an ordinary rate.
pub const KBIT_PER_S: u16 = 64;
/// Samples of a frame (ISO/IEC 11172-3 §2.4.2.1): 24 ms at 48 kHz.
pub const SAMPLES: usize = 1152;
/// Bytes of a frame. At 48 kHz it is a whole number, so that none is padded and all are alike; at 44.1 kHz it is 208.98.
pub const FRAME_BYTES: usize = SAMPLES / 8 * KBIT_PER_S as usize * 1000 / SAMPLE_RATE as usize;

/// LAME's effort. 5 is its default, and takes a fifth of the time of 2; nobody hears more on speech at this rate.
const QUALITY: Quality = Quality::Good;
/// What one call may put out at most, as LAME's `lame.h` says: 1.25 × samples + 7200 bytes.
const CALL_BYTES_MAX: usize = PACKET_SAMPLES_MAX * 5 / 4 + 7_200;

/// One MP3 stream out of one Opus stream.
pub struct Encoder {
    opus: Decoder,
    lame: mp3lame_encoder::Encoder,
    pcm: Box<[f32; PACKET_SAMPLES_MAX]>,
    /// What LAME gave beyond the last whole frame.
    rest: Vec<u8>,
}

impl Encoder {
    /// An encoder that has heard nothing.
    ///
    /// # Errors
    /// If a codec has no memory or refuses these settings.
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self {
            opus: Decoder::new()?,
            lame: lame().ok_or(CodecError)?,
            pcm: Box::new([0.0; PACKET_SAMPLES_MAX]),
            rest: Vec::with_capacity(CALL_BYTES_MAX),
        })
    }

    /// Takes Opus frames of 20 ms, and appends the MP3 frames that are whole by then to `out`: LAME looks ahead, so the first come a frame
    /// or two late. What is no Opus is heard as what the sound would likely have been.
    ///
    /// # Errors
    /// Only LAME's own: no memory, most likely.
    pub fn encode<'a>(&mut self, frames: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        for frame in frames {
            let decoded = Opus::new(frame).ok_or(CodecError).and_then(|opus| self.opus.decode(opus, &mut self.pcm[..]));
            let samples = decoded.or_else(|_| self.opus.conceal(&mut self.pcm[..FRAME_SAMPLES]))?;
            let pcm = self.pcm.get(..samples).ok_or(CodecError)?;
            self.rest.reserve(CALL_BYTES_MAX);
            self.lame.encode_to_vec(MonoPcm(pcm), &mut self.rest).map_err(|_| CodecError)?;
        }
        let whole = self.rest.len() / FRAME_BYTES * FRAME_BYTES;
        out.extend(self.rest.drain(..whole));
        Ok(())
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("opus", &self.opus).finish_non_exhaustive()
    }
}

fn lame() -> Option<mp3lame_encoder::Encoder> {
    let mut builder = Builder::new()?;
    builder.set_num_channels(1).ok()?;
    builder.set_mode(Mode::Mono).ok()?;
    builder.set_sample_rate(SAMPLE_RATE).ok()?;
    builder.set_output_sample_rate(std::num::NonZeroU32::new(SAMPLE_RATE)).ok()?;
    builder.set_brate(Bitrate::Kbps64).ok()?;
    builder.set_vbr_mode(VbrMode::Off).ok()?;
    builder.set_quality(QUALITY).ok()?;
    builder.set_to_write_vbr_tag(false).ok()?;
    // SAFETY: the pointer is `builder`'s own, alive and not yet initialised, which is when LAME takes settings; it is neither kept nor closed here.
    let outcome = unsafe { ffi::lame_set_disable_reservoir(builder.as_ptr(), 1) };
    if outcome != 0 {
        return None;
    }
    builder.build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CHUNK_FRAMES;
    use crate::opus;

    /// Chunks of a tone, as a programme would have encoded it.
    fn chunks(count: usize, step: f32) -> Vec<Vec<Vec<u8>>> {
        let mut encoder = opus::Encoder::new(32_000).unwrap();
        let mut at = 0;
        let mut frame = || {
            let samples = std::array::from_fn(|i| ((at + i) as f32 * step).sin() * 0.25);
            at += FRAME_SAMPLES;
            encoder.encode(&samples).unwrap().as_slice().to_vec()
        };
        (0..count).map(|_| (0..CHUNK_FRAMES).map(|_| frame()).collect()).collect()
    }

    fn encode(encoder: &mut Encoder, chunk: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        encoder.encode(chunk.iter().map(Vec::as_slice), &mut out).unwrap();
        out
    }

    #[test]
    fn every_chunk_is_whole_frames_of_one_length_that_need_no_other() {
        let mut encoder = Encoder::new().unwrap();
        let mut bytes = 0;
        for chunk in chunks(50, 0.05) {
            let mp3 = encode(&mut encoder, &chunk);
            assert_eq!(mp3.len() % FRAME_BYTES, 0);
            bytes += mp3.len();
            for frame in mp3.chunks_exact(FRAME_BYTES) {
                // MPEG-1, layer 3, no checksum; 64 kbit/s, 48 kHz, not padded; mono (ISO/IEC 11172-3 §2.4.2.3).
                assert_eq!(frame[..2], [0xff, 0xfb]);
                assert_eq!(frame[2] & 0xfe, 0x54);
                assert_eq!(frame[3] & 0xc0, 0xc0);
                // `main_data_begin`: nine bits after the header.
                assert_eq!((frame[4], frame[5] & 0x80), (0, 0), "it needs bytes of an earlier frame");
            }
        }
        // 10 s are 416.7 frames; LAME keeps back two or three.
        assert!((412..=416).contains(&(bytes / FRAME_BYTES)), "{}", bytes / FRAME_BYTES);
    }

    #[test]
    fn rubbish_is_concealed_and_the_stream_goes_on() {
        let mut encoder = Encoder::new().unwrap();
        let rubbish = vec![vec![0xff, 0x3f]; CHUNK_FRAMES];
        let mut bytes = encode(&mut encoder, &rubbish).len();
        bytes += encode(&mut encoder, &vec![Vec::new(); CHUNK_FRAMES]).len();
        for chunk in chunks(3, 0.05) {
            bytes += encode(&mut encoder, &chunk).len();
        }
        assert!(bytes >= 38 * FRAME_BYTES, "{bytes}");
    }
}
