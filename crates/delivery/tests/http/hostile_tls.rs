//! What strangers do with TLS on purpose, and with HTTP/2 at the name of HLS.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hiwar_delivery::http::{Access, Limits};
use rustix::net::sockopt;
use rustls::{ClientConfig, HandshakeKind};

use crate::http2::{self, Peer, Two};
use crate::rig::{Client, HLS_NAME, Rig, WAIT};
use crate::secure::{Ear, HEALTH, Identity, LISTEN, limited};

fn rig(identity: &Identity) -> Rig {
    let rig = limited(identity, Limits::for_files(20_000));
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..5);
    rig
}

/// Shakes hands, and nothing more.
fn shake(ear: &mut Ear) {
    while ear.0.conn.is_handshaking() {
        ear.0.conn.complete_io(&mut ear.0.sock).unwrap();
    }
}

/// What the client says next, encrypted and not sent.
fn sealed(ear: &mut Ear, text: &str) -> Vec<u8> {
    ear.0.conn.writer().write_all(text.as_bytes()).unwrap();
    let mut sealed = Vec::new();
    while ear.0.conn.wants_write() {
        ear.0.conn.write_tls(&mut sealed).unwrap();
    }
    sealed
}

#[test]
fn whoever_changes_keys_again_and_again_is_let_go() {
    let identity = Identity::new();
    let rig = rig(&identity);
    let mut listens = identity.connect(&rig);
    listens.say(LISTEN);
    listens.hear_until("m4;");
    let mut flood = identity.connect(&rig);
    flood.say("GET / HTTP/1.1\r\nX: ");
    let mut keys = 0;
    // The library bounds them between two bytes of content, so there is one now and then.
    while keys < 30_000 {
        (0..30).for_each(|_| flood.0.conn.refresh_traffic_keys().unwrap());
        keys += 30;
        let bytes = sealed(&mut flood, "y");
        if flood.0.sock.write_all(&bytes).is_err() {
            break;
        }
    }
    assert!(keys < 30_000, "{keys} keys and no end");
    rig.until("it is gone", |rig| rig.handle.stats().connections == 1);
    // Now and then is anyone's right.
    let mut seldom = identity.connect(&rig);
    shake(&mut seldom);
    for _ in 0..100 {
        seldom.0.conn.refresh_traffic_keys().unwrap();
        let request = sealed(&mut seldom, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        seldom.0.sock.write_all(&request).unwrap();
        seldom.hear_until("ok\n");
    }
    rig.chunks("demo", 5..6);
    listens.hear_until("m5;");
}

#[test]
fn what_a_listener_sends_is_not_read_and_it_hears_on() {
    let identity = Identity::new();
    let rig = rig(&identity);
    let mut ear = identity.connect(&rig);
    sockopt::set_socket_send_buffer_size(&ear.0.sock, 4_096).unwrap();
    ear.say(LISTEN);
    ear.hear_until("m4;");
    ear.0.sock.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut sent = 0;
    // New keys, and among them content, until nobody takes any more.
    loop {
        (0..30).for_each(|_| ear.0.conn.refresh_traffic_keys().unwrap());
        let bytes = sealed(&mut ear, "y");
        match ear.0.sock.write(&bytes) {
            Ok(taken) if taken == bytes.len() => sent += taken,
            Ok(_) => break,
            Err(why) => {
                assert_eq!(why.kind(), ErrorKind::WouldBlock);
                break;
            }
        }
        assert!(sent < 1 << 20, "{sent} bytes for nobody");
    }
    rig.chunks("demo", 5..8);
    assert_eq!(ear.hear_until("m7;"), "m5;m6;m7;");
}

#[test]
fn records_may_be_of_one_byte_or_come_byte_by_byte() {
    let identity = Identity::new();
    let rig = rig(&identity);
    let mut ear = identity.connect(&rig);
    shake(&mut ear);
    for byte in HEALTH.chars() {
        let record = sealed(&mut ear, &byte.to_string());
        ear.0.sock.write_all(&record).unwrap();
    }
    assert_eq!(ear.answer().status, 200);
    let mut ear = identity.connect(&rig);
    shake(&mut ear);
    let long = HEALTH.replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "y".repeat(8_000)));
    for byte in sealed(&mut ear, &long) {
        ear.0.sock.write_all(&[byte]).unwrap();
    }
    assert_eq!(ear.answer().status, 200);
}

