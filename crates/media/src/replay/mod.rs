//! From the chunks of an ended space to its replay: `replay.mp4`, `replay.ogg` and `index.m3u8`.
//!
//! Two passes over the stored chunks, in order. The first ([`Sealer`]) counts and measures; the second writes each file as a
//! stream, with the exact duration, an index and the loudness at its front. Memory does not grow with the sound: one fragment
//! of 4 s, and four bytes for each fragment (86 kB for a day). Nothing is decoded or encoded, and no file is opened: bytes go
//! into the caller's `Vec`, which it writes out and clears.
//!
//! Time is rebased to zero. A hole (the disk was full, the house restarted) is filled with encoded silence, so that the
//! replay's clock stays the wall's; holes beyond [`HOLE_FILLED_MAX`] are cut to [`HOLE_CUT_TO`]. Either is told by an event.
//!
//! The encoder's delay and the sound's end: the n frames of a space decode to n × 960 samples, [`PRE_SKIP`] late. One silent frame
//! after the last lets the late samples out, and both files say how much to drop at each end: what is heard is n × 960
//! samples exactly.

pub mod clip;
mod gate;
mod mp4;
mod notes;
mod ogg;
mod splice;
mod stretch;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use self::splice::{Splice, Step};
pub use self::{
    gate::Gate,
    mp4::{Changed, Mp4},
    ogg::Ogg,
    splice::Unusable,
    stretch::{Place, Stretch, Trim},
};
use crate::chunk::Facts;
use crate::package::emsg::{self, Event};
use crate::package::fmp4::{self, Fragment, Shape};
use crate::package::{PRE_SKIP, Track};
use crate::{FRAME_SAMPLES, SAMPLE_RATE, Time};

/// 20 ms of digital silence: CELT only, fullband, mono, one frame (RFC 6716 §3.1, configuration 31), its silence flag set
/// (§4.3). Decoded after speech it lets the overlap out and is then exactly zero.
pub const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];
/// Frames in one fragment of `replay.mp4`, which is one HLS segment: 4 s.
pub const FRAGMENT_FRAMES: usize = 200;
/// The longest hole that is filled for its whole length.
pub const HOLE_FILLED_MAX: Duration = Duration::from_secs(600);
/// What is left of a longer hole: enough to hear that something is missing.
pub const HOLE_CUT_TO: Duration = Duration::from_secs(2);
/// The longest replay, 72 h: what one `sidx` can index (65,535 references, ISO/IEC 14496-12 §8.16.3) at 4 s each.
pub const FRAMES_MAX: u64 = FRAGMENT_FRAMES as u64 * 65_535;
/// Titles are cut to this many bytes; they are repeated in each file's head.
pub const TITLE_BYTES_MAX: usize = 1024;
/// Chapters in a file; the rest is left out. `chpl` counts them in a byte.
pub const CHAPTERS_MAX: usize = 255;
/// Titles of chapters are cut to this many bytes, so that all of them fit on the one page that Ogg has for its tags: twice the longest name of a speaker.
pub const CHAPTER_BYTES_MAX: usize = 128;

/// One stored chunk.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Its position in the log.
    pub index: u64,
    /// Its MP4 part, as `package::fmp4` wrote it.
    pub mp4: &'a [u8],
    /// What was measured about it.
    pub facts: Facts,
}

/// What the files say about the recording.
#[derive(Debug, Clone)]
pub struct Labels<'a> {
    /// The space's title.
    pub title: &'a str,
    /// The day it began, `YYYY-MM-DD`.
    pub date: Option<&'a str>,
    /// Channels and language.
    pub track: Track,
    /// In order; none: the recording is one piece.
    pub chapters: &'a [Chapter],
}

/// A part of a recording that has a name, up to the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chapter {
    /// Where it begins, as heard.
    pub begin: Time,
    /// What it is called.
    pub title: String,
}

/// A part that was measured: where it is in the replay.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// When its first sample is heard.
    pub begin: Time,
    fragment: Fragment<'a>,
}

impl<'a> Measured<'a> {
    /// Its length in samples.
    pub fn samples(&self) -> u32 {
        self.fragment.duration()
    }

