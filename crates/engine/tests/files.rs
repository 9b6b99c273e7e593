//! Logs and blobs in folders.

use hiwar_engine::{Blob, BlobError, SpaceLog};
use hiwar_segment_log::disk::{Error, Options};
use hiwar_segment_log::{Kind, LogId, Parts, Position, Record};
use std::io::{Read, Write};

fn log(name: &str) -> LogId {
    LogId::parse(name).unwrap()
}

#[test]
fn a_log_is_claimed_by_one_read_by_many_and_deleted_when_free() {
    let dir = tempfile::tempdir().unwrap();
    let logs = SpaceLog::new(dir.path().join("spaces"));
    assert_eq!(logs.list().unwrap(), []);
    let mut claim = logs.claim(log("demo"), Options::default()).unwrap();
    let record = Record {
        position: Position(0),
        epoch: claim.recovered.epoch,
        kind: Kind::Chunk,
        time: 0,
        duration: 9_600,
        wall_us: 1,
        body: Parts::new().push(1, b"sound").finish(),
    };
    claim.writer.append(&record).unwrap();
    assert!(matches!(logs.claim(log("demo"), Options::default()), Err(Error::Locked { .. })));
    assert!(matches!(logs.delete(log("demo")), Err(Error::Locked { .. })));
    let read: Vec<Record> =
        logs.reader(log("demo")).unwrap().records(Position(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, std::slice::from_ref(&record));
    assert_eq!(logs.follower(log("demo"), Position(0)).unwrap().poll().unwrap(), Some(record));
    assert_eq!(logs.verify(log("demo")).unwrap().chunks, 1);
    drop(claim);

    let other = logs.claim(log("another"), Options::default()).unwrap();
    std::fs::create_dir_all(dir.path().join("spaces/no-log-here")).unwrap();
    std::fs::create_dir_all(dir.path().join("spaces/Not A Log/log")).unwrap();
    assert_eq!(logs.list().unwrap(), [log("another"), log("demo")]);
    std::fs::write(dir.path().join("spaces/demo/space.json"), b"{}").unwrap();
    logs.delete(log("demo")).unwrap();
    logs.delete(log("demo")).unwrap();
    assert_eq!(logs.list().unwrap(), [log("another")]);
    assert!(logs.reader(log("demo")).is_err());
    assert!(dir.path().join("spaces/demo/space.json").exists());
    // A log of the same name begins anew.
    let claim = logs.claim(log("demo"), Options::default()).unwrap();
    assert_eq!(claim.recovered.next, Position(0));
    drop((claim, other));
}

#[test]
fn a_blob_is_there_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blob::new(dir.path().to_owned());
    let name = "demo/replay/replay.mp4";
    assert!(matches!(blobs.open(name), Err(BlobError::Missing(_))));
    assert_eq!(blobs.list("demo/replay").unwrap(), [""; 0]);
    let mut draft = blobs.draft(name).unwrap();
    draft.write_all(b"half").unwrap();
    assert!(matches!(blobs.len(name), Err(BlobError::Missing(_))));
    assert_eq!(blobs.list("demo/replay").unwrap(), [""; 0]);
    drop(draft);
    assert_eq!(std::fs::read_dir(dir.path().join("demo/replay")).unwrap().count(), 0);

    let mut draft = blobs.draft(name).unwrap();
    draft.write_all(b"the ").unwrap();
    draft.write_all(b"whole").unwrap();
    draft.commit().unwrap();
    blobs.put("demo/replay/index.m3u8", b"#EXTM3U").unwrap();
    let mut old = blobs.open(name).unwrap();
    blobs.put(name, b"another").unwrap();
    let mut content = String::new();
    old.read_to_string(&mut content).unwrap();
    assert_eq!(content, "the whole");
    assert_eq!(blobs.len(name).unwrap(), 7);
    assert_eq!(blobs.list("demo/replay").unwrap(), ["demo/replay/index.m3u8", name]);
    blobs.delete(name).unwrap();
    blobs.delete(name).unwrap();
    assert_eq!(blobs.list("demo/replay").unwrap(), ["demo/replay/index.m3u8"]);
}

#[test]
fn a_name_cannot_leave_the_folder_or_hide_in_it() {
    let blobs = Blob::new("/nonexistent".into());
    for name in
        ["", "/etc/passwd", "../x", "a/../x", "a/./x", "a//x", "a/", ".hidden", "a/.x", "A", "a b", "a\0", "حوار"]
    {
        assert!(matches!(blobs.open(name), Err(BlobError::Name(_))), "{name:?}");
    }
    assert!(matches!(blobs.open(&"a".repeat(201)), Err(BlobError::Name(_))));
    assert!(matches!(blobs.open("a-1/b.mp4"), Err(BlobError::Missing(_))));
}
