//! Integrated loudness from energies of 100 ms each (ITU-R BS.1770-4 annex 1 §5), in memory that does not grow.

/// Lowest loudness that counts: the absolute gate, −70 LUFS.
const FLOOR_LUFS: f64 = -70.0;
/// Blocks louder than this share the last bin; full scale is about 0.
const CEILING_LUFS: f64 = 10.0;
const BINS_PER_LU: f64 = 100.0;
const BINS: usize = ((CEILING_LUFS - FLOOR_LUFS) * BINS_PER_LU) as usize;

/// Collects gating blocks of 400 ms, one each 100 ms (75 % overlap), in bins of 0.01 LU. Each bin keeps the exact sum, so that
/// only the relative gate is rounded.
#[derive(Debug, Clone)]
pub struct Gate {
    recent: [f32; 4],
    pushed: u64,
    bins: Vec<Bin>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    blocks: u64,
    energy: f64,
}

impl Gate {
    /// Nothing heard yet.
    pub fn new() -> Self {
        Self { recent: [0.0; 4], pushed: 0, bins: vec![Bin::default(); BINS] }
    }

    /// Adds the K-weighted mean square of the next 100 ms, summed over channels.
    pub fn push(&mut self, energy: f32) {
        self.recent[(self.pushed % 4) as usize] = energy;
        self.pushed += 1;
        if self.pushed < 4 {
            return;
        }
        let block = self.recent.iter().map(|&energy| f64::from(energy)).sum::<f64>() / 4.0;
        let above = (lufs(block) - FLOOR_LUFS) * BINS_PER_LU;
        if above > 0.0 {
            let bin = &mut self.bins[(above as usize).min(BINS - 1)];
            bin.blocks += 1;
            bin.energy += block;
        }
    }

    /// Loudness of everything pushed: the mean over blocks that are no more than 10 LU below the mean of those above −70 LUFS.
    /// `None` if there are none.
    pub fn integrated_lufs(&self) -> Option<f32> {
        let relative = lufs(mean(&self.bins)?) - 10.0;
        let from = ((relative - FLOOR_LUFS) * BINS_PER_LU).ceil().clamp(0.0, BINS as f64) as usize;
        mean(self.bins.get(from..)?).map(|energy| lufs(energy) as f32)
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

fn mean(bins: &[Bin]) -> Option<f64> {
    let (blocks, energy) =
        bins.iter().fold((0, 0.0), |(blocks, energy), bin| (blocks + bin.blocks, energy + bin.energy));
    (blocks > 0).then(|| energy / blocks as f64)
}

fn lufs(energy: f64) -> f64 {
    -0.691 + 10.0 * energy.log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn energy(lufs: f64) -> f32 {
        10_f64.powf((lufs + 0.691) / 10.0) as f32
    }

    fn check(levels: &[(f64, usize)], expected: Option<f32>) {
        let mut gate = Gate::new();
        for &(lufs, times) in levels {
            (0..times).for_each(|_| gate.push(if lufs.is_finite() { energy(lufs) } else { 0.0 }));
        }
        match (gate.integrated_lufs(), expected) {
            (Some(found), Some(expected)) => {
                assert!((found - expected).abs() < 0.05, "{levels:?}: {found}, not {expected}")
            }
            (found, expected) => assert_eq!(found, expected, "{levels:?}"),
        }
    }

    #[test]
    fn silence_and_quiet_passages_do_not_count() {
        check(&[], None);
        check(&[(-20.0, 3)], None);
        check(&[(f64::NEG_INFINITY, 1000)], None);
        check(&[(-75.0, 1000)], None);
        check(&[(-23.0, 200)], Some(-23.0));
        // EBU Tech 3341 test cases 3 and 4, in energies.
        check(&[(-36.0, 100), (-23.0, 600), (-36.0, 100)], Some(-23.0));
        check(&[(-72.0, 100), (-36.0, 100), (-23.0, 600), (-36.0, 100), (-72.0, 100)], Some(-23.0));
        // Case 5: nothing is gated.
        check(&[(-26.0, 200), (-20.0, 201), (-26.0, 200)], Some(-23.0));
        check(&[(-18.0, 300), (f64::NEG_INFINITY, 100_000), (-18.0, 300)], Some(-18.0));
    }
}
