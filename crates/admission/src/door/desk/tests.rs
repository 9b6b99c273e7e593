use std::sync::atomic::{AtomicU32, AtomicU64};

use super::*;
use crate::door::counts::CELLS;
use crate::door::network::NetworkKey;
use crate::door::places::GRANT;
use crate::door::redemption::AHEAD_MAX;
use crate::door::timetable::{Outlook, Stays};

mod looks;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

struct Shared {
    cells: Vec<AtomicU32>,
    bits: Vec<AtomicU64>,
}

impl Shared {
    fn new() -> Self {
        let cells = std::iter::repeat_with(AtomicU32::default).take(CELLS).collect();
        Self { cells, bits: std::iter::repeat_with(AtomicU64::default).take(8).collect() }
    }

    fn memory(&self) -> Memory<'_> {
        let counts = Counts::new(&self.cells, 0).expect("as many as are needed");
        Memory { counts, redemption: Redemption::new(&self.bits) }
    }

    /// A desk with serials, and places that are good.
    fn desk(room: u32) -> Desk {
        let mut desk = Desk::new([4; 32]);
        desk.take(NOW, Grant { number: 1, more: room, ..Grant::default() });
        desk.take_serials(1..120);
        desk
    }
}

fn networks() -> Networks {
    NetworkKey::from_bytes([3; 32]).networks("192.0.2.7".parse().expect("an address"))
}

fn ticket(worth: Worth) -> Ticket {
    Ticket { serial: 125, opening: 3, class: Class::Anybody, network: 9, due: NOW, worth }
}

fn word(opening: u16, phase: Phase) -> Word {
    Word { opening, phase, pace: 10, free: 0, yours: Yours { workers: 1, ..Yours::default() } }
}

/// A queue in which a thousand were drawn, all of them behind whoever has not been.
fn queue() -> Phase {
    let mut drawn = Tally::default();
    let secret = DrawSecret::of(&[4; 32], 3);
    (0..1_000).for_each(|network| drawn.add(Class::Anybody, secret.lot(network, Turn { round: 1, within: 0 })));
    let outlook = Outlook { now: NOW, first: 0, places: 500, inside: &[], pace: 10, stays: Stays::default() };
    Phase::Queue { drawn, table: Timetable::of(&outlook), late: 0, per_minute: 0, spare: 0 }
}

fn waits(answer: impl Into<Option<Answer>>) -> Ticket {
    match answer.into() {
        Some(Answer::Wait(ticket)) => ticket,
        Some(Answer::Again(ticket, comes)) => Ticket { due: comes, ..ticket },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_house_that_has_not_spoken_yet_is_no_crowd() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(5);
    let arrives = |desk: &mut Desk, now| desk.arrive(now, memory, &networks(), None, 0, Entry::Now);
    let ticket = waits(arrives(&mut desk, NOW));
    assert!(ticket.worth == Worth::Place { promised: Duration::ZERO } && ticket.due == NOW + SOON);
    assert_eq!(desk.present(NOW, memory, ticket, 0, Entry::Now), Some(Answer::Wait(ticket)));
    // Then they come as others do, and so do those who were told by another clock.
    for due in [ticket.due, ticket.due + Duration::from_secs(600)] {
        let ticket = Ticket { due, ..ticket };
        assert_eq!(desk.present(NOW + SOON, memory, ticket, 0, Entry::Now), None);
    }
    desk.hear(word(0, Phase::Open));
    // What it was given is void by then; given anew, they enter.
    assert!(matches!(arrives(&mut desk, ticket.due), Answer::Wait(_)));
    desk.take(ticket.due, Grant { number: 2, more: 0, ..Grant::default() });
    assert_eq!(arrives(&mut desk, ticket.due), Answer::Enter);
    assert_eq!((desk.told().pressed, desk.serials_left()), (None, 119));
}

#[test]
fn who_finds_no_room_where_others_have_some_is_no_crowd() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(0);
    let yours = Yours { workers: 2, ..Yours::default() };
    let some = Word { free: 5, yours, ..word(0, Phase::Open) };
    desk.hear(some.clone());
    for _ in 0..3 + SAME / 2 {
        let ticket = waits(desk.arrive(NOW, memory, &networks(), None, 0, Entry::Now));
        assert_eq!((ticket.worth, desk.told().pressed), (Worth::Place { promised: Duration::ZERO }, None));
    }
    // The house has spoken again, and has some still.
    desk.hear(some.clone());
    for _ in 0..3 + SAME / 2 {
        let ticket = waits(desk.arrive(NOW, memory, &networks(), None, 0, Entry::Now));
        assert_eq!(ticket.worth, Worth::Place { promised: Duration::ZERO });
    }
    let ticket = waits(desk.arrive(NOW, memory, &networks(), None, 0, Entry::Now));
    assert!(matches!(ticket.worth, Worth::Draw(_)), "more come than there are places");
    let mut desk = Shared::desk(0);
    desk.hear(word(0, Phase::Open));
    let ticket = waits(desk.arrive(NOW, memory, &networks(), None, 0, Entry::Now));
    assert!(matches!(ticket.worth, Worth::Draw(_)));
}

