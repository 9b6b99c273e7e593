//! A log segment after anything happened to it. Scanning and recovery must never panic, must account for every byte, and must
//! find every record that was not touched.
#![no_main]

use bytes::Bytes;
use hiwar_segment_log::reader::{End, Found, Place, Scan};
use hiwar_segment_log::recovery::recover;
use hiwar_segment_log::{Epoch, Kind, Parts, Position, Record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&mode, rest)) = bytes.split_first() else { return };
    if mode & 1 == 0 {
        // Bytes as they come: a foreign file.
        read(&Bytes::copy_from_slice(rest));
    } else {
        flipped(rest);
    }
});

/// A sound log of a few chunks whose bytes are then changed where the input says so.
fn flipped(input: &[u8]) {
    let mut log = Vec::new();
    let mut ends = vec![0];
    for position in 0..8u64 {
        let body = Parts::new().push(0, &vec![position as u8; 40 + position as usize]).push(1, b"ogg").finish();
        let time = position * 9_600;
        let record = Record { position: Position(position), epoch: Epoch(1), kind: Kind::Chunk, time, duration: 9_600, wall_us: time, body };
        record.encode(&mut log);
        ends.push(log.len());
    }
    let mut touched = [false; 8];
    for change in input.chunks_exact(3).take(8) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % log.len();
        log[at] ^= change[2];
        if change[2] != 0 {
            touched[ends.partition_point(|&end| end <= at) - 1] = true;
        }
    }
    let found = read(&Bytes::from(log));
    for (position, touched) in touched.into_iter().enumerate() {
        assert!(touched || found.contains(&Position(position as u64)), "record {position} was not touched, and not found");
    }
}

/// Reads it as a follower, as a verifier and as a new writer would; gives the positions found.
fn read(bytes: &Bytes) -> Vec<Position> {
    let scan = |end| Scan::new("fuzz.seg".into(), 0, bytes.clone(), Place::default(), end);
    let mut growing = scan(End::Growing);
    while growing.next().is_some() {}
    assert!(growing.offset() <= bytes.len() as u64);

    let mut positions = Vec::new();
    let mut last = scan(End::Last);
    let mut behind = 0;
    while let Some(found) = last.next() {
        if let Found::Record { record, offset, bytes: len } = found {
            assert!(offset >= behind, "records do not overlap");
            behind = offset + len as u64;
            for (id, part) in record.parts() {
                assert!(record.part(id).is_some() && part.len() <= record.body.len());
            }
            positions.push(record.position);
        }
    }
    let recovery = recover(scan(End::Last));
    assert_eq!(recovery.keep + recovery.torn, bytes.len() as u64, "every byte is kept or torn");
    positions
}
