//! WHIP offers (RFC 9725 §4.2): what we take, what we refuse and why, and the answer.
//!
//! An offer is read twice. Our own reader checks every rule that WHIP, JSEP and we put on it, and names the one that was broken; then a clean
//! copy, without what we have no use for, goes to the WebRTC library. So nothing that library dislikes about stray lines costs a speaker
//! the stage, and nothing it might choke on reaches it unread.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use str0m::config::{CryptoProvider, DtlsCert};

use crate::candidate::{self, Credentials};
use crate::session::Session;

/// Longest offer taken, in bytes. A browser's audio offer is 2 to 4 kB.
pub const OFFER_BYTES_MAX: usize = 64 * 1024;
/// Most media sections: one of audio, one data channel.
pub const SECTIONS_MAX: usize = 2;
/// Most lines; a browser's audio offer has 60.
pub const LINES_MAX: usize = 1_000;
/// Longest `mid`: what fits a one-byte RTP header extension (RFC 9143 §15.1 asks for 3 or less, RFC 8285 §4.2 allows 16).
pub const MID_BYTES_MAX: usize = 16;
/// Most payload types in the audio section; a browser lists 8. Bounds the work of comparing codecs.
pub const FORMATS_MAX: usize = 64;

/// The key and certificate with which we answer DTLS, and the cryptography behind them. Making one takes about 22 ms, so a house makes one
/// at start and every session shares it.
#[derive(Clone)]
pub struct Certificate {
    pub(crate) dtls: DtlsCert,
    pub(crate) crypto: Arc<CryptoProvider>,
}

impl Certificate {
    /// Makes a self-signed certificate from the system's randomness (RFC 8827 §6.5: ECDSA, P-256). `None` if the cryptographic library
    /// cannot.
    pub fn generate() -> Option<Self> {
        let crypto = Arc::new(str0m::crypto::from_feature_flags());
        let dtls = crypto.dtls_provider.generate_certificate()?;
        Some(Self { dtls, crypto })
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}

/// What every session of a shard has in common.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our DTLS identity.
    pub certificate: Certificate,
    /// Addresses at which clients reach the shard's UDP socket, best first. Not the unspecified address.
    pub candidates: Vec<SocketAddr>,
    /// Addresses at which clients reach the shard's TCP listener (RFC 6544, passive), best first.
    pub tcp: Vec<SocketAddr>,
}

/// The answer to an offer that was taken.
#[derive(Debug, Clone)]
pub struct Answer {
    /// SDP for the body of the 201, with all our candidates (RFC 9725 §4.2).
    pub sdp: String,
    /// Strong entity tag of this generation of ICE, quotes included (RFC 9725 §4.3.1).
    pub etag: String,
}

