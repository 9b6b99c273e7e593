//! A disk that is full: the show goes on.

use std::path::Path;
use std::process::Command;

use crate::ear::{Ear, pieces};
use crate::mouth::Mouth;
use crate::server::Server;

/// A file system of a few megabytes, unmounted when dropped.
struct Tiny(tempfile::TempDir);

impl Tiny {
    /// `None` where this process may not mount.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(dir.path());
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
    let Some(disk) = Tiny::mount() else { return };
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
