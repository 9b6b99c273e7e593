"""`./x bench hls`: whether Low-Latency HLS keeps its rules, and what its players make of it.

    bench/hls [--seconds N] [--only PART] [--url URL] [--keep DIR] [--break WHAT]

`--only` is conformance (the rules; `--url`: of that playlist, anybody's). docs/measured/hls.md says what each figure means. The last line is one
JSON object. The server is HIWAR_BIN.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from . import conformance, ffmpeg, hls, processes
from .house import House

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 3
"""Several, so that what is asked on one connection and what on the next come from different ones."""
STARTED_WITHIN_S = 30.0
PATIENCE_S = 75.0
"""Until a playlist of ours is long enough for delta updates."""


def main():
    options = _options()
    folder = Path(options.keep or tempfile.mkdtemp(prefix="hiwar-hls-"))
    folder.mkdir(parents=True, exist_ok=True)
    began, result = time.monotonic(), {}
    try:
        for name, part in PARTS.items():
            if options.only in (None, name) and (name == "conformance" or not options.url):
                result |= part(folder, options)
    finally:
        processes.stop_all()
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result | {"broken": options.broken, "ran_s": round(time.monotonic() - began)}, ensure_ascii=False), flush=True)


def _options():
    parser = argparse.ArgumentParser(prog="bench/hls", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--url", help="the playlist to look at instead of one of ours")
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--break", dest="broken", choices=())
    return parser.parse_args()


def say(text):
    print(f"· {text}", file=sys.stderr, flush=True)


class Show:
    """A house with several workers, and one space in which somebody is on the stage (a silent FFmpeg, until it is told what to say).

    `playlist`: its address; `mouth`: the publisher.
    """

    def __init__(self, folder, title):
        self.house = House(binary(), folder, "--workers", str(WORKERS))
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


PARTS = {"conformance": _conformance}

if __name__ == "__main__":
    main()