/// An offer that was not taken: one variant per rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Longer than [`OFFER_BYTES_MAX`] or [`LINES_MAX`].
    TooLarge,
    /// Line number `line` (from 1) is not SDP (RFC 8866 §9), or not in its place.
    Malformed {
        /// The line, counted from 1.
        line: usize,
    },
    /// There is a video section. A stage is for voices, and WHIP has no partly refused offers (RFC 9725 §4.2).
    Video,
    /// No audio section, or a rejected one (port 0).
    NoAudio,
    /// More than one audio section, or one of a kind we do not know.
    ManyMedia,
    /// The audio direction is `recvonly` or `inactive`: WHIP is for sending (RFC 9725 §4.2).
    NotSending,
    /// The audio section is not `UDP/TLS/RTP/SAVPF` (RFC 8829 §5.1.2).
    NotSecure,
    /// No payload type is Opus (RFC 7874 §3).
    NoOpus,
    /// RTP and RTCP on separate ports (RFC 9725 §4.4.1).
    NoRtcpMux,
    /// Several sections, and not all in one BUNDLE group (RFC 9725 §4.4.1).
    NoBundle,
    /// No valid `ice-ufrag` and `ice-pwd`, or different ones in different sections.
    NoIceCredentials,
    /// The client is ICE-lite too: then nobody would send a check (RFC 8445 §6.1.1).
    IceLite,
    /// No SHA-256 fingerprint of the client's certificate (RFC 8122 §5).
    NoFingerprint,
    /// A `mid` that is not a short token, or is used twice (RFC 5888 §4).
    BadMid,
    /// A `setup` other than actpass, active or passive (RFC 8842 §5.2).
    BadSetup,
    /// The WebRTC library found fault with an offer in which we found none.
    Unusable,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::TooLarge => write!(f, "offer over {OFFER_BYTES_MAX} bytes or {LINES_MAX} lines"),
            Refusal::Malformed { line } => write!(f, "line {line} of the offer is not valid SDP there"),
            Refusal::Video => f.write_str("the offer has video; a stage takes one audio section"),
            Refusal::NoAudio => f.write_str("the offer has no audio section"),
            Refusal::ManyMedia => f.write_str("the offer has more than one audio section, or media of an unknown kind"),
            Refusal::NotSending => f.write_str("the audio is recvonly or inactive; offer sendonly or sendrecv"),
            Refusal::NotSecure => f.write_str("the audio is not UDP/TLS/RTP/SAVPF"),
            Refusal::NoOpus => f.write_str("the offer has no opus/48000/2"),
            Refusal::NoRtcpMux => f.write_str("the audio has no rtcp-mux"),
            Refusal::NoBundle => f.write_str("the sections are not all in one BUNDLE group"),
            Refusal::NoIceCredentials => f.write_str("no single valid pair of ice-ufrag and ice-pwd"),
            Refusal::IceLite => f.write_str("both sides are ICE-lite"),
            Refusal::NoFingerprint => f.write_str("no valid sha-256 fingerprint"),
            Refusal::BadMid => write!(f, "mid is not a token of 1 to {MID_BYTES_MAX} characters, or is used twice"),
            Refusal::BadSetup => f.write_str("setup is not actpass, active or passive"),
            Refusal::Unusable => f.write_str("the offer could not be used"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Takes an offer, or says why not. Takes about a millisecond, most of it cryptography: never on the beat.
///
/// # Errors
/// The first [`Refusal`] that applies.
pub fn accept(now: Instant, sdp: &str, config: &Config) -> Result<(Session, Answer), Refusal> {
    let offer = Offer::parse(sdp)?;
    Session::new(now, offer, config)
}

/// Which way sound goes on the audio section, seen from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The client sends; it hears elsewhere.
    SendOnly,
    /// The client sends, and gets the return feed.
    SendRecv,
}

/// An offer that keeps every rule, and the clean copy of it.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Which way sound goes.
    pub direction: Direction,
    /// The client's first ICE credentials.
    pub credentials: Credentials,
    /// Identification of the audio section (RFC 5888).
    pub mid: String,
    /// Whether the audio section asked for `rtcp-mux-only` (RFC 8858).
    pub rtcp_mux_only: bool,
    sections: Vec<Section>,
    session_lines: Vec<String>,
}

#[derive(Debug, Clone, Default)]
struct Section {
    media: String,
    lines: Vec<String>,
}

