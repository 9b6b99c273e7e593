//! How late packets come: what the network adds to a speaker's clock, and how that clock runs against ours.
//!
//! Three questions, one stream of (arrival, timestamp) pairs. *Base*: the offset of the fastest packets of the last 16 s. *Lateness*: how much
//! slower than that most packets are (95 %), or those that ended a standstill, in the last 12 s of sound. *Drift*: the slope of the fastest packets
//! over minutes, which is the clocks' alone, as the fastest packets know no queue. All times are samples at 48 kHz.

/// Length of one period of the minimum, in samples: 2 s. Long enough that it holds a packet that met no queue.
const PERIOD: i64 = 96_000;

/// Periods that the base looks back over: after 16 s a longer route is the new normal.
const BASE_PERIODS: usize = 8;

/// Periods that drift is measured over: two minutes put 1 ms of luck at some 10 ppm.
const DRIFT_PERIODS: usize = 64;

/// Periods before a drift is believed: half a minute.
const DRIFT_PERIODS_MIN: usize = 15;

/// A step of the minimum that no clock makes (5 ms in 2 s is 2,500 ppm): the route changed, and drift is measured anew.
const STEP: i64 = 240;

/// Furthest drift believed. Crystals stay within ±100 ppm; twice the worst that two of them make.
const DRIFT_PPM_MAX: f32 = 500.0;

/// Width of a lateness class: 5 ms.
const CLASS: i64 = 240;

/// Classes of lateness, up to 200 ms and one for beyond.
const CLASSES: usize = 41;

/// Length of one piece of memory, in samples: 1 s, but at least so many packets. While nothing is said few come, and what was known before is kept.
const SECOND: i64 = 48_000;
const SECOND_PACKETS: u16 = 25;

/// Seconds remembered, the one that runs included: a network that stands still every ten seconds is to be known for that.
const SECONDS: usize = 12;

/// Seconds before the one that runs that count in any case. Beyond these only the later half of all that came counts, until the memory is full: where
/// everything has just been started, the first seconds say little of those to come.
const SECONDS_AT_FIRST: usize = 2;

/// Lateness before anything is known: 30 ms, which most networks keep even while everything starts.
const LATENESS_AT_FIRST: i64 = 1440;

/// Packets before the distribution is believed: 1 s.
const PACKETS_MIN: u32 = 50;

/// What is known of one speaker's way to us.
#[derive(Debug, Clone)]
pub(super) struct Delay {
    /// Fastest offset of the period that runs, and its arrival.
    fastest: Option<(i64, i64)>,
    /// [`Self::base`], kept as it is asked for several times per beat.
    base: Option<i64>,
    period_start: i64,
    /// (arrival, offset) of the fastest packet in each past period, as a ring.
    past: [(i64, i64); DRIFT_PERIODS],
    past_len: usize,
    past_next: usize,
    /// How many of the last periods belong to one slope.
    slope_len: usize,
    drift_ppm: f32,
    /// Each of the last seconds, as a ring, and all that is remembered of them.
    seconds: [Tally; SECONDS],
    remembered: Tally,
    /// Seconds that ended.
    ended: usize,
    second_start: i64,
    packets: u32,
}

/// How late packets were.
#[derive(Debug, Clone, Copy)]
struct Tally {
    /// Packets of each class.
    classes: [u16; CLASSES],
    packets: u16,
    /// Lateness after the worst standstill.
    standstill: i64,
}

impl Delay {
    /// Nothing known.
    pub(super) fn new() -> Self {
        Self {
            fastest: None,
            base: None,
            period_start: 0,
            past: [(0, 0); DRIFT_PERIODS],
            past_len: 0,
            past_next: 0,
            slope_len: 0,
            drift_ppm: 0.0,
            seconds: [Tally::NONE; SECONDS],
            remembered: Tally::NONE,
            ended: 0,
            second_start: 0,
            packets: 0,
        }
    }

