//! `/status`: how crowded it is, as a page in both languages without any script, and as JSON. Workers serve both, and fill in how old they are.

use std::fmt::Write;
use std::time::SystemTime;

use bytes::Bytes;
use hiwar_admission::ladder::{Reason, Reasons};
use hiwar_delivery::answer::{AGE, AGE_IS};
use hiwar_engine::live_bus::Document;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::orders::{moment, ms};
use super::{Around, Ladders, Line, Rung, What};
use crate::api::{Language, Word, notices};
use crate::registry::{LadderView, escaped, rfc3339};

/// Where the page is.
pub const PAGE: &str = "/status";
/// Where it is as JSON.
pub const TABLE: &str = "/api/spaces/v1/status";
/// Conversations that are named at the most: the most heard.
const SPACES_MAX: usize = 100;
/// Changes that are told at the most.
const CHANGES_MAX: usize = 200;
/// It changes every few seconds.
const CACHE: &str = "public, max-age=5";
/// There is no script, no picture and nothing of others.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const STYLE: &str = "body{font:1.1rem/1.7 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}\
    section{margin-block-end:3rem}dl{display:grid;grid-template-columns:auto 1fr;gap:0 .7em}dd{margin:0;font-weight:600}\
    ol,ul{padding-inline-start:1.2em}.level{border-inline-start:.3rem solid;padding-inline-start:.8rem}\
    .away{display:none}.old .away{display:block}small{opacity:.8}";

/// How crowded it is.
#[derive(Serialize, ToSchema)]
#[schema(as = Status)]
pub struct StatusView {
    /// When it was so. RFC 3339, UTC.
    as_of: String,
    /// So many seconds ago. More than 10: the house is away, and its workers say what they heard last.
    #[schema(value_type = u64, example = 2)]
    age_s: &'static str,
    /// The whole server; `null` until one of its workers has told how it is.
    server: Option<LadderView>,
    /// Public conversations that are on the air, the most heard at the most.
    spaces: Vec<StatusSpace>,
    /// Changes of levels in the last 24 hours, the newest first: of the server and of those conversations.
    changes: Vec<ChangeView>,
}

/// How crowded it is at a conversation.
#[derive(Serialize, ToSchema)]
struct StatusSpace {
    id: String,
    title: String,
    state: &'static str,
    /// How many hear it.
    listeners: u32,
    ladder: LadderView,
}

/// A level that has changed.
#[derive(Serialize, ToSchema)]
#[schema(as = LevelChange)]
pub struct ChangeView {
    /// When. RFC 3339, UTC.
    at: String,
    /// Of which conversation; `null`: of the whole server.
    space: Option<String>,
    /// What it became.
    level: u8,
    /// What it was.
    before: u8,
    /// Why.
    reasons: Vec<String>,
}

