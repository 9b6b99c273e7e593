//! What happened in a space, for whoever runs it to act on.

use crate::ParticipantId;

/// One thing that happened. The facts are asked of the [`crate::Space`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Listeners may come: put it on the air.
    DoorsOpened,
    /// It is time, and no host is on the stage: it begins when one comes.
    HostAwaited,
    /// It is to begin at another time.
    Postponed,
    /// It will not take place: tell everybody, and take it off the air.
    Cancelled,
    /// It is called something else.
    Retitled,
    /// It is live: open the log, if it is recorded, and tell everybody.
    Started,
    /// It is over: stop the sound, close the log and make the replay, if it was recorded.
    Ended,
    /// Somebody came to the stage or left it, or is something else there.
    StageChanged,
    /// What outlives a restart of who may do what has changed: keep the facts.
    RolesChanged,
    /// Somebody asks for the word, or does no more.
    HandsChanged,
    /// A seat is offered to somebody: tell them.
    Called {
        /// Who.
        participant: ParticipantId,
    },
    /// Somebody who waited in the wings is on the stage: they are heard now, unless they are muted.
    Seated {
        /// Who.
        participant: ParticipantId,
    },
    /// Somebody's seat is gone, or they may not wait in the wings any more: their connection ends now.
    Unseated {
        /// Who.
        participant: ParticipantId,
    },
    /// Whatever pass they hold is worth nothing here any more.
    Blocked {
        /// Who.
        participant: ParticipantId,
    },
    /// Somebody's sound is not to be heard now.
    Muted {
        /// Who.
        participant: ParticipantId,
    },
    /// It is to be heard again.
    Unmuted {
        /// Who.
        participant: ParticipantId,
    },
    /// Somebody else, or nobody, is heard.
    SpeakingChanged,
    /// Recording is paused, or goes on.
    RecordingChanged,
    /// The replay is made, and waits for the host's word: whoever hosts can hear it, and nobody else.
    ReviewDue,
    /// Make the replay, of the stretch that is to be kept.
    ReplayWanted,
    /// The replay can be heard.
    Posted,
    /// No replay will come.
    ReplayFailed,
    /// Remove log and replay.
    RecordingDeleted,
}
