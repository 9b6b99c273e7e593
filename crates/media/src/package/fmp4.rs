//! CMAF/fMP4: the init segment, one fragment per chunk, and reading stored fragments back.
//!
//! [`fragment`] runs on the beat: no allocation while `out` has room, no lock, no log.
//! A live init segment has no edit list: listeners join in mid-stream, where a decoder has nothing to drop, and the offset of
//! [`PRE_SKIP`] samples (6.5 ms) is the same for everybody. A replay begins at its beginning, and has one.

use super::boxes::{Cursor, boxed, full, u16, u32, u64};
use super::emsg::{self, Event};
use super::{PRE_SKIP, Track};
use crate::chunk::{FRAME_BYTES_MAX, Frames};
use crate::{CHUNK_FRAMES, FRAME_SAMPLES, SAMPLE_RATE, Time};

/// MIME type of the live rendition and of the replay.
pub const MIME: &str = "audio/mp4; codecs=\"opus\"";
/// Bytes of the largest chunk's fragment, events not counted.
pub const FRAGMENT_BYTES_MAX: usize = overhead_bytes(Shape::Live, CHUNK_FRAMES) + CHUNK_FRAMES * FRAME_BYTES_MAX;

const TRACK_ID: u32 = 1;
/// `tfhd` flags: offsets count from the `moof` (§8.8.7). Durations and flags of samples are in `trex`, once.
const BASE_IS_MOOF: u32 = 0x02_0000;
/// `trun` flags: data offset, and a size for each sample (§8.8.8).
const OFFSET_AND_SIZES: u32 = 0x201;
/// Depends on nothing, and is a sync sample (§8.8.3.1): any Opus frame may be the first.
const SAMPLE_FLAGS: u32 = 0x0200_0000;

/// Bytes of `moof` and of `mdat`'s head for so many frames of 20 ms.
pub(crate) const fn overhead_bytes(shape: Shape, frames: usize) -> usize {
    let live = 8 + 16 + 8 + 16 + 20 + 20 + 4 * frames + 8;
    match shape {
        Shape::Live => live,
        Shape::Replay => live + SBGP_BYTES,
        Shape::ReplayEnd => live + SBGP_BYTES + 4 * frames,
    }
}
const SBGP_BYTES: usize = 28;

/// What a fragment is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A live programme: as few bytes as possible, because every listener gets them five times a second.
    Live,
    /// A recording.
    Replay,
    /// The end of a recording: its last frame counts for [`PRE_SKIP`] samples only.
    ReplayEnd,
}

/// Appends one chunk as `moof` and `mdat`. `sequence` is the chunk's index + 1.
pub fn fragment(out: &mut Vec<u8>, sequence: u32, time: Time, frames: &Frames) {
    write_fragment(out, Shape::Live, sequence, time, frames.iter());
}

/// Appends frames as `moof` and `mdat`.
pub(crate) fn write_fragment<'a>(
    out: &mut Vec<u8>,
    shape: Shape,
    sequence: u32,
    time: Time,
    frames: impl Iterator<Item = &'a [u8]> + Clone,
) {
    let start = out.len();
    let count = frames.clone().count();
    let mut offset_at = 0;
    boxed(out, b"moof", |out| {
        full(out, b"mfhd", 0, 0, |out| u32(out, sequence));
        boxed(out, b"traf", |out| {
            full(out, b"tfhd", 0, BASE_IS_MOOF, |out| u32(out, TRACK_ID));
            full(out, b"tfdt", 1, 0, |out| u64(out, time.0));
            let durations = if shape == Shape::ReplayEnd { 0x100 } else { 0 };
            full(out, b"trun", 0, OFFSET_AND_SIZES | durations, |out| {
                u32(out, count as u32);
                offset_at = out.len();
                u32(out, 0);
                for (n, frame) in frames.clone().enumerate() {
                    if durations != 0 {
                        u32(out, if n + 1 == count { u32::from(PRE_SKIP) } else { FRAME_SAMPLES as u32 });
                    }
                    u32(out, frame.len() as u32);
                }
            });
            if shape != Shape::Live {
                full(out, b"sbgp", 0, 0, |out| write_all_of_group_one(out, count as u32));
            }
        });
    });
    let offset = (out.len() - start + 8) as u32;
    out[offset_at..offset_at + 4].copy_from_slice(&offset.to_be_bytes());
    boxed(out, b"mdat", |out| frames.for_each(|frame| out.extend_from_slice(frame)));
}

