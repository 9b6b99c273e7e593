//! The name of HLS: its certificate, HTTP/2 there, and what strangers do with it.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use hiwar_delivery::http::{Access, Heard, Limits, Update};
use http::{Method, Request};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::task::JoinSet;

use crate::rig::{HLS_NAME, Rig, WAIT, document, id};
use crate::secure::{Ear, Identity};

pub(crate) struct Two {
    pub(crate) rig: Rig,
    pub(crate) own: Identity,
    pub(crate) hls: Identity,
}

/// A worker with a certificate for each of its names, and 47 chunks of a log.
fn two() -> Two {
    limited(Limits::for_files(20_000))
}

pub(crate) fn limited(limits: Limits) -> Two {
    let (own, hls) = (Identity::new(), Identity::named(HLS_NAME, &[&rustls::version::TLS13]));
    let rig = Rig::secure(limits);
    rig.handle.push(Update::HlsCertificate(hls.certificate.clone()));
    rig.handle.push(Update::Certificate(own.certificate.clone()));
    rig.open("demo", Access::Open);
    rig.open("invited", Access::Pass);
    rig.chunks("demo", 0..47);
    rig.handle.push(Update::Document { path: "/".into(), document: document("hello") });
    Two { rig, own, hls }
}

/// Only HTTP/1.1.
fn plain(identity: &Identity) -> Identity {
    let mut trusting = ClientConfig::clone(&identity.trusting);
    trusting.alpn_protocols = vec![b"http/1.1".to_vec()];
    Identity { certificate: identity.certificate.clone(), trusting: Arc::new(trusting) }
}

pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(WAIT, work).await.expect("an end") })
}

/// The library's client, over the library's TLS.
pub(crate) async fn connect(two: &Two) -> SendRequest<Bytes> {
    let socket = tokio::net::TcpStream::connect(two.rig.address).await.unwrap();
    let name = ServerName::try_from(HLS_NAME).unwrap();
    let stream = tokio_rustls::TlsConnector::from(two.hls.trusting.clone()).connect(name, socket).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) struct Told {
    pub(crate) status: u16,
    headers: http::HeaderMap,
    body: String,
}

async fn ask(client: &SendRequest<Bytes>, method: Method, path: &str) -> Result<Told, h2::Error> {
    let request = Request::builder().method(method).uri(format!("https://{HLS_NAME}{path}"));
    let mut client = client.clone().ready().await?;
    let (answer, _) = client.send_request(request.body(()).unwrap(), true)?;
    let (head, mut body) = answer.await?.into_parts();
    let mut text = Vec::new();
    while let Some(bytes) = body.data().await {
        let bytes = bytes?;
        body.flow_control().release_capacity(bytes.len())?;
        text.extend_from_slice(&bytes);
    }
    Ok(Told { status: head.status.as_u16(), headers: head.headers, body: String::from_utf8(text).unwrap() })
}

