//! Streams that do not end.

use std::net::{Shutdown, TcpListener};
use std::time::{Duration, Instant};

use hiwar_admission::{Listen, ListenKey, PassId, Scope};
use hiwar_delivery::http::{Access, Limits, Update, Way};
use hiwar_segment_log::{Header, Kind, Record, Rendition};

use bytes::Bytes;

use crate::rig::{Rig, WAIT, chunk, id};

#[test]
fn who_joins_before_the_first_chunk_gets_the_head_and_waits() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.until("open", |rig| !rig.counts().is_empty());
    let mut client = rig.client();
    client.say("GET /listen/demo.ogg HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.hear_until("\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("Content-Type: audio/ogg\r\n"), "{head}");
    assert!(head.contains("Connection: close\r\n") && head.contains("Access-Control-Allow-Origin: *\r\n"), "{head}");
    assert!(!head.contains("Content-Length") && !head.contains("Transfer-Encoding"), "{head}");
    assert_eq!(client.hear_until(";"), "init-ogg;");
    rig.chunks("demo", 0..3);
    assert_eq!(client.hear_until("o2;"), "o0;o1;o2;");
    assert_eq!(rig.listening("demo"), 1);
}

#[test]
fn a_late_joiner_gets_a_burst_and_then_every_chunk() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..50);
    let join = |name: &str| {
        let mut client = rig.client();
        client.say(&format!("GET /listen/demo.{name} HTTP/1.0\r\n\r\n"));
        client.hear_until("\r\n\r\n");
        client
    };
    // The updates were pushed before the join, but cross another queue.
    rig.until("open", |rig| !rig.counts().is_empty());
    let (mut mp4, mut ogg) = (join("mp4"), join("ogg"));
    rig.chunks("demo", 50..52);
    assert_eq!(mp4.hear_until("m51;"), "init-mp4;m47;m48;m49;m50;m51;");
    assert_eq!(ogg.hear_until("o51;"), "init-ogg;o40;o41;o42;o43;o44;o45;o46;o47;o48;o49;o50;o51;");
}

#[test]
fn who_reads_ogg_by_blocks_gets_more_than_a_block_at_once() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..70);
    rig.until("open", |rig| !rig.counts().is_empty());
    let check = |name: &str, agent: &str, first: u64| {
        let mut client = rig.client();
        client.say(&format!("GET /listen/demo.{name} HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}\r\n\r\n"));
        client.hear_until("\r\n\r\n");
        let letter = &name[..1];
        let burst: String = (first..70).map(|n| format!("{letter}{n};")).collect();
        assert_eq!(client.hear_until(&format!("{letter}69;")), format!("init-{name};{burst}"), "{agent}");
    };
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0";
    check("ogg", firefox, 20);
    check("ogg", "VLC/3.0.24 LibVLC/3.0.24", 60);
    check("mp4", firefox, 67);
}

#[test]
fn everyone_hears_the_same_bytes_to_the_end() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.until("open", |rig| !rig.counts().is_empty());
    let mut clients: Vec<_> = (0..100)
        .map(|_| {
            let mut client = rig.client();
            client.say("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    rig.until("all joined", |rig| rig.listening("demo") == 100);
    rig.chunks("demo", 0..40);
    rig.handle.push(Update::Ended { log: id("demo") });
    let expected: String = (0..40).map(|n| format!("m{n};")).collect();
    for client in &mut clients {
        client.hear_until("\r\n\r\n");
        assert_eq!(client.rest(), format!("init-mp4;{expected}"));
    }
    let last = std::cell::Cell::new(None);
    rig.until("all gone", |rig| {
        last.set(rig.counts().first().copied());
        last.get().is_some_and(|count| count.audience.listening == 0)
    });
    let count = last.get().unwrap();
    assert!(rig.counts().is_empty(), "told once");
    assert_eq!(count.audience.joined_total, 100);
    assert!(count.audience.bytes_total > 100 * expected.len() as u64);
    assert_eq!(rig.ask("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").status, 410);
}

#[test]
fn a_house_that_restarts_is_not_heard() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..1);
    rig.until("open", |rig| !rig.counts().is_empty());
    let mut client = rig.client();
    client.say("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
    client.hear_until("m0;");
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..3);
    assert_eq!(client.hear_until("m2;"), "m1;m2;");
}

