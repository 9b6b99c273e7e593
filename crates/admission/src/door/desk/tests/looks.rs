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
