"""Judges the rungs of `bench/fanout`, and draws them. A row is what one server did for so many listeners once; a rung is all its rows at one number."""

from statistics import median
from xml.sax.saxutils import escape

ON_TIME_PERCENT = 99.9
"""Of all chunks, to hold a rung."""
CHUNKS_PERCENT, LONG_CHUNKS_PERCENT = 98.0, 94.0
"""Of the chunks that were due so many came at all; a second is not cut where a chunk is. Where two seconds of them come at once, a tenth of the listeners has them on the other side of
the cut when they come a moment later. What is left out is a fault, however little it is; this finds a server that falls silent."""
WHOLE_SHARE = 0.98
"""Of those who came, to call a second whole: later, someone who is lost counts as a fault, and ends nothing."""
STOLEN_PERCENT, OTHERS_PERCENT = 1.0, 5.0
"""Of the machine by the hypervisor, and of the server's core by programs that have nothing to do with it: with more it was no measurement."""
SUBJECT, FLOOR = "hiwar", "floor"
MODES = ("200ms", "2s", "2s_tls")
VS_FLOOR_MIN, LATENESS_MS_MAX, BYTES_MAX, BYTES_TLS_MAX = 0.9, 500, 1_000, 9_000
"""What is wanted of Hiwar."""
JUDGED = ("lateness_ms_p99", "on_time_percent", "bytes_per_listener")
"""Of every mode in which it runs beside the floor these must be known, and how it compares: what is not known has not come to its bound."""


class Climb:
    """Which numbers of listeners one server is tried with: coarse steps until one is not held, then halves between what was held and what was not, down to
    `fine`; then what was held once more, and once more if the two differ. What holds once of three was not held, and it goes on between that and what was held below,
    `RETREATS` times. `most` is the last that is tried."""

    RETREATS = 3
    """Who holds so many first and then not is too unsteady to be found out: what is below counts as it was."""

    def __init__(self, coarse, fine, most):
        self.coarse, self.fine, self.most = sorted(coarse), fine, most
        self.held, self.failed = [0], None
        self.again = []
        """What came of the largest that was held, the times after the first."""
        self.retreats = 0

    def next(self):
        """How many listeners are next; None when all is known."""
        best = self.held[-1]
        if self.retreats == self.RETREATS:
            return None
        if self.failed is None and best < self.most:
            more = [n for n in self.coarse if n > best]
            step = self.coarse[-1] - self.coarse[-2] if len(self.coarse) > 1 else self.fine
            return min(more[0] if more else best + step, self.most)
        if self.failed is not None and self.failed - best > self.fine and not self.again:
            return best + max(1, round((self.failed - best) / 2 / self.fine)) * self.fine
        # Twice is enough if both say the same; else the third decides.
        return best if best and (not self.again or self.again == [False]) else None

    def turn(self):
        """0 the first time that a number is tried, then 1, 2."""
        return 1 + len(self.again) if self.next() == self.held[-1] else 0

    def told(self, holds):
        """What came of `next`."""
        number = self.next()
        if number == self.held[-1]:
            self.again.append(holds)
            if self.again == [False, False]:
                self.failed, self.again = self.held.pop(), []
                self.retreats += 1
        elif holds:
            self.held.append(number)
        else:
            self.failed = number


def judged(report, pieces_per_s=5.0, cadence_ms=200):
    """From a report's seconds, those from when everyone who came was there to when they went: how many listened, percent on time, percent of due pieces that came."""
    seconds = report["seconds"]
    most = max((second["listening"] for second in seconds), default=0)
    # The first of them was joined in, and the last may have been left in. Who is lost meanwhile is missed: they are not the end.
    all_there = next((n for n, second in enumerate(seconds) if second["listening"] == most), 0)
    there = [n for n, second in enumerate(seconds) if second["listening"] > WHOLE_SHARE * most]
    whole = seconds[all_there + 1 : there[-1]] if there else []
    # Who came last had the beginning of their first long piece at once, and the rest is shorter; and of a server that writes to all in the same moment only whole cadences are looked at.
    long_s = cadence_ms // 1000
    whole = whole[long_s:]
    whole = whole[len(whole) % max(1, long_s) :]
    chunks, late, due = (sum(second[name] for second in whole) for name in ("chunks", "chunks_late", "listening"))
    return {
        "listening": min((second["listening"] for second in whole), default=0),
        "on_time_percent": 100 * (chunks - late) / chunks if chunks else 0.0,
        "chunks_percent": 100 * chunks / (pieces_per_s * due) if due else 0.0,
        "judged_s": len(whole),
    }


