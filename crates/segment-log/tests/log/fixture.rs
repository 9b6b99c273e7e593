//! Records to write, and ways to look at what was kept.

use bytes::Bytes;
use hiwar_segment_log::disk::{Options, Reader, Recovered, Writer};
use hiwar_segment_log::{Epoch, Header, Kind, Parts, Position, Record, Rendition};
use std::path::Path;
use std::time::Duration;

pub(crate) const CHUNK: u32 = 9_600;

pub(crate) fn wall_us(position: u64) -> u64 {
    1_790_000_000_000_000 + position * 200_000
}

pub(crate) fn header(epoch: Epoch, position: u64) -> Record {
    let mp4 = Rendition {
        part: 0,
        name: "mp4".into(),
        mime: "audio/mp4; codecs=\"opus\"".into(),
        codecs: "opus".into(),
        init: Bytes::from_static(b"ftyp moov"),
    };
    let header = Header { timescale: 48_000, chunk_duration: CHUNK, renditions: vec![mp4], begun_wall_us: wall_us(0) };
    Record {
        position: Position(position),
        epoch,
        kind: Kind::Header,
        time: position * u64::from(CHUNK),
        duration: 0,
        wall_us: wall_us(position),
        body: header.to_body(),
    }
}

/// The sound of chunk `position`: a few bytes, different in each.
pub(crate) fn sound(position: u64) -> Vec<u8> {
    (0..20 + position % 7).map(|at| (position * 31 + at) as u8).collect()
}

pub(crate) fn chunk(epoch: Epoch, position: u64) -> Record {
    Record {
        position: Position(position),
        epoch,
        kind: Kind::Chunk,
        time: position * u64::from(CHUNK),
        duration: CHUNK,
        wall_us: wall_us(position),
        body: Parts::new().push(0, &sound(position)).push(2, b"facts").finish(),
    }
}

/// A folder in memory where there is one: thousands of claims, each with its syncs, are not what a disk is for.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Log segments of three chunks.
pub(crate) fn short_segments() -> Options {
    Options { segment_span: Duration::from_millis(600), ..Options::default() }
}

pub(crate) fn open(dir: &Path) -> (Writer, Recovered) {
    Writer::open(dir, short_segments()).unwrap()
}

/// A new log with a header and `chunks` chunks.
pub(crate) fn write_log(dir: &Path, chunks: u64) -> Writer {
    let (mut writer, recovered) = open(dir);
    writer.append(&header(recovered.epoch, 0)).unwrap();
    for position in 0..chunks {
        writer.append(&chunk(recovered.epoch, position)).unwrap();
    }
    writer.sync().unwrap();
    writer
}

pub(crate) fn records(dir: &Path, from: u64) -> Vec<Record> {
    Reader::open(dir).unwrap().records(Position(from)).unwrap().map(Result::unwrap).collect()
}

/// Positions of the whole chunks, each checked to hold its own sound.
pub(crate) fn chunks(dir: &Path) -> Vec<u64> {
    let chunks = records(dir, 0).into_iter().filter(|record| record.kind == Kind::Chunk);
    chunks
        .map(|record| {
            let position = record.position.0;
            assert_eq!(record.part(0).unwrap(), sound(position), "sound of {position}");
            assert_eq!(record.time, position * u64::from(CHUNK));
            position
        })
        .collect()
}

pub(crate) fn segments(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".seg")).collect();
    names.sort();
    names
}
