"""`./x bench isolation`: what a stage notices of a crowd that takes everything the machine has.

    bench/isolation [--quick] [--keep DIR] [--break WHAT]

Nothing is pinned: house, two workers and the crowd share both cores. Four people talk, a thousand listen; then for a minute five times as many want to join as get in. `--quick` is
a third of the time with a tenth of those who listen, and no surge. `--keep` keeps everything that was heard. `--break` switches a mechanism off or damages something on purpose, to
see its figure go bad. docs/measured/isolation.md says what each figure means. The last line is one JSON object. The server is HIWAR_BIN, everybody else `voices` of crates/rehearsal
(HIWAR_VOICES, or built here in release). Needs root, for real-time priorities.
"""

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from . import breaks, compare, ffmpeg, figures, joins, machine, mark, processes, rehearsal, source
from .clock import now, percentile, read_points
from .house import House

SPEAKERS = ("first", "second", "third", "fourth")
SPEAKER_PRIORITY, EAR_PRIORITY = "5", "3"
"""Of the real-time class, below the house's beat (10): in life they have machines of their own."""
SURGE_S, QUICK_SURGE_S = 60, 20
LEAD_S = 4
"""From the first word to the surge."""
EXISTING, QUICK_EXISTING = 1_000, 100
TIMES = 5
"""So many times as many want to join as get in."""
CROWDS = 4
"""Processes of them: with two the machine had nothing to do for 4 % of the time, while each waited for its next look at its sockets."""
CAPACITY_S = 6
ASKED, QUICK_ASKED = 40_000, 100
"""Joins a second that are offered to see how many get in: more than do. `--quick` is no surge, and shows only that everything runs."""
SEALED_WITHIN_S = 60.0
WANTED = {"beat_miss_percent": 0.1, "recording_gaps": 0, "speaker_to_speaker_ms_p95": 300}
ON_TIME_PERCENT = 99
BREAKS = {
    "beat": "the beat has no real-time priority, and workers and crowd go before everybody: beat_miss_percent",
    "stop": "the workers stand still for 1.5 s of every 3: existing_on_time_percent",
    "mute": "who speaks first leaves out 60 ms every 7 s: recording_gaps",
    "delay": "everything is heard 300 ms later: speaker_to_speaker_ms_p95",
    "queue": "the machine's own queue between its programs stays as short as it is: packets_dropped, and so marks_missing and recording_gaps",
}


def main():
    options = _options()
    roomy = contextlib.nullcontext() if options.broken == "queue" else machine.roomy_loopback()
    with rehearsal.folder("isolation", options.keep) as folder, roomy:
        result = Run(folder, options).go()
    print(json.dumps(result | {"broken": options.broken}), flush=True)


def _options():
    parser = argparse.ArgumentParser(prog="bench/isolation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--break", dest="broken", choices=BREAKS)
    return parser.parse_args()


def say(text):
    print(f"  {text}", file=sys.stderr, flush=True)


