//! What a full stage costs: 20 speakers, 6 of them talking, per beat; and a space with nobody on stage.
//!
//! `cargo run --release -p hiwar-media --example studio` prints one JSON object. The share of the codec is the number of its calls times what a call takes
//! on the same sound; what remains is the cost of everything around it.

#![allow(clippy::disallowed_methods, reason = "a bench is where the clock is")]

use std::fs;
use std::time::{Duration, Instant};

use hiwar_media::opus::{Decoder, Encoder, PACKET_SAMPLES_MAX};
use hiwar_media::packet::{Packet, Payload};
use hiwar_media::programme::{
    BEAT, Beginning, Config, Input, Output, Programme, Returning, SEATS, Seat, Speaker, SpeakerConfig, Voicing,
};
use hiwar_media::{FRAME_SAMPLES, Time};

const BEATS: u64 = 3000;
const TALKING: usize = 6;
const LOOP: usize = 200;

fn main() {
    let (sound, packets) = speech();
    let (encode_us, decode_us) = codec_us(&sound, &packets);
    let (full_us, encodes, decodes) = stage_us(&packets);
    let codec_us = (encodes as f64 * encode_us + decodes as f64 * decode_us) / BEATS as f64;
    let idle_us = idle_us();
    let percent = |us: f64| us / BEAT.as_micros() as f64 * 100.0;
    println!(
        "{{\"encode_us\": {encode_us:.1}, \"decode_us\": {decode_us:.1}, \"beat_us\": {full_us:.1}, \"codec_percent\": {:.2}, \
         \"around_codec_percent\": {:.2}, \"idle_spaces_percent\": {:.3}}}",
        percent(codec_us),
        percent(full_us - codec_us),
        percent(idle_us * 200.0)
    );
}

/// Time that this thread has had on a core, in microseconds: what others take from it meanwhile does not count.
fn cpu_us() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").expect("the scheduler's statistics");
    let nanoseconds = stat.split_whitespace().next().and_then(|first| first.parse::<f64>().ok());
    nanoseconds.expect("time on a core, first of three numbers") / 1e3
}

/// Something that costs what a voice costs: overtones under syllables, and breath.
fn speech() -> (Vec<[f32; FRAME_SAMPLES]>, Vec<Payload>) {
    let mut noise = 1_u32;
    let mut sample = |n: usize| {
        let t = n as f32 / 48_000.0;
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let breath = (noise >> 8) as f32 / (1 << 23) as f32 - 1.0;
        let tone = |k: usize| (t * 130.0 * k as f32 * std::f32::consts::TAU).sin() / k as f32;
        let syllable = (t * 3.5 * std::f32::consts::TAU).sin().max(0.0);
        0.3 * syllable * (1..12).map(tone).sum::<f32>() + 0.02 * breath * (1.0 - syllable)
    };
    let sound: Vec<[f32; FRAME_SAMPLES]> =
        (0..LOOP).map(|frame| std::array::from_fn(|n| sample(frame * FRAME_SAMPLES + n))).collect();
    let mut encoder = Encoder::new(32_000).expect("an encoder");
    let packets = sound.iter().map(|frame| encoder.encode(frame).expect("a frame").into()).collect();
    (sound, packets)
}

fn codec_us(sound: &[[f32; FRAME_SAMPLES]], packets: &[Payload]) -> (f64, f64) {
    let mut encoder = Encoder::new(32_000).expect("an encoder");
    let mut decoder = Decoder::new().expect("a decoder");
    let mut out = [0.0; PACKET_SAMPLES_MAX];
    let per = |start: f64| (cpu_us() - start) / (10 * LOOP) as f64;
    let start = cpu_us();
    for _ in 0..10 {
        for frame in sound {
            encoder.encode(frame).expect("a frame");
        }
    }
    let encode_us = per(start);
    let start = cpu_us();
    for _ in 0..10 {
        for packet in packets {
            decoder.decode(packet.opus(), &mut out).expect("sound");
        }
    }
    (encode_us, per(start))
}

fn programme() -> Programme {
    Programme::new(Config {
        index: 0,
        time: Time(0),
        beginning: Beginning::New,
        bitrate_bps: 32_000,
        ogg_serial: 1,
        nobody_event: Box::default(),
    })
    .expect("a programme")
}

/// Time per beat of a full stage, and the codec's calls.
fn stage_us(packets: &[Payload]) -> (f64, u64, u64) {
    let mut programme = programme();
    for _ in 0..SEATS {
        let config = SpeakerConfig {
            speaking_event: Box::default(),
            returning: Returning::Wanted,
            voicing: Voicing::Open,
            return_bitrate_bps: 32_000,
        };
        programme.seat(Box::new(Speaker::new(config).expect("a speaker"))).expect("a seat");
    }
    let start = Instant::now();
    let begin = cpu_us();
    for beat in 0..BEATS {
        let now = start + BEAT * beat as u32;
        for seat in 0..TALKING {
            // Five milliseconds of jitter, and each at another place of the loop.
            let packet = Packet {
                source: 0,
                sequence: beat,
                timestamp: beat * FRAME_SAMPLES as u64,
                arrival: now + Duration::from_millis((beat * 7 + seat as u64) % 5),
                redundant: false,
                level: None,
                payload: packets[(beat as usize + seat * 31) % packets.len()].opus(),
            };
            programme.handle(now, Input::Packet { seat: Seat(seat as u8), packet });
        }
        programme.handle(now + Duration::from_millis(6), Input::Beat);
        while let Some(output) = programme.poll() {
            if let Output::Chunk(chunk) = output {
                programme.recycle(chunk);
            }
        }
    }
    let took = cpu_us() - begin;
    let stats = programme.stats();
    (took / BEATS as f64, stats.encodes, stats.decodes)
}

/// Time per beat of one space with nobody on stage.
fn idle_us() -> f64 {
    let mut programme = programme();
    let start = Instant::now();
    let begin = cpu_us();
    for beat in 0..BEATS * 10 {
        programme.handle(start + BEAT * beat as u32, Input::Beat);
        while let Some(output) = programme.poll() {
            if let Output::Chunk(chunk) = output {
                programme.recycle(chunk);
            }
        }
    }
    (cpu_us() - begin) / (BEATS * 10) as f64
}
