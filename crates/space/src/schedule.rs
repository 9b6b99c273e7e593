//! When a space is to begin, and when its doors open.

use std::time::{Duration, Instant, SystemTime};

use crate::{Reason, Refusal};

/// A moment, by two clocks. What was agreed for a time of day follows the wall's, which somebody may set; what lasts so long follows the
/// steady one, which nobody can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The time of day.
    pub wall: SystemTime,
    /// Never goes back.
    pub steady: Instant,
}

/// How a space begins when it is time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Beginning {
    /// At its second, if a host or co-host is on the stage; else as soon as one comes.
    #[default]
    ByItself,
    /// When a host says so.
    ByHand,
}

/// When a space is to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// When.
    pub starts: SystemTime,
    /// So long before, listeners may come.
    pub doors_before: Duration,
    /// What happens then.
    pub beginning: Beginning,
    /// That it was to begin at another time, if it was.
    pub postponed: Option<Postponement>,
}

/// That something is to begin at another time than was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postponement {
    /// When it was to begin, if that had been said.
    pub from: Option<SystemTime>,
    /// Why, if told.
    pub reason: Option<Reason>,
}

impl Schedule {
    /// How long before listeners may come, unless told otherwise.
    pub const DOORS_BEFORE: Duration = Duration::from_secs(10 * 60);
    /// The longest that listeners may wait inside.
    pub const DOORS_BEFORE_MAX: Duration = Duration::from_secs(24 * 3600);
    /// Nobody plans a conversation for later than this; a slip of the keyboard does.
    pub const AHEAD_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

    /// At that time, with doors and beginning as they mostly are.
    ///
    /// # Errors
    /// [`Refusal::InThePast`] and [`Refusal::TooFarAhead`].
    pub fn new(now: SystemTime, starts: SystemTime) -> Result<Self, Refusal> {
        require_ahead(now, starts)?;
        Ok(Self { starts, doors_before: Self::DOORS_BEFORE, beginning: Beginning::default(), postponed: None })
    }

    /// When listeners may come.
    pub fn doors(&self) -> SystemTime {
        self.starts.checked_sub(self.doors_before).unwrap_or(self.starts)
    }
}

/// Whether something can be planned for that moment.
pub(crate) fn require_ahead(now: SystemTime, starts: SystemTime) -> Result<(), Refusal> {
    match starts.duration_since(now) {
        Err(_) => Err(Refusal::InThePast),
        Ok(ahead) if ahead > Schedule::AHEAD_MAX => Err(Refusal::TooFarAhead),
        Ok(_) => Ok(()),
    }
}