#[test]
fn a_listener_who_half_closes_goes_on_listening_and_one_who_leaves_is_not_counted() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.until("open", |rig| !rig.counts().is_empty());
    let mut client = rig.client();
    client.say("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
    client.0.shutdown(Shutdown::Write).unwrap();
    client.hear_until("init-mp4;");
    rig.chunks("demo", 0..1);
    assert_eq!(client.hear_until(";"), "m0;");
    drop(client);
    let mut position = 1;
    while rig.listening("demo") > 0 {
        assert!(position < 100_000);
        rig.chunks("demo", position..position + 1);
        position += 1;
    }
}

#[test]
fn who_stops_reading_is_skipped_once_then_cut_and_never_hears_half_a_chunk() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.until("open", |rig| !rig.counts().is_empty());
    let mut client = rig.client();
    rustix::net::sockopt::set_socket_recv_buffer_size(&client.0, 4_096).unwrap();
    client.say("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
    client.hear_until("init-mp4;");
    let mut position = 0;
    let mut push_until = |so: &dyn Fn(&Rig) -> bool| {
        while !so(&rig) {
            assert!(position < 5_000, "{:?}", rig.handle.stats());
            rig.handle.push(Update::Chunk { log: id("demo"), record: chunk(position, 4_000) });
            rig.taken();
            position += 1;
        }
    };
    push_until(&|rig| rig.handle.stats().skipped_total == 1);
    assert_eq!(rig.handle.stats().cut_total, 0);
    push_until(&|rig| rig.handle.stats().cut_total == 1);
    rig.until("gone", |rig| rig.listening("demo") == 0);
    let heard = client.rest();
    let numbers: Vec<u64> = heard
        .split_inclusive(';')
        .filter(|c| c.ends_with(';'))
        .map(|c| c.trim_start_matches('m').trim_end_matches(';').trim_end_matches('.').parse().unwrap())
        .collect();
    let jumps = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    assert!(jumps <= 1, "{numbers:?}");
}

#[test]
fn a_pass_is_asked_for_where_one_is_needed() {
    let rig = Rig::new();
    rig.open("secret", Access::Pass);
    rig.until("open", |rig| !rig.counts().is_empty());
    let refused =
        rig.ask("GET /listen/secret.ogg HTTP/1.1\r\nHost: a\r\nAccept-Language: ar\r\nConnection: close\r\n\r\n");
    assert_eq!(refused.status, 401);
    assert!(refused.has("Content-Language: ar") && refused.body.contains("بدعوة"), "{refused:?}");
    let expires = std::time::SystemTime::now() + crate::rig::WAIT;
    let pass = Listen { id: PassId([1; 8]), scope: Scope::parse("secret").unwrap(), expires };
    let token = ListenKey::from_bytes([7; 32]).sign(&pass);
    let mut client = rig.client();
    client.say(&format!("GET /listen/secret.ogg?pass={token} HTTP/1.1\r\nHost: a\r\n\r\n"));
    client.hear_until("init-ogg;");
}

#[test]
fn a_closed_log_ends_its_listeners_and_is_forgotten() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.until("open", |rig| !rig.counts().is_empty());
    let mut client = rig.client();
    client.say("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
    client.hear_until("init-mp4;");
    rig.handle.push(Update::Closed { log: id("demo") });
    assert_eq!(client.rest(), "");
    assert_eq!(rig.ask("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").status, 404);
}

