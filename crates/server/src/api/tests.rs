//! The API from outside, request by request, without a network.

mod delivery;
mod oembed;
mod reactions;
mod rehearsals;
mod retention;
mod stage;

use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use futures_util::StreamExt;
use hiwar_admission::{Grant, Person, Scope};
use hiwar_engine::live_bus::Hub;
use hiwar_segment_log::LogId;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::ServiceExt;

use super::*;
use crate::studio::{Keep, Numbers, Ports, Setup, Speaking, StudioEvent, Totals, Voicing};

const OFFER: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    a=extmap-allow-mixed\r\na=msid-semantic: WMS stream\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\nc=IN IP4 0.0.0.0\r\n\
    a=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=ice-options:trickle\r\n\
    a=fingerprint:sha-256 D1:2C:BE:AD:C4:F6:64:5C:25:16:11:9C:AF:E7:0F:73:79:36:4E:9C:1E:15:54:39:0C:06:8B:ED:96:86:00:39\r\n\
    a=setup:actpass\r\na=mid:0\r\na=sendonly\r\na=msid:stream track\r\na=rtcp-mux\r\na=rtcp-mux-only\r\n\
    a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n\
    a=ssrc:1001 cname:c\r\na=ssrc:1001 msid:stream track\r\n";
const TRICKLE: &str = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
    a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n";
const RESTART: &str =
    "a=ice-ufrag:newwSecond\r\na=ice-pwd:7hs0DPkr2wyBq0OsgAFnPaVx\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n";
const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
const SPACES: &str = "/api/spaces/v1/spaces";

/// A house without a network: what the studio would tell is told by the test.
struct House {
    router: Router,
    registry: Registry,
    studio: Studio,
    keys: Keys,
    happens: mpsc::Sender<StudioEvent>,
    dir: tempfile::TempDir,
    _hub: Hub,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The answer is this problem, whole and well formed.
    #[track_caller]
    fn is_problem(&self, status: u16, name: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["type"], format!("/problems/{name}"));
        assert_eq!(problem["status"], status);
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
}

impl House {
    async fn new() -> Self {
        Self::at(tempfile::tempdir().expect("a directory")).await
    }

    async fn at(dir: tempfile::TempDir) -> Self {
        let bus = dir.path().join("bus.sock");
        let _ = std::fs::remove_file(&bus);
        let (hub, _) = Hub::spawn(UnixListener::bind(bus).expect("a socket")).expect("a hub");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let candidate = udp.local_addr().expect("an address");
        let setup = Setup {
            shards: vec![Ports { udp, tcp: TcpListener::bind("127.0.0.1:0").expect("a port"), candidate }],
            spaces: dir.path().join("spaces"),
            publisher: hub.publisher(),
            workers: 0,
        };
        let (studio, _) = Studio::start(setup).expect("a studio");
        let settings = Settings {
            public_origin: "https://talk.example".into(),
            stage_origin: "https://stage.example".into(),
            template: "<head><!--hiwar:head--></head><!--hiwar:space-->",
            policy: None,
            hls_base: Some("https://hls.example".into()),
            hls_asked_by: AskedBy::Caches,
        };
        let (happens, happened) = mpsc::channel(16);
        let keys = Keys::new(&[1; 32].into(), [2; 32]);
        let registry = Registry::open(dir.path().join("spaces"), studio.clone(), settings.clone(), happened).await;
        let registry = registry.expect("a registry");
        // The disk of whoever runs the tests says nothing here, however full it is.
        let disk =
            disk::Watch::new(dir.path(), disk::Limits { notice_percent: 100, refuse_percent: 100, refuse_bytes: 0 });
        std::fs::create_dir_all(dir.path().join("run")).expect("a disk");
        let (ladders, _) = Ladders::start(dir.path(), hub.publisher(), None);
        let listening = Wishes::start(dir.path(), crate::listening::Wish::default(), hub.publisher());
        Self {
            router: router(Api {
                registry: registry.clone(),
                studio: studio.clone(),
                keys: keys.clone(),
                settings,
                certificates: Certificates::default(),
                disk,
                listening,
                ladders,
                at_doors: None,
                draws: Draws { spaces: dir.path().join("spaces"), key: [7; 32] },
            }),
            registry,
            studio,
            keys,
            happens,
            dir,
            _hub: hub,
        }
    }

