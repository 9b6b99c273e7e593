//! Who waits in the wings hears the stage, and is heard by nobody before they have said that they come: whatever they send.

use rtc::rtp_transceiver::RTCRtpTransceiverDirection::Sendonly;
use serde_json::{Value, json};

use crate::client::Client;
use crate::ear::{Ear, next, ogg, rms, tail, tone};
use crate::http::{Reply, ask};
use crate::mouth::{Mouth, post};
use crate::server::{Server, Space, until};

/// Bound of those who wait without a seat of their own, as in `space`.
const WINGS_MAX: usize = hiwar_space::WINGS_MAX;

/// Somebody with a pass.
struct Somebody {
    id: String,
    pass: String,
}

fn somebody(server: &Server, space: &Space, role: &str, name: &str) -> Somebody {
    let wish = json!({ "role": role, "name": name });
    let made = server.api("POST", &format!("/{}/passes", space.id), &space.host_pass, Some(wish));
    assert_eq!(made.status, 201, "{made:?}");
    let text = |name: &str| made.json()[name].as_str().expect("text").to_owned();
    Somebody { id: text("participant"), pass: text("pass") }
}

fn act(server: &Server, space: &Space, pass: &str, method: &str, what: &str) -> Value {
    let reply = server.api(method, &format!("/{}/{what}", space.id), pass, None);
    assert_eq!(reply.status, 200, "{what}: {reply:?}");
    reply.json()
}

/// The host calls somebody who raises a hand.
fn call(server: &Server, space: &Space, guest: &Somebody) {
    act(server, space, &guest.pass, "PUT", "hand");
    act(server, space, &space.host_pass, "POST", &format!("people/{}/call", guest.id));
}

/// The space's endpoint, for those who would wait.
fn wings(space: &Space) -> String {
    format!("{}?at=wings", space.id)
}

fn offer(server: &Server, at: &str, who: &Somebody) -> Reply {
    post(server.stage, at, &who.pass, &Client::udp(Sendonly).offer())
}

fn speakers(server: &Server, space: &Space) -> usize {
    server.view(space)["speakers"].as_array().expect("people").len()
}

fn both(sound: &[f32]) -> bool {
    tone(sound, 440.0) > 0.2 && tone(sound, 1000.0) > 0.2
}

fn host_alone(sound: &[f32]) -> bool {
    tone(sound, 440.0) > 0.6 && tone(sound, 1000.0) < 0.01
}

/// How much was heard so far, in samples.
fn heard(ear: &Ear) -> usize {
    ear.body("what was heard so far", |body| Some(ogg(body, 0).len()))
}

/// Listens for another second: the host is heard, and in all since `from` nothing of the guest.
fn heard_alone(ear: &Ear, from: usize) {
    let until = heard(ear) + 48_000;
    // A half second that the network has stretched is not one tone: the next one is.
    let sound = ear.body("another second, and the host in it", |body| {
        Some(ogg(body, 0)).filter(|sound| sound.len() >= until && tail(sound, 0.5).is_some_and(host_alone))
    });
    let guest = loudest(&sound[from..], 1000.0);
    assert!(guest < 0.02, "the guest was heard: {guest}");
}

/// How much a tone is in that fifth of a second where it is most.
fn loudest(sound: &[f32], hz: f32) -> f32 {
    sound.chunks_exact(9_600).map(|part| tone(part, hz)).fold(0.0, f32::max)
}