#[test]
fn a_full_worker_lets_others_wait_and_goes_on_when_someone_leaves() {
    let rig = Rig::with(Limits { connections: 3, ..Limits::for_files(20_000) });
    rig.open("demo", Access::Open);
    rig.until("open", |rig| !rig.counts().is_empty());
    let mut inside: Vec<_> = (0..3)
        .map(|_| {
            let mut client = rig.client();
            client.say("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
            client.hear_until("init-mp4;");
            client
        })
        .collect();
    rig.until("full", |rig| rig.handle.stats().full_total == 1);
    let mut outside = rig.client();
    outside.say("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.chunks("demo", 0..1);
    inside.iter_mut().for_each(|client| drop(client.hear_until("m0;")));
    assert_eq!(rig.listening("demo"), 3);
    inside.pop();
    let mut position = 1;
    while rig.counts()[0].audience.joined_total < 4 {
        assert!(position < 100_000);
        rig.chunks("demo", position..position + 1);
        position += 1;
    }
    outside.hear_until("init-mp4;");
}

#[test]
fn an_ended_log_is_forgotten_but_for_who_may_hear_its_recording() {
    let farewell = std::time::Duration::from_millis(300);
    let rig = Rig::with(Limits { farewell, ..Limits::for_files(20_000) });
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..45);
    let segment = |rig: &Rig| rig.ask("GET /hls/demo/1.m4a HTTP/1.0\r\n\r\n").status;
    rig.until("told", |rig| segment(rig) == 200);
    assert_eq!(rig.counts().len(), 1, "told once");
    rig.handle.push(Update::Ended { log: id("demo") });
    rig.until("forgotten", |rig| segment(rig) == 404);
    assert_eq!(rig.ask("GET /listen/demo.ogg HTTP/1.0\r\n\r\n").status, 410);
    let last = rig.counts();
    assert!(last.iter().all(|count| count.audience.listening == 0 && !count.fetched), "{last:?}");
    assert!(rig.counts().is_empty());
    rig.open("demo", Access::Open);
    rig.chunks("demo", 45..65);
    rig.until("open again", |rig| rig.ask("HEAD /listen/demo.ogg HTTP/1.0\r\n\r\n").status == 200);
}

#[test]
fn listeners_are_told_once_that_the_house_is_away_and_go_on() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..12);
    rig.until("open", |rig| !rig.counts().is_empty());
    let join = |name: &str| {
        let mut client = rig.client();
        client.say(&format!("GET /listen/demo.{name} HTTP/1.0\r\n\r\n"));
        client.hear_until("\r\n\r\n");
        client
    };
    let (mut mp4, mut ogg) = (join("mp4"), join("ogg"));
    assert_eq!(mp4.hear_until("m11;"), "init-mp4;m9;m10;m11;");
    ogg.hear_until("o11;");
    rig.handle.push(Update::Away);
    rig.handle.push(Update::Away);
    assert_eq!(mp4.hear_until("away;"), "away;");
    // Whoever comes meanwhile hears what there is, and is told too.
    let mut late = join("mp4");
    assert_eq!(late.hear_until("away;"), "init-mp4;m9;m10;m11;away;");
    rig.open("demo", Access::Open);
    rig.chunks("demo", 12..13);
    assert_eq!(mp4.hear_until("m12;"), "m12;");
    assert_eq!(late.hear_until("m12;"), "m12;");
    assert_eq!(ogg.hear_until("o12;"), "o12;");
    rig.handle.push(Update::Away);
    assert_eq!(mp4.hear_until("away;"), "away;");
}

