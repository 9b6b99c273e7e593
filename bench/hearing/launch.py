"""`./x bench crowd`: sixty thousand come within a minute, to 19,000 places: in a simulated world, and for real; and half a million, simulated.

    bench/crowd [--only sim|sim500k|real] [--minutes N] [--people N] [--cap N] [--stay MINUTES] [--keep DIR] [--break WHAT]

One script (crates/rehearsal/src/launch.rs) says who comes when and from where, how long they wait, and how long they stay. `door simulate` plays it without a clock by the code that workers and house
run; `door crowd` at a running server, each person from an address of loopback. `--stay` is how long half of them stay longer than, which the house is told as well: less than twenty minutes is said
in the result. docs/measured/door.md says what each figure means. `--keep` keeps raw samples, a line for each visit. The last line is one JSON object.
"""

import argparse
import json
import sys
from pathlib import Path

from . import machine, processes, rehearsal
from .door import Door, run

CROWD_CORES, SERVER_CORES = "0,1", "0,1"
PEOPLE, CAP, STAY_MINUTES = 60_000, 19_000, 20
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
        if options.only in (None, "sim"):
            result |= suffixed(_simulated(door, options, keep, "sim"), "_sim")
        if options.only in (None, "sim500k"):
            result |= suffixed(_simulated(door, options, keep, "sim500k", "--people", "500000", "--anywhere"), "_sim500k")
        if options.only in (None, "real"):
            result |= _real(folder, door, options, keep)
    result |= {"people": options.people, "places": options.cap, "stay_minutes": options.stay, "played_minutes": options.minutes}
    print(json.dumps(result | {"unwanted": unwanted(result), "broken": options.broken}), flush=True)


def _options():
    parser = argparse.ArgumentParser(prog="bench/crowd", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("sim", "sim500k", "real"))
    parser.add_argument("--minutes", type=float, default=34, help="how long it is played")
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--cap", type=int, default=CAP)
    parser.add_argument("--stay", type=int, default=STAY_MINUTES, metavar="MINUTES")
    parser.add_argument("--bots", type=int, default=200)
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--break", dest="broken", choices=BREAKS)
    return parser.parse_args()


def suffixed(figures, suffix):
    return {f"{name}{suffix}": value for name, value in figures.items()}


def unwanted(result):
    """What did not come to its bound, or is not alike in both worlds, in words."""
    said = []
    for name, is_good in WANTED.items():
        for suffix in ("", "_sim", "_sim500k"):
            value = result.get(name + suffix)
            if value is not None and not is_good(value):
                said.append(f"{name}{suffix} is {value}")
        real, simulated = result.get(name), result.get(f"{name}_sim")
        if real is not None and simulated is not None and abs(real - simulated) > max(ALIKE_PART * abs(real), ALIKE):
            said.append(f"{name} is {real}, and simulated {simulated}")
    return said


def _script(options, keep, name):
    script = ["--cap", str(options.cap), "--seconds", str(round(60 * options.minutes)), "--median", str(60 * options.stay), "--bots", str(options.bots)]
    if options.broken not in (None, "cap"):
        script += ["--wrong", options.broken]
    return script + (["--raw", str(keep / f"{name}.csv")] if keep else [])


def _told(options):
    """How many places the house is told of."""
    return options.cap + options.cap // 2 if options.broken == "cap" else options.cap


def _simulated(door, options, keep, name, *more):
    people = () if more else ("--people", str(options.people))
    command = [door, "simulate", *_script(options, keep, name), "--stay-believed", str(60 * options.stay), "--told", str(_told(options)), *people, *more]
    return run(command, CROWD_CORES)


def _real(folder, door, options, keep):
    house = Door(folder / "real", places=_told(options), more=f"stay_minutes = {options.stay}\n", workers=2, cores=SERVER_CORES, title="Launch")
    house.open()
    meter = machine.Meter(house.house.pid)
    print(f"  {options.people} people come to {options.cap} places, for {options.minutes} minutes", file=sys.stderr, flush=True)
    seconds = 60 * options.minutes
    try:
        figures = run([door, "crowd", house.sound, "--people", str(options.people), *_script(options, keep, "real")], CROWD_CORES, timeout=seconds + 120)
    finally:
        spent = meter.read(seconds)
        house.stop()
    return figures | {"server_percent": spent["cpu_percent_of_core"], "stolen_percent": spent["machine_stolen_percent"]}


if __name__ == "__main__":
    main()
