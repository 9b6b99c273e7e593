"""How many join in a second while the same core serves many: part `serving` of `./x bench joins`.

One crowd is there and listens (TLS, a write each two seconds); another comes and goes at a rising rate. Each is a process of its own, so that neither hears for the other, and what
those who listen heard in the seconds of a rate is what decides whether that rate was one.
"""

import json
import math
import resource
import subprocess
import time
from types import SimpleNamespace

from . import fanout, identity, limits, processes, rehearsal, servers

LISTENING, QUICK_LISTENING = 90_000, 200
RATES, QUICK_RATES = (1_000, 1_750, 2_500, 3_000, 3_500, 4_000), (50, 100)
RATE_S = 8
TURN_S = 18
"""Of one rate: one alone, two seconds in which they come, those that are judged, and room."""
WANTED = 2_500
AFTER_S = 3
"""What a rate makes late is late so much later at the most, or it is lost."""


def measure(folder, options, keep, rate_of, is_held):
    """The figures, and what is to be said of them. `rate_of(url, pid, trust, rate, seconds, folder, cadence_ms)` lets people join and tells a row; `is_held(row)`: whether they all got in."""
    folder.mkdir()
    mode = servers.MODES["2s_tls"]
    listening, rates = (QUICK_LISTENING, QUICK_RATES) if options.quick else (LISTENING, RATES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    if why := limits.impossible(listening, True, mode.cadence_ms, servers.PROCESS_LISTENERS, limits.facts()):
        return {"joins_per_s_tls_while_serving": None}, [f"this machine cannot serve {listening}: {'; '.join(why)}"]
    voices = rehearsal.voices()
    own = SimpleNamespace(voices=voices, identity=identity.make(folder), workers=None)
    # Those who join have room beside those who listen.
    server = servers.Hiwar(own, folder / "house", listening + 4_000, mode)
    within, judged_s = max(5, math.ceil(listening / mode.joins_per_s)), TURN_S * len(rates) + 10
    reports = (keep or folder) / "listening"
    command = ["taskset", "-c", servers.CAST_CORE, voices, "listen", server.url, "--listeners", listening, "--within", within, "--seconds", judged_s]
    command += ["--cadence-ms", mode.cadence_ms, "--trust", own.identity[0], "--report", reports]
    log = open(folder / "listening.log", "wb")
    ears = processes.start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
    time.sleep(within + 5 + 2 * mode.cadence_ms / 1000)
    rows = []
    for rate in rates:
        began = time.time()
        row = rate_of(server.url, server.house.pid, own.identity[0], rate, RATE_S, (keep or folder) / f"serving-{rate}", mode.cadence_ms)
        rows.append(row | {"rate": rate, "from": began, "to": time.time()})
        if not is_held(row):
            break
    said, _ = ears.communicate(timeout=judged_s + 120)
    server.end()
    if ears.returncode:
        raise processes.Died(f"those who listen: {(folder / 'listening.log').read_text()[-500:]}")
    return judged(rows, json.loads((reports / "report.json").read_text()), json.loads(said.decode().splitlines()[-1]), listening, is_held)


def judged(rows, report, summary, listening, is_held):
    """From the rows of all rates and what those who listened heard: the figures, and what should not have been."""
    began, best, at, bad = report["plan"]["started_unix_s"], 0, {}, []
    for row in rows:
        seconds = [one for one in report["seconds"] if row["from"] - began <= one["at_s"] <= row["to"] - began + AFTER_S]
        chunks, late = (sum(one[name] for one in seconds) for name in ("chunks", "chunks_late"))
        row["listening"] = min((one["listening"] for one in seconds), default=0)
        row["listening_on_time_percent"] = round(100 * (chunks - late) / chunks, 3) if chunks else 0.0
        row["held"] = is_held(row) and row["listening_on_time_percent"] >= fanout.ON_TIME_PERCENT and row["listening"] >= listening
        if not row["held"]:
            break
        if row["joins_per_s"] > best:
            best, at = row["joins_per_s"], row
    bad += [f"while serving: {count} x {what}" for what, count in report["faults"].items() if count]
    if best < WANTED:
        bad.append(f"joins_per_s_tls_while_serving is {best:.0f}, wanted {WANTED}")
    if not summary["generator_trusted"]:
        bad.append("while serving: the crowd that listens was too busy to be believed")
    return {
        "joins_per_s_tls_while_serving": round(best),
        "join_ms_p50_while_serving": at.get("join_ms_p50"),
        "join_ms_p99_while_serving": at.get("join_ms_p99"),
        "listening_while_joining": at.get("listening", listening if not rows else rows[0]["listening"]),
        "listening_on_time_percent": at.get("listening_on_time_percent"),
        "listening_crowd_percent": summary["generator_busy_percent_max"],
        "server_percent_while_serving": at.get("server_percent"),
    }, bad