#[test]
fn the_first_who_cannot_come_in_at_once_opens_the_window() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(1);
    desk.hear(word(0, Phase::Open));
    assert_eq!(desk.arrive(NOW, memory, &networks(), None, 0, Entry::Now), Answer::Enter);
    let ticket = waits(desk.arrive(NOW, memory, &networks(), None, 0, Entry::Now));
    assert!(matches!(ticket.worth, Worth::Draw(_)) && ticket.due >= NOW + WINDOW);
    assert_eq!((desk.told().pressed, desk.tally().total()), (Some(NOW), 1));
}

#[test]
fn whoever_comes_after_the_first_who_is_drawn_is_drawn_before_the_house_has_said_so() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(30);
    desk.hear(word(0, Phase::Open));
    let arrives = |desk: &mut Desk, now, entry| desk.arrive(now, memory, &networks(), None, 0, entry);
    for _ in 0..10 {
        assert_eq!(arrives(&mut desk, NOW, Entry::Now), Answer::Enter);
    }
    let first = waits(arrives(&mut desk, NOW, Entry::Now));
    assert!(matches!(first.worth, Worth::Draw(_)), "more than are let in in a second");
    let next_second = NOW + Duration::from_millis(1_100);
    for entry in [Entry::Now, Entry::Later] {
        let ticket = waits(arrives(&mut desk, next_second, entry));
        assert!(matches!(ticket.worth, Worth::Draw(_)), "{ticket:?}");
    }
    assert_eq!((desk.told().pressed, desk.tally().total()), (Some(NOW), 3));
}

/// A home's /56, from each of whose lines somebody asks a thousand times.
#[test]
fn one_network_sets_back_who_comes_after_the_draw_by_no_more_than_its_rounds() {
    let shared = Shared::new();
    let (memory, key) = (shared.memory(), NetworkKey::from_bytes([3; 32]));
    let mut desk = Shared::desk(0);
    desk.take_serials(1..1_000_000);
    desk.hear(word(3, queue()));
    for line in 0..123_u128 {
        let here = key.networks(std::net::Ipv6Addr::from((0x2001_0db8 << 96) | (line << 64)).into());
        for _ in 0..1_000 {
            waits(desk.arrive(NOW, memory, &here, None, 0, Entry::Now));
        }
    }
    let most = u64::from(LATE_ROUNDS) * u64::from(LATE_ROUNDS) * 32;
    assert!((256..=most).contains(&desk.told().late), "{}", desk.told().late);
    let ticket = waits(desk.arrive(NOW, memory, &networks(), None, 0, Entry::Now));
    assert_eq!(ticket.worth, Worth::Rank(1_000 + desk.told().late - 1));
}

/// Each time from another address, and so from another home's /64.
#[test]
fn of_ten_million_tickets_that_one_48_asks_for_few_are_given_and_a_stranger_has_theirs() {
    let shared = Shared::new();
    let (memory, key) = (shared.memory(), NetworkKey::from_bytes([3; 32]));
    let mut desk = Shared::desk(0);
    desk.take_serials(1..SERIALS);
    desk.hear(word(3, Phase::Gathering { until: NOW + WINDOW }));
    let mut given = 0u64;
    for n in 0..10_000_000_u128 {
        let address = (0x2001_0db8_0007 << 80) | (n % 65_536) << 64 | n;
        let here = key.networks(std::net::Ipv6Addr::from(address).into());
        given += u64::from(waits(desk.arrive(NOW, memory, &here, None, 0, Entry::Now)).serial != NOBODY);
    }
    assert!((1_000..SERIALS / 8).contains(&given), "{given}");
    let ticket = waits(desk.arrive(NOW, memory, &networks(), None, 0, Entry::Now));
    assert_eq!((ticket.serial, ticket.worth), (given + 1, Worth::Draw(Turn { round: 0, within: 0 })));
}

#[test]
fn the_fewer_serials_are_left_the_more_they_are_for_those_whose_network_has_had_few() {
    for (first, rounds) in [(1, ROUNDS), (SERIALS / 2 + 1, 8), (SERIALS * 3 / 4 + 1, 2), (SERIALS * 7 / 8 + 1, 1)] {
        let shared = Shared::new();
        let memory = shared.memory();
        let mut desk = Shared::desk(0);
        desk.take_serials(first..first + 10_000);
        desk.hear(word(3, Phase::Gathering { until: NOW + WINDOW }));
        let tickets = (0..5_000).map(|_| waits(desk.arrive(NOW, memory, &networks(), None, 0, Entry::Now)));
        let given = tickets.filter(|ticket| ticket.serial != NOBODY).count();
        // Of one address.
        assert_eq!(given, 32 * rounds, "from {first}");
    }
}

