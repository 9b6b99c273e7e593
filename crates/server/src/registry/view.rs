//! A space as the API, the page and the watchers show it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use hiwar_admission::door::ticket::Class;
use hiwar_admission::reaction::Reaction;
use hiwar_space::{
    Asking, Audience, Beginning, Participant, Phase, Posting, Presence, Recording, Replay, Role, Standing,
};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use super::{Entry, Holder};
use crate::api::{AskedBy, Language, Settings};
use crate::door::{AtDoor, Is, Passed, class_name};
use crate::studio::{Clips, Numbers, Rates, Totals};

/// A space, for clients. Names and titles are strangers' words.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Space)]
pub struct SpaceView {
    /// Also the id in its links.
    #[schema(example = "demo")]
    pub id: String,
    /// What it is called; at most 200 characters.
    pub title: String,
    /// `scheduled` (its doors are shut), `open` (listeners wait inside), `live`, `ended`, `posted` or `cancelled`.
    pub state: &'static str,
    /// `public`, `unlisted` or `invited`.
    pub audience: &'static str,
    /// BCP 47 tag of what is mostly spoken, if told.
    pub language: Option<String>,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// When it is to begin, if that was said. RFC 3339, UTC.
    pub starts_at: Option<String>,
    /// When its doors open. RFC 3339, UTC.
    pub doors_at: Option<String>,
    /// `by-itself`, at its second, or `by-hand`, when a host says so. Absent without a time.
    pub begins: Option<&'static str>,
    /// It is time, and nobody who hosts is there: it begins when somebody comes.
    pub awaits_host: bool,
    /// That it was to begin at another time, if it was.
    pub postponed: Option<PostponedView>,
    /// RFC 3339, UTC.
    pub cancelled_at: Option<String>,
    /// Why it does not take place, if told.
    pub cancel_reason: Option<String>,
    /// RFC 3339, UTC.
    pub started_at: Option<String>,
    /// RFC 3339, UTC.
    pub ended_at: Option<String>,
    /// Where the live sound is.
    pub listen: Links,
    /// Its page.
    pub page: String,
    /// The recording, once it can be heard.
    pub replay: Option<ReplayView>,
    /// Who is on the stage, in the order of arrival.
    pub speakers: Vec<SpeakerView>,
    /// Who may ask for the word: `everybody` or `nobody`.
    pub asking: &'static str,
    /// How many ask.
    pub asks: usize,
    /// Whether nobody comes to the stage whom no host calls.
    pub locked: bool,
    /// How many hear it now, in whatever form. Rehearsals are not counted.
    pub listeners: u32,
    /// Who hears it, in numbers.
    pub crowd: CrowdView,
    /// How crowded it is, and what that means for whoever comes now. Absent where nobody knows: it is not on the air, or the server has just begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ladder: Option<LadderView>,
    /// How listeners reacted in the last second: how often each of `heart`, `applause`, `laugh`, `wow` and `agree`. Those that nobody sent are left out.
    #[schema(value_type = BTreeMap<String, u32>, example = json!({ "applause": 12 }))]
    pub reactions: ReactionsView,
    /// `on`, `off` or `paused`; `off` also when there was a recording and it was removed, or no replay could be made of it. To those who host also `review`: it waits for the host's word.
    pub recording: &'static str,
    /// When the recording is posted: `at_once`, as soon as its replay is made, or `after_review`, when the host has heard it.
    pub posting: &'static str,
    /// When this server removed the recording, for it keeps no more of the past than it was told to. RFC 3339, UTC.
    pub removed_at: Option<String>,
}

/// How crowded it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Ladder)]
pub struct LadderView {
    /// 0 whoever comes is let in at once · 1 within minutes · 2 sound comes in longer pieces · 3 at a lower bitrate, without reactions · 4 whoever comes anew hears the delayed
    /// stream, or the longest pieces · 5 not everybody finds a place. Whoever listens is never dropped.
    #[schema(example = 1)]
    pub level: u8,
    /// Why: `late`, `line`, `handshakes`, `memory`, `files`, `crowd` or `operator`; none at level 0.
    #[schema(example = json!(["crowd"]))]
    pub reasons: Vec<&'static str>,
    /// Since when it is at that level, as far as is known. RFC 3339, UTC.
    pub since: String,
    /// The same in words, by language (`ar` and `en`).
    #[schema(example = json!({ "en": "Whoever comes is let in within minutes. Why: more people came than there are places." }))]
    pub says: BTreeMap<&'static str, String>,
}

