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
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import ffmpeg, machine, processes, rehearsal
from .house import House

SERVER_CORE, VISITORS_CORE = 0, 1
PLACES = 4
TICKETS = 10_000_000
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
    return few + many + ([f"{result['visitors_failed']} visitors failed"] if result.get("visitors_failed") else [])


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
        self.name, host = made["space"]["id"], made["host_pass"]
        self.house.start(self.name, host)
        self.mouth = ffmpeg.Publisher(self.house.whip(self.name), self.house.speaker(self.name, host, "Speaker"), folder / "ffmpeg.log")
        self.mouth.connected(30)
        self.sound = f"{self.house.public}/listen/{self.name}.mp4"
        self.listeners = []

    def fill(self):
        """Has listeners come until one gets a ticket; they stay."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                self.listeners.append(urllib.request.urlopen(f"{self.sound}?t=", timeout=10))
            except urllib.error.HTTPError as refused:
                body = refused.read()
                if len(self.listeners) and b'"ticket"' in body:
                    return body
                time.sleep(0.25)
        raise processes.Died(f"the door is not full after 30 s: {len(self.listeners)} are inside; {self.house.last_words()}")

    def open(self):
        """Waits until somebody is let in, and has them go: a house that has just begun gives no places for a few seconds."""
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"{self.sound}?t=", timeout=10).close()
                return
            except urllib.error.HTTPError as refused:
                refused.read()
                if time.monotonic() > deadline:
                    raise processes.Died(f"nobody is let in after 30 s; {self.house.last_words()}") from refused
                time.sleep(0.25)

    def stop(self):
        for listener in self.listeners:
            listener.close()
        self.mouth.stop()
        self.house.stop()


def compressed(url):
    """What a browser gets at an address: the body as it comes."""
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept-Encoding": "br"}), timeout=10) as answer:
        return answer.read()


def _page(folder, _, options, raw):
    door = Door(folder)
    url = f"{door.house.public}/s/{door.name}"
    ask = urllib.request.Request(url, headers={"Accept-Encoding": "identity" if options.broken == "whole" else "br"})
    with urllib.request.urlopen(ask, timeout=10) as answer:
        page, head = answer.read(), dict(answer.headers)
    raw["page_head"] = head
    door.stop()
    # The page has its script and its style in it: there is nothing else that it needs at first (`npm run check` weighs the same file).
    return {"page_bytes": len(page), "page_encoding": head.get("Content-Encoding") or head.get("content-encoding")}


def _visitors(folder, visitor, options, raw):
    door = Door(folder)
    refusal = door.fill()
    page = compressed(f"{door.house.public}/s/{door.name}")
    (worker,) = machine.workers(door.house.pid)
    address = door.house.public.removeprefix("http://")
    seconds, runs = (3, 1) if options.quick else (6, 3)
    loops = [processes.start(["taskset", "-c", str(SERVER_CORE), "sh", "-c", "while :; do :; done"]) for _ in range(8 if options.broken == "stop" else 0)]
    nginx, nginx_address = _nginx(folder, page, refusal)
    rows = {"hiwar": [], "nginx": []}
    for _ in range(runs):
        # One after the other, so that both meet the same moods of the machine.
        rows["hiwar"].append(_visited(visitor, address, f"/s/{door.name}", f"/listen/{door.name}.mp4?t=", [worker, *(loop.pid for loop in loops)], seconds))
        rows["nginx"].append(_visited(visitor, nginx_address, "/page", "/listen?t=", [nginx.pid], seconds, "--no-ticket"))
    raw["visitors"] = rows
    processes.stop(nginx)
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
    """Seconds of these processes on a core: proc(5) schedstat of their threads, in nanoseconds."""
    return sum(int(file.read_text().split()[0]) for pid in pids for file in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


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


def _nginx(folder, page, refusal):
    """nginx on the server's core, told what makes it fast: the page's bytes as a file that is kept open, and a fixed 503."""
    home = folder / "nginx"
    home.mkdir()
    (home / "page").write_bytes(page)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    body = refusal.decode().replace("'", "")
    (home / "nginx.conf").write_text(f"""daemon off; master_process off; pid {home}/pid; error_log stderr crit; worker_rlimit_nofile 20000;
events {{ worker_connections 19000; multi_accept on; use epoll; }}
http {{
  default_type text/html; access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; open_file_cache max=10; keepalive_timeout 60;
  client_body_temp_path {home}/a; proxy_temp_path {home}/b; fastcgi_temp_path {home}/c; uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {home};
    location /listen {{ default_type application/problem+json; add_header Retry-After 60 always; return 503 '{body}'; }} }}
}}
""")
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    nginx = processes.start(["taskset", "-c", str(SERVER_CORE), program, "-p", home, "-e", "stderr", "-c", home / "nginx.conf"])
    deadline = time.monotonic() + 10
    while True:
        try:
            if compressed(f"http://127.0.0.1:{port}/page") == page:
                return nginx, f"127.0.0.1:{port}"
        except OSError as error:
            if time.monotonic() > deadline or nginx.poll() is not None:
                raise processes.Died(f"nginx: {error}") from error
        time.sleep(0.05)


if __name__ == "__main__":
    main()
