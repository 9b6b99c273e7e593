//! Who is on the stage, and for whom a seat is kept. A restart empties it: people come back by themselves.

use std::time::{Duration, Instant};

use crate::ParticipantId;

/// Seats for speakers: more voices than this is a crowd, not a conversation, and each costs a decoder. Host and co-hosts have their own,
/// so that a full stage never shuts them out.
pub const SPEAKERS_MAX: usize = 20;
/// A seat is kept so long for whoever was called to it, and again for whoever has accepted: to find the button, and to let the browser
/// ask for the microphone.
pub const KEPT: Duration = Duration::from_secs(60);

/// How far somebody is on their way to the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// A seat is offered until then.
    Called {
        /// When it is offered to others again.
        until: Instant,
    },
    /// They said that they come.
    Coming {
        /// When they are thought to have gone.
        until: Instant,
    },
    /// Their sound flows.
    OnStage,
}

/// The seats that are taken or kept, in the order in which that began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stage(Vec<(ParticipantId, Presence)>);

impl Stage {
    pub(crate) fn presence(&self, id: &ParticipantId) -> Option<Presence> {
        self.0.iter().find(|(who, _)| who == id).map(|(_, presence)| *presence)
    }

    pub(crate) fn is_on(&self, id: &ParticipantId) -> bool {
        self.presence(id) == Some(Presence::OnStage)
    }

    /// Those whose sound flows, in the order of arrival.
    pub(crate) fn on(&self) -> impl Iterator<Item = &ParticipantId> {
        self.0.iter().filter(|(_, presence)| *presence == Presence::OnStage).map(|(id, _)| id)
    }

    /// Everybody for whom there is a seat.
    pub(crate) fn seats(&self) -> impl Iterator<Item = (&ParticipantId, Presence)> {
        self.0.iter().map(|(id, presence)| (id, *presence))
    }

    /// Takes or keeps a seat for somebody, behind those who have one.
    pub(crate) fn seat(&mut self, id: &ParticipantId, presence: Presence) {
        self.unseat(id);
        self.0.push((id.clone(), presence));
    }

    /// What they had.
    pub(crate) fn unseat(&mut self, id: &ParticipantId) -> Option<Presence> {
        let place = self.0.iter().position(|(who, _)| who == id)?;
        Some(self.0.remove(place).1)
    }

    /// The next moment at which a seat is kept no more.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.0.iter().filter_map(|(_, presence)| presence.until()).min()
    }

    /// Gives up the seats that were kept until now: whose they were, and how.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<(ParticipantId, Presence)> {
        self.0.extract_if(.., |(_, presence)| presence.until().is_some_and(|until| until <= now)).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Presence {
    fn until(self) -> Option<Instant> {
        match self {
            Self::Called { until } | Self::Coming { until } => Some(until),
            Self::OnStage => None,
        }
    }
}
