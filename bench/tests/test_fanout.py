"""Rungs are judged as they were, ratios are of what held, and the plot is a drawing."""

import random
from xml.etree import ElementTree

import pytest

from hearing import fanout
from hearing.climb import LADDERS


def row(server="hiwar", listeners=8_000, **other):
    """One that holds, but for what is said."""
    good = {
        "server": server, "mode": "200ms", "listeners": listeners, "listening": listeners, "on_time_percent": 100.0, "chunks_percent": 99.8, "faults": {}, "broke": [],
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
    late = fanout.judged({"seconds": [second(0, 98, 480, 9), second(1, 99, 490, 9), *came[1:], *whole, *went]})
    assert late == found, "who comes last is not missed before"
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
        {"lateness_ms_p99": 501.0},
        {"faults": {"a chunk out of order": 1}},
        {"listening": 7_999},
        {"chunks_percent": 90.0},
        {"broke": ["the server ended"]},
    ],
)
def test_a_rung_is_held_whole_or_not_at_all(bad):
    assert fanout.holds(row()) and not fanout.holds(row(**bad))
    assert fanout.holds(row(faults={"a chunk out of order": 0}))
    assert fanout.holds(row("icecast", lateness_ms_p99=501.0)), "only Hiwar and the floor are asked for it"
    assert fanout.holds(row(mode="2s", chunks_percent=95.0)) and not fanout.holds(row(mode="2s", chunks_percent=93.0))


def test_one_bad_row_of_three_is_told_and_does_not_decide():
    rows = [row(), row(on_time_percent=99.0), row(), row("floor")]
    result = fanout.figures(rows)
    assert result["hiwar_listeners_max_200ms"] == 8_000
    assert result["unwanted"] == ["hiwar 200ms with 8000: 99.000 % on time, once"]
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
    assert (result["compared_at_200ms"], result["hiwar_core_percent_200ms"], result["vs_floor_cpu_200ms"]) == (14_000, 56.0, 0.8)
    assert result["unwanted"] == ["vs_floor_200ms is 0.778, wanted at least 0.9"], "beyond what it holds a server may fail"


def test_a_rung_above_one_that_fails_does_not_count():
    rows = [row(listeners=8_000), row(listeners=11_000, on_time_percent=50.0), row(listeners=14_000), row("floor", 8_000)]
    assert fanout.figures(rows)["hiwar_listeners_max_200ms"] == 8_000


def test_a_server_that_holds_nothing_is_told():
    result = fanout.figures([row(on_time_percent=90.0), row("floor")])
    assert result["vs_floor_200ms"] == 0.0 and result["unwanted"] == [
        "hiwar 200ms holds nothing", "vs_floor_200ms is 0.0, wanted at least 0.9", "on_time_percent is 90.0, wanted at least 99.9",
    ]  # fmt: skip
    result = fanout.figures([row(), row("floor", on_time_percent=0.0)])
    assert result["vs_floor_200ms"] is None and result["unwanted"] == ["floor 200ms holds nothing", "there is no vs_floor_200ms"]


@pytest.mark.parametrize("name", ["lateness_ms_p99", "bytes_per_listener"])
def test_a_figure_that_is_not_there_has_not_come_to_its_bound(name):
    rows = [row(server, mode=mode) for mode in ("200ms", "2s") for server in ("hiwar", "floor")]
    assert fanout.figures(rows)["unwanted"] == []
    rows[2][name] = None
    assert fanout.figures(rows)["unwanted"] == [f"there is no {name} of 2s"]
    # Where there is no floor, Hiwar's are only looked at.
    assert fanout.figures([*rows[:3]])["unwanted"] == []


def test_sound_that_was_late_where_it_is_compared_is_told():
    late = [row(on_time_percent=99.8), row("floor")]
    assert "on_time_percent is 99.8, wanted at least 99.9" in fanout.figures(late)["unwanted"]


def test_a_machine_or_a_generator_that_cannot_be_believed_is_told():
    result = fanout.figures([row(generator_trusted=False), row("floor", stolen_percent=7.0), row("floor", core_busy_percent=99.0)])
    assert len(result["unwanted"]) == 3


@pytest.mark.parametrize("least", [100.0, 99.5, 42.0])
def test_the_plot_is_a_drawing_of_every_rung(least):
    rows = [row(server, n, mode=mode) for mode in fanout.MODES for n in (8_000, 16_000) for server in ("hiwar", "floor", "a <new> one")]
    rows[0]["on_time_percent"] = least
    root = ElementTree.fromstring(fanout.svg(rows))
    places = [float(one.get(name)) for one in root.iter() for name in ("cx", "cy", "x", "y") if one.get(name)]
    width, height = (float(part) for part in root.get("viewBox").split()[2:])
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 3 * 6
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 3 + 3 * 12
    assert min(places) >= 0 and max(places) <= max(width, height)


