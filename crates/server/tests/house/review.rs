//! A host hears the recording before others do, cuts off its ends, and posts the rest: what was cut is nowhere any more.

use hiwar_media::package::ogg as file;
use serde_json::{Value, json};

use crate::ear::{Ear, ogg, pcm, tone};
use crate::export::export;
use crate::http::{Reply, ask};
use crate::mouth::Mouth;
use crate::server::{Server, Space, until};
use crate::withdrawal::{is_below, loudest, withdraw};

/// Packets in a chunk.
const CHUNK: usize = 10;

fn get(server: &Server, path: &str) -> Reply {
    ask(server.public, "GET", path, &[], &[])
}

fn packets(reply: &Reply) -> Vec<Vec<u8>> {
    assert_eq!(reply.status, 200, "{reply:?}");
    file::frames(&reply.body).expect("Ogg").packets
}

fn heard(packets: &[Vec<u8>]) -> Vec<f32> {
    pcm(packets.iter().map(Vec::as_slice))
}

fn make(server: &Server, wish: Value) -> Space {
    let mut whole = json!({ "title": "A talk", "audience": "public", "posting": "after_review" });
    whole.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
    let space = server.create(whole);
    server.host(&space, "start");
    space
}

/// What those who are not to hear it get.
fn is_kept_from_others(server: &Server, space: &Space) {
    let id = &space.id;
    for path in [
        format!("/replay/{id}.mp4"),
        format!("/replay/{id}.ogg"),
        format!("/replay/{id}/index.m3u8"),
        format!("/replay/{id}/chapters.json"),
        format!("/replay/{id}/clip.mp4?from=0&to=1"),
    ] {
        let reply = get(server, &path);
        assert_eq!(reply.status, 404, "{path}: {reply:?}");
    }
    is_over(server, space);
    let view = get(server, &format!("/api/spaces/v1/spaces/{id}")).json();
    assert_eq!(
        (&view["state"], &view["recording"], &view["posting"], &view["replay"]),
        (&"ended".into(), &"on".into(), &"after_review".into(), &Value::Null)
    );
    let page = get(server, &format!("/s/{id}")).text();
    assert!(!page.contains(&format!("/replay/{id}")) && page.contains("is posted here after the host has heard it"));
}

/// Its conversation is heard nowhere any more, and that is said.
fn is_over(server: &Server, space: &Space) {
    for path in ["/listen/ID.mp4", "/listen/ID.ogg", "/hls/ID/rewind.m3u8"] {
        assert_eq!(get(server, &path.replace("ID", &space.id)).status, 410, "{path}");
    }
}

