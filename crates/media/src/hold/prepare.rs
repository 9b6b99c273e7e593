//! A recording becomes hold music: read, brought to 48 kHz mono and to its loudness, its ends faded, encoded. Milliseconds of work for each second: never for the beat.

use std::time::Duration;

use hound::{SampleFormat, WavReader};

use super::HoldMusic;
use crate::mixer::limiter::CEILING;
use crate::opus::{CodecError, Encoder};
use crate::package::PRE_SKIP;
use crate::{FRAME_SAMPLES, SAMPLE_RATE};

/// The longest, since it stays in memory while it may be wanted: 3 minutes are about 0.7 MB. A loop that is longer is hardly noticed as one.
pub const LENGTH_MAX: Duration = Duration::from_secs(180);
/// The shortest: loudness is measured in pieces of 400 ms (BS.1770-4), and what comes again more often is an alarm.
pub const LENGTH_MIN: Duration = Duration::from_secs(1);
/// Most bytes of a WAV file: [`LENGTH_MAX`] in 48 kHz, 16-bit mono are 17.3 MB.
pub const WAV_BYTES_MAX: usize = 20_000_000;

/// Rates that recordings come in; below telephony there is no music.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=96_000;
/// As loud as programmes are (EBU R 128): 5 dB below the voices that follow, so that these are not taken for quiet.
const LOUDNESS_LUFS: f64 = -23.0;
/// Quieter than this it is a recording of nothing, and would be amplified to a roar.
const SILENT_LUFS: f64 = -60.0;
/// Half a second in and out, so that the loop has no seam; of something short a fourth.
const FADE_SAMPLES: usize = SAMPLE_RATE as usize / 2;

/// Why a recording does not become hold music: one variant per rule, and the codec's own failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Not a WAV file, or not a whole one.
    NotWav,
    /// Other samples than integers of 16 or 24 bits, or floating-point numbers of 32.
    Samples,
    /// A rate below 8 or above 96 kHz.
    Rate,
    /// More channels than two.
    Channels,
    /// Longer than [`LENGTH_MAX`].
    Long,
    /// Shorter than [`LENGTH_MIN`].
    Short,
    /// There is nothing to hear in it.
    Silent,
    /// The codec has no memory.
    Codec,
}

impl From<CodecError> for Unfit {
    fn from(_: CodecError) -> Self {
        Self::Codec
    }
}

impl HoldMusic {
    /// Makes hold music of a WAV file, in the programme's bit rate.
    ///
    /// # Errors
    /// One [`Unfit`] per rule.
    pub fn from_wav(wav: &[u8], bitrate_bps: i32) -> Result<Self, Unfit> {
        let (sound, rate) = read(wav)?;
        let mut sound = resample(sound, rate);
        level(&mut sound)?;
        fade(&mut sound);
        encode(sound, bitrate_bps)
    }
}

/// The sound of a WAV file in mono, and its rate.
fn read(wav: &[u8]) -> Result<(Vec<f32>, u32), Unfit> {
    let mut reader = WavReader::new(wav).map_err(|_| Unfit::NotWav)?;
    let spec = reader.spec();
    let channels = match spec.channels {
        1 => 1,
        2 => 2,
        _ => return Err(Unfit::Channels),
    };
    if !RATES.contains(&spec.sample_rate) {
        return Err(Unfit::Rate);
    }
    let length = Duration::from_secs_f64(f64::from(reader.duration()) / f64::from(spec.sample_rate));
    match length {
        _ if length > LENGTH_MAX => return Err(Unfit::Long),
        _ if length < LENGTH_MIN => return Err(Unfit::Short),
        _ => {}
    }
    let samples: Result<Vec<f32>, hound::Error> = match (spec.sample_format, spec.bits_per_sample) {
        (SampleFormat::Int, bits @ (16 | 24)) => {
            let scale = 1.0 / (1_u32 << (bits - 1)) as f32;
            reader.samples::<i32>().map(|sample| sample.map(|sample| sample as f32 * scale)).collect()
        }
        (SampleFormat::Float, 32) => reader.samples::<f32>().map(|sample| sample.map(sane)).collect(),
        _ => return Err(Unfit::Samples),
    };
    let samples = samples.map_err(|_| Unfit::NotWav)?;
    let mono = if channels == 1 {
        samples
    } else {
        samples.as_chunks().0.iter().map(|[left, right]| (left + right) / 2.0).collect()
    };
    Ok((mono, spec.sample_rate))
}

/// A sample that can be computed with: files of floating-point numbers may hold anything.
fn sane(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-8.0, 8.0) } else { 0.0 }
}

