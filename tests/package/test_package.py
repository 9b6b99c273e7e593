"""What is in the Debian package. How it behaves on a Debian is `./x bench one-server`'s to say."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("HIWAR_BIN", Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "hiwar"))
MAKE = ROOT / "packaging" / "deb"

pytestmark = pytest.mark.skipif(not (shutil.which("dpkg-deb") and shutil.which("dpkg-shlibdeps")), reason="this is not Debian")


def ask(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def make(program, into, version="1.2.3"):
    into.mkdir()
    return Path(ask(MAKE, program, into, version).strip())


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Of a small program: what is in it apart from that is the same."""
    return make("/bin/true", tmp_path_factory.mktemp("package") / "dist")


@pytest.fixture(scope="module")
def tree(package, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    ask("dpkg-deb", "--raw-extract", package, folder)
    return folder


def test_the_same_program_gives_the_same_bytes(package, tmp_path):
    assert make("/bin/true", tmp_path / "again").read_bytes() == package.read_bytes()


def test_everything_belongs_to_root_and_only_programs_can_be_run(package):
    for line in ask("dpkg-deb", "--contents", package).splitlines():
        mode, owner, path = (fields := line.split())[0], fields[1], fields[5]
        assert owner == "root/root", line
        assert mode == ("drwxr-xr-x" if path.endswith("/") else "-rwxr-xr-x" if "/bin/" in path else "-rw-r--r--"), line


def test_it_needs_the_libc_that_the_program_needs(tmp_path):
    depends = ask("dpkg-deb", "--field", make(PROGRAM, tmp_path / "real"), "Depends").strip().split(", ")
    assert "ca-certificates" in depends
    named = re.findall(r"GLIBC_([0-9.]+)", ask("readelf", "--wide", "--version-info", PROGRAM))
    newest = max(named, key=lambda version: [int(part) for part in version.split(".")])
    wanted = next(one for one in depends if one.startswith("libc6"))
    least = re.fullmatch(r"libc6 \(>= ([0-9.]+)\)", wanted)[1]
    assert subprocess.run(["dpkg", "--compare-versions", least, "ge", newest]).returncode == 0, (wanted, newest)
    for library in re.findall(r"NEEDED.*\[(.+)\]", ask("readelf", "--wide", "--dynamic", PROGRAM)):
        assert re.match(r"libc\.so|libm\.so|ld-linux|libgcc_s\.so", library), f"nothing of {depends} brings {library}"


def test_the_configuration_that_it_brings_is_accepted(tree):
    subprocess.run([PROGRAM, "serve", "--config", tree / "etc/hiwar/hiwar.toml", "--check"], check=True)


def test_every_line_of_that_configuration_is_known(tree, tmp_path):
    """Also those that are comments: each key at the value that is shown."""
    text = (tree / "etc/hiwar/hiwar.toml").read_text()
    keys = re.sub(r"(?m)^#(?=\[|[a-z_]+ = )", "", text)
    assert keys != text
    full = tmp_path / "full.toml"
    full.write_text(keys)
    said = subprocess.run([PROGRAM, "serve", "--config", full, "--check"], capture_output=True, text=True)
    assert "unknown field" not in said.stdout + said.stderr
    assert "parse error" not in said.stdout + said.stderr


@pytest.mark.parametrize("linked", [False, True])
def test_a_purge_removes_what_is_kept_also_behind_a_link(tree, tmp_path, linked):
    kept = tmp_path / "hiwar"
    behind = tmp_path / "disk" if linked else kept
    (behind / "spaces" / "one").mkdir(parents=True)
    (behind / "spaces" / "one" / "log").write_text("sound")
    if linked:
        kept.symlink_to(behind)
    script = (tree / "DEBIAN" / "postrm").read_text().replace("/var/lib/hiwar", str(kept)).replace("/etc/hiwar", str(tmp_path / "etc"))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("deb-systemd-helper", "systemctl"):
        (programs / name).symlink_to("/bin/true")
    subprocess.run(["sh", "-c", script, "postrm", "purge"], check=True, env={"PATH": f"{programs}:{os.environ['PATH']}"})
    assert not os.path.lexists(kept)
    assert not linked or list(behind.iterdir()) == []


def test_scripts_are_shell_and_the_unit_is_understood(tree, tmp_path):
    for script in ("postinst", "prerm", "postrm"):
        ask("sh", "-n", tree / "DEBIAN" / script)
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here")
    unit = tmp_path / "hiwar.service"
    unit.write_text((tree / "lib/systemd/system/hiwar.service").read_text().replace("/usr/bin/hiwar", str(PROGRAM)))
    said = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    ours = [line for line in said.stderr.splitlines() if "hiwar" in line]
    assert not ours, ours
