"""One programme for every server: recorded from Hiwar once, then played at its real pace to those who cannot make it themselves.

    python -m hearing.programme source FILE.ogg HOST:PORT MOUNT PASSWORD       a source client of icecast: a page when it is due
    python -m hearing.programme segments FILE.mp4 FOLDER                       HLS: a segment of two seconds and a new playlist when they are due

Each is a process of its own, on the core of everybody else: what a studio costs is no part of what serving costs.
"""

import base64
import os
import socket
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from . import processes

RATE = 48_000
SEGMENT_FRAGMENTS = 10
"""Two seconds."""
LISTED, KEPT = 6, 12
"""Segments in the playlist, and on the disk."""


def record(origin, space, folder, seconds):
    """What a listener hears for so long: `stream.mp4` and `stream.ogg` in `folder`, of the same time."""
    told = []

    def hear(kind):
        try:
            _record(f"{origin}/listen/{space}.{kind}", folder / f"stream.{kind}", seconds)
        except Exception as why:  # noqa: BLE001 - told by the thread that waits
            told.append(why)

    ears = [threading.Thread(target=hear, args=(kind,)) for kind in ("mp4", "ogg")]
    for ear in ears:
        ear.start()
    for ear in ears:
        ear.join()
    if told:
        raise told[0]


def _record(url, file, seconds):
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), timeout=10) as ear, open(file, "wb") as out:
        ear.sendall(f"GET {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n".encode())
        heard, headed, end = b"", False, time.monotonic() + seconds
        while time.monotonic() < end:
            more = ear.recv(1 << 16)
            if not more:
                raise processes.Died("the conversation ended while it was recorded")
            heard += more
            if not headed:
                head, headed, rest = heard.partition(b"\r\n\r\n")
                if headed and b" 200 " not in head.splitlines()[0]:
                    raise ConnectionError(head.splitlines()[0])
                heard = rest if headed else heard
            if headed:
                out.write(heard)
                heard = b""


def pages(data):
    """Ogg (RFC 3533 section 6): `(granule position, bytes)` of each whole page."""
    at, found = 0, []
    while data[at : at + 4] == b"OggS" and at + 27 <= len(data):
        lacing = data[at + 27 : at + 27 + data[at + 26]]
        size = 27 + len(lacing) + sum(lacing)
        if len(lacing) < data[at + 26] or at + size > len(data):
            break
        found.append((int.from_bytes(data[at + 6 : at + 14], "little"), data[at : at + size]))
        at += size
    return found


def paced(found):
    """`(seconds from the beginning, bytes)` for pages of a live stream: heads and whatever was there at once are due at once."""
    sound = [granule for granule, _ in found if granule]
    if not sound:
        raise ValueError("no sound in the recording")
    return [(max(0.0, (granule - sound[0]) / RATE), page) for granule, page in found]


def fragments(data):
    """MP4 (ISO/IEC 14496-12 section 4.2): the boxes before the sound, and each whole `moof` with its `mdat`. Events between them are left out."""
    at, head, found, moof = 0, b"", [], b""
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        box = data[at : at + size]
        if size < 8 or len(box) < size:
            break
        if kind in (b"ftyp", b"moov"):
            head += box
        elif kind == b"moof":
            moof = box
        elif kind == b"mdat" and moof:
            found.append(moof + box)
            moof = b""
        at += size
    return head, found


def playlist(last):
    """With segment `last` as its newest: RFC 8216 section 4."""
    first = max(0, last - LISTED + 1)
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:2", f"#EXT-X-MEDIA-SEQUENCE:{first}", '#EXT-X-MAP:URI="init.mp4"']
    for number in range(first, last + 1):
        lines += ["#EXTINF:2.000,", f"{number}.m4s"]
    return "\n".join(lines) + "\n"


def _source(file, address, mount, password):
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as mouth:
        word = base64.b64encode(f"source:{password}".encode()).decode()
        head = f"PUT {mount} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Basic {word}\r\nContent-Type: application/ogg\r\nIce-Public: 0\r\nExpect: 100-continue\r\n\r\n"
        mouth.sendall(head.encode())
        answer = mouth.recv(4096)
        if not answer.startswith((b"HTTP/1.0 200", b"HTTP/1.1 200", b"HTTP/1.1 100", b"HTTP/1.0 100")):
            raise SystemExit(f"icecast: {answer[:200]!r}")
        print("begun", flush=True)
        began = time.monotonic()
        for due, page in paced(pages(Path(file).read_bytes())):
            time.sleep(max(0.0, began + due - time.monotonic()))
            mouth.sendall(page)


def _segments(file, folder):
    folder = Path(folder)
    head, found = fragments(Path(file).read_bytes())
    _put(folder / "init.mp4", head)
    began = time.monotonic()
    for number in range(len(found) // SEGMENT_FRAGMENTS):
        # The first ones are there at once, as in a stream that has been going on.
        due = began + max(0, number - LISTED + 1) * 2.0
        time.sleep(max(0.0, due - time.monotonic()))
        _put(folder / f"{number}.m4s", b"".join(found[number * SEGMENT_FRAGMENTS : (number + 1) * SEGMENT_FRAGMENTS]))
        _put(folder / "live.m3u8", playlist(number).encode())
        if number == LISTED - 1:
            print("begun", flush=True)
        (folder / f"{number - KEPT}.m4s").unlink(missing_ok=True)


def _put(file, data):
    """Whole or not at all."""
    other = file.with_suffix(".new")
    other.write_bytes(data)
    os.replace(other, file)


if __name__ == "__main__":
    {"source": _source, "segments": _segments}[sys.argv[1]](*sys.argv[2:])
