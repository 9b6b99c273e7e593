//! The supervisor: one on a directory, everything ends with it, nothing is left behind.

use std::time::Duration;

use crate::ear::{Ear, ogg, rms, tail};
use crate::http::ask;
use crate::server::{Server, children, command, has_ended};

#[test]
fn told_to_end_it_ends_everything_at_once() {
    let mut server = Server::start_with(&[]);
    let ear = Ear::on(server.public, "/listen/demo.ogg");
    let watcher = Ear::on(server.stage, "/api/spaces/v1/spaces/demo/events");
    ear.body("sound", |body| (body.len() > 4000).then_some(()));
    let pids = children(server.pid());
    assert_eq!(pids.len(), 3, "house, worker, reserved worker");
    let (status, took) = server.stop();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    for pid in pids {
        assert!(has_ended(pid), "a child was left behind: {pid}");
    }
    ear.closed("the listener's connection");
    watcher.closed("the watcher's connection");
    for alarm in ["lost", "does not keep up"] {
        assert!(!server.said().contains(alarm), "{}", server.said());
    }
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    let server = Server::start();
    let refused = command(server.data()).arg("--no-demo").output().expect("the binary");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{words}");
    assert!(words.contains("another hiwar is running on it"), "{words}");
    assert!(words.contains(&server.data().display().to_string()), "{words}");
    // The first one did not notice.
    assert_eq!(ask(server.public, "GET", "/readyz", &[], &[]).status, 200);
    assert_eq!(ask(server.stage, "GET", "/healthz", &[], &[]).status, 200);
}

#[test]
fn a_directory_with_a_long_name_is_as_good_as_any() {
    let dir = tempfile::tempdir().expect("a directory");
    // A Unix socket's address holds 108 bytes.
    let data = dir.path().join("حوار".repeat(20)).join("d".repeat(120));
    let server = Server::start_in(&data, &[]);
    let ear = Ear::on(server.public, "/listen/demo.ogg");
    ear.body("speech", |body| (rms(tail(&ogg(body, 0), 0.5)?) > 0.01).then_some(()));

    // Every process may open as many files as the system lets it.
    for pid in children(server.pid()).into_iter().chain([server.pid().cast_signed()]) {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("limits");
        let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
        let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
        assert_eq!(numbers[0], numbers[1], "{line}");
    }
}
