//! How loud it is to people: K-weighted energy and true peak (ITU-R BS.1770-4).
//!
//! On the beat this is measured as it goes by; the replay's integrated loudness is computed from these numbers alone, without decoding.

/// LUFS of a K-weighted mean square, for one channel (BS.1770-4 annex 1, eq. 2).
pub fn lufs(mean_square: f32) -> f32 {
    -0.691 + 10.0 * mean_square.max(1e-12).log10()
}

/// The K-weighted mean square of a loudness in LUFS.
pub fn mean_square(lufs: f32) -> f32 {
    10_f32.powf((lufs + 0.691) / 10.0)
}

/// The K filter: what of a sound people find loud. Two second-order sections (BS.1770-4 annex 1, tables 1 and 2), one behind the other.
#[derive(Debug, Clone, Default)]
pub struct KWeighting {
    /// The last two samples before the sections, between them and behind them, the newer first.
    input: [f64; 2],
    shelved: [f64; 2],
    weighted: [f64; 2],
}

impl KWeighting {
    /// The filter, at rest.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sum of squares of the filtered samples.
    #[inline(always)]
    pub fn energy(&mut self, samples: &[f32]) -> f32 {
        let ([mut x1, mut x2], [mut y1, mut y2], [mut z1, mut z2]) = (self.input, self.shelved, self.weighted);
        let mut sum = 0.0;
        for &sample in samples {
            let x = f64::from(sample);
            // In this order (direct form I) only one product and one difference lie between a sample and the next, which is what this loop waits for.
            let y = SHELF.b0 * x + SHELF.b1 * x1 + (SHELF.b2 * x2 - SHELF.a2 * y2) - SHELF.a1 * y1;
            let z = HIGH_PASS.b0 * y + HIGH_PASS.b1 * y1 + (HIGH_PASS.b2 * y2 - HIGH_PASS.a2 * z2) - HIGH_PASS.a1 * z1;
            (x2, x1, y2, y1, z2, z1) = (x1, x, y1, y, z1, z);
            sum += z * z;
        }
        // Long silence would leave denormals behind, which are a hundred times slower to compute with.
        let settle = |v: [f64; 2]| v.map(|v| if v.abs() < 1e-15 { 0.0 } else { v });
        (self.input, self.shelved, self.weighted) = (settle([x1, x2]), settle([y1, y2]), settle([z1, z2]));
        sum as f32
    }
}

/// Finds the highest point between samples: four-fold oversampling (BS.1770-4 annex 2). Cheap where nothing is loud.
#[derive(Debug, Clone)]
pub struct TruePeak {
    /// The last samples of what came before, then the block at hand.
    window: [f32; HISTORY + TruePeak::BLOCK],
}

impl TruePeak {
    /// Samples looked at in one go.
    pub const BLOCK: usize = 32;

    /// No interpolated point is higher than the samples around it by more than this factor: the largest sum of absolute taps.
    const OVERSHOOT_MAX: f32 = 2.03;

    /// A meter that has heard silence.
    pub fn new() -> Self {
        Self { window: [0.0; HISTORY + Self::BLOCK] }
    }

    /// The true peak whose interpolation window ends in this block, if it can be above `threshold`; otherwise some value up to `threshold`.
    /// The peak lies up to 6 samples before the block.
    #[inline(always)]
    pub fn above(&mut self, block: &[f32; Self::BLOCK], threshold: f32) -> f32 {
        self.window.copy_within(Self::BLOCK.., 0);
        self.window[HISTORY..].copy_from_slice(block);
        let sample_peak = self.window.iter().fold(0_f32, |peak, s| peak.max(s.abs()));
        if sample_peak * Self::OVERSHOOT_MAX <= threshold {
            return sample_peak.min(threshold);
        }
        let mut peaks = [0_f32; Self::BLOCK];
        for taps in &PHASES {
            let mut points = [0_f32; Self::BLOCK];
            for (tap, offset) in taps.iter().zip((0..=HISTORY).rev()) {
                for (point, sample) in points.iter_mut().zip(&self.window[offset..offset + Self::BLOCK]) {
                    *point += tap * sample;
                }
            }
            for (peak, point) in peaks.iter_mut().zip(points) {
                *peak = peak.max(point.abs());
            }
        }
        peaks.into_iter().fold(sample_peak, f32::max)
    }
}

