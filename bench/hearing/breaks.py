"""Damage on purpose: each figure must be seen to go bad when the mechanism behind it is off.

    holes    60 ms of silence, every 7 s                   gaps
    conceal  60 ms made of the 20 ms before, every 7 s     gaps
    skip     one second left out, in the middle            gaps
    loop     one second comes twice, in the middle         gaps
    delay    everything is heard 300 ms later              mouth_to_ear_*, speaker_to_speaker_*
    drift    the ear's clock runs 200 ppm off              drift_ms
    noise    noise 6 dB under the speech                    stoi_*
    sidetone speakers hear themselves in their return      own_voice_marks

All are done to the recordings, before the comparison. `mute` (path.py) is done to a publisher instead: it skips 60 ms of
its own sound every 7 s, so that the way is whole and what comes in has the hole.
"""

import numpy as np

from . import mark

EVERY_S = 7.0
HOLE_S = 0.060
DELAY_S = 0.300
DRIFT_PPM = 200.0
RECORDING = ("holes", "conceal", "skip", "loop", "delay", "drift", "noise", "sidetone")
PUBLISHER = ("mute",)


def holes(rate, length, every=EVERY_S):
    """First and last sample of each hole in a recording of `length` samples."""
    hole = round(HOLE_S * rate)
    # 0.61: in the middle of the speech of a second, not in its mark.
    return [(at, at + hole) for at in range(round((every + 0.61) * rate), length - hole, round(every * rate))]


def _middle(length, rate):
    """A sample near the middle that no rest between turns holds, whatever the lead before the first turn: see path.py."""
    return (length // 2 // (10 * rate)) * 10 * rate + round(4.6 * rate)


def sound(what, samples, rate=mark.RATE):
    """A damaged copy of a recording; the recording itself when `what` does not concern its samples."""
    middle, second = _middle(len(samples), rate), rate
    if what in ("holes", "conceal"):
        out = np.array(samples)
        last = rate // 50
        for begin, end in holes(rate, len(out)):
            if what == "conceal":
                count = -(-(end - begin) // last)
                out[begin:end] = np.tile(out[begin - last : begin], count)[: end - begin]
            else:
                out[begin:end] = 0.0
        return out
    if what == "skip":
        return np.concatenate([samples[:middle], samples[middle + second :]])
    if what == "loop":
        return np.concatenate([samples[:middle], samples[middle - second : middle], samples[middle:]])
    if what == "noise":
        power = np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
        return samples + np.random.default_rng(1).normal(0.0, 0.5 * power, len(samples)).astype(np.float32)
    return samples


def when(what, times):
    """Damaged times (seconds) of what was heard."""
    times = np.asarray(times, dtype=np.float64)
    if what == "delay":
        return times + DELAY_S
    if what == "drift" and len(times):
        return times + (times - times[0]) * DRIFT_PPM * 1e-6
    return times
