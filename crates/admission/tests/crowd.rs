//! A crowd at the door, second by second, in a world without a clock: the same code as in a worker and in the house, and people who come, wait, give up, return, stay and leave.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU16, AtomicU64};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hiwar_admission::door::allocator::Allocator;
use hiwar_admission::door::counts::{CELLS, Counts};
use hiwar_admission::door::desk::{Answer, Desk, Entry, Memory};
use hiwar_admission::door::network::NetworkKey;
use hiwar_admission::door::places::reserve;
use hiwar_admission::door::redemption::Redemption;
use hiwar_admission::door::ticket::{Class, Ticket, Worth};
use hiwar_admission::door::timetable::Stays;

const BEGINS: SystemTime = UNIX_EPOCH;
/// The first comes when the house has been there for so long.
const OPENS: Duration = Duration::from_secs(10);
const WORKERS: usize = 2;
const SERIALS: u64 = 16_384;
const SECOND: Duration = Duration::from_secs(1);
const QUARTER: Duration = Duration::from_millis(250);
const ASK_LATER: Duration = Duration::from_secs(300);
const PATIENT: Duration = Duration::from_secs(24 * 3_600);

/// Random numbers that are the same each time (SplitMix64, Steele et al. 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to 1.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Normal, by Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.part()).ln()).sqrt() * (std::f64::consts::TAU * self.part()).cos()
    }
}

#[derive(Clone, Debug)]
struct Visitor {
    address: Ipv4Addr,
    comes: Duration,
    /// How long they wait at the most.
    patience: Duration,
    ticket: Option<Ticket>,
    requests: u32,
    /// When they were first told a time, and how far off it was.
    promised: Option<(SystemTime, Duration)>,
    entered: Option<SystemTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Quarter,
    Second,
    Comes(usize),
    Leaves(usize),
}

struct Crowd {
    cap: u32,
    /// How many come in each second while the door is open.
    pace: u32,
    stays: Stays,
    /// What the house believes of how long they stay.
    believed: Stays,
    visitors: Vec<Visitor>,
    until: Duration,
}

struct Seen {
    until: SystemTime,
    visitors: Vec<Visitor>,
    inside_max: u32,
    bound_max: u64,
    /// Of the capacity less the returners' part, what was used while anybody waited, after the draw.
    used: Vec<f64>,
}

