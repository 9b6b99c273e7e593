"""What a house spends in a time, by thread and by function, and what its beat says: from /proc, `/metrics` and `perf`."""

import os
import statistics
import time
import urllib.request
from collections import Counter
from pathlib import Path

from . import machine, sampling

_TICK = os.sysconf("SC_CLK_TCK")


class Spending:
    """Looks at one `house` (hearing.house.House) from outside. `house_pid`: the process that mixes; `pids`: all of the server's."""

    def __init__(self, house, folder):
        self.house, self.folder = house, Path(folder)
        self.pids = list(machine.family(house.pid))
        self.house_pid = next(pid for pid in self.pids if "beat" in machine.threads(pid).values())
        archives = sorted(Path(os.environ["HIWAR_BIN"]).parent.glob("build/opusic-sys-*/out/build/libopus.a"))
        self.codec_functions = sampling.functions(archives)

    def metrics(self):
        with urllib.request.urlopen(self.house.public + "/metrics", timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line and not line.startswith("#"))}

    def look(self):
        """Everything that is read at one moment."""
        spent = {pid: process_seconds(pid) for pid in self.pids}
        return {
            "at": time.monotonic(),
            "house_s": spent[self.house_pid],
            "all_s": sum(spent.values()),
            "threads_s": thread_seconds(self.house_pid),
            "machine_s": machine.totals(),
            "cores_s": machine.cores(),
            "metrics": self.metrics(),
        }

    def window(self, seconds):
        """What `seconds` cost, in percent of one core."""
        first = self.look()
        time.sleep(seconds)
        last = self.look()
        took = last["at"] - first["at"]
        percent = lambda name: 100 * (last[name] - first[name]) / took
        counted = {name: last["metrics"].get(name, value) - value for name, value in first["metrics"].items()}
        threads, turns = {}, {}
        for thread, (name, used, turned) in last["threads_s"].items():
            _, used_before, turned_before = first["threads_s"].get(thread, (name, 0.0, 0))
            threads[name] = round(threads.get(name, 0.0) + 100 * (used - used_before) / took, 3)
            turns[name] = round(turns.get(name, 0.0) + (turned - turned_before) / took, 1)
        stolen = last["machine_s"][1] - first["machine_s"][1]
        return {
            "seconds": took,
            "house_percent": percent("house_s"),
            "server_percent": percent("all_s"),
            "threads_percent": dict(sorted(threads.items(), key=lambda item: -item[1])),
            "threads_turns_per_s": dict(sorted(turns.items(), key=lambda item: -item[1])),
            "cores_busy_percent": [round(100 * (b - a) / took, 1) for a, b in zip(first["cores_s"], last["cores_s"])],
            "encodes": counted.get("hiwar_encodes_total", 0),
            "decodes": counted.get("hiwar_decodes_total", 0),
            "beats": counted["hiwar_beats_total"],
            "missed": counted["hiwar_beats_missed_total"],
            "stolen_percent": 100 * stolen / (last["machine_s"][2] - first["machine_s"][2]),
        }

    def window_by_function(self, seconds):
        """A window, and what of the house's CPU in it was spent in which functions."""
        looking = sampling.Sampling(self.house_pid, seconds, self.folder / "perf.data")
        window = self.window(seconds)
        counts = looking.counts()
        # The codec's functions, and what they call of libc and libm, which call nobody back.
        is_codec = lambda names, place: names[0] in self.codec_functions or place.startswith("lib") and any(n in self.codec_functions for n in names)
        total = counts.total()
        codec = sum(count for (_, names, place), count in counts.items() if is_codec(names, place))
        if not codec:
            raise RuntimeError("none of the codec's functions was seen: is the server built here, and not stripped?")
        others = Counter()
        for (thread, names, place), count in counts.items():
            if not is_codec(names, place):
                others[f"{thread}: {names[0]} ({place})"] += count
        window["codec_percent"] = window["house_percent"] * codec / total
        window["samples"] = total
        window["others_percent"] = {name: round(window["house_percent"] * count / total, 4) for name, count in others.most_common(200)}
        window["unnamed_percent"] = window["house_percent"] * sum(n for (_, names, _), n in counts.items() if names[0] == "[unknown]") / total
        return window

    def memory_kb(self):
        """Proportional and resident size of all the server's processes."""
        sums = {"Pss": 0, "Rss": 0}
        for pid in self.pids:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name in sums:
                    sums[name] += int(rest.split()[0])
        return sums


def median(windows, of):
    """The median of what `of` says of each window."""
    return statistics.median(of(window) for window in windows)


def process_seconds(pid):
    """User and system time of a process, of threads that have ended too: proc(5) stat, fields 14 and 15."""
    text = Path(f"/proc/{pid}/stat").read_text()
    fields = text[text.rindex(")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def thread_seconds(pid):
    """Thread to (name, seconds on a core, turns on it): proc(5) schedstat, in nanoseconds."""
    spent = {}
    for thread, name in machine.threads(pid).items():
        try:
            used, _, turns = Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()
            spent[thread] = (name, int(used) / 1e9, int(turns))
        except OSError:
            continue
    return spent
