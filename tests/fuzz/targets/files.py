"""The files of a bundle: an input says what stands in the place of each, and how large each may be."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random

from fuzz.targets.base import Target, scratch, tell
from fuzz.targets.manifest import FILES, full

from edge import bundle
from edge.config import LimitsConfig
from edge.errors import BundleError

CONTENTS = {"manifest.json": json.dumps(full()).encode(), **FILES}
GOOD = ("good", "good", "good", "hard link", "read only")
KINDS = (
    *GOOD, "missing", "pipe", "link", "link to nothing", "folder", "socket", "endless", "sparse",
    "changed", "cut",
    "longer", "empty", "device",
)  # fmt: skip
LIMITS = {"manifest.json": "manifest_mb", "evaluation.json": "evaluation_mb"} | {
    name: "model_mb" if name.endswith(".onnx") else "file_mb" for name in FILES if name != "evaluation.json"
}
AFTER = ("same", "same", "changed", "pipe", "link", "missing", "sparse", "cut")
LARGEST = {
    limit: max(len(content) for name, content in CONTENTS.items() if LIMITS[name] == limit)
    for limit in LIMITS.values()
}
TIGHT = 200  # of 256: above it, a limit lies below the size of the largest file
LENGTH = len(CONTENTS) + len(LARGEST) + 1


@cache
def originals() -> Path:
    """A folder beside the bundle with a good copy of each file: what links point to."""
    folder = scratch("files") / "originals"
    folder.mkdir()
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    return folder


def put(path: Path, kind: str, content: bytes, original: Path) -> None:
    """Put a file of this kind at ``path``, in place of what is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind in ("good", "read only", "longer", "changed", "cut", "empty"):
        middle = len(content) // 2
        changed = content[:middle] + b"\xff" + content[middle + 1 :]
        texts = {"longer": content + b"}", "changed": changed, "cut": content[:-1], "empty": b""}
        path.write_bytes(texts.get(kind, content))
        path.chmod(0o400 if kind == "read only" else 0o600)
    elif kind == "sparse":
        path.write_bytes(content)
        os.truncate(path, 1 << 36)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    elif kind == "hard link":
        path.hardlink_to(original)
    elif kind != "missing":
        ends = {"endless": "/dev/zero", "device": "/dev/null", "link to nothing": "nowhere"}
        path.symlink_to(ends.get(kind, str(original)))


def run(data: bytes) -> bool:
    """One byte a file, one byte a limit, one byte for what happens between the check and the reading."""
    folder, recipe = scratch("files") / "b", data.ljust(LENGTH, b"\0")
    folder.mkdir(exist_ok=True)
    kinds = {name: KINDS[byte % len(KINDS)] for name, byte in zip(CONTENTS, recipe, strict=False)}
    for name, content in CONTENTS.items():
        put(folder / name, kinds[name], content, originals() / name)
    rooms = {
        limit: -1 if byte > TIGHT else byte
        for limit, byte in zip(LARGEST, recipe[len(CONTENTS) :], strict=False)
    }
    bounds = {limit: (LARGEST[limit] + room + 0.5) / 1e6 for limit, room in rooms.items()}
    within = min(rooms.values()) >= 0
    limits = LimitsConfig(**bounds)
    try:
        loaded = bundle.load(folder, limits=limits)
    except BundleError as error:
        tell(error)
        assert not (within and set(kinds.values()) <= set(GOOD)), "a good bundle was refused"
        return False
    assert set(kinds.values()) <= set(GOOD), f"accepted: {kinds}"
    assert within, f"accepted beyond a limit: {bounds}"
    _read_again(loaded, AFTER[recipe[LENGTH - 1] % len(AFTER)])
    return True


def _read_again(loaded: bundle.Bundle, kind: str) -> None:
    """What is parsed is what was hashed, although someone changes the file in between."""
    name = "model.fp32.onnx"
    if kind != "same":
        put(loaded.folder / name, kind, FILES[name], originals() / name)
    try:
        content = loaded.read_model("fp32")
    except BundleError as error:
        tell(error)
        assert kind != "same", "a good file was refused"
        return
    assert content == FILES[name], f"read although {kind}"


def seeds() -> Iterator[bytes]:
    yield bytes(LENGTH)
    for at in range(len(CONTENTS)):
        for kind in range(len(GOOD), len(KINDS)):
            yield bytes(at) + bytes([kind]) + bytes(LENGTH - at - 1)
    for after in range(2, len(AFTER)):
        yield bytes(LENGTH - 1) + bytes([after])


def mutate(data: bytes, rng: Random) -> bytes:
    """Mostly good files: one fault hides the others."""
    recipe = bytearray(data.ljust(LENGTH, b"\0")[:LENGTH])
    for at in range(len(recipe)):
        with suppress(IndexError):
            if rng.random() < 0.1:
                recipe[at] = rng.randrange(256)
            elif rng.random() < 0.3:
                recipe[at] = 0
    return bytes(recipe)


TARGET = Target("files", run, seeds, mutate, most_bytes=LENGTH)