/// The same sound at 48 kHz: a windowed sinc for each of the places between two samples that come up.
fn resample(input: Vec<f32>, rate: u32) -> Vec<f32> {
    if rate == SAMPLE_RATE {
        return input;
    }
    let common = gcd(rate, SAMPLE_RATE);
    let (up, down) = ((SAMPLE_RATE / common) as usize, (rate / common) as usize);
    // What the lower of both rates cannot carry is taken out, and a little below it.
    let cutoff = (up as f64 / down as f64).min(1.0) * 0.96;
    let half = (CROSSINGS / cutoff).ceil() as usize;
    let taps = 2 * half;
    let mut table = Vec::with_capacity(up * taps);
    for phase in 0..up {
        let centre = (half - 1) as f64 + phase as f64 / up as f64;
        let begin = table.len();
        table.extend((0..taps).map(|tap| {
            let x = tap as f64 - centre;
            let angle = std::f64::consts::PI * x;
            let sinc = if x == 0.0 { 1.0 } else { (angle * cutoff).sin() / (angle * cutoff) };
            let edge = angle / half as f64;
            // Blackman's window.
            (sinc * (0.42 + 0.5 * edge.cos() + 0.08 * (2.0 * edge).cos())) as f32
        }));
        // Each place passes a constant unchanged.
        let sum: f32 = table[begin..].iter().sum();
        table[begin..].iter_mut().for_each(|tap| *tap /= sum);
    }
    let count = (input.len() * up).div_ceil(down);
    let mut padded = vec![0.0; half - 1];
    padded.extend_from_slice(&input);
    padded.resize(padded.len() + half + 1, 0.0);
    let point = |n: usize| -> f32 {
        let (whole, phase) = (n * down / up, n * down % up);
        let window = &padded[whole..whole + taps];
        window.iter().zip(&table[phase * taps..]).map(|(sample, tap)| sample * tap).sum()
    };
    (0..count).map(point).collect()
}

/// Zeros of the sinc on each side: flat to nine tenths of the band, and 60 dB down outside.
const CROSSINGS: f64 = 32.0;

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Brings it to [`LOUDNESS_LUFS`], or as near as its peaks allow.
fn level(sound: &mut [f32]) -> Result<(), Unfit> {
    let measure = || {
        let mut meter = ebur128::EbuR128::new(1, SAMPLE_RATE, ebur128::Mode::I | ebur128::Mode::TRUE_PEAK)?;
        meter.set_channel(0, ebur128::Channel::Center)?;
        meter.add_frames_f32(sound)?;
        Ok::<_, ebur128::Error>((meter.loudness_global()?, meter.true_peak(0)?))
    };
    let (lufs, peak) = measure().map_err(|_| Unfit::Codec)?;
    if lufs.is_nan() || lufs < SILENT_LUFS {
        return Err(Unfit::Silent);
    }
    let gain = 10_f64.powf((LOUDNESS_LUFS - lufs) / 20.0).min(f64::from(CEILING) / peak) as f32;
    sound.iter_mut().for_each(|sample| *sample *= gain);
    Ok(())
}

/// Lets it come and go.
fn fade(sound: &mut [f32]) {
    let length = FADE_SAMPLES.min(sound.len() / 4);
    let rise = |n: usize| 0.5 - 0.5 * (std::f32::consts::PI * n as f32 / length as f32).cos();
    sound.iter_mut().take(length).enumerate().for_each(|(n, sample)| *sample *= rise(n));
    sound.iter_mut().rev().take(length).enumerate().for_each(|(n, sample)| *sample *= rise(n));
}

/// Encodes it as a programme does. The first frame is coded without prediction, whatever a decoder heard before: something else, silence, or the end of the loop.
fn encode(mut sound: Vec<f32>, bitrate_bps: i32) -> Result<HoldMusic, Unfit> {
    // What the encoder looks ahead comes out of it that much later.
    let frames = (sound.len() + usize::from(PRE_SKIP)).div_ceil(FRAME_SAMPLES);
    sound.resize(frames * FRAME_SAMPLES, 0.0);
    let mut encoder = Encoder::new(bitrate_bps)?;
    let mut encoded = Vec::with_capacity(frames);
    for (n, frame) in sound.as_chunks().0.iter().enumerate() {
        let opus = if n == 0 { encoder.encode_alone(frame)? } else { encoder.encode(frame)? };
        encoded.push(opus.as_slice().to_vec());
    }
    HoldMusic::from_frames(encoded.iter().map(Vec::as_slice)).ok_or(Unfit::Codec)
}
