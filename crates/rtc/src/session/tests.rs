//! A session against a client made of the same library, without sockets and faster than time. The client can send what the independent
//! client of `tests/shard.rs` refuses to.

use std::time::{Duration, Instant};

use hiwar_media::packet::Payload;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction as LibraryDirection, MediaKind};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, RtcConfig};

use super::*;
use crate::offer::{self, Certificate};

const OUR_ADDRESS: &str = "198.51.100.7:8082";
const CLIENT_ADDRESS: &str = "203.0.113.9:4000";
const TICK: Duration = Duration::from_millis(10);

struct Pair {
    now: Instant,
    begun: Instant,
    ours: Session,
    client: Rtc,
    client_address: SocketAddr,
    /// The client's address as we see it.
    seen_at: SocketAddr,
    mid: Mid,
    sequence: u64,
    heard: Vec<(u16, Vec<u8>)>,
    outputs: Vec<Given>,
    /// Where what was sent last, and is no answer to a check, went.
    sent_to: Option<SocketAddr>,
    /// Whether what the client sends reaches us.
    cable: bool,
}

/// What a session gave, but for what it sent.
enum Given {
    Packet(Box<Packet<Payload>>),
    Connected,
    Closed(Reason),
}

impl Pair {
    fn new(direction: LibraryDirection) -> Self {
        Self::with(direction, |offer| offer)
    }

    fn with(direction: LibraryDirection, change: impl Fn(String) -> String) -> Self {
        let now = Instant::now();
        let mut client = RtcConfig::new().set_rtp_mode(true).clear_codecs().enable_opus(true, true).build(now);
        let client_address: SocketAddr = CLIENT_ADDRESS.parse().unwrap();
        client.add_local_candidate(Candidate::host(client_address, "udp").unwrap());
        let mut api = client.sdp_api();
        let mid = api.add_media(MediaKind::Audio, direction, None, None, None);
        let (offer, pending): (SdpOffer, SdpPendingOffer) = api.apply().unwrap();
        let config = Config {
            certificate: Certificate::generate().unwrap(),
            candidates: vec![OUR_ADDRESS.parse().unwrap()],
            tcp: Vec::new(),
        };
        let (ours, answer) = offer::accept(now, &change(offer.to_sdp_string()), &config).unwrap();
        client.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&answer.sdp).unwrap()).unwrap();
        let mut pair = Self {
            now,
            begun: now,
            ours,
            client,
            client_address,
            seen_at: client_address,
            mid,
            sequence: 1,
            heard: Vec::new(),
            outputs: Vec::new(),
            sent_to: None,
            cable: true,
        };
        pair.run_until(|pair| {
            pair.client.is_connected() && pair.outputs.iter().any(|output| matches!(output, Given::Connected))
        });
        pair
    }

    fn run_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..3_000 {
            if done(self) {
                return;
            }
            self.tick();
        }
        panic!("it did not come to pass in 30 s");
    }

    fn tick(&mut self) {
        self.now += TICK;
        if self.client.is_alive() {
            let _ = self.client.handle_input(str0m::Input::Timeout(self.now));
        }
        if self.ours.deadline().is_some_and(|deadline| deadline <= self.now) {
            self.ours.handle(self.now, Input::Timeout);
        }
        self.exchange();
    }

    fn exchange(&mut self) {
        let mut to_client = Vec::new();
        loop {
            match self.client.poll_output() {
                Ok(str0m::Output::Transmit(transmit)) if self.cable => {
                    self.give(&transmit.contents);
                }
                Ok(str0m::Output::Event(Event::RtpPacket(packet))) => {
                    self.heard.push((packet.header.sequence_number, packet.payload.to_vec()));
                }
                Ok(str0m::Output::Timeout(_)) | Err(_) => break,
                Ok(_) => {}
            }
        }
        while let Some(output) = self.ours.poll() {
            match output {
                Output::Transmit { bytes, destination, .. } => {
                    if !is_stun(&bytes) {
                        self.sent_to = Some(destination);
                    }
                    to_client.push(bytes);
                }
                Output::Packet(packet) => {
                    self.outputs.push(Given::Packet(Box::new(packet.with(packet.payload.into()))));
                }
                Output::Connected => self.outputs.push(Given::Connected),
                Output::Closed(reason) => self.outputs.push(Given::Closed(reason)),
            }
        }
        for bytes in to_client {
            let receive =
                Receive::new(Protocol::Udp, OUR_ADDRESS.parse().unwrap(), self.client_address, &bytes).unwrap();
            let _ = self.client.handle_input(str0m::Input::Receive(self.now, receive));
        }
    }

    fn give(&mut self, bytes: &[u8]) {
        // The socket is bound to all addresses, so the destination says little.
        let destination = "0.0.0.0:8082".parse().unwrap();
        let (arrival, source) = (self.now, self.seen_at);
        let datagram = Datagram { arrival, proto: Proto::Udp, source, destination, bytes };
        self.ours.handle(self.now, Input::Datagram(datagram));
    }

    /// Sends one packet with an SSRC of choice, and no section id, as FFmpeg does.
    fn speak(&mut self, ssrc: u32, payload: &[u8]) {
        let pt = self.client.codec_config().find(|p| p.spec().codec == Codec::Opus).unwrap().pt();
        let mut direct = self.client.direct_api();
        // The library sends one stream per section; a second one would starve.
        direct.reset_stream_tx(self.mid, None, ssrc.into(), None);
        let stream = direct.stream_tx_by_mid(self.mid, None).unwrap();
        let write = RtpWrite::new(pt, self.sequence.into(), self.sequence as u32 * 960, self.now, payload);
        stream.write_rtp(write);
        self.sequence += 1;
        self.tick();
    }

    /// Lets everything that is on its way arrive.
    fn settle(&mut self) {
        for _ in 0..20 {
            self.tick();
        }
    }

    fn packets(&self) -> Vec<(u32, u8)> {
        let packets = self.outputs.iter().filter_map(|output| match output {
            Given::Packet(packet) => Some((packet.source, packet.payload.as_slice()[1])),
            _ => None,
        });
        packets.collect()
    }

    fn closed(&self) -> Option<Reason> {
        self.outputs.iter().find_map(|output| if let Given::Closed(reason) = output { Some(*reason) } else { None })
    }
}

