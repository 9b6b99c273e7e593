//! The crowd against servers that do it right and servers that do not: what is wrong must be seen.

#![allow(clippy::disallowed_methods, reason = "a server that keeps a schedule waits for its moments")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use hiwar_media::Time;
use hiwar_media::chunk::Frames;
use hiwar_media::package::{Track, emsg, fmp4};
use hiwar_rehearsal::live::listen::{How, Notices, Options, Target, run};
use hiwar_rehearsal::report::Report;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

const CHUNK: Duration = Duration::from_millis(200);
/// Chunks in which nobody speaks yet, of every server.
const QUIET: u64 = 30;

/// What is wrong with a server, for every second of its listeners but not for the first, who listens alone.
#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    /// Says that there is no room.
    Full,
    /// Changes a bit of each tenth chunk.
    Byte,
    /// Leaves out each tenth chunk.
    Hole,
    /// Hangs up after a second.
    Cut,
    /// Sends two seconds, nothing for three, then everything.
    Late,
    /// Sends somewhere else.
    Elsewhere,
}

fn fragment(n: u64) -> Vec<u8> {
    let mut frames = Frames::new();
    for frame in 0..10 {
        let bytes = if n < QUIET { 6 } else { 80 };
        frames.push(&[(n + frame) as u8; 80][..bytes]).unwrap();
    }
    let mut out = Vec::new();
    fmp4::fragment(&mut out, n as u32 + 1, Time(n * 9_600), &frames);
    out
}

/// Serves until the test ends.
fn serve(flaw: Flaw, tls: Option<Arc<ServerConfig>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (began, count) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let number = count.fetch_add(1, Relaxed);
            let tls = tls.clone();
            std::thread::spawn(move || {
                let flaw = if number % 2 == 1 { flaw } else { Flaw::None };
                // It fails when the listener leaves.
                let _ = match tls {
                    None => answer(stream, flaw, began),
                    Some(config) => {
                        answer(StreamOwned::new(ServerConnection::new(config).unwrap(), stream), flaw, began)
                    }
                };
            });
        }
    });
    address
}

