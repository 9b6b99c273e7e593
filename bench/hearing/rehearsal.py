"""The programs of crates/rehearsal: given by the environment, or built here in release, once."""

import functools
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def voices():
    """The path of `voices`, speakers and listeners: HIWAR_VOICES, if that is set."""
    return os.environ.get("HIWAR_VOICES") or _built("voices")


def floor():
    """The path of `floor`, the bare loop: HIWAR_FLOOR, if that is set."""
    return os.environ.get("HIWAR_FLOOR") or _built("floor")


@functools.cache
def _built(name):
    subprocess.run(["cargo", "build", "--locked", "--release", "--package", "hiwar-rehearsal", "--bin", name], cwd=ROOT, check=True, stdout=sys.stderr)
    return str(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / name)
