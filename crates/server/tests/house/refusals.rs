//! What is not allowed, not there, or not well meant.

use std::net::UdpSocket;

use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::ear::Ear;
use crate::http::ask;
use crate::mouth::Mouth;
use crate::server::{Server, Space, until};

#[test]
fn whoever_follows_a_link_at_once_finds_the_page_at_every_worker() {
    let server = Server::start_with(&["--no-demo", "--workers", "3"]);
    // A worker that has only begun says so; what is asked here is of those that know what there is.
    let nowhere = || ask(server.public, "GET", "/s/nowhere", &[], &[]).status;
    until("all workers to have begun", || (0..30).all(|_| nowhere() == 404).then_some(()));
    for number in 0..60 {
        let space = server.create(json!({ "title": format!("space {number}"), "audience": "public" }));
        // Connections are spread over the workers by who takes them first.
        let page = || ask(server.public, "GET", &format!("/s/{}", space.id), &[], &[]).status;
        assert_eq!([page(), page(), page()], [200; 3], "space {number}");
    }
}

#[test]
fn what_a_space_does_not_allow_is_refused_and_said() {
    let server = Server::start();
    let space = server.create(json!({ "title": "rules", "audience": "public" }));
    let check = |method: &str, path: &str, pass: &str, status: u16, problem: &str| {
        let reply = server.api(method, path, pass, None);
        assert_eq!((reply.status, &*reply.problem()), (status, problem), "{method} {path}: {reply:?}");
    };
    let of = |space: &Space, what: &str| format!("/{}/{what}", space.id);
    check("POST", &of(&space, "end"), &space.host_pass, 409, "not-started");
    check("DELETE", &of(&space, "recording"), &space.host_pass, 409, "not-started");
    server.host(&space, "start");
    check("POST", &of(&space, "start"), &space.host_pass, 409, "already-started");
    check("DELETE", &of(&space, "recording"), &space.host_pass, 409, "still-live");
    let guest = server.speaker_pass(&space, "guest");
    check("POST", &of(&space, "end"), &guest, 403, "not-host");
    check("POST", &of(&space, "end"), "", 401, "pass-missing");
    check("POST", "/nowhere/start", &space.host_pass, 404, "space-not-found");
    check("GET", "/%2e%2e%2fkeys", &space.host_pass, 404, "space-not-found");
    let stranger = server.create(json!({ "title": "another", "audience": "unlisted" }));
    check("POST", &of(&space, "end"), &stranger.host_pass, 403, "pass-wrong-space");

    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    ear.hears(440.0, 0);
    server.host(&space, "end");
    drop(mouth);
    check("POST", &of(&space, "end"), &space.host_pass, 409, "already-ended");
    check("POST", &of(&space, "start"), &space.host_pass, 409, "already-ended");
    server.until_view(&space, "posted", |view| view["state"] == "posted");
    let replay = format!("/replay/{}.ogg", space.id);
    let get = |path: &str| ask(server.public, "GET", path, &[], &[]).status;
    assert_eq!(get(&replay), 200);

    // A recording that is deleted is gone from every place.
    check("DELETE", &of(&space, "recording"), &guest, 403, "not-host");
    let deleted = server.api("DELETE", &of(&space, "recording"), &space.host_pass, None);
    assert_eq!((deleted.status, &deleted.json()["replay"]), (200, &json!(null)));
    assert_eq!(get(&replay), 404);
    let home = server.data().join("spaces").join(&space.id);
    assert!(!home.join("log").exists() && !home.join("replay").exists());
    check("DELETE", &of(&space, "recording"), &space.host_pass, 409, "no-recording");
    assert_eq!(get(&format!("/s/{}", space.id)), 200);

    // Too much, and too strange.
    let large =
        server.api("POST", "", &server.create_pass, Some(json!({ "title": "x".repeat(70_000), "audience": "public" })));
    assert_eq!((large.status, &*large.problem()), (413, "body-too-large"));
    let strange = server.api("POST", "", &server.create_pass, Some(json!({ "titel": "x", "audience": "public" })));
    assert_eq!((strange.status, &*strange.problem()), (400, "malformed"));
    let unpaid = server.api("POST", "", &space.host_pass, Some(json!({ "title": "x", "audience": "public" })));
    assert_eq!((unpaid.status, &*unpaid.problem()), (403, "pass-not-enough"));
    let head = format!("x{}", "y".repeat(9_000));
    assert_eq!(ask(server.public, "GET", "/", &[("X-Long", &head)], &[]).status, 431);
}

#[test]
fn a_player_that_comes_before_the_doors_is_told_when_they_open_and_after_a_cancellation_that_they_do_not() {
    let server = Server::start_with(&["--no-demo", "--workers", "1"]);
    let tomorrow = OffsetDateTime::now_utc() + time::Duration::DAY;
    let tomorrow = tomorrow.format(&Rfc3339).expect("a time");
    let wish = json!({ "title": "tomorrow", "audience": "public", "starts_at": tomorrow });
    let (planned, cancelled) = (server.create(wish.clone()), server.create(wish));
    server.host(&cancelled, "cancel");
    let listen = |space: &str, form: &str| {
        ask(server.public, "GET", &format!("/listen/{space}.{form}"), &[("Accept-Language", "ar")], &[])
    };
    until("the cancellation is told", || (listen(&cancelled.id, "mp4").status == 410).then_some(()));
    for form in ["mp4", "ogg", "mp3"] {
        let early = listen(&planned.id, form);
        assert_eq!((early.status, &*early.problem()), (503, "doors-shut"), "{early:?}");
        let retry_s: u32 = early.header("retry-after").expect("a time").parse().expect("seconds");
        assert!((300..310).contains(&retry_s), "{retry_s}");
        assert!(early.text().contains("لم تُفتح الأبواب بعد"), "{early:?}");
        let off = listen(&cancelled.id, form);
        assert_eq!((off.status, &*off.problem(), off.header("retry-after")), (410, "cancelled", None), "{off:?}");
        assert_eq!(listen("nowhere", form).status, 404);
    }
    // Whoever tries again finds it.
    server.host(&planned, "start");
    until("it is heard", || (head(&server, &planned.id) == 200).then_some(()));
}