#[test]
fn whoever_is_vouched_for_is_drawn_among_their_like_and_whoever_shares_that_as_anybody() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(0);
    let follower = Some(Vouched { known: Known::Follower, holder: 77 });
    desk.hear(word(3, Phase::Gathering { until: NOW + WINDOW }));
    let mut arrives = |vouched| {
        let ticket = waits(desk.arrive(NOW, memory, &networks(), vouched, 0, Entry::Now));
        (ticket.class, ticket.network, ticket.worth, desk.take_nth())
    };
    let turn = |within| Worth::Draw(Turn { round: 0, within });
    for within in 0..2 {
        assert_eq!(arrives(follower), (Class::Follower, 77, turn(within), None));
    }
    // Beyond that they have what everybody has, of which nothing was taken.
    let here = networks().narrowest();
    for within in 0..2 {
        let nth = u32::from(within) + 1;
        assert_eq!(arrives(follower), (Class::Anybody, here, turn(within), Some([nth, nth, nth, 0])));
    }
    let other = arrives(Some(Vouched { known: Known::Earlier, holder: 78 }));
    assert_eq!(other, (Class::Earlier, 78, turn(0), None));
    let tally = desk.tally();
    assert_eq!([Class::Follower, Class::Earlier, Class::Anybody].map(|class| tally.vouched(class)), [2, 1, 0]);
    assert_eq!(tally.total(), 5);
    // After the draw it is first come, first served.
    desk.hear(word(3, queue()));
    let ticket = waits(desk.arrive(NOW, memory, &networks(), follower, 0, Entry::Now));
    assert_eq!((ticket.class, ticket.worth), (Class::Anybody, Worth::Rank(1_000)));
}

#[test]
fn whoever_was_drawn_among_their_like_has_the_rank_of_that() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(0);
    let (secret, mut drawn) = (DrawSecret::of(&[4; 32], 3), Tally::default());
    (0..10_000).for_each(|network| drawn.add(Class::Anybody, secret.lot(network, Turn::FIRST)));
    (0..100).for_each(|holder| drawn.add(Class::Follower, secret.lot(holder, Turn::FIRST)));
    let outlook = Outlook { now: NOW, first: 0, places: 500, inside: &[], pace: 1, stays: Stays::default() };
    desk.hear(word(3, Phase::Queue { drawn, table: Timetable::of(&outlook), late: 0, per_minute: 0, spare: 0 }));
    let due = |desk: &mut Desk, class, serial| {
        let ticket = Ticket { serial, class, ..ticket(Worth::Draw(Turn::FIRST)) };
        let told = waits(desk.present(NOW, memory, ticket, 0, Entry::Now));
        assert_eq!(told.class, class);
        told
    };
    // Of one lot: among a hundred with their own part it is a time, among ten thousand it is none yet.
    let (one, other) = (due(&mut desk, Class::Follower, 125), due(&mut desk, Class::Anybody, 126));
    assert!(matches!(one.worth, Worth::Place { .. }), "{one:?}");
    assert!(matches!(other.worth, Worth::Rank(rank) if rank > 5_000), "{other:?}");
}

#[test]
fn whoever_was_drawn_in_a_crowd_that_is_over_comes_as_others_do() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(5);
    for (opening, phase) in [(3, Phase::Open), (4, Phase::Open)] {
        desk.hear(word(opening, phase));
        let serial = u64::from(opening);
        for worth in [Worth::Draw(Turn::FIRST), Worth::Rank(80_000)] {
            let ticket = Ticket { serial: serial + 60 * u64::from(worth == Worth::Rank(80_000)), ..ticket(worth) };
            assert_eq!(desk.present(NOW, memory, ticket, 0, Entry::Now), None, "{opening} {worth:?}");
        }
    }
    for phase in [Phase::Gathering { until: NOW + WINDOW }, queue()] {
        desk.hear(word(5, phase));
        assert_eq!(desk.present(NOW, memory, ticket(Worth::Rank(0)), 0, Entry::Now), None);
    }
}

#[test]
fn without_serials_no_ticket_is_used_up() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(0);
    desk.hear(word(3, queue()));
    desk.take_serials(0..0);
    let looks = waits(desk.present(NOW, memory, ticket(Worth::Rank(90_000)), 0, Entry::Now));
    assert_eq!((looks.serial, looks.worth), (125, Worth::Rank(90_000)), "who looks needs none");
    let nothing = waits(desk.arrive(NOW, memory, &networks(), None, 0, Entry::Now));
    assert_eq!((nothing.serial, nothing.worth, nothing.due), (NOBODY, Worth::NO_TURN, NOW + LOOK));
    // However often they ask before that, and then they come as others do.
    assert_eq!(desk.present(NOW, memory, nothing, 0, Entry::Now), Some(Answer::Wait(nothing)));
    assert_eq!(desk.present(nothing.due, memory, nothing, 0, Entry::Now), None);
    assert_eq!(desk.told().late, 0);
    // Who was drawn, or has a place, needs none.
    let place = ticket(Worth::Place { promised: SOON });
    assert_eq!(desk.present(NOW, memory, place, 0, Entry::Now), Some(Answer::Again(place, NOW + SOON)));
    let place = waits(desk.present(NOW, memory, ticket(Worth::Draw(Turn::FIRST)), 0, Entry::Now));
    assert!(place.serial == 125 && matches!(place.worth, Worth::Place { .. }));
    let place = waits(desk.present(NOW, memory, ticket(Worth::Rank(7)), 0, Entry::Now));
    assert!(place.serial == 125 && matches!(place.worth, Worth::Place { .. }));
}

/// A desk in whose queue nobody has a time, with room, and so many places that are left over.
fn left_over_desk(spare: u32) -> Desk {
    let mut desk = Shared::desk(9);
    leave_over(&mut desk, spare);
    desk
}

fn leave_over(desk: &mut Desk, spare: u32) {
    leave_over_in(desk, 3, spare);
}

