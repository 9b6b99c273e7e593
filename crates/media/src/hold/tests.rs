use std::f32::consts::TAU;

use hound::{SampleFormat, WavSpec, WavWriter};
use proptest::prelude::*;

use super::*;
use crate::opus::{Decoder, PACKET_SAMPLES_MAX};

const MONO: WavSpec =
    WavSpec { channels: 1, sample_rate: 48_000, bits_per_sample: 16, sample_format: SampleFormat::Int };

/// A WAV file of so many seconds of a sound.
fn wav(spec: WavSpec, seconds: f32, sound: impl Fn(f32) -> f32) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec).unwrap();
    for n in 0..(seconds * spec.sample_rate as f32) as u32 {
        let sample = sound(n as f32 / spec.sample_rate as f32);
        for _ in 0..spec.channels {
            match spec.sample_format {
                SampleFormat::Float => writer.write_sample(sample).unwrap(),
                SampleFormat::Int => {
                    let full = (1_u32 << (spec.bits_per_sample - 1)) as f32;
                    writer.write_sample((sample * full) as i32).unwrap();
                }
            }
        }
    }
    writer.finalize().unwrap();
    file.into_inner()
}

fn tone(hertz: f32, amplitude: f32) -> impl Fn(f32) -> f32 {
    move |second| amplitude * (TAU * (hertz * second).fract()).sin()
}

fn made(wav: &[u8]) -> HoldMusic {
    HoldMusic::from_wav(wav, 32_000).unwrap()
}

/// What a decoder makes of so many frames, played on and on.
fn heard(music: &HoldMusic, frames: u64) -> Vec<f32> {
    let (mut decoder, mut pcm, mut all) = (Decoder::new().unwrap(), [0.0; PACKET_SAMPLES_MAX], Vec::new());
    for frame in (0..frames).map(|at| music.frame(at).unwrap()) {
        let len = decoder.decode(frame, &mut pcm).unwrap();
        all.extend_from_slice(&pcm[..len]);
    }
    all
}

fn rms(sound: &[f32]) -> f32 {
    (sound.iter().map(|sample| sample * sample).sum::<f32>() / sound.len() as f32).sqrt()
}

/// How much of a tone is in a sound: its amplitude.
fn amount(sound: &[f32], hertz: f32) -> f32 {
    let (re, im) = sound.iter().enumerate().fold((0.0, 0.0), |(re, im), (n, sample)| {
        let phase = TAU * (hertz * n as f32 / 48_000.0).fract();
        (re + sample * phase.cos(), im + sample * phase.sin())
    });
    2.0 * re.hypot(im) / sound.len() as f32
}

#[test]
fn whatever_the_file_it_is_the_same_sound_as_loud_as_a_programme() {
    let check = |spec: WavSpec, amplitude: f32| {
        let music = made(&wav(spec, 2.0, tone(440.0, amplitude)));
        // What the encoder looks ahead is one frame more.
        assert_eq!(music.duration(), Duration::from_millis(2_020), "{spec:?}");
        let sound = heard(&music, 100);
        // −23 LUFS are 0.11 of a tone that the K filter lets through.
        let middle = &sound[36_000..60_000];
        let level = amount(middle, 440.0);
        assert!((0.095..0.125).contains(&level), "{spec:?} at {amplitude}: {level}");
        assert!((rms(middle) * 2_f32.sqrt() - level).abs() < 0.01, "{spec:?}: something else is in it");
    };
    for (channels, sample_rate) in [(1, 48_000), (2, 44_100), (1, 8_000), (2, 96_000), (1, 22_050), (1, 47_999)] {
        check(WavSpec { channels, sample_rate, ..MONO }, 0.5);
    }
    check(WavSpec { bits_per_sample: 24, ..MONO }, 0.02);
    check(WavSpec { bits_per_sample: 32, sample_format: SampleFormat::Float, ..MONO }, 3.0);
}

#[test]
fn what_a_rate_cannot_carry_is_not_folded_into_what_it_can() {
    let spec = WavSpec { sample_rate: 96_000, ..MONO };
    let both = |second| tone(1_000.0, 0.3)(second) + tone(30_000.0, 0.3)(second);
    let sound = heard(&made(&wav(spec, 2.0, both)), 100);
    let middle = &sound[36_000..60_000];
    assert!(amount(middle, 1_000.0) > 0.08);
    assert!(amount(middle, 18_000.0) < 0.002, "{}", amount(middle, 18_000.0));
}

#[test]
fn peaks_that_would_be_cut_off_keep_it_quieter() {
    // A click in a hundred milliseconds: quiet to people, and high.
    let clicks = |second: f32| if (second * 10.0).fract() < 0.001 { 0.9 } else { 0.0 };
    let sound = heard(&made(&wav(MONO, 3.0, clicks)), 150);
    let peak = sound.iter().fold(0_f32, |peak, sample| peak.max(sample.abs()));
    assert!((0.3..1.0).contains(&peak), "{peak}");
}

