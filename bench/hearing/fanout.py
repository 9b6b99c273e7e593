"""Judges the rungs of `bench/fanout`, and draws them. A row is what one server did for so many listeners once; a rung is all its rows at one number."""

from statistics import median
from xml.sax.saxutils import escape

ON_TIME_PERCENT = 99.9
"""Of all chunks, to hold a rung."""
CHUNKS_PERCENT = 98.0
"""Of the chunks that were due so many came at all; a second is not cut where a chunk is."""
WHOLE_SHARE = 0.98
"""Of those who came, to call a second whole: later, someone who is lost counts as a fault, and ends nothing."""
STOLEN_PERCENT, OTHERS_PERCENT = 1.0, 5.0
"""Of the machine by the hypervisor, and of the server's core by programs that have nothing to do with it: with more it was no measurement."""
SUBJECT, FLOOR = "hiwar", "floor"


def judged(report):
    """From a report's seconds, those in which everyone who came was there: how many listened, percent on time, percent of due chunks (200 ms) that came."""
    seconds = report["seconds"]
    most = max((second["listening"] for second in seconds), default=0)
    there = [n for n, second in enumerate(seconds) if second["listening"] > WHOLE_SHARE * most]
    # The first of them may have been joined in, and the last been left in.
    whole = seconds[there[0] + 1 : there[-1]] if there else []
    chunks, late, due = (sum(second[name] for second in whole) for name in ("chunks", "chunks_late", "listening"))
    return {
        "listening": min((second["listening"] for second in whole), default=0),
        "on_time_percent": 100 * (chunks - late) / chunks if chunks else 0.0,
        "chunks_percent": 100 * chunks / (5 * due) if due else 0.0,
        "judged_s": len(whole),
    }


def faults(row):
    """What should not have been, in words; empty if nothing."""
    found = [f"{count} x {what}" for what, count in row["faults"].items() if count]
    if row["listening"] < row["listeners"]:
        found.append(f"{row['listening']} of {row['listeners']} listened")
    if row["chunks_percent"] < CHUNKS_PERCENT:
        found.append(f"{row['chunks_percent']:.2f} % of the chunks came")
    return found + row["broke"]


def holds(row):
    """Whether everyone heard everything in time."""
    return row["on_time_percent"] >= ON_TIME_PERCENT and not faults(row)


def rungs(rows):
    """`{server: {listeners: rung}}`: the median of every number, and `holds` if more than half of the rows do."""
    grouped = {}
    for row in rows:
        grouped.setdefault(row["server"], {}).setdefault(row["listeners"], []).append(row)
    return {server: {n: _rung(those) for n, those in sorted(by_number.items())} for server, by_number in grouped.items()}


def _rung(rows):
    numbers = {name for row in rows for name, value in row.items() if isinstance(value, (int, float)) and not isinstance(value, bool)}
    middle = {name: median(row[name] for row in rows if row.get(name) is not None) for name in sorted(numbers)}
    return middle | {"holds": 2 * sum(map(holds, rows)) > len(rows), "times": len(rows)}


def listeners_max(by_number):
    """The largest rung that holds, as do all below it; 0 if none does."""
    best = 0
    for number, rung in by_number.items():
        if not rung["holds"]:
            break
        best = number
    return best


def figures(rows):
    """All figures of a run."""
    by_server = rungs(rows)
    most = {server: listeners_max(by_number) for server, by_number in by_server.items()}
    out = {"vs_floor_200ms": ratio(most.get(SUBJECT), most.get(FLOOR))}
    out |= {f"{server}_listeners_max_200ms": number for server, number in most.items()}
    # Compared where both do their work; else where both were asked to.
    same = min(most.get(SUBJECT, 0), most.get(FLOOR, 0)) or min(number for by_number in by_server.values() for number in by_number)
    at = {server: by_number.get(same, {}) for server, by_number in by_server.items()}
    out["compared_at"] = same
    out |= {f"{server}_core_percent": _rounded(rung.get("core_percent")) for server, rung in at.items()}
    subject, floor = at.get(SUBJECT, {}), at.get(FLOOR, {})
    out["vs_floor_cpu"] = ratio(floor.get("core_percent"), subject.get("core_percent"))
    out["vs_floor_cpu_worker"] = ratio(floor.get("worker_percent"), subject.get("worker_percent"))
    for name, title in _TIMES.items():
        out[title] = _rounded(subject.get(name))
        out[f"{FLOOR}_{title}"] = _rounded(floor.get(name))
    out["bytes_per_listener"] = _rounded(subject.get("bytes_per_listener"), 0)
    out["floor_bytes_per_listener"] = _rounded(floor.get("bytes_per_listener"), 0)
    out["on_time_percent"] = _rounded(subject.get("on_time_percent"), 3)
    out["unwanted"] = unwanted(rows, most)
    return out