fn leave_over_in(desk: &mut Desk, opening: u16, spare: u32) {
    let Phase::Queue { drawn, .. } = queue() else { unreachable!() };
    let outlook = Outlook { now: NOW, first: 0, places: 0, inside: &[], pace: 0, stays: Stays::default() };
    let table = Timetable::of(&outlook);
    let word = word(opening, Phase::Queue { drawn, table, late: 0, per_minute: 0, spare });
    desk.hear(Word { pace: 1_000, ..word });
}

/// With places for an hour.
fn good(desk: &mut Desk, from: SystemTime, number: u64, more: u32) {
    desk.take(from, Grant { number, more, ..Grant::default() });
}

#[test]
fn whoever_looked_has_one_place_whatever_they_kept() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = left_over_desk(0);
    let drawn = ticket(Worth::Draw(Turn { round: 1, within: 0 }));
    let rank = waits(desk.present(NOW, memory, drawn, 0, Entry::Now));
    assert!(
        rank.serial == 125 && matches!(rank.worth, Worth::Rank(_)) && rank.due >= NOW + look::FIRST_LOOK,
        "{rank:?}"
    );
    good(&mut desk, rank.due, 2, 9);
    let next = waits(desk.present(rank.due, memory, rank, 0, Entry::Now));
    assert_eq!((next.serial, next.worth), (125, rank.worth));
    // They look, and were not inside.
    for kept in [drawn, rank, drawn] {
        let told = waits(desk.present(rank.due, memory, kept, 0, Entry::Now));
        assert_eq!((told.serial, told.class, told.worth), (125, Class::Anybody, rank.worth));
    }
    good(&mut desk, next.due, 3, 9);
    // What they have from before the others looked is no reason to be let in once more.
    let mut late = drawn;
    (late.worth, late.due) = (Worth::Place { promised: SOON }, next.due);
    assert_eq!(desk.present(next.due, memory, late, 0, Entry::Now), Some(Answer::Enter));
    good(&mut desk, next.due, 4, 0);
    desk.forget_times();
    for kept in [drawn, rank, next, late] {
        let told = waits(desk.present(next.due, memory, kept, 0, Entry::Now));
        assert_eq!((told.serial, told.class), (125, Class::Returning), "they have been inside now");
    }
}

/// Four hundred look in two seconds, where two hundred did in each second before: who finds one of forty places.
fn find_something(networks: impl Iterator<Item = u64>, (root, opening): (u8, u16), at: u64) -> Vec<u64> {
    let (mut shared, mut desk) = (Shared::new(), Desk::new([root; 32]));
    shared.bits.resize_with(64, AtomicU64::default);
    let begin = NOW + Duration::from_secs(at);
    leave_over_in(&mut desk, opening, 0);
    good(&mut desk, begin, 1, 0);
    good(&mut desk, begin, 2, 100);
    let looks = |desk: &mut Desk, nth: u64, network: u64| {
        let now = begin + Duration::from_millis(5 * nth);
        // They come when they were told to.
        let rank = Ticket { serial: 1 + nth, opening, network: network << 32, due: now, ..ticket(Worth::Rank(0)) };
        desk.present(now, shared.memory(), rank, 0, Entry::Now) == Some(Answer::Enter)
    };
    assert!(!(0..400).any(|nth| looks(&mut desk, nth, nth)), "nothing is left over yet");
    good(&mut desk, begin + Duration::from_secs(2), 3, 0);
    leave_over_in(&mut desk, opening, 40);
    let found = (400..).zip(networks).filter(|(nth, network)| looks(&mut desk, *nth, *network));
    found.map(|(_, network)| network).collect()
}

#[test]
fn what_is_left_over_is_for_whoever_is_lucky_in_whatever_order_they_ask() {
    let usual = find_something(0..400, (4, 3), 400);
    let too = |others: &[u64]| usual.iter().filter(|network| others.contains(network)).count();
    assert!((8..30).contains(&usual.len()), "{usual:?}");
    let backwards = find_something((0..400).rev(), (4, 3), 400);
    assert!(too(&backwards) * 10 >= usual.len() * 8, "{usual:?} and {backwards:?}");
    // Others are when they look again, of another space, and in the next crowd.
    for (of, at) in [((4, 3), 400 + 600), ((5, 3), 400), ((4, 4), 400)] {
        let others = find_something(0..400, of, at);
        assert!(others.len() > 8 && too(&others) < 5, "{usual:?} and {others:?}");
    }
    // Eight tickets of each of fifty networks are all lucky, or none is: but for the one with which luck is about to turn.
    let of_networks = find_something((0..400).map(|n| n / 8), (4, 3), 400);
    let counts = (0..50).map(|network| of_networks.iter().filter(|other| **other == network).count());
    let (all, some) = counts.fold((0, 0), |(all, some), count| match count {
        8 => (all + 1, some),
        0 => (all, some),
        _ => (all, some + 1),
    });
    assert!(all >= 1 && some <= 1, "{of_networks:?}");
}

