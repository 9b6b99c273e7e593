//! No more than a share of what is scarce for one address: of the way to the house, and of the requests of HTTP/2.
//!
//! Places are few, and a stranger with one machine must not hold them all. An address is an IPv4 address, or an IPv6 /64,
//! which is what one customer is given (RFC 6177 §2).
//!
//! Where [a proxy may be](crate::proxy::may_be_one) there is no such bound. What comes from there is most often not one person but a proxy that nobody declared, or a
//! container's gateway that puts its own address in front of everyone's: bounding it would bound all visitors together. The price is that someone on the same private network
//! can hold every place; there the operator knows whom to ask. Who comes by a declared proxy is known by their own address, wherever the proxy is.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::Place;
use crate::proxy::may_be_one;

/// How many places each address holds.
#[derive(Debug)]
pub(super) struct Neighbours {
    held: HashMap<Neighbour, Arc<AtomicUsize>>,
    limit: usize,
    /// So many are remembered before those that hold nothing are forgotten.
    tidy_at: usize,
}

/// Whoever is behind one address.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
enum Neighbour {
    V4(u32),
    /// The first 64 bits.
    V6(u64),
}

/// A part of the share; freed when dropped. `None` for those who have no bound.
#[derive(Debug)]
pub(super) struct Share(#[expect(dead_code, reason = "held for its end")] Option<Place>);

impl Neighbours {
    /// At most `limit` places for each.
    pub(super) fn new(limit: usize) -> Self {
        Self { held: HashMap::new(), limit, tidy_at: HELD_MAX }
    }

    /// A place for this peer; `None` if its address holds as many as it may.
    pub(super) fn take(&mut self, peer: SocketAddr) -> Option<Share> {
        let Some(neighbour) = Neighbour::of(peer.ip()) else { return Some(Share(None)) };
        if self.held.len() >= self.tidy_at {
            self.tidy();
        }
        let taken = self.held.entry(neighbour).or_default();
        Place::take(taken, self.limit).map(|place| Share(Some(place)))
    }

    /// Forgets who holds nothing.
    pub(super) fn tidy(&mut self) {
        self.held.retain(|_, taken| Arc::strong_count(taken) > 1);
        // Where most hold something, looking at all of them for each who comes would cost more than it frees.
        self.tidy_at = HELD_MAX.max(2 * self.held.len());
    }
}

impl Neighbour {
    fn of(address: IpAddr) -> Option<Self> {
        if may_be_one(address) {
            return None;
        }
        Some(match address.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            IpAddr::V6(ip) => Self::V6((ip.to_bits() >> 64) as u64),
        })
    }
}

/// Addresses remembered before those that hold nothing are forgotten.
const HELD_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), 1)
    }

    #[test]
    fn one_address_has_its_share_and_others_have_theirs() {
        let mut neighbours = Neighbours::new(2);
        let check = |neighbours: &mut Neighbours, ip, other| {
            let held = [neighbours.take(at(ip)).unwrap(), neighbours.take(at(ip)).unwrap()];
            assert!(neighbours.take(at(ip)).is_none(), "{ip}");
            assert!(neighbours.take(at(other)).is_some(), "{other}");
            drop(held);
            assert!(neighbours.take(at(ip)).is_some(), "{ip} again");
        };
        check(&mut neighbours, "192.0.2.1", "192.0.2.2");
        check(&mut neighbours, "::ffff:192.0.2.3", "192.0.2.2");
        check(&mut neighbours, "2001:db8:1:2::1", "2001:db8:1:3::1");
        let _held = [neighbours.take(at("2001:db8::1")).unwrap(), neighbours.take(at("2001:db8::2")).unwrap()];
        assert!(neighbours.take(at("2001:db8::3")).is_none(), "one customer has a /64");
        neighbours.tidy();
        assert_eq!(neighbours.held.len(), 1);
    }

    #[test]
    fn those_who_may_be_a_proxy_are_not_bounded() {
        let mut neighbours = Neighbours::new(1);
        for ip in
            ["127.0.0.1", "::1", "10.1.2.3", "172.17.0.1", "192.168.1.1", "fd00::1", "fe80::1", "::ffff:127.0.0.1"]
        {
            let held: Vec<_> = (0..9).map_while(|_| neighbours.take(at(ip))).collect();
            assert_eq!(held.len(), 9, "{ip}");
        }
    }
}
