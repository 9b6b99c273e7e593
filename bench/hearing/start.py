"""`./x bench start`: how punctually a planned conversation begins for a crowd that waits for it, and whether everybody has its first word.

    bench/start [--quick] [--listeners N] [--door N] [--keep DIR] [--break WHAT]

Several conversations are planned for moments a few seconds apart. Their hosts are on the stage and talk all the time; the audience hears silence until each begins by itself. At the
one in the middle 10,000 wait (`hiwar rehearse listen`). `--door 60000`: there are places for 2,000, who are inside, and so many more come to the door in the last minute before that start. The server is pinned to core 0, everybody else to core 1. `--quick` is 1,000 who wait, and two conversations. `--keep` keeps
what was heard, when each piece came, and the crowd's report. `--break` switches a mechanism off or damages something on purpose, to see its figure go bad. docs/measured/start.md says
what each figure means. The last line is one JSON object. The server is HIWAR_BIN, the hosts `voices` of crates/rehearsal (HIWAR_VOICES, or built here in release).
"""

import argparse
import csv
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime, timezone

import numpy as np

from . import door, ffmpeg, fragments, machine, processes, rehearsal, servers, source
from .house import House

RATE = source.RATE
FRAME = 960
LISTENERS, QUICK_LISTENERS = 10_000, 1_000
STARTS, QUICK_STARTS = 5, 2
APART_S = 3.0
"""From one start to the next."""
BEAT_S = 0.020
LEAD_S = 65
"""From when all is planned to the crowd's start."""
COMES_S = 40
"""So long before it the crowd comes: one alone for 3 s, all within `WITHIN_S`, and then they wait."""
WITHIN_S = 20
LISTENS_S = 30
"""From when the last one came: until 13 s after the start."""
AFTER_S = 10
"""So long after its start each is looked at."""
DOOR_LISTENERS, DOOR_COMES_S, DOOR_S = 2_000, 100, 60
"""With a door so many are inside, who came so long before; and everybody else comes within the last minute."""
DOOR_STAYS_S = 75
"""So long those at the door are played: until 15 s after the start."""
PLACES_SPARE = 24
"""Besides the crowd: who listens from outside, and what is kept for those who come back."""
JOINS_S = 12
"""So long before the crowd's start one more comes from outside, when all of the crowd are there: a worker serves first who came last."""
LATE_S, EARLY_S, STANDS_S, CUT_S = 0.3, 0.3, 2.5, 3.0
VOICE_S = 12
"""Of what hosts say, over and over."""
VOICE_LEVEL = 0.1
AUDIBLE = 10 ** (-50 / 20)
"""A sample that is louder, of full scale: 30 dB under a voice."""
REPLAY_WITHIN_S = 60
WORD_S = 1.0
"""So much of the beginning of a replay must be what was heard live."""
WANTED = {"start_error_ms": 50, "first_word_ms_p99": 2_000, "dropped": 0, "silent_before_dbfs": -80, "schedule_moved_ms": 10, "clock_moved_ms": 2}
REPLAY_WORD_MS, LIKENESS = 400, 0.95
BREAKS = {
    "late": "hosts begin to connect 300 ms after the planned moment: start_error_ms",
    "early": "a host begins each by hand 300 ms before: start_error_ms, silent_before_dbfs",
    "stop": "the workers stand still for 2.5 s from the planned moment on: first_word_ms_p99",
    "cut": "the workers are killed 3 s before: dropped",
    "trim": "what was recorded is heard without its first word: recorded_from_start",
}


def main():
    options = _options()
    if os.cpu_count() < 2:
        raise SystemExit("start needs two cores: one for the server, one for everybody else")
    os.sched_setaffinity(0, {int(servers.CAST_CORE)})
    began = time.monotonic()
    # Built before anything is planned.
    rehearsal.voices()
    with rehearsal.folder("start", options.keep) as folder, machine.roomy_loopback():
        result = Run(folder, options).go()
    print(json.dumps(result | {"broken": options.broken, "seconds": round(time.monotonic() - began)}), flush=True)