/// Both, by path.
pub(super) fn documents(ladders: &Ladders, around: &Around, now: SystemTime) -> [(&'static str, Document); 2] {
    let server = ladders.server();
    let spaces: Vec<StatusSpace> = around
        .registry
        .listed()
        .into_iter()
        .filter_map(|view| {
            let ladder = view.ladder?;
            let shown = (view.state, view.listeners);
            Some(StatusSpace { id: view.id, title: view.title, state: shown.0, listeners: shown.1, ladder })
        })
        .take(SPACES_MAX)
        .collect();
    let is_shown = |line: &Line| {
        matches!(line.what, What::Level { .. })
            && line.space.as_ref().is_none_or(|space| spaces.iter().any(|shown| shown.id == *space))
    };
    let lines = ladders.history(CHANGES_MAX, is_shown);
    let page = page(around, server, &spaces, &lines);
    let changes = lines.into_iter().filter_map(|Line { at_ms, space, what }| match what {
        What::Level { level, before, reasons } => {
            Some(ChangeView { at: rfc3339(moment(at_ms)), space, level, before, reasons })
        }
        What::Order { .. } => None,
    });
    let view = StatusView {
        as_of: rfc3339(now),
        age_s: AGE,
        server: server.map(LadderView::of),
        spaces,
        changes: changes.collect(),
    };
    let table = serde_json::to_string(&view).unwrap_or_default();
    // A number, once it is filled in.
    let table = table.replacen(&format!("\"{AGE}\""), AGE, 1);
    let document = |mime: &str, policy: Option<&str>, body: String| Document {
        mime: mime.into(),
        etag: String::from("\"\""),
        cache: CACHE.into(),
        policy: policy.map(Into::into),
        body: Bytes::from(body),
        brotli: None,
        as_of_ms: Some(ms(now)),
    };
    [
        (PAGE, document("text/html; charset=utf-8", Some(POLICY), page)),
        (TABLE, document("application/json", None, table)),
    ]
}

fn page(around: &Around, server: Option<Rung>, spaces: &[StatusSpace], lines: &[Line]) -> String {
    let (tally, figures) = (around.registry.tally(), around.studio.figures());
    let mut body = String::new();
    for language in [Language::Arabic, Language::English] {
        let say = |key: &str| language.say(key, &[]);
        let (code, direction) = (language.code(), language.direction());
        let well = match tally.paused {
            0 => say("status-well"),
            spaces => language.say("status-paused", &[("spaces", Word::Number(spaces))]),
        };
        let _ =
            write!(body, "<section lang=\"{code}\" dir=\"{direction}\"><h1>{}</h1><p>{well}</p>", say("status-title"));
        for title in notices(&around.disk, language) {
            let _ = write!(body, "<p>{title}</p>");
        }
        let _ = write!(
            body,
            "<p><small>{}</small></p><p class=\"away\" role=\"status\">{}</p>",
            language.say("status-age", &[("age", Word::Text(AGE))]),
            say("status-away")
        );
        if let Some(server) = server {
            let _ = write!(
                body,
                "<p class=\"level\"><strong>{}</strong> {} <small>{}</small></p>",
                level_words(language, server.level as u8),
                server.words(language),
                since(language, server.since)
            );
        }
        body.push_str("<dl>");
        for (key, value) in [
            ("status-live", tally.live as u64),
            ("status-listeners", tally.listeners),
            ("status-speakers", tally.speakers as u64),
            ("status-beats", figures.missed),
        ] {
            let _ = write!(body, "<dt>{}</dt><dd>{value}</dd>", say(key));
        }
        body.push_str("</dl>");
        if !spaces.is_empty() {
            let _ = write!(body, "<h2>{}</h2><ul>", say("status-spaces"));
            for space in spaces {
                let _ = write!(
                    body,
                    "<li><a href=\"/s/{}\"><bdi>{}</bdi></a>: {} {}</li>",
                    space.id,
                    escaped(&space.title),
                    level_words(language, space.ladder.level),
                    space.ladder.says.get(code).map_or("", String::as_str)
                );
            }
            body.push_str("</ul>");
        }
        let _ = write!(body, "<h2>{}</h2>", say("status-changes"));
        if lines.is_empty() {
            let _ = write!(body, "<p>{}</p>", say("status-no-changes"));
        } else {
            body.push_str("<ol>");
            lines.iter().for_each(|line| change(&mut body, language, line, spaces));
            body.push_str("</ol>");
        }
        body.push_str("</section>");
    }
    format!(
        "<!doctype html><html lang=\"ar\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Hiwar · حوار</title>\
         <style>{STYLE}</style></head><body class=\"{AGE_IS}\">{body}</body></html>"
    )
}

fn change(body: &mut String, language: Language, line: &Line, spaces: &[StatusSpace]) {
    let What::Level { level, before, reasons } = &line.what else { return };
    let title = |id: &String| {
        let title = spaces.iter().find(|space| space.id == *id).map_or(id.as_str(), |space| &space.title);
        format!("<bdi>{}</bdi>", escaped(title))
    };
    let place = line.space.as_ref().map_or_else(|| language.say("status-server", &[]), title);
    let reasons: Reasons = reasons.iter().filter_map(|name| Reason::parse(name)).collect();
    let why: Vec<_> =
        reasons.iter().map(|reason| language.say(&format!("ladder-reason-{}", reason.name()), &[])).collect();
    let (from, to) = (before.to_string(), level.to_string());
    let words = language.say("status-change", &[("before", Word::Text(&from)), ("level", Word::Text(&to))]);
    let _ = write!(body, "<li><bdi>{}</bdi> {place}: {words}", clock(moment(line.at_ms)));
    if !why.is_empty() {
        let why = why.join(language.semicolon());
        let _ = write!(body, " {}", language.say("ladder-why", &[("reasons", Word::Text(&why))]));
    }
    body.push_str("</li>");
}

fn level_words(language: Language, level: u8) -> String {
    language.say("status-level", &[("level", Word::Text(&level.to_string()))])
}

fn since(language: Language, since: SystemTime) -> String {
    language.say("status-since", &[("time", Word::Text(&clock(since)))])
}

/// The day and the minute, in UTC: who reads it may be anywhere.
fn clock(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    format!("{:02}-{:02} {:02}:{:02} UTC", u8::from(time.month()), time.day(), time.hour(), time.minute())
}
