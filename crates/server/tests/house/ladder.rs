//! How crowded it is, as the audience sees it, and what an operator orders by hand: with real workers, pressure, doors and restarts.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::ear::Ear;
use crate::http::ask;
use crate::server::{Server, Space, until};

/// What the operator says at a terminal, and what is said back.
fn admin(data: &Path, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hiwar"));
    command.arg("admin").args(words).arg("--data").arg(data).env("LC_ALL", "C.UTF-8").env("SUDO_USER", "amal");
    let output = command.output().expect("the binary");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("text"))
}

fn status(server: &Server) -> Value {
    let reply = ask(server.public, "GET", "/api/spaces/v1/status", &[], &[]);
    if reply.status == 200 { reply.json() } else { Value::Null }
}

fn page(server: &Server) -> String {
    ask(server.public, "GET", "/status", &[], &[]).text()
}

/// Waits until the server says that it is at that level, for that reason, and returns how it was in the last reply.
///
/// Each worker is told by its own connection, and each request meets any of them: so many in a row have to say so
/// that none of two is left out (once in four thousand, and then only if it is milliseconds behind).
fn until_level(server: &Server, level: u64, reason: Option<&str>) -> Value {
    const IN_A_ROW: u32 = 12;
    let mut in_a_row = 0;
    until(&format!("level {level}"), || {
        let status = status(server);
        let is_so = status["server"]["level"] == level && status["server"]["reasons"][0].as_str() == reason;
        in_a_row = if is_so { in_a_row + 1 } else { 0 };
        (in_a_row == IN_A_ROW).then_some(status)
    })
}

/// The events of a space, as its listeners' pages follow them.
fn events(server: &Server, space: &Space) -> Ear {
    Ear::on(server.stage, &format!("/api/spaces/v1/spaces/{}/events", space.id))
}

fn is_told(ear: &Ear, words: &str) {
    ear.body(words, |heard| heard.windows(words.len()).any(|here| here == words.as_bytes()).then_some(()));
}

