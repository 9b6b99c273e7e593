//! `trusted_proxies` and `proxy_protocol`: who stands in front of this server, and is believed when it says for whom it asks.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// More is a list that somebody should look at: a provider's own has dozens.
const NETWORKS_MAX: usize = 256;

/// The proxies of whoever operates the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxies {
    /// Where they are.
    pub networks: Vec<IpNet>,
    /// Whether each of their connections begins with a header of the PROXY protocol.
    pub protocol: bool,
}

/// Why that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// No address, and no network.
    Unreadable(String),
    /// Then anybody could say to be anybody.
    Everybody(String),
    /// Too many.
    Many(usize),
    /// The protocol, and nobody to speak it.
    Nobody,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(text) => {
                write!(f, "trusted_proxies: {text:?} is no address, such as \"10.0.0.7\", and no network, such as \"10.0.0.0/8\"")
            }
            Self::Everybody(text) => {
                write!(f, "trusted_proxies: {text:?} is everybody, so anybody could come as anybody: give the addresses of your proxies")
            }
            Self::Many(n) => write!(f, "trusted_proxies: {n} networks: give {NETWORKS_MAX} at most"),
            Self::Nobody => {
                f.write_str("proxy_protocol = true: say in trusted_proxies which proxies speak it; of all others it is not expected")
            }
        }
    }
}

impl Proxies {
    /// # Errors
    /// As [`Error`] says.
    pub(super) fn resolve(told: &[String], protocol: bool) -> Result<Self, Error> {
        if told.len() > NETWORKS_MAX {
            return Err(Error::Many(told.len()));
        }
        if protocol && told.is_empty() {
            return Err(Error::Nobody);
        }
        let read = |text: &String| {
            let address = text.parse::<IpAddr>().map(IpNet::from);
            let network = address.ok().or_else(|| text.parse().ok()).ok_or_else(|| Error::Unreadable(text.clone()))?;
            if network.prefix_len() == 0 { Err(Error::Everybody(text.clone())) } else { Ok(network) }
        };
        Ok(Self { networks: told.iter().map(read).collect::<Result<_, _>>()?, protocol })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(told: &[&str], protocol: bool) -> Result<Proxies, Error> {
        let told: Vec<String> = told.iter().map(|text| (*text).to_owned()).collect();
        Proxies::resolve(&told, protocol)
    }

    #[test]
    fn addresses_and_networks_are_told_and_go_to_other_processes_as_they_are() {
        assert_eq!(resolve(&[], false), Ok(Proxies::default()));
        let told = resolve(&["127.0.0.1", "10.1.0.0/16", "::1", "fd00::/8"], true).expect("proxies");
        let holds = |text: &str| {
            let address: IpAddr = text.parse().expect("an address");
            told.networks.iter().any(|network| network.contains(&address))
        };
        assert!(["127.0.0.1", "10.1.2.3", "::1", "fd12::3"].into_iter().all(holds));
        assert!(!["127.0.0.2", "10.2.0.1", "::2", "fe80::1"].into_iter().any(holds));
        let again: Proxies = serde_json::from_str(&serde_json::to_string(&told).expect("text")).expect("proxies");
        assert_eq!(again, told);
    }

    #[test]
    fn what_is_no_network_or_all_of_them_is_refused_in_words() {
        for (told, protocol, words) in [
            (&["proxy.example"][..], false, "\"proxy.example\" is no address"),
            (&["10.0.0.0/33"], false, "no network"),
            (&[""], false, "no address"),
            (&["0.0.0.0/0"], false, "anybody could come as anybody"),
            (&["::/0"], false, "anybody could come as anybody"),
            (&[], true, "say in trusted_proxies"),
            (&["10.0.0.1"; 257], false, "257 networks"),
        ] {
            let why = resolve(told, protocol).expect_err("a refusal").to_string();
            assert!(why.contains(words), "{told:?}: {why}");
        }
    }
}