def faults(row):
    """What should not have been, in words; empty if nothing."""
    found = [f"{count} x {what}" for what, count in row["faults"].items() if count]
    if row["listening"] < row["listeners"]:
        found.append(f"{row['listening']} of {row['listeners']} listened")
    if row["chunks_percent"] < (CHUNKS_PERCENT if row["mode"] == "200ms" else LONG_CHUNKS_PERCENT):
        found.append(f"{row['chunks_percent']:.2f} % of the chunks came")
    return found + row["broke"]


def is_late(row):
    """Whether its lateness is more than is wanted of Hiwar, and so of the floor beside it. Others are not asked: how they write is theirs."""
    return row["server"] in (SUBJECT, FLOOR) and (row["lateness_ms_p99"] or 0) > LATENESS_MS_MAX


def holds(row):
    """Whether everyone heard everything in time."""
    return row["on_time_percent"] >= ON_TIME_PERCENT and not is_late(row) and not faults(row)


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


def by_mode(rows):
    """`{mode: its rows}`, in the order of MODES; those without a row are left out."""
    found = {mode: [row for row in rows if row["mode"] == mode] for mode in MODES}
    return {mode: those for mode, those in found.items() if those}


def figures(rows):
    """All figures of a run."""
    out, lateness, on_time, plain_bytes = {}, [], [], []
    unwanted_ones = []
    for mode, those in by_mode(rows).items():
        found, at = _figures_of(mode, those)
        out |= found
        unwanted_ones += unwanted(those, {server: listeners_max(by_number) for server, by_number in rungs(those).items()})
        if {SUBJECT, FLOOR} <= {row["server"] for row in those}:
            figured = {f"vs_floor_{mode}": found[f"vs_floor_{mode}"]} | {f"{name} of {mode}": at.get(name) for name in JUDGED}
            unwanted_ones += [f"there is no {name}" for name, value in figured.items() if value is None]
        if at:
            lateness.append(at.get("lateness_ms_p99"))
            on_time.append(at.get("on_time_percent"))
            if mode.endswith("_tls"):
                out["bytes_per_listener_tls"] = _rounded(at.get("bytes_per_listener"), 0)
            else:
                plain_bytes.append(at.get("bytes_per_listener"))
    known = lambda values: [value for value in values if value is not None]
    out["lateness_ms_p99"] = _rounded(max(known(lateness), default=None))
    out["on_time_percent"] = _rounded(min(known(on_time), default=None), 3)
    out["bytes_per_listener"] = _rounded(max(known(plain_bytes), default=None), 0)
    out["icecast_listeners_max"] = out.pop("icecast_listeners_max_200ms", None)
    out["nginx_hls_listeners_max"] = out.pop("nginx_hls_listeners_max_2s", None)
    out["unwanted"] = unwanted_ones + bounds(out)
    return out


def _figures_of(mode, rows):
    """The figures of one mode; and Hiwar's rung at which it is held against the floor."""
    by_server = rungs(rows)
    most = {server: listeners_max(by_number) for server, by_number in by_server.items()}
    out = {f"vs_floor_{mode}": ratio(most.get(SUBJECT), most.get(FLOOR))} if FLOOR in most else {}
    out |= {f"{server}_listeners_max_{mode}": number for server, number in most.items()}
    # Compared where both do their work: at the largest number that both were tried with and hold; else where both were asked to.
    tried = [by_server.get(server, {}) for server in (SUBJECT, FLOOR) if server in by_server]
    both = sorted(set.intersection(*map(set, tried))) if tried else []
    held = [n for n in both if all(by_number[n]["holds"] for by_number in tried)]
    same = held[-1] if held else both[0] if both else max(tried[0]) if tried else None
    subject, floor = (by_server.get(server, {}).get(same, {}) for server in (SUBJECT, FLOOR))
    out[f"compared_at_{mode}"] = same
    for name in ("core_percent", "worker_percent", *_TIMES, "bytes_per_listener"):
        title = _TIMES.get(name, name)
        out |= {f"{server}_{title}_{mode}": _rounded(one.get(name)) for server, one in ((SUBJECT, subject), (FLOOR, floor)) if one}
    if subject and floor:
        out[f"vs_floor_cpu_{mode}"] = ratio(floor.get("core_percent"), subject.get("core_percent"))
        out[f"vs_floor_cpu_worker_{mode}"] = ratio(floor.get("worker_percent"), subject.get("worker_percent"))
    return out, subject


