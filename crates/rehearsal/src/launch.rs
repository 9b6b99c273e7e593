//! A launch: more people than there are places come within a minute, and what each of them does at the door. One script, which [`world`](crate::world) plays in a world without a clock and
//! `live/` at a real server; what is [`seen`] of it is judged alike. Pure: the same seed is the same launch.

pub mod moments;
pub mod seen;

use std::net::Ipv4Addr;
use std::time::Duration;

use hiwar_admission::door::look::LOOK;
use hiwar_admission::door::ticket::Known;

pub use self::seen::{Figures, Lived, Seen};

/// Whose line broke asks again within so long, then within twice as long each time, up to the second: as the page does (web/src/player/backoff.ts).
const AGAIN: Duration = Duration::from_millis(500);
/// See [`AGAIN`].
const AGAIN_MAX: Duration = Duration::from_secs(30);

/// When somebody asks again whose line broke, or who had no answer: at any time up to some, for all lines break at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// So long they wait before they ask again, and never less than the server `wished`.
    pub fn wait(&mut self, wished: Duration, chance: &mut Chance) -> Duration {
        let within = AGAIN.saturating_mul(1 << self.tries.min(16)).min(AGAIN_MAX);
        self.tries = self.tries.saturating_add(1);
        wished + within.mul_f64(chance.part())
    }

    /// They are in: the next time begins anew.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

/// How somebody behaves, or where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From an address of their own.
    Alone,
    /// One of many from one /24.
    Neighbour,
    /// One of many behind a carrier's address.
    Carried,
    /// A badly written program: it asks again and again as if it had not been answered, and keeps every ticket.
    Bot,
}

/// What somebody does with their tickets to whom the door promises nothing yet, but that they may look for what others leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// They look when they are told to.
    #[default]
    AsTold,
    /// They keep the ticket by which they looked first, and show it again in each period, as if they had been told nothing since.
    KeepsFirst,
    /// Each ticket of theirs looks first in another period, so that one of them does in each.
    Spreads,
    /// They keep tickets back until it is nearly their turn, and who is near it looks more often.
    HoldsBack,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::AsTold, Self::KeepsFirst, Self::Spreads, Self::HoldsBack];
    /// As many periods as there are until a ticket looks again, at the most.
    const SPREAD_OVER: u32 = 8;
    /// In every second period of an hour.
    const HELD_BACK: [u32; 2] = [2, 6];

    /// When whoever was told to look at `due` does, `now`, as the `nth` ticket of somebody. `is_first`: they have not looked yet.
    pub fn looks(self, now: Duration, due: Duration, nth: u32, is_first: bool) -> Duration {
        match self {
            Self::KeepsFirst if !is_first => due.min(now + LOOK + Duration::from_secs(1)),
            Self::Spreads if is_first => due + LOOK * (nth % Self::SPREAD_OVER),
            Self::HoldsBack if is_first => due + LOOK * Self::HELD_BACK[0] * (nth % Self::HELD_BACK[1]),
            Self::AsTold | Self::KeepsFirst | Self::Spreads | Self::HoldsBack => due,
        }
    }

    /// Whether they show what they have been told since they looked first, and not that.
    pub fn takes(self, is_first: bool) -> bool {
        is_first || self != Self::KeepsFirst
    }
}

/// Somebody who comes to the door, once. Whoever takes many tickets comes as many times, under one number.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    /// Whose: numbers count up, and one person's visits follow each other.
    pub who: u32,
    /// From where.
    pub address: Ipv4Addr,
    /// Of which kind they are.
    pub kind: Kind,
    /// When they come, after the first.
    pub comes: Duration,
    /// How long they wait at the most.
    pub patience: Duration,
    /// How long they stay when they are let in.
    pub stay: Duration,
    /// They come back so often, whatever they were told.
    pub polls: Option<Duration>,
    /// What they do with their tickets.
    pub strategy: Strategy,
    /// Which of their tickets this one is, from 0.
    pub nth: u32,
    /// What a test issuer vouches for, of which account, in the simulated world.
    pub vouched: Option<(Known, u32)>,
}

/// Where people's addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// Anywhere.
    Anywhere,
    /// Addresses of this machine, 127.0.0.0/8: the only ones that a crowd on one machine can come from.
    Loopback,
}

/// What is wrong on purpose, so that a figure is seen to go bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// They stay five times as long as the house believes: promises cannot be kept.
    Linger,
    /// They leave twenty times as soon as the house believes: places stand empty.
    Vanish,
    /// They come back every twenty seconds, as at waiting rooms that have to be asked.
    Poll,
    /// Bots come from another address each time: nobody could tell that it is one.
    Addresses,
    /// Those of the /24 come from anywhere: nothing bounds what they get together.
    Scatter,
}

