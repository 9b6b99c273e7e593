//! Recordings are removed by age and by size, with a clock that is given.

use hiwar_space::Now;

use super::*;
use crate::registry::retention::{Limits, Seen, now};

const DAY: Duration = Duration::from_secs(86_400);

fn later(now: Now, steady: Duration, wall: Duration) -> Now {
    Now { wall: now.wall + wall, steady: now.steady + steady }
}

impl House {
    /// A space that is over, with a replay of a megabyte.
    async fn posted(&self) -> (String, String) {
        let (id, host) = self.live_space().await;
        let ended = self.ask_as(&host, "POST", &format!("{SPACES}/{id}/end")).await;
        assert_eq!(ended.status, StatusCode::OK, "{}", ended.body);
        self.put_replay(&id);
        let ready = StudioEvent::ReplayReady {
            space: LogId::parse(&id).expect("an id"),
            duration: Duration::from_secs(60),
            loudness_lufs: -18.0,
        };
        self.tell_until(ready, &id, |view| view["state"] == "posted").await;
        // It is written by a task of its own; who restarts the house now finds it.
        while self.noted(&id) != "replay" {
            tokio::task::yield_now().await;
        }
        (id, host)
    }

    /// What became of the recording, as the next house reads it.
    fn noted(&self, id: &str) -> Value {
        let text = std::fs::read(self.home(id).join("space.json")).expect("a file");
        serde_json::from_slice::<Value>(&text).expect("JSON")["recording"].clone()
    }

    fn put_replay(&self, id: &str) {
        let replay = self.home(id).join("replay");
        std::fs::create_dir_all(&replay).expect("a disk");
        std::fs::write(replay.join("replay.mp4"), vec![0; 1_000_000]).expect("a disk");
    }

    fn home(&self, id: &str) -> std::path::PathBuf {
        self.dir.path().join("spaces").join(id)
    }

    fn removed(&self, id: &str) -> bool {
        let view = self.registry.view(&LogId::parse(id).expect("an id")).expect("the entry stays");
        if view.state == "open" {
            return view.removed_at.is_some();
        }
        let gone = !self.home(id).join("replay").exists() && !self.home(id).join("log").exists();
        assert_eq!(view.removed_at.is_some(), gone, "{id}: {view:?}");
        assert!(!gone || view.replay.is_none() && view.recording == "off" && view.state == "ended", "{view:?}");
        gone
    }
}

#[tokio::test]
async fn the_oldest_recordings_go_by_size_and_by_age_and_what_is_live_stays() {
    let house = House::new().await;
    let (scheduled, _) = house.space("public").await;
    let (oldest, host) = house.posted().await;
    let (newer, _) = house.posted().await;
    let (live, _) = house.live_space().await;
    let all = [&scheduled, &oldest, &newer, &live];
    let now = now();
    let mut seen = Seen::new(now, Limits::default());
    let removed = || all.map(|id| house.removed(id));

    house.registry.sweep(Limits { age: Some(DAY), bytes: Some(3_000_000) }, now, &mut seen).await;
    assert_eq!(removed(), [false; 4]);
    house.registry.sweep(Limits { age: None, bytes: Some(1_500_000) }, now, &mut seen).await;
    assert_eq!(removed(), [false, true, false, false]);
    // Once is enough, and what is gone is not counted.
    house.registry.sweep(Limits { age: None, bytes: Some(1_500_000) }, now, &mut seen).await;
    assert_eq!(house.registry.tally().expired, 1);
    house.ask_as(&host, "DELETE", &format!("{SPACES}/{oldest}/recording")).await.is_problem(409, "no-recording");

    let wait = house.registry.sweep(Limits { age: Some(DAY), bytes: None }, now, &mut seen).await;
    assert_eq!((wait, removed()), (Duration::from_secs(60), [false, true, false, false]));
    house.registry.sweep(Limits { age: Some(DAY), bytes: Some(1) }, later(now, DAY * 2, DAY * 2), &mut seen).await;
    assert_eq!(removed(), [false, true, true, false]);

    // The house died when it had noted the removal and not done it: the next one does it, and remembers when.
    let before = house.registry.view(&LogId::parse(&oldest).unwrap()).unwrap().removed_at;
    house.put_replay(&oldest);
    std::fs::create_dir_all(house.home(&oldest).join("log")).expect("a disk");
    // Or in the middle of doing it.
    std::fs::create_dir_all(house.home(&newer).join("log.deleted")).expect("a disk");
    let house = house.restarted().await;
    assert!(!house.home(&newer).join("log.deleted").exists());
    assert!(house.removed(&oldest) && house.removed(&newer) && !house.removed(&live));
    assert_eq!(house.registry.view(&LogId::parse(&oldest).unwrap()).unwrap().removed_at, before);
}

