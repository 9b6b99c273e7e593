"""From the recordings of a run to its figures. Reads a folder, so that a kept run can be judged again, whole or broken.

The folder holds plan.json, run.json (mouths, ears, what happened), source-PUBLISHER.s16, and EAR.s16 with EAR.points.
"""

import json
from pathlib import Path

import numpy as np

from . import breaks, compare, mark, source
from .clock import Timeline, percentile, read_points

RATE = source.RATE
LIVE_EARS = ("ogg", "mp4", "mse")
REPLAYS = ("replay_ogg", "replay_mp4")

DRIFT_END_S = 60
"""The way's length at the start and at the end is the median over this much of the plan."""


def read_sound(folder, name):
    """A recording at the rate of analysis."""
    pcm = np.fromfile(Path(folder) / f"{name}.s16", dtype="<i2")
    if not len(pcm):
        raise ValueError(f"{name}: nothing was heard")
    return source.for_analysis(pcm.astype(np.float32) / 32768)


def judge(folder, broken=None):
    """All figures of the run in `folder`; `broken`: one of `breaks.RECORDING`, or None."""
    folder = Path(folder)
    run = json.loads((folder / "run.json").read_text())
    plan = source.load_plan(folder / "plan.json")
    sources = {who: read_sound(folder, f"source-{who}") for who in plan.publishers}
    mouths = {who: _mouth(folder, plan, run, who) for who in plan.publishers}

    out = {"seconds": plan.seconds, "broken": broken or run.get("broken")}
    ears, gaps = {}, {}
    for name in LIVE_EARS + REPLAYS:
        sound = breaks.sound(broken, read_sound(folder, name))
        heard = compare.compare(plan, sources, sound)
        gaps[name] = heard.gaps
        ears[name] = {"stoi": {who: round(score, 4) for who, score in heard.stoi.items()}, "likeness": round(heard.likeness, 3)}
        if name in LIVE_EARS:
            ways = ways_of(plan, mouths, heard.marks, _ear_times(folder, run, name), broken)
            ears[name] |= describe(ways)
            if name in ("ogg", "mse"):
                out[f"mouth_to_ear_ms_p50_{name}"] = round(percentile([ms for _, ms in sum(ways.values(), [])], 50), 1)
            if name == "ogg":
                out["drift_ms"], ears["ogg"]["drift_ms"] = drift(plan, ways, run)
            if name in run["late_ms_max"]:
                ears[name]["late_ms_max"] = round(run["late_ms_max"][name], 1)
    for name, ear in (("ogg", "ogg"), ("mse", "mse"), ("replay", "replay_ogg")):
        out[f"stoi_{name}"] = round(float(np.mean(list(ears[ear]["stoi"].values()))), 4) if ears[ear]["stoi"] else 0.0
    out["gaps"] = sum(len(found) for found in gaps.values())
    out["gaps_by_ear"] = {name: len(found) for name, found in gaps.items()}
    out |= speaker_to_speaker(folder, plan, mouths, run, broken)
    out["ears"] = ears
    out["first_gaps"] = [
        {"ear": name, "at": round(gap.at, 2), "ms": round(1000 * gap.length), "what": gap.what, "number": gap.number}
        for name, found in gaps.items() for gap in found[:5]
    ]  # fmt: skip
    return out


def _mouth(folder, plan, run, who):
    """Number to the time at which that mark's sweep was handed to the publisher's encoder."""
    mouth = run["mouths"][who]
    if "t0" in mouth:
        rate = 1.0 + mouth["ppm"] * 1e-6
        return {n: mouth["t0"] + plan.place(n) / rate for n in plan.numbers(who)}
    # A microphone whose beginning nobody knows: its own recording tells.
    times = read_points(folder / f"{mouth['recording']}.points", RATE)
    return {one.number: float(times.when(one.at)) for one in mark.find(read_sound(folder, mouth["recording"])) if plan.speaker(one.number) == who}


def _ear_times(folder, run, name):
    if name in run["first_at"]:
        return Timeline([(0, run["first_at"][name])], RATE)
    return read_points(folder / f"{name}.points", RATE)


def ways_of(plan, mouths, marks, times, broken=None):
    """Publisher to its `(number, milliseconds from mouth to ear)`, in order."""
    ways = {who: [] for who in plan.publishers}
    numbers = sorted(marks)
    for number, when in zip(numbers, breaks.when(broken, times.when([marks[n] for n in numbers]))):
        who = plan.speaker(number)
        if who is not None and number in mouths[who]:
            ways[who].append((number, 1000.0 * (float(when) - mouths[who][number])))
    return ways


def describe(ways):
    """Per publisher: median, fifth and ninety-fifth percentile of the way in milliseconds."""
    return {
        "mouth_to_ear_ms": {
            who: {f"p{q}": round(percentile([ms for _, ms in way], q), 1) for q in (5, 50, 95)} for who, way in ways.items() if way
        }
    }


def drift(plan, ways, run):
    """How much longer or shorter the way became, in ms: the worst publisher whose clock is off, and all of them."""
    span = min(DRIFT_END_S, plan.seconds / 3)
    changes = {}
    for who, way in ways.items():
        first = [ms for n, ms in way if n < span]
        last = [ms for n, ms in way if n >= plan.seconds - span]
        if first and last:
            changes[who] = round(float(np.median(last) - np.median(first)), 2)
    off = [abs(change) for who, change in changes.items() if run["mouths"][who].get("ppm")]
    return (max(off) if off else None), changes


def speaker_to_speaker(folder, plan, mouths, run, broken=None):
    """From one aiortc client to another through the house, less the same two connected directly."""
    who = "aiortc"
    return_sound = read_sound(folder, "return")
    heard = mark.find(return_sound)
    times = read_points(folder / "return.points", RATE, smooth=1)
    ways = ways_of(plan, mouths, {one.number: one.at for one in reversed(heard)}, times, broken)
    through = [ms for _, ms in ways[who]]
    direct_marks = {one.number: one.at for one in reversed(mark.find(read_sound(folder, "direct")))}
    direct_times = read_points(folder / "direct.points", RATE, smooth=1).when([direct_marks[n] for n in sorted(direct_marks)])
    direct = [1000.0 * (float(at) - run["direct_t0"] - plan.place(n)) for n, at in zip(sorted(direct_marks), direct_times)]
    # A speaker must hear all others and never their own voice.
    own_sound = read_sound(folder, "own")
    if broken == "sidetone":
        own_sound = return_sound
    own = [one for one in mark.find(own_sound) if plan.speaker(one.number) == who]
    p95, p95_direct = percentile(through, 95), percentile(direct, 95)
    return {
        "speaker_to_speaker_ms_p95": round(p95 - percentile(direct, 50), 1),
        "speaker_to_speaker_raw_ms": {"p50": round(percentile(through, 50), 1), "p95": round(p95, 1), "marks": len(through)},
        "speaker_to_speaker_direct_ms": {"p50": round(percentile(direct, 50), 1), "p95": round(p95_direct, 1), "marks": len(direct)},
        "returns_ms_p50": {name: round(percentile([ms for _, ms in way], 50), 1) for name, way in ways.items() if way},
        "own_voice_marks": len(own),
    }
