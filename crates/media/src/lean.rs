//! The lean form of a chunk: the same sound at half the bitrate, in the same containers, for when there are more listeners than the line has room for.
//!
//! It takes the programme's own Opus frames, decodes them and encodes them again: milliseconds of work for a chunk, so it is for a thread of its own, never for the beat.
//!
//! At this rate libopus encodes otherwise than at the programme's (SILK in place of CELT, RFC 6716 §2.1), and each frame needs the ones before: a decoder that has just
//! heard the standard form would be nearly silent for 50 ms. So there are chunks that can be *entered*: their first frame needs nothing (and is less fine, so that not
//! every chunk is one). They come in pairs, for those to whom the first was written before there was a lean form of it. The way back needs nothing of the kind.
//!
//! Time is kept exactly: as many frames come out as go in, of the same length, so that a listener may be given either form of any chunk. The sound itself is later in the
//! lean form, by what an encoder looks ahead ([`PRE_SKIP`](crate::package::PRE_SKIP) samples, 6.5 ms): whoever goes from the standard form to the lean one hears so much
//! twice, and misses it on the way back. To take it out, the last frame of a chunk would have to know the first 6.5 ms of the next, and come 200 ms later for it.

use crate::chunk::Frames;
use crate::opus::{self, CodecError, Decoder, PACKET_SAMPLES_MAX};
use crate::package::{self, fmp4};
use crate::packet::Opus;
use crate::{FRAME_SAMPLES, Time};

/// Bits per second: for speech in wideband 16 to 20 kbit/s, says RFC 7587 §3.1.1.
pub const BITRATE_BPS: i32 = 16_000;
/// At least each 50th chunk (10 s) can be entered, whether or not anybody asked: whose wish was missed waits no longer.
const ENTRY_EVERY: u32 = 50;
/// One after another.
const ENTRIES: u32 = 2;

/// Makes the lean forms of one programme's chunks, in their order.
#[derive(Debug)]
pub struct Encoder {
    decoder: Decoder,
    encoder: opus::Encoder,
    pcm: Box<[f32; PACKET_SAMPLES_MAX]>,
    frames: Frames,
    /// Where the last chunk ended.
    next: Option<Time>,
    /// Chunks since the last time that one was to be entered.
    since_entry: u32,
}

/// A chunk's lean form, as the standard one is packaged: the same events, numbers and times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Whether a decoder that heard the standard form until then can begin with it.
    pub entry: bool,
    /// Events and one fragment.
    pub mp4: Vec<u8>,
    /// One page.
    pub ogg: Vec<u8>,
}

impl Encoder {
    /// An encoder that has heard nothing.
    ///
    /// # Errors
    /// If a codec has no memory.
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self {
            decoder: Decoder::new()?,
            encoder: opus::Encoder::wideband(BITRATE_BPS)?,
            pcm: Box::new([0.0; PACKET_SAMPLES_MAX]),
            frames: Frames::new(),
            next: None,
            since_entry: 0,
        })
    }

    /// The next two chunks can be entered.
    pub fn open(&mut self) {
        self.since_entry = 0;
    }

    /// The lean form of a chunk, given as its standard MP4 form and the serial number of its Ogg stream. Where sound is missing before it, what was heard until then is
    /// forgotten. A frame that is no 20 ms of Opus is heard as what the sound would likely have been.
    ///
    /// # Errors
    /// Only the codec's own: no memory, most likely.
    pub fn encode(&mut self, chunk: &fmp4::Fragment<'_>, serial: u32) -> Result<Chunk, CodecError> {
        if self.next.is_some_and(|next| next != chunk.time) {
            self.decoder.reset();
            self.encoder.reset();
            self.open();
        }
        let entry = self.since_entry < ENTRIES;
        self.since_entry = (self.since_entry + 1) % ENTRY_EVERY;
        self.next = Some(Time(chunk.time.0 + u64::from(chunk.duration())));
        self.frames.clear();
        for (n, frame) in chunk.iter().enumerate() {
            let pcm = decoded(&mut self.decoder, frame, &mut self.pcm[..])?;
            let lean = if entry && n == 0 { self.encoder.encode_alone(pcm)? } else { self.encoder.encode(pcm)? };
            self.frames.push(lean.as_slice()).map_err(|_| CodecError)?;
        }
        let mut lean = Chunk { entry, mp4: chunk.event_boxes().to_vec(), ogg: Vec::new() };
        package::chunk(&mut lean.mp4, &mut lean.ogg, serial, chunk.sequence, chunk.time, &self.frames);
        Ok(lean)
    }
}

