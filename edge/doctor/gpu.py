"""The GPU, TensorRT against its numpy, and what speaks to CUDA."""

from __future__ import annotations

from collections.abc import Iterator

from edge.doctor import board
from edge.doctor.libraries import asked
from edge.doctor.machine import Machine
from edge.engines.backends import tensorrt_fault
from edge.errors import EdgeError
from edge.system import device
from edge.system.finding import NOTE, OK, WARNING, Finding, of_error

_TENSORRT = "python3-libnvinfer"
_SLOWER = "the network runs on the processor"


def look(machine: Machine) -> Iterator[Finding]:
    """The GPU that the driver finds; of a tree, whether TensorRT's package is there."""
    jetson = board.is_jetson(machine)
    if not machine.live:
        yield from _in_tree(machine) if jetson else [Finding("gpu", OK, f"no Jetson: {_SLOWER}")]
        return
    try:
        gpu = device.gpu()
    except EdgeError as error:
        if jetson:
            yield of_error("gpu", WARNING, error, "sudo dmesg | grep -i nvgpu; then restart the board")
        else:
            yield Finding("gpu", OK, f"no NVIDIA GPU: {_SLOWER}")
        return
    yield Finding("gpu", OK, f"{gpu.name}, compute capability {gpu.capability}")


def tensorrt(machine: Machine) -> Iterator[Finding]:
    """Whether TensorRT and a library for CUDA can be imported and used; only where there is a GPU."""
    if not machine.live:
        return
    try:
        device.gpu()
    except EdgeError:
        return
    level = WARNING if board.is_jetson(machine) else NOTE
    version, fault = asked("tensorrt")
    if "numpy" in fault:
        text = f"TensorRT does not fit the numpy that is installed ({fault})"
        yield Finding("tensorrt", level, text, "pip install 'numpy<2'")
    elif fault := tensorrt_fault():
        yield of_error("tensorrt", level, EdgeError(fault))
    else:
        yield Finding("tensorrt", OK, f"TensorRT {version or 'RTX'} and a library for CUDA are there")


def _in_tree(machine: Machine) -> Iterator[Finding]:
    if version := machine.package(_TENSORRT):
        yield Finding("gpu", OK, f"TensorRT's {_TENSORRT} {version}")
    else:
        text = f"{_TENSORRT} is not installed: {_SLOWER}"
        yield Finding("gpu", WARNING, text, f"sudo apt install {_TENSORRT}")