fn answer(mut stream: impl Read + Write, flaw: Flaw, began: Instant) -> std::io::Result<()> {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        asked.push(byte[0]);
    }
    match flaw {
        Flaw::Full => return stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
        Flaw::Elsewhere => {
            return stream.write_all(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.2/\r\n\r\n");
        }
        _ => {}
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mp4\r\n\r\n")?;
    stream.write_all(&fmp4::init(&Track::mono()))?;
    let since = Instant::now();
    let first = (began.elapsed().as_millis() / CHUNK.as_millis()) as u64;
    for n in first.. {
        let due = began + CHUNK * (n as u32 + 1);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        match flaw {
            Flaw::Cut if since.elapsed() > Duration::from_secs(1) => return Ok(()),
            Flaw::Late => {
                let waits = since + Duration::from_secs(5);
                if n > first + 9 {
                    std::thread::sleep(waits.saturating_duration_since(Instant::now()));
                }
            }
            _ => {}
        }
        let mut bytes = fragment(n);
        match (flaw, n % 10) {
            (Flaw::Hole, 3) => continue,
            (Flaw::Byte, 3) => *bytes.last_mut().unwrap() ^= 1,
            _ => {}
        }
        stream.write_all(&bytes)?;
    }
    Ok(())
}

fn rehearse(flaw: Flaw, options: &Options) -> Report {
    let url = format!("http://{}/listen/talk.mp4", serve(flaw, None));
    run(&Target::parse(&url).unwrap(), options).unwrap()
}

fn options() -> Options {
    Options {
        listeners: 20,
        arrive: How::Flash,
        within: 1,
        seconds: 4,
        stay: None,
        cadence_ms: 200,
        starts_at: None,
        threads: 1,
        from: Vec::new(),
        trust: None,
        watch: Some(std::process::id()),
        report: None,
        seed: 1,
        notices: Notices::Follow,
    }
}

fn faults(report: &Report) -> Vec<&str> {
    report.faults.keys().map(String::as_str).collect()
}

#[test]
fn everyone_hears_a_server_that_does_it_right() {
    let folder = std::env::temp_dir().join(format!("hiwar-listen-{}", std::process::id()));
    let report = rehearse(Flaw::None, &Options { report: Some(folder.clone()), ..options() });
    assert_eq!(report.faults, BTreeMap::new());
    let last = report.seconds.last().unwrap();
    assert_eq!((last.listening, last.at_s), (20, 4));
    let sum = |of: fn(&hiwar_rehearsal::report::Second) -> u64| report.seconds.iter().map(of).sum::<u64>();
    assert_eq!((sum(|s| s.joined), sum(|s| s.failed), sum(|s| s.left)), (20, 0, 0));
    // Five seconds of twenty listeners, some of whom came in the first.
    assert!((350..=520).contains(&sum(|s| s.chunks)), "{}", sum(|s| s.chunks));
    assert!(report.seconds.iter().any(|second| second.server.is_some()), "this process was to be watched");
    let kept: Report = serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap();
    assert_eq!(kept, report);
    assert!(std::fs::read_to_string(folder.join("report.html")).unwrap().contains("</html>"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_wrong_is_seen() {
    let work = [
        (Flaw::Full, "answered 503"),
        (Flaw::Elsewhere, "answered 307"),
        (Flaw::Byte, "other bytes than others heard"),
        (Flaw::Hole, "sound was left out or repeated"),
        (Flaw::Cut, "the server closed the connection"),
    ]
    .map(|(flaw, name)| (name, std::thread::spawn(move || rehearse(flaw, &options()))));
    for (name, work) in work {
        let report = work.join().unwrap();
        assert_eq!(faults(&report), [name]);
        assert!(report.faults[name] >= 5, "{name}: {}", report.faults[name]);
    }
}

/// A server's side of TLS, whose records hold 100 bytes, so that a chunk is many of them; and a file with the certificate to trust.
fn under_tls(folder: &TempDir) -> (Arc<ServerConfig>, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let trust = folder.path().join("root.pem");
    std::fs::write(&trust, made.cert.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    config.max_fragment_size = Some(100);
    (Arc::new(config), trust)
}

#[test]
fn under_tls_the_same_is_heard_and_what_is_wrong_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (config, trust) = under_tls(&folder);
    let work = [
        (Flaw::None, None),
        (Flaw::Full, Some("answered 503")),
        (Flaw::Byte, Some("other bytes than others heard")),
        (Flaw::Cut, Some("the server closed the connection")),
    ]
    .map(|(flaw, name)| {
        let url = format!("https://{}/listen/talk.mp4", serve(flaw, Some(config.clone())));
        let options = Options { trust: Some(trust.clone()), ..options() };
        (name, std::thread::spawn(move || run(&Target::parse(&url).unwrap(), &options).unwrap()))
    });
    for (name, work) in work {
        let report = work.join().unwrap();
        assert_eq!(faults(&report), Vec::from_iter(name));
        let joined: u64 = report.seconds.iter().map(|second| second.joined).sum();
        assert!(joined >= if name.is_none() { 20 } else { 5 }, "{name:?}: {joined} joined");
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (config, trust) = under_tls(&folder);
    let url = format!("https://{}/listen/talk.mp4", serve(Flaw::None, Some(config)));
    // Another one's, for the same name.
    under_tls(&folder);
    let why = run(&Target::parse(&url).unwrap(), &Options { trust: Some(trust), ..options() }).unwrap_err();
    assert!(why.to_string().contains("certificate"), "{why}");
}

#[test]
fn who_hears_too_late_is_counted_and_stands_still() {
    let report = rehearse(Flaw::Late, &Options { listeners: 10, seconds: 8, ..options() });
    assert_eq!(faults(&report), [""; 0]);
    let late: u64 = report.seconds.iter().map(|second| second.chunks_late).sum();
    let stalled: u64 = report.seconds.iter().map(|second| second.stalled).sum();
    assert!(late >= 20 && stalled >= 5, "{late} late, {stalled} stood still");
}

/// Chunks in a piece, at a moment of the server: one until it has given notice and that is over, then eight, and at last one again. Nobody needs more than 14 s to
/// have 1.4 s more in hand, at 0.9 times the pace.
const NOTICE_AT: Duration = Duration::from_millis(4_500);
const NOTICE: Duration = Duration::from_secs(15);
const LONG: u64 = 8;
const LONG_FOR: Duration = Duration::from_millis(4_800);

/// Answers like a worker that changes its cadence, and says so.
fn change(mut stream: TcpStream, began: Instant) -> std::io::Result<()> {
    let say = |stream: &mut TcpStream, words: &str| {
        let mut event = Vec::new();
        emsg::write(&mut event, Time(0), 0x4000_0001, words.as_bytes()).unwrap();
        stream.write_all(&event)
    };
    let mut byte = [0];
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        asked.push(byte[0]);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mp4\r\n\r\n")?;
    stream.write_all(&fmp4::init(&Track::mono()))?;
    let first = (began.elapsed().as_millis() / CHUNK.as_millis()) as u64;
    let (mut said, mut next) = (0, first);
    for n in first.. {
        let due = CHUNK * (n as u32 + 1);
        std::thread::sleep((began + due).saturating_duration_since(Instant::now()));
        let changes = [
            (NOTICE_AT, r#"{"t":"cadence","ms":1600,"in_ms":15000}"#),
            (NOTICE_AT + NOTICE, r#"{"t":"cadence","ms":1600}"#),
            (NOTICE_AT + NOTICE + LONG_FOR, r#"{"t":"cadence","ms":200}"#),
        ];
        while let Some((at, words)) = changes.get(said)
            && *at <= due
        {
            say(&mut stream, words)?;
            said += 1;
        }
        if n + 1 - next >= if said == 2 { LONG } else { 1 } {
            stream.write_all(&(next..=n).flat_map(fragment).collect::<Vec<u8>>())?;
            next = n + 1;
        }
    }
    Ok(())
}

#[test]
fn a_change_of_cadence_is_a_stall_only_for_who_ignores_the_notice() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/listen/talk.mp4", listener.local_addr().unwrap());
    let began = Instant::now();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // It fails when the listener leaves.
            std::thread::spawn(move || change(stream, began));
        }
    });
    let [follow, ignore] = [Notices::Follow, Notices::Ignore].map(|notices| {
        let target = Target::parse(&url).unwrap();
        std::thread::spawn(move || run(&target, &Options { seconds: 22, notices, ..options() }).unwrap())
    });
    let (follow, ignore) = (follow.join().unwrap(), ignore.join().unwrap());
    for (report, name) in [(&follow, "follow"), (&ignore, "ignore")] {
        let summary = report.summary();
        // What is held back for a piece is on time, also what is left of the last long one.
        assert_eq!((&summary["faults"], &summary["on_time_percent"]), (&0.into(), &100.0.into()), "{name}: {summary}");
        let cadences: Vec<u64> = report.seconds.iter().map(|second| second.cadence_ms).collect();
        assert!(cadences.contains(&200) && cadences.contains(&1_600) && cadences.last() == Some(&200), "{cadences:?}");
    }
    let stall = |report: &Report| report.summary()["stall_ms_p99"].as_f64().unwrap();
    assert_eq!(stall(&follow), 0.0, "{}", follow.summary());
    assert!(stall(&ignore) > 200.0, "{}", ignore.summary());
}

#[test]
fn who_waits_for_the_start_is_asked_when_they_had_the_first_word() {
    let first = CHUNK * QUIET as u32;
    let listen = |starts: Duration| {
        let options = Options { starts_at: Some(SystemTime::now() + starts), ..options() };
        std::thread::spawn(move || rehearse(Flaw::None, &options).summary())
    };
    let (punctual, early) = (listen(first), listen(first + Duration::from_secs(1)));
    let (punctual, early) = (punctual.join().unwrap(), early.join().unwrap());
    assert_eq!((&punctual["first_words"], &punctual["first_words_early"]), (&20.into(), &0.into()), "{punctual}");
    // The chunk with it is whole when it is over.
    let after = punctual["first_word_ms_p50"].as_f64().unwrap();
    assert!((190.0..700.0).contains(&after), "{punctual}");
    assert_eq!((&early["first_words"], &early["first_words_early"]), (&0.into(), &20.into()), "{early}");
}

#[test]
fn a_start_that_nobody_would_hear_is_refused() {
    let url = format!("http://{}/listen/talk.mp4", serve(Flaw::None, None));
    for starts in [SystemTime::UNIX_EPOCH, SystemTime::now() + Duration::from_secs(60)] {
        let why = run(&Target::parse(&url).unwrap(), &Options { starts_at: Some(starts), ..options() }).unwrap_err();
        assert!(why.to_string().contains("--starts-at"), "{why}");
    }
}

#[test]
fn who_leaves_is_followed_by_another() {
    let report = rehearse(Flaw::None, &Options { stay: Some(Duration::from_secs(1)), seconds: 5, ..options() });
    let joined: u64 = report.seconds.iter().map(|second| second.joined).sum();
    let left: u64 = report.seconds.iter().map(|second| second.left).sum();
    assert!(joined > 40 && left > 20, "{joined} came, {left} left");
    assert_eq!(report.faults, BTreeMap::new());
    let listening = i64::try_from(report.seconds.last().unwrap().listening).unwrap();
    assert_eq!(joined as i64 - left as i64, listening);
}

#[test]
fn a_server_that_is_not_there_is_an_error_and_no_report() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = Target::parse(&format!("http://{gone}/listen/talk.ogg")).unwrap();
    let why = run(&target, &options()).unwrap_err().to_string();
    assert!(why.contains("refused"), "{why}");
}

#[test]
fn only_addresses_of_streams_are_taken() {
    for url in [
        "127.0.0.1/listen/a.mp4",
        "ftp://127.0.0.1/a.mp4",
        "http://127.0.0.1",
        "http:///a.mp4",
        "http://127.0.0.1/a.wav",
        "http://a@127.0.0.1/a.mp4",
        "http://127.0.0.1:99999/a.mp4",
        "http://127.0.0.1/a b.mp4",
        "http://127.0.0.1/a\r\nX: y.mp4",
    ] {
        assert!(Target::parse(url).is_err(), "{url}");
    }
    let six = Target::parse("https://[::1]:8443/listen/a.ogg?pass=x").unwrap();
    assert_eq!((six.address, six.origin()), ("[::1]:8443".parse().unwrap(), "https://[::1]:8443".to_owned()));
}
