"""The servers that `./x bench fanout` compares, each on one core: Hiwar, the bare loop, icecast2, and nginx with HLS as files.

All of them: `name`, `url`, `roots` (processes whose families' CPU is counted), `workers()` (those whose memory is), `died()`, `end()`; and of the class: `modes` it has, `joins_per_s` at
which it is joined, `part` of `voices` that listens to it, `pieces_per_s` that each listener is due. The configurations of the last two are in `tuned/`.
"""

import json
import math
import os
import secrets
import shutil
import socket
import string
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import fanout, ffmpeg, machine, peers, processes, source
from .house import House

ROOT = Path(__file__).resolve().parents[2]
TUNED = Path(__file__).with_name("tuned")
SERVER_CORE, CAST_CORE = "0", "1"
PROCESS_LISTENERS = 18_500
"""A process may open 20,000 files here, and a worker keeps some of them for those who do not listen. More listeners are served by more processes, on the same core."""
FILES = 20_000
SPEAKERS = 2
SPEAK_S = 1_200


@dataclass(frozen=True)
class Mode:
    """How sound is served: a write to a listener each `cadence_ms`, with TLS or without; so many join in a second, and so long is judged."""

    name: str
    cadence_ms: int
    secure: bool
    joins_per_s: int
    judged_s: int


MODES = {mode.name: mode for mode in (Mode("200ms", 200, False, 4_000, 20), Mode("2s", 2_000, False, 4_000, 18), Mode("2s_tls", 2_000, True, 1_200, 18))}


def processes_for(listeners):
    return max(1, math.ceil(listeners / PROCESS_LISTENERS))


def pinned(folder, more, environment=""):
    """A `hiwar` that runs on the server's core, with `more` arguments."""
    wrapper = folder / "hiwar"
    wrapper.write_text(f'#!/bin/sh\nexec env {environment} taskset -c {SERVER_CORE} "{os.environ["HIWAR_BIN"]}" "$@" {more}\n')
    wrapper.chmod(0o755)
    return wrapper


