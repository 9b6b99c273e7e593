"""HLS from outside: a media playlist read, files fetched on a connection each, and fragmented MP4 looked into.

Reads anybody's (draft-pantos-hls-rfc8216bis, ISO/IEC 14496-12); shares no code with the server. A new connection for each request lets the
answers come from different workers.
"""

import http.client
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

TIMEOUT_S = 40.0
"""Longer than anybody holds a request: three target durations are the rule (RFC 8216bis §6.2.5.2)."""


@dataclass
class Answer:
    """`began` and `ended`: CLOCK_MONOTONIC, seconds. `status` 0: no answer, `body` says why."""

    url: str
    status: int
    headers: dict
    body: bytes
    began: float
    ended: float

    @property
    def took_s(self):
        return self.ended - self.began

    def text(self):
        return self.body.decode("utf-8", "replace")

    def max_age(self):
        """Seconds for which a shared cache may keep it (RFC 9111 §4.2.1); None: not said; 0: not at all."""
        said = {}
        for part in self.headers.get("cache-control", "").lower().split(","):
            name, _, value = part.strip().partition("=")
            said[name] = value
        if {"no-store", "no-cache", "private"} & said.keys():
            return 0
        value = said.get("s-maxage", said.get("max-age"))
        return int(value) if value is not None and value.isdigit() else None


_http2 = False
_resolve = socket.getaddrinfo