#[test]
fn listeners_of_a_house_that_hangs_are_told_once_and_kept_and_the_next_chunk_ends_it() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.open("asleep", Access::Open);
    rig.open("unbegun", Access::Open);
    rig.chunks("demo", 0..12);
    rig.chunks("asleep", 0..12);
    let join = |log: &str| {
        let mut client = rig.client();
        client.say(&format!("GET /listen/{log}.mp4 HTTP/1.0\r\n\r\n"));
        client.hear_until("init-mp4;");
        client
    };
    let began = Instant::now();
    let (mut early, mut waits) = (join("demo"), join("unbegun"));
    early.hear_until("m11;");
    assert_eq!(early.hear_until(";"), "away;");
    // Eight ticks, the first of which comes at once or after a quarter second.
    assert!(began.elapsed() >= Duration::from_millis(1_500), "{:?}", began.elapsed());
    let mut late = join("demo");
    assert_eq!(late.hear_until("away;"), "m9;m10;m11;away;");
    // A programme that nobody heard has a moment to wake up.
    let mut wakes = join("asleep");
    wakes.hear_until("m11;");
    rig.chunks("asleep", 12..13);
    assert_eq!(wakes.hear_until(";"), "m12;");
    // Nobody is told twice, neither of the silence nor of its reason.
    rig.handle.push(Update::Away);
    assert_eq!(waits.hear_until(";"), "away;");
    rig.chunks("demo", 12..13);
    assert_eq!(early.hear_until("m12;"), "m12;");
    assert_eq!(late.hear_until("m12;"), "m12;");
    let mut new = join("demo");
    assert_eq!(new.hear_until("m12;"), "m10;m11;m12;");
    assert_eq!(early.hear_until(";"), "away;", "silent again");
}

#[test]
fn the_first_listener_of_a_form_that_is_made_on_demand_is_told_of_at_once_and_hears_what_is_made() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    // Nothing of it is made yet: a header, and fields for the answers.
    let beside = id("demo").beside("mp3").unwrap();
    let rendition = Rendition {
        part: 0,
        name: "mp3".into(),
        mime: "audio/mpeg".into(),
        codecs: "mp4a.6B".into(),
        init: Bytes::new(),
    };
    let header = Header { timescale: 48_000, chunk_duration: 9_600, renditions: vec![rendition], begun_wall_us: 0 };
    let header = Record { kind: Kind::Header, body: header.to_body(), ..chunk(0, 0) };
    let fields = vec![(0, "icy-name".to_owned(), "حوار".to_owned())];
    rig.handle.push(Update::Open {
        log: beside,
        access: Access::Open,
        header,
        notices: vec![],
        fields,
        door: Way::Open,
    });
    rig.until("open", |rig| rig.ask("HEAD /listen/demo.mp3 HTTP/1.0\r\n\r\n").status == 200);

    let handle = rig.handle.clone();
    let (told, heard_of) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        loop {
            // Far longer than the test may take: only an ear ends it in time.
            handle.wait_for_ears(WAIT * 6);
            if let Some(count) = handle.counts(usize::MAX).iter().find(|count| count.audience.listening > 0) {
                let _ = told.send(count.log);
                return;
            }
        }
    });
    let mut client = rig.client();
    client.say("GET /listen/demo.mp3 HTTP/1.0\r\n\r\n");
    let head = client.hear_until("\r\n\r\n");
    assert!(head.contains("\r\nicy-name: حوار\r\n") && head.contains("\r\nConnection: close\r\n"), "{head}");
    assert_eq!(heard_of.recv_timeout(WAIT), Ok(beside));
    let made = |n| Update::Chunk { log: beside, record: chunk(n, 0) };
    (100..103).for_each(|n| rig.handle.push(made(n)));
    assert_eq!(client.hear_until("m102;"), "m100;m101;m102;");
    assert_eq!((rig.listening("demo"), rig.listening("demo--mp3")), (0, 1));
}

#[test]
fn a_crowd_that_comes_one_by_one_is_spread_over_the_workers_of_a_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let rigs = [Rig::on(listener.try_clone().unwrap()), Rig::on(listener)];
    for rig in &rigs {
        rig.open("on-air", Access::Open);
        rig.taken();
    }
    let mut clients = Vec::new();
    for number in 1..=40 {
        let mut client = rigs[0].client();
        client.say("GET /listen/on-air.mp4 HTTP/1.1\r\nHost: x\r\n\r\n");
        clients.push(client);
        // Both are idle when the next one comes.
        rigs[0].until("everyone", |rig| rig.listening("on-air") + rigs[1].listening("on-air") == number);
    }
    let shares = rigs.each_ref().map(|rig| rig.listening("on-air"));
    assert!(shares.iter().all(|&share| share >= 13), "{shares:?}");
}
