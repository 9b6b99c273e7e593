//! The machine of one conversation: scheduled → doors open → live → ended → posted, or cancelled.

mod life;
mod recording;
mod seats;
mod wings;

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use crate::hand::Hands;
use crate::rule::{Needs, Rank};
use crate::stage::Stage;
use crate::wings::Wings;
use crate::{
    Actor, Asking, Command, Event, Hand, Id, Language, Name, Now, Participant, ParticipantId, People, Place, Presence,
    Reason, Refusal, Role, Schedule, Title, Warrant,
};

pub use recording::{Posting, Recording, Replay, Stretch};

/// A live space with nobody on its stage ends after so long: enough for a host to find another network, or another device.
pub const EMPTY_MAX: Duration = Duration::from_secs(5 * 60);

/// Where a space is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Made; nobody may come yet.
    Scheduled,
    /// Listeners hear what comes before it, and the stage gathers.
    Open,
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
    /// It does not take place.
    Cancelled {
        /// Since when that is known.
        cancelled: SystemTime,
        /// Why, if told.
        reason: Option<Reason>,
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

/// What outlives a restart: everything but who is there and who asks, who come back by themselves.
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
    /// When it is to begin, if that was said. Without, its doors are open from the first, and it begins by hand.
    pub schedule: Option<Schedule>,
    /// Where it is in its life.
    pub phase: Phase,
    /// What becomes of the sound.
    pub recording: Recording,
    /// Whether the host hears the recording before others do, and has.
    pub posting: Posting,
    /// What is kept of it, if not all.
    pub trim: Option<Stretch>,
    /// Whom it knows, and what they are.
    pub people: People,
    /// Who may ask for the word.
    pub asking: Asking,
    /// Whether nobody comes to the stage whom no host calls.
    pub locked: bool,
}

/// One conversation. See the crate's documentation for how to run it.
#[derive(Debug)]
pub struct Space {
    facts: Facts,
    stage: Stage,
    wings: Wings,
    hands: Hands,
    speaking: Option<ParticipantId>,
    /// Since when a live space has had nobody on its stage.
    empty_since: Option<Instant>,
    /// Whether it was told that a host is awaited.
    awaiting: bool,
    /// At most a few for each seat and command, so it stays short as long as `poll` is drained.
    events: VecDeque<Event>,
}

impl Space {
    /// A space that is yet to start, recorded, its language unknown. With a `schedule` its doors are shut.
    pub fn new(id: Id, title: Title, audience: Audience, created: SystemTime, schedule: Option<Schedule>) -> Self {
        Self::from_facts(Facts {
            id,
            title,
            language: None,
            audience,
            created,
            phase: if schedule.is_some() { Phase::Scheduled } else { Phase::Open },
            schedule,
            recording: Recording::On,
            posting: Posting::default(),
            trim: None,
            people: People::default(),
            asking: Asking::default(),
            locked: false,
        })
    }

    /// A space as it was before a restart, with an empty stage.
    pub fn from_facts(facts: Facts) -> Self {
        Self {
            facts,
            stage: Stage::default(),
            wings: Wings::default(),
            hands: Hands::default(),
            speaking: None,
            empty_since: None,
            awaiting: false,
            events: VecDeque::new(),
        }
    }

    /// Obeys a command, or says which rule forbids it. Drain [`Space::poll`] afterwards, and ask for the [`Space::deadline`].
    pub fn handle(&mut self, now: Now, actor: Actor, command: Command) -> Result<(), Refusal> {
        let rank = self.rank(&actor);
        let who = match actor {
            Actor::House => None,
            Actor::Person { id, warrant } => Some((id, warrant)),
        };
        let is_own = match &command {
            Command::Mute { participant } => who.as_ref().is_some_and(|(id, _)| id == participant),
            _ => false,
        };
        let host_is_there = self.facts.people.host().is_some_and(|host| self.stage.is_on(&host.id));
        Needs::of(&command).allow(rank, is_own, host_is_there)?;
        let done = match command {
            Command::Start => self.start(now),
            Command::End => self.end(now),
            Command::Postpone { starts, reason } => self.postpone(now, starts, reason),
            Command::Cancel { reason } => self.cancel(now, reason),
            Command::Retitle { title } => self.retitle(title),
            Command::LetAsk(asking) => self.let_ask(asking),
            Command::Lock => self.lock(true),
            Command::Unlock => self.lock(false),
            Command::Agree { name } => self.agree(who, name),
            Command::RaiseHand { name } => self.raise_hand(who, name),
            Command::LowerHand => self.lower_hand(who),
            Command::Accept => self.accept(now, who),
            Command::Decline => self.decline(who),
            Command::Unmute { participant } => self.unmute(who, &participant),
            Command::Mute { participant } => self.mute(rank, is_own, &participant),
            Command::MuteAll => self.mute_all(rank, who),
            Command::Call { participant } => self.call(now, &participant),
            Command::Dismiss { participant } => self.dismiss(&participant),
            Command::SendBack { participant } => self.send_back(rank, &participant),
            Command::Remove { participant } => self.send_away(rank, &participant, crate::Standing::Removed),
            Command::Block { participant } => self.send_away(rank, &participant, crate::Standing::Blocked),
            Command::Pardon { participant } => self.pardon(&participant),
            Command::MakeCoHost { participant } => self.make_co_host(&participant),
            Command::UnmakeCoHost { participant } => self.unmake_co_host(&participant),
            Command::HandOver { participant } => self.hand_over(&participant),
            Command::Post { from, to } => self.post(from, to),
            Command::DeleteRecording => self.remove_recording(Recording::Deleted),
            Command::TimePasses => Ok(()),
            Command::Arrive { participant, name, warrant } => self.arrive(participant, name, warrant),
            Command::Wait { participant, name, warrant } => self.wait(participant, name, warrant),
            Command::Depart { participant } => self.depart(&participant),
            Command::Hear { participant } => self.hear(participant),
            Command::PauseRecording => self.pause_recording(),
            Command::ResumeRecording => self.resume_recording(),
            Command::FinishReplay(replay) => self.finish_replay(replay),
            Command::GiveUpReplay => self.give_up_replay(),
            Command::ExpireRecording => self.remove_recording(Recording::Expired { removed: now.wall }),
        };
        if done.is_ok() {
            self.pass_time(now);
        }
        done
    }

