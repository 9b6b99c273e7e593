"""`./x bench fanout`: the same programme to ever more listeners, by Hiwar, by a loop that does nothing else, by icecast2 and by nginx with HLS, on one core each time.

    bench/fanout [--quick] [--only MODE...] [--servers NAME...] [--rungs N...] [--keep DIR | --resume DIR] [--plot FILE] [--workers N] [--break WHAT]

Modes: 200ms, 2s, 2s_tls; change is a part of its own: the cadence changes while people listen. The server is pinned to core 0, everybody else to core 1. `--quick` is one small rung
of each for seconds. `--keep` keeps every row in DIR as soon as it is there, and every report; `--resume` goes on with what a run that broke off has kept. `--plot` draws the rungs as
SVG. `--break` switches a mechanism off on purpose, to see its figure go bad. docs/measured/fanout.md says what each figure means. The last line is one JSON object. The
server is HIWAR_BIN; `voices` (HIWAR_VOICES) and `floor` (HIWAR_FLOOR) are of crates/rehearsal, built here in release.
"""

import argparse
import contextlib
import json
import math
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from . import fanout, identity, limits, machine, processes, programme, rehearsal, servers

LADDERS = {
    # Coarse steps, the finest one, and where to stop.
    "200ms": ((12_000, 17_000, 19_500), 1_000, 24_000),
    "2s": ((150_000, 200_000), 10_000, 240_000),
    "2s_tls": ((100_000, 130_000), 8_000, 160_000),
    "icecast": ((10_000, 16_000, 19_000), 1_500, 19_000),
    "nginx_hls": ((36_000, 50_000), 4_000, 70_000),
}
QUICK = 1_000
WITHIN_S_MIN = 5
ALL_SHARE = 0.999
"""Of the sockets that there will be: some of others come and go meanwhile."""
PATIENCE_S = 12
"""A server that puts listeners before those who come is full when its listeners are, not when they cannot all come at once: so long the last may take."""
SETTLED_S = 1.0
"""From when all are there to where the CPU is read."""
CHANGE_LISTENERS, CHANGE_WITHIN_S = 19_000, 8
NOTICE_S = 26
"""Existing listeners move so long after they are told (docs/formats/event.md)."""
BREAKS = {
    "slow": "Hiwar's workers stand still for 1.5 s of every 3 (SIGSTOP): late, and lateness_ms_p99",
    "hoard": "as many others as may hold half a request of 7 kB open at Hiwar's workers: bytes_per_listener, of --quick",
    "ignore": "players do not do what the notice says: stall_ms_p99 of the change",
}


def main():
    options = _options()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    began = time.monotonic()
    with machine.roomy_loopback(), tempfile.TemporaryDirectory(prefix="hiwar-fanout-") as folder:
        bench = Bench(Path(folder), options)
        try:
            bench.go(options.only)
        finally:
            processes.stop_all()
    if options.plot:
        Path(options.plot).write_text(fanout.svg(bench.rows))
    result = fanout.figures(bench.rows) | bench.changed
    result["unwanted"] += bench.impossible + fanout.change_unwanted(bench.changed)
    print(json.dumps(result | {"broken": options.broken, "seconds": round(time.monotonic() - began)}), flush=True)


def _options():
    parser = argparse.ArgumentParser(prog="bench/fanout", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=(*servers.MODES, "change"), default=(*servers.MODES, "change"))
    parser.add_argument("--servers", nargs="+", choices=[kind.name for kind in servers.SERVERS], default=[kind.name for kind in servers.SERVERS])
    parser.add_argument("--rungs", type=int, nargs="+", metavar="N", help="these and no others, for every server and mode")
    parser.add_argument("--workers", type=int, metavar="N", help=f"processes of each server [default: one for each {servers.PROCESS_LISTENERS} listeners]")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--keep", metavar="DIR")
    kept.add_argument("--resume", metavar="DIR")
    parser.add_argument("--plot", metavar="FILE")
    parser.add_argument("--break", dest="broken", choices=BREAKS)
    return parser.parse_args()


def say(text):
    print(f"  {text}", file=sys.stderr, flush=True)