def _options():
    parser = argparse.ArgumentParser(prog="bench/start", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--listeners", type=int, metavar="N")
    parser.add_argument("--door", type=int, metavar="N", help="so many come to the door in the last minute")
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--break", dest="broken", choices=BREAKS)
    return parser.parse_args()


def say(text):
    print(f"  {text}", file=sys.stderr, flush=True)


@dataclass
class Planned:
    """One conversation. `starts` is the planned moment, on the clock of the wall."""

    number: int
    starts: float
    space: str = ""
    host: str = ""
    ear: object = None
    later: object = None
    states: list = field(default_factory=list)
    replay: np.ndarray = None


class Run:
    def __init__(self, folder, options):
        self.folder, self.broken = folder, options.broken
        usual = DOOR_LISTENERS if options.door else LISTENERS
        self.listeners = options.listeners or (QUICK_LISTENERS if options.quick else usual)
        self.arrive, self.at_door = options.door, None
        self.comes_s = DOOR_COMES_S if options.door else COMES_S
        # While people are drawn nobody is let in.
        self.joins_s = DOOR_S + 6 if options.door else JOINS_S
        self.count = QUICK_STARTS if options.quick else STARTS
        self.crowd, self.to_do = None, []

    def go(self):
        self.sound = self.folder / "said.s16"
        source.to_pcm(continuous([source.speech(file, ffmpeg.EXE) for file in source.demo_voices()], VOICE_S)).tofile(self.sound)
        self.house = House(servers.pinned(self.folder, "--workers 1"), self.folder, *self._door())
        at = math.ceil(time.time()) + LEAD_S - COMES_S + self.comes_s
        self.planned = [Planned(n, starts) for n, starts in enumerate(moments(at, self.count))]
        self.main = self.planned[self.count // 2]
        for one in self.planned:
            made = self.house.create(f"Start {one.number}", recording="on", starts_at=rfc3339(one.starts), doors_minutes=60)
            one.space, one.host = made["space"]["id"], made["host_pass"]
        self._until("doors that open", lambda space: space["state"] == "open")
        for one in self.planned if self.arrive else []:
            # A house that has just begun gives no places for a few seconds.
            door.opened(self._url(one), self.house)
        for one in self.planned:
            one.ear = fragments.Ear(self._url(one), ahead=True)
        if self.broken != "late":
            for one in self.planned:
                self._host(one)
            self._until("a host on the stage", lambda space: space["speakers"])
        for one in self.planned:
            one.ear.until(lambda ear: ear.pieces or None, 20, "sound")
        if time.time() > self.main.starts - self.comes_s:
            raise processes.Died("the hosts were not there in time")
        clock = wall_less_steady()
        self._plan()
        lost, stolen = machine.lost(), machine.totals()
        for when, do in sorted(self.to_do, key=lambda one: one[0]):
            time.sleep(max(0.0, when - time.time()))
            do()
        said = self._crowd_ended()
        arrived = self._door_ended()
        busy, stolen, everything = (b - a for a, b in zip(stolen, machine.totals()))
        moved = wall_less_steady() - clock
        lost = machine.lost() - lost
        for ear in [one.ear for one in self.planned] + [self.main.later]:
            ear.close()
        self._replays()
        self.house.stop()
        report = json.loads((self.folder / "crowd" / "report.json").read_text())
        starts = [self._judge(one, clock) for one in self.planned]
        (self.folder / "starts.json").write_text(json.dumps(starts, indent=1))
        result = {
            "listeners": self.listeners,
            **figures(starts, starts[self.main.number]),
            **waited(report, said, self.listeners, self.main.starts),
            **arrived,
            "schedule_moved_ms": round(max(abs(one["schedule_moved_ms"]) for one in starts), 1),
            "clock_moved_ms": round(abs(1000 * moved), 2),
            "packets_dropped": lost,
            "machine_stolen_percent": round(100 * stolen / everything, 2),
        }
        return result | {"unwanted": unwanted(result)}

    def _door(self):
        """Of the server: there are places for the crowd, and for nobody else."""
        if not self.arrive:
            return ()
        told = self.folder / "hiwar.toml"
        places = self.listeners + PLACES_SPARE
        # What is kept for those who come back is not given to others.
        told.write_text(f"[door]\nplaces = {places + places // 49}\n")
        self.visitors = rehearsal.door()
        return "--config", told

    def _arrive(self):
        """The last minute: everybody else comes."""
        say(f"{self.arrive} come to the door; the start is in {self.main.starts - time.time():.1f} s")
        command = [self.visitors, "crowd", self._url(self.main), "--people", self.arrive, "--cap", self.listeners, "--seconds", DOOR_STAYS_S, "--threads", 1]
        command += ["--raw", self.folder / "visits.csv", "--moments", self.folder / "moments.csv"]
        log = open(self.folder / "door.log", "wb")
        self.at_door = processes.start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)

    def _door_ended(self):
        """What became of those at the door."""
        if self.at_door is None:
            return {}
        said, _ = self.at_door.communicate(timeout=DOOR_STAYS_S + 60)
        if self.at_door.returncode or not said.strip():
            raise processes.Died(f"at the door: exit code {self.at_door.returncode}; {(self.folder / 'door.log').read_text()[-800:]}")
        with open(self.folder / "moments.csv") as lines:
            return at_door(list(csv.DictReader(lines)), json.loads(said.decode().strip().splitlines()[-1]), self.arrive)

    def _url(self, one):
        return f"{self.house.public}/listen/{one.space}.mp4"

    def _host(self, one):
        """The host of one comes to the stage, and talks until all is over."""
        seconds = math.ceil(one.starts - time.time()) + AFTER_S + 8
        command = [rehearsal.voices(), "speak", "--whip", self.house.whip(one.space), "--sound", self.sound, "--seconds", seconds, "--pass", one.host]
        log = open(self.folder / f"host-{one.number}.log", "wb")
        processes.start(command, ahead=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _until(self, what, is_so, within_s=LEAD_S - COMES_S):
        """Waits until something is so of every conversation; of the API's answer for it."""
        deadline = time.monotonic() + within_s
        for one in self.planned:
            while not is_so(self.house.space(one.space)):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"conversation {one.number}: no {what} within {within_s} s; {self.house.last_words()[-500:]}")
                time.sleep(0.1)

    def _plan(self):
        """What is done when."""
        self.to_do += [(self.main.starts - self.comes_s, self._crowd), (self.main.starts - self.joins_s, self._one_more)]
        if self.arrive:
            self.to_do.append((self.main.starts - DOOR_S - 1, self._arrive))
        for one in self.planned:
            self.to_do.append((one.starts - 0.8, lambda one=one: self._look(one)))
            self.to_do.append((one.starts + 1.2, lambda one=one: self._look(one)))
            if self.broken == "late":
                self.to_do.append((one.starts + LATE_S, lambda one=one: self._host(one)))
            if self.broken == "early":
                self.to_do.append((one.starts - EARLY_S, lambda one=one: self.house.start(one.space, one.host)))
        workers = machine.workers(self.house.pid)
        kill = lambda sign: [os.kill(pid, sign) for pid in workers]
        if self.broken == "stop":
            self.to_do.append((self.main.starts, lambda: kill(signal.SIGSTOP)))
            self.to_do.append((self.main.starts + STANDS_S, lambda: kill(signal.SIGCONT)))
        if self.broken == "cut":
            self.to_do.append((self.main.starts - CUT_S, lambda: kill(signal.SIGKILL)))
        self.to_do.append((self.planned[-1].starts + AFTER_S, lambda: None))

    def _look(self, one):
        one.states.append(self.house.space(one.space)["state"])

    def _crowd(self):
        """They come, each as a listener would, by leave of the server."""
        say(f"{self.listeners} come; the start is in {self.main.starts - time.time():.1f} s")
        command = [os.environ["HIWAR_BIN"], "rehearse", "listen", self._url(self.main), "--data", self.house.data, "--listeners", self.listeners, "--within", WITHIN_S]
        command += ["--seconds", LISTENS_S + self.comes_s - COMES_S, "--starts-at", f"{self.main.starts:.3f}", "--report", self.folder / "crowd"]
        log = open(self.folder / "crowd.log", "wb")
        self.crowd = processes.start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)

    def _one_more(self):
        self.main.later = fragments.Ear(self._url(self.main), ahead=True)

    def _crowd_ended(self):
        """Its last line."""
        said, _ = self.crowd.communicate(timeout=120)
        # 1: the server did not hold them, or nobody can tell. That is told by the figures.
        if self.crowd.returncode not in (0, 1) or not said.strip():
            raise processes.Died(f"hiwar rehearse: exit code {self.crowd.returncode}; {(self.folder / 'crowd.log').read_text()[-800:]}")
        return json.loads(said.decode().strip().splitlines()[-1])

    def _replays(self):
        for one in self.planned:
            self.house.end(one.space, one.host)
        self._until("replay", lambda space: space["replay"], REPLAY_WITHIN_S)
        for one in self.planned:
            replay = self.house.space(one.space)["replay"]
            file = self.folder / f"replay-{one.number}.ogg"
            with urllib.request.urlopen(self.house.public + replay["ogg"], timeout=60) as answer:
                file.write_bytes(answer.read())
            one.replay = decoded(file)

    def _judge(self, one, clock):
        """What one start was, from outside."""
        pieces, later = list(one.ear.pieces), list(one.later.pieces) if one.later else []
        file = self.folder / f"heard-{one.number}.ogg"
        file.write_bytes(fragments.ogg(piece.frames for piece in pieces))
        came, others = ([(piece.at + clock, piece.time, FRAME * len(piece.frames)) for piece in some] for some in (pieces, later))
        (self.folder / f"pieces-{one.number}.json").write_text(json.dumps({"came": came, "others": others}))
        replay = one.replay
        if self.broken == "trim":
            replay = replay[first_audible(replay) + round(LATE_S * RATE) :]
        found = judged(came, decoded(file), one.starts, replay, others)
        say(f"start {one.number}: {found['start_error_ms']} ms, {found['silent_before_dbfs']} dBFS before, replay: {found['replay_first_word_ms']} ms, {found['replay_likeness']}")
        return found | {"number": one.number, "starts": one.starts, "states": one.states, "ears_cut": one.ear.ended + bool(one.later and one.later.ended)}


