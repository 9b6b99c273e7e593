//! A full disk: refused with its own error, nothing half-written stays, and the writer goes on with a gap once there is room.

use hiwar_segment_log::disk::{AppendError, Error, Options, Writer, verify};
use hiwar_segment_log::{Kind, Position};
use std::path::Path;
use std::process::Command;

use crate::fixture::{chunk, chunks, header, records, short_segments};

const FILE_LIMIT_DIR: &str = "HIWAR_TEST_FILE_LIMIT_DIR";

/// Appends until it is full; returns the position that did not fit.
fn fill(writer: &mut Writer) -> u64 {
    let epoch = writer.epoch();
    if writer.next() == Position(0) {
        writer.append(&header(epoch, 0)).unwrap();
    }
    for position in writer.next().0..1_000_000 {
        match writer.append(&chunk(epoch, position)) {
            Ok(()) => {}
            Err(AppendError::Full) => return position,
            Err(error) => panic!("not Full but {error}"),
        }
    }
    panic!("never full");
}

/// What must hold of a log that was full at `full` and went on at `resumed`.
fn check(dir: &Path, full: u64, resumed: u64) {
    let whole: Vec<u64> = (0..full).chain([resumed]).collect();
    assert_eq!(chunks(dir), whole);
    let report = verify(dir).unwrap();
    assert_eq!((report.damage, report.gaps), (vec![], 1));
    let gap = records(dir, 0).into_iter().find(|record| record.kind == Kind::Gap).unwrap();
    assert_eq!((gap.position, gap.resumes()), (Position(full), Some(Position(resumed))));
}

#[test]
fn a_log_at_its_own_limit_goes_on_with_a_gap_once_it_may_grow() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { max_bytes: Some(2_000), ..short_segments() };
    let (mut writer, _) = Writer::open(dir.path(), options).unwrap();
    let full = fill(&mut writer);
    assert!(writer.bytes() <= 2_000);
    assert!(matches!(writer.append(&chunk(writer.epoch(), full + 1)), Err(AppendError::Full)));
    drop(writer);
    let (mut writer, recovered) = Writer::open(dir.path(), short_segments()).unwrap();
    assert_eq!(recovered.next, Position(full));
    writer.append(&chunk(recovered.epoch, full + 5)).unwrap();
    check(dir.path(), full, full + 5);
}

/// A file system of 256 kB, if we may mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(dir.path());
        mount.stderr(std::process::Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then(|| Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_named_and_the_log_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        println!("no right to mount a small disk; the test with a file-size limit covers the rest");
        return;
    };
    let log = disk.0.path().join("log");
    // Once with the end of the disk in the middle of a segment, once at the beginning of one.
    for options in [Options::default(), short_segments()] {
        let ballast = disk.0.path().join("ballast");
        std::fs::write(&ballast, vec![1; 100_000]).unwrap();
        let (mut writer, _) = Writer::open(&log, options.clone()).unwrap();
        let full = fill(&mut writer);
        for later in full..full + 3 {
            assert!(matches!(writer.append(&chunk(writer.epoch(), later)), Err(AppendError::Full)));
        }
        assert_eq!(writer.sync().unwrap(), Position(full));
        assert_eq!(verify(&log).unwrap().damage, []);
        let claim = writer.epoch();
        drop(writer);
        // A claim needs room for its epoch: refused as such, and not half made.
        assert!(matches!(Writer::open(&log, options.clone()), Err(Error::Full { .. })));
        std::fs::remove_file(&ballast).unwrap();
        let (mut writer, recovered) = Writer::open(&log, options).unwrap();
        assert!(recovered.epoch > claim && recovered.next == Position(full) && recovered.truncated_bytes == 0);
        writer.append(&chunk(recovered.epoch, full + 5)).unwrap();
        writer.sync().unwrap();
        drop(writer);
        check(&log, full, full + 5);
        std::fs::remove_dir_all(&log).unwrap();
    }
}

/// The same writer, without a claim in between.
#[test]
fn a_writer_that_found_the_disk_full_is_still_good() {
    let Some(disk) = SmallDisk::mount() else { return };
    let log = disk.0.path().join("log");
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![1; 100_000]).unwrap();
    let (mut writer, _) = Writer::open(&log, Options::default()).unwrap();
    let full = fill(&mut writer);
    std::fs::remove_file(&ballast).unwrap();
    writer.append(&chunk(writer.epoch(), full + 5)).unwrap();
    writer.sync().unwrap();
    check(&log, full, full + 5);
}

/// Not a test of its own: runs where files may not grow past 8 kB.
#[test]
fn limited_process() {
    let Some(dir) = std::env::var_os(FILE_LIMIT_DIR) else { return };
    let (mut writer, _) = Writer::open(Path::new(&dir), Options::default()).unwrap();
    println!("full {}", fill(&mut writer));
    writer.sync().unwrap();
}

#[test]
fn a_limit_on_the_size_of_files_is_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    // The shell ignores the signal that would kill the writer, and hands that down.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" --exact full::limited_process --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env(FILE_LIMIT_DIR, dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let full = text.lines().find_map(|line| line.rsplit_once("full ")).unwrap().1.parse::<u64>().unwrap();
    let (mut writer, recovered) = Writer::open(dir.path(), Options::default()).unwrap();
    assert_eq!((recovered.next, recovered.truncated_bytes), (Position(full), 0));
    writer.append(&chunk(recovered.epoch, full + 5)).unwrap();
    check(dir.path(), full, full + 5);
}
