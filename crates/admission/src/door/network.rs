//! The networks that somebody comes from, as keyed hashes, narrowest first.
//!
//! Fairness is by network, not by address: one household, one company and one attacker with a /48 are each *somebody*, and nobody is helped by
//! owning more addresses. An address itself is hashed at once and kept nowhere.

use std::fmt;
use std::net::IpAddr;

use super::draw::ROUNDS;
use super::of_opening;

/// How many networks around one address are looked at, at the most.
pub const LEVELS: usize = 4;

/// Separates this use of the secret from every other.
const CONTEXT: &str = "hiwar 2026-11 networks at the door, version 1";

const CONTEXT_OPENING: &str = "hiwar 2026-11 networks of one opening, version 1";
const CONTEXT_WIDER: &str = "hiwar 2026-11 wider networks at the door, version 1";

/// Bits of each network of an IPv4 address (RFC 4632) and of an IPv6 one: a line at home or a telephone, a site, a provider's customer (RFC 6177) or its telephones at one place, a provider.
const BITS_V4: [u32; 3] = [32, 24, 16];
const BITS_V6: [u32; LEVELS] = [64, 56, 48, 32];

/// How many tickets of one network are drawn together with the first tickets of everybody else, before its next ones are placed behind them. A carrier puts
/// hundreds of people behind one IPv4 address (RFC 6888), so an address begins with room for tens. An IPv6 /64 is one customer's, but thousands of telephones share a /48, and millions of people
/// a provider's /32, which is as easily had by one alone.
const ROOMS_V4: [u32; LEVELS] = [32, ROOM_V4_24, 1_024, u32::MAX];
const ROOMS_V6: [u32; LEVELS] = [16, 32, 128, 32_768];

/// From that level on a network is many people's that have nothing to do with each other: what is beyond its last round is placed in that, and never refused.
const SHARED: usize = 2;
const LAST_ROUND: u32 = ROUNDS as u32 - 1;

/// Tickets of one network are told apart up to this one.
pub const NTH_MAX: u32 = 0xffff;

/// Of a /24.
pub const ROOM_V4_24: u32 = 128;

/// Makes hashes of networks: made for one opening of one space, the same at every worker. Of two openings no hash is the same, so that nobody can tell from their public records who
/// came to both; and all of them are lost with what they are made of.
#[derive(Clone)]
pub struct NetworkKey {
    narrowest: [u8; 32],
    /// Of the wider ones, which leave this memory in no form.
    wider: [u64; 2],
}

/// Where somebody comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Networks {
    hashes: [u64; LEVELS],
    /// How many of them there are.
    levels: usize,
    rooms: &'static [u32; LEVELS],
}

impl NetworkKey {
    /// That of one of a space's openings, of the 32 random bytes from which all of them are made.
    pub fn of(root: &[u8; 32], opening: u16) -> Self {
        Self::from_bytes(of_opening(CONTEXT_OPENING, root, opening))
    }

    /// From 32 random bytes.
    pub fn from_bytes(secret: [u8; 32]) -> Self {
        let narrowest = blake3::derive_key(CONTEXT, &secret);
        let wider = blake3::derive_key(CONTEXT_WIDER, &secret);
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| wider[at + byte]));
        Self { narrowest, wider: [word(0), word(8)] }
    }

    /// The networks of an address: an IPv4 address in IPv6's clothes (RFC 4291 §2.5.5.2) is an IPv4 address.
    pub fn networks(&self, address: IpAddr) -> Networks {
        let (bits, lengths, width, rooms): (_, &[u32], _, _) = match address.to_canonical() {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)), &BITS_V4, u32::BITS, &ROOMS_V4),
            IpAddr::V6(v6) => (u128::from(v6), &BITS_V6, u128::BITS, &ROOMS_V6),
        };
        let mut hashes = [0; LEVELS];
        for (level, (hash, length)) in hashes.iter_mut().zip(lengths).enumerate() {
            let network = bits >> (width - length);
            *hash = if level == 0 { self.narrowest(network, width) } else { self.wider(network, width, level as u64) };
        }
        Networks { hashes, levels: lengths.len(), rooms }
    }

    /// Whom somebody vouches for, in this opening: as good as a network of their own, and none that an address has.
    pub fn holder(&self, holder: [u8; 8]) -> u64 {
        self.narrowest(u64::from_le_bytes(holder).into(), 0)
    }

    /// A hash that is shown to others: nobody without the key finds an address by it.
    fn narrowest(&self, network: u128, width: u32) -> u64 {
        let mut bytes = [0; 17];
        bytes[..16].copy_from_slice(&network.to_le_bytes());
        bytes[16] = width as u8;
        let hash = blake3::keyed_hash(&self.narrowest, &bytes);
        let (first, _) = hash.as_bytes().split_first_chunk::<8>().expect("32 bytes");
        u64::from_le_bytes(*first)
    }

    /// A hash that only chooses where a network is counted: a secret multiplication, folded (as in wyhash), a hundredth of the cost. Twice, so that every bit of it depends on every
    /// bit of the network.
    fn wider(&self, network: u128, width: u32, level: u64) -> u64 {
        let [one, other] = self.wider;
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            product as u64 ^ (product >> 64) as u64
        };
        let mixed = fold(network as u64 ^ one, (network >> 64) as u64 ^ other ^ (level << 8 | u64::from(width)));
        fold(mixed ^ other, one | 1)
    }
}

impl fmt::Debug for NetworkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetworkKey(secret)")
    }
}

impl Networks {
    /// The address itself, or an IPv6 /64: what a ticket carries.
    pub fn narrowest(&self) -> u64 {
        self.hashes[0]
    }

