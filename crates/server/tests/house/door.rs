//! A door with few places: who comes in, who is told to wait, and what stays when the house dies.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant, SystemTime};

use hiwar_admission::door::standing::Standing;
use hiwar_admission::door::ticket::Known;
use hiwar_admission::{Scope, VoucherKey};

use crate::ear::Ear;
use crate::http::{Reply, ask, connect_from, head, open};
use crate::mouth::Mouth;
use crate::server::{Server, Space, until};

pub(crate) fn server(places: u32) -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("hiwar.toml");
    std::fs::write(&config, format!("[door]\nplaces = {places}\n")).expect("a disk");
    let server = start(dir.path());
    (dir, server)
}

/// Once more, in the same directory.
pub(crate) fn start(dir: &Path) -> Server {
    let config = dir.join("hiwar.toml");
    let args = ["--no-demo", "--config", config.to_str().expect("text")];
    Server::start_in(&dir.join("data"), &args)
}

/// Comes until they are let in, showing that, and leaves again: the place that they have.
pub(crate) fn place(server: &Server, space: &Space, shown: &str) -> String {
    let path = format!("/listen/{}.ogg?t={shown}", space.id);
    until("somebody is let in", || {
        let mut stream = open(server.public, "GET", &path, &[], None).expect("a connection");
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
    })
}

/// Comes until they are let in, loses the connection, and listens by the place that they have.
pub(crate) fn inside(server: &Server, space: &Space) -> Ear {
    let place = place(server, space, "");
    Ear::on(server.public, &format!("/listen/{}.ogg?t={place}", space.id))
}

/// As a telephone that leaves a house, and its Wi-Fi.
#[test]
fn whoever_was_inside_comes_back_from_another_address() {
    let (_dir, server) = server(1);
    let space = server.live("full");
    let _mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    let place = place(&server, &space, "");
    let status = |shown: &str| {
        let mut stream = connect_from("127.0.0.5", server.public);
        let path = format!("/listen/{}.mp4?t={shown}", space.id);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").expect("a request");
        let mut bytes = Vec::new();
        until("an answer", || {
            let mut buffer = [0; 4_096];
            let length = stream.read(&mut buffer).expect("an answer");
            bytes.extend_from_slice(&buffer[..length]);
            head(&bytes).map(|(_, status, _)| status)
        })
    };
    assert_eq!(status(""), 503, "the place is kept, and nobody else's");
    until("let in", || (status(&place) == 200).then_some(()));
}

fn waits(server: &Server, space: &Space) -> Reply {
    waits_with(server, space, "")
}

