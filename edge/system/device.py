"""The GPU and JetPack release of this machine, on which an engine file depends."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.errors import EdgeError

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
# First Jetson Linux release of each JetPack version (NVIDIA, Jetson Linux archive).
_JETPACKS = (
    ((39, 2), "7.2"), ((38, 4), "7.1"), ((38, 2), "7.0"),
    ((36, 4, 3), "6.2"), ((36, 4), "6.1"), ((36, 3), "6.0"),
    ((35, 1), "5"), ((32, 1), "4"),
)  # fmt: skip
OLDEST = (36, 4)  # JetPack 6.1: TensorRT 10.3


@dataclass(frozen=True)
class Gpu:
    """Name and compute capability, such as ("Orin", "8.7")."""

    name: str
    capability: str


def gpu() -> Gpu:
    """The first GPU, queried from the driver alone; EdgeError if there is none."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise EdgeError(
            "no NVIDIA driver on this machine (libcuda.so.1); build engines on the board that runs them"
        ) from error
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(100)
    calls: tuple[Callable[[], int], ...] = (
        lambda: driver.cuInit(0),
        lambda: driver.cuDeviceGet(ctypes.byref(device), 0),
        lambda: driver.cuDeviceGetName(name, len(name), device),
        lambda: driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device),
        lambda: driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device),
    )
    for call in calls:
        if status := call():
            raise EdgeError(f"the NVIDIA driver finds no GPU (CUDA error {status}); check nvidia-smi")
    return Gpu(name.value.decode(), f"{major.value}.{minor.value}")


def l4t(sysroot: Path = Path("/")) -> tuple[int, int, str] | None:
    """Jetson Linux release as (36, 4, "36.4.3"), from its file or the package list; None elsewhere."""
    text = _read(sysroot / "etc/nv_tegra_release")
    match = re.search(r"# R(\d{1,4}) \(release\), REVISION: (\d{1,4})\.(\d{1,4})", text)
    if match is None:
        # find() before the regex, because the file has megabytes and is read at every start.
        packages = _read(sysroot / "var/lib/dpkg/status")
        at = packages.find("Package: nvidia-l4t-core\n")
        if at >= 0:
            match = re.compile(
                r"^Package: nvidia-l4t-core\n(?:.+\n)*?Version: (\d{1,4})\.(\d{1,4})\.(\d{1,4})", re.MULTILINE
            ).search(packages, at)
    if match is None:
        return None
    major, minor, patch = match.groups()
    return int(major), int(minor), f"{major}.{minor}.{patch}"


def jetpack(sysroot: Path = Path("/")) -> str:
    """JetPack release, "6.1 (L4T 36.4.3)", on a Jetson, "" elsewhere; EdgeError if it is too old."""
    release = l4t(sysroot)
    if release is None:
        return ""
    version = release[2]
    number = tuple(int(part) for part in version.split("."))
    name = next((jetpack for first, jetpack in _JETPACKS if number >= first), "unknown")
    if number < OLDEST:
        raise EdgeError(
            f"this Jetson runs JetPack {name} (L4T {version}), whose TensorRT is too old; "
            "install JetPack 6.1 or newer (not available for boards before Orin), or run on the processor: "
            "set engine.kind=onnxruntime"
        )
    return f"{name} (L4T {version})"


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
