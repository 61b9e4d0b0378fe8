"""``emotion-edge kit make`` again: the same bytes, a kit in the place of the last one, and its signature."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import kits_made
import pytest
import tiny_wheels

from edge.version import __version__

pytestmark = pytest.mark.skipif(
    not (shutil.which("dpkg-deb") and shutil.which("ssh-keygen")), reason="needs dpkg-deb and ssh-keygen"
)
pytest.importorskip("cyclonedx_py", reason="needs the extra kit")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with settings and wheels."""
    return kits_made.filled(tmp_path)


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    """In another folder, by another umask, with other times of the wheels, in another temporary folder."""
    first, second = (tmp_path / name for name in ("first", "another-name"))
    first.mkdir()
    kits_made.filled(first)
    tiny_wheels.write(first / "wheels", kits_made.OWN)
    shutil.copytree(first, second)
    for path in (second / "wheels").iterdir():
        os.utime(path, (10**9, 10**9))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    other = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "TMPDIR": str(temporary), "PYTHONHASHSEED": "7"}
    assert kits_made.make(first, *kits_made.COMPILED).returncode == 0
    environment = {**os.environ, **other}
    assert kits_made.make(second, *kits_made.COMPILED, umask=0o077, env=environment).returncode == 0
    one, two = (kits_made.contents(where / "KIT") for where in (first, second))
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
    assert list(temporary.iterdir()) == []
    assert {path.stat().st_mode & 0o777 for path in (second / "KIT").iterdir()} == {0o644}


def test_a_dry_run_prints_files_and_commands_and_writes_nothing(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    done = kits_made.make(folder, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert sorted(folder.rglob("*")) == before
    assert "-rwxr-xr-x root:root /usr/bin/emotion-edge" in done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("$ dpkg-deb --root-owner-group ")]


def test_a_kit_is_replaced_and_anything_else_is_not(folder: Path) -> None:
    assert kits_made.make(folder).returncode == 0
    assert kits_made.make(folder, "--revision", "2").returncode == 0
    assert kits_made.deb(folder / "KIT").name == f"emotion-edge_{__version__}-2_arm64.deb"
    (folder / "KIT/letter.txt").write_text("mine")
    assert "letter.txt" in kits_made.refused(kits_made.make(folder))
    assert (folder / "KIT/letter.txt").read_text() == "mine"


def test_the_signature_holds_until_a_byte_changes(folder: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
    assert kits_made.make(folder, "--key", str(folder / "key")).returncode == 0
    kit = folder / "KIT"
    check = ["ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", "kit", "-n", "emotion-edge"]

    def signed() -> bool:
        with (kit / "SHA256SUMS").open() as sums:
            command = [*check, "-s", "SHA256SUMS.sig"]
            return not subprocess.run(command, cwd=kit, stdin=sums, capture_output=True).returncode

    def whole() -> bool:
        command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
        return not subprocess.run(command, cwd=kit, capture_output=True).returncode

    listed = {line.split("  ")[1] for line in (kit / "SHA256SUMS").read_text().splitlines()}
    outside = {"SHA256SUMS", "SHA256SUMS.sig", "allowed_signers"}
    assert listed == {path.name for path in kit.iterdir()} - outside
    assert signed()
    assert whole()
    with kits_made.deb(kit).open("r+b") as package:
        package.seek(1000)
        byte = package.read(1)[0]
        package.seek(1000)
        package.write(bytes([byte ^ 1]))
    assert not whole()
    (kit / "SHA256SUMS").write_text((kit / "SHA256SUMS").read_text().replace("0", "1", 1))
    assert not signed()
