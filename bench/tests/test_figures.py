"""A kept run gives the figures that it was made to have, and each goes bad when its mechanism is broken."""

import json

import numpy as np
import pytest

from hearing import figures, source
from hearing.clock import Timeline, read_points

WAY_S = {"ogg": 2.3, "mp4": 0.9, "mse": 0.7, "return": 0.25, "direct": 0.1}
T0 = 1_000.0


@pytest.fixture(scope="module")
def run(conversation, tmp_path_factory):
    """A run in which every way has a known length."""
    folder = tmp_path_factory.mktemp("run")
    source.save_plan(folder / "plan.json", conversation.plan)
    for who, part in conversation.parts.items():
        source.to_pcm(part).tofile(folder / f"source-{who}.s16")
    heard = source.to_pcm(conversation.heard48)
    for name in ("ogg", "mp4", "mse", "replay_ogg", "replay_mp4", "return"):
        heard.tofile(folder / f"{name}.s16")
    others = np.array(heard)
    others[20 * source.RATE :] = 0
    others.tofile(folder / "own.s16")
    heard[: 9 * source.RATE].tofile(folder / "direct.s16")
    source.to_pcm(conversation.parts["chromium"]).tofile(folder / "mouth.s16")
    for name, way in {**WAY_S, "mouth": 0.0}.items():
        lines = (f"{sample} {T0 + way + sample / source.RATE:.6f}" for sample in range(0, len(heard), 4800))
        (folder / f"{name}.points").write_text("\n".join(lines))
    exact = {"t0": T0, "ppm": 0.0}
    (folder / "run.json").write_text(json.dumps({
        "mouths": {"ffmpeg": exact, "aiortc": {"t0": T0, "ppm": 1e-9}, "chromium": {"recording": "mouth"}},
        "first_at": {name: T0 + WAY_S[name] for name in ("ogg", "mp4")}, "late_ms_max": {}, "direct_t0": T0,
    }))  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def whole(run):
    return figures.judge(run)


def test_a_whole_run_gives_what_it_was_made_of(whole):
    # The codec's own 6 to 12 ms are not compensated by Opus' players for low-delay filters: within 15 ms.
    assert abs(whole["mouth_to_ear_ms_p50_ogg"] - 2_300) < 15
    assert abs(whole["mouth_to_ear_ms_p50_mse"] - 700) < 15
    assert abs(whole["speaker_to_speaker_ms_p95"] - 150) < 5
    assert whole["gaps"] == 0 and whole["own_voice_marks"] == 0
    assert min(whole["stoi_ogg"], whole["stoi_mse"], whole["stoi_replay"]) > 0.97


def test_delay_is_seen(run, whole):
    late = figures.judge(run, "delay")
    for field in ("mouth_to_ear_ms_p50_ogg", "mouth_to_ear_ms_p50_mse", "speaker_to_speaker_ms_p95"):
        assert abs(late[field] - whole[field] - 300) < 1


def test_own_voice_is_seen(run):
    assert figures.judge(run, "sidetone")["own_voice_marks"] > 0


@pytest.mark.parametrize("broken", ["holes", "skip", "loop"])
def test_damage_is_counted_at_every_ear(run, broken):
    assert all(count > 0 for count in figures.judge(run, broken)["gaps_by_ear"].values())


def test_drift_is_the_change_of_the_way(conversation):
    plan = source.Plan.of(("a", "b"), 600)
    run = {"mouths": {"a": {"ppm": 200.0}, "b": {}}}
    mouths = {who: {n: plan.place(n) for n in plan.numbers(who)} for who in plan.publishers}
    marks = {n: plan.place(n) for who in plan.publishers for n in plan.numbers(who)}
    straight = Timeline([(0, 0.5)], 48_000)
    assert figures.drift(plan, figures.ways_of(plan, mouths, marks, straight), run)[0] == pytest.approx(0, abs=0.01)
    off = figures.drift(plan, figures.ways_of(plan, mouths, marks, straight, "drift"), run)[0]
    assert off > 100, "200 ppm over nine minutes are 108 ms"


def test_a_timeline_passes_over_a_reader_that_was_late_once(tmp_path):
    path = tmp_path / "points"
    path.write_text("\n".join(f"{n * 4800} {5 + n * 0.1 + (0.08 if n == 60 else 0.0)}" for n in range(120)))
    assert float(read_points(path, 48_000).when(6.0)) == pytest.approx(11.0, abs=1e-6)


def test_a_timeline_goes_on_beyond_its_points():
    line = Timeline([(0, 10.0), (48_000, 11.1)], 48_000)
    assert line.when(0.5) == pytest.approx(10.55) and line.when(2.0) == pytest.approx(12.1) and line.when(-1.0) == pytest.approx(9.0)
