"""Records in the user's cache: what is believed is typed, bounded, this user's own and of the right key.

An input begins with two bytes: what stands in the place of the record,
    and who may write there. The rest is its
content, in which ``@KEY@`` stands for the hash of the right key.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import tiny
from fuzz import json_edits
from fuzz.targets.base import Target, is_plain, scratch
from fuzz.targets.files import put

from edge import bundle
from edge.bundle import Bundle
from edge.engines import machine_cache
from edge.engines.golden import Verdict
from edge.engines.measure import Choice
from edge.engines.tensorrt import plans
from edge.health import restart

KINDS = (
    "good",
    "good",
    "good",
    "pipe",
    "link",
    "folder",
    "missing",
    "endless",
    "sparse",
    "hard link of another",
)
MODES = (0o600, 0o600, 0o600, 0o644, 0o666, 0o664, 0o646, 0o400)
FOLDERS = (0o700, 0o700, 0o700, 0o755, 0o777, 0o775, 0o1777)
OWNERS = (0, 0, 0, 0, 12345)  # only root can give a file away
KEY = b"@KEY@"
PLAN = plans.Key("tensorrt", "10.3", "gpu", "8.7", "6", "machine", "0" * 64, "fp16", 8)


@cache
def cache_folder() -> Path:
    return scratch("records") / "cache" / "emotion-edge"


_uncached = machine_cache._processor
_processor = cache(_uncached)  # the kernel takes milliseconds to tell it


@contextmanager
def own_cache() -> Iterator[None]:
    """The user's cache is ``cache_folder`` meanwhile."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(cache_folder().parent)
    machine_cache._processor = _processor
    try:
        yield
    finally:
        machine_cache._processor = _uncached
        del os.environ["XDG_CACHE_HOME"]
        if before is not None:
            os.environ["XDG_CACHE_HOME"] = before


@cache
def small_bundle() -> Bundle:
    return bundle.load(tiny.write(scratch("records") / "b"))


@cache
def written(kind: str) -> tuple[Path, bytes]:
    """Path and content of the record that the program itself writes."""
    _reset()
    folder = cache_folder()
    if kind == "choice":
        machine_cache.remember(small_bundle(), Choice("onnxruntime", "fp32", 2, "1.90 ms per face"))
    elif kind == "golden":
        machine_cache.remember_verdict(small_bundle(), "fp32", Verdict(0.99999, 0.0))
    elif kind == "restart":
        restart.note_restart(folder, 5.0, "boot", "the camera hangs")
    else:
        path = folder / f"{PLAN.stem()}.json"
        return path, json.dumps(plan_record()).encode()
    (path,) = folder.glob(f"{kind}*.json")
    return path, path.read_bytes()


def plan_record() -> dict[str, Any]:
    from dataclasses import asdict

    from edge.system.hashing import sha256

    plan = cache_folder() / f"{PLAN.stem()}.plan"
    plan.write_bytes(b"plan")
    plan.chmod(0o600)
    return {**asdict(PLAN), "plan_sha256": sha256(plan)}


def _reset() -> None:
    cache_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    cache_folder().chmod(0o700)


def _keyless(content: bytes) -> bytes:
    return re.sub(rb"[0-9a-f]{64}", KEY, content)


def run(data: bytes) -> bool:
    with own_cache():
        return _run(data)


