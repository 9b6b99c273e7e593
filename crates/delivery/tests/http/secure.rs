//! The same worker under TLS, and what strangers do to it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hiwar_delivery::http::{Access, Certificate, CertificateError, Limits, Update};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::rig::{Answer, Client, Rig, WAIT, document, id};

/// A certificate for `localhost`, and whoever trusts it alone.
pub(crate) struct Identity {
    pub(crate) certificate: Certificate,
    pub(crate) trusting: Arc<ClientConfig>,
}

fn made(name: &str) -> rcgen::CertifiedKey<rcgen::KeyPair> {
    rcgen::generate_simple_self_signed(vec![String::from(name)]).unwrap()
}

impl Identity {
    pub(crate) fn new() -> Self {
        Self::speaking(&[&rustls::version::TLS13])
    }

    fn speaking(versions: &[&'static rustls::SupportedProtocolVersion]) -> Self {
        Self::named("localhost", versions)
    }

    /// For another name.
    pub(crate) fn named(name: &str, versions: &[&'static rustls::SupportedProtocolVersion]) -> Self {
        let made = made(name);
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut trusting = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        trusting.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let certificate =
            Certificate::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
        Self { certificate, trusting: Arc::new(trusting) }
    }

    pub(crate) fn connect(&self, rig: &Rig) -> Ear {
        self.connect_to(rig, "localhost")
    }

    /// Asks for a name.
    pub(crate) fn connect_to(&self, rig: &Rig, name: &'static str) -> Ear {
        let Client(socket) = rig.client();
        let name = ServerName::try_from(name).unwrap();
        Ear(StreamOwned::new(ClientConnection::new(self.trusting.clone(), name).unwrap(), socket))
    }
}

pub(crate) struct Ear(pub(crate) StreamOwned<ClientConnection, TcpStream>);

impl Ear {
    pub(crate) fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn hear_until(&mut self, end: &str) -> String {
        let mut heard = Vec::new();
        let mut byte = [0];
        while !heard.ends_with(end.as_bytes()) {
            self.0
                .read_exact(&mut byte)
                .unwrap_or_else(|why| panic!("{why} after {}", String::from_utf8_lossy(&heard)));
            heard.push(byte[0]);
        }
        String::from_utf8(heard).unwrap()
    }

    /// Everything to the end, which must be said (`close_notify`) and not just happen.
    fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        String::from_utf8(rest).unwrap()
    }

    pub(crate) fn answer(&mut self) -> Answer {
        let all = self.rest();
        let (head, body) = all.split_once("\r\n\r\n").unwrap();
        Answer { status: head[9..12].parse().unwrap(), head: format!("{head}\r\n"), body: body.to_owned() }
    }
}

fn rig(identity: &Identity) -> Rig {
    limited(identity, Limits::for_files(20_000))
}

pub(crate) fn limited(identity: &Identity, limits: Limits) -> Rig {
    let rig = Rig::secure(limits);
    rig.handle.push(Update::Certificate(identity.certificate.clone()));
    rig
}

pub(crate) const LISTEN: &str = "GET /listen/demo.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n";
pub(crate) const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[test]
fn a_listener_hears_every_chunk_and_the_end() {
    for versions in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let identity = Identity::speaking(&[versions]);
        let rig = rig(&identity);
        rig.open("demo", Access::Open);
        rig.chunks("demo", 0..5);
        let mut ear = identity.connect(&rig);
        ear.say(LISTEN);
        let head = ear.hear_until("init-mp4;");
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("audio/mp4"), "{head}");
        assert_eq!(ear.0.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(ear.0.conn.protocol_version(), Some(versions.version));
        ear.hear_until("m4;");
        rig.chunks("demo", 5..7);
        assert_eq!(ear.hear_until("m6;"), "m5;m6;");
        rig.handle.push(Update::Ended { log: id("demo") });
        assert_eq!(ear.rest(), "", "the end is said, not a cut");
        rig.until("nobody listens", |rig| rig.listening("demo") == 0);
    }
}

