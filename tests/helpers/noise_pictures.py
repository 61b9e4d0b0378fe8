"""Pictures of noise, and ways to break them."""

from __future__ import annotations

import numpy as np

NOISE = np.random.default_rng(0).integers(0, 256, (64, 96, 128), dtype=np.uint8)


def breaks(rng: np.random.Generator, at: int) -> np.ndarray:
    kind = int(rng.integers(8))
    good = NOISE[at % 64]
    if kind == 0:
        return np.full(good.shape, rng.integers(0, 17), np.uint8)
    if kind == 1:
        return np.full(good.shape, rng.integers(0, 256), np.uint8)
    if kind == 2:
        torn = good.copy()
        torn[int(rng.integers(1, 80)) :] = rng.integers(0, 256)
        return torn
    if kind == 3:
        return good[: int(rng.integers(0, 96)), : int(rng.integers(0, 128))]
    if kind == 4:
        return np.where(rng.random(good.shape) < 0.01, np.nan, good).astype(np.float32)
    if kind == 5:
        return rng.integers(0, 256, tuple(rng.integers(0, 9, int(rng.integers(0, 5)))), dtype=np.uint8)
    if kind == 6:
        return rng.integers(0, 256, (96, 128, int(rng.choice([1, 2, 4]))), dtype=np.uint8)
    size = tuple(rng.integers(16, 200, 2))
    return rng.integers(0, 256, size if size != good.shape else (95, 128), dtype=np.uint8)
