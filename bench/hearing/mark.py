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
# Below this likeness to the sweep nothing is looked at: speech comes to about 0.45, twice coded sweeps to more than 0.9. But a codec that has just
# met speech may spoil a sweep down to 0.33.
_LIKENESS_MIN = 0.28
# A sweep less like one than this is believed only if each slot holds its tone and hardly anything else.
_LIKENESS_SURE = 0.6
# Of a slot's power; a tone that was coded twice has 0.9 and more, and speech never has so much three times in a row at the right pitches.
_SHARE_MIN = 0.6
# Whatever the sweep, each slot holds so much of its tone, and all three together so much: or two tones that chance put beside a damaged one would be
# read as another number.
_SHARE_LEAST = 0.3
_SHARE_SUM = 2.0
# In each slot a tone counts for its strength beside the strongest, in dB, and for no less than this: one spoiled slot must not outvote the others.
_FLOOR_DB = -20.0
# The best number must beat the next by so many dB, all slots together, else the mark is not read.
_CLEAR_DB = 6.0
# Only one of its tones may be weaker than this beside the strongest of its slot, and that one not by more than the second: what is not there is not
# read.
_DOUBT_DB = -3.0
_WEAKEST_DB = -12.0
# And all three are about equally strong, as they were said: speech in the place of a mark is not.
_EVEN_MIN = 0.2


@dataclass(frozen=True)
class Heard:
    """A mark that was found: its number and the second of its sweep's first sample in the recording."""

    number: int
    at: float


def _digits(number):
    high, low = divmod(number, _DIGITS)
    return high, low, (7 * high + 11 * low + 5) % _DIGITS


_CODE = np.array([_digits(number) for number in range(COUNT)])


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
        number = _read(sound, peak + len(sweep), rate, 0.0 if likeness[peak] >= _LIKENESS_SURE else _SHARE_MIN)
        if number is not None:
            yield Heard(number, _sharpen(sound, peak, number, rate) / rate)
            at = peak + near
        else:
            at = peak + near // 10


def _read(sound, begin, rate, share_min):
    """The number whose three tones together fit best, each with at least `share_min` of its slot's power. The check digit lets two clear tones
    settle a doubtful third."""
    length = int(TONE_S * rate)
    margin = length // 8
    slots = sound[begin : begin + 3 * length]
    if len(slots) < 3 * length:
        return None
    slots = slots.reshape(3, length)[:, margin : length - margin]
    t = np.arange(slots.shape[1]) / rate
    window = np.hanning(slots.shape[1])
    strength = np.abs((slots * window) @ np.exp(-2j * np.pi * np.outer(t, _TONES_HZ)))
    strongest = strength.max(axis=1, keepdims=True)
    if strongest.min() < 1e-4:
        return None
    beside_db = np.maximum(20 * np.log10(np.maximum(strength / strongest, 1e-9)), _FLOOR_DB)
    tones_db = beside_db[np.arange(3), _CODE]
    fit_db = tones_db.sum(axis=1)
    next_best, best = np.argpartition(fit_db, -2)[-2:]
    clear = fit_db[best] - fit_db[next_best] >= _CLEAR_DB
    # A pure tone has all the power of its slot, as far as the window sees it.
    power = 0.5 * (slots**2 @ window) * window.sum()
    tones = strength[np.arange(3), _CODE[best]]
    share = tones**2 / power
    whole = np.sort(tones_db[best])[1] >= _DOUBT_DB and tones_db[best].min() >= _WEAKEST_DB and tones.min() >= _EVEN_MIN * tones.max()
    pure = share.min() >= max(share_min, _SHARE_LEAST) and share.sum() >= _SHARE_SUM
    return int(best) if clear and whole and pure else None


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
