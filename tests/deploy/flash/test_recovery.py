"""Boards in recovery mode, from trees as the kernel shows USB."""

from __future__ import annotations

import re
from pathlib import Path

import l4t_trees
import pytest

from edge.deploy.flash import host_checks, l4t_board, recovery
from edge.deploy.flash.host_checks import Host
from edge.deploy.flash.l4t_board import AGX_ORIN, ORIN_NANO, THOR, Board
from edge.deploy.flash.l4t_release import Release
from edge.system.finding import FAULT, NOTE, OK

RELEASE = Release(36, 4, 3)
NANO = Board("jetson-orin-nano-devkit", ORIN_NANO, {}, ())


def found(quick_path: Path, *products: str, needed: bool = True) -> tuple[str, str]:
    host = Host(quick_path, l4t_trees.usb(quick_path / "usb", *products), 0, "x86_64")
    (one,) = host_checks.boards(host, NANO, RELEASE, needed)
    return one.level, one.text


def test_one_board_of_the_right_module(quick_path: Path) -> None:
    level, said = found(quick_path, "7523")
    assert (level, said) == (OK, "Orin Nano 8 GB in recovery mode at 1-2"), (
        "its place as the flasher calls it"
    )


@pytest.mark.parametrize(
    ("products", "said"),
    [
        ((), "no board is in recovery mode"),
        (("7523", "7023"), "2 boards are in recovery mode: Orin Nano 8 GB at 1-2, AGX Orin at 1-3"),
        (("7023",), "an AGX Orin .0955:7023., --board jetson-orin-nano-devkit is for Orin Nano or NX"),
        (("7e19",), "Xavier NX"),
        (("7035",), "the flasher's own system"),
        (("7045",), "no board"),  # the debug port of a board, which is there in any mode
    ],
)
def test_anything_else_is_a_fault(quick_path: Path, products: tuple[str, ...], said: str) -> None:
    level, text = found(quick_path, *products)
    assert level == FAULT
    assert re.search(said, text), text


def test_images_are_made_without_a_board(quick_path: Path) -> None:
    assert found(quick_path, needed=False)[0] == NOTE


def test_a_board_that_vanishes_while_it_is_read_is_left_out(quick_path: Path) -> None:
    devices = l4t_trees.usb(quick_path / "usb", "7523", "7023")
    (devices / "1-2/devpath").unlink()
    (devices / "1-9").symlink_to(quick_path / "unplugged")  # as the kernel's links between two reads
    assert [board.place for board in recovery.boards(devices)] == ["1-3"]
    assert recovery.boards(quick_path / "no-usb") == []


@pytest.mark.parametrize(
    ("product", "family"),
    [("7023", AGX_ORIN), ("7623", ORIN_NANO), ("7026", THOR), ("7226", l4t_board.T4000)],
)
def test_a_product_tells_the_module(quick_path: Path, product: str, family: str) -> None:
    (board,) = recovery.boards(l4t_trees.usb(quick_path, product))
    assert board.family == family
