//! Who is counted, as whom, and among whom.

use std::time::{Duration, SystemTime};

use hiwar_admission::{Listen, ListenKey, Origin, PassId, Rehearsal, RehearsalKey, RehearsalToken, Scope};
use hiwar_delivery::audience::Sketch;
use hiwar_delivery::http::{Access, Count, Figures, Heard};

use crate::rig::{Client, Rig, id};

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
fn badge(later: Duration) -> String {
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
    let mut position = 47;
    rig.until("nobody", |rig| {
        rig.chunks("demo", position..position + 1);
        count(rig).rehearsal.listening == 0
    });
    position += 1;
    rig.chunks("demo", position..position + 1);
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
