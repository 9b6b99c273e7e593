//! Speech over bad networks into the mixer, in simulated time: what each way of repair is good for, by switching it off.

#![allow(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hiwar_media::jitter::{Counts, Repair};
use hiwar_media::opus::{Decoder, PACKET_SAMPLES_MAX};
use hiwar_media::package::ogg;
use hiwar_media::packet::{Coding, Depacketizer, Opus, Packet, Rtp};
use hiwar_media::programme::{
    Audience, BEAT, Beginning, Config, Input, Output, Programme, Returning, Speaker, SpeakerConfig, Voicing,
};
use hiwar_media::{FRAME_SAMPLES, Time};
use hiwar_rehearsal::impairment::{self, Link};
use hiwar_rehearsal::red;
use hiwar_rehearsal::voice::{Fec, Voice};

const FRAMES: u64 = 1500;
/// Nothing left out.
const WHOLE: Repair = Repair::ALL;

/// Whether packets carry a copy of the one before (RED).
#[derive(Clone, Copy, PartialEq)]
enum Copies {
    None,
    One,
}

/// Half a minute of speech.
fn speech(fec: Fec) -> Voice {
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../server/assets/demo/noor.ogg")).unwrap();
    let (mut decoder, mut out) = (Decoder::new().unwrap(), [0.0; PACKET_SAMPLES_MAX]);
    let mut samples = Vec::new();
    for packet in &ogg::frames(&file).unwrap().packets {
        let length = decoder.decode(Opus::new(packet).unwrap(), &mut out).unwrap();
        samples.extend_from_slice(&out[..length]);
    }
    let samples: Vec<f32> = samples.into_iter().cycle().take(FRAMES as usize * FRAME_SAMPLES).collect();
    Voice::saying(&samples, fec).unwrap()
}

/// Speaks over a network; what became of the packets at the mixer, and on the way.
fn hear(voice: &Voice, network: &str, copies: Copies, repair: Repair) -> (Counts, impairment::Counts) {
    let mut link = Link::new(network.parse().unwrap(), 20_261_126);
    let config = Config {
        index: 0,
        time: Time(0),
        beginning: Beginning::New,
        bitrate_bps: 32_000,
        ogg_serial: 1,
        nobody_event: Box::default(),
        audience: Audience::Hears,
    };
    let mut programme = Programme::new(config).unwrap();
    let config = SpeakerConfig {
        speaking_event: Box::default(),
        returning: Returning::Unwanted,
        voicing: Voicing::Open,
        return_bitrate_bps: 32_000,
    };
    let seat = programme.seat(Box::new(Speaker::new(config).unwrap().repaired_by(repair))).unwrap();
    let mut depacketizer = Depacketizer::new();
    let start = Instant::now();
    let mut said: VecDeque<&[u8]> = VecDeque::new();
    for frame in 0..FRAMES {
        let now = start + BEAT * frame as u32;
        let opus = voice.packet(frame).unwrap();
        let before: Vec<(u32, &[u8])> = said.iter().map(|bytes| (FRAME_SAMPLES as u32, *bytes)).collect();
        let (coding, payload) = match copies {
            Copies::None => (Coding::Opus, opus.to_vec()),
            Copies::One => (Coding::Red, red::pack(111, &before, opus)),
        };
        said = [opus].into();
        link.handle(now, (frame, coding, payload));
        // The beat stands a little behind the speaker's own clock.
        let beat = now + Duration::from_millis(7);
        while let Some(at) = link.deadline().filter(|at| *at <= beat) {
            let (number, coding, payload) = link.poll(at).unwrap();
            let (sequence, timestamp) = (number as u16, (number * FRAME_SAMPLES as u64) as u32);
            let rtp = Rtp { coding, ssrc: 7, sequence, timestamp, level: None, payload: &payload };
            let take = |packet: Packet<Opus<'_>>| programme.handle(beat, Input::Packet { seat, packet });
            depacketizer.depacketize(at, rtp, take).unwrap();
        }
        programme.handle(beat, Input::Beat);
        let mut full = Vec::new();
        while let Some(output) = programme.poll() {
            if let Output::Chunk(chunk) = output {
                full.push(chunk);
            }
        }
        for chunk in full {
            programme.recycle(chunk);
        }
    }
    (programme.stats().seats[usize::from(seat.0)].unwrap().packets, link.counts())
}

#[test]
fn with_red_a_tenth_of_the_packets_may_be_lost_out_of_order() {
    const NETWORK: &str = "loss=10 jitter=60 order=free";
    let voice = speech(Fec::Off);
    let (heard, carried) = hear(&voice, NETWORK, Copies::One, WHOLE);
    assert!((120..180).contains(&carried.lost), "{carried:?}");
    assert!(heard.concealed < 30 && heard.redundant > 100, "{heard:?}");
    let alone = hear(&voice, NETWORK, Copies::One, Repair { copies: false, ..WHOLE }).0;
    assert!(alone.redundant == 0 && alone.concealed > 110, "{alone:?}");
    let hasty = hear(&voice, NETWORK, Copies::One, Repair { patience: false, ..WHOLE }).0;
    // Time is held until the packets that are late are there, again and again.
    let more = hasty.underrun > 5 * heard.underrun.max(1) && hasty.concealed > 2 * heard.concealed;
    assert!(more, "without patience {hasty:?}, with {heard:?}");
}

#[test]
fn without_red_what_the_encoder_says_twice_is_taken() {
    const NETWORK: &str = "loss=5";
    let voice = speech(Fec::For(5));
    let (heard, carried) = hear(&voice, NETWORK, Copies::None, WHOLE);
    assert!(carried.lost > 50 && heard.fec > carried.lost / 4, "{heard:?}, {carried:?}");
    let deaf = hear(&voice, NETWORK, Copies::None, Repair { fec: false, ..WHOLE }).0;
    assert!(deaf.fec == 0 && deaf.concealed >= heard.concealed + heard.fec, "{deaf:?}");
    // And who sends nothing twice has it all made up.
    let bare = hear(&speech(Fec::Off), NETWORK, Copies::None, WHOLE).0;
    assert!(bare.fec == 0 && bare.concealed >= carried.lost, "{bare:?}");
}

#[test]
fn a_fifth_lost_bursts_and_disorder_are_borne() {
    let voice = speech(Fec::Off);
    for (network, most) in [
        ("loss=20 jitter=60 order=free", 110),
        ("loss=10 burst=3 jitter=30", 120),
        ("overtaken=10 twice=10 jitter=30", 15),
    ] {
        let heard = hear(&voice, network, Copies::One, WHOLE).0;
        assert!(heard.concealed < most, "{network}: {heard:?}");
    }
}

#[test]
fn half_a_second_of_nothing_costs_that_and_no_delay_for_ever() {
    let (heard, _) = hear(&speech(Fec::Off), "stall=500/5000", Copies::One, WHOLE);
    // Six of them, each 25 packets; all that is more than the most we ever wait is thrown away.
    assert!((6 * 10..=6 * 25).contains(&heard.overrun), "{heard:?}");
    assert!(heard.received > FRAMES && heard.concealed < 6 * 8, "{heard:?}");
}
