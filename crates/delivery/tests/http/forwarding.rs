//! What the house answers.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use hiwar_delivery::http::Limits;

use crate::rig::{Rig, WAIT};

struct House(UnixListener);

impl House {
    fn of(rig: &Rig) -> Self {
        Self(UnixListener::bind(rig.folder.path().join("api.sock")).unwrap())
    }

    fn visitor(&self) -> Visitor {
        let (stream, _) = self.0.accept().unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        Visitor(stream)
    }
}

struct Visitor(UnixStream);

impl Visitor {
    fn hear_until(&mut self, end: &str) -> String {
        let mut heard = Vec::new();
        while !heard.ends_with(end.as_bytes()) {
            let mut byte = [0];
            assert_eq!(self.0.read(&mut byte).unwrap(), 1, "{:?}", String::from_utf8_lossy(&heard));
            heard.push(byte[0]);
        }
        String::from_utf8(heard).unwrap()
    }

    fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }
}

#[test]
fn a_request_and_its_answer_cross() {
    let rig = Rig::new();
    let house = House::of(&rig);
    let mut client = rig.client();
    client.say("POST /api/x?y HTTP/1.1\r\nHost: here\r\nX-Forwarded-For: 6.6.6.6\r\nContent-Length: 10\r\n\r\n01234");
    let mut visitor = house.visitor();
    let head = visitor.hear_until("\r\n\r\n");
    assert!(head.starts_with("POST /api/x?y HTTP/1.1\r\nHost: here\r\n"), "{head}");
    assert!(head.contains("X-Forwarded-For: 127.0.0.1\r\n") && !head.contains("6.6.6.6"), "{head}");
    assert!(head.contains("Connection: close\r\n"), "{head}");
    client.say("56789");
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
    let mut visitor = house.visitor();
    visitor.hear_until("\r\n\r\n");
    visitor.say("HTTP/1.1 100 Continue\r\n\r\n");
    client.hear_until("\r\n\r\n");
    client.say("1\r\nx\r\n0\r\n\r\n");
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
    drop(house.visitor());
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
fn a_chunked_upload_without_end_is_refused() {
    let rig = Rig::new();
    let house = House::of(&rig);
    let mut client = rig.client();
    client.say("POST /api/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut visitor = house.visitor();
    let thread = std::thread::spawn(move || {
        let mut heard = Vec::new();
        let _ = visitor.0.read_to_end(&mut heard);
        heard.len()
    });
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
    let status = loop {
        if client.0.write_all(chunk.as_bytes()).is_err() {
            break None;
        }
        client.0.set_nonblocking(true).unwrap();
        let mut head = [0; 12];
        let read = client.0.peek(&mut head);
        client.0.set_nonblocking(false).unwrap();
        if matches!(read, Ok(12)) {
            break Some(String::from_utf8(head[9..].to_vec()).unwrap());
        }
    };
    assert!(status.is_none_or(|status| status == "413"));
    assert!(thread.join().unwrap() < 11 << 20);
}
