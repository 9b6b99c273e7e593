"""What was heard against what was said: order of the marks, the way through time, gaps, and intelligibility.

Pure: arrays in, facts out. Everything at `mark.RATE`. A recording is laid beside the source by its marks (one each
second), then by correlation in parts of half a second; then each 20 ms of speech is looked at by itself.
"""

from dataclasses import dataclass, field

import numpy as np
from pystoi import stoi
from scipy.ndimage import map_coordinates, spline_filter1d
from scipy.signal import butter, fftconvolve, sosfiltfilt

from . import mark

RATE = mark.RATE

GAP_S = 0.040
"""Longer than this, and what is missing, concealed or invented is a gap."""

_FRAME = RATE * 20 // 1000
_HOP = RATE * 5 // 1000
# Speech within this many dB of the turn's own level is speech that somebody would miss.
_ACTIVE_DB = 25.0
# A frame that is this much weaker than the source, after the gain of its surroundings, is not there.
_MISSING_DB = 12.0
# And likeness below this, where a codec keeps the wave, is something else in its place.
_LIKENESS_MIN = 0.45
# A frame of 20 ms slid over the edge of a hole looks like a hole while most of it lies inside: about this much is to be
# added to the run of bad frames (first to last) to get the hole. Found on synthetic holes; bench/tests holds it.
_EDGE_S = 0.010
# Between words of the same hole the source itself may be silent for a moment: so much of it does not end the hole.
_BRIDGE_S = 0.030
# Between two marks the way may become this much longer or shorter by a clock alone.
_STEP_S = 0.001


@dataclass(frozen=True)
class Gap:
    """`at`: second of the recording; `length`: seconds; `what`: missing, concealed, invented, skipped, repeated, lost."""

    at: float
    length: float
    what: str
    number: int


@dataclass
class Comparison:
    """One ear, all turns of the plan. Marks: number to second of the recording (its first hearing)."""

    marks: dict = field(default_factory=dict)
    gaps: list = field(default_factory=list)
    stoi: dict = field(default_factory=dict)
    """Publisher to the mean over its turns."""
    likeness: float = 0.0
    """Median correlation of 20 ms of speech with its source."""


def compare(plan, sources, sound, numbers=None):
    """Compares a recording with its sources.

    `sources`: publisher to its part (`source.spoken` at `RATE`). `sound`: the recording. `numbers`: only these seconds of
    the plan (those during which the ear was there); all when None.
    """
    wanted = set(range(plan.seconds)) if numbers is None else set(numbers)
    result = Comparison()
    heard = mark.find(sound)
    _order(plan, heard, wanted, result)
    likeness = []
    for publisher in plan.publishers:
        scores = []
        for first, last in plan.turns(publisher):
            numbers_here = [n for n in range(first, last + 1) if n in wanted]
            if len(numbers_here) < 3:
                continue
            turn = _Turn(plan, numbers_here, sources[publisher], sound, result)
            if not turn.points:
                result.gaps.append(Gap(0.0, float(len(numbers_here)), "lost", first))
                scores.append(0.0)
                continue
            turn.jumps(result)
            scores.append(turn.intelligibility())
            likeness.append(turn.frames(result))
        if scores:
            result.stoi[publisher] = float(np.mean(scores))
    result.likeness = float(np.median(np.concatenate(likeness))) if likeness else 0.0
    result.gaps.sort(key=lambda gap: gap.at)
    return result


def _order(plan, heard, wanted, result):
    """Marks that are missing, come again, or come in the wrong order."""
    newest = -1
    for one in heard:
        if one.number in result.marks:
            result.gaps.append(Gap(one.at, 1.0, "repeated", one.number))
            continue
        result.marks[one.number] = one.at
        # Turns of different publishers have different ways: only inside a turn is the order a law.
        if one.number < newest and plan.speaker(one.number) == plan.speaker(newest):
            result.gaps.append(Gap(one.at, 1.0, "repeated", one.number))
        newest = max(newest, one.number)
    for number in sorted(wanted):
        if plan.speaker(number) is not None and number not in result.marks:
            before = [at for n, at in result.marks.items() if n < number]
            result.gaps.append(Gap(max(before, default=0.0), mark.LENGTH_S, "missing", number))


