//! What is asked of a space, and by whom.

use crate::{Name, ParticipantId, Replay};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// Holds a host's pass for this space.
    Host,
    /// Speaks in this space.
    Speaker,
    /// Hears this space, or found its link.
    Listener,
    /// The house itself: reports what happened in the studio.
    House,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Begin. By a host, once.
    Start,
    /// Finish for all. By a host, once.
    End,
    /// Remove what was recorded, for good. By a host, after the end.
    DeleteRecording,
    /// Somebody's sound flows. By the house.
    Arrive {
        /// Who.
        participant: ParticipantId,
        /// What to call them.
        name: Name,
    },
    /// Somebody's sound stopped. By the house.
    Depart {
        /// Who.
        participant: ParticipantId,
    },
    /// Somebody else, or nobody, is heard now. By the house.
    Hear {
        /// Who, if anybody.
        participant: Option<ParticipantId>,
    },
    /// The disk takes no more; live goes on. By the house.
    PauseRecording,
    /// The disk takes records again. By the house.
    ResumeRecording,
    /// The replay can be heard. By the house.
    Post(Replay),
    /// No replay could be made. By the house.
    GiveUpReplay,
    /// Remove what was recorded, for it is older, or there is more of it, than whoever runs the house keeps. By the house, after the end.
    ExpireRecording,
}
