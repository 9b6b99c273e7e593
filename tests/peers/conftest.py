"""A server of its own for these tests, spaces on it, and what a tone needs to be sent and recognised."""

import http.client
import os
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from hearing import ffmpeg, processes, source  # noqa: E402
from hearing.clock import now  # noqa: E402
from hearing.house import House  # noqa: E402

RATE = source.RATE
TONE_S = 120
"""Longer than any test lasts."""


@pytest.fixture(scope="session")
def house(tmp_path_factory):
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    server = House(os.environ.get("HIWAR_BIN", target / "debug" / "hiwar"), tmp_path_factory.mktemp("house"))
    yield server
    assert server.stop() == 0, server.last_words()


class Stage:
    """One live space and its host."""

    def __init__(self, house, **more):
        made = house.create("Peers", **more)
        self.house, self.space, self.host = house, made["space"]["id"], made["host_pass"]
        self.whip = house.whip(self.space)
        house.start(self.space, self.host)

    def speaker(self, who):
        """A pass to speak."""
        return self.house.speaker(self.space, self.host, who)

    def listen(self, kind="ogg"):
        """Address of the live sound."""
        return f"{self.house.public}/listen/{self.space}.{kind}"


@pytest.fixture
def stage(house):
    one = Stage(house)
    yield one
    house.end(one.space, one.host)


@pytest.fixture
def clients(tmp_path):
    """Starts aiortc clients by name; ends them all."""
    started = []

    def start(name):
        command = [sys.executable, "-m", "hearing.client", name, tmp_path]
        client = processes.Colleague(command, tmp_path / f"{name}.log", env={**os.environ, "PYTHONPATH": str(ROOT / "bench")})
        started.append(client)
        return client

    yield start
    for client in started:
        processes.stop(client.process)


def tone(hz, seconds=TONE_S):
    """A tone with a slow beat, so that no part of the way takes it for a hum to be removed; 16-bit samples."""
    t = np.arange(seconds * RATE) / RATE
    return source.to_pcm(0.2 * np.sin(2 * np.pi * hz * t) * (0.8 + 0.2 * np.sin(2 * np.pi * 3 * t)))


@pytest.fixture
def tone_file(tmp_path):
    """Makes files of tones: Hz to path of raw samples."""

    def make(hz):
        path = tmp_path / f"{hz}.s16"
        tone(hz).tofile(path)
        return str(path)

    return make


def strengths(sound, wanted_hz):
    """Level in dBFS of each wanted frequency in `sound`."""
    t = np.arange(len(sound)) / RATE
    window = np.hanning(len(sound))
    return {hz: 20 * np.log10(np.abs(np.sum(sound * window * np.exp(-2j * np.pi * hz * t))) * 2 / np.sum(window) + 1e-9) for hz in wanted_hz}


def hear(source_url, wanted_hz, unwanted_hz=(), within_s=20.0, player=None):
    """Listens until each wanted tone is louder than -40 dBFS for half a second and no unwanted one is; fails after `within_s`.

    `player`: a command that writes 48 kHz mono 16-bit samples to its standard output; FFmpeg when None.
    """
    command = player or [ffmpeg.EXE, "-v", "error", "-nostdin", "-i", source_url, "-f", "s16le", "-ac", "1", "-ar", str(RATE), "-flush_packets", "1", "-"]
    process = processes.start(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    alarm = threading.Timer(within_s, process.kill)
    alarm.start()
    levels, deadline = {}, now() + within_s
    try:
        while now() < deadline and (block := process.stdout.read(RATE)):
            if len(block) < RATE:
                break
            levels = strengths(np.frombuffer(block, "<i2") / 32768, [*wanted_hz, *unwanted_hz])
            if all(levels[hz] > -40 for hz in wanted_hz) and all(levels[hz] < -55 for hz in unwanted_hz):
                return levels
        pytest.fail(f"{wanted_hz} without {list(unwanted_hz)} not heard at {source_url} within {within_s} s; last: {levels}")
    finally:
        alarm.cancel()
        processes.stop(process)


def ask(method, url, body=None, token=None, **headers):
    """One HTTP request; `(status, headers with lower-case names, body)`. Names in `headers`: underscores are hyphens."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, sent)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()
