"""Figures that show remotely how a run is doing."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge.data import EmotionEstimate, Frame

WINDOW = 300  # frames over which rates and ages are computed


class Health:
    """Counts and measures one run; ``parts`` maps further sections to functions that return their figures."""

    def __init__(self, live: bool, now: Callable[[], float] = time.monotonic) -> None:
        self.parts: dict[str, Callable[[], Any]] = {}
        self._live, self._now, self._started_s = live, now, now()
        self.counts: Counter[str] = Counter()  # frames, faces, estimates, uncertain
        self._first_s: float | None = None  # time of the first frame
        self._last_s = 0.0  # and of the last one
        self._done_s: deque[float] = deque(maxlen=WINDOW)
        self._ages_s: deque[float] = deque(maxlen=WINDOW)

    def frame(self, frame: Frame, estimates: Sequence[EmotionEstimate]) -> None:
        """Count one processed frame; its age is the time since its capture."""
        now = self._now()
        self._done_s.append(now)
        self.counts["frames"] += 1
        self._first_s = frame.timestamp_s if self._first_s is None else self._first_s
        self._last_s = frame.timestamp_s
        # Ids are given in order and never reused.
        self.counts["faces"] = max([self.counts["faces"], *(e.track_id for e in estimates)])
        self.counts["estimates"] += sum(estimate.fresh for estimate in estimates)
        self.counts["uncertain"] += sum(e.fresh and e.label == "uncertain" for e in estimates)
        if self._live:
            self._ages_s.append(now - frame.timestamp_s)

    @property
    def source_s(self) -> float:
        """Seconds from the first frame to the last one, on the source's clock."""
        return 0.0 if self._first_s is None else self._last_s - self._first_s

    def snapshot(self) -> dict[str, Any]:
        """All figures, ready for JSON; ages and times in seconds, rates per second."""
        now = self._now()
        span = now - self._done_s[0] if len(self._done_s) > 1 else 0.0
        figures: dict[str, Any] = {
            "schema": "emotion-edge-health/1",
            "up_s": round(now - self._started_s, 1),
            "fps": round((len(self._done_s) - 1) / span, 2) if span > 0 else 0.0,
            "last_frame_s": round(now - self._done_s[-1], 2) if self._done_s else None,
            **{name: self.counts[name] for name in ("frames", "estimates", "uncertain")},
        }
        if self._ages_s:
            p50, p99 = np.quantile(self._ages_s, [0.5, 0.99])
            figures["age_s"] = {"p50": round(float(p50), 4), "p99": round(float(p99), 4)}
        return figures | {name: section() for name, section in self.parts.items()}