#[test]
fn a_slow_reader_hears_whole_chunks_only() {
    let identity = Identity::new();
    let rig = rig(&identity);
    rig.open("demo", Access::Open);
    let mut slow = identity.connect(&rig);
    slow.say(LISTEN);
    slow.hear_until("init-mp4;");
    let pad = 60_000;
    // More than the sockets on both sides hold, so that the rest of a record must wait in the worker.
    for n in 0..45 {
        rig.handle.push(Update::Chunk { log: id("demo"), record: crate::rig::chunk(n, pad) });
    }
    rig.until("it falls behind", |rig| rig.handle.stats().skipped_total == 1);
    let mut heard = Vec::new();
    let _ = slow.0.read_to_end(&mut heard);
    let heard = String::from_utf8(heard).unwrap();
    let (whole, cut) = heard.rsplit_once(';').unwrap();
    let numbers: Vec<u64> = whole
        .split(';')
        // Said while nothing came any more.
        .filter(|&word| word != "away")
        .map(|chunk| {
            assert_eq!(chunk.trim_start_matches(|c: char| c != '.').len(), pad, "half a chunk");
            chunk[1..].trim_end_matches('.').parse().unwrap()
        })
        .collect();
    assert!(numbers.is_sorted() && numbers.len() > 3, "{numbers:?}");
    assert!(cut.len() <= pad + 4, "the connection ends in the middle of at most one chunk");
}

