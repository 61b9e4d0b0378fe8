"""The system under test of LoadGen: clips of golden sequences, and their answers."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.data import Float32
from edge.engines import golden
from edge.engines.ort import OrtEngine
from edge.errors import BundleError, EdgeError
from edge.preprocess import normalize_crops
from edge.protocols import Engine


class Clips:
    """The golden sequences, normalized, each as long as a training sequence."""

    def __init__(self, bundle: Bundle) -> None:
        entry = bundle.manifest.golden
        if entry is None:
            raise BundleError(f"bundle {bundle.folder} has no golden.npz; export it again")
        with np.load(bundle.folder / entry.path) as archive:
            crops, self._logits = archive["crops"], archive["logits"]
        self._bundle = bundle
        self._faces = [normalize_crops(crops[:, at], bundle.manifest) for at in range(crops.shape[1])]
        self.steps = bundle.manifest.trained_window
        # Back and forth: the golden sequences are shorter than the clips and must not jump.
        turns = [*range(len(self._faces)), *range(len(self._faces) - 2, 0, -1)]
        self._order = [turns[at % len(turns)] for at in range(self.steps)]

    def __len__(self) -> int:
        return len(self._logits)

    def roll(self, engine: Engine, rows: Sequence[int]) -> Float32:
        """Last logits (len(rows),K) of these clips, one batch per step."""
        steps = (self._faces[at][rows] for at in self._order)
        logits = golden.roll_faces(engine, self._bundle.state, steps)[:, -1]
        # LoadGen reads rows by address: the reshape rejects an engine that always returns too few.
        return np.ascontiguousarray(logits, np.float32).reshape(len(rows), self._logits.shape[-1])

    def expected(self) -> Float32:
        """Last fp32 logits (M,K): the golden ones, for longer clips those of fp32 if it reproduces them."""
        if self.steps <= self._logits.shape[1]:
            return self._logits[:, self.steps - 1]
        plain = OrtEngine(self._bundle.model("fp32"), optimize=False)
        verdict = golden.reproduces(plain, self._bundle)
        if not verdict.passed:
            raise BundleError(f"fp32 does not reproduce golden.npz ({verdict}); export the bundle again")
        return self.roll(plain, range(len(self)))


class System:
    """Answers LoadGen. It stores faults: an exception inside LoadGen's C++ is a segmentation fault."""

    def __init__(self, lg: Any, engine: Engine, clips: Clips, batch: int) -> None:
        self._lg, self._engine, self._clips, self._batch = lg, engine, clips, batch
        self.taken_ms: list[float] = []  # of every batch
        self.fault: BaseException | None = None
        self.on_progress: Callable[[int], None] = lambda answered: None  # gets the clips answered so far
        self._answered = 0

    def answer(self, rows: Sequence[int]) -> Float32 | None:
        """Last logits of these clips; None after a fault, so that LoadGen comes to its end."""
        try:
            if self.fault is None:
                started = time.perf_counter()
                out = self._clips.roll(self._engine, rows)
                self.taken_ms.append(1e3 * (time.perf_counter() - started))
                return out
        except BaseException as error:
            self.fault = error
        return None

    def issue(self, query: Sequence[Any]) -> None:
        """LoadGen's callback: answer each sample of a query."""
        for at in range(0, len(query), self._batch):
            part = query[at : at + self._batch]
            out = self.answer([sample.index for sample in part])  # must live until LoadGen has copied it
            start, size = (0, 0) if out is None else (out.ctypes.data, out[0].nbytes)
            reply = self._lg.QuerySampleResponse
            self._lg.QuerySamplesComplete([reply(s.id, start + k * size, size) for k, s in enumerate(part)])
            self._report(len(part))

    def _report(self, clips: int) -> None:
        """Report progress after the answer, so that drawing a bar is no part of a latency."""
        self._answered += clips
        try:
            self.on_progress(self._answered)
        except BaseException as error:
            self.fault = self.fault or error

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn signals into a stored fault; raise a stored fault on exit, as one line."""

        def note(*_: object) -> None:
            self.fault = self.fault or KeyboardInterrupt()

        previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        if isinstance(self.fault, Exception) and not isinstance(self.fault, EdgeError):
            reason = (str(self.fault) or type(self.fault).__name__).splitlines()[0]
            raise EdgeError(
                f"the network fails under LoadGen ({reason}); try `emotion-edge check`"
            ) from self.fault
        if self.fault is not None:
            raise self.fault