#[test]
fn who_asks_over_http2_is_counted_as_the_same_person_as_over_a_connection_of_its_own() {
    let two = two();
    let heard = |heard| crate::audience::people(&two.rig, heard);
    run(async {
        let client = connect(&two).await;
        // The playlist and what it lists, by one player.
        assert_eq!(get(&client, "/hls/demo/live.m3u8").await.status, 200);
        assert_eq!(get(&client, "/hls/demo/1.m4a").await.status, 200);
    });
    let mut same = plain(&two.hls).connect_to(&two.rig, HLS_NAME);
    same.say("GET /hls/demo/live.m3u8 HTTP/1.1\r\nHost: hls.localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(same.answer().status, 200);
    assert_eq!(heard(Heard::ByPieces), 1);
    two.rig.handle.retell();
    run(async {
        // Another program at the same address.
        let request = Request::get(format!("https://{HLS_NAME}/hls/demo/live.m3u8")).header("user-agent", "another");
        let mut client = connect(&two).await.ready().await.unwrap();
        let (answer, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
    });
    assert_eq!(heard(Heard::Ever), 2);
}

pub(crate) async fn get(client: &SendRequest<Bytes>, path: &str) -> Told {
    ask(client, Method::GET, path).await.unwrap()
}

#[test]
fn each_name_has_its_own_certificate_and_only_the_name_of_hls_speaks_http2() {
    let two = two();
    // Each identity trusts its own certificate alone.
    for (identity, name, protocol) in
        [(&two.own, "localhost", "http/1.1"), (&two.hls, HLS_NAME, "h2"), (&plain(&two.hls), HLS_NAME, "http/1.1")]
    {
        let mut ear = identity.connect_to(&two.rig, name);
        ear.0.conn.complete_io(&mut ear.0.sock).unwrap();
        assert_eq!(ear.0.conn.alpn_protocol(), Some(protocol.as_bytes()), "{name}");
    }
    let mut wrong = two.hls.connect_to(&two.rig, "localhost");
    assert!(wrong.0.conn.complete_io(&mut wrong.0.sock).is_err());
    // An address is no name (RFC 6066 §3), so that none is asked for: the first certificate is shown, which is not for an address.
    let mut nameless = two.own.connect_to(&two.rig, "127.0.0.1");
    let why = nameless.0.conn.complete_io(&mut nameless.0.sock).unwrap_err().to_string();
    assert!(why.contains("localhost"), "{why}");
    let renewed = Identity::named(HLS_NAME, &[&rustls::version::TLS13]);
    two.rig.handle.push(Update::HlsCertificate(renewed.certificate.clone()));
    two.rig.taken();
    let mut ear = renewed.connect_to(&two.rig, HLS_NAME);
    ear.0.conn.complete_io(&mut ear.0.sock).unwrap();
}

#[test]
fn a_first_message_in_pieces_is_waited_for() {
    let two = two();
    let mut ear = plain(&two.hls).connect_to(&two.rig, HLS_NAME);
    let mut hello = Vec::new();
    ear.0.conn.write_tls(&mut hello).unwrap();
    for byte in hello {
        ear.0.sock.write_all(&[byte]).unwrap();
    }
    ear.say("GET /hls/demo/init.mp4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(ear.answer().body, "init-mp4;");
}

#[test]
fn http1_at_the_name_serves_hls_and_nothing_else() {
    let two = two();
    let http1 = plain(&two.hls);
    for (target, status) in [
        ("/hls/demo/live.m3u8", 200),
        ("/hls/none/live.m3u8", 404),
        ("/", 421),
        ("/listen/demo.mp4", 421),
        ("/api/x", 421),
    ] {
        let mut ear = http1.connect_to(&two.rig, HLS_NAME);
        ear.say(&format!("GET {target} HTTP/1.1\r\nHost: {HLS_NAME}\r\nConnection: close\r\n\r\n"));
        assert_eq!(ear.answer().status, status, "{target}");
    }
    let mut ear = two.own.connect_to(&two.rig, "localhost");
    ear.say("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(ear.answer().body, "hello");
}

#[test]
fn hls_over_http2_is_what_it_is_over_http1() {
    let two = two();
    run(async {
        let client = connect(&two).await;
        let playlist = get(&client, "/hls/demo/live.m3u8").await;
        assert_eq!(
            (playlist.status, &playlist.headers["content-type"]),
            (200, &"application/vnd.apple.mpegurl".parse().unwrap())
        );
        assert_eq!(playlist.headers["access-control-allow-origin"], "*");
        assert!(!playlist.headers.contains_key("connection"));
        let mut http1 = plain(&two.hls).connect_to(&two.rig, HLS_NAME);
        http1.say("GET /hls/demo/live.m3u8 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(playlist.body, http1.answer().body);
        assert_eq!(get(&client, "/hls/demo/1.m4a").await.body.matches(';').count(), 20);
        for (method, path, status) in [
            (Method::HEAD, "/hls/demo/live.m3u8", 200),
            (Method::OPTIONS, "/hls/demo/live.m3u8", 204),
            (Method::POST, "/hls/demo/live.m3u8", 405),
            (Method::GET, "/hls/demo/99.m4a", 404),
            (Method::GET, "/hls/demo/live.m3u8?_HLS_part=1", 400),
            (Method::GET, "/hls/invited/live.m3u8", 401),
            (Method::GET, "/hls/../listen/demo.mp4", 400),
            (Method::GET, "/hls/%2e%2e/", 400),
            (Method::GET, "/", 421),
            (Method::POST, "/api/spaces/v1/spaces", 421),
            (Method::GET, "/listen/demo.mp4", 421),
        ] {
            let told = ask(&client, method.clone(), path).await.unwrap();
            assert_eq!(told.status, status, "{method} {path}: {}", told.body);
            assert_eq!(told.body.is_empty(), matches!(method, Method::HEAD | Method::OPTIONS), "{method} {path}");
        }
    });
    two.rig.until("nobody is left", |rig| rig.handle.stats().http2_connections == 0);
    assert_eq!(two.rig.handle.stats().http2_requests, 0);
}

#[test]
fn a_playlist_is_compressed_over_http2_for_who_takes_it() {
    let two = two();
    run(async {
        let client = connect(&two).await;
        let text = get(&client, "/hls/demo/live.m3u8").await;
        assert_eq!(text.headers["vary"], "Accept-Encoding");
        let request = Request::builder().uri(format!("https://{HLS_NAME}/hls/demo/live.m3u8"));
        let request = request.header("accept-encoding", "gzip, deflate, br").body(()).unwrap();
        let mut client = client.ready().await.unwrap();
        let (head, mut body) = client.send_request(request, true).unwrap().0.await.unwrap().into_parts();
        assert_eq!(
            (&head.headers["content-encoding"], &head.headers["vary"]),
            (&"gzip".parse().unwrap(), &"Accept-Encoding".parse().unwrap())
        );
        let mut gzip = Vec::new();
        while let Some(bytes) = body.data().await {
            gzip.extend_from_slice(&bytes.unwrap());
        }
        let mut plain = String::new();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, text.body);
    });
}

#[test]
fn many_blocking_reloads_on_one_connection_are_answered_when_their_part_comes() {
    let two = two();
    run(async {
        let client = connect(&two).await;
        let mut waiting = JoinSet::new();
        for n in 0..90 {
            let client = client.clone();
            let part = 1 + n % 2;
            waiting.spawn(async move {
                (part, get(&client, &format!("/hls/demo/live.m3u8?_HLS_msn=2&_HLS_part={part}")).await)
            });
        }
        while two.rig.handle.stats().http2_requests < 90 {
            tokio::task::yield_now().await;
        }
        // Others are not behind them.
        assert_eq!(get(&client, "/hls/demo/init.mp4").await.body, "init-mp4;");
        assert!(waiting.try_join_next().is_none());
        two.rig.chunks("demo", 47..50);
        for _ in 0..45 {
            let (part, told) = waiting.join_next().await.unwrap().unwrap();
            assert_eq!((part, told.status), (1, 200));
            assert!(told.body.contains("\"2.1.m4a\""));
        }
        two.rig.chunks("demo", 50..55);
        for _ in 0..45 {
            assert_eq!(waiting.join_next().await.unwrap().unwrap().1.status, 200);
        }
    });
}

#[test]
fn more_requests_than_places_are_told_to_come_back() {
    let two = limited(Limits { http2_requests: 16, ..Limits::for_files(20_000) });
    run(async {
        let client = connect(&two).await;
        let mut waiting = JoinSet::new();
        for _ in 0..16 {
            let client = client.clone();
            waiting.spawn(async move { get(&client, "/hls/demo/live.m3u8?_HLS_msn=2&_HLS_part=1").await.status });
        }
        while two.rig.handle.stats().http2_requests < 16 {
            tokio::task::yield_now().await;
        }
        let told = get(&client, "/hls/demo/init.mp4").await;
        assert_eq!((told.status, &told.headers["retry-after"]), (503, &"5".parse().unwrap()));
        let counts = two.rig.counts();
        let demo = counts.iter().find(|count| count.log == id("demo")).expect("the demo");
        assert_eq!((demo.audience.turned_away_total, demo.rehearsal.turned_away_total), (1, 0));
        two.rig.chunks("demo", 47..50);
        for _ in 0..16 {
            assert_eq!(waiting.join_next().await.unwrap().unwrap(), 200);
        }
        assert_eq!(get(&client, "/hls/demo/init.mp4").await.status, 200);
    });
}

#[test]
fn more_connections_than_places_speak_http1() {
    let two = limited(Limits { http2_connections: 2, ..Limits::for_files(20_000) });
    run(async {
        let clients = [connect(&two).await, connect(&two).await];
        for client in &clients {
            assert_eq!(get(client, "/hls/demo/init.mp4").await.status, 200);
        }
        let mut third = two.hls.connect_to(&two.rig, HLS_NAME);
        third.say("GET /hls/demo/init.mp4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(third.answer().body, "init-mp4;");
        assert_eq!(third.0.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    });
}

#[test]
fn an_idle_connection_is_let_go_and_one_that_waits_is_kept() {
    let two = limited(Limits { idle: Duration::from_millis(200), ..Limits::for_files(20_000) });
    run(async {
        let idle = connect(&two).await;
        assert_eq!(get(&idle, "/hls/demo/init.mp4").await.status, 200);
        let client = connect(&two).await;
        let waits = get(&client, "/hls/demo/live.m3u8?_HLS_msn=2&_HLS_part=1");
        let see = async {
            while two.rig.handle.stats().http2_requests < 1 {
                tokio::task::yield_now().await;
            }
            // Which takes longer than anyone may be idle.
            while two.rig.handle.stats().http2_connections > 1 {
                tokio::task::yield_now().await;
            }
            two.rig.chunks("demo", 47..50);
        };
        let (told, ()) = tokio::join!(waits, see);
        assert_eq!(told.status, 200);
        assert!(ask(&idle, Method::GET, "/hls/demo/init.mp4").await.is_err(), "it was told to come anew");
    });
}

#[test]
fn a_worker_that_goes_finishes_what_was_asked_and_says_so() {
    let two = two();
    run(async {
        let client = connect(&two).await;
        let waits = get(&client, "/hls/demo/live.m3u8?_HLS_msn=2&_HLS_part=1");
        let see = async {
            while two.rig.handle.stats().http2_requests < 1 {
                tokio::task::yield_now().await;
            }
            two.rig.handle.push(Update::Retire);
            two.rig.chunks("demo", 47..50);
        };
        let (told, ()) = tokio::join!(waits, see);
        assert_eq!(told.status, 200);
        while ask(&client, Method::GET, "/hls/demo/init.mp4").await.is_ok() {}
    });
    two.rig.ended();
}

/// A client that writes frames by hand.
pub(crate) struct Peer(pub(crate) Ear);

impl Peer {
    pub(crate) fn new(two: &Two) -> Self {
        let mut ear = two.hls.connect_to(&two.rig, HLS_NAME);
        ear.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let mut peer = Self(ear);
        peer.frame(4, 0, 0, &[]).unwrap();
        peer
    }

    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> std::io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.0.write_all(&frame)
    }

    /// HEADERS of a GET (RFC 7541 appendix A: 2 `:method: GET`, 7 `:scheme: https`, 4 `:path`, 1 `:authority`).
    pub(crate) fn get(&mut self, stream: u32, path: &str) -> std::io::Result<()> {
        let mut block = vec![0x82, 0x87];
        for (name, value) in [(4, path), (1, HLS_NAME)] {
            block.extend([name, u8::try_from(value.len()).unwrap()]);
            block.extend(value.as_bytes());
        }
        self.frame(1, 0x4 | 0x1, stream, &block)
    }

    /// Takes a request back.
    fn reset(&mut self, stream: u32) -> std::io::Result<()> {
        self.frame(3, 0, stream, &8_u32.to_be_bytes())
    }

    /// The error code of the GOAWAY with which it ends.
    pub(crate) fn last_words(&mut self) -> Option<u32> {
        // Without writing what it still had to say, which the other side no longer takes.
        let (mut heard, stream) = (Vec::new(), &mut self.0.0);
        while stream.conn.read_tls(&mut stream.sock).is_ok_and(|bytes| bytes > 0) {
            stream.conn.process_new_packets().unwrap();
            let _ = stream.conn.reader().read_to_end(&mut heard);
        }
        let (mut rest, mut code) = (&heard[..], None);
        while let Some((head, more)) = rest.split_at_checked(9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            if head[3] == 7 {
                code = Some(u32::from_be_bytes(more[4..8].try_into().unwrap()));
            }
            rest = more.get(length..).unwrap_or_default();
        }
        code
    }
}

/// ENHANCE_YOUR_CALM (RFC 9113 §7).
const CALM: u32 = 11;

#[test]
fn requests_taken_back_at_once_end_the_connection() {
    let two = two();
    let held = "/hls/demo/live.m3u8?_HLS_msn=2&_HLS_part=1";
    // In one go, so that none has been seen before it is taken back.
    let mut peer = Peer::new(&two);
    let sent = (0..100_000).find(|n| peer.get(2 * n + 1, held).and_then(|()| peer.reset(2 * n + 1)).is_err());
    assert!(sent.is_none_or(|sent| sent < 100_000));
    assert!(peer.last_words().is_none_or(|code| code == CALM));
    // Each after it was begun. Who is gone is counted no more; the end may be said at any moment, before a request is begun or after.
    two.rig.until("it is gone", |rig| rig.handle.stats().http2_connections == 0);
    let before = two.rig.handle.stats().http2_calmed_total;
    let is_calmed = || two.rig.handle.stats().http2_calmed_total > before;
    let mut peer = Peer::new(&two);
    for n in 0.. {
        if peer.get(2 * n + 1, held).is_err() {
            break;
        }
        two.rig.until("it is held", |rig| rig.handle.stats().http2_requests > 0 || is_calmed());
        if is_calmed() || peer.reset(2 * n + 1).is_err() {
            assert!(n >= 100, "after {n}");
            break;
        }
        two.rig.until("it is forgotten", |rig| rig.handle.stats().http2_requests == 0);
        assert!(n < 110, "a client may take back what it likes");
    }
    assert_eq!(peer.last_words(), Some(CALM));
    two.rig.until("it is gone", |rig| rig.handle.stats().http2_connections == 0 && rig.handle.stats().connections == 0);
    run(async {
        let client = connect(&two).await;
        assert_eq!(get(&client, "/hls/demo/init.mp4").await.status, 200);
    });
}

#[test]
fn who_does_not_read_is_let_go() {
    let two = limited(Limits {
        http2_stall: Duration::from_millis(300),
        idle: Duration::from_millis(300),
        ..Limits::for_files(20_000)
    });
    let mut peer = Peer::new(&two);
    // INITIAL_WINDOW_SIZE 0: answers have no way out.
    peer.frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]).unwrap();
    for n in 0..50 {
        peer.get(2 * n + 1, "/hls/demo/1.m4a").unwrap();
    }
    two.rig.until("they are there", |rig| rig.handle.stats().http2_requests > 0);
    two.rig
        .until("they are let go", |rig| rig.handle.stats().http2_requests == 0 && rig.handle.stats().connections == 0);
    two.rig.until("the connection, too", |rig| rig.handle.stats().http2_connections == 0);
}

#[test]
fn what_is_no_http2_ends_and_the_rest_goes_on() {
    let two = limited(Limits { head: Duration::from_millis(300), ..Limits::for_files(20_000) });
    let mut noise = two.hls.connect_to(&two.rig, HLS_NAME);
    noise.say("GET /hls/demo/init.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
    let _ = noise.0.read_to_end(&mut Vec::new());
    let mut silent = two.hls.connect_to(&two.rig, HLS_NAME);
    silent.say("PRI * HTTP/2.0");
    let _ = silent.0.read_to_end(&mut Vec::new());
    // Fields without an end (CVE-2024-27316).
    let mut endless = Peer::new(&two);
    endless.frame(1, 0, 1, &[0x82, 0x87]).unwrap();
    let field = [&[0x40, 1, b'x', 0x7f, 0x81, 0x7f][..], &[b'y'; 16_000]].concat();
    let sent = (0..2_000).find(|_| endless.frame(9, 0, 1, &field).is_err());
    assert!(sent.is_some() || endless.last_words().is_some());
    run(async {
        let client = connect(&two).await;
        assert_eq!(get(&client, "/hls/demo/init.mp4").await.status, 200);
    });
}
