//! Datagrams, many at a time: when it is worth waking up for them, when each of them came, and sending all that wait by one system call.
//!
//! Sound that came in is taken at the next beat and not before, so with many speakers the thread reads once a beat: when that one has woken it to send
//! returns, which then leave by the same look at each session. Fifty turns a second instead of a thousand, for 16 ms of delay. That adds no jitter,
//! as each datagram carries the time at which the kernel got it.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use hiwar_media::programme::BEAT;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::session::{DATAGRAM_BYTES_MAX, Datagram, Proto};

/// How long datagrams are left in the socket when it is not known when their sound will be taken, or when somebody waits for an answer: a fifth
/// of a beat.
const GATHER: Duration = Duration::from_millis(4);
/// Longest that datagrams are left in the socket when no beat wakes us: a beat and a bit.
const GATHER_MAX: Duration = Duration::from_millis(25);
/// How long after a beat was due it has woken us and its datagrams are read, on a small machine with a full stage.
const BEAT_WORK: Duration = Duration::from_millis(2);
/// A datagram that seems to have waited longer tells that the wall clock was set: it counts as having come now.
const WAITED_MAX: Duration = Duration::from_millis(100);

/// When sound will next be taken out of the rings, as told by who takes it; and whether the net thread waits to be told.
#[derive(Debug)]
pub(super) struct Taking {
    epoch: Instant,
    /// Nanoseconds since `epoch`; 0 for never.
    next_ns: AtomicU64,
    awaited: AtomicBool,
}

impl Taking {
    pub(super) fn new() -> Self {
        Self { epoch: Instant::now(), next_ns: AtomicU64::new(0), awaited: AtomicBool::new(false) }
    }

    pub(super) fn set(&self, next: Instant) {
        let since = next.saturating_duration_since(self.epoch);
        self.next_ns.store(u64::try_from(since.as_nanos()).unwrap_or(0), Relaxed);
    }

    /// Whether datagrams are left in the socket until it is said that sound was taken.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited.load(Relaxed)
    }

    pub(super) fn await_it(&self, awaited: bool) {
        self.awaited.store(awaited, Relaxed);
    }

    /// The latest one before `now`, if a schedule is known.
    fn last(&self, now: Instant) -> Option<Instant> {
        let next = self.next()?;
        // The schedule goes on by whole beats, also when its next entry is not written yet or was written for later.
        let behind = next.saturating_duration_since(now).as_nanos().div_ceil(BEAT.as_nanos());
        next.checked_sub(BEAT * u32::try_from(behind).ok()?)
    }

    fn next(&self) -> Option<Instant> {
        let next_ns = self.next_ns.load(Relaxed);
        (next_ns > 0).then(|| self.epoch + Duration::from_nanos(next_ns))
    }
}

/// Datagrams sent by one call: a beat of five full stages. More wait for nothing; they go with the next call.
const LEAVING_MAX: usize = 100;

/// Datagrams a millisecond from which on it is a flood, and how many may come at once: twice what a hundred speakers send. The socket's smallest buffer holds some 250, so in a flood they are not left there for a beat.
const FLOOD_PER_MS: u128 = 10;
const BURST: u128 = 100;

/// When datagrams are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Haste {
    /// Few sessions: each datagram as it comes, which costs little.
    Each,
    /// Every [`GATHER`]: there are more sessions than the socket's buffer holds for a beat.
    Soon,
    /// Nothing but sound: once a beat, after it has woken us.
    AfterBeat,
}

/// Sessions from which on datagrams are left for the beat, and below which they no longer are: with fewer, reading each at once costs little.
const AFTER_BEAT_FROM: usize = 4;
const EACH_BELOW: usize = 3;
/// Sessions from which on they are read more often, and below which they are left for the beat again: a packet each takes half of the socket's buffer
/// where it is smallest (200 kB).
const SOON_FROM: usize = 100;
const AFTER_BEAT_BELOW: usize = 90;

impl Haste {
    /// For so many sessions that are connected. Each change shifts all stamps by up to 16 ms, which jitter buffers take seconds to follow; so nobody who
    /// comes and goes may cause them one after the other, and nothing that a stranger can do causes any.
    pub(super) fn next(self, sessions: usize) -> Self {
        match (self, sessions) {
            (Self::Each, ..AFTER_BEAT_FROM) | (_, ..EACH_BELOW) => Self::Each,
            (Self::Soon, AFTER_BEAT_BELOW..) | (_, SOON_FROM..) => Self::Soon,
            _ => Self::AfterBeat,
        }
    }

