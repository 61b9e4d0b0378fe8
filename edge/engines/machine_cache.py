"""Results about this machine, stored in the user's cache, so that the next start need not compute them again.

There are two: the fastest choice measured by `check`, and how a precision did on golden.npz. A record is
believed only if nobody but this user can have written it, for the whole key in it, and if every field fits. A
cache that cannot be read or written costs time but is not an error.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from edge import __version__
from edge.bundle import Bundle
from edge.engines.golden import Verdict
from edge.engines.measure import Choice
from edge.engines.records import choice_fields, choice_from, stored, verdict_fields, verdict_from
from edge.errors import DependencyError, EdgeError
from edge.system.cache import cache_folder, is_ours
from edge.system.checked_file import FileRefused
from edge.system.one_line import one_line
from edge.system.ort_session import onnxruntime
from edge.system.ownership import read_own, write_own

log = logging.getLogger("edge")
_WORDS = {"choice": "what is fastest here", "golden": "that the network was checked"}
Record = TypeVar("Record", Choice, Verdict)


def remember(bundle: Bundle, choice: Choice, traits: Sequence[str] = ()) -> None:
    """Store the fastest choice for this bundle on this machine with these ``traits``."""
    _store("choice", _choice_key(bundle, traits), choice_fields(choice))


def recall(bundle: Bundle, traits: Sequence[str] = ()) -> Choice | None:
    """The choice measured for this bundle on this machine; None if there is none that is believed."""
    return _load("choice", _choice_key(bundle, traits), choice_from)


def remember_verdict(bundle: Bundle, precision: str, verdict: Verdict, brief: bool = False) -> None:
    """Store how ``precision`` did on golden.npz, on this processor with this ONNX Runtime.

    A ``brief`` verdict is about its first sequences. It has a key of its own: it never counts as a whole one.
    """
    _store("golden", _verdict_key(bundle, precision, brief), verdict_fields(verdict))


def passed_before(bundle: Bundle, precision: str, brief: bool = False) -> bool:
    """Whether ``precision`` is known to reproduce golden.npz here; False if nothing is known.

    With ``brief``, its first sequences suffice.
    """
    known = (_verdict(bundle, precision, kind) for kind in ((False, True) if brief else (False,)))
    return any(verdict is not None and verdict.passed for verdict in known)


def _verdict(bundle: Bundle, precision: str, brief: bool) -> Verdict | None:
    return _load("golden", _verdict_key(bundle, precision, brief), verdict_from)


def _choice_key(bundle: Bundle, traits: Sequence[str]) -> list[str]:
    """Bundle, machine and version of the engine."""
    hashes = [entry.sha256 for entry in bundle.manifest.files.values()]
    processor = _processor("model name", "CPU part")
    return [*hashes, *_machine(), str(os.cpu_count()), processor, _engine_version(), *traits]


def _verdict_key(bundle: Bundle, precision: str, brief: bool) -> list[str]:
    """Model, golden.npz and how much of it, processor and versions: everything the verdict depends on."""
    # The whole manifest, since it holds the hashes of all files and the normalization of the crops.
    manifest = json.dumps(bundle.manifest.to_dict(), sort_keys=True)
    # Includes the features: a migrated virtual machine keeps its processor's name, but not all features.
    processor = _processor("model name", "flags", "CPU part", "CPU variant", "Features")
    part = ["brief"] if brief else []
    return [manifest, precision, *_machine(), processor, _engine_version(), __version__, *part]


def _store(kind: str, key: Sequence[str], fields: dict[str, Any]) -> None:
    try:
        path = _path(kind, key)
        if is_ours(path.parent):  # else the log has said so
            write_own(path, stored(fields, _digest(key)))
    except EdgeError as error:
        log.info("%s is not kept: %s (XDG_CACHE_HOME)", _WORDS[kind], one_line(str(error)))


def _load(kind: str, key: Sequence[str], parse: Callable[[bytes, str], Record]) -> Record | None:
    """The record; None if it is missing, of another key, not this user's own, or does not fit."""
    try:
        path = _path(kind, key)
        return parse(read_own(path), _digest(key)) if is_ours(path.parent) else None
    except (FileRefused, ValueError, EdgeError):
        return None


def _path(kind: str, key: Sequence[str]) -> Path:
    return cache_folder() / f"{kind}-{_digest(key)[:16]}.json"


def _digest(key: Sequence[str]) -> str:
    """SHA-256 of the key; as JSON, so that no two keys have the same text."""
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()


def _machine() -> list[str]:
    return [platform.machine(), platform.node()]


def _processor(*keys: str) -> str:
    """The lines of /proc/cpuinfo that start with one of ``keys``, which identify the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return "; ".join(sorted({line for line in lines if line.startswith(keys)}))


def _engine_version() -> str:
    try:
        return str(onnxruntime().__version__)
    except DependencyError:
        return "none"
