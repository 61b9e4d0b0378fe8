"""A progress bar on stderr, shown on a terminal if the total is known."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TypeVar

from edge.system.closing import Closing

T = TypeVar("T")
_WIDTH = 30
_REDRAW_S = 0.1


class Bar(Closing):
    """The bar, for work other than a loop; draws nothing unless stderr is a terminal and there is a total."""

    def __init__(self, total: float | None, unit: str) -> None:
        self._total, self._unit = total or 0.0, unit
        self.shown = self._total > 0 and sys.stderr.isatty()
        self._done = self._drawn_s = 0.0

    def close(self) -> None:
        """Draw the final state and end the line."""
        if self.shown:
            self._draw()
            print(file=sys.stderr)

    def at(self, done: float) -> None:
        """Set how much of the total is done; drawn at most ten times a second."""
        self._done = done
        if self.shown and monotonic() - self._drawn_s > _REDRAW_S:
            self._draw()
            self._drawn_s = monotonic()

    def _draw(self) -> None:
        full = max(min(_WIDTH, int(_WIDTH * self._done / self._total)), 0)
        bar = "#" * full + "." * (_WIDTH - full)
        # The trailing spaces overwrite a longer previous line.
        text = f"{self._done:.0f}/{self._total:.0f} {self._unit}  "
        print(f"\r[{bar}] {text}", end="", file=sys.stderr, flush=True)


def with_progress(items: Iterable[T], total: int | None, unit: str = "frames") -> Iterator[T]:
    """Yield ``items`` unchanged and draw how many of ``total`` are done."""
    with Bar(total, unit) as bar:
        for done, item in enumerate(items, 1):
            yield item
            bar.at(done)
