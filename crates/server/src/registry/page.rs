//! A space's page: the template from `web/dist/page.html` with what is known of the space filled in.
//!
//! Titles and names are strangers' words. In markup they are escaped; in the JSON island every character that HTML could
//! take for markup is written as an escape of JSON, so that no words can end the island. The page of an invited space
//! says nothing about it: whoever knows its address but has no pass may load the page too.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use hiwar_engine::live_bus::Document;
use serde::Serialize;

use super::view::{PostponedView, ReplayView, SpeakerView};
use super::{CrowdView, SpaceView};
use crate::api::{AskedBy, Language, Settings};
use crate::studio::Numbers;
use crate::studio::press::{Effort, brotli};

const HEAD: &str = "<!--hiwar:head-->";
const SPACE: &str = "<!--hiwar:space-->";
const NOSCRIPT: &str = "<!--hiwar:noscript-->";
const TITLE: &str = "<!--hiwar:title-->";

/// Of the page of a space. A browser asks for it again at each visit, since it changes with the space; a cache in front of this server asks once in a second for all who come in it (RFC 9111 §5.2.2.10).
const CACHE: &str = "max-age=0, must-revalidate, s-maxage=1";

/// The page as the workers serve it.
pub(super) fn document(settings: &Settings, view: &SpaceView) -> Document {
    let view = if view.audience == "invited" { &stripped(view) } else { view };
    page((settings.template, settings.policy.as_deref()), Effort::Little, |marker| match marker {
        HEAD => head(&settings.public_origin, view),
        SPACE => island(view),
        TITLE => heading(&view.title),
        _ => noscript(view),
    })
}

/// What stands at the address of a space that does not exist. The same in every house: each worker brings it along.
pub fn nowhere() -> Document {
    let (template, policy) = crate::assets::page_template(None);
    page((template, policy.as_deref()), Effort::All, |marker| match marker {
        HEAD => "<title>Hiwar · حوار</title>\n<meta name=\"robots\" content=\"noindex\">".into(),
        NOSCRIPT => said("problem-space-not-found"),
        _ => String::new(),
    })
}

fn page((template, policy): (&str, Option<&str>), effort: Effort, text_of: impl Fn(&str) -> String) -> Document {
    let body = fill(template, text_of);
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    Document {
        mime: "text/html; charset=utf-8".into(),
        etag: format!("\"{:016x}\"", hasher.finish()),
        cache: CACHE.into(),
        policy: policy.map(Into::into),
        brotli: brotli(body.as_bytes(), effort),
        body: body.into(),
        as_of_ms: None,
    }
}

/// Fills in each marker once, from front to back: what is filled in is not searched again.
fn fill(template: &str, text_of: impl Fn(&str) -> String) -> String {
    let mut page = String::with_capacity(template.len() + 4096);
    let mut rest = template;
    loop {
        let next =
            [HEAD, TITLE, SPACE, NOSCRIPT].into_iter().filter_map(|marker| Some((rest.find(marker)?, marker))).min();
        let Some((at, marker)) = next else { break };
        page.push_str(&rest[..at]);
        page.push_str(&text_of(marker));
        rest = &rest[at + marker.len()..];
    }
    page.push_str(rest);
    page
}

/// What may be known without a pass.
fn stripped(view: &SpaceView) -> SpaceView {
    let crowd = CrowdView::new(&Numbers::default(), AskedBy::Players);
    SpaceView {
        title: String::new(),
        speakers: Vec::new(),
        asks: 0,
        postponed: view.postponed.as_ref().map(|_| PostponedView { from: None, reason: None }),
        cancel_reason: None,
        listeners: 0,
        crowd,
        reactions: Default::default(),
        language: None,
        ..view.clone()
    }
}