class Bench:
    """What all rungs share."""

    def __init__(self, folder, options):
        self.folder, self.broken, self.quick, self.workers = folder, options.broken, options.quick, options.workers
        self.rungs = options.rungs or ([QUICK] if options.quick else None)
        self.kinds = [kind for kind in servers.SERVERS if kind.name in options.servers]
        kept = options.keep or options.resume
        self.keep = Path(kept) if kept else None
        self.rows, self.changed, self.impossible = [], {}, []
        if self.keep:
            self.keep.mkdir(parents=True, exist_ok=True)
        if options.resume and (self.keep / "fanout.json").exists():
            self.rows = json.loads((self.keep / "fanout.json").read_text())
            # Judged anew: what is asked may have become more.
            self.rows = [row | {"holds": fanout.holds(row)} for row in self.rows]
            say(f"{len(self.rows)} rows are there already")
        if options.resume and (self.keep / "change.json").exists():
            self.changed = json.loads((self.keep / "change.json").read_text())
        self.voices, self.floor = rehearsal.voices(), rehearsal.floor()
        if os.cpu_count() < 2:
            raise SystemExit("fanout needs two cores: one for the server, one for everybody else")
        os.sched_setaffinity(0, {int(servers.CAST_CORE)})
        self.identity = identity.make(folder)
        self.recorded = folder / "recorded"
        self.recorded.mkdir()
        self.known = limits.facts()

    def go(self, parts):
        modes = [mode for name, mode in servers.MODES.items() if name in parts]
        absent = [kind.name for kind in self.kinds if not servers.installed(kind)]
        self.impossible += [f"{name} is not here" for name in absent]
        self.kinds = [kind for kind in self.kinds if kind.name not in absent]
        if modes and any(kind is not servers.Hiwar for kind in self.kinds):
            self._record(modes)
        for mode in modes:
            there = [kind for kind in self.kinds if mode.name in kind.modes]
            # Those that are held against each other go up side by side, in the same mood of the machine; others by themselves.
            self._climb([kind for kind in there if kind in (servers.Hiwar, servers.Floor)], mode, mode.name)
            for kind in there:
                if kind not in (servers.Hiwar, servers.Floor):
                    self._climb([kind], mode, kind.name)
        if "change" in parts and servers.Hiwar in self.kinds and not self.changed:
            self.changed = self._change()
            self._save("change.json", self.changed)

    def _record(self, modes):
        """The conversation as one listener hears it, for as long as the longest rung lasts: what the others are given to play."""
        most = [(kind, mode, max(self.rungs or [self._ladder(kind, mode)[2]])) for mode in modes for kind in self.kinds if mode.name in kind.modes]
        seconds = max((self._lasts(kind, mode, number) for kind, mode, number in most), default=0) + 15
        say(f"recording {seconds} s of a conversation")
        server = servers.Hiwar(self, self.folder / "origin", 1, servers.MODES["200ms"])
        programme.record(server.house.public, server.space, self.recorded, seconds)
        server.end()

    def _ladder(self, kind, mode):
        return LADDERS.get(kind.name, LADDERS[mode.name])

    def _within(self, kind, mode, listeners):
        return max(WITHIN_S_MIN, math.ceil(listeners / getattr(kind, "joins_per_s", mode.joins_per_s)))

    def _judged(self, mode):
        return 8 if self.quick else mode.judged_s

    def _lasts(self, kind, mode, listeners):
        alone = max(3, 2 * mode.cadence_ms / 1000)
        return math.ceil(self._within(kind, mode, listeners) + alone + PATIENCE_S + self._judged(mode) + 10)

    def _climb(self, kinds, mode, ladder):
        """Coarse steps until none holds, then halves between what held and what did not, and what is held once more; servers take turns."""
        coarse, fine, most = LADDERS[ladder]
        for kind in kinds[:1] if self.rungs else []:
            for listeners in sorted(self.rungs):
                [self.run(kind, mode, listeners, 0) for kind in kinds]
            return
        state = {kind: fanout.Climb(coarse, fine, most) for kind in kinds}
        while any(climb.next() for climb in state.values()):
            for kind, climb in state.items():
                if listeners := climb.next():
                    row = self.run(kind, mode, listeners, climb.turn())
                    climb.told(row["holds"] if row else False)

    def run(self, kind, mode, listeners, turn):
        """One row: one server, so many listeners, once. None if this machine cannot."""
        name = f"{kind.name}-{mode.name}-{listeners}-{turn}"
        same = lambda row: (row["server"], row["mode"], row["listeners"], row["turn"]) == (kind.name, mode.name, listeners, turn)
        if there := next(filter(same, self.rows), None):
            return there
        if why := limits.impossible(listeners, mode.secure, mode.cadence_ms, servers.PROCESS_LISTENERS, self.known):
            self.impossible.append(f"{kind.name} {mode.name} with {listeners}: this machine cannot: {'; '.join(why)}")
            say(self.impossible[-1])
            return None
        reports = (self.keep or self.folder) / f"{name}-report"
        quiet, server = _sockets(), kind(self, self.folder / name, listeners, mode)
        try:
            row = {"server": kind.name, "mode": mode.name, "listeners": listeners, "turn": turn} | self._listen(server, mode, listeners, reports)
        finally:
            server.end()
        _until(lambda: _sockets() < quiet + 100, 60)
        row["holds"] = fanout.holds(row)
        self.rows.append(row)
        self._save("fanout.json", self.rows)
        say(
            f"{kind.name} {mode.name} with {listeners}: {row['on_time_percent']:.3f} % on time, lateness p99 {row['lateness_ms_p99']} ms, "
            f"{row['core_percent']:.1f} % of a core, {row['bytes_per_listener']:.0f} bytes each, {'held' if row['holds'] else 'not held'}"
            f"{''.join('; ' + what for what in fanout.faults(row))}"
        )
        return row

    def _save(self, file, what):
        if self.keep:
            other = self.keep / f"{file}.new"
            other.write_text(json.dumps(what, indent=1))
            os.replace(other, self.keep / file)

    def ears(self, server, mode, listeners, within, seconds, reports, *more):
        """The crowd, on its way."""
        command = ["taskset", "-c", servers.CAST_CORE, self.voices, server.part, server.url, "--listeners", listeners, "--within", within]
        command += ["--seconds", seconds, "--cadence-ms", mode.cadence_ms, "--report", reports, *more]
        command += ["--trust", self.identity[0]] if mode.secure else []
        log = open(self.folder / "listen.log", "wb")
        return processes.start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)

    def came(self, ears, sockets, listeners, within):
        """Waits until they are all there; whether they are. (First one listens alone for some seconds, to hear when sound is due.)"""
        # Both ends of each connection are on this machine.
        came = _until(lambda: _sockets() - sockets >= 2 * ALL_SHARE * listeners or ears.poll() is not None, within + 6 + PATIENCE_S)
        if ears.poll() is not None:
            raise processes.Died(f"voices ended at once: {self.last_words()}")
        return came

    def last_words(self):
        return (self.folder / "listen.log").read_text()[-1500:]

    def _listen(self, server, mode, listeners, reports):
        """Lets them come and listen; what they heard, and what it cost the server while all were there."""
        before, sockets, broke = _resident(server.workers()), _sockets(), []
        within, judged_s = self._within(server, mode, listeners), self._judged(mode)
        ears = self.ears(server, mode, listeners, within, judged_s + PATIENCE_S, reports)
        if not self.came(ears, sockets, listeners, within):
            broke.append("they did not all come in time")
        broken = self._break(server)
        time.sleep(SETTLED_S)
        cost = Cost(server)
        # They leave together: well before that.
        time.sleep(judged_s - 3 * SETTLED_S)
        spent = cost.read()
        after = _resident(server.workers())
        said, _ = ears.communicate(timeout=judged_s + PATIENCE_S + 120)
        if broken:
            broken.stop()
        if ears.returncode:
            broke.append(f"voices ended with {ears.returncode}: {self.last_words()[-300:]}")
        if server.died():
            broke.append("the server ended")
        summary = json.loads(said.decode().strip().splitlines()[-1]) if said.strip() else {}
        file = reports / "report.json"
        report = json.loads(file.read_text()) if file.exists() else {"seconds": [], "faults": {}}
        heard = fanout.judged(report, server.pieces_per_s, mode.cadence_ms)
        if 2 * heard["judged_s"] < judged_s:
            broke.append(f"all were there for {heard['judged_s']} s of {judged_s}")
        return {
            "pieces_per_s": server.pieces_per_s,
            **{name: summary.get(name) for name in ("lateness_ms_p50", "lateness_ms_p99", "lateness_ms_max", "join_ms_p50", "join_ms_p99")},
            **heard,
            **spent,
            "rss_bytes": after,
            "bytes_per_listener": (after - before) / listeners,
            "faults": report["faults"],
            "broke": broke,
            "generator_busy_percent": summary.get("generator_busy_percent_max", 100.0),
            "generator_trusted": summary.get("generator_trusted", False),
        }

    def _break(self, server):
        if server.name != fanout.SUBJECT:
            return None
        return {"slow": lambda: processes.StopAndGo(server.workers()), "hoard": lambda: Hoard(server.url)}.get(self.broken, lambda: None)()

    def _change(self):
        """From 200 ms to two seconds and back, by the operator's word, while everyone listens."""
        listeners = self.rungs[0] if self.quick else CHANGE_LISTENERS
        reports = (self.keep or self.folder) / "change-report"
        mode = servers.MODES["200ms"]
        server = servers.Hiwar(self, self.folder / "change", max(listeners, servers.PROCESS_LISTENERS + 1), None)
        try:
            server.cadence(200)
            sockets, window = _sockets(), 3 if self.quick else 8
            seconds = math.ceil(3 * window + NOTICE_S + 14)
            more = ["--ignore-notices"] if self.broken == "ignore" else []
            ears = self.ears(server, mode, listeners, CHANGE_WITHIN_S, seconds, reports, *more)
            if not self.came(ears, sockets, listeners, CHANGE_WITHIN_S):
                say("they did not all come in time")
            time.sleep(2)
            cores = {}
            for name, word, wait in (("200ms", None, 0), ("2s", 2_000, NOTICE_S + 5), ("back", 200, 3)):
                if word:
                    server.cadence(word)
                    say(f"cadence {word} ms")
                time.sleep(wait)
                cost = Cost(server)
                time.sleep(window)
                cores[name] = round(cost.read()["worker_percent"], 1)
            said, _ = ears.communicate(timeout=seconds + 60)
            died = server.died()
        finally:
            server.end()
        if ears.returncode:
            raise processes.Died(f"voices listen ended with {ears.returncode}: {self.last_words()}")
        summary = json.loads(said.decode().strip().splitlines()[-1])
        report = json.loads((reports / "report.json").read_text())
        return fanout.change(report, summary, cores, listeners, died)


