//! Decides which log segments are too old, or too many.
//!
//! Whole log segments from the front only, never the one being written: what is kept is always one unbroken stretch up to now.

use std::time::Duration;

use crate::position::Position;

/// How much of a log is kept.
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Keep at least this stretch of the past. `None`: for ever.
    pub window: Option<Duration>,
    /// Keep at most about this many bytes (the segment being written always stays). `None`: no bound.
    pub bytes: Option<u64>,
}

impl Retention {
    /// Keep everything: recording is on.
    pub const EVERYTHING: Self = Self { window: None, bytes: None };

    /// Keep only the live window: recording is off.
    #[must_use]
    pub const fn window(window: Duration) -> Self {
        Self { window: Some(window), bytes: None }
    }
}

/// What retention must know of one log segment.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The position that its file is named by.
    pub first: Position,
    /// Size of its file.
    pub bytes: u64,
    /// When its first record was made, microseconds since the Unix epoch; `None` if that record is damaged.
    pub begun_wall_us: Option<u64>,
}

/// How many segments from the front of `segments` (in order, the last being written) are to be deleted now.
#[must_use]
pub fn expired(segments: &[Segment], retention: Retention, now_wall_us: u64) -> usize {
    let sealed = segments.len().saturating_sub(1);
    by_age(segments, retention, now_wall_us).max(by_bytes(segments, retention)).min(sealed)
}

/// A segment is too old when a later one already began before the window did.
fn by_age(segments: &[Segment], retention: Retention, now_wall_us: u64) -> usize {
    let Some(window) = retention.window else { return 0 };
    let window_us = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
    // A window longer than the clock has run keeps everything.
    let Some(since) = now_wall_us.checked_sub(window_us) else { return 0 };
    let began_before = |segment: &Segment| segment.begun_wall_us.is_some_and(|begun| begun <= since);
    segments.iter().rposition(began_before).unwrap_or(0)
}

fn by_bytes(segments: &[Segment], retention: Retention) -> usize {
    let Some(limit) = retention.bytes else { return 0 };
    let mut kept: u64 = 0;
    let fits = |segment: &&Segment| {
        kept = kept.saturating_add(segment.bytes);
        kept <= limit
    };
    segments.len() - segments.iter().rev().take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(begun_s: &[Option<u64>]) -> Vec<Segment> {
        let segment = |(at, begun): (usize, &Option<u64>)| Segment {
            first: Position(at as u64 * 10),
            bytes: 100,
            begun_wall_us: begun.map(|begun| begun * 1_000_000),
        };
        begun_s.iter().enumerate().map(segment).collect()
    }

    #[test]
    fn the_window_is_covered_and_no_more_than_one_segment_longer() {
        let check = |begun: &[Option<u64>], now_s: u64, deleted: usize| {
            let retention = Retention::window(Duration::from_secs(60));
            assert_eq!(expired(&segments(begun), retention, now_s * 1_000_000), deleted, "{begun:?} at {now_s}");
        };
        let three = [Some(1_000), Some(1_060), Some(1_120)];
        check(&three, 1_119, 0);
        check(&three, 1_120, 1);
        check(&three, 1_179, 1);
        check(&three, 1_180, 2);
        check(&three, 9_999, 2);
        check(&[Some(1_000), None, Some(1_120)], 1_150, 0);
        check(&[Some(1_000), None, Some(1_120)], 1_180, 2);
        check(&[Some(1_000)], 9_999, 0);
        check(&[], 9_999, 0);
        check(&three, 30, 0);
    }

    #[test]
    fn a_byte_bound_deletes_from_the_front_and_spares_the_segment_being_written() {
        let check = |limit: u64, deleted: usize| {
            let retention = Retention { window: None, bytes: Some(limit) };
            assert_eq!(expired(&segments(&[None, None, None]), retention, 0), deleted, "{limit} bytes");
        };
        check(300, 0);
        check(299, 1);
        check(200, 1);
        check(100, 2);
        check(0, 2);
    }
}
