use proptest::prelude::*;

use super::*;

/// Times of all sizes: some microseconds, and as many below a second, a minute, an hour, and above.
fn time() -> impl Strategy<Value = Duration> {
    (0_u32..=36, any::<u64>()).prop_map(|(bits, us)| Duration::from_micros(us & ((1 << bits) - 1)))
}

fn times() -> impl Strategy<Value = Vec<Duration>> {
    proptest::collection::vec(time(), 0..300)
}

fn histogram(times: &[Duration]) -> Histogram {
    let mut histogram = Histogram::default();
    for &time in times {
        histogram.add(time);
    }
    histogram
}

/// What a histogram may say of a time: no less, and at most 1/32 more.
fn may_stand_for(said: Duration, time: Duration) -> bool {
    let time = time.min(Duration::from_secs(3600));
    said >= time && said - time <= time / 32
}

proptest! {
    #[test]
    fn a_quantile_is_at_most_3_2_percent_more_than_the_time_of_that_rank(times in times(), share in 0.0_f64..=1.0) {
        let histogram = histogram(&times);
        let mut sorted = times;
        sorted.sort();
        let rank = ((share * sorted.len() as f64).ceil() as usize).max(1);
        match sorted.get(rank - 1) {
            None => prop_assert_eq!(histogram.quantile(share), None),
            Some(&time) => {
                let said = histogram.quantile(share).unwrap();
                prop_assert!(may_stand_for(said, time), "{said:?} for {time:?}");
            }
        }
    }

    #[test]
    fn the_longest_time_is_the_last_quantile_and_all_are_within_it(times in times()) {
        let histogram = histogram(&times);
        prop_assert_eq!(histogram.max(), histogram.quantile(1.0));
        prop_assert_eq!(histogram.count(), times.len() as u64);
        prop_assert_eq!(histogram.within(Duration::MAX), times.len() as u64);
        if let Some(longest) = histogram.max() {
            prop_assert_eq!(histogram.within(longest), histogram.count());
        }
    }

    #[test]
    fn within_a_time_are_never_too_many_and_only_its_neighbours_are_missing(times in times(), limit in time()) {
        let within = histogram(&times).within(limit);
        let count = |limit: Duration| times.iter().filter(|&&time| time.min(Duration::from_secs(3600)) <= limit).count() as u64;
        prop_assert!(within <= count(limit));
        prop_assert!(within >= count(limit.mul_f64(0.968)));
    }

    #[test]
    fn merging_is_counting_all_in_one(ours in times(), theirs in times()) {
        let mut merged = histogram(&ours);
        merged.merge(&histogram(&theirs));
        let all: Vec<Duration> = ours.into_iter().chain(theirs).collect();
        prop_assert_eq!(merged, histogram(&all));
    }

    #[test]
    fn many_of_one_time_are_that_time_many_times(time in time(), count in 0_u64..100) {
        let mut many = Histogram::default();
        many.add_many(time, count);
        prop_assert_eq!(many, histogram(&vec![time; count as usize]));
    }

    #[test]
    fn what_was_serialised_is_deserialised_as_it_was(times in times()) {
        let histogram = histogram(&times);
        let text = serde_json::to_string(&histogram).unwrap();
        prop_assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), histogram);
    }

    #[test]
    fn whatever_is_deserialised_is_as_it_would_be_serialised(
        counts in proptest::collection::vec((0_u16..1000, prop_oneof![0_u64..5, any::<u64>()]), 0..6),
        sorted in any::<bool>(),
    ) {
        let mut counts = counts;
        if sorted {
            counts.sort_unstable();
        }
        let text = serde_json::to_string(&counts).unwrap();
        if let Ok(histogram) = serde_json::from_str::<Histogram>(&text) {
            prop_assert_eq!(serde_json::to_string(&histogram).unwrap(), text);
            prop_assert_eq!(histogram.within(Duration::MAX), histogram.count());
            prop_assert!(histogram.quantile(0.5) <= histogram.max());
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]{},:0-9eE.+\\-\"a ]{0,40}") {
        let _ = serde_json::from_str::<Histogram>(&text);
    }
}

#[test]
fn every_bucket_ends_where_the_next_begins() {
    for bucket in 0..LAST {
        let longest = longest_of(bucket);
        assert_eq!(bucket_of(longest), bucket);
        assert_eq!(bucket_of(longest + 1), bucket + 1, "after {longest} µs");
    }
    assert_eq!(longest_of(LAST), LONGEST_US);
}

#[test]
fn nonsense_is_refused() {
    let check = |text: &str| assert!(serde_json::from_str::<Histogram>(text).is_err(), "{text}");
    check("[[886,1]]");
    check("[[65536,1]]");
    check("[[-1,1]]");
    check("[[1,0]]");
    check("[[1,-1]]");
    check("[[1,1.5]]");
    check("[[1,1e300]]");
    check("[[2,1],[1,1]]");
    check("[[1,1],[1,1]]");
    check("[[1,18446744073709551615],[2,1]]");
    check("[[1]]");
    check("[[1,1,1]]");
    check("[1,1]");
    check("{}");
    check("null");
    check(&"[".repeat(10_000));
}

#[test]
fn an_empty_one_knows_no_time() {
    let empty = Histogram::default();
    assert_eq!((empty.count(), empty.quantile(0.5), empty.max()), (0, None, None));
    assert_eq!(empty.within(Duration::MAX), 0);
    assert_eq!(serde_json::to_string(&empty).unwrap(), "[]");
}

#[test]
fn a_share_that_is_no_share_is_answered_all_the_same() {
    let histogram = histogram(&[Duration::from_micros(10), Duration::from_micros(20)]);
    let check = |share: f64, us: u64| assert_eq!(histogram.quantile(share), Some(Duration::from_micros(us)), "{share}");
    check(-1.0, 10);
    check(0.0, 10);
    check(0.5, 10);
    check(0.51, 20);
    check(2.0, 20);
    check(f64::NAN, 10);
    check(f64::INFINITY, 20);
}

#[test]
fn a_full_count_stays_full() {
    let mut full = Histogram::default();
    full.add_many(Duration::from_millis(1), u64::MAX);
    full.add(Duration::from_millis(1));
    full.add(Duration::from_millis(2));
    let twice = full.clone();
    full.merge(&twice);
    assert_eq!(full.count(), u64::MAX);
    assert_eq!(full.within(Duration::from_millis(1)), 0);
    assert_eq!(full.within(Duration::from_micros(1007)), u64::MAX);
}

#[test]
fn longer_than_an_hour_is_an_hour() {
    assert_eq!(histogram(&[Duration::MAX]).max(), Some(Duration::from_secs(3600)));
}
