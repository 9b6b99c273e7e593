//! Who may do what on a stage, asked of the API.

use super::*;

/// A live space with a host and a speaker on its stage, and a guest who listens.
struct Scene {
    house: House,
    space: String,
    host: Somebody,
    speaker: Somebody,
    guest: Somebody,
}

struct Somebody {
    id: String,
    pass: String,
}

impl Scene {
    async fn new() -> Self {
        let house = House::new().await;
        let (space, pass) = house.live_space().await;
        let id = house.ask_as(&pass, "GET", &format!("{SPACES}/{space}/stage")).await.json()["you"]["id"].clone();
        let host = Somebody { id: id.as_str().expect("an id").to_owned(), pass };
        let speaker = Somebody { id: "p1".into(), pass: house.speaker(&space, "p1") };
        let wish = json!({ "role": "listener", "name": "Omar" }).to_string();
        let headers = [("content-type", "application/json")];
        let made = house.ask("POST", &format!("{SPACES}/{space}/passes"), &headers, wish).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let text = |name: &str| made.json()[name].as_str().expect("text").to_owned();
        let guest = Somebody { id: text("participant"), pass: text("pass") };
        let scene = Self { house, space, host, speaker, guest };
        scene.comes(&scene.host).await;
        scene.comes(&scene.speaker).await;
        scene
    }

    /// Somebody's sound flows from now on; their session.
    async fn comes(&self, who: &Somebody) -> String {
        let made = self.house.publish(&self.space, &who.pass).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let session = made.header("location").to_owned();
        let space = LogId::parse(&self.space).expect("an id");
        let name = session.rsplit('/').next().expect("a name").to_owned();
        let on_stage =
            |view: &Value| view["speakers"].as_array().is_some_and(|all| all.iter().any(|one| one["id"] == *who.id));
        self.house.tell_until(StudioEvent::Connected { space, session: name }, &self.space, on_stage).await;
        session
    }

    async fn ask(&self, who: &Somebody, method: &str, what: &str) -> Answer {
        self.house.ask_as(&who.pass, method, &format!("{SPACES}/{}/{what}", self.space)).await
    }

    async fn does(&self, who: &Somebody, action: &str, whom: &Somebody) -> Answer {
        self.ask(who, "POST", &format!("people/{}/{action}", whom.id)).await
    }

    async fn sees(&self, who: &Somebody) -> Value {
        self.ask(who, "GET", "stage").await.json()
    }

    async fn view(&self) -> Value {
        self.house.ask("GET", &format!("{SPACES}/{}", self.space), &[], "").await.json()
    }
}

#[tokio::test]
async fn a_guest_asks_is_called_agrees_and_speaks() {
    let scene = Scene::new().await;
    let (host, guest) = (&scene.host, &scene.guest);
    scene.house.offer(&scene.space, &guest.pass).await.is_problem(409, "not-called");
    let raised = scene.ask(guest, "PUT", "hand").await;
    assert_eq!((raised.status, &raised.json()["you"]["place"]), (StatusCode::OK, &json!(0)), "{}", raised.body);
    assert_eq!(scene.sees(host).await["hands"], json!([{ "id": guest.id, "name": "Omar" }]));
    assert_eq!(scene.sees(&scene.speaker).await["hands"], json!([]), "who asks is for those who host");
    scene.ask(guest, "POST", "seat").await.is_problem(409, "not-called");
    assert_eq!(scene.does(host, "call", guest).await.status, StatusCode::OK);
    let called = scene.sees(guest).await;
    assert_eq!((&called["you"]["presence"], &called["you"]["place"]), (&json!("called"), &Value::Null));
    assert!((55..=60).contains(&called["you"]["answer_within_s"].as_u64().expect("seconds")));
    scene.house.offer(&scene.space, &guest.pass).await.is_problem(409, "not-called");
    let accepted = scene.ask(guest, "POST", "seat").await.json();
    assert_eq!((&accepted["you"]["presence"], &accepted["consent_needed"]), (&json!("coming"), &json!(true)));
    scene.house.offer(&scene.space, &guest.pass).await.is_problem(409, "not-agreed");
    scene.comes(guest).await;
    assert_eq!(scene.view().await["speakers"].as_array().expect("people").len(), 3);
    assert_eq!(scene.sees(guest).await["you"]["presence"], "on-stage");
}

