"""The golden check can fail."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny

from edge import bundle
from edge.engines.golden import compare, reproduces, roll
from edge.engines.ort import OrtEngine
from edge.errors import BundleError
from edge.manifest import BundleFile


def test_compare() -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((50, 4, 3)).astype(np.float32)
    assert compare(logits, logits).passed
    assert compare(logits + 1e-3, logits).passed
    assert not compare(logits[..., ::-1], logits).passed, "a swapped label order must be seen"
    assert not compare(np.full_like(logits, np.nan), logits).passed
    one_off = logits.copy()
    one_off[3, 2] = -one_off[3, 2]
    assert not compare(one_off, logits).passed, "one wrong step of 200 must be seen"


def test_a_bundle_reproduces_its_own_golden_and_no_other(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "b")
    loaded = bundle.load(folder)
    engine = OrtEngine(loaded.model("fp32"))
    with pytest.raises(BundleError, match=r"no golden\.npz"):
        reproduces(engine, loaded)
    crops = np.random.default_rng(0).integers(0, 256, (19, 5, 8, 8), np.uint8)
    logits = roll(engine, loaded, crops)
    loaded = replace(loaded, manifest=replace(loaded.manifest, golden=BundleFile("golden.npz")))
    np.savez(folder / "golden.npz", crops=crops, logits=logits)
    assert reproduces(engine, loaded).passed
    np.savez(folder / "golden.npz", crops=crops, logits=logits * [1, 1, 1] + [0, 0, 3])
    assert not reproduces(engine, loaded).passed
