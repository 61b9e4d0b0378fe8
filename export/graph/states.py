"""The names of the states in a step that is made here: ``name`` goes in, ``new_name`` comes out."""

from __future__ import annotations

from collections.abc import Mapping

from edge.bundle import StateTensor


def tensors(shapes: Mapping[str, tuple[int, ...]]) -> tuple[StateTensor, ...]:
    """State tensors from input names and the shapes of one row."""
    return tuple(StateTensor(name, f"new_{name}", tuple(shape)) for name, shape in shapes.items())