#[test]
fn it_comes_and_goes_and_begins_anew_without_a_click() {
    let music = made(&wav(MONO, 2.0, tone(700.0, 0.5)));
    let frames = music.ends.len();
    let sound = heard(&music, 3 * frames as u64);
    let step = |sound: &[f32]| sound.windows(2).fold(0_f32, |most, pair| most.max((pair[1] - pair[0]).abs()));
    let seam = frames * FRAME_SAMPLES;
    let (around, within) = (step(&sound[seam - 960..seam + 1_920]), step(&sound[..seam]));
    assert!(around < within / 10.0, "a step of {around} where it begins anew, of {within} within");
    assert!(rms(&sound[..480]) < 0.003 && rms(&sound[seam - 480..seam]) < 0.003);
    // The second time is like the first.
    let (first, second) = (&sound[24_000..72_000], &sound[seam + 24_000..seam + 72_000]);
    let apart: Vec<f32> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    assert!(rms(&apart) < rms(first) / 100.0, "{}", rms(&apart));
}

#[test]
fn what_cannot_be_used_is_refused_by_its_rule() {
    let check = |wav: &[u8], expected: Unfit| {
        assert_eq!(HoldMusic::from_wav(wav, 32_000).map(drop), Err(expected));
    };
    let good = wav(MONO, 1.5, tone(440.0, 0.1));
    check(b"", Unfit::NotWav);
    check(b"OggS and more", Unfit::NotWav);
    check(&good[..good.len() - 1_000], Unfit::NotWav);
    check(&wav(WavSpec { bits_per_sample: 8, ..MONO }, 1.5, tone(440.0, 0.1)), Unfit::Samples);
    check(&wav(WavSpec { sample_rate: 7_999, ..MONO }, 1.5, tone(440.0, 0.1)), Unfit::Rate);
    check(&wav(WavSpec { sample_rate: 96_001, ..MONO }, 1.5, tone(440.0, 0.1)), Unfit::Rate);
    check(&wav(WavSpec { channels: 3, ..MONO }, 1.5, tone(440.0, 0.1)), Unfit::Channels);
    check(&wav(MONO, 0.9, tone(440.0, 0.1)), Unfit::Short);
    check(&wav(WavSpec { sample_rate: 8_000, ..MONO }, 180.1, tone(440.0, 0.1)), Unfit::Long);
    check(&wav(MONO, 1.5, |_| 0.0), Unfit::Silent);
    check(&wav(MONO, 1.5, tone(440.0, 0.0005)), Unfit::Silent);
    let float = WavSpec { bits_per_sample: 32, sample_format: SampleFormat::Float, ..MONO };
    check(&wav(float, 1.5, |_| f32::NAN), Unfit::Silent);
}

#[test]
fn a_file_is_read_back_and_damage_is_seen() {
    let music = made(&wav(MONO, 1.0, tone(440.0, 0.1)));
    let file = music.to_bytes();
    assert_eq!(HoldMusic::parse(&file), Ok(music));
    assert!(file.len() <= FILE_BYTES_MAX);
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 1 << (at % 8);
        assert_eq!(HoldMusic::parse(&damaged), Err(Malformed), "byte {at}");
    }
    for length in 0..file.len() {
        assert_eq!(HoldMusic::parse(&file[..length]), Err(Malformed), "{length} bytes");
    }
    assert_eq!(HoldMusic::parse(&[&file[..], b"more"].concat()), Err(Malformed));
}

#[test]
fn frames_that_no_programme_makes_are_not_taken() {
    let frames = |frames: &[&[u8]]| HoldMusic::from_frames(frames.iter().copied()).is_some();
    // CELT, 20 ms; the same of 10 ms; two in one packet (RFC 6716 §3.1).
    assert!(frames(&[&[0xf8, 1]]));
    assert!(!frames(&[]));
    assert!(!frames(&[&[]]));
    assert!(!frames(&[&[0xf8, 1], &[0xf0, 1]]));
    assert!(!frames(&[&[0xf9, 1]]));
    assert!(frames(&[&[0xf8; FRAME_BYTES_MAX]]));
    assert!(!frames(&[&[0xf8; FRAME_BYTES_MAX + 1]]));
    assert!(HoldMusic::from_frames(std::iter::repeat_n(&[0xf8, 1][..], FRAMES_MAX)).is_some());
    assert!(HoldMusic::from_frames(std::iter::repeat_n(&[0xf8, 1][..], FRAMES_MAX + 1)).is_none());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = HoldMusic::parse(&bytes);
        let _ = HoldMusic::from_wav(&bytes, 32_000);
        let _ = HoldMusic::from_wav(&[b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0".as_slice(), &bytes].concat(), 32_000);
    }
}
