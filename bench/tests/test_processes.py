"""Other programs are stopped and go on, and are built once at the most."""

import os
import subprocess
import sys
import threading

from hearing import machine, processes, rehearsal


def _state(pid):
    return machine._stat(pid)[0]


def _told(pid, of):
    """Waits until the system tells of a child that it was stopped, or goes on."""
    told = threading.Event()
    threading.Thread(target=lambda: (os.waitid(os.P_PID, pid, of), told.set()), daemon=True).start()
    assert told.wait(20)


def test_what_is_stopped_in_turns_goes_in_the_end():
    sleeper = processes.start([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ended = processes.start(["true"])
    ended.wait(10)
    try:
        turns = processes.StopAndGo([ended.pid, sleeper.pid], 0.05)
        for of in (os.WSTOPPED, os.WCONTINUED, os.WSTOPPED):
            _told(sleeper.pid, of)
        turns.stop()
        assert not turns.is_alive() and _state(sleeper.pid) != "T"
    finally:
        processes.stop(sleeper)


def test_programs_that_are_given_are_not_built(monkeypatch):
    monkeypatch.setenv("HIWAR_VOICES", "/given/voices")
    monkeypatch.setenv("HIWAR_FLOOR", "/given/floor")
    assert (rehearsal.voices(), rehearsal.floor()) == ("/given/voices", "/given/floor")


def test_what_is_not_given_is_built_once(monkeypatch, tmp_path):
    built = []
    monkeypatch.delenv("HIWAR_VOICES", raising=False)
    monkeypatch.setenv("CARGO_TARGET_DIR", str(tmp_path))
    monkeypatch.setattr(rehearsal.subprocess, "run", lambda command, **_: built.append(command))
    rehearsal._built.cache_clear()
    try:
        assert rehearsal.voices() == rehearsal.voices() == str(tmp_path / "release" / "voices")
        assert len(built) == 1 and built[0][-1] == "voices"
    finally:
        rehearsal._built.cache_clear()


def test_only_those_of_the_crowd_are_workers():
    """By what the supervisor tells its children (crates/server/src/inherit.rs)."""
    told = {
        "house": '{"House":{}}',
        "first": '{"Worker":{"post":{"Crowd":{"index":0}}}}',
        "second": '{"Worker":{"post":{"Crowd":{"index":1}}}}',
        "reserved": '{"Worker":{"post":"Stage"}}',
        "redirect": '{"Worker":{"post":"Redirect"}}',
    }
    children = {
        name: processes.start([sys.executable, "-c", "print(); input()", "child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "HIWAR_CHILD": text}) for name, text in told.items()
    }
    try:
        wanted = {children["first"].pid, children["second"].pid}
        # Each has become its program when it speaks.
        assert [child.stdout.readline() for child in children.values()] == [b"\n"] * len(children)
        assert wanted == set(machine.workers(os.getpid()))
    finally:
        for child in children.values():
            processes.stop(child)
