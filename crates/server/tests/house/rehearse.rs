//! A crowd that the product itself brings: to its own server, and to nobody else.

use std::process::{Command, Output};

use serde_json::Value;

use crate::http::ask;
use crate::server::{Server, until};

fn rehearse(args: &[&str]) -> (Output, String) {
    bring("listen", args)
}

fn bring(what: &str, args: &[&str]) -> (Output, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hiwar"));
    let output = command.args(["rehearse", what]).args(args).env("LC_ALL", "C.UTF-8").output().expect("the binary");
    let said = String::from_utf8(output.stderr.clone()).expect("text");
    (output, said)
}

#[test]
fn a_crowd_hears_every_byte_of_its_own_server() {
    let server = Server::start_with(&[]);
    let (data, folder) = (server.data().to_str().expect("text"), tempfile::tempdir().expect("a directory"));
    let report = folder.path().to_str().expect("text");
    for format in ["mp4", "ogg"] {
        let url = format!("http://{}/listen/demo.{format}", server.public);
        let crowd = ["--listeners", "60", "--arrive", "flash", "--within", "1", "--seconds", "3", "--report", report];
        let (output, said) = rehearse(&[&[&*url, "--data", data], &crowd[..]].concat());
        // On a busy machine it may be late, and say so; that is for `./x bench fanout`.
        assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
        let line = String::from_utf8(output.stdout).expect("text");
        let result: Value = serde_json::from_str(line.trim_end().lines().next_back().expect("a line")).expect("JSON");
        assert_eq!(
            (&result["joins"], &result["listeners_max"], &result["faults"]),
            (&60.into(), &60.into(), &0.into()),
            "{said}"
        );
        assert!(result["server_resident_bytes_max"].as_u64().is_some_and(|bytes| bytes > 10_000_000), "{result}");
        let kept: Value = serde_json::from_slice(&std::fs::read(folder.path().join("report.json")).unwrap()).unwrap();
        assert_eq!(kept["plan"]["format"], format);
        assert!(std::fs::read_to_string(folder.path().join("report.html")).unwrap().contains("dir=\"rtl\""));
    }
}

#[test]
fn a_crowd_comes_to_the_door_of_its_own_server_and_nobody_takes_it_for_the_audience() {
    let folder = tempfile::tempdir().expect("a directory");
    let config = folder.path().join("hiwar.toml");
    std::fs::write(&config, "[door]\nplaces = 40\n").expect("a disk");
    let args = ["--config", config.to_str().expect("text")];
    let server = Server::start_in(&folder.path().join("data"), &args);
    let data = server.data().to_str().expect("text").to_owned();
    let url = format!("http://{}/listen/demo.mp4", server.public);
    let report = folder.path().join("launch");
    let crowd = ["--places", "40", "--people", "150", "--within", "4", "--seconds", "14"];
    let kept = ["--data", &data, "--report", report.to_str().expect("text")];
    let (output, said) = bring("crowd", &[&[&*url], &crowd[..], &kept[..]].concat());
    // Whether the door is good is for `./x bench crowd`: of so few in so short a time nobody can tell, and that is what is said.
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("This rehearsal is no proof"), "{said}");
    let line = String::from_utf8(output.stdout).expect("text");
    let result: Value = serde_json::from_str(line.trim_end().lines().next_back().expect("a line")).expect("JSON");
    assert_eq!((&result["people"], &result["cap_exceeded"]), (&150.into(), &0.into()), "{said}");
    assert_eq!(result["verdict"], "doubtful", "{result}");
    let unjudged = result["unjudged"].as_array().expect("names");
    assert!(["promise_kept", "utilisation"].iter().all(|name| unjudged.contains(&(*name).into())), "{result}");
    let let_in = result["let_in"].as_u64().expect("a number");
    assert!((1..=40).contains(&let_in), "{result}");
    let visits = std::fs::read_to_string(report.join("visits.csv")).expect("raw samples");
    assert_eq!(visits.lines().count(), 151);
    let seconds = std::fs::read_to_string(report.join("seconds.csv")).expect("raw samples");
    assert!(seconds.lines().count() >= 14);
    let levels = || seconds.lines().filter_map(|line| line.rsplit(',').next()?.parse::<u8>().ok());
    assert!(levels().any(|level| level > 0) && levels().all(|level| level <= 5), "how crowded it was: {seconds}");
    let page = std::fs::read_to_string(report.join("report.html")).expect("a page");
    assert!(page.contains("dir=\"rtl\"") && page.contains("id=\"promised-en\""));
    let counted = format!("hiwar_rehearsal_joined_total {let_in}");
    let metrics = until("all of them are counted apart", || {
        let metrics = ask(server.public, "GET", "/metrics", &[], &[]).text();
        metrics.lines().any(|line| line == counted).then_some(metrics)
    });
    assert!(metrics.lines().any(|line| line == "hiwar_joined_total 0"), "{metrics}");
}

#[test]
fn nobody_is_rehearsed_who_did_not_grant_it() {
    let (ours, theirs) = (Server::start_with(&[]), Server::start_with(&[]));
    let url = format!("http://{}/listen/demo.mp4", theirs.public);
    let refused = |args: &[&str], why: &str| {
        let (output, said) = rehearse(args);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{said}");
        assert!(said.contains(why), "{said}");
    };
    let data = ours.data().to_str().expect("text");
    refused(&[&url, "--data", data], "this machine's own server is at");
    refused(&[&url, "--grant", "not-a-grant"], "that is no grant to rehearse");
    refused(&["http://127.0.0.1:9/", "--data", data], "a stream is http://HOST");
    let refused = |args: &[&str], why: &str| {
        let (output, said) = bring("crowd", args);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{said}");
        assert!(said.contains(why), "{said}");
    };
    refused(&[&url, "--places", "9", "--data", data], "this machine's own server is at");
    refused(&[&url, "--places", "9", "--grant", "not-a-grant"], "that is no grant to rehearse");
    refused(&["https://talk.example/listen/x.mp4", "--places", "9"], "a door is rehearsed on its own machine");
    refused(&[&url, "--places", "9", "--bots", "900"], "are more than --people");
}
