"""A kit for arm64, installed into Debian's own root file systems and run by an emulator, without a network.

It answers as on this machine, on a processor with 8-bit dot products and on one without.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import arm64
import cv2
import kits
import numpy as np
import pytest
import rootfs
from skimage import data

pytestmark = [pytest.mark.boards, pytest.mark.slow]

TARGETS = {"trixie": "pi-trixie", "bookworm": "pi-bookworm"}
# Of a Raspberry Pi 4 and 5; all golden outputs run on the first start, for minutes in an emulator.
TRIED = [("fp32", "cortex-a72"), ("int8-cpu", "cortex-a72"), ("int8-cpu", "cortex-a76")]
OFFLINE = ["unshare", "--net"]


@dataclass
class Installed:
    """A root file system with the kit."""

    root: Path
    seconds: float  # that dpkg took

    def run(self, *words: str, processor: str = "cortex-a76") -> str:
        done = rootfs.run(self.root, list(words), environment={"QEMU_CPU": processor}, before=OFFLINE)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    if reason := arm64.why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp(request.param)
    try:
        root = arm64.copy_of(request.param, folder / "root")
    except rootfs.Offline as error:
        pytest.skip(f"the root cannot be made without network: {error}")
    deb = kits.make(TARGETS[request.param], folder)
    shutil.copy(deb, root / "kit.deb")
    cv2.imwrite(str(root / "face.png"), np.ascontiguousarray(data.astronaut()[:300, 100:400, ::-1]))
    with arm64.emulated():
        began = time.monotonic()
        done = rootfs.run(root, ["dpkg", "--install", "/kit.deb"], before=OFFLINE)
        seconds = time.monotonic() - began
        assert done.returncode == 0, done.stderr[-2000:]
        print(f"{request.param}: {deb.stat().st_size / 1e6:.1f} MB, installed in {seconds:.1f} s, emulated")
        yield Installed(root, seconds)
    shutil.rmtree(root)


@pytest.mark.parametrize(("precision", "processor"), TRIED)
def test_it_answers_as_here(installed: Installed, precision: str, processor: str) -> None:
    said = installed.run("/usr/bin/emotion-edge", *kits.run("/face.png", precision), processor=processor)
    kits.assert_same(kits.estimate(said), kits.here(installed.root / "face.png", precision))


def test_dpkg_finds_it_unchanged_after_runs(installed: Installed) -> None:
    installed.run("/usr/bin/emotion-edge", "--help")
    assert installed.run("dpkg", "--verify", "emotion-edge") == ""


def test_it_starts_from_its_bytecode(installed: Installed) -> None:
    """With unchecked hashes, so that neither a time nor a source is compared, and nothing is written."""
    home = installed.root / "usr/lib/emotion-edge"
    (site,) = home.glob("lib/python3*/site-packages")
    compiled = sorted(site.rglob("edge/__pycache__/*.pyc"))
    assert compiled
    assert {int.from_bytes(path.read_bytes()[4:8], "little") for path in compiled} == {0b01}


def test_it_makes_no_network_call(installed: Installed, tmp_path: Path) -> None:
    if not shutil.which("strace"):
        pytest.skip("not installed: strace")
    log = tmp_path / "calls"
    trace = ["strace", "--follow-forks", "--trace=socket,connect,sendto", f"--output={log}"]
    done = rootfs.run(
        installed.root, ["/usr/bin/emotion-edge", *kits.run("/face.png", "fp32")], before=[*trace, *OFFLINE]
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert not re.findall(r"AF_INET6?\b", log.read_text())


def test_it_is_removed_without_a_trace(installed: Installed) -> None:
    """Last in this file: what it wrote is gone, too."""
    done = rootfs.run(installed.root, ["dpkg", "--purge", "emotion-edge"])
    assert done.returncode == 0, done.stderr[-2000:]
    assert not (installed.root / "usr/lib/emotion-edge").exists()
    left = [path for path in installed.root.glob("etc/**/*emotion-edge*") if os.path.lexists(path)]
    assert left == []