/// The review as the host asks for it.
fn review(server: &Server, space: &Space) -> Value {
    let reply = server.api("GET", &format!("/{}/review", space.id), &space.host_pass, None);
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{reply:?}");
    reply.json()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

#[test]
fn what_the_host_cut_off_is_heard_and_named_nowhere_also_after_a_crash_and_a_withdrawal() {
    let server = Server::start();
    let space = make(&server, json!({ "tracks": "on" }));
    let (id, home) = (&space.id, server.data().join("spaces").join(&space.id));
    let ear = Ear::on(server.public, &format!("/listen/{id}.ogg"));
    let guest_pass = server.speaker_pass(&space, "Zaynab");
    let guest = Mouth::speak(server.stage, id, &guest_pass, 1000.0);
    ear.hears(1000.0, 0);
    drop(guest);
    server.until_view(&space, "an empty stage", |view| view["speakers"].as_array().is_some_and(Vec::is_empty));
    let before = ear.bytes();
    let host = Mouth::speak(server.stage, id, &space.host_pass, 440.0);
    ear.hears(440.0, before);
    let before = ear.bytes();
    ear.body("three seconds", |body| (ogg(body, before).len() > 3 * 48_000).then_some(()));
    server.host(&space, "end");
    drop(host);

    let view = server.until_view(&space, "a review", |view| view["recording"] == "review");
    assert_eq!((&view["state"], &view["replay"]), (&"ended".into(), &Value::Null));
    is_kept_from_others(&server, &space);
    let refused = server.api("GET", &format!("/{id}/review"), &guest_pass, None);
    assert_eq!((refused.status, refused.problem()), (403, "not-co-host".into()));

    // The host hears it, by each of the addresses.
    let told = review(&server, &space);
    let whole = packets(&get(&server, text(&told["ogg"])));
    for form in ["mp4", "hls", "chapters"] {
        assert_eq!(get(&server, text(&told[form])).status, 200, "{form}");
    }
    assert!(is_below(&home.join("replay"), "Zaynab"), "the whole names her");
    assert!(loudest(&heard(&whole), 1000.0) > 0.6 && loudest(&heard(&whole), 440.0) > 0.6);
    let end_ms = (told["duration"].as_f64().expect("seconds") * 1_000.0) as u64;

    let post = |pass: &str, kept: Value| server.api("POST", &format!("/{id}/post"), pass, Some(kept));
    for (pass, kept, status, problem) in [
        (&guest_pass, json!({}), 403, "not-host"),
        (&space.host_pass, json!({ "start_ms": 0, "end_ms": end_ms + 1 }), 422, "outside-recording"),
        (&space.host_pass, json!({ "start_ms": 2_000, "end_ms": 2_999 }), 422, "too-short"),
        (&space.host_pass, json!({ "start": 2 }), 400, "malformed"),
    ] {
        let reply = post(pass, kept);
        assert_eq!((reply.status, reply.problem()), (status, problem.into()), "{reply:?}");
    }

    // The next house keeps it, too.
    server.kill_child("House");
    server.until_answered();
    server.until_ready();
    assert_eq!(server.view(&space)["recording"], "review");
    is_kept_from_others(&server, &space);
    let told = review(&server, &space);
    assert_eq!(packets(&get(&server, text(&told["ogg"]))), whole);

    // And so does a worker that never heard of the conversation while it went on.
    server.kill_child("\"Crowd\"");
    server.until_ready();
    is_kept_from_others(&server, &space);
    assert_eq!(packets(&get(&server, text(&told["ogg"]))), whole);

    // Only the host's voice, without the last chunks. A house that dies while that is made leaves it to the next.
    let parts: Vec<_> = whole.chunks_exact(CHUNK).map(|part| tone(&heard(part), 440.0)).collect();
    let from = parts.iter().position(|tone| *tone > 0.5).expect("the host") + 2;
    let to = parts.len() - 2;
    let reply = post(&space.host_pass, json!({ "start_ms": from * 200 - 150, "end_ms": to * 200 + 150 }));
    assert_eq!(reply.status, 200, "{reply:?}");
    server.kill_child("House");
    server.until_answered();
    let view = server.until_view(&space, "posted", |view| view["state"] == "posted");
    let due = (to - from) as f64 / 5.0;
    assert_eq!((view["replay"]["duration"].as_f64(), &view["recording"]), (Some(due), &"on".into()));

    let replay = format!("/replay/{id}.ogg");
    until("everybody hears it", || (get(&server, &replay).status == 200).then_some(()));
    let kept = packets(&get(&server, &replay));
    assert!(kept[..kept.len() - 1] == whole[from * CHUNK..to * CHUNK], "not that part of the whole");
    let sound = heard(&kept);
    assert!(loudest(&sound, 440.0) > 0.6 && loudest(&sound, 1000.0) < 0.02, "{}", loudest(&sound, 1000.0));
    let chapters = get(&server, text(&view["replay"]["chapters"])).json();
    let [chapter] = &chapters["chapters"].as_array().expect("chapters")[..] else { panic!("{chapters}") };
    assert_eq!((&chapter["title"], chapter["endTime"].as_f64()), (&"Host".into(), Some(due)));
    assert!(!is_below(&home.join("replay"), "Zaynab"));
    let clip = |from: f64, to: f64| get(&server, &format!("/replay/{id}/clip.ogg?from={from:.3}&to={to:.3}"));
    assert_eq!(clip(0.0, due).status, 200);
    is_over(&server, &space);
    assert_eq!((clip(due, due + 1.0).status, clip(due, due + 1.0).problem()), (404, "clip-outside".into()));
    for gone in ["rewind.m3u8", "live.m3u8", "0.m4a", "1.m4a"] {
        let reply = get(&server, &format!("/hls/{id}/{gone}"));
        assert!([404, 410].contains(&reply.status), "{gone}: {reply:?}");
    }
    let again = post(&space.host_pass, json!({}));
    assert_eq!((again.status, again.problem()), (409, "not-in-review".into()));
    let refused = server.api("GET", &format!("/{id}/review"), &space.host_pass, None);
    assert_eq!((refused.status, refused.problem()), (409, "not-in-review".into()));

    // An operator's files are of that part, too.
    let out = tempfile::tempdir().expect("a directory");
    for form in ["ogg", "mp4"] {
        let path = out.path().join(format!("export.{form}"));
        let (code, words) = export(&home.join("log"), &path, &[]);
        assert_eq!(code, Some(0), "{words}");
        let replay = get(&server, &format!("/replay/{id}.{form}"));
        assert!(std::fs::read(path).expect("a file") == replay.body, "{form}: not the replay");
    }
    let path = out.path().join("export.jsonl");
    let (code, words) = export(&home.join("log"), &path, &[]);
    assert_eq!(code, Some(0), "{words}");
    let lines = std::fs::read_to_string(path).expect("a file");
    assert_eq!(lines.matches("\"kind\":\"chunk\"").count(), to - from);

    // Somebody withdraws: it stays that part.
    let (code, said, why) = withdraw(&server, &space, "Zaynab", "C.UTF-8");
    assert!(code == Some(0) && said.contains("made anew without them"), "{said}{why}");
    assert_eq!(server.view(&space)["replay"]["duration"].as_f64(), Some(due));
    let without = packets(&get(&server, &replay));
    // In the whole she would be silent, too.
    assert_eq!(without.len(), kept.len(), "not that part");
    let sound = heard(&without);
    assert!(loudest(&sound, 440.0) > 0.6 && loudest(&sound, 1000.0) < 0.02, "{}", loudest(&sound, 1000.0));
}

#[test]
fn a_recording_is_posted_as_a_whole_or_deleted_by_one_word() {
    let server = Server::start();
    let posted = make(&server, json!({ "clips": "off" }));
    let deleted = make(&server, json!({ "audience": "invited" }));
    for space in [&posted, &deleted] {
        let host = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
        let query = space.listen_link.split_once('?').map(|(_, query)| format!("?{query}")).unwrap_or_default();
        let ear = Ear::on(server.public, &format!("/listen/{}.ogg{query}", space.id));
        ear.hears(440.0, 0);
        server.host(space, "end");
        drop(host);
        // Whoever listens hears the end of it.
        ear.closed("the end");
        server.until_view(space, "a review", |view| view["recording"] == "review");
    }
    is_kept_from_others(&server, &posted);
    let told = review(&server, &posted);
    assert_eq!(told["clips"], false);
    let whole = packets(&get(&server, text(&told["ogg"])));
    let reply = server.api("POST", &format!("/{}/post", posted.id), &posted.host_pass, None);
    assert_eq!((reply.status, &reply.json()["state"]), (200, &"posted".into()), "{reply:?}");
    assert_eq!(packets(&get(&server, &format!("/replay/{}.ogg", posted.id))), whole, "nothing was made anew");
    assert!(get(&server, &format!("/s/{}", posted.id)).text().contains(&format!("/replay/{}.mp4", posted.id)));

    // Whoever was invited to listen is not one of those who review.
    let (_, query) = deleted.listen_link.split_once('?').expect("a pass");
    assert_eq!(get(&server, &format!("/replay/{}.ogg?{query}", deleted.id)).status, 404);
    let told = review(&server, &deleted);
    assert_eq!(get(&server, text(&told["ogg"])).status, 200);
    let reply = server.api("DELETE", &format!("/{}/recording", deleted.id), &deleted.host_pass, None);
    assert_eq!((reply.status, &reply.json()["recording"]), (200, &"off".into()), "{reply:?}");
    assert_eq!(get(&server, text(&told["ogg"])).status, 404);
    let refused = server.api("POST", &format!("/{}/post", deleted.id), &deleted.host_pass, None);
    assert_eq!((refused.status, refused.problem()), (409, "no-recording".into()));
}
