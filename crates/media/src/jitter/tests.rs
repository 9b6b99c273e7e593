#![allow(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]

use std::time::Duration;

use super::*;

/// TOC of a 20 ms CELT frame, which has no FEC.
const CELT: [u8; 4] = [0xf8, 1, 2, 3];
/// TOC of a 20 ms SILK frame, with the LBRR flag set.
const SILK_WITH_FEC: [u8; 4] = [0x48, 0x40, 2, 3];
/// TOC alone: discontinuous transmission.
const NOTHING: [u8; 1] = [0xf8];

/// A speaker and a beat on one simulated clock.
struct World {
    start: Instant,
    jitter: Jitter,
    beat: u32,
    pending: usize,
}

/// What one beat played, one letter per pull: packet number, `f`ec, `c`onceal, `.` silence.
type Played = String;

impl World {
    fn new() -> Self {
        Self { start: Instant::now(), jitter: Jitter::new(), beat: 0, pending: 0 }
    }

    fn send(&mut self, number: u64, arrival_ms: u64, bytes: &[u8]) {
        self.send_as(0, number, number * 960, arrival_ms, false, bytes);
    }

    fn send_as(&mut self, source: u32, sequence: u64, timestamp: u64, arrival_ms: u64, redundant: bool, bytes: &[u8]) {
        let mut payload = bytes.to_vec();
        // Told by its last bytes, if it says anything.
        if bytes.len() > NOTHING.len() {
            payload.extend((sequence as u16).to_be_bytes());
        }
        self.jitter.handle(Packet {
            source,
            sequence,
            timestamp: 1 << 32 | timestamp,
            arrival: self.start + Duration::from_millis(arrival_ms),
            redundant,
            level: None,
            payload: Opus::new(&payload).unwrap(),
        });
    }

    fn beat(&mut self) -> Played {
        let now = self.start + Duration::from_millis(u64::from(self.beat) * 20 + 10);
        self.beat += 1;
        let mut played = String::new();
        while self.pending < 960 + 25 {
            let (letter, samples) = match self.jitter.pull(now, self.pending) {
                Pull::Frame(opus) => {
                    let number = opus.as_slice().get(CELT.len()..).and_then(|rest| rest.first_chunk());
                    let number = number.map_or("-".to_owned(), |number| u16::from_be_bytes(*number).to_string());
                    (format!("{number},"), opus.duration().unwrap() as usize)
                }
                Pull::Fec { samples, .. } => ("f".into(), samples),
                Pull::Conceal { samples, .. } => ("c".into(), samples),
                Pull::Silence { samples } => (".".into(), samples),
            };
            assert!(samples > 0);
            self.pending += samples;
            played += &letter;
        }
        self.pending -= 960;
        played
    }

    /// Plays so many beats, with packets sent by `send(world, beat)` first.
    fn run(&mut self, beats: u32, mut send: impl FnMut(&mut Self, u64)) -> Played {
        (0..beats)
            .map(|_| {
                let beat = u64::from(self.beat);
                send(self, beat);
                self.beat()
            })
            .collect()
    }
}

/// Without the silence that comes first, and without silence at the end.
fn speech(played: &str) -> &str {
    played.trim_matches('.')
}

#[test]
fn packets_in_time_are_played_in_order_with_nothing_between() {
    let mut world = World::new();
    let played = world.run(60, |w, n| w.send(n, n * 20, &CELT));
    let expected: String = (0..56).map(|n| format!("{n},")).collect();
    assert!(speech(&played).starts_with(&expected), "{played}");
    assert_eq!(world.jitter.counts().concealed, 0);
}

#[test]
fn reordered_and_doubled_packets_make_no_difference() {
    let mut world = World::new();
    let played = world.run(60, |w, n| {
        // Pairs swapped, and each sent twice.
        for number in if n % 2 == 1 { vec![n, n - 1, n] } else { vec![] } {
            w.send(number, n * 20, &CELT);
        }
    });
    let expected: String = (0..54).map(|n| format!("{n},")).collect();
    assert!(speech(&played).starts_with(&expected), "{played}");
    assert!(world.jitter.counts().duplicate >= 28);
}

#[test]
fn a_lost_packet_is_concealed_once_and_the_rest_keeps_its_place() {
    let mut world = World::new();
    let played = world.run(40, |w, n| {
        if n != 20 {
            w.send(n, n * 20, &CELT)
        }
    });
    assert!(played.contains("19,c21,22,23"), "{played}");
}

#[test]
fn a_lost_packet_comes_back_from_red() {
    let mut world = World::new();
    let played = world.run(40, |w, n| {
        if n != 20 {
            if n > 0 {
                w.send_as(0, n - 1, (n - 1) * 960, n * 20, true, &CELT);
            }
            w.send(n, n * 20, &CELT);
        }
    });
    assert!(played.contains("19,20,21,"), "{played}");
    assert_eq!(world.jitter.counts().redundant, 1);
    assert_eq!(world.jitter.counts().concealed, 0);
}

#[test]
fn a_lost_packet_comes_back_from_fec_in_the_next() {
    let mut world = World::new();
    let played = world.run(40, |w, n| {
        if n != 20 {
            w.send(n, n * 20, &SILK_WITH_FEC)
        }
    });
    assert!(played.contains("19,f21,"), "{played}");
}

