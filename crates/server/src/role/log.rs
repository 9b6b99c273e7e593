//! `hiwar log verify DIR`.

use std::path::Path;
use std::process::ExitCode;

use hiwar_segment_log::disk::{self, Report};

/// Reads a whole log and says what is damaged. Exit code 0: whole; 1: damaged; 2: unreadable.
pub fn verify(dir: &Path) -> ExitCode {
    match disk::verify(dir) {
        Ok(report) => {
            print(&report);
            if report.damage_total == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            eprintln!("cannot read {}: {why}", dir.display());
            ExitCode::from(2)
        }
    }
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
    for damage in &report.damage {
        let (first, last) = (damage.positions.start(), damage.positions.end());
        let positions =
            if first == last { format!("position {first}") } else { format!("positions {first} to {last}") };
        println!(
            "DAMAGED {positions}: {} at byte {} of {} ({} bytes; chunks lost: {})",
            damage.what, damage.offset, damage.file, damage.bytes, damage.chunks_lost
        );
    }
    let unnamed = report.damage_total.saturating_sub(report.damage.len() as u64);
    if unnamed > 0 {
        println!("and {unnamed} more damaged ranges");
    }
    if report.damage_total == 0 {
        println!("whole: no damage found");
    }
}
