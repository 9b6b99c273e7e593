//! MP3 for radios, decoded by a decoder that is not ours.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::ear::{Ear, tail, tone};
use crate::http::ask;
use crate::mouth::Mouth;
use crate::server::{PATIENCE, Server, Space, until};

/// The house says this when an encode begins, and when it ends.
const BEGINS: &str = "somebody listens by radio";
const ENDS: &str = "nobody listens by radio";

fn path(space: &Space) -> String {
    format!("/listen/{}.mp3", space.id)
}

/// The sound of an MP3 stream that may end inside a frame.
fn pcm(mp3: &[u8]) -> Vec<f32> {
    nanomp3::decode_all(mp3).samples
}

/// Waits for a tone: from `from` (bytes) on, half a second is mostly that.
fn hears(ear: &Ear, hz: f32, from: usize) {
    ear.body(&format!("{hz} Hz in MP3"), |body| {
        // Decoding it all again for every write would take longer than the writes.
        let recent = &body[body.len().saturating_sub(16_000).max(from.min(body.len()))..];
        (tone(tail(&pcm(recent), 0.5)?, hz) > 0.6).then_some(())
    });
}

/// Sound and titles of a stream with titles.
fn apart(mut bytes: &[u8], every: usize) -> (Vec<u8>, Vec<String>) {
    let (mut sound, mut titles) = (Vec::new(), Vec::new());
    while let Some((piece, rest)) = bytes.split_at_checked(every)
        && let Some((&length, rest)) = rest.split_first()
        && let Some((text, rest)) = rest.split_at_checked(usize::from(length) * 16)
    {
        sound.extend_from_slice(piece);
        let text = std::str::from_utf8(text).expect("UTF-8").trim_end_matches('\0');
        titles.extend(Some(text).filter(|text| !text.is_empty()).map(str::to_owned));
        bytes = rest;
    }
    (sound, titles)
}

#[test]
fn radios_hear_mp3_with_titles_if_they_ask_and_nobody_hears_anything_without_listeners() {
    let server = Server::start_talkative();
    let space = server.create(json!({ "title": "حوار الليلة", "audience": "public" }));
    server.host(&space, "start");
    let by_ogg = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let guest = server.speaker_pass(&space, "L'invité");
    let mouth = Mouth::speak(server.stage, &space.id, &guest, 440.0);
    by_ogg.hears(440.0, 0);
    // A long burst can be had: the programme has been running for a while.
    by_ogg.body("three seconds", |body| (crate::ear::pages(body).len() > 17).then_some(()));
    assert!(!server.said().contains(BEGINS), "nobody has asked for MP3");

    let begun = Instant::now();
    let radio = Ear::on(server.public, &path(&space));
    let burst = radio.body("sound", |body| (!body.is_empty()).then_some(body.len()));
    let waited = begun.elapsed();
    // One second is promised; three are a machine that does other things besides.
    assert!(waited < Duration::from_secs(3), "the first listener waited {waited:?}");
    let head = radio.head();
    assert!(head.contains("\r\nContent-Type: audio/mpeg\r\n") && !head.contains("icy-metaint"), "{head}");
    assert!(head.contains("\r\nicy-name: حوار الليلة\r\n") && head.contains("\r\nicy-br: 64\r\n"), "{head}");
    hears(&radio, 440.0, 0);
    assert!(server.said().contains(BEGINS) && burst > 0);
    server.until_view(&space, "both are counted", |view| view["listeners"] == 2);

    // A second listener has the whole burst in its first bytes: two seconds are 16,000.
    let late = Ear::on(server.public, &path(&space));
    let first = late.body("the burst", |body| (body.len() >= 12_000).then(|| pcm(body)));
    assert!(first.len() >= 60_000 && tone(tail(&first, 0.5).unwrap(), 440.0) > 0.6, "{} samples", first.len());

    // Titles: who speaks, and in what. The sound between them is whole.
    let titled = Ear::asking(server.public, &path(&space), &[("Icy-MetaData", "1")]);
    let head = titled.head();
    let every = head.lines().find_map(|line| line.strip_prefix("icy-metaint: ")).expect("a distance").parse().unwrap();
    let said = "StreamTitle='L’invité - حوار الليلة';";
    titled.body("the title", |body| {
        let (sound, titles) = apart(body, every);
        (titles.iter().any(|title| title == said) && tone(tail(&pcm(&sound), 0.5)?, 440.0) > 0.6).then_some(())
    });

    // The last one leaves; a while after, nothing is encoded any more.
    drop((radio, late, titled));
    until("the encode ends", || server.said().contains(ENDS).then_some(()));
    assert_eq!(server.said().matches(BEGINS).count(), 1, "one encode for all of them");
    let again = Ear::on(server.public, &path(&space));
    hears(&again, 440.0, 0);

    // The end is the end for radios, too.
    server.host(&space, "end");
    drop(mouth);
    again.closed("goodbye");
    assert_eq!(ask(server.public, "GET", &path(&space), &[], &[]).status, 410);
}

