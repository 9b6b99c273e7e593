//! Chapters of a recording: who has the word from when on, by the events in its sound. Pure.
//!
//! A chapter is a turn. Who says a little while somebody else has the word ([`TURN`]) does not take it; and nobody's silence ends a turn, so a chapter goes on
//! until the next begins. What is missing from the recording is nobody's speech.

use std::collections::HashMap;
use std::time::Duration;

use hiwar_media::replay::{CHAPTERS_MAX, Chapter, Measured};
use hiwar_media::{SAMPLE_RATE, Time};
use serde::{Deserialize, Serialize};

/// Who speaks this long takes the word. A nod, a laugh, "yes, exactly" last one to three seconds; a question that turns a conversation takes a dozen words, and
/// people say 150 a minute.
const TURN: Duration = Duration::from_secs(5);
/// Different speakers whose names are remembered: two hundred full stages. The turns of later ones have no names, and are none.
const PEOPLE_MAX: usize = 4_096;

/// The turns of a recording, as its parts come.
#[derive(Debug, Default)]
pub struct Turns {
    /// By id.
    people: HashMap<String, Person>,
    /// Who is heard now.
    speaking: Option<String>,
    /// Each speaker is another than the one before.
    turns: Vec<Turn>,
    /// Who may be about to take the word.
    rising: Vec<Rising>,
}

#[derive(Debug, Default)]
struct Person {
    name: String,
    /// Samples in all.
    said: u64,
}

#[derive(Debug, Clone)]
struct Turn {
    begin: u64,
    speaker: String,
}

#[derive(Debug)]
struct Rising {
    begin: u64,
    speaker: String,
    /// Samples since then, of this speaker and of others.
    said: u64,
    others: u64,
}

/// What the events say that matters here (docs/formats/event.md).
#[derive(Deserialize)]
#[serde(tag = "t", rename_all = "lowercase")]
enum Event {
    Stage {
        speakers: Vec<Named>,
    },
    Speaking {
        id: Option<String>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    name: String,
}

impl Turns {
    /// The next part of the recording.
    pub fn hear(&mut self, part: &Measured<'_>) {
        self.take(part.begin, part.samples(), part.events());
    }

    /// A part before the recording begins: who speaks then may be speaking when it does.
    pub fn overhear(&mut self, part: &Measured<'_>) {
        self.take(part.begin, 0, part.events());
    }

    fn take<'e>(&mut self, begin: Time, samples: u32, events: impl Iterator<Item = (Time, &'e [u8])>) {
        let (mut at, end) = (begin.0, begin.0 + u64::from(samples));
        for (due, event) in events {
            match serde_json::from_slice(event) {
                Ok(Event::Speaking { id }) => {
                    let due = due.0.clamp(at, end);
                    self.say(at, due - at);
                    (at, self.speaking) = (due, id);
                }
                Ok(Event::Stage { speakers }) => speakers.into_iter().for_each(|named| self.meet(named)),
                Ok(Event::Other) | Err(_) => {}
            }
        }
        self.say(at, end - at);
    }

    fn meet(&mut self, Named { id, name }: Named) {
        if self.people.len() < PEOPLE_MAX || self.people.contains_key(&id) {
            self.people.entry(id).or_default().name = name;
        }
    }

    /// Whoever speaks spoke on from `at` for so many samples.
    fn say(&mut self, at: u64, samples: u64) {
        let Some(speaker) = self.speaking.clone().filter(|_| samples > 0) else { return };
        let Some(person) = self.people.get_mut(&speaker) else { return };
        person.said += samples;
        // Whoever was interrupted by more than they had said begins anew.
        self.rising.retain_mut(|rising| {
            rising.others += if rising.speaker == speaker { 0 } else { samples };
            rising.others <= rising.said
        });
        if self.turns.last().is_some_and(|turn| turn.speaker == speaker) {
            return;
        }
        let known = self.rising.iter().position(|rising| rising.speaker == speaker);
        let known = known.unwrap_or_else(|| {
            self.rising.push(Rising { begin: at, speaker, said: 0, others: 0 });
            self.rising.len() - 1
        });
        self.rising[known].said += samples;
        if self.rising[known].said >= samples_of(TURN) {
            let Rising { begin, speaker, .. } = self.rising.swap_remove(known);
            self.rising.clear();
            self.turns.push(Turn { begin, speaker });
        }
    }

    /// The chapters of a recording that ends after so many samples. None if nobody is known to have spoken.
    #[must_use]
    pub fn finish(mut self, samples: u64) -> Chapters {
        if self.turns.is_empty() {
            // Nobody spoke for long: whoever spoke most. The same in every reading: of equals, the lesser id.
            let most = self.people.iter().filter(|(_, person)| person.said > 0);
            let most = most.max_by(|(a, one), (b, other)| one.said.cmp(&other.said).then(b.cmp(a)));
            self.turns.extend(most.map(|(id, _)| Turn { begin: 0, speaker: id.clone() }));
        }
        if let Some(first) = self.turns.first_mut() {
            // What is before the first word belongs to it.
            first.begin = 0;
        }
        while let more @ 1.. = self.turns.len().saturating_sub(CHAPTERS_MAX) {
            // With a turn often goes the one after it, which is of the speaker before: half at a time does not take too many.
            self.turns = merged(self.turns, samples, more.div_ceil(2));
        }
        let ends: Vec<u64> = self.turns.iter().skip(1).map(|turn| turn.begin).chain([samples]).collect();
        let chapters = self.turns.into_iter().zip(ends).map(|(Turn { begin, speaker }, end)| {
            let name = self.people.get(&speaker).map(|person| person.name.clone()).filter(|name| !name.is_empty());
            Spoken { start: seconds(begin), end: seconds(end), title: name.unwrap_or(speaker.clone()), speaker }
        });
        Chapters(chapters.collect())
    }
}

