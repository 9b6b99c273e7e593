//! A site of documents, logs and passes, asked line by line.

use super::*;
use crate::request::{Parsed, parse};
use crate::tail::tests::tail;
use hiwar_admission::{Listen, ListenKey, PassId, Scope};
use hiwar_segment_log::{Header, Rendition};
use std::time::Duration;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn site() -> Site {
    let document = |body: &'static str| Document {
        mime: "text/html; charset=utf-8".into(),
        etag: "v1".into(),
        cache: "max-age=60".into(),
        policy: Some("default-src 'self'".into()),
        body: Bytes::from_static(body.as_bytes()),
        brotli: Some(Bytes::from_static(b"BR")),
        as_of: None,
    };
    let [mut ended, mut called_off] = [tail(0..5), tail(0..5)];
    ended.end();
    called_off.end();
    let mut invited = tail(0..45);
    invited.reopen(Access::Pass, crate::tail::tests::header(), hiwar_segment_log::Epoch(1));
    let id = |text| LogId::parse(text).unwrap();
    Site {
        documents: [("/", "app"), ("/s/demo", "page"), ("/s/", "no such page")]
            .map(|(path, body)| (path.to_owned(), document(body)))
            .into(),
        logs: [
            (id("demo"), tail(0..45)),
            (id("over"), ended),
            (id("called-off"), called_off),
            (id("secret"), invited),
            (id("new"), tail(0..0)),
        ]
        .into(),
        shut: [
            ("planned", Access::Open, Some(NOW + Duration::from_secs(40))),
            ("by-invitation", Access::Pass, Some(NOW + Duration::from_secs(40))),
            ("far", Access::Open, Some(NOW + Duration::from_secs(1 << 40))),
            ("due", Access::Open, Some(NOW)),
            ("cancelled", Access::Open, None),
            ("called-off", Access::Open, None),
        ]
        .map(|(log, access, opens)| (id(log), Shut { access, opens }))
        .into(),
        told: Told::Wholly,
        keys: CrowdKeys::new(&[7; 32].into(), [7; 32]),
        serves: Serves::Crowd,
        noted: None,
    }
}

/// The demo with a form that is made on demand, and the same with titles.
fn radio() -> Site {
    let mut site = site();
    let rendition = |part, name: &str| Rendition {
        part,
        name: name.into(),
        mime: "audio/mpeg".into(),
        codecs: "mp4a.6B".into(),
        init: Bytes::new(),
    };
    let header = Header {
        timescale: 48_000,
        chunk_duration: 9_600,
        renditions: vec![rendition(0, "mp3"), rendition(1, "icy")],
        begun_wall_us: 0,
    };
    for log in ["demo", "secret", "over"] {
        let mut tail = Tail::new(Access::Open, header.clone(), hiwar_segment_log::Epoch(1));
        let field = |rendition, name: &str, value: &str| (rendition, name.to_owned(), value.to_owned());
        let fields = [field(0, "icy-name", "حوار"), field(1, "icy-metaint", "4800"), field(1, "x", "a\r\nb: c")];
        tail.attend(Vec::new(), fields.into());
        site.logs.insert(LogId::parse(log).unwrap().beside("mp3").unwrap(), tail);
    }
    site
}

#[test]
fn a_form_beside_a_log_is_served_as_its_own_and_with_titles_if_asked_for() {
    let check = |path: &str, fields: &str| ask_of(&mut radio(), &format!("GET {path}"), fields);
    let listen = |fields: &str| match check("/listen/demo.mp3", fields) {
        Answer::Listen { log, rendition, head, .. } => (log.to_string(), rendition, String::from_utf8(head).unwrap()),
        other => panic!("{other:?}"),
    };
    let (log, rendition, head) = listen("Icy-MetaData: 0\r\n");
    assert_eq!((&*log, rendition), ("demo--mp3", 0));
    assert!(head.contains("\r\nicy-name: حوار\r\n") && !head.contains("metaint"), "{head}");
    assert!(head.contains("\r\nContent-Type: audio/mpeg\r\n"), "{head}");
    let (log, rendition, head) = listen("Icy-MetaData: 1\r\n");
    assert_eq!((&*log, rendition), ("demo--mp3", 1));
    assert!(head.contains("\r\nicy-metaint: 4800\r\n") && !head.contains("b: c"), "{head}");
    for (path, status) in [
        ("/listen/secret.mp3", 401),
        ("/listen/over.mp3", 410),
        ("/listen/new.mp3", 404),
        ("/listen/none.mp3", 404),
        ("/listen/demo.icy", 404),
        ("/listen/demo--mp3.mp3", 404),
        ("/listen/demo--mp3.icy", 404),
        ("/hls/demo--mp3/live.m3u8", 404),
        ("/replay/demo--mp3.mp4", 404),
    ] {
        assert_eq!(told(check(path, "")).0, status, "{path}");
    }
    assert_eq!(told(ask_of(&mut radio(), "HEAD /listen/demo.mp3", "")).0, 200);
}

