"""What a process spends its time on, seen from outside: `perf` looks 4,000 times a second which function it is in."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

from . import processes

PER_S = 4_000


class Sampling:
    """Looks at one process for so many seconds, beginning now."""

    def __init__(self, pid, seconds, file):
        if not shutil.which("perf"):
            raise RuntimeError("perf is not here (Debian package linux-perf)")
        self.file = file
        # By the processor's clock and not by its counters, which virtual machines do not have.
        self.process = processes.start(
            ["perf", "record", "--quiet", "--event", "cpu-clock", "--freq", PER_S, "--pid", pid, "--output", file, "--", "sleep", seconds],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def counts(self):
        """Samples by (thread, function, object). Waits for the end."""
        if self.process.wait(120) != 0:
            raise RuntimeError("perf may not look at the server here: it needs root, or kernel.perf_event_paranoid at 0")
        command = ["perf", "script", "--input", self.file, "--fields", "comm,ip,sym,dso"]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        counts = Counter()
        for line in text.splitlines():
            # "   hiwar-net   55d0a1b2c3d4 name of function (/its/object)"
            head, _, place = line.rstrip().rpartition(" (")
            words = head.split(maxsplit=2)
            if len(words) == 3:
                counts[words[0], words[2], Path(place.rstrip(")")).name] += 1
        return counts


def functions(archives):
    """The names of all functions that static libraries define: nm(1)."""
    names = set()
    for archive in archives:
        text = subprocess.run(["nm", archive], capture_output=True, text=True, check=True).stdout
        names |= {words[2] for words in map(str.split, text.splitlines()) if len(words) == 3 and words[1] in "tT"}
    return names
