"""A handful of random faces, and a recipe that is done with them in seconds."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def data():
    from export.data.ferplus import FerPlus

    rng = np.random.default_rng(0)
    votes = np.zeros((120, 10), np.uint8)
    votes[np.arange(120), np.arange(120) % 4] = 8
    fold = np.where(np.arange(120) < 80, 0, np.where(np.arange(120) < 100, 1, 2)).astype(np.int8)
    return FerPlus(rng.integers(0, 256, (120, 48, 48)).astype(np.uint8), votes, fold)


@pytest.fixture(scope="module")
def recipe():
    from export.train.batches import FrameRecipe

    return FrameRecipe(encoder="plain-s", epochs=3, noisy_epochs=1, batch=8)
