//! How many different people there were, told from 16 KiB that remember none of them: HyperLogLog.
//!
//! Flajolet, Fusy, Gandouet and Meunier, "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm" (AofA 2007): of a person's 64 random
//! bits, 14 choose a register, and the register keeps the longest run of zeros that the rest began with. The estimate is Ertl's ("New cardinality estimation
//! algorithms for HyperLogLog sketches", 2017, algorithm 6): one formula from nobody to everybody, where the original needed corrections for small and large
//! numbers. Sketches of two workers merge into that of both together: the larger of each register.
//!
//! Pure: whoever is added is a number that somebody hashed with a key.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// Bits that choose a register. The standard error is 1.04 / √2¹⁴ = 0.81 %: a sketch of 16 KiB for each space that is heard is little beside its sound.
const PRECISION: u32 = 14;
/// Registers of a sketch.
pub const REGISTERS: usize = 1 << PRECISION;
/// The most that a register holds: all bits but those that choose it are zero.
pub const VALUE_MAX: u8 = (u64::BITS - PRECISION + 1) as u8;

/// One register and what it holds: what a sketch tells of itself.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// Which, below [`REGISTERS`].
    pub index: u16,
    /// 1 to [`VALUE_MAX`].
    pub value: u8,
}

/// Where a person goes, and what they leave there.
fn register(person: u64) -> Register {
    let index = (person >> (u64::BITS - PRECISION)) as u16;
    // The bit below the register's bounds the run.
    let value = ((person << PRECISION) | 1 << (PRECISION - 1)).leading_zeros() as u8 + 1;
    Register { index, value }
}

/// A sketch of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    registers: Box<[u8]>,
    is_empty: bool,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { registers: vec![0; REGISTERS].into(), is_empty: true }
    }
}

impl Sketch {
    /// Somebody is there.
    pub fn add(&mut self, person: u64) {
        self.take(register(person));
    }

    /// Takes in what another sketch tells. Nothing that is no register: what came over a wire is believed no further. Whether that was news.
    pub fn take(&mut self, told: Register) -> bool {
        let Some(mine) = self.registers.get_mut(usize::from(told.index)) else { return false };
        if told.value <= *mine || told.value > VALUE_MAX {
            return false;
        }
        *mine = told.value;
        self.is_empty = false;
        true
    }

    /// Takes in all that another tells. Whether any was news.
    pub fn take_all(&mut self, told: impl IntoIterator<Item = Register>) -> bool {
        told.into_iter().filter(|register| self.take(*register)).count() > 0
    }

    /// Takes in everyone of another.
    pub fn merge(&mut self, other: &Self) {
        self.registers.iter_mut().zip(&other.registers).for_each(|(mine, theirs)| *mine = (*mine).max(*theirs));
        self.is_empty &= other.is_empty;
    }

    /// Forgets everyone.
    pub fn clear(&mut self) {
        if !std::mem::replace(&mut self.is_empty, true) {
            self.registers.fill(0);
        }
    }

    /// Whether nobody was there.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// How many people there were, about.
    pub fn estimate(&self) -> u64 {
        if self.is_empty {
            return 0;
        }
        let mut holding = [0u32; VALUE_MAX as usize + 1];
        for value in &self.registers {
            holding[usize::from(*value)] += 1;
        }
        let registers = REGISTERS as f64;
        let share = |value: usize| f64::from(holding[value]) / registers;
        let last = usize::from(VALUE_MAX);
        let mut sum = registers * tau(1.0 - share(last));
        for value in (1..last).rev() {
            sum = (sum + f64::from(holding[value])) / 2.0;
        }
        sum += registers * sigma(share(0));
        (registers * registers / (2.0 * std::f64::consts::LN_2 * sum)).round() as u64
    }
}

/// Of registers that hold nothing yet.
fn sigma(mut share: f64) -> f64 {
    if share >= 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, share);
    loop {
        share *= share;
        let before = sum;
        sum += share * weight;
        weight *= 2.0;
        if sum <= before {
            return sum;
        }
    }
}

