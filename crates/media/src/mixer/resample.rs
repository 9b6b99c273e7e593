//! Correcting a speaker's clock: sound played a few hundred parts per million faster or slower.
//!
//! A windowed-sinc interpolator whose ratio stays within ±0.1 %, a pitch change of at most 1.7 cents, far below what can be heard. Runs on the beat.

use std::sync::OnceLock;

use crate::FRAME_SAMPLES;

/// Samples that one point is made of: flat to 18 kHz, which is all that Opus gives at our rates.
pub const TAPS: usize = 24;

/// Points between two samples with stored coefficients; linear in between.
const PHASES: usize = 128;

/// Points computed together. A frame is a whole number of them. Four vectors of eight hide how long one addition takes.
const BLOCK: usize = 32;

/// Corrections up to which all points of a block have the same coefficients. What that is wrong by is below −60 dB at 12 kHz, and less below.
const STILL_PPM: f64 = 60.0;

/// How far each of them is.
const GLIDE: [f32; BLOCK] = {
    let mut glide = [0.0; BLOCK];
    let mut n = 0;
    while n < BLOCK {
        glide[n] = n as f32;
        n += 1;
    }
    glide
};

/// Shape of the Kaiser window: side lobes below −70 dB.
const KAISER_BETA: f64 = 7.0;

/// Furthest that the ratio goes from 1.
pub const CORRECTION_PPM_MAX: f32 = 1000.0;

/// Makes 20 ms at our clock out of 20 ms, more or less, at a speaker's.
#[derive(Debug)]
pub struct Resampler {
    table: &'static Table,
    /// Where the next point lies after the first input sample still needed, in samples: 0..1.
    phase: f64,
}

type Table = [[f32; TAPS]; PHASES + 1];

impl Resampler {
    /// Computes the coefficients if nobody has before: not for the beat.
    pub fn new() -> Self {
        static TABLE: OnceLock<Box<Table>> = OnceLock::new();
        Self { table: TABLE.get_or_init(table), phase: 0.0 }
    }

    /// Input samples that [`Self::frame`] may look at.
    pub fn needed(&self, correction_ppm: f32) -> usize {
        (self.phase + step(correction_ppm) * FRAME_SAMPLES as f64) as usize + TAPS + 1
    }

    /// Fills `out` from `input` and returns how many input samples are done with. Input that is missing counts as silence.
    #[inline(always)]
    pub fn frame(&mut self, input: &[f32], correction_ppm: f32, out: &mut [f32; FRAME_SAMPLES]) -> usize {
        let step = step(correction_ppm);
        for (block, samples) in out.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            let at = |n: usize| self.phase + step * (block * BLOCK + n) as f64;
            let whole = at(0) as usize;
            let window = input.get(whole..).and_then(|rest| rest.first_chunk::<{ BLOCK + TAPS }>());
            match window {
                Some(window) if at(BLOCK) as usize == whole + BLOCK => {
                    if (step - 1.0).abs() <= STILL_PPM * 1e-6 {
                        self.still(window, at(BLOCK / 2) - (BLOCK / 2) as f64, samples);
                    } else {
                        self.block(window, at(0), step, samples);
                    }
                }
                // The point passes a sample within this block, which happens once in a thousand samples at most; or it is the last.
                _ => samples.iter_mut().enumerate().for_each(|(n, sample)| *sample = self.point(input, at(n))),
            }
        }
        let end = self.phase + step * FRAME_SAMPLES as f64;
        self.phase = end.fract();
        end as usize
    }

    /// Points one sample apart but for `step`: the coefficients glide from those of the first to those after the last. Written so that all points
    /// are computed side by side.
    #[inline(always)]
    fn block(&self, window: &[f32; BLOCK + TAPS], at: f64, step: f64, out: &mut [f32; BLOCK]) {
        let first = self.coefficients(at);
        let last = self.coefficients(at.fract() + (step - 1.0) * BLOCK as f64);
        let mut sums = [0_f32; BLOCK];
        for tap in 0..TAPS {
            let (coefficient, glide) = (first[tap], (last[tap] - first[tap]) / BLOCK as f32);
            for n in 0..BLOCK {
                sums[n] += window[tap + n] * (coefficient + glide * GLIDE[n]);
            }
        }
        *out = sums;
    }

    /// Points one sample apart.
    #[inline(always)]
    fn still(&self, window: &[f32; BLOCK + TAPS], at: f64, out: &mut [f32; BLOCK]) {
        let coefficients = self.coefficients(at);
        let mut sums = [0_f32; BLOCK];
        for tap in 0..TAPS {
            for n in 0..BLOCK {
                sums[n] += window[tap + n] * coefficients[tap];
            }
        }
        *out = sums;
    }

    #[inline(always)]
    fn point(&self, input: &[f32], at: f64) -> f32 {
        let Some(window) = input.get(at as usize..).and_then(|rest| rest.first_chunk::<TAPS>()) else { return 0.0 };
        window.iter().zip(self.coefficients(at)).map(|(sample, coefficient)| sample * coefficient).sum()
    }

    #[inline(always)]
    fn coefficients(&self, at: f64) -> [f32; TAPS] {
        let fine = at.fract() * PHASES as f64;
        // Row is below PHASES because `fine` is a fraction of it; the last row is there for the blend.
        let row = (fine as usize).min(PHASES - 1);
        let blend = (fine - row as f64) as f32;
        let (left, right) = (&self.table[row], &self.table[row + 1]);
        let mut coefficients = *left;
        for (coefficient, right) in coefficients.iter_mut().zip(right) {
            *coefficient += blend * (right - *coefficient);
        }
        coefficients
    }

    /// Forgets the fraction: for when there is silence anyway.
    pub fn reset(&mut self) {
        self.phase = 0.0;
    }
}

