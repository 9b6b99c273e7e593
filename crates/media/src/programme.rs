//! One space's sound: packets of its speakers in; chunks, and returns to the speakers, out.
//!
//! Each beat makes 20 ms: every speaker's sound is decoded, levelled and added; the sum is limited, measured and encoded once; every tenth frame
//! completes a chunk. With nobody to hear nothing is encoded; an audience that waits hears what was encoded before. Knows no people: events are bytes, speakers are seats.
//!
//! Law: after `new` and `seat`, `handle` and `poll` do not allocate, free, lock or log (`tests/beat_allocates_nothing.rs`).

mod decoded;
mod events;
mod playout;
mod speaker;
mod stats;
mod wide;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::chunk::{self, Chunk, EVENT_ROOM_BYTES, Facts, Frames};
use crate::hold::HoldMusic;
use crate::level::active::Floor;
use crate::loudness::{KWeighting, TruePeak};
use crate::mixer::{Frame, Mix};
use crate::opus::{CodecError, Encoder, FRAME_BYTES_MAX};
use crate::package::{self, fmp4, ogg};
use crate::packet::{Opus, Packet, Payload};
use crate::track::{Dropped, Piece};
use crate::{CHUNK_FRAMES, FRAME_SAMPLES, Time};
use events::Events;
pub use events::TOLD_MAX;
pub use speaker::{Returning, Speaker, SpeakerConfig, Voicing};
pub use stats::{Seated, Stats};

/// Seats of a programme: for 20 speakers, six who host, and six who wait in the wings. More people than this do not talk with each other.
pub const SEATS: usize = 32;

/// Time between two beats.
pub const BEAT: Duration = Duration::from_millis(20);

/// Chunks in a programme's pool: 3.2 s for whoever takes them to give one back. Beyond, chunks are missed and counted.
const POOL: usize = 16;

/// Frames of silence that are still encoded after the last sound, so that it dies away as the encoder would have it: 200 ms.
const SETTLE_FRAMES: u32 = 10;

/// Voices that are levelled together.
const FOUR: usize = 4;

/// Frames per measured energy: 100 ms.
const ENERGY_FRAMES: usize = CHUNK_FRAMES / 2;

/// A place in the programme, 0 to 31.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat(pub u8);

/// What a programme begins with.
#[derive(Debug)]
pub struct Config {
    /// Index of its first chunk.
    pub index: u64,
    /// When its first sample is heard.
    pub time: Time,
    /// Whether sound came before that which is missing now.
    pub beginning: Beginning,
    /// Bit rate of the programme.
    pub bitrate_bps: i32,
    /// Serial number of its Ogg stream (RFC 3533 §6), the space's own.
    pub ogg_serial: u32,
    /// Put into the sound when nobody is the active speaker any more; may be empty for none.
    pub nobody_event: Box<[u8]>,
    /// Whether the audience hears the stage from the first.
    pub audience: Audience,
}

/// Whether the audience hears the stage. Those on it hear each other in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Not yet: it hears [hold music](Programme::hold), or silence, and no event says who speaks.
    Waits,
    /// Yes.
    Hears,
}

/// How a programme begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// For the first time.
    New,
    /// After an interruption: its first chunk is marked as discontinuous.
    Resumed,
}

/// What a programme is told.
#[derive(Debug)]
pub enum Input<'a> {
    /// 20 ms are over.
    Beat,
    /// A packet of a speaker. For a seat that is empty it is ignored.
    Packet {
        /// Whose.
        seat: Seat,
        /// The packet.
        packet: Packet<Opus<'a>>,
    },
    /// 20 ms of a track, for the next beat, of somebody who is [replayed](Speaker::replayed). For a seat that is empty it is ignored.
    Piece {
        /// Whose.
        seat: Seat,
        /// What was heard of them.
        piece: Piece<'a>,
    },
    /// A speaker is muted, or open again: then they are heard from that moment on, and nothing that came before it is.
    Mute {
        /// Who.
        seat: Seat,
        /// Whether they may be heard.
        voicing: Voicing,
    },
    /// The audience hears the stage from the next frame on, or does not any more.
    Audience(Audience),
}

