//! Processes die; what listeners and recordings lose by it is bounded.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::process::Signal;

use crate::ear::{Ear, pages, pieces};
use crate::http::{ask, try_ask};
use crate::mouth::Mouth;
use crate::server::{Server, Space, kill, until};

/// A space with a recording, talked in for about a second.
fn posted(server: &Server) -> Space {
    let space = server.live("short");
    let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 500.0);
    ear.hears(500.0, 0);
    server.host(&space, "end");
    drop(mouth);
    server.until_view(&space, "posted", |view| view["state"] == "posted");
    space
}

#[test]
fn a_killed_house_costs_listeners_a_pause_and_nothing_else() {
    let server = Server::start();
    let space = server.live("on the air");
    let by_mp4 = Ear::on(server.public, &format!("/listen/{}.mp4", space.id));
    let by_ogg = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    by_ogg.hears(440.0, 0);

    server.kill_child("\"House\"");
    drop(mouth);
    server.until_answered();
    let view = server.view(&space);
    assert_eq!((view["state"].as_str(), view["recording"].as_str()), (Some("live"), Some("on")), "{view}");
    // The speaker comes back with the same pass and is heard over the same connections.
    let from = by_ogg.bytes();
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 700.0);
    by_ogg.hears(700.0, from);
    let heard = by_mp4.body("media time without a step back or a hole", |body| {
        let pieces = pieces(body);
        for pair in pieces.windows(2) {
            assert_eq!(pair[1].time, pair[0].time + 9_600, "the house's death is heard as a jump in time");
        }
        let resumed = pieces.iter().rev().take(10).flat_map(|piece| &piece.events).any(|e| e["t"] == "speaking");
        resumed.then_some(pieces)
    });
    let told: Vec<&str> =
        heard.iter().flat_map(|piece| &piece.events).filter_map(|event| event["t"].as_str()).collect();
    assert_eq!(
        told.iter().filter(|kind| **kind == "away").count(),
        1,
        "listeners are told once that the house is away"
    );
    assert!(!by_mp4.is_closed() && !by_ogg.is_closed());

    server.host(&space, "end");
    drop(mouth);
    let view = server.until_view(&space, "posted", |view| view["state"] == "posted");
    let live_s = pieces(&by_mp4.closed("the end")).len() as f64 * 0.2;
    let duration_s = view["replay"]["duration"].as_f64().unwrap();
    assert!((live_s - duration_s).abs() <= 0.3, "{live_s} s were heard, the replay has {duration_s} s");
    let (code, words) = server.verify(&space.id);
    assert!(code == Some(0) && words.contains("epochs: 2"), "{words}");
}

#[test]
fn a_programme_that_panics_costs_its_space_a_moment_and_the_others_nothing() {
    // Fifteen seconds after somebody comes to the first space: by then everybody below is there.
    let server = Server::start_told(&[("HIWAR_PANIC_IN", "750")]);
    let broken = server.live("breaks");
    let by_mp4 = Ear::on(server.public, &format!("/listen/{}.mp4", broken.id));
    let by_ogg = Ear::on(server.public, &format!("/listen/{}.ogg", broken.id));
    let speaker = Mouth::speak(server.stage, &broken.id, &broken.host_pass, 440.0);
    by_ogg.hears(440.0, 0);
    let whole = server.live("does not");
    let untouched = Ear::on(server.public, &format!("/listen/{}.mp4", whole.id));
    let other = Mouth::speak(server.stage, &whole.id, &whole.host_pass, 600.0);
    let metrics = || ask(server.public, "GET", "/metrics", &[], &[]).text();
    assert!(metrics().contains("hiwar_programme_panics_total 0\n"), "it broke before everybody was there");

    until("the panic", || metrics().contains("hiwar_programme_panics_total 1\n").then_some(()));
    until("that the speaker is told", || speaker.is_gone().then_some(()));
    drop(speaker);
    // They come back with the same pass, and are heard over the same connections, in a stream without a jump.
    let from = by_ogg.bytes();
    let speaker = Mouth::speak(server.stage, &broken.id, &broken.host_pass, 700.0);
    by_ogg.hears(700.0, from);
    let contiguous = |body: &[u8]| {
        let pieces = pieces(body);
        pieces.windows(2).for_each(|pair| assert_eq!(pair[1].time, pair[0].time + 9_600, "heard as a jump in time"));
        pieces.len()
    };
    by_mp4.body("the sound that follows", |body| (contiguous(body) > 45).then_some(()));
    untouched.body("the sound that goes on", |body| (contiguous(body) > 30).then_some(()));
    assert!(!other.is_gone() && [&by_mp4, &by_ogg, &untouched].iter().all(|ear| !ear.is_closed()));
    let said = server.said();
    assert_eq!(said.matches("a fault was wished for").count(), 1, "it is said once, where it was: {said}");

    server.host(&broken, "end");
    drop(speaker);
    let view = server.until_view(&broken, "posted", |view| view["state"] == "posted");
    let live_s = pieces(&by_mp4.closed("the end")).len() as f64 * 0.2;
    let duration_s = view["replay"]["duration"].as_f64().unwrap();
    assert!((live_s - duration_s).abs() <= 0.3, "{live_s} s were heard, the replay has {duration_s} s");
    let (code, words) = server.verify(&broken.id);
    assert!(code == Some(0) && words.contains("epochs: 1"), "{words}");
    assert!(metrics().contains("hiwar_programme_panics_total 1\n"));
}

