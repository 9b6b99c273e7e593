"""A Debian 12 that boots under its own systemd, in a container with one network card: a rented server, as far as programs can tell."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from . import processes

BASE = Path(__file__).resolve().parents[2] / ".tools" / "debian12"
"""The base system that `./x setup server` made. Each server is a copy."""

_BOOT_S = 60
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb"}


class Failed(RuntimeError):
    """A command on the server ended with another exit code than 0; what it said is in the message."""


class Server:
    """One machine, on. `address` is its own on the card `host0`; `peer` is this side's of the same line."""

    def __init__(self, folder, name, address, peer, hosts):
        """`hosts`: what its names lead to."""
        self.root, self.name = Path(folder) / name, name
        subprocess.run(["cp", "-a", "--reflink=auto", BASE, self.root], check=True)
        (self.root / "etc/hostname").write_text(f"{name}\n")
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{at} {called}\n" for called, at in hosts.items()))
        (self.root / "etc/resolv.conf").write_text("")
        (self.root / "etc/network/interfaces").write_text(
            f"auto lo\niface lo inet loopback\nauto host0\niface host0 inet static\n  address {address}/24\n  gateway {peer}\n"
        )
        self._log = open(Path(folder) / f"{name}.console", "ab")
        command = ["systemd-nspawn", "--quiet", "--directory", self.root, "--machine", name, "--boot", "--register=no", "--keep-unit"]
        command += ["--network-veth", "--kill-signal=SIGRTMIN+3", "--console=pipe", "--resolv-conf=off", "--timezone=off"]
        self._container = processes.start(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        self._init = self._until(self._find_init, "did not begin to boot")
        card = f"ve-{name}"
        for line in (["addr", "add", f"{peer}/24", "dev", card], ["link", "set", card, "up"]):
            subprocess.run(["ip", *line], check=True)
        self._until(lambda: self.ask("systemctl is-system-running || true") in ("running\n", "degraded\n"), "did not boot")

    def _find_init(self):
        children = Path(f"/proc/{self._container.pid}/task/{self._container.pid}/children").read_text().split()
        return next((int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text() == "systemd\n"), None)

    def _until(self, look, complaint):
        deadline = time.monotonic() + _BOOT_S
        while not (found := look()):
            if time.monotonic() > deadline or self._container.poll() is not None:
                raise TimeoutError(f"{self.name} {complaint}: {Path(self._log.name).read_text()[-2000:]}")
            time.sleep(0.1)
        return found

    def run(self, command, said="", codes=(0,)):
        """One command line of root's shell; `said` is typed to it. Its exit code, and what it printed, errors too."""
        enter = ["nsenter", "--target", str(self._init), "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd", "env", "-i"]
        enter += [f"{key}={value}" for key, value in _ENVIRONMENT.items()]
        done = subprocess.run(
            [*enter, "sh", "-c", f"cd /root && {command}"], input=said, capture_output=True, text=True, errors="replace", timeout=180
        )
        if done.returncode not in codes:
            raise Failed(f"{command}\n{done.stdout}{done.stderr}(exit code {done.returncode})\n{self.journal()}")
        return done

    def ask(self, command):
        """What a command prints."""
        return self.run(command).stdout

    def journal(self):
        """The last words of the service."""
        try:
            return self.run("journalctl --no-pager --unit hiwar --lines 40 || true").stdout
        except Failed:
            return ""

    def files(self):
        """Every path on its disk, but for what the system keeps for itself."""
        its_own = ("dev", "proc", "sys", "run", "tmp", "var/log", "var/cache", "var/lib/dpkg", "var/lib/apt", "var/lib/systemd/random-seed", "var/tmp", "root")
        found = set()
        for folder, folders, names in os.walk(self.root):
            here = os.path.relpath(folder, self.root)
            folders[:] = [one for one in folders if os.path.normpath(os.path.join(here, one)) not in its_own]
            found.update(os.path.normpath(os.path.join(here, one)) for one in (*folders, *names))
        return found

    def put(self, file, name):
        """Copies a file to root's home, in the place of one of that name."""
        shutil.copyfile(file, self.root / "root" / name)

    def off(self):
        """Shuts it down, as its power button would."""
        if self._container.poll() is None:
            processes.stop(self._container, patience_s=30)
        self._log.close()
