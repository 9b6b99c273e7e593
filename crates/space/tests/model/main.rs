//! The machine beside a model of it: random commands by everybody in every phase, 100,000 times, by one seed.
//!
//! The model is the rules as one would read them out: for each command a list of what forbids it, in the order in which it is
//! said. It keeps arrays for thirty-two people, knows nothing of events, and is compared in what it allows, why it refuses, and how everything
//! stands in the end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hiwar_space::{
    Actor, Asking, Audience, Beginning, CO_HOSTS_MAX, Command, EMPTY_MAX, Event, Facts, Id, KEPT, Now, ParticipantId,
    Phase, Posting, Presence, Recording, Refusal, Replay, Role, SPEAKERS_MAX, Schedule, Space, Standing, Stretch,
    Title, WINGS_MAX, Warrant,
};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use proptest::{prop_assert, prop_assert_eq};

mod steps;

use steps::{Step, command, steps};

const PEOPLE: usize = 32;
/// 0 comes with a pass to host, those up to here with a pass to speak, the others with one to listen.
const INVITED: usize = 27;
const REPLAY: Replay = Replay { duration: Duration::from_secs(60), loudness_lufs: -18.0 };

#[derive(Clone, Copy, Debug, PartialEq)]
enum Life {
    Scheduled,
    Open,
    Live,
    Over,
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Seat {
    Called(u64),
    Coming(u64),
    On,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct One {
    known: bool,
    role: Role,
    standing: Standing,
    muted: bool,
    agreed: bool,
    met: bool,
    seat: Option<Seat>,
    /// In the wings.
    waits: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Model {
    life: Life,
    people: [One; PEOPLE],
    hands: Vec<usize>,
    locked: bool,
    asking: Asking,
    sealed: Recording,
    posting: Posting,
    trim: Option<Stretch>,
    posted: bool,
    /// In seconds, and whether it begins by itself.
    starts: Option<(u64, bool)>,
    empty_since: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum By {
    House,
    One(usize),
}

fn warrant(who: usize) -> Warrant {
    match who {
        0 => Warrant::Host,
        1..INVITED => Warrant::Speak,
        _ => Warrant::Listen,
    }
}

fn id(who: usize) -> ParticipantId {
    ParticipantId::parse(&format!("p{who}")).expect("an id")
}

fn who(id: &ParticipantId) -> usize {
    id.as_str()[1..].parse().expect("one of ours")
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// What forbids a command, in the order in which it is said.
type Rules = Vec<(bool, Refusal)>;

impl Model {
    fn new(starts: Option<(u64, bool)>, recording: Recording, posting: Posting) -> Self {
        let stranger = One {
            known: false,
            role: Role::Listener,
            standing: Standing::Welcome,
            muted: false,
            agreed: false,
            met: false,
            seat: None,
            waits: false,
        };
        Self {
            life: if starts.is_some() { Life::Scheduled } else { Life::Open },
            people: [stranger; PEOPLE],
            hands: Vec::new(),
            locked: false,
            asking: Asking::Everybody,
            sealed: recording,
            posting,
            trim: None,
            posted: false,
            starts,
            empty_since: None,
        }
    }

    fn host(&self) -> Option<usize> {
        self.people.iter().position(|one| one.role == Role::Host)
    }

    fn co_hosts(&self) -> usize {
        self.people.iter().filter(|one| one.role == Role::CoHost).count()
    }

    fn role(&self, who: usize) -> Role {
        match (self.people[who].known, warrant(who)) {
            (true, _) => self.people[who].role,
            (false, Warrant::Host) if self.host().is_none() => Role::Host,
            (false, Warrant::Host | Warrant::Speak) => Role::Speaker,
            (false, Warrant::Listen) => Role::Listener,
        }
    }

    fn is_on(&self, who: usize) -> bool {
        self.people[who].seat == Some(Seat::On)
    }

    fn is_full(&self) -> bool {
        self.people.iter().filter(|one| one.seat.is_some() && one.role < Role::CoHost).count() >= SPEAKERS_MAX
    }

    fn is_over(&self) -> Rules {
        vec![(self.life == Life::Over, Refusal::AlreadyEnded), (self.life == Life::Cancelled, Refusal::Cancelled)]
    }

    fn is_shut(&self) -> Rules {
        [self.is_over(), vec![(self.life == Life::Scheduled, Refusal::DoorsShut)]].concat()
    }

    fn is_away(&self, who: usize) -> Rules {
        let standing = self.people[who].standing;
        vec![(standing == Standing::Removed, Refusal::Removed), (standing == Standing::Blocked, Refusal::Blocked)]
    }

    /// What keeps somebody from the stage, but their own word.
    fn is_kept_off(&self, who: usize) -> Rules {
        let is_new = self.people[who].seat.is_none() && self.role(who) == Role::Speaker;
        vec![
            (is_new && self.locked && !self.people[who].known, Refusal::StageLocked),
            (is_new && self.is_full(), Refusal::StageFull),
        ]
    }

    /// Whether somebody who is connected has still to say that they come.
    fn owes_word(&self, who: usize) -> bool {
        let recorded = matches!(self.sealed, Recording::On | Recording::Paused);
        matches!(self.people[who].seat, Some(Seat::Called(_))) || recorded && !self.people[who].agreed
    }

    /// What keeps somebody out of the wings. A call lets them in.
    fn may_not_wait(&self, who: usize) -> Rules {
        if matches!(self.people[who].seat, Some(Seat::Called(_))) {
            return Vec::new();
        }
        let no_part = vec![(self.role(who) == Role::Listener, Refusal::NotCalled)];
        [self.is_shut(), self.is_away(who), no_part, self.is_kept_off(who)].concat()
    }

    /// Whether somebody may do something to somebody else.
    fn is_above(&self, by: By, whom: usize) -> bool {
        match by {
            By::House => true,
            By::One(who) => self.role(who) > self.role_if_known(whom),
        }
    }

    fn role_if_known(&self, who: usize) -> Role {
        if self.people[who].known { self.people[who].role } else { Role::Listener }
    }

    fn rules(&self, by: By, command: &Command, now: u64) -> Rules {
        use Refusal as R;
        let own = match by {
            By::House => None,
            By::One(who) => Some(who),
        };
        let least = |role, why| vec![(own.is_some_and(|who| self.role(who) < role), why)];
        let host = || least(Role::Host, R::NotHost);
        let co_host = || least(Role::CoHost, R::NotCoHost);
        let house = || vec![(own.is_some(), R::NotHouse)];
        let themselves = || vec![(own.is_none(), R::NotThemselves)];
        let self_ = own.unwrap_or(0);
        let me = &self.people[self_];
        let to_come = || [self.is_over(), vec![(self.life == Life::Live, R::AlreadyStarted)]].concat();
        let live = || [self.is_over(), vec![(self.life != Life::Live, R::NotStarted)]].concat();
        let not_above = |whom: usize| vec![(!self.is_above(by, whom), R::NotBelow)];
        let recorded = matches!(self.sealed, Recording::On | Recording::Paused);
        match command {
            Command::Start => [co_host(), self.is_over(), vec![(self.life == Life::Live, R::AlreadyStarted)]].concat(),
            Command::End => {
                let stands_in = !self.host().is_some_and(|host| self.is_on(host));
                [least(if stands_in { Role::CoHost } else { Role::Host }, R::NotHost), live()].concat()
            }
            Command::Cancel { .. } => [host(), to_come()].concat(),
            Command::Postpone { starts, .. } => {
                let far = at(now) + Schedule::AHEAD_MAX;
                [host(), to_come(), vec![(*starts < at(now), R::InThePast), (*starts > far, R::TooFarAhead)]].concat()
            }
            Command::Retitle { .. } | Command::LetAsk(_) | Command::Lock | Command::Unlock => {
                [co_host(), self.is_over()].concat()
            }
            Command::Agree { .. } => {
                let has_no_part = self.role(self_) == Role::Listener && me.seat.is_none();
                let is_stranger = !me.known && self.role(self_) == Role::Speaker;
                let rest = vec![(has_no_part, R::NotCalled), (self.locked && is_stranger, R::StageLocked)];
                [themselves(), self.is_over(), self.is_away(self_), rest].concat()
            }
            Command::RaiseHand { .. } => {
                let is_new = !self.hands.contains(&self_);
                let rest = vec![
                    (me.seat.is_some(), R::AlreadyOnStage),
                    (is_new && self.asking == Asking::Nobody, R::AskingClosed),
                ];
                [themselves(), self.is_shut(), self.is_away(self_), rest].concat()
            }
            Command::LowerHand => [themselves(), vec![(!self.hands.contains(&self_), R::NoHand)]].concat(),
            Command::Accept => {
                let called = matches!(me.seat, Some(Seat::Called(_)));
                let rest = vec![(me.seat.is_none(), R::NotCalled), (!called, R::AlreadyOnStage)];
                [themselves(), rest].concat()
            }
            Command::Decline => {
                let rest = vec![(me.seat.is_none(), R::NotCalled), (me.seat == Some(Seat::On), R::AlreadyOnStage)];
                [themselves(), rest].concat()
            }
            Command::Unmute { participant } => {
                let whom = who(participant);
                vec![(own != Some(whom), R::NotThemselves), (!self.is_on(whom), R::NotOnStage)]
            }
            Command::Mute { participant } => {
                let whom = who(participant);
                let is_own = own == Some(whom);
                let may = if is_own { Vec::new() } else { co_host() };
                let above = if is_own { Vec::new() } else { not_above(whom) };
                [may, vec![(!self.is_on(whom), R::NotOnStage)], above].concat()
            }
            Command::MuteAll => [co_host(), self.is_shut()].concat(),
            Command::Call { participant } => {
                let whom = who(participant);
                let one = &self.people[whom];
                let rest = vec![
                    (one.seat.is_some(), R::AlreadyOnStage),
                    (!one.known && !self.hands.contains(&whom), R::NoHand),
                    (self.role_if_known(whom) < Role::CoHost && self.is_full(), R::StageFull),
                ];
                [co_host(), self.is_shut(), self.is_away(whom), rest].concat()
            }
            Command::Dismiss { participant } => {
                [co_host(), vec![(!self.hands.contains(&who(participant)), R::NoHand)]].concat()
            }
            Command::SendBack { participant } => {
                let whom = who(participant);
                let one = &self.people[whom];
                let rest = vec![(one.role == Role::Listener && one.seat.is_none(), R::NotOnStage)];
                [co_host(), self.is_over(), vec![(!one.known, R::NotOnStage)], not_above(whom), rest].concat()
            }
            Command::Remove { participant } | Command::Block { participant } => {
                let whom = who(participant);
                let unknown = !self.people[whom].known && !self.hands.contains(&whom);
                [co_host(), self.is_over(), vec![(unknown, R::Unknown)], not_above(whom)].concat()
            }
            Command::Pardon { participant } => {
                let one = &self.people[who(participant)];
                let rest = vec![(!one.known, R::Unknown), (one.standing == Standing::Welcome, R::NotRemoved)];
                [co_host(), self.is_over(), rest].concat()
            }
            Command::MakeCoHost { participant } => {
                let whom = who(participant);
                let role = self.people[whom].role;
                let rest = vec![
                    (!self.is_on(whom), R::NotOnStage),
                    (role == Role::Host, R::NotBelow),
                    (role < Role::CoHost && self.co_hosts() >= CO_HOSTS_MAX, R::CoHostsFull),
                ];
                [host(), rest].concat()
            }
            Command::UnmakeCoHost { participant } => {
                let one = &self.people[who(participant)];
                let needs_seat = one.role == Role::CoHost && one.seat.is_some();
                let rest = vec![
                    (!one.known, R::Unknown),
                    (one.role == Role::Host, R::NotBelow),
                    (needs_seat && self.is_full(), R::StageFull),
                ];
                [host(), self.is_over(), rest].concat()
            }
            Command::HandOver { participant } => {
                let whom = who(participant);
                let is_host = self.people[whom].role == Role::Host;
                [host(), vec![(!self.is_on(whom), R::NotOnStage), (is_host, R::NotBelow)]].concat()
            }
            Command::DeleteRecording | Command::ExpireRecording => {
                let who = if *command == Command::DeleteRecording { host() } else { house() };
                let gone = matches!(self.sealed, Recording::Off | Recording::Deleted | Recording::Expired { .. });
                let rest = vec![
                    (matches!(self.life, Life::Scheduled | Life::Open), R::NotStarted),
                    (self.life == Life::Live, R::StillLive),
                    (self.life == Life::Cancelled, R::NoRecording),
                    (self.sealed == Recording::Sealing, R::ReplayInTheMaking),
                    (gone, R::NoRecording),
                ];
                [who, rest].concat()
            }
            Command::Post { from, to } => {
                let waits = matches!(self.sealed, Recording::Review(_));
                let gone = matches!(self.sealed, Recording::Off | Recording::Deleted | Recording::Expired { .. });
                let length = REPLAY.duration;
                let (from, to) = (from.unwrap_or(Duration::ZERO), to.unwrap_or(length));
                let rest = vec![
                    (matches!(self.life, Life::Scheduled | Life::Open), R::NotStarted),
                    (self.life == Life::Live, R::StillLive),
                    (self.life == Life::Cancelled || gone, R::NoRecording),
                    (self.sealed == Recording::Sealing, R::ReplayInTheMaking),
                    (!waits, R::NotInReview),
                    (from > length || to > length, R::OutsideRecording),
                    (to < from + Stretch::MIN, R::TooShort),
                ];
                [host(), rest].concat()
            }
            Command::TimePasses => house(),
            Command::Arrive { participant, .. } => {
                let whom = who(participant);
                let rest = vec![
                    (self.role(whom) == Role::Listener, R::NotCalled),
                    (recorded && !self.people[whom].agreed, R::NotAgreed),
                ];
                [house(), self.is_shut(), self.is_away(whom), rest, self.is_kept_off(whom)].concat()
            }
            Command::Wait { participant, .. } => {
                let whom = who(participant);
                let others = (0..PEOPLE)
                    .filter(|who| *who != whom && self.people[*who].waits && self.people[*who].seat.is_none());
                let no_room = self.owes_word(whom) && self.people[whom].seat.is_none() && others.count() >= WINGS_MAX;
                [house(), self.may_not_wait(whom), vec![(no_room, R::WingsFull)]].concat()
            }
            Command::Depart { participant } => {
                let whom = who(participant);
                [house(), vec![(!self.is_on(whom) && !self.people[whom].waits, R::NotOnStage)]].concat()
            }
            Command::Hear { participant } => {
                let off = participant.as_ref().is_some_and(|id| !self.is_on(who(id)));
                [house(), vec![(off, R::NotOnStage)]].concat()
            }
            Command::PauseRecording | Command::ResumeRecording => {
                [house(), live(), vec![(!recorded, R::NoRecording)]].concat()
            }
            Command::FinishReplay(_) | Command::GiveUpReplay => {
                let rest = vec![
                    (matches!(self.life, Life::Scheduled | Life::Open), R::NotStarted),
                    (self.life == Life::Live, R::StillLive),
                    (self.sealed != Recording::Sealing, R::NoRecording),
                ];
                [house(), rest].concat()
            }
        }
    }

    fn know(&mut self, who: usize, warranted: bool) {
        if !self.people[who].known {
            let role = if warranted { self.role(who) } else { Role::Listener };
            self.people[who].known = true;
            self.people[who].role = role;
        }
    }

    /// Out of their seat, and out of the wings if they had one.
    fn leave(&mut self, who: usize) {
        let one = &mut self.people[who];
        one.waits &= one.seat.is_none();
        one.seat = None;
    }

    fn empty(&mut self) {
        self.people.iter_mut().for_each(|one| (one.seat, one.waits) = (None, false));
        self.hands.clear();
    }

    fn come(&mut self, who: usize) {
        self.know(who, true);
        self.people[who].met = true;
        (self.people[who].seat, self.people[who].waits) = (Some(Seat::On), false);
        self.hands.retain(|hand| *hand != who);
    }

    /// Whoever waits comes with the last word that they owed.
    fn come_on(&mut self, who: usize) {
        if self.people[who].waits && !self.owes_word(who) {
            self.come(who);
        }
    }

    /// Does what is allowed.
    fn apply(&mut self, by: By, command: &Command, now: u64) {
        let own = if let By::One(who) = by { who } else { 0 };
        match command {
            Command::Start => self.life = Life::Live,
            Command::End => self.end(),
            Command::Cancel { .. } => {
                self.life = Life::Cancelled;
                self.empty();
            }
            Command::Postpone { starts, .. } => {
                let by_itself = self.starts.is_some_and(|(_, by_itself)| by_itself);
                self.starts = Some((starts.duration_since(UNIX_EPOCH).expect("after 1970").as_secs(), by_itself));
            }
            Command::Retitle { .. } | Command::Hear { .. } | Command::TimePasses => {}
            Command::LetAsk(asking) => {
                self.asking = *asking;
                if *asking == Asking::Nobody {
                    self.hands.clear();
                }
            }
            Command::Lock => self.locked = true,
            Command::Unlock => self.locked = false,
            Command::Agree { .. } => {
                self.know(own, true);
                self.people[own].agreed = true;
                self.come_on(own);
            }
            Command::RaiseHand { .. } if self.hands.contains(&own) => {}
            Command::RaiseHand { .. } => self.hands.push(own),
            Command::LowerHand => self.hands.retain(|hand| *hand != own),
            Command::Dismiss { participant } => self.hands.retain(|hand| *hand != who(participant)),
            Command::Accept => {
                self.people[own].role = self.people[own].role.max(Role::Speaker);
                self.people[own].seat = Some(Seat::Coming(now + KEPT.as_secs()));
                self.come_on(own);
            }
            Command::Decline => self.leave(own),
            Command::Unmute { .. } => self.people[own].muted = false,
            Command::Mute { participant } => self.people[who(participant)].muted = true,
            Command::MuteAll => {
                for whom in 0..PEOPLE {
                    let is_own = matches!(by, By::One(who) if who == whom);
                    if self.is_on(whom) && !is_own && self.is_above(by, whom) {
                        self.people[whom].muted = true;
                    }
                }
            }
            Command::Call { participant } => {
                let whom = who(participant);
                self.know(whom, false);
                self.people[whom].met = true;
                self.people[whom].seat = Some(Seat::Called(now + KEPT.as_secs()));
                self.hands.retain(|hand| *hand != whom);
            }
            Command::SendBack { participant } => {
                let whom = who(participant);
                self.people[whom].role = Role::Listener;
                self.leave(whom);
            }
            Command::Remove { participant } | Command::Block { participant } => {
                let whom = who(participant);
                self.know(whom, false);
                self.people[whom].role = Role::Listener;
                self.people[whom].standing =
                    if matches!(command, Command::Remove { .. }) { Standing::Removed } else { Standing::Blocked };
                self.leave(whom);
                self.hands.retain(|hand| *hand != whom);
            }
            Command::Pardon { participant } => self.people[who(participant)].standing = Standing::Welcome,
            Command::MakeCoHost { participant } => self.people[who(participant)].role = Role::CoHost,
            Command::UnmakeCoHost { participant } => {
                let one = &mut self.people[who(participant)];
                one.role = one.role.min(Role::Speaker);
            }
            Command::HandOver { participant } => {
                let before = self.host();
                self.people[who(participant)].role = Role::CoHost;
                let full = self.co_hosts() > CO_HOSTS_MAX;
                if let Some(before) = before {
                    self.people[before].role = if full { Role::Speaker } else { Role::CoHost };
                }
                self.people[who(participant)].role = Role::Host;
            }
            Command::Post { from, to } => {
                let kept = Stretch { from: from.unwrap_or(Duration::ZERO), to: to.unwrap_or(REPLAY.duration) };
                let is_whole = kept == Stretch { from: Duration::ZERO, to: REPLAY.duration };
                self.posting = Posting::Reviewed;
                self.posted = is_whole;
                self.sealed = if is_whole { Recording::Replay(REPLAY) } else { Recording::Sealing };
                self.trim = (!is_whole).then_some(kept);
            }
            Command::DeleteRecording => (self.sealed, self.posted) = (Recording::Deleted, false),
            Command::ExpireRecording => {
                (self.sealed, self.posted) = (Recording::Expired { removed: at(now) }, false);
            }
            Command::Arrive { participant, .. } => {
                self.come(who(participant));
            }
            Command::Wait { participant, .. } if self.owes_word(who(participant)) => {
                self.people[who(participant)].waits = true;
            }
            Command::Wait { participant, .. } => self.come(who(participant)),
            Command::Depart { participant } if self.people[who(participant)].waits => {
                self.people[who(participant)].waits = false;
            }
            Command::Depart { participant } => self.leave(who(participant)),
            Command::PauseRecording => self.sealed = Recording::Paused,
            Command::ResumeRecording => self.sealed = Recording::On,
            Command::FinishReplay(replay) => {
                self.posted = self.posting != Posting::AfterReview;
                self.sealed = if self.posted { Recording::Replay(*replay) } else { Recording::Review(*replay) };
            }
            Command::GiveUpReplay if self.trim.take().is_some() => self.posting = Posting::AfterReview,
            Command::GiveUpReplay => self.sealed = Recording::Unsealed,
        }
        self.pass(now);
    }

    fn end(&mut self) {
        self.life = Life::Over;
        self.empty();
        if matches!(self.sealed, Recording::On | Recording::Paused) {
            self.sealed = Recording::Sealing;
        }
    }

    fn pass(&mut self, now: u64) {
        for one in &mut self.people {
            if matches!(one.seat, Some(Seat::Called(until) | Seat::Coming(until)) if until <= now) {
                (one.seat, one.waits) = (None, false);
            }
        }
        if let Some((starts, by_itself)) = self.starts {
            if self.life == Life::Scheduled && now + Schedule::DOORS_BEFORE.as_secs() >= starts {
                self.life = Life::Open;
            }
            let hosted = self.people.iter().any(|one| one.seat == Some(Seat::On) && one.role >= Role::CoHost);
            if self.life == Life::Open && by_itself && now >= starts && hosted {
                self.life = Life::Live;
            }
        }
        let is_empty = self.life == Life::Live && !(0..PEOPLE).any(|who| self.is_on(who));
        self.empty_since = if is_empty { self.empty_since.or(Some(now)) } else { None };
        if self.empty_since.is_some_and(|since| now >= since + EMPTY_MAX.as_secs()) {
            self.empty_since = None;
            self.end();
        }
        for who in 0..PEOPLE {
            let kept_out = self.may_not_wait(who).iter().any(|(broken, _)| *broken);
            self.people[who].waits &= self.owes_word(who) && !kept_out;
        }
    }
}

/// The machine as the model would say it.
fn seen(space: &Space, began: Instant, model: &Model) -> Model {
    let facts = space.facts();
    let seconds = |until: Instant| until.duration_since(began).as_secs();
    let mut seen = Model::new(None, facts.recording, facts.posting);
    seen.trim = facts.trim;
    seen.posted = matches!(facts.phase, Phase::Posted { .. });
    for participant in facts.people.iter() {
        seen.people[who(&participant.id)] = One {
            known: true,
            role: participant.role,
            standing: participant.standing,
            muted: participant.muted,
            agreed: participant.agreed,
            met: participant.met,
            seat: space.presence(&participant.id).map(|presence| match presence {
                Presence::Called { until } => Seat::Called(seconds(until)),
                Presence::Coming { until } => Seat::Coming(seconds(until)),
                Presence::OnStage => Seat::On,
            }),
            waits: false,
        };
    }
    space.wings().for_each(|id| seen.people[who(id)].waits = true);
    seen.life = match facts.phase {
        Phase::Scheduled => Life::Scheduled,
        Phase::Open => Life::Open,
        Phase::Live { .. } => Life::Live,
        Phase::Ended { .. } | Phase::Posted { .. } => Life::Over,
        Phase::Cancelled { .. } => Life::Cancelled,
    };
    seen.hands = space.hands().map(|hand| who(&hand.participant)).collect();
    seen.locked = facts.locked;
    seen.asking = facts.asking;
    seen.starts = facts.schedule.as_ref().map(|schedule| {
        let starts = schedule.starts.duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        (starts, schedule.beginning == Beginning::ByItself)
    });
    // Seen only by what it does.
    seen.empty_since = model.empty_since;
    seen
}

/// What of a run is told outside: every outcome.
#[derive(Default)]
struct Seen {
    refused: BTreeSet<String>,
    done: BTreeSet<String>,
    events: BTreeSet<String>,
    digest: u64,
}

impl Seen {
    fn note(&mut self, text: &str) {
        for byte in text.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The first word of how something is written.
fn kind(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric()).collect()
}

#[allow(clippy::disallowed_methods, reason = "there is no other way to come by an Instant; no time passes by it")]
fn play(
    seen_all: &mut Seen,
    recorded: bool,
    scheduled: bool,
    reviewed: bool,
    steps: &[Step],
) -> Result<(), TestCaseError> {
    let began = Instant::now();
    let recording = if recorded { Recording::On } else { Recording::Off };
    let starts = 1_000 + Schedule::DOORS_BEFORE.as_secs();
    let schedule = scheduled.then(|| Schedule::new(at(0), at(starts)).expect("ahead"));
    let title = Title::parse("t").expect("a title");
    let fresh = Space::new(Id::parse("demo").expect("an id"), title, Audience::Public, at(0), schedule);
    let posting = if reviewed { Posting::AfterReview } else { Posting::AtOnce };
    let mut space = Space::from_facts(Facts { recording, posting, ..fresh.facts().clone() });
    let mut model = Model::new(scheduled.then_some((starts, true)), recording, posting);
    let mut seconds = 0;
    let moment = |seconds| Now { wall: at(seconds), steady: began + Duration::from_secs(seconds) };

    for (by, which, whom, later) in steps.iter().copied() {
        if later > 0 {
            // Whoever runs it says that time has passed when it has said that something is due, and not before.
            let until = seconds + later;
            while let Some(due) = space.deadline(moment(seconds)) {
                let due = due.duration_since(began).as_secs().max(seconds);
                if due > until {
                    break;
                }
                seconds = due;
                space.handle(moment(seconds), Actor::House, Command::TimePasses).expect("time passes");
                let first = space.poll();
                prop_assert!(first.is_some(), "something was due, and nothing happened");
                seen_all.events.extend(first.map(|event| kind(&format!("{event:?}"))));
                while let Some(event) = space.poll() {
                    seen_all.events.insert(kind(&format!("{event:?}")));
                }
                model.pass(seconds);
            }
            seconds = until;
            space.handle(moment(seconds), Actor::House, Command::TimePasses).expect("time passes");
            prop_assert_eq!(space.poll(), None, "nothing was due, and something happened");
            model.pass(seconds);
        }
        let (by, actor) = match by {
            PEOPLE => (By::House, Actor::House),
            one => (By::One(one), Actor::Person { id: id(one), warrant: warrant(one) }),
        };
        let command = command(which, whom, seconds);
        let expected = model.rules(by, &command, seconds).into_iter().find(|(broken, _)| *broken).map(|(_, why)| why);
        let outcome = space.handle(moment(seconds), actor, command.clone());
        prop_assert_eq!(outcome.err(), expected, "{:?} by {:?}", command, by);
        let told: Vec<Event> = std::iter::from_fn(|| space.poll()).collect();
        match outcome {
            Ok(()) => {
                model.apply(by, &command, seconds);
                seen_all.done.insert(kind(&format!("{command:?}")));
            }
            Err(why) => {
                prop_assert!(told.is_empty(), "{:?} was refused, and told {:?}", command, told);
                seen_all.refused.insert(format!("{why:?}"));
            }
        }
        for event in &told {
            seen_all.events.insert(kind(&format!("{event:?}")));
        }
        seen_all.note(&format!("{outcome:?}{told:?}"));
    }
    prop_assert_eq!(seen(&space, began, &model), model);
    laws(&space)
}

/// What holds whatever happened.
fn laws(space: &Space) -> Result<(), TestCaseError> {
    let people = &space.facts().people;
    prop_assert!(people.iter().filter(|known| known.role == Role::Host).count() <= 1);
    prop_assert!(people.iter().filter(|known| known.role == Role::CoHost).count() <= CO_HOSTS_MAX);
    prop_assert!(space.stage().count() <= SPEAKERS_MAX + CO_HOSTS_MAX + 1);
    prop_assert!(space.stage().all(|known| known.role > Role::Listener && known.standing == Standing::Welcome));
    prop_assert!(space.stage().next().is_none() || space.require_open().is_ok());
    let without = |id: &&ParticipantId| space.presence(id).is_none();
    prop_assert!(space.wings().filter(without).count() <= WINGS_MAX);
    prop_assert!(space.wings().all(|id| space.presence(id) != Some(Presence::OnStage)));
    prop_assert!(space.speaking().is_none_or(|id| space.presence(id) == Some(Presence::OnStage)));
    let facts = space.facts();
    let is_posted = matches!(facts.phase, Phase::Posted { .. });
    prop_assert_eq!(is_posted, matches!(facts.recording, Recording::Replay(_)));
    prop_assert!(facts.posting != Posting::AfterReview || facts.trim.is_none());
    prop_assert!(space.hands().all(|hand| space.presence(&hand.participant).is_none()));
    Ok(())
}

fn run(cases: u32) -> Seen {
    let mut seen = Seen::default();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[26; 32]);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let cell = std::cell::RefCell::new(&mut seen);
    let outcome = TestRunner::new_with_rng(config, rng).run(&steps(), |(recorded, scheduled, reviewed, steps)| {
        play(&mut cell.borrow_mut(), recorded, scheduled, reviewed, &steps)
    });
    if let Err(why) = outcome {
        panic!("{why}");
    }
    seen
}

#[test]
fn random_commands_by_everybody_in_every_phase_are_as_the_model_says() {
    let seen = run(100_000);
    // What never happens is not tested: each command was obeyed, each event told, and each rule broken, but those of words and
    // the two bounds that thirty-two people do not come to (`space/tests.rs`, `people.rs`).
    assert_eq!(seen.done.len(), 36, "{:?}", seen.done);
    assert_eq!(seen.events.len(), 23, "{:?}", seen.events);
    assert_eq!(seen.refused.len(), 32, "{:?}", seen.refused);
}

#[test]
fn the_same_seed_gives_the_same_outcomes() {
    assert_eq!(run(300).digest, run(300).digest);
}
