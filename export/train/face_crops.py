"""Crops that show a face, and what they are made of: the material of the output that tells faces apart.

The rule, in sides of the face square: a crop whose square lies at most 0.15 beside the face, is 0.8 to 1.3
times its size and of which at most 0.4 is covered, from one side, shows a face. One that lies 0.5 or more
beside it, holds less than 0.45 of its side, or of which 0.75 or more is covered shows none. Between these
lies what nobody needs to call either; it trains and judges nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from calibration import degrade
from calibration.sequences import SequenceRecipe, generate
from edge.capture.picture_files import read_picture
from edge.config import SourceConfig
from edge.errors import EdgeError, SourceError

Images = npt.NDArray[np.uint8]
Draw = np.random.Generator
NEAR = 0.15  # of the side: shift up to which a crop shows its face
_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Pictures:
    """Gray stills ``faces`` (N,S,S) and ``photographs`` (H,W) without a face, of 32 pixels or more."""

    faces: Images
    photographs: Sequence[Images]


def photographs(folder: Path) -> list[Images]:
    """Every picture below ``folder`` in gray, in the order of their names; EdgeError if there is none."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    try:
        read = [
            cv2.cvtColor(read_picture(path, SourceConfig.most_pixels), cv2.COLOR_BGR2GRAY) for path in paths
        ]
    except SourceError as error:
        raise EdgeError(f"{folder} holds a picture that cannot be read ({error}); remove it") from error
    found = [np.asarray(image, np.uint8) for image in read if min(image.shape) >= 32]
    if not found:
        raise EdgeError(f"{folder} holds no picture of 32 pixels or more; give photographs without faces")
    return found


def faces(pictures: Pictures, count: int, rng: Draw) -> Images:
    """``count`` crops (N,S,S) with a face: steps of generated sequences, and single ones on a background."""
    stills, labels = pictures.faces, np.arange(len(pictures.faces))
    crops: list[Images] = []
    while len(crops) < count // 2:
        few = rng.choice(labels, 3, replace=False)
        steps = generate(stills[few], np.arange(3), rng, SequenceRecipe()).crops
        crops += list(steps[rng.choice(len(steps), 4, replace=False)])
    while len(crops) < count:
        crops.append(_single(pictures, rng))
    return np.stack(crops[:count])


def _single(pictures: Pictures, rng: Draw) -> Images:
    """A face in a background, within the jitter of a detector, turned, dark, blurred or a little covered."""
    shift = rng.uniform(-NEAR, NEAR, 2)
    narrow = rng.uniform(0.6, 1) if rng.random() < 0.4 else 1.0
    crop = framed(pictures, shift, rng.uniform(0.8, 1.3), narrow, rng)
    if rng.random() < 0.25:
        crop = cover(crop, rng.uniform(0.1, 0.4), pictures, rng, middle=False)
    if rng.random() < 0.2:
        crop = degrade.light(crop, rng.uniform(1, 2.5), tuple(rng.uniform(-0.8, 0.8, 2)))
    if rng.random() < 0.3:
        crop = degrade.blur(crop, rng.uniform(0.3, 2))
    return with_camera(crop, rng)


