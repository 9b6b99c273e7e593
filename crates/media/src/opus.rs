//! The codec: every call of libopus that Hiwar makes on sound, counted.
//!
//! Thin on purpose. Memory is taken in `new` only: libopus itself allocates nothing while it encodes or decodes, so both may be called
//! on the beat.

use opus::{Application, Bandwidth, Bitrate, Channels};

use crate::packet::{Opus, Payload};
use crate::{FRAME_SAMPLES, SAMPLE_RATE};

/// The longest sound in one Opus packet: 120 ms (RFC 6716 §3.2), in samples.
pub const PACKET_SAMPLES_MAX: usize = 5760;

/// Most bytes of one encoded frame. Three times what 32 kbit/s gives on average (80): room for VBR, and a firm bound for chunk buffers.
pub const FRAME_BYTES_MAX: usize = 250;

/// libopus's effort, 0–10. 5 costs a fifth of 10 and cannot be told from it on speech at this rate (docs/measured).
const COMPLEXITY: i32 = 5;

/// Zero frames after which an encoder's output for silence no longer changes.
const SETTLE_FRAMES: usize = 25;

/// The codec refused. On decode this is rubbish from outside; on encode or creation it is a bug or missing memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecError;

impl std::fmt::Display for CodecError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("libopus refused the call")
    }
}

impl std::error::Error for CodecError {}

impl From<opus::Error> for CodecError {
    fn from(_: opus::Error) -> Self {
        Self
    }
}

/// One Opus stream out: 48 kHz, mono, 20 ms frames, VBR, no DTX (a constant packet clock keeps chunks, parts and rewind simple).
#[derive(Debug)]
pub struct Encoder {
    codec: opus::Encoder,
    /// The last frame, and how long it is; 0 before the first.
    frame: [u8; FRAME_BYTES_MAX],
    len: usize,
    calls: u64,
}

impl Encoder {
    /// An encoder for so many bits per second.
    ///
    /// # Errors
    /// If libopus has no memory or does not take the bit rate (500 to 512,000).
    pub fn new(bitrate_bps: i32) -> Result<Self, CodecError> {
        let mut codec = opus::Encoder::new(SAMPLE_RATE, Channels::Mono, Application::Audio)?;
        codec.set_bitrate(Bitrate::Bits(bitrate_bps))?;
        codec.set_complexity(COMPLEXITY)?;
        codec.set_vbr(true)?;
        codec.set_dtx(false)?;
        Ok(Self { codec, frame: [0; FRAME_BYTES_MAX], len: 0, calls: 0 })
    }

    /// The same for speech that has less than 20 kbit/s: sound above 8 kHz is left out, and what is below has all of it (wideband, RFC 7587 §3.1.1).
    ///
    /// # Errors
    /// As `new`.
    pub fn wideband(bitrate_bps: i32) -> Result<Self, CodecError> {
        let mut encoder = Self::new(bitrate_bps)?;
        encoder.codec.set_max_bandwidth(Bandwidth::Wideband)?;
        Ok(encoder)
    }

    /// Encodes 20 ms.
    ///
    /// # Errors
    /// Never for finite samples; libopus's own checks otherwise.
    pub fn encode(&mut self, samples: &[f32; FRAME_SAMPLES]) -> Result<Opus<'_>, CodecError> {
        self.calls += 1;
        self.len = 0;
        self.len = self.codec.encode_float(samples, &mut self.frame)?;
        self.last().ok_or(CodecError)
    }

    /// Encodes 20 ms that can be decoded without what came before, and which are less fine for it.
    ///
    /// # Errors
    /// As `encode`.
    pub fn encode_alone(&mut self, samples: &[f32; FRAME_SAMPLES]) -> Result<Opus<'_>, CodecError> {
        self.codec.set_prediction_disabled(true)?;
        let outcome = self.encode(samples).map(drop);
        self.codec.set_prediction_disabled(false)?;
        outcome.and_then(|()| self.last().ok_or(CodecError))
    }

    /// What the last call of [`Self::encode`] gave; `None` if it was refused, or there was none.
    pub fn last(&self) -> Option<Opus<'_>> {
        self.frame.get(..self.len).and_then(Opus::new)
    }

    /// Forgets the past. A decoder that has heard something else begins well with the next frame if that is [encoded alone](Self::encode_alone): else its band energies
    /// may be told by how they differ from none.
    pub fn reset(&mut self) {
        // Only fails for an unknown request number.
        let _ = self.codec.reset_state();
    }

    /// Frames encoded since `new`.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// The frame that stands for silence: what such an encoder says after a while of nothing. Not for the beat.
    ///
    /// # Errors
    /// As `new` and `encode`.
    pub fn silence(bitrate_bps: i32) -> Result<Payload, CodecError> {
        let mut encoder = Self::new(bitrate_bps)?;
        for _ in 0..SETTLE_FRAMES {
            encoder.encode(&[0.0; FRAME_SAMPLES])?;
        }
        encoder.encode(&[0.0; FRAME_SAMPLES]).map(Payload::from)
    }
}

