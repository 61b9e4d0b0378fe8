"""Clips from the golden sequences of a bundle, and who answers LoadGen with them (``loadgen.py``)."""

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

DEFAULT_STEPS = 16  # of a clip, where a bundle does not say how long it was trained


class Clips:
    """The golden sequences, normalized and as long as those of the training."""

    def __init__(self, bundle: Bundle) -> None:
        if "golden" not in bundle.manifest:
            raise BundleError(f"bundle {bundle.folder} has no golden.npz; export it again")
        with np.load(bundle.folder / bundle.manifest["golden"]["path"]) as kept:
            crops, self._logits = kept["crops"], kept["logits"]
        self._bundle = bundle
        self._faces = [normalize_crops(crops[:, at], bundle.manifest) for at in range(crops.shape[1])]
        self.steps = int(bundle.manifest.get("trained_window", DEFAULT_STEPS))
        # To and fro: the golden sequences are shorter than the clips and must not jump.
        turns = [*range(len(self._faces)), *range(len(self._faces) - 2, 0, -1)]
        self._order = [turns[at % len(turns)] for at in range(self.steps)]

    def __len__(self) -> int:
        return len(self._logits)

    def roll(self, engine: Engine, rows: Sequence[int]) -> Float32:
        """Last logits (len(rows),K) of these clips, one batch a step."""
        out: dict[str, Any] = {
            t.output: np.zeros((len(rows), *t.shape), np.float32) for t in self._bundle.state
        }
        for at in self._order:
            state = {t.input: out[t.output] for t in self._bundle.state}
            out = engine.run({"face": self._faces[at][rows], **state})
        # LoadGen reads rows by address: the reshape refuses an engine that gives fewer than were asked.
        return np.ascontiguousarray(out["logits"], np.float32).reshape(len(rows), self._logits.shape[-1])

    def expected(self) -> Float32:
        """Last fp32 logits (M,K): golden ones, or beyond their end those of a file that reproduces them."""
        if self.steps <= self._logits.shape[1]:
            return self._logits[:, self.steps - 1]
        plain = OrtEngine(self._bundle.model("fp32"), optimize=False)
        verdict = golden.reproduces(plain, self._bundle)
        if not verdict.passed:
            raise BundleError(f"fp32 does not reproduce golden.npz ({verdict}); export the bundle again")
        return self.roll(plain, range(len(self)))


class System:
    """What LoadGen asks. It keeps a fault: an exception inside LoadGen's C++ is a segmentation fault."""

    def __init__(self, lg: Any, engine: Engine, clips: Clips, batch: int) -> None:
        self._lg, self._engine, self._clips, self._batch = lg, engine, clips, batch
        self.taken_ms: list[float] = []  # of every batch
        self.fault: BaseException | None = None
        self.told: Callable[[int], None] = lambda answered: None  # hears how many clips were answered so far
        self._answered = 0

    def answer(self, rows: Sequence[int]) -> Float32 | None:
        """Last logits of these clips; nothing after a fault, so that LoadGen comes to its end."""
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
            out = self.answer([sample.index for sample in part])  # has to live until LoadGen has copied it
            start, size = (0, 0) if out is None else (out.ctypes.data, out[0].nbytes)
            reply = self._lg.QuerySampleResponse
            self._lg.QuerySamplesComplete([reply(s.id, start + k * size, size) for k, s in enumerate(part)])
            self._tell(len(part))

    def _tell(self, clips: int) -> None:
        """After the answer, so that drawing a bar is no part of a latency."""
        self._answered += clips
        try:
            self.told(self._answered)
        except BaseException as error:
            self.fault = self.fault or error

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Signals only leave a fault; on the way out a fault is raised, as one line."""

        def note(*_: object) -> None:
            self.fault = self.fault or KeyboardInterrupt()

        kept = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)
        if isinstance(self.fault, Exception) and not isinstance(self.fault, EdgeError):
            said = (str(self.fault) or type(self.fault).__name__).splitlines()[0]
            raise EdgeError(
                f"the network fails under LoadGen ({said}); try `emotion-edge check`"
            ) from self.fault
        if self.fault is not None:
            raise self.fault
