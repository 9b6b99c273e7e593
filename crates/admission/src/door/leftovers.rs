//! What others leave, and whose of those who look for it that is.
//!
//! Not whose who asks a few milliseconds before the others: programs would always be first. Each network has another luck in each [period](super::look::period) in which it looks, under a key that nobody is told,
//! and so many are lucky that in the mean what is there is taken [within](WITHIN) seconds.

use std::time::{Duration, SystemTime};

use super::desk::Yours;
use super::sip::SipKey;
use super::timetable::STEP;

/// In so many seconds what is left over is taken, in the mean. In fewer the last of a second would find nothing, and it were a race again. In more it would lie idle for longer; and while people come in as fast as they may there is
/// no more of it at any time than what is left of the first step of the table.
const WITHIN: f64 = STEP.as_secs() as f64;
/// Over so long how many look is measured, in the mean.
const MEMORY: f64 = 30.0;
/// Nobody can tell from two who look at one moment how many do in a second: those so many seconds are taken to be theirs.
const MOMENT: f64 = 0.25;

const CONTEXT_LUCK: &str = "hiwar 2026-11 luck of whoever looks at a door, version 1";

/// At one worker, of one crowd.
pub(super) struct Leftovers {
    luck: SipKey,
    /// How many there were when the house spoke, for this worker.
    told: u32,
    /// Of these, how many nobody has taken.
    left: u32,
    /// How many look in a second, each counted the less the longer it is ago, and when that was; since how many seconds.
    looks: f64,
    at: Option<SystemTime>,
    since: f64,
}

impl Leftovers {
    /// None yet. `root`: random, of one space, the same at every worker; no other opening's lucks are those of this one.
    pub(super) fn of(root: &[u8; 32], opening: u16) -> Self {
        let mut bytes = [0; 34];
        bytes[..32].copy_from_slice(root);
        bytes[32..].copy_from_slice(&opening.to_le_bytes());
        let luck = SipKey::of(&blake3::derive_key(CONTEXT_LUCK, &bytes));
        Self { luck, told: 0, left: 0, looks: 0.0, at: None, since: 0.0 }
    }

    /// So many are left over now at all workers together, each of which lets in so many in a second at the most.
    pub(super) fn hear(&mut self, spare: u32, yours: Yours, pace: u32) {
        let workers = yours.workers.max(1);
        // One that cannot be shared is some worker's.
        self.told = spare / workers + u32::from(yours.index < spare % workers);
        self.left = self.told.min(pace);
    }

    /// Somebody of that network looks, in that period, for whom it may be. Whether one is theirs, if there is room for them.
    pub(super) fn takes(&mut self, now: SystemTime, network: u64, period: u64, has_room: bool) -> bool {
        // A clock that goes back is one that stands.
        let pause = self.at.replace(now).and_then(|at| now.duration_since(at).ok()).unwrap_or(Duration::ZERO);
        self.since += pause.as_secs_f64();
        let others = self.looks * (-pause.as_secs_f64() / MEMORY).exp();
        self.looks = others + 1.0 / MEMORY;
        // In the first seconds little could be counted yet.
        let per_second = others / (1.0 - (-self.since.max(MOMENT) / MEMORY).exp());
        // Whoever looks where nobody else has for long has what is there.
        let luck = self.luck.hash(network, period, 7) as u32;
        let takes =
            has_room && self.left > 0 && f64::from(luck) * per_second < 2f64.powi(32) * f64::from(self.told) / WITHIN;
        self.left -= u32::from(takes);
        takes
    }
}

#[cfg(test)]
mod tests;
