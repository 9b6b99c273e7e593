//! A studio of several shards: each conversation is in one of them, and nobody notices which.

use std::collections::BTreeMap;

use rtc::rtp_transceiver::RTCRtpTransceiverDirection::Sendrecv;

use crate::client::Client;
use crate::ear::Ear;
use crate::mouth::{Mouth, post};
use crate::server::{Server, Space, until};

const SHARDS: usize = 2;
/// By chance this many spaces in a row are in one shard of two once in a thousand million times.
const SPACES_MAX: usize = 31;

/// The port that a speaker of this space is told.
fn port(server: &Server, space: &Space) -> u16 {
    let reply = post(server.stage, &space.id, &space.host_pass, &Client::udp(Sendrecv).offer());
    assert_eq!(reply.status, 201, "{reply:?}");
    let answer = reply.text();
    let candidate = answer.lines().find(|line| line.starts_with("a=candidate")).expect("a candidate");
    candidate.split_whitespace().nth(5).and_then(|port| port.parse().ok()).expect("a port")
}

#[test]
fn speakers_of_each_shard_are_heard_at_its_own_port() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("hiwar.toml");
    std::fs::write(&config, format!("[studio]\nshards = {SHARDS}\n")).expect("a disk");
    let server = Server::start_in(&dir.path().join("data"), &["--no-demo", "--config", config.to_str().expect("text")]);
    let mut spaces = BTreeMap::new();
    for n in 0..SPACES_MAX {
        let space = server.live(&format!("space {n}"));
        spaces.entry(port(&server, &space)).or_insert(space);
        if spaces.len() == SHARDS {
            break;
        }
    }
    assert_eq!(spaces.len(), SHARDS, "{spaces:?}");

    let speak = |hz: f32, space: &Space| {
        let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
        (Mouth::speak(server.stage, &space.id, &space.host_pass, hz), ear)
    };
    let there: Vec<_> =
        [440.0, 700.0].into_iter().zip(spaces.values()).map(|(hz, space)| (hz, speak(hz, space))).collect();
    for (hz, (_, ear)) in &there {
        ear.hears(*hz, 0);
    }
    // Whoever ends one, or leaves it, is told by the right one.
    let [(_, (first, _)), (hz, (second, ear))] = &there[..] else { panic!("two") };
    let space = spaces.values().next().expect("one");
    server.host(space, "end");
    until("the end", || first.is_gone().then_some(()));
    ear.hears(*hz, ear.bytes());
    assert!(!second.is_gone());
}