#[tokio::test]
async fn a_call_can_be_declined_and_a_hand_taken_down() {
    let scene = Scene::new().await;
    let (host, guest) = (&scene.host, &scene.guest);
    scene.ask(guest, "DELETE", "hand").await.is_problem(409, "no-hand");
    scene.ask(guest, "PUT", "hand").await;
    assert_eq!(scene.does(host, "dismiss", guest).await.status, StatusCode::OK);
    scene.does(host, "call", guest).await.is_problem(409, "no-hand");
    scene.ask(guest, "PUT", "hand").await;
    scene.does(host, "call", guest).await;
    scene.does(host, "call", guest).await.is_problem(409, "already-on-stage");
    assert_eq!(scene.ask(guest, "DELETE", "seat").await.status, StatusCode::OK);
    scene.ask(guest, "POST", "seat").await.is_problem(409, "not-called");
    let change = |body: Value| {
        let headers = [("authorization", format!("Bearer {}", host.pass)), ("content-type", "application/json".into())];
        let path = format!("{SPACES}/{}", scene.space);
        let house = &scene.house;
        async move {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            house.ask("PATCH", &path, &headers, body.to_string()).await
        }
    };
    let changed = change(json!({ "asking": "nobody", "title": "قهوة" })).await;
    assert_eq!((&changed.json()["asking"], &changed.json()["title"]), (&json!("nobody"), &json!("قهوة")));
    scene.ask(guest, "PUT", "hand").await.is_problem(409, "asking-closed");
    change(json!({ "titel": "x" })).await.is_problem(400, "malformed");
}

#[tokio::test]
async fn whoever_is_muted_opens_their_microphone_alone() {
    let scene = Scene::new().await;
    let (host, speaker) = (&scene.host, &scene.speaker);
    scene.does(speaker, "mute", host).await.is_problem(403, "not-co-host");
    assert_eq!(scene.does(host, "mute", speaker).await.status, StatusCode::OK);
    assert_eq!(scene.view().await["speakers"][1]["muted"], true);
    scene.does(host, "unmute", speaker).await.is_problem(403, "not-themselves");
    // It stays shut over a reconnection.
    scene.comes(speaker).await;
    assert_eq!(scene.view().await["speakers"][1]["muted"], true);
    assert_eq!(scene.does(speaker, "unmute", speaker).await.json()["you"]["muted"], false);
    assert_eq!(scene.ask(host, "POST", "mute-all").await.status, StatusCode::OK);
    let view = scene.view().await;
    assert_eq!((&view["speakers"][0]["muted"], &view["speakers"][1]["muted"]), (&json!(false), &json!(true)));
}

#[tokio::test]
async fn a_pass_is_worth_nothing_once_its_holder_was_removed() {
    let scene = Scene::new().await;
    let (host, speaker) = (&scene.host, &scene.speaker);
    let session = scene.comes(speaker).await;
    assert_eq!(scene.does(host, "remove", speaker).await.status, StatusCode::OK);
    scene.house.ask_as(&speaker.pass, "GET", &session).await.is_problem(404, "session-not-found");
    scene.house.offer(&scene.space, &speaker.pass).await.is_problem(403, "removed");
    scene.ask(speaker, "PUT", "hand").await.is_problem(403, "removed");
    assert_eq!(scene.view().await["speakers"].as_array().expect("people").len(), 1);
    scene.does(host, "pardon", speaker).await;
    scene.ask(speaker, "PUT", "hand").await;
    assert_eq!(scene.does(host, "block", speaker).await.status, StatusCode::OK);
    scene.ask(speaker, "PUT", "hand").await.is_problem(403, "blocked");
    scene.does(host, "mute", speaker).await.is_problem(409, "not-on-stage");
    scene.does(host, "remove", host).await.is_problem(403, "not-below");
    let nobody = Somebody { id: "nobody".into(), pass: String::new() };
    scene.does(host, "remove", &nobody).await.is_problem(404, "participant-unknown");
    scene.does(host, "shout", speaker).await.is_problem(404, "not-found");
}

