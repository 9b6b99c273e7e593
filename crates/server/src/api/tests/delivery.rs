//! How listeners are served, as the operator wishes.

use hiwar_admission::Grant;

use super::*;

const DELIVERY: &str = "/api/spaces/v1/delivery";

fn operator(house: &House) -> String {
    house.keys.stage_pass(SystemTime::now() + Duration::from_secs(60), Grant::Operate)
}

async fn put(house: &House, pass: &str, body: Value) -> Answer {
    let bearer = format!("Bearer {pass}");
    let fields = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    house.ask("PUT", DELIVERY, &fields, body.to_string()).await
}

fn both(cadence_ms: impl Into<Value>, bitrate_kbps: impl Into<Value>) -> Value {
    json!({ "cadence_ms": cadence_ms.into(), "bitrate_kbps": bitrate_kbps.into() })
}

#[tokio::test]
async fn an_operator_changes_it_and_a_house_that_follows_knows_of_it() {
    let house = House::new().await;
    let pass = operator(&house);
    let change = async |house: &House, body: Value| put(house, &pass, body).await.json();
    assert_eq!(change(&house, json!({ "cadence_ms": 2_000 })).await, both(2_000, Value::Null));
    assert_eq!(change(&house, json!({ "bitrate_kbps": 16 })).await, both(2_000, 16), "what is left out stays");
    let house = house.restarted().await;
    let asked = house.ask("GET", DELIVERY, &[("authorization", &format!("Bearer {pass}"))], String::new()).await;
    assert_eq!(asked.json(), both(2_000, 16));
    assert_eq!(change(&house, json!({})).await, both(2_000, 16));
    assert_eq!(change(&house, json!({ "cadence_ms": null })).await, both(Value::Null, 16));
    assert_eq!(change(&house, both(400, 32)).await, both(400, 32));
    // One that is wrong, and nothing is changed.
    put(&house, &pass, both(1_000, 17)).await.is_problem(422, "bitrate-unknown");
    assert_eq!(change(&house, json!({ "bitrate_kbps": null })).await, both(400, Value::Null));
}

#[tokio::test]
async fn nobody_else_does_and_nothing_else_is_taken() {
    let house = House::new().await;
    let creator = house.keys.create_pass(SystemTime::now() + Duration::from_secs(60));
    put(&house, &creator, json!({ "cadence_ms": 2_000 })).await.is_problem(403, "pass-not-enough");
    let pass = operator(&house);
    for (body, status, name) in [
        (json!({ "cadence_ms": 300 }), 422, "cadence-unknown"),
        (json!({ "cadence_ms": 0 }), 422, "cadence-unknown"),
        (json!({ "cadence_ms": "2000" }), 400, "malformed"),
        (json!({ "cadence": 2_000 }), 400, "malformed"),
        (json!({ "bitrate_kbps": 24 }), 422, "bitrate-unknown"),
        (json!({ "bitrate_kbps": "lean" }), 400, "malformed"),
        (json!({ "bitrate_kbps": [16] }), 400, "malformed"),
    ] {
        put(&house, &pass, body).await.is_problem(status, name);
    }
    house.ask("GET", DELIVERY, &[], String::new()).await.is_problem(401, "pass-missing");
}
