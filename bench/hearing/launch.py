"""`./x bench crowd`: sixty thousand come within a minute, to 19,000 places: in a simulated world, and for real; and half a million, simulated.

    bench/crowd [--only sim|sim500k|real] [--minutes N] [--scale N] [--stay MINUTES] [--keep DIR] [--break WHAT]

One script (crates/rehearsal/src/launch.rs) says who comes when and from where, how long they wait, and how long they stay. `door simulate` plays it without a clock by the code that workers and house
run; `door crowd` at a running server, each person from an address of loopback. The same launch is then simulated nine times with the same draw, by the random bytes of the real door's file: what two hundred bots gain, and what a /24 has beyond its share, is uncertain by a fiftieth and
a twenty-fifth from draw to draw, which is more than the two worlds may differ by; it begins at the same moment by the clock, since each network looks for what others leave at moments of its own; and what is chance beside that is told as medians. With `--only sim` each of the nine has another draw; and half a million is simulated forty-nine times, for of the /24 a dozen are let in then, and only of many draws together can be told what its share is. `--scale 5` is a fifth of everybody and of the places. `--stay` is how long half of them stay longer than, which the
house is told as well. Less than what is asked for is said in the result. docs/measured/door.md says what each figure means. `--keep` keeps raw samples: a line for each visit, and of the real run one
for each second. The last line is one JSON object.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
from pathlib import Path

from . import machine, processes, rehearsal
from .door import Door, run

CROWD_CORES, SERVER_CORES = "0,1", "0,1"
PEOPLE_SIM = 500_000
PEOPLE, CAP, BOTS, CARRIED, STAY_MINUTES = 60_000, 19_000, 200, 200, 20
MINUTES = 16
"""How long it is played. Stays are as long as they are: a place is kept for half a minute whatever they are, and with short ones more places would be kept than are spared for that."""
DRAWS, DRAWS_500K = 9, 49
"""How often the launch is simulated, and half a million."""
BOTS_LEAST = 150
"""With fewer bots nobody can tell whether they gain anything."""
DRAW, DRAW_BYTES = "draw", 72
"""What of the real door's file its draw comes of (docs/formats/door.md)."""
CROWD_LATE_MS = 1_000
"""A crowd that acts later than that is itself what is measured."""
WANTED = {
    "cap_exceeded": lambda value: value == 0,
    "promise_kept": lambda value: value >= 0.95,
    "requests_per_visitor_p50": lambda value: value <= 3,
    "retry_advantage": lambda value: value <= 0.05,
    "prefix_share_error": lambda value: value <= 0.1,
    "utilisation": lambda value: value >= 0.97,
}
ALIKE_PART, ALIKE = 0.1, 0.02
"""The simulated run is within so much of the real one, either of it."""
BREAKS = {
    "cap": "the house is told of half as many places more than there are: cap_exceeded",
    "linger": "people stay five times as long as the house believes: promise_kept",
    "poll": "people come back every twenty seconds, whatever they were told: requests_per_visitor_p50",
    "addresses": "each of a bot's tickets is asked from another address: retry_advantage",
    "scatter": "the people of the /24 come from anywhere: prefix_share_error",
    "vanish": "people stay a twentieth as long as the house believes: utilisation",
}


