//! `hiwar log verify DIR`.

use std::path::Path;
use std::process::ExitCode;

use hiwar_segment_log::disk;

/// Reads a whole log and says what is damaged. Exit code 0: whole; 1: damaged; 2: unreadable.
pub fn verify(dir: &Path) -> ExitCode {
    match disk::verify(dir) {
        Ok(report) => {
            print!("{report}");
            if report.damage.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            eprintln!("cannot read {}: {why}", dir.display());
            ExitCode::from(2)
        }
    }
}