class Hiwar:
    """A house of its own for every rung: a space with two people on stage, one of whom talks."""

    name = fanout.SUBJECT
    modes = tuple(MODES)
    part, pieces_per_s = "listen", 5.0

    def __init__(self, bench, folder, listeners, mode, cadence_ms=None):
        """`mode` None: as it comes, without a word about the cadence."""
        folder.mkdir()
        self.data, lines = folder / "data", []
        if mode:
            lines += ["[listening]", f"cadence_ms = {mode.cadence_ms}"]
        if mode and mode.secure:
            own = json.dumps(str(bench.identity[1]))
            lines += ["[tls]", f"certificate = {own}", f"key = {own}"]
        (folder / "hiwar.toml").write_text("\n".join(lines) + "\n")
        wrapper = pinned(folder, f"--workers {bench.workers or processes_for(listeners)}")
        self.house = House(wrapper, folder, "--config", folder / "hiwar.toml")
        made = self.house.create("Fan-out")
        self.space, host = made["space"]["id"], made["host_pass"]
        self.house.start(self.space, host)
        passes = [self.house.speaker(self.space, host, f"Speaker {n}") for n in range(SPEAKERS)]
        if mode and mode.secure:
            self._speak_securely(passes, folder)
        else:
            self._speak(bench, passes)
        self.url = f"{self.house.public}/listen/{self.space}.mp4"
        self.roots = [self.house.pid]

    def _speak(self, bench, passes):
        files = sorted((ROOT / "crates/server/assets/demo").glob("*.ogg"))
        command = [bench.voices, "speak", "--whip", self.house.whip(self.space), "--talking", 1, "--seconds", SPEAK_S, "--voice", *files, "--pass", *passes]
        cast = processes.start(["taskset", "-c", CAST_CORE, *command], stdout=subprocess.PIPE)
        line = cast.stdout.readline()
        if not line or json.loads(line).get("event") != "connected":
            raise processes.Died(f"a speaker did not connect: {line!r}")
        self.cast, self._leave = [cast], lambda: processes.stop(cast)

    def _speak_securely(self, passes, folder):
        """FFmpeg, which knows how to ask by HTTPS, with the same voice. (`voices` does not.)"""
        voice = source.to_pcm(source.speech(source.demo_voices()[0], ffmpeg.EXE))
        mouths = [ffmpeg.Publisher(self.house.whip(self.space), one, folder / f"mouth-{n}.log") for n, one in enumerate(passes)]
        for mouth in mouths:
            mouth.connected(30)
        mouths[0].speak(np.resize(voice, SPEAK_S // 2 * source.RATE), time.monotonic() + 0.2)
        self.cast, self._leave = [mouth.process for mouth in mouths], lambda: [mouth.stop() for mouth in mouths]

    def workers(self):
        return machine.workers(self.house.pid)

    def cadence(self, word):
        """What an operator says: `hiwar admin cadence`."""
        done = subprocess.run([os.environ["HIWAR_BIN"], "admin", "cadence", str(word), "--data", self.data], capture_output=True, text=True, timeout=30)
        if done.returncode:
            raise processes.Died(f"hiwar admin cadence {word}: {done.stderr[-500:]}")

    def died(self):
        return self.house.process.poll() is not None or any(one.poll() is not None for one in self.cast)

    def end(self):
        self._leave()
        self.house.stop()


class Floor:
    """The bare loop, playing what was recorded; several of it at one port when one may not open enough files."""

    name = fanout.FLOOR
    modes = tuple(MODES)
    part, pieces_per_s = "listen", 5.0

    def __init__(self, bench, folder, listeners, mode):
        begin = time.time() + 1.0
        self.processes, port = [], 0
        for _ in range(bench.workers or processes_for(listeners)):
            command = ["taskset", "-c", SERVER_CORE, bench.floor, "--listen", f"127.0.0.1:{port}", "--stream", bench.recorded / "stream.mp4"]
            command += ["--begin-unix-ms", round(1000 * begin), "--cadence-ms", mode.cadence_ms]
            command += ["--tls", bench.identity[1], bench.identity[1]] if mode.secure else []
            process = processes.start(command, stdout=subprocess.PIPE)
            self.processes.append(process)
            line = process.stdout.readline()
            if not line:
                raise processes.Died("the floor did not begin")
            port = json.loads(line)["port"]
        time.sleep(max(0.0, begin - time.time()))
        self.url = f"{'https' if mode.secure else 'http'}://127.0.0.1:{port}/listen/floor.mp4"
        self.roots = [process.pid for process in self.processes]

    def workers(self):
        return self.roots

    def died(self):
        return any(process.poll() is not None for process in self.processes)

    def end(self):
        for process in self.processes:
            processes.stop(process)


class Icecast:
    """icecast2, one process; a source sends the same programme as Ogg, a page each 200 ms."""

    name = "icecast"
    modes = ("200ms",)
    part, pieces_per_s = "listen", 5.0
    joins_per_s = 200
    """It admits some 240 a second; faster, and they wait until they give up."""
    listeners_max = 19_000
    """One process, 20,000 files: it cannot be several with one programme."""

    def __init__(self, bench, folder, listeners, mode):
        folder.mkdir()
        port, word = _port(), secrets.token_hex(8)
        # It refuses to run as root, and writes its log as whom it runs.
        home = Path(tempfile.mkdtemp(prefix="hiwar-icecast-"))
        home.chmod(0o777)
        self.home = home
        (home / "icecast.xml").write_text(filled("icecast.xml", PORT=port, PASSWORD=word, HOME=home))
        (home / "icecast.xml").chmod(0o644)
        log = open(folder / "icecast.log", "ab")
        program = shutil.which("icecast2") or "/usr/bin/icecast2"
        command = peers.as_nobody(["taskset", "-c", SERVER_CORE, program, "-c", home / "icecast.xml"])
        self.process = processes.start(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _until_listens(port, self.process)
        self.mouth = _helper("source", bench.recorded / "stream.ogg", f"127.0.0.1:{port}", "/listen/icecast.ogg", word)
        self.url = f"http://127.0.0.1:{port}/listen/icecast.ogg"
        self.roots = [self.process.pid]

    def workers(self):
        return list(machine.family(self.process.pid))

    def died(self):
        return self.process.poll() is not None or self.mouth.poll() is not None

    def end(self):
        processes.stop(self.mouth)
        processes.stop(self.process)
        shutil.rmtree(self.home, ignore_errors=True)


class NginxHls:
    """nginx with HLS as files in memory; listeners poll the playlist each two seconds and fetch what is new, on connections that stay."""

    name = "nginx_hls"
    modes = ("2s",)
    part, pieces_per_s = "poll", 0.5
    joins_per_s = 2_000

    def __init__(self, bench, folder, listeners, mode):
        # tmpfs: no disk is asked.
        self.home = Path(tempfile.mkdtemp(prefix="hiwar-nginx-", dir="/dev/shm"))
        (self.home / "files").mkdir()
        port = _port()
        # Which of its workers gets a connection is drawn (SO_REUSEPORT): none may draw more than it has room for.
        each = bench.workers or math.ceil(1.06 * listeners / PROCESS_LISTENERS)
        text = filled("nginx-hls.conf", PORT=port, HOME=self.home, PROCESSES=each, FILES=FILES, CONNECTIONS=FILES - 500, PROCESS_LISTENERS=PROCESS_LISTENERS)
        (self.home / "nginx.conf").write_text(text)
        self.mouth = _helper("segments", bench.recorded / "stream.mp4", self.home / "files")
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        self.process = processes.start(["taskset", "-c", SERVER_CORE, program, "-p", self.home, "-e", "stderr", "-c", self.home / "nginx.conf"])
        _until_listens(port, self.process)
        self.url = f"http://127.0.0.1:{port}/live.m3u8"
        with urllib.request.urlopen(self.url, timeout=5) as answer:
            if b"#EXTM3U" not in answer.read():
                raise processes.Died("nginx does not serve the playlist")
        self.roots = [self.process.pid]

    def workers(self):
        return [pid for pid in machine.family(self.process.pid) if pid != self.process.pid]

    def died(self):
        return self.process.poll() is not None or self.mouth.poll() is not None

    def end(self):
        processes.stop(self.mouth)
        processes.stop(self.process)
        shutil.rmtree(self.home, ignore_errors=True)


SERVERS = (Hiwar, Floor, Icecast, NginxHls)
"""In the order in which they take turns."""


def installed(kind):
    """Whether its program is here: some are other people's."""
    program = {"icecast": "icecast2", "nginx_hls": "nginx"}.get(kind.name)
    return program is None or shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/usr/bin") is not None


def filled(file, **names):
    return string.Template((TUNED / file).read_text()).safe_substitute({name: str(value) for name, value in names.items()})


def _helper(*arguments):
    """One of `programme`'s, when it has begun. Ahead of the listeners on their core: in life it is somewhere else."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "bench")}
    command = [sys.executable, "-m", "hearing.programme", *arguments]
    helper = processes.start(command, ahead=True, stdout=subprocess.PIPE, env=environment)
    if helper.stdout.readline().strip() != b"begun":
        raise processes.Died(f"hearing.programme {arguments[0]} did not begin")
    return helper


def _port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _until_listens(port, process):
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise processes.Died(f"port {port}: {error}") from error
        time.sleep(0.05)
