//! The last thing before the encoder: no true peak above −1 dBTP.
//!
//! Works in blocks of 0.67 ms and looks two of them ahead: the gain at each border between blocks is low enough for the blocks on both sides, and a straight
//! line in between. Costs nearly nothing while nobody is loud. Runs on the beat.

use crate::FRAME_SAMPLES;
use crate::loudness::TruePeak;

/// −1 dBTP (EBU R 128), and 0.1 dB that the moving gain itself may add between samples.
pub const CEILING: f32 = 0.88;

/// Samples that sound is held back by, so that the gain is down before the peak comes.
pub const DELAY: usize = 2 * BLOCK;

const BLOCK: usize = TruePeak::BLOCK;
const BLOCKS: usize = FRAME_SAMPLES / BLOCK;

/// How much of a reduction is left after one block: 100 ms to recover by 1/e.
const RELEASE: f32 = 0.993_36;

/// A gain for each border between the blocks of a frame.
#[derive(Debug, Clone)]
pub struct Gains([f32; BLOCKS + 1]);

/// Finds the gains for a sound, and applies them to it or to parts of it.
#[derive(Debug)]
pub struct Limiter {
    meter: TruePeak,
    /// What the two newest blocks need.
    needs: [f32; 2],
    gain: f32,
}

/// Sound on its way through the limiter: the part held back.
#[derive(Debug, Clone)]
pub struct Delayed([f32; DELAY]);

impl Limiter {
    /// A limiter that leaves sound as it is.
    pub fn new() -> Self {
        Self { meter: TruePeak::new(), needs: [1.0; 2], gain: 1.0 }
    }

    /// The gains for what comes out of [`Delayed::swap`] when this frame is put in. Samples that are no numbers must have been removed.
    #[inline(always)]
    pub fn gains(&mut self, frame: &[f32; FRAME_SAMPLES]) -> Gains {
        let mut gains = [self.gain; BLOCKS + 1];
        for (block, border) in frame.as_chunks::<BLOCK>().0.iter().zip(&mut gains[1..]) {
            // Peaks found in one block may lie at the end of the block before: each border minds three blocks.
            let peak = self.meter.above(block, CEILING);
            let need = if peak > CEILING { CEILING / peak } else { 1.0 };
            let released = 1.0 - (1.0 - self.gain) * RELEASE;
            let released = if released > 0.9999 { 1.0 } else { released };
            self.gain = released.min(self.needs[0]).min(self.needs[1]).min(need);
            self.needs = [self.needs[1], need];
            *border = self.gain;
        }
        Gains(gains)
    }
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Gains {
    /// Turns a delayed frame down.
    #[inline(always)]
    pub fn apply(&self, frame: &mut [f32; FRAME_SAMPLES]) {
        if self.0.iter().all(|gain| *gain == 1.0) {
            return;
        }
        for (block, ends) in frame.as_chunks_mut::<BLOCK>().0.iter_mut().zip(self.0.windows(2)) {
            let &[from, to] = ends else { continue };
            let step = (to - from) / BLOCK as f32;
            for (n, sample) in block.iter_mut().enumerate() {
                *sample *= from + step * n as f32;
            }
        }
    }
}

impl Delayed {
    /// Silence held back.
    pub fn new() -> Self {
        Self([0.0; DELAY])
    }

    /// Whether nothing but silence is held back.
    #[inline(always)]
    pub fn is_silent(&self) -> bool {
        self.0.iter().all(|s| *s == 0.0)
    }

    /// Holds the end of this frame back and puts the end of the last one before it.
    #[inline(always)]
    pub fn swap(&mut self, frame: &mut [f32; FRAME_SAMPLES]) {
        let mut end = [0.0; DELAY];
        end.copy_from_slice(&frame[FRAME_SAMPLES - DELAY..]);
        frame.copy_within(..FRAME_SAMPLES - DELAY, DELAY);
        frame[..DELAY].copy_from_slice(&self.0);
        self.0 = end;
    }
}

impl Default for Delayed {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(sound: impl Fn(usize) -> f32) -> Vec<f32> {
        let (mut limiter, mut delayed, mut all) = (Limiter::new(), Delayed::new(), Vec::new());
        for n in 0..100 {
            let mut frame = std::array::from_fn(|i| sound(n * FRAME_SAMPLES + i));
            let gains = limiter.gains(&frame);
            delayed.swap(&mut frame);
            gains.apply(&mut frame);
            all.extend(frame);
        }
        all
    }

    fn true_peak_db(sound: &[f32]) -> f64 {
        let mut meter = ebur128::EbuR128::new(1, 48_000, ebur128::Mode::TRUE_PEAK).unwrap();
        meter.add_frames_f32(sound).unwrap();
        20.0 * meter.true_peak(0).unwrap().log10()
    }

    #[test]
    fn nothing_comes_out_above_the_ceiling() {
        let check = |name: &str, sound: &dyn Fn(usize) -> f32| {
            let peak = true_peak_db(&limit(sound));
            assert!(peak <= -1.0, "{name}: {peak} dBTP");
        };
        check("loud sine", &|n| 3.0 * (n as f32 * 0.02).sin());
        check("a high tone between samples", &|n| 1.2 * (n as f32 * std::f32::consts::FRAC_PI_2 + 0.785).sin());
        check("clicks", &|n| if n % 4801 == 0 { 8.0 } else { 0.0 });
        check("sudden square", &|n| if n > 5000 && (n / 60) % 2 == 0 { 2.0 } else { -0.1 });
        check("bursts", &|n| if (n / 3000) % 2 == 0 { 4.0 * (n as f32 * 0.3).sin() } else { 0.01 });
    }

    #[test]
    fn what_is_below_the_ceiling_passes_unchanged_but_later() {
        let sound = |n: usize| 0.4 * (n as f32 * 0.02).sin();
        let out = limit(sound);
        assert!(out.iter().skip(DELAY).enumerate().all(|(n, s)| *s == sound(n)));
        assert!(out[..DELAY].iter().all(|s| *s == 0.0));
    }
}
