//! The name that the world knows this server by, and where that name leads.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long names may take to be looked up: longer than the system's resolver waits for one server that does not answer.
const LOOKUP_WAIT: Duration = Duration::from_secs(6);

/// A host name that certificates can be for (RFC 1123 §2.1): lower case, of ASCII, no address. Safe as the name of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(String);

/// Why something is no name for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHost {
    /// An IP address.
    Address,
    /// A URL, or a name with a port.
    Url,
    /// Letters beyond ASCII.
    Unicode,
    /// It breaks the rules for names.
    Syntax,
}

impl fmt::Display for BadHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "that is an address; give the name that people will type, for example talk.example",
            Self::Url => "give the name alone, without https://, port or path, for example talk.example",
            Self::Unicode => "write the name as DNS has it, in letters of ASCII; names in other letters begin with xn--",
            Self::Syntax => "that is no host name; a name is of letters, digits and hyphens with dots between, for example talk.example",
        })
    }
}

impl Host {
    /// Reads a name as people write it.
    ///
    /// # Errors
    /// As [`BadHost`] says.
    pub fn parse(text: &str) -> Result<Self, BadHost> {
        let name = text.trim().trim_end_matches('.').to_ascii_lowercase();
        if name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Err(BadHost::Address);
        }
        if name.contains([':', '/']) {
            return Err(BadHost::Url);
        }
        if !name.is_ascii() {
            return Err(BadHost::Unicode);
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A last label of digits would be read as a part of an address (RFC 3696 §2).
        let last_is_number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        if name.len() > 253 || !name.split('.').all(label) || last_is_number {
            return Err(BadHost::Syntax);
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether anybody but this machine or its network could know it: no public authority certifies a name without a dot.
    pub fn is_whole(&self) -> bool {
        self.0.contains('.')
    }
}

impl TryFrom<String> for Host {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).map_err(|why| why.to_string())
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The address that speakers are told when nobody said which: where the name leads, IPv4 before IPv6, which fewer can reach. What looks wrong is said in the
/// log, with both addresses. `alone`: nobody but this machine is served, so that an address that nobody else reaches is as good as any.
///
/// # Errors
/// The name leads nowhere, or here alone; in words for an operator.
pub fn announced(host: &Host, alone: bool) -> Result<IpAddr, String> {
    let led = look_up(host)?;
    let first = *led.first().ok_or("it has no address")?;
    if led.iter().all(IpAddr::is_loopback) {
        // Debian writes a machine's own name into /etc/hosts as 127.0.1.1; nobody else reaches it there.
        let Some(own) = outward() else {
            let only_here = format!(
                "on this machine it is {first} (/etc/hosts?), where nobody else reaches it, and there is no route to others"
            );
            if alone {
                tracing::warn!("{host}: {only_here}; speakers are told {first}");
                return Ok(first);
            }
            // When a machine starts, the route may come later than this server, which is then started again.
            return Err(only_here);
        };
        tracing::warn!(
            "on this machine {host} is {first} (/etc/hosts?), where nobody else reaches it; speakers are told {own}, the address that this machine sends \
             from: set rtc.public_address if theirs is another"
        );
        return Ok(own);
    }
    let told = *led.iter().find(|ip| !ip.is_loopback()).unwrap_or(&first);
    if !is_ours(told) {
        let own = own_address(told).map_or_else(|| "none".into(), |own| own.to_string());
        tracing::warn!(
            "{host} leads to {told}, which is no address of this machine (its own is {own}). That is right if {told} is passed on to it (NAT); else correct \
             the name's DNS record, or set rtc.public_address"
        );
    }
    Ok(told)
}

/// Says in the log what looks wrong about a name whose address was told apart from it.
pub fn doubt(host: &Host, told: IpAddr) {
    match look_up(host) {
        Err(why) => tracing::warn!("{host}: {why}; nobody can open this server by its name until DNS knows it"),
        Ok(led) if !led.contains(&told) && !led.iter().any(|ip| is_ours(*ip)) => {
            let led: Vec<String> = led.iter().map(ToString::to_string).collect();
            tracing::warn!(
                "{host} leads to {}, and rtc.public_address is {told}: people who open the name come to another address",
                led.join(" and ")
            );
        }
        Ok(_) => {}
    }
}

/// The addresses of a name, IPv4 first.
fn look_up(host: &Host) -> Result<Vec<IpAddr>, String> {
    let (answer, answered) = mpsc::sync_channel(1);
    let name = host.as_str().to_owned();
    // The system's resolver has no deadline of ours; a thread that waits for it is left behind.
    let thread = std::thread::Builder::new().name("name".into()).spawn(move || {
        let _ = answer.send((name.as_str(), 0).to_socket_addrs().map(|all| all.map(|at| at.ip()).collect::<Vec<_>>()));
    });
    thread.map_err(|why| format!("cannot look it up: {why}"))?;
    match answered.recv_timeout(LOOKUP_WAIT) {
        Ok(Ok(mut addresses)) => {
            addresses.sort_by_key(IpAddr::is_ipv6);
            addresses.dedup();
            Ok(addresses)
        }
        Ok(Err(why)) => Err(format!("DNS does not know it ({why})")),
        Err(_) => Err(format!("DNS did not answer within {} s", LOOKUP_WAIT.as_secs())),
    }
}

/// Whether an address is this machine's: only those can be bound.
fn is_ours(ip: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(ip, 0)).is_ok()
}

/// The address that this machine sends to others from: those asked about are reserved for documentation.
fn outward() -> Option<IpAddr> {
    let others = [Ipv4Addr::new(192, 0, 2, 1).into(), Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 1).into()];
    others.into_iter().find_map(own_address)
}

