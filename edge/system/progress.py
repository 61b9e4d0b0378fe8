"""A progress bar on stderr, shown where someone watches and the length is known."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from time import monotonic
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")
_WIDTH = 30
_REDRAW_S = 0.1


class Bar:
    """The bar itself, for work that is no loop; it draws nothing unless someone watches and there is a total.

    Ends its line on the way out.
    """

    def __init__(self, total: float | None, unit: str) -> None:
        self._total, self._unit = total or 0.0, unit
        self._shown = self._total > 0 and sys.stderr.isatty()
        self._done = self._drawn_s = 0.0

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._draw()
            print(file=sys.stderr)

    def at(self, done: float) -> None:
        """So much of the total is done; drawn ten times a second at most."""
        self._done = done
        if self._shown and monotonic() - self._drawn_s > _REDRAW_S:
            self._draw()
            self._drawn_s = monotonic()

    def _draw(self) -> None:
        full = max(min(_WIDTH, int(_WIDTH * self._done / self._total)), 0)
        bar = "#" * full + "." * (_WIDTH - full)
        # Spaces: the line before may have been longer.
        told = f"{self._done:.0f}/{self._total:.0f} {self._unit}  "
        print(f"\r[{bar}] {told}", end="", file=sys.stderr, flush=True)


def with_progress(items: Iterable[T], total: int | None, unit: str = "frames") -> Iterator[T]:
    """Yield ``items`` unchanged and draw how many of ``total`` have passed."""
    with Bar(total, unit) as bar:
        for done, item in enumerate(items, 1):
            yield item
            bar.at(done)
