"""`./x bench chaos`: what a door says and does while workers and the house die, the clock steps, the disk is full and the whole node is restarted, with people inside and more who wait.

    bench/chaos [--inside N] [--apart SECONDS] [--only NAME,...] [--keep DIR] [--break WHAT]

A launch (crates/rehearsal/src/launch.rs) comes to a real server: as many are inside as there are places, and more wait than that. Then one mishap after the other, `--apart` seconds each: a worker is
killed; the house is killed; the clock of the wall goes ten minutes ahead, and comes back; goes ten minutes back, and comes back; the disk is full, and has room again; the server is ended as an
operator would, its keys to be rotated, and started again at once; the house stands still for a minute. Who is cut off comes back as the page does. Everything is judged by the clocks of those people,
who check each answer for whether it may be true, and of one who looks at the pages each second. The clock is stepped for the server alone, by a preloaded clock_gettime(2) (stepped.c, which needs
`cc`); the disk is a small tmpfs, which needs root. docs/measured/door.md says what each figure means. `--keep` keeps raw samples. The last line is one JSON object.
"""

import argparse
import contextlib
import csv
import http.client
import json
import os
import re
import signal
import statistics
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import machine, processes, rehearsal
from .door import Door, run
from .launch import CROWD_CORES, CROWD_LATE_MS, SERVER_CORES

INSIDE, APART_S = 15_000, 60
PEOPLE = 8 / 3
"""For each place so many come. With twice as many as places everybody who waits has a time soon, and what nobody comes for stays free until then: nobody looks for it."""
SETTLED_S = 110
"""The first mishap is when everybody was drawn, and those who came last have looked again."""
RECOVERS_S = 45
"""So long after a mishap is over everything is as it should be: a place is kept for half a minute for whoever was there, and a house that begins waits for its workers."""
OUTAGE_S, STEP_S, RESTART_S = 60, 600, 10
DISK_MB = 96
BEFORE_S, PART_S, AFTERWARDS = 108, 90, 5
"""So long it is counted how often the door is asked before an outage; and after it, that many times: hardly anybody comes back later."""
RATE_MOST, PROMISES_LEAST, USED_LEAST, BACK_WITHIN_S = 1.2, 0.95, 0.97, 45
OVER_BEFORE_MOST = 1.5
"""What was asked before says little, by chance: with this it is seen if a door tells all that come anew something that makes them come."""
DRAWS = 5
"""How often the same launch is simulated without a mishap, each time with another draw."""
KEPT_S, KEPT_PART = 15, 0.1
LONGEST_S = 3_605
MISHAPS = ("worker", "house", "ahead", "behind", "disk", "node", "outage")
BREAKS = {
    "cap": "the house is told of half as many places more than there are: cap_exceeded",
    "forget": "while the node is down its door's file and the keys are removed: not_back, away_s_max, promise_kept, used_after",
    "leave": "whoever is cut off does not come back: not_back, used_after",
    "linger": "people stay five times as long as the house believes: promise_kept",
    "poll": "everybody who waits asks every twenty seconds, as at waiting rooms that have to be asked: rate_usual_over_told",
    "stuck": "what goes wrong stays so: the house stands still until the end, and after the mishap the workers with it: used_after, unanswered_after, rate_after_outage",
}


def main():
    options = _options()
    keep = Path(options.keep) if options.keep else None
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    door = rehearsal.door()
    with machine.roomy_loopback(), rehearsal.folder("chaos", options.keep) as folder, _small_disk(folder / "small") as disk:
        result = Chaos(folder, disk, door, options).go()
    print(json.dumps(result | {"unwanted": unwanted(result), "broken": options.broken}), flush=True)


def _options():
    parser = argparse.ArgumentParser(prog="bench/chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inside", type=int, default=INSIDE, metavar="N", help="so many places, and more who wait")
    parser.add_argument("--apart", type=int, default=APART_S, metavar="SECONDS", help="from one mishap's end to the next")
    parser.add_argument("--only", default=",".join(MISHAPS), help="of " + ", ".join(MISHAPS))
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--break", dest="broken", choices=BREAKS)
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(MISHAPS):
        parser.error(f"no such mishap: {', '.join(sorted(unknown))}")
    if options.apart < RECOVERS_S + 10:
        parser.error(f"--apart is {RECOVERS_S + 10} at least: recovery takes its time")
    return options