/// Of five thousand who were drawn, seven hundred have what their network has a share of, and one comes in each second.
#[test]
fn what_is_left_over_is_for_whoever_asked_beyond_a_share_when_all_others_have_known_their_time_for_minutes() {
    let (secret, mut drawn) = (DrawSecret::of(&[4; 32], 3), Tally::default());
    (0..700).for_each(|network| drawn.add(Class::Anybody, secret.lot(network, Turn::FIRST)));
    (0..4_300).for_each(|network| drawn.add(Class::Anybody, secret.lot(network, Turn { round: 1, within: 0 })));
    let outlook = Outlook { now: NOW, first: 0, places: 9_000, inside: &[], pace: 1, stays: Stays::default() };
    let table = Timetable::of(&outlook);
    // Late, but in a period in which whoever is of that network looks, however seldom.
    let behind = Ticket { network: 1 << 29, ..ticket(Worth::Rank(4_900)) };
    for (seconds, is_theirs) in [(390, false), (410, true)] {
        let shared = Shared::new();
        let now = NOW + Duration::from_secs(seconds);
        let mut desk = Shared::desk(9);
        good(&mut desk, now, 2, 9);
        desk.hear(word(
            3,
            Phase::Queue { drawn: drawn.clone(), table: table.clone(), late: 0, per_minute: 0, spare: 1 },
        ));
        assert!(look::period(now, behind.network).is_multiple_of(AHEAD_MAX) && table.time(4_900).is_none());
        match desk.present(now, shared.memory(), behind, 0, Entry::Now) {
            Some(Answer::Enter) => assert!(is_theirs),
            answer => {
                let next = waits(answer);
                assert!(!is_theirs && next.worth == behind.worth);
                // Not long after it is, though they could be promised a place only in an hour.
                let reaches = table.reaches(4_900);
                assert!(next.due <= now + 3 * LOOK && reaches > Duration::from_secs(3_000), "{next:?} {reaches:?}");
            }
        }
        // Whose place it is to be soon they are told, and whose is not.
        let expects = |rank| desk.expects(now, &ticket(Worth::Rank(rank)));
        assert_eq!((expects(4_900), desk.expects(now, &ticket(Worth::Place { promised: SOON }))), (None, None));
        assert_eq!(expects(table.ranks()), Some(Duration::from_secs(1_800 - seconds)));
        let silent = now + 2 * GRANT + SILENT_MAX;
        assert_eq!(desk.expects(silent, &ticket(Worth::Rank(table.ranks()))), None, "the house is silent");
    }
}

#[test]
fn whoever_did_not_get_the_answer_keeps_their_rank_and_looks_once_in_a_period_however_often_they_ask() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = left_over_desk(0);
    let rank = waits(desk.present(NOW, memory, ticket(Worth::Draw(Turn::FIRST)), 0, Entry::Now));
    good(&mut desk, rank.due, 2, 9);
    let told = [0; 3].map(|_| waits(desk.present(rank.due, memory, rank, 0, Entry::Now)));
    assert!(told[0] == told[1] && told[1] == told[2] && told[0].worth == rank.worth, "{told:?}");
    // Places are left over after they looked: not for them, in this period.
    leave_over(&mut desk, 5);
    let end = rank.due + LOOK - EARLY;
    for kept in [rank, told[0]] {
        let mut now = rank.due;
        while now < end {
            good(&mut desk, now, 3 + now.duration_since(NOW).unwrap().as_secs(), 0);
            let again = waits(desk.present(now, memory, kept, 0, Entry::Now));
            assert_eq!((again.serial, again.worth), (125, rank.worth));
            now += Duration::from_secs(1);
        }
    }
    good(&mut desk, told[0].due, 9_999, 9);
    assert_eq!(desk.present(told[0].due, memory, told[0], 0, Entry::Now), Some(Answer::Enter));
}

#[test]
fn a_place_that_was_left_over_is_theirs_though_the_answer_was_lost() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = left_over_desk(1);
    let rank = waits(desk.present(NOW, memory, ticket(Worth::Draw(Turn::FIRST)), 0, Entry::Now));
    good(&mut desk, rank.due, 2, 9);
    let [one, other] = [0; 2].map(|_| waits(desk.present(rank.due, memory, rank, 0, Entry::Later)));
    assert_eq!((one, one.due), (other, rank.due), "by a page without JavaScript");
    assert!(matches!(one.worth, Worth::Place { .. }) && desk.promises().parts().1.iter().sum::<u32>() == 1);
    assert_eq!(desk.present(rank.due, memory, one, 0, Entry::Now), Some(Answer::Enter));
}

/// The switch is thrown for half an hour, people stay longer than was thought, or the house is silent.
#[test]
fn whoever_comes_in_time_and_finds_no_place_is_not_late_however_long_that_goes_on() {
    for is_silent in [false, true] {
        let shared = Shared::new();
        let memory = shared.memory();
        let mut desk = Shared::desk(0);
        desk.hear(word(3, queue()));
        let (mut ticket, mut now, mut asked) = (ticket(Worth::Place { promised: SOON }), NOW, 0);
        while now < NOW + Duration::from_secs(1_800) {
            if !is_silent {
                good(&mut desk, now, 2 + asked, 0);
            }
            let Some(Answer::Again(given, comes)) = desk.present(now, memory, ticket, 0, Entry::Now) else {
                panic!("{now:?}: it is theirs");
            };
            assert!(given.serial == 125 && comes > now && comes <= now + AFTER_SILENCE_MAX);
            (ticket, now, asked) = (given, comes, asked + 1);
        }
        assert!(asked < 60, "{asked}");
        good(&mut desk, now, 9_999, 1);
        assert_eq!(desk.present(now, memory, ticket, 0, Entry::Now), Some(Answer::Enter));
        assert_eq!(promised(&desk), [0, 1], "that was not what they had been told");
    }
}

