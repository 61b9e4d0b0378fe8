"""Fonts of this machine that hold the characters of a text; no program is called, nothing is written."""

from __future__ import annotations

import importlib.util
import os
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")
_KINDS = (".ttf", ".otf", ".ttc")
_BOXES = "LastResort"  # has a box with a name for every character
_MOST = 4000  # files that are looked at
_NO_CHARACTER = "\U0010fffe"  # which no font has: it shows what a font draws instead
# What makes a font a poorer choice for labels.
_UNUSUAL = (
    "bold",
    "italic",
    "oblique",
    "mono",
    "condensed",
    "light",
    "thin",
    "black",
    "serif",
    "narrow",
    "math",
)


@lru_cache(maxsize=256)
def font_for(text: str, size: int, folders: tuple[str, ...] = FOLDERS) -> Any:
    """A Pillow font of ``size`` pixels with every character of ``text``; None where there is none."""
    try:
        from PIL import ImageFont
    except ImportError:
        return None
    wanted = frozenset(c for c in text if unicodedata.category(c) not in ("Cf", "Zs"))
    for path in _files(folders):
        try:
            font = ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
            if _holds(font, wanted):
                return ImageFont.truetype(str(path), size)  # with shaping where Pillow can
        except (OSError, ValueError):  # damaged, or a font of colored pictures in one size
            continue
    return None


def can_shape() -> bool:
    """Whether Pillow joins letters and writes from right to left; it needs libraqm and fribidi."""
    try:
        from PIL import features
    except ImportError:
        return False
    return bool(features.check("raqm"))


def needs_shaping(text: str) -> bool:
    """Whether the letters of ``text`` change beside one another (Arabic, Devanagari) or run to the left."""
    return any(
        unicodedata.bidirectional(c) in ("R", "AL") or unicodedata.category(c) in ("Mc", "Mn")
        for c in unicodedata.normalize("NFC", text)
    )


def _holds(font: Any, characters: frozenset[str]) -> bool:
    missing = bytes(font.getmask(_NO_CHARACTER))
    return all(bytes(font.getmask(c)) != missing for c in characters)


@lru_cache(maxsize=8)
def _files(folders: tuple[str, ...]) -> tuple[Path, ...]:
    """Font files, plain ones first."""
    found: list[Path] = []
    for folder in (*folders, *_of_matplotlib()):
        for path in _walk(Path(folder).expanduser()):
            fitting = path.suffix.lower() in _KINDS and not path.name.startswith(_BOXES)
            if fitting and len(found) < _MOST:
                found.append(path)
    return tuple(sorted(found, key=lambda path: (_unusual(path), len(path.stem), str(path))))


def _unusual(path: Path) -> int:
    return sum(word in path.stem.lower() for word in _UNUSUAL)


def _walk(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):  # a folder that is not there has none
        yield from (Path(parent) / name for name in names)


def _of_matplotlib() -> list[str]:
    """Its own fonts, where it is installed: Latin, Greek, Cyrillic, Arabic and Hebrew."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return []
    return [str(Path(spec.origin).with_name("mpl-data") / "fonts" / "ttf")]