fn play(crowd: Crowd, seed: u64) -> Seen {
    let Crowd { cap, pace, stays, believed, mut visitors, until } = crowd;
    let until = BEGINS + OPENS + until;
    let mut chance = Chance(seed);
    let cells: Vec<AtomicU16> = std::iter::repeat_with(AtomicU16::default).take(CELLS).collect();
    let bits: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(1 << 16).collect();
    let (counts, redemption) = (Counts::new(&cells).expect("as many"), Redemption::new(&bits));
    let key = NetworkKey::from_bytes([3; 32]);
    let memory = Memory { counts, redemption };
    let mut desks: Vec<Desk> = (0..WORKERS).map(|_| Desk::new([4; 32])).collect();
    let mut house = Allocator::new(BEGINS, cap, pace, believed, 0..WORKERS as u64);
    let mut serials = 0;
    let mut events = BinaryHeap::from([Reverse((BEGINS, Happens::Quarter)), Reverse((BEGINS, Happens::Second))]);
    for (who, visitor) in visitors.iter().enumerate() {
        events.push(Reverse((BEGINS + OPENS + visitor.comes, Happens::Comes(who))));
    }
    let mut inside_at = vec![0; visitors.len()];
    let (mut inside, mut inside_max, mut bound_max, mut waiting, mut used) = (0u32, 0, 0, 0u64, Vec::new());
    while let Some(Reverse((now, what))) = events.pop() {
        if now > until {
            break;
        }
        match what {
            Happens::Second => {
                if house.wants_tallies(now) {
                    for (at, desk) in desks.iter().enumerate() {
                        house.hear_tally(at as u64, desk.told().opening, desk.tally().clone());
                    }
                }
                for (at, desk) in desks.iter().enumerate() {
                    house.hear_promises(at as u64, desk.promises().clone());
                }
                for (at, word) in house.tick(now) {
                    desks[at as usize].hear(word);
                }
                for desk in &mut desks {
                    if desk.serials_left() < SERIALS {
                        desk.take_serials(serials..serials + 4 * SERIALS);
                        serials += 4 * SERIALS;
                    }
                }
                bound_max = bound_max.max(house.bound());
                if now >= BEGINS + OPENS + Duration::from_secs(110) && waiting > 0 {
                    used.push(f64::from(inside) / f64::from(cap - reserve(cap)));
                }
                events.push(Reverse((now + SECOND, what)));
            }
            Happens::Quarter => {
                for (at, desk) in desks.iter_mut().enumerate() {
                    if let Some(grant) = house.hear(now, at as u64, desk.told()) {
                        desk.take(now, grant);
                    }
                }
                events.push(Reverse((now + QUARTER, what)));
            }
            Happens::Comes(who) => {
                let visitor = &mut visitors[who];
                let came = BEGINS + OPENS + visitor.comes;
                waiting -= u64::from(visitor.ticket.is_some());
                if visitor.ticket.is_some() && now > came + visitor.patience {
                    visitor.ticket = None;
                    continue;
                }
                visitor.requests += 1;
                // Any worker: it is the kernel that chooses.
                let (at, lot) = ((chance.next() % WORKERS as u64) as usize, chance.next() as u32);
                let answer = match visitor.ticket {
                    None => {
                        let networks = key.networks(IpAddr::V4(visitor.address));
                        desks[at].arrive(now, memory, &networks, Class::Anybody, lot, Entry::Now)
                    }
                    Some(ticket) => desks[at].present(now, memory, ticket, lot, Entry::Now),
                };
                let Some(answer) = answer else {
                    // There are serials: their network has had thousands of tickets.
                    events.push(Reverse((now + ASK_LATER, Happens::Comes(who))));
                    continue;
                };
                match answer {
                    Answer::Enter => {
                        visitor.ticket = None;
                        visitor.entered = Some(now);
                        inside_at[who] = at;
                        inside += 1;
                        inside_max = inside_max.max(inside);
                        let stay = stays.median.mul_f64((stays.sigma * chance.normal()).exp());
                        events.push(Reverse((now + stay, Happens::Leaves(who))));
                    }
                    Answer::Wait(ticket) => {
                        if let (Worth::Place { promised }, None) = (ticket.worth, visitor.promised) {
                            visitor.promised = Some((now, promised));
                        }
                        visitor.ticket = Some(ticket);
                        waiting += 1;
                        events.push(Reverse((ticket.due, Happens::Comes(who))));
                    }
                    Answer::Used => panic!("nobody shows a ticket twice here"),
                }
            }
            Happens::Leaves(who) => {
                inside -= 1;
                desks[inside_at[who]].leave();
            }
        }
    }
    Seen { until, visitors, inside_max, bound_max, used }
}

/// So many who come within a minute, most of them at its beginning, nearly all from networks of their own.
fn launch(count: usize, seed: u64, patience: Duration) -> Vec<Visitor> {
    let mut chance = Chance(seed);
    let mut visitor = |_| Visitor {
        address: Ipv4Addr::from(chance.next() as u32),
        comes: Duration::from_secs_f64((-20.0 * (1.0 - chance.part()).ln()).min(59.9)),
        patience: patience.mul_f64((0.7 * chance.normal()).exp()),
        ticket: None,
        requests: 0,
        promised: None,
        entered: None,
    };
    (0..count).map(&mut visitor).collect()
}

