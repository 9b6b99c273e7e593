//! One speaker's WebRTC session: datagrams in, packets of sound out.
//!
//! Sans-IO: [`Session::handle`] takes one input, then [`Session::poll`] is drained, and [`Session::deadline`] says when to come back. The
//! WebRTC library runs in RTP mode: every packet is passed on at once, as it came; order and loss are the jitter buffer's business. (Its
//! frame mode holds packets back for 300 ms after a loss.)
//!
//! Our side is ICE-lite: it answers checks and sends none. FFmpeg answers checks in a way the library does not take, so full ICE would lock
//! it out.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use hiwar_media::level::Level;
use hiwar_media::packet::{Coding, Depacketizer, Opus, Packet, Rtp};
use str0m::format::Codec;

use str0m::media::{Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, Ssrc};
use str0m::{Event, Rtc};

use crate::candidate::{self, Credentials, Fragment};
use crate::offer::{Answer, Config, Direction, Offer, Refusal};
use crate::returns::{Outgoing, Return};

mod library;

/// A client that has not connected by then never will: ICE and DTLS together take a client on a bad line 3 s, and browsers give up ICE
/// after 15.
pub const CONNECT_WAIT: Duration = Duration::from_secs(15);
/// Silence after which a client is gone. All clients send a check every 2 to 6 s (RFC 7675 §5.1), so two were lost and no sound came.
pub const SILENCE_WAIT: Duration = Duration::from_secs(10);
/// Longest datagram looked at, in bytes. Ethernet carries 1,500.
pub const DATAGRAM_BYTES_MAX: usize = 2_000;
/// SSRCs that a session knows at one time, besides those of the offer. A client changes its SSRC when it changes its microphone; strangers
/// who forge packets must not fill a table.
const SOURCES_KNOWN_MAX: usize = 4;
/// SSRCs that may prove themselves in one session before it is closed: a state is kept for each, and no client needs so many.
const SOURCES_PROVEN_MAX: usize = 500;

/// Which wire a datagram came by, or goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proto {
    /// One UDP datagram.
    Udp,
    /// One frame of RFC 4571 on a TCP connection (RFC 6544).
    Tcp,
}

/// One thing that came in from a client, by either wire.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// When it came, if it was left lying for a while; for the jitter buffer.
    pub arrival: Instant,
    /// By which wire.
    pub proto: Proto,
    /// The client's address.
    pub source: SocketAddr,
    /// Our address, if known. One that is not among our candidates stands for the first of its kind: behind NAT, or on a socket bound
    /// to all addresses, nobody can tell.
    pub destination: SocketAddr,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// What a session takes.
