//! Many voices to one: the sum, what each speaker hears of it, and its last gain.
//!
//! All in f32 at full scale ±1.0; nothing clips before the limiter. Runs on the beat: no allocation, lock or log.

pub mod agc;
pub mod limiter;
pub mod resample;

use crate::FRAME_SAMPLES;
use limiter::{Delayed, Gains, Limiter};

/// 20 ms of sound.
pub type Frame = [f32; FRAME_SAMPLES];

/// The sum of all voices of one space.
#[derive(Debug)]
pub struct Mix {
    sum: Frame,
    limited: Frame,
    delayed: Delayed,
    limiter: Limiter,
    gains: Gains,
}

impl Mix {
    /// Silence.
    pub fn new() -> Self {
        let mut limiter = Limiter::new();
        let gains = limiter.gains(&[0.0; FRAME_SAMPLES]);
        Self { sum: [0.0; FRAME_SAMPLES], limited: [0.0; FRAME_SAMPLES], delayed: Delayed::new(), limiter, gains }
    }

    /// Begins a new frame.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.sum = [0.0; FRAME_SAMPLES];
    }

    /// Adds one voice.
    #[inline(always)]
    pub fn add(&mut self, voice: &Frame) {
        for (sum, sample) in self.sum.iter_mut().zip(voice) {
            *sum += sample;
        }
    }

    /// Ends the frame: all voices are in. Gives the programme, limited, [`limiter::DELAY`] samples late.
    #[inline(always)]
    pub fn finish(&mut self) -> &Frame {
        self.gains = self.limiter.gains(&self.sum);
        self.limited = self.sum;
        self.delayed.swap(&mut self.limited);
        // What `without` starts from: the same sound before the gain.
        self.sum = self.limited;
        self.gains.apply(&mut self.limited);
        &self.limited
    }

    /// After `finish`: the programme without one voice, by the same gains. `voice` is that speaker's sound, delayed as the programme is.
    #[inline(always)]
    pub fn without(&self, voice: &Frame, out: &mut Frame) {
        for ((out, sum), own) in out.iter_mut().zip(&self.sum).zip(voice) {
            *out = sum - own;
        }
        self.gains.apply(out);
        // The gains are the whole sum's; a part can be higher only where voices cancel each other, and then a clipped sample is the lesser evil.
        for sample in out {
            *sample = sample.clamp(-1.0, 1.0);
        }
    }
}

impl Default for Mix {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_without_the_only_voice_is_silent_and_without_another_is_that_voice() {
        let mut mix = Mix::new();
        let (mut held_a, mut held_b) = (Delayed::new(), Delayed::new());
        for n in 0..20 {
            let mut a: Frame = std::array::from_fn(|i| 0.9 * ((n * FRAME_SAMPLES + i) as f32 * 0.03).sin());
            let mut b: Frame = std::array::from_fn(|i| 0.3 * ((n * FRAME_SAMPLES + i) as f32 * 0.07).sin());
            mix.clear();
            mix.add(&a);
            mix.add(&b);
            mix.finish();
            held_a.swap(&mut a);
            held_b.swap(&mut b);
            let mut out = [0.0; FRAME_SAMPLES];
            mix.without(&a, &mut out);
            mix.gains.apply(&mut b);
            assert!(out.iter().zip(&b).all(|(x, y)| (x - y).abs() < 1e-6));
        }
    }
}