impl LadderView {
    /// As it is shown.
    pub fn of(standing: crate::ladder::Rung) -> Self {
        let words = |language: Language| (language.code(), standing.words(language));
        Self {
            level: standing.level as u8,
            reasons: standing.reasons.iter().map(hiwar_admission::ladder::Reason::name).collect(),
            since: rfc3339(standing.since),
            says: [Language::Arabic, Language::English].map(words).into(),
        }
    }
}

/// A door, for those who host what is behind it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Door)]
pub struct DoorView {
    /// How many may be inside.
    pub places: u32,
    /// How many are, and whose place is kept since their connection broke a moment ago.
    pub inside: u32,
    /// How many wait, as far as they are counted: not in the minute of a draw.
    pub waiting: u64,
    /// The same by class: `follower`, `earlier` and `anybody`. Whoever returns does not wait.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub waiting_by_class: BTreeMap<&'static str, u64>,
    /// Of these, those who have no time within half an hour, and cannot expect one.
    pub without_time: u64,
    /// What whoever comes finds: `open`, a place; `gathering`, a draw; `queue`, a queue.
    pub is: &'static str,
    /// Requests to listen or to wait, since this house opened it: whoever waits asks more than once.
    pub asked: u64,
    /// Of these, without a ticket of this door: those who came, and had not been here.
    pub arrived: u64,
    /// People let in since then, by class: `returning`, `follower`, `earlier` and `anybody`.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub entered: BTreeMap<&'static str, u64>,
    /// Promises kept since then, by class: people let in within 15 s, or a tenth of the wait, of the time that they had been told.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub kept: BTreeMap<&'static str, u64>,
    /// People let in since then who had been told a time, later than that, by class: they came late, or found no place.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub late: BTreeMap<&'static str, u64>,
    /// Requests since then that were told to come again and promised nothing: no worker knew yet whether there is room, or their network has had thousands of tickets.
    pub away: u64,
}

impl From<AtDoor> for DoorView {
    fn from(AtDoor { places, inside, waiting, waiting_by_class, without_time, is, passed }: AtDoor) -> Self {
        let is = match is {
            Is::Open => "open",
            Is::Gathering => "gathering",
            Is::Queue => "queue",
        };
        let Passed { asked, entered, kept, late, away, .. } = passed;
        let [mut waiting_by_class, entered, kept, late] = [waiting_by_class, entered, kept, late]
            .map(|by_class| Class::ALL.into_iter().map(class_name).zip(by_class).collect::<BTreeMap<_, _>>());
        waiting_by_class.remove(class_name(Class::Returning));
        let arrived = passed.arrived();
        Self { places, inside, waiting, waiting_by_class, without_time, is, asked, arrived, entered, kept, late, away }
    }
}

/// Reactions by name; none of those that there are none of.
pub type ReactionsView = BTreeMap<&'static str, u32>;

/// Reactions as the API and the events in the sound name them.
pub(crate) fn reactions(rates: &Rates) -> ReactionsView {
    let named = Reaction::ALL.into_iter().zip(*rates).filter(|(_, rate)| *rate > 0);
    named.map(|(reaction, rate)| (reaction.name(), rate)).collect()
}

/// Who hears a space. Nobody is counted twice for listening in two forms, and nothing is kept of anybody.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Crowd)]
pub struct CrowdView {
    /// Connections that hear it now, exactly. Whoever has stopped reading is not among them.
    pub streams: u32,
    /// People who hear it by HLS now: those who asked for a piece within the last 15 to 20 seconds.
    pub hls: u64,
    /// What `hls` is: an `estimate`, with a standard error of 0.8 %; or what little is seen `behind a cache`, because HLS is served by one.
    #[schema(example = "estimate")]
    pub hls_is: &'static str,
    /// Different people who ever heard it, with a standard error of 0.8 %. A person is an address (IPv6: /64), a program and a pass.
    pub unique: u64,
    /// Connections that ever began to listen.
    pub joined: u64,
    /// Of these, those that left before they had heard anything.
    pub heard_nothing: u64,
    /// Requests for its sound that were refused because there was no room.
    pub turned_away: u64,
    /// Bytes of sound sent.
    pub bytes: u64,
    /// Listeners that were played by a load generator (`hiwar rehearse`): in no other number.
    pub rehearsal: RehearsalView,
}

