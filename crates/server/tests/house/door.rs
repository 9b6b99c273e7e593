//! A door with few places: who comes in, who is told to wait, and what stays when the house dies.

use std::io::Read;

use crate::ear::Ear;
use crate::http::{Reply, ask, head, open};
use crate::mouth::Mouth;
use crate::server::{Server, Space, until};

fn server(places: u32) -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("hiwar.toml");
    std::fs::write(&config, format!("[door]\nplaces = {places}\n")).expect("a disk");
    let args = ["--no-demo", "--config", config.to_str().expect("text")];
    let server = Server::start_in(&dir.path().join("data"), &args);
    (dir, server)
}

/// Comes until they are let in, loses the connection, and listens by the place that they have.
fn inside(server: &Server, space: &Space) -> Ear {
    let path = |ticket: &str| format!("/listen/{}.ogg?t={ticket}", space.id);
    let place = until("somebody is let in", || {
        let mut stream = open(server.public, "GET", &path(""), &[], None).expect("a connection");
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4_096]);
        let (_, status, fields) = loop {
            let length = stream.read(&mut buffer).expect("an answer");
            bytes.extend_from_slice(&buffer[..length]);
            if let Some(head) = head(&bytes) {
                break head;
            }
        };
        let place = fields.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("hiwar-place"));
        (status == 200).then(|| place.expect("a place").1)
    });
    Ear::on(server.public, &path(&place))
}

fn waits(server: &Server, space: &Space) -> Reply {
    let reply = ask(server.public, "GET", &format!("/listen/{}.mp4?t=", space.id), &[], &[]);
    assert_eq!((reply.status, reply.problem()), (503, "wait".into()), "{reply:?}");
    reply
}

#[test]
fn as_many_listen_as_there_are_places_and_a_house_that_dies_lets_nobody_else_in() {
    let (dir, mut server) = server(2);
    let space = server.live("full");
    let file = dir.path().join("data/spaces").join(&space.id).join("door");
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    let ears = [inside(&server, &space), inside(&server, &space)];
    ears.iter().for_each(|ear| ear.hears(440.0, 0));
    // At first the worker does not know that the others have no place either.
    until("somebody is drawn", || {
        let told = waits(&server, &space).json();
        assert!(told["ticket"].is_string() && told["wait_ms"].as_u64() > Some(0), "{told}");
        (told["stage"] == "draw").then_some(())
    });

    let figure = |name: &str| {
        let metrics = ask(server.public, "GET", "/metrics", &[], &[]).text();
        metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok())
    };
    let crowd = || (figure("hiwar_door_inside") == Some(2) && figure("hiwar_door_crowds") == Some(1)).then_some(());
    until("the house counts those inside, and knows of a crowd", crowd);

    server.kill_child("\"House\"");
    drop(mouth);
    server.until_answered();
    let from = ears[0].bytes();
    let _mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 700.0);
    until("the next house counts them, too", crowd);
    ears[0].hears(700.0, from);
    for _ in 0..3 {
        waits(&server, &space);
    }
    assert!(ears.iter().all(|ear| !ear.is_closed()));

    assert!(file.exists());
    server.host(&space, "end");
    until("the door is removed with its space", || (!file.exists()).then_some(()));
    server.stop();
}
