//! One person on the stage: from packets to 20 ms of sound per beat, and what is sent back to them.
//!
//! Built off the beat (it allocates) and handed over in a box. While nothing comes, or they are muted, it costs nearly nothing.

use std::fmt;
use std::time::Instant;

use crate::jitter::Repair;
use crate::level::Level;
use crate::level::active::Activity;
use crate::loudness::KWeighting;
use crate::mixer::Frame;
use crate::mixer::agc::{Agc, Voice};
use crate::mixer::limiter::Delayed;
use crate::opus::{CodecError, Encoder};
use crate::packet::{Opus, Packet};
use crate::programme::playout::Playout;
use crate::programme::stats::Seated;
use crate::track::{Dropped, Piece};
use crate::{FRAME_SAMPLES, SAMPLE_RATE};

/// Frames that a speaker who fell silent keeps a return of their own: 1 s. By then both encoders say the same, so that the change to the shared one is not
/// heard, and a speaker between two sentences does not change at all.
const OWN_RETURN_FRAMES: u16 = 50;

/// Samples over which a voice is turned off and on by a mute: 5 ms, no click and well within one frame.
const MUTE_RAMP: usize = SAMPLE_RATE as usize / 200;

/// Whether a speaker may be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voicing {
    /// Heard.
    Open,
    /// Muted: silent within one frame.
    Muted,
}

/// Whether a speaker is sent the programme without their own voice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returning {
    /// Yes: they hear the others through us.
    Wanted,
    /// No (a WHIP publisher that only sends): nothing is encoded for them.
    Unwanted,
}

/// What a speaker is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// What everyone gets.
    Shared,
    /// The frame that says nothing.
    Silence,
    /// A frame of their own encoder.
    Own,
}

/// What became of a piece of a track.
#[derive(Debug, Clone, Copy)]
struct Played {
    sounds: bool,
    fades: bool,
}

/// What a speaker is built from.
#[derive(Debug)]
pub struct SpeakerConfig {
    /// Put into the sound when they become the active speaker; opaque here.
    pub speaking_event: Box<[u8]>,
    /// Whether they are sent a return.
    pub returning: Returning,
    /// Muted from the beginning or not.
    pub voicing: Voicing,
    /// Bit rate of their own return.
    pub return_bitrate_bps: i32,
}

/// One person on the stage.
pub struct Speaker {
    pub(super) speaking_event: Box<[u8]>,
    pub(super) playout: Playout,
    pub(super) activity: Activity,
    pub(super) voicing: Voicing,
    /// When they were last opened: what came before was for nobody.
    open_since: Option<Instant>,
    agc: Agc,
    /// They come from a track.
    replayed: bool,
    /// If so, and something of this beat is there.
    played: Option<Played>,
    /// Their sound of this beat; after [`Self::hold_back`] as late as the programme.
    pub(super) frame: Frame,
    /// Whether they were heard in the last frame.
    sounding: bool,
    /// Whether `frame` may hold anything but zeros.
    dirty: bool,
    delayed: Delayed,
    returning: Returning,
    encoder: Encoder,
    /// What they are sent in this beat.
    sent: Sent,
    /// Frames for which they still get a return of their own.
    own_return: u16,
    client_level: Option<Level>,
    /// Codec errors on what they sent.
    malformed: u64,
}

impl Speaker {
    /// Someone who has not said anything. Allocates: not for the beat.
    ///
    /// # Errors
    /// If libopus has no memory, or does not take the bit rate.
    pub fn new(config: SpeakerConfig) -> Result<Self, CodecError> {
        Ok(Self {
            speaking_event: config.speaking_event,
            playout: Playout::new()?,
            activity: Activity::new(),
            voicing: config.voicing,
            open_since: None,
            replayed: false,
            played: None,
            agc: Agc::new(),
            frame: [0.0; FRAME_SAMPLES],
            sounding: false,
            dirty: false,
            delayed: Delayed::new(),
            returning: config.returning,
            encoder: Encoder::new(config.return_bitrate_bps)?,
            sent: Sent::Shared,
            own_return: 0,
            client_level: None,
            malformed: 0,
        })
    }

    /// Does without some of what is done about a bad network.
    #[must_use]
    pub fn repaired_by(mut self, repair: Repair) -> Self {
        self.playout.jitter.set_repair(repair);
        self
    }

    /// Has a track kept of what is heard of them: see `Programme::piece`.
    #[must_use]
    pub fn kept(mut self) -> Self {
        self.playout.keep();
        self
    }

    /// Comes from a track: what they say is told by `Input::Piece`, and packets are nothing to them.
    #[must_use]
    pub fn replayed(mut self) -> Self {
        self.replayed = true;
        self
    }

    /// Makes the next beat's sound out of a track.
    pub(super) fn replay(&mut self, piece: &Piece<'_>) {
        if self.replayed {
            let sounds = self.playout.replay(piece, &mut self.frame);
            self.played = Some(Played { sounds, fades: piece.fades() });
        }
    }

    /// What is to be kept of this beat.
    pub(super) fn piece(&self) -> Option<Result<&[u8], Dropped>> {
        let piece = self.playout.pen()?.piece();
        (piece != Ok(&[])).then_some(piece)
    }

    /// Takes in one packet. Of one that is not to be heard only the timing is learnt.
    pub(super) fn handle(&mut self, packet: Packet<Opus<'_>>) {
        let came_before = self.open_since.is_some_and(|since| packet.arrival < since);
        if self.voicing == Voicing::Muted || came_before {
            return self.playout.jitter.ignore(packet);
        }
        self.client_level = packet.level;
        self.playout.jitter.handle(packet);
    }

