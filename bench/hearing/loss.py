"""`./x bench loss`: how a speaker on a bad network is understood, and those beside them.

    bench/loss [--quick] [--seconds N] [--only ROW...] [--keep DIR] [--from DIR] [--break WHAT]

In each row two people take turns on a stage of their own: one far away, behind a network that loses and delays (a seeded relay of `voices`, crates/rehearsal),
one near. An FFmpeg ear outside the server hears both. `--seconds` length of a row (120), `--quick` one of 40 s. `--keep` keeps all samples in DIR; `--from`
judges a kept run again. `--break` switches a mechanism of the server off, to see its figure go bad. docs/measured/loss.md tells what each figure means.
The last line is one JSON object. The server is HIWAR_BIN.
"""

import argparse
import json
import os
import shlex
import time
from pathlib import Path

import numpy as np

from . import compare, ffmpeg, figures, processes, rehearsal, source
from .clock import now
from .house import House
from .machine import Meter
from .path import TAIL_S, _bar, _binary, _say, _until

SPEAKERS = ("far", "near")
AT_ONCE = 4
"""Rows that run at the same time: few enough that two cores have time for all of them."""

ROWS = {
    "clean": "--red 1",
    "red": "--red 1 --up 'loss=10 jitter=60 order=free' --down 'loss=10 jitter=60 order=free'",
    "no_red": "--fec 5 --up loss=5 --down loss=5",
    "plc": "--up loss=5 --down loss=5",
    "loss_20": "--red 1 --fec 20 --up 'loss=20 jitter=60 order=free' --down 'loss=20 jitter=60 order=free'",
    "bursts": "--red 2 --fec 10 --up 'loss=10 burst=3 jitter=30' --down 'loss=10 burst=3 jitter=30'",
    "stalls": "--red 1 --up stall=500/5000 --down stall=500/5000",
    "disorder": "--red 1 --up 'overtaken=10 twice=10 jitter=30' --down 'overtaken=10 twice=10 jitter=30'",
    "fast": "--red 1 --ppm 200 --up 'loss=2 jitter=30' --down 'loss=2 jitter=30'",
    "slow": "--red 1 --up 'loss=2 jitter=30 skew=-200' --down 'loss=2 jitter=30'",
    "roam": "--red 1 --roam 15 --up 'delay=30 jitter=20' --down 'delay=30 jitter=20'",
}
"""Row to what the far speaker's client is told (`voices call --help`). Copies of one or two packets are what browsers send."""

BREAKS = {
    "red": "redundant copies (RED) are thrown away: `red`",
    "fec": "in-band FEC is not decoded: `no_red`",
    "plc": "what is missing is silence and not made up: `plc`, holes_per_min",
    "jitter": "the jitter buffer waits for nothing: `red`, `disorder`",
}

_AROUND = 5
"""Hops of 5 ms before and after a hole that must be speech."""

_SPEECH = 1e-4
"""Power of speech: -40 dBFS."""

_HOLE = 10 ** (-16 / 10)
"""And of what is a hole beside it: found on runs with concealment and without, between which 16 dB tell best."""


def main():
    options = _options()
    with rehearsal.folder("loss", options.kept or options.keep) as folder:
        if not options.kept:
            _run(folder, options)
        _say("comparing what was said with what was heard")
        print(json.dumps(judge(folder), ensure_ascii=False), flush=True)


def _options():
    parser = argparse.ArgumentParser(prog="bench/loss", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--quick", action="store_const", dest="seconds", const=40)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--from", dest="kept", metavar="DIR")
    parser.add_argument("--break", dest="broken", choices=BREAKS)
    return parser.parse_args()


def _run(folder, options):
    plan = source.Plan.of(SPEAKERS, options.seconds)
    source.save_plan(folder / "plan.json", plan)
    for who, file in zip(SPEAKERS, source.demo_voices()):
        source.to_pcm(source.spoken(plan, who, source.speech(file, ffmpeg.EXE))).tofile(folder / f"source-{who}.s16")
    voices = rehearsal.voices()
    if options.broken:
        os.environ["HIWAR_UNREPAIRED"] = options.broken
    began = now()
    house = House(_binary(), folder)
    meter, watched = Meter(house.pid), now()
    run = {"broken": options.broken, "rows": {}}
    for first in range(0, len(options.only), AT_ONCE):
        rows = [Row(folder, name, house, voices) for name in options.only[first : first + AT_ONCE]]
        _say("on stage: " + ", ".join(row.name for row in rows))
        for row in rows:
            row.connect()
        for row in rows:
            row.speak()
        _wait(now() + plan.seconds + TAIL_S, rows)
        run["rows"] |= {row.name: row.end() for row in rows}
    run["machine"] = meter.read(now() - watched)
    run["server_exit_code"] = house.stop()
    run["took_s"] = round(now() - began)
    (folder / "run.json").write_text(json.dumps(run, indent=1))


