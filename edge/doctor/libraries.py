"""Python and its libraries: whether they are imported, and which copy of two would be.

Each is imported in a child process: a wheel for another processor ends it with a signal, not with an error.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from edge.doctor import board
from edge.doctor.machine import KIT, Machine
from edge.system.device import l4t
from edge.system.finding import FAULT, NOTE, OK, WARNING, Finding
from edge.system.process import START

_OLDEST = (3, 10)
_IMPORT_S = 30.0  # from a slow memory card
_ASK = "import importlib, sys; print(getattr(importlib.import_module(sys.argv[1]), '__version__', ''))"
_FIXES = {
    "numpy": "pip install numpy",
    "cv2": "pip install 'emotion-edge[cpu]', or on a board: sudo apt install python3-opencv",
    "onnxruntime": "pip install onnxruntime",
    "picamera2": "sudo apt install python3-picamera2",
    "gi": "sudo apt install python3-gi",
}
_OF_SYSTEM = {  # where a kit does not ship it
    "numpy": "python3-numpy",
    "cv2": "libopencv-python",
    "picamera2": "python3-picamera2",
    "gi": "python3-gi",
}
_SITES = (
    f"{KIT}/lib/python3*/site-packages", "opt/emotion-edge/lib/python3*/site-packages",
    "usr/local/lib/python3*/dist-packages", "usr/lib/python3*/dist-packages",
)  # fmt: skip
_OPENCV = (
    "opencv_python",
    "opencv_python_headless",
    "opencv_contrib_python",
    "opencv_contrib_python_headless",
)


def interpreter(machine: Machine) -> Iterator[Finding]:
    """The Python that runs this, and the one that a package's environment was made for."""
    if machine.live:
        here = sys.version_info
        level = OK if here >= _OLDEST else FAULT
        yield Finding("python", level, f"Python {here.major}.{here.minor}.{here.micro} at {sys.executable}")
    for folder in machine.found(f"{KIT}/lib/python3*"):
        if not machine.exists(f"usr/bin/{folder.name}"):
            text = f"the environment in /{KIT} is for {folder.name}, which this system does not have"
            yield Finding(
                "python", FAULT, text, "install the kit that was made for this release of the system"
            )
        elif not machine.live:
            yield Finding("python", OK, f"{folder.name}, as the environment in /{KIT} needs it")


def imports(machine: Machine) -> Iterator[Finding]:
    """What every run imports, and what the source needs."""
    if not machine.live:
        return
    address = machine.config.source.address
    needed = ["numpy", "cv2", "onnxruntime"]
    needed += ["picamera2"] if address.startswith("picam:") else []
    needed += ["gi"] if address.startswith(("csi:", "mjpeg:")) else []
    versions = []
    for name in needed:
        version, fault = asked(name)
        if fault:
            yield Finding(
                "libraries", FAULT, f"{name} cannot be imported ({fault})", import_fix(name, machine)
            )
        else:
            versions.append(f"{name} {version}".strip())
    if versions:
        yield Finding("libraries", OK, ", ".join(versions))


def import_fix(module: str, machine: Machine) -> str:
    """How to get a library that cannot be imported; beside a package's environment there is no pip."""
    if not machine.exists(f"{KIT}/pyvenv.cfg"):
        return _FIXES[module]
    shipped = any(machine.found(f"{KIT}/lib/python3*/site-packages/{module}"))
    if shipped or module not in _OF_SYSTEM:
        return "dpkg --verify emotion-edge; then install the kit again"
    return f"sudo apt install --reinstall {_OF_SYSTEM[module]}"


