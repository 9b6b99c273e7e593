"""`./x bench withdraw`: somebody withdraws from a recording, and is not in it any more.

    bench/withdraw [--keep DIR] [--from DIR] [--break keep]

Three voices speak in turn and over each other for 40 s, over WebRTC, and a fourth says nothing. The conversation ends, and one of the three withdraws
(`hiwar admin withdraw`). Then the replay is heard, and every byte that is left of the conversation is searched for their name. `--keep` keeps all samples in DIR;
`--from` judges a kept run again. `--break keep`: the fourth withdraws instead, so that everything is mixed again with the voice still in it. docs/measured/withdraw.md
tells what each figure means. The last line is one JSON object. The server is HIWAR_BIN.
"""

import argparse
import json
import subprocess
import time
import urllib.request
from pathlib import Path

import numpy as np
from pystoi import stoi
from scipy.signal import fftconvolve

from . import compare, ffmpeg, figures, mark, processes, rehearsal, source
from .clock import now
from .house import House
from .machine import Meter
from .path import _bar, _binary, _say, _until

RATE = mark.RATE

NAMES = {"layla": "ليلى الحسيني", "noor": "Noor of the \"Lighthouse\"", "salim": "سالم الوادي", "silent": "Quiet Witness"}
"""Who is there, and what they are called: names that are nowhere else. One has what JSON has to escape."""

VOICES = ("layla", "noor", "salim")
GONE = "salim"

PLAN = (
    (0.5, 5.5, {"layla"}),
    (6.0, 11.0, {"salim"}),
    (11.5, 16.5, {"noor"}),
    (17.0, 21.0, {"layla", "salim"}),
    (21.5, 25.5, {"salim"}),
    (26.0, 30.0, {"noor", "salim"}),
    (30.5, 34.5, {"layla", "noor"}),
    (35.0, 39.5, {"layla", "noor", "salim"}),
)
"""From when to when who speaks, in seconds."""

SECONDS = 40
TAIL_S = 2.0

_FLOOR = 10 ** (-60 / 10)
"""Power below which nothing is a voice: -60 dBFS. Beside less than that a likeness means nothing."""

_REACH = RATE // 10
"""A voice is looked for up to 100 ms beside its place."""

STOI_MIN = 0.9
CORRELATION_MAX = 0.1
THERE = 0.25
"""How like the withdrawn voice the old replay must be, for the measure to be worth something: it speaks for half of it, and beside others."""


def main():
    options = _options()
    with rehearsal.folder("withdraw", options.kept or options.keep) as folder:
        if not options.kept:
            _run(folder, options.broken)
        _say("comparing what was said with what is left")
        print(json.dumps(judge(folder), ensure_ascii=False), flush=True)


