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

impl Space {
    pub(super) fn remove_recording(&mut self, becomes: Recording) -> Result<(), Refusal> {
        match self.facts.phase {
            Phase::Scheduled | Phase::Open => return Err(Refusal::NotStarted),
            Phase::Live { .. } => return Err(Refusal::StillLive),
            Phase::Cancelled { .. } => return Err(Refusal::NoRecording),
            Phase::Ended { .. } | Phase::Posted { .. } => {}
        }
        match self.facts.recording {
            // Its maker still writes: what is deleted now would come back a second later.
            Recording::Sealing => return Err(Refusal::ReplayInTheMaking),
            Recording::Off | Recording::Deleted | Recording::Expired { .. } => return Err(Refusal::NoRecording),
            Recording::On | Recording::Paused | Recording::Unsealed | Recording::Replay(_) => {}
        }
        if let Phase::Posted { started, ended } = self.facts.phase {
            self.facts.phase = Phase::Ended { started, ended };
        }
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

    pub(super) fn post(&mut self, replay: Replay) -> Result<(), Refusal> {
        let (started, ended) = self.sealing()?;
        self.facts.phase = Phase::Posted { started, ended };
        self.facts.recording = Recording::Replay(replay);
        self.tell(Event::Posted);
        Ok(())
    }

    pub(super) fn give_up_replay(&mut self) -> Result<(), Refusal> {
        self.sealing()?;
        self.facts.recording = Recording::Unsealed;
        self.tell(Event::ReplayFailed);
        Ok(())
    }

    /// Whether everybody who speaks has to say first that they know that it is kept.
    pub fn is_recorded(&self) -> bool {
        matches!(self.facts.recording, Recording::On | Recording::Paused)
    }

    /// When the space whose replay is being made began and ended.
    fn sealing(&self) -> Result<(SystemTime, SystemTime), Refusal> {
        match (&self.facts.phase, self.facts.recording) {
            (Phase::Scheduled | Phase::Open, _) => Err(Refusal::NotStarted),
            (Phase::Live { .. }, _) => Err(Refusal::StillLive),
            (Phase::Ended { started, ended } | Phase::Posted { started, ended }, Recording::Sealing) => {
                Ok((*started, *ended))
            }
            (Phase::Ended { .. } | Phase::Posted { .. } | Phase::Cancelled { .. }, _) => Err(Refusal::NoRecording),
        }
    }
}
