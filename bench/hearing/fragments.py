"""Reads what listeners are sent: live fragmented MP4 as it arrives, and Ogg Opus files. Independent of the server's own readers."""

import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from . import processes


@dataclass
class Piece:
    """One chunk as it came: `at` on CLOCK_MONOTONIC, `time` in samples at 48 kHz, `frames` (Opus packets), `events` before it."""

    at: float
    time: int
    frames: list
    events: list = field(default_factory=list)

    @property
    def sounds(self):
        """Whether somebody is heard: silence is encoded as a few bytes a frame, a voice as a hundred."""
        return sum(len(frame) for frame in self.frames) > 40 * len(self.frames)


class Ear:
    """One connection to a live `.mp4`, read by a thread of its own until it ends or `close`. `pieces` and `events` (`(at, event)`) only grow."""

    def __init__(self, url, tls=None, ahead=False):
        """`tls`: the `ssl.SSLContext` for an `https` address. `ahead`: before others at the CPU, so that `at` is when it came."""
        self.pieces, self.events = [], []
        self.ended = False
        self._closing, self._ahead = False, ahead
        self._changed = threading.Condition()
        where = urlsplit(url)
        self._socket = socket.create_connection((where.hostname, where.port or (443 if tls else 80)), timeout=60)
        if tls:
            self._socket = tls.wrap_socket(self._socket, server_hostname=where.hostname)
        self._socket.sendall(f"GET {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n".encode())
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        if self._ahead:
            processes.hurry_this_thread()
        buffer, headed, moof, events = b"", False, None, []
        try:
            while more := self._socket.recv(65536):
                at = time.monotonic()
                buffer += more
                if not headed:
                    head, found, buffer = buffer.partition(b"\r\n\r\n")
                    if not found:
                        buffer = head
                        continue
                    if not head.startswith(b"HTTP/1.1 200"):
                        raise ConnectionError(head.splitlines()[0])
                    headed = True
                while len(buffer) >= 8 and len(buffer) >= (size := struct.unpack(">I", buffer[:4])[0]):
                    kind, body = buffer[4:8], buffer[8:size]
                    buffer = buffer[size:]
                    if kind == b"emsg":
                        event = _event(body)
                        events.append(event)
                        with self._changed:
                            self.events.append((at, event))
                            self._changed.notify_all()
                    elif kind == b"moof":
                        moof = body
                    elif kind == b"mdat":
                        when, sizes = _sizes(moof)
                        piece, begin = Piece(at, when, [], events), 0
                        for length in sizes:
                            piece.frames.append(body[begin : begin + length])
                            begin += length
                        events = []
                        with self._changed:
                            self.pieces.append(piece)
                            self._changed.notify_all()
        except (OSError, ConnectionError):
            pass
        with self._changed:
            self.ended = not self._closing
            self._changed.notify_all()

    def until(self, look, within_s, what):
        """What `look(self)` gives once it is not None; raises `TimeoutError`."""
        deadline = time.monotonic() + within_s
        with self._changed:
            while (found := look(self)) is None:
                rest = deadline - time.monotonic()
                if rest <= 0:
                    raise TimeoutError(f"no {what} within {within_s} s")
                self._changed.wait(rest)
            return found

    def close(self):
        self._closing = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def _boxes(body):
    at = 0
    while at + 8 <= len(body):
        size = struct.unpack_from(">I", body, at)[0]
        yield body[at + 4 : at + 8], body[at + 8 : at + size]
        at += max(size, 8)


def _sizes(moof):
    """Base time and sample sizes of a fragment (ISO/IEC 14496-12 §8.8.8, §8.8.12)."""
    traf = dict(_boxes(dict(_boxes(moof))[b"traf"]))
    tfdt, trun, tfhd = traf[b"tfdt"], traf[b"trun"], traf[b"tfhd"]
    when = struct.unpack_from(">Q" if tfdt[0] == 1 else ">I", tfdt, 4)[0]
    flags, count = struct.unpack(">I", trun[:4])[0] & 0xFFFFFF, struct.unpack_from(">I", trun, 4)[0]
    at = 8 + (4 if flags & 1 else 0) + (4 if flags & 4 else 0)
    row = [bit for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit]
    if 0x200 not in row:
        raise ValueError(f"fragment without sizes: {tfhd.hex()}")
    return when, [struct.unpack_from(">I", trun, at + 4 * (n * len(row) + row.index(0x200)))[0] for n in range(count)]


def _event(body):
    """The JSON of one event (docs/formats/event.md), or None."""
    at = body.find(b"hiwar\0")
    return None if at < 0 else json.loads(body[at + 6 :])


def ogg_packets(data):
    """The packets of an Ogg file without its two headers (RFC 3533 §6)."""
    packets, open_packet, at = [], b"", 0
    while data[at : at + 4] == b"OggS":
        count = data[at + 26]
        table = data[at + 27 : at + 27 + count]
        body = at + 27 + count
        for lacing in table:
            open_packet += data[body : body + lacing]
            body += lacing
            if lacing < 255:
                packets.append(open_packet)
                open_packet = b""
        at = body
    return packets[2:]


def ogg(chunks):
    """An Ogg file of chunks of Opus packets of 20 ms, mono (RFC 7845), a page for each. Its pre-skip is 0: a decoder leaves nothing out, and sample 0 is the first of the first packet."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<II", 0, 0)
    pages, granule = [_page(0, 0, [head], 2), _page(1, 0, [tags])], 0
    for packets in chunks:
        granule += 960 * len(packets)
        pages.append(_page(len(pages), granule, packets))
    return b"".join(pages)


def _page(number, granule, packets, flags=0):
    """RFC 3533 section 6. Packets of less than 65,025 bytes in all."""
    lacing = b"".join(bytes([255] * (len(packet) // 255) + [len(packet) % 255]) for packet in packets)
    page = bytearray(b"OggS" + struct.pack("<BBqIIIB", 0, flags, granule, 1, number, 0, len(lacing)) + lacing + b"".join(packets))
    crc = 0
    for byte in page:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _CRCS[crc >> 24 ^ byte]
    page[22:26] = crc.to_bytes(4, "little")
    return bytes(page)


def _crc(byte):
    crc = byte << 24
    for _ in range(8):
        crc = (crc << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if crc >> 31 else 0)
    return crc


_CRCS = [_crc(byte) for byte in range(256)]
