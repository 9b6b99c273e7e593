"""The judge of `./x bench isolation`, on what is made up here."""

import pytest

from hearing import isolation, source

PLAN = source.Plan.of(isolation.SPEAKERS, 40)
BEGAN = [100.0, 100.005, 100.010, 100.015]
WINDOW = {"from": 104.0, "to": 130.0, "from_unix": 1_004.0, "to_unix": 1_030.0}


def came(ms=110.0, without=()):
    said = {n: BEGAN[PLAN.publishers.index(PLAN.speaker(n))] + PLAN.place(n) for n in range(40) if PLAN.speaker(n)}
    return {n: at + ms / 1000 for n, at in said.items() if n not in without}


def test_a_speaker_hears_the_others_and_not_what_was_said_before_or_after():
    ways, expected = isolation.ways_to(PLAN, 0, BEGAN, came(), WINDOW)
    # The second and the third have their turns within, nine seconds each.
    assert expected == len(ways) == 18 and all(way == pytest.approx(110.0) for way in ways)
    ways, expected = isolation.ways_to(PLAN, 3, BEGAN, came(), WINDOW)
    assert expected == 18 + 5, "and of the first what is left of its turn"


def test_a_mark_that_did_not_come_is_missed():
    ways, expected = isolation.ways_to(PLAN, 0, BEGAN, came(without=(12, 13)), WINDOW)
    assert (len(ways), expected) == (16, 18)


def report(late=0, chunks=5_000, listening=1_000):
    return {"plan": {"started_unix_s": 1_000}, "faults": {}, "seconds": [{"at_s": n, "listening": listening, "chunks": chunks, "chunks_late": late} for n in range(40)]}


def test_what_was_late_or_never_came_to_those_who_listened_before_is_not_on_time():
    assert isolation.existing_heard(report(), WINDOW, 1_000)["existing_on_time_percent"] == 100.0
    assert isolation.existing_heard(report(late=100), WINDOW, 1_000)["existing_on_time_percent"] == 98.0
    assert isolation.existing_heard(report(chunks=4_000), WINDOW, 1_000)["existing_on_time_percent"] == 80.0
    assert isolation.existing_heard(report(listening=990), WINDOW, 1_000)["existing_listeners"] == 990


def result(**other):
    good = {
        "beat_miss_percent": 0.05, "recording_gaps": 0, "speaker_to_speaker_ms_p95": 140.0, "existing_on_time_percent": 99.9, "existing_listeners": 1_000, "existing_asked": 1_000,
        "existing_faults": {}, "marks_missing": 0, "speakers_gone": 0, "packets_dropped": 0, "machine_busy_percent": 100.0, "existing_generator_trusted": True,
    }  # fmt: skip
    return good | other


@pytest.mark.parametrize(
    "bad",
    [
        {"beat_miss_percent": 0.11},
        {"recording_gaps": 1},
        {"speaker_to_speaker_ms_p95": 301.0},
        {"speaker_to_speaker_ms_p95": float("nan")},
        {"existing_on_time_percent": 98.9},
        {"existing_listeners": 999},
        {"existing_generator_trusted": False},
        {"existing_faults": {"broken: reset": 1}},
        {"marks_missing": 2},
        {"speakers_gone": 1},
        {"packets_dropped": 3},
        {"machine_busy_percent": 80.0},
    ],
)
def test_each_of_the_bounds_is_one(bad):
    assert isolation.unwanted(result()) == []
    assert len(isolation.unwanted(result(**bad))) == 1
