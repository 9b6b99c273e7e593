//! A space as the API, the page and the watchers show it.

use std::time::{SystemTime, UNIX_EPOCH};

use hiwar_space::{Audience, Phase, Recording};
use serde::Serialize;
use utoipa::ToSchema;

use super::Entry;
use crate::api::{AskedBy, Settings};
use crate::studio::{Numbers, Totals};

/// A space, for clients. Names and titles are strangers' words.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Space)]
pub struct SpaceView {
    /// Also the id in its links.
    #[schema(example = "demo")]
    pub id: String,
    /// What it is called; at most 200 characters.
    pub title: String,
    /// `scheduled`, `live`, `ended` or `posted`.
    pub state: &'static str,
    /// `public`, `unlisted` or `invited`.
    pub audience: &'static str,
    /// BCP 47 tag of what is mostly spoken, if told.
    pub language: Option<String>,
    /// RFC 3339, UTC.
    pub created_at: String,
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
    /// How many hear it now, in whatever form. Rehearsals are not counted.
    pub listeners: u32,
    /// Who hears it, in numbers.
    pub crowd: CrowdView,
    /// `on`, `off` or `paused`; `off` also when there was a recording and it was removed.
    pub recording: &'static str,
    /// When this server removed the recording, for it keeps no more of the past than it was told to. RFC 3339, UTC.
    pub removed_at: Option<String>,
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
    /// Whether they are heard now.
    pub speaking: bool,
}

impl Entry {
    /// How the space stands.
    pub(super) fn view(&self, settings: &Settings) -> SpaceView {
        let hls_base = settings.hls_base.as_deref().unwrap_or_default();
        let facts = self.space.facts();
        let id = facts.id.as_str();
        let (state, started, ended) = match facts.phase {
            Phase::Scheduled => ("scheduled", None, None),
            Phase::Live { started } => ("live", Some(started), None),
            Phase::Ended { started, ended } => ("ended", Some(started), Some(ended)),
            Phase::Posted { started, ended } => ("posted", Some(started), Some(ended)),
        };
        let replay = match facts.recording {
            Recording::Replay(replay) => Some(ReplayView {
                mp4: format!("/replay/{id}.mp4"),
                ogg: format!("/replay/{id}.ogg"),
                hls: format!("/replay/{id}/index.m3u8"),
                duration: replay.duration.as_secs_f64(),
                loudness: Some(replay.loudness_lufs).filter(|lufs| lufs.is_finite()),
            }),
            _ => None,
        };
        let speaker = |participant: &hiwar_space::Participant| SpeakerView {
            id: participant.id.as_str().to_owned(),
            name: participant.name.as_str().to_owned(),
            speaking: self.space.speaking() == Some(&participant.id),
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
            speakers: self.space.stage().iter().map(speaker).collect(),
            listeners: self.numbers.listeners(),
            crowd: CrowdView::new(&self.numbers, settings.hls_asked_by),
            recording: match facts.recording {
                Recording::Off | Recording::Deleted | Recording::Expired { .. } => "off",
                Recording::Paused => "paused",
                Recording::On | Recording::Sealing | Recording::Unsealed | Recording::Replay(_) => "on",
            },
            removed_at: match facts.recording {
                Recording::Expired { removed } => Some(rfc3339(removed)),
                _ => None,
            },
        }
    }
}

/// A moment as RFC 3339 writes it, in UTC, to the second.
fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of year 0 in the proleptic Gregorian calendar: leap days come last, so months count evenly.
    let day = days + 719_468;
    let era = day / 146_097;
    let of_era = day % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