/// What a programme gives.
#[derive(Debug)]
pub enum Output<'a> {
    /// 200 ms are final. Give the box back with [`Programme::recycle`].
    Chunk(Box<Chunk>),
    /// 20 ms for one speaker: the programme without their own voice.
    Return {
        /// For whom.
        seat: Seat,
        /// One Opus frame.
        payload: Opus<'a>,
        /// When its first sample is heard in the programme.
        time: Time,
    },
    /// An event that was told is in the sound: drop it off the beat.
    Spent(Box<[u8]>),
}

/// The machine of one space's sound.
#[derive(Debug)]
pub struct Programme {
    seats: [Option<Box<Speaker>>; SEATS],
    floor: Floor,
    mix: Mix,
    part: Frame,
    encoder: Encoder,
    /// Whether the next frame is one that needs nothing before it.
    alone: bool,
    silence: Payload,
    /// Frames in a row with nothing to hear.
    silent_frames: u32,
    weighting: KWeighting,
    meter: TruePeak,
    facts: Facts,
    frames: Frames,
    /// The chunk that is being filled; none if the pool was empty when it began.
    chunk: Option<Box<Chunk>>,
    index: u64,
    discontinuous: bool,
    time: Time,
    events: Events,
    audience: Audience,
    /// What the audience hears while it waits.
    hold: Option<Arc<HoldMusic>>,
    /// Beats since that began.
    held: u64,
    #[allow(clippy::vec_box, reason = "chunks are handed out in their boxes")]
    pool: Vec<Box<Chunk>>,
    ready: Option<Box<Chunk>>,
    /// Whether this beat's frame of the programme is the encoder's last, or the one that says nothing.
    encoded: bool,
    next_return: usize,
    ogg_serial: u32,
    next_beat: Option<Instant>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    beats: u64,
    chunks: u64,
    missed: u64,
    refused_events: u64,
    /// Of speakers who left.
    encodes: u64,
    decodes: u64,
}

impl Programme {
    /// A programme with nobody on stage. All that it ever needs is allocated here.
    ///
    /// # Errors
    /// If libopus has no memory, or does not take the bit rate.
    pub fn new(config: Config) -> Result<Self, CodecError> {
        Ok(Self {
            seats: Default::default(),
            floor: Floor::new(),
            mix: Mix::new(),
            part: [0.0; FRAME_SAMPLES],
            encoder: Encoder::new(config.bitrate_bps)?,
            alone: true,
            silence: Encoder::silence(config.bitrate_bps)?,
            silent_frames: SETTLE_FRAMES,
            weighting: KWeighting::new(),
            meter: TruePeak::new(),
            facts: Facts::default(),
            frames: Frames::new(),
            chunk: None,
            index: config.index,
            discontinuous: config.beginning == Beginning::Resumed,
            time: config.time,
            events: Events::new(config.nobody_event),
            audience: config.audience,
            hold: None,
            held: 0,
            pool: std::iter::repeat_with(|| Box::new(empty_chunk())).take(POOL).collect(),
            ready: None,
            encoded: false,
            next_return: SEATS,
            ogg_serial: config.ogg_serial,
            next_beat: None,
            counts: Counts::default(),
        })
    }

    /// Gives a speaker a seat.
    ///
    /// # Errors
    /// The speaker back if all [`SEATS`] are taken.
    pub fn seat(&mut self, speaker: Box<Speaker>) -> Result<Seat, Box<Speaker>> {
        match self.seats.iter().position(Option::is_none) {
            Some(free) => {
                self.seats[free] = Some(speaker);
                Ok(Seat(free as u8))
            }
            None => Err(speaker),
        }
    }

    /// Gives a speaker this very seat, which a mix of tracks needs: voices are added in the order of seats. Gives back who sat there, or, if there is no
    /// such seat, the speaker.
    pub fn seat_at(&mut self, seat: Seat, speaker: Box<Speaker>) -> Option<Box<Speaker>> {
        match self.seats.get_mut(usize::from(seat.0)) {
            Some(place) => place.replace(speaker),
            None => Some(speaker),
        }
    }

