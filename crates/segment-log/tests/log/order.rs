//! What may be appended, claimed, deleted and sealed.

use hiwar_segment_log::disk::{AppendError, Error, Options, Reader, Writer, delete, verify};
use hiwar_segment_log::retention::Retention;
use hiwar_segment_log::{Epoch, Kind, Position, Record};
use std::time::Duration;

use crate::fixture::{CHUNK, chunk, chunks, header, open, records, segments, short_segments, wall_us, write_log};

#[test]
fn records_are_read_as_they_were_appended() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = write_log(dir.path(), 8);
    writer.seal(wall_us(8)).unwrap();
    let epoch = writer.epoch();
    let expected = [
        header(epoch, 0),
        chunk(epoch, 0),
        chunk(epoch, 1),
        chunk(epoch, 2),
        header(epoch, 3),
        chunk(epoch, 3),
        chunk(epoch, 4),
        chunk(epoch, 5),
        header(epoch, 6),
        chunk(epoch, 6),
        chunk(epoch, 7),
    ];
    let read = records(dir.path(), 0);
    assert_eq!(read[..11], expected);
    assert_eq!((read[11].kind, read[11].position, read.len()), (Kind::Seal, Position(8), 12));
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.records, report.chunks, report.segments, report.sealed), (12, 8, 3, true));
    assert_eq!((report.first, report.last, report.epochs), (Some(Position(0)), Some(Position(7)), vec![epoch]));
}

#[test]
fn a_reader_that_begins_in_the_middle_gets_the_header_first() {
    let dir = tempfile::tempdir().unwrap();
    let writer = write_log(dir.path(), 8);
    let read = records(dir.path(), 4);
    assert_eq!(read[..3], [header(writer.epoch(), 3), chunk(writer.epoch(), 4), chunk(writer.epoch(), 5)]);
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, first) = open(dir.path());
    assert!(matches!(Writer::open(dir.path(), short_segments()), Err(Error::Locked { .. })));
    drop(writer);
    let (_writer, second) = open(dir.path());
    assert!(second.epoch > first.epoch);
}

#[test]
fn every_claim_raises_the_epoch_even_if_nothing_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let epochs: Vec<Epoch> = (0..5).map(|_| open(dir.path()).1.epoch).collect();
    assert!(epochs.is_sorted_by(|earlier, later| earlier < later), "{epochs:?}");
}

#[test]
fn a_claim_finds_where_the_last_one_stopped() {
    let dir = tempfile::tempdir().unwrap();
    drop(write_log(dir.path(), 8));
    let (mut writer, recovered) = open(dir.path());
    assert_eq!(recovered.next, Position(8));
    assert_eq!(recovered.next_time, 8 * u64::from(CHUNK));
    assert_eq!(recovered.last_wall_us, wall_us(7));
    assert_eq!(recovered.header.unwrap().renditions[0].name, "mp4");
    assert_eq!((recovered.truncated_bytes, recovered.sealed, recovered.damaged), (0, false, 0));
    // The chunk that workers already hold keeps its position under the new epoch's header.
    writer.append(&header(recovered.epoch, 8)).unwrap();
    writer.append(&chunk(recovered.epoch, 8)).unwrap();
    assert_eq!(chunks(dir.path()), (0..9).collect::<Vec<_>>());
    assert_eq!(verify(dir.path()).unwrap().epochs.len(), 2);
}

#[test]
fn what_does_not_follow_is_refused_and_leaves_the_log_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = write_log(dir.path(), 3);
    let (epoch, older) = (writer.epoch(), Epoch(writer.epoch().0 - 1));
    assert!(matches!(writer.append(&chunk(older, 3)), Err(AppendError::Fenced { current }) if current == epoch));
    assert!(matches!(writer.append(&chunk(epoch, 2)), Err(AppendError::Conflict { next: Position(3) })));
    let endless_gap = Record::gap(Position(3), Position(3), epoch, 0, 0);
    assert!(matches!(writer.append(&endless_gap), Err(AppendError::Conflict { next: Position(3) })));
    let long = Record { body: vec![0; 5 << 20].into(), ..chunk(epoch, 3) };
    assert!(matches!(writer.append(&long), Err(AppendError::TooLong)));
    writer.append(&chunk(epoch, 3)).unwrap();
    assert_eq!(chunks(dir.path()), [0, 1, 2, 3]);
}

#[test]
fn a_jump_is_preceded_by_a_gap_record_and_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = write_log(dir.path(), 2);
    writer.append(&chunk(writer.epoch(), 7)).unwrap();
    let read = records(dir.path(), 0);
    let gap = read.iter().find(|record| record.kind == Kind::Gap).unwrap();
    assert_eq!((gap.position, gap.resumes()), (Position(2), Some(Position(7))));
    assert_eq!((gap.time, gap.duration), (2 * u64::from(CHUNK), 5 * CHUNK));
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.gaps, report.damage), (1, vec![]));
    assert_eq!(chunks(dir.path()), [0, 1, 7]);
}