    /// Its events: when each is due in the replay, and what it says.
    pub fn events(&self) -> impl Iterator<Item = (Time, &'a [u8])> + use<'a> {
        let Self { begin, fragment } = *self;
        fragment.events().map(move |event| (due(begin, &fragment, &event), event.payload))
    }
}

/// When an event of a part that begins at `begin` is due in the replay.
fn due(begin: Time, fragment: &Fragment<'_>, event: &Event<'_>) -> Time {
    let after = event.time.0.saturating_sub(fragment.time.0).min(u64::from(fragment.duration()));
    Time(begin.0 + after)
}

/// The first pass: hand it every part in order, then [`finish`](Self::finish).
#[derive(Debug, Default)]
pub struct Sealer {
    splice: Splice,
    gate: Gate,
    true_peak: f32,
    /// Bytes of each finished fragment, events included.
    fragments: Vec<u32>,
    open: Open,
    frames: u64,
    holes: u32,
    missing: u64,
    cut: u64,
}

/// The fragment being measured.
#[derive(Debug, Default, Clone, Copy)]
struct Open {
    frames: usize,
    bytes: usize,
    event_bytes: usize,
}

/// There was no usable part with a frame in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Empty;

impl Sealer {
    /// Nothing measured yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Measures one part, and says where it is.
    ///
    /// # Errors
    /// One [`Unusable`] per rule. The part then counts as missing, and measuring can go on; the second pass refuses the same
    /// parts again, and must be given them or spared them alike.
    pub fn measure<'a>(&mut self, part: &Part<'a>) -> Result<Measured<'a>, Unusable> {
        let step = self.splice.step(part)?;
        self.true_peak = self.true_peak.max(part.facts.true_peak);
        if let Some(hole) = &step.hole {
            self.holes = self.holes.saturating_add(1);
            self.missing += hole.missing_frames;
            self.cut += hole.missing_frames - hole.filled_frames;
            self.open.event_bytes += emsg::EVENT_OVERHEAD_BYTES + hole.event().len();
            for _ in 0..hole.filled_frames {
                self.frame(SILENCE.len());
            }
            for _ in 0..hole.filled_frames.div_ceil(5) {
                self.gate.push(0.0);
            }
        }
        let begin = frame_time(self.frames);
        for event in step.fragment.events() {
            self.open.event_bytes += emsg::EVENT_OVERHEAD_BYTES + event.payload.len();
        }
        for frame in step.fragment.iter() {
            self.frame(frame.len());
        }
        for energy in part.facts.energy {
            self.gate.push(energy);
        }
        Ok(Measured { begin, fragment: step.fragment })
    }

    /// Length in samples so far, as heard.
    pub fn samples(&self) -> u64 {
        self.frames * FRAME_SAMPLES as u64
    }

    /// Ends the first pass.
    ///
    /// # Errors
    /// [`Empty`] if there is nothing to hear.
    pub fn finish(mut self, labels: &Labels<'_>) -> Result<Replay, Empty> {
        if self.frames == 0 {
            return Err(Empty);
        }
        // The closing frame of silence, in the last fragment even if that is full; and its events, if none followed.
        let last_frames = if self.open.frames == 0 {
            self.fragments.pop().map_or(0, |bytes| {
                let overhead = fmp4::overhead_bytes(Shape::Replay, FRAGMENT_FRAMES);
                self.open.bytes += bytes as usize - overhead;
                FRAGMENT_FRAMES
            })
        } else {
            self.open.frames
        } + 1;
        let bytes = self.open.bytes + SILENCE.len() + self.open.event_bytes;
        self.fragments.push((fmp4::overhead_bytes(Shape::ReplayEnd, last_frames) + bytes) as u32);

        let loudness = Loudness {
            integrated_lufs: self.gate.integrated_lufs(),
            true_peak_dbtp: (self.true_peak > 0.0).then(|| 20.0 * self.true_peak.log10()),
        };
        let title = cut(labels.title, TITLE_BYTES_MAX);
        let chapters = &labels.chapters[..labels.chapters.len().min(CHAPTERS_MAX)];
        let mut head = Vec::new();
        fmp4::write_init(
            &mut head,
            &labels.track,
            Some(&fmp4::Finished {
                duration: self.frames * FRAME_SAMPLES as u64,
                track_notes: &|out| notes::track(out, &loudness),
                movie_notes: &|out| {
                    notes::movie(out, title, labels.date, &loudness);
                    notes::chapters(out, chapters);
                },
            }),
        );
        Ok(Replay {
            frames: self.frames,
            fragments: self.fragments,
            mp4_head: head,
            ogg_tags: notes::ogg_tags(title, labels.date, &loudness, chapters),
            track: labels.track.clone(),
            loudness,
            holes: self.holes,
            missing: frames_long(self.missing),
            cut: frames_long(self.cut),
        })
    }

    fn frame(&mut self, bytes: usize) {
        self.frames += 1;
        self.open.frames += 1;
        self.open.bytes += bytes;
        if self.open.frames == FRAGMENT_FRAMES {
            let whole = fmp4::overhead_bytes(Shape::Replay, FRAGMENT_FRAMES) + self.open.bytes + self.open.event_bytes;
            self.fragments.push(whole as u32);
            self.open = Open::default();
        }
    }
}

