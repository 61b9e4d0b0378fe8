"""What a figure belongs to: the machine, its software, the bundle, the inputs and the command.

Reports are made to be shared. So a fingerprint names the kind of machine and never the one machine or its
owner: no host name, no user name, no serial number, and no path beyond a file's own name, for a path tells
who works there and on what. Addresses of cameras hold passwords and are left out as a whole.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import platform
import re
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.machine.clocks import governor
from benchmarks.machine.sysfs import text
from edge.bundle import Bundle, entries
from edge.errors import EdgeError
from edge.system import device

_CHUNK = 1 << 20  # a clip may be larger than a board's memory
# What pip calls a library. On boards it may come from apt: then the module tells, where importing it is cheap
# (numpy, cv2) or has happened anyway.
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
    """A dict for JSON; what a machine does not tell is None. Hashes are SHA-256, 64 hex digits."""
    return {
        "time_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **_machine(root),
        **_system(root),
        "libraries": {name: _library(name) for name in _LIBRARIES},
        "emotion_edge": _installed(["emotion-edge"]),
        "bundle": None if bundle is None else _bundle(bundle),
        "inputs": [_input(path) for path in inputs],
        "command": [_without_place(word) for word in command],
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
        "cores_allowed": len(os.sched_getaffinity(0)),  # fewer under taskset, or in a container
        "memory_mb": int(memory[1]) * 1024 // 10**6 if memory else None,
        "governor": governor(root),
        "load_1min": float(load[0]) if load else None,  # others at work disturb a measurement
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
    except EdgeError:  # too old for TensorRT here; the processor can be measured all the same
        release = device.l4t(root)
        return f"L4T {release[2]}" if release else None


def _gpu(root: Path) -> str | None:
    if root != Path("/"):  # the driver answers for this machine alone
        return None
    try:
        found = device.gpu()
    except EdgeError:
        return None
    return f"{found.name} ({found.capability})"


def _library(name: str) -> str | None:
    module = sys.modules.get(name)
    if module is None and name in _CHEAP:
        try:
            module = importlib.import_module(name)
        except ImportError:
            return _installed(_LIBRARIES[name])
    return getattr(module, "__version__", None) or _installed(_LIBRARIES[name])


def _installed(names: Sequence[str]) -> str | None:
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def _bundle(bundle: Bundle) -> dict[str, Any]:
    """The hashes of the manifest: ``edge.bundle.load`` has compared the files with them."""
    manifest = bundle.manifest
    return {
        "name": manifest["name"],
        "version": manifest["version"],
        "manifest_sha256": _sha256(bundle.folder / "manifest.json"),
        "files_sha256": {Path(entry["path"]).name: entry["sha256"] for entry in entries(manifest)},
    }


def _input(path: Path) -> dict[str, Any]:
    """A file by its content, a folder by its files in order; a camera has no content to compare."""
    if path.is_dir():
        whole = hashlib.sha256()
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            whole.update(f"{file.relative_to(path).as_posix()} {_sha256(file)}\n".encode("utf-8", "replace"))
        return {"name": path.name, "sha256": whole.hexdigest()}
    return {"name": path.name, "sha256": _sha256(path) if path.is_file() else None}


def _sha256(path: Path) -> str | None:
    whole = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                whole.update(chunk)
    except OSError:
        return None
    return whole.hexdigest()


def _without_place(word: str) -> str:
    """ "--clip=/home/me/a.mp4" -> "--clip=a.mp4"; addresses and whatever has an "@" are left out."""
    option, equals, value = word.partition("=")
    if not re.fullmatch(r"[\w.-]+", option):
        option, equals, value = "", "", word
    if "://" in value or "@" in value:
        value = "(left out)"
    return option + equals + (value.rstrip("/").rpartition("/")[2] if "/" in value else value)
