"""The pure parts of `./x bench stage`: when a command was heard, what holds, and what is wanted."""

import math

import numpy as np
import pytest

from hearing import stage


def heard(loud, seconds=10.0, levels=(0.0, 0.1)):
    """What an ear wrote down: a packet every 20 ms, loud where `loud(its time)` says so."""
    times = np.arange(0.0, seconds, 0.02)
    pcm = np.concatenate([np.full(960, levels[bool(loud(at))] * 32768) for at in times]).astype("<i2")
    return stage.frames(pcm, np.stack([np.arange(len(times)) * 960.0, times], axis=1))


def test_a_packet_is_as_loud_as_it_is_and_a_missing_one_says_nothing_of_the_one_before():
    pcm = np.concatenate([np.full(960, 3277), np.zeros(960), np.full(960, 6554)]).astype("<i2")
    times, levels = stage.frames(pcm, np.array([[0.0, 1.0], [1920.0, 1.04]]))
    assert list(times) == [1.0, 1.04]
    assert levels == pytest.approx([0.1, 0.2], abs=1e-3)


def test_a_command_is_heard_with_the_first_packet_that_is_as_it_is_to_be():
    done = [("seat", 1.0), ("mute", 3.0), ("unmute", 4.01), ("hang_up", 6.0), ("arrive", 7.0)]
    times, levels = heard(lambda at: 1.135 <= at < 3.05 or 4.075 <= at < 6.03 or 7.205 <= at)
    assert stage.effects(done, times, levels) == pytest.approx([140, 60, 70, 40, 220])


@pytest.mark.parametrize(
    "loud",
    [
        lambda at: 1.1 <= at,  # They are never silent.
        lambda at: False,  # They never come.
    ],
)
def test_what_has_no_effect_has_no_time(loud):
    found = stage.effects([("seat", 1.0), ("mute", 3.0)], *heard(loud))
    assert found[1] is None
    assert stage.commanded([("seat", 1.0), ("mute", 3.0)], found)["commands_without_effect"] == found.count(None)


def test_what_was_so_before_is_no_effect():
    assert stage.effects([("hang_up", 3.0)], *heard(lambda at: at < 2.95)) == [None]


def test_an_effect_is_not_taken_for_that_of_the_command_before():
    done = [("mute", 3.0), ("hang_up", 3.5)]
    assert stage.effects(done, *heard(lambda at: at < 3.6)) == pytest.approx([None, 100])


def test_the_worst_kind_of_command_counts_and_opening_ones_own_microphone_or_coming_from_afar_does_not():
    done = [("seat", 0), ("mute", 1), ("unmute", 2), ("seat", 3), ("arrive", 4)]
    told = stage.commanded(done, [90.0, 30.0, 400.0, 110.0, 300.0])
    assert (told["command_ms_p95"], told["mute_ms_p50"], told["unmute_ms_p95"]) == (told["seat_ms_p95"], 30.0, 400.0)
    assert told["arrive_ms_p50"] == 300.0
    assert told["seat_ms_p95"] == pytest.approx(109)
    assert math.isnan(stage.commanded([("seat", 0), ("mute", 1)], [90.0, None])["command_ms_p95"])


def window(**other):
    good = {"beats": 10_000, "missed": 1, "speakers_gone": 0, "unposted": 0, "cast_late_ms_max": 3.0, "cast_percent": 60.0, "spaces": 50}
    return good | other


def test_a_core_carries_what_it_is_in_time_for_and_what_the_speakers_can_say():
    assert stage.holds(window())
    for bad in ({"missed": 2}, {"speakers_gone": 1}, {"unposted": 1}, {"cast_late_ms_max": 21.0}, {"cast_percent": 96.0}):
        assert not stage.holds(window(**bad)), bad
    assert stage.is_cast_the_bound(window(cast_percent=96.0)) and not stage.is_cast_the_bound(window(missed=2))


def test_what_other_than_fifty_conversations_take_is_taken_to_go_with_their_number():
    one = {
        "spaces": 25, "codec_percent": 20.0, "house_percent": 30.0, "server_percent": 32.0, "cores_busy_percent": [40.0, 50.0], "threads_percent": {}, "beats": 500.0,
        "seconds": 10.0, "encodes": 37_500, "decodes": 25_000, "samples": 3_000, "unnamed_percent": 0.0,
    }  # fmt: skip
    told = stage.spent([one, one | {"codec_percent": 90.0}, one])
    assert (told["codec_percent"], told["around_codec_percent"], told["figures_at_spaces"]) == (40.0, 20.0, 25)
    assert told["encodes_per_beat"] == 75.0
    # 2 s of codec in 10 s, for 62,500 calls.
    assert told["codec_us_per_call"] == 32.0


def result(**other):
    good = {
        "spaces_per_core": 50, "bound_by": "server", "beat_misses_per_10000": 1.0, "around_codec_percent": 25.0, "command_ms_p95": 100.0, "commands_without_effect": 0,
        "commands_missing": [], "speakers_gone": 0, "unposted": 0,
    }  # fmt: skip
    return good | other


@pytest.mark.parametrize(
    "bad",
    [
        {"spaces_per_core": 49},
        {"beat_misses_per_10000": 1.01},
        {"around_codec_percent": 25.1},
        {"command_ms_p95": 100.1},
        {"command_ms_p95": float("nan")},
        {"commands_without_effect": 1},
        {"commands_missing": ["mute"]},
        {"speakers_gone": 1},
        {"unposted": 1},
    ],
)
def test_each_of_the_bounds_is_one(bad):
    assert stage.unwanted(result()) == []
    assert len(stage.unwanted(result(**bad))) == 1


def test_of_a_part_only_what_it_measured_is_wanted():
    assert stage.unwanted({"command_ms_p95": 80.0, "commands_without_effect": 0, "commands_missing": []}) == []
