"""From ONNX Runtime to TensorRT while the camera runs: engines are built beside it, and taken when right."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.engines import trt_cache
from edge.engines._cuda import HINT
from edge.engines.device import gpu, jetpack
from edge.engines.trt import TrtEngine
from edge.engines.trt_build import library
from edge.engines.trt_cache import PRECISIONS
from edge.errors import EdgeError, require
from edge.protocols import Engine
from edge.recognition.golden import reproduces

log = logging.getLogger("edge")
RUNGS = tuple(PRECISIONS.values())  # INT8, then FP16, then FP32


def unusable() -> str:
    """Why TensorRT cannot run on this machine, in one line; empty where it can."""
    try:
        jetpack()
        gpu()
        library()
        require("pycuda.driver", HINT)
    except EdgeError as error:
        return str(error)
    return ""


def load(bundle: Bundle, precision: str, faces: int, folder: Path) -> TrtEngine:
    """The engine of one precision, built first where it is not there yet (minutes on a board)."""
    key = trt_cache.key_of(bundle, precision, faces)
    plan = trt_cache.find(folder, key) or trt_cache.make(bundle, key, folder, log.debug)
    return TrtEngine(plan, bundle.state)


class Serving:
    """An engine that is ``standby`` until a TensorRT engine is there and reproduces golden.npz.

    ``rungs`` are tried in their order; each step down is logged with its reason. A missing engine is built by
    a process of its own while ``standby`` serves, and the change comes between two steps. Where
    the GPU fails later, ``standby`` takes over, with states that begin anew.
    """

    def __init__(
        self, bundle: Bundle, standby: Engine, rungs: Sequence[str], faces: int, folder: Path
    ) -> None:
        self._bundle, self._standby, self._now = bundle, standby, standby
        self._rungs, self._faces, self._folder = list(rungs), faces, folder
        self._builder: _Builder | None = None
        self._just_built = False  # the engine of the rung at hand, by this process
        self.inputs, self.outputs = standby.inputs, standby.outputs

    def __enter__(self) -> Serving:
        self._standby.__enter__()
        self._climb()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._builder:
            self._builder.stop()
        if self._now is not self._standby:
            self._now.__exit__(kind, error, trace)
        self._standby.__exit__(kind, error, trace)

    @property
    def serves(self) -> str:
        """What answers now."""
        return self._now.serves

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Run one batch on whatever serves now."""
        if self._builder and self._builder.done():
            self._built(self._builder)
        if self._now is self._standby:
            return self._standby.run(feeds)
        try:
            return self._now.run(feeds)
        except EdgeError as error:
            log.error("%s; ONNX Runtime takes over and states begin anew", error)
            self._now = self._standby
            return self._standby.run({"face": feeds["face"], **self._zero_states(len(feeds["face"]))})

    def _zero_states(self, count: int) -> dict[str, Any]:
        return {t.input: np.zeros((count, *t.shape), np.float32) for t in self._bundle.state}

    def _climb(self) -> None:
        """Take the first rung whose engine is there and right; build the first that is missing."""
        while self._rungs:
            try:
                if engine := self._found():
                    self._take(engine)
                else:
                    self._build()
                return
            except EdgeError as error:
                self._step_down(str(error))
        log.warning("no TensorRT engine serves here; ONNX Runtime goes on")

    def _found(self) -> TrtEngine | None:
        """The engine of this rung; None where it must be built: none there, or one that does not load."""
        key = trt_cache.key_of(self._bundle, self._rungs[0], self._faces)
        plan = trt_cache.find(self._folder, key)
        if plan is None:
            return None
        try:
            return TrtEngine(plan, self._bundle.state)
        except EdgeError as error:
            if self._just_built:
                raise
            log.warning("%s", error)
            trt_cache.forget(plan)
            return None

    def _build(self) -> None:
        if self._just_built:
            raise EdgeError(f"the engine that was built is not in {self._folder}")
        log.info("building the %s engine; ONNX Runtime serves meanwhile", self._rungs[0])
        self._builder = _Builder(build_command(self._bundle, self._rungs[0], self._faces, self._folder))

    def _built(self, builder: _Builder) -> None:
        self._builder = None
        if fault := builder.fault():
            self._step_down(fault)
        else:
            self._just_built = True
        self._climb()

    def _take(self, engine: TrtEngine) -> None:
        verdict = reproduces(engine, self._bundle)
        if not verdict.passed:
            engine.__exit__(None, None, None)
            raise EdgeError(f"it does not reproduce golden.npz on this machine ({verdict})")
        self._now = engine
        log.info("%s on TensorRT serves from now on (%s)", self._rungs[0], verdict)

    def _step_down(self, reason: str) -> None:
        log.warning("%s on TensorRT is left out: %s", self._rungs.pop(0), reason)
        self._just_built = False


def build_command(bundle: Bundle, precision: str, faces: int, folder: Path) -> list[str]:
    """``emotion-edge engine`` for one precision of ``bundle``."""
    name = next(name for name, kind in PRECISIONS.items() if kind == precision)
    return [
        *(sys.executable, "-m", "edge", "engine", str(bundle.folder)),
        *("--precision", name, "--faces", str(faces), "--out", str(folder)),
    ]


class _Builder:
    """A child process at low priority that builds one engine."""

    def __init__(self, command: Sequence[str]) -> None:
        self._told = tempfile.TemporaryFile("w+")  # noqa: SIM115, a pipe that nobody reads could fill up
        self._child = subprocess.Popen(
            ["nice", *command], stdout=subprocess.DEVNULL, stderr=self._told, start_new_session=True
        )

    def done(self) -> bool:
        return self._child.poll() is not None

    def fault(self) -> str:
        """What the finished child complained of; empty where it built the engine."""
        with self._told as file:
            file.seek(0)
            lines = file.read().strip().splitlines()
        if not self._child.returncode:
            return ""
        return lines[-1] if lines else f"the builder ended with {self._child.returncode}"

    def stop(self) -> None:
        """End the child, which ends its own and leaves no half engine."""
        self._child.terminate()
        self._child.wait()
        self._told.close()