/// Of registers that can hold no more.
fn tau(mut share: f64) -> f64 {
    if share <= 0.0 || share >= 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - share);
    loop {
        share = share.sqrt();
        let before = sum;
        weight /= 2.0;
        sum -= (1.0 - share).powi(2) * weight;
        if sum >= before {
            return sum / 3.0;
        }
    }
}

/// A sketch that one thread adds to while another tells of it: no lock between them. It knows what it has not told yet, so that only news travels.
#[derive(Debug)]
pub struct Growing {
    registers: Box<[AtomicU8]>,
    /// A bit for each register that has grown since it was told.
    news: Box<[AtomicU64]>,
}

impl Default for Growing {
    fn default() -> Self {
        let news = (0..REGISTERS / u64::BITS as usize).map(|_| AtomicU64::new(0)).collect();
        Self { registers: (0..REGISTERS).map(|_| AtomicU8::new(0)).collect(), news }
    }
}

impl Growing {
    /// Somebody is there. No allocation, no lock.
    pub fn add(&self, person: u64) {
        let Register { index, value } = register(person);
        let (index, bit) = (usize::from(index), 1 << (index % 64));
        let (Some(mine), Some(news)) = (self.registers.get(index), self.news.get(index / 64)) else { return };
        // One thread adds. The bit is set after the register: whoever takes the bit sees the value, or is told again.
        if mine.load(Relaxed) < value {
            mine.store(value, Relaxed);
            news.fetch_or(bit, std::sync::atomic::Ordering::Release);
        }
    }

    /// Tells up to `most` registers that have grown since they were last told; what is left is told next time.
    pub fn tell(&self, most: usize, told: &mut Vec<Register>) {
        let room = told.len().saturating_add(most);
        for (word, news) in self.news.iter().enumerate() {
            if told.len() >= room {
                return;
            }
            let mut bits = news.swap(0, std::sync::atomic::Ordering::Acquire);
            while bits != 0 {
                if told.len() >= room {
                    news.fetch_or(bits, Relaxed);
                    return;
                }
                let index = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let value = self.registers.get(index).map_or(0, |register| register.load(Relaxed));
                if value > 0 {
                    told.push(Register { index: index as u16, value });
                }
            }
        }
    }

    /// Everything is news again: whoever listens now was told nothing yet.
    pub fn retell(&self) {
        for (news, registers) in self.news.iter().zip(self.registers.chunks(64)) {
            let held = registers.iter().enumerate().filter(|(_, register)| register.load(Relaxed) > 0);
            news.fetch_or(held.fold(0, |bits, (at, _)| bits | 1 << at), Relaxed);
        }
    }