class Run:
    def __init__(self, folder, options):
        self.folder, self.broken = folder, options.broken
        self.surge_s, self.existing = (QUICK_SURGE_S, QUICK_EXISTING) if options.quick else (SURGE_S, EXISTING)
        self.asked = QUICK_ASKED if options.quick else ASKED
        # Whole rounds of turns, and somebody is always talking while the crowd comes.
        round_s = source.TURN_S * len(SPEAKERS)
        self.plan = source.Plan.of(SPEAKERS, round_s * math.ceil((self.surge_s + LEAD_S + 8) / round_s))
        self.voices = rehearsal.voices()

    def go(self):
        say(f"making {self.plan.seconds} s of speech for {len(SPEAKERS)} speakers")
        sounds = self._sounds()
        wrapper = self.folder / "hiwar"
        beat = "HIWAR_BEAT=normal" if self.broken == "beat" else ""
        wrapper.write_text(f'#!/bin/sh\nexec env {beat} "{os.environ["HIWAR_BIN"]}" "$@" --workers 2\n')
        wrapper.chmod(0o755)
        # Nobody is to be helped by a longer cadence: what protects those who listen is what is looked at.
        (self.folder / "hiwar.toml").write_text("[listening]\ncadence_ms = 200\n")
        self.house = House(wrapper, self.folder, "--config", self.folder / "hiwar.toml")
        created = self.house.create("Isolation", recording="on")
        space, host = created["space"]["id"], created["host_pass"]
        self.house.start(space, host)
        self.url = f"{self.house.public}/listen/{space}.mp4"
        passes = [self.house.speaker(space, host, who) for who in ("capacity", *SPEAKERS)]
        self.first = self._ahead() if self.broken == "beat" else None

        capacity = self._capacity(space, passes[0])
        say(f"{capacity:.0f} joins a second are what this machine does")

        heard = self.folder / "heard"
        heard.mkdir(exist_ok=True)
        cast = self._start(["chrt", "-f", SPEAKER_PRIORITY, self.voices, "speak", "--whip", self.house.whip(space), "--sound", *sounds, "--heard", heard,
                            "--seconds", self.plan.seconds, "--pass", *passes[1:]], "speak")  # fmt: skip
        told = [json.loads(cast.stdout.readline() or "{}") for _ in range(2)]
        if told[-1].get("event") != "speaking":
            raise processes.Died(f"speakers: {told}; {self._words('speak')}")
        began = told[-1]["began_s"]
        existing = self._start(["chrt", "-f", EAR_PRIORITY, self.voices, "listen", self.url, "--listeners", self.existing, "--within", 1,
                                "--seconds", self.surge_s + LEAD_S + 12, "--report", self.folder / "existing"], "existing")  # fmt: skip
        time.sleep(max(0.0, began[0] + LEAD_S + 2 - now()))
        spent, window = self._surge(capacity)
        listened = self._ended(existing, "existing", self.surge_s + 90)
        said = self._ended(cast, "speak", self.plan.seconds + 60)
        self._replay(space, host)
        self.house.stop()
        own = json.loads((self.folder / "existing" / "report.json").read_text())
        result = {
            **spent,
            **stage(self.folder, heard, self.plan, began, window, self.broken),
            **existing_heard(own, window, self.existing),
            "recording_gaps": self._gaps(),
            "capacity_joins_per_s": round(capacity),
            "returns_lost": said["returns_lost"],
            "speakers_gone": said["gone"],
            "speakers_late_ms_max": round(said["late_us_max"] / 1_000, 1),
            "existing_generator_trusted": listened["generator_trusted"],
        }
        return result | {"unwanted": unwanted(result)}

    def _sounds(self):
        voices = source.demo_voices()
        self.sources, files = {}, []
        for n, who in enumerate(SPEAKERS):
            sound = source.spoken(self.plan, who, source.speech(voices[n % len(voices)], ffmpeg.EXE))
            self.sources[who] = source.for_analysis(sound)
            if self.broken == "mute" and n == 0:
                sound = breaks.sound("holes", sound, source.RATE)
            files.append(self.folder / f"said-{n}.s16")
            source.to_pcm(sound).tofile(files[-1])
        return files

    def _start(self, command, name):
        return processes.start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(self.folder / f"{name}.log", "wb"))

    def _words(self, name):
        return (self.folder / f"{name}.log").read_text()[-800:]

    def _ended(self, process, name, within_s):
        """Its last line."""
        said, _ = process.communicate(timeout=within_s)
        if process.returncode or not said.strip():
            raise processes.Died(f"{name}: exit code {process.returncode}; {self._words(name)}")
        return json.loads(said.decode().strip().splitlines()[-1])

    def _ahead(self):
        """Everybody of the crowd's side before the rest, the beat included: what its priority is for."""
        for pid in machine.workers(self.house.pid):
            os.setpriority(os.PRIO_PROCESS, pid, -15)
        return ["nice", "-n", "-15"]

    def _crowd(self, rate, seconds, name):
        """So many a second who want to join, by closed loops: who has got in or has waited for too long is followed by another."""
        command = [*(self.first or []), self.voices, "listen", self.url, "--listeners", max(1, round(rate * joins.ROUND_S)), "--within", 2, "--seconds", seconds]
        return self._start([*command, "--stay", joins.STAY_S, "--threads", 2, "--report", self.folder / name], name)

    def _capacity(self, space, one):
        """Joins a second of the whole machine, the crowd itself included, when more want to join than get in."""
        files = source.demo_voices()
        mouth = self._start([self.voices, "speak", "--whip", self.house.whip(space), "--talking", 1, "--seconds", 300, "--voice", *files, "--pass", one], "mouth")
        if b"connected" not in mouth.stdout.readline():
            raise processes.Died(f"a speaker did not connect: {self._words('mouth')}")
        crowd = self._crowd(self.asked, CAPACITY_S, "capacity")
        self._ended(crowd, "capacity", CAPACITY_S + 60)
        processes.stop(mouth)
        report = json.loads((self.folder / "capacity" / "report.json").read_text())
        return statistics.median(second["joined"] for second in report["seconds"][3:])

    def _surge(self, capacity):
        """The crowd. Returns what the machine and the beat did meanwhile, and from when to when (CLOCK_MONOTONIC and the day's clock)."""
        rate = TIMES * capacity / CROWDS
        # Asked for when it can be answered: what is counted before and after the window is taken to be missed within.
        beats, counted_from = self._metrics(), now()
        crowds = [self._crowd(rate, self.surge_s - 2, f"crowd-{n}") for n in range(CROWDS)]
        # One of each listens alone first.
        time.sleep(4)
        stop = processes.StopAndGo(machine.workers(self.house.pid)) if self.broken == "stop" else None
        window = {"from": now(), "from_unix": time.time()}
        before, udp, ports, lost = machine.totals(), _udp(), _drops(), machine.lost()
        say(f"{TIMES} times as many want to join for {self.surge_s} s")
        time.sleep(self.surge_s - 6)
        window |= {"to": now(), "to_unix": time.time()}
        busy, stolen, everything = (b - a for a, b in zip(before, machine.totals()))
        udp_after, ports_after, lost = _udp(), _drops(), machine.lost() - lost
        if stop:
            stop.stop()
        told = [self._ended(crowd, f"crowd-{n}", self.surge_s + 60) for n, crowd in enumerate(crowds)]
        after, counted_s = self._metrics(), now() - counted_from
        count = (after["hiwar_beats_total"] - beats["hiwar_beats_total"]) * min(1.0, (window["to"] - window["from"]) / counted_s)
        missed = after["hiwar_beats_missed_total"] - beats["hiwar_beats_missed_total"]
        dropped = sum(ports_after.values()) - sum(ports.values())
        say(f"dropped packets: {dropped} of UDP sockets that are there still; of all {({name: udp_after[name] - udp[name] for name in udp})}; {lost} between programs, of all kinds")
        return {
            "beats": int(count),
            "beat_miss_percent": round(100 * missed / max(1, count), 3),
            "machine_busy_percent": round(100 * busy / everything, 1),
            "machine_stolen_percent": round(100 * stolen / everything, 2),
            "joins_wanted_per_s": round(TIMES * capacity),
            "joins": sum(one["joins"] for one in told),
            "joins_failed": sum(one["joins_failed"] for one in told),
            "joins_per_s": round(sum(one["joins"] for one in told) / self.surge_s),
            "packets_dropped": sum(udp_after.values()) - sum(udp.values()) + lost,
        }, window

    def _metrics(self):
        with urllib.request.urlopen(self.house.public + "/metrics", timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line and not line.startswith("#"))}

    def _replay(self, space, host):
        self.house.end(space, host)
        deadline = now() + SEALED_WITHIN_S
        while not (replay := self.house.space(space)["replay"]):
            if now() > deadline:
                raise TimeoutError("the recording is not there")
            time.sleep(0.1)
        with urllib.request.urlopen(self.house.public + replay["ogg"], timeout=60) as answer:
            (self.folder / "replay.ogg").write_bytes(answer.read())
        source.to_pcm(ffmpeg.decode(self.folder / "replay.ogg")).tofile(self.folder / "replay_ogg.s16")

    def _gaps(self):
        found = compare.compare(self.plan, self.sources, figures.read_sound(self.folder, "replay_ogg")).gaps
        for gap in found[:5]:
            say(f"a gap in the recording at {gap.at:.2f} s: {1000 * gap.length:.0f} ms {gap.what}, second {gap.number}")
        return len(found)


