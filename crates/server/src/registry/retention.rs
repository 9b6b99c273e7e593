//! Which recordings are removed, and when: those that are too old, and the oldest while there are too many bytes.
//!
//! Nothing is removed unless the configuration says so. Only what is over is: never what is scheduled, live, or being made into a replay. One recording is
//! removed after the other, away from the beat and from the log thread; each is first noted as gone, so that a crash leaves nothing that is half there.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use hiwar_segment_log::LogId;
use hiwar_space::{Actor, Command, Now, Phase, Recording, Space};
use serde::{Deserialize, Serialize};

pub use super::clock::now;
use super::clock::{Trust, over_since};
use super::{Entry, Error, Registry};
use crate::studio;

/// How often is looked, if nothing happens before: live logs grow.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Between two removals, so that whoever records has the disk, too.
const PAUSE: Duration = Duration::from_millis(100);

/// How long, and how much of, the past is kept. `None`: no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Since a conversation ended.
    pub age: Option<Duration>,
    /// Logs and replays of all spaces together, live ones included.
    pub bytes: Option<u64>,
}

impl Limits {
    /// Nothing is ever removed.
    #[must_use]
    pub fn keep_everything(&self) -> bool {
        self.age.is_none() && self.bytes.is_none()
    }
}

/// What is to be known of one space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept<I> {
    /// Which.
    pub id: I,
    /// When it ended; `None` for what must not be touched.
    pub over_since: Option<SystemTime>,
    /// What its log, its tracks and its replay take.
    pub bytes: u64,
}

/// What is to be removed now, oldest first.
#[must_use]
pub fn due<I: Copy + Ord>(spaces: &[Kept<I>], limits: Limits, now: SystemTime) -> Vec<I> {
    let mut bytes: u64 = spaces.iter().fold(0, |sum, space| sum.saturating_add(space.bytes));
    let mut over: Vec<(SystemTime, I, u64)> =
        spaces.iter().filter_map(|space| Some((space.over_since?, space.id, space.bytes))).collect();
    over.sort_unstable();
    let mut due = Vec::new();
    for (since, id, size) in over {
        let too_old = limits.age.is_some_and(|age| now.duration_since(since).is_ok_and(|passed| passed >= age));
        // What takes no room makes none.
        let too_much = limits.bytes.is_some_and(|limit| bytes > limit) && size > 0;
        if too_old || too_much {
            bytes -= size;
            due.push(id);
        }
    }
    due
}

/// How long until the next one is too old; `None` if none will be.
#[must_use]
pub fn next_due<I>(spaces: &[Kept<I>], limits: Limits, now: SystemTime) -> Option<Duration> {
    let age = limits.age?;
    let wait = |since: SystemTime| since.checked_add(age)?.duration_since(now).ok();
    spaces.iter().filter_map(|space| wait(space.over_since?)).min()
}

/// What one sweep knows from those before.
#[derive(Debug)]
pub struct Seen {
    /// Of what does not change any more, unless it is made anew: then it is known as another.
    sizes: HashMap<LogId, (Recording, u64)>,
    trust: Trust,
}

impl Seen {
    /// Nothing yet, at the start of a house.
    #[must_use]
    pub fn new(start: Now, limits: Limits) -> Self {
        Self { sizes: HashMap::new(), trust: Trust::new(start, limits.age) }
    }
}

