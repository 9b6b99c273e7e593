//! Why a command was not obeyed: one variant per rule.

use std::fmt;

/// The broken rule. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Only the host may do this.
    NotHost,
    /// Only a host or co-host may do this.
    NotCoHost,
    /// Only the house reports this.
    NotHouse,
    /// Only they themselves may do this.
    NotThemselves,
    /// They are not below whoever asks: a co-host does nothing to the host, or to another co-host.
    NotBelow,
    /// The doors are shut.
    DoorsShut,
    /// The space is live already.
    AlreadyStarted,
    /// The space has not started yet.
    NotStarted,
    /// The space is over: it starts once.
    AlreadyEnded,
    /// It does not take place.
    Cancelled,
    /// That moment is past.
    InThePast,
    /// That moment is further off than [`crate::Schedule::AHEAD_MAX`].
    TooFarAhead,
    /// The recording belongs to a live space: end it first.
    StillLive,
    /// There is no recording: it was off, or is gone.
    NoRecording,
    /// The replay is being made; it takes seconds.
    ReplayInTheMaking,
    /// The recording does not wait for the host's word.
    NotInReview,
    /// The recording ends before.
    OutsideRecording,
    /// Less would be left than [`crate::Stretch::MIN`].
    TooShort,
    /// Every seat on the stage is taken.
    StageFull,
    /// As many wait in the wings as may: [`crate::WINGS_MAX`].
    WingsFull,
    /// Whoever comes is to be called.
    StageLocked,
    /// There are [`crate::CO_HOSTS_MAX`] co-hosts.
    CoHostsFull,
    /// More people were sent away or blocked than a space remembers.
    TooManyKnown,
    /// No such person on the stage.
    NotOnStage,
    /// They are on the stage, or called there.
    AlreadyOnStage,
    /// Nobody has called them to the stage.
    NotCalled,
    /// They have to say that they know that this is recorded.
    NotAgreed,
    /// They were removed.
    Removed,
    /// They were blocked.
    Blocked,
    /// They were neither removed nor blocked.
    NotRemoved,
    /// Nobody may ask for the word.
    AskingClosed,
    /// As many ask as fit: [`crate::HANDS_MAX`].
    HandsFull,
    /// They have not asked for the word.
    NoHand,
    /// Nobody of that id is known here.
    Unknown,
    /// Nothing is left of the title.
    TitleEmpty,
    /// The title is longer than [`crate::Title::CHARS_MAX`].
    TitleTooLong,
    /// Nothing is left of the name.
    NameEmpty,
    /// The name is longer than [`crate::Name::BYTES_MAX`].
    NameTooLong,
    /// Nothing is left of the reason.
    ReasonEmpty,
    /// The reason is longer than [`crate::Reason::CHARS_MAX`].
    ReasonTooLong,
    /// Not a language tag.
    NotALanguage,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHost => "only the host may do this",
            Self::NotCoHost => "only a host or co-host may do this",
            Self::NotHouse => "only the house reports this",
            Self::NotThemselves => "only they themselves may do this",
            Self::NotBelow => "not below whoever asks",
            Self::DoorsShut => "the doors are shut",
            Self::AlreadyStarted => "the space is live already",
            Self::NotStarted => "the space has not started",
            Self::AlreadyEnded => "the space is over",
            Self::Cancelled => "the space is cancelled",
            Self::InThePast => "that moment is past",
            Self::TooFarAhead => "that moment is too far ahead",
            Self::StillLive => "the space is still live",
            Self::NoRecording => "there is no recording",
            Self::ReplayInTheMaking => "the replay is being made",
            Self::NotInReview => "the recording is not in review",
            Self::OutsideRecording => "the recording ends before",
            Self::TooShort => "too little would be left",
            Self::StageFull => "the stage is full",
            Self::WingsFull => "the wings are full",
            Self::StageLocked => "the stage is locked",
            Self::CoHostsFull => "there are as many co-hosts as there may be",
            Self::TooManyKnown => "too many people were sent away",
            Self::NotOnStage => "not on the stage",
            Self::AlreadyOnStage => "on the stage already",
            Self::NotCalled => "not called to the stage",
            Self::NotAgreed => "has not agreed to be recorded",
            Self::Removed => "was removed",
            Self::Blocked => "was blocked",
            Self::NotRemoved => "was not removed",
            Self::AskingClosed => "nobody may ask for the word",
            Self::HandsFull => "too many ask for the word",
            Self::NoHand => "has not asked for the word",
            Self::Unknown => "nobody of that id is known here",
            Self::TitleEmpty => "the title is empty",
            Self::TitleTooLong => "the title is too long",
            Self::NameEmpty => "the name is empty",
            Self::NameTooLong => "the name is too long",
            Self::ReasonEmpty => "the reason is empty",
            Self::ReasonTooLong => "the reason is too long",
            Self::NotALanguage => "not a language tag",
        })
    }
}

impl std::error::Error for Refusal {}
