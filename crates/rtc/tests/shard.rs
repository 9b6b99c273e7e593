//! A shard with real sockets against a client that shares no code with it.

mod client;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use client::Client;
use hiwar_media::Time;
use hiwar_media::packet::{Opus, Packet, Payload};
use hiwar_rtc::ring::{Reader, Writer, ring};
use hiwar_rtc::udp::{Event, Handle, SessionId, Shard, Sockets};
use hiwar_rtc::{Certificate, Config, Patched, Reason, offer};
use rtc::rtp_transceiver::RTCRtpTransceiverDirection::{self, Sendonly, Sendrecv};

/// A hang is a failure.
const PATIENCE: Duration = Duration::from_secs(20);

struct House {
    config: Config,
    handle: Handle,
    events: Receiver<Event>,
    thread: JoinHandle<()>,
    udp: SocketAddr,
    tcp: SocketAddr,
}

/// The studio's ends of one session's rings.
struct Seat {
    packets: Reader<Packet<()>>,
    returns: Writer<Time>,
    etag: String,
}

impl Seat {
    /// What the speaker said.
    fn take(&mut self) -> Option<Packet<Payload>> {
        let mut room = Payload::default();
        let (head, _) = self.packets.read(&mut room)?;
        Some(head.with(room))
    }

    /// Lets the speaker hear a sound.
    fn give_back(&mut self, number: u8, time: u64) {
        self.returns.write(Time(time), Opus::new(&sound(number)).unwrap()).unwrap();
    }
}

impl House {
    fn new() -> Self {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let (udp_address, tcp_address) = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
        let config = Config {
            certificate: Certificate::generate().unwrap(),
            candidates: vec![udp_address],
            tcp: vec![tcp_address],
        };
        let (handle, events, thread) = Shard::spawn(Sockets { udp, tcp: Some(tcp) }).unwrap();
        Self { config, handle, events, thread, udp: udp_address, tcp: tcp_address }
    }

    fn take(&self, id: u64, client: &mut Client) -> Seat {
        let offer = client.offer();
        let (session, answer) = offer::accept(Instant::now(), &offer, &self.config).unwrap();
        let (packet_in, packets) = ring(64);
        let (returns, return_out) = ring(64);
        self.handle.add(SessionId(id), session, packet_in, return_out).unwrap();
        client.answer(&answer.sdp);
        Seat { packets, returns, etag: answer.etag }
    }

    fn event(&self) -> Event {
        self.events.recv_timeout(PATIENCE).unwrap()
    }

    fn connect(&self, id: u64, direction: RTCRtpTransceiverDirection) -> (Client, Seat) {
        let mut client = Client::udp(direction);
        let seat = self.take(id, &mut client);
        client.run_until(|client| client.connected);
        assert_eq!(self.event(), Event::Connected(SessionId(id)));
        (client, seat)
    }

    fn patch(&self, id: u64, sdpfrag: &str) -> Result<Patched, hiwar_rtc::candidate::Refusal> {
        let (reply, result) = mpsc::channel();
        self.handle.patch(SessionId(id), sdpfrag.to_owned(), move |answer| reply.send(answer).unwrap()).unwrap();
        result.recv_timeout(PATIENCE).unwrap()
    }

    fn close(self) {
        self.handle.stop();
        self.thread.join().unwrap();
    }
}

/// A well-formed Opus packet (CELT, 20 ms, one frame) that can be told from others.
fn sound(number: u8) -> [u8; 4] {
    [0xf8, number, 1, 2]
}

/// Speaks the numbers in `numbers`, and checks that they arrive: all of them, in order, unchanged.
fn speak_and_check(client: &mut Client, seat: &mut Seat, numbers: std::ops::Range<u8>) {
    let mut came = Vec::new();
    for number in numbers.clone() {
        client.speak(&sound(number));
        client.run_until(|_| {
            came.extend(std::iter::from_fn(|| seat.take()));
            came.len() > usize::from(number - numbers.start)
        });
    }
    let heard: Vec<Vec<u8>> = came.iter().map(|packet| packet.payload.as_slice().to_vec()).collect();
    let said: Vec<Vec<u8>> = numbers.map(|number| sound(number).to_vec()).collect();
    assert_eq!(heard, said);
    for pair in came.windows(2) {
        assert_eq!((pair[1].sequence - pair[0].sequence, pair[1].timestamp - pair[0].timestamp), (1, 960));
    }
}

#[test]
fn sound_arrives_in_order_and_returns_are_heard() {
    let house = House::new();
    let (mut client, mut seat) = house.connect(1, Sendrecv);
    speak_and_check(&mut client, &mut seat, 0..100);

    for number in 0..50_u8 {
        seat.give_back(number, u64::from(number) * 960);
        house.handle.wake();
    }
    client.run_until(|client| client.heard.len() >= 50);
    let expected: Vec<(u32, Vec<u8>)> =
        (0..50_u8).map(|number| (u32::from(number) * 960, sound(number).to_vec())).collect();
    assert_eq!(client.heard, expected);
    house.close();
}