impl Registry {
    /// Removes what is due, for as long as the house lives.
    pub async fn retain(self, limits: Limits) {
        if limits.keep_everything() {
            return;
        }
        let mut seen = Seen::new(now(), limits);
        loop {
            let wait = self.sweep(limits, now(), &mut seen).await;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.0.grown.notified() => {}
            }
        }
    }

    /// Removes what is due at `now`; how long to wait before the next time.
    pub async fn sweep(&self, limits: Limits, now: Now, seen: &mut Seen) -> Duration {
        let Seen { sizes, trust } = seen;
        let doubt = trust.doubt(now);
        let limits = Limits { age: limits.age.filter(|_| doubt.is_zero()), ..limits };
        // What is being removed counts as removed: else each file that the disk keeps would cost the next recording.
        let going = |entry: &Entry| entry.owed.delete;
        let mut spaces: Vec<Kept<LogId>> =
            self.lock().iter().filter(|(_, entry)| !going(entry)).map(|(id, entry)| entry.kept(*id, now)).collect();
        if limits.bytes.is_some() {
            self.weigh(&mut spaces, sizes).await;
        }
        for id in due(&spaces, limits, now.wall) {
            let outcome = self.command(id, Actor::House, Command::ExpireRecording).await;
            // A host was faster.
            if matches!(outcome, Err(Error::Refused(_) | Error::Unknown)) {
                continue;
            }
            self.0.expired.fetch_add(1, Relaxed);
            if let Err(why) = outcome {
                // It counts as removed, and the rest of it goes when the disk lets it. A disk that refuses is asked for no more now.
                tracing::warn!(space = %id, "the recording is being removed: {why}");
                break;
            }
            tracing::info!(space = %id, "the recording was removed: it is older, or there are more, than is kept");
            tokio::time::sleep(PAUSE).await;
        }
        let second = Duration::from_secs(1);
        let wait = next_due(&spaces, limits, now.wall).or(Some(doubt).filter(|doubt| !doubt.is_zero()));
        wait.map_or(LOOK_EVERY, |wait| wait.clamp(second, LOOK_EVERY))
    }

    /// Fills in what each takes on the disk.
    async fn weigh(&self, spaces: &mut [Kept<LogId>], sizes: &mut HashMap<LogId, (Recording, u64)>) {
        let dir = self.0.dir.clone();
        let over = spaces.iter().filter(|space| space.over_since.is_some());
        // What was removed, by us or by a host, or made anew, is looked at anew.
        let over: HashMap<LogId, Recording> = {
            let known = self.lock();
            over.filter_map(|space| Some((space.id, known.get(&space.id)?.space.facts().recording))).collect()
        };
        sizes.retain(|id, (of, _)| over.get(id) == Some(of));
        let unknown: Vec<LogId> = spaces.iter().map(|space| space.id).filter(|id| !sizes.contains_key(id)).collect();
        let weigh = move || unknown.into_iter().map(|id| (id, size(&dir.join(id.as_str())))).collect::<HashMap<_, _>>();
        let found = tokio::task::spawn_blocking(weigh).await.unwrap_or_default();
        for space in spaces {
            let known = sizes.get(&space.id).map(|(_, bytes)| bytes);
            let Some(bytes) = known.or(found.get(&space.id).and_then(|found| found.as_ref().ok())) else {
                // It makes nothing else go, and is looked at again.
                continue;
            };
            space.bytes = *bytes;
            if let Some(of) = over.get(&space.id) {
                sizes.insert(space.id, (*of, space.bytes));
            }
        }
        let failed: Vec<_> = found.iter().filter_map(|(id, found)| Some((id, found.as_ref().err()?))).collect();
        if let Some((id, why)) = failed.first() {
            tracing::warn!(space = %id, "cannot tell how much room {} recordings take: {why}", failed.len());
        }
    }

    /// A replay that is noted and not there: a full disk took no note of its removal, and the house died before the room that it made let it be written.
    /// With its log it is made anew; without, it was removed. Whether that changed the facts.
    pub(super) fn doubt_replay(&self, id: &LogId) -> bool {
        let mut spaces = self.lock();
        let Some(entry) = spaces.get_mut(id) else { return false };
        let mut facts = entry.space.facts().clone();
        let (
            Recording::Replay(_) | Recording::Review(_),
            Phase::Posted { started, ended } | Phase::Ended { started, ended },
        ) = (facts.recording, facts.phase.clone())
        else {
            return false;
        };
        let there = |folder: &str| self.0.dir.join(id.as_str()).join(folder).try_exists();
        // A disk that cannot be asked says nothing.
        if !matches!(there("replay"), Ok(false)) {
            return false;
        }
        facts.recording = match there("log") {
            Ok(true) => Recording::Sealing,
            Ok(false) => Recording::Expired { removed: SystemTime::now() },
            Err(_) => return false,
        };
        facts.phase = Phase::Ended { started, ended };
        tracing::warn!(space = %id, "the replay is not there: {}", match facts.recording {
            Recording::Sealing => "it is made anew from the log",
            _ => "it counts as removed",
        });
        entry.space = Space::from_facts(facts);
        true
    }

    /// Removes a recording from the disk; if that fails it is tried again.
    pub(super) async fn remove(&self, id: LogId) -> Result<(), Error> {
        let outcome = self.0.studio.delete_recording(&id).await;
        if let Err(why) = &outcome {
            tracing::error!(space = %id, "cannot delete the recording: {why}; will try again");
        }
        if let Some(entry) = self.lock().get_mut(&id) {
            entry.owed.delete = outcome.is_err();
        }
        Ok(outcome?)
    }
}

impl Entry {
    fn kept(&self, id: LogId, now: Now) -> Kept<LogId> {
        let facts = self.space.facts();
        let over_since = match (&facts.phase, facts.recording) {
            (Phase::Scheduled | Phase::Open | Phase::Live { .. } | Phase::Cancelled { .. }, _) => None,
            (_, Recording::Off | Recording::Sealing | Recording::Deleted | Recording::Expired { .. }) => None,
            (Phase::Ended { ended, .. } | Phase::Posted { ended, .. }, _) => {
                Some(over_since(*ended, self.seen_over, now))
            }
        };
        Kept { id, over_since, bytes: 0 }
    }
}