impl Offer {
    /// Checks an offer against every rule that does not need the WebRTC library.
    ///
    /// # Errors
    /// The first [`Refusal`] that applies.
    pub fn parse(sdp: &str) -> Result<Self, Refusal> {
        let (session, sections) = split(sdp)?;
        let audio = choose(&sections)?;
        check_audio(audio)?;

        let bundle = session.iter().find_map(|value| value.strip_prefix("group:BUNDLE "));
        let bundled = |section: &Section| {
            section.value("mid").is_some_and(|mid| bundle.is_some_and(|group| group.split(' ').any(|word| word == mid)))
        };
        if sections.len() > 1 && !sections.iter().all(bundled) {
            return Err(Refusal::NoBundle);
        }
        if session.iter().any(|value| value == "ice-lite") {
            return Err(Refusal::IceLite);
        }
        let mids: Vec<&str> = sections.iter().filter_map(|section| section.value("mid")).collect();
        let repeated =
            mids.iter().enumerate().any(|(index, mid)| mids.iter().skip(index + 1).any(|other| other == mid));
        if repeated || !mids.iter().all(|mid| is_token(mid)) {
            return Err(Refusal::BadMid);
        }
        let everywhere = || std::iter::once(&session).chain(sections.iter().map(|section| &section.lines)).flatten();
        let credentials = sole(everywhere(), "ice-ufrag")
            .zip(sole(everywhere(), "ice-pwd"))
            .and_then(|(ufrag, pwd)| candidate::credentials(Some(ufrag), Some(pwd)))
            .ok_or(Refusal::NoIceCredentials)?;
        if !everywhere().any(|value| value.strip_prefix("fingerprint:").is_some_and(is_sha256)) {
            return Err(Refusal::NoFingerprint);
        }
        let setups = everywhere().filter_map(|value| value.strip_prefix("setup:"));
        if !setups.into_iter().all(|setup| matches!(setup, "actpass" | "active" | "passive")) {
            return Err(Refusal::BadSetup);
        }

        let direction = audio.direction().or_else(|| direction(&session)).unwrap_or("sendrecv");
        let direction = match direction {
            "sendonly" => Direction::SendOnly,
            "sendrecv" => Direction::SendRecv,
            _ => return Err(Refusal::NotSending),
        };
        // A client that bundles nothing may leave the section unnamed; the library wants a name, and so does our answer's group.
        let mid = audio.value("mid").unwrap_or("0").to_owned();
        let rtcp_mux_only = audio.has("rtcp-mux-only");
        Ok(Self { direction, credentials, mid, rtcp_mux_only, sections, session_lines: session })
    }

    /// The offer as the WebRTC library gets it, with the given credentials: session lines of no use, candidates (our side is ICE-lite) and
    /// fingerprints of other hashes are gone. The same text with new credentials is how an ICE restart is told to the library.
    pub(crate) fn clean(&self, credentials: &Credentials) -> String {
        let mut text = String::with_capacity(4096);
        text.push_str("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n");
        if !self.session_lines.iter().any(|value| value.starts_with("group:BUNDLE ")) {
            text.push_str(&format!("a=group:BUNDLE {}\r\n", self.mid));
        }
        for value in self.session_lines.iter().filter(|value| is_kept(value)) {
            text.push_str(&format!("a={value}\r\n"));
        }
        for section in &self.sections {
            text.push_str(&format!("m={}\r\nc=IN IP4 0.0.0.0\r\n", section.media));
            if section.value("mid").is_none() {
                text.push_str(&format!("a=mid:{}\r\n", self.mid));
            }
            text.push_str(&format!("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", credentials.ufrag, credentials.pwd));
            for value in section.lines.iter().filter(|value| is_kept(value)) {
                text.push_str(&format!("a={value}\r\n"));
            }
        }
        text
    }
}

impl Section {
    fn has(&self, name: &str) -> bool {
        self.lines.iter().any(|value| value == name)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.lines.iter().find_map(|value| value.strip_prefix(name)?.strip_prefix(':'))
    }

    fn direction(&self) -> Option<&str> {
        direction(&self.lines)
    }

    /// Words of the m-line: kind, port, protocol, then formats.
    fn words(&self) -> impl Iterator<Item = &str> {
        self.media.split(' ')
    }
}

/// Session attributes and media sections; line order of RFC 8866 §5 as far as it matters.
fn split(sdp: &str) -> Result<(Vec<String>, Vec<Section>), Refusal> {
    if sdp.len() > OFFER_BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    let mut session = Vec::new();
    let mut sections: Vec<Section> = Vec::new();
    for (index, line) in candidate::lines(sdp).enumerate() {
        let malformed = Refusal::Malformed { line: index + 1 };
        if index == LINES_MAX {
            return Err(Refusal::TooLarge);
        }
        let (kind, value) = candidate::split_line(line).ok_or(malformed)?;
        match (kind, sections.last_mut()) {
            ('v', None) if index == 0 && value == "0" => {}
            _ if index == 0 => return Err(malformed),
            ('m', _) => {
                let mut words = value.split(' ');
                let sound = words.next().is_some_and(|kind| !kind.is_empty())
                    && words.next().is_some_and(|port| port.parse::<u16>().is_ok())
                    && words.next().is_some_and(|protocol| !protocol.is_empty())
                    && words.clone().next().is_some()
                    && words.all(|format| !format.is_empty());
                if !sound {
                    return Err(malformed);
                }
                sections.push(Section { media: value.to_owned(), lines: Vec::new() });
            }
            ('a', None) => session.push(value.to_owned()),
            ('a', Some(section)) => section.lines.push(value.to_owned()),
            ('o' | 's' | 'i' | 'u' | 'e' | 'p' | 'c' | 'b' | 't' | 'r' | 'z' | 'k', None)
            | ('i' | 'c' | 'b' | 'k', Some(_)) => {}
            _ => return Err(malformed),
        }
    }
    Ok((session, sections))
}