_TIMES = {
    "lateness_ms_p50": "lateness_ms_p50",
    "lateness_ms_p99": "lateness_ms_p99",
    "lateness_ms_max": "lateness_ms_max",
    "join_ms_p50": "joins_ms_p50",
    "join_ms_p99": "joins_ms_p99",
}


def bounds(out):
    """Which of the wanted figures are not as they are to be, in words. (Of those that are not there `figures` tells.)"""
    wanted = [(f"vs_floor_{mode}", "at least", VS_FLOOR_MIN) for mode in MODES]
    wanted += [("on_time_percent", "at least", ON_TIME_PERCENT), ("lateness_ms_p99", "at most", LATENESS_MS_MAX)]
    wanted += [("bytes_per_listener", "at most", BYTES_MAX), ("bytes_per_listener_tls", "at most", BYTES_TLS_MAX)]
    bad = lambda value, how, bound: value < bound if how == "at least" else value > bound
    return [f"{name} is {out[name]}, wanted {how} {bound}" for name, how, bound in wanted if out.get(name) is not None and bad(out[name], how, bound)]


def unwanted(rows, most):
    """Everything that should not have been, in words. That a server breaks down above what it holds is what was looked for."""
    found = []
    for row in rows:
        where = f"{row['server']} {row['mode']} with {row['listeners']}"
        if row["listeners"] <= most[row["server"]]:
            found += [f"{where}: {what}" for what in faults(row)]
            if row["on_time_percent"] < ON_TIME_PERCENT:
                found.append(f"{where}: {row['on_time_percent']:.3f} % on time, once")
            if is_late(row):
                found.append(f"{where}: lateness p99 of {row['lateness_ms_p99']:.0f} ms, once")
        if not row["generator_trusted"]:
            found.append(f"{where}: the generator was too busy to be believed")
        if row["stolen_percent"] > STOLEN_PERCENT:
            found.append(f"{where}: {row['stolen_percent']:.1f} % of the machine were stolen")
        # What the network has to do for the server, and does later, is not others'.
        if (others := row["core_busy_percent"] - row["core_percent"] - row.get("softirqs_percent", 0.0)) > OTHERS_PERCENT:
            found.append(f"{where}: others used {others:.0f} % of its core")
    return found + [f"{server} {rows[0]['mode']} holds nothing" for server, number in most.items() if not number]


def change(report, summary, cores, listeners, died):
    """The figures of the part in which the cadence changes while people listen. `cores`: percent of a core that the workers needed before, at two seconds, and after."""
    seconds = report["seconds"]
    come = next((n for n, second in enumerate(seconds) if second["listening"] >= listeners), None)
    there = [] if come is None else seconds[come:-1]
    return {
        "change_listeners": max((second["listening"] for second in seconds), default=0),
        # Everybody leaves in the last second, which is not looked at.
        "change_dropped": sum(second["left"] for second in there) + (0 if there else listeners),
        "change_faults": report["faults"],
        "stall_ms_p99": summary.get("stall_ms_p99"),
        "change_stalled_listener_seconds": summary.get("stalled_listener_seconds"),
        "change_on_time_percent": summary.get("on_time_percent"),
        **{f"change_worker_percent_{name}": percent for name, percent in cores.items()},
        "change_server_died": died,
        "change_asked": listeners,
    }


