//! A space's facts on disk: `DATA/spaces/{id}/space.json`, replaced as a whole (beside, fsync, rename, fsync).

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hiwar_space::{
    Asking, Audience, Beginning, Facts, Id, Language, Name, Participant, ParticipantId, People, Phase, Posting,
    Postponement, Reason, Recording, Replay, Role, Schedule, Standing, Stretch, Title,
};
use serde::{Deserialize, Serialize};

use super::Terms;
use crate::studio::{Clips, Keep};

/// Longest file looked at: 512 people with the longest names are some 140 kB.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// The newest version. A file of a later one is left alone.
const VERSION: u32 = 3;
/// What is written of a space that is posted at once and as a whole: it means the same to a program that does not know version 3.
const VERSION_WITHOUT_REVIEW: u32 = 2;

/// The file, field by field; times in milliseconds since 1970. What came with versions 2 and 3 is absent in files of those before.
#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    id: String,
    title: String,
    language: Option<String>,
    audience: String,
    created_ms: u64,
    /// Whether its doors are open though it has not started; version 1 knew no doors that are shut.
    #[serde(default = "yes")]
    open: bool,
    started_ms: Option<u64>,
    ended_ms: Option<u64>,
    #[serde(default)]
    cancelled: Option<SavedCancellation>,
    #[serde(default)]
    schedule: Option<SavedSchedule>,
    recording: String,
    replay_ms: Option<u64>,
    replay_lufs: Option<f32>,
    /// When it is posted: `at_once`, `after_review` or `reviewed`.
    #[serde(default = "at_once")]
    posting: String,
    /// What is kept of it, if not all.
    #[serde(default)]
    trim: Option<SavedStretch>,
    /// When the house removed the recording.
    #[serde(default)]
    removed_ms: Option<u64>,
    /// How long the log of an unrecorded space is kept, in seconds.
    keep_s: Option<u64>,
    /// Whether a track of each speaker is kept beside it.
    #[serde(default)]
    tracks: bool,
    /// Whether clips may be made of its replay.
    #[serde(default = "yes")]
    clips: bool,
    #[serde(default)]
    people: Vec<SavedParticipant>,
    /// Whether everybody may ask for the word.
    #[serde(default = "yes")]
    asking: bool,
    #[serde(default)]
    locked: bool,
}