    /// The same house after a restart.
    async fn restarted(self) -> Self {
        let Self { dir, .. } = self;
        Self::at(dir).await
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response =
            self.router.clone().oneshot(request.body(body.into()).expect("a request")).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.expect("a body");
        Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).expect("UTF-8") }
    }

    async fn ask_as(&self, token: &str, method: &str, path: &str) -> Answer {
        self.ask(method, path, &[("authorization", &format!("Bearer {token}"))], "").await
    }

    async fn post_json(&self, token: &str, path: &str, body: Value) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json; charset=utf-8")];
        self.ask("POST", path, &headers, body.to_string()).await
    }

    fn creator(&self) -> String {
        self.keys.create_pass(later())
    }

    fn speaker(&self, space: &str, participant: &str) -> String {
        let person = Person::new(participant, "ليلى").expect("a person");
        self.keys.stage_pass(later(), Grant::Speak(Scope::parse(space).expect("a scope"), person))
    }

    /// A new space: its id and its host's pass.
    async fn space(&self, audience: &str) -> (String, String) {
        let made = self.post_json(&self.creator(), SPACES, json!({ "title": "حوار", "audience": audience })).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        (text(&made.json()["space"]["id"]), text(&made.json()["host_pass"]))
    }

    /// A new space that is to begin in so many seconds, with doors that open so many minutes before.
    async fn planned_space(&self, in_s: u64, doors_minutes: u16) -> (String, String) {
        let starts = time::OffsetDateTime::from(SystemTime::now() + Duration::from_secs(in_s));
        let starts = starts.format(&time::format_description::well_known::Rfc3339).expect("a time");
        let wish =
            json!({ "title": "حوار", "audience": "public", "starts_at": starts, "doors_minutes": doors_minutes });
        let made = self.post_json(&self.creator(), SPACES, wish).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        (text(&made.json()["space"]["id"]), text(&made.json()["host_pass"]))
    }

    async fn live_space(&self) -> (String, String) {
        let (id, host) = self.space("public").await;
        let started = self.ask_as(&host, "POST", &format!("{SPACES}/{id}/start")).await;
        assert_eq!(started.status, StatusCode::OK, "{}", started.body);
        (id, host)
    }

    /// Says that they know that it is recorded, and offers a microphone.
    async fn publish(&self, space: &str, token: &str) -> Answer {
        self.ask_as(token, "POST", &format!("{SPACES}/{space}/agreement")).await;
        self.offer(space, token).await
    }

    async fn offer(&self, space: &str, token: &str) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str()), ("content-type", SDP)];
        self.ask("POST", &format!("/whip/{space}"), &headers, OFFER).await
    }

    async fn patch(&self, session: &str, token: &str, condition: Option<&str>, body: &'static str) -> Answer {
        let authorization = format!("Bearer {token}");
        let mut headers = vec![("authorization", authorization.as_str()), ("content-type", FRAGMENT)];
        headers.extend(condition.map(|tag| ("if-match", tag)));
        self.ask("PATCH", session, &headers, body).await
    }

    /// Lets the studio tell something, and waits until the space shows it.
    async fn tell_until(&self, event: StudioEvent, space: &str, shows: impl Fn(&Value) -> bool) -> Value {
        let id = LogId::parse(space).expect("an id");
        let mut changes = self.registry.watch(&id, crate::registry::Watcher::Invited).expect("a space");
        self.happens.send(event).await.expect("a registry");
        loop {
            let view = serde_json::to_value(self.registry.view(&id).expect("a space")).expect("JSON");
            if shows(&view) {
                return view;
            }
            changes.changed().await.expect("a registry");
        }
    }
}

fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(3600)
}

