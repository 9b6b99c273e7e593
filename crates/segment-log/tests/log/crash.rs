//! Writers that are killed, and writers in other processes.

use hiwar_segment_log::Position;
use hiwar_segment_log::disk::{Error, Writer, verify};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::fixture::{chunk, chunks, header, open, short_segments};

const DIR: &str = "HIWAR_TEST_LOG_DIR";

/// Not a test of its own: the process that the others start and kill. Prints the position after every acknowledgement.
#[test]
fn writer_process() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let (mut writer, recovered) = open(Path::new(&dir));
    println!("acked {}", recovered.next);
    writer.append(&header(recovered.epoch, recovered.next.0)).unwrap();
    for position in recovered.next.0..100_000 {
        writer.append(&chunk(recovered.epoch, position)).unwrap();
        if position % 3 == 0 {
            println!("acked {}", writer.sync().unwrap());
        }
    }
}

fn start(dir: &Path) -> Child {
    let program = std::env::current_exe().unwrap();
    Command::new(program)
        .args(["--exact", "crash::writer_process", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads acknowledgements until `enough` of them came; returns the last.
fn acknowledged(child: &mut Child, enough: usize) -> u64 {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    // The test runner's own words come before the first on the same line.
    let acked = |line: String| line.rsplit_once("acked ").map(|(_, position)| position.parse::<u64>().unwrap());
    lines.map_while(Result::ok).filter_map(acked).take(enough).last().unwrap()
}

#[test]
fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = 0;
    for enough in [1, 2, 3, 5, 8, 13, 21] {
        let mut child = start(dir.path());
        let acked = acknowledged(&mut child, enough);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(acked >= kept, "acknowledged {acked} after {kept} were kept");
        let whole = chunks(dir.path());
        kept = whole.len() as u64;
        assert!(kept >= acked, "{acked} acknowledged, {kept} kept");
        assert_eq!(whole, (0..kept).collect::<Vec<_>>());
    }
    let (writer, recovered) = open(dir.path());
    assert_eq!((recovered.epoch.0, recovered.next), (8, Position(kept)));
    drop(writer);
    assert_eq!(verify(dir.path()).unwrap().damage, []);
}

#[test]
fn a_writer_in_another_process_is_refused_until_the_first_dies() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start(dir.path());
    acknowledged(&mut child, 2);
    assert!(matches!(Writer::open(dir.path(), short_segments()), Err(Error::Locked { .. })));
    assert!(verify(dir.path()).unwrap().has_writer);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(open(dir.path()).1.epoch.0, 2);
}

#[test]
fn a_record_cut_by_a_crash_is_moved_aside_and_written_again() {
    let dir = tempfile::tempdir().unwrap();
    drop(crate::fixture::write_log(dir.path(), 2));
    let name = crate::fixture::segments(dir.path()).pop().unwrap();
    let path = dir.path().join(&name);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    let (mut writer, recovered) = open(dir.path());
    assert_eq!(recovered.next, Position(1));
    writer.append(&chunk(recovered.epoch, 1)).unwrap();
    drop(writer);
    assert_eq!(chunks(dir.path()), [0, 1]);
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.damage, report.torn.len()), (vec![], 1));
    let torn = std::fs::read(dir.path().join(&report.torn[0])).unwrap();
    assert!(bytes[..bytes.len() - 3].ends_with(&torn) && torn.len() as u64 == recovered.truncated_bytes);
}
