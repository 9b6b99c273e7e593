//! How long people wait for each other: the jitter buffer's delay through minutes of talk, on networks of several kinds.

use super::faults::noise;
use super::*;
use crate::jitter::Counts;

/// Beats of one round of talk, 27 s, and of one's own turn in it when three take turns.
const ROUND: u64 = 1350;
const TURN: u64 = 450;

/// Clocks of speakers, in parts per million off.
const CLOCKS: [f64; 3] = [0.0, 200.0, -200.0];

/// Milliseconds on a network that adds at most 3 ms: the least patience, and most of a splice.
const CALM_MS: f64 = 59.0;

/// One way from a mouth to the mixer.
#[derive(Clone, Copy)]
struct Way {
    seconds: u64,
    /// How late a packet is that was sent at so many milliseconds. None overtakes another.
    late_ms: fn(u64) -> u64,
    ppm: f64,
    /// Beats of each round in which we talk.
    turn: u64,
    /// While we do not, nothing is sent after a packet that says so; else digital silence.
    dtx: bool,
    /// Percent of packets lost. If there can be any, each packet carries a copy of the last one.
    loss: Option<u64>,
}

/// A conversation of three on a good network.
const CALM: Way = Way { seconds: 90, late_ms: |at| noise(at) % 4, ppm: 0.0, turn: TURN, dtx: false, loss: None };

/// What came of it.
struct Heard {
    /// Per beat: milliseconds from mouth to mixer, less what the fastest packet takes; NaN while nothing is said.
    delay_ms: Vec<f64>,
    /// Per second.
    counts: Vec<Counts>,
}

/// How late a packet is that was sent in a standstill of `length`, which began at `begin`.
fn standstill(at: u64, begin: u64, length: u64) -> u64 {
    if (begin..begin + length).contains(&at) { begin + length - at } else { 0 }
}

/// Everything starts at once: for four seconds the network stands still three times a second, for 20 to 80 ms.
fn bad_start(at: u64) -> u64 {
    let (third, calm) = (at / 333, (CALM.late_ms)(at));
    let begin = third * 333 + noise(third) % 200;
    if at < 4000 { standstill(at, begin, 20 + noise(third + 77) % 61).max(calm) } else { calm }
}

/// Phrases of 1.7 s between pauses of 200 ms; no pause between their syllables.
fn speech(n: u64) -> f32 {
    let breath = 1e-6 * (noise(n) % 2001) as f32 - 1e-3;
    let t = n as f32 / 48_000.0;
    if t % 1.9 > 1.7 {
        return breath;
    }
    let syllable = 0.05 + (t * 4.0 * std::f32::consts::TAU).sin().abs();
    (1..8).map(|k| syllable * tone(130.0 * k as f32, 0.12 / k as f32, n)).sum::<f32>() + breath
}

fn packet(n: u64, sequence: u64, arrival: Instant, payload: &Payload) -> Packet<Opus<'_>> {
    let payload = payload.opus();
    Packet { source: 0, sequence, timestamp: n * 960, arrival, redundant: false, level: None, payload }
}

impl Way {
    /// What is said in one round.
    fn round(&self) -> Vec<Payload> {
        let mut encoder = Encoder::new(24_000).unwrap();
        let sound = |n: u64| std::array::from_fn(|i| if n < self.turn { speech(n * 960 + i as u64) } else { 0.0 });
        let mut round: Vec<Payload> = (0..ROUND).map(|n| encoder.encode(&sound(n)).unwrap().into()).collect();
        if let Some(silence) = round.get_mut(self.turn as usize).filter(|_| self.dtx) {
            *silence = Payload::new(&[0xf8]).unwrap();
        }
        round
    }

