"""What a process spends its time on, seen from outside: `perf` looks 1,000 times a second which function it is in, and who called that."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

from . import processes

PER_S = 1_000
# Of the stack, enough to find who called a small function of libc or libm.
STACK_BYTES = 1_024
CALLERS = 3


class Sampling:
    """Looks at one process for so many seconds, beginning now."""

    def __init__(self, pid, seconds, file):
        if not shutil.which("perf"):
            raise RuntimeError("perf is not here (Debian package linux-perf)")
        self.file = file
        # By the processor's clock and not by its counters, which virtual machines do not have.
        self.process = processes.start(
            ["perf", "record", "--quiet", "--event", "cpu-clock", "--freq", PER_S, "--call-graph", f"dwarf,{STACK_BYTES}", "--pid", pid, "--output", file, "--", "sleep", seconds],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def counts(self):
        """Samples by (thread, functions, object): the function that was seen and its next callers, as far as known; the object is the first one's.
        Waits for the end."""
        if self.process.wait(120) != 0:
            raise RuntimeError("perf may not look at the server here: it needs root, or kernel.perf_event_paranoid at 0")
        command = ["perf", "script", "--input", self.file, "--no-inline", "--fields", "comm,ip,sym,dso"]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        counts = Counter()
        for sample in text.split("\n\n"):
            # "hiwar-net", then a line per function: "    55d0a1b2c3d4 name of function (/its/object)"
            thread, *calls = sample.strip().splitlines() or [""]
            if calls:
                names = tuple(call.rpartition(" (")[0].split(maxsplit=1)[-1] for call in calls[: 1 + CALLERS])
                counts[thread.strip(), names, Path(calls[0].rpartition(" (")[2].rstrip(")")).name] += 1
        return counts


def functions(archives):
    """The names of all functions that static libraries define: nm(1)."""
    names = set()
    for archive in archives:
        text = subprocess.run(["nm", archive], capture_output=True, text=True, check=True).stdout
        names |= {words[2] for words in map(str.split, text.splitlines()) if len(words) == 3 and words[1] in "tT"}
    return names
