"""What the machine spent and lost, from /proc: CPU of our processes, time stolen from all, packets between its own programs."""

import contextlib
import os
from pathlib import Path

_BACKLOG, ROOM = Path("/proc/sys/net/core/netdev_max_backlog"), 100_000
_TICK = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    # After the name in parentheses, which may hold anything: proc(5), fields 3 and on.
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2 :].split()


def family(pid):
    """`pid` and all its descendants: pid to CPU seconds."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int(_stat(folder.name)[1])
            except (OSError, ValueError):
                continue
    found, new = set(), {pid}
    while new:
        found |= new
        new = {child for child, parent in parents.items() if parent in new} - found
    spent = {}
    for one in found:
        try:
            fields = _stat(one)
        except OSError:
            continue
        spent[one] = (int(fields[11]) + int(fields[12])) / _TICK
    return spent


def workers(pid):
    """Hiwar's processes that serve listeners at the public port, of the supervisor `pid`."""
    return [one for one in family(pid) if _role(one) == "crowd"]


def house(pid):
    """The one that mixes and knows everything, of the supervisor `pid`."""
    return next(one for one in family(pid) if _role(one) == "house")


def reserved(pid):
    """The one that serves the stage port."""
    return [one for one in family(pid) if _role(one) == "reserved"]


def threads(pid):
    """Names of a process's threads, by id; empty if it has ended."""
    names = {}
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            names[task.name] = (task / "comm").read_text().strip()
    except OSError:
        pass
    return names


def totals():
    """`(busy, stolen, all)` seconds of all cores since the machine began."""
    values = [int(value) / _TICK for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    everything = sum(values)
    return everything - values[3] - values[4], values[7], everything


def cores():
    """Busy seconds of each core since the machine began."""
    lines = [line.split() for line in Path("/proc/stat").read_text().splitlines() if line.startswith("cpu")]
    return [sum(int(value) for place, value in enumerate(words[1:9]) if place not in (3, 4)) / _TICK for words in lines[1:]]


@contextlib.contextmanager
def roomy_loopback():
    """Room for 100,000 packets on their way between programs of this machine, instead of 1,000: what a crowd sends in one burst fills that queue, and then it drops what others
    send, speakers too. A crowd that is elsewhere comes by a network card, which has no such queue. Without root it stays as it is; what is lost is counted ([`lost`])."""
    before = _BACKLOG.read_text()
    with contextlib.suppress(OSError):
        _BACKLOG.write_text(str(max(ROOM, int(before))))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            _BACKLOG.write_text(before)


def lost():
    """Packets that this machine dropped since it began because that queue was full: the second column of softnet_stat, of all cores."""
    return sum(int(line.split()[1], 16) for line in Path("/proc/net/softnet_stat").read_text().splitlines())


class Meter:
    """CPU between two moments."""

    def __init__(self, pid):
        self.pid = pid
        self.first = family(pid)
        self.first_totals = totals()

    def read(self, seconds):
        """Percent of one core of each process by its role, and what was stolen from the machine, over `seconds`."""
        roles = {}
        for pid, spent in family(self.pid).items():
            role = _role(pid)
            roles[role] = roles.get(role, 0.0) + 100.0 * (spent - self.first.get(pid, 0.0)) / seconds
        busy, stolen, everything = (b - a for a, b in zip(self.first_totals, totals()))
        return {
            "cpu_percent_of_core": {role: round(percent, 2) for role, percent in sorted(roles.items())},
            "machine_busy_percent": round(100.0 * busy / max(everything, 1e-9), 1),
            "machine_stolen_percent": round(100.0 * stolen / max(everything, 1e-9), 2),
        }


def _role(pid):
    """The part of one of Hiwar's processes: the supervisor tells its children by a variable, as JSON."""
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "replace").lower()
        line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "ended"
    if b"child" not in line:
        return "supervisor"
    if '"house"' in environ:
        return "house"
    if '"post":"redirect"' in environ:
        return "redirect"
    return "reserved" if '"post":"stage"' in environ else "crowd"