/// The init segment of a live programme: `ftyp` and `moov`, to be sent before the first fragment a listener gets.
pub fn init(track: &Track) -> Vec<u8> {
    let mut out = Vec::with_capacity(700);
    write_init(&mut out, track, None);
    out
}

/// A whole file: `ftyp`, `moov` with every sample in its tables, and one `mdat`. For something short, that is to play where fragments do not.
///
/// `skip` samples at the beginning are there for the decoder alone; `duration` samples are heard after them, and what is left is dropped.
pub(crate) fn write_whole(
    out: &mut Vec<u8>,
    track: &Track,
    (skip, duration): (u64, u64),
    frames: &[&[u8]],
    movie_notes: &dyn Fn(&mut Vec<u8>),
) {
    boxed(out, b"ftyp", |out| out.extend_from_slice(b"isom\0\0\x02\0isomiso2mp41"));
    let table = Table { skip, duration, frames };
    let mut offset_at = 0;
    boxed(out, b"moov", |out| {
        write_mvhd(out, duration);
        boxed(out, b"trak", |out| write_track(out, track, &Contents::Whole(&table), &|_| {}));
        // The last box of the sample table, and so of the track.
        offset_at = out.len() - 4;
        boxed(out, b"udta", movie_notes);
    });
    let offset = (out.len() + 8) as u32;
    out[offset_at..offset_at + 4].copy_from_slice(&offset.to_be_bytes());
    boxed(out, b"mdat", |out| frames.iter().for_each(|frame| out.extend_from_slice(frame)));
}

/// The samples of a whole file.
struct Table<'a> {
    skip: u64,
    duration: u64,
    frames: &'a [&'a [u8]],
}

/// Where a track's samples are.
enum Contents<'a> {
    /// In fragments that never end.
    Live,
    /// In fragments, this many samples of them heard.
    Fragments(u64),
    /// In the file of this table.
    Whole(&'a Table<'a>),
}

/// What only a finished recording can say in its `moov`.
pub(crate) struct Finished<'a> {
    /// Length in samples, as heard.
    pub(crate) duration: u64,
    /// Appends boxes to the track's `udta`.
    pub(crate) track_notes: &'a dyn Fn(&mut Vec<u8>),
    /// Appends boxes to the movie's `udta`.
    pub(crate) movie_notes: &'a dyn Fn(&mut Vec<u8>),
}

pub(crate) fn write_init(out: &mut Vec<u8>, track: &Track, finished: Option<&Finished<'_>>) {
    boxed(out, b"ftyp", |out| {
        out.extend_from_slice(b"iso6\0\0\0\0iso6cmfcmp41");
    });
    boxed(out, b"moov", |out| {
        write_mvhd(out, 0); // in mehd, or endless
        let contents = finished.map_or(Contents::Live, |finished| Contents::Fragments(finished.duration));
        let notes = |out: &mut Vec<u8>| {
            if let Some(finished) = finished {
                boxed(out, b"udta", |out| (finished.track_notes)(out));
            }
        };
        boxed(out, b"trak", |out| write_track(out, track, &contents, &notes));
        boxed(out, b"mvex", |out| {
            if let Some(finished) = finished {
                full(out, b"mehd", 1, 0, |out| u64(out, finished.duration));
            }
            full(out, b"trex", 0, 0, |out| {
                for value in [TRACK_ID, 1, FRAME_SAMPLES as u32, 0, SAMPLE_FLAGS] {
                    u32(out, value);
                }
            });
        });
        if let Some(finished) = finished {
            boxed(out, b"udta", |out| (finished.movie_notes)(out));
        }
    });
}

