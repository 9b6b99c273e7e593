//! Reactions through the whole server: pressed at a worker, told in the sound and to the stage, over the death of the house.

use serde_json::Value;

use crate::ear::{Ear, pieces};
use crate::http::{Reply, ask};
use crate::server::{Server, Space};

/// Somebody with that program reacts.
fn react(server: &Server, space: &Space, kind: &str, agent: &str) -> Reply {
    ask(server.public, "POST", &format!("/react/{}/{kind}", space.id), &[("User-Agent", agent)], b"")
}

/// What the sound has told of reactions so far.
fn told(body: &[u8]) -> Vec<Value> {
    let events = pieces(body).into_iter().flat_map(|piece| piece.events);
    events.filter(|event| event["t"] == "reactions").map(|event| event["rates"].clone()).collect()
}

/// How many of a kind, when the last that was told is that there are none any more.
fn sum(told: &[Value], kind: &str) -> Option<u64> {
    let is_over = told.last()?.as_object()?.is_empty();
    is_over.then(|| told.iter().filter_map(|rates| rates[kind].as_u64()).sum())
}

#[test]
fn reactions_are_told_to_the_last_one_and_none_twice_also_when_the_house_dies() {
    let server = Server::start();
    let space = server.live("Applause");
    let ear = Ear::on(server.public, &format!("/listen/{}.mp4", space.id));
    let stage = Ear::on(server.stage, &format!("/api/spaces/v1/spaces/{}/events", space.id));
    ear.body("sound", |body| (!pieces(body).is_empty()).then_some(()));
    let press = |kind: &str, agent: &str| assert_eq!(react(&server, &space, kind, agent).status, 204);
    for _ in 0..3 {
        press("heart", "one");
    }
    press("laugh", "one");
    press("laugh", "two");
    let first = ear.body("all of them, and then none", |body| {
        let told = told(body);
        (sum(&told, "heart") == Some(3) && sum(&told, "laugh") == Some(2)).then_some(told)
    });
    assert!(
        first.iter().filter(|rates| rates.as_object().is_some_and(|rates| rates.is_empty())).count() <= 2,
        "{first:?}"
    );
    stage.body("the same on the stage", |body| {
        let text = String::from_utf8_lossy(body);
        (text.contains(r#""reactions":{"#) && text.contains(r#""laugh":"#)).then_some(())
    });
    assert_eq!(react(&server, &space, "boo", "one").status, 404);
    let nowhere = ask(server.stage, "POST", &format!("/react/{}/heart", space.id), &[], b"");
    assert_eq!(nowhere.status, 404, "the stage port is not the crowd's");

    // The next house takes what it is told of the past for the past.
    server.kill_child("\"House\"");
    server.until_ready();
    press("heart", "three");
    ear.body("one more", |body| (sum(&told(body), "heart") == Some(4)).then_some(()));

    server.host(&space, "end");
    let all = told(&ear.closed("the end"));
    assert_eq!((sum(&all, "heart"), sum(&all, "laugh")), (Some(4), Some(2)), "{all:?}");
    assert_eq!(react(&server, &space, "heart", "four").problem(), "ended");
}
