//! What an audience hears that waits, and how it begins to hear the stage.

use super::*;

/// Some bars of music: the chord of A, over and over, as hold music.
fn music(hertz: f32) -> Arc<HoldMusic> {
    let sample = |n: u64| [1.0, 1.25, 1.5].iter().map(|note| tone(hertz * note, 0.2, n)).sum::<f32>();
    let samples: Vec<u8> = (0..96_000).flat_map(|n| ((sample(n) * 32_767.0) as i16).to_le_bytes()).collect();
    let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\xbb\0\0\0\x77\x01\0\x02\0\x10\0data".to_vec();
    wav[4..8].copy_from_slice(&(36 + samples.len() as u32).to_le_bytes());
    wav.extend_from_slice(&(samples.len() as u32).to_le_bytes());
    wav.extend_from_slice(&samples);
    Arc::new(HoldMusic::from_wav(&wav, 32_000).unwrap())
}

/// A world whose audience waits.
fn waiting() -> World {
    let mut world = World::new();
    world.programme.handle(world.now(), Input::Audience(Audience::Waits));
    world
}

/// The frames that listeners were sent.
fn frames(world: &World) -> Vec<Vec<u8>> {
    let of = |chunk: &Chunk| fmp4::frames(&chunk.mp4).unwrap().iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
    world.chunks.iter().flat_map(of).collect()
}

fn expected(music: &HoldMusic, beats: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    beats.map(|beat| music.frame(beat).unwrap().as_slice().to_vec()).collect()
}

#[test]
fn who_waits_hears_music_again_and_again_and_nothing_is_encoded() {
    let (mut world, music) = (waiting(), music(440.0));
    world.programme.hold(Some(music.clone()));
    world.run(250, &mut []);
    assert_eq!(frames(&world), expected(&music, 0..250));
    assert!(250 > 2 * music.duration().as_millis() / 20, "it was heard more than twice");
    assert_eq!(world.programme.stats().encodes, 0);
    assert!(amount(&world.heard()[40_000..90_000], 440.0) > 0.03);
}

#[test]
fn other_music_begins_with_the_next_frame_and_without_there_is_silence() {
    let (mut world, first, second) = (waiting(), music(440.0), music(600.0));
    assert!(world.programme.hold(Some(first.clone())).is_none());
    world.run(33, &mut []);
    let old = world.programme.hold(Some(second.clone())).expect("the music before");
    assert!(Arc::ptr_eq(&old, &first));
    world.run(34, &mut []);
    assert!(world.programme.hold(None).is_some_and(|old| Arc::ptr_eq(&old, &second)));
    world.run(23, &mut []);
    let sent = frames(&world);
    assert_eq!(sent[..33], expected(&first, 0..33));
    assert_eq!(sent[33..67], expected(&second, 0..34));
    let silence = Encoder::silence(32_000).unwrap();
    assert!(sent[67..].iter().all(|frame| frame == silence.as_slice()));
}

#[test]
fn the_stage_hears_itself_and_no_music() {
    let (mut world, music) = (waiting(), music(700.0));
    world.programme.hold(Some(music));
    let mut one = world.voice(|n| tone(300.0, 0.3, n));
    let mut other = world.voice(|_| 0.0);
    world.run(150, &mut [&mut one, &mut other]);
    let back = &world.heard_by(other.seat)[48_000..];
    assert!(amount(back, 300.0) > 0.1 && amount(back, 700.0) < 0.001);
    let sent = world.heard();
    assert!(amount(&sent[48_000..], 300.0) < 0.001 && amount(&sent[48_000..], 700.0) > 0.02);
}

/// What is above some 4 kHz in a sound, where neither the music nor the voice of these tests is: a click.
fn click(sound: &[f32]) -> f32 {
    const WIDTH: usize = 13;
    let above = |part: &[f32]| (part[WIDTH / 2] - part.iter().sum::<f32>() / WIDTH as f32).abs();
    sound.windows(WIDTH).map(above).fold(0.0, f32::max)
}

fn peak(sound: &[f32]) -> f32 {
    sound.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

#[test]
fn at_the_start_the_music_is_gone_the_first_word_is_whole_and_nothing_clicks() {
    // The start falls on any frame of a chunk, and on any phase of the music.
    for start in 120..130 {
        let (mut world, music) = (waiting(), music(700.0));
        world.programme.hold(Some(music));
        let mut voice = world.voice(|n| (1..9).map(|k| tone(300.0 * k as f32, 0.15 / k as f32, n)).sum());
        world.run(start, &mut [&mut voice]);
        world.programme.handle(world.now(), Input::Audience(Audience::Hears));
        world.run(200 - start, &mut [&mut voice]);
        let sound = world.heard();
        let seam = start as usize * FRAME_SAMPLES;
        let (before, after) = (&sound[seam - 9_600..seam], &sound[seam..]);
        assert!(amount(before, 700.0) > 0.02 && amount(before, 300.0) < 0.002);
        let ready = &after[960..];
        assert!(amount(ready, 700.0) < 0.001, "at {start}: {} of the music", amount(ready, 700.0));
        // Within the frame in which the decoder finds its feet it is as loud as ever after.
        let (first, later) = (peak(&after[312..1_272]), peak(&after[9_600..19_200]));
        assert!(first > later * 0.7, "at {start}: the first word has {first} of {later}");
        let (around, music) = (&sound[seam - 240..seam + 960], peak(before));
        assert!(peak(around) < 1.1 * music.max(later), "at {start}: {} over {music} and {later}", peak(around));
        let usual = click(before).max(click(&after[9_600..19_200]));
        assert!(click(around) < 1.5 * usual, "at {start}: a click of {}, usually {usual}", click(around));
        // What the music left behind in the decoder is gone with the overlap: the rest is as if nothing had been heard before.
        let live = frames(&world).split_off(start as usize);
        let alone = decode(live.iter().map(|frame| Payload::new(frame).unwrap()));
        let apart: Vec<f32> = after.iter().zip(&alone).map(|(a, b)| a - b).collect();
        assert!(peak(&apart[480..]) < later / 40.0, "at {start}: {} is left of {later}", peak(&apart[480..]));
    }
}

#[test]
fn a_start_with_nobody_to_hear_ends_the_music() {
    let (mut world, music) = (waiting(), music(700.0));
    world.programme.hold(Some(music));
    world.run(125, &mut []);
    world.programme.handle(world.now(), Input::Audience(Audience::Hears));
    world.run(75, &mut []);
    let sound = world.heard();
    let seam = 125 * FRAME_SAMPLES;
    assert!(peak(&sound[seam + 480..]) < 1e-3);
    assert!(click(&sound[seam - 240..seam + 960]) < peak(&sound[seam - 9_600..seam]) / 2.0);
    assert_eq!(world.programme.stats().encodes, 0);
}
