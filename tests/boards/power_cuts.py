"""The power of an emulated arm64 board is cut while a kit is installed, or takes the place of an older one.

    python tests/boards/power_cuts.py [--count 20] [--seed 1]

Cuts fall at random moments of both. After each the machine starts again, without anybody's help: the old or
the new version must be whole, its files those of the package, and its service started by systemd. Where the
package was never there, nothing may be half there. A cut takes minutes in an emulator.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import kit_machine
import kits
from kit_machine import started

from edge.deploy.kit.installing import Kit
from edge.deploy.kit.packaged import KITS

INCOMING = f"{KITS}/incoming"
INSTALL = f"sh {INCOMING}/board.sh install"
STATE = "dpkg-query --show --showformat '${db:Status-Abbrev}${Version}' emotion-edge 2>/dev/null || echo none"
SETTLED = "systemctl is-active emotion-edge-firstboot | grep --invert-match activating"


def main() -> int:
    """Cut as often as asked; exit code 1 if a board needs a person."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20, help="cuts of an installation, and of an upgrade")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if reason := kit_machine.why_not():
        sys.exit(f"cannot be run here: {reason}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old, new = (_kit(folder / f"kit{number}", number) for number in ("1", "2"))
        root = kit_machine.copy_of_root(folder / "root")
        _bring(root, old)
        first = kit_machine.disk(root, folder / "first.img")
        second, seconds = _installed(first, new, folder)
        moments = random.Random(args.seed)
        faults = 0
        for image, what in ((first, "installation"), (second, "upgrade")):
            for _ in range(args.count):
                faults += not _cut(image, what, moments.uniform(0, seconds), folder)
    print(f"{2 * args.count} cuts, {faults} boards that need a person")
    return int(faults > 0)


def _kit(folder: Path, revision: str) -> Kit:
    folder.mkdir()
    return Kit.of(kits.make("pi-trixie", folder, "/dev/video0", "--revision", revision).parent)


def _bring(root: Path, kit: Kit) -> None:
    """What `kit install` has copied and verified when it begins to install."""
    incoming = root / INCOMING[1:]
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)
    shutil.copy(kit.deb, incoming)
    for file in kit.files():
        (incoming / file.path).write_bytes(file.data)
        (incoming / file.path).chmod(file.mode)


def _installed(image: Path, new: Kit, folder: Path) -> tuple[Path, float]:
    """A disk with the first version installed and the second one copied, and how long the first one took."""
    done = folder / "second.img"
    subprocess.run(["cp", "--sparse=always", str(image), str(done)], check=True)
    with started(done, folder) as machine:
        began = time.monotonic()
        said = machine.run(INSTALL, timeout=900)
        seconds = time.monotonic() - began
        assert said.split()[-1] == "0", said[-1000:]
        machine.off()
    inside = folder / "mounted"
    inside.mkdir()
    subprocess.run(["mount", "-o", "loop", str(done), str(inside)], check=True)
    try:
        _bring(inside, new)
    finally:
        subprocess.run(["umount", str(inside)], check=True)
    print(f"an installation takes {seconds:.0f} s here, emulated", flush=True)
    return done, seconds


def _cut(image: Path, what: str, after: float, folder: Path) -> bool:
    """Whether the machine is whole again after a cut, ``after`` seconds into an installation."""
    disk = folder / "cut.img"
    subprocess.run(["cp", "--sparse=always", str(image), str(disk)], check=True)
    with started(disk, folder) as machine:
        before = machine.run(STATE).split()[-2]
        machine.send(INSTALL)
        time.sleep(after)
        machine.cut()
    with started(disk, folder) as machine:
        machine.wait(SETTLED, 900)
        after_state = machine.run(STATE).split("\n")[0].strip()
        verified = machine.run("dpkg --verify emotion-edge; dpkg --audit").strip()
        runs = machine.run("systemctl show --value --property=ActiveState emotion-edge").split()[0]
        home = machine.run("ls /usr/lib/emotion-edge").split()[-1] == "0"
        machine.off()
    whole = after_state.startswith("ii") and verified in ("0", "") and runs in ("active", "activating")
    good = whole or (after_state == "none" and not home and what == "installation")
    end = "whole" if good else f"FAULT: {verified[:300]}"
    print(f"{what} cut after {after:5.1f} s: {before} -> {after_state}, service {runs}: {end}", flush=True)
    return good


if __name__ == "__main__":
    sys.exit(main())
