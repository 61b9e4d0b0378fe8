"""One row of a table of parts, and the table as text.

Each room that holds interchangeable parts has one table of such rows: sources, detectors, backends, outputs.
Options, error messages and the reference of the settings are made from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Part:
    """A part that can be chosen by name."""

    name: str
    load: Callable[..., Any]  # imports the part when it is called: what is not used is not imported
    settings: type  # dataclass of its settings, which ``load`` takes first
    needs: str  # what has to be installed
    good_for: str  # one line


def names(parts: Iterable[Part]) -> str:
    """``yunet, haar``."""
    return ", ".join(part.name for part in parts)


def markdown(parts: Iterable[Part], first: str, cell: Callable[[Any], str], second: str = "Good for") -> str:
    """A Markdown table with a row for each part; ``cell`` gives the first column, headed ``first``."""
    rows = [f"| {cell(part)} | {part.good_for} | {part.needs} |" for part in parts]
    return "\n".join([f"| {first} | {second} | Needs |", "|---|---|---|", *rows])
