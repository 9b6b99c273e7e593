//! Every command in every state, by everybody.

use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;

const NOW: SystemTime = UNIX_EPOCH;
const REPLAY: Replay = Replay { duration: Duration::from_secs(60), loudness_lufs: -18.0 };

/// The states of a space that differ in what is allowed, and how to get there.
const STATES: [(&str, Recording, &[&str]); 10] = [
    ("scheduled", Recording::On, &[]),
    ("live", Recording::On, &["start"]),
    ("live, paused", Recording::On, &["start", "pause"]),
    ("live, off", Recording::Off, &["start"]),
    ("sealing", Recording::On, &["start", "end"]),
    ("ended, off", Recording::Off, &["start", "end"]),
    ("unsealed", Recording::On, &["start", "end", "give up"]),
    ("posted", Recording::On, &["start", "end", "post"]),
    ("deleted", Recording::On, &["start", "end", "post", "delete"]),
    ("expired", Recording::On, &["start", "end", "post", "expire"]),
];

fn participant(text: &str) -> ParticipantId {
    ParticipantId::parse(text).expect("an id")
}

fn command(name: &str) -> Command {
    match name {
        "start" => Command::Start,
        "end" => Command::End,
        "delete" => Command::DeleteRecording,
        "arrive" => Command::Arrive { participant: participant("p1"), name: Name::parse("ليلى").expect("a name") },
        "depart" => Command::Depart { participant: participant("p1") },
        "hear" => Command::Hear { participant: Some(participant("p1")) },
        "hush" => Command::Hear { participant: None },
        "pause" => Command::PauseRecording,
        "resume" => Command::ResumeRecording,
        "post" => Command::Post(REPLAY),
        "give up" => Command::GiveUpReplay,
        "expire" => Command::ExpireRecording,
        other => panic!("no command {other}"),
    }
}

fn space(recording: Recording, history: &[&str]) -> Space {
    let title = Title::parse("t").expect("a title");
    let fresh = Space::new(Id::parse("demo").expect("an id"), title, Audience::Public, NOW);
    let mut space = Space::from_facts(Facts { recording, ..fresh.facts().clone() });
    for step in history {
        space.handle(NOW, Actor::House, command(step)).expect("history is allowed");
    }
    while space.poll().is_some() {}
    space
}

fn check(name: &str, expected: [Result<(), Refusal>; 10]) {
    for ((state, recording, history), expected) in STATES.into_iter().zip(expected) {
        let mut space = space(recording, history);
        let before = (space.facts.clone(), space.stage.clone());
        assert_eq!(space.handle(NOW, Actor::House, command(name)), expected, "{name} when {state}");
        if expected.is_err() {
            assert_eq!((space.facts.clone(), space.stage.clone()), before, "{name} when {state} changed something");
            assert_eq!(space.poll(), None, "{name} when {state} told something");
        }
    }
}

#[test]
fn every_command_in_every_state_is_allowed_or_refused_by_its_rule() {
    use Refusal::*;
    let (ok, early, over) = (Ok(()), Err(NotStarted), Err(AlreadyEnded));
    let (live, none, off) = (Err(StillLive), Err(NoRecording), Err(NotOnStage));
    let begun = Err(AlreadyStarted);
    let making = Err(ReplayInTheMaking);
    //              scheduled live paused off   sealing ended-off unsealed posted deleted expired
    check("start", [ok, begun, begun, begun, over, over, over, over, over, over]);
    check("end", [early, ok, ok, ok, over, over, over, over, over, over]);
    check("delete", [early, live, live, live, making, none, ok, ok, none, none]);
    check("arrive", [early, ok, ok, ok, over, over, over, over, over, over]);
    check("depart", [off; 10]);
    check("hear", [off; 10]);
    check("hush", [ok; 10]);
    check("pause", [early, ok, ok, none, over, over, over, over, over, over]);
    check("resume", [early, ok, ok, none, over, over, over, over, over, over]);
    check("post", [early, live, live, live, ok, none, none, none, none, none]);
    check("expire", [early, live, live, live, making, none, ok, ok, none, none]);
    check("give up", [early, live, live, live, ok, none, none, none, none, none]);
}

