//! Low-Latency HLS as a player meets it: what is listed is there, and what is promised is waited for.

use hiwar_delivery::http::{Access, Limits, Update};
use std::time::{Duration, Instant};

use crate::rig::{Answer, Client, Rig, WAIT, id};

fn rig() -> Rig {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..47);
    rig
}

fn get(rig: &Rig, file: &str) -> Answer {
    rig.ask(&head(file, "Connection: close\r\n"))
}

fn head(file: &str, fields: &str) -> String {
    format!("GET /hls/demo/{file} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

/// Sends a request that must wait, and sees that it does: what is answered without waiting is answered at once.
fn wait_for(rig: &Rig, file: &str) -> Client {
    let mut client = rig.client();
    client.say(&head(file, "Connection: close\r\n"));
    // Whoever was accepted before was read before: the worker has one thread.
    assert_eq!(get(rig, "init.mp4").status, 200);
    client.0.set_nonblocking(true).unwrap();
    let mut byte = [0];
    let why = std::io::Read::read(&mut client.0, &mut byte).unwrap_err();
    assert_eq!(why.kind(), std::io::ErrorKind::WouldBlock, "{file} is answered, and was to wait");
    client.0.set_nonblocking(false).unwrap();
    client
}

#[test]
fn what_is_listed_is_there() {
    let rig = rig();
    let playlist = get(&rig, "live.m3u8");
    assert!(
        playlist.has("Content-Type: application/vnd.apple.mpegurl") && playlist.has("Access-Control-Allow-Origin: *")
    );
    assert!(playlist.has("Cache-Control: public, max-age=1"), "{}", playlist.head);
    let segments: Vec<_> = playlist.body.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(segments, ["0.m4a", "1.m4a"]);
    for segment in segments {
        assert_eq!(get(&rig, segment).body.matches(';').count(), 20);
    }
    let parts: Vec<_> = playlist.body.split("#EXT-X-PART:").skip(1).filter_map(|line| line.split('"').nth(1)).collect();
    assert_eq!(parts.len(), 9, "{}", playlist.body);
    for part in parts {
        let part = get(&rig, part);
        assert_eq!(part.body.matches(';').count(), 5);
        assert!(part.has("Cache-Control: public, max-age=24"), "{}", part.head);
    }
}

#[test]
fn a_part_a_segment_and_a_playlist_are_waited_for() {
    let rig = rig();
    let mut part = wait_for(&rig, "2.1.m4a");
    let mut segment = wait_for(&rig, "2.m4a");
    let mut playlist = wait_for(&rig, "live.m3u8?_HLS_msn=2&_HLS_part=1");
    let mut later = wait_for(&rig, "live.m3u8?_HLS_msn=2&_HLS_part=3&_HLS_skip=YES");
    rig.chunks("demo", 47..50);
    assert_eq!(part.answer().body, "m45;m46;m47;m48;m49;");
    let playlist = playlist.answer();
    assert!(playlist.body.ends_with("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"2.2.m4a\"\n"), "{}", playlist.body);
    assert!(playlist.has("Cache-Control: public, max-age=24"), "{}", playlist.head);
    rig.chunks("demo", 50..60);
    assert_eq!(segment.answer().body.matches(';').count(), 20);
    assert!(later.answer().body.ends_with("\n2.m4a\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"3.0.m4a\"\n"));
}

#[test]
fn a_connection_goes_on_after_it_has_waited() {
    let rig = rig();
    let mut client = rig.client();
    client.say(&head("2.1.m4a", ""));
    // The next request is there while the first one waits.
    client.say(&head("2.0.m4a", "Connection: close\r\n"));
    assert_eq!(get(&rig, "init.mp4").status, 200);
    rig.chunks("demo", 47..50);
    let both = client.rest();
    assert!(both.contains("m45;m46;m47;m48;m49;") && both.ends_with("m40;m41;m42;m43;m44;"), "{both}");
}

#[test]
fn who_waits_is_told_of_the_end_at_once() {
    let rig = rig();
    let mut playlist = wait_for(&rig, "live.m3u8?_HLS_msn=2");
    let mut part = wait_for(&rig, "2.2.m4a");
    rig.handle.push(Update::Ended { log: id("demo") });
    assert!(playlist.answer().body.ends_with("\n2.m4a\n#EXT-X-ENDLIST\n"));
    assert_eq!(part.answer().status, 404);
    assert!(get(&rig, "live.m3u8").body.ends_with("#EXT-X-ENDLIST\n"));
}

#[test]
fn nobody_waits_for_ever_and_the_refusal_is_kept_by_no_cache() {
    let rig = Rig::with(Limits { hold: Duration::from_millis(300), ..Limits::for_files(20_000) });
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..47);
    let begin = Instant::now();
    let mut client = rig.client();
    client.say(&head("2.1.m4a", "Accept-Language: ar\r\n"));
    let answer = client.answer();
    assert!(begin.elapsed() >= Duration::from_millis(300));
    assert_eq!(answer.status, 503);
    assert!(
        answer.has("Cache-Control: no-store") && answer.has("Retry-After: 2") && answer.has("Content-Language: ar")
    );
    // Whoever left while waiting is forgotten, and the rest is answered.
    let mut gone = rig.client();
    gone.say(&head("2.1.m4a", ""));
    assert_eq!(get(&rig, "init.mp4").status, 200);
    drop(gone);
    let mut stays = rig.client();
    stays.say(&head("2.1.m4a", "Connection: close\r\n"));
    rig.chunks("demo", 47..50);
    assert_eq!(stays.answer().status, 200);
    rig.until("everyone is gone", |rig| rig.handle.stats().connections == 0);
}

#[test]
fn what_asks_too_much_is_refused_at_once() {
    let rig = rig();
    for query in
        ["_HLS_part=1", "_HLS_msn=9", "_HLS_msn=2&_HLS_part=9", "_HLS_msn=two", "_HLS_msn=3&_HLS_part=3", "_HLS_skip=x"]
    {
        let answer = get(&rig, &format!("live.m3u8?{query}"));
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.has("Cache-Control: no-store"), "{}", answer.head);
        assert!(answer.body.contains("/problems/hls-directive"), "{}", answer.body);
    }
    for file in ["3.1.m4a", "9.m4a", "2.4.m4a", "02.0.m4a"] {
        assert_eq!(get(&rig, file).status, 404, "{file}");
    }
}

