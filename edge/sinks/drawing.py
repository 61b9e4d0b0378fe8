"""Draws estimates on a picture: a box for each face and, beside it, a dark plate with light text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import UNCERTAIN, EmotionEstimate, Float32, Frame

Picture = npt.NDArray[np.uint8]
Color = tuple[int, int, int]

# BGR, distinguishable with any color vision (Okabe and Ito, 2008); a track keeps its color.
COLORS = ((0, 159, 230), (233, 180, 86), (115, 158, 0), (66, 228, 240), (178, 114, 0), (167, 121, 204))
GRAY = (150, 150, 150)
DARK, LIGHT = (32, 32, 32), (245, 245, 245)  # contrast 14:1, readable over any scene
FONT = cv2.FONT_HERSHEY_DUPLEX
_BARS = 3
_LONGEST = 20  # characters of a label
_SMALLEST = 0.8  # of the text size in a picture of 640x480; less cannot be read


class Rect(NamedTuple):
    """A rectangle in pixels."""

    x: int
    y: int
    width: int
    height: int

    def overlap(self, other: Rect) -> int:
        """Pixels that both cover."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(across, 0) * max(down, 0)


class _Row(NamedTuple):
    """A line of a plate, with a bar under it of ``share`` of the plate's width."""

    left: str
    right: str
    share: float


def draw(frame: Frame, estimates: Sequence[EmotionEstimate]) -> Picture:
    """A BGR copy (H,W,3) of the picture to draw on, with a box and a plate for each estimate.

    A plate names track, label and the three most probable classes. Where it would cover a face or another
    plate, it holds the title only.
    """
    base = frame.image if frame.drawn is None else frame.drawn
    picture = np.asarray(cv2.cvtColor(base, cv2.COLOR_GRAY2BGR) if base.ndim == 2 else base.copy(), np.uint8)
    # Boxes are in pixels of the image, which may have another size than the picture to draw on.
    across, down = base.shape[1] / frame.image.shape[1], base.shape[0] / frame.image.shape[0]
    ratio = np.array((across, down, across, down), np.float32)
    boxes = [_rect(estimate.box_xyxy * ratio) for estimate in estimates]
    scale = max(min(picture.shape[0] / 480, picture.shape[1] / 640), _SMALLEST)
    for estimate, box in zip(estimates, boxes, strict=True):
        corner = (box.x + box.width, box.y + box.height)
        cv2.rectangle(picture, (box.x, box.y), corner, _color(estimate), max(1, round(2 * scale)))
    taken = list(boxes)
    for estimate, box in zip(estimates, boxes, strict=True):
        title, *bars = _rows(estimate)
        for rows in ([title, *bars], [title], [title._replace(right="")]):
            place = _place(picture, box, rows, taken, scale)
            if not any(place.overlap(other) for other in taken):
                break
        _plate(picture, place, rows, _color(estimate), scale)
        taken.append(place)
    return picture


def _rect(box_xyxy: Float32) -> Rect:
    x0, y0, x1, y1 = (round(float(value)) for value in box_xyxy)
    return Rect(x0, y0, x1 - x0, y1 - y0)


def _color(estimate: EmotionEstimate) -> Color:
    return GRAY if estimate.label == UNCERTAIN else COLORS[estimate.track_id % len(COLORS)]


def _rows(estimate: EmotionEstimate) -> list[_Row]:
    """The title, then the most probable classes."""
    order = [int(k) for k in np.argsort(-estimate.probabilities)[:_BARS]]
    names = {estimate.labels[k]: _ascii(estimate.labels[k], k) for k in range(len(estimate.labels))}
    names[UNCERTAIN] = UNCERTAIN
    shares = [float(estimate.probabilities[k]) for k in order]
    sure = "" if estimate.label == UNCERTAIN else f"{shares[0]:.0%}"
    title = _Row(f"#{estimate.track_id} {names[estimate.label]}", sure, 0.0)
    bars = [
        _Row(names[estimate.labels[k]], f"{share:.0%}", share) for k, share in zip(order, shares, strict=True)
    ]
    return [title, *bars]


def _place(picture: Picture, box: Rect, rows: Sequence[_Row], taken: Sequence[Rect], scale: float) -> Rect:
    """The place inside the picture that covers least of what is ``taken``; below the box if that is free."""
    width = max(_width(row, scale) for row in rows)
    if len(rows) > 1:
        width = max(width, min(box.width, round(240 * scale)))
    height = _line(scale) * len(rows) + round(3 * scale)

    def places() -> Iterator[Rect]:
        gap = round(4 * scale)
        for x, y in (
            (box.x, box.y + box.height + gap),
            (box.x, box.y - height - gap),
            (box.x + box.width + gap, box.y),
            (box.x - width - gap, box.y),
        ):
            inside_x = max(min(x, picture.shape[1] - width), 0)
            yield Rect(inside_x, max(min(y, picture.shape[0] - height), 0), width, height)

    return min(places(), key=lambda place: sum(place.overlap(other) for other in taken))


def _plate(picture: Picture, place: Rect, rows: Sequence[_Row], color: Color, scale: float) -> None:
    x, y, width, height = place
    cv2.rectangle(picture, (x, y), (x + width - 1, y + height - 1), DARK, -1)
    cv2.rectangle(picture, (x, y), (x + _margin(scale) // 2 - 1, y + height - 1), color, -1)
    left, right = x + _margin(scale), x + width - _margin(scale) // 2
    for number, row in enumerate(rows):
        base = y + _line(scale) * number + round(15 * scale)
        _text(picture, row.left, (left, base), scale)
        _text(picture, row.right, (right - _text_width(row.right, scale), base), scale)
        if row.share > 0:
            end = left + round(row.share * (right - left))
            cv2.rectangle(picture, (left, base + round(4 * scale)), (end, base + round(6 * scale)), color, -1)


def _text(picture: Picture, text: str, at: tuple[int, int], scale: float) -> None:
    cv2.putText(picture, text, at, FONT, _size(scale), LIGHT, _thickness(scale), cv2.LINE_AA)


def _size(scale: float) -> float:
    return 0.5 * scale


def _thickness(scale: float) -> int:
    return max(1, round(scale))


def _line(scale: float) -> int:
    """Height of a row in pixels."""
    return round(23 * scale)


def _margin(scale: float) -> int:
    return round(10 * scale)


def _width(row: _Row, scale: float) -> int:
    right = _margin(scale) + _text_width(row.right, scale) if row.right else 0
    return _text_width(row.left, scale) + right + round(1.5 * _margin(scale))


@lru_cache(maxsize=1024)
def _text_width(text: str, scale: float) -> int:
    size, _ = cv2.getTextSize(text, FONT, _size(scale), _thickness(scale))
    return int(size[0])


@lru_cache(maxsize=256)
def _ascii(label: str, index: int) -> str:
    """The label in the letters that OpenCV can draw, without accents; else ``class INDEX``."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", label) if not unicodedata.combining(c))
    if not (plain.isascii() and plain.isprintable()):
        return f"class {index}"
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 3] + "..."
