//! What a worker takes on, and what it lets go: limits, the gate before `accept`, and deadlines of those who are not listening.
//!
//! Listeners have no deadlines: they are judged when a chunk comes (`fanout`). Everyone else holds a connection for a short, bounded
//! time.

use std::time::{Duration, Instant};

/// The limits of one worker.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections held at once, while nobody is helped (`http::room`). At the limit the worker stops accepting, and the others who share the socket take over.
    pub connections: usize,
    /// Files for connections and for whom helpers serve (replays, event streams, uploads, requests of HTTP/2), who take of the same store.
    pub files: usize,
    /// Of those, kept for helpers, each kind a fourth.
    pub files_kept: usize,
    /// From `accept` (TLS included), or the first byte of a next request, to the end of its head. Slower than any honest network; slowloris costs a
    /// connection for no longer than this.
    pub head: Duration,
    /// TLS handshakes under way at once, each holding about 20 kB; within `head`, like all that comes before a request. Beyond it whoever
    /// began first is let go: a handshake that is meant takes two round trips.
    pub handshakes: usize,
    /// How long an idle connection is kept for a next request. A page's assets arrive within a second or two; longer would only hold
    /// places.
    pub idle: Duration,
    /// From an answer to its last byte being taken by the kernel, whoever made it. 1 MB of app at 300 kbit/s takes 27 s.
    pub answer: Duration,
    /// How long a request of HLS is held for what is to come: three target durations (RFC 8216bis §6.2.5.2).
    pub hold: Duration,
    /// How long the playlist of a log that is not known here is waited for: what the house says reaches all workers within milliseconds.
    pub news: Duration,
    /// From the end of a log until its last minute is forgotten, about 400 kB, and whoever has not read them is let go. Long enough for a
    /// player of HLS to fetch the last segments it was told of: those are not counted as listeners, so this does not end early.
    pub farewell: Duration,
    /// Replays being sent at once; each holds two files.
    pub replays: usize,
    /// Of those, for one address (see `http::neighbours`): an office, or a carrier's customers.
    pub replays_each: usize,
    /// In this time whoever is sent a recording must take 64 KiB of it, or is let go. Players pause for minutes by not reading, and ask anew for the rest.
    pub replay_pause: Duration,
    /// Requests at the house at once, without event streams: what one API can be asked by one worker. Beyond it: 503, Retry-After.
    pub forwards: usize,
    /// Of those, for one address (see `http::neighbours`): a browser opens six connections.
    pub forwards_each: usize,
    /// Bodies being collected at once, before the house is asked; each holds at most 128 KiB and one file. A body that comes in one piece
    /// with its head needs no such place, so strangers who hold them all only stop those who are slow.
    pub uploads: usize,
    /// Of those larger than [`crate::request::BODY_BYTES_MAX`], at once, each in memory until the house has answered; on the stage port alone, for who sends
    /// one has a pass to host. Beyond it: 503, Retry-After.
    pub large_uploads: usize,
    /// Of those, for one address: nobody gives two files at once.
    pub large_uploads_each: usize,
    /// From the head of such a request to the last byte of its body: 20 MB at 1.4 Mbit/s.
    pub large_upload: Duration,
    /// From a head to the last byte of its body, however steadily it comes. 64 KiB at 50 kbit/s take 11 s.
    pub upload: Duration,
    /// Event streams through this worker at once; each holds two files.
    pub streams: usize,
    /// Of those, for one address: an office behind one.
    pub streams_each: usize,
    /// Connections of HTTP/2 at once, about 55 kB each with the two requests that a player has under way. Beyond it the handshake offers HTTP/1.1 alone, and nobody is turned away.
    pub http2_connections: usize,
    /// Their requests at once, those that are held included; each holds a pair of sockets. Beyond it: 503, Retry-After.
    pub http2_requests: usize,
    /// Of those, for one address: a carrier puts many listeners behind one, and each has two to four under way.
    pub http2_requests_each: usize,
    /// How long an answer by HTTP/2 waits for a client that takes nothing of it.
    pub http2_stall: Duration,
    /// Longest that the house may take to begin an answer before the client is told 504.
    pub house: Duration,
}

impl Limits {
    /// Limits for a process that may open `files` files.
    pub fn for_files(files: usize) -> Self {
        let share = (files / 16).clamp(16, 1_000);
        let forwards = 64;
        let uploads = (files / 64).clamp(16, 256);
        let large_uploads = 4;
        let helped = 2 * (forwards + large_uploads);
        let shared = files.saturating_sub(FILES_RESERVED + FILES_SPARE + helped).max(64);
        let kept = (files / 64).clamp(32, 512);
        Self {
            connections: shared - kept,
            files: shared,
            files_kept: kept,
            head: Duration::from_secs(10),
            handshakes: (files / 8).clamp(16, 2_048),
            idle: Duration::from_secs(15),
            answer: Duration::from_secs(60),
            hold: Duration::from_secs(12),
            news: Duration::from_secs(1),
            farewell: Duration::from_secs(60),
            replays: share,
            replays_each: share / 4,
            replay_pause: Duration::from_secs(180),
            forwards,
            forwards_each: forwards / 8,
            uploads,
            large_uploads,
            large_uploads_each: 1,
            large_upload: Duration::from_secs(120),
            upload: Duration::from_secs(15),
            streams: share,
            streams_each: share / 4,
            http2_connections: (files / 16).clamp(8, 4_096),
            http2_requests: (files / 8).clamp(16, 8_192),
            http2_requests_each: (files / 8).clamp(16, 8_192) / 4,
            http2_stall: Duration::from_secs(10),
            house: Duration::from_secs(60),
        }
    }
}

