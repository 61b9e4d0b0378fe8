"""Where the time of a frame goes: the own time of each stage, without the stages that it calls.

A stage's clock stops while an inner stage runs, so nothing counts twice and the stages add up to the frame.
The whole frame is also timed separately and compared (``reconciled``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from edge.data import Frame
from edge.errors import EdgeError
from edge.pipeline import Pipeline
from edge.system.progress import with_progress

T = TypeVar("T")
WARM_UP = 10  # frames
WAITS = ("decode", "capture")  # for a file's next frame, or a camera's, which another thread decodes
STAGES = (*WAITS, "detect", "track", "select", "crop", "network", "decide", "publish", "loop")


class Stages:
    """Own seconds of each stage, frame by frame."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.totals: list[float] = []  # seconds of each whole frame, timed separately
        self.frames: list[dict[str, float]] = []  # stage -> own seconds, for each frame
        self._spent: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    def enter(self, stage: str) -> None:
        """Start the clock of ``stage`` and stop that of the enclosing stage."""
        now = self._clock()
        if self._open:
            self._spent[self._open[-1]] = self._spent.get(self._open[-1], 0.0) + now - self._since
        self._open.append(stage)
        self._since = now

    def leave(self) -> None:
        """Return to the enclosing stage."""
        stage, now = self._open.pop(), self._clock()
        self._spent[stage] = self._spent.get(stage, 0.0) + now - self._since
        self._since = now

    def timed(self, stage: str, call: Callable[..., T]) -> Callable[..., T]:
        """``call``, timed as ``stage``."""

        def measured(*args: Any, **kwargs: Any) -> T:
            self.enter(stage)
            try:
                return call(*args, **kwargs)
            finally:
                self.leave()

        return measured

    def each(self, stage: str, frames: Iterable[Frame]) -> Iterator[Frame]:
        """``frames``, with the wait for each one timed as its ``stage``."""
        wait = self.timed(stage, lambda source: next(source, None))
        source = iter(frames)
        while (frame := wait(source)) is not None:
            yield frame

    def frame_done(self, seconds: float) -> None:
        """Store the stages of one frame that took ``seconds`` as a whole."""
        self.totals.append(seconds)
        self.frames.append(self._spent)
        self._spent = {}

    def clear(self) -> None:
        """Drop everything, after a warm-up."""
        self.totals, self.frames, self._spent = [], [], {}

    def milliseconds(self) -> dict[str, list[float]]:
        """Own milliseconds of each stage that occurred, one value per frame."""
        names = [name for name in STAGES if any(name in frame for frame in self.frames)]
        return {name: [1e3 * frame.get(name, 0.0) for frame in self.frames] for name in names}

    def working(self) -> list[float]:
        """Seconds of each frame without the wait for it."""
        return [
            total - sum(frame.get(name, 0.0) for name in WAITS)
            for total, frame in zip(self.totals, self.frames, strict=True)
        ]

    def reconciled(self) -> float:
        """The sum of all stages divided by the sum of all whole frames."""
        return sum(sum(frame.values()) for frame in self.frames) / max(sum(self.totals), 1e-12)


def instrument(pipeline: Pipeline, stages: Stages) -> None:
    """Time the parts of ``pipeline`` from now on, at a cost of some microseconds per frame."""
    recognizer = pipeline.recognizer
    for part, method, stage in (
        (pipeline, "step", "loop"),
        (pipeline.detector, "detect", "detect"),
        (pipeline.tracker, "update", "track"),
        (recognizer, "update", "select"),
        (recognizer, "crop", "crop"),
        (recognizer.engine, "run", "network"),
        (recognizer, "decide", "decide"),
        *((sink, "write", "publish") for sink in pipeline.sinks),
    ):
        setattr(part, method, stages.timed(stage, getattr(part, method)))


def measure(
    pipeline: Pipeline,
    frames: Iterable[Frame],
    stages: Stages,
    counts: dict[str, int],
    wait: str = "decode",
    total: int | None = None,
) -> float:
    """Take ``frames`` through the pipeline; seconds from the first to the last one that counts.

    ``wait`` is the stage of waiting for the next frame, ``total`` the length of the progress bar.
    EdgeError if the warm-up uses up all frames.
    """
    instrument(pipeline, stages)
    source, warmed = iter(with_progress(stages.each(wait, frames), total)), 0
    for frame in islice(source, WARM_UP):
        pipeline.step(frame)
        warmed += 1
    stages.clear()
    began = started = time.perf_counter()
    for frame in source:
        estimates = pipeline.step(frame)
        done = time.perf_counter()
        stages.frame_done(done - started)
        started = done
        counts["frames"] += 1
        counts["faces"] += len(estimates)
        counts["estimates"] += sum(estimate.fresh for estimate in estimates)
    if not counts["frames"]:
        raise EdgeError(
            f"{warmed} frames came, and the first {WARM_UP} warm up; take a longer source or raise --frames"
        )
    return started - began
