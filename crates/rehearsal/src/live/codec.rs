//! What the codec's calls cost by themselves: the calls of a full stage, made again on the same speech, and nothing else.
//!
//! They are made at the house's own pace, once every 20 ms, because a codec that has slept is slower than one that runs on: its code and state
//! have left the caches. The figure without pauses is given beside it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use hiwar_media::FRAME_SAMPLES;
use hiwar_media::opus::{Decoder, Encoder, PACKET_SAMPLES_MAX};
use hiwar_media::packet::Payload;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::{Error, talkers};
use crate::voice::{Muting, Voice};

/// Bit rate of programme and returns (`docs/walkthrough.md`).
const BITRATE_BPS: i32 = 32_000;
const FRAME: Duration = Duration::from_millis(20);

/// What is to be measured.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Ogg Opus files with speech
    #[arg(long = "voice", num_args = 1.., required = true)]
    voices: Vec<PathBuf>,
    /// How many talk
    #[arg(long, default_value_t = 6)]
    talking: usize,
    /// Seconds of sound
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

/// Time on a core, in microseconds per call, of encoding and of decoding (speech, and digital silence).
///
/// # Errors
/// The files cannot be used.
pub fn run(options: &Options) -> Result<Value, Error> {
    let paced = measure(options, Some(FRAME))?;
    let straight = measure(options, None)?;
    let json = |cost: &Cost| json!({"encode_us": cost.encode_us, "decode_us": cost.decode_us, "decode_silence_us": cost.decode_silence_us});
    Ok(json!({"event": "done", "paced": json(&paced), "straight": json(&straight)}))
}

struct Cost {
    encode_us: f64,
    decode_us: f64,
    decode_silence_us: f64,
}

/// One encoder for the programme and one for each who talks, as the house has them.
fn measure(options: &Options, pace: Option<Duration>) -> Result<Cost, Error> {
    let codec = |_| Error::Asked("libopus has no memory");
    let voices = talkers(&options.voices, options.talking)?;
    let silence = Voice::muted(Muting::Silence).map_err(|why| Error::Voice(PathBuf::new(), why))?;
    let mut decoders = Vec::new();
    let mut encoders = vec![Encoder::new(BITRATE_BPS).map_err(codec)?];
    for _ in &voices {
        decoders.push(Decoder::new().map_err(codec)?);
        encoders.push(Encoder::new(BITRATE_BPS).map_err(codec)?);
    }
    let mut silent = Decoder::new().map_err(codec)?;
    let frames = options.seconds * 50;
    let (mut encoding, mut decoding, mut decoding_silence) = (0.0, 0.0, 0.0);
    let mut sounds = vec![[0.0; FRAME_SAMPLES]; voices.len()];
    let mut out = [0.0; PACKET_SAMPLES_MAX];
    let begin = Instant::now();
    for frame in 0..frames {
        if let Some(pace) = pace {
            let due = begin + pace * u32::try_from(frame).unwrap_or(u32::MAX);
            super::wait_until(due);
        }
        let packet = |voice: &Voice| voice.packet(frame).and_then(Payload::new);
        let packets: Vec<Option<Payload>> = voices.iter().map(packet).collect();
        let quiet = packet(&silence);
        let start = cpu_us();
        for ((decoder, packet), sound) in decoders.iter_mut().zip(&packets).zip(&mut sounds) {
            let Some(packet) = packet else { continue };
            if decoder.decode(packet, &mut out).is_ok() {
                sound.copy_from_slice(&out[..FRAME_SAMPLES]);
            }
        }
        let decoded = cpu_us();
        if let Some(quiet) = quiet {
            let _ = silent.decode(&quiet, &mut out);
        }
        decoding += decoded - start;
        decoding_silence += cpu_us() - decoded;
        let parts = mixes(&sounds);
        let start = cpu_us();
        for (encoder, part) in encoders.iter_mut().zip(&parts) {
            let _ = encoder.encode(part);
        }
        encoding += cpu_us() - start;
    }
    let frames = frames as f64;
    Ok(Cost {
        encode_us: encoding / frames / encoders.len() as f64,
        decode_us: decoding / frames / decoders.len().max(1) as f64,
        decode_silence_us: decoding_silence / frames,
    })
}

/// The programme, and the programme without each voice; levelled roughly as the house does.
fn mixes(sounds: &[[f32; FRAME_SAMPLES]]) -> Vec<[f32; FRAME_SAMPLES]> {
    let mut programme = [0.0; FRAME_SAMPLES];
    for sound in sounds {
        programme.iter_mut().zip(sound).for_each(|(sum, sample)| *sum += sample * 0.7);
    }
    let without =
        |sound: &[f32; FRAME_SAMPLES]| std::array::from_fn(|n| (programme[n] - sound[n] * 0.7).clamp(-0.9, 0.9));
    let parts: Vec<_> = sounds.iter().map(without).collect();
    let whole = std::array::from_fn(|n| f32::clamp(programme[n], -0.9, 0.9));
    std::iter::once(whole).chain(parts).collect()
}

/// Time that this thread has had on a core, in microseconds: what others take from it meanwhile does not count. (`schedstat` is as good over
/// seconds, but moves only with the scheduler's tick.)
fn cpu_us() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}
