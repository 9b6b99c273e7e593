//! What is told of reactions, and when.

use hiwar_admission::reaction::Reaction;

use super::*;

/// What the space shows of reactions once all that came before has been taken in.
async fn shown(house: &House, id: &str, streams: u32) -> Value {
    let space = LogId::parse(id).expect("an id");
    let numbers = Numbers { streams, ..Numbers::default() };
    house.tell_until(StudioEvent::Counts { space, numbers }, id, |view| view["listeners"] == streams).await["reactions"]
        .clone()
}

#[tokio::test]
async fn there_is_nothing_to_react_to_before_the_start_and_after_the_end() {
    let house = House::new().await;
    let (id, host) = house.space("public").await;
    let space = LogId::parse(&id).expect("an id");
    let clap = || house.happens.send(StudioEvent::Reactions { space, rates: [0, 3, 0, 0, 0] });
    clap().await.expect("a registry");
    assert_eq!(shown(&house, &id, 1).await, json!({}));
    let act = async |what: &str| {
        let done = house.ask_as(&host, "POST", &format!("{SPACES}/{id}/{what}")).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.body);
        done.json()
    };
    act("start").await;
    clap().await.expect("a registry");
    assert_eq!(shown(&house, &id, 2).await, json!({ "applause": 3 }));
    assert_eq!(act("end").await["reactions"], json!({}));
    let page = house.ask("GET", &format!("{SPACES}/{id}"), &[], "").await.json();
    assert_eq!(page["reactions"], json!({}));
}

#[tokio::test]
async fn the_api_says_how_to_react() {
    let house = House::new().await;
    let described = house.ask("GET", "/api/openapi.json", &[], "").await.json();
    let react = &described["paths"]["/react/{id}/{kind}"]["post"];
    for status in ["204", "401", "404", "410", "429", "503"] {
        assert!(react["responses"][status].is_object(), "{status} in {react}");
    }
    let parameters = react["parameters"].as_array().expect("parameters");
    let kind = parameters.iter().find(|parameter| parameter["name"] == "kind").expect("the kind");
    let kinds = Reaction::ALL.map(|reaction| format!("`{}`", reaction.name())).join(", ");
    assert_eq!(kind["description"], json!(format!("One of {kinds}")));
}
