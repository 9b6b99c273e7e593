//! Time, as all plots share it: a rehearsal's seconds, put together so that a long one has no more points than a screen.

use super::words::{Language, words};
use crate::report::{Histogram, Second, Server};

/// Points of a plot at most: a pixel or two each on a wide screen, and a page of less than a megabyte.
pub(super) const POINTS_MAX: u64 = 600;
/// Marks on the time axis at most: as many as fit side by side on a phone.
const MARKS_MAX: u64 = 6;
const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
/// How many seconds may be put together, and how far marks may be apart; beyond these, whole hours.
const STEPS: [u64; 19] = [
    1,
    2,
    5,
    10,
    20,
    30,
    MINUTE,
    120,
    300,
    600,
    900,
    1200,
    1800,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    24 * HOUR,
];

/// Some seconds, put together. Counts are those of the worst or fullest single second, so that a peak stays as high as it was; times are of all.
#[derive(Debug, Default)]
pub(super) struct Span {
    pub(super) listening: u64,
    pub(super) joined: u64,
    pub(super) failed: u64,
    pub(super) stalled: u64,
    pub(super) bytes: u64,
    pub(super) join: Histogram,
    pub(super) lateness: Histogram,
    pub(super) busy_share: f64,
    pub(super) server: Option<Server>,
}

/// The whole of a rehearsal.
#[derive(Debug)]
pub(super) struct Timeline {
    /// The second at which it begins.
    first: u64,
    /// Seconds in a span.
    step: u64,
    /// Ascending, one at least, [`POINTS_MAX`] at most. `None` where nothing is known.
    spans: Vec<Option<Span>>,
}

impl Timeline {
    /// `None` if there are no seconds. They may be in any order.
    pub(super) fn of(seconds: &[Second]) -> Option<Self> {
        let first = u64::from(seconds.iter().map(|second| second.at_s).min()?);
        let last = u64::from(seconds.iter().map(|second| second.at_s).max()?);
        let length = last - first + 1;
        let step = step_of_at_least(length.div_ceil(POINTS_MAX));
        let mut spans: Vec<Option<Span>> = Vec::new();
        spans.resize_with(length.div_ceil(step) as usize, || None);
        for second in seconds {
            let at = (u64::from(second.at_s) - first) / step;
            spans[at as usize].get_or_insert_default().add(second);
        }
        Some(Self { first, step, spans })
    }

    /// Seconds in a span.
    pub(super) fn step(&self) -> u64 {
        self.step
    }

    pub(super) fn spans(&self) -> &[Option<Span>] {
        &self.spans
    }

    /// The second at which span `at` begins.
    pub(super) fn second(&self, at: usize) -> u64 {
        self.first + at as u64 * self.step
    }

    /// Where round times are, as a share (0 to 1) of the whole, and what they are called.
    pub(super) fn marks(&self, language: Language) -> Vec<(f64, String)> {
        let length = self.spans.len() as u64 * self.step;
        let step = step_of_at_least(length.div_ceil(MARKS_MAX));
        let from = self.first.next_multiple_of(step);
        let marks = (from..=self.first + length).step_by(step as usize);
        marks.map(|second| ((second - self.first) as f64 / length as f64, self.say(second, language))).collect()
    }

    /// A time in the unit that suits the whole: seconds up to five minutes, minutes up to five hours.
    pub(super) fn say(&self, second: u64, language: Language) -> String {
        let end = self.second(self.spans.len());
        let (divisor, symbol) = match end {
            _ if end <= 5 * MINUTE => (1, words("ث", "s")),
            _ if end <= 5 * HOUR => (MINUTE, words("د", "min")),
            _ => (HOUR, words("س", "h")),
        };
        let number = super::words::decimal(second as f64 / divisor as f64);
        format!("{number}\u{a0}{}", symbol.of(language))
    }
}

impl Span {
    fn add(&mut self, second: &Second) {
        self.listening = self.listening.max(second.listening);
        self.joined = self.joined.max(second.joined);
        self.failed = self.failed.max(second.failed);
        self.stalled = self.stalled.max(second.stalled);
        self.bytes = self.bytes.max(second.bytes);
        self.join.merge(&second.join);
        self.lateness.merge(&second.lateness);
        self.busy_share = self.busy_share.max(second.busy_share);
        if let Some(server) = second.server {
            let most = self.server.get_or_insert_default();
            most.cores = most.cores.max(server.cores);
            most.resident_bytes = most.resident_bytes.max(server.resident_bytes);
        }
    }
}

fn step_of_at_least(seconds: u64) -> u64 {
    STEPS.into_iter().find(|&step| step >= seconds).unwrap_or_else(|| seconds.next_multiple_of(24 * HOUR))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(seconds: impl IntoIterator<Item = u32>) -> Timeline {
        let seconds: Vec<Second> =
            seconds.into_iter().map(|at_s| Second { at_s, joined: u64::from(at_s % 7), ..Second::default() }).collect();
        Timeline::of(&seconds).unwrap()
    }

    #[test]
    fn there_are_never_more_than_600_points() {
        let check = |last: u32, step: u64, points: usize| {
            let timeline = timeline([0, last]);
            assert_eq!((timeline.step, timeline.spans.len()), (step, points), "{last}");
            assert!(timeline.spans.len() as u64 <= POINTS_MAX);
        };
        check(0, 1, 1);
        check(599, 1, 600);
        check(600, 2, 301);
        check(3599, 10, 360);
        check(7 * 86_400, 1200, 505);
        check(u32::MAX, 83 * 86_400, 599);
    }

    #[test]
    fn a_peak_is_as_high_as_its_second() {
        let timeline = timeline(0..1200);
        assert_eq!(timeline.step, 2);
        assert_eq!(timeline.spans[3].as_ref().map(|span| span.joined), Some(6));
        assert_eq!(timeline.second(3), 6);
    }

    #[test]
    fn marks_are_round_and_few() {
        let check = |first: u32, last: u32, names: &[&str]| {
            let marks = timeline([first, last]).marks(Language::English);
            let said: Vec<String> = marks.iter().map(|(_, name)| name.replace('\u{a0}', " ")).collect();
            assert_eq!(said, names, "{first} to {last}");
            assert!(marks.iter().all(|(at, _)| (0.0..=1.0).contains(at)));
        };
        check(0, 0, &["0 s", "1 s"]);
        check(0, 59, &["0 s", "10 s", "20 s", "30 s", "40 s", "50 s", "60 s"]);
        check(7, 95, &["20 s", "40 s", "60 s", "80 s"]);
        check(0, 3599, &["0 min", "10 min", "20 min", "30 min", "40 min", "50 min", "60 min"]);
        check(0, 36_000, &["0 h", "2 h", "4 h", "6 h", "8 h", "10 h"]);
        let marks = timeline([0, u32::MAX]).marks(Language::English);
        assert!(marks.len() as u64 <= MARKS_MAX + 1);
    }
}
