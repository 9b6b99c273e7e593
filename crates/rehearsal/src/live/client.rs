//! One speaker: the `rtc` crate's WebRTC, which shares no code with the server's, on one UDP socket.

use std::collections::VecDeque;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MediaEngine};
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::event::RTCPeerConnectionEvent;
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCIceCandidate};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::RTCRtpSenderId;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};

use super::Error;
use super::heard::{self, Notes};
use crate::red;

/// Payload type of Opus in the offer.
const OPUS: u8 = 111;
/// Payload type of RED (RFC 2198), as Chromium has it.
const RED: u8 = 63;
/// Time between two checks of ICE while a connection is made: RFC 8445's Ta (§14.2: 50 ms), which is a browser's pace, too (libwebrtc: 48 ms,
/// `WEAK_PING_INTERVAL` in `p2p/base/p2p_constants.cc`). The library's own 200 ms would be in every connection that is measured, and be nobody's but its own.
const CHECK_EVERY: Duration = Duration::from_millis(50);
/// And how many of them: the 1.4 s that the library has for its seven.
const CHECKS_MAX: u16 = 28;
/// Datagrams read in one go.
const READS_MAX: usize = 64;

/// What a speaker sent and got.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) heard: u64,
    pub(super) heard_bytes: u64,
    /// Returns missing between two that came.
    pub(super) lost: u64,
}

/// Whether a client offers RED, and what it then sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copies {
    /// No RED.
    None,
    /// Each packet carries so many of the packets before it.
    Of(usize),
}

/// A client and its socket.
pub(super) struct Client {
    peer: RTCPeerConnection,
    sender: RTCRtpSenderId,
    socket: UdpSocket,
    local: SocketAddr,
    copies: Copies,
    /// What was said before, newest last, each with its timestamp.
    said: VecDeque<(u32, Vec<u8>)>,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    heard_sequence: Option<u16>,
    pub(super) connected: bool,
    pub(super) gone: bool,
    pub(super) tally: Tally,
    /// What it hears, if somebody wants to know.
    notes: Option<Notes>,
    /// When the datagram came that is being taken, in seconds of CLOCK_MONOTONIC.
    came_s: f64,
}

fn failed<E: Display>(doing: &'static str) -> impl Fn(E) -> Error {
    move |why| Error::Client(doing, why.to_string())
}

