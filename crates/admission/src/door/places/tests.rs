use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// What may happen to three workers, their house and what is on its way between them.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Arrive(usize),
    Return(usize),
    Depart(usize),
    Leave(usize),
    Retire(usize),
    Report(usize),
    Deliver(usize),
    Die(usize),
    Reconnect(usize),
    HouseDies,
    Wait(u64),
}

fn happens() -> impl Strategy<Value = Happens> {
    let worker = 0usize..3;
    prop_oneof![
        10 => worker.clone().prop_map(Happens::Arrive),
        3 => worker.clone().prop_map(Happens::Return),
        3 => worker.clone().prop_map(Happens::Depart),
        3 => worker.clone().prop_map(Happens::Leave),
        1 => worker.clone().prop_map(Happens::Retire),
        6 => worker.clone().prop_map(Happens::Report),
        6 => worker.clone().prop_map(Happens::Deliver),
        1 => worker.clone().prop_map(Happens::Die),
        1 => worker.prop_map(Happens::Reconnect),
        1 => Just(Happens::HouseDies),
        4 => (1u64..4_000).prop_map(Happens::Wait),
    ]
}

struct World {
    now: SystemTime,
    places: Places,
    names: [WorkerId; 3],
    shares: [Share; 3],
    /// Reports and grants under way, in order.
    reports: [Vec<Report>; 3],
    grants: [Vec<Grant>; 3],
    /// Of a worker that died, until when its people are waited for.
    kept: Vec<(SystemTime, u32)>,
}

impl World {
    fn step(&mut self, what: Happens) {
        match what {
            Happens::Arrive(at) => {
                self.shares[at].admit(self.now);
            }
            Happens::Return(at) => {
                if self.shares[at].admit_back(self.now, Some(7), false)
                    && let Some((_, kept)) = self.kept.iter_mut().find(|(_, kept)| *kept > 0)
                {
                    // It was theirs.
                    *kept -= 1;
                }
            }
            Happens::Depart(at) => self.shares[at].depart(),
            Happens::Leave(at) => {
                self.shares[at].depart();
                self.shares[at].leave();
            }
            Happens::Retire(at) => self.shares[at].retire(),
            Happens::Report(at) => self.reports[at].push(self.shares[at].report(5)),
            Happens::Deliver(at) => {
                if !self.reports[at].is_empty() {
                    let report = self.reports[at].remove(0);
                    self.grants[at].extend(self.places.report(self.now, self.names[at], report));
                }
                if self.grants[at].len() > 1 {
                    let grant = self.grants[at].remove(0);
                    self.shares[at].take(self.now, grant);
                }
            }
            Happens::Die(at) => {
                self.places.gone(self.now, self.names[at]);
                self.kept.push((self.now + KEPT, self.shares[at].inside()));
                self.names[at] += 10;
                self.shares[at] = Share::default();
                self.lose(at);
            }
            Happens::Reconnect(at) => {
                self.lose(at);
                self.places.connected(self.names[at], self.shares[at].seen);
                let report = self.shares[at].report(5);
                self.grants[at].extend(self.places.report(self.now, self.names[at], report));
            }
            Happens::HouseDies => {
                let cap = self.places.cap;
                self.places = Places::new(self.now, cap, self.names);
                // Each connects when it does.
                (0..3).for_each(|at| self.lose(at));
                // Who was at a worker that had died before may come back to a place that this house does not know of.
                self.kept.clear();
            }
            Happens::Wait(ms) => self.now += Duration::from_millis(ms),
        }
        self.kept.retain(|(until, _)| self.now < *until);
    }

    fn lose(&mut self, at: usize) {
        self.reports[at].clear();
        self.grants[at].clear();
    }

    fn inside(&self) -> u32 {
        self.shares.iter().map(Share::inside).sum()
    }
}

