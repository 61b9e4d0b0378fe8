"""Interrupted at any write: the image is as before, or whole, or its journal says that it is half written."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pi_images
import pytest
from full_disk import full_disk
from hypothesis import given
from hypothesis import strategies as st
from pi_images import Image, digest, kit, names

from edge.deploy.flash import pi_journal, pi_write
from edge.deploy.flash.pi_image import Order, flash_image
from edge.errors import ConfigError, EdgeError
from edge.system.atomic_write import hidden_name
from edge.system.steps import Steps

SETUP = "emotion-edge/setup.sh"
# Before each of these a child may be killed.
KILLED_AT = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.chmod", "shutil.rmtree",
             "subprocess.Popen"}  # fmt: skip
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


@pytest.fixture(scope="module")
def change(made: Path) -> list[pi_write.Change]:
    """All that a kit changes in the image."""
    out = made / "whole.img"
    flash(made, made / "raspios.img", out=out)
    with (made / "raspios.img").open("rb") as image, out.open("rb") as whole:
        return list(pi_write.changes(image, 0, whole))


@needs_tools
def test_fifty_cuts_leave_no_image_without_a_name_for_its_state(
    made: Path, change: list[pi_write.Change], quick_path: Path
) -> None:
    """Half a block is written, then the program is gone: 40 times in place, 10 times in a copy."""
    chance = random.Random(50)
    image, folder = Path(shutil.copy(made / "raspios.img", quick_path)), quick_path / "work"
    before, whole = digest(image), digest(made / "whole.img")
    folder.mkdir()
    journal, out = pi_journal.journal_of(image), quick_path / "out.img"
    writes = 2 * len(change) + 2  # journal with its two ends, then the image
    assert writes > 20, "there are places enough to be cut off at"
    journals = 0
    for point in [0, writes - 1, *(chance.randrange(writes) for _ in range(38))]:
        write = failing(point, KeyboardInterrupt(), short=chance.random() < 0.5)
        with pytest.raises(KeyboardInterrupt):
            pi_journal.in_place(image, change, folder, write)
        journals += journal.exists()
        assert journal.exists() or digest(image) == before, point
        if journal.exists():
            with pytest.raises(KeyboardInterrupt):  # cut off once more
                pi_journal.finish(image, failing(chance.randrange(len(change)), KeyboardInterrupt()))
            assert pi_journal.finish(image)
            assert digest(image) == whole, point
            shutil.copy(made / "raspios.img", image)
        assert sorted(path.name for path in quick_path.iterdir()) == [image.name, folder.name]
    assert 10 < journals < 30, "some are cut off before the journal is whole, some after"
    for point in [0, len(change) - 1, *(chance.randrange(len(change)) for _ in range(8))]:
        with image.open("rb") as file, pytest.raises(KeyboardInterrupt):
            pi_write.copy(file, out, change, folder, True, failing(point, KeyboardInterrupt(), short=True))
        assert not out.exists()
        assert not list(folder.iterdir())
        assert digest(image) == before


@needs_tools
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_cut_off_in_place_the_same_command_finishes(made: Path, tmp_path: Path, share: float) -> None:
    image = Path(shutil.copy(made / "raspios.img", tmp_path))
    counted: list[int] = []
    flash(made, image, in_place=True, write=lambda *call: counted.append(1) or os.pwrite(*call))
    shutil.copy(made / "raspios.img", image)
    with pytest.raises(KeyboardInterrupt):
        flash(made, image, in_place=True, write=failing(int(share * len(counted)), KeyboardInterrupt()))
    journal = pi_journal.journal_of(image)
    assert journal.exists() is (share > 0.5)
    if journal.exists():
        with pytest.raises(
            ConfigError, match="is half written; finish that first: the same call with --in-place"
        ):
            flash(made, image, out=tmp_path / "out.img")
    assert flash(made, image, in_place=True) == image
    assert SETUP in names(image)
    assert [path.name for path in tmp_path.iterdir()] == [image.name]


def killed(made: Path, image: Path, point: int, after: str = "", **how: object) -> int:
    """What ends a child that is to be killed before its change ``point`` of a folder, a file or a program.

    They are counted once ``after`` has happened.
    """
    child = os.fork()
    if not child:
        left, begun = [point], [not after]

        def count(event: str, _: object) -> None:
            if not begun[0]:
                begun[0] = event == after
            elif event in KILLED_AT:
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            flash(made, image, **how)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1]


@needs_tools
@pytest.mark.parametrize("in_place", [True, False])
def test_the_next_run_takes_away_what_a_killed_one_has_left(
    made: Path, tmp_path: Path, in_place: bool
) -> None:
    """With secrets in it: only its owner can look into it meanwhile."""
    image, secrets, chance = tmp_path / "raspios.img", tmp_path / "secrets.toml", random.Random(3)
    secrets.touch(0o600)
    secrets.write_text('[credentials]\ncamera = "pl4nted"\n')
    out = image if in_place else tmp_path / "out.img"
    how = {"secrets": secrets, "in_place": in_place, **({} if in_place else {"out": out})}
    hidden = hidden_name(out, "emotion-edge")
    left = 0
    for point in chance.sample(range(12, 38), 3):
        shutil.copy(made / "raspios.img", image)
        assert killed(made, image, point, **how) == signal.SIGKILL
        allowed = {
            image.name,
            secrets.name,
            hidden.name,
            f".{out.name}.lock",
            pi_journal.journal_of(image).name,
        }
        assert {path.name for path in tmp_path.iterdir()} <= allowed
        left += hidden.is_dir() and stat.S_IMODE(hidden.stat().st_mode) == 0o700
        assert flash(made, image, **how) == out
        assert SETUP in names(out)
        assert {path.name for path in tmp_path.iterdir()} == {image.name, secrets.name, out.name}
        out.unlink()
    if not in_place:  # the copy has its name, but not all of the folder is gone
        assert killed(made, image, 4, "os.rename", **how) == signal.SIGKILL
        assert out.exists()
        assert hidden.exists()
        with pytest.raises(ConfigError, match="exists already"):
            flash(made, image, **how)
        assert not hidden.exists()
    assert left == 3, "the points lie where there is something to leave"


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
        pi_journal.journal_of(image).write_bytes(content)
        with pytest.raises(ConfigError, match="is damaged; remove it and the image"):
            pi_journal.finish(image)
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
