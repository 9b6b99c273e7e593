"""What the publishers say: speech in turns, with a numbered mark at the beginning of every second.

All publishers share one plan of seconds. Second `n` belongs to one of them and begins with mark `n`, so that a mark heard
anywhere names its publisher and its place in the source.
"""

import json
import subprocess
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from . import mark

RATE = 48_000
"""Samples per second of what publishers are handed."""

TURN_S = 10
"""Length of a turn in seconds, silence at its end included."""

REST_S = 1
"""Silence at the end of each turn: the publishers' clocks and ways may differ by this much."""

FIRST_S = 0.25
"""Where in its second the mark stands. Not at 0: a codec needs a moment after silence."""

DEMO = Path(__file__).resolve().parents[2] / "crates" / "server" / "assets" / "demo"


@dataclass(frozen=True)
class Plan:
    """Who speaks when. `seconds` is a whole number of turns."""

    publishers: tuple
    seconds: int

    @staticmethod
    def of(publishers, seconds):
        """The longest plan of whole rounds within `seconds`, at least one round. At most 1,020 s: marks do not repeat."""
        one = TURN_S * len(publishers)
        return Plan(tuple(publishers), one * max(1, min(int(seconds), mark.COUNT - 4) // one))

    def speaker(self, second):
        """Who has the turn in `second`, or None in the rest at its end."""
        return self.publishers[second // TURN_S % len(self.publishers)] if second % TURN_S < TURN_S - REST_S else None

    def numbers(self, publisher):
        """The marks of `publisher`, in order."""
        return [n for n in range(self.seconds) if self.speaker(n) == publisher]

    def turns(self, publisher):
        """`(first, last)` mark of each turn of `publisher`."""
        first = TURN_S * self.publishers.index(publisher)
        return [(n, n + TURN_S - REST_S - 1) for n in range(first, self.seconds, TURN_S * len(self.publishers))]

    @staticmethod
    def place(number):
        """Second of the source at which the sweep of mark `number` begins."""
        return number + FIRST_S


def speech(file, ffmpeg, rate=RATE):
    """The speech in a sound file as float samples at `rate`, its pauses cut to 250 ms, about -20 dBFS when it speaks."""
    pcm = subprocess.run(
        [ffmpeg, "-v", "error", "-i", str(file), "-f", "s16le", "-ac", "1", "-ar", str(rate), "-"],
        check=True, capture_output=True, timeout=60,
    ).stdout  # fmt: skip
    sound = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
    hop = rate // 100
    level = np.sqrt(np.mean(sound[: len(sound) // hop * hop].reshape(-1, hop) ** 2, axis=1))
    loud = level > 0.004
    # A frame is kept when something within 125 ms of it is loud.
    kept = np.convolve(loud, np.ones(25), mode="same") > 0
    sound = sound[: len(kept) * hop].reshape(-1, hop)[kept].ravel()
    power = np.sqrt(np.mean(sound**2))
    if not power > 0:
        raise ValueError(f"{file}: no speech in it")
    return np.clip(sound * (0.1 / power), -0.7, 0.7)


def spoken(plan, publisher, voice, rate=RATE):
    """The whole part of `publisher`: float samples at `rate`, silent outside its turns. `voice` is repeated as needed."""
    sound = np.zeros(plan.seconds * rate, dtype=np.float32)
    used = 0
    for first, last in plan.turns(publisher):
        length = (last + 1 - first) * rate
        words = np.take(voice, np.arange(used, used + length), mode="wrap")
        used += length
        # Nothing starts or ends in the middle of a wave.
        ramp = np.linspace(0.0, 1.0, rate // 50, dtype=np.float32)
        words[: len(ramp)] *= ramp
        words[-len(ramp) :] *= ramp[::-1]
        sound[first * rate : (last + 1) * rate] = words
        for number in range(first, last + 1):
            mark.put(sound, number, plan.place(number), rate)
    return sound


def for_analysis(sound, rate=RATE):
    """`sound` at the rate of analysis."""
    return resample_poly(sound, 1, rate // mark.RATE).astype(np.float32)


def to_pcm(sound):
    """Float to 16-bit samples."""
    return (np.clip(sound, -1.0, 1.0) * 32767).astype("<i2")


def write_wav(path, sound, rate=RATE):
    """A mono 16-bit WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(to_pcm(sound).tobytes())


def demo_voices():
    """The committed voices, one file for each speaker of the demo."""
    files = sorted(DEMO.glob("*.ogg"))
    if len(files) < 3:
        raise FileNotFoundError(f"three voices are needed in {DEMO}")
    return files[:3]


def save_plan(path, plan):
    Path(path).write_text(json.dumps({"publishers": plan.publishers, "seconds": plan.seconds}))


def load_plan(path):
    kept = json.loads(Path(path).read_text())
    return Plan(tuple(kept["publishers"]), kept["seconds"])