fn ask(line: &str, fields: &str) -> Answer {
    ask_of(&mut site(), line, fields)
}

fn ask_of(site: &mut Site, line: &str, fields: &str) -> Answer {
    let head = format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    match parse(head.as_bytes()) {
        Parsed::Complete { request, .. } => answer(site, &request, NOW),
        other => panic!("{other:?}"),
    }
}

fn told(answer: Answer) -> (u16, String, Bytes) {
    let Answer::Ready { head, body, .. } = answer else { panic!("{answer:?}") };
    let head = String::from_utf8(head).unwrap();
    (head[9..12].parse().unwrap(), head, body)
}

/// A pass to listen that is good for so long.
fn sign(scope: &str, seconds: u64) -> String {
    let expires = NOW + Duration::from_secs(seconds);
    let pass = Listen { id: PassId([1; 8]), scope: Scope::parse(scope).unwrap(), expires };
    ListenKey::from_bytes([7; 32]).sign(&pass)
}

fn status(line: &str) -> u16 {
    told(ask(line, "")).0
}

#[test]
fn documents_are_answered_here_and_the_rest_by_the_house() {
    assert_eq!(told(ask("GET /", "")).2, "app");
    assert_eq!(told(ask("GET /s/demo?pass=x", "")).2, "page");
    assert!(matches!(ask("GET /api/spaces/v1/spaces", ""), Answer::Forward));
    assert!(matches!(ask("POST /whip/demo", "Content-Length: 3\r\n"), Answer::Forward));
    assert!(matches!(ask("GET /s/demo/edit", ""), Answer::Forward));
    assert_eq!(status("POST /"), 405);
}

#[test]
fn whoever_may_hear_may_react_and_nothing_of_it_is_the_houses() {
    for (place, name) in ["heart", "applause", "laugh", "wow", "agree"].into_iter().enumerate() {
        match ask(&format!("POST /react/demo/{name}"), "Content-Length: 0\r\n") {
            Answer::React { log, reaction, crowd: Crowd::Audience } => {
                assert_eq!((log.as_str(), reaction.place()), ("demo", place));
            }
            other => panic!("{other:?}"),
        }
    }
    for (line, expected) in [
        ("POST /react/demo/boo", 404),
        ("POST /react/demo/", 404),
        ("POST /react/demo", 404),
        ("POST /react/demo/heart/heart", 404),
        ("POST /react/demo--mp3/heart", 404),
        ("POST /react/none/heart", 404),
        ("POST /react/over/heart", 410),
        ("POST /react/secret/heart", 401),
        ("POST /react/secret/heart?pass=x", 401),
        ("GET /react/demo/heart", 405),
        ("OPTIONS /react/demo/heart", 405),
    ] {
        assert_eq!(status(line), expected, "{line}");
    }
    let (refused, ..) = told(ask("POST /react/demo/heart", "Hiwar-Rehearsal: x\r\n"));
    assert_eq!(refused, 403);
    let mut site = site();
    site.told = Told::Partly;
    assert_eq!(told(ask_of(&mut site, "POST /react/none/heart", "")).0, 503);
    site.serves = Serves::Stage;
    assert_eq!(told(ask_of(&mut site, "POST /react/demo/heart", "")).0, 404);
}

#[test]
fn an_unknown_page_is_a_404_in_the_sites_clothes() {
    let (status, head, body) = told(ask("GET /s/nowhere", ""));
    assert_eq!((status, &*body), (404, &b"no such page"[..]));
    assert!(head.contains("Cache-Control: no-store\r\n"));
    assert_eq!(told(ask("GET /s/", "")).0, 404);
}