def _run(data: bytes) -> bool:
    kind, mode = KINDS[data[0] % len(KINDS)] if data else "good", MODES[data[1] % 8 if len(data) > 1 else 0]
    room = FOLDERS[data[1] // 8 % len(FOLDERS)] if len(data) > 1 else 0o700
    owner = OWNERS[data[0] // len(KINDS) % len(OWNERS)] if data and os.geteuid() == 0 else os.geteuid()
    trusted = not (mode | room) & 0o022 and owner == os.geteuid() and kind == "good"
    believed = False
    for name, look in READERS.items():
        _reset()
        path, right = written(name)
        key = re.findall(rb"[0-9a-f]{64}", right)
        content = data[2:].replace(KEY, key[-1] if key else b"")
        _place(path, kind, mode, owner, content)
        cache_folder().chmod(room)
        found = look(content)
        assert not found or trusted, f"{name}: believed a {kind} of mode {mode:o} of {owner} in {room:o}"
        assert not (found and key) or key[-1] in content, f"{name}: believed for another key"
        believed |= found
    _reset()
    _overwritten(data)
    return believed


def _place(path: Path, kind: str, mode: int, owner: int, content: bytes) -> None:
    beside = scratch("records") / "beside"
    beside.unlink(missing_ok=True)
    beside.write_bytes(content)
    if kind == "hard link of another":
        beside.chmod(0o666)
        put(path, "hard link", content, beside)
        return
    put(path, kind, content, beside)
    if kind == "good":
        os.chmod(path, mode)
        if owner != os.geteuid():
            os.chown(path, owner, owner)


def _choice(content: bytes) -> bool:
    found = machine_cache.recall(small_bundle())
    if found is None:
        return False
    assert type(found.threads) is int, found
    assert 0 <= found.threads <= 256, found
    for text in (found.engine, found.precision, found.why):
        assert isinstance(text, str), found
        assert is_plain(text), found
        assert len(text) <= 10_000, found
    assert 1 <= len(found.engine) <= 64, found
    assert 1 <= len(found.precision) <= 64, found
    _same(content, "threads", found.threads)
    return True


def _verdict(content: bytes) -> bool:
    if not machine_cache.passed_before(small_bundle(), "fp32"):
        return False
    document = json.loads(content)
    cosine, changes = (_find(document, key) for key in ("min_cosine", "label_changes"))
    for value, low, high in ((cosine, 0.999, 1.001), (changes, 0.0, 0.01)):
        assert type(value) in (int, float), content
        assert low <= value <= high, content
    return True


def _restart(content: bytes) -> bool:
    told = restart.restarts(cache_folder(), 1e6, "boot")
    assert type(told["count"]) is int, told
    assert 0 <= told["count"] < 1 << 63, told
    ago = told.get("last_ago_s")
    assert ago is None or (math.isfinite(ago) and type(ago) in (int, float)), told
    assert is_plain(told.get("reason", "")), told
    assert len(json.dumps(told, allow_nan=False)) < 10_000
    restart.note_restart(cache_folder(), 1e6, "boot", "again")
    return told["count"] > 0


def _plan(content: bytes) -> bool:
    if plans.find(cache_folder(), PLAN) is None:
        return False
    assert json.loads(content) == plan_record(), content
    return True


READERS: dict[str, Callable[[bytes], bool]] = {
    "choice": _choice, "golden": _verdict, "restart": _restart, "plan": _plan,
}  # fmt: skip


def _find(document: Any, key: str) -> Any:
    """The value of ``key``, wherever it stands."""
    if isinstance(document, dict):
        if key in document:
            return document[key]
        return next((found for value in document.values() if (found := _find(value, key)) is not None), None)
    return None


def _same(content: bytes, key: str, value: Any) -> None:
    found = _find(json.loads(content), key)
    assert (found, type(found)) == (value, type(value)), f"{key} is {value!r}, the record says {found!r}"


def _overwritten(data: bytes) -> None:
    """What stands in the way of a record does not stop the next write."""
    path, _ = written("golden")
    machine_cache.remember_verdict(small_bundle(), "fp32", Verdict(0.99999, 0.0))
    if not path.is_dir():
        assert machine_cache.passed_before(small_bundle(), "fp32"), f"not replaced after {data[:2]!r}"


def seeds() -> Iterator[bytes]:
    with own_cache():
        contents = [_keyless(written(name)[1]) for name in READERS]
    for content in contents:
        yield b"\0\0" + content
        yield b"\0\4" + content
        yield b"\0\x20" + content
        yield bytes([4 * len(KINDS)]) + b"\0" + content
        yield b"\x09\0" + content
        yield b"\x04\0" + content
        yield from (b"\0\0" + changed for changed in json_edits.each(content.decode()))
    yield b"\3\0"
    yield b"\7\0"
    yield b"\0\0" + b"[" * 3000


WORDS = ("engine", "precision", "threads", "why", "min_cosine", "label_changes", "boot_id", "boot", "at_s",
    "count",
         "reason", "key", "record", "@KEY@", "plan_sha256", "onnxruntime", "fp32", "NaN", "1e999",
         "3000")  # fmt: skip


def mutate(data: bytes, rng: Random) -> bytes:
    head = bytearray(data[:2].ljust(2, b"\0"))
    if rng.random() < 0.2:
        head[rng.randrange(2)] = rng.choice((0, rng.randrange(256)))
    return bytes(head) + json_edits.mutate(data[2:], rng, WORDS)


TARGET = Target("records", run, seeds, mutate, WORDS)
