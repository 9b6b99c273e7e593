//! The machine of one conversation: scheduled → live → ended → posted.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use crate::{Actor, Command, Event, Id, Language, Name, ParticipantId, Refusal, Title};

/// Seats on the stage: more voices than this is a crowd, not a conversation, and each costs a decoder.
pub const SPEAKERS_MAX: usize = 20;

/// Where a space is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Made, not begun.
    Scheduled,
    /// On since then.
    Live {
        /// When it began.
        started: SystemTime,
    },
    /// Over; no replay, or not yet.
    Ended {
        /// When it began.
        started: SystemTime,
        /// When it was over.
        ended: SystemTime,
    },
    /// Over, with a replay.
    Posted {
        /// When it began.
        started: SystemTime,
        /// When it was over.
        ended: SystemTime,
    },
}

/// Who may find and hear a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Everybody; it is listed.
    Public,
    /// Everybody who has the link.
    Unlisted,
    /// Whoever has a pass.
    Invited,
}

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

/// Somebody on the stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Who.
    pub id: ParticipantId,
    /// What to call them.
    pub name: Name,
}

/// What outlives a restart: everything but the stage, whose people come back by themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Which space.
    pub id: Id,
    /// What it is called.
    pub title: Title,
    /// What is mostly spoken, if told.
    pub language: Option<Language>,
    /// Who may hear it.
    pub audience: Audience,
    /// When it was made.
    pub created: SystemTime,
    /// Where it is in its life.
    pub phase: Phase,
    /// What becomes of the sound.
    pub recording: Recording,
}

/// One conversation. See the crate's documentation for how to run it.
#[derive(Debug)]
pub struct Space {
    facts: Facts,
    /// In the order of arrival; at most [`SPEAKERS_MAX`].
    stage: Vec<Participant>,
    speaking: Option<ParticipantId>,
    /// At most two per command, so it stays short as long as `poll` is drained.
    events: VecDeque<Event>,
}

impl Space {
    /// A space that is yet to start, recorded, its language unknown.
    pub fn new(id: Id, title: Title, audience: Audience, created: SystemTime) -> Self {
        Self::from_facts(Facts {
            id,
            title,
            language: None,
            audience,
            created,
            phase: Phase::Scheduled,
            recording: Recording::On,
        })
    }

    /// A space as it was before a restart, with an empty stage.
    pub fn from_facts(facts: Facts) -> Self {
        Self { facts, stage: Vec::new(), speaking: None, events: VecDeque::new() }
    }

    /// Obeys a command, or says which rule forbids it. Drain [`Space::poll`] afterwards.
    pub fn handle(&mut self, now: SystemTime, actor: Actor, command: Command) -> Result<(), Refusal> {
        let by_host = matches!(command, Command::Start | Command::End | Command::DeleteRecording);
        match (by_host, actor) {
            (true, Actor::Host | Actor::House) | (false, Actor::House) => {}
            (true, _) => return Err(Refusal::NotHost),
            (false, _) => return Err(Refusal::NotHouse),
        }
        match command {
            Command::Start => self.start(now),
            Command::End => self.end(now),
            Command::DeleteRecording => self.remove_recording(Recording::Deleted),
            Command::ExpireRecording => self.remove_recording(Recording::Expired { removed: now }),
            Command::Arrive { participant, name } => self.arrive(participant, name),
            Command::Depart { participant } => self.depart(&participant),
            Command::Hear { participant } => self.hear(participant),
            Command::PauseRecording => self.pause_recording(),
            Command::ResumeRecording => self.resume_recording(),
            Command::Post(replay) => self.post(replay),
            Command::GiveUpReplay => self.give_up_replay(),
        }
    }

    /// What happened, oldest first; `None` when all is told.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What outlives a restart.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Who is on the stage, in the order of arrival.
    pub fn stage(&self) -> &[Participant] {
        &self.stage
    }

    /// Who is heard now.
    pub fn speaking(&self) -> Option<&ParticipantId> {
        self.speaking.as_ref()
    }

    /// Whether people can speak now.
    pub fn require_live(&self) -> Result<(), Refusal> {
        match self.facts.phase {
            Phase::Live { .. } => Ok(()),
            Phase::Scheduled => Err(Refusal::NotStarted),
            Phase::Ended { .. } | Phase::Posted { .. } => Err(Refusal::AlreadyEnded),
        }
    }

    fn start(&mut self, now: SystemTime) -> Result<(), Refusal> {
        match self.facts.phase {
            Phase::Scheduled => {}
            Phase::Live { .. } => return Err(Refusal::AlreadyStarted),
            Phase::Ended { .. } | Phase::Posted { .. } => return Err(Refusal::AlreadyEnded),
        }
        self.facts.phase = Phase::Live { started: now };
        self.events.push_back(Event::Started);
        Ok(())
    }