#[test]
fn a_house_that_hangs_is_told_of_as_one_that_died_and_nobody_is_cut_off() {
    let server = Server::start();
    let space = server.live("on the air");
    let by_mp4 = Ear::on(server.public, &format!("/listen/{}.mp4", space.id));
    let by_ogg = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    by_ogg.hears(440.0, 0);
    let house = *server.children("\"House\"").first().expect("a house");
    kill(house, Signal::STOP);
    let away = |body: &[u8]| body.windows(10).filter(|bytes| *bytes == b"\"t\":\"away\"").count();
    by_mp4.body("that nothing comes", |body| (away(body) > 0).then_some(()));
    let before = by_ogg.bytes();
    kill(house, Signal::CONT);
    by_ogg.hears(440.0, before);
    let told = by_mp4.body("the sound that follows", |body| {
        let last = pieces(body).iter().rposition(|piece| piece.events.iter().any(|event| event["t"] == "away"))?;
        (pieces(body).len() > last + 10).then(|| away(body))
    });
    assert_eq!(told, 1, "once");
    assert!(!by_mp4.is_closed() && !by_ogg.is_closed());
    drop(mouth);
}

/// The log segment that a space writes to, and how long it is.
fn segment(server: &Server, space: &Space) -> (std::fs::File, u64) {
    let folder = server.data().join("spaces").join(&space.id).join("log");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let last = files.filter(|path| path.extension().is_some_and(|end| end == "seg")).max().expect("a log segment");
    let file = std::fs::OpenOptions::new().write(true).open(last).unwrap();
    let length = file.metadata().unwrap().len();
    (file, length)
}

#[test]
fn what_was_heard_and_lost_by_the_disk_the_workers_give_back() {
    let server = Server::start();
    let space = server.live("on the air");
    let ear = Ear::on(server.public, &format!("/listen/{}.mp4", space.id));
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    until("some seconds of voice", || (segment(&server, &space).1 > 36_000).then_some(()));

    // Nobody starts the next house before the disk has forgotten what the last one wrote.
    kill(server.pid().cast_signed(), Signal::STOP);
    let house = *server.children("\"House\"").first().expect("a house");
    kill(house, Signal::KILL);
    until("its end", || crate::server::has_ended(house).then_some(()));
    drop(mouth);
    let heard: Vec<Vec<u8>> =
        ear.body("what was heard", |body| Some(pieces(body).into_iter().flat_map(|piece| piece.frames).collect()));
    // Eight to ten chunks, the first of them in part.
    let (file, length) = segment(&server, &space);
    file.set_len(length - 12_000).unwrap();
    kill(server.pid().cast_signed(), Signal::CONT);
    until("the next house", || server.children("\"House\"").into_iter().find(|pid| *pid != house));
    server.until_answered();
    until("that it was given back what it had lost", || server.said().contains("gave back").then_some(()));

    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 700.0);
    ear.body("the voice again", |body| {
        let resumed = pieces(body).iter().rev().take(5).any(|p| p.frames.iter().map(Vec::len).sum::<usize>() > 600);
        resumed.then_some(())
    });
    server.host(&space, "end");
    drop(mouth);
    server.until_view(&space, "posted", |view| view["state"] == "posted");
    let all = pieces(&ear.closed("the end"));
    for pair in all.windows(2) {
        assert_eq!(pair[1].time, pair[0].time + 9_600, "the loss is heard as a jump in time");
    }
    let replay = ask(server.public, "GET", &format!("/replay/{}.ogg", space.id), &[], &[]).body;
    let posted: Vec<Vec<u8>> = pages(&replay).into_iter().flat_map(|page| page.packets).collect();
    let lives = |packets: &[Vec<u8>]| posted.windows(packets.len()).any(|found| found == packets);
    assert!(lives(&heard), "what was heard before the crash is not in the replay, whole and in order");
    let (code, words) = server.verify(&space.id);
    assert!(code == Some(0) && words.contains("epochs: 2"), "{words}");
}

#[test]
fn a_space_that_waits_goes_on_for_its_listeners_after_the_house_was_killed() {
    let server = Server::start();
    let space = server.create(serde_json::json!({ "title": "soon", "audience": "public" }));
    // The worker is told of a new space while its host is answered.
    let page = format!("/s/{}", space.id);
    until("the page", || (ask(server.public, "GET", &page, &[], &[]).status == 200).then_some(()));
    let ear = Ear::on(server.public, &format!("/listen/{}.mp4", space.id));
    let times = |body: &[u8]| -> Vec<u64> { pieces(body).iter().map(|piece| piece.time).collect() };
    let before = ear.body("some silence", |body| times(body).get(6).copied());
    server.kill_child("\"House\"");
    server.until_answered();
    ear.body("more silence", |body| times(body).last().filter(|last| **last > before + 96_000).copied());
    ear.body("rising time", |body| times(body).is_sorted_by(|a, b| a < b).then_some(()));
}

