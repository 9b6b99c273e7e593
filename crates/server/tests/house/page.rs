//! What a space's page weighs on its way, whatever the space is in.

use serde_json::json;

use crate::http::{Reply, ask};
use crate::server::{Server, Space, until};

/// The first round trip of a connection: ten packets (RFC 6928).
const BYTES_MAX: usize = 14 * 1_024;

fn page(server: &Server, space: &Space, method: &str, headers: &[(&str, &str)]) -> Reply {
    ask(server.public, method, &format!("/s/{}", space.id), headers, &[])
}

fn read(small: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    brotli::BrotliDecompress(&mut &small[..], &mut text).expect("brotli");
    text
}

/// Its page as it is when nothing has happened for a moment.
fn weighs_little(server: &Server, space: &Space, says: &str) {
    let small = until("the page is as small as can be", || {
        let reply = page(server, space, "GET", &[("Accept-Encoding", "gzip, br")]);
        assert_eq!((reply.status, reply.header("content-encoding")), (200, Some("br")), "at no time as it is: {says}");
        let is_this = String::from_utf8_lossy(&read(&reply.body)).contains(says);
        (is_this && reply.header("etag").is_some_and(|tag| tag.ends_with("-p-br\""))).then_some(reply)
    });
    assert_eq!(small.header("vary"), Some("Accept-Encoding"));
    let plain = page(server, space, "GET", &[]);
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, Some("Accept-Encoding")));
    assert!(read(&small.body) == plain.body, "the same page: {says}");
    assert_ne!(small.header("etag"), plain.header("etag"), "two representations");
    assert!(small.body.len() <= BYTES_MAX, "{} bytes: {says}", small.body.len());
    let head = page(server, space, "HEAD", &[("Accept-Encoding", "br")]);
    let fields = ["etag", "content-encoding", "content-length", "vary", "cache-control", "content-security-policy"];
    assert_eq!(fields.map(|field| head.header(field)), fields.map(|field| small.header(field)));
    assert!(head.body.is_empty());
    for known in [&small, &plain] {
        let tag = known.header("etag").expect("a tag");
        let again = page(server, space, "GET", &[("Accept-Encoding", "br"), ("If-None-Match", tag)]);
        assert_eq!((again.status, again.body.len()), (304, 0));
    }
    // It has no parts.
    let part = page(server, space, "GET", &[("Accept-Encoding", "br"), ("Range", "bytes=0-9")]);
    assert_eq!((part.status, part.body.len()), (200, small.body.len()));
}

#[test]
fn a_page_is_sent_compressed_whatever_its_space_is_in() {
    let server = Server::start();
    let title = "حوار حول مستقبل المدينة · A talk on the future of the city";
    for audience in ["public", "unlisted", "invited"] {
        let space = server.create(json!({ "title": title, "audience": audience }));
        weighs_little(&server, &space, "\"state\":\"open\"");
        server.host(&space, "start");
        weighs_little(&server, &space, "\"state\":\"live\"");
        server.host(&space, "end");
        weighs_little(&server, &space, "\"state\":\"ended\"");
    }
    let off = server.create(json!({ "title": title, "audience": "public" }));
    server.host(&off, "cancel");
    weighs_little(&server, &off, "\"state\":\"cancelled\"");
    let nowhere = ask(server.public, "GET", "/s/nowhere", &[("Accept-Encoding", "br")], &[]);
    assert_eq!((nowhere.status, nowhere.header("content-encoding")), (404, Some("br")));
    assert!(nowhere.body.len() <= BYTES_MAX, "{} bytes of nothing", nowhere.body.len());
}

#[test]
fn the_page_of_a_recording_is_sent_compressed() {
    let server = Server::start();
    let space = server.live("A talk");
    let mouth = crate::mouth::Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    let ear = crate::ear::Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    ear.hears(440.0, 0);
    drop(mouth);
    server.host(&space, "end");
    server.until_view(&space, "a replay", |view| view["state"] == "posted");
    weighs_little(&server, &space, "\"state\":\"posted\"");
}