#[test]
fn a_guest_who_has_not_agreed_is_in_no_sound_no_recording_and_no_list_until_they_have() {
    let server = Server::start();
    let space = server.create(json!({ "title": "A talk", "audience": "public", "tracks": "on" }));
    server.host(&space, "start");
    let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let host = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    ear.hears(440.0, 0);
    let zaynab = somebody(&server, &space, "speaker", "Zaynab");
    // Whoever does not ask to wait is told what is missing, as ever.
    let direct = offer(&server, &space.id, &zaynab);
    assert_eq!((direct.status, &*direct.problem()), (409, "not-agreed"));

    // They talk all the time.
    let from = heard(&ear);
    let waiting = Mouth::speak(server.stage, &wings(&space), &zaynab.pass, 1000.0);
    waiting.hears("the stage", |sound| tone(sound, 440.0) > 0.6);
    heard_alone(&ear, from);
    host.hears("nobody", |sound| rms(sound) < 1e-3);
    assert_eq!(speakers(&server, &space), 1);
    let people = act(&server, &space, &space.host_pass, "GET", "stage");
    assert!(!people.to_string().contains("Zaynab"), "{people}");
    let before = heard(&ear);

    act(&server, &space, &zaynab.pass, "POST", "agreement");
    next(&ear, "both", both);
    host.hears("the guest", |sound| tone(sound, 1000.0) > 0.6);
    assert_eq!(speakers(&server, &space), 2);
    // On the stage nobody waits: another connection would end this one.
    let again = offer(&server, &wings(&space), &zaynab);
    assert_eq!((again.status, &*again.problem()), (409, "already-on-stage"));

    // Another, who never agrees.
    let salma = somebody(&server, &space, "speaker", "Salma");
    let silent = Mouth::speak(server.stage, &wings(&space), &salma.pass, 2000.0);
    silent.hears("the stage", |sound| tone(sound, 440.0) > 0.2);
    drop(silent);
    server.host(&space, "end");
    drop((host, waiting));
    server.until_view(&space, "posted", |view| view["state"] == "posted");
    let reply = ask(server.public, "GET", &format!("/replay/{}.ogg", space.id), &[], &[]);
    let sound = ogg(&reply.body, 0);
    // The ear came after the start: what it had heard by then was not the whole.
    let early = &sound[..before.saturating_sub(48_000)];
    assert!(early.len() >= 24_000, "too little to say anything of it: {}", early.len());
    let early = loudest(early, 1000.0);
    assert!(early < 0.02 && loudest(&sound, 1000.0) > 0.2, "{early}");
    assert!(loudest(&sound, 2000.0) < 0.02, "who never agreed was recorded");
    let home = server.data().join("spaces").join(&space.id);
    for folder in ["log", "tracks"] {
        let files = std::fs::read_dir(home.join(folder)).expect("a folder");
        let bytes: Vec<u8> =
            files.flat_map(|file| std::fs::read(file.expect("a file").path()).expect("a disk")).collect();
        let has = |word: &str| bytes.windows(word.len()).any(|some| some == word.as_bytes());
        assert!(has(&zaynab.id) && !has(&salma.id), "{folder}");
    }
}

#[test]
fn who_is_called_is_heard_when_they_accept_and_their_connection_ends_with_the_call() {
    let server = Server::start();
    let space = server.create(json!({ "title": "A talk", "audience": "public", "recording": "off" }));
    server.host(&space, "start");
    let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let _host = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    let omar = somebody(&server, &space, "listener", "Omar");
    let uncalled = offer(&server, &wings(&space), &omar);
    assert_eq!((uncalled.status, &*uncalled.problem()), (409, "not-called"));
    let wait = |why: &str| {
        let waiting = Mouth::speak(server.stage, &wings(&space), &omar.pass, 1000.0);
        waiting.hears(why, |sound| tone(sound, 440.0) > 0.6);
        waiting
    };

    ear.hears(440.0, 0);
    let from = heard(&ear);
    call(&server, &space, &omar);
    let waiting = wait("the stage");
    act(&server, &space, &omar.pass, "DELETE", "seat");
    until("it ends as they decline", || waiting.is_gone().then_some(()));
    drop(waiting);

    call(&server, &space, &omar);
    let waiting = wait("the stage again");
    act(&server, &space, &space.host_pass, "POST", &format!("people/{}/send-back", omar.id));
    until("it ends as the call is taken back", || waiting.is_gone().then_some(()));
    drop(waiting);
    call(&server, &space, &omar);
    let waiting = wait("the stage once more");
    heard_alone(&ear, from);
    act(&server, &space, &omar.pass, "POST", "seat");
    next(&ear, "both", both);
    assert_eq!(speakers(&server, &space), 2);
    act(&server, &space, &space.host_pass, "POST", &format!("people/{}/remove", omar.id));
    until("it ends as they are removed", || waiting.is_gone().then_some(()));
    next(&ear, "the host alone for good", host_alone);
}

