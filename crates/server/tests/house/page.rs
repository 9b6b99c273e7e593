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

/// A page in all the ways in which it is asked for, of one state of its space.
struct Seen {
    small: Reply,
    plain: Reply,
    head: Reply,
    /// By the tag of the first, and of the second.
    again: [Reply; 2],
    part: Reply,
}

/// `None`: the space is not, or not any more, what it was.
fn look(server: &Server, space: &Space, says: &str) -> Option<Seen> {
    let small = page(server, space, "GET", &[("Accept-Encoding", "gzip, br")]);
    assert_eq!((small.status, small.header("content-encoding")), (200, Some("br")), "at no time as it is: {says}");
    let tag = small.header("etag")?.to_owned();
    let is_this = String::from_utf8_lossy(&read(&small.body)).contains(says);
    if !is_this || !tag.ends_with("-p-br\"") {
        return None;
    }
    let plain = page(server, space, "GET", &[]);
    let head = page(server, space, "HEAD", &[("Accept-Encoding", "br")]);
    let known = |tag: &str| page(server, space, "GET", &[("Accept-Encoding", "br"), ("If-None-Match", tag)]);
    let again = [known(&tag), known(plain.header("etag").expect("a tag"))];
    // It has no parts.
    let part = page(server, space, "GET", &[("Accept-Encoding", "br"), ("Range", "bytes=0-9")]);
    let last = page(server, space, "GET", &[("Accept-Encoding", "br")]);
    (last.header("etag") == Some(&tag)).then_some(Seen { small, plain, head, again, part })
}

fn weighs_little(server: &Server, space: &Space, says: &str) {
    let Seen { small, plain, head, again, part } =
        until("the page is as small as can be, and nothing happens for a moment", || look(server, space, says));
    assert_eq!(small.header("vary"), Some("Accept-Encoding"));
    // Who has it asks whether it still is; whoever has it for thousands asks once in a second.
    assert_eq!(small.header("cache-control"), Some("max-age=0, must-revalidate, s-maxage=1"));
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, Some("Accept-Encoding")));
    assert!(read(&small.body) == plain.body, "the same page: {says}");
    assert_ne!(small.header("etag"), plain.header("etag"), "two representations");
    assert!(small.body.len() <= BYTES_MAX, "{} bytes: {says}", small.body.len());
    let fields = ["etag", "content-encoding", "content-length", "vary", "cache-control", "content-security-policy"];
    assert_eq!(fields.map(|field| head.header(field)), fields.map(|field| small.header(field)));
    assert!(head.body.is_empty());
    for known in again {
        assert_eq!((known.status, known.body.len()), (304, 0));
    }
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
