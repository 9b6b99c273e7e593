"""Rungs are judged as they were, ratios are of what held, and the plot is a drawing."""

from xml.etree import ElementTree

import pytest

from hearing import fanout


def row(server="hiwar", listeners=8_000, **other):
    """One that holds, but for what is said."""
    good = {
        "server": server, "listeners": listeners, "listening": listeners, "on_time_percent": 100.0, "chunks_percent": 99.8, "faults": {}, "broke": [],
        "core_percent": listeners / 250, "worker_percent": listeners / 300, "bytes_per_listener": 150.0, "lateness_ms_p50": 40.0, "lateness_ms_p99": 160.0,
        "lateness_ms_max": 210.0, "join_ms_p50": 2.0, "join_ms_p99": 30.0, "generator_trusted": True, "stolen_percent": 0.0, "core_busy_percent": listeners / 250 + 1,
    }  # fmt: skip
    return good | other


def second(at_s, listening=100, chunks=500, late=0):
    return {"at_s": at_s, "listening": listening, "chunks": chunks, "chunks_late": late}


def test_only_seconds_in_which_everyone_was_there_are_judged():
    came, went = [second(0, 40, 100, 90), second(1, chunks=450, late=9)], [second(8, chunks=420, late=7), second(9, 60, 200, 200)]
    whole = [second(n) for n in range(2, 8)]
    found = fanout.judged({"seconds": [*came, *whole, *went]})
    assert found == {"listening": 100, "on_time_percent": 100.0, "chunks_percent": 100.0, "judged_s": 6}
    whole[3] = second(5, late=30)
    assert fanout.judged({"seconds": [*came, *whole, *went]})["on_time_percent"] == pytest.approx(99.0)


def test_who_is_lost_and_what_never_came_is_seen():
    seconds = [second(n) for n in range(9)]
    seconds[4] = second(4, listening=99, chunks=400)
    found = fanout.judged({"seconds": seconds})
    assert found["listening"] == 99 and found["judged_s"] == 7 and found["chunks_percent"] < fanout.CHUNKS_PERCENT
    assert fanout.judged({"seconds": []})["listening"] == 0


@pytest.mark.parametrize(
    "bad",
    [
        {"on_time_percent": 99.89},
        {"faults": {"a chunk out of order": 1}},
        {"listening": 7_999},
        {"chunks_percent": 90.0},
        {"broke": ["the server ended"]},
    ],
)
def test_a_rung_is_held_whole_or_not_at_all(bad):
    assert fanout.holds(row()) and not fanout.holds(row(**bad))
    assert fanout.holds(row(faults={"a chunk out of order": 0}))


def test_one_bad_row_of_three_is_told_and_does_not_decide():
    rows = [row(), row(on_time_percent=99.0), row(), row("floor")]
    result = fanout.figures(rows)
    assert result["hiwar_listeners_max_200ms"] == 8_000
    assert result["unwanted"] == ["hiwar with 8000: 99.000 % on time, once"]
    assert fanout.figures([*rows, row(on_time_percent=99.0)])["hiwar_listeners_max_200ms"] == 0


def test_ratios_are_of_what_held_and_cpu_is_compared_at_one_number():
    rows = [row(server, n) for n in (8_000, 14_000, 18_000, 20_000) for server in ("hiwar", "floor")]
    for one in rows:
        if one["server"] == "floor":
            one |= {"core_percent": 0.8 * one["core_percent"], "core_busy_percent": 0.8 * one["core_percent"]}
        if one["listeners"] == 20_000 or (one["server"], one["listeners"]) == ("hiwar", 18_000):
            one["on_time_percent"] = 80.0
    result = fanout.figures(rows)
    assert (result["hiwar_listeners_max_200ms"], result["floor_listeners_max_200ms"]) == (14_000, 18_000)
    assert result["vs_floor_200ms"] == pytest.approx(14 / 18, abs=1e-3)
    assert (result["compared_at"], result["hiwar_core_percent"], result["vs_floor_cpu"]) == (14_000, 56.0, 0.8)
    assert result["unwanted"] == [], "beyond what it holds a server may fail"


def test_a_rung_above_one_that_fails_does_not_count():
    rows = [row(listeners=8_000), row(listeners=11_000, on_time_percent=50.0), row(listeners=14_000), row("floor", 8_000)]
    assert fanout.figures(rows)["hiwar_listeners_max_200ms"] == 8_000


def test_a_server_that_holds_nothing_is_told():
    result = fanout.figures([row(on_time_percent=90.0), row("floor")])
    assert result["vs_floor_200ms"] == 0.0 and result["unwanted"] == ["hiwar holds nothing"]
    assert fanout.figures([row(), row("floor", on_time_percent=0.0)])["vs_floor_200ms"] is None


def test_a_machine_or_a_generator_that_cannot_be_believed_is_told():
    result = fanout.figures([row(generator_trusted=False), row("floor", stolen_percent=7.0), row("floor", core_busy_percent=99.0)])
    assert len(result["unwanted"]) == 3


@pytest.mark.parametrize("least", [100.0, 99.5, 42.0])
def test_the_plot_is_a_drawing_of_every_rung(least):
    rows = [row(server, n) for n in (8_000, 16_000) for server in ("hiwar", "floor", "a <new> one")]
    rows[0]["on_time_percent"] = least
    root = ElementTree.fromstring(fanout.svg(rows))
    places = [float(one.get(name)) for one in root.iter() for name in ("cx", "cy", "x", "y") if one.get(name)]
    width, height = (float(part) for part in root.get("viewBox").split()[2:])
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 6
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 3 + 12
    assert min(places) >= 0 and max(places) <= max(width, height)
