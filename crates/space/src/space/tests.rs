//! Every command in every state, by everybody; and what the model of `tests/model/main.rs` does not tell: words, bounds, order.

use std::time::UNIX_EPOCH;

use super::*;
use crate::{HANDS_MAX, KEPT, SPEAKERS_MAX, Standing};

const REPLAY: Replay = Replay { duration: Duration::from_secs(60), loudness_lufs: -18.0 };

/// The states of a space that differ in what is allowed, and how to get there.
const STATES: [(&str, Recording, &[&str]); 12] = [
    ("scheduled", Recording::On, &["schedule"]),
    ("open", Recording::On, &[]),
    ("live", Recording::On, &["start"]),
    ("live, paused", Recording::On, &["start", "pause"]),
    ("live, off", Recording::Off, &["start"]),
    ("sealing", Recording::On, &["start", "end"]),
    ("ended, off", Recording::Off, &["start", "end"]),
    ("unsealed", Recording::On, &["start", "end", "give up"]),
    ("posted", Recording::On, &["start", "end", "finish"]),
    ("deleted", Recording::On, &["start", "end", "finish", "delete"]),
    ("expired", Recording::On, &["start", "end", "finish", "expire"]),
    ("cancelled", Recording::On, &["cancel"]),
];

fn now() -> Now {
    Now { wall: UNIX_EPOCH + Duration::from_secs(1_000_000), steady: *BEGAN }
}

fn later(seconds: u64) -> Now {
    let Now { wall, steady } = now();
    Now { wall: wall + Duration::from_secs(seconds), steady: steady + Duration::from_secs(seconds) }
}

static BEGAN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(some_instant);

/// A machine of steady time begins somewhere; nothing here asks where.
#[allow(clippy::disallowed_methods, reason = "there is no other way to come by an Instant; no time passes by it")]
fn some_instant() -> Instant {
    Instant::now()
}

fn participant(text: &str) -> ParticipantId {
    ParticipantId::parse(text).expect("an id")
}

fn name() -> Name {
    Name::parse("ليلى").expect("a name")
}

fn person(text: &str, warrant: Warrant) -> Actor {
    Actor::Person { id: participant(text), warrant }
}

fn arrive(text: &str) -> Command {
    Command::Arrive { participant: participant(text), name: name(), warrant: Warrant::Speak }
}

fn command(name: &str) -> Command {
    let p1 = || participant("p1");
    match name {
        "start" => Command::Start,
        "end" => Command::End,
        "cancel" => Command::Cancel { reason: None },
        "postpone" => Command::Postpone { starts: later(3_600).wall, reason: None },
        "retitle" => Command::Retitle { title: Title::parse("another").expect("a title") },
        "lock" => Command::Lock,
        "delete" => Command::DeleteRecording,
        "arrive" => arrive("p1"),
        "depart" => Command::Depart { participant: p1() },
        "hear" => Command::Hear { participant: Some(p1()) },
        "hush" => Command::Hear { participant: None },
        "pause" => Command::PauseRecording,
        "resume" => Command::ResumeRecording,
        "finish" => Command::FinishReplay(REPLAY),
        "post" => Command::Post { from: None, to: None },
        "give up" => Command::GiveUpReplay,
        "expire" => Command::ExpireRecording,
        other => panic!("no command {other}"),
    }
}

fn fresh(schedule: Option<Schedule>) -> Space {
    Space::new(
        Id::parse("demo").expect("an id"),
        Title::parse("t").expect("a title"),
        Audience::Public,
        now().wall,
        schedule,
    )
}

fn planned() -> Schedule {
    Schedule::new(now().wall, later(3_600).wall).expect("ahead")
}

/// A space with this history, in which p0 to p29 have agreed to be recorded if they have a pass to speak.
fn space(recording: Recording, history: &[&str]) -> Space {
    let (schedule, history) = match history {
        ["schedule", rest @ ..] => (Some(planned()), rest),
        history => (None, history),
    };
    let mut people = Vec::new();
    for n in 0..30 {
        let known = Participant::new(participant(&format!("p{n}")), name(), Role::Speaker);
        people.push(Participant { agreed: true, ..known });
    }
    let mut space =
        Space::from_facts(Facts { recording, people: People::from_list(people), ..fresh(schedule).facts().clone() });
    for step in history {
        space.handle(now(), Actor::House, command(step)).expect("history is allowed");
    }
    drain(&mut space);
    space
}

