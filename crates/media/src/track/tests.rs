#![allow(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::*;
use crate::chunk::Chunk;
use crate::opus::Decoder;
use crate::package::fmp4;
use crate::packet::{Packet, Payload};
use crate::programme::{
    Audience, Beginning, Config, Input, Output, Programme, Returning, Seat, Speaker, SpeakerConfig, Voicing,
};
use crate::{CHUNK_FRAMES, FRAME_SAMPLES, Time};

const NOBODY: &[u8] = b"nobody";

/// A conversation that is kept: what everyone heard, and by chunk the voices in their stored form.
#[derive(Default)]
struct Kept {
    chunks: Vec<Chunk>,
    tracks: BTreeMap<u64, Vec<Vec<u8>>>,
    dropped: usize,
}

/// Somebody with a microphone and a network.
struct Person {
    seat: Seat,
    id: u64,
    owner: &'static str,
    encoder: opus::Encoder,
    sent: u64,
    hertz: f32,
    /// Of a hundred packets.
    lost: u64,
    /// How much faster their clock runs.
    ppm: f64,
    pending: BTreeMap<u64, Vec<u8>>,
}

struct Stage {
    start: Instant,
    beat: u64,
    programme: Programme,
    people: Vec<Person>,
    next_id: u64,
    kept: Kept,
}

fn config(index: u64) -> Config {
    Config {
        index,
        time: Time(index * 9_600),
        beginning: Beginning::New,
        bitrate_bps: 32_000,
        ogg_serial: 7,
        nobody_event: NOBODY.into(),
        audience: Audience::Hears,
    }
}

fn speaking(owner: &[u8]) -> Vec<u8> {
    [b"speaking ".as_slice(), owner].concat()
}

impl Stage {
    fn new() -> Self {
        let programme = Programme::new(config(3)).unwrap();
        Self { start: Instant::now(), beat: 0, programme, people: Vec::new(), next_id: 100, kept: Kept::default() }
    }

    fn come(&mut self, owner: &'static str, hertz: f32, lost: u64, ppm: f64) {
        let speaker = Speaker::new(SpeakerConfig {
            speaking_event: speaking(owner.as_bytes()).into(),
            returning: Returning::Wanted,
            voicing: Voicing::Open,
            return_bitrate_bps: 32_000,
        });
        let seat = self.programme.seat(Box::new(speaker.unwrap().kept())).unwrap();
        let mut encoder = opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Voip).unwrap();
        encoder.set_bitrate(opus::Bitrate::Bits(24_000)).unwrap();
        encoder.set_inband_fec(lost > 5).unwrap();
        encoder.set_packet_loss_perc(20).unwrap();
        self.next_id += 1;
        let (id, pending) = (self.next_id, BTreeMap::new());
        self.people.push(Person { seat, id, owner, encoder, sent: 0, hertz, lost, ppm, pending });
    }

    fn leave(&mut self, owner: &str) {
        let at = self.people.iter().position(|person| person.owner == owner).unwrap();
        let mut person = self.people.remove(at);
        self.programme.unseat(person.seat).unwrap();
        let time = self.programme.time();
        person.note(time, &LEFT);
        for (chunk, bytes) in person.pending {
            self.kept.tracks.entry(chunk).or_default().push(bytes);
        }
    }

    fn mute(&mut self, owner: &str, voicing: Voicing) {
        let seat = self.people.iter().find(|person| person.owner == owner).unwrap().seat;
        self.programme.handle(self.now(), Input::Mute { seat, voicing });
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(20 * self.beat)
    }

    /// So many beats in which those speak who are named.
    fn run(&mut self, beats: u64, speaking: &[&str]) {
        for _ in 0..beats {
            let now = self.now();
            for person in &mut self.people {
                person.speak(&mut self.programme, now, self.beat, speaking.contains(&person.owner));
            }
            self.programme.handle(now + Duration::from_millis(4), Input::Beat);
            for person in &mut self.people {
                match self.programme.piece(person.seat) {
                    Some((time, Ok(piece))) => {
                        let piece = piece.to_vec();
                        person.note(time, &piece);
                    }
                    Some((_, Err(Dropped))) => self.kept.dropped += 1,
                    None => {}
                }
            }
            while let Some(output) = self.programme.poll() {
                if let Output::Chunk(chunk) = output {
                    for person in &mut self.people {
                        for (chunk, bytes) in std::mem::take(&mut person.pending) {
                            self.kept.tracks.entry(chunk).or_default().push(bytes);
                        }
                    }
                    self.kept.chunks.push((*chunk).clone());
                    self.programme.recycle(chunk);
                }
            }
            self.beat += 1;
        }
    }
}

impl Person {
    fn note(&mut self, time: Time, piece: &[u8]) {
        let beat = time.0 / FRAME_SAMPLES as u64;
        let (chunk, beat) = (beat / CHUNK_FRAMES as u64, (beat % CHUNK_FRAMES as u64) as u8);
        let (id, seat, owner) = (self.id, self.seat, self.owner);
        let bytes = self.pending.entry(chunk).or_insert_with(|| Voice::begin(id, seat, owner.as_bytes()));
        Voice::push(bytes, beat, piece);
    }