/// One Opus stream in, to 48 kHz mono (libopus mixes stereo down).
#[derive(Debug)]
pub struct Decoder {
    codec: opus::Decoder,
    calls: u64,
}

impl Decoder {
    /// A decoder that has heard nothing.
    ///
    /// # Errors
    /// If libopus has no memory.
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self { codec: opus::Decoder::new(SAMPLE_RATE, Channels::Mono)?, calls: 0 })
    }

    /// Decodes a packet into the beginning of `out`; returns how many samples it gave (at most [`PACKET_SAMPLES_MAX`]).
    ///
    /// # Errors
    /// If the packet is not Opus, or `out` is too short for it.
    pub fn decode(&mut self, opus: Opus<'_>, out: &mut [f32]) -> Result<usize, CodecError> {
        self.calls += 1;
        Ok(self.codec.decode_float(opus.as_slice(), out, false)?)
    }

    /// Fills all of `out` with the sound before `next`, from the copy that `next` may carry (in-band FEC, RFC 6716 §2.1.7).
    ///
    /// # Errors
    /// If `next` is not Opus, or `out` is not a multiple of 2.5 ms up to 120 ms.
    pub fn decode_fec(&mut self, next: Opus<'_>, out: &mut [f32]) -> Result<usize, CodecError> {
        self.calls += 1;
        Ok(self.codec.decode_float(next.as_slice(), out, true)?)
    }

    /// Fills all of `out` with what the sound would likely have been (packet loss concealment).
    ///
    /// # Errors
    /// If `out` is not a multiple of 2.5 ms up to 120 ms.
    pub fn conceal(&mut self, out: &mut [f32]) -> Result<usize, CodecError> {
        self.calls += 1;
        Ok(self.codec.decode_float(&[], out, false)?)
    }

    /// Forgets what it heard.
    pub fn reset(&mut self) {
        // Only fails for an unknown request number.
        let _ = self.codec.reset_state();
    }

    /// Calls of the codec since `new`.
    pub fn calls(&self) -> u64 {
        self.calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_small_not_dtx_and_decodes_alone_to_nothing() {
        let silence = Encoder::silence(32_000).unwrap();
        assert!((3..=10).contains(&silence.as_slice().len()), "{silence:?}");
        let mut out = [1.0; PACKET_SAMPLES_MAX];
        let len = Decoder::new().unwrap().decode(silence.opus(), &mut out).unwrap();
        assert_eq!(len, FRAME_SAMPLES);
        assert!(out[..len].iter().all(|s| s.abs() < 1e-4));
    }

    #[test]
    fn rubbish_is_an_error_and_the_decoder_lives_on() {
        let mut decoder = Decoder::new().unwrap();
        let mut out = [0.0; PACKET_SAMPLES_MAX];
        assert!(decoder.decode(Opus::new(&[0xff, 0x3f]).unwrap(), &mut out).is_err());
        let silence = Encoder::silence(32_000).unwrap();
        assert_eq!(decoder.decode(silence.opus(), &mut out), Ok(FRAME_SAMPLES));
        assert_eq!(decoder.calls(), 2);
    }

    #[test]
    fn an_encoded_tone_comes_back_as_loud() {
        let mut encoder = Encoder::new(32_000).unwrap();
        let mut decoder = Decoder::new().unwrap();
        let mut out = [0.0; PACKET_SAMPLES_MAX];
        let mut energy = 0.0;
        for n in 0..50 {
            let frame = std::array::from_fn(|i| ((n * FRAME_SAMPLES + i) as f32 * 0.05).sin() * 0.25);
            let payload = encoder.encode(&frame).unwrap();
            let len = decoder.decode(payload, &mut out).unwrap();
            energy = out[..len].iter().map(|s| s * s).sum::<f32>() / len as f32;
        }
        assert!((energy.sqrt() - 0.25 / 2_f32.sqrt()).abs() < 0.02, "{energy}");
    }
}
