"""`./x bench joins`: how many listeners a second one core lets in, and how long each waits, beside nginx serving a file.

    bench/joins [--quick] [--only plain|tls|serving] [--keep DIR] [--break stop]

The server has one core and the crowd the other. Each of the crowd (`voices listen`) connects, asks, hears the first sound, stays for a tenth of a second in the mean, hangs
up, and is followed by another within a second: a closed loop, which takes as many joins as the server gives. `serving` is the same with TLS while the core serves 90,000 who
listen (hearing/serving.py). `--keep` keeps every report. `--break stop` stops the server for
half of every second. docs/measured/joins.md says what each figure means. The last line is one JSON object. The server is HIWAR_BIN, the crowd `voices` (HIWAR_VOICES, or built
here in release).
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from . import ffmpeg, identity, machine, nginx, processes, rehearsal, serving
from .house import House

SERVER_CORE, CROWD_CORE = 0, 1
STAY_S = 0.1
ROUND_S = STAY_S + 0.5
"""One after another in a seat: the stay, and half a second in the mean until the next one comes."""
RATES = (2_000, 4_000, 6_000, 8_000, 9_000, 10_000, 11_000, 12_000, 14_000)
"""Joins a second that are offered."""
CROWDED = 6_000
"""Above so many a second the crowd has two threads: one that connects does not wait for one that hears."""
WANTED = {"joins_per_s_core_plain": 10_000, "joins_per_s_core_tls": 5_000}
FAILED_MAX = 0.001
SLOW_MS = 1_000
"""Whoever waits for longer at the 99th percentile has not been let in at that rate."""
BREAKS = {"stop": "the server is stopped for half of every second: fewer get in, and later"}


def main():
    options = _options()
    keep = Path(options.keep) if options.keep else None
    result, unwanted, bounded = {}, [], []
    # Built before anything is measured.
    rehearsal.voices()
    with machine.roomy_loopback(), tempfile.TemporaryDirectory(prefix="hiwar-joins-") as folder:
        try:
            for kind in ("plain", "tls"):
                if options.only in (None, kind):
                    figures, by_crowd = _kind(Path(folder) / kind, kind, options, keep)
                    result, bounded = result | figures, bounded + by_crowd
            if options.only in (None, "serving"):
                rate = lambda *asked: _rate(*asked[:6], options.broken, asked[6], say_of="while serving")
                figures, unwanted, by_crowd = serving.measure(Path(folder) / "serving", options, keep, rate, held)
                result, bounded = result | figures, bounded + by_crowd
        finally:
            processes.stop_all()
    unwanted = [f"{name} is {result[name]}, wanted {wanted}" for name, wanted in WANTED.items() if result.get(name, wanted) < wanted] + unwanted
    print(json.dumps(result | {"bounded_by_the_crowd": bounded, "unwanted": unwanted, "broken": options.broken}), flush=True)


def _options():
    parser = argparse.ArgumentParser(prog="bench/joins", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two rates, four seconds each")
    parser.add_argument("--only", choices=("plain", "tls", "serving"))
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--break", dest="broken", choices=BREAKS)
    return parser.parse_args()


def say(text):
    print(f"  {text}", file=sys.stderr, flush=True)


def _kind(folder, kind, options, keep):
    folder.mkdir()
    trust, arguments = None, ()
    if kind == "tls":
        trust, pem = identity.make(folder)
        arguments = ("--tls-certificate", pem, "--tls-key", pem)
    wrapper = folder / "hiwar"
    wrapper.write_text(f'#!/bin/sh\nexec taskset -c {SERVER_CORE} "{os.environ["HIWAR_BIN"]}" "$@" --workers 1\n')
    wrapper.chmod(0o755)
    house = House(wrapper, folder, *arguments)
    made = house.create("Joins")
    name, host = made["space"]["id"], made["host_pass"]
    house.start(name, host)
    mouth = ffmpeg.Publisher(house.whip(name), house.speaker(name, host, "Speaker"), folder / "ffmpeg.log")
    mouth.connected(30)
    url = f"{house.public}/listen/{name}.mp4"
    beside, origin = nginx.start(folder, SERVER_CORE, {"listen/file.mp4": _recorded(url)}, pem=trust and pem)
    rows = {}
    for server, where, pid in (("hiwar", url, house.pid), ("nginx", f"{origin}/listen/file.mp4", beside.pid)):
        rows[server] = _rates(server, where, pid, trust, options, keep and keep / f"{kind}-{server}")
    processes.stop(beside)
    mouth.stop()
    house.stop()
    return compared(kind, rows["hiwar"], rows["nginx"])


def _rates(server, url, pid, trust, options, keep):
    """One row for each rate, until one is not held."""
    rows = []
    for rate in RATES[1:3] if options.quick else RATES:
        folder = (keep or Path(tempfile.mkdtemp(prefix="hiwar-joins-report-"))) / str(rate)
        row = _rate(url, pid, trust, rate, 4 if options.quick else 8, folder, options.broken, say_of=server)
        rows.append(row)
        if not keep:
            shutil.rmtree(folder.parent)
        if not held(row):
            break
    return rows


def _rate(url, pid, trust, rate, seconds, folder, broken, cadence_ms=200, say_of=""):
    command = ["taskset", "-c", str(CROWD_CORE), rehearsal.voices(), "listen", url, "--listeners", str(int(rate * ROUND_S)), "--within", "2", "--seconds", str(seconds)]
    command += ["--stay", str(STAY_S), "--watch", str(pid), "--report", folder, "--cadence-ms", str(cadence_ms), "--threads", "2" if rate > CROWDED else "1", *(("--trust", trust) if trust else ())]
    stop = processes.StopAndGo(machine.family(pid), 0.5) if broken == "stop" else None
    crowd = processes.start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said, words = crowd.communicate(timeout=120)
    line = said.decode().splitlines()
    if stop:
        stop.stop()
    if crowd.returncode or not line:
        raise processes.Died(f"voices listen: exit code {crowd.returncode}; {words.decode('utf-8', 'replace')[-500:]}")
    report = json.loads((folder / "report.json").read_text())
    found = row(report, json.loads(line[-1]))
    say(f"{say_of}: offered {rate}/s: {found['joins_per_s']:.0f} joined, p50 {found['join_ms_p50']} ms, p99 {found['join_ms_p99']} ms, {found['failed']} failed, "
        f"server {found['server_percent']} %, crowd {found['crowd_percent']} %")  # fmt: skip
    return found


def row(report, summary):
    """What came of one rate: the joins of a second are the median of those after everyone came."""
    steady = [second["joined"] for second in report["seconds"][3:]]
    return {
        "joins_per_s": statistics.median(steady) if steady else 0,
        "trusted": summary["generator_trusted"],
        "joins": summary["joins"],
        "failed": summary["joins_failed"],
        "faults": report["faults"],
        "join_ms_p50": summary["join_ms_p50"],
        "join_ms_p99": summary["join_ms_p99"],
        "crowd_percent": summary["generator_busy_percent_max"],
        "server_percent": round(100 * (summary["server_cores_max"] or 0), 1),
    }


def held(row):
    """Whether everyone got in, and soon."""
    return row["failed"] <= FAILED_MAX * row["joins"] and (row["join_ms_p99"] or SLOW_MS + 1) <= SLOW_MS


NOTHING = {"joins_per_s": 0, "trusted": True, "join_ms_p50": None, "join_ms_p99": None, "crowd_percent": None, "server_percent": None}


def best(rows):
    """The row with the most joins of those that were held."""
    return max(filter(held, rows), key=lambda row: row["joins_per_s"], default=NOTHING)


def compared(kind, hiwar, nginx):
    """The figures of both servers' rows, and which of them are the crowd's bound, in words. How many joined is compared only where neither is: else it would be two crowds that are
    compared. What a join costs can always be."""
    sides = {kind: hiwar, f"{kind}_nginx": nginx}
    figures, bounded = {}, []
    for suffix, rows in sides.items():
        figures |= _figures(rows, suffix)
        bounded += serving.by_the_crowd(rows, best(rows), f"joins_per_s_core_{suffix}")
    most, others = (figures[f"joins_per_s_core_{suffix}"] for suffix in sides)
    figures[f"vs_nginx_{kind}"] = round(most / others, 2) if others and not bounded else None
    return figures, bounded


def _figures(rows, suffix):
    most = best(rows)
    calm = min(filter(held, rows), key=lambda row: abs(row["joins_per_s"] - most["joins_per_s"] / 2), default=NOTHING)
    return {
        f"joins_per_s_core_{suffix}": round(most["joins_per_s"]),
        f"server_us_per_join_{suffix}": us_per_join(most),
        f"crowd_percent_{suffix}": most["crowd_percent"],
        f"server_percent_{suffix}": most["server_percent"],
        f"join_ms_p50_{suffix}": calm["join_ms_p50"],
        f"join_ms_p99_{suffix}": calm["join_ms_p99"],
    }


def us_per_join(row):
    """Microseconds of the server's CPU for each who joins, hears for a tenth of a second and goes; `None` if nobody did."""
    return round(1e6 * row["server_percent"] / 100 / row["joins_per_s"], 1) if row["joins_per_s"] else None


BURST_CHUNKS = 3
"""What a joiner of the `.mp4` gets at once."""


def _recorded(url):
    """What a listener gets at once: the beginning, and the first chunks."""
    data = b""
    with urllib.request.urlopen(url, timeout=10) as stream:
        while (end := beginning(data)) is None:
            more = stream.read1(1 << 16)
            if not more:
                raise processes.Died(f"{url} ended after {len(data)} bytes")
            data += more
    return data[:end]


def beginning(data):
    """Where the third chunk ends in a stream of boxes (ISO/IEC 14496-12 section 4.2), each chunk with its `mdat`; None if it is not all there."""
    at = chunks = 0
    while at + 8 <= len(data) and chunks < BURST_CHUNKS:
        kind = data[at + 4 : at + 8]
        at += int.from_bytes(data[at : at + 4], "big")
        chunks += kind == b"mdat"
    return at if chunks == BURST_CHUNKS and at <= len(data) else None


if __name__ == "__main__":
    main()
