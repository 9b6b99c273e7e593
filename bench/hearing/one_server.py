"""`./x bench one-server`: from the package to people talking and listening over HTTPS, by the commands of docs/operate/one-server.md.

    bench/one-server [--quick] [--keep DIR] [--break WHAT]

Two Debian 12 under their own systemd are the servers, and pebble is the authority for certificates, all in a network namespace of this program's
own. The commands are read from the page and typed as they stand there; what is added for pebble's sake is said in docs/measured/one-server.md, as is what each
figure means. The last line is one JSON object. The program that is packaged is HIWAR_BIN.
"""

import argparse
import datetime
import hashlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from . import compare, ffmpeg, figures, mark, processes, source
from .clock import now
from .debian import Server
from .fragments import Ear

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "operate" / "one-server.md"
NAME = "talk.example"
ADDRESS, PEER = "203.0.113.10", "203.0.113.1"
AUTHORITY = "acme.example"
COMMANDS_MAX = 10
CERTIFICATE_S = 60
"""How long the first certificate may take."""
SETTLE_S = 3
"""A listener hears this long before something happens."""
CHUNK = 9_600
"""Samples of 200 ms."""
VOICE_S = 600
"""Longer than any run: the microphone's file is not repeated, since marks are not."""
BREAKS = {
    "restart": "the upgrade restarts the service instead of reloading it: listeners are dropped",
    "distrust": "Chromium is not told of pebble's root",
}


WANTED = {
    "commands_to_air": lambda count: count <= COMMANDS_MAX,
    "redirect": lambda to: to == f"308 https://{NAME}/s/demo",
    "runs_as": lambda user: user == "hiwar",
    "link_not_in_journal": bool,
    "readyz": lambda said: said == "ready",
    "backup_private": bool,
    "upgrade_same_process": bool,
    "bad_configuration_refused": bool,
    "listeners_dropped": lambda count: count == 0,
    "time_jumps": lambda count: count == 0,
    "turns_heard_whole": lambda count: count >= 1,
    "stoi": lambda score: score >= 0.92,
    "restored_same_replay": bool,
    "restored_link_works": bool,
    "beat_where_allowed": lambda said: "SCHED_FIFO" in said,
    "removed": lambda seen: seen == {"runs": "0", "program": False, "recordings": True},
    "purge_says_so": bool,
    "left_behind": lambda paths: paths == [],
}
"""What each figure must be; the rest are told, not judged."""


def main():
    options = _options()
    folder = Path(options.keep or tempfile.mkdtemp(prefix="hiwar-one-server-", dir="/var/tmp"))
    folder.mkdir(parents=True, exist_ok=True)
    began, run = now(), Run(folder.resolve(), options)
    try:
        run.all()
    except Exception as error:  # noqa: BLE001 - whatever it was, what is known so far is told
        run.out |= {"failed": run.doing, "why": f"{type(error).__name__}: {error}"[-3000:]}
    finally:
        run.off()
        processes.stop_all()
        for name in ("server", "other"):
            shutil.rmtree(folder / name, ignore_errors=True)
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    run.out["unwanted"] = [name for name, is_wanted in WANTED.items() if name not in run.out or not is_wanted(run.out[name])]
    print(json.dumps(run.out | {"broken": options.broken, "took_s": round(now() - began)}, ensure_ascii=False), flush=True)
    sys.exit(1 if run.out["unwanted"] else 0)


def _options():
    parser = argparse.ArgumentParser(prog="bench/one-server", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="listen for 15 s at a time instead of 40")
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--break", dest="broken", choices=BREAKS)
    return parser.parse_args()


def sections(page):
    """Heading to the commands below it, in order: one for each line of each block that is marked `sh`."""
    found, heading, inside = {}, None, False
    for line in page.splitlines():
        if inside and line == "```":
            inside = False
        elif inside and line.strip() and not line.startswith("#"):
            found.setdefault(heading, []).append(line)
        elif line.startswith("## "):
            heading = line[3:]
        elif line == "```sh":
            inside = True
    return found


