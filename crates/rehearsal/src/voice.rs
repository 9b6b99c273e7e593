//! What a speaker says: Opus packets prepared before the curtain rises, so that saying them costs next to nothing.
//!
//! They are made as a browser makes them: application VOIP, complexity 9, 32 kbit/s, in-band FEC, 20 ms. The server's own encoder is not used.

use std::fmt;
use std::sync::Arc;

use hiwar_media::FRAME_SAMPLES;
use hiwar_media::opus::{Decoder, PACKET_SAMPLES_MAX};
use hiwar_media::package::ogg;
use hiwar_media::packet::Opus;
use opus::{Application, Bitrate, Channels};

/// Bit rate of a browser's voice.
const BITRATE_BPS: i32 = 32_000;
/// Effort of a browser's encoder on a desktop.
const COMPLEXITY: i32 = 9;
/// Longest pause that stays in the speech: 240 ms. Whoever "talks" in a measurement talks all the time.
const PAUSE_FRAMES: usize = 12;
/// Root mean square below which a frame is a pause.
const PAUSE_LEVEL: f32 = 0.004;
/// A browser that may be discontinuous sends one packet every so many frames of silence (400 ms).
const DTX_FRAMES: u64 = 20;
/// Longest prepared speech: a minute, then it begins again.
const SPEECH_FRAMES_MAX: usize = 3_000;

/// The sound file is not what it should be.
#[derive(Debug)]
pub enum Error {
    /// It is not Ogg Opus.
    NotOgg,
    /// It holds less than a second of speech.
    NoSpeech,
    /// libopus refused.
    Codec,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOgg => "not an Ogg Opus file",
            Self::NoSpeech => "less than a second of speech",
            Self::Codec => "libopus refused the call",
        })
    }
}

impl std::error::Error for Error {}

impl From<opus::Error> for Error {
    fn from(_: opus::Error) -> Self {
        Self::Codec
    }
}

/// Whether an encoder puts a second, coarse copy of each frame into the next (RFC 6716 §2.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fec {
    /// No.
    Off,
    /// If so many percent of packets are lost, as its peer says.
    For(i32),
}

/// How somebody who is muted sounds on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Muting {
    /// The encoder goes on with digital silence, a packet every 20 ms: browsers do this unless the answer asks for DTX.
    Silence,
    /// A packet of one byte every 400 ms (RFC 6716 §2.1.9).
    Dtx,
}

/// One part, 20 ms by 20 ms, for ever.
#[derive(Debug, Clone)]
pub struct Voice {
    frames: Arc<[Vec<u8>]>,
    from: u64,
    every: u64,
}

impl Voice {
    /// The speech of an Ogg Opus file without its pauses, over and over.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn talking(file: &[u8]) -> Result<Self, Error> {
        let sound = speech(file)?;
        let mut encoder = encoder(Fec::For(1))?;
        let frames = sound.iter().map(|frame| encoder.encode_vec_float(frame, 1275)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { frames: frames.into(), from: 0, every: 1 })
    }

    /// Just this sound, once: mono samples at 48 kHz, the rest of the last frame is lost.
    ///
    /// # Errors
    /// [`Error::NoSpeech`] if that is less than a second, [`Error::Codec`].
    pub fn saying(samples: &[f32], fec: Fec) -> Result<Self, Error> {
        let mut encoder = encoder(fec)?;
        let frames = samples.as_chunks::<FRAME_SAMPLES>().0.iter();
        let frames = frames.map(|frame| encoder.encode_vec_float(frame, 1275)).collect::<Result<Vec<_>, _>>()?;
        if frames.len() < 50 { Err(Error::NoSpeech) } else { Ok(Self { frames: frames.into(), from: 0, every: 1 }) }
    }

    /// How many frames there are until it begins again.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames.len() as u64
    }

    /// Share of the packets that carry a copy of the sound before them (in-band FEC).
    #[must_use]
    pub fn fec_share(&self) -> f64 {
        let with = self.frames.iter().filter(|frame| Opus::new(frame).is_some_and(Opus::has_fec)).count();
        with as f64 / self.frames.len().max(1) as f64
    }

    /// Somebody with a closed microphone.
    ///
    /// # Errors
    /// [`Error::Codec`].
    pub fn muted(muting: Muting) -> Result<Self, Error> {
        let mut encoder = encoder(Fec::For(1))?;
        let zeros = [0.0; FRAME_SAMPLES];
        let mut frame = encoder.encode_vec_float(&zeros, 1275)?;
        for _ in 0..50 {
            frame = encoder.encode_vec_float(&zeros, 1275)?;
        }
        Ok(match muting {
            Muting::Silence => Self { frames: vec![frame].into(), from: 0, every: 1 },
            // The TOC alone: the decoder is told that nothing was sent.
            Muting::Dtx => Self { frames: vec![frame[..1].to_vec()].into(), from: 0, every: DTX_FRAMES },
        })
    }

    /// The same part begun elsewhere, so that two who share a file do not speak in chorus.
    #[must_use]
    pub fn begun_at(mut self, frame: u64) -> Self {
        self.from = frame;
        self
    }

    /// The packet of a frame; `None`: nothing is sent then.
    #[must_use]
    pub fn packet(&self, frame: u64) -> Option<&[u8]> {
        let at = frame + self.from;
        if !at.is_multiple_of(self.every) {
            return None;
        }
        let length = self.frames.len() as u64;
        self.frames.get(usize::try_from(at / self.every % length).ok()?).map(Vec::as_slice)
    }
}

