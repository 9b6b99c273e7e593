//! Recordings are removed by age and by size, with a clock that is given.

use std::collections::HashMap;

use super::*;
use crate::registry::retention::Limits;

const DAY: Duration = Duration::from_secs(86_400);

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
        (id, host)
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
        if view.state == "scheduled" {
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
    let now = SystemTime::now();
    let mut sizes = HashMap::new();
    let removed = || all.map(|id| house.removed(id));

    house.registry.sweep(Limits { age: Some(DAY), bytes: Some(3_000_000) }, now, &mut sizes).await;
    assert_eq!(removed(), [false; 4]);
    house.registry.sweep(Limits { age: None, bytes: Some(1_500_000) }, now, &mut sizes).await;
    assert_eq!(removed(), [false, true, false, false]);
    // Once is enough, and what is gone is not counted.
    house.registry.sweep(Limits { age: None, bytes: Some(1_500_000) }, now, &mut sizes).await;
    assert_eq!(house.registry.tally().expired, 1);
    house.ask_as(&host, "DELETE", &format!("{SPACES}/{oldest}/recording")).await.is_problem(409, "no-recording");

    let wait = house.registry.sweep(Limits { age: Some(DAY), bytes: None }, now, &mut sizes).await;
    assert_eq!((wait, removed()), (Duration::from_secs(60), [false, true, false, false]));
    house.registry.sweep(Limits { age: Some(DAY), bytes: Some(1) }, now + DAY * 2, &mut sizes).await;
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