#[derive(Debug)]
pub enum Input<'a> {
    /// Something came in for this session.
    Datagram(Datagram<'a>),
    /// The deadline has passed.
    Timeout,
    /// One frame for the speaker to hear. It goes out with whatever is handled next: a [`Self::Timeout`] at the latest, as long as
    /// [`Session::has_unsent`].
    Return(Return<'a>),
    /// Say goodbye and end.
    Close,
}

/// What a session gives.
#[derive(Debug)]
pub enum Output<'a> {
    /// Send this.
    Transmit {
        /// By which wire.
        proto: Proto,
        /// Our candidate address.
        source: SocketAddr,
        /// The client's address.
        destination: SocketAddr,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Sound from the speaker.
    Packet(Packet<Opus<'a>>),
    /// ICE and DTLS are up. Comes once.
    Connected,
    /// The session is over; nothing follows. Comes once.
    Closed(Reason),
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// We closed it.
    Asked,
    /// The client said goodbye (DTLS close_notify).
    Left,
    /// The client never connected within [`CONNECT_WAIT`].
    NeverConnected,
    /// Nothing came for [`SILENCE_WAIT`].
    Silent,
    /// DTLS failed: wrong certificate, or nothing in common.
    Failed,
    /// The client used more SSRCs than any client needs.
    ManySources,
    /// A bug of ours or the library's; the session was given up so that others go on.
    Bug,
}

/// What became of a `PATCH` (RFC 9725 §4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patched {
    /// Candidates noted: 204, without an entity tag.
    Trickled,
    /// ICE was restarted: 200 with this body and tag.
    Restarted {
        /// Our new credentials and candidates.
        sdpfrag: String,
        /// Strong entity tag of the new generation, quotes included.
        etag: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Connected,
    Closed,
}

/// The machine of one speaker's connection.
pub struct Session {
    rtc: Rtc,
    offer: Offer,
    local: Credentials,
    remote: Credentials,
    mid: Mid,
    opus: Pt,
    red: Option<Pt>,
    /// Our addresses as the answer names them.
    addresses: Vec<(Proto, SocketAddr)>,
    depacketizer: Depacketizer,
    outgoing: Option<Outgoing>,
    /// SSRCs declared to the library beyond the offer's, oldest first, and whether an authenticated packet came from each.
    sources: Vec<(Ssrc, bool)>,
    sources_proven: usize,
    /// Where the last authenticated packet came from: the library knows it.
    heard_last: Option<Ssrc>,
    /// The way that the last authenticated packet came, by wire, from the client's address, to ours. What is sent goes back that way.
    path: Option<(Proto, SocketAddr, SocketAddr)>,
    /// Whether what was last given to the library held such a packet.
    heard: bool,
    phase: Phase,
    /// End of [`CONNECT_WAIT`] or [`SILENCE_WAIT`].
    give_up: Instant,
    library_deadline: Instant,
    malformed: u64,
    waiting: VecDeque<Waiting>,
    /// The sound of those packets in there, until all that waits has been polled.
    sound: Vec<u8>,
    /// Whether a return was written since the library was last drained.
    unsent: bool,
}

/// An output that was not polled yet.
enum Waiting {
    Transmit { proto: Proto, source: SocketAddr, destination: SocketAddr, bytes: Vec<u8> },
    Packet(Packet<Range<usize>>),
    Connected,
    Closed(Reason),
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("ufrag", &self.local.ufrag).field("phase", &self.phase).finish_non_exhaustive()
    }
}

impl Session {
    /// Answers a checked offer.
    pub(crate) fn new(now: Instant, offer: Offer, config: &Config) -> Result<(Self, Answer), Refusal> {
        let mut rtc = library::build(now, config);
        let addresses = library::add_candidates(&mut rtc, config);
        if addresses.is_empty() {
            return Err(Refusal::Unusable);
        }
        let text = offer.clean(&offer.credentials);
        let answer = library::negotiate(&mut rtc, &text).ok_or(Refusal::Unusable)?;
        let mid = Mid::from(offer.mid.as_str());
        let remote_pts = rtc.media(mid).ok_or(Refusal::Unusable)?.remote_pts().to_vec();
        let codecs = rtc.codec_config();
        let params =
            codecs.find(|p| p.spec().codec == Codec::Opus && remote_pts.contains(&p.pt())).ok_or(Refusal::Unusable)?;
        let (opus, red) = (params.pt(), params.red());
        let outgoing = (offer.direction == Direction::SendRecv).then(|| Outgoing::new(mid, opus));
        let mut session = Self {
            local: library::local_credentials(&mut rtc),
            remote: offer.credentials.clone(),
            rtc,
            mid,
            opus,
            red,
            addresses,
            depacketizer: Depacketizer::new(),
            outgoing,
            sources: Vec::new(),
            sources_proven: 0,
            heard_last: None,
            path: None,
            heard: false,
            phase: Phase::Connecting,
            give_up: now + CONNECT_WAIT,
            library_deadline: now,
            malformed: 0,
            waiting: VecDeque::new(),
            sound: Vec::new(),
            unsent: false,
            offer,
        };
        session.handle(now, Input::Timeout);
        let answer = Answer { sdp: library::finish(&answer, session.offer.rtcp_mux_only), etag: session.etag() };
        Ok((session, answer))
    }

    /// Takes one input. Drain [`Session::poll`] afterwards.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        if self.phase == Phase::Closed {
            return;
        }
        match input {
            Input::Datagram(datagram) => self.receive(now, datagram),
            Input::Timeout => {
                if now >= self.give_up {
                    let reason = if self.phase == Phase::Connecting { Reason::NeverConnected } else { Reason::Silent };
                    return self.close(now, reason);
                }
                if self.rtc.handle_input(str0m::Input::Timeout(now)).is_err() {
                    return self.close(now, Reason::Failed);
                }
                self.drain(now);
            }
            Input::Return(frame) => {
                if self.phase == Phase::Connected
                    && let Some(outgoing) = &mut self.outgoing
                {
                    // The library stamps and sends what was written when time moves.
                    outgoing.write(now, &mut self.rtc, frame);
                    self.unsent = true;
                }
            }
            Input::Close => self.close(now, Reason::Asked),
        }
    }

    /// The next thing to do for this session, in order.
    pub fn poll(&mut self) -> Option<Output<'_>> {
        let Some(waiting) = self.waiting.pop_front() else {
            self.sound.clear();
            return None;
        };
        Some(match waiting {
            Waiting::Transmit { proto, source, destination, bytes } => {
                Output::Transmit { proto, source, destination, bytes }
            }
            Waiting::Packet(packet) => {
                let opus = self.sound.get(packet.payload.clone()).and_then(Opus::new)?;
                Output::Packet(packet.with(opus))
            }
            Waiting::Connected => Output::Connected,
            Waiting::Closed(reason) => Output::Closed(reason),
        })
    }

    /// When to call [`Session::handle`] with [`Input::Timeout`]; `None` once closed.
    pub fn deadline(&self) -> Option<Instant> {
        (self.phase != Phase::Closed).then(|| self.library_deadline.min(self.give_up))
    }

    /// Takes the body of a `PATCH`: candidates, or new credentials that ask for an ICE restart. Sound goes on over the old path until the
    /// client has chosen a new one. Checking `If-Match` against [`Session::etag`] is the HTTP layer's task.
    ///
    /// # Errors
    /// A [`candidate::Refusal`]; nothing has changed then.
    pub fn patch(&mut self, now: Instant, sdpfrag: &str) -> Result<Patched, candidate::Refusal> {
        if self.phase == Phase::Closed {
            return Err(candidate::Refusal::Closed);
        }
        let fragment = Fragment::parse(sdpfrag)?;
        if fragment.credentials == self.remote {
            return Ok(Patched::Trickled);
        }
        if fragment.credentials.ufrag == self.remote.ufrag || fragment.credentials.pwd == self.remote.pwd {
            return Err(candidate::Refusal::HalfRestart);
        }
        // The library restarts ICE when an offer comes with new credentials, so it gets the first offer again, with these.
        let text = self.offer.clean(&fragment.credentials);
        let Some(answer) = library::negotiate(&mut self.rtc, &text) else {
            self.close(now, Reason::Bug);
            return Err(candidate::Refusal::Closed);
        };
        self.heard_last = None;
        self.remote = fragment.credentials;
        self.local = library::local_credentials(&mut self.rtc);
        self.drain(now);
        Ok(Patched::Restarted { sdpfrag: library::fragment_of(&answer), etag: self.etag() })
    }

    /// Strong entity tag of this generation of ICE (RFC 9725 §4.3.1), quotes included: a hash of both sides' credentials.
    pub fn etag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        (&self.local.ufrag, &self.local.pwd, &self.remote.ufrag, &self.remote.pwd).hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }

    /// Our ICE user fragment of this generation: the first half of the user name in the client's checks (RFC 8445 §7.2.2).
    pub fn ufrag(&self) -> &str {
        &self.local.ufrag
    }

    /// Whether the client asked for the return feed (its offer was sendrecv).
    pub fn wants_returns(&self) -> bool {
        self.outgoing.is_some()
    }

    /// Whether a return waits for the next input to go out with.
    pub fn has_unsent(&self) -> bool {
        self.unsent
    }

    /// RTP payloads that were not what their payload type says, since the beginning.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    fn receive(&mut self, now: Instant, datagram: Datagram<'_>) {
        let Datagram { arrival, proto, source, destination, bytes } = datagram;
        if bytes.len() > DATAGRAM_BYTES_MAX {
            return;
        }
        let Some(destination) = self.candidate(proto, destination) else { return };
        self.declare_source(bytes);
        let protocol = match proto {
            Proto::Udp => Protocol::Udp,
            Proto::Tcp => Protocol::Tcp,
        };
        let Ok(receive) = Receive::new(protocol, source, destination, bytes) else { return };
        // An error here is DTLS that made no sense. Anybody can forge that, so it ends nothing; what the library holds fatal for itself it
        // says again when polled.
        let unsent = self.unsent;
        self.heard = false;
        let refused = self.rtc.handle_input(str0m::Input::Receive(now, receive)).is_err();
        let before = self.waiting.len();
        self.drain(arrival);
        // Then time did not move for the library, and what was written did not leave.
        self.unsent = unsent && refused;
        if self.heard {
            self.path = Some((proto, source, destination));
        }
        // Only a check with the right password is answered to where it came from; only sound with the right key becomes a packet.
        let authentic = is_stun(bytes) && self.waiting.iter().skip(before).any(|output| answers(output, source));
        if authentic && self.phase == Phase::Connected {
            self.give_up = now + SILENCE_WAIT;
        }
    }

    /// Tells the library of an SSRC that it does not know. FFmpeg sends no section id with its packets, so a new SSRC from it could not be
    /// placed otherwise; and the library would let a forged packet with a section id take the place of the true one.
    fn declare_source(&mut self, bytes: &[u8]) {
        let Some((pt, ssrc)) = rtp_head(bytes) else { return };
        if ssrc == 0 || self.phase != Phase::Connected || !(pt == *self.opus || Some(pt) == self.red.map(|red| *red)) {
            return;
        }
        let ssrc = Ssrc::from(ssrc);
        if self.heard_last == Some(ssrc) {
            return;
        }
        let mut direct = self.rtc.direct_api();
        if direct.stream_rx(&ssrc).is_some() {
            return;
        }
        if self.sources.len() == SOURCES_KNOWN_MAX {
            let oldest = self.sources.iter().position(|(_, proven)| !proven).unwrap_or(0);
            let (old, _) = self.sources.remove(oldest);
            direct.remove_stream_rx(old);
            self.heard_last = self.heard_last.filter(|last| *last != old);
        }
        direct.expect_stream_rx(ssrc, None, self.mid, None).suppress_nack(true);
        self.sources.push((ssrc, false));
    }

    /// The candidate of ours that something came in on.
    fn candidate(&self, proto: Proto, address: SocketAddr) -> Option<SocketAddr> {
        if self.addresses.contains(&(proto, address)) {
            return Some(address);
        }
        let same_kind = self.addresses.iter().filter(|(p, _)| *p == proto);
        let same_family = same_kind.clone().find(|(_, a)| a.is_ipv4() == address.is_ipv4());
        same_family.or(same_kind.clone().next()).map(|(_, a)| *a)
    }

    /// Where something is to go that the library would send by `nominated`. A check is answered where it came from. All else follows the sound: a phone that
    /// changes networks checks from its new address with the priority of the old one, and then the library, which sends no checks and so never learns that
    /// a pair has died, stays with the old pair for ever.
    fn way_to_client(
        &self,
        bytes: &[u8],
        nominated: (Proto, SocketAddr, SocketAddr),
    ) -> (Proto, SocketAddr, SocketAddr) {
        if is_stun(bytes) { nominated } else { self.path.unwrap_or(nominated) }
    }

    /// `at`: when what is drained came to pass.
    fn drain(&mut self, at: Instant) {
        self.unsent = false;
        loop {
            match self.rtc.poll_output() {
                Ok(str0m::Output::Timeout(deadline)) => {
                    self.library_deadline = deadline;
                    return;
                }
                Ok(str0m::Output::Transmit(transmit)) => {
                    let proto = if transmit.proto == Protocol::Udp { Proto::Udp } else { Proto::Tcp };
                    let (source, destination) = (transmit.source, transmit.destination);
                    let bytes: Vec<u8> = transmit.contents.into();
                    let (proto, destination, source) = self.way_to_client(&bytes, (proto, destination, source));
                    self.waiting.push_back(Waiting::Transmit { proto, source, destination, bytes });
                }
                Ok(str0m::Output::Event(event)) => self.event(at, event),
                Err(error) => {
                    tracing::debug!(%error, "session failed");
                    return self.end(Reason::Failed);
                }
            }
            if self.phase == Phase::Closed {
                return;
            }
        }
    }

    fn event(&mut self, at: Instant, event: Event) {
        match event {
            Event::Connected if self.phase == Phase::Connecting => {
                self.phase = Phase::Connected;
                self.give_up = at + SILENCE_WAIT;
                self.waiting.push_back(Waiting::Connected);
            }
            Event::RtpPacket(packet) => self.packet(at, &packet),
            Event::Closed => self.end(Reason::Left),
            _ => {}
        }
    }

    fn packet(&mut self, arrival: Instant, packet: &RtpPacket) {
        self.give_up = arrival + SILENCE_WAIT;
        self.heard = true;
        let header = &packet.header;
        self.heard_last = Some(header.ssrc);
        if let Some((_, proven)) = self.sources.iter_mut().find(|(ssrc, proven)| *ssrc == header.ssrc && !proven) {
            *proven = true;
            self.sources_proven += 1;
            if self.sources_proven > SOURCES_PROVEN_MAX {
                return self.end(Reason::ManySources);
            }
        }
        let coding = match header.payload_type {
            pt if pt == self.opus => Coding::Opus,
            pt if Some(pt) == self.red => Coding::Red,
            _ => return,
        };
        let rtp = Rtp {
            coding,
            ssrc: *header.ssrc,
            sequence: header.sequence_number,
            timestamp: header.timestamp,
            level: header.ext_vals.audio_level.map(Level::from_dbov),
            payload: &packet.payload,
        };
        let (waiting, sound) = (&mut self.waiting, &mut self.sound);
        let give = |packet: Packet<Opus<'_>>| {
            let begin = sound.len();
            sound.extend_from_slice(packet.payload.as_slice());
            waiting.push_back(Waiting::Packet(packet.with(begin..sound.len())));
        };
        if self.depacketizer.depacketize(arrival, rtp, give).is_err() {
            self.malformed += 1;
        }
    }

    /// Says goodbye as far as the library still can, then ends.
    fn close(&mut self, now: Instant, reason: Reason) {
        if self.rtc.close().is_ok() {
            self.drain(now);
        }
        self.end(reason);
    }

    fn end(&mut self, reason: Reason) {
        if self.phase != Phase::Closed {
            self.phase = Phase::Closed;
            self.waiting.push_back(Waiting::Closed(reason));
        }
    }
}

/// Payload type and SSRC of what looks like RTP and not RTCP (RFC 5761 §4).
fn rtp_head(bytes: &[u8]) -> Option<(u8, u32)> {
    let head: &[u8; 12] = bytes.first_chunk()?;
    let pt = head[1] & 0x7f;
    let ssrc = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
    (head[0] >> 6 == 2 && !(64..96).contains(&pt)).then_some((pt, ssrc))
}

fn is_stun(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|byte| *byte < 4)
}

fn answers(output: &Waiting, source: SocketAddr) -> bool {
    matches!(output, Waiting::Transmit { destination, bytes, .. } if *destination == source && is_stun(bytes))
}

#[cfg(test)]
mod tests;
