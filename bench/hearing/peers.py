"""Other people's players, relays and caches pull one conversation side by side, and what each of them decoded is judged from outside.

One FFmpeg speaks by WHIP: speech with a numbered mark at the beginning of every second. Each peer writes what it plays into a file of its own. There the
marks are looked for: every one that was spoken while the peer listened must be there, once, in order, and where the one before says that it is. A gap, a
repetition or a jump in what a peer played is seen by that, whatever made it.

`--break skip` cuts half a second out of every recording, `--break silent` lets nobody speak: the table must go bad.
"""

import argparse
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import ffmpeg, mark, processes, source
from .clock import now
from .house import House

ROOT = Path(__file__).resolve().parents[2]
RATE = 48_000
# What a peer does until it plays, and what is still on its way when it is stopped, is not continuity.
SETTLE_S = 6.0
# A mark that is this much off where the one before it puts it, beside the programme itself, is a jump. What the studio's own jitter buffer does is the
# same for all and no peer's doing; players that follow the live edge by their speed move by some milliseconds a second.
JUMP_S = 0.080
# Relays and caches must be there before who listens through them. Varnish compiles its configuration with a C compiler.
RELAY_S_MAX = 30.0
# How long the slowest may take to begin; listening is measured from when all have.
BEGIN_S_MAX = 90.0
BREAKS = ("skip", "silent")


@dataclass
class Peer:
    """One row: what runs, what it pulls, and how it is started. `run(bench, out)` returns the process that writes s16 mono at 48 kHz, or WAV, to `out`."""

    name: str
    pulls: str
    program: str
    version: tuple
    run: object
    process: object = None
    began: float = 0.0
    said: list = field(default_factory=list)


def installed(peer):
    return shutil.which(peer.program, path=os.environ["PATH"] + ":/usr/sbin")


def as_nobody(command):
    """VLC and Liquidsoap refuse to run as root, and so does Icecast. Not by `runuser`, which would set how many files they may open back to 1,024."""
    return command if os.getuid() else ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", *map(str, command)]


class Bench:
    """The server, and everything that stands between it and a peer."""

    def __init__(self, house, folder, space):
        self.house, self.folder, self.space = house, folder, space
        self.relays = {}
        self.pages = None

    def listen(self, form, origin=None):
        return f"{origin or self.house.public}/listen/{self.space}.{form}"

    def hls(self, origin=None):
        return f"{origin or self.house.public}/hls/{self.space}/live.m3u8"

    def start(self, name, command, **options):
        log = open(self.folder / f"{name}.log", "ab")
        home = self.folder / f"{name}.home"
        home.mkdir(exist_ok=True)
        home.chmod(0o777)
        environment = {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "TMPDIR": str(home)}
        return processes.start(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, **options)

    def page(self, name, how, src):
        return f"{self.pages.origin}/?how={how}&name={name}&src={src}"

    def port(self):
        """A free port. Somebody else could take it before its program does; then that program says so and its row fails."""
        import socket

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]


class Pages:
    """The page that browsers open, the players that it needs, and a place for what they play."""

    def __init__(self, folder):
        files = {
            "/": (Path(__file__).with_name("peer.html"), "text/html; charset=utf-8"),
            "/hls.js": (ROOT / "web/node_modules/hls.js/dist/hls.min.js", "text/javascript"),
            "/shaka.js": (ROOT / "web/node_modules/shaka-player/dist/shaka-player.compiled.js", "text/javascript"),
        }
        out = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self, status, body=b"", kind="text/plain"):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                path, kind = files.get(self.path.split("?")[0], (None, None))
                self._answer(200, path.read_bytes(), kind) if path else self._answer(404)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                what, name = self.path.strip("/").split("/")
                if not re.fullmatch(r"[a-z.0-9-]+", name):
                    return self._answer(404)
                suffix = "s16" if what == "pcm" else "said"
                file = out.setdefault((what, name), open(folder / f"{name}.{suffix}", "ab"))
                file.write(body if what == "pcm" else f"{now():.3f} ".encode() + body + b"\n")
                file.flush()
                self._answer(204)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()


# ---- relays and caches: started first, each gives an origin