fn write_mvhd(out: &mut Vec<u8>, duration: u64) {
    full(out, b"mvhd", 0, 0, |out| {
        u64(out, 0); // creation and modification time: not said
        u32(out, SAMPLE_RATE);
        u32(out, duration as u32);
        u32(out, 0x0001_0000); // rate 1.0
        u16(out, 0x0100); // volume 1.0
        out.extend_from_slice(&[0; 10]);
        matrix(out);
        out.extend_from_slice(&[0; 24]);
        u32(out, TRACK_ID + 1);
    });
}

/// The body of `trak`; `notes` appends what comes last.
fn write_track(out: &mut Vec<u8>, track: &Track, contents: &Contents<'_>, notes: &dyn Fn(&mut Vec<u8>)) {
    let (duration, media_duration, edit) = match contents {
        Contents::Live => (0, 0, None),
        Contents::Fragments(heard) => (0, 0, Some((*heard, u64::from(PRE_SKIP)))),
        Contents::Whole(table) => (table.duration, table.skip + table.duration, Some((table.duration, table.skip))),
    };
    full(out, b"tkhd", 0, 0x7, |out| {
        u64(out, 0);
        u32(out, TRACK_ID);
        u32(out, 0); // reserved
        u32(out, duration as u32);
        u64(out, 0); // reserved
        u32(out, 0); // layer, alternate group
        u32(out, 0x0100_0000); // volume 1.0
        matrix(out);
        u64(out, 0); // width, height
    });
    if let Some((heard, from)) = edit {
        boxed(out, b"edts", |out| {
            full(out, b"elst", 1, 0, |out| {
                u32(out, 1);
                u64(out, heard);
                u64(out, from);
                u32(out, 0x0001_0000);
            });
        });
    }
    boxed(out, b"mdia", |out| {
        full(out, b"mdhd", 0, 0, |out| {
            u64(out, 0);
            u32(out, SAMPLE_RATE);
            u32(out, media_duration as u32);
            u16(out, packed_language(track.language));
            u16(out, 0);
        });
        full(out, b"hdlr", 0, 0, |out| {
            u32(out, 0);
            out.extend_from_slice(b"soun");
            out.extend_from_slice(&[0; 12]);
            out.extend_from_slice(b"Hiwar\0");
        });
        boxed(out, b"minf", |out| {
            full(out, b"smhd", 0, 0, |out| u32(out, 0));
            boxed(out, b"dinf", |out| {
                full(out, b"dref", 0, 0, |out| {
                    u32(out, 1);
                    full(out, b"url ", 0, 1, |_| {}); // in this file
                });
            });
            boxed(out, b"stbl", |out| write_sample_table(out, track, contents));
        });
    });
    notes(out);
}

