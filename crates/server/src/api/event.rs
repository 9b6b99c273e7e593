//! The events that travel inside the sound, as docs/formats/event.md describes them: UTF-8 JSON.

use serde_json::json;

use crate::registry::SpaceView;

/// Somebody is heard from here on. `participant` is an id, so the event is short and says no name.
pub fn speaking_event(participant: &str) -> Vec<u8> {
    json!({ "t": "speaking", "id": participant }).to_string().into_bytes()
}

/// How the stage stands; repeated every two seconds for those who join late.
pub fn stage_event(view: &SpaceView) -> Vec<u8> {
    let speakers: Vec<_> =
        view.speakers.iter().map(|who| json!({ "id": who.id, "name": who.name, "muted": false })).collect();
    let stage = json!({
        "t": "stage",
        "title": view.title,
        "lang": view.language,
        "speakers": speakers,
        "state": view.state,
        "recording": view.recording,
    });
    stage.to_string().into_bytes()
}

/// The conversation is over; no more sound follows.
pub fn ended_event() -> Vec<u8> {
    json!({ "t": "ended" }).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::AskedBy;
    use crate::registry::{CrowdView, Links, SpeakerView};
    use crate::studio::Numbers;

    /// What one event may have (docs/formats/event.md).
    const EVENT_BYTES_MAX: usize = 6_144;

    #[test]
    fn the_fullest_stage_fits_one_event() {
        let links = Links { mp4: String::new(), ogg: String::new(), mp3: String::new(), hls: String::new() };
        let speaker = SpeakerView { id: "p".repeat(16), name: "\"".repeat(64), speaking: true };
        let view = SpaceView {
            id: "demo".into(),
            title: "🎙".repeat(hiwar_space::Title::CHARS_MAX),
            state: "scheduled",
            audience: "unlisted",
            language: Some("a".repeat(35)),
            created_at: String::new(),
            started_at: None,
            ended_at: None,
            listen: links,
            page: String::new(),
            replay: None,
            speakers: vec![speaker; hiwar_space::SPEAKERS_MAX],
            listeners: u32::MAX,
            crowd: CrowdView::new(&Numbers::default(), AskedBy::Players),
            recording: "paused",
            removed_at: None,
        };
        let event = stage_event(&view);
        assert!(event.len() <= EVENT_BYTES_MAX, "{}", event.len());
        let read: serde_json::Value = serde_json::from_slice(&event).expect("JSON");
        assert_eq!(read["speakers"][19]["name"], "\"".repeat(64));
    }
}