#[test]
fn a_long_loss_is_concealed_for_100_ms_and_then_silent() {
    let mut world = World::new();
    let played = world.run(60, |w, n| {
        if !(20..30).contains(&n) {
            w.send(n, n * 20, &CELT)
        }
    });
    let (_, after) = played.split_once("19,").unwrap();
    let (gap, _) = after.split_once("30,").unwrap();
    assert_eq!(gap.matches('c').count(), 5, "{gap}");
    assert!(gap.starts_with("ccccc") && gap.len() >= 9, "{gap}");
    assert!(played.contains("30,31,32,33,34"), "{played}");
}

#[test]
fn a_pause_by_dtx_is_silent_without_concealment() {
    let mut world = World::new();
    let played = world.run(80, |w, n| match n {
        0..20 => w.send(n, n * 20, &CELT),
        20 => w.send(20, n * 20, &NOTHING),
        // One comfort packet in between, and speech again: sequence numbers without a gap.
        40 => w.send_as(0, 21, 40 * 960, n * 20, false, &NOTHING),
        60.. => w.send_as(0, 22 + n - 60, n * 960, n * 20, false, &CELT),
        _ => {}
    });
    assert!(!played.contains('c'), "{played}");
    assert_eq!(world.jitter.counts().concealed, 0);
    let (before, _) = played.split_once("22,").unwrap();
    assert_eq!(before.matches(',').count(), 22);
}

#[test]
fn a_packet_that_was_only_late_is_still_heard_and_the_delay_grows() {
    let mut world = World::new();
    let target = world.jitter.target();
    let played = world.run(80, |w, n| match n {
        0..30 => w.send(n, n * 20, &CELT),
        // A stall of 80 ms, then everything at once.
        34 => (30..=34).for_each(|number| w.send(number, n * 20, &CELT)),
        35.. => w.send(n, n * 20, &CELT),
        _ => {}
    });
    let expected: String = (0..70).map(|n| format!("{n},")).collect();
    assert_eq!(&played.replace(['c', '.'], "")[..expected.len()], expected, "{played}");
    assert!(world.jitter.target() > target);
}

#[test]
fn after_a_burst_we_are_no_more_than_220_ms_behind() {
    let mut world = World::new();
    world.run(80, |w, n| match n {
        0..30 => w.send(n, n * 20, &CELT),
        70 => (30..=70).for_each(|number| w.send(number, n * 20, &CELT)),
        71.. => w.send(n, n * 20, &CELT),
        _ => {}
    });
    assert!(world.jitter.buffered(world.pending) <= BUFFERED_MAX);
    assert!(world.jitter.counts().overrun > 20);
}

#[test]
fn a_new_ssrc_goes_on_where_the_old_one_ended() {
    let mut world = World::new();
    let played = world.run(60, |w, n| match n {
        0..30 => w.send(n, n * 20, &CELT),
        _ => w.send_as(1, 5000 + n, 77_000_000 + n * 960, n * 20, false, &CELT),
    });
    assert!(played.contains("28,29,5030,5031,5032"), "{played}");
    assert_eq!(world.jitter.counts().concealed, 0);
}

#[test]
fn a_timestamp_jump_of_hours_is_only_a_new_beginning() {
    for jump in [1_u64 << 31, 1 << 20] {
        let mut world = World::new();
        let played = world.run(60, |w, n| match n {
            0..30 => w.send_as(0, n, (1 << 34) + n * 960, n * 20, false, &CELT),
            40.. => w.send_as(0, n, (1 << 34) - jump + n * 960, n * 20, false, &CELT),
            _ => w.send_as(0, n, (1 << 34) + jump + n * 960, n * 20, false, &CELT),
        });
        assert!(played.contains("28,29,30,31"), "{played}");
        assert!(played.contains("38,39,40,41"), "{played}");
    }
}

#[test]
fn jitter_below_the_target_is_not_heard_after_the_first_seconds() {
    let mut world = World::new();
    let mut seed = 7_u64;
    let mut sent = 0;
    let mut queue: Vec<(u64, u64)> = Vec::new();
    let mut late = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        n * 20 + (seed >> 33) % 60
    };
    let mut concealed_at_first = 0;
    for beat in 0..3000_u64 {
        while sent * 20 <= beat * 20 + 20 {
            queue.push((late(sent), sent));
            sent += 1;
        }
        queue.sort_unstable();
        while queue.first().is_some_and(|(arrival, _)| *arrival <= beat * 20 + 10) {
            let (arrival, number) = queue.remove(0);
            world.send(number, arrival, &CELT);
        }
        world.beat();
        if beat == 500 {
            concealed_at_first = world.jitter.counts().concealed;
        }
    }
    let counts = world.jitter.counts();
    assert!(counts.concealed - concealed_at_first < 25, "{counts:?}, {concealed_at_first}");
    assert!((3300..=4600).contains(&world.jitter.target()), "{}", world.jitter.target());
}

#[test]
fn an_ignored_packet_is_never_played_but_known() {
    let mut world = World::new();
    for n in 0..60_u64 {
        let packet = Packet {
            source: 0,
            sequence: n,
            timestamp: n * 960,
            arrival: world.start + Duration::from_millis(n * 20),
            redundant: false,
            level: None,
            payload: Opus::new(&CELT).unwrap(),
        };
        world.jitter.ignore(packet);
    }
    assert!(world.jitter.is_idle());
    assert_eq!(world.jitter.target(), TARGET_MIN);
}
