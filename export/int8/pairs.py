"""Weights that are exact in the fast kernel of x86 processors before VNNI.

Such a processor multiplies unsigned activations by signed weights with PMADDUBSW, which adds each product to
its neighbor's in 16 bits, and saturates (Intel 64 and IA-32 Architectures Software Developer's Manual, volume
2). ONNX Runtime sums the channels of one place of a kernel after the other, each group by itself, and pairs
the weights 0 and 1, 2 and 3, ... of that sum. Activations reach 255. So two weights of one sign may add up to
128, because 255 * 128 <= 32767 < 255 * 129; two of different signs never saturate.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

LARGEST, LARGEST_PAIR = 127, 128  # of a weight, and of two of one sign
_SMALLEST_SCALE = 1e-8

Array = npt.NDArray[Any]


class Broken(NamedTuple):
    """Two neighbors in the sum of an output channel that may saturate; ``at`` is the place of the first."""

    channel: int
    at: int
    first: int
    second: int


def quantize(weight: Array, axis: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Steps like ``weight``, and the scale of each output channel along ``axis``.

    Each scale is the smallest at which no weight is over 127 and no pair of one sign over 128. The real pair
    is then under 128, and rounding adds at most 1: so the rounded pair is at most 128.

    The weights of one input channel are rounded so that their sum is kept, wherever the pairs allow it:
    neighboring pixels are alike, so an error of the sum counts most (Guo et al., SQuant, ICLR 2022,
    https://arxiv.org/abs/2202.07471).
    """
    rows = _in_sums(weight, axis)
    each = np.abs(rows).max(axis=1, initial=_SMALLEST_SCALE) / LARGEST
    pair = _pair_sums(rows).max(axis=1, initial=0) / LARGEST_PAIR
    # Rounded up, so that float32 leaves the pair below its bound.
    scale = np.maximum(each.astype(np.float32), np.nextafter(pair.astype(np.float32), np.float32(np.inf)))
    real = rows / scale[:, None].astype(np.float64)
    steps = np.rint(real).clip(-LARGEST, LARGEST)
    taps = int(np.prod(weight.shape[2:]))
    return _from_sums(_keep_sums(real, steps, taps), weight.shape, axis).astype(np.int8), scale


def broken(steps: Array, axis: int) -> Iterator[Broken]:
    """Each pair that may saturate in sums of these steps, whose output channels lie along ``axis``."""
    rows = _in_sums(steps, axis)
    for channel, pair in np.argwhere(_pair_sums(rows) > LARGEST_PAIR).tolist():
        yield Broken(channel, 2 * pair, *(int(rows[channel, 2 * pair + at]) for at in (0, 1)))


def _keep_sums(real: Array, steps: Array, taps: int) -> Array:
    """``steps`` (M,K), some rounded the other way, so that each input channel's sum is off by half at most.

    Where that would break a pair, both weights stay rounded to the nearest.
    """
    error = (steps - real).reshape(len(steps), taps, -1)
    total = error.sum(axis=1, keepdims=True)
    order = np.argsort(-np.sign(total) * error, axis=1, kind="stable")  # the most wrong one first
    rank = np.argsort(order, axis=1, kind="stable")
    changed = steps - np.where(rank < np.rint(np.abs(total)), np.sign(total), 0).reshape(steps.shape)
    bad = (_pair_sums(changed) > LARGEST_PAIR) | (_pairs(np.abs(changed)).max(axis=-1) > LARGEST)
    return np.where(np.repeat(bad, 2, axis=1)[:, : steps.shape[1]], steps, changed)


def _pairs(rows: Array) -> Array:
    """(M,K) as (M,K/2,2); the last weight of an odd row stands beside a zero, as in the kernel."""
    return np.pad(rows, ((0, 0), (0, rows.shape[1] % 2))).reshape(len(rows), -1, 2)


def _pair_sums(rows: Array) -> Array:
    """(M,K/2) magnitudes of the larger of each pair's sum of one sign: positive weights, negative weights."""
    pairs = _pairs(rows)
    return np.maximum(pairs.clip(min=0).sum(axis=-1), -pairs.clip(max=0).sum(axis=-1))


def _in_sums(weight: Array, axis: int) -> Array:
    """``weight`` as float64 (output channels, K) in the order of the sum: input channels last."""
    return np.moveaxis(np.moveaxis(weight, axis, 0), 1, -1).reshape(weight.shape[axis], -1).astype(float)


def _from_sums(rows: Array, shape: tuple[int, ...], axis: int) -> Array:
    """The inverse of ``_in_sums``."""
    first = (shape[axis], *(size for at, size in enumerate(shape) if at != axis))
    return np.moveaxis(np.moveaxis(rows.reshape(first[0], *first[2:], first[1]), -1, 1), 0, axis)
