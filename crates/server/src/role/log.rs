//! `hiwar log verify DIR` and `hiwar log export DIR`: what is in a log, without a server, also while one writes it.
//!
//! Both end with 0 when the log is whole, 1 when it is not (what is missing is named, and everything else was read), and 2 when nothing could be done.

mod export;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hiwar_segment_log::disk::{self, Report};
use hiwar_segment_log::reader::Damaged;

pub use export::export;

/// The log, or the file made of it, is not whole.
const DAMAGED: u8 = 1;
/// Nothing could be done.
const FAILED: u8 = 2;
/// A log of which something is deleted while it is read is read again, so often.
const TRIES: usize = 5;

/// Reads a whole log and says what is damaged.
pub fn verify(dir: &Path) -> ExitCode {
    match read(dir) {
        Ok(report) => {
            print(&report);
            if report.damage_total == 0 { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) }
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(FAILED)
        }
    }
}

fn read(dir: &Path) -> Result<Report, String> {
    let log = find(dir)?;
    for _ in 0..TRIES {
        let report = disk::verify(&log).map_err(|why| unreadable(&log, &why))?;
        if report.vanished == 0 {
            return Ok(report);
        }
    }
    Err(too_fast(&log))
}

fn too_fast(log: &Path) -> String {
    format!("{} changes faster than it can be read: parts of it were deleted meanwhile", log.display())
}

/// The log that a person means by a folder: the folder itself, or the one called `log` in a space's folder.
fn find(dir: &Path) -> Result<PathBuf, String> {
    let is_log = |dir: &Path| disk::is_log(dir).map_err(|why| unreadable(dir, &why));
    if is_log(dir)? {
        return Ok(dir.to_owned());
    }
    let below = dir.join("log");
    if below.is_dir() && is_log(&below)? {
        return Ok(below);
    }
    Err(format!("{} is no log: it holds no log segments", dir.display()))
}

fn unreadable(dir: &Path, why: &disk::Error) -> String {
    format!("cannot read {}: {why}", dir.display())
}

fn print(report: &Report) {
    let range = match (report.first, report.last) {
        (Some(first), Some(last)) => format!(", positions {first} to {last}"),
        _ => String::new(),
    };
    println!("{} chunks in {} log segments{range}", report.chunks, report.segments);
    println!("epochs: {}; gaps (made but never kept): {}", report.epochs.len(), report.gaps);
    println!("{}", if report.sealed { "sealed: the log is complete" } else { "open: the log is not sealed" });
    if report.has_writer {
        println!("a writer is at work; its newest record may not be counted");
    }
    for name in &report.torn {
        println!("moved aside by a recovery: {name}");
    }
    for line in damage_lines(&report.damage, report.damage_total) {
        println!("{line}");
    }
    if report.damage_total == 0 {
        println!("whole: no damage found");
    }
}

/// Damaged ranges as people read them; `total` may be more than are listed.
fn damage_lines(damage: &[Damaged], total: u64) -> Vec<String> {
    let line = |damage: &Damaged| {
        let (first, last) = (damage.positions.start(), damage.positions.end());
        let positions =
            if first == last { format!("position {first}") } else { format!("positions {first} to {last}") };
        format!(
            "DAMAGED {positions}: {} at byte {} of {} ({} bytes; chunks lost: {})",
            damage.what, damage.offset, damage.file, damage.bytes, damage.chunks_lost
        )
    };
    let mut lines: Vec<String> = damage.iter().map(line).collect();
    let unnamed = total.saturating_sub(damage.len() as u64);
    if unnamed > 0 {
        lines.push(format!("and {unnamed} more damaged ranges"));
    }
    lines
}