#[tokio::test]
async fn a_recording_that_the_disk_keeps_does_not_cost_the_next_one() {
    let house = House::new().await;
    let mut spaces = Vec::new();
    for _ in 0..3 {
        let (id, _) = house.posted().await;
        std::fs::create_dir_all(house.home(&id).join("log")).expect("a disk");
        std::fs::write(house.home(&id).join("log/1.seg"), vec![0; 100_000]).expect("a disk");
        spaces.push(id);
    }
    let mut seen = Seen::new(now(), Limits::default());
    house.registry.sweep(Limits { age: None, bytes: Some(u64::MAX) }, now(), &mut seen).await;
    // A file where the removal needs a folder: no disk removes this, whoever asks.
    let stuck = house.home(&spaces[0]).join("replay.deleted");
    std::fs::write(&stuck, "").expect("a disk");
    let limits = Limits { age: None, bytes: Some(2_500_000) };
    for _ in 0..3 {
        house.registry.sweep(limits, now(), &mut seen).await;
    }
    let left = |id: &String, folder: &str| house.home(id).join(folder).exists();
    assert_eq!(house.registry.tally().expired, 1);
    assert!(spaces[1..].iter().all(|id| left(id, "replay") && left(id, "log")));
    assert!(left(&spaces[0], "replay") && !left(&spaces[0], "log"), "the log goes, whether or not the replay does");

    // By age each is due for itself; but a disk that refuses is asked once in a sweep.
    std::fs::write(house.home(&spaces[1]).join("replay.deleted"), "").expect("a disk");
    let by_age = Limits { age: Some(Duration::ZERO), bytes: None };
    house.registry.sweep(by_age, now(), &mut seen).await;
    assert_eq!((house.registry.tally().expired, left(&spaces[2], "log")), (2, true));

    // When the disk lets it, what is owed goes.
    std::fs::remove_file(&stuck).expect("a disk");
    let house = house.restarted().await;
    assert!(house.removed(&spaces[0]));
}

#[tokio::test]
async fn what_a_host_deleted_takes_no_room_any_more() {
    let house = House::new().await;
    let (kept, _) = house.posted().await;
    let (deleted, host) = house.posted().await;
    let limits = Limits { age: None, bytes: Some(1_500_000) };
    let mut seen = Seen::new(now(), limits);
    house.registry.sweep(Limits { bytes: Some(3_000_000), ..limits }, now(), &mut seen).await;
    let answer = house.ask_as(&host, "DELETE", &format!("{SPACES}/{deleted}/recording")).await;
    assert!(answer.status.is_success(), "{}", answer.body);
    house.registry.sweep(limits, now(), &mut seen).await;
    assert!(!house.removed(&kept));
}

#[tokio::test]
async fn a_clock_that_is_set_removes_nothing() {
    let house = House::new().await;
    let (id, _) = house.posted().await;
    let limits = Limits { age: Some(DAY * 7), bytes: None };
    let start = now();
    let mut seen = Seen::new(start, limits);
    // It ended in the past, as the clock had it; then the network told the time.
    for (steady, wall) in [(1, 9_001), (2, 9_002), (6, 9_006)] {
        house.registry.sweep(limits, later(start, DAY * steady, DAY * wall), &mut seen).await;
        assert!(!house.removed(&id), "after {steady} days");
    }
    house.registry.sweep(limits, later(start, DAY * 8, DAY * 9_008), &mut seen).await;
    assert!(house.removed(&id));

    // It is ahead when the house starts, and is set back soon.
    let (id, _) = house.posted().await;
    let house = house.restarted().await;
    let ahead = later(now(), Duration::ZERO, DAY * 9_000);
    let mut seen = Seen::new(ahead, limits);
    let wait = house.registry.sweep(limits, ahead, &mut seen).await;
    assert_eq!((wait, house.removed(&id)), (Duration::from_secs(60), false));
    house.registry.sweep(limits, Now { wall: SystemTime::now(), ..later(ahead, DAY, DAY) }, &mut seen).await;
    assert!(!house.removed(&id));

    // A date from before there was a Hiwar is no date.
    let file = house.home(&id).join("space.json");
    let mut facts: Value = serde_json::from_slice(&std::fs::read(&file).expect("a file")).expect("JSON");
    (facts["started_ms"], facts["ended_ms"]) = (json!(1_000), json!(61_000));
    std::fs::write(&file, facts.to_string()).expect("a disk");
    let house = house.restarted().await;
    let start = now();
    let mut seen = Seen::new(start, limits);
    house.registry.sweep(limits, later(start, DAY * 6, DAY * 6), &mut seen).await;
    assert!(!house.removed(&id));
    house.registry.sweep(limits, later(start, DAY * 8, DAY * 8), &mut seen).await;
    assert!(house.removed(&id));
}