    /// How long before the beat that takes it a datagram must have come.
    fn ahead(self) -> Duration {
        match self {
            Self::Each => BEAT_WORK,
            Self::Soon => GATHER + BEAT_WORK,
            Self::AfterBeat => BEAT - BEAT_WORK,
        }
    }
}

/// Reads one socket.
pub(super) struct Datagrams {
    // One byte more than a session takes, so that what was cut short is known to be too long.
    buffer: Box<[u8; DATAGRAM_BYTES_MAX + 1]>,
    control: Vec<u8>,
    read_at: Instant,
    /// Time between the reading before and that one, and how many datagrams came of it.
    waited: Duration,
    count: usize,
    /// Whether nothing was left when we stopped reading.
    drained: bool,
    /// The same moment on the clock of arrivals and on the wall clock, which the kernel stamps with.
    moment: (Instant, Timespec),
    /// The latest beat before this reading.
    taken_last: Option<Instant>,
    ahead: Duration,
}

impl Datagrams {
    /// Asks the kernel to stamp what comes in on `socket`. Where it will not, datagrams count as having come when they are read.
    pub(super) fn new(socket: &UdpSocket) -> Self {
        if let Err(error) = setsockopt(socket, sockopt::ReceiveTimestampns, &true) {
            tracing::warn!(%error, "datagrams are not stamped: the way of a full stage's sound is up to 20 ms longer");
        }
        let buffer = Box::new([0; DATAGRAM_BYTES_MAX + 1]);
        let now = Instant::now();
        let moment = (now, clock_gettime(ClockId::Realtime));
        Self {
            buffer,
            control: nix::cmsg_space!(TimeSpec),
            read_at: now,
            waited: Duration::ZERO,
            count: 0,
            drained: true,
            moment,
            taken_last: None,
            ahead: Duration::ZERO,
        }
    }

    /// Until when to wait for a beat before reading again; `None` for at once. `hurry`: somebody waits for an answer, or speaks over TCP, whose bytes
    /// carry no time.
    pub(super) fn read_next(&self, haste: Haste, hurry: bool) -> Option<Instant> {
        match haste {
            _ if !self.drained => None,
            Haste::Each => None,
            Haste::AfterBeat if !hurry && !is_flood(self.count, self.waited) => Some(self.read_at + GATHER_MAX),
            Haste::Soon | Haste::AfterBeat => Some(self.read_at + GATHER),
        }
    }

    /// To be called before a series of [`Self::read`].
    pub(super) fn begin(&mut self, taking: &Taking, haste: Haste) {
        self.ahead = haste.ahead();
        let now = Instant::now();
        (self.waited, self.count, self.drained) = (now - self.read_at, 0, false);
        self.read_at = now;
        self.taken_last = taking.last(self.read_at);
        self.moment = (self.read_at, clock_gettime(ClockId::Realtime));
    }

    /// The next datagram; `None` when there is no other. Its arrival is when the kernel got it, and later by [`Haste::ahead`], as what comes less than
    /// that before a beat misses it. Where a beat went by meanwhile because we were late, it is the time of reading, or the
    /// jitter buffer would never learn of our own delays. Errors are echoes of earlier sends; what matters comes again.
    pub(super) fn read(&mut self, socket: &UdpSocket, destination: SocketAddr) -> Option<Datagram<'_>> {
        // Whatever ends the series ends the turn, too.
        self.drained = true;
        let mut slices = [IoSliceMut::new(&mut *self.buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let message =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut self.control), flags).ok()?;
        let (length, source) = (message.bytes, address(message.address?)?);
        let stamp = message.cmsgs().ok()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
            _ => None,
        });
        let came = stamp.map_or(self.read_at, |stamp| came(self.moment, stamp));
        let arrival = arrival(came + self.ahead, self.read_at, self.taken_last);
        (self.count, self.drained) = (self.count + 1, false);
        let bytes = self.buffer.get(..length).unwrap_or_default();
        Some(Datagram { arrival, proto: Proto::Udp, source, destination, bytes })
    }
}

/// Datagrams that wait to be sent together.
#[derive(Default)]
pub(super) struct Leaving {
    to: Vec<SocketAddrAny>,
    bytes: Vec<Vec<u8>>,
}

impl Leaving {
    pub(super) fn push(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.to.push(to.into());
        self.bytes.push(bytes);
    }

    pub(super) fn is_full(&self) -> bool {
        self.to.len() >= LEAVING_MAX
    }