def _icecast(bench):
    port, at = bench.port(), bench.house.public.removeprefix("http://").split(":")
    logs = bench.folder / "icecast.logs"
    logs.mkdir()
    logs.chmod(0o777)
    relay = lambda form: f"""<relay><server>{at[0]}</server><port>{at[1]}</port><mount>/listen/{bench.space}.{form}</mount>
      <local-mount>/listen/{bench.space}.{form}</local-mount><on-demand>0</on-demand><relay-shoutcast-metadata>1</relay-shoutcast-metadata></relay>"""  # noqa: E731
    (bench.folder / "icecast.xml").write_text(f"""<icecast>
      <limits><clients>20</clients><sources>4</sources></limits>
      <authentication><source-password>x</source-password><admin-user>a</admin-user><admin-password>x</admin-password></authentication>
      <hostname>127.0.0.1</hostname><listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
      <master-update-interval>5</master-update-interval>{relay("mp3")}{relay("ogg")}
      <paths><basedir>/usr/share/icecast2</basedir><logdir>{logs}</logdir><webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot></paths>
      <logging><errorlog>error.log</errorlog><accesslog>access.log</accesslog><loglevel>3</loglevel></logging></icecast>""")
    bench.start("icecast", as_nobody(["icecast2", "-c", bench.folder / "icecast.xml"]))
    return f"http://127.0.0.1:{port}"


def _nginx(bench):
    port, home = bench.port(), bench.folder / "nginx"
    home.mkdir()
    (home / "nginx.conf").write_text(f"""daemon off; master_process off; pid {home}/pid; error_log stderr warn;
      events {{ worker_connections 256; }}
      http {{ access_log off; client_body_temp_path {home}/b; proxy_temp_path {home}/t; fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
        proxy_cache_path {home}/cache keys_zone=hls:1m; proxy_http_version 1.1;
        server {{ listen 127.0.0.1:{port};
          location /hls/ {{ proxy_pass {bench.house.public}; proxy_cache hls; proxy_cache_lock on; }}
          location /listen/ {{ proxy_pass {bench.house.public}; proxy_buffering off; }} }} }}""")
    bench.start("nginx", ["nginx", "-p", home, "-e", "stderr", "-c", home / "nginx.conf"])
    return f"http://127.0.0.1:{port}"


def _varnish(bench):
    port, at = bench.port(), bench.house.public.removeprefix("http://").split(":")
    # An endless answer is not a thing to cache: it goes through as it comes.
    (bench.folder / "varnish.vcl").write_text(f"""vcl 4.1;
      backend house {{ .host = "{at[0]}"; .port = "{at[1]}"; }}
      sub vcl_recv {{ if (req.url ~ "^/listen/") {{ return (pipe); }} }}""")
    command = ["varnishd", "-F", "-a", f"127.0.0.1:{port}", "-f", bench.folder / "varnish.vcl", "-n", bench.folder / "varnish", "-s", "malloc,32m", "-T", "none"]
    bench.start("varnishd", command)
    return f"http://127.0.0.1:{port}"


RELAYS = {"icecast2": _icecast, "nginx": _nginx, "varnishd": _varnish}


# ---- peers


def _ffmpeg(url):
    def run(bench, out):
        command = [ffmpeg.EXE, "-hide_banner", "-nostdin", "-loglevel", "warning", "-y", "-i", url(bench), "-f", "s16le", "-ac", "1", "-ar", RATE, out]
        return bench.start(out.stem, command)

    return run


def _mpv(url):
    def run(bench, out):
        return bench.start(out.stem, ["mpv", "--no-config", "--no-video", "--ao=pcm", f"--ao-pcm-file={out}", "--ao-pcm-waveheader=no", "--audio-format=s16",
                                      "--audio-channels=mono", f"--audio-samplerate={RATE}", url(bench)])  # fmt: skip

    return run


def _vlc(url):
    def run(bench, out):
        out.touch()
        out.chmod(0o666)
        sout = f"#transcode{{acodec=s16l,channels=1,samplerate={RATE}}}:std{{access=file,mux=wav,dst={out}}}"
        return bench.start(out.stem, as_nobody(["cvlc", "--intf", "dummy", "--no-video", "--sout", sout, url(bench), "vlc://quit"]))

    return run


