//! What is asked of a recording: in which form, and which part.

use hiwar_segment_log::LogId;

use super::{Access, Route, kept};
use crate::clip::{Clip, ClipForm};
use crate::problem::{Keep, Language};
use crate::range::Wish;
use crate::request::Method;

/// A wish for a part of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Whose recording.
    pub log: LogId,
    /// Which form.
    pub form: ReplayForm,
    /// Which part, and what the client has.
    pub wish: Wish,
    /// GET or HEAD.
    pub method: Method,
    /// Whether the connection goes on.
    pub keep: Keep,
    /// To repeat in a playlist's addresses.
    pub pass: Option<String>,
    /// Who may hear it decides whether shared caches may keep it.
    pub access: Access,
    /// For saying that there is none.
    pub language: Language,
}

/// The forms of a recording.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ReplayForm {
    /// `replay.mp4`
    Mp4,
    /// `replay.ogg`
    Ogg,
    /// `index.m3u8`
    Playlist,
    /// `chapters.json`
    Chapters,
    /// A part of it, which is in no file.
    Clip(Clip),
}

impl ReplayForm {
    /// Its file's name in the recording's folder; of a clip that of what it is cut from.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Mp4 | Self::Clip(_) => "replay.mp4",
            Self::Ogg => "replay.ogg",
            Self::Playlist => "index.m3u8",
            Self::Chapters => "chapters.json",
        }
    }

    /// Its `Content-Type`.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Mp4 | Self::Clip(Clip { form: ClipForm::Mp4, .. }) => "audio/mp4",
            Self::Ogg | Self::Clip(Clip { form: ClipForm::Ogg, .. }) => "audio/ogg",
            Self::Playlist => "application/vnd.apple.mpegurl",
            // As podcasts have them (github.com/Podcastindex-org/podcast-namespace, chapters/jsonChapters.md).
            Self::Chapters => "application/json+chapters",
        }
    }
}

/// What lies below `/replay/`.
pub(super) fn route(rest: &str) -> Option<Route<'_>> {
    let (log, form) = match rest.split_once('/') {
        Some((log, file)) => match (ClipForm::parse(file), file) {
            (Some(form), _) => return Some(Route::Clip { log: kept(log)?, form }),
            (None, "index.m3u8") => (log, ReplayForm::Playlist),
            (None, "chapters.json") => (log, ReplayForm::Chapters),
            _ => return None,
        },
        None => match rest.rsplit_once('.')? {
            (log, "mp4") => (log, ReplayForm::Mp4),
            (log, "ogg") => (log, ReplayForm::Ogg),
            _ => return None,
        },
    };
    Some(Route::Replay { log: kept(log)?, form })
}
