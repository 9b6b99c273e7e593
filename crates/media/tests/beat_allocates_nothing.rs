//! The law of the beat: after `new` and `seat`, nothing allocates or frees while sound is made.
//!
//! A binary of its own, because the allocator that counts is global. It counts per thread, as the test harness has threads too.

#![allow(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
#![allow(unsafe_code, reason = "an allocator cannot be written without it; this one only counts and passes on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hiwar_media::hold::HoldMusic;
use hiwar_media::opus::Encoder;
use hiwar_media::packet::{Coding, Depacketizer, Opus, Packet, Payload, Rtp};
use hiwar_media::programme::{
    Audience, Beginning, Config, Input, Output, Programme, Returning, Seat, Speaker, SpeakerConfig, Voicing,
};
use hiwar_media::{FRAME_SAMPLES, Time};

struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // While a thread ends its counter is gone, and nobody reads it any more.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What came of a run.
#[derive(Default)]
struct Seen {
    chunks: u32,
    returns: u32,
    pieces: u32,
    spent: Vec<Box<[u8]>>,
    allocations: u64,
}

/// Hands over one input, drains all output, and counts allocations in both.
fn step(programme: &mut Programme, now: Instant, input: Input<'_>, seen: &mut Seen) {
    let before = CALLS.get();
    programme.handle(now, input);
    for seat in (0..6).map(Seat) {
        seen.pieces += u32::from(programme.piece(seat).is_some_and(|(_, piece)| piece.is_ok()));
    }
    while let Some(output) = programme.poll() {
        match output {
            Output::Chunk(chunk) => {
                seen.chunks += 1;
                programme.recycle(chunk);
            }
            Output::Return { .. } => seen.returns += 1,
            // Room for these was made before.
            Output::Spent(event) => seen.spent.push(event),
        }
    }
    seen.allocations += CALLS.get() - before;
}

/// Two seconds of sound as packets, by one frame size and mode of the codec.
fn packets(application: opus::Application, frame: usize, hertz: f32, fec: bool) -> Vec<Payload> {
    let mut encoder = opus::Encoder::new(48_000, opus::Channels::Mono, application).unwrap();
    encoder.set_bitrate(opus::Bitrate::Bits(24_000)).unwrap();
    encoder.set_inband_fec(fec).unwrap();
    encoder.set_packet_loss_perc(if fec { 20 } else { 0 }).unwrap();
    encoder.set_signal(opus::Signal::Voice).unwrap();
    let sample = |n: usize| {
        let t = n as f32 / 48_000.0;
        // Something like a voice: a tone with overtones that comes and goes four times a second.
        0.3 * (t * 4.0 * std::f32::consts::TAU).sin().max(0.0)
            * (1..5).map(|k| (t * hertz * k as f32 * std::f32::consts::TAU).sin() / k as f32).sum::<f32>()
    };
    (0..96_000 / frame)
        .map(|at| {
            let sound: Vec<f32> = (0..frame).map(|n| sample(at * frame + n)).collect();
            let mut bytes = [0; 1275];
            let len = encoder.encode_float(&sound, &mut bytes).unwrap();
            Payload::new(&bytes[..len]).unwrap()
        })
        .collect()
}