    /// Sends what is due by their own clock: something like a voice, or, when they say nothing, one that comes as silence or not at all.
    fn speak(&mut self, programme: &mut Programme, now: Instant, beat: u64, speaks: bool) {
        let due = (beat as f64 * (1.0 + self.ppm * 1e-6)) as u64;
        while self.sent <= due {
            let n = self.sent;
            self.sent += 1;
            let sound: [f32; FRAME_SAMPLES] = std::array::from_fn(|i| {
                let t = (n * FRAME_SAMPLES as u64 + i as u64) as f64 / 48_000.0;
                let tone = |k: f64| (t * f64::from(self.hertz) * k * std::f64::consts::TAU).sin() / k;
                let envelope = (t * 3.0 * std::f64::consts::TAU).sin().max(0.0);
                if speaks { (0.3 * envelope * (tone(1.0) + tone(2.0) + tone(3.0))) as f32 } else { 0.0 }
            });
            let mut bytes = [0; 1275];
            let len = self.encoder.encode_float(&sound, &mut bytes).unwrap();
            let drawn = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(self.id * 77).rotate_left(23) % 100;
            // Every other second of saying nothing they send nothing.
            if drawn < self.lost || !speaks && beat % 100 > 50 {
                continue;
            }
            let late = Duration::from_micros(drawn * 180);
            let packet = Packet {
                source: 0,
                sequence: (1 << 32) + n,
                timestamp: (1 << 32) + n * FRAME_SAMPLES as u64,
                arrival: now + late.min(Duration::from_millis(3)),
                redundant: false,
                level: None,
                payload: Payload::new(&bytes[..len]).unwrap(),
            };
            let packet = packet.with(packet.payload.opus());
            programme.handle(now, Input::Packet { seat: self.seat, packet });
        }
    }
}

impl Kept {
    /// Mixed again, of those whose owner passes.
    fn remixed(&self, stays: impl Fn(&[u8]) -> bool) -> Vec<Chunk> {
        let mut remix = Remix::new(Instant::now(), 32_000, 7, NOBODY).unwrap();
        let chunk = |old: &Chunk| {
            let stored = self.tracks.get(&old.index).map_or(&[][..], Vec::as_slice);
            let voices: Vec<Voice<'_>> =
                stored.iter().map(|bytes| Voice::parse(bytes).unwrap()).filter(|voice| stays(voice.owner)).collect();
            remix.chunk(old.index, old.time, &voices, speaking).unwrap()
        };
        self.chunks.iter().map(chunk).collect()
    }
}

fn conversation() -> Kept {
    let mut stage = Stage::new();
    stage.run(30, &[]);
    stage.come("anna", 150.0, 0, 0.0);
    stage.come("basil", 210.0, 12, 180.0);
    stage.run(150, &["anna"]);
    stage.run(120, &["anna", "basil"]);
    stage.come("chadia", 120.0, 6, -150.0);
    stage.mute("anna", Voicing::Muted);
    stage.run(97, &["anna", "basil", "chadia"]);
    stage.mute("anna", Voicing::Open);
    stage.run(203, &["anna", "chadia"]);
    stage.leave("basil");
    stage.run(33, &["chadia"]);
    // In the seat that was left, and once more the same person.
    stage.come("dalal", 260.0, 3, 0.0);
    stage.run(250, &["dalal", "anna"]);
    stage.leave("dalal");
    stage.come("basil", 210.0, 40, 0.0);
    stage.run(301, &["basil"]);
    stage.run(16, &[]);
    assert_eq!((stage.kept.dropped, stage.kept.chunks.len()), (0, 120));
    stage.kept
}

fn samples(chunks: &[Chunk]) -> Vec<f32> {
    let (mut decoder, mut all, mut frame) = (Decoder::new().unwrap(), Vec::new(), [0.0; 5760]);
    for chunk in chunks {
        for opus in fmp4::frames(&chunk.mp4).unwrap().iter() {
            let len = decoder.decode(Opus::new(opus).unwrap(), &mut frame).unwrap();
            all.extend_from_slice(&frame[..len]);
        }
    }
    all
}

/// How much of a tone is in a sound, by pieces of 100 ms.
fn amount(sound: &[f32], hertz: f32) -> f64 {
    let amplitude = |piece: &[f32]| {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in piece.iter().enumerate() {
            let phase = std::f64::consts::TAU * f64::from(hertz) * n as f64 / 48_000.0;
            re += f64::from(*sample) * phase.cos();
            im += f64::from(*sample) * phase.sin();
        }
        2.0 * re.hypot(im) / piece.len() as f64
    };
    sound.chunks_exact(4800).map(amplitude).fold(0.0, f64::max)
}