class Cost:
    """CPU of a server between two moments: of its families, of its workers alone, and of its core whoever used it."""

    def __init__(self, server):
        self.meters = [machine.Meter(root) for root in server.roots]
        self.workers = server.workers()
        self.first_workers = self._workers_s()
        self.softirqs = machine.Meter(_softirqs_pid())
        self.first_core, self.began = _core_s(), time.monotonic()

    def _workers_s(self):
        return sum(machine.family(pid).get(pid, 0.0) for pid in self.workers)

    def read(self):
        took = time.monotonic() - self.began
        workers_s, core = self._workers_s(), _core_s()
        read = [meter.read(took) for meter in self.meters]
        (busy, everything) = (b - a for a, b in zip(self.first_core, core))
        return {
            "core_percent": sum(sum(one["cpu_percent_of_core"].values()) for one in read),
            "worker_percent": 100 * (workers_s - self.first_workers) / took,
            "core_busy_percent": 100 * busy / everything,
            "softirqs_percent": sum(self.softirqs.read(took)["cpu_percent_of_core"].values()),
            "stolen_percent": read[0]["machine_stolen_percent"],
        }


def _softirqs_pid():
    """The kernel's thread that does the network's work of the server's core when there is too much of it for the moment in which it came."""
    name = f"ksoftirqd/{servers.SERVER_CORE}"
    return next(int(file.parent.name) for file in Path("/proc").glob("[0-9]*/comm") if file.read_text().strip() == name)


