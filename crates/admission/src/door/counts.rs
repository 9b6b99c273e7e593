//! How many tickets each network has had, in memory that all workers share: in each of many short lists those that had most (Metwally et al. 2005, "Space-Saving").
//!
//! A network's list is one line of a processor's cache, so a count costs one miss and one change for each level. Whoever finds no room in a list takes the entry with the fewest tickets, and goes
//! on from its number. So of what counts nobody is told too few, and too many only where more than sixteen networks came to one list; the memory is the same however many come. What is beyond
//! the room of a narrower network counts in no wider one.
//!
//! Each entry says in which crowd it was made. Of an older one it is as good as empty, so a new crowd begins without a moment in which 11 MB are cleared; they are [swept](Counts::sweep) afterwards.

use std::hint::black_box;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use super::network::{LEVELS, NTH_MAX, Networks};
use super::redemption::IN_WORD;

/// Entries in a line of 64 bytes.
const LINE: usize = 16;
/// Lines of each level, narrowest first: there are more addresses than providers. Two thousand less of the narrowest than 2¹⁷, so that ten million tickets with their [bits](super::redemption) are less than 16 MB.
const LINES: [usize; LEVELS] = [126 << 10, 1 << 15, 1 << 13, 1 << 10];
const _: () = assert!(CELLS * size_of::<AtomicU32>() + 10_000_000 / IN_WORD as usize * size_of::<u64>() <= 16_000_000);
/// The low half of an entry is how many tickets.
const MOST: u32 = NTH_MAX;
/// Then for which crowd, modulo 16: what is eight crowds old has long been swept.
const CROWD: u32 = 0xf_0000;
const CROWD_AT: u32 = 16;
/// So many crowds ago or more is none that was, but one that is to come.
const AHEAD: u32 = 8;
/// The rest says whose: of two networks in one list one in 4,096 has the same.
const WHOSE: u32 = !(MOST | CROWD);

/// In so many parts old entries are swept away.
pub const PARTS: usize = 64;
const _: () = assert!(CELLS.is_multiple_of(PARTS));

/// Entries that have to be there, all zero at first: 11 MB.
pub const CELLS: usize = LINE * (LINES[0] + LINES[1] + LINES[2] + LINES[3]);

/// The counts, in somebody's memory.
#[derive(Clone, Copy, Debug)]
pub struct Counts<'m> {
    cells: &'m [AtomicU32],
    /// As it stands in an entry.
    crowd: u32,
}

impl<'m> Counts<'m> {
    /// What the `crowd`-th has asked for. `None` if it is not [`CELLS`].
    pub fn new(cells: &'m [AtomicU32], crowd: u64) -> Option<Self> {
        (cells.len() == CELLS).then_some(Self { cells, crowd: (crowd as u32) << CROWD_AT & CROWD })
    }

    /// Empties one part of [`PARTS`] of what older crowds left. All of them have to be, before the eighth crowd after.
    pub fn sweep(&self, part: usize) {
        for cell in self.cells.iter().skip(part % PARTS * (CELLS / PARTS)).take(CELLS / PARTS) {
            let value = cell.load(Relaxed);
            if value != 0 && self.is_of_before(value) {
                // If it is another now, it is of this crowd.
                let _ = cell.compare_exchange(value, 0, Relaxed, Relaxed);
            }
        }
    }

    fn is_of_before(&self, entry: u32) -> bool {
        (1..AHEAD).contains(&crowds_from(entry, self.crowd))
    }

    /// Counts one ticket; answers which it is (from 1; 0: there is no such network) of each of its networks, at the least. Beyond 65,535 it stays there.
    ///
    /// Two workers that take an entry for the same network at one moment may both be told the same number, and the next one is told it is one later: nobody waits for another.
    pub fn count(&self, networks: &Networks) -> [u32; LEVELS] {
        let (hashes, rooms) = (networks.hashes(), networks.rooms());
        // All are looked at before any is changed: a change is a barrier, and the memory of one level would be waited for after that of the one before.
        for (level, hash) in hashes.iter().enumerate() {
            black_box(self.line(level, *hash)[0].load(Relaxed));
        }
        let (mut nth, mut counts) = ([0; LEVELS], true);
        for (level, (hash, nth)) in hashes.iter().zip(&mut nth).enumerate() {
            *nth = self.count_in(self.line(level, *hash), *hash, counts);
            // What a network asks for beyond its own room has its neighbours before it, and puts none of them behind.
            counts &= *nth <= rooms[level];
        }
        nth
    }

    /// Counts one ticket of somebody who is [vouched for](super::network::NetworkKey::holder), as if they were an address; answers which it is.
    pub fn count_holder(&self, holder: u64) -> u32 {
        self.count_in(self.line(0, holder), holder, true)
    }