#[tokio::test]
async fn a_space_is_made_started_ended_and_its_recording_deleted() {
    let house = House::new().await;
    let made = house
        .post_json(
            &house.creator(),
            SPACES,
            json!({ "title": " قهوة\u{202e} ", "audience": "public", "language": "ar" }),
        )
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    let (space, host) = (made.json()["space"].clone(), made.json()["host_pass"].as_str().expect("a pass").to_owned());
    let id = space["id"].as_str().expect("an id").to_owned();
    assert_eq!((id.len(), &space["title"], &space["state"]), (16, &json!("قهوة"), &json!("open")));
    assert_eq!(made.header("location"), format!("{SPACES}/{id}"));
    let link = |name: &str| made.json()[name].as_str().expect("a link").to_owned();
    assert!(link("host_link").starts_with(&format!("https://talk.example/#/s/{id}/stage?token=")));
    assert!(link("speaker_link").starts_with(&format!("https://talk.example/#/s/{id}/stage?token=")));
    assert_eq!(link("listen_link"), format!("https://talk.example/s/{id}"));

    let at = |what: &str| format!("{SPACES}/{id}/{what}");
    house.ask_as(&host, "POST", &at("end")).await.is_problem(409, "not-started");
    house.ask_as(&host, "DELETE", &at("recording")).await.is_problem(409, "not-started");
    let started = house.ask_as(&host, "POST", &at("start")).await;
    assert_eq!((started.status, started.json()["state"].as_str()), (StatusCode::OK, Some("live")));
    house.ask_as(&host, "POST", &at("start")).await.is_problem(409, "already-started");
    house.ask_as(&host, "DELETE", &at("recording")).await.is_problem(409, "still-live");

    let listed = house.ask("GET", SPACES, &[], "").await;
    assert_eq!(listed.json()["spaces"][0]["id"], id.as_str());

    let ended = house.ask_as(&host, "POST", &at("end")).await;
    assert_eq!((ended.status, ended.json()["state"].as_str()), (StatusCode::OK, Some("ended")));
    house.ask_as(&host, "POST", &at("end")).await.is_problem(409, "already-ended");
    house.ask_as(&host, "POST", &at("start")).await.is_problem(409, "already-ended");
    house.ask_as(&host, "DELETE", &at("recording")).await.is_problem(409, "replay-in-the-making");

    let space = LogId::parse(&id).expect("an id");
    let ready = StudioEvent::ReplayReady { space, duration: Duration::from_millis(1500), loudness_lufs: -18.0 };
    let view = house.tell_until(ready, &id, |view| view["state"] == "posted").await;
    assert_eq!(view["replay"]["mp4"], format!("/replay/{id}.mp4"));
    assert_eq!(view["replay"]["duration"], 1.5);
    let deleted = house.ask_as(&host, "DELETE", &at("recording")).await;
    assert_eq!((deleted.status, &deleted.json()["replay"]), (StatusCode::OK, &Value::Null));
    house.ask_as(&host, "DELETE", &at("recording")).await.is_problem(409, "no-recording");
}

#[tokio::test]
async fn bad_spaces_are_refused_by_name() {
    let house = House::new().await;
    let creator = house.creator();
    for (body, status, name) in [
        (json!({ "title": "x" }), 400, "malformed"),
        (json!({ "title": "x", "audience": "everyone" }), 400, "malformed"),
        (json!({ "title": "x", "audience": "public", "audiance": "invited" }), 400, "malformed"),
        (json!({ "title": " \u{202e}", "audience": "public" }), 422, "title-empty"),
        (json!({ "title": "ح".repeat(201), "audience": "public" }), 422, "title-too-long"),
        (json!({ "title": "x", "audience": "public", "language": "\"><script>" }), 422, "language-unknown"),
        (json!({ "title": "x", "audience": "public", "host_name": "" }), 422, "name-empty"),
        (json!({ "title": "x".repeat(70_000), "audience": "public" }), 413, "body-too-large"),
    ] {
        house.post_json(&creator, SPACES, body).await.is_problem(status, name);
    }
    let headers = [("authorization", &*format!("Bearer {creator}")), ("content-type", "text/plain")];
    house.ask("POST", SPACES, &headers, "{}").await.is_problem(415, "media-type");
    assert_eq!(house.registry.tally().spaces, 0);
}