/// The one audio section, if the offer has the sections that we take and no other.
fn choose(sections: &[Section]) -> Result<&Section, Refusal> {
    let kind = |section: &Section| section.words().next().unwrap_or_default().to_owned();
    if sections.iter().any(|section| kind(section) == "video") {
        return Err(Refusal::Video);
    }
    let audio = sections.iter().find(|section| kind(section) == "audio").ok_or(Refusal::NoAudio)?;
    if audio.words().nth(1) == Some("0") && !audio.has("bundle-only") {
        return Err(Refusal::NoAudio);
    }
    let is_data =
        |section: &&Section| kind(section) == "application" && section.words().nth(2) == Some("UDP/DTLS/SCTP");
    if sections.len() > SECTIONS_MAX || sections.iter().filter(is_data).count() + 1 != sections.len() {
        return Err(Refusal::ManyMedia);
    }
    Ok(audio)
}

fn check_audio(audio: &Section) -> Result<(), Refusal> {
    if matches!(audio.direction(), Some("recvonly" | "inactive")) {
        return Err(Refusal::NotSending);
    }
    if audio.words().nth(2) != Some("UDP/TLS/RTP/SAVPF") {
        return Err(Refusal::NotSecure);
    }
    let formats: Vec<&str> = audio.words().skip(3).collect();
    if formats.len() > FORMATS_MAX {
        return Err(Refusal::TooLarge);
    }
    let is_opus = |value: &String| {
        let Some((format, codec)) = value.strip_prefix("rtpmap:").and_then(|map| map.split_once(' ')) else {
            return false;
        };
        formats.contains(&format)
            && format.parse::<u8>().is_ok_and(|pt| pt < 128)
            && codec.eq_ignore_ascii_case("opus/48000/2")
    };
    if !audio.lines.iter().any(is_opus) {
        return Err(Refusal::NoOpus);
    }
    if !audio.has("rtcp-mux") {
        return Err(Refusal::NoRtcpMux);
    }
    Ok(())
}

/// The value of an attribute that must be the same wherever it stands.
fn sole<'a>(mut values: impl Iterator<Item = &'a String>, name: &str) -> Option<&'a str> {
    let mut next = || values.by_ref().find_map(|value| value.strip_prefix(name)?.strip_prefix(':'));
    let first = next()?;
    while let Some(other) = next() {
        if other != first {
            return None;
        }
    }
    Some(first)
}

fn direction(lines: &[String]) -> Option<&str> {
    let mut names = lines.iter().map(String::as_str);
    names.find(|name| matches!(*name, "sendrecv" | "sendonly" | "recvonly" | "inactive"))
}

fn is_token(mid: &str) -> bool {
    (1..=MID_BYTES_MAX).contains(&mid.len())
        && mid.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// `sha-256` and 32 bytes in hexadecimal (RFC 8122 §5).
fn is_sha256(value: &str) -> bool {
    let Some((hash, digest)) = value.split_once(' ') else { return false };
    let byte = |pair: &str| pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
    hash.eq_ignore_ascii_case("sha-256") && digest.split(':').count() == 32 && digest.split(':').all(byte)
}

/// Whether the WebRTC library gets to see an attribute.
fn is_kept(value: &str) -> bool {
    let (name, rest) = candidate::attribute(value);
    match name {
        "candidate" | "end-of-candidates" | "remote-candidates" | "ice-ufrag" | "ice-pwd" => false,
        "fingerprint" => rest.is_some_and(is_sha256),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