#[derive(Serialize, Deserialize)]
struct SavedStretch {
    from_ms: u64,
    to_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct SavedCancellation {
    at_ms: u64,
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct SavedSchedule {
    starts_ms: u64,
    doors_before_s: u64,
    by_hand: bool,
    /// That it was to begin at another time, if it was.
    postponed: Option<SavedPostponement>,
}

#[derive(Serialize, Deserialize)]
struct SavedPostponement {
    from_ms: Option<u64>,
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct SavedParticipant {
    id: String,
    name: String,
    role: String,
    standing: String,
    muted: bool,
    agreed: bool,
    #[serde(default = "yes")]
    met: bool,
}

fn yes() -> bool {
    true
}

fn at_once() -> String {
    "at_once".to_owned()
}

/// Writes a space's facts durably. Blocks.
pub(super) fn save(dir: &Path, facts: &Facts, terms: Terms) -> io::Result<()> {
    let place = dir.join(facts.id.as_str());
    if !place.is_dir() {
        fs::create_dir_all(&place)?;
        File::open(dir)?.sync_all()?;
    }
    let text = serde_json::to_vec_pretty(&Saved::of(facts, terms)).map_err(io::Error::other)?;
    replace(&place, "space.json", &text)
}

/// Writes a file durably, as a whole. Blocks.
pub fn replace(place: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let beside = place.join(format!("{name}.new"));
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, place.join(name))?;
    File::open(place)?.sync_all()
}

/// Reads up to `limit` spaces. One that is damaged is named in the log and left as it is. Blocks.
pub(super) fn load(dir: &Path, limit: usize) -> io::Result<Vec<(Facts, Terms)>> {
    fs::create_dir_all(dir)?;
    let mut spaces = Vec::new();
    for place in fs::read_dir(dir)? {
        let place = place?;
        let name = place.file_name();
        let Some(id) = name.to_str().and_then(Id::parse) else { continue };
        match read(&place.path().join("space.json"), &id) {
            Ok(_) if spaces.len() >= limit => {
                tracing::error!(space = %id, "more than {limit} spaces: this one is left alone");
            }
            Ok(space) => spaces.push(space),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => tracing::error!(space = %id, "cannot read space.json: {why}; the space is left alone"),
        }
    }
    Ok(spaces)
}

/// What is known of a space without its house.
#[derive(Debug)]
pub struct Known {
    /// What it is called.
    pub title: Title,
    /// What of its recording is kept, if not all.
    pub trim: Option<Stretch>,
}

/// What is known of the space in the folder `place`, if that folder is one. Blocks.
pub fn known(place: &Path) -> Option<Known> {
    let id = Id::parse(place.file_name()?.to_str()?)?;
    let (Facts { title, trim, .. }, _) = read(&place.join("space.json"), &id).ok()?;
    Some(Known { title, trim })
}

fn read(path: &Path, id: &Id) -> io::Result<(Facts, Terms)> {
    let mut text = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut text)?;
    let saved: Saved = serde_json::from_slice(&text).map_err(io::Error::other)?;
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    if saved.id != id.as_str() {
        return Err(invalid("it is another space's"));
    }
    saved.facts().ok_or_else(|| invalid("a value is not one we know"))
}

impl Saved {
    fn of(facts: &Facts, Terms { keep, clips }: Terms) -> Self {
        let (started, ended) = match facts.phase {
            Phase::Scheduled | Phase::Open | Phase::Cancelled { .. } => (None, None),
            Phase::Live { started } => (Some(started), None),
            Phase::Ended { started, ended } | Phase::Posted { started, ended } => (Some(started), Some(ended)),
        };
        let cancelled = match &facts.phase {
            Phase::Cancelled { cancelled, reason } => {
                Some(SavedCancellation { at_ms: ms(*cancelled), reason: reason.as_ref().map(text) })
            }
            _ => None,
        };
        let (recording, replay) = match facts.recording {
            Recording::Off => ("off", None),
            Recording::On => ("on", None),
            Recording::Paused => ("paused", None),
            Recording::Sealing => ("sealing", None),
            Recording::Unsealed => ("unsealed", None),
            Recording::Review(replay) => ("review", Some(replay)),
            Recording::Replay(replay) => ("replay", Some(replay)),
            Recording::Deleted => ("deleted", None),
            Recording::Expired { .. } => ("expired", None),
        };
        Self {
            // A program that knows no reviews would post all of it to everybody.
            version: match (facts.posting, facts.trim) {
                (Posting::AtOnce, None) => VERSION_WITHOUT_REVIEW,
                _ => VERSION,
            },
            id: facts.id.as_str().to_owned(),
            title: facts.title.as_str().to_owned(),
            language: facts.language.as_ref().map(|language| language.as_str().to_owned()),
            audience: match facts.audience {
                Audience::Public => "public",
                Audience::Unlisted => "unlisted",
                Audience::Invited => "invited",
            }
            .to_owned(),
            created_ms: ms(facts.created),
            open: facts.phase != Phase::Scheduled,
            cancelled,
            schedule: facts.schedule.as_ref().map(SavedSchedule::of),
            started_ms: started.map(ms),
            ended_ms: ended.map(ms),
            recording: recording.to_owned(),
            replay_ms: replay.map(|replay| millis(replay.duration)),
            // JSON has no −∞, which a silent recording's loudness may be.
            replay_lufs: replay.map(|replay| replay.loudness_lufs).filter(|lufs| lufs.is_finite()),
            posting: match facts.posting {
                Posting::AtOnce => at_once(),
                Posting::AfterReview => "after_review".to_owned(),
                Posting::Reviewed => "reviewed".to_owned(),
            },
            trim: facts.trim.map(|Stretch { from, to }| SavedStretch { from_ms: millis(from), to_ms: millis(to) }),
            removed_ms: match facts.recording {
                Recording::Expired { removed } => Some(ms(removed)),
                _ => None,
            },
            keep_s: match keep {
                Keep::All | Keep::AllAndTracks => None,
                Keep::Window(window) => Some(window.as_secs()),
            },
            tracks: keep == Keep::AllAndTracks,
            clips: clips == Clips::Allowed,
            people: facts.people.iter().map(SavedParticipant::of).collect(),
            asking: facts.asking == Asking::Everybody,
            locked: facts.locked,
        }
    }

