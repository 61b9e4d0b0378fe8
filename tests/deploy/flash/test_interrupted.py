"""Interrupted anywhere, by a kill, a fault or a full disk: a tree is as before, or says how to finish."""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import os
import random
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from full_disk import full_disk
from l4t_trees import R36, R39, hashed

from edge.deploy.flash import deb, l4t_flash, ledger, ledger_file
from edge.deploy.flash.overlay import Overlay
from edge.deploy.flash.preflight import Order, Preflight
from edge.deploy.flash.writes import Writes
from edge.errors import EdgeError
from edge.system.finding import FAULT
from edge.system.steps import Steps

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a root file system is root's")
POINTS = 50
FLASH, AGAIN, UNFLASH = "flash", "flash again", "unflash"


class Killed(BaseException):
    """A power cut: nothing of the program runs any more."""


class Machine:
    """Runs the three ways to change a tree, and stops at one step of the write layer or of dpkg."""

    def __init__(self, order: Order, path: Path, steps: Steps) -> None:
        self.plan = Overlay(order.tree, path, deb.members(path), order.secrets, b"", order.user)
        self.tree, self._steps, self._archive = order.tree, steps, path
        self.count, self._stop, self._fault = 0, -1, Killed()

    def act(self, what: str, stop: int = -1, fault: BaseException | None = None) -> None:
        self.count, self._stop, self._fault = 0, stop, fault or Killed()
        writes = Writes(self.plan.root, self._step)
        if what == UNFLASH:
            l4t_flash.unflash(self.tree, self._steps, writes)
        else:
            l4t_flash.flash(self.plan, self._steps, writes, self._dpkg)

    def state(self) -> str:
        return ledger.Ledger(Writes(self.plan.root)).state()

    def _step(self, what: str) -> None:
        self.count += 1
        if self.count == self._stop or (self.count > self._stop > 0 and _writes_more(self._fault, what)):
            raise self._fault

    def _dpkg(self, words: Sequence[str]) -> None:
        """Unpacks as dpkg does: beside, then by rename, its database last; each can be the last step."""
        root, database = self.plan.root, self.plan.root / "var/lib/dpkg"
        done = subprocess.run(["dpkg-deb", "--fsys-tarfile", words[-1]], capture_output=True, check=True)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            for entry in archive:
                self._step(f"write {entry.name}")
                place = root / entry.name
                if entry.isdir():
                    place.mkdir(exist_ok=True)
                else:
                    part = place.with_name(f"{place.name}.dpkg-new")
                    part.write_bytes(archive.extractfile(entry).read())
                    self._step(f"write {entry.name}")
                    part.rename(place)
        (database / "updates/0000").write_text("half\n")
        (database / "info/emotion-edge.list").write_text("/.\n")
        self._step("write status")
        shutil.copy(database / "status", database / "status-old")
        with (database / "status").open("a") as file:
            file.write("Package: emotion-edge\nStatus: install ok unpacked\nVersion: 1\n\n")
        (database / "updates/0000").unlink()


def _writes_more(fault: BaseException, what: str) -> bool:
    """On a full disk every later write fails, too; what is removed or renamed does not."""
    return isinstance(fault, OSError) and what.startswith(("write", "keep"))


@pytest.fixture
def steps() -> Iterator[Steps]:
    with Steps("emotion-edge") as made:
        yield made


@pytest.fixture
def machine(order: Callable[..., Order], kits: dict[str, Path], steps: Steps) -> Machine:
    made = order(R36)
    (path,) = kits[made.target].glob("*.deb")
    return Machine(made, path, steps)


def lengths(machine: Machine) -> dict[str, int]:
    """How many steps each way has."""
    found = {}
    for what in (FLASH, AGAIN, UNFLASH):
        machine.act(what)
        found[what] = machine.count
    return found


def test_killed_at_fifty_points_a_tree_says_what_it_is_and_is_finished(machine: Machine) -> None:
    before, chance = hashed(machine.tree), random.Random(50)
    steps = lengths(machine)
    assert hashed(machine.tree) == before
    points = [(what, number) for what, count in steps.items() for number in range(1, count + 1)]
    # The first and the last step of each are the easiest to forget.
    ends = [(what, number) for what, count in steps.items() for number in (1, count)]
    states = set()
    for what, number in [*ends, *chance.sample(points, POINTS - len(ends))]:
        if what != FLASH:
            machine.act(FLASH)
        whole = hashed(machine.tree)
        with pytest.raises(Killed):
            machine.act(what, number)
        state = machine.state()
        states.add(state)
        same = hashed(machine.tree) in (before, whole)
        assert same or (machine.plan.root / ledger_file.FOLDER).is_dir(), (
            f"{what} at {number}: in no named state"
        )
        if state == ledger_file.NONE:
            assert hashed(machine.tree) == before
        for finish in chance.choice([(FLASH, UNFLASH), (UNFLASH,)]):
            if machine.state() != ledger_file.NONE or finish == FLASH:
                machine.act(finish)
        assert hashed(machine.tree) == before, f"{what} at {number}: {state}"
    assert states >= {ledger_file.LEFT_OVER, ledger_file.BEGUN, ledger_file.RESTORING}, (
        "the points reach every state"
    )