    /// Sends everything; returns how many the system took and how many it had no room, or no way, for.
    pub(super) fn flush(&mut self, socket: &UdpSocket) -> (u64, u64) {
        let (mut sent, mut dropped) = (0, 0);
        if self.to.is_empty() {
            return (sent, dropped);
        }
        let slices: Vec<[IoSlice<'_>; 1]> = self.bytes.iter().map(|bytes| [IoSlice::new(bytes)]).collect();
        let mut nothing: Vec<SendAncillaryBuffer<'_, '_, '_>> = slices.iter().map(|_| Default::default()).collect();
        let mut messages: Vec<MMsgHdr<'_>> = self
            .to
            .iter()
            .zip(&slices)
            .zip(&mut nothing)
            .map(|((to, slice), nothing)| MMsgHdr::new_with_addr(to, slice, nothing))
            .collect();
        let mut rest = messages.as_mut_slice();
        while !rest.is_empty() {
            // It stops at the first that cannot be sent, which the next call then says; that one is passed over.
            let taken = match sendmmsg(socket, rest, SendFlags::DONTWAIT) {
                Ok(taken @ 1..) => {
                    sent += taken as u64;
                    taken
                }
                Err(rustix::io::Errno::INTR) => 0,
                Ok(0) | Err(_) => {
                    dropped += 1;
                    1
                }
            };
            rest = rest.get_mut(taken..).unwrap_or_default();
        }
        drop(messages);
        drop(nothing);
        drop(slices);
        self.to.clear();
        self.bytes.clear();
        (sent, dropped)
    }
}

fn is_flood(count: usize, waited: Duration) -> bool {
    count as u128 > BURST + FLOOD_PER_MS * waited.as_millis()
}

/// When a datagram that was to be there at `due` for any later beat, and was read then, counts as having come.
fn arrival(due: Instant, read_at: Instant, taken_last: Option<Instant>) -> Instant {
    if taken_last.is_some_and(|taken| taken < due) { due } else { due.max(read_at) }
}

/// The stamp on the clock of arrivals.
fn came((instant, wall): (Instant, Timespec), stamp: TimeSpec) -> Instant {
    let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let waited = nanos(wall.tv_sec, wall.tv_nsec) - nanos(stamp.tv_sec(), stamp.tv_nsec());
    // What came after the series began has waited for less than nothing.
    match u64::try_from(waited).map(Duration::from_nanos) {
        Ok(waited) if waited <= WAITED_MAX => instant.checked_sub(waited).unwrap_or(instant),
        _ => instant,
    }
}

fn address(storage: SockaddrStorage) -> Option<SocketAddr> {
    let source = match (storage.as_sockaddr_in(), storage.as_sockaddr_in6()) {
        (Some(v4), _) => SocketAddr::V4((*v4).into()),
        (_, Some(v6)) => SocketAddr::V6((*v6).into()),
        _ => return None,
    };
    Some(SocketAddr::new(source.ip().to_canonical(), source.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_full_stage_is_no_flood_and_what_would_fill_the_socket_is() {
        for ms in [2, 4, 17, 18] {
            assert!(!is_flood(5 * ms as usize + 100, ms * MS), "a hundred speakers, all packets of one beat at once");
            assert!(is_flood(20 * ms as usize + 100, ms * MS));
        }
    }

    #[test]
    fn a_full_stage_waits_for_its_beat_but_not_in_a_flood_nor_with_more_to_read() {
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (theirs, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), ours.local_addr().unwrap());
        let (mut datagrams, taking) = (Datagrams::new(&ours), Taking::new());
        (0..150).for_each(|_| assert!(theirs.send_to(b"flood", to).is_ok()));
        datagrams.begin(&taking, Haste::AfterBeat);
        assert!(datagrams.read(&ours, to).is_some());
        assert_eq!(datagrams.read_next(Haste::AfterBeat, false), None, "the rest waits");
        while datagrams.read(&ours, to).is_some() {}
        datagrams.waited = MS;
        assert_eq!(datagrams.read_next(Haste::AfterBeat, false), Some(datagrams.read_at + GATHER));
        datagrams.begin(&taking, Haste::AfterBeat);
        assert!(datagrams.read(&ours, to).is_none());
        assert_eq!(datagrams.read_next(Haste::AfterBeat, false), Some(datagrams.read_at + GATHER_MAX));
        assert_eq!(datagrams.read_next(Haste::AfterBeat, true), Some(datagrams.read_at + GATHER));
        assert_eq!(datagrams.read_next(Haste::Each, false), None);
    }

    #[test]
    fn what_missed_its_beat_because_it_was_read_late_counts_as_late() {
        let start = Instant::now();
        let at = |ms: u32| start + ms * MS;
        let taking = Taking::new();
        let ahead = Haste::AfterBeat.ahead();
        assert_eq!(arrival(at(10) + ahead, at(30), taking.last(at(30))), at(30));
        taking.set(at(40));
        // Read after the beat at 20 ms: it was there for the one at 40, or came so late that it could be there only for the one at 60.
        assert_eq!(arrival(at(5) + ahead, at(22), taking.last(at(22))), at(23));
        taking.set(at(60));
        assert_eq!(arrival(at(23) + ahead, at(42), taking.last(at(42))), at(41));
        // It should have been read after the beat at 20 and was read after the one at 40; whether that one has told of the next or not.
        assert_eq!(arrival(at(15) + ahead, at(43), taking.last(at(43))), at(43));
        taking.set(at(40));
        assert_eq!(arrival(at(15) + ahead, at(43), taking.last(at(43))), at(43));
        // Each read as it comes.
        taking.set(at(60));
        assert_eq!(arrival(at(41) + Haste::Each.ahead(), at(41), taking.last(at(41))), at(43));
    }

    #[test]
    fn who_comes_and_goes_does_not_change_the_haste_each_time() {
        let hastes = |sessions: &[usize]| {
            let follow = |haste: &mut Haste, sessions: &usize| {
                *haste = haste.next(*sessions);
                Some(*haste)
            };
            sessions.iter().scan(Haste::Each, follow).collect::<Vec<_>>()
        };
        use Haste::{AfterBeat, Each, Soon};
        assert_eq!(hastes(&[0, 3, 4, 3, 4, 2, 3]), [Each, Each, AfterBeat, AfterBeat, AfterBeat, Each, Each]);
        assert_eq!(hastes(&[99, 100, 95, 100, 89, 95, 0]), [AfterBeat, Soon, Soon, Soon, AfterBeat, AfterBeat, Each]);
    }

    #[test]
    fn a_stamp_is_believed_unless_the_wall_clock_was_set() {
        let now = Instant::now();
        let wall = Timespec { tv_sec: 1_000, tv_nsec: 5_000_000 };
        assert_eq!(came((now, wall), TimeSpec::new(999, 995_000_000)), now - 10 * MS);
        assert_eq!(came((now, wall), TimeSpec::new(1_000, 6_000_000)), now);
        assert_eq!(came((now, wall), TimeSpec::new(5, 0)), now);
        assert_eq!(came((now, wall), TimeSpec::new(i64::MAX, 0)), now);
    }

    #[test]
    fn a_datagram_carries_the_time_at_which_it_came() {
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        let theirs = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (mut datagrams, taking) = (Datagrams::new(&ours), Taking::new());
        // For the first socket on a machine that asks, the kernel begins to stamp a moment later; until then the stamp is the time of reading.
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < 5_000 * MS, "the kernel does not stamp");
            theirs.send_to(b"ready?", ours.local_addr().unwrap()).unwrap();
            let sent = Instant::now();
            while Instant::now() < sent + 5 * MS {}
            datagrams.begin(&taking, Haste::Each);
            datagrams.taken_last = Some(begun);
            let read_at = datagrams.read_at;
            if datagrams.read(&ours, ours.local_addr().unwrap()).unwrap().arrival < read_at + BEAT_WORK - 3 * MS {
                break;
            }
        }
        let before = Instant::now();
        theirs.send_to(b"hello", ours.local_addr().unwrap()).unwrap();
        let after = Instant::now();
        // Long after it came, as far as this test may wait.
        while Instant::now() < after + 20 * MS {}
        let reading = Instant::now();
        datagrams.begin(&taking, Haste::Each);
        // Between the two clocks in there this test may have lost its turn; the stamp can be wrong by no more than that.
        let slack = reading.elapsed() + MS;
        datagrams.taken_last = Some(before);
        let datagram = datagrams.read(&ours, ours.local_addr().unwrap()).unwrap();
        assert_eq!((datagram.bytes, datagram.source), (&b"hello"[..], theirs.local_addr().unwrap()));
        assert!(datagram.arrival >= before + BEAT_WORK - slack && datagram.arrival <= after + BEAT_WORK + slack);
        assert!(datagrams.read(&ours, ours.local_addr().unwrap()).is_none());
    }
}
