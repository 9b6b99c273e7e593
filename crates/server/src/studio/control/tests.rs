//! What follows a broken programme, and which shard is whose.

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
        let (_packets, ring) = hiwar_rtc::ring::ring(1);
        let who = Speaking { participant: "p1".into(), speaking_event: Vec::new(), voicing: Voicing::Open };
        let (token, _) = control.seat(&space, who, None, ring, None).unwrap();
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