fn head(server: &Server, space: &str) -> u16 {
    ask(server.public, "HEAD", &format!("/listen/{space}.mp4"), &[], &[]).status
}

#[test]
fn a_space_that_is_not_recorded_leaves_nothing_behind() {
    let server = Server::start();
    let space = server.create(json!({ "title": "off the record", "audience": "public", "recording": "off" }));
    server.host(&space, "start");
    assert_eq!(server.view(&space)["recording"], "off");
    let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    ear.hears(440.0, 0);
    server.host(&space, "end");
    drop(mouth);
    ear.closed("the end");
    let view = server.view(&space);
    assert_eq!((view["state"].as_str(), &view["replay"]), (Some("ended"), &json!(null)));
    assert_eq!(ask(server.public, "GET", &format!("/replay/{}.ogg", space.id), &[], &[]).status, 404);
    let home = server.data().join("spaces").join(&space.id);
    assert!(!home.join("replay").exists());
    until("the window is deleted too", || (!home.join("log").exists()).then_some(()));
}

#[test]
fn an_invited_space_is_heard_with_a_pass_only() {
    let server = Server::start();
    let space = server.create(json!({ "title": "among us", "audience": "invited" }));
    server.host(&space, "start");
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    let pass = space.listen_link.split_once("?pass=").expect("a pass in the link").1;
    let other = server.create(json!({ "title": "others", "audience": "invited" }));
    let wrong = other.listen_link.split_once("?pass=").expect("a pass in the link").1;
    for path in [format!("/listen/{}.ogg", space.id), format!("/hls/{}/live.m3u8", space.id)] {
        assert_eq!(ask(server.public, "GET", &path, &[], &[]).status, 401, "{path}");
        assert_eq!(ask(server.public, "GET", &format!("{path}?pass={wrong}"), &[], &[]).status, 401, "{path}");
    }
    let ear = Ear::on(server.public, &format!("/listen/{}.ogg?pass={pass}", space.id));
    ear.hears(440.0, 0);
    let page = ask(server.public, "GET", &format!("/s/{}", space.id), &[], &[]);
    assert!(page.status == 200 && !page.text().contains("among us"));
    let listed = ask(server.public, "GET", "/api/spaces/v1/spaces", &[], &[]).text();
    assert!(!listed.contains(&space.id), "{listed}");
    let path = format!("/api/spaces/v1/spaces/{}", space.id);
    assert_eq!(ask(server.public, "GET", &path, &[], &[]).status, 401);
    assert_eq!(ask(server.public, "GET", &format!("{path}?pass={pass}"), &[], &[]).status, 200);
    // The recording is as private as the conversation was.
    server.host(&space, "end");
    drop(mouth);
    server.until_view(&space, "posted", |view| view["state"] == "posted");
    let replay = format!("/replay/{}.mp4", space.id);
    assert_eq!(ask(server.public, "GET", &replay, &[], &[]).status, 401);
    assert_eq!(ask(server.public, "GET", &format!("{replay}?pass={pass}"), &[], &[]).status, 200);
    assert!(!server.said().contains(pass), "a pass is in the log");
}

#[test]
fn garbage_on_the_media_port_and_a_second_publisher_do_not_silence_the_stage() {
    let server = Server::start();
    let space = server.live("noise");
    let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let pass = server.speaker_pass(&space, "one");
    let first = Mouth::speak(server.stage, &space.id, &pass, 440.0);
    ear.hears(440.0, 0);

    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut seed = 1_u32;
    for round in 0..4_000_u32 {
        let length = (round % 1400) as usize;
        let mut bytes: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        })
        .take(length)
        .collect();
        // STUN, DTLS, RTP and RTCP by their first byte (RFC 7983).
        for (place, value) in bytes.iter_mut().zip([[0, 1], [22, 254], [128, 111], [129, 200]][round as usize % 4]) {
            *place = value;
        }
        let _ = stranger.send_to(&bytes, server.media);
    }
    ear.hears(440.0, ear.bytes());
    assert!(!first.is_gone());

    // The newest publisher of one pass takes the place of the older one.
    let second = Mouth::speak(server.stage, &space.id, &pass, 1000.0);
    until("the first is sent home", || first.is_gone().then_some(()));
    ear.hears(1000.0, ear.bytes());
    assert_eq!(server.view(&space)["speakers"].as_array().map(Vec::len), Some(1));
    assert!(!second.is_gone());
    let bearer = format!("Bearer {pass}");
    let old = ask(server.stage, "GET", &first.location, &[("Authorization", &bearer)], &[]);
    assert_eq!(old.status, 404, "{old:?}");
}
