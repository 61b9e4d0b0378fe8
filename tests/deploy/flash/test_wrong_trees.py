"""Two hundred trees with one thing wrong: each is refused for that reason, and nothing is written."""

from __future__ import annotations

import dataclasses
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import l4t_trees
import pytest
from l4t_causes import CAUSES, Cause

from edge.deploy.flash.preflight import Order, Preflight
from edge.errors import ConfigError
from edge.system.finding import FAULT

COUNT = 200
CITES = re.compile(r"\bR\d\d\b|\.(sh|conf|xml)\b|nv_tegra")
# No rule of NVIDIA's stands behind these.
OWN_RULES = {
    "no such folder", "a kit for a Raspberry Pi", "a board's file as its name", "a size that is none",
    "packages half way", "dpkg was interrupted", "more than the disk takes", "keys of nobody", "not root",
    "too many boards at a time", "a root that is this machine's", "an archive for another module",
}  # fmt: skip
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a root file system is root's")


@pytest.mark.parametrize("release", l4t_trees.SERVED)
def test_a_whole_tree_is_taken(release: str, order: Callable[..., Order]) -> None:
    found = Preflight(order(release))
    found.refuse()
    assert found.call


def test_each_wrong_tree_is_refused_for_the_right_reason(
    order: Callable[..., Order], quick_path: Path
) -> None:
    chance = random.Random(28)
    drawn = [*CAUSES, *chance.choices(CAUSES, k=COUNT - len(CAUSES))]
    whole = {name: order(name) for name in sorted({name for cause in CAUSES for name in cause.releases})}
    wrong = []
    for cause in drawn:
        release = chance.choice(cause.releases)
        said = _judged(cause, _copied(whole[release], quick_path / "copy"), chance)
        wrong += [f"{cause.what} in R{release}: {said}"] if said else []
    assert not wrong, "\n".join(wrong)


def _judged(cause: Cause, order: Order, chance: random.Random) -> str:
    """What is wrong with the answer; "" if it is right."""
    order = cause.spoil(order, chance) or order
    before = l4t_trees.hashed(order.tree)
    found = Preflight(order)
    faults = [finding for finding in found.findings if finding.level == FAULT]
    with pytest.raises(ConfigError, match="nothing was written"):
        found.refuse()
    told = "; ".join(f"{one.check}: {one.text}; {one.fix}" for one in faults)
    if l4t_trees.hashed(order.tree) != before:
        return "it was written to"
    if len(faults) != 1 or faults[0].check != cause.check or not all(one.fix for one in faults):
        return f"expected one fault of {cause.check}: {told}"
    if cause.what not in OWN_RULES and not CITES.search(faults[0].text):
        return f"names neither a release nor a file of NVIDIA's: {told}"
    return "" if re.search(cause.said, told) else f"expected {cause.said}: {told}"


def _copied(order: Order, folder: Path) -> Order:
    """The order with a tree and a machine of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    paths = {"tree": order.tree, "root": order.host.root, "devices": order.host.devices}
    for name, path in paths.items():
        shutil.copytree(path, folder / name, symlinks=True)
    host = dataclasses.replace(order.host, root=folder / "root", devices=folder / "devices")
    return dataclasses.replace(order, tree=folder / "tree", host=host)