def _gstreamer(url):
    def run(bench, out):
        return bench.start(out.stem, ["gst-launch-1.0", "uridecodebin", f"uri={url(bench)}", "!", "audioconvert", "!", "audioresample", "!",
                                      f"audio/x-raw,format=S16LE,channels=1,rate={RATE}", "!", "filesink", f"location={out}", "buffer-mode=unbuffered"])  # fmt: skip

    return run


def _liquidsoap(url):
    def run(bench, out):
        out.touch()
        out.chmod(0o666)
        script = f'output.file(fallible=true, %wav(stereo=false, samplerate={RATE}), "{out}", input.http("{url(bench)}"))'
        script = f"set(\"frame.audio.samplerate\", {RATE})\n{script}"
        return bench.start(out.stem, as_nobody(["liquidsoap", script]))

    return run


def _firefox(url):
    def run(bench, out):
        profile = bench.folder / f"{out.stem}.profile"
        profile.mkdir()
        prefs = {"media.autoplay.default": 0, "media.autoplay.blocking_policy": 0, "browser.shell.checkDefaultBrowser": False, "datareporting.policy.dataSubmissionEnabled": False,
                 "app.update.enabled": False, "network.captive-portal-service.enabled": False, "media.gmp-manager.updateEnabled": False, "toolkit.telemetry.enabled": False,
                 "browser.startup.homepage_override.mstone": "ignore"}  # fmt: skip
        (profile / "user.js").write_text("".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in prefs.items()))
        page = bench.page(out.stem, "record", url(bench))
        return bench.start(out.stem, ["firefox-esr", "--headless", "--no-remote", "--profile", profile, page])

    return run


def _chromium(how):
    def run(bench, out):
        page = bench.page(out.stem, how, bench.hls())
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--autoplay-policy=no-user-gesture-required"]  # fmt: skip
        return bench.start(out.stem, [os.environ.get("CHROMIUM", "/usr/bin/chromium"), *flags, f"--user-data-dir={bench.folder / out.stem}.profile", page])

    return run


def listen(form, relay=None):
    return lambda bench: bench.listen(form, bench.relays[relay] if relay else None)


def hls(relay=None):
    return lambda bench: bench.hls(bench.relays[relay] if relay else None)


_FFMPEG = (ffmpeg.EXE, "-version")
_VERSIONS = {"icecast2": ("icecast2", "-v"), "nginx": ("nginx", "-v"), "varnishd": ("varnishd", "-V")}


def _package(name):
    """Of what a page brings along."""
    return ("node", "-p", f"'{name} ' + JSON.parse(require('fs').readFileSync('{ROOT}/web/node_modules/{name}/package.json')).version")


def peers():
    rows = [Peer(f"mpv-{form}", f".{form}", "mpv", ("mpv", "--version"), _mpv(listen(form))) for form in ("ogg", "mp4", "mp3")]
    rows += [Peer(f"vlc-{form}", f".{form}", "cvlc", ("cvlc", "--version"), _vlc(listen(form))) for form in ("ogg", "mp3")]
    rows += [Peer(f"gstreamer-{form}", f".{form}", "gst-launch-1.0", ("gst-launch-1.0", "--version"), _gstreamer(listen(form))) for form in ("ogg", "mp3")]
    rows += [Peer(f"firefox-{form}", f".{form}", "firefox-esr", ("firefox-esr", "--version"), _firefox(listen(form))) for form in ("ogg", "mp3")]
    rows += [Peer("hls.js", "live.m3u8", "chromium", _package("hls.js"), _chromium("hls")), Peer("shaka", "live.m3u8", "chromium", _package("shaka-player"), _chromium("shaka"))]
    rows += [Peer(f"icecast-{form}", f".{form}, relayed, by FFmpeg", "icecast2", _VERSIONS["icecast2"], _ffmpeg(listen(form, "icecast2"))) for form in ("ogg", "mp3")]
    rows += [Peer(f"liquidsoap-{form}", f".{form}", "liquidsoap", ("liquidsoap", "--version"), _liquidsoap(listen(form))) for form in ("ogg", "mp3")]
    for name in ("nginx", "varnishd"):
        rows.append(Peer(f"{name}-mp3", ".mp3, passed on, by FFmpeg", name, _VERSIONS[name], _ffmpeg(listen("mp3", name))))
        rows.append(Peer(f"{name}-hls", "live.m3u8, cached, by FFmpeg", name, _VERSIONS[name], _ffmpeg(hls(name))))
    rows.append(Peer("ffmpeg-hls", "live.m3u8", ffmpeg.EXE, _FFMPEG, _ffmpeg(hls())))
    return rows


