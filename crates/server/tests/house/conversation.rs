//! One conversation from the first voice to the replay.

use hiwar_media::package::ogg as file;
use serde_json::json;

use crate::ear::{Ear, pcm, pieces, tone};
use crate::http::ask;
use crate::mouth::Mouth;
use crate::server::{Server, until};

#[test]
fn a_conversation_is_heard_seen_ended_and_replayed() {
    let server = Server::start();
    let space = server.create(json!({ "title": "حوار", "audience": "public", "language": "ar" }));
    let watcher = Ear::on(server.stage, &format!("/api/spaces/v1/spaces/{}/events", space.id));
    let says = |text: &str| {
        watcher.body(text, |body| String::from_utf8_lossy(body).contains(text).then_some(()));
    };
    says("\"state\":\"open\"");
    server.host(&space, "start");
    says("\"state\":\"live\"");
    let by_mp4 = Ear::on(server.public, &format!("/listen/{}.mp4", space.id));
    let by_ogg = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));

    // A host speaks: heard, and seen in the events and in the sound.
    let host = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    by_ogg.hears(440.0, 0);
    says("\"speaking\":true");
    let id = server.view(&space)["speakers"][0]["id"].as_str().expect("a speaker").to_owned();
    by_mp4.body("who speaks, in the sound", |body| {
        let events = pieces(body).into_iter().flat_map(|piece| piece.events);
        events.into_iter().any(|event| event["t"] == "speaking" && event["id"] == id.as_str()).then_some(())
    });

    // A guest comes: each hears the other, and not themselves.
    let pass = server.speaker_pass(&space, "ضيف");
    let guest = Mouth::speak(server.stage, &space.id, &pass, 1000.0);
    guest.hears("the host and not themselves", |sound| tone(sound, 440.0) > 0.6 && tone(sound, 1000.0) < 0.02);
    host.hears("the guest and not themselves", |sound| tone(sound, 1000.0) > 0.6 && tone(sound, 440.0) < 0.02);
    until("both on stage", || (server.view(&space)["speakers"].as_array()?.len() == 2).then_some(()));

    // The end: told to everybody, and their connections close.
    server.host(&space, "end");
    let heard = pieces(&by_mp4.closed("the end of the MP4 stream"));
    by_ogg.closed("the end of the Ogg stream");
    until("speakers are sent home", || (host.is_gone() && guest.is_gone()).then_some(()));
    assert!(heard.iter().flat_map(|piece| &piece.events).any(|event| event["t"] == "ended"), "no `ended` event");
    let over = ask(server.public, "GET", &format!("/listen/{}.ogg", space.id), &[], &[]);
    assert_eq!(over.status, 410, "{over:?}");

    // The replay.
    let view = server.until_view(&space, "posted", |view| view["state"] == "posted");
    says("\"state\":\"posted\"");
    let live_s = heard.iter().map(|piece| piece.frames.len()).sum::<usize>() as f64 * 0.02;
    let duration_s = view["replay"]["duration"].as_f64().expect("a duration");
    assert!((live_s - duration_s).abs() <= 0.3, "{live_s} s were heard, the replay has {duration_s} s");

    let get = |path: &str, headers: &[(&str, &str)]| ask(server.public, "GET", path, headers, &[]);
    let ogg = get(&format!("/replay/{}.ogg", space.id), &[]);
    assert_eq!((ogg.status, ogg.header("content-type")), (200, Some("audio/ogg")));
    let stream = file::frames(&ogg.body).expect("an Ogg file without holes");
    let sound = pcm(stream.packets.iter().map(Vec::as_slice));
    assert!((sound.len() as f64 / 48_000.0 - duration_s).abs() < 0.05);
    let has = |hz: f32| sound.chunks(24_000).any(|half| tone(half, hz) > 0.4);
    assert!(has(440.0) && has(1000.0), "somebody is missing from the replay");

    let path = format!("/replay/{}.mp4", space.id);
    let mp4 = get(&path, &[]);
    assert_eq!((mp4.status, mp4.header("content-type"), &mp4.body[4..8]), (200, Some("audio/mp4"), &b"ftyp"[..]));
    let part = get(&path, &[("Range", "bytes=100-199")]);
    assert_eq!((part.status, &part.body[..]), (206, &mp4.body[100..200]));
    assert_eq!(part.header("content-range"), Some(&*format!("bytes 100-199/{}", mp4.body.len())));
    let beyond = format!("bytes={}-", mp4.body.len());
    assert_eq!(get(&path, &[("Range", &beyond)]).status, 416);

    // Every byte range of the playlist is a fragment of the file.
    let playlist = get(&format!("/replay/{}/index.m3u8", space.id), &[]).text();
    assert!(playlist.contains("#EXT-X-ENDLIST") && playlist.contains(&format!("../{}.mp4", space.id)), "{playlist}");
    let mut fragments = 0;
    for line in playlist.lines().filter_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:")) {
        let (length, offset) = line.split_once('@').expect("an offset");
        let (length, offset): (usize, usize) = (length.parse().unwrap(), offset.parse().unwrap());
        let fragment = &mp4.body[offset..offset + length];
        assert!(fragment[4..8] == *b"moof" || fragment[4..8] == *b"emsg", "{line}");
        fragments += 1;
    }
    assert_eq!(fragments, (duration_s / 4.0).ceil() as usize);

    let (code, words) = server.verify(&space.id);
    assert!(code == Some(0) && words.contains("sealed"), "{words}");
}