/// Files a worker opens besides connections: listeners, epoll, eventfds, buses, logs, and some that a library may open.
const FILES_RESERVED: usize = 64;
/// What other threads may take before they hear of those who were accepted in a turn.
const FILES_SPARE: usize = 64;

/// Whether the worker accepts.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It does.
    Open,
    /// It is full: others accept.
    Full,
    /// It waits for something else.
    Shut,
}

impl Gate {
    /// The gate for this many connections of at most `limit`. It opens again a little below the limit, so that a full worker does not register and
    /// unregister its listener for every one who leaves.
    pub fn next(self, connections: usize, limit: usize) -> Self {
        let reopen = limit - (limit / 64).max(1).min(limit);
        match self {
            Self::Open | Self::Shut if connections >= limit => Self::Full,
            Self::Full if connections > reopen => Self::Full,
            _ => Self::Open,
        }
    }
}

/// Deadlines by the quarter second: one entry that counts per connection that is not a listener, whatever its deadline has become meanwhile.
///
/// The owner keeps the true deadline, and when its entry comes up: a later deadline needs no other entry, and a sooner one leaves the old
/// entry behind, which the owner does not mind when it comes up.
#[derive(Debug)]
pub struct Wheel<T> {
    slots: Vec<Vec<T>>,
    hand: usize,
    turned: Instant,
}

impl<T> Wheel<T> {
    /// An empty wheel.
    pub fn new(now: Instant) -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect(), hand: 0, turned: now }
    }

    /// Enters something that is due at `deadline`, and says when it comes up. A deadline beyond the wheel comes up early, and is entered
    /// again by the owner.
    pub fn enter(&mut self, deadline: Instant, item: T) -> Instant {
        let wait = deadline.saturating_duration_since(self.turned);
        let ticks = (wait.as_millis() / TICK.as_millis()) as usize + 1;
        let ticks = ticks.min(SLOTS - 1);
        if let Some(slot) = self.slots.get_mut((self.hand + ticks) % SLOTS) {
            slot.push(item);
        }
        self.turned + TICK * ticks as u32
    }

    /// The entries of the next tick that is over, if one is; call until `None`.
    pub fn turn(&mut self, now: Instant) -> Option<Vec<T>> {
        if now.saturating_duration_since(self.turned) < TICK {
            return None;
        }
        self.turned += TICK;
        self.hand = (self.hand + 1) % SLOTS;
        self.slots.get_mut(self.hand).map(std::mem::take)
    }

    /// How long until the next tick.
    pub fn until_tick(&self, now: Instant) -> Duration {
        (self.turned + TICK).saturating_duration_since(now)
    }
}

/// The wheel's step: deadlines are in seconds, so a quarter is exact enough, and four wake-ups a second cost nothing.
pub const TICK: Duration = Duration::from_millis(250);
const SLOTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_worker_opens_again_only_a_little_below_its_limit() {
        assert_eq!(Gate::Open.next(127, 128), Gate::Open);
        assert_eq!(Gate::Open.next(128, 128), Gate::Full);
        assert_eq!(
            (Gate::Shut.next(127, 128), Gate::Shut.next(128, 128)),
            (Gate::Open, Gate::Full),
            "it waited for something else"
        );
        assert_eq!(Gate::Full.next(127, 128), Gate::Full);
        assert_eq!(Gate::Full.next(126, 128), Gate::Open);
        assert_eq!(Gate::Open.next(128, 100), Gate::Full, "helpers have taken some");
        assert_eq!(Gate::Open.next(0, 0), Gate::Full);
    }

    #[test]
    fn the_limits_fit_into_the_files_and_leave_most_of_them_to_who_comes() {
        for (files, connections) in [(1_024, 700), (20_000, 19_400), (1_000_000, 999_000)] {
            let limits = Limits::for_files(files);
            assert!(limits.files + 2 * limits.forwards + FILES_RESERVED <= files, "{limits:?}");
            assert!(limits.connections + limits.files_kept <= limits.files, "{limits:?}");
            assert!(limits.connections >= connections, "{limits:?}");
        }
    }

    #[test]
    fn entries_come_up_once_and_not_before_their_time() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let seconds = |seconds| start + Duration::from_secs_f64(seconds);
        assert_eq!(wheel.enter(seconds(1.0), 'a'), seconds(1.25));
        assert_eq!(wheel.enter(seconds(5.0), 'b'), seconds(5.25));
        assert_eq!(wheel.enter(seconds(500.0), 'c'), seconds(15.75));
        let mut due = |seconds: f64| {
            let mut found = Vec::new();
            while let Some(items) = wheel.turn(start + Duration::from_secs_f64(seconds)) {
                found.extend(items);
            }
            found
        };
        assert_eq!(due(0.99), []);
        assert_eq!(due(1.3), ['a']);
        assert_eq!(due(4.9), []);
        assert_eq!(due(5.3), ['b']);
        assert_eq!(due(16.0), ['c'], "early, for the owner to enter again");
        assert_eq!(due(100.0), []);
    }
}
