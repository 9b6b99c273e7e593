//! What people hear of each other.

use super::*;

#[test]
fn nobody_on_stage_costs_no_encoding_and_time_goes_on() {
    let mut world = World::new();
    world.run(100, &mut []);
    assert_eq!(world.chunks.len(), 10);
    assert_eq!(world.programme.stats().encodes, 0);
    assert!(world.chunks.iter().zip(0..).all(|(chunk, n)| chunk.index == n && chunk.time == Time(n * 9600)));
    assert!(world.heard().iter().all(|sample| sample.abs() < 1e-4));
    assert_eq!(world.chunks[5].facts, Facts::default());
}

#[test]
fn a_voice_is_heard_by_listeners_and_not_by_who_speaks() {
    let mut world = World::new();
    let mut one = world.voice(|n| tone(400.0, 0.2, n));
    let two = world.voice(|_| 0.0);
    world.run(200, &mut [&mut one]);
    let second = 48_000..3 * 48_000;
    assert!(amount(&world.heard()[second.clone()], 400.0) > 0.15);
    assert!(amount(&world.heard_by(two.seat)[second.clone()], 400.0) > 0.15);
    assert!(amount(&world.heard_by(one.seat)[second], 400.0) < 1e-4);
    assert_eq!(world.returns[0].len(), 200);
}

#[test]
fn two_who_talk_hear_each_other_and_not_themselves() {
    let mut world = World::new();
    let mut one = world.voice(|n| tone(400.0, 0.2, n));
    let mut two = world.voice(|n| tone(1000.0, 0.2, n));
    world.run(200, &mut [&mut one, &mut two]);
    let (by_one, by_two) = (world.heard_by(one.seat), world.heard_by(two.seat));
    let second = 48_000..3 * 48_000;
    assert!(amount(&by_one[second.clone()], 1000.0) > 0.15);
    assert!(amount(&by_two[second.clone()], 400.0) > 0.15);
    assert!(amount(&by_one[second.clone()], 400.0) < 0.002, "{}", amount(&by_one[second.clone()], 400.0));
    assert!(amount(&by_two[second.clone()], 1000.0) < 0.002, "{}", amount(&by_two[second], 1000.0));
}

#[test]
fn one_loud_and_one_quiet_speaker_come_out_alike() {
    let mut world = World::new();
    let mut loud = world.voice(|n| tone(400.0, 0.5, n));
    let mut quiet = world.voice(|n| tone(1000.0, 0.06, n));
    world.run(700, &mut [&mut loud, &mut quiet]);
    let heard = world.heard();
    let end = &heard[12 * 48_000..14 * 48_000 - 9600];
    let apart_db = 20.0 * (amount(end, 400.0) / amount(end, 1000.0)).log10();
    assert!(apart_db.abs() < 2.0, "{apart_db} dB");
}

#[test]
fn a_muted_speaker_is_silent_within_one_frame() {
    let mut world = World::new();
    let mut one = world.voice(|n| tone(400.0, 0.2, n));
    world.run(100, &mut [&mut one]);
    world.mute(one.seat, Voicing::Muted);
    world.run(50, &mut [&mut one]);
    world.mute(one.seat, Voicing::Open);
    world.run(50, &mut [&mut one]);
    let heard = world.heard();
    // Frames 100 and 101: the one that fades, and what the limiter and the codec hold back of it (64 and 312 samples).
    let silent = &heard[102 * 960..150 * 960];
    assert!(silent.iter().all(|sample| sample.abs() < 1e-3));
    assert!(amount(&heard[160 * 960..190 * 960], 400.0) > 0.1);
    assert_eq!(world.seated(one.seat).packets.concealed, 0);
}