/// Bytes of a space's log, tracks and replay, and of what is left of them if emptying their folders failed. Blocks.
fn size(home: &Path) -> io::Result<u64> {
    let mut bytes = 0_u64;
    for folder in studio::FOLDERS {
        let Some(files) = there(std::fs::read_dir(home.join(folder)))? else { continue };
        for file in files {
            // It may have been renamed, or removed, since.
            bytes = bytes.saturating_add(there(file?.metadata())?.map_or(0, |found| found.len()));
        }
    }
    Ok(bytes)
}

/// `None` for what is not there.
fn there<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        looked => looked.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn at(day: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(day * 86_400)
    }

    fn kept(id: u32, over: Option<u64>, bytes: u64) -> Kept<u32> {
        Kept { id, over_since: over.map(at), bytes }
    }

    fn limits(days: Option<u64>, bytes: Option<u64>) -> Limits {
        Limits { age: days.map(|days| Duration::from_secs(days * 86_400)), bytes }
    }

    #[test]
    fn by_age_by_size_oldest_first_and_never_what_is_not_over() {
        let spaces = [kept(1, Some(10), 100), kept(2, None, 1_000), kept(3, Some(5), 100), kept(4, Some(20), 100)];
        let check = |days, bytes, now, wished: &[u32]| {
            assert_eq!(due(&spaces, limits(days, bytes), at(now)), wished, "{days:?} {bytes:?} at {now}");
        };
        check(None, None, 9_999, &[]);
        check(Some(7), None, 11, &[]);
        check(Some(7), None, 12, &[3]);
        check(Some(7), None, 17, &[3, 1]);
        check(Some(7), None, 9_999, &[3, 1, 4]);
        // A clock that was set back removes nothing.
        check(Some(7), None, 0, &[]);
        check(None, Some(1_300), 20, &[]);
        check(None, Some(1_299), 20, &[3]);
        check(None, Some(1_150), 20, &[3, 1]);
        check(None, Some(1), 20, &[3, 1, 4]);
        // What is too old makes room first.
        check(Some(7), Some(1_200), 12, &[3]);
        assert_eq!(due(&[kept(1, Some(1), 0), kept(2, Some(2), 9)], limits(None, Some(8)), at(3)), [2]);
    }

    #[test]
    fn afterwards_nothing_is_due_whatever_there_was() {
        // Every mixture of six spaces of three kinds and two sizes.
        for mixture in 0..6_u64.pow(6) {
            let digit = |n: u32| (mixture / 6_u64.pow(n)) % 6;
            let spaces: Vec<Kept<u32>> =
                (0..6).map(|n| kept(n, (digit(n) % 3).checked_sub(1), 50 * (1 + digit(n) / 3))).collect();
            let limits = limits(Some(2), Some(250));
            let removed = due(&spaces, limits, at(2));
            assert!(removed.iter().all(|id| spaces[*id as usize].over_since.is_some()), "{spaces:?}");
            let left: Vec<Kept<u32>> = spaces.iter().filter(|space| !removed.contains(&space.id)).copied().collect();
            assert_eq!(due(&left, limits, at(2)), [0_u32; 0], "{spaces:?}");
            // Nothing younger went while something older that takes room stayed.
            let stayed = left.iter().filter_map(|space| space.over_since).min();
            let gone = removed.iter().filter_map(|id| spaces[*id as usize].over_since).max();
            assert!(stayed.is_none() || gone.is_none() || gone <= stayed, "{spaces:?}");
        }
    }

    #[test]
    fn what_was_not_emptied_takes_room_and_what_cannot_be_seen_is_not_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(size(dir.path()).expect("nothing is there"), 0);
        for (folder, bytes) in studio::FOLDERS.iter().zip([1, 10, 100, 1_000, 10_000, 100_000]) {
            std::fs::create_dir(dir.path().join(folder)).expect("a disk");
            std::fs::write(dir.path().join(folder).join("file"), vec![0; bytes]).expect("a disk");
        }
        assert_eq!(size(dir.path()).expect("a disk"), 111_111);
        std::fs::remove_dir_all(dir.path().join("replay")).expect("a disk");
        std::fs::write(dir.path().join("replay"), "").expect("a disk");
        size(dir.path()).expect_err("a file is no folder");
    }

    #[test]
    fn it_is_looked_again_when_the_next_one_is_too_old() {
        let spaces = [kept(1, Some(10), 1), kept(2, None, 1), kept(3, Some(5), 1)];
        let day = Duration::from_secs(86_400);
        assert_eq!(next_due(&spaces, limits(Some(7), None), at(11)), Some(day));
        assert_eq!(next_due(&spaces, limits(Some(7), None), at(13)), Some(day * 4));
        assert_eq!(next_due(&spaces, limits(None, Some(1)), at(13)), None);
        assert_eq!(next_due(&spaces, limits(Some(7), None), at(99)), None);
    }
}