fn drain(space: &mut Space) -> Vec<Event> {
    std::iter::from_fn(|| space.poll()).collect()
}

fn check(name: &str, expected: [Result<(), Refusal>; 12]) {
    for ((state, recording, history), expected) in STATES.into_iter().zip(expected) {
        let mut space = space(recording, history);
        let before = space.facts.clone();
        assert_eq!(space.handle(now(), Actor::House, command(name)), expected, "{name} when {state}");
        if expected.is_err() {
            assert_eq!(space.facts, before, "{name} when {state} changed something");
            assert_eq!(space.poll(), None, "{name} when {state} told something");
        }
    }
}

#[test]
fn every_command_in_every_state_is_allowed_or_refused_by_its_rule() {
    use Refusal::*;
    let (ok, early, over, gone) = (Ok(()), Err(NotStarted), Err(AlreadyEnded), Err(Cancelled));
    let (live, none, off) = (Err(StillLive), Err(NoRecording), Err(NotOnStage));
    let (begun, making, shut) = (Err(AlreadyStarted), Err(ReplayInTheMaking), Err(DoorsShut));
    //             scheduled open live paused off   sealing ended-off unsealed posted deleted expired cancelled
    check("start", [ok, ok, begun, begun, begun, over, over, over, over, over, over, gone]);
    check("end", [early, early, ok, ok, ok, over, over, over, over, over, over, gone]);
    check("cancel", [ok, ok, begun, begun, begun, over, over, over, over, over, over, gone]);
    check("postpone", [ok, ok, begun, begun, begun, over, over, over, over, over, over, gone]);
    check("retitle", [ok, ok, ok, ok, ok, over, over, over, over, over, over, gone]);
    check("lock", [ok, ok, ok, ok, ok, over, over, over, over, over, over, gone]);
    check("delete", [early, early, live, live, live, making, none, ok, ok, none, none, none]);
    check("arrive", [shut, ok, ok, ok, ok, over, over, over, over, over, over, gone]);
    check("depart", [off; 12]);
    check("hear", [off; 12]);
    check("hush", [ok; 12]);
    check("pause", [early, early, ok, ok, none, over, over, over, over, over, over, gone]);
    check("resume", [early, early, ok, ok, none, over, over, over, over, over, over, gone]);
    let reviewed = Err(NotInReview);
    check("finish", [early, early, live, live, live, ok, none, none, none, none, none, none]);
    check("post", [early, early, live, live, live, making, none, reviewed, reviewed, none, none, none]);
    check("give up", [early, early, live, live, live, ok, none, none, none, none, none, none]);
    check("expire", [early, early, live, live, live, making, none, ok, ok, none, none, none]);
}

#[test]
fn the_whole_life_is_told_in_order() {
    let mut space = space(Recording::On, &[]);
    let mut told = Vec::new();
    for name in ["start", "arrive", "arrive", "hear", "hear", "pause", "resume", "depart", "end", "finish", "delete"] {
        space.handle(now(), Actor::House, command(name)).expect("allowed");
        told.extend(drain(&mut space));
    }
    use Event::*;
    let whole = [
        Started,
        StageChanged,
        RolesChanged, // they have come, and that is remembered
        SpeakingChanged,
        RecordingChanged,
        RecordingChanged,
        SpeakingChanged,
        StageChanged,
        Ended,
        Posted,
        RecordingDeleted,
    ];
    assert_eq!(told, whole);
}