def version(peer):
    """The first line in which the program says a number."""
    done = subprocess.run(as_nobody(peer.version) if peer.program in ("cvlc", "liquidsoap") else peer.version, capture_output=True, text=True, timeout=30)
    lines = (done.stdout + "\n" + done.stderr).splitlines()
    found = next((line for line in lines if re.search(r"\d\.\d", line)), "?")
    return re.sub(r"\s*(Copyright|\(revision|built on|,? compiled).*", "", found).strip()[:48]


# ---- judging


def sound_of(path):
    """What a peer wrote: raw, WAV or Ogg, whole or cut off."""
    data = path.read_bytes() if path.exists() else b""
    if data[:4] == b"OggS":
        return ffmpeg.decode(path)
    if data[:4] == b"RIFF" and b"data" in data[:200]:
        data = data[data.index(b"data", 0, 200) + 8 :]
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / 32768


def places(sound):
    """Where each mark is in a recording, in seconds, by its number."""
    return {heard.number: heard.at for heard in mark.find(source.for_analysis(sound))} if len(sound) else {}


def judge(sound, plan, broken=None, programme=None):
    """What a recording says: marks expected and heard, those missing, repeated or out of place. `programme`: `places` in what the server sent, decoded
    from its bytes; without it the marks are taken to be a second apart."""
    if broken == "skip":
        middle = len(sound) // 2
        sound = np.delete(sound, slice(middle, middle + RATE // 2))
    heard = mark.find(source.for_analysis(sound)) if len(sound) else []
    told = {"seconds": round(len(sound) / RATE, 1), "marks": len(heard), "expected": 0, "missing": 0, "repeated": 0, "jumps": 0, "jump_ms_max": None}
    if len(heard) < 2:
        return told
    first, last = heard[0].number, max(h.number for h in heard)
    there = programme or {}
    # What cannot be read in what the server sent is no peer's doing: `run` tells of it beside the table.
    expected = [number for number in plan.numbers(plan.publishers[0]) if first <= number <= last and (not there or number in there)]
    numbers = [h.number for h in heard]
    steps = [(b.at - a.at) - (there.get(b.number, b.number) - there.get(a.number, a.number)) for a, b in zip(heard, heard[1:]) if (a.number in there) == (b.number in there)]
    told["expected"] = len(expected)
    told["missing"] = len(set(expected) - set(numbers))
    told["repeated"] = len(numbers) - len(set(numbers))
    told["jumps"] = sum(abs(step) > JUMP_S for step in steps)
    told["jump_ms_max"] = round(1000 * max(map(abs, steps), default=0.0))
    return told


def is_whole(row, seconds):
    """Whether a peer heard all of it since it began, and most of what was said: without a hole, a repetition or a jump."""
    return row["expected"] >= 0.5 * (seconds - SETTLE_S) and not (row["missing"] or row["repeated"] or row["jumps"])


def table(rows):
    lines = ["| peer | version | pulls | seconds | marks | missing | repeated | jumps | largest, ms | whole |", "|---|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        cells = [row[key] for key in ("peer", "version", "pulls", "seconds")]
        cells += [f"{row['expected'] - row['missing']} of {row['expected']}", row["missing"], row["repeated"], row["jumps"], row["jump_ms_max"]]
        lines.append("| " + " | ".join("–" if cell is None else str(cell) for cell in cells) + f" | {'yes' if row['whole'] else '**no**'} |")
    return "\n".join(lines)


# ---- running


def _record(url, path):
    """The bytes that the server sends, until it closes."""
    with urllib.request.urlopen(url) as answer, path.open("wb") as file:
        try:
            while piece := answer.read1(65_536):
                file.write(piece)
        except OSError:
            # The server has gone, which ends the conversation.
            pass


def _until_all_play(present, folder):
    """Liquidsoap takes half a minute to begin on a busy machine, browsers some seconds. Who does not begin at all is judged as it is."""
    deadline = now() + BEGIN_S_MAX
    size = lambda peer: (folder / f"{peer.name}.s16").stat().st_size if (folder / f"{peer.name}.s16").exists() else 0  # noqa: E731
    while now() < deadline and any(size(peer) < RATE and peer.process.poll() is None for peer in present):
        time.sleep(0.5)


def _until_answers(url):
    deadline = now() + RELAY_S_MAX
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read(1)
        except OSError as why:
            if now() > deadline:
                raise TimeoutError(f"{url}: {why}") from why
            time.sleep(0.1)


def run(args, folder):
    house = House(os.environ["HIWAR_BIN"], folder)
    made = house.create("Peers")
    space, token = made["space"]["id"], made["host_pass"]
    house.start(space, token)
    plan = source.Plan.of(("speaker",), args.seconds + BEGIN_S_MAX + 30)
    voice = source.speech(source.demo_voices()[0], ffmpeg.EXE)
    content = source.to_pcm(source.spoken(plan, "speaker", voice))
    publisher = ffmpeg.Publisher(house.whip(space), house.speaker(space, token, "ليلى"), folder / "publisher.log")
    publisher.connected(20.0)
    if args.broken != "silent":
        publisher.speak(content, now() + 0.5)
    bench = Bench(house, folder, space)
    bench.pages = Pages(folder)
    wanted = [peer for peer in peers() if any(peer.name.startswith(only) for only in args.only or [""])]
    absent = [peer for peer in wanted if not installed(peer)]
    present = [peer for peer in wanted if installed(peer)]
    for name, start in RELAYS.items():
        if any(peer.program == name for peer in present):
            bench.relays[name] = start(bench)
    for origin in bench.relays.values():
        _until_answers(bench.listen("mp3", origin))
    programme = threading.Thread(target=_record, args=(bench.listen("ogg"), folder / "programme.ogg"), daemon=True)
    programme.start()
    print(f"{len(present)} peers listen for {args.seconds} s", file=sys.stderr)
    for peer in present:
        peer.began, peer.process = now(), peer.run(bench, folder / f"{peer.name}.s16")
    _until_all_play(present, folder)
    deadline = now() + args.seconds
    while (left := deadline - now()) > 0:
        publisher.alive()
        threading.Event().wait(min(1.0, left))
    rows = []
    for peer in present:
        ended = peer.process.poll()
        processes.stop(peer.process)
        rows.append({"peer": peer.name, "version": version(peer), "pulls": peer.pulls, "ended": ended})
    publisher.stop()
    bench.pages.stop()
    house.stop()
    processes.stop_all()
    programme.join(10.0)
    sent = places(sound_of(folder / "programme.ogg"))
    for peer, row in zip(present, rows):
        row.update(judge(sound_of(folder / f"{peer.name}.s16"), plan, args.broken, sent))
        row["whole"] = is_whole(row, args.seconds)
    unread = [number for number in plan.numbers(plan.publishers[0]) if sent and min(sent) < number < max(sent) and number not in sent]
    return rows, [peer.name for peer in absent], unread


def main():
    parser = argparse.ArgumentParser(prog="./x peers", description="Other people's players, relays and caches pull a conversation.")
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--only", nargs="+", metavar="PEER", help="those whose names begin so: " + ", ".join(peer.name for peer in peers()))
    parser.add_argument("--keep", metavar="DIR", help="leave recordings and logs there")
    parser.add_argument("--break", dest="broken", choices=BREAKS, help="the table must go bad")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hiwar-peers-") as temporary:
        folder = Path(args.keep or temporary).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        # Some peers run as another user and write there.
        folder.chmod(0o777)
        rows, absent, unread = run(args, folder)
    print(table(rows))
    whole = [row["peer"] for row in rows if row["whole"]]
    print(json.dumps({"peers": len(rows), "whole": len(whole), "not_whole": [row["peer"] for row in rows if not row["whole"]], "absent": absent, "unread_in_programme": unread, "seconds": args.seconds}))
    sys.exit(0 if rows and len(whole) == len(rows) else 1)


if __name__ == "__main__":
    main()
