//! What is asked of a space, and by whom.

use std::time::{Duration, SystemTime};

use crate::{Asking, Name, ParticipantId, Reason, Replay, Title};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// The house itself: reports what happened in the studio, and speaks for whoever runs it.
    House,
    /// Somebody who has shown a pass. What they may do is the space's to say: roles change, passes do not.
    Person {
        /// Who.
        id: ParticipantId,
        /// What their pass is for.
        warrant: Warrant,
    },
}

/// What somebody's pass is for: it decides about those whom the space has not met yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Warrant {
    /// To hear, and to ask for the word.
    Listen,
    /// To speak: they came by a link that somebody gave them.
    Speak,
    /// To host.
    Host,
}

/// What is asked. Where `participant` stands, it is whom the command is about; whom it comes from is the [`Actor`].
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Begin now. By a host or co-host, once.
    Start,
    /// Finish for all. By the host, once.
    End,
    /// Begin at another time. By the host, before it begins.
    Postpone {
        /// When it is to begin.
        starts: SystemTime,
        /// What the audience is told.
        reason: Option<Reason>,
    },
    /// It will not take place. By the host, before it begins.
    Cancel {
        /// What the audience is told.
        reason: Option<Reason>,
    },
    /// Call it something else. By a host or co-host, until it is over.
    Retitle {
        /// What it is called from now on.
        title: Title,
    },
    /// Say who may ask for the word. By a host or co-host.
    LetAsk(Asking),
    /// Nobody comes to the stage whom no host calls. By a host or co-host.
    Lock,
    /// Whoever has a pass to speak may come again. By a host or co-host.
    Unlock,

    /// "I know that this is recorded." By whoever is to speak.
    Agree {
        /// What to call them.
        name: Name,
    },
    /// Ask for the word. By anybody who is not on the stage.
    RaiseHand {
        /// What to call them.
        name: Name,
    },
    /// Ask no more. By whoever asked.
    LowerHand,
    /// Take the seat that was offered. By whoever was called.
    Accept,
    /// Leave the seat that was offered. By whoever was called.
    Decline,
    /// Speak again. By whoever was muted, and by nobody else.
    Unmute {
        /// Who.
        participant: ParticipantId,
    },

    /// Silence somebody. By themselves, or by a host or co-host.
    Mute {
        /// Who.
        participant: ParticipantId,
    },
    /// Silence everybody whom the one who asks may silence, but themselves. By a host or co-host.
    MuteAll,
    /// Offer a seat to somebody who asked for the word, or who was on the stage. By a host or co-host.
    Call {
        /// Who.
        participant: ParticipantId,
    },
    /// Take a hand down. By a host or co-host.
    Dismiss {
        /// Who.
        participant: ParticipantId,
    },
    /// Back to the audience: they may ask again. By a host or co-host.
    SendBack {
        /// Who.
        participant: ParticipantId,
    },
    /// Off the stage: they may not ask again. By a host or co-host.
    Remove {
        /// Who.
        participant: ParticipantId,
    },
    /// The same, and out: what else depends on their pass is over as well. By a host or co-host.
    Block {
        /// Who.
        participant: ParticipantId,
    },
    /// Take back a removal or a block. By a host or co-host.
    Pardon {
        /// Who.
        participant: ParticipantId,
    },
    /// Let somebody on the stage host, too. By the host.
    MakeCoHost {
        /// Who.
        participant: ParticipantId,
    },
    /// Let them speak only. By the host.
    UnmakeCoHost {
        /// Who.
        participant: ParticipantId,
    },
    /// Let somebody on the stage be the host instead. By the host.
    HandOver {
        /// Who.
        participant: ParticipantId,
    },
    /// Let everybody hear the recording that was to be reviewed: all of it, or this stretch. By the host.
    Post {
        /// Where it is to begin; without, where it does.
        from: Option<Duration>,
        /// Where it is to end; without, where it does.
        to: Option<Duration>,
    },
    /// Remove what was recorded, for good. By the host, after the end.
    DeleteRecording,

    /// Time has passed: do what is due. By the house, at [`crate::Space::deadline`].
    TimePasses,
    /// Somebody's sound flows. By the house.
    Arrive {
        /// Who.
        participant: ParticipantId,
        /// What to call them.
        name: Name,
        /// What their pass is for.
        warrant: Warrant,
    },
    /// Somebody is connected who would wait in the wings until they have said that they come. By the house.
    Wait {
        /// Who.
        participant: ParticipantId,
        /// What to call them.
        name: Name,
        /// What their pass is for.
        warrant: Warrant,
    },
    /// Somebody's sound stopped, or they wait no more. By the house.
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
    /// The replay is made. By the house.
    FinishReplay(Replay),
    /// No replay could be made. By the house.
    GiveUpReplay,
    /// Remove what was recorded, for it is older, or there is more of it, than whoever runs the house keeps. By the house, after the end.
    ExpireRecording,
}