#[test]
fn a_killed_worker_is_replaced_and_knows_everything_again() {
    let mut server = Server::start();
    let (over, live) = (posted(&server), server.live("live"));
    let data = server.data().to_owned();
    let check = |server: &Server| {
        let get = |path: String| ask(server.public, "GET", &path, &[], &[]).status;
        assert_eq!(get(format!("/s/{}", over.id)), 200);
        assert_eq!(get(format!("/s/{}", live.id)), 200);
        for path in [".ogg", ".mp4", "/index.m3u8"] {
            assert_eq!(get(format!("/replay/{}{path}", over.id)), 200, "{path}");
        }
        assert_eq!(get(format!("/listen/{}.ogg", over.id)), 410);
        Ear::on(server.public, &format!("/listen/{}.ogg", live.id))
            .body("sound", |body| (body.len() > 4000).then_some(()));
    };
    check(&server);
    server.kill_child("\"index\":0");
    server.until_ready();
    check(&server);

    // And after a night: everything stopped and started again on the same directory.
    let dir = server.keep_dir();
    server.stop();
    drop(server);
    let server = Server::start_in(&data, &["--no-demo"]);
    check(&server);
    // The service manager's last resort: the children end with the supervisor.
    let children = crate::server::children(server.pid());
    assert_eq!(children.len(), 3);
    kill(server.pid().cast_signed(), Signal::KILL);
    for pid in children {
        until("a child's end", || crate::server::has_ended(pid).then_some(()));
    }
    drop(dir);
}

/// Where a listener of a space may ask: its page, its sound, its playlist.
fn asked(space: &Space) -> [(&'static str, String); 3] {
    let id = &space.id;
    [("GET", format!("/s/{id}")), ("HEAD", format!("/listen/{id}.ogg")), ("GET", format!("/hls/{id}/live.m3u8"))]
}

#[test]
fn a_worker_that_starts_without_a_house_says_of_no_space_that_it_does_not_exist() {
    let server = Server::start();
    let space = server.live("live");
    let house = *server.children("\"House\"").first().expect("a house");
    kill(house, Signal::STOP);
    server.kill_child("\"index\":0");
    assert_eq!(ask(server.public, "GET", "/healthz", &[], &[]).status, 200);
    for (method, path) in asked(&space).into_iter().chain([("GET", "/readyz".into())]) {
        let reply = ask(server.public, method, &path, &[("Accept-Language", "ar")], &[]);
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{path}: {reply:?}");
        assert_eq!(reply.header("content-language"), Some("ar"), "{path}");
        assert!(method == "HEAD" || reply.problem() == "starting", "{path}: {reply:?}");
    }
    kill(house, Signal::CONT);
    server.until_ready();
    assert_eq!(ask(server.public, "GET", &format!("/s/{}", space.id), &[], &[]).status, 200);
    assert_eq!(ask(server.public, "HEAD", &format!("/listen/{}.ogg", space.id), &[], &[]).status, 200);
    for path in ["/s/nobody", "/listen/nobody.ogg", "/hls/nobody/live.m3u8"] {
        assert_eq!(ask(server.public, "GET", path, &[], &[]).status, 404, "{path}");
    }
}

/// Ends those who ask, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn who_asks_while_processes_die_is_never_told_that_there_is_no_such_space() {
    let server = Server::start();
    // The last of many to be told of.
    let space = (0..20).map(|_| server.live("live")).max_by_key(|space| space.id.clone()).expect("twenty");
    let page = format!("/s/{}", space.id);
    // The first worker is told of a new space while its host is answered.
    until("the page", || (ask(server.public, "GET", &page, &[], &[]).status == 200).then_some(()));
    let over = AtomicBool::new(false);
    let answers: BTreeSet<(String, u16)> = std::thread::scope(|scope| {
        // Each by itself: who asks for the playlist may have to wait, and the others would hardly ask at all.
        let asking = asked(&space).map(|(method, path)| {
            let (over, server) = (&over, &server);
            scope.spawn(move || {
                let mut answers = BTreeSet::new();
                while !over.load(Relaxed) {
                    // Who is connected to a process that is killed gets no answer.
                    let answer = try_ask(server.public, method, &path, &[], &[]).ok();
                    answers.extend(answer.map(|reply| (path.clone(), reply.status)));
                }
                answers
            })
        });
        let end = Over(&over);
        for parts in [&["\"index\":0"][..], &["\"House\""], &["\"House\"", "\"index\":0"]] {
            parts.iter().for_each(|part| server.kill_child(part));
            server.until_ready();
        }
        drop(end);
        asking.into_iter().flat_map(|asking| asking.join().expect("answers")).collect()
    });
    for (path, status) in &answers {
        assert!([200, 503].contains(status), "{path}: {status}");
    }
    assert!(answers.contains(&(page, 200)), "nobody was answered: {answers:?}");
    for (method, path) in &asked(&space)[..2] {
        assert_eq!(ask(server.public, method, path, &[], &[]).status, 200, "{path}");
    }
}