def test_a_fault_anywhere_leaves_the_tree_as_it_was(machine: Machine) -> None:
    before, chance = hashed(machine.tree), random.Random(7)
    count = lengths(machine)[FLASH]
    for number in chance.sample(range(1, count + 1), 12):
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a file")
        with pytest.raises(EdgeError, match=r"^a file: No space left .*\(the tree is as it was\)$"):
            machine.act(FLASH, number, full)
        assert hashed(machine.tree) == before, number
        assert machine.state() == ledger_file.NONE


def test_a_disk_that_stays_full_is_said_with_the_way_out(machine: Machine) -> None:
    before = hashed(machine.tree)
    steps = lengths(machine)
    machine.act(FLASH)
    words = re.compile("the tree is half way .*: finish with the same command, or .* kit unflash --l4t")
    broken = OSError(errno.EIO, "Input/output error", "a file")

    def every_step(what: str) -> None:
        machine.count += 1
        if machine.count > steps[UNFLASH] // 2:
            raise broken

    machine.count = 0
    with pytest.raises(EdgeError, match=words):
        l4t_flash.unflash(machine.tree, machine._steps, Writes(machine.plan.root, every_step))
    assert machine.state() == ledger_file.RESTORING
    machine.act(UNFLASH)
    assert hashed(machine.tree) == before


def test_an_interrupted_tree_is_named_by_the_next_look(machine: Machine) -> None:
    before = hashed(machine.tree)
    with pytest.raises(Killed):
        machine.act(FLASH, lengths(machine)[FLASH] - 3)
    told = list(l4t_flash.shown(machine.tree))
    assert told[0] == "emotion-edge_1.2-1_arm64.deb (begun)"
    assert "changed /etc/passwd" in told
    readme = (machine.plan.root / ledger_file.README).read_text()
    assert "kit unflash --l4t" in readme
    machine.act(UNFLASH)
    assert hashed(machine.tree) == before


def test_the_real_dpkg_on_a_full_disk_and_on_a_damaged_package(
    order: Callable[..., Order], kits: dict[str, Path], steps: Steps, quick_path: Path
) -> None:
    made = order(R39)
    before = hashed(made.tree)
    (path,) = kits[made.target].glob("*.deb")
    plan = Overlay(made.tree, path, deb.members(path), made.secrets, b"", made.user)
    with full_disk(1200), pytest.raises(EdgeError, match=r"as it was|half way"):
        l4t_flash.flash(plan, steps)
    if hashed(made.tree) != before:
        l4t_flash.unflash(made.tree, steps)
    assert hashed(made.tree) == before
    short = quick_path / path.name
    short.write_bytes(path.read_bytes()[:-3000])
    plan = Overlay(made.tree, short, deb.members(path), made.secrets, b"", made.user)
    with pytest.raises(EdgeError, match=r"dpkg failed: .*\(the tree is as it was\)"):
        l4t_flash.flash(plan, steps)
    assert hashed(made.tree) == before


def test_two_at_a_time_are_refused(machine: Machine) -> None:
    with (
        l4t_flash._alone(machine.plan.root),
        pytest.raises(EdgeError, match="is being written by another run"),
    ):
        machine.act(FLASH)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is damaged"),
        ("[]", "of another version"),
        ('{"format": "emotion-edge-flash/9"}', "of another version"),
    ],
)
def test_a_manifest_that_cannot_be_read_stops_everything(machine: Machine, text: str, said: str) -> None:
    machine.act(FLASH)
    manifest = machine.plan.root / ledger_file.MANIFEST
    kept = manifest.read_text()
    manifest.write_text(text)
    whole = hashed(machine.tree)
    for what in (AGAIN, UNFLASH):
        with pytest.raises(EdgeError, match=said):
            machine.act(what)
    assert hashed(machine.tree) == whole
    manifest.write_text(kept)
    assert json.loads(kept)["about"] == "emotion-edge_1.2-1_arm64.deb"
    machine.act(UNFLASH)


def test_a_read_only_tree_is_refused(order: Callable[..., Order], quick_path: Path) -> None:
    made = order(R36)
    inside = quick_path / "mounted"
    inside.mkdir()
    if subprocess.run(["mount", "--bind", made.tree, inside], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", inside], check=True)
        found = Preflight(dataclasses.replace(made, tree=inside)).findings
        faults = [(one.check, "read-only" in one.text) for one in found if one.level == FAULT]
        assert faults == [("space", True)]
    finally:
        subprocess.run(["umount", inside], check=True)