    /// How many tickets each has in a round.
    pub fn rooms(&self) -> &'static [u32; LEVELS] {
        self.rooms
    }

    /// All of them, the narrowest first.
    pub fn hashes(&self) -> &[u64] {
        &self.hashes[..self.levels]
    }

    /// In which round a ticket is drawn that is the `nth` (from 1) of each of its networks, and how far in that round its own address is.
    ///
    /// The first round has everybody's first tickets in it, and of each network no more than it has room for; the next has as many again. So a network's share is the
    /// largest that all can have (max-min fairness), and what is asked beyond it is placed later.
    pub fn turn(&self, nth: [u32; LEVELS]) -> Turn {
        let round = |level: usize| {
            let round = nth[level].saturating_sub(1) / self.rooms[level];
            if level < SHARED { round } else { round.min(LAST_ROUND) }
        };
        let round = (0..LEVELS).map(round).max().unwrap_or(0);
        let within = nth[0].saturating_sub(1) % self.rooms[0];
        Turn { round: u16::try_from(round).unwrap_or(u16::MAX), within: within as u16 }
    }
}

/// When a ticket is drawn, as far as its networks decide it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Turn {
    /// All of one round come before any of the next.
    pub round: u16,
    /// Which of its address in that round, from 0.
    pub within: u16,
}

impl Turn {
    /// As whoever is the first of all their networks.
    pub const FIRST: Self = Self { round: 0, within: 0 };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(address: &str) -> Networks {
        NetworkKey::from_bytes([1; 32]).networks(address.parse().expect("an address"))
    }

    fn shared(one: &str, other: &str) -> Vec<bool> {
        networks(one).hashes().iter().zip(networks(other).hashes()).map(|(a, b)| a == b).collect()
    }

    #[test]
    fn neighbours_share_the_networks_that_they_are_in_and_no_others() {
        assert_eq!(shared("192.0.2.7", "192.0.2.8"), [false, true, true]);
        assert_eq!(shared("192.0.2.7", "192.0.3.7"), [false, false, true]);
        assert_eq!(shared("192.0.2.7", "198.51.2.7"), [false; 3]);
        assert_eq!(shared("2001:db8:1:2::1", "2001:db8:1:2:3::4"), [true; 4]);
        assert_eq!(shared("2001:db8:1:2::1", "2001:db8:1:3::1"), [false, true, true, true]);
        assert_eq!(shared("2001:db8:1:2::1", "2001:db8:1:102::1"), [false, false, true, true]);
        assert_eq!(shared("2001:db8:1::1", "2001:db8:2::1"), [false, false, false, true]);
        assert_eq!(shared("2001:db8:1::1", "2001:db9:1::1"), [false; 4]);
        assert_eq!(shared("::ffff:192.0.2.7", "192.0.2.7"), [true; 3]);
    }

    #[test]
    fn networks_of_two_widths_are_never_the_same() {
        let all = [networks("192.0.0.0").hashes(), networks("::").hashes(), networks("0.0.0.0").hashes()].concat();
        let different: std::collections::HashSet<u64> = all.iter().copied().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn many_networks_are_many_hashes_that_are_spread_evenly() {
        let key = NetworkKey::from_bytes([1; 32]);
        for (level, length) in BITS_V4.into_iter().enumerate() {
            let hash = |n: u32| {
                let address = n << (32 - length);
                key.networks(IpAddr::V4(address.into())).hashes()[level]
            };
            let count = 1 << length.min(16);
            let hashes: std::collections::HashSet<u64> = (0..count).map(hash).collect();
            assert_eq!(hashes.len(), count as usize, "level {level}");
            // The low bits choose a line of cells, and the high ones the cells.
            for bit in 0..64 {
                let ones = hashes.iter().filter(|hash| *hash >> bit & 1 == 1).count() as f64 / f64::from(count);
                assert!((ones - 0.5).abs() < 0.02, "level {level}, bit {bit}: {ones}");
            }
        }
    }

    #[test]
    fn another_house_hashes_otherwise() {
        let address = "192.0.2.7".parse().expect("an address");
        let other = NetworkKey::from_bytes([2; 32]).networks(address);
        assert!(networks("192.0.2.7").hashes().iter().all(|hash| !other.hashes().contains(hash)));
    }

    #[test]
    fn another_opening_hashes_otherwise() {
        let of = |opening| NetworkKey::of(&[1; 32], opening).networks("192.0.2.7".parse().expect("an address"));
        assert_eq!(of(3), of(3));
        assert!(of(3).hashes().iter().all(|hash| !of(4).hashes().contains(hash)));
    }

    #[test]
    fn a_network_has_so_many_tickets_in_each_round() {
        let v4 = networks("192.0.2.7");
        assert_eq!(v4.turn([1, 1, 1, 0]), Turn { round: 0, within: 0 });
        assert_eq!(v4.turn([32, 32, 32, 0]).round, 0);
        assert_eq!(v4.turn([33, 33, 33, 0]), Turn { round: 1, within: 0 });
        // Fresh addresses do not help a network that has had its share.
        assert_eq!(v4.turn([1, 129, 129, 0]).round, 1);
        assert_eq!(v4.turn([1, 1, 1_025, 0]).round, 1);
        assert_eq!(v4.turn([u32::MAX; 4]).round, u16::MAX);
        let v6 = networks("2001:db8::1");
        assert_eq!((v6.turn([1, 1, 128, 1]).round, v6.turn([1, 1, 129, 1]).round), (0, 1));
        assert_eq!((v6.turn([1, 1, 1, 32_768]).round, v6.turn([1, 1, 1, 32_769]).round), (0, 1));
        // Of a provider's customers none is refused for what others ask.
        assert_eq!(v6.turn([1, 1, NTH_MAX, NTH_MAX]).round, LAST_ROUND as u16);
    }
}