#[test]
fn a_command_by_the_wrong_actor_is_refused_in_every_state() {
    for (state, recording, history) in STATES {
        for name in ["start", "end", "delete"] {
            for actor in [Actor::Speaker, Actor::Listener] {
                let refused = space(recording, history).handle(NOW, actor, command(name));
                assert_eq!(refused, Err(Refusal::NotHost), "{name} by {actor:?} when {state}");
            }
            let allowed = space(recording, history).handle(NOW, Actor::House, command(name));
            assert_eq!(space(recording, history).handle(NOW, Actor::Host, command(name)), allowed);
        }
        for name in ["arrive", "depart", "hear", "pause", "resume", "post", "give up", "expire"] {
            for actor in [Actor::Host, Actor::Speaker, Actor::Listener] {
                let refused = space(recording, history).handle(NOW, actor, command(name));
                assert_eq!(refused, Err(Refusal::NotHouse), "{name} by {actor:?} when {state}");
            }
        }
    }
}

#[test]
fn the_whole_life_is_told_in_order() {
    let mut space = space(Recording::On, &[]);
    let mut told = Vec::new();
    for name in ["start", "arrive", "arrive", "hear", "hear", "pause", "resume", "depart", "end", "post", "delete"] {
        space.handle(NOW, Actor::House, command(name)).expect("allowed");
        told.extend(std::iter::from_fn(|| space.poll()));
    }
    use Event::*;
    let whole = [
        Started,
        StageChanged,
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
fn the_twenty_first_speaker_is_refused_and_a_seat_becomes_free() {
    let mut space = space(Recording::On, &["start"]);
    let arrive =
        |n: usize| Command::Arrive { participant: participant(&format!("p{n}")), name: Name::parse("x").unwrap() };
    for n in 0..SPEAKERS_MAX {
        assert_eq!(space.handle(NOW, Actor::House, arrive(n)), Ok(()));
    }
    assert_eq!(space.handle(NOW, Actor::House, arrive(99)), Err(Refusal::StageFull));
    assert_eq!(space.handle(NOW, Actor::House, arrive(0)), Ok(()), "who is there already reconnects");
    assert_eq!(space.handle(NOW, Actor::House, Command::Depart { participant: participant("p3") }), Ok(()));
    assert_eq!(space.handle(NOW, Actor::House, arrive(99)), Ok(()));
}

#[test]
fn the_stage_is_empty_after_the_end_and_after_a_restart() {
    let mut live = space(Recording::On, &["start", "arrive", "hear"]);
    let restarted = Space::from_facts(live.facts().clone());
    assert!(restarted.stage().is_empty() && restarted.require_live().is_ok());
    live.handle(NOW, Actor::Host, Command::End).expect("allowed");
    assert!(live.stage().is_empty() && live.speaking().is_none());
}

#[test]
fn a_clock_set_back_does_not_end_a_space_before_it_began() {
    let mut space = space(Recording::On, &[]);
    let later = NOW + Duration::from_secs(100);
    space.handle(later, Actor::Host, Command::Start).expect("allowed");
    space.handle(NOW, Actor::Host, Command::End).expect("allowed");
    assert_eq!(space.facts().phase, Phase::Ended { started: later, ended: later });
}

proptest! {
    /// Whatever is asked in whatever order: the stage keeps its limit, whoever is heard is on it, nobody is on it unless
    /// it is live, and a space starts and ends at most once.
    #[test]
    fn random_commands_keep_the_laws(steps in proptest::collection::vec((0usize..12, 0usize..40, 0usize..4), 0..200)) {
        let names = ["start", "end", "delete", "arrive", "depart", "hear", "hush", "pause", "resume", "post", "give up", "expire"];
        let actors = [Actor::House, Actor::House, Actor::Host, Actor::Speaker];
        let mut space = space(Recording::On, &[]);
        let (mut started, mut ended) = (0, 0);
        for (which, who, actor) in steps {
            let id = participant(&format!("p{who}"));
            let command = match command(names[which]) {
                Command::Arrive { name, .. } => Command::Arrive { participant: id, name },
                Command::Depart { .. } => Command::Depart { participant: id },
                Command::Hear { participant: Some(_) } => Command::Hear { participant: Some(id) },
                other => other,
            };
            let _ = space.handle(NOW, actors[actor], command);
            while let Some(event) = space.poll() {
                started += usize::from(event == Event::Started);
                ended += usize::from(event == Event::Ended);
            }
            prop_assert!(space.stage().len() <= SPEAKERS_MAX);
            prop_assert!(space.stage().is_empty() || space.require_live().is_ok());
            prop_assert!(space.speaking().is_none_or(|id| space.stage().iter().any(|p| p.id == *id)));
            prop_assert!(ended <= started && started <= 1);
        }
    }
}
