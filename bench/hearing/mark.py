"""The mark that numbers each second of a source, and finding it again in what was heard.

A mark is a sweep, which tells when, and three tones, which tell which: two digits to the base 32 and a check digit.
It lies inside the band that every codec keeps, and the speech is silent under it. A loop, a skip or a repetition in the
way shows as a number that is missing, comes twice or comes at the wrong time.
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve

RATE = 16_000
"""Samples per second of everything that is analysed. The marks and nearly all of speech lie below 8 kHz."""

COUNT = 1024
"""Numbers are 0 to 1023: enough for 17 minutes without a repetition."""

QUIET_S = 0.008
SWEEP_S = 0.030
TONE_S = 0.030
LENGTH_S = QUIET_S + SWEEP_S + 3 * TONE_S + QUIET_S
"""Seconds that a mark takes in the source, with the silence around it."""

LEVEL = 0.16
"""Peak of a mark at full scale 1.0: about as loud as the speech, so that gain control has nothing to do with it."""

_DIGITS = 32
_TONES_HZ = 700.0 + 90.0 * np.arange(_DIGITS)
_EDGE_S = 0.004
# Below this likeness to the sweep nothing is looked at; speech comes to about 0.45, twice coded sweeps to more than 0.9.
_LIKENESS_MIN = 0.6
# The strongest tone must be this many times stronger than the next, else the mark is not read.
_CLEAR = 1.6


@dataclass(frozen=True)
class Heard:
    """A mark that was found: its number and the second of its sweep's first sample in the recording."""

    number: int
    at: float


def _digits(number):
    high, low = divmod(number, _DIGITS)
    return high, low, (7 * high + 11 * low + 5) % _DIGITS


def _edged(wave, rate):
    edge = int(_EDGE_S * rate)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
    wave[:edge] *= ramp
    wave[-edge:] *= ramp[::-1]
    return wave


def _sweep(rate):
    t = np.arange(int(SWEEP_S * rate)) / rate
    return _edged(np.sin(2 * np.pi * (600.0 * t + (3_400.0 - 600.0) / (2 * SWEEP_S) * t * t)), rate)


def wave(number, rate):
    """The sweep and tones of `number` at `rate` samples per second, peak 1.0, without the silence around them."""
    t = np.arange(int(TONE_S * rate)) / rate
    tones = [_edged(np.sin(2 * np.pi * _TONES_HZ[digit] * t), rate) for digit in _digits(number)]
    return np.concatenate([_sweep(rate), *tones])


def put(sound, number, at, rate):
    """Writes mark `number` into `sound` (float, changed in place) with its sweep at second `at`."""
    begin, quiet = round(at * rate), round(QUIET_S * rate)
    shape = wave(number, rate)
    sound[max(0, begin - quiet) : begin + len(shape) + quiet] = 0.0
    room = sound[begin : begin + len(shape)]
    room[:] = LEVEL * shape[: len(room)]


def find(sound, rate=RATE):
    """All marks in `sound` (float, at `rate`), in order of time. Accurate to about 0.1 ms."""
    sweep = _sweep(rate)
    heard = []
    # In parts, so that ten minutes do not need the memory of ten minutes many times.
    part, overlap = 60 * rate, rate
    for begin in range(0, len(sound), part):
        first = max(0, begin - overlap // 2)
        piece = np.asarray(sound[first : begin + part + overlap], dtype=np.float32)
        for mark in _find(piece, rate, sweep):
            at = first / rate + mark.at
            if begin / rate <= at < (begin + part) / rate:
                heard.append(Heard(mark.number, at))
    return heard


def _find(sound, rate, sweep):
    if len(sound) < 4 * len(sweep):
        return
    product = fftconvolve(sound, sweep[::-1], mode="valid")
    square = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    energy = square[len(sweep) :] - square[: -len(sweep)]
    likeness = product / np.sqrt(np.maximum(energy, 1e-7 * len(sweep)) * np.sum(sweep**2))
    near = int(0.05 * rate)
    at = 0
    for peak in np.flatnonzero(likeness > _LIKENESS_MIN):
        if peak < at:
            continue
        peak += int(np.argmax(likeness[peak : peak + near]))
        number = _read(sound, peak + len(sweep), rate)
        if number is not None:
            yield Heard(number, _sharpen(sound, peak, number, rate) / rate)
            at = peak + near
        else:
            at = peak + near // 10


def _read(sound, begin, rate):
    length = int(TONE_S * rate)
    margin = length // 8
    digits = []
    for k in range(3):
        tone = sound[begin + k * length + margin : begin + (k + 1) * length - margin]
        if len(tone) < length - 2 * margin:
            return None
        t = np.arange(len(tone)) / rate
        shaped = tone * np.hanning(len(tone))
        strength = np.abs(np.exp(-2j * np.pi * np.outer(_TONES_HZ, t)) @ shaped)
        order = np.argsort(strength)
        # Neighbours in the table overlap a little: the runner-up is looked for elsewhere.
        others = np.delete(strength, [d for d in (order[-1] - 1, order[-1], order[-1] + 1) if 0 <= d < _DIGITS])
        if strength[order[-1]] < 1e-4 or strength[order[-1]] < _CLEAR * others.max():
            return None
        digits.append(int(order[-1]))
    number = digits[0] * _DIGITS + digits[1]
    return number if _digits(number)[2] == digits[2] else None


def _sharpen(sound, guess, number, rate):
    """The whole mark is known now: its best place within 5 ms of `guess`, in fractions of a sample."""
    shape = wave(number, rate)
    reach = int(0.005 * rate)
    begin = guess - reach
    piece = sound[max(0, begin) : guess + len(shape) + reach]
    if begin < 0 or len(piece) < len(shape) + 2 * reach:
        return float(guess)
    match = fftconvolve(piece, shape[::-1], mode="valid")
    best = int(np.argmax(match))
    if 0 < best < len(match) - 1:
        left, middle, right = match[best - 1 : best + 2]
        curve = left - 2 * middle + right
        if curve < 0:
            return begin + best + 0.5 * (left - right) / curve
    return float(begin + best)
