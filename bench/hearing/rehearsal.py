"""The programs of crates/rehearsal (given by the environment, or built here in release, once), and a place for what a bench makes of them."""

import contextlib
import functools
import json
import os
import queue
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from . import processes

ROOT = Path(__file__).resolve().parents[2]


def voices():
    """The path of `voices`, speakers and listeners: HIWAR_VOICES, if that is set."""
    return os.environ.get("HIWAR_VOICES") or _built("voices")


def floor():
    """The path of `floor`, the bare loop: HIWAR_FLOOR, if that is set."""
    return os.environ.get("HIWAR_FLOOR") or _built("floor")


def door():
    """The path of `door`, tickets and visitors: HIWAR_DOOR, if that is set."""
    return os.environ.get("HIWAR_DOOR") or _built("door")


@functools.cache
def _built(name):
    subprocess.run(["cargo", "build", "--locked", "--release", "--package", "hiwar-rehearsal", "--bin", name], cwd=ROOT, check=True, stdout=sys.stderr)
    return str(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / name)


@contextlib.contextmanager
def folder(name, keep):
    """Where a bench leaves what it makes: `keep`, or a folder that is gone afterwards. So is everybody whom it started. As many files may be open as the system lets."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    place = Path(keep or tempfile.mkdtemp(prefix=f"hiwar-{name}-"))
    place.mkdir(parents=True, exist_ok=True)
    try:
        yield place
    finally:
        processes.stop_all()
        if not keep:
            shutil.rmtree(place, ignore_errors=True)


class Cast:
    """`voices` at work, on a core of its own. `so_far`: what it has told of itself, if it is to (`--tell`)."""

    def __init__(self, command, core):
        self.lines, self.so_far = queue.Queue(), []
        self.process = processes.start(["taskset", "-c", core, *command], stdout=subprocess.PIPE)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            told = json.loads(line) | {"at_s": time.monotonic()}
            if told["event"] == "so-far":
                self.so_far.append(told)
            else:
                self.lines.put(told)
        self.lines.put(None)

    def hear(self, event, within_s):
        deadline = time.monotonic() + within_s
        while True:
            told = self.lines.get(timeout=max(0.1, deadline - time.monotonic()))
            if told is None:
                raise processes.Died(f"voices ended with {self.process.wait()}")
            if told["event"] == event:
                return told