def stage(folder, heard, plan, began, window, broken=None):
    """What speakers heard of each other while the crowd was there: from a mark's sample at the mouth to when the server sent it, to each of the others."""
    ways, expected = [], 0
    for ear in range(len(plan.publishers)):
        sound, times = figures.read_sound(heard, f"speaker-{ear}"), read_points(heard / f"speaker-{ear}.points", source.RATE, smooth=1)
        places = {one.number: one.at for one in reversed(mark.find(sound))}
        numbers = sorted(places)
        came = dict(zip(numbers, breaks.when(broken, times.when([places[n] for n in numbers]))))
        found, due = ways_to(plan, ear, began, came, window)
        ways, expected = ways + found, expected + due
    return {
        "speaker_to_speaker_ms_p50": round(percentile(ways, 50), 1),
        "speaker_to_speaker_ms_p95": round(percentile(ways, 95), 1),
        "speaker_to_speaker_ms_max": round(max(ways, default=float("nan")), 1),
        "marks": len(ways),
        "marks_missing": expected - len(ways),
    }


def ways_to(plan, ear, began, came, window):
    """Milliseconds of each mark that others said within the window, to this ear; and how many that should be. `came`: number to time."""
    ways, expected = [], 0
    for number in range(plan.seconds):
        who = plan.speaker(number)
        if who is None or plan.publishers.index(who) == ear:
            continue
        said = began[plan.publishers.index(who)] + plan.place(number)
        if not window["from"] <= said <= window["to"]:
            continue
        expected += 1
        if number in came:
            ways.append(1000.0 * (float(came[number]) - said))
    return ways, expected


