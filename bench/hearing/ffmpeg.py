"""FFmpeg as a publisher (WHIP) and as an ear (anything it can read)."""

import subprocess
import threading
import time
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from . import processes
from .clock import Timeline, now

RATE = 48_000
EXE = imageio_ffmpeg.get_ffmpeg_exe()
"""An FFmpeg with the WHIP muxer (8.0 and later), from imageio-ffmpeg."""

_BLOCK_S = 0.010
# What an ear begins with comes all at once, each block just in time for itself: lateness is judged after this much.
_SETTLED_S = 3.0


class Publisher:
    """Hands PCM to FFmpeg as a microphone would: each 10 ms when their last sample has been spoken.

    `ppm`: how much faster than ours this publisher's clock runs. The mouth of a sample is the moment at which it was
    spoken by that clock; it was handed over at most 10 ms later.
    """

    def __init__(self, url, token, log, ppm=0.0):
        self.rate = RATE * (1.0 + ppm * 1e-6)
        self.late_s_max = 0.0
        self._log = open(log, "ab")
        # As WAV and not raw: the raw reader collects 85 ms before it passes anything on, the WAV reader can be told not to.
        self.process = processes.start(
            [EXE, "-hide_banner", "-nostdin", "-loglevel", "info", "-probesize", "32", "-analyzeduration", "0",
             "-f", "wav", "-ignore_length", "1", "-max_size", str(int(RATE * 0.02) * 2), "-i", "pipe:0",
             "-ac", "2", "-ar", str(RATE), "-c:a", "libopus", "-b:a", "64k", "-frame_duration", "20",
             "-f", "whip", "-whip_flags", "dtls_active", "-authorization", token, url],
            ahead=True, stdin=subprocess.PIPE, stdout=self._log, stderr=self._log, bufsize=0,
        )  # fmt: skip
        self.began = None
        self._content = np.zeros(0, dtype="<i2")
        self._first = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def speak(self, content, t0):
        """The samples `content` (16 bit) begin at time `t0`; silence before and after."""
        self._content = content
        # The sample that is spoken at t0, counted from the beginning of the feed.
        self._first = round((t0 - self.began) * self.rate)
        self._t0 = self.began + self._first / self.rate

    def mouth(self, second):
        """When second `second` of the content was spoken."""
        return self._t0 + second * RATE / self.rate

    def _block(self, begin, count):
        block = np.zeros(count, dtype="<i2")
        if self._first is not None:
            low, high = max(begin, self._first), min(begin + count, self._first + len(self._content))
            if low < high:
                block[low - begin : high - begin] = self._content[low - self._first : high - self._first]
        return block

    def _feed(self):
        processes.hurry_this_thread()
        try:
            self.process.stdin.write(_wav_head())
            self.began = now()
            count = int(RATE * _BLOCK_S)
            fed = 0
            while not self._stop.is_set():
                due = self.began + (fed + count) / self.rate
                wait = due - now()
                if wait > 0:
                    time.sleep(wait)
                self.process.stdin.write(self._block(fed, count).tobytes())
                self.late_s_max = max(self.late_s_max, now() - due)
                fed += count
        except (OSError, ValueError):
            pass  # FFmpeg ended; `alive` tells.

    def connected(self, within_s):
        """Waits until FFmpeg says that its packets are on their way."""
        deadline = now() + within_s
        while b"Muxer state=10" not in Path(self._log.name).read_bytes():
            self.alive()
            if now() > deadline:
                raise TimeoutError(f"FFmpeg is not connected after {within_s} s; see {self._log.name}")
            time.sleep(0.02)

    def alive(self):
        if self.process.poll() is not None:
            raise processes.Died(f"FFmpeg publisher: exit code {self.process.returncode}; see {self._log.name}")

    def stop(self):
        """Ends the feed, so that FFmpeg says goodbye by itself; returns its exit code."""
        self._stop.set()
        self._thread.join(2.0)
        try:
            self.process.stdin.close()
            return self.process.wait(5.0)
        except (OSError, subprocess.TimeoutExpired):
            return processes.stop(self.process)


def _wav_head():
    """RIFF head of a mono 16-bit file whose length is not known."""
    u32 = lambda value: int(value).to_bytes(4, "little")  # noqa: E731
    u16 = lambda value: int(value).to_bytes(2, "little")  # noqa: E731
    form = u16(1) + u16(1) + u32(RATE) + u32(2 * RATE) + u16(2) + u16(16)
    return b"RIFF" + u32(0xFFFFFFFF) + b"WAVEfmt " + u32(16) + form + b"data" + u32(0xFFFFFFFF)


class Ear:
    """FFmpeg reading a live stream to PCM, played by an ideal player.

    The player starts when the first sample arrives, never stops, and never plays faster or slower. A sample that arrives
    after its turn was missed in truth: `late_s_max` says by how much, and must not be positive.
    """

    def __init__(self, name, url, folder, container):
        """`container`: FFmpeg's name of the format. Not guessed: guessing waits for 2 kB, which is seconds of silence."""
        self.name = name
        self.path = folder / f"{name}.s16"
        self.first_at = None
        self.late_s_max = -1e9
        self._log = open(folder / f"{name}.log", "ab")
        self.process = processes.start(
            [EXE, "-hide_banner", "-nostdin", "-loglevel", "warning", "-fflags", "nobuffer", "-probesize", "32", "-analyzeduration", "0",
             "-f", container, "-i", url, "-f", "s16le", "-ac", "1", "-ar", str(RATE), "-flush_packets", "1", "pipe:1"],
            ahead=True, stdout=subprocess.PIPE, stderr=self._log, bufsize=0,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        processes.hurry_this_thread()
        samples = 0
        with open(self.path, "wb") as file:
            while block := self.process.stdout.read(65536):
                at = now()
                if self.first_at is None:
                    self.first_at = at
                if samples > _SETTLED_S * RATE:
                    self.late_s_max = max(self.late_s_max, at - (self.first_at + samples / RATE))
                samples += len(block) // 2
                file.write(block)

    def timeline(self):
        """When each sample was played."""
        return Timeline([(0, self.first_at)], RATE)

    def alive(self):
        if self.process.poll() is not None:
            raise processes.Died(f"FFmpeg ear {self.name}: exit code {self.process.returncode}; see {self._log.name}")

    def stop(self):
        processes.stop(self.process)
        self._thread.join(5.0)


def decode(source, within_s=300):
    """A whole file or URL to float samples at 48 kHz."""
    pcm = subprocess.run(
        [EXE, "-v", "error", "-nostdin", "-i", str(source), "-f", "s16le", "-ac", "1", "-ar", str(RATE), "-"],
        check=True, capture_output=True, timeout=within_s,
    ).stdout  # fmt: skip
    return np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