#[test]
fn a_planned_space_opens_its_doors_and_begins_at_its_second_when_a_host_is_there() {
    let mut space = fresh(Some(planned()));
    let pass = |space: &mut Space, seconds| {
        space.handle(later(seconds), Actor::House, Command::TimePasses).expect("time passes");
        drain(space)
    };
    assert_eq!(space.deadline(now()), Some(later(3_000).steady));
    assert_eq!(pass(&mut space, 2_999), []);
    assert_eq!(pass(&mut space, 3_000), [Event::DoorsOpened]);
    for command in [
        Command::Agree { name: name() },
        Command::RaiseHand { name: name() }, // whoever hosts may, too; it goes down when they come
    ] {
        space.handle(later(3_100), person("host", Warrant::Host), command).expect("allowed");
    }
    let come = Command::Arrive { participant: participant("host"), name: name(), warrant: Warrant::Host };
    space.handle(later(3_200), Actor::House, come).expect("allowed");
    drain(&mut space);
    assert_eq!(space.hands().count(), 0);
    assert_eq!(space.deadline(later(3_200)), Some(later(3_600).steady));
    assert_eq!(pass(&mut space, 3_599), []);
    assert_eq!(pass(&mut space, 3_600), [Event::Started]);
    assert_eq!(space.facts().phase, Phase::Live { started: later(3_600).wall });
    assert_eq!(space.deadline(later(3_600)), None);
}

#[test]
fn without_a_host_it_waits_for_one_and_then_begins_at_once() {
    let mut space = fresh(Some(planned()));
    let agree = Command::Agree { name: name() };
    space.handle(now(), person("host", Warrant::Host), agree).expect("allowed");
    space.handle(later(3_600), Actor::House, Command::TimePasses).expect("time passes");
    assert!(space.awaits_host());
    assert_eq!(drain(&mut space)[1..], [Event::DoorsOpened, Event::HostAwaited]);
    assert_eq!(space.deadline(later(3_600)), None, "nothing is due before somebody comes");
    let come = Command::Arrive { participant: participant("host"), name: name(), warrant: Warrant::Host };
    space.handle(later(3_700), Actor::House, come).expect("allowed");
    assert_eq!(drain(&mut space).last(), Some(&Event::Started));
    assert!(!space.awaits_host());
}

#[test]
fn a_clock_that_is_set_moves_what_was_agreed_and_not_what_lasts() {
    let mut space = space(Recording::On, &["start"]);
    let back = Now { wall: UNIX_EPOCH, steady: later(10).steady };
    space.handle(now(), Actor::House, arrive("p1")).expect("allowed");
    space.handle(back, Actor::House, command("depart")).expect("allowed");
    assert_eq!(space.deadline(back), Some(later(10).steady + EMPTY_MAX));
    let forth = Now { wall: later(1_000_000).wall, steady: later(11).steady };
    space.handle(forth, Actor::House, Command::TimePasses).expect("time passes");
    assert!(space.require_live().is_ok(), "a day on the wall is a second");

    let planned = fresh(Some(planned()));
    let ahead = Now { wall: later(1_800).wall, steady: now().steady };
    assert_eq!(planned.deadline(now()), Some(later(3_000).steady));
    assert_eq!(planned.deadline(ahead), Some(later(1_200).steady));
}

#[test]
fn an_empty_stage_ends_a_live_space_after_five_minutes_and_not_before() {
    let mut space = space(Recording::On, &["start"]);
    space.handle(later(100), Actor::House, arrive("p1")).expect("allowed");
    assert_eq!(space.deadline(later(100)), None);
    space.handle(later(200), Actor::House, command("depart")).expect("allowed");
    space.handle(later(499), Actor::House, Command::TimePasses).expect("time passes");
    assert!(space.require_live().is_ok());
    space.handle(later(500), Actor::House, Command::TimePasses).expect("time passes");
    assert_eq!(space.require_live(), Err(Refusal::AlreadyEnded));
}

