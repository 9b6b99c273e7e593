//! Everybody about equally loud: a slow gain per speaker towards −18 LUFS.
//!
//! Slow, so that it changes the speaker and not the syllable; only speech moves it, so that silence is never pumped up. Runs on the beat.

use crate::FRAME_SAMPLES;
use crate::loudness::{self, KWeighting};

/// Where every speaker should be.
pub const TARGET_LUFS: f32 = -18.0;

/// Furthest that the gain goes, either way. More would lift the room of a distant microphone above the next speaker.
pub const GAIN_DB_MAX: f32 = 12.0;

/// Seconds of speech that the measured loudness looks back over: a sentence or two.
const MEMORY_FRAMES: f32 = 200.0;

/// Frames of speech before the gain moves at all: a cough or a click is no sentence.
const TRUST_FRAMES: f32 = 10.0;

/// Fastest change upwards, dB per frame: 3 dB per second.
const UP_DB: f32 = 0.06;

/// Fastest change downwards, dB per frame: 8 dB per second; too loud hurts more than too quiet.
const DOWN_DB: f32 = 0.16;

/// The gain of one speaker.
#[derive(Debug, Clone)]
pub struct Agc {
    filter: KWeighting,
    mean_square: f32,
    frames: f32,
    gain_db: f32,
    gain: f32,
}

/// Whether a frame holds speech, as judged by its level over the speaker's own noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Speech: may be measured.
    Present,
    /// Only background.
    Absent,
}

impl Agc {
    /// Gain 0 dB, nothing known.
    pub fn new() -> Self {
        Self { filter: KWeighting::new(), mean_square: 0.0, frames: 0.0, gain_db: 0.0, gain: 1.0 }
    }

    /// The filter by which a frame's energy is measured before [`Self::apply`].
    pub fn filter(&mut self) -> &mut KWeighting {
        &mut self.filter
    }

    /// Learns the energy of a frame, as [`Self::filter`] gives it, and applies the gain to it.
    #[inline(always)]
    pub fn apply(&mut self, samples: &mut [f32; FRAME_SAMPLES], energy: f32, voice: Voice) {
        if voice == Voice::Present {
            self.learn(energy / FRAME_SAMPLES as f32);
        }
        let from = self.gain;
        self.gain = 10_f32.powf(self.gain_db / 20.0);
        let step = (self.gain - from) / FRAME_SAMPLES as f32;
        for (n, sample) in samples.iter_mut().enumerate() {
            *sample *= from + step * n as f32;
        }
    }

    /// The gain now, in dB.
    pub fn gain_db(&self) -> f32 {
        self.gain_db
    }

    fn learn(&mut self, energy: f32) {
        // A plain mean at first, so that the first words count; a slow one later.
        self.frames = (self.frames + 1.0).min(MEMORY_FRAMES);
        self.mean_square += (energy - self.mean_square) / self.frames;
        if self.frames < TRUST_FRAMES {
            return;
        }
        let wanted = (TARGET_LUFS - loudness::lufs(self.mean_square)).clamp(-GAIN_DB_MAX, GAIN_DB_MAX);
        self.gain_db += (wanted - self.gain_db).clamp(-DOWN_DB, UP_DB);
    }
}

impl Default for Agc {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(amplitude: f32, voice: Voice) -> (f32, f32) {
        let (mut agc, mut out) = (Agc::new(), 0.0);
        for n in 0..1000 {
            let mut frame = std::array::from_fn(|i| amplitude * ((n * FRAME_SAMPLES + i) as f32 * 0.131).sin());
            let energy = agc.filter().energy(&frame);
            agc.apply(&mut frame, energy, voice);
            out = loudness::lufs(KWeighting::new().energy(&frame) / FRAME_SAMPLES as f32);
        }
        (agc.gain_db(), out)
    }

    #[test]
    fn loud_and_quiet_speakers_meet() {
        assert!((settle(0.6, Voice::Present).1 - TARGET_LUFS).abs() < 1.0);
        assert!((settle(0.06, Voice::Present).1 - TARGET_LUFS).abs() < 1.0);
    }

    #[test]
    fn the_gain_is_bounded() {
        assert!((settle(0.001, Voice::Present).0 - GAIN_DB_MAX).abs() < 0.01);
        assert!((settle(30.0, Voice::Present).0 + GAIN_DB_MAX).abs() < 0.01);
    }

    #[test]
    fn background_is_not_pumped_up() {
        assert_eq!(settle(0.001, Voice::Absent).0, 0.0);
    }
}
