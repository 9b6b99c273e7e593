//! An origin: the scheme, host and port of an address, in the one way of writing it that browsers have.

use std::fmt;
use std::net::Ipv6Addr;

/// What is spoken at an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`: anybody on the way may answer in the server's place.
    Http,
    /// `https`: who answers has a certificate for the host.
    Https,
}

impl Scheme {
    /// As it stands before `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that is meant when none is written (RFC 9110 §4.2).
    pub fn usual_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// An origin. Two are equal if they mean the same place; written out (RFC 6454 §6.2), each has one text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    /// In lower case; an IPv6 address in its brackets.
    host: String,
    port: u16,
}

impl Origin {
    /// Longest text of an origin, in bytes: so that a token that names one stays far below
    /// [`super::TOKEN_BYTES_MAX`], and yet a host of 86 letters has room.
    pub const BYTES_MAX: usize = 100;

    /// Reads an origin as an operator writes it: capitals, the usual port and one slash at the end change nothing.
    /// `None` if there is more to it (a path, a user, a query), if the host is none, or if it is too long.
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let (scheme, rest) = [Scheme::Https, Scheme::Http]
            .into_iter()
            .find_map(|scheme| Some((scheme, lower.strip_prefix(scheme.as_str())?.strip_prefix("://")?)))?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.strip_prefix('[') {
            Some(inside) => {
                let (address, port) = inside.split_once(']')?;
                (format!("[{}]", address.parse::<Ipv6Addr>().ok()?), port)
            }
            None => {
                let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
                (host.split('.').all(is_label).then(|| host.to_owned())?, port)
            }
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => scheme.usual_port(),
            None => return None,
            // A sign would be read as a part of the number.
            Some(digits) if !digits.bytes().all(|byte| byte.is_ascii_digit()) => return None,
            Some(digits) => digits.parse().ok().filter(|port| *port != 0)?,
        };
        let origin = Self { scheme, host, port };
        (origin.to_string().len() <= Self::BYTES_MAX).then_some(origin)
    }

    /// What is spoken there.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The name or address, without brackets: what is looked up, and what a certificate is for.
    pub fn host(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }

    /// The port, also where none is written.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as in the field `Host` (RFC 9110 §7.2): without the usual port, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.usual_port() { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

/// A part of a host name (RFC 1123 §2.1).
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_origin_has_one_text_however_it_is_written() {
        for (written, text, host, port) in [
            ("https://talk.example", "https://talk.example", "talk.example", 443),
            ("HTTPS://Talk.Example:443/", "https://talk.example", "talk.example", 443),
            ("https://talk.example:8443", "https://talk.example:8443", "talk.example", 8443),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1", 8080),
            ("http://127.0.0.1:080", "http://127.0.0.1", "127.0.0.1", 80),
            ("http://[0:0::1]:8080/", "http://[::1]:8080", "::1", 8080),
            ("http://localhost", "http://localhost", "localhost", 80),
        ] {
            let origin = Origin::parse(written).expect(written);
            assert_eq!((origin.to_string().as_str(), origin.host(), origin.port()), (text, host, port));
            assert_eq!(Origin::parse(text), Some(origin), "{text}");
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_none() {
        let long = format!("https://{}.example", ["a"; 50].join("."));
        for text in [
            "",
            "talk.example",
            "ftp://talk.example",
            "https:talk.example",
            "https://",
            "https:///",
            "https://talk.example//",
            "https://talk.example/listen/demo.mp4",
            "https://talk.example?a",
            "https://talk.example#a",
            "https://me@talk.example",
            "https://talk.example:",
            "https://talk.example:0",
            "https://talk.example:+80",
            "https://talk.example:65536",
            "https://talk.example:80:80",
            "https://talk..example",
            "https://talk.example.",
            "https://-talk.example",
            "https://talk example",
            "https://حوار.example",
            "https://talk.example\r\nHost: a",
            "http://[::1",
            "http://[::1]8080",
            "http://[talk.example]",
            "http://::1",
            &long,
        ] {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_request_names_is_the_host_with_an_unusual_port() {
        for (text, authority) in [
            ("https://talk.example", "talk.example"),
            ("http://talk.example:443", "talk.example:443"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(Origin::parse(text).expect(text).authority(), authority);
        }
    }

    proptest! {
        #[test]
        fn garbage_is_no_origin_and_what_is_one_reads_as_itself(text in "(https?://)?\\PC{0,120}") {
            if let Some(origin) = Origin::parse(&text) {
                prop_assert_eq!(Origin::parse(&origin.to_string()), Some(origin));
            }
        }

        #[test]
        fn hosts_and_ports_are_read_back(host in "[a-zA-Z0-9]{1,20}(\\.[a-z0-9]{1,20}){0,2}", port in 1..=u16::MAX) {
            let origin = Origin::parse(&format!("https://{host}:{port}")).expect("an origin");
            prop_assert_eq!(origin.host(), host.to_ascii_lowercase());
            prop_assert_eq!(origin.port(), port);
            prop_assert!(origin.to_string().len() <= Origin::BYTES_MAX);
        }
    }
}
