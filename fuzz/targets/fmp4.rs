//! Fragments read back out of a log for a replay, after damage that a checksum did not see, or out of a foreign log. Must never
//! panic, and must give back unharmed what was packaged.
#![no_main]

use hiwar_media::package::fmp4;
use hiwar_media::{CHUNK_FRAMES, Time, chunk::Frames};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    walk(bytes);
    packaged(bytes);
});

fn walk(bytes: &[u8]) {
    if let Ok(fragment) = fmp4::frames(bytes) {
        let total: usize = fragment.iter().map(<[u8]>::len).sum();
        assert!(total <= bytes.len());
        assert_eq!(fragment.iter().count(), fragment.len());
        fragment.events().for_each(drop);
    }
}

/// A real fragment, changed where the input says so.
fn packaged(input: &[u8]) {
    let mut frames = Frames::new();
    let mut pieces = input.chunks(40);
    for piece in pieces.by_ref().take(CHUNK_FRAMES).filter(|piece| !piece.is_empty()) {
        let _ = frames.push(piece);
    }
    if frames.len() == 0 {
        return;
    }
    let mut mp4 = Vec::new();
    fmp4::fragment(&mut mp4, 1, Time(960), &frames);
    let read = fmp4::frames(&mp4).expect("what we packaged");
    assert!(read.iter().eq(frames.iter()), "the same frames");
    for change in pieces.flat_map(|piece| piece.chunks_exact(3)) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % mp4.len();
        mp4[at] ^= change[2];
    }
    walk(&mp4);
}