#[test]
fn a_few_who_found_no_place_look_again_before_a_place_has_been_idle_for_long_and_many_do_not() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(0);
    desk.hear(word(3, queue()));
    let place = ticket(Worth::Place { promised: SOON });
    let pauses = |desk: &mut Desk, overdue: u64, room| {
        let now = NOW + Duration::from_secs(overdue);
        if let Some(number) = room {
            good(desk, now, number, 0);
        }
        [0, u32::MAX, 0, 0, 0].map(|chance| match desk.present(now, memory, place, chance, Entry::Now) {
            Some(Answer::Again(_, comes)) => comes.duration_since(now).expect("later").as_secs_f64().round(),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(pauses(&mut desk, 7, Some(2)), [7.0, 9.0, 7.0, 7.0, 7.0]);
    assert_eq!(pauses(&mut desk, 20, Some(3)), [12.0, 15.0, 12.0, 12.0, 20.0], "there are more than a few");
    assert_eq!(pauses(&mut desk, 20, Some(4)), [20.0, 25.0, 20.0, 20.0, 20.0], "in the same second");
    assert_eq!(pauses(&mut desk, 21, Some(5)), [12.0, 15.0, 12.0, 12.0, 21.0], "in the next");
    assert_eq!(pauses(&mut desk, 248, Some(6)), [31.0, 39.0, 31.0, 31.0, 60.0], "who waits for long is not put off");
    // What is no promise takes none of those: another time, who was let in, and one that was given anew for it was not kept.
    let now = NOW + Duration::from_secs(260);
    good(&mut desk, now, 7, 0);
    let rank = Ticket { worth: Worth::Rank(90_000), ..place };
    let anew = Ticket { worth: Worth::Place { promised: Duration::ZERO }, due: now - SOON_MAX, ..place };
    let used = Ticket { serial: 126, ..place };
    memory.redemption.redeem(used.serial).expect("it has not been");
    for shown in [rank, anew, used].repeat(FEW as usize) {
        assert!(!matches!(desk.present(now, memory, shown, 0, Entry::Now), Some(Answer::Enter) | None));
    }
    assert_eq!(pauses(&mut desk, 260, None)[0], 33.0);
    // Nor while the house says nothing.
    let silent = pauses(&mut desk, 260 + 2 * GRANT.as_secs(), None);
    assert!(silent.iter().all(|pause| *pause >= 12.0), "{silent:?}");
}

/// The machine's clock was an hour ahead, and is set right by a restart.
#[test]
fn whoever_was_inside_by_a_clock_that_was_ahead_does_not_wait_for_it() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(1);
    desk.hear(word(3, Phase::Open));
    let ahead = NOW + Duration::from_secs(3_600);
    let place = desk.place_of(ahead, 9, Desk::PLACE_MIN);
    assert_eq!(desk.present(NOW, memory, place, 0, Entry::Now), Some(Answer::Enter));
    // What was promised by it was promised at no time that is known now.
    let far = Ticket { due: NOW + 3 * LOOK_MAX, ..ticket(Worth::Place { promised: SOON }) };
    assert_eq!(desk.present(NOW, memory, far, 0, Entry::Now), None);
    let soon = Ticket { due: NOW + Duration::from_secs(60), ..place };
    assert_eq!(desk.present(NOW, memory, soon, 0, Entry::Now), Some(Answer::Wait(soon)));
}

#[test]
fn who_was_drawn_asks_again_if_the_answer_was_lost_and_takes_no_more_than_one_place() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(0);
    desk.hear(word(3, queue()));
    let drawn = ticket(Worth::Draw(Turn::FIRST));
    let promised = |desk: &Desk| desk.promises().parts().1.iter().sum::<u32>();
    let [one, other] = [0; 2].map(|_| waits(desk.present(NOW, memory, drawn, 0, Entry::Now)));
    assert_eq!((one, promised(&desk)), (other, 1));
    desk.take(NOW, Grant { number: 2, more: 5, ..Grant::default() });
    assert_eq!(desk.present(one.due, memory, one, 0, Entry::Now), Some(Answer::Enter));
    // Whoever shows it again was inside: they have that place, or one of those for who comes back.
    for again in [other, drawn] {
        let back = waits(desk.present(one.due, memory, again, 0, Entry::Now));
        assert_eq!((back.serial, back.class), (125, Class::Returning));
    }
    desk.take(one.due, Grant { number: 3, back: 1, keep: 1, ..Grant::default() });
    assert_eq!(desk.present(one.due, memory, other, 0, Entry::Now), Some(Answer::Enter));
}

#[test]
fn a_place_is_kept_for_whoever_is_late_and_not_for_ever() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(0);
    desk.hear(word(3, queue()));
    let place = ticket(Worth::Place { promised: SOON });
    let late = NOW + LATE;
    desk.take(late, Grant { number: 2, more: 5, ..Grant::default() });
    assert_eq!(desk.present(late, memory, place, 0, Entry::Now), Some(Answer::Enter));
    let too_late = Ticket { serial: 126, ..place };
    assert_eq!(desk.present(late + Duration::from_secs(1), memory, too_late, 0, Entry::Now), None);
}