#[test]
fn the_twenty_first_speaker_is_refused_and_hosts_have_seats_of_their_own() {
    let mut space = space(Recording::On, &["start"]);
    let take = |space: &mut Space, n: usize| space.handle(now(), Actor::House, arrive(&format!("p{n}")));
    for n in 0..SPEAKERS_MAX {
        assert_eq!(take(&mut space, n), Ok(()));
    }
    assert_eq!(take(&mut space, 21), Err(Refusal::StageFull));
    assert_eq!(take(&mut space, 0), Ok(()), "who is there already reconnects");
    let make = Command::MakeCoHost { participant: participant("p3") };
    assert_eq!(space.handle(now(), Actor::House, make), Ok(()), "a co-host has a seat of their own");
    assert_eq!(take(&mut space, 21), Ok(()));
    let unmake = Command::UnmakeCoHost { participant: participant("p3") };
    assert_eq!(space.handle(now(), Actor::House, unmake.clone()), Err(Refusal::StageFull));
    space.handle(now(), Actor::House, Command::Depart { participant: participant("p5") }).expect("allowed");
    assert_eq!(space.handle(now(), Actor::House, unmake), Ok(()));
    assert_eq!(space.stage().count(), SPEAKERS_MAX);
}

#[test]
fn a_seat_is_kept_for_who_is_called_and_no_longer_than_that() {
    let mut space = space(Recording::Off, &["start"]);
    for n in 0..SPEAKERS_MAX - 1 {
        space.handle(now(), Actor::House, arrive(&format!("p{n}"))).expect("allowed");
    }
    let listener = || person("l1", Warrant::Listen);
    space.handle(now(), listener(), Command::RaiseHand { name: name() }).expect("allowed");
    let call = || Command::Call { participant: participant("l1") };
    space.handle(now(), Actor::House, call()).expect("allowed");
    assert_eq!(space.handle(now(), Actor::House, arrive("p25")), Err(Refusal::StageFull));
    assert_eq!(space.deadline(now()), Some(now().steady + KEPT));
    drain(&mut space);
    space.handle(later(KEPT.as_secs()), Actor::House, Command::TimePasses).expect("time passes");
    assert_eq!(drain(&mut space), [Event::Unseated { participant: participant("l1") }, Event::StageChanged]);
    assert_eq!(space.handle(later(61), listener(), Command::Accept), Err(Refusal::NotCalled));
    assert_eq!(space.handle(later(61), Actor::House, arrive("p25")), Ok(()));
}

#[test]
fn who_waits_is_seated_by_their_last_word_which_is_the_first_that_is_told() {
    let mut space = space(Recording::On, &["start"]);
    let guest = || person("guest", Warrant::Listen);
    let wait = || Command::Wait { participant: participant("guest"), name: name(), warrant: Warrant::Listen };
    let does = |space: &mut Space, actor, command| {
        space.handle(now(), actor, command).expect("allowed");
        drain(space)
    };
    assert_eq!(space.handle(now(), Actor::House, wait()), Err(Refusal::NotCalled));
    let call = Command::Call { participant: participant("guest") };
    does(&mut space, guest(), Command::RaiseHand { name: name() });
    does(&mut space, Actor::House, call.clone());
    assert_eq!(does(&mut space, Actor::House, wait()), [], "nobody is told who waits");
    does(&mut space, guest(), Command::Accept);
    assert_eq!((space.wings().count(), space.stage().count()), (1, 0));
    let told = does(&mut space, guest(), Command::Agree { name: name() });
    assert_eq!(told[0], Event::Seated { participant: participant("guest") });
    assert_eq!((space.wings().count(), space.stage().count()), (0, 1));

    // Whoever was a speaker once says so, too, when they are called again; and a call that nobody answers takes its connection with it.
    does(&mut space, Actor::House, Command::Depart { participant: participant("guest") });
    does(&mut space, Actor::House, call);
    does(&mut space, Actor::House, wait());
    assert_eq!(space.stage().count(), 0);
    space.handle(later(KEPT.as_secs()), Actor::House, Command::TimePasses).expect("time passes");
    let told = drain(&mut space);
    assert_eq!(told[0], Event::Unseated { participant: participant("guest") });
    assert_eq!((space.wings().count(), space.stage().count()), (0, 0));
}

