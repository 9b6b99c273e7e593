"""The judges of `./x bench door` and `./x bench crowd`, on figures made up here; and the simulated launch itself is in crates/rehearsal/tests/door.rs."""

import pytest

from hearing import door, launch


def _tickets(issue=2.5e6, check=8e6):
    return {
        "issue_per_s": issue, "check_per_s": check, "drawn_per_s": 3e6, "issue_floor_per_s": 4e6, "check_floor_per_s": 12e6, "issue_ns_of": {},
    }  # fmt: skip


def test_the_slower_of_issuing_and_checking_counts():
    assert door.rated(_tickets())["ticket_ops_per_s_core"] == 2_500_000
    assert door.rated(_tickets(check=1e6))["ticket_ops_per_s_core"] == 1_000_000
    assert door.rated(_tickets(issue=2e6))["issue_vs_blake3"] == 0.5


@pytest.mark.parametrize("name, bad", [("ticket_ops_per_s_core", 1_999_999), ("visitors_per_s_core", 9_999), ("bytes_per_10m_tickets", 16_000_001), ("page_bytes", 14_337), ("visitors_failed", 1), ("tickets_issued", 9_999_999)])
def test_what_does_not_come_to_its_bound_is_told(name, bad):
    good = {"ticket_ops_per_s_core": 2_000_000, "visitors_per_s_core": 10_000, "bytes_per_10m_tickets": 16_000_000, "page_bytes": 14_336, "visitors_failed": 0, "tickets_issued": 10_000_000}
    assert door.unwanted(good) == []
    assert len(door.unwanted(good | {name: bad})) == 1
    # What was not measured is not judged.
    assert door.unwanted({}) == []


def _row(visitors, server_s, failed=0):
    return {"visitors": visitors, "seconds": 6.0, "failed": failed, "server_s": server_s, "visit_ms_p50": 1.0, "visit_ms_p99": 2.0}


def test_visitors_count_by_the_servers_time_and_the_median_run():
    figures = door.visited([_row(60_000, 5.0), _row(60_000, 1.0), _row(60_000, 4.0)], [_row(90_000, 3.0)])
    assert (figures["visitors_per_s_core"], figures["visitors_per_s"]) == (15_000, 10_000)
    assert figures["visitors_vs_nginx"] == 0.5
    assert door.visited([_row(10, 1.0, failed=3)], [_row(10, 0.0)])["visitors_failed"] == 3
    assert door.visited([_row(10, 1.0)], [_row(10, 0.0)])["visitors_vs_nginx"] is None


GOOD = {"cap_exceeded": 0, "promise_kept": 0.99, "requests_per_visitor_p50": 3, "retry_advantage": 0.0, "prefix_share_error": 0.05, "utilisation": 0.98}


def test_what_is_good_and_alike_in_both_worlds_is_not_told():
    assert launch.unwanted(GOOD | launch.suffixed(GOOD, "_sim") | launch.suffixed(GOOD, "_sim500k")) == []


@pytest.mark.parametrize("suffix", ["", "_sim", "_sim500k"])
@pytest.mark.parametrize("name, bad", [("cap_exceeded", 1), ("promise_kept", 0.94), ("requests_per_visitor_p50", 4), ("retry_advantage", 0.06), ("prefix_share_error", 0.11), ("utilisation", 0.96)])
def test_each_figure_of_the_crowd_has_a_bound(name, bad, suffix):
    assert launch.unwanted({name + suffix: bad}) == [f"{name}{suffix} is {bad}"]


def test_a_simulation_that_is_not_like_the_real_one_is_told():
    assert launch.unwanted({"utilisation": 0.98, "utilisation_sim": 0.99}) == []
    said = launch.unwanted({"prefix_share_error": 0.02, "prefix_share_error_sim": 0.05})
    assert said == ["prefix_share_error is 0.02, and simulated 0.05"]


@pytest.mark.parametrize("bad", [{"untrue": 1}, {"cut": 2}, {"crowd_late_ms_max": 1_001}])
def test_a_real_run_that_was_not_what_it_seems_is_told(bad):
    assert launch.unwanted(GOOD | {"untrue": 0, "cut": 0, "crowd_late_ms_max": 40}) == []
    assert len(launch.unwanted(GOOD | bad)) == 1


def test_of_few_people_a_share_may_differ_by_chance_and_of_few_bots_nothing_is_told():
    few = {"prefix_share_error": 0.15, "prefix_share_chance": 0.08, "retry_advantage": 0.09, "bots_waited": 30}
    assert launch.unwanted(few) == []
    many = {"prefix_share_error": 0.15, "prefix_share_chance": 0.03, "retry_advantage": 0.09, "bots_waited": 180}
    assert len(launch.unwanted(many)) == 2


def test_of_several_draws_the_middle_is_told_and_the_worst_of_what_must_never_be():
    runs = [{"cap_exceeded": exceeded, "retry_advantage": gained} for exceeded, gained in ((0, 0.06), (1, -0.02), (0, 0.01))]
    assert launch.medians(runs) == {"cap_exceeded": 1, "retry_advantage": 0.01}


def test_of_a_network_of_whom_few_are_let_in_by_each_draw_the_share_is_told_of_all_draws_together():
    runs = [{"prefix_let_in": let_in, "prefix_share": 10.0, "prefix_share_chance": 0.3, "prefix_share_error": abs(let_in / 10 - 1), "carried_let_in": let_in % 3} for let_in in (7, 14, 10, 10)]
    told = launch.together(runs)
    assert (told["prefix_let_in"], told["prefix_share"], told["carried_let_in"]) == (41, 40.0, 1.25)
    assert abs(told["prefix_share_error"] - 0.025) < 1e-9 and abs(told["prefix_share_chance"] - 0.15) < 1e-9
    # What is always so is no chance.
    assert "prefix_share_error_sim500k" in launch.unwanted(launch.suffixed(launch.together([run | {"prefix_let_in": 5} for run in runs]), "_sim500k"))[0]
