//! How far something is: one line on a terminal, nothing elsewhere.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// How often it is drawn.
const SHOWN_EVERY: Duration = Duration::from_millis(100);

/// The line.
pub(crate) struct Line {
    what: &'static str,
    shown: Option<Instant>,
    begun: Instant,
    on_terminal: bool,
}

impl Line {
    /// Nothing is drawn until something has taken a moment.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, shown: None, begun: Instant::now(), on_terminal: io::stderr().is_terminal() }
    }

    /// Draws it, if it is time to.
    pub(crate) fn show(&mut self, percent: u64) {
        let now = Instant::now();
        if self.on_terminal && now.duration_since(self.shown.unwrap_or(self.begun)) >= SHOWN_EVERY {
            self.shown = Some(now);
            eprint!("\r{}: {:2} %", self.what, percent.min(99));
        }
    }

    /// Takes it away.
    pub(crate) fn clear(&self) {
        if self.shown.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
