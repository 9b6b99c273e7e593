"""Other programs: started, watched, ended. Nothing that was started here outlives the benchmark."""

import atexit
import contextlib
import ctypes
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_started = []


class Died(RuntimeError):
    """A program that was to go on has ended; its last words are in the message."""


def _end_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _ahead():
    _end_with_parent()
    try:
        os.setpriority(os.PRIO_PROCESS, 0, AHEAD)
    except OSError:
        pass  # Not for everybody. What was late is told by the figures.


def hurry_this_thread():
    """The same for one thread of ours."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), AHEAD)
    except OSError:
        pass


AHEAD = -12
"""Niceness of publishers and ears: in life each has a machine of its own, so that they are not to wait for the server's CPU."""


def start(command, ahead=False, **options):
    """`subprocess.Popen`; the program dies with us, whatever happens to us. `ahead`: before others at the CPU."""
    process = subprocess.Popen([str(part) for part in command], preexec_fn=_ahead if ahead else _end_with_parent, **options)
    _started.append(process)
    return process


def stop(process, patience_s=5.0):
    """Asks, waits `patience_s`, kills. Returns the exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
    for pipe in (process.stdin, process.stdout, process.stderr):
        try:
            if pipe:
                pipe.close()
        except OSError:
            pass
    return process.wait(10)


# Told to stop, we stop as at the end: whoever changed their user (`peers.as_nobody`) is not told that we are gone, and the machine's settings are to be put back.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@atexit.register
def stop_all():
    """Newest first."""
    for process in reversed(_started):
        if process.poll() is None:
            process.kill()
    _started.clear()


class StopAndGo(threading.Thread):
    """Stops processes for `each_s`, lets them go for as long, and so on, until [`stop`]: then they go. Who has ended is left out."""

    def __init__(self, pids, each_s=1.5):
        super().__init__(daemon=True)
        self.pids, self.each_s, self.over = list(pids), each_s, threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            for sign in (signal.SIGSTOP, signal.SIGCONT):
                for pid in self.pids:
                    with contextlib.suppress(OSError):
                        os.kill(pid, sign)
                # The last to be sent is that they go.
                self.over.wait(self.each_s)

    def stop(self):
        self.over.set()
        self.join()


class Colleague:
    """A program that takes commands and tells events as lines of JSON."""

    def __init__(self, command, log, **options):
        self.name = " ".join(str(part) for part in command[-2:])
        self.log = open(log, "ab")
        self.log_path = log
        self.process = start(command, ahead=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, **options)
        self.events = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            try:
                self.events.put(json.loads(line))
            except ValueError:
                self.log.write(line)
        self.events.put(None)

    def tell(self, **command):
        """Sends a command."""
        try:
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise Died(f"{self.name}: {error}; {self.last_words()}") from error

    def hear(self, event, within_s):
        """Waits for `event`; `{"event": "failed"}`, the end of the program and `within_s` are failures."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                told = self.events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"{self.name}: no {event!r} within {within_s} s; {self.last_words()}") from None
            if told is None or told.get("event") == "failed":
                raise Died(f"{self.name}: {told or 'ended'}; {self.last_words()}")
            if told.get("event") == event:
                return told

    def alive(self):
        """Raises `Died` if it is not."""
        if self.process.poll() is not None:
            raise Died(f"{self.name}: exit code {self.process.returncode}; {self.last_words()}")

    def last_words(self):
        self.log.flush()
        with open(self.log_path, "rb") as file:
            return file.read()[-1500:].decode("utf-8", "replace")