#[tokio::test]
async fn a_host_hands_over_and_two_cannot_be_host() {
    let scene = Scene::new().await;
    let (host, speaker) = (&scene.host, &scene.speaker);
    scene.does(speaker, "hand-over", speaker).await.is_problem(403, "not-host");
    assert_eq!(scene.does(host, "make-co-host", speaker).await.status, StatusCode::OK);
    assert_eq!(scene.does(host, "hand-over", speaker).await.json()["you"]["role"], "co-host");
    scene.does(host, "hand-over", speaker).await.is_problem(403, "not-host");
    scene.does(host, "mute", speaker).await.is_problem(403, "not-below");
    scene.ask(host, "POST", "end").await.is_problem(403, "not-host");
    assert!(scene.ask(speaker, "GET", "links").await.json()["speaker_link"].is_string());
    // What was made of them outlives a restart.
    let Scene { house, space, host, speaker, guest } = scene;
    let house = house.restarted().await;
    let scene = Scene { house, space, host, speaker, guest };
    assert_eq!(scene.sees(&scene.speaker).await["you"]["role"], "host");
    assert_eq!(scene.sees(&scene.host).await["you"]["role"], "co-host");
    scene.ask(&scene.guest, "GET", "links").await.is_problem(403, "not-co-host");
    assert_eq!(scene.ask(&scene.speaker, "POST", "end").await.json()["state"], "ended");
}

#[tokio::test]
async fn a_locked_stage_takes_no_strangers() {
    let scene = Scene::new().await;
    let headers = [("authorization", &*format!("Bearer {}", scene.host.pass)), ("content-type", "application/json")];
    let path = format!("{SPACES}/{}", scene.space);
    let locked = scene.house.ask("PATCH", &path, &headers, json!({ "locked": true }).to_string()).await;
    assert_eq!(locked.json()["locked"], true);
    let stranger = scene.house.speaker(&scene.space, "p9");
    scene.house.ask_as(&stranger, "POST", &format!("{path}/agreement")).await.is_problem(409, "stage-locked");
    scene.comes(&scene.speaker).await;
}

#[tokio::test]
async fn a_planned_space_opens_its_doors_waits_for_its_host_and_begins() {
    let house = House::new().await;
    let (id, host) = house.planned_space(3600, 5).await;
    let at = |what: &str| format!("{SPACES}/{id}{what}");
    let view = house.ask("GET", &at(""), &[], "").await.json();
    assert_eq!((&view["state"], &view["begins"]), (&json!("scheduled"), &json!("by-itself")));
    house
        .post_json(&host, &at("/postpone"), json!({ "starts_at": "tomorrow" }))
        .await
        .is_problem(422, "time-malformed");
    house
        .post_json(&host, &at("/postpone"), json!({ "starts_at": "2020-01-01T00:00:00Z" }))
        .await
        .is_problem(422, "in-the-past");
    let soon = time::OffsetDateTime::from(SystemTime::now() + Duration::from_secs(1));
    let soon = soon.format(&time::format_description::well_known::Rfc3339).expect("a time");
    let wish = json!({ "starts_at": soon, "reason": " القطار\u{202e} متأخر " });
    let postponed = house.post_json(&host, &at("/postpone"), wish).await.json();
    assert_eq!((&postponed["state"], &postponed["postponed"]["reason"]), (&json!("open"), &json!("القطار متأخر")));
    // It is time, and nobody is there.
    let log = LogId::parse(&id).expect("an id");
    let mut changes = house.registry.watch(&log, crate::registry::Watcher::Invited).expect("a space");
    let mut view = house.registry.view(&log).expect("a space");
    while !view.awaits_host {
        changes.changed().await.expect("a registry");
        view = house.registry.view(&log).expect("a space");
    }
    assert_eq!(view.state, "open");
    // A speaker does not begin it; the host does by coming.
    for (who, state) in [(house.speaker(&id, "p1"), "open"), (host, "live")] {
        let location = house.publish(&id, &who).await.header("location").to_owned();
        let session = location.rsplit('/').next().expect("a name").to_owned();
        let came = view.speakers.len() + 1;
        let all = |view: &Value| view["speakers"].as_array().is_some_and(|all| all.len() == came);
        let told = house.tell_until(StudioEvent::Connected { space: log, session }, &id, all).await;
        assert_eq!(told["state"], state);
        view = house.registry.view(&log).expect("a space");
    }
}

