"""A WebRTC speaker and listener by aiortc, in a process of its own, so that nothing else delays its clock.

    python -m hearing.client NAME FOLDER        commands and events are lines of JSON

    {"do": "whip", "url", "token"}      goes on stage; {"event": "connected"}
    {"do": "offer"}                     {"event": "offer", "sdp"}, for another client; then
    {"do": "answer", "sdp"}             ... what the other said to it; {"event": "connected"}
    {"do": "accept", "sdp"}             the other side: {"event": "answer", "sdp"}, {"event": "connected"}
    {"do": "speak", "file", "t0", "ppm"} the samples of `file` (48 kHz, 16 bit) begin at `t0`; {"event": "speaking", "t0"}
    {"do": "stop"}                      {"event": "stopped", "heard"}

What it hears goes to FOLDER/NAME.s16 and its times to FOLDER/NAME.points.
"""

import asyncio
import fractions
import json
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from .clock import now

RATE = 48_000
FRAME = 960


class Mouth(MediaStreamTrack):
    """A microphone with a clock of its own: a frame is handed over when its last sample has been spoken."""

    kind = "audio"

    def __init__(self, ppm=0.0):
        super().__init__()
        self.rate = RATE * (1.0 + ppm * 1e-6)
        self.began = None
        self.handed = 0
        self.content, self.first = np.zeros(0, dtype="<i2"), 0

    def speak(self, content, t0):
        """Returns the exact time of the first sample."""
        self.content = content
        self.first = round((t0 - self.began) * self.rate)
        return self.began + self.first / self.rate

    async def recv(self):
        if self.began is None:
            self.began = now()
        wait = self.began + (self.handed + FRAME) / self.rate - now()
        if wait > 0:
            await asyncio.sleep(wait)
        block = np.zeros((1, FRAME), dtype=np.int16)
        low, high = max(self.handed, self.first), min(self.handed + FRAME, self.first + len(self.content))
        if low < high:
            block[0, low - self.handed : high - self.handed] = self.content[low - self.first : high - self.first]
        frame = AudioFrame.from_ndarray(block, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.handed, fractions.Fraction(1, RATE)
        self.handed += FRAME
        return frame


class Ear:
    """Writes down what a track gives and when. A frame is played from the moment it is given."""

    def __init__(self, path):
        self.file = open(path.with_suffix(".s16"), "wb")
        self.points = open(path.with_suffix(".points"), "w")
        self.samples = 0

    async def listen(self, track):
        # By timestamps, as a player would: what is not there leaves its place empty. A new sender begins anew.
        origin = None
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            at = now()
            sound = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0].astype("<i2")
            if origin is None:
                origin = frame.pts - self.samples
            hole = frame.pts - origin - self.samples
            if 0 < hole < 10 * RATE:
                self.file.write(bytes(2 * hole))
                self.samples += hole
            elif hole:
                origin = frame.pts - self.samples
            self.points.write(f"{self.samples} {at:.6f}\n")
            self.file.write(sound.tobytes())
            self.samples += len(sound)


class Client:
    def __init__(self, name, folder):
        self.ear = Ear(folder / name)
        self.peer = None
        self.mouth = None
        self.session = None
        self.tasks = []

    def _begin(self, ppm):
        self.peer = RTCPeerConnection()
        self.mouth = Mouth(ppm)

        @self.peer.on("track")
        def on_track(track):
            self.tasks.append(asyncio.ensure_future(self.ear.listen(track)))

    async def _offer(self, ppm):
        self._begin(ppm)
        self.peer.addTrack(self.mouth)
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def _connected(self):
        for _ in range(1_000):
            if self.peer.connectionState == "connected" and self.mouth.began is not None:
                return tell(event="connected")
            if self.peer.connectionState in ("failed", "closed"):
                break
            await asyncio.sleep(0.02)
        raise RuntimeError(f"not connected: {self.peer.connectionState}")

    async def handle(self, command):
        do = command["do"]
        if do == "whip":
            sdp = await self._offer(command.get("ppm", 0.0))
            answer, self.session = await asyncio.to_thread(post, command["url"], command["token"], sdp)
            self.token = command["token"]
            await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            await self._connected()
        elif do == "offer":
            tell(event="offer", sdp=await self._offer(0.0))
        elif do == "accept":
            self._begin(0.0)
            await self.peer.setRemoteDescription(RTCSessionDescription(command["sdp"], "offer"))
            self.peer.addTrack(self.mouth)
            await self.peer.setLocalDescription(await self.peer.createAnswer())
            tell(event="answer", sdp=self.peer.localDescription.sdp)
            await self._connected()
        elif do == "answer":
            await self.peer.setRemoteDescription(RTCSessionDescription(command["sdp"], "answer"))
            await self._connected()
        elif do == "speak":
            content = np.fromfile(command["file"], dtype="<i2")
            tell(event="speaking", t0=self.mouth.speak(content, command["t0"]))
        else:
            raise ValueError(f"unknown command {do}")

    async def stop(self):
        if self.session:
            await asyncio.to_thread(delete, self.session, self.token)
        if self.peer:
            await self.peer.close()
        for task in self.tasks:
            task.cancel()
        self.ear.file.close()
        self.ear.points.close()
        tell(event="stopped", heard=self.ear.samples)


def post(url, token, sdp):
    """WHIP: offer to `(answer, session URL)`."""
    request = urllib.request.Request(url, sdp.encode(), {"Content-Type": "application/sdp", "Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode(), urllib.parse.urljoin(url, answer.headers["Location"])


def delete(url, token):
    request = urllib.request.Request(url, method="DELETE", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=5):
            pass
    except OSError:
        pass  # The server may be gone already.


def tell(**event):
    print(json.dumps(event), flush=True)


async def main(name, folder):
    client = Client(name, Path(folder))
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    try:
        while line := await lines.readline():
            command = json.loads(line)
            if command["do"] == "stop":
                break
            await client.handle(command)
    except Exception as error:  # the other side must be told, whatever it was
        tell(event="failed", why=repr(error))
    await client.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
