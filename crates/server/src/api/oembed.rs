//! oEmbed 1.0 (oembed.com): whoever is given a link to a space, and asks, is told how to show it: as a frame with our player.
//!
//! Those who ask are servers of blogs and messengers. What the frame holds is the workers' (`/embed.html`), and the same for all spaces.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Json;
use hiwar_space::Audience;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::problem::{Details, Kind, Problem};

/// What the player needs: a line of title, one of state, the button, the slider, and a line for what is wrong; more is given no use.
const WIDTH: u32 = 480;
const HEIGHT: u32 = 200;
/// How long an answer may be kept: a title changes now and then.
const KEPT_S: u32 = 300;

/// A question, as the standard writes it.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// The address of a space's page, and perhaps of a moment in its recording.
    #[param(example = "https://talk.example/s/demo#t=90")]
    url: String,
    /// `json`, and nothing else.
    #[serde(default)]
    format: Option<String>,
    /// Pixels that there is room for.
    #[serde(default)]
    maxwidth: Option<u32>,
    /// Pixels that there is room for.
    #[serde(default)]
    maxheight: Option<u32>,
}

/// How a space is shown elsewhere.
#[derive(Serialize, ToSchema)]
pub(super) struct Embedding {
    /// `1.0`.
    version: &'static str,
    /// `rich`.
    r#type: &'static str,
    /// Hiwar.
    provider_name: &'static str,
    /// This server.
    provider_url: String,
    /// The space's.
    title: String,
    /// How long the answer may be kept, in seconds.
    cache_age: u32,
    /// In pixels.
    width: u32,
    /// In pixels.
    height: u32,
    /// A frame with our player.
    html: String,
}

/// How to show a space on another page (oEmbed 1.0)
#[utoipa::path(get, path = "/oembed", tag = "embedding", params(Asked), security(()),
    responses((status = 200, body = Embedding), (status = 400, body = Details), (status = 401, body = Details),
        (status = 404, body = Details), (status = 501, body = Details)))]
pub(super) async fn embedding(
    State(api): Shared,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Embedding>, Problem> {
    let Query(Asked { url, format, maxwidth, maxheight }) = asked.map_err(|_| Kind::Malformed)?;
    if format.is_some_and(|format| format != "json") {
        return Err(Kind::FormatUnknown.into());
    }
    let origin = &api.settings.public_origin;
    let address = Address::parse(origin, &url).ok_or(Kind::SpaceNotFound)?;
    let (id, audience) = api.space(address.space)?;
    if audience == Audience::Invited {
        return Err(Kind::PassMissing.into());
    }
    let title = api.registry.view(&id).ok_or(Kind::SpaceNotFound)?.title;
    let (width, height) = (WIDTH.min(maxwidth.unwrap_or(WIDTH)), HEIGHT.min(maxheight.unwrap_or(HEIGHT)));
    let moment = address.moment.map(|moment| format!("#t={moment}")).unwrap_or_default();
    let html = format!(
        "<iframe src=\"{origin}/embed.html?space={id}{moment}\" title=\"{}\" width=\"{width}\" height=\"{height}\" \
         style=\"border:0;max-width:100%\" allow=\"autoplay\" loading=\"lazy\"></iframe>",
        attribute(&title)
    );
    Ok(Json(Embedding {
        version: "1.0",
        r#type: "rich",
        provider_name: "Hiwar",
        provider_url: origin.clone(),
        title,
        cache_age: KEPT_S,
        width,
        height,
        html,
    }))
}

/// The address of a space's page, and perhaps of a moment in its recording.
#[derive(Debug, PartialEq, Eq)]
struct Address<'u> {
    space: &'u str,
    /// Seconds, as they were written.
    moment: Option<&'u str>,
}

impl<'u> Address<'u> {
    /// `ORIGIN/s/ID`, whatever is asked of it. Scheme and host are the same in any case (RFC 3986 §6.2.2.1).
    fn parse(origin: &str, url: &'u str) -> Option<Self> {
        let (before, rest) = url.split_at_checked(origin.len())?;
        let rest = rest.strip_prefix("/s/").filter(|_| before.eq_ignore_ascii_case(origin))?;
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let path = rest.split('?').next().unwrap_or_default();
        let space = path.strip_suffix('/').unwrap_or(path);
        let is_number =
            |text: &&str| (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let moment = fragment.split('&').find_map(|part| part.strip_prefix("t=")).filter(is_number);
        Some(Self { space, moment })
    }
}

/// A stranger's words within an attribute.
fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_space_is_its_page_at_our_origin() {
        let check = |url: &str, expected: Option<(&str, Option<&str>)>| {
            let found = Address::parse("https://talk.example", url);
            assert_eq!(found.map(|found| (found.space, found.moment)), expected, "{url}");
        };
        check("https://talk.example/s/demo", Some(("demo", None)));
        check("HTTPS://Talk.Example/s/demo/", Some(("demo", None)));
        check("https://talk.example/s/demo?lang=ar&x=/s/other#t=90.5", Some(("demo", Some("90.5"))));
        check("https://talk.example/s/demo#a&t=7&b", Some(("demo", Some("7"))));
        check("https://talk.example/s/demo#t=\"><script>", Some(("demo", None)));
        check("https://talk.example/s/demo#t=1234567890123", Some(("demo", None)));
        // What is no id is found nowhere.
        check("https://talk.example/s/", Some(("", None)));
        check("https://talk.example/s/demo/x", Some(("demo/x", None)));
        for other in [
            "",
            "demo",
            "/s/demo",
            "https://talk.example",
            "https://talk.example/",
            "https://talk.example/s",
            "http://talk.example/s/demo",
            "https://talk.example.evil/s/demo",
            "https://talk.example:8/s/demo",
            "https://evil/https://talk.example/s/demo",
            "https://talk.examplé/s/demo",
            "https://talk.example/S/demo",
            "حوار حوار حوار حوار حوار",
            "https://talk.example\u{0}/s/demo",
        ] {
            check(other, None);
        }
    }
}
