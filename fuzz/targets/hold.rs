//! Hold music: the file that a host uploads, and the file that it was kept in, after damage. Must never panic; what is read has frames of 20 ms that a programme
//! makes, and is written back as it was.
#![no_main]

use hiwar_media::hold::{FILE_BYTES_MAX, HoldMusic, LENGTH_MAX};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(music) = HoldMusic::from_wav(bytes, 32_000) {
        sound(&music);
        assert_eq!(HoldMusic::parse(&music.to_bytes()), Ok(music));
    }
    // As it is, and with a checksum that is right.
    let _ = HoldMusic::parse(bytes);
    let mut file = b"HIWARHM\x01\0\0\0\0".to_vec();
    file.extend_from_slice(bytes);
    let checksum = crc(bytes);
    file[8..12].copy_from_slice(&checksum.to_le_bytes());
    if let Ok(music) = HoldMusic::parse(&file) {
        sound(&music);
        assert_eq!(music.to_bytes(), file);
    }
});

fn sound(music: &HoldMusic) {
    let frames = music.duration().as_millis() as u64 / 20;
    assert!(frames > 0 && music.duration() <= LENGTH_MAX + std::time::Duration::from_millis(20));
    for beat in [0, 1, frames - 1, frames, u64::MAX] {
        let frame = music.frame(beat).expect("there is always another");
        assert_eq!(frame.duration(), Some(960));
    }
    assert!(music.to_bytes().len() <= FILE_BYTES_MAX);
}

/// The checksum of Ogg's pages (RFC 3533 §6).
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc: u32, &byte| {
        (0..8).fold(crc ^ u32::from(byte) << 24, |crc, _| crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 })
    })
}