/// Listeners that were played.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RehearsalCrowd)]
pub struct RehearsalView {
    /// Connections now.
    pub streams: u32,
    /// Connections that ever began.
    pub joined: u64,
    /// Of these, those that left before they had heard anything.
    pub heard_nothing: u64,
    /// Requests that were refused because there was no room.
    pub turned_away: u64,
    /// Bytes sent.
    pub bytes: u64,
}

impl CrowdView {
    pub(crate) fn new(numbers: &Numbers, asked_by: AskedBy) -> Self {
        let Numbers { streams, by_pieces, unique, totals, rehearsed, rehearsal_totals } = *numbers;
        let Totals { joined, silent, turned_away, bytes } = rehearsal_totals;
        Self {
            streams,
            hls: by_pieces,
            hls_is: match asked_by {
                AskedBy::Players => "estimate",
                AskedBy::Caches => "behind a cache",
            },
            unique,
            joined: totals.joined,
            heard_nothing: totals.silent,
            turned_away: totals.turned_away,
            bytes: totals.bytes,
            rehearsal: RehearsalView { streams: rehearsed, joined, heard_nothing: silent, turned_away, bytes },
        }
    }
}

/// The same sound in three forms.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Links {
    /// Fragmented MP4.
    pub mp4: String,
    /// Ogg.
    pub ogg: String,
    /// MP3, for radios; encoded while somebody listens.
    pub mp3: String,
    /// Low-Latency HLS: a path like the others, or a whole address where HLS has a name of its own.
    #[schema(example = "/hls/demo/live.m3u8")]
    pub hls: String,
}

/// A recording.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Replay)]
pub struct ReplayView {
    /// MP4.
    pub mp4: String,
    /// Ogg.
    pub ogg: String,
    /// HLS playlist.
    pub hls: String,
    /// Who has the word when (JSON chapters).
    pub chapters: String,
    /// Whether the host lets whoever hears it make clips.
    pub clips: bool,
    /// In seconds.
    pub duration: f64,
    /// Integrated loudness in LUFS; absent for silence.
    pub loudness: Option<f32>,
}

/// Somebody on the stage.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Speaker)]
pub struct SpeakerView {
    /// Names them in this space.
    pub id: String,
    /// What to call them.
    pub name: String,
    /// `host`, `co-host` or `speaker`.
    pub role: &'static str,
    /// Whether their sound is kept from everybody.
    pub muted: bool,
    /// Whether they are heard now.
    pub speaking: bool,
}

/// That a space was to begin at another time.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Postponed)]
pub struct PostponedView {
    /// When, if that had been said. RFC 3339, UTC.
    pub from: Option<String>,
    /// Why not, if told.
    pub reason: Option<String>,
}

/// The stage as somebody with a pass sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Stage)]
pub struct StageView {
    /// Whoever asks.
    pub you: YouView,
    /// Whether it is recorded and they have not said that they know: their voice is not taken until then.
    pub consent_needed: bool,
    /// Who asks for the word, the first first; for those who host.
    pub hands: Vec<HandView>,
    /// Everybody that the space knows, the longest known first; for those who host.
    pub people: Vec<PersonView>,
    /// What the audience hears until it begins, if it was given; for those who host.
    pub hold_music: Option<HoldMusicView>,
    /// Its door, if it has one and is on the air; for those who host.
    pub door: Option<DoorView>,
}

/// Music for those who wait.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = HoldMusic)]
pub struct HoldMusicView {
    /// How long it is, until it begins anew.
    pub duration_ms: u64,
}

/// Whoever asks, as the space knows them.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = You)]
pub struct YouView {
    /// What the space knows of them.
    #[serde(flatten)]
    pub person: PersonView,
    /// Whether they have said that they know that it is recorded.
    pub agreed: bool,
    /// Within so many seconds a call is to be answered, or a promise kept.
    pub answer_within_s: Option<u64>,
    /// How many ask for the word before them; absent if they do not ask.
    pub place: Option<usize>,
}