    /// Learns from one packet; returns how late it was against the base.
    pub(super) fn observe(&mut self, arrival: i64, timestamp: i64) -> i64 {
        let offset = arrival - timestamp;
        if self.fastest.is_none() && self.past_len == 0 {
            self.period_start = arrival;
        }
        if arrival - self.period_start >= PERIOD {
            self.close_period(arrival);
        }
        if self.fastest.is_none_or(|(_, fastest)| offset < fastest) {
            self.fastest = Some((arrival, offset));
            self.base = Some(self.base.map_or(offset, |base| base.min(offset)));
        }
        let late = offset - self.base.unwrap_or(offset);
        if timestamp - self.second_start >= SECOND && self.second().packets >= SECOND_PACKETS {
            self.end_second();
        }
        if self.second().packets == 0 {
            self.second_start = timestamp;
        }
        let class = (late.max(0) / CLASS).min(CLASSES as i64 - 1) as usize;
        self.second().count(class);
        self.remembered.count(class);
        self.packets = self.packets.saturating_add(1);
        late
    }

    /// The packet just observed is the first after a beat, and `late`; at that beat it was late by `missed` already. If the usual patience would
    /// have found nothing to play then, this was a standstill, even if we had more patience: or what nobody heard would be forgotten, and heard again.
    pub(super) fn stood_still(&mut self, late: i64, missed: i64) {
        if missed > self.usual() {
            self.second().stood_still(late);
            self.remembered.stood_still(late);
        }
    }

    /// Arrival minus timestamp of the fastest packets lately; `None` before the first.
    pub(super) fn base(&self) -> Option<i64> {
        self.base
    }

    /// Where the minimum is looked for anew: after a period went out of sight.
    fn find_base(&mut self) {
        let recent = self.past_len.min(BASE_PERIODS);
        let past = (1..=recent).map(|back| self.past[(self.past_next + DRIFT_PERIODS - back) % DRIFT_PERIODS].1);
        self.base = past.chain(self.fastest.map(|(_, offset)| offset)).min();
    }

    /// Lateness to be waited for, in samples: the usual one, or that of the worst standstill lately.
    pub(super) fn lateness(&self) -> i64 {
        self.usual().max(self.remembered.standstill)
    }

    /// Lateness that 95 of 100 packets keep, in samples.
    fn usual(&self) -> i64 {
        if self.packets < PACKETS_MIN {
            return LATENESS_AT_FIRST;
        }
        let mut left = self.remembered.packets / 20;
        let mut class = CLASSES as i64;
        for packets in self.remembered.classes.iter().rev() {
            if *packets > left {
                break;
            }
            left -= packets;
            class -= 1;
        }
        class * CLASS
    }

    /// How much faster the speaker's clock runs than ours, in parts per million; 0 until half a minute is known.
    pub(super) fn drift_ppm(&self) -> f32 {
        self.drift_ppm
    }

    /// The speaker's clock was set anew: what was known of its slope no longer holds, but its speed does.
    pub(super) fn clock_was_set(&mut self) {
        self.slope_len = 0;
    }

    /// Nothing came for long: what was the fastest then says nothing about now, as clocks drift apart meanwhile.
    pub(super) fn forget_base(&mut self) {
        self.fastest = None;
        self.base = None;
        self.past_len = 0;
        self.slope_len = 0;
    }

    /// The second that runs.
    fn second(&mut self) -> &mut Tally {
        &mut self.seconds[self.ended % SECONDS]
    }

    fn end_second(&mut self) {
        self.ended += 1;
        *self.second() = Tally::NONE;
        self.remembered = Tally::NONE;
        let before = (self.ended / 2).clamp(SECONDS_AT_FIRST, SECONDS - 1).min(self.ended);
        for second in self.ended - before..self.ended {
            self.remembered.add(&self.seconds[second % SECONDS]);
        }
    }

    fn close_period(&mut self, arrival: i64) {
        self.period_start = arrival;
        let Some(point) = self.fastest.take() else { return };
        let before = self.past[(self.past_next + DRIFT_PERIODS - 1) % DRIFT_PERIODS];
        if self.slope_len > 0 && (point.1 - before.1).abs() > STEP {
            self.slope_len = 0;
        }
        self.past[self.past_next] = point;
        self.past_next = (self.past_next + 1) % DRIFT_PERIODS;
        self.past_len = (self.past_len + 1).min(DRIFT_PERIODS);
        self.slope_len = (self.slope_len + 1).min(DRIFT_PERIODS);
        if self.slope_len >= DRIFT_PERIODS_MIN {
            // A clock that runs fast makes the offset fall.
            self.drift_ppm = (-self.slope() * 1e6).clamp(-DRIFT_PPM_MAX, DRIFT_PPM_MAX);
        }
        self.find_base();
    }

