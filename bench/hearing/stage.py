"""`./x bench stage`: how many conversations of four one core carries, what the codec takes of it, and how soon a command is heard.

    bench/stage [--quick] [--keep DIR] [--break WHAT] [--only PART] [--spaces N]

The server has one core, whoever speaks and listens the other. `--quick` climbs in three steps and measures for seconds: it shows that everything runs. `--keep` keeps every window
and what was heard of each command. `--break` switches a mechanism off on purpose, to see its figure go bad. `--only` is climb or commands; `--spaces` begins with so many.
docs/measured/stage.md says what each figure means. The last line is one JSON object. The server is HIWAR_BIN, everybody else `voices` of crates/rehearsal (HIWAR_VOICES, or built
here in release). Needs root: for `perf`, and for real-time priorities.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import sys
import time
import urllib.error
import urllib.request

import numpy as np

from . import machine, processes, rehearsal, source
from .clock import now, percentile
from .house import House
from .servers import CAST_CORE, SERVER_CORE, pinned
from .spending import Spending, median, process_seconds

SPEAKERS, TALKING = 4, 2
SPEAKER_PRIORITY = "5"
"""Of the real-time class: in life they have machines of their own."""
WANTED_SPACES = 50
STEPS = (20, 30, 40, 45, 50, 55, 60, 65, 70, 75, 80, 90, 100)
QUICK_STEPS = (20, 35, 50)
"""Conversations, one number after the other."""
MISSES_PER_10000 = 1
LATE_MS_MAX = 20
"""Speakers that are later than a packet is long make jitter that no network made: then it is they who are measured."""
CAST_BUSY_PERCENT = 95
REFERENCE_WINDOWS, QUICK_WINDOWS = (5, 15), (2, 5)
"""How many, and how long."""
CLIMB_S, QUICK_CLIMB_S = 20, 5
POSTED_WITHIN_S = 60
"""From the end of conversations to the last of their replays."""
CONFIRM_S, QUICK_CONFIRM_S = 215, 10
"""10,750 beats."""
ROUNDS, QUICK_ROUNDS = 40, 6
"""Somebody waits in the wings, accepts, is muted, opens their microphone, and goes; then somebody comes straight to the stage, and goes."""
ROUND_S = 6
QUIET, LOUD = 0.003, 0.01
"""Root mean square of a frame in which nobody is heard, and of one in which somebody is: the tone is levelled to some 0.1."""
EFFECT_WITHIN_S = 3.0
TONE_S, TONE_HZ = 30, 440
ON, OFF = ("seat", "arrive", "unmute"), ("mute", "remove", "hang_up")
BOUND = ("seat", "mute", "remove", "hang_up")
"""Of these `command_ms_p95` is the worst. To open one's own microphone again is told beside them, and the whole way of somebody who is not connected yet: that is no command."""
COMMAND_MS = 100
AROUND_PERCENT = 25
NOBODY = ({"cast_late_ms_max": 0, "cast_percent": 0},)
"""What speakers said who did not even connect."""
BREAKS = {
    "talk": "all four talk: codec_percent",
    "log": "the server tells of each packet in its log: around_codec_percent",
    "priority": "the beat has no real-time priority, and 24 busy loops share its core: beat_misses_per_10000 and spaces_per_core",
    "stop": "the worker of the stage's port stands still for half of every second: command_ms_p95",
}


def main():
    options = _options()
    with rehearsal.folder("stage", options.keep) as folder, machine.roomy_loopback():
        result = Run(folder, options).go()
    print(json.dumps(result | {"broken": options.broken}), flush=True)


def _options():
    parser = argparse.ArgumentParser(prog="bench/stage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--only", choices=("climb", "commands"))
    parser.add_argument("--spaces", type=int, metavar="N", help="conversations to begin with (with --only commands: all there are)")
    parser.add_argument("--break", dest="broken", choices=BREAKS)
    return parser.parse_args()


def say(text):
    print(f"  {text}", file=sys.stderr, flush=True)


