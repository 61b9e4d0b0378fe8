"""Engines that rest, so that a run beside them is not slowed down."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge.engines.backends import BackendPart
from edge.engines.switching import Switching


class Rests:
    """Engines that rest for the processor time of each step, and the clock that stands still meanwhile."""

    def __init__(self) -> None:
        self.rested_s = 0.0

    def clock(self) -> float:
        """Seconds without the rests."""
        return time.perf_counter() - self.rested_s

    def of(self, part: BackendPart) -> BackendPart:
        """``part`` with engines that rest."""
        rests = self

        class Resting(Switching):
            def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
                used = time.process_time()
                out = super().run(feeds)
                resting = time.perf_counter()
                time.sleep(time.process_time() - used)
                rests.rested_s += time.perf_counter() - resting
                return out

        return replace(part, load=lambda *about: Resting(part.load(*about)))
