//! Whose request it is that comes by a proxy. At a door an address is what a place is drawn by, so a proxy in front has to say for whom it asks, and has to be believed; and nobody else may be.
//!
//! An operator names the proxies that are theirs. One that speaks HTTP says whose request it is in `X-Forwarded-For`, to which each proxy adds on the right whoever asked it: so the field is read
//! from the right, as far as it is believed. One that only passes bytes on says so before the first of them, by the PROXY protocol
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>). It is expected or not, and never guessed: otherwise whoever is behind a proxy that does not speak it could.

use std::net::IpAddr;

use ipnet::IpNet;
use ppp::HeaderResult;
use ppp::{v1, v2};

use crate::request::Field;

/// In this field a proxy says for whom it asks.
pub const FORWARDED_FOR: &str = "X-Forwarded-For";
/// So many proxies in a row are believed; more is a mistake.
const HOPS_MAX: usize = 16;

/// The proxies of whoever operates the server.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    networks: Vec<IpNet>,
    announces: bool,
}

/// What was said before the first byte of a connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// So many bytes were it.
    pub bytes: usize,
    /// Whose connection it is; `None`: the proxy's own, as when it looks whether we are there.
    pub client: Option<IpAddr>,
}

impl Proxies {
    /// Those in `networks`; each of their connections begins with a header of the PROXY protocol, or none does.
    pub fn new(networks: Vec<IpNet>, announces: bool) -> Self {
        Self { networks, announces }
    }

    /// Whether a connection from there begins with a header of the PROXY protocol.
    pub fn announces(&self, peer: IpAddr) -> bool {
        self.announces && self.trusts(peer)
    }

    /// Whether whoever is there is one of them.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Who asks, of what comes from `peer` (whoever was announced, where that is spoken) and has these values of [`FORWARDED_FOR`], the last one first: the first address from the right that is no proxy of ours. What is no address is said by
    /// nobody whom we know: then it is whoever said it.
    pub fn client<'v>(&self, peer: IpAddr, forwarded: impl Iterator<Item = &'v [u8]>) -> IpAddr {
        if self.announces {
            // They pass bytes on: what stands in a request is whoever's is behind them.
            return peer;
        }
        let mut client = peer;
        let addresses = forwarded.flat_map(|value| value.rsplit(|byte| *byte == b','));
        for address in addresses.take(HOPS_MAX) {
            if !self.trusts(client) {
                break;
            }
            let Some(address) = read(address) else { break };
            client = address;
        }
        client
    }
}