class Run(Spending):
    def __init__(self, folder, options):
        self.options, self.quick, self.broken = options, options.quick, options.broken
        self.voices, self.files = rehearsal.voices(), source.demo_voices()
        self.talking = SPEAKERS if self.broken == "talk" else TALKING
        beat = {"priority": "HIWAR_BEAT=normal", "log": "HIWAR_LOG=trace"}.get(self.broken, "")
        # This program, `perf` and whatever else it starts are the cast's side.
        os.sched_setaffinity(0, {int(CAST_CORE)})
        # A core that is full of stage makes its workers late; nobody is to be helped by longer pieces.
        (folder / "hiwar.toml").write_text("[listening]\ncadence_ms = 200\n")
        super().__init__(House(pinned(folder, "--workers 1", beat), folder, "--config", folder / "hiwar.toml"), folder)
        self.api = set(self.house.ask("GET", "/api/openapi.json")["paths"])
        self.groups, self.raw, self.unposted = [], {"windows": {}}, 0

    def go(self):
        began = time.monotonic()
        loops = []
        if self.broken == "priority":
            loops = [processes.start(["taskset", "-c", SERVER_CORE, "sh", "-c", "while :; do :; done"]) for _ in range(24)]
        result = {}
        if self.options.only != "commands":
            result |= self._climb()
        else:
            if not self._grow(self.options.spaces or 1):
                raise SystemExit("a conversation could not be begun")
            result |= self._commands()
        for loop in loops:
            processes.stop(loop)
        # Whoever is still there is let go with the server: what they have to tell they have told.
        for group in self.groups:
            processes.stop(group["cast"].process)
        self.house.stop()
        result |= {"cores": os.cpu_count(), "seconds": round(time.monotonic() - began)}
        (self.folder / "stage.json").write_text(json.dumps(self.raw, indent=1))
        return result | {"unwanted": unwanted(result)}

    # ---- who is there

    def _has(self, path):
        return f"/api/spaces/v1/spaces/{{id}}/{path}" in self.api

    def _space(self, title):
        made = self.house.create(title, recording="on")
        name, host = made["space"]["id"], made["host_pass"]
        self.house.start(name, host)
        return name, host

    def _pass(self, space, host, name):
        """`(pass, participant)` of somebody who is to speak."""
        made = self.house.seat(space, host, name)
        return made["pass"], made["participant"]

    def _speak(self, spaces, passes, *more, seconds=3_600):
        """Speakers, on the cast's core."""
        command = ["chrt", "-f", SPEAKER_PRIORITY, self.voices, "speak", "--whip", *[self.house.whip(name) for name in spaces], "--seconds", seconds, *more]
        return rehearsal.Cast([*command, "--pass", *passes], CAST_CORE)

    def _grow(self, count):
        """Opens so many more conversations; returns when all of them talk. False: not everybody got there, as on a core that is full."""
        spaces = [self._space(f"Conversation {n}") for n in range(count)]
        passes = [self._pass(name, host, f"Speaker {n}")[0] for name, host in spaces for n in range(SPEAKERS)]
        cast = self._speak([name for name, _ in spaces], passes, "--talking", self.talking, "--voice", *self.files, "--tell", 1)
        self.groups.append({"spaces": spaces, "cast": cast})
        try:
            cast.hear("connected", 60 + 2 * len(passes))
        except processes.Died as why:
            say(f"  not all of {len(passes)} speakers connected: {why}")
            return False
        time.sleep(3)
        return True

    def _shrink(self):
        """Ends those that were opened last."""
        group = self.groups.pop()
        processes.stop(group["cast"].process)
        for name, host in group["spaces"]:
            self.house.end(name, host)
        # Replays are made of what they recorded, on the server's core.
        until = now() + POSTED_WITHIN_S
        count = lambda: sum(self.house.space(name)["state"] != "posted" for name, _ in group["spaces"])
        while (unposted := count()) and now() < until:
            time.sleep(0.5)
        self.unposted = unposted
        if unposted:
            say(f"{unposted} of {len(group['spaces'])} replays are not there after {POSTED_WITHIN_S} s: what is measured next is measured beside their making, and does not count")
        time.sleep(1)

    def _count(self):
        return sum(len(group["spaces"]) for group in self.groups)

    # ---- what is measured

    def _watched(self, seconds, look):
        """A window, an ear on the newest conversation, and what the speakers said of themselves meanwhile."""
        name = self.groups[-1]["spaces"][-1][0]
        ear = rehearsal.Cast([self.voices, "hear", "--mp4", f"{self.house.public}/listen/{name}.mp4", "--seconds", seconds + 2], CAST_CORE)
        time.sleep(1)
        told = [len(group["cast"].so_far) for group in self.groups]
        pids = [group["cast"].process.pid for group in self.groups]
        spent = sum(map(process_seconds, pids))
        window = look(seconds)
        spent = sum(map(process_seconds, pids)) - spent
        heard = ear.hear("done", 30)
        said = [group["cast"].so_far[before:] for group, before in zip(self.groups, told)]
        window |= {
            "spaces": self._count(),
            "unposted": self.unposted,
            "cast_percent": 100 * spent / window["seconds"],
            "cast_late_ms_max": max((one["late_us_max"] for each in said for one in each), default=0) / 1_000,
            "returns_lost": sum(each[-1]["returns_lost"] - each[0]["returns_lost"] for each in said if each),
            "speakers_gone": sum(each[-1]["gone"] for each in said if each),
            "chunks_late": heard["chunks_late"],
            "chunk_interval_ms_max": heard["interval_ms_max"],
        }
        self.raw["windows"].setdefault(str(window["spaces"]), []).append(window)
        say(
            f"{window['spaces']} conversations: {int(window['missed'])} of {int(window['beats'])} beats missed, house {window['house_percent']:.1f} %, cores busy"
            f" {window['cores_busy_percent']}, speakers {window['cast_percent']:.0f} %, at most {window['cast_late_ms_max']:.1f} ms late"
        )
        return window

    def _climb(self):
        steps = QUICK_STEPS if self.quick else STEPS
        if self.options.spaces:
            steps = (self.options.spaces, *(step for step in steps if step > self.options.spaces))
        seconds = QUICK_CLIMB_S if self.quick else CLIMB_S
        figures, carried = None, 0
        for step in steps:
            say(f"{step} conversations of {SPEAKERS}, {self.talking} talking, recorded")
            if not self._grow(step - self._count()):
                window = None
                break
            # Once more: what another took of the machine for a moment is not what it carries.
            window = next((seen for seen in (self._watched(seconds, self.window) for _ in range(2)) if holds(seen)), None)
            if window is None:
                break
            carried = step
            if step == WANTED_SPACES:
                figures = self._figures()
        bound_by = "nothing" if window else ("speakers" if is_cast_the_bound(self.raw["windows"].get(str(step), NOBODY)[-1]) else "server")
        if window is None and len(self.groups) > 1:
            self._shrink()
        # At the end of the climb it has to hold for long enough to say how often it does not.
        while True:
            confirmed = self._watched(QUICK_CONFIRM_S if self.quick else CONFIRM_S, self.window)
            if holds(confirmed) or len(self.groups) == 1:
                break
            self._shrink()
        carried = self._count() if holds(confirmed) else 0
        figures = figures or self._figures()
        return {
            "spaces_per_core": carried,
            "bound_by": bound_by,
            "beat_misses_per_10000": misses(confirmed),
            "beats": int(confirmed["beats"]),
            "chunks_late": confirmed["chunks_late"],
            "chunk_interval_ms_max": round(confirmed["chunk_interval_ms_max"], 1),
            "returns_lost": confirmed["returns_lost"],
            "speakers_gone": confirmed["speakers_gone"],
            "unposted": confirmed["unposted"],
            "cast_percent": round(confirmed["cast_percent"], 1),
            "cast_late_ms_max": round(confirmed["cast_late_ms_max"], 1),
            "stolen_percent": round(confirmed["stolen_percent"], 2),
            **figures,
        }

    def _figures(self):
        """What the core is spent on, and the commands: with as many conversations as there are now."""
        count, seconds = QUICK_WINDOWS if self.quick else REFERENCE_WINDOWS
        seen = [self._watched(seconds, self.window_by_function) for _ in range(count)]
        commands = self._commands() if self.options.only is None else {}
        return spent(seen) | commands

    def _commands(self):
        """Somebody waits, is seated, is muted, opens their microphone again and goes, another comes at once, and all that is looked at by what a third hears."""
        rounds = QUICK_ROUNDS if self.quick else ROUNDS
        rng = random.Random(5)
        name, host = self._space("Commands")
        heard, tone = self.folder / "heard", self.folder / "tone.s16"
        shutil.rmtree(heard, ignore_errors=True)
        heard.mkdir()
        wave = 0.2 * np.sin(2 * np.pi * TONE_HZ * np.arange(TONE_S * source.RATE) / source.RATE)
        source.to_pcm(wave.astype(np.float32)).tofile(tone)
        listens, _ = self._pass(name, host, "Listens")
        all_s = rounds * ROUND_S + 10
        ear = self._speak([name], [listens], "--talking", 0, "--heard", heard, seconds=all_s)
        ear.hear("connected", 60)
        can_mute, can_remove = (any(self._has(f"people/{{participant}}/{action}") for action in (what, "{action}")) for what in ("mute", "remove"))
        stop = processes.StopAndGo(machine.reserved(self.house.pid), each_s=0.5) if self.broken == "stop" else None
        done, until, self.connected = [], now() + rounds * ROUND_S, []
        for n in range(rounds):
            if now() > until:
                break
            done += self._round(name, host, n, tone, rng, can_mute, can_remove)
        if stop:
            stop.stop()
        ear.hear("done", all_s + 60)
        times, levels = frames(np.fromfile(heard / "speaker-0.s16", dtype="<i2"), np.loadtxt(heard / "speaker-0.points", ndmin=2))
        found = effects(done, times, levels)
        self.raw["commands"] = [{"kind": kind, "at": at, "ms": ms} for (kind, at), ms in zip(done, found)]
        return commanded(done, found) | {
            "connect_ms_p50": round(percentile(self.connected, 50), 1),
            "commands_missing": [what for what, is_there in (("mute", can_mute), ("remove", can_remove)) if not is_there],
        }

    def _round(self, space, host, n, tone, rng, can_mute, can_remove):
        """One after the other, each at any moment of a beat: what was done, and when."""
        mine, participant = self._called(space, host, f"Caller {n}")
        pause = lambda: time.sleep(0.5 + 0.2 * rng.random())
        # They are connected, and talk; nobody hears them before they accept, which is their last word.
        caller = self._speak([f"{space}?at=wings"], [mine], "--sound", tone)
        told = caller.hear("connected", 60)
        pause()
        done = [("seat", self._do("POST", f"/api/spaces/v1/spaces/{space}/seat", mine))]
        pause()
        people = f"/api/spaces/v1/spaces/{space}/people/{participant}"
        if can_mute:
            done.append(("mute", self._do("POST", f"{people}/mute", host)))
            pause()
            done.append(("unmute", self._do("POST", f"{people}/unmute", mine)))
            pause()
        # They go on sending: it is the server that is to be silent.
        if can_remove and n % 2:
            done.append(("remove", self._do("POST", f"{people}/remove", host)))
        else:
            done.append(("hang_up", self._do("DELETE", told["sessions"][0], mine)))
        pause()
        processes.stop(caller.process)
        return done + self._straight(space, host, n, tone, pause)

    def _straight(self, space, host, n, tone, pause):
        """Somebody who comes straight to the stage, so that the connection is in it; and goes."""
        mine, _ = self._pass(space, host, f"Guest {n}")
        guest = self._speak([space], [mine], "--sound", tone)
        told = guest.hear("connected", 60)
        self.connected.append(1_000 * (told["at_s"] - told["asked_s"][0]))
        done = [("arrive", told["asked_s"][0])]
        pause()
        done.append(("hang_up", self._do("DELETE", told["sessions"][0], mine)))
        pause()
        processes.stop(guest.process)
        return done

    def _called(self, space, host, name):
        """The same of somebody from the audience who asked for the word, is called, and knows that it is recorded."""
        at = f"/api/spaces/v1/spaces/{space}"
        made = self.house.ask("POST", f"{at}/passes", {"role": "listener", "name": name})
        mine, participant = made["pass"], made["participant"]
        self.house.ask("PUT", f"{at}/hand", token=mine)
        self.house.ask("POST", f"{at}/people/{participant}/call", token=host)
        self.house.ask("POST", f"{at}/agreement", token=mine)
        return mine, participant

    def _do(self, method, path, token):
        """A command; when it was sent. It is on its way before its answer is there, and what is heard of it is looked for from then on."""
        address = path if path.startswith("http") else self.house.stage + path
        request = urllib.request.Request(address, method=method, headers={"Authorization": f"Bearer {token}"})
        at = now()
        with contextlib.closing(urllib.request.urlopen(request, timeout=10)) as answer:
            answer.read()
        return at


