"""Switches from ONNX Runtime to TensorRT during a run: engines are built alongside and used once verified."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.engines import _cuda
from edge.engines.golden import reproduces
from edge.engines.switching import Switching
from edge.engines.tensorrt import build_progress, plans
from edge.engines.tensorrt.builder import library
from edge.engines.tensorrt.command import make_with_progress
from edge.engines.tensorrt.engine import Stale, TrtEngine
from edge.engines.tensorrt.memory import Row
from edge.engines.tensorrt.plans import PRECISIONS
from edge.errors import EdgeError
from edge.protocols import Engine
from edge.system.background import Background
from edge.system.device import gpu, jetpack

log = logging.getLogger("edge")
FALLBACKS = tuple(PRECISIONS.values())  # INT8, then FP16, then FP32


def unusable() -> str:
    """Why TensorRT cannot run on this machine, in one line; "" if it can."""
    try:
        jetpack()
        gpu()
        library()
        _cuda.driver()
    except EdgeError as error:
        return str(error)
    return ""


def precisions_from(bundle: Bundle, precision: str) -> list[str]:
    """``precision`` and its fallbacks, if ``bundle`` has their files."""
    precisions = FALLBACKS[FALLBACKS.index(precision) :]
    for missing in (name for name in precisions if name not in bundle.precisions):
        log.warning("%s on TensorRT is skipped: the bundle has no such file", missing)
    return [name for name in precisions if name in bundle.precisions]


def obtain(
    bundle: Bundle,
    precision: str,
    faces: int,
    folder: Path,
    make: Callable[[Bundle, plans.Key, Path], Path] = make_with_progress,
) -> TrtEngine:
    """The engine of one precision, built first if it is missing or stale."""
    key = plans.key_of(bundle, precision, faces)
    plan = plans.find(folder, key) or make(bundle, key, folder)
    try:
        return TrtEngine(plan, bundle.state)
    except Stale:
        plans.forget(plan)
        return TrtEngine(make(bundle, key, folder), bundle.state)


class Serving(Switching):
    """An engine that uses ``standby`` until a TensorRT engine is available and reproduces golden.npz.

    ``precisions`` are tried in order; each one skipped is logged with the reason. A missing engine is built
    in a separate process while ``standby`` serves, and the switch happens between two steps. If the GPU fails
    later, ``standby`` takes over, with states that start from zero.
    """

    def __init__(
        self, bundle: Bundle, standby: Engine, precisions: Sequence[str], faces: int, folder: Path
    ) -> None:
        super().__init__(standby)
        self._bundle, self._standby = bundle, standby
        self._precisions, self._faces, self._folder = list(precisions), faces, folder.absolute()
        self._builder: Background | None = None
        self._just_built = False  # whether this process has built the engine of the first precision left
        self._gpu_failed = False

    def __enter__(self) -> Serving:
        super().__enter__()
        self._advance()
        return self

    def close(self) -> None:
        """Stop a running build and close the engines."""
        if self._builder:
            self._builder.stop()
        super().close()
        if self._now is not self._standby:
            self._standby.__exit__(None, None, None)

    @property
    def building(self) -> build_progress.Progress | None:
        """The engine that is being built meanwhile, here or by another process for which this one waits."""
        return build_progress.read(self._folder) if self._builder else None

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Run one batch on the engine in use, after switching to one that was built meanwhile."""
        self._check_builder()
        if self._now is not self._standby:
            try:
                return self._now.run(feeds)
            except EdgeError as error:
                self._fail(str(error))
        return self._standby.run(_on_host(feeds) if self._gpu_failed else feeds)

    def _check_builder(self) -> None:
        """If a build has finished, switch to its engine, or continue without it."""
        builder = self._builder
        if builder and (code := builder.returncode) is not None:
            self._builder, fault = None, builder.fault()
            builder.stop()
            if fault:
                self._build_failed(fault, refused=code == plans.Refused.exit_code)
            else:
                self._just_built = True
            self._advance()

    def _fail(self, reason: str) -> None:
        log.error("%s; %s takes over and states start from zero", reason, self._standby.serves)
        failed, self._now, self._gpu_failed = self._now, self._standby, True
        failed.__exit__(None, None, None)

    def _advance(self) -> None:
        """Switch to the first precision whose engine works; if its engine is missing, start to build it."""
        while self._precisions:
            try:
                if engine := self._load():
                    self._switch_to(engine)
                else:
                    self._build()
                return
            except EdgeError as error:
                self._skip(str(error))
        log.warning("no TensorRT engine works here; %s stays in use", self._standby.serves)

    def _load(self) -> TrtEngine | None:
        """The engine of the first precision; None if it is missing or stale and must be built."""
        key = plans.key_of(self._bundle, self._precisions[0], self._faces)
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
            raise EdgeError(f"the newly built engine is missing from {self._folder}")
        command = build_command(self._bundle, self._precisions[0], self._faces, self._folder)
        try:
            self._builder = Background(command)
        except OSError as error:
            raise EdgeError(f"the builder cannot be started ({error})") from error
        log.info("building the %s engine; %s is used meanwhile", self._precisions[0], self._standby.serves)

    def _build_failed(self, fault: str, refused: bool) -> None:
        """Try another precision if the file was rejected; otherwise (a full disk) it would fail as well."""
        if refused:
            self._skip(fault)
        else:
            log.warning("no engine could be built: %s", fault)
            self._precisions.clear()

    def _switch_to(self, engine: TrtEngine) -> None:
        try:
            verdict = reproduces(engine, self._bundle)
            if not verdict.passed:
                raise EdgeError(f"it does not reproduce golden.npz on this machine ({verdict})")
        except BaseException:
            engine.close()
            raise
        self._now = engine
        log.info("switched to %s (%s)", engine.serves, verdict)

    def _skip(self, reason: str) -> None:
        log.warning("%s on TensorRT is skipped: %s", self._precisions.pop(0), reason)
        self._just_built = False


def _on_host(feeds: Mapping[str, Any]) -> dict[str, Any]:
    """Feeds with zeros in place of rows on the failed device."""
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