    /// Forgets everyone, told or not. By the thread that adds.
    pub fn clear(&self) {
        self.news.iter().for_each(|news| news.store(0, Relaxed));
        self.registers.iter().for_each(|register| register.store(0, Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers as good as random: splitmix64 (Steele, Lea and Flood, 2014).
    fn person(n: u64) -> u64 {
        let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn of(people: impl IntoIterator<Item = u64>) -> Sketch {
        let mut sketch = Sketch::default();
        people.into_iter().for_each(|n| sketch.add(person(n)));
        sketch
    }

    fn told(growing: &Growing, most: usize) -> Vec<Register> {
        let mut told = Vec::new();
        growing.tell(most, &mut told);
        told
    }

    /// Whether it is nearer than so many standard errors, which for small numbers are those of two in one register.
    fn check(count: u64, errors: f64) {
        for crowd in 0..8 {
            let estimate = of(crowd << 40..(crowd << 40) + count).estimate();
            let off = (estimate as f64 - count as f64).abs();
            assert!(off <= errors * 0.0081 * count as f64 + 0.5, "{estimate} of {count}");
        }
    }

    #[test]
    fn a_few_are_counted_to_the_person() {
        assert_eq!(of([]).estimate(), 0);
        for count in 0..=20 {
            let exact = (0..8).filter(|crowd| of(crowd << 40..(crowd << 40) + count).estimate() == count).count();
            assert!(exact >= 7, "{exact} of 8 sketches of {count}");
        }
    }

    #[test]
    fn a_crowd_is_counted_within_three_standard_errors() {
        [10, 100, 1_000, 10_000, 30_000, 60_000, 100_000, 1_000_000].into_iter().for_each(|count| check(count, 3.0));
    }

    #[test]
    fn who_comes_twice_is_counted_once() {
        let (once, twice) = (of(0..1_000), of((0..1_000).chain(0..1_000)));
        assert_eq!(once, twice);
    }

    #[test]
    fn the_most_unlikely_person_is_no_more_than_a_register_holds() {
        assert_eq!(register(0), Register { index: 0, value: VALUE_MAX });
        assert_eq!(register(u64::MAX), Register { index: REGISTERS as u16 - 1, value: 1 });
        let mut sketch = Sketch::default();
        (0..REGISTERS as u64).for_each(|index| sketch.add(index << (64 - PRECISION)));
        assert!(sketch.estimate() > 1 << 60, "{}", sketch.estimate());
    }

    #[test]
    fn what_is_no_register_is_not_taken() {
        let mut sketch = Sketch::default();
        for (index, value) in [(REGISTERS as u16, 1), (u16::MAX, 1), (0, 0), (0, VALUE_MAX + 1), (0, u8::MAX)] {
            assert!(!sketch.take(Register { index, value }), "{index} {value}");
        }
        assert!(sketch.is_empty() && sketch.estimate() == 0);
    }

    #[test]
    fn only_news_is_told_and_all_of_it_again_to_who_is_new() {
        let growing = Growing::default();
        (0..1_000).for_each(|n| growing.add(person(n)));
        let first = told(&growing, REGISTERS);
        assert!((900..=1_000).contains(&first.len()), "{}", first.len());
        assert_eq!(told(&growing, REGISTERS), []);
        growing.add(person(0));
        assert_eq!(told(&growing, REGISTERS), [], "known already");
        growing.add(person(2_000));
        assert_eq!(told(&growing, REGISTERS).len(), 1);
        growing.retell();
        let again = told(&growing, REGISTERS);
        assert!(again.len() >= first.len() && again.len() <= first.len() + 1);
        growing.clear();
        growing.retell();
        assert_eq!(told(&growing, REGISTERS), []);
    }

    #[test]
    fn a_report_is_bounded_and_the_rest_follows() {
        let growing = Growing::default();
        (0..10_000).for_each(|n| growing.add(person(n)));
        let mut sketch = Sketch::default();
        let mut reports = 0;
        loop {
            let news = told(&growing, 700);
            assert!(news.len() <= 700);
            if news.is_empty() {
                break;
            }
            sketch.take_all(news);
            reports += 1;
        }
        assert!(reports > 10);
        assert_eq!(sketch, of(0..10_000));
    }

    #[test]
    fn nobody_is_lost_between_who_adds_and_who_tells() {
        let growing = Growing::default();
        let mut sketch = Sketch::default();
        std::thread::scope(|scope| {
            let adding = scope.spawn(|| (0..100_000).for_each(|n| growing.add(person(n))));
            while !adding.is_finished() {
                sketch.take_all(told(&growing, 64));
            }
        });
        sketch.take_all(told(&growing, REGISTERS));
        assert_eq!(sketch, of(0..100_000));
    }

    proptest! {
        #[test]
        fn merged_is_the_sketch_of_both(a in prop::collection::vec(any::<u64>(), 0..300), b in prop::collection::vec(any::<u64>(), 0..300)) {
            let mut merged = of(a.iter().copied());
            merged.merge(&of(b.iter().copied()));
            prop_assert_eq!(&merged, &of(a.iter().chain(&b).copied()));
            let mut other_way = of(b.iter().copied());
            other_way.merge(&of(a.iter().copied()));
            prop_assert_eq!(merged, other_way);
        }

        #[test]
        fn whatever_is_told_estimates_something(registers in prop::collection::vec((any::<u16>(), any::<u8>()), 0..2_000)) {
            let mut sketch = Sketch::default();
            for (index, value) in registers {
                sketch.take(Register { index, value });
            }
            let _ = sketch.estimate();
        }
    }
}
