//! Hold music: what an audience hears that waits, from its upload to the start.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::ear::{Ear, next, ogg, rms, tone};
use crate::http::{Reply, ask};
use crate::mouth::Mouth;
use crate::server::{Server, Space, until};

/// A WAV file of a tone: 16 bits, mono.
fn wav(rate: u32, seconds: u32, hz: f32) -> Vec<u8> {
    let sample = |n: u32| (8_000.0 * (std::f32::consts::TAU * (hz * n as f32 / rate as f32).fract()).sin()) as i16;
    let samples: Vec<u8> = (0..rate * seconds).flat_map(|n| sample(n).to_le_bytes()).collect();
    let length = samples.len() as u32;
    let mut file = b"RIFF".to_vec();
    file.extend_from_slice(&(36 + length).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend_from_slice(&rate.to_le_bytes());
    file.extend_from_slice(&(2 * rate).to_le_bytes());
    file.extend_from_slice(b"\x02\0\x10\0data");
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&samples);
    file
}

fn give(at: SocketAddr, space: &Space, pass: &str, mime: &str, file: &[u8]) -> Reply {
    let bearer = format!("Bearer {pass}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", mime)];
    ask(at, "PUT", &format!("/api/spaces/v1/spaces/{}/hold-music", space.id), &headers, file)
}

/// Gives a space music, and says what its host is told of it.
fn given(server: &Server, space: &Space, file: &[u8]) -> Value {
    let reply = give(server.stage, space, &space.host_pass, "audio/wav", file);
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["hold_music"].clone()
}

fn stage(server: &Server, space: &Space, pass: &str) -> Value {
    server.api("GET", &format!("/{}/stage", space.id), pass, None).json()
}

#[test]
fn who_waits_hears_the_hosts_music_until_the_start_and_then_the_stage() {
    let server = Server::start();
    let space = server.create(json!({ "title": "حوار", "audience": "public" }));
    let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    next(&ear, "silence", |sound| rms(sound) < 1e-3);
    assert_eq!(given(&server, &space, &wav(44_100, 6, 700.0)), json!({ "duration_ms": 6_020 }));
    next(&ear, "the music", |sound| tone(sound, 700.0) > 0.9);
    let file = server.data().join("spaces").join(&space.id).join("hold.music");
    assert!(file.is_file());
    // The speakers are told nothing of it, and hear each other alone.
    let guest_pass = server.speaker_pass(&space, "ضيف");
    assert_eq!(stage(&server, &space, &guest_pass)["hold_music"], json!(null));
    assert_eq!(stage(&server, &space, &space.host_pass)["hold_music"]["duration_ms"], json!(6_020));
    let host = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    host.hears("nobody", |sound| rms(sound) < 1e-3);
    next(&ear, "the music alone", |sound| tone(sound, 700.0) > 0.9 && tone(sound, 440.0) < 0.01);

    // The next house has it, too, and other music can be given at any time.
    server.kill_child("\"House\"");
    server.until_answered();
    next(&ear, "the music after the house's death", |sound| tone(sound, 700.0) > 0.9);
    until("the host is sent home", || host.is_gone().then_some(()));
    given(&server, &space, &wav(48_000, 60, 900.0));
    next(&ear, "other music", |sound| tone(sound, 900.0) > 0.9);

    let host = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    host.hears("nobody, again", |sound| rms(sound) < 1e-3);
    server.host(&space, "start");
    let started = ear.bytes();
    next(&ear, "the host alone", |sound| tone(sound, 440.0) > 0.9 && tone(sound, 900.0) < 0.01);
    // Nothing of the music comes again: it would be heard in any half second from now on.
    ear.body("two seconds of the stage", |body| {
        let sound = ogg(body, started);
        let stage = sound.get(24_000..120_000)?;
        assert!(stage.chunks(24_000).all(|half| tone(half, 900.0) < 0.01));
        Some(())
    });
    until("the file is gone", || (!file.exists()).then_some(()));
    assert_eq!(stage(&server, &space, &space.host_pass)["hold_music"], json!(null));
}