class Hoard(threading.Thread):
    """Some who ask without end: each connection has half a request in the worker's memory. Who is cut off comes again."""

    COUNT, BYTES = 1_000, 7_000

    def __init__(self, url):
        super().__init__(daemon=True)
        self.where, self.over = urlsplit(url), threading.Event()
        self.start()

    def run(self):
        open_ones = []
        with contextlib.ExitStack() as stack:
            while not self.over.wait(0.2):
                open_ones = [one for one in open_ones if _is_open(one)]
                with contextlib.suppress(OSError):
                    while len(open_ones) < self.COUNT:
                        one = stack.enter_context(socket.create_connection((self.where.hostname, self.where.port), timeout=1))
                        one.setblocking(False)
                        one.send(b"GET / HTTP/1.1\r\nX: " + bytes(self.BYTES).replace(b"\0", b"x"))
                        open_ones.append(one)

    def stop(self):
        self.over.set()
        self.join()


def _is_open(one):
    try:
        return one.recv(4096) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _resident(pids):
    """Bytes: proc(5) statm, the second field. Nothing of who has died."""
    pages = 0
    for pid in pids:
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE")


def _core_s():
    """`(busy, all)` ticks of the server's core: proc(5) stat."""
    line = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{servers.SERVER_CORE} "))
    values = [int(value) for value in line.split()[1:9]]
    return sum(values) - values[3] - values[4], sum(values)


def _sockets():
    """TCP sockets in use on this machine."""
    words = next(line for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:")).split()
    return int(words[words.index("inuse") + 1])


def _until(is_so, within_s):
    """Waits; whether it came to be."""
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


if __name__ == "__main__":
    main()