#[test]
fn the_queue_of_hands_is_bounded_and_each_knows_their_place() {
    let mut space = space(Recording::Off, &[]);
    let raise = |space: &mut Space, n: usize| {
        space.handle(now(), person(&format!("l{n}"), Warrant::Listen), Command::RaiseHand { name: name() })
    };
    for n in 0..HANDS_MAX {
        assert_eq!(raise(&mut space, n), Ok(()));
    }
    assert_eq!(raise(&mut space, HANDS_MAX), Err(Refusal::HandsFull));
    assert_eq!(raise(&mut space, 7), Ok(()), "twice is once");
    assert_eq!(space.place(&participant("l7")), Some(7));
    space.handle(now(), person("l3", Warrant::Listen), Command::LowerHand).expect("allowed");
    assert_eq!(space.place(&participant("l7")), Some(6));
    assert_eq!(raise(&mut space, HANDS_MAX), Ok(()));
}

#[test]
fn two_who_hand_over_to_each_other_leave_one_host() {
    let mut space = space(Recording::On, &["start"]);
    for who in ["p1", "p2"] {
        space.handle(now(), Actor::House, arrive(who)).expect("allowed");
    }
    let over = |to: &str| Command::HandOver { participant: participant(to) };
    let by = |who: &str| person(who, Warrant::Speak);
    space.handle(now(), Actor::House, over("p1")).expect("the house makes the first host");
    assert_eq!(space.handle(now(), by("p1"), over("p1")), Err(Refusal::NotBelow));
    assert_eq!(space.handle(now(), by("p1"), over("p2")), Ok(()));
    assert_eq!(space.handle(now(), by("p1"), over("p2")), Err(Refusal::NotHost));
    assert_eq!(space.handle(now(), by("p2"), over("p1")), Ok(()));
    assert_eq!(space.facts().people.host().map(|host| host.id.as_str()), Some("p1"));
}

#[test]
fn who_is_away_is_still_what_they_were_after_a_restart() {
    let mut space = space(Recording::On, &["start"]);
    for who in ["p1", "p2", "p3"] {
        space.handle(now(), Actor::House, arrive(who)).expect("allowed");
    }
    for command in [
        Command::HandOver { participant: participant("p1") },
        Command::MakeCoHost { participant: participant("p2") },
        Command::Mute { participant: participant("p2") },
        Command::Block { participant: participant("p3") },
        Command::Lock,
    ] {
        space.handle(now(), Actor::House, command).expect("allowed");
    }
    let mut next = Space::from_facts(space.facts().clone());
    assert_eq!(next.stage().count(), 0);
    assert_eq!(next.role(&participant("p2"), Warrant::Speak), Role::CoHost);
    assert!(next.facts().people.find(&participant("p2")).is_some_and(|known| known.muted));
    assert_eq!(next.handle(now(), Actor::House, arrive("p3")), Err(Refusal::Blocked));
    assert_eq!(next.handle(now(), Actor::House, arrive("p99")), Err(Refusal::NotAgreed));
    let agree = Command::Agree { name: name() };
    let stranger = || person("p99", Warrant::Speak);
    assert_eq!(next.handle(now(), stranger(), agree.clone()), Err(Refusal::StageLocked));
    next.handle(now(), person("p2", Warrant::Speak), Command::Unlock).expect("co-hosts unlock");
    assert_eq!(next.handle(now(), stranger(), agree), Ok(()));
    assert_eq!(next.facts().people.find(&participant("p3")).map(|known| known.standing), Some(Standing::Blocked));
}

#[test]
fn whoever_has_the_speakers_link_makes_nobody_forgotten_who_was_called() {
    let mut space = fresh(None);
    let guest = || person("l1", Warrant::Listen);
    let agree = || Command::Agree { name: name() };
    space.handle(now(), guest(), Command::RaiseHand { name: name() }).expect("allowed");
    space.handle(now(), Actor::House, Command::Call { participant: participant("l1") }).expect("allowed");
    for command in [Command::Accept, agree()] {
        space.handle(now(), guest(), command).expect("allowed");
    }
    space.handle(now(), Actor::House, arrive("l1")).expect("allowed");
    space.handle(now(), Actor::House, Command::Depart { participant: participant("l1") }).expect("allowed");
    for n in 0..2 * crate::people::KNOWN_MAX {
        space.handle(now(), person(&format!("s{n}"), Warrant::Speak), agree()).expect("allowed");
    }
    assert_eq!(space.role(&participant("l1"), Warrant::Listen), Role::Speaker);
    assert_eq!(space.handle(now(), Actor::House, arrive("l1")), Ok(()));
}