class Run:
    """What is done, in order. `out` is what is known so far, `doing` what was being done."""

    def __init__(self, folder, options):
        self.folder, self.broken = folder, options.broken
        self.listen_s = 15 if options.quick else 40
        self.page = sections(PAGE.read_text())
        self.out, self.doing, self.typed = {}, "", {}
        self.servers, self.browsers, self.ears = [], [], []

    def all(self):
        for part in (
            self.internet, self.packages, self.on_the_air, self.talk, self.does_it_work, self.back_up, self.upgrade, self.change, self.end,
            self.restore, self.real_time, self.remove,
        ):  # fmt: skip
            self.doing = part.__name__
            print(f"  {(part.__doc__ or '').strip()}", file=sys.stderr, flush=True)
            part()
        self.out["commands"] = {heading: len(lines) for heading, lines in self.page.items()}
        untyped = set(self.page) - set(self.typed)
        if untyped:
            raise ValueError(f"nobody typed what the page says under {untyped}")

    def off(self):
        for one in (*self.browsers, *self.servers):
            try:
                one.off() if isinstance(one, Server) else processes.stop(one.process)
            except Exception as error:  # noqa: BLE001
                print(f"  {error}", file=sys.stderr)

    def type(self, heading, server, codes=(0,), between=lambda command: None):
        """Types the commands of a section, each with a yes if it asks, and calls `between` after each; what the last one printed."""
        typed = self.typed.setdefault(heading, [])
        with open(self.folder / "typed.log", "a") as log:
            for command in self.page[heading]:
                done = server.run(command, "Y\n", codes)
                log.write(f"{server.name}# {command}\n{done.stdout}{done.stderr}")
                typed.append(command)
                between(command)
        return done

    # ---- before

    def internet(self):
        """an internet: names, and an authority for certificates"""
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        self.hosts = {NAME: ADDRESS, AUTHORITY: PEER}
        hosts = self.folder / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{at} {name}\n" for name, at in self.hosts.items()))
        subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
        root, certificate, key = _authority(AUTHORITY)
        for name, data in (("directory-root.pem", root), ("directory.pem", certificate), ("directory.key", key)):
            (self.folder / name).write_bytes(data)
        settings = {
            "listenAddress": "0.0.0.0:14000", "managementListenAddress": "127.0.0.1:15000",
            "certificate": str(self.folder / "directory.pem"), "privateKey": str(self.folder / "directory.key"),
            "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "", "externalAccountBindingRequired": False,
        }  # fmt: skip
        (self.folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
        log = open(self.folder / "pebble.log", "ab")
        self.pebble = processes.start(["pebble", "-config", self.folder / "pebble.json"], stdout=log, stderr=log, env={**os.environ, "PEBBLE_VA_NOSLEEP": "1"})
        own = ssl.create_default_context(cafile=self.folder / "directory-root.pem")
        own.check_hostname = False
        root = _until(lambda: _get("https://127.0.0.1:15000/roots/0", own), 20, "pebble")
        (self.folder / "root.pem").write_bytes(root)
        self.tls = ssl.create_default_context(cadata=root.decode())
        self.home = self.folder / "home"
        store = self.home / ".pki/nssdb"
        store.mkdir(parents=True, exist_ok=True)
        subprocess.run(["certutil", "-d", f"sql:{store}", "-N", "--empty-password"], check=True)
        if self.broken != "distrust":
            subprocess.run(["certutil", "-d", f"sql:{store}", "-A", "-n", "pebble", "-t", "C,,", "-i", self.folder / "root.pem"], check=True)

    def packages(self):
        """two packages of the program, the second with a higher version"""
        self.made = []
        for version in ("0.1.0~bench1", "0.1.0~bench2"):
            made = subprocess.run([ROOT / "packaging/deb", os.environ["HIWAR_BIN"], self.folder, version], check=True, capture_output=True, text=True)
            self.made.append(Path(made.stdout.strip()))
        self.out["package_bytes"] = self.made[0].stat().st_size
        self.out["depends"] = subprocess.run(["dpkg-deb", "-f", self.made[0], "Depends"], check=True, capture_output=True, text=True).stdout.strip()

    def boot(self, name):
        server = Server(self.folder, name, ADDRESS, PEER, self.hosts)
        self.servers.append(server)
        server.put(self.made[0], "hiwar.deb")
        return server

    # ---- the page, from its beginning

    def on_the_air(self):
        """a new server: the commands of "On the air\""""
        self.server = server = self.boot("server")
        self.out["debian"] = server.ask("cat /etc/debian_version").strip()
        self.out["systemd"] = int(re.search(r"systemd (\d+)", server.ask("systemctl --version"))[1])
        began = now()
        done = self.type("On the air", server, between=lambda command: self._other_authority(server) if command.startswith("apt install") else None)
        self.out["commands_to_air"] = len(self.typed["On the air"])
        self.out["commands_s"] = round(now() - began, 1)
        self.link = done.stdout.strip()
        if not self.link.startswith(f"https://{NAME}/"):
            raise ValueError(f"no link to host with: {done.stdout!r}")
        _until(lambda: _get(f"https://{NAME}/readyz", self.tls), CERTIFICATE_S, "HTTPS", server.journal)
        self.out["https_s"] = round(now() - began, 1)
        self.out["issuer"] = _issuer(self.tls)
        self.out["redirect"] = _redirect(f"http://{NAME}/s/demo")
        self.pid = int(server.ask("systemctl show --value --property MainPID hiwar"))
        self.out["runs_as"] = server.ask(f"ps -o user= -p {self.pid}").strip()
        self.out["link_not_in_journal"] = "token=" not in server.ask("journalctl --no-pager --unit hiwar")

    def _other_authority(self, server):
        """The only thing that is not on the page: another authority than Let's Encrypt, which cannot reach this network."""
        shutil.copyfile(self.folder / "directory-root.pem", server.root / "etc/ssl/pebble.pem")
        with open(server.root / "etc/hiwar/hiwar.toml", "a") as file:
            file.write(f'\n[acme]\ndirectory = "https://{AUTHORITY}:14000/dir"\nroot = "/etc/ssl/pebble.pem"\n')

    def talk(self):
        """a host in one Chromium, a listener in another"""
        plan = self.plan = source.Plan.of(("host",), VOICE_S)
        said = source.spoken(plan, "host", source.speech(source.demo_voices()[0], ffmpeg.EXE))
        source.write_wav(self.folder / "voice.wav", said)
        self.said = source.for_analysis(said)
        environment = {**os.environ, "HOME": str(self.home)}
        self.host = self.browse("host.mjs", self.link, self.folder / "voice.wav", env=environment)
        told = self.host.hear("on-air", 60)
        self.space = re.search(r"/s/([\w-]+)", told["listen"])[1]
        source.write_wav(self.folder / "silence.wav", np.zeros(source.RATE, dtype=np.float32))
        self.listener = self.browse("browser.mjs", self.folder, self.folder / "silence.wav", env=environment)
        self.listener.hear("ready", 30)
        self.listener.tell(do="listen", url=told["listen"])
        self.out["press_to_sound_ms"] = self.listener.hear("listening", 40)["after_ms"]
        self.listen()
        time.sleep(self.listen_s)

    def listen(self):
        """Another listener, who notes when each chunk came."""
        self.ear = Ear(f"https://{NAME}/listen/{self.space}.mp4", self.tls)
        self.ears.append(self.ear)
        self.ear.until(lambda ear: any(piece.sounds for piece in ear.pieces) or None, 30, "voice")

    def browse(self, program, *arguments, env):
        log = self.folder / f"{program}.log"
        one = processes.Colleague(["node", ROOT / "bench/hearing" / program, *arguments], log, env=env)
        self.browsers.append(one)
        return one

    def does_it_work(self):
        """what the page looks at"""
        self.type("Does it work?", self.server)
        self.out["readyz"] = _get(f"https://{NAME}/readyz", self.tls).decode().strip()
        if b"# TYPE" not in _get(f"https://{NAME}/metrics", self.tls):
            raise ValueError("/metrics is not for Prometheus")

    def back_up(self):
        """a backup, with a conversation on the air"""
        self.type("Backup", self.server, codes=(0, 1))
        self.out["backup_private"] = self.server.ask("stat -c %a hiwar-backup.tar.gz").strip() == "600"

    def upgrade(self):
        """an upgrade, in mid-sentence"""
        self.server.put(self.made[1], "hiwar.deb")
        time.sleep(SETTLE_S)
        before, pieces = self._inode(), len(self.ear.pieces)
        self.undisturbed_s = (self.folder / "mse.s16").stat().st_size // (2 * source.RATE)
        began = now()
        self.type("Upgrade", self.server)
        if self.broken == "restart":
            self.server.run("systemctl restart hiwar")
        self.out["upgraded_to"] = self.server.ask("dpkg-query --show --showformat '${Version}' hiwar")
        _until(lambda: self._inode() != before and self._settled(), 30, "the new program", self.server.journal)
        self._heard_again(pieces)
        self.out["upgrade_same_process"] = int(self.server.ask("systemctl show --value --property MainPID hiwar")) == self.pid
        self.out["upgrade_pause_ms"] = self._pause(began)

    def change(self):
        """a change of the configuration, then one that cannot be used"""
        # Who was there before the last restart but one is sent to others by design (ADR 12): this is about somebody who came since.
        before = self.ear
        self.listen()
        before.close()
        time.sleep(SETTLE_S)
        self.server.run("sed -i 's/^#workers = .*/workers = 2/' /etc/hiwar/hiwar.toml")
        pieces, began = len(self.ear.pieces), now()
        self.type("Changing the configuration", self.server)
        _until(self._settled, 30, "the end of the reload", self.server.journal)
        self._heard_again(pieces)
        self.out["reload_pause_ms"] = self._pause(began)
        self.server.run("sed -i 's/^workers = .*/wrokers = 2/' /etc/hiwar/hiwar.toml")
        done = self.server.run("systemctl reload hiwar", codes=range(256))
        self.out["bad_configuration_refused"] = done.returncode != 0 and "wrokers" in self.server.journal() and self._settled()
        self.server.run("sed -i 's/^wrokers = .*/workers = 2/' /etc/hiwar/hiwar.toml")
        time.sleep(self.listen_s / 2)

    def _inode(self):
        """Which file the first process runs."""
        return self.server.ask("stat --dereference --format %i /proc/$(systemctl show --value --property MainPID hiwar)/exe")

    def _settled(self):
        return self.server.ask("systemctl show --value --property SubState hiwar").strip() == "running"

    def _heard_again(self, pieces):
        _until(lambda: self.ear.ended or any(piece.sounds for piece in self.ear.pieces[pieces + 15 :]), 30, "the voice", self.server.journal)

    def _pause(self, since):
        arrivals = [piece.at for piece in self.ear.pieces if piece.at >= since - 1]
        return round(1000 * max((b - a for a, b in zip(arrivals, arrivals[1:])), default=-0.001))

    def end(self):
        """the end, the replay, and what was heard"""
        self.out["listeners_dropped"] = sum(ear.ended for ear in self.ears)
        times = [[piece.time for piece in ear.pieces] for ear in self.ears]
        self.out["time_jumps"] = sum(b - a != CHUNK for heard in times for a, b in zip(heard, heard[1:]))
        self.listener.tell(do="stop")
        stopped = self.listener.hear("stopped", 30)
        self.host.tell(do="end")
        ended = self.host.hear("ended", 60)
        if stopped["errors"] or ended["errors"]:
            raise AssertionError(f"errors on the pages: {stopped['errors']} {ended['errors']}")
        self.replay = _until(lambda: self._replay(self.tls), 60, "replay", self.server.journal)
        self.out["replay_s"] = _seconds(self.replay)
        self.type("Backup", self.server)
        sound = figures.read_sound(self.folder, "mse")
        # Up to the upgrade, and beside it all: restarts in place cut out a moment each, which has figures of its own.
        self.out["stoi"], self.out["turns_heard_whole"] = self._intelligibility(sound[: self.undisturbed_s * mark.RATE])
        self.out["stoi_with_restarts"], _ = self._intelligibility(sound)

    def _intelligibility(self, sound):
        """Over the turns that were heard whole, and how many these are."""
        heard = {one.number for one in mark.find(sound)}
        turns = [turn for turn in self.plan.turns("host") if set(range(turn[0], turn[1] + 1)) <= heard]
        numbers = [number for first, last in turns for number in range(first, last + 1)]
        told = compare.compare(self.plan, {"host": self.said}, sound, numbers)
        return round(told.stoi.get("host", 0.0), 4), len(turns)

    def _replay(self, tls):
        return _get(f"https://{NAME}/replay/{self.space}.ogg", tls)

    # ---- afterwards

    def restore(self):
        """another server in its place, from the backup"""
        backup = self.folder / "hiwar-backup.tar.gz"
        shutil.copyfile(self.server.root / "root/hiwar-backup.tar.gz", backup)
        self.server.off()
        self.other = other = self.boot("other")
        other.put(self.made[1], "hiwar.deb")
        other.put(backup, "hiwar-backup.tar.gz")
        shutil.copyfile(self.folder / "directory-root.pem", other.root / "etc/ssl/pebble.pem")
        self.before = other.files()
        self.type("Restore", other)
        replay = _until(lambda: self._replay(self.tls), CERTIFICATE_S, "replay after the restore", other.journal)
        self.out["restored_same_replay"] = hashlib.sha256(replay).digest() == hashlib.sha256(self.replay).digest()
        self.out["restored_replay_s"] = _seconds(replay)
        token = re.search(r"token=([\w.~-]+)", self.link)[1]
        created = _post(f"https://{NAME}:8081/api/spaces/v1/spaces", {"title": "After the restore", "audience": "public"}, token, self.tls)
        self.out["restored_link_works"] = "host_pass" in created
        self.space_after = created["space"]["id"]

    def real_time(self):
        """the beat's priority, as this machine grants it, and as one would that lets the service's limits be raised"""
        self.out["limits"] = self.other.ask("systemctl show --property LimitRTPRIO --property LimitNICE --property LimitNOFILE hiwar").split()
        beat = r"journalctl --no-pager --unit hiwar --output cat | grep -o 'runs .*(SCHED_FIFO)\|runs with raised.*\|runs at normal priority' | tail -n 1"
        self.out["beat_here"] = self.other.ask(beat).strip()
        drop = self.other.root / "etc/systemd/system/hiwar.service.d"
        drop.mkdir()
        (drop / "nice.conf").write_text("[Service]\nCapabilityBoundingSet=CAP_SYS_NICE\nAmbientCapabilities=CAP_SYS_NICE\n")
        self.other.run("systemctl daemon-reload && systemctl restart hiwar")
        # A start says so once; until then the last word is that of the start before.
        since = "$(systemctl show --property InvocationID --value hiwar)"
        self.out["beat_where_allowed"] = _until(
            lambda: self.other.ask(beat.replace("--unit hiwar", f"_SYSTEMD_INVOCATION_ID={since}")).strip(), 20, "word of the beat"
        )
        shutil.rmtree(drop)
        self.other.run("systemctl daemon-reload && systemctl restart hiwar")
        self.out["exposure"] = self.other.run("systemd-analyze security --no-pager hiwar | tail -n 1").stdout.strip()

    def remove(self):
        """removal, then for good"""
        purged = self.type("Removal", self.other, between=lambda command: self._look_removed() if "removed" not in self.out else None)
        self.out["purge_says_so"] = "/var/lib/hiwar" in purged.stdout + purged.stderr
        self.out["left_behind"] = sorted(self.other.files() - self.before)[:20]
        self.out["user_stays"] = self.other.ask("getent passwd hiwar").strip()

    def _look_removed(self):
        self.out["removed"] = {
            "runs": self.other.run("pgrep --count hiwar", codes=(0, 1)).stdout.strip(),
            "program": (self.other.root / "usr/bin/hiwar").exists(),
            "recordings": (self.other.root / "var/lib/hiwar/keys").exists(),
        }


def _authority(name):
    """A root of our own for the directory's HTTPS, and a certificate and key for `name` and for this machine."""

    def certificate(subject, key, issuer, signer, extensions):
        call = [x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)], [x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]
        today = datetime.datetime.now(datetime.timezone.utc)
        made = x509.CertificateBuilder(x509.Name(call[1]), x509.Name(call[0]), key.public_key(), x509.random_serial_number())
        made = made.not_valid_before(today - datetime.timedelta(days=1)).not_valid_after(today + datetime.timedelta(days=30))
        for extension, critical in extensions:
            made = made.add_extension(extension, critical)
        return made.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = certificate("A root for one day", root_key, "A root for one day", root_key, [(x509.BasicConstraints(ca=True, path_length=None), True)])
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.DNSName("localhost")])
    leaf = certificate(name, key, "A root for one day", root_key, [(names, False), (x509.BasicConstraints(ca=False, path_length=None), True)])
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return root, leaf, secret


