//! What strangers send on purpose, over HTTP/1.1 in the clear. `hostile_tls` and `http2` are the same under TLS.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hiwar_delivery::http::{Access, Document, Limits, Update};
use rustix::net::sockopt;
use rustix::process::{Pid, Signal, kill_process};

use crate::rig::{Client, Rig, WAIT, chunk, document, id};

fn rig() -> Rig {
    limited(Limits::for_files(20_000))
}

fn limited(limits: Limits) -> Rig {
    let rig = Rig::with(limits);
    rig.handle.push(Update::Document { path: "/".into(), document: document("app") });
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..47);
    rig
}

/// Everything that comes back until the worker closes, which it must. That it had enough of what was sent is no failure.
fn all(client: &mut Client) -> String {
    let mut heard = Vec::new();
    match client.0.read_to_end(&mut heard) {
        Ok(_) => {}
        Err(why) => assert_eq!(why.kind(), ErrorKind::ConnectionReset, "{:?}", String::from_utf8_lossy(&heard)),
    }
    String::from_utf8_lossy(&heard).into_owned()
}

const LISTEN: &str = "GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_second_request_is_never_smuggled_in_the_first() {
    let rig = rig();
    let smuggled = "GET /hls/demo/init.mp4 HTTP/1.1\r\nHost: a\r\n\r\n";
    let check = |status: u16, head: &str| {
        let mut client = rig.client();
        client.0.write_all(head.as_bytes()).unwrap();
        // It may have closed already.
        let _ = client.0.write_all(smuggled.as_bytes());
        let heard = all(&mut client);
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{head:?} gave {heard:?}");
        assert_eq!(heard.matches("HTTP/1.1 ").count(), 1, "{head:?} gave {heard:?}");
        assert!(heard.contains("\r\nConnection: close\r\n") && !heard.contains("init-mp4"), "{head:?} gave {heard:?}");
    };
    let with = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
    for (status, fields) in [
        (400, "Content-Length: 4\r\nContent-Length: 4"),
        (400, "Content-Length: 4\r\ncontent-length: 100"),
        (400, "Content-Length: 4, 4"),
        (400, "Content-Length: +4"),
        (400, "Content-Length: -4"),
        (400, "Content-Length: 0x4"),
        (400, "Content-Length: 4 4"),
        (400, "Content-Length: 4;a"),
        (400, "Content-Length:"),
        (413, "Content-Length: 18446744073709551617"),
        (400, "Content-Length: 4\r\nTransfer-Encoding: chunked"),
        (400, "Transfer-Encoding: chunked\r\nContent-Length: 0"),
        (501, "Transfer-Encoding: chunked, chunked"),
        (501, "Transfer-Encoding: identity"),
        (501, "Transfer-Encoding: chunked;a"),
        (501, "Transfer-Encoding: xchunked"),
        (501, "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"),
        (400, "Transfer-Encoding: \u{b}chunked"),
        (400, "Transfer-Encoding : chunked"),
        (400, " Transfer-Encoding: chunked"),
        (400, "X: a\r\n Transfer-Encoding: chunked"),
        (400, "X: a\0b"),
        (400, "X\0: a"),
        (400, "X: a\rTransfer-Encoding: chunked"),
        (400, "X: a\nTransfer-Encoding: chunked"),
        (400, ": a"),
        (400, "X"),
        (400, "Host: a"),
        (400, "Host: b"),
        (417, "Expect: 100-continue, tea"),
    ] {
        check(status, &with(fields));
    }
    for (status, head) in [
        (400, "GET / HTTP/1.1\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n"),
        (400, "GET http:// HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET //\\ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (505, "GET / / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /\r\n\r\n"),
        (400, "GET / HTTP/1.1\nHost: a\n\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\n\n"),
        (505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
        (505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (501, "get / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (501, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (501, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /%2e%2e/x HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /%0d%0aX: HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        // A body that nobody reads would be taken for the next request: none follows.
        (200, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\n\r\n"),
        (200, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (200, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
    ] {
        check(status, head);
    }
    // What it is called, and by whom, is not asked of an absolute form (RFC 9112 §3.2.2).
    assert_eq!(rig.ask("GET http://b/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").body, "app");
}

#[test]
fn what_a_client_calls_one_body_the_house_hears_as_one() {
    let rig = rig();
    let house = UnixListener::bind(rig.folder.path().join("api.sock")).unwrap();
    let check = |body: &str, taken: Option<&str>| {
        let mut client = rig.client();
        client.say(&format!("POST /api/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
        let Some(taken) = taken else {
            let answer = client.answer();
            assert!(answer.status == 400 || answer.status == 413, "{body:?}: {answer:?}");
            return;
        };
        let (mut visitor, _) = house.accept().unwrap();
        visitor.set_read_timeout(Some(WAIT)).unwrap();
        let mut heard = vec![0; 4_096];
        let mut length = 0;
        while !heard[..length].ends_with(taken.as_bytes()) {
            length += visitor.read(&mut heard[length..]).unwrap();
        }
        let heard = String::from_utf8_lossy(&heard[..length]).into_owned();
        assert_eq!(heard.split_once("\r\n\r\n").unwrap().1, taken, "{body:?}");
        assert!(!heard.contains("GET"), "{heard}");
        visitor.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        drop(visitor);
        let answered = all(&mut client);
        assert_eq!(answered.matches("HTTP/1.1 ").count(), 1, "{body:?}: {answered}");
    };
    let next = "GET /hls/demo/init.mp4 HTTP/1.1\r\nHost: a\r\n\r\n";
    check(&format!("3\r\nabc\r\n0\r\n\r\n{next}"), Some("3\r\nabc\r\n0\r\n\r\n"));
    check(&format!("3;x=\"y\"\r\nabc\r\n0\r\n\r\n{next}"), Some("3;x=\"y\"\r\nabc\r\n0\r\n\r\n"));
    for body in [
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "-1\r\n",
        "3\nabc\n0\n\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "10000000000000003\r\nabc\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "0\r\nX: a\nGET / HTTP/1.1\r\n\r\n",
        "3;\nGET / HTTP/1.1\r\n",
    ] {
        check(body, None);
    }
}

#[test]
fn heads_are_read_up_to_their_limit_and_not_beyond() {
    let rig = rig();
    let padded = |bytes: usize| {
        let (begin, end) = ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: ", "\r\n\r\n");
        format!("{begin}{}{end}", "y".repeat(bytes - begin.len() - end.len()))
    };
    let fields = |count: usize| format!("GET / HTTP/1.0\r\n{}\r\n", "a: b\r\n".repeat(count));
    let target = |bytes: usize| format!("GET /{} HTTP/1.0\r\n\r\n", "?".repeat(bytes - 1));
    for (head, status) in [
        (padded(8_191), 200),
        (padded(8_192), 200),
        (padded(8_193), 431),
        (fields(64), 200),
        (fields(65), 431),
        (target(4_096), 200),
        (target(4_097), 414),
        // Line after line, and never the last.
        ("GET / HTTP/1.1\r\n".to_owned() + &"a: b\r\n".repeat(5_000), 431),
        ("\r\n".repeat(5_000), 431),
        ("G".repeat(9_000), 414),
    ] {
        let mut client = rig.client();
        let _ = client.0.write_all(head.as_bytes());
        let heard = all(&mut client);
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{}…: {heard:?}", &head[..40]);
    }
    let mut client = rig.client();
    for byte in padded(8_191).bytes() {
        client.0.write_all(&[byte]).unwrap();
    }
    assert_eq!(client.answer().body, "app");
}

#[test]
fn absurd_questions_are_answered_like_any() {
    let rig = rig();
    let status = |target: &str| rig.ask(&format!("GET {target} HTTP/1.0\r\n\r\n")).status;
    let most = u64::MAX;
    for (target, expected) in [
        (format!("/hls/demo/{most}.m4a"), 404),
        (format!("/hls/demo/{}.m4a", most / 20), 404),
        (format!("/hls/demo/{most}.{most}.m4a"), 404),
        (format!("/hls/demo/live.m3u8?_HLS_msn={most}&_HLS_part={most}"), 400),
        (format!("/hls/demo/live.m3u8?{}_HLS_msn=1", "&".repeat(3_900)), 200),
        (format!("/hls/demo/live.m3u8?{}", "_HLS_msn=1&".repeat(350)), 200),
        (format!("/listen/{}.mp4", "a".repeat(4_000)), 404),
        (format!("/listen/demo.{}", "a".repeat(4_000)), 404),
        (format!("/hls/{}", "/".repeat(4_000)), 404),
        (format!("/{}", "%41".repeat(1_300)), 503),
        ("/listen/.mp4".into(), 404),
        ("/replay/demo/../x/index.m3u8".into(), 400),
    ] {
        assert_eq!(status(&target), expected, "{}", &target[..target.len().min(60)]);
    }
    let folder = rig.folder.path().join("spaces/demo/replay");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("replay.ogg"), "0123456789").unwrap();
    for (range, expected) in [
        ("bytes=0-18446744073709551615", 206),
        ("bytes=18446744073709551615-", 416),
        ("bytes=18446744073709551616-", 416),
        ("bytes=-18446744073709551615", 206),
        ("bytes=-0", 416),
        ("bytes=9-0", 200),
        ("bytes=--1", 200),
        ("bytes=-", 200),
        ("octets=0-1", 200),
        (&*format!("bytes={}", "0-,".repeat(2_000)), 200),
        (&*format!("bytes=0-{}", "9".repeat(6_000)), 206),
    ] {
        let answer = rig.ask(&format!("GET /replay/demo.ogg HTTP/1.0\r\nRange: {range}\r\n\r\n"));
        assert_eq!(answer.status, expected, "{}: {answer:?}", &range[..range.len().min(40)]);
        assert!(answer.body.len() <= 10);
    }
}

/// A document whose end stops the worker, so that what is there meanwhile is seen to in one turn.
struct Stop {
    reached: Sender<()>,
    go_on: Mutex<Receiver<()>>,
}

impl Drop for Stop {
    fn drop(&mut self) {
        let _ = self.reached.send(());
        let _ = self.go_on.lock().unwrap().recv_timeout(WAIT);
    }
}

impl AsRef<[u8]> for Stop {
    fn as_ref(&self) -> &[u8] {
        b""
    }
}

#[test]
fn whoever_asks_hundreds_of_things_at_once_is_answered_in_turns() {
    let rig = rig();
    let stop = |path: &str| {
        let ((reached, here), (go, go_on)) = (channel(), channel());
        let body = Bytes::from_owner(Stop { reached, go_on: Mutex::new(go_on) });
        rig.handle.push(Update::Document { path: path.into(), document: Document { body, ..document("") } });
        (here, go)
    };
    let ((first, go_on), (second, end)) = (stop("/first"), stop("/second"));
    let mut many = rig.client();
    many.say("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(many.hear_until("ok\n").starts_with("HTTP/1.1 200"));
    rig.handle.push(Update::Forget { path: "/first".into() });
    first.recv_timeout(WAIT).unwrap();
    // While it stands still: two hundred requests on one connection, and then, after it, something else to do.
    many.say(&"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200));
    // More than are taken in two turns, so that it comes by its sockets before the last.
    (0..35).for_each(|_| rig.handle.push(Update::Forget { path: "/none".into() }));
    rig.handle.push(Update::Forget { path: "/second".into() });
    go_on.send(()).unwrap();
    second.recv_timeout(WAIT).unwrap();
    // All that was written comes while the worker stands still, ten pieces and then some more when those have been acknowledged.
    let mut heard = Vec::new();
    many.0.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let why = many.0.read_to_end(&mut heard).unwrap_err();
    assert_eq!(why.kind(), ErrorKind::WouldBlock);
    let answered = String::from_utf8_lossy(&heard).matches("ok\n").count();
    assert!((1..=16).contains(&answered), "{answered} before anyone else had a turn");
    many.0.set_read_timeout(Some(WAIT)).unwrap();
    end.send(()).unwrap();
    (answered..200).for_each(|_| drop(many.hear_until("ok\n")));
    many.say("GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(many.answer().body, "ok\n");
}

#[test]
fn whoever_leaves_at_any_byte_leaves_nothing_behind() {
    let rig = rig();
    let requests = [
        LISTEN,
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123456789",
        "POST /api/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "GET /hls/demo/2.1.m4a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /hls/demo/rewind.m3u8 HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    let mut opened = 0;
    for request in requests {
        for length in 0..=request.len() {
            for reset in [false, true] {
                let client = rig.client();
                (&client.0).write_all(&request.as_bytes()[..length]).unwrap();
                if reset {
                    // What is not sent is thrown away, and the peer hears RST in place of FIN.
                    sockopt::set_socket_linger(&client.0, Some(Duration::ZERO)).unwrap();
                }
                opened += 1;
            }
        }
    }
    rig.until("all were here", |rig| rig.handle.stats().accepted_total == opened);
    // Closing is half-closing to a request that is held: it is answered first.
    rig.chunks("demo", 47..50);
    let mut position = 50;
    rig.until("all are gone", |_| rig.handle.stats().connections <= rig.listening("demo") as usize);
    while rig.listening("demo") > 0 {
        // Who has left is found by writing.
        rig.chunks("demo", position..position + 1);
        position += 1;
        assert!(position < 100_000, "{:?}", rig.handle.stats());
    }
    let mut client = rig.client();
    client.say(LISTEN);
    client.hear_until(&format!("m{};", position - 1));
}

#[test]
fn every_stage_of_a_request_has_an_end_however_it_trickles() {
    let short = Duration::from_millis(400);
    let limits = Limits { head: short, idle: short, hold: short, answer: short, ..Limits::for_files(20_000) };
    let rig = limited(limits);
    let big: &'static str = Box::leak("#".repeat(16 << 20).into_boxed_str());
    rig.handle.push(Update::Document { path: "/big".into(), document: document(big) });
    let mut held = rig.client();
    held.say("GET /hls/demo/2.1.m4a HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut silent = rig.client();
    let mut unread = rig.client();
    sockopt::set_socket_recv_buffer_size(&unread.0, 4_096).unwrap();
    unread.say("GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut idle = rig.client();
    idle.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    idle.hear_until("app");
    let trickle = |mut client: Client, text: &'static str| {
        let begin = Instant::now();
        client.0.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        // Byte by byte, each of which is a sign of life, until it is told to stop or cut off.
        let mut bytes = text.bytes().cycle();
        loop {
            let mut byte = [0];
            match client.0.peek(&mut byte) {
                Ok(_) => break,
                Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => break,
            }
            assert!(begin.elapsed() < WAIT, "still taken, byte by byte: {text:?}");
            let _ = client.0.write_all(&[bytes.next().unwrap()]);
        }
    };
    std::thread::scope(|scope| {
        let (first, next) = (rig.client(), rig.client());
        scope.spawn(move || trickle(first, "GET / HTTP/1.1\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"));
        scope.spawn(move || {
            let mut next = next;
            next.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            next.hear_until("app");
            trickle(next, "GET / HTTP/1.1\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");
        });
        // After the last word what comes is thrown away, for so long.
        let mut refused = rig.client();
        refused.say("BREW / HTTP/1.1\r\n\r\n");
        refused.hear_until("}");
        scope.spawn(move || {
            let begin = Instant::now();
            while refused.0.write_all(b"x").is_ok() {
                assert!(begin.elapsed() < WAIT, "still taken after the end");
                std::thread::yield_now();
            }
        });
        assert!(held.hear_until("}").starts_with("HTTP/1.1 503"));
        assert_eq!(silent.rest() + &idle.rest(), "");
    });
    // A listener has no deadline, and is none of these.
    rig.until("all are gone, who reads nothing too", |rig| rig.handle.stats().connections == 0);
    drop(unread);
}

#[test]
fn what_a_listener_sends_is_not_kept() {
    let rig = rig();
    let mut client = rig.client();
    sockopt::set_socket_send_buffer_size(&client.0, 4_096).unwrap();
    client.say(LISTEN);
    client.hear_until("m46;");
    client.0.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut sent = 0;
    while sent < 1 << 20
        && let Ok(bytes) = client.0.write(&[b'x'; 1_024])
    {
        sent += bytes;
    }
    // Its own kernel holds some of it; a window that was open before it listened may still be filled.
    assert!(sent < 100_000, "{sent} bytes for nobody");
    rig.chunks("demo", 47..50);
    assert_eq!(client.hear_until("m49;"), "m47;m48;m49;");
}

/// A process of its own that listens; run by the test below.
#[test]
#[ignore = "a part of a_reader_that_is_stopped_is_let_go_and_others_hear_on"]
fn reader() {
    let Ok(address) = std::env::var("HIWAR_TEST_READ_FROM") else { return };
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket.write_all(LISTEN.as_bytes()).unwrap();
    let _ = std::io::copy(&mut socket, &mut std::io::sink());
}

/// Ended with the test.
struct Reader(Child);

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_reader_that_is_stopped_is_let_go_and_others_hear_on() {
    let rig = rig();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "hostile::reader", "--ignored"]).env("HIWAR_TEST_READ_FROM", rig.address.to_string());
    let reader = Reader(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    rig.until("it listens", |rig| rig.listening("demo") == 1);
    let mut other = rig.client();
    other.say(LISTEN);
    other.hear_until("m46;");
    kill_process(Pid::from_child(&reader.0), Signal::STOP).unwrap();
    let mut position = 47;
    while rig.handle.stats().cut_total == 0 {
        assert!(position < 20_000, "{:?}", rig.handle.stats());
        rig.handle.push(Update::Chunk { log: id("demo"), record: chunk(position, 20_000) });
        // Who reads is given everything.
        other.hear_until(&format!("m{position}{};", ".".repeat(20_000)));
        position += 1;
    }
    assert_eq!((rig.handle.stats().skipped_total, rig.handle.stats().cut_total), (1, 1));
    rig.until("one listens", |rig| rig.listening("demo") == 1);
}

#[test]
fn http_1_0_is_served() {
    let rig = rig();
    let ask = |target: &str| rig.ask(&format!("GET {target} HTTP/1.0\r\n\r\n"));
    for target in ["/", "/healthz", "/hls/demo/live.m3u8", "/hls/demo/1.m4a", "/hls/demo/init.mp4"] {
        let answer = ask(target);
        assert!(answer.status == 200 && answer.has("Connection: close"), "{target}: {answer:?}");
        assert!(!answer.head.contains("Transfer-Encoding") && answer.head.contains("Content-Length: "), "{answer:?}");
    }
    let mut client = rig.client();
    client.say("GET /listen/demo.ogg HTTP/1.0\r\n\r\n");
    client.0.shutdown(Shutdown::Write).unwrap();
    client.hear_until("o46;");
    rig.handle.push(Update::Ended { log: id("demo") });
    assert_eq!(client.rest(), "", "the end is the connection's");
}