def _options():
    parser = argparse.ArgumentParser(prog="bench/withdraw", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--from", dest="kept", metavar="DIR")
    parser.add_argument("--break", dest="broken", choices=["keep"])
    return parser.parse_args()


def _run(folder, broken):
    for who, file in zip(VOICES, source.demo_voices()):
        source.to_pcm(spoken(who, source.speech(file, ffmpeg.EXE))).tofile(folder / f"source-{who}.s16")
    voices = rehearsal.voices()
    began = now()
    house = House(_binary(), folder)
    created = house.create("Withdrawal", tracks="on")
    space, host = created["space"]["id"], created["host_pass"]
    house.start(space, host)
    seats = {who: house.seat(space, host, name) for who, name in NAMES.items()}
    meter, watched = Meter(house.pid), now()
    _say("three people speak, and one is there")
    command = [voices, "speak", "--whip", house.whip(space), "--pass", *(seat["pass"] for seat in seats.values())]
    command += ["--sound", *(folder / f"source-{who}.s16" for who in VOICES), "--seconds", SECONDS]
    stage = processes.start(command, ahead=True, stdout=subprocess.PIPE)
    until = now() + SECONDS + TAIL_S
    while stage.poll() is None:
        _bar(min(0.99, 1 - (until - now()) / (SECONDS + TAIL_S)), max(0.0, until - now()))
        time.sleep(0.25)
        if now() > until + 60:
            raise TimeoutError("the speakers do not end")
    said = json.loads(stage.stdout.read().splitlines()[-1])
    if stage.returncode != 0:
        raise processes.Died("the speakers failed")
    machine = meter.read(now() - watched)
    house.end(space, host)
    _until(lambda: house.space(space)["state"] == "posted", 30, "no replay")

    home = house.data / "spaces" / space
    words = {who: trace_words(NAMES[who], seat["participant"]) for who, seat in seats.items()}
    tracks = sum(file.stat().st_size for file in (home / "tracks").iterdir())
    _replay(house, space, folder, "before")
    traces_before = {who: traces(house, space, home, words[who]) for who in NAMES}
    who = "silent" if broken else GONE
    _say(f"{who} withdraws")
    asked = now()
    done = subprocess.run([_binary(), "admin", "withdraw", space, NAMES[who], "--data", house.data], capture_output=True, text=True, timeout=120, check=False)
    took = now() - asked
    _replay(house, space, folder, "after")
    exported = folder / "exported.ogg"
    subprocess.run([_binary(), "log", "export", home, "-o", exported, "--force"], capture_output=True, timeout=60, check=True)
    run = {
        "broken": broken,
        "withdrew": {"exit_code": done.returncode, "said": done.stdout.strip(), "why": done.stderr.strip()},
        "withdraw_s": round(took, 2),
        "traces_before": traces_before,
        "traces": {who: traces(house, space, home, words[who]) for who in NAMES},
        "export_is_replay": exported.read_bytes() == (folder / "after.ogg").read_bytes(),
        "track_bytes_per_s": round(tracks / (SECONDS * len(NAMES))),
        "speaker_late_ms_max": round(said["late_us_max"] / 1000, 1),
        "machine": machine,
        "took_s": 0,
        "server_exit_code": house.stop(),
    }
    run["took_s"] = round(now() - began)
    (folder / "run.json").write_text(json.dumps(run, indent=1, ensure_ascii=False))


def spoken(who, voice, rate=source.RATE):
    """The whole part of one of them: silent where it is not their turn. `voice` is repeated as needed."""
    sound, used = np.zeros(SECONDS * rate, dtype=np.float32), 0
    ramp = np.linspace(0.0, 1.0, rate // 50, dtype=np.float32)
    for begin, end, speakers in PLAN:
        if who in speakers:
            first, last = round(begin * rate), round(end * rate)
            words = np.take(voice, np.arange(used, used + last - first), mode="wrap")
            used += last - first
            words[: len(ramp)] *= ramp
            words[-len(ramp) :] *= ramp[::-1]
            sound[first:last] = words
    return sound


def _replay(house, space, folder, name):
    """The replay as anybody gets it, and its samples."""
    with urllib.request.urlopen(f"{house.public}/replay/{space}.ogg", timeout=10) as answer:
        (folder / f"{name}.ogg").write_bytes(answer.read())
    subprocess.run(
        [ffmpeg.EXE, "-v", "error", "-y", "-i", folder / f"{name}.ogg", "-f", "s16le", "-ac", "1", "-ar", str(source.RATE), folder / f"{name}.s16"],
        check=True, timeout=60,
    )  # fmt: skip


def trace_words(name, participant):
    """What would say who it was: the name as it is, as JSON escapes it in either way, and the id."""
    escaped = {json.dumps(name)[1:-1], json.dumps(name, ensure_ascii=False)[1:-1]}
    return sorted({name, participant} | escaped)


def traces(house, space, home, words):
    """How often one of these words is in what is left of a conversation: in all bytes and names of its files, and in what the server answers."""
    found = sum(words_in(str(path.relative_to(home)).encode(), words) for path in home.rglob("*"))
    found += sum(words_in(path.read_bytes(), words) for path in home.rglob("*") if path.is_file())
    for path in (f"/replay/{space}.mp4", f"/replay/{space}.ogg", f"/replay/{space}/index.m3u8", f"/s/{space}", f"/api/spaces/v1/spaces/{space}"):
        with urllib.request.urlopen(house.public + path, timeout=10) as answer:
            found += words_in(answer.read(), words)
    return found


def words_in(data, words):
    return sum(data.count(word.encode()) for word in words)


def judge(folder):
    """All figures of the run in `folder`."""
    folder = Path(folder)
    run = json.loads((folder / "run.json").read_text())
    sources = {who: figures.read_sound(folder, f"source-{who}") for who in VOICES}
    heard = compared(sources, figures.read_sound(folder, "before"), figures.read_sound(folder, "after"))
    out = {"broken": run["broken"]} | heard
    out["name_traces"] = run["traces"][GONE]
    out["name_traces_before"] = run["traces_before"][GONE]
    out["unwanted"] = unwanted(out, run)
    kept = ("withdraw_s", "export_is_replay", "track_bytes_per_s", "speaker_late_ms_max", "took_s", "server_exit_code")
    return out | {name: run[name] for name in kept} | run["machine"]


def unwanted(out, run):
    """What did not come to its bound, in words."""
    others = {who: run["traces"][who] for who in NAMES if who != GONE}
    bounds = {
        f"stoi_min {out['stoi_min']} is below {STOI_MIN}": out["stoi_min"] < STOI_MIN,
        f"withdrawn_correlation_max {out['withdrawn_correlation_max']} is not below {CORRELATION_MAX}": out["withdrawn_correlation_max"] >= CORRELATION_MAX,
        f"name_traces {out['name_traces']} are left": out["name_traces"] > 0,
        "the old replay does not have the voice: the measure is wrong": out["withdrawn_correlation_before"] < THERE,
        "the name was nowhere before: the search is wrong": out["name_traces_before"] == 0,
        f"others have lost their names: {others}": min(others[who] for who in VOICES if who != GONE) == 0,
        f"the command failed: {run['withdrew']['why']}": run["withdrew"]["exit_code"] != 0,
        "what is exported from the log is not the replay": not run["export_is_replay"],
        f"the server ended with {run['server_exit_code']}": run["server_exit_code"] != 0,
    }
    return [words for words, bad in bounds.items() if bad]


def compared(sources, before, after):
    """How the others are understood in the new replay, and how much of the withdrawn voice is in it. All at `RATE`."""
    lags = {who: lag(sources[who], before) for who in VOICES}

    def place(who, begin, end):
        # A jitter buffer holds a voice for longer after a packet that came late, so each has its own place in each stretch.
        return lags[who] + near(_cut(sources[who], begin, end, 0), _cut(before, begin, end, lags[who]))

    rows = {}
    for begin, end, speakers in PLAN:
        stay = sorted(speakers - {GONE})
        if stay:
            places = {who: place(who, begin, end) for who in stay}
            first = places[stay[0]]
            said = sum(_cut(sources[who], begin, end, first - places[who]) for who in stay)
            beside = [_cut(after, begin, end, first + shift) for shift in range(-RATE // 50, RATE // 50 + 1, RATE // 200)]
            rows[f"{begin:g}-{end:g} {'+'.join(sorted(speakers))}"] = round(max(float(stoi(said, heard, RATE)) for heard in beside), 4)
    theirs = [(begin, end, place(GONE, begin, end), speakers == {GONE}) for begin, end, speakers in PLAN if GONE in speakers]

    def likest(sound):
        pairs = [(_cut(sound, begin, end, at), _cut(sources[GONE], begin, end, 0)) for begin, end, at, _ in theirs]
        alone = [correlation(*pair) for pair, (*_, is_alone) in zip(pairs, theirs) if is_alone]
        return correlation(*map(np.concatenate, zip(*pairs))), alone

    (whole, parts), (whole_before, parts_before) = likest(after), likest(before)
    return {
        "stoi_min": min(rows.values()),
        "withdrawn_correlation_max": round(max([whole, *parts]), 4),
        "withdrawn_correlation_before": round(min([whole_before, *parts_before]), 4),
        "stoi": rows,
        "correlation": {"whole": round(whole, 4), "alone": [round(part, 4) for part in parts]},
        "seconds": round(len(after) / RATE, 1),
    }


def lag(said, heard):
    """How many samples later a voice is heard than it was said."""
    match = fftconvolve(compare._band(heard), compare._band(said)[::-1])
    return int(np.argmax(match)) - (len(said) - 1)


def near(said, heard):
    """How many samples later than where it is laid a voice is heard, within `_REACH`."""
    match = fftconvolve(compare._band(heard), compare._band(said)[::-1])
    middle = len(said) - 1
    first = max(0, middle - _REACH)
    return first + int(np.argmax(match[first : middle + _REACH + 1])) - middle


def correlation(sound, voice):
    """How much of a voice is in a sound, 0 to 1: the largest likeness of their waves wherever they are laid beside each other."""
    a, b = compare._band(sound), compare._band(voice)
    match = fftconvolve(a, b[::-1])
    middle = len(b) - 1
    best = np.max(np.abs(match[max(0, middle - _REACH) : middle + _REACH + 1]))
    energy = max(float(np.sum(a**2)), _FLOOR * len(a)) * float(np.sum(b**2))
    return float(best / np.sqrt(energy))


def _cut(sound, begin, end, shift):
    """From `begin` to `end`, so many samples later; what is not there is silence."""
    first, last = round(begin * RATE) + shift, round(end * RATE) + shift
    out = np.zeros(last - first)
    there = sound[max(first, 0) : max(last, 0)]
    out[max(0, -first) : max(0, -first) + len(there)] = there
    return out


if __name__ == "__main__":
    main()