    /// Mutes or opens, as was said at that moment; the sound follows within the next frame.
    pub(super) fn voice(&mut self, said: Instant, voicing: Voicing) {
        if self.voicing == Voicing::Muted && voicing == Voicing::Open {
            self.open_since = Some(said);
        }
        self.voicing = voicing;
    }

    /// Makes this beat's sound, as loud as it came. Whether there is any: then [`Self::level`] it.
    #[inline(always)]
    pub(super) fn render(&mut self, now: Instant) -> bool {
        if self.replayed {
            return self.take_played();
        }
        self.playout.begin_beat();
        if self.voicing == Voicing::Muted {
            return self.fall_silent(now);
        }
        if !self.playout.render(now, self.activity.background(), &mut self.frame) {
            self.activity.frame(Level::SILENCE);
            self.be_silent();
            return false;
        }
        self.malformed += self.playout.take_malformed();
        self.activity.frame(Level::of(&self.frame));
        (self.sounding, self.dirty) = (true, true);
        self.own_return = if self.activity.speaks() { OWN_RETURN_FRAMES } else { self.own_return.saturating_sub(1) };
        true
    }

    /// The last frame after a mute is there once more, to fade out; then there is nothing.
    fn fall_silent(&mut self, now: Instant) -> bool {
        let fading = self.sounding && self.playout.render(now, Level::SILENCE, &mut self.frame);
        self.playout.mute();
        self.activity.frame(Level::SILENCE);
        if !fading {
            self.be_silent();
            return false;
        }
        (self.sounding, self.dirty) = (false, true);
        self.own_return = self.own_return.saturating_sub(1);
        true
    }

    /// As [`Self::render`] and [`Self::fall_silent`], of a track.
    fn take_played(&mut self) -> bool {
        match self.played.take() {
            Some(Played { sounds: true, fades }) => {
                self.activity.frame(if fades { Level::SILENCE } else { Level::of(&self.frame) });
                (self.sounding, self.dirty) = (!fades, true);
                true
            }
            _ => {
                self.activity.frame(Level::SILENCE);
                self.be_silent();
                false
            }
        }
    }

    /// Makes those whose sound is there as loud as the others.
    #[inline(always)]
    pub(super) fn level(four: &mut [Option<&mut Self>; 4]) {
        let sounds = four.each_mut().map(|slot| slot.as_mut().map(|who| (who.agc.filter(), &who.frame)));
        let energies = KWeighting::energies(sounds);
        for (who, energy) in four.iter_mut().zip(energies) {
            let Some(who) = who else { continue };
            let voice = if who.sounding && who.activity.voiced() { Voice::Present } else { Voice::Absent };
            who.agc.apply(&mut who.frame, energy, voice);
            if !who.sounding {
                for (n, sample) in who.frame.iter_mut().enumerate() {
                    *sample *= 1.0 - n.min(MUTE_RAMP) as f32 / MUTE_RAMP as f32;
                }
            }
        }
    }

    fn be_silent(&mut self) {
        if self.dirty {
            self.frame = [0.0; FRAME_SAMPLES];
            self.dirty = false;
        }
        self.sounding = false;
        self.own_return = self.own_return.saturating_sub(1);
    }

    /// Delays `frame` as the limiter delays the programme.
    #[inline(always)]
    pub(super) fn hold_back(&mut self) {
        if self.dirty || !self.delayed.is_silent() {
            self.delayed.swap(&mut self.frame);
            self.dirty = true;
        }
    }

    /// Whether the programme without them differs from the programme: then `frame` is in it.
    pub(super) fn has_own_return(&self) -> bool {
        self.returning == Returning::Wanted && self.own_return > 0
    }

    pub(super) fn wants_return(&self) -> bool {
        self.returning == Returning::Wanted
    }

    /// Encodes what they hear, in which they are not.
    #[inline(always)]
    pub(super) fn encode_return(&mut self, sound: &Frame) {
        if sound.iter().all(|sample| *sample == 0.0) {
            self.sent = Sent::Silence;
            return;
        }
        if self.sent != Sent::Own {
            // Whatever they got before, the next frame must not lean on it.
            self.encoder.reset();
        }
        self.sent = if self.encoder.encode(sound).is_ok() { Sent::Own } else { Sent::Shared };
    }

    /// They get what everyone gets.
    pub(super) fn share_return(&mut self) {
        self.sent = Sent::Shared;
    }

    /// Their return of this beat, out of what everyone gets, and the frame that says nothing.
    pub(super) fn returned<'a>(&'a self, shared: Opus<'a>, silence: Opus<'a>) -> Opus<'a> {
        match self.sent {
            Sent::Shared => shared,
            Sent::Silence => silence,
            Sent::Own => self.encoder.last().unwrap_or(silence),
        }
    }

    /// Calls of the encoder and of the decoder so far.
    pub(super) fn codec_calls(&self) -> (u64, u64) {
        (self.encoder.calls(), self.playout.decodes())
    }

    pub(super) fn stats(&self) -> Seated {
        let jitter = &self.playout.jitter;
        Seated {
            level: self.activity.level(),
            client_level: self.client_level,
            speaks: self.activity.speaks(),
            target_ms: (jitter.target() / 48) as u32,
            drift_ppm: jitter.drift_ppm(),
            correction_ppm: self.playout.correction_ppm(),
            gain_db: self.agc.gain_db(),
            packets: jitter.counts(),
            malformed: self.malformed,
            decodes: self.playout.decodes(),
            encodes: self.encoder.calls(),
        }
    }
}

impl fmt::Debug for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Speaker").field("voicing", &self.voicing).field("stats", &self.stats()).finish_non_exhaustive()
    }
}