#[tokio::test]
async fn passes_open_what_they_are_for_and_nothing_else() {
    let house = House::new().await;
    let (id, host) = house.space("public").await;
    let (other, _) = house.space("public").await;
    let start = format!("{SPACES}/{id}/start");
    let missing = house.ask("POST", &start, &[], "").await;
    missing.is_problem(401, "pass-missing");
    assert_eq!(missing.header("www-authenticate"), "Bearer realm=\"hiwar\"");
    house.ask("POST", &start, &[("cookie", "token=x")], "").await.is_problem(401, "pass-missing");
    house.ask("POST", &start, &[("authorization", "Basic eDp4")], "").await.is_problem(401, "pass-missing");
    let forged = house.ask_as("forged", "POST", &start).await;
    forged.is_problem(401, "pass-invalid");
    assert!(forged.header("www-authenticate").contains("invalid_token"));
    let expired = house.keys.create_pass(SystemTime::UNIX_EPOCH);
    house.ask_as(&expired, "POST", &start).await.is_problem(401, "pass-expired");
    house.ask_as(&house.creator(), "POST", &start).await.is_problem(403, "pass-not-enough");
    house.ask_as(&house.speaker(&id, "p1"), "POST", &start).await.is_problem(403, "not-co-host");
    house.ask_as(&host, "POST", &format!("{SPACES}/{other}/start")).await.is_problem(403, "pass-wrong-space");
    house.ask_as(&host, "POST", &format!("{SPACES}/nosuch/start")).await.is_problem(404, "space-not-found");
    house.ask_as(&host, "POST", &format!("{SPACES}/NO%00SUCH/start")).await.is_problem(404, "space-not-found");
    house
        .post_json(&host, SPACES, json!({ "title": "x", "audience": "public" }))
        .await
        .is_problem(403, "pass-not-enough");
}

#[tokio::test]
async fn unlisted_and_invited_spaces_are_not_listed_and_an_invited_one_needs_a_pass() {
    let house = House::new().await;
    let (unlisted, _) = house.space("unlisted").await;
    let made = house.post_json(&house.creator(), SPACES, json!({ "title": "x", "audience": "invited" })).await.json();
    let (invited, host) = (made["space"]["id"].as_str().expect("an id"), made["host_pass"].as_str().expect("a pass"));
    let listen_link = made["listen_link"].as_str().expect("a link");
    let listen = listen_link.split_once("?pass=").expect("a pass").1;
    assert_eq!(house.ask("GET", SPACES, &[], "").await.json()["spaces"], json!([]));
    assert_eq!(house.ask("GET", &format!("{SPACES}/{unlisted}"), &[], "").await.status, StatusCode::OK);
    let at = format!("{SPACES}/{invited}");
    house.ask("GET", &at, &[], "").await.is_problem(401, "pass-missing");
    house.ask("GET", &format!("{at}/events"), &[], "").await.is_problem(401, "pass-missing");
    for token in [host, listen, &house.speaker(invited, "p1")] {
        assert_eq!(house.ask_as(token, "GET", &at).await.status, StatusCode::OK);
    }
    assert_eq!(house.ask("GET", &format!("{at}?pass={listen}"), &[], "").await.status, StatusCode::OK);
    house.ask_as(&house.speaker(&unlisted, "p1"), "GET", &at).await.is_problem(403, "pass-wrong-space");
    house.ask_as(listen, "POST", &format!("{at}/start")).await.is_problem(403, "pass-not-enough");
}

#[tokio::test]
async fn an_invitation_becomes_a_pass_to_speak() {
    let house = House::new().await;
    let made = house.post_json(&house.creator(), SPACES, json!({ "title": "x", "audience": "public" })).await.json();
    let id = made["space"]["id"].as_str().expect("an id");
    let invitation = made["speaker_link"].as_str().and_then(|link| link.split_once("token=")).expect("a link").1;
    let passes = format!("{SPACES}/{id}/passes");
    let answer = house.post_json(invitation, &passes, json!({ "role": "speaker", "name": "ليلى" })).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    let pass = house.keys.stage(SystemTime::now(), answer.json()["pass"].as_str().expect("a pass")).expect("a pass");
    let person = pass.person(id).expect("names somebody");
    assert_eq!((person.name(), person.participant()), ("ليلى", answer.json()["participant"].as_str().expect("an id")));
    house.post_json(invitation, &passes, json!({ "role": "host", "name": "x" })).await.is_problem(400, "malformed");
    house
        .post_json(invitation, &passes, json!({ "role": "speaker", "name": "\u{7}" }))
        .await
        .is_problem(422, "name-empty");
    let speaker = house.speaker(id, "p1");
    house.post_json(&speaker, &passes, json!({ "role": "speaker", "name": "x" })).await.is_problem(403, "not-co-host");
    house.ask_as(invitation, "POST", &format!("{SPACES}/{id}/start")).await.is_problem(403, "pass-not-enough");
}