def misses(window):
    """Missed beats of 10,000."""
    return round(1e4 * window["missed"] / max(1, window["beats"]), 2)


def is_cast_the_bound(window):
    """Whether the speakers themselves did not keep up."""
    return window["cast_late_ms_max"] > LATE_MS_MAX or window["cast_percent"] > CAST_BUSY_PERCENT


def holds(window):
    """Whether a core carries what it carried in this window."""
    return misses(window) <= MISSES_PER_10000 and window["speakers_gone"] == 0 and window["unposted"] == 0 and not is_cast_the_bound(window)


def spent(windows):
    """What the core was spent on. Percents of the core that [`WANTED_SPACES`] conversations take: where there were others, it is taken to go with their number."""
    spaces = windows[0]["spaces"]
    share = WANTED_SPACES / spaces
    return {
        "figures_at_spaces": spaces,
        "codec_percent": round(share * median(windows, lambda w: w["codec_percent"]), 1),
        "around_codec_percent": round(share * median(windows, lambda w: w["house_percent"] - w["codec_percent"]), 1),
        "house_percent": round(share * median(windows, lambda w: w["house_percent"]), 1),
        "server_percent": round(share * median(windows, lambda w: w["server_percent"]), 1),
        "server_core_busy_percent": median(windows, lambda w: w["cores_busy_percent"][int(SERVER_CORE)]),
        "cast_core_busy_percent": median(windows, lambda w: w["cores_busy_percent"][int(CAST_CORE)]),
        "threads_percent": windows[len(windows) // 2]["threads_percent"],
        "encodes_per_beat": round(median(windows, lambda w: w["encodes"] / w["beats"]), 1),
        "decodes_per_beat": round(median(windows, lambda w: w["decodes"] / w["beats"]), 1),
        "codec_us_per_call": round(median(windows, lambda w: 1e4 * w["seconds"] * w["codec_percent"] / (w["encodes"] + w["decodes"])), 1),
        "samples": sum(w["samples"] for w in windows),
        "unnamed_percent": round(median(windows, lambda w: w["unnamed_percent"]), 3),
    }


def frames(pcm, points):
    """Of what somebody heard: when the server sent each packet, and how loud it was. `points`: lines of a sample's number and a time."""
    starts, times = points[:, 0].astype(int), points[:, 1]
    ends = np.append(starts[1:], len(pcm))
    # What is missing before a packet left its place empty, which says nothing of this one.
    levels = [np.sqrt(np.mean(np.square(pcm[a : min(b, a + 960)] / 32768.0))) if b > a else 0.0 for a, b in zip(starts, ends)]
    return times, np.array(levels)


def effects(done, times, levels):
    """How many milliseconds after each command it was heard: the first packet that is loud, or quiet, as it is to be. `None`: it was so before, or never was.
    `done`: kind and time, in order."""
    found = []
    for place, (kind, at) in enumerate(done):
        end = min(at + EFFECT_WITHIN_S, done[place + 1][1] if place + 1 < len(done) else np.inf)
        is_there = levels > LOUD if kind in ON else levels < QUIET
        first, last = np.searchsorted(times, at), np.searchsorted(times, end)
        after = np.flatnonzero(is_there[first:last])
        # It was so before: then it is not this command that was heard.
        was = first > 2 and bool(is_there[first - 2 : first].any())
        found.append(None if was or not len(after) else 1_000 * float(times[first + after[0]] - at))
    return found


def commanded(done, found):
    """The figures of the commands."""
    kinds = {kind: [ms for (of, _), ms in zip(done, found) if of == kind and ms is not None] for kind in dict.fromkeys(kind for kind, _ in done)}
    each = {f"{kind}_ms_{name}": round(percentile(ways, q), 1) for kind, ways in kinds.items() for name, q in (("p50", 50), ("p95", 95))}
    worst = [each[f"{kind}_ms_p95"] for kind in BOUND if kind in kinds]
    return {
        "command_ms_p95": max(worst, key=lambda ms: float("inf") if ms != ms else ms) if worst else float("nan"),
        **each,
        "commands": len(done),
        "commands_without_effect": sum(ms is None for ms in found),
    }


def unwanted(result):
    """What did not come to its bound, in words."""
    no = []
    # Also what is no number: `not x <= y`.
    at_most = {"beat_misses_per_10000": MISSES_PER_10000, "around_codec_percent": AROUND_PERCENT, "command_ms_p95": COMMAND_MS, "commands_without_effect": 0, "speakers_gone": 0, "unposted": 0}
    no += [f"{name} is {result[name]}, wanted is at most {bound}" for name, bound in at_most.items() if name in result and not result[name] <= bound]
    if result.get("spaces_per_core", WANTED_SPACES) < WANTED_SPACES:
        no.append(f"spaces_per_core is {result['spaces_per_core']}, wanted are {WANTED_SPACES}; what came to its end: {result['bound_by']}")
    no += [f"there is no command: {what}" for what in result.get("commands_missing", [])]
    return no


if __name__ == "__main__":
    main()
