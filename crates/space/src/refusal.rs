//! Why a command was not obeyed: one variant per rule.

use std::fmt;

/// The broken rule. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Only a host may do this.
    NotHost,
    /// Only the house reports this.
    NotHouse,
    /// The space is live already.
    AlreadyStarted,
    /// The space has not started yet.
    NotStarted,
    /// The space is over: it starts once.
    AlreadyEnded,
    /// The recording belongs to a live space: end it first.
    StillLive,
    /// There is no recording: it was off, or is gone.
    NoRecording,
    /// The replay is being made; it takes seconds.
    ReplayInTheMaking,
    /// Every seat on the stage is taken.
    StageFull,
    /// No such person on the stage.
    NotOnStage,
    /// Nothing is left of the title.
    TitleEmpty,
    /// The title is longer than [`crate::Title::CHARS_MAX`].
    TitleTooLong,
    /// Nothing is left of the name.
    NameEmpty,
    /// The name is longer than [`crate::Name::BYTES_MAX`].
    NameTooLong,
    /// Not a language tag.
    NotALanguage,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHost => "only a host may do this",
            Self::NotHouse => "only the house reports this",
            Self::AlreadyStarted => "the space is live already",
            Self::NotStarted => "the space has not started",
            Self::AlreadyEnded => "the space is over",
            Self::StillLive => "the space is still live",
            Self::NoRecording => "there is no recording",
            Self::ReplayInTheMaking => "the replay is being made",
            Self::StageFull => "the stage is full",
            Self::NotOnStage => "not on the stage",
            Self::TitleEmpty => "the title is empty",
            Self::TitleTooLong => "the title is too long",
            Self::NameEmpty => "the name is empty",
            Self::NameTooLong => "the name is too long",
            Self::NotALanguage => "not a language tag",
        })
    }
}

impl std::error::Error for Refusal {}
