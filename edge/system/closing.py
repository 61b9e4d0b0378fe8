"""Base class for context managers that return themselves and are closed on exit."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any, TypeVar

from edge.errors import EdgeError

log = logging.getLogger("edge")
T = TypeVar("T")
Self = TypeVar("Self", bound="Closing")


class Closing:
    """A part that is closed at the end of its ``with`` block; override ``close`` to free what it holds."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Free resources; the base class has none."""


def enter(stack: ExitStack, part: AbstractContextManager[T]) -> T:
    """As ``stack.enter_context``; a fault that one of a later close would hide is logged before."""
    entered = part.__enter__()

    def leave(kind: Any, error: BaseException | None, trace: TracebackType | None) -> bool | None:
        try:
            return part.__exit__(kind, error, trace)
        except EdgeError as later:
            if isinstance(error, EdgeError) and str(error) != str(later):
                log.error("%s", error)
            raise

    stack.push(leave)
    return entered
