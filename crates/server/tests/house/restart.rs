//! Restarted in place, by a signal: who listens hears a pause, and nobody is turned away.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::process::Signal;

use crate::ear::{Ear, pieces};
use crate::http::{ask, try_ask};
use crate::mouth::Mouth;
use crate::server::{Server, Space, children, has_ended, kill, until};

/// Restarts, and waits until that is over.
pub(crate) fn restart(server: &Server) {
    let before = server.said().matches("restarted in place").count();
    kill(server.pid().cast_signed(), Signal::HUP);
    until("the restart", || (server.said().matches("restarted in place").count() > before).then_some(()));
}

/// Asks for the same things over and over, each on a connection of its own, until `done`; how often each answer came, and what went wrong.
fn hammer(server: &Server, space: &Space, done: &AtomicBool) -> BTreeMap<String, usize> {
    let id = &space.id;
    let mut answers = BTreeMap::new();
    while !done.load(Relaxed) {
        for (at, method, path) in [
            (server.public, "GET", "/healthz".to_owned()),
            (server.public, "GET", format!("/s/{id}")),
            (server.public, "HEAD", format!("/listen/{id}.ogg")),
            (server.stage, "GET", "/healthz".to_owned()),
            (server.stage, "GET", format!("/api/spaces/v1/spaces/{id}")),
        ] {
            let outcome = match try_ask(at, method, &path, &[], &[]) {
                Ok(reply) => reply.status.to_string(),
                Err(why) => why.to_string(),
            };
            *answers.entry(format!("{method} {path}: {outcome}")).or_default() += 1;
        }
    }
    answers
}

#[test]
fn a_restart_in_place_is_a_pause_for_who_listens_and_turns_nobody_away() {
    let server = Server::start();
    let space = server.live("on the air");
    let page = format!("/s/{}", space.id);
    until("the page", || (ask(server.public, "GET", &page, &[], &[]).status == 200).then_some(()));
    let by_mp4 = Ear::on(server.public, &format!("/listen/{}.mp4", space.id));
    let by_ogg = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    by_ogg.hears(440.0, 0);
    let old = children(server.pid());

    let done = AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        let hammering = scope.spawn(|| hammer(&server, &space, &done));
        restart(&server);
        until("a speaker is told", || mouth.is_gone().then_some(()));
        done.store(true, Relaxed);
        hammering.join().expect("the hammer")
    });
    assert!(answers.keys().all(|answer| answer.ends_with(": 200")), "{answers:#?}");
    // At the stage's there was nobody left.
    until("one old worker", || {
        (children(server.pid()).iter().filter(|pid| old.contains(pid)).count() == 1).then_some(())
    });
    drop(mouth);

    // The speaker comes back, and is heard over the same connections.
    let from = by_ogg.bytes();
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 700.0);
    by_ogg.hears(700.0, from);
    assert!(!by_mp4.is_closed() && !by_ogg.is_closed());
    server.host(&space, "end");
    drop(mouth);
    let heard = pieces(&by_mp4.closed("the end"));
    for pair in heard.windows(2) {
        assert_eq!(pair[1].time, pair[0].time + 9_600, "the restart is heard as a jump in time");
    }
    let view = server.until_view(&space, "posted", |view| view["state"] == "posted");
    let duration_s = view["replay"]["duration"].as_f64().unwrap();
    let live_s = heard.len() as f64 * 0.2;
    assert!((live_s - duration_s).abs() <= 0.3, "{live_s} s were heard, the replay has {duration_s} s");
    let (code, words) = server.verify(&space.id);
    assert!(code == Some(0) && words.contains("epochs: 2") && words.contains("never kept): 0"), "{words}");
    // With their last listener the old workers go.
    for pid in old {
        until("the end of an old process", || has_ended(pid).then_some(()));
    }
    let said = server.said();
    assert!(!said.contains("lost") && !said.contains("gave back"), "{said}");
}

#[test]
fn of_older_workers_one_generation_is_kept() {
    let server = Server::start();
    let space = server.live("on the air");
    let path = format!("/listen/{}.ogg", space.id);
    until("the space", || (ask(server.public, "HEAD", &path, &[], &[]).status == 200).then_some(()));
    let first = Ear::on(server.public, &path);
    restart(&server);
    // An old worker may take some more until it knows that it is to take nobody; not all of eight.
    let eight: Vec<Ear> = (0..8).map(|_| Ear::on(server.public, &path)).collect();
    restart(&server);
    let heard: Vec<usize> = eight.iter().map(Ear::bytes).collect();
    first.closed("the oldest worker's farewell");
    let second = until("sound over two generations", || {
        let hears = |(ear, heard): &(&Ear, &usize)| !ear.is_closed() && ear.bytes() > **heard + 4_000;
        eight.iter().zip(&heard).find(hears).map(|(ear, _)| ear)
    });
    // And everything ends when it is told to, whichever generation it is of.
    let mut server = server;
    let everyone = children(server.pid());
    let (status, _) = server.stop();
    assert!(status.success(), "{status}");
    second.closed("the end");
    assert!(everyone.into_iter().all(has_ended));
}

#[test]
fn a_new_program_takes_over_and_one_that_would_not_start_does_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let (program, config) = (dir.path().join("hiwar"), dir.path().join("hiwar.toml"));
    let put = |path: &Path| {
        let fresh = path.with_extension("new");
        std::fs::copy(env!("CARGO_BIN_EXE_hiwar"), &fresh).expect("a copy");
        std::fs::rename(&fresh, path).expect("in its place");
    };
    put(&program);
    std::fs::write(&config, "demo = false").unwrap();
    let arguments = ["--config", config.to_str().expect("a name")];
    let server = Server::start_as(&program, &dir.path().join("data"), &arguments);
    // A process that is ending runs nothing.
    let runs = |pid: u32| std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let is_deleted = |pid: u32| runs(pid).to_string_lossy().ends_with("(deleted)");

    for broken in ["no_such_key = 1", "demo = "] {
        std::fs::write(&config, broken).unwrap();
        let refusals = server.said().matches("not restarted").count();
        let before = children(server.pid());
        kill(server.pid().cast_signed(), Signal::HUP);
        until("the refusal", || (server.said().matches("not restarted").count() > refusals).then_some(()));
        assert_eq!(children(server.pid()), before);
        assert_eq!(ask(server.public, "GET", "/readyz", &[], &[]).status, 200);
    }
    std::fs::write(&config, "demo = false").unwrap();
    put(&program);
    assert!(is_deleted(server.pid()), "the old program still runs");
    restart(&server);
    let ours = program.canonicalize().unwrap();
    assert_eq!(runs(server.pid()), ours);
    let new = children(server.pid()).into_iter().filter(|pid| runs(pid.cast_unsigned()) == ours).count();
    assert_eq!(new, 3, "the house and two workers of the new program");
    assert_eq!(ask(server.public, "GET", "/readyz", &[], &[]).status, 200);
}
