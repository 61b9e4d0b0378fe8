"""The power of an emulated machine is cut while a kit is installed, or takes the place of an older one.

    python tests/boards/power_cuts.py [--count 20] [--seed 1] [--arch arm64]

Cuts fall at random moments of both. At each the machine is frozen, and a second one starts from a copy of its
disk, which holds what the first one's kernel had written by then. Without anybody's help the old or the new
version must be whole, its files those of the package, and its service started by systemd. Where the package
was never there, nothing may be half there. A cut takes a minute or two in an emulator.
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
from kit_machine import Kind, started

from edge.deploy.kit.installing import Kit
from edge.deploy.kit.packaged import KITS

INCOMING = f"{KITS}/incoming"
INSTALL = f"sh {INCOMING}/board.sh install"
STATE = (
    "dpkg-query --show --showformat '${db:Status-Abbrev} ${Version}\\n' emotion-edge 2>/dev/null || echo none"
)
# Not before: first boot has been tried, or there is none, since the cut came before it was written.
SETTLED = """
of() { systemctl show --value --property=$1 emotion-edge-firstboot.service; }
[ $(of LoadState) = not-found ] ||
    { [ $(of ConditionTimestampMonotonic) != 0 ] && [ $(of ActiveState) != activating ]; }"""


def main() -> int:
    """Cut as often as asked; exit code 1 if a board needs a person."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20, help="cuts of an installation, and of an upgrade")
    parser.add_argument("--seed", type=int, default=1)
    kinds = {kind.arch: kind for kind in (kit_machine.ARM64, kit_machine.AMD64)}
    parser.add_argument("--arch", choices=kinds, default="arm64", help="of the machine")
    args = parser.parse_args()
    kind = kinds[args.arch]
    if reason := kind.why_not():
        sys.exit(f"cannot be run here: {reason}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old, new = (_kit(kind, folder / f"kit{number}", number) for number in ("1", "2"))
        root = kind.copy_of_root(folder / "root")
        _bring(root, old)
        first = kit_machine.disk(root, folder / "first.img")
        second, seconds = _installed(kind, first, new, folder)
        draw = random.Random(args.seed)
        faults = 0
        for image, what in ((first, "installation"), (second, "upgrade")):
            moments = sorted(draw.uniform(0, seconds) for _ in range(args.count))
            faults += _cuts(kind, image, what, moments, folder)
    print(f"{2 * args.count} cuts, {faults} boards that need a person")
    return int(faults > 0)


def _kit(kind: Kind, folder: Path, revision: str) -> Kit:
    folder.mkdir()
    return Kit.of(kits.make(kind.target, folder, "/dev/video0", "--revision", revision).parent)


def _bring(root: Path, kit: Kit) -> None:
    """What `kit install` has copied and verified when it begins to install."""
    incoming = root / INCOMING[1:]
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)
    shutil.copy(kit.deb, incoming)
    for file in kit.files():
        (incoming / file.path).write_bytes(file.data)
        (incoming / file.path).chmod(file.mode)


def _installed(kind: Kind, image: Path, new: Kit, folder: Path) -> tuple[Path, float]:
    """A disk with the first version installed and the second one copied, and how long the first one took."""
    done = folder / "second.img"
    _copy(image, done)
    with started(done, folder, kind=kind) as machine:
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


def _cuts(kind: Kind, image: Path, what: str, moments: list[float], folder: Path) -> int:
    """How many cuts, so many seconds into one installation, leave a board that needs a person."""
    disk, cut = folder / "running.img", folder / "cut.img"
    _copy(image, disk)
    faults, ran = 0, 0.0
    with started(disk, folder, kind=kind) as machine:
        before = _state(machine)
        machine.send(INSTALL)
        for moment in moments:
            time.sleep(moment - ran)
            ran = moment
            with machine.frozen():
                _copy(disk, cut)
                end = _after(kind, cut, what, folder / "after")
            print(f"{what} cut after {moment:5.1f} s: {before} -> {end}", flush=True)
            faults += "FAULT" in end
    return faults


def _after(kind: Kind, disk: Path, what: str, folder: Path) -> str:
    """What a machine with this disk comes to by itself."""
    folder.mkdir(exist_ok=True)
    with started(disk, folder, kind=kind) as machine:
        machine.wait(SETTLED, 900)
        state = _state(machine)
        verified = machine.run("dpkg --verify emotion-edge; dpkg --audit")
        runs = machine.run("systemctl show --value --property=ActiveState emotion-edge").split()[0]
        there = machine.run("ls /usr/lib/emotion-edge").split()[-1] == "0"
    whole = state.startswith("ii") and verified == "0" and runs in ("active", "activating")
    never = what == "installation" and state == "none" and not there
    return f"{state}, service {runs}: " + ("whole" if whole or never else f"FAULT: {verified[:300]}")


def _state(machine: kit_machine.Machine) -> str:
    """Status and version as dpkg has them, such as ``ii 0.3.0-1``; ``none`` without the package."""
    return " ".join(machine.run(STATE).split()[:-1])


def _copy(image: Path, to: Path) -> None:
    subprocess.run(["cp", "--sparse=always", str(image), str(to)], check=True)


if __name__ == "__main__":
    sys.exit(main())
