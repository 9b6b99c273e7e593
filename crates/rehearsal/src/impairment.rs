//! A bad network, one direction of it: what it loses, holds back, brings twice, or in another order.
//!
//! Seeded: the same datagrams at the same times meet the same fate, and which ones are lost does not even depend on the times. Knows nothing of what it
//! carries. The sockets around it are in `live/relay.rs`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Datagrams under way at most: four seconds of 20 speakers. What comes on top is lost, as in a router whose queue is full.
pub const UNDER_WAY_MAX: usize = 4096;
/// Longest delay of any kind, in milliseconds: ten seconds, beyond which every session has been given up.
const DELAY_MS_MAX: f64 = 10_000.0;
/// Most that a clock can be off, in parts per million: ten times what the worst crystals are.
const SKEW_PPM_MAX: f64 = 1_000.0;
/// How long a datagram that is overtaken is held back, beyond all else: the next one of the same speaker passes it.
const OVERTAKEN_BY: Duration = Duration::from_millis(25);

/// What a network does to what it carries. [`Self::GOOD`] does nothing.
///
/// As text: `loss=10 burst=3 delay=20 jitter=60 order=free stall=500/5000 overtaken=5 twice=2 skew=200`, any of them in any order. Shares are in percent, times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Network {
    /// What is lost.
    pub loss: Loss,
    /// What every datagram waits.
    pub delay: Duration,
    /// What a datagram waits beyond that at most; each an amount of its own, evenly spread.
    pub jitter: Duration,
    /// Whether that may change the order.
    pub order: Order,
    /// Times at which nothing moves.
    pub stall: Option<Stall>,
    /// Share (0 to 1) that is held back so long that the next one passes.
    pub overtaken: f64,
    /// Share (0 to 1) that comes twice.
    pub twice: f64,
    /// How much faster than ours the sender's clock seems to run, in parts per million: the way gets shorter all the time, as long as there is `delay` left.
    /// Negative: longer, for ever.
    pub skew_ppm: f64,
}

/// What is lost: two states, each with its share (the Gilbert-Elliott model; ITU-T G.1050 has the same).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// Share (0 to 1) lost in the good state.
    pub good: f64,
    /// Share lost in the bad one.
    pub bad: f64,
    /// Chance, at each datagram, to go from good to bad.
    pub to_bad: f64,
    /// And back.
    pub to_good: f64,
}

/// Whether a datagram may pass another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// One queue: who is late makes all behind late.
    Kept,
    /// Each for itself.
    Free,
}

/// Once in each `every` nothing moves for `length`; then everything that waited comes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// How long.
    pub length: Duration,
    /// How often. When in each of these it begins is chance.
    pub every: Duration,
}

/// What became of datagrams so far. Counts only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Went in.
    pub taken: u64,
    /// Were lost.
    pub lost: u64,
    /// Came twice.
    pub twice: u64,
    /// Came after one that went in later.
    pub overtaken: u64,
    /// Were lost as [`UNDER_WAY_MAX`] others were under way.
    pub full: u64,
}

/// One direction of a network. `T` is a datagram.
#[derive(Debug)]
pub struct Link<T> {
    network: Network,
    chance: Chance,
    stalls: Chance,
    is_bad: bool,
    /// The first datagram's time.
    origin: Option<Instant>,
    /// When the last one that kept its place comes out.
    last: Option<Instant>,
    /// Which stall, and when it begins.
    stall: Option<(u128, Duration)>,
    under_way: BinaryHeap<Reverse<UnderWay<T>>>,
    taken: u64,
    newest_out: u64,
    counts: Counts,
}

#[derive(Debug)]
struct UnderWay<T> {
    out: Instant,
    number: u64,
    datagram: T,
}

impl Network {
    /// Everything comes, at once and in order.
    pub const GOOD: Self = Self {
        loss: Loss { good: 0.0, bad: 0.0, to_bad: 0.0, to_good: 1.0 },
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        order: Order::Kept,
        stall: None,
        overtaken: 0.0,
        twice: 0.0,
        skew_ppm: 0.0,
    };
}

impl Loss {
    /// Each datagram for itself, with the same chance (0 to 1).
    pub const fn random(share: f64) -> Self {
        Self { good: share, bad: share, to_bad: 0.0, to_good: 1.0 }
    }