    fn facts(self) -> Option<(Facts, Terms)> {
        let replay = || {
            let duration = Duration::from_millis(self.replay_ms?);
            Some(Replay { duration, loudness_lufs: self.replay_lufs.unwrap_or(f32::NEG_INFINITY) })
        };
        let recording = match self.recording.as_str() {
            "off" => Recording::Off,
            "on" => Recording::On,
            "paused" => Recording::Paused,
            "sealing" => Recording::Sealing,
            "unsealed" => Recording::Unsealed,
            "review" => Recording::Review(replay()?),
            "replay" => Recording::Replay(replay()?),
            "deleted" => Recording::Deleted,
            "expired" => Recording::Expired { removed: time(self.removed_ms?)? },
            _ => return None,
        };
        let phase = match (self.started_ms, self.ended_ms, self.cancelled) {
            (None, None, Some(cancelled)) => {
                Phase::Cancelled { cancelled: time(cancelled.at_ms)?, reason: reason(cancelled.reason) }
            }
            (None, None, None) if self.open => Phase::Open,
            (None, None, None) => Phase::Scheduled,
            (Some(started), None, None) => Phase::Live { started: time(started)? },
            (Some(started), Some(ended), None) => {
                let (started, ended) = (time(started)?, time(ended)?);
                match recording {
                    Recording::Replay(_) => Phase::Posted { started, ended },
                    _ => Phase::Ended { started, ended },
                }
            }
            (None, Some(_), _) | (Some(_), _, Some(_)) => return None,
        };
        let schedule = match self.schedule {
            Some(schedule) => Some(schedule.schedule()?),
            None => None,
        };
        let people = self.people.into_iter().map(SavedParticipant::participant).collect::<Option<Vec<_>>>()?;
        let facts = Facts {
            id: Id::parse(&self.id)?,
            title: Title::parse(&self.title).ok()?,
            language: self.language.map(|tag| Language::parse(&tag)).transpose().ok()?,
            audience: match self.audience.as_str() {
                "public" => Audience::Public,
                "unlisted" => Audience::Unlisted,
                "invited" => Audience::Invited,
                _ => return None,
            },
            created: time(self.created_ms)?,
            schedule,
            phase,
            recording,
            posting: match self.posting.as_str() {
                "at_once" => Posting::AtOnce,
                "after_review" => Posting::AfterReview,
                "reviewed" => Posting::Reviewed,
                _ => return None,
            },
            trim: self.trim.map(|SavedStretch { from_ms, to_ms }| Stretch {
                from: Duration::from_millis(from_ms),
                to: Duration::from_millis(to_ms),
            }),
            people: People::from_list(people),
            asking: if self.asking { Asking::Everybody } else { Asking::Nobody },
            locked: self.locked,
        };
        let keep = match self.keep_s {
            Some(seconds) => Keep::Window(Duration::from_secs(seconds)),
            None if self.tracks => Keep::AllAndTracks,
            None => Keep::All,
        };
        let clips = if self.clips { Clips::Allowed } else { Clips::Refused };
        (1..=VERSION).contains(&self.version).then_some((facts, Terms { keep, clips }))
    }
}

impl SavedSchedule {
    fn of(schedule: &Schedule) -> Self {
        Self {
            starts_ms: ms(schedule.starts),
            doors_before_s: schedule.doors_before.as_secs(),
            by_hand: schedule.beginning == Beginning::ByHand,
            postponed: schedule.postponed.as_ref().map(|postponed| SavedPostponement {
                from_ms: postponed.from.map(ms),
                reason: postponed.reason.as_ref().map(text),
            }),
        }
    }

    fn schedule(self) -> Option<Schedule> {
        Some(Schedule {
            starts: time(self.starts_ms)?,
            doors_before: Duration::from_secs(self.doors_before_s),
            beginning: if self.by_hand { Beginning::ByHand } else { Beginning::ByItself },
            postponed: self.postponed.map(|postponed| Postponement {
                from: postponed.from_ms.and_then(time),
                reason: reason(postponed.reason),
            }),
        })
    }
}

impl SavedParticipant {
    fn of(participant: &Participant) -> Self {
        Self {
            id: participant.id.as_str().to_owned(),
            name: participant.name.as_str().to_owned(),
            role: match participant.role {
                Role::Listener => "listener",
                Role::Speaker => "speaker",
                Role::CoHost => "co-host",
                Role::Host => "host",
            }
            .to_owned(),
            standing: match participant.standing {
                Standing::Welcome => "welcome",
                Standing::Removed => "removed",
                Standing::Blocked => "blocked",
            }
            .to_owned(),
            muted: participant.muted,
            agreed: participant.agreed,
            met: participant.met,
        }
    }

