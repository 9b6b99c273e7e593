//! Whether a grant to rehearse was issued here.

use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hiwar_admission::{Nonce, Origin, Proof, RehearsalToken};

use super::*;

const REHEARSALS: &str = "/api/spaces/v1/rehearsals";
const NONCE: Nonce = [9; 32];

fn grant(keys: &Keys, origin: &str, life_s: u64) -> RehearsalToken {
    let origin = Origin::parse(origin).expect("an origin");
    let token = keys.rehearsal_grant(SystemTime::now() + Duration::from_secs(life_s), origin, 500);
    RehearsalToken::read(SystemTime::now(), &token).expect("a grant")
}

async fn asked(house: &House, claims: &str, nonce: &str) -> Answer {
    let body = json!({ "claims": claims, "nonce": nonce }).to_string();
    house.ask("POST", REHEARSALS, &[("content-type", "application/json")], body).await
}

async fn asked_of(house: &House, held: &RehearsalToken) -> Answer {
    asked(house, held.claims(), &URL_SAFE_NO_PAD.encode(NONCE)).await
}

fn proof(answer: &Answer) -> Proof {
    let text = answer.json()["proof"].as_str().expect("a proof").to_owned();
    URL_SAFE_NO_PAD.decode(text).expect("base64url").try_into().expect("32 bytes")
}

#[tokio::test]
async fn a_house_proves_the_grants_that_it_issued_for_its_own_addresses() {
    let house = House::new().await;
    for origin in ["https://talk.example", "https://hls.example"] {
        let held = grant(&house.keys, origin, 3600);
        let answer = asked_of(&house, &held).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.json()["listeners_max"], 500);
        let expires = held.rehearsal().expires.duration_since(UNIX_EPOCH).expect("a time").as_secs();
        assert_eq!(answer.json()["expires"], expires);
        assert!(held.is_proven(&NONCE, &proof(&answer)));
        assert!(!held.is_proven(&[8; 32], &proof(&answer)));
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn what_another_house_issued_is_not_proven() {
    let house = House::new().await;
    let held = grant(&Keys::new(&[3; 32].into(), [2; 32]), "https://talk.example", 3600);
    let answer = asked_of(&house, &held).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(!held.is_proven(&NONCE, &proof(&answer)));
}

#[tokio::test]
async fn a_grant_that_is_over_or_for_somewhere_else_is_refused_with_the_reason() {
    let house = House::new().await;
    let over = house.keys.rehearsal_grant(
        UNIX_EPOCH + Duration::from_secs(1),
        Origin::parse("https://talk.example").unwrap(),
        1,
    );
    let over = RehearsalToken::read(UNIX_EPOCH, &over).expect("good in 1970");
    let answer = asked_of(&house, &over).await;
    answer.is_problem(403, "rehearsal-refused");
    assert_eq!(answer.json()["reason"], "expired");
    for origin in
        ["https://stage.example", "https://victim.example", "http://talk.example", "https://talk.example:8443"]
    {
        let answer = asked_of(&house, &grant(&house.keys, origin, 3600)).await;
        answer.is_problem(403, "rehearsal-refused");
        assert_eq!(answer.json()["reason"], "elsewhere", "{origin}");
    }
}

#[tokio::test]
async fn what_is_no_claims_or_no_nonce_is_malformed() {
    let house = House::new().await;
    let origin = Origin::parse("https://talk.example").expect("an origin");
    let token = house.keys.rehearsal_grant(later(), origin, 1);
    let held = RehearsalToken::read(SystemTime::now(), &token).expect("a grant");
    let (claims, nonce) = (held.claims(), URL_SAFE_NO_PAD.encode(NONCE));
    let listen = house.keys.listen_pass(later(), Scope::parse("demo").expect("a scope"));
    for (claims, nonce) in [
        ("", &*nonce),
        ("x", &nonce),
        (&token, &nonce),
        (&listen, &nonce),
        (&claims[1..], &nonce),
        (&"A".repeat(60_000), &nonce),
        (claims, ""),
        (claims, "AAAA"),
        (claims, &format!("{nonce}=")),
        (claims, &nonce[..42]),
        (claims, &URL_SAFE_NO_PAD.encode([9; 33])),
    ] {
        asked(&house, claims, nonce).await.is_problem(400, "malformed");
    }
    let json = [("content-type", "application/json")];
    for body in ["", "[]", "{}", "{\"claims\":\"\"}", "{\"claims\":1,\"nonce\":2}"] {
        house.ask("POST", REHEARSALS, &json, body).await.is_problem(400, "malformed");
    }
    let more = json!({ "claims": claims, "nonce": nonce, "more": 1 }).to_string();
    house.ask("POST", REHEARSALS, &json, more).await.is_problem(400, "malformed");
    house.ask("POST", REHEARSALS, &json, "x".repeat(70_000)).await.is_problem(413, "body-too-large");
    house.ask("POST", REHEARSALS, &[], "{}").await.is_problem(415, "media-type");
    house.ask("GET", REHEARSALS, &[], "").await.is_problem(405, "method-not-allowed");
}

#[tokio::test]
async fn a_grant_to_rehearse_is_no_pass() {
    let house = House::new().await;
    let token = house.keys.rehearsal_grant(later(), Origin::parse("https://talk.example").expect("an origin"), 1);
    house.ask_as(&token, "POST", SPACES).await.is_problem(401, "pass-invalid");
    let (invited, _) = house.space("invited").await;
    let at = format!("{SPACES}/{invited}");
    house.ask_as(&token, "GET", &at).await.is_problem(401, "pass-invalid");
    house.ask("GET", &format!("{at}?pass={token}"), &[], "").await.is_problem(401, "pass-invalid");
}
