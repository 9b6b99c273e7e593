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

#[tokio::test]
async fn an_operator_changes_the_cadence_and_a_house_that_follows_knows_of_it() {
    let house = House::new().await;
    let pass = operator(&house);
    assert_eq!(put(&house, &pass, json!({ "cadence_ms": 2_000 })).await.json(), json!({ "cadence_ms": 2_000 }));
    let house = house.restarted().await;
    let asked = house.ask("GET", DELIVERY, &[("authorization", &format!("Bearer {pass}"))], String::new()).await;
    assert_eq!(asked.json(), json!({ "cadence_ms": 2_000 }));
    assert_eq!(put(&house, &pass, json!({ "cadence_ms": null })).await.json(), json!({ "cadence_ms": null }));
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
    ] {
        put(&house, &pass, body).await.is_problem(status, name);
    }
    house.ask("GET", DELIVERY, &[], String::new()).await.is_problem(401, "pass-missing");
}
