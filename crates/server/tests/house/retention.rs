//! What is too old is removed, and everybody is told the truth about it.

use serde_json::Value;

use crate::ear::Ear;
use crate::http::ask;
use crate::mouth::Mouth;
use crate::server::{Server, Space, until};

/// Ten seconds, in days: long enough to hear the replay before, on a busy machine too.
const CONFIG: &str = "[retention]\ndays = 0.000116\n";

#[test]
fn a_recording_that_is_too_old_is_gone_for_everybody_and_the_page_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("hiwar.toml");
    std::fs::write(&config, CONFIG).expect("a disk");
    let data = dir.path().join("data");
    let server = Server::start_in(&data, &["--no-demo", "--config", config.to_str().expect("text")]);
    let get = |path: String| ask(server.public, "GET", &path, &[], &[]);
    let speak = |space: &Space| {
        let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
        let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
        ear.hears(440.0, 0);
        (ear, mouth)
    };

    let old = server.live("قديم");
    drop(speak(&old));
    server.host(&old, "end");
    server.until_view(&old, "posted", |view| view["state"] == "posted");
    assert_eq!(get(format!("/replay/{}.mp4", old.id)).status, 200);
    let live = server.live("on the air meanwhile");
    let (ear, _mouth) = speak(&live);

    let view = server.until_view(&old, "removed", |view| view["removed_at"].is_string());
    assert_eq!((&view["state"], &view["replay"], &view["recording"]), (&"ended".into(), &Value::Null, &"off".into()));
    let home = data.join("spaces").join(&old.id);
    let gone = || {
        for path in ["replay/ID.mp4", "replay/ID.ogg", "replay/ID/index.m3u8", "hls/ID/live.m3u8", "hls/ID/rewind.m3u8"]
        {
            let reply = get(format!("/{}", path.replace("ID", &old.id)));
            assert!(matches!(reply.status, 404 | 410) && !reply.problem().is_empty(), "{path}: {reply:?}");
        }
        let at = format!("\"removed_at\":{}", view["removed_at"]);
        let page =
            until("the page says so", || Some(get(format!("/s/{}", old.id)).text()).filter(|page| page.contains(&at)));
        assert!(page.contains("حُذف تسجيله"), "not said without scripts");
        assert!(!page.contains("<audio controls"), "there is nothing to play");
    };
    until("the files are gone", || (!home.join("replay").exists() && !home.join("log").exists()).then_some(()));
    gone();
    assert!(home.join("space.json").exists());
    let metrics = get("/metrics".into()).text();
    assert!(metrics.contains("\nhiwar_recordings_expired_total 1\n"), "{metrics}");

    // Who is on the air is not touched, and the next house knows what this one did.
    ear.hears(440.0, ear.bytes());
    assert_eq!(server.view(&live)["recording"], "on");
    server.kill_child("House");
    server.until_ready();
    gone();
}
