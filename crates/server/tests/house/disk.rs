//! A disk that fills: hosts and operators are told, new conversations are refused, the show goes on; also when it is full.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::ear::{Ear, pieces};
use crate::http::ask;
use crate::mouth::Mouth;
use crate::server::{Server, until};

/// A file system of a few megabytes, unmounted when dropped.
struct Tiny(tempfile::TempDir);

impl Tiny {
    /// `None` where this process may not mount.
    fn mount(mib: u64) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(dir.path());
        match command.output() {
            Ok(done) if done.status.success() => Some(Self(dir)),
            outcome => {
                eprintln!("skipped: cannot mount a tmpfs here: {outcome:?}");
                None
            }
        }
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        // Lazily: what a failed test left behind may still have it open.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Takes all the room there is.
fn fill(file: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(file).expect("a file");
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
}

#[test]
fn on_a_full_disk_live_goes_on_and_the_recording_says_that_it_is_paused() {
    let Some(disk) = Tiny::mount(4) else { return };
    let server = Server::start_in(disk.0.path(), &["--no-demo"]);
    let space = server.live("a full disk");
    let by_mp4 = Ear::on(server.public, &format!("/listen/{}.mp4", space.id));
    let by_ogg = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    by_ogg.hears(440.0, 0);
    assert_eq!(server.view(&space)["recording"], "on");

    let filler = disk.0.path().join("filler");
    fill(&filler);
    server.until_view(&space, "the recording is paused", |view| view["recording"] == "paused");
    by_ogg.hears(440.0, by_ogg.bytes());
    by_mp4.body("listeners are told", |body| {
        let events = pieces(body).into_iter().flat_map(|piece| piece.events);
        events.into_iter().any(|event| event["t"] == "stage" && event["recording"] == "paused").then_some(())
    });
    let page = crate::http::ask(server.public, "GET", &format!("/s/{}", space.id), &[], &[]).text();
    assert!(page.contains("\"recording\":\"paused\""), "the page does not say so");

    std::fs::remove_file(&filler).expect("room");
    server.until_view(&space, "the recording goes on", |view| view["recording"] == "on");
    by_ogg.hears(440.0, by_ogg.bytes());
    server.host(&space, "end");
    drop(mouth);
    let view = server.until_view(&space, "posted", |view| view["state"] == "posted");
    let live_s = pieces(&by_mp4.closed("the end")).len() as f64 * 0.2;
    let duration_s = view["replay"]["duration"].as_f64().unwrap();
    assert!((live_s - duration_s).abs() <= 0.3, "{live_s} s were heard, the replay has {duration_s} s");
    let (code, words) = server.verify(&space.id);
    assert_eq!(code, Some(0), "{words}");
    let gaps = words.split("(made but never kept): ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default();
    assert!(gaps.parse::<u64>().is_ok_and(|gaps| gaps >= 1), "no gap is marked: {words}");
    drop(server);
}

/// Takes so many percent of a disk of `mib`.
fn take(file: &Path, mib: usize, percent: usize) {
    std::fs::write(file, vec![0; (mib << 20) / 100 * percent]).expect("room");
}

#[test]
fn on_a_filling_disk_hosts_are_told_and_then_new_conversations_are_refused() {
    const MIB: usize = 16;
    let Some(disk) = Tiny::mount(MIB as u64) else { return };
    let server = Server::start_in(disk.0.path(), &["--no-demo"]);
    let space = server.live("a filling disk");
    let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let _mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    ear.hears(440.0, 0);
    let get = |path: &str| ask(server.public, "GET", path, &[], &[]).text();
    let config = |pass: Option<&str>, language: &str| {
        let bearer = format!("Bearer {}", pass.unwrap_or_default());
        let mut headers = vec![("Accept-Language", language)];
        headers.extend(pass.map(|_| ("Authorization", bearer.as_str())));
        ask(server.stage, "GET", "/api/spaces/v1/config", &headers, &[]).json()
    };
    let notice = |kind: &str| {
        until(kind, || (config(Some(&space.host_pass), "ar")["notices"][0]["kind"] == kind).then_some(()));
    };
    assert_eq!(get("/readyz"), "ready\n");
    assert_eq!(config(Some(&space.host_pass), "en")["notices"], json!([]));

    let filler = disk.0.path().join("filler");
    take(&filler, MIB, 82);
    notice("disk-little");
    let told = &config(Some(&server.create_pass), "ar")["notices"][0];
    assert!(told["lang"] == "ar" && told["title"].as_str().unwrap().contains("قرص"), "{told}");
    assert_eq!(config(None, "en")["notices"], json!([]), "a listener can do nothing about it");
    assert!(get("/readyz").starts_with("ready\nalarm: the disk is 8"), "{}", get("/readyz"));
    let ratio =
        get("/metrics").lines().find_map(|line| line.strip_prefix("hiwar_disk_used_ratio ")?.parse::<f64>().ok());
    assert!(ratio.is_some_and(|ratio| (0.82..0.95).contains(&ratio)), "{ratio:?}");
    // Little room is still room.
    let made = server.api("POST", "", &server.create_pass, Some(json!({ "title": "x", "audience": "public" })));
    assert_eq!((made.status, &made.json()["notices"][0]["kind"]), (201, &json!("disk-little")));

    take(&filler, MIB, 96);
    notice("disk-scarce");
    let refused = server.api("POST", "", &server.create_pass, Some(json!({ "title": "x", "audience": "public" })));
    assert_eq!((refused.status, &*refused.problem()), (507, "disk-full"), "{refused:?}");
    assert!(refused.header("retry-after").is_some());
    assert!(get("/readyz").contains("new conversations are refused"));
    // What is on the air goes on, recorded.
    ear.hears(440.0, ear.bytes());
    assert_eq!(server.view(&space)["recording"], "on");

    take(&filler, MIB, 20);
    until("room", || (config(Some(&space.host_pass), "en")["notices"] == json!([])).then_some(()));
    server.live("room again");
    let said = server.said();
    for told in ["make room, or have old", "are refused until there is room", "has room again"] {
        assert_eq!(said.matches(told).count(), 1, "{told}: {said}");
    }
}
