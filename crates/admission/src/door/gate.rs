//! So many in a second.

use std::time::{Duration, SystemTime};

/// How many of this second's are left, and when it ends.
#[derive(Debug, Default)]
pub(super) struct Gate {
    left: u32,
    until: Option<SystemTime>,
}

impl Gate {
    /// Whether whoever comes now is one of the first so many in this second.
    pub(super) fn lets(&mut self, now: SystemTime, per_second: u32) -> bool {
        if self.until.is_none_or(|until| now >= until) {
            (self.left, self.until) = (per_second, Some(now + Duration::from_secs(1)));
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}
