//! Why the registry did not do what it was asked: refusals, and failures of the world.

use std::{fmt, io};

use hiwar_rtc::offer;
use hiwar_space::Refusal;

use crate::studio::Failure;

/// Why the registry did not do it.
#[derive(Debug)]
pub enum Error {
    /// No such space.
    Unknown,
    /// No such session in this space.
    NoSession,
    /// The space's rules forbid it.
    Refused(Refusal),
    /// [`super::SPACES_MAX`] reached.
    Full,
    /// Every seat is taken.
    StageFull,
    /// Too many watchers.
    Watched,
    /// The offer breaks a rule.
    Offer(offer::Refusal),
    /// Nobody can withdraw: no tracks were kept.
    NoTracks,
    /// [`super::HOLDS_MAX`] reached.
    HoldsFull,
    /// The facts could not be written.
    Storage(io::Error),
    /// The studio could not do it; what it said is for the log.
    Studio(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no such space"),
            Self::NoSession => f.write_str("no such session"),
            Self::Refused(why) => why.fmt(f),
            Self::Full => f.write_str("too many spaces"),
            Self::StageFull => f.write_str("the stage is full"),
            Self::Watched => f.write_str("too many watchers"),
            Self::Offer(why) => why.fmt(f),
            Self::NoTracks => f.write_str("no tracks were kept"),
            Self::HoldsFull => f.write_str("too many spaces have hold music"),
            Self::Storage(why) => write!(f, "cannot write the space: {why}"),
            Self::Studio(why) => write!(f, "the studio: {why}"),
        }
    }
}

impl From<Refusal> for Error {
    fn from(why: Refusal) -> Self {
        Self::Refused(why)
    }
}

impl From<Failure> for Error {
    fn from(why: Failure) -> Self {
        Self::Studio(why.to_string())
    }
}