/// What FFmpeg's offer lacks: RTP header extensions.
fn without_extensions(offer: String) -> String {
    offer.lines().filter(|line| !line.starts_with("a=extmap")).map(|line| format!("{line}\r\n")).collect()
}

fn sound(number: u8) -> [u8; 3] {
    [0xf8, number, 0]
}

#[test]
fn a_new_ssrc_without_section_id_is_heard_from_its_first_packet() {
    let mut pair = Pair::with(LibraryDirection::SendOnly, without_extensions);
    for (number, ssrc) in [(0, 100), (1, 100), (2, 200), (3, 200), (4, 300)] {
        pair.speak(ssrc, &sound(number));
    }
    pair.settle();
    assert_eq!(pair.packets(), [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4)]);
}

#[test]
fn a_client_that_changes_its_ssrc_for_ever_is_closed_in_the_end() {
    let mut pair = Pair::with(LibraryDirection::SendOnly, without_extensions);
    for number in 0..=SOURCES_PROVEN_MAX as u32 {
        pair.speak(1_000 + number, &sound(1));
        assert!(pair.ours.sources.len() <= SOURCES_KNOWN_MAX);
    }
    pair.settle();
    assert_eq!(pair.closed(), Some(Reason::ManySources));
}

#[test]
fn forged_packets_do_not_push_out_the_speaker() {
    let mut pair = Pair::with(LibraryDirection::SendOnly, without_extensions);
    pair.speak(100, &sound(1));
    let opus = *pair.ours.opus;
    for ssrc in 0..1_000_u32 {
        let mut forged = vec![0x80, opus, 0, 1, 0, 0, 0, 0];
        forged.extend(ssrc.wrapping_mul(7_919).to_be_bytes());
        forged.extend([0x55; 40]);
        pair.give(&forged);
    }
    assert!(pair.ours.sources.len() <= SOURCES_KNOWN_MAX);
    pair.speak(100, &sound(2));
    pair.settle();
    assert_eq!(pair.packets(), [(0, 1), (0, 2)]);
}

#[test]
fn empty_and_senseless_payloads_are_no_sound_and_no_end() {
    let mut pair = Pair::new(LibraryDirection::SendOnly);
    pair.speak(100, &[]);
    pair.speak(100, &[0xff, 0, 0]);
    pair.speak(100, &sound(3));
    pair.settle();
    assert_eq!(pair.packets(), [(0, 3)]);
    assert_eq!(pair.ours.malformed(), 1);
}

#[test]
fn garbage_ends_nothing() {
    let mut pair = Pair::new(LibraryDirection::SendOnly);
    for first in 0..=255_u8 {
        for length in [0, 1, 2, 11, 12, 13, 40, 200] {
            let mut bytes = vec![first; length];
            pair.give(&bytes);
            for (index, byte) in bytes.iter_mut().enumerate().skip(1) {
                *byte = (index as u8).wrapping_mul(197).wrapping_add(first);
            }
            pair.give(&bytes);
        }
    }
    pair.give(&[0x80; DATAGRAM_BYTES_MAX + 1]);
    pair.speak(100, &sound(3));
    pair.settle();
    assert_eq!((pair.packets(), pair.closed()), (vec![(0, 3)], None));
}

#[test]
fn what_is_returned_is_heard_in_order() {
    let mut pair = Pair::new(LibraryDirection::SendRecv);
    assert!(pair.ours.wants_returns());
    for number in 0..10 {
        let sound = sound(number);
        let (payload, time) = (Opus::new(&sound).unwrap(), hiwar_media::Time(u64::from(number) * 960));
        pair.ours.handle(pair.now, Input::Return(Return { payload, time }));
        pair.ours.handle(pair.now, Input::Timeout);
        pair.tick();
        pair.tick();
    }
    let numbers: Vec<u8> = pair.heard.iter().map(|(_, payload)| payload[1]).collect();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    assert!(pair.heard.windows(2).all(|two| two[1].0 == two[0].0 + 1));
}

