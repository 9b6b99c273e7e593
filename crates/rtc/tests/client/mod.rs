//! A speaker made of the `rtc` crate: other code than the library under test, over real loopback sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MediaEngine};
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::configuration::{RTCConfigurationBuilder, RTCOfferOptions};
use rtc::peer_connection::event::RTCPeerConnectionEvent;
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCIceCandidate};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpSenderId, RTCRtpTransceiverDirection};
use rtc::sansio::Protocol;
use rtc::shared::tcp_framing::{TcpFrameDecoder, frame_packet};
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};

/// A hang is a failure: nothing in these tests takes a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Payload type of Opus in the client's offer.
const OPUS: u8 = 111;
/// The client's SSRC.
pub(crate) const SSRC: u32 = 0x1122_3344;

enum Wire {
    Udp(UdpSocket),
    Tcp(TcpStream, TcpFrameDecoder),
}

/// One client and its one socket.
pub(crate) struct Client {
    peer: RTCPeerConnection,
    sender: RTCRtpSenderId,
    wire: Wire,
    local: SocketAddr,
    sequence: u16,
    timestamp: u32,
    answer: String,
    /// The connection is up.
    pub(crate) connected: bool,
    /// Sound that came back: RTP timestamp and payload.
    pub(crate) heard: Vec<(u32, Vec<u8>)>,
    /// The server said goodbye, or the connection is otherwise over.
    pub(crate) gone: bool,
}

