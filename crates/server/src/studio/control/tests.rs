//! What follows a broken programme, which shard is whose, who sits down, and what becomes of commands that the beat has no room for.

use hiwar_engine::live_bus::Figures;

use super::*;
use crate::studio::shards::Shards;

/// A control whose commands the test takes, and a space that is listened to.
fn heard() -> (Control, rtrb::Consumer<Command>, LogId) {
    let (beat, commands) = rtrb::RingBuffer::new(16);
    let mut control = Control::new(vec![beat], Arc::default());
    let space = LogId::parse("broken").unwrap();
    control.open(space, Access::Open, Origin { index: 0, time: Time(0) }, Audience::Hears);
    let audience = Figures { listening: 1, ..Figures::default() };
    let count = Count { log: space, audience, rehearsal: Figures::default(), fetched: false, lean: false };
    control.counted(WorkerId(1), &[count], Instant::now());
    (control, commands, space)
}

/// Has somebody sit down whom the net thread takes.
fn sit(control: &mut Control, space: &LogId, participant: &str) -> Result<(u64, Option<SessionId>), PublishRefusal> {
    sit_if(control, space, participant, |_| Ok(()))
}

fn sit_if(
    control: &mut Control,
    space: &LogId,
    participant: &str,
    join: impl FnOnce(u64) -> Result<(), PublishRefusal>,
) -> Result<(u64, Option<SessionId>), PublishRefusal> {
    let (_packets, packets) = hiwar_rtc::ring::ring(1);
    let who = Speaking { participant: participant.into(), speaking_event: Vec::new(), voicing: Voicing::Open };
    control.seat(space, who, Some(format!("{participant}'s")), Ends { packets, returns: None }, join)
}

/// What the beat is told of speakers, as it would be obeyed: `+` sits down, `-` leaves, `m` and `o` are muted and open.
fn told(commands: &mut rtrb::Consumer<Command>) -> Vec<(char, u64)> {
    let word = |command| match command {
        Command::Seat { line, .. } => Some(('+', line.token)),
        Command::Unseat { token, .. } => Some(('-', token)),
        Command::Voice { token, voicing: Voicing::Muted, .. } => Some(('m', token)),
        Command::Voice { token, voicing: Voicing::Open, .. } => Some(('o', token)),
        _ => None,
    };
    std::iter::from_fn(|| commands.pop().ok()).filter_map(word).collect()
}

/// The programme that begins next, and in which slot.
fn begins(commands: &mut rtrb::Consumer<Command>) -> Option<(u16, Box<OnAir>)> {
    std::iter::from_fn(|| commands.pop().ok()).find_map(|command| match command {
        Command::Air { slot, space } => Some((slot, space)),
        _ => None,
    })
}

#[test]
fn a_space_its_slot_and_its_people_are_in_one_shard() {
    let (beats, mut commands): (Vec<_>, Vec<_>) = (0..3).map(|_| rtrb::RingBuffer::new(64)).unzip();
    let (mut control, shards) = (Control::new(beats, Arc::default()), Shards(3));
    let mut met = [0; 3];
    for n in 0..12 {
        let space = LogId::parse(&format!("space{n}")).unwrap();
        control.open(space, Access::Open, Origin { index: 0, time: Time(0) }, Audience::Hears);
        let (token, _) = sit(&mut control, &space, "p1").unwrap();
        let shard = shards.of_space(&space);
        assert_eq!(shards.of(token), shard);
        let (slot, _) = begins(&mut commands[shard]).expect("a programme");
        assert_eq!(shards.of(slot), shard);
        assert_eq!(control.slot(slot), Some(space));
        assert!(matches!(commands[shard].pop(), Ok(Command::Seat { slot: seat, .. }) if seat == slot));
        met[shard] += 1;
    }
    assert!(met.iter().all(|spaces| *spaces > 0), "{met:?}");
}

#[test]
fn a_programme_that_follows_a_broken_one_goes_on_behind_the_last_chunk_where_that_one_would_be() {
    let (mut control, mut commands, space) = heard();
    let (slot, _) = begins(&mut commands).expect("somebody listens");
    control.aired(slot, Origin { index: 7, time: Time(70_000) });
    let (of, gone) = control.broken(slot, 5, Instant::now()).expect("its space");
    assert_eq!((of, gone.len()), (space, 0));
    let (_, next) = begins(&mut commands).expect("another");
    assert_eq!(next.programme().next(), (7, Time(70_000)));
    assert_eq!(next.programme().stats().beats, 5);
}

#[test]
fn a_programme_that_breaks_at_once_is_not_begun_with_every_beat() {
    let (mut control, mut commands, space) = heard();
    let now = Instant::now();
    let (slot, _) = begins(&mut commands).expect("somebody listens");
    control.broken(slot, 1, now);
    let (slot, _) = begins(&mut commands).expect("another");
    control.broken(slot, 1, now + Duration::from_millis(20));
    control.tidy(now);
    assert!(begins(&mut commands).is_none());
    // The time has come.
    control.spaces.get_mut(&space).unwrap().held_until = Some(now);
    control.tidy(now);
    assert!(begins(&mut commands).is_some());
}