    /// Takes a speaker off the stage, to be dropped off the beat. Mute them one beat before and no click is heard.
    pub fn unseat(&mut self, seat: Seat) -> Option<Box<Speaker>> {
        let speaker = self.seats.get_mut(usize::from(seat.0))?.take()?;
        let (encodes, decodes) = speaker.codec_calls();
        self.counts.encodes += encodes;
        self.counts.decodes += decodes;
        if self.floor.leave(seat.0) {
            self.events.floor_changed();
        }
        Some(speaker)
    }

    /// Sets the standing event: put into the sound at once, and every 2 s for those who come later. Gives the old one back. One longer than
    /// `package::emsg::EVENT_BYTES_MAX` is itself given back and counted, and the old one stands.
    pub fn stand(&mut self, event: Box<[u8]>) -> Option<Box<[u8]>> {
        self.events.stand(event).unwrap_or_else(|refused| {
            self.counts.refused_events += 1;
            Some(refused)
        })
    }

    /// Has an audience that waits hear this from the next beat on, from its beginning, and again and again; without, silence. Gives back what it heard before,
    /// to be dropped off the beat.
    pub fn hold(&mut self, music: Option<Arc<HoldMusic>>) -> Option<Arc<HoldMusic>> {
        self.held = 0;
        std::mem::replace(&mut self.hold, music)
    }

    /// Puts an event into the sound once, with the next beat. It comes back as [`Output::Spent`].
    ///
    /// # Errors
    /// The event back if [`TOLD_MAX`] others wait, or it is longer than `package::emsg::EVENT_BYTES_MAX`.
    pub fn tell(&mut self, event: Box<[u8]>) -> Result<(), Box<[u8]>> {
        self.events.tell(event)
    }