    fn hear(&self) -> Heard {
        let round = self.round();
        let mut speaker = Speaker::new(SpeakerConfig {
            speaking_event: Box::default(),
            returning: Returning::Unwanted,
            voicing: Voicing::Open,
            return_bitrate_bps: 32_000,
        })
        .unwrap();
        let start = Instant::now();
        let at = |ms: f64| start + Duration::from_secs_f64(ms * 1e-3);
        let mut heard = Heard { delay_ms: Vec::new(), counts: Vec::new() };
        let (mut n, mut sequence, mut last_ms, mut last) = (0, 0, 0.0_f64, None);
        for beat in 0..self.seconds * 50 {
            let now_ms = 20.0 * beat as f64 + 7.0;
            loop {
                let sent_ms = 20.0 * n as f64 / (1.0 + self.ppm * 1e-6);
                let arrival_ms = last_ms.max(sent_ms + (self.late_ms)(sent_ms as u64) as f64);
                if arrival_ms > now_ms {
                    break;
                }
                if n % ROUND <= self.turn || !self.dtx {
                    let packet = packet(n, sequence, at(arrival_ms), &round[(n % ROUND) as usize]);
                    if self.loss.is_none_or(|percent| noise(n * 31) % 100 >= percent) {
                        if let Some(copy) = last.filter(|_| self.loss.is_some()) {
                            speaker.handle(Packet { arrival: packet.arrival, redundant: true, ..copy });
                        }
                        speaker.handle(packet);
                    }
                    (sequence, last) = (sequence + 1, Some(packet));
                }
                (n, last_ms) = (n + 1, arrival_ms);
            }
            speaker.render(at(now_ms));
            // What is next is heard a beat later.
            let said = speaker.playout.position().filter(|said| *said as u64 / 960 % ROUND < self.turn);
            let said_ms = said.map_or(f64::NAN, |said| said as f64 / 48.0 / (1.0 + self.ppm * 1e-6));
            heard.delay_ms.push(now_ms + 20.0 - said_ms);
            if beat % 50 == 49 {
                heard.counts.push(speaker.playout.jitter.counts());
            }
        }
        heard
    }
}

impl Heard {
    /// The delays of these seconds in which something was said, in order of size.
    fn during(&self, seconds: std::ops::Range<usize>) -> Vec<f64> {
        let beats = &self.delay_ms[seconds.start * 50..seconds.end * 50];
        let mut delays: Vec<f64> = beats.iter().copied().filter(|ms| !ms.is_nan()).collect();
        delays.sort_by(f64::total_cmp);
        delays
    }

    fn median_ms(&self, seconds: std::ops::Range<usize>) -> f64 {
        let delays = self.during(seconds);
        delays[delays.len() / 2]
    }

    fn longest_ms(&self, seconds: std::ops::Range<usize>) -> f64 {
        self.during(seconds).last().copied().unwrap()
    }

    fn shortest_ms(&self, seconds: std::ops::Range<usize>) -> f64 {
        self.during(seconds)[0]
    }

    /// Counts after so many seconds.
    fn after(&self, seconds: usize) -> Counts {
        self.counts[seconds - 1]
    }
}

#[test]
fn a_bad_start_is_given_back_within_eight_seconds() {
    for ppm in CLOCKS {
        for (turn, dtx) in [(ROUND, false), (TURN, false), (TURN, true)] {
            let heard = Way { late_ms: bad_start, ppm, turn, dtx, ..CALM }.hear();
            assert!(heard.longest_ms(0..4) > 80.0, "{ppm} ppm: it was no bad start");
            // Until 4 s it was bad.
            let longest_ms = heard.longest_ms(12..90);
            assert!(longest_ms < CALM_MS, "{ppm} ppm, {turn} beats: {longest_ms} ms");
            assert!(heard.after(90).concealed <= 1, "{ppm} ppm: {:?}", heard.after(90));
        }
    }
}

#[test]
fn after_a_bad_start_the_way_of_the_first_minute_is_that_of_the_tenth() {
    for ppm in CLOCKS {
        for dtx in [false, true] {
            let heard = Way { seconds: 600, late_ms: bad_start, ppm, dtx, ..CALM }.hear();
            let change_ms = heard.median_ms(540..600) - heard.median_ms(0..60);
            assert!(change_ms.abs() < 5.0, "{ppm} ppm: {change_ms} ms");
        }
    }
}