def _resolve_local(host, *rest, **more):
    """Names below localhost are this machine (RFC 6761 §6.3); not every resolver knows."""
    return _resolve("127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **more)


socket.getaddrinfo = _resolve_local


@contextmanager
def over_http2(wanted=True):
    """`fetch` uses curl and HTTP/2 in here; an answer in another protocol is none."""
    global _http2
    before, _http2 = _http2, wanted
    try:
        yield
    finally:
        _http2 = before


def _curl(url, headers, timeout_s):
    where, began = urlsplit(url), time.monotonic()
    command = ["curl", "--silent", "--show-error", "--globoff", "--http2", "--include", "--max-time", str(timeout_s), "--header", "Origin: https://player.example"]
    if where.hostname.endswith(".localhost"):
        command += ["--resolve", f"{where.hostname}:{where.port or 443}:127.0.0.1"]
    for name, value in (headers or {}).items():
        command += ["--header", f"{name}: {value}"]
    done = subprocess.run([*command, url], capture_output=True)
    ended = time.monotonic()
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin1").split("\r\n")
    if done.returncode or not first.startswith("HTTP/2 "):
        return Answer(url, 0, {}, done.stderr or f"not HTTP/2: {first}".encode(), began, ended)
    told = dict((name.lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields))
    return Answer(url, int(first.split()[1]), told, body, began, ended)


def fetch(url, headers=None, timeout_s=TIMEOUT_S):
    """One GET on a connection of its own. Never raises for what a server does: `status` is 0 then."""
    if _http2:
        return _curl(url, headers, timeout_s)
    where, began = urlsplit(url), time.monotonic()
    secure = where.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(where.hostname, where.port, timeout=timeout_s, **({"context": ssl.create_default_context()} if secure else {}))
    try:
        path = (where.path or "/") + (f"?{where.query}" if where.query else "")
        connection.request("GET", path, headers={"Origin": "https://player.example", "Connection": "close", **(headers or {})})
        answer = connection.getresponse()
        body = answer.read()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(url, answer.status, fields, body, began, time.monotonic())
    except (OSError, http.client.HTTPException) as error:
        return Answer(url, 0, {}, str(error).encode(), began, time.monotonic())
    finally:
        connection.close()


class Pending:
    """A request that may be held: asked at once, answered when it is."""

    def __init__(self, url, headers=None):
        self._answer = None
        self._thread = threading.Thread(target=self._ask, args=(url, headers), daemon=True)
        self._thread.start()

    def _ask(self, url, headers):
        self._answer = fetch(url, headers)

    def is_held(self):
        return self._thread.is_alive()

    def answer(self):
        self._thread.join()
        return self._answer


def directed(url, **directives):
    """`url` with delivery directives, e.g. `msn=3, part=0, skip="YES"`, all parameters in order (RFC 8216bis §6.2.5)."""
    where = urlsplit(url)
    query = parse_qsl(where.query, keep_blank_values=True) + [(f"_HLS_{name}", str(value)) for name, value in directives.items()]
    return where._replace(query=urlencode(sorted(query))).geturl()


@dataclass
class Part:
    """A Partial Segment (§4.4.4.9). `range`: `(length, offset)` or None."""

    uri: str
    duration: float
    independent: bool
    gap: bool
    range: tuple = None


@dataclass
class Segment:
    """A Media Segment, or (`duration` None) the parts of one that is being filled. `tags_before_parts`: whether what applies to it came first."""

    number: int
    uri: str = None
    duration: float = None
    parts: list = field(default_factory=list)
    date: float = None
    discontinuity: bool = False
    gap: bool = False
    map: str = None
    tags_before_parts: bool = True

    def facts(self):
        """What must never change while it is listed."""
        return (self.uri, self.duration, self.date, self.discontinuity, self.gap, self.map)

    @property
    def parts_length(self):
        """Seconds of all parts."""
        return sum(part.duration for part in self.parts)

    @property
    def length(self):
        """Seconds; of what there is."""
        return self.parts_length if self.duration is None else self.duration


class Playlist:
    """A media playlist. `tags`: `(name, value)` of each, in order. `segments` are whole; `filling` has the parts after them, or is None."""

    def __init__(self, text, url):
        self.text, self.url = text, url
        self.lines = [line for line in text.splitlines() if line.strip()]
        self.tags = [tuple(line.partition(":")[::2]) for line in self.lines if line.startswith("#EXT")]
        single = dict(self.tags)
        self.version = _number(single.get("#EXT-X-VERSION"), int)
        self.target = _number(single.get("#EXT-X-TARGETDURATION"), int)
        self.sequence = _number(single.get("#EXT-X-MEDIA-SEQUENCE", "0"), int)
        self.discontinuity_sequence = _number(single.get("#EXT-X-DISCONTINUITY-SEQUENCE", "0"), int)
        self.control = attributes(single.get("#EXT-X-SERVER-CONTROL", ""))
        self.part_target = _number(attributes(single.get("#EXT-X-PART-INF", "")).get("PART-TARGET"), float)
        self.skipped = _number(attributes(single.get("#EXT-X-SKIP", "")).get("SKIPPED-SEGMENTS"), int) or 0
        self.hints = [attributes(value) for name, value in self.tags if name == "#EXT-X-PRELOAD-HINT"]
        self.ended = "#EXT-X-ENDLIST" in single
        self.segments, self.filling = [], None
        self._read()

    def _read(self):
        number, of_map = (self.sequence or 0) + self.skipped, None
        now, gap_end = Segment(number), 0
        for line in self.lines:
            name, _, value = line.partition(":")
            if not line.startswith("#"):
                now.uri = line
                self.segments.append(now)
                number += 1
                now = Segment(number)
            elif name == "#EXTINF":
                now.duration, now.map = _number(value.split(",")[0], float), of_map
            elif name == "#EXT-X-PART":
                told = attributes(value)
                span = None
                if "BYTERANGE" in told:
                    length, _, offset = told["BYTERANGE"].partition("@")
                    span = (int(length), int(offset) if offset else gap_end)
                    gap_end = sum(span)
                now.parts.append(Part(told.get("URI"), _number(told.get("DURATION"), float) or 0.0, told.get("INDEPENDENT") == "YES", told.get("GAP") == "YES", span))
            elif name == "#EXT-X-GAP":
                now.gap = True
            elif name in ("#EXT-X-DISCONTINUITY", "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-MAP", "#EXT-X-KEY"):
                now.tags_before_parts &= not now.parts
                if name == "#EXT-X-DISCONTINUITY":
                    now.discontinuity = True
                elif name == "#EXT-X-PROGRAM-DATE-TIME":
                    now.date = _date(value)
                elif name == "#EXT-X-MAP":
                    of_map = attributes(value).get("URI")
        self.map = of_map
        if now.parts:
            self.filling = now

    @property
    def next_number(self):
        """Of the segment that is not whole."""
        return self.segments[-1].number + 1 if self.segments else (self.sequence or 0) + self.skipped

    def edge(self):
        """`(number, part)` of the next part: the first that is not listed."""
        return self.next_number, len(self.filling.parts) if self.filling else 0

    def has(self, number, part=None):
        """Whether it lists this part, or all of this segment."""
        if number < self.next_number:
            return True
        return part is not None and number == self.next_number and part < self.edge()[1]

    def everything(self):
        """Whole segments and the one that is being filled."""
        return self.segments + ([self.filling] if self.filling else [])

    def at(self, uri):
        return urljoin(self.url, uri)

    def fetch(self, part):
        """A part, as a whole file or as its range of one."""
        headers = {"Range": f"bytes={part.range[1]}-{sum(part.range) - 1}"} if part.range else None
        return fetch(self.at(part.uri), headers)


def attributes(text):
    """An attribute list (§4.2), quotes taken off."""
    return {name: value.strip('"') for name, value in re.findall(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)', text)}


def _number(text, kind):
    try:
        return kind(text)
    except (TypeError, ValueError):
        return None


def _date(text):
    try:
        return datetime.fromisoformat(text.strip().replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def merged(old, delta):
    """The lines of the whole playlist that a delta update stands for (§6.3.7): `old` gives what it skips. Raises ValueError if it cannot."""
    first = delta.sequence - old.sequence
    if first < 0 or first + delta.skipped > len(old.segments):
        raise ValueError(f"{delta.skipped} segments skipped from {delta.sequence} on; the playlist before had {old.sequence} to {old.next_number - 1}")
    return [segment.facts() for segment in old.segments[first : first + delta.skipped]] + [segment.facts() for segment in delta.segments]


# ---- ISO/IEC 14496-12


def boxes(data):
    """`(kind, body)` of each box. Raises ValueError for bytes that are none."""
    at = 0
    while at < len(data):
        if at + 8 > len(data):
            raise ValueError(f"{len(data) - at} bytes after the last box")
        size, kind, head = struct.unpack_from(">I", data, at)[0], data[at + 4 : at + 8], 8
        if size == 1 and at + 16 <= len(data):
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        if size < head or at + size > len(data):
            raise ValueError(f"a box {kind!r} of {size} bytes where {len(data) - at} are left")
        yield kind, data[at + head : at + size]
        at += size


def _inside(data, *path):
    """The first box at a path. Raises ValueError when it is not there."""
    for kind in path:
        data = next((body for name, body in boxes(data) if name == kind), None)
        if data is None:
            raise ValueError(f"no {kind.decode()}")
    return data


@dataclass
class Init:
    """What an initialization section says of its first track: `codec` as in the sample entry, `sample`: default duration of a sample."""

    codec: str
    timescale: int
    sample: int


def init(data):
    """Reads one. Raises ValueError for what is missing."""
    moov = _inside(data, b"moov")
    trak = _inside(moov, b"trak")
    mdhd = _inside(trak, b"mdia", b"mdhd")
    timescale = struct.unpack_from(">I", mdhd, 20 if mdhd[0] == 1 else 12)[0]
    entry = _inside(trak, b"mdia", b"minf", b"stbl", b"stsd")[8:]
    codec, body = next(boxes(entry))
    # AudioSampleEntry (§12.2.3): 28 bytes, then its boxes.
    if codec == b"Opus" and b"dOps" not in dict(boxes(body[28:])):
        raise ValueError("no dOps in Opus")
    trex = _inside(moov, b"mvex", b"trex")
    return Init(codec.decode("latin1"), timescale, struct.unpack_from(">I", trex, 12)[0])


BEFORE_MOOF = (b"styp", b"emsg", b"prft", b"sidx")


def fragments(data, of):
    """`(base time, duration)` of each fragment, in the timescale of `of` (an `Init`). Raises ValueError for what is not fragments."""
    found, moof = [], None
    for kind, body in boxes(data):
        if kind == b"moof":
            moof = body
        elif kind == b"mdat":
            if moof is None:
                raise ValueError("mdat without a moof before it")
            found.append(_fragment(moof, of))
            moof = None
        elif kind not in BEFORE_MOOF:
            raise ValueError(f"a box {kind!r} between fragments")
    if not found or moof is not None:
        raise ValueError("no whole fragment")
    return found


def _fragment(moof, of):
    traf = _inside(moof, b"traf")
    tfdt, tfhd = _inside(traf, b"tfdt"), _inside(traf, b"tfhd")
    when = struct.unpack_from(">Q" if tfdt[0] == 1 else ">I", tfdt, 4)[0]
    flags, at, sample = int.from_bytes(tfhd[1:4], "big"), 8, of.sample
    at += (8 if flags & 1 else 0) + (4 if flags & 2 else 0)
    if flags & 8:
        sample = struct.unpack_from(">I", tfhd, at)[0]
    duration = 0
    for kind, trun in boxes(traf):
        if kind != b"trun":
            continue
        flags, count = int.from_bytes(trun[1:4], "big"), struct.unpack_from(">I", trun, 4)[0]
        at = 8 + (4 if flags & 1 else 0) + (4 if flags & 4 else 0)
        row = 4 * sum(1 for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit)
        if at + row * count > len(trun):
            raise ValueError("trun is too short for its samples")
        duration += sum(struct.unpack_from(">I", trun, at + n * row)[0] for n in range(count)) if flags & 0x100 else count * sample
    return when, duration