fn encoder(fec: Fec) -> Result<opus::Encoder, Error> {
    let mut encoder = opus::Encoder::new(hiwar_media::SAMPLE_RATE, Channels::Mono, Application::Voip)?;
    encoder.set_bitrate(Bitrate::Bits(BITRATE_BPS))?;
    encoder.set_complexity(COMPLEXITY)?;
    if let Fec::For(loss_percent) = fec {
        encoder.set_inband_fec(true)?;
        encoder.set_packet_loss_perc(loss_percent)?;
    }
    Ok(encoder)
}

/// The frames of a file, its long pauses cut.
fn speech(file: &[u8]) -> Result<Vec<[f32; FRAME_SAMPLES]>, Error> {
    let stream = ogg::frames(file).map_err(|_| Error::NotOgg)?;
    let mut decoder = Decoder::new().map_err(|_| Error::Codec)?;
    let mut out = [0.0; PACKET_SAMPLES_MAX];
    let mut sound = Vec::new();
    let mut quiet = 0;
    for packet in &stream.packets {
        let opus = Opus::new(packet).ok_or(Error::NotOgg)?;
        let samples = decoder.decode(opus, &mut out).map_err(|_| Error::Codec)?;
        for frame in out.get(..samples).unwrap_or_default().as_chunks::<FRAME_SAMPLES>().0 {
            let power = frame.iter().map(|sample| sample * sample).sum::<f32>() / FRAME_SAMPLES as f32;
            quiet = if power.sqrt() < PAUSE_LEVEL { quiet + 1 } else { 0 };
            if quiet <= PAUSE_FRAMES && sound.len() < SPEECH_FRAMES_MAX {
                sound.push(*frame);
            }
        }
    }
    if sound.len() < 50 { Err(Error::NoSpeech) } else { Ok(sound) }
}

#[cfg(test)]
mod tests {
    use hiwar_media::Time;
    use hiwar_media::packet::Packet;
    use hiwar_media::programme::{
        Audience, BEAT, Beginning, Config, Input, Programme, Returning, Speaker, SpeakerConfig, Voicing,
    };

    use super::*;

    #[test]
    fn somebody_muted_sends_silence_every_frame_or_one_byte_twenty_times_as_rarely() {
        let silence = Voice::muted(Muting::Silence).unwrap();
        assert!((0..40).all(|frame| silence.packet(frame).is_some_and(|packet| packet.len() < 30)));
        let dtx = Voice::muted(Muting::Dtx).unwrap();
        assert_eq!((0..40).filter_map(|frame| dtx.packet(frame)).map(<[u8]>::len).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn silence_as_browsers_send_it_costs_the_house_hardly_a_decode() {
        let voice = Voice::muted(Muting::Silence).unwrap();
        let config = Config {
            index: 0,
            time: Time(0),
            beginning: Beginning::New,
            bitrate_bps: BITRATE_BPS,
            ogg_serial: 1,
            nobody_event: Box::default(),
            audience: Audience::Hears,
        };
        let mut programme = Programme::new(config).unwrap();
        let config = SpeakerConfig {
            speaking_event: Box::default(),
            returning: Returning::Wanted,
            voicing: Voicing::Open,
            return_bitrate_bps: BITRATE_BPS,
        };
        let seat = programme.seat(Box::new(Speaker::new(config).unwrap())).unwrap();
        #[allow(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
        let mut now = std::time::Instant::now();
        for sequence in 0..100 {
            let packet = Packet {
                source: 0,
                sequence,
                timestamp: sequence * FRAME_SAMPLES as u64,
                arrival: now,
                redundant: false,
                level: None,
                payload: Opus::new(voice.packet(sequence).unwrap()).unwrap(),
            };
            programme.handle(now, Input::Packet { seat, packet });
            programme.handle(now, Input::Beat);
            while programme.poll().is_some() {}
            now += BEAT;
        }
        let stats = programme.stats();
        assert!(stats.decodes < 20 && stats.encodes < 40, "{} decodes, {} encodes", stats.decodes, stats.encodes);
    }

    #[test]
    fn a_file_without_speech_is_refused() {
        assert!(matches!(Voice::talking(b"RIFF"), Err(Error::NotOgg | Error::NoSpeech)));
    }
}
