"""Players of others in Chromium, on pages of our own, and a front that stands between them or a cache and the server."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from . import hls

HERE = Path(__file__).resolve().parent
MODULES = HERE.parents[1] / "web" / "node_modules"
PLAYERS = ("hlsjs", "shaka")
_FILES = {
    "/player.html": (HERE / "player.html", "text/html"),
    "/player.js": (HERE / "player.js", "text/javascript"),
    "/hls.js": (MODULES / "hls.js/dist/hls.min.js", "text/javascript"),
    "/shaka.js": (MODULES / "shaka-player/dist/shaka-player.compiled.js", "text/javascript"),
}
_PASSED_ON = ("content-type", "content-encoding", "cache-control", "access-control-allow-origin", "retry-after", "vary", "content-language")


class _Server:
    """An HTTP server on a free port of this machine. `origin`: its address."""

    def __init__(self, answer):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                told = answer(self.path, self.headers)
                if told is None:
                    self.close_connection = True
                    return
                status, fields, body = told
                self.send_response(status)
                for name, value in {**fields, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def handle(self):
                try:
                    super().handle()
                except ConnectionError:
                    pass  # Who asked has gone.

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.port = self._server.server_port
        self.origin = f"http://127.0.0.1:{self.port}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Pages(_Server):
    """Serves the page of a player and the players themselves."""

    def __init__(self):
        super().__init__(self._file)

    def _file(self, path, _):
        file, kind = _FILES.get(urlsplit(path).path, (None, None))
        if file is None:
            return 404, {}, b""
        return 200, {"Content-Type": kind}, file.read_bytes()

    def page(self, player, playlist):
        """The address of a page that plays `playlist` with `player` (`PLAYERS`)."""
        return f"{self.origin}/player.html?with={player}&src={quote(playlist, safe='')}"


class Front(_Server):
    """Passes every request on to `origin` and counts it. `asked`: path and query of each, in order; `failing`: target to the status it gets once.

    `blind_s`: it knows nothing of delivery directives: takes them off, answers at once, and keeps a playlist for so long.
    """

    def __init__(self, origin, blind_s=0.0):
        self._origin, self._blind_s = origin, blind_s
        self.asked, self.failing = [], {}
        self._lock, self._kept = threading.Lock(), {}
        super().__init__(self._pass_on)

    def _pass_on(self, target, fields):
        with self._lock:
            self.asked.append(target)
            status = self.failing.pop(target, None)
        if status:
            return status, {"Cache-Control": "no-store"}, b""
        if self._blind_s:
            where = urlsplit(target)
            query = [(name, value) for name, value in parse_qsl(where.query) if not name.startswith("_HLS_")]
            target = where._replace(query=urlencode(query)).geturl()
            at, kept = self._kept.get(target, (0.0, None))
            if kept and where.path.endswith(".m3u8") and time.monotonic() - at < self._blind_s:
                return kept
        answer = hls.fetch(self._origin + target, {"Accept-Encoding": fields.get("Accept-Encoding", "identity")})
        if not answer.status:
            return 502, {"Cache-Control": "no-store"}, answer.body
        told = answer.status, {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}, answer.body
        self._kept[target] = time.monotonic(), told
        return told

    def count(self, target):
        """How often `target` was asked for."""
        with self._lock:
            return self.asked.count(target)
