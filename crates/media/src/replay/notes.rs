//! What a recording says about itself: title, date and loudness, in the words of each container.

use std::borrow::Cow;

use super::{CHAPTER_BYTES_MAX, Chapter, Loudness, cut};
use crate::SAMPLE_RATE;
use crate::package::boxes::{boxed, full, u16, u32, u64};

/// EBU R 128's programme level, to which `R128_TRACK_GAIN` leads (RFC 7845 §5.2.1).
const R128_LUFS: f32 = -23.0;
/// ReplayGain 2.0's.
const REPLAYGAIN_LUFS: f32 = -18.0;

/// Tags of `OpusTags`.
pub(super) fn ogg_tags(
    title: &str,
    date: Option<&str>,
    loudness: &Loudness,
    chapters: &[Chapter],
) -> Vec<(Cow<'static, str>, String)> {
    let mut tags = vec![("TITLE".into(), title.to_owned())];
    tags.extend(date.map(|date| ("DATE".into(), date.to_owned())));
    tags.extend(loudness.integrated_lufs.map(|lufs| ("R128_TRACK_GAIN".into(), r128_gain(lufs).to_string())));
    for (n, chapter) in chapters.iter().enumerate() {
        let ms = chapter.begin.0 * 1_000 / u64::from(SAMPLE_RATE);
        let (hours, minutes, seconds, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000);
        // As the Vorbis comment field CHAPTERxxx is used (wiki.xiph.org/Chapter_Extension).
        tags.push((format!("CHAPTER{n:03}").into(), format!("{hours:02}:{minutes:02}:{seconds:02}.{ms:03}")));
        tags.push((format!("CHAPTER{n:03}NAME").into(), cut(&chapter.title, CHAPTER_BYTES_MAX).to_owned()));
    }
    tags
}

/// The movie's chapters as Nero writes them, `chpl` in `udta`: in no standard, and read by most players that show chapters.
pub(super) fn chapters(out: &mut Vec<u8>, chapters: &[Chapter]) {
    if chapters.is_empty() {
        return;
    }
    full(out, b"chpl", 1, 0, |out| {
        u32(out, 0); // reserved
        out.push(chapters.len() as u8);
        for chapter in chapters {
            let title = cut(&chapter.title, CHAPTER_BYTES_MAX);
            u64(out, chapter.begin.0.saturating_mul(10_000_000) / u64::from(SAMPLE_RATE)); // in units of 100 ns
            out.push(title.len() as u8);
            out.extend_from_slice(title.as_bytes());
        }
    });
}

/// The `udta` of a clip: its title, the day, and where it is from.
pub(super) fn clip(out: &mut Vec<u8>, title: &str, date: Option<&str>, link: &str) {
    full(out, b"meta", 0, 0, |out| {
        handler(out);
        boxed(out, b"ilst", |out| {
            boxed(out, b"\xa9nam", |out| text(out, title));
            if let Some(date) = date {
                boxed(out, b"\xa9day", |out| text(out, date));
            }
            boxed(out, b"\xa9cmt", |out| text(out, link));
        });
    });
}

fn handler(out: &mut Vec<u8>) {
    full(out, b"hdlr", 0, 0, |out| out.extend_from_slice(b"\0\0\0\0mdirappl\0\0\0\0\0\0\0\0\0"));
}

/// Decibels to the EBU level in steps of 1/256 (Q7.8, RFC 7845 §5.2.1).
fn r128_gain(lufs: f32) -> i16 {
    ((R128_LUFS - lufs) * 256.0).round() as i16
}

/// The movie's `udta`: iTunes-style metadata, which is what players read.
pub(super) fn movie(out: &mut Vec<u8>, title: &str, date: Option<&str>, loudness: &Loudness) {
    full(out, b"meta", 0, 0, |out| {
        handler(out);
        boxed(out, b"ilst", |out| {
            boxed(out, b"\xa9nam", |out| text(out, title));
            if let Some(date) = date {
                boxed(out, b"\xa9day", |out| text(out, date));
            }
            if let Some(lufs) = loudness.integrated_lufs {
                freeform(out, "R128_TRACK_GAIN", &r128_gain(lufs).to_string());
                freeform(out, "replaygain_track_gain", &format!("{:.2} dB", REPLAYGAIN_LUFS - lufs));
            }
            if let Some(dbtp) = loudness.true_peak_dbtp {
                freeform(out, "replaygain_track_peak", &format!("{:.6}", 10_f32.powf(dbtp / 20.0)));
            }
        });
    });
}

fn freeform(out: &mut Vec<u8>, name: &str, value: &str) {
    boxed(out, b"----", |out| {
        full(out, b"mean", 0, 0, |out| out.extend_from_slice(b"com.apple.iTunes"));
        full(out, b"name", 0, 0, |out| out.extend_from_slice(name.as_bytes()));
        text(out, value);
    });
}

fn text(out: &mut Vec<u8>, value: &str) {
    boxed(out, b"data", |out| {
        u32(out, 1); // UTF-8
        u32(out, 0); // any locale
        out.extend_from_slice(value.as_bytes());
    });
}

/// The track's `udta`: `ludt` with one `tlou` (ISO/IEC 14496-12 §12.2.7; codes of ISO/IEC 23003-4 §7.3).
pub(super) fn track(out: &mut Vec<u8>, loudness: &Loudness) {
    let Some(lufs) = loudness.integrated_lufs else { return };
    // −57.75 LKFS + n/4; 20 dBTP − n/32, with 0 for unknown.
    let lufs = ((lufs + 57.75) * 4.0).round().clamp(0.0, 255.0) as u8;
    let peak = loudness.true_peak_dbtp.map_or(0, |dbtp| ((20.0 - dbtp) * 32.0).round().clamp(1.0, 4095.0) as u32);
    boxed(out, b"ludt", |out| {
        full(out, b"tlou", 0, 0, |out| {
            u16(out, 0); // as the sound is, no downmix and no dynamic range control
            // Sample peak not measured; true peak; by BS.1770-4 (2), measured and accurate (3).
            u32(out, peak << 8 | 0x23);
            out.extend_from_slice(&[1, 1, lufs, 0x23]); // one measurement: programme loudness (1), by the same
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gain_is_what_leads_to_the_ebu_level() {
        assert_eq!(r128_gain(-23.0), 0);
        assert_eq!(r128_gain(-18.0), -1280);
        assert_eq!(r128_gain(-30.5), 1920);
    }

    #[test]
    fn loudness_is_coded_as_the_standard_says() {
        let mut out = Vec::new();
        track(&mut out, &Loudness { integrated_lufs: Some(-27.5), true_peak_dbtp: Some(-13.9375) });
        // 20 + 13.9375 = 1086/32, and −57.75 + 121/4 = −27.5.
        assert_eq!(out[20..], [0, 0, 0x00, 0x04, 0x3e, 0x23, 1, 1, 121, 0x23]);
        out.clear();
        track(&mut out, &Loudness { integrated_lufs: None, true_peak_dbtp: None });
        assert!(out.is_empty());
    }
}