#[test]
fn of_who_is_opened_nothing_is_heard_that_came_before_and_soon_what_follows() {
    let mut world = World::new();
    // A frame has the end of the one before in it (6.5 ms): the last that is for nobody has both.
    let mut one = world.voice(|n| if n < 99 * 960 { tone(400.0, 0.2, n) } else { tone(1000.0, 0.2, n) });
    world.mute(one.seat, Voicing::Muted);
    let fresh = world.seated(one.seat);
    let mut last = one.packet(world.now());
    for _ in 1..100 {
        world.handle(one.seat, &last);
        world.beat();
        last = one.packet(world.now());
    }
    let waited = world.seated(one.seat);
    assert_eq!((waited.decodes, waited.gain_db, waited.level), (0, fresh.gain_db, fresh.level));
    // Their last word is said after a packet of this very beat came; the next one brings a copy of it.
    world.handle(one.seat, &last);
    let said = world.now() + Duration::from_millis(1);
    world.programme.handle(said, Input::Mute { seat: one.seat, voicing: Voicing::Open });
    world.beat();
    let copy = Packet { redundant: true, arrival: world.now(), ..last };
    world.handle(one.seat, &copy);
    world.run(50, &mut [&mut one]);
    let heard = world.heard();
    let first = heard.iter().position(|sample| sample.abs() > 0.01).expect("they are heard");
    assert!((100 * 960..104 * 960).contains(&first), "in frame {}", first / 960);
    assert!(amount(&heard[first..first + 4800], 400.0) < 0.005, "{}", amount(&heard[first..first + 4800], 400.0));
    assert!(world.events().iter().all(|(frame, event)| event != "speaker 0" || *frame >= 100), "{:?}", world.events());
}

#[test]
fn a_microphone_that_sends_zeros_costs_nearly_nothing_and_is_heard_when_it_speaks() {
    let mut world = World::new();
    let mut voice = world.voice(|n| if n < 4 * 48_000 { 0.0 } else { tone(400.0, 0.2, n) });
    world.run(200, &mut [&mut voice]);
    let stats = world.programme.stats();
    assert!(stats.decodes < 60 && stats.encodes < 60, "{} decodes, {} encodes", stats.decodes, stats.encodes);
    world.run(100, &mut [&mut voice]);
    assert!(world.programme.stats().decodes > stats.decodes + 90);
    assert!(amount(&world.heard()[5 * 48_000 - 24_000..6 * 48_000 - 9600], 400.0) > 0.15);
}

#[test]
fn everyone_at_once_stays_below_the_ceiling() {
    let mut world = World::new();
    let mut voices: Vec<Voice> = (0..6).map(|_| world.voice(|n| tone(250.0, 0.9, n))).collect();
    world.run(60, &mut voices.iter_mut().collect::<Vec<_>>());
    assert!(world.chunks.iter().skip(1).all(|chunk| chunk.facts.true_peak <= 0.891));
    assert!(world.chunks.iter().skip(1).all(|chunk| chunk.facts.true_peak > 0.5));
}

#[test]
fn facts_say_how_loud_it_is() {
    let mut world = World::new();
    let mut one = world.voice(|n| tone(1000.0, 0.2, n));
    world.run(500, &mut [&mut one]);
    for chunk in &world.chunks[45..50] {
        for energy in chunk.facts.energy {
            let lufs = crate::loudness::lufs(energy);
            assert!((lufs - -18.0).abs() < 0.7, "{lufs}");
        }
    }
}

#[test]
fn the_active_speaker_is_told_inside_the_sound() {
    let mut world = World::new();
    let mut one = world.voice(|n| tone(400.0, 0.2, n));
    let mut two = world.voice(|n| tone(1000.0, 0.2, n));
    world.run(60, &mut [&mut one]);
    world.run(100, &mut [&mut two]);
    world.run(150, &mut []);
    let told = world.events();
    let mut changes = told.clone();
    changes.dedup_by(|next, before| next.1 == before.1);
    let (when, who): (Vec<u64>, Vec<String>) = changes.into_iter().unzip();
    assert_eq!(who, ["nobody", "speaker 0", "speaker 1", "nobody"]);
    assert!(when[1] < 20 && (68..90).contains(&when[2]) && (200..260).contains(&when[3]), "{when:?}");
    // Who joins late learns it though nothing changes.
    let again = |frame: u64| told.iter().any(|(at, text)| *at == frame && text == "speaker 1");
    assert!(again(100) && again(200), "{told:?}");
}

#[test]
fn the_standing_event_comes_at_once_and_every_two_seconds_and_others_once() {
    let mut world = World::new();
    world.run(25, &mut []);
    assert!(world.programme.stand(b"stage".as_slice().into()).is_none());
    world.programme.tell(b"hello".as_slice().into()).unwrap();
    world.programme.tell(b"again".as_slice().into()).unwrap();
    world.run(275, &mut []);
    let told = world.events();
    let stage: Vec<u64> = told.iter().filter(|(_, text)| text == "stage").map(|(frame, _)| *frame).collect();
    assert_eq!(stage, [25, 100, 200]);
    let once: Vec<&str> =
        told.iter().map(|(_, text)| &**text).filter(|text| !["stage", "nobody"].contains(text)).collect();
    assert_eq!(once, ["hello", "again"]);
    assert_eq!(world.spent, 2);
    assert_eq!(&*world.programme.stand(b"other".as_slice().into()).unwrap(), b"stage");
}

