"""What a camera does to a face crop: geometry, light, blur, noise, compression, occlusion.

Training, sequence generation and tests share these functions. Each takes one uint8 image, gray ``(S,S)`` or
RGB ``(S,S,3)``, returns uint8 of the same shape and draws only from the generator it is given.
"""

from __future__ import annotations

from itertools import permutations

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
_TINTS = tuple(permutations((1.0, 0.75, 0.5)))


def warp(
    image: Image,
    angle: float,
    scale: float,
    shift: tuple[float, float],
    flip: bool = False,
    narrow: float = 1.0,
) -> Image:
    """Rotate by ``angle`` degrees, zoom by ``scale`` and move by ``shift`` (fractions of the side).

    ``narrow`` is the share of its width that is left, as of a head that turns to the side.
    """
    side = image.shape[0]
    center = (side - 1) / 2
    matrix = cv2.getRotationMatrix2D((center, center), angle, scale)
    matrix[:, 2] += np.multiply(shift, side) + matrix[:, 0] * center * (1 - narrow)
    matrix[:, 0] *= narrow
    if flip:
        image = np.ascontiguousarray(image[:, ::-1])
    return cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)


def light(image: Image, gamma: float, slope: tuple[float, float], gain: float = 1.0) -> Image:
    """Exposure curve ``gamma``, overall ``gain`` and a linear gradient with ``slope`` per side."""
    side = image.shape[0]
    ramp = np.linspace(-0.5, 0.5, side, dtype=np.float32)
    field = gain * (1 + slope[0] * ramp[None, :] + slope[1] * ramp[:, None])
    field = field if image.ndim == 2 else field[..., None]
    curve = (np.arange(256, dtype=np.float32) / 255) ** gamma * 255
    return np.clip(curve[image] * field, 0, 255).astype(np.uint8)


def blur(image: Image, sigma: float) -> Image:
    """Gaussian blur of ``sigma`` pixels (defocus)."""
    return cv2.GaussianBlur(image, (0, 0), sigma)


def shrink(image: Image, side: int) -> Image:
    """Lose detail as a face of ``side`` pixels in the camera's frame does."""
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape[::-1], interpolation=cv2.INTER_LINEAR)


def noise(image: Image, sigma: float, rng: np.random.Generator) -> Image:
    """Gaussian sensor noise of ``sigma`` gray levels."""
    grain = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(sigma)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def compress(image: Image, quality: int) -> Image:
    """JPEG at ``quality`` (1 worst, 100 best), as MJPEG cameras send it."""
    bgr = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    packed = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    if image.ndim == 2:
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)
    return np.asarray(cv2.cvtColor(cv2.imdecode(packed, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def tint(images: Image, number: int) -> Image:
    """Gray faces (...,S,S) as RGB (...,S,S,3) in one of six tints, chosen by ``number``.

    Each channel has another gain, so that a proof sees channels that are swapped, and luma in all of them.
    """
    levels = np.rint(np.arange(256)[:, None] * _TINTS[number % len(_TINTS)]).astype(np.uint8)
    return np.asarray(levels[images], np.uint8)


def occlude(image: Image, box: tuple[float, float, float, float], value: int) -> Image:
    """Cover the rectangle ``box`` (x0, y0, x1, y1 as fractions of the side) with gray ``value``."""
    out = image.copy()
    x0, y0, x1, y1 = (round(side * image.shape[0]) for side in box)
    out[max(y0, 0) : y1, max(x0, 0) : x1] = value
    return out


def augment(image: Image, rng: np.random.Generator) -> Image:
    """One random view of a still, as wide as the crops of a detector and a cheap camera vary."""
    shift = (float(rng.uniform(-0.08, 0.08)), float(rng.uniform(-0.08, 0.08)))
    flip = bool(rng.random() < 0.5)
    narrow = float(rng.uniform(0.75, 1)) if rng.random() < 0.3 else 1.0
    out = warp(image, float(rng.uniform(-17, 17)), float(rng.uniform(0.85, 1.2)), shift, flip, narrow)
    if rng.random() < 0.5:
        slope = (float(rng.uniform(-0.6, 0.6)), float(rng.uniform(-0.6, 0.6)))
        out = light(out, float(np.exp(rng.uniform(-0.5, 0.5))), slope)
    kind = rng.random()
    if kind < 0.15:
        out = blur(out, float(rng.uniform(0.4, 1.4)))
    elif kind < 0.3:
        out = shrink(out, int(rng.integers(20, 44)))
    if rng.random() < 0.2:
        out = noise(out, float(rng.uniform(2, 14)), rng)
    if rng.random() < 0.3:
        x, y, w, h = rng.uniform(0, 0.8), rng.uniform(0, 0.8), rng.uniform(0.1, 0.4), rng.uniform(0.1, 0.4)
        out = occlude(out, (x, y, x + w, y + h), int(rng.integers(0, 256)))
    if rng.random() < 0.2:
        out = compress(out, int(rng.integers(15, 80)))
    return out


def nudge(image: Image, rng: np.random.Generator) -> Image:
    """A still almost as it is: mirrored or not, moved, turned and zoomed a little."""
    shift = (float(rng.uniform(-0.04, 0.04)), float(rng.uniform(-0.04, 0.04)))
    flip = bool(rng.random() < 0.5)
    return warp(image, float(rng.uniform(-10, 10)), float(rng.uniform(0.93, 1.08)), shift, flip)


def no_face(image: Image, rng: np.random.Generator) -> Image:
    """A picture of the size of ``image`` that shows no face: noise, blobs, stripes, or its parts shuffled."""
    side = image.shape[0]
    kind = int(rng.integers(4))
    if kind == 0:
        coarse = int(rng.integers(2, side + 1))
        grain = rng.integers(0, 256, (coarse, coarse), np.uint8)
        return np.asarray(cv2.resize(grain, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
    if kind == 1:
        along = np.linspace(0, rng.uniform(2, 25), side)
        wave = np.sin(
            np.add.outer(along * rng.uniform(-1, 1), along * rng.uniform(-1, 1) + rng.uniform(0, 6.3))
        )
        return np.clip(127 + rng.uniform(30, 127) * wave, 0, 255).astype(np.uint8)
    if kind == 2:
        out = np.full((side, side), rng.integers(0, 256), np.uint8)
        for _ in range(int(rng.integers(1, 12))):
            x0, y0, w, h = (float(v) for v in rng.uniform(0, 0.8, 4))
            out = occlude(out, (x0, y0, x0 + w, y0 + h), int(rng.integers(0, 256)))
        return blur(out, float(rng.uniform(0.3, 3)))
    parts = int(rng.integers(3, 7))
    cell = side // parts
    out = image.copy()
    for to, source in enumerate(rng.permutation(parts * parts)):
        (row, column), (top, left) = divmod(to, parts), divmod(int(source), parts)
        piece = image[top * cell : (top + 1) * cell, left * cell : (left + 1) * cell]
        out[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = piece
    return out