impl Default for Resampler {
    fn default() -> Self {
        Self::new()
    }
}

fn step(correction_ppm: f32) -> f64 {
    1.0 + f64::from(correction_ppm.clamp(-CORRECTION_PPM_MAX, CORRECTION_PPM_MAX)) * 1e-6
}

fn table() -> Box<Table> {
    let mut table = Box::new([[0.0; TAPS]; PHASES + 1]);
    for (phase, row) in table.iter_mut().enumerate() {
        let centre = (TAPS / 2 - 1) as f64 + phase as f64 / PHASES as f64;
        let taps: [f64; TAPS] = std::array::from_fn(|tap| {
            let x = tap as f64 - centre;
            let sinc = if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
            let edge = x / (TAPS as f64 / 2.0);
            sinc * bessel_i0(KAISER_BETA * (1.0 - edge * edge).max(0.0).sqrt()) / bessel_i0(KAISER_BETA)
        });
        // Each phase passes a constant unchanged, or the sweep of phases would be heard as a tremolo.
        let sum: f64 = taps.iter().sum();
        *row = taps.map(|tap| (tap / sum) as f32);
    }
    table
}

/// Modified Bessel function of the first kind, order zero, by its series.
fn bessel_i0(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..40 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_stays_a_clean_tone_at_every_correction() {
        let check = |hertz: f64, ppm: f32, floor_db: f64| {
            let omega = std::f64::consts::TAU * hertz / 48_000.0;
            let input: Vec<f32> = (0..60_000).map(|n| (omega * f64::from(n)).sin() as f32).collect();
            let mut resampler = Resampler::new();
            let (mut start, mut error, mut count) = (0, 0.0, 0);
            for frame in 0..50 {
                let mut out = [0.0; FRAME_SAMPLES];
                start += resampler.frame(&input[start..], ppm, &mut out);
                for (n, sample) in out.iter().enumerate() {
                    let at = (frame * FRAME_SAMPLES + n) as f64 * step(ppm) + (TAPS / 2 - 1) as f64;
                    error += (f64::from(*sample) - (omega * at).sin()).powi(2);
                    count += 1;
                }
            }
            let error_db = 10.0 * (error / f64::from(count) / 0.5).log10();
            assert!(error_db < floor_db, "{hertz} Hz at {ppm} ppm: {error_db} dB");
        };
        for ppm in [-1000.0, -200.0, -60.0, 0.0, 3.0, 59.0, 61.0, 200.0, 1000.0] {
            check(440.0, ppm, -70.0);
            check(4_000.0, ppm, -70.0);
            check(12_000.0, ppm, -60.0);
            check(17_000.0, ppm, -40.0);
        }
    }
}
