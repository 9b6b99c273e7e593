"""Lets the tests find `hearing`; makes one short conversation that all of them share."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hearing import ffmpeg, source  # noqa: E402


def coded(sound, *options):
    """`sound` (48 kHz) after one pass through libopus; same length, in place (Opus' own delay is taken off by the player)."""
    raw = ["-f", "s16le", "-ar", "48000", "-ac", "1"]
    packed = subprocess.run(
        [ffmpeg.EXE, "-v", "error", *raw, "-i", "-", "-c:a", "libopus", *options, "-f", "ogg", "-"],
        input=source.to_pcm(sound).tobytes(), check=True, capture_output=True, timeout=120,
    ).stdout  # fmt: skip
    pcm = subprocess.run([ffmpeg.EXE, "-v", "error", "-i", "-", *raw, "-"], input=packed, check=True, capture_output=True, timeout=120).stdout
    out = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
    return np.resize(out, len(sound))


class Conversation:
    """Thirty seconds, three publishers; `heard` went through a speaker's and the programme's encoder and a slow gain."""

    def __init__(self):
        self.plan = source.Plan.of(("ffmpeg", "chromium", "aiortc"), 30)
        self.parts = {
            who: source.spoken(self.plan, who, source.speech(file, ffmpeg.EXE)) for who, file in zip(self.plan.publishers, source.demo_voices())
        }
        self.sources = {who: source.for_analysis(part) for who, part in self.parts.items()}
        mixed = sum(self.parts.values())
        gain = 1.0 + 0.5 * np.sin(np.arange(len(mixed)) / source.RATE * 2 * np.pi / 20)
        self.heard48 = coded(coded(mixed, "-b:a", "32k", "-application", "voip") * gain, "-b:a", "32k", "-compression_level", "5")
        self.heard = source.for_analysis(self.heard48)


@pytest.fixture(scope="session")
def conversation():
    return Conversation()
