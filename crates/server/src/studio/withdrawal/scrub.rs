//! Events without somebody: who was on stage, and what is said of them inside the sound.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_media::chunk::Chunk;
use hiwar_media::package::emsg;
use hiwar_media::package::fmp4::{self, Fragment};
use hiwar_segment_log::disk::{self, Reader};
use hiwar_segment_log::{Kind, Position};
use serde_json::Value;

use crate::studio::airing;

/// Ids of a chunk's events begin at its index times this, as live.
const IDS_PER_CHUNK: u32 = 32;

/// Members of events whose words are ours, or the conversation's, whatever somebody is called.
const OURS: [&str; 5] = ["t", "title", "lang", "state", "recording"];

/// A name that is shorter is looked for as a word: one letter is in everything. A longer one anywhere, as Arabic writes "and", "of" and "to" into the word.
const SHORT_CHARS: usize = 3;

/// Who is to leave no trace.
#[derive(Debug, Default)]
pub(super) struct Gone {
    pub(super) ids: BTreeSet<String>,
    /// What they were called.
    pub(super) names: BTreeSet<String>,
}

impl Gone {
    /// Whether something says who it was: their id, or their name and nothing else.
    fn is_meant(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.ids.contains(text) || self.names.contains(text.trim()),
            Value::Array(values) => values.iter().any(|value| self.is_meant(value)),
            // Somebody else may have the same name.
            Value::Object(members) => match members.get("id") {
                Some(Value::String(id)) => self.ids.contains(id),
                _ => members.values().any(|value| self.is_meant(value)),
            },
            _ => false,
        }
    }

    /// Whether their name, or id, is anywhere in it.
    fn is_in(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.ids.iter().chain(&self.names).any(|word| says(text, word)),
            Value::Array(values) => values.iter().any(|value| self.is_in(value)),
            Value::Object(members) => {
                members.iter().any(|(name, value)| !OURS.contains(&name.as_str()) && self.is_in(value))
            }
            _ => false,
        }
    }
}

/// Whether a text has a name in it.
fn says(text: &str, name: &str) -> bool {
    let is_apart = |at: usize| {
        let is_letter = |c: char| c.is_alphanumeric();
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        !before.chars().next_back().is_some_and(is_letter) && !after.chars().next().is_some_and(is_letter)
    };
    let is_short = name.chars().count() < SHORT_CHARS;
    text.match_indices(name).any(|(at, _)| !is_short || is_apart(at))
}

/// Everybody who was on stage: ids, and the names that each had. `read` is told of every record's bytes.
pub(super) fn stage(
    log: &Reader,
    mut read: impl FnMut(u64),
) -> Result<BTreeMap<String, BTreeSet<String>>, disk::Error> {
    let mut there: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for record in log.records(Position(0))?.filter_map(Result::ok) {
        read(record.encoded_len() as u64);
        let Some(part) = record.part(airing::PART_MP4).filter(|_| record.kind == Kind::Chunk) else { continue };
        let Ok(fragment) = fmp4::frames(&part) else { continue };
        for event in fragment.events() {
            let Ok(event) = serde_json::from_slice::<Value>(event.payload) else { continue };
            for speaker in event["speakers"].as_array().into_iter().flatten() {
                let Some(id) = speaker["id"].as_str() else { continue };
                let names = there.entry(id.to_owned()).or_default();
                // One that is empty would be everywhere.
                let name = speaker["name"].as_str().map(str::trim).filter(|name| !name.is_empty());
                names.extend(name.map(str::to_owned));
            }
        }
    }
    Ok(there)
}

/// The MP4 part of a chunk that was mixed again, with what the old one said beside who speaks; that the new sound knows itself.
pub(super) fn events(new: &Chunk, old: &Fragment<'_>, gone: &Gone) -> Vec<u8> {
    let Ok(fragment) = fmp4::frames(&new.mp4) else { return new.mp4.clone() };
    let sound = &new.mp4[fragment.event_boxes().len()..];
    let kept =
        old.events().filter_map(|event| Some((event.time, place(event.payload)?, without(event.payload, gone)?)));
    let spoken = fragment.events().map(|event| (event.time, Place::Speaking, event.payload.to_vec()));
    let mut events: Vec<_> = kept.chain(spoken).collect();
    // In the order in which a programme writes what is due with one beat.
    events.sort_by_key(|(time, place, _)| (*time, *place));
    let mut out = Vec::with_capacity(new.mp4.len() + old.event_boxes().len());
    let first = (new.index as u32).wrapping_mul(IDS_PER_CHUNK);
    for ((time, _, payload), n) in events.iter().zip(0..IDS_PER_CHUNK) {
        // None is longer than it was.
        let _ = emsg::write(&mut out, *time, first.wrapping_add(n), payload);
    }
    out.extend_from_slice(sound);
    out
}