class Row:
    """One stage: the far speaker, the near one, and an ear."""

    def __init__(self, folder, name, house, voices):
        self.folder, self.name, self.house = folder, name, house
        created = house.create(f"Loss: {name}", language="en")
        self.id, self.host = created["space"]["id"], created["host_pass"]
        house.start(self.id, self.host)
        self.speakers = []
        for who in SPEAKERS:
            # The near one's network is this machine's, and nothing is done to it.
            told = ROWS[name] if who == "far" else "--red 1"
            command = [voices, "call", "--whip", house.whip(self.id), "--pass", house.speaker(self.id, self.host, who)]
            command += ["--sound", folder / f"source-{who}.s16", "--seed", 1 + list(ROWS).index(name), *shlex.split(told)]
            self.speakers.append(processes.Colleague(command, folder / f"{name}-{who}.log"))
        self.ear = ffmpeg.Ear(name, f"{house.public}/listen/{self.id}.ogg", folder, "ogg")

    def connect(self):
        self.connect_ms = [speaker.hear("connected", 40)["connect_ms"] for speaker in self.speakers]
        _until(lambda: self.ear.first_at, 20, f"{self.name}: the ear hears nothing")

    def speak(self):
        for speaker in self.speakers:
            speaker.tell(do="speak")
        for speaker in self.speakers:
            speaker.hear("speaking", 10)

    def alive(self):
        for one in (*self.speakers, self.ear):
            one.alive()

    def end(self):
        for speaker in self.speakers:
            speaker.tell(do="stop")
        told = [speaker.hear("done", 20) for speaker in self.speakers]
        self.ear.stop()
        self.house.end(self.id, self.host)
        return {
            "told": ROWS[self.name],
            "connect_ms": self.connect_ms[0],
            **dict(zip(SPEAKERS, told)),
        }


def _wait(until, rows):
    began = now()
    while now() < until:
        for row in rows:
            row.alive()
        _bar((now() - began) / (until - began), until - now())
        time.sleep(0.25)
    _bar(1.0, 0.0)


def judge(folder):
    """All figures of the run in `folder`."""
    folder = Path(folder)
    run = json.loads((folder / "run.json").read_text())
    plan = source.load_plan(folder / "plan.json")
    sources = {who: figures.read_sound(folder, f"source-{who}") for who in SPEAKERS}
    rows = {}
    for name, row in run["rows"].items():
        sound = figures.read_sound(folder, name)
        heard = compare.compare(plan, sources, sound)
        rows[name] = {
            "stoi": round(heard.stoi["far"], 4),
            "others": round(heard.stoi["near"], 4),
            "holes_per_min": round(60 * holes(sound) / (len(sound) / figures.mark.RATE), 1),
            "lost_percent": round(100 * row["far"]["up"]["lost"] / max(1, row["far"]["up"]["taken"]), 1),
            "fec_share": row["far"]["fec_share"],
            "connect_ms": row["connect_ms"],
            "marks_missing": len([n for who in SPEAKERS for n in plan.numbers(who) if n not in heard.marks]),
            "speaker_late_ms_max": round(max(row[who]["late_us_max"] for who in SPEAKERS) / 1000, 1),
        }
    out = {"seconds": plan.seconds, "broken": run["broken"]}
    out |= {field: rows[name]["stoi"] for field, name in (("stoi", "red"), ("stoi_no_red", "no_red"), ("stoi_plc", "plc")) if name in rows}
    if "plc" in rows:
        out["holes_per_min_plc"] = rows["plc"]["holes_per_min"]
    out["stoi_others_min"] = min(row["others"] for row in rows.values())
    return out | {"rows": rows, "took_s": run["took_s"], "server_exit_code": run["server_exit_code"]} | run["machine"]


def holes(sound, rate=figures.mark.RATE):
    """How often speech stops for about 15 ms and goes on as loud: what one lost frame leaves if nothing is put in its place.

    STOI hardly hears so short a hole; people hear a crackle. Words have a few such moments of their own (stops).
    """
    hop = rate // 200
    power = np.mean(np.asarray(sound, dtype=np.float64)[: len(sound) // hop * hop].reshape(-1, hop) ** 2, axis=1)
    count, at = 0, _AROUND + 1
    while at + 3 + 1 + _AROUND <= len(power):
        inside = power[at : at + 3].mean()
        # A hop on each side is the edge, and counts for neither.
        around = min(power[at - 1 - _AROUND : at - 1].mean(), power[at + 4 : at + 4 + _AROUND].mean())
        if around > _SPEECH and inside < around * _HOLE:
            count, at = count + 1, at + 4 + _AROUND
        else:
            at += 1
    return count


if __name__ == "__main__":
    main()
