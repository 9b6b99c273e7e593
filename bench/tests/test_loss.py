"""`holes` counts what a lost frame leaves, and nothing else."""

import numpy as np

from hearing import loss, mark

RATE = mark.RATE


def _voice(seconds=4.0):
    """Hiss that comes and goes four times a second, as syllables do."""
    time = np.arange(int(seconds * RATE)) / RATE
    swell = 0.05 * (1.2 + np.sin(2 * np.pi * 4 * time))
    return swell * np.random.default_rng(3).normal(0.0, 1.0, len(time))


def test_a_voice_without_holes_has_none():
    assert loss.holes(_voice()) == 0
    assert loss.holes(np.zeros(RATE)) == 0
    assert loss.holes(np.zeros(7)) == 0


def test_each_lost_frame_is_counted_once():
    sound = _voice()
    for begin in range(RATE // 2, len(sound) - RATE // 2, RATE // 3):
        sound[begin : begin + RATE // 50] *= 0.05
    assert loss.holes(sound) == len(range(RATE // 2, len(sound) - RATE // 2, RATE // 3))


def test_a_pause_is_no_hole():
    sound = _voice()
    sound[RATE : RATE + RATE // 4] = 0.0
    assert loss.holes(sound) == 0
