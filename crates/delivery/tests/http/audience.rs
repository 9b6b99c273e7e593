//! Who is counted, as whom, and among whom.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use hiwar_admission::{Listen, ListenKey, Origin, PassId, Rehearsal, RehearsalKey, RehearsalToken, Scope};
use hiwar_delivery::audience::Sketch;
use hiwar_delivery::http::{Access, Count, Figures, Heard, Update};

use crate::rig::{Client, Rig, chunk, id};

/// How many different people heard the demo, of those who were not asked after yet.
pub(crate) fn people(rig: &Rig, which: Heard) -> u64 {
    let mut sketch = Sketch::default();
    for news in
        rig.handle.news(usize::MAX).into_iter().filter(|news| news.heard == which && news.log.stem() == id("demo"))
    {
        sketch.take_all(news.registers);
    }
    sketch.estimate()
}

fn rig() -> Rig {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..47);
    rig
}

fn count(rig: &Rig) -> Count {
    // Also what was told before.
    rig.handle.retell();
    *rig.counts().iter().find(|count| count.log == id("demo")).expect("the demo")
}

fn listen(rig: &Rig, name: &str, fields: &str) -> Client {
    let mut client = rig.client();
    client.say(&format!("GET /listen/demo.{name} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    client.hear_until(if name == "mp4" { "m46;" } else { "o46;" });
    client
}

fn fetch(rig: &Rig, file: &str, fields: &str) -> u16 {
    rig.ask(&format!("GET /hls/demo/{file} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n")).status
}

/// The badge of a grant that the rig issued, and that ends so much later.
pub(crate) fn badge(later: Duration) -> String {
    let rehearsal = Rehearsal {
        id: PassId([1; 8]),
        origin: Origin::parse("http://127.0.0.1:1").unwrap(),
        listeners_max: 10,
        expires: SystemTime::now() + later,
    };
    let token = RehearsalKey::from_bytes([7; 32]).sign(&rehearsal);
    format!("Hiwar-Rehearsal: {}\r\n", RehearsalToken::read(SystemTime::UNIX_EPOCH, &token).unwrap().badge())
}

#[test]
fn one_person_in_three_forms_is_heard_once() {
    let rig = rig();
    let _mp4 = listen(&rig, "mp4", "User-Agent: one\r\n");
    let _ogg = listen(&rig, "ogg", "User-Agent: one\r\n");
    assert_eq!(fetch(&rig, "live.m3u8", "User-Agent: one\r\n"), 200);
    assert_eq!(people(&rig, Heard::Ever), 1);
    let figures = count(&rig).audience;
    assert_eq!((figures.listening, figures.joined_total, figures.silent_total), (2, 2, 0));
    let _other = listen(&rig, "mp4", "User-Agent: other\r\n");
    rig.handle.retell();
    assert_eq!(people(&rig, Heard::Ever), 2);
}

#[test]
fn two_players_of_hls_are_two_however_often_they_ask() {
    let rig = rig();
    for _ in 0..3 {
        for player in ["User-Agent: one\r\n", "User-Agent: two\r\n"] {
            assert_eq!(fetch(&rig, "live.m3u8", player), 200);
            assert_eq!(fetch(&rig, "1.m4a", player), 200);
        }
    }
    assert_eq!(people(&rig, Heard::ByPieces), 2);
    let figures = count(&rig).audience;
    assert_eq!((figures.listening, figures.joined_total), (0, 0));
    assert!(figures.bytes_total > 0);
}

#[test]
fn what_is_not_answered_makes_nobody_a_listener() {
    let rig = rig();
    for file in ["999.m4a", "live.m3u8?_HLS_msn=x", "init.mp4", "nothing"] {
        fetch(&rig, file, "");
    }
    assert_eq!(rig.ask("HEAD /hls/demo/live.m3u8 HTTP/1.0\r\n\r\n").status, 200);
    assert_eq!(rig.ask("HEAD /listen/demo.mp4 HTTP/1.0\r\n\r\n").status, 200);
    assert!(rig.handle.news(usize::MAX).is_empty());
    assert_eq!(count(&rig).audience, Figures::default());
}

#[test]
fn a_pass_tells_people_apart_only_if_it_is_good() {
    let rig = rig();
    let pass = |key: u8, id, space| {
        let expires = SystemTime::now() + Duration::from_secs(60);
        let pass = Listen { id: PassId([id; 8]), scope: Scope::parse(space).unwrap(), expires };
        format!("Authorization: Bearer {}\r\n", ListenKey::from_bytes([key; 32]).sign(&pass))
    };
    for fields in [pass(7, 1, "demo"), pass(7, 2, "demo"), pass(8, 3, "demo"), pass(7, 4, "other"), String::new()] {
        assert_eq!(fetch(&rig, "live.m3u8", &fields), 200);
    }
    assert_eq!(people(&rig, Heard::ByPieces), 3, "two with a pass, and everyone else at this address");
}

#[test]
fn who_is_rehearsed_is_in_no_ordinary_figure() {
    let rig = rig();
    let badge = badge(Duration::from_secs(60));
    let rehearsed = listen(&rig, "mp4", &badge);
    assert_eq!(fetch(&rig, "live.m3u8", &badge), 200);
    assert!(rig.handle.news(usize::MAX).is_empty());
    let counted = count(&rig);
    assert_eq!(counted.audience, Figures::default());
    assert_eq!((counted.rehearsal.listening, counted.rehearsal.joined_total), (1, 1));
    assert!(counted.rehearsal.bytes_total > 0 && counted.fetched, "it keeps what it hears awake");
    drop(rehearsed);
    let position = Cell::new(47);
    rig.until("nobody", |rig| {
        let next = position.replace(position.get() + 1);
        rig.chunks("demo", next..next + 1);
        count(rig).rehearsal.listening == 0
    });
    assert_eq!(count(&rig).audience, Figures::default());
}

#[test]
fn who_shows_a_badge_that_is_none_is_neither_rehearsed_nor_audience() {
    let rig = rig();
    let good = badge(Duration::from_secs(60));
    let late = badge(Duration::ZERO);
    let twice = good.repeat(2);
    for fields in ["Hiwar-Rehearsal: x.y\r\n", "Hiwar-Rehearsal:\r\n", "Hiwar-Rehearsal: \u{e9}\r\n", &late, &twice] {
        let request = format!("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
        assert_eq!(rig.ask(&request).status, 403, "{fields}");
        assert_eq!(fetch(&rig, "live.m3u8", fields), 403, "{fields}");
    }
    assert!(rig.handle.news(usize::MAX).is_empty());
    let counted = count(&rig);
    assert_eq!((counted.audience, counted.rehearsal), (Figures::default(), Figures::default()));
}

#[test]
fn who_leaves_before_anything_was_to_hear_has_heard_nothing() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.until("open", |rig| !rig.counts().is_empty());
    let listen = |fields: &str| {
        let mut client = rig.client();
        client.say(&format!("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        client.hear_until("init-mp4;");
        client
    };
    let (early, stays, rehearsed) = (listen(""), listen(""), listen(&badge(Duration::from_secs(60))));
    drop((early, rehearsed));
    // A listener who has hung up may just have nothing more to ask: that it is gone is seen when it is written to.
    let position = Cell::new(0);
    rig.until("two are gone", |rig| {
        let next = position.replace(position.get() + 1);
        rig.chunks("demo", next..next + 1);
        let count = count(rig);
        (count.audience.listening, count.rehearsal.listening) == (1, 0)
    });
    assert_eq!((count(&rig).audience.silent_total, count(&rig).rehearsal.silent_total), (1, 1));
    let mut stays = stays;
    stays.hear_until("m0;");
    drop(stays);
    rig.until("nobody", |rig| {
        let next = position.replace(position.get() + 1);
        rig.chunks("demo", next..next + 1);
        count(rig).audience.listening == 0
    });
    let figures = count(&rig).audience;
    assert_eq!((figures.joined_total, figures.silent_total), (2, 1), "who has heard a chunk has heard something");
}

#[test]
fn who_asks_and_hangs_up_has_heard_nothing_whatever_was_sent_after_it() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..20);
    rig.until("open", |rig| !rig.counts().is_empty());
    for asked in 1..=5 {
        let mut client = rig.client();
        client.say("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
        drop(client);
        rig.until("it was a listener", |rig| count(rig).audience.joined_total == asked);
    }
    let newest = Cell::new(19);
    rig.until("they are gone", |rig| {
        newest.set(newest.get() + 1);
        rig.chunks("demo", newest.get()..newest.get() + 1);
        rig.listening("demo") == 0
    });
    assert_eq!(count(&rig).audience.silent_total, 5);
}

#[test]
fn who_stops_reading_is_not_counted_until_it_reads_again() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.until("open", |rig| !rig.counts().is_empty());
    let mut client = rig.client();
    rustix::net::sockopt::set_socket_recv_buffer_size(&client.0, 4_096).unwrap();
    client.say("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
    client.hear_until("init-mp4;");
    let newest = Cell::new(0);
    rig.until("it has stopped", |rig| {
        newest.set(newest.get() + 1);
        rig.handle.push(Update::Chunk { log: id("demo"), record: chunk(newest.get(), 4_000) });
        rig.taken();
        rig.listening("demo") == 0
    });
    let stats = rig.handle.stats();
    assert_eq!((stats.skipped_total, stats.cut_total), (0, 0), "it is long before it loses anything");
    assert_eq!(count(&rig).audience.joined_total, 1);
    // It reads what there is, and is there again.
    client.hear_until(&format!("m{}{};", newest.get(), ".".repeat(4_000)));
    rig.until("it is there again", |rig| rig.listening("demo") == 1);
    drop(client);
    rig.until("it is gone", |rig| {
        newest.set(newest.get() + 1);
        rig.chunks("demo", newest.get()..newest.get() + 1);
        rig.listening("demo") == 0
    });
    assert_eq!(count(&rig).audience.silent_total, 0);
}

#[test]
fn who_is_cut_after_it_stopped_is_not_taken_out_twice() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.until("open", |rig| !rig.counts().is_empty());
    let _other = {
        let mut client = rig.client();
        client.say("GET /listen/demo.ogg HTTP/1.1\r\nHost: a\r\n\r\n");
        client.hear_until("init-ogg;");
        client
    };
    let mut client = rig.client();
    rustix::net::sockopt::set_socket_recv_buffer_size(&client.0, 4_096).unwrap();
    client.say("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
    client.hear_until("init-mp4;");
    // Sound of the one form only, so that the other listener need not read.
    let chunk = |n| {
        let record = chunk(n, 4_000);
        let body = hiwar_segment_log::Parts::new().push(0, &record.part(0).unwrap()).finish();
        Update::Chunk { log: id("demo"), record: hiwar_segment_log::Record { body, ..record } }
    };
    let position = Cell::new(0);
    rig.until("it is cut", |rig| {
        rig.handle.push(chunk(position.replace(position.get() + 1)));
        rig.taken();
        rig.handle.stats().cut_total == 1
    });
    assert_eq!(rig.listening("demo"), 1);
}
