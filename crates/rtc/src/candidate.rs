//! ICE candidates and the fragments of SDP that carry them in a `PATCH` (RFC 8840, RFC 9725 §4.3).
//!
//! Our side is ICE-lite (RFC 8445 §2.5): it answers checks and never sends one, so a client's candidates are read strictly, counted, and not
//! used. The pair that works shows itself as the source of an authenticated check. What a fragment is for, here, is an ICE restart.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Longest fragment taken, in bytes. A browser on a machine with ten interfaces sends about 3 kB.
pub const FRAGMENT_BYTES_MAX: usize = 16 * 1024;
/// Most candidates in one fragment: far above what any client gathers, far below what would cost us anything.
pub const CANDIDATES_MAX: usize = 64;
/// Longest line, in bytes. A password of 256 characters fits (RFC 8839 §5.4).
pub const LINE_BYTES_MAX: usize = 1024;

/// A fragment that was not taken: one variant per rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Longer than [`FRAGMENT_BYTES_MAX`].
    TooLarge,
    /// Line number `line` (from 1) is not what RFC 8840 §9 allows there.
    Malformed {
        /// The line, counted from 1.
        line: usize,
    },
    /// `ice-ufrag` or `ice-pwd` is missing or not of RFC 8839 §5.4's form.
    NoCredentials,
    /// Two media sections name different credentials; all of ours share one transport.
    ManyCredentials,
    /// Only one of `ice-ufrag` and `ice-pwd` is new: neither this generation nor a restart (RFC 8445 §9).
    HalfRestart,
    /// More than [`CANDIDATES_MAX`] candidates.
    TooManyCandidates,
    /// The session has ended, or could not restart.
    Closed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::TooLarge => write!(f, "fragment over {FRAGMENT_BYTES_MAX} bytes"),
            Refusal::Malformed { line } => write!(f, "line {line} is not allowed in a trickle-ice-sdpfrag"),
            Refusal::NoCredentials => f.write_str("no valid ice-ufrag and ice-pwd"),
            Refusal::ManyCredentials => f.write_str("more than one pair of ICE credentials"),
            Refusal::HalfRestart => f.write_str("an ICE restart changes both ice-ufrag and ice-pwd"),
            Refusal::TooManyCandidates => write!(f, "more than {CANDIDATES_MAX} candidates"),
            Refusal::Closed => f.write_str("the session has ended"),
        }
    }
}

impl std::error::Error for Refusal {}

/// ICE user fragment and password of one side and one generation (RFC 8839 §5.4).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// 4 to 256 ice-chars; travels in the clear.
    pub ufrag: String,
    /// 22 to 256 ice-chars; a secret, so `Debug` does not show it.
    pub pwd: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.ufrag)
    }
}

/// How a candidate is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A UDP candidate.
    Udp,
    /// A TCP candidate (RFC 6544).
    Tcp,
    /// Some other transport; RFC 8839 §5.1 has us ignore the candidate.
    Other,
}

/// One `candidate` attribute (RFC 8839 §5.1), as far as anyone here cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// How it is reached.
    pub transport: Transport,
    /// Where; `None` for a host name, such as the `.local` names browsers hide addresses behind.
    pub address: Option<SocketAddr>,
}

/// The body of a trickle `PATCH`: whose generation of ICE it speaks of, and the candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// The client's credentials: those of the offer, or new ones that ask for an ICE restart.
    pub credentials: Credentials,
    /// Candidates in the order given.
    pub candidates: Vec<Candidate>,
    /// Whether the client said that no more will follow (RFC 8840 §8.2).
    pub end_of_candidates: bool,
}

impl Fragment {
    /// Reads an `application/trickle-ice-sdpfrag` body (RFC 8840 §9). Attributes we do not know are skipped, as the RFC asks; any other
    /// kind of line is refused.
    ///
    /// # Errors
    /// A [`Refusal`] that names the rule broken.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > FRAGMENT_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        let (mut ufrag, mut pwd) = (None, None);
        let mut candidates = Vec::new();
        let mut end_of_candidates = false;
        let mut in_media = false;
        for (index, line) in lines(text).enumerate() {
            let malformed = Refusal::Malformed { line: index + 1 };
            let Some((kind, value)) = split_line(line) else { return Err(malformed) };
            if kind == 'm' {
                in_media = true;
                continue;
            }
            if kind != 'a' {
                return Err(malformed);
            }
            match attribute(value) {
                ("ice-ufrag", Some(value)) => once(&mut ufrag, value)?,
                ("ice-pwd", Some(value)) => once(&mut pwd, value)?,
                ("candidate", Some(value)) if in_media => {
                    if candidates.len() == CANDIDATES_MAX {
                        return Err(Refusal::TooManyCandidates);
                    }
                    candidates.push(Candidate::parse(value).ok_or(malformed)?);
                }
                ("end-of-candidates", None) => end_of_candidates = true,
                ("candidate" | "end-of-candidates" | "ice-ufrag" | "ice-pwd", _) => return Err(malformed),
                _ => {}
            }
        }
        let credentials = credentials(ufrag, pwd).ok_or(Refusal::NoCredentials)?;
        Ok(Self { credentials, candidates, end_of_candidates })
    }
}

