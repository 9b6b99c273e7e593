"""A real `hiwar serve` on free ports with an empty directory, and its API."""

import json
import os
import queue
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import processes

_START_S = 30.0


class House:
    """One server. Attributes: `public` and `stage` (origins), `data` (its directory), `pid` (the supervisor's)."""

    def __init__(self, binary, folder, *more, port=0):
        """Starts `binary` with its data in `folder`/data, its public side at `port` (0: any) and `more` arguments; returns when both of its sides answer."""
        folder = Path(folder)
        self.data = folder / "data"
        self.log_path = folder / "hiwar.log"
        self._log = open(self.log_path, "ab")
        self._command = [binary, "serve", "--data", self.data, "--no-demo", *more]
        self._environment = {**os.environ, "LC_ALL": "C", "HIWAR_LOG": os.environ.get("HIWAR_LOG", "info")}
        self._begin(f"127.0.0.1:{port}", "127.0.0.1:0", "0")

    def _begin(self, public, stage, media_port):
        where = ["--public", public, "--stage", stage, "--media-port", media_port]
        self.process = processes.start([*self._command, *where], stdout=subprocess.PIPE, stderr=self._log, env=self._environment)
        self.pid = self.process.pid
        lines = queue.Queue()
        threading.Thread(target=self._read, args=(self.process.stdout, lines), daemon=True).start()
        self._create_pass = self._host_link(lines)
        addresses = json.loads((self.data / "run" / "addresses.json").read_text())
        self.public, self.stage, self._media = addresses["public"], addresses["stage"], addresses["media"]
        for origin in (self.public, self.stage):
            self._until_answers(origin)

    def _read(self, said, lines):
        for line in said:
            self._log.write(line)
            lines.put(line.decode("utf-8", "replace"))
        lines.put(None)

    def _host_link(self, lines):
        deadline = time.monotonic() + _START_S
        while True:
            try:
                line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"no host link within {_START_S} s; {self.last_words()}") from None
            if line is None:
                raise processes.Died(f"hiwar serve ended; {self.last_words()}")
            found = re.search(r"/#/host\?token=([A-Za-z0-9_.~-]+)", line)
            if found:
                return found[1]

    def _until_answers(self, origin):
        deadline = time.monotonic() + _START_S
        while True:
            try:
                return self.ask("GET", "/api/spaces/v1/spaces", origin=origin)
            except (OSError, ValueError) as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{origin}: {error}; {self.last_words()}") from error
                time.sleep(0.1)

    def ask(self, method, path, body=None, token=None, origin=None):
        """One request with a JSON answer. Raises `OSError` (HTTPError included) when it is refused or fails."""
        request = urllib.request.Request((origin or self.stage) + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            error.msg = f"{error.msg}: {error.read(500).decode('utf-8', 'replace')}"
            raise
        return json.loads(text) if text else None

    def create(self, title, **more):
        """A new space; returns the answer: `space`, `host_pass`, `host_link`, ..."""
        return self.ask("POST", "/api/spaces/v1/spaces", {"title": title, "audience": "public", **more}, self._create_pass)

    def space(self, name):
        return self.ask("GET", f"/api/spaces/v1/spaces/{name}")

    def start(self, name, token):
        return self.ask("POST", f"/api/spaces/v1/spaces/{name}/start", token=token)

    def end(self, name, token):
        return self.ask("POST", f"/api/spaces/v1/spaces/{name}/end", token=token)

    def seat(self, name, token, who):
        """What somebody called `who`, who knows that they are recorded, needs to speak: `pass`, `participant`."""
        wish = {"role": "speaker", "name": who, "agreed": True}
        return self.ask("POST", f"/api/spaces/v1/spaces/{name}/passes", wish, token)

    def speaker(self, name, token, who):
        """The pass of [`House.seat`]."""
        return self.seat(name, token, who)["pass"]

    def whip(self, name):
        return f"{self.stage}/whip/{name}"

    def last_words(self):
        self._log.flush()
        return self.log_path.read_bytes()[-2000:].decode("utf-8", "replace")

    def stop(self):
        """Ends the server as an operator would; returns its exit code."""
        return processes.stop(self.process, patience_s=10.0)

    def restart(self, meanwhile=lambda: None):
        """Ends the server, and starts it at once where it was, with the same arguments, data and environment; returns when both of its sides answer. `meanwhile`: done while nothing of it runs."""
        self.stop()
        meanwhile()
        public, stage = (origin.removeprefix("http://") for origin in (self.public, self.stage))
        self._begin(public, stage, self._media.rpartition(":")[2])
