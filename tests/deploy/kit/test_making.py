"""``emotion-edge kit make``, run from outside: what is in the package, and the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_wheels

from edge.deploy.kit import targets
from edge.deploy.kit.installing import Kit
from edge.version import __version__

pytestmark = pytest.mark.skipif(
    not (shutil.which("dpkg-deb") and shutil.which("ssh-keygen")), reason="needs dpkg-deb and ssh-keygen"
)
ROOT = Path(__file__).parents[3]
SETTINGS = (
    '[source]\naddress = "/dev/video0"\n[detector]\nkind = "haar"\n[output]\njsonl = "estimates.jsonl"\n'
)
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
TARGET = targets.find("pi-trixie")
OWN = next(target for target in targets.TARGETS if target.python == VERSION)  # compiled here
pytest.importorskip("cyclonedx_py", reason="needs the extra kit")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with settings, wheels and a kit, for tests that change nothing."""
    folder = filled(tmp_path_factory.mktemp("made"))
    done = make(folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def root(made: Path) -> Path:
    """What lies in the package of that kit."""
    return unpacked(made / "KIT", made.with_name("root"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with settings and wheels."""
    return filled(tmp_path)


def filled(folder: Path) -> Path:
    (folder / "kiosk.toml").write_text(SETTINGS)
    tiny_wheels.write(folder / "wheels", TARGET)
    return folder


def words(folder: Path, *options: str, out: str = "KIT") -> list[str]:
    given = ["--target", TARGET.name, "-c", str(folder / "kiosk.toml"), "--wheels", str(folder / "wheels")]
    if "--compile-with" not in options:
        given.append("--no-bytecode")
    return [sys.executable, "-m", "edge", "kit", "make", *given, *options, "-o", str(folder / out)]


def make(folder: Path, *options: str, out: str = "KIT", **how) -> subprocess.CompletedProcess[str]:
    """Run it on the tiny wheels; the weights are accepted."""
    command = words(folder, "--accept-research-weights", *options, out=out)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **how)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """Its one line of error."""
    assert done.returncode == 2, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("emotion-edge: error: ")
    assert "Traceback" not in done.stderr
    return line


def deb(kit: Path) -> Path:
    (path,) = kit.glob("*.deb")
    return path


def unpacked(kit: Path, to: Path) -> Path:
    subprocess.run(["dpkg-deb", "--raw-extract", str(deb(kit)), str(to)], check=True)
    return to


def test_a_kit_is_what_kit_install_takes(made: Path) -> None:
    assert Kit.of(made / "KIT").deb.name == f"emotion-edge_{__version__}-1_arm64.deb"
    assert sorted(path.name for path in made.iterdir()) == ["KIT", "kiosk.toml", "wheels"]


def test_the_environment_is_there_as_files(root: Path) -> None:
    home = root / "usr/lib/emotion-edge"
    assert os.readlink(home / "bin/python3") == "/usr/bin/python3.13"
    assert "include-system-site-packages = true" in (home / "pyvenv.cfg").read_text()
    site = home / "lib/python3.13/site-packages"
    assert {"edge", "onnxruntime", "opencv_python_headless"} <= {path.name for path in site.iterdir()}
    assert not (site / "bin").exists()
    assert (site / "edge/models/reference/manifest.json").exists()
    fields = (root / "DEBIAN/control").read_text()
    assert "\nArchitecture: arm64\n" in fields
    assert "\nEmotion-Edge-Target: pi-trixie\n" in fields
    assert "python3-numpy" in fields
    text = (root / "usr/share/doc/emotion-edge/copyright").read_text()
    assert all(name in text for name in ("onnxruntime", "opencv_python_headless", "research"))


def test_settings_are_those_of_the_board(folder: Path) -> None:
    (folder / "kiosk.toml").write_text(SETTINGS + "[decision]\nmin_face_px = 32\n[budget]\ncelsius = 75.5\n")
    assert make(folder).returncode == 0
    root = unpacked(folder / "KIT", folder / "root")
    text = (root / "etc/emotion-edge.toml").read_text()
    assert "min_face_px = 32" in text
    assert "celsius = 75.5" in text
    assert "/etc/emotion-edge.toml" in (root / "DEBIAN/conffiles").read_text().splitlines()


def test_dpkg_can_verify_every_file_but_conffiles(root: Path) -> None:
    listed = dict(
        reversed(line.split("  ", 1)) for line in (root / "DEBIAN/md5sums").read_text().splitlines()
    )
    conffiles = {line[1:] for line in (root / "DEBIAN/conffiles").read_text().splitlines()}
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    names = {path.relative_to(root).as_posix() for path in files if "DEBIAN" not in path.parts}
    assert set(listed) == names - conffiles
    some = root / sorted(listed)[0]
    assert hashlib.md5(some.read_bytes(), usedforsecurity=False).hexdigest() == listed[sorted(listed)[0]]


def test_all_belongs_to_root_and_only_programs_run(made: Path) -> None:
    said = subprocess.run(["dpkg-deb", "-c", str(deb(made / "KIT"))], capture_output=True, text=True).stdout
    rows = [line.split() for line in said.splitlines()]
    assert {row[1] for row in rows} == {"root/root"}
    assert {row[0] for row in rows if row[0][0] == "d"} == {"drwxr-xr-x"}
    assert {row[0] for row in rows if row[0][0] == "-"} == {"-rw-r--r--", "-rwxr-xr-x"}
    assert {row[5] for row in rows if row[0] == "-rwxr-xr-x"} == {
        "./etc/update-motd.d/60-emotion-edge", "./usr/bin/emotion-edge", "./usr/lib/emotion-edge/firstboot"
    }  # fmt: skip


def test_the_same_inputs_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    """In another folder, by another umask, with other times of the wheels, in another temporary folder."""
    other = tmp_path / "other"
    other.mkdir()
    shutil.copytree(made / "wheels", other / "wheels")
    shutil.copy(made / "kiosk.toml", other)
    for path in (other / "wheels").iterdir():
        os.utime(path, (10**9, 10**9))
    environment = {**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    assert make(other, umask=0o077, env=environment).returncode == 0
    first, second = (
        {path.name: path.read_bytes() for path in (where / "KIT").iterdir()} for where in (made, other)
    )
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_bytecode_is_not_compared_with_its_source(folder: Path) -> None:
    tiny_wheels.write(folder / "wheels", OWN)
    options = ("--target", OWN.name, "--python", VERSION, "--compile-with", sys.executable)
    assert make(folder, *options).returncode == 0
    root = unpacked(folder / "KIT", folder / "root")
    compiled = list(root.rglob("edge/__pycache__/*.pyc"))
    assert compiled
    assert {path.read_bytes()[4:8] for path in compiled} == {b"\1\0\0\0"}


def test_the_signature_holds_until_a_byte_changes(folder: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
    assert make(folder, "--key", str(folder / "key")).returncode == 0
    kit = folder / "KIT"
    check = ["ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", "kit", "-n", "emotion-edge"]

    def holds() -> bool:
        with (kit / "SHA256SUMS").open() as sums:
            command = [*check, "-s", "SHA256SUMS.sig"]
            return not subprocess.run(command, cwd=kit, stdin=sums, capture_output=True).returncode

    assert holds()
    (kit / "SHA256SUMS").write_text((kit / "SHA256SUMS").read_text().replace("0", "1", 1))
    assert not holds()


def test_the_list_of_parts_names_each_wheel(made: Path) -> None:
    found = json.loads((made / "KIT/sbom.cdx.json").read_text())
    assert found["specVersion"] == "1.6"
    parts = {part["name"].replace("_", "-"): part["version"] for part in found["components"]}
    assert parts == {"emotion-edge": __version__, **dict(pin.split("==") for pin in TARGET.wheels)}


def test_a_dry_run_prints_files_and_commands_and_writes_nothing(folder: Path) -> None:
    done = make(folder, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert not (folder / "KIT").exists()
    assert "-rwxr-xr-x root:root /usr/bin/emotion-edge" in done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("$ dpkg-deb --root-owner-group ")]


def test_a_kit_is_replaced_and_anything_else_is_not(folder: Path) -> None:
    assert make(folder).returncode == 0
    assert make(folder, "--revision", "2").returncode == 0
    assert deb(folder / "KIT").name == f"emotion-edge_{__version__}-2_arm64.deb"
    (folder / "KIT/letter.txt").write_text("mine")
    assert "letter.txt" in refused(make(folder))
    assert (folder / "KIT/letter.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda f: (f / "kiosk.toml").write_text("[source]\naddres = 1\n"), (), "addres"),
        (lambda f: (f / "kiosk.toml").write_text("[detector]\nkind = 'haar'\n"), (), "source"),
        (
            lambda f: (f / "kiosk.toml").write_text("[source]\naddress = 'rtsp://me:hunter2@there/1'\n"),
            (),
            "credentials.camera",
        ),
        (lambda f: next((f / "wheels").glob("onnx*")).unlink(), (), "--only-binary=:all: --no-deps"),
        (lambda f: None, ("--target", "toaster"), "expected one of jetson-jp6"),
        (lambda f: None, ("--bundle", "/nowhere"), "/nowhere"),
        (lambda f: None, ("--revision", "; rm"), "--revision"),
        (lambda f: None, ("--key", "/nowhere"), "ssh-keygen -t ed25519"),
        (lambda f: None, ("--add-wheel", "/nowhere.txt"), "--add-wheel"),
        (lambda f: None, ("--compile-with", "/bin/false"), "no CPython 3.13"),
    ],
    ids=["key", "source", "password", "wheel", "target", "bundle", "revision", "signer", "added", "compiler"],
)
def test_what_is_wrong_is_said_in_a_line_and_nothing_stays(folder: Path, change, options, said: str) -> None:
    change(folder)
    before = sorted(path.name for path in folder.iterdir())
    line = refused(make(folder, *options))
    assert said in line
    assert "hunter2" not in line
    assert sorted(path.name for path in folder.iterdir()) == before


def test_weights_for_research_must_be_accepted(folder: Path) -> None:
    done = subprocess.run(words(folder), cwd=ROOT, capture_output=True, text=True)
    assert "--accept-research-weights" in refused(done)


def test_ctrl_c_leaves_nothing(folder: Path) -> None:
    command = words(folder, "--accept-research-weights")
    running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while "unpacking" not in running.stderr.readline():
        assert running.poll() is None
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Traceback" not in said
    assert sorted(path.name for path in folder.iterdir()) == ["kiosk.toml", "wheels"]


def test_a_folder_that_cannot_be_written_is_said(folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    folder.chmod(0o500)
    try:
        assert str(folder) in refused(make(folder))
    finally:
        folder.chmod(0o700)


@pytest.mark.parametrize("target", targets.TARGETS, ids=lambda target: f"{target.name}-{target.python}")
def test_no_wheel_may_ask_for_a_newer_system(target: targets.Target) -> None:
    numbers = [int(tag.split("_")[2]) for tag in target.platforms() if tag.startswith("manylinux_2")]
    assert max(numbers) <= target.glibc
    assert f"linux_{target.machine}" in target.platforms()
    assert all("==" in pin for pin in target.wheels)