impl Default for TruePeak {
    fn default() -> Self {
        Self::new()
    }
}

/// A second-order section, a0 = 1.
struct Section {
    b0: f64,
    b1: f64,
    b2: f64,
    a1: f64,
    a2: f64,
}

/// BS.1770-4 annex 1, table 1, for 48 kHz.
const SHELF: Section = Section {
    b0: 1.535_124_859_586_97,
    b1: -2.691_696_189_406_38,
    b2: 1.198_392_810_852_85,
    a1: -1.690_659_293_182_41,
    a2: 0.732_480_774_215_85,
};

/// BS.1770-4 annex 1, table 2, for 48 kHz.
const HIGH_PASS: Section = Section { b0: 1.0, b1: -2.0, b2: 1.0, a1: -1.990_047_454_833_98, a2: 0.990_072_250_366_21 };

/// Samples before a block that its interpolation needs.
const HISTORY: usize = 11;

/// BS.1770-4 annex 2, the four phases of the 48-tap interpolator.
const PHASES: [[f32; 12]; 4] = [
    [
        0.001_708_984,
        0.010_986_328,
        -0.019_653_32,
        0.033_203_125,
        -0.059_448_242,
        0.137_329_1,
        0.972_167_97,
        -0.102_294_92,
        0.047_607_42,
        -0.026_611_328,
        0.014_892_578,
        -0.008_300_781,
    ],
    [
        -0.029_174_805,
        0.029_296_875,
        -0.051_757_813,
        0.089_111_33,
        -0.166_503_9,
        0.465_087_9,
        0.779_785_16,
        -0.200_317_38,
        0.101_562_5,
        -0.058_227_54,
        0.033_081_055,
        -0.018_920_898,
    ],
    [
        -0.018_920_898,
        0.033_081_055,
        -0.058_227_54,
        0.101_562_5,
        -0.200_317_38,
        0.779_785_16,
        0.465_087_9,
        -0.166_503_9,
        0.089_111_33,
        -0.051_757_813,
        0.029_296_875,
        -0.029_174_805,
    ],
    [
        -0.008_300_781,
        0.014_892_578,
        -0.026_611_328,
        0.047_607_42,
        -0.102_294_92,
        0.972_167_97,
        0.137_329_1,
        -0.059_448_242,
        0.033_203_125,
        -0.019_653_32,
        0.010_986_328,
        0.001_708_984,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: &mut u32) -> f32 {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*seed >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    #[test]
    fn energy_agrees_with_a_second_implementation() {
        let mut seed = 1;
        let samples: Vec<f32> = (0..48_000 * 3).map(|_| noise(&mut seed) * 0.1).collect();
        let mut theirs = ebur128::EbuR128::new(1, 48_000, ebur128::Mode::I).unwrap();
        theirs.set_channel(0, ebur128::Channel::Center).unwrap();
        theirs.add_frames_f32(&samples).unwrap();
        let ours = lufs(KWeighting::new().energy(&samples) / samples.len() as f32);
        assert!((f64::from(ours) - theirs.loudness_global().unwrap()).abs() < 0.05, "{ours}");
        assert!((lufs(mean_square(-18.0)) + 18.0).abs() < 1e-3);
    }

    #[test]
    fn the_peak_between_samples_is_found() {
        // A quarter of the sampling rate, 45° off: the samples only reach −3 dB of the wave.
        let wave: Vec<f32> =
            (0..960).map(|n| (std::f32::consts::FRAC_PI_2 * n as f32 + std::f32::consts::FRAC_PI_4).sin()).collect();
        let mut meter = TruePeak::new();
        let peak = wave.as_chunks::<{ TruePeak::BLOCK }>().0.iter().fold(0_f32, |p, b| p.max(meter.above(b, 0.0)));
        assert!(peak > 0.98 && peak < 1.1, "{peak}");
    }

    #[test]
    fn no_phase_overshoots_more_than_promised() {
        for taps in PHASES {
            assert!(taps.iter().map(|t| t.abs()).sum::<f32>() <= TruePeak::OVERSHOOT_MAX);
        }
    }
}