impl Seen {
    /// Of those to whom a time was told that is over, and who were there at it: how many, and the part that was let in within 15 s or a tenth of the first wait.
    fn promises_kept(&self) -> (usize, f64) {
        let kept = self.visitors.iter().filter_map(|visitor| {
            let (when, wait) = visitor.promised?;
            let allowed = wait.mul_f64(0.1).max(Duration::from_secs(15));
            let was_there = when + wait < BEGINS + OPENS + visitor.comes + visitor.patience;
            let took = visitor.entered.map(|entered| entered.duration_since(when).unwrap_or_default());
            (was_there && when + wait + allowed < self.until)
                .then(|| took.is_some_and(|took| took.abs_diff(wait) <= allowed))
        });
        let kept: Vec<bool> = kept.collect();
        (kept.len(), kept.iter().filter(|kept| **kept).count() as f64 / kept.len().max(1) as f64)
    }

    fn requests_median(&self) -> u32 {
        let mut requests: Vec<u32> = self.visitors.iter().map(|visitor| visitor.requests).collect();
        requests.sort_unstable();
        requests[requests.len() / 2]
    }

    fn used_mean(&self) -> f64 {
        self.used.iter().sum::<f64>() / self.used.len().max(1) as f64
    }

    fn say(&self) {
        let (promised, kept) = self.promises_kept();
        let entered = self.visitors.iter().filter(|visitor| visitor.entered.is_some()).count();
        println!(
            "promised {promised}, kept {kept:.4}, let in {entered}, requests {}, used {:.4}, inside at most {}, bound {}",
            self.requests_median(),
            self.used_mean(),
            self.inside_max,
            self.bound_max,
        );
    }
}

#[test]
fn sixty_thousand_in_a_minute_are_let_in_when_they_were_told() {
    let (stays, visitors) = (Stays::default(), launch(60_000, 1, PATIENT));
    let until = Duration::from_secs(2_000);
    let seen = play(Crowd { cap: 19_000, pace: 2_000, stays, believed: stays, visitors, until }, 2);
    seen.say();
    let (promised, kept) = seen.promises_kept();
    assert!(seen.inside_max <= 19_000 && seen.bound_max <= 19_000);
    assert!(promised > 15_000 && kept >= 0.95);
    assert!(seen.requests_median() <= 3);
    assert!(seen.used_mean() >= 0.97);
}

#[test]
fn of_half_a_million_in_a_minute_each_knows_where_they_stand() {
    let (stays, visitors) = (Stays::default(), launch(500_000, 1, PATIENT));
    let until = Duration::from_secs(400);
    let seen = play(Crowd { cap: 19_000, pace: 2_000, stays, believed: stays, visitors, until }, 2);
    seen.say();
    assert!(seen.inside_max <= 19_000 && seen.bound_max <= 19_000);
    assert!(seen.promises_kept().1 >= 0.95);
    assert!(seen.requests_median() <= 3);
    assert!(seen.used_mean() >= 0.97);
}

#[test]
fn who_gives_up_leaves_a_place_to_others() {
    let (stays, visitors) = (Stays::default(), launch(60_000, 1, Duration::from_secs(40 * 60)));
    let until = Duration::from_secs(2_000);
    let seen = play(Crowd { cap: 19_000, pace: 2_000, stays, believed: stays, visitors, until }, 2);
    seen.say();
    assert!(seen.inside_max <= 19_000);
    assert!(seen.promises_kept().1 >= 0.95);
    assert!(seen.used_mean() >= 0.97);
}

impl Seen {
    /// Of those who were not let in before there was a queue and come from there: how many, and how many were let in.
    fn let_in(&self, is_one: impl Fn(Ipv4Addr) -> bool) -> (usize, usize) {
        let asked = self.visitors.iter().filter(|visitor| is_one(visitor.address) && visitor.requests > 1);
        let entered: Vec<bool> = asked.map(|visitor| visitor.entered.is_some()).collect();
        (entered.len(), entered.iter().filter(|entered| **entered).count())
    }
}