    fn end(&mut self, now: SystemTime) -> Result<(), Refusal> {
        let started = match self.facts.phase {
            Phase::Live { started } => started,
            Phase::Scheduled => return Err(Refusal::NotStarted),
            Phase::Ended { .. } | Phase::Posted { .. } => return Err(Refusal::AlreadyEnded),
        };
        // A wall clock may have been set back meanwhile; a space does not end before it began.
        self.facts.phase = Phase::Ended { started, ended: now.max(started) };
        if matches!(self.facts.recording, Recording::On | Recording::Paused) {
            self.facts.recording = Recording::Sealing;
        }
        self.stage.clear();
        self.speaking = None;
        self.events.push_back(Event::Ended);
        Ok(())
    }

    fn remove_recording(&mut self, becomes: Recording) -> Result<(), Refusal> {
        match self.facts.phase {
            Phase::Scheduled => return Err(Refusal::NotStarted),
            Phase::Live { .. } => return Err(Refusal::StillLive),
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
        self.events.push_back(Event::RecordingDeleted);
        Ok(())
    }

    fn arrive(&mut self, id: ParticipantId, name: Name) -> Result<(), Refusal> {
        self.require_live()?;
        let full = self.stage.len() >= SPEAKERS_MAX;
        match self.stage.iter_mut().find(|participant| participant.id == id) {
            Some(participant) if participant.name == name => return Ok(()), // reconnected
            Some(participant) => participant.name = name,
            None if full => return Err(Refusal::StageFull),
            None => self.stage.push(Participant { id, name }),
        }
        self.events.push_back(Event::StageChanged);
        Ok(())
    }

    fn depart(&mut self, id: &ParticipantId) -> Result<(), Refusal> {
        let place = self.stage.iter().position(|participant| participant.id == *id).ok_or(Refusal::NotOnStage)?;
        self.stage.remove(place);
        if self.speaking.as_ref() == Some(id) {
            self.speaking = None;
            self.events.push_back(Event::SpeakingChanged);
        }
        self.events.push_back(Event::StageChanged);
        Ok(())
    }

    fn hear(&mut self, id: Option<ParticipantId>) -> Result<(), Refusal> {
        if let Some(id) = &id
            && !self.stage.iter().any(|participant| participant.id == *id)
        {
            return Err(Refusal::NotOnStage);
        }
        if self.speaking != id {
            self.speaking = id;
            self.events.push_back(Event::SpeakingChanged);
        }
        Ok(())
    }

    fn pause_recording(&mut self) -> Result<(), Refusal> {
        self.require_live()?;
        match self.facts.recording {
            Recording::On => {
                self.facts.recording = Recording::Paused;
                self.events.push_back(Event::RecordingChanged);
                Ok(())
            }
            Recording::Paused => Ok(()),
            _ => Err(Refusal::NoRecording),
        }
    }

    fn resume_recording(&mut self) -> Result<(), Refusal> {
        self.require_live()?;
        match self.facts.recording {
            Recording::Paused => {
                self.facts.recording = Recording::On;
                self.events.push_back(Event::RecordingChanged);
                Ok(())
            }
            Recording::On => Ok(()),
            _ => Err(Refusal::NoRecording),
        }
    }

    fn post(&mut self, replay: Replay) -> Result<(), Refusal> {
        let (started, ended) = self.sealing()?;
        self.facts.phase = Phase::Posted { started, ended };
        self.facts.recording = Recording::Replay(replay);
        self.events.push_back(Event::Posted);
        Ok(())
    }

    fn give_up_replay(&mut self) -> Result<(), Refusal> {
        self.sealing()?;
        self.facts.recording = Recording::Unsealed;
        self.events.push_back(Event::ReplayFailed);
        Ok(())
    }

    /// When the space whose replay is being made began and ended.
    fn sealing(&self) -> Result<(SystemTime, SystemTime), Refusal> {
        match (self.facts.phase, self.facts.recording) {
            (Phase::Scheduled, _) => Err(Refusal::NotStarted),
            (Phase::Live { .. }, _) => Err(Refusal::StillLive),
            (Phase::Ended { started, ended } | Phase::Posted { started, ended }, Recording::Sealing) => {
                Ok((started, ended))
            }
            (Phase::Ended { .. } | Phase::Posted { .. }, _) => Err(Refusal::NoRecording),
        }
    }
}

#[cfg(test)]
#[path = "space_test.rs"]
mod tests;
