"""Results about this machine, stored in the user's cache, so that the next start need not compute them again.

There are two: the fastest choice measured by `check`, and how a precision did on golden.npz. A cache that
cannot be read or written costs time but is not an error.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge import __version__
from edge.bundle import Bundle
from edge.engines.golden import Verdict
from edge.engines.measure import Choice
from edge.errors import DependencyError, EdgeError
from edge.system.atomic_write import atomic_write
from edge.system.cache import cache_folder
from edge.system.ort_session import onnxruntime

log = logging.getLogger("edge")


def remember(bundle: Bundle, choice: Choice, traits: Sequence[str] = ()) -> None:
    """Store the fastest choice for this bundle on this machine with these ``traits``."""
    _store("choice", _choice_key(bundle, traits), asdict(choice))


def recall(bundle: Bundle, traits: Sequence[str] = ()) -> Choice | None:
    """The choice measured for this bundle on this machine; None if there is none or it cannot be read."""
    try:
        return Choice(**_load("choice", _choice_key(bundle, traits)))
    except TypeError:
        return None


def remember_verdict(bundle: Bundle, precision: str, verdict: Verdict) -> None:
    """Store how ``precision`` did on golden.npz, on this processor with this ONNX Runtime."""
    _store("golden", _verdict_key(bundle, precision), asdict(verdict))


def passed_before(bundle: Bundle, precision: str) -> bool:
    """Whether ``precision`` is known to reproduce golden.npz here; False if nothing is known."""
    try:
        return Verdict(**_load("golden", _verdict_key(bundle, precision))).passed
    except TypeError:
        return False


def _choice_key(bundle: Bundle, traits: Sequence[str]) -> list[str]:
    """Bundle, machine and version of the engine."""
    hashes = [entry.sha256 for entry in bundle.manifest.files.values()]
    processor = _processor("model name", "CPU part")
    return [*hashes, *_machine(), str(os.cpu_count()), processor, _engine_version(), *traits]


def _verdict_key(bundle: Bundle, precision: str) -> list[str]:
    """Model, golden.npz, processor and versions: everything the logits depend on."""
    # The whole manifest, since it holds the hashes of all files and the normalization of the crops.
    manifest = json.dumps(bundle.manifest.to_dict(), sort_keys=True)
    # Includes the features: a migrated virtual machine keeps its processor's name, but not all features.
    processor = _processor("model name", "flags", "CPU part", "CPU variant", "Features")
    return [manifest, precision, *_machine(), processor, _engine_version(), __version__]


def _store(kind: str, key: Sequence[str], record: dict[str, Any]) -> None:
    try:
        path = _path(kind, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps(record).encode())
    except (OSError, EdgeError) as error:
        log.info("%s is not cached: %s", kind, error)


def _load(kind: str, key: Sequence[str]) -> dict[str, Any]:
    """The record, or {} if it is missing or unreadable; its fields are not checked."""
    try:
        record = json.loads(_path(kind, key).read_text("utf-8"))
    except (OSError, ValueError, EdgeError):
        return {}
    return record if isinstance(record, dict) else {}


def _path(kind: str, key: Sequence[str]) -> Path:
    return cache_folder() / f"{kind}-{hashlib.sha256(chr(10).join(key).encode()).hexdigest()[:16]}.json"


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
