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