#[test]
fn a_first_message_may_be_long_and_not_endless() {
    let identity = Identity::new();
    let rig = rig(&identity);
    let check = |names: usize, expected: bool| {
        let mut long = ClientConfig::clone(&identity.trusting);
        let made = |n| vec![b'a' + (n % 26) as u8; 250];
        long.alpn_protocols = (0..names).map(made).chain([b"http/1.1".to_vec()]).collect();
        let long = Identity { certificate: identity.certificate.clone(), trusting: Arc::new(long) };
        let mut ear = long.connect(&rig);
        let asked = ear.0.write_all(HEALTH.as_bytes());
        assert_eq!(asked.is_ok() && ear.answer().status == 200, expected, "{names} names");
    };
    check(50, true);
    check(200, false);
    rig.until("nothing is left of it", |rig| rig.handle.stats().handshakes == 0);
}

#[test]
fn nobody_resumes_and_nothing_is_said_early() {
    let identity = Identity::new();
    let rig = rig(&identity);
    let mut eager = ClientConfig::clone(&identity.trusting);
    eager.enable_early_data = true;
    let eager = Identity { certificate: identity.certificate.clone(), trusting: Arc::new(eager) };
    for _ in 0..2 {
        let mut ear = eager.connect(&rig);
        assert!(ear.0.conn.early_data().is_none());
        ear.say(HEALTH);
        assert_eq!(ear.answer().status, 200);
        assert_eq!(ear.0.conn.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(ear.0.conn.tls13_tickets_received(), 0);
    }
}

#[test]
fn whoever_leaves_at_any_byte_leaves_nothing_behind() {
    let identity = Identity::new();
    let rig = rig(&identity);
    let leave = |ear: &Ear, n: usize| {
        if n.is_multiple_of(2) {
            sockopt::set_socket_linger(&ear.0.sock, Some(Duration::ZERO)).unwrap();
        }
    };
    let mut hello = Vec::new();
    identity.connect(&rig).0.conn.write_tls(&mut hello).unwrap();
    for length in (0..hello.len()).step_by(3) {
        let mut ear = identity.connect(&rig);
        ear.0.sock.write_all(&hello[..length]).unwrap();
        leave(&ear, length);
    }
    let request = {
        let mut ear = identity.connect(&rig);
        shake(&mut ear);
        sealed(&mut ear, HEALTH).len()
    };
    for length in 0..=request {
        let mut ear = identity.connect(&rig);
        shake(&mut ear);
        let bytes = sealed(&mut ear, HEALTH);
        ear.0.sock.write_all(&bytes[..length]).unwrap();
        leave(&ear, length);
    }
    rig.until("all are gone", |rig| rig.handle.stats().connections == 0 && rig.handle.stats().handshakes == 0);
    let mut ear = identity.connect(&rig);
    ear.say(HEALTH);
    assert_eq!(ear.answer().status, 200);
}

#[test]
fn every_stage_has_an_end_however_it_trickles() {
    let identity = Identity::new();
    let short = Duration::from_millis(400);
    let rig = limited(&identity, Limits { head: short, idle: short, ..Limits::for_files(20_000) });
    let trickle = |mut ear: Ear, bytes: Vec<u8>| {
        let begin = Instant::now();
        ear.0.sock.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        for byte in bytes {
            match ear.0.sock.peek(&mut [0]) {
                Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                _ => return,
            }
            assert!(begin.elapsed() < WAIT, "still taken, byte by byte");
            let _ = ear.0.sock.write_all(&[byte]);
        }
        panic!("all was taken, byte by byte");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut hello = Vec::new();
            let mut ear = identity.connect(&rig);
            ear.0.conn.write_tls(&mut hello).unwrap();
            trickle(ear, hello);
        });
        scope.spawn(|| {
            let mut ear = identity.connect(&rig);
            shake(&mut ear);
            let bytes = sealed(&mut ear, &HEALTH.repeat(9));
            trickle(ear, bytes);
        });
        scope.spawn(|| {
            let mut ear = identity.connect(&rig);
            ear.say("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
            ear.hear_until("ok\n");
            let bytes = sealed(&mut ear, &HEALTH.repeat(9));
            trickle(ear, bytes);
        });
        scope.spawn(|| {
            let mut silent = identity.connect(&rig);
            shake(&mut silent);
            let _ = silent.0.sock.read_to_end(&mut Vec::new());
        });
    });
    rig.until("all are gone", |rig| rig.handle.stats().connections == 0 && rig.handle.stats().handshakes == 0);
}

