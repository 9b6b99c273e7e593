//! When there will be places, and therefore what may be promised.
//!
//! Those who are inside leave after a while, and how long they stay is log-normal (measured of live streams by Veloso et al. 2002): the table lets them go as that says, lets in whoever waits as places
//! fall free, and those go in turn. What comes out is how many will have been let in by when. A rank in the order is thereby a time.
//!
//! The table is made once a second by the house, and told to the workers; a promise is made by it once, and not taken back.

use std::time::{Duration, SystemTime};

use super::places::KEPT;

/// How far a promise reaches, when a crowd was drawn. Who would have to wait longer is told so.
pub const HORIZON: Duration = Duration::from_secs(30 * 60);
/// Width of a step of the table.
pub const STEP: Duration = Duration::from_secs(5);
/// Steps of it.
pub const STEPS: usize = (HORIZON.as_secs() / STEP.as_secs()) as usize;
/// So many times the square root of their number, less one, are not promised. So many leave in half an hour, about, as there are places, and by chance fewer or more by that root: of 19,000 one in three hundred is spared, of 300 one in forty, and what chance takes beyond that makes a promise
/// late by less than it may be. Of a few all are promised.
const UNPROMISED: f64 = 0.5;

/// So far ahead a table goes on once it was made. What those leave who do not come is for whoever knows no time, and looks: if all knew theirs half an hour before, nobody would be there for it.
const AHEAD: Duration = Duration::from_secs(15 * 60);

/// Over so many steps, ten minutes, what is left over is promised: by then whoever may be next has looked once.
const LEFT_STEPS: u64 = 120;

/// No rank is greater: there are not so many tickets, and what is added up has room.
const RANK_MAX: u64 = 1 << 48;

/// How long people stay: log-normal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stays {
    /// Half of them stay longer.
    pub median: Duration,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
}

impl Default for Stays {
    fn default() -> Self {
        Self { median: Duration::from_secs(20 * 60), sigma: 1.0 }
    }
}

impl Stays {
    /// The part of their places that is free after so long: a place is kept for a while for whoever was in it.
    pub fn freed_after(&self, age: Duration) -> f64 {
        self.gone_after(age.saturating_sub(KEPT))
    }

    /// The part of them who have left after so long.
    pub fn gone_after(&self, age: Duration) -> f64 {
        let (age, median) = (age.as_secs_f64(), self.median.as_secs_f64());
        if age <= 0.0 || median <= 0.0 {
            return 0.0;
        }
        normal((age / median).ln() / self.sigma.max(1e-3))
    }
}

/// Of so many places those that are promised. Whole ones, or whoever waits for the only one would wait for the last hundredth of it.
fn promised(places: u32) -> u32 {
    places - (UNPROMISED * f64::from(places).sqrt() - 1.0).max(0.0) as u32
}

/// The standard normal distribution function (Abramowitz and Stegun 1964, 7.1.26; error below 1.5e-7).
fn normal(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly =
        t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let erf = 1.0 - poly * (-z * z).exp();
    if x >= 0.0 { (1.0 + erf) / 2.0 } else { (1.0 - erf) / 2.0 }
}

/// What the table is made of.
#[derive(Clone, Debug)]
pub struct Outlook<'a> {
    /// From when on.
    pub now: SystemTime,
    /// The rank of whoever is next.
    pub first: u64,
    /// Places that may be promised, all in all.
    pub places: u32,
    /// Who is inside, by how long they have been: of each [`STEP`] of age so many, the youngest first.
    pub inside: &'a [f64],
    /// How many can be let in each second, at most.
    pub pace: u32,
    /// How long people stay.
    pub stays: Stays,
}

/// How many of those who wait will have been let in by when.
#[derive(Clone, Debug, PartialEq)]
pub struct Timetable {
    from: SystemTime,
    /// Who has a lower rank was let in before.
    first: u64,
    /// By the end of each step.
    by: Vec<u64>,
}