/// How to decode the samples ("Encapsulation of Opus in ISO Base Media File Format"), and where they are if not in fragments; then `stco` is the last box, and
/// its last four bytes the offset of `mdat`'s body, to be filled in.
fn write_sample_table(out: &mut Vec<u8>, track: &Track, contents: &Contents<'_>) {
    full(out, b"stsd", 0, 0, |out| {
        u32(out, 1);
        boxed(out, b"Opus", |out| {
            out.extend_from_slice(&[0; 6]);
            u16(out, 1); // data reference
            u64(out, 0);
            u16(out, track.channels as u16);
            u16(out, 16); // sample size, as the specification asks
            u32(out, 0);
            u32(out, SAMPLE_RATE << 16);
            boxed(out, b"dOps", |out| {
                out.push(0); // version
                out.push(track.channels as u8);
                u16(out, PRE_SKIP);
                u32(out, SAMPLE_RATE);
                u16(out, 0); // output gain
                out.push(0); // mapping family
            });
        });
    });
    let Contents::Whole(table) = contents else {
        for (kind, zeros) in [(b"stts", 4), (b"stsc", 4), (b"stsz", 8), (b"stco", 4)] {
            full(out, kind, 0, 0, |out| out.extend_from_slice(&[0; 8][..zeros]));
        }
        if let Contents::Fragments(_) = contents {
            write_roll(out);
        }
        return;
    };
    let count = table.frames.len() as u32;
    let before_last = count.saturating_sub(1);
    let rest = table.skip + table.duration - u64::from(before_last) * FRAME_SAMPLES as u64;
    full(out, b"stts", 0, 0, |out| {
        // The last sample counts for what is heard of it.
        for value in [2, before_last, FRAME_SAMPLES as u32, 1, rest as u32] {
            u32(out, value);
        }
    });
    full(out, b"stsc", 0, 0, |out| [1, 1, count, 1].iter().for_each(|&value| u32(out, value))); // all in one chunk
    full(out, b"stsz", 0, 0, |out| {
        u32(out, 0);
        u32(out, count);
        table.frames.iter().for_each(|frame| u32(out, frame.len() as u32));
    });
    write_roll(out);
    full(out, b"sbgp", 0, 0, |out| write_all_of_group_one(out, count));
    full(out, b"stco", 0, 0, |out| [1, 0].iter().for_each(|&value| u32(out, value)));
}

/// To sound right after a seek, a frame needs 80 ms before it (RFC 7845 §4.6): four frames. A live listener has nothing before its
/// first frame, and is not told.
fn write_roll(out: &mut Vec<u8>) {
    full(out, b"sgpd", 1, 0, |out| {
        out.extend_from_slice(b"roll");
        u32(out, 2); // bytes of each entry
        u32(out, 1);
        u16(out, (-4_i16) as u16);
    });
}

/// The body of `sbgp`: one run of `count` frames, all of the first group that `sgpd` describes.
fn write_all_of_group_one(out: &mut Vec<u8>, count: u32) {
    out.extend_from_slice(b"roll");
    for value in [1, count, 1] {
        u32(out, value);
    }
}

fn matrix(out: &mut Vec<u8>) {
    for value in [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000] {
        u32(out, value);
    }
}

/// Three letters of five bits (§8.4.2.3).
fn packed_language(code: [u8; 3]) -> u16 {
    let code = if code.iter().all(u8::is_ascii_lowercase) { code } else { *b"und" };
    code.iter().fold(0, |packed, letter| packed << 5 | u16::from(letter - 0x60))
}

/// A stored fragment, read without copying.
#[derive(Debug, Clone, Copy)]
pub struct Fragment<'a> {
    /// `mfhd` sequence number.
    pub sequence: u32,
    /// When its first sample is heard.
    pub time: Time,
    events: &'a [u8],
    /// Big-endian u32 lengths, one for each frame.
    sizes: &'a [u8],
    data: &'a [u8],
}

/// The bytes are not events and one fragment as [`fragment`] and [`emsg::write`] write them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Reads what a chunk's MP4 part holds: events, then one `moof` and one `mdat`, then nothing. Strict: it takes what this module
/// writes for a live chunk, because anything else in a log is damage.
///
/// # Errors
/// [`Malformed`] for all other bytes; it never panics.
pub fn frames(bytes: &[u8]) -> Result<Fragment<'_>, Malformed> {
    read(bytes).ok_or(Malformed)
}

