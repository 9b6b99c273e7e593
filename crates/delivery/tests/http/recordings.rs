//! Files, whole and in parts.

use std::io::Read;
use std::time::{Duration, Instant};

use hiwar_delivery::http::{Access, Limits, Update};

use crate::rig::{Rig, WAIT, id, pause};

fn rig(access: Access) -> Rig {
    let rig = Rig::new();
    let folder = rig.folder.path().join("spaces/demo/replay");
    std::fs::create_dir_all(&folder).unwrap();
    let sound: String = (0..100_000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
    std::fs::write(folder.join("replay.mp4"), sound).unwrap();
    std::fs::write(folder.join("replay.ogg"), "0123456789").unwrap();
    std::fs::write(folder.join("index.m3u8"), "#EXTM3U\n../demo.mp4\n").unwrap();
    rig.open("demo", access);
    rig.handle.push(Update::Ended { log: id("demo") });
    rig.until("open", |rig| !rig.counts().is_empty());
    rig
}

fn ask(rig: &Rig, what: &str, fields: &str) -> crate::rig::Answer {
    rig.ask(&format!("{what} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n"))
}

#[test]
fn a_recording_is_sent_whole_or_in_part() {
    let rig = rig(Access::Open);
    let whole = ask(&rig, "GET /replay/demo.ogg", "");
    assert_eq!((whole.status, &*whole.body), (200, "0123456789"));
    assert!(
        whole.has("Content-Type: audio/ogg") && whole.has("Accept-Ranges: bytes") && whole.has("Content-Length: 10")
    );
    let part = ask(&rig, "GET /replay/demo.ogg", "Range: bytes=2-4\r\n");
    assert_eq!((part.status, &*part.body), (206, "234"));
    assert!(part.has("Content-Range: bytes 2-4/10") && part.has("Content-Length: 3"));
    assert_eq!(ask(&rig, "GET /replay/demo.ogg", "Range: bytes=-3\r\n").body, "789");
    assert_eq!(ask(&rig, "GET /replay/demo.ogg", "Range: bytes=0-1,4-5\r\n").status, 200);
    let beyond = ask(&rig, "GET /replay/demo.ogg", "Range: bytes=10-\r\n");
    assert!(beyond.status == 416 && beyond.has("Content-Range: bytes */10"), "{beyond:?}");
    let tag = whole.head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    assert_eq!(ask(&rig, "GET /replay/demo.ogg", &format!("If-None-Match: {tag}\r\n")).status, 304);
    assert_eq!(ask(&rig, "GET /replay/demo.ogg", &format!("Range: bytes=0-0\r\nIf-Range: {tag}\r\n")).status, 206);
    assert_eq!(ask(&rig, "GET /replay/demo.ogg", "Range: bytes=0-0\r\nIf-Range: \"old\"\r\n").status, 200);
    let head = ask(&rig, "HEAD /replay/demo.mp4", "");
    assert!(head.status == 200 && head.body.is_empty() && head.has("Content-Length: 100000"), "{head:?}");
}

#[test]
fn a_player_seeks_on_one_connection() {
    let rig = rig(Access::Open);
    let mut client = rig.client();
    for first in [0, 50_000, 99_990] {
        client.say(&format!("GET /replay/demo.mp4 HTTP/1.1\r\nHost: a\r\nRange: bytes={first}-{}\r\n\r\n", first + 9));
        let head = client.hear_until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 206") && !head.contains("Connection: close"), "{head}");
        let mut part = [0; 10];
        std::io::Read::read_exact(&mut client.0, &mut part).unwrap();
        assert_eq!(part[0], b'a' + (first % 26) as u8);
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let rig = rig(Access::Open);
    std::fs::remove_file(rig.folder.path().join("spaces/demo/replay/replay.ogg")).unwrap();
    assert_eq!(ask(&rig, "GET /replay/demo.ogg", "").status, 404);
    assert_eq!(ask(&rig, "GET /replay/none.ogg", "").status, 404);
    assert_eq!(ask(&rig, "GET /replay/demo.wav", "").status, 404);
    assert_eq!(ask(&rig, "GET /replay/demo/other.m3u8", "").status, 404);
    assert_eq!(ask(&rig, "PUT /replay/demo.mp4", "").status, 405);
}

#[test]
fn a_recording_by_invitation_needs_the_pass_and_repeats_it() {
    let rig = rig(Access::Pass);
    assert_eq!(ask(&rig, "GET /replay/demo.mp4", "").status, 401);
    let token = pass("demo");
    assert_eq!(ask(&rig, &format!("GET /replay/demo.mp4?pass={token}"), "").status, 200);
    allow_clips(&rig);
    for clip in ["GET /replay/demo/clip.mp4?from=1&to=2", "GET /replay/demo/chapters.json", "GET /replay/demo/clip.mp4"]
    {
        assert_eq!(ask(&rig, clip, "").status, 401, "{clip}");
    }
    let clip = ask(&rig, &format!("GET /replay/demo/clip.mp4?from=1&to=2&pass={token}"), "");
    assert!(clip.status == 200 && clip.has("Cache-Control: private, no-cache"), "{clip:?}");
    let playlist = ask(&rig, &format!("GET /replay/demo/index.m3u8?pass={token}"), "");
    assert_eq!(playlist.body, format!("#EXTM3U\n../demo.mp4?pass={token}\n"));
}

fn pass(scope: &str) -> String {
    let expires = std::time::SystemTime::now() + crate::rig::WAIT;
    let scope = hiwar_admission::Scope::parse(scope).unwrap();
    let pass = hiwar_admission::Listen { id: hiwar_admission::PassId([1; 8]), scope, expires };
    hiwar_admission::ListenKey::from_bytes([7; 32]).sign(&pass)
}

#[test]
fn a_recording_under_review_is_for_those_who_review_it_and_then_for_all() {
    let rig = rig(Access::Open);
    allow_clips(&rig);
    let shelve = |access, status| {
        rig.handle.push(Update::Shelved { log: id("demo"), access });
        rig.until("shelved", |rig| ask(rig, "HEAD /replay/demo.mp4", "").status == status);
    };
    shelve(Access::Review, 404);
    let (listen, review) = (pass("demo"), pass("demo--review"));
    for path in [
        "/replay/demo.mp4",
        "/replay/demo.ogg",
        "/replay/demo/index.m3u8",
        "/replay/demo/chapters.json",
        "/replay/demo/clip.mp4?from=1&to=2",
    ] {
        assert_eq!(ask(&rig, &format!("GET {path}"), "").status, 404, "{path}");
        let and = if path.contains('?') { '&' } else { '?' };
        assert_eq!(ask(&rig, &format!("GET {path}{and}pass={listen}"), "").status, 404, "{path}");
    }
    assert_eq!(ask(&rig, "GET /hls/demo/rewind.m3u8", "").status, 410);
    let whole = ask(&rig, &format!("GET /replay/demo.ogg?pass={review}"), "");
    assert!(whole.status == 200 && whole.has("Cache-Control: private, no-cache"), "{whole:?}");
    let playlist = ask(&rig, &format!("GET /replay/demo/index.m3u8?pass={review}"), "");
    assert_eq!(playlist.body, format!("#EXTM3U\n../demo.mp4?pass={review}\n"));

    shelve(Access::Open, 200);
    assert_eq!(ask(&rig, "GET /replay/demo.ogg", "").body, "0123456789");
    assert_eq!(ask(&rig, "GET /hls/demo/rewind.m3u8", "").status, 410);
    assert_eq!(ask(&rig, "GET /hls/demo/0.m4a", "").status, 404);

    // Whoever was invited hears it then, and who reviewed it needs an invitation like others.
    shelve(Access::Pass, 401);
    assert_eq!(ask(&rig, &format!("GET /replay/demo.ogg?pass={review}"), "").status, 401);
    assert_eq!(ask(&rig, &format!("GET /replay/demo.ogg?pass={listen}"), "").status, 200);
}

fn allow_clips(rig: &Rig) {
    std::fs::write(rig.folder.path().join("spaces/demo/replay/clips"), "").unwrap();
}

#[test]
fn a_clip_is_sent_whole_or_in_part_to_any_page() {
    let rig = rig(Access::Open);
    allow_clips(&rig);
    let whole = ask(&rig, "GET /replay/demo/clip.mp4?from=1&to=2.5", "Origin: https://blog.example\r\n");
    assert_eq!((whole.status, &*whole.body), (200, "demo Mp4 klmnopqrstuvwxy"));
    for field in
        ["Content-Type: audio/mp4", "Accept-Ranges: bytes", "Content-Length: 24", "Access-Control-Allow-Origin: *"]
    {
        assert!(whole.has(field), "{field} in {whole:?}");
    }
    let ogg = ask(&rig, "GET /replay/demo/clip.ogg?from=0&to=0.1", "");
    assert!(ogg.body == "demo Ogg a" && ogg.has("Content-Type: audio/ogg"), "{ogg:?}");
    let part = ask(&rig, "GET /replay/demo/clip.mp4?from=1&to=2.5", "Range: bytes=9-11\r\n");
    assert_eq!((part.status, &*part.body), (206, "klm"));
    assert!(part.has("Content-Range: bytes 9-11/24"), "{part:?}");
    let tag = whole.head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    let again = ask(&rig, "GET /replay/demo/clip.mp4?from=1&to=2.5", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((again.status, &*again.body), (304, ""));
    let head = ask(&rig, "HEAD /replay/demo/clip.mp4?from=1&to=2.5", "");
    assert!(head.status == 200 && head.body.is_empty() && head.has("Content-Length: 24"), "{head:?}");
    assert_eq!(ask(&rig, "OPTIONS /replay/demo/clip.mp4?from=1&to=2.5", "").status, 204);
}

#[test]
fn after_a_clip_the_connection_goes_on() {
    let rig = rig(Access::Open);
    allow_clips(&rig);
    std::fs::write(rig.folder.path().join("spaces/demo/replay/replay.mp4"), vec![b'x'; 900]).unwrap();
    let mut client = rig.client();
    for _ in 0..2 {
        client.say("GET /replay/demo/clip.mp4?from=0&to=90 HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = client.hear_until("\r\n\r\n");
        assert!(head.contains("Content-Length: 909\r\n") && !head.contains("Connection: close"), "{head}");
        let mut body = [0; 909];
        client.0.read_exact(&mut body).unwrap();
        assert!(body.ends_with(&[b'x'; 900]));
    }
}

#[test]
fn a_clip_that_cannot_be_is_refused_in_words_of_both_languages() {
    let rig = rig(Access::Open);
    let refused = |path: &str, status: u16, name: &str| {
        for (language, code) in [("ar", "ar"), ("fr, en", "en")] {
            let answer = ask(&rig, &format!("GET /replay/{path}"), &format!("Accept-Language: {language}\r\n"));
            assert_eq!(answer.status, status, "{path}: {answer:?}");
            assert!(answer.has("Content-Type: application/problem+json") && answer.body.contains(name), "{answer:?}");
            assert!(answer.body.contains(&format!("\"lang\":\"{code}\"")), "{answer:?}");
        }
    };
    refused("demo/clip.mp4?from=1&to=2", 403, "/problems/clips-off");
    allow_clips(&rig);
    refused("demo/clip.mp4", 400, "/problems/clip-times");
    refused("demo/clip.mp4?from=a&to=b", 400, "/problems/clip-times");
    refused("demo/clip.ogg?from=2&to=1", 400, "/problems/clip-reversed");
    refused("demo/clip.mp4?from=1&to=91.001", 400, "/problems/clip-too-long");
    refused("demo/clip.mp4?from=9990&to=10001", 404, "/problems/clip-outside");
    refused("demo/clip.wav?from=1&to=2", 404, "/problems/not-found");
    refused("none/clip.mp4?from=1&to=2", 404, "/problems/not-found");
    assert_eq!(ask(&rig, "POST /replay/demo/clip.mp4?from=1&to=2", "").status, 405);
    std::fs::remove_file(rig.folder.path().join("spaces/demo/replay/replay.mp4")).unwrap();
    refused("demo/clip.mp4?from=1&to=2", 404, "/problems/not-found");
}

#[test]
fn chapters_are_for_podcast_players() {
    let rig = rig(Access::Open);
    assert_eq!(ask(&rig, "GET /replay/demo/chapters.json", "").status, 404);
    std::fs::write(rig.folder.path().join("spaces/demo/replay/chapters.json"), "{}").unwrap();
    let chapters = ask(&rig, "GET /replay/demo/chapters.json", "");
    assert_eq!((chapters.status, &*chapters.body), (200, "{}"));
    assert!(chapters.has("Content-Type: application/json+chapters"), "{chapters:?}");
    assert!(chapters.has("Access-Control-Allow-Origin: *"), "{chapters:?}");
}

#[test]
fn recordings_and_listeners_share_their_files_and_each_keeps_some() {
    // For each kind of help two, which are one recording; the rest is whose who comes first.
    let limits = Limits { connections: 8, files: 16, files_kept: 8, replays: 9, ..Limits::for_files(20_000) };
    let rig = Rig::with(limits);
    let folder = rig.folder.path().join("spaces/live/replay");
    std::fs::create_dir_all(&folder).unwrap();
    // More than sockets hold.
    std::fs::write(folder.join("replay.mp4"), vec![b'x'; 32 << 20]).unwrap();
    rig.open("live", Access::Open);
    rig.chunks("live", 0..3);
    let asked = |rig: &Rig| {
        let mut client = rig.client();
        client.say("GET /replay/live.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
        let status = client.hear_until("\r\n\r\n")[9..12].parse::<u16>().unwrap();
        (status, client)
    };
    // Nobody listens: four recordings of two files, beside what is kept for others.
    let mut read: Vec<_> = (0..4).map(|_| asked(&rig)).collect();
    assert!(read.iter().all(|(status, _)| *status == 200));
    let listen = |rig: &Rig| {
        let mut client = rig.client();
        client.say("GET /listen/live.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
        client
    };
    let mut ears: Vec<_> = (0..5).map(|_| listen(&rig)).collect();
    rig.until("as many as there is room for", |rig| rig.handle.stats().full_total > 0 && rig.listening("live") == 2);
    // Who reads no more makes room for who listens.
    read.clear();
    rig.until("all listen", |rig| rig.listening("live") == 5);
    ears.extend((0..2).map(|_| listen(&rig)));
    rig.until("all listen", |rig| rig.listening("live") == 7);
    let (status, _reads) = asked(&rig);
    assert_eq!(status, 200, "the one that is kept");
    assert_eq!(asked(&rig).0, 503, "there is no room for more");
    drop(ears);
}

#[test]
fn whoever_takes_next_to_nothing_of_a_recording_is_let_go_and_who_takes_some_is_not() {
    let limits = Limits { replay_pause: Duration::from_millis(400), replays: 2, ..Limits::for_files(20_000) };
    let rig = Rig::with(limits);
    let folder = rig.folder.path().join("spaces/demo/replay");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("replay.mp4"), vec![b'x'; 64 << 20]).unwrap();
    rig.open("demo", Access::Open);
    rig.handle.push(Update::Ended { log: id("demo") });
    let ask = || {
        let mut client = rig.client();
        client.say("GET /replay/demo.mp4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let status = client.hear_until("\r\n\r\n")[9..12].parse::<u16>().unwrap();
        (status, client)
    };
    let ((_, mut trickles), (_, mut reads)) = (ask(), ask());
    let begin = Instant::now();
    let mut seen = 0;
    // A byte now and then is a sign of life to any kernel.
    let (status, _client) = loop {
        trickles.0.read_exact(&mut [0]).unwrap();
        let mut some = vec![0; 1 << 20];
        reads.0.read_exact(&mut some).unwrap();
        seen += some.len();
        assert!(begin.elapsed() < WAIT, "it still has its place");
        match ask() {
            (503, _) => {}
            other => break other,
        }
        pause(Duration::from_millis(30));
    };
    assert_eq!(status, 200, "a place is free");
    assert!(begin.elapsed() >= Duration::from_millis(400) && seen < 48 << 20, "because it was let go");
    reads.0.read_exact(&mut vec![0; (64 << 20) - seen]).unwrap();
}