impl Candidate {
    /// Reads what follows `a=candidate:` (RFC 8839 §5.1). `None` if it is not of that grammar.
    pub fn parse(value: &str) -> Option<Self> {
        let mut words = value.split(' ');
        let foundation = words.next()?;
        if foundation.is_empty() || foundation.len() > 32 || !foundation.bytes().all(is_ice_char) {
            return None;
        }
        let component: u16 = words.next()?.parse().ok()?;
        let transport = match words.next()? {
            word if word.eq_ignore_ascii_case("udp") => Transport::Udp,
            word if word.eq_ignore_ascii_case("tcp") => Transport::Tcp,
            "" => return None,
            _ => Transport::Other,
        };
        let priority: u32 = words.next()?.parse().ok()?;
        let host = words.next().filter(|host| !host.is_empty())?;
        let port: u16 = words.next()?.parse().ok()?;
        if !(1..=256).contains(&component) || !(1..=0x7fff_ffff).contains(&priority) || words.next()? != "typ" {
            return None;
        }
        words.next().filter(|kind| !kind.is_empty())?;
        // What follows are pairs of a name and a value.
        let extensions: Vec<&str> = words.collect();
        if !extensions.len().is_multiple_of(2) || extensions.iter().any(|word| word.is_empty()) {
            return None;
        }
        let address = host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port));
        Some(Self { transport, address })
    }
}

/// The lines of an SDP text; the last line end may be missing, and a bare LF is let pass (RFC 8866 §5).
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line))
}

/// `x=value`, if a line is that: not too long, no control characters.
pub(crate) fn split_line(line: &str) -> Option<(char, &str)> {
    if line.len() > LINE_BYTES_MAX || line.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return None;
    }
    let (kind, value) = line.split_once('=')?;
    let mut kind = kind.chars();
    match (kind.next(), kind.next()) {
        (Some(kind @ 'a'..='z'), None) => Some((kind, value)),
        _ => None,
    }
}

/// An attribute's name, and its value if it has one.
pub(crate) fn attribute(value: &str) -> (&str, Option<&str>) {
    match value.split_once(':') {
        Some((name, value)) => (name, Some(value)),
        None => (value, None),
    }
}

/// Credentials of the form that RFC 8839 §5.4 asks for.
pub(crate) fn credentials(ufrag: Option<&str>, pwd: Option<&str>) -> Option<Credentials> {
    let (ufrag, pwd) = (ufrag?, pwd?);
    let well_formed = (4..=256).contains(&ufrag.len())
        && (22..=256).contains(&pwd.len())
        && ufrag.bytes().all(is_ice_char)
        && pwd.bytes().all(is_ice_char);
    well_formed.then(|| Credentials { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() })
}

/// RFC 8839 §5.4: letters, digits, `+`, `/`. Firefox and old libraries have used `-`, `_` and `=`; they do no harm.
fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=')
}

fn once<'a>(slot: &mut Option<&'a str>, value: &'a str) -> Result<(), Refusal> {
    match *slot {
        Some(earlier) if earlier != value => Err(Refusal::ManyCredentials),
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RFC_9725: &str = "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n\
        a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
        a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n\
        a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0 ufrag EsAw network-id 2\r\n\
        a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0 ufrag EsAw network-id 1\r\n\
        a=candidate:2154773085 1 tcp 1518214911 198.51.100.2 9 typ host tcptype active generation 0 ufrag EsAw network-id 2\r\n\
        a=end-of-candidates\r\n";

    #[test]
    fn the_example_of_rfc_9725_is_read() {
        let fragment = Fragment::parse(RFC_9725).unwrap();
        assert_eq!(fragment.credentials.ufrag, "EsAw");
        assert_eq!(fragment.candidates.len(), 4);
        assert_eq!(fragment.candidates[0].address, Some("192.0.2.1:61764".parse().unwrap()));
        assert_eq!(fragment.candidates[2].transport, Transport::Tcp);
        assert!(fragment.end_of_candidates);
    }

    #[test]
    fn each_broken_rule_has_its_own_refusal() {
        fn check(text: &str, refusal: Refusal) {
            assert_eq!(Fragment::parse(text), Err(refusal), "{text:?}");
        }
        const HEAD: &str = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\n";
        check("", Refusal::Malformed { line: 1 });
        check("v=0\r\n", Refusal::Malformed { line: 1 });
        check("m=audio 9 RTP/AVP 0\r\na=mid:0\r\n", Refusal::NoCredentials);
        check("a=ice-ufrag:EsAw\r\na=ice-pwd:short\r\n", Refusal::NoCredentials);
        check("a=ice-ufrag:E;Aw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n", Refusal::NoCredentials);
        check(&format!("{HEAD}a=ice-ufrag:Other\r\n"), Refusal::ManyCredentials);
        check(&format!("{HEAD}a=candidate:1 1 udp 1 192.0.2.1\r\n"), Refusal::Malformed { line: 4 });
        check(&format!("{HEAD}a=candidate:1 1 udp 0 192.0.2.1 9 typ host\r\n"), Refusal::Malformed { line: 4 });
        check(&format!("{HEAD}a=candidate:1 1 udp 5 192.0.2.1 9 typ host odd\r\n"), Refusal::Malformed { line: 4 });
        check(&format!("{HEAD}a=x:\u{7}\r\n"), Refusal::Malformed { line: 4 });
        check(&"a=x\n".repeat(FRAGMENT_BYTES_MAX), Refusal::TooLarge);
        let many = "a=candidate:1 1 udp 5 192.0.2.1 9 typ host\r\n".repeat(CANDIDATES_MAX + 1);
        check(&format!("{HEAD}{many}"), Refusal::TooManyCandidates);
    }

    #[test]
    fn unknown_transports_and_hidden_names_are_no_error() {
        let candidate = Candidate::parse("1 1 quic 5 3b1e.local 9 typ host").unwrap();
        assert_eq!(candidate, Candidate { transport: Transport::Other, address: None });
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(a=|m=|candidate:|ice-ufrag:|ice-pwd:|[ -~\r\n]|\\PC){0,80}") {
            let _ = Fragment::parse(&text);
        }
    }
}