#[tokio::test]
async fn a_replay_that_is_noted_and_gone_is_made_anew_or_noted_as_removed() {
    let house = House::new().await;
    let (gone, _) = house.posted().await;
    let (with_log, _) = house.posted().await;
    let (kept, _) = house.posted().await;
    for id in [&gone, &with_log] {
        std::fs::rename(house.home(id).join("replay"), house.home(id).join("replay.deleted")).expect("a disk");
    }
    let _ = std::fs::remove_dir_all(house.home(&gone).join("log"));
    std::fs::create_dir_all(house.home(&with_log).join("log")).expect("a disk");

    let house = house.restarted().await;
    assert!(house.removed(&gone) && !house.removed(&kept));
    assert!(!house.home(&gone).join("replay.deleted").exists());
    let view = |id: &str| house.registry.view(&LogId::parse(id).expect("an id")).expect("a space");
    assert!(view(&kept).replay.is_some());
    let made_anew = view(&with_log);
    assert!(
        made_anew.replay.is_none() && made_anew.state == "ended" && made_anew.removed_at.is_none(),
        "{made_anew:?}"
    );
    let noted = [&gone, &with_log, &kept].map(|id| house.noted(id));
    assert_eq!(noted, ["expired", "sealing", "replay"]);
}

#[tokio::test]
async fn a_look_that_fails_once_is_repeated() {
    let house = House::new().await;
    let (id, _) = house.posted().await;
    let stuck = house.home(&id).join("log.deleted");
    std::fs::write(&stuck, "").expect("a disk");
    let limits = Limits { age: None, bytes: Some(500_000) };
    let mut seen = Seen::new(now(), limits);
    house.registry.sweep(limits, now(), &mut seen).await;
    assert!(!house.removed(&id), "removed for a size that nobody knows");
    std::fs::remove_file(&stuck).expect("a disk");
    house.registry.sweep(limits, now(), &mut seen).await;
    assert!(house.removed(&id));
}

#[tokio::test]
async fn a_recording_that_was_made_anew_is_weighed_anew() {
    let house = House::new().await;
    let wish = json!({ "title": "حوار", "audience": "public", "posting": "after_review" });
    let made = house.post_json(&house.creator(), SPACES, wish).await.json();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let (id, host) = (text(&made["space"]["id"]), text(&made["host_pass"]));
    for step in ["start", "end"] {
        let done = house.ask_as(&host, "POST", &format!("{SPACES}/{id}/{step}")).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    }
    house.put_replay(&id);
    let space = LogId::parse(&id).expect("an id");
    let ready = StudioEvent::ReplayReady { space, duration: Duration::from_secs(60), loudness_lufs: -18.0 };
    house.happens.send(ready).await.expect("a house");
    while house.noted(&id) != "review" {
        tokio::task::yield_now().await;
    }
    let limits = Limits { age: None, bytes: Some(2_000_000) };
    let mut seen = Seen::new(now(), limits);
    house.registry.sweep(limits, now(), &mut seen).await;
    assert!(!house.removed(&id));
    std::fs::write(house.home(&id).join("replay/replay.mp4"), vec![0; 3_000_000]).expect("a disk");
    let posted = house.post_json(&host, &format!("{SPACES}/{id}/post"), json!({})).await;
    assert_eq!(posted.status, StatusCode::OK, "{}", posted.body);
    house.registry.sweep(limits, now(), &mut seen).await;
    assert!(house.removed(&id), "weighed as it was before");
}