/// A launch.
#[derive(Clone, Copy, Debug)]
pub struct Launch {
    /// How many people come.
    pub people: u32,
    /// Within this time, most of them at its beginning.
    pub within: Duration,
    /// The part of them that comes from one /24.
    pub neighbours: f64,
    /// How many come from behind one carrier's address.
    pub carried: u32,
    /// How many are badly written programs, and how often each of them asks.
    pub bots: u32,
    /// See [`Launch::bots`].
    pub tries: u32,
    /// What those do with their tickets. None: one after the other each of all that there is.
    pub strategy: Option<Strategy>,
    /// One in so many has little patience. 0: nobody.
    pub impatient: u32,
    /// How long they stay: half of them stay longer.
    pub median: Duration,
    /// Standard deviation of the logarithm of it.
    pub sigma: f64,
    /// Where their addresses are.
    pub addresses: Addresses,
    /// What is wrong.
    pub wrong: Option<Wrong>,
    /// The same number is the same launch.
    pub seed: u64,
}

impl Default for Launch {
    fn default() -> Self {
        Self {
            people: 60_000,
            within: Duration::from_secs(60),
            neighbours: 0.3,
            carried: 200,
            bots: 200,
            tries: 100,
            strategy: None,
            impatient: 20,
            median: Duration::from_secs(20 * 60),
            sigma: 1.0,
            addresses: Addresses::Loopback,
            wrong: None,
            seed: 1,
        }
    }
}

/// Patience of whoever has little, and of everybody else, who may close the page meanwhile.
const IMPATIENT: Duration = Duration::from_secs(5 * 60);
const PATIENT: Duration = Duration::from_secs(24 * 3_600);
/// A bot asks again after so long.
const TRIES_EVERY: Duration = Duration::from_millis(300);
/// How often those come back who were not taught to wait.
const POLL: Duration = Duration::from_secs(20);
/// Half of the arrivals come within ln 2 / 3 of the time.
const STEEPNESS: f64 = 3.0;

impl Launch {
    /// Everybody's visits.
    pub fn visits(&self) -> Vec<Visit> {
        let mut chance = Chance::new(self.seed);
        let neighbours = (f64::from(self.people) * self.neighbours) as u32;
        let mut visits = Vec::new();
        for who in 0..self.people {
            let kind = match who {
                _ if who < neighbours => Kind::Neighbour,
                _ if who < neighbours + self.carried => Kind::Carried,
                _ if who < neighbours + self.carried + self.bots => Kind::Bot,
                _ => Kind::Alone,
            };
            let within = self.within.as_secs_f64();
            let comes = Duration::from_secs_f64((-within / STEEPNESS * (1.0 - chance.part()).ln()).min(within * 0.999));
            let patience = if self.impatient > 0 && chance.next().is_multiple_of(u64::from(self.impatient)) {
                IMPATIENT.mul_f64((0.7 * chance.normal()).exp())
            } else {
                PATIENT
            };
            let address = self.address(kind, &mut chance);
            let stay = self.median.mul_f64(self.lingers() * (self.sigma * chance.normal()).exp());
            let polls = (self.wrong == Some(Wrong::Poll)).then_some(POLL);
            let (tries, strategy) = match kind {
                Kind::Bot => (self.tries, self.strategy.unwrap_or(Strategy::ALL[who as usize % Strategy::ALL.len()])),
                _ => (1, Strategy::AsTold),
            };
            let visit = Visit { who, address, kind, comes, patience, stay, polls, strategy, nth: 0, vouched: None };
            for again in 0..tries {
                // All within the window, or they would be later than others for that alone.
                let comes = (visit.comes + TRIES_EVERY * again).min(self.within.mul_f64(0.999));
                let moves = self.wrong == Some(Wrong::Addresses) && again > 0;
                let address = if moves { self.address(Kind::Alone, &mut chance) } else { visit.address };
                visits.push(Visit { comes, address, nth: again, ..visit.clone() });
            }
        }
        visits
    }

    fn lingers(&self) -> f64 {
        match self.wrong {
            Some(Wrong::Linger) => 5.0,
            Some(Wrong::Vanish) => 0.05,
            _ => 1.0,
        }
    }

    fn address(&self, kind: Kind, chance: &mut Chance) -> Ipv4Addr {
        let drawn = chance.next();
        let [a, b, c, d, ..] = drawn.to_le_bytes();
        let is_loopback = self.addresses == Addresses::Loopback;
        match kind {
            // A /16 of its own each, in which nobody else is.
            Kind::Neighbour if self.wrong != Some(Wrong::Scatter) => {
                if is_loopback {
                    Ipv4Addr::new(127, 254, 113, d)
                } else {
                    Ipv4Addr::new(203, 0, 113, d)
                }
            }
            Kind::Carried if is_loopback => Ipv4Addr::new(127, 253, 7, 9),
            Kind::Carried => Ipv4Addr::new(100, 64, 7, 9),
            // 127.0.0.1 is left to everyone else.
            _ if is_loopback => Ipv4Addr::new(127, 1 + a % 250, b, c),
            _ => Ipv4Addr::new(1 + a % 99, b, c, d),
        }
    }
}