def asked(module: str) -> tuple[str, str]:
    """Version of a library, and why it cannot be imported; one of the two is empty."""
    isolated = ["-I"] if sys.flags.isolated else []
    command = [sys.executable, "-B", *isolated, "-c", _ASK, module]  # -B: run by root, it leaves nothing
    try:
        done = subprocess.run(
            command, cwd=START, stdin=subprocess.DEVNULL, capture_output=True, timeout=_IMPORT_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        return "", type(error).__name__
    if done.returncode < 0:
        return "", f"it ends with {signal.Signals(-done.returncode).name}, as on another processor"
    said = (done.stderr if done.returncode else done.stdout).decode("utf-8", "replace").strip()
    last = (said.splitlines() or ["no word"])[-1][:200]
    return ("", last) if done.returncode else (last, "")


def installed(machine: Machine) -> dict[str, tuple[str, Path]]:
    """Name -> version and folder of every distribution that can be imported; the first copy counts."""
    found: dict[str, tuple[str, Path]] = {}
    for folder in _folders(machine):
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for name in names:
            match = re.fullmatch(r"([\w.]{1,100})-([\w.+!]{1,60})\.(?:dist|egg)-info", name)
            if match:
                found.setdefault(match[1].lower().replace(".", "_"), (match[2], folder))
    return found


def _folders(machine: Machine) -> list[Path]:
    if machine.live:
        return [Path(path) for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    return [path for pattern in _SITES for path in machine.found(pattern)]


def copies(machine: Machine) -> Iterator[Finding]:
    """Two packages with one module, wheels that hide the system's, and numpy 2 against JetPack 6."""
    there = installed(machine)
    wheels = [name for name in _OPENCV if name in there]
    if len(wheels) > 1:
        names = " ".join(name.replace("_", "-") for name in wheels)
        text = f"several OpenCV are installed over one another: {names}"
        yield Finding("copies", WARNING, text, f"pip uninstall {names}; pip install opencv-python-headless")
    if {"onnxruntime", "onnxruntime_gpu"} <= there.keys():
        text = "onnxruntime and onnxruntime-gpu are installed over one another"
        yield Finding("copies", WARNING, text, "pip uninstall onnxruntime onnxruntime-gpu; then install one")
    release = l4t(machine.root)
    if release is None:
        return
    if wheels and there[wheels[0]][1].name == "site-packages":
        name = wheels[0].replace("_", "-")
        text = f"the wheel {name} hides JetPack's OpenCV, which speaks to its cameras"
        yield Finding("copies", WARNING, text, f"pip uninstall {name}; sudo apt install libopencv-python")
    numpy = there.get("numpy", ("", Path()))[0]
    if release[0] == 36 and numpy.partition(".")[0].isdecimal() and int(numpy.partition(".")[0][:4]) >= 2:
        text = f"numpy {numpy}, but TensorRT and OpenCV of JetPack 6 were built for numpy 1"
        yield Finding("copies", FAULT, text, "pip install 'numpy<2'")
    elif not board.is_pi(machine) and not wheels:
        yield Finding("copies", OK, f"numpy {numpy or 'of the system'}, nothing hides JetPack's libraries")


def telemetry(machine: Machine) -> Iterator[Finding]:
    """ONNX Runtime reports to its maker unless it is told not to, in the program and in each unit."""
    off = "ORT_DISABLE_TELEMETRY=1"
    units = ("etc/systemd/system/emotion-edge*.service", "usr/lib/systemd/system/emotion-edge*.service")
    for path in (path for pattern in units for path in machine.found(pattern)):
        lines = machine.text(os.path.relpath(path, machine.root)).splitlines()
        set_here = [line for line in lines if line.startswith("Environment=") and "TELEMETRY" in line]
        if any("-m edge" in line for line in lines) and off not in " ".join(set_here):
            fix = "sudo emotion-edge service install, or install the kit again"
            yield Finding(
                "telemetry", NOTE, f"{path.name} does not set {off}; the program does it itself", fix
            )
    if machine.live and os.environ.get("ORT_DISABLE_TELEMETRY") != "1":
        yield Finding("telemetry", WARNING, "ONNX Runtime may look up its maker's host", f"export {off}")
    else:
        yield Finding("telemetry", OK, f"ONNX Runtime's is off ({off})")
