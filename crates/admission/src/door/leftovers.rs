//! What others leave, and whose of those who look for it that is.
//!
//! Not whose who asks a few milliseconds before the others: programs would always be first. Each network has another luck in each [period](super::look::period) in which it looks, under a key that nobody is told,
//! and so many are lucky that in the mean what is there is taken [within](WITHIN) seconds.

use std::time::{Duration, SystemTime};

use super::desk::Yours;
use super::of_opening;
use super::sip::SipKey;
use super::timetable::STEP;

/// Seconds in which what is left over is taken, in the mean. In fewer the last of a second would find nothing, and it were a race again; in more it would lie idle for longer. A [`STEP`], for there is never more of it than may come
/// in during the first one of the table: so as many are let in as may be.
const WITHIN: f64 = STEP.as_secs() as f64;
/// Seconds over which it is measured how many look, in the mean.
const LONG: f64 = 30.0;
/// And seconds over which, if many more networks do now than before: when they begin to.
const SHORT: f64 = 0.25;
/// So many times as many are many more,
const MORE: f64 = 3.0;
/// and so many others within [`SHORT`]: of a few each may find something.
const MANY: f64 = 4.0;
/// So many are remembered who looked last. All tickets of one network look at once and have one luck: however many they are, they begin no race.
const RECENT: usize = 16;

const CONTEXT_LUCK: &str = "hiwar 2026-11 luck of whoever looks at a door, version 1";

/// At one worker, of one crowd.
pub(super) struct Leftovers {
    luck: SipKey,
    /// How many there were when the house spoke, for this worker: so many by right.
    told: f64,
    /// Whole ones that nobody has taken, and may be, since then.
    left: u32,
    /// How many look in a second, in the mean over [`LONG`] and over [`SHORT`].
    looks: [f64; 2],
    /// And how many networks.
    networks: [f64; 2],
    /// Which those are, and whose turn it is to be forgotten.
    recent: ([u64; RECENT], usize),
    /// When somebody looked last.
    at: Option<SystemTime>,
}

impl Leftovers {
    /// None yet. `root`: random, of one space, the same at every worker; no other opening's lucks are those of this one.
    pub(super) fn of(root: &[u8; 32], opening: u16) -> Self {
        let luck = SipKey::of(&of_opening(CONTEXT_LUCK, root, opening));
        Self { luck, told: 0.0, left: 0, looks: [0.0; 2], networks: [0.0; 2], recent: ([0; RECENT], 0), at: None }
    }

    /// So many are left over now at all workers together, each of which lets in `pace` in a second at the most.
    pub(super) fn hear(&mut self, spare: u32, yours: Yours, pace: u32) {
        // The house does not know of this one yet: it is none of those who share it.
        let workers = f64::from(yours.workers);
        self.told = if yours.workers > 0 { f64::from(spare) / workers } else { 0.0 };
        // One that cannot be shared is theirs who are lucky, at whichever worker: rarely at two.
        self.left = (self.told.ceil() as u32).min(pace);
    }

    /// Somebody of that network looks, in that [period](super::look::period), for whom it may be. Whether one is theirs, if there is room for them.
    pub(super) fn takes(&mut self, now: SystemTime, network: u64, period: u64, has_room: bool) -> bool {
        // A clock that goes back is one that stands.
        let pause = self.at.replace(now).and_then(|at| now.duration_since(at).ok()).unwrap_or(Duration::ZERO);
        let fades = [LONG, SHORT].map(|over| (-pause.as_secs_f64() / over).exp());
        let others = |[long, short]: [f64; 2]| [long * fades[0], short * fades[1]];
        let (looks, networks) = (others(self.looks), others(self.networks));
        let with_one = |[long, short]: [f64; 2]| [long + 1.0 / LONG, short + 1.0 / SHORT];
        self.looks = with_one(looks);
        let (recent, next) = &mut self.recent;
        if recent.contains(&network) {
            self.networks = networks;
        } else {
            self.networks = with_one(networks);
            recent[*next] = network;
            *next = (*next + 1) % RECENT;
        }
        let do_begin = networks[1] > MORE * networks[0] + MANY / SHORT;
        let per_second = looks[usize::from(do_begin)];
        let luck = self.luck.hash(network, period, 7) as u32;
        // Of all that look as many as are to take something: whoever looks where no others do has what is there.
        let is_lucky = f64::from(luck) * per_second < 2f64.powi(32) * self.told / WITHIN;
        let takes = has_room && self.left > 0 && is_lucky;
        self.left -= u32::from(takes);
        takes
    }

    #[cfg(test)]
    pub(super) fn looked_at(&self) -> Option<SystemTime> {
        self.at
    }
}

#[cfg(test)]
mod tests;