#[test]
fn a_document_comes_compressed_if_it_may_and_not_at_all_if_it_is_known() {
    let (_, head, body) = told(ask("GET /", "Accept-Encoding: gzip, br;q=0.5\r\n"));
    assert_eq!(&*body, b"BR");
    assert!(head.contains("Content-Encoding: br\r\n") && head.contains("Vary: Accept-Encoding\r\n"));
    assert!(head.contains("ETag: \"v1-br\"\r\n") && head.contains("Content-Security-Policy: default-src 'self'\r\n"));
    assert_eq!(&*told(ask("GET /", "Accept-Encoding: br;q=0\r\n")).2, b"app");
    assert_eq!(told(ask("GET /", "If-None-Match: \"x\", W/\"v1\"\r\n")).0, 304);
    let (status, head, body) = told(ask("HEAD /", ""));
    assert_eq!((status, body.len()), (200, 0));
    assert!(head.contains("Content-Length: 3\r\n"));
}

#[test]
fn sound_is_for_whoever_may_hear_it() {
    assert!(matches!(ask("GET /listen/demo.ogg", ""), Answer::Listen { rendition: 1, .. }));
    assert_eq!(status("HEAD /listen/demo.mp4"), 200);
    assert_eq!(status("GET /listen/demo.wav"), 404);
    assert_eq!(status("GET /listen/none.ogg"), 404);
    assert_eq!(status("GET /listen/over.ogg"), 410);
    assert_eq!(status("GET /listen/"), 404);
    assert_eq!(status("GET /listen/%2E%2E.ogg"), 404);
    assert_eq!(status("POST /listen/demo.ogg"), 405);
    assert_eq!(status("OPTIONS /listen/demo.ogg"), 204);
    for path in ["/listen/secret.ogg", "/hls/secret/live.m3u8", "/hls/secret/1.m4a", "/replay/secret.mp4"] {
        assert_eq!(status(&format!("GET {path}")), 401, "{path}");
        assert_eq!(status(&format!("GET {path}?pass=AAAA")), 401, "{path}");
    }
    let good = sign("secret", 60);
    assert!(matches!(ask(&format!("GET /listen/secret.ogg?pass={good}"), ""), Answer::Listen { .. }));
    assert!(matches!(ask("GET /replay/secret.mp4", &format!("Authorization: Bearer {good}\r\n")), Answer::Replay(_)));
    let (_, _, playlist) = told(ask(&format!("GET /hls/secret/live.m3u8?pass={good}"), ""));
    assert!(String::from_utf8(playlist.to_vec()).unwrap().contains(&format!("1.m4a?pass={good}")));
    assert_eq!(status(&format!("GET /listen/secret.ogg?pass={}", sign("demo", 60))), 401);
    assert_eq!(status(&format!("GET /listen/secret.ogg?pass={}", sign("secret", 0))), 401);
}

#[test]
fn whoever_was_told_only_of_its_recording_says_that_it_is_over() {
    let mut site = site();
    let log = LogId::parse("told-late").unwrap();
    let status = |site: &mut Site, line: &str| told(ask_of(site, line, "")).0;
    let statuses = |site: &mut Site| {
        let asked = ["GET /listen/told-late.mp4", "GET /hls/told-late/live.m3u8", "GET /hls/told-late/rewind.m3u8"];
        asked.map(|asked| status(site, asked))
    };
    site.logs.insert(log, Tail::of_recording(Access::Review));
    assert_eq!(statuses(&mut site), [410; 3]);
    assert_eq!(status(&mut site, "GET /replay/told-late.mp4"), 404, "there is nothing for others yet");
    for (access, expected) in [(Access::Open, 410), (Access::Pass, 401), (Access::Review, 410)] {
        site.logs.get_mut(&log).unwrap().shelve(access);
        assert_eq!(statuses(&mut site), [expected; 3], "{access:?}");
    }
    // Who knew for whom it was says the same as before.
    let secret = site.logs.get_mut(&LogId::parse("secret").unwrap()).unwrap();
    secret.end();
    secret.shelve(Access::Review);
    assert_eq!(status(&mut site, "GET /listen/secret.mp4"), 401);
}

#[test]
fn hls_is_served_from_the_tail() {
    assert_eq!(status("GET /hls/demo/live.m3u8"), 200);
    assert!(matches!(ask("GET /hls/new/live.m3u8", ""), Answer::Hold { position: 20, .. }));
    assert!(matches!(ask("GET /hls/demo/2.2.m4a", ""), Answer::Hold { position: 55, .. }));
    assert_eq!(status("GET /hls/demo/live.m3u8?_HLS_part=1"), 400);
    assert_eq!(&*told(ask("GET /hls/demo/init.mp4", "")).2, b"init-mp4;");
    assert!(told(ask("GET /hls/demo/1.m4a", "")).2.starts_with(b"m20;m21;"));
    for file in ["3.m4a", "01.m4a", "+1.m4a", "x.m4a", ".m4a", "99999999999999999999999.m4a", "1.m4a/", "../x"] {
        let head = format!("GET /hls/demo/{file} HTTP/1.1\r\nHost: a\r\n\r\n");
        if let Parsed::Complete { request, .. } = parse(head.as_bytes()) {
            assert_eq!(told(answer(&mut site(), &request, NOW)).0, 404, "{file}");
        }
    }
}

