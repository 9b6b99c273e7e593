//! Levels that an operator orders, and what they mean for whoever comes anew: by real sockets.

use std::time::{Duration, SystemTime};

use hiwar_admission::ladder::{Cadence, Level, Order, Reason};
use hiwar_delivery::http::{Access, Document, Update};

use crate::rig::{Answer, Client, Rig, document};

const ELSEWHERE: &str = "https://cdn.example";
const PANIC: Order = Order { pin: None, cap: None, panic: Some(Level::Capped) };

fn rig(elsewhere: Option<&str>) -> Rig {
    let rig = elsewhere.map_or_else(Rig::new, Rig::with_elsewhere);
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..20);
    rig
}

fn ask(rig: &Rig, target: &str, fields: &str) -> Answer {
    rig.ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n"))
}

/// Somebody who hears it.
fn listener(rig: &Rig, target: &str) -> Client {
    let mut client = rig.client();
    client.say(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    client.hear_until("19;");
    client
}

fn order(rig: &Rig, order: Order) {
    rig.handle.push(Update::Ladder(order));
    let least = order.least();
    rig.until("the order", |rig| rig.handle.stats().stance.level == least);
    rig.taken();
}

#[test]
fn whoever_comes_anew_is_sent_to_the_delayed_stream_and_whoever_listens_stays() {
    let rig = rig(Some(ELSEWHERE));
    let mut ear = listener(&rig, "/listen/demo.mp4?t=");
    order(&rig, Order { panic: Some(Level::Delayed), ..Order::default() });
    for form in ["ogg", "mp4"] {
        let player = ask(&rig, &format!("/listen/demo.{form}?pass=P"), "");
        assert_eq!(player.status, 307, "{player:?}");
        assert!(player.has("Location: https://cdn.example/hls/demo/live.m3u8?pass=P"), "{player:?}");
    }
    let page = ask(&rig, "/listen/demo.mp4?t=&hls", "Sec-Fetch-Dest: empty\r\n");
    assert_eq!((page.status, page.has("Cache-Control: no-store")), (307, true), "{page:?}");
    assert!(page.has("Access-Control-Allow-Origin: *"), "{page:?}");
    // A browser that cannot play it hears the longest pieces, by our page's player or by its own.
    let mut here = listener(&rig, "/listen/demo.mp4?t=");
    let mut other = rig.client();
    other.say("GET /listen/demo.ogg HTTP/1.1\r\nHost: a\r\nSec-Fetch-Dest: audio\r\n\r\n");
    other.hear_until("o19;");
    rig.until("three", |rig| rig.listening("demo") == 3);
    rig.chunks("demo", 20..21);
    ear.hear_until("m20;");
    here.hear_until("m20;");
    let stats = rig.handle.stats();
    assert_eq!((stats.stance.cadence, stats.stance.for_joiners()), (Cadence::Ms200, Cadence::S4));
    assert_eq!(stats.stance.reasons, Reason::Operator.into());
    order(&rig, Order::default());
    rig.chunks("demo", 21..22);
    ear.hear_until("m21;");
    let _third = listener(&rig, "/listen/demo.ogg");
    assert_eq!((rig.handle.stats().cut_total, rig.listening("demo")), (0, 4));
}

#[test]
fn whoever_came_while_pieces_were_long_has_them_as_short_as_others_afterwards() {
    let rig = rig(None);
    order(&rig, Order { panic: Some(Level::Delayed), ..Order::default() });
    let mut ear = listener(&rig, "/listen/demo.mp4");
    order(&rig, Order::default());
    rig.chunks("demo", 20..21);
    ear.hear_until("m20;");
    rig.chunks("demo", 21..22);
    ear.hear_until("m21;");
}

#[test]
fn the_panic_switch_tells_whoever_comes_anew_that_there_is_no_place_and_is_undone_at_once() {
    let rig = rig(None);
    let mut ear = listener(&rig, "/listen/demo.mp4");
    order(&rig, PANIC);
    for target in ["/listen/demo.mp4?t=", "/listen/demo.ogg"] {
        let told = ask(&rig, target, "");
        assert_eq!((told.status, told.has("Retry-After: 300")), (503, true), "{told:?}");
        assert!(told.body.contains("\"stage\":\"rank\"") && told.body.contains("recording"), "{told:?}");
        assert!(told.body.contains("\"kept\":false"), "{told:?}");
    }
    let page = ask(&rig, "/s/demo/wait", "Accept-Language: ar\r\n");
    assert!(
        page.status == 200 && page.body.contains("dir=\"rtl\"") && page.has("Refresh: 300; url=/s/demo/wait?t=-"),
        "{page:?}"
    );
    rig.chunks("demo", 20..21);
    ear.hear_until("m20;");
    order(&rig, Order::default());
    let _other = listener(&rig, "/listen/demo.ogg");
    assert_eq!(rig.listening("demo"), 2);
}

#[test]
fn whoever_is_told_that_there_is_no_place_is_offered_the_delayed_stream_where_there_is_one() {
    for elsewhere in [None, Some(ELSEWHERE)] {
        let rig = rig(elsewhere);
        order(&rig, PANIC);
        // What a browser itself asks for is not sent away.
        let page = ask(&rig, "/s/demo/wait?pass=P", "Sec-Fetch-Dest: document\r\n");
        let link = "<a href=\"https://cdn.example/hls/demo/live.m3u8?pass=P\">Listen now";
        assert_eq!((page.status, page.body.contains(link)), (200, elsewhere.is_some()), "{page:?}");
        assert!(page.body.contains("<a href=\"/s/demo?pass=P\">"), "{page:?}");
        assert!(page.body.contains("URL%3Ahttps%3A%2F%2Ftalk.example%2Fs%2Fdemo"), "{page:?}");
        let told = ask(&rig, "/listen/demo.ogg", "Sec-Fetch-Dest: audio\r\n");
        let address = ",\"elsewhere\":\"https://cdn.example/hls/demo/live.m3u8\"";
        assert_eq!((told.status, told.body.contains(address)), (503, elsewhere.is_some()), "{told:?}");
        assert!(told.body.ends_with(",\"page\":\"/s/demo\"}"), "{told:?}");
    }
}

#[test]
fn at_a_door_whoever_has_a_ticket_or_a_place_is_no_newcomer() {
    let rig = rig(Some(ELSEWHERE));
    rig.open_with_door("talk", Access::Open);
    rig.chunks("talk", 0..20);
    let told = ask(&rig, "/listen/talk.mp4?t=", "");
    let ticket = told.body.split("\"ticket\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a ticket");
    order(&rig, PANIC);
    let told = ask(&rig, &format!("/listen/talk.mp4?t={ticket}"), "");
    assert!(told.body.contains("/problems/wait"), "{told:?}");
    for shown in ["", "nonsense"] {
        let told = ask(&rig, &format!("/listen/talk.mp4?t={shown}&hls"), "");
        assert_eq!(told.status, 307, "{told:?}");
        // A browser that cannot play where it would be sent waits for a place as others do.
        let told = ask(&rig, &format!("/listen/talk.mp4?t={shown}"), "");
        assert!(told.status == 503 && told.body.contains("\"stage\":"), "{told:?}");
    }
}

#[test]
fn scarce_memory_is_felt_and_said() {
    let rig = rig(Some(ELSEWHERE));
    rig.handle.feel_memory(980);
    rig.until("that nobody more is let in here", |rig| rig.handle.stats().stance.level == Level::Delayed);
    let stats = rig.handle.stats();
    assert_eq!((stats.stance.reasons, stats.felt[4]), (Reason::Memory.into(), 980));
    assert_eq!(ask(&rig, "/listen/demo.ogg", "").status, 307);
}

#[test]
fn what_may_be_otherwise_soon_is_said_with_its_age() {
    let rig = rig(None);
    let told = |seconds: u64, body: &'static str| {
        let as_of = SystemTime::now().checked_sub(Duration::from_secs(seconds));
        let document = Document { as_of, cache: "public, max-age=5".into(), ..document(body) };
        rig.handle.push(Update::Document { path: "/status".into(), document });
        rig.taken();
        ask(&rig, "/status", "If-None-Match: \"v1\"\r\n")
    };
    let fresh = told(0, "@age-is@: 0 = @age@");
    assert!(fresh.body.starts_with("fresh: 0 = ") && fresh.has("Cache-Control: public, max-age=5"), "{fresh:?}");
    let old = told(100, "@age-is@");
    assert!(old.status == 200 && old.body == "old", "{old:?}");
    let age: u64 =
        old.head.split("\r\nAge: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok()).expect("an age");
    assert!((100..110).contains(&age), "{old:?}");
}
