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
    """The figures, what should not have been, and of what the crowd is the bound, both in words. `rate_of(url, pid, trust, rate, seconds, folder, cadence_ms)` lets people join and
    tells a row; `is_held(row)`: whether they all got in."""
    folder.mkdir()
    mode = servers.MODES["2s_tls"]
    listening, rates = (QUICK_LISTENING, QUICK_RATES) if options.quick else (LISTENING, RATES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    if why := limits.impossible(listening, True, mode.cadence_ms, servers.PROCESS_LISTENERS, limits.facts()):
        return {"joins_per_s_tls_while_serving": None}, [f"this machine cannot serve {listening}: {'; '.join(why)}"], []
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
    """From the rows of all rates and what those who listened heard: the figures, what should not have been, and of what those who join are the bound."""
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
    bounded = by_the_crowd(rows, at, "joins_per_s_tls_while_serving") if at else []
    return {
        "joins_per_s_tls_while_serving": round(best),
        "join_ms_p50_while_serving": at.get("join_ms_p50"),
        "join_ms_p99_while_serving": at.get("join_ms_p99"),
        "listening_while_joining": at.get("listening", listening if not rows else rows[0]["listening"]),
        "listening_on_time_percent": at.get("listening_on_time_percent"),
        "listening_crowd_percent": summary["generator_busy_percent_max"],
        "joining_crowd_percent": at.get("crowd_percent"),
        "server_percent_while_serving": at.get("server_percent"),
    }, bad, bounded


def by_the_crowd(rows, most, name):
    """That the crowd and not the server may be why there are no more joins than in `most`, in words; empty if not. Of all `rows`, in the order of their rates, that one and the next are
    looked at: a crowd that was too busy there to be believed may have brought no more by itself."""
    after = rows[rows.index(most) + 1 :] if most in rows else rows
    busy = next((row for row in (most, *after[:1]) if not row["trusted"]), None)
    if not busy:
        return []
    where = "" if busy is most else f" at the {busy['joins_per_s']:.0f} of the next rate"
    return [f"{name}: {most['joins_per_s']:.0f} may be all that the crowd can do, {busy['crowd_percent']} % busy{where}; the server may do more"]
