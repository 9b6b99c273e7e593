"""One clock for everybody, and which sample was heard when."""

import time

import numpy as np


def now():
    """Seconds of CLOCK_MONOTONIC, the same in every process of this machine (Node's `process.hrtime` too)."""
    return time.monotonic()


class Timeline:
    """Samples of a recording to seconds of the common clock: straight lines between given points.

    Before the first and after the last point it goes on at the nominal rate.
    """

    def __init__(self, points, rate):
        """`points`: `(sample, seconds)`, rising in both."""
        points = sorted((float(sample), float(when)) for sample, when in points)
        if not points:
            raise ValueError("a timeline needs a point")
        self.samples = np.array([sample for sample, _ in points])
        self.times = np.array([when for _, when in points])
        self.rate = rate

    def when(self, second):
        """The time at which second `second` of the recording was heard; arrays too."""
        sample = np.asarray(second, dtype=np.float64) * self.rate
        inside = np.interp(sample, self.samples, self.times)
        before = np.minimum(sample - self.samples[0], 0.0) / self.rate
        after = np.maximum(sample - self.samples[-1], 0.0) / self.rate
        return inside + before + after


def percentile(values, q):
    """The `q`-th percentile, or NaN of nothing."""
    return float(np.percentile(values, q)) if len(values) else float("nan")


def read_points(path, rate, smooth=51):
    """A timeline from a file of lines "sample seconds".

    A clock read beside a sample is late whenever the reader was. Each reading is replaced by the median of `smooth`
    readings around it, which a slow true drift passes and a late reader does not. `smooth=1` leaves them as they are.
    """
    raw = np.loadtxt(path, ndmin=2)
    if not len(raw):
        raise ValueError(f"{path}: nothing was recorded")
    raw = raw[np.argsort(raw[:, 0], kind="stable")]
    offsets = raw[:, 1] - raw[:, 0] / rate
    if smooth > 1:
        half = smooth // 2
        offsets = np.array([np.median(offsets[max(0, i - half) : i + half + 1]) for i in range(len(offsets))])
    return Timeline(zip(raw[:, 0], raw[:, 0] / rate + offsets), rate)
