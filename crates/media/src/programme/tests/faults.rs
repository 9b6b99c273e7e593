//! What the network, clocks and strangers do to it.

use super::*;

/// Runs one steady voice through a network: `arrival_ms` says when packet n comes, or that it never does.
fn through(packets: u64, arrival_ms: impl Fn(u64) -> Option<u64>) -> (World, Seat) {
    let mut world = World::new();
    let mut voice = world.voice(|n| tone(400.0, 0.2, n));
    let mut queue: Vec<(u64, u64, Packet<Payload>)> = Vec::new();
    for n in 0..packets {
        let packet = voice.packet(world.start);
        if let Some(ms) = arrival_ms(n) {
            queue.push((ms, n, Packet { arrival: world.start + Duration::from_millis(ms), ..packet }));
        }
    }
    queue.sort_by_key(|(ms, n, _)| (*ms, *n));
    let mut queue = queue.into_iter().peekable();
    for _ in 0..packets {
        let now_ms = world.beats * 20 + 5;
        while let Some((_, _, packet)) = queue.next_if(|(ms, _, _)| *ms <= now_ms) {
            world.handle(voice.seat, &packet);
        }
        world.beat();
    }
    (world, voice.seat)
}

pub(super) fn noise(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

/// The sound between its first second and its last 300 ms.
fn middle(world: &World) -> Vec<f32> {
    let heard = world.heard();
    heard[48_000..heard.len() - 14_400].to_vec()
}

#[test]
fn a_steady_network_has_no_gap_and_nothing_made_up() {
    let (world, seat) = through(300, |n| Some(n * 20));
    assert_eq!(gaps(&middle(&world)), 0);
    assert_eq!(world.seated(seat).packets.concealed, 0);
    assert!(world.seated(seat).target_ms <= 50);
}

#[test]
fn one_packet_in_twenty_lost_is_concealed_without_a_gap() {
    let (world, seat) = through(300, |n| (n % 20 != 7).then_some(n * 20));
    assert_eq!(gaps(&middle(&world)), 0);
    assert_eq!(world.seated(seat).packets.concealed, 15);
}

#[test]
fn reordering_and_duplicates_are_not_heard() {
    let (world, seat) = through(300, |n| Some(n * 20 + if n % 3 == 0 { 25 } else { 0 }));
    assert_eq!(gaps(&middle(&world)), 0);
    assert!(world.seated(seat).packets.concealed <= 2);
}

#[test]
fn jitter_bursts_are_survived() {
    let (world, seat) = through(1000, |n| Some(n * 20 + if n % 100 < 5 { (5 - n % 100) * 20 } else { noise(n) % 15 }));
    let heard = middle(&world);
    assert_eq!(gaps(&heard[5 * 48_000..]), 0, "{:?}", world.seated(seat));
}

#[test]
fn rubbish_in_packets_is_counted_and_the_voice_goes_on() {
    let mut world = World::new();
    let mut voice = world.voice(|n| tone(400.0, 0.2, n));
    for n in 0..300 {
        let mut packet = voice.packet(world.now());
        if n % 30 == 7 {
            let bytes: Vec<u8> = (0..90).map(|i| noise(n * 100 + i) as u8).collect();
            packet.payload = Payload::new(&bytes).unwrap();
        }
        world.handle(voice.seat, &packet);
        world.beat();
    }
    assert!(world.seated(voice.seat).packets.received >= 290);
    let heard = world.heard();
    assert!(heard.iter().all(|sample| sample.is_finite() && sample.abs() < 1.5));
    assert!(amount(&heard[280 * 960..290 * 960], 400.0) > 0.1);
}

#[test]
fn frames_of_10_to_60_ms_and_stereo_are_taken() {
    let check = |frame: usize, channels: opus::Channels| {
        let mut world = World::new();
        let voice = world.voice(|_| 0.0);
        let mut encoder = opus::Encoder::new(48_000, channels, opus::Application::Audio).unwrap();
        let width = channels as usize;
        let mut sent = 0;
        for _ in 0..150 {
            while sent * frame as u64 <= world.beats * 960 {
                let sound: Vec<f32> =
                    (0..frame * width).map(|i| tone(400.0, 0.2, sent * frame as u64 + (i / width) as u64)).collect();
                let mut bytes = [0; 1275];
                let len = encoder.encode_float(&sound, &mut bytes).unwrap();
                let packet = Packet {
                    source: 0,
                    sequence: sent,
                    timestamp: sent * frame as u64,
                    arrival: world.now(),
                    redundant: false,
                    level: None,
                    payload: Payload::new(&bytes[..len]).unwrap(),
                };
                world.handle(voice.seat, &packet);
                sent += 1;
            }
            world.beat();
        }
        let heard = middle(&world);
        assert_eq!(gaps(&heard), 0, "{frame} samples");
        assert!(amount(&heard[..48_000], 400.0) > 0.1, "{frame} samples");
        assert_eq!(world.seated(voice.seat).packets.concealed, 0, "{frame} samples");
    };
    for frame in [480, 960, 1920, 2880] {
        check(frame, opus::Channels::Mono);
        check(frame, opus::Channels::Stereo);
    }
}

#[test]
fn a_new_ssrc_in_mid_sentence_makes_no_gap() {
    let mut world = World::new();
    let mut voice = world.voice(|n| tone(400.0, 0.2, n));
    for n in 0..300_u64 {
        let mut packet = voice.packet(world.now());
        if n >= 150 {
            packet.source = 1;
            packet.sequence += 40_000;
            packet.timestamp += 1 << 31;
        }
        world.handle(voice.seat, &packet);
        world.beat();
    }
    assert_eq!(gaps(&middle(&world)), 0);
    assert_eq!(world.seated(voice.seat).packets.concealed, 0);
}

#[test]
fn a_silent_client_costs_no_codec_at_all() {
    let mut world = World::new();
    let mut voice = world.voice(|n| tone(400.0, 0.2, n));
    world.run(50, &mut [&mut voice]);
    world.run(100, &mut []);
    let before = world.programme.stats();
    for n in 0..100_u64 {
        if n % 20 == 0 {
            // Discontinuous transmission: a table-of-contents byte alone, every 400 ms.
            let mut packet = voice.packet(world.now());
            packet.timestamp = (1 << 32) + (150 + n) * 960;
            packet.payload = Payload::new(&[0xf8]).unwrap();
            world.handle(voice.seat, &packet);
        }
        world.beat();
    }
    let after = world.programme.stats();
    assert_eq!((after.decodes, after.encodes), (before.decodes, before.encodes));
    assert_eq!(after.seats[0].unwrap().packets.concealed, before.seats[0].unwrap().packets.concealed);
}

#[test]
fn an_empty_pool_costs_chunks_and_nothing_else() {
    let mut world = World::new();
    let mut kept = Vec::new();
    for _ in 0..(POOL + 3) * CHUNK_FRAMES {
        world.programme.handle(world.now(), Input::Beat);
        world.beats += 1;
        while let Some(output) = world.programme.poll() {
            if let Output::Chunk(chunk) = output {
                kept.push(chunk);
            }
        }
    }
    assert_eq!(kept.len(), POOL);
    assert_eq!(world.programme.stats().missed, 3);
    assert!(kept.into_iter().all(|chunk| world.programme.recycle(chunk).is_none()));
    assert!(world.programme.recycle(Box::new(Chunk::new())).is_some(), "a surplus chunk is not dropped on the beat");
    world.run(20, &mut []);
    assert_eq!(world.chunks[0].index, POOL as u64 + 3);
    assert!(world.chunks[0].discontinuous && !world.chunks[1].discontinuous);
}

#[test]
fn the_same_packets_twice_give_the_same_bytes() {
    let once = || {
        let (world, _) = through(200, |n| (n % 23 != 0).then_some(n * 20 + noise(n) % 30));
        world.chunks.into_iter().map(|chunk| (chunk.mp4, chunk.ogg)).collect::<Vec<_>>()
    };
    assert!(once() == once());
}

#[test]
fn a_clock_200_ppm_fast_is_followed_for_half_an_hour_without_a_gap() {
    follow_a_clock(200.0, 90_000);
}

#[test]
fn a_clock_200_ppm_slow_is_followed_without_a_gap() {
    follow_a_clock(-200.0, 20_000);
}

fn follow_a_clock(ppm: f64, beats: u64) {
    let mut playout = playout::Playout::new().unwrap();
    let start = Instant::now();
    // A short loop that fits the tone: encoding 90,000 packets would take longer than all other tests.
    let mut encoder = Encoder::new(16_000).unwrap();
    let period: Vec<Payload> = (0..50)
        .map(|n| encoder.encode(&std::array::from_fn(|i| tone(400.0, 0.2, n * 960 + i as u64))).unwrap().into())
        .collect();
    let (mut sent, mut silent, mut worst) = (0_u64, 0, 0_f32);
    for beat in 0..beats {
        let now = start + Duration::from_millis(beat * 20);
        loop {
            let at = sent as f64 * 0.02 / (1.0 + ppm * 1e-6) + (noise(sent) % 8) as f64 * 1e-3;
            let arrival = start + Duration::from_secs_f64(at);
            if arrival > now {
                break;
            }
            let packet = Packet {
                source: 0,
                sequence: sent,
                timestamp: sent * 960,
                arrival,
                redundant: false,
                level: None,
                payload: period[sent as usize % period.len()].opus(),
            };
            playout.jitter.handle(packet);
            sent += 1;
        }
        let mut frame = [0.0; FRAME_SAMPLES];
        let heard = playout.render(now, crate::level::Level::SILENCE, &mut frame);
        if beat > 10 {
            silent += usize::from(!heard);
            worst = worst.max(gaps(&frame) as f32);
        }
    }
    let counts = playout.jitter.counts();
    assert_eq!((silent, worst, counts.late, counts.overrun), (0, 0.0, 0, 0), "{ppm} ppm, {counts:?}");
    assert!(counts.concealed <= 3, "{ppm} ppm: {counts:?}");
    assert!((f64::from(playout.jitter.drift_ppm()) - ppm).abs() < 15.0, "{}", playout.jitter.drift_ppm());
}