impl Client {
    /// A client that sends and hears (sendrecv), on a socket of its own at `address`.
    pub(super) fn new(address: IpAddr, ssrc: u32, copies: Copies) -> Result<Self, Error> {
        let world = |why| Error::World("opening a speaker's socket", why);
        let socket = UdpSocket::bind((address, 0)).map_err(world)?;
        socket.set_nonblocking(true).map_err(world)?;
        let local = socket.local_addr().map_err(world)?;
        let codec = RTCRtpCodec {
            mime_type: MIME_TYPE_OPUS.to_owned(),
            clock_rate: hiwar_media::SAMPLE_RATE,
            channels: 2,
            sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
            rtcp_feedback: Vec::new(),
        };
        let mut engine = MediaEngine::default();
        if copies != Copies::None {
            let red = RTCRtpCodec {
                mime_type: "audio/red".to_owned(),
                sdp_fmtp_line: format!("{OPUS}/{OPUS}"),
                ..codec.clone()
            };
            // First, as whoever lists it later does not mean to use it.
            let parameters = RTCRtpCodecParameters { rtp_codec: red, payload_type: RED };
            engine.register_codec(parameters, RtpCodecKind::Audio).map_err(failed("codecs"))?;
        }
        let parameters = RTCRtpCodecParameters { rtp_codec: codec.clone(), payload_type: OPUS };
        engine.register_codec(parameters, RtpCodecKind::Audio).map_err(failed("codecs"))?;
        let settings = SettingEngineBuilder::new()
            .with_include_loopback_candidate(true)
            .with_ice_connection_attempts(Some(CHECK_EVERY), Some(CHECKS_MAX));
        let mut peer = RTCPeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().build())
            .with_setting_engine(settings.build())
            .with_media_engine(engine)
            .build(Instant::now())
            .map_err(failed("building"))?;
        let encoding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
            codec,
            ..Default::default()
        };
        let track =
            MediaStreamTrack::new("stream".into(), "track".into(), "mic".into(), RtpCodecKind::Audio, vec![encoding]);
        let sender = peer.add_track(track).map_err(failed("a track"))?;
        let base_config = CandidateConfig {
            network: "udp".to_owned(),
            address: local.ip().to_string(),
            port: local.port(),
            component: 1,
            ..Default::default()
        };
        let candidate = CandidateHostConfig { base_config, tcp_type: Default::default() }
            .new_candidate_host()
            .map_err(failed("a candidate"))?;
        let candidate = RTCIceCandidate::from(&candidate).to_json().map_err(failed("a candidate"))?;
        peer.add_local_candidate(candidate).map_err(failed("a candidate"))?;
        Ok(Self {
            peer,
            sender,
            socket,
            local,
            copies,
            said: VecDeque::new(),
            ssrc,
            sequence: 1,
            timestamp: 0,
            heard_sequence: None,
            connected: false,
            gone: false,
            tally: Tally::default(),
            notes: None,
            came_s: 0.0,
        })
    }

    /// The offer.
    pub(super) fn offer(&mut self) -> Result<String, Error> {
        let offer = self.peer.create_offer(None).map_err(failed("an offer"))?;
        self.peer.set_local_description(Instant::now(), offer.clone()).map_err(failed("an offer"))?;
        Ok(offer.sdp)
    }

    /// Takes the answer.
    pub(super) fn answer(&mut self, sdp: String) -> Result<(), Error> {
        let answer = RTCSessionDescription::answer(sdp).map_err(failed("an answer"))?;
        self.peer.set_remote_description(Instant::now(), answer).map_err(failed("an answer"))
    }

    /// From here on, writes down what it hears: `folder`/`name`.s16 and .points.
    pub(super) fn note(&mut self, folder: &Path, name: &str) -> Result<(), Error> {
        let notes = Notes::new(folder, name, &self.socket);
        self.notes = Some(notes.map_err(|why| Error::World("writing what is heard", why))?);
        Ok(())
    }

    /// Nothing more is heard.
    pub(super) fn close(&mut self) -> Result<(), Error> {
        let closed = self.notes.as_mut().map_or(Ok(()), Notes::close);
        closed.map_err(|why| Error::World("writing what is heard", why))
    }

    /// What `poll` can wait for.
    pub(super) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Says 20 ms, or lets them pass.
    pub(super) fn speak(&mut self, now: Instant, payload: Option<&[u8]>) {
        if let (Some(payload), Some(mut sender)) = (payload, self.peer.rtp_sender(self.sender)) {
            let (payload_type, bytes) = match self.copies {
                Copies::None => (OPUS, payload.to_vec()),
                Copies::Of(count) => {
                    let copies: Vec<(u32, &[u8])> = self
                        .said
                        .iter()
                        .map(|(timestamp, bytes)| (self.timestamp.wrapping_sub(*timestamp), bytes.as_slice()))
                        .collect();
                    let packed = red::pack(OPUS, &copies, payload);
                    self.said.push_back((self.timestamp, payload.to_vec()));
                    while self.said.len() > count {
                        self.said.pop_front();
                    }
                    (RED, packed)
                }
            };
            let header = rtc::rtp::Header {
                version: 2,
                payload_type,
                sequence_number: self.sequence,
                timestamp: self.timestamp,
                ssrc: self.ssrc,
                ..Default::default()
            };
            let packet = rtc::rtp::Packet { header, payload: bytes.into() };
            if sender.write_rtp(now, packet).is_ok() {
                self.tally.sent += 1;
            }
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.timestamp = self.timestamp.wrapping_add(hiwar_media::FRAME_SAMPLES as u32);
        self.flush();
    }

    /// Lets time pass: retransmissions, checks, reports.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.peer.handle_timeout(now).is_err() {
            self.gone = true;
        }
        self.flush();
        self.events();
    }

    /// Takes what came in.
    pub(super) fn receive(&mut self, now: Instant) {
        let mut buffer = [0; 2048];
        for _ in 0..READS_MAX {
            let came = match self.notes {
                None => self.socket.recv_from(&mut buffer).ok().map(|(length, from)| (length, from, 0.0)),
                Some(_) => heard::receive(&self.socket, &mut buffer),
            };
            let Some((length, from, came_s)) = came else { break };
            self.came_s = came_s;
            let transport = TransportContext {
                local_addr: self.local,
                peer_addr: from,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            };
            let message = BytesMut::from(buffer.get(..length).unwrap_or_default());
            // What it cannot use is somebody else's mistake; what is missing shows in the tally.
            let _ = self.peer.handle_read(TaggedBytesMut { now, transport, message });
            if self.notes.is_some() {
                // One by one: each has its own time.
                self.events();
            }
        }
        self.events();
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(message) = self.peer.poll_write() {
            // A full socket loses a datagram, as a network would.
            let _ = self.socket.send_to(&message.message, message.transport.peer_addr);
        }
    }

    fn events(&mut self) {
        while let Some(event) = self.peer.poll_event() {
            if let RTCPeerConnectionEvent::OnConnectionStateChangeEvent(state) = event {
                match state {
                    RTCPeerConnectionState::Connected => self.connected = true,
                    RTCPeerConnectionState::Closed | RTCPeerConnectionState::Failed => self.gone = true,
                    _ => {}
                }
            }
        }
        while let Some(TaggedRTCMessage { message, .. }) = self.peer.poll_read() {
            if let RTCMessage::RtpPacket(_, packet) = message {
                let sequence = packet.header.sequence_number;
                if let Some(last) = self.heard_sequence {
                    let step = sequence.wrapping_sub(last);
                    self.tally.lost += if step < 1000 { u64::from(step.saturating_sub(1)) } else { 0 };
                }
                self.heard_sequence = Some(sequence);
                self.tally.heard += 1;
                self.tally.heard_bytes += packet.payload.len() as u64;
                if let Some(notes) = &mut self.notes
                    && notes.heard(packet.header.timestamp, &packet.payload, self.came_s).is_err()
                {
                    // A full disk: what was heard so far is there, and who reads it sees that it ends.
                    self.notes = None;
                }
            }
        }
    }
}