/// Where an event stands among those of its beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Standing,
    Speaking,
    Told,
}

/// `None`: who speaks, which is found anew.
fn place(event: &[u8]) -> Option<Place> {
    match serde_json::from_slice::<Value>(event).ok().as_ref().and_then(|event| event["t"].as_str()) {
        Some("speaking") => None,
        Some("stage") => Some(Place::Standing),
        _ => Some(Place::Told),
    }
}

/// What stays of an event; `None` if nothing does. One that says nothing of them stays as it is, to the byte.
fn without(event: &[u8], gone: &Gone) -> Option<Vec<u8>> {
    let Ok(mut read) = serde_json::from_slice::<Value>(event) else {
        // Not of ours; and if a name is in it, it goes.
        let text = String::from_utf8_lossy(event);
        return (!gone.is_in(&Value::String(text.into_owned()))).then(|| event.to_vec());
    };
    if read["t"] != "stage" {
        return (!gone.is_in(&read)).then(|| event.to_vec());
    }
    let members = read.as_object_mut()?;
    let mut changed = false;
    for (_, value) in members.iter_mut() {
        if let Value::Array(people) = value {
            let before = people.len();
            people.retain(|person| !gone.is_meant(person));
            changed |= people.len() < before;
        }
    }
    let before = members.len();
    // A list that was cleared of them stays; a text that says their name does not.
    members.retain(|name, value| {
        let says_who = if value.is_string() { gone.is_in(value) } else { gone.is_meant(value) };
        OURS.contains(&name.as_str()) || !says_who
    });
    changed |= members.len() < before;
    Some(if changed { read.to_string().into_bytes() } else { event.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone() -> Gone {
        Gone { ids: ["p7".to_owned()].into(), names: ["ليلى".to_owned()].into() }
    }

    #[test]
    fn a_stage_is_told_without_who_is_gone_and_a_title_stays() {
        let check = |event: &str, left: Option<&str>| {
            let without = without(event.as_bytes(), &gone()).map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(without.as_deref(), left);
        };
        check(
            r#"{"t":"stage","speakers":[{"id":"p7","name":"ليلى"},{"id":"p8","name":"Noor"}],"title":"ليلى"}"#,
            Some(r#"{"speakers":[{"id":"p8","name":"Noor"}],"t":"stage","title":"ليلى"}"#),
        );
        check(
            r#"{"t":"stage","hands":["p7","p9"],"host":"p7","speakers":[]}"#,
            Some(r#"{"hands":["p9"],"speakers":[],"t":"stage"}"#),
        );
        // Not one byte of what says nothing of them is another.
        let other = r#"{"t": "stage", "speakers":[{"id":"p8","name":"Noor"}],"title":"p7"}"#;
        check(other, Some(other));
        check(r#"{"t":"notice","text":"ليلى has come"}"#, None);
        check(r#"{"t":"ended"}"#, Some(r#"{"t":"ended"}"#));
        check(
            r#"{"t":"stage","speakers":[{"id":"p9","name":"ليلى"}]}"#,
            Some(r#"{"t":"stage","speakers":[{"id":"p9","name":"ليلى"}]}"#),
        );
        check("not JSON, of p7", None);
        check("not JSON", Some("not JSON"));
        check(r#"{"t":"stage","words":"with ليلى"}"#, Some(r#"{"t":"stage"}"#));
        check(r#"{"t":"notice","text":"وليلى"}"#, None);
    }

    #[test]
    fn whoever_is_called_as_something_else_is_takes_nothing_else_away() {
        let gone = Gone { ids: ["p7".to_owned()].into(), names: ["e".to_owned(), "live".to_owned()].into() };
        let stays = |event: &str| assert_eq!(without(event.as_bytes(), &gone).as_deref(), Some(event.as_bytes()));
        stays(r#"{"t":"ended"}"#);
        stays(r#"{"t":"stage","speakers":[],"state":"live","title":"e"}"#);
        stays(r#"{"t":"notice","text":"be kind"}"#);
        for event in [r#"{"t":"notice","text":"e, come!"}"#, r#"{"t":"notice","text":"ask e"}"#] {
            assert_eq!(without(event.as_bytes(), &gone), None);
        }
    }
}
