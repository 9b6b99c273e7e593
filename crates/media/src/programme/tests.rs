#![allow(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]

use std::time::Duration;

use super::*;
use crate::opus::{Decoder, PACKET_SAMPLES_MAX};
use crate::package::fmp4;

mod faults;
mod hold;
mod patience;
mod people;

/// A programme and its speakers on one simulated clock.
struct World {
    start: Instant,
    programme: Programme,
    beats: u64,
    chunks: Vec<Chunk>,
    /// Everything given back to seat n.
    returns: [Vec<Payload>; SEATS],
    spent: usize,
}

/// Someone with a microphone: a tone, or whatever is wanted, as Opus packets.
struct Voice {
    seat: Seat,
    encoder: Encoder,
    sent: u64,
    sound: fn(u64) -> f32,
}

impl World {
    fn new() -> Self {
        let config = Config {
            index: 0,
            time: Time(0),
            beginning: Beginning::New,
            bitrate_bps: 32_000,
            ogg_serial: 7,
            nobody_event: b"nobody".as_slice().into(),
            audience: Audience::Hears,
        };
        let programme = Programme::new(config).unwrap();
        Self { start: Instant::now(), programme, beats: 0, chunks: Vec::new(), returns: Default::default(), spent: 0 }
    }

    fn voice(&mut self, sound: fn(u64) -> f32) -> Voice {
        let config = SpeakerConfig {
            speaking_event: format!("speaker {}", self.programme.speaker_count()).into_bytes().into(),
            returning: Returning::Wanted,
            voicing: Voicing::Open,
            return_bitrate_bps: 32_000,
        };
        let seat = self.programme.seat(Box::new(Speaker::new(config).unwrap())).unwrap();
        Voice { seat, encoder: Encoder::new(32_000).unwrap(), sent: 0, sound }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(20 * self.beats)
    }

    fn handle(&mut self, seat: Seat, packet: &Packet<Payload>) {
        self.programme.handle(self.now(), Input::Packet { seat, packet: packet.with(packet.payload.opus()) });
    }

    fn mute(&mut self, seat: Seat, voicing: Voicing) {
        self.programme.handle(self.now(), Input::Mute { seat, voicing });
    }

    fn beat(&mut self) {
        // 5 ms after the packets of this beat came.
        self.programme.handle(self.now() + Duration::from_millis(5), Input::Beat);
        self.beats += 1;
        while let Some(output) = self.programme.poll() {
            match output {
                Output::Chunk(chunk) => {
                    self.chunks.push((*chunk).clone());
                    self.programme.recycle(chunk);
                }
                Output::Return { seat, payload, .. } => self.returns[usize::from(seat.0)].push(payload.into()),
                Output::Spent(_) => self.spent += 1,
            }
        }
    }

    /// So many beats in which all these speak.
    fn run(&mut self, beats: u64, voices: &mut [&mut Voice]) {
        for _ in 0..beats {
            for voice in voices.iter_mut() {
                let packet = voice.packet(self.now());
                self.handle(voice.seat, &packet);
            }
            self.beat();
        }
    }

    /// The programme as a listener hears it.
    fn heard(&self) -> Vec<f32> {
        let frames = self.chunks.iter().flat_map(|chunk| fmp4::frames(&chunk.mp4).unwrap().iter().collect::<Vec<_>>());
        decode(frames.map(|frame| Payload::new(frame).unwrap()))
    }

    fn heard_by(&self, seat: Seat) -> Vec<f32> {
        decode(self.returns[usize::from(seat.0)].iter().cloned())
    }

    fn events(&self) -> Vec<(u64, String)> {
        let text = |payload: &[u8]| String::from_utf8(payload.to_vec()).unwrap();
        let of = |chunk: &Chunk| {
            let fragment = fmp4::frames(&chunk.mp4).unwrap();
            fragment.events().map(|event| (event.time.0 / 960, text(event.payload))).collect::<Vec<_>>()
        };
        self.chunks.iter().flat_map(of).collect()
    }

    fn seated(&self, seat: Seat) -> Seated {
        self.programme.stats().seats[usize::from(seat.0)].unwrap()
    }
}

impl Voice {
    fn packet(&mut self, arrival: Instant) -> Packet<Payload> {
        let at = self.sent * FRAME_SAMPLES as u64;
        let sound = std::array::from_fn(|n| (self.sound)(at + n as u64));
        let payload = self.encoder.encode(&sound).unwrap();
        self.sent += 1;
        Packet {
            source: 0,
            sequence: (1 << 32) + self.sent,
            timestamp: (1 << 32) + at,
            arrival,
            redundant: false,
            level: None,
            payload: payload.into(),
        }
    }
}

fn decode(payloads: impl Iterator<Item = Payload>) -> Vec<f32> {
    let mut decoder = Decoder::new().unwrap();
    let mut frame = [0.0; PACKET_SAMPLES_MAX];
    let mut all = Vec::new();
    for payload in payloads {
        let len = decoder.decode(payload.opus(), &mut frame).unwrap();
        all.extend(&frame[..len]);
    }
    all
}

fn tone(hertz: f32, amplitude: f32, n: u64) -> f32 {
    // In f64, or the phase of a long tone is noise.
    amplitude * (std::f64::consts::TAU * f64::from(hertz) * n as f64 / 48_000.0).sin() as f32
}

/// How much of a tone is in a sound: its amplitude, on average over pieces of 100 ms (over more, a corrected clock would cancel it).
fn amount(sound: &[f32], hertz: f32) -> f32 {
    let amplitude = |piece: &[f32]| {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in piece.iter().enumerate() {
            let phase = std::f64::consts::TAU * f64::from(hertz) * n as f64 / 48_000.0;
            re += f64::from(*sample) * phase.cos();
            im += f64::from(*sample) * phase.sin();
        }
        2.0 * re.hypot(im) / piece.len() as f64
    };
    let pieces = sound.chunks_exact(4800);
    let count = pieces.len() as f64;
    (pieces.map(amplitude).sum::<f64>() / count) as f32
}

/// Pieces of 10 ms that are far quieter than the sound around them: what a listener calls a gap.
fn gaps(sound: &[f32]) -> usize {
    let level = |piece: &[f32]| piece.iter().map(|s| s * s).sum::<f32>() / piece.len() as f32;
    let whole = level(sound);
    sound.chunks_exact(480).filter(|piece| level(piece) < whole * 0.05).count()
}
