//! How often somebody looks for what is left over.

use super::*;

/// How often they look in twelve hours who come when they are told to, or show each ticket that they were ever given once in every minute.
fn looks(keeps_all: bool) -> usize {
    let (shared, mut desk, mut count) = (Shared::new(), left_over_desk(0), 0);
    let mut kept = vec![ticket(Worth::Draw(Turn { round: 1, within: 0 }))];
    for minute in 0..12 * 60 {
        let now = NOW + Duration::from_secs(60 * minute);
        good(&mut desk, now, 2 + minute, 0);
        let due: Vec<_> = kept.iter().copied().filter(|ticket| ticket.due <= now).collect();
        for one in due {
            let redemption = shared.memory().redemption;
            let looks_in = || redemption.looks_in(125, look::period(now + EARLY, one.network));
            let before = looks_in();
            let next = waits(desk.present(now, shared.memory(), one, 0, Entry::Now));
            count += usize::from(looks_in() != before);
            if !keeps_all {
                kept = vec![next];
            } else if !kept.contains(&next) {
                kept.push(next);
            }
        }
    }
    count
}

/// Nor is it a reason to be let in sooner that they were told several times.
#[test]
fn whoever_keeps_every_ticket_looks_no_more_often_than_who_comes_when_they_are_told() {
    let (usual, with_all) = (looks(false), looks(true));
    assert!((16..=20).contains(&usual) && with_all <= usual + 1, "{usual} and {with_all}");
}

/// Each ticket is shown later than it is due by another time than others of its network, the first time or each second one: in which periods any of them looks, in twelve hours.
fn periods(tickets: u64, each_later_by: Duration, is_drawn: bool, is_often: bool) -> Vec<u64> {
    let (shared, mut desk, mut looked) = (Shared::new(), left_over_desk(0), Vec::new());
    let worth = if is_drawn { Worth::Draw(Turn { round: 1, within: 0 }) } else { Worth::Rank(9_000) };
    let later = |serial: u64| each_later_by * (serial - 1) as u32;
    let mut kept: Vec<_> =
        (1..=tickets).map(|serial| (NOW + later(serial), Ticket { serial, ..ticket(worth) })).collect();
    for minute in 0..12 * 60 {
        let begin = NOW + Duration::from_secs(60 * minute);
        good(&mut desk, begin, 2 + minute, 0);
        for (comes, one) in kept.iter_mut().filter(|(comes, _)| *comes <= begin) {
            let now = begin + Duration::from_millis(one.serial);
            let next = waits(desk.present(now, shared.memory(), *one, 0, Entry::Now));
            let [period, told] = [now + EARLY, next.due].map(|at| look::period(at, one.network));
            if desk.leftovers.looked_at() == Some(now) {
                looked.push(period);
            }
            if matches!(one.worth, Worth::Rank(_)) {
                assert_eq!(told, (period + 1).next_multiple_of(AHEAD_MAX), "as soon as others, however late they are");
            }
            let is_late = *comes > one.due;
            (*comes, *one) = (next.due + if is_often && !is_late { later(one.serial) } else { Duration::ZERO }, next);
        }
    }
    looked.sort_unstable();
    looked.dedup();
    looked
}

#[test]
fn tickets_of_one_network_look_in_the_same_periods_however_late_each_is_shown() {
    for is_drawn in [true, false] {
        let alone = periods(1, Duration::ZERO, is_drawn, false);
        assert!((17..=19).contains(&alone.len()), "{alone:?}");
        for (minutes, is_often) in [1, 5, 7].into_iter().flat_map(|minutes| [(minutes, false), (minutes, true)]) {
            let spread = periods(24, Duration::from_secs(60 * minutes), is_drawn, is_often);
            assert!(spread.len() + 1 >= alone.len(), "{spread:?}");
            assert!(spread.iter().all(|period| period.is_multiple_of(AHEAD_MAX)), "{minutes} min: {spread:?}");
        }
    }
}

/// And whoever did not get the answer is told the same, a few seconds before it is their time too.
#[test]
fn whoever_was_told_to_look_soon_does_though_it_seems_meanwhile_that_it_is_not_their_turn_for_long() {
    let (shared, mut desk, soon) = (Shared::new(), left_over_desk(0), queue());
    let Phase::Queue { table, .. } = &soon else { unreachable!() };
    let first = Ticket { due: NOW + 2 * LOOK, network: 0, ..ticket(Worth::Rank(table.ranks() + 5)) };
    good(&mut desk, first.due, 2, 0);
    desk.hear(word(3, soon.clone()));
    let next = waits(desk.present(first.due, shared.memory(), first, 0, Entry::Now));
    assert_eq!((next.due, desk.leftovers.looked_at()), (first.due + LOOK, Some(first.due)));
    let lost = next.due - Duration::from_secs(10);
    assert_eq!(waits(desk.present(lost, shared.memory(), first, 0, Entry::Now)), next);
    // Of an odd period.
    assert!(!look::period(next.due, 0).is_multiple_of(2));
    leave_over(&mut desk, 0);
    good(&mut desk, next.due, 3, 0);
    let then = waits(desk.present(next.due, shared.memory(), next, 0, Entry::Now));
    assert_eq!(desk.leftovers.looked_at(), Some(next.due));
    assert!(look::period(then.due, 0).is_multiple_of(AHEAD_MAX) && then.due <= next.due + LOOK * 8, "{then:?}");
}