fn waits_with(server: &Server, space: &Space, query: &str) -> Reply {
    let reply = ask(server.public, "GET", &format!("/listen/{}.mp4?t={query}", space.id), &[], &[]);
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

/// As a service manager restarts it while nobody waits; and as a power cut does, after a draw.
#[test]
fn a_restart_of_everything_keeps_the_places_of_those_inside_and_draws_no_crowd_again() {
    let (dir, mut server) = server(2);
    let space = server.live("full");
    let kept = dir.path().join("data/spaces").join(&space.id).join("crowd");
    let api = format!("/api/spaces/v1/spaces/{}/draws", space.id);
    let draws = |server: &Server| ask(server.public, "GET", &api, &[], &[]).json();
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    let listen = |server: &Server, place: &str| Ear::on(server.public, &format!("/listen/{}.ogg?t={place}", space.id));
    let places = [(); 2].map(|()| {
        let place = place(&server, &space, "");
        (listen(&server, &place), place)
    });
    until("it is kept how many are inside", || {
        let standing = Standing::decode(&std::fs::read(&kept).ok()?)?;
        (standing.workers.iter().map(|(_, past)| past.inside).sum::<u32>() == 2).then_some(())
    });
    let committed = draws(&server)["next"].take();
    drop(mouth);
    server.stop();

    let mut server = start(dir.path());
    let _mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    // Whoever comes for the first time comes first, and again and again.
    let refused = |server: &Server| (0..20).for_each(|_| drop(waits(server, &space)));
    refused(&server);
    let _ears = places.map(|(_, shown)| listen(&server, &place(&server, &space, &shown)));
    refused(&server);
    let next = draws(&server)["next"].take();
    assert_eq!((next[0]["opening"].as_u64(), &next[0]["commitment"]), (Some(1), &committed[1]["commitment"]));

    let made = once("they are drawn", || Some(draws(&server)["made"].take()).filter(|made| made[0].is_object()));
    assert_eq!((made[0]["opening"].as_u64(), &made[0]["commitment"]), (Some(1), &committed[1]["commitment"]));
    let (file, path) = (dir.path().join("1.draw"), format!("{api}/1"));
    let record = until("everybody is listed", || {
        let record = ask(server.public, "GET", &path, &[], &[]).body;
        std::fs::write(&file, &record).expect("a disk");
        (verify(&file, &[]).1 == Some(0)).then_some(record)
    });
    server.stop();
    std::fs::remove_file(&kept).expect("what was kept");

    let mut server = start(dir.path());
    let _mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    place(&server, &space, "");
    let said = draws(&server);
    assert_eq!((&said["next"][0]["opening"], said["made"].as_array().map(Vec::len)), (&2.into(), Some(1)), "{said}");
    assert_eq!(ask(server.public, "GET", &path, &[], &[]).body, record, "the record stays");
    server.stop();
}

/// Longer than a window, which is a minute, and what comes after it.
const WINDOW: Duration = Duration::from_secs(100);

/// As [`until`], for what takes a minute.
fn once<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + WINDOW;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited too long: {what}");
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

fn hiwar(language: &str, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hiwar"));
    command.args(args).env("LC_ALL", language).output().expect("the binary")
}

/// What `hiwar draw verify` says, and how it ends.
fn verify(file: &Path, more: &[&str]) -> (String, Option<i32>) {
    let done = hiwar("C.UTF-8", &[&["draw", "verify", file.to_str().expect("text")], more].concat());
    (String::from_utf8(done.stdout).expect("text"), done.status.code())
}

#[test]
fn whoever_was_drawn_can_draw_again_and_sees_their_place_and_every_change() {
    let (dir, mut server) = server(2);
    let space = server.live("full");
    let draws = || ask(server.public, "GET", &format!("/api/spaces/v1/spaces/{}/draws", space.id), &[], &[]).json();
    let commitment = until("it is committed to", || draws()["next"][0]["commitment"].as_str().map(str::to_owned));
    let _mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    let _ears = [inside(&server, &space), inside(&server, &space)];
    let drawn = |query: &str| {
        until("somebody is drawn", || {
            let told = waits_with(&server, &space, query).json();
            (told["stage"] == "draw").then(|| told["ticket"].as_str().expect("a ticket").to_owned())
        })
    };
    let tickets = [(); 5].map(|()| drawn(""));
    // No account signs in here yet: whoever has the house's key vouches.
    let key = std::fs::read(dir.path().join("data/keys/listen.key")).expect("a key");
    let vouchers = VoucherKey::from_bytes(key.try_into().expect("32 bytes"));
    let (scope, hour) = (Scope::parse(&space.id).expect("a scope"), Duration::from_secs(3_600));
    let voucher = vouchers.issue(&scope, Known::Follower, b"amal", SystemTime::now() + hour);
    let vouched = drawn(&format!("&voucher={voucher}"));

    let made = once("it is drawn", || Some(draws()["made"][0].clone()).filter(|made| made.is_object()));
    assert_eq!((made["commitment"].as_str(), made["opening"].as_u64()), (Some(&*commitment), Some(0)));
    let key = draws()["key"].as_str().expect("a key").to_owned();
    let file = dir.path().join("0.draw");
    let path = format!("/api/spaces/v1/spaces/{}/draws/0", space.id);
    let (said, bytes) = until("everybody is listed", || {
        let bytes = ask(server.public, "GET", &path, &[], &[]).body;
        std::fs::write(&file, &bytes).expect("a disk");
        let (said, code) = verify(&file, &["--commitment", &commitment, "--key", &key, "--list"]);
        (code == Some(0)).then_some((said, bytes))
    });
    let listed = said.lines().filter(|line| line.ends_with(|last: char| last.is_ascii_digit())).count();
    assert!(said.contains("All of it holds.") && listed == 6, "{said}");
    assert!(said.contains("By the server's word 1 of them follow the host") && said.matches(" follower ").count() == 1);
    let rank = |ticket: &String| {
        let (said, code) = verify(&file, &["--ticket", ticket]);
        assert_eq!(code, Some(0), "{said}");
        let (_, rank) = said.split_once("Your ticket is listed: rank ").expect("a rank");
        rank.split([':', ',', '.']).next().and_then(|rank| rank.parse::<u32>().ok()).expect("a number")
    };
    let ranks = tickets.each_ref().map(rank);
    assert!(ranks.is_sorted() && (1..=6).contains(&ranks[4]), "{ranks:?}");
    assert_eq!(rank(&vouched), 2, "one of six has 21 of 48 ranks by its class: the second, and no luck in it");

    let (said, code) = verify(&file, &["--ticket", &tickets[0].replace(char::is_uppercase, "a")]);
    assert_eq!(code, Some(1), "{said}");
    let (said, code) = verify(&file, &["--commitment", &"0".repeat(64)]);
    assert!(code == Some(1) && said.contains("NOT hold"), "{said}");
    let mut changed = bytes.clone();
    changed[40] ^= 1;
    std::fs::write(&file, changed).expect("a disk");
    let (said, code) = verify(&file, &[]);
    assert!(code == Some(1) && said.matches("NOT hold").count() >= 3, "{said}");
    let arabic = hiwar("ar_EG.UTF-8", &["draw", "verify", file.to_str().expect("text")]);
    assert!(String::from_utf8_lossy(&arabic.stdout).contains("ليس كل ما في السجل صحيحًا."));
    std::fs::write(&file, &bytes[..99]).expect("a disk");
    assert_eq!(verify(&file, &[]).1, Some(2));

    server.host(&space, "end");
    let kept = dir.path().join("data/spaces").join(&space.id);
    until("the door is destroyed", || (!kept.join("door").exists()).then_some(()));
    assert_eq!(ask(server.public, "GET", &path, &[], &[]).body, bytes, "the record stays");
    server.stop();
    diary(&dir.path().join("data"), dir.path(), &space.id, &key, &commitment);
}

/// The minutes in a diary that is whole, and the page beside it.
fn exported(data: &Path, into: &Path, id: &str) -> (Vec<serde_json::Value>, String) {
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let done = hiwar("C.UTF-8", &["door", "export", id, "--data", &text(data), "-o", &text(into)]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let file = into.join(format!("{id}.diary.jsonl"));
    let done = hiwar("C.UTF-8", &["door", "verify", &text(&file)]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stdout));
    let lines = std::fs::read_to_string(&file).expect("the lines");
    let minutes = lines.lines().skip(1).map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (minutes, std::fs::read_to_string(into.join(format!("{id}.diary.html"))).expect("the page"))
}

#[test]
fn the_diary_says_the_level_that_everybody_was_told_with_crowd_of_a_full_door_and_operator_of_a_pin() {
    let (dir, mut server) = server(1);
    let told = |server: &Server, space: &Space, level: u64, reason: &str| {
        until(reason, || {
            let ladder = server.api("GET", &format!("/{}", space.id), &space.host_pass, None).json()["ladder"].take();
            (ladder["level"] == level && ladder["reasons"][0] == reason).then_some(())
        });
    };
    let full = server.live("Full");
    let _ear = inside(&server, &full);
    until("somebody is drawn", || (waits(&server, &full).json()["stage"] == "draw").then_some(()));
    told(&server, &full, 1, "crowd");
    server.host(&full, "end");
    let data = dir.path().join("data");
    let pin = hiwar("C.UTF-8", &["admin", "pin", "2", "--data", data.to_str().expect("text")]);
    assert!(pin.status.success(), "{}", String::from_utf8_lossy(&pin.stderr));
    let pinned = server.live("Pinned");
    told(&server, &pinned, 2, "operator");
    server.host(&pinned, "end");
    for space in [&full, &pinned] {
        let diary = data.join("spaces").join(&space.id).join("diary");
        let is_written = || std::fs::read_to_string(&diary).is_ok_and(|lines| lines.contains("\"minute\":"));
        until("the door is closed, and its diary written", || is_written().then_some(()));
    }
    server.stop();
    let says = |space: &Space, level: u64, reason: &str, words: [&str; 2]| {
        let (minutes, page) = exported(&data, dir.path(), &space.id);
        let is_so =
            |minute: &serde_json::Value| minute["level"] == level && minute["reasons"] == serde_json::json!([reason]);
        assert!(minutes.iter().any(is_so), "{reason} is not in {minutes:?}");
        words.into_iter().for_each(|words| assert!(page.contains(words), "{words} is not in {page}"));
    };
    says(&full, 1, "crowd", ["جاء أكثر مما يوجد من أماكن", "more people came than there are places"]);
    says(&pinned, 2, "operator", ["قرر ذلك من يدير هذا الخادم", "whoever runs this server decided so"]);
}

/// What the diary says of such a crowd, and that a change in it is noticed.
fn diary(data: &Path, into: &Path, id: &str, key: &str, commitment: &str) {
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let export = ["door", "export", id, "--data", &text(data), "-o", &text(into)];
    let done = hiwar("C.UTF-8", &export);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(hiwar("C.UTF-8", &export).status.code(), Some(2), "what is there is not replaced");
    let file = into.join(format!("{id}.diary.jsonl"));
    let verify = |file: &Path, language: &str| {
        let done = hiwar(language, &["door", "verify", &text(file), "--key", key]);
        (String::from_utf8(done.stdout).expect("text"), done.status.code())
    };
    let (said, code) = verify(&file, "C.UTF-8");
    assert!(code == Some(0) && said.contains("All of it holds"), "{said}");
    let lines = std::fs::read_to_string(&file).expect("the lines");
    let minutes: Vec<serde_json::Value> =
        lines.lines().skip(1).map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let sum = |name: &str| minutes.iter().filter_map(|minute| minute[name].as_u64()).sum::<u64>();
    let (first, last) = (&minutes[0], minutes.last().expect("minutes"));
    assert_eq!((sum("drawn"), first["commitment"].as_str()), (6, Some(commitment)), "{minutes:?}");
    let crowded = |minute: &serde_json::Value| minute["level"].as_u64() > Some(0) && minute["reasons"][0] == "crowd";
    assert!(minutes.iter().any(crowded), "{minutes:?}");
    assert!(sum("asked") >= 7 && first["nth"][0] == 1 && first["inside"] == 2 && first["workers"] == 2, "{first}");
    assert!(last["opening"].as_u64() <= Some(1) && sum("sent_bytes") > 100_000 && !lines.contains("127.0.0.1"));

    let page = std::fs::read_to_string(into.join(format!("{id}.diary.html"))).expect("the page");
    for part in ["يوميات الباب", "The diary of the door", "<svg ", "<table>", "whoever came was drawn", "dir=\"rtl\""]
    {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(!page.contains("diary-"), "a text is missing in {page}");
    let changed = into.join("changed.jsonl");
    std::fs::write(&changed, lines.replacen("\"drawn\":6", "\"drawn\":5", 1)).expect("a disk");
    let (said, code) = verify(&changed, "ar_EG.UTF-8");
    assert!(code == Some(1) && said.contains("ليس كل ما في اليوميات صحيحًا."), "{said}");
}
