"""Where the time of a frame goes: each room's own time, without the time of what it calls.

The clock of a room stops while a room inside it works, so nothing is counted twice and the stages add up to
the frame; what the whole took is measured by itself and compared (``reconciled``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from edge.data import Frame
from edge.pipeline import Pipeline

T = TypeVar("T")
WAITS = ("decode", "capture")  # of a file, and of a camera, whose next frame another thread decodes meanwhile
STAGES = (*WAITS, "detect", "track", "select", "crop", "network", "decide", "publish", "loop")


class Stages:
    """Own seconds of each stage, frame by frame."""

    def __init__(self) -> None:
        self.totals: list[float] = []  # seconds of each whole frame, by a clock of its own
        self.frames: list[dict[str, float]] = []  # stage -> own seconds, for each frame
        self._spent: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    def enter(self, stage: str) -> None:
        """The clock of ``stage`` runs from now on, that of the stage around it stands still."""
        now = time.perf_counter()
        if self._open:
            self._spent[self._open[-1]] = self._spent.get(self._open[-1], 0.0) + now - self._since
        self._open.append(stage)
        self._since = now

    def leave(self) -> None:
        """Back to the stage around."""
        stage, now = self._open.pop(), time.perf_counter()
        self._spent[stage] = self._spent.get(stage, 0.0) + now - self._since
        self._since = now

    def timed(self, stage: str, call: Callable[..., T]) -> Callable[..., T]:
        """``call``, measured as ``stage``."""

        def measured(*args: Any, **kwargs: Any) -> T:
            self.enter(stage)
            try:
                return call(*args, **kwargs)
            finally:
                self.leave()

        return measured

    def each(self, stage: str, items: Iterable[Frame]) -> Iterator[Frame]:
        """``items``, with the wait for the next one measured as ``stage`` of the frame that it gives."""
        wait = self.timed(stage, lambda source: next(source, None))
        source = iter(items)
        while (item := wait(source)) is not None:
            yield item

    def frame_done(self, seconds: float) -> None:
        """Keep the stages of one frame that took ``seconds`` as a whole."""
        self.totals.append(seconds)
        self.frames.append(self._spent)
        self._spent = {}

    def clear(self) -> None:
        """Forget all, after a warm-up."""
        self.totals, self.frames, self._spent = [], [], {}

    def milliseconds(self) -> dict[str, list[float]]:
        """Own milliseconds of each stage that was there at all, one value a frame."""
        names = [name for name in STAGES if any(name in frame for frame in self.frames)]
        return {name: [1e3 * frame.get(name, 0.0) for frame in self.frames] for name in names}

    def working(self) -> list[float]:
        """Seconds of each frame without the wait for it."""
        return [
            total - sum(frame.get(name, 0.0) for name in WAITS)
            for total, frame in zip(self.totals, self.frames, strict=True)
        ]

    def reconciled(self) -> float:
        """Sum of all stages over the sum of all whole frames."""
        return sum(sum(frame.values()) for frame in self.frames) / max(sum(self.totals), 1e-12)


def instrument(pipeline: Pipeline, stages: Stages) -> None:
    """Measure the rooms of ``pipeline`` from now on; it costs some microseconds a frame."""
    recognizer = pipeline.recognizer
    for room, method, stage in (
        (pipeline, "step", "loop"),
        (pipeline.detector, "detect", "detect"),
        (pipeline.tracker, "update", "track"),
        (recognizer, "update", "select"),
        (recognizer, "crop", "crop"),
        (recognizer.engine, "run", "network"),
        (recognizer.engine, "tick", "loop"),
        (recognizer, "decide", "decide"),
        *((sink, "write", "publish") for sink in pipeline.sinks),
    ):
        setattr(room, method, stages.timed(stage, getattr(room, method)))
