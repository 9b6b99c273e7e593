//! Answers that end: documents, HLS, refusals.

use std::time::Duration;

use hiwar_delivery::http::{Access, Limits, Update};

use crate::rig::{Rig, document};

fn rig() -> Rig {
    let rig = Rig::new();
    for (path, body) in [("/", "app"), ("/s/demo", "page"), ("/s/", "nobody talks here")] {
        rig.handle.push(Update::Document { path: path.into(), document: document(body) });
    }
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..45);
    rig.until("open", |rig| !rig.counts().is_empty());
    rig
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let rig = rig();
    let mut client = rig.client();
    for byte in "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".chars() {
        client.say(&byte.to_string());
    }
    let answer = client.answer();
    assert_eq!((answer.status, &*answer.body), (200, "app"));
    assert!(answer.has("X-Content-Type-Options: nosniff") && answer.has("Referrer-Policy: no-referrer"), "{answer:?}");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let rig = rig();
    let mut client = rig.client();
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n{more}\r\n");
    let all = get("/", "") + &get("/s/x", "") + &get("/hls/demo/1.m4a", "") + &get("/s/demo", "Connection: close\r\n");
    client.say(&all);
    let heard = client.rest();
    let places: Vec<_> = ["app", "nobody talks here", "m20;m21;", "page"].map(|body| heard.find(body).unwrap()).into();
    assert!(places.is_sorted(), "{heard}");
    assert_eq!(heard.matches("HTTP/1.1 ").count(), 4);
}

#[test]
fn a_worker_that_has_just_begun_denies_nothing_until_it_was_told_everything() {
    let rig = Rig::untold(Limits::for_files(20_000));
    let status = |path: &str| {
        let answer = rig.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        assert_eq!(answer.status == 503, answer.has("Retry-After: 1"), "{path}: {answer:?}");
        answer.status
    };
    rig.handle.push(Update::Document { path: "/s/".into(), document: document("nobody talks here") });
    rig.handle.push(Update::Document { path: "/s/demo".into(), document: document("page") });
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..45);
    rig.until("a part", |_| status("/hls/demo/live.m3u8") == 200);
    let unknown = ["/s/x", "/listen/x.ogg", "/hls/x/live.m3u8"];
    assert_eq!(unknown.map(status), [503; 3]);
    assert_eq!((status("/s/demo"), status("/readyz"), status("/healthz")), (200, 503, 200));
    rig.handle.push(Update::Whole);
    rig.until("the whole", |_| status("/s/x") == 404);
    assert_eq!(unknown.map(status), [404; 3]);
    assert_eq!(status("/s/demo"), 200);
}

#[test]
fn a_connection_is_kept_between_requests() {
    let rig = rig();
    let mut client = rig.client();
    for _ in 0..3 {
        client.say("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = client.hear_until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200") && !head.contains("Connection: close"), "{head}");
    }
    client.say("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer().body, "app");
}

#[test]
fn garbage_is_refused_and_the_connection_closed() {
    let rig = rig();
    let check = |sent: &str, status| assert_eq!(rig.ask(sent).status, status, "{sent:?}");
    check("\x16\x03\x01\x02\n", 400);
    check("GET / HTTP/1.1\r\n\r\n", 400);
    check("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n", 400);
    check("GET /../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    check(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(5_000)), 414);
    check(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n", "a".repeat(9_000)), 431);
    check("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413);
    check("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505);
    let answer = rig.ask("DELETE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.status == 405 && answer.has("Allow: GET, HEAD"), "{answer:?}");
    assert_eq!(rig.handle.stats().refused_total, 9);
}

#[test]
fn a_slow_head_is_told_so_and_an_idle_connection_is_closed() {
    let short = Duration::from_millis(500);
    let rig = Rig::with(Limits { head: short, idle: short, ..Limits::for_files(20_000) });
    let mut slow = rig.client();
    slow.say("GET / HT");
    let mut silent = rig.client();
    assert_eq!(slow.answer().status, 408);
    assert_eq!(silent.rest(), "");
    rig.handle.push(Update::Document { path: "/".into(), document: document("app") });
    let mut idle = rig.client();
    idle.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(idle.rest().ends_with("app"));
}

#[test]
fn a_large_answer_arrives_whole_though_it_is_read_late() {
    let rig = Rig::new();
    let body: &'static str = Box::leak("#".repeat(8 << 20).into_boxed_str());
    rig.handle.push(Update::Document { path: "/big".into(), document: document(body) });
    rig.open("told", Access::Open);
    rig.until("told", |rig| rig.ask("HEAD /listen/told.ogg HTTP/1.0\r\n\r\n").status == 200);
    let mut client = rig.client();
    client.say("GET /big HTTP/1.1\r\nHost: a\r\n\r\nGET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    client.hear_until("\r\n\r\n");
    assert_eq!(client.rest().matches('#').count(), 2 * body.len());
}
