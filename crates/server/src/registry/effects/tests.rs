//! What is told of a conversation, when, and how often.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;

use hiwar_engine::live_bus::{Down, Hub, Subscription};

use super::*;
use crate::api::AskedBy;
use crate::studio::{Ports, Setup};

/// A registry with one space whose doors are open.
struct House {
    registry: Registry,
    space: LogId,
    happens: mpsc::Sender<StudioEvent>,
    hub: Hub,
    dir: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (hub, _) = Hub::spawn(UnixListener::bind(dir.path().join("bus.sock")).unwrap()).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let candidate = udp.local_addr().unwrap();
        let shards = vec![Ports { udp, tcp: TcpListener::bind("127.0.0.1:0").unwrap(), candidate }];
        let (spaces, publisher) = (dir.path().join("spaces"), hub.publisher());
        let (studio, _) = Studio::start(Setup { shards, spaces: spaces.clone(), publisher, workers: 0 }).unwrap();
        let settings = Settings {
            public_origin: "https://talk.example".into(),
            stage_origin: "https://stage.example".into(),
            template: "<head><!--hiwar:head--></head><!--hiwar:space-->",
            policy: None,
            hls_base: None,
            hls_asked_by: AskedBy::Players,
        };
        let (happens, happened) = mpsc::channel(16);
        let registry = Registry::open(spaces, studio, settings, happened).await.unwrap();
        let new = NewSpace {
            title: Title::parse("حوار").unwrap(),
            language: None,
            audience: Audience::Public,
            terms: Terms { keep: Keep::All, clips: Clips::Allowed },
            posting: Posting::AtOnce,
            schedule: None,
            asking: Asking::Everybody,
            host: None,
        };
        let space = LogId::parse(&registry.create(new).await.unwrap().id).unwrap();
        Self { registry, space, happens, hub, dir }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.registry.watch(&self.space, Watcher::Invited).unwrap()
    }

    /// All that workers are told from now on, and what they are told anew before.
    fn told(&self) -> std::sync::mpsc::Receiver<Down> {
        self.hub.publisher().publish(Down::Whole);
        let mut bus = Subscription::connect(&self.dir.path().join("bus.sock")).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || while bus.next().is_ok_and(|down| tell.send(down).is_ok()) {});
        until(&told, |down| *down == Down::Whole);
        told
    }

    fn becomes(&self, change: impl FnOnce(Facts) -> Facts) {
        let mut spaces = self.registry.lock();
        let entry = spaces.get_mut(&self.space).unwrap();
        entry.space = Space::from_facts(change(entry.space.facts().clone()));
    }

    /// Somebody comes by the door of whoever has no session.
    fn comes(&self, participant: &str) {
        let (participant, name) = (ParticipantId::parse(participant).unwrap(), Name::parse("ليلى").unwrap());
        let actor = Actor::Person { id: participant.clone(), warrant: Warrant::Speak };
        self.registry.report(&self.space, actor, Command::Agree { name: name.clone() }).unwrap();
        let arrive = Command::Arrive { participant, name, warrant: Warrant::Speak };
        self.registry.report(&self.space, Actor::House, arrive).unwrap();
    }
}

/// What is told until this is.
fn until(told: &std::sync::mpsc::Receiver<Down>, last: impl Fn(&Down) -> bool) -> Vec<Down> {
    let mut before = Vec::new();
    loop {
        let down = told.recv_timeout(Duration::from_secs(10)).expect("more is told");
        if last(&down) {
            return before;
        }
        before.push(down);
    }
}

/// Waits until all is told.
async fn settles(changes: &mut watch::Receiver<u64>) {
    while tokio::time::timeout(2 * TELL_EVERY, changes.changed()).await.is_ok() {}
}

/// Nothing more is told: what is put off is put off no longer than this.
async fn is_all(changes: &mut watch::Receiver<u64>) {
    changes.mark_unchanged();
    assert!(tokio::time::timeout(2 * TELL_EVERY, changes.changed()).await.is_err(), "told once more");
}

