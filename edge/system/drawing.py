"""matplotlib, imported on demand, with its settings and its list of fonts in this project's own cache."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from edge.errors import require
from edge.system import fonts, text
from edge.system.cache import library_cache

HINT = "pip install 'emotion-edge[demo]'"
_FOLDER = "MPLCONFIGDIR"
_ANY_SIZE = 16


def matplotlib() -> ModuleType:
    """The module; DependencyError if it is not installed.

    By itself it writes to ``~/.config/matplotlib`` and ``~/.cache/matplotlib``. A folder that the user named,
    or a matplotlib that the caller imported before, stays as it is.
    """
    if not os.environ.get(_FOLDER) and "matplotlib" not in sys.modules:
        os.environ[_FOLDER] = str(_own_folder())
    return require("matplotlib", HINT)


def new_figure(**options: Any) -> Any:
    """A ``matplotlib.figure.Figure``; DependencyError if matplotlib is not installed."""
    matplotlib()
    with _quietly(), _without_programs():
        return require("matplotlib.figure", HINT).Figure(**options)


@contextmanager
def fonts_for(labels: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The labels as the texts made meanwhile can show them, in a font of this machine; else their numbers."""
    names = tuple(
        name if shapes_text() or not fonts.needs_shaping(name) else str(number)
        for number, name in enumerate(text.shown(labels), 1)
    )
    found = [font for name in names if not name.isascii() and (font := fonts.font_for(name, _ANY_SIZE))]
    manager = require("matplotlib.font_manager", HINT)
    for font in found:
        manager.fontManager.addfont(font.path)
    families = ["DejaVu Sans", *dict.fromkeys(font.getname()[0] for font in found)]
    with matplotlib().rc_context({"font.family": families}):
        yield tuple(map(_literal, names))


def _literal(name: str) -> str:
    """``name`` as matplotlib shows it: "$" begins a formula, and legends leave out what begins with "_".

    The mark keeps what follows a name from right to left in its place.
    """
    mark = "\u200e" if any(unicodedata.bidirectional(c) in ("R", "AL") for c in name) else ""
    return " " * name.startswith("_") + name.replace("$", r"\$") + mark


def shapes_text() -> bool:
    """Whether this matplotlib joins letters and writes from right to left."""
    major, minor = matplotlib().__version__.split(".")[:2]
    return (int(major), int(minor)) >= (3, 11)


def _own_folder() -> Path:
    """A folder in the cache; one that is removed at the end if the cache cannot be used."""
    if folder := library_cache("matplotlib"):
        return folder
    # matplotlib would do the same, with a warning of three lines.
    temporary = tempfile.mkdtemp(prefix="emotion-edge-")
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return Path(temporary)


@contextmanager
def _quietly() -> Iterator[None]:
    """No line of the log that says that a list of fonts was made."""
    fonts = logging.getLogger("matplotlib.font_manager")
    before = fonts.level
    fonts.setLevel(logging.WARNING)
    try:
        yield
    finally:
        fonts.setLevel(before)


@contextmanager
def _without_programs() -> Iterator[None]:
    """No program on PATH: to list the fonts, matplotlib calls ``fc-list``, which writes caches of its own.

    It finds the fonts without it as well, and all figures use the font that comes with matplotlib.
    """
    before = os.environ.get("PATH")
    os.environ["PATH"] = os.devnull
    try:
        yield
    finally:
        if before is None:
            del os.environ["PATH"]
        else:
            os.environ["PATH"] = before
