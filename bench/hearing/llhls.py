"""`./x bench hls`: whether Low-Latency HLS keeps its rules, and what players and caches of others make of it.

    bench/hls [--seconds N] [--only PART] [--url URL [--http2]] [--keep DIR] [--from DIR] [--break WHAT]

`--only` is conformance (the rules; `--url`: of that playlist, anybody's, `--http2`: over that), name (HLS at a name of its own, over HTTP/2), latency (hls.js and shaka in Chromium, `--seconds` long, 120) or caches (nginx
and varnish between many clients and the server). `--keep` keeps all samples and counts in DIR; `--from` judges the samples of a kept run again. `--break`
damages something on purpose, to see its figure go bad. docs/measured/hls.md says what each figure means. The last line is one JSON object. The server is
HIWAR_BIN.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from . import breaks, caches, compare, conformance, ffmpeg, figures, hls, own_name, players, processes, source
from .clock import now, percentile, read_points
from .house import House

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 3
"""Several, so that what is asked on one connection and what on the next come from different ones."""
STARTED_WITHIN_S = 30.0
PATIENCE_S = 75.0
"""Until a playlist of ours is long enough for delta updates, and has left something behind."""

LEAD_S = 4.0
"""From the last player's first sound to the first second of the plan: each plays steadily by then."""
TAIL_S = 8.0
"""After the last second: what is on its way arrives."""
BREAKS = {
    "hold": "latency: a front that knows nothing of delivery directives answers at once and keeps a playlist for a target duration",
    "noise": "latency: noise 6 dB under the speech (hearing/breaks.py)",
    "holes": "latency: 60 ms of silence every 7 s (hearing/breaks.py)",
    "collapse": "caches: each request goes to the server by itself",
}


def main():
    options = _options()
    folder = Path(options.keep or tempfile.mkdtemp(prefix="hiwar-hls-"))
    folder.mkdir(parents=True, exist_ok=True)
    began, result = time.monotonic(), {}
    if options.kept:
        return _print(_judge(Path(options.kept) / "latency", options.broken))
    try:
        for name, part in PARTS.items():
            if options.only in (None, name) and (name == "conformance" or not options.url):
                own = folder / name
                own.mkdir(exist_ok=True)
                result |= part(own, options)
    finally:
        processes.stop_all()
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    _print(result | {"broken": options.broken, "ran_s": round(time.monotonic() - began)})


def _print(result):
    print(json.dumps(result, ensure_ascii=False), flush=True)


def _options():
    parser = argparse.ArgumentParser(prog="bench/hls", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--url", help="the playlist to look at instead of one of ours")
    parser.add_argument("--http2", action="store_true", help="look at --url over HTTP/2")
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--from", dest="kept", metavar="DIR")
    parser.add_argument("--break", dest="broken", choices=BREAKS)
    return parser.parse_args()


def say(text):
    print(f"· {text}", file=sys.stderr, flush=True)


class Show:
    """A house with several workers, and one space in which somebody is on the stage (a silent FFmpeg, until it is told what to say).

    `playlist`: its address; `mouth`: the publisher.
    """

    def __init__(self, folder, title, *more, port=0):
        self.house = House(binary(), folder, "--workers", str(WORKERS), *more, port=port)
        made = self.house.create(title)
        self.space, self.host = made["space"]["id"], made["host_pass"]
        self.house.start(self.space, self.host)
        self.playlist = f"{self.house.public}/hls/{self.space}/live.m3u8"
        # What is made begins with the first speaker.
        self.mouth = ffmpeg.Publisher(self.house.whip(self.space), self.house.speaker(self.space, self.host, "ffmpeg"), folder / "ffmpeg.log")
        self.mouth.connected(STARTED_WITHIN_S)
        # Each worker learns of the space by itself; several times in a row none of them is without it.
        good, deadline = 0, time.monotonic() + STARTED_WITHIN_S
        while good < 4 * WORKERS:
            answer = hls.fetch(self.playlist)
            good = good + 1 if answer.status == 200 else 0
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.playlist}: status {answer.status} after {STARTED_WITHIN_S} s; {self.house.last_words()}")

    def end(self):
        self.house.end(self.space, self.host)

    def stop(self):
        self.mouth.stop()
        self.house.stop()


def binary():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return Path(os.environ.get("HIWAR_BIN", target / "release" / "hiwar"))


def _conformance(folder, options):
    if options.url:
        say(f"the rules of Low-Latency HLS at {options.url}")
        with hls.over_http2(options.http2):
            checks = conformance.Suite(options.url).run()
    else:
        say(f"the rules of Low-Latency HLS at a house with {WORKERS} workers: about a minute and a half")
        show = Show(folder, "Conformance")
        try:
            checks = conformance.Suite(show.playlist, end=show.end, patience_s=PATIENCE_S).run()
        finally:
            show.stop()
    print(conformance.table(checks), file=sys.stderr)
    (folder / "conformance.json").write_text(json.dumps([vars(check) for check in checks], indent=1))
    return conformance.figures(checks)


