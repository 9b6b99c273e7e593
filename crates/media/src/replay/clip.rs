//! A part of a recording as a recording of its own, cut out of `replay.mp4` to the sample, without decoding or encoding.
//!
//! First the front of the file, where its index is ([`front_bytes`]); then [`Recorded::clip`] says which bytes of the file are needed; and [`Clip::mp4`]
//! and [`Clip::ogg`] make the files of them. Nothing here opens a file.
//!
//! A decoder that begins in the middle needs some frames to find its way in. [`PREROLL_FRAMES`] before the first that is heard are in the clip, and both
//! containers say that they are to be dropped, with the samples of the first frame that are too early; what is too late in the last is dropped as well.

use std::ops::Range;

use super::ogg::Pages;
use super::{FRAGMENT_FRAMES, TITLE_BYTES_MAX, cut, mp4, notes};
use crate::package::boxes::{Cursor, Kind};
use crate::package::{PRE_SKIP, Track, fmp4, ogg};
use crate::{FRAME_SAMPLES, SAMPLE_RATE, Time};

/// Frames before the first that is heard: 200 ms. What CELT predicts from the frame before counts half in each (RFC 6716 §4.3.2.1, 20 ms), so of what is
/// not known a thousandth is left; the four frames of RFC 7845 §4.6 leave a sixteenth, which a comparison hears.
pub const PREROLL_FRAMES: u64 = 10;
/// Bytes at the front of a file that surely hold its head and the beginning of its index: chapters take 35 kB at most, the rest some 3 kB.
pub const FRONT_BYTES: usize = 64 * 1024;
/// Bytes of sound read for one clip at most: 90 s are 24 fragments of 16 kB at our bitrate. Twenty times that has no honest recording, and no worker is to hold it.
pub const SOUND_BYTES_MAX: u64 = 8 << 20;

/// The front of the file is not one that we wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Why there is no such clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoClip {
    /// It would begin or end beyond the end, or not end after its beginning.
    Outside,
    /// Its sound takes more than [`SOUND_BYTES_MAX`].
    TooLarge,
}

/// What a clip says about itself.
#[derive(Debug, Clone, Copy)]
pub struct Label<'a> {
    /// Where the whole can be heard from there on.
    pub link: &'a str,
    /// Names the stream of an Ogg clip.
    pub serial: u32,
}

/// A recording by what stands at the front of `replay.mp4`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    title: String,
    date: Option<String>,
    /// Where the first fragment begins.
    sound_at: u64,
    /// Bytes of each fragment.
    fragments: Vec<u32>,
    /// As heard.
    samples: u64,
}

/// A clip that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clip<'a> {
    recorded: &'a Recorded,
    from: Time,
    to: Time,
    bytes: Range<u64>,
    /// Which frames, of all of the recording.
    frames: Range<u64>,
}

/// How many bytes at the front hold the head and the index; `start` is the first [`FRONT_BYTES`] of the file, or all of it.
///
/// # Errors
/// [`Malformed`].
pub fn front_bytes(start: &[u8]) -> Result<usize, Malformed> {
    let mut rest = Cursor(start);
    let before_index = rest.expect(b"ftyp").and_then(|_| rest.expect(b"moov")).map(|_| start.len() - rest.0.len());
    let (at, size) = before_index.zip(rest.u32()).ok_or(Malformed)?;
    let size = usize::try_from(size).map_err(|_| Malformed)?;
    if rest.take(4) == Some(b"sidx") && size <= mp4::sidx_bytes(usize::from(u16::MAX)) {
        Ok(at + size)
    } else {
        Err(Malformed)
    }
}

impl Recorded {
    /// Reads the front of the file, as many bytes as [`front_bytes`] said.
    ///
    /// # Errors
    /// [`Malformed`]; it never panics.
    pub fn read(front: &[u8]) -> Result<Self, Malformed> {
        Self::parse(front).ok_or(Malformed)
    }

    fn parse(front: &[u8]) -> Option<Self> {
        let mut rest = Cursor(front);
        rest.expect(b"ftyp")?;
        let moov = rest.expect(b"moov")?;
        let mut sidx = rest.expect(b"sidx")?;
        let said = find(moov, b"udta").and_then(|udta| find(udta, b"meta")).and_then(|mut meta| {
            meta.u32()?; // version and flags
            find(meta, b"ilst")
        });
        let text = |kind| {
            let mut data = find(find(said?, kind)?, b"data")?;
            data.u64()?; // type and locale
            Some(cut(std::str::from_utf8(data.0).ok()?, TITLE_BYTES_MAX).to_owned())
        };
        // Version 1, the track, its timescale; from zero, and right after the index.
        let fixed = [sidx.u32()?, sidx.u32()?, sidx.u32()?];
        if fixed != [1 << 24, 1, SAMPLE_RATE] || (sidx.u64()?, sidx.u64()?, sidx.u16()?) != (0, 0, 0) {
            return None;
        }
        let mut recorded = Self {
            title: text(b"\xa9nam").unwrap_or_default(),
            date: text(b"\xa9day"),
            sound_at: (front.len() - rest.0.len()) as u64,
            fragments: Vec::with_capacity(usize::from(sidx.u16()?)),
            samples: 0,
        };
        while !sidx.is_empty() {
            recorded.fragments.push(sidx.u32()?);
            recorded.samples += u64::from(sidx.u32()?);
            sidx.u32()?;
        }
        let whole = recorded.samples.is_multiple_of(FRAME_SAMPLES as u64);
        // All fragments but the last hold as many frames; that one has the closing frame of silence as well.
        let count = recorded.fragments.len() as u64;
        let frames = recorded.samples / FRAME_SAMPLES as u64;
        (whole && count > 0 && frames.div_ceil(FRAGMENT_FRAMES as u64) == count).then_some(recorded)
    }

