//! A log cut or flipped at any byte: every other record is read, the damage is named, recovery loses nothing whole.

use hiwar_segment_log::disk::{Report, Writer, verify};
use hiwar_segment_log::record::Head;
use hiwar_segment_log::{Kind, Position};
use std::path::Path;

use crate::fixture::{chunk, chunks, open, records, scratch, segments, short_segments, write_log};

const CHUNKS: u64 = 8;

/// One record's place in its file.
struct Place {
    begin: usize,
    end: usize,
    position: u64,
    kind: Kind,
}

fn places(bytes: &[u8]) -> Vec<Place> {
    let mut places = Vec::new();
    let mut begin = 0;
    while begin < bytes.len() {
        let head = Head::decode(&bytes[begin..]).unwrap();
        let end = begin + head.encoded_len();
        places.push(Place { begin, end, position: head.position.0, kind: head.kind });
        begin = end;
    }
    places
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Spoils one file of a three-segment log and looks at the log, then claims it and looks again.
fn check(original: &Path, name: &str, spoilt: &[u8], lost: &[&Place], at: &str) {
    let dir = scratch();
    copy(original, dir.path());
    std::fs::write(dir.path().join(name), spoilt).unwrap();
    let lost_chunks: Vec<u64> =
        lost.iter().filter(|place| place.kind == Kind::Chunk).map(|place| place.position).collect();
    let whole: Vec<u64> = (0..CHUNKS).filter(|position| !lost_chunks.contains(position)).collect();

    assert_eq!(chunks(dir.path()), whole, "{at}: read before recovery");
    let report = verify(dir.path()).unwrap();
    // Of the last file's end nothing is left that could tell what was behind the cut.
    let last = segments(dir.path()).last().unwrap() == name;
    let named: Vec<&Place> = lost.iter().filter(|place| !last || place.begin < spoilt.len()).copied().collect();
    match named.is_empty() {
        true => assert_eq!(report.damage, [], "{at}"),
        false => check_names(&report, name, &named, at),
    }

    let (mut writer, recovered) = Writer::open(dir.path(), short_segments()).unwrap();
    assert_eq!(chunks(dir.path()), whole, "{at}: read after recovery");
    assert!(recovered.header.is_some(), "{at}: the header is found");
    let next = recovered.next.0;
    assert!(next == CHUNKS || whole.iter().all(|position| *position < next), "{at}: next is {next}");
    writer.append(&chunk(recovered.epoch, CHUNKS)).unwrap();
    let with_new: Vec<u64> = whole.iter().copied().chain([CHUNKS]).collect();
    assert_eq!(chunks(dir.path()), with_new, "{at}: goes on after recovery");
    let kept: u64 = verify(dir.path()).unwrap().torn.iter().map(|torn| size(&dir.path().join(torn))).sum();
    assert_eq!(kept, recovered.truncated_bytes, "{at}: torn bytes are kept aside");
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

fn check_names(report: &Report, name: &str, lost: &[&Place], at: &str) {
    assert!(!report.damage.is_empty(), "{at}: nothing named");
    for place in lost {
        let position = Position(place.position);
        let named = report.damage.iter().any(|damaged| damaged.positions.contains(&position));
        assert!(named, "{at}: {position} ({:?}) is not named in {:?}", place.kind, report.damage);
    }
    for damaged in &report.damage {
        assert_eq!(&*damaged.file, name, "{at}: the wrong file is named");
        assert!(damaged.offset <= lost[0].begin as u64, "{at}: {damaged:?} begins after the damage");
    }
    let lost_chunks: Vec<u64> =
        lost.iter().filter(|place| place.kind == Kind::Chunk).map(|place| place.position).collect();
    let named: u64 = report.damage.iter().map(|damaged| damaged.chunks_lost).sum();
    assert!(named <= lost_chunks.len() as u64, "{at}: more chunks are called lost than are: {:?}", report.damage);
}

fn log() -> tempfile::TempDir {
    let dir = scratch();
    drop(write_log(dir.path(), CHUNKS));
    assert_eq!(segments(dir.path()).len(), 3);
    assert_eq!(chunks(dir.path()), (0..CHUNKS).collect::<Vec<_>>());
    assert_eq!(verify(dir.path()).unwrap().damage, []);
    dir
}

#[test]
fn a_log_with_any_bit_flipped_loses_one_record_and_names_it() {
    let original = log();
    for name in segments(original.path()) {
        let bytes = std::fs::read(original.path().join(&name)).unwrap();
        let places = places(&bytes);
        for at in 0..bytes.len() {
            let mut spoilt = bytes.clone();
            // Another bit in each byte; the test of decoding flips them all.
            spoilt[at] ^= 1 << (at % 8);
            let lost: Vec<&Place> = places.iter().filter(|place| (place.begin..place.end).contains(&at)).collect();
            check(original.path(), &name, &spoilt, &lost, &format!("{name} flipped at {at}"));
        }
    }
}

#[test]
fn a_log_cut_at_any_byte_loses_what_was_behind_the_cut_and_names_it() {
    let original = log();
    for name in segments(original.path()) {
        let bytes = std::fs::read(original.path().join(&name)).unwrap();
        let places = places(&bytes);
        for at in 0..bytes.len() {
            let lost: Vec<&Place> = places.iter().filter(|place| place.end > at).collect();
            check(original.path(), &name, &bytes[..at], &lost, &format!("{name} cut at {at}"));
        }
    }
}

#[test]
fn a_log_with_any_byte_taken_out_loses_one_record() {
    let original = log();
    for name in segments(original.path()) {
        let bytes = std::fs::read(original.path().join(&name)).unwrap();
        let places = places(&bytes);
        for at in 0..bytes.len() {
            let mut spoilt = bytes.clone();
            spoilt.remove(at);
            let lost: Vec<&Place> = places.iter().filter(|place| (place.begin..place.end).contains(&at)).collect();
            check(original.path(), &name, &spoilt, &lost, &format!("{name} without byte {at}"));
        }
    }
}

#[test]
fn a_log_without_one_of_its_files_names_what_was_in_it() {
    let original = log();
    let names = segments(original.path());
    std::fs::remove_file(original.path().join(&names[1])).unwrap();
    assert_eq!(chunks(original.path()), [0, 1, 2, 6, 7]);
    let report = verify(original.path()).unwrap();
    assert_eq!(report.damage.len(), 1, "{:?}", report.damage);
    assert_eq!(report.damage[0].positions, Position(3)..=Position(5));
    assert_eq!(report.damage[0].chunks_lost, 3);
}

#[test]
fn damage_in_the_middle_of_the_last_segment_is_left_where_it_is() {
    let original = log();
    let name = segments(original.path()).pop().unwrap();
    let path = original.path().join(&name);
    let mut bytes = std::fs::read(&path).unwrap();
    let first_chunk = places(&bytes).into_iter().find(|place| place.kind == Kind::Chunk).unwrap();
    bytes[first_chunk.end - 1] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let (_writer, recovered) = open(original.path());
    assert_eq!((recovered.truncated_bytes, recovered.damaged, recovered.next), (0, 1, Position(CHUNKS)));
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_damaged_epoch_file_never_lets_the_epoch_fall() {
    let spoils: [fn(&mut Vec<u8>); 4] = [|_| (), |text| text.clear(), |text| text[9] ^= 1, |text| text.truncate(5)];
    for spoil in spoils {
        let original = log();
        let written = records(original.path(), 0).last().unwrap().epoch;
        let path = original.path().join("epoch");
        let mut text = std::fs::read(&path).unwrap();
        spoil(&mut text);
        std::fs::write(&path, text).unwrap();
        assert!(open(original.path()).1.epoch > written);
    }
}
