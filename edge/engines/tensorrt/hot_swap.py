"""From ONNX Runtime to TensorRT while the camera runs: engines are built beside it, and taken when right."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.engines.golden import reproduces
from edge.engines.tensorrt import plans
from edge.engines.tensorrt.builder import library
from edge.engines.tensorrt.command import show
from edge.engines.tensorrt.engine import Stale, TrtEngine
from edge.engines.tensorrt.memory import HINT, Row
from edge.engines.tensorrt.plans import PRECISIONS
from edge.errors import EdgeError, require
from edge.protocols import Engine
from edge.system.device import gpu, jetpack
from edge.system.process import START

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


def rungs_from(bundle: Bundle, precision: str) -> list[str]:
    """``precision`` and what is tried after it, as far as ``bundle`` has the files."""
    rungs = RUNGS[RUNGS.index(precision) :]
    for missing in (rung for rung in rungs if rung not in bundle.precisions):
        log.warning("%s on TensorRT is left out: the bundle has no such file", missing)
    return [rung for rung in rungs if rung in bundle.precisions]


def obtain(bundle: Bundle, precision: str, faces: int, folder: Path) -> TrtEngine:
    """The engine of one precision, built first where none is there or the one there is stale."""
    key = plans.key_of(bundle, precision, faces)
    plan = plans.find(folder, key) or plans.make(bundle, key, folder, show)
    try:
        return TrtEngine(plan, bundle.state)
    except Stale:
        plans.forget(plan)
        return TrtEngine(plans.make(bundle, key, folder, show), bundle.state)


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
        self._rungs, self._faces, self._folder = list(rungs), faces, folder.absolute()
        self._builder: _Builder | None = None
        self._just_built = False  # the engine of the rung at hand, by this process
        self._gpu_failed = False
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
        """Run one batch on whatever serves now; an engine that was built meanwhile is taken first."""
        self._take_built()
        if self._now is not self._standby:
            try:
                return self._now.run(feeds)
            except EdgeError as error:
                self._fail(str(error))
        return self._standby.run(_on_host(feeds) if self._gpu_failed else feeds)

    def _take_built(self) -> None:
        """Take the engine that was built, or go on without it."""
        builder = self._builder
        if builder and builder.done():
            self._builder = None
            if fault := builder.fault():
                self._not_built(fault, builder.refused)
            else:
                self._just_built = True
            self._climb()

    def _fail(self, reason: str) -> None:
        log.error("%s; %s takes over and states begin anew", reason, self._standby.serves)
        failed, self._now, self._gpu_failed = self._now, self._standby, True
        failed.__exit__(None, None, None)

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
        log.warning("no TensorRT engine serves here; %s goes on", self._standby.serves)

    def _found(self) -> TrtEngine | None:
        """The engine of this rung; None where it must be built: none there, or one that is stale."""
        key = plans.key_of(self._bundle, self._rungs[0], self._faces)
        plan = plans.find(self._folder, key)
        if plan is None:
            return None
        try:
            return TrtEngine(plan, self._bundle.state)
        except Stale as error:
            if self._just_built:
                raise
            log.warning("%s", error)
            plans.forget(plan)
            return None

    def _build(self) -> None:
        if self._just_built:
            raise EdgeError(f"the engine that was built is not in {self._folder}")
        command = build_command(self._bundle, self._rungs[0], self._faces, self._folder)
        try:
            self._builder = _Builder(command)
        except OSError as error:
            raise EdgeError(f"the builder cannot be started ({error})") from error
        log.info("building the %s engine; %s serves meanwhile", self._rungs[0], self._standby.serves)

    def _not_built(self, fault: str, refused: bool) -> None:
        """A file that is refused may do in another precision; a full disk will not get emptier by that."""
        if refused:
            self._step_down(fault)
        else:
            log.warning("no engine could be built: %s", fault)
            self._rungs.clear()

    def _take(self, engine: TrtEngine) -> None:
        try:
            verdict = reproduces(engine, self._bundle)
            if not verdict.passed:
                raise EdgeError(f"it does not reproduce golden.npz on this machine ({verdict})")
        except BaseException:
            engine.__exit__(None, None, None)
            raise
        self._now = engine
        log.info("%s serves from now on (%s)", engine.serves, verdict)

    def _step_down(self, reason: str) -> None:
        log.warning("%s on TensorRT is left out: %s", self._rungs.pop(0), reason)
        self._just_built = False


def _on_host(feeds: Mapping[str, Any]) -> dict[str, Any]:
    """Feeds without rows of a device that failed: those states begin anew."""
    return {
        name: value
        if isinstance(value, np.ndarray)
        else [np.zeros(row.table.shape, np.float32) if isinstance(row, Row) else row for row in value]
        for name, value in feeds.items()
    }


def build_command(bundle: Bundle, precision: str, faces: int, folder: Path) -> list[str]:
    """``emotion-edge engine`` for one precision of ``bundle``."""
    name = next(name for name, kind in PRECISIONS.items() if kind == precision)
    return [
        *(sys.executable, "-m", "edge.engines.tensorrt.command", str(bundle.folder.resolve())),
        *("--precision", name, "--faces", str(faces), "--out", str(folder)),
    ]


class _Builder:
    """A child process at low priority that builds one engine."""

    def __init__(self, command: Sequence[str]) -> None:
        # To memory: a pipe that nobody reads could fill up, and the disk may be full.
        self._told = os.fdopen(os.memfd_create("builder"), "w+")
        self._child = subprocess.Popen(
            ["nice", *command],
            stdout=subprocess.DEVNULL,
            stderr=self._told,
            start_new_session=True,
            cwd=START,
        )

    def done(self) -> bool:
        return self._child.poll() is not None

    @property
    def refused(self) -> bool:
        return self._child.returncode == plans.Refused.exit_code

    def fault(self) -> str:
        """What the finished child complained of; empty where it built the engine."""
        with self._told as file:
            file.seek(0)
            lines = file.read().strip().splitlines()
        if not self._child.returncode:
            return ""
        return lines[-1].rpartition("error: ")[2] if lines else f"it ended with {self._child.returncode}"

    def stop(self) -> None:
        """End the child, which ends its own and leaves no half engine."""
        self._child.terminate()
        try:
            self._child.wait(5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._told.close()
