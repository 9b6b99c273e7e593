//! Who may ask for what, whatever the hour: the one table of it. What else a command needs is beside what it does.

use crate::{Command, Refusal, Role};

/// What somebody has to be to ask for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: it is about themselves.
    Nothing,
    /// Nothing if it is about themselves, and to be a co-host if not.
    ThemselvesOrCoHost,
    /// To be host or co-host.
    CoHost,
    /// To be the host; or a co-host while the host is not on the stage.
    HostOrStandIn,
    /// To be the host.
    Host,
    /// To be the house.
    House,
}

/// Who asks, as far as rules care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// Somebody, and what they are here.
    Person(Role),
    /// The house may all that any person may, but what one can only do for oneself.
    House,
}

impl Needs {
    pub(crate) fn of(command: &Command) -> Self {
        match command {
            Command::Agree { .. }
            | Command::RaiseHand { .. }
            | Command::LowerHand
            | Command::Accept
            | Command::Decline
            | Command::Unmute { .. } => Self::Nothing,
            Command::Mute { .. } => Self::ThemselvesOrCoHost,
            Command::Start
            | Command::Retitle { .. }
            | Command::LetAsk(_)
            | Command::Lock
            | Command::Unlock
            | Command::MuteAll
            | Command::Call { .. }
            | Command::Dismiss { .. }
            | Command::SendBack { .. }
            | Command::Remove { .. }
            | Command::Block { .. }
            | Command::Pardon { .. } => Self::CoHost,
            Command::End => Self::HostOrStandIn,
            Command::Postpone { .. }
            | Command::Cancel { .. }
            | Command::MakeCoHost { .. }
            | Command::UnmakeCoHost { .. }
            | Command::HandOver { .. }
            | Command::Post { .. }
            | Command::DeleteRecording => Self::Host,
            Command::TimePasses
            | Command::Arrive { .. }
            | Command::Wait { .. }
            | Command::Depart { .. }
            | Command::Hear { .. }
            | Command::PauseRecording
            | Command::ResumeRecording
            | Command::FinishReplay(_)
            | Command::GiveUpReplay
            | Command::ExpireRecording => Self::House,
        }
    }

    /// Whether somebody of that rank may ask. `is_own`: it is about themselves. `host_is_there`: the host is on the stage.
    pub(crate) fn allow(self, rank: Rank, is_own: bool, host_is_there: bool) -> Result<(), Refusal> {
        let is_at_least = |role| rank >= Rank::Person(role);
        match self {
            Self::Nothing => Ok(()),
            Self::ThemselvesOrCoHost if is_own || is_at_least(Role::CoHost) => Ok(()),
            Self::CoHost if is_at_least(Role::CoHost) => Ok(()),
            Self::HostOrStandIn if is_at_least(if host_is_there { Role::Host } else { Role::CoHost }) => Ok(()),
            Self::Host if is_at_least(Role::Host) => Ok(()),
            Self::House if rank == Rank::House => Ok(()),
            Self::ThemselvesOrCoHost | Self::CoHost => Err(Refusal::NotCoHost),
            Self::HostOrStandIn | Self::Host => Err(Refusal::NotHost),
            Self::House => Err(Refusal::NotHouse),
        }
    }
}