#[test]
fn music_given_before_the_doors_open_is_heard_when_they_do_and_can_be_taken_away() {
    let server = Server::start();
    let at = |minutes: i64| {
        let moment = time::OffsetDateTime::now_utc() + time::Duration::minutes(minutes);
        moment.format(&time::format_description::well_known::Rfc3339).expect("a time")
    };
    let space = server.create(json!({ "title": "later", "audience": "public", "starts_at": at(120) }));
    given(&server, &space, &wav(48_000, 6, 700.0));
    let wish = json!({ "starts_at": at(5) });
    let moved = server.api("POST", &format!("/{}/postpone", space.id), &space.host_pass, Some(wish));
    assert_eq!(moved.json()["state"], "open");
    let path = format!("/listen/{}.ogg", space.id);
    until("the space", || (ask(server.public, "HEAD", &path, &[], &[]).status == 200).then_some(()));
    let ear = Ear::on(server.public, &path);
    next(&ear, "the music", |sound| tone(sound, 700.0) > 0.9);
    let taken = server.api("DELETE", &format!("/{}/hold-music", space.id), &space.host_pass, None);
    assert_eq!((taken.status, &taken.json()["hold_music"]), (200, &json!(null)));
    next(&ear, "silence", |sound| rms(sound) < 1e-3);
    // What is gone may be taken away again.
    let taken = server.api("DELETE", &format!("/{}/hold-music", space.id), &space.host_pass, None);
    assert_eq!(taken.status, 200);
    assert!(!server.data().join("spaces").join(&space.id).join("hold.music").exists());
}

#[test]
fn music_that_cannot_be_taken_is_refused_by_its_rule_and_what_was_there_stays() {
    let server = Server::start();
    let space = server.create(json!({ "title": "rules", "audience": "public" }));
    let good = wav(48_000, 6, 700.0);
    given(&server, &space, &good);
    let check = |at: SocketAddr, pass: &str, mime: &str, file: &[u8], status: u16, problem: &str| {
        let reply = give(at, &space, pass, mime, file);
        assert_eq!((reply.status, &*reply.problem()), (status, problem), "{reply:?}");
        reply
    };
    let refused = |file: &[u8]| {
        let reply = check(server.stage, &space.host_pass, "audio/wav", file, 422, "hold-music-refused");
        reply.json()["detail"].as_str().expect("a detail").to_owned()
    };
    assert!(refused(b"music").contains("WAV"));
    assert!(refused(&good[..good.len() / 2]).contains("WAV"));
    assert!(refused(&wav(8_000, 181, 440.0)).contains("3 minutes"));
    assert!(refused(&wav(100_000, 2, 440.0)).contains("kHz"));
    assert!(refused(&wav(48_000, 2, 0.0)).contains("nothing to hear"));
    check(server.stage, &space.host_pass, "audio/mpeg", &good, 415, "media-type");
    check(server.stage, &space.host_pass, "audio/wav", &vec![0; 20_000_001], 413, "body-too-large");
    check(server.public, &space.host_pass, "audio/wav", &good, 413, "body-too-large");
    check(server.stage, &server.speaker_pass(&space, "guest"), "audio/wav", &good, 403, "not-co-host");
    check(server.stage, "nonsense", "audio/wav", &good, 401, "pass-invalid");
    let stranger = server.create(json!({ "title": "another", "audience": "unlisted" }));
    check(server.stage, &stranger.host_pass, "audio/wav", &good, 403, "pass-wrong-space");
    assert_eq!(stage(&server, &space, &space.host_pass)["hold_music"]["duration_ms"], json!(6_020));

    server.host(&space, "start");
    check(server.stage, &space.host_pass, "audio/wav", &good, 409, "already-started");
    let taken = server.api("DELETE", &format!("/{}/hold-music", space.id), &space.host_pass, None);
    assert_eq!(&*taken.problem(), "already-started");
    server.host(&stranger, "cancel");
    let late = give(server.stage, &stranger, &stranger.host_pass, "audio/wav", &good);
    assert_eq!((late.status, &*late.problem()), (409, "cancelled"));
}
