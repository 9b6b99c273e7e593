//! A world without a clock, in which a [launch](crate::launch) is played second by second: the same code as in a worker and in the house decides, and half a million people come in seconds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hiwar_admission::door::allocator::Allocator;
use hiwar_admission::door::counts::{CELLS, Counts};
use hiwar_admission::door::desk::{Answer, Desk, Entry, Memory, Vouched};
use hiwar_admission::door::network::NetworkKey;
use hiwar_admission::door::places::KEPT;
use hiwar_admission::door::redemption::{IN_WORD, Redemption};
use hiwar_admission::door::standing::Standing;
use hiwar_admission::door::ticket::{Ticket, Worth};
use hiwar_admission::door::timetable::Stays;
use hiwar_admission::{Scope, VoucherKey};

use crate::launch::{Backoff, Chance, Lived, Seen, Visit};

/// The first comes when the house has been there for so long.
const OPENS: Duration = Duration::from_secs(10);
/// What a worker has of serials, before it is given more.
const SERIALS: u64 = 16_384;
const SECOND: Duration = Duration::from_secs(1);
const QUARTER: Duration = Duration::from_millis(250);
/// A server that is restarted answers nobody for so long.
const DOWN: Duration = Duration::from_secs(1);
/// Room for the serials of ten million tickets.
const BITS: usize = 10_000_000 / IN_WORD as usize;

/// A house and its workers.
#[derive(Clone, Copy, Debug)]
pub struct House {
    /// How many may be inside.
    pub cap: u32,
    /// How many come in each second while the door is open.
    pub pace: u32,
    /// What the house believes of how long people stay.
    pub believed: Stays,
    /// How many workers.
    pub workers: u32,
    /// What it is wrongly told of its places: none, unless the figure is to be seen to go bad.
    pub told: Option<u32>,
    /// So long after the first could come it dies, and another goes on by what it kept.
    pub dies: Option<Duration>,
    /// So long after the first could come everything ends, and begins again: whoever is inside is cut off, and comes back as the page does.
    pub restarts: Option<Duration>,
    /// From when on, so counted, and until when it stands still: it hears nothing and says nothing.
    pub stands_still: Option<(Duration, Duration)>,
    /// From when on so many come in each second, each by a ticket of somebody who was inside, collected before; and stay.
    pub collectors: Option<(Duration, u32)>,
    /// By which random bytes it draws, and hashes networks, as a real door did: those at 8 and at 40 of its file (docs/formats/door.md). None: by chance.
    pub draws_by: Option<[[u8; 32]; 2]>,
    /// When the first could come, by the clock. Whoever has no time looks at moments of the clock, each network at others: at another begin other ones find what is left over.
    pub opens: SystemTime,
    /// So long after the first could come it is cancelled: those inside are told at once, and whoever waits when they come again.
    pub is_cancelled: Option<Duration>,
}

