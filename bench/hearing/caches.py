"""Caches of others before a server of Low-Latency HLS: whether what many ask for at once is asked for once, and what they keep.

    nginx    proxy_cache with proxy_cache_lock, whose waiting is as long as the server's
    varnish  as it comes, but for a backend that may take its time, and errors that are asked for again

Both go by the server's own headers. Between cache and server stands a front that counts.
"""

import asyncio
import gzip
import os
import shutil
import socket
import time
from urllib.parse import urlsplit

from . import hls, players, processes

CLIENTS = 200
ROUNDS = 5
RETRIES = 50
"""Requests that are given up after a moment, before the one that waits: a network that retries."""
GIVEN_UP_S = 0.1
_STARTED_WITHIN_S = 20.0

_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log warn; {user}
events {{ worker_connections 2048; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  proxy_cache_path {folder}/cache keys_zone=hls:10m use_temp_path=off;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass {origin}; proxy_http_version 1.1; proxy_set_header Connection "";
      {codings}
      proxy_cache hls; proxy_cache_lock {lock}; proxy_cache_lock_timeout 30s; proxy_cache_lock_age 30s; proxy_read_timeout 30s;
    }}
  }}
}}
"""
_ONE_COPY = "proxy_set_header Accept-Encoding gzip; proxy_ignore_headers Vary; gunzip on;"
"""Compressed for all, and unpacked for who cannot read that. Without it nginx keeps a copy for every spelling of Accept-Encoding."""
_VARNISH = """
vcl 4.1;
backend hiwar {{ .host = "127.0.0.1"; .port = "{port}"; .first_byte_timeout = 30s; .between_bytes_timeout = 30s; }}
sub vcl_recv {{ {recv} }}
sub vcl_backend_response {{
  # Stale is never better than new here: no grace. An error goes to who asked, and is remembered as what nobody waits for, but not for the usual two minutes.
  set beresp.grace = 0s;
  if (beresp.status >= 400) {{ set beresp.ttl = 1s; set beresp.uncacheable = true; return (deliver); }}
}}
"""
NAMES = ("nginx", "varnish")


class Cache:
    """One of `NAMES` before `front`. `collapses` off: each request goes on by itself. `merges` off: it goes by Vary alone."""

    def __init__(self, name, front, folder, collapses=True, merges=True):
        self.name = name
        folder = folder / (name if merges else f"{name}-by-vary")
        folder.mkdir()
        port = _free_port()
        self.origin = f"http://127.0.0.1:{port}"
        log = open(folder / "output.log", "ab")
        if name == "nginx":
            user = "user root;" if os.getuid() == 0 else ""
            (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port, origin=front.origin, lock="on" if collapses else "off", user=user, codings=_ONE_COPY if merges else ""))
            command = [_program("nginx"), "-e", folder / "nginx.log", "-p", folder, "-c", folder / "nginx.conf"]
        else:
            (folder / "hiwar.vcl").write_text(_VARNISH.format(port=front.port, recv="" if collapses else "return (pass);"))
            # No jail: it would give the folder to a user of its own.
            command = [_program("varnishd"), "-F", "-j", "none", "-n", folder / "work", "-a", f"127.0.0.1:{port}", "-f", folder / "hiwar.vcl", "-s", "malloc,64m", "-T", "none"]
            command += ["-p", "thread_pool_min=300"]
        self.process = processes.start(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _STARTED_WITHIN_S
        while hls.fetch(f"{self.origin}/healthz").status != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise processes.Died(f"{name} does not answer; see {log.name}: {(folder / 'output.log').read_text()[-1000:]}")
            time.sleep(0.05)

    def stop(self):
        processes.stop(self.process)


def _program(name):
    found = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if not found:
        raise FileNotFoundError(f"{name} is not installed (Debian: apt-get install nginx-light varnish)")
    return found


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def measure(name, playlist_url, front, folder, collapses=True):
    """All figures of one cache before `front`, and the raw counts. `playlist_url`: at the server itself."""
    cache = Cache(name, front, folder, collapses)
    try:
        where = urlsplit(playlist_url)
        path = where.path
        folder_path = path.rpartition("/")[0]
        rounds = [_round(cache, front, playlist_url, path, folder_path) for _ in range(ROUNDS)]
        errors = _errors(cache, front, playlist_url, path, folder_path)
        retried = _retries(cache, playlist_url, path)
        codings = _codings(cache, front, playlist_url, path)
    finally:
        cache.stop()
    by_vary = Cache(name, front, folder, collapses, merges=False)
    try:
        apart = _codings(by_vary, front, playlist_url, path)
    finally:
        by_vary.stop()
    return {
        f"origin_requests_per_part_{name}": max(max(r["playlist_asked"], r["part_asked"]) for r in rounds),
        f"clients_answered_{name}": min(min(r["playlists"], r["parts"]) for r in rounds),
        f"different_{name}": sum(r["different"] for r in rounds),
        f"late_ms_max_{name}": round(max(r["late_ms"] for r in rounds)),
        f"errors_kept_{name}": [e["what"] for e in errors if e["asked"] < 2 or not e["right"]],
        f"codings_wrong_{name}": codings["wrong"] + apart["wrong"],
        f"origin_requests_for_codings_{name}": codings["asked"],
        f"retried_answered_{name}": retried["status"] == 200 and retried["listed"],
    }, {"rounds": rounds, "errors": errors, "retried": retried, "codings": codings, "codings_by_vary": apart}


def _round(cache, front, playlist_url, path, folder):
    """Everybody waits for the next playlist and the part that it will list, through the cache."""
    now = hls.Playlist(hls.fetch(playlist_url).text(), playlist_url)
    number, part = now.edge()
    hint = f"{folder}/{now.hints[0]['URI']}"
    target = f"{path}?_HLS_msn={number}&_HLS_part={part}"
    direct = hls.Pending(hls.directed(playlist_url, msn=number, part=part))
    answers = asyncio.run(_crowd(cache.origin, [target, hint] * CLIENTS))
    true = hls.fetch(urlsplit(playlist_url)._replace(path=hint).geturl()).body
    playlists = [body for status, body, _ in answers[::2] if status == 200]
    parts = [body for status, body, _ in answers[1::2] if status == 200]
    return {
        "playlist_asked": front.count(target),
        "part_asked": front.count(hint),
        "playlists": len(playlists),
        "parts": len(parts),
        "different": len(set(playlists)) - 1 + sum(1 for body in parts if body != true),
        "late_ms": 1000 * (max(at for _, _, at in answers) - direct.answer().ended),
    }


async def _crowd(origin, targets):
    """`(status, body, when)` of all, asked at once on a connection each; status 0: no answer."""
    where = urlsplit(origin)

    async def one(target):
        try:
            reader, writer = await asyncio.open_connection(where.hostname, where.port)
            writer.write(f"GET {target} HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n\r\n".encode())
            whole = await reader.read(-1)
            writer.close()
            head, _, body = whole.partition(b"\r\n\r\n")
            if b"transfer-encoding: chunked" in head.lower():
                body = _unchunked(body)
            return int(head.split()[1]), body, time.monotonic()
        except (OSError, IndexError, ValueError):
            return 0, b"", time.monotonic()

    return await asyncio.wait_for(asyncio.gather(*map(one, targets)), hls.TIMEOUT_S)


def _unchunked(body):
    out = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            break
        out, body = out + body[:length], body[length + 2 :]
    return out


def _errors(cache, front, playlist_url, path, folder):
    """Each error asked for twice: it must come from the server both times, and where it passes, be followed by what is right."""
    now = hls.Playlist(hls.fetch(playlist_url).text(), playlist_url)
    passing = f"{folder}/{now.segments[0].uri}"
    front.failing[passing] = 503
    told = []
    for what, target, expected in (
        ("400", f"{path}?_HLS_part=1", (400, 400)),
        ("404", f"{folder}/no-such-file.m4s", (404, 404)),
        ("503", passing, (503, 200)),
    ):
        got = tuple(hls.fetch(cache.origin + target).status for _ in range(2))
        told.append({"what": what, "asked": front.count(target), "got": got, "right": got == expected})
    return told


def _codings(cache, front, playlist_url, path):
    """One playlist, asked for by clients that take different codings: each must be able to read it, and it must be the same."""
    now = hls.Playlist(hls.fetch(playlist_url).text(), playlist_url)
    number, part = now.edge()
    target = f"{path}?_HLS_msn={number}&_HLS_part={part}"
    wrong, texts, seen = [], set(), []
    for accept in ("identity", "gzip", "identity", "gzip, deflate, br", "gzip;q=0", "br", "deflate, gzip;q=0.5"):
        answer = hls.fetch(cache.origin + target, {"Accept-Encoding": accept})
        coding = answer.headers.get("content-encoding", "identity")
        takes_gzip = "gzip" in accept and "q=0" != accept[-3:]
        seen.append((accept, answer.status, coding, len(answer.body)))
        if answer.status != 200 or coding not in (("identity", "gzip") if takes_gzip else ("identity",)):
            wrong.append(accept)
        else:
            texts.add(gzip.decompress(answer.body) if coding == "gzip" else answer.body)
    # None of it compressed would be right, and no use.
    compressed = any(coding == "gzip" for _, _, coding, _ in seen)
    return {"wrong": wrong + ["different"] * (len(texts) - 1) + ["none"] * (not compressed), "asked": front.count(target), "seen": seen}


def _retries(cache, playlist_url, path):
    """The same held request given up many times, then waited for."""
    number, part = hls.Playlist(hls.fetch(playlist_url).text(), playlist_url).edge()
    target = f"{cache.origin}{path}?_HLS_msn={number}&_HLS_part={part + 1}"
    gone = []
    for _ in range(RETRIES):
        where = urlsplit(target)
        one = socket.create_connection((where.hostname, where.port))
        one.sendall(f"GET {where.path}?{where.query} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        gone.append(one)
    time.sleep(GIVEN_UP_S)
    for one in gone:
        one.close()
    answer = hls.fetch(target)
    return {"status": answer.status, "took_s": answer.took_s, "listed": hls.Playlist(answer.text(), target).has(number, part + 1)}
