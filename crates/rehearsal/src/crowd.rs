//! When each of a crowd comes, and how long they stay. Pure: the same seed is the same crowd.

use std::time::Duration;

/// How a crowd arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// As many in every second.
    Steady,
    /// More in every second than in the one before, as before an announced start.
    Ramp,
    /// Nearly all at once, then ever fewer, as after a link that everyone got in the same moment: half of them come in the first seventh of the time.
    Flash,
}

/// A crowd: who comes, when, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// How many.
    pub listeners: u64,
    /// How they come.
    pub arrival: Arrival,
    /// The last one comes so long after the first.
    pub within: Duration,
    /// How long one stays in the mean: stays are exponential, so that departures are a Poisson process, and whoever leaves is followed by another. `None`: until the end.
    pub stay: Option<Duration>,
    /// The same seed is the same crowd.
    pub seed: u64,
}

/// Half of a flash crowd is there after ln 2 / 5 of the time.
const FLASH_STEEPNESS: f64 = 5.0;

impl Crowd {
    /// When number `n` (from 0) comes, after the beginning. Later numbers never come sooner.
    pub fn comes_at(&self, n: u64) -> Duration {
        let share = n as f64 / self.listeners.max(1) as f64;
        let time = match self.arrival {
            Arrival::Steady => share,
            Arrival::Ramp => share.sqrt(),
            Arrival::Flash => -(1.0 - share * (1.0 - (-FLASH_STEEPNESS).exp())).ln() / FLASH_STEEPNESS,
        };
        self.within.mul_f64(time.clamp(0.0, 1.0))
    }

    /// How long number `n` stays when it comes for the `turn`-th time; `None`: until the end.
    pub fn stays(&self, n: u64, turn: u64) -> Option<Duration> {
        // Of an open interval, so that the logarithm is finite.
        let drawn = self.drawn(n, turn, 1).clamp(1e-9, 1.0 - 1e-9);
        // Beyond nine times the mean nobody is left: 1 of 8,000.
        self.stay.map(|mean| mean.mul_f64((-drawn.ln()).min(9.0)))
    }

    /// How long it takes until somebody follows number `n`, who left: up to a second, so that those who were cut off together don't come back together.
    pub fn followed_after(&self, n: u64, turn: u64) -> Duration {
        Duration::from_secs(1).mul_f64(self.drawn(n, turn, 2))
    }

    /// Between 0 and 1.
    fn drawn(&self, n: u64, turn: u64, what: u64) -> f64 {
        let mixed = [n, turn, what].iter().fold(self.seed, |state, word| mix(state ^ mix(*word)));
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(arrival: Arrival) -> Crowd {
        let (within, stay) = (Duration::from_secs(60), Some(Duration::from_secs(90)));
        Crowd { listeners: 10_000, arrival, within, stay, seed: 7 }
    }

    #[test]
    fn everyone_comes_in_time_and_in_order() {
        for arrival in [Arrival::Steady, Arrival::Ramp, Arrival::Flash] {
            let crowd = crowd(arrival);
            let times: Vec<Duration> = (0..crowd.listeners).map(|n| crowd.comes_at(n)).collect();
            assert!(times.is_sorted(), "{arrival:?}");
            assert_eq!(times[0], Duration::ZERO, "{arrival:?}");
            let last = times[9_999].as_secs_f64();
            assert!((58.0..=60.0).contains(&last), "{arrival:?}: {last}");
        }
    }

    #[test]
    fn half_of_a_flash_crowd_is_there_at_once_and_of_a_ramp_late() {
        let half = |arrival| crowd(arrival).comes_at(5_000).as_secs_f64();
        assert!((8.0..8.7).contains(&half(Arrival::Flash)), "{}", half(Arrival::Flash));
        assert!((29.9..30.1).contains(&half(Arrival::Steady)));
        assert!((42.0..43.0).contains(&half(Arrival::Ramp)));
    }

    #[test]
    fn stays_have_the_mean_that_was_asked_for_and_the_same_seed_is_the_same_crowd() {
        let crowd = crowd(Arrival::Steady);
        let stays: Vec<f64> = (0..10_000).map(|n| crowd.stays(n, 0).unwrap().as_secs_f64()).collect();
        let mean = stays.iter().sum::<f64>() / 1e4;
        assert!((87.0..93.0).contains(&mean), "{mean}");
        // Exponential: as many as e⁻¹ stay longer than the mean.
        let longer = stays.iter().filter(|stay| **stay > 90.0).count();
        assert!((3_500..3_860).contains(&longer), "{longer}");
        assert_eq!(crowd.stays(17, 3), crowd.stays(17, 3));
        assert_ne!(crowd.stays(17, 3), crowd.stays(17, 4));
        assert_eq!(Crowd { stay: None, ..crowd }.stays(17, 3), None);
        assert!((0..1_000).all(|n| crowd.followed_after(n, 1) < Duration::from_secs(1)));
    }

    #[test]
    fn nobody_is_a_crowd_too() {
        let crowd = Crowd { listeners: 0, ..crowd(Arrival::Flash) };
        assert_eq!(crowd.comes_at(0), Duration::ZERO);
    }
}