#[tokio::test]
async fn a_start_and_an_end_are_told_once() {
    let house = House::new().await;
    let mut changes = house.changes();
    for (command, state) in [(Command::Start, "live"), (Command::End, "ended")] {
        let before = *changes.borrow();
        house.registry.command(house.space, Actor::House, command).await.unwrap();
        assert_eq!(house.registry.view(&house.space).unwrap().state, state);
        assert_eq!(*changes.borrow() - before, 1, "{state}");
        is_all(&mut changes).await;
    }
}

#[tokio::test]
async fn before_the_start_nobody_is_told_that_somebody_talks() {
    let house = House::new().await;
    house.comes("p1");
    let mut changes = house.changes();
    let speaking =
        |who: Option<&str>| StudioEvent::Speaking { space: house.space, participant: who.map(str::to_owned) };
    settles(&mut changes).await;
    for who in [Some("p1"), None, Some("p1")] {
        house.happens.send(speaking(who)).await.unwrap();
    }
    is_all(&mut changes).await;
    house.registry.command(house.space, Actor::House, Command::Start).await.unwrap();
    assert!(house.registry.view(&house.space).unwrap().speakers[0].speaking, "from the start on it is said");
    is_all(&mut changes).await;
    house.happens.send(speaking(None)).await.unwrap();
    changes.changed().await.unwrap();
}

#[tokio::test]
async fn nobody_is_heard_by_what_was_told_of_a_stage_that_they_have_left() {
    let house = House::new().await;
    let (registry, space, guest) = (&house.registry, house.space, ParticipantId::parse("p1").unwrap());
    let heard = || {
        let spaces = registry.lock();
        let entry = &spaces[&space];
        entry.voicing(&guest, entry.place_of(&guest))
    };
    house.comes("p1");
    assert_eq!(heard(), studio::Voicing::Open);
    let me = Actor::Person { id: guest.clone(), warrant: Warrant::Speak };
    registry.report(&space, me.clone(), Command::Mute { participant: guest.clone() }).unwrap();
    assert_eq!(heard(), studio::Voicing::Muted);
    registry.report(&space, me, Command::Unmute { participant: guest.clone() }).unwrap();
    registry.report(&space, Actor::House, Command::SendBack { participant: guest.clone() }).unwrap();
    registry.report(&space, Actor::House, Command::Call { participant: guest.clone() }).unwrap();
    assert_eq!(heard(), studio::Voicing::Muted, "they have been called, and not said that they come");
}

#[tokio::test]
async fn why_a_space_is_shut_is_told_again_when_what_was_left_of_it_is_removed() {
    let house = House::new().await;
    let mut changes = house.changes();
    house.registry.command(house.space, Actor::House, Command::Cancel { reason: None }).await.unwrap();
    settles(&mut changes).await;
    house.registry.lock().get_mut(&house.space).unwrap().owed.delete = true;
    house.registry.retry();
    tokio::time::timeout(RETRY_EVERY / 2, changes.changed()).await.expect("it is told").unwrap();
    assert!(!house.registry.lock()[&house.space].owed.delete);
}

