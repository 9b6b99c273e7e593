//! What others leave, and whose of those who look for it that is.
//!
//! Not whose who asks a few milliseconds before the others: programs would always be first. Each network has another [luck](super::draw::DrawSecret::luck) whenever it looks, and so many are lucky that
//! what is there is taken [within](WITHIN) seconds.

use std::time::{Duration, SystemTime};

/// In about so many seconds what is left over is taken. In fewer the last of a second would find nothing, and it were a race again: within three, people differ twice as much between two launches that differ by
/// milliseconds (of a /24 by 1.1 in a hundred, and by 0.5 so). In more it would lie idle for longer: one place in a thousand does so.
const WITHIN: f64 = 10.0;
/// Over so long how many look is measured, in the mean.
const MEMORY: Duration = Duration::from_secs(30);
/// From two who look at one moment nobody can tell how many do in a second: they are taken to have had this long.
const SOON: Duration = Duration::from_millis(250);

/// At one worker.
#[derive(Debug, Default)]
pub(super) struct LeftOver {
    /// How many there were when the house spoke, for this worker.
    told: u32,
    /// Of these, how many nobody has taken.
    left: u32,
    /// How many look in a second, each counted the less the longer it is ago, and as of when.
    looks: f64,
    since: Duration,
    at: Option<SystemTime>,
}

impl LeftOver {
    /// So many, now.
    pub(super) fn hear(&mut self, spare: u32) {
        (self.told, self.left) = (spare, spare);
    }

    /// Somebody looks, for whom it may be. Whether one is theirs, if there is room for them.
    pub(super) fn takes(&mut self, now: SystemTime, luck: u32, has_room: bool) -> bool {
        let memory = MEMORY.as_secs_f64();
        // A clock that goes back is one that stands.
        let pause = self.at.replace(now).and_then(|at| now.duration_since(at).ok()).unwrap_or_default();
        self.since = self.since.saturating_add(pause);
        let others = self.looks * (-pause.as_secs_f64() / memory).exp();
        self.looks = others + 1.0 / memory;
        // In the first seconds too, in which little could be counted.
        let counted = 1.0 - (-self.since.max(SOON).as_secs_f64() / memory).exp();
        let few = f64::from(self.told) / WITHIN;
        // Nobody else looks: it is theirs.
        let is_lucky = others / counted * f64::from(luck) < few * 2f64.powi(32);
        let takes = is_lucky && has_room && self.left > 0;
        self.left -= u32::from(takes);
        takes
    }
}

#[cfg(test)]
mod tests;