def change_unwanted(found):
    """What should not have been in it, in words."""
    if not found:
        return []
    bad = []
    if found["change_listeners"] < found["change_asked"]:
        bad.append(f"change: {found['change_listeners']} of {found['change_asked']} listened")
    if found["change_dropped"]:
        bad.append(f"change: {found['change_dropped']} were dropped")
    bad += [f"change: {count} x {what}" for what, count in found["change_faults"].items() if count]
    if found["stall_ms_p99"] is None:
        bad.append("change: the crowd does not say how long players stood still")
    elif found["stall_ms_p99"] > 0:
        bad.append(f"change: stall_ms_p99 is {found['stall_ms_p99']}, wanted 0")
    # A write costs what it costs, so that a tenth of them cost far less: or nothing changed.
    if not found["change_worker_percent_2s"] < 0.7 * found["change_worker_percent_200ms"]:
        bad.append("change: workers did as much at two seconds as at 200 ms")
    if found["change_server_died"]:
        bad.append("change: the server ended")
    return bad


def ratio(above, below):
    """To three places; `None` if there is nothing to divide by."""
    return round(above / below, 3) if above is not None and below else None


def _rounded(value, places=1):
    return None if value is None else round(value, places) if places else round(value)


# ---- the plot

_COLOURS = {"hiwar": "#1f6fb4", "floor": "#767676", "icecast": "#c2571a", "nginx_hls": "#2f8f5b"}
_NAMES = {"hiwar": "Hiwar", "floor": "bare loop", "icecast": "icecast2", "nginx_hls": "nginx, HLS"}
_TITLES = {"200ms": "a write each 200 ms", "2s": "a write each 2 s", "2s_tls": "a write each 2 s, TLS 1.3"}
_STEPS = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
_WIDTH, _HEIGHT, _LEFT, _TOP, _ROW = 400, 220, 60, 70, 310
"""Of one panel's inside, the room before and above it, and from one row of panels to the next."""


def svg(rows):
    """A row of panels for each mode: on-time percent and CPU of one core over listeners, a line for each server; rungs that do not hold are hollow."""
    modes = by_mode(rows)
    right, bottom = 2 * (_LEFT + _WIDTH) + 40, 30 + _ROW * len(modes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right} {bottom}" font-family="sans-serif" font-size="12" fill="#333">',
        f'<rect width="{right}" height="{bottom}" fill="#fff"/>',
        *_legend(dict.fromkeys(row["server"] for row in rows)),
    ]
    for n, (mode, those) in enumerate(modes.items()):
        by_server, top = rungs(those), _TOP + n * _ROW
        most = max(number for by_number in by_server.values() for number in by_number)
        least = min(rung["on_time_percent"] for by_number in by_server.values() for rung in by_number.values())
        low = 99.0 if least >= 99.0 else 10 * (least // 10)
        busiest = max(rung["core_percent"] for by_number in by_server.values() for rung in by_number.values())
        title = _TITLES[mode]
        parts += _panel(by_server, most, (_LEFT, top), f"On time, percent: {title}", "on_time_percent", (low, 100.0), ON_TIME_PERCENT)
        parts += _panel(by_server, most, (2 * _LEFT + _WIDTH, top), f"CPU, percent of one core: {title}", "core_percent", (0.0, max(100.0, busiest)), None)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend(those):
    x = _LEFT
    for server in those:
        yield f'<circle cx="{x + 5}" cy="16" r="4" fill="{_colour(server)}"/><text x="{x + 14}" y="20">{escape(_NAMES.get(server, server))}</text>'
        x += 100
    yield f'<text x="{x}" y="20" fill="#767676">hollow: not held</text>'


def _panel(by_server, most, corner, title, field, span, line):
    (left, top), (low, high) = corner, span
    across = lambda number: left + _WIDTH * number / most
    up = lambda value: top + _HEIGHT * (1 - (min(max(value, low), high) - low) / (high - low))
    yield f'<text x="{left}" y="{top - 12}" font-weight="bold">{escape(title)}</text>'
    for n in range(6):
        value = low + (high - low) * n / 5
        yield f'<line x1="{left}" x2="{left + _WIDTH}" y1="{up(value):.1f}" y2="{up(value):.1f}" stroke="#e4e4e4"/>'
        yield f'<text x="{left - 6}" y="{up(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
    step = next((step for step in _STEPS if most / step <= 6), most)
    for number in range(0, most + 1, step):
        yield f'<text x="{across(number):.1f}" y="{top + _HEIGHT + 18}" text-anchor="middle">{number:,}</text>'
    yield f'<text x="{left + _WIDTH / 2}" y="{top + _HEIGHT + 38}" text-anchor="middle">listeners</text>'
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