impl Default for House {
    fn default() -> Self {
        Self {
            cap: 19_000,
            pace: 2_000,
            believed: Stays::default(),
            workers: 2,
            told: None,
            dies: None,
            restarts: None,
            stands_still: None,
            collectors: None,
            draws_by: None,
            opens: UNIX_EPOCH + OPENS,
            is_cancelled: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Quarter,
    Second,
    Comes(usize),
    Leaves(usize),
    Frees(usize),
    Collected(usize),
    HouseDies,
    Restarts,
}

/// Somebody, meanwhile.
#[derive(Clone, Copy, Default)]
struct Somebody {
    ticket: Option<Ticket>,
    /// Of which worker they have a place.
    at: u64,
    /// Since when they are cut off.
    away_since: Option<Duration>,
    backoff: Backoff,
}

/// What was played.
#[derive(Clone, Debug)]
pub struct Played {
    /// What people saw.
    pub seen: Seen,
    /// How many could have been inside at the most, as far as the house knew.
    pub bound_max: u64,
    /// Requests in each second, from when the first could come.
    pub asked: Vec<u32>,
}

impl Played {
    /// Requests a second, in these seconds.
    pub fn rate(&self, seconds: std::ops::Range<usize>) -> f64 {
        let length = seconds.len() as f64;
        f64::from(self.asked[seconds].iter().sum::<u32>()) / length
    }
}

/// Plays these visits at that house, until so long after the first could come. `seed`: of what is chance in it; the secret of the draw too.
pub fn play(visits: Vec<Visit>, house: House, until: Duration, seed: u64) -> Played {
    let mut chance = Chance::new(seed);
    let cells: Vec<AtomicU32> = std::iter::repeat_with(AtomicU32::default).take(CELLS).collect();
    let bits: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(BITS).collect();
    let memory =
        Memory { counts: Counts::new(&cells, 0).expect("as many as are needed"), redemption: Redemption::new(&bits) };
    let key = NetworkKey::from_bytes(std::array::from_fn(|_| chance.next() as u8));
    let root = std::array::from_fn(|_| chance.next() as u8);
    let (root, key) = house.draws_by.map_or((root, key), |[root, networks]| (root, NetworkKey::of(&networks, 0)));
    let (vouchers, space) = (VoucherKey::from_bytes([7; 32]), Scope::parse("launch").expect("a name"));
    let mut desks: Vec<Desk> = (0..house.workers).map(|_| Desk::new(root)).collect();
    let places = house.told.unwrap_or(house.cap);
    let (begun, begins) = (house.opens, house.opens - OPENS);
    let mut allocator = Allocator::new(begins, places, house.pace, house.believed, 0..u64::from(house.workers));
    let mut events = BinaryHeap::from([Reverse((begins, Happens::Quarter)), Reverse((begins, Happens::Second))]);
    if let Some(dies) = house.dies {
        events.push(Reverse((begun + dies, Happens::HouseDies)));
    }
    if let Some(restarts) = house.restarts {
        events.push(Reverse((begun + restarts, Happens::Restarts)));
    }
    for (visit, one) in visits.iter().enumerate() {
        events.push(Reverse((begun + one.comes, Happens::Comes(visit))));
    }
    let mut collected = Vec::new();
    if let Some((from, each_second)) = house.collectors {
        collected.resize((until.saturating_sub(from).as_secs() as usize) * each_second as usize, None);
        let comes = |nth: usize| begun + from + SECOND.mul_f64(nth as f64 / f64::from(each_second));
        events.extend((0..collected.len()).map(|nth| Reverse((comes(nth), Happens::Collected(nth)))));
    }
    let since = |now: SystemTime| now.duration_since(begun).unwrap_or_default();
    let mut somebody = vec![Somebody::default(); visits.len()];
    let mut lived = vec![Lived::default(); visits.len()];
    // Whoever is in stops asking, however many tickets they have.
    let mut is_in = vec![false; visits.last().map_or(0, |visit| visit.who as usize + 1)];
    let (mut serials, mut bound_max, mut asked) = (1, 0, vec![0_u32; until.as_secs() as usize + 1]);
    let is_down = |now| house.restarts.is_some_and(|from| (from..from + DOWN).contains(&since(now)));
    let is_cancelled = |now| house.is_cancelled.is_some_and(|from| since(now) >= from);
    let stands_still =
        |now| is_down(now) || house.stands_still.is_some_and(|(from, to)| (from..to).contains(&since(now)));
    // Workers that begin anew have other numbers.
    let mut first = 0;
    let mut under_way = vec![None; desks.len()];
    while let Some(Reverse((now, what))) = events.pop() {
        if now > begun + until {
            break;
        }
        match what {
            Happens::Second => {
                if !stands_still(now) {
                    say(now, &mut allocator, &mut desks, first);
                }
                for desk in &mut desks {
                    if desk.serials_left() < SERIALS {
                        desk.take_serials(serials..serials + 4 * SERIALS);
                        serials += 4 * SERIALS;
                    }
                }
                bound_max = bound_max.max(allocator.bound());
                events.push(Reverse((now + SECOND, what)));
            }
            Happens::Quarter => {
                for (at, desk) in desks.iter_mut().enumerate().filter(|_| !stands_still(now)) {
                    // What was given a quarter of a second ago comes, and is shown with the next that is told.
                    match under_way[at].take() {
                        Some(grant) => desk.take(now, grant),
                        None => under_way[at] = allocator.hear(now, first + at as u64, desk.told()),
                    }
                }
                events.push(Reverse((now + QUARTER, what)));
            }
            Happens::Comes(visit) => {
                let (script, one, lived) = (&visits[visit], &mut somebody[visit], &mut lived[visit]);
                let gave_up = one.ticket.is_some() && since(now) > script.comes + script.patience;
                let is_over =
                    if one.away_since.is_some() { lived.left.is_some() } else { gave_up || is_in[script.who as usize] };
                if is_over {
                    continue;
                }
                lived.requests += 1;
                asked[since(now).as_secs() as usize] += 1;
                if is_cancelled(now) {
                    // They are told so (410), and come no more.
                    lived.left = Some(since(now));
                    continue;
                }
                if is_down(now) {
                    events.push(Reverse((now + one.backoff.wait(Duration::ZERO, &mut chance), what)));
                    continue;
                }
                // Any worker: it is the kernel that chooses.
                let (at, lot) = ((chance.next() % u64::from(house.workers)) as usize, chance.next() as u32);
                let shown = one.ticket.and_then(|ticket| desks[at].present(now, memory, ticket, lot, Entry::Now));
                // As at a worker: by a ticket that is not good any more they come as others do, by the same request.
                let answer = shown.unwrap_or_else(|| {
                    one.ticket = None;
                    let networks = key.networks(IpAddr::V4(script.address));
                    let vouched = script.vouched.and_then(|(known, account)| {
                        let text = vouchers.issue(&space, known, &account.to_le_bytes(), begun + until);
                        let voucher = vouchers.verify(now, &space, &text).ok()?;
                        Some(Vouched { known: voucher.known, holder: key.holder(voucher.holder) })
                    });
                    desks[at].arrive(now, memory, &networks, vouched, lot, Entry::Now)
                });
                match answer {
                    Answer::Enter => {
                        one.at = first + at as u64;
                        one.backoff.reset();
                        if let Some(cut) = one.away_since.take() {
                            lived.away = Some((cut, since(now) - cut));
                            continue;
                        }
                        (lived.entered, is_in[script.who as usize]) = (Some(since(now)), true);
                        events.push(Reverse((now + script.stay, Happens::Leaves(visit))));
                    }
                    Answer::Wait(ticket) => {
                        // Nothing is promised to whoever is told to come in a moment.
                        if let (Worth::Place { promised }, None) = (ticket.worth, lived.promised)
                            && !promised.is_zero()
                            && one.away_since.is_none()
                        {
                            lived.promised = Some((since(now), promised));
                        }
                        let is_rank = |ticket: &Ticket| matches!(ticket.worth, Worth::Rank(_));
                        let is_first = !one.ticket.as_ref().is_some_and(is_rank);
                        let mut due = ticket.due;
                        if is_rank(&ticket) {
                            due = begun + script.strategy.looks(since(now), since(due), script.nth, is_first);
                        }
                        if !is_rank(&ticket) || script.strategy.takes(is_first) {
                            one.ticket = Some(ticket);
                        }
                        let due = script.polls.map_or(due, |polls| due.min(now + polls));
                        events.push(Reverse((due, Happens::Comes(visit))));
                    }
                    Answer::Again(ticket, comes) => {
                        one.ticket = Some(ticket);
                        events.push(Reverse((comes, Happens::Comes(visit))));
                    }
                }
            }
            Happens::Collected(nth) => {
                let at = (chance.next() % u64::from(house.workers)) as usize;
                let place = || desks[at].place_of(now, chance.next(), Desk::PLACE_MIN | nth as u64);
                let ticket = collected[nth].unwrap_or_else(place);
                match desks[at].present(now, memory, ticket, chance.next() as u32, Entry::Now) {
                    Some(Answer::Wait(ticket)) => {
                        collected[nth] = Some(ticket);
                        events.push(Reverse((ticket.due, what)));
                    }
                    Some(Answer::Again(ticket, comes)) => {
                        collected[nth] = Some(ticket);
                        events.push(Reverse((comes, what)));
                    }
                    Some(Answer::Enter) | None => {}
                }
            }
            Happens::Leaves(visit) => {
                lived[visit].left = Some(since(now));
                if somebody[visit].away_since.is_none() {
                    desks[(somebody[visit].at - first) as usize].depart();
                    events.push(Reverse((now + KEPT, Happens::Frees(visit))));
                }
            }
            Happens::HouseDies => {
                let kept = allocator.standing().map(|standing| standing.encode());
                allocator = Allocator::new(now, places, house.pace, house.believed, 0..u64::from(house.workers));
                if let Some(standing) = kept.and_then(|bytes| Standing::decode(&bytes)) {
                    allocator.resume(now, standing);
                }
            }
            Happens::Restarts => {
                for (visit, script) in visits.iter().enumerate() {
                    let (one, lived) = (&mut somebody[visit], &lived[visit]);
                    if lived.entered.is_none() || lived.left.is_some() {
                        continue;
                    }
                    let network = key.networks(IpAddr::V4(script.address)).narrowest();
                    let place = one.ticket.map_or(Desk::PLACE_MIN | chance.next(), |ticket| ticket.serial);
                    one.ticket = Some(desks[0].place_of(now, network, place));
                    one.away_since = Some(since(now));
                    let comes = now + one.backoff.wait(Duration::ZERO, &mut chance);
                    events.push(Reverse((comes, Happens::Comes(visit))));
                }
                let kept = allocator.standing().map(|standing| standing.encode());
                let begins = now + DOWN;
                first += u64::from(house.workers);
                desks.iter_mut().for_each(|desk| *desk = Desk::new(root));
                under_way.fill(None);
                allocator = Allocator::new(begins, places, house.pace, house.believed, []);
                if let Some(standing) = kept.and_then(|bytes| Standing::decode(&bytes)) {
                    allocator.resume(begins, standing);
                }
            }
            // Until then their place was kept for them; at a worker that is there still.
            Happens::Frees(visit) => {
                if let Some(at) = somebody[visit].at.checked_sub(first) {
                    desks[at as usize].leave();
                }
            }
        }
    }
    for (one, lived) in somebody.iter().zip(&mut lived) {
        lived.cut = one.away_since.is_some() && lived.left.is_none();
    }
    let seen = Seen::of(visits, lived, house.cap, begun..begun + until, Vec::new());
    Played { seen, bound_max, asked }
}

/// The house's word, once a second, to workers of which that is the first's number.
fn say(now: SystemTime, allocator: &mut Allocator, desks: &mut [Desk], first: u64) {
    if allocator.wants_tallies(now) {
        for (worker, desk) in (first..).zip(desks.iter()) {
            allocator.hear_tally(worker, desk.told().opening, desk.tally().clone());
        }
    }
    for (worker, desk) in (first..).zip(desks.iter()) {
        allocator.hear_promises(worker, desk.promises().clone());
    }
    for (worker, word) in allocator.tick(now) {
        desks[(worker - first) as usize].hear(word);
    }
}