#[test]
fn too_many_and_too_long_events_come_back() {
    let mut world = World::new();
    for _ in 0..TOLD_MAX {
        world.programme.tell(vec![b'x'; 2000].into()).unwrap();
    }
    assert!(world.programme.tell(b"one more".as_slice().into()).is_err());
    assert!(world.programme.tell(vec![b'x'; 7000].into()).is_err());
    assert_eq!(world.programme.stand(vec![b'x'; 7000].into()).map(|event| event.len()), Some(7000));
    // Three or four of them fit into each chunk.
    world.run(30, &mut []);
    assert_eq!(world.spent, TOLD_MAX);
    assert_eq!(world.events().iter().filter(|(_, text)| text.starts_with('x')).count(), TOLD_MAX);
}

#[test]
fn a_listening_seat_shares_the_programmes_own_frames() {
    let mut world = World::new();
    let mut one = world.voice(|n| tone(400.0, 0.2, n));
    let (two, three) = (world.voice(|_| 0.0), world.voice(|_| 0.0));
    world.run(100, &mut [&mut one]);
    let stats = world.programme.stats();
    // The programme; the speaker alone hears silence, which needs no encoder.
    assert!(stats.encodes <= 100, "{}", stats.encodes);
    assert_eq!(world.returns[usize::from(two.seat.0)], world.returns[usize::from(three.seat.0)]);
}

#[test]
fn whoever_comes_to_a_full_stage_is_given_back() {
    let mut world = World::new();
    for _ in 0..SEATS {
        world.voice(|_| 0.0);
    }
    let config = SpeakerConfig {
        speaking_event: Box::default(),
        returning: Returning::Unwanted,
        voicing: Voicing::Open,
        return_bitrate_bps: 32_000,
    };
    assert!(world.programme.seat(Box::new(Speaker::new(config).unwrap())).is_err());
    assert!(world.programme.unseat(Seat(3)).is_some());
    assert!(world.programme.unseat(Seat(3)).is_none());
    assert!(world.programme.unseat(Seat(200)).is_none());
    assert_eq!(world.programme.speaker_count(), SEATS - 1);
}

#[test]
fn what_was_said_before_a_silence_does_not_come_again_after_it() {
    // Silence is counted and not written: behind it lies what was decoded long ago.
    let mut world = World::new();
    let mut voice = world.voice(|n| match n / 960 % 50 {
        0..20 => tone(400.0, 0.2, n),
        25..45 => tone(1000.0, 0.2, n),
        _ => 0.0,
    });
    world.run(1_000, &mut [&mut voice]);
    let heard = world.heard();
    let mut both = 0;
    for piece in heard[48_000..].chunks_exact(960) {
        let (first, second) = (amount(piece, 400.0), amount(piece, 1000.0));
        both += usize::from(first > 0.02 && second > 0.02);
    }
    assert_eq!(both, 0, "of two sounds that are 100 ms apart, both in 20 ms");
}

#[test]
fn who_waits_for_the_start_hears_nothing_while_the_stage_hears_itself() {
    let mut world = World::new();
    world.programme.handle(world.now(), Input::Audience(Audience::Waits));
    let mut one = world.voice(|n| tone(400.0, 0.2, n));
    let two = world.voice(|_| 0.0);
    world.run(200, &mut [&mut one]);
    world.programme.handle(world.now(), Input::Audience(Audience::Hears));
    world.run(100, &mut [&mut one]);
    let heard = world.heard();
    // The codec holds back 312 samples, the limiter 64.
    assert!(heard[..200 * 960].iter().all(|sample| sample.abs() < 1e-4));
    let (first, later) = (amount(&heard[202 * 960..212 * 960], 400.0), amount(&heard[230 * 960..280 * 960], 400.0));
    assert!(first > 0.5 * later && later > 0.1, "the first word is cut: {first} of {later}");
    assert!(amount(&world.heard_by(two.seat)[48_000..4 * 48_000], 400.0) > 0.15);
    assert!(world.chunks[..20].iter().all(|chunk| chunk.facts == Facts::default()));
    let spoke = world.events().into_iter().filter(|(_, event)| event.starts_with("speaker")).map(|(frame, _)| frame);
    assert_eq!(spoke.min().map(|frame| frame / 10), Some(20), "nobody is named before");
}
