"""Whatever stands at an output's path or beside it: a run destroys nothing and leaves nothing of its own."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from edge.__main__ import main

pytest.importorskip("av", reason="clips need the extra [files]")
pytest.importorskip("matplotlib", reason="the picture needs the extra [demo]")
SUFFIX = {"jsonl": ".jsonl", "health": ".json", "annotate": ".mp4", "trajectory": ".png"}
OURS = b'{"schema": "emotion-edge/1", "frame": 1}\n'


def link(to: Path, content: bytes | None) -> Callable[[Path, ExitStack], None]:
    """A symbolic link at a path to ``to`` beside it, with such a file there or none."""

    def make(path: Path, _: ExitStack) -> None:
        if content is not None:
            (path.parent / to).write_bytes(content)
        path.symlink_to(path.parent / to)

    return make


def hard_link(path: Path, _: ExitStack) -> None:
    (path.parent / "victim").write_bytes(b"precious")
    path.hardlink_to(path.parent / "victim")


def pipe(path: Path, stack: ExitStack) -> None:
    os.mkfifo(path)
    stack.callback(os.close, os.open(path, os.O_RDONLY | os.O_NONBLOCK))  # else JSON lines wait for ever


def socket_file(path: Path, stack: ExitStack) -> None:
    stack.enter_context(socket.socket(socket.AF_UNIX)).bind(str(path))


# What may stand at a path; of the last two kinds of files a run may take the place.
THINGS: dict[str, Callable[[Path, ExitStack], None]] = {
    "nothing": lambda path, _: None,
    "foreign": lambda path, _: path.write_bytes(b"precious"),
    "half ours": lambda path, _: path.write_bytes(b'{"mine": ' + OURS),
    "folder": lambda path, _: path.mkdir(),
    "pipe": pipe,
    "socket": socket_file,
    "hard link": hard_link,
    "link": link(Path("victim"), b"precious"),
    "link to ours": link(Path("earlier"), OURS),
    "link to nothing": link(Path("none"), None),
    "ours": lambda path, _: path.write_bytes(OURS),
    "empty": lambda path, _: path.write_bytes(b""),
}
REPLACED = {"link to ours", "ours", "empty", "nothing"}
FORCED = REPLACED | {"foreign", "half ours", "hard link", "link"}


def seen(folder: Path) -> dict[str, tuple[object, ...]]:
    """Kind and content of everything in a folder; a pipe's and a folder's identity."""
    found: dict[str, tuple[object, ...]] = {}
    for path in folder.iterdir():
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else status.st_ino
        found[path.name] = (stat.S_IFMT(status.st_mode), content)
    return found


@pytest.mark.parametrize("option", SUFFIX)
@given(
    thing=st.sampled_from(sorted(THINGS)),
    lock=st.sampled_from(["nothing", "foreign", "folder", "link", "link to nothing", "socket"]),
    force=st.booleans(),
)
def test_nothing_is_destroyed_and_nothing_is_left(
    tmp_path_factory: pytest.TempPathFactory, option: str, thing: str, lock: str, force: bool
) -> None:
    folder = Path(tmp_path_factory.mktemp("o"))
    path, bundle = folder / f"o{SUFFIX[option]}", tiny.write(tmp_path_factory.mktemp("bundle"))
    with ExitStack() as stack:
        THINGS[thing](path, stack)
        if not (folder / "victim").exists():  # one planted file at a time bears that name
            THINGS[lock](folder / f".{path.name}.lock", stack)
        before = seen(folder)
        words = ["run", "demo", "--bundle", str(bundle), "--precision", "fp32", "--max-frames", "2"]
        words += ["--set", "detector.kind=haar", f"--{option}", str(path), *["--force"] * force]
        code = main(words)
        after = seen(folder)
    assert code in (0, 2)
    may = FORCED if force else REPLACED
    if code == 0:
        assert thing in may | {"pipe"}, "it may not be written"
    changed = {name for name, what in before.items() if after.get(name) != what}
    if changed:
        assert thing in may, f"{changed} changed"
        allowed = {path.name, "earlier"} | ({"victim"} if force else set())
        assert changed <= allowed, f"{changed} changed"
    assert set(after) - set(before) <= {path.name}, "a part or a lock is left"
    if code == 2:
        assert set(after) == set(before), "a refused output appeared"