/// Title and link preview (OpenGraph), in the language of the space.
fn head(origin: &str, view: &SpaceView) -> String {
    let language = view.language.as_deref().and_then(Language::of_tag).unwrap_or(Language::Arabic);
    let title = if view.title.is_empty() { language.say("private-title", &[]) } else { escaped(&view.title) };
    let description = language.say(
        match (view.state, &view.replay) {
            ("scheduled" | "open", _) => "page-description-scheduled",
            ("cancelled", _) => "page-description-cancelled",
            ("live", _) => "page-description-live",
            (_, None) if view.removed_at.is_some() => "page-description-removed",
            (_, None) if view.recording != "off" && view.posting == "after_review" => "page-description-review",
            (_, None) => "page-description-over",
            (_, Some(_)) => "page-description-replay",
        },
        &[],
    );
    let (origin, page) = (escaped(origin), &view.page);
    let mut head = format!(
        "<title>{title} · Hiwar</title>\n<meta name=\"description\" content=\"{description}\">\n\
         <meta property=\"og:site_name\" content=\"Hiwar\">\n<meta property=\"og:type\" content=\"website\">\n\
         <meta property=\"og:title\" content=\"{title}\">\n<meta property=\"og:description\" content=\"{description}\">\n\
         <meta property=\"og:url\" content=\"{origin}{page}\">\n\
         <meta property=\"og:locale\" content=\"{}\">\n<meta name=\"twitter:card\" content=\"summary\">",
        if language == Language::Arabic { "ar_AR" } else { "en_US" },
    );
    if view.audience == "public" {
        let sound = view.replay.as_ref().map_or(&view.listen.mp4, |replay| &replay.mp4);
        let _ = write!(
            head,
            "\n<meta property=\"og:audio\" content=\"{origin}{sound}\">\n\
             <meta property=\"og:audio:type\" content=\"audio/mp4\">\n<link rel=\"canonical\" href=\"{origin}{page}\">"
        );
    } else {
        head.push_str("\n<meta name=\"robots\" content=\"noindex\">");
    }
    if view.audience != "invited" {
        // How to show it elsewhere (oembed.com, §4).
        let asked = format!("{origin}{page}").replace(':', "%3A").replace('/', "%2F");
        let _ = write!(
            head,
            "\n<link rel=\"alternate\" type=\"application/json+oembed\" href=\"{origin}/oembed?url={asked}&amp;format=json\">"
        );
    }
    head
}

/// The title in its languages, "… · …", a line for each: the page's own script shows it in the same way.
fn heading(title: &str) -> String {
    let mut heading = String::new();
    for part in title.split(" · ") {
        let _ = write!(heading, "<span dir=\"auto\">{}</span>", escaped(part));
    }
    heading
}

/// What scripts read of a space in its page, under the names that it has in the API; and nothing that changes while nobody does anything.
#[derive(Serialize)]
struct Island<'v> {
    id: &'v str,
    title: &'v str,
    state: &'v str,
    audience: &'v str,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'v str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<&'v str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    doors_at: Option<&'v str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    awaits_host: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    postponed: Option<&'v PostponedView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<&'v str>,
    listen: Listen<'v>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<&'v ReplayView>,
    speakers: &'v [SpeakerView],
    asking: &'v str,
    recording: &'v str,
    posting: &'v str,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed_at: Option<&'v str>,
}

/// The other renditions have fixed places.
#[derive(Serialize)]
struct Listen<'v> {
    hls: &'v str,
}

