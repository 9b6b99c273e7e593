//! Whom a listener is counted as: a keyed hash, so that the same person who comes twice is counted once, and nobody can be found in what is counted.
//!
//! Who counts keeps no address: it is given the hash, and the hash goes into a sketch that forgets all but a few of its bits. The key never leaves the
//! servers of one house, and the space is hashed with the rest: what was counted in two spaces cannot be compared, and whoever has only the sketches cannot
//! try out addresses.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::pass::PassId;

/// Separates this use of the secret from every other, above all from passes to listen.
const CONTEXT: &str = "hiwar 2026-11 whom a listener is counted as, version 1";

/// How many people one address (IPv6: /64) and pass are at the most. Programs at one address tell people apart, but they name themselves: whoever invents a
/// name for each request is counted so often and no more. Two of five in one household fall together with a chance of 4 %.
pub const PEOPLE_PER_ADDRESS: u16 = 256;

/// Makes of a listener the number that is counted. Every worker of a house has the same.
#[derive(Clone)]
pub struct PeopleKey([u8; 32]);

/// What is known of who asks for sound.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'r> {
    /// The pass that was shown, if it is good. A link with a pass is given to many, so the pass alone is nobody.
    pub pass: Option<PassId>,
    /// Where the request came from.
    pub address: IpAddr,
    /// What the program calls itself (`User-Agent`).
    pub agent: &'r [u8],
}

impl PeopleKey {
    /// From the 32 random bytes that [`ListenKey`](crate::ListenKey) is made from.
    pub fn from_bytes(secret: [u8; 32]) -> Self {
        Self(blake3::derive_key(CONTEXT, &secret))
    }

    /// As whom they are counted among those who hear `space`: 64 bits as good as random, the same for the same person.
    pub fn person(&self, space: &str, asking: Asking<'_>) -> u64 {
        let agent = self.hash(&[b"agent", asking.agent]).as_bytes()[0];
        const { assert!(PEOPLE_PER_ADDRESS == 1 << u8::BITS) };
        // One length each, but for the last.
        let pass = asking.pass.map_or([0; 9], |PassId(id)| {
            let mut bytes = [1; 9];
            bytes[1..].copy_from_slice(&id);
            bytes
        });
        let hash = self.hash(&[b"person", &pass, &network(asking.address).octets(), &[agent], space.as_bytes()]);
        let (first, _) = hash.as_bytes().split_first_chunk::<8>().expect("32 bytes");
        u64::from_le_bytes(*first)
    }

    fn hash(&self, parts: &[&[u8]]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize()
    }
}

impl fmt::Debug for PeopleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeopleKey(secret)")
    }
}

/// IPv4 as it is; of IPv6 the /64, for a device changes the rest of its address every day (RFC 8981).
fn network(address: IpAddr) -> Ipv6Addr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> 64 << 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn key(byte: u8) -> PeopleKey {
        PeopleKey::from_bytes([byte; 32])
    }

    fn asking<'r>(address: &str, agent: &'r str) -> Asking<'r> {
        Asking { pass: None, address: address.parse().expect("an address"), agent: agent.as_bytes() }
    }

    #[test]
    fn the_same_person_is_the_same_number_in_one_space_alone() {
        let who = asking("192.0.2.7", "a player");
        assert_eq!(key(1).person("demo", who), key(1).person("demo", who));
        assert_ne!(key(1).person("demo", who), key(1).person("demo2", who), "two spaces cannot be compared");
        assert_ne!(key(1).person("demo", who), key(2).person("demo", who), "nor two houses");
    }

    #[test]
    fn address_program_and_pass_tell_people_apart() {
        let pass = |id| Asking { pass: Some(PassId([id; 8])), ..asking("192.0.2.7", "a player") };
        let all = [
            asking("192.0.2.7", "a player"),
            asking("192.0.2.8", "a player"),
            asking("192.0.2.7", "another"),
            asking("2001:db8::1", "a player"),
            asking("2001:db8:0:1::1", "a player"),
            pass(0),
            pass(1),
        ];
        let numbers: HashSet<u64> = all.into_iter().map(|who| key(1).person("demo", who)).collect();
        assert_eq!(numbers.len(), all.len());
    }

    #[test]
    fn a_device_that_changes_its_address_within_its_network_stays_the_same() {
        let number = |address| key(1).person("demo", asking(address, "a player"));
        assert_eq!(number("2001:db8:1:2:3::4"), number("2001:db8:1:2:5:6:7:8"));
        assert_eq!(number("::ffff:192.0.2.7"), number("192.0.2.7"));
    }

    #[test]
    fn a_program_that_invents_names_is_counted_so_often_and_no_more() {
        let names = (0..20_000).map(|name| key(1).person("demo", asking("192.0.2.7", &name.to_string())));
        let numbers: HashSet<u64> = names.collect();
        assert_eq!(numbers.len(), usize::from(PEOPLE_PER_ADDRESS));
    }

    #[test]
    fn the_key_stays_out_of_debug() {
        assert_eq!(format!("{:?}", key(1)), "PeopleKey(secret)");
    }
}
