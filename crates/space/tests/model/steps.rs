//! What happens in a random life: which commands there are, who gives them, and how likely each is.

use std::time::Duration;

use hiwar_space::{Asking, CO_HOSTS_MAX, Command, Name, SPEAKERS_MAX, Schedule, Title, WINGS_MAX};
use proptest::prelude::*;

use super::{INVITED, PEOPLE, REPLAY, at, id, warrant};

/// The command of a number, about one of the people.
pub(super) fn command(which: u8, whom: usize, now: u64) -> Command {
    let name = || Name::parse("ليلى").expect("a name");
    let participant = id(whom);
    match which {
        0 => Command::Start,
        1 => Command::End,
        2 => Command::Postpone { starts: at((now + 700).saturating_sub(whom as u64 * 60)), reason: None },
        3 => Command::Cancel { reason: None },
        4 => Command::Retitle { title: Title::parse("u").expect("a title") },
        5 => Command::LetAsk(if whom < 8 { Asking::Nobody } else { Asking::Everybody }),
        6 => Command::Lock,
        7 => Command::Unlock,
        8 => Command::LowerHand,
        9 | 10 => Command::Accept,
        11 => Command::Decline,
        12 => Command::Unmute { participant },
        13 => Command::Mute { participant },
        14 => Command::MuteAll,
        15 | 16 => Command::Call { participant },
        17 => Command::Dismiss { participant },
        18 => Command::SendBack { participant },
        19 => Command::Remove { participant },
        20 => Command::Block { participant },
        21 => Command::Pardon { participant },
        PROMOTE | 23 => Command::MakeCoHost { participant },
        24 => Command::UnmakeCoHost { participant },
        25 => Command::HandOver { participant },
        26 => Command::DeleteRecording,
        27 => Command::ExpireRecording,
        28 => Command::Depart { participant },
        29 => Command::Hear { participant: Some(participant) },
        30 => Command::Hear { participant: None },
        31 => Command::PauseRecording,
        32 => Command::ResumeRecording,
        33 => Command::FinishReplay(REPLAY),
        34 => Command::GiveUpReplay,
        35 => Command::Postpone { starts: at(now) + Schedule::AHEAD_MAX * 2, reason: None },
        36..40 => Command::RaiseHand { name: name() },
        AGREE..46 => Command::Agree { name: name() },
        WAIT..53 => Command::Wait { participant, name: name(), warrant: warrant(whom) },
        POST | 67 => Command::Post { from: None, to: None },
        // From before its beginning to behind its end.
        68 => Command::Post { from: Some(Duration::from_secs(3 * whom as u64)), to: None },
        69 => Command::Post { from: None, to: Some(Duration::from_secs(3 * whom as u64)) },
        _ => Command::Arrive { participant, name: name(), warrant: warrant(whom) },
    }
}
const PROMOTE: u8 = 22;
const AGREE: u8 = 40;
const WAIT: u8 = 46;
const ARRIVE: u8 = 65;
const POST: u8 = 66;
const COMMANDS: u8 = 70;

/// One thing that happens: who asks, for what, about whom, and how many seconds later.
pub(super) type Step = (usize, u8, usize, u64);

/// Whether it is recorded, whether it is planned, whether it is reviewed, and what happens: first so many agree and come, some of them are made co-hosts, and others
/// wait to come; then anything.
pub(super) fn steps() -> impl Strategy<Value = (bool, bool, bool, Vec<Step>)> {
    let come = prop_oneof![Just(0usize), 15..=SPEAKERS_MAX];
    let wait = prop_oneof![Just(0usize), 4..=WINGS_MAX];
    (any::<bool>(), any::<bool>(), any::<bool>(), come, 0..=CO_HOSTS_MAX, wait, anything()).prop_map(
        |(recorded, planned, reviewed, come, promoted, wait, then)| {
            let waits = (INVITED - wait..INVITED).map(|who| (PEOPLE, WAIT, who, 0));
            let comes = |who| [(who, AGREE, 0, 0), (PEOPLE, ARRIVE, who, 0)];
            let promote = (1..=promoted).map(|who| (PEOPLE, PROMOTE, who, 0));
            let steps = (1..=come).flat_map(comes).chain(promote).chain(waits).chain(then).collect();
            (recorded, planned, reviewed, steps)
        },
    )
}

fn anything() -> impl Strategy<Value = Vec<Step>> {
    // The house and the host ask for much; the others are as many as they are.
    let by = prop_oneof![4 => Just(PEOPLE), 3 => Just(0usize), 5 => 0..PEOPLE];
    let later = prop_oneof![6 => Just(0u64), 2 => 1u64..70, 1 => 200u64..700];
    proptest::collection::vec((by, 0..COMMANDS, 0..PEOPLE, later), 0..50)
}
