"""Interrupted at any write: the image is as before, or whole, or its journal says that it is half written."""

from __future__ import annotations

import errno
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pi_images
import pytest
from full_disk import full_disk
from hypothesis import given
from hypothesis import strategies as st
from pi_images import Image, digest, kit, names

from edge.deploy.flash import pi_write
from edge.deploy.flash.pi_image import Order, flash_image
from edge.errors import ConfigError, EdgeError
from edge.system.steps import Steps

SETUP = "emotion-edge/setup.sh"
NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
needs_tools = pytest.mark.skipif(bool(pi_images.missing()), reason=f"not there: {pi_images.missing()}")


def failing(after: int, fault: BaseException, short: bool = False) -> Callable[[int, bytes, int], int]:
    """os.pwrite, whose call number ``after`` fails; ``short``: half of that block is written first."""
    left = [after]

    def write(descriptor: int, data: bytes, place: int) -> int:
        left[0] -= 1
        if left[0] < 0:
            if short:
                os.pwrite(descriptor, data[: len(data) // 2], place)
            raise fault
        return os.pwrite(descriptor, data, place)

    return write


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    kit(folder, size=900_000)
    Image().write(folder / "raspios.img")
    return folder


def flash(made: Path, image: Path, **how: object) -> Path | None:
    with Steps("emotion-edge") as steps:
        return flash_image(Order(made / "KIT", image, **how), steps)  # type: ignore[arg-type]


@needs_tools
@pytest.mark.parametrize("seed", range(10))
def test_in_place_cut_off_at_any_write(made: Path, tmp_path: Path, seed: int) -> None:
    """Half a block is written, then the program is gone. A second call ends what the first began."""
    chance = random.Random(seed)
    image = Path(shutil.copy(made / "raspios.img", tmp_path))
    before, counted = digest(image), []
    if seed == 0:
        flash(made, image, in_place=True, write=lambda *call: counted.append(1) or os.pwrite(*call))
        assert len(counted) > 20, "there are places enough to be cut off at"
        return
    write = failing(chance.randrange(21), KeyboardInterrupt(), short=chance.random() < 0.5)
    with pytest.raises(KeyboardInterrupt):
        flash(made, image, in_place=True, write=write)
    journal = pi_write.journal_of(image)
    assert journal.exists() or digest(image) == before
    assert {path.name for path in tmp_path.iterdir()} <= {image.name, journal.name}
    if journal.exists():
        with pytest.raises(
            ConfigError, match="is half written; finish that first: the same call with --in-place"
        ):
            flash(made, image, out=tmp_path / "out.img")
    assert flash(made, image, in_place=True) == image
    assert SETUP in names(image)
    assert [path.name for path in tmp_path.iterdir()] == [image.name]


@needs_tools
@pytest.mark.parametrize("after", [0, 3, 9])
def test_a_copy_cut_off_at_any_write(made: Path, tmp_path: Path, after: int) -> None:
    before, out = digest(made / "raspios.img"), tmp_path / "out.img"
    with pytest.raises(KeyboardInterrupt):
        flash(made, made / "raspios.img", out=out, write=failing(after, KeyboardInterrupt(), short=True))
    assert not list(tmp_path.iterdir())
    assert digest(made / "raspios.img") == before


@needs_tools
def test_a_disk_that_fills_in_the_middle(made: Path, tmp_path: Path) -> None:
    image = Path(shutil.copy(made / "raspios.img", tmp_path))
    before = digest(image)
    for how in ({"in_place": True}, {"out": tmp_path / "out.img"}):
        with pytest.raises(
            EdgeError, match=r"No space left on device in .*; free some.*; the image is as it was"
        ):
            flash(made, image, write=failing(5, NO_SPACE), **how)
        with (
            full_disk(600_000),
            pytest.raises(EdgeError, match=r"File too large in .*; the image is as it was"),
        ):
            flash(made, image, **how)
        assert digest(image) == before
        assert [path.name for path in tmp_path.iterdir()] == [image.name]


@needs_tools
def test_a_journal_without_room_for_what_it_says_is_told(made: Path, tmp_path: Path) -> None:
    """The blocks of the image itself have no space left behind them, as in a sparse file on a full disk."""
    image = Path(shutil.copy(made / "raspios.img", tmp_path))
    counted: list[int] = []

    def write(descriptor: int, data: bytes, place: int) -> int:
        if os.readlink(f"/proc/self/fd/{descriptor}") == str(image) and len(counted) == 2:
            raise NO_SPACE
        counted.extend([1] * (os.readlink(f"/proc/self/fd/{descriptor}") == str(image)))
        return os.pwrite(descriptor, data, place)

    with pytest.raises(EdgeError, match=r"raspios\.img is half written; run the same command again"):
        flash(made, image, in_place=True, write=write)
    assert flash(made, image, in_place=True) == image
    assert SETUP in names(image)


def test_a_damaged_journal_is_not_believed(tmp_path: Path) -> None:
    image = tmp_path / "a.img"
    image.write_bytes(bytes(1000))
    for content in (b"", b"x" * 31, b"x" * 500):
        pi_write.journal_of(image).write_bytes(content)
        with pytest.raises(ConfigError, match="is damaged; remove it and the image"):
            pi_write.finish(image)
    assert image.read_bytes() == bytes(1000)


@given(st.binary(min_size=1, max_size=3000), st.data())
def test_what_differs_and_nothing_else_is_a_change(old: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(old) - 1))
    new = data.draw(st.binary(min_size=len(old) - start, max_size=len(old) - start))
    with tempfile.TemporaryFile() as image, tempfile.TemporaryFile() as part:
        image.write(old)
        image.flush()
        part.write(new)
        part.flush()
        result = bytearray(old)
        for place, block in pi_write.changes(image, start, part):
            assert result[place : place + len(block)] != block
            result[place : place + len(block)] = block
    assert bytes(result) == old[:start] + new