#[test]
fn ranks_that_two_workers_give_at_the_same_time_are_different() {
    let shared = Shared::new();
    let memory = shared.memory();
    let ranks = [0, 1].map(|index| {
        let mut desk = Shared::desk(0);
        let yours = Yours { index, workers: 2, ..Yours::default() };
        desk.hear(Word { yours, ..word(3, queue()) });
        [0; 3].map(|_| waits(desk.arrive(NOW, memory, &networks(), None, 0, Entry::Now)).worth)
    });
    let rank = |n: u64| Worth::Rank(1_000 + n);
    assert_eq!(ranks, [[rank(0), rank(2), rank(4)], [rank(1), rank(3), rank(5)]]);
}

#[test]
fn whoever_was_inside_comes_back_without_waiting_as_often_as_they_lose_their_connection() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(0);
    desk.hear(word(3, queue()));
    let place = desk.place_of(NOW, 9, 120);
    let mut back = place;
    for seconds in [3.0, 4.5, 6.75, 10.125, 15.187_5, 22.781_25, 34.171_875, 51.257_812_5, 60.0, 60.0] {
        let again = waits(desk.present(back.due, memory, back, 0, Entry::Now));
        assert_eq!((again.serial, again.class), (120, Class::Returning), "there is no place yet");
        assert_eq!(again.due, back.due + Duration::from_secs_f64(seconds));
        back = again;
    }
    assert_eq!(desk.told().report.missed, 1, "and the house hears of them once");
    desk.take(NOW, Grant { number: 2, back: 2, keep: 2, ..Grant::default() });
    for _ in 0..2 {
        assert_eq!(desk.present(NOW, memory, place, 0, Entry::Now), Some(Answer::Enter));
    }
    // The morning after they come as others do.
    assert_eq!(desk.present(NOW + RETURNS, memory, place, 0, Entry::Now), None);
}

#[test]
fn who_comes_in_by_another_request_is_given_a_ticket_that_is_due_and_uses_nothing_up() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(1);
    desk.hear(word(0, Phase::Open));
    for _ in 0..1_000 {
        let ticket = waits(desk.arrive(NOW, memory, &networks(), None, 0, Entry::Later));
        assert!(ticket.due <= NOW && ticket.worth == Worth::Place { promised: Duration::ZERO });
        assert_eq!(desk.present(NOW, memory, ticket, 0, Entry::Now), None, "they come as others do");
    }
    assert_eq!(desk.serials_left(), 119);
    assert_eq!(desk.arrive(NOW, memory, &networks(), None, 0, Entry::Now), Answer::Enter);
}

#[test]
fn whoever_came_before_the_house_spoke_is_drawn_with_the_others_if_there_is_no_room() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(0);
    let ticket = waits(desk.arrive(NOW, memory, &networks(), None, 0, Entry::Now));
    desk.hear(word(0, Phase::Open));
    let later = NOW + 2 * SOON;
    assert_eq!(desk.present(later, memory, ticket, 0, Entry::Now), None);
    desk.take(later, Grant { number: 2, ..Grant::default() });
    let drawn = waits(desk.arrive(later, memory, &networks(), None, 0, Entry::Now));
    assert!(matches!(drawn.worth, Worth::Draw(_)) && desk.told().pressed == Some(later), "{drawn:?}");
}

#[test]
fn when_there_is_no_place_many_whose_time_has_come_ask_less_and_less_and_keep_their_ticket() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(0);
    desk.hear(word(3, queue()));
    let (place, mut now) = (ticket(Worth::Place { promised: SOON }), NOW + GRANT);
    for (number, seconds) in (2..).zip([3, 6, 12, 24, 48, 60]) {
        desk.take(now, Grant { number, ..Grant::default() });
        let comes = now + Duration::from_secs(seconds);
        for _ in 0..FEW {
            assert!(matches!(desk.present(now, memory, place, 0, Entry::Now), Some(Answer::Again(..))));
        }
        assert_eq!(desk.present(now, memory, place, 0, Entry::Now), Some(Answer::Again(place, comes)));
        now = comes;
    }
    desk.take(now, Grant { number: 99, more: 5, ..Grant::default() });
    assert_eq!(desk.present(now, memory, place, 0, Entry::Now), Some(Answer::Enter));
}

/// Else it would be good for ever for whoever shows it to a worker that has just begun, or in each outage.
#[test]
fn a_ticket_of_hours_ago_is_not_made_good_by_a_worker_whose_house_is_silent() {
    let shared = Shared::new();
    let memory = shared.memory();
    for has_word in [false, true] {
        let mut desk = Desk::new([4; 32]);
        if has_word {
            desk.hear(word(3, queue()));
        }
        let place = ticket(Worth::Place { promised: SOON });
        let shown = |desk: &mut Desk, at| desk.present(at, memory, place, 0, Entry::Now);
        let kept = place.due + LATE + AFTER_SILENCE_MAX;
        let Some(Answer::Again(given, _)) = shown(&mut desk, kept) else { panic!("whose time it was meanwhile") };
        assert!(given.due > place.due);
        // One that knows no house keeps what it can be by the house's clock.
        match shown(&mut desk, kept + Duration::from_secs(1)) {
            Some(Answer::Again(given, _)) => assert!(!has_word && given == place),
            other => assert!(has_word && other.is_none(), "{other:?}"),
        }
    }
}