#[tokio::test]
async fn a_conversation_is_heard_whose_log_was_claimed_just_as_it_began() {
    let house = House::new().await;
    let (registry, space) = (&house.registry, house.space);
    let later = registry.obey(&space, Actor::House, Command::Start).unwrap();
    assert_eq!(later, [Event::Started]);
    assert!(!registry.0.studio.is_heard(&space));
    // Its stage had begun to gather the moment before.
    registry.record(space).await;
    for event in later {
        registry.follow(space, event).await.unwrap();
    }
    assert!(registry.0.studio.is_heard(&space));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_written_down_as_posted_before_everybody_may_hear_it() {
    let house = House::new().await;
    let (registry, space) = (&house.registry, house.space);
    let now = SystemTime::now();
    house.becomes(|facts| Facts {
        phase: Phase::Ended { started: now, ended: now },
        recording: Recording::Review(Replay { duration: Duration::from_secs(9), loudness_lufs: -18.0 }),
        posting: Posting::AfterReview,
        ..facts
    });
    registry.save(space).await;
    let noted = || std::fs::read_to_string(house.dir.path().join("spaces").join(space.as_str()).join("space.json"));
    let told = house.told();
    let later = registry.obey(&space, Actor::House, Command::Post { from: None, to: None }).unwrap();
    assert_eq!(later, [Event::Posted]);
    assert!(!noted().unwrap().contains("reviewed"));
    let other = LogId::parse("other").unwrap();
    registry.0.studio.close_for_all(&other);
    let before = until(&told, |down| *down == Down::Closed { log: other });
    assert!(!before.contains(&Down::Shelved { log: space, access: Access::Open }), "not yet: {before:?}");
    for event in later {
        registry.follow(space, event).await.unwrap();
    }
    until(&told, |down| *down == Down::Shelved { log: space, access: Access::Open });
    assert!(noted().unwrap().contains("reviewed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_may_hear_what_a_withdrawal_posts() {
    let house = House::new().await;
    let (registry, space) = (&house.registry, house.space);
    let now = SystemTime::now();
    house.becomes(|facts| Facts {
        phase: Phase::Ended { started: now, ended: now },
        recording: Recording::Unsealed,
        posting: Posting::Reviewed,
        ..facts
    });
    let told = house.told();
    let made = studio::withdrawal::Made {
        duration: Duration::from_secs(9),
        loudness_lufs: -18.0,
        silenced: Duration::ZERO,
        gone: std::collections::BTreeSet::new(),
    };
    registry.remade(space, &made).await;
    assert_eq!(registry.view(&space).unwrap().state, "posted");
    until(&told, |down| *down == Down::Shelved { log: space, access: Access::Open });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_it_was_cancelled_is_told_again_when_what_was_left_of_it_is_removed() {
    let house = House::new().await;
    let (registry, space) = (&house.registry, house.space);
    registry.command(space, Actor::House, Command::Cancel { reason: None }).await.unwrap();
    let told = house.told();
    registry.lock().get_mut(&space).unwrap().owed.delete = true;
    registry.retry();
    until(&told, |down| *down == Down::Closed { log: space });
    until(&told, |down| *down == Down::Shut { log: space, access: Access::Open, opens_ms: None });
}

#[tokio::test]
async fn nobody_waits_for_a_review_of_what_no_replay_could_be_made_of_and_the_host_can_delete_it() {
    let house = House::new().await;
    let (registry, space) = (&house.registry, house.space);
    let now = SystemTime::now();
    let host =
        Holder {
            id: ParticipantId::parse("h").unwrap(), name: Name::parse("ليلى").unwrap(), warrant: Warrant::Host
        };
    let waits = ["is posted here after the host has heard it", "بعد أن يراجعه المضيف"];
    for (recording, others, hosts) in [(Recording::Sealing, "on", "on"), (Recording::Unsealed, "off", "on")] {
        house.becomes(|facts| Facts {
            phase: Phase::Ended { started: now, ended: now },
            recording,
            posting: Posting::AfterReview,
            ..facts
        });
        let view = registry.view(&space).unwrap();
        let page = page::document(&registry.0.settings, &view);
        let page = String::from_utf8_lossy(&page.body);
        let said = waits.iter().any(|words| page.contains(words));
        assert_eq!((view.recording, said), (others, others == "on"), "{recording:?}");
        assert_eq!(registry.view_for(&space, Some(&host)).unwrap().recording, hosts, "{recording:?}");
    }
    registry.command(space, Actor::House, Command::DeleteRecording).await.unwrap();
    assert_eq!(registry.view_for(&space, Some(&host)).unwrap().recording, "off");
}
