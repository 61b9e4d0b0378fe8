"""A row in a table of interchangeable parts, and the table as text.

There is one table each for sources, detectors, backends and outputs. Options, error messages and the settings
reference are generated from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Part:
    """A part that can be chosen by name."""

    name: str
    load: Callable[..., Any]  # imports the part when called, so that unused parts are not imported
    settings: type  # its settings dataclass, the first argument of ``load``
    needs: str  # what must be installed
    good_for: str  # one line


def names(parts: Iterable[Part]) -> str:
    """The names, comma-separated: ``yunet, haar``."""
    return ", ".join(part.name for part in parts)


def markdown(parts: Iterable[Part], first: str, cell: Callable[[Any], str], second: str = "Good for") -> str:
    """A Markdown table with one row per part; ``cell`` fills the first column, which is headed ``first``."""
    rows = [f"| {cell(part)} | {part.good_for} | {part.needs} |" for part in parts]
    return "\n".join([f"| {first} | {second} | Needs |", "|---|---|---|", *rows])