fn two() -> Two {
    http2::limited(Limits { http2_connections: 20, idle: Duration::from_millis(500), ..Limits::for_files(20_000) })
}

#[test]
fn connections_without_a_request_keep_nobody_from_http2_for_long() {
    let two = two();
    let mut crowd: Vec<Ear> = (0..60)
        .map(|_| {
            let mut ear = two.hls.connect_to(&two.rig, HLS_NAME);
            shake(&mut ear);
            ear
        })
        .collect();
    // Those who were offered HTTP/2 begin it, and say no more.
    for ear in crowd.iter_mut().filter(|ear| ear.0.conn.alpn_protocol() == Some(b"h2")) {
        let _ = ear.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    }
    let mut ear = two.hls.connect_to(&two.rig, HLS_NAME);
    shake(&mut ear);
    assert!(two.rig.handle.stats().http2_connections <= 60);
    two.rig.until("they are let go", |rig| rig.handle.stats().http2_connections == 0);
    http2::run(async {
        let client = http2::connect(&two).await;
        assert_eq!(http2::get(&client, "/hls/demo/init.mp4").await.status, 200);
    });
    drop((crowd, ear));
}

#[test]
fn floods_of_frames_end_and_others_are_served_meanwhile() {
    let two = two();
    two.rig.open("demo", Access::Open);
    let mut listens = two.own.connect(&two.rig);
    listens.say(LISTEN);
    listens.hear_until("init-mp4;");
    let (ping, settings, window, priority, data, unknown) = (6, 4, 8, 2, 0, 0x42);
    let increment = 1_u32.to_be_bytes();
    for (kind, flags, stream, payload) in [
        (ping, 0, 0, &[7; 8][..]),
        (settings, 0, 0, &[][..]),
        // HEADER_TABLE_SIZE, again and again another.
        (settings, 0, 0, &[0, 1, 0, 0, 0x10, 0, 0, 1, 0, 0, 0, 0][..]),
        (window, 0, 0, &increment[..]),
        (priority, 0, 1, &[0, 0, 0, 3, 1][..]),
        (data, 0, 1, &[][..]),
        (unknown, 0, 0, &[0; 64][..]),
    ] {
        let mut peer = Peer::new(&two);
        peer.get(1, "/hls/demo/live.m3u8?_HLS_msn=2&_HLS_part=1").unwrap();
        peer.0.0.sock.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        // Nothing of what comes back is read.
        let taken = (0..50_000).take_while(|_| peer.frame(kind, flags, stream, payload).is_ok()).count();
        assert!(taken < 50_000, "kind {kind}: all were taken");
        let mut health = two.own.connect(&two.rig);
        health.say(HEALTH);
        assert_eq!(health.answer().status, 200, "kind {kind}: {taken} taken");
    }
    two.rig.until("all are gone", |rig| rig.handle.stats().http2_connections == 0);
    assert_eq!(two.rig.handle.stats().http2_calmed_total, 6, "the frames of a body are counted by the library");
    two.rig.chunks("demo", 47..48);
    listens.hear_until("m47;");
    let Client(mut plain) = two.rig.client();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    let mut heard = String::new();
    let _ = plain.read_to_string(&mut heard);
    assert!(heard.starts_with("HTTP/1.1 400"), "there is no HTTP/2 without TLS: {heard}");
}