#[test]
fn a_network_that_asks_for_a_third_of_everything_gets_its_share_and_people_behind_carriers_get_theirs() {
    let (stays, mut visitors) = (Stays::default(), launch(60_000, 1, PATIENT));
    let greedy = |address: Ipv4Addr| address.octets()[..3] == [203, 0, 113];
    let carrier = |address: Ipv4Addr| address.octets()[0] == 100 && address.octets()[2..] == [7, 9];
    for (n, visitor) in visitors.iter_mut().enumerate() {
        match n % 300 {
            // One /24 of 256 addresses.
            0..90 => visitor.address = Ipv4Addr::new(203, 0, 113, (n % 256) as u8),
            // A hundred carriers, each with 40 people behind one address, of whom 32 have room in a round.
            90..110 => visitor.address = Ipv4Addr::new(100, (n % 300) as u8 + 20 * (n / 300 % 5) as u8, 7, 9),
            _ => {}
        }
    }
    let until = Duration::from_secs(120);
    let seen = play(Crowd { cap: 19_000, pace: 2_000, stays, believed: stays, visitors, until }, 2);
    seen.say();
    assert!(seen.inside_max <= 19_000);
    let (asked, entered) = seen.let_in(|address| !greedy(address) && !carrier(address));
    let part = entered as f64 / asked as f64;
    let (greedy_asked, greedy_in) = seen.let_in(greedy);
    let (carrier_asked, carrier_in) = seen.let_in(carrier);
    println!(
        "let in: {part:.3} of others, {greedy_in} of {greedy_asked} of one /24, {carrier_in} of {carrier_asked} behind carriers"
    );
    // What a network of that size has room for in a round, as often as others' first tickets.
    assert!((greedy_in as f64 / (128.0 * part) - 1.0).abs() < 0.25, "one /24 got {greedy_in}");
    assert!((carrier_in as f64 / (100.0 * 32.0 * part) - 1.0).abs() < 0.3, "people behind carriers got {carrier_in}");
}

#[test]
fn who_asks_fifty_times_is_let_in_no_sooner() {
    let (stays, mut visitors) = (Stays::default(), launch(60_000, 1, PATIENT));
    let address = |who: usize| Ipv4Addr::new(1 + (who % 200) as u8, (who / 200) as u8, 3, 7);
    // 800 people with one ticket each, and 400 with fifty each, among all others.
    for (n, visitor) in visitors.iter_mut().enumerate().take(20_800) {
        visitor.address = address(if n < 800 { n } else { 800 + n % 400 });
        // None of them is there before there is a queue.
        visitor.comes = visitor.comes.max(Duration::from_secs(5));
    }
    let until = Duration::from_secs(900);
    let seen = play(Crowd { cap: 19_000, pace: 500, stays, believed: stays, visitors, until }, 2);
    seen.say();
    let first = |who: usize| {
        let theirs = seen.visitors.iter().filter(|visitor| visitor.address == address(who));
        theirs.filter_map(|visitor| visitor.entered).min()
    };
    let part = |who: std::ops::Range<usize>| {
        let count = who.len() as f64;
        who.filter(|who| first(*who).is_some()).count() as f64 / count
    };
    let (once, often) = (part(0..800), part(800..1_200));
    println!("let in: {once:.3} of those who asked once, {often:.3} of those who asked fifty times");
    assert!((often - once).abs() < 0.1);
}

#[test]
fn the_second_crowd_does_not_stand_behind_the_ghosts_of_the_first() {
    let stays = Stays { median: Duration::from_secs(120), sigma: 1.0 };
    let mut visitors = launch(12_000, 1, PATIENT);
    let mut second = launch(12_000, 7, PATIENT);
    second.iter_mut().for_each(|visitor| visitor.comes += Duration::from_secs(3_600));
    visitors.append(&mut second);
    let until = Duration::from_secs(4_800);
    let seen = play(Crowd { cap: 5_000, pace: 400, stays, believed: stays, visitors, until }, 2);
    seen.say();
    assert!(seen.inside_max <= 5_000 && seen.bound_max <= 5_000);
    let (_, second) = seen.visitors.split_at(12_000);
    let entered = second.iter().filter(|visitor| visitor.entered.is_some()).count();
    assert!(entered > 11_500, "{entered} of the second crowd were let in");
    assert!(seen.promises_kept().1 >= 0.95);
}