/// Random numbers that are the same each time (SplitMix64; Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    #[allow(clippy::should_implement_trait, reason = "it never ends, and whoever draws wants no Option")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    pub fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Normal, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.part()).ln()).sqrt() * (std::f64::consts::TAU * self.part()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(visits: &[Visit], kind: Kind) -> usize {
        visits.iter().filter(|visit| visit.kind == kind).count()
    }

    #[test]
    fn everybody_comes_within_the_time_and_each_from_where_they_are() {
        let launch = Launch::default();
        let visits = launch.visits();
        assert_eq!(count(&visits, Kind::Neighbour), 18_000);
        assert_eq!(count(&visits, Kind::Carried), 200);
        assert_eq!(count(&visits, Kind::Bot), 200 * 100);
        assert_eq!(count(&visits, Kind::Alone), 60_000 - 18_000 - 400);
        assert!(visits.iter().all(|visit| visit.comes < launch.within && visit.address.is_loopback()));
        let theirs = |visit: &&Visit| visit.address.octets()[..3] == [127, 254, 113];
        assert_eq!(visits.iter().filter(theirs).count(), 18_000);
        let mut stays: Vec<Duration> = visits.iter().map(|visit| visit.stay).collect();
        stays.sort_unstable();
        let median = stays[stays.len() / 2].as_secs_f64() / 60.0;
        assert!((19.0..21.0).contains(&median), "{median} minutes");
        assert_eq!(visits, launch.visits());
        assert_ne!(visits, Launch { seed: 2, ..launch }.visits());
    }

    #[test]
    fn a_quarter_of_all_bots_do_as_they_are_told_and_each_other_quarter_something_else_with_their_tickets() {
        let launch = Launch::default();
        let bots = |launch: Launch, strategy| {
            launch.visits().iter().filter(|visit| (visit.kind, visit.strategy) == (Kind::Bot, strategy)).count()
        };
        for strategy in Strategy::ALL {
            assert!((4_900..=5_100).contains(&bots(launch, strategy)));
            assert_eq!(bots(Launch { strategy: Some(strategy), ..launch }, strategy), 20_000);
        }
        assert!(launch.visits().iter().all(|visit| visit.kind == Kind::Bot || visit.strategy == Strategy::AsTold));
        let [now, due] = [1_000, 2_800].map(Duration::from_secs);
        let looks = |strategy: Strategy, nth, is_first| strategy.looks(now, due, nth, is_first).as_secs();
        for is_first in [true, false] {
            assert_eq!(looks(Strategy::AsTold, 3, is_first), 2_800);
        }
        assert_eq!([true, false].map(|is_first| looks(Strategy::KeepsFirst, 3, is_first)), [2_800, 1_301]);
        assert_eq!(
            [(3, true), (9, true), (3, false)].map(|(nth, is)| looks(Strategy::Spreads, nth, is)),
            [3_700, 3_100, 2_800]
        );
        assert_eq!(
            Strategy::ALL.map(|strategy| [true, false].map(|is| strategy.takes(is))),
            [[true; 2], [true, false], [true; 2], [true; 2]]
        );
        assert_eq!(
            [(3, true), (7, true), (3, false)].map(|(nth, is)| looks(Strategy::HoldsBack, nth, is)),
            [4_600, 3_400, 2_800]
        );
    }

    #[test]
    fn whose_line_broke_asks_again_as_the_page_does() {
        let (mut chance, mut backoff) = (Chance::new(1), Backoff::default());
        let mut most = [Duration::ZERO; 9];
        for _ in 0..2_000 {
            for longest in &mut most {
                *longest = (*longest).max(backoff.wait(Duration::ZERO, &mut chance));
            }
            backoff.reset();
        }
        for (most, within_ms) in most.into_iter().zip([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
        {
            let within = Duration::from_millis(within_ms);
            assert!(most <= within && most > within.mul_f64(0.99), "{most:?} of {within:?}");
        }
        let wished = Duration::from_secs(3);
        assert!(backoff.wait(wished, &mut chance) >= wished);
    }

    #[test]
    fn what_is_wrong_on_purpose_is() {
        let launch = |wrong| Launch { wrong: Some(wrong), ..Launch::default() }.visits();
        let addresses = |visits: &[Visit], kind| {
            let all = visits.iter().filter(|visit| visit.kind == kind).map(|visit| visit.address);
            all.collect::<std::collections::HashSet<_>>().len()
        };
        assert_eq!(addresses(&Launch::default().visits(), Kind::Neighbour), 256);
        assert!(addresses(&launch(Wrong::Scatter), Kind::Neighbour) > 17_000);
        assert_eq!(addresses(&Launch::default().visits(), Kind::Bot), 200);
        assert!(addresses(&launch(Wrong::Addresses), Kind::Bot) > 19_000);
        assert!(launch(Wrong::Poll).iter().all(|visit| visit.polls.is_some()));
    }
}
