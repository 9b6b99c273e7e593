"""`./x bench door`: what a ticket costs, in time and in memory, what the page weighs, and how many visitors a core gives a page and a ticket, beside nginx.

    bench/door [--quick] [--only PART] [--keep DIR] [--break WHAT]

Tickets are issued and checked by `door tickets` (crates/rehearsal), one thread on a core of its own, through the same desk that answers a worker's visitors. Visitors come to a server with a
door that is full: each by a fresh connection from another address of loopback takes the page, asks for sound, and gets a ticket. nginx gives the same page and a 503 of as many bytes. The server
has one core and the visitors the other. `--only` is tickets, page or visitors. docs/measured/door.md says what each figure means. The last line is one JSON object. The server is HIWAR_BIN, the
visitors `door` (HIWAR_DOOR, or built here in release).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import ffmpeg, machine, nginx, processes, rehearsal, spending
from .house import House

SERVER_CORE, VISITORS_CORE = 0, 1
PLACES = 4
TICKETS = 10_000_000
FULL_S = 40
"""A house that begins gives no places for some seconds, and whoever comes then is told to come back in some."""
STANDS_S = 1
"""A page that was the same for so long stays so: nothing happens here meanwhile."""
WANTED_MIN = {"ticket_ops_per_s_core": 2_000_000, "visitors_per_s_core": 10_000}
WANTED_MAX = {"bytes_per_10m_tickets": 16_000_000, "page_bytes": 14_336}
BREAKS = {
    "list": "every ticket is kept in a list: ticket_ops_per_s_core, bytes_per_10m_tickets",
    "whole": "the page comes as it is, not compressed: page_bytes",
    "stop": "the worker shares its core with eight busy loops that count as its own: visitors_per_s_core",
}


def main():
    options = _options()
    keep = Path(options.keep) if options.keep else None
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    door, result, raw = rehearsal.door(), {}, {}
    parts = {"tickets": _tickets, "page": _page, "visitors": _visitors}
    with machine.roomy_loopback():
        try:
            for name, part in parts.items():
                if options.only in (None, name):
                    with tempfile.TemporaryDirectory(prefix="hiwar-door-") as folder:
                        result |= part(Path(folder), door, options, raw)
        finally:
            processes.stop_all()
            # Also of what came to no end.
            if keep:
                (keep / "door.json").write_text(json.dumps(raw, indent=1))
    print(json.dumps(result | {"unwanted": unwanted(result), "broken": options.broken}), flush=True)


def _options():
    parser = argparse.ArgumentParser(prog="bench/door", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer runs, and visitors for three seconds")
    parser.add_argument("--only", choices=("tickets", "page", "visitors"))
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--break", dest="broken", choices=BREAKS)
    return parser.parse_args()


def say(text):
    print(f"  {text}", file=sys.stderr, flush=True)


def unwanted(result):
    """What did not come to its bound, in words."""
    few = [f"{name} is {result[name]}, wanted {wanted}" for name, wanted in WANTED_MIN.items() if result.get(name, wanted) < wanted]
    many = [f"{name} is {result[name]}, wanted at most {wanted}" for name, wanted in WANTED_MAX.items() if result.get(name, 0) > wanted]
    failed = [f"{result['visitors_failed']} visitors failed"] if result.get("visitors_failed") else []
    issued = result.get("tickets_issued", TICKETS)
    return few + many + failed + ([f"{issued} tickets were issued, and not {TICKETS}"] if issued != TICKETS else [])


def run(command, core, timeout=600):
    """What a program says in its last line."""
    program = processes.start(["taskset", "-c", str(core), *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said, words = program.communicate(timeout=timeout)
    lines = said.decode().splitlines()
    if program.returncode or not lines:
        raise processes.Died(f"{command[1]}: exit code {program.returncode}; {words.decode('utf-8', 'replace')[-500:]}")
    return json.loads(lines[-1])


def _tickets(_, door, options, raw):
    wrong = ("--keep-list",) if options.broken == "list" else ()
    raw["tickets"] = seen = run([door, "tickets", "--runs", "3" if options.quick else "9", *wrong], VISITORS_CORE)
    raw["memory"] = memory = run([door, "memory", "--tickets", str(TICKETS), *wrong], VISITORS_CORE)
    return rated(seen) | {"bytes_per_10m_tickets": memory["bytes"], "tickets_issued": memory["issued"]}


def rated(seen):
    """The figures of `door tickets`: the slower of issuing and checking is what a core can do of either."""
    slower = min(("issue", "check"), key=lambda kind: seen[f"{kind}_per_s"])
    return {
        "ticket_ops_per_s_core": round(seen[f"{slower}_per_s"]),
        "tickets_issued_per_s_core": round(seen["issue_per_s"]),
        "tickets_checked_per_s_core": round(seen["check_per_s"]),
        "tickets_drawn_per_s_core": round(seen["drawn_per_s"]),
        "issue_vs_blake3": round(seen["issue_per_s"] / seen["issue_floor_per_s"], 2),
        "check_vs_blake3": round(seen["check_per_s"] / seen["check_floor_per_s"], 2),
        "issue_ns_of": seen["issue_ns_of"],
    }


def opened(sound, house):
    """Waits until somebody is let in to that stream, and has them go: a house that has just begun gives no places for a few seconds."""
    listener, told = _come(sound, house, time.monotonic() + FULL_S)
    if listener is None:
        raise processes.Died(f"nobody is let in: {told}; {house.last_words()}")
    listener.close()


def _come(sound, house, deadline):
    """Somebody who comes, and comes back as they are told until they are let in or drawn: their connection, or what they were told."""
    ticket = ""
    while True:
        try:
            return urllib.request.urlopen(f"{sound}?t={ticket}", timeout=10), None
        except urllib.error.HTTPError as refused:
            body = refused.read()
        told = json.loads(body)
        if told.get("stage") == "draw":
            return None, body
        # Also whoever is asked to come later without a ticket is told when.
        wait, ticket = told.get("wait_ms", 1_000) / 1_000, told.get("ticket", "")
        if time.monotonic() + wait > deadline:
            raise processes.Died(f"neither let in nor drawn in time: {body}; {house.last_words()}")
        time.sleep(wait)


class Door:
    """A server on its core with a door that is full. `public`, `name`; `worker`: the process that answers."""

    def __init__(self, folder, places=PLACES, more="", workers=1, cores=str(SERVER_CORE), title="Door"):
        folder.mkdir(parents=True, exist_ok=True)
        told = folder / "hiwar.toml"
        told.write_text(f"[door]\nplaces = {places}\n{more}")
        wrapper = folder / "hiwar"
        wrapper.write_text(f'#!/bin/sh\nexec taskset -c {cores} "{os.environ["HIWAR_BIN"]}" "$@" --workers {workers}\n')
        wrapper.chmod(0o755)
        self.house = House(wrapper, folder, "--config", told)
        made = self.house.create(title)
        self.name, self.host, self.folder = made["space"]["id"], made["host_pass"], folder
        self.house.start(self.name, self.host)
        self.mouth, self.spoke = None, 0
        self.speak()
        self.sound = f"{self.house.public}/listen/{self.name}.mp4"
        self.listeners = []

    def speak(self):
        """Has somebody come to the stage, in place of whoever was there: a stage that stays empty for five minutes ends a conversation."""
        if self.mouth:
            self.mouth.stop()
        # A log of its own: in it is said that they are connected.
        self.spoke += 1
        self.mouth = ffmpeg.Publisher(self.house.whip(self.name), self.house.speaker(self.name, self.host, "Speaker"), self.folder / f"ffmpeg-{self.spoke}.log")
        self.mouth.connected(30)

    def fill(self):
        """Has listeners come until one is drawn, for there is no place left; they stay. Returns what that one was told."""
        deadline = time.monotonic() + FULL_S
        while True:
            listener, body = _come(self.sound, self.house, deadline)
            if listener is None:
                return body
            self.listeners.append(listener)

    def open(self):
        """As `opened`."""
        opened(self.sound, self.house)

    def stop(self):
        for listener in self.listeners:
            listener.close()
        self.mouth.stop()
        self.house.stop()


def page_of(door, coding="br"):
    """Its page as a browser gets it, the body as it comes and the head, once nothing has changed for a while: what a page is made of changes when people come to the stage."""
    ask = urllib.request.Request(f"{door.house.public}/s/{door.name}", headers={"Accept-Encoding": coding})
    began, last = time.monotonic(), None
    while True:
        with urllib.request.urlopen(ask, timeout=10) as answer:
            page, head = answer.read(), {name.lower(): value for name, value in answer.headers.items()}
        if head["etag"] != last:
            since, last = time.monotonic(), head["etag"]
        elif time.monotonic() > since + STANDS_S:
            return page, head
        if time.monotonic() > began + 30 * STANDS_S:
            raise processes.Died(f"the page changes without end: {head}")
        time.sleep(0.1)


def _page(folder, _, options, raw):
    door = Door(folder)
    page, head = page_of(door, "identity" if options.broken == "whole" else "br")
    raw["page_head"] = head
    if options.keep:
        (Path(options.keep) / "page").write_bytes(page)
    door.stop()
    # The page has its script and its style in it: there is nothing else that it needs at first (`npm run check` weighs the same file).
    return {"page_bytes": len(page), "page_encoding": head.get("content-encoding")}


def _visitors(folder, visitor, options, raw):
    door = Door(folder)
    refusal = door.fill()
    page, _ = page_of(door)
    (worker,) = machine.workers(door.house.pid)
    address = door.house.public.removeprefix("http://")
    seconds, runs = (3, 1) if options.quick else (6, 3)
    loops = [processes.start(["taskset", "-c", str(SERVER_CORE), "sh", "-c", "while :; do :; done"]) for _ in range(8 if options.broken == "stop" else 0)]
    # A fixed answer, and as long as the ticket's.
    told = refusal.decode().replace("'", " ")
    fixed = f"location /listen {{ default_type application/problem+json; add_header Retry-After 60 always; return 503 '{told}'; }}"
    beside, origin = nginx.start(folder, SERVER_CORE, {"page": page}, fixed)
    raw["visitors"] = rows = {"hiwar": [], "nginx": []}
    for _ in range(runs):
        # One after the other, so that both meet the same moods of the machine.
        rows["hiwar"].append(_visited(visitor, address, f"/s/{door.name}", f"/listen/{door.name}.mp4?t=", [worker, *(loop.pid for loop in loops)], seconds))
        rows["nginx"].append(_visited(visitor, origin.removeprefix("http://"), "/page", "/listen?t=", [beside.pid], seconds, "--no-ticket"))
    processes.stop(beside)
    for loop in loops:
        processes.stop(loop)
    door.stop()
    return visited(rows["hiwar"], rows["nginx"])


def _visited(visitor, address, page, sound, pids, seconds, *more):
    before = _spent(pids)
    seen = run([visitor, "visitors", address, "--page", page, "--sound", sound, "--seconds", str(seconds), *more], VISITORS_CORE)
    seen["server_s"] = _spent(pids) - before
    say(f"{address}: {seen['visitors'] / seen['seconds']:.0f} visitors/s, {seen['failed']} failed, server {100 * seen['server_s'] / seen['seconds']:.0f} %")
    return seen


def _spent(pids):
    """Seconds of these processes' threads on a core."""
    threads = {pid: spending.thread_seconds(pid) for pid in pids}
    if ended := [pid for pid, of in threads.items() if not of]:
        raise processes.Died(f"{ended} have ended: what they did cannot be told")
    return sum(used for of in threads.values() for _, used, _ in of.values())


def visited(hiwar, nginx):
    """The figures of the visitors' runs: the median run of each, by how many a second of the server's own time on its core was enough for."""
    median = lambda rows: sorted(rows, key=_per_core)[len(rows) // 2]
    one, other = median(hiwar), median(nginx)
    return {
        "visitors_per_s_core": round(_per_core(one)),
        "visitors_per_s": round(one["visitors"] / one["seconds"]),
        "visitors_per_s_core_nginx": round(_per_core(other)),
        "visitors_vs_nginx": round(_per_core(one) / _per_core(other), 2) if _per_core(other) else None,
        "visit_ms_p50": one["visit_ms_p50"],
        "visit_ms_p99": one["visit_ms_p99"],
        "visitors_failed": sum(row["failed"] for row in hiwar),
    }


def _per_core(row):
    return row["visitors"] / row["server_s"] if row["server_s"] else 0


if __name__ == "__main__":
    main()
