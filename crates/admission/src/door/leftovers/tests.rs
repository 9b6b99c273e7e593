use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;
const ALONE: Yours = Yours { wanted: 0, late: 0, index: 0, workers: 1 };

fn leftovers(spare: u32) -> Leftovers {
    let mut leftovers = Leftovers::of(&[4; 32], 3);
    leftovers.hear(spare, ALONE, u32::MAX);
    leftovers
}

/// So many seconds from `begin` on in which `per_second` look, each of a network of their own, and `falls` places fall free: who took one, by second and by place among those who look in it.
fn play(left: &mut Leftovers, begin: u64, seconds: u64, (per_second, falls): (u64, u32)) -> Vec<(u64, u64)> {
    let (mut free, mut taken) = (0, Vec::new());
    for second in 0..seconds {
        free += falls;
        left.hear(free, ALONE, u32::MAX);
        for nth in 0..per_second {
            let within = Duration::from_secs(1).mul_f64(nth as f64 / per_second as f64);
            let now = NOW + Duration::from_secs(begin + second) + within;
            if left.takes(now, second * per_second + nth, 6_000_001, true) {
                free -= 1;
                taken.push((second, nth));
            }
        }
    }
    taken
}

#[test]
fn whoever_looks_first_in_a_second_gains_nothing_by_it() {
    let taken = play(&mut leftovers(0), 0, 1_200, (200, 8));
    let quarter = |quarter| taken.iter().filter(|(_, nth)| nth / 50 == quarter).count() as f64 / taken.len() as f64;
    let quarters = [0, 1, 2, 3].map(quarter);
    assert!(quarters.iter().all(|part| (0.22..0.28).contains(part)), "{quarters:?}");
}

#[test]
fn what_falls_free_is_taken_within_seconds_by_those_who_are_lucky() {
    for (per_second, falls) in [(200, 8), (40, 8), (1_000, 3)] {
        let taken = play(&mut leftovers(0), 0, 300, (per_second, falls));
        let idle = 300 * u64::from(falls) - taken.len() as u64;
        // None is, if whoever asks first has it.
        let falls = u64::from(falls);
        assert!((2 * falls..8 * falls).contains(&idle), "{idle} of those {falls} that fall free in each second");
    }
}

/// In the first second too, in which nobody knows how many look; when a few did before, and when many did long before.
#[test]
fn it_is_no_race_when_they_begin_to_look() {
    for before in [None, Some((300, 1, 0)), Some((300, 5, 120)), Some((60, 200, 1_800))] {
        for (per_second, free) in [(1_000, 300), (200, 40)] {
            let (mut left, mut begin) = (leftovers(0), 0);
            if let Some((seconds, few, pause)) = before {
                play(&mut left, 0, seconds, (few, 1));
                begin = seconds + pause;
            }
            let taken = play(&mut left, begin, 1, (per_second, free));
            let late = taken.iter().filter(|(_, nth)| *nth >= per_second / 2).count();
            let is_no_race = taken.len() < 2 * free as usize / 3 && late * 12 >= taken.len();
            assert!(is_no_race, "after {before:?}: {late} of the {} who took one of {free}", taken.len());
        }
    }
}

/// Else the last of a carrier's customers wait on while there is room for all of them.
#[test]
fn all_behind_one_address_who_look_at_once_have_what_is_there_while_others_look_too() {
    let mut left = leftovers(0);
    let mut now = NOW;
    let mut step = |seconds| {
        now += Duration::from_secs_f64(seconds);
        now
    };
    for address in 0..20 {
        for other in 0..10 {
            left.hear(100, ALONE, u32::MAX);
            left.takes(step(30.0), 1_000 + 10 * address + other, 1, true);
        }
        left.hear(100, ALONE, u32::MAX);
        // Between them somebody else asks, now and then.
        let taken = (0..60).filter(|n| {
            if n % 30 == 9 {
                left.takes(step(0.001), 2_000 + 60 * address + n, 1, true);
            }
            left.takes(step(0.002), address, 1, true)
        });
        assert_eq!(taken.count(), 60, "behind address {address}");
    }
}

#[test]
fn where_few_look_whoever_does_has_what_is_there_if_there_is_room() {
    let mut left = leftovers(1);
    for minute in 0..60 {
        let now = NOW + Duration::from_secs(120 * minute);
        left.hear(1, ALONE, u32::MAX);
        assert!(!left.takes(now, 7, minute, false), "there is no room");
        let now = now + Duration::from_secs(60);
        assert!(left.takes(now, 8, minute, true));
        assert!(!(9..12).any(|network| left.takes(now, network, minute, true)), "nothing is left");
    }
}

#[test]
fn a_clock_that_goes_back_is_as_one_that_stands() {
    let at = |seconds| NOW + Duration::from_secs(seconds);
    let play = |clock: &dyn Fn(u64) -> u64| -> Vec<bool> {
        let mut left = leftovers(0);
        let mut takes = |n| {
            left.hear(100, ALONE, u32::MAX);
            left.takes(at(clock(n)), n, 1, true)
        };
        (0..2_000).map(&mut takes).collect()
    };
    let stands = play(&|n| 1_000_000 + n.min(999) / 100);
    assert!(play(&|n| if n < 1_000 { 1_000_000 + n / 100 } else { 5 }) == stands);
    assert!(play(&|n| 1_000_000 + n / 100) != stands, "one that goes on");
}

#[test]
fn each_network_has_another_luck_in_each_period_and_in_each_opening() {
    // About every tenth takes one.
    let lucky = |opening, network, period| {
        let mut left = Leftovers::of(&[4; 32], opening);
        left.hear(500, ALONE, u32::MAX);
        left.looks = [1_000.0; 2];
        left.takes(NOW, network, period, true)
    };
    let tenth = |one: &dyn Fn(u64) -> bool| (0..1_000).filter(|n| one(*n)).count();
    for (what, count) in [
        ("networks", tenth(&|n| lucky(3, n, 7))),
        ("periods", tenth(&|n| lucky(3, 7, n))),
        ("openings", tenth(&|n| lucky(n as u16, 7, 7))),
    ] {
        assert!((60..150).contains(&count), "{count} of a thousand {what}");
    }
}

#[test]
fn what_cannot_be_shared_is_for_the_lucky_of_any_worker_and_none_lets_in_more_than_it_may_in_a_second() {
    let part = |spare: u32, workers, pace| {
        let mut left = leftovers(0);
        left.hear(spare, Yours { workers, ..ALONE }, pace);
        (left.told, left.left)
    };
    assert_eq!([part(1, 4, 9), part(29, 2, 9), part(4, 2, 9)], [(0.25, 1), (14.5, 9), (2.0, 2)]);
    assert_eq!(part(5, 0, 9), (0.0, 0), "whom the house does not know yet");
    assert_eq!(part(u32::MAX, 1, u32::MAX), (f64::from(u32::MAX), u32::MAX));
    // At four workers together one is taken about as soon as it were at one.
    let looks = |workers: u32| {
        let mut all: Vec<_> = (0..workers).map(|_| leftovers(0)).collect();
        let mut taken = 0;
        for n in 0..40_000u64 {
            let left = &mut all[n as usize % workers as usize];
            left.hear(1, Yours { workers, ..ALONE }, 9);
            taken += u32::from(left.takes(NOW + Duration::from_millis(25 * n), n, 1, true));
        }
        taken
    };
    let (one, four) = (looks(1), looks(4));
    assert!(one.abs_diff(four) < one / 5, "{one} and {four}");
}
