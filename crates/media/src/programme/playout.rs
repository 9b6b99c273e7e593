//! Decoding in time: what the jitter buffer says becomes 20 ms of sound at our clock per beat.
//!
//! Too much or too little buffered is made good in two ways that are not heard: a piece of background is left out or said twice, and the rest is
//! played up to 0.1 % faster or slower, which also makes up for the drift of the speaker's clock.
//!
//! What is decided is here, what is done in [`Decoded`]. If a track is kept, the pen writes down what was decided; [`Playout::replay`] does it again.

use std::time::Instant;

use super::decoded::{Decoded, FADE, samples_of};
use crate::jitter::{Jitter, Pull};
use crate::level::Level;
use crate::mixer::Frame;
use crate::mixer::resample::CORRECTION_PPM_MAX;
use crate::opus::CodecError;
use crate::track::{Pen, Piece, Step};

/// Pulls in one beat at most: 20 ms of 2.5 ms packets, and as many holes. More would be a flaw of the jitter buffer; then the rest is silence.
const PULLS_MAX: usize = 24;

/// Time in which a wrong delay is made good by speed, in seconds. 10 ms wrong is 500 ppm.
const CATCH_UP_S: f32 = 20.0;

/// Wrong delay, in samples, from which a piece of background is left out or doubled: 10 ms.
const SPLICE_MIN: i64 = 480;

/// One speaker's way from packets to sound.
#[derive(Debug)]
pub(super) struct Playout {
    pub(super) jitter: Jitter,
    decoded: Decoded,
    /// If their track is kept.
    pen: Option<Box<Pen>>,
}

impl Playout {
    pub(super) fn new() -> Result<Self, CodecError> {
        Ok(Self { jitter: Jitter::new(), decoded: Decoded::new()?, pen: None })
    }

    /// Writes down from now on what is heard.
    pub(super) fn keep(&mut self) {
        self.pen = Some(Box::default());
    }

    /// A beat begins. Also of those who are not heard, so that the pen knows how much it may write.
    pub(super) fn begin_beat(&mut self) {
        if let Some(pen) = &mut self.pen {
            pen.begin_beat();
        }
    }

    /// The pen, if there is one.
    pub(super) fn pen(&self) -> Option<&Pen> {
        self.pen.as_deref()
    }

    /// Makes the next 20 ms; whether there is anything to hear in them. What is no louder than `background` may be shortened or drawn out.
    #[inline(always)]
    pub(super) fn render(&mut self, now: Instant, background: Level, out: &mut Frame) -> bool {
        if self.jitter.is_idle() && self.decoded.is_flat() {
            return false;
        }
        let excess = self.jitter.excess(now, self.decoded.pending()).unwrap_or(0);
        let wrong_s = excess as f32 / crate::SAMPLE_RATE as f32;
        let correction_ppm =
            (self.jitter.drift_ppm() + wrong_s / CATCH_UP_S * 1e6).clamp(-CORRECTION_PPM_MAX, CORRECTION_PPM_MAX);
        if let Some(pen) = &mut self.pen {
            pen.plays(correction_ppm);
        }
        let needed = self.decoded.begin(correction_ppm);
        self.fetch(now, needed);
        let excess = excess.clamp(-(crate::FRAME_SAMPLES as i64), self.decoded.may_cut() as i64);
        // In silence no seam can be heard; and a clock that is off is not corrected there otherwise.
        let bearable = if self.decoded.is_flat() { FADE as i64 } else { SPLICE_MIN };
        if excess.abs() > bearable && self.decoded.level().is_up_to(background) {
            if let Some(pen) = &mut self.pen {
                pen.step(&Step::Splice { excess });
            }
            self.decoded.splice(excess);
            self.fetch(now, needed);
        }
        let sounds = self.decoded.play(out);
        if !sounds && self.jitter.is_idle() {
            self.forget();
        }
        sounds
    }

    /// Does again what a piece of a track says, instead of [`Self::render`]; whether there is anything to hear.
    pub(super) fn replay(&mut self, piece: &Piece<'_>, out: &mut Frame) -> bool {
        let mut sounds = false;
        if let Some(correction_ppm) = piece.plays() {
            let needed = self.decoded.begin(correction_ppm);
            let mut may_splice = true;
            for step in piece.steps() {
                // Never more at once than `render` would: of a damaged track the rest is left out.
                match step {
                    Step::Pull(pull) if self.decoded.pending() < needed => self.decoded.perform(pull),
                    Step::Splice { excess } if std::mem::take(&mut may_splice) => self.decoded.splice(excess),
                    _ => {}
                }
            }
            sounds = self.decoded.play(out);
        }
        if piece.is_end() {
            self.decoded.forget();
        }
        sounds
    }

    /// Throws everything away: they are muted.
    pub(super) fn mute(&mut self) {
        if let Some(pen) = &mut self.pen {
            pen.fades();
        }
        self.jitter.clear();
        self.forget();
    }

    pub(super) fn correction_ppm(&self) -> f32 {
        self.decoded.correction_ppm()
    }

    pub(super) fn decodes(&self) -> u64 {
        self.decoded.decodes()
    }

    /// Packets that the decoder refused since the last call.
    pub(super) fn take_malformed(&mut self) -> u64 {
        self.decoded.take_malformed()
    }

    /// Stream time of the next sample that will be played; `None` while nothing is.
    #[cfg(test)]
    pub(super) fn position(&self) -> Option<i64> {
        Some(self.jitter.position()? - self.decoded.pending() as i64)
    }

    fn forget(&mut self) {
        self.decoded.forget();
        self.decoded.set_correction(self.jitter.drift_ppm());
        if let Some(pen) = &mut self.pen {
            pen.ends();
        }
    }

    /// Decodes until so many samples are there.
    fn fetch(&mut self, now: Instant, needed: usize) {
        for _ in 0..PULLS_MAX {
            if self.decoded.pending() >= needed {
                return;
            }
            self.pull(now);
        }
    }

    /// Decodes the next piece.
    fn pull(&mut self, now: Instant) {
        let concealment = self.jitter.repair().concealment;
        let pull = match self.jitter.pull(now, self.decoded.pending()) {
            Pull::Frame(opus) if self.decoded.is_nothing(opus) => Pull::Silence { samples: samples_of(opus) },
            Pull::Conceal { samples, .. } if !concealment => Pull::Silence { samples },
            pull => pull,
        };
        let step = Step::Pull(pull);
        if let Some(pen) = &mut self.pen {
            pen.step(&step);
        }
        if let Step::Pull(pull) = step {
            self.decoded.perform(pull);
        }
    }
}