#[test]
fn returns_are_fetched_even_if_nobody_wakes_the_thread() {
    let house = House::new();
    let (mut client, mut seat) = house.connect(1, Sendrecv);
    seat.give_back(7, 0);
    client.run_until(|client| !client.heard.is_empty());
    house.close();
}

#[test]
fn a_removed_session_says_goodbye_and_its_ring_is_abandoned() {
    let house = House::new();
    let (_client, seat) = house.connect(1, Sendonly);
    house.handle.remove(SessionId(1)).unwrap();
    assert_eq!(house.event(), Event::Closed(SessionId(1), Reason::Asked));
    assert!(seat.packets.is_abandoned());
    assert_eq!(house.handle.counters().sessions.load(Relaxed), 0);
    house.close();
}

#[test]
fn a_client_that_leaves_is_noticed_at_once() {
    let house = House::new();
    let (mut client, _seat) = house.connect(1, Sendonly);
    client.leave();
    assert_eq!(house.event(), Event::Closed(SessionId(1), Reason::Left));
    house.close();
}

#[test]
fn sound_goes_on_through_an_ice_restart() {
    let house = House::new();
    let (mut client, mut seat) = house.connect(1, Sendrecv);
    speak_and_check(&mut client, &mut seat, 0..10);

    let Ok(Patched::Restarted { sdpfrag, etag }) = house.patch(1, &client.restart()) else { panic!("no restart") };
    assert_ne!(etag, seat.etag);
    assert!(sdpfrag.contains("a=ice-lite\r\n") && sdpfrag.contains("tcptype passive"));
    client.restarted(&sdpfrag);
    client.connected = false;
    client.run_until(|client| client.connected);
    speak_and_check(&mut client, &mut seat, 10..60);
    house.close();
}

#[test]
fn trickled_candidates_change_nothing() {
    let house = House::new();
    let mut client = Client::udp(Sendonly);
    let offer = client.offer();
    let value = |name: &str| offer.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    let (ufrag, pwd) = (value("a=ice-ufrag:"), value("a=ice-pwd:"));
    let (session, answer) = offer::accept(Instant::now(), &offer, &house.config).unwrap();
    let (packets, _hold) = ring(4);
    let (_keep, returns) = ring(4);
    house.handle.add(SessionId(1), session, packets, returns).unwrap();
    let fragment = format!(
        "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
         a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n"
    );
    assert_eq!(house.patch(1, &fragment), Ok(Patched::Trickled));
    assert_eq!(house.patch(2, &fragment), Err(hiwar_rtc::candidate::Refusal::Closed));
    client.answer(&answer.sdp);
    client.run_until(|client| client.connected);
    house.close();
}

#[test]
fn garbage_from_strangers_and_from_the_speaker_stops_nothing() {
    let house = House::new();
    let (mut client, mut seat) = house.connect(1, Sendonly);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    for round in 0..40_u8 {
        for first in [0_u8, 1, 3, 20, 22, 23, 63, 64, 128, 144, 191, 255] {
            let mut bytes: Vec<u8> = (0..round * 3).map(|n| n.wrapping_mul(151).wrapping_add(round)).collect();
            bytes.insert(0, first);
            bytes.insert(1, 0x80 | 111);
            stranger.send_to(&bytes, house.udp).unwrap();
            client.send_raw(house.udp, &bytes);
        }
        client.send_raw(house.udp, &[]);
        client.send_raw(house.udp, &[0x80; 9_000]);
        speak_and_check(&mut client, &mut seat, round..round + 1);
    }
    let counters = house.handle.counters();
    assert!(counters.unknown_ufrag.load(Relaxed) > 0 && counters.unknown_source.load(Relaxed) > 0);
    assert_eq!(counters.panics.load(Relaxed), 0);
    house.close();
}

/// Some clients send one check and no other (FFmpeg): lost because the thread had not yet looked at its commands, it is lost for good.
#[test]
fn a_check_that_comes_right_after_its_session_finds_it() {
    let house = House::new();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for id in 0..40 {
        let (session, answer) = offer::accept(Instant::now(), &Client::udp(Sendonly).offer(), &house.config).unwrap();
        let ufrag = answer.sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).unwrap();
        let name = format!("{ufrag}:them");
        // RFC 8489 §5, §14.3: a binding request with a user name and nothing else.
        let mut check = vec![0, 1, 0, 4 + name.len().next_multiple_of(4) as u8, 0x21, 0x12, 0xa4, 0x42];
        check.extend([7; 12]);
        check.extend([0, 6, 0, name.len() as u8]);
        check.extend(name.bytes());
        check.resize(check.len().next_multiple_of(4), 0);
        let ((packets, _hold), (_keep, returns)) = (ring(4), ring(4));
        house.handle.add(SessionId(id), session, packets, returns).unwrap();
        sender.send_to(&check, house.udp).unwrap();
        let counters = house.handle.counters();
        let begun = Instant::now();
        while counters.received.load(Relaxed) <= id {
            assert!(begun.elapsed() < PATIENCE);
            std::thread::yield_now();
        }
        assert_eq!(counters.unknown_ufrag.load(Relaxed), 0, "check {id}");
    }
    house.close();
}

