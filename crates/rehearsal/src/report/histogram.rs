//! How long things took, counted so that any number of them takes little room and can be added to others' counts.
//!
//! Log-linear buckets, as HdrHistogram has them: exact up to 64 µs, then 32 to each power of two. Adding two histograms loses nothing, so processes
//! and seconds are put together before a quantile is asked for, never after.

use std::cmp::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Buckets to a power of two, as a power of two itself: 2^5 = 32, each at most 1/32 = 3.125 % of its value wide.
const FINENESS: u32 = 5;
/// Longest time told apart, in microseconds: an hour. Whoever waits longer has been given up.
const LONGEST_US: u64 = 3_600_000_000;
/// The bucket of an hour: nothing is counted above it.
const LAST: u16 = bucket_of(LONGEST_US);

/// Times, counted in buckets at most 3.125 % wide (32 to a power of two), from 1 µs on; longer than an hour counts as an hour.
///
/// What it answers is the upper end of a bucket: never better than the truth, and at most 3.125 % worse. Serialised sparsely, as
/// `[[bucket, count], ...]` in ascending order (`docs/formats/rehearsal.md`); deserialising refuses anything else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u16, u64)>", into = "Vec<(u16, u64)>")]
pub struct Histogram {
    /// Bucket and count; ascending, none empty, so that equal histograms are equal bytes.
    counts: Vec<(u16, u64)>,
}

impl Histogram {
    /// Counts one time. What is below a microsecond of it is cut off.
    pub fn add(&mut self, time: Duration) {
        self.add_many(time, 1);
    }

    /// Counts a time `count` times. A bucket that is full (2^64 − 1) stays full.
    pub fn add_many(&mut self, time: Duration, count: u64) {
        if count == 0 {
            return;
        }
        let bucket = bucket_of(micros(time));
        match self.counts.binary_search_by_key(&bucket, |&(bucket, _)| bucket) {
            Ok(at) => self.counts[at].1 = self.counts[at].1.saturating_add(count),
            Err(at) => self.counts.insert(at, (bucket, count)),
        }
    }

    /// Counts all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        let mut both = Vec::with_capacity(self.counts.len().max(other.counts.len()));
        let (mut ours, mut theirs) = (self.counts.iter().copied().peekable(), other.counts.iter().copied().peekable());
        loop {
            let next = match (ours.peek(), theirs.peek()) {
                (None, None) => break,
                (Some(_), None) => ours.next(),
                (None, Some(_)) => theirs.next(),
                (Some((our, _)), Some((their, _))) => match our.cmp(their) {
                    Ordering::Less => ours.next(),
                    Ordering::Greater => theirs.next(),
                    Ordering::Equal => ours
                        .next()
                        .zip(theirs.next())
                        .map(|((bucket, ours), (_, theirs))| (bucket, ours.saturating_add(theirs))),
                },
            };
            both.extend(next);
        }
        self.counts = both;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0_u64, |sum, &(_, count)| sum.saturating_add(count))
    }

    /// The time that a share (0 to 1) of all took at most, by nearest rank: 0.5 is the median, 0.99 what one in a hundred exceeds. `None` if nothing
    /// was counted.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        // A share that is no number has no rank; the lowest is as good an answer as any.
        let rank = ((share.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0_u64;
        for &(bucket, count) in &self.counts {
            seen = seen.saturating_add(count);
            if seen >= rank {
                return Some(Duration::from_micros(longest_of(bucket)));
            }
        }
        None
    }

    /// The longest time, an hour at most. `None` if nothing was counted.
    pub fn max(&self) -> Option<Duration> {
        self.counts.last().map(|&(bucket, _)| Duration::from_micros(longest_of(bucket)))
    }

    /// How many took `time` at most. What shares its bucket with longer times is not counted: rather a few too few than one too many.
    pub fn within(&self, time: Duration) -> u64 {
        let time = micros(time);
        let within = self.counts.iter().take_while(|&&(bucket, _)| longest_of(bucket) <= time);
        within.fold(0_u64, |sum, &(_, count)| sum.saturating_add(count))
    }
}

impl TryFrom<Vec<(u16, u64)>> for Histogram {
    type Error = &'static str;

    /// Takes what [`Histogram`] serialises to, and nothing else.
    fn try_from(counts: Vec<(u16, u64)>) -> Result<Self, Self::Error> {
        let mut sum = 0_u64;
        for (at, &(bucket, count)) in counts.iter().enumerate() {
            if bucket > LAST {
                return Err("a histogram with a bucket beyond an hour");
            }
            if count == 0 {
                return Err("a histogram with an empty bucket");
            }
            if at > 0 && counts[at - 1].0 >= bucket {
                return Err("a histogram whose buckets do not ascend");
            }
            sum = sum.checked_add(count).ok_or("a histogram of more than can be counted")?;
        }
        Ok(Self { counts })
    }
}

impl From<Histogram> for Vec<(u16, u64)> {
    fn from(histogram: Histogram) -> Self {
        histogram.counts
    }
}

/// Whole microseconds, an hour at most.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).map_or(LONGEST_US, |us| us.min(LONGEST_US))
}

/// Where a time is counted. 0 to 31 µs have a bucket each; from there on the highest six bits decide, of which the first is always one.
const fn bucket_of(us: u64) -> u16 {
    if us < 1 << FINENESS {
        return us as u16;
    }
    let shift = us.ilog2() - FINENESS;
    ((shift << FINENESS) as u64 + (us >> shift)) as u16
}

/// The longest time that a bucket counts, in microseconds; an hour for the last, which counts all above it too.
const fn longest_of(bucket: u16) -> u64 {
    if bucket >= LAST {
        return LONGEST_US;
    }
    let bucket = bucket as u64;
    if bucket < 1 << FINENESS {
        return bucket;
    }
    let shift = (bucket >> FINENESS) - 1;
    let top = bucket - (shift << FINENESS);
    ((top + 1) << shift) - 1
}

#[cfg(test)]
mod tests;