def moments(at, count):
    """When the conversations are planned to begin: the middle one at `at`, the others `APART_S` apart; each in another part of a beat, whose place in a second stays the same."""
    middle = count // 2
    return [at + APART_S * (n - middle) + BEAT_S / count * ((n - middle) % count) for n in range(count)]


def rfc3339(moment):
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="milliseconds")


def wall_less_steady():
    """What is to be added to CLOCK_MONOTONIC for the time of day: of several looks the one in which least time passed."""
    looks = []
    for _ in range(50):
        before, wall, after = time.monotonic(), time.time(), time.monotonic()
        looks.append((after - before, wall - (before + after) / 2))
    return min(looks)[1]


def continuous(voices, seconds, rate=RATE):
    """Several who speak at once, without what is quiet and held at one level: a voice that is never silent, so that whenever it begins to be heard is when it was let through."""
    count, hop = seconds * rate, rate // 100
    # Their pauses are not at the same places.
    mixed = sum(np.resize(np.roll(voice, n * len(voice) // len(voices)), 2 * count) for n, voice in enumerate(voices)).reshape(-1, hop)
    level = np.sqrt(np.mean(mixed**2, axis=1))
    loud = level > 0.3 * VOICE_LEVEL
    mixed, level = mixed[loud].ravel()[:count], level[loud][: count // hop]
    if len(mixed) < count:
        raise ValueError("too little speech")
    at = np.arange(len(level)) * hop + hop / 2
    return np.clip(mixed * np.interp(np.arange(count), at, VOICE_LEVEL / level), -0.7, 0.7).astype(np.float32)


def decoded(file):
    """A file of Opus to float samples at 48 kHz, by libopus itself."""
    command = [ffmpeg.EXE, "-v", "error", "-nostdin", "-c:a", "libopus", "-i", str(file), "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout, "<f4")


def first_audible(sound):
    """The first sample that is louder than `AUDIBLE`; the length of the sound if none is."""
    loud = np.abs(sound) > AUDIBLE
    return int(np.argmax(loud)) if loud.any() else len(sound)


def envelope(came):
    """Seconds from the programme's time to the clock's, from `(at, begin, length)` of many chunks (lengths in samples). A chunk cannot come before its sound is over; so the soonest of
    all, after the end of its own sound, is when any sound is over."""
    return min(at - (begin + length) / RATE for at, begin, length in came)


def loudest_dbfs(sound, block=RATE // 50):
    """Level of the loudest 20 ms."""
    blocks = sound[: len(sound) // block * block].reshape(-1, block)
    power = np.max(np.mean(np.square(blocks, dtype=np.float64), axis=1), initial=0.0)
    return round(10 * math.log10(max(power, 1e-12)), 1)


def likeness(one, other, within=RATE // 100):
    """How much two sounds are the same, 0 to 1, wherever the second lies within `within` samples of the first."""
    length = min(len(one), len(other)) - 2 * within
    if length < RATE // 10:
        return 0.0
    one = one[within : within + length].astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(other.astype(np.float64), length)[: 2 * within + 1]
    power = np.sqrt(np.sum(one**2) * np.sum(windows**2, axis=1))
    return float(np.max(np.abs(windows @ one) / np.maximum(power, 1e-9)))


def judged(came, heard, starts, replay, others=()):
    """One start. `came`: each chunk's `(at, begin, length)`, `at` on the clock of the wall; `heard`: their samples, one chunk after another; `starts`: the planned moment; `others`: as
    `came`, of somebody else who listened to the same."""
    begins, lengths = np.array([begin for _, begin, _ in came]), np.array([length for _, _, length in came])
    gaps = int(np.sum(begins[1:] != begins[:-1] + lengths[:-1]))
    places = np.concatenate([[0], np.cumsum(lengths)])
    first = first_audible(heard)
    if first == len(heard):
        return {"start_error_ms": None, "silent_before_dbfs": loudest_dbfs(heard), "gaps": gaps, "schedule_moved_ms": 0.0} | _replayed(replay, heard[first:])
    chunk = int(np.searchsorted(places, first, side="right")) - 1
    is_near = lambda one: abs(one[0] - came[chunk][0]) <= AFTER_S
    near = list(filter(is_near, (*came, *others)))
    offset = envelope(near)
    before, after = [one for one in near if one[1] < begins[chunk]], [one for one in near if one[1] >= begins[chunk]]
    when = lambda sample: offset + (begins[chunk] + sample - places[chunk]) / RATE
    # What was heard before the planned moment, less what a frame's window may let through.
    planned = int(np.clip(first - round((when(first) - starts + 0.05) * RATE), 0, len(heard)))
    return {
        "start_error_ms": round(1000 * (when(first) - starts), 2),
        "first_chunk_ms": round(1000 * (when(places[chunk + 1]) - starts), 1),
        "served_ms": round(1000 * (envelope(filter(is_near, came)) - offset), 1),
        "ear_lateness_ms": round(1000 * (came[chunk][0] - when(places[chunk + 1])), 1),
        "schedule_moved_ms": round(1000 * (envelope(after) - envelope(before)), 2) if before and after else 0.0,
        "silent_before_dbfs": loudest_dbfs(heard[:planned]),
        "silent_before_s": round(planned / RATE, 1),
        "gaps": gaps,
    } | _replayed(replay, heard[first:])


def _replayed(replay, live):
    """Where in the replay the first word is, and whether it is the one that was heard first."""
    at = first_audible(replay)
    count = round(WORD_S * RATE)
    same = likeness(live[:count], replay[at : at + count])
    return {"replay_first_word_ms": round(1000 * at / RATE, 1), "replay_likeness": round(same, 3)}


def figures(starts, main):
    """Of all starts, as `judged` tells them; `main` is the one for which the crowd waited."""
    errors = [one["start_error_ms"] for one in starts]
    return {
        "starts": len(starts),
        # One that never began has no error, and neither has the worst.
        "start_error_ms": None if None in errors else max(abs(error) for error in errors),
        "start_error_ms_median": None if None in errors else round(statistics.median(abs(error) for error in errors), 2),
        "start_errors_ms": errors,
        "start_error_ms_crowd": main["start_error_ms"],
        "first_chunk_ms": main.get("first_chunk_ms"),
        "served_ms": main.get("served_ms"),
        "silent_before_dbfs": max(one["silent_before_dbfs"] for one in starts),
        "recorded_from_start": all(one["replay_first_word_ms"] <= REPLAY_WORD_MS and one["replay_likeness"] >= LIKENESS for one in starts),
        "replay_first_word_ms": max(one["replay_first_word_ms"] for one in starts),
        "replay_likeness": min(one["replay_likeness"] for one in starts),
        "states": sorted({"-".join(one["states"]) for one in starts}),
        "ear_gaps": sum(one["gaps"] for one in starts),
        "ears_cut": sum(one["ears_cut"] for one in starts),
    }


def waited(report, said, listeners, starts):
    """What became of the crowd: the report of the rehearsal and its last line."""
    began = report["plan"]["started_unix_s"]
    # The rehearsal began within that second.
    listening = {second["at_s"]: second["listening"] for second in report["seconds"]}
    before = [count for at, count in listening.items() if began + at + 2 <= starts]
    during = [count for at, count in listening.items() if starts <= began + at + 1 <= starts + AFTER_S]
    faults = sum(report["faults"].values())
    there = said["first_words"]
    return {
        "waiting": before[-1] if before else 0,
        "seconds_after": len(during),
        "first_word_ms_p50": said["first_word_ms_p50"],
        # Of all of them: whoever never had it waits for ever.
        "first_word_ms_p99": said["first_word_ms_p99"] if there >= 0.99 * listeners else None,
        "first_word_ms_max": said["first_word_ms_max"],
        "first_word_missing": max(0, listeners - there),
        "first_word_early": said["first_words_early"],
        # Who is cut off is a fault, too; who is missing at any second may not have been told of.
        "dropped": max(faults, sum(second["left"] for second in report["seconds"]), listeners - min(during, default=0)),
        "faults": report["faults"],
        "on_time_percent": said["on_time_percent"],
        "cadence_ms_max": max((second["cadence_ms"] for second in report["seconds"]), default=0),
        "server_percent_max": round(100 * (said["server_cores_max"] or 0), 1),
        "generator_busy_percent": said["generator_busy_percent_max"],
        "generator_trusted": said["generator_trusted"],
    }


def at_door(moments, figures, people):
    """Of those who came in the last minute: how many, and how many of them had an answer. `moments`: each second of them, as text."""
    total = lambda name: sum(int(row[name]) for row in moments)
    # Badly written programs come a hundred times, each counted.
    return {
        "people_at_door": people,
        "arrived_at_door": total("arrived"),
        "unanswered_at_door": total("unanswered"),
        "untrue_at_door": figures["untrue"],
        "let_in_at_door": figures["let_in"],
        "door_requests_per_s_max": max((int(row["requests"]) for row in moments), default=0),
    }


ANSWERED_LEAST = 0.999
"""Of those who come to the door, the part that has an answer at once."""


def unwanted(result):
    """What did not come to its bound, in words."""
    bad = [f"{name} is {result[name]}, wanted at most {most}" for name, most in WANTED.items() if result[name] is None or not result[name] <= most]
    if not result["recorded_from_start"]:
        bad.append(f"recorded_from_start: a first word is not whole in its replay: at {result['replay_first_word_ms']} ms, likeness {result['replay_likeness']}")
    if result["waiting"] < result["listeners"]:
        bad.append(f"{result['waiting']} of {result['listeners']} waited")
    if result["seconds_after"] < AFTER_S - 1:
        bad.append(f"the crowd was seen for {result['seconds_after']} s after the start only")
    if result["first_word_missing"]:
        bad.append(f"{result['first_word_missing']} never had the first word after the start")
    if result["first_word_early"]:
        bad.append(f"{result['first_word_early']} heard something before the start")
    if result["states"] != ["open-live"]:
        bad.append(f"before and after their starts they were {', '.join(result['states'])}")
    if result["ear_gaps"] or result["ears_cut"]:
        bad.append(f"those who were listened by had {result['ear_gaps']} gaps, and {result['ears_cut']} were cut off")
    if not result["generator_trusted"]:
        bad.append("the crowd was too busy to be believed")
    if "people_at_door" in result:
        if result["arrived_at_door"] < result["people_at_door"]:
            bad.append(f"{result['arrived_at_door']} of {result['people_at_door']} came to the door")
        if result["unanswered_at_door"] > (1 - ANSWERED_LEAST) * result["arrived_at_door"]:
            bad.append(f"{result['unanswered_at_door']} had no answer at the door")
        if result["untrue_at_door"]:
            bad.append(f"{result['untrue_at_door']} were told at the door what cannot be true")
    if result["packets_dropped"]:
        bad.append(f"this machine dropped {result['packets_dropped']} packets between its programs")
    return bad


if __name__ == "__main__":
    main()
