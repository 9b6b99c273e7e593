//! How loud it is to people: K-weighted energy and true peak (ITU-R BS.1770-4).
//!
//! On the beat this is measured as it goes by; the replay's integrated loudness is computed from these numbers alone, without decoding.

use crate::FRAME_SAMPLES;

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

    /// The energies of four sounds at once, for little more than that of one: each sample waits for the one before, and meanwhile the others' are computed.
    /// Nothing has the energy 0.
    #[inline(always)]
    pub fn energies(mut sounds: [Option<(&mut Self, &[f32; FRAME_SAMPLES])>; 4]) -> [f32; 4] {
        static NOTHING: [f32; FRAME_SAMPLES] = [0.0; FRAME_SAMPLES];
        let samples = sounds.each_ref().map(|sound| sound.as_ref().map_or(&NOTHING, |(_, samples)| *samples));
        let gather =
            |of: fn(&Self) -> f64| sounds.each_ref().map(|sound| sound.as_ref().map_or(0.0, |(filter, _)| of(filter)));
        let (mut x1, mut x2) = (gather(|f| f.input[0]), gather(|f| f.input[1]));
        let (mut y1, mut y2) = (gather(|f| f.shelved[0]), gather(|f| f.shelved[1]));
        let (mut z1, mut z2) = (gather(|f| f.weighted[0]), gather(|f| f.weighted[1]));
        let mut sums = [0.0; 4];
        let [a, b, c, d] = samples;
        for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
            let x = [a, b, c, d].map(|sample| f64::from(*sample));
            let y: [f64; 4] = std::array::from_fn(|n| SHELF.next([x[n], x1[n], x2[n]], [y1[n], y2[n]]));
            let z: [f64; 4] = std::array::from_fn(|n| HIGH_PASS.next([y[n], y1[n], y2[n]], [z1[n], z2[n]]));
            (x2, x1, y2, y1, z2, z1) = (x1, x, y1, y, z1, z);
            for (sum, z) in sums.iter_mut().zip(z) {
                *sum += z * z;
            }
        }
        for (n, sound) in sounds.iter_mut().enumerate() {
            if let Some((filter, _)) = sound {
                filter.rest([x1[n], x2[n]], [y1[n], y2[n]], [z1[n], z2[n]]);
            }
        }
        sums.map(|sum| sum as f32)
    }

    /// Sum of squares of the filtered samples.
    #[inline(always)]
    pub fn energy(&mut self, samples: &[f32]) -> f32 {
        let ([mut x1, mut x2], [mut y1, mut y2], [mut z1, mut z2]) = (self.input, self.shelved, self.weighted);
        let mut sum = 0.0;
        for &sample in samples {
            let x = f64::from(sample);
            let y = SHELF.next([x, x1, x2], [y1, y2]);
            let z = HIGH_PASS.next([y, y1, y2], [z1, z2]);
            (x2, x1, y2, y1, z2, z1) = (x1, x, y1, y, z1, z);
            sum += z * z;
        }
        self.rest([x1, x2], [y1, y2], [z1, z2]);
        sum as f32
    }

    /// Keeps the state. Long silence would leave denormals behind, which are a hundred times slower to compute with.
    fn rest(&mut self, input: [f64; 2], shelved: [f64; 2], weighted: [f64; 2]) {
        let settle = |v: [f64; 2]| v.map(|v| if v.abs() < 1e-15 { 0.0 } else { v });
        (self.input, self.shelved, self.weighted) = (settle(input), settle(shelved), settle(weighted));
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

impl Section {
    /// The next output, from the newest and the last two inputs and the last two outputs. In this order (direct form I) only one product and one
    /// difference lie between an output and the next, which is what a loop waits for.
    #[inline(always)]
    fn next(&self, [x, x1, x2]: [f64; 3], [y1, y2]: [f64; 2]) -> f64 {
        self.b0 * x + self.b1 * x1 + (self.b2 * x2 - self.a2 * y2) - self.a1 * y1
    }
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
        let sounds: Vec<&[f32; FRAME_SAMPLES]> = samples.as_chunks().0.iter().collect();
        let (mut together, mut alone): ([KWeighting; 4], [KWeighting; 4]) = Default::default();
        for four in sounds.as_chunks::<4>().0 {
            let [a, b, c, _] = together.each_mut();
            let energies = KWeighting::energies([Some((a, four[0])), Some((b, four[1])), Some((c, four[2])), None]);
            assert_eq!(energies[..3], std::array::from_fn::<f32, 3, _>(|n| alone[n].energy(four[n])));
            assert_eq!(energies[3], 0.0);
        }
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
