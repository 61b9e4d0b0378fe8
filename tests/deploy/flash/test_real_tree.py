"""A tree of NVIDIA's own, where the tester has one, ``L4T=DIR``, else a drawn one. It is only looked at."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import l4t_trees
import pytest
from l4t_options import ENVIRONMENT, parse

from edge.deploy.flash import l4t_board, l4t_call, l4t_layout, l4t_release
from edge.deploy.flash.host_checks import Host
from edge.deploy.flash.preflight import Order, Preflight
from edge.errors import ConfigError, EdgeError
from edge.system.finding import Finding

REAL = os.environ.get("L4T", "")
# Why a board of NVIDIA's has no call.
KNOWN = ("NO_ROOTFS", "for Thor only", "no Orin and no Thor", "--storage is", "without -nvme")
T = TypeVar("T")
STORAGE = ("nvme", "sd", "emmc", "usb")


@pytest.fixture
def tree(quick_path: Path) -> Iterator[Path]:
    """The tree, of which no name, size, mode or time may change."""
    folder = Path(REAL) if REAL else l4t_trees.make(quick_path / "L4T", l4t_trees.R39)
    before = state(folder)
    yield folder
    assert state(folder) == before


def state(folder: Path) -> list[tuple[str, int, int, int]]:
    found = []
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            status = os.lstat(os.path.join(place, name))
            found.append((f"{place}/{name}", status.st_mode, status.st_size, status.st_mtime_ns))
    return sorted(found)


def test_each_board_has_a_call_that_its_release_takes_or_a_reason(tree: Path) -> None:
    release, refusal = tried(lambda: l4t_release.read(tree))
    if refusal:
        pytest.skip(f"the tree is refused: {refusal}")
    reasons, calls = set[str](), 0
    for name in l4t_board.names(tree):
        board, refusal = tried(partial(l4t_board.read, tree, name, release))
        reasons.add(refusal)
        for storage in STORAGE if board else ():
            made, refusal = tried(partial(l4t_call.call, tree, board, release, storage))
            reasons.add(refusal)
            if made is None:
                continue
            calls += 1
            options, last, _ = parse(list(made.words[1:]), release.major)
            assert last == name
            assert (tree / options.get("-c", "nv_tegra")).exists()
            assert all(release.major in ENVIRONMENT[variable] for variable in made.environment)
            layout = l4t_call.layout(tree, board, storage)
            assert 8 << 30 < l4t_layout.disk_bytes(tree, layout, board, release) < 1 << 41, (name, storage)
    assert calls, reasons
    assert not [said for said in reasons - {""} if not any(known in said for known in KNOWN)]


def tried(look: Callable[[], T]) -> tuple[T | None, str]:
    """What it returns, or None and the refusal."""
    try:
        return look(), ""
    except ConfigError as error:
        return None, str(error)


def test_preflight_says_what_it_finds(tree: Path, quick_path: Path) -> None:
    host = Host(l4t_trees.host(quick_path / "host"), l4t_trees.usb(quick_path / "usb", "7523"), 0, "x86_64")
    try:
        target = l4t_release.fitting(l4t_release.read(tree))
    except EdgeError:
        target = "jetson-jp6"
    order = Order(tree, "jetson-orin-nano-devkit", "nvme", target, 40_000_000, host=host)
    found = {one.check: told(one) for one in Preflight(order).findings}
    print(*found.values(), sep="\n")
    assert not {"kit"} & found.keys()
    assert {"release"} <= found.keys()


def told(one: Finding) -> str:
    return f"{one.level:<8} {one.check:<15} {one.text}; {one.fix}"
