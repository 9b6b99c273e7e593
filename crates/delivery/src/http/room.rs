//! How the files of a process are shared by those who connect and those whom helpers serve.
//!
//! A connection has one file. One that a helper serves has two, or a pair of sockets, and is not among the worker's own while it does. Each
//! kind of help has a few files that nobody else may have; beyond those everyone takes of the same store, and whoever listens is as good as
//! whoever hears a recording. So a worker without helpers at work is filled with connections nearly to its last file, and none of
//! them can make files run out:
//!
//! connections + the sum over all kinds of what is used, or kept if that is more ≤ [`Limits::files`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::{Place, Shared};
use crate::shed::Limits;

/// The store of one worker, for every thread of it that takes from it.
#[derive(Clone, Debug)]
pub(super) struct Room {
    shared: Arc<Shared>,
    /// Connections on their way back to the worker from those who helped them.
    returning: Arc<AtomicUsize>,
    files: usize,
    kept_each: usize,
    connections_max: usize,
}

/// What a connection is helped with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Help {
    /// A recording, or the past of a log: the connection and a file.
    Replay,
    /// An event stream: the connection, and one to the house.
    Stream,
    /// A body that is collected: the connection, and soon one to the house.
    Upload,
    /// A request of HTTP/2: a pair of sockets. The near end is a connection of the worker, and then counted twice, for it may still be on its way.
    Request,
}

impl Room {
    pub(super) fn new(shared: Arc<Shared>, returning: Arc<AtomicUsize>, limits: &Limits) -> Self {
        let kept_each = limits.files_kept / Help::ALL.len();
        Self { shared, returning, files: limits.files, kept_each, connections_max: limits.connections }
    }

    /// How many connections the worker itself may have now.
    pub(super) fn connections(&self) -> usize {
        self.connections_max.min(self.files.saturating_sub(self.helped()))
    }

    /// A place among at most `limit` who are helped so, if there is one and its files are there.
    pub(super) fn take(&self, help: Help, limit: usize) -> Option<Place> {
        // Taken first and looked at then, so that two threads never take the same files.
        let place = Place::take(self.counter(help), limit)?;
        let is_kept = self.used(help) <= self.kept_each;
        (is_kept || self.shared.connections.load(Relaxed) + self.helped() <= self.files).then_some(place)
    }

    /// How many are helped so.
    pub(super) fn counter(&self, help: Help) -> &Arc<AtomicUsize> {
        match help {
            Help::Replay => &self.shared.replays,
            Help::Stream => &self.shared.streams,
            Help::Upload => &self.shared.uploads,
            Help::Request => &self.shared.http2_requests,
        }
    }

    fn used(&self, help: Help) -> usize {
        self.counter(help).load(Relaxed) * FILES_EACH
    }

    /// Files that are not the worker's own connections: taken by helpers or kept for them, or on their way back.
    fn helped(&self) -> usize {
        let others = self.shared.http2_connections.load(Relaxed) + self.returning.load(Relaxed);
        others + Help::ALL.iter().map(|&help| self.used(help).max(self.kept_each)).sum::<usize>()
    }
}

impl Help {
    const ALL: [Self; 4] = [Self::Replay, Self::Stream, Self::Upload, Self::Request];
}

/// Files open for each.
const FILES_EACH: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn room(files: usize) -> (Room, Arc<Shared>, Limits) {
        let (shared, limits) = (Arc::<Shared>::default(), Limits::for_files(files));
        (Room::new(shared.clone(), Arc::default(), &limits), shared, limits)
    }

    #[test]
    fn who_comes_may_take_what_nobody_is_helped_with_and_each_kind_of_help_keeps_a_little() {
        let (room, shared, limits) = room(20_000);
        assert!(room.connections() >= 19_000, "{}", room.connections());
        // Full of listeners: a few of each kind are still helped, and that is all.
        shared.connections.store(room.connections(), Relaxed);
        let each = room.kept_each;
        for help in Help::ALL {
            let held: Vec<_> = (0..1_000).map_while(|_| room.take(help, usize::MAX)).collect();
            assert_eq!(held.len(), each / FILES_EACH, "{help:?}");
            assert_eq!(
                room.connections(),
                shared.connections.load(Relaxed),
                "nobody else is let in, and nobody is dropped"
            );
        }
        // Nobody listens: as many recordings as may be, and who comes finds less.
        shared.connections.store(0, Relaxed);
        let before = room.connections();
        let held: Vec<_> = (0..10_000).map_while(|_| room.take(Help::Replay, limits.replays)).collect();
        assert_eq!(held.len(), limits.replays);
        assert_eq!(room.connections(), before + each - 2 * limits.replays);
        room.returning.store(10, Relaxed);
        assert_eq!(room.connections(), before + each - 2 * limits.replays - 10);
        room.returning.store(0, Relaxed);
        drop(held);
        assert_eq!(room.connections(), before);
    }

    proptest! {
        /// Whoever comes and is helped in whatever order, files do not run out.
        #[test]
        fn files_never_run_out(files in 300usize..5_000, steps in prop::collection::vec((0usize..6, 1usize..400), 1..60)) {
            let (room, shared, limits) = room(files);
            let (mut connections, mut helped) = (0, Vec::new());
            for (what, times) in steps {
                for _ in 0..times {
                    match what {
                        4 => connections += usize::from(connections < room.connections()),
                        5 => drop(helped.pop()),
                        kind => {
                            let help = Help::ALL[kind];
                            if let Some(place) = room.take(help, usize::MAX) {
                                helped.push(place);
                            }
                        }
                    }
                    shared.connections.store(connections, Relaxed);
                    let open = connections + FILES_EACH * helped.len();
                    prop_assert!(open <= limits.files, "{open} of {}", limits.files);
                }
            }
        }
    }
}
