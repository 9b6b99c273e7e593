//! What the house answers.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use hiwar_delivery::http::Limits;

use crate::rig::{Rig, WAIT};

pub(crate) struct House(UnixListener);

impl House {
    pub(crate) fn of(rig: &Rig) -> Self {
        Self(UnixListener::bind(rig.folder.path().join("api.sock")).unwrap())
    }

    pub(crate) fn visitor(&self) -> Visitor {
        let (stream, _) = self.0.accept().unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        Visitor(stream)
    }
}

pub(crate) struct Visitor(UnixStream);

impl Visitor {
    pub(crate) fn hear_until(&mut self, end: &str) -> String {
        let mut heard = Vec::new();
        while !heard.ends_with(end.as_bytes()) {
            let mut byte = [0];
            assert_eq!(self.0.read(&mut byte).unwrap(), 1, "{:?}", String::from_utf8_lossy(&heard));
            heard.push(byte[0]);
        }
        String::from_utf8(heard).unwrap()
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }
}

#[test]
fn a_request_and_its_answer_cross() {
    let rig = Rig::new();
    let house = House::of(&rig);
    let mut client = rig.client();
    client.say("POST /api/x?y HTTP/1.1\r\nHost: here\r\nX-Forwarded-For: 6.6.6.6\r\nContent-Length: 10\r\n\r\n01234");
    client.say("56789");
    let mut visitor = house.visitor();
    let head = visitor.hear_until("\r\n\r\n");
    assert!(head.starts_with("POST /api/x?y HTTP/1.1\r\nHost: here\r\n"), "{head}");
    assert!(head.contains("X-Forwarded-For: 127.0.0.1\r\n") && !head.contains("6.6.6.6"), "{head}");
    assert!(head.contains("Connection: close\r\n"), "{head}");
    assert_eq!(visitor.hear_until("9"), "0123456789");
    visitor.say("HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    drop(visitor);
    let answer = client.answer();
    assert_eq!((answer.status, &*answer.body), (201, "ok"));
}

#[test]
fn a_large_answer_crosses_whole() {
    let rig = Rig::new();
    let house = House::of(&rig);
    let mut client = rig.client();
    client.say("GET /api/big HTTP/1.0\r\n\r\n");
    let mut visitor = house.visitor();
    visitor.hear_until("\r\n\r\n");
    let thread = std::thread::spawn(move || visitor.say(&format!("HTTP/1.0 200 OK\r\n\r\n{}", "x".repeat(3 << 20))));
    assert_eq!(client.answer().body.len(), 3 << 20);
    thread.join().unwrap();
}

#[test]
fn an_upload_that_is_expected_to_ask_first_may() {
    let rig = Rig::new();
    let house = House::of(&rig);
    let mut client = rig.client();
    client.say("PUT /api/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.hear_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    client.say("1\r\nx\r\n0\r\n\r\n");
    let mut visitor = house.visitor();
    assert!(!visitor.hear_until("\r\n\r\n").contains("Expect"));
    assert_eq!(visitor.hear_until("0\r\n\r\n"), "1\r\nx\r\n0\r\n\r\n");
    visitor.say("HTTP/1.1 204 No Content\r\n\r\n");
    drop(visitor);
    assert_eq!(client.answer().status, 204);
}

#[test]
fn a_house_that_is_away_is_explained_in_the_readers_language() {
    let rig = Rig::new();
    let answer = rig.ask("GET /api HTTP/1.1\r\nHost: a\r\nAccept-Language: ar-EG,en;q=0.5\r\n\r\n");
    assert!(answer.status == 503 && answer.has("Content-Language: ar") && answer.has("Retry-After: 3"), "{answer:?}");
    assert!(answer.has("Content-Type: application/problem+json") && answer.body.contains("نعود"), "{answer:?}");
    let house = House::of(&rig);
    let mut client = rig.client();
    client.say("GET /api HTTP/1.1\r\nHost: a\r\n\r\n");
    // Asked twice, for the first may have been a house that was ending.
    drop(house.visitor());
    drop(house.visitor());
    assert_eq!(client.answer().status, 503);
}

#[test]
fn what_a_house_that_ends_leaves_unread_the_next_one_is_asked_if_that_changes_nothing() {
    let rig = Rig::new();
    let house = House::of(&rig);
    for (request, is_asked_again) in
        [("GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n", true), ("DELETE /api/x HTTP/1.1\r\nHost: a\r\n\r\n", false)]
    {
        let mut client = rig.client();
        client.say(request);
        drop(house.visitor());
        if is_asked_again {
            let mut next = house.visitor();
            assert!(next.hear_until("\r\n\r\n").starts_with("GET /api/x HTTP/1.1\r\nHost: a\r\n"));
            next.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            drop(next);
            assert_eq!(client.answer().body, "ok");
        } else {
            assert_eq!(client.answer().status, 503, "it may have been done");
        }
    }
    // What it has begun to answer is not asked again.
    let mut client = rig.client();
    client.say("GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut visitor = house.visitor();
    visitor.hear_until("\r\n\r\n");
    visitor.say("HTTP/1.1 200");
    drop(visitor);
    assert_eq!(client.answer().status, 503);
}

#[test]
fn event_streams_do_not_take_the_places_of_ordinary_requests() {
    let rig = Rig::with(Limits { forwards: 1, streams: 2, ..Limits::for_files(20_000) });
    let house = House::of(&rig);
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut client = rig.client();
        client.say("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut visitor = house.visitor();
        visitor.hear_until("\r\n\r\n");
        visitor.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
        client.hear_until("data: 1\n\n");
        streams.push((client, visitor));
    }
    for (client, visitor) in &mut streams {
        visitor.say("data: 2\n\n");
        client.hear_until("data: 2\n\n");
    }
    let mut third = rig.client();
    third.say("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut visitor = house.visitor();
    visitor.hear_until("\r\n\r\n");
    assert_eq!(
        rig.ask("GET /api HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").status,
        503,
        "the one ordinary place is taken"
    );
    visitor.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    assert_eq!(third.answer().status, 503, "there is no third place for a stream");
    let (client, mut visitor) = streams.pop().unwrap();
    drop(client);
    assert_eq!(visitor.0.read(&mut [0]).unwrap(), 0, "the house learns that a watcher has left");
}

#[test]
fn a_chunked_upload_without_end_is_refused_and_the_house_never_hears_of_it() {
    let rig = Rig::new();
    let house = House::of(&rig);
    let mut client = rig.client();
    client.say("POST /api/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.say(&format!("8000\r\n{}\r\n", "x".repeat(0x8000)).repeat(3));
    assert_eq!(client.answer().status, 413);
    house.0.set_nonblocking(true).unwrap();
    assert!(house.0.accept().is_err());
}

#[test]
fn slow_bodies_hold_no_place_at_the_house_and_have_an_end_however_steadily_they_trickle() {
    let limits = Limits { forwards: 1, uploads: 2, upload: Duration::from_millis(500), ..Limits::for_files(20_000) };
    let rig = Rig::with(limits);
    let house = House::of(&rig);
    let post = "POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\nx";
    let mut slow = [rig.client(), rig.client()];
    slow.iter_mut().for_each(|client| client.say(post));
    rig.until("both are handed over", |rig| {
        rig.handle.stats().accepted_total == 2 && rig.handle.stats().connections == 0
    });
    assert_eq!(rig.ask(post).status, 503, "there is no third place for what is not whole");
    let mut quick = rig.client();
    quick.say("POST /api/y HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    let mut visitor = house.visitor();
    assert!(visitor.hear_until("hi").starts_with("POST /api/y"));
    visitor.say("HTTP/1.1 204 No Content\r\n\r\n");
    drop(visitor);
    assert_eq!(quick.answer().status, 204);
    for mut client in slow {
        client.0.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let begin = Instant::now();
        while client.0.peek(&mut [0]).is_err() {
            assert!(begin.elapsed() < WAIT, "still taken, byte by byte");
            let _ = client.0.write_all(b"x");
        }
        client.0.set_read_timeout(Some(WAIT)).unwrap();
        client.hear_until("408 ");
    }
}

#[test]
fn a_file_crosses_whole_at_the_stage_and_few_are_in_memory_at_once() {
    const FILE: &str =
        "PUT /api/spaces/v1/spaces/x/hold-music HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nContent-Length: ";
    let rig = Rig::stage(Limits { large_uploads: 1, ..Limits::for_files(20_000) });
    let house = House::of(&rig);
    for bytes in [3 << 20, 20_000_000] {
        let mut client = rig.client();
        client.say(&format!("{FILE}{bytes}\r\n\r\n{}", "x".repeat(bytes / 2)));
        let full = rig.ask(&format!("{FILE}70000\r\n\r\n"));
        assert_eq!(full.status, 503, "there is no second place for what is large");
        // What is small has places of its own.
        let mut small = rig.client();
        small.say(&format!("{FILE}2\r\n\r\nhi"));
        let mut visitor = house.visitor();
        visitor.hear_until("hi");
        visitor.say("HTTP/1.1 204 No Content\r\n\r\n");
        drop(visitor);
        assert_eq!(small.answer().status, 204);

        let sending = std::thread::spawn(move || {
            client.say(&"x".repeat(bytes - bytes / 2));
            client
        });
        let mut visitor = house.visitor();
        assert!(visitor.hear_until("\r\n\r\n").starts_with("PUT "));
        let mut body = vec![0; bytes];
        visitor.0.read_exact(&mut body).unwrap();
        assert!(body.iter().all(|&byte| byte == b'x'));
        assert_eq!(rig.ask(&format!("{FILE}70000\r\n\r\n")).status, 503, "it is in memory still");
        visitor.say("HTTP/1.1 204 No Content\r\n\r\n");
        drop(visitor);
        assert_eq!(sending.join().unwrap().answer().status, 204);
    }
    assert_eq!(rig.ask(&format!("{FILE}20000001\r\n\r\n")).status, 413);
    let crowd = Rig::new();
    assert_eq!(crowd.ask(&format!("{FILE}70000\r\n\r\n")).status, 413, "a crowd has no files to give");
}

#[test]
fn a_file_may_take_its_time_but_not_for_ever() {
    let limits = Limits {
        upload: Duration::from_millis(1),
        large_upload: Duration::from_millis(1_500),
        ..Limits::for_files(20_000)
    };
    let rig = Rig::stage(limits);
    let mut client = rig.client();
    let begin = Instant::now();
    client.say("PUT /api/spaces/v1/spaces/x/hold-music HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nContent-Length: 70000\r\n\r\nx");
    assert_eq!(client.answer().status, 408);
    assert!(begin.elapsed() >= Duration::from_millis(1_500), "{:?}", begin.elapsed());
}

#[test]
fn whoever_does_not_read_an_answer_holds_no_place_at_the_house() {
    let limits = Limits { forwards: 1, answer: Duration::from_millis(500), ..Limits::for_files(20_000) };
    let rig = Rig::with(limits);
    let house = House::of(&rig);
    let ask = || {
        let mut client = rig.client();
        client.say("GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut visitor = house.visitor();
        visitor.hear_until("\r\n\r\n");
        (client, visitor)
    };
    let (_unread, mut visitor) = ask();
    // More than sockets hold: the house is cut off in the middle of it, for the client reads nothing.
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(64 << 20));
    assert!(visitor.0.write_all(endless.as_bytes()).is_err());
    let (mut next, mut visitor) = ask();
    visitor.say("HTTP/1.1 204 No Content\r\n\r\n");
    drop(visitor);
    assert_eq!(next.answer().status, 204);
}