def _name(folder, options):
    say(f"HLS at a name of its own, over HTTP/2, at a house with {WORKERS} workers: about two minutes")
    port, arguments, base = own_name.prepare(folder)
    show = Show(folder, "Name", *arguments, port=port)
    try:
        told, checks = own_name.measure(show, base, folder, PATIENCE_S)
    finally:
        show.stop()
    print(conformance.table(checks), file=sys.stderr)
    return told


def _latency(folder, options):
    plan = source.Plan.of(("ffmpeg",), options.seconds)
    source.save_plan(folder / "plan.json", plan)
    sound = source.spoken(plan, "ffmpeg", source.speech(source.demo_voices()[0], ffmpeg.EXE))
    source.to_pcm(sound).tofile(folder / "source-ffmpeg.s16")
    source.write_wav(folder / "silence.wav", np.zeros(source.RATE, dtype=np.float32))
    show = Show(folder, "Players")
    first = hls.Playlist(hls.fetch(show.playlist).text(), show.playlist)
    hold_back_ms = 1000 * float(first.control["PART-HOLD-BACK"])
    front = players.Front(show.house.public, blind_s=first.target) if options.broken == "hold" else None
    pages = players.Pages()
    browser = processes.Colleague(["node", ROOT / "bench/hearing/browser.mjs", folder, folder / "silence.wav"], folder / "browser.log")
    browser.hear("ready", 60)
    playlist = show.playlist.replace(show.house.public, front.origin) if front else show.playlist
    pressed = {}
    for name in players.PLAYERS:
        browser.tell(do="play", name=name, url=pages.page(name, playlist))
        pressed[name] = browser.hear("playing", 60)["after_ms"]
    t0 = now() + LEAD_S
    show.mouth.speak(source.to_pcm(sound), t0)
    say(f"{plan.seconds} s of speech into {' and '.join(players.PLAYERS)}")
    while now() < t0 + plan.seconds + TAIL_S:
        for one in (show.mouth, browser):
            one.alive()
        time.sleep(0.25)
    browser.tell(do="stop")
    stopped = browser.hear("stopped", 30)
    mouth = {"t0": show.mouth.mouth(0.0), "ppm": 0.0}
    show.stop()
    pages.close()
    run = {"broken": options.broken, "mouth": mouth, "part_hold_back_ms": hold_back_ms, "first_sound_after_press_ms": pressed, "players": stopped["players"], "errors": stopped["errors"]}
    (folder / "run.json").write_text(json.dumps(run, indent=1))
    say("comparing what was said with what was heard")
    return _judge(folder, options.broken)


def _judge(folder, broken):
    """The players' figures, from what a run left in `folder`."""
    run, plan = json.loads((folder / "run.json").read_text()), source.load_plan(folder / "plan.json")
    sources = {"ffmpeg": figures.read_sound(folder, "source-ffmpeg")}
    said = {"ffmpeg": {n: run["mouth"]["t0"] + plan.place(n) for n in plan.numbers("ffmpeg")}}
    out = {"seconds": plan.seconds, "part_hold_back_ms": run["part_hold_back_ms"]}
    for name in players.PLAYERS:
        heard = compare.compare(plan, sources, breaks.sound(broken, figures.read_sound(folder, name)))
        way = figures.ways_of(plan, said, heard.marks, read_points(folder / f"{name}.points", source.RATE))["ffmpeg"]
        told = run["players"][name]
        mine = {
            # None when no mark was heard: JSON has no NaN.
            "mouth_to_ear_ms_p50": round(percentile([ms for _, ms in way], 50), 1) if way else None,
            "mouth_to_ear_ms_p95": round(percentile([ms for _, ms in way], 95), 1) if way else None,
            "stoi": round(heard.stoi.get("ffmpeg", 0.0), 4),
            "gaps": len(heard.gaps),
            "stalls": told["stalls"],
        }
        ending = "llhls" if name == "hlsjs" else f"llhls_{name}"
        out |= {f"{key}_{ending}": value for key, value in mine.items()}
        out.setdefault("players", {})[name] = told | {"first_sound_after_press_ms": run["first_sound_after_press_ms"][name]}
        out.setdefault("first_gaps", {})[name] = [{"at": round(gap.at, 2), "ms": round(1000 * gap.length), "what": gap.what} for gap in heard.gaps[:5]]
    return out


def _caches(folder, options):
    show = Show(folder, "Caches")
    out, raw = {}, {}
    try:
        for name in caches.NAMES:
            say(f"{caches.CLIENTS} clients wait behind {name}")
            front = players.Front(show.house.public)
            told, raw[name] = caches.measure(name, show.playlist, front, folder, collapses=options.broken != "collapse")
            out |= told
            front.close()
    finally:
        show.stop()
        (folder / "caches.json").write_text(json.dumps(raw, indent=1))
    return {"cache_clients": caches.CLIENTS} | out


PARTS = {"conformance": _conformance, "name": _name, "latency": _latency, "caches": _caches}

if __name__ == "__main__":
    main()