/// Somebody that a space knows.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Person)]
pub struct PersonView {
    /// Names them in this space.
    pub id: String,
    /// What to call them.
    pub name: String,
    /// `host`, `co-host`, `speaker` or `listener`.
    pub role: &'static str,
    /// `welcome`, `removed` or `blocked`.
    pub standing: &'static str,
    /// Whether their sound is kept from everybody.
    pub muted: bool,
    /// `away`, `called` to the stage, `coming` or `on-stage`.
    pub presence: &'static str,
}

/// Somebody who asks for the word.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Hand)]
pub struct HandView {
    /// Names them in this space.
    pub id: String,
    /// What to call them.
    pub name: String,
}

impl Entry {
    /// How the space stands.
    pub(super) fn view(&self, settings: &Settings) -> SpaceView {
        let hls_base = settings.hls_base.as_deref().unwrap_or_default();
        let facts = self.space.facts();
        let id = facts.id.as_str();
        let (state, started, ended) = match facts.phase {
            Phase::Scheduled => ("scheduled", None, None),
            Phase::Open => ("open", None, None),
            Phase::Cancelled { .. } => ("cancelled", None, None),
            Phase::Live { started } => ("live", Some(started), None),
            Phase::Ended { started, ended } => ("ended", Some(started), Some(ended)),
            Phase::Posted { started, ended } => ("posted", Some(started), Some(ended)),
        };
        let replay = match facts.recording {
            Recording::Replay(replay) => Some(self.replay_view(replay)),
            _ => None,
        };
        let (cancelled, reason) = match &facts.phase {
            Phase::Cancelled { cancelled, reason } => (Some(*cancelled), reason.as_ref()),
            _ => (None, None),
        };
        let schedule = facts.schedule.as_ref();
        let speaker = |participant: &Participant| SpeakerView {
            id: participant.id.as_str().to_owned(),
            name: participant.name.as_str().to_owned(),
            role: role(participant.role),
            muted: participant.muted,
            // Before the start nobody is to know who talks.
            speaking: self.space.require_live().is_ok() && self.space.speaking() == Some(&participant.id),
        };
        SpaceView {
            id: id.to_owned(),
            title: facts.title.as_str().to_owned(),
            state,
            audience: match facts.audience {
                Audience::Public => "public",
                Audience::Unlisted => "unlisted",
                Audience::Invited => "invited",
            },
            language: facts.language.as_ref().map(|language| language.as_str().to_owned()),
            created_at: rfc3339(facts.created),
            starts_at: schedule.map(|schedule| rfc3339(schedule.starts)),
            // The next whole second: whoever comes when it says finds them open.
            doors_at: schedule.map(|schedule| rfc3339(schedule.doors() + Duration::from_millis(999))),
            begins: schedule.map(|schedule| match schedule.beginning {
                Beginning::ByItself => "by-itself",
                Beginning::ByHand => "by-hand",
            }),
            awaits_host: self.space.awaits_host(),
            postponed: schedule.and_then(|schedule| schedule.postponed.as_ref()).map(|postponed| PostponedView {
                from: postponed.from.map(rfc3339),
                reason: postponed.reason.as_ref().map(|reason| reason.as_str().to_owned()),
            }),
            cancelled_at: cancelled.map(rfc3339),
            cancel_reason: reason.map(|reason| reason.as_str().to_owned()),
            started_at: started.map(rfc3339),
            ended_at: ended.map(rfc3339),
            listen: Links {
                mp4: format!("/listen/{id}.mp4"),
                ogg: format!("/listen/{id}.ogg"),
                mp3: format!("/listen/{id}.mp3"),
                hls: format!("{hls_base}/hls/{id}/live.m3u8"),
            },
            page: format!("/s/{id}"),
            replay,
            speakers: self.space.stage().map(speaker).collect(),
            asking: match facts.asking {
                Asking::Everybody => "everybody",
                Asking::Nobody => "nobody",
            },
            asks: self.space.hands().count(),
            locked: facts.locked,
            listeners: self.numbers.listeners(),
            crowd: CrowdView::new(&self.numbers, settings.hls_asked_by),
            ladder: self.ladder.filter(|_| self.is_on_air()).map(LadderView::of),
            reactions: reactions(&self.reactions),
            recording: match facts.recording {
                // Whoever waits for a replay waits in vain.
                Recording::Off | Recording::Unsealed | Recording::Deleted | Recording::Expired { .. } => "off",
                Recording::Paused => "paused",
                Recording::On | Recording::Sealing | Recording::Review(_) | Recording::Replay(_) => "on",
            },
            posting: match facts.posting {
                Posting::AtOnce => "at_once",
                Posting::AfterReview | Posting::Reviewed => "after_review",
            },
            removed_at: match facts.recording {
                Recording::Expired { removed } => Some(rfc3339(removed)),
                _ => None,
            },
        }
    }
}