impl Timetable {
    /// The table of that outlook, if there is always somebody who waits.
    pub fn of(outlook: &Outlook<'_>) -> Self {
        let places = f64::from(promised(outlook.places));
        let pace = f64::from(outlook.pace) * STEP.as_secs_f64();
        let gone: Vec<f64> =
            (0..=STEPS + outlook.inside.len()).map(|step| outlook.stays.freed_after(STEP * step as u32)).collect();
        // Of those who were still there at that age, the part that goes in the step after so many steps.
        let goes = |age: usize, step: usize| match 1.0 - gone[age] {
            stayed if stayed > 1e-9 => (gone[age + step + 1] - gone[age + step]) / stayed,
            _ => 1.0,
        };
        let mut inside: f64 = outlook.inside.iter().sum();
        let (mut come, mut by, mut sum) = (Vec::with_capacity(STEPS), Vec::with_capacity(STEPS), outlook.first as f64);
        for step in 0..STEPS {
            let old: f64 = outlook.inside.iter().enumerate().map(|(age, count)| count * goes(age, step)).sum();
            let new: f64 =
                come.iter().rev().enumerate().map(|(age, come): (_, &f64)| come * (gone[age + 1] - gone[age])).sum();
            inside = (inside - old - new).max(0.0);
            let enter = (places - inside).clamp(0.0, pace);
            inside += enter;
            come.push(enter);
            sum += enter;
            by.push(sum as u64);
        }
        Self { from: outlook.now, first: outlook.first, by }
    }

    /// When whoever has that rank (from 0) is let in; `None`: that cannot be said yet.
    pub fn time(&self, rank: u64) -> Option<SystemTime> {
        if rank < self.first {
            return Some(self.from);
        }
        let step = self.by.partition_point(|&by| by <= rank);
        let after = *self.by.get(step)?;
        let before = step.checked_sub(1).map_or(self.first, |before| self.by[before]);
        let within = STEP.mul_f64((rank - before) as f64 / (after - before) as f64);
        Some(self.from + STEP * step as u32 + within)
    }

    /// Who is next at that time: every lower rank has been let in.
    pub fn rank(&self, time: SystemTime) -> u64 {
        let steps = time.duration_since(self.from).unwrap_or_default().as_secs_f64() / STEP.as_secs_f64();
        let step = steps as usize;
        let Some(&after) = self.by.get(step) else { return self.ranks() };
        let before = step.checked_sub(1).map_or(self.first, |before| self.by[before]);
        before + ((after - before) as f64 * steps.fract()) as u64
    }

    /// Goes on to a quarter of an hour after `outlook`, by what is known now; what it said before stays. What is over is forgotten.
    ///
    /// `outlook` is the table that would be made now, of the same ranks.
    pub fn extend(&mut self, outlook: &Self) {
        let over = outlook.from.duration_since(self.from).unwrap_or_default().as_secs() / STEP.as_secs();
        self.from += Duration::from_secs(over * STEP.as_secs());
        let over = usize::try_from(over).unwrap_or(usize::MAX).min(self.by.len());
        self.first = self.by.drain(..over).next_back().unwrap_or(self.first);
        while self.from + STEP * self.by.len() as u32 + STEP <= outlook.from + AHEAD {
            let begin = self.from + STEP * self.by.len() as u32;
            let (before, after) = (outlook.rank(begin), outlook.rank(begin + STEP));
            // Places that nobody came for are left to whoever looks, now; what they do not take is promised, little by little: one that is left of few in one step of so many.
            let (left, nth) = (before.saturating_sub(self.ranks()), step_of(begin) % LEFT_STEPS);
            let left = left * (nth + 1) / LEFT_STEPS - left * nth / LEFT_STEPS;
            self.by.push((self.ranks() + left + (after - before)).min(after.max(self.ranks())));
        }
    }

    /// How many more could be let in now, and there would still be a place for everybody to whom one was [promised](Promises).
    pub fn spare(&self, promises: &Promises) -> u64 {
        let mut due = 0;
        let mut spare = u64::MAX;
        for step in 0..self.by.len() as u32 {
            due += u64::from(promises.at(self.from + STEP * step));
            spare = spare.min((self.by[step as usize] - self.first).saturating_sub(due));
        }
        if self.by.is_empty() { 0 } else { spare }
    }

    /// Steps of a table at the most, one more than it looked ahead when it was made, and one for what a clock may be behind.
    pub const PARTS_MAX: usize = STEPS + 2;

    /// From when on, the rank of whoever was next then, and how many ranks were to be let in by the end of each [`STEP`].
    pub fn parts(&self) -> (SystemTime, u64, &[u64]) {
        (self.from, self.first, &self.by)
    }