    /// Takes in one thing. Drain [`Self::poll`] after each.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Beat => wide::beat(self, now),
            Input::Packet { seat, packet } => {
                if let Some(speaker) = self.speaker(seat) {
                    speaker.handle(packet);
                }
            }
            Input::Piece { seat, piece } => {
                if let Some(speaker) = self.speaker(seat) {
                    speaker.replay(&piece);
                }
            }
            Input::Mute { seat, voicing } => {
                if let Some(speaker) = self.speaker(seat) {
                    speaker.voice(now, voicing);
                }
            }
            Input::Audience(audience) if audience != self.audience => {
                self.audience = audience;
                // Listeners last got hold music or the cached silence, which this encoder knows nothing of.
                self.encoder.reset();
                self.alone = true;
                self.events.floor_changed();
            }
            Input::Audience(_) => {}
        }
    }

    /// The next thing that the programme gives, if any.
    pub fn poll(&mut self) -> Option<Output<'_>> {
        if let Some(chunk) = self.ready.take() {
            return Some(Output::Chunk(chunk));
        }
        while let Some(slot) = self.seats.get(self.next_return) {
            let seat = Seat(self.next_return as u8);
            self.next_return += 1;
            let Some(speaker) = slot.as_ref().filter(|speaker| speaker.wants_return()) else { continue };
            let payload = speaker.returned(self.shared(), self.silence.opus());
            // `time` is already that of the next frame.
            let time = Time(self.time.0.saturating_sub(FRAME_SAMPLES as u64));
            return Some(Output::Return { seat, payload, time });
        }
        self.events.spent().map(Output::Spent)
    }

    /// When the next beat is due; `None` before the first.
    pub fn deadline(&self) -> Option<Instant> {
        self.next_beat
    }

    /// Takes a chunk back into the pool. If that is full the chunk is given back, to be dropped off the beat.
    pub fn recycle(&mut self, chunk: Box<Chunk>) -> Option<Box<Chunk>> {
        if self.pool.len() >= POOL {
            return Some(chunk);
        }
        self.pool.push(chunk);
        None
    }

    /// How many seats are taken.
    pub fn speaker_count(&self) -> usize {
        self.seats.iter().flatten().count()
    }

    /// Who is the active speaker.
    pub fn active(&self) -> Option<Seat> {
        self.floor.active().map(Seat)
    }

    /// What is to be kept of the last beat of a speaker whose track is [kept](Speaker::kept), and when its first sample was heard. `None`: nothing was,
    /// or the audience waits.
    pub fn piece(&self, seat: Seat) -> Option<(Time, Result<&[u8], Dropped>)> {
        if self.audience == Audience::Waits {
            return None;
        }
        let piece = self.seats.get(usize::from(seat.0))?.as_ref()?.piece()?;
        Some((Time(self.time.0.saturating_sub(FRAME_SAMPLES as u64)), piece))
    }

    /// When the first sample of the next beat will be heard.
    pub fn time(&self) -> Time {
        self.time
    }

    /// Whether a chunk was just finished, so that nothing is lost if the programme stops here.
    pub fn is_between_chunks(&self) -> bool {
        self.frames.is_empty()
    }

    /// Index and time of the chunk after the last finished one, for the programme that goes on from here.
    pub fn next(&self) -> (u64, Time) {
        (self.index, Time(self.time.0.saturating_sub((self.frames.len() * FRAME_SAMPLES) as u64)))
    }

    /// Calls of the encoder and of the decoder so far, as in [`Stats`] but cheap enough for every beat.
    pub fn codec_calls(&self) -> (u64, u64) {
        let calls = self.seats.iter().flatten().map(|speaker| speaker.codec_calls());
        let left = (self.encoder.calls() + self.counts.encodes, self.counts.decodes);
        calls.fold(left, |sum, calls| (sum.0 + calls.0, sum.1 + calls.1))
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        let seats = std::array::from_fn(|seat| self.seats[seat].as_ref().map(|speaker| speaker.stats()));
        let (encodes, decodes) = self.codec_calls();
        Stats {
            beats: self.counts.beats,
            chunks: self.counts.chunks,
            missed: self.counts.missed,
            refused_events: self.counts.refused_events,
            encodes,
            decodes,
            active: self.floor.active(),
            seats,
        }
    }

    /// This beat's frame of the programme, for those who share it.
    fn shared(&self) -> Opus<'_> {
        self.encoder.last().filter(|_| self.encoded).unwrap_or(self.silence.opus())
    }

    fn speaker(&mut self, seat: Seat) -> Option<&mut Box<Speaker>> {
        self.seats.get_mut(usize::from(seat.0))?.as_mut()
    }

    #[inline(always)]
    fn beat(&mut self, now: Instant) {
        self.next_beat = match self.next_beat {
            // On an absolute schedule, unless it was lost altogether.
            Some(due) if due <= now && now < due + 10 * BEAT => Some(due + BEAT),
            _ => Some(now + BEAT),
        };
        self.counts.beats += 1;
        if self.frames.is_empty() {
            self.begin_chunk();
        }
        let sounding = self.gather(now);
        self.speak();
        if sounding {
            self.sound()
        } else {
            self.no_sound()
        }
        self.next_return = 0;
        let frame = match self.audience {
            Audience::Hears => self.encoder.last().filter(|_| self.encoded),
            Audience::Waits => self.hold.as_ref().and_then(|music| music.frame(self.held)),
        };
        let frame = frame.unwrap_or(self.silence.opus());
        // An encoder's frame is never empty nor too long, and a full chunk was closed: nothing to refuse.
        let _ = self.frames.push(frame.as_slice());
        self.held += 1;
        self.time.0 += FRAME_SAMPLES as u64;
        if self.frames.is_full() {
            self.end_chunk();
        }
    }

    /// Adds every voice to the mix; whether there is anything to hear, or was a moment ago.
    #[inline(always)]
    fn gather(&mut self, now: Instant) -> bool {
        let mut heard = false;
        self.mix.clear();
        let (mut four, mut count) = ([const { None }; FOUR], 0);
        for speaker in self.seats.iter_mut().flatten() {
            if !speaker.render(now) {
                continue;
            }
            heard = true;
            four[count] = Some(&mut **speaker);
            count += 1;
            if count == FOUR {
                level_and_add(&mut self.mix, std::mem::replace(&mut four, [const { None }; FOUR]));
                count = 0;
            }
        }
        if count > 0 {
            level_and_add(&mut self.mix, four);
        }
        if heard {
            if self.silent_frames >= SETTLE_FRAMES {
                // Listeners last got the cached silence, which this encoder knows nothing of.
                self.encoder.reset();
                self.alone = true;
            }
            self.silent_frames = 0;
        } else {
            self.silent_frames = self.silent_frames.saturating_add(1);
        }
        heard || self.silent_frames < SETTLE_FRAMES
    }

    /// Puts events into the chunk, the active speaker's among them.
    fn speak(&mut self) {
        let speakers = self.seats.iter().zip(0_u8..);
        let activities = speakers.filter_map(|(slot, seat)| slot.as_ref().map(|speaker| (seat, &speaker.activity)));
        if self.floor.frame(activities) {
            self.events.floor_changed();
        }
        let active = self.floor.active().filter(|_| self.audience == Audience::Hears);
        let active = active.and_then(|seat| self.seats.get(usize::from(seat))?.as_ref());
        if let Some(chunk) = &mut self.chunk {
            self.events.write(chunk, self.time, active.map(|speaker| &*speaker.speaking_event));
        }
    }

    /// Limits, measures and encodes the mix, and what differs from it for those who are in it.
    #[inline(always)]
    fn sound(&mut self) {
        let programme = self.mix.finish();
        let alone = std::mem::take(&mut self.alone);
        let frame = if alone { self.encoder.encode_alone(programme) } else { self.encoder.encode(programme) };
        self.encoded = frame.is_ok();
        if self.audience == Audience::Hears {
            let half = self.frames.len() / ENERGY_FRAMES;
            if let Some(energy) = self.facts.energy.get_mut(half) {
                *energy += self.weighting.energy(programme) / (ENERGY_FRAMES * FRAME_SAMPLES) as f32;
            }
            for block in programme.as_chunks().0 {
                self.facts.true_peak = self.facts.true_peak.max(self.meter.above(block, self.facts.true_peak));
            }
        }
        for speaker in self.seats.iter_mut().flatten() {
            speaker.hold_back();
            if speaker.has_own_return() {
                self.mix.without(&speaker.frame, &mut self.part);
                speaker.encode_return(&self.part);
            } else {
                speaker.share_return();
            }
        }
    }

    fn no_sound(&mut self) {
        self.encoded = false;
        if self.silent_frames == SETTLE_FRAMES {
            self.weighting = KWeighting::new();
            self.meter = TruePeak::new();
            self.seats.iter_mut().flatten().for_each(|speaker| speaker.share_return());
        }
    }

    fn begin_chunk(&mut self) {
        self.events.begin_chunk(self.index);
        self.facts = Facts::default();
        self.chunk = self.pool.pop();
        if let Some(chunk) = &mut self.chunk {
            chunk.clear();
            chunk.index = self.index;
            chunk.time = self.time;
            chunk.discontinuous = self.discontinuous;
        }
    }

    fn end_chunk(&mut self) {
        match self.chunk.take() {
            Some(mut chunk) => {
                chunk.duration = self.frames.duration();
                chunk.facts = self.facts;
                let sequence = (chunk.index as u32).wrapping_add(1);
                let (mp4, ogg) = (&mut chunk.mp4, &mut chunk.ogg);
                package::chunk(mp4, ogg, self.ogg_serial, sequence, chunk.time, &self.frames);
                self.discontinuous = false;
                self.counts.chunks += 1;
                if let Some(unpolled) = self.ready.replace(chunk) {
                    self.counts.missed += 1;
                    self.recycle(unpolled);
                }
            }
            None => {
                self.counts.missed += 1;
                self.discontinuous = true;
            }
        }
        self.frames.clear();
        self.index += 1;
    }
}

/// Makes some voices as loud as the others, and adds them.
#[inline(always)]
fn level_and_add(mix: &mut Mix, mut four: [Option<&mut Speaker>; FOUR]) {
    Speaker::level(&mut four);
    for speaker in four.iter().flatten() {
        mix.add(&speaker.frame);
    }
}

/// A chunk with room for what this programme's encoder can make, which is far less than what Opus allows.
fn empty_chunk() -> Chunk {
    let frames = CHUNK_FRAMES * FRAME_BYTES_MAX;
    let page = ogg::CHUNK_PAGE_BYTES_MAX - CHUNK_FRAMES * chunk::FRAME_BYTES_MAX;
    Chunk {
        mp4: Vec::with_capacity(EVENT_ROOM_BYTES + fmp4::overhead_bytes(fmp4::Shape::Live, CHUNK_FRAMES) + frames),
        ogg: Vec::with_capacity(page + frames),
        ..Chunk::new()
    }
}

#[cfg(test)]
mod tests;