    /// Least squares through the last `slope_len` points.
    fn slope(&self) -> f32 {
        let points =
            (1..=self.slope_len).map(|back| self.past[(self.past_next + DRIFT_PERIODS - back) % DRIFT_PERIODS]);
        let (x0, y0) = self.past[(self.past_next + DRIFT_PERIODS - 1) % DRIFT_PERIODS];
        let (mut x, mut y, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0);
        for (arrival, offset) in points {
            let (px, py) = ((arrival - x0) as f64, (offset - y0) as f64);
            x += px;
            y += py;
            xx += px * px;
            xy += px * py;
        }
        let n = self.slope_len as f64;
        let spread = n * xx - x * x;
        if spread <= 0.0 { 0.0 } else { ((n * xy - x * y) / spread) as f32 }
    }
}

impl Tally {
    const NONE: Self = Self { classes: [0; CLASSES], packets: 0, standstill: 0 };

    fn count(&mut self, class: usize) {
        if let Some(packets) = self.classes.get_mut(class) {
            *packets = packets.saturating_add(1);
            self.packets = self.packets.saturating_add(1);
        }
    }

    fn stood_still(&mut self, late: i64) {
        self.standstill = self.standstill.max(late);
    }

    fn add(&mut self, other: &Self) {
        for (packets, more) in self.classes.iter_mut().zip(&other.classes) {
            *packets = packets.saturating_add(*more);
        }
        self.packets = self.packets.saturating_add(other.packets);
        self.stood_still(other.standstill);
    }
}

impl Default for Delay {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 20 ms whose clock runs `ppm` fast, each late by what `late` says, in samples.
    fn run(packets: i64, ppm: f64, mut late: impl FnMut(i64) -> i64) -> Delay {
        let mut delay = Delay::new();
        for n in 0..packets {
            let sent = (n as f64 * 960.0 / (1.0 + ppm * 1e-6)) as i64;
            delay.observe(sent + late(n), 5_000_000 + n * 960);
        }
        delay
    }

    fn noise(n: i64) -> i64 {
        ((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as i64
    }

    #[test]
    fn a_fast_or_slow_clock_is_measured_through_jitter() {
        for ppm in [-200.0, -20.0, 0.0, 200.0] {
            let found = f64::from(run(9000, ppm, |n| noise(n) % 1900).drift_ppm());
            assert!((found - ppm).abs() < 12.0, "{ppm} ppm measured as {found}");
        }
    }

    #[test]
    fn lateness_is_what_95_of_100_packets_keep() {
        assert!(run(1000, 0.0, |_| 0).lateness() <= 240);
        let uniform = run(3000, 0.0, |n| noise(n) % 4800).lateness();
        assert!((4320..=4800).contains(&uniform), "{uniform}");
        assert_eq!(run(3000, 0.0, |n| if n % 50 == 0 { 4000 } else { 0 }).lateness(), 240);
    }

    #[test]
    fn the_first_seconds_are_forgotten_soon_and_later_ones_after_eleven() {
        let late_until = |second: i64, now: i64| run(now * 50, 0.0, |n| if n < second * 50 { n % 2 * 4000 } else { 0 });
        assert!(late_until(5, 8).lateness() > 3800);
        assert!(late_until(5, 10).lateness() <= 240);
        assert!(late_until(60, 69).lateness() > 3800);
        assert!(late_until(60, 73).lateness() <= 240);
    }

    #[test]
    fn a_standstill_counts_if_the_usual_patience_was_too_little() {
        let mut delay = run(3000, 0.0, |n| noise(n) % 480);
        let usual = delay.lateness();
        delay.stood_still(900, usual);
        assert_eq!(delay.lateness(), usual);
        delay.stood_still(900, usual + 1);
        assert_eq!(delay.lateness(), 900);
    }

    #[test]
    fn a_longer_route_becomes_the_base_in_seconds_and_is_no_drift() {
        let mut delay = run(3000, 0.0, |n| if n < 1000 { 0 } else { 2400 });
        assert!(delay.drift_ppm().abs() < 5.0, "{}", delay.drift_ppm());
        assert_eq!(delay.observe(3000 * 960 + 2400, 5_000_000 + 3000 * 960), 0);
    }
}