impl Entry {
    /// Where its recording is, which is not to say that everybody may hear it.
    pub(super) fn replay_view(&self, replay: Replay) -> ReplayView {
        let id = self.space.facts().id.as_str();
        ReplayView {
            mp4: format!("/replay/{id}.mp4"),
            ogg: format!("/replay/{id}.ogg"),
            hls: format!("/replay/{id}/index.m3u8"),
            chapters: format!("/replay/{id}/chapters.json"),
            clips: self.terms.clips == Clips::Allowed,
            duration: replay.duration.as_secs_f64(),
            loudness: Some(replay.loudness_lufs).filter(|lufs| lufs.is_finite()),
        }
    }

    /// How it stands for those who host it.
    pub(super) fn to_hosts(&self, view: SpaceView) -> SpaceView {
        match self.space.facts().recording {
            Recording::Review(_) => SpaceView { recording: "review", ..view },
            // There is something that they can delete.
            Recording::Unsealed => SpaceView { recording: "on", ..view },
            _ => view,
        }
    }

    /// The stage as somebody sees it.
    pub(super) fn stage_view(&self, holder: &Holder) -> StageView {
        let people = &self.space.facts().people;
        let known = people.find(&holder.id);
        let own_role = self.space.role(&holder.id, holder.warrant);
        let person = known.map_or_else(
            || self.person(&Participant::new(holder.id.clone(), holder.name.clone(), own_role)),
            |known| self.person(known),
        );
        let agreed = known.is_some_and(|known| known.agreed);
        let hosts = own_role >= Role::CoHost;
        let until = match self.space.presence(&holder.id) {
            Some(Presence::Called { until } | Presence::Coming { until }) => Some(until),
            Some(Presence::OnStage) | None => None,
        };
        let within = until.map(|until| until.saturating_duration_since(super::clock::now().steady).as_secs());
        let hand = |hand: &hiwar_space::Hand| HandView {
            id: hand.participant.as_str().to_owned(),
            name: hand.name.as_str().to_owned(),
        };
        StageView {
            you: YouView { person, agreed, answer_within_s: within, place: self.space.place(&holder.id) },
            consent_needed: self.space.is_recorded() && !agreed,
            hands: if hosts { self.space.hands().map(hand).collect() } else { Vec::new() },
            people: if hosts { people.iter().map(|known| self.person(known)).collect() } else { Vec::new() },
            door: self.door.filter(|_| hosts && self.is_on_air()).map(DoorView::from),
            hold_music: self.hold.as_ref().filter(|_| hosts && self.space.require_to_come().is_ok()).map(|music| {
                HoldMusicView { duration_ms: u64::try_from(music.duration().as_millis()).unwrap_or(u64::MAX) }
            }),
        }
    }

    fn person(&self, participant: &Participant) -> PersonView {
        PersonView {
            id: participant.id.as_str().to_owned(),
            name: participant.name.as_str().to_owned(),
            role: role(participant.role),
            standing: match participant.standing {
                Standing::Welcome => "welcome",
                Standing::Removed => "removed",
                Standing::Blocked => "blocked",
            },
            muted: participant.muted,
            presence: match self.space.presence(&participant.id) {
                None => "away",
                Some(Presence::Called { .. }) => "called",
                Some(Presence::Coming { .. }) => "coming",
                Some(Presence::OnStage) => "on-stage",
            },
        }
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Listener => "listener",
        Role::Speaker => "speaker",
        Role::CoHost => "co-host",
        Role::Host => "host",
    }
}

/// A moment as RFC 3339 writes it, in UTC, to the second.
pub fn rfc3339(time: SystemTime) -> String {
    let whole = OffsetDateTime::from(time).replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    // Years beyond 9999 cannot be written so.
    whole.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn moments_are_written_as_rfc_3339_does() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