#[test]
fn a_radio_stays_through_the_death_of_the_house() {
    let server = Server::start();
    let space = server.live("on the air");
    let radio = Ear::on(server.public, &path(&space));
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    hears(&radio, 440.0, 0);
    server.kill_child("\"House\"");
    drop(mouth);
    server.until_answered();
    let from = radio.bytes();
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 700.0);
    hears(&radio, 700.0, from);
    assert!(!radio.is_closed());
    drop(mouth);
}

#[test]
fn who_may_not_hear_a_space_may_not_hear_it_by_radio() {
    let server = Server::start();
    let get = |method: &str, path: &str| ask(server.public, method, path, &[], &[]);
    assert_eq!(get("GET", "/listen/nobody.mp3").status, 404);
    let invited = server.create(json!({ "title": "few", "audience": "invited" }));
    until("told", || (get("GET", &path(&invited)).status == 401).then_some(()));
    let token = invited.listen_link.split("pass=").nth(1).expect("a pass in the link");
    let head = get("HEAD", &format!("{}?pass={token}", path(&invited)));
    assert_eq!((head.status, head.header("content-type"), head.body.len()), (200, Some("audio/mpeg"), 0));
    let open = server.live("open");
    until("told", || (get("HEAD", &path(&open)).status == 200).then_some(()));
    assert_eq!(get("POST", &path(&open)).status, 405);
    let beside = get("GET", &format!("/listen/{}--mp3.mp3", open.id));
    assert_eq!(beside.status, 404, "what it is called inside is nobody's business");
}

#[test]
fn a_thousand_radios_that_come_and_go_leave_one_encode_and_then_none() {
    let server = Server::start_talkative();
    let space = server.live("crowd");
    until("told", || (ask(server.public, "HEAD", &path(&space), &[], &[]).status == 200).then_some(()));
    let house = *server.children("\"House\"").first().expect("a house");
    let threads = || std::fs::read_dir(format!("/proc/{house}/task")).map_or(0, Iterator::count);
    let before = threads();
    // HTTP/1.0, as old radios ask; some never read, some leave before the answer.
    let come = |n: u32| {
        let mut radio = TcpStream::connect(server.public).expect("a connection");
        radio.set_read_timeout(Some(PATIENCE)).unwrap();
        let icy = if n.is_multiple_of(2) { "Icy-MetaData: 1\r\n" } else { "" };
        let _ = write!(radio, "GET {} HTTP/1.0\r\n{icy}\r\n", path(&space));
        if n.is_multiple_of(3) {
            let mut first = [0; 12];
            radio.read_exact(&mut first).expect("an answer");
            assert_eq!(&first, b"HTTP/1.1 200");
        }
        radio
    };
    // One stays until it is certain that somebody was seen: the others may come and go between two looks of the worker.
    let stays = come(0);
    for n in 1..1_000 {
        drop(come(n));
    }
    until("it began", || server.said().contains(BEGINS).then_some(()));
    drop(stays);
    until("everyone is gone", || (server.view(&space)["listeners"] == 0).then_some(()));
    until("the encode ends", || server.said().contains(ENDS).then_some(()));
    assert_eq!((server.said().matches(BEGINS).count(), server.said().matches(ENDS).count()), (1, 1));
    assert!(threads() <= before, "{before} threads have become {}", threads());
}