    /// The list of a network of that level: the low half chooses it.
    fn line(&self, level: usize, hash: u64) -> &'m [AtomicU32] {
        let first = LINES[..level].iter().sum::<usize>();
        let line = LINE * (first + hash as u32 as usize % LINES[level]);
        &self.cells[line..line + LINE]
    }

    /// The high bits say whose an entry is, others where it is looked for first. Without `counts`: which it would be.
    fn count_in(&self, line: &[AtomicU32], hash: u64, counts: bool) -> u32 {
        let mut whose = (hash >> 32) as u32 & WHOSE | self.crowd;
        let begin = (hash >> 40) as usize % LINE;
        loop {
            let (mut entry, mut seen, mut had) = (&line[begin], 0, u32::MAX);
            for at in (begin..LINE).chain(0..begin) {
                let value = line[at].load(Relaxed);
                let ago = crowds_from(value, whose);
                if value != 0 && ago >= AHEAD {
                    // Another worker has begun the next crowd: this is one of it.
                    whose = whose & !CROWD | value & CROWD;
                    had = u32::MAX;
                    break;
                }
                // Nobody's, or theirs: entries become somebody's in this order.
                if value == 0 || ago > 0 {
                    (entry, seen, had) = (&line[at], value, 0);
                    break;
                }
                if value & !MOST == whose {
                    (entry, seen, had) = (&line[at], value, value & MOST);
                    break;
                }
                if value & MOST < had {
                    (entry, seen, had) = (&line[at], value, value & MOST);
                }
            }
            if had == u32::MAX {
                continue;
            }
            let now = (had + 1).min(MOST);
            let next = whose | now;
            // If somebody else changed it meanwhile: as if they had come before.
            if !counts || next == seen || entry.compare_exchange_weak(seen, next, Relaxed, Relaxed).is_ok() {
                return now;
            }
        }
    }
}