#[test]
fn who_accepts_before_they_are_connected_is_heard_as_soon_as_they_are() {
    let server = Server::start();
    let space = server.live("A talk");
    let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let _host = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    let omar = somebody(&server, &space, "listener", "Omar");
    call(&server, &space, &omar);
    act(&server, &space, &omar.pass, "POST", "seat");
    act(&server, &space, &omar.pass, "POST", "agreement");
    let _late = Mouth::speak(server.stage, &wings(&space), &omar.pass, 1000.0);
    next(&ear, "both", both);
    assert_eq!(speakers(&server, &space), 2);
}

#[test]
fn as_many_wait_without_a_seat_as_may_and_a_lock_sends_them_home() {
    let server = Server::start();
    let space = server.live("A talk");
    let guests: Vec<_> = (0..=WINGS_MAX).map(|n| somebody(&server, &space, "speaker", &format!("Guest {n}"))).collect();
    for guest in &guests[1..] {
        let reply = offer(&server, &wings(&space), guest);
        assert_eq!(reply.status, 201, "{reply:?}");
    }
    let beyond = offer(&server, &wings(&space), &guests[0]);
    assert_eq!((beyond.status, &*beyond.problem()), (503, "wings-full"));
    // They connect again in their own place.
    assert_eq!(offer(&server, &wings(&space), &guests[1]).status, 201);
    // Whoever has agreed is not kept out by those who have not.
    let _speaker = Mouth::speak(server.stage, &space.id, &server.speaker_pass(&space, "Layla"), 1000.0);
    let last = Mouth::speak(server.stage, &wings(&space), &guests[1].pass, 440.0);
    last.hears("the stage", |sound| tone(sound, 1000.0) > 0.6);
    let locked = server.api("PATCH", &format!("/{}", space.id), &space.host_pass, Some(json!({ "locked": true })));
    assert_eq!(locked.status, 200, "{locked:?}");
    until("the lock ends it", || last.is_gone().then_some(()));
}

#[test]
fn no_more_wait_than_may_also_if_they_come_at_once() {
    let server = Server::start();
    let space = server.live("A talk");
    let (stage, at) = (server.stage, wings(&space));
    let guests = (0..4 * WINGS_MAX).map(|n| somebody(&server, &space, "speaker", &format!("Guest {n}")));
    let asked: Vec<_> = guests.map(|guest| (guest.pass, Client::udp(Sendonly).offer())).collect();
    let together = std::sync::Barrier::new(asked.len());
    let ask = |(pass, offer): &(String, String)| {
        together.wait();
        post(stage, &at, pass, offer)
    };
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let asking: Vec<_> = asked.iter().map(|one| scope.spawn(|| ask(one))).collect();
        asking.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    let (came, kept_out): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 201);
    assert_eq!(came.len(), WINGS_MAX);
    assert!(kept_out.iter().all(|reply| reply.problem() == "wings-full"), "{kept_out:?}");
}

#[test]
fn in_the_next_house_whoever_waited_comes_anew() {
    let server = Server::start();
    let space = server.live("A talk");
    let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let guest = somebody(&server, &space, "speaker", "Zaynab");
    let waiting = Mouth::speak(server.stage, &wings(&space), &guest.pass, 1000.0);
    waiting.hears("an empty stage", |sound| rms(sound) < 1e-3);
    server.kill_child("House");
    server.until_answered();
    until("nobody is there any more", || waiting.is_gone().then_some(()));
    drop(waiting);
    // By the usual way: the word first, then the connection.
    act(&server, &space, &guest.pass, "POST", "agreement");
    let _guest = Mouth::speak(server.stage, &space.id, &guest.pass, 1000.0);
    next(&ear, "them", |sound| tone(sound, 1000.0) > 0.6);
}