    /// The same share in all (below 1), in bursts of `length` on average (1 or more), inside which everything is lost.
    pub fn bursts(share: f64, length: f64) -> Self {
        let to_good = 1.0 / length.max(1.0);
        // Time in the bad state is to_bad / (to_bad + to_good).
        let to_bad = (share * to_good / (1.0 - share).max(1e-9)).min(1.0);
        Self { good: 0.0, bad: 1.0, to_bad, to_good }
    }
}

impl<T: Clone> Link<T> {
    /// A link on which nothing is under way.
    pub fn new(network: Network, seed: u64) -> Self {
        Self {
            network,
            chance: Chance(seed),
            // Of its own, so that losses are the same with stalls and without.
            stalls: Chance(seed ^ 0x5741_4c4c),
            is_bad: false,
            origin: None,
            last: None,
            stall: None,
            under_way: BinaryHeap::new(),
            taken: 0,
            newest_out: 0,
            counts: Counts::default(),
        }
    }

    /// Becomes another network; what is under way comes as it would have.
    pub fn change(&mut self, network: Network) {
        self.network = network;
        self.stall = None;
    }

    /// A datagram goes in. `now` never goes back.
    pub fn handle(&mut self, now: Instant, datagram: T) {
        self.counts.taken += 1;
        self.taken += 1;
        // Always as many draws, so that no wish changes what another one does.
        let [state, lost, late, overtaken, twice] = std::array::from_fn(|_| self.chance.draw());
        let Network { loss, delay, jitter, order, .. } = self.network;
        self.is_bad = if self.is_bad { state >= loss.to_good } else { state < loss.to_bad };
        if lost < if self.is_bad { loss.bad } else { loss.good } {
            self.counts.lost += 1;
            return;
        }
        let since = now.saturating_duration_since(*self.origin.get_or_insert(now));
        let skew = Duration::from_secs_f64(since.as_secs_f64() * self.network.skew_ppm.abs() * 1e-6);
        let delay = if self.network.skew_ppm > 0.0 { delay.saturating_sub(skew) } else { delay + skew };
        let mut out = now + self.stalled(since) + delay + jitter.mul_f64(late);
        if overtaken < self.network.overtaken {
            out += OVERTAKEN_BY;
        } else if order == Order::Kept {
            out = self.last.map_or(out, |last| last.max(out));
            self.last = Some(out);
        }
        if twice < self.network.twice {
            self.counts.twice += 1;
            self.push(out, datagram.clone());
        }
        self.push(out, datagram);
    }

    /// The next datagram that is out by now.
    pub fn poll(&mut self, now: Instant) -> Option<T> {
        if self.deadline()? > now {
            return None;
        }
        let Reverse(first) = self.under_way.pop()?;
        self.counts.overtaken += u64::from(first.number < self.newest_out);
        self.newest_out = self.newest_out.max(first.number);
        Some(first.datagram)
    }

    /// When the next datagram is out; `None` if nothing is under way.
    pub fn deadline(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse(first)| first.out)
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn push(&mut self, out: Instant, datagram: T) {
        if self.under_way.len() == UNDER_WAY_MAX {
            self.counts.full += 1;
            return;
        }
        self.under_way.push(Reverse(UnderWay { out, number: self.taken, datagram }));
    }

    /// How long nothing moves yet.
    fn stalled(&mut self, since: Duration) -> Duration {
        let Some(Stall { length, every }) = self.network.stall.filter(|stall| !stall.every.is_zero()) else {
            return Duration::ZERO;
        };
        let number = since.as_nanos() / every.as_nanos();
        let begin = match self.stall {
            Some((known, begin)) if known == number => begin,
            _ => {
                let room = every.saturating_sub(length).mul_f64(self.stalls.draw());
                let begin = Duration::from_secs_f64(number as f64 * every.as_secs_f64()) + room;
                self.stall = Some((number, begin));
                begin
            }
        };
        if since < begin { Duration::ZERO } else { (begin + length).saturating_sub(since) }
    }
}

impl<T> PartialEq for UnderWay<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.out, self.number) == (other.out, other.number)
    }
}

impl<T> Eq for UnderWay<T> {}