#[tokio::test]
async fn a_cancelled_space_says_why_and_does_nothing_more() {
    let house = House::new().await;
    for planned in [false, true] {
        let (id, host) = if planned { house.planned_space(3600, 5).await } else { house.space("public").await };
        let at = |what: &str| format!("{SPACES}/{id}{what}");
        house.ask_as(&house.speaker(&id, "p1"), "POST", &at("/cancel")).await.is_problem(403, "not-host");
        let cancelled = house.post_json(&host, &at("/cancel"), json!({ "reason": "العاصفة" })).await.json();
        assert_eq!((&cancelled["state"], &cancelled["cancel_reason"]), (&json!("cancelled"), &json!("العاصفة")));
        house.ask_as(&host, "POST", &at("/start")).await.is_problem(409, "cancelled");
        house.publish(&id, &host).await.is_problem(409, "cancelled");
        house.ask_as(&host, "DELETE", &at("/recording")).await.is_problem(409, "no-recording");
    }
}

#[tokio::test]
async fn whoever_hosted_once_and_was_removed_invites_nobody() {
    let scene = Scene::new().await;
    let (host, speaker) = (&scene.host, &scene.speaker);
    let passes = format!("{SPACES}/{}/passes", scene.space);
    let wish = || json!({ "role": "speaker", "name": "x", "agreed": true });
    assert_eq!(scene.house.post_json(&host.pass, &passes, wish()).await.status, StatusCode::CREATED);
    scene.does(host, "hand-over", speaker).await;
    assert_eq!(scene.does(speaker, "remove", host).await.status, StatusCode::OK);
    scene.house.post_json(&host.pass, &passes, wish()).await.is_problem(403, "not-co-host");
    assert_eq!(scene.house.post_json(&speaker.pass, &passes, wish()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn whoever_was_blocked_sees_nothing_more_of_an_invited_space() {
    let house = House::new().await;
    let (space, host) = house.space("invited").await;
    let at = |what: &str| format!("{SPACES}/{space}{what}");
    let speaker = house.speaker(&space, "p1");
    assert_eq!(house.ask_as(&speaker, "GET", &at("")).await.status, StatusCode::OK);
    house.ask_as(&speaker, "PUT", &at("/hand")).await;
    let blocked = house.ask_as(&host, "POST", &at("/people/p1/block")).await;
    assert_eq!(blocked.status, StatusCode::OK, "{}", blocked.body);
    for (method, what) in [("GET", ""), ("GET", "/events")] {
        house.ask_as(&speaker, method, &at(what)).await.is_problem(403, "blocked");
    }
    let wish = json!({ "role": "listener", "name": "again" });
    house.post_json(&speaker, &at("/passes"), wish).await.is_problem(403, "blocked");
}

#[tokio::test]
async fn whoever_was_removed_listens_on_and_gets_no_other_name() {
    let house = House::new().await;
    let wish = || json!({ "role": "listener", "name": "again" });
    for audience in ["invited", "public"] {
        let (space, host) = house.space(audience).await;
        let at = |what: &str| format!("{SPACES}/{space}{what}");
        let speaker = house.speaker(&space, "p1");
        assert_eq!(house.post_json(&speaker, &at("/passes"), wish()).await.status, StatusCode::CREATED);
        house.ask_as(&speaker, "PUT", &at("/hand")).await;
        assert_eq!(house.ask_as(&host, "POST", &at("/people/p1/remove")).await.status, StatusCode::OK);
        house.post_json(&speaker, &at("/passes"), wish()).await.is_problem(403, "removed");
        assert_eq!(house.ask_as(&speaker, "GET", &at("")).await.status, StatusCode::OK, "they may see it still");
        house.ask_as(&host, "POST", &at("/people/p1/block")).await;
        house.post_json(&speaker, &at("/passes"), wish()).await.is_problem(403, "blocked");
        house.ask_as(&host, "POST", &at("/people/p1/pardon")).await;
        assert_eq!(house.post_json(&speaker, &at("/passes"), wish()).await.status, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn hands_come_down_when_nobody_may_ask() {
    let scene = Scene::new().await;
    scene.ask(&scene.guest, "PUT", "hand").await;
    let headers = [("authorization", &*format!("Bearer {}", scene.host.pass)), ("content-type", "application/json")];
    let path = format!("{SPACES}/{}", scene.space);
    let changed = scene.house.ask("PATCH", &path, &headers, json!({ "asking": "nobody" }).to_string()).await;
    assert_eq!((&changed.json()["asks"], scene.sees(&scene.host).await["hands"].clone()), (&json!(0), json!([])));
}
