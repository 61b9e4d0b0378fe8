"""How a face looks at one detection, so that another person in its place is not taken for it.

Only the fine structure counts, whatever the light. Consecutive looks at one person correlate by 0.5 to 1 on
eight clips of real people and on generated ones, with hands before faces; a person and the next one after a
cut by 0.1 to 0.5. So this tells who replaced whom within a moment, and recognizes nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from edge.data import Face, Float32, Frame

_SIDE, _SHIFT = 24, 3  # pixels: side of a picture, and how far a box may jitter in it
_SMOOTH = 4.0  # pixels, one sigma: what is smoother, such as the light on a face, does not count
_LEAST_PX = 8  # side of the visible part of a face square below which there is nothing to see
_ANOTHER = 0.45  # correlation below which it is another person
_IN_DOUBT = 0.65  # the same where the picture changed at once; 1 % of the looks at real people lie below


def with_appearance(frame: Frame, faces: Sequence[Face]) -> list[Face]:
    """The faces with what they look like in ``frame``: ``appearance`` (24,24)."""
    return [replace(face, appearance=_appearance(frame, face)) for face in faces]


def is_another(face: Face, before: Sequence[Float32], doubted: bool = False) -> bool:
    """Whether the face looks like none of the pictures (24,24) ``before``; False where it cannot be told.

    ``doubted``: it has to look more like one of them than usual.
    """
    seen = face.appearance
    if seen is None or not before:
        return False
    bound = _IN_DOUBT if doubted else _ANOTHER
    inner = seen[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT]
    return all(
        float(cv2.matchTemplate(one, inner, cv2.TM_CCOEFF_NORMED).max()) < bound for one in reversed(before)
    )


def _appearance(frame: Frame, face: Face) -> Float32 | None:
    height, width = frame.image.shape[:2]
    if not np.isfinite(face.box_xyxy).all():
        return None
    x0, y0, x1, y1 = (round(value) for value in face.box_xyxy.tolist())
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if min(x1 - x0, y1 - y0) < _LEAST_PX:
        return None
    view = frame.image[y0:y1, x0:x1]
    # Few samples of a large face are enough, as in a thumbnail; green is most of luma.
    step = max((x1 - x0) // (4 * _SIDE), 1)
    few = np.ascontiguousarray(view[::step, ::step] if view.ndim == 2 else view[::step, ::step, 1])
    small = cv2.resize(few, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(small - cv2.GaussianBlur(small, (0, 0), _SMOOTH), np.float32)
