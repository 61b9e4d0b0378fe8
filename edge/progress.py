"""A progress bar on stderr, shown where someone watches and the length is known."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TypeVar

T = TypeVar("T")
_WIDTH = 30
_REDRAW_S = 0.1


def with_progress(items: Iterable[T], total: int | None, unit: str = "frames") -> Iterator[T]:
    """Yield ``items`` unchanged and draw how many of ``total`` have passed."""
    if not total or not sys.stderr.isatty():
        yield from items
        return
    drawn = 0.0
    done = 0
    try:
        for done, item in enumerate(items, 1):
            yield item
            if monotonic() - drawn > _REDRAW_S:
                _draw(done, total, unit)
                drawn = monotonic()
    finally:
        _draw(done, total, unit)
        print(file=sys.stderr)


def _draw(done: int, total: int, unit: str) -> None:
    full = min(_WIDTH, _WIDTH * done // total)
    bar = "#" * full + "." * (_WIDTH - full)
    print(f"\r[{bar}] {done}/{total} {unit}", end="", file=sys.stderr, flush=True)
