use proptest::prelude::*;

use super::*;
use crate::door::draw::DrawSecret;
use crate::door::network::Turn;
use crate::door::places::{Report, Share};
use crate::door::ticket::Class;

const SECOND: Duration = Duration::from_secs(1);

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A house that begins, and finds these workers.
fn begin(now: SystemTime, cap: u32, workers: &[WorkerId]) -> Allocator {
    Allocator::new(now, cap, 2_000, Stays::default(), workers.iter().copied())
}

/// What a worker tells that knows of that crowd.
fn told(opening: u16, inside: u32) -> Told {
    Told {
        opening,
        report: Report { inside, wanted: 9, ..Report::default() },
        entered: inside.into(),
        ..Told::default()
    }
}

/// The house after that one, which finds these workers, as it is by what was kept.
fn next(now: SystemTime, before: &Allocator, workers: &[WorkerId]) -> Allocator {
    let mut after = begin(now, before.cap(), workers);
    if let Some(standing) = before.standing() {
        after.resume(now, Standing::decode(&standing.encode()).expect("what is kept is read"));
    }
    after
}

/// Which crowd it is for a worker that has just begun.
fn opening(now: SystemTime, house: &mut Allocator) -> u16 {
    house.hear(now, 99, told(0, 0));
    house.opening().expect("a worker has told")
}

/// A house with one worker at which somebody waits, a minute ago or just now, of that crowd.
fn crowd(now: SystemTime, opening: u16, is_drawn: bool) -> Allocator {
    let begun = now - if is_drawn { WINDOW + TALLY + SECOND } else { SECOND };
    let mut house = begin(begun, 2, &[1]);
    house.hear(begun, 1, Told { pressed: Some(begun), ..told(opening, 2) });
    house.tick(begun);
    assert!(house.is_gathering());
    let mut tally = Tally::default();
    tally.add(Class::Anybody, DrawSecret::of(&[4; 32], opening).lot(7, Turn::FIRST));
    house.hear_tally(1, opening, tally);
    house.tick(now);
    assert_eq!(house.drawn().is_some(), is_drawn);
    house
}

/// Each takes its part of it.
#[test]
fn what_is_left_over_is_told_whole_to_however_many_workers() {
    let spare = |workers: &[WorkerId]| {
        let (begun, drawn) = (start(), start() + WINDOW + TALLY + SECOND);
        let mut house = begin(begun, 100, workers);
        for worker in workers {
            house.hear(begun, *worker, Told { pressed: Some(begun), ..told(0, 0) });
        }
        house.tick(begun);
        let mut tally = Tally::default();
        tally.add(Class::Anybody, DrawSecret::of(&[4; 32], 0).lot(7, Turn::FIRST));
        workers.iter().for_each(|worker| house.hear_tally(*worker, 0, tally.clone()));
        let words = house.tick(drawn);
        assert!(words.iter().all(|(_, word)| word.yours.workers as usize == workers.len()));
        match words[0].1.phase {
            Phase::Queue { spare, .. } => spare,
            ref phase => panic!("{phase:?}"),
        }
    };
    let [one, three] = [spare(&[1]), spare(&[1, 2, 3])];
    assert!(one > 50 && one == three, "{one} and {three}");
}

/// Whoever is at the other of two workers then would else be drawn, which takes a minute, and the place is free.
#[test]
fn a_place_that_is_on_its_way_to_a_worker_is_free_for_those_at_others() {
    let now = start();
    let mut house = begin(now, 1, &[1, 2]);
    let mut share = Share::default();
    let mut seen = Vec::new();
    for second in 0..8 {
        let now = now + SECOND * second;
        let grant = house.hear(now, 1, Told { report: share.report(9), ..Told::default() });
        house.hear(now, 2, told(0, 0));
        seen.extend(house.tick(now).into_iter().map(|(_, word)| word.free));
        // It comes when the house has spoken to all.
        grant.into_iter().for_each(|grant| share.take(now, grant));
    }
    assert!(share.has_room(now + SECOND * 7) && seen == [1; 16], "{seen:?}");
    // And while that worker says nothing for some seconds; but not for ever.
    let silent = [5, 20].map(|later| house.tick(now + SECOND * (7 + later)).iter().all(|(_, word)| word.free > 0));
    assert_eq!(silent, [true, false]);
    share.admit(now + SECOND * 7);
    let later = now + SECOND * 28;
    house.hear(later, 1, Told { report: share.report(9), ..Told::default() });
    assert!(house.tick(later).iter().all(|(_, word)| word.free == 0), "and then somebody has it");
}

#[test]
fn after_a_restart_of_everything_that_found_a_crowd_too_old_the_next_is_another() {
    let now = start();
    for (is_drawn, opening_then) in [(false, 0), (true, 0), (true, 7), (true, 60_000)] {
        let before = crowd(now, opening_then, is_drawn);
        for later in [now + Duration::from_secs(40 * 60), now - Duration::from_secs(3_600)] {
            let mut after = next(later, &before, &[]);
            assert_eq!(opening(later, &mut after), opening_then.wrapping_add(1));
            assert!(after.waiting(later).is_none() && after.bound() == 0, "nobody waits, and nobody's place is kept");
            // And where its workers live still.
            let mut after = next(later, &before, &[1]);
            after.hear(later, 1, told(opening_then, 2));
            assert_eq!((after.opening(), after.waiting(later)), (Some(opening_then.wrapping_add(1)), None));
        }
    }
}