/// The address that this machine would send to `to` from. Nothing is sent.
fn own_address(to: IpAddr) -> Option<IpAddr> {
    let any = if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(to, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_and_nothing_else() {
        let check = |text: &str, expected: Result<&str, BadHost>| {
            assert_eq!(Host::parse(text), expected.map(|name| Host(name.into())), "{text:?}");
        };
        check("talk.example", Ok("talk.example"));
        check(" Talk.Example. ", Ok("talk.example"));
        check("xn--ugb4bc2b.example", Ok("xn--ugb4bc2b.example"));
        check("localhost", Ok("localhost"));
        check("203.0.113.7", Err(BadHost::Address));
        check("[2001:db8::1]", Err(BadHost::Address));
        check("https://talk.example/", Err(BadHost::Url));
        check("talk.example:443", Err(BadHost::Url));
        check("حوار.example", Err(BadHost::Unicode));
        for wrong in
            ["", ".", "..", "a..b", "-a.example", "a-.example", "a_b.example", "1.2.3", "*.example", "a b", "..etc"]
        {
            check(wrong, Err(BadHost::Syntax));
        }
        assert_eq!(Host::parse(&format!("{}.example", "a".repeat(64))), Err(BadHost::Syntax));
        assert!(Host::parse("../../x").is_err());
    }

    #[test]
    fn a_name_that_dns_never_knows_is_said_so() {
        // Reserved for that: RFC 6761 §6.4.
        let why = announced(&Host::parse("nowhere.invalid").unwrap(), false).unwrap_err();
        assert!(why.starts_with("DNS did not answer") || why.starts_with("DNS does not know it"), "{why}");
    }

    #[test]
    fn a_name_for_this_machine_alone_is_told_as_an_address_that_it_has() {
        let host = Host::parse("localhost").unwrap();
        let told = announced(&host, true).unwrap();
        assert!(is_ours(told), "{told}");
        // Never an address that nobody else reaches, when others are served.
        match announced(&host, false) {
            Ok(told) => assert!(is_ours(told) && !told.is_loopback(), "{told}"),
            Err(why) => assert!(outward().is_none() && why.contains("no route"), "{why}"),
        }
    }

    #[test]
    fn this_machines_own_addresses_are_known_from_others() {
        assert!(is_ours(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert!(!is_ours("192.0.2.1".parse().unwrap()), "reserved for documentation");
    }
}
