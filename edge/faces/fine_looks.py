"""Looks for faces that are too small for a look at the whole frame: at parts of it, with more pixels.

In two steps. At 24 pixels a face, YuNet seldom gives a score that says it is one, but hardly ever none at
all: so a part proposes, and a look around each proposal, with all pixels, decides. That costs a quarter of a
look at all pixels of the frame. A face that the border of a part cuts in half is whole in the look around it.
Of 290 faces of 48 to 96 pixels in frames of 1080p, 95 % were proposed and 93 % found; a look at all pixels
found 94 % (export/experiments.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edge.data import Face, Fine, Float32
from edge.faces.near import Crop, crop_around, is_near
from edge.faces.square import side_of

Look = Callable[..., list[Face]]  # of a Crop and, if it is not the usual one, the least score
PROPOSES_PX = 24  # side in the network's input of the smallest face that is wanted, in a part
_PROPOSES = 0.2  # least score; of 290 faces, 0.5 lost 4 % and 0.3 1.4 %, and 0.15 gained none
_STAYS = 0.1  # the same for a face that is followed
_ENLARGED, _DECIDES_PX = 2.0, 128  # at most, for a look around a proposal; it gains 1 % of the faces
_SMALLER = 0.75  # of the smallest face that is wanted: sides of proposals are inexact
_MOST = 6  # proposals of one part that are looked at, the best first: bounds the time
_OTHER = 2.0  # ratio of sides from which two faces in one place are two
_WIDER, _WIDER_PX = 3.0, 160  # a face with its surroundings: in squares, and at most in pixels of the input


def find(look: Look, shape: tuple[int, ...], fine: Fine) -> list[Face]:
    """Faces that ``fine`` asks for, in a frame of ``shape`` (H,W) for luma, or (H,W,3)."""
    faces = [face for box in fine.near for face in look(crop_around(box, shape)) if is_near(face, box)]
    scale = PROPOSES_PX / fine.smallest_px
    for box in fine.wider:
        proposals = [face for face in look(_wider(box, shape, scale), _STAYS) if is_near(face, box)]
        faces += [face for proposal in proposals[:1] for face in _decide(look, shape, proposal)]
    if fine.part is not None:
        proposals = look(part_crop(fine.part, scale), _PROPOSES)
        new = [face for face in proposals if _is_new(face, fine)]
        faces += [face for proposal in new[:_MOST] for face in _decide(look, shape, proposal)]
    return faces


def parts(shape: tuple[int, ...], smallest_px: float, input_width: int) -> list[Float32]:
    """Parts (4,) of the frame, each about as costly as the whole; none where the whole does as well.

    Neighbors overlap by 1.5 of the smallest face, so that each such face is whole in one of them.
    """
    height, width = shape[:2]
    count = math.ceil(width * PROPOSES_PX / smallest_px / input_width - 1e-6)
    if count < 2:
        return []
    columns, rows = (_spans(size, count, 1.5 * smallest_px) for size in (width, height))
    return [np.array([x0, y0, x1, y1], np.float32) for y0, y1 in rows for x0, x1 in columns]


def part_crop(part: Float32, scale: float) -> Crop:
    """A part at ``scale``, pixels of the network's input for a pixel of the frame."""
    left, top, right, bottom = (round(edge) for edge in part.tolist())
    return Crop(left, top, right, bottom, max(round((right - left) * scale), 1))


def _spans(size: int, count: int, overlap: float) -> list[tuple[int, int]]:
    length = min(2 * math.ceil((size + (count - 1) * overlap) / count / 2), size)
    starts = [round(i * (size - length) / (count - 1)) for i in range(count)]
    return [(start, start + length) for start in dict.fromkeys(starts)]


def _decide(look: Look, shape: tuple[int, ...], proposal: Face) -> list[Face]:
    box = proposal.box_xyxy
    crop = crop_around(box, shape)
    crop = crop._replace(width=max(crop.width, min(round(_ENLARGED * (crop.right - crop.left)), _DECIDES_PX)))
    return [face for face in look(crop) if is_near(face, box)][:1]


def _is_new(face: Face, fine: Fine) -> bool:
    side = side_of(face.box_xyxy)
    # A small face may be in front of a large one that is known.
    known = (box for box in fine.known if side < _OTHER * side_of(box) < _OTHER**2 * side)
    return side >= _SMALLER * fine.smallest_px and not any(is_near(face, box) for box in known)


def _wider(box: Float32, shape: tuple[int, ...], scale: float) -> Crop:
    height, width = shape[:2]
    x0, y0, x1, y1 = box.tolist()
    half = _WIDER * (x1 - x0) / 2
    left, right = (round(min(max((x0 + x1) / 2 + by, 0), width)) for by in (-half, half))
    top, bottom = (round(min(max((y0 + y1) / 2 + by, 0), height)) for by in (-half, half))
    left, top = min(left, width - 1), min(top, height - 1)  # never empty
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    most = (right - left) * min(scale, _WIDER_PX / (2 * half))
    return Crop(left, top, right, bottom, max(round(most), 1))
