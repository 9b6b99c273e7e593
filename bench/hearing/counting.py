"""What a house counted, held against a crowd that knows: for `./x soak`. Pure."""

import re

SLOPE_MAX, MISSED_MAX, ON_TIME_MIN = 1.0, 1.0, 99.9
ALONE = 1
"""One of each crowd listens alone first (`voices listen`), and is in no report."""


def compared(told, before, after):
    """`told`: by space, `(summary, report)` of the crowd that was there alone between two looks at `/metrics`, `before` and `after`. Nobody was there at either."""
    came = {space: ALONE + sum(second["joined"] for second in report["seconds"]) for space, (_, report) in told.items()}
    name = "hiwar_joined_total"
    house = after[name] - before.get(name, 0.0) if name in after else None
    by_space = {space: _of(space, after) - _of(space, before) for space in told if _of(space, after) is not None}
    off = [abs(by_space[space] - came[space]) for space in by_space]
    left = [after[name] for name in ("hiwar_listeners", "hiwar_rehearsal_listeners") if name in after]
    return {
        "counted_by_crowd": sum(came.values()),
        "counted_by_house": None if house is None else int(house),
        "counts_off": None if house is None else int(house) - sum(came.values()),
        "counts_off_space_max": int(max(off)) if off else None,
        "counted_at_the_end": int(sum(left)) if left else None,
    }


def _of(space, metrics):
    pattern = re.compile(rf'hiwar_space_joined_total\{{[^}}]*space="{re.escape(space)}"[^}}]*\}}')
    return next((value for name, value in metrics.items() if pattern.fullmatch(name)), None)


def heard(told):
    """What that crowd heard."""
    reports = [report for _, report in told.values()]
    seconds = [second for report in reports for second in report["seconds"]]
    chunks, late = (sum(second[name] for second in seconds) for name in ("chunks", "chunks_late"))
    faults = {}
    for report in reports:
        for what, count in report["faults"].items():
            faults[what] = faults.get(what, 0) + count
    return {
        "listeners_refused": sum(second["failed"] for second in seconds),
        "listeners_faults": faults,
        "on_time_percent": round(100 * (chunks - late) / chunks, 3) if chunks else 0.0,
        "stalled_listener_seconds": sum(second["stalled"] for second in seconds),
    }


def unwanted(result):
    """What should not have been, in words."""
    bad = []
    for name in ("counts_off", "counts_off_space_max", "counted_at_the_end"):
        if result[name] is None:
            bad.append(f"{name}: the server does not say")
        elif result[name]:
            bad.append(f"{name} is {result[name]}, wanted 0")
    bad += [f"{count} x {what}" for what, count in result["listeners_faults"].items() if count]
    if result["on_time_percent"] < ON_TIME_MIN:
        bad.append(f"on_time_percent is {result['on_time_percent']}, wanted {ON_TIME_MIN}")
    if (result["rss_slope_mb_per_h_max"] or 0.0) >= SLOPE_MAX:
        bad.append(f"rss_slope_mb_per_h is {result['rss_slope_mb_per_h']}, wanted less than {SLOPE_MAX}")
    if result["fd_leak_max"] > 0:
        bad.append(f"fd_leak is {result['fd_leak']}, wanted 0")
    if result["beats_missed_per_10000"] > MISSED_MAX:
        bad.append(f"beats_missed_per_10000 is {result['beats_missed_per_10000']}, wanted {MISSED_MAX}")
    return bad
