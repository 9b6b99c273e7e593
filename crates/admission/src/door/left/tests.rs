use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

/// Lucks as good as random.
fn luck(n: u64) -> u32 {
    let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ mixed >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as u32
}

/// So many seconds in which `per_second` look, and `falls` places fall free: who took one, by second and by place among those who look in it.
fn play(seconds: u64, per_second: u64, falls: u32) -> Vec<(u64, u64)> {
    let (mut left, mut free, mut taken) = (LeftOver::default(), 0, Vec::new());
    for second in 0..seconds {
        free += falls;
        left.hear(free);
        for nth in 0..per_second {
            let now =
                NOW + Duration::from_secs(second) + Duration::from_secs(1).mul_f64(nth as f64 / per_second as f64);
            if left.takes(now, luck(second * per_second + nth), true) {
                free -= 1;
                taken.push((second, nth));
            }
        }
    }
    taken
}

#[test]
fn whoever_looks_first_in_a_second_gains_nothing_by_it() {
    let taken = play(1_200, 200, 8);
    let quarter = |quarter| taken.iter().filter(|(_, nth)| nth / 50 == quarter).count() as f64 / taken.len() as f64;
    let quarters = [0, 1, 2, 3].map(quarter);
    assert!(quarters.iter().all(|part| (0.22..0.28).contains(part)), "{quarters:?}");
}

#[test]
fn what_falls_free_is_taken_within_seconds_and_never_more_than_there_is() {
    for (per_second, falls) in [(200, 8), (40, 8), (1_000, 3)] {
        let taken = play(300, per_second, falls);
        let idle = 300 * u64::from(falls) - taken.len() as u64;
        assert!(idle < 13 * u64::from(falls), "{idle} of those {falls} that fall free in each second");
    }
}

#[test]
fn in_the_first_second_too_in_which_nobody_knows_how_many_look_it_is_not_whose_who_asks_first() {
    let mut left = LeftOver::default();
    left.hear(300);
    let at = |nth: u64| NOW + Duration::from_millis(nth);
    let taken: Vec<u64> = (0..1_000).filter(|nth| left.takes(at(*nth), luck(*nth), true)).collect();
    let late = taken.iter().filter(|nth| **nth >= 500).count();
    assert!((5..100).contains(&taken.len()) && late >= 8, "{late} of {}", taken.len());
}

#[test]
fn where_few_look_whoever_does_has_what_is_there() {
    let mut left = LeftOver::default();
    for minute in 0..60 {
        left.hear(1);
        assert!(left.takes(NOW + Duration::from_secs(60 * minute), u32::MAX, true));
        assert!(!left.takes(NOW + Duration::from_secs(60 * minute), 0, true), "nothing is left");
        assert!(!left.takes(NOW + Duration::from_secs(60 * minute), 0, false));
    }
}

#[test]
fn a_clock_that_goes_back_changes_nothing() {
    let mut left = LeftOver::default();
    for seconds in [1_000_000, 10, 20, 2_000_000, 0] {
        left.hear(1);
        assert!(left.takes(NOW + Duration::from_secs(seconds), 0, true), "at {seconds} s");
    }
}