#[test]
fn whoever_waits_for_the_end_of_a_programme_that_breaks_is_told() {
    let (mut control, mut commands, space) = heard();
    let (slot, _) = begins(&mut commands).expect("somebody listens");
    let mut stopped = control.stop(&space).expect("it runs");
    control.broken(slot, 1, Instant::now());
    assert_eq!(stopped.try_recv(), Ok(()));
    assert!(begins(&mut commands).is_none(), "a space that ends begins nothing");
    assert_eq!(control.on_air(), 0);
}

#[test]
fn what_a_full_ring_did_not_take_is_said_when_it_does_and_only_the_last_of_it() {
    let (mut control, mut commands, space) = heard();
    let (slot, _) = begins(&mut commands).expect("somebody listens");
    let [salma, omar, huda] = ["salma", "omar", "huda"].map(|who| sit(&mut control, &space, who).unwrap().0);
    let mut before: Vec<(char, u64)> = [salma, omar, huda].map(|token| ('+', token)).into();
    // Far more than the ring takes; and events, which may be lost.
    for _ in 0..50 {
        control.voice(&space, "salma", Voicing::Muted);
        control.voice(&space, "salma", Voicing::Open);
        control.tell(&space, b"{}".into());
    }
    control.voice(&space, "omar", Voicing::Muted);
    control.leave(huda);
    control.voice(&space, "salma", Voicing::Muted);
    assert!(matches!(sit(&mut control, &space, "late"), Err(PublishRefusal::Unavailable)), "nobody overtakes them");
    let first = told(&mut commands);
    before.extend([('m', salma), ('o', salma)].into_iter().cycle().take(first.len() - before.len()));
    assert_eq!(first, before);
    // The next chunk of any of its spaces.
    control.aired(slot, Origin { index: 1, time: Time(9_600) });
    assert_eq!(told(&mut commands), [('m', salma), ('m', omar), ('-', huda)]);
    assert!(sit(&mut control, &space, "late").is_ok());
}

#[test]
fn a_mute_that_waits_is_not_lost_to_what_opens_again() {
    let (mut control, mut commands, space) = heard();
    let (slot, _) = begins(&mut commands).expect("somebody listens");
    let [salma, omar, huda] = ["salma", "omar", "huda"].map(|who| sit(&mut control, &space, who).unwrap().0);
    (0..50).for_each(|_| control.tell(&space, b"{}".into()));
    for _ in 0..50 {
        for who in ["salma", "omar", "huda"] {
            control.voice(&space, who, Voicing::Muted);
            control.voice(&space, who, Voicing::Open);
            control.voice(&space, who, Voicing::Open);
        }
    }
    control.voice(&space, "omar", Voicing::Muted);
    control.leave(huda);
    told(&mut commands);
    control.aired(slot, Origin { index: 1, time: Time(9_600) });
    assert_eq!(told(&mut commands), [('m', salma), ('m', omar), ('-', huda), ('o', salma)]);
}

#[test]
fn a_programme_is_asked_to_rest_also_when_the_ring_is_full() {
    let (mut control, mut commands, space) = heard();
    begins(&mut commands).expect("somebody listens");
    (0..50).for_each(|_| control.tell(&space, b"{}".into()));
    assert!(control.stop(&space).is_some(), "its end is waited for");
    let rests = |commands: &mut rtrb::Consumer<Command>| {
        std::iter::from_fn(|| commands.pop().ok()).filter(|command| matches!(command, Command::Rest { .. })).count()
    };
    assert_eq!(rests(&mut commands), 0);
    control.tidy(Instant::now());
    assert_eq!(rests(&mut commands), 1);
}

#[test]
fn what_is_said_while_a_programme_is_on_its_way_back_is_said_to_the_next() {
    let (mut control, mut commands, space) = heard();
    let (slot, on_air) = begins(&mut commands).expect("somebody listens");
    // Nobody listens any more.
    control.counted(WorkerId(1), &[], Instant::now());
    control.tidy(Instant::now() + QUIET);
    let [salma, omar] = ["salma", "omar"].map(|who| sit(&mut control, &space, who).unwrap().0);
    for _ in 0..100 {
        control.voice(&space, "salma", Voicing::Open);
        control.voice(&space, "salma", Voicing::Muted);
    }
    control.leave(omar);
    assert_eq!(told(&mut commands), []);
    control.rested(slot, on_air.programme());
    assert_eq!(told(&mut commands), [('+', salma), ('m', salma)]);
}

#[test]
fn whoever_the_net_thread_does_not_take_takes_nobodys_place() {
    let (mut control, mut commands, space) = heard();
    let (first, _) = sit(&mut control, &space, "salma").unwrap();
    told(&mut commands);
    let refused = sit_if(&mut control, &space, "salma", |_| Err(PublishRefusal::Full));
    assert!(matches!(refused, Err(PublishRefusal::Full)));
    assert_eq!(control.session("salma's"), Some(first));
    assert_eq!(told(&mut commands), [], "they are heard as before");
    let (second, replaced) = sit(&mut control, &space, "salma").unwrap();
    assert_eq!(replaced, Some(SessionId(first)));
    assert_eq!(told(&mut commands), [('-', first), ('+', second)]);
    assert_eq!(control.leave(first), None, "only whoever is there leaves");
    assert_eq!(control.leave(second), Some((space, "salma".into())));
}
