"""From YuNet's outputs to faces: one candidate per cell of 8, 16 and 32 pixels, then the best of each face.

As ``FaceDetectorYNImpl`` (OpenCV 4.x, modules/objdetect/src/face_detect.cpp) has it, with non-maximum
suppression on whole pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any, NamedTuple

import cv2
import numpy as np

NMS_IOU = 0.3
TOP_K = 50  # candidates before suppression, enough for any scene that a board can handle
STRIDES = (8, 16, 32)
WIDTHS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}  # values per cell
_IMPLAUSIBLE = 100.0  # a box is two offsets in cells and two logarithms of sizes in cells, all of them small


class Cell(NamedTuple):
    """A candidate."""

    score: float
    stride: int
    place: int  # row by row
    values: list[float]  # of the box, and of five points


def of_heads(outputs: list[Any], floor: float) -> Iterator[Cell]:
    """Cells with a squared score of at least ``floor``, from outputs for each stride and each of WIDTHS."""
    for level, stride in enumerate(STRIDES):
        classes, objects, boxes, points = outputs[level * len(WIDTHS) :][: len(WIDTHS)]
        squares = (classes * objects).ravel()  # squared scores; avoids thousands of square roots
        hot = (squares >= floor).nonzero()[0]
        if hot.size:
            yield from _cells(squares[hot], stride, hot, np.hstack([boxes[0, hot], points[0, hot]]))


def of_joint_heads(outputs: list[Any], floor: float) -> Iterator[Cell]:
    """The same from one output (1,16,H,W) for each stride, before the sigmoids of the first two channels."""
    # A sigmoid is at most 1, so that none of the two may lie below the floor of their product.
    least = math.log(floor / max(1 - floor, 1e-9)) if floor else -math.inf
    for stride, output in zip(STRIDES, outputs, strict=True):
        values = output.reshape(output.shape[1], -1)
        hot = (np.minimum(values[0], values[1]) >= least).nonzero()[0]
        if hot.size:
            values = values[:, hot].T
            squares = (0.5 + 0.5 * np.tanh(0.5 * values[:, :2])).prod(axis=1)
            above = squares >= floor
            yield from _cells(squares[above], stride, hot[above], values[above, 2:])


def _cells(squares: Any, stride: int, indices: Any, values: Any) -> Iterator[Cell]:
    scores = map(math.sqrt, squares.tolist())
    for score, index, row in zip(scores, indices.tolist(), values.tolist(), strict=True):
        yield Cell(score, stride, index, row)


def faces(cells: Iterable[Cell], columns: int) -> list[list[float]]:
    """x, y, w, h, five points and score of each face, best first, in a picture of ``columns`` pixels."""
    # For a handful of candidates, Python numbers take half the time of arrays.
    best = best_cells(cells)
    boxes = [_box(cell, columns) for cell in best]
    kept = _distinct(boxes, [cell.score for cell in best])
    return [[*boxes[index], *_points(best[index], columns), best[index].score] for index in kept]


def best_cells(cells: Iterable[Cell]) -> list[Cell]:
    """At most TOP_K, best first."""
    plausible = [cell for cell in cells if sum(map(abs, cell.values[:4])) < _IMPLAUSIBLE]  # also drops NaN
    plausible.sort(key=itemgetter(0), reverse=True)
    return plausible[:TOP_K]


def _box(cell: Cell, columns: int) -> tuple[float, float, float, float]:
    stride = cell.stride
    row, column = divmod(cell.place, columns // stride)
    x, y, width, height = cell.values[:4]
    width, height = math.exp(width) * stride, math.exp(height) * stride
    return (column + x) * stride - width / 2, (row + y) * stride - height / 2, width, height


def _points(cell: Cell, columns: int) -> list[float]:
    row, column = divmod(cell.place, columns // cell.stride)
    at = (column, row) * 5
    return [(value + start) * cell.stride for value, start in zip(cell.values[4:], at, strict=True)]


def _distinct(boxes: list[tuple[float, float, float, float]], scores: list[float]) -> Iterable[int]:
    """Indices of the boxes that remain after non-maximum suppression, best first."""
    if len(boxes) < 2:
        return range(len(boxes))
    whole = [tuple(map(int, box)) for box in boxes]
    indices = cv2.dnn.NMSBoxes(whole, scores, 0.0, NMS_IOU)
    return np.asarray(indices, np.intp).ravel().tolist()  # a column before OpenCV 4.5.4