impl<T> PartialOrd for UnderWay<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for UnderWay<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.out, self.number).cmp(&(other.out, other.number))
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): a few lines whose numbers are the same everywhere and for ever, which no library promises.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    /// 0 to 1, without 1.
    fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A word that describes no network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoNetwork(String);

impl fmt::Display for NoNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` describes no network; see hiwar_rehearsal::impairment::Network", self.0)
    }
}

impl std::error::Error for NoNetwork {}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let mut network = Self::GOOD;
        let (mut share, mut burst) = (0.0, None);
        for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
            let wrong = || NoNetwork(word.to_owned());
            let (name, value) = word.split_once('=').ok_or_else(wrong)?;
            let number = |text: &str, most: f64| {
                let number = text.parse::<f64>().map_err(|_| wrong())?;
                if number.abs() <= most { Ok(number) } else { Err(wrong()) }
            };
            let positive = |text, most| number(text, most).and_then(|n| if n < 0.0 { Err(wrong()) } else { Ok(n) });
            let percent = || positive(value, 100.0).map(|percent| percent / 100.0);
            let ms = |text| positive(text, DELAY_MS_MAX).map(|ms| Duration::from_secs_f64(ms * 1e-3));
            match name {
                "loss" => share = percent()?,
                "burst" => burst = Some(positive(value, 1000.0)?),
                "delay" => network.delay = ms(value)?,
                "jitter" => network.jitter = ms(value)?,
                "order" if value == "free" => network.order = Order::Free,
                "order" if value == "kept" => network.order = Order::Kept,
                "stall" => {
                    let (length, every) = value.split_once('/').ok_or_else(wrong)?;
                    network.stall = Some(Stall { length: ms(length)?, every: ms(every)? });
                }
                "overtaken" => network.overtaken = percent()?,
                "twice" => network.twice = percent()?,
                "skew" => network.skew_ppm = number(value, SKEW_PPM_MAX)?,
                _ => return Err(wrong()),
            }
        }
        network.loss = burst.map_or(Loss::random(share), |length| Loss::bursts(share, length));
        Ok(network)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]

    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Sends `count` numbers, 20 ms apart; each that comes out, and how many milliseconds after it went in.
    fn carry(network: &str, seed: u64, count: u64) -> (Vec<(u64, u64)>, Counts) {
        let start = Instant::now();
        let mut link = Link::new(network.parse().unwrap(), seed);
        let mut out = Vec::new();
        for number in 0..count {
            link.handle(start + ms(number * 20), number);
            // Whoever carries looks whenever something is due.
            let until = start + ms(number * 20 + 20);
            while let Some(at) = link.deadline().filter(|at| *at < until || number + 1 == count) {
                let number = link.poll(at).expect("what is due");
                out.push((number, (at - start).as_millis() as u64 - number * 20));
            }
        }
        (out, link.counts())
    }

    #[test]
    fn a_good_network_does_nothing() {
        let (out, counts) = carry("", 1, 100);
        assert_eq!(out, (0..100).map(|number| (number, 0)).collect::<Vec<_>>());
        assert_eq!(counts, Counts { taken: 100, ..Counts::default() });
    }

    #[test]
    fn random_loss_is_of_the_share_asked_for_and_has_no_memory() {
        let (out, counts) = carry("loss=10", 2, 100_000);
        assert_eq!(counts.lost + out.len() as u64, 100_000);
        assert!((9_700..10_300).contains(&counts.lost), "{counts:?}");
        let here: Vec<bool> =
            (0..100_000).map(|n| out.binary_search_by_key(&n, |(number, _)| *number).is_ok()).collect();
        let pairs = here.windows(2).filter(|pair| !pair[0] && !pair[1]).count();
        assert!((880..1_120).contains(&pairs), "{pairs} pairs of 1,000");
    }

    #[test]
    fn bursts_are_as_long_and_lose_as_much_as_asked_for() {
        let (out, counts) = carry("loss=10 burst=4", 3, 100_000);
        let share = counts.lost as f64 / 100_000.0;
        assert!((0.09..0.11).contains(&share), "{share}");
        let bursts = out.windows(2).filter(|pair| pair[1].0 != pair[0].0 + 1).count();
        let length = counts.lost as f64 / bursts as f64;
        assert!((3.6..4.4).contains(&length), "{length}");
    }

    #[test]
    fn jitter_is_evenly_spread_and_changes_the_order_only_if_it_may() {
        let (kept, counts) = carry("delay=30 jitter=60", 4, 10_000);
        assert_eq!(counts.overtaken, 0);
        assert!(kept.iter().all(|(_, late)| (30..=90).contains(late)));
        let (free, counts) = carry("delay=30 jitter=60 order=free", 4, 10_000);
        assert!(counts.overtaken > 2_000, "{counts:?}");
        let mean = free.iter().map(|(_, late)| late).sum::<u64>() as f64 / free.len() as f64;
        assert!((58.0..62.0).contains(&mean), "{mean}");
    }

    #[test]
    fn a_stall_holds_everything_and_then_brings_it_at_once() {
        let (out, _) = carry("stall=500/5000", 5, 1_500);
        let worst = out.iter().map(|(_, late)| *late).max().unwrap();
        assert!((480..=500).contains(&worst), "{worst}");
        // 25 of 250 in each of six.
        let late = out.iter().filter(|(_, late)| *late > 0).count();
        assert!((140..=156).contains(&late), "{late}");
        assert!(out.is_sorted());
    }

    #[test]
    fn some_are_overtaken_and_some_come_twice() {
        let (out, counts) = carry("overtaken=10 twice=10", 6, 10_000);
        assert!((900..1_100).contains(&counts.overtaken) && (900..1_100).contains(&counts.twice), "{counts:?}");
        assert_eq!(out.len() as u64, 10_000 + counts.twice);
    }

    #[test]
    fn a_skew_makes_the_way_longer_or_shorter_all_the_time() {
        let late = |network| carry(network, 7, 50_000).0.last().unwrap().1;
        assert_eq!(late("skew=-200"), 199);
        assert_eq!(late("delay=300 skew=200"), 100);
        assert_eq!(late("delay=30 skew=200"), 0);
    }

    #[test]
    fn which_are_lost_depends_on_the_seed_alone() {
        let numbers = |network, seed| carry(network, seed, 500).0.iter().map(|(number, _)| *number).collect::<Vec<_>>();
        let plain = numbers("loss=20", 8);
        assert_eq!(plain, numbers("loss=20 delay=40 jitter=15 stall=100/1000", 8));
        assert_ne!(plain, numbers("loss=20", 9));
    }

    #[test]
    fn a_network_that_holds_everything_holds_only_so_much() {
        let mut link = Link::new("delay=10000".parse().unwrap(), 1);
        let now = Instant::now();
        (0..UNDER_WAY_MAX + 7).for_each(|number| link.handle(now, number));
        assert_eq!((link.counts().full, link.poll(now)), (7, None));
    }

    #[test]
    fn words_without_a_meaning_are_refused() {
        for text in ["loss", "loss=101", "loss=-1", "loss=x", "loss=NaN", "delay=1e9", "stall=5", "order=wild", "x=1"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        assert_eq!("".parse(), Ok(Network::GOOD));
    }

    proptest! {
        #[test]
        fn the_same_seed_twice_is_the_same_network_and_nothing_comes_early_or_from_nowhere(
            seed: u64, loss in 0..100_u32, burst in 1..9_u32, jitter in 0..300_u32, order in 0..2_usize, overtaken in 0..100_u32, twice in 0..100_u32,
        ) {
            let order = ["kept", "free"][order];
            let text = format!("loss={loss} burst={burst} delay=10 jitter={jitter} order={order} overtaken={overtaken} twice={twice} stall=80/900");
            let (out, counts) = carry(&text, seed, 300);
            prop_assert_eq!(&(out.clone(), counts), &carry(&text, seed, 300));
            prop_assert!(out.iter().all(|(_, late)| *late >= 10));
            let mut numbers: Vec<u64> = out.iter().map(|(number, _)| *number).collect();
            numbers.sort_unstable();
            let all = numbers.len() as u64;
            numbers.dedup();
            prop_assert_eq!(all - numbers.len() as u64, counts.twice);
            prop_assert_eq!(numbers.len() as u64 + counts.lost, 300);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "([a-z]{0,9}=?[-0-9./NaNinf]{0,6}[ ,]?){0,6}|\\PC{0,40}") {
            let _ = text.parse::<Network>();
        }
    }
}