#[test]
fn before_everything_was_told_nothing_is_said_not_to_exist() {
    let mut site = Site { told: Told::Partly, ..site() };
    for path in [
        "/s/nowhere",
        "/listen/none.ogg",
        "/listen/none.mp4",
        "/hls/none/live.m3u8",
        "/hls/none/init.mp4",
        "/hls/none/0.m4a",
        // Its chunks may still be on their way.
        "/hls/new/0.m4a",
        "/replay/none.mp4",
        "/replay/none/index.m3u8",
        "/readyz",
    ] {
        let (status, head, body) = told(ask_of(&mut site, &format!("GET {path}"), "Accept-Language: ar\r\n"));
        assert_eq!(status, 503, "{path}");
        assert!(head.contains("Retry-After: 1\r\n") && head.contains("Cache-Control: no-store\r\n"), "{head}");
        assert!(head.contains("application/problem+json\r\n") && head.contains("Content-Language: ar\r\n"));
        assert!(String::from_utf8(body.to_vec()).unwrap().contains("/problems/starting"), "{path}");
        let (status, head, body) = told(ask_of(&mut site, &format!("HEAD {path}"), ""));
        assert_eq!((status, body.len()), (503, 0), "{path}");
        assert!(head.contains("Content-Language: en\r\n"), "{head}");
    }
}

#[test]
fn a_player_that_comes_before_the_doors_is_told_when_to_come_back_and_one_that_comes_in_vain_that_it_is() {
    let mut site = site();
    for form in ["/listen/{}.mp4", "/listen/{}.ogg", "/listen/{}.mp3", "/hls/{}/live.m3u8"] {
        let path = |log: &str| form.replace("{}", log);
        for (log, status, retry_s) in [("planned", 503, 41), ("far", 503, 300), ("due", 503, 1)] {
            let said = told(ask_of(&mut site, &format!("GET {}", path(log)), "Accept-Language: ar\r\n"));
            assert_eq!(said.0, status, "{}", path(log));
            assert!(said.1.contains(&format!("\r\nRetry-After: {retry_s}\r\n")), "{}", said.1);
            assert!(String::from_utf8(said.2.to_vec()).unwrap().contains("لم تُفتح الأبواب بعد"));
        }
        for (log, status) in [("by-invitation", 401), ("cancelled", 410), ("none", 404)] {
            // Of what is not known yet a playlist waits for a moment.
            let method = if log == "none" { "HEAD" } else { "GET" };
            let said = told(ask_of(&mut site, &format!("{method} {}", path(log)), ""));
            assert_eq!(said.0, status, "{}", path(log));
            assert!(!said.1.contains("Retry-After"), "{}", said.1);
        }
    }
    let (status, _, body) = told(ask_of(&mut site, "GET /listen/called-off.mp4", ""));
    assert_eq!(status, 410);
    assert!(String::from_utf8(body.to_vec()).unwrap().contains("/problems/cancelled"), "its doors were open already");
    let pass = sign("by-invitation", 60);
    assert_eq!(told(ask_of(&mut site, &format!("GET /listen/by-invitation.mp4?pass={pass}"), "")).0, 503);
}

#[test]
fn players_that_wait_for_the_same_doors_do_not_come_back_in_the_same_second() {
    let shut = Shut { access: Access::Open, opens: Some(NOW + Duration::from_secs(60)) };
    let waits = (0..1_000).map(|ms| match shut.problem(NOW + Duration::from_millis(ms)) {
        Problem::Early(seconds) => seconds,
        other => panic!("{other:?}"),
    });
    let mut by_second: HashMap<u32, u32> = HashMap::new();
    waits.for_each(|seconds| *by_second.entry(seconds).or_default() += 1);
    assert!(by_second.keys().all(|seconds| (60..60 + 1 + OPENING_SPREAD_S).contains(seconds)), "{by_second:?}");
    assert!(by_second.values().all(|many| *many <= 1_000 / OPENING_SPREAD_S + 1), "{by_second:?}");
}

