"""What a report was measured on: machine, software, bundle, inputs and command.

Reports are meant to be shared, so a fingerprint describes the kind of machine and never identifies it or its
owner. It holds no host name, user name or serial number. Of a path it keeps the file name only, because a
path tells who works there and on what. Camera addresses may hold passwords and are left out entirely.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from edge.bundle import Bundle
from edge.errors import EdgeError
from edge.system import device
from edge.system.board_clocks import governor
from edge.system.hashing import sha256
from edge.system.sysfs import text

# Module -> its names on PyPI. On boards it may come from apt: then the module itself is asked, if importing
# it is cheap (numpy, cv2) or it is imported already.
_LIBRARIES = {
    "numpy": ("numpy",),
    "cv2": ("opencv-python-headless", "opencv-python", "opencv-contrib-python"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "tensorrt": ("tensorrt",),
}
_CHEAP = ("numpy", "cv2")


def fingerprint(
    bundle: Bundle | None,
    inputs: Sequence[Path],
    command: Sequence[str],
    seed: int,
    root: Path = Path("/"),
) -> dict[str, Any]:
    """A dict for JSON; what cannot be determined is None. Hashes are SHA-256, 64 hex digits."""
    return {
        "time_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **_machine(root),
        **_system(root),
        "libraries": {name: _library(name) for name in _LIBRARIES},
        "emotion_edge": _installed(["emotion-edge"]),
        "bundle": None if bundle is None else _bundle(bundle),
        "inputs": [_input(path) for path in inputs],
        "command": [_without_path(word) for word in command],
        "seed": seed,
    }


def _machine(root: Path) -> dict[str, Any]:
    processor = text(root / "proc/cpuinfo", 1 << 20) or ""
    name = re.search(r"^model name\s*:\s*(.+)$", processor, re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d{1,15}) kB", text(root / "proc/meminfo", 4096) or "", re.MULTILINE)
    load = re.match(r"\d{1,6}\.\d+", text(root / "proc/loadavg") or "")
    return {
        "board": text(root / "proc/device-tree/model") or (name[1].strip() if name else None),
        "cores": len(re.findall(r"^processor\s*:", processor, re.MULTILINE)) or None,
        "cores_allowed": len(os.sched_getaffinity(0)),  # fewer under taskset or in a container
        "memory_mb": int(memory[1]) * 1024 // 10**6 if memory else None,
        "governor": governor(root),
        "load_1min": float(load[0]) if load else None,  # other processes disturb a measurement
        "gpu": _gpu(root),
    }


def _system(root: Path) -> dict[str, Any]:
    release = re.search(r'^PRETTY_NAME="?([^"\n]+)', text(root / "etc/os-release", 4096) or "", re.MULTILINE)
    return {
        "kernel": text(root / "proc/sys/kernel/osrelease"),
        "os": release[1] if release else None,
        "jetpack": _jetpack(root),
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }


def _jetpack(root: Path) -> str | None:
    try:
        return device.jetpack(root) or None
    except EdgeError:  # too old for our TensorRT; the processor can still be measured
        release = device.l4t(root)
        return f"L4T {release[2]}" if release else None


def _gpu(root: Path) -> str | None:
    if root != Path("/"):  # the driver only knows this machine
        return None
    try:
        gpu = device.gpu()
    except EdgeError:
        return None
    return f"{gpu.name} ({gpu.capability})"


def _library(name: str, packages: Mapping[str, Sequence[str]] = _LIBRARIES) -> str | None:
    module = sys.modules.get(name)
    if module is None and name in _CHEAP:
        try:
            module = importlib.import_module(name)
        except ImportError:
            return _installed(packages[name])
    return getattr(module, "__version__", None) or _installed(packages[name])


def _installed(names: Sequence[str]) -> str | None:
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def _bundle(bundle: Bundle) -> dict[str, Any]:
    """Name, version and the hashes in the manifest, which ``edge.bundle.load`` has verified."""
    return {
        "name": bundle.manifest.name,
        "version": bundle.manifest.version,
        "manifest_sha256": _sha256(bundle.folder / "manifest.json"),
        "files_sha256": {Path(entry.path).name: entry.sha256 for entry in bundle.manifest.listed()},
    }


def _input(path: Path) -> dict[str, Any]:
    """A file by its content, a folder by its sorted files; a camera has no content to hash."""
    if path.is_dir():
        digest = hashlib.sha256()
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            digest.update(f"{file.relative_to(path).as_posix()} {_sha256(file)}\n".encode("utf-8", "replace"))
        return {"name": path.name, "sha256": digest.hexdigest()}
    return {"name": path.name, "sha256": _sha256(path) if path.is_file() else None}


def _sha256(path: Path) -> str | None:
    try:
        return sha256(path)
    except OSError:
        return None


def _without_path(word: str) -> str:
    """ "--clip=/home/me/a.mp4" -> "--clip=a.mp4"; addresses and anything with an "@" are left out."""
    option, equals, value = word.partition("=")
    if not re.fullmatch(r"[\w.-]+", option):
        option, equals, value = "", "", word
    if "://" in value or "@" in value:
        value = "(left out)"
    return option + equals + (value.rstrip("/").rpartition("/")[2] if "/" in value else value)