#[test]
fn mixed_again_with_everyone_it_is_the_programme_to_the_bit() {
    let kept = conversation();
    let again = kept.remixed(|_| true);
    for (old, new) in kept.chunks.iter().zip(&again) {
        let at = old.index;
        assert_eq!((old.index, old.time, old.duration), (new.index, new.time, new.duration));
        assert_eq!(old.facts, new.facts, "chunk {at}");
        assert!(old.mp4 == new.mp4, "chunk {at}: other sound, or other speakers");
        assert!(old.ogg == new.ogg, "chunk {at}");
    }
    assert_eq!(again.len(), kept.chunks.len());
}

#[test]
fn who_is_left_out_is_not_heard_and_not_named_and_the_others_are() {
    let kept = conversation();
    let without = kept.remixed(|owner| owner != b"basil");
    let (before, after) = (samples(&kept.chunks), samples(&without));
    assert_eq!(before.len(), after.len());
    // What is left there is the others' skirts, and the codec's.
    let (there, left) = (amount(&before, 210.0), amount(&after, 210.0));
    assert!(there > 0.1 && left < there / 5.0, "{there}, then {left}");
    for hertz in [150.0, 120.0, 260.0] {
        assert!(amount(&after, hertz) > 0.05, "{hertz}: {}", amount(&after, hertz));
    }
    let named =
        |chunks: &[Chunk]| chunks.iter().any(|chunk| chunk.mp4.windows(14).any(|bytes| bytes == b"speaking basil"));
    assert!(named(&kept.chunks) && !named(&without));
}

#[test]
fn what_was_said_while_muted_is_not_kept() {
    let mut stage = Stage::new();
    stage.come("anna", 150.0, 0, 0.0);
    stage.run(60, &["anna"]);
    stage.mute("anna", Voicing::Muted);
    stage.run(10, &["anna"]);
    let before: usize = stage.kept.tracks.values().flatten().map(Vec::len).sum();
    stage.run(100, &["anna"]);
    let after: usize = stage.kept.tracks.values().flatten().map(Vec::len).sum();
    assert!(before > 1_000 && after == before, "{before} bytes, then {after}");
}

#[test]
fn somebody_who_floods_is_bounded_and_no_one_else_suffers() {
    let mut stage = Stage::new();
    stage.come("anna", 150.0, 0, 0.0);
    stage.come("basil", 210.0, 0, 0.0);
    // As much as Opus can.
    stage.people[1].encoder.set_bitrate(opus::Bitrate::Max).unwrap();
    stage.people[1].encoder.set_vbr(false).unwrap();
    stage.run(900, &["anna", "basil"]);
    let bytes = |owner: &[u8]| -> usize {
        let stored = stage.kept.tracks.values().flatten();
        stored.filter(|bytes| Voice::parse(bytes).unwrap().owner == owner).map(Vec::len).sum()
    };
    let most = 900 * BEAT_BYTES_MAX + SAVED_BYTES_MAX + 180 * 64;
    assert!(stage.kept.dropped > 10, "{} pieces left out, {} bytes kept", stage.kept.dropped, bytes(b"basil"));
    assert!(bytes(b"basil") <= most && bytes(b"basil") > most / 2, "{} of {most}", bytes(b"basil"));
    let without = samples(&stage.kept.remixed(|owner| owner == b"anna"));
    assert!(amount(&without, 150.0) > 0.05);
}

#[test]
fn a_hole_in_the_log_or_in_the_tracks_is_a_pause() {
    let mut kept = conversation();
    // Chunks are missing, and the tracks of others.
    kept.chunks.retain(|chunk| !(20..27).contains(&chunk.index));
    kept.tracks.retain(|index, _| !(40..45).contains(index));
    let again = kept.remixed(|_| true);
    for (old, new) in kept.chunks.iter().zip(&again) {
        assert_eq!((old.index, old.time), (new.index, new.time));
    }
    let silent = |index: u64| again.iter().find(|chunk| chunk.index == index).unwrap().facts.energy[1] < 1e-6;
    assert!(silent(42) && !silent(38) && !silent(47));
}

#[test]
fn damaged_tracks_make_some_sound_and_no_panic() {
    let kept = conversation();
    let mut seed = 1_u64;
    let mut draw = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..4 {
        let mut remix = Remix::new(Instant::now(), 32_000, 7, NOBODY).unwrap();
        for old in &kept.chunks {
            let mut stored = kept.tracks.get(&old.index).cloned().unwrap_or_default();
            for bytes in &mut stored {
                for _ in 0..draw() % 6 {
                    let at = (draw() % bytes.len() as u64) as usize;
                    bytes[at] = draw() as u8;
                }
                let len = bytes.len() - (draw() % 40) as usize % bytes.len();
                bytes.truncate(len);
            }
            let voices: Vec<Voice<'_>> = stored.iter().filter_map(|bytes| Voice::parse(bytes)).collect();
            let chunk = remix.chunk(old.index, old.time, &voices, speaking).unwrap();
            assert!(chunk.facts.true_peak.is_finite() && chunk.facts.energy.iter().all(|energy| energy.is_finite()));
        }
    }
}