/// The space as JSON that is also harmless HTML.
fn island(view: &SpaceView) -> String {
    let island = Island {
        id: &view.id,
        title: &view.title,
        state: view.state,
        audience: view.audience,
        language: view.language.as_deref(),
        starts_at: view.starts_at.as_deref(),
        doors_at: view.doors_at.as_deref(),
        awaits_host: view.awaits_host,
        postponed: view.postponed.as_ref(),
        cancel_reason: view.cancel_reason.as_deref(),
        listen: Listen { hls: &view.listen.hls },
        replay: view.replay.as_ref(),
        speakers: &view.speakers,
        asking: view.asking,
        recording: view.recording,
        posting: view.posting,
        removed_at: view.removed_at.as_deref(),
    };
    let json = serde_json::to_string(&island).expect("strings and numbers are JSON");
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// For whoever has no scripts: the browser's own player and plain links, in both languages, since nothing can choose one.
/// Nothing is fetched before it is asked for. An invited space needs the pass, which a page of all visitors cannot hold.
fn noscript(view: &SpaceView) -> String {
    let over = matches!(view.state, "ended" | "posted");
    let (key, sound) = match &view.replay {
        _ if view.audience == "invited" => ("noscript-invited", None),
        Some(replay) => ("noscript-replay", Some((&replay.mp4, &replay.ogg, None))),
        None if view.removed_at.is_some() => ("page-description-removed", None),
        None if over && view.recording != "off" && view.posting == "after_review" => ("page-description-review", None),
        None if over => ("page-description-over", None),
        None if view.state == "cancelled" => ("page-description-cancelled", None),
        None => ("noscript-listen", Some((&view.listen.mp4, &view.listen.ogg, Some(&view.listen.mp3)))),
    };
    let mut text = said(key);
    if let Some((mp4, ogg, mp3)) = sound {
        let _ = write!(
            text,
            "<audio controls preload=\"none\"><source src=\"{mp4}\" type='audio/mp4; codecs=\"opus\"'>\
             <source src=\"{ogg}\" type=\"audio/ogg\">"
        );
        // A recording has none: what keeps it is not a radio.
        let _ = mp3.map(|mp3| write!(text, "<source src=\"{mp3}\" type=\"audio/mpeg\">"));
        let _ = write!(text, "</audio>\n<p dir=\"ltr\"><a href=\"{ogg}\">Ogg</a> · <a href=\"{mp4}\">MP4</a>");
        let _ = mp3.map(|mp3| write!(text, " · <a href=\"{mp3}\">MP3</a>"));
        text.push_str("</p>");
        // Where there is no room a player only falls silent.
        if mp3.is_some() {
            let id = &view.id;
            let [ar, en] = [Language::Arabic, Language::English].map(|language| {
                let (code, direction, says) =
                    (language.code(), language.direction(), language.say("noscript-wait", &[]));
                format!("<a lang=\"{code}\" dir=\"{direction}\" href=\"/s/{id}/wait\">{says}</a>")
            });
            let _ = write!(text, "\n<p>{ar}<br>{en}</p>");
        }
    }
    text
}

/// A message of ours in both languages.
fn said(key: &str) -> String {
    let mut text = String::new();
    for language in [Language::Arabic, Language::English] {
        let (code, direction, says) = (language.code(), language.direction(), language.say(key, &[]));
        let _ = writeln!(text, "<p lang=\"{code}\" dir=\"{direction}\">{says}</p>");
    }
    text
}

pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Links, SpeakerView};

    const TEMPLATE: &str = "<html><head><!--hiwar:head--></head><body><h1><!--hiwar:title--></h1><noscript><!--hiwar:noscript--></noscript>\
        <script type=\"application/json\" id=\"space\"><!--hiwar:space--></script></body></html>";

    fn settings() -> Settings {
        Settings {
            public_origin: "https://talk.example".into(),
            stage_origin: "https://stage.example".into(),
            template: TEMPLATE,
            policy: Some("default-src 'self'".into()),
            hls_base: None,
            hls_asked_by: AskedBy::Players,
        }
    }

    fn view(title: &str, audience: &'static str) -> SpaceView {
        SpaceView {
            id: "demo".into(),
            title: title.into(),
            state: "live",
            audience,
            language: Some("ar".into()),
            created_at: "2026-11-23T00:00:00Z".into(),
            starts_at: None,
            doors_at: None,
            begins: None,
            awaits_host: false,
            postponed: None,
            cancelled_at: None,
            cancel_reason: None,
            started_at: None,
            ended_at: None,
            listen: Links {
                mp4: "/listen/demo.mp4".into(),
                ogg: "/listen/demo.ogg".into(),
                mp3: "/listen/demo.mp3".into(),
                hls: "/hls/demo/live.m3u8".into(),
            },
            page: "/s/demo".into(),
            replay: None,
            speakers: vec![SpeakerView {
                id: "p1".into(),
                name: "</script><i>".into(),
                role: "host",
                muted: false,
                speaking: true,
            }],
            asking: "everybody",
            asks: 0,
            locked: false,
            listeners: 3,
            crowd: CrowdView::new(&Numbers { streams: 3, ..Numbers::default() }, AskedBy::Players),
            ladder: None,
            reactions: Default::default(),
            recording: "on",
            posting: "at_once",
            removed_at: None,
        }
    }

    fn page(title: &str, audience: &'static str) -> String {
        String::from_utf8(document(&settings(), &view(title, audience)).body.to_vec()).expect("UTF-8")
    }

    #[test]
    fn hostile_titles_stay_words() {
        for title in
            ["</script><script>alert(1)</script>", "\" onload=\"x", "<!--hiwar:space-->", "<!-- <script", "'&amp;"]
        {
            let page = page(title, "public");
            assert_eq!(page.matches("<script").count(), 1, "{page}");
            assert_eq!(page.matches("</script>").count(), 1, "{page}");
            assert!(!page.contains(title) || title == "'&amp;", "{page}");
            let island = page.split("id=\"space\">").nth(1).and_then(|rest| rest.split("</script>").next());
            let space: serde_json::Value = serde_json::from_str(island.expect("an island")).expect("JSON");
            assert_eq!(space["title"], title);
            assert_eq!(space["speakers"][0]["name"], "</script><i>");
        }
    }

    #[test]
    fn a_public_page_has_a_preview_with_sound() {
        let page = page("حوار", "public");
        for tag in [
            "<title>حوار · Hiwar</title>",
            "<meta property=\"og:title\" content=\"حوار\">",
            "<meta property=\"og:url\" content=\"https://talk.example/s/demo\">",
            "<meta property=\"og:audio\" content=\"https://talk.example/listen/demo.mp4\">",
            "<h1><span dir=\"auto\">حوار</span></h1>",
            "<audio controls preload=\"none\"><source src=\"/listen/demo.mp4\" type='audio/mp4; codecs=\"opus\"'>",
            "<source src=\"/listen/demo.ogg\" type=\"audio/ogg\">",
            "<source src=\"/listen/demo.mp3\" type=\"audio/mpeg\">",
            "<a href=\"/listen/demo.ogg\">",
            "<a href=\"/listen/demo.mp3\">MP3</a>",
            "<a lang=\"en\" dir=\"ltr\" href=\"/s/demo/wait\">",
            "<link rel=\"alternate\" type=\"application/json+oembed\" \
             href=\"https://talk.example/oembed?url=https%3A%2F%2Ftalk.example%2Fs%2Fdemo&amp;format=json\">",
        ] {
            assert!(page.contains(tag), "{tag} in {page}");
        }
    }

    #[test]
    fn an_invited_page_tells_nothing_without_a_pass() {
        let page = page("secret plan", "invited");
        assert!(!page.contains("secret plan") && !page.contains("p1"), "{page}");
        assert!(!page.contains("<audio"), "it would be refused: {page}");
        assert!(page.contains("noindex") && page.contains("\"state\":\"live\"") && !page.contains("oembed"));
    }

    #[test]
    fn a_change_of_the_space_changes_the_tag() {
        let tag = |title| document(&settings(), &view(title, "public")).etag;
        assert_ne!(tag("a"), tag("b"));
        assert_eq!(tag("a"), tag("a"));
    }
}
