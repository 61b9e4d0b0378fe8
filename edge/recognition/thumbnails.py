"""Frames as thumbnails of 24 x 40 cells, and how much of one is found again in another.

A block counts as kept if its pattern is found again nearby, whatever its brightness and contrast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Thumbnail = npt.NDArray[np.float32]  # (24,40) levels
_SIZE = (40, 24)
_FINE = 4  # samples across a cell
_BLOCK, _REACH = 8, 4  # cells: side of a block, and how far it may have moved between two frames
_ALIKE = 0.8  # correlation from which a block's pattern is found again
_PATTERN = 3.0  # levels, standard deviation; a block with less has no pattern to find
_SMOOTH = 3.0  # cells, one sigma: what is smoother, such as the light on a wall, is no pattern
_LEVELS = 8.0  # mean difference up to which a block is the same in the same light
_ENOUGH = 4  # blocks with a pattern, in both thumbnails together
_MIXED = 0.05  # of the variance that a mixture of both ends may leave


def thumbnail(image: npt.NDArray[Any]) -> Thumbnail:
    """A frame (H,W) or (H,W,3) as means over some of its pixels."""
    rows, columns = image.shape[:2]
    down, across = max(rows // (_SIZE[1] * _FINE), 1), max(columns // (_SIZE[0] * _FINE), 1)
    few = image[::down, ::across] if image.ndim == 2 else image[::down, ::across, 1]  # green is most of luma
    return np.asarray(cv2.resize(few, _SIZE, interpolation=cv2.INTER_AREA), np.float32)


def correlation(a: Thumbnail, b: Thumbnail) -> float:
    """Of two thumbnails as they are, -1..1; of flat ones 1 if they are equal, else 0."""
    one, other = a - a.mean(), b - b.mean()
    size = float(np.sqrt((one * one).sum() * (other * other).sum()))
    return float((one * other).sum()) / size if size > 0 else float(np.array_equal(one, other))


def moved_correlation(a: Thumbnail, b: Thumbnail) -> float:
    """The largest correlation of the inner part of ``a`` with ``b``, wherever it has gone nearby; -1..1."""
    inner = a[_REACH:-_REACH, _REACH:-_REACH]
    return float(cv2.matchTemplate(b, inner, cv2.TM_CCOEFF_NORMED).max())


def kept(a: Thumbnail, b: Thumbnail) -> float:
    """Share of the blocks with a pattern that are found again nearby in the other thumbnail, 0..1.

    Of pictures with hardly any pattern, the share of blocks with the same levels.
    """
    one, other = _pattern(a), _pattern(b)
    found = [*_found(one, other), *_found(other, one)]
    return sum(found) / len(found) if len(found) >= _ENOUGH else unmoved(a, b)


def unmoved(before: Thumbnail, after: Thumbnail) -> float:
    """Share of all blocks whose levels are found again nearby, 0..1."""
    bound = (_BLOCK * _LEVELS) ** 2
    pairs = list(_blocks(before, after))
    return sum(cv2.matchTemplate(at, block, cv2.TM_SQDIFF).min() <= bound for block, at in pairs) / len(pairs)


def explained(before: Thumbnail, after: Thumbnail) -> float:
    """Share of the variance of ``after`` that follows from the level in ``before``: the correlation ratio.

    Near 1 if only light or exposure changed, clipped or not (Roche et al., MICCAI 1998).
    """
    level = (before.ravel() / 16).astype(np.int64).clip(0, 15)
    count, total = np.bincount(level, minlength=16), np.bincount(level, after.ravel(), 16)
    mean = (total / np.maximum(count, 1))[level]
    return float(mean.var() / max(float(after.var()), 1e-6))


def is_fade(begin: Thumbnail, between: Sequence[Thumbnail], end: Thumbnail) -> bool:
    """Whether those between are mixtures of both ends, with ever more of ``end``.

    Method: Hampapur, Jain and Weymouth, "Digital video segmentation", ACM Multimedia (1994).
    """
    way = end - begin
    way -= way.mean()
    length = float((way * way).sum())
    if length < _PATTERN**2 * way.size:
        return False
    shares = []
    for picture in between:
        done = picture - begin
        done -= done.mean()
        shares.append(float((done * way).sum()) / length)
        left = done - shares[-1] * way
        if float((left * left).sum()) > _MIXED * length:
            return False
    rising = all(a <= b + 0.05 for a, b in pairwise([0.0, *shares, 1.0]))
    return rising and any(0.1 < share < 0.9 for share in shares)


def _pattern(picture: Thumbnail) -> Thumbnail:
    return picture - np.asarray(cv2.GaussianBlur(picture, (0, 0), _SMOOTH), np.float32)


def _found(before: Thumbnail, after: Thumbnail) -> list[bool]:
    rows = []
    for block, place in _blocks(before, after):
        if block.std() >= _PATTERN:
            rows.append(bool(cv2.matchTemplate(place, block, cv2.TM_CCOEFF_NORMED).max() >= _ALIKE))
    return rows


def _blocks(before: Thumbnail, after: Thumbnail) -> Iterator[tuple[Thumbnail, Thumbnail]]:
    """Each block of ``before``, and where it may have gone in ``after``."""
    around = np.asarray(cv2.copyMakeBorder(after, *(_REACH,) * 4, cv2.BORDER_REPLICATE), np.float32)
    wide = _BLOCK + 2 * _REACH
    for y in range(0, before.shape[0], _BLOCK):
        for x in range(0, before.shape[1], _BLOCK):
            yield before[y : y + _BLOCK, x : x + _BLOCK], around[y : y + wide, x : x + wide]
