//! What became of levels in the last 24 hours, and what was ordered: a line for each in `DATA/levels.jsonl`.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::orders::ms;
use crate::registry::replace;

/// In the data directory.
const FILE: &str = "levels.jsonl";
/// How long a line is kept.
const KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Lines that are kept at the most: a level that falls after a calm minute changes no more than twice in one.
const LINES_MAX: usize = 2_000;

/// Something that happened to levels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Of which conversation; absent: of the whole server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum What {
    /// A level changed.
    Level {
        /// What it is.
        level: u8,
        /// What it was.
        before: u8,
        /// Why it is so.
        reasons: Vec<String>,
    },
    /// An operator ordered something, or its time was over.
    Order {
        /// Which order: `pin`, `cap`, `panic` or `places`.
        order: String,
        /// What was ordered; `None`: it was lifted.
        value: Option<u32>,
        /// When it is to be over.
        until_ms: Option<u64>,
        /// Who.
        by: String,
        /// Why.
        why: String,
    },
}

/// The lines of the last day.
#[derive(Debug)]
pub struct History {
    data: PathBuf,
    lines: VecDeque<Line>,
    /// Lines of the file, those among them that are too old.
    written: usize,
}

impl History {
    /// What was kept. A line that makes no sense is passed over: the last may have been torn.
    pub fn load(data: &Path, now: SystemTime) -> Self {
        let text = fs::read_to_string(data.join(FILE)).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let mut history = Self { data: data.to_owned(), lines, written: usize::MAX };
        history.forget(now);
        history
    }

    /// One more. It is known at once, also where it cannot be kept. Blocks.
    ///
    /// # Errors
    /// The disk's.
    pub fn add(&mut self, now: SystemTime, line: Line) -> io::Result<()> {
        let text = serde_json::to_string(&line).map_err(io::Error::other)?;
        self.lines.push_back(line);
        self.forget(now);
        if self.written >= 2 * LINES_MAX {
            let all: Vec<String> = self.lines.iter().filter_map(|line| serde_json::to_string(line).ok()).collect();
            replace(&self.data, FILE, (all.join("\n") + "\n").as_bytes())?;
            self.written = self.lines.len();
            return Ok(());
        }
        self.written += 1;
        let mut file: File = OpenOptions::new().append(true).create(true).open(self.data.join(FILE))?;
        file.write_all(format!("{text}\n").as_bytes())
    }

    /// The newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().rev()
    }

    fn forget(&mut self, now: SystemTime) {
        let first = ms(now.checked_sub(KEPT).unwrap_or(SystemTime::UNIX_EPOCH));
        while self.lines.len() > LINES_MAX || self.lines.front().is_some_and(|line| line.at_ms < first) {
            self.lines.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::orders::moment;
    use super::*;

    fn line(at_ms: u64) -> Line {
        let what = What::Level { level: 2, before: 1, reasons: vec!["late".into()] };
        Line { at_ms, space: Some("talk".into()), what }
    }

    #[test]
    fn a_day_is_kept_and_a_torn_line_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        let day = 24 * 3_600_000;
        let mut history = History::load(data, moment(day));
        let order =
            What::Order { order: "panic".into(), value: Some(5), until_ms: None, by: "x".into(), why: "y".into() };
        history.add(moment(day), line(day)).unwrap();
        history.add(moment(day + 1), Line { at_ms: day + 1, space: None, what: order }).unwrap();
        let before: Vec<Line> = history.newest().cloned().collect();
        let mut file = OpenOptions::new().append(true).open(data.join(FILE)).unwrap();
        file.write_all(b"{\"at_ms\":12").unwrap();
        let mut history = History::load(data, moment(day + 2));
        assert_eq!(history.newest().cloned().collect::<Vec<_>>(), before);
        // The first that is written makes the file anew, or it would be behind the torn one.
        history.add(moment(2 * day + 1), line(2 * day)).unwrap();
        let kept: Vec<u64> = History::load(data, moment(2 * day + 1)).newest().map(|line| line.at_ms).collect();
        assert_eq!(kept, [2 * day, day + 1]);
    }

    #[test]
    fn it_grows_no_longer_than_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let mut history = History::load(folder.path(), moment(0));
        (0..10_000).for_each(|at| history.add(moment(at), line(at)).unwrap());
        assert_eq!(history.newest().count(), LINES_MAX);
        let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(text.lines().count() <= 2 * LINES_MAX);
    }
}
