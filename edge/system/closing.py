"""The context manager that most parts are: entering gives the part itself, leaving closes it."""

from __future__ import annotations

from typing import TypeVar

Self = TypeVar("Self", bound="Closing")


class Closing:
    """Base of a part that is closed with its ``with`` block; override ``close`` where it holds something."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Free what is held; the base holds nothing."""