class _Turn:
    """One turn of one publisher, as this ear heard it."""

    def __init__(self, plan, numbers, source, sound, result):
        self.numbers = numbers
        self.points = [(n, plan.place(n), result.marks[n]) for n in numbers if n in result.marks]
        if not self.points:
            return
        places = np.array([place for _, place, _ in self.points])
        offsets = np.array([at - place for _, place, at in self.points])
        # From the second's beginning to the end of the last second, on the recording's time.
        begin = max(0.0, numbers[0] + offsets[0])
        end = min(len(sound) / RATE, numbers[-1] + 1 + offsets[-1])
        self.begin = begin
        self.heard = np.asarray(sound[int(begin * RATE) : int(end * RATE)], dtype=np.float32)
        time = int(begin * RATE) / RATE + np.arange(len(self.heard)) / RATE
        ways = [_offset(time, places + offsets, offsets)]
        if np.ptp(offsets) > _STEP_S:
            # The way changed at once somewhere between two marks: before that place the old length holds, after it the new.
            after = np.searchsorted(places + offsets, time)
            ways.append(offsets[np.clip(after - 1, 0, len(offsets) - 1)])
            ways.append(offsets[np.clip(after, 0, len(offsets) - 1)])
        margin = RATE
        low, high = max(0, int(places[0] * RATE) - margin), int(places[-1] * RATE) + 2 * margin
        coefficients = spline_filter1d(np.asarray(source[low:high], dtype=np.float64), order=3)
        self.laid = [map_coordinates(coefficients, [(time - way) * RATE - low], order=3, prefilter=False).astype(np.float32) for way in ways]
        self.said = self.laid[0]

    def jumps(self, result):
        """Time that was lost or put in between two marks."""
        for (n, place, at), (m, next_place, next_at) in zip(self.points, self.points[1:]):
            change = (next_at - at) - (next_place - place)
            if abs(change) > GAP_S:
                result.gaps.append(Gap(at, abs(change), "skipped" if change < 0 else "invented", n))

    def intelligibility(self):
        """STOI of the turn, 0 to 1."""
        if len(self.said) < RATE or not np.any(self.heard):
            return 0.0
        return float(stoi(self.said, self.heard, RATE, extended=False))

    def frames(self, result):
        """Looks at each 20 ms of the turn; returns the likenesses of those in which there is speech."""
        heard = _band(self.heard)
        if len(heard) < RATE:
            return np.zeros(0)
        starts = np.arange(0, len(heard) - _FRAME, _HOP)
        windows = starts[:, None] + np.arange(_FRAME)[None, :]
        b = heard[windows]
        energy_b = np.sum(b * b, axis=1) + 1e-12
        likeness, energy_a = np.full(len(starts), -1.0), np.full(len(starts), 1e-12)
        # Each frame beside the source as it fits best: damage must not spoil the place of what is whole next to it.
        for said in map(_band, self.laid):
            for beside in _beside(said, heard):
                a = beside[windows]
                energy = np.sum(a * a, axis=1) + 1e-12
                like = np.sum(a * b, axis=1) / np.sqrt(energy * energy_b)
                better = like > likeness
                likeness[better], energy_a[better] = like[better], energy[better]
        level_a, level_b = 10 * np.log10(energy_a / _FRAME), 10 * np.log10(energy_b / _FRAME)
        typical = 10 * np.log10(np.mean(10 ** (level_a / 10)))
        active = level_a > typical - _ACTIVE_DB
        gain = _slow_median(np.where(active, level_b - level_a, np.nan), RATE // _HOP)
        difference = level_b - level_a - gain
        missing = active & (difference < -_MISSING_DB)
        # The codec keeps the wave where there is a voice; hiss it only imitates, and there only the level can be held against it.
        voiced = active & (level_a > typical - 15.0)
        wrong = voiced & (likeness < _LIKENESS_MIN)
        silent = level_a < typical - 45.0
        invented = silent & (level_b - gain > typical - 22.0)
        self._runs(_bridged(missing | wrong, ~active), missing, result)
        self._runs(invented, None, result)
        return likeness[voiced]

    def _runs(self, bad, missing, result):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], bad.astype(np.int8), [0]])))
        for first, end in zip(edges[::2], edges[1::2]):
            length = float((end - 1 - first) * _HOP / RATE + _EDGE_S)
            if length > GAP_S:
                at = float(self.begin + first * _HOP / RATE)
                number = max((n for n, _, heard_at in self.points if heard_at <= at), default=self.numbers[0])
                what = "invented" if missing is None else "missing" if missing[first:end].mean() > 0.5 else "concealed"
                result.gaps.append(Gap(at, length, what, number))


def _offset(time, at, offsets):
    """Heard minus said at each `time`: straight between marks, and on at the turn's own pace before and after them."""
    pace = np.polyfit(at, offsets, 1)[0] if len(at) > 2 else 0.0
    # More than a clock can be off is not a pace but a jump.
    pace = pace if abs(pace) < 1e-3 else 0.0
    outside = np.minimum(time - at[0], 0.0) + np.maximum(time - at[-1], 0.0)
    return np.interp(time, at, offsets) + pace * outside


def _bridged(bad, neutral):
    """`bad`, with the short stretches of nothing but `neutral` frames between two bad ones filled in."""
    out = np.array(bad)
    places = np.flatnonzero(bad)
    for before, after in zip(places, places[1:]):
        if 1 < after - before <= _BRIDGE_S * RATE / _HOP and neutral[before + 1 : after].all():
            out[before:after] = True
    return out


def _band(sound):
    """300 to 3,000 Hz, without moving anything in time: what every codec on the way keeps as a wave."""
    if len(sound) < 200:
        return np.zeros(0)
    return sosfiltfilt(butter(3, [300, 3_000], "bandpass", fs=RATE, output="sos"), sound)


def _beside(said, heard):
    """`said` as it is, and with each half second moved by at most 4 ms to where it, or the one before or after it, fits best."""
    reach, part = RATE * 4 // 1000, RATE // 2
    begins = range(0, len(said), part)
    shifts = []
    for begin in begins:
        end = min(begin + part, len(said))
        low, high = max(0, begin - reach), min(len(said), end + reach)
        match = fftconvolve(said[low:high], heard[begin:end][::-1], mode="valid")
        shifts.append(low + int(np.argmax(match)) - begin if np.any(heard[begin:end]) and len(match) else 0)
    yield said
    for neighbour in (0, -1, 1):
        near = [shifts[min(max(k + neighbour, 0), len(shifts) - 1)] for k in range(len(shifts))]
        indices = np.arange(len(said)) + np.repeat(near, part)[: len(said)]
        yield said[np.clip(indices, 0, len(said) - 1)]


def _slow_median(values, half):
    """Running median over `2 * half` values, without those that are NaN; computed at every tenth."""
    whole = np.nanmedian(values) if np.any(~np.isnan(values)) else 0.0
    centres = np.arange(0, len(values), 10)
    medians = []
    for centre in centres:
        near = values[max(0, centre - half) : centre + half]
        near = near[~np.isnan(near)]
        medians.append(np.median(near) if len(near) > 10 else whole)
    return np.interp(np.arange(len(values)), centres, medians)
