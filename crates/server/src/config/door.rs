//! `[door]`: how many may listen to a conversation at a time.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// More than one server can send sound to.
const PLACES_MAX: u32 = 10_000_000;
/// As many come in a second where everybody comes at once.
const PACE: u32 = 2_000;
/// More than come to anything.
const PACE_MAX: u32 = 1_000_000;
/// What is believed until an operator knows better: half of them stay longer.
const STAY_MINUTES: u32 = 20;
/// A day; no conversation is longer.
const STAY_MINUTES_MAX: u32 = 24 * 60;

/// What each conversation's door is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// So many may listen to it at a time.
    pub places: u32,
    /// So many are let in within a second.
    pub pace: u32,
    /// Half of those who listen stay longer, as far as one knows.
    pub stay: Duration,
}

/// The section of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Told {
    places: u32,
    pace: Option<u32>,
    stay_minutes: Option<u32>,
}

/// Why that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error {
    name: &'static str,
    told: u32,
    most: u32,
    why: &'static str,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, told, most, why } = self;
        write!(f, "door.{name} = {told}: give 1 to {most}, {why}")
    }
}

impl Told {
    /// # Errors
    /// The first number that is out of its range.
    pub(super) fn resolve(self) -> Result<Door, Error> {
        let check = |name, told, most, why| {
            if (1..=most).contains(&told) { Ok(told) } else { Err(Error { name, told, most, why }) }
        };
        let places = check(
            "places",
            self.places,
            PLACES_MAX,
            "which is how many may listen to a conversation at a time; without [door] it is as many as there are",
        )?;
        let pace = self.pace.unwrap_or(PACE);
        let pace = check("pace", pace, PACE_MAX, "which is how many are let in within a second")?;
        let stay = self.stay_minutes.unwrap_or(STAY_MINUTES);
        let stay = check("stay_minutes", stay, STAY_MINUTES_MAX, "which is how long half of those who listen stay")?;
        Ok(Door { places, pace, stay: Duration::from_secs(60 * u64::from(stay)) })
    }
}
