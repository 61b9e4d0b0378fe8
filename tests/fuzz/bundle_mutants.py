"""Mutant number i of a whole bundle: always the same for the same seed, with all hashes made right."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fuzz import bundles, json_edits, npz_edits, onnx_edits

SHARES = {"tiny": 0.35, "recurrent": 0.4, "reference": 0.25}
PRECISIONS = {"fp32": 60, "fp16": 15, "int8-cpu": 15, "auto": 7, "int8-trt": 2, "fp64": 1}
MOST_BYTES = 1 << 26
NAMES = (
    "manifest.json",
    "model.fp32.onnx",
    "model.fp16.onnx",
    "golden.npz",
    "model-card.md",
    "evaluation.json",
)


@dataclass(frozen=True)
class Mutant:
    """What was changed, and which precision is asked for."""

    number: int
    base: str
    changes: tuple[str, ...]
    precision: str

    @property
    def kind(self) -> str:
        """The first change, without its details."""
        return self.changes[0].partition(":")[0]


def make(number: int, seed: int, originals: Mapping[str, Path], folder: Path) -> Mutant:
    """Write mutant ``number`` into ``folder``, which does not exist yet."""
    rng = Random(f"{seed}:{number}")
    base = rng.choices(list(SHARES), list(SHARES.values()))[0]
    bundles.copy(originals[base], folder)
    precision = rng.choices(list(PRECISIONS), list(PRECISIONS.values()))[0]
    if precision == "int8-cpu" and base != "reference":
        precision = "fp16"
    changes = []
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
        change = rng.choices(list(CHANGES), list(CHANGES.values()))[0]
        changes.append(change(folder, precision, rng))
    return Mutant(number, base, tuple(changes), precision)


def _read(path: Path) -> bytes:
    """The content of a regular file; OSError otherwise, as earlier changes leave pipes and /dev/zero."""
    if not is_small(path):
        raise OSError(f"{path} is not read here")
    return path.read_bytes()


def is_small(path: Path) -> bool:
    """Whether it is a regular file, no link, of a size that may be read."""
    return not path.is_symlink() and path.is_file() and path.stat().st_size < MOST_BYTES


def _replace(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)  # the original keeps its content
    path.write_bytes(content)


def _right(folder: Path) -> None:
    """Hashes of what stands there now, where the manifest can still be read."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        bundles.right(folder, json.loads(_read(folder / "manifest.json")))


def _model(folder: Path, precision: str, rng: Random) -> Path:
    """Mostly the file that will be loaded."""
    wanted = folder / f"model.{precision}.onnx"
    models = sorted(folder.glob("*.onnx"))
    return wanted if wanted in models and rng.random() < 0.9 else rng.choice(models or [wanted])


def graph(folder: Path, precision: str, rng: Random) -> str:
    """Fields of an ONNX file."""
    path = _model(folder, precision, rng)
    try:
        content = onnx_edits.mutate(_read(path), rng)
    except (OSError, ValueError, RecursionError):
        return f"graph: {path.name} cannot be edited"
    _replace(path, content)
    _right(folder)
    return f"graph: {path.name}"


def raw(folder: Path, precision: str, rng: Random) -> str:
    """Bytes of any file, which know no format."""
    path = _model(folder, precision, rng) if rng.random() < 0.6 else folder / rng.choice(NAMES)
    try:
        content = _read(path)
    except OSError:
        return f"raw: {path.name} cannot be read"
    for _ in range(rng.choice((1, 1, 3, 20))):
        content = onnx_edits.change_bytes(content, rng)
    _replace(path, content)
    if path.name != "manifest.json":
        _right(folder)
    return f"raw: {path.name}"


def manifest(folder: Path, precision: str, rng: Random) -> str:
    """Fields of the manifest."""
    path = folder / "manifest.json"
    try:
        content = json_edits.mutate(_read(path), rng, NAMES)
    except (OSError, ValueError):
        return "manifest: it cannot be edited"
    _replace(path, content)
    return "manifest:"


