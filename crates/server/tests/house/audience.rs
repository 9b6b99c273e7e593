//! Who is counted, through the whole server: by real sockets, over the death of every process.

use std::io::Read;
use std::net::TcpStream;
use std::process::Command;

use serde_json::{Value, json};

use crate::http::{ask, open};
use crate::server::{Server, Space, until};

/// A listener of that program, who has begun to hear.
fn listen(server: &Server, space: &Space, form: &str, agent: &str) -> TcpStream {
    let path = format!("/listen/{}.{form}", space.id);
    let mut stream = open(server.public, "GET", &path, &[("User-Agent", agent)], None).expect("a connection");
    let mut heard = 0;
    while heard < 4_000 {
        let read = stream.read(&mut [0; 4_096]).expect("sound");
        assert!(read > 0, "the stream ended");
        heard += read;
    }
    stream
}

fn fetch(server: &Server, space: &Space, agent: &str) {
    let reply = ask(server.public, "GET", &format!("/hls/{}/live.m3u8", space.id), &[("User-Agent", agent)], b"");
    assert_eq!(reply.status, 200, "{reply:?}");
}

fn shows(view: &Value, what: &[(&str, u64)]) -> bool {
    what.iter().all(|(name, value)| view["crowd"][name] == *value)
}

#[test]
fn people_are_counted_once_in_all_forms_and_whatever_dies() {
    let server = Server::start();
    let space = server.live("Counted");
    let streams = [listen(&server, &space, "mp4", "one"), listen(&server, &space, "ogg", "one")];
    fetch(&server, &space, "one");
    fetch(&server, &space, "two");
    fetch(&server, &space, "two");
    let all = [("streams", 2), ("hls", 2), ("unique", 2), ("joined", 2), ("heard_nothing", 0), ("turned_away", 0)];
    let view = server.until_view(&space, "two people", |view| shows(view, &all));
    assert_eq!((&view["listeners"], &view["crowd"]["hls_is"]), (&json!(4), &json!("estimate")), "{view}");
    assert!(view["crowd"]["bytes"].as_u64().is_some_and(|bytes| bytes >= 8_000), "{view}");
    let metrics = ask(server.public, "GET", "/metrics", &[], b"").text();
    for line in
        ["hiwar_listeners_streams 2", "hiwar_listeners_hls 2", "hiwar_joined_total 2", "hiwar_worker_full_total 0"]
    {
        assert!(metrics.lines().any(|told| told == line), "{line} in {metrics}");
    }
    assert!(metrics.contains(&format!("hiwar_space_unique{{space=\"{}\"}} 2\n", space.id)), "{metrics}");
    let accepted = |metrics: &str| -> u64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix("hiwar_worker_accepted_total "));
        line.expect("a line").parse().expect("a number")
    };
    assert!(accepted(&metrics) >= 5, "{metrics}");

    // Whoever follows the stage is told the same.
    let path = format!("/api/spaces/v1/spaces/{}/events", space.id);
    let bearer = format!("Bearer {}", space.host_pass);
    let mut events = open(server.stage, "GET", &path, &[("Authorization", &bearer)], None).expect("a connection");
    let mut told = String::new();
    until("an event with the numbers", || {
        let mut buffer = [0; 4_096];
        let read = events.read(&mut buffer).expect("events");
        told.push_str(&String::from_utf8_lossy(&buffer[..read]));
        told.contains("\"unique\":2").then_some(())
    });
    drop(events);

    // The house dies: its workers tell the next one everything.
    server.kill_child("\"House\"");
    server.until_ready();
    server.until_view(&space, "the same", |view| shows(view, &[("streams", 2), ("unique", 2), ("joined", 2)]));
    // The worker dies: what it counted is kept, and its successor's is added.
    server.kill_child("\"Crowd\"");
    server.until_ready();
    drop(streams);
    let _again = listen(&server, &space, "mp4", "two");
    let view = server.until_view(&space, "one more", |view| shows(view, &[("streams", 1), ("joined", 3)]));
    assert!(shows(&view, &[("unique", 2)]), "{view}");
    let metrics = ask(server.public, "GET", "/metrics", &[], b"").text();
    assert!(accepted(&metrics) >= 6, "{metrics}");

    server.host(&space, "end");
    let view = server.view(&space);
    assert!(shows(&view, &[("streams", 0), ("hls", 0), ("unique", 2)]) && view["listeners"] == 0, "{view}");
}

#[test]
fn a_rehearsed_crowd_is_in_no_number_of_the_audience_and_keeps_a_programme_running() {
    let server = Server::start();
    let space = server.live("Rehearsed");
    let url = format!("http://{}/listen/{}.mp4", server.public, space.id);
    let mut command = Command::new(env!("CARGO_BIN_EXE_hiwar"));
    command.args(["rehearse", "listen", &url, "--listeners", "40", "--within", "1", "--seconds", "6", "--data"]);
    let output = command.arg(server.data()).env("LC_ALL", "C.UTF-8").output().expect("the binary");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
    let result: Value = serde_json::from_slice(output.stdout.trim_ascii_end()).expect("JSON");
    assert_eq!((&result["joins"], &result["joins_failed"]), (&json!(40), &json!(0)), "{said}");
    // One came first, alone, to hear when sound is due. Longer than a programme goes on for nobody.
    let all = json!(41);
    let view = server.until_view(&space, "the rehearsal", |view| {
        view["crowd"]["rehearsal"]["joined"] == all && view["crowd"]["rehearsal"]["streams"] == 0
    });
    assert_eq!(view["listeners"], 0, "{view}");
    let none = [("streams", 0), ("hls", 0), ("unique", 0), ("joined", 0), ("heard_nothing", 0), ("bytes", 0)];
    assert!(shows(&view, &none), "{view}");
    assert!(view["crowd"]["rehearsal"]["bytes"].as_u64().is_some_and(|bytes| bytes > 40 * 4_000), "{view}");
    let metrics = ask(server.public, "GET", "/metrics", &[], b"").text();
    assert!(metrics.lines().any(|line| line == "hiwar_rehearsal_joined_total 41"), "{metrics}");
    assert!(metrics.lines().any(|line| line == "hiwar_joined_total 0"), "{metrics}");
}
