//! Somebody withdraws: from a recording made by real speakers, by the command that an operator gives, beside a house at work.

use std::path::Path;
use std::process::Command;

use hiwar_media::package::ogg as file;
use serde_json::json;

use crate::ear::{Ear, pcm, tone};
use crate::http::ask;
use crate::mouth::Mouth;
use crate::server::{Server, Space, until};

pub(crate) fn withdraw(server: &Server, space: &Space, who: &str, language: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hiwar"));
    command.args(["admin", "withdraw", &space.id, who, "--data"]).arg(server.data()).env("LC_ALL", language);
    let output = command.output().expect("the binary");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Whether a word is in any file below a folder, or in its name.
pub(crate) fn is_below(folder: &Path, word: &str) -> bool {
    std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a disk").path()).any(|path| {
        let named = path.file_name().is_some_and(|name| name.to_string_lossy().contains(word));
        let has = |bytes: Vec<u8>| bytes.windows(word.len()).any(|some| some == word.as_bytes());
        named || if path.is_dir() { is_below(&path, word) } else { has(std::fs::read(path).expect("a file")) }
    })
}

/// The replay as Ogg plays it.
fn replay(server: &Server, space: &Space) -> Vec<f32> {
    let reply = ask(server.public, "GET", &format!("/replay/{}.ogg", space.id), &[], &[]);
    assert_eq!(reply.status, 200, "{reply:?}");
    pcm(file::frames(&reply.body).expect("Ogg").packets.iter().map(Vec::as_slice))
}

pub(crate) fn loudest(sound: &[f32], hz: f32) -> f32 {
    sound.chunks_exact(9_600).map(|part| tone(part, hz)).fold(0.0, f32::max)
}

fn make(server: &Server, tracks: &str) -> Space {
    let space = server.create(json!({ "title": "A talk", "audience": "public", "tracks": tracks }));
    server.host(&space, "start");
    space
}

#[test]
fn who_withdraws_is_gone_from_the_replay_and_from_the_disk() {
    let server = Server::start();
    let space = make(&server, "on");
    let (home, ear) =
        (server.data().join("spaces").join(&space.id), Ear::on(server.public, &format!("/listen/{}.ogg", space.id)));
    let host = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    ear.hears(440.0, 0);
    let guest = Mouth::speak(server.stage, &space.id, &server.speaker_pass(&space, "Zaynab"), 1000.0);
    host.hears("the guest", |sound| tone(sound, 1000.0) > 0.6);
    until("the guest is on disk", || is_below(&home, "Zaynab").then_some(()));
    let (code, _, why) = withdraw(&server, &space, "Zaynab", "C.UTF-8");
    assert!(code == Some(2) && why.contains("409"), "still live: {why}");

    // A house that dies takes some of the tracks with it, and the next one goes on.
    let before = ear.bytes();
    server.kill_child("House");
    server.until_answered();
    drop((host, guest));
    let host = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    ear.hears(440.0, before);
    let pass = server.speaker_pass(&space, "Zaynab");
    let guest = Mouth::speak(server.stage, &space.id, &pass, 1000.0);
    host.hears("the guest again", |sound| tone(sound, 1000.0) > 0.6);
    drop(guest);
    server.host(&space, "end");
    drop(host);
    let view = server.until_view(&space, "posted", |view| view["state"] == "posted");
    let old = replay(&server, &space);
    let both = (loudest(&old, 440.0), loudest(&old, 1000.0));
    assert!(both.0 > 0.4 && both.1 > 0.3, "{both:?}");

    // She came twice, by two links: two people, as far as anybody can know.
    let (code, _, why) = withdraw(&server, &space, "Zaynab", "C.UTF-8");
    assert!(code == Some(2) && why.contains("Several people had that name"), "{why}");
    let ids: Vec<&str> = why.trim().rsplit(": ").next().expect("ids").split(' ').collect();
    assert_eq!(ids.len(), 2, "{why}");
    let (code, _, why) = withdraw(&server, &space, "Nobody", "C.UTF-8");
    assert!(code == Some(2) && why.contains("Nobody of that id or name") && why.contains(ids[0]), "{why}");
    for id in &ids {
        let (code, said, why) = withdraw(&server, &space, id, "C.UTF-8");
        assert!(code == Some(0) && said.contains("made anew without them"), "{said}{why}");
    }
    let new = replay(&server, &space);
    assert_eq!(new.len(), old.len());
    assert!(loudest(&new, 440.0) > 0.6, "the host is gone, too");
    assert!(loudest(&new, 1000.0) < 0.02, "{}", loudest(&new, 1000.0));
    for trace in ["Zaynab", ids[0], ids[1]] {
        assert!(!is_below(&home, trace), "{trace}");
    }
    // What is left is a recording like any other.
    let (code, words) = server.verify(&space.id);
    assert!(code == Some(0) && words.contains("sealed"), "{words}");
    let again = server.view(&space);
    assert_eq!((&again["state"], &again["replay"]["duration"]), (&view["state"], &view["replay"]["duration"]));
    let reply = server.api("DELETE", &format!("/{}/recording", space.id), &space.host_pass, None);
    assert_eq!(reply.status, 200, "{reply:?}");
    until("all is removed", || (std::fs::read_dir(&home).unwrap().count() == 1).then_some(()));
}

#[test]
fn without_tracks_it_is_said_that_all_of_it_can_be_deleted() {
    let server = Server::start();
    let space = make(&server, "off");
    let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let host = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    ear.hears(440.0, 0);
    server.host(&space, "end");
    drop(host);
    server.until_view(&space, "posted", |view| view["state"] == "posted");
    assert!(!server.data().join("spaces").join(&space.id).join("tracks").exists());
    let (code, _, why) = withdraw(&server, &space, "Host", "C.UTF-8");
    assert!(code == Some(2) && why.contains("only be deleted as a whole"), "{why}");
    let (_, _, why) = withdraw(&server, &space, "Host", "ar_EG.UTF-8");
    assert!(why.contains("حذف التسجيل كله"), "{why}");
    // Whoever has no pass to operate this server does not get to ask.
    let path = format!("/{}/withdrawal", space.id);
    let reply = server.api("POST", &path, &space.host_pass, Some(json!({ "who": ["Host"] })));
    assert_eq!(reply.status, 403, "{reply:?}");
}