def say(text):
    print(f"  {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _small_disk(place):
    """A file system that can be filled without harm to others."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0700", "hiwar-chaos", place], check=True)
    try:
        yield place
    finally:
        processes.stop_all()
        subprocess.run(["umount", "-l", place], check=True)


class Chaos:
    def __init__(self, folder, disk, door, options):
        self.folder, self.disk, self.door, self.options = folder, disk, door, options
        self.clock = folder / "clock"
        self.marks, self.looks, self.over = [], [], threading.Event()

    def go(self):
        library = self.folder / "stepped.so"
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, Path(__file__).with_name("stepped.c"), "-ldl"], check=True)
        self._step(0)
        inside, broken = self.options.inside, self.options.broken
        told = inside + inside // 2 if broken == "cap" else inside
        preload = {"LD_PRELOAD": str(library), "HIWAR_CLOCK": str(self.clock)}
        with _environment(preload):
            self.house = Door(self.disk, places=told, more="stay_minutes = 20\n", workers=2, cores=SERVER_CORES, title="Chaos")
        self.house.open()
        seconds = SETTLED_S + len(self.options.only) * self.options.apart + sum(map(_lasts, self.options.only))
        seconds += RECOVERS_S + BEFORE_S + AFTERWARDS * PART_S + 5 - self.options.apart if "outage" in self.options.only else 0
        people = round(PEOPLE * inside)
        script = ["--people", people, "--cap", inside, "--seconds", seconds, "--bots", inside // 150, "--carried", inside // 150]
        usual = [self.folder / f"usual-{luck}.csv" for luck in range(1, DRAWS + 1)]
        for luck, raw in enumerate(usual, start=1):
            say(f"the same without a mishap, simulated: {luck} of {DRAWS} draws")
            run([self.door, "simulate", *script, "--luck", luck, "--raw", raw], CROWD_CORES)
        command = [self.door, "crowd", self.house.sound, *script]
        command += ["--raw", self.folder / "visits.csv", "--moments", self.folder / "moments.csv"]
        command += [] if broken == "leave" else ["--returns"]
        command += ["--wrong", broken] if broken in ("linger", "poll") else []
        say(f"{people} people come to {inside} places, for {seconds} s")
        crowd = processes.start(["taskset", "-c", CROWD_CORES, *command], stdout=subprocess.PIPE)
        self.began, lost = time.monotonic(), machine.lost()
        looker = threading.Thread(target=self._look, daemon=True)
        looker.start()
        self._until(SETTLED_S)
        for name in self.options.only:
            if name == "outage":
                # As often as is normal: of what was before nothing is left.
                self._until(self._at() + RECOVERS_S + BEFORE_S)
            self._mishap(name)
        said, _ = crowd.communicate(timeout=self.options.apart + AFTERWARDS * PART_S + 120)
        self.over.set()
        looker.join(15)
        if crowd.returncode or not said.strip():
            raise processes.Died(f"the crowd: exit code {crowd.returncode}; {self.house.house.last_words()}")
        figures = json.loads(said.decode().splitlines()[-1])
        (self.folder / "hiwar.log").write_text(self.house.house.log_path.read_text(errors="replace"))
        self.house.stop()
        moments, visits = rows(self.folder / "moments.csv"), rows(self.folder / "visits.csv")
        (self.folder / "marks.json").write_text(json.dumps({"marks": self.marks, "looks": self.looks}, indent=1))
        figures["packets_dropped"] = machine.lost() - lost
        return judged(figures, moments, visits, list(map(rows, usual)), self.marks, self.looks, inside, seconds)

    def _at(self):
        # The crowd begins a second after it was started.
        return time.monotonic() - self.began - 1.0

    def _until(self, at):
        time.sleep(max(0.0, at - self._at()))

    def _step(self, seconds):
        # In place: those who look have it mapped.
        with open(self.clock, "r+b" if self.clock.exists() else "w+b") as file:
            file.write(struct.pack("=q", 1000 * seconds))

    @property
    def pid(self):
        return self.house.house.pid

    def _mishap(self, name):
        mark = {"name": name, "from_s": round(self._at(), 1)}
        say(f"{mark['from_s']:.0f} s: {name}")
        if name == "worker":
            os.kill(machine.workers(self.pid)[0], signal.SIGKILL)
        elif name == "house":
            os.kill(machine.house(self.pid), signal.SIGKILL)
        elif name in ("ahead", "behind"):
            self._step(STEP_S if name == "ahead" else -STEP_S)
            time.sleep(_lasts(name))
            self._step(0)
        elif name == "disk":
            filler = self.disk / "filler"
            with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(4096))
            time.sleep(_lasts(name))
            filler.unlink()
        elif name == "node":
            (self.house.house.data / "keys" / "rotate").touch()
            self.house.house.restart(self._forget if self.options.broken == "forget" else lambda: None)
        elif name == "outage":
            house = machine.house(self.pid)
            os.kill(house, signal.SIGSTOP)
            time.sleep(_lasts(name))
            if self.options.broken == "stuck":
                for worker in machine.workers(self.pid):
                    os.kill(worker, signal.SIGSTOP)
            else:
                os.kill(house, signal.SIGCONT)
        mark["to_s"] = round(self._at(), 1)
        self.marks.append(mark)
        if name in ("house", "node", "outage") and self.options.broken != "stuck":
            self._speak_again()
        self._until(mark["to_s"] + self.options.apart - 1)

    def _speak_again(self):
        """A house that is new, or stood still, has lost its speaker, who comes back as anybody would."""
        deadline = time.monotonic() + RECOVERS_S
        while True:
            try:
                self.house.speak()
                return
            except (OSError, ValueError, processes.Died, TimeoutError) as why:
                if time.monotonic() > deadline:
                    raise processes.Died(f"nobody can speak again: {why}; {self.house.house.last_words()}") from why
                time.sleep(1.0)

    def _forget(self):
        data = self.house.house.data
        for file in (data / "spaces" / self.house.name / "door", data / "keys" / "listen.key", data / "keys" / "listen.key.before"):
            file.unlink(missing_ok=True)

    def _look(self):
        """Somebody without JavaScript, and somebody who comes to the page, each second."""
        origin, page = self.house.house.public, f"/s/{self.house.name}"
        wait, due = f"{page}/wait", 0.0
        while not self.over.wait(1.0):
            at = round(self._at(), 1)
            self.looks.append({"at_s": at, "what": "page", **looked(origin + page)})
            if at >= due:
                found = looked(origin + wait)
                self.looks.append({"at_s": at, "what": "wait", **found})
                # As a browser does; whoever is told for long comes back sooner all the same, and is to be told the same time.
                wait, due = found.get("next") or f"{page}/wait", at + min(found.get("seconds", 2), 5)


def _lasts(name):
    return {"ahead": 20, "behind": 20, "disk": 20, "node": RESTART_S, "outage": OUTAGE_S}.get(name, 0)


@contextlib.contextmanager
def _environment(more):
    before = dict(os.environ)
    # Only what is started here is to have it: our own clock is as it is.
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def rows(file):
    """Numbers where there are some, by the names of the head."""
    number = lambda text: float(text) if re.fullmatch(r"-?[\d.]+", text) and text.count(".") <= 1 else text
    with open(file) as lines:
        return [{name: number(text) for name, text in row.items()} for row in csv.DictReader(lines)]


def looked(url):
    """What a page says: `true` if that may be so, `None` if nothing came; where it goes on, and when."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            status, head, body = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        status, head, body = error.code, error.headers, error.read()
    except (OSError, http.client.HTTPException) as error:
        # Nothing, or not all of it.
        return {"status": None, "true": None, "said": str(error)}
    return read(status, dict(head), body.decode("utf-8", "replace"), url)


def read(status, head, body, url):
    """The same, of an answer."""
    found = {"status": status, "true": True}
    if "/wait" not in url:
        return found | {"true": status == 200 and is_said_of(body) == (url.rstrip("/").rsplit("/", 1)[-1], "live")}
    head = {name.lower(): value for name, value in head.items()}
    refresh = re.fullmatch(r"(\d+); url=(.+)", head.get("refresh", ""))
    if refresh:
        # They are told when, and go where they are sent: an hour at the most, and not at once.
        return found | {"seconds": int(refresh[1]), "next": refresh[2], "true": status == 200 and 1 <= int(refresh[1]) <= LONGEST_S}
    # No page that waits: where they are let in, or a refusal that says why.
    return found | {"true": status == 200 and "<audio" in body or status >= 400 and "problem" in head.get("content-type", "")}


def is_said_of(page):
    """Of which conversation a page is, and what it says that is in; `None`: of none."""
    island = re.search(r'<script type="application/json" id="space">([^<]*)</script>', page)
    try:
        space = json.loads(island[1]) if island else {}
    except ValueError:
        space = {}
    return (space["id"], space["state"]) if "id" in space and "state" in space else None


def judged(figures, moments, visits, usual, marks, looks, places, seconds):
    """What it came to. `moments`: each second of the crowd; `visits`: each visit; `usual`: the same of each simulated launch without a mishap; `marks`: mishaps, from when to when; `looks`: at the pages."""
    troubled = [(mark["from_s"] - 1, mark["to_s"] + RECOVERS_S) for mark in marks]
    quiet = lambda at: not any(begin <= at < end for begin, end in troubled)
    # Of those who listen only these mishaps end somebody's connection, and no later than the kernel tells the other side.
    ends = [(int(mark["from_s"] - 1), mark["to_s"] + 2) for mark in marks if mark["name"] in ("worker", "node")]
    by_second = {int(row["at_s"]): row for row in moments}
    kept = [was_kept(visit) for visit in visits if may_be_judged(visit, seconds) and quiet(visit["promised_at_s"] + visit["promised_wait_s"])]
    inside, count = {}, 0
    for at in sorted(by_second):
        row = by_second[at]
        count += row["entered"] + row["back"] - row["left"] - row["cut"]
        inside[at] = count
    spared = places - places // 50
    used = lambda inside: [count / spared for at, count in inside.items() if at > SETTLED_S and quiet(at) and at < seconds - 2]
    after, usually = used(inside), [part for one in usual for part in used(inside_of(one, seconds))]
    untrue_looks = [look for look in looks if look["true"] is False]
    away = [visit["away_s"] for visit in visits if visit["away_s"] != ""]
    result = {
        "inside": places,
        "mishaps": [mark["name"] for mark in marks],
        "cap_exceeded": figures["cap_exceeded"],
        "untrue": figures["untrue"],
        "untrue_pages": len(untrue_looks),
        "pages_looked_at": len(looks),
        "promise_kept": round(sum(kept) / len(kept), 4) if kept else None,
        "promises": len(kept),
        "promise_kept_always": figures["promise_kept"],
        "cut": sum(int(row["cut"]) for row in moments),
        "cut_for_nothing": sum(int(row["cut"]) for at, row in by_second.items() if not any(begin <= at < end for begin, end in ends)),
        "packets_dropped": figures["packets_dropped"],
        "not_back": figures["cut"],
        "away_s_max": max(away, default=0.0),
        "used_after": round(statistics.fmean(after), 4) if after else None,
        "used_usually": round(statistics.fmean(usually), 4) if usually else None,
        "unanswered_after": sum(int(row["unanswered"]) for at, row in by_second.items() if at > SETTLED_S and quiet(at)),
        "crowd_late_ms_max": figures["crowd_late_ms_max"],
    }
    return result | node_figures(by_second, visits, marks) | outage_rates(by_second, marks)


def inside_of(visits, seconds):
    """How many were inside in each second, by when each came in and went."""
    steps, inside, count = dict.fromkeys(range(seconds), 0), {}, 0
    for visit in visits:
        for at, by in ((visit["entered_s"], 1), (visit["left_s"], -1)):
            if visit["entered_s"] != "" and at != "" and at < seconds:
                steps[int(at)] += by
    for at, by in steps.items():
        count += by
        inside[at] = count
    return inside


def node_figures(by_second, visits, marks):
    """Whom the restart of the node cut off, how long they were away, and how many came in one second."""
    node = next((mark for mark in marks if mark["name"] == "node"), None)
    if node is None:
        return dict.fromkeys(("node_down_s", "node_cut", "node_away_s_p50", "node_away_s_max", "node_back_per_s_max", "node_requests_per_s_max"))
    begin, end = int(node["from_s"] - 1), node["to_s"]
    until = lambda end: [row for at, row in by_second.items() if begin <= at < end]
    rows = until(end + RECOVERS_S)
    away = [visit["away_s"] for visit in visits if visit["away_s"] != "" and begin <= visit["cut_at_s"] < end]
    return {
        "node_down_s": round(end - node["from_s"], 1),
        "node_cut": sum(int(row["cut"]) for row in until(end)),
        "node_away_s_p50": round(statistics.median(away), 3) if away else None,
        "node_away_s_max": max(away, default=None),
        "node_back_per_s_max": max(int(row["back"]) for row in rows),
        "node_requests_per_s_max": max(int(row["requests"]) for row in rows),
    }


def outage_rates(by_second, marks):
    """How often those with an address of their own ask while the house stands still, and afterwards, over how often they would have by what they were told two minutes before at the least: to come at their time, or to look
    again. What was asked in the minutes before says less of what is normal (`…_over_before`): bots have times, too, at which nobody comes, many of some minutes and few of others."""
    outage = next((mark for mark in marks if mark["name"] == "outage"), None)
    if outage is None:
        return {"rate_during_outage": None, "rate_after_outage": None}
    begin, end = round(outage["from_s"]), round(outage["to_s"])
    rate = lambda span, of="alone": sum(by_second.get(at, {of: 0})[of] for at in range(*span)) / (span[1] - span[0])
    over = lambda part, whole: part / max(whole, 1e-9)
    before = (begin - 1 - BEFORE_S, begin - 1)
    # Some give up, and are told to come nevertheless.
    usual = over(rate(before), rate(before, "told"))
    normal = lambda span: usual * rate(span, "told")
    # Whoever comes back late does so for minutes: each part of that time is judged by itself.
    afterwards = [(end + PART_S * n, end + PART_S * (n + 1)) for n in range(AFTERWARDS)]
    parts = [round(over(rate(part), normal(part)), 2) for part in afterwards]
    result = {
        "rate_during_outage": round(over(rate((begin, end)), normal((begin, end))), 2),
        "rate_after_outage": max(parts),
        "rates_after_outage": parts,
        "rate_usual_over_told": round(usual, 2),
        "rate_normal_per_s": round(normal((begin, afterwards[-1][1])), 1),
    }
    for of, suffix in (("alone", ""), ("requests", "_of_all")):
        result[f"rate_during_over_before{suffix}"] = round(over(rate((begin, end), of), rate(before, of)), 2)
        result[f"rate_after_over_before{suffix}"] = round(over(rate(afterwards[0], of), rate(before, of)), 2)
    return result


def may_be_judged(visit, seconds):
    """Whether a time was told that has passed, to somebody who was there at it."""
    if visit["promised_at_s"] == "" or visit["kind"] == "Bot":
        return False
    due = visit["promised_at_s"] + visit["promised_wait_s"]
    return due < visit["comes_s"] + visit["patience_s"] and due + max(KEPT_S, KEPT_PART * visit["promised_wait_s"]) < seconds


def was_kept(visit):
    """Whether they were let in about then."""
    if visit["entered_s"] == "":
        return False
    late = visit["entered_s"] - visit["promised_at_s"] - visit["promised_wait_s"]
    return abs(late) <= max(KEPT_S, KEPT_PART * visit["promised_wait_s"])


def unwanted(result):
    """What did not come to its bound, in words."""
    said = [f"{name} is {result[name]}" for name in ("cap_exceeded", "untrue", "untrue_pages", "cut_for_nothing", "packets_dropped", "not_back", "unanswered_after") if result[name]]
    least = {"promise_kept": PROMISES_LEAST, "used_after": USED_LEAST}
    said += [f"{name} is {result[name]}, wanted {bound} at least" for name, bound in least.items() if result[name] is None or result[name] < bound]
    most = {"crowd_late_ms_max": CROWD_LATE_MS, "away_s_max": BACK_WITHIN_S, "rate_during_outage": RATE_MOST, "rate_after_outage": RATE_MOST}
    most |= {"rate_usual_over_told": RATE_MOST, "rate_during_over_before": OVER_BEFORE_MOST, "rate_after_over_before": OVER_BEFORE_MOST}
    return said + [f"{name} is {result[name]}, wanted {bound} at most" for name, bound in most.items() if result.get(name) is not None and result[name] > bound]


if __name__ == "__main__":
    main()
