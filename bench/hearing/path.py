"""`./x bench path`: from mouths to ears through a real server.

    bench/path [--seconds N] [--keep DIR] [--from DIR] [--break WHAT]

`--seconds` length of the conversation (600). `--keep` keeps all samples in DIR. `--from` judges a kept run again without a
new one. `--break` damages something on purpose (hearing/breaks.py), to see the figure go bad. docs/measured/path.md tells
what each figure means. The last line is one JSON object. The server is HIWAR_BIN.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np

from . import breaks, ffmpeg, figures, processes, source
from .clock import now
from .house import House
from .machine import Meter

ROOT = Path(__file__).resolve().parents[2]
PUBLISHERS = ("ffmpeg", "chromium", "aiortc")

FAST_PPM = 200.0
SLOW_PPM = -200.0
"""FFmpeg's clock is this much too fast, the first aiortc client's this much too slow; Chromium's is the machine's."""

LEAD_S = 12.0
"""From the opening of Chromium's microphone to the first second of the plan: everybody else is there by then."""

TAIL_S = 4.0
"""After the last second, before anybody leaves: what is on its way arrives."""

DIRECT_S = 30
SEALED_WITHIN_S = 60.0


def main():
    options = _options()
    if options.kept:
        return _print(figures.judge(options.kept, options.broken))
    folder = Path(options.keep or tempfile.mkdtemp(prefix="hiwar-path-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        spent = Run(folder, options).go()
        _say("comparing what was said with what was heard")
        broken = options.broken if options.broken in breaks.RECORDING else None
        _print(figures.judge(folder, broken) | spent)
    finally:
        processes.stop_all()
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def _options():
    parser = argparse.ArgumentParser(prog="bench/path", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--from", dest="kept", metavar="DIR")
    parser.add_argument("--break", dest="broken", choices=breaks.RECORDING + breaks.PUBLISHER)
    return parser.parse_args()


class Run:
    """One conversation: who is in it, from the first connection to the sealed recording."""

    def __init__(self, folder, options):
        self.folder, self.broken = folder, options.broken
        self.plan = source.Plan.of(PUBLISHERS, options.seconds)
        self.run = {"broken": self.broken, "mouths": {}, "first_at": {}, "late_ms_max": {}}

    def go(self):
        """Returns facts about the machine and the run; everything else is in the folder."""
        _say(f"making {self.plan.seconds} s of speech for {len(PUBLISHERS)} publishers")
        self._sources()
        self._direct()
        house = House(_binary(), self.folder)
        created = house.create("Mouth to ear", recording="on", language="en")
        space, host = created["space"]["id"], created["host_pass"]
        house.start(space, host)
        passes = {who: house.speaker(space, host, who) for who in (*PUBLISHERS, "listener")}
        whip = house.whip(space)

        _say("publishers go on stage")
        speaker, listener = self._client("own"), self._client("return")
        fast = ffmpeg.Publisher(whip, passes["ffmpeg"], self.folder / "ffmpeg.log", FAST_PPM)
        speaker.tell(do="whip", url=whip, token=passes["aiortc"], ppm=SLOW_PPM)
        listener.tell(do="whip", url=whip, token=passes["listener"])
        for client in (speaker, listener):
            client.hear("connected", 30)
        browser = self._browser()
        browser.hear("ready", 60)
        ears = [ffmpeg.Ear(name, f"{house.public}/listen/{space}.{name}", self.folder, name) for name in ("ogg", "mp4")]
        _until(lambda: all(ear.first_at for ear in ears), 20, "the FFmpeg ears hear nothing")
        browser.tell(do="listen", url=f"{house.public}/s/{space}")
        listening = browser.hear("listening", 60)
        browser.tell(do="publish", url=whip, token=passes["chromium"], origin=house.public)
        published = browser.hear("publishing", 60)
        t0 = published["opened"] + LEAD_S
        if t0 < now() + 1.0:
            raise TimeoutError("Chromium took too long to publish")
        self._speak(fast, speaker, t0)

        meter, watched = Meter(house.pid), now()
        everybody = [fast, *ears, speaker, listener, browser]
        self._wait(t0 + self.plan.seconds + TAIL_S, everybody)
        spent = meter.read(now() - watched)

        for ear in ears:
            ear.stop()
            self.run["first_at"][ear.name] = ear.first_at
            self.run["late_ms_max"][ear.name] = 1000 * ear.late_s_max
        spent["browser"] = self._stop(browser) | {"first_sound_after_press_ms": listening["after_ms"], "clock_error_ms": published["clock_error_ms"]}
        for client in (speaker, listener):
            self._stop(client)
        spent["ffmpeg_exit_code"] = fast.stop()
        spent["feed_late_ms_max"] = round(1000 * fast.late_s_max, 1)
        spent["replay_ready_after_ms"] = self._replay(house, space, host)
        spent["server_exit_code"] = house.stop()
        (self.folder / "run.json").write_text(json.dumps(self.run, indent=1))
        return spent

    def _sources(self):
        source.save_plan(self.folder / "plan.json", self.plan)
        for who, file in zip(PUBLISHERS, source.demo_voices()):
            sound = source.spoken(self.plan, who, source.speech(file, ffmpeg.EXE))
            source.to_pcm(sound).tofile(self.folder / f"source-{who}.s16")
            if self.broken == "mute":
                sound = breaks.sound("holes", sound, source.RATE)
            source.to_pcm(sound).tofile(self.folder / f"said-{who}.s16")
            if who == "chromium":
                lead = np.zeros(int(LEAD_S * source.RATE), dtype=np.float32)
                source.write_wav(self.folder / "microphone.wav", np.concatenate([lead, sound, lead]))

    def _direct(self):
        """The same two clients without a server between them: what they add by themselves."""
        _say("two aiortc clients, connected directly")
        plan = source.Plan.of(("direct",), min(DIRECT_S, self.plan.seconds))
        voice = source.speech(source.demo_voices()[PUBLISHERS.index("aiortc")], ffmpeg.EXE)
        source.to_pcm(source.spoken(plan, "direct", voice)).tofile(self.folder / "said-direct.s16")
        speaker, listener = self._client("direct-own"), self._client("direct")
        speaker.tell(do="offer")
        listener.tell(do="accept", sdp=speaker.hear("offer", 30)["sdp"])
        speaker.tell(do="answer", sdp=listener.hear("answer", 30)["sdp"])
        for client in (speaker, listener):
            client.hear("connected", 30)
        speaker.tell(do="speak", file=str(self.folder / "said-direct.s16"), t0=now() + 1.0)
        self.run["direct_t0"] = speaker.hear("speaking", 10)["t0"]
        self._wait(self.run["direct_t0"] + plan.seconds + 1.0, (speaker, listener))
        for client in (speaker, listener):
            self._stop(client)

    def _speak(self, fast, speaker, t0):
        """Tells all publishers when the first second of the plan begins, and notes when each truly began."""
        fast.speak(np.fromfile(self.folder / "said-ffmpeg.s16", dtype="<i2"), t0)
        speaker.tell(do="speak", file=str(self.folder / "said-aiortc.s16"), t0=t0)
        self.run["mouths"] = {
            "ffmpeg": {"t0": fast.mouth(0.0), "ppm": FAST_PPM},
            "aiortc": {"t0": speaker.hear("speaking", 10)["t0"], "ppm": SLOW_PPM},
            "chromium": {"recording": "mouth"},
        }

    def _client(self, name):
        command = [sys.executable, "-m", "hearing.client", name, self.folder]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "bench")}
        return processes.Colleague(command, self.folder / f"{name}.log", env=environment)

    def _browser(self):
        command = ["node", ROOT / "bench/hearing/browser.mjs", self.folder, self.folder / "microphone.wav"]
        return processes.Colleague(command, self.folder / "browser.log")

    def _stop(self, colleague):
        colleague.tell(do="stop")
        told = colleague.hear("stopped", 30)
        processes.stop(colleague.process)
        return {key: value for key, value in told.items() if key != "event"}

    def _wait(self, until, everybody):
        """Until then, everybody must live. Shows how far it is."""
        began = now()
        while now() < until:
            for one in everybody:
                one.alive()
            _bar((now() - began) / (until - began), until - now())
            time.sleep(0.25)
        _bar(1.0, 0.0)

    def _replay(self, house, space, host):
        """Ends the space and fetches its recording; how long it took to be there, in ms."""
        house.end(space, host)
        ended = now()
        _until(lambda: house.space(space)["replay"], SEALED_WITHIN_S, "the recording is not there")
        took = round(1000 * (now() - ended))
        for kind in ("ogg", "mp4"):
            with urllib.request.urlopen(house.public + house.space(space)["replay"][kind], timeout=60) as answer:
                (self.folder / f"replay.{kind}").write_bytes(answer.read())
            source.to_pcm(ffmpeg.decode(self.folder / f"replay.{kind}")).tofile(self.folder / f"replay_{kind}.s16")
        return took


def _binary():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return Path(os.environ.get("HIWAR_BIN", target / "release" / "hiwar"))


def _until(ready, within_s, complaint):
    deadline = now() + within_s
    while not ready():
        if now() > deadline:
            raise TimeoutError(f"{complaint} after {within_s} s")
        time.sleep(0.05)


def _say(what):
    print(f"· {what}", file=sys.stderr, flush=True)


def _bar(part, left_s):
    if sys.stderr.isatty():
        full = int(40 * part)
        print(f"\r  [{'█' * full}{'·' * (40 - full)}] {left_s:4.0f} s left ", end="" if part < 1 else "\n", file=sys.stderr, flush=True)
    elif int(left_s * 4) % 120 == 0 or part >= 1:
        print(f"  {100 * part:3.0f} %, {left_s:.0f} s left", file=sys.stderr, flush=True)


def _print(result):
    print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main()