#[test]
fn a_thousand_who_wait_are_all_answered() {
    let rig = rig();
    let mut clients: Vec<Client> = (0..1_000).map(|_| rig.client()).collect();
    clients.iter_mut().for_each(|client| client.say(&head("2.1.m4a", "Connection: close\r\n")));
    rig.until("all are here", |rig| rig.handle.stats().connections >= 1_000);
    rig.chunks("demo", 47..50);
    for client in &mut clients {
        assert_eq!(client.answer().body, "m45;m46;m47;m48;m49;");
    }
}

#[test]
fn a_log_that_has_just_begun_is_waited_for_and_one_that_has_not_is_not_there() {
    let rig = Rig::with(Limits { news: WAIT / 20, ..Limits::for_files(20_000) });
    let mut early = rig.client();
    early.say(&head("live.m3u8", "Connection: close\r\n"));
    // Whoever was accepted before was read before.
    assert_eq!(get(&rig, "init.mp4").status, 404);
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..25);
    assert_eq!(early.answer().status, 200);
    let none = rig.ask("GET /hls/none/live.m3u8 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(none.status, 404);
}

#[test]
fn whoever_asks_for_pieces_is_told_of_and_counted_as_nobody() {
    let rig = rig();
    let mut waits = wait_for(&rig, "live.m3u8?_HLS_msn=2&_HLS_part=1");
    let fetched = |rig: &Rig| {
        rig.counts()
            .iter()
            .map(|count| (count.fetched, count.audience.listening, count.audience.joined_total))
            .collect::<Vec<_>>()
    };
    assert_eq!(fetched(&rig), [(true, 0, 0)]);
    rig.chunks("demo", 47..50);
    assert_eq!(waits.answer().status, 200);
    // Said again while it is so.
    assert_eq!(fetched(&rig), [(true, 0, 0)]);
    let quiet = self::rig();
    assert_eq!(get(&quiet, "init.mp4").status, 200);
    assert!(fetched(&quiet).iter().all(|(fetched, ..)| !fetched), "this is no sound");
}