/// The turns without the `count` shortest: they belong to the one before.
fn merged(turns: Vec<Turn>, samples: u64, count: usize) -> Vec<Turn> {
    let ends = turns.iter().skip(1).map(|turn| turn.begin).chain([samples]);
    // What the first is before is the beginning of all.
    let mut by_length: Vec<_> =
        turns.iter().zip(ends).enumerate().skip(1).map(|(n, (t, end))| (end - t.begin, n)).collect();
    by_length.sort_unstable();
    by_length.truncate(count);
    let mut goes: Vec<_> = by_length.into_iter().map(|(_, n)| n).collect();
    goes.sort_unstable();
    let mut goes = goes.into_iter().peekable();
    let mut merged: Vec<Turn> = Vec::new();
    for (n, turn) in turns.into_iter().enumerate() {
        let stays = goes.next_if_eq(&n).is_none();
        if stays && merged.last().is_none_or(|last| last.speaker != turn.speaker) {
            merged.push(turn);
        }
    }
    merged
}

/// The chapters of a recording, in order, without a gap from its beginning to its end.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Chapters(Vec<Spoken>);

/// One chapter, as docs/formats/chapters.md says.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Spoken {
    #[serde(rename = "startTime")]
    start: f64,
    #[serde(rename = "endTime")]
    end: f64,
    title: String,
    speaker: String,
}

/// The file.
#[derive(Serialize)]
struct Written<'a> {
    version: &'static str,
    title: &'a str,
    chapters: &'a [Spoken],
}

impl Chapters {
    /// As the files of the recording list them.
    #[must_use]
    pub fn labels(&self) -> Vec<Chapter> {
        let begin = |chapter: &Spoken| Time((chapter.start * f64::from(SAMPLE_RATE)).round() as u64);
        self.0.iter().map(|chapter| Chapter { begin: begin(chapter), title: chapter.title.clone() }).collect()
    }

    /// `chapters.json` of a recording of that title.
    #[must_use]
    pub fn json(&self, title: &str) -> Vec<u8> {
        let written = Written { version: "1.2.0", title, chapters: &self.0 };
        serde_json::to_vec(&written).expect("strings and numbers are JSON")
    }
}

fn samples_of(time: Duration) -> u64 {
    time.as_secs() * u64::from(SAMPLE_RATE)
}