def framed(
    pictures: Pictures, shift: npt.NDArray[np.float64], scale: float, narrow: float, rng: Draw
) -> Images:
    """A face beside the middle of the crop by ``shift`` sides, before a photograph or its own border."""
    still = pictures.faces[rng.integers(len(pictures.faces))]
    side = len(still)
    if rng.random() < 0.3:  # a border that goes on, as at the edge of a frame
        return degrade.warp(
            still, rng.uniform(-20, 20), scale, tuple(shift), bool(rng.random() < 0.5), narrow
        )
    back = patch(pictures, rng)
    if rng.random() < 0.3:  # the hair and clothes of another picture go on about the face
        back = cv2.blur(np.roll(pictures.faces[rng.integers(len(pictures.faces))], side // 2, (0, 1)), (3, 3))
    middle = (side - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-20, 20), scale)
    matrix[:, 2] += np.multiply(shift, side) + matrix[:, 0] * middle * (1 - narrow)
    matrix[:, 0] *= narrow
    mask = cv2.warpAffine(_head(side, rng), matrix, (side, side))[..., None]
    face = cv2.warpAffine(still, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    if rng.random() < 0.5:
        face = face[:, ::-1]
        mask = mask[:, ::-1]
    mask = mask[..., 0]
    return np.asarray(face * mask + back * (1 - mask), np.uint8)


def _head(side: int, rng: Draw) -> npt.NDArray[np.float32]:
    """Weight (S,S) of a face before its background: an oval or the whole square, with a soft edge."""
    mask = np.zeros((side, side), np.float32)
    if rng.random() < 0.5:
        axes = (int(side * rng.uniform(0.42, 0.55)), int(side * rng.uniform(0.5, 0.62)))
        cv2.ellipse(mask, (side // 2, side // 2), axes, 0, 0, 360, 1.0, -1)
    else:
        mask[1:-1, 1:-1] = 1
    return cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 2))


def patch(pictures: Pictures, rng: Draw) -> Images:
    """A square of a photograph, of any size, mirrored or not, brighter or darker."""
    photograph = pictures.photographs[int(rng.integers(len(pictures.photographs)))]
    height, width = photograph.shape
    size = int(np.exp(rng.uniform(np.log(24), np.log(min(height, width)))))
    top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
    side = pictures.faces.shape[1]
    square = photograph[top : top + size, left : left + size]
    how = cv2.INTER_AREA if size > side else cv2.INTER_LINEAR
    shown = cv2.resize(square, (side, side), interpolation=how)
    return degrade.warp(shown, rng.uniform(-20, 20), rng.uniform(1, 1.3), (0, 0), bool(rng.random() < 0.5))


def part(pictures: Pictures, rng: Draw) -> Images:
    """A part of a face, enlarged: a cheek, an ear, a forehead."""
    still = pictures.faces[rng.integers(len(pictures.faces))]
    side = len(still)
    size = int(side * rng.uniform(0.2, 0.45))
    top, left = rng.integers(side - size + 1, size=2)
    return np.asarray(cv2.resize(still[top : top + size, left : left + size], (side, side)), np.uint8)


def cover(crop: Images, share: float, pictures: Pictures, rng: Draw, middle: bool = True) -> Images:
    """``crop`` with ``share`` of it under skin, cloth or a piece of a photograph, from one side."""
    side = len(crop)
    kind = rng.integers(4)
    if kind == 0:
        over = part(pictures, rng)
    elif kind == 1:
        over = patch(pictures, rng)
    elif kind == 2:
        over = np.full_like(crop, rng.integers(256))
    else:  # fingers: bright stripes with shadows between them
        across = np.cos(np.linspace(0, rng.uniform(12, 40), side) + rng.uniform(0, 6))
        over = np.tile(np.clip(rng.uniform(90, 210) + 30 * np.abs(across) ** 0.5, 0, 255), (side, 1)).astype(
            np.uint8
        )
        over = degrade.warp(over, rng.uniform(-90, 90), 1.4, (0, 0))
    ramp = np.linspace(-0.5, 0.5, side)
    turn = rng.uniform(0, 2 * np.pi)
    field = np.cos(turn) * ramp[None] + np.sin(turn) * ramp[:, None]
    if middle and rng.random() < 0.4:
        field = np.maximum(np.abs(ramp[None]), np.abs(ramp[:, None]))
    mask = cv2.GaussianBlur(
        (field <= np.quantile(field, share)).astype(np.float32), (0, 0), rng.uniform(0.4, 1.5)
    )
    return np.asarray(over * mask + crop * (1 - mask), np.uint8)


def with_camera(crop: Images, rng: Draw) -> Images:
    """The faults of a camera, for crops with and without a face alike."""
    if rng.random() < 0.4:
        crop = degrade.light(crop, float(np.exp(rng.uniform(-0.5, 0.7))), tuple(rng.uniform(-0.5, 0.5, 2)))
    kind = rng.random()
    if kind < 0.2:
        crop = degrade.blur(crop, rng.uniform(0.4, 1.4))
    elif kind < 0.35:
        crop = degrade.shrink(crop, int(rng.integers(16, 44)))
    if rng.random() < 0.3:
        crop = degrade.noise(crop, rng.uniform(2, 14), rng)
    return degrade.compress(crop, int(rng.integers(15, 80))) if rng.random() < 0.3 else crop
