"""The judge of `./x bench joins`, on rates made up here."""

import pytest

from hearing import joins, serving


def _report(per_second, failed=0, p99=40.0, trusted=True):
    report = {"seconds": [{"joined": joined} for joined in per_second], "faults": {}}
    return report, {"joins": sum(per_second), "joins_failed": failed, "join_ms_p50": 10.0, "join_ms_p99": p99, "generator_busy_percent_max": 50.0, "generator_trusted": trusted, "server_cores_max": 0.5}


def test_the_seconds_in_which_the_crowd_comes_are_not_counted():
    row = joins.row(*_report([100, 5_000, 900, 1_000, 1_002, 998, 1_001, 999]))
    assert row["joins_per_s"] == 1_000
    assert row["server_percent"] == 50.0


def test_a_rate_at_which_some_are_not_let_in_or_wait_is_not_held():
    assert joins.held(joins.row(*_report([1_000] * 9)))
    assert not joins.held(joins.row(*_report([1_000] * 9, failed=10)))
    assert not joins.held(joins.row(*_report([1_000] * 9, p99=1_500.0)))
    assert not joins.held(joins.row(*_report([0] * 9, p99=None)))


def test_the_most_of_what_was_held_counts_and_the_waiting_is_that_of_half_of_it():
    rows = [joins.row(*_report([rate] * 9, p99=p99)) for rate, p99 in ((2_000, 5.0), (4_000, 7.0), (8_000, 300.0), (9_000, 2_000.0))]
    figures = joins._figures(rows, "plain")
    assert figures["joins_per_s_core_plain"] == 8_000
    assert figures["join_ms_p99_plain"] == 7.0


def test_nothing_held_is_nothing():
    figures = joins._figures([joins.row(*_report([500] * 9, failed=400))], "tls")
    assert (figures["joins_per_s_core_tls"], figures["join_ms_p99_tls"]) == (0, None)


def _rows(rate, **other):
    return [joins.row(*_report([joined] * 9, **other)) for joined in (rate / 2, rate)]


def test_what_the_crowd_could_do_is_compared_with_nobody():
    figures, bounded = joins.compared("plain", _rows(8_000), _rows(10_000))
    assert (figures["vs_nginx_plain"], bounded) == (0.8, [])
    figures, bounded = joins.compared("plain", _rows(8_000, trusted=False), _rows(10_000))
    assert figures["joins_per_s_core_plain"] == 8_000 and figures["vs_nginx_plain"] is None
    assert bounded == ["joins_per_s_core_plain: 8000 may be all that the crowd can do, 50.0 % busy; the server may do more"]
    figures, bounded = joins.compared("tls", _rows(8_000), _rows(10_000, trusted=False))
    assert figures["vs_nginx_tls"] is None and len(bounded) == 1 and "joins_per_s_core_tls_nginx" in bounded[0]


@pytest.mark.parametrize("joined, p99", [(9_000, 1_500.0), (3_000, 500.0)])
def test_a_crowd_that_was_busy_at_the_next_rate_is_the_bound_as_well(joined, p99):
    after = joins.row(*_report([joined] * 9, p99=p99, trusted=False))
    figures, bounded = joins.compared("plain", [*_rows(8_000), after], _rows(10_000))
    assert figures["vs_nginx_plain"] is None
    assert f"8000 may be all that the crowd can do, 50.0 % busy at the {joined} of the next rate" in bounded[0]
    figures, bounded = joins.compared("plain", [*_rows(8_000), after | {"trusted": True}], _rows(10_000))
    assert (figures["vs_nginx_plain"], bounded) == (0.8, [])


def test_what_a_join_costs_is_told_whoever_is_the_bound():
    figures, _ = joins.compared("tls", _rows(8_000, trusted=False), _rows(10_000, trusted=False))
    # Half a core.
    assert (figures["server_us_per_join_tls"], figures["server_us_per_join_tls_nginx"]) == (62.5, 50.0)
    figures, bounded = joins.compared("tls", _rows(8_000, failed=8_000), _rows(10_000))
    assert (figures["server_us_per_join_tls"], figures["vs_nginx_tls"], bounded) == (None, 0.0, [])


def test_a_beginning_has_three_whole_chunks_however_much_has_come():
    def box(kind, size):
        return (8 + size).to_bytes(4, "big") + kind + bytes(size)

    chunk = box(b"moof", 100) + box(b"mdat", 700)
    stream = box(b"ftyp", 12) + box(b"moov", 500) + box(b"emsg", 30) + 5 * chunk
    whole = 20 + 508 + 38 + 3 * len(chunk)
    assert [joins.beginning(stream[:size]) for size in (0, 7, 600, whole - 1)] == [None] * 4
    assert joins.beginning(stream[:whole]) == joins.beginning(stream) == whole


def _served(late=0, listening=90_000, faults=None, p99=50.0, joined=3_000, trusted=True):
    seconds = [{"at_s": n, "listening": listening if n > 60 else 1_000, "chunks": 450_000, "chunks_late": late if 80 <= n < 90 else 0} for n in range(120)]
    rows = [{"rate": rate, "joins_per_s": joined * part, "from": 1_000 + at, "to": 1_014 + at, "failed": 0, "joins": 20_000, "join_ms_p50": 9.0, "join_ms_p99": p99, "server_percent": 80.0, "trusted": trusted, "crowd_percent": 97.0}
            for rate, part, at in ((1_500, 0.5, 65), (3_000, 1.0, 82))]  # fmt: skip
    report = {"plan": {"started_unix_s": 1_000}, "seconds": seconds, "faults": faults or {}}
    summary = {"generator_trusted": True, "generator_busy_percent_max": 60.0}
    return serving.judged(rows, report, summary, 90_000, joins.held)


def test_joins_count_while_those_who_listen_hear_in_time():
    figures, bad, bounded = _served()
    assert (figures["joins_per_s_tls_while_serving"], figures["listening_on_time_percent"], bad, bounded) == (3_000, 100.0, [], [])
    figures, bad, bounded = _served(trusted=False)
    assert (figures["joins_per_s_tls_while_serving"], bad, len(bounded)) == (3_000, [], 1)


@pytest.mark.parametrize("wrong", [{"late": 2_000}, {"listening": 89_999}, {"p99": 1_200.0}, {"joined": 2_400}])
def test_what_those_who_listen_lose_is_no_rate(wrong):
    figures, bad, _ = _served(**wrong)
    assert figures["joins_per_s_tls_while_serving"] < 2_500 and bad


def test_a_fault_of_those_who_listen_is_told():
    assert _served(faults={"sound was left out or repeated": 2})[1] == ["while serving: 2 x sound was left out or repeated"]