#[test]
fn what_was_told_before_the_rest_is_served_at_once() {
    let mut site = Site { told: Told::Partly, ..site() };
    let mut status = |line: &str| told(ask_of(&mut site, line, "")).0;
    for path in ["/", "/s/demo", "/hls/demo/live.m3u8", "/hls/demo/1.m4a", "/healthz"] {
        assert_eq!(status(&format!("GET {path}")), 200, "{path}");
    }
    assert_eq!(status("GET /listen/over.ogg"), 410);
    assert_eq!(status("GET /listen/secret.ogg"), 401);
    assert_eq!(status("GET /listen/demo.wav"), 503, "it may be made beside the log");
    assert_eq!(status("GET /listen/%2E%2E.ogg"), 404, "no log has that name");
    assert_eq!(status("POST /s/nowhere"), 405);
    assert_eq!(status("OPTIONS /listen/none.ogg"), 204);
    assert!(matches!(ask_of(&mut site, "GET /listen/demo.ogg", ""), Answer::Listen { .. }));
    assert!(matches!(ask_of(&mut site, "GET /replay/over.mp4", ""), Answer::Replay(_)));
    assert!(matches!(ask_of(&mut site, "GET /api/spaces/v1/spaces", ""), Answer::Forward));
}

#[test]
fn the_stage_is_ready_when_the_house_is() {
    let mut site = Site { told: Told::Partly, serves: Serves::Stage, ..site() };
    assert!(matches!(ask_of(&mut site, "GET /readyz", ""), Answer::Forward));
    assert!(matches!(ask_of(&mut site, "POST /whip/demo", ""), Answer::Forward));
}

#[test]
fn the_stage_port_has_the_way_to_the_house_and_nothing_for_a_crowd() {
    let mut site = Site { serves: Serves::Stage, ..site() };
    for line in [
        "GET /api/spaces/v1/config",
        "OPTIONS /api/spaces/v1/spaces",
        "POST /whip/demo",
        "PATCH /whip/demo/1",
        "GET /readyz",
    ] {
        assert!(matches!(ask_of(&mut site, line, ""), Answer::Forward), "{line}");
    }
    for path in
        ["/", "/s/demo", "/s/none", "/listen/demo.mp4", "/hls/demo/live.m3u8", "/replay/demo.mp4", "/metrics", "/apis"]
    {
        let (status, head, _) = told(ask_of(&mut site, &format!("GET {path}"), ""));
        assert_eq!(status, 404, "{path}");
        assert!(head.contains("application/problem+json\r\n") && head.contains("Allow-Origin: *\r\n"), "{head}");
    }
    assert_eq!(told(ask_of(&mut site, "GET /healthz", "")).0, 200);
}

#[test]
fn the_port_of_plain_http_sends_everyone_on_and_answers_nothing_itself() {
    let mut site = Site { serves: Serves::Redirect { origin: "https://talk.example".into() }, ..site() };
    for path in
        ["/", "/s/demo?x=1", "/listen/demo.mp4", "/healthz", "/metrics", "//evil.example/", "/.well-known/other"]
    {
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            let (status, head, body) = told(ask_of(&mut site, &format!("{method} {path}"), ""));
            assert_eq!((status, body.len()), (308, 0), "{method} {path}");
            assert!(head.contains(&format!("\r\nLocation: https://talk.example{path}\r\n")), "{head}");
        }
    }
    let challenge = "/.well-known/acme-challenge/abc";
    assert!(matches!(ask_of(&mut site, &format!("GET {challenge}"), ""), Answer::Forward));
    assert_eq!(told(ask_of(&mut site, &format!("POST {challenge}"), "")).0, 308);
}

#[test]
fn a_worker_says_itself_that_it_lives_and_asks_the_house_whether_it_is_ready() {
    let (status, _, body) = told(ask("GET /healthz", ""));
    assert_eq!((status, &*body), (200, &b"ok\n"[..]));
    assert_eq!(told(ask("HEAD /healthz", "")).2.len(), 0);
    assert_eq!(told(ask("POST /healthz", "")).0, 405);
    assert!(matches!(ask("GET /readyz", ""), Answer::Forward));
}

#[test]
fn a_body_that_nobody_reads_ends_the_connection() {
    let Answer::Ready { keep, .. } = ask("GET /", "Content-Length: 5\r\n") else { panic!() };
    assert_eq!(keep, Keep::Close);
}