def main():
    options = _options()
    keep = Path(options.keep) if options.keep else None
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    door, result = rehearsal.door(), {}
    with machine.roomy_loopback(), rehearsal.folder("crowd", None) as folder:
        if options.only in (None, "sim500k"):
            result |= suffixed(together(_draws(DRAWS_500K, door, options, keep, "sim500k", 1, "--anywhere", people=PEOPLE_SIM)), "_sim500k")
        if options.only in (None, "real"):
            result |= _real(folder, door, options, keep)
        if options.only in (None, "sim"):
            draw = () if options.only else ("--draw-as", folder / DRAW, "--opens-unix-ms", str(result["opens_unix_ms"]))
            result |= suffixed(medians(_draws(DRAWS, door, options, keep, "sim", options.scale, *draw)), "_sim")
    result |= {"people": PEOPLE // options.scale, "places": CAP // options.scale, "scale": options.scale, "stay_minutes": options.stay, "played_minutes": options.minutes}
    print(json.dumps(result | {"unwanted": unwanted(result), "broken": options.broken}), flush=True)


def _options():
    parser = argparse.ArgumentParser(prog="bench/crowd", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("sim", "sim500k", "real"))
    parser.add_argument("--minutes", type=float, default=MINUTES, help="how long it is played")
    parser.add_argument("--scale", type=int, default=1, metavar="N", help="one in so many of everybody, and of the places")
    parser.add_argument("--stay", type=int, default=STAY_MINUTES, metavar="MINUTES")
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--break", dest="broken", choices=BREAKS)
    return parser.parse_args()


def suffixed(figures, suffix):
    return {f"{name}{suffix}": value for name, value in figures.items()}


WORST = ("cap_exceeded", "bound_max", "cut", "failed")


def medians(runs):
    """Of each figure; the worst of those that are to be nought at all times."""
    return {name: (max if name in WORST else statistics.median)(run[name] for run in runs) for name in runs[0]}


def together(runs):
    """The medians; and the share of the /24 of all who were let in by any of the draws."""
    let_in, share = (sum(run[name] for run in runs) for name in ("prefix_let_in", "prefix_share"))
    chance = math.sqrt(statistics.fmean(run["prefix_share_chance"] ** 2 for run in runs) / len(runs))
    carried = statistics.fmean(run["carried_let_in"] for run in runs)
    error = abs(let_in / share - 1) if share else 0
    return medians(runs) | {"prefix_let_in": let_in, "prefix_share": share, "prefix_share_error": error, "prefix_share_chance": chance, "carried_let_in": carried}


def unwanted(result):
    """What did not come to its bound, or is not alike in both worlds, in words."""
    said = []
    for name, is_good in WANTED.items():
        for suffix in ("", "_sim", "_sim500k"):
            value = result.get(name + suffix)
            if value is not None and not is_good(value) and not _is_chance(result, name, suffix):
                said.append(f"{name}{suffix} is {value}")
        real, simulated = result.get(name), result.get(f"{name}_sim")
        if real is not None and simulated is not None and abs(real - simulated) > max(ALIKE_PART * abs(real), ALIKE):
            said.append(f"{name} is {real}, and simulated {simulated}")
    if result.get("untrue"):
        said.append(f"{result['untrue']} were told what cannot be true")
    if result.get("cut"):
        said.append(f"{result['cut']} were cut off")
    if result.get("crowd_late_ms_max", 0) > CROWD_LATE_MS:
        said.append(f"the crowd itself was {result['crowd_late_ms_max']} ms late")
    return said


def _is_chance(result, name, suffix):
    """Whether there are too few people to tell, in a launch that was scaled down: as crates/rehearsal/src/launch/seen.rs has it."""
    if name == "prefix_share_error":
        return result[name + suffix] <= 2 * result.get(f"prefix_share_chance{suffix}", 0)
    return name == "retry_advantage" and result.get(f"bots_waited{suffix}", BOTS_LEAST) < BOTS_LEAST


def _script(options, keep, name, scale, people=None):
    script = []
    for kind, count in {"people": people or PEOPLE // scale, "cap": CAP // scale, "bots": BOTS // scale, "carried": CARRIED // scale}.items():
        script += [f"--{kind}", str(count)]
    script += ["--seconds", str(round(60 * options.minutes)), "--median", str(60 * options.stay)]
    if options.broken not in (None, "cap"):
        script += ["--wrong", options.broken]
    return script + (["--raw", str(keep / f"{name}.csv")] if keep else [])


def _told(options, cap):
    """How many places the house is told of."""
    return cap + cap // 2 if options.broken == "cap" else cap


def _simulated(door, options, keep, name, scale, *more, people=None):
    script = _script(options, keep, name, scale, people)
    return run([door, "simulate", *script, "--stay-believed", str(60 * options.stay), "--told", str(_told(options, CAP // scale)), *more], CROWD_CORES)


def _draws(count, door, options, keep, name, *more, people=None):
    """The same launch, so often, each with another draw. Kept are the visits of the first: the others are as many lines, and can be simulated again."""
    runs = []
    for luck in range(1, count + 1):
        print(f"  {name}: {luck} of {count} draws", file=sys.stderr, flush=True)
        runs.append(_simulated(door, options, keep if luck == 1 else None, name, *more, "--luck", str(luck), people=people))
    return runs


def played(door, sound, seconds, *script):
    """The crowd at a server: what it says in its last line. How far it is goes to standard error."""
    crowd = processes.start(["taskset", "-c", CROWD_CORES, door, "crowd", sound, *script], stdout=subprocess.PIPE)
    said, _ = crowd.communicate(timeout=seconds + 120)
    lines = said.decode().splitlines()
    if crowd.returncode or not lines:
        raise processes.Died(f"the crowd: exit code {crowd.returncode}")
    return json.loads(lines[-1])


def _real(folder, door, options, keep):
    people, cap, seconds = PEOPLE // options.scale, CAP // options.scale, round(60 * options.minutes)
    house = Door(folder / "real", places=_told(options, cap), more=f"stay_minutes = {options.stay}\n", workers=2, cores=SERVER_CORES, title="Launch")
    house.open()
    meter = machine.Meter(house.house.pid)
    print(f"  {people} people come to {cap} places, for {options.minutes} minutes", file=sys.stderr, flush=True)
    moments = ["--moments", keep / "moments.csv"] if keep else []
    try:
        figures = played(door, house.sound, seconds, *_script(options, keep, "real", options.scale), *moments)
        with open(house.house.data / "spaces" / house.name / "door", "rb") as file:
            draw = file.read(DRAW_BYTES)
    finally:
        spent = meter.read(seconds)
        house.stop()
    for kept in filter(None, (folder, keep)):
        (kept / DRAW).write_bytes(draw)
    return figures | {"server_percent": spent["cpu_percent_of_core"], "stolen_percent": spent["machine_stolen_percent"]}


if __name__ == "__main__":
    main()
