//! How loud a sound is, on the scale that RTP uses: decibels below overload.
//!
//! A level that came with a packet (RFC 6464) was written by the speaker's own client, and FFmpeg sends none: it is good enough for a
//! meter, never for a decision. Decisions are made on levels of decoded sound.

pub mod active;

/// A level in dBov (RFC 6464 §3, RFC 6465 §4): 0 is the loudest possible, −127 is silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Level(u8);

impl Level {
    /// Digital silence.
    pub const SILENCE: Level = Level(127);

    /// A level so many decibels below overload, as the header extension carries it (RFC 6464 §3). More than 127 is 127.
    pub fn below_overload(db: u8) -> Self {
        Self(db.min(127))
    }

    /// A level from dBov as a signed number (−127..=0). A positive number is 0, as nothing is louder than overload.
    pub fn from_dbov(dbov: i8) -> Self {
        Self(if dbov > 0 { 0 } else { dbov.unsigned_abs().min(127) })
    }

    /// The level of decoded samples (full scale ±1.0), by their mean square.
    #[inline(always)]
    pub fn of(samples: &[f32]) -> Self {
        if samples.is_empty() {
            return Self::SILENCE;
        }
        // Many sums side by side, or each would wait for the one before.
        let (blocks, rest) = samples.as_chunks::<16>();
        let mut sums = [0_f32; 16];
        for block in blocks {
            for (sum, sample) in sums.iter_mut().zip(block) {
                *sum += sample * sample;
            }
        }
        let energy = sums.iter().sum::<f32>() + rest.iter().map(|sample| sample * sample).sum::<f32>();
        Self::from_mean_square(energy / samples.len() as f32)
    }

    /// The level of a mean square (full scale 1.0).
    pub fn from_mean_square(mean_square: f32) -> Self {
        if mean_square.is_nan() || mean_square <= 0.0 {
            return Self::SILENCE;
        }
        Self((-10.0 * mean_square.log10()).round().clamp(0.0, 127.0) as u8)
    }

    /// Whether this is no louder than `other`.
    pub fn is_up_to(self, other: Level) -> bool {
        self.0 >= other.0
    }

    /// Decibels relative to overload: −127..=0.
    pub fn dbov(self) -> i8 {
        -(self.0 as i8)
    }
}

impl Default for Level {
    fn default() -> Self {
        Self::SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_go_from_silence_to_overload() {
        assert_eq!(Level::of(&[0.0; 960]), Level::SILENCE);
        assert_eq!(Level::of(&[]), Level::SILENCE);
        assert_eq!(Level::of(&[1.0; 960]).dbov(), 0);
        assert_eq!(Level::of(&[0.1; 960]).dbov(), -20);
        assert_eq!(Level::of(&[f32::NAN; 4]), Level::SILENCE);
        assert_eq!(Level::from_dbov(-128).dbov(), -127);
        assert_eq!(Level::from_dbov(5).dbov(), 0);
        assert_eq!(Level::below_overload(200), Level::SILENCE);
    }
}
