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
    let mut kept: Vec<_> = (0..tickets)
        .map(|nth| (NOW + each_later_by * nth as u32, Ticket { serial: 1 + nth, ..ticket(worth) }))
        .collect();
    for minute in 0..12 * 60 {
        let now = NOW + Duration::from_secs(60 * minute);
        good(&mut desk, now, 2 + minute, 0);
        for (comes, one) in kept.iter_mut().filter(|(comes, _)| *comes <= now) {
            let (redemption, period) = (shared.memory().redemption, look::period(now + EARLY, one.network));
            let before = redemption.looks_in(one.serial, period);
            let next = waits(desk.present(now, shared.memory(), *one, 0, Entry::Now));
            if redemption.looks_in(one.serial, period) != before {
                looked.push(period);
            }
            let is_late = *comes > one.due;
            let later = if is_often && !is_late { each_later_by * (one.serial - 1) as u32 } else { Duration::ZERO };
            (*comes, *one) = (next.due + later, next);
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
            assert!(spread.len() >= alone.len() - 1, "each looks in some: {spread:?}");
            assert!(spread.iter().all(|period| look::is_of(*period, AHEAD_MAX)), "{minutes} min: {spread:?}");
        }
    }
}
