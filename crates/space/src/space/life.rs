//! A space's way through its life, and what happens by the clock.

use super::*;
use crate::schedule::{self, Beginning, Postponement};

impl Space {
    pub(super) fn start(&mut self, now: Now) -> Result<(), Refusal> {
        match self.facts.phase {
            Phase::Scheduled => self.tell(Event::DoorsOpened),
            Phase::Open => {}
            Phase::Live { .. } => return Err(Refusal::AlreadyStarted),
            Phase::Ended { .. } | Phase::Posted { .. } => return Err(Refusal::AlreadyEnded),
            Phase::Cancelled { .. } => return Err(Refusal::Cancelled),
        }
        self.facts.phase = Phase::Live { started: now.wall };
        self.awaiting = false;
        self.tell(Event::Started);
        Ok(())
    }

    pub(super) fn end(&mut self, now: Now) -> Result<(), Refusal> {
        self.require_live()?;
        let Phase::Live { started } = self.facts.phase else { return Err(Refusal::NotStarted) };
        // A wall clock may have been set back meanwhile; a space does not end before it began.
        self.facts.phase = Phase::Ended { started, ended: now.wall.max(started) };
        if matches!(self.facts.recording, Recording::On | Recording::Paused) {
            self.facts.recording = Recording::Sealing;
        }
        self.leave_all();
        self.tell(Event::Ended);
        Ok(())
    }

    pub(super) fn cancel(&mut self, now: Now, reason: Option<Reason>) -> Result<(), Refusal> {
        self.require_to_come()?;
        self.facts.phase = Phase::Cancelled { cancelled: now.wall, reason };
        self.leave_all();
        self.tell(Event::Cancelled);
        Ok(())
    }

    /// Doors that are open stay so: nobody who came is sent out.
    pub(super) fn postpone(&mut self, now: Now, starts: SystemTime, reason: Option<Reason>) -> Result<(), Refusal> {
        self.require_to_come()?;
        schedule::require_ahead(now.wall, starts)?;
        let (from, doors_before, beginning) = match &self.facts.schedule {
            Some(schedule) => (Some(schedule.starts), schedule.doors_before, schedule.beginning),
            // It was to begin by hand, and does so still: only the time was not known.
            None => (None, Schedule::DOORS_BEFORE, Beginning::ByHand),
        };
        let postponed = Some(Postponement { from, reason });
        self.facts.schedule = Some(Schedule { starts, doors_before, beginning, postponed });
        self.awaiting = false;
        self.tell(Event::Postponed);
        Ok(())
    }

    pub(super) fn retitle(&mut self, title: Title) -> Result<(), Refusal> {
        self.require_ahead()?;
        if self.facts.title != title {
            self.facts.title = title;
            self.tell(Event::Retitled);
        }
        Ok(())
    }

    /// Does what is due, if anything is.
    pub(super) fn pass_time(&mut self, now: Now) {
        for (participant, presence) in self.stage.expire(now.steady) {
            // Who has accepted and is still on the way may come later; who waits for something does so no longer.
            let waits = self.wings.leave(&participant).is_some();
            if waits || matches!(presence, Presence::Called { .. }) {
                self.tell(Event::Unseated { participant });
            }
            self.tell(Event::StageChanged);
        }
        if let Some(schedule) = &self.facts.schedule {
            let (doors, starts, beginning) = (schedule.doors(), schedule.starts, schedule.beginning);
            if self.facts.phase == Phase::Scheduled && now.wall >= doors {
                self.facts.phase = Phase::Open;
                self.tell(Event::DoorsOpened);
            }
            if self.facts.phase == Phase::Open && beginning == Beginning::ByItself && now.wall >= starts {
                self.begin_or_await(now);
            }
        }
        self.mind_the_empty_stage(now);
        self.clear_wings();
    }

    /// When the time of day is one at which something is due, as far as is known now.
    pub(super) fn begins(&self, now: Now) -> Option<Instant> {
        let schedule = self.facts.schedule.as_ref()?;
        let moment = match self.facts.phase {
            Phase::Scheduled => schedule.doors(),
            Phase::Open if schedule.beginning == Beginning::ByItself && !self.awaiting => schedule.starts,
            _ => return None,
        };
        now.steady.checked_add(moment.duration_since(now.wall).unwrap_or_default())
    }

    /// When a live space ends because nobody came back to its stage.
    pub(super) fn empties(&self) -> Option<Instant> {
        self.empty_since?.checked_add(EMPTY_MAX)
    }

    fn begin_or_await(&mut self, now: Now) {
        if self.stage().any(|participant| participant.role >= Role::CoHost) {
            let _ = self.start(now);
        } else if !self.awaiting {
            self.awaiting = true;
            self.tell(Event::HostAwaited);
        }
    }

    fn mind_the_empty_stage(&mut self, now: Now) {
        let is_empty = self.require_live().is_ok() && self.stage.on().next().is_none();
        match self.empty_since {
            _ if !is_empty => self.empty_since = None,
            None => self.empty_since = Some(now.steady),
            Some(since) if now.steady.saturating_duration_since(since) >= EMPTY_MAX => {
                let _ = self.end(now);
                self.empty_since = None;
            }
            Some(_) => {}
        }
    }

    fn leave_all(&mut self) {
        self.stage.clear();
        self.wings.clear();
        self.hands.clear();
        self.speaking = None;
        self.awaiting = false;
    }

    /// Whether it has not begun yet, and will.
    ///
    /// # Errors
    /// [`Refusal::AlreadyStarted`], [`Refusal::AlreadyEnded`], [`Refusal::Cancelled`].
    pub fn require_to_come(&self) -> Result<(), Refusal> {
        match self.facts.phase {
            Phase::Scheduled | Phase::Open => Ok(()),
            Phase::Live { .. } => Err(Refusal::AlreadyStarted),
            Phase::Ended { .. } | Phase::Posted { .. } => Err(Refusal::AlreadyEnded),
            Phase::Cancelled { .. } => Err(Refusal::Cancelled),
        }
    }
}
