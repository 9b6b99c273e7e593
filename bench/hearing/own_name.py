"""HLS at a name of its own: a house with two certificates, looked at by clients of others (OpenSSL, curl, node, hls.js in Chromium).

`hls.localhost` stands for the name: everybody may know that it is this machine (RFC 6761 §6.3), and a table tells those who do not.
"""

import datetime
import ipaddress
import json
import os
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from . import conformance, hls, machine, players

HERE = Path(__file__).resolve().parent
NAME = "hls.localhost"
SECONDS = 20
"""Played in Chromium."""


def prepare(folder):
    """Certificates in `folder`, and a configuration: `(port, arguments of hiwar serve, address of HLS)`. From here on this process trusts them."""
    signer, key = authority()
    (folder / "root.pem").write_bytes(in_pem(signer))
    for file, names in (("own.pem", [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), ("hls.pem", [x509.DNSName(NAME)])):
        (folder / file).write_bytes(certificate(signer, key, names))
    for variable in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
        os.environ[variable] = str(folder / "root.pem")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    base = f"https://{NAME}:{port}"
    own, other = (json.dumps(str(folder / file)) for file in ("own.pem", "hls.pem"))
    (folder / "hiwar.toml").write_text(f'hls_base = "{base}"\n[tls]\ncertificate = {own}\nkey = {own}\n[hls_tls]\ncertificate = {other}\nkey = {other}\n')
    return port, ("--config", folder / "hiwar.toml"), base


def measure(show, base, folder, patience_s):
    """All figures. Ends the stream."""
    port = int(base.rsplit(":", 1)[1])
    shown = {name: _shown(port, name) for name in ("localhost", NAME, "other.localhost", None)}
    playlist = f"{base}/hls/{show.space}/live.m3u8"
    pages = players.Pages()
    done = subprocess.run(
        ["node", HERE / "own_name.mjs", playlist, pages.page("hlsjs", playlist), str(SECONDS)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=180 + SECONDS
    )
    pages.close()
    if done.returncode:
        raise RuntimeError(f"own_name.mjs: {done.stderr.decode('utf-8', 'replace')[-2000:]}")
    told = json.loads(done.stdout.decode().splitlines()[-1])
    killed = _killed(show, playlist)
    elsewhere = {path: hls.fetch(base + path).status for path in ("/", f"/s/{show.space}", f"/listen/{show.space}.mp4", "/api/spaces/v1/spaces")}
    with hls.over_http2():
        version = hls.fetch(playlist).status
        checks = conformance.Suite(playlist, end=show.end, patience_s=patience_s).run()
    (folder / "own-name.json").write_text(json.dumps({"shown": shown, "elsewhere": elsewhere, "killed": killed, **told, "checks": [vars(check) for check in checks]}, indent=1))
    rounds, chromium = told["multiplexed"], told["chromium"]
    return {
        "certificates_right": shown == {"localhost": ["localhost", "http/1.1"], NAME: [NAME, "h2"], "other.localhost": ["localhost", "http/1.1"], None: ["localhost", "http/1.1"]},
        "elsewhere": sorted(set(elsewhere.values())),
        "curl_http2": version,
        "multiplexed_answered": min(one["answered"] for one in rounds),
        "multiplexed_different": max(one["different"] for one in rounds),
        "multiplexed_hinted": sorted({one["hinted"] for one in rounds}),
        "multiplexed_init_ms_max": max(one["init_ms"] for one in rounds),
        "multiplexed_spread_ms_max": max(one["spread_ms"] for one in rounds),
        "taken_back": told["taken_back"],
        "killed_back_ms": killed["back_ms"],
        "chromium": {key: chromium[key] for key in ("protocols", "stalls", "errors", "played_s", "latency_s", "target_latency_s")},
        **{f"http2_{key}": value for key, value in conformance.figures(checks).items()},
    }, checks


def _killed(show, playlist):
    """All crowd workers are killed while somebody waits: what that one is told, and how long until the name answers again."""
    with hls.over_http2():
        number, part = hls.Playlist(hls.fetch(playlist).text(), playlist).edge()
        waits = hls.Pending(hls.directed(playlist, msn=number, part=part))
        # curl has begun and asked by then; a part takes a second.
        time.sleep(0.2)
        killed = machine.workers(show.house.pid)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        while hls.fetch(playlist).status != 200:
            if time.monotonic() > began + hls.TIMEOUT_S:
                return {"killed": len(killed), "waited": waits.answer().status, "back_ms": None}
            time.sleep(0.05)
        return {"killed": len(killed), "waited": waits.answer().status, "back_ms": round(1000 * (time.monotonic() - began))}


def _shown(port, name):
    """The first name in the certificate that is shown to who asks for `name`, and the protocol agreed on."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain, context.wrap_socket(plain, server_hostname=name) as secure:
        return [secure.getpeercert()["subjectAltName"][0][1], secure.selected_alpn_protocol()]


def authority():
    """A root of our own, for one day, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Hiwar bench")])
    return _builder(name, name, key.public_key()).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, hashes.SHA256()), key


def in_pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def certificate(signer, signer_key, names):
    """One with its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(names[0].value))])
    made = _builder(subject, signer.subject, key.public_key()).add_extension(x509.SubjectAlternativeName(names), critical=False).sign(signer_key, hashes.SHA256())
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return in_pem(made) + secret


def _builder(subject, issuer, key):
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    return x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key).serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
