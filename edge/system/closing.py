"""Base class for context managers that return themselves and are closed on exit."""

from __future__ import annotations

from typing import TypeVar

Self = TypeVar("Self", bound="Closing")


class Closing:
    """A part that is closed at the end of its ``with`` block; override ``close`` to free what it holds."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Free resources; the base class has none."""