/// To the millisecond, in which players think.
fn seconds(samples: u64) -> f64 {
    (samples * 1_000 / u64::from(SAMPLE_RATE)) as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a recording sounds like in which these spoke for so many tenths of a second, one after the other; `-` is nobody.
    fn heard(script: &[(&str, u64)]) -> Chapters {
        let mut turns = Turns::default();
        let mut at = 0;
        let stage = br#"{"t":"stage","title":"x","speakers":[{"id":"a","name":"Amal"},{"id":"b","name":"Badr"},{"id":"c","name":""}]}"#;
        turns.take(Time(0), 0, [(Time(0), &stage[..])].into_iter());
        for &(speaker, tenths) in script {
            let event = match speaker {
                "-" => r#"{"t":"speaking","id":null}"#.to_owned(),
                id => format!(r#"{{"t":"speaking","id":"{id}"}}"#),
            };
            for n in 0..tenths {
                let told = (n % 20 == 0).then_some((Time(at), event.as_bytes()));
                turns.take(Time(at), 4_800, told.into_iter());
                at += 4_800;
            }
        }
        turns.finish(at)
    }

    fn check(script: &[(&str, u64)], expected: &[(f64, f64, &str)]) {
        let chapters = heard(script).0;
        let found: Vec<_> = chapters.iter().map(|c| (c.start, c.end, &*c.title)).collect();
        assert_eq!(found, expected, "{script:?}");
    }

    #[test]
    fn a_turn_is_a_chapter_and_begins_with_its_first_word() {
        check(
            &[("a", 300), ("b", 200), ("a", 100)],
            &[(0.0, 30.0, "Amal"), (30.0, 50.0, "Badr"), (50.0, 60.0, "Amal")],
        );
        // Silence ends nothing; what is before the first word belongs to it.
        check(
            &[("-", 50), ("a", 300), ("-", 100), ("a", 50), ("-", 20), ("b", 60), ("-", 10)],
            &[(0.0, 52.0, "Amal"), (52.0, 59.0, "Badr")],
        );
    }

    #[test]
    fn an_interjection_belongs_to_the_turn_around_it() {
        check(&[("a", 300), ("b", 49), ("a", 300)], &[(0.0, 64.9, "Amal")]);
        check(&[("a", 300), ("b", 50), ("a", 300)], &[(0.0, 30.0, "Amal"), (30.0, 35.0, "Badr"), (35.0, 65.0, "Amal")]);
        // Whoever is interrupted at the beginning of their turn has begun it all the same, unless they gave way.
        check(&[("a", 300), ("b", 40), ("a", 8), ("b", 40), ("a", 10)], &[(0.0, 30.0, "Amal"), (30.0, 39.8, "Badr")]);
        check(&[("a", 300), ("b", 30), ("a", 100), ("b", 60)], &[(0.0, 43.0, "Amal"), (43.0, 49.0, "Badr")]);
        // Two who take turns at interrupting.
        check(&[("a", 300), ("b", 30), ("c", 40), ("b", 30), ("c", 40)], &[(0.0, 33.0, "Amal"), (33.0, 44.0, "c")]);
    }

    #[test]
    fn where_nobody_speaks_for_long_it_is_who_speaks_most() {
        check(&[("a", 20), ("b", 30), ("a", 20)], &[(0.0, 7.0, "Amal")]);
        check(&[("-", 70)], &[]);
        check(&[("nobody-we-know", 70)], &[]);
        check(&[], &[]);
    }

    #[test]
    fn what_is_missing_is_nobodys_speech() {
        let mut turns = Turns::default();
        let stage = br#"{"t":"stage","speakers":[{"id":"a","name":"Amal"},{"id":"b","name":"Badr"}]}"#;
        let said = |id: &str| format!(r#"{{"t":"speaking","id":"{id}"}}"#);
        let (a, b) = (said("a"), said("b"));
        turns.take(Time(0), 480_000, [(Time(0), &stage[..]), (Time(0), a.as_bytes())].into_iter());
        turns.take(Time(480_000), 9_600, [(Time(480_000), b.as_bytes())].into_iter());
        // Ten minutes later.
        turns.take(Time(480_000 + 28_800_000), 9_600, [(Time(29_284_800), a.as_bytes())].into_iter());
        assert_eq!(turns.finish(29_289_600).0.len(), 1);
    }

    #[test]
    fn hours_of_debate_have_no_more_chapters_than_may_be() {
        let lively: Vec<_> = (0..2_000).map(|n| if n % 2 == 0 { ("a", 60 + n % 50) } else { ("b", 60) }).collect();
        let chapters = heard(&lively).0;
        assert!((CHAPTERS_MAX - 1..=CHAPTERS_MAX).contains(&chapters.len()), "{}", chapters.len());
        assert_eq!(chapters[0].start, 0.0);
        assert!(chapters.windows(2).all(|two| two[0].end == two[1].start && two[0].speaker != two[1].speaker));
        // A speech among them has its own.
        let mut with_a_speech = lively.clone();
        with_a_speech.insert(1_000, ("c", 3_000));
        assert!(heard(&with_a_speech).0.iter().any(|chapter| chapter.speaker == "c"));
    }

    #[test]
    fn the_file_is_a_podcasts() {
        let chapters = heard(&[("a", 61), ("c", 62)]);
        let read: serde_json::Value = serde_json::from_slice(&chapters.json("حوار")).unwrap();
        let expected = serde_json::json!({ "version": "1.2.0", "title": "حوار", "chapters": [
            { "startTime": 0.0, "endTime": 6.1, "title": "Amal", "speaker": "a" },
            { "startTime": 6.1, "endTime": 12.3, "title": "c", "speaker": "c" },
        ] });
        assert_eq!(read, expected);
        assert_eq!(chapters.labels()[1], Chapter { begin: Time(6_100 * 48), title: "c".into() });
    }

    #[test]
    fn events_of_other_kinds_and_no_events_at_all_are_passed_over() {
        let mut turns = Turns::default();
        for event in ["", "{", r#"{"t":"ended"}"#, r#"{"t":"stage"}"#, r#"{"t":"speaking","id":7}"#, "\u{0}", "[]"] {
            turns.take(Time(0), 9_600, [(Time(u64::MAX), event.as_bytes())].into_iter());
        }
        assert_eq!(turns.finish(67_200), Chapters::default());
    }
}
