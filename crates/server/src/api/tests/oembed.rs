//! How a space is shown elsewhere.

use super::*;

/// What stands in a query, encoded.
fn encoded(url: &str) -> String {
    url.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

impl House {
    async fn embedding(&self, url: &str, more: &str) -> Answer {
        self.ask("GET", &format!("/oembed?url={}{more}", encoded(url)), &[], "").await
    }
}

#[tokio::test]
async fn a_link_to_a_space_is_shown_as_a_frame() {
    let house = House::new().await;
    let made =
        house.post_json(&house.creator(), SPACES, json!({ "title": "\"حوار\" <b>&", "audience": "unlisted" })).await;
    let id = made.json()["space"]["id"].as_str().expect("an id").to_owned();
    let url = format!("https://talk.example/s/{id}");
    let told = house.embedding(&url, "&format=json").await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    assert_eq!((told.header("content-type"), told.header("access-control-allow-origin")), ("application/json", "*"));
    let told = told.json();
    for (name, value) in [
        ("version", json!("1.0")),
        ("type", json!("rich")),
        ("provider_url", json!("https://talk.example")),
        ("title", json!("\"حوار\" <b>&")),
        ("width", json!(480)),
        ("height", json!(200)),
    ] {
        assert_eq!(told[name], value, "{name}");
    }
    let html = told["html"].as_str().expect("markup");
    assert!(html.starts_with(&format!("<iframe src=\"https://talk.example/embed.html?space={id}\" ")), "{html}");
    assert!(html.contains("title=\"&quot;حوار&quot; &lt;b&gt;&amp;\" width=\"480\" height=\"200\""), "{html}");
    assert!(html.matches('<').count() == 2 && html.ends_with("</iframe>"), "{html}");

    // As large as there is room for, and from a moment on.
    let told = house.embedding(&format!("{url}#t=90.5"), "&maxwidth=300&maxheight=9000").await.json();
    assert_eq!((&told["width"], &told["height"]), (&json!(300), &json!(200)));
    assert!(told["html"].as_str().is_some_and(|html| html.contains(&format!("?space={id}#t=90.5\""))), "{told}");
}

#[tokio::test]
async fn what_is_not_shown_elsewhere_is_refused_as_the_standard_says() {
    let house = House::new().await;
    let (public, _) = house.space("public").await;
    let (invited, _) = house.space("invited").await;
    let url = |id: &str| format!("https://talk.example/s/{id}");
    house.embedding(&url("none"), "").await.is_problem(404, "space-not-found");
    house.embedding(&url("NO SUCH"), "").await.is_problem(404, "space-not-found");
    house.embedding("https://elsewhere.example/s/demo", "").await.is_problem(404, "space-not-found");
    house.embedding(&url(&invited), "").await.is_problem(401, "pass-missing");
    house.embedding(&url(&public), "&format=xml").await.is_problem(501, "format-unknown");
    for malformed in ["", "?", "?format=json", "?url=x&maxwidth=wide", "?url=x&maxheight=-1", "?url=x&url=y"] {
        house.ask("GET", &format!("/oembed{malformed}"), &[], "").await.is_problem(400, "malformed");
    }
    house.ask("POST", "/oembed?url=x", &[], "").await.is_problem(405, "method-not-allowed");
}
