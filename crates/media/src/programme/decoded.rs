//! A speaker's decoder, and the sound that it gave and that is not played yet.
//!
//! Does what it is told ([`Pull`]s, splices) and decides nothing: told the same things in the same order it makes the same sound, to the bit. That is what a
//! track lives by ([`crate::track`]).

use crate::FRAME_SAMPLES;
use crate::jitter::{CONCEAL_MAX, Pull};
use crate::level::Level;
use crate::mixer::Frame;
use crate::mixer::resample::{CORRECTION_PPM_MAX, Resampler, TAPS};
use crate::opus::{CodecError, Decoder, PACKET_SAMPLES_MAX};
use crate::packet::{Opus, Payload};

/// Room for decoded sound: what one beat needs, a longest packet on top, and a doubled piece.
const ROOM: usize = 2 * FRAME_SAMPLES + PACKET_SAMPLES_MAX + FRAME_SAMPLES;

/// Samples left out at most in one go, and how many more may be left out per beat: 25 ms, and 10 ms a second. A pause loses that unnoticed; more would
/// be a skip.
const CUT_MAX: usize = 1200;
const CUT_PER_BEAT: usize = 10;

/// Length of a cross-fade where sound is cut: 2.5 ms.
pub(super) const FADE: usize = 120;

/// Below this a sample is nothing: −88 dBFS, just above one step of 16 bits, which is what SILK makes of digital silence.
const NOTHING: f32 = 4e-5;

/// What remains of a click one sample later: the last sample dies away in 2 ms.
const CLICK_DECAY: f32 = 0.96;

/// One speaker's decoder, with the sound decoded and not played yet.
#[derive(Debug)]
pub(super) struct Decoded {
    decoder: Decoder,
    resampler: Resampler,
    sound: Box<[f32]>,
    start: usize,
    end: usize,
    /// Samples of silence at the end of `sound`, counting on into what was played before if it is all of it.
    silent: usize,
    /// How much of that was not written: as long as nothing else is said, silence touches no memory.
    unwritten: usize,
    /// The gain at which the last sound ended: 0 after silence.
    edge: f32,
    /// The last packet, if `says_nothing`: it decoded to nothing, and another like it says nothing either.
    nothing: Payload,
    says_nothing: bool,
    correction_ppm: f32,
    /// Samples that may be left out.
    may_cut: usize,
    malformed: u64,
}

impl Decoded {
    pub(super) fn new() -> Result<Self, CodecError> {
        Ok(Self {
            decoder: Decoder::new()?,
            resampler: Resampler::new(),
            sound: vec![0.0; ROOM].into_boxed_slice(),
            start: 0,
            end: 0,
            silent: TAPS,
            unwritten: 0,
            edge: 0.0,
            nothing: Payload::default(),
            says_nothing: false,
            correction_ppm: 0.0,
            may_cut: CUT_MAX,
            malformed: 0,
        })
    }

    /// Begins a beat in which sound is played so much faster. Returns how many samples it needs.
    pub(super) fn begin(&mut self, correction_ppm: f32) -> usize {
        // A damaged track may say a number that is none.
        let correction_ppm = if correction_ppm.is_nan() { 0.0 } else { correction_ppm };
        self.correction_ppm = correction_ppm.clamp(-CORRECTION_PPM_MAX, CORRECTION_PPM_MAX);
        self.may_cut = (self.may_cut + CUT_PER_BEAT).min(CUT_MAX);
        self.resampler.needed(self.correction_ppm)
    }

    /// Takes the next 20 ms from what is there; what is missing is silence. Whether there is anything to hear in them.
    #[inline(always)]
    pub(super) fn play(&mut self, out: &mut Frame) -> bool {
        if self.is_flat() {
            self.start = (self.start + FRAME_SAMPLES).min(self.end);
            self.unwritten = self.unwritten.min(self.pending());
            return false;
        }
        self.write_silence();
        let used = self.resampler.frame(&self.sound[self.start..self.end], self.correction_ppm, out);
        self.start = (self.start + used).min(self.end);
        true
    }

    /// Throws away what is not played.
    pub(super) fn forget(&mut self) {
        (self.start, self.end, self.silent, self.unwritten, self.edge) = (0, 0, TAPS, 0, 0.0);
        self.resampler.reset();
    }

    pub(super) fn set_correction(&mut self, ppm: f32) {
        self.correction_ppm = ppm;
    }

    pub(super) fn correction_ppm(&self) -> f32 {
        self.correction_ppm
    }

    pub(super) fn decodes(&self) -> u64 {
        self.decoder.calls()
    }

    /// Packets that the decoder refused since the last call.
    pub(super) fn take_malformed(&mut self) -> u64 {
        std::mem::take(&mut self.malformed)
    }

    /// Samples that may be left out now.
    pub(super) fn may_cut(&self) -> usize {
        self.may_cut
    }

    /// Samples that are decoded and not played.
    pub(super) fn pending(&self) -> usize {
        self.end - self.start
    }

    /// Whether all that is left is silence, and was long enough for the interpolator to know nothing else.
    pub(super) fn is_flat(&self) -> bool {
        self.silent >= self.pending() + TAPS
    }

    /// Whether a packet says nothing, as far as is known without decoding it.
    pub(super) fn is_nothing(&self, opus: Opus<'_>) -> bool {
        opus.is_silence() || self.says_nothing && self.nothing.opus() == opus
    }

    /// How loud what is left is.
    pub(super) fn level(&mut self) -> Level {
        self.write_silence();
        Level::of(&self.sound[self.start..self.end])
    }