    /// From its [parts](Self::parts). `None` if there are too many, they do not go up, or there cannot be such.
    pub fn from_parts(from: SystemTime, first: u64, by: Vec<u64>) -> Option<Self> {
        let goes_up = by.first().is_none_or(|&by| by >= first) && by.is_sorted();
        let is_bounded = first.max(by.last().copied().unwrap_or_default()) <= RANK_MAX;
        // No time that it says may be one that nobody can.
        let ends = from.checked_add(STEP * (Self::PARTS_MAX as u32 + 1));
        (goes_up && is_bounded && by.len() <= Self::PARTS_MAX && ends.is_some()).then_some(Self { from, first, by })
    }

    /// About how long until it has a time for that rank, if it goes on as in the second half of it, or a place falls free in as long: of few there may be none in it. [`Duration::MAX`]: nobody can say.
    pub fn reaches(&self, rank: u64) -> Duration {
        let half = self.by.len() / 2;
        let Some(middle) = self.by.get(half) else { return Duration::MAX };
        let in_half = (self.ranks() - middle).max(1) as f64;
        let time = (STEP * (self.by.len() - half) as u32).as_secs_f64();
        let seconds = rank.saturating_sub(self.ranks()) as f64 / in_half * time;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// About how long from now on until whoever has that rank is let in, whether there is a time for it or not yet. [`Duration::MAX`]: nobody can say.
    pub fn turn(&self, now: SystemTime, rank: u64) -> Duration {
        let at = self.time(rank).or_else(|| (self.from + STEP * self.by.len() as u32).checked_add(self.reaches(rank)));
        at.map_or(Duration::MAX, |at| at.duration_since(now).unwrap_or_default())
    }

    /// The same, if it is within the [`HORIZON`], and it has grown of late: of a house that is full for long nobody knows.
    pub fn expects(&self, now: SystemTime, rank: u64) -> Option<Duration> {
        let grows = self.by.get(self.by.len() / 2).is_some_and(|middle| self.ranks() > *middle);
        grows.then(|| self.turn(now, rank)).filter(|turn| *turn <= HORIZON)
    }

    /// How many ranks it has a time for.
    pub fn ranks(&self) -> u64 {
        self.by.last().copied().unwrap_or(self.first)
    }
}

/// How many were promised a place in each [`STEP`] of the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promises {
    /// By number of the step, modulo their number.
    counts: Box<[u32]>,
    /// The last step that was written: those after it are of an earlier round.
    last: u64,
}

/// A promise is due within the [`HORIZON`], so this is more than there can be at a time.
const RING: usize = 2 * STEPS;

impl Default for Promises {
    fn default() -> Self {
        Self { counts: vec![0; RING].into(), last: 0 }
    }
}

impl Promises {
    /// How many steps are kept.
    pub const PARTS: usize = RING;

    /// The last step that was written, and what was promised in each.
    pub fn parts(&self) -> (u64, &[u32]) {
        (self.last, &self.counts)
    }

    /// From its [parts](Self::parts). `None` if they are not so many, or of a time that no clock says.
    pub fn from_parts(last: u64, counts: Vec<u32>) -> Option<Self> {
        (counts.len() == RING && last < u64::MAX / 2).then(|| Self { counts: counts.into(), last })
    }

    /// One more, due then. Of what is farther off than anything is promised nothing is kept.
    pub fn add(&mut self, now: SystemTime, due: SystemTime) {
        if due.duration_since(now).is_ok_and(|wait| wait > 2 * HORIZON) {
            return;
        }
        self.reach(step_of(due));
        if let Some(count) = self.slot(step_of(due)).map(|slot| &mut self.counts[slot]) {
            *count = count.saturating_add(1);
        }
    }

    /// Adds another worker's, unless they speak of a time when nothing is promised.
    pub fn merge(&mut self, now: SystemTime, other: &Self) {
        if other.last > step_of(now).saturating_add(RING as u64) {
            return;
        }
        self.reach(other.last);
        for step in (self.last + 1).saturating_sub(RING as u64)..=other.last {
            if let (Some(mine), Some(theirs)) = (self.slot(step), other.slot(step)) {
                self.counts[mine] = self.counts[mine].saturating_add(other.counts[theirs]);
            }
        }
    }

