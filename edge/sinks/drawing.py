"""Draws estimates on a picture: a box for each face and, beside it, a dark plate with light text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import UNCERTAIN, EmotionEstimate, Float32, Frame
from edge.system import text

Picture = npt.NDArray[np.uint8]
Color = tuple[int, int, int]

# BGR, distinguishable with any color vision (Okabe and Ito, 2008); a track keeps its color.
COLORS = ((0, 159, 230), (233, 180, 86), (115, 158, 0), (66, 228, 240), (178, 114, 0), (167, 121, 204))
GRAY = (150, 150, 150)
DARK, LIGHT = (32, 32, 32), (245, 245, 245)  # contrast 14:1, readable over any scene
_BARS = 3
_NAMES = 2  # in a title
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
    """A line of a plate, with a bar under it between two shares of the plate's width."""

    track: str  # before the label, and never part of one that runs from right to left
    left: str
    right: str
    begin: float = 0.0
    end: float = 0.0


def draw(frame: Frame, estimates: Sequence[EmotionEstimate]) -> Picture:
    """A BGR copy (H,W,3) of the picture to draw on, with a box and a plate for each estimate.

    A plate names track, label and the three strongest labels. Where it would cover a face or another
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
    """The title, then the strongest labels."""
    answer, names = estimate.answer, dict(zip(estimate.labels, text.shown(estimate.labels), strict=True))
    said = answer.meaning.headline(answer)
    more = f" +{len(said) - _NAMES}" if len(said) > _NAMES else ""
    title = ", ".join(names.get(label, label) for label, _ in said[:_NAMES]) + more
    right = said[0].text if len(said) == 1 else ""
    bars = answer.meaning.bars(answer, _BARS)
    rows = [_Row("", names[bar.label], bar.text, bar.begin, bar.end) for bar in bars]
    return [_Row(f"#{estimate.track_id} ", title, right), *rows]


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
        for part, x in (
            (row.track, left),
            (row.left, left + text.width(row.track, scale)),
            (row.right, right - text.width(row.right, scale)),
        ):
            text.put(picture, part, (x, base), scale, LIGHT)
        if row.end > row.begin:
            begin, end = (left + round(share * (right - left)) for share in (row.begin, row.end))
            cv2.rectangle(
                picture, (begin, base + round(4 * scale)), (end, base + round(6 * scale)), color, -1
            )


def _line(scale: float) -> int:
    """Height of a row in pixels."""
    return round(23 * scale)


def _margin(scale: float) -> int:
    return round(10 * scale)


def _width(row: _Row, scale: float) -> int:
    right = _margin(scale) + text.width(row.right, scale) if row.right else 0
    left = text.width(row.track, scale) + text.width(row.left, scale)
    return left + right + round(1.5 * _margin(scale))