    /// Leaves a piece of the background out (or doubles it, if `excess` is negative), with a cross-fade at the seam.
    pub(super) fn splice(&mut self, excess: i64) {
        self.write_silence();
        let pending = self.pending();
        if pending < 3 * FADE {
            return;
        }
        let nothing_but_silence = self.silent >= pending;
        if excess > 0 {
            let cut = (excess as usize).min(pending - 2 * FADE);
            let sound = &mut self.sound[self.start..self.end];
            for n in 0..FADE {
                let fade = n as f32 / FADE as f32;
                sound[n] += (sound[n + cut] - sound[n]) * fade;
            }
            sound.copy_within(FADE + cut.., FADE);
            self.end -= cut;
            self.may_cut = self.may_cut.saturating_sub(cut);
        } else {
            let more = (excess.unsigned_abs() as usize).min(pending - 2 * FADE).min(FRAME_SAMPLES);
            self.make_room(more);
            // The end comes again: it is faded into what lay `more` samples before it.
            self.sound.copy_within(self.end - more..self.end, self.end);
            for n in 0..FADE {
                let fade = n as f32 / FADE as f32;
                let at = self.end - FADE + n;
                self.sound[at] += (self.sound[at - more] - self.sound[at]) * fade;
            }
            self.end += more;
        }
        self.silent =
            if nothing_but_silence { self.silent + self.pending() - pending } else { self.silent.min(self.pending()) };
    }

    /// Moves what is left to the front if `samples` more do not fit behind it.
    fn make_room(&mut self, samples: usize) {
        if self.end + samples > self.sound.len() {
            self.sound.copy_within(self.start..self.end - self.unwritten, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
    }

    /// Decodes one thing, or makes it up.
    pub(super) fn perform(&mut self, pull: Pull<'_>) {
        self.make_room(PACKET_SAMPLES_MAX);
        let room = &mut self.sound[self.end..];
        match pull {
            Pull::Silence { samples } => self.put_silence(samples),
            Pull::Frame(opus) => match self.decoder.decode(opus, room) {
                // Browsers send a muted microphone as sound that is all zeros: nothing behind the decoder need touch it.
                Ok(samples) if room.iter().take(samples).all(|sample| sample.abs() < NOTHING) => {
                    self.nothing.assign(opus);
                    self.says_nothing = true;
                    self.put_silence(samples);
                }
                Ok(samples) => self.put_sound(samples, 1.0, 1.0),
                Err(CodecError) => {
                    self.malformed += 1;
                    self.conceal(samples_of(opus), 0);
                }
            },
            Pull::Fec { next, samples } => {
                let decoded = room.get_mut(..samples).ok_or(CodecError);
                match decoded.and_then(|room| self.decoder.decode_fec(next, room)) {
                    Ok(samples) => self.put_sound(samples, 1.0, 1.0),
                    Err(CodecError) => self.put_silence(samples),
                }
            }
            Pull::Conceal { samples, before } => self.conceal(samples, before),
        }
    }

    /// Makes up so much sound, fading to nothing at [`CONCEAL_MAX`].
    fn conceal(&mut self, samples: usize, before: u32) {
        let decoded = self.sound[self.end..].get_mut(..samples).ok_or(CodecError);
        match decoded.and_then(|room| self.decoder.conceal(room)) {
            Ok(samples) => {
                // The first 20 ms as they are, then down in a straight line.
                let gain = |at: u32| {
                    let left = CONCEAL_MAX.saturating_sub(at) as f32;
                    (left / (CONCEAL_MAX - FRAME_SAMPLES as u32) as f32).min(1.0)
                };
                self.put_sound(samples, gain(before), gain(before + samples as u32));
            }
            Err(CodecError) => self.put_silence(samples),
        }
    }

    /// Takes over `samples` that were decoded behind the end, from one gain to another.
    fn put_sound(&mut self, samples: usize, from: f32, to: f32) {
        self.write_silence();
        let Some(sound) = self.sound.get_mut(self.end..self.end + samples) else { return };
        if from != 1.0 || to != 1.0 {
            let step = (to - from) / samples.max(1) as f32;
            for (n, sample) in sound.iter_mut().enumerate() {
                *sample *= from + step * n as f32;
            }
        }
        // After silence or a fade, sound comes in without a click.
        if self.edge < from {
            for (n, sample) in sound.iter_mut().take(FADE).enumerate() {
                *sample *= (self.edge + (from - self.edge) * n as f32 / FADE as f32) / from;
            }
        }
        // One sample that is no number would stay in every filter behind this for ever.
        for sample in sound.iter_mut().filter(|sample| !sample.is_finite()) {
            *sample = 0.0;
        }
        self.edge = to;
        self.end += samples;
        self.silent = 0;
        self.says_nothing = false;
    }

    fn put_silence(&mut self, samples: usize) {
        let last = if self.end > self.start && self.silent == 0 { self.sound[self.end - 1] } else { 0.0 };
        let Some(sound) = self.sound.get_mut(self.end..self.end + samples) else { return };
        self.edge = 0.0;
        self.end += samples;
        if last == 0.0 {
            // Nearly always, as most of a stage is silent.
            self.silent += samples;
            self.unwritten += samples;
            return;
        }
        // A piece with the rest of the last sound in it counts as sound.
        self.silent = 0;
        let mut click = last;
        for sample in sound {
            click *= CLICK_DECAY;
            click = if click.abs() < 1e-6 { 0.0 } else { click };
            *sample = click;
        }
    }

    /// Writes the silence at the end, for whoever reads it or puts sound behind it.
    fn write_silence(&mut self) {
        self.sound[self.end - self.unwritten..self.end].fill(0.0);
        self.unwritten = 0;
    }
}

/// How long a packet sounds, or would if it were one.
pub(super) fn samples_of(opus: Opus<'_>) -> usize {
    opus.duration().unwrap_or(FRAME_SAMPLES as u32) as usize
}
