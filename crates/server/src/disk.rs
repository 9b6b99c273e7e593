//! The room on the file system of `--data`: looked at every few seconds, judged, and told.
//!
//! A nearly full disk is a notice to whoever runs the server and to hosts; at the hard floor new conversations are refused, so that those that are on the
//! air keep what is left. On a disk that is full nothing here matters: recordings pause by themselves, and go on by themselves ([`crate::studio`]).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io};

use serde::{Deserialize, Serialize};

/// How often the disk is looked at. Two hundred recorded conversations write 4 MB meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A disk that has told nothing for so long hangs, or has gone; what it told before says nothing any more.
const STALE: Duration = Duration::from_secs(60);

/// A line that was crossed is crossed back this much further away: what sways around it is told once.
const HYSTERESIS_PERCENT: u64 = 2;

/// When a disk is called full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// A notice from this much used.
    pub notice_percent: u8,
    /// New conversations are refused from this much used, if less than `refuse_bytes` are free, too.
    pub refuse_percent: u8,
    /// See `refuse_percent`.
    pub refuse_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // 5 % of a large disk is room for months; 1 GiB, for about sixteen hours of conversation with its replay.
        Self { notice_percent: 80, refuse_percent: 95, refuse_bytes: 1 << 30 }
    }
}

/// What a file system holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in use.
    pub used: u64,
    /// Bytes that we may still use; what is reserved for root is neither.
    pub free: u64,
}

impl Usage {
    /// Of the file system on which `path` is. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub fn of(path: &Path) -> io::Result<Self> {
        let found = rustix::fs::statvfs(path)?;
        if found.f_blocks == 0 {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the file system does not tell its size"));
        }
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Self { used: bytes(found.f_blocks.saturating_sub(found.f_bfree)), free: bytes(found.f_bavail) })
    }

    /// As `df` counts: of what can be used.
    #[must_use]
    pub fn ratio(self) -> f64 {
        let all = self.used.saturating_add(self.free);
        // Everything that is left may be reserved for root.
        if all == 0 { 1.0 } else { self.used as f64 / all as f64 }
    }

    /// The same in percent, rounded up as `df` does.
    #[must_use]
    pub fn percent(self) -> u64 {
        (self.ratio() * 100.0).ceil() as u64
    }

    /// Whether at least `percent` are used. In integers, so that the line is exact.
    fn reaches(self, percent: u64) -> bool {
        let all = u128::from(self.used) + u128::from(self.free);
        u128::from(self.used) * 100 >= all * u128::from(percent)
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % full, {} MiB free", self.percent(), self.free >> 20)
    }
}

/// How much room there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// No reason to say anything.
    #[default]
    Plenty,
    /// Time to make room.
    Little,
    /// New conversations are refused.
    Scarce,
}

impl Room {
    /// What `usage` means to whoever found `self` before.
    #[must_use]
    pub fn after(self, usage: Usage, limits: Limits) -> Self {
        let beyond = |was: bool, percent: u8| {
            let slack = if was { HYSTERESIS_PERCENT } else { 0 };
            usage.reaches(u64::from(percent).saturating_sub(slack).max(1))
        };
        // The floor in bytes sways too: a tenth more must be free before it is left.
        let floor = limits.refuse_bytes.saturating_add(if self == Self::Scarce { limits.refuse_bytes / 10 } else { 0 });
        if beyond(self == Self::Scarce, limits.refuse_percent) && usage.free < floor {
            Self::Scarce
        } else if beyond(self >= Self::Little, limits.notice_percent) {
            Self::Little
        } else {
            Self::Plenty
        }
    }
}

/// What is known of the disk. A cheap handle.
#[derive(Debug, Clone)]
pub struct Watch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    limits: Limits,
    found: Mutex<Option<Found>>,
    failed: AtomicBool,
}

/// What the last look that succeeded saw.
#[derive(Debug, Clone, Copy)]
struct Found {
    room: Room,
    usage: Usage,
    at: Instant,
}

/// What is known at `now`.
fn known(found: Option<Found>, now: Instant) -> (Room, Option<Usage>) {
    match found {
        Some(Found { room, usage, at }) if now.saturating_duration_since(at) <= STALE => (room, Some(usage)),
        _ => (Room::Plenty, None),
    }
}

impl Watch {
    /// Looks at the disk of `path` now. Blocks as long as the disk does.
    #[must_use]
    pub fn new(path: &Path, limits: Limits) -> Self {
        let inner = Inner { path: path.to_owned(), limits, found: Mutex::default(), failed: AtomicBool::new(false) };
        let watch = Self(Arc::new(inner));
        watch.look();
        watch
    }

