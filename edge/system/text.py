"""Text on pictures in any script: OpenCV's letters where they suffice, else a font of this machine.

OpenCV draws ASCII only. Other texts are rendered by Pillow, once, and blended from then on. Where Pillow or a
font is missing, a label is drawn as its number, and the log says once which is which.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from edge.system import fonts

log = logging.getLogger(__name__)
Picture = npt.NDArray[np.uint8]
Color = tuple[int, int, int]
FONT = cv2.FONT_HERSHEY_DUPLEX
_PIXELS = 14.5  # of a font, per scale: as high as OpenCV's letters at half their size
_PROBE = 16
_LONGEST = 20  # characters of a label


@lru_cache(maxsize=64)
def shown(labels: tuple[str, ...]) -> tuple[str, ...]:
    """How each label is drawn: itself, shortened to 20 characters, or its number, counted from 1.

    Letters without their accents are preferred to a number. A line of the log explains the numbers, once.
    """
    names = tuple(_shown(label) or str(number) for number, label in enumerate(labels, 1))
    legend = [
        f"{name} {label}"
        for number, (name, label) in enumerate(zip(names, labels, strict=True), 1)
        if name == str(number) != label
    ]
    if legend:
        # The labels are printable: the bundle was checked.
        log.warning("labels are drawn as numbers (%s): %s", "; ".join(legend), _what_is_missing(labels))
    return names


def width(text: str, scale: float) -> int:
    """Pixels from the beginning of ``text`` to its end."""
    if text.isascii():
        return _ascii_width(text, scale)
    mask = _mask(text, scale)
    return mask[0].shape[1] if mask else 0


def put(picture: Picture, text: str, at: tuple[int, int], scale: float, color: Color) -> None:
    """Draw ``text`` on a picture (H,W,3), or (H,W) with the first of ``color``.

    ``at`` is the left end of its base line.
    """
    if text.isascii():
        cv2.putText(picture, text, at, FONT, 0.5 * scale, color, max(1, round(scale)), cv2.LINE_AA)
    elif mask := _mask(text, scale):
        _blend(picture, mask[0], (at[0], at[1] - mask[1]), color)


@lru_cache(maxsize=1024)
def _ascii_width(text: str, scale: float) -> int:
    size, _ = cv2.getTextSize(text, FONT, 0.5 * scale, max(1, round(scale)))
    return int(size[0])


@lru_cache(maxsize=256)
def _mask(text: str, scale: float) -> tuple[Picture, int] | None:
    """How much of each pixel the text covers (h,w), and how far its top lies above the base line."""
    font = fonts.font_for(text, max(round(_PIXELS * scale), 6))
    if font is None:
        return None
    from PIL import Image, ImageDraw

    left, top, right, bottom = (round(side) for side in font.getbbox(text, anchor="ls"))
    image = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(image).text((-left, -top), text, 255, font, anchor="ls")
    return np.asarray(image, np.uint8), -top


def _blend(picture: Picture, mask: Picture, corner: tuple[int, int], color: Color) -> None:
    """Color on the picture where the mask is; what lies outside is cut off."""
    x, y = corner
    left, top = max(-x, 0), max(-y, 0)
    part = mask[top : max(picture.shape[0] - y, 0), left : max(picture.shape[1] - x, 0)]
    if not part.size:
        return
    place = picture[y + top : y + top + part.shape[0], x + left : x + left + part.shape[1]]
    share = part.astype(np.uint16)
    if picture.ndim == 3:
        share = share[..., None]
    drawn = np.asarray(color if picture.ndim == 3 else color[0], np.uint16)
    place[:] = (place * (255 - share) + drawn * share + 127) // 255


def _shown(label: str) -> str:
    """The label as it can be drawn, or "" where it cannot be."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", label) if not unicodedata.combining(c))
    for text in (label, _without_symbols(label)):
        if text.isascii() and text.isprintable():
            return _short(text)
        if text and (fonts.can_shape() or not fonts.needs_shaping(text)) and fonts.font_for(text, _PROBE):
            return _short(text)
    return _short(plain) if plain.isascii() and plain.isprintable() else ""


def _without_symbols(label: str) -> str:
    """Without emoji and what joins them: a word says the same, and few fonts have both."""
    kept = (c for c in label if unicodedata.category(c) not in ("So", "Sk", "Cf") and c != "\ufe0f")
    return " ".join("".join(kept).split())


def _short(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    end = _LONGEST - 3
    while end > 1 and unicodedata.category(text[end])[0] == "M":  # it belongs to the letter before
        end -= 1
    return text[:end] + "..."


def _what_is_missing(labels: Sequence[str]) -> str:
    try:
        import PIL  # noqa: F401
    except ImportError:
        return "install Pillow (python3-pil, or pip install pillow) to draw other scripts"
    if not fonts.can_shape() and any(map(fonts.needs_shaping, labels)):
        return "Pillow has no libraqm here, which joins their letters; install libfribidi0"
    return "no font here has their letters; install one (fonts-dejavu-core, fonts-noto-core, fonts-noto-cjk)"