_TIMES = {
    "lateness_ms_p50": "lateness_ms_p50",
    "lateness_ms_p99": "lateness_ms_p99",
    "lateness_ms_max": "lateness_ms_max",
    "join_ms_p50": "joins_ms_p50",
    "join_ms_p99": "joins_ms_p99",
}


def unwanted(rows, most):
    """Everything that should not have been, in words. That a server breaks down above what it holds is what was looked for."""
    found = []
    for row in rows:
        where = f"{row['server']} with {row['listeners']}"
        if row["listeners"] <= most[row["server"]]:
            found += [f"{where}: {what}" for what in faults(row)]
            if row["on_time_percent"] < ON_TIME_PERCENT:
                found.append(f"{where}: {row['on_time_percent']:.3f} % on time, once")
        if not row["generator_trusted"]:
            found.append(f"{where}: the generator was too busy to be believed")
        if row["stolen_percent"] > STOLEN_PERCENT:
            found.append(f"{where}: {row['stolen_percent']:.1f} % of the machine were stolen")
        if (others := row["core_busy_percent"] - row["core_percent"]) > OTHERS_PERCENT:
            found.append(f"{where}: others used {others:.0f} % of its core")
    return found + [f"{server} holds nothing" for server, number in most.items() if not number]


def ratio(above, below):
    """To three places; `None` if there is nothing to divide by."""
    return round(above / below, 3) if above is not None and below else None


def _rounded(value, places=1):
    return None if value is None else round(value, places) if places else round(value)


# ---- the plot

_COLOURS = {"hiwar": "#1f6fb4", "floor": "#767676", "icecast": "#c2571a", "nginx": "#2f8f5b"}
_STEPS = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
_WIDTH, _HEIGHT, _LEFT, _TOP = 400, 260, 60, 56
"""Of one panel's inside, and the room before and above it."""


def svg(rows):
    """Both panels, on-time percent and CPU of one core over listeners, a line for each server; rungs that do not hold are hollow."""
    by_server = rungs(rows)
    most = max(number for by_number in by_server.values() for number in by_number)
    least = min(rung["on_time_percent"] for by_number in by_server.values() for rung in by_number.values())
    low = 99.0 if least >= 99.0 else 10 * (least // 10)
    busiest = max(rung["core_percent"] for by_number in by_server.values() for rung in by_number.values())
    right = 2 * (_LEFT + _WIDTH) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right} {_TOP + _HEIGHT + 50}" font-family="sans-serif" font-size="12" fill="#333">',
        f'<rect width="{right}" height="{_TOP + _HEIGHT + 50}" fill="#fff"/>',
        *_legend(by_server),
        *_panel(by_server, most, _LEFT, "Chunks on time, percent", "on_time_percent", (low, 100.0), ON_TIME_PERCENT),
        *_panel(by_server, most, 2 * _LEFT + _WIDTH, "CPU of the server, percent of one core", "core_percent", (0.0, max(100.0, busiest)), None),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _legend(by_server):
    x = _LEFT
    for server in by_server:
        yield f'<circle cx="{x + 5}" cy="16" r="4" fill="{_colour(server)}"/><text x="{x + 14}" y="20">{escape(server)}</text>'
        x += 90
    yield f'<text x="{x}" y="20" fill="#767676">hollow: not held</text>'


def _panel(by_server, most, left, title, field, span, line):
    low, high = span
    across = lambda number: left + _WIDTH * number / most
    up = lambda value: _TOP + _HEIGHT * (1 - (min(max(value, low), high) - low) / (high - low))
    yield f'<text x="{left}" y="{_TOP - 12}" font-weight="bold">{escape(title)}</text>'
    for n in range(6):
        value = low + (high - low) * n / 5
        yield f'<line x1="{left}" x2="{left + _WIDTH}" y1="{up(value):.1f}" y2="{up(value):.1f}" stroke="#e4e4e4"/>'
        yield f'<text x="{left - 6}" y="{up(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
    step = next((step for step in _STEPS if most / step <= 6), most)
    for number in range(0, most + 1, step):
        yield f'<text x="{across(number):.1f}" y="{_TOP + _HEIGHT + 18}" text-anchor="middle">{number:,}</text>'
    yield f'<text x="{left + _WIDTH / 2}" y="{_TOP + _HEIGHT + 38}" text-anchor="middle">listeners</text>'
    if line is not None:
        yield f'<line x1="{left}" x2="{left + _WIDTH}" y1="{up(line):.1f}" y2="{up(line):.1f}" stroke="#333" stroke-dasharray="4 3"/>'
    # The first of them on top.
    for server, by_number in reversed(by_server.items()):
        points = [(across(number), up(rung[field]), rung["holds"]) for number, rung in by_number.items()]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
        yield f'<polyline points="{path}" fill="none" stroke="{_colour(server)}" stroke-width="2"/>'
        for x, y, held in points:
            fill = _colour(server) if held else "#fff"
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{_colour(server)}" stroke-width="2"/>'


def _colour(server):
    return _COLOURS.get(server, "#333")
