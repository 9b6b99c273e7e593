//! How many tickets each network has had: a count-min sketch with conservative update (Cormode and Muthukrishnan 2005; Estan and Varghese 2002) in memory that all workers share.
//!
//! It never counts too few. That it counts too many happens to those whose cells are shared, by chance, with all four of somebody busy; the memory is the same
//! however many come. Cells of one network lie in one line of a processor's cache, so a count costs one miss for each level (Putze et al. 2007 did so for Bloom filters).

use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::Relaxed;

use super::network::{LEVELS, Networks};

/// Cells in a line of 64 bytes.
const LINE: usize = 32;
/// Cells that one network is counted in.
const ROWS: usize = 4;
/// Lines of each level, narrowest first: there are more addresses than providers.
const LINES: [usize; LEVELS] = [1 << 17, 1 << 15, 1 << 13];

/// Cells that have to be there, all zero at first: 11 MB.
pub const CELLS: usize = LINE * (LINES[0] + LINES[1] + LINES[2]);

/// The counts, in somebody's memory.
#[derive(Clone, Copy, Debug)]
pub struct Counts<'m>(&'m [AtomicU16]);

impl<'m> Counts<'m> {
    /// `None` if it is not [`CELLS`].
    pub fn new(cells: &'m [AtomicU16]) -> Option<Self> {
        (cells.len() == CELLS).then_some(Self(cells))
    }

    /// Counts one ticket; answers which it is (from 1) of each of its networks, at the least. Beyond 65,535 it stays there.
    ///
    /// Two workers that count the same network at one moment may both be told the same number, and the next one is told it is one later: nobody waits for another.
    pub fn count(&self, networks: &Networks) -> [u32; LEVELS] {
        // All are looked at before any is changed: a change is a barrier, and the memory of one level would be waited for after that of the one before.
        let hashes = networks.hashes();
        let cells: [[&AtomicU16; ROWS]; LEVELS] = std::array::from_fn(|level| self.cells(level, hashes[level]));
        let seen = cells.map(|cells| cells.map(|cell| cell.load(Relaxed)));
        std::array::from_fn(|level| {
            let least = seen[level].into_iter().min().unwrap_or(u16::MAX);
            let now = least.saturating_add(1);
            for (cell, seen) in cells[level].into_iter().zip(seen[level]) {
                // Only cells that would say less: what others have put into them says nothing of this network.
                if seen < now {
                    cell.fetch_max(now, Relaxed);
                }
            }
            u32::from(now)
        })
    }

    /// Where a network of that level is counted.
    fn cells(&self, level: usize, hash: u64) -> [&'m AtomicU16; ROWS] {
        let first: usize = LINE * LINES[..level].iter().sum::<usize>();
        // The low bits choose the line, five bits each of the high ones a cell in it.
        let line = first + LINE * (hash as usize & (LINES[level] - 1));
        std::array::from_fn(|row| &self.0[line + ((hash >> (40 + 5 * row)) as usize & (LINE - 1))])
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::door::network::NetworkKey;

    fn cells() -> Vec<AtomicU16> {
        std::iter::repeat_with(AtomicU16::default).take(CELLS).collect()
    }

    fn v4(address: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(address))
    }

    #[test]
    fn it_says_which_ticket_of_each_network_it_is() {
        let (cells, key) = (cells(), NetworkKey::from_bytes([1; 32]));
        let counts = Counts::new(&cells).expect("as many as are needed");
        let count = |address: u32| counts.count(&key.networks(v4(address)));
        assert_eq!(count(0x0a00_0001), [1, 1, 1]);
        assert_eq!(count(0x0a00_0001), [2, 2, 2]);
        assert_eq!(count(0x0a00_0002), [1, 3, 3]);
        assert_eq!(count(0x0a00_0102), [1, 1, 4]);
        assert_eq!(count(0x0b00_0001), [1, 1, 1]);
    }

    #[test]
    fn half_a_million_strangers_are_hardly_ever_taken_for_others() {
        let (cells, key) = (cells(), NetworkKey::from_bytes([1; 32]));
        let counts = Counts::new(&cells).expect("as many as are needed");
        let mut wrong = 0;
        for n in 0..500_000u32 {
            // No two in one /24.
            let nth = counts.count(&key.networks(v4(n << 8 | 7)));
            wrong += u32::from(nth[0] > 1);
            assert!(nth[0] >= 1);
        }
        // They are placed a thirty-second of a round later, so one in fifty is little.
        assert!(wrong < 10_000, "{wrong} of 500,000 were not told that they are the first of their address");
    }

    #[test]
    fn it_never_counts_too_few_and_ends_somewhere() {
        let (cells, key) = (cells(), NetworkKey::from_bytes([1; 32]));
        let counts = Counts::new(&cells).expect("as many as are needed");
        let here = key.networks(IpAddr::V6(Ipv6Addr::LOCALHOST));
        for n in 1..=70_000u32 {
            assert_eq!(counts.count(&here)[0], n.min(u32::from(u16::MAX)));
        }
    }

    #[test]
    fn memory_of_another_size_is_refused() {
        assert!(Counts::new(&cells()[1..]).is_none());
    }
}