#[test]
fn a_client_without_udp_comes_by_tcp() {
    let house = House::new();
    let mut client = Client::tcp(Sendrecv, house.tcp);
    let mut seat = house.take(1, &mut client);
    client.run_until(|client| client.connected);
    assert_eq!(house.event(), Event::Connected(SessionId(1)));
    speak_and_check(&mut client, &mut seat, 0..50);
    seat.give_back(7, 0);
    house.handle.wake();
    client.run_until(|client| !client.heard.is_empty());
    house.handle.remove(SessionId(1)).unwrap();
    client.run_until(|client| client.gone);
    house.close();
}

#[test]
fn strangers_who_say_nothing_keep_no_client_out() {
    let house = House::new();
    let _idle: Vec<_> = (0..200).map(|_| std::net::TcpStream::connect(house.tcp).unwrap()).collect();
    let mut client = Client::tcp(Sendrecv, house.tcp);
    let _seat = house.take(1, &mut client);
    client.run_until(|client| client.connected);
    assert_eq!(house.event(), Event::Connected(SessionId(1)));
    assert!(house.handle.counters().tcp_cut.load(Relaxed) >= 72, "128 stay, with the client");
    house.close();
}

#[test]
fn a_full_ring_loses_packets_and_counts_them() {
    let house = House::new();
    let (mut client, mut seat) = house.connect(1, Sendonly);
    for number in 0..100 {
        client.speak(&sound(number));
    }
    client.run_until(|_| house.handle.counters().packets_dropped.load(Relaxed) > 0);
    // Nobody puts in what would find room while we take out.
    house.close();
    assert_eq!(std::iter::from_fn(|| seat.take()).count(), 64);
}

#[test]
fn sessions_share_the_sockets_and_do_not_hear_each_other() {
    let house = House::new();
    let mut pairs: Vec<(Client, Seat)> = (0..5).map(|id| house.connect(id, Sendonly)).collect();
    for (number, (client, seat)) in pairs.iter_mut().enumerate() {
        let number = number as u8 * 20;
        speak_and_check(client, seat, number..number + 20);
    }
    assert!(pairs.iter_mut().all(|(_, seat)| seat.take().is_none()));
    house.close();
}

#[test]
fn on_a_full_stage_returns_leave_with_and_without_packets_that_came() {
    let house = House::new();
    let mut pairs: Vec<(Client, Seat)> = (0..5).map(|id| house.connect(id, Sendrecv)).collect();
    let taken = || house.handle.taken(Instant::now() + Duration::from_millis(20), true);
    for number in 0..50_u8 {
        for (client, seat) in &mut pairs {
            seat.give_back(number, u64::from(number) * 960);
            // Half of them say nothing, so that their returns have nothing to leave with.
            if number % 2 == 0 {
                client.speak(&sound(number));
            }
        }
        taken();
        for (client, _) in &mut pairs {
            client.run_until(|client| client.heard.len() > usize::from(number));
        }
    }
    taken();
    for (client, seat) in &mut pairs {
        let said: Vec<Vec<u8>> = (0..50_u8).step_by(2).map(|number| sound(number).to_vec()).collect();
        let mut came = Vec::new();
        client.run_until(|_| {
            came.extend(std::iter::from_fn(|| seat.take().map(|packet| packet.payload.as_slice().to_vec())));
            came.len() >= said.len()
        });
        assert_eq!(came, said);
        let expected: Vec<_> = (0..50_u8).map(|number| (u32::from(number) * 960, sound(number).to_vec())).collect();
        assert_eq!(client.heard, expected);
    }
    house.close();
}

#[test]
fn an_empty_shard_sleeps() {
    let house = House::new();
    let (_client, _seat) = house.connect(1, Sendonly);
    house.handle.remove(SessionId(1)).unwrap();
    house.event();
    // The wake that took the command is the last; only a datagram or a command could cause another.
    let before = house.handle.counters().wakes.load(Relaxed);
    assert!(house.events.recv_timeout(Duration::from_millis(300)).is_err());
    assert!(house.handle.counters().wakes.load(Relaxed) - before <= 1);
    house.close();
}

#[test]
fn the_thread_ends_when_the_last_handle_is_gone() {
    let House { handle, thread, .. } = House::new();
    let other = handle.clone();
    drop(handle);
    drop(other);
    thread.join().unwrap();
}