    /// Looks again and again.
    pub async fn run(self) {
        let mut interval = tokio::time::interval(LOOK_EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let watch = self.clone();
            // A disk that hangs keeps one thread, and nobody else.
            let _ = tokio::task::spawn_blocking(move || watch.look()).await;
        }
    }

    /// How much room there was when it was looked at last, and what was seen; `None` if the system does not tell, or has not for a minute: nobody is
    /// refused for what nobody knows.
    #[must_use]
    pub fn found(&self) -> (Room, Option<Usage>) {
        known(*self.0.found.lock().unwrap_or_else(PoisonError::into_inner), Instant::now())
    }

    fn look(&self) {
        let Inner { path, limits, found, failed } = &*self.0;
        let usage = match Usage::of(path) {
            Ok(usage) => usage,
            Err(why) => {
                if !failed.swap(true, Relaxed) {
                    tracing::warn!("cannot tell how full the disk of {} is: {why}", path.display());
                }
                return;
            }
        };
        failed.store(false, Relaxed);
        let (before, after) = {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            let before = found.map_or(Room::Plenty, |found| found.room);
            let after = before.after(usage, *limits);
            *found = Some(Found { room: after, usage, at: Instant::now() });
            (before, after)
        };
        let path = path.display();
        match (before, after) {
            (before, after) if before == after => {}
            (_, Room::Scarce) => {
                tracing::error!(
                    "the disk of {path} is {usage}: new conversations are refused until there is room; what is on the air goes on"
                );
            }
            (Room::Scarce, Room::Little) => {
                tracing::warn!("the disk of {path} is {usage}: new conversations are taken again")
            }
            (_, Room::Little) => {
                tracing::warn!("the disk of {path} is {usage}: make room, or have old recordings removed ([retention])")
            }
            (_, Room::Plenty) => tracing::info!("the disk of {path} has room again: {usage}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn of(used: u64, free: u64) -> Usage {
        Usage { used, free }
    }

    #[test]
    fn a_line_is_told_once_and_left_further_away() {
        let limits = Limits { refuse_bytes: u64::MAX, ..Limits::default() };
        let mut room = Room::Plenty;
        let mut check = |used: u64, wished: Room| {
            room = room.after(of(used, 1_000 - used), limits);
            assert_eq!(room, wished, "{used} of 1000");
        };
        check(799, Room::Plenty);
        check(800, Room::Little);
        check(799, Room::Little);
        check(780, Room::Little);
        check(779, Room::Plenty);
        check(799, Room::Plenty);
        check(950, Room::Scarce);
        check(949, Room::Scarce);
        check(930, Room::Scarce);
        check(929, Room::Little);
        check(949, Room::Little);
        check(1_000, Room::Scarce);
        check(0, Room::Plenty);
    }

    #[test]
    fn a_large_disk_is_not_refused_while_a_gibibyte_is_free() {
        let check = |before: Room, used: u64, free: u64, after: Room| {
            assert_eq!(before.after(of(used, free), Limits::default()), after, "{used} used, {free} free");
        };
        check(Room::Plenty, 990 * GIB, 10 * GIB, Room::Little);
        check(Room::Little, 999 * GIB, GIB - 1, Room::Scarce);
        check(Room::Scarce, 999 * GIB, GIB + 1, Room::Scarce);
        check(Room::Scarce, 998 * GIB, GIB + GIB / 5, Room::Little);
        // A small disk with room: a gibibyte is more than it has.
        check(Room::Plenty, 0, 4 << 20, Room::Plenty);
        check(Room::Plenty, 90, 10, Room::Little);
        check(Room::Plenty, 0, 0, Room::Scarce);
    }

    #[test]
    fn what_is_not_told_for_a_minute_is_not_known() {
        let (at, usage) = (Instant::now(), of(99, 1));
        let found = Some(Found { room: Room::Scarce, usage, at });
        assert_eq!(known(found, at + STALE), (Room::Scarce, Some(usage)));
        assert_eq!(known(found, at + STALE + LOOK_EVERY), (Room::Plenty, None));
        assert_eq!(known(None, at), (Room::Plenty, None));
    }

    #[test]
    fn it_counts_as_df_does() {
        assert_eq!((of(801, 199).percent(), of(1, 0).percent(), of(0, 1).percent()), (81, 100, 0));
        let usage = Usage::of(Path::new("/")).expect("a file system");
        assert!(usage.used > 0 && (0.0..=1.0).contains(&usage.ratio()));
    }
}
