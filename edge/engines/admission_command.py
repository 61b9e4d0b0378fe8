"""The child process that tries a network for the first time, see ``edge.engines.admission``.

It finds a request on standard input, sets itself limits, and prints the Verdict as JSON.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from contextlib import suppress
from math import ceil, inf, prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import default_rng  # now, not at its first use under the limits

from edge.bundle import Bundle
from edge.config import EngineConfig, LimitsConfig
from edge.engines.backends import BACKENDS
from edge.engines.golden import Verdict, reproduces
from edge.engines.records import verdict_fields
from edge.engines.resting import Rests
from edge.errors import BundleError, EdgeError
from edge.manifest import parse
from edge.protocols import Engine
from edge.system.command import finish
from edge.system.ort_session import onnxruntime
from edge.system.process import die_with_parent

# Memory that a network may take: a base, and multiples of its file and of eight faces of three channels.
# Measured with ONNX Runtime 1.31 on x86: 3 times a file of float32, 5 of float16, 7 of int8 weights; 70 times
# the faces for three layers of 64 channels at full size. The reference takes 21 MB of its 150.
_BASE_MB, _FILES, _FACES, _STATES = 64.0, 12, 8 * 256, 8 * 16
_MOST_FACES_MB = 2048.0  # for faces of more than 290 pixels
_OUTPUT_BYTES = 1 << 20  # what the child may write: its verdict or its error
_ALLOCATION = re.compile("allocate memory|bad_alloc|bad allocation")
_BATCHES = (1, 2, 8)  # golden.npz runs in batches of eight


def examine(bundle: Bundle, precision: str, resting: bool = False, brief: bool = False) -> Verdict:
    """Load a network, run it on zeros, noise and golden.npz, and say how close it comes.

    Raises BundleError if it cannot be loaded, gives no finite numbers, or is not what the manifest describes.
    """
    part = Rests().of(BACKENDS[0]) if resting else BACKENDS[0]
    try:
        with part.load(EngineConfig(), bundle, precision, 1) as engine:
            _try(engine, bundle, precision)
            if bundle.manifest.golden is None and precision == "fp32":
                return Verdict(1.0, 0.0)
            return reproduces(engine, bundle, brief)
    except (MemoryError, EdgeError) as error:
        # ONNX Runtime has no class of errors for it.
        if isinstance(error, EdgeError) and not _ALLOCATION.search(str(error.__cause__)):
            raise
        raise BundleError(
            f"{bundle.model(precision)} takes more memory than it may; export a smaller network, free "
            "memory, or set a higher limits.load_mb"
        ) from error


def confine(bundle: Bundle, precision: str) -> None:
    """Limit what this process may take from now on: memory, the size of files, no core dump."""
    onnxruntime()  # loaded before, so that its own memory does not count
    megabytes = bundle.limits.load_mb or min(_fair_mb(bundle, precision), _available_mb())
    _limit(resource.RLIMIT_DATA, _data_bytes() + int(megabytes * 1e6))
    _limit(resource.RLIMIT_FSIZE, _OUTPUT_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    # The parent ends this process before; this counts if the parent was killed while this one started.
    _limit(resource.RLIMIT_CPU, ceil(bundle.limits.load_s) + 1)


def main() -> int:
    """Answer one request; the exit code is 0, or 2 with one line on standard error."""
    die_with_parent()
    return finish("emotion-edge", _answer, "the network was not checked")


def _answer() -> None:
    request = json.load(sys.stdin)  # of the parent, which has checked all of it
    bundle = Bundle(
        Path(request["folder"]), parse(request["manifest"]), limits=LimitsConfig(**request["limits"])
    )
    precision = request["precision"]
    confine(bundle, precision)
    verdict = examine(bundle, precision, request["resting"], request["brief"])
    print(json.dumps(verdict_fields(verdict)))


def _try(engine: Engine, bundle: Bundle, precision: str) -> None:
    """Two steps in each size of batch, of zeros and then of noise.

    BundleError if an output has another shape than in the manifest, or is not finite.
    """
    face, rng = bundle.manifest.input, default_rng(0)
    shapes = {"logits": (len(bundle.labels),)} | {t.output: t.shape for t in bundle.state}
    shapes |= bundle.manifest.extra_outputs
    for count in _BATCHES:
        state = {t.input: np.zeros((count, *t.shape), np.float32) for t in bundle.state}
        faces = np.zeros((count, face.channels, face.size, face.size), np.float32)
        for _ in range(2):
            out: dict[str, Any] = engine.run({"face": faces, **state})
            for name, shape in shapes.items():
                fault = "" if np.isfinite(out[name]).all() else "holds NaN or infinity"
                if out[name].shape != (count, *shape):
                    fault = f"has the shape {out[name].shape}, expected {(count, *shape)},"
                if fault:
                    raise BundleError(
                        f"{bundle.model(precision)}: {name} {fault} for {count} faces; "
                        "export the bundle again"
                    )
            state = {t.input: out[t.output] for t in bundle.state}
            faces = rng.standard_normal(faces.shape).astype(np.float32)


def _fair_mb(bundle: Bundle, precision: str) -> float:
    """What a network of this size may need, in MB."""
    faces_mb = min(4 * _FACES * 3 * bundle.manifest.input.size**2 / 1e6, _MOST_FACES_MB)
    states = _STATES * sum(prod(tensor.shape) for tensor in bundle.state)
    return _BASE_MB + faces_mb + (_FILES * bundle.model(precision).stat().st_size + 4 * states) / 1e6


def _available_mb() -> float:
    """What this machine has left for all programs: a network never drives the others out of memory."""
    with suppress(OSError, ValueError, IndexError):
        return _kilobytes("/proc/meminfo", "MemAvailable:") / 1e3
    return inf


def _data_bytes() -> int:
    """The private writable memory that this process has, as RLIMIT_DATA counts it."""
    with suppress(OSError, ValueError, IndexError):
        return _kilobytes("/proc/self/status", "VmData:") << 10
    return 1 << 30  # another system: the limit is looser there


def _kilobytes(path: str, name: str) -> int:
    """A line of proc(5): ``VmData:    1234 kB``."""
    return int(Path(path).read_text("utf-8").split(name)[1].split()[0])


def _limit(what: int, most: int) -> None:
    """Lower a limit; one that is already lower stays.

    A sandbox may forbid it, but has limits of its own.
    """
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with suppress(OSError):
        resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    sys.exit(main())
