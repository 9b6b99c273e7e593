//! What the rules of a stage do to the sound.

use rtc::rtp_transceiver::RTCRtpTransceiverDirection::Sendonly;
use serde_json::{Value, json};

use crate::client::Client;
use crate::ear::{Ear, next, rms, tone};
use crate::mouth::{Mouth, post};
use crate::server::{Server, Space};

fn act(server: &Server, space: &Space, pass: &str, what: &str) -> Value {
    let reply = server.api("POST", &format!("/{}/{what}", space.id), pass, None);
    assert_eq!(reply.status, 200, "{what}: {reply:?}");
    reply.json()
}

fn id_of(server: &Server, space: &Space, pass: &str) -> String {
    let stage = server.api("GET", &format!("/{}/stage", space.id), pass, None).json();
    stage["you"]["id"].as_str().expect("an id").to_owned()
}

#[test]
fn before_the_start_the_stage_hears_itself_and_its_audience_silence() {
    let server = Server::start();
    let space = server.create(json!({ "title": "حوار", "audience": "public" }));
    let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let events = Ear::on(server.public, &format!("/listen/{}.mp4", space.id));
    let host = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    let guest = Mouth::speak(server.stage, &space.id, &server.speaker_pass(&space, "ضيف"), 1000.0);
    guest.hears("the host, behind the curtain", |sound| tone(sound, 440.0) > 0.6);
    host.hears("the guest, behind the curtain", |sound| tone(sound, 1000.0) > 0.6);
    next(&ear, "silence before the start", |sound| rms(sound) < 1e-3);
    server.host(&space, "start");
    next(&ear, "both, after the start", |sound| tone(sound, 440.0) > 0.2 && tone(sound, 1000.0) > 0.2);
    // Nobody was named to those who could not hear them, and the replay begins with the start.
    let told = events.body("who speaks", |body| {
        let pieces = crate::ear::pieces(body);
        pieces
            .iter()
            .any(|piece| piece.events.iter().any(|event| event["t"] == "speaking" && event["id"].is_string()))
            .then_some(pieces)
    });
    let told = told.into_iter().flat_map(|piece| piece.events).collect::<Vec<_>>();
    let first = |wish: &dyn Fn(&Value) -> bool| told.iter().position(wish).expect("an event");
    let live = first(&|event| event["t"] == "stage" && event["state"] == "live");
    assert!(first(&|event| event["t"] == "speaking" && event["id"].is_string()) + 1 >= live, "{told:?}");
}

#[test]
fn who_is_muted_or_removed_is_heard_by_nobody() {
    let server = Server::start();
    let space = server.live("حوار");
    let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let host = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    let pass = server.speaker_pass(&space, "ضيف");
    let guest = Mouth::speak(server.stage, &space.id, &pass, 1000.0);
    let who = id_of(&server, &space, &pass);
    let both = |sound: &[f32]| tone(sound, 440.0) > 0.2 && tone(sound, 1000.0) > 0.2;
    let host_alone = |sound: &[f32]| tone(sound, 440.0) > 0.6 && tone(sound, 1000.0) < 0.01;
    next(&ear, "both", both);
    act(&server, &space, &space.host_pass, &format!("people/{who}/mute"));
    next(&ear, "the host alone", host_alone);
    host.hears("nobody", |sound| rms(sound) < 1e-3);
    guest.hears("the host still", |sound| tone(sound, 440.0) > 0.6);
    // A new connection does not open a microphone that a host has shut.
    drop(guest);
    let guest = Mouth::speak(server.stage, &space.id, &pass, 1000.0);
    guest.hears("the host again", |sound| tone(sound, 440.0) > 0.6);
    next(&ear, "the host alone, still", host_alone);
    act(&server, &space, &pass, &format!("people/{who}/unmute"));
    next(&ear, "both again", both);
    act(&server, &space, &space.host_pass, &format!("people/{who}/remove"));
    next(&ear, "the host alone, for good", host_alone);
    crate::server::until("the removed one is sent home", || guest.is_gone().then_some(()));
    let again = post(server.stage, &space.id, &pass, &Client::udp(Sendonly).offer());
    assert_eq!((again.status, &*again.problem()), (403, "removed"));
}