#[test]
fn a_clock_set_back_does_not_end_a_space_before_it_began() {
    let mut space = space(Recording::On, &[]);
    space.handle(later(100), Actor::House, Command::Start).expect("allowed");
    space.handle(now(), Actor::House, Command::End).expect("allowed");
    assert_eq!(space.facts().phase, Phase::Ended { started: later(100).wall, ended: later(100).wall });
}

#[test]
fn the_host_hears_the_recording_first_and_posts_what_is_to_be_kept() {
    let seconds = |from, to| Stretch { from: Duration::from_secs(from), to: Duration::from_secs(to) };
    let post = |from: Option<u64>, to: Option<u64>| Command::Post {
        from: from.map(Duration::from_secs),
        to: to.map(Duration::from_secs),
    };
    let waiting = || {
        let made = space(Recording::On, &["start", "end"]);
        let mut space = Space::from_facts(Facts { posting: Posting::AfterReview, ..made.facts().clone() });
        assert!(space.is_under_review(), "also while its replay is made");
        space.handle(now(), Actor::House, command("finish")).expect("allowed");
        assert_eq!(drain(&mut space), [Event::ReviewDue]);
        assert!(space.is_under_review());
        space
    };
    let length = REPLAY.duration.as_secs();

    // As a whole: nothing is made anew.
    for command in [post(None, None), post(Some(0), None), post(Some(0), Some(length))] {
        let mut space = waiting();
        space.handle(now(), Actor::House, command).expect("allowed");
        assert_eq!(drain(&mut space), [Event::Posted]);
        assert_eq!((space.facts().recording, space.facts().trim), (Recording::Replay(REPLAY), None));
        assert!(!space.is_under_review());
    }

    // A stretch of it: nobody hears anything before that is made.
    let mut space = waiting();
    for (command, refusal) in [
        (post(Some(length + 1), None), Refusal::OutsideRecording),
        (post(None, Some(length + 1)), Refusal::OutsideRecording),
        (post(Some(length), None), Refusal::TooShort),
        (post(Some(9), Some(3)), Refusal::TooShort),
        (post(Some(3), Some(3)), Refusal::TooShort),
    ] {
        assert_eq!(space.handle(now(), Actor::House, command), Err(refusal));
    }
    space.handle(now(), Actor::House, post(Some(3), Some(9))).expect("allowed");
    assert_eq!(drain(&mut space), [Event::ReplayWanted]);
    assert_eq!((space.facts().recording, space.facts().trim), (Recording::Sealing, Some(seconds(3, 9))));
    assert!(space.is_under_review());
    let mut next = Space::from_facts(space.facts().clone());
    let six = Replay { duration: Duration::from_secs(6), ..REPLAY };
    next.handle(now(), Actor::House, Command::FinishReplay(six)).expect("allowed");
    assert_eq!(drain(&mut next), [Event::Posted]);
    assert_eq!((next.facts().recording, next.facts().trim), (Recording::Replay(six), Some(seconds(3, 9))));

    // It cannot be made: the whole is, and waits again.
    space.handle(now(), Actor::House, command("give up")).expect("allowed");
    assert_eq!(drain(&mut space), [Event::ReplayWanted]);
    assert_eq!((space.facts().recording, space.facts().trim), (Recording::Sealing, None));
    space.handle(now(), Actor::House, command("finish")).expect("allowed");
    assert_eq!(drain(&mut space), [Event::ReviewDue]);
    space.handle(now(), Actor::House, command("delete")).expect("allowed");
    assert_eq!(drain(&mut space), [Event::RecordingDeleted]);
}
