//! A follower sees what a writer appends, in order, while it does.

use hiwar_segment_log::disk::{Follower, Reader};
use hiwar_segment_log::retention::Retention;
use hiwar_segment_log::{Kind, Position};
use std::time::{Duration, Instant};

use crate::fixture::{chunk, header, open, sound, wall_us, write_log};

/// Longer than any machine needs; a hang is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_follower_sees_every_chunk_in_order_while_the_writer_appends() {
    const CHUNKS: u64 = 2_000;
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, recovered) = open(dir.path());
    let mut follower = Follower::open(dir.path(), Position(0)).unwrap();
    let writing = std::thread::spawn(move || {
        writer.append(&header(recovered.epoch, 0)).unwrap();
        for position in 0..CHUNKS {
            writer.append(&chunk(recovered.epoch, position)).unwrap();
        }
        writer
    });
    let began = Instant::now();
    let mut next = 0;
    while next < CHUNKS {
        match follower.poll().unwrap() {
            Some(record) if record.kind == Kind::Chunk => {
                assert_eq!(record.position, Position(next));
                assert_eq!(record.part(0).unwrap(), sound(next));
                next += 1;
            }
            Some(_) => {}
            None => {
                assert!(began.elapsed() < PATIENCE, "stuck at {next}");
                std::thread::yield_now();
            }
        }
    }
    assert_eq!((follower.poll().unwrap(), follower.damage_total()), (None, 0));
    writing.join().unwrap();
}

#[test]
fn a_follower_goes_on_where_it_was_told_and_through_a_new_claim() {
    let dir = tempfile::tempdir().unwrap();
    let writer = write_log(dir.path(), 5);
    let mut follower = Follower::open(dir.path(), Position(4)).unwrap();
    let mut next = || follower.poll().unwrap().map(|record| (record.kind, record.position.0));
    assert_eq!(next(), Some((Kind::Header, 3)));
    assert_eq!(next(), Some((Kind::Chunk, 4)));
    assert_eq!(next(), None);
    drop(writer);
    let (mut writer, recovered) = open(dir.path());
    writer.append(&header(recovered.epoch, 5)).unwrap();
    assert_eq!(next(), Some((Kind::Header, 5)));
    writer.append(&chunk(recovered.epoch, 5)).unwrap();
    assert_eq!(next(), Some((Kind::Chunk, 5)));
    writer.append(&chunk(recovered.epoch, 9)).unwrap();
    assert_eq!(next(), Some((Kind::Header, 6)));
    assert_eq!(next(), Some((Kind::Gap, 6)));
    assert_eq!(next(), Some((Kind::Chunk, 9)));
    writer.seal(wall_us(10)).unwrap();
    assert_eq!(next(), Some((Kind::Seal, 10)));
    assert_eq!(next(), None);
}

#[test]
fn a_follower_that_retention_overtook_goes_on_with_what_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = write_log(dir.path(), 2);
    let mut follower = Follower::open(dir.path(), Position(0)).unwrap();
    let mut positions = Vec::new();
    let mut drain = |follower: &mut Follower| {
        while let Some(record) = follower.poll().unwrap() {
            positions.extend((record.kind == Kind::Chunk).then_some(record.position.0));
        }
    };
    drain(&mut follower);
    for position in 2..14 {
        writer.append(&chunk(writer.epoch(), position)).unwrap();
    }
    writer.set_retention(Retention { window: None, bytes: Some(1) });
    assert_eq!(writer.retain(0).unwrap().segments_deleted, 4);
    drain(&mut follower);
    // The file that it had open was still there to read.
    assert_eq!(positions, [0, 1, 2, 12, 13]);
    assert_eq!(follower.last_damage().unwrap().positions, Position(3)..=Position(11));
}

#[test]
fn half_a_record_at_the_end_is_not_damage_while_there_is_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    let writer = write_log(dir.path(), 2);
    let name = crate::fixture::segments(dir.path()).pop().unwrap();
    let path = dir.path().join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    let whole = bytes.len();
    chunk(writer.epoch(), 2).encode(&mut bytes);
    for end in whole..bytes.len() {
        std::fs::write(&path, &bytes[..end]).unwrap();
        let mut records = Reader::open(dir.path()).unwrap().records(Position(0)).unwrap();
        assert_eq!((&mut records).count(), 3, "at {end}");
        assert_eq!(records.damage(), [], "at {end}");
        let mut follower = Follower::open(dir.path(), Position(1)).unwrap();
        follower.poll().unwrap();
        follower.poll().unwrap();
        assert_eq!((follower.poll().unwrap(), follower.damage_total()), (None, 0), "at {end}");
    }
}