def existing_heard(report, window, listeners):
    """What those who listened before heard while the crowd was there."""
    began = report["plan"]["started_unix_s"]
    there = [second for second in report["seconds"] if window["from_unix"] - began <= second["at_s"] <= window["to_unix"] - began]
    chunks, late = (sum(second[name] for second in there) for name in ("chunks", "chunks_late"))
    due = 5 * sum(second["listening"] for second in there)
    return {
        "existing_listeners": min((second["listening"] for second in there), default=0),
        "existing_asked": listeners,
        "existing_on_time_percent": round(100 * (chunks - late) / max(chunks, due), 3) if chunks else 0.0,
        "existing_faults": report["faults"],
    }


def unwanted(result):
    """What did not come to its bound, in words."""
    bad = [f"{name} is {result[name]}, wanted at most {most}" for name, most in WANTED.items() if not result[name] <= most]
    if result["existing_on_time_percent"] < ON_TIME_PERCENT:
        bad.append(f"existing_on_time_percent is {result['existing_on_time_percent']}, wanted at least {ON_TIME_PERCENT}")
    if result["existing_listeners"] < result["existing_asked"]:
        bad.append(f"{result['existing_listeners']} of {result['existing_asked']} who listened before were there all the time")
    bad += [f"{count} x {what}" for what, count in result["existing_faults"].items() if count]
    if not result["existing_generator_trusted"]:
        bad.append("those who listened before were too busy to be believed")
    if result["marks_missing"]:
        bad.append(f"{result['marks_missing']} marks were not heard by other speakers")
    if result["speakers_gone"]:
        bad.append(f"{result['speakers_gone']} speakers were cut off")
    if result["packets_dropped"]:
        bad.append(f"this machine dropped {result['packets_dropped']} packets between its programs")
    if result["machine_busy_percent"] < 97:
        bad.append(f"the machine was busy for {result['machine_busy_percent']} % only: no surge")
    return bad


def _udp():
    """Datagrams that were lost in this machine's queues since it began: proc_net(5), snmp."""
    heads, values = (line.split()[1:] for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Udp: "))
    table = dict(zip(heads, map(int, values)))
    return {name: table[name] for name in ("RcvbufErrors", "SndbufErrors")}


def _drops():
    """The same by socket: inode to drops."""
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return {row[9]: int(row[-1]) for row in rows}


if __name__ == "__main__":
    main()