    /// What the whole is called.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Length in samples, as heard.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The part from one moment to another.
    ///
    /// # Errors
    /// One [`NoClip`] per rule.
    pub fn clip(&self, from: Time, to: Time) -> Result<Clip<'_>, NoClip> {
        if from >= to || to.0 > self.samples {
            return Err(NoClip::Outside);
        }
        // What is heard at a moment is decoded that much later.
        let (first, end) = (from.0 + u64::from(PRE_SKIP), to.0 + u64::from(PRE_SKIP));
        let first = (first / FRAME_SAMPLES as u64).saturating_sub(PREROLL_FRAMES);
        let frames = first..end.div_ceil(FRAME_SAMPLES as u64);
        let fragments = self.fragment_of(frames.start)..self.fragment_of(frames.end - 1) + 1;
        let length = |fragments: &[u32]| fragments.iter().map(|&bytes| u64::from(bytes)).sum::<u64>();
        let start = self.sound_at + length(&self.fragments[..fragments.start]);
        let bytes = start..start + length(&self.fragments[fragments]);
        if bytes.end - bytes.start > SOUND_BYTES_MAX {
            return Err(NoClip::TooLarge);
        }
        Ok(Clip { recorded: self, from, to, bytes, frames })
    }

    fn fragment_of(&self, frame: u64) -> usize {
        (frame / FRAGMENT_FRAMES as u64).min(self.fragments.len() as u64 - 1) as usize
    }
}

impl Clip<'_> {
    /// Which bytes of `replay.mp4` it is made of.
    pub fn bytes(&self) -> Range<u64> {
        self.bytes.clone()
    }

    /// It as MP4, all of whose samples are in its `moov`.
    ///
    /// # Errors
    /// [`Malformed`] if those are not the bytes: the recording is damaged.
    pub fn mp4(&self, bytes: &[u8], label: &Label<'_>) -> Result<Vec<u8>, Malformed> {
        let frames = self.frames(bytes)?;
        let mut out = Vec::with_capacity(bytes.len() + 4 * frames.len() + 2048);
        let (title, date) = (self.title(), self.recorded.date.as_deref());
        let notes = |out: &mut Vec<u8>| notes::clip(out, &title, date, label.link);
        fmp4::write_whole(&mut out, &Track::mono(), (self.skip(), self.to.0 - self.from.0), &frames, &notes);
        Ok(out)
    }

    /// It as Ogg.
    ///
    /// # Errors
    /// As [`mp4`](Self::mp4).
    pub fn ogg(&self, bytes: &[u8], label: &Label<'_>) -> Result<Vec<u8>, Malformed> {
        let frames = self.frames(bytes)?;
        let title = self.title();
        let mut tags = vec![("TITLE", &*title)];
        tags.extend(self.recorded.date.as_deref().map(|date| ("DATE", date)));
        tags.push(("COMMENT", label.link));
        // 10 frames and a bit: less than 16 bits hold.
        let skip = u16::try_from(self.skip()).map_err(|_| Malformed)?;
        let mut out = ogg::head_skipping(skip, label.serial, &Track::mono(), &tags);
        out.reserve(bytes.len());
        let mut pages = Pages::new(label.serial);
        frames.iter().for_each(|frame| pages.frame(frame, &mut out));
        pages.finish(self.skip() + self.to.0 - self.from.0, &mut out);
        Ok(out)
    }

    /// Samples at the beginning that are decoded and not heard.
    fn skip(&self) -> u64 {
        self.from.0 + u64::from(PRE_SKIP) - self.frames.start * FRAME_SAMPLES as u64
    }

    /// `Title (1:02:03–1:02:33)`.
    fn title(&self) -> String {
        let clock = |time: Time| {
            let seconds = time.0 / u64::from(SAMPLE_RATE);
            let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
            if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
        };
        let span = format!("({}–{})", clock(self.from), clock(self.to));
        if self.recorded.title.is_empty() { span } else { format!("{} {span}", self.recorded.title) }
    }

    fn frames<'b>(&self, bytes: &'b [u8]) -> Result<Vec<&'b [u8]>, Malformed> {
        let before = self.recorded.fragment_of(self.frames.start) * FRAGMENT_FRAMES;
        let (first, end) = (self.frames.start as usize - before, self.frames.end as usize - before);
        let mut frames = Vec::with_capacity(end + FRAGMENT_FRAMES);
        let mut rest = Cursor(bytes);
        while !rest.is_empty() {
            fmp4::recorded(&mut rest, &mut frames, FRAGMENT_FRAMES + 1).ok_or(Malformed)?;
        }
        if frames.len() < end {
            return Err(Malformed);
        }
        frames.truncate(end);
        frames.drain(..first);
        Ok(frames)
    }
}

/// The first box of a kind among these.
fn find<'a>(mut boxes: Cursor<'a>, kind: &Kind) -> Option<Cursor<'a>> {
    loop {
        let (found, body) = boxes.next_box()?;
        if found == *kind {
            return Some(body);
        }
    }
}
