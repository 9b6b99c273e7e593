"""The judge of `./x bench start`, on conversations made up here."""

import subprocess

import numpy as np
import pytest

from hearing import ffmpeg, fragments, source, start

RATE, CHUNK = start.RATE, 9_600
STARTS = 1_000_000.0
"""On the clock of the wall; that is when sample `FIRST` of the programme is over."""
FIRST = 5_000 * CHUNK


@pytest.fixture(scope="module")
def voice():
    return start.continuous([source.speech(file, ffmpeg.EXE) for file in source.demo_voices()], start.VOICE_S)


def came(moved=0.0, chunks=range(-60, 60)):
    """When each chunk came: 3 ms after its end at the soonest, mostly later. From the first with a voice on `moved` seconds later."""
    late = np.random.default_rng(1).exponential(0.02, 200)
    late[::7] = 0.0
    return [(STARTS + (n + 1) * CHUNK / RATE + 0.003 + late[n] + (moved if n >= 0 else 0.0), FIRST + n * CHUNK, CHUNK) for n in chunks]


def heard(voice, at_ms, chunks=range(-60, 60)):
    """What was in those chunks, with a voice from `at_ms` after the planned moment on."""
    sound = np.zeros(len(chunks) * CHUNK, dtype=np.float32)
    begin = -chunks[0] * CHUNK + round(at_ms * RATE / 1000)
    sound[begin:] = np.resize(voice, len(sound) - begin)
    return sound


def judged(voice, at_ms=12.0, moved=0.0, replay_at=0.1, lost=0.0):
    replay = np.concatenate([np.zeros(round(replay_at * RATE), dtype=np.float32), voice[round(lost * RATE) :]])
    return start.judged(came(moved), heard(voice, at_ms), STARTS, replay)


@pytest.mark.parametrize("at_ms", [-300.0, -8.0, 0.0, 12.0, 180.0, 330.0])
def test_the_error_is_from_the_planned_moment_to_the_first_sample_whatever_was_late(voice, at_ms):
    found = judged(voice, at_ms)
    # What is never earlier than 3 ms after its sound is not heard earlier.
    assert found["start_error_ms"] == pytest.approx(at_ms + 3.0, abs=1.0)
    assert found["gaps"] == 0 and found["schedule_moved_ms"] == pytest.approx(0.0, abs=0.1)


def test_who_was_late_for_the_first_chunk_alone_is_told_apart():
    pieces = came()
    late = start.envelope(pieces)
    pieces[60] = (pieces[60][0] + 1.0, *pieces[60][1:])
    assert start.envelope(pieces) == pytest.approx(late)


def test_who_is_served_last_makes_no_start_late(voice):
    last = [(at + 0.08, *rest) for at, *rest in came()]
    alone = start.judged(last, heard(voice, 12.0), STARTS, voice)
    beside = start.judged(last, heard(voice, 12.0), STARTS, voice, came())
    assert (alone["start_error_ms"], alone["served_ms"]) == (pytest.approx(95.0, abs=1.0), 0.0)
    assert (beside["start_error_ms"], beside["served_ms"]) == (pytest.approx(15.0, abs=1.0), pytest.approx(80.0, abs=0.1))


def test_a_schedule_that_moved_with_the_start_is_seen(voice):
    assert judged(voice, moved=0.04)["schedule_moved_ms"] == pytest.approx(40.0, abs=0.1)


def test_what_is_heard_before_is_not_silence(voice):
    assert judged(voice)["silent_before_dbfs"] <= -100
    assert judged(voice, -300.0)["silent_before_dbfs"] > -40
    quiet = heard(voice, 12.0)
    quiet[20 * CHUNK : 21 * CHUNK] += 0.0005
    assert -70 < start.judged(came(), quiet, STARTS, voice)["silent_before_dbfs"] < -60


def test_a_chunk_that_is_missing_is_a_gap(voice):
    pieces, sound = came(), heard(voice, 12.0)
    assert start.judged(pieces[:30] + pieces[31:], np.concatenate([sound[: 30 * CHUNK], sound[31 * CHUNK :]]), STARTS, voice)["gaps"] == 1


def test_a_start_that_never_came_has_no_error(voice):
    found = start.judged(came(), np.zeros(120 * CHUNK, dtype=np.float32), STARTS, voice)
    assert found["start_error_ms"] is None
    good = judged(voice) | {"states": ["open", "live"], "ears_cut": 0}
    found |= {"states": ["open", "open"], "ears_cut": 0}
    figures = start.figures([good, found], good)
    assert figures["start_error_ms"] is None and not figures["recorded_from_start"]


def test_a_replay_is_whole_if_it_begins_with_the_first_word(voice):
    whole, late, cut = judged(voice), judged(voice, replay_at=0.6), judged(voice, lost=0.2)
    assert (whole["replay_first_word_ms"], whole["replay_likeness"]) == (pytest.approx(100.0, abs=2.0), pytest.approx(1.0, abs=0.01))
    assert late["replay_first_word_ms"] > start.REPLAY_WORD_MS and late["replay_likeness"] > start.LIKENESS
    assert cut["replay_first_word_ms"] < start.REPLAY_WORD_MS and cut["replay_likeness"] < 0.5
    assert judged(voice, lost=start.VOICE_S - 0.01)["replay_likeness"] == 0.0