def _get(url, tls):
    """The body, or None while there is none to be had."""
    try:
        with urllib.request.urlopen(url, timeout=5, context=tls) as answer:
            return answer.read()
    except OSError:
        return None


def _post(url, body, token, tls):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", "Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10, context=tls) as answer:
        return json.loads(answer.read())


def _redirect(url):
    """Where a plain address sends people."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    try:
        urllib.request.build_opener(Stay).open(url, timeout=5)
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.headers.get('Location')}"
    return None


def _issuer(tls):
    with socket.create_connection((NAME, 443), timeout=5) as plain, tls.wrap_socket(plain, server_hostname=NAME) as secure:
        return dict(part[0] for part in secure.getpeercert()["issuer"])["commonName"]


def _seconds(replay):
    """How long it plays; every byte is decoded."""
    decoded = subprocess.run([ffmpeg.EXE, "-v", "error", "-i", "-", "-f", "s16le", "-ar", "48000", "-ac", "1", "-"], input=replay, check=True, capture_output=True)
    if decoded.stderr:
        raise ValueError(f"the replay does not decode: {decoded.stderr[-300:]!r}")
    return round(len(decoded.stdout) / 96_000, 2)


def _until(look, within_s, what, words=lambda: ""):
    deadline = now() + within_s
    while not (found := look()):
        if now() > deadline:
            raise TimeoutError(f"no {what} within {within_s} s\n{words()}")
        time.sleep(0.2)
    return found


if __name__ == "__main__":
    main()