#[test]
fn the_longer_the_house_is_silent_the_less_people_ask() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(5);
    desk.hear(word(3, queue()));
    let (place, mut now) = (ticket(Worth::Place { promised: SOON }), NOW + GRANT);
    for seconds in [3, 12, 60, 120, 120] {
        let comes = now + Duration::from_secs(seconds);
        assert_eq!(desk.present(now, memory, place, 0, Entry::Now), Some(Answer::Again(place, comes)));
        now = comes;
    }
    let last = desk.present(now, memory, place, u32::MAX, Entry::Now);
    assert!(waits(last).due <= now + AFTER_SILENCE_MAX, "and they come spread over three times as long");
}

#[test]
fn who_comes_when_the_window_is_over_and_nobody_has_drawn_is_told_no_time_that_is_over() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(0);
    desk.hear(word(3, Phase::Gathering { until: NOW }));
    let now = NOW + 10 * WINDOW;
    let drawn = waits(desk.arrive(now, memory, &networks(), None, 0, Entry::Now));
    assert!(matches!(drawn.worth, Worth::Draw(_)) && drawn.due >= now + SOON);
    let again = waits(desk.present(drawn.due, memory, drawn, 0, Entry::Now));
    assert!(again.due >= drawn.due + SOON);
}

/// How many of those who were told a time found it true, and how many did not, as the house hears it.
fn promised(desk: &Desk) -> [u64; 2] {
    let heard = desk.heard(NOW, &Traffic::default());
    [Field::Kept, Field::Late].map(|field| {
        let of_class = heard.traffic.of(field);
        assert_eq!(of_class[Class::Anybody as usize], of_class.iter().sum());
        of_class[Class::Anybody as usize]
    })
}

#[test]
fn a_promise_is_kept_within_15_s_or_a_tenth_of_the_wait_and_late_after_that() {
    let (ms, seconds) = (Duration::from_millis, Duration::from_secs);
    let due = NOW + seconds(3_600);
    let check = |promised_s: u64, enters: SystemTime, counts: [u64; 2]| {
        let shared = Shared::new();
        let mut desk = Shared::desk(0);
        desk.take(enters, Grant { number: 2, more: 1, ..Grant::default() });
        desk.hear(word(3, queue()));
        let shown = Ticket { due, ..ticket(Worth::Place { promised: seconds(promised_s) }) };
        let answer = desk.present(enters, shared.memory(), shown, 0, Entry::Now);
        assert_eq!((answer, desk.told().came), (Some(Answer::Enter), 1));
        assert_eq!(promised(&desk), counts, "{promised_s} s, {:?}", enters.duration_since(due));
    };
    let (kept, late, neither) = ([1, 0], [0, 1], [0, 0]);
    for promised_s in [1, 60, 150] {
        check(promised_s, due - EARLY, kept);
        check(promised_s, due + seconds(15), kept);
        check(promised_s, due + seconds(15) + ms(1), late);
    }
    check(151, due + ms(15_100), kept);
    check(151, due + ms(15_101), late);
    check(1_800, due + seconds(180), kept);
    check(1_800, due + seconds(180) + ms(1), late);
    check(1_800, due + LATE, late);
    // They were told nothing but to come in.
    check(0, due + seconds(1), neither);
}

#[test]
fn whoever_was_told_no_time_is_no_promise_kept_and_who_finds_no_place_is_late_once() {
    let shared = Shared::new();
    let memory = shared.memory();
    let mut desk = Shared::desk(0);
    // They are first of all.
    let outlook = Outlook { now: NOW, first: 0, places: 500, inside: &[], pace: 10, stays: Stays::default() };
    let (secret, mut drawn) = (DrawSecret::of(&[4; 32], 3), Tally::default());
    drawn.add(Class::Anybody, secret.lot(9, Turn::FIRST));
    desk.hear(word(3, Phase::Queue { drawn, table: Timetable::of(&outlook), late: 0, per_minute: 0, spare: 1 }));
    let place = |serial, due| Ticket { serial, due, ..ticket(Worth::Place { promised: Duration::from_secs(60) }) };
    let waiting = desk.present(NOW, memory, place(20, NOW), 0, Entry::Now);
    assert!(matches!(waiting, Some(Answer::Again(..))), "{waiting:?}");
    assert_eq!(promised(&desk), [0, 0], "nobody has been let in");
    let later = NOW + Duration::from_secs(40);
    desk.take(later, Grant { number: 2, more: 3, ..Grant::default() });
    assert_eq!(desk.present(later, memory, place(20, NOW), 0, Entry::Now), Some(Answer::Enter));
    assert_eq!(promised(&desk), [0, 1]);
    let drawn_in =
        desk.present(later, memory, Ticket { serial: 21, ..ticket(Worth::Draw(Turn::FIRST)) }, 0, Entry::Now);
    assert_eq!((drawn_in, desk.told().came), (Some(Answer::Enter), 2));
    assert_eq!(promised(&desk), [0, 1], "by the draw, and told nothing");
    // A place that is left over goes to who looks, by a page without JavaScript too.
    let rank = Ticket { serial: 22, network: 1 << 31, ..ticket(Worth::Rank(0)) };
    assert!(look::period(later, rank.network).is_multiple_of(4), "when it is its time to look");
    let theirs = waits(desk.present(later, memory, rank, 0, Entry::Later));
    assert_eq!(desk.present(later, memory, theirs, 0, Entry::Now), Some(Answer::Enter));
    assert_eq!((promised(&desk), desk.told().entered), ([0, 1], 3));
}