#[test]
fn a_sealed_log_takes_nothing_more_even_from_a_later_claim() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = write_log(dir.path(), 2);
    writer.seal(wall_us(2)).unwrap();
    writer.seal(wall_us(2)).unwrap();
    assert!(matches!(writer.append(&chunk(writer.epoch(), 2)), Err(AppendError::Sealed)));
    drop(writer);
    let (mut writer, recovered) = open(dir.path());
    assert!(recovered.sealed);
    assert!(matches!(writer.append(&chunk(recovered.epoch, 2)), Err(AppendError::Sealed)));
    assert_eq!(records(dir.path(), 0).iter().filter(|record| record.kind == Kind::Seal).count(), 1);
}

#[test]
fn sync_acknowledges_everything_before_the_next_position() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = write_log(dir.path(), 2);
    assert_eq!(writer.acked(), Position(2));
    for position in 2..9 {
        writer.append(&chunk(writer.epoch(), position)).unwrap();
    }
    assert_eq!(writer.acked(), Position(2));
    assert_eq!(writer.sync().unwrap(), Position(9));
    assert_eq!(writer.sync().unwrap(), Position(9));
}

#[test]
fn retention_deletes_whole_segments_that_the_window_no_longer_needs() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = write_log(dir.path(), 8);
    assert_eq!(writer.retain(wall_us(100)).unwrap().segments_deleted, 0);
    let before = writer.bytes();
    writer.set_retention(Retention::window(Duration::from_millis(400)));
    let retained = writer.retain(wall_us(5)).unwrap();
    assert_eq!(retained.segments_deleted, 1);
    assert_eq!(writer.bytes(), before - retained.bytes_deleted);
    assert_eq!(chunks(dir.path()), [3, 4, 5, 6, 7]);
    assert_eq!(verify(dir.path()).unwrap().damage, []);
    assert_eq!(records(dir.path(), 0)[0].kind, Kind::Header);
    assert_eq!(writer.retain(wall_us(1_000)).unwrap().segments_deleted, 1);
    assert_eq!(chunks(dir.path()), [6, 7]);
    // After a restart the segments are still known by when they began.
    drop(writer);
    let mut writer = open(dir.path()).0;
    assert_eq!(writer.next(), Position(8));
    writer.append(&chunk(writer.epoch(), 8)).unwrap();
    writer.append(&chunk(writer.epoch(), 9)).unwrap();
    writer.set_retention(Retention { window: None, bytes: Some(1) });
    assert_eq!(writer.retain(0).unwrap().segments_deleted, 1);
    assert_eq!(chunks(dir.path()), [9]);
    assert_eq!(segments(dir.path()).len(), 1);
}

#[test]
fn a_segment_is_closed_at_its_size_too() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 1, ..Options::default() };
    let (mut writer, recovered) = Writer::open(dir.path(), options).unwrap();
    for position in 0..4 {
        writer.append(&header(recovered.epoch, position)).unwrap();
        writer.append(&chunk(recovered.epoch, position)).unwrap();
    }
    assert_eq!(segments(dir.path()).len(), 4);
    assert_eq!(chunks(dir.path()), [0, 1, 2, 3]);
    assert_eq!(verify(dir.path()).unwrap().damage, []);
}

#[test]
fn a_log_begins_wherever_its_first_record_stands() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, found) = open(dir.path());
    writer.append(&header(found.epoch, 700)).unwrap();
    writer.append(&chunk(found.epoch, 700)).unwrap();
    writer.append(&chunk(found.epoch, 701)).unwrap();
    writer.sync().unwrap();
    drop(writer);
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.gaps, report.damage_total, report.chunks), (0, 0, 2), "{report:?}");
    assert_eq!(chunks(dir.path()), [700, 701]);
    let (_, recovered) = open(dir.path());
    assert_eq!(recovered.next, Position(702));
}

#[test]
fn a_reader_is_told_that_the_log_was_deleted_under_it() {
    let above = tempfile::tempdir().unwrap();
    let dir = above.path().join("log");
    drop(write_log(&dir, 8));
    let mut records = Reader::open(&dir).unwrap().records(Position(0)).unwrap();
    assert_eq!(records.next().unwrap().unwrap().kind, Kind::Header);
    delete(&dir).unwrap();
    // The open segment to its end; of the other two nothing is left.
    assert_eq!(records.by_ref().map(Result::unwrap).count(), 3);
    assert_eq!((records.vanished(), records.damage_total()), (2, 0));
}
