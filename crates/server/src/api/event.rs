//! The events that travel inside the sound, as docs/formats/event.md describes them: UTF-8 JSON.

use serde_json::{Value, json};

use crate::registry::{SpaceView, SpeakerView, reactions};
use crate::studio::Rates;

/// Somebody is heard from here on. `participant` is an id, so the event is short and says no name.
pub fn speaking_event(participant: &str) -> Vec<u8> {
    json!({ "t": "speaking", "id": participant }).to_string().into_bytes()
}

/// How the stage stands; repeated every two seconds for those who join late.
pub fn stage_event(view: &SpaceView) -> Vec<u8> {
    let mut stage = json!({
        "t": "stage",
        "title": view.title,
        "lang": view.language,
        "speakers": view.speakers.iter().map(speaker).collect::<Vec<_>>(),
        "state": view.state,
        "recording": view.recording,
    });
    // What is mostly so is not said: it travels every two seconds to everybody.
    if view.asking == "everybody" {
        stage["asks"] = view.asks.into();
    }
    if let Some(starts) = view.starts_at.as_ref().filter(|_| view.state == "open") {
        stage["starts_at"] = starts.as_str().into();
        if view.awaits_host {
            stage["awaits_host"] = true.into();
        }
    }
    if let Some(ladder) = view.ladder.as_ref().filter(|ladder| ladder.level > 0) {
        stage["level"] = ladder.level.into();
    }
    stage.to_string().into_bytes()
}

fn speaker(who: &SpeakerView) -> Value {
    let mut speaker = json!({ "id": who.id, "name": who.name });
    if who.role != "speaker" {
        speaker["role"] = who.role.into();
    }
    if who.muted {
        speaker["muted"] = true.into();
    }
    speaker
}

/// A seat on the stage is offered to somebody who listens.
pub fn called_event(participant: &str) -> Vec<u8> {
    json!({ "t": "called", "id": participant }).to_string().into_bytes()
}

/// How listeners reacted in the last second.
pub fn reactions_event(rates: &Rates) -> Vec<u8> {
    json!({ "t": "reactions", "rates": reactions(rates) }).to_string().into_bytes()
}

/// It begins at another time. Told once: whoever comes later reads it on the page.
pub fn postponed_event(view: &SpaceView) -> Vec<u8> {
    let reason = view.postponed.as_ref().and_then(|postponed| postponed.reason.as_deref());
    json!({ "t": "postponed", "starts_at": view.starts_at, "reason": reason }).to_string().into_bytes()
}

/// The conversation does not take place; no more sound follows.
pub fn cancelled_event(reason: Option<&str>) -> Vec<u8> {
    json!({ "t": "cancelled", "reason": reason }).to_string().into_bytes()
}

/// The conversation is over; no more sound follows.
pub fn ended_event() -> Vec<u8> {
    json!({ "t": "ended" }).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::AskedBy;
    use crate::registry::{CrowdView, Links, PostponedView};
    use crate::studio::Numbers;

    /// What one event may have (docs/formats/event.md).
    const EVENT_BYTES_MAX: usize = 6_144;

    #[test]
    fn reactions_are_told_by_name_and_none_by_none() {
        let told = |rates| String::from_utf8(reactions_event(&rates)).expect("UTF-8");
        assert_eq!(told([0, 12, 0, 0, 1]), r#"{"rates":{"agree":1,"applause":12},"t":"reactions"}"#);
        assert_eq!(told([0; 5]), r#"{"rates":{},"t":"reactions"}"#);
        assert!(reactions_event(&[u32::MAX; 5]).len() <= EVENT_BYTES_MAX);
    }

    #[test]
    fn the_pages_have_the_same_reactions_in_the_same_order() {
        let pages = include_str!("../../../../web/src/react/kinds.ts");
        let mut rest = pages;
        for reaction in hiwar_admission::reaction::Reaction::ALL {
            let name = format!("kind: \"{}\"", reaction.name());
            let at = rest.find(&name).unwrap_or_else(|| panic!("no {name} where it should be"));
            rest = &rest[at + name.len()..];
        }
        assert_eq!(pages.matches("kind: \"").count(), hiwar_admission::reaction::Reaction::ALL.len());
    }

    #[test]
    fn the_fullest_stage_fits_one_event() {
        let links = Links { mp4: String::new(), ogg: String::new(), mp3: String::new(), hls: String::new() };
        let name = "\"".repeat(64);
        let speaker = SpeakerView { id: "p".repeat(16), name, role: "co-host", muted: true, speaking: true };
        let view = SpaceView {
            id: "demo".into(),
            title: "🎙".repeat(hiwar_space::Title::CHARS_MAX),
            state: "open",
            audience: "unlisted",
            language: Some("a".repeat(35)),
            created_at: String::new(),
            starts_at: Some("2026-11-27T20:00:00Z".into()),
            doors_at: Some("2026-11-27T19:50:00Z".into()),
            begins: Some("by-itself"),
            awaits_host: true,
            postponed: Some(PostponedView { from: None, reason: Some("\"".repeat(hiwar_space::Reason::CHARS_MAX)) }),
            cancelled_at: None,
            cancel_reason: None,
            started_at: None,
            ended_at: None,
            listen: links,
            page: String::new(),
            replay: None,
            speakers: vec![speaker; hiwar_space::SPEAKERS_MAX + hiwar_space::CO_HOSTS_MAX + 1],
            asking: "everybody",
            asks: hiwar_space::HANDS_MAX,
            locked: true,
            listeners: u32::MAX,
            crowd: CrowdView::new(&Numbers::default(), AskedBy::Players),
            ladder: Some(crate::registry::LadderView::of(crate::ladder::Rung {
                level: hiwar_admission::ladder::Level::Capped,
                reasons: Default::default(),
                since: std::time::UNIX_EPOCH,
            })),
            reactions: Default::default(),
            recording: "paused",
            posting: "at_once",
            removed_at: None,
        };
        assert!(postponed_event(&view).len() <= EVENT_BYTES_MAX);
        let event = stage_event(&view);
        assert!(event.len() <= EVENT_BYTES_MAX, "{}", event.len());
        let read: serde_json::Value = serde_json::from_slice(&event).expect("JSON");
        assert_eq!(read["speakers"][25]["name"], "\"".repeat(64));
    }
}