fn world(cap: u32) -> World {
    let now = start();
    World {
        now,
        places: Places::new(now, cap, [1, 2, 3]),
        names: [1, 2, 3],
        shares: Default::default(),
        reports: Default::default(),
        grants: Default::default(),
        kept: Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is lost, late or dies: no more are inside, with places that are kept, than there are places.
    #[test]
    fn the_cap_is_never_exceeded_by_one(cap in 1u32..120, life in prop::collection::vec(happens(), 1..300)) {
        let mut world = world(cap);
        for what in life {
            world.step(what);
            let kept: u32 = world.kept.iter().map(|(_, count)| count).sum();
            prop_assert!(world.inside() + kept <= cap, "{} inside and {kept} kept of {cap} after {what:?}", world.inside());
        }
    }

    /// Nothing is lost for ever: when all is quiet, all but the returners' part is used.
    #[test]
    fn all_places_are_used_in_the_end(cap in 1u32..120, life in prop::collection::vec(happens(), 1..100)) {
        let mut world = world(cap);
        for what in life {
            world.step(what);
        }
        // Whoever stays away has no place any more; and in the place of a worker that takes nobody there is another.
        for at in 0..3 {
            while world.shares[at].report(0).kept > 0 {
                world.shares[at].leave();
            }
            if world.shares[at].report(0).retires {
                world.step(Happens::Die(at));
            }
        }
        world.step(Happens::Wait(40_000));
        for round in 0..40 {
            if round == 20 {
                // What was kept for those who came back is anybody's by then.
                world.step(Happens::Wait(40_000));
            }
            for at in 0..3 {
                // A connection that lost something is made anew.
                world.step(Happens::Reconnect(at));
                let grants = std::mem::take(&mut world.grants[at]);
                for grant in grants {
                    world.shares[at].take(world.now, grant);
                }
                while world.shares[at].admit(world.now) {}
            }
        }
        prop_assert!(world.inside() >= cap - reserve(cap), "{} of {cap}", world.inside());
    }
}

#[test]
fn of_those_whom_another_house_knew_as_many_are_kept_as_there_are_places() {
    let mut places = Places::new(start(), 50, []);
    places.keep_what_fits(start(), 30);
    places.keep_what_fits(start(), 30);
    assert_eq!((places.bound(), places.orphans()), (50, 50));
    places.keep_what_fits(start(), 1);
    assert_eq!(places.bound(), 50, "whoever was cut off is not inside");
}

#[test]
fn whoever_has_a_place_at_hand_is_known_to_come_back() {
    let mut places = Places::new(start(), 40, []);
    places.keep(start(), 40);
    let later = start() + GRANT;
    let grant = places.report(later, 1, Report { wanted: 1, ..Report::default() }).expect("some of those places");
    assert!(grant.back > 0 && places.would_come_back(1) == grant.back, "{grant:?}");
    assert_eq!(u64::from(places.would_come_back(1)) + places.orphans(), 40, "nobody is lost");
    assert_eq!(places.would_come_back(2), 0);
}

#[test]
fn a_worker_that_retires_gives_back_all_but_who_is_inside() {
    let now = start();
    let mut places = Places::new(now, 100, [1, 2]);
    let mut shares = [Share::default(); 2];
    let open = now + GRANT;
    for at in [0, 1].repeat(2) {
        if let Some(grant) = places.report(open, at as u64 + 1, shares[at].report(98)) {
            shares[at].take(open, grant);
        }
    }
    let [old, new] = &mut shares;
    assert!(old.admit(open) && old.admit(open));
    old.retire();
    assert!(!old.admit(open) && !old.admit_back(open, Some(7), true));
    assert_eq!(places.report(open, 1, old.report(98)), None);
    for _ in 0..2 {
        let grant = places.report(open, 2, new.report(98)).expect("all that is free");
        new.take(open, grant);
    }
    let inside = (0..200).filter(|_| new.admit(open)).count();
    assert_eq!(inside, 96, "all but those who stay, and the reserve");
}

#[test]
fn where_there_are_fewer_places_what_was_given_goes_back_and_comes_again() {
    let now = start();
    let mut places = Places::new(now, 100, [1]);
    let mut share = Share::default();
    let open = now + GRANT;
    let talk = |places: &mut Places, share: &mut Share| {
        for _ in 0..2 {
            if let Some(grant) = places.report(open, 1, share.report(98)) {
                share.take(open, grant);
            }
        }
    };
    talk(&mut places, &mut share);
    assert!((0..10).all(|_| share.admit(open)));
    places.set_cap(10);
    talk(&mut places, &mut share);
    assert!(!share.admit(open) && share.inside() == 10);
    places.set_cap(100);
    talk(&mut places, &mut share);
    assert_eq!((0..200).filter(|_| share.admit(open)).count(), 88);
}

#[test]
fn a_place_that_is_kept_counts_among_those_for_who_comes_back() {
    let now = start();
    let mut places = Places::new(now, 10_000, [1]);
    let mut share = Share::default();
    let open = now + GRANT;
    let mut fill = |share: &mut Share| {
        for _ in 0..2 {
            if let Some(grant) = places.report(open, 1, share.report(20_000)) {
                share.take(open, grant);
            }
            while share.admit(open) {}
        }
        share.inside()
    };
    assert_eq!(fill(&mut share), 9_800);
    (0..100).for_each(|_| share.depart());
    assert_eq!(fill(&mut share), 9_900, "a hundred of two hundred are theirs");
    (0..100).for_each(|_| share.depart());
    assert_eq!(fill(&mut share), 10_000 - AT_HAND - 16 + 16, "all but what is at hand");
    (0..300).for_each(|_| share.depart());
    assert_eq!(fill(&mut share), 10_000 - AT_HAND, "nobody else comes in by what is kept for them");
}

#[test]
fn a_worker_whose_house_is_silent_stops_admitting() {
    let now = start();
    let mut places = Places::new(now, 100, [1]);
    let mut share = Share::default();
    let later = now + GRANT;
    share.take(later, places.report(later, 1, share.report(10)).expect("the house is open"));
    assert!(share.admit(later));
    assert!(!share.admit(later + GRANT));
}

#[test]
fn a_house_that_has_just_begun_gives_nothing_until_it_has_heard_who_is_inside() {
    let now = start();
    let mut places = Places::new(now, 10, [1, 2]);
    assert_eq!(places.report(now, 1, Report { seen: 7, inside: 9, room: 1, wanted: 5, ..Report::default() }), None);
    let open = now + GRANT;
    assert_eq!(
        places.report(open, 2, Report { wanted: 5, ..Report::default() }),
        Some(Grant { number: 1, ..Grant::default() })
    );
}

#[test]
fn whoever_was_at_a_worker_that_died_comes_back_to_another() {
    let now = start();
    let mut places = Places::new(now, 100, [1, 2]);
    let mut shares = [Share::default(); 2];
    let open = now + GRANT;
    let talk = |places: &mut Places, shares: &mut [Share; 2], worker: u64, wanted| {
        let share = &mut shares[worker as usize - 1];
        if let Some(grant) = places.report(open, worker, share.report(wanted)) {
            share.take(open, grant);
        }
    };
    for worker in [1, 2].repeat(8) {
        talk(&mut places, &mut shares, worker, 49);
        while shares[worker as usize - 1].admit(open) {}
    }
    let [there, here] = [shares[0].inside(), shares[1].inside()];
    assert_eq!(there + here, 98);
    places.gone(open, 1);
    shares[1].admit_back(open, Some(0), false).then_some(()).expect("one is at hand");
    for who in 1..=there.into() {
        shares[1].admit_back(open, Some(who), false);
    }
    talk(&mut places, &mut shares, 2, 49);
    assert!(!shares[1].admit(open), "nobody else comes in by what is kept for them");
    let back = (0..100).filter(|who| shares[1].admit_back(open, Some(*who), false)).count() as u32;
    assert_eq!((shares[1].inside(), back), (100, there + 1), "all of them, and the reserve");
}

/// The one in its place begins when the other has been given something already, and is asked twice as often.
#[test]
fn whoever_was_at_a_worker_that_died_comes_back_to_the_one_that_follows_it() {
    let now = start();
    let mut places = Places::new(now, 10_000, [1, 2]);
    let mut shares = [Share::default(); 3];
    let open = now + GRANT;
    let talk = |places: &mut Places, shares: &mut [Share; 3], worker: u64| {
        let share = &mut shares[worker as usize - 1];
        if let Some(grant) = places.report(open, worker, share.report(4_900)) {
            share.take(open, grant);
        }
    };
    for worker in [1, 2].repeat(20) {
        talk(&mut places, &mut shares, worker);
        while shares[worker as usize - 1].admit(open) {}
    }
    let there = u64::from(shares[0].inside());
    assert!(there > 2_000 && there + u64::from(shares[1].inside()) == 9_800);
    places.gone(open, 1);
    talk(&mut places, &mut shares, 2);
    let mut away = [there / 3, there - there / 3];
    for _quarter in 0..40 {
        for (at, away) in away.iter_mut().enumerate() {
            let comes = (*away).min(1_000);
            let back = (0..comes).filter(|who| shares[1 + at].admit_back(open, Some(*who), false)).count();
            *away -= back as u64;
            talk(&mut places, &mut shares, 2 + at as u64);
        }
    }
    // What one has at hand and is not asked for is less than what is kept for whoever comes back later.
    assert!(away[0] + away[1] <= reserve(10_000).into(), "{away:?} are away after ten seconds");
}

#[test]
fn one_who_asks_again_and_again_draws_no_more_of_the_reserve_to_a_worker_than_a_place() {
    let now = start();
    let mut places = Places::new(now, 10_000, [1, 2]);
    let mut shares = [Share::default(); 2];
    let open = now + GRANT;
    fill(&mut places, &mut shares, open, 20);
    let inside = |shares: &[Share; 2]| shares[0].inside() + shares[1].inside();
    assert_eq!(inside(&shares), 9_800);
    // All that is at hand is used, and one comes a thousand times between two grants.
    while shares[0].admit_back(open, None, false) {}
    (0..1_000).for_each(|_| assert!(!shares[0].admit_back(open, Some(7), false)));
    fill(&mut places, &mut shares, open, 1);
    assert_eq!(shares[0].report(0).back, AT_HAND + 1);
    assert_eq!(inside(&shares), 9_800 + AT_HAND);
    // What nobody came for is nobody's but who comes back, as before.
    (0..20).for_each(|second| fill(&mut places, &mut shares, open + KEPT + Duration::from_secs(second), 1));
    assert_eq!((inside(&shares), shares[0].report(0).back), (9_800 + AT_HAND, AT_HAND));
}

/// Each worker in turn, so often, tells, is given places, and lets in whoever waits, who are many.
fn fill<const WORKERS: usize>(places: &mut Places, shares: &mut [Share; WORKERS], now: SystemTime, times: usize) {
    for _ in 0..times {
        for (share, worker) in shares.iter_mut().zip(1..) {
            if let Some(grant) = places.report(now, worker, share.report(20_000)) {
                share.take(now, grant);
            }
            while share.admit(now) {}
        }
    }
}

/// A full room at two workers, in which in each quarter of a second so many people go for good, and so many come back who were inside once, to either: how many of those who wait, and of those, came in
/// by the end.
fn dealt(ticks: u64, leave: u32, come_back: u64) -> (u32, u32) {
    dealt_to(ticks, leave, |tick, nth| (nth < come_back).then_some(tick * come_back + nth))
}

/// The same, where in that quarter, as its so many'th, that one comes back: to the one worker and the other in turn. Who is in does not come again.
fn dealt_to(ticks: u64, leave: u32, comes_back: impl Fn(u64, u64) -> Option<u64>) -> (u32, u32) {
    let mut places = Places::new(start(), 10_000, [1, 2]);
    let (mut shares, mut now) = ([Share::default(); 2], start() + GRANT);
    let (mut waited, mut came_back, mut is_back) = (0, 0, BTreeSet::new());
    let mut kept: VecDeque<[u32; 2]> = VecDeque::new();
    for tick in 0..ticks + 20 {
        now += Duration::from_millis(250);
        let is_counted = tick >= 20;
        let expires = (kept.len() == 4 * KEPT.as_secs() as usize).then(|| kept.pop_front()).flatten();
        let mut went = [0; 2];
        for (at, share) in shares.iter_mut().enumerate() {
            if let Some(grant) = places.report(now, at as u64 + 1, share.report(20_000)) {
                share.take(now, grant);
            }
            while share.admit(now) {
                waited += u32::from(is_counted);
            }
            if !is_counted {
                continue;
            }
            let comes = (at as u64..).step_by(2).map_while(|nth| comes_back(tick, nth));
            for who in comes {
                if !is_back.contains(&who) && share.admit_back(now, Some(who), false) {
                    is_back.insert(who);
                    came_back += 1;
                }
            }
            went[at] = leave / 2 + leave % 2 * ((tick as usize + at) % 2) as u32;
            (0..went[at]).for_each(|_| share.depart());
            (0..expires.map_or(0, |expires: [u32; 2]| expires[at])).for_each(|_| share.leave());
        }
        if is_counted {
            kept.push_back(went);
        }
        assert!(shares[0].inside() + shares[1].inside() <= 10_000);
    }
    (waited, came_back)
}

/// However few places are kept, or more than the reserve has: at twenty that fall free in a second there are three times as many.
#[test]
fn those_who_come_back_without_end_take_a_twenty_fourth_of_what_falls_free_beyond_the_reserve() {
    for (ticks, leave) in [(2_000, 1), (1_000, 5), (1_000, 20)] {
        let falls_free = (ticks - 4 * KEPT.as_secs()) as u32 * leave;
        let (waited, came_back) = dealt(ticks, leave, 0);
        // As many more as are kept come in for them, up to the reserve.
        assert!(waited >= falls_free && came_back == 0, "{waited} of {falls_free} are who waited");
        let (waited, came_back) = dealt(ticks, leave, 2_000);
        println!("{leave}: of {falls_free}, {waited} waited and {came_back} came back");
        let theirs = falls_free / EACH as u32;
        assert!(waited >= (falls_free - theirs) * 98 / 100 && came_back >= theirs, "{leave}: {waited}, {came_back}");
        assert!(came_back <= theirs + reserve(10_000) + theirs / 50 + 1, "{leave}: {came_back} of {theirs}");
    }
}

/// One in three seconds, who were at the other worker, while more places are kept than the reserve has: a twenty-fourth of twenty in a second is more than they are.
#[test]
fn whoever_comes_back_now_and_then_finds_a_place_however_many_are_kept() {
    let (waited, came_back) = dealt_to(1_000, 5, |tick, nth| (tick % 12 < 4 && nth == 0).then_some(tick / 12));
    assert!(came_back >= 83 && waited > 4_000, "{came_back} came back, {waited} waited");
}

/// A worker is told to take nobody any more, and what it was given last is lost on the way.
#[test]
fn a_worker_that_retires_and_was_not_given_its_last_places_gives_back_what_its_people_leave() {
    let (mut places, now) = (Places::new(start(), 1_000, [1]), start() + GRANT);
    let mut share = Share::default();
    share.take(now, places.report(now, 1, share.report(500)).expect("the house is open"));
    while share.admit(now) {}
    places.report(now, 1, share.report(500)).expect("what is lost");
    share.retire();
    (0..500).for_each(|_| {
        share.depart();
        share.leave();
    });
    assert_eq!(places.report(now, 1, share.report(500)), None);
    assert_eq!(places.bound(), 0, "nobody is there");
}

#[test]
fn the_reserve_is_whole_again_when_nobody_comes_back_any_more() {
    // One falls free at a time, and somebody who waits has it, if they may.
    let one_more = |free: Free, _| Free { anybody: 0, ..free.settled(free.returners + 1, 5) };
    assert_eq!((0..5 * EACH - 1).fold(Free::default(), one_more).returners, 4);
    let free = (0..5 * EACH + 3).fold(Free::default(), one_more);
    assert_eq!(free.returners, 5);
    assert_eq!(free.settled(3, 5), Free { returners: 3, anybody: 0, ..free }, "somebody else's places are gone first");
    assert_eq!((free.settled(5, 2).returners, free.settled(5, 2).anybody), (2, 3), "what they have elsewhere");
}

/// A room that is full and in which nobody goes: what its host or the ladder does with its places, and whose worker dies.
#[test]
fn what_nobody_used_of_the_reserve_is_there_after_there_were_fewer_places_and_after_a_workers_end() {
    let mut places = Places::new(start(), 10_000, [1, 2]);
    let (mut shares, now) = ([Share::default(); 2], start() + GRANT);
    let inside = |shares: &[Share; 2]| shares[0].inside() + shares[1].inside();
    fill(&mut places, &mut shares, now, 20);
    assert_eq!(inside(&shares), 9_800);
    for fewer in [9_800, 0] {
        places.set_cap(fewer);
        fill(&mut places, &mut shares, now, 20);
        places.set_cap(10_000);
        fill(&mut places, &mut shares, now, 20);
        assert_eq!(inside(&shares), 9_800, "nobody else came in by what is theirs who come back");
    }
    places.gone(now, 2);
    let mut left = [shares[0]];
    fill(&mut places, &mut left, now, 20);
    assert_eq!(left[0].inside(), shares[0].inside(), "what falls to nobody yet is theirs who were at the other one");
    fill(&mut places, &mut left, now + KEPT, 20);
    assert_eq!(left[0].inside(), 9_800, "and then anybody's but the reserve");
}

#[test]
fn a_small_room_deals_its_reserve_to_whichever_worker_somebody_comes_back_to() {
    let mut places = Places::new(start(), 50, [1, 2, 3]);
    let (mut shares, now) = ([Share::default(); 3], start() + GRANT);
    fill(&mut places, &mut shares, now, 10);
    assert_eq!(shares.iter().map(Share::inside).sum::<u32>(), 49);
    assert!(!shares[2].admit_back(now, Some(7), false), "there are more workers than places for that");
    fill(&mut places, &mut shares, now, 10);
    assert!(shares[2].admit_back(now, Some(7), false));
    assert_eq!(shares.iter().map(Share::inside).sum::<u32>(), 50);
}