/// How many crowds after the one of `one` is that of `other`, modulo 16.
fn crowds_from(one: u32, other: u32) -> u32 {
    (other & CROWD).wrapping_sub(one & CROWD) >> CROWD_AT & (CROWD >> CROWD_AT)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::door::network::NetworkKey;

    fn cells() -> Vec<AtomicU32> {
        std::iter::repeat_with(AtomicU32::default).take(CELLS).collect()
    }

    fn v4(address: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(address))
    }

    #[test]
    fn it_says_which_ticket_of_each_network_it_is() {
        let (cells, key) = (cells(), NetworkKey::from_bytes([1; 32]));
        let counts = Counts::new(&cells, 0).expect("as many as are needed");
        let count = |address: u32| counts.count(&key.networks(v4(address)));
        assert_eq!(count(0x0a00_0001), [1, 1, 1, 0]);
        assert_eq!(count(0x0a00_0001), [2, 2, 2, 0]);
        assert_eq!(count(0x0a00_0002), [1, 3, 3, 0]);
        assert_eq!(count(0x0a00_0102), [1, 1, 4, 0]);
        assert_eq!(count(0x0b00_0001), [1, 1, 1, 0]);
    }

    #[test]
    fn half_a_million_strangers_are_hardly_ever_taken_for_others() {
        let (cells, key) = (cells(), NetworkKey::from_bytes([1; 32]));
        let counts = Counts::new(&cells, 0).expect("as many as are needed");
        let mut wrong = 0;
        for n in 0..500_000u32 {
            // No two in one /24.
            let nth = counts.count(&key.networks(v4(n << 8 | 7)));
            wrong += u32::from(nth[0] > 1);
            assert!(nth[0] >= 1);
        }
        assert!(wrong < 100, "{wrong} of 500,000 were not told that they are the first of their address");
    }

    /// Ten times as many networks as there are entries for the widest, and some that come again and again.
    #[test]
    fn nobody_is_counted_too_few_however_many_come() {
        let (cells, key) = (cells(), NetworkKey::from_bytes([1; 32]));
        let counts = Counts::new(&cells, 0).expect("as many as are needed");
        let mut truth: [HashMap<u64, u32>; LEVELS] = Default::default();
        let mut far = 0;
        for n in 0..1_300_000u64 {
            // Each third is one of 1,000 sites.
            let site = if n % 3 == 0 { n % 1_000 } else { n };
            let address = IpAddr::V6(Ipv6Addr::from(u128::from(site) << 80 | u128::from(n % 7) << 64));
            let networks = key.networks(address);
            let nth = counts.count(&networks);
            // Beyond the room of one it counts in no wider one.
            let counts_in = |level: usize| (0..level).all(|narrower| nth[narrower] <= networks.rooms()[narrower]);
            for level in (0..LEVELS).take_while(|level| counts_in(*level)) {
                let had = truth[level].entry(networks.hashes()[level]).or_default();
                *had += 1;
                let had = (*had).min(MOST);
                assert!(nth[level] >= had, "ticket {n}, level {level}: {} for {had}", nth[level]);
            }
            if counts_in(2) {
                far += u32::from(nth[2] - truth[2][&networks.hashes()[2]] > 30);
            }
        }
        // 870,000 networks in 131,072 entries: those who are taken for somebody busy.
        assert!(far < 20, "{far}");
    }

    /// As workers do it: each number is told once.
    #[test]
    fn of_four_who_count_at_once_no_two_are_told_the_same() {
        let (cells, key) = (cells(), NetworkKey::from_bytes([1; 32]));
        let counts = Counts::new(&cells, 0).expect("as many as are needed");
        let here = key.networks(v4(0x0a00_0001));
        let told = |_| (0..5_000).map(|_| counts.count(&here)[0]).collect::<Vec<_>>();
        let mut all: Vec<u32> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4).map(|worker| scope.spawn(move || told(worker))).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
        });
        all.sort_unstable();
        assert!(all.into_iter().eq(1..=20_000));
    }

    #[test]
    fn it_never_counts_too_few_and_ends_somewhere() {
        let (cells, key) = (cells(), NetworkKey::from_bytes([1; 32]));
        let counts = Counts::new(&cells, 0).expect("as many as are needed");
        let here = key.networks(IpAddr::V6(Ipv6Addr::LOCALHOST));
        for n in 1..=70_000u32 {
            assert_eq!(counts.count(&here)[0], n.min(MOST));
        }
    }

    /// Of a hundred crowds, each after the last, with a worker that hears of each a little later than the other.
    #[test]
    fn a_new_crowd_begins_from_nothing_and_loses_no_ticket_to_who_has_not_heard_of_it() {
        let (cells, key) = (cells(), NetworkKey::from_bytes([1; 32]));
        for crowd in 0..100u64 {
            let of = |crowd| Counts::new(&cells, crowd).expect("as many as are needed");
            let (late, first) = (of(crowd.saturating_sub(1)), of(crowd));
            for n in 0..2_000u32 {
                let here = key.networks(v4(0x0a00_0000 + (n % 1_000) * 7));
                let counts = if n < 1_000 || n % 3 > 0 { first } else { late };
                assert!(counts.count(&here)[0] > n / 1_000, "crowd {crowd}");
                assert!(n >= 1_000 || first.count(&key.networks(v4(n << 12)))[0] < 3, "crowd {crowd}");
            }
            (0..PARTS).for_each(|part| first.sweep(part));
        }
        // 2,000 addresses of the last, and what they are in: nothing else is left.
        assert!(cells.iter().filter(|cell| cell.load(Relaxed) != 0).count() < 6_000);
    }

    #[test]
    fn whoever_asks_without_end_puts_no_neighbour_behind() {
        let (cells, key) = (cells(), NetworkKey::from_bytes([1; 32]));
        let counts = Counts::new(&cells, 0).expect("as many as are needed");
        let [one, other] = [7, 8].map(|address| key.networks(v4(0x0a00_0000 + address)));
        let rounds = (0..60_000).map(|_| one.turn(counts.count(&one)).round).max();
        assert!(rounds >= Some(1_800));
        assert_eq!(other.turn(counts.count(&other)).round, 0);
        // A whole /56: its tickets beyond its own room are placed behind all of those, and its neighbours are not.
        let line = |address: u128| key.networks(IpAddr::V6(Ipv6Addr::from((0x2001_0db8_u128 << 96) | address)));
        let rounds = (0..20_000).map(|n| line((n % 256) << 64)).map(|line| line.turn(counts.count(&line)).round).max();
        assert!(rounds >= Some(100));
        let neighbour = line(0x100 << 64);
        assert_eq!(neighbour.turn(counts.count(&neighbour)), crate::door::network::Turn::FIRST);
        // And one from within it that was never seen comes after what all of it has asked for.
        let inside = line((0xff << 64) | 1);
        assert!(inside.turn(counts.count(&inside)).round >= 70);
    }

    /// A provider's /32, whose every /48 is another's as far as anybody knows.
    #[test]
    fn a_flood_from_many_customers_of_one_provider_is_placed_behind() {
        let (cells, key) = (cells(), NetworkKey::from_bytes([1; 32]));
        let counts = Counts::new(&cells, 0).expect("as many as are needed");
        let mut by_round = std::collections::BTreeMap::<u16, u32>::new();
        for n in 0..200_000u128 {
            let here = key.networks(IpAddr::V6(Ipv6Addr::from((0x2001_0db8_u128 << 96) | ((n % 65_536) << 80))));
            *by_round.entry(here.turn(counts.count(&here)).round).or_default() += 1;
        }
        assert_eq!(by_round, [(0, 32_768), (1, 200_000 - 32_768)].into());
    }

    #[test]
    fn memory_of_another_size_is_refused() {
        assert!(Counts::new(&cells()[1..], 0).is_none());
    }
}