def test_each_mode_has_its_own_figures_and_the_worst_of_them_is_told():
    rows = [row(server, n, mode=mode, lateness_ms_p99=late, bytes_per_listener=size) for server in ("hiwar", "floor") for mode, n, late, size in
            (("200ms", 19_000, 160.0, 150.0), ("2s", 190_000, 480.0, 210.0), ("2s_tls", 120_000, 300.0, 8_100.0))]  # fmt: skip
    rows += [row("icecast", 16_000), row("nginx_hls", 52_000, mode="2s")]
    result = fanout.figures(rows)
    assert (result["hiwar_listeners_max_2s"], result["hiwar_listeners_max_2s_tls"], result["vs_floor_2s_tls"]) == (190_000, 120_000, 1.0)
    assert (result["icecast_listeners_max"], result["nginx_hls_listeners_max"]) == (16_000, 52_000)
    assert (result["lateness_ms_p99"], result["bytes_per_listener"], result["bytes_per_listener_tls"]) == (480.0, 210, 8_100)
    assert result["unwanted"] == []
    rows[0]["bytes_per_listener"] = 1_400.0
    assert fanout.figures(rows)["unwanted"] == ["bytes_per_listener is 1400, wanted at most 1000"]


def climbed(climb, holds):
    """Everything that was tried."""
    tried = []
    while (n := climb.next()) is not None:
        tried.append((n, climb.turn()))
        climb.told(holds(*tried[-1]))
        assert len(tried) < 50
    return tried


def test_a_climb_is_coarse_then_halves_and_asks_once_more():
    climb = fanout.Climb((100, 200, 300), 10, 500)
    tried = climbed(climb, lambda n, turn: n <= 263)
    assert [n for n, _ in tried] == [100, 200, 300, 250, 270, 260, 260] and tried[-1] == (260, 1) and climb.held[-1] == 260


def test_a_climb_ends_at_its_top_and_at_nothing():
    assert climbed(fanout.Climb((100, 200), 10, 350), lambda n, turn: True) == [(100, 0), (200, 0), (300, 0), (350, 0), (350, 1)]
    assert climbed(fanout.Climb((100, 200), 10, 350), lambda n, turn: False)[-1][0] <= 10


def test_what_held_once_of_three_did_not_hold():
    climb = fanout.Climb((100, 200), 50, 200)
    # It goes on below it, and what it ends with was held twice.
    assert climbed(climb, lambda n, turn: n == 100 or turn == 0) == [(100, 0), (200, 0), (200, 1), (200, 2), (150, 0), (150, 1), (150, 2), (100, 1)]
    assert climb.held[-1] == 100
    climb = fanout.Climb((100, 200), 25, 200)
    assert climbed(climb, lambda n, turn: n <= 150 or turn == 0)[-5:] == [(150, 0), (175, 0), (175, 1), (175, 2), (150, 1)] and climb.held[-1] == 150
    climb = fanout.Climb((100, 200), 50, 200)
    climbed(climb, lambda n, turn: turn != 1)
    assert climb.held[-1] == 200


@pytest.mark.parametrize("ladder", LADDERS.values(), ids=LADDERS)
def test_an_unsteady_server_ends_a_climb_too(ladder):
    holds_at_first = climbed(fanout.Climb(*ladder), lambda n, turn: turn == 0)
    assert len(holds_at_first) <= 20
    for seed in range(200):
        drawn = random.Random(seed)
        assert len(climbed(fanout.Climb(*ladder), lambda n, turn: drawn.random() < 0.5)) <= 24


def changed(**other):
    seconds = [{"listening": n, "left": 0} for n in (50, 100, 100, 100)] + [{"listening": 0, "left": 100}]
    report = {"seconds": other.pop("seconds", seconds), "faults": other.pop("faults", {})}
    cores = {"200ms": 80.0, "2s": 12.0, "back": 79.0} | other.pop("cores", {})
    return fanout.change_unwanted(fanout.change(report, {"stall_ms_p99": 0.0} | other, cores, 100, False))


def test_a_change_that_nobody_noticed_is_as_it_should_be():
    assert changed() == [] and fanout.change_unwanted({}) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"stall_ms_p99": 400.0},
        {"stall_ms_p99": None},
        {"faults": {"sound was left out or repeated": 3}},
        {"cores": {"2s": 78.0}},
        {"seconds": [{"listening": 100, "left": 0}, {"listening": 99, "left": 1}, {"listening": 0, "left": 99}]},
        {"seconds": [{"listening": 60, "left": 0}, {"listening": 60, "left": 0}]},
    ],
)
def test_a_change_that_somebody_noticed_is_told(bad):
    assert changed(**bad)


def test_a_server_that_writes_to_all_at_once_is_judged_over_whole_cadences():
    seconds = [second(n, chunks=1_000 * (n % 2)) for n in range(10)]
    found = fanout.judged({"seconds": seconds}, 5.0, 2_000)
    assert found["judged_s"] == 6 and found["chunks_percent"] == pytest.approx(100.0)
