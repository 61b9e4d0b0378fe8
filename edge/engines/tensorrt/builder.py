"""Builds a TensorRT plan file from an ONNX step graph, in a separate process.

``python -m edge.engines.tensorrt.builder MODEL.onnx OUT.plan``. Its memory is freed before the runtime
starts, and if the kernel kills it, nothing else dies. Networks are strongly typed: the engine uses the types
in the file, including its Q/DQ nodes, so there is no precision flag and no calibrator.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from edge.engines.tensorrt.build_progress import Phases
from edge.errors import DependencyError, EdgeError
from edge.system.checked_file import FileRefused, read_checked
from edge.system.command import finish
from edge.system.ownership import read_own, write_own
from edge.system.process import die_with_parent

WORKSPACE_MB = 256  # the reference step needs a tenth of it
_TIMINGS_BYTES = 256 << 20
_MODEL_BYTES = 2 << 30  # no larger ONNX file exists: Protocol Buffers end there
BUILDER_MB = 1500  # memory of the builder besides its workspace [predicted, not measured on a board]
HINT = "on a Jetson: sudo apt install python3-libnvinfer, in a venv with --system-site-packages"


class Unbuildable(EdgeError):
    """TensorRT rejects this ONNX file; one of another precision may work."""

    exit_code = 3


def library() -> ModuleType:
    """``tensorrt``, or ``tensorrt_rtx``, which has the same API, on a PC with an RTX GPU."""
    for name in ("tensorrt", "tensorrt_rtx"):
        try:
            trt = importlib.import_module(name)
        except ImportError:
            continue
        if not hasattr(trt, "Builder"):  # PyPI's "tensorrt" is an empty shell without NVIDIA's own index
            continue
        if name == "tensorrt" and int(trt.__version__.split(".")[0]) < 10:
            raise DependencyError(f"TensorRT {trt.__version__} is too old; install 10.3 or newer")
        return trt
    raise DependencyError(f"TensorRT cannot be imported; {HINT}")


def start(trt: ModuleType, kind: Any, logger: Any) -> Any:
    """A new ``Builder`` or ``Runtime``; EdgeError with the logged reason if the library cannot create one."""
    try:
        return kind(logger)
    except TypeError as error:  # raised by the bindings if the library returned no object
        raise EdgeError(f"TensorRT {trt.__version__} cannot start: {logger.last or error}") from error


def memory_fault(needed_mb: int, meminfo: Path = Path("/proc/meminfo")) -> str:
    """A warning if memory and swap may not suffice for ``needed_mb``; "" if they do, or are unknown."""
    try:
        rows = dict(line.split(":", 1) for line in meminfo.read_text("utf-8").splitlines() if ":" in line)
        free_mb = sum(int(rows[key].split()[0]) for key in ("MemAvailable", "SwapFree")) // 1024
    except (OSError, KeyError, ValueError, IndexError):
        return ""
    if free_mb >= needed_mb:
        return ""
    return (
        f"{free_mb} MB of memory and swap are free, the builder may need {needed_mb}; if it is killed, "
        "add swap: sudo fallocate -l 4G /swapfile; sudo chmod 600 /swapfile; sudo mkswap /swapfile; "
        "sudo swapon /swapfile"
    )


def build(
    model: bytes,
    name: str,
    faces: int,
    workspace_mb: int,
    timing_cache: Path | None,
    capability: str,
    say: Callable[[str], None],
) -> bytes:
    """The serialized engine for an ONNX file's bytes, for 1 to ``faces`` faces per step.

    ``capability`` ("8.6") builds for a GPU other than this machine's, if the library can. ``say`` receives
    progress as lines "12 Phase". Unbuildable includes the parser's message and the node.
    """
    trt = library()
    logger = make_logger(trt)
    builder = start(trt, trt.Builder, logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        raise Unbuildable(f"TensorRT {trt.__version__} rejects {name}: {_parser_errors(parser)}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_mb << 20)
    config.progress_monitor = _monitor(trt, say)
    config.add_optimization_profile(_profile(builder, network, faces))
    if capability:
        _target(trt, config, capability)
    timed = timing_cache is not None and trt.__name__ == "tensorrt"  # TensorRT-RTX has no timings to cache
    if timed:
        cache = config.create_timing_cache(_timings(timing_cache)) or config.create_timing_cache(b"")
        config.set_timing_cache(cache, ignore_mismatch=True)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise Unbuildable(
            f"TensorRT {trt.__version__} cannot build {name}: {logger.last or 'no reason given'}"
        )
    if timed and timing_cache is not None:
        write_own(timing_cache, bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


def _parser_errors(parser: Any) -> str:
    errors = [parser.get_error(at) for at in range(parser.num_errors)]
    return "; ".join(
        f"node {error.node_name() or error.node()} ({error.node_operator()}): {error.desc()}"
        for error in errors[:3]
    )


def _profile(builder: Any, network: Any, faces: int) -> Any:
    profile = builder.create_optimization_profile()
    for at in range(network.num_inputs):
        tensor = network.get_input(at)
        row = tuple(tensor.shape)[1:]
        profile.set_shape(tensor.name, (1, *row), (1, *row), (faces, *row))
    return profile


def _target(trt: ModuleType, config: Any, capability: str) -> None:
    capabilities = getattr(trt, "ComputeCapability", None)
    target = getattr(capabilities, f"SM{capability.replace('.', '')}", None)
    if target is None:
        raise EdgeError(
            f"TensorRT {trt.__version__} cannot build for capability {capability}; leave out --capability"
        )
    config.num_compute_capabilities = 1
    config.set_compute_capability(target, 0)


def _timings(path: Path | None) -> bytes:
    """The stored timings; none if another user can have written them."""
    try:
        return read_own(path, _TIMINGS_BYTES) if path else b""
    except FileRefused:
        return b""


def make_logger(trt: ModuleType) -> Any:
    """A TensorRT logger that keeps the last error."""

    class Logger(trt.ILogger):  # type: ignore[name-defined, misc]
        """Keeps the last error, which gives the reason if a TensorRT call returns None."""

        def __init__(self) -> None:
            super().__init__()
            self.last = ""

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.last = message.splitlines()[0]

    return Logger()


def _monitor(trt: ModuleType, say: Callable[[str], None]) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[name-defined, misc]
        """Passes on what TensorRT reports; it never ends a build."""

        def __init__(self) -> None:
            super().__init__()
            self._phases = Phases(say)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._phases.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._phases.step(phase_name, step)
            return True

        def phase_finish(self, phase_name: str) -> None:
            self._phases.finish(phase_name)

    return Monitor()


def _verified(path: Path, expected: str) -> bytes:
    """The bytes of a file, read once, so that what is parsed is what was checked."""
    try:
        content = read_checked(path, _MODEL_BYTES)
    except FileRefused as error:
        raise EdgeError(f"{path} {error}; copy the whole bundle again") from error
    if expected and hashlib.sha256(content).hexdigest() != expected:
        raise EdgeError(f"{path} does not match its manifest; copy or export the bundle again")
    return content


def main(argv: Sequence[str] | None = None) -> int:
    """Build and write one plan; progress goes to standard output.

    An error is one line and exit code 2, or 3 if TensorRT rejects this file.
    """
    die_with_parent()
    parser = argparse.ArgumentParser(prog="python -m edge.engines.tensorrt.builder")
    parser.add_argument("model", type=Path)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--sha256", default="", help="expected hash of the model")
    parser.add_argument("--faces", type=int, default=8)
    parser.add_argument("--workspace-mb", type=int, default=WORKSPACE_MB)
    parser.add_argument("--timing-cache", type=Path)
    parser.add_argument("--capability", default="")
    args = parser.parse_args(argv)

    def work() -> None:
        model = _verified(args.model, args.sha256)
        plan = build(
            model, args.model.name, args.faces, args.workspace_mb, args.timing_cache, args.capability,
            lambda line: print(line, flush=True),
        )  # fmt: skip
        write_own(args.plan, plan)

    return finish("trt_build", work, "no engine was written")


if __name__ == "__main__":
    sys.exit(main())
