//! What becomes of the sound.

use super::*;

/// What becomes of the sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Recording {
    /// Not kept beyond what late listeners need.
    Off,
    /// Kept, from the start to the end.
    On,
    /// To be kept, but the disk takes nothing now.
    Paused,
    /// Kept; the replay is being made.
    Sealing,
    /// Kept; no replay could be made of it.
    Unsealed,
    /// Kept, and to be heard by whoever hosts: others do when the host has said so.
    Review(Replay),
    /// Kept, and to be heard.
    Replay(Replay),
    /// Removed by a host.
    Deleted,
    /// Removed by the house, which keeps no more of the past than it was told to.
    Expired {
        /// When.
        removed: SystemTime,
    },
}

/// What is known of a replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replay {
    /// How long it is.
    pub duration: Duration,
    /// Integrated loudness in LUFS (ITU-R BS.1770).
    pub loudness_lufs: f32,
}

/// When a recording is posted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Posting {
    /// As soon as its replay is made.
    #[default]
    AtOnce,
    /// When the host has heard it.
    AfterReview,
    /// The host has heard it: as soon as its replay is made.
    Reviewed,
}

/// A part of a recording, in the time of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stretch {
    /// Where it begins.
    pub from: Duration,
    /// Where it ends.
    pub to: Duration,
}

impl Stretch {
    /// The shortest that is posted: five chunks, so that whatever falls beside the edges of chunks leaves something to hear.
    pub const MIN: Duration = Duration::from_secs(1);
}

impl Space {
    pub(super) fn remove_recording(&mut self, becomes: Recording) -> Result<(), Refusal> {
        let (started, ended) = self.over()?;
        match self.facts.recording {
            // Its maker still writes: what is deleted now would come back a second later.
            Recording::Sealing => return Err(Refusal::ReplayInTheMaking),
            Recording::Off | Recording::Deleted | Recording::Expired { .. } => return Err(Refusal::NoRecording),
            Recording::On | Recording::Paused | Recording::Unsealed | Recording::Review(_) | Recording::Replay(_) => {}
        }
        self.facts.phase = Phase::Ended { started, ended };
        self.facts.recording = becomes;
        self.tell(Event::RecordingDeleted);
        Ok(())
    }

    pub(super) fn pause_recording(&mut self) -> Result<(), Refusal> {
        self.require_live()?;
        match self.facts.recording {
            Recording::On => {
                self.facts.recording = Recording::Paused;
                self.tell(Event::RecordingChanged);
                Ok(())
            }
            Recording::Paused => Ok(()),
            _ => Err(Refusal::NoRecording),
        }
    }

    pub(super) fn resume_recording(&mut self) -> Result<(), Refusal> {
        self.require_live()?;
        match self.facts.recording {
            Recording::Paused => {
                self.facts.recording = Recording::On;
                self.tell(Event::RecordingChanged);
                Ok(())
            }
            Recording::On => Ok(()),
            _ => Err(Refusal::NoRecording),
        }
    }

    pub(super) fn finish_replay(&mut self, replay: Replay) -> Result<(), Refusal> {
        let (started, ended) = self.sealing()?;
        if self.facts.posting == Posting::AfterReview {
            self.facts.recording = Recording::Review(replay);
            self.tell(Event::ReviewDue);
        } else {
            self.facts.phase = Phase::Posted { started, ended };
            self.facts.recording = Recording::Replay(replay);
            self.tell(Event::Posted);
        }
        Ok(())
    }

    pub(super) fn post(&mut self, from: Option<Duration>, to: Option<Duration>) -> Result<(), Refusal> {
        let (started, ended) = self.over()?;
        let replay = match self.facts.recording {
            Recording::Review(replay) => replay,
            Recording::Sealing => return Err(Refusal::ReplayInTheMaking),
            Recording::Off | Recording::Deleted | Recording::Expired { .. } => return Err(Refusal::NoRecording),
            Recording::On | Recording::Paused | Recording::Unsealed | Recording::Replay(_) => {
                return Err(Refusal::NotInReview);
            }
        };
        let whole = Stretch { from: Duration::ZERO, to: replay.duration };
        let kept = Stretch { from: from.unwrap_or(whole.from), to: to.unwrap_or(whole.to) };
        if kept.from > whole.to || kept.to > whole.to {
            return Err(Refusal::OutsideRecording);
        }
        // What is short as a whole can be posted as a whole.
        if kept != whole && kept.to < kept.from.saturating_add(Stretch::MIN) {
            return Err(Refusal::TooShort);
        }
        self.facts.posting = Posting::Reviewed;
        if kept == whole {
            self.facts.phase = Phase::Posted { started, ended };
            self.facts.recording = Recording::Replay(replay);
            self.tell(Event::Posted);
        } else {
            self.facts.trim = Some(kept);
            self.facts.recording = Recording::Sealing;
            self.tell(Event::ReplayWanted);
        }
        Ok(())
    }

    pub(super) fn give_up_replay(&mut self) -> Result<(), Refusal> {
        self.sealing()?;
        if self.facts.trim.take().is_some() {
            // There was a whole before, and there will be again: the host chooses anew.
            self.facts.posting = Posting::AfterReview;
            self.tell(Event::ReplayWanted);
        } else {
            self.facts.recording = Recording::Unsealed;
            self.tell(Event::ReplayFailed);
        }
        Ok(())
    }

    /// Whether everybody who speaks has to say first that they know that it is kept.
    pub fn is_recorded(&self) -> bool {
        matches!(self.facts.recording, Recording::On | Recording::Paused)
    }

    /// Whether only whoever hosts may hear the recording, be it made or not.
    pub fn is_under_review(&self) -> bool {
        matches!(self.facts.phase, Phase::Ended { .. }) && self.facts.posting != Posting::AtOnce
    }

    /// When the space whose replay is being made began and ended.
    fn sealing(&self) -> Result<(SystemTime, SystemTime), Refusal> {
        let over = self.over()?;
        if self.facts.recording == Recording::Sealing { Ok(over) } else { Err(Refusal::NoRecording) }
    }

    /// When the space, which is over, began and ended.
    fn over(&self) -> Result<(SystemTime, SystemTime), Refusal> {
        match &self.facts.phase {
            Phase::Scheduled | Phase::Open => Err(Refusal::NotStarted),
            Phase::Live { .. } => Err(Refusal::StillLive),
            Phase::Cancelled { .. } => Err(Refusal::NoRecording),
            Phase::Ended { started, ended } | Phase::Posted { started, ended } => Ok((*started, *ended)),
        }
    }
}
