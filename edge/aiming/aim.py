"""What one frame is worth: size, light and sharpness of its faces. Numbers only; no picture leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge.data import Face, Frame
from edge.faces.crop import crop_faces, full_range
from edge.manifest import FaceInput
from edge.preprocess import UInt8
from edge.recognition.face_check import sharpness

CROP = FaceInput(
    size=48, channels=1, normalization="none"
)  # the reference network's; its limits fit this size
_BLACK, _WHITE = 5, 250  # gray levels from which a pixel says nothing more
_COUNTED = 320  # pixels in a row that are counted, for speed


@dataclass(frozen=True, slots=True)
class Aimed:
    """One face."""

    box_xyxy: tuple[float, float, float, float]  # face square in frame pixels; may lie beyond the frame
    side_px: float  # of the square
    light: float  # mean gray level, 0..255
    sharp: float  # from 1 on a step can read it, see edge.recognition.face_check


@dataclass(frozen=True, slots=True)
class Aim:
    """One frame."""

    width: int  # pixels
    height: int
    light: float  # mean gray level, 0..255
    black: float  # share of pixels, 0..1, too dark to tell anything
    white: float  # likewise too bright
    faces: tuple[Aimed, ...]  # the largest first


def look(frame: Frame, faces: Sequence[Face]) -> Aim:
    """Measure ``frame`` and the ``faces`` found in it; those without a finite box are left out."""
    height, width = frame.image.shape[:2]
    gray = _gray(frame)
    crops = crop_faces(frame, faces, CROP)
    aimed = [
        Aimed((x0, y0, x1, y1), x1 - x0, float(crop.mean()), sharpness(crop))
        for face, crop in zip(faces, crops, strict=True)
        for x0, y0, x1, y1 in [face.box_xyxy.tolist()]
        if np.isfinite([x0, y0, x1, y1]).all() and x0 < x1 and y0 < y1
    ]
    return Aim(
        width=width,
        height=height,
        light=float(gray.mean()),
        black=float((gray <= _BLACK).mean()),
        white=float((gray >= _WHITE).mean()),
        faces=tuple(sorted(aimed, key=lambda face: -face.side_px)),
    )


def _gray(frame: Frame) -> UInt8:
    """Some of its pixels as luma (h,w), full range. Not their means: these would hide what is clipped."""
    every = max(frame.image.shape[1] // _COUNTED, 1)
    picture = np.ascontiguousarray(frame.image[::every, ::every])
    if picture.ndim == 3:
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
    return full_range(picture) if frame.luma_range == "limited" else picture
