"""Counts are exact or they are told."""

import pytest

from hearing import counting


def crowd(*joined, faults=None, late=0):
    seconds = [{"joined": count, "failed": 0, "chunks": 1_000, "chunks_late": late, "stalled": 0} for count in joined]
    return {}, {"seconds": seconds, "faults": faults or {}}


TOLD = {"one": crowd(40, 3, 2), "other": crowd(10, 0, 1)}
BEFORE = {"hiwar_joined_total": 1_000.0, 'hiwar_space_joined_total{space="one"}': 500.0, 'hiwar_space_joined_total{space="other"}': 500.0}
AFTER = {"hiwar_joined_total": 1_058.0, 'hiwar_space_joined_total{space="one"}': 546.0, 'hiwar_space_joined_total{space="other"}': 512.0, "hiwar_listeners": 0.0, "hiwar_rehearsal_listeners": 0.0}


def test_everybody_is_counted_once_and_the_one_who_listens_alone_too():
    found = counting.compared(TOLD, BEFORE, AFTER)
    assert found == {"counted_by_crowd": 58, "counted_by_house": 58, "counts_off": 0, "counts_off_space_max": 0, "counted_at_the_end": 0}


def test_one_too_few_is_seen_in_all_and_in_the_space():
    found = counting.compared(TOLD, BEFORE, AFTER | {"hiwar_joined_total": 1_057.0, 'hiwar_space_joined_total{space="one"}': 545.0})
    assert (found["counts_off"], found["counts_off_space_max"]) == (-1, 1)


def test_two_spaces_that_are_taken_for_each_other_are_seen():
    found = counting.compared(TOLD, BEFORE, AFTER | {'hiwar_space_joined_total{space="one"}': 545.0, 'hiwar_space_joined_total{space="other"}': 513.0})
    assert (found["counts_off"], found["counts_off_space_max"]) == (0, 1)


def test_a_server_that_does_not_count_says_nothing():
    found = counting.compared(TOLD, {}, {"hiwar_beats_total": 7.0})
    assert (found["counted_by_house"], found["counts_off"], found["counted_at_the_end"]) == (None, None, None)


def test_what_all_of_them_heard_is_added():
    found = counting.heard({"one": crowd(1, faults={"broken: reset": 2}), "other": crowd(1, faults={"broken: reset": 1}, late=10)})
    assert found["listeners_faults"] == {"broken: reset": 3} and found["on_time_percent"] == 99.5


def result(**other):
    good = {
        "counts_off": 0, "counts_off_space_max": 0, "counted_at_the_end": 0, "listeners_faults": {}, "on_time_percent": 99.95, "rss_slope_mb_per_h": {"house": 0.2},
        "rss_slope_mb_per_h_max": 0.2, "fd_leak": {"house": 0}, "fd_leak_max": 0, "beats_missed_per_10000": 0.1,
    }  # fmt: skip
    return good | other


@pytest.mark.parametrize(
    "bad",
    [
        {"counts_off": -3},
        {"counts_off": None},
        {"counts_off_space_max": 1},
        {"counted_at_the_end": 200},
        {"listeners_faults": {"the server closed the connection": 1}},
        {"on_time_percent": 99.8},
        {"rss_slope_mb_per_h_max": 1.0},
        {"fd_leak_max": 1},
        {"beats_missed_per_10000": 1.2},
    ],
)
def test_each_of_them_is_a_bound(bad):
    assert counting.unwanted(result()) == [] and len(counting.unwanted(result(**bad))) == 1

