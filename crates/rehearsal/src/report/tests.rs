use super::*;

fn milliseconds(times: &[(u64, u64)]) -> Histogram {
    let mut histogram = Histogram::default();
    for &(time_ms, count) in times {
        histogram.add_many(Duration::from_millis(time_ms), count);
    }
    histogram
}

/// Two seconds of ten listeners, by hand.
fn small() -> Report {
    let plan = Plan {
        target: "http://127.0.0.1:8080/listen/demo.mp4".into(),
        listeners: 10,
        cadence_ms: 200,
        starts_unix_ms: Some(1_764_277_200_500),
        ..Plan::default()
    };
    let first = Second {
        at_s: 0,
        joined: 7,
        listening: 7,
        chunks: 30,
        bytes: 1_000,
        cadence_ms: 200,
        join: milliseconds(&[(1, 6), (80, 1)]),
        lateness: milliseconds(&[(10, 30)]),
        busy_share: 0.25,
        server: Some(Server { cores: 0.504, resident_bytes: 40_000_000 }),
        ..Second::default()
    };
    let second = Second {
        at_s: 1,
        joined: 3,
        left: 1,
        listening: 9,
        chunks: 45,
        bytes: 1_500,
        cadence_ms: 2_000,
        stall: milliseconds(&[(0, 10)]),
        join: milliseconds(&[(1, 3)]),
        lateness: milliseconds(&[(10, 44), (900, 1)]),
        first_word: milliseconds(&[(200, 8)]),
        words_early: 1,
        busy_share: 0.333,
        chunks_lean: 12,
        server: Some(Server { cores: 0.2, resident_bytes: 41_000_000 }),
        ..Second::default()
    };
    Report { plan, seconds: vec![first, second], faults: BTreeMap::new() }
}

#[test]
fn a_summary_has_the_figures_of_all_seconds() {
    let expected = json!({
        "verdict": "holds",
        "listeners_asked": 10,
        "listeners_max": 9,
        "joins": 10,
        "joins_failed": 0,
        "join_ms_p50": 1.007,
        "join_ms_p99": 81.919,
        "joins_per_s_max": 7,
        "chunks": 75,
        "chunks_lean": 12,
        "on_time_percent": 100.0,
        "lateness_ms_p50": 10.239,
        "lateness_ms_p99": 901.119,
        "lateness_ms_max": 901.119,
        "stalled_listener_seconds": 0,
        "stall_ms_p99": 0.0,
        "stall_ms_max": 0.0,
        "first_words": 8,
        "first_words_early": 1,
        "first_word_ms_p50": 200.703,
        "first_word_ms_p99": 200.703,
        "first_word_ms_max": 200.703,
        "faults": 0,
        "bytes": 2_500,
        "server_cores_max": 0.5,
        "server_resident_bytes_max": 41_000_000,
        "generator_busy_percent_max": 33.3,
        "generator_trusted": true,
        "seconds": 2,
    });
    assert_eq!(small().summary(), expected);
}

#[test]
fn what_is_not_known_is_null() {
    let summary = Report::default().summary();
    for figure in [
        "join_ms_p50",
        "stall_ms_p99",
        "lateness_ms_max",
        "first_word_ms_p99",
        "on_time_percent",
        "server_cores_max",
        "server_resident_bytes_max",
    ] {
        assert_eq!(summary[figure], Value::Null, "{figure}");
    }
    assert_eq!(summary["verdict"], "fails");
}

#[test]
fn a_verdict_is_lost_by_one_in_a_thousand_of_anything() {
    let check = |change: &dyn Fn(&mut Report), verdict: Verdict| {
        let mut report = small();
        report.plan.listeners = 10_000;
        let first = &mut report.seconds[0];
        (first.joined, first.listening, first.chunks) = (9_997, 9_997, 100_000);
        change(&mut report);
        assert_eq!(report.verdict(), verdict, "{:?}", report.summary());
    };
    check(&|_| {}, Verdict::Holds);
    check(&|report| report.seconds[0].failed = 10, Verdict::Holds);
    check(&|report| report.seconds[0].failed = 11, Verdict::Fails);
    check(&|report| report.seconds[0].joined -= 11, Verdict::Fails);
    check(&|report| report.seconds[0].chunks_late = 100, Verdict::Holds);
    check(&|report| report.seconds[0].chunks_late = 101, Verdict::Fails);
    check(&|report| report.seconds[0].stalled = 10, Verdict::Holds);
    check(&|report| report.seconds[0].stalled = 11, Verdict::Fails);
    check(&|report| *report.faults.entry("wrong bytes".into()).or_default() = 11, Verdict::Fails);
    check(&|report| report.seconds.iter_mut().for_each(|second| second.chunks = 0), Verdict::Fails);
    check(&|report| report.seconds.iter_mut().for_each(|second| second.joined = 0), Verdict::Fails);
    check(&|report| report.seconds[0].busy_share = 0.9, Verdict::Holds);
    check(&|report| report.seconds[0].busy_share = 0.91, Verdict::Doubtful);
}

#[test]
fn all_is_said_of_the_sound_only_if_it_was_all() {
    let mut report = small();
    report.seconds[0].chunks = 10_000_000;
    report.seconds[0].chunks_late = 1;
    assert_eq!(report.summary()["on_time_percent"], 99.999);
}

#[test]
fn another_processs_second_is_added() {
    let [mut first, second] = <[Second; 2]>::try_from(small().seconds).unwrap();
    first.merge(&second);
    let expected = Second {
        at_s: 0,
        joined: 10,
        failed: 0,
        left: 1,
        listening: 16,
        chunks: 75,
        chunks_late: 0,
        chunks_lean: 12,
        stalled: 0,
        bytes: 2_500,
        cadence_ms: 2_000,
        stall: milliseconds(&[(0, 10)]),
        join: milliseconds(&[(1, 9), (80, 1)]),
        lateness: milliseconds(&[(10, 74), (900, 1)]),
        first_word: milliseconds(&[(200, 8)]),
        words_early: 1,
        busy_share: 0.333,
        server: Some(Server { cores: 0.504, resident_bytes: 41_000_000 }),
    };
    assert_eq!(first, expected);
    let mut blind = Second::default();
    blind.merge(&second);
    assert_eq!(blind.server, second.server);
}

#[test]
fn a_report_that_was_kept_is_judged_as_it_was() {
    let report = small();
    let kept: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(kept, report);
    assert_eq!(kept.summary(), report.summary());
    assert_eq!(kept.page(), report.page());
}

#[test]
fn a_report_of_impossible_counts_is_judged_without_a_panic() {
    let mut report = small();
    for second in &mut report.seconds {
        (second.joined, second.failed, second.listening) = (u64::MAX, u64::MAX, u64::MAX);
        (second.chunks, second.chunks_late, second.stalled, second.bytes) = (u64::MAX, u64::MAX, u64::MAX, u64::MAX);
        second.at_s = u32::MAX;
    }
    report.plan.cadence_ms = u64::MAX;
    report.faults = BTreeMap::from([("one".into(), u64::MAX), ("two".into(), u64::MAX)]);
    assert_eq!(report.verdict(), Verdict::Fails);
    assert!(report.page().contains("</html>"));
}