#[test]
fn no_beat_allocates_whatever_comes() {
    let start = Instant::now();
    let mut programme = Programme::new(Config {
        index: 0,
        time: Time(0),
        beginning: Beginning::New,
        bitrate_bps: 32_000,
        ogg_serial: 1,
        nobody_event: b"nobody".as_slice().into(),
        audience: Audience::Hears,
    })
    .unwrap();
    for seat in 0..6_u8 {
        let config = SpeakerConfig {
            speaking_event: vec![b'a' + seat; 40].into(),
            returning: if seat == 5 { Returning::Unwanted } else { Returning::Wanted },
            voicing: Voicing::Open,
            return_bitrate_bps: 32_000,
        };
        // Half of them have a track kept.
        let speaker = Speaker::new(config).unwrap();
        let speaker = if seat % 2 == 0 { speaker.kept() } else { speaker };
        assert_eq!(programme.seat(Box::new(speaker)).unwrap(), Seat(seat));
    }
    let voip = opus::Application::Voip;
    let audio = opus::Application::Audio;
    let streams = [
        (960, packets(voip, 960, 140.0, true)),
        (960, packets(audio, 960, 180.0, false)),
        (480, packets(audio, 480, 220.0, false)),
        (2880, packets(voip, 2880, 110.0, false)),
        (960, packets(voip, 960, 260.0, false)),
        (1920, packets(audio, 1920, 300.0, false)),
    ];
    assert!(streams[0].1.iter().any(|payload| payload.opus().has_fec()), "the first stream carries in-band FEC");
    let rubbish: Vec<Payload> = (0..50_u32)
        .map(|n| {
            let bytes: Vec<u8> =
                (0..60_u32).map(|i| (n.wrapping_mul(2_654_435_761).wrapping_add(i * 97) >> 7) as u8).collect();
            Payload::new(&bytes).unwrap()
        })
        .collect();

    let mut seen = Seen { spent: Vec::with_capacity(64), ..Seen::default() };
    let mut sent = [0_u64; 6];
    for beat in 0..1500_u64 {
        let now = start + Duration::from_millis(20 * beat);
        // A standing event and told ones: boxes come in from elsewhere, that is allowed to allocate.
        if beat % 70 == 0 {
            drop(programme.stand(vec![b's'; 2000].into()));
            let _ = programme.tell(vec![b't'; 300].into());
        }
        for (seat, (frame, stream)) in (0_u8..).zip(&streams) {
            let sent = &mut sent[usize::from(seat)];
            while *sent * *frame as u64 <= beat * FRAME_SAMPLES as u64 {
                let n = *sent;
                *sent += 1;
                // Each in turn falls silent for 3 s, so that the floor changes; bursts and single packets are lost; some come late or twice, as
                // rubbish, or from a new source.
                let silent = beat / 150 % 7 == u64::from(seat) || seat == 4 && (600..900).contains(&beat);
                let lost = (n + u64::from(seat)) % 19 == 5 || n % 400 > 388;
                if silent || lost {
                    continue;
                }
                let mut payload = stream[n as usize % stream.len()].opus();
                if seat == 4 && n % 37 == 0 {
                    payload = rubbish[n as usize % rubbish.len()].opus();
                }
                if seat == 2 && n % 200 > 150 {
                    payload = Opus::new(&[0xf8]).unwrap();
                }
                let packet = Packet {
                    source: u32::from(seat == 1 && beat > 700),
                    sequence: n,
                    timestamp: n * *frame as u64 + if seat == 3 && beat > 800 { 1 << 30 } else { 0 },
                    arrival: now,
                    redundant: n % 11 == 0,
                    level: None,
                    payload,
                };
                step(&mut programme, now, Input::Packet { seat: Seat(seat), packet }, &mut seen);
                if n % 13 == 0 {
                    step(&mut programme, now, Input::Packet { seat: Seat(seat), packet }, &mut seen);
                }
            }
        }
        if beat % 200 == 60 {
            let voicing = if beat % 400 == 60 { Voicing::Muted } else { Voicing::Open };
            step(&mut programme, now, Input::Mute { seat: Seat(1), voicing }, &mut seen);
        }
        // A network that stands still for 300 ms and then brings everything at once.
        let late = if beat % 500 > 484 { Duration::from_millis(300) } else { Duration::ZERO };
        step(&mut programme, now + late, Input::Beat, &mut seen);
    }
    let stats = programme.stats();
    let packets = stats.seats.iter().flatten().map(|seat| seat.packets);
    let all = packets.fold((0, 0, 0), |sum, p| (sum.0 + p.concealed, sum.1 + p.fec, sum.2 + p.duplicate));
    assert_eq!(seen.chunks, 150);
    assert!(seen.pieces > 3000, "{}", seen.pieces);
    assert!(seen.returns > 5000, "{}", seen.returns);
    assert!(seen.spent.len() > 10);
    assert!(all.0 > 100 && all.1 > 10 && all.2 > 100, "everything was covered: {all:?}");
    assert!(stats.encodes > 2000 && stats.decodes > 4000, "{stats:?}");
    assert_eq!(seen.allocations, 0, "the beat allocated or freed");
}

#[test]
fn what_a_waiting_audience_hears_allocates_nothing() {
    let start = Instant::now();
    let mut programme = Programme::new(Config {
        index: 0,
        time: Time(0),
        beginning: Beginning::New,
        bitrate_bps: 32_000,
        ogg_serial: 1,
        nobody_event: b"nobody".as_slice().into(),
        audience: Audience::Waits,
    })
    .unwrap();
    let samples: Vec<u8> = (0..60_000_u32).flat_map(|n| ((n % 100 * 200) as i16).to_le_bytes()).collect();
    let head =
        b"RIFF\xe4\xd4\x01\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\xbb\0\0\0\x77\x01\0\x02\0\x10\0data\xc0\xd4\x01\0";
    let music = Arc::new(HoldMusic::from_wav(&[&head[..], &samples].concat(), 32_000).unwrap());
    let (mut seen, mut spent) = (Seen::default(), Vec::with_capacity(8));
    for beat in 0..300_u64 {
        let now = start + Duration::from_millis(20 * beat);
        // Somebody else has it, too: what the beat lets go of it hands back.
        let next = (beat % 100 == 30).then(|| music.clone());
        let before = CALLS.get();
        if beat % 100 == 30 || beat % 100 == 95 {
            spent.push(programme.hold(next));
        }
        seen.allocations += CALLS.get() - before;
        step(&mut programme, now, Input::Beat, &mut seen);
    }
    step(&mut programme, start + Duration::from_secs(6), Input::Audience(Audience::Hears), &mut seen);
    assert_eq!(seen.chunks, 30);
    assert_eq!(spent.iter().flatten().count(), 3);
    assert_eq!(programme.stats().encodes, 0);
    assert_eq!(seen.allocations, 0, "the beat allocated or freed");
}

#[test]
fn taking_rtp_apart_allocates_nothing() {
    let start = Instant::now();
    let mut depacketizer = Depacketizer::new();
    let red = [0x80 | 111, 960_u16.to_be_bytes()[0] << 2 | 0x0f, 0, 2, 111, 0xf8, 1, 0xf8, 2];
    let (mut packets, before) = (0, CALLS.get());
    for n in 0..100_u16 {
        for (coding, payload) in [(Coding::Opus, &red[5..7]), (Coding::Red, &red[..]), (Coding::Red, &red[..3])] {
            let rtp = Rtp { coding, ssrc: 1, sequence: n, timestamp: u32::from(n) * 960, level: None, payload };
            let _ = depacketizer.depacketize(start, rtp, |_| packets += 1);
        }
    }
    assert_eq!(CALLS.get() - before, 0);
    assert!(packets >= 200);
    let mut encoder = Encoder::new(32_000).unwrap();
    let before = CALLS.get();
    encoder.encode(&[0.1; FRAME_SAMPLES]).unwrap();
    assert_eq!(CALLS.get() - before, 0);
}
