//! A clip cut out of a recording that a disk has damaged, or of a file that is none. Must never panic, nor take more than it was given; and what is not damaged is
//! cut as it was asked for.
#![no_main]

use std::sync::LazyLock;

use hiwar_media::chunk::{Facts, Frames};
use hiwar_media::package::{Track, emsg, fmp4, ogg};
use hiwar_media::replay::clip::{FRONT_BYTES, Label, Recorded, front_bytes};
use hiwar_media::replay::{Chapter, Labels, Part, Sealer};
use hiwar_media::{FRAME_SAMPLES, Time};
use libfuzzer_sys::fuzz_target;

const LABEL: Label<'_> = Label { link: "https://talk.example/s/demo#t=1", serial: 1 };

/// Nine seconds in three fragments.
static RECORDING: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let chunks: Vec<Vec<u8>> = (0..45_u64)
        .map(|n| {
            let mut frames = Frames::new();
            (0..10).for_each(|frame| frames.push(&[0xf8, n as u8, frame]).expect("room"));
            let (mut mp4, time) = (Vec::new(), Time(n * 9_600));
            emsg::write(&mut mp4, time, n as u32, b"{}").expect("short");
            fmp4::fragment(&mut mp4, n as u32 + 1, time, &frames);
            mp4
        })
        .collect();
    let parts = || chunks.iter().zip(0..).map(|(mp4, index)| Part { index, mp4, facts: Facts::default() });
    let mut sealer = Sealer::new();
    for part in parts() {
        let _ = sealer.measure(&part).expect("ours");
    }
    let chapters = [Chapter { begin: Time(0), title: "a".into() }];
    let labels = Labels { title: "title", date: Some("2026-11-23"), track: Track::mono(), chapters: &chapters };
    let replay = sealer.finish(&labels).expect("sound");
    let mut file = Vec::new();
    let mut writer = replay.mp4(&mut file);
    parts().for_each(|part| writer.write(&part, &mut file).expect("ours"));
    writer.finish(&mut file).expect("the same");
    file
});

fuzz_target!(|bytes: &[u8]| {
    cut(bytes, 0, 1);
    let Some((span, changes)) = bytes.split_at_checked(8) else { return };
    let number = |at: usize| u32::from_le_bytes([span[at], span[at + 1], span[at + 2], span[at + 3]]);
    let (from, to) = (u64::from(number(0)), u64::from(number(4)));
    let mut file = RECORDING.clone();
    let inside = from < to && to <= 45 * 9_600;
    assert_eq!(cut(&file, from, to), inside);
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len();
        file[at] ^= change[2];
    }
    cut(&file, from, to);
});

/// Whether there is such a clip.
fn cut(file: &[u8], from: u64, to: u64) -> bool {
    let Ok(length) = front_bytes(&file[..file.len().min(FRONT_BYTES)]) else { return false };
    let Some(Ok(recorded)) = file.get(..length).map(Recorded::read) else { return false };
    let Ok(clip) = recorded.clip(Time(from), Time(to)) else { return false };
    let (start, end) = (clip.bytes().start as usize, clip.bytes().end as usize);
    let Some(sound) = file.get(start..end) else { return false };
    let made = clip.mp4(sound, &LABEL);
    let Ok(packed) = clip.ogg(sound, &LABEL) else {
        assert!(made.is_err(), "both or neither");
        return false;
    };
    let stream = ogg::frames(&packed).expect("an Ogg file");
    let due = u64::from(stream.pre_skip) + to - from;
    assert_eq!(stream.packets.len() as u64, due.div_ceil(FRAME_SAMPLES as u64));
    assert!(made.is_ok_and(|made| made.len() < 2 * file.len() + 4_096));
    true
}