fn read(bytes: &[u8]) -> Option<Fragment<'_>> {
    let mut rest = Cursor(bytes);
    while let Some(body) = rest.expect(b"emsg") {
        emsg::read(body.0)?;
    }
    let events = bytes.get(..bytes.len() - rest.0.len())?;
    let before_moof = rest.0.len();
    let mut moof = rest.expect(b"moof")?;
    let offset = before_moof - rest.0.len() + 8;
    let data = rest.expect(b"mdat")?.0;
    let mut mfhd = moof.expect(b"mfhd")?;
    let mut traf = moof.expect(b"traf")?;
    let mut tfhd = traf.expect(b"tfhd")?;
    let mut tfdt = traf.expect(b"tfdt")?;
    let mut trun = traf.expect(b"trun")?;
    let versions_and_flags = [mfhd.u32()?, tfhd.u32()?, tfdt.u32()?, trun.u32()?];
    if versions_and_flags != [0, BASE_IS_MOOF, 1 << 24, OFFSET_AND_SIZES] || tfhd.u32()? != TRACK_ID {
        return None;
    }
    let (sequence, time) = (mfhd.u32()?, Time(tfdt.u64()?));
    let count = usize::try_from(trun.u32()?).ok()?;
    if count > CHUNK_FRAMES || trun.0.len() != 4 + 4 * count || usize::try_from(trun.u32()?).ok()? != offset {
        return None;
    }
    if ![rest, moof, traf, mfhd, tfhd, tfdt].iter().all(Cursor::is_empty) {
        return None;
    }
    let fragment = Fragment { sequence, time, events, sizes: trun.0, data };
    let fit = fragment.lengths().all(|length| (1..=FRAME_BYTES_MAX).contains(&length));
    let whole = fit && fragment.lengths().sum::<usize>() == data.len();
    (whole && time.0.checked_add(u64::from(fragment.duration())).is_some()).then_some(fragment)
}

/// Reads the next fragment of a replay, as [`write_fragment`] wrote it: its frames are appended to `frames`. `None`: it is something else.
pub(crate) fn recorded<'a>(rest: &mut Cursor<'a>, frames: &mut Vec<&'a [u8]>, most: usize) -> Option<()> {
    const WITH_DURATIONS: u32 = OFFSET_AND_SIZES | 0x100;
    while rest.expect(b"emsg").is_some() {}
    let mut moof = rest.expect(b"moof")?;
    let mut data = rest.expect(b"mdat")?;
    moof.expect(b"mfhd")?;
    let mut traf = moof.expect(b"traf")?;
    traf.expect(b"tfhd")?;
    traf.expect(b"tfdt")?;
    let mut trun = traf.expect(b"trun")?;
    let stride = match trun.u32()? {
        OFFSET_AND_SIZES => 4,
        WITH_DURATIONS => 8,
        _ => return None,
    };
    let count = usize::try_from(trun.u32()?).ok().filter(|&count| count <= most)?;
    trun.u32()?;
    for _ in 0..count {
        trun.take(stride - 4)?;
        let length = usize::try_from(trun.u32()?).ok().filter(|length| (1..=FRAME_BYTES_MAX).contains(length))?;
        frames.push(data.take(length)?);
    }
    (trun.is_empty() && data.is_empty()).then_some(())
}

impl<'a> Fragment<'a> {
    /// How many frames it has, at most [`CHUNK_FRAMES`].
    pub fn len(&self) -> usize {
        self.sizes.len() / 4
    }

    /// Whether it has no frame.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Length in samples at 48 kHz.
    pub fn duration(&self) -> u32 {
        (self.len() * FRAME_SAMPLES) as u32
    }

    /// Its Opus frames, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let mut rest = Cursor(self.data);
        self.lengths().map_while(move |length| rest.take(length))
    }

    /// The boxes of its events, as they were written.
    pub fn event_boxes(&self) -> &'a [u8] {
        self.events
    }

    /// Its events, in the order they were written.
    pub fn events(&self) -> impl Iterator<Item = Event<'a>> + use<'a> {
        let mut rest = Cursor(self.events);
        std::iter::from_fn(move || emsg::read(rest.expect(b"emsg")?.0))
    }

    fn lengths(&self) -> impl Iterator<Item = usize> + Clone + use<'a> {
        let mut rest = Cursor(self.sizes);
        std::iter::from_fn(move || rest.u32()).map(|length| length as usize)
    }
}