#[tokio::test]
async fn whip_answers_an_offer_as_rfc_9725_says() {
    let house = House::new().await;
    let (id, _) = house.live_space().await;
    let speaker = house.speaker(&id, "p1");
    let made = house.publish(&id, &speaker).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(made.header("content-type"), SDP);
    assert!(made.body.starts_with("v=0"));
    let session = made.header("location").to_owned();
    let name = session.strip_prefix(&format!("/whip/{id}/")).expect("an absolute path");
    assert!(name.len() >= 22 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    let etag = made.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2, "{etag}");

    house.patch(&session, &speaker, None, TRICKLE).await.is_problem(428, "if-match-missing");
    house.patch(&session, &speaker, Some("\"old\""), TRICKLE).await.is_problem(412, "if-match-stale");
    house.patch(&session, &speaker, Some(&format!("W/{etag}")), TRICKLE).await.is_problem(412, "if-match-stale");
    let trickled = house.patch(&session, &speaker, Some(&etag), TRICKLE).await;
    assert_eq!((trickled.status, trickled.header("etag")), (StatusCode::NO_CONTENT, ""));
    assert_eq!(house.patch(&session, &speaker, Some("\"*\""), TRICKLE).await.status, StatusCode::NO_CONTENT);
    let restarted = house.patch(&session, &speaker, Some("*"), RESTART).await;
    assert_eq!((restarted.status, restarted.header("content-type")), (StatusCode::OK, FRAGMENT), "{}", restarted.body);
    assert!(restarted.header("etag") != etag && restarted.body.contains("a=ice-ufrag:"));
    house.patch(&session, &speaker, Some(&etag), TRICKLE).await.is_problem(412, "if-match-stale");
    let garbage = house.patch(&session, &speaker, Some("*"), "garbage").await;
    assert!(matches!(garbage.status.as_u16(), 400 | 422), "{}", garbage.body);
    let wrong = [("authorization", &*format!("Bearer {speaker}")), ("content-type", SDP), ("if-match", "*")];
    house.ask("PATCH", &session, &wrong, TRICKLE).await.is_problem(415, "media-type");

    assert_eq!(house.ask("GET", &format!("/whip/{id}"), &[], "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(house.ask("HEAD", &format!("/whip/{id}"), &[], "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(house.ask_as(&speaker, "GET", &session).await.status, StatusCode::NO_CONTENT);
    house.ask("GET", &session, &[], "").await.is_problem(401, "pass-missing");
    house.ask_as(&speaker, "POST", &session).await.is_problem(405, "method-not-allowed");

    let stranger = house.speaker(&id, "p2");
    house.ask_as(&stranger, "DELETE", &session).await.is_problem(403, "not-themselves");
    house.patch(&session, &stranger, Some("*"), TRICKLE).await.is_problem(403, "not-themselves");
    let gone = house.ask_as(&speaker, "DELETE", &session).await;
    assert!(gone.status == StatusCode::OK && !gone.body.is_empty());
    house.ask_as(&speaker, "DELETE", &session).await.is_problem(404, "session-not-found");
    house.patch(&session, &speaker, Some("*"), TRICKLE).await.is_problem(404, "session-not-found");
}

#[tokio::test]
async fn whip_refuses_bad_offers_by_name() {
    let house = House::new().await;
    let (id, _) = house.live_space().await;
    let speaker = house.speaker(&id, "p1");
    house.ask_as(&speaker, "POST", &format!("{SPACES}/{id}/agreement")).await;
    let speaker = format!("Bearer {speaker}");
    let endpoint = format!("/whip/{id}");
    let offer = |kind: &'static str| [("authorization", speaker.clone()), ("content-type", kind.to_owned())];
    let ask = async |kind, body: Vec<u8>| {
        let headers = offer(kind);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        house.ask("POST", &endpoint, &headers, body).await
    };
    let wrong_type = ask("application/json", OFFER.into()).await;
    wrong_type.is_problem(415, "media-type");
    assert_eq!(wrong_type.header("accept-post"), SDP);
    ask(SDP, b"hello".to_vec()).await.is_problem(400, "offer-malformed");
    ask(SDP, vec![0xff, 0xfe]).await.is_problem(400, "offer-malformed");
    ask(SDP, vec![b'v'; 65_537]).await.is_problem(413, "body-too-large");
    let video = ask(SDP, OFFER.replace("m=audio", "m=video").into()).await;
    video.is_problem(422, "offer-refused");
    assert_eq!(video.json()["reason"], "video");
    assert_eq!(ask("Application/SDP; charset=utf-8", OFFER.into()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn whip_tells_why_there_is_no_stage() {
    let house = House::new().await;
    let (id, host) = house.space("public").await;
    house.publish("nosuch", &house.speaker("nosuch", "p1")).await.is_problem(404, "space-not-found");
    house.ask("POST", &format!("/whip/{id}"), &[("content-type", SDP)], OFFER).await.is_problem(401, "pass-missing");
    house.publish(&id, &house.creator()).await.is_problem(403, "pass-not-enough");
    house.publish(&id, &house.speaker("other", "p1")).await.is_problem(403, "pass-wrong-space");
    let planned = house.planned_space(3600, 5).await.0;
    let early = house.publish(&planned, &house.speaker(&planned, "p1")).await;
    early.is_problem(409, "doors-shut");
    assert!(!early.header("retry-after").is_empty());
    house.offer(&id, &house.speaker(&id, "p1")).await.is_problem(409, "not-agreed");
    house.ask_as(&host, "POST", &format!("{SPACES}/{id}/start")).await;
    house.ask_as(&host, "POST", &format!("{SPACES}/{id}/end")).await;
    let late = house.publish(&id, &house.speaker(&id, "p1")).await;
    late.is_problem(409, "already-ended");
    assert!(late.header("retry-after").is_empty());
}

#[tokio::test]
async fn the_newest_session_of_a_participant_wins() {
    let house = House::new().await;
    let (id, _) = house.live_space().await;
    let speaker = house.speaker(&id, "p1");
    let first = house.publish(&id, &speaker).await.header("location").to_owned();
    let second = house.publish(&id, &speaker).await.header("location").to_owned();
    house.ask_as(&speaker, "GET", &first).await.is_problem(404, "session-not-found");
    assert_eq!(house.ask_as(&speaker, "GET", &second).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn speakers_come_are_heard_and_leave() {
    let house = House::new().await;
    let (id, _) = house.live_space().await;
    let space = LogId::parse(&id).expect("an id");
    let location = house.publish(&id, &house.speaker(&id, "p1")).await.header("location").to_owned();
    let session = location.rsplit('/').next().expect("a name").to_owned();
    let connected = StudioEvent::Connected { space, session: session.clone() };
    let view = house.tell_until(connected, &id, |view| view["speakers"] != json!([])).await;
    assert_eq!(
        view["speakers"],
        json!([{ "id": "p1", "name": "ليلى", "role": "speaker", "muted": false, "speaking": false }])
    );
    let speaking = StudioEvent::Speaking { space, participant: Some("p1".into()) };
    house.tell_until(speaking, &id, |view| view["speakers"][0]["speaking"] == true).await;
    let totals = Totals { joined: 9, silent: 1, turned_away: 2, bytes: 3_000 };
    let numbers = Numbers {
        streams: 4,
        by_pieces: 3,
        unique: 8,
        totals,
        rehearsed: 100,
        rehearsal_totals: Totals { joined: 101, ..Totals::default() },
    };
    let view = house.tell_until(StudioEvent::Counts { space, numbers }, &id, |view| view["listeners"] == 7).await;
    let rehearsal = json!({ "streams": 100, "joined": 101, "heard_nothing": 0, "turned_away": 0, "bytes": 0 });
    let crowd = json!({
        "streams": 4, "hls": 3, "hls_is": "behind a cache", "unique": 8, "joined": 9, "heard_nothing": 1, "turned_away": 2,
        "bytes": 3_000, "rehearsal": rehearsal,
    });
    assert_eq!(view["crowd"], crowd);
    let clap = StudioEvent::Reactions { space, rates: [2, 0, 0, 0, 1] };
    let view = house.tell_until(clap, &id, |view| view["reactions"] != json!({})).await;
    assert_eq!(view["reactions"], json!({ "heart": 2, "agree": 1 }));
    let silence = StudioEvent::Reactions { space, rates: [0; 5] };
    house.tell_until(silence, &id, |view| view["reactions"] == json!({})).await;
    let metrics = house.ask("GET", "/metrics", &[], "").await.body;
    for line in [
        "hiwar_listeners 7",
        "hiwar_listeners_streams 4",
        "hiwar_listeners_hls 3",
        "hiwar_rehearsal_listeners 100",
        &format!("hiwar_space_listeners{{space=\"{id}\"}} 7"),
        &format!("hiwar_space_unique{{space=\"{id}\"}} 8"),
        "hiwar_worker_accepted_total 0",
    ] {
        assert!(metrics.lines().any(|told| told == line), "{line} in {metrics}");
    }
    house.tell_until(StudioEvent::RecordingPaused { space }, &id, |view| view["recording"] == "paused").await;
    house.tell_until(StudioEvent::RecordingResumed { space }, &id, |view| view["recording"] == "on").await;
    let left = || StudioEvent::Left { space, participant: "p1".into() };
    // Of a session before this one, told late.
    house.happens.send(left()).await.expect("a registry");
    let speaking = StudioEvent::Speaking { space, participant: None };
    house.tell_until(speaking, &id, |view| view["speakers"][0]["speaking"] == false).await;
    house.studio.hang_up(&session);
    house.tell_until(left(), &id, |view| view["speakers"] == json!([])).await;
}

#[tokio::test]
async fn whoever_reconnects_in_vain_is_no_ghost_on_the_stage() {
    let house = House::new().await;
    let (id, _) = house.live_space().await;
    let space = LogId::parse(&id).expect("an id");
    let location = house.publish(&id, &house.speaker(&id, "p1")).await.header("location").to_owned();
    let session = location.rsplit('/').next().expect("a name").to_owned();
    let connected = StudioEvent::Connected { space, session };
    house.tell_until(connected, &id, |view| view["speakers"][0]["id"] == "p1").await;
    // Another session took its place in the studio, and was over before anybody here knew of it.
    let again = Speaking { participant: "p1".into(), speaking_event: Vec::new(), voicing: Voicing::Open };
    let second = house.studio.publish(&space, again, OFFER.into()).await.expect("a seat");
    house.studio.hang_up(&second.session);
    let left = StudioEvent::Left { space, participant: "p1".into() };
    house.tell_until(left, &id, |view| view["speakers"] == json!([])).await;
}

#[tokio::test]
async fn a_restart_keeps_spaces_and_a_live_one_goes_on() {
    let house = House::new().await;
    let (scheduled, _) = house.space("public").await;
    let (live, host) = house.live_space().await;
    let house = house.restarted().await;
    let state = async |id: &str| house.ask("GET", &format!("{SPACES}/{id}"), &[], "").await.json()["state"].clone();
    assert_eq!((state(&scheduled).await, state(&live).await), (json!("open"), json!("live")));
    assert_eq!(house.publish(&live, &house.speaker(&live, "p1")).await.status, StatusCode::CREATED);
    assert_eq!(house.ask_as(&host, "POST", &format!("{SPACES}/{live}/end")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_demo_is_live_with_its_guests() {
    let house = House::new().await;
    let demo = LogId::parse("demo").expect("an id");
    let guest = crate::registry::Guest { id: "salma".into(), name: "سلمى".into() };
    for _ in 0..2 {
        let keep = Keep::Window(Duration::from_secs(3600));
        house.registry.perform(demo, "حوار · Hiwar demo", keep, std::slice::from_ref(&guest)).await.expect("a demo");
    }
    let listed = house.ask("GET", SPACES, &[], "").await.json();
    assert_eq!((&listed["spaces"][0]["id"], &listed["spaces"][0]["state"]), (&json!("demo"), &json!("live")));
    assert_eq!(listed["spaces"][0]["speakers"][0]["name"], "سلمى");
    assert_eq!(listed["spaces"][0]["recording"], "off");
}

#[tokio::test]
async fn watchers_get_the_space_at_once_and_at_every_change() {
    let house = House::new().await;
    let (id, host) = house.space("public").await;
    let events = format!("{SPACES}/{id}/events");
    let request = Request::builder().uri(&events).body(Body::empty()).expect("a request");
    let response = house.router.clone().oneshot(request).await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    let mut next = async || String::from_utf8(stream.next().await.expect("an event").expect("bytes").to_vec()).unwrap();
    let first = next().await;
    assert!(first.contains("event: space") && first.contains("\"state\":\"open\""), "{first}");
    house.ask_as(&host, "POST", &format!("{SPACES}/{id}/start")).await;
    assert!(next().await.contains("\"state\":\"live\""));
}

#[tokio::test]
async fn strangers_cannot_keep_the_stage_from_watching() {
    let house = House::new().await;
    let (id, host) = house.space("public").await;
    let space = LogId::parse(&id).expect("an id");
    let strangers: Vec<_> =
        std::iter::from_fn(|| house.registry.watch(&space, crate::registry::Watcher::Stranger).ok())
            .take(100)
            .collect();
    assert_eq!(strangers.len(), 16);
    let refused = house.ask("GET", &format!("{SPACES}/{id}/events"), &[], "").await;
    refused.is_problem(503, "subscribers-full");
    assert!(!refused.header("retry-after").is_empty());
    let headers = format!("Bearer {host}");
    let request = Request::builder().uri(format!("{SPACES}/{id}/events")).header("authorization", headers);
    let allowed =
        house.router.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    assert_eq!(allowed.status(), StatusCode::OK);
}

#[tokio::test]
async fn any_origin_may_call_and_no_credentials_are_asked_for() {
    let house = House::new().await;
    let (id, _) = house.space("public").await;
    let whip = house.ask("OPTIONS", &format!("/whip/{id}"), &[("origin", "https://app.example")], "").await;
    assert_eq!((whip.status, whip.header("accept-post")), (StatusCode::OK, SDP));
    for path in [format!("/whip/{id}/session"), format!("{SPACES}/{id}/start"), SPACES.to_owned()] {
        let preflight = house.ask("OPTIONS", &path, &[("origin", "https://app.example")], "").await;
        assert!(preflight.status.is_success());
        assert_eq!(preflight.header("access-control-allow-origin"), "*");
        assert_eq!(preflight.header("access-control-allow-credentials"), "");
        assert!(preflight.header("access-control-allow-headers").contains("If-Match"));
        assert!(preflight.header("access-control-allow-methods").contains("PATCH"));
    }
    let refused = house.ask("POST", &format!("/whip/{id}"), &[], "").await;
    for name in ["Location", "ETag", "Link", "Accept-Post", "Retry-After", "WWW-Authenticate"] {
        assert!(refused.header("access-control-expose-headers").contains(name), "{name}");
    }
}

#[tokio::test]
async fn problems_speak_the_caller_s_language() {
    let house = House::new().await;
    for (accept, lang) in [("ar-EG, en;q=0.5", "ar"), ("en", "en"), ("fr", "en")] {
        let answer = house.ask("GET", "/api/spaces/v1/spaces/nosuch", &[("accept-language", accept)], "").await;
        answer.is_problem(404, "space-not-found");
        assert_eq!((answer.header("content-language"), &answer.json()["lang"]), (lang, &json!(lang)));
    }
    house.ask("GET", "/nothing/here", &[], "").await.is_problem(404, "not-found");
    house.ask("PUT", SPACES, &[], "").await.is_problem(405, "method-not-allowed");
    let explained = house.ask("GET", "/problems/already-started", &[], "").await;
    assert!(explained.status == StatusCode::OK && explained.body.contains("dir=\"rtl\""));
}

#[tokio::test]
async fn the_house_tells_how_it_is() {
    let house = House::new().await;
    house.live_space().await;
    for path in ["/healthz", "/readyz", "/status", "/metrics", "/api/openapi.json", "/api/spaces/v1/config"] {
        assert_eq!(house.ask("GET", path, &[], "").await.status, StatusCode::OK, "{path}");
    }
    assert!(house.ask("GET", "/metrics", &[], "").await.body.contains("\nhiwar_spaces_live 1\n"));
    let status = house.ask("GET", "/status", &[], "").await.body;
    assert!(status.contains("حوار يعمل") && status.contains("Hiwar is working"));
    let config = house.ask("GET", "/api/spaces/v1/config", &[], "").await.json();
    assert_eq!(config["stage_origin"], "https://stage.example");
    let described = house.ask("GET", "/api/openapi.json", &[], "").await.json();
    let some = ["/api/spaces/v1/spaces", "/api/spaces/v1/spaces/{id}/end", "/whip/{space}/{session}"];
    for path in some.into_iter().chain(["/api/spaces/v1/rehearsals"]) {
        assert!(described["paths"][path].is_object(), "{path}");
    }
}