    /// Due in the step of the clock in which that time is.
    pub fn at(&self, time: SystemTime) -> u32 {
        self.slot(step_of(time)).map_or(0, |slot| self.counts[slot])
    }

    fn slot(&self, step: u64) -> Option<usize> {
        (step <= self.last && step.saturating_add(RING as u64) > self.last).then_some((step % RING as u64) as usize)
    }

    fn reach(&mut self, step: u64) {
        // A jump over everything that is kept clears each once.
        for new in (self.last + 1).max((step + 1).saturating_sub(RING as u64))..=step {
            self.counts[(new % RING as u64) as usize] = 0;
        }
        self.last = self.last.max(step);
    }
}

fn step_of(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / STEP.as_secs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
    /// Of ten thousand places.
    const PROMISED: u64 = 9_951;

    fn after(table: &Timetable, rank: u64) -> Option<f64> {
        table.time(rank).map(|time| time.duration_since(NOW).expect("not before").as_secs_f64())
    }

    #[test]
    fn of_few_places_all_are_promised_and_of_many_all_but_what_chance_takes() {
        assert_eq!(
            [0, 1, 15, 16, 300, 10_000, u32::MAX].map(|places| places - promised(places)),
            [0, 0, 0, 1, 7, 49, 32_766]
        );
    }

    #[test]
    fn half_of_them_have_left_after_the_median() {
        let stays = Stays::default();
        assert!((stays.gone_after(stays.median) - 0.5).abs() < 1e-6);
        // One standard deviation of the logarithm.
        assert!((stays.gone_after(stays.median.mul_f64(std::f64::consts::E)) - 0.841_345).abs() < 1e-5);
        assert_eq!(stays.gone_after(Duration::ZERO), 0.0);
    }

    #[test]
    fn an_empty_house_fills_at_its_pace_and_then_as_people_leave() {
        let table = Timetable::of(&Outlook {
            now: NOW,
            first: 0,
            places: 10_000,
            inside: &[],
            pace: 500,
            stays: Stays::default(),
        });
        assert_eq!(after(&table, 0), Some(0.0));
        assert!((after(&table, 5_000).expect("soon") - 10.0).abs() < 0.1);
        let (full, next) =
            (after(&table, PROMISED - 1).expect("soon"), after(&table, PROMISED + 50).expect("within minutes"));
        assert!(full < 21.0 && next > 60.0, "{full} {next}");
        // In the half hour about as many again as stay for less than that.
        assert!((15_000..21_000).contains(&table.ranks()), "{}", table.ranks());
        assert_eq!(after(&table, table.ranks()), None);
    }

    #[test]
    fn who_has_been_inside_for_long_leaves_as_the_rest_of_such_do() {
        let mut inside = [0.0; 241];
        inside[240] = PROMISED as f64;
        let table = Timetable::of(&Outlook {
            now: NOW,
            first: 0,
            places: 10_000,
            inside: &inside,
            pace: 500,
            stays: Stays::default(),
        });
        // Of those who stayed for the median, the hazard is 2 phi(0) / (sigma * median).
        let per_s = PROMISED as f64 * 2.0 * 0.398_94 / 1_200.0;
        let at = after(&table, (60.0 * per_s) as u64).expect("within minutes");
        assert!((at - 60.0).abs() < 3.0, "{at}");
    }

    #[test]
    fn a_table_goes_on_for_less_than_it_was_made_for() {
        let of = |now, first| {
            let stays = Stays::default();
            Timetable::of(&Outlook { now, first, places: 10_000, inside: &[10_000.0], pace: 500, stays })
        };
        let mut table = of(NOW, 0);
        let (made, told) = (table.clone(), table.ranks());
        table.extend(&of(NOW + Duration::from_secs(300), 2_000));
        assert_eq!(table.ranks(), told, "nobody who looks is told a time while others' reaches so far");
        // So they are told what to expect, as far as that is not too long.
        let now = NOW + Duration::from_secs(300);
        let turn = table.expects(now, told + 100).expect("within half an hour");
        let left = HORIZON - Duration::from_secs(300);
        assert!(
            turn > left && turn < left + Duration::from_secs(60) && table.turn(now, told + 100) == turn,
            "{turn:?}"
        );
        assert_eq!((table.expects(NOW, told + 100), table.expects(now, u64::MAX)), (None, None));
        let later = NOW + HORIZON - AHEAD + STEP;
        table.extend(&of(later, told));
        assert!(table.ranks() > told);
        assert_eq!(table.time(told - 1), made.time(told - 1));
        assert!(table.time(table.ranks() - 1).is_some_and(|time| time <= later + AHEAD));
    }

    /// Of a single place none falls free in the second half of the table.
    #[test]
    fn whoever_is_next_at_a_small_house_looks_as_soon_as_others() {
        let (stays, inside) = (Stays { median: Duration::from_secs(36_000), sigma: 1.0 }, [1.0]);
        let table = Timetable::of(&Outlook { now: NOW, first: 0, places: 1, inside: &inside, pace: 500, stays });
        assert_eq!(table.reaches(table.ranks()), Duration::ZERO);
        assert_eq!(table.reaches(table.ranks() + 2), HORIZON);
        assert_eq!(table.expects(NOW, table.ranks()), None, "it may be for hours");
        assert_eq!(Timetable::from_parts(NOW, 0, Vec::new()).expect("an empty one").reaches(0), Duration::MAX);
    }

    /// A place falls free every two and a half minutes, which is in no step of the table; what is not promised whoever looks has.
    #[test]
    fn of_few_places_that_fall_free_some_are_promised_and_some_left_over() {
        let stays = Stays::default();
        let of =
            |now, first, inside: &[f64]| Timetable::of(&Outlook { now, first, places: 10, inside, pace: 500, stays });
        let mut cohorts = vec![0.0; 241];
        cohorts[240] = 10.0;
        let mut table = of(NOW, 0, &cohorts);
        let (begun, seconds) = (table.ranks(), 7_200);
        let mut left = 0.0;
        for second in 0..seconds {
            let now = NOW + Duration::from_secs(second);
            // Whoever goes is of those who came long ago: of the same age in the mean.
            left += 10.0 * 2.0 * 0.398_94 / 1_200.0;
            table.extend(&of(now, table.rank(now), &cohorts));
        }
        let told = (table.ranks() - begun) as f64;
        assert!((0.3 * left..0.7 * left).contains(&told), "{told} of {left}");
    }

    /// Whatever a file says, and for however long the house was not there: every worker reads the table that comes of it.
    #[test]
    fn after_an_outage_a_table_is_no_longer_than_it_may_be() {
        let later = NOW + HORIZON - STEP;
        let outlook = |now| {
            Timetable::of(&Outlook { now, first: 9, places: 9, inside: &[9.0], pace: 5, stays: Stays::default() })
        };
        for by in [Vec::new(), vec![9; 3], vec![RANK_MAX; Timetable::PARTS_MAX]] {
            let mut table = Timetable::from_parts(NOW, 0, by).expect("it goes up");
            for now in [later, later + HORIZON, later + 48 * HORIZON] {
                table.extend(&outlook(now));
                let (from, first, by) = table.parts();
                assert!(from <= now && now < from + STEP, "what is over is forgotten");
                assert!(Timetable::from_parts(from, first, by.to_vec()).is_some() && !by.is_empty());
            }
        }
        assert_eq!(Timetable::from_parts(NOW, 0, vec![RANK_MAX + 1]), None);
    }

    proptest! {
        #[test]
        fn times_are_in_the_order_of_ranks(places in 0u32..50_000, inside in 0u32..60_000, age in 0usize..800, pace in 0u32..3_000, median in 0u64..4_000) {
            let stays = Stays { median: Duration::from_secs(median), sigma: 1.0 };
            let inside = [vec![0.0; age], vec![f64::from(inside)]].concat();
            let table = Timetable::of(&Outlook { now: NOW, first: 0, places, inside: &inside, pace, stays });
            let mut last = NOW;
            for rank in (0..table.ranks()).step_by(97) {
                let time = table.time(rank).expect("it has a time");
                prop_assert!(time >= last && time <= NOW + HORIZON);
                prop_assert!(table.rank(time).abs_diff(rank) <= 1);
                last = time;
            }
            prop_assert_eq!(table.time(table.ranks()), None);
        }
    }
}