    /// What happened, oldest first; `None` when all is told.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Command::TimePasses`] is due; `None` if nothing is. What was agreed for a time of day moves when somebody sets the clock:
    /// ask again after each command, and at least once a second.
    pub fn deadline(&self, now: Now) -> Option<Instant> {
        [self.begins(now), self.empties(), self.stage.deadline()].into_iter().flatten().min()
    }

    /// What outlives a restart.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Who is on the stage, in the order of arrival.
    pub fn stage(&self) -> impl Iterator<Item = &Participant> {
        self.stage.on().filter_map(|id| self.facts.people.find(id))
    }

    /// How far somebody is on their way to the stage.
    pub fn presence(&self, id: &ParticipantId) -> Option<Presence> {
        self.stage.presence(id)
    }

    /// Who asks for the word, the first first.
    pub fn hands(&self) -> impl Iterator<Item = &Hand> {
        self.hands.iter()
    }

    /// How many ask before somebody; `None` if they do not ask.
    pub fn place(&self, id: &ParticipantId) -> Option<usize> {
        self.hands.place(id)
    }

    /// Who is heard now.
    pub fn speaking(&self) -> Option<&ParticipantId> {
        self.speaking.as_ref()
    }

    /// Whether it is time, and a host is awaited.
    pub fn awaits_host(&self) -> bool {
        self.awaiting
    }

    /// What somebody with such a pass is here.
    pub fn role(&self, id: &ParticipantId, warrant: Warrant) -> Role {
        match (self.facts.people.find(id), warrant) {
            (Some(known), _) => known.role,
            // The spaces of earlier versions did not know who their host is: whoever has the pass is.
            (None, Warrant::Host) if self.facts.people.host().is_none() => Role::Host,
            (None, Warrant::Host | Warrant::Speak) => Role::Speaker,
            (None, Warrant::Listen) => Role::Listener,
        }
    }

    /// Whether it is on.
    pub fn require_live(&self) -> Result<(), Refusal> {
        match self.facts.phase {
            Phase::Live { .. } => Ok(()),
            Phase::Scheduled | Phase::Open => Err(Refusal::NotStarted),
            Phase::Ended { .. } | Phase::Posted { .. } => Err(Refusal::AlreadyEnded),
            Phase::Cancelled { .. } => Err(Refusal::Cancelled),
        }
    }

    /// Whether people can come, to listen or to the stage.
    pub fn require_open(&self) -> Result<(), Refusal> {
        match self.facts.phase {
            Phase::Open | Phase::Live { .. } => Ok(()),
            Phase::Scheduled => Err(Refusal::DoorsShut),
            Phase::Ended { .. } | Phase::Posted { .. } => Err(Refusal::AlreadyEnded),
            Phase::Cancelled { .. } => Err(Refusal::Cancelled),
        }
    }

    /// Whether it is not over.
    fn require_ahead(&self) -> Result<(), Refusal> {
        match self.facts.phase {
            Phase::Scheduled => Ok(()),
            _ => self.require_open(),
        }
    }

    fn rank(&self, actor: &Actor) -> Rank {
        match actor {
            Actor::House => Rank::House,
            Actor::Person { id, warrant } => Rank::Person(self.role(id, *warrant)),
        }
    }

    fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }
}

#[cfg(test)]
mod tests;