#[test]
fn nobody_connects_after_fifteen_seconds() {
    let config = Config {
        certificate: Certificate::generate().unwrap(),
        candidates: vec![OUR_ADDRESS.parse().unwrap()],
        tcp: Vec::new(),
    };
    let mut now = Instant::now();
    let begun = now;
    let offer = include_str!("../../tests/fixtures/ffmpeg.sdp");
    let (mut session, _) = offer::accept(now, offer, &config).unwrap();
    let reason = loop {
        match session.poll() {
            Some(Output::Closed(reason)) => break reason,
            Some(_) => {}
            None => {
                now = session.deadline().unwrap().max(now);
                session.handle(now, Input::Timeout);
            }
        }
    };
    assert_eq!((reason, now - begun), (Reason::NeverConnected, CONNECT_WAIT));
    assert_eq!(session.deadline(), None);
}

#[test]
fn a_client_that_falls_silent_is_gone_after_ten_seconds() {
    let mut pair = Pair::new(LibraryDirection::SendOnly);
    for _ in 0..3_000 {
        pair.tick();
    }
    assert_eq!(pair.closed(), None, "checks alone keep a muted client");
    pair.cable = false;
    let cut = pair.now;
    pair.run_until(|pair| pair.closed().is_some());
    assert_eq!(pair.closed(), Some(Reason::Silent));
    let waited = pair.now - cut;
    assert!(waited <= SILENCE_WAIT + TICK && waited > SILENCE_WAIT / 4, "{waited:?}");
    assert!(pair.begun < cut);
}

#[test]
fn a_closed_session_takes_and_gives_nothing_more() {
    let mut pair = Pair::new(LibraryDirection::SendOnly);
    pair.ours.handle(pair.now, Input::Close);
    let (mut told, mut closed) = (false, None);
    while let Some(output) = pair.ours.poll() {
        assert_eq!(closed, None);
        match output {
            Output::Transmit { .. } => told = true,
            Output::Closed(reason) => closed = Some(reason),
            Output::Packet(_) | Output::Connected => {}
        }
    }
    assert!(told, "the client is told");
    assert_eq!(closed, Some(Reason::Asked));
    pair.ours.handle(pair.now, Input::Timeout);
    pair.ours.handle(pair.now, Input::Close);
    assert!(pair.ours.poll().is_none());
    assert_eq!(pair.ours.patch(pair.now, ""), Err(candidate::Refusal::Closed));
}

#[test]
fn half_a_restart_is_refused_and_changes_nothing() {
    let mut pair = Pair::new(LibraryDirection::SendOnly);
    let (etag, remote) = (pair.ours.etag(), pair.ours.remote.clone());
    let fragment = |ufrag: &str, pwd: &str| format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n");
    let other = "abcdefghijklmnopqrstuvwx";
    assert_eq!(pair.ours.patch(pair.now, &fragment(&remote.ufrag, other)), Err(candidate::Refusal::HalfRestart));
    assert_eq!(pair.ours.patch(pair.now, &fragment("abcd", &remote.pwd)), Err(candidate::Refusal::HalfRestart));
    assert_eq!(pair.ours.patch(pair.now, &fragment(&remote.ufrag, &remote.pwd)), Ok(Patched::Trickled));
    assert_eq!(pair.ours.etag(), etag);
    pair.speak(100, &sound(1));
    pair.settle();
    assert_eq!(pair.packets(), [(0, 1)]);
}

#[test]
fn returns_follow_a_client_that_changes_networks() {
    let mut pair = Pair::new(LibraryDirection::SendRecv);
    pair.speak(7, &sound(1));
    let hear = |pair: &mut Pair, time: u64| {
        let payload = sound(9);
        let frame = Return { payload: Opus::new(&payload).unwrap(), time: hiwar_media::Time(time) };
        pair.ours.handle(pair.now, Input::Return(frame));
        pair.sent_to = None;
        pair.ours.handle(pair.now, Input::Timeout);
        pair.exchange();
        pair.sent_to
    };
    assert_eq!(hear(&mut pair, 960), Some(pair.client_address));
    // Its checks tell nothing that would make the library prefer the new pair; its sound does.
    pair.seen_at = "203.0.113.77:50123".parse().unwrap();
    pair.settle();
    pair.speak(7, &sound(2));
    pair.settle();
    assert_eq!(pair.packets().len(), 2);
    assert_eq!(hear(&mut pair, 1920), Some(pair.seen_at));
    // Nobody turns the returns away without the key: not by rubbish.
    let home = std::mem::replace(&mut pair.seen_at, "192.0.2.66:6666".parse().unwrap());
    let mut forged = vec![0x80, 111, 0, 9, 0, 0, 0, 9, 0, 0, 0, 7];
    forged.extend([5; 40]);
    pair.give(&forged);
    pair.seen_at = home;
    assert_eq!(hear(&mut pair, 2880), Some(home));
}