/// Loudness of the whole recording (ITU-R BS.1770-4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loudness {
    /// Integrated, gated; none if nothing was louder than −70 LUFS.
    pub integrated_lufs: Option<f32>,
    /// None if every sample was zero.
    pub true_peak_dbtp: Option<f32>,
}

/// What the first pass found; it makes the writers of the second.
#[derive(Debug, Clone)]
pub struct Replay {
    frames: u64,
    fragments: Vec<u32>,
    mp4_head: Vec<u8>,
    ogg_tags: Vec<(Cow<'static, str>, String)>,
    track: Track,
    /// Loudness of the whole.
    pub loudness: Loudness,
    /// How many holes there are.
    pub holes: u32,
    /// How much sound is missing in them.
    pub missing: Duration,
    /// How much of that was cut out, so that the replay is shorter than the wall's time.
    pub cut: Duration,
}

impl Replay {
    /// Length in samples, as heard.
    pub fn samples(&self) -> u64 {
        self.frames * FRAME_SAMPLES as u64
    }

    /// Length, as heard.
    pub fn duration(&self) -> Duration {
        frames_long(self.frames)
    }

    /// Bytes of `replay.mp4`.
    pub fn mp4_bytes(&self) -> u64 {
        self.mp4_fragments_from() + self.fragments.iter().map(|&bytes| u64::from(bytes)).sum::<u64>()
    }

    /// Begins `replay.mp4`: appends its head to `out`.
    pub fn mp4(&self, out: &mut Vec<u8>) -> Mp4<'_> {
        Mp4::begin(self, out)
    }

    /// Begins `replay.ogg`: appends its head to `out`.
    pub fn ogg(&self, serial: u32, out: &mut Vec<u8>) -> Ogg {
        Ogg::begin(self, serial, out)
    }

    /// `index.m3u8`: byte ranges of `replay.mp4`, which the playlist finds at `uri` (RFC 8216 §4.3.2.2).
    pub fn playlist(&self, uri: &str) -> String {
        let mut text = String::with_capacity(256 + self.fragments.len() * (48 + uri.len()));
        text.push_str("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n");
        let _ = writeln!(text, "#EXT-X-MAP:URI=\"{uri}\",BYTERANGE=\"{}@0\"", self.mp4_head.len());
        let mut at = self.mp4_fragments_from();
        for (bytes, samples) in self.subsegments() {
            let seconds = f64::from(samples) / f64::from(SAMPLE_RATE);
            let _ = writeln!(text, "#EXTINF:{seconds:.6},\n#EXT-X-BYTERANGE:{bytes}@{at}\n{uri}");
            at += u64::from(bytes);
        }
        text.push_str("#EXT-X-ENDLIST\n");
        text
    }

    fn mp4_fragments_from(&self) -> u64 {
        (self.mp4_head.len() + mp4::sidx_bytes(self.fragments.len())) as u64
    }

    /// Bytes of each fragment, and samples of it that are heard: the first has its pre-skip dropped, the last ends with as much.
    fn subsegments(&self) -> impl Iterator<Item = (u32, u32)> {
        const SAMPLES: u64 = (FRAGMENT_FRAMES * FRAME_SAMPLES) as u64;
        let (total, skip, count) = (self.samples(), u64::from(PRE_SKIP), self.fragments.len() as u64);
        self.fragments.iter().zip(0_u64..).map(move |(&bytes, n)| {
            let from = (n * SAMPLES).saturating_sub(skip);
            let to = if n + 1 == count { total } else { (n + 1) * SAMPLES - skip };
            (bytes, (to - from) as u32)
        })
    }
}

/// At most so many bytes of a text, cut between letters.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

fn frames_long(frames: u64) -> Duration {
    Duration::from_millis(frames.saturating_mul(20))
}

/// Where a frame begins in the replay's media time, pre-skip included.
fn frame_time(frames: u64) -> Time {
    Time(frames * FRAME_SAMPLES as u64)
}