def test_the_voice_is_never_silent(voice):
    levels = np.sqrt(np.mean(voice.reshape(-1, RATE // 100) ** 2, axis=1))
    assert len(voice) == start.VOICE_S * RATE and levels.min() > 10 * start.AUDIBLE
    # Within two milliseconds of any moment it is heard.
    assert np.abs(voice).reshape(-1, RATE // 500).max(axis=1).min() > start.AUDIBLE


def test_starts_are_apart_and_each_in_another_part_of_a_beat():
    assert start.moments(100, 5) == pytest.approx([94.012, 97.016, 100.0, 103.004, 106.008])
    assert start.moments(100, 2) == pytest.approx([97.01, 100.0])
    assert start.rfc3339(1_764_277_200.016) == "2025-11-27T21:00:00.016+00:00"


def test_packets_come_out_of_the_file_as_they_went_in_and_at_their_place(tmp_path):
    raw = ["-f", "s16le", "-ar", "48000", "-ac", "1"]
    click = np.zeros(RATE, dtype="<i2")
    click[RATE // 2 :] = 8_000 * np.sin(np.arange(RATE // 2) * 0.05)
    packed = subprocess.run([ffmpeg.EXE, "-v", "error", *raw, "-i", "-", "-c:a", "libopus", "-f", "ogg", "-"], input=click.tobytes(), check=True, capture_output=True, timeout=60).stdout
    packets = fragments.ogg_packets(packed)
    file = tmp_path / "own.ogg"
    file.write_bytes(fragments.ogg([packets[n : n + 10] for n in range(0, len(packets), 10)]))
    assert fragments.ogg_packets(file.read_bytes()) == packets
    sound = start.decoded(file)
    assert len(sound) == 960 * len(packets), "nothing is skipped at the beginning"
    # The encoder's own 312 samples are in it.
    assert start.first_audible(sound) / RATE == pytest.approx(0.5 + 312 / RATE, abs=0.004)


def report(**other):
    second = {"left": 0, "listening": 10_000, "cadence_ms": 200}
    seconds = [second | {"at_s": n} for n in range(60)]
    for n, change in other.pop("seconds", {}).items():
        seconds[n] |= change
    return {"plan": {"started_unix_s": STARTS - 40}, "seconds": seconds, "faults": {}} | other


def said(**other):
    good = {
        "first_words": 10_000, "first_words_early": 0, "first_word_ms_p50": 230.0, "first_word_ms_p99": 260.0, "first_word_ms_max": 270.0, "on_time_percent": 100.0,
        "server_cores_max": 0.5, "generator_busy_percent_max": 40.0, "generator_trusted": True,
    }  # fmt: skip
    return good | other


def test_who_is_cut_off_or_missing_was_dropped():
    dropped = lambda **other: start.waited(report(**other), said(), 10_000, STARTS)["dropped"]
    assert dropped() == 0
    assert dropped(faults={"the server closed the connection": 7}, seconds={30: {"left": 7}}) == 7
    assert dropped(faults={"sound was left out or repeated": 3}) == 3
    assert dropped(seconds={45: {"listening": 9_990}}) == 10
    assert dropped(seconds={59: {"listening": 9_990}}) == 0, "long after"


def test_who_never_had_the_first_word_counts_among_all():
    waited = start.waited(report(), said(first_words=9_950), 10_000, STARTS)
    assert (waited["first_word_missing"], waited["first_word_ms_p99"]) == (50, 260.0)
    assert start.waited(report(), said(first_words=9_000), 10_000, STARTS)["first_word_ms_p99"] is None


def result(voice, **other):
    good = judged(voice) | {"states": ["open", "live"], "ears_cut": 0}
    whole = {"listeners": 10_000, **start.figures([good, good], good), **start.waited(report(), said(), 10_000, STARTS)}
    return whole | {"schedule_moved_ms": 0.1, "clock_moved_ms": 0.0, "packets_dropped": 0} | other


@pytest.mark.parametrize(
    "bad",
    [
        {"start_error_ms": 50.1},
        {"start_error_ms": None},
        {"first_word_ms_p99": 2_001.0},
        {"first_word_ms_p99": None},
        {"first_word_missing": 1},
        {"first_word_early": 1},
        {"dropped": 1},
        {"silent_before_dbfs": -60.0},
        {"recorded_from_start": False},
        {"waiting": 9_999},
        {"seconds_after": 5},
        {"states": ["open-live", "scheduled-live"]},
        {"ear_gaps": 1},
        {"ears_cut": 1},
        {"schedule_moved_ms": 20.0},
        {"clock_moved_ms": 5.0},
        {"generator_trusted": False},
        {"packets_dropped": 2},
    ],
)
def test_each_of_the_bounds_is_one(voice, bad):
    assert start.unwanted(result(voice)) == []
    assert len(start.unwanted(result(voice, **bad))) == 1


MOMENTS = [{"at_s": "0", "arrived": "40000", "unanswered": "0", "requests": "40000"}, {"at_s": "1", "arrived": "20000", "unanswered": "3", "requests": "20003"}]


def test_who_comes_to_the_door_in_the_last_minute_is_counted():
    found = start.at_door(MOMENTS, {"untrue": 2, "let_in": 24}, 60_000)
    assert (found["arrived_at_door"], found["unanswered_at_door"], found["untrue_at_door"]) == (60_000, 3, 2)
    assert found["door_requests_per_s_max"] == 40_000


@pytest.mark.parametrize("bad", [{"arrived_at_door": 59_999}, {"unanswered_at_door": 61}, {"untrue_at_door": 1}, {"dropped": 1}])
def test_at_a_door_everybody_comes_and_has_a_true_answer(voice, bad):
    good = result(voice, **start.at_door(MOMENTS, {"untrue": 0, "let_in": 24}, 60_000))
    assert start.unwanted(good) == []
    assert len(start.unwanted(good | bad)) == 1
