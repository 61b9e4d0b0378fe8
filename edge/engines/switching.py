"""An engine that stands for another one, which may be replaced between two steps of the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from edge.engines.tensorrt.build_progress import Progress
from edge.protocols import Engine
from edge.system.closing import Closing

Self = TypeVar("Self", bound="Switching")


class Switching(Closing):
    """Runs ``first`` until a subclass sets another engine with the same tensors; closes what is in use."""

    def __init__(self, first: Engine) -> None:
        self._now = first
        self.inputs, self.outputs = first.inputs, first.outputs

    def __enter__(self: Self) -> Self:
        self._now.__enter__()
        return self

    def close(self) -> None:
        """Close the engine in use."""
        self._now.__exit__(None, None, None)

    @property
    def serves(self) -> str:
        """The engine in use."""
        return self._now.serves

    @property
    def building(self) -> Progress | None:
        """The engine that is being built meanwhile; None if none is."""
        return None

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Run one batch on the engine in use."""
        return self._now.run(feeds)
