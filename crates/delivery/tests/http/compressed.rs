//! Playlists compressed for who takes that, and what is said of it to caches.

use std::io::Read;

use flate2::read::GzDecoder;
use hiwar_admission::{Listen, ListenKey, PassId, Scope};
use hiwar_delivery::http::Access;
use hiwar_segment_log::disk::{Options, Writer};
use hiwar_segment_log::retention::Retention;

use crate::rig::{Rig, chunk, header_record};

fn rig() -> Rig {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.open("invited", Access::Pass);
    rig.chunks("demo", 0..411);
    rig.chunks("invited", 0..411);
    rig
}

/// Head and body of an answer.
fn ask(rig: &Rig, what: &str, fields: &str) -> (String, Vec<u8>) {
    let mut client = rig.client();
    client.say(&format!("{what} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n"));
    let head = client.hear_until("\r\n\r\n");
    let mut body = Vec::new();
    client.0.read_to_end(&mut body).unwrap();
    (head, body)
}

fn plain(gzip: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut text).unwrap();
    text
}

#[test]
fn a_playlist_is_compressed_for_who_takes_it_and_is_the_same() {
    let rig = rig();
    for target in ["/hls/demo/live.m3u8", "/hls/demo/live.m3u8?_HLS_skip=YES", "/hls/demo/live.m3u8?_HLS_msn=20"] {
        let get = format!("GET {target}");
        if target.ends_with("msn=20") {
            rig.chunks("demo", 411..420);
        }
        let (head, text) = ask(&rig, &get, "");
        assert!(head.contains("\r\nVary: Accept-Encoding\r\n") && !head.contains("Content-Encoding"), "{head}");
        let (head, gzip) = ask(&rig, &get, "Accept-Encoding: deflate, gzip;q=0.8, br\r\n");
        assert!(head.contains("\r\nVary: Accept-Encoding\r\nContent-Encoding: gzip\r\n"), "{head}");
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", gzip.len())), "{head}");
        assert!(gzip.len() * 3 < text.len(), "{} of {}", gzip.len(), text.len());
        assert_eq!(plain(&gzip), text, "{target}");
        let (of_head, nothing) = ask(&rig, &format!("HEAD {target}"), "Accept-Encoding: gzip\r\n");
        assert!(nothing.is_empty() && of_head.contains(&format!("\r\nContent-Length: {}\r\n", gzip.len())));
        assert_eq!(ask(&rig, &get, "Accept-Encoding: gzip;q=0, br\r\n").1, text);
    }
    let (head, _) = ask(&rig, "GET /hls/demo/19.m4a", "Accept-Encoding: gzip\r\n");
    assert!(!head.contains("Vary") && !head.contains("Content-Encoding"), "sound is not compressed: {head}");
}

#[test]
fn one_listeners_own_playlist_is_not_and_it_has_its_pass() {
    let rig = rig();
    let expires = std::time::SystemTime::now() + crate::rig::WAIT;
    let pass = Listen { id: PassId([1; 8]), scope: Scope::parse("invited").unwrap(), expires };
    let token = ListenKey::from_bytes([7; 32]).sign(&pass);
    let (head, text) = ask(&rig, &format!("GET /hls/invited/live.m3u8?pass={token}"), "Accept-Encoding: gzip\r\n");
    assert!(head.contains("\r\nCache-Control: private") && !head.contains("Content-Encoding"), "{head}");
    assert!(String::from_utf8(text).unwrap().contains(&format!("?pass={token}")));
    let bearer = format!("Authorization: Bearer {token}\r\nAccept-Encoding: gzip\r\n");
    let (head, gzip) = ask(&rig, "GET /hls/invited/live.m3u8", &bearer);
    assert!(head.contains("Content-Encoding: gzip") && !plain(&gzip).windows(5).any(|text| text == b"pass="), "{head}");
}

#[test]
fn the_list_of_hours_is_compressed_too() {
    let rig = rig();
    let options = Options { retention: Retention::EVERYTHING, ..Options::default() };
    let (mut writer, _) = Writer::open(&rig.folder.path().join("spaces/demo/log"), options).unwrap();
    writer.append(&header_record()).unwrap();
    (0..400).for_each(|position| writer.append(&chunk(position, 0)).unwrap());
    let (head, text) = ask(&rig, "GET /hls/demo/rewind.m3u8", "");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("\r\nVary: Accept-Encoding\r\n"), "{head}");
    let (head, gzip) = ask(&rig, "GET /hls/demo/rewind.m3u8", "Accept-Encoding: gzip\r\n");
    assert!(head.contains("\r\nContent-Encoding: gzip\r\n") && plain(&gzip) == text, "{head}");
}