#[test]
fn a_pin_is_seen_by_whoever_listens_and_reads_and_outlives_the_house_and_the_server() {
    let mut server = Server::start_with(&["--workers", "2"]);
    let space = server.live("Pinned");
    let ear = Ear::on(server.public, &format!("/listen/{}.mp4", space.id));
    let follower = events(&server, &space);
    is_told(&follower, r#""ladder":{"level":0,"reasons":[]"#);
    assert_eq!(status(&server)["changes"], Value::Array(vec![]));

    let (code, said) = admin(server.data(), &["pin", "2", "--why", "the line is another's today"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("pin 2, until it is lifted") && said.contains("by amal: the line is another's today"),
        "{said}"
    );
    is_told(&follower, r#""ladder":{"level":2,"reasons":["operator"]"#);
    is_told(&follower, "whoever runs this server decided so");
    is_told(&ear, r#""level":2"#);
    until_level(&server, 2, Some("operator"));
    let text = page(&server);
    for words in
        ["lang=\"ar\" dir=\"rtl\"", "المستوى 2.", "قرر ذلك من يدير هذا الخادم", "lang=\"en\" dir=\"ltr\"", "Level 2."]
    {
        assert!(text.contains(words), "{words} in {text}");
    }
    assert!(text.contains("Pinned") && !text.contains("another's today") && !text.contains("<script"), "{text}");

    // The house dies: workers still say how it was, and how old that is.
    server.kill_child("\"House\"");
    server.until_answered();
    until_level(&server, 2, Some("operator"));
    assert!(!ear.is_closed());
    server.stop();
    let again = Server::start_in(server.data(), &["--workers", "2"]);
    until_level(&again, 2, Some("operator"));
    let (_, said) = admin(again.data(), &["pin", "off"]);
    assert!(!said.contains("pin 2"), "{said}");
    let changes = until_level(&again, 0, None)["changes"].take();
    let of_server: Vec<_> =
        changes.as_array().expect("changes").iter().filter(|change| change["space"].is_null()).collect();
    assert_eq!((of_server[0]["before"].as_u64(), of_server[0]["level"].as_u64()), (Some(2), Some(0)), "{changes}");
}

#[test]
fn workers_say_how_it_was_while_the_house_is_away_and_how_old_that_is() {
    let server = Server::start_with(&["--workers", "1"]);
    until_level(&server, 0, None);
    assert!(page(&server).contains("<body class=\"fresh\">"));
    server.stop_child("\"House\"");
    let old = until("it is old", || {
        let text = page(&server);
        text.contains("<body class=\"old\">").then_some(text)
    });
    assert!(old.contains("being restarted or does not answer") && !old.contains('@'), "{old}");
    assert!(status(&server)["age_s"].as_u64() > Some(10));
    server.resume_child("\"House\"");
    until("it is fresh", || page(&server).contains("<body class=\"fresh\">").then_some(()));
}

#[test]
fn a_worker_whose_line_is_full_is_seen_with_its_reason_and_a_cap_holds() {
    // Nobody hears anything over that: it is full with the first listener.
    let server = Server::start_with(&["--workers", "1", "--demo", "--egress-mbps", "1"]);
    let (code, said) = admin(server.data(), &["cap", "1", "--minutes", "30"]);
    assert!(code == Some(0) && said.contains("cap 1, until 20"), "{said}");
    let ears: Vec<Ear> = (0..40).map(|_| Ear::on(server.public, "/listen/demo.mp4")).collect();
    until_level(&server, 1, Some("line"));
    let metrics = || ask(server.public, "GET", "/metrics", &[], &[]).text();
    let seen = metrics();
    let levels = seen.lines().filter(|line| line.starts_with("hiwar_worker_level{worker=\""));
    let mut levels: Vec<_> = levels.filter_map(|line| line.rsplit(' ').next()).collect();
    levels.sort_unstable();
    assert_eq!(levels, ["0", "1"], "that of the stage feels nothing: {seen}");
    assert!(seen.lines().any(|line| line.contains(",reason=\"line\"} 1")), "{seen}");
    let (_, said) = admin(server.data(), &["cap", "off"]);
    assert!(!said.contains("cap 1"), "{said}");
    until_level(&server, 3, Some("line"));
    assert!(ears.iter().all(|ear| !ear.is_closed()));
}

#[test]
fn the_panic_switch_is_rehearsed_and_undone() {
    let server = Server::start_with(&["--workers", "2"]);
    let space = server.live("Rehearsed");
    let path = format!("/listen/{}.mp4?t=", space.id);
    let inside = [Ear::on(server.public, &path), Ear::on(server.public, &path)];
    inside.iter().for_each(|ear| is_told(ear, "moof"));
    let (code, said) = admin(server.data(), &["panic", "5", "--minutes", "10", "--why", "rehearsal"]);
    assert!(code == Some(0) && said.contains("panic 5, until 20"), "{said}");
    until_level(&server, 5, Some("operator"));
    let told = ask(server.public, "GET", &path, &[("Accept-Language", "ar")], &[]);
    assert_eq!((told.status, told.problem()), (503, "wait".into()), "{told:?}");
    assert!(told.json()["stage"] == "rank" && told.text().contains("التسجيل"), "{told:?}");
    assert_eq!(told.json()["kept"], false, "nobody has a turn where there is no door: {told:?}");
    let (_, said) = admin(server.data(), &["panic", "off"]);
    assert!(!said.contains("panic 5"), "{said}");
    until_level(&server, 0, None);
    let more = Ear::on(server.public, &path);
    is_told(&more, "moof");
    assert!(inside.iter().all(|ear| !ear.is_closed()), "whoever was inside is inside");
    for words in [&["panic", "3"][..], &["pin", "7"], &["places", &space.id, "5"]] {
        assert_eq!(admin(server.data(), words).0, Some(2), "{words:?}");
    }
}

#[test]
fn the_places_of_a_conversation_are_changed_while_it_runs_and_its_host_sees_its_door() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("hiwar.toml");
    std::fs::write(&config, "[door]\nplaces = 50\n").expect("a disk");
    let args = ["--no-demo", "--workers", "1", "--config", config.to_str().expect("text")];
    let server = Server::start_in(&dir.path().join("data"), &args);
    let space = server.live("Capped");
    let door = |places: u64| {
        until("the door", || {
            let stage = server.api("GET", &format!("/{}/stage", space.id), &space.host_pass, None).json();
            (stage["door"]["places"] == places).then(|| stage["door"].clone())
        })
    };
    assert_eq!(door(50)["is"], "open");
    let (code, said) = admin(server.data(), &["places", &space.id, "7", "--why", "a small room"]);
    assert!(code == Some(0) && said.contains(&format!("places of {}: 7", space.id)), "{said}");
    assert_eq!(door(7)["without_time"], 0);
    let (_, said) = admin(server.data(), &["panic", "5"]);
    assert!(said.contains("until it is lifted"), "{said}");
    door(0);
    admin(server.data(), &["panic", "off"]);
    admin(server.data(), &["places", &space.id, "off"]);
    door(50);
}
