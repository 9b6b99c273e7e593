//! Tracks read back from a log beside the log, after damage that a checksum did not see, or out of a foreign log. Must never panic, and what comes of them is
//! sound: finite numbers in a chunk at its place.
#![no_main]

use std::time::Instant;

use hiwar_media::Time;
use hiwar_media::programme::{SEATS, Seat};
use hiwar_media::track::{Remix, Voice};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut remix = Remix::new(Instant::now(), 32_000, 1, b"nobody").expect("a codec");
    // Chunks of up to four voices, a byte for the length of each; the first two as they are, the others with a head that is sound.
    let mut rest = bytes;
    for index in 0..4_u64 {
        let mut stored = Vec::new();
        for voice in 0..4_u64 {
            let Some((&len, after)) = rest.split_first() else { break };
            let (body, after) = after.split_at((usize::from(len) * 8).min(after.len()));
            rest = after;
            let mut part = if voice < 2 { Vec::new() } else { Voice::begin(voice, Seat(voice as u8), b"p1") };
            part.extend_from_slice(body);
            stored.push(part);
        }
        let voices: Vec<Voice<'_>> = stored.iter().filter_map(|part| Voice::parse(part)).collect();
        assert!(voices.iter().all(|voice| usize::from(voice.seat.0) < SEATS));
        let time = Time(index * 9_600);
        let chunk = remix.chunk(index, time, &voices, |owner| owner.to_vec()).expect("a chunk");
        assert_eq!((chunk.index, chunk.time, chunk.duration), (index, time, 9_600));
        assert!(chunk.facts.true_peak.is_finite() && chunk.facts.energy.iter().all(|energy| energy.is_finite()));
    }
});
