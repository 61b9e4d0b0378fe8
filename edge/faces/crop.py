"""Crops faces from a frame to the network's input, identically for training, calibration and runtime.

Geometry in the manifest
    ``manifest.input.crop``, {"scale": 1.0, "align": "eyes"}: scale is the side of the crop over the side of
    the face square. Align "eyes" rotates the crop about the center of the square until the eyes are level,
    "none" leaves it upright. These two values are the defaults.

Coordinates are continuous: pixel i covers i..i+1, so a frame of width W ends at x = W.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from edge.data import Face, Float32, Frame
from edge.errors import BundleError
from edge.faces.square import eye_roll
from edge.manifest import FaceInput
from edge.preprocess import UInt8, normalize

FLAT_GRAY = 128  # crop for a degenerate box: all zeros once standardized, so without any evidence
MAX_OVERSAMPLING = 4  # at most 4 x 4 samples per pixel of the crop, whatever the size of the face


def face_batch(frame: Frame, faces: Sequence[Face], face_input: FaceInput) -> Float32:
    """Crop ``faces`` to the network's input: ``(N,C,S,S)`` float32; ``(0,C,S,S)`` for none."""
    return normalize(crop_faces(frame, faces, face_input), face_input)


def crop_faces(frame: Frame, faces: Sequence[Face], face_input: FaceInput) -> UInt8:
    """Crop ``faces`` to uint8, before normalization: ``(N,S,S)`` gray, full range, or ``(N,S,S,3)`` RGB.

    RGB, whatever the order of its channels, if the network takes color; a frame of luma alone then fills all
    three. Beyond the frame its border is repeated. A box that is not finite, has no area or is larger than
    20 frames gives a flat crop of 128.
    """
    size = face_input.size
    scale, align = _geometry(face_input)
    shape = (size, size, 3) if face_input.in_color else (size, size)
    crops = np.full((len(faces), *shape), FLAT_GRAY, np.uint8)
    for crop, face in zip(crops, faces, strict=True):
        x0, y0, x1, y1 = face.box_xyxy.tolist()
        side = (x1 - x0) * scale
        # "not <" instead of ">=", so that it is true for NaN.
        if not 0.0 < side < 20.0 * max(frame.image.shape[:2]) or not math.isfinite(x0 + y0 + y1):
            continue
        roll = eye_roll(face.landmarks, x1 - x0) if align else 0.0
        _crop_one(frame, ((x0 + x1) / 2, (y0 + y1) / 2), side, roll, crop)
    return crops


def _geometry(face_input: FaceInput) -> tuple[float, bool]:
    scale, align = face_input.crop.scale, face_input.crop.align
    if not (math.isfinite(scale) and scale > 0):
        raise BundleError(f"manifest input.crop.scale is {scale}, expected a positive number such as 1.0")
    if align not in ("eyes", "none"):
        raise BundleError(f'manifest input.crop.align is {align!r}, expected "eyes" or "none"')
    return scale, align == "eyes"


def _crop_one(frame: Frame, center: tuple[float, float], side: float, roll: float, out: UInt8) -> None:
    size = out.shape[0]
    # A large face is sampled k times as finely and then averaged, since bilinear sampling alone would alias.
    k = min(max(math.ceil(side / size), 1), MAX_OVERSAMPLING)
    view, left, top = _surroundings(frame.image, center, side)
    if view.ndim > out.ndim:  # before the warp, so that luma and color of the same picture give the same crop
        view = cv2.cvtColor(view, cv2.COLOR_BGR2GRAY)
    step = side / (k * size)
    along, across = step * math.cos(roll), step * math.sin(roll)
    middle = (k * size - 1) / 2  # index of the center of the crop
    x, y = center[0] - 0.5 - left, center[1] - 0.5 - top  # its position as an index into the view
    x, y = x - middle * (along - across), y - middle * (along + across)
    to_view = np.array([[along, -across, x], [across, along, y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(view, to_view, (k * size, k * size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    if k > 1:
        patch = cv2.resize(patch, (size, size), interpolation=cv2.INTER_AREA)
    if frame.luma_range == "limited" and frame.image.ndim == 2:
        patch = full_range(patch)
    if out.ndim == 3:  # after the warp, where it costs least
        patch = cv2.cvtColor(patch, cv2.COLOR_GRAY2RGB if view.ndim == 2 else cv2.COLOR_BGR2RGB)
    out[:] = patch


def _surroundings(image: UInt8, center: tuple[float, float], side: float) -> tuple[UInt8, int, int]:
    """View of the part of ``image`` that a rotated square can touch, with its left and top.

    OpenCV copies an image with unusual strides first; with this view it copies the face, not the frame.
    """
    reach = side * 0.75 + 2  # half the diagonal is 0.71 of the side
    height, width = image.shape[:2]
    left, right = _span(center[0], reach, width)
    top, bottom = _span(center[1], reach, height)
    return image[top:bottom, left:right], left, top


def _span(middle: float, reach: float, length: int) -> tuple[int, int]:
    # At least one pixel inside the frame: a square entirely outside repeats the nearest border.
    start = min(max(math.floor(middle - reach), 0), length - 1)
    return start, max(min(math.ceil(middle + reach), length), start + 1)


# BT.601 and BT.709 luma: 16 is black, 235 is white.
_FULL_RANGE = np.clip(np.rint((np.arange(256) - 16) * (255 / 219)), 0, 255).astype(np.uint8)


def full_range(luma: UInt8) -> UInt8:
    """Luma of the limited range, 16 to 235, as 0 to 255."""
    return np.asarray(_FULL_RANGE[luma], np.uint8)