impl Client {
    /// A client that will reach its server over UDP.
    pub(crate) fn udp(direction: RTCRtpTransceiverDirection) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = socket.local_addr().unwrap();
        Self::new(direction, Wire::Udp(socket), local)
    }

    /// A client whose network lets only TCP through.
    pub(crate) fn tcp(direction: RTCRtpTransceiverDirection, server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        let local = stream.local_addr().unwrap();
        Self::new(direction, Wire::Tcp(stream, TcpFrameDecoder::new()), local)
    }

    fn new(direction: RTCRtpTransceiverDirection, wire: Wire, local: SocketAddr) -> Self {
        let codec = RTCRtpCodec {
            mime_type: MIME_TYPE_OPUS.to_owned(),
            clock_rate: 48_000,
            channels: 2,
            sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
            rtcp_feedback: Vec::new(),
        };
        let mut engine = MediaEngine::default();
        let parameters = RTCRtpCodecParameters { rtp_codec: codec.clone(), payload_type: OPUS };
        engine.register_codec(parameters, RtpCodecKind::Audio).unwrap();
        let mut settings = SettingEngineBuilder::new().with_include_loopback_candidate(true);
        if matches!(wire, Wire::Tcp(..)) {
            settings = settings.with_network_types(vec![rtc::ice::network_type::NetworkType::Tcp4]);
        }
        let mut peer = RTCPeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().build())
            .with_setting_engine(settings.build())
            .with_media_engine(engine)
            .build(Instant::now())
            .unwrap();
        let encoding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(SSRC), ..Default::default() },
            codec,
            ..Default::default()
        };
        let track = MediaStreamTrack::new(
            "stream".into(),
            "track".into(),
            "mic".into(),
            RtpCodecKind::Audio,
            vec![encoding.clone()],
        );
        let sender = peer.add_track(track).unwrap();
        if direction == RTCRtpTransceiverDirection::Sendonly {
            let ids: Vec<_> = peer.get_transceivers().collect();
            for id in ids {
                peer.rtp_transceiver(id).unwrap().set_direction(direction);
            }
        }
        let tcp = matches!(wire, Wire::Tcp(..));
        let mut client = Self {
            peer,
            sender,
            wire,
            local,
            sequence: 65_500,
            timestamp: u32::MAX - 20 * 960,
            answer: String::new(),
            connected: false,
            heard: Vec::new(),
            gone: false,
        };
        client.add_candidate(tcp);
        client
    }

    fn add_candidate(&mut self, tcp: bool) {
        let base_config = CandidateConfig {
            network: if tcp { "tcp" } else { "udp" }.to_owned(),
            address: self.local.ip().to_string(),
            // An active TCP candidate has no port of its own (RFC 6544 §4.5).
            port: if tcp { 9 } else { self.local.port() },
            component: 1,
            ..Default::default()
        };
        let tcp_type = if tcp { rtc::ice::tcp_type::TcpType::Active } else { Default::default() };
        let candidate = CandidateHostConfig { base_config, tcp_type }.new_candidate_host().unwrap();
        self.peer.add_local_candidate(RTCIceCandidate::from(&candidate).to_json().unwrap()).unwrap();
    }

    /// The client's offer.
    pub(crate) fn offer(&mut self) -> String {
        let offer = self.peer.create_offer(None).unwrap();
        self.peer.set_local_description(Instant::now(), offer.clone()).unwrap();
        offer.sdp
    }

    /// An offer with new ICE credentials, as the fragment that a WHIP client sends (RFC 9725 §4.3.3).
    pub(crate) fn restart(&mut self) -> String {
        let offer = self.peer.create_offer(Some(RTCOfferOptions { ice_restart: true })).unwrap();
        self.peer.set_local_description(Instant::now(), offer.clone()).unwrap();
        let kept = ["a=group:", "m=", "a=mid:", "a=ice-ufrag:", "a=ice-pwd:"];
        offer
            .sdp
            .lines()
            .filter(|line| kept.iter().any(|start| line.starts_with(start)))
            .map(|line| format!("{line}\r\n"))
            .collect()
    }

    /// Takes the answer.
    pub(crate) fn answer(&mut self, sdp: &str) {
        self.answer = sdp.to_owned();
        self.peer
            .set_remote_description(Instant::now(), RTCSessionDescription::answer(sdp.to_owned()).unwrap())
            .unwrap();
    }

    /// Takes the fragment that answers a restart: the first answer with what is new in it.
    pub(crate) fn restarted(&mut self, sdpfrag: &str) {
        let value = |name: &str| sdpfrag.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let (ufrag, pwd) = (value("a=ice-ufrag:"), value("a=ice-pwd:"));
        let old = self.answer.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).unwrap().to_owned();
        let lines = self.answer.lines().map(|line| match line {
            _ if line.starts_with("a=ice-pwd:") => format!("a=ice-pwd:{pwd}\r\n"),
            _ => format!("{}\r\n", line.replace(&old, &ufrag)),
        });
        let answer: String = lines.collect();
        self.answer(&answer);
    }

    /// Sends one Opus packet; the first ones straddle the wraps of sequence number and timestamp.
    pub(crate) fn speak(&mut self, payload: &[u8]) {
        let packet = rtc::rtp::Packet {
            header: rtc::rtp::Header {
                version: 2,
                payload_type: OPUS,
                sequence_number: self.sequence,
                timestamp: self.timestamp,
                ssrc: SSRC,
                ..Default::default()
            },
            payload: payload.to_vec().into(),
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(960);
        self.peer.rtp_sender(self.sender).unwrap().write_rtp(Instant::now(), packet).unwrap();
    }

    /// Sends raw bytes past the client's protocol stack.
    pub(crate) fn send_raw(&mut self, to: SocketAddr, bytes: &[u8]) {
        match &mut self.wire {
            Wire::Udp(socket) => drop(socket.send_to(bytes, to).unwrap()),
            Wire::Tcp(stream, _) => stream.write_all(&frame_packet(bytes)).unwrap(),
        }
    }

    /// Says goodbye.
    pub(crate) fn leave(&mut self) {
        self.peer.close().unwrap();
        self.send();
    }

    /// Runs the client until `done` says so. Each turn waits for the network, 5 ms at most.
    pub(crate) fn run_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            self.send();
            self.events();
            if done(self) {
                self.send();
                return;
            }
            assert!(Instant::now() < end, "the client waited too long");
            self.receive();
            self.peer.handle_timeout(Instant::now()).ok();
        }
    }

    fn send(&mut self) {
        while let Some(message) = self.peer.poll_write() {
            match &mut self.wire {
                Wire::Udp(socket) => drop(socket.send_to(&message.message, message.transport.peer_addr)),
                Wire::Tcp(stream, _) => drop(stream.write_all(&frame_packet(&message.message))),
            }
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
                self.heard.push((packet.header.timestamp, packet.payload.to_vec()));
            }
        }
    }

    fn receive(&mut self) {
        let mut buffer = [0; 4096];
        let wait = Some(Duration::from_millis(5));
        match &mut self.wire {
            Wire::Udp(socket) => {
                socket.set_read_timeout(wait).unwrap();
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    self.read(from, TransportProtocol::UDP, &buffer[..length]);
                }
            }
            Wire::Tcp(stream, decoder) => {
                stream.set_read_timeout(wait).unwrap();
                let from = stream.peer_addr();
                match stream.read(&mut buffer) {
                    Ok(0) => self.gone = true,
                    Ok(length) => {
                        decoder.extend_from_slice(&buffer[..length]);
                        let frames: Vec<_> = std::iter::from_fn(|| decoder.next_packet()).collect();
                        for frame in frames {
                            self.read(from.as_ref().copied().unwrap(), TransportProtocol::TCP, &frame);
                        }
                    }
                    Err(_) => {}
                }
            }
        }
    }

    fn read(&mut self, peer_addr: SocketAddr, transport_protocol: TransportProtocol, bytes: &[u8]) {
        let transport = TransportContext { local_addr: self.local, peer_addr, transport_protocol, ecn: None };
        let message = TaggedBytesMut { now: Instant::now(), transport, message: BytesMut::from(bytes) };
        self.peer.handle_read(message).ok();
    }
}
