"""What this machine allows: a rung that it makes impossible is refused with the reason, and not blamed on a server."""

import os
import resource
import socket
from pathlib import Path

SOURCE_ADDRESSES = 64
"""`voices` connects from so many addresses of 127/8 in turn (crates/rehearsal/src/live/listen), so that a port is wanted from each of them only so often."""
SPARE_FILES = 1_000
KERNEL_BYTES = 10_000
"""Of a connection, both ends of which are here: measured, 4.97 kB each."""
OWN_BYTES, SECURE_BYTES = 2_000, 20_000
"""Of a server and a listener for a connection; and more of both, with TLS."""
SPARE_BYTES = 1_000_000_000
SOUND_BYTES_PER_S = 6_500
"""Of the programme, with its boxes."""


def facts():
    """What the system says."""
    low, high = (int(word) for word in _read("net/ipv4/ip_local_port_range").split())
    return {
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "files_of_all": int(_read("fs/file-max")),
        "ports": high - low + 1,
        "queue": int(_read("net/core/somaxconn")),
        "tcp_bytes": int(_read("net/ipv4/tcp_mem").split()[2]) * os.sysconf("SC_PAGE_SIZE"),
        "free_bytes": _free_bytes(),
        "tracked_max": int(_read("net/netfilter/nf_conntrack_max")) if _tracks_loopback() else None,
    }


def impossible(listeners, secure, cadence_ms, process_listeners, known):
    """Why so many cannot be served here, in words; empty if nothing speaks against it. `known`: `facts()`."""
    found = []
    if known["files"] < process_listeners + SPARE_FILES:
        found.append(f"a process may open {known['files']} files and needs {process_listeners + SPARE_FILES} (ulimit -Hn)")
    if known["files_of_all"] < 2 * listeners + SPARE_FILES:
        found.append(f"all processes may open {known['files_of_all']} files (fs.file-max)")
    if SOURCE_ADDRESSES * known["ports"] < 1.2 * listeners:
        found.append(f"{SOURCE_ADDRESSES} addresses have {SOURCE_ADDRESSES * known['ports']} ports (net.ipv4.ip_local_port_range)")
    if known["queue"] < 1_024:
        found.append(f"{known['queue']} may wait to be accepted: at thousands of joins a second more do (net.core.somaxconn)")
    # A quarter of them has a chunk in the kernel, each of whose buffers is twice its bytes.
    unread = listeners / 4 * 2 * SOUND_BYTES_PER_S * cadence_ms / 1_000
    if known["tcp_bytes"] < unread:
        found.append(f"the kernel keeps {known['tcp_bytes'] >> 20} MB for TCP and needs {int(unread) >> 20} (net.ipv4.tcp_mem)")
    needed = listeners * (KERNEL_BYTES + OWN_BYTES + (SECURE_BYTES if secure else 0)) + SPARE_BYTES
    if known["free_bytes"] < needed:
        found.append(f"{known['free_bytes'] >> 20} MB of memory are free and {int(needed) >> 20} needed")
    if known["tracked_max"] is not None and known["tracked_max"] < listeners + SPARE_FILES:
        found.append(f"{known['tracked_max']} connections can be tracked (net.netfilter.nf_conntrack_max)")
    return found


def _free_bytes():
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


def _tracks_loopback():
    """Whether a connection over loopback takes a place in the firewall's table. It does only where rules ask for it."""
    count = Path("/proc/sys/net/netfilter/nf_conntrack_count")
    if not count.exists():
        return False
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(32)
        before = int(count.read_text())
        ends = [socket.create_connection(server.getsockname()) for _ in range(32)]
        after = int(count.read_text())
        for end in ends:
            end.close()
    return after - before >= 16


def _read(name):
    return Path("/proc/sys", name).read_text()