/// The values of [`FORWARDED_FOR`], the last one first.
pub fn forwarded<'f>(fields: &'f [Field<'_>]) -> impl Iterator<Item = &'f [u8]> {
    fields.iter().rev().filter(|field| field.name.eq_ignore_ascii_case(FORWARDED_FOR)).map(|field| field.value)
}

/// One address, also with a port as some write it.
fn read(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|at: std::net::SocketAddr| at.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// Reads what a proxy says before the first byte. The protocol has it sent at once, and lets us refuse what comes in parts: `None`, as for what is something else.
pub fn announced(bytes: &[u8]) -> Option<Announcement> {
    let (bytes, client) = match HeaderResult::parse(bytes) {
        HeaderResult::V1(header) => {
            let header = header.ok()?;
            let client = match header.addresses {
                v1::Addresses::Tcp4(ips) => Some(IpAddr::V4(ips.source_address)),
                v1::Addresses::Tcp6(ips) => Some(IpAddr::V6(ips.source_address)),
                v1::Addresses::Unknown => None,
            };
            (header.header.len(), client)
        }
        HeaderResult::V2(header) => {
            let header = header.ok()?;
            let client = match (header.command, header.addresses) {
                (v2::Command::Proxy, v2::Addresses::IPv4(ips)) => Some(IpAddr::V4(ips.source_address)),
                (v2::Command::Proxy, v2::Addresses::IPv6(ips)) => Some(IpAddr::V6(ips.source_address)),
                _ => None,
            };
            (header.header.len(), client)
        }
    };
    Some(Announcement { bytes, client: client.map(|client| client.to_canonical()) })
}

/// Whether whoever is there may be a proxy in front of others that nobody declared, or a container's gateway: loopback, private (RFC 1918), unique-local (RFC 4193) and link-local addresses.
pub fn may_be_one(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn proxies(networks: &[&str]) -> Proxies {
        Proxies::new(networks.iter().map(|network| network.parse().expect("a network")).collect(), false)
    }

    /// Who asks, of a request with these lines.
    fn asks(proxies: &Proxies, peer: &str, lines: &[&str]) -> IpAddr {
        let fields: Vec<Field<'_>> =
            lines.iter().map(|line| Field { name: "x-forwarded-for", value: line.as_bytes() }).collect();
        proxies.client(at(peer), forwarded(&fields))
    }

    #[test]
    fn a_proxy_of_ours_is_believed_and_nobody_else_is() {
        let ours = proxies(&["10.0.0.0/8", "fd00::/8"]);
        let check = |peer, lines: &[&str], who| assert_eq!(asks(&ours, peer, lines), at(who), "{peer} {lines:?}");
        check("203.0.113.9", &["198.51.100.1"], "203.0.113.9");
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        // Whoever asked the first of ours may have written whatever they like before it.
        check("10.0.0.1", &["6.6.6.6, 198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["6.6.6.6", "198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["6.6.6.6, 198.51.100.1 , 10.0.0.2,fd00::3"], "198.51.100.1");
        check("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
    }

    #[test]
    fn addresses_are_read_as_proxies_write_them_and_what_is_none_ends_the_chain() {
        let ours = proxies(&["10.0.0.0/8"]);
        for (text, who) in [
            ("198.51.100.1:4711", "198.51.100.1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("unknown", "10.0.0.1"),
            ("", "10.0.0.1"),
            ("6.6.6.6, _hidden, 10.0.0.2", "10.0.0.2"),
            ("198.51.100.1, ", "10.0.0.1"),
        ] {
            assert_eq!(asks(&ours, "10.0.0.1", &[text]), at(who), "{text:?}");
        }
        let long = vec!["10.0.0.2"; HOPS_MAX + 9].join(",");
        assert_eq!(
            asks(&ours, "10.0.0.1", &[&format!("6.6.6.6,{long}")]),
            at("10.0.0.2"),
            "so long a chain is nobody's"
        );
    }

    #[test]
    fn both_versions_of_the_protocol_are_read_and_what_follows_is_left() {
        let v4 = b"PROXY TCP4 198.51.100.1 192.0.2.1 4711 443\r\nGET / HTTP/1.1\r\n";
        assert_eq!(announced(v4), Some(Announcement { bytes: v4.len() - 16, client: Some(at("198.51.100.1")) }));
        let v6 = b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n";
        assert_eq!(announced(v6), Some(Announcement { bytes: v6.len(), client: Some(at("2001:db8::1")) }));
        assert_eq!(announced(b"PROXY UNKNOWN\r\n"), Some(Announcement { bytes: 15, client: None }));

        let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f".to_vec();
        binary.extend_from_slice(&[198, 51, 100, 1, 192, 0, 2, 1, 0x12, 0x67, 1, 0xbb]);
        // And something about it that we do not want to know (a type, and of no length).
        binary.extend_from_slice(&[4, 0, 0]);
        assert_eq!(announced(&binary), Some(Announcement { bytes: 31, client: Some(at("198.51.100.1")) }));
        binary.extend_from_slice(b"\x16\x03\x01");
        assert_eq!(announced(&binary), Some(Announcement { bytes: 31, client: Some(at("198.51.100.1")) }));
        // The proxy itself, which looks whether we are there.
        binary[12] = 0x20;
        assert_eq!(announced(&binary), Some(Announcement { bytes: 31, client: None }));
    }

    #[test]
    fn what_is_no_header_or_only_a_part_of_one_is_none() {
        let whole = b"PROXY TCP4 198.51.100.1 192.0.2.1 4711 443\r\n";
        for length in 0..whole.len() {
            assert_eq!(announced(&whole[..length]), None, "{length}");
        }
        for other in
            [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\0", b"PROXY TCP4 a b c d\r\n", b"PROXY TCP4\r\n"]
        {
            assert_eq!(announced(other), None, "{other:?}");
        }
    }

    #[test]
    fn only_a_declared_proxy_announces() {
        let silent = proxies(&["10.0.0.0/8"]);
        let ours = Proxies::new(silent.networks.clone(), true);
        let said = [&b"6.6.6.6"[..]];
        assert_eq!(
            ours.client(at("10.1.2.3"), said.into_iter()),
            at("10.1.2.3"),
            "nor is the field read of one that does"
        );
        assert!(
            ours.announces(at("10.1.2.3")) && !ours.announces(at("198.51.100.1")) && !silent.announces(at("10.1.2.3"))
        );
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_without_panic(lines in proptest::collection::vec("\\PC{0,60}", 0..5), bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            asks(&proxies(&["0.0.0.0/0", "::/0"]), "10.0.0.1", &lines);
            announced(&bytes);
            announced(&[b"\r\n\r\n\0\r\nQUIT\n", &*bytes].concat());
            announced(&[b"PROXY ", &*bytes].concat());
        }
    }
}