#[test]
fn requests_in_one_record_and_in_many_are_all_answered() {
    let identity = Identity::new();
    let rig = rig(&identity);
    rig.handle.push(Update::Document { path: "/".into(), document: document("hello") });
    let mut ear = identity.connect(&rig);
    let get = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    ear.say(&get.repeat(3));
    for _ in 0..3 {
        ear.hear_until("\r\n\r\nhello");
    }
    for byte in get.bytes() {
        ear.0.write_all(&[byte]).unwrap();
    }
    ear.hear_until("\r\n\r\nhello");
    // More than one record holds, in many requests.
    ear.say(&get.repeat(600));
    for _ in 0..600 {
        ear.hear_until("\r\n\r\nhello");
    }
    ear.say("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(ear.answer().body, "hello");
}

#[test]
fn recordings_and_the_house_are_reached_and_the_connection_comes_back() {
    let identity = Identity::new();
    let rig = rig(&identity);
    let folder = rig.folder.path().join("spaces/demo/replay");
    std::fs::create_dir_all(&folder).unwrap();
    let sound: String = (0..700_000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
    std::fs::write(folder.join("replay.mp4"), &sound).unwrap();
    let house = UnixListener::bind(rig.folder.path().join("api.sock")).unwrap();
    rig.open("demo", Access::Open);
    rig.handle.push(Update::Ended { log: id("demo") });
    let mut ear = identity.connect(&rig);
    ear.say("GET /replay/demo.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ear.hear_until("\r\n\r\n");
    let mut heard = vec![0; sound.len()];
    ear.0.read_exact(&mut heard).unwrap();
    assert!(heard == sound.as_bytes());
    // A body in records of its own, behind its head.
    ear.say("POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40000\r\n\r\n");
    let body = "b".repeat(40_000);
    ear.say(&body);
    let (mut visitor, _) = house.accept().unwrap();
    visitor.set_read_timeout(Some(WAIT)).unwrap();
    let mut asked = Vec::new();
    while !asked.ends_with(body.as_bytes()) {
        let mut piece = [0; 4_096];
        let read = visitor.read(&mut piece).unwrap();
        assert_ne!(read, 0);
        asked.extend_from_slice(&piece[..read]);
    }
    let long = "c".repeat(300_000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{long}", long.len());
    let written = std::thread::spawn(move || visitor.write_all(answer.as_bytes()));
    assert_eq!(ear.answer().body, long);
    written.join().unwrap().unwrap();
}

#[test]
fn who_comes_before_the_certificate_waits_for_it_and_a_new_one_is_shown_at_once() {
    let (first, second) = (Identity::new(), Identity::new());
    let rig = Rig::secure(Limits::for_files(20_000));
    let mut ear = first.connect(&rig);
    rig.handle.push(Update::Certificate(first.certificate.clone()));
    ear.say(HEALTH);
    assert_eq!(ear.answer().status, 200);
    let mut stays = first.connect(&rig);
    stays.say("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stays.hear_until("\r\n\r\n");
    rig.handle.push(Update::Certificate(second.certificate.clone()));
    rig.until("the second is shown", |rig| {
        let mut ear = second.connect(rig);
        ear.0.write_all(HEALTH.as_bytes()).is_ok() && ear.answer().status == 200
    });
    stays.say(HEALTH);
    assert!(stays.rest().contains("HTTP/1.1 200"), "who is connected stays");
}

#[test]
fn a_key_of_another_certificate_and_what_is_no_pem_are_refused() {
    let (one, other) = (made("localhost"), made("localhost"));
    let (chain, key) = (one.cert.pem(), one.signing_key.serialize_pem());
    let check = |chain: &str, key: &str| Certificate::from_pem(chain.as_bytes(), key.as_bytes()).map(drop);
    assert_eq!(check(&chain, &key), Ok(()));
    assert_eq!(check(&format!("{chain}{key}"), &format!("{chain}{key}")), Ok(()), "both in one file");
    assert_eq!(check(&chain, &other.signing_key.serialize_pem()), Err(CertificateError::Mismatch));
    assert!(matches!(check("", &key), Err(CertificateError::Chain(_))));
    assert!(matches!(check(&key, &key), Err(CertificateError::Chain(_))));
    assert!(matches!(check(&chain, &chain), Err(CertificateError::Key(_))));
    assert!(check(&chain[..chain.len() / 2], &key).is_err());
    assert!(check(&chain, &key[..key.len() / 2]).is_err());
    assert!(check("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key).is_err());
}

#[test]
fn plain_http_on_the_tls_port_is_told_so_and_tls_on_a_plain_port_is_refused() {
    let identity = Identity::new();
    let secure = rig(&identity);
    let answer = secure.ask(HEALTH);
    assert!(
        answer.status == 400 && answer.body.contains("plain-http") && answer.has("Connection: close"),
        "{answer:?}"
    );
    let plain = Rig::new();
    let mut ear = identity.connect(&plain);
    assert!(ear.0.write_all(HEALTH.as_bytes()).is_err());
    plain.until("it is refused", |rig| rig.handle.stats().refused_total == 1);
}

#[test]
fn what_is_no_tls_ends_at_once_and_others_go_on() {
    let identity = Identity::new();
    let rig = rig(&identity);
    let mut seed = 7u64;
    for n in 0..200 {
        let mut noise: Vec<u8> = (0..1 + n * 7)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 33) as u8
            })
            .collect();
        // A record's header, so that the noise is taken for a handshake.
        if n % 2 == 0 {
            noise.splice(..0, [22, 3, 1, 0, 40, 1, 0, 0]);
        }
        let Client(mut socket) = rig.client();
        let _ = socket.write_all(&noise);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let _ = socket.read_to_end(&mut Vec::new());
    }
    let mut ear = identity.connect(&rig);
    ear.say(HEALTH);
    assert_eq!(ear.answer().status, 200);
    rig.until("all are gone", |rig| rig.handle.stats().handshakes == 0);
}

#[test]
fn a_handshake_that_is_never_finished_ends_at_its_deadline() {
    let identity = Identity::new();
    let rig = limited(&identity, Limits { head: Duration::from_millis(300), ..Limits::for_files(20_000) });
    let (Client(mut silent), Client(mut begun)) = (rig.client(), rig.client());
    // The beginning of a record that never ends.
    begun.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    rig.until("both are at it", |rig| rig.handle.stats().handshakes == 2);
    let began = Instant::now();
    for socket in [&mut silent, &mut begun] {
        let _ = socket.read_to_end(&mut Vec::new());
    }
    assert!(began.elapsed() < WAIT / 2);
    rig.until("they are gone", |rig| rig.handle.stats().handshakes == 0 && rig.handle.stats().timed_out_total == 2);
}

#[test]
fn thousands_who_only_begin_a_handshake_keep_nobody_out() {
    let identity = Identity::new();
    let limits = Limits { handshakes: 50, head: WAIT * 6, ..Limits::for_files(20_000) };
    let rig = limited(&identity, limits);
    rig.open("demo", Access::Open);
    let mut ear = identity.connect(&rig);
    ear.say(LISTEN);
    ear.hear_until("init-mp4;");
    let mut crowd = Vec::new();
    for n in 0..2_000u64 {
        let Client(mut socket) = rig.client();
        socket.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
        crowd.push(socket);
        if n % 500 == 0 {
            rig.chunks("demo", n / 500..n / 500 + 1);
            ear.hear_until(&format!("m{};", n / 500));
            let mut other = identity.connect(&rig);
            other.say(HEALTH);
            assert_eq!(other.answer().status, 200, "among {n}");
        }
        assert!(rig.handle.stats().handshakes <= 51);
    }
    rig.until("all but the newest are let go", |rig| rig.handle.stats().unshaken_total >= 1_900);
    rig.chunks("demo", 4..5);
    ear.hear_until("m4;");
}