#[test]
fn a_crowd_that_is_over_is_over_for_the_next_house_too() {
    let now = start();
    let mut house = crowd(now, 3, true);
    let mut time = now;
    while house.waiting(time).is_some() {
        time += SECOND;
        // Whoever was inside leaves, and whoever waited has come.
        house.hear(time, 1, Told { came: 1, ..told(3, 0) });
        house.tick(time);
        assert!(time < now + Duration::from_secs(3_600), "its table is never over");
    }
    assert_eq!(house.opening(), Some(4));
    let mut alone = next(time, &house, &[1]);
    alone.hear(time, 1, told(4, 0));
    assert_eq!(alone.opening(), Some(4), "whoever pressed at its workers is of that crowd");
    let mut all = next(time, &house, &[]);
    assert_eq!(opening(time, &mut all), 5, "somebody may have tickets of the one before it");
}

#[test]
fn before_anybody_was_inside_there_is_nothing_to_keep() {
    let mut house = begin(start(), 10, &[1]);
    assert_eq!(house.standing(), None);
    house.hear(start(), 1, told(0, 0));
    assert_eq!(house.standing(), None);
    house.hear(start(), 1, told(0, 1));
    assert!(house.standing().is_some());
    house.hear(start(), 1, told(1, 0));
    assert!(house.standing().is_some_and(|standing| standing.opening == 1), "a crowd was there before");
}

#[test]
fn whoever_was_inside_at_a_worker_that_lives_is_counted_once() {
    let now = start();
    let mut house = begin(now, 100, &[1, 2]);
    for worker in [1, 2] {
        house.hear(now, worker, told(0, 40));
    }
    house.tick(now);
    // One of them died with the house.
    let mut after = next(now, &house, &[1]);
    assert_eq!(after.bound(), 40);
    after.hear(now, 1, told(0, 40));
    assert_eq!((after.bound(), after.opening()), (80, Some(0)));
    after.tick(now);
    assert_eq!(after.cohorts, house.cohorts, "nobody came in");
}

#[test]
fn no_crowd_that_was_drawn_in_public_is_begun_again() {
    let now = start();
    for (knows, drawn, is) in [(0, 0, 1), (0, 6, 7), (7, 6, 7), (9, 6, 9)] {
        let mut house = begin(now, 10, &[1]);
        house.hear(now, 1, told(knows, 0));
        house.comes_after(drawn);
        assert_eq!(house.opening(), Some(is), "{knows} and {drawn}");
        house.hear(now, 1, told(knows, 0));
        assert_eq!(house.opening(), Some(is), "{knows} and {drawn}");
    }
    // The one that stands is drawn already.
    for is_drawn in [false, true] {
        let mut house = crowd(now, 5, is_drawn);
        (3..=5).for_each(|drawn| house.comes_after(drawn));
        assert_eq!((house.opening(), house.waiting(now)), (Some(5), Some(is_drawn.into())));
        house.comes_after(6);
        assert_eq!((house.opening(), house.waiting(now)), (Some(7), None), "what was kept was of a crowd before that");
    }
}

proptest! {
    /// Whoever was inside finds a place, and nobody who comes for the first time has it before.
    #[test]
    fn after_a_restart_of_everything_while_nobody_waits_everybody_has_their_place_and_no_crowd_is_the_same(
        cap in 1u32..400,
        crowds in 0..u16::MAX,
        inside in prop::collection::vec(0u32..200, 1..4),
        down in 0u64..1_700,
    ) {
        let mut now = start();
        let workers: Vec<WorkerId> = (1..).take(inside.len()).collect();
        let mut house = begin(now, cap, &workers);
        for _ in 0..5 {
            now += SECOND;
            for (worker, inside) in workers.iter().zip(&inside) {
                house.hear(now, *worker, Told { report: Report { inside: *inside, ..Report::default() }, ..told(crowds, *inside) });
            }
            house.tick(now);
        }
        let were: u32 = inside.iter().sum();
        prop_assume!(were > 0 || crowds > 0);
        now += Duration::from_secs(down);
        let mut after = next(now, &house, &[]);
        prop_assert_eq!(after.bound(), u64::from(were.min(cap)));
        now += GRANT;
        let (mut away, mut others, mut shares) = (were, 0, [Share::default(); 2]);
        for _quarter in 0..4 * 20 {
            now += Duration::from_millis(250);
            for (worker, share) in (50..).zip(&mut shares) {
                if let Some(grant) = after.hear(now, worker, Told { report: share.report(9), ..told(0, 0) }) {
                    share.take(now, grant);
                }
                while share.admit(now) {
                    others += 1;
                }
                away -= (0..away.into()).filter(|who| share.admit_back(now, Some(*who), false)).count() as u32;
            }
            after.tick(now);
        }
        prop_assert!(after.opening().is_some_and(|opening| opening > crowds));
        prop_assert!(away == were.saturating_sub(cap), "{away} of {were} are not back, and {others} others are there");
        prop_assert!(were - away + others <= cap);
    }
}