/// 20 ms of sound.
fn decoded<'a>(
    decoder: &mut Decoder,
    frame: &[u8],
    pcm: &'a mut [f32],
) -> Result<&'a [f32; FRAME_SAMPLES], CodecError> {
    let whole = Opus::new(frame).ok_or(CodecError).and_then(|opus| decoder.decode(opus, pcm));
    if whole != Ok(FRAME_SAMPLES) {
        decoder.conceal(pcm.get_mut(..FRAME_SAMPLES).ok_or(CodecError)?)?;
    }
    pcm.first_chunk().ok_or(CodecError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::{PRE_SKIP, emsg, ogg};
    use crate::{CHUNK_FRAMES, SAMPLE_RATE};

    const SERIAL: u32 = 7;

    /// Something like speech: a pitch that wanders, with overtones, in syllables, over a little noise.
    fn voice(count: usize) -> Vec<f32> {
        let (mut phase, mut noise) = (0.0_f32, 1_u32);
        let sample = |n: usize| {
            let seconds = n as f32 / SAMPLE_RATE as f32;
            phase = (phase + (140.0 + 40.0 * (seconds * 2.3).sin()) / SAMPLE_RATE as f32).fract();
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let overtones = (1..=20).map(|k| (phase * k as f32 * std::f32::consts::TAU).sin() / k as f32);
            let syllable = (0.6 + 0.4 * (seconds * 4.1 * std::f32::consts::TAU).sin()) * 0.12;
            overtones.sum::<f32>() * syllable + (noise >> 8) as f32 / (1 << 24) as f32 * 0.004
        };
        (0..count * CHUNK_FRAMES * FRAME_SAMPLES).map(sample).collect()
    }

    /// Chunks of that, as a programme would have made them; the one at `index` has an event.
    fn standard(sound: &[f32]) -> Vec<Chunk> {
        let mut encoder = opus::Encoder::new(32_000).unwrap();
        let chunks = sound.chunks_exact(CHUNK_FRAMES * FRAME_SAMPLES);
        let chunk = |(index, sound): (usize, &[f32])| {
            let mut frames = Frames::new();
            for frame in sound.chunks_exact(FRAME_SAMPLES) {
                frames.push(encoder.encode(frame.try_into().unwrap()).unwrap().as_slice()).unwrap();
            }
            let (mut chunk, time) = (Chunk::default(), Time(index as u64 * 9_600));
            emsg::write(&mut chunk.mp4, time, index as u32, b"{}").unwrap();
            package::chunk(&mut chunk.mp4, &mut chunk.ogg, SERIAL, index as u32 + 1, time, &frames);
            chunk
        };
        chunks.enumerate().map(chunk).collect()
    }

    fn lean(encoder: &mut Encoder, chunks: &[Chunk]) -> Vec<Chunk> {
        let lean = |chunk: &Chunk| encoder.encode(&fmp4::frames(&chunk.mp4).unwrap(), SERIAL).unwrap();
        chunks.iter().map(lean).collect()
    }

    /// What a listener's decoder makes of chunks.
    fn heard<'a>(chunks: impl IntoIterator<Item = &'a Chunk>) -> Vec<f32> {
        let mut decoder = Decoder::new().unwrap();
        let (mut pcm, mut sound) = ([0.0; PACKET_SAMPLES_MAX], Vec::new());
        for chunk in chunks {
            for frame in fmp4::frames(&chunk.mp4).unwrap().iter() {
                let len = decoder.decode(Opus::new(frame).unwrap(), &mut pcm).unwrap();
                sound.extend_from_slice(&pcm[..len]);
            }
        }
        sound
    }

    fn decibels(sound: &[f32]) -> f32 {
        10.0 * (sound.iter().map(|sample| sample * sample).sum::<f32>() / sound.len() as f32).log10()
    }

    /// How much later the second is, in samples: where they are most alike.
    fn lag(one: &[f32], other: &[f32]) -> usize {
        let alike = |lag: usize| one.iter().zip(&other[lag..]).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        (0..FRAME_SAMPLES).max_by(|a, b| alike(*a).total_cmp(&alike(*b))).unwrap()
    }

    #[test]
    fn it_has_half_the_bytes_of_sound_and_is_as_loud() {
        let chunks = standard(&voice(25));
        let lean = lean(&mut Encoder::new().unwrap(), &chunks);
        let bytes = |chunks: &[Chunk]| -> usize {
            let frames = |chunk: &Chunk| fmp4::frames(&chunk.mp4).unwrap().iter().map(<[u8]>::len).sum::<usize>();
            chunks.iter().map(frames).sum()
        };
        let ratio = bytes(&lean) as f32 / bytes(&chunks) as f32;
        assert!((0.3..0.6).contains(&ratio), "{ratio}");
        let louder = decibels(&heard(&lean)) - decibels(&heard(&chunks));
        assert!(louder.abs() < 1.0, "{louder} dB");
    }

    #[test]
    fn numbers_times_and_events_are_those_of_the_standard_form() {
        let chunks = standard(&voice(3));
        let lean = lean(&mut Encoder::new().unwrap(), &chunks);
        let (mut pages, mut packets) = (ogg::head(SERIAL, &package::Track::mono(), &[]), Vec::new());
        for (lean, chunk) in lean.iter().zip(&chunks) {
            let (made, given) = (fmp4::frames(&lean.mp4).unwrap(), fmp4::frames(&chunk.mp4).unwrap());
            assert_eq!((made.sequence, made.time, made.len()), (given.sequence, given.time, CHUNK_FRAMES));
            assert_eq!(made.event_boxes(), given.event_boxes());
            assert!(!made.event_boxes().is_empty());
            // Flags, granule, serial number and page number; then comes the checksum (RFC 3533 §6).
            assert_eq!(lean.ogg[..22], chunk.ogg[..22]);
            pages.extend_from_slice(&lean.ogg);
            packets.extend(made.iter());
        }
        let stream = ogg::frames(&pages).unwrap();
        assert!(stream.packets.iter().map(Vec::as_slice).eq(packets));
    }

    #[test]
    fn it_is_later_by_what_an_encoder_looks_ahead_and_no_more() {
        let chunks = standard(&voice(10));
        let lean = lean(&mut Encoder::new().unwrap(), &chunks);
        // Without the first chunk, in which both fade in.
        let (standard, lean) = (heard(&chunks).split_off(9_600), heard(&lean).split_off(9_600));
        let lag = lag(&standard[..9_600 * 6], &lean);
        assert!(lag.abs_diff(PRE_SKIP.into()) <= 8, "{lag} samples");
    }

    #[test]
    fn a_listener_who_enters_and_leaves_it_hears_no_gap() {
        let chunks = standard(&voice(20));
        let mut encoder = Encoder::new().unwrap();
        let lean: Vec<Chunk> = (0..20)
            .map(|n| {
                if n % 6 == 3 {
                    encoder.open();
                }
                lean(&mut encoder, &chunks[n..=n]).remove(0)
            })
            .collect();
        assert!((0..20).all(|n| lean[n].entry == (n < 2 || [3, 4].contains(&(n % 6)))));
        let either = (0..20).map(|n| if n / 3 % 2 == 0 { &chunks[n] } else { &lean[n] });
        let (mixed, standard, lean) = (heard(either), heard(&chunks), heard(&lean));
        assert_eq!(mixed.len(), standard.len());
        let parts = mixed.chunks(480).zip(standard.chunks(480).zip(lean.chunks(480)));
        for (n, (mixed, (standard, lean))) in parts.enumerate().skip(20) {
            let (quieter, louder) = (decibels(standard).min(decibels(lean)), decibels(standard).max(decibels(lean)));
            let mixed = decibels(mixed);
            assert!((quieter - 4.0..louder + 4.0).contains(&mixed), "at {} ms: {mixed}, not {quieter} dB", n * 10);
        }
    }

    #[test]
    fn two_in_fifty_chunks_can_be_entered_and_any_that_are_asked_for() {
        let chunks = standard(&voice(60));
        let mut encoder = Encoder::new().unwrap();
        let mut entries = Vec::new();
        for n in 0..60 {
            if n == 5 {
                encoder.open();
            }
            entries.extend(lean(&mut encoder, &chunks[n..=n])[0].entry.then_some(n));
        }
        assert_eq!(entries, [0, 1, 5, 6, 55, 56]);
    }

    #[test]
    fn where_sound_is_missing_it_begins_as_if_it_were_new() {
        let chunks = standard(&voice(10));
        let mut encoder = Encoder::new().unwrap();
        lean(&mut encoder, &chunks[..4]);
        let after = lean(&mut encoder, &chunks[6..]);
        assert_eq!(after, lean(&mut Encoder::new().unwrap(), &chunks[6..]));
    }

    #[test]
    fn rubbish_is_concealed_and_as_many_frames_come_out() {
        let mut frames = Frames::new();
        // No Opus; 60 ms; 2.5 ms (RFC 6716 §3.1).
        let rubbish: [&[u8]; 3] = [&[0xff, 0x3f], &[0x18, 0, 0], &[0xe0, 0]];
        for n in 0..CHUNK_FRAMES {
            frames.push(rubbish[n % 3]).unwrap();
        }
        let mut chunk = Chunk::default();
        package::chunk(&mut chunk.mp4, &mut chunk.ogg, SERIAL, 1, Time(0), &frames);
        let mut encoder = Encoder::new().unwrap();
        assert_eq!(fmp4::frames(&lean(&mut encoder, &[chunk])[0].mp4).unwrap().len(), CHUNK_FRAMES);
        let after = lean(&mut encoder, &standard(&voice(5))[1..]);
        assert!(decibels(&heard(&after)) > -40.0);
    }
}