#[test]
fn a_bad_spell_later_on_is_given_back_when_it_was_twelve_seconds_ago() {
    let late_ms = |at| if at < 30_000 { (CALM.late_ms)(at) } else { bad_start(at - 30_000) };
    let heard = Way { late_ms, turn: ROUND, ..CALM }.hear();
    let shortest_ms = heard.shortest_ms(34..44);
    assert!(shortest_ms > 80.0, "forgotten too soon: {shortest_ms} ms");
    let longest_ms = heard.longest_ms(52..90);
    assert!(longest_ms < CALM_MS, "{longest_ms} ms");
}

#[test]
fn no_pause_loses_more_than_40_ms_within_a_second() {
    for dtx in [false, true] {
        let heard = Way { late_ms: bad_start, dtx, turn: ROUND, ..CALM }.hear();
        let lost = heard.delay_ms[500..].windows(50).map(|second| second[0] - second[49]).fold(0.0, f64::max);
        assert!(lost < 40.0, "{lost} ms");
    }
}

#[test]
fn a_network_that_stands_still_every_seven_or_ten_seconds_is_waited_for_from_the_second_time_on() {
    let every_7_s = |at| standstill(at, at / 7000 * 7000 + 3000, 80).max((CALM.late_ms)(at));
    let every_10_s = |at| standstill(at, at / 10_000 * 10_000 + 3000, 80).max((CALM.late_ms)(at));
    for late_ms in [every_7_s as fn(u64) -> u64, every_10_s] {
        for ppm in CLOCKS {
            let heard = Way { late_ms, ppm, ..CALM }.hear();
            assert!(heard.after(20).underrun <= 2, "{ppm} ppm: {:?}", heard.after(20));
            assert_eq!(heard.after(90).concealed, heard.after(20).concealed, "{ppm} ppm");
            let shortest_ms = heard.shortest_ms(20..90);
            assert!(shortest_ms > 80.0, "{ppm} ppm: {shortest_ms} ms");
        }
    }
}

#[test]
fn standstills_of_all_lengths_at_any_time_are_heard_less_than_once_in_ten_seconds() {
    let late_ms = |at| {
        let fifth = at / 5000;
        let begin = fifth * 5000 + noise(fifth) % 4000;
        standstill(at, begin, 40 + noise(fifth + 5) % 60).max(noise(at) % 11)
    };
    for ppm in CLOCKS {
        let counts = Way { late_ms, ppm, ..CALM }.hear().after(90);
        assert!(counts.underrun < 9 && counts.concealed < 11, "{ppm} ppm: {counts:?}");
    }
}

#[test]
fn jitter_of_30_ms_is_never_heard() {
    for ppm in CLOCKS {
        let heard = Way { late_ms: |at| noise(at) % 31, ppm, ..CALM }.hear();
        assert_eq!(heard.after(90).concealed, 0, "{ppm} ppm");
        let longest_ms = heard.longest_ms(0..90);
        assert!(longest_ms < 60.0, "{ppm} ppm: {longest_ms} ms");
    }
}

#[test]
fn copies_of_lost_packets_are_waited_for() {
    for ppm in CLOCKS {
        for percent in [1, 5] {
            let counts = Way { loss: Some(percent), ppm, ..CALM }.hear().after(90);
            assert_eq!(counts.concealed, 0, "{percent} %, {ppm} ppm: {counts:?}");
            let late_ms = |at| noise(at) % 31;
            let counts = Way { loss: Some(percent), late_ms, ppm, ..CALM }.hear().after(90);
            assert!(counts.concealed <= 2, "{percent} % and jitter, {ppm} ppm: {counts:?}");
        }
    }
}

#[test]
fn after_a_standstill_too_long_to_be_waited_for_nobody_waits() {
    let late_ms = |at| standstill(at, 30_000, 300).max((CALM.late_ms)(at));
    let heard = Way { late_ms, turn: ROUND, ..CALM }.hear();
    let longest_ms = heard.longest_ms(36..90);
    assert!(longest_ms < CALM_MS, "{longest_ms} ms");
}