    fn participant(self) -> Option<Participant> {
        Some(Participant {
            id: ParticipantId::parse(&self.id)?,
            name: Name::parse(&self.name).ok()?,
            role: match self.role.as_str() {
                "listener" => Role::Listener,
                "speaker" => Role::Speaker,
                "co-host" => Role::CoHost,
                "host" => Role::Host,
                _ => return None,
            },
            standing: match self.standing.as_str() {
                "welcome" => Standing::Welcome,
                "removed" => Standing::Removed,
                "blocked" => Standing::Blocked,
                _ => return None,
            },
            muted: self.muted,
            agreed: self.agreed,
            met: self.met,
        })
    }
}

fn text(reason: &Reason) -> String {
    reason.as_str().to_owned()
}

fn reason(text: Option<String>) -> Option<Reason> {
    text.and_then(|text| Reason::parse(&text).ok())
}

fn ms(time: SystemTime) -> u64 {
    millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn time(ms: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Terms = Terms { keep: Keep::All, clips: Clips::Allowed };

    fn facts(id: &str, phase: Phase, recording: Recording) -> Facts {
        Facts {
            id: Id::parse(id).expect("an id"),
            title: Title::parse("حوار \"</script>\" 🎙").expect("a title"),
            language: Some(Language::parse("ar-EG").expect("a language")),
            audience: Audience::Invited,
            created: time(1_700_000_000_123).expect("a time"),
            schedule: Some(Schedule {
                starts: time(1_700_000_000_500).expect("a time"),
                doors_before: Duration::from_secs(60),
                beginning: Beginning::ByHand,
                postponed: Some(Postponement {
                    from: time(1_700_000_000_400),
                    reason: Some(Reason::parse("القطار متأخر").expect("a reason")),
                }),
            }),
            phase,
            recording,
            posting: Posting::AtOnce,
            trim: None,
            people: People::from_list(vec![somebody("h", Role::Host), somebody("c", Role::CoHost), blocked()]),
            asking: Asking::Nobody,
            locked: true,
        }
    }

    fn somebody(id: &str, role: Role) -> Participant {
        let id = ParticipantId::parse(id).expect("an id");
        let agreed =
            Participant { agreed: true, ..Participant::new(id, Name::parse("ليلى").expect("a name"), role) };
        Participant { muted: role == Role::CoHost, ..agreed }
    }

    fn blocked() -> Participant {
        Participant { standing: Standing::Blocked, ..somebody("b", Role::Listener) }
    }

    #[test]
    fn what_is_saved_is_loaded_in_every_phase() {
        let dir = tempfile::tempdir().expect("a directory");
        let (started, ended) = (time(1_700_000_001_000).unwrap(), time(1_700_000_002_000).unwrap());
        let replay = Replay { duration: Duration::from_millis(61_234), loudness_lufs: -18.25 };
        let silent = Replay { duration: Duration::ZERO, loudness_lufs: f32::NEG_INFINITY };
        let all = [
            facts("a", Phase::Scheduled, Recording::On),
            facts("a2", Phase::Open, Recording::On),
            facts("a3", Phase::Cancelled { cancelled: ended, reason: Reason::parse("storm").ok() }, Recording::On),
            facts("b", Phase::Live { started }, Recording::Paused),
            facts("c", Phase::Ended { started, ended }, Recording::Sealing),
            facts("d", Phase::Posted { started, ended }, Recording::Replay(replay)),
            facts("e", Phase::Ended { started, ended }, Recording::Deleted),
            facts("e2", Phase::Ended { started, ended }, Recording::Expired { removed: ended }),
            facts("f", Phase::Posted { started, ended }, Recording::Replay(silent)),
            Facts {
                posting: Posting::AfterReview,
                ..facts("f0", Phase::Ended { started, ended }, Recording::Review(replay))
            },
            Facts {
                posting: Posting::Reviewed,
                trim: Some(Stretch { from: Duration::from_millis(1_234), to: Duration::from_millis(59_999) }),
                ..facts("f1", Phase::Ended { started, ended }, Recording::Sealing)
            },
        ];
        for facts in &all {
            save(dir.path(), facts, ALL).expect("a disk");
            save(dir.path(), facts, ALL).expect("twice");
        }
        save(
            dir.path(),
            &facts("f2", Phase::Scheduled, Recording::On),
            Terms { keep: Keep::AllAndTracks, clips: Clips::Refused },
        )
        .unwrap();
        save(
            dir.path(),
            &facts("g", Phase::Scheduled, Recording::Off),
            Terms { keep: Keep::Window(Duration::from_secs(60)), ..ALL },
        )
        .unwrap();
        let mut loaded = load(dir.path(), 100).expect("a directory");
        loaded.sort_by(|a, b| a.0.id.cmp(&b.0.id));
        let (last, terms) = loaded.pop().expect("nine");
        assert_eq!((last.recording, terms.keep), (Recording::Off, Keep::Window(Duration::from_secs(60))));
        let terms = Terms { keep: Keep::AllAndTracks, clips: Clips::Refused };
        assert_eq!(loaded.pop().expect("eight").1, terms);
        assert!(loaded.iter().all(|(_, terms)| *terms == ALL));
        assert_eq!(loaded.into_iter().map(|(facts, _)| facts).collect::<Vec<_>>(), all);
        assert_eq!(load(dir.path(), 2).expect("a directory").len(), 2);
    }

    #[test]
    fn what_the_first_version_wrote_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |id: &str, more: &str| {
            fs::create_dir(dir.path().join(id)).expect("a disk");
            let text = format!(
                r#"{{"version":1,"id":"{id}","title":"t","language":null,"audience":"public","created_ms":1,"recording":"on",
                    "replay_ms":null,"replay_lufs":null,"keep_s":null,{more}}}"#
            );
            fs::write(dir.path().join(id).join("space.json"), text).expect("a disk");
        };
        write("a", r#""started_ms":null,"ended_ms":null"#);
        write("b", r#""started_ms":5,"ended_ms":null"#);
        let mut loaded = load(dir.path(), 100).expect("a directory");
        loaded.sort_by(|a, b| a.0.id.cmp(&b.0.id));
        let phases: Vec<Phase> = loaded.iter().map(|(facts, _)| facts.phase.clone()).collect();
        assert_eq!(phases, [Phase::Open, Phase::Live { started: time(5).expect("a time") }]);
        assert!(loaded.iter().all(|(facts, _)| facts.asking == Asking::Everybody && !facts.locked));
        assert!(loaded.iter().all(|(facts, _)| facts.posting == Posting::AtOnce && facts.trim.is_none()));
    }

    #[test]
    fn what_the_second_version_wrote_is_read_and_what_a_later_one_wrote_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        for version in [0, 2, 3, 4] {
            let id = format!("v{version}");
            fs::create_dir(dir.path().join(&id)).expect("a disk");
            let text = format!(
                r#"{{"version":{version},"id":"{id}","title":"t","language":null,"audience":"public","created_ms":1,"open":true,
                    "started_ms":5,"ended_ms":9,"cancelled":null,"schedule":null,"recording":"replay","replay_ms":4,"replay_lufs":-18.0,
                    "removed_ms":null,"keep_s":null,"tracks":true,"clips":true,"people":[],"asking":true,"locked":false}}"#
            );
            fs::write(dir.path().join(id).join("space.json"), text).expect("a disk");
        }
        let mut loaded = load(dir.path(), 100).expect("a directory");
        loaded.sort_by(|a, b| a.0.id.cmp(&b.0.id));
        assert_eq!(loaded.iter().map(|(facts, _)| facts.id.as_str()).collect::<Vec<_>>(), ["v2", "v3"]);
        for (facts, terms) in &loaded {
            assert_eq!((facts.posting, facts.trim, terms.keep), (Posting::AtOnce, None, Keep::AllAndTracks));
            assert!(matches!(facts.phase, Phase::Posted { .. }), "{:?}", facts.phase);
        }
    }

    #[test]
    fn a_program_that_knows_no_reviews_leaves_alone_what_is_not_posted_at_once_and_whole() {
        let (started, ended) = (time(5).expect("a time"), time(9).expect("a time"));
        let trim = Some(Stretch { from: Duration::ZERO, to: Duration::from_secs(1) });
        for (posting, trim, version) in [
            (Posting::AtOnce, None, 2),
            (Posting::AfterReview, None, 3),
            (Posting::Reviewed, None, 3),
            (Posting::Reviewed, trim, 3),
            (Posting::AtOnce, trim, 3),
        ] {
            let facts = facts("a", Phase::Ended { started, ended }, Recording::Unsealed);
            assert_eq!(Saved::of(&Facts { posting, trim, ..facts }, ALL).version, version, "{posting:?} {trim:?}");
        }
    }

    #[test]
    fn a_damaged_file_costs_its_own_space_only() {
        let dir = tempfile::tempdir().expect("a directory");
        save(dir.path(), &facts("good", Phase::Scheduled, Recording::On), ALL).expect("a disk");
        let text = fs::read(dir.path().join("good/space.json")).expect("a file");
        for (name, text) in
            [("cut", &text[..text.len() / 2]), ("empty", b""), ("other", &text[..]), ("long", &[b' '; 70_000])]
        {
            fs::create_dir(dir.path().join(name)).expect("a disk");
            fs::write(dir.path().join(name).join("space.json"), text).expect("a disk");
        }
        fs::create_dir(dir.path().join("log-only")).expect("a disk");
        fs::write(dir.path().join("stray.txt"), "x").expect("a disk");
        let loaded = load(dir.path(), 100).expect("a directory");
        assert_eq!(loaded.len(), 1);
    }
}
