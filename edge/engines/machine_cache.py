"""What was found out about this machine, kept in the user's cache, so that the next start need not ask again.

Two things: what `check` measured to be fastest, and that a precision reproduced golden.npz. A cache that
cannot be read or written costs time and is no fault.
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
from edge.errors import EdgeError
from edge.system.atomic_write import atomic_write
from edge.system.cache import cache_folder

log = logging.getLogger("edge")


def remember(bundle: Bundle, choice: Choice, traits: Sequence[str] = ()) -> None:
    """Keep what was fastest for this bundle on this machine with these ``traits``."""
    _keep("choice", _choice_key(bundle, traits), asdict(choice))


def recall(bundle: Bundle, traits: Sequence[str] = ()) -> Choice | None:
    """What was measured for this bundle on this machine; None where nothing was, or it cannot be read."""
    try:
        return Choice(**_kept("choice", _choice_key(bundle, traits)))
    except TypeError:
        return None


def remember_verdict(bundle: Bundle, precision: str, verdict: Verdict) -> None:
    """Keep how ``precision`` did on golden.npz, on this processor with this ONNX Runtime."""
    _keep("golden", _verdict_key(bundle, precision), asdict(verdict))


def passed_before(bundle: Bundle, precision: str) -> bool:
    """Whether ``precision`` is known to reproduce golden.npz here; False where nothing is known."""
    try:
        return Verdict(**_kept("golden", _verdict_key(bundle, precision))).passed
    except TypeError:
        return False


def _choice_key(bundle: Bundle, traits: Sequence[str]) -> list[str]:
    """Bundle, machine and version of the engine."""
    hashes = [entry.sha256 for entry in bundle.manifest.files.values()]
    processor = _processor("model name", "CPU part")
    return [*hashes, *_machine(), str(os.cpu_count()), processor, _engine_version(), *traits]


def _verdict_key(bundle: Bundle, precision: str) -> list[str]:
    """Model, golden.npz, processor and versions: all that the logits depend on."""
    # The whole manifest, because it says how crops are normalized, too; it holds the hashes of all files.
    about = json.dumps(bundle.manifest.to_dict(), sort_keys=True)
    # With its features: a virtual machine that moves keeps the name of its processor, but not all of them.
    processor = _processor("model name", "flags", "CPU part", "CPU variant", "Features")
    return [about, precision, *_machine(), processor, _engine_version(), __version__]


def _keep(kind: str, key: Sequence[str], record: dict[str, Any]) -> None:
    try:
        path = _path(kind, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps(record).encode())
    except (OSError, EdgeError) as error:
        log.info("%s is not kept: %s", kind, error)


def _kept(kind: str, key: Sequence[str]) -> dict[str, Any]:
    """The record; empty where there is none, TypeError from its user where it is damaged."""
    try:
        found = json.loads(_path(kind, key).read_text("utf-8"))
    except (OSError, ValueError, EdgeError):
        return {}
    return found if isinstance(found, dict) else {}


def _path(kind: str, key: Sequence[str]) -> Path:
    return cache_folder() / f"{kind}-{hashlib.sha256(chr(10).join(key).encode()).hexdigest()[:16]}.json"


def _machine() -> list[str]:
    return [platform.machine(), platform.node()]


def _processor(*told: str) -> str:
    """Model name or part number of the processor, as the kernel tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return "; ".join(sorted({line for line in lines if line.startswith(told)}))


def _engine_version() -> str:
    try:
        import onnxruntime
    except ImportError:
        return "none"
    return str(onnxruntime.__version__)