def golden(folder: Path, precision: str, rng: Random) -> str:
    """Headers and numbers of golden.npz, and the zip around them."""
    path = folder / "golden.npz"
    try:
        content = npz_edits.mutate(_read(path), rng)
    except (OSError, ValueError):
        return "golden: it cannot be edited"
    _replace(path, content)
    _right(folder)
    return "golden:"


def place(folder: Path, precision: str, rng: Random) -> str:
    """Something else in the place of a file."""
    name = rng.choice((*NAMES, f"model.{precision}.onnx"))
    path, what = folder / name, rng.choice(sorted(PLACES))
    content = _read(path) if is_small(path) else b""
    if path.is_dir():
        return f"place: {name} is a folder already"
    path.unlink(missing_ok=True)
    PLACES[what](path, content)
    if name != "manifest.json" and rng.random() < 0.5:
        _right(folder)
    return f"place: {name}: {what}"


def _socket(path: Path, _: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(path.parent, os.O_PATH)
        made.bind(f"/proc/self/fd/{here}/{path.name}")  # a socket's name has at most 107 bytes
        os.close(here)


def _sparse(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    os.truncate(path, 3 << 30)


def _outside(path: Path, content: bytes) -> None:
    beside = path.parent.parent / f"outside-{path.parent.name}"
    beside.write_bytes(content)
    path.symlink_to(beside)


PLACES: dict[str, Callable[[Path, bytes], object]] = {
    "missing": lambda path, _: None,
    "a pipe": lambda path, _: os.mkfifo(path),
    "a folder": lambda path, _: path.mkdir(),
    "a link to a copy outside": _outside,
    "a link to /dev/zero": lambda path, _: path.symlink_to("/dev/zero"),
    "a link to /etc/passwd": lambda path, _: path.symlink_to("/etc/passwd"),
    "a link to itself": lambda path, _: path.symlink_to(path.name),
    "3 GB without content": _sparse,
    "a socket": _socket,
    "empty": lambda path, _: path.write_bytes(b""),
    "unreadable": lambda path, content: (path.write_bytes(content), path.chmod(0)),
}


def swap(folder: Path, precision: str, rng: Random) -> str:
    """Two files change places, or one takes the place of another."""
    first, second = rng.sample(NAMES[1:], 2)
    one, two = folder / first, folder / second
    if not (is_small(one) and is_small(two)):
        return "swap: nothing to swap"
    contents = _read(one), _read(two)
    _replace(two, contents[0])
    if rng.random() < 0.5:
        _replace(one, contents[1])
    _right(folder)
    return f"swap: {first} and {second}"


def splice(folder: Path, precision: str, rng: Random) -> str:
    """The head of one file and the tail of another."""
    path, other = _model(folder, precision, rng), folder / rng.choice(NAMES[1:])
    if not (is_small(path) and is_small(other)):
        return "splice: nothing to splice"
    one, two = _read(path), _read(other)
    _replace(path, one[: rng.randrange(len(one) + 1)] + two[rng.randrange(len(two) + 1) :])
    _right(folder)
    return f"splice: {path.name} and {other.name}"


def extra(folder: Path, precision: str, rng: Random) -> str:
    """Files that the manifest does not name, where a graph or a loader might look for some."""
    name = rng.choice(
        ("weights.bin", "model.fp32.onnx.data", "face_detection_yunet_2023mar.onnx", "x.ort", "a\nb")
    )
    _replace(folder / name, rng.randbytes(rng.choice((0, 8, 4096))))
    return f"extra: {name!r}"


def another(folder: Path, precision: str, rng: Random) -> str:
    """A precision more: a copy of another one, under its own or a strange name."""
    path = folder / "manifest.json"
    try:
        document = json.loads(_read(path))
        name = rng.choice(("int8-cpu", "int8-trt", "fp64", precision, "a" * 40, "FP32"))
        document["files"][name] = dict(rng.choice(list(document["files"].values())))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "another: the manifest cannot be read"
    _replace(path, json.dumps(document).encode())
    return f"another: {name}"


CHANGES = {
    graph: 0.45, raw: 0.1, manifest: 0.15, golden: 0.12, place: 0.07, swap: 0.03, splice: 0.03, extra: 0.02,
    another: 0.03,
}  # fmt: skip
