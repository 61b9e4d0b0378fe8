"""The table of checks.

What loads NumPy, OpenCV or a part of the runtime is imported by its own check: where such a library is
broken, the others still say what they know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edge.doctor import access, board, clock, libraries, memory, nvme, power, service, storage
from edge.doctor.machine import Machine
from edge.system.finding import FAULT, OK, Finding, of_error


@dataclass(frozen=True)
class Check:
    """One thing that is looked at."""

    name: str
    look: Callable[[Machine], Iterable[Finding]]
    about: str  # in a sentence such as "the look at ... failed"
    quick: bool = True  # takes a moment, opens no device and runs no program
    patience_s: float = 5.0
    each: bool = False  # with the settings of each further camera, too


def _gpu(machine: Machine) -> Iterable[Finding]:
    from edge.doctor import gpu

    return gpu.look(machine)


def _tensorrt(machine: Machine) -> Iterable[Finding]:
    from edge.doctor import gpu

    return gpu.tensorrt(machine)


def _parts(machine: Machine) -> Iterable[Finding]:
    from edge.doctor import settings

    return settings.parts(machine)


def _shared(machine: Machine) -> Iterable[Finding]:
    from edge.doctor import settings

    return settings.shared(machine)


def _bundle(machine: Machine) -> Iterable[Finding]:
    from edge.doctor import settings

    return settings.bundle(machine)


def _detector(machine: Machine) -> Iterable[Finding]:
    from edge.doctor import settings

    return settings.detector(machine)


def _camera(machine: Machine) -> Iterable[Finding]:
    from edge.doctor import camera

    return camera.look(machine)


def _settings(machine: Machine) -> Iterable[Finding]:
    if machine.fault is not None:
        yield of_error("settings", FAULT, machine.fault, other="emotion-edge config reference")
    else:
        yield Finding("settings", OK, f"{machine.settings or 'no file: every setting has its default'}")


# In the order in which a person looks: the board, what it needs, and what runs on it.
CHECKS: tuple[Check, ...] = (
    Check("board", board.look, "board and release"),
    Check("python", libraries.interpreter, "Python"),
    Check("libraries", libraries.imports, "its libraries", quick=False, patience_s=100.0),
    Check("copies", libraries.copies, "copies of libraries"),
    Check("telemetry", libraries.telemetry, "telemetry of libraries"),
    Check("groups", access.groups, "groups"),
    Check("devices", access.devices, "rules for devices"),
    Check("argus", access.argus, "the daemon for CSI cameras", each=True),
    Check("gpu", _gpu, "the GPU", quick=False, patience_s=20.0),
    Check("tensorrt", _tensorrt, "TensorRT", quick=False, patience_s=60.0),
    Check("thermals", power.thermals, "temperatures"),
    Check("throttling", power.throttling, "throttling"),
    Check("power-mode", power.mode, "the power mode"),
    Check("supply", power.supply, "the supply"),
    Check("clock", clock.look, "the clock"),
    Check("memory", memory.look, "memory"),
    Check("space", storage.space, "free space"),
    Check("writable", storage.writable, "file systems"),
    Check("wear", storage.wear, "the wear of disks"),
    Check("ssd", nvme.wear, "the wear of an SSD", quick=False, patience_s=10.0),
    Check("settings", _settings, "the settings", each=True),
    Check("parts", _parts, "source and outputs", quick=False, each=True),
    Check("shared", _shared, "what two services have in common", quick=False),
    Check("bundle", _bundle, "the bundle", quick=False, patience_s=30.0, each=True),
    Check("detector", _detector, "the face detector", quick=False, each=True),
    Check("service", service.look, "the service", quick=False, patience_s=10.0, each=True),
    Check("health", service.health, "its figures"),
    Check("camera", _camera, "the camera", quick=False, patience_s=30.0, each=True),
)
